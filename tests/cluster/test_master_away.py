"""While the master is away: every command and every call that needs it says so and changes
nothing, on a back end and on a front end, and every other one works."""
import json
import pathlib
import re
import subprocess
import unittest

from harness import ApiError, api_call
from nodes_lab import MUSTER, Lab, entries, free_port, wait_for

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src/admin"
PASSWORD, YES = "--password-stdin", "--yes"
FILE, NEW = object(), object()  # a declaration; a file that is not there

# Every command there is: those that need the master …
CHANGES = [
    ("domain", "add", "new.dom", "servers=sv1"), ("domain", "set", "d.dom", "mail=queue"),
    ("domain", "remove", "empty.dom", YES),
    ("domain", "credential", "list"), ("domain", "credential", "show", "far.dom"),
    ("domain", "credential", "set", "far.dom", "u", PASSWORD),
    ("domain", "credential", "remove", "far.dom", YES),
    ("server", "add", "sv9", "kind=foreign", "host=127.0.0.1"),
    ("server", "set", "sv1", "weight=3"),
    ("server", "remove", "sv2", YES), ("server", "drain", "sv1"), ("server", "resume", "sv1"),
    ("node", "set", "fe2", "admin=drain"), ("node", "remove", "fe2", YES), ("node", "drain", "fe2"),
    ("node", "resume", "fe2"),
    ("alias", "add", "new@d.dom", "kate@d.dom"), ("alias", "set", "lead@d.dom", "omar@d.dom"),
    ("alias", "remove", "lead@d.dom", YES),
    ("setting", "set", "unit", "2"), ("setting", "remove", "unit", YES),
    ("administrator", "list"), ("administrator", "show", "root"),
    ("administrator", "add", "more", PASSWORD),
    ("administrator", "set", "root", PASSWORD), ("administrator", "remove", "root", YES),
    ("credential", "list"), ("credential", "show", "sv1"),
    ("credential", "set", "sv1", "u", PASSWORD),
    ("credential", "remove", "sv1", YES),
    ("certificate", "set", "mail", "--chain", FILE, "--key", FILE),
    ("certificate", "remove", "mail", YES),
    ("certificate", "issue", "new"), ("certificate", "issued"),
    ("certificate", "forget", "old", YES),
    ("secret", "rotate", "srs"), ("secret", "rotate", "tickets", "--all", YES),
    ("dkim", "add", "d.dom", "s2"), ("dkim", "remove", "d.dom", "s1", YES),
    ("account", "add", "new@d.dom", "--no-password"), ("account", "set", "kate@d.dom", "quota=5"),
    ("account", "remove", "kate@d.dom", YES), ("account", "password", "kate@d.dom", PASSWORD),
    ("account", "disable", "kate@d.dom"), ("account", "enable", "kate@d.dom"),
    ("account", "rename", "kate@d.dom", "ann@d.dom"), ("account", "import", FILE),
    ("account", "export"),
    ("account", "export", NEW),
    ("cluster", "export"), ("cluster", "export", NEW), ("cluster", "diff", FILE),
    ("cluster", "apply", FILE, YES),
    ("cluster", "backup", NEW, PASSWORD), ("cluster", "accept-loss", YES),
    ("token", "add"), ("token", "list"), ("token", "remove", "abcdefabcdef", YES),
    ("audit", "list"),
]
# … (of these, what the master did is not known when it goes away in the middle) …
STREAMS = {("account", "import"), ("account", "export"), ("cluster", "export"),
           ("cluster", "backup")}
# … those that do not …
READS = [
    ("domain", "list"), ("domain", "show", "d.dom"), ("server", "list"), ("server", "show", "sv1"),
    ("node", "list"),
    ("node", "show", "fe2"), ("alias", "list"), ("alias", "show", "lead@d.dom"),
    ("setting", "list"), ("setting", "show", "unit"),
    ("certificate", "list"), ("certificate", "show", "mail"), ("secret", "list"), ("dkim", "list"),
    ("status",), ("network", "list"),
    ("account", "list"), ("account", "show", "kate@d.dom"), ("account", "locate", "kate@d.dom"),
    ("session", "list"),
    ("queue", "list"), ("queue", "destinations"), ("node", "reload"), ("cluster", "masters"),
    ("check",), ("reference",), ("sample-config",),
    ("manual",),
]
# … those that are for every node and do on the others what they can …
EVERYWHERE = [("session", "kick", "--account", "kate@d.dom", YES), ("queue", "flush", "--all")]
# … and those that are not about a running cluster, or ask a server or a queue (each has its own
# tests).
OTHERS = {"serve", "demo", "backend dovecot-config", "cluster init", "cluster open", "cluster join",
          "cluster restore",
          "cluster promote", "server check", "server learn", "queue show", "queue hold",
          "queue release", "queue remove",
          "queue adopt"}


def commands(*words):
    """All commands below this one, by what the program itself says."""
    text = subprocess.run([MUSTER, *words, "--help"], text=True, capture_output=True, check=True,
                          timeout=20).stdout
    _, _, below = text.partition("\nSubcommands:\n")
    names = re.findall(r"^  ([a-z][a-z-]*)", below, re.M)
    return {found for name in names
            for found in commands(*words, name)} if names else {" ".join(words)}


def routes_of_the_master():
    """(method, path) of every call that the sources say is the master's."""
    found = set()
    for source in SOURCES.glob("*.cpp"):
        text = source.read_text()
        found |= set(re.findall(r'ApiRoute\{\s*"([A-Z]+)",\s*"(/v1/[^"]*)",\s*RunsOn::Master',
                                text))
        for path, reads in re.findall(r'MUSTER_OBJECT_ROUTES\("([a-z]+)",\s*"[^"]*",\s*(\w+)',
                                      text):
            found |= {(method, f"/v1/{path}/{{}}") for method in ("PUT", "PATCH", "DELETE")}
            if reads == "Master":
                found |= {("GET", f"/v1/{path}"), ("GET", f"/v1/{path}/{{}}")}
        found |= set(re.findall(r'StreamRoute\{"([A-Z]+)", "(/v1/(?!queue)[^"]*)"', text))
    return sorted(found)


class MasterAway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = master = cls.lab.master()
        for server in ("sv1", "sv2"):
            master.do("server", "add", server, "kind=foreign", "host=127.0.0.1", "imap.port=1",
                      "imap.tls=none")
        master.do("domain", "add", "d.dom", "--servers", "sv1")
        master.do("domain", "add", "empty.dom", "--servers", "sv1")
        master.do("domain", "add", "far.dom", "kind=remote", "route=127.0.0.1:1")
        for name in ("kate", "omar"):
            master.do("account", "add", f"{name}@d.dom", PASSWORD, stdin="secret\n")
        master.do("alias", "add", "lead@d.dom", "kate@d.dom")
        master.do("setting", "set", "unit", "1")
        master.do("credential", "set", "sv1", "mu", PASSWORD, stdin="x\n")
        master.do("domain", "credential", "set", "far.dom", "mu", PASSWORD, stdin="x\n")
        master.do("dkim", "add", "d.dom", "s1", "--algorithm", "ed25519")
        master.do("certificate", "issue", "mail", "--out", str(cls.lab.folder))
        chain, key = (cls.lab.folder / f"mail.{end}" for end in ("crt", "key"))
        master.do("certificate", "set", "mail", "--chain", str(chain), "--key", str(key))
        listener = '[[listener]]\nprotocol = "smtp"\ntls = "none"\n' \
            f'address = "127.0.0.1:{free_port()}"\n'
        cls.front_end = cls.lab.member(master, "fe1", ["frontend"], "frontend", listener)
        cls.other = cls.lab.member(master, "fe2", ["frontend"], "frontend")
        cls.back_end = cls.lab.member(master, "be1", ["backend"], "backend")
        cls.members = [cls.front_end, cls.back_end]
        wait_for(lambda: "secret/srs" in entries(master.state / "directory.db"))
        cls.password = cls.lab.folder / "password"
        cls.password.write_text("rootpass\n")
        cls.password.chmod(0o600)
        cls.file = cls.lab.folder / "file.json"
        master.do("cluster", "export", str(cls.file))
        cls.rows = cls.lab.folder / "rows.csv"
        cls.rows.write_text("address,home\nnew@d.dom,sv1\n")
        cls.before = wait_for(cls.held_by_all)
        master.stop()
        for node in cls.members:
            wait_for(lambda: cls.here(node)["replica"]["phase"] == "waiting")

    @classmethod
    def here(cls, node):
        return node.ask("--node", node.name, "status")["nodes"][0]

    @classmethod
    def held_by_all(cls):
        """What the master has and each member holds; nothing while one lacks something."""
        head = cls.here(cls.master)["replica"]["revision"]
        if any(cls.here(node)["replica"].get("revision") != head for node in cls.members):
            return None
        return {node.name: node.replica_keys() and entries(*node.state.glob("replica-*.db"))
                for node in cls.members} | \
            {"m1": entries(cls.master.state / "directory.db"), "head": head}

    def words(self, command, node):
        """The command line, with files."""
        files = [self.rows] if command[:2] == ("account", "import") else [self.file]
        if command[0] == "certificate":
            files = [self.lab.folder / "mail.crt", self.lab.folder / "mail.key"]
        files = iter(files)
        return [str(next(files)) if word is FILE else
                str(self.lab.folder / f"new-{node.name}") if word is NEW else word
                for word in command]

    def test_the_tables_know_every_command(self):
        known = {" ".join(word for word in command if isinstance(word, str))
                 for command in CHANGES + READS + EVERYWHERE} | OTHERS
        for command in commands():
            self.assertTrue(any(row == command or row.startswith(command + " ") for row in known),
                            command)

    def test_every_command_that_needs_it_says_so_and_changes_nothing(self):
        for node in self.members:
            for command in CHANGES:
                with self.subTest(node=node.name,
                                  command=[word for word in command if isinstance(word, str)]):
                    code, out, error = node.cli("--user", "root", "--user-password-file",
                                                str(self.password),
                                                *self.words(command, node), stdin="newsecret\n")
                    self.assertEqual((code, out), (1, ""))
                    self.assertIn("the master cannot be reached", error)
                    self.assertIn(self.master.cluster, error)
                    if command[:2] not in STREAMS:
                        self.assertIn("nothing was changed", error)
                    self.assertNotIn("newsecret", error)
                    self.assertFalse((self.lab.folder / f"new-{node.name}").exists())
                    self.assertFalse((self.lab.folder / f"new-{node.name}.part").exists())

    def test_it_is_said_what_to_do(self):
        for node in self.members:
            _, _, error = node.cli("--user", "root", "--user-password-file", str(self.password),
                                   "setting", "set", "unit", "2")
            self.assertRegex(error, "start it.* or .*muster cluster promote NAME --force")

    def test_every_call_that_needs_it_says_so(self):
        routes = routes_of_the_master()
        self.assertGreater(len(routes), 60)
        for node in self.members:
            for method, route in routes:
                with self.subTest(node=node.name,
                                  call=(method, route)), self.assertRaises(ApiError) as raised:
                    api_call(str(node.state / "admin.sock"), method, route.replace("{}", "d.dom"),
                             None if method in ("GET", "DELETE") else {})
                self.assertEqual(raised.exception.status, 503)
                self.assertIn(self.master.cluster, json.loads(raised.exception.body)["error"])

    def test_who_comes_from_afar_hears_that_it_cannot_be_judged(self):
        self.assertEqual(self.front_end.http("/v1/domains", "root", "rootpass")[0], 503)
        self.assertEqual(self.back_end.http("/v1/domains", "root", "rootpass")[0], 200)
        self.assertEqual(self.back_end.http("/v1/domains", "root", "wrong")[0], 401)
        status, answer = self.back_end.http("/v1/domains/d.dom", "root", "rootpass", "PATCH",
                                            {"mail": "queue"})
        self.assertEqual(status, 503)
        self.assertIn(self.master.cluster, answer)

    def test_every_other_command_works(self):
        for node in self.members:
            for command in READS:
                with self.subTest(node=node.name, command=command):
                    code, out, error = node.cli(*command)
                    self.assertEqual(code, 0, error)
                    self.assertIn(error, ("", "muster: these nodes could not be reached: m1\n"))
                    self.assertTrue(out)
            for command in EVERYWHERE:
                code, _, error = node.cli(*command)
                self.assertEqual(code, 1)
                self.assertRegex(error, "could not be reached.*: m1|--user NAME")
            self.assertIn("kate@d.dom", node.do("account", "list"))

    @classmethod
    def tearDownClass(cls):
        """After all of it the master is back, and nobody has anything that was not there."""
        cls.master.start()
        after = wait_for(cls.held_by_all)
        if after != cls.before:
            changed = [(name, key) for name in after if name != "head"
                       for key in set(after[name]) | set(cls.before[name])
                       if after[name].get(key) != cls.before[name].get(key)]
            raise AssertionError((after["head"], cls.before["head"], changed))


if __name__ == "__main__":
    unittest.main()
