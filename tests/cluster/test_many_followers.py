"""A master with twenty followers: front ends, relays and mirrors. Bursts, a master that is away, one that
is put out, one that is drained and removed, and a master whose address changes. Real processes."""
import concurrent.futures
import json
import re
import time
import unittest

from nodes_lab import wait_for
from sites_lab import POSSIBLE, SitesLab, network, rows_of_csv
from test_followed_networks import rows

FRONT_ENDS, RELAYS, MIRRORS = 6, 8, 6
BURST = 10_000


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class ManyFollowers(unittest.TestCase):
    """One test, in the order of a long day: starting twenty nodes takes longer than all else."""

    def setUp(self):
        pool = concurrent.futures.ThreadPoolExecutor(2)
        self.addCleanup(pool.shutdown)  # nodes end with the thread that started them
        self.lab = SitesLab("hq")  # a network of its own: nobody else's ports
        self.addCleanup(self.lab.close)
        self.master = self.lab.master_at("hq")
        self.master.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=143",
                       "imap.tls=none")
        self.master.do("domain", "add", "big.dom", "--servers", "sv1")
        self.master.do("domain", "add", "far0.dom", "kind=remote")
        self.front_ends, self.relays, self.mirrors = [], [], []
        started = [pool.submit(self.start, kind, number)
                   for kind, count in (("fe", FRONT_ENDS), ("br", RELAYS), ("mi", MIRRORS))
                   for number in range(count)]
        for one in concurrent.futures.as_completed(started):
            node = one.result()
            {"fe": self.front_ends, "br": self.relays, "mi": self.mirrors}[
                node.name[:2]].append(node)

    def start(self, kind, number):
        name = f"{kind}{number}"
        if kind == "fe":
            return self.lab.member_at("hq", self.master, name, ["frontend"], "frontend")
        return self.lab.follower_at("hq", self.master, name,
                                    mode="relay" if kind == "br" else "mirror")

    @property
    def followers(self):
        return self.front_ends + self.relays + self.mirrors

    def phase(self, node):
        return node.here()["replica"]["phase"] if node in self.front_ends \
            else network(node)["phase"]

    def all_follow(self, nodes=None, seconds=30):
        began = time.monotonic()
        for node in nodes or self.followers:
            wait_for(lambda: self.phase(node) == "following", seconds)
        return time.monotonic() - began

    def reaches_all(self, number, seconds=30, but=()):
        """A remote domain and an account, which between them every kind sees."""
        self.master.do("domain", "add", f"far{number}.dom", "kind=remote")
        self.master.do("account", "add", f"one{number}@big.dom", "--no-password")
        began = time.monotonic()
        for node in [node for node in self.followers if node not in but]:
            if node in self.mirrors:
                wait_for(lambda: f"domain/far{number}.dom" in rows(node), seconds)
            else:
                wait_for(lambda: node.cli("account", "locate", f"one{number}@big.dom")[0] == 0,
                         seconds)
        return time.monotonic() - began

    def seen(self):
        return {row["name"]: row.get("seen", {}) for row in
                self.master.ask("node", "list")["nodes"]}

    def all_seen(self):
        seen = self.seen()
        return all(seen[node.name].get("connected") for node in self.followers)

    def test_a_long_day(self):
        self.all_follow()
        wait_for(self.all_seen)
        self.reaches_all(1)
        self.burst()
        self.without_the_master()
        self.put_out()
        self.drained_and_removed()
        self.another_address()
        for node in [self.master, *self.followers]:
            log = node.log.read_text()
            self.assertNotIn("two_nodes_one_name", log, node.name)
            self.assertNotIn("muster: bug", log, node.name)
            self.assertNotIn("event=replica_damaged", log, node.name)

    def burst(self):
        self.master.do("account", "import", rows_of_csv(self.lab.folder / "burst.csv", BURST))
        self.master.do("domain", "add", "burst.dom", "kind=remote")
        began = time.monotonic()
        wanted = {f"account/user{number}@big.dom" for number in range(BURST)}
        for node in self.relays:
            wait_for(lambda: wanted <= set(rows(node)), 30)
        for node in self.front_ends:
            wait_for(lambda: wanted <= node.replica_keys("account"), 30)
        for node in self.mirrors:
            wait_for(lambda: "domain/burst.dom" in rows(node), 30)
        print(f"{BURST} changes were with all {time.monotonic() - began:.1f} s after the import")

    def without_the_master(self):
        self.assertEqual(self.master.stop(), 0)
        for node in self.followers:
            wait_for(lambda: self.phase(node) == "waiting", 30)
        for node in (self.front_ends[0], self.relays[0], self.mirrors[0]):
            node.stop()
            node.start()
        for node in self.front_ends + self.relays:
            self.assertEqual(node.cli("account", "locate", "user7@big.dom")[0], 0, node.name)
        for node in self.mirrors:
            self.assertEqual(node.ask("domain", "show", "burst.dom")["network"], "hq")
        code, _, said = self.front_ends[0].cli("domain", "add", "lost.dom")
        self.assertNotEqual(code, 0)
        self.assertIn("the master cannot be reached, nothing was changed", said)
        began = time.monotonic()
        self.master.start()
        self.all_follow(seconds=20)
        print(f"all followed again {time.monotonic() - began:.1f} s after the master's start began")
        wait_for(self.all_seen, 20)
        self.reaches_all(2, 5)
        self.assertFalse([row for row in self.master.here()["alarms"]
                          if row["about"].startswith("node ")])
        for node in self.followers:
            self.assertNotIn("event=follower_repairs", node.log.read_text())

    def put_out(self):
        for node in (self.relays[1], self.front_ends[1]):
            self.master.do("node", "set", node.name, "revoked=true")

        def refused(node):
            return "revoked" in (node.here()["replica"] if node in self.front_ends
                                 else network(node)).get("trouble", "")
        out = (self.relays[1], self.front_ends[1])
        for node in out:
            wait_for(lambda: refused(node), 5)
        self.reaches_all(3, 5, but=out)
        for node in out:
            self.assertNotEqual(node.cli("account", "locate", "one3@big.dom")[0], 0)
            self.assertEqual(node.cli("account", "locate", "user7@big.dom")[0], 0)  # of before
            node.stop()
            node.start()  # its key is refused for good
            wait_for(lambda: refused(node), 10)
            self.assertFalse(self.seen()[node.name].get("connected"))
            node.stop()
        self.relays.remove(out[0])
        self.front_ends.remove(out[1])

    def drained_and_removed(self):
        node = self.front_ends[2]
        self.master.do("node", "drain", node.name)
        wait_for(lambda: node.here()["draining"], 5)
        self.master.do("--yes", "node", "remove", node.name)
        wait_for(lambda: node.here()["replica"].get("trouble"), 5)
        wait_for(lambda: node.name not in self.seen())
        self.front_ends.remove(node)
        self.reaches_all(4, 5)

    def another_address(self):
        """The master's cluster port is another one from now on."""
        old = self.master.cluster
        new = f"{self.master.site.address}:{self.master.site.free_port()}"
        self.master.do("node", "set", "m1", f"cluster={new}")
        for node in self.front_ends:
            wait_for(lambda: node.ask("node", "show", "m1")["cluster"] == new, 5)
        self.master.stop()
        self.master.change_file(json.dumps(old), json.dumps(new))
        self.master.cluster = new
        self.master.start()
        began = time.monotonic()
        # A section of a node file still names the old one; who leads is known all the same.
        self.all_follow(seconds=40)
        for node in self.followers:
            source = (node.here()["replica"] if node in self.front_ends else network(node))["source"]
            self.assertIn(new, source)
        print(f"all found the new address {time.monotonic() - began:.1f} s after the start")
        self.reaches_all(5, 5)
        self.assertTrue(re.search("event=follower_waits", self.relays[0].log.read_text()))


if __name__ == "__main__":
    unittest.main()
