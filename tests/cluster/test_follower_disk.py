"""Followers whose copy of a network finds no room on their disk, and a master that is given thousands of changes a
second. Real processes in network namespaces."""
import re
import subprocess
import threading
import time
import unittest

from nodes_lab import wait_for
from sites_lab import POSSIBLE, Rcpt, SitesLab, in_step, network, rows_of_csv, smtp_listener

FILL = 60_000  # accounts that do not fit
FLOOD = 10_000  # accounts of one import


class Case(unittest.TestCase):
    def setUp(self):
        self.lab = SitesLab("hq", "branch")
        self.addCleanup(self.lab.close)
        self.master = self.lab.master_at("hq")
        self.master.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=143",
                       "imap.tls=none", "smtp.port=25", "smtp.tls=none")
        self.master.do("domain", "add", "big.dom", "--servers", "sv1")
        self.master.do("account", "add", "kate@big.dom", "--no-password")

    def relay(self, name="br1", **options):
        port = self.lab.sites["branch"].free_port()
        node = self.lab.follower_at("branch", self.master, name, roles=("master", "frontend"),
                                    extra=smtp_listener(port), **options)
        return node, Rcpt(node, port)


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class FullDisk(Case):
    def small_disk(self, node):
        """Of the network's copy alone: what else the node keeps has room."""
        folder = node.state / "networks"
        folder.mkdir(mode=0o700, parents=True)
        node.state.chmod(0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "none", folder],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        self.addCleanup(node.stop)
        self.folder = folder

    def test_a_follower_says_so_serves_what_it_has_and_goes_on_when_there_is_room(self):
        node, rcpt = self.relay(before_start=self.small_disk)
        wait_for(lambda: in_step(node))
        wait_for(lambda: rcpt("kate@big.dom").startswith("250"))
        other, _ = self.relay("br2")
        self.master.do("account", "import", rows_of_csv(self.lab.folder / "fill.csv", FILL))
        wait_for(lambda: "full" in network(node).get("trouble", ""), 30)
        self.assertIn("event=follower_waits", node.log.read_text())
        wait_for(lambda: "full" in node.alarms("network hq"))
        self.assertRegex(rcpt("kate@big.dom"), "^250")
        node.do("domain", "add", "own.dom", "kind=remote")  # its own cluster has room
        wait_for(lambda: other.cli("account", "locate", f"user{FILL - 1}@big.dom")[0] == 0, 30)
        self.master.do("account", "add", "later@big.dom", "--no-password")
        wait_for(lambda: other.cli("account", "locate", "later@big.dom")[0] == 0)
        # It starts with a full disk, too.
        node.stop()
        node.start()
        wait_for(lambda: rcpt("kate@big.dom").startswith("250"))
        wait_for(lambda: "full" in network(node).get("trouble", ""), 30)
        subprocess.run(["mount", "-o", "remount,size=200m", self.folder], check=True)
        wait_for(lambda: in_step(node), 30)
        wait_for(lambda: rcpt("later@big.dom").startswith("250"))
        wait_for(lambda: rcpt(f"user{FILL - 1}@big.dom").startswith("250"))
        wait_for(lambda: "full" not in node.alarms())
        self.assertNotIn("trouble", network(node))


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class Flood(Case):
    def test_ten_thousand_changes_a_second_for_some_seconds(self):
        """By imports, one after the other; meanwhile others add accounts one by one."""
        followers = [self.relay(f"br{number}") for number in range(3)]
        front_end = self.lab.member_at("hq", self.master, "fe1", ["frontend"], "frontend")
        back_end = self.lab.member_at("hq", self.master, "be1", ["backend"], "backend")
        for node, _ in followers:
            wait_for(lambda: in_step(node))
        wait_for(lambda: in_step(front_end) and in_step(back_end))
        files = [rows_of_csv(self.lab.folder / f"flood{number}.csv", FLOOD, f"flood{number}-")
                 for number in range(8)]
        over, delays = threading.Event(), []

        def one_by_one():
            number = 0
            while not over.is_set():
                began = time.monotonic()
                back_end.api("POST", "/v1/accounts", {"address": f"single{number}@big.dom"})
                delays.append(time.monotonic() - began)
                number += 1
        thread = threading.Thread(target=one_by_one)
        thread.start()
        try:
            began = time.monotonic()
            for file in files:
                self.master.do("account", "import", file)
            took = time.monotonic() - began
        finally:
            over.set()
            thread.join()
        last = f"flood7-{FLOOD - 1}@big.dom"
        for node in [front_end, back_end, *(node for node, _ in followers)]:
            wait_for(lambda: node.cli("account", "locate", last)[0] == 0, 20)
            behind = time.monotonic() - began - took
        delays.sort()
        print(f"{len(files) * FLOOD / took:.0f} changes a second for {took:.1f} s, all have them "
              f"{behind:.1f} s later; {len(delays)} single ones meanwhile, median "
              f"{delays[len(delays) // 2] * 1000:.0f} ms, longest {delays[-1] * 1000:.0f} ms")
        self.assertGreater(len(delays), 5)
        for node, rcpt in followers:
            wait_for(lambda: rcpt(f"single{len(delays) - 1}@big.dom").startswith("250"), 5)
            wait_for(lambda: rcpt("flood3-77@big.dom").startswith("250"))
            self.assertLess(node.memory("RssAnon"), 250_000)
        self.assertLess(self.master.memory("RssAnon"), 250_000)
        for node in self.lab.nodes:
            self.assertIsNone(node.process.poll())
            self.assertFalse(re.search("muster: bug|replica_damaged|follower_repairs",
                                       node.log.read_text()), node.name)
        for node, _ in followers:
            self.assertNotIn("trouble", network(node))


if __name__ == "__main__":
    unittest.main()
