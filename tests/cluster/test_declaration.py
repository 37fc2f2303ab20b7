"""The state as a file: with credentials for delivery, keys that sign, secrets in common,
certificates, exceptions and nodes of other networks. What was exported brings an emptied cluster
back, and no secret is ever shown."""
import json
import subprocess
import unittest

from nodes_lab import Lab, entries, wait_for
from test_followed_networks import in_step, password_file, rows, section


def pem(folder, name):
    """A self-signed certificate and its key, as files."""
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-days", "90", "-keyout", key, "-out", chain],
                   check=True, capture_output=True)
    return chain, key


def state(master):
    return {key: json.loads(text) for key, text in entries(master.state / "directory.db").items()
            if not key.startswith(("token/", "issued/"))}


class Declarations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        cls.chain, key = pem(cls.lab.folder, "mail.d.dom")
        signing = cls.lab.folder / "signing.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", signing], check=True)
        master = cls.master
        master.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                  "imap.tls=none")
        master.do("domain", "add", "d.dom", "--servers", "sv1")
        master.do("domain", "add", "far.dom", "kind=remote", "route=127.0.0.1:1", "tls=encrypted",
                  "retry.first=60")
        master.do("account", "add", "kate@d.dom", "--password-stdin", stdin="Account-1\n")
        master.do("alias", "add", "lead@d.dom", "kate@d.dom")
        master.do("administrator", "add", "view", "--read-only", "--password-stdin",
                  stdin="Admin-1\n")
        master.do("credential", "set", "sv1", "mu", "--password-stdin", stdin="Master-1\n")
        master.do("domain", "credential", "set", "far.dom", "du", "--password-stdin",
                  stdin="Delivery-1\n")
        master.do("dkim", "add", "d.dom", "s1", "--key-file", str(signing))
        master.do("certificate", "set", "mail", "--chain", str(cls.chain), "--key", str(key))
        master.do("setting", "set", "srs_domain", "d.dom")
        wait_for(lambda: {"secret/tickets", "secret/srs"} <= set(state(master)))
        cls.front_end = cls.lab.member(master, "fe1", ["frontend"], "frontend")
        cls.mirror = cls.lab.node("mirror", ["master"])
        cls.mirror.do("cluster", "init")
        cls.mirror.write_file(["master"], section("hq", master.cluster, user="root", mode="mirror",
                                                  password_file=str(password_file(cls.mirror))))
        cls.mirror.start()
        wait_for(lambda: in_step(cls.mirror))
        master.do("node", "set", "mirror", "credentials=true")
        wait_for(lambda: "delivery/far.dom" in rows(cls.mirror))
        wait_for(lambda: cls.front_end.cli("domain", "show", "far.dom")[0] == 0)
        cls.front_end.do("domain", "set", "far.dom", "tls=none", "--here")
        cls.clear = {"Account-1", "Admin-1", "Master-1", "Delivery-1", *(
            line for file in (key, signing) for line in file.read_text().splitlines()[1:-1])}
        cls.plain = {"certificates": {"mail": {"chain": cls.chain.read_text(),
                                               "key": key.read_text()}},
                     "credentials": {"sv1": {"user": "mu", "password": "Master-1"}},
                     "delivery": {"far.dom": {"user": "du", "password": "Delivery-1"}}}
        cls.signing = signing.read_text()

    def export(self, node, name, *words):
        path = self.lab.folder / name
        path.unlink(missing_ok=True)
        node.do("cluster", "export", str(path), *words)
        return path, json.loads(path.read_text())

    def file(self, name, content):
        path = self.lab.folder / name
        path.write_text(json.dumps(content))
        return path

    def assert_hidden(self, *texts):
        """Neither the secrets nor what they are sealed as, unless somebody exports them."""
        sealed = [part for key, value in state(self.master).items()
                  if key.startswith(("delivery/", "credential/", "dkim/", "secret/", "certificate/",
                                     "key/", "admin/"))
                  for part in secrets_in(value)]
        self.assertGreater(len(sealed), 8)
        for text in texts:
            for secret in [*self.clear, *sealed]:
                self.assertFalse(secret in text, (secret[:20], text[:200]))

    def test_an_emptied_cluster_is_brought_back_by_what_it_exported(self):
        path, content = self.export(self.master, "all.json", "--keys")
        self.assertEqual(content["delivery"]["far.dom"]["user"], "du")
        self.assertEqual(set(content["dkim"]), {"d.dom/s1"})
        self.assertEqual(content["nodes"]["mirror"]["scope"], "mirror")
        self.assertTrue(content["nodes"]["mirror"]["credentials"])
        before, held, seen = state(self.master), self.front_end.replica_keys(), rows(self.mirror)
        nothing = {name: {} for name in content if name != "muster"}
        kept = {"muster": 1, "nodes": content["nodes"], "administrators": content["administrators"],
                "settings": {"authority": content["settings"]["authority"]}}
        out = self.master.do("cluster", "apply", str(self.file("none.json", {**nothing, **kept})),
                             "--yes")
        left = {key for key in state(self.master)
                if not key.startswith(("node/", "admin/", "secret/"))}
        self.assertEqual(left, {"setting/authority"})
        wait_for(lambda: "delivery/far.dom" not in rows(self.mirror))
        wait_for(lambda: not self.front_end.replica_keys("dkim"))
        shown = self.master.do("cluster", "diff", str(path))
        for key in ("delivery/far.dom", "dkim/d.dom/s1", "domain/far.dom", "account/kate@d.dom"):
            self.assertIn(f"+ {key} ", shown)
        as_json = self.master.do("cluster", "diff", str(path), "--json")
        out += self.master.do("cluster", "apply", str(path), "--yes")
        self.assertEqual(state(self.master), before)
        self.assertEqual(self.master.do("cluster", "diff", str(path)), "")
        self.assertEqual(self.master.ask("cluster", "diff", str(path))["steps"], [])
        self.assertEqual(self.master.do("cluster", "apply", str(path), "--yes"), "nothing to do\n")
        self.assert_hidden(out, shown, as_json, self.master.log.read_text(),
                           (self.master.state / "audit.log").read_text(),
                           self.front_end.log.read_text())
        # Whoever follows has what it had; what a node does otherwise is not the file's business.
        wait_for(lambda: self.front_end.replica_keys() == held)
        wait_for(lambda: set(rows(self.mirror)) == set(seen))
        self.assertEqual(rows(self.mirror)["delivery/far.dom"]["user"], "du")
        wait_for(lambda: self.front_end.cli("domain", "show", "far.dom")[0] == 0)
        self.assertEqual(self.front_end.ask("domain", "show", "far.dom")["here"], ["tls"])
        for name in ("exceptions", "networks"):
            self.assertNotIn(name, content)

    def test_a_file_with_secrets_in_clear_begins_another_cluster(self):
        _, content = self.export(self.master, "plain.json")
        for name in self.plain:
            self.assertNotIn(name, content)
        other = self.lab.master("m2")
        mine = {name: content[name]
                for name in ("servers", "domains", "accounts", "aliases", "shared_acl")}
        path = self.file("clear.json", {"muster": 1, **mine, **self.plain})
        said = [other.do("cluster", "diff", str(path)),
                other.do("cluster", "diff", str(path), "--json"),
                other.do("cluster", "apply", str(path), "--yes")]
        self.assertIn("+ delivery/far.dom ", said[0])
        said += [other.do("cluster", "diff", str(path)),
                 other.do("cluster", "apply", str(path), "--yes")]
        self.assertEqual(said[-2:], ["", "nothing to do\n"])
        again, exported = self.export(other, "again.json", "--keys")
        self.assertEqual(other.do("cluster", "diff", str(again)), "")
        self.assertEqual({name: exported[name] for name in mine}, mine)
        said += [again.read_text(), other.log.read_text(), (other.state / "audit.log").read_text()]
        said += [json.dumps(value) for value in state(other).values()]
        said += [other.do(*words, "--json") for words in (
            ("dkim", "list"), ("domain", "credential", "list"), ("credential", "list"),
            ("certificate", "list"), ("audit", "list"))]
        for text in said:
            for secret in self.clear:
                self.assertFalse(secret in text, (secret[:20], text[:200]))

    def test_keys_that_sign_and_secrets_in_common_in_clear_are_sealed(self):
        other = self.lab.master("m5")
        wait_for(lambda: "secret/srs" in state(other))
        other.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                 "imap.tls=none")
        other.do("domain", "add", "d.dom", "--servers", "sv1")
        path = self.file("keys.json", {"muster": 1, "dkim": {"d.dom/s1": {"key": self.signing}},
                                       "secrets": {**self.exported_secrets(other), "srs": {
                                           "current": {"id": "mine", "key": "Rewriting-secret-1"}}}})
        said = [other.do("cluster", "apply", str(path), "--yes"),
                other.do("cluster", "diff", str(path))]
        self.assertEqual(said[-1], "")
        said += [json.dumps(value) for value in state(other).values()]
        for secret in [*self.signing.splitlines()[1:-1], "Rewriting-secret-1"]:
            self.assertEqual([text for text in said if secret in text], [])
        front_end = self.lab.member(other, "fe5", ["frontend"], "frontend")
        written = wait_for(lambda: [*(front_end.state / "dkim").glob("d.dom*")])
        self.assertEqual([file.read_text() for file in written], [self.signing])

    def exported_secrets(self, node):
        return self.export(node, "secrets.json", "--keys")[1]["secrets"]

    def test_what_another_cluster_sealed_is_refused_and_nothing_is_done(self):
        path, content = self.export(self.master, "theirs.json", "--keys")
        other = self.lab.master("m3")
        before = wait_for(lambda: "secret/srs" in state(other) and state(other))
        for name in ("credentials", "delivery", "secrets", "dkim", "certificates"):
            mine = self.file("theirs-one.json",
                             {"muster": 1, "domains": content["domains"],
                              "servers": content["servers"],
                                                 name: content[name]})
            for verb in (("diff",), ("apply", "--yes")):
                code, out, error = other.cli("cluster", verb[0], str(mine), *verb[1:])
                self.assertEqual((code, out), (1, ""), name)
                self.assertRegex(error, "sealed by (another|this) cluster")
                self.assertIn("/".join(next(iter(content[name])).split("/")[:1]), error)
        self.assertEqual(state(other), before)

    def test_a_file_of_another_cluster_changes_neither_who_leads_nor_whom_nodes_trust(self):
        path, content = self.export(self.master, "other.json")
        other = self.lab.master("m4")
        authority = other.ask("setting", "show", "authority")["value"]
        said = {"nodes": ["node m4 leads", "node m1 does not lead"], "settings": ["the setting authority"]}
        for section_, why in said.items():
            mine = self.file("one.json", {"muster": 1, section_: content[section_]})
            self.assertEqual(other.cli("cluster", "apply", str(mine), "--yes")[0], 1)
            problems = " ".join(json.loads(
                other.cli("cluster", "diff", str(mine), "--json")[1])["problems"])
            for words in why:
                self.assertIn(words, problems)
        self.assertEqual(other.cli("cluster", "apply", str(path), "--yes")[0], 1)
        leading = [one["name"] for one in other.ask("node", "list")["nodes"] if one["master"]]
        self.assertEqual(leading, ["m4"])
        self.assertEqual(other.ask("setting", "show", "authority")["value"], authority)

    def test_a_problem_with_credentials_or_keys_is_said_and_nothing_is_done(self):
        before = state(self.master)
        sealed = before["dkim/d.dom/s1"]["key"]
        for section_, value, said in (
                ("delivery", {"near.dom": {"user": "u", "password": "p"}}, "domain/near.dom"),
                ("delivery", {"far.dom": {"password": "p"}}, "user"),
                ("delivery", {"Far.dom": {"user": "u", "password": "p"}}, "far.dom"),
                ("dkim", {"d.dom": {"key": "x"}}, "dkim/DOMAIN/SELECTOR"),
                ("dkim", {"d.dom/s1": {"key": sealed[:-8] + "AAAAAAA="}}, "dkim/d.dom/s1"),
                ("secrets", {"srs": {"rotated": 1}}, "current"),
                ("nodes", {"mirror": {"scope": "relay", "credentials": True}}, "credentials"),
                ("exceptions", {"far.dom": {"tls": "none"}}, "exceptions")):
            path = self.file("wrong.json", {"muster": 1, section_: value})
            with self.subTest(section=section_, value=str(value)[:60]):
                code, out, error = self.master.cli("cluster", "apply", str(path), "--yes")
                self.assertEqual(code, 1, out)
                self.assertIn(said, error)
                self.assert_hidden(out, error)
        self.assertEqual(state(self.master), before)


def secrets_in(value):
    """Texts that are sealed or hashed, wherever they stand."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in
                ([inner] if name in ("password", "key")
                 and isinstance(inner, str) else secrets_in(inner))]
    return [part for item in value for part in secrets_in(item)] if isinstance(value, list) else \
        [value] if isinstance(value, str) and value.startswith("{") else []


if __name__ == "__main__":
    unittest.main()
