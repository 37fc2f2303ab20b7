"""Who is there: two running nodes with one name, members that were not seen, what a master writes
of them."""
import contextlib
import json
import re
import shutil
import sqlite3
import unittest

from nodes_lab import Lab, wait_for


def alarms(node, about):
    """Texts of the alarms about something, as `muster status` shows them."""
    return [row["text"] for row in node.ask("status")["alarms"] if row["about"] == about]


def seen(node):
    return {row["name"]: row.get("seen", {}) for row in node.ask("node", "list")["nodes"]}


def written(master):
    """What stands in the coordination store."""
    path = master.state / "coordination.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        rows = store.execute("select cast(key as text), value from entry").fetchall()
    return {key: json.loads(value) for key, value in rows}


class Twins(unittest.TestCase):
    """A state folder that was copied and started elsewhere."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.master = self.lab.master()
        self.master.do("domain", "add", "domain1.dom")
        self.first = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        elsewhere = Lab()
        self.addCleanup(elsewhere.close)
        self.twin = elsewhere.node("fe1", ["frontend"])
        shutil.copytree(self.first.state, self.twin.state,
                        ignore=shutil.ignore_patterns("*.sock", "*.lock", "replica-*"))

    def follows(self, node):
        return node.ask("status")["nodes"][0]["replica"]["phase"] == "following"

    def test_the_later_of_two_nodes_with_one_name_is_refused(self):
        wait_for(lambda: seen(self.master)["fe1"].get("connected"))
        self.twin.start()
        wait_for(lambda: "two_nodes_one_name" in self.master.log.read_text())
        said = re.search("two_nodes_one_name.*", self.master.log.read_text()).group()
        self.assertIn("node=fe1", said)
        self.assertIn("state_dir", said)
        wait_for(lambda: re.search("follower_waits.*two running nodes are called fe1",
                                   self.twin.log.read_text()))
        self.assertRegex(" ".join(alarms(self.master, "node fe1")), "two running nodes.*state_dir")
        self.assertRegex(" ".join(alarms(self.twin, "replica")), "two running nodes.*state_dir")
        self.master.do("domain", "add", "domain2.dom")
        wait_for(lambda: self.first.cli("domain", "show", "domain2.dom")[0] == 0)
        self.assertNotEqual(self.twin.cli("domain", "show", "domain2.dom")[0], 0)
        self.assertTrue(self.follows(self.first))

        self.first.stop()  # the name is free: whoever is left may have it
        wait_for(lambda: self.twin.cli("domain", "show", "domain2.dom")[0] == 0)
        self.assertEqual(alarms(self.twin, "replica"), [])

    def test_a_node_that_was_killed_comes_back_and_is_no_twin(self):
        for _ in range(3):
            wait_for(lambda: self.follows(self.first))
            self.first.process.kill()
            self.first.process.wait()
            self.first.start()
        wait_for(lambda: self.follows(self.first))
        self.assertNotIn("two_nodes_one_name", self.master.log.read_text())
        self.assertEqual(alarms(self.master, "node fe1"), [])


class Seen(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.master = self.lab.master()

    def test_what_the_master_knows_of_its_members_is_shown_and_outlives_it(self):
        front_end = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        row = wait_for(lambda: (lambda one: one if one.get("connected") else None)(
            seen(self.master)["fe1"]))
        self.assertEqual(row["when"], "now")
        self.assertTrue(row["address"].startswith("127.0.0.1:"))
        self.assertTrue(row["instance"])
        self.assertEqual(seen(front_end)["fe1"]["instance"], row["instance"], "asks the master")
        self.assertRegex(self.master.do("node", "list"), r"SEEN.*\n(.*\n)*fe1 .*now")
        front_end.stop()
        wait_for(lambda: not seen(self.master)["fe1"]["connected"])
        self.assertRegex(seen(self.master)["fe1"]["when"], r"^\d{4}-\d\d-\d\d \d\d:\d\d UTC$")
        self.master.stop()
        rows = written(self.master)
        self.assertEqual(rows["alive/fe1"]["instance"], row["instance"])
        self.assertEqual(rows["alive/fe1"]["version"], rows["alive/m1"]["version"])
        self.master.start()
        again = seen(self.master)["fe1"]
        self.assertEqual((again["instance"], again["connected"]), (row["instance"], False))
        self.master.do("--yes", "node", "remove", "fe1")
        wait_for(lambda: [row["name"] for row in self.master.ask("status")["nodes"]] == ["m1"])
        self.master.stop()
        self.assertNotIn("alive/fe1", written(self.master))

    def test_a_member_that_is_away_is_an_alarm(self):
        self.master.stop()
        text = self.master.file.read_text()
        self.master.file.write_text(text.replace("[cluster]", "[cluster]\nabsent_after = 1"))
        self.master.start()
        front_end = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        wait_for(lambda: seen(self.master)["fe1"].get("connected"))
        away = "does not follow this master, last seen"
        self.assertNotIn(away, " ".join(alarms(self.master, "node fe1")))
        front_end.stop()
        wait_for(lambda: away in " ".join(alarms(self.master, "node fe1")))
        wait_for(lambda: re.search("event=alarm.*last seen", self.master.log.read_text()), 40)
        front_end.start()
        wait_for(lambda: not alarms(self.master, "node fe1"))


if __name__ == "__main__":
    unittest.main()
