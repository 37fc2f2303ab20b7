"""The disk of a front end's queue gets full: what was answered for is not lost, the rest is put off with
452 4.3.1, and all goes on when there is room again."""
import contextlib
import os
import resource
import signal
import subprocess
import threading
import unittest

import harness
import mail_lab
from harness import wait_for
from mail_lab import connect, everywhere, new_marker, queued, text_of, wait_for_mail

PASSWORD = "correct horse battery staple"
HOMES = ("sv1", "sv2")
DISK = 24 << 20
LARGE = "x" * 76 + "\r\n"


def setUpModule():
    global demo, people
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    people = {home: demo.add_account(f"d-{home}@domain1.dom", PASSWORD, home=home)
              for home in HOMES}


def address(home):
    return people[home]["address"]


def send(marker, recipients, size=0):
    """The answer to the message, and to a command after it."""
    with connect(demo, front_end="fe2", seconds=60) as smtp:
        for answer in smtp.envelope("a@b.test", *recipients):
            assert answer.startswith("250"), answer
        answer = smtp.data(text_of(marker, body=LARGE * (size // len(LARGE)) + "end"))
        return answer, smtp.command("NOOP")


class Reserve(unittest.TestCase):
    def test_without_room_mail_is_put_off(self):
        self.addCleanup(mail_lab.change_mail_options(demo, "fe2", reserve=1099511627776))
        with connect(demo, front_end="fe2") as smtp:
            self.assertRegex(smtp.command("MAIL FROM:<a@b.test>"), "^452 4.3.1 ")
            self.assertRegex(smtp.command(f"RCPT TO:<{address('sv1')}>"), "^503 ")
            self.assertRegex(smtp.command("NOOP"), "^250 ")


class Case(unittest.TestCase):
    def assert_arrived(self, marker, *homes):
        for home in homes:
            wait_for_mail(demo, home, people[home], marker)
        wait_for(lambda: not queued(demo, "fe2", marker), f"{marker} to leave the queue")
        for home in HOMES:
            self.assertEqual(everywhere(demo, people[home], marker),
                             {home: 1} if home in homes else {})

    def assert_nowhere(self, marker):
        for home in HOMES:
            self.assertEqual(everywhere(demo, people[home], marker), {})


@unittest.skipUnless(os.geteuid() == 0, "a small tmpfs can be mounted by root alone")
class SmallDisk(Case):
    def setUp(self):
        self.disk = demo.dir / "fe2" / "disk"
        self.disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "none", self.disk],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.addCleanup(mail_lab.change_mail_options(
            demo, "fe2", queue_dir=f'"{self.disk}/queue"', reserve=0))

    def fill(self):
        filler = self.disk / "filler"
        with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        self.addCleanup(filler.unlink, missing_ok=True)
        return filler

    def waiting(self):
        return [path for name in ("active", "incoming", "hold")
                for path in (self.disk / "queue" / name).rglob("*") if path.is_file()]

    def test_it_fills_while_many_send_large_messages(self):
        answers = {}

        def client(marker):
            answers[marker] = send(marker, [address(home) for home in HOMES], 8 << 20)
        markers = [new_marker() for _ in range(6)]
        threads = [threading.Thread(target=client, args=(marker,)) for marker in markers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        put_off = [marker for marker in markers if answers[marker][0].startswith("452 4.3.1 ")]
        for marker in markers:
            answer, after = answers[marker]
            self.assertRegex(after, "^250 ")
            if marker in put_off:
                self.assert_nowhere(marker)
            else:
                self.assertRegex(answer, "^250 ")
                self.assert_arrived(marker, *HOMES)
        self.assertGreater(len(put_off), 0)
        wait_for(lambda: not self.waiting(), "an empty queue")
        for marker in put_off:  # one after the other there is room
            self.assertRegex(send(marker, [address(home) for home in HOMES], 8 << 20)[0], "^250 ")
            self.assert_arrived(marker, *HOMES)

    def test_what_was_answered_for_is_not_lost(self):
        self.addCleanup(demo.start_engine, "sv2")
        engine = demo.sv["sv2"]["engine_pid"]
        os.kill(engine, signal.SIGTERM)
        wait_for(lambda: not harness.is_alive(engine), "the end of the Dovecot of sv2")
        waiting = [new_marker() for _ in range(20)]
        for marker in waiting:
            self.assertRegex(send(marker, [address(home) for home in HOMES])[0], "^250 2.0.0 Queued")
        filler = self.fill()
        refused = [new_marker() for _ in range(3)]
        for marker, size in zip(refused, (0, 10_000, 4 << 20)):
            answer, after = send(marker, [address("sv2")], size)
            self.assertRegex(answer, "^45[12] 4.3.[01] ")
            self.assertRegex(after, "^250 ")
        demo.end_node("fe2", signal.SIGKILL)
        demo.start_node("fe2")
        demo.start_engine("sv2")
        demo.api("POST", "/v1/queue/flush?here", {"all": True}, node="fe2")
        for marker in waiting:
            wait_for_mail(demo, "sv2", people["sv2"], marker, 60)
        filler.unlink()
        marker = new_marker()
        self.assertRegex(send(marker, [address(home) for home in HOMES], 4 << 20)[0], "^250 ")
        self.assert_arrived(marker, *HOMES)
        for marker in waiting:
            self.assert_arrived(marker, *HOMES)
        for marker in refused:
            self.assert_nowhere(marker)


class LimitedFiles(Case):
    def test_a_file_that_may_not_grow(self):
        pid = demo.fe["fe2"]["pid"]
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4 << 20, before[1]))
        marker = new_marker()
        answer, after = send(marker, [address("sv1")], 8 << 20)
        self.assertRegex(answer, "^452 4.3.1 ")
        self.assertRegex(after, "^250 ")
        self.assert_nowhere(marker)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        self.assertRegex(send(marker, [address("sv1")], 8 << 20)[0], "^250 ")
        self.assert_arrived(marker, "sv1")


if __name__ == "__main__":
    unittest.main()
