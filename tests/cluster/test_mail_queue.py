"""Mail that cannot be delivered at once: servers that are away or hang, a front end that is killed,
the modes of domains, other sites (a real Postfix), failure reports, and loops.

A destination that could not be reached is left alone for 15 seconds, and a message that was tried for
five: some of these tests wait for that. Front ends killed under load: test_mail_faults.py."""
import email
import os
import signal
import socket
import unittest

import harness
import mail_lab
import postfix_lab
from harness import wait_for
from mail_lab import connect, everywhere, mails_with, new_marker, queued, text_of, wait_for_mail

PASSWORD = "correct horse battery staple"
HOMES = ("sv1", "sv2", "sv3")
RETRY = 120  # seconds; far above the first back-off of a message, and of a destination


def setUpModule():
    global demo, people
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    for front_end in demo.fe:
        mail_lab.change_mail_options(demo, front_end, retry_first=5)
    people = {home: demo.add_account(f"q-{home}@domain1.dom", PASSWORD, home=home)
              for home in HOMES}
    people |= {f"{home}-2": demo.add_account(f"q-{home}@domain2.dom", PASSWORD, home=home)
               for home in HOMES}


def address(home):
    return people[home]["address"]


class Case(unittest.TestCase):
    def stop_engine(self, server):
        self.addCleanup(demo.start_engine, server)
        pid = demo.sv[server]["engine_pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not harness.is_alive(pid), f"the end of the Dovecot of {server}")

    def send(self, recipients, front_end="fe1", sender="else@elsewhere.test"):
        marker = new_marker()
        with connect(demo, front_end=front_end) as smtp:
            return marker, smtp.send(sender, recipients, text_of(marker))

    def remote(self, name, *route, cluster=None):
        cluster = cluster or demo
        cluster.api("PUT", f"/v1/domains/{name}", {"kind": "remote", "route": list(route)})
        self.addCleanup(cluster.api, "DELETE", f"/v1/domains/{name}")
        for front_end in cluster.fe:
            wait_for(lambda: self.known(cluster, front_end, name), f"{name} on {front_end}")

    def known(self, cluster, front_end, name):
        with connect(cluster, front_end=front_end) as smtp:
            return smtp.envelope("", f"x@{name}")[0].startswith("250")

    def mode(self, mode):
        """Sets how domain2.dom is delivered; afterwards it is in line again."""
        demo.api("PATCH", "/v1/domains/domain2.dom", {"mail": mode})
        self.addCleanup(self.in_line_again)

    def in_line_again(self):
        demo.api("PATCH", "/v1/domains/domain2.dom", {"mail": "inline"})
        both = [address("sv1-2"), address("sv2-2")]

        def is_in_line():
            with connect(demo) as smtp:
                if smtp.envelope("", *both)[1].startswith("452"):
                    return False
                return "Delivered" in smtp.data(text_of(new_marker()))
        demo.start_engine("sv2")
        wait_for(is_in_line, "the mode before")

    def wait_empty(self, marker, front_end="fe1", seconds=20):
        wait_for(lambda: not queued(demo, front_end, marker), f"{marker} to leave the queue",
                 seconds)


class ServerAway(Case):
    def test_mail_waits_for_a_dead_server_and_for_no_other(self):
        self.stop_engine("sv2")
        alone, answer = self.send([address("sv2")])
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        many, answer = self.send([address(home) for home in HOMES])
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        for home in ("sv1", "sv3"):
            wait_for_mail(demo, home, people[home], many)
        for marker in (alone, many):
            self.assertEqual(len(queued(demo, "fe1", marker)), 1)
            self.assertEqual(everywhere(demo, people["sv2"], marker), {})
        demo.start_engine("sv2")
        for marker in (alone, many):
            wait_for_mail(demo, "sv2", people["sv2"], marker, RETRY)
            self.wait_empty(marker)
        for home in HOMES:
            self.assertEqual(everywhere(demo, people[home], many), {home: 1})
        self.assertEqual(everywhere(demo, people["sv2"], alone), {"sv2": 1})

    def test_a_server_that_hangs_costs_its_time_and_no_message(self):
        self.addCleanup(mail_lab.change_mail_options(demo, "fe2", in_line_time=2))
        engine = demo.sv["sv3"]["engine_pid"]
        stopped = [engine, *harness.children_of(engine)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

        def go_on():
            for pid in stopped:
                if harness.is_alive(pid):
                    os.kill(pid, signal.SIGCONT)
        self.addCleanup(go_on)
        marker, answer = self.send([address("sv3"), address("sv1")], "fe2")
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1})
        go_on()
        wait_for_mail(demo, "sv3", people["sv3"], marker, RETRY)
        self.wait_empty(marker, "fe2")
        for home in ("sv1", "sv3"):
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})

    def test_a_front_end_killed_with_mail_in_its_queue(self):
        self.stop_engine("sv2")
        self.addCleanup(demo.start_node, "fe1")
        markers = []
        for _ in range(20):
            marker, answer = self.send([address("sv2"), address("sv3")])
            self.assertRegex(answer, "^250 2.0.0 Queued as ")
            markers.append(marker)
        demo.end_node("fe1", signal.SIGKILL)
        demo.start_engine("sv2")
        for marker in markers:
            self.assertEqual(everywhere(demo, people["sv2"], marker), {})
            self.assertEqual(len(queued(demo, "fe1", marker)), 1)
        demo.start_node("fe1")
        demo.api("POST", "/v1/queue/flush?here", {"server": "sv2"}, node="fe1")
        for marker in markers:
            wait_for_mail(demo, "sv2", people["sv2"], marker, RETRY)
            self.wait_empty(marker)
        for marker in markers:
            for home in ("sv2", "sv3"):
                self.assertEqual(everywhere(demo, people[home], marker), {home: 1})


class Stopped(Case):
    """A front end that stops while servers are silent."""

    def test_it_ends_quickly_and_sends_nothing_twice(self):
        sink = mail_lab.Sink()
        self.addCleanup(sink.close)
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        self.remote("sink.test", f"127.0.0.1:{sink.port}")
        self.remote("silent.test", f"127.0.0.1:{silent.getsockname()[1]}")
        marker, answer = self.send(["a@sink.test", "b@silent.test"])
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        wait_for(lambda: sink.with_marker(marker), "the first recipient's message")
        self.addCleanup(demo.start_node, "fe1")
        silent.settimeout(60)
        connection, _ = silent.accept()  # and not a word
        self.addCleanup(connection.close)
        demo.end_node("fe1", signal.SIGTERM)
        connection.close()
        silent.close()  # whoever does not know the new way yet need not wait
        file, = queued(demo, "fe1", marker)
        self.assertRegex(file.read_text(), r"(?m) 0 delivered ")
        demo.api("PATCH", "/v1/domains/silent.test", {"route": [f"127.0.0.1:{sink.port}"]})
        demo.start_node("fe1")
        wait_for(lambda: len(sink.with_marker(marker)) == 2, "the second one's", RETRY)
        self.wait_empty(marker)
        self.assertEqual([recipients for _, recipients, _ in sink.with_marker(marker)],
                         [["a@sink.test"], ["b@silent.test"]])


class Modes(Case):
    def test_stored_first(self):
        self.mode("queue")

        wait_for(lambda: "Queued as" in self.send([address("sv1-2")])[1], "the mode")
        marker, answer = self.send([address("sv1-2"), address("sv3-2")])
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        for home in ("sv1", "sv3"):
            wait_for_mail(demo, home, people[f"{home}-2"], marker)
        self.wait_empty(marker)
        for home in ("sv1", "sv3"):
            self.assertEqual(everywhere(demo, people[f"{home}-2"], marker), {home: 1})

    def test_stored_first_beside_one_in_line(self):
        self.mode("queue")
        wait_for(lambda: "Queued as" in self.send([address("sv1-2")])[1], "the mode")
        marker, answer = self.send([address("sv1"), address("sv2-2"), address("sv3")])
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        for home in ("sv1", "sv3"):  # before the answer
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})
        wait_for_mail(demo, "sv2", people["sv2-2"], marker)
        self.wait_empty(marker)
        for home, who in (("sv1", "sv1"), ("sv2", "sv2-2"), ("sv3", "sv3")):
            self.assertEqual(everywhere(demo, people[who], marker), {home: 1})

    def test_never_stored(self):
        self.mode("inline-only")
        both = (address("sv1-2"), address("sv2-2"))

        def answers():
            with connect(demo) as smtp:
                return [answer[:9] for answer in smtp.envelope("a@b.test", *both)]
        wait_for(lambda: answers() == ["250 2.1.5", "452 4.5.3"], "one home a transaction")
        marker, answer = self.send([address("sv1-2")])
        self.assertRegex(answer, "^250 2.0.0 Delivered")
        self.assertEqual(everywhere(demo, people["sv1-2"], marker), {"sv1": 1})
        self.stop_engine("sv2")
        marker, answer = self.send([address("sv2-2")])
        self.assertRegex(answer, "^451 4.3.0 ")
        self.assertEqual(queued(demo, "fe1", marker), [])


@postfix_lab.needs_root
class World(Case):
    """A real Postfix is another site's server."""

    def setUp(self):
        self.postfix = postfix_lab.Postfix("""
myhostname = mx.partner.test
virtual_mailbox_domains = partner.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{ {{ ann@partner.test = ann/ }} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
""")
        self.addCleanup(self.postfix.close)
        self.remote("partner.test", f"127.0.0.1:{self.postfix.port}")

    def reports(self, home, marker):
        return [text for text in mails_with(demo, home, people[home], marker)
                if b"multipart/report" in text]

    def test_it_gets_mail_and_its_refusal_is_reported_once(self):
        marker, answer = self.send(["ann@partner.test", "nobody@partner.test", address("sv2")],
                                   sender=address("sv1"))
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        wait_for(lambda: self.postfix.delivered(marker), "the message in Postfix")
        report = wait_for(lambda: self.reports("sv1", marker), "the report")[0]
        self.wait_empty(marker)
        self.assertEqual(len(self.postfix.delivered(marker)), 1)
        self.assertEqual(everywhere(demo, people["sv2"], marker), {"sv2": 1})
        self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1})
        message = email.message_from_bytes(report)
        self.assertEqual(message["Return-Path"], "<>")
        self.assertEqual(message["To"].strip("<>"), address("sv1"))
        self.assertEqual(message.get_param("report-type"), "delivery-status")
        status = message.get_payload()[1].as_string()
        self.assertIn("Final-Recipient: rfc822; nobody@partner.test", status.replace(";n", "; n"))
        self.assertRegex(status, r"(?m)^Action: failed$")
        self.assertRegex(status, r"(?m)^Status: 5\.1\.1$")
        self.assertNotIn("ann@partner.test", status)

    def test_no_report_on_a_report(self):
        marker, answer = self.send(["nobody@partner.test"], sender="")
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        wait_for(lambda: "5.1.1" in demo.log("fe1"), "the refusal")
        self.wait_empty(marker)

    def test_nobody_is_told_who_asked_for_it(self):
        marker = new_marker()
        with connect(demo) as smtp:
            smtp.command(f"MAIL FROM:<{address('sv1')}>")
            smtp.command("RCPT TO:<nobody@partner.test> NOTIFY=NEVER")
            self.assertRegex(smtp.data(text_of(marker)), "^250 ")
        self.wait_empty(marker)
        self.assertEqual(everywhere(demo, people["sv1"], marker), {})


class Loop(Case):
    def test_mail_that_two_clusters_send_each_other_ends(self):
        other = harness.Demo()
        self.addCleanup(other.close)
        there = other.add_account(address("sv1"), PASSWORD, home="sv1")
        self.remote("round.test", other.fe["fe1"]["smtp"])
        self.remote("round.test", demo.fe["fe1"]["smtp"], cluster=other)
        marker, answer = self.send(["x@round.test"], sender=address("sv1"))
        self.assertRegex(answer, "^250 2.0.0 Queued as ")

        def reports():
            return (mails_with(demo, "sv1", people["sv1"], marker) +
                    mails_with(other, "sv1", there, marker))
        wait_for(reports, "the report", 60)
        for cluster in (demo, other):
            wait_for(lambda: not queued(cluster, "fe1", marker), "an empty queue")
        report, = reports()
        self.assertIn(b"5.4.6", report)
        self.assertIn(b"multipart/report", report)


if __name__ == "__main__":
    unittest.main()
