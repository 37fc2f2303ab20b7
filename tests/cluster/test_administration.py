"""Administration of a cluster by the command line and the API, with real processes."""
import concurrent.futures
import json
import re
import socket
import shutil
import subprocess
import unittest

from harness import api_call
from nodes_lab import (Lab, cluster_status, entries, free_port, shown_names, stranger_status,
                       wait_for)


def set_up_directory(master):
    for server in ("sv1", "sv2"):
        master.do("server", "add", server, "kind=foreign", "host=127.0.0.1", "imap.port=143",
                  "imap.tls=none")
    master.do("domain", "add", "domain1.dom", "--servers", "sv1,sv2")


class Membership(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend")
        cls.back_end = cls.lab.member(cls.master, "be1", ["backend"], "backend")

    def test_what_is_added_at_the_master_is_known_everywhere_at_once(self):
        self.master.do("account", "add", "kate@domain1.dom", "--home", "sv2", "--password-stdin",
                       stdin="secret\n")
        wait_for(lambda: self.front_end.knows("kate@domain1.dom"))
        wait_for(lambda: self.back_end.knows("kate@domain1.dom"))
        located = self.front_end.ask("account", "locate", "KATE@Domain1.dom")
        self.assertEqual(located["home"], "sv2")

    def test_changes_to_one_object_at_the_same_time_are_all_made(self):
        def change(option):
            for value in range(1, 41):
                status, answer = self.master.http(
                    "/v1/domains/domain1.dom", "root", "rootpass", "PATCH", {option: value})
                self.assertEqual(status, 200, answer)
                self.assertEqual(json.loads(answer)[option], value)

        options = ("left", "right", "third")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(change, option) for option in options]:
                done.result()
        domain = self.master.ask("domain", "show", "domain1.dom")
        self.assertEqual([domain[option] for option in options], [40, 40, 40])
        self.assertEqual(domain["servers"], ["sv1", "sv2"])

    def test_front_ends_hold_no_keys(self):
        self.master.do("account", "add", "keys@domain1.dom", "--password-stdin", stdin="secret\n")
        wait_for(lambda: self.back_end.knows("keys@domain1.dom"), 5)
        wait_for(lambda: self.front_end.knows("keys@domain1.dom"), 5)
        self.assertIn("key", self.back_end.replica_families())
        self.assertIn("account", self.front_end.replica_families())
        self.assertFalse({"key", "admin", "token"} & self.front_end.replica_families())
        self.assertNotIn("token", self.back_end.replica_families())

    def test_a_master_users_password_is_nowhere_in_clear(self):
        self.master.do("credential", "set", "sv1", "masteruser", "--password-stdin",
                       stdin="Opensesame-1\n")
        status, answer = self.master.http(
            "/v1/cluster/apply", "root", "rootpass", "POST",
            {"muster": 1, "credentials": {
                "sv1": {"user": "masteruser", "password": "Opensesame-1"},
                "sv2": {"user": "masteruser", "password": "Opensesame-2"}}})
        self.assertEqual(status, 200, answer)
        self.assertEqual(json.loads(answer)["applied"], 1)  # sv1 is as it was
        for node in (self.front_end, self.back_end):
            wait_for(lambda node=node: node.replica_keys("credential") ==
                     {"credential/sv1", "credential/sv2"}, 5)
        for node in (self.master, self.front_end, self.back_end):
            files = [file for file in node.state.rglob("*") if file.is_file()]
            self.assertTrue(files)
            for file in files:
                self.assertNotIn(b"Opensesame", file.read_bytes(), file)
            self.assertNotIn("Opensesame", node.log.read_text())

    def test_a_token_is_used_once_and_only_for_its_scope(self):
        token = self.master.ask("token", "add", "--scope", "frontend")
        other = self.lab.node("fe7", ["backend"])
        join = ("cluster", "join", "--master", self.master.cluster, "--pin", token["pin"],
                "--token-stdin")
        code, _, err = other.cli(*join, stdin=token["token"] + "\n")
        self.assertEqual(code, 1)
        self.assertIn("scope", err)
        first = self.lab.node("fe8", ["frontend"])
        first.do(*join, stdin=token["token"] + "\n")
        second = self.lab.node("fe9", ["frontend"])
        code, _, err = second.cli(*join, stdin=token["token"] + "\n")
        self.assertEqual(code, 1)
        self.assertIn("used", err)
        self.assertFalse((second.state / "cluster.json").exists())

    def test_two_nodes_with_one_name_are_refused(self):
        token = self.master.ask("token", "add", "--scope", "frontend")
        twin_folder = Lab()
        self.addCleanup(twin_folder.close)
        twin = twin_folder.node("fe1", ["frontend"])
        code, _, err = twin.cli("cluster", "join", "--master", self.master.cluster, "--pin",
                                token["pin"], "--token-stdin", stdin=token["token"] + "\n")
        self.assertEqual(code, 1)
        self.assertIn("another key already", err)

    def test_an_administrators_password_lets_a_node_join_but_a_wrong_one_does_not(self):
        pin = self.master.ask("node", "show", "m1")["pin"]
        node = self.lab.node("fe5", ["frontend"])
        join = ("cluster", "join", "--master", self.master.cluster, "--pin", pin, "--user", "root",
                "--password-stdin")
        code, _, err = node.cli(*join, stdin="wrong\n")
        self.assertEqual(code, 1)
        self.assertIn("wrong", err)
        node.do(*join, stdin="rootpass\n")
        self.assertIn("fe5", [n["name"] for n in self.master.ask("node", "list")["nodes"]])

    def test_a_master_with_another_key_is_not_believed(self):
        token = self.master.ask("token", "add", "--scope", "frontend")
        node = self.lab.node("fe6", ["frontend"])
        code, _, _ = node.cli("cluster", "join", "--master", self.master.cluster, "--pin",
                              "sha256//" + "A" * 43 + "=", "--token-stdin",
                              stdin=token["token"] + "\n")
        self.assertEqual(code, 1)

    def test_strangers_are_refused_at_the_cluster_port(self):
        self.assertEqual(stranger_status(self.master.cluster), 403)

    def test_a_front_end_changes_the_cluster_only_for_an_administrator(self):
        self.master.do("account", "add", "omar@domain1.dom", "--no-password")
        for node in (self.front_end, self.back_end):  # until then it knows no member
            wait_for(lambda node=node: node.knows("omar@domain1.dom"))
        code, _, err = self.front_end.cli("account", "disable", "omar@domain1.dom")
        self.assertEqual(code, 1)
        self.assertIn("--user", err)
        password = self.front_end.folder / "password"
        password.write_text("rootpass\n")
        self.front_end.do("--user", "root", "--user-password-file", str(password), "account",
                          "disable", "omar@domain1.dom")
        self.assertEqual(self.master.ask("account", "show", "omar@domain1.dom")["state"],
                         "disabled")
        self.back_end.do("account", "enable", "omar@domain1.dom")
        self.assertEqual(self.master.ask("account", "show", "omar@domain1.dom")["state"], "active")

    def test_a_front_end_gets_no_rights_by_way_of_a_back_end(self):
        evil = {"password": "evil", "rights": "full"}
        for node in (self.master, self.back_end):
            status = cluster_status(node.cluster, "PUT", "/v1/administrators/evil", evil,
                                    member=self.front_end)
            self.assertEqual(status, 403, node.name)
        self.assertEqual(cluster_status(self.back_end.cluster, "GET", "/v1/tokens",
                                        member=self.front_end), 403)
        self.assertNotIn("evil", json.dumps(self.master.ask("administrator", "list")))

    def test_who_may_only_read_changes_nothing_by_way_of_a_back_end(self):
        self.master.do("administrator", "add", "guest", "--read-only", "--password-stdin",
                       stdin="guestpass\n")
        wait_for(lambda: cluster_status(self.back_end.cluster, "GET", "/v1/status",
                                        member=self.front_end, user="guest:guestpass") == 200, 5)
        evil = {"password": "evil", "rights": "full"}
        self.assertEqual(cluster_status(self.back_end.cluster, "PUT", "/v1/administrators/evil",
                                        evil, member=self.front_end, user="guest:guestpass"), 403)
        fine = {"password": "fine", "rights": "read"}
        self.assertEqual(cluster_status(self.back_end.cluster, "PUT", "/v1/administrators/fine",
                                        fine, member=self.front_end, user="root:rootpass"), 200)

    def test_only_masters_and_back_ends_end_sessions(self):
        whom = {"account": "nobody@domain1.dom"}
        for path, body in (("/v1/kick", whom), ("/v1/end-account", {})):
            self.assertEqual(cluster_status(self.back_end.cluster, "POST", path, body,
                                            member=self.front_end), 403, path)
        self.master.do("account", "add", "kim@domain1.dom", "--no-password")
        for node in (self.front_end, self.back_end):
            wait_for(lambda node=node: node.knows("kim@domain1.dom"))
        self.assertEqual(cluster_status(self.front_end.cluster, "POST", "/v1/kick", whom,
                                        member=self.back_end), 200)
        kick = ("session", "kick", "--account", "nobody@domain1.dom")
        code, _, err = self.front_end.cli(*kick)
        self.assertEqual(code, 1)
        self.assertIn("--user", err)
        password = self.front_end.folder / "password"
        password.write_text("rootpass\n")
        _, out, _ = self.front_end.cli("--user", "root", "--user-password-file", str(password),
                                       *kick, "--json")
        self.assertEqual(json.loads(out)["refused"], {})

    def test_no_member_gets_the_whole_directory_or_a_backup(self):
        for method, path in (("GET", "/v1/accounts/export?keys=1"), ("GET", "/v1/cluster/export"),
                             ("POST", "/v1/cluster/backup")):
            status = cluster_status(self.master.cluster, method, path,
                                    {"passphrase": "x"} if method == "POST" else None,
                                    member=self.back_end)
            self.assertEqual(status, 403, path)

    def test_a_joining_node_cannot_make_itself_a_master(self):
        token = self.master.ask("token", "add", "--scope", "frontend")
        stranger = self.lab.node("aaa", ["frontend"])
        stranger.do("cluster", "join", "--master", self.master.cluster, "--pin", token["pin"],
                    "--token-stdin", stdin=token["token"] + "\n")
        again = self.master.ask("token", "add", "--scope", "frontend", "--name", "aaa")
        wish = {"name": "aaa", "scope": "frontend", "master": True, "token": again["token"],
                "cluster": stranger.cluster}
        self.assertEqual(cluster_status(self.master.cluster, "POST", "/v1/join", wish,
                                        member=stranger), 200)
        self.assertFalse(self.master.ask("node", "show", "aaa").get("master", False))
        third = self.master.ask("token", "add", "--scope", "frontend", "--name", "aaa")
        wish = {**wish, "token": third["token"], "eligible": True}
        self.assertEqual(cluster_status(self.master.cluster, "POST", "/v1/join", wish,
                                        member=stranger), 403)
        self.assertFalse(self.master.ask("node", "show", "aaa")["eligible"])

    def test_status_names_every_node_and_what_is_wrong(self):
        wait_for(lambda: self.front_end.ask("status")["nodes"], 5)
        status = self.master.ask("status")
        names = {node["name"]: node for node in status["nodes"]}
        self.assertTrue(names["fe1"]["reachable"])
        self.assertEqual(names["fe1"]["replica"]["phase"], "following")
        self.assertEqual(names["m1"]["replica"]["phase"], "master")


class Certificates(unittest.TestCase):
    def test_certificates_of_the_state_are_shown_and_replaced_without_a_restart(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        address = f"127.0.0.1:{free_port()}"
        front_end = lab.member(master, "fe1", ["frontend"], "frontend", f"""
[[listener]]
address = "{address}"
tls = "implicit"
""")
        authority = json.loads(master.http("/v1/authority", "root", "rootpass")[1])["certificate"]
        for round, names in enumerate(("mail.domain1.dom", "mail.domain1.dom,more.domain1.dom")):
            base = f"{lab.folder}/mail{round}"
            master.do("certificate", "issue", f"mail{round}", "--names", names, "--out",
                      str(lab.folder))
            master.do("certificate", "set", "mail", "--chain", base + ".crt", "--key",
                      base + ".key", "--names", names)
            wait_for(lambda: shown_names(address, authority, "mail.domain1.dom") ==
                     names.split(","), 5)
        key = (lab.folder / "mail1.key").read_text().splitlines()[1]
        for file in front_end.state.glob("*"):
            if file.is_file():
                self.assertNotIn(key.encode(), file.read_bytes(), file)
        code, _, err = master.cli("certificate", "set", "bad", "--chain",
                                  str(lab.folder / "mail0.crt"), "--key",
                                  str(lab.folder / "mail1.key"))
        self.assertEqual(code, 1)
        self.assertIn("does not belong", err)


class MasterAway(unittest.TestCase):
    def test_front_ends_go_on_and_say_that_nothing_was_changed(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        set_up_directory(master)
        front_end = lab.member(master, "fe1", ["frontend"], "frontend")
        master.do("account", "add", "kate@domain1.dom", "--home", "sv1", "--no-password")
        wait_for(lambda: front_end.knows("kate@domain1.dom"), 5)
        self.assertEqual(master.stop(), 0)
        code, _, err = front_end.cli("account", "disable", "kate@domain1.dom")
        self.assertEqual(code, 1)
        self.assertIn("nothing was changed", err)
        self.assertEqual(front_end.stop(), 0)
        front_end.start()
        self.assertTrue(front_end.knows("kate@domain1.dom"))
        self.assertEqual(front_end.http("/readyz")[0], 200)
        master.start()
        master.do("account", "add", "ada@domain1.dom", "--no-password")
        wait_for(lambda: front_end.knows("ada@domain1.dom"), 20)


class EndingSessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend")
        cls.front_end.stop()
        cls.master.do("account", "add", "kate@domain1.dom", "--home", "sv1", "--no-password")

    def assert_said(self, *words):
        code, out, err = self.master.cli(*words)
        self.assertEqual(code, 1)
        self.assertIn("not reached: fe1", err)
        return out

    def test_who_was_not_reached_is_named_and_the_exit_code_says_so(self):
        self.assertIn("disabled", self.assert_said("account", "disable", "kate@domain1.dom"))
        self.assertEqual(self.master.ask("account", "show", "kate@domain1.dom")["state"],
                         "disabled")
        self.master.do("account", "enable", "kate@domain1.dom")

    def test_imports_end_sessions_of_whom_they_disable_or_move(self):
        self.master.do("account", "add", "bulk@domain1.dom", "--home", "sv1", "--no-password")
        rows = self.lab.folder / "update.csv"
        for row in ("home\nbulk@domain1.dom,sv2", "state\nbulk@domain1.dom,disabled"):
            rows.write_text(f"address,{row}\n")
            self.assert_said("account", "import", str(rows), "--update")
        rows.write_text("address,quota\nbulk@domain1.dom,7\n")
        self.master.do("account", "import", str(rows), "--update")


class Declarations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        for name in ("kate", "ada"):
            cls.master.do("account", "add", f"{name}@domain1.dom", "--home", "sv1",
                          "--password-stdin", stdin="secret\n")

    def export(self, name, *words):
        path = self.lab.folder / name
        path.unlink(missing_ok=True)
        self.master.do("cluster", "export", str(path), *words)
        return path, json.loads(path.read_text())

    def test_what_was_exported_changes_nothing(self):
        path, content = self.export("same.json")
        self.assertEqual(self.master.ask("cluster", "diff", str(path))["steps"], [])
        self.assertNotIn("secret", path.read_text())
        self.assertNotIn("passwords", content)

    def test_keys_are_exported_only_when_asked(self):
        _, content = self.export("keys.json", "--keys")
        kate = content["accounts"]["kate@domain1.dom"]["id"]
        self.assertRegex(content["passwords"][kate]["keys"][0], r"^\{SCRAM-SHA-256\}")
        self.assertTrue(content["administrators"]["root"]["keys"])

    def test_apply_shows_asks_and_does(self):
        path, content = self.export("change.json")
        content["accounts"]["john@domain1.dom"] = {"home": "sv2"}
        ada = content["accounts"].pop("ada@domain1.dom")["id"]
        path.write_text(json.dumps(content))
        code, out, err = self.master.cli("cluster", "apply", str(path))
        self.assertEqual(code, 1)
        self.assertIn("+ account/john@domain1.dom", out)
        self.assertIn("- account/ada@domain1.dom", out)
        self.assertIn("--yes", err)
        self.assertTrue(self.master.knows("ada@domain1.dom"))
        self.master.do("cluster", "apply", str(path), "--yes")
        self.assertTrue(self.master.knows("john@domain1.dom"))
        self.assertFalse(self.master.knows("ada@domain1.dom"))
        _, after = self.export("after.json", "--keys")
        kate, john = (after["accounts"][f"{name}@domain1.dom"]["id"] for name in ("kate", "john"))
        self.assertNotIn(ada, after["passwords"])
        self.assertTrue(after["passwords"][kate]["keys"])
        self.assertEqual(after["passwords"][john]["keys"], [])

    def test_a_renamed_account_keeps_its_password(self):
        self.master.do("account", "add", "olga@domain1.dom", "--password-stdin", stdin="secret\n")
        path, content = self.export("rename.json")
        content["accounts"]["olga.new@domain1.dom"] = content["accounts"].pop("olga@domain1.dom")
        path.write_text(json.dumps(content))
        self.master.do("cluster", "apply", str(path), "--yes")
        _, after = self.export("renamed.json", "--keys")
        olga = after["accounts"]["olga.new@domain1.dom"]["id"]
        self.assertRegex(after["passwords"][olga]["keys"][0], r"^\{SCRAM-SHA-256\}")

    def test_two_accounts_of_one_id_are_refused(self):
        path, content = self.export("twins.json")
        content["accounts"]["twin@domain1.dom"] = content["accounts"]["kate@domain1.dom"]
        path.write_text(json.dumps(content))
        code, _, err = self.master.cli("cluster", "apply", str(path), "--yes")
        self.assertEqual(code, 1)
        self.assertIn("has the id", err)
        self.assertFalse(self.master.knows("twin@domain1.dom"))

    def test_a_file_that_would_break_references_does_nothing(self):
        path, content = self.export("broken.json")
        content["accounts"]["kate@domain1.dom"]["home"] = "sv9"
        path.write_text(json.dumps(content))
        code, _, err = self.master.cli("cluster", "apply", str(path), "--yes")
        self.assertEqual(code, 1)
        self.assertIn("server/sv9", err)
        self.assertEqual(self.master.ask("account", "show", "kate@domain1.dom")["home"], "sv1")


class Foundations(unittest.TestCase):
    def test_no_edit_changes_who_leads_or_whom_all_nodes_trust(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        lab.member(master, "be1", ["backend"], "backend")
        before = wait_for(lambda: (lambda held: "secret/srs" in held and held)(
            entries(master.state / "directory.db")))
        for words, said in ((("node", "set", "be1", "master=true"), "promote"),
                            (("node", "set", "m1", "master=false"), "promote"),
                            (("node", "set", "m1", "pin=sha256//x"), "key"),
                            (("node", "set", "m1", "revoked=true"), "promote"),
                            (("node", "set", "m1", "scope=relay"), "scope"),
                            (("node", "remove", "m1", "--yes"), "promote"),
                            (("setting", "set", "authority", "x"), "authority"),
                            (("setting", "remove", "authority", "--yes"), "authority")):
            with self.subTest(words=words):
                code, _, error = master.cli(*words)
                self.assertEqual(code, 1)
                self.assertIn(said, error)
        self.assertEqual(entries(master.state / "directory.db"), before)
        master.do("node", "drain", "m1")  # all else of it may be changed
        master.do("node", "resume", "m1")
        master.do("node", "set", "be1", "admin=drain")


class Backups(unittest.TestCase):
    def test_a_backup_brings_the_state_back_and_followers_notice(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        set_up_directory(master)
        front_end = lab.member(master, "fe1", ["frontend"], "frontend")
        master.do("account", "add", "kate@domain1.dom", "--home", "sv1", "--no-password")
        wait_for(lambda: front_end.knows("kate@domain1.dom"), 5)  # it follows, and is reached
        backup = lab.folder / "backup"
        master.do("cluster", "backup", str(backup), "--password-stdin", stdin="passphrase\n")
        self.assertNotIn(b"kate@domain1.dom", backup.read_bytes())
        master.do("account", "add", "later@domain1.dom", "--no-password")
        master.do("account", "remove", "kate@domain1.dom", "--yes")
        wait_for(lambda: front_end.knows("later@domain1.dom"), 5)
        master.stop()
        code, _, err = master.cli("cluster", "restore", str(backup), "--yes", "--password-stdin",
                                  stdin="other\n")
        self.assertEqual(code, 1, err)
        self.assertTrue((master.state / "directory.db").exists())
        code, _, _ = master.cli("cluster", "restore", str(backup), "--password-stdin",
                                stdin="passphrase\n")
        self.assertEqual(code, 1)  # it would replace a cluster
        master.do("cluster", "restore", str(backup), "--yes", "--password-stdin",
                  stdin="passphrase\n")
        self.assertTrue((master.state / "authority.key").exists())
        master.start()
        self.assertTrue(master.knows("kate@domain1.dom"))
        wait_for(lambda: front_end.knows("kate@domain1.dom") and
                 not front_end.knows("later@domain1.dom"), 30)

    def test_a_backup_on_a_new_machine_goes_on_with_the_cluster(self):
        """Nothing of the old machine is left but its node file and the backup."""
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        set_up_directory(master)
        folder = str(lab.folder)
        master.do("certificate", "issue", "mail", "--names", "mail.test", "--out", folder)
        master.do("certificate", "set", "mail", "--chain", f"{folder}/mail.crt", "--key",
                  f"{folder}/mail.key", "--names", "mail.test")
        authority = json.loads(master.http("/v1/authority", "root", "rootpass")[1])["certificate"]
        port = free_port()
        front_end = lab.member(master, "fe1", ["frontend"], "frontend",
                               f'[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{port}"\n'
                               'tls = "implicit"\n')
        backup = lab.folder / "backup"
        master.do("cluster", "backup", str(backup), "--password-stdin", stdin="passphrase\n")
        master.stop()
        shutil.rmtree(master.state)
        master.do("cluster", "restore", str(backup), "--password-stdin", stdin="passphrase\n")
        master.start()

        self.assertEqual(master.http("/v1/audit", "root", "rootpass")[0], 200)
        self.assertEqual(json.loads(master.http("/v1/authority", "root",
                                                "rootpass")[1])["certificate"], authority)
        master.do("certificate", "issue", "other", "--names", "other.test", "--out", folder)
        done = subprocess.run(["openssl", "verify", "-CAfile", "/dev/stdin", f"{folder}/other.crt"],
                              input=authority, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: {row["name"]: row for row in master.ask("node", "list")["nodes"]}["fe1"]
                 .get("seen", {}).get("connected"), 30)
        master.do("domain", "add", "after.dom")
        wait_for(lambda: front_end.cli("domain", "show", "after.dom")[0] == 0, 10)
        # The sealed key opens, on a member that was there before and on one that joins now.
        late_port = free_port()
        lab.member(master, "fe2", ["frontend"], "frontend",
                   f'[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{late_port}"\n'
                   'tls = "implicit"\n')
        for at in (port, late_port):
            wait_for(lambda: shown_names(f"127.0.0.1:{at}", authority, "mail.test"), 10)


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        cls.master.do("account", "add", "kate@domain1.dom", "--no-password")
        cls.master.do("administrator", "add", "view", "--read-only", "--password-stdin",
                      stdin="viewpass\n")

    def test_the_http_listener_wants_a_password(self):
        self.assertEqual(self.master.http("/v1/domains")[0], 401)
        self.assertEqual(self.master.http("/v1/domains", "root", "wrong")[0], 401)
        self.assertEqual(self.master.http("/v1/domains", "root", "rootpass")[0], 200)

    def test_who_may_only_read_changes_nothing(self):
        self.assertEqual(self.master.http("/v1/accounts", "view", "viewpass")[0], 200)
        path = "/v1/accounts/kate@domain1.dom/disable"
        self.assertEqual(self.master.http(path, "view", "viewpass", "POST")[0], 403)
        self.assertEqual(self.master.http("/v1/accounts/export?keys=1", "view", "viewpass")[0], 403)
        self.assertEqual(self.master.ask("account", "show", "kate@domain1.dom")["state"], "active")

    def test_health_and_metrics_need_none(self):
        self.assertEqual(self.master.http("/healthz"), (200, "ok\n"))
        self.assertEqual(self.master.http("/readyz")[0], 200)
        status, text = self.master.http("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("# TYPE muster_", text)

    def test_the_audit_log_tells_who_did_what_and_no_secret(self):
        self.master.do("account", "add", "audited@domain1.dom", "--password-stdin",
                       stdin="verysecret\n")
        self.master.http("/v1/accounts/audited@domain1.dom/disable", "root", "rootpass", "POST")
        self.master.cli("account", "add", "audited@domain1.dom", "--no-password")
        records = [r for r in self.master.ask("audit", "list")["audit"]
                   if r["object"].startswith("audited@")]
        self.assertEqual([r["action"] for r in records],
                         ["account add", "account disable", "account add"])
        self.assertRegex(records[0]["who"], r"^unix:\d+$")
        self.assertEqual(records[1]["who"], "admin:root")
        self.assertEqual((records[1]["before"]["state"], records[1]["after"]["state"]),
                         ("active", "disabled"))
        self.assertNotEqual(records[2]["outcome"], "done")
        log = (self.master.state / "audit.log").read_text()
        self.assertNotIn("verysecret", log)
        self.assertNotIn("SCRAM", log)
        self.assertEqual((self.master.state / "audit.log").stat().st_mode & 0o777, 0o600)
        self.assertEqual((self.master.state / "admin.sock").stat().st_mode & 0o777, 0o600)

    def test_exit_codes(self):
        self.assertEqual(self.master.cli("account", "list")[0], 0)
        code, _, err = self.master.cli("account", "show", "nobody@domain1.dom")
        self.assertEqual((code, bool(err)), (1, True))
        self.assertEqual(self.master.cli("account", "frobnicate")[0], 2)
        self.assertEqual(self.master.cli("server", "set", "sv1", "wieght=5")[0], 2)
        self.assertEqual(self.master.cli("account", "remove", "kate@domain1.dom")[0], 1)
        self.assertEqual(self.master.cli("--api", "/nowhere", "status")[0], 1)

    def test_an_unknown_state_makes_no_account(self):
        for body in ({"state": "disable"}, {"sate": "disabled"}):
            status, text = self.master.http("/v1/accounts", "root", "rootpass", "POST",
                                            {"address": "typo@domain1.dom", **body})
            self.assertEqual(status, 400, text)
        self.assertFalse(self.master.knows("typo@domain1.dom"))

    def test_aliases_of_a_domain_that_keeps_case(self):
        self.master.do("domain", "add", "keep.dom", "--servers", "sv1", "case=keep")
        self.master.do("account", "add", "Kate@keep.dom", "--no-password")
        self.master.do("alias", "add", "Bob@keep.dom", "Kate@keep.dom")
        self.assertEqual(self.master.ask("alias", "show", "Bob@keep.dom")["to"], ["Kate@keep.dom"])
        self.assertEqual(self.master.cli("alias", "show", "bob@keep.dom")[0], 1)
        self.master.do("alias", "remove", "Bob@keep.dom", "--yes")
        self.assertEqual(self.master.cli("alias", "show", "Bob@keep.dom")[0], 1)

    def test_imports_name_the_rows_they_reject(self):
        rows = self.lab.folder / "accounts.csv"
        rows.write_text("address,home\na1@domain1.dom,sv1\nbad,sv1\na2@domain1.dom,sv9\n")
        code, out, err = self.master.cli("account", "import", str(rows))
        self.assertEqual(code, 1)
        self.assertRegex(err, r"line 3: .*\nline 4: ")
        self.assertIn("nothing was written", out)
        self.assertFalse(self.master.knows("a1@domain1.dom"))
        self.master.do("account", "import", str(rows), "--partial")
        self.assertTrue(self.master.knows("a1@domain1.dom"))
        exported = self.master.do("account", "export", "--format", "jsonl")
        self.assertIn("a1@domain1.dom", exported)


class ManyAccounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)

    def test_an_import_says_how_far_it_is(self):
        count = 30_000
        rows = self.lab.folder / "many.csv"
        rows.write_text("address,home\n" + "".join(
            f"u{number}@domain1.dom,sv{number % 2 + 1}\n" for number in range(count)))
        code, out, err = self.master.cli("account", "import", str(rows), "--progress", "0")
        self.assertEqual(code, 0, err)
        self.assertIn("30,000 rows: 30,000 created, 0 updated, 0 rejected", out)
        lines = err.splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"^(reading: [\d,]+ rows, 0 rejected|"
                                   r"writing: [\d,]+ of [\d,]+ entries)$")
        self.assertRegex(lines[-1], r"^writing: ([\d,]+) of \1 entries$")
        # Without the option a short one is quiet.
        code, _, err = self.master.cli("account", "import", str(rows), "--update")
        self.assertEqual((code, err), (0, ""))

    def test_an_alias_for_several_is_exported_and_imported_as_csv(self):
        for name in ("kate", "ada"):
            self.master.do("account", "add", f"{name}@domain1.dom", "--no-password")
        self.master.do("alias", "add", "both@domain1.dom", "kate@domain1.dom", "ada@domain1.dom")
        exported = self.lab.folder / "out.csv"
        self.master.do("account", "export", str(exported))
        self.assertIn("both@domain1.dom,,,,,,,", exported.read_text())
        self.master.do("alias", "remove", "both@domain1.dom", "--yes")
        self.master.do("account", "import", str(exported), "--update")
        shown = self.master.ask("alias", "show", "both@domain1.dom")
        self.assertEqual(sorted(shown["to"]), ["ada@domain1.dom", "kate@domain1.dom"])


class NodeFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()

    def test_check_says_what_is_wrong(self):
        self.assertEqual(self.master.cli("check")[0], 0)
        node = self.lab.node("fe1", ["frontend"], f"""
[[listener]]
address = "{self.master.cluster}"
[[certificate]]
chain = "/nowhere.crt"
key = "/nowhere.key"
""")
        code, out, _ = node.cli("check")
        self.assertEqual(code, 1)
        self.assertIn("cluster init", out)
        self.assertIn("/nowhere.crt", out)
        node.file.write_text(node.file.read_text() + "\n[limits]\nconections = 3\n")
        code, _, err = node.cli("check")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"muster\.toml:\d+: unknown option \"conections\", "
                              r"did you mean \"connections\"")

    def test_check_on_a_master_warns_of_what_is_weak_in_the_state(self):
        self.master.do("server", "add", "old", "kind=foreign", "host=192.0.2.1", "imap.port=143",
                       "imap.tls=none", "pop3.port=110", "lmtp.port=24", "lmtp.tls=none",
                       "login=master")
        self.addCleanup(self.master.do, "server", "remove", "old", "--yes")
        self.assertNotIn("static master password", self.master.do("check"))
        self.master.do("credential", "set", "old", "masteruser", "--password-stdin",
                       stdin="short\n")
        self.addCleanup(self.master.do, "credential", "remove", "old", "--yes")
        for running in (True, False):
            if not running:
                self.master.stop()
                self.addCleanup(lambda: self.master.process or self.master.start())
            said = self.master.do("check")
            self.assertIn("server old is entered with a static master password", said)
            self.assertIn("the master password has fewer than 16 characters", said)
            self.assertIn("server old: passwords go in clear text to its imap service", said)
            self.assertNotIn("pop3 service", said)
            self.assertNotIn("lmtp service", said)
            self.assertNotIn("short", said.replace("shorter", ""))
        self.master.start()
        open_to_all = self.master.file.read_text().replace("[cluster]",
                                                           '[cluster]\nallow = ["0.0.0.0/0"]')
        other = self.lab.node("open", ["master"])
        other.file.write_text(open_to_all.replace('name = "m1"', 'name = "open"'))
        self.assertIn("cluster.allow = 0.0.0.0/0 lets every address try", other.cli("check")[1])

    def test_check_warns_of_front_ends_that_write_results_in_different_names(self):
        call = (str(self.master.state / "admin.sock"), "PUT", "/v1/nodes/fe9")
        api_call(*call, {"smtp": ["127.0.0.9:25"]})
        self.addCleanup(api_call, call[0], "DELETE", call[2])
        front = self.lab.node("front", ["master"])
        text = self.master.file.read_text().replace('["master"]', '["master", "frontend"]') + f"""
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{free_port()}"
tls = "none"
"""
        front.file.write_text(text)
        self.assertIn("mail.authserv_id is empty", front.cli("check")[1])
        self.assertNotIn("authserv_id", self.master.cli("check")[1])
        front.file.write_text(text + '[mail]\nauthserv_id = "example.org"\n')
        self.assertNotIn("authserv_id", front.cli("check")[1])

    def test_a_token_names_the_master_or_says_what_to_set(self):
        code, out, err = self.master.cli("token", "add")
        self.assertEqual((code, len(out.split())), (0, 1))
        self.assertIn(f"--master {self.master.cluster} --pin sha256//", err)
        for name, listen, expected in (
                ("deaf", "", "--master HOST:PORT --pin sha256//"),
                ("wide", "0.0.0.0:0", None)):
            node = self.lab.node(name, ["master"])
            if expected is None:
                with socket.create_server(("0.0.0.0", 0)) as free:  # on every address
                    port = free.getsockname()[1]
                listen, expected = f"0.0.0.0:{port}", f"--master HOST:{port} --pin sha256//"
            node.file.write_text(node.file.read_text().replace(node.cluster, listen))
            node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                    stdin="rootpass\n")
            node.start()
            code, _, err = node.cli("token", "add")
            self.assertEqual(code, 0)
            self.assertIn(expected, err)
            self.assertRegex(err, r"set \[cluster\] (listen|advertise)")

    def test_a_node_of_no_cluster_does_not_serve(self):
        node = self.lab.node("lost", ["frontend"])
        code, _, err = node.cli("serve")
        self.assertEqual(code, 1)
        self.assertIn("cluster join", err)

    def test_a_bad_file_changes_nothing_at_reload(self):
        good = self.master.file.read_text()
        self.master.file.write_text("[nonsense]\n")
        code, _, err = self.master.cli("--api", str(self.master.state / "admin.sock"), "node",
                                       "reload")
        self.master.file.write_text(good)
        self.assertEqual(code, 1)
        self.assertIn("unknown section", err)
        self.assertEqual(self.master.http("/healthz")[0], 200)
        self.master.do("node", "reload")

    def test_a_reload_names_what_it_took_over_and_what_needs_a_restart(self):
        good = self.master.file.read_text()
        self.addCleanup(self.master.do, "node", "reload")
        self.addCleanup(self.master.file.write_text, good)
        self.master.file.write_text(good.replace("drain_time = 1", "drain_time = 2")
                                    .replace("workers = 1", "workers = 2") +
                                    "\n[limits]\nline = 1000\n")
        answer = self.master.ask("node", "reload")
        self.assertEqual(answer["taken_over"], ["node.drain_time"])
        self.assertEqual(answer["need_restart"], ["limits.line", "node.workers"])
        log = self.master.log.read_text()
        self.assertIn('taken_over=node.drain_time need_restart="limits.line, node.workers"', log)
        # What was taken over is in use; what was not stays named until the restart.
        again = self.master.do("node", "reload")
        self.assertNotIn("node.drain_time", again)
        self.assertIn("only a restart takes it over: limits.line, node.workers", again)

    def test_pages_from_the_option_table(self):
        self.assertIn("## [node]", self.master.do("reference"))
        sample = self.master.do("sample-config")
        self.assertIn("[[listener]]", sample)
        self.assertTrue(re.match(r"\.TH MUSTER\.TOML 5", self.master.do("manual")))


if __name__ == "__main__":
    unittest.main()
