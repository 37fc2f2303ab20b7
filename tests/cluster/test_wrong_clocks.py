"""Members whose clocks are wrong by more than a day, each kind in turn, fast and slow: nothing that a
cluster does depends on whose clock is right. Real nodes."""
import contextlib
import socket
import ssl
import subprocess
import time
import unittest

from harness import new_source
from mail_lab import Smtp
from nodes_lab import Lab, cluster_status, free_port, shifted_clock, wait_for
from test_promotion import alarms, leads, standing

HOURS = 30
HOUR = 3_600_000  # in the milliseconds of the status
NAME = "mail.test"


class ClockLab(Lab):
    """m1 leads, m2 may; a back end and two front ends. The clock of the one named `wrong` is wrong by
    so many hours: of its process, and of what is called to make it."""

    def __init__(self, wrong, hours):
        super().__init__()
        self.wrong, self.hours = wrong, hours
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise

    def set_up(self):
        with self.clock_of("m1"):
            self.m1 = self.master("m1")
        self.m2 = self.joined("m2", ["master"], "master")
        self.back_end = self.joined("be1", ["backend"], "backend")
        self.front_ends = []
        for name in ("fe1", "fe2"):
            imap, smtp = free_port(), free_port()
            self.front_ends.append(self.joined(name, ["frontend"], "frontend", f"""
[[listener]]
protocol = "imap"
address = "127.0.0.1:{imap}"
tls = "implicit"
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{smtp}"
tls = "none"
[mail]
host_name = "{name}.test"
client_names = false
reserve = 0
"""))
            self.front_ends[-1].port, self.front_ends[-1].smtp = imap, smtp

    def clock_of(self, name):
        return shifted_clock(self.hours) if name == self.wrong else contextlib.nullcontext()

    def joined(self, name, roles, scope, extra="", master=None):
        master = master or self.m1
        with self.clock_of(master.name):
            token = master.ask("token", "add", "--scope", scope)
        node = self.node(name, roles, extra)
        with self.clock_of(name):
            node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                    "--token-stdin", stdin=token["token"] + "\n")
            node.start()
        return node

    def restart(self, node):
        node.stop()
        with self.clock_of(node.name):
            node.start()


class WrongClocks(unittest.TestCase):
    def test_the_clock_is_wrong(self):
        for hours in (-HOURS, HOURS):
            with shifted_clock(hours):
                now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True)
            self.assertGreater(abs(int(now.stdout) - time.time()), 3600 * (HOURS - 1))

    def each(self, trial):
        """Each kind of node in turn, fast and slow."""
        for wrong in ("m1", "m2", "fe1"):
            for hours in (-HOURS, HOURS):
                with self.subTest(wrong=wrong, hours=hours), \
                        contextlib.closing(ClockLab(wrong, hours)) as lab:
                    trial(lab)

    def everybody_knows(self, lab, address, yes=True):
        for node in lab.nodes:
            if node.process:
                wait_for(lambda: node.knows(address) == yes)

    def set_up(self, lab):
        lab.m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                  "imap.tls=none", "smtp.port=1", "smtp.tls=none")
        lab.m1.do("domain", "add", "d.dom", "--servers", "sv1")

    def test_joins_changes_revocation_and_promotion(self):
        self.each(self.works)

    def works(self, lab):
        self.set_up(lab)
        self.changes(lab)
        self.recipients(lab)
        self.a_join_with_a_password(lab)
        self.revocation(lab)
        self.promotion(lab)
        self.recipients(lab)
        self.assertEqual(list(lab.folder.glob("*/s/surplus-*")), [])

    def changes(self, lab):
        for number, node in enumerate((lab.m1, lab.m2, lab.back_end)):
            node.do("account", "add", f"a{number}@d.dom", "--no-password")
            self.everybody_knows(lab, f"a{number}@d.dom")
        code, _, error = lab.m1.cli("--yes", "account", "remove", "a0@d.dom")
        self.assertEqual((code, error), (0, ""))
        self.everybody_knows(lab, "a0@d.dom", False)
        for node in lab.nodes:  # away for a while, then in step
            lab.restart(node)
        lab.back_end.do("account", "add", "again@d.dom", "--no-password")
        self.everybody_knows(lab, "again@d.dom")
        wait_for(lambda: all(row["seen"]["connected"] for row in lab.m1.ask("node", "list")["nodes"]
                             if row["name"] != "m1"))
        for node in lab.nodes:  # a certificate that was made in the future is said to be so
            self.assertLessEqual(set(alarms(node)), {"is not valid yet, for another 1 day"})

    def rcpt(self, node, address):
        with Smtp(node.smtp, source=new_source()) as smtp:
            return smtp.envelope("someone@elsewhere.test", address)[0]

    def recipients(self, lab):
        """Who is unknown is refused for good: what is known is not too old to say so."""
        for node in lab.front_ends:
            wait_for(lambda: self.rcpt(node, "again@d.dom").startswith("250"))
            wait_for(lambda: self.rcpt(node, "a0@d.dom").startswith("550 5.1.1"))

    def a_join_with_a_password(self, lab):
        """Of a node with the wrong clock, at a master that may have it."""
        for name in ("late", "right"):
            node = lab.node(name, ["frontend"])
            with shifted_clock(lab.hours) if name == "late" else contextlib.nullcontext():
                node.do("cluster", "join", "--master", lab.m1.cluster, "--user", "root",
                        "--password-stdin", stdin="rootpass\n")
                node.start()
            wait_for(lambda: node.knows("again@d.dom"))

    def revocation(self, lab):
        late = lab.nodes[-2]
        self.assertEqual(cluster_status(lab.m1.cluster, "GET", "/v1/copy", member=late), 200)
        lab.m1.do("node", "set", "late", "revoked=true")
        self.assertEqual(cluster_status(lab.m1.cluster, "GET", "/v1/copy", member=late), 403)
        for node in (lab.m2, lab.back_end, lab.front_ends[0]):
            wait_for(lambda: "was revoked" in node.cli("--node", "late", "status")[2])
        wait_for(lambda: cluster_status(lab.m2.cluster, "GET", "/v1/copy", member=late) == 403)
        lab.m1.do("account", "add", "secret@d.dom", "--no-password")
        wait_for(lambda: lab.front_ends[0].knows("secret@d.dom"))
        self.assertFalse(late.knows("secret@d.dom"))
        late.stop()
        self.assertEqual(standing(lab.m1)["leads"], True)

    def promotion(self, lab):
        for leader, next_ in ((lab.m1, lab.m2), (lab.m2, lab.m1)):
            wanted = standing(leader)["revision"]
            wait_for(lambda: standing(next_)["revision"] >= wanted and standing(next_)["may_lead"])
            code, _, error = lab.back_end.cli("cluster", "promote", next_.name, "--yes")
            self.assertEqual(code, 0, error)
            wait_for(lambda: leads(next_) and not standing(leader)["leads"])
            address = f"by-{next_.name}@d.dom"
            lab.back_end.do("account", "add", address, "--no-password")
            self.everybody_knows(lab, address)
            new = lab.joined(f"by-{next_.name}", ["frontend"], "frontend", master=next_)
            wait_for(lambda: new.knows(address))
        # And without asking: the old one comes back to a cluster with another master.
        lab.m1.stop()
        self.assertEqual(lab.m2.cli("cluster", "promote", "m2", "--yes", "--force")[0], 0)
        lab.back_end.do("account", "add", "forced@d.dom", "--no-password")
        lab.restart(lab.m1)
        self.everybody_knows(lab, "forced@d.dom")
        self.assertFalse(standing(lab.m1)["leads"])
        self.assertTrue(leads(lab.m2))

    def test_what_the_status_says_of_lag_and_silence(self):
        self.each(self.tells)

    def tells(self, lab):
        self.set_up(lab)
        lab.m1.do("account", "add", "new@d.dom", "--no-password")
        self.everybody_knows(lab, "new@d.dom")
        for asked in (lab.m1, lab.front_ends[0]):
            self.assertNotRegex(asked.do("status"), r"\b\d+ [hd]\b")  # all have begun just now
            for row in asked.ask("status")["nodes"]:
                replica = row["replica"]
                self.assertLess(replica["age_ms"], HOUR, row)
                if row["name"] != "m1":
                    self.assertEqual(replica["phase"], "following")
                    self.assertGreaterEqual(replica["lag_ms"], 0, row)
                    self.assertLess(replica["lag_ms"], HOUR, row)


class TicketKeys(unittest.TestCase):
    """Which key is used is decided by the entry that is the newest, not by anybody's clock."""

    each = WrongClocks.each

    def secret(self, node):
        return next(row for row in node.ask("secret", "list")["secrets"] if row["name"] == "tickets")

    def used_by(self, node):
        """The key that it says it makes tickets with."""
        said = [line for line in node.log.read_text().splitlines() if "event=ticket-keys" in line]
        return said[-1].rsplit("current=", 1)[1] if said else ""

    def all_use(self, lab, key):
        for node in lab.front_ends:
            wait_for(lambda: self.used_by(node) == key)

    def show_certificate(self, lab):
        """One that is good by the right clock."""
        files = [str(lab.folder / f"mail.{end}") for end in ("crt", "key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}", "-addext",
                        f"subjectAltName=DNS:{NAME}", "-days", "90", "-keyout", files[1], "-out",
                        files[0]], check=True, capture_output=True)
        lab.m1.do("certificate", "set", "mail", "--chain", files[0], "--key", files[1])
        self.context = ssl.create_default_context(cafile=files[0])
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2

    def meet(self, node, session=None):
        """(its session, whether that was resumed)."""
        with socket.create_connection(("127.0.0.1", node.port), timeout=20) as plain, \
                self.context.wrap_socket(plain, server_hostname=NAME, session=session) as stream:
            stream.recv(100)
            return stream.session, stream.session_reused

    def shows(self, node):
        with contextlib.suppress(OSError):
            return self.meet(node)

    def test_keys_go_round_alike_everywhere(self):
        self.each(self.goes_round)

    def goes_round(self, lab):
        first = self.secret(lab.m1)
        self.all_use(lab, first["current"])
        lab.m1.do("secret", "rotate", "tickets")
        second = self.secret(lab.m1)
        self.assertEqual((second["previous"], second["current"]),
                         (first["current"], first["next"]))
        self.all_use(lab, second["current"])
        for node in (lab.m2, lab.back_end, *lab.front_ends):  # they hold the same
            wait_for(lambda: self.secret(node)["current"] == second["current"])
        # What the wrong clock says of its age moves it on once, when that clock decides, no more.
        lab.restart(lab.m1)
        self.all_use(lab, second["current"])
        self.assertEqual(lab.m1.cli("cluster", "promote", "m2", "--yes")[0], 0)
        wait_for(lambda: leads(lab.m2))
        if lab.wrong == "fe1":
            self.assertEqual(self.secret(lab.m2)["current"], second["current"])
        else:
            wait_for(lambda: self.secret(lab.m2)["current"] == second["next"])
        third = self.secret(lab.m2)
        self.all_use(lab, third["current"])
        lab.m2.do("secret", "rotate", "tickets")
        fourth = self.secret(lab.m2)
        self.assertEqual((fourth["previous"], fourth["current"]),
                         (third["current"], third["next"]))
        self.all_use(lab, fourth["current"])
        lab.restart(lab.m2)
        self.assertEqual(self.secret(lab.m2)["current"], fourth["current"])

    def test_sessions_are_resumed_by_the_other_front_end(self):
        self.each(self.resumes)

    def resumes(self, lab):
        self.show_certificate(lab)
        for node in lab.front_ends:
            wait_for(lambda: self.shows(node))
        self.all_use(lab, self.secret(lab.m1)["current"])
        one, other = lab.front_ends
        for made_at, used_at in ((one, other), (other, one)):
            session, reused = self.meet(made_at)
            self.assertFalse(reused)
            # A ticket says by its maker's clock when it was made: where clocks differ by more
            # than its life it is too old, and a full handshake follows.
            _, reused = self.meet(used_at, session)
            if lab.wrong != "fe1":
                self.assertTrue(reused)
            lab.m1.do("secret", "rotate", "tickets")
            self.all_use(lab, self.secret(lab.m1)["current"])
            _, reused = self.meet(used_at, session)
            if lab.wrong != "fe1":
                self.assertTrue(reused)


if __name__ == "__main__":
    unittest.main()
