"""What the directory and the servers say of recipients in unusual times: a master that is away, servers
that refuse some, and very many recipients."""
import email
import re
import signal
import unittest

import harness
import mail_lab
from harness import wait_for
from mail_lab import connect, everywhere, mails_with, new_marker, queued, text_of, wait_for_mail

PASSWORD = "correct horse battery staple"


def setUpModule():
    global demo, people
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    people = {home: demo.add_account(f"r-{home}@domain1.dom", PASSWORD, home=home)
              for home in demo.sv}
    people["full"] = demo.add_account("r-full@domain1.dom", PASSWORD, home="sv3", quota=1)


def address(home):
    return people[home]["address"]


def details(count):
    """So many addresses of two accounts."""
    return [f"r-sv{1 + number % 2}+{number}@domain1.dom" for number in range(count)]


def send(*recipients, front_end="fe1"):
    marker = new_marker()
    with connect(demo, front_end=front_end) as smtp:
        return marker, smtp.send(address("sv1"), recipients, text_of(marker))


class PartlyRefused(unittest.TestCase):
    def test_one_of_two_homes_refuses_and_the_sender_is_told(self):
        marker, answer = send(address("sv2"), address("full"))
        self.assertRegex(answer, "^250 ")
        wait_for_mail(demo, "sv2", people["sv2"], marker)
        report = email.message_from_bytes(wait_for_mail(demo, "sv1", people["sv1"], marker))
        wait_for(lambda: not queued(demo, "fe1", marker), "an empty queue")
        self.assertEqual(report["Return-Path"], "<>")
        status = report.get_payload()[1].as_string()
        self.assertEqual(re.findall(r"(?m)^Final-Recipient: rfc822; *(\S+)", status),
                         [address("full")])
        self.assertRegex(status, r"(?m)^Action: failed$")
        self.assertRegex(status, r"(?m)^Status: 5\.2\.2$")
        self.assertRegex(status, r"(?m)^Diagnostic-Code: smtp; *552 5\.2\.2 ")
        self.assertEqual(everywhere(demo, people["sv2"], marker), {"sv2": 1})
        self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1})  # one report
        self.assertEqual(everywhere(demo, people["full"], marker), {})

    def test_all_refuse_and_the_client_is_told(self):
        marker, answer = send(address("full"))
        self.assertRegex(answer, "^552 5.2.2 ")
        self.assertEqual(queued(demo, "fe1", marker), [])
        self.assertEqual(everywhere(demo, people["sv1"], marker), {})

    def test_nobody_is_told_about_a_report(self):
        marker = new_marker()
        with connect(demo) as smtp:
            answer = smtp.send("", [address("sv2"), address("full")], text_of(marker))
        self.assertRegex(answer, "^250 ")
        wait_for_mail(demo, "sv2", people["sv2"], marker)
        self.assertEqual(queued(demo, "fe1", marker), [])

    def test_without_a_queue_the_client_hears_of_it(self):
        """Over one server, since without a queue a transaction has one."""
        other = demo.add_account("r-beside@domain1.dom", PASSWORD, home="sv3")
        self.addCleanup(mail_lab.change_mail_options(demo, "fe2", store="false"))
        marker, answer = send(other["address"], address("full"), front_end="fe2")
        self.assertRegex(answer, "^554 ")
        self.assertEqual(everywhere(demo, people["sv1"], marker), {})


class Stale(unittest.TestCase):
    def test_a_replica_that_hears_nothing_refuses_no_unknown_name_for_good(self):
        self.addCleanup(mail_lab.change_mail_options(demo, "fe2", stale_after=2))

        def unknown():
            with connect(demo, front_end="fe2") as smtp:
                return smtp.envelope("a@b.test", "nobody@domain1.dom")[0]
        wait_for(lambda: unknown().startswith("550 5.1.1 "), "a fresh replica")
        self.addCleanup(demo.start_node, "sv1")
        demo.end_node("sv1", signal.SIGKILL)
        wait_for(lambda: unknown().startswith("450 4.1.1 "), "a stale replica")
        marker, answer = send(address("sv2"), front_end="fe2")
        self.assertRegex(answer, "^250 2.0.0 Delivered")
        self.assertEqual(len(mails_with(demo, "sv2", people["sv2"], marker)), 1)
        demo.start_node("sv1")
        wait_for(lambda: unknown().startswith("550 5.1.1 "), "a fresh replica again", 40)


class VeryMany(unittest.TestCase):
    def memory(self):
        with open(f"/proc/{demo.fe['fe2']['pid']}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def test_100_000_recipients_in_one_session(self):
        """Past the limit each is answered, none is remembered, and the message goes to those before."""
        people_of_limit = details(1000)
        marker = new_marker()
        with connect(demo, front_end="fe2", seconds=60) as smtp:
            smtp.command("MAIL FROM:<a@b.test>")
            before = self.memory()
            answers = []
            names = people_of_limit + [f"x{number}@domain1.dom" for number in range(99_000)]
            for at in range(0, len(names), 1000):
                smtp.raw("".join(f"RCPT TO:<{name}>\r\n" for name in names[at:at + 1000]).encode())
                answers += [smtp.answer()[:9] for _ in range(1000)]
            self.assertEqual(set(answers[:1000]), {"250 2.1.5"})
            self.assertEqual(set(answers[1000:]), {"452 4.5.3"})
            if not harness.IS_SANITIZED:
                self.assertLess(self.memory() - before, 8 << 10, "KiB more than before")
            self.assertRegex(smtp.data(text_of(marker)), "^250 2.0.0 Delivered")
        for home in ("sv1", "sv2"):
            self.assertEqual(everywhere(demo, people[home], marker), {home: 500})

    def test_as_many_as_the_node_file_says(self):
        self.addCleanup(mail_lab.change_mail_options(demo, "fe2", recipients=7000))
        names = details(8000)
        with connect(demo, front_end="fe2", seconds=60) as smtp:
            smtp.command("MAIL FROM:<a@b.test>")
            smtp.raw("".join(f"RCPT TO:<{name}>\r\n" for name in names).encode())
            answers = [smtp.answer()[:9] for _ in names]
            self.assertEqual(answers, ["250 2.1.5"] * 7000 + ["452 4.5.3"] * 1000)
            self.assertRegex(smtp.command("RSET"), "^250 ")


if __name__ == "__main__":
    unittest.main()
