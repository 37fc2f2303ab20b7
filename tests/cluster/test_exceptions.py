"""What one node does otherwise than the cluster's state says of a domain."""
import json
import unittest

import mail_lab
from nodes_lab import Lab, free_port, wait_for

MAIL = """
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{port}"
[mail]
relay_from = ["127.0.0.0/8"]
client_names = false
"""


class Exceptions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        cls.ports = {name: free_port() for name in ("fe1", "fe2")}
        cls.fe1, cls.fe2 = (
            cls.lab.member(cls.master, name, ["frontend"], "frontend", MAIL.format(port=port))
            for name, port in cls.ports.items())
        cls.sinks = [mail_lab.Sink(), mail_lab.Sink()]
        for sink in cls.sinks:
            cls.addClassCleanup(sink.close)
        cls.usual, cls.other = (f"127.0.0.1:{sink.port}" for sink in cls.sinks)

    def domain(self, name):
        self.master.do("domain", "add", name, "kind=remote", f"route={self.usual}")
        for node in (self.fe1, self.fe2):
            wait_for(lambda: node.cli("domain", "show", name)[0] == 0)
        return name

    def audited(self):
        lines = (self.fe1.state / "audit.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def taken_by(self, front_end, domain):
        """Sends a message; the number of the server that gets it."""
        marker = mail_lab.new_marker()
        with mail_lab.Smtp(self.ports[front_end]) as smtp:
            answer = smtp.send("a@b.test", [f"x@{domain}"], mail_lab.text_of(marker))
            self.assertRegex(answer, "^250 ")
        return wait_for(lambda: [n for n, sink in enumerate(self.sinks)
                                 if sink.with_marker(marker)])[0]

    def test_counts_for_one_node_and_is_shown_with_what_the_state_says(self):
        name = self.domain("one.test")
        self.fe1.do("domain", "set", name, f"route={self.other}", "tls=none", "--here")
        self.assertEqual(self.taken_by("fe1", name), 1)
        self.assertEqual(self.taken_by("fe2", name), 0)
        shown = self.fe1.ask("domain", "show", name)
        self.assertEqual(shown["route"], [self.other])
        self.assertEqual(shown["here"], ["route", "tls"])
        self.assertEqual(shown["inherited"], {"route": [self.usual], "tls": None})
        self.assertIn(f"{self.other} (here; inherited: {self.usual})",
                      self.fe1.do("domain", "show", name))
        self.assertRegex(self.fe1.do("domain", "list"), r"HERE\n(.*\n)*one.test .* route, tls\n")
        self.assertNotIn("HERE", self.fe2.do("domain", "list"))
        self.assertNotIn("here", self.master.ask("domain", "show", name))
        # What the state says of other fields goes on to count, and a change of it is seen.
        self.master.do("domain", "set", name, "mail=queue")
        wait_for(lambda: self.fe1.ask("domain", "show", name).get("mail") == "queue")
        self.fe1.do("domain", "set", name, "--here", "--inherit", "route")
        self.assertEqual(self.fe1.ask("domain", "show", name)["here"], ["tls"])
        self.assertEqual(self.taken_by("fe1", name), 0)
        self.fe1.do("domain", "set", name, "--here", "--inherit", "all")
        self.assertNotIn("here", self.fe1.ask("domain", "show", name))

    def test_stays_over_a_restart_and_over_what_a_newer_version_wrote(self):
        name = self.domain("two.test")
        self.fe1.do("domain", "set", name, f"route={self.other}", "--here")
        file = self.fe1.state / "exceptions.json"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        content = json.loads(file.read_text())
        content["later"] = {"a": 1}
        content["domains"][name]["later"] = "b"
        self.fe1.stop()
        file.write_text(json.dumps(content))
        self.fe1.start()
        self.assertEqual(self.taken_by("fe1", name), 1)
        self.fe1.do("domain", "set", name, "tls=none", "--here")
        kept = json.loads(file.read_text())
        self.assertEqual(kept["later"], {"a": 1})
        self.assertEqual(kept["domains"][name],
                         {"route": [self.other], "tls": "none", "later": "b"})

    def test_a_damaged_file_is_said_and_hinders_no_mail(self):
        name = self.domain("three.test")
        file = self.fe1.state / "exceptions.json"
        self.fe1.stop()
        before = file.read_text() if file.exists() else ""
        file.write_text('{"domains": {"three.test": ')
        self.fe1.start()
        self.assertIn("exceptions_unreadable", self.fe1.log.read_text())
        self.assertEqual(self.taken_by("fe1", name), 0)
        code, _, err = self.fe1.cli("domain", "set", name, "tls=none", "--here")
        self.assertEqual(code, 1)
        self.assertIn("is damaged, repair or remove it", err)
        status = json.loads(self.fe1.http("/v1/status?here=1", "root", "rootpass")[1])
        self.assertIn("exceptions.json", [alarm["about"] for alarm in status["alarms"]])
        file.write_text(before or "{}")  # and it is used again without a restart
        self.fe1.do("domain", "set", name, "tls=none", "--here")
        self.fe1.do("domain", "set", name, "--here", "--inherit", "all")

    def test_what_makes_no_domain_is_refused_and_changes_nothing(self):
        name = self.domain("four.test")
        for words, said in ((["tls=maybe"], "tls"), (["kind=shared"], "kind"),
                            (["--inherit", "tls"], "no exception here")):
            code, _, err = self.fe1.cli("domain", "set", name, *words, "--here")
            self.assertEqual(code, 1, words)
            self.assertIn(said, err)
        self.assertNotIn("here", self.fe1.ask("domain", "show", name))
        self.assertEqual(self.fe1.cli("domain", "set", "no.test", "tls=none", "--here")[0], 1)

    def test_the_api_replaces_and_removes_and_the_audit_log_tells(self):
        name = self.domain("five.test")
        path = f"/v1/exceptions/domains/{name}"

        def call(method, body=None):
            status, text = self.fe1.http(path, "root", "rootpass", method, body)
            return status, json.loads(text)
        status, shown = call("PUT", {"tls": "none", "detail": None})
        self.assertEqual((status, shown["here"]), (200, ["detail", "tls"]))
        self.assertEqual(call("PUT", {"tls": "verified"})[1]["here"], ["tls"])
        status, text = self.fe1.http("/v1/exceptions", "root", "rootpass")
        self.assertEqual(json.loads(text)["domains"][name], {"tls": "verified"})
        self.assertEqual(call("DELETE"), (200, {"removed": name}))
        self.assertEqual(call("DELETE")[0], 404)
        done = [(each["action"], each["after"]) for each in self.audited()
                if each["object"] == name and each["outcome"] == "done"]
        self.assertEqual(done[-1][0], "exception remove")
        self.assertIn(("exception set", {"tls": "verified"}), done)


if __name__ == "__main__":
    unittest.main()
