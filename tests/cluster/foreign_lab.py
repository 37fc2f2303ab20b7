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
protocols = imap submission lmtp
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain scram-sha-256
auth_verbose = yes
login_trusted_networks = 127.0.0.0/8
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
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    address = 127.0.0.1
    port = {submission}
  }}
  inet_listener submissions {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = passwd-file
  args = {dir}/users
  override_fields = home={dir}/homes/%u
}}
{extra}
"""


class ForeignDovecot:
    """`users`: passwords by name; `relay`: the port where its submission service hands mail on;
    `extra`: more configuration. `ports` by service."""

    def __init__(self, users, relay, extra=""):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-foreign-"))
        os.chmod(self.dir, 0o755)
        self.ports = dict(zip(("imap", "submission", "lmtp"), free_ports(3)))
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        (self.dir / "users").write_text("".join(
            f"{name}:{scram_key(password)}:{user.pw_uid}:{user.pw_gid}::::\n"
            for name, password in users.items()))
        (self.dir / "dovecot.conf").write_text(CONFIG.format(
            dir=self.dir, user=user.pw_name, group=grp.getgrgid(user.pw_gid).gr_name,
            uid=user.pw_uid, gid=user.pw_gid, relay=relay, extra=extra, **self.ports))
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
