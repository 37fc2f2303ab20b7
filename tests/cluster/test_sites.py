"""Two sites and the link between them: head office (a master and a back end) and a branch (a relay that
follows the network, a front end that is a member). The link is slow, is cut without anybody being told,
and one end stalls. Real processes in network namespaces."""
import contextlib
import itertools
import os
import re
import signal
import sqlite3
import unittest

from nodes_lab import wait_for
from sites_lab import POSSIBLE, Rcpt, SitesLab, in_step, network, rows_of_csv, smtp_listener

COPIED = 100_000  # accounts of the copy that is cut
BURST = 20_000   # changes while a follower is stalled


def set_up(master):
    master.do("server", "add", "sv1", "kind=foreign", "host=192.0.2.1", "imap.port=143",
              "imap.tls=none", "smtp.port=25", "smtp.tls=none")
    master.do("domain", "add", "hq.dom", "--servers", "sv1")
    master.do("domain", "add", "big.dom", "--servers", "sv1")
    master.do("account", "add", "kate@hq.dom", "--no-password")


def metric(node, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", node.http("/metrics")[1], re.M)
    return float(found[1]) if found else None


def held(node):
    """How many accounts stand in the copies of network hq, whole or not, by file."""
    found = {}
    for file in (node.state / "networks/hq").glob("replica-*.db"):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(  # it is being made, or goes
                sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            (found[file.name],) = store.execute(
                "select count(*) from entry where cast(key as text) like 'account/%'").fetchone()
    return found


@unittest.skipUnless(POSSIBLE, "network namespaces need root, ip, tc and nsenter")
class Sites(unittest.TestCase):
    SITES = ("hq", "branch")

    @classmethod
    def setUpClass(cls):
        cls.lab = SitesLab(*cls.SITES)
        cls.addClassCleanup(cls.lab.close)
        cls.branch = cls.lab.sites["branch"]
        cls.master = cls.lab.master_at("hq")
        set_up(cls.master)
        cls.set_up_members()

    @classmethod
    def set_up_members(cls):
        pass

    @classmethod
    def relay_at(cls, site, name, start=True, before_start=None, **options):
        port = cls.lab.sites[site].free_port()
        node = cls.lab.follower_at(site, cls.master, name, roles=("master", "frontend"),
                                   extra=smtp_listener(port), start=start,
                                   before_start=before_start, **options)
        return node, Rcpt(node, port)

    def mend_at_the_end(self, site):
        def mend():
            with contextlib.suppress(AssertionError):  # it is whole already
                site.mend()
            with contextlib.suppress(AssertionError):
                site.fast()
        self.addCleanup(mend)


class FromOneEndToTheOther(Sites):
    @classmethod
    def set_up_members(cls):
        cls.back_end = cls.lab.member_at("hq", cls.master, "be1", ["backend"], "backend")
        cls.relay, rcpt = cls.relay_at("branch", "br1",
                                       before_start=lambda node: node.change_file(
                                           "[cluster]\n", "[cluster]\nabsent_after = 3\n"))
        cls.rcpt = staticmethod(rcpt)
        cls.front_end = cls.lab.member_at("branch", cls.master, "fe1", ["frontend"], "frontend")
        for node in (cls.back_end, cls.relay, cls.front_end):
            wait_for(lambda node=node: in_step(node))
        wait_for(lambda: rcpt("kate@hq.dom").startswith("250"))
        wait_for(lambda: rcpt("nobody@hq.dom").startswith("550 5.1.1"))

    def answers(self, address, code):
        wait_for(lambda: self.rcpt(address).startswith(code))

    def test_addresses_aliases_and_domains_follow_to_the_relays_answer(self):
        for number in range(3):
            address = f"new{number}@hq.dom"
            self.assertRegex(self.rcpt(address), "^550")
            self.back_end.do("account", "add", address, "--no-password")
            self.answers(address, "250")
            wait_for(lambda: self.front_end.knows(address))
            self.back_end.do("--yes", "account", "remove", address)
            self.answers(address, "550")
        self.back_end.do("alias", "add", "sales@hq.dom", "kate@hq.dom")
        self.answers("sales@hq.dom", "250")
        self.back_end.do("--yes", "alias", "remove", "sales@hq.dom")
        self.answers("sales@hq.dom", "550")
        self.assertRegex(self.rcpt("omar@new.dom"), "^550 5.7.1")  # no relay for strangers
        self.back_end.do("domain", "add", "new.dom", "--servers", "sv1")
        self.back_end.do("account", "add", "omar@new.dom", "--no-password")
        self.answers("omar@new.dom", "250")
        self.back_end.do("--yes", "account", "remove", "omar@new.dom")
        self.back_end.do("--yes", "domain", "remove", "new.dom")
        self.answers("omar@new.dom", "550 5.7.1")

    def test_a_link_that_is_cut_during_changes(self):
        """Nobody is told: both ends notice by the silence, and go on when it is whole again."""
        self.mend_at_the_end(self.branch)
        self.branch.cut()
        self.master.do("account", "add", "meanwhile@hq.dom", "--no-password")
        code, _, said = self.master.cli("--yes", "account", "remove", "kate@hq.dom")
        self.assertEqual(code, 1)  # it is done, and who was not told of it is said
        self.assertRegex(said, "the change is made, but sessions may go on; not reached: fe1")
        wait_for(lambda: network(self.relay).get("trouble"), 20)
        self.assertEqual(network(self.relay)["phase"], "waiting")
        self.assertRegex(self.rcpt("kate@hq.dom"), "^250")  # as far as it knows
        self.assertRegex(self.rcpt("meanwhile@hq.dom"), "^550")
        wait_for(lambda: "nothing was heard of it for" in self.relay.alarms("network hq"))
        wait_for(lambda: self.front_end.here()["replica"].get("trouble"), 20)
        wait_for(lambda: metric(self.relay, 'muster_network_following{network="hq"}') == 0)
        self.assertGreater(metric(self.relay, 'muster_network_silence_seconds{network="hq"}'), 3)
        self.assertEqual(metric(self.relay, 'muster_network_filled{network="hq"}'), 1)
        self.assertIn("event=follower_waits", self.relay.log.read_text())
        wait_for(lambda: not {row["name"]: row for row in self.master.ask("node", "list")["nodes"]}
                 ["br1"]["seen"]["connected"], 40)
        # Started anew without the link: it serves what it has.
        self.relay.stop()
        self.relay.start()
        self.assertTrue(network(self.relay)["filled"])
        wait_for(lambda: self.rcpt("kate@hq.dom").startswith("250"))
        self.assertRegex(self.rcpt("meanwhile@hq.dom"), "^[45]50")
        self.branch.mend()
        wait_for(lambda: self.rcpt("meanwhile@hq.dom").startswith("250"), 25)
        self.assertRegex(self.rcpt("kate@hq.dom"), "^550")
        wait_for(lambda: self.front_end.knows("meanwhile@hq.dom"), 25)
        wait_for(lambda: not self.relay.alarms("network hq"))
        wait_for(lambda: metric(self.relay, 'muster_network_following{network="hq"}') == 1)
        self.assertNotIn("trouble", network(self.relay))
        self.master.do("account", "add", "kate@hq.dom", "--no-password")
        self.answers("kate@hq.dom", "250")


class Copies(Sites):
    """A first copy and a second one over a slow link that is cut on the way."""

    def accounts(self, node):
        return max(held(node).values(), default=0)

    def test_a_copy_goes_on_where_it_was_cut_and_the_old_one_serves_until_then(self):
        self.mend_at_the_end(self.branch)
        self.master.do("account", "import",
                       rows_of_csv(self.lab.folder / "many.csv", COPIED))
        # What a whole copy is on the wire.
        before = self.branch.bytes_in()
        whole, _ = self.relay_at("branch", "br0")
        wait_for(lambda: in_step(whole), 60)
        one_copy = self.branch.bytes_in() - before
        whole.stop()

        relay, rcpt = self.relay_at("branch", "br1", start=False, inactivity_timeout=2)
        before = self.branch.bytes_in()
        seconds = 5
        self.branch.slow(f"{one_copy * 8 // seconds // 1000}kbit")
        relay.start()
        for part in (0.25, 0.5):
            wait_for(lambda: self.accounts(relay) > COPIED * part, 60)
            self.assertEqual(network(relay)["phase"], "copying")
            self.assertFalse(network(relay)["filled"])
            self.branch.cut()
            wait_for(lambda: network(relay).get("trouble"), 20)
            kept, counted = self.accounts(relay), network(relay)["entries"]
            self.assertRegex(rcpt("user1@big.dom"), "^[45]5[01]")
            self.branch.mend()
            wait_for(lambda: network(relay)["phase"] == "copying", 20)
            self.assertGreaterEqual(self.accounts(relay), kept)
            self.assertGreaterEqual(network(relay)["entries"], counted)
        self.branch.fast()
        wait_for(lambda: in_step(relay), 60)
        sent = self.branch.bytes_in() - before
        print(f"one copy: {one_copy} bytes, cut twice: {sent}")
        self.assertLess(sent, 1.5 * one_copy)
        self.assertEqual(self.accounts(relay), COPIED + 1)
        wait_for(lambda: rcpt(f"user{COPIED - 1}@big.dom").startswith("250"))
        self.second_copy(relay, rcpt, one_copy)

    def second_copy(self, relay, rcpt, one_copy):
        """Its copy is damaged: what can be read of it serves until the next is whole."""
        relay.stop()
        folder = relay.state / "networks/hq"
        (file,) = folder.glob("replica-*.db")
        size = os.stat(file).st_size
        with open(file, "r+b") as damaged:  # accounts stand there, in the order of their names
            damaged.seek(size // 2)
            damaged.write(os.urandom(size // 5))
        self.branch.slow(f"{one_copy * 8 // 4 // 1000}kbit")
        relay.start()
        looked = itertools.count(500)

        def noticed():
            self.assertRegex(rcpt(f"user{next(looked) * 97 % COPIED}@big.dom"), "^(250|45)")
            return "event=replica_damaged" in relay.log.read_text()
        wait_for(noticed, 20)
        wait_for(lambda: len(list(folder.glob("replica-*.db"))) == 2, 20)
        self.assertRegex(rcpt("kate@hq.dom"), "^250")
        self.branch.cut()
        wait_for(lambda: network(relay).get("trouble"), 20)
        self.assertRegex(rcpt("kate@hq.dom"), "^250")
        self.assertIn("a new copy is made", relay.alarms("network hq"))
        self.branch.mend()
        self.branch.fast()
        wait_for(lambda: in_step(relay), 60)
        wait_for(lambda: held(relay) == {max(held(relay)): COPIED + 1})
        wait_for(lambda: rcpt(f"user{COPIED - 1}@big.dom").startswith("250"))


class OnesTroubles(Sites):
    """A follower that stalls, and one at the end of a slow link: nobody else pays for them."""
    SITES = ("hq", "branch", "far")

    @classmethod
    def set_up_members(cls):
        cls.far = cls.lab.sites["far"]
        cls.good, rcpt = cls.relay_at("branch", "br1")
        cls.rcpt = staticmethod(rcpt)
        cls.other, _ = cls.relay_at("far", "br2", inactivity_timeout=30)
        for node in (cls.good, cls.other):
            wait_for(lambda node=node: in_step(node))
        wait_for(lambda: rcpt("kate@hq.dom").startswith("250"))

    def log_size(self):
        return sum(file.stat().st_size for file in self.master.state.glob("directory.db-wal"))

    def batch(self, prefix, count):
        self.master.do("account", "import", rows_of_csv(self.lab.folder / f"{prefix}.csv", count, prefix))

    def has(self, node, address):
        return node.cli("account", "locate", address)[0] == 0

    def test_a_stalled_follower_costs_its_master_nothing(self):
        self.batch("before", BURST)
        wait_for(lambda: in_step(self.other) and self.has(self.other, f"before{BURST - 1}@big.dom"),
                 30)
        memory, log = self.master.memory("RssAnon"), self.log_size()
        self.other.process.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.other.process.send_signal(signal.SIGCONT))
        logs = []
        for round_ in range(3):
            self.batch(f"stalled{round_}-", BURST)
            wait_for(lambda: self.has(self.good, f"stalled{round_}-{BURST - 1}@big.dom"))
            logs.append(self.log_size())
        for number in range(1_000):
            self.master.api("POST", "/v1/accounts", {"address": f"single{number}@hq.dom"})
        logs.append(self.log_size())
        self.assertGreater(logs[-1], 0)
        self.assertLess(self.master.memory("RssAnon") - memory, 30_000)
        self.assertLess(max(logs), log + 16_000_000)
        wait_for(lambda: self.rcpt("single999@hq.dom").startswith("250"))
        self.other.process.send_signal(signal.SIGCONT)
        wait_for(lambda: self.has(self.other, "single999@hq.dom"), 30)
        wait_for(lambda: held(self.other) == held(self.good), 30)

    def test_a_slow_link_holds_nobody_up(self):
        self.mend_at_the_end(self.far)
        self.far.slow("1mbit")
        self.batch("slow", BURST)
        wait_for(lambda: self.has(self.good, f"slow{BURST - 1}@big.dom"))
        self.assertFalse(self.has(self.other, f"slow{BURST - 1}@big.dom"))
        for number in range(5):
            self.master.do("account", "add", f"after{number}@hq.dom", "--no-password")
            wait_for(lambda: self.rcpt(f"after{number}@hq.dom").startswith("250"))
        self.assertFalse(self.has(self.other, "after4@hq.dom"))
        self.assertNotIn("trouble", network(self.other))  # slow is not broken
        self.far.fast()
        wait_for(lambda: self.has(self.other, "after4@hq.dom"), 30)


if __name__ == "__main__":
    unittest.main()
