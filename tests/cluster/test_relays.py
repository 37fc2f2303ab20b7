"""Relays and mirrors of two networks that know nothing of each other: a demo with real Dovecots, and
a master with servers on which nothing of ours runs. Both have a server sv1 and a domain2.dom."""
import contextlib
import imaplib
import json
import poplib
import signal
import smtplib
import ssl
import unittest

import harness
import mail_lab
from mail_lab import new_marker, text_of, wait_for_mail
from nodes_lab import Lab, free_port, wait_for

LISTENERS = """
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{smtp}"
[[listener]]
protocol = "submission"
address = "127.0.0.1:{submissions}"
tls = "implicit"
[[listener]]
protocol = "imap"
address = "127.0.0.1:{imaps}"
tls = "implicit"
[[listener]]
protocol = "pop3"
address = "127.0.0.1:{pop3s}"
tls = "implicit"
[[listener]]
protocol = "sieve"
address = "127.0.0.1:{sieve}"
tls = "implicit"
[[certificate]]
chain = "{folder}/mail.crt"
key = "{folder}/mail.key"
[mail]
host_name = "{name}.test"
retry_first = 1
client_names = false
"""
FOLLOW = """
[[follow]]
name = "{network}"
host = "{host}"
port = {port}
user = "edge"
password_file = "{file}"
mode = "{mode}"
hand_to = "{hand_to}"
"""


def setUpModule():
    global demo, lab, other, sinks
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    lab = Lab()
    unittest.addModuleCleanup(lab.close)
    demo.cli("administrator", "add", "edge", "--password-stdin", text="edgepass\n")
    demo.add_account("both@domain2.dom", "secret")
    demo.add_account("led@domain1.dom", "secret")
    sinks = {name: mail_lab.Sink() for name in ("home", "far")}
    for sink in sinks.values():
        unittest.addModuleCleanup(sink.close)
    other = lab.master("other")
    other.do("administrator", "add", "edge", "--password-stdin", stdin="edgepass\n")
    other.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1",
             f"smtp.port={sinks['home'].port}", "smtp.tls=none", "imap.port=1", "imap.tls=none",
             "login=master")
    for domain in ("other.test", "domain2.dom"):
        other.do("domain", "add", domain, "servers=sv1")
    other.do("domain", "add", "far.test", "kind=remote",
             f"route=127.0.0.1:{sinks['far'].port}", "tls=encrypted")
    for address in ("kate@other.test", "only-there@domain2.dom"):
        other.do("account", "add", address, "--password-stdin", stdin="secret\n")
    other.do("alias", "add", "lead@other.test", "led@domain1.dom")


class Edge:
    """A node of its own that follows networks: (name, mode, hand_to) each; options of all of them."""

    def __init__(self, name, *networks, options=""):
        self.ports = {use: free_port() for use in ("smtp", "submissions", "imaps", "pop3s", "sieve")}
        extra = LISTENERS.format(folder=demo.dir / "fe1", name=name, **self.ports)
        for network, mode, hand_to in networks:
            cluster = other.cluster if network == "other" else demo.sv["sv1"]["cluster"]
            password = lab.folder / f"{name}-{network}.password"
            password.write_text("edgepass\n")
            password.chmod(0o600)
            host, port = cluster.rsplit(":", 1)
            extra += FOLLOW.format(network=network, mode=mode, hand_to=hand_to, file=password,
                                   host=host, port=port) + options
        self.node = lab.node(name, ["master", "frontend"], extra)
        self.node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                     stdin="rootpass\n")
        self.node.start()
        try:
            wait_for(lambda: all(self.domain(each) for each in self.expected(networks)))
        except AssertionError as error:
            raise AssertionError(self.node.log.read_text()) from error

    @staticmethod
    def expected(networks):
        return [{"demo": "domain1.dom", "other": "other.test" if mode == "relay" else "far.test"}
                [network] for network, mode, _ in networks]

    def domain(self, name):
        code, out, _ = self.node.cli("domain", "show", name, "--json")
        return json.loads(out) if code == 0 else None

    def smtp(self):
        return mail_lab.Smtp(self.ports["smtp"], source=harness.new_source())

    def rcpt(self, address):
        """What a stranger hears to RCPT."""
        with self.smtp() as smtp:
            return smtp.envelope("someone@elsewhere.test", address)[0]

    def deliver(self, *recipients):
        marker = new_marker()
        with self.smtp() as smtp:
            said = smtp.send("someone@elsewhere.test", recipients, text_of(marker))
        assert said.startswith("250 "), said
        return marker

    def queued(self, marker):
        found = []
        for path in (self.node.state / "queue" / "active").rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and marker.encode() in path.read_bytes():
                    found.append(path.name)
        return found

    def alarms(self):
        status = self.node.ask("status")
        return "\n".join(f"{alarm['about']} {alarm['text']}" for alarm in status["alarms"])

    def imap(self, address, password):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=any_name())
        try:
            client.login(address, password)
        except BaseException:
            client.shutdown()
            raise
        return client


def any_name():
    """Trusts the demo's authority, for whatever name."""
    context = ssl.create_default_context(cafile=demo.description["ca"])
    context.check_hostname = False
    return context


class Relay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.edge = Edge("edge", ("demo", "relay", "home"), ("other", "relay", "home"))
        cls.addClassCleanup(cls.edge.node.stop)

    def test_mail_for_each_network_goes_straight_to_the_home(self):
        demo.add_account("r-mail@domain1.dom", "secret", home="sv2")
        wait_for(lambda: self.edge.rcpt("r-mail@domain1.dom").startswith("250"))
        marker = self.edge.deliver("r-mail@domain1.dom", "kate@other.test")
        account = demo.show("r-mail@domain1.dom")
        self.assertIn(b"by edge.test", wait_for_mail(demo, "sv2", account, marker))
        wait_for(lambda: sinks["home"].with_marker(marker))
        self.assertEqual(sinks["home"].with_marker(marker)[0][1], ["kate@other.test"])
        self.assertEqual(self.edge.queued(marker), [])

    def test_who_is_nobody_is_refused_at_rcpt(self):
        for address in ("nobody@domain1.dom", "nobody@other.test"):
            wait_for(lambda: self.edge.rcpt(address).startswith("550 5.1.1"))

    def test_an_account_that_a_back_end_adds_is_known_at_once(self):
        self.assertRegex(self.edge.rcpt("brand-new@domain1.dom"), "^(550|450)")
        demo.api("POST", "/v1/accounts", {"address": "brand-new@domain1.dom"}, node="sv3")
        wait_for(lambda: self.edge.rcpt("brand-new@domain1.dom").startswith("250"))
        demo.api("DELETE", "/v1/accounts/brand-new@domain1.dom", node="sv3")
        wait_for(lambda: self.edge.rcpt("brand-new@domain1.dom").startswith("550"))

    def test_a_domain_that_both_have_is_the_firsts_and_an_alarm(self):
        shown = self.edge.domain("domain2.dom")
        self.assertEqual((shown["network"], shown["also_in"]), ("demo", ["other"]))
        self.assertRegex(self.edge.rcpt("only-there@domain2.dom"), "^(550|450)")
        self.assertEqual(self.edge.rcpt("both@domain2.dom")[:3], "250")
        self.assertIn("domain2.dom is taken from network demo and is in network other, too",
                      self.edge.alarms())
        self.assertRegex(self.edge.node.log.read_text(),
                         'event=domain_conflict domain=domain2.dom what=".*network demo.*other')
        self.assertRegex(self.edge.node.do("domain", "list"),
                         r"NETWORK +ALSO IN\n(.*\n)*domain2.dom .* demo +other\n")

    def test_an_alias_leads_from_one_network_to_the_other(self):
        marker = self.edge.deliver("lead@other.test")
        account = demo.show("led@domain1.dom")
        wait_for_mail(demo, account["home"], account, marker)

    def test_sessions_go_to_the_home_with_the_clients_own_credentials(self):
        demo.add_account("r-imap@domain1.dom", "secret", home="sv3")
        wait_for(lambda: self.edge.node.knows("r-imap@domain1.dom"))
        with self.edge.imap("r-imap@domain1.dom", "secret") as client:
            self.assertEqual(client.select()[0], "OK")
            self.assertIn("server=sv3@demo", self.edge.node.log.read_text())
        pop3 = poplib.POP3_SSL("127.0.0.1", self.edge.ports["pop3s"], context=any_name())
        pop3.user("r-imap@domain1.dom")
        pop3.pass_("secret")
        self.assertEqual(pop3.stat()[0], 0)
        pop3.quit()
        sieve = harness.Line(self.edge.ports["sieve"], any_name())
        self.addCleanup(sieve.close)
        sieve.hear("^OK")
        self.assertRegex(harness.sieve_login(sieve, "r-imap@domain1.dom", "secret"), "^OK")
        sieve.ask('PUTSCRIPT "mine" "keep;"', "^OK")
        self.assertEqual(sieve.ask("LISTSCRIPTS", '^"'), '"mine"')
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED|failed"):
            self.edge.imap("r-imap@domain1.dom", "wrong")
        # Disabled over there, its session here ends.
        client = self.edge.imap("r-imap@domain1.dom", "secret")
        demo.api("POST", "/v1/accounts/r-imap@domain1.dom/disable")
        self.addCleanup(client.shutdown)

        def ended():
            try:
                client.noop()
            except (imaplib.IMAP4.abort, OSError):
                return True
        wait_for(ended)

    def test_a_server_with_master_logins_only_is_not_entered(self):
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            self.edge.imap("kate@other.test", "secret")
        self.assertIn("sv1@other takes logins by its master user only", self.edge.alarms())

    def test_submission_is_judged_by_the_home(self):
        demo.add_account("r-out@domain1.dom", "secret", home="sv2")
        wait_for(lambda: self.edge.node.knows("r-out@domain1.dom"))
        marker = new_marker()
        with smtplib.SMTP_SSL("127.0.0.1", self.edge.ports["submissions"],
                              context=any_name()) as smtp:
            with self.assertRaises(smtplib.SMTPAuthenticationError):
                smtp.login("r-out@domain1.dom", "wrong")
        with smtplib.SMTP_SSL("127.0.0.1", self.edge.ports["submissions"],
                              context=any_name()) as smtp:
            smtp.login("r-out@domain1.dom", "secret")
            smtp.sendmail("r-out@domain1.dom", ["kate@other.test"], text_of(marker))
        wait_for(lambda: sinks["home"].with_marker(marker))

    def test_an_exception_counts_for_a_domain_of_another_network(self):
        address = "nobody-yet@other.test"
        self.edge.node.do("domain", "set", "other.test", "catch_all=kate@other.test", "--here")
        try:
            marker = self.edge.deliver(address)
            wait_for(lambda: sinks["home"].with_marker(marker))
            self.assertIn("kate@other.test (here; inherited: -)",
                          self.edge.node.do("domain", "show", "other.test"))
        finally:
            self.edge.node.do("domain", "set", "other.test", "--here", "--inherit", "all")
        self.assertRegex(self.edge.rcpt(address), "^550")

    def test_a_local_domain_of_one_node_gets_mail_and_no_sessions(self):
        demo.cli("domain", "add", "lone.test", "kind=local", "node=sv2", "servers=sv2")
        demo.add_account("r-lone@lone.test", "secret")
        wait_for(lambda: self.edge.rcpt("r-lone@lone.test").startswith("250"))
        marker = self.edge.deliver("r-lone@lone.test")
        wait_for_mail(demo, "sv2", demo.show("r-lone@lone.test"), marker)
        with self.assertRaises(imaplib.IMAP4.error):
            self.edge.imap("r-lone@lone.test", "secret")
        self.assertIn("domain-of-another-node", self.edge.node.log.read_text())

    def test_without_a_networks_master_it_goes_on_over_a_restart_and_says_nothing_for_good(self):
        wait_for(lambda: self.edge.rcpt("nobody@other.test").startswith("550"))
        other.stop()
        try:
            self.edge.node.stop()
            self.edge.node.start()
            marker = self.edge.deliver("kate@other.test")
            wait_for(lambda: sinks["home"].with_marker(marker))
            self.assertRegex(self.edge.rcpt("nobody@other.test"), "^450 4.1.1")
            # Of the other network, which answers, it knows.
            wait_for(lambda: self.edge.rcpt("nobody@domain1.dom").startswith("550"))
        finally:
            other.start()
        wait_for(lambda: self.edge.rcpt("nobody@other.test").startswith("550"), 30)

    def test_queued_mail_goes_on_after_a_restart_and_to_who_has_the_domain_by_then(self):
        other.do("domain", "add", "moves.test", "servers=sv1")
        self.addCleanup(other.do, "domain", "remove", "moves.test", "--yes")
        other.do("account", "add", "x@moves.test", "--password-stdin", stdin="secret\n")
        self.addCleanup(other.do, "account", "remove", "x@moves.test", "--yes")
        wait_for(lambda: self.edge.rcpt("x@moves.test").startswith("250"))
        sinks["home"].answers["RCPT"] = "451 4.0.0 Later"
        try:
            marker = self.edge.deliver("x@moves.test")
            wait_for(lambda: self.edge.queued(marker))
            self.edge.node.stop()
            self.edge.node.start()
            self.edge.node.do("server", "add", "here", "kind=foreign", "host=127.0.0.1",
                              f"smtp.port={sinks['far'].port}", "smtp.tls=none")
            self.edge.node.do("domain", "add", "moves.test", "servers=here")
            self.edge.node.do("account", "add", "x@moves.test", "--password-stdin", stdin="s3cret\n")
            wait_for(lambda: sinks["far"].with_marker(marker))
            self.assertEqual(sinks["home"].with_marker(marker), [])
            self.assertEqual(self.edge.domain("moves.test")["also_in"], ["other"])
        finally:
            sinks["home"].answers.clear()


class RelayToFrontEnds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.edge = Edge("edge-m", ("demo", "relay", "master"))
        cls.addClassCleanup(cls.edge.node.stop)

    def test_mail_goes_through_that_networks_front_ends_and_waits_for_them(self):
        demo.add_account("m-mail@domain1.dom", "secret", home="sv2")
        account = demo.show("m-mail@domain1.dom")
        wait_for(lambda: self.edge.rcpt("m-mail@domain1.dom").startswith("250"))
        wait_for(lambda: self.edge.rcpt("nobody@domain1.dom").startswith("550 5.1.1"))
        marker = self.edge.deliver("m-mail@domain1.dom")
        text = wait_for_mail(demo, "sv2", account, marker)
        self.assertIn(b"by edge-m.test", text)
        self.assertRegex(text, rb"from edge-m.test")  # and a front end of theirs took it from us
        self.by_xclient(account)
        for name in ("fe1", "fe2"):
            demo.end_node(name, signal.SIGTERM)
        waiting = self.edge.deliver("m-mail@domain1.dom")
        self.assertTrue(wait_for(lambda: self.edge.queued(waiting)))
        self.edge.node.stop()
        self.edge.node.start()
        for name in ("fe1", "fe2"):
            demo.start_node(name)
        wait_for_mail(demo, "sv2", account, waiting)
        wait_for(lambda: not self.edge.queued(waiting))


    def by_xclient(self, account):
        """Front ends that trust the relay hear who its client is."""
        for name in ("fe1", "fe2"):
            self.addCleanup(mail_lab.change_mail_options(demo, name,
                                                         xclient_from='["127.0.0.0/8"]'))
        source = harness.new_source()
        marker = new_marker()
        with mail_lab.Smtp(self.edge.ports["smtp"], source=source) as smtp:
            answer = smtp.send("a@b.test", ["m-mail@domain1.dom"], text_of(marker))
        self.assertRegex(answer, "^250 ")
        text = wait_for_mail(demo, "sv2", account, marker)
        theirs = [field for field in text.split(b"Received:") if b"by fe" in field]
        self.assertIn(source.encode(), theirs[0])


class Admitted(unittest.TestCase):
    """A network that says it has more than is its own, as one does that was broken into."""

    @classmethod
    def setUpClass(cls):
        cls.edge = Edge("careful", ("other", "relay", "home"),
                        options='domains = ["other.test", "*.other.test"]\n')
        cls.addClassCleanup(cls.edge.node.stop)

    def test_a_domain_outside_of_the_patterns_is_not_taken_and_is_said(self):
        self.assertIsNone(self.edge.domain("domain2.dom"))
        self.assertRegex(self.edge.rcpt("only-there@domain2.dom"), "^550 5.7.1")
        other.do("domain", "add", "large.test", "servers=sv1")
        self.addCleanup(other.do, "domain", "remove", "large.test", "--yes")
        other.do("domain", "add", "sub.other.test", "servers=sv1")
        self.addCleanup(other.do, "domain", "remove", "sub.other.test", "--yes")
        wait_for(lambda: self.edge.domain("sub.other.test"))
        self.assertIsNone(self.edge.domain("large.test"))
        self.assertRegex(self.edge.rcpt("x@large.test"), "^550 5.7.1")
        network, = self.edge.node.ask("network", "list")["networks"]
        self.assertEqual((network["domains"], network["refused"], network["refused_domains"]),
                         (2, 2, ["domain2.dom", "large.test"]))
        self.assertRegex(self.edge.alarms(), r"network other says it has 2 domain\(s\) that are not "
                         r"taken, .*: domain2.dom, large.test")
        log = self.edge.node.log.read_text()
        self.assertRegex(log, "event=domains_refused network=other .*large.test")
        self.assertIn("event=domain_followed domain=sub.other.test network=other", log)
        self.assertNotIn("every domain is taken", self.edge.node.cli("check")[1])

    def test_whose_names_without_a_domain_are_is_not_theirs_to_say(self):
        other.do("domain", "set", "other.test", "default_for.addresses=127.0.0.1")
        self.addCleanup(other.do, "domain", "set", "other.test", "default_for.addresses=")
        other.do("domain", "add", "after.other.test", "servers=sv1")
        self.addCleanup(other.do, "domain", "remove", "after.other.test", "--yes")
        wait_for(lambda: self.edge.domain("after.other.test"))
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            self.edge.imap("kate", "secret")  # UNAVAILABLE would be that network's server


class Mirror(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.edge = Edge("mirror", ("other", "mirror", "home"))
        cls.addClassCleanup(cls.edge.node.stop)

    def test_remote_domains_have_the_masters_options_and_this_nodes_exceptions(self):
        shown = self.edge.domain("far.test")
        self.assertEqual((shown["network"], shown["tls"]), ("other", "encrypted"))
        self.assertEqual(shown["route"], [f"127.0.0.1:{sinks['far'].port}"])
        self.assertIsNone(self.edge.domain("other.test"))
        self.assertRegex(self.edge.rcpt("kate@other.test"), "^550 5.7.1")  # not taken from there
        marker = self.edge.deliver("x@far.test")
        self.assertTrue(wait_for(lambda: self.edge.queued(marker)))  # that server has no TLS
        wait_for(lambda: "mail-not-delivered" in self.edge.node.log.read_text())
        self.assertEqual(sinks["far"].with_marker(marker), [])
        self.edge.node.do("domain", "set", "far.test", "tls=none", "--here")
        wait_for(lambda: sinks["far"].with_marker(marker))
        other.do("domain", "set", "far.test", "tls=none")
        self.addCleanup(other.do, "domain", "set", "far.test", "tls=encrypted")
        self.edge.node.do("domain", "set", "far.test", "--here", "--inherit", "all")
        wait_for(lambda: self.edge.domain("far.test")["tls"] == "none")


if __name__ == "__main__":
    unittest.main()
