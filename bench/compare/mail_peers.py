"""The mail servers that are compared, each before the site's mail server: they take mail for the
accounts of one domain, refuse all others, and hand it on. Each has all cores."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .peers import BareForwarder, Peer
from .site import DOMAIN

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/cluster"))
import postfix_lab


@dataclass(frozen=True)
class Duty:
    """What a mail peer is set up for. Postfix stores all mail before it answers, whatever `mail`
    says: that is what it is compared with."""

    accounts: int = 100
    mail: str = "inline"
    guarded: bool = False  # as it is out of the box: who guesses addresses is slowed down


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
    name = "postfix"
    instance = None

    def start(self):
        self.instance = postfix_lab.Postfix(f"""
myhostname = mx.{DOMAIN}
disable_dns_lookups = yes
smtpd_relay_restrictions = reject_unauth_destination
smtpd_soft_error_limit = 1000000
smtpd_hard_error_limit = 1000000
message_size_limit = 52428800
mailbox_size_limit = 0
default_process_limit = 250
relay_domains = {DOMAIN}
relay_recipient_maps = lmdb:{self.recipients()}
relay_transport = lmtp:inet:127.0.0.1:{self.site.lmtp_port}
lmtp_destination_concurrency_limit = 50
""", self.launch)
        self.ports = {"plain": self.instance.port}

    def launch(self, command):
        return self.run(command, process_group=0)

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

    def __exit__(self, *arguments):
        if self.instance:
            self.instance.close()
        super().__exit__(*arguments)


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
             "--mail", self.duty.mail, "--domain", DOMAIN, "--accounts", str(self.duty.accounts),
             *(["--imap", str(self.site.imap_port)] if self.site.imap else [])],
            check=True)

    # Measures of other things guess from few addresses.
    UNGUARDED = """
unknown_recipients = 1000000000
tarpit = 0
errors = 100000
"""

    def choose_ports(self):
        super().choose_ports()
        if self.site.imap:
            self.ports["imap"] = processes.free_port()

    def imap_listener(self):
        return f"""
[[listener]]
protocol = "imap"
address = "127.0.0.1:{self.ports['imap']}"
tls = "none"
""" if self.site.imap else ""

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
{"" if self.duty.guarded else self.UNGUARDED}
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{self.ports['plain']}"
tls = "none"
{self.imap_listener()}""")
        self.run([self.site.muster, "serve", "--config", config])

    def log_lines(self, event):
        with open(self.directory / self.log, encoding="utf-8") as log:
            return sum(event in line for line in log)

    def wait_for_log(self, event, seconds):
        """Until its log tells of `event`."""
        deadline = time.monotonic() + seconds
        with open(self.directory / self.log, encoding="utf-8") as log:
            while event not in log.read():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no {event} in the log")
                time.sleep(0.02)


MAIL_PEERS = {peer.name: peer for peer in (MailForwarder, Postfix, MusterMail)}
