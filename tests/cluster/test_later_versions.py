"""What a newer master writes and this version does not know: values of known fields, fields of
other types, other fields, other families of entries. Every kind of follower stays in step, keeps
the entry as it is, says which it cannot use and serves the rest."""
import contextlib
import json
import re
import sqlite3
import unittest

import harness
import mail_lab
from nodes_lab import Lab, entries, free_port, wait_for
from test_followed_networks import in_step, password_file, section

SMTP = '[[listener]]\nprotocol = "smtp"\naddress = "127.0.0.1:{port}"\ntls = "none"\n[mail]\n' \
    'client_names = false\nrelay_from = ["127.200.0.1"]\n'
TRUSTED = "127.200.0.1"
# Who sees an entry.
ALL, RELAYS, FRONT_ENDS, BACK_ENDS, STAND_INS = range(5)

# key: (value, which field the log names, who sees it). Without a field it is nothing that this
# version has to read.
READ_TOGETHER = {
    "domain/quantum.dom": ({"kind": "quantum", "servers": ["sv1"]}, "kind", RELAYS),
    "domain/listed.dom": ({"kind": "shared", "servers": {"sv1": 2}}, "servers", RELAYS),
    "domain/route.dom": ({"kind": "remote", "route": ["[mx.far.dom]:25/udp"]}, "route", ALL),
    "domain/typed.dom": ({"kind": "remote", "route": {"host": "mx.far.dom"}}, "route", ALL),
    "domain/tls.dom": ({"kind": "remote", "tls": "quantum"}, "tls", ALL),
    "domain/retry.dom": ({"kind": "remote", "retry": {"first": "soon"}}, "retry.first", ALL),
    "server/kind": ({"kind": "cloud", "host": "127.0.0.1"}, "kind", RELAYS),
    "server/tls": ({"kind": "foreign", "host": "127.0.0.1",
                    "services": {"imap": {"port": 1, "tls": "quic"}}}, "services.imap.tls", RELAYS),
    "server/introduce": ({"kind": "foreign", "host": "127.0.0.1", "introduce": "letter"},
                         "introduce", RELAYS),
    "server/port": ({"kind": "foreign", "host": "127.0.0.1",
                     "services": {"imap": {"port": "imap"}}}, "services.imap.port", RELAYS),
    "node/scope": ({"scope": "observer", "pin": "sha256//x"}, "scope", RELAYS),
    "node/role": ({"scope": "backend", "eligible": True, "master": "perhaps"}, "master", ALL),
    "node/number": (17, "", RELAYS),
    "setting/ticket_rotation": ({"value": "often"}, None, RELAYS),
    "setting/srs_domain": ({"value": ["a", "b"]}, None, RELAYS),
    "setting/later": ({"value": {"a": [1, None]}, "unit": "weeks"}, None, RELAYS),
    "setting/bare": ({"values": 1}, "value", RELAYS),
    "certificate/later": ({"names": ["a.dom"], "chain": "x", "key": ["hsm", 7]}, "key", FRONT_ENDS),
    "credential/sv1": ({"user": "u", "password": {"vault": "x"}}, "password", FRONT_ENDS),
    "delivery/far.dom": ({"user": ["u"], "password": "{SEALED}eA=="}, "user", FRONT_ENDS),
    "secret/later": ({"kind": "quantum", "shares": [1, 2]}, "current", FRONT_ENDS),
    "dkim/d.dom/later": ({"algorithm": "quantum", "key": {"public": "x"}}, "key", FRONT_ENDS),
}
# What is read when somebody asks for it: the same.
READ_ONE_BY_ONE = {
    "account/state@d.dom": ({"id": "laterstate222222", "home": "sv1", "state": "frozen"}, None,
                            RELAYS),
    "account/number@d.dom": ({"id": "laternumber22222", "home": "sv1", "state": 7}, "state",
                             RELAYS),
    "account/quota@d.dom": ({"id": "laterquota222222", "home": "sv1", "quota": "5 GB"}, "quota",
                            RELAYS),
    "account/homes@d.dom": ({"id": "laterhomes222222", "home": ["sv1", "sv2"]}, "home", RELAYS),
    "alias/list@d.dom": ({"to": "kate@d.dom"}, "to", RELAYS),
    "alias/object@d.dom": ({"to": [{"address": "kate@d.dom", "copy": True}]}, "to", RELAYS),
    "key/laterstate222222": ({"keys": ["{QUANTUM}x"], "passkeys": []}, None, BACK_ENDS),
    "shared-acl/kate@d.dom/omar@d.dom": ({"value": {"rights": "lrs"}}, None, BACK_ENDS),
    "admin/later": ({"keys": [], "rights": "auditor"}, None, BACK_ENDS),
}
FAMILIES = {key: (value, None, STAND_INS) for key, value in
            {"later/x": {"a": 1}, "later/deep/er": [1, {"b": None}], "later": "word"}.items()}
UNKNOWN = {**READ_TOGETHER, **READ_ONE_BY_ONE, **FAMILIES}


def write_as_a_newer_version(master, changes):
    """In one transaction of the master's store, as its own commits are made; without a value an
    entry goes. Returns the texts that stand there now."""
    texts = {key: None if value is None else json.dumps(value, separators=(",", ":"))
             for key, value in changes.items()}
    master.stop()
    with contextlib.closing(sqlite3.connect(master.state / "directory.db")) as store, store:
        head = int(store.execute("select value from meta where name = 'head'").fetchone()[0]) + 1
        for ordinal, (key, text) in enumerate(texts.items()):
            if key.startswith(("domain/", "node/")):
                seen = json.loads(text) if text else None
                seen = isinstance(seen, dict) and (
                    seen.get("kind") == "remote" if key.startswith("domain/")
                    else True in (seen.get("master"), seen.get("eligible")))
                if not seen:
                    store.execute("insert into unseen values(?, ?, ?)", (head, ordinal, key))
            store.execute("insert into change values(?, ?, ?, ?)",
                          (head, ordinal, key, text is None))
            if text is None:
                store.execute("delete from entry where key = ?", (key,))
            else:
                store.execute("insert or replace into entry values(?, ?, ?)", (key, text, head))
        store.execute("update meta set value = ? where name = 'head'", (str(head),))
    master.start()
    return {key: text for key, text in texts.items() if text is not None}


def sight(node):
    return {"mirror": ALL, "relay": RELAYS, "fe1": FRONT_ENDS, "be1": BACK_ENDS,
            "m2": STAND_INS}[node.name]


def revision(master):
    return master.ask("--node", master.name, "status")["nodes"][0]["replica"]["revision"]


def phase(node, is_other):
    status = node.ask("--node", node.name, "status")["nodes"][0]
    return (status["networks"][0] if is_other else status["replica"])["phase"]


class Later(unittest.TestCase):
    written = 0

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.sink = mail_lab.Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.master = cls.lab.master()
        cls.master.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                      "imap.tls=none", f"smtp.port={cls.sink.port}", "smtp.tls=none")
        cls.master.do("domain", "add", "d.dom", "--servers", "sv1")
        cls.master.do("domain", "add", "far.dom", "kind=remote", "route=127.0.0.1:1")
        for name in ("kate", "omar"):
            cls.master.do("account", "add", f"{name}@d.dom", "--password-stdin", stdin="secret\n")
        cls.master.do("alias", "add", "lead@d.dom", "kate@d.dom")
        cls.port = free_port()
        cls.stand_in = cls.lab.member(cls.master, "m2", ["master"], "master")
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend",
                                       SMTP.format(port=cls.port))
        cls.back_end = cls.lab.member(cls.master, "be1", ["backend"], "backend")
        cls.members = [cls.stand_in, cls.front_end, cls.back_end]
        cls.others = []
        for mode in ("relay", "mirror"):
            node = cls.lab.node(mode, ["master"])
            node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                    stdin="rootpass\n")
            node.write_file(["master"], section("hq", cls.master.cluster, user="root", mode=mode,
                                                password_file=str(password_file(node))))
            node.start()
            cls.others.append(node)
        cls.followers = [*cls.members, *cls.others]
        for node in cls.others:
            wait_for(lambda node=node: in_step(node))

    def holds(self, node):
        """The texts of the entries that this follower of the master has of it."""
        folder = node.state / "networks/hq" if node in self.others else node.state
        return entries(*folder.glob("replica-*.db"))

    def sees(self, node, key):
        return UNKNOWN[key][2] <= sight(node)

    def write(self, changes):
        """The values, and takes them back when the test is over; waits until the front end has read
        them."""
        Later.written += 1
        marker = f"seen{Later.written}.dom"
        before = {key: json.loads(text) for key, text in
                  entries(self.master.state / "directory.db").items() if key in changes}
        self.addCleanup(write_as_a_newer_version, self.master,
                        {**{key: before.get(key) for key in changes}, f"domain/{marker}": None})
        texts = write_as_a_newer_version(self.master, {
            **changes, f"domain/{marker}": {"kind": "shared", "catch_all": "kate@d.dom"}})
        wait_for(lambda: self.rcpt(f"x@{marker}") == ["250"])
        return {key: texts[key] for key in changes}

    def wait_until_held(self, texts):
        for node in self.followers:
            wanted = {key: text for key, text in texts.items() if self.sees(node, key)}
            with contextlib.suppress(AssertionError):
                wait_for(lambda: wanted.items() <= self.holds(node).items())
            held = self.holds(node)
            self.assertEqual({key: held[key] for key in set(texts) & set(held)}, wanted, node.name)

    def says(self, node, key, field):
        said = rf'event=entry_unreadable key="?{re.escape(key)}"? reason=.*{re.escape(field)}'
        return re.search(said, node.log.read_text()) is not None

    def rcpt(self, *addresses, source=None):
        with mail_lab.Smtp(self.port, source=source or harness.new_source()) as smtp:
            return [answer[:3] for answer in smtp.envelope("a@elsewhere.test", *addresses)]

    def serves(self):
        """Everything that this version knows is as it always was, on every node."""
        for node in [self.master, *self.members]:
            self.assertEqual(node.ask("account", "locate", "kate@d.dom")["home"], "sv1")
        # Who was started anew judges unknown names once it has heard of the master.
        wait_for(lambda: self.rcpt("nobody@d.dom") == ["550"])
        self.assertEqual(self.rcpt("kate@d.dom", "lead@d.dom"), ["250", "250"])
        marker = f"at{revision(self.master)}"
        self.master.do("account", "add", f"{marker}@d.dom", "--no-password")
        self.master.do("domain", "add", f"{marker}.dom", "kind=remote")
        for node in self.members:
            wait_for(lambda: node.knows(f"{marker}@d.dom"))
        for node in self.followers:
            wait_for(lambda: f"domain/{marker}.dom" in self.holds(node))
            wait_for(lambda: phase(node, node in self.others) == "following")

    def follow_on(self):
        """All streams went on: nobody made a copy but the first, nobody thinks its own damaged."""
        for node in self.followers:
            with self.subTest(node=node.name):
                self.assertEqual(re.findall("event=replica_damaged.*", node.log.read_text()), [])
                copies = re.findall("event=follower phase=copying", node.log.read_text())
                self.assertEqual(len(copies), 1)

    def test_every_follower_keeps_what_it_cannot_use_and_serves_the_rest(self):
        texts = self.write({key: row[0] for key, row in UNKNOWN.items()})
        self.wait_until_held(texts)
        self.serves()
        for node in [self.master, *self.followers]:
            for key, (_, field, _) in READ_TOGETHER.items():
                if field is None or (node is not self.master and not self.sees(node, key)):
                    continue
                with self.subTest(node=node.name, key=key):
                    wait_for(lambda: self.says(node, key, field))
        for node in self.followers:
            self.assertEqual(node.stop(), 0)
            node.start()
        self.wait_until_held(texts)
        self.serves()
        self.follow_on()
        held = entries(self.master.state / "directory.db")
        self.assertEqual({key: held[key] for key in texts}, texts)

    def test_who_asks_for_a_row_of_a_newer_version_is_told_to_come_again(self):
        texts = self.write({key: row[0] for key, row in READ_ONE_BY_ONE.items()})
        self.wait_until_held(texts)
        for key, (_, field, _) in READ_ONE_BY_ONE.items():
            family, address = key.split("/", 1)
            if field is None or family not in ("account", "alias"):
                continue
            with self.subTest(key=key):
                self.assertRegex(self.rcpt(address)[0], "^4")
                for node in [self.master, *self.members]:
                    self.assertEqual(node.cli("account", "locate", address)[0], 1)
                    self.assertTrue(self.says(node, key, field), node.name)
        self.serves()
        self.follow_on()
        alarms = [one for one in self.master.ask("status")["alarms"] if one["about"] == "replica"]
        self.assertEqual(alarms, [])

    def test_mail_for_a_domain_of_a_newer_version_is_not_sent_back(self):
        keys = [key for key in READ_TOGETHER if key.startswith("domain/")]
        self.wait_until_held(self.write({key: READ_TOGETHER[key][0] for key in keys}))
        for key in keys:
            with self.subTest(key=key):
                self.assertRegex(self.rcpt(f"kate@{key.split('/')[1]}")[0], "^4")

    def test_mail_for_a_remote_domain_of_a_newer_version_goes_no_other_way(self):
        """Its route, its login and its TLS are not known: what its MX says was not wanted."""
        keys = ["domain/route.dom", "domain/typed.dom", "domain/tls.dom", "domain/retry.dom"]
        self.assertEqual(self.rcpt("kate@elsewhere.dom", source=TRUSTED), ["250"])
        self.wait_until_held(self.write({key: READ_TOGETHER[key][0] for key in keys}))
        for key in keys:
            with self.subTest(key=key):
                self.assertRegex(self.rcpt(f"kate@{key.split('/')[1]}", source=TRUSTED)[0], "^4")

    def test_what_cannot_be_read_is_said_once_and_is_an_alarm(self):
        self.write({"server/cloud": {"kind": "cloud", "host": "127.0.0.1"}})
        for name in ("one", "two", "three"):
            self.master.do("setting", "set", name, "1")
            wait_for(lambda: self.front_end.cli("setting", "show", name)[0] == 0)
        self.serves()
        for node in [self.master, *self.members]:
            with self.subTest(node=node.name):
                said = re.findall(r"entry_unreadable key=server/cloud .*", node.log.read_text())
                self.assertEqual(len(said), 1)
                alarms = [one["text"] for one in node.ask("--node", node.name, "status")["alarms"]
                          if one["about"] == "entry server/cloud"]
                self.assertEqual(len(alarms), 1)
                self.assertIn("kind", alarms[0])

    def test_what_an_edit_cannot_read_it_refuses_and_leaves(self):
        changed = {"domain/quantum.dom": ("domain", "set", "quantum.dom", "mail=queue"),
                   "domain/tls.dom": ("domain", "set", "tls.dom", "mail=queue"),
                   "server/kind": ("server", "set", "kind", "weight=3"),
                   "server/tls": ("server", "drain", "tls"),
                   "node/scope": ("node", "drain", "scope"),
                   "account/quota@d.dom": ("account", "disable", "quota@d.dom"),
                   "account/number@d.dom": ("account", "set", "number@d.dom", "quota=5"),
                   "account/homes@d.dom": ("account", "rename", "homes@d.dom", "other@d.dom")}
        before = self.write({key: UNKNOWN[key][0] for key in changed})
        at = revision(self.master)
        for key, words in changed.items():
            with self.subTest(key=key):
                code, _, error = self.master.cli("--yes", *words)
                self.assertEqual(code, 1)
                self.assertIn(UNKNOWN[key][1].split(".")[-1], error)
        held = entries(self.master.state / "directory.db")
        self.assertEqual({key: held[key] for key in before}, before)
        self.assertEqual(revision(self.master), at)

    def test_it_is_used_without_a_restart_once_it_is_known(self):
        keys = ["domain/quantum.dom", "domain/tls.dom", "account/quota@d.dom",
                "account/number@d.dom",
                "alias/object@d.dom", "server/kind", "node/scope"]
        self.wait_until_held(self.write({key: UNKNOWN[key][0] for key in keys}))
        pids = [node.process.pid for node in self.followers]
        # An administrator makes known what may be replaced as a whole, a newer master the rest.
        self.master.do("domain", "set", "quantum.dom", "kind=shared", "catch_all=kate@d.dom")
        self.master.do("domain", "set", "tls.dom", "tls=none", "route=127.0.0.1:1")
        self.master.do("server", "set", "kind", "kind=foreign", "imap.port=1")
        self.master.do("node", "set", "scope", "scope=relay")
        self.master.do("alias", "set", "object@d.dom", "kate@d.dom")
        known = write_as_a_newer_version(self.master, {
            "account/quota@d.dom": {**UNKNOWN["account/quota@d.dom"][0], "quota": 5},
            "account/number@d.dom": {**UNKNOWN["account/number@d.dom"][0], "state": "active"}})
        self.wait_until_held(known)
        for address in ("quota@d.dom", "number@d.dom", "object@d.dom", "anybody@quantum.dom"):
            wait_for(lambda: self.rcpt(address) == ["250"])
        for node in [self.master, *self.members]:
            wait_for(lambda: node.cli("account", "locate", "number@d.dom")[0] == 0)
            wait_for(lambda: node.ask("server", "show", "kind").get("services"))
        mirror = self.others[1]
        wait_for(lambda: mirror.ask("domain", "show", "tls.dom")["tls"] == "none")
        self.assertEqual([node.process.pid for node in self.followers], pids)
        self.serves()

    def test_a_member_whose_own_entry_cannot_be_read_serves_on_and_comes_back(self):
        whole = {name: json.loads(text)
                 for name, text in entries(self.master.state / "directory.db").items()
                 if name in ("node/fe1", "node/be1")}
        self.addCleanup(self.serves)
        self.addCleanup(write_as_a_newer_version, self.master, whole)
        write_as_a_newer_version(self.master,
                                 {"node/fe1": {**whole["node/fe1"], "scope": "observer"},
                                               "node/be1": {**whole["node/be1"], "smtp": 25}})
        for node in (self.front_end, self.back_end):
            wait_for(lambda: phase(node, False) == "waiting")
            wait_for(lambda: any(one["about"] == "replica"
                                 for one in node.ask("--node", node.name, "status")["alarms"]))
            self.assertEqual(node.ask("account", "locate", "kate@d.dom")["home"], "sv1")
        self.assertEqual(self.rcpt("kate@d.dom", "lead@d.dom"), ["250", "250"])
        pids = [node.process.pid for node in self.followers]
        write_as_a_newer_version(self.master, whole)
        self.serves()
        self.assertEqual([node.process.pid for node in self.followers], pids)

    def test_an_edit_keeps_the_fields_of_a_newer_version(self):
        now = {key: json.loads(text)
               for key, text in entries(self.master.state / "directory.db").items()}
        omar = now["account/omar@d.dom"]
        later = {"later": {"a": [1, {"b": None}], "c": "\u00fc"}}
        self.master.do("administrator", "add", "aud", "--password-stdin", stdin="x\n")
        self.master.do("credential", "set", "sv1", "mu", "--password-stdin", stdin="x\n")
        self.master.do("domain", "credential", "set", "far.dom", "mu", "--password-stdin",
                       stdin="x\n")
        now = {key: json.loads(text)
               for key, text in entries(self.master.state / "directory.db").items()}
        secret = now["secret/srs"]
        edits = {
            "domain/two.dom": ({"kind": "shared", "servers": ["sv1"],
                                "default_for": {"tls_names": ["two.dom"], **later}, **later},
                               ("domain", "set", "two.dom", "mail=queue")),
            "domain/far.dom": ({**now["domain/far.dom"], "retry": {"first": 60, **later},
                                "limits": {"messages": 5, **later}, **later},
                               ("domain", "set", "far.dom", "retry.longest=600")),
            "server/two": ({"kind": "foreign", "host": "127.0.0.1", "services": {
                                "imap": {"port": 1, "tls": "none", **later}, "jmap": later},
                                **later},
                           ("server", "set", "two", "imap.port=3")),
            "node/two": ({"scope": "frontend", "pin": "sha256//x", **later},
                         ("node", "drain", "two")),
            "account/omar@d.dom": ({**omar, **later},
                                   ("account", "set", "omar@d.dom", "quota=5")),
            f"key/{omar['id']}": ({**now[f"key/{omar['id']}"], **later},
                                  ("account", "password", "omar@d.dom", "--password-stdin")),
            "alias/lead@d.dom": ({**now["alias/lead@d.dom"], **later},
                                 ("alias", "set", "lead@d.dom", "omar@d.dom")),
            "setting/unit": ({"value": 1, **later}, ("setting", "set", "unit", "2")),
            "admin/aud": ({**now["admin/aud"], **later},
                          ("administrator", "set", "aud", "--read-only", "--password-stdin")),
            "credential/sv1": ({**now["credential/sv1"], **later},
                               ("credential", "set", "sv1", "other", "--password-stdin")),
            "delivery/far.dom": ({**now["delivery/far.dom"], **later},
                                 ("domain", "credential", "set", "far.dom", "other",
                                  "--password-stdin")),
            "secret/srs": ({**secret, "next": {**secret["next"], **later}, **later},
                           ("secret", "rotate", "srs")),
        }
        before = self.write({key: row[0] for key, row in edits.items()})
        for key, (_, words) in edits.items():
            self.master.do(*words, stdin="x\n")
        after = {key: text for key, text in entries(self.master.state / "directory.db").items()
                 if key in edits}
        for key in edits:
            with self.subTest(key=key):
                self.assertNotEqual(after[key], before[key])
                self.assertEqual(laters(json.loads(after[key])), laters(json.loads(before[key])))
        who = {"account": RELAYS, "alias": RELAYS, "domain": RELAYS, "server": RELAYS,
               "node": RELAYS,
               "setting": RELAYS, "key": BACK_ENDS, "admin": BACK_ENDS}
        for node in self.members:
            mine = {key: text for key, text in after.items()
                    if sight(node) >= who.get(key.split("/")[0], FRONT_ENDS)}
            wait_for(lambda: mine.items() <= self.holds(node).items())
        self.follow_on()


class Precedence(unittest.TestCase):
    def test_a_domain_that_cannot_be_read_does_not_go_to_another_network(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        port = free_port()
        edge = lab.node("edge", ["master", "frontend"])
        edge.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        file = str(password_file(edge))
        edge.write_file(["master", "frontend"],
                        section("hq", master.cluster, user="root", mode="relay", password_file=file) +
                        SMTP.format(port=port))
        edge.start()
        wait_for(lambda: in_step(edge))
        for node in (edge, master):
            node.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                    "imap.tls=none")
            for domain in ("both.dom", f"only-{node.name}.dom"):
                node.do("domain", "add", domain, "--servers", "sv1")
        master.do("account", "add", "kate@both.dom", "--no-password")
        wait_for(lambda: edge.cli("domain", "show", "only-m1.dom")[0] == 0)

        def of(name):
            rows = {one["name"]: one for one in edge.ask("domain", "list")["domains"]}
            return rows.get(name, {}).get("network", "")
        self.assertEqual((of("only-m1.dom"), of("both.dom")), ("hq", ""))
        write_as_a_newer_version(edge, {"domain/both.dom": {"kind": "quantum", "servers": ["sv1"]}})
        wait_for(lambda: "entry_unreadable key=domain/both.dom" in edge.log.read_text()
                 and of("only-m1.dom") == "hq")
        self.assertEqual(of("both.dom"), "")
        with mail_lab.Smtp(port, source=harness.new_source()) as smtp:
            self.assertRegex(smtp.envelope("a@elsewhere.test", "kate@both.dom")[0], "^4")
        edge.do("domain", "set", "both.dom", "kind=shared")
        self.assertEqual(of("both.dom"), "")


def laters(value):
    """What stands anywhere in it under names that this version does not know."""
    if not isinstance(value, dict):
        return []
    return sorted(json.dumps(inner) for name, inner in value.items()
                  if name in ("later", "jmap")) + \
        [found for inner in value.values() for found in laters(inner)]


if __name__ == "__main__":
    unittest.main()
