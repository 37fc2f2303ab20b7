"""A Dovecot on which nothing of ours runs: its own users, its own passwords."""
import contextlib
import grp
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from dovecot_lab import DOVECOT, free_ports
from harness import scram_key, wait_for

CONFIG = """
protocols = {protocols}
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
ssl = no
disable_plaintext_auth = no
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {uid}
mail_gid = {gid}
mail_location = maildir:~/Maildir
auth_failure_delay = 0
auth_cache_size = 0
service anvil {{
  chroot =
}}
{listeners}
"""
LOGIN = {"imap": "imap-login", "pop3": "pop3-login", "sieve": "managesieve-login",
         "submission": "submission-login"}
IMPLICIT = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions"}


def listener(service, port, proxy):
    """Its one port: the others, which Dovecot has by default, are closed."""
    lines = [f"service {LOGIN.get(service, service)} {{", f"  inet_listener {service} {{",
             "    address = 127.0.0.1", f"    port = {port}",
             *(["    haproxy = yes"] if proxy else []), "  }"]
    if service in LOGIN:
        lines.insert(1, "  chroot =")
    if service in IMPLICIT:
        lines += [f"  inet_listener {IMPLICIT[service]} {{", "    port = 0", "  }"]
    return "\n".join([*lines, "}"])


class ForeignDovecot:
    """`services` on `ports`; `extra`: its users and more configuration, in which DIR is its folder.
    `proxy`: clients come with a PROXY header. `files(folder, user)` puts into the folder what that
    needs."""

    def __init__(self, services, extra, files, proxy=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-foreign-"))
        os.chmod(self.dir, 0o755)
        self.ports = dict(zip(services, free_ports(len(services))))
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        files(self.dir, user)
        listeners = "\n".join(listener(*each, proxy and each[0] in LOGIN)
                              for each in self.ports.items())
        (self.dir / "dovecot.conf").write_text(CONFIG.format(
            protocols=" ".join(services), dir=self.dir, user=user.pw_name,
            group=grp.getgrgid(user.pw_gid).gr_name, uid=user.pw_uid, gid=user.pw_gid,
            listeners=listeners) + extra.replace("DIR", str(self.dir)))
        as_user = {}
        if os.getuid() == 0:
            for path in (self.dir, *self.dir.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.dir / "dovecot.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, **as_user)
        try:
            wait_for(lambda: "starting up" in self.log(), "the foreign Dovecot")
        except BaseException:
            self.close()
            raise

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def mails(self, user):
        return [path.read_bytes() for path in (self.dir / "homes" / user).glob("Maildir/new/*")]

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


MAIL = """
auth_mechanisms = plain scram-sha-256
auth_verbose = yes
login_trusted_networks = 127.0.0.0/8
submission_relay_host = 127.0.0.1
submission_relay_port = RELAY
passdb {
  driver = passwd-file
  args = DIR/users
}
userdb {
  driver = passwd-file
  args = DIR/users
  override_fields = home=DIR/homes/%u
}
"""


class MailDovecot(ForeignDovecot):
    """One that takes mail: `users` are passwords by name; `relay`: the port where its submission
    service hands mail on; `extra`: more configuration."""

    def __init__(self, users, relay, extra=""):
        def files(folder, user):
            (folder / "users").write_text("".join(
                f"{name}:{scram_key(password)}:{user.pw_uid}:{user.pw_gid}::::\n"
                for name, password in users.items()))
        super().__init__(("imap", "submission", "lmtp"),
                         MAIL.replace("RELAY", str(relay)) + extra, files)
