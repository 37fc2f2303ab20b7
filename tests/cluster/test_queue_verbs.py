"""The queue of a front end through the command line: a home is down, its mail is looked at, held,
let go and removed; it comes back, and gets the rest. A dead front end's queue is taken over."""
import http.client
import json
import os
import pathlib
import re
import signal
import smtplib
import subprocess
import unittest

import harness
from harness import is_alive, wait_for


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


def send(subject, *recipients, front_end="fe1", sender="someone@elsewhere.example"):
    host, port = demo.fe[front_end]["smtp"].rsplit(":", 1)
    with smtplib.SMTP(host, int(port), timeout=60) as client:
        return client.sendmail(sender, recipients,
                               f"From: {sender}\r\nSubject: {subject}\r\n\r\nhello\r\n")


def queue(*words, node="fe1", check=True, text=None):
    done = subprocess.run([demo.binary, "--api", f"{demo.dir}/{node}/state/admin.sock", "queue",
                           *words], text=True, input=text or "", capture_output=True, timeout=120)
    if check:
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout
    return done


def listed(*words, node="fe1"):
    return json.loads(queue("list", *words, "--json", node=node))["messages"]


def subjects(server, account):
    return sorted(re.search(r"(?m)^Subject: (.*?)\r?$", path.read_text())[1]
                  for path in demo.mails(server, account["id"]))


def stop_engine(server):
    os.kill(demo.sv[server]["engine_pid"], signal.SIGTERM)
    wait_for(lambda: not is_alive(demo.sv[server]["engine_pid"]), "Dovecot to end")


def seen(front_end, server, state):
    wait_for(lambda: any(row["name"] == server and row["state"] == state for row in
                         demo.api("GET", "/v1/status?here=1", node=front_end)["servers"]),
             f"{front_end} to see {server} {state}")


class Verbs(unittest.TestCase):
    def setUp(self):
        self.account = demo.add_account(f"{self._testMethodName[5:12]}@domain1.dom", "secret",
                                        home="sv2")
        self.address = self.account["address"]
        self.addCleanup(demo.start_engine, "sv2")

    def stopped(self, *subjects_, front_end="fe1"):
        """Mail in the queue for a home that is down; its ids."""
        stop_engine("sv2")
        seen(front_end, "sv2", "down")
        for subject in subjects_:
            self.assertEqual(send(subject, self.address, front_end=front_end), {})
        found = wait_for(lambda: len(listed("--recipient", self.address)) == len(subjects_) and
                         all(row["state"] == "parked"
                             for row in listed("--recipient", self.address)) and
                         listed("--recipient", self.address), "the mail in the queue")
        return [row["id"] for row in found]

    def test_mail_of_a_home_that_is_down_answers_to_every_verb(self):
        one, two, three = self.stopped("one", "two", "three")
        # List: filters, both tables, and from any node.
        table = queue("list", "--recipient", self.address)
        self.assertRegex(table, rf"{one} +fe1 +parked")
        self.assertRegex(table, r"QUEUE OF +MESSAGES")
        self.assertIn("server:sv2", table)
        self.assertEqual(len(listed("--server", "sv2", node="sv1")), 3)
        self.assertEqual(listed("--server", "sv3"), [])
        self.assertEqual(listed("--older", "1h"), [])
        self.assertEqual(len(listed("--newer", "1h", "--domain", "domain1.*")), 3)
        self.assertEqual(len(listed("--limit", "2")), 2)
        # Show: what happened to each recipient; the text only when asked for, and noted then.
        shown = json.loads(queue("show", one, "--json"))
        self.assertEqual(shown["recipients"][0]["address"], self.address)
        self.assertEqual(shown["recipients"][0]["state"], "open")
        self.assertEqual(shown["from"]["address"], "127.0.0.1")
        self.assertNotIn("hello", json.dumps(shown))
        self.assertIn(self.address, queue("show", one, node="fe2"))
        self.assertIn("Subject: one", queue("show", one, "--message"))
        self.assertIn("queue message", (demo.dir / "fe1/state/audit.log").read_text())
        self.assertIn("server:sv2", queue("destinations"))
        status = demo.api("GET", "/v1/status", node="sv1")
        counts = next(row for row in status["nodes"] if row["name"] == "fe1")["queue"]
        self.assertEqual((counts["messages"], counts["parked"]), (3, 3))
        self.assertRegex(demo.cli("status"), r"SESSIONS +QUEUE")
        # Hold one, remove one: only when sure.
        self.assertIn("1 messages held", queue("hold", two))
        self.assertEqual([row["id"] for row in listed("--state", "held")], [two])
        unsure = queue("remove", three, check=False)
        self.assertEqual(unsure.returncode, 1)
        self.assertIn(three, unsure.stdout)
        self.assertIn("--yes", unsure.stderr)
        self.assertEqual(len(listed("--recipient", self.address)), 3)
        self.assertIn("1 messages removed", queue("remove", three, "--yes"))
        # What is not there, or not said, is an error.
        self.assertEqual(queue("show", three, check=False).returncode, 1)
        self.assertEqual(queue("remove", "--yes", check=False).returncode, 2)
        self.assertEqual(queue("flush", check=False).returncode, 2)
        self.assertEqual(queue("list", "--older", "soon", check=False).returncode, 1)
        here = queue("list", "--here", node="sv1", check=False)
        self.assertEqual(here.returncode, 1)
        self.assertRegex(here.stderr, r"this node \(sv1\) has no queue: .*fe1")
        self.assertIn("1 messages are due now", queue("flush", "--server", "sv2", node="sv1"))
        # Metrics follow at once.
        page = http.client.HTTPConnection(*demo.fe["fe1"]["admin"].rsplit(":", 1))
        page.request("GET", "/metrics")
        figures = page.getresponse().read().decode()
        page.close()
        self.assertIn('muster_queue_messages{state="held"} 1', figures)
        self.assertRegex(figures, r"muster_queue_commits_total [1-9]")
        # The home comes back: what is not held goes at once, the rest when it is released.
        demo.start_engine("sv2")
        wait_for(lambda: subjects("sv2", self.account) == ["one"], "the first message", 30)
        self.assertIn("1 messages released", queue("release", two))
        wait_for(lambda: subjects("sv2", self.account) == ["one", "two"], "the second message")
        wait_for(lambda: not listed(), "an empty queue")
        audit = (demo.dir / "fe1/state/audit.log").read_text()
        for action in ("queue hold", "queue release", "queue remove", "queue flush"):
            self.assertIn(action, audit)
        removed = next(record for record in map(json.loads, audit.splitlines())
                       if record["action"] == "queue remove")
        self.assertEqual(removed["before"][0]["recipients"], self.address)

    def test_mail_for_a_server_goes_when_that_is_resumed(self):
        self.stopped("drained")
        demo.cli("server", "set", "sv2", "admin=down")
        self.addCleanup(demo.cli, "server", "resume", "sv2")
        wait_for(lambda: demo.api("GET", "/v1/servers/sv2", node="fe1")["admin"] == "down",
                 "fe1 to know")
        demo.start_engine("sv2")
        demo.cli("server", "resume", "sv2")
        demo.logged("fe1", "event=queue-flushed server=sv2")
        wait_for(lambda: subjects("sv2", self.account) == ["drained"], "the mail")

    def test_a_revoked_node_leaves_its_queue_alone(self):
        self.stopped("revoked", front_end="fe2")
        self.addCleanup(demo.api, "PATCH", "/v1/nodes/fe2", {"revoked": False})
        demo.api("PATCH", "/v1/nodes/fe2", {"revoked": True})
        demo.logged("fe2", "event=queue-lost")
        with self.assertRaises(smtplib.SMTPException):
            send("late", self.address, front_end="fe2")
        demo.start_engine("sv2")
        seen("fe1", "sv2", "up")
        send("elsewhere", self.address)
        wait_for(lambda: subjects("sv2", self.account) == ["elsewhere"], "mail by the other")
        queue("flush", "--all", "--here", node="fe2", check=False)
        self.assertEqual(len(listed("--here", node="fe2")), 1)
        demo.api("PATCH", "/v1/nodes/fe2", {"revoked": False})
        demo.logged("fe2", "event=queue-resumed")
        queue("flush", "--all", "--here", node="fe2", check=False)
        wait_for(lambda: subjects("sv2", self.account) == ["elsewhere", "revoked"], "the mail", 60)

    def test_taking_over_revokes_the_dead_node(self):
        ids = self.stopped("left", "behind", front_end="fe2")
        folder = re.search(r'queue_dir = "(.*?)"',
                           (demo.dir / "fe2/muster.toml").read_text())
        folder = pathlib.Path(folder[1] if folder else demo.dir / "fe2/state/queue")
        alive = queue("adopt", str(folder), "--yes", check=False)
        self.assertEqual(alive.returncode, 1)
        self.assertIn("another process runs the queue", alive.stderr)
        demo.end_node("fe2")
        # A front end by itself may revoke nobody.
        weak = queue("adopt", str(folder), "--yes", check=False)
        self.assertEqual(weak.returncode, 1)
        self.assertIn("could not be revoked, nothing was taken", weak.stderr)
        self.assertIn("node fe2", (folder / "OWNER").read_text())
        demo.cli("administrator", "add", "keeper", "--password-stdin", text="keeperpass\n")
        password = demo.dir / "keeper.pass"
        password.write_text("keeperpass\n")
        done = queue("--user", "keeper", "--user-password-file", str(password), "adopt",
                     str(folder), "--yes")
        self.assertIn("2 of 2 messages taken over", done)
        self.assertIn("node fe1", (folder / "OWNER").read_text())
        self.assertTrue(demo.api("GET", "/v1/nodes/fe2")["revoked"])
        self.assertEqual({row["id"] for row in listed("--here", "--recipient", self.address)},
                         set(ids))
        self.assertIn("0 of 0", queue("adopt", str(folder), "--yes"))
        # The dead node comes back, and does not run it.
        back = subprocess.run(
            [demo.binary, "serve", "--config", demo.dir / "fe2/muster.toml"], text=True,
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertNotEqual(back.returncode, 0)
        self.assertIn("was taken over by fe1", back.stderr + back.stdout)
        demo.start_engine("sv2")
        wait_for(lambda: subjects("sv2", self.account) == ["behind", "left"], "the mail", 60)
        wait_for(lambda: not listed("--here"), "an empty queue")


if __name__ == "__main__":
    unittest.main()
