"""Several masters: who leads, who takes over, and what becomes of the one that led. Real nodes."""
import contextlib
import json
import os
import shutil
import signal
import stat
import threading
import time
import unittest

import harness
import nodes_lab
from nodes_lab import wait_for


class PromotionLab(nodes_lab.Lab):
    """m1 leads, m2 may; fe1 follows both."""

    def __init__(self, front_end=True):
        super().__init__()
        self.m1 = self.master("m1")
        self.m2 = self.member(self.m1, "m2", ["master"], "master")
        self.m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1143",
                   "imap.tls=none")
        self.m1.do("domain", "add", "d.dom", "--servers", "sv1")
        self.fe = self.member(self.m1, "fe1", ["frontend"], "frontend",
                              extra='[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:0"\n'
                                    'tls = "none"\n') if front_end else None
        self.in_step(self.m1, self.m2)

    def add(self, node, name, *more):
        return node.cli("account", "add", f"{name}@d.dom", "--no-password", *more)

    def in_step(self, leader, *others):
        """Waits until the others that may lead have what the leader has."""
        wanted = standing(leader)["revision"]
        for node in others:
            wait_for(lambda one=node: standing(one)["revision"] >= wanted
                     and standing(one)["may_lead"])

    def promote(self, node, name, *more):
        return node.cli("cluster", "promote", name, "--yes", *more)


def standing(node):
    """Of a node itself, whatever others say."""
    masters = node.ask("cluster", "masters")["masters"]
    return next(row for row in masters if row["name"] == node.name)


def leads(node):
    return standing(node)["leads"] and standing(node)["writes"]


def source(node):
    return next(one for one in node.ask("status")["nodes"]
                if one["name"] == node.name)["replica"].get("source", "")


def alarms(node):
    return [one["text"] for one in node.ask("status")["alarms"] if one["node"] == node.name]


def names(node):
    return {row["name"]: row for row in node.ask("node", "list")["nodes"]}


class Promotion(unittest.TestCase):
    def lab(self, **options):
        lab = PromotionLab(**options)
        self.addCleanup(lab.close)
        return lab

    def test_a_planned_change_under_load_loses_nothing(self):
        lab = self.lab()
        pids = [node.process.pid for node in lab.nodes]
        client = self.client(lab.fe)
        acknowledged, refused = [], []
        over = threading.Event()

        def load(node, prefix, *credentials, stdin=""):
            count = 0
            while not over.is_set():
                code, _, error = node.cli("account", "add", f"{prefix}{count}@d.dom",
                                          "--no-password", *credentials, stdin=stdin)
                (acknowledged if code == 0 else refused).append(
                    f"{prefix}{count}@d.dom" if code == 0 else error)
                count += 1

        password = lab.folder / "password"
        password.write_text("rootpass\n")
        as_root = ["--user", "root", "--user-password-file", str(password)]
        threads = [threading.Thread(target=load, args=(lab.m1, "one")),
                   threading.Thread(target=load, args=(lab.m2, "two")),
                   threading.Thread(target=load, args=(lab.fe, "fe", *as_root))]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: len(acknowledged) > 10)
            for round_, (leader, next_) in enumerate([(lab.m1, lab.m2), (lab.m2, lab.m1)]):
                before = len(acknowledged)
                asked = [lab.fe, lab.m1][round_]
                code, out, error = lab.promote(asked, next_.name, *(as_root if asked is lab.fe
                                                                    else []))
                self.assertEqual(code, 0, error)
                self.assertIn(f"Now {leader.name} leads", out)
                wait_for(lambda: leads(next_) and not standing(leader)["leads"])
                wait_for(lambda: len(acknowledged) > before + 10)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(refused, [])
        client.ask("a NOOP", "^a OK")  # a client's connection that was there all the time
        self.assertEqual([node.process.pid for node in lab.nodes], pids)
        for node in lab.nodes:
            self.assertIsNone(node.process.poll())
            for address in acknowledged:
                wait_for(lambda: node.knows(address))
        self.assertTrue(names(lab.m2)["m1"]["master"])
        self.assertFalse(names(lab.m2)["m1"].get("eligible", False))
        self.assertTrue(names(lab.m2)["m2"]["eligible"])
        self.assertEqual(list(lab.m1.state.glob("surplus-*")), [])
        # The order of sources follows.
        wait_for(lambda: lab.m1.cluster in source(lab.fe), 30)

    def test_a_forced_change_and_the_return_of_the_old_master(self):
        lab = self.lab()
        lab.m2.stop()  # what m1 writes now it never hears
        self.assertEqual(lab.add(lab.m1, "lost")[0], 0)
        wait_for(lambda: lab.fe.knows("lost@d.dom"))
        lab.m1.process.kill()
        lab.m1.process.wait()
        lab.m2.start()
        wait_for(lambda: standing(lab.m2)["may_lead"])
        code, _, error = lab.add(lab.m2, "early")
        self.assertEqual(code, 1)
        self.assertIn("master cannot be reached, nothing was changed", error)
        code, out, error = lab.promote(lab.m2, "m2", "--force")
        self.assertEqual(code, 0, error)
        self.assertIn("what it has", out)
        self.assertEqual(lab.add(lab.m2, "kept")[0], 0)
        wait_for(lambda: lab.fe.knows("kept@d.dom") and not lab.fe.knows("lost@d.dom"))
        lab.m1.start()
        # It never leads: the change goes to m2, and what only m1 had stands in a file.
        self.assertFalse(standing(lab.m1)["leads"])
        self.assertEqual(lab.add(lab.m1, "after")[0], 0)
        self.assertTrue(lab.m2.knows("after@d.dom"))
        (file,) = lab.m1.state.glob("surplus-*.json")
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        surplus = json.loads(file.read_text())
        self.assertIn("account/lost@d.dom", [change["key"] for change in surplus["changes"]])
        self.assertTrue(any(file.name in text for text in alarms(lab.m1)), alarms(lab.m1))
        wait_for(lambda: lab.m1.knows("kept@d.dom") and not lab.m1.knows("lost@d.dom"))
        lab.in_step(lab.m2, lab.m1)
        # It can lead again, by plan.
        self.assertEqual(lab.promote(lab.m2, "m1")[0], 0)
        self.assertEqual(lab.add(lab.fe, "end", "--user", "root", "--user-password-file",
                                 str(self.password_file(lab)))[0], 0)
        self.assertTrue(leads(lab.m1))

    def client(self, front_end):
        (here,) = [one for one in front_end.ask("status")["nodes"] if one["name"] == "fe1"]
        line = harness.Line(here["frontend"]["listeners"][0])
        self.addCleanup(line.close)
        line.hear("^\\* OK")
        return line

    def password_file(self, lab):
        file = lab.folder / "password"
        file.write_text("rootpass\n")
        return file

    def test_two_masters_that_both_believe_they_lead(self):
        lab = self.lab(front_end=False)
        lab.m1.process.send_signal(signal.SIGSTOP)
        try:
            self.assertEqual(lab.promote(lab.m2, "m2", "--force")[0], 0)
            self.assertEqual(lab.add(lab.m2, "there")[0], 0)
        finally:
            lab.m1.process.send_signal(signal.SIGCONT)
        wait_for(lambda: not standing(lab.m1)["leads"])
        wait_for(lambda: lab.m1.knows("there@d.dom"))
        self.assertTrue(leads(lab.m2))
        self.assertEqual(lab.add(lab.m1, "again")[0], 0)
        lab.in_step(lab.m2, lab.m1)

    def test_two_stand_ins_that_were_promoted_at_once(self):
        lab = self.lab()
        m3 = lab.member(lab.m1, "m3", ["master"], "master")
        lab.in_step(lab.m1, lab.m2, m3)
        wait_for(lambda: names(lab.m2).get("m3") and names(lab.fe).get("m3"))
        # A front end that lost its copy would find the new one, too.
        wait_for(lambda: '"m3"' in (lab.fe.state / "cluster.json").read_text(), 40)
        lab.m1.stop()
        for node, other in ((lab.m2, m3), (m3, lab.m2)):
            other.process.send_signal(signal.SIGSTOP)
            try:
                self.assertEqual(lab.promote(node, node.name, "--force")[0], 0)
                self.assertEqual(lab.add(node, f"by-{node.name}")[0], 0)
            finally:
                if node is lab.m2:  # what it did must not reach m3 before that is promoted, too
                    lab.m2.process.send_signal(signal.SIGSTOP)
                other.process.send_signal(signal.SIGCONT)
        lab.m2.process.send_signal(signal.SIGCONT)
        wait_for(lambda: sorted([leads(lab.m2), leads(m3)]) == [False, True]
                 and [standing(lab.m2)["leads"], standing(m3)["leads"]].count(True) == 1, 40)
        winner, loser = (lab.m2, m3) if leads(lab.m2) else (m3, lab.m2)
        self.assertEqual(lab.add(loser, "after")[0], 0)
        for node in (winner, loser, lab.fe):
            wait_for(lambda one=node: one.knows("after@d.dom")
                     and one.knows(f"by-{winner.name}@d.dom")
                     and not one.knows(f"by-{loser.name}@d.dom"), 40)
        (file,) = loser.state.glob("surplus-*.json")
        self.assertIn(f"by-{loser.name}@d.dom", file.read_text())
        self.assertEqual(list(winner.state.glob("surplus-*.json")), [])
        lab.m1.start()
        self.assertFalse(standing(lab.m1)["leads"])
        wait_for(lambda: lab.m1.knows("after@d.dom"))

    def test_a_forced_change_is_refused_while_the_master_answers(self):
        lab = self.lab(front_end=False)
        code, _, error = lab.promote(lab.m2, "m2", "--force")
        self.assertEqual(code, 1)
        self.assertIn("m1 leads and answers", error)
        for node, name, why in [(lab.m1, "m1", "leads already"), (lab.m1, "nobody", "no node")]:
            code, _, error = lab.promote(node, name)
            self.assertEqual(code, 1)
            self.assertIn(why, error)
        # Nobody is asked whether they are sure of what cannot be.
        for name, why in [("nobody", "there is no node nobody with the role master"),
                          ("m2", "m1 leads and answers")]:
            code, _, error = lab.m2.cli("cluster", "promote", name, "--force")
            self.assertEqual(code, 1)
            self.assertIn(why, error)
            self.assertNotIn("--yes", error)
        self.assertTrue(leads(lab.m1))

    def test_a_successor_that_does_not_answer_changes_nothing(self):
        lab = self.lab(front_end=False)
        lab.m2.process.send_signal(signal.SIGSTOP)
        try:
            code, _, error = lab.promote(lab.m1, "m2")
            self.assertEqual(code, 1, error)
            self.assertEqual(lab.add(lab.m1, "goes-on")[0], 0)
        finally:
            lab.m2.process.send_signal(signal.SIGCONT)
        self.assertTrue(leads(lab.m1))
        wait_for(lambda: lab.m2.knows("goes-on@d.dom"))

    def test_a_master_that_handed_over_and_cannot_follow_does_not_lead_again(self):
        lab = self.lab(front_end=False)
        in_the_way = lab.m1.state / "cluster.json.new"
        in_the_way.mkdir()  # as a full disk: whom it follows cannot be written
        lab.promote(lab.m1, "m2")
        wait_for(lambda: standing(lab.m2)["leads"])
        lab.m2.process.send_signal(signal.SIGSTOP)
        try:
            # It is asked again and again for longer than two looks around.
            for name in ("one", "two"):
                self.assertEqual(lab.add(lab.m1, name)[0], 1)
            self.assertFalse(standing(lab.m1)["leads"] and standing(lab.m1)["writes"])
        finally:
            lab.m2.process.send_signal(signal.SIGCONT)
        in_the_way.rmdir()
        wait_for(lambda: names(lab.m1) and lab.add(lab.m2, "three")[0] == 0)
        wait_for(lambda: lab.m1.knows("three@d.dom"), 40)
        self.assertFalse(standing(lab.m1)["leads"])

    def test_followers_go_to_a_stand_in_and_back(self):
        lab = self.lab()
        port = lab.m1.cluster
        self.assertIn(port, source(lab.fe))
        self.assertEqual(lab.m1.stop(), 0)
        wait_for(lambda: lab.m2.cluster in source(lab.fe))
        lab.fe.stop()
        lab.fe.start()
        wait_for(lambda: lab.m2.cluster in source(lab.fe))
        # A copy from nothing, by the stand-in alone.
        lab.fe.stop()
        for file in lab.fe.state.glob("replica-*"):
            file.unlink()
        lab.fe.start()
        wait_for(lambda: lab.fe.cli("domain", "show", "d.dom")[0] == 0)
        lab.m1.start()
        wait_for(lambda: port in source(lab.fe), 40)
        self.assertEqual(lab.add(lab.m1, "back")[0], 0)
        wait_for(lambda: lab.fe.knows("back@d.dom"))
        self.assertEqual(lab.fe.replica_keys("key"), set())  # a stand-in filters, too
        self.assertEqual(lab.fe.replica_keys("token"), set())

    def test_a_master_that_was_set_back_stops_until_somebody_decides(self):
        lab = self.lab()
        image = lab.folder / "image"
        self.assertEqual(lab.m1.stop(), 0)
        shutil.copytree(lab.m1.state, image)
        lab.m1.start()
        self.assertEqual(lab.add(lab.m1, "newer")[0], 0)
        for node in (lab.m2, lab.fe):
            wait_for(lambda one=node: one.knows("newer@d.dom"))
        lab.m1.stop()
        shutil.rmtree(lab.m1.state)
        shutil.copytree(image, lab.m1.state)
        lab.m1.start()
        wait_for(lambda: any("was set back" in text for text in alarms(lab.m1)))
        code, _, error = lab.add(lab.m1, "refused")
        self.assertEqual(code, 1)
        for way_out in ("accept-loss", "promote", "nothing was changed"):
            self.assertIn(way_out, error)
        for node in (lab.m2, lab.fe):
            self.assertTrue(node.knows("newer@d.dom"))  # they wait, and serve what they have
        wait_for(lambda: any("behind this replica" in text for text in alarms(lab.m2)))
        # One way out: the stand-in that has it leads.
        self.assertEqual(lab.promote(lab.m2, "m2", "--force")[0], 0)
        wait_for(lambda: lab.m1.knows("newer@d.dom"))
        self.assertEqual(lab.add(lab.m1, "fine")[0], 0)

    def test_a_loss_can_be_accepted(self):
        lab = self.lab()
        image = lab.folder / "image"
        lab.m1.stop()
        shutil.copytree(lab.m1.state, image)
        lab.m1.start()
        self.assertEqual(lab.add(lab.m1, "newer")[0], 0)
        wait_for(lambda: lab.m2.knows("newer@d.dom") and lab.fe.knows("newer@d.dom"))
        lab.m1.stop()
        shutil.rmtree(lab.m1.state)
        shutil.copytree(image, lab.m1.state)
        lab.m1.start()
        wait_for(lambda: any("was set back" in text for text in alarms(lab.m1)))
        # It is not forgotten by a start, whoever is there.
        lab.m2.stop()
        lab.m1.stop()
        lab.m1.start()
        self.assertTrue(any("was set back" in text for text in alarms(lab.m1)), alarms(lab.m1))
        self.assertEqual(lab.add(lab.m1, "refused")[0], 1)
        lab.m2.start()
        lab.m1.do("cluster", "accept-loss", "--yes")
        self.assertEqual(lab.add(lab.m1, "fine")[0], 0)
        for node in (lab.m2, lab.fe):
            wait_for(lambda one=node: one.knows("fine@d.dom") and not one.knows("newer@d.dom"))

    def test_a_member_that_claims_what_is_not_so_can_be_kept_out(self):
        """Somebody broke into a back end, and says with its key that the master was set back."""
        lab = self.lab(front_end=False)
        liar = lab.member(lab.m1, "be1", ["backend"], "backend")
        liar.stop()
        answers, over = [], threading.Event()

        def lie():
            while not over.is_set():
                with contextlib.suppress(OSError):  # or the master keeps it waiting
                    answers.append(nodes_lab.member_call(
                        liar, lab.m1.cluster, "GET", f"/v1/changes?since={'z' * 20}.1.1", timeout=1)[0])

        thread = threading.Thread(target=lie)
        thread.start()
        try:
            told = wait_for(lambda: [text for text in alarms(lab.m1) if "was set back" in text])
            self.assertRegex(told[0], "be1 has changes up to z+.*accept-loss \\(--revoke NAME")
            self.assertEqual(lab.add(lab.m1, "refused")[0], 1)
            for name, why in (("m1", "this node cannot revoke itself"), ("nobody", "no node nobody")):
                code, _, error = lab.m1.cli("cluster", "accept-loss", "--revoke", name, "--yes")
                self.assertEqual(code, 1)
                self.assertIn(why, error)
            said = lab.m1.do("cluster", "accept-loss", "--revoke", "be1", "--yes")
            self.assertIn("be1 is revoked", said)
            answers.clear()
            wait_for(lambda: answers[-3:] == [403] * 3)
            self.assertEqual(lab.add(lab.m1, "fine")[0], 0)
            self.assertFalse([text for text in alarms(lab.m1) if "was set back" in text])
            wait_for(lambda: lab.m2.knows("fine@d.dom"))
        finally:
            over.set()
            thread.join()

    def test_a_set_back_master_whose_followers_hold_a_part_alone(self):
        lab = nodes_lab.Lab()
        self.addCleanup(lab.close)
        m1 = lab.master("m1")
        m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1143",
              "imap.tls=none")
        m1.do("domain", "add", "d.dom", "--servers", "sv1")
        fe = lab.member(m1, "fe1", ["frontend"], "frontend")
        image = lab.folder / "image"
        m1.stop()
        shutil.copytree(m1.state, image)
        m1.start()
        m1.do("account", "add", "newer@d.dom", "--no-password")
        wait_for(lambda: fe.knows("newer@d.dom"))
        m1.stop()
        shutil.rmtree(m1.state)
        shutil.copytree(image, m1.state)
        m1.start()
        told = wait_for(lambda: [text for text in alarms(m1) if text.startswith("fe1 has")])
        for way_out in ("cluster restore", "cluster promote NAME", "cluster accept-loss"):
            self.assertIn(way_out, told[0])
            wait_for(lambda: any(way_out in text for text in alarms(fe)))
        # An alarm, and no more: its word does not stop a master.
        m1.do("account", "add", "fine@d.dom", "--no-password")
        self.assertTrue(fe.knows("newer@d.dom"))
        m1.do("cluster", "accept-loss", "--yes")
        wait_for(lambda: fe.knows("fine@d.dom") and not fe.knows("newer@d.dom"), 40)
        wait_for(lambda: not [text for text in alarms(m1) if text.startswith("fe1 has")])

    def test_a_node_whose_file_names_the_former_master_follows_the_next(self):
        lab = self.lab()
        lab.fe.stop()
        text = lab.fe.file.read_text()
        lab.fe.file.write_text(text.replace("[cluster]", f"""[cluster]
masters = ["{lab.fe.cluster}", "{lab.m1.cluster}"]"""))
        lab.fe.start()
        wait_for(lambda: lab.m1.cluster in source(lab.fe))
        self.assertEqual(lab.promote(lab.m1, "m2")[0], 0)
        wait_for(lambda: lab.m2.cluster in source(lab.fe), 40)

    def test_a_master_says_where_it_is(self):
        lab = self.lab(front_end=False)
        lab.m1.do("node", "set", "m1", "cluster=127.0.0.1:1")
        wanted = f"muster node set m1 cluster={lab.m1.cluster}"
        wait_for(lambda: any(wanted in text for text in alarms(lab.m1)))
        lab.m1.do("node", "set", "m1", "cluster=" + lab.m1.cluster)
        wait_for(lambda: not any(wanted in text for text in alarms(lab.m1)))

    def test_a_restored_backup_replaces_no_master_by_being_started(self):
        lab = self.lab()
        lab.m1.do("cluster", "backup", str(lab.folder / "backup"), "--password-stdin",
                  stdin="phrase\n")
        lab.m1.stop()
        self.assertEqual(lab.promote(lab.m2, "m2", "--force")[0], 0)
        self.assertEqual(lab.add(lab.m2, "newer")[0], 0)
        lab.m1.do("cluster", "restore", str(lab.folder / "backup"), "--yes", "--password-stdin",
                  stdin="phrase\n")
        lab.m1.start()
        self.assertFalse(leads(lab.m1))
        self.assertTrue(leads(lab.m2))
        self.assertTrue(any("restored backup" in text for text in alarms(lab.m1)), alarms(lab.m1))
        wait_for(lambda: lab.fe.knows("newer@d.dom"))
        self.assertEqual(lab.add(lab.m2, "goes-on")[0], 0)
        # Somebody wants the backup everywhere.
        self.assertEqual(lab.promote(lab.m1, "m1", "--force")[0], 0)
        self.assertEqual(lab.add(lab.m1, "chosen")[0], 0)
        for node in (lab.m2, lab.fe):
            wait_for(lambda one=node: one.knows("chosen@d.dom") and not one.knows("newer@d.dom"),
                     40)
        self.assertEqual(len(list(lab.m2.state.glob("surplus-*.json"))), 1)

    def test_a_former_master_that_was_put_out_refuses_changes(self):
        lab = self.lab(front_end=False)
        lab.m1.stop()
        self.assertEqual(lab.promote(lab.m2, "m2", "--force")[0], 0)
        lab.m2.do("node", "remove", "m1", "--yes")
        lab.m1.start()
        code, _, error = lab.add(lab.m1, "refused")
        self.assertEqual(code, 1)
        self.assertIn("this node was put out of the cluster, nothing was changed", error)
        self.assertIn("join it anew", error)
        self.assertTrue(any("put out" in text for text in alarms(lab.m1)), alarms(lab.m1))
        code, _, error = lab.promote(lab.m1, "m1", "--force")
        self.assertEqual(code, 1)
        self.assertIn("m1 was put out of the cluster, it cannot be promoted", error)
        self.assertTrue(leads(lab.m2))

    def test_a_former_master_that_was_revoked_by_mistake_comes_back_by_itself(self):
        lab = self.lab(front_end=False)
        lab.m1.stop()
        self.assertEqual(lab.promote(lab.m2, "m2", "--force")[0], 0)
        lab.m2.do("node", "set", "m1", "revoked=true")
        lab.m1.start()
        wait_for(lambda: any("put out" in text for text in alarms(lab.m1)))
        lab.m2.do("node", "set", "m1", "revoked=false")
        lab.in_step(lab.m2, lab.m1)
        self.assertFalse(any("put out" in text for text in alarms(lab.m1)), alarms(lab.m1))
        self.assertEqual(lab.add(lab.m1, "fine")[0], 0)  # passed on to m2
        self.assertTrue(lab.m2.knows("fine@d.dom"))

    def test_a_stand_in_without_a_copy_puts_nobody_out(self):
        lab = self.lab(front_end=False)
        self.assertEqual(nodes_lab.cluster_status(lab.m2.cluster, "GET", "/v1/standing",
                                                  member=lab.m1), 200)
        lab.m2.stop()
        for file in lab.m2.state.glob("replica-*"):
            file.unlink()
        lab.m1.process.send_signal(signal.SIGSTOP)
        try:
            lab.m2.start()
            self.assertEqual(nodes_lab.cluster_status(lab.m2.cluster, "GET", "/v1/standing",
                                                      member=lab.m1), 503)
        finally:
            lab.m1.process.send_signal(signal.SIGCONT)
        lab.in_step(lab.m1, lab.m2)
        self.assertEqual(nodes_lab.stranger_status(lab.m2.cluster), 403)
        self.assertEqual(lab.add(lab.m1, "fine")[0], 0)

    def test_what_is_called_off_has_a_short_name(self):
        lab = self.lab(front_end=False)
        for name, status in (("x" * 64, 200), ("x" * 65, 400), ("", 400)):
            self.assertEqual(nodes_lab.cluster_status(lab.m2.cluster, "POST", "/v1/lead/off",
                                                      {"id": name}, lab.m1), status)
        self.assertTrue(leads(lab.m1))

    def test_killed_while_the_master_changes(self):
        """Whoever is killed at whatever moment: all start again, one leads, nothing is lost."""
        lab = self.lab(front_end=False)
        self.assertEqual(lab.add(lab.m1, "first")[0], 0)
        leader, other = lab.m1, lab.m2
        for number in range(10):
            victim = (leader, other)[number % 2]
            asks = threading.Thread(target=lab.promote, args=(leader, other.name))
            asks.start()
            # The command takes a few ms until the change begins, which takes some 50.
            time.sleep(0.02 + 0.012 * number)
            victim.process.kill()
            victim.process.wait()
            asks.join()
            victim.start()
            wait_for(lambda: sorted([leads(lab.m1), leads(lab.m2)]) == [False, True], 40)
            leader, other = (lab.m1, lab.m2) if leads(lab.m1) else (lab.m2, lab.m1)
            self.assertEqual(lab.add(leader, f"round{number}")[0], 0)
            wait_for(lambda: other.knows(f"round{number}@d.dom"))
            lab.in_step(leader, other)
        for node in (lab.m1, lab.m2):
            self.assertTrue(node.knows("first@d.dom"))
        self.assertEqual(list(lab.folder.glob("*/s/surplus-*")), [])


if __name__ == "__main__":
    unittest.main()
