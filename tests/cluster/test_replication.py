"""The directory on every node: what a node may see and what not, damaged copies, nodes that were
put out, and a great many accounts in and out."""
import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import ssl
import unittest

import harness
import nodes_lab
from harness import imap_login, wait_for

PASSWORD = "correct horse battery staple"
ROWS = 50_000


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


class Case(unittest.TestCase):
    number = 0

    def new_address(self):
        Case.number += 1
        return f"r{Case.number}@domain1.dom"

    def login(self, address, front_end, password=PASSWORD):
        with demo.imap(front_end) as line:
            return imap_login(line, address, password)

    def assert_everybody_serves(self):
        address = self.new_address()
        demo.add_account(address, PASSWORD, home="sv3")
        for front_end in demo.fe:
            self.assertRegex(self.login(address, front_end), "^l OK")


class Scopes(Case):
    """Password keys are for back ends alone."""

    def key_of(self, account):
        path = demo.dir / "sv1" / "state" / "directory.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            value, = store.execute("SELECT value FROM entry WHERE CAST(key AS TEXT) = ?",
                                   (f"key/{account['id']}",)).fetchone()
        return json.loads(value)["keys"][0]

    def files_with(self, node, *secrets):
        return [path for path in (demo.dir / node).rglob("*") if path.is_file()
                and any(secret in path.read_bytes() for secret in secrets)]

    def memory_holds(self, pid, secret):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, \
                open(f"/proc/{pid}/mem", "rb") as memory:
            for row in maps:
                span, rights = row.split()[:2]
                if not rights.startswith("rw"):
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                with contextlib.suppress(OSError, ValueError, OverflowError):
                    memory.seek(start)
                    if secret in memory.read(end - start):
                        return True
        return False

    def test_no_key_and_no_password_ever_reaches_a_front_end(self):
        account = demo.add_account(self.new_address(), PASSWORD, home="sv2")
        for front_end in demo.fe:  # the password passes through both of them
            self.assertRegex(self.login(account["address"], front_end), "^l OK")
        key = self.key_of(account)
        self.assertRegex(key, r"^\{SCRAM-SHA-256\}")
        salt, stored, server = (part.encode() for part in key.split(",")[1:])
        secrets = (stored, server, key.encode())
        for back_end in demo.sv:
            self.assertTrue(self.files_with(back_end, stored), f"{back_end} should have the key")
        for front_end in demo.fe:
            self.assertEqual(self.files_with(front_end, *secrets, salt, PASSWORD.encode(),
                                             b"{SCRAM"), [])
            row = demo.fe[front_end]
            try:
                self.assertFalse(self.memory_holds(row["pid"], stored))
            except PermissionError:
                continue  # not allowed to look into it; the files were looked at
            self.assertFalse(self.memory_holds(row["pid"], server))

    def test_a_front_ends_key_opens_no_back_ends_view(self):
        """The sender decides by who asks, not by what is asked for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        state = demo.dir / "fe1" / "state"
        context.load_cert_chain(state / "node.crt", state / "node.key")
        host, port = demo.sv["sv1"]["cluster"].rsplit(":", 1)
        for target in ("/v1/copy?scope=backend", "/v1/copy?scope=all&limit=10000", "/v1/copy",
                       "/v1/copy?from=key/&to=key0", "/v1/copy?from=admin/&to=admin0"):
            connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
            with contextlib.closing(connection):
                connection.request("GET", target)
                response = connection.getresponse()
                body = response.read()
            self.assertFalse(re.search(rb'\{SCRAM|"key/|"admin/', body), target)


class Streaming(Case):
    def test_a_change_is_known_on_all_nodes(self):
        address = self.new_address()
        demo.api("POST", "/v1/accounts", {"address": address, "password": PASSWORD, "home": "sv1"})
        demo.wait_everywhere(address)
        demo.api("PATCH", f"/v1/accounts/{address}", {"home": "sv3"})
        demo.wait_everywhere(address, lambda seen: seen["home"] == "sv3")
        demo.api("DELETE", f"/v1/accounts/{address}")
        demo.wait_everywhere(address, lambda seen: seen is None)

    def test_what_changed_while_a_node_was_away_is_caught_up_with(self):
        gone, kept = self.new_address(), self.new_address()
        demo.add_account(gone, PASSWORD, home="sv1")
        self.addCleanup(demo.start_node, "fe2")
        demo.end_node("fe2")
        demo.api("DELETE", f"/v1/accounts/{gone}")
        demo.api("POST", "/v1/accounts", {"address": kept, "password": PASSWORD, "home": "sv2"})
        demo.start_node("fe2")
        demo.wait_everywhere(kept, nodes=["fe2"])
        demo.wait_everywhere(gone, lambda seen: seen is None, nodes=["fe2"])
        self.assertRegex(self.login(kept, "fe2"), "^l OK")


class Damage(Case):
    """A copy that was overwritten is said and fetched anew."""

    def replicas(self):
        return list((demo.dir / "fe1" / "state").glob("replica-*.db"))

    def replica(self):
        path, = self.replicas()
        return path

    def overwrite(self, path, start, length):
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(os.urandom(length))

    def damages(self):
        return len(re.findall("event=replica_damaged", demo.log("fe1")))

    def wait_until_whole(self):
        def whole():
            replica = demo.api("GET", "/v1/status?here=1", node="fe1")["replica"]
            return (replica["filled"] and replica["phase"] == "following"
                    and len(self.replicas()) == 1 and self.is_sound(self.replica()))
        wait_for(whole, "a whole copy")

    def is_sound(self, path):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            try:
                return store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            except sqlite3.DatabaseError:
                return False

    def check(self, start, length):
        self.addCleanup(demo.start_node, "fe1")
        before = self.damages()
        demo.end_node("fe1", signal.SIGTERM)
        for extra in self.replica().parent.glob("replica-*.db-*"):
            extra.unlink()
        self.overwrite(self.replica(), start, length)
        demo.start_node("fe1")
        wait_for(lambda: self.damages() > before, "the damage to be said")
        self.wait_until_whole()
        self.assert_everybody_serves()

    def test_destroyed_head(self):
        self.check(0, 8192)

    def test_destroyed_entries(self):
        size = os.stat(self.replica()).st_size
        self.check(8192, size - 8192)

    def test_destroyed_while_it_serves(self):
        """With more accounts than the node remembers pages of."""
        self.fill("bulk", 5_000)
        before, path = self.damages(), self.replica()
        for file in (path, path.with_name(path.name + "-wal")):
            size = os.stat(file).st_size
            self.overwrite(file, min(4096, size), max(size - 4096, 0))
        looked = iter(range(5_000))

        def noticed():
            # A change makes look-ups read the file again instead of pages that they remember.
            demo.api("POST", "/v1/accounts", {"address": self.new_address(), "home": "sv1"})
            with contextlib.suppress(harness.ApiError):
                demo.show(f"bulk{next(looked)}@domain1.dom", "fe1")
            return self.damages() > before
        wait_for(noticed, "the damage to be said")
        self.wait_until_whole()
        self.assertIsNotNone(demo.show("bulk4711@domain1.dom", "fe1"))
        self.assert_everybody_serves()

    def fill(self, name, count):
        rows = "address,home\n" + "".join(f"{name}{n}@domain1.dom,sv1\n" for n in range(count))
        demo.cli("account", "import", "--format", "csv", "-", text=rows)
        demo.wait_everywhere(f"{name}{count - 1}@domain1.dom")

    def test_not_a_database_at_all(self):
        self.addCleanup(demo.start_node, "fe1")
        demo.end_node("fe1", signal.SIGTERM)
        path = self.replica()
        path.write_bytes(b"")
        demo.start_node("fe1")
        self.wait_until_whole()
        self.assert_everybody_serves()


class PutOut(Case):
    def set_revoked(self, node, revoked):
        demo.api("PATCH", f"/v1/nodes/{node}", {"revoked": revoked})

    def test_a_revoked_node_learns_nothing_more(self):
        self.addCleanup(self.readmit)
        self.set_revoked("fe2", True)
        address = self.new_address()
        demo.api("POST", "/v1/accounts", {"address": address, "password": PASSWORD, "home": "sv2"})
        demo.wait_everywhere(address, nodes=["fe1", "sv1", "sv2", "sv3"])

        def put_out():
            return demo.api("GET", "/v1/status?here=1", node="fe2")["replica"]["phase"] == "waiting"
        wait_for(put_out, "fe2 to be put out")
        self.assertIsNone(demo.show(address, "fe2"))
        demo.logged("sv1", "event=cluster_stranger")
        self.assertNotIn("fe2", [row["node"] for row in
                                 demo.api("GET", "/v1/sessions")["sessions"]])

    def readmit(self):
        self.set_revoked("fe2", False)
        demo.start_node("fe2")
        wait_for(lambda: demo.api("GET", "/v1/status?here=1",
                                  node="fe2")["replica"]["phase"] == "following", "fe2's return")


class ManyAccounts(unittest.TestCase):
    """A large file in, all or nothing, and out again, on a cluster without Dovecots."""

    @classmethod
    def setUpClass(cls):
        cls.lab = nodes_lab.Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.cluster("m1")
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend")

    @classmethod
    def cluster(cls, name):
        master = cls.lab.master(name)
        for server in ("sv1", "sv2"):
            master.do("server", "add", server, "kind=foreign", "host=127.0.0.1", "imap.port=143")
        master.do("domain", "add", "big.dom", "--servers", "sv1,sv2")
        return master

    def write(self, name, wrong=()):
        """Rows stand in the lines from 2 on."""
        path = self.lab.folder / name
        key = harness.scram_key("secret", iterations=1000)
        with open(path, "w", encoding="utf-8") as file:
            file.write("address,home,quota,keys,aliases\n")
            for line in range(2, ROWS + 2):
                alias = f"alias{line}@big.dom" if line % 100 == 0 else ""
                row = f'user{line}@big.dom,sv{line % 2 + 1},{line * 1000},"{key}",{alias}'
                file.write(dict(wrong).get(line, row) + "\n")
        return path

    def count(self, node=None):
        node = node or self.master
        return sum(1 for _ in node.do("account", "export", "--format", "jsonl").splitlines())

    def test_in_all_or_nothing_and_out_again(self):
        wrong = {7: "no-address,sv1,1,,", 20_001: "user20001@elsewhere.dom,sv1,1,,",
                 33_333: "user33333@big.dom,sv9,1,,", 44_444: "user5@big.dom,sv1,1,,",
                 50_000: "user50000@big.dom,sv1,many,,"}
        path = self.write("wrong.csv", wrong)
        code, out, err = self.master.cli("account", "import", str(path))
        self.assertEqual(code, 1)
        self.assertIn("nothing was written", out)
        said = {int(number): reason for number, reason in
                re.findall(r"^line (\d+): (.+)$", err, re.M)}
        self.assertEqual(set(said), set(wrong), err)
        for line, reason in ((20_001, "elsewhere.dom"), (33_333, "sv9"), (50_000, "quota")):
            self.assertIn(reason, said[line])
        self.assertEqual(self.count(), 0)
        self.assertFalse(self.front_end.knows("user2@big.dom"))

        self.master.do("account", "import", str(path), "--partial")
        self.assertEqual(self.count(), ROWS - len(wrong))
        path = self.write("right.csv")
        code, out, err = self.master.cli("account", "import", str(path))
        self.assertEqual((code, self.count()), (1, ROWS - len(wrong)), "they exist already")
        self.master.do("account", "import", str(path), "--update")
        self.assertEqual(self.count(), ROWS)
        last = f"user{ROWS + 1}@big.dom"
        nodes_lab.wait_for(lambda: self.front_end.knows(last) and
                           self.front_end.knows("user20001@big.dom"), 60)
        self.assertEqual(self.front_end.ask("account", "locate", "alias100@big.dom")["address"],
                         "user100@big.dom")
        self.round_trip()

    def round_trip(self):
        """What was exported makes the same accounts elsewhere: ids, keys and aliases too."""
        other = self.cluster("m2")
        first = {}
        for format in ("csv", "jsonl"):
            path = self.lab.folder / f"all.{format}"
            path.write_text(self.master.do("account", "export", "--keys", "--format", format))
            first[format] = path.read_text()
            self.assertEqual(len(re.findall(r"\{SCRAM-SHA-256\}", first[format])), ROWS)
        other.do("account", "import", str(self.lab.folder / "all.csv"))
        for format, text in first.items():
            self.assertEqual(other.do("account", "export", "--keys", "--format", format), text)
        other.do("account", "import", str(self.lab.folder / "all.jsonl"), "--format", "jsonl",
                 "--update")
        self.assertEqual(other.do("account", "export", "--keys", "--format", "jsonl"),
                         first["jsonl"])


class Joining(unittest.TestCase):
    """What tests/cluster/test_administration.py does not look at."""

    def test_a_used_token_and_a_wrong_password_leave_no_trace(self):
        lab = nodes_lab.Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        token = master.ask("token", "add", "--scope", "frontend")
        join = ("cluster", "join", "--master", master.cluster, "--pin", token["pin"])
        lab.node("a", ["frontend"]).do(*join, "--token-stdin", stdin=token["token"] + "\n")
        before = [node["name"] for node in master.ask("node", "list")["nodes"]]
        for words, secret in ((("--token-stdin",), token["token"]),
                              (("--user", "root", "--password-stdin"), "wrong"),
                              (("--user", "nobody", "--password-stdin"), "rootpass")):
            node = lab.node(f"b{len(lab.nodes)}", ["frontend"])
            code, _, err = node.cli(*join, *words, stdin=secret + "\n")
            self.assertEqual(code, 1)
            self.assertTrue(err)
            self.assertFalse((node.state / "cluster.json").exists())
        self.assertEqual([node["name"] for node in master.ask("node", "list")["nodes"]], before)
        records = [row for row in master.ask("audit", "list")["audit"]
                   if row["action"] == "node join"]
        self.assertEqual([row["outcome"] == "done" for row in records].count(True), 1)
        self.assertEqual(len(records), 4)


if __name__ == "__main__":
    unittest.main()
