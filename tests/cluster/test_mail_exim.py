"""Exim as neighbour: another site's server in front of Muster and behind it, and the configuration of
docs/postfix.md for an Exim of our own."""
import email
import os
import re
import signal
import unittest

import exim_lab
import harness
import mail_lab
from harness import ROOT, wait_for
from mail_lab import everywhere, new_marker, text_of, wait_for_mail
from nodes_lab import free_port

PASSWORD = "correct horse battery staple"
PAGE = (ROOT / "docs/postfix.md").read_text()

SITE = """
acl_smtp_rcpt = recipients
begin acl
recipients:
  accept domains = domain1.dom
  require message = no such user
          verify = recipient
  accept
begin routers
muster:
  driver = manualroute
  domains = domain1.dom
  route_list = * MUSTER byname
  transport = muster
  self = send
local:
  driver = accept
  domains = exim.test
  local_parts = ann : reports
  transport = maildir
""" + exim_lab.TRANSPORTS


def setUpModule():
    global demo, people
    if os.geteuid() != 0:
        raise unittest.SkipTest("Exim is started by root alone")
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    people = {home: demo.add_account(f"x-{home}@domain1.dom", PASSWORD, home=home)
              for home in ("sv1", "sv2")}


def address(home):
    return people[home]["address"]


class OtherSite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        host, port = demo.fe["fe1"]["smtp"].rsplit(":", 1)
        cls.exim = exim_lab.Exim(SITE.replace("MUSTER", f"{host}::{port}"))
        cls.addClassCleanup(cls.exim.close)
        demo.api("PUT", "/v1/domains/exim.test",
                 {"kind": "remote", "route": [f"127.0.0.1:{cls.exim.port}"]})

        def is_known():
            with mail_lab.connect(demo) as smtp:
                return smtp.envelope("", "x@exim.test")[0].startswith("250")
        wait_for(is_known, "the remote domain")

    def to_exim(self, sender, recipients, **text):
        marker = new_marker()
        with mail_lab.Smtp(self.exim.port) as smtp:
            self.assertRegex(smtp.send(sender, recipients, text_of(marker, **text)), "^250 ")
        return marker

    def test_it_sends_to_several_homes(self):
        body = "grüße\r\n.\r\n..\r\nend"
        marker = self.to_exim("reports@exim.test", [address("sv1"), address("sv2")], body=body)
        for home in people:
            text = wait_for_mail(demo, home, people[home], marker)
            self.assertIn(b"Return-Path: <reports@exim.test>", text)
            self.assertIn("grüße".encode(), text)
        wait_for(self.exim.is_idle, "Exim's queue to be empty")
        for home in people:
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})
        self.assertRegex(self.exim.log(), f"=> {address('sv1')} .* K ")  # in chunks

    def test_what_is_refused_returns_to_its_sender(self):
        marker = self.to_exim("reports@exim.test", [address("sv1"), "nobody@domain1.dom"])
        wait_for_mail(demo, "sv1", people["sv1"], marker)
        report, = wait_for(lambda: self.exim.delivered(marker), "Exim's report")
        self.assertIn(b"550 5.1.1", report)

    def test_it_takes_mail_and_its_refusal_is_reported(self):
        marker = new_marker()
        with mail_lab.connect(demo) as smtp:
            answer = smtp.send(address("sv1"), ["ann@exim.test", "nobody@exim.test",
                                                address("sv2")], text_of(marker))
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        wait_for(lambda: self.exim.delivered(marker), "the message in Exim")
        wait_for_mail(demo, "sv2", people["sv2"], marker)
        report = email.message_from_bytes(wait_for_mail(demo, "sv1", people["sv1"], marker))
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertIn("no such user", report.get_payload()[1].as_string())
        wait_for(lambda: not mail_lab.queued(demo, "fe1", marker), "an empty queue")
        self.assertEqual(len(self.exim.delivered(marker)), 1)

    def test_a_large_message_passes_unchanged_both_ways(self):
        lines = [f"{number} " + "é" * 40 for number in range(20_000)]
        body = "\r\n".join([*lines, ".", "..", "end"])
        marker = new_marker()
        with mail_lab.connect(demo, seconds=60) as smtp:
            answer = smtp.send("a@b.test", ["ann@exim.test"], text_of(marker, body=body))
        self.assertRegex(answer, "^250 ")
        text, = wait_for(lambda: self.exim.delivered(marker), "the message in Exim")
        self.assertTrue(text.endswith(body.replace("\r\n", "\n").encode() + b"\n"))
        marker = self.to_exim("a@b.test", [address("sv2")], body=body)
        text = wait_for_mail(demo, "sv2", people["sv2"], marker).replace(b"\r\n", b"\n")
        self.assertTrue(text.endswith(body.replace("\r\n", "\n").encode() + b"\n"))


class InFront(unittest.TestCase):
    """An Exim of the site takes mail and brings it to the homes itself."""

    @classmethod
    def setUpClass(cls):
        port = free_port()
        file = demo.dir / "fe2" / "muster.toml"
        file.write_text(file.read_text().replace(
            "[mail]", f'[mail]\nsocketmap = "127.0.0.1:{port}"'))
        demo.end_node("fe2", signal.SIGTERM)
        demo.start_node("fe2")
        said = re.search(r"## Exim.*?```\n(.*?)```", PAGE, re.S)[1].replace("7781", str(port))
        cls.exim = exim_lab.Exim(said + "  allow_localhost\n")
        cls.addClassCleanup(cls.exim.close)

    def recipient(self, name):
        with mail_lab.Smtp(self.exim.port) as smtp:
            return smtp.envelope("a@b.test", name)[0]

    def send(self, *recipients):
        marker = new_marker()
        with mail_lab.Smtp(self.exim.port) as smtp:
            self.assertRegex(smtp.send("a@b.test", recipients, text_of(marker)), "^250 ")
        return marker

    def test_recipients(self):
        self.assertRegex(self.recipient(address("sv1")), "^250 ")
        self.assertRegex(self.recipient("nobody@domain1.dom"), "^550 ")
        self.assertRegex(self.recipient("x@elsewhere.test"), "^550 Relay access denied")

    def test_mail_reaches_the_homes(self):
        marker = self.send(address("sv1"), address("sv2"))
        for home in people:
            wait_for_mail(demo, home, people[home], marker)
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})

    def test_aliases(self):
        demo.api("PUT", "/v1/aliases/x-both@domain1.dom",
                 {"to": [address("sv1"), address("sv2")]})
        wait_for(lambda: self.recipient("x-both@domain1.dom").startswith("250"), "the alias")
        marker = self.send("x-both@domain1.dom")
        for home in people:
            wait_for_mail(demo, home, people[home], marker)

    def test_without_the_front_end_mail_is_put_off(self):
        demo.end_node("fe2", signal.SIGTERM)
        try:
            self.assertRegex(self.recipient(address("sv1")), "^451 ")
        finally:
            demo.start_node("fe2")
        self.assertRegex(self.recipient(address("sv1")), "^250 ")


if __name__ == "__main__":
    unittest.main()
