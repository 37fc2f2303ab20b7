"""What `muster status` says of the copies of the state, in its table and as JSON, and what the
metrics say."""
import re
import shutil
import time
import unittest

from nodes_lab import Lab, wait_for


def table(node, *words):
    """Rows by the node's name of the table with the column REPLICA, {heading: cell}."""
    block, = (text for text in node.do(*words, "status").split("\n\n") if text.startswith("NODE")
              and "REPLICA" in text)
    lines = block.splitlines()
    headings = lines[0].split()
    found = {}
    for line in lines[1:]:
        # Numbers stand at the right of their column, so cells are split where two spaces are.
        cells = re.split(r"  +", line.strip())
        assert len(cells) == len(headings), (lines[0], line)
        found[cells[0]] = dict(zip(headings, cells))
    return found


def replica(node, name=None):
    """The same of the JSON; of this node unless another is named."""
    status = node.ask("status")
    return {one["name"]: one.get("replica", {}) for one in status["nodes"]}[name or node.name]


def alarms(node):
    return [one for one in node.ask("status")["alarms"] if one["node"] == node.name]


def metric(node, name):
    found = re.search(rf"^{name} (\S+)$", node.http("/metrics")[1], re.M)
    return float(found[1]) if found else None


def milliseconds():
    return int(time.time() * 1000)


class Status(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.begun = milliseconds()
        self.master = self.lab.master()
        self.front_end = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        self.back_end = self.lab.member(self.master, "be1", ["backend"], "backend")
        self.followers = [self.front_end, self.back_end]
        self.settle()

    def settle(self):
        """All have what the master has."""
        head = replica(self.master)["revision"]
        for node in self.followers:
            wait_for(lambda: replica(node)["phase"] == "following"
                     and replica(node)["revision"] >= head
                     and "lag_ms" in replica(node))
        return head

    def test_of_those_in_step(self):
        self.master.do("setting", "set", "one", "1")
        head = self.settle()
        for node in [self.master, *self.followers]:
            rows = table(node)
            self.assertEqual(set(rows), {"m1", "fe1", "be1"})
            self.assertEqual([rows["m1"][name]
                              for name in ("REPLICA", "FOR", "SOURCE", "REVISION", "LAG",
                                           "TROUBLE")],
                             ["master", "-", "-", str(head), "-", "-"])
            for name in ("fe1", "be1"):
                row, told = rows[name], replica(node, name)
                self.assertEqual((row["REPLICA"], row["SOURCE"], row["REVISION"], row["TROUBLE"]),
                                 ("following", f"https://{self.master.cluster}", str(head), "-"))
                self.assertEqual((told["phase"], told["source"], told["revision"], told["filled"]),
                                 ("following", f"https://{self.master.cluster}", head, True))
                self.assertNotIn("trouble", told)
                self.assertTrue(self.begun <= told["since"] <= milliseconds(), told)
                self.assertRegex(row["FOR"], r"^\d+ (s|min)$")
                self.assertRegex(row["LAG"], r"^-?\d+ ms$")
                self.assertTrue(told["cursor"].endswith(f".{head}"), told)
        self.assertEqual([metric(node, "muster_leads") for node in [self.master, *self.followers]],
                         [1, 0, 0])
        self.assertEqual([metric(node, "muster_replica_filled") for node in self.followers], [1, 1])
        for node in [self.master, *self.followers]:
            self.assertEqual(alarms(node), [])

    def test_of_those_whose_master_is_away(self):
        head = self.settle()
        following = {node.name: replica(node)["since"] for node in self.followers}
        self.master.stop()
        stopped = milliseconds()
        for node in self.followers:
            wait_for(lambda: replica(node)["phase"] == "waiting")
            wait_for(lambda: self.master.cluster in replica(node).get("trouble", "")
                     and "cannot reach" in replica(node)["trouble"])
            for asked in self.followers:  # each says it of itself and of the others
                row, told = table(asked)[node.name], replica(asked, node.name)
                self.assertEqual((row["REPLICA"], row["SOURCE"], row["REVISION"]),
                                 ("waiting", f"https://{self.master.cluster}", str(head)))
                self.assertIn(self.master.cluster, row["TROUBLE"])
                self.assertEqual((told["revision"], told["filled"]), (head, True))
                self.assertTrue(following[node.name] <= told["since"] <= milliseconds(), told)
            self.assertEqual(metric(node, "muster_leads"), 0)
            self.assertGreater(metric(node, "muster_replica_age_seconds"), 0)
            others = table(node)["m1"]
            self.assertEqual([others[name]
                              for name in ("REPLICA", "FOR", "SOURCE", "REVISION", "LAG")],
                              ["-"] * 5)
            self.assertIn(("node m1", "cannot be reached"),
                          [(one["about"], one["text"]) for one in alarms(node)])
        since = replica(self.front_end)["since"]
        wait_for(lambda: replica(self.front_end)["age_ms"] > 1_000)
        self.assertEqual(replica(self.front_end)["since"],
                         since)  # it waits since then, not anew with each try
        self.master.start()
        self.master.do("setting", "set", "two", "2")
        self.settle()
        for node in self.followers:
            self.assertEqual(table(node)[node.name]["TROUBLE"], "-")
            self.assertGreater(replica(node)["since"], stopped)

    def test_the_lag_of_one_whose_master_is_away_is_not_what_it_was(self):
        self.master.stop()
        for node in self.followers:
            wait_for(lambda: replica(node)["phase"] == "waiting" and replica(node)["age_ms"] > 100)
            told = replica(node)
            self.assertGreaterEqual(told.get("lag_ms", told["age_ms"]), told["age_ms"])

    def test_of_those_that_wait_for_what_the_master_lost(self):
        # One that saw nothing of it, and so waits for nothing.
        fresh = self.lab.member(self.master, "fe2", ["frontend"], "frontend")
        wait_for(lambda: replica(fresh)["phase"] == "following")
        fresh.stop()
        self.master.stop()
        old = self.lab.folder / "old.db"
        shutil.copy(self.master.state / "directory.db", old)
        self.master.start()
        for name in range(3):
            self.master.do("setting", "set", f"lost{name}", "1")
        head = self.settle()
        self.master.stop()
        for file in self.master.state.glob("directory.db*"):
            file.unlink()
        shutil.copy(old, self.master.state / "directory.db")
        self.master.start()
        for node in self.followers:
            wait_for(lambda: "behind" in replica(node).get("trouble", ""))
            row, told = table(node)[node.name], replica(node)
            self.assertEqual((row["REPLICA"], row["REVISION"], row["SOURCE"]),
                             ("waiting", str(head), f"https://{self.master.cluster}"))
            for words in (row["TROUBLE"], told["trouble"]):
                self.assertRegex(words, "is behind this replica, which waits .*muster cluster")
            self.assertEqual(node.cli("setting", "show", "lost2")[0], 0)
            self.assertIn("behind",
                          " ".join(one["text"] for one in alarms(node)
                                   if one["about"] == "replica"))
        self.assertEqual(metric(self.master, "muster_leads"), 1)
        wait_for(lambda: self.own_alarms(self.master))
        fresh.start()
        wait_for(lambda: replica(fresh)["phase"] == "following")
        for node in [fresh, self.master, *self.followers]:  # they are counted every 15 s
            wait_for(lambda: metric(node, "muster_alarms") == len(self.own_alarms(node)), 60)
            self.assertEqual(metric(node, "muster_alarms") > 0, node is not fresh)

    def own_alarms(self, node):
        """Without those that the asking node makes up of who does not answer."""
        return [one for one in alarms(node) if not one["text"] == "cannot be reached"]

    def test_of_one_that_was_never_filled(self):
        token = self.master.ask("token", "add", "--scope", "frontend")
        late = self.lab.node("fe2", ["frontend"])
        late.do("cluster", "join", "--master", self.master.cluster, "--pin", token["pin"],
                "--token-stdin",
                stdin=token["token"] + "\n")
        self.master.stop()
        late.start()
        wait_for(lambda: replica(late)["phase"] == "waiting")
        row, told = table(late)["fe2"], replica(late)
        self.assertEqual([row[name] for name in ("REPLICA", "SOURCE", "REVISION", "LAG")],
                         ["waiting", f"https://{self.master.cluster}", "-", "-"])
        self.assertEqual((told["filled"], told["entries"]), (False, 0))
        self.assertFalse({"revision", "cursor", "lag_ms", "age_ms"} & set(told))
        self.assertEqual((metric(late, "muster_replica_filled"),
                          metric(late, "muster_replica_age_seconds")), (0, -1))
        self.assertEqual([one["text"] for one in alarms(late) if one["about"] == "replica"],
                         ["was never filled"])
        self.assertEqual(late.http("/readyz")[0], 503)


class Leading(unittest.TestCase):
    def test_who_leads_is_told_by_status_and_metrics_before_and_after_a_promotion(self):
        lab = Lab()
        self.addCleanup(lab.close)
        first = lab.master()
        second = lab.member(first, "m2", ["master"], "master")
        front_end = lab.member(first, "fe1", ["frontend"], "frontend")
        for leader, other in ((first, second), (second, first)):
            if leader is second:
                wait_for(lambda: replica(second)["phase"] == "following"
                         and replica(second)["revision"] >= replica(first)["revision"])
                first.do("cluster", "promote", "m2", "--yes")
            wait_for(lambda: [metric(node, "muster_leads")
                              for node in (leader, other, front_end)] == [1, 0, 0])
            for node in (leader, other, front_end):
                wait_for(lambda: table(node)[leader.name]["REPLICA"] == "master")
                wait_for(lambda: table(node)[other.name]["REPLICA"] == "following")
                wait_for(lambda: table(node)["fe1"]["SOURCE"] == f"https://{leader.cluster}")
                self.assertEqual(table(node)[other.name]["SOURCE"], f"https://{leader.cluster}")


if __name__ == "__main__":
    unittest.main()
