"""What docs/postfix.md says, with a real Postfix in front of real Dovecots: its configuration is the
page's."""
import contextlib
import os
import re
import signal
import smtplib
import socket
import subprocess
import unittest

import harness
import mail_lab
import postfix_lab
from harness import ROOT, wait_for
from nodes_lab import free_port

PAGE = (ROOT / "docs/postfix.md").read_text()


def setUpModule():
    global demo, port
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    port = free_port()
    file = demo.dir / "fe1" / "muster.toml"
    file.write_text(file.read_text().replace("[mail]", f'[mail]\nsocketmap = "127.0.0.1:{port}"'))
    demo.end_node("fe1", signal.SIGTERM)
    demo.start_node("fe1")


def netstring(text):
    return b"%d:%s," % (len(text.encode()), text.encode())


class Asker:
    """A client of the socketmap protocol."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")

    def say(self, *requests):
        self.socket.sendall(b"".join(map(netstring, requests)))

    def hear(self):
        size = b""
        while not size.endswith(b":"):
            byte = self.file.read(1)
            if not byte:
                raise EOFError(size)
            size += byte
        text = self.file.read(int(size[:-1]))
        assert self.file.read(1) == b","
        return text.decode()

    def ask(self, request):
        self.say(request)
        return self.hear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


class Postfix(postfix_lab.Postfix):
    """Set up as the page says. `files`: what it says of files in /etc/postfix, by name."""

    def __init__(self, more="", files=None):
        self.files = files or {}
        said = re.search(r"In `main.cf`.*?```\n(.*?)```", PAGE, re.S)[1] + more.replace(
            "/etc/postfix", "{dir}/etc")
        super().__init__("""
myhostname = mx.example
mynetworks =
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
""" + said.replace("7781", str(port)))

    def _configure(self, settings):
        super()._configure(settings)
        for name, text in self.files.items():
            (self.config / name).write_text(text)

    def client(self):
        client = smtplib.SMTP("127.0.0.1", self.port, "client.example", timeout=30)
        client.ehlo()
        return client

    def query(self, name, key):
        """As postmap asks; None when there is no answer."""
        done = self.tool("postmap", "-q", key, f"socketmap:inet:127.0.0.1:{port}:{name}")
        return done.stdout.strip() or None

    def recipient(self, address, sender="x@sender.example"):
        with self.client() as client:
            client.mail(sender)
            code, text = client.rcpt(address)
            return code, text.decode()


class Protocol(unittest.TestCase):
    def test_pipelined_requests_are_answered_in_order(self):
        with Asker() as asker:
            asker.say(*["domain domain1.dom", "domain elsewhere.example"] * 5000)
            heard = [asker.hear() for _ in range(10_000)]
        self.assertEqual(heard, ["OK domain1.dom", "NOTFOUND "] * 5000)

    def test_what_is_no_netstring_ends_the_connection(self):
        for said in (b"GET / HTTP/1.0\r\n\r\n", b"5000000000:", b"3:abcd,"):
            with self.subTest(said=said), Asker() as asker:
                asker.socket.sendall(said)
                with contextlib.suppress(ConnectionError):
                    self.assertEqual(asker.file.read(), b"")

    def test_many_connections_wait_side_by_side(self):
        with contextlib.ExitStack() as stack:
            askers = [stack.enter_context(Asker()) for _ in range(300)]
            for asker in askers:
                asker.say("domain domain1.dom")
            for asker in askers:
                self.assertEqual(asker.hear(), "OK domain1.dom")

    def test_an_address_for_others_needs_networks(self):
        file = demo.dir / "open.toml"
        text = (demo.dir / "fe2" / "muster.toml").read_text()
        file.write_text(text.replace("[mail]", f'[mail]\nsocketmap = "0.0.0.0:{free_port()}"'))
        done = subprocess.run([harness.BINARY, "check", "--config", file], text=True,
                              capture_output=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("say in mail.socketmap_from who may ask", done.stdout + done.stderr)


def own_address():
    """An address of this machine that is not a loopback one, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return probe.getsockname()[0]
    return None


class Networks(unittest.TestCase):
    def answers(self, address, at):
        with socket.create_connection((address, at), timeout=20) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(netstring("domain domain1.dom"))
                return client.recv(100) == netstring("OK domain1.dom")
        return False

    def test_only_listed_networks_may_ask(self):
        address, at = own_address(), free_port()
        if address is None:
            self.skipTest("no address but loopback ones")
        file = demo.dir / "fe2" / "muster.toml"
        text = file.read_text()
        self.addCleanup(file.write_text, text)
        for network, is_listed in (("203.0.113.0/24", False), (f"{address}/32", True)):
            file.write_text(text.replace("[mail]", f'[mail]\nsocketmap = "0.0.0.0:{at}"\n'
                                                   f'socketmap_from = ["{network}"]'))
            demo.end_node("fe2", signal.SIGTERM)
            demo.start_node("fe2")
            self.assertTrue(self.answers("127.0.0.1", at))
            self.assertEqual(self.answers(address, at), is_listed)
        self.assertIn("not in mail.socketmap_from", demo.log("fe2"))


@postfix_lab.needs_root
class RealPostfix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postfix = Postfix()
        cls.addClassCleanup(cls.postfix.close)
        cls.kate = demo.show("kate@domain1.dom")
        cls.ada = demo.show("ada@domain1.dom")

    def check_delivered(self, server, account, subject, postfix=None):
        def there():
            return [path for path in demo.mails(server, account["id"])
                    if f"Subject: {subject}" in path.read_text(errors="replace")]
        log = (postfix or self.postfix).log()
        found = wait_for(there, f"{subject} on {server}\n{log[-3000:]}", 30)
        self.assertEqual(len(found), 1)
        return found[0].read_text(errors="replace")

    def send(self, subject, *recipients, postfix=None):
        with (postfix or self.postfix).client() as client:
            refused = client.sendmail("x@sender.example", recipients,
                                      f"Subject: {subject}\r\n\r\nhello\r\n")
        self.assertEqual(refused, {})

    def test_mail_reaches_the_homes(self):
        self.assertNotEqual(self.kate["home"], self.ada["home"])
        self.send("both", "kate@domain1.dom", "Ada+lists@Domain1.dom")
        self.check_delivered(self.kate["home"], self.kate, "both")
        text = self.check_delivered(self.ada["home"], self.ada, "both")
        self.assertIn("by mx.example (Postfix)", text)

    def test_unknown_recipients_are_refused_at_rcpt(self):
        code, text = self.postfix.recipient("nobody@domain1.dom")
        self.assertEqual((code, text[:5]), (550, "5.1.1"))
        self.assertEqual(self.postfix.recipient("nobody+kate@domain1.dom")[0], 550)
        code, text = self.postfix.recipient("kate@elsewhere.example")
        self.assertEqual(code, 554)
        self.assertIn("Relay access denied", text)
        self.assertEqual(self.postfix.recipient("kate@sub.domain1.dom")[0], 554)
        self.assertEqual(self.postfix.recipient("kate@domain1.dom")[0], 250)

    def test_aliases_are_taken_apart(self):
        demo.cli("alias", "set", "both@domain1.dom", "kate@domain1.dom", "ada@domain1.dom")
        wait_for(lambda: self.postfix.query("alias", "both@domain1.dom"), "the alias")
        self.assertEqual(self.postfix.query("alias", "both@domain1.dom"),
                         "kate@domain1.dom, ada@domain1.dom")
        self.assertIsNone(self.postfix.query("alias", "kate@domain1.dom"))
        self.assertIsNone(self.postfix.query("transport", "both@domain1.dom"))
        self.send("alias", "both@domain1.dom", "kate@domain1.dom")
        self.check_delivered(self.kate["home"], self.kate, "alias")
        self.check_delivered(self.ada["home"], self.ada, "alias")

    def test_changes_hold_at_once(self):
        self.assertEqual(self.postfix.recipient("new@domain2.dom")[0], 550)
        account = demo.add_account("new@domain2.dom", "secret")
        self.send("new", "new@domain2.dom")
        self.check_delivered(account["home"], account, "new")
        lmtp = demo.sv[account["home"]]["lmtp"].rpartition(":")
        self.assertEqual(self.postfix.query("transport", "new@domain2.dom"),
                         f"lmtp:inet:[{lmtp[0]}]:{lmtp[2]}")
        demo.api("POST", "/v1/accounts/new@domain2.dom/disable")
        wait_for(lambda: self.postfix.recipient("new@domain2.dom")[0] == 451, "its mail to wait")
        demo.api("DELETE", "/v1/accounts/new@domain2.dom")
        wait_for(lambda: self.postfix.recipient("new@domain2.dom")[0] == 550, "it to end")

    def test_mail_waits_when_the_front_end_is_gone(self):
        self.assertEqual(self.postfix.recipient("kate@domain1.dom")[0], 250)
        demo.end_node("fe1", signal.SIGTERM)
        try:
            code, text = self.postfix.recipient("stranger@domain1.dom")
            self.assertEqual(code, 451, text)
            self.assertEqual(self.postfix.recipient("kate@domain1.dom")[0], 451)
        finally:
            demo.start_node("fe1")
        # Until it has heard of its master again, it does not know what is new.
        wait_for(lambda: self.postfix.recipient("stranger@domain1.dom")[0] == 550, "fe1 to know")
        self.send("back", "kate@domain1.dom")
        self.check_delivered(self.kate["home"], self.kate, "back")

    def test_mail_waits_for_a_home_that_is_down(self):
        home = self.kate["home"]
        pid = demo.sv[home]["engine_pid"]
        self.addCleanup(demo.start_engine, home)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not harness.is_alive(pid), f"the end of the Dovecot of {home}")
        self.assertEqual(self.postfix.recipient("kate@domain1.dom")[0], 250)
        self.send("down", "kate@domain1.dom", "ada@domain1.dom")
        self.check_delivered(self.ada["home"], self.ada, "down")
        wait_for(lambda: re.search("to=<kate@domain1.dom>.*status=deferred", self.postfix.log()),
                 "it to be put off")
        demo.start_engine(home)
        self.check_delivered(home, self.kate, "down")

    def test_servers_that_want_tls(self):
        """The page's value for all, and a policy for one server: what the front end calls a home."""
        for_all, = re.findall("`(lmtp_tls_security_level = .*?)`", PAGE)
        home = self.postfix.query("transport", "kate@domain1.dom").removeprefix("lmtp:inet:")
        self.assertIn("`lmtp_tls_policy_maps`", PAGE)
        for name, more, is_for_all in (
                ("tls-all", for_all, True),
                ("tls-one", f"lmtp_tls_policy_maps = inline:{{{{ {{{{ {home} = encrypt }}}} }}}}", False)):
            with self.subTest(name), contextlib.closing(
                    Postfix(f"lmtp_tls_loglevel = 1\n{more}\n")) as postfix:
                self.send(name, "kate@domain1.dom", "ada@domain1.dom", postfix=postfix)
                wait_for(lambda: "(queue active)" in postfix.log() and postfix.is_idle(), name)
                for account in (self.kate, self.ada):
                    self.check_delivered(account["home"], account, name, postfix)
                    address = demo.sv[account["home"]]["lmtp"]
                    host, _, at = address.rpartition(":")
                    found = re.search(rf"TLS connection established to {host}\[.*\]:{at}: TLS",
                                      postfix.log())
                    self.assertEqual(bool(found), is_for_all or account is self.kate, postfix.log())

    def test_the_question_that_the_page_asks(self):
        words = re.search(r"```\npostmap (.*?)\n```", PAGE)[1].replace("7781", str(port)).split()
        self.assertRegex(self.postfix.tool("postmap", *words).stdout, r"^lmtp:inet:\[.*\]:\d+\n$")

    def test_a_remote_domain_with_several_hosts(self):
        sink = mail_lab.Sink()
        self.addCleanup(sink.close)
        nobody = free_port()
        demo.cli("domain", "add", "far.example", "kind=remote", "tls=none",
                 f"route=127.0.0.1:{nobody},127.0.0.1:{sink.port}")
        self.addCleanup(demo.cli, "domain", "remove", "far.example", "--yes")
        self.assertEqual(wait_for(lambda: self.postfix.query("transport", "x@far.example"), "the way"),
                         f"smtp:[127.0.0.1]:{nobody}, [127.0.0.1]:{sink.port}")
        self.send("several", "x@far.example")
        (_, recipients, _), = wait_for(lambda: sink.with_marker("Subject: several"), "the second host")
        self.assertEqual(recipients, ["x@far.example"])
        self.assertIn(f"connect to 127.0.0.1[127.0.0.1]:{nobody}: Connection refused",
                      self.postfix.log())


@postfix_lab.needs_root
class ReportsOnly(unittest.TestCase):
    """The recipe for rewritten senders: those that one front end has made, Postfix asks another of."""

    @classmethod
    def setUpClass(cls):
        recipe = re.search(r"```\n(smtpd_restriction_classes.*?)```", PAGE, re.S)[1]
        first, below, rewritten = re.search(
            r"with `(.*?)` in `/etc/postfix/senders` below `(.*?)`, and `(.*?)` in\n"
            r"`/etc/postfix/rewritten`", PAGE).groups()
        cls.with_it = Postfix(recipe, {"senders": f"{below}\n{first}\n", "rewritten": rewritten + "\n"})
        cls.addClassCleanup(cls.with_it.close)
        cls.without = Postfix()
        cls.addClassCleanup(cls.without.close)
        cls.sink = mail_lab.Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.addClassCleanup(mail_lab.change_mail_options(
            demo, "fe2", smart_host=f'["127.0.0.1:{cls.sink.port}"]'))
        demo.cli("setting", "set", "srs_domain", "srs.example.org")
        cls.addClassCleanup(demo.cli, "setting", "remove", "srs_domain", "--yes")
        demo.cli("domain", "add", "writer.example", "kind=remote", "tls=none",
                 f"route=127.0.0.1:{cls.sink.port}")
        cls.addClassCleanup(demo.cli, "domain", "remove", "writer.example", "--yes")
        demo.cli("alias", "add", "out@domain1.dom", "x@away.example")
        cls.addClassCleanup(demo.cli, "alias", "remove", "out@domain1.dom", "--yes")
        cls.address = wait_for(cls.forwarded, "a rewritten sender")

    @classmethod
    def forwarded(cls):
        """The sender under which mail of kate@writer.example is forwarded, once fe2 rewrites it."""
        marker = mail_lab.new_marker()
        with mail_lab.connect(demo, front_end="fe2") as smtp:
            if smtp.envelope("kate@writer.example", "out@domain1.dom") != ["250 2.1.5 Ok"]:
                return None
            smtp.data(mail_lab.text_of(marker))
        (sender, _, _), = wait_for(lambda: cls.sink.with_marker(marker), "what is forwarded")
        return sender if sender.startswith("SRS0=") else None

    def test_a_report_is_taken_and_finds_back(self):
        marker = mail_lab.new_marker()
        wait_for(lambda: self.with_it.recipient(self.address, "")[0] == 250, "fe1 to know it")
        with self.with_it.client() as client:
            self.assertEqual(client.sendmail("", [self.address], mail_lab.text_of(marker)), {})
        (sender, recipients, _), = wait_for(lambda: self.sink.with_marker(marker), "the report")
        self.assertEqual((sender, recipients), ("", ["kate@writer.example"]))

    def test_nothing_else_is(self):
        wait_for(lambda: self.without.recipient(self.address)[0] == 250, "fe1 to know it")
        for address in (self.address, self.address.lower()):
            code, text = self.with_it.recipient(address)
            self.assertEqual((code, text[:5]), (554, "5.7.1"), text)
            self.assertIn("reports only", text)

    def test_all_other_mail_is_taken_as_before(self):
        for sender in ("x@sender.example", ""):
            self.assertEqual(self.with_it.recipient("kate@domain1.dom", sender)[0], 250)
            self.assertEqual(self.with_it.recipient("nobody@domain1.dom", sender)[0], 550)
            self.assertEqual(self.with_it.recipient("kate@elsewhere.example", sender)[0], 554)

    def test_a_forged_one_is_unknown(self):
        wait_for(lambda: self.with_it.recipient(self.address, "")[0] == 250, "fe1 to know it")
        code, text = self.with_it.recipient(self.address.replace("kate", "carl"), "")
        self.assertEqual((code, text[:5]), (550, "5.1.1"), text)


if __name__ == "__main__":
    unittest.main()
