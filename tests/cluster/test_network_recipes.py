"""The three networks of docs/networks.md, set up by the very lines that stand there, on machines with the very addresses."""
import contextlib
import os
import pathlib
import re
import smtplib
import unittest

import mail_lab
from harness import wait_for
from machines_lab import Wire

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs/networks.md").read_text()
PASSWORD = "correct horse"


@unittest.skipUnless(os.geteuid() == 0, "namespaces need root")
class Recipe(unittest.TestCase):
    section = ""

    def setUp(self):
        self.wire = Wire()
        self.addCleanup(self.wire.close)
        text = PAGE[PAGE.index(f"\n## {self.section}"):].split("\n## ")[1]
        self.text = text
        self.blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)

    def node_file(self, number):
        return [text for kind, text in self.blocks if kind == "toml"][number]

    def lines(self, number):
        text = [text for kind, text in self.blocks if not kind][number]
        return [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]

    def inline(self, machine, line, *answers, **options):
        """A command that stands in the running text."""
        self.assertIn(f"`{line}`", self.text)
        return machine.run(line, *answers, **options)

    def follow(self, machine, lines, passwords):
        """Types the lines; each question for a password gets the same one."""
        said = ""
        for line in lines:
            typed = f"{passwords}\n\x04" if "/dev/stdin" in line else ""
            said = machine.run(line, passwords, passwords, typed=typed)
        return said


class BranchRelays(Recipe):
    section = "1. "

    def test_mail_to_partners_goes_out_as_the_head_office_says(self):
        self.hq = self.wire.machine("hq", "10.0.0.1")
        self.branch = self.wire.machine("branch1", "10.1.0.1")
        self.desk = self.wire.machine("desk", "10.1.0.50")
        servers = ("10.0.0.201", "10.0.0.202", "10.1.0.201")
        self.partner = self.wire.machine("partner", *servers)
        self.sinks = {each: self.sink(each) for each in servers}
        self.hq.write("/etc/muster/muster.toml", self.node_file(0))
        self.follow(self.hq, self.lines(0), PASSWORD)
        self.set_up_the_branch()
        self.proof()
        self.without_the_head_office()
        self.a_branch_is_lost()

    def set_up_the_branch(self):
        # A dead line is noticed sooner than by default.
        self.branch.write("/etc/muster/muster.toml", self.node_file(1) + "inactivity_timeout = 5\n")
        *_, look = self.lines(1)
        self.follow(self.branch, self.lines(1), PASSWORD)
        self.assertIn(look, "muster network list")
        wait_for(lambda: re.search(r"^hq +mirror +following", self.branch.run(look), re.M),
                 "the branch to follow")

    def sink(self, address):
        with self.partner.space.network():
            sink = mail_lab.Sink(address=(address, 25))
        self.addCleanup(sink.close)
        return sink

    def shown(self):
        return self.inline(self.branch, "muster domain show partner.example")

    def send(self):
        marker = mail_lab.new_marker()
        with self.desk.space.network(), smtplib.SMTP("10.1.0.1", 25, timeout=30) as smtp:
            smtp.sendmail("kate@branch.example", ["somebody@partner.example"], mail_lab.text_of(marker))
        return marker

    def arrives(self, address):
        marker = self.send()
        wait_for(lambda: self.sinks[address].with_marker(marker), f"mail at {address}")

    def proof(self):
        self.assertRegex(self.shown(), r"network: +hq")
        self.assertRegex(self.shown(), r"route: +10.0.0.201, 10.0.0.202\b")
        self.arrives("10.0.0.201")
        self.sinks["10.0.0.201"].close()
        self.arrives("10.0.0.202")
        self.inline(self.hq, "muster domain set partner.example tls=opportunistic")
        wait_for(lambda: re.search("tls: +opportunistic", self.shown()), "the change at the branch")
        self.inline(self.branch, "muster domain set partner.example route=10.1.0.201 --here")
        self.arrives("10.1.0.201")
        self.branch.run("muster domain set partner.example --here --inherit all")
        self.shown()

    def without_the_head_office(self):
        self.hq.switch_off()
        self.arrives("10.0.0.202")
        self.branch.run("systemctl restart muster")
        self.arrives("10.0.0.202")
        self.hq.switch_on()
        self.hq.run("systemctl start muster")
        self.hq.space.link("link", "set", "eth0", "down")
        self.hq.run("muster domain set partner.example tls=none")
        self.assertRegex(self.shown(), "tls: +opportunistic")
        self.hq.space.link("link", "set", "eth0", "up")
        wait_for(lambda: re.search("tls: +none", self.shown()), "the change after the link is back", 30)

    def a_branch_is_lost(self):
        self.sinks["10.0.0.202"].close()
        marker = self.send()
        self.branch.switch_off()
        state = self.branch.folder / "var/lib/muster"
        state.rename(self.branch.folder / "lost")
        self.inline(self.hq, "muster node remove branch1", "yes")
        self.branch.switch_on()
        self.set_up_the_branch()
        self.sinks["10.0.0.202"] = self.sink("10.0.0.202")
        self.assertIn("muster queue adopt FOLDER", self.text)
        self.branch.run(f"muster queue adopt {self.branch.folder}/lost/queue", "yes")
        wait_for(lambda: self.sinks["10.0.0.202"].with_marker(marker), "the mail that waited")


if __name__ == "__main__":
    unittest.main()
