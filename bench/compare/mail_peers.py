"""The mail servers that are compared, each before the site's mail server: they take mail for the
accounts of one domain, refuse all others, and hand it on. Each has all cores."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

from . import processes
from .peers import BareForwarder, Peer
from .site import DOMAIN


@dataclass(frozen=True)
class Duty:
    """What a mail peer is set up for. Postfix stores all mail before it answers, whatever `mail`
    says: that is what it is compared with."""

    accounts: int = 100
    mail: str = "inline"


class MailPeer(Peer):
    def __init__(self, site, duty=Duty()):
        super().__init__(site)
        self.duty = duty
        self.cores = os.sched_getaffinity(0)

    def choose_ports(self):
        self.ports = {"plain": processes.free_port()}


class MailForwarder(MailPeer, BareForwarder):
    """The limit of mail in line: moves bytes, knows no account, and stores nothing."""


class Postfix(MailPeer):
    """An instance of its own: configuration, queue and processes, nothing in a chroot."""

    name = "postfix"
    DAEMONS = "/usr/lib/postfix/sbin"

    def start(self):
        self.choose_ports()
        queue, data, self.config = (self.directory / name for name in ("queue", "data", "etc"))
        for folder in (queue, data, self.config):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        shutil.chown(data, "postfix")
        self.write("etc/main.cf", f"""
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {self.directory}/log
maillog_file_prefixes = {self.directory}
myhostname = mx.{DOMAIN}
mydestination =
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000000
smtpd_hard_error_limit = 1000000
message_size_limit = 52428800
mailbox_size_limit = 0
in_flow_delay = 0
default_process_limit = 250
relay_domains = {DOMAIN}
relay_recipient_maps = lmdb:{self.recipients()}
relay_transport = lmtp:inet:127.0.0.1:{self.site.lmtp_port}
lmtp_destination_concurrency_limit = 50
""")
        self.write("etc/master.cf", f"""
127.0.0.1:{self.ports['plain']} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")
        subprocess.run(["postfix", "-c", self.config, "check"], check=True, capture_output=True)
        # A group of its own: its master ends the group when it is told to end.
        self.run([f"{self.DAEMONS}/master", "-d", "-c", self.config], process_group=0)

    def recipients(self):
        """The table of its accounts, made once for each size."""
        table = self.site.directory / f"recipients-{self.duty.accounts}"
        if not table.with_suffix(".lmdb").exists():
            with open(table, "w", encoding="ascii") as file:
                file.writelines(f"user{number}@{DOMAIN} x\n" for number in range(self.duty.accounts))
            empty = self.directory / "tables"
            empty.mkdir(exist_ok=True)
            (empty / "main.cf").touch()
            subprocess.run(["postmap", "-c", empty, f"lmdb:{table}"], check=True)
            table.unlink()
        return table

    def __exit__(self, *_):
        groups = self.pids()
        super().__exit__()
        for group in groups:
            self.end_group(group)

    @staticmethod
    def end_group(group):
        """Until nothing of it is left."""
        try:
            while True:
                os.killpg(group, signal.SIGKILL)
                time.sleep(0.01)
        except ProcessLookupError:
            pass


class MusterMail(MailPeer):
    """One node, master and front end, with as many workers as cores."""

    name = "muster"

    def __init__(self, site, duty=Duty()):
        super().__init__(site, duty)
        self.state = site.directory / f"mail-state-{duty.accounts}-{duty.mail}"
        self.queue = self.directory / "queue"

    def fill(self):
        """Makes the directory, unless this run has it already."""
        if self.state.exists():
            return
        subprocess.run(
            [self.site.tools / "fill_directory", "--state", self.state,
             "--server", f"127.0.0.1:{self.site.lmtp_port}", "--service", "lmtp",
             "--mail", self.duty.mail, "--domain", DOMAIN, "--accounts", str(self.duty.accounts)],
            check=True)

    def start(self):
        self.choose_ports()
        self.fill()
        config = self.write("muster.toml", f"""
[node]
name = "bench"
roles = ["master", "frontend"]
state_dir = "{self.state}"
drain_time = 0
log_level = "info"

[limits]
connections = 9900
connections_per_address = 9900

[mail]
host_name = "mx.{DOMAIN}"
queue_dir = "{self.queue}"
unknown_recipients = 1000000000
tarpit = 0
errors = 100000

[[listener]]
protocol = "smtp"
address = "127.0.0.1:{self.ports['plain']}"
tls = "none"
""")
        self.run([self.site.muster, "serve", "--config", config])

    def wait_for_log(self, event, seconds):
        """Until its log tells of `event`."""
        deadline = time.monotonic() + seconds
        with open(self.directory / self.log, encoding="utf-8") as log:
            while event not in log.read():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no {event} in the log")
                time.sleep(0.02)


MAIL_PEERS = {peer.name: peer for peer in (MailForwarder, Postfix, MusterMail)}
