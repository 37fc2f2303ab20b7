"""Every command at any node of the cluster: passed on to the node that is meant, or to the master."""
import json
import unittest

from nodes_lab import Lab, cluster_answer, wait_for
from test_administration import set_up_directory

ROWS = 20_000


class AnyNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend")
        cls.other = cls.lab.member(cls.master, "fe2", ["frontend"], "frontend")
        cls.back_end = cls.lab.member(cls.master, "be1", ["backend"], "backend")
        wait_for(lambda: {"fe1", "fe2"} <= {key[5:] for key in cls.back_end.replica_keys("node")})
        cls.password = cls.lab.folder / "password"
        cls.password.write_text("rootpass\n")
        cls.password.chmod(0o600)

    def as_root(self, node, *words, stdin=""):
        return node.cli("--user", "root", "--user-password-file", str(self.password), *words,
                        stdin=stdin)

    def done(self, action):
        return [one for one in self.master.ask("audit", "list")["audit"]
                if one["action"] == action]


class Named(AnyNode):
    def test_a_node_is_asked_about_itself_through_another(self):
        for node in (self.back_end, self.front_end, self.master):
            status = node.ask("--node", "fe2", "status")
            self.assertEqual([one["name"] for one in status["nodes"]], ["fe2"])
            self.assertEqual(status["node"], "fe2")
        self.assertIn("fe2", self.back_end.do("--node=fe2", "status"))
        self.assertEqual(self.back_end.ask("session", "list", "--node", "fe1")["sessions"], [])

    def test_naming_the_node_itself_asks_nobody_else(self):
        status = self.front_end.ask("--node", "fe1", "status")
        self.assertEqual([one["name"] for one in status["nodes"]], ["fe1"])

    def test_what_only_that_node_can_do_is_done_there(self):
        self.front_end.write_file(["frontend"], "[limits]\nfailures = 7\n")
        answer = self.back_end.ask("--node", "fe1", "node", "reload")
        self.assertEqual(answer["reloaded"], "fe1")
        self.assertIn("limits.failures", answer["taken_over"] + answer["need_restart"])
        self.assertEqual(self.back_end.http("/healthz")[0], 200)

    def test_a_front_end_changes_another_only_with_an_administrator(self):
        code, _, error = self.front_end.cli("--node", "fe2", "node", "reload")
        self.assertEqual(code, 1)
        self.assertIn("administrator", error)
        code, _, error = self.as_root(self.front_end, "--node", "fe2", "node", "reload")
        self.assertEqual(code, 0, error)

    def test_commands_for_the_master_reach_it_whatever_node_is_named(self):
        self.back_end.do("--node", "fe1", "account", "add", "named@domain1.dom", "--home", "sv1",
                         "--password-stdin", stdin="secret\n")
        wait_for(lambda: self.front_end.knows("named@domain1.dom"))

    def test_a_name_that_is_no_node_and_a_revoked_one_are_told_apart(self):
        code, _, error = self.master.cli("--node", "nobody", "status")
        self.assertEqual(code, 1)
        self.assertIn("there is no node nobody", error)
        lost = self.lab.member(self.master, "lost", ["frontend"], "frontend")
        lost.stop()
        self.master.do("node", "set", "lost", "revoked=true")
        wait_for(lambda: "was revoked" in self.master.cli("--node", "lost", "status")[2])

    def test_a_node_that_is_away_is_said_to_be(self):
        away = self.lab.member(self.master, "away", ["frontend"], "frontend")
        away.stop()
        code, _, error = self.back_end.cli("--node", "away", "status")
        self.assertEqual(code, 1)
        self.assertIn(away.cluster, error)
        self.assertEqual(json.loads(self.back_end.http(
            "/v1/status?here=1", "root", "rootpass")[1])["name"], "be1")

    def test_what_a_member_passes_on_goes_no_further(self):
        # A member that names a third node is answered by the one that it asked.
        status, text = cluster_answer(self.back_end.cluster, "GET", "/v1/status", member=self.front_end,
                                      headers=[("X-Muster-Node", "m1")])
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(text)["name"], "be1")


class Versions(AnyNode):
    def families(self, *headers):
        _, text = cluster_answer(self.master.cluster, "GET", "/v1/copy", member=self.front_end,
                                 headers=headers)
        return {json.loads(line)["key"].split("/")[0] for line in text.splitlines()
                if line.startswith('{"key"')}

    def test_a_follower_of_the_first_version_is_sent_nothing_that_it_does_not_know(self):
        wait_for(lambda: "secret" in self.families(("X-Muster-Scope", "frontend")))
        self.assertNotIn("secret", self.families())
        self.assertIn("domain", self.families())


class LargeBodies(AnyNode):
    def rows(self, first):
        path = self.lab.folder / f"accounts-{first}.csv"
        path.write_text("address,home\n" + "".join(
            f"p{first + number}@domain1.dom,sv1\n" for number in range(ROWS)))
        return str(path)

    def test_an_import_at_a_back_end_is_made_at_the_master(self):
        report = self.back_end.ask("account", "import", self.rows(0))
        self.assertEqual(report["created"], ROWS)
        wait_for(lambda: self.front_end.knows(f"p{ROWS - 1}@domain1.dom"))
        self.assertIn("node:be1 for unix:", str([one["who"] for one in self.done("account import")]))

    def test_an_import_at_a_front_end_needs_an_administrator(self):
        file = self.rows(ROWS)
        code, _, error = self.front_end.cli("account", "import", file)
        self.assertEqual(code, 1)
        self.assertIn("administrator", error)
        self.assertFalse(self.master.knows(f"p{ROWS}@domain1.dom"))
        code, out, error = self.as_root(self.front_end, "account", "import", file, "--json")
        self.assertEqual(code, 0, error)
        self.assertEqual(json.loads(out)["created"], ROWS)

    def test_a_broken_import_says_why_through_another_node(self):
        path = self.lab.folder / "broken.csv"
        path.write_text("address,home\nx@nowhere.dom,sv1\n")
        at_master = self.master.cli("account", "import", str(path))
        self.assertEqual(self.back_end.cli("account", "import", str(path)), at_master)
        self.assertEqual(at_master[0], 1)

    def test_export_and_backup_come_through_any_node(self):
        target = self.lab.folder / "through-fe1.json"
        code, _, error = self.as_root(self.front_end, "cluster", "export", str(target))
        self.assertEqual(code, 0, error)
        self.assertIn("domain1.dom", json.loads(target.read_text())["domains"])
        backup = self.lab.folder / "through-be1.backup"
        code, _, error = self.as_root(self.back_end, "cluster", "backup", str(backup),
                                      "--password-stdin", stdin="a passphrase\n")
        self.assertEqual(code, 0, error)
        self.assertGreater(backup.stat().st_size, 1000)
        # A member's own word is not enough: the authority's key is in it.
        code, _, error = self.back_end.cli("cluster", "backup", str(backup) + ".2",
                                           "--password-stdin", stdin="a passphrase\n")
        self.assertEqual(code, 1)
        self.assertIn("administrator", error)

    def test_passwords_can_be_set_at_any_node(self):
        self.master.do("account", "add", "pwd@domain1.dom", "--home", "sv1", "--password-stdin",
                       stdin="secret\n")
        code, _, error = self.as_root(self.front_end, "account", "password", "pwd@domain1.dom",
                                      "--password-stdin", stdin="another\n")
        self.assertEqual(code, 0, error)
        self.assertIn("admin:root by node:fe1", [one["who"] for one in self.done("account password")])


class AfterAChangeOfMaster(AnyNode):
    def test_an_import_finds_who_leads(self):
        second = self.lab.member(self.master, "m2", ["master"], "master")
        # The file of a node that joined by it names the first master for ever.
        self.back_end.stop()
        self.back_end.file.write_text(self.back_end.file.read_text().replace(
            "[cluster]", f'[cluster]\nmasters = ["{self.master.cluster}", "{second.cluster}"]'))
        self.back_end.start()
        wait_for(lambda: self.master.cli("cluster", "promote", "m2", "--yes")[0] == 0)
        path = self.lab.folder / "after.csv"
        path.write_text("address,home\nafter@domain1.dom,sv1\n")
        self.assertEqual(self.back_end.ask("account", "import", str(path))["created"], 1)
        self.master.stop()
        path.write_text("address,home\nafter2@domain1.dom,sv1\n")
        self.assertEqual(self.back_end.ask("account", "import", str(path))["created"], 1)
        wait_for(lambda: self.front_end.knows("after2@domain1.dom"))


class WithoutMaster(AnyNode):
    def test_what_needs_the_master_says_so_and_changes_nothing_and_the_rest_works(self):
        self.master.stop()
        path = self.lab.folder / "late.csv"
        path.write_text("address,home\nlate@domain1.dom,sv1\n")
        for words in (("account", "import", str(path)), ("account", "add", "late@domain1.dom", "--password-stdin"),
                      ("node", "set", "fe2", "admin=drain"), ("cluster", "export")):
            code, _, error = self.back_end.cli(*words, stdin="secret\n")
            self.assertEqual(code, 1, words)
            self.assertIn(self.master.cluster, error, words)
        self.assertEqual(self.back_end.ask("--node", "fe2", "status")["node"], "fe2")
        self.master.start()
        self.assertFalse(self.master.knows("late@domain1.dom"))
        wait_for(lambda: self.back_end.ask("status")["nodes"][0]["replica"]["phase"] == "following")


if __name__ == "__main__":
    unittest.main()
