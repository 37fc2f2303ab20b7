"""Mail that is made on back ends (Sieve redirects and vacation notices) leaves through the front
ends: through each of them in turn, and through those that are left when one is lost; with rewritten
senders where the cluster has a domain for them."""
import contextlib
import itertools
import os
import re
import signal
import socket
import unittest

import harness
import mail_lab
from harness import wait_for
from mail_lab import new_marker, text_of


def setUpModule():
    global demo, world
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    world = mail_lab.Sink()
    unittest.addModuleCleanup(world.close)
    for front_end in demo.fe:
        mail_lab.change_mail_options(demo, front_end, smart_host=f'["127.0.0.1:{world.port}"]')
    wait_for(lambda: all(exits() == told() for _ in demo.sv), "all nodes' SMTP listeners")


def told():
    return sorted(row["smtp"] for row in demo.fe.values())


def exits():
    """The SMTP listeners of all nodes, as every back end's replica has them."""
    found = [sorted(sum((node.get("smtp", []) for node in
                         demo.api("GET", "/v1/nodes", node=name)["nodes"]), []))
             for name in demo.sv]
    return found[0] if all(each == found[0] for each in found) else None


def drains(server):
    """Whether fe1 does, as that server's node knows it."""
    return demo.api("GET", "/v1/nodes/fe1", node=server).get("admin") == "drain"


def set_script(account, text):
    """Over ManageSieve, as its owner would."""
    with demo.line("sieve") as line:
        line.hear("^OK")
        line.ask("STARTTLS", "^OK")
        line.start_tls(demo.context)
        line.hear("^OK")
        answer = harness.sieve_login(line, account["address"], account["password"])
        assert answer.startswith("OK"), answer
        line.ask(f'PUTSCRIPT "mine" {{{len(text.encode())}+}}\r\n{text}', "^OK")
        line.ask('SETACTIVE "mine"', "^OK")


def script_of(name):
    return (f'require ["vacation", "copy"];\r\nredirect :copy "{name}@elsewhere.test";\r\n'
            f'vacation :days 1 :subject "away-{name}" "not here";\r\n')


def left_by(message):
    """The front end that took the message from the back end."""
    return re.search(rb"(?m)^Received:(?:.|\r\n\s)*?\bby (fe\d)\.", message[2])[1].decode()


class MadeOnBackEnds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.accounts = [demo.accounts[f"{name}@domain1.dom"] for name in ("ada", "kate", "john")]
        for account in cls.accounts:
            set_script(account, script_of(account["address"].split("@")[0]))

    def wait_for_turns(self):
        """A front end that was away in a test before has its rest first."""
        for account in self.accounts:
            wait_for(lambda: self.ways_out(account) == set(demo.fe), "all front ends' turns", 30)

    def ways_out(self, account):
        return {self.way_out(account, "fe1") for _ in range(3)}

    def way_out(self, account, front_end):
        """By which front end a redirect leaves now."""
        with contextlib.suppress(ConnectionRefusedError):  # one that is about to take sessions again
            return left_by(self.redirected(self.send(account, front_end, "calm@world.test")))

    def send(self, account, front_end, sender="friend@world.test", body="hello"):
        """The marker of a message that was accepted for the account."""
        marker = new_marker()
        with mail_lab.connect(demo, front_end=front_end) as client:
            text = text_of(marker, body=body).replace("To: somebody", f"To: {account['address']}")
            client.envelope(sender, account["address"])
            client.command("DATA")
            client.raw((text + "\r\n.\r\n").encode())
            answer = client.answer()
        self.assertRegex(answer, "^250")
        return marker

    def redirected(self, marker):
        return wait_for(lambda: world.with_marker(marker), f"{marker} in the world")[0]

    def test_redirects_and_notices_leave_by_all_front_ends_in_turn(self):
        self.wait_for_turns()
        used = []
        for account in self.accounts:
            name = account["address"].split("@")[0]
            for number in range(4):
                message = self.redirected(self.send(account, "fe1", f"friend{number}@world.test"))
                self.assertEqual(message[1], [f"{name}@elsewhere.test"])
                used.append(left_by(message))
                notice = wait_for(
                    lambda: [each for each in world.with_marker(f"away-{name}")
                             if each[1] == [f"friend{number}@world.test"]], "a vacation notice")
                self.assertEqual(notice[0][0], "", "a notice has no return path")
                used.append(left_by(notice[0]))
        # Each back end's Dovecot opens a connection for each, and the agent takes turns.
        self.assertEqual({each: used.count(each) for each in demo.fe}, {"fe1": 12, "fe2": 12})

    def test_a_redirect_has_a_sender_to_which_reports_find_back(self):
        """With the setting; Dovecot itself keeps the sender as it was."""
        demo.cli("setting", "set", "srs_domain", "srs.domain1.dom")
        self.addCleanup(demo.cli, "setting", "remove", "srs_domain", "--yes")
        by_front_end = {}

        def by_all():
            message = self.redirected(self.send(self.accounts[1], "fe1", "writer@world.test"))
            if message[0] != "writer@world.test":  # that front end knows the setting
                by_front_end[left_by(message)] = message[0]
            return by_front_end.keys() == demo.fe.keys()
        wait_for(by_all, "rewritten senders from all front ends", 30)
        notice, = wait_for(lambda: [each for each in world.with_marker("away-kate")
                                    if each[1] == ["writer@world.test"]], "a vacation notice")
        self.assertEqual(notice[0], "")
        for front_end, other in itertools.permutations(demo.fe):
            sender = by_front_end[other]
            self.assertRegex(sender,
                             r"^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=world\.test=writer@srs\.domain1\.dom$")
            marker = new_marker()
            with mail_lab.connect(demo, front_end=front_end) as client:
                self.assertRegex(client.send("", [sender], text_of(marker)), "^250 ")
            report = self.redirected(marker)
            self.assertEqual(report[:2], ("", ["writer@world.test"]))
            with mail_lab.connect(demo, front_end=front_end) as client:
                answer, = client.envelope("", sender.replace("writer", "reader"))
            self.assertRegex(answer, r"^550 5\.1\.1 ")

    def test_a_front_end_that_is_lost_is_passed_over(self):
        before = {server: demo.log(server).count("event=mail-exit-skipped") for server in demo.sv}
        demo.end_node("fe2")
        try:
            for account in self.accounts:
                for _ in range(2):
                    message = self.redirected(self.send(account, "fe1"))
                    self.assertEqual(left_by(message), "fe1")
            for server in demo.sv:
                said = demo.log(server).count("event=mail-exit-skipped")
                self.assertLessEqual(said - before[server], 1, "said once")
                self.assertGreaterEqual(said, 1)
        finally:
            demo.start_node("fe2")

    def test_a_front_end_that_hangs_is_passed_over(self):
        """It can be connected, since the kernel does that, and does not greet."""
        os.kill(demo.fe["fe2"]["pid"], signal.SIGSTOP)
        try:
            for _ in range(2):
                self.assertEqual(left_by(self.redirected(self.send(self.accounts[0], "fe1"))), "fe1")
            demo.logged("sv1", "event=mail-exit-skipped .*no greeting")
        finally:
            os.kill(demo.fe["fe2"]["pid"], signal.SIGCONT)
        wait_for(lambda: demo.is_ready("fe2"), "fe2 to answer again")

    def test_a_large_message_arrives_whole(self):
        lines = [f"{number:08d} " + "x" * 100 for number in range(10_000)]
        marker = self.send(self.accounts[1], "fe1", body="\r\n".join(lines))
        body = self.redirected(marker)[2].split(b"\r\n\r\n", 1)[1]
        self.assertEqual(body.decode().split("\r\n")[:len(lines)], lines)

    def test_what_is_refused_for_good_stays_in_the_inbox(self):
        """By a server that the node file names, as by a front end that does not trust us."""
        kate = {**self.accounts[1], **demo.show("kate@domain1.dom")}
        strict = mail_lab.Sink({"RCPT": "550 5.7.1 not from you"})
        self.addCleanup(strict.close)
        # "sv2" has another script for a while: no copy is kept by it.
        set_script(kate, 'redirect "kate@elsewhere.test";\r\n')
        self.addCleanup(set_script, kate, script_of("kate"))
        file = demo.dir / "sv2" / "muster.toml"
        before = file.read_text()

        def restart(text):
            file.write_text(text)
            demo.end_node("sv2", signal.SIGTERM)
            demo.start_node("sv2")
        self.addCleanup(restart, before)
        restart(before.replace("[backend]", f'[backend]\nmail_out_to = ["127.0.0.1:{strict.port}"]'))
        marker = self.send(kate, "fe1")
        mail_lab.wait_for_mail(demo, "sv2", kate, marker)
        demo.logged("sv2", r"sieve: .*550 5\.7\.1", engine=True)
        self.assertEqual(world.with_marker(marker), [])

    def test_without_any_front_end_dovecot_is_told_to_try_again(self):
        """And the message that made it is tried again, too: LMTP has not taken it."""
        for front_end in demo.fe:
            demo.end_node(front_end)
        try:
            host, port = demo.sv["sv2"]["mail_out"].rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=30) as client:
                self.assertRegex(client.makefile("rb").read(), rb"^421 4\.4\.1 ")
            marker = new_marker()
            with demo.server_line("sv2", "lmtp") as line:
                harness.lmtp_open(line)
                line.ask("MAIL FROM:<friend@world.test>", "^250")
                line.ask("RCPT TO:<kate@domain1.dom>", "^250")
                line.ask("DATA", "^354")
                line.say(text_of(marker) + "\r\n.")
                self.assertRegex(line.hear("^[245]"), "^451")
            demo.logged("sv2", "event=mail-exits-none")
        finally:
            for front_end in demo.fe:
                demo.start_node(front_end)
        self.redirected(self.send(demo.accounts["kate@domain1.dom"], "fe1"))

    def test_one_that_drains_is_passed_over(self):
        demo.cli("node", "drain", "fe1")
        try:
            wait_for(lambda: all(drains(name) for name in demo.sv), "all back ends to know it")
            for account in self.accounts:
                wait_for(lambda: self.way_out(account, "fe2") == "fe2", "fe1 to be passed over")
                self.assertEqual(self.way_out(account, "fe2"), "fe2")
        finally:
            demo.cli("node", "resume", "fe1")
            wait_for(lambda: demo.is_ready("fe1") and not any(drains(name) for name in demo.sv),
                     "fe1 to take sessions again, and all back ends to know it")


if __name__ == "__main__":
    unittest.main()
