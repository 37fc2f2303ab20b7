"""Two nodes with all roles, each beside its own Dovecot: logins cross both ways, the loss of one
leaves the other's accounts served; domains of one node, dedicated addresses and TLS names."""
import json
import contextlib
import os
import re
import signal
import subprocess
import unittest

import harness
import nodes_lab
import test_symmetric
from harness import Line, imap_login, new_source, wait_for
from test_symmetric import DOVECOT, PASSWORD, connect, free_ports


class Site:
    """One machine: a symmetric node and a Dovecot, set up by the commands of the guide."""

    def __init__(self, run, name, address, extra_address, roles):
        self.run, self.name, self.address, self.extra = run, name, address, extra_address
        self.folder = run.folder / name
        self.ports = free_ports(address, "imap", "imaps", "pop3", "cluster")
        self.inner = free_ports(address, "imap", "pop3", "lmtp")
        self.folder.mkdir()
        for part in ("mail", "run", "dovecot-state"):
            (self.folder / part).mkdir()
        if os.getuid() == 0:
            os.chown(self.folder / "mail", run.user.pw_uid, run.user.pw_gid)
        group = 'dict_socket_group = "dovecot"\n' if os.getuid() == 0 else ""
        self.file = run.node(name, roles, address, self.ports, f"""
[[listener]]
protocol = "imap"
address = "{extra_address}:{self.ports["imaps"]}"
tls = "implicit"
[backend]
base_dir = "{self.folder}/run"
config = "{self.folder}/dovecot/own.conf"
mail_root = "{self.folder}/mail"
mail_uid = {run.user.pw_uid}
mail_gid = {run.user.pw_gid}
mail_out_listen = "{address}:{free_ports(address, "out")["out"]}"
{group}""")

    def cli(self, *words, text=None):
        return self.run.muster(self.file, *words, text=text)

    def knows(self, *words):
        return subprocess.run([nodes_lab.MUSTER, "--config", self.file, *words],
                              capture_output=True, timeout=30).returncode == 0

    def join(self, master):
        token = json.loads(master.cli("token", "add", "--scope", "backend", "--json"))
        self.cli("cluster", "join", "--master", f"{master.address}:{master.ports['cluster']}",
                 "--pin", token["pin"], "--token-stdin", text=token["token"] + "\n")

    def serve(self):
        self.run.serve(self.name, self.file)

    def add_dovecot(self, master):
        services = [f"{name}.port={port}" for name, port in self.inner.items()]
        master.cli("server", "add", self.name, "kind=dovecot", f"node={self.name}",
                   f"host={self.address}", f"tls_name={self.name}.pair.dom", *services)
        wait_for(lambda: self.knows("server", "show", self.name), "the server's entry")
        self.cli("certificate", "issue", "dovecot", "--names", f"{self.name}.pair.dom", "--out",
                 self.folder)
        self.cli("backend", "dovecot-config", "--certificate", self.folder / "dovecot.crt",
                 "--key", self.folder / "dovecot.key", "--front-ends", "127.0.0.0/8", "--out",
                 self.folder / "dovecot")
        own = self.folder / "dovecot" / "own.conf"
        own.write_text(f"!include {self.folder}/dovecot/dovecot.conf\n"
                       f"log_path = {self.folder}/dovecot.log\n"
                       f"state_dir = {self.folder}/dovecot-state\n")
        self.engine = f"dovecot-{self.name}"
        self.run.start(self.engine, DOVECOT, "-F", "-c", own)
        wait_for(self.greets, "Dovecot: " + self.run.log(self.engine))

    def greets(self):
        try:
            with Line(f"{self.address}:{self.inner['imap']}") as line:
                return line.hear("OK")
        except OSError:
            return False

    def mails(self):
        return sum(1 for path in (self.folder / "mail").rglob("*")
                   if path.is_file() and path.parent.name in ("new", "cur"))

    def lose(self):
        """As if the machine had no power any more."""
        for name in (self.name, self.engine):
            process = self.run.processes.pop(name)
            for child in harness.children_of(process.pid):
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(child, signal.SIGKILL)
            process.kill()
            process.wait()


class Pair(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = run = test_symmetric.Programs()
        cls.addClassCleanup(run.close)
        cls.one = Site(run, "one", "127.93.0.1", "127.93.1.1", ["master", "symmetric"])
        cls.two = Site(run, "two", "127.93.0.2", "127.93.1.2", ["symmetric"])
        one, two = cls.one, cls.two
        one.cli("cluster", "init")
        one.serve()
        two.join(one)
        two.serve()
        for site in (one, two):
            site.add_dovecot(one)
        for name, names in (("mail", "mail.pair.dom"), ("vip", "mail.vip.dom")):
            one.cli("certificate", "issue", name, "--names", names, "--out", run.folder)
            one.cli("certificate", "set", name, "--chain", run.folder / f"{name}.crt", "--key",
                    run.folder / f"{name}.key", "--names", names)
        one.cli("domain", "add", "pair.dom", "--servers", "one,two")
        one.cli("domain", "add", "vip.dom", "--servers", "one,two",
                "default_for.tls_names=mail.vip.dom")
        one.cli("domain", "add", "dedicated.dom", "--servers", "one,two",
                f"default_for.addresses={one.extra},{two.extra}")
        for site in (one, two):
            one.cli("domain", "add", f"{site.name}.dom", "kind=local", f"node={site.name}",
                    f"servers={site.name}")
            cls.add(f"own@{site.name}.dom", site)
            for domain in ("pair.dom", "vip.dom", "dedicated.dom"):
                cls.add(f"at{site.name}@{domain}", site)
        cls.authority = harness.api_call(f"{one.folder}/state/admin.sock", "GET",
                                         "/v1/authority")["certificate"]
        wait_for(lambda: two.knows("account", "show", "attwo@dedicated.dom"), "the second's copy")
        for site in (one, two):  # certificates are taken up a moment later
            wait_for(lambda: nodes_lab.shown_names(
                f"{site.address}:{site.ports['imaps']}", cls.authority, "mail.vip.dom"),
                "the certificate")

    @classmethod
    def add(cls, address, site):
        cls.one.cli("account", "add", address, "--home", site.name, "--password-stdin",
                    text=PASSWORD + "\n")

    def client(self, site, at=None, name="mail.pair.dom"):
        line = connect(at or site.address, site.ports["imaps"], self.authority, name)
        self.addCleanup(line.close)
        return line

    def login(self, site, user, at=None, name="mail.pair.dom"):
        return imap_login(self.client(site, at, name), user, PASSWORD)

    def append(self, site, user):
        line = self.client(site)
        self.assertRegex(imap_login(line, user, PASSWORD), "^l OK")
        mail = "Subject: across\r\n\r\nhello"
        line.ask(f"a APPEND INBOX {{{len(mail)}}}", r"^\+")
        line.ask(mail, "^a OK")

    def test_a_logins_cross_both_ways(self):
        one, two = self.one, self.two
        for front in (one, two):
            for home in (one, two):
                with self.subTest(front=front.name, home=home.name):
                    other = two if home is one else one
                    before, elsewhere = home.mails(), other.mails()
                    self.append(front, f"at{home.name}@pair.dom")
                    self.assertEqual((home.mails(), other.mails()), (before + 1, elsewhere))

    def test_b_the_client_is_known_at_the_other_nodes_dovecot(self):
        source = new_source()
        line = connect(self.one.address, self.one.ports["imaps"], self.authority, "mail.pair.dom",
                       source)
        self.addCleanup(line.close)
        self.assertRegex(imap_login(line, "attwo@pair.dom", PASSWORD), "^l OK")
        log = self.two.folder / "dovecot.log"
        wait_for(lambda: re.search(rf"user=<attwo@pair.dom>.*rip={source}", log.read_text()),
                 "the client's address")

    def test_c_a_domain_of_one_node_is_served_there_alone(self):
        for site, other in ((self.one, self.two), (self.two, self.one)):
            self.assertRegex(self.login(site, f"own@{site.name}.dom"), "^l OK")
            self.assertRegex(self.login(other, f"own@{site.name}.dom"), "^l NO")

    def test_d_a_tls_name_and_an_address_give_names_their_domain(self):
        for site in (self.one, self.two):
            for home in (self.one, self.two):
                user = f"at{home.name}"
                self.assertRegex(self.login(site, user, name="mail.vip.dom"), "^l OK")
                self.assertRegex(self.login(site, user, site.extra), "^l OK")
                self.assertRegex(self.login(site, user), "^l NO", "it has no domain here")
        log = (self.two.folder / "dovecot.log").read_text()
        for domain in ("vip.dom", "dedicated.dom"):
            self.assertIn(f"user=<attwo@{domain}>", log)

    def test_e_the_loss_of_one_leaves_the_others_accounts_served(self):
        """The master goes, the node that is left serves, also after a restart."""
        kept = self.client(self.two)
        self.assertRegex(imap_login(kept, "attwo@pair.dom", PASSWORD), "^l OK")
        self.one.lose()
        kept.ask("n NOOP", "^n OK")
        self.assertRegex(self.login(self.two, "attwo@pair.dom"), "^l OK")
        self.assertRegex(self.login(self.two, "atone@pair.dom"), r"^l NO \[UNAVAILABLE\]")
        self.run_.end("two")
        self.two.serve()
        self.assertRegex(self.login(self.two, "attwo@pair.dom"), "^l OK")
        self.assertRegex(self.login(self.two, "own@two.dom"), "^l OK")
        self.assertRegex(self.login(self.two, "attwo", name="mail.vip.dom"), "^l OK")


if __name__ == "__main__":
    unittest.main()
