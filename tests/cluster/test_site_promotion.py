"""The master changes by plan while two sites are at work: imports and single changes through other nodes,
and a front end behind a link that is cut just then. Real processes in network namespaces."""
import json
import threading
import unittest

from nodes_lab import entries, wait_for
from sites_lab import POSSIBLE, Rcpt, SitesLab, in_step, rows_of_csv, smtp_listener
from test_promotion import leads, names, source, standing

IMPORTED = 3_000  # accounts of one import
BULK = 40_000


def accounts_by_file(node):
    """The accounts in each file of the directory: a stand-in has one of the time when it led, too."""
    return [{key for key in entries(file) if key.startswith("account/")}
            for file in [*node.state.glob("replica-*.db"), *node.state.glob("directory.db")]]


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class SitePromotion(unittest.TestCase):
    def setUp(self):
        self.lab = lab = SitesLab("hq", "second", "branch")
        self.addCleanup(lab.close)
        self.m1 = lab.master_at("hq")
        self.m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1143",
                   "imap.tls=none", "smtp.port=25", "smtp.tls=none")
        self.m1.do("domain", "add", "big.dom", "--servers", "sv1")
        self.m2 = lab.member_at("second", self.m1, "m2", ["master"], "master")
        self.back_end = lab.member_at(  # its file names m1 for good, which is asked first
            "hq", self.m1, "be1", ["backend"], "backend",
            before_start=lambda node: node.change_file(
                "[cluster]\n", f'[cluster]\nmasters = ["{self.m1.cluster}"]\n'))
        self.near = lab.member_at("second", self.m1, "fe1", ["frontend"], "frontend")
        self.far = lab.member_at("branch", self.m1, "fe2", ["frontend"], "frontend")
        port = lab.sites["branch"].free_port()
        self.relay = lab.follower_at("branch", self.m1, "br1", roles=("master", "frontend"),
                                     extra=smtp_listener(port))
        self.rcpt = Rcpt(self.relay, port)
        self.password = lab.folder / "password"
        self.password.write_text("rootpass\n")
        self.password.chmod(0o600)
        self.m1.do("account", "import", rows_of_csv(lab.folder / "bulk.csv", BULK, "bulk"))
        for node in (self.back_end, self.near, self.far, self.relay):
            wait_for(lambda: in_step(node) and
                     node.cli("account", "locate", f"bulk{BULK - 1}@big.dom")[0] == 0, 30)
        wanted = standing(self.m1)["revision"]
        wait_for(lambda: standing(self.m2)["revision"] >= wanted and standing(self.m2)["may_lead"])
        wait_for(lambda: self.rcpt("bulk7@big.dom").startswith("250"))
        for node in (self.far, self.near):  # they know who could lead
            wait_for(lambda: names(node).get("m2", {}).get("eligible"))

    def single(self, node, prefix, *credentials):
        """Adds accounts one after the other until it is over."""
        count = 0
        while not self.over.is_set():
            address = f"{prefix}{count}@big.dom"
            code, _, error = node.cli(*credentials, "account", "add", address, "--no-password")
            if code == 0:
                self.acknowledged.append(address)
            else:
                self.refused.append((address, error))
            count += 1

    def imports(self, node):
        count = 0
        while not self.over.is_set():
            prefix = f"import{count}-"
            path = rows_of_csv(self.lab.folder / f"{prefix}.csv", IMPORTED, prefix)
            code, out, error = node.cli("account", "import", path)
            if code == 0:
                self.imported.append(prefix)
            else:
                self.torn.append((prefix, out + error))
            count += 1

    def addresses(self, node):
        return {json.loads(line)["address"] for line in
                node.do("account", "export", "--format", "jsonl").splitlines()}

    def test_a_planned_change_at_full_work_with_a_link_that_is_cut(self):
        self.over = threading.Event()
        self.acknowledged, self.refused, self.imported, self.torn = [], [], [], []
        as_root = ("--user", "root", "--user-password-file", str(self.password))
        threads = [threading.Thread(target=self.single, args=(self.m1, "one")),
                   threading.Thread(target=self.single, args=(self.near, "fe", *as_root)),
                   threading.Thread(target=self.single, args=(self.back_end, "be")),
                   threading.Thread(target=self.imports, args=(self.back_end,))]
        branch = self.lab.sites["branch"]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: self.imported and len(self.acknowledged) > 10, 40)
            branch.cut()
            for leader, next_ in ((self.m1, self.m2), (self.m2, self.m1), (self.m1, self.m2)):
                before, imported = len(self.acknowledged), len(self.imported)
                code, out, error = self.back_end.cli("cluster", "promote", next_.name, "--yes")
                self.assertEqual(code, 0, error)
                self.assertIn(f"Now {leader.name} leads", out)
                wait_for(lambda: leads(next_) and not standing(leader)["leads"])
                wait_for(lambda: len(self.acknowledged) > before + 10 and
                         len(self.imported) > imported, 60)
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        print(f"{len(self.acknowledged)} accounts one by one, {len(self.imported)} imports of "
              f"{IMPORTED}; refused {len(self.refused)} and {len(self.torn)}")
        self.assertEqual(self.refused, [])
        # An import that met the change says so, and is nowhere; the next one finds the new master.
        for prefix, said in self.torn:
            self.assertRegex(said, "the master is changing, nothing was changed", prefix)
        wanted = set(self.acknowledged) | {f"{prefix}{number}@big.dom" for prefix in self.imported
                                           for number in range(IMPORTED)}
        has = self.addresses(self.m2)
        self.assertEqual(wanted - has, set())
        for prefix, said in self.torn:
            self.assertEqual(sum(address.startswith(prefix) for address in has), 0, said)
        self.assertEqual(list(self.m1.state.glob("surplus-*")), [])
        self.assertEqual(list(self.m2.state.glob("surplus-*")), [])
        keys = {f"account/{address}" for address in has}
        for node in (self.m1, self.near, self.back_end):
            wait_for(lambda: keys in accounts_by_file(node), 30)
        # At the branch it was not heard of yet.
        last = self.acknowledged[-1]
        self.assertNotEqual(self.far.cli("account", "locate", last)[0], 0)
        self.assertRegex(self.rcpt(last), "^[45]50")
        self.assertRegex(self.rcpt("bulk7@big.dom"), "^250")
        branch.mend()
        wait_for(lambda: self.far.cli("account", "locate", last)[0] == 0, 30)
        wait_for(lambda: self.rcpt(last).startswith("250"), 30)
        wait_for(lambda: self.m2.cluster in source(self.far), 30)
        self.assertTrue(names(self.far)["m2"]["master"])
        self.assertEqual(accounts_by_file(self.far), [keys])
        self.m2.do("account", "add", "end@big.dom", "--no-password")
        wait_for(lambda: self.rcpt("end@big.dom").startswith("250"), 5)


if __name__ == "__main__":
    unittest.main()
