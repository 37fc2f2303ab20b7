"""What becomes of mail that was forwarded with a rewritten sender when the real Postfix that took it
finds later that it cannot be delivered: its report goes back through another front end to who sent it,
also after the secret was rotated once. What is forged or too old is refused."""
import email
import os
import re
import unittest

import dns_lab
import postfix_lab
from dns_lab import Answer, address, mx
from mail_lab import Smtp, new_marker, text_of
from nodes_lab import SHIFTED_CLOCK, Lab, free_port, shifted_clock, wait_for

FRONT_END = """
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{smtp}"
tls = "none"
[mail]
host_name = "{name}.ours.test"
dns_servers = ["127.0.0.1@{dns}"]
out_port = {out}
reserve = 0
client_names = false
"""
# What it takes for gone@ is for somebody whom it does not have, as it finds after 250; what it takes
# for later@, too, once somebody lets it go.
AWAY = """
myhostname = mx.away.test
virtual_mailbox_domains = away.test
virtual_mailbox_base = {{dir}}/mail
virtual_mailbox_maps = inline:{{{{ {{{{ ann@away.test = ann/ }}}} }}}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_alias_maps = inline:{{{{
  {{{{ gone@away.test = nobody@away.test }}}}, {{{{ later@away.test = nobody@away.test }}}},
  {{{{ full@away.test = box@full.away.test }}}} }}}}
transport_maps = inline:{{{{
  {{{{ full.away.test = error:5.2.2 the mailbox is full }}}},
  {{{{ srs.ours.test = smtp:[127.0.0.1]:{smtp} }}}} }}}}
header_checks = regexp:{{{{ {{{{ /^Subject:/ WARN }}}} }}}}
smtpd_recipient_restrictions = check_recipient_access inline:{{{{ {{{{ later@away.test = HOLD }}}} }}}}
"""
WRITER = """
myhostname = mx.writer.test
virtual_mailbox_domains = writer.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
"""


def setUpModule():
    global lab, master, first, second, away, writer, dns, world_port
    if os.geteuid() != 0:
        raise unittest.SkipTest("Postfix is started by root alone")
    lab = Lab()
    unittest.addModuleCleanup(lab.close)
    dns = dns_lab.NameServer()
    unittest.addModuleCleanup(dns.close)
    dns.names = {"mx.away.test": Answer(address("127.0.0.1")), "away.test": Answer(mx(10, "mx.away.test")),
                 "mx.writer.test": Answer(address("127.0.0.2")),
                 "writer.test": Answer(mx(10, "mx.writer.test"))}
    writer = postfix_lab.Postfix(WRITER, address="127.0.0.2")
    unittest.addModuleCleanup(writer.close)
    world_port = writer.port
    master = lab.master()
    first, second = front_end("fe1"), front_end("fe2")
    away = postfix_lab.Postfix(AWAY.format(smtp=second.smtp), port=world_port)
    unittest.addModuleCleanup(away.close)
    master.do("server", "add", "sv", "kind=foreign", "host=127.0.0.1", "imap.port=1")
    master.do("domain", "add", "ours.test", "servers=sv")
    for name in ("ann", "gone", "full", "later"):
        master.do("alias", "add", f"{name}@ours.test", f"{name}@away.test")
    master.do("setting", "set", "srs_domain", "srs.ours.test")
    for each in (first, second):
        wait_until_ready(each)


def front_end(name):
    smtp = free_port()
    node = lab.member(master, name, ["frontend"], "frontend", FRONT_END.format(
        smtp=smtp, name=name, dns=dns.port, out=world_port))
    node.smtp = smtp
    return node


def wait_until_ready(node):
    """It knows the aliases, and rewrites."""
    wait_for(lambda: node.cli("alias", "show", "later@ours.test")[0] == 0)
    wait_for(lambda: re.search("event=sender-rewriting .*domain=srs.ours.test", node.log.read_text()))


def names_of_secret(node):
    row, = (row for row in node.ask("secret", "list")["secrets"] if row["name"] == "srs")
    return row["current"], row["previous"]


def rotate():
    master.do("secret", "rotate", "srs")
    for each in (first, second):
        wait_for(lambda: names_of_secret(each) == names_of_secret(master))


class Reports(unittest.TestCase):
    def forward(self, name, node=None):
        """(marker, sender under which the other site has the message)"""
        marker = new_marker()
        with Smtp((node or first).smtp) as smtp:
            self.assertRegex(smtp.send("kate@writer.test", [f"{name}@ours.test"], text_of(marker)),
                             "^250 ")
        sender = wait_for(lambda: re.search("from=<(SRS0=[^>]*)>", self.told_of(marker)))[1]
        self.assertRegex(sender, r"^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=writer\.test=kate@srs\.ours\.test$")
        return marker, sender

    @staticmethod
    def told_of(marker):
        """What the other site's log says of the message with this subject, and of its report."""
        log = away.log()
        ids = set(re.findall(rf"(\w+): warning: header Subject: {marker}", log))
        for each in list(ids):
            ids |= set(re.findall(rf"{each}: sender non-delivery notification: (\w+)", log))
        return "\n".join(line for line in log.splitlines() if set(re.findall(r"\w+", line)) & ids)

    def let_go(self, marker):
        """It finds out only now."""
        held = re.search(rf"(\w+): warning: header Subject: {marker}", away.log())[1]
        away.tool("postsuper", "-H", held).check_returncode()
        away.tool("postqueue", "-f").check_returncode()

    def check_report(self, marker, status):
        """It is the only thing that came to who sent the message."""
        wait_for(lambda: writer.delivered(marker))
        wait_for(lambda: away.is_idle() and writer.is_idle())
        for node in (first, second):
            wait_for(lambda: not node.ask("queue", "list")["messages"])
        text, = writer.delivered(marker)
        report = email.message_from_bytes(text)
        self.assertEqual(report["Return-Path"], "<>")
        self.assertEqual(report["X-Original-To"], "kate@writer.test")
        self.assertRegex(report.get_all("Received")[1], r"\bby fe2\.ours\.test\b")
        self.assertIn("mx.away.test", report["From"])
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertRegex(report.get_payload()[1].as_string(), rf"(?m)^Status: {status}")

    def check_refused(self, marker):
        told = wait_for(lambda: re.search(r"(\w+): to=<SRS0=.*status=bounced \((.*)\)",
                                          self.told_of(marker)))
        self.assertRegex(told[2], r"said: 550 5\.1\.1 ")
        wait_for(lambda: f"{told[1]}: removed" in away.log())
        self.assertEqual(writer.delivered(marker), [])

    def test_it_comes_back_through_another_front_end(self):
        for name, status in (("gone", r"5\.1\.1"), ("full", r"5\.2\.2")):
            with self.subTest(name):
                marker, _ = self.forward(name)
                self.check_report(marker, status)

    def test_what_arrives_brings_no_report(self):
        marker, _ = self.forward("ann")
        wait_for(lambda: away.delivered(marker) and away.is_idle())
        self.assertEqual(writer.delivered(marker), [])

    def test_it_comes_after_one_rotation_and_not_after_two(self):
        early, late = self.forward("later")[0], self.forward("later")[0]
        rotate()
        self.let_go(early)
        self.check_report(early, r"5\.1\.1")
        rotate()
        self.let_go(late)
        self.check_refused(late)
        marker, _ = self.forward("gone")
        self.check_report(marker, r"5\.1\.1")

    def test_a_forged_one_is_refused(self):
        """The other site sends as it is told; the address is another's, or none that was made."""
        _, sender = self.forward("ann")
        for address_text in (sender.replace("kate", "carl"), sender.replace("writer", "reader"),
                             re.sub("=[A-Z2-7]{6}=", "=AAAAAA=", sender)):
            with self.subTest(address_text):
                marker = new_marker()
                with Smtp(away.port) as smtp:
                    self.assertRegex(smtp.send("", [address_text], text_of(marker)), "^250 ")
                told = wait_for(lambda: re.search(
                    rf"to=<{re.escape(address_text)}>.*status=bounced \((.*)\)", self.told_of(marker)))
                self.assertRegex(told[1], r"said: 550 5\.1\.1 ")
                self.assertEqual(writer.delivered(marker), [])

    def test_it_is_refused_after_three_weeks(self):
        """Front ends whose clocks are that wrong forward the mail; it comes back by one that goes right."""
        self.assertTrue(SHIFTED_CLOCK.exists())
        for days, is_good in ((20, True), (22, False)):
            with self.subTest(days=days):
                with shifted_clock(-24 * days):
                    node = front_end(f"before-{days}-days")
                self.addCleanup(node.stop)
                wait_until_ready(node)
                marker, _ = self.forward("gone", node)
                if is_good:
                    self.check_report(marker, r"5\.1\.1")
                else:
                    self.check_refused(marker)


if __name__ == "__main__":
    unittest.main()
