"""Two masters that both believe they lead, on the two sides of a cut link: both take changes until it is
mended. Then one leads, the other says what it alone had, and all followers are as the leader. Real
processes in network namespaces."""
import json
import os
import stat
import threading
import unittest

import harness
import mail_lab
from nodes_lab import cluster_answer, entries, wait_for
from sites_lab import POSSIBLE, Rcpt, SitesLab, in_step, rows_of_csv, smtp_listener
from test_promotion import standing

IMPORTED = 20_000
OLD = [f"old{number}@d.dom" for number in range(20)]
SEEN_BY_ALL = ("account", "alias", "domain", "server", "setting")


def quick(node):
    """It notices a cut link early."""
    node.change_file("inactivity_timeout = 5", "inactivity_timeout = 2")


def directories(node, *families):
    """The entries of these families (all, if none is named) by file of the directory."""
    folder = node.state
    if not list(folder.glob("*.db")) or node.name.startswith("br"):
        folder = folder / "networks/hq"
    return [{key: json.loads(value) for key, value in entries(file).items()
             if not families or key.split("/")[0] in families}
            for file in [*folder.glob("replica-*.db"), *folder.glob("directory.db")]]


class Serving(threading.Thread):
    """Asks all fronts, one after the other, for recipients who were there from the start. What was
    not taken stands in `failures`."""

    def __init__(self, fronts):
        super().__init__()
        self.fronts, self.over = fronts, threading.Event()
        self.rounds, self.failures = 0, []

    def run(self):
        while not self.over.is_set():
            address = OLD[self.rounds % len(OLD)]
            for rcpt in self.fronts:
                try:
                    answer = rcpt(address)
                except (OSError, AssertionError) as error:
                    answer = repr(error)
                if not answer.startswith("250"):
                    self.failures.append((rcpt.node.name, address, answer))
            self.rounds += 1

    def end(self):
        self.over.set()
        self.join()


class Changes(threading.Thread):
    """Adds accounts at a node, one after the other, whoever leads."""

    def __init__(self, node, prefix):
        super().__init__()
        self.node, self.prefix, self.over = node, prefix, threading.Event()
        self.done, self.refused = [], []

    def run(self):
        while not self.over.is_set():
            address = f"{self.prefix}{len(self.done) + len(self.refused)}@d.dom"
            code, _, error = self.node.cli("account", "add", address, "--no-password")
            if code == 0:
                self.done.append(address)
            else:
                self.refused.append((address, error))

    def end(self):
        self.over.set()
        self.join()


class Imports(threading.Thread):
    """The same with many accounts at a time."""

    def __init__(self, node, folder):
        super().__init__()
        self.node, self.folder, self.over = node, folder, threading.Event()
        self.done, self.refused = [], []

    def run(self):
        while not self.over.is_set():
            prefix = f"import{len(self.done) + len(self.refused)}-"
            path = rows_of_csv(self.folder / f"{prefix}.csv", IMPORTED // 10, prefix, "d.dom")
            addresses = {f"{prefix}{number}@d.dom" for number in range(IMPORTED // 10)}
            code, out, error = self.node.cli("account", "import", path)
            if code == 0:
                self.done.append(addresses)
            else:
                self.refused.append((addresses, out + error))

    def end(self):
        self.over.set()
        self.join()


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class CutMasters(unittest.TestCase):
    def setUp(self):
        self.lab = lab = SitesLab("hq", "branch")
        self.addCleanup(lab.close)
        self.branch = lab.sites["branch"]
        self.m1 = lab.master_at("hq", before_start=quick)
        self.m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1143",
                   "imap.tls=none", "smtp.port=25", "smtp.tls=none")
        self.m1.do("domain", "add", "d.dom", "--servers", "sv1")
        for address in (*OLD, "both@d.dom"):
            self.m1.do("account", "add", address, "--no-password")
        self.m1.do("alias", "add", "gone@d.dom", OLD[0])
        self.m2 = lab.member_at("branch", self.m1, "m2", ["master"], "master", before_start=quick)
        self.back_end = lab.member_at("hq", self.m1, "be1", ["backend"], "backend",
                                      before_start=quick)
        self.hq_front = self.front("hq", "fe1")
        self.branch_front = self.front("branch", "fe2")
        port = self.branch.free_port()
        relay = lab.follower_at("branch", self.m1, "br1", roles=("master", "frontend"),
                                extra=smtp_listener(port), inactivity_timeout=2)
        self.relay = Rcpt(relay, port)
        self.fronts = (self.hq_front, self.branch_front, self.relay)
        for node in (self.back_end, *(rcpt.node for rcpt in self.fronts)):
            wait_for(lambda: in_step(node))
        wanted = standing(self.m1)["revision"]
        wait_for(lambda: standing(self.m2)["revision"] >= wanted and standing(self.m2)["may_lead"])
        for rcpt in self.fronts:
            wait_for(lambda: rcpt("gone@d.dom").startswith("250"))
            wait_for(lambda: rcpt("nobody@d.dom").startswith("550 5.1.1"))

    def front(self, site, name):
        port = self.lab.sites[site].free_port()
        node = self.lab.member_at(site, self.m1, name, ["frontend"], "frontend",
                                  extra=smtp_listener(port), before_start=quick)
        return Rcpt(node, port)

    def lasting(self, rcpt):
        """A conversation that began before the link was cut."""
        with rcpt.node.site.inside():
            line = mail_lab.Smtp(rcpt.port, source=harness.new_source())
        self.addCleanup(line.close)
        return line

    def all_go_on(self):
        for line in self.lines:
            self.assertRegex(line.envelope("someone@elsewhere.test", OLD[0])[0], "^250")
            line.command("RSET")

    def begin(self, thread):
        thread.start()
        self.addCleanup(thread.end)
        return thread

    def both_lead(self):
        self.assertTrue(self.m1.here()["leads"] and self.m2.here()["leads"])

    def answers(self, rcpt, address, code):
        wait_for(lambda: rcpt(address).startswith(code), 30)

    def test_both_take_changes_until_the_link_is_mended(self):
        self.lines = [self.lasting(rcpt) for rcpt in self.fronts]
        serving = self.begin(Serving(self.fronts))
        self.branch.cut()
        code, out, error = self.m2.cli("cluster", "promote", "m2", "--yes", "--force")
        self.assertEqual(code, 0, error)
        self.both_lead()
        # Each side has its own, and what the other side does it does not hear.
        self.m1.do("account", "add", "hq@d.dom", "--no-password")
        self.m1.do("account", "set", "both@d.dom", "quota=1000")
        self.m1.do("--yes", "alias", "remove", "gone@d.dom")
        self.m1.do("domain", "add", "hq.dom", "--servers", "sv1")
        self.back_end.do("account", "add", "sales@hq.dom", "--no-password")
        self.m2.do("account", "add", "branch@d.dom", "--no-password")
        self.m2.do("account", "set", "both@d.dom", "quota=2000")
        self.m2.do("alias", "add", "kept@d.dom", "branch@d.dom")
        for address in ("hq@d.dom", "sales@hq.dom"):
            self.answers(self.hq_front, address, "250")
        self.answers(self.hq_front, "gone@d.dom", "550")
        for rcpt in (self.branch_front, self.relay):
            for address in ("branch@d.dom", "kept@d.dom"):
                self.answers(rcpt, address, "250")
            self.assertRegex(rcpt("gone@d.dom"), "^250")
            self.assertRegex(rcpt("hq@d.dom"), "^550 5.1.1")
            self.assertRegex(rcpt("sales@hq.dom"), "^550 5.7.1")
        self.assertRegex(self.hq_front("branch@d.dom"), "^550")
        self.both_lead()
        self.all_go_on()
        self.assertEqual(self.back_end.ask("account", "show", "both@d.dom")["quota"], 1000)

        # Mended while both are being changed.
        writers = [self.begin(Changes(self.m1, "one")), self.begin(Changes(self.back_end, "be")),
                   self.begin(Changes(self.m2, "two"))]
        wait_for(lambda: all(len(writer.done) > 3 for writer in writers))
        self.branch.mend()
        wait_for(lambda: not self.m1.here()["leads"], 40)
        self.assertTrue(self.m2.here()["leads"])
        (file,) = self.m1.state.glob("surplus-*.json")
        self.assertIn(file.name, self.m1.alarms("master"))
        seen = [len(writer.done) for writer in writers]
        wait_for(lambda: all(len(writer.done) > before + 3
                             for writer, before in zip(writers, seen)), 40)
        for writer in writers:
            writer.end()
        self.one_leads(file)
        self.nothing_vanished(file, writers)
        self.all_are_as_the_leader()
        self.assertEqual(self.back_end.ask("account", "show", "both@d.dom")["quota"], 2000)
        for rcpt in self.fronts:
            for address in ("gone@d.dom", "both@d.dom", "branch@d.dom", "kept@d.dom"):
                self.answers(rcpt, address, "250")
            self.assertRegex(rcpt("hq@d.dom"), "^550 5.1.1")
            self.assertRegex(rcpt("sales@hq.dom"), "^550 5.7.1")
        self.all_go_on()
        serving.end()
        self.assertEqual(serving.failures, [])
        self.assertGreater(serving.rounds, 10)

    def test_imports_and_restarts_while_both_lead(self):
        """What only one had is kept whole, however much it is, and whoever was started anew."""
        serving = self.begin(Serving((self.branch_front, self.relay)))
        self.branch.cut()
        code, out, error = self.m2.cli("cluster", "promote", "m2", "--yes", "--force")
        self.assertEqual(code, 0, error)
        for node, prefix in ((self.m1, "hq-"), (self.m2, "branch-")):
            node.do("account", "import",
                    rows_of_csv(self.lab.folder / f"{prefix}.csv", IMPORTED, prefix, "d.dom"))
            node.stop()
            node.start()
            wait_for(lambda: node.here()["leads"])
            node.do("account", "add", f"{prefix}last@d.dom", "--no-password")
        self.answers(self.hq_front, "hq-last@d.dom", "250")
        self.answers(self.relay, f"branch-{IMPORTED - 1}@d.dom", "250")
        imports = self.begin(Imports(self.back_end, self.lab.folder))
        wait_for(lambda: imports.done)
        self.branch.mend()
        wait_for(lambda: not self.m1.here()["leads"], 40)
        before = len(imports.done)
        wait_for(lambda: len(imports.done) > before + 1, 40)
        imports.end()
        (file,) = self.m1.state.glob("surplus-*.json")
        surplus = json.loads(file.read_text())
        self.assertTrue(surplus["complete"])
        kept = {change["key"][8:] for change in surplus["changes"]
                if change["key"].startswith("account/")}
        has = {json.loads(line)["address"] for line in
               self.m2.do("account", "export", "--format", "jsonl").splitlines()}
        one, other = ({f"{prefix}{number}@d.dom" for number in [*range(IMPORTED), "last"]}
                      for prefix in ("hq-", "branch-"))
        self.assertEqual((one - kept, one & has), (set(), set()))
        self.assertEqual((other - has, other & kept), (set(), set()))
        for addresses in imports.done:  # all of each, here or there
            self.assertTrue(addresses <= kept - has or addresses <= has - kept)
        for addresses, said in imports.refused:
            self.assertIn("nothing was changed", said)
            self.assertFalse(addresses & (kept | has), said)
        self.all_are_as_the_leader()
        serving.end()
        self.assertEqual(serving.failures, [])

    def one_leads(self, file):
        for node in (self.m1, self.m2, self.back_end, self.hq_front.node, self.branch_front.node):
            wait_for(lambda: {row["name"]: row["leads"] for row in node.ask(
                "cluster", "masters")["masters"]} == {"m1": False, "m2": True}, 30)
        self.assertFalse(standing(self.m1)["writes"])
        self.assertRegex(self.m1.log.read_text(), "event=deposed .*m2 leads since revision")
        self.assertIn("changes that the cluster has not", self.m1.alarms("master"))
        rows = [row for row in self.m2.ask("status")["alarms"] if row["node"] == "m1"]
        self.assertTrue(any(file.name in row["text"] for row in rows), rows)
        self.assertNotIn("event=deposed", self.m2.log.read_text())
        self.assertEqual(list(self.m2.state.glob("surplus-*")), [])
        # Asked itself, by a member who takes it for the master, it changes nothing.
        with self.m1.site.inside():
            status, said = cluster_answer(self.m1.cluster, "POST", "/v1/accounts",
                                          {"address": "late@d.dom"}, member=self.back_end)
        self.assertGreaterEqual(status, 400, said)
        self.assertTrue(json.loads(said)["not_leading"])
        self.assertFalse(self.m2.knows("late@d.dom"))

    def nothing_vanished(self, file, writers):
        """What was acknowledged stands in the cluster or in the file; what was refused, nowhere."""
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        surplus = json.loads(file.read_text())
        self.assertEqual((surplus["leader"], surplus["complete"]), ("m2", True))
        changed = {change["key"]: change["value"] for change in surplus["changes"]}
        self.assertLessEqual({"account/hq@d.dom", "domain/hq.dom", "account/sales@hq.dom"},
                             set(changed))
        self.assertIsNone(changed["alias/gone@d.dom"])
        self.assertEqual(changed["account/both@d.dom"]["quota"], 1000)
        self.assertNotIn("account/branch@d.dom", changed)
        has = {json.loads(line)["address"] for line in
               self.m2.do("account", "export", "--format", "jsonl").splitlines()}
        self.assertLessEqual({*OLD, "branch@d.dom", "both@d.dom"}, has)
        self.assertFalse({"hq@d.dom", "sales@hq.dom"} & has)
        at_m2 = set(writers[2].done)
        self.assertEqual(writers[2].refused, [])
        self.assertEqual(at_m2 - has, set())
        for writer in writers[:2]:
            kept = {address for address in writer.done if f"account/{address}" in changed}
            self.assertTrue(kept and kept != set(writer.done), writer.prefix)
            self.assertEqual(kept & has, set())
            self.assertEqual(set(writer.done) - kept - has, set())
            for address, said in writer.refused:
                self.assertIn("nothing was changed", said)
                self.assertNotIn(address, has)
                self.assertNotIn(f"account/{address}", changed)

    def all_are_as_the_leader(self):
        self.m1.do("account", "add", "last@d.dom", "--no-password")  # m2 does it
        for rcpt in self.fronts:
            self.answers(rcpt, "last@d.dom", "250")
        try:
            wait_for(lambda: directories(self.m1) == directories(self.m2), 30)
        except AssertionError as error:
            (ours,), (theirs,) = directories(self.m1)[:1], directories(self.m2)
            raise AssertionError([(key, ours.get(key), theirs.get(key)) for key in {*ours, *theirs}
                                  if ours.get(key) != theirs.get(key)][:20]) from error
        (leaders,) = directories(self.m2)
        ours = {key: value for key, value in leaders.items() if key.split("/")[0] in SEEN_BY_ALL}
        for node in (self.back_end, self.hq_front.node, self.branch_front.node):
            wait_for(lambda: directories(node, *SEEN_BY_ALL) == [ours], 30)
        wait_for(lambda: [set(one) for one in directories(self.relay.node, *SEEN_BY_ALL)] ==
                 [set(ours)], 30)


if __name__ == "__main__":
    unittest.main()
