"""Nodes that follow other networks: joining by password, what each mode may see, without encryption,
revoked, narrowed, and with broken links. Real processes, no Dovecot."""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import tomllib
import unittest

from nodes_lab import MUSTER, Lab, entries, free_port, member_call, shifted_clock, wait_for
from terminal import on_terminal

RELAY_FAMILIES = {"account", "alias", "domain", "node", "server", "setting"}


class Link:
    """A TCP forwarder to `target` that records what it passes on. `alter(outward, bytes)` may
    change it; `stalled` keeps everything back; cut() ends what is open; `refuses` takes no more."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.port = self.listener.getsockname()[1]
        self.recorded = {True: [], False: []}  # outward (from the client), homeward
        self.alter = None
        self.refuses = False
        self.moving = threading.Event()
        self.moving.set()
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def bytes(self, outward=None):
        with self.lock:
            ways = (True, False) if outward is None else (outward,)
            return b"".join(b"".join(self.recorded[way]) for way in ways)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self.lock:
                self.open |= {client, server}
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source, sink, outward):
        try:
            while data := source.recv(65536):
                self.moving.wait()
                if self.alter:
                    data = self.alter(outward, data)
                with self.lock:
                    self.recorded[outward].append(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self.lock:
                self.open.discard(end)

    def cut(self):
        with self.lock:
            ends = list(self.open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.refuses = True
        self.moving.set()
        self.listener.close()
        self.cut()


def section(name, address, **options):
    host, port = address.rsplit(":", 1)
    options = {"name": name, "host": host, "port": int(port), "inactivity_timeout": 5, **options}
    return "[[follow]]\n" + "".join(f"{key} = {json.dumps(value)}\n"
                                    for key, value in options.items())


def password_file(node, text="rootpass"):
    path = node.folder / "hq.password"
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(text + "\n")
    return path


def follower(lab, name, *sections, roles=("master",)):
    """A node with a cluster of its own, not started yet."""
    node = lab.node(name, list(roles), "\n".join(sections))
    node.do("cluster", "init")
    return node


def networks(node):
    return {row["name"]: row for row in node.ask("network", "list")["networks"]}


def rows(node, network="hq"):
    """What the node holds of a network: {key: value}."""
    files = (node.state / "networks" / network).glob("replica-*.db")
    return {key: json.loads(value) for key, value in entries(*files).items()}


def families(node, network="hq"):
    return {key.split("/")[0] for key in rows(node, network)}


def in_step(node, network="hq"):
    return networks(node)[network]["phase"] == "following"


def holds(folder, *secrets):
    """The files below a folder in which one of these stands."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
            text = path.read_bytes() if path.is_file() else b""
            found += [(path, secret) for secret in secrets if secret.encode() in text]
    return found


def set_up(master):
    """Something of every family, with secrets; returns the secrets."""
    key = master.folder / "cert.key"
    chain = master.folder / "cert.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mail.hq.dom", "-days", "90",
                    "-keyout", key, "-out", chain], check=True, capture_output=True)
    master.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=143",
              "imap.tls=none")
    master.do("domain", "add", "hq.dom", "--servers", "sv1")
    master.do("domain", "add", "far.dom", "kind=remote", "route=mx.far.dom:2525", "tls=encrypted")
    master.do("account", "add", "kate@hq.dom", "--password-stdin", stdin="katespassword\n")
    master.do("credential", "set", "sv1", "masteruser", "--password-stdin",
              stdin="mastersecret\n")
    master.do("certificate", "set", "mail", "--chain", str(chain), "--key", str(key))
    exported = json.loads(master.do("cluster", "export", "--keys"))
    secrets = ["katespassword", "mastersecret", "rootpass", "{SCRAM-SHA-256}",
               "BEGIN EC PRIVATE KEY", "BEGIN PRIVATE KEY"]
    with contextlib.closing(sqlite3.connect(f"file:{master.state}/directory.db?mode=ro",
                                            uri=True)) as store:
        for name, value in store.execute("select cast(key as text), value from entry"):
            value = json.loads(value)
            if name.startswith(("key/", "admin/")):
                secrets += [part for full in value["keys"]
                            for part in full.split("}", 1)[1].split(",")[2:]]  # without the salt
            if name.startswith("credential/"):
                secrets.append(value["password"])
            if name.startswith("certificate/"):
                secrets += [value["key"], value["chain"][100:160]]
    assert exported and len(secrets) > 10, secrets
    secrets.append((json.loads((master.state / "cluster.json").read_text()))["secret"])
    return secrets


class Case(unittest.TestCase):
    def lab_with_master(self):
        lab = Lab()
        self.addCleanup(lab.close)
        return lab, lab.master()

    def link(self, target):
        link = Link(target)
        self.addCleanup(link.close)
        return link


class Modes(unittest.TestCase):
    """One master with everything, a relay and a mirror."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        cls.secrets = set_up(cls.master)
        cls.nodes = {}
        for mode in ("relay", "mirror"):
            node = cls.lab.node(mode, ["master"])
            node.do("cluster", "init")
            file = password_file(node)
            node.write_file(["master"], section("hq", cls.master.cluster, user="root", mode=mode,
                                                password_file=str(file)))
            node.start()
            cls.nodes[mode] = node
        cls.relay, cls.mirror = cls.nodes["relay"], cls.nodes["mirror"]
        for node in cls.nodes.values():
            wait_for(lambda node=node: in_step(node))

    def test_a_node_joins_with_the_password_of_its_file_and_the_file_is_gone(self):
        for mode, node in self.nodes.items():
            self.assertFalse((node.folder / "hq.password").exists())
            self.assertIn("event=network_joined network=hq", node.log.read_text())
            self.assertEqual(holds(node.folder, "rootpass"), [])
            kept = json.loads((node.state / "networks/hq/cluster.json").read_text())
            # A mirror's is its own: nothing but what is sealed for it opens with it.
            network = json.loads((self.master.state / "cluster.json").read_text())["secret"]
            self.assertEqual(kept["secret"] != "", mode == "mirror")
            self.assertNotEqual(kept["secret"], network)
            entry = self.master.ask("node", "show", mode)
            self.assertEqual((entry["scope"], entry.get("cluster", "")), (mode, ""))
        self.assertEqual(holds(self.master.folder, "rootpass"), [])
        outcomes = {row["who"]: row["outcome"] for row in self.master.ask("audit", "list")["audit"]
                    if row["action"] == "node join"}
        self.assertEqual(outcomes, {f"admin:root by node:{mode}": "done" for mode in self.nodes})

    def test_a_relay_sees_accounts_and_no_secret(self):
        self.assertIn("account/kate@hq.dom", rows(self.relay))
        self.assertEqual(families(self.relay) - RELAY_FAMILIES, set())
        self.assertEqual(holds(self.relay.state / "networks", *self.secrets), [])

    def test_a_mirror_sees_remote_domains_and_who_leads(self):
        self.assertEqual(set(rows(self.mirror)), {"domain/far.dom", "node/m1"})
        self.assertEqual(rows(self.mirror)["domain/far.dom"]["route"], ["mx.far.dom:2525"])
        self.assertEqual(holds(self.mirror.state / "networks", *self.secrets), [])

    def test_changes_come_at_once_and_a_domain_that_is_remote_no_more_goes(self):
        self.master.do("domain", "add", "new.dom", "kind=remote")
        for node in self.nodes.values():
            wait_for(lambda node=node: "domain/new.dom" in rows(node))
        self.master.do("domain", "set", "new.dom", "kind=shared", "servers=sv1")
        wait_for(lambda: "domain/new.dom" not in rows(self.mirror))
        self.assertEqual(rows(self.relay)["domain/new.dom"].get("kind", "shared"), "shared")
        self.master.do("account", "add", "omar@hq.dom", "--no-password")
        wait_for(lambda: "account/omar@hq.dom" in rows(self.relay))
        self.master.do("--yes", "account", "remove", "omar@hq.dom")
        wait_for(lambda: "account/omar@hq.dom" not in rows(self.relay))
        self.assertNotIn("account/omar@hq.dom", rows(self.mirror))

    def test_what_it_does_is_shown(self):
        row = networks(self.relay)["hq"]
        self.assertEqual((row["mode"], row["filled"], row["encryption"]), ("relay", True, True))
        self.assertEqual(row["source"], f"https://{self.master.cluster}")
        self.assertIn(".", row["cursor"])
        self.assertLess(abs(row["lag_ms"]), 5_000)
        self.assertLess(row["silence_ms"], 10_000)
        self.assertEqual(self.relay.ask("status")["nodes"][0]["networks"][0]["name"], "hq")
        self.assertRegex(self.relay.do("network", "list"), "hq +relay +following")
        metrics = wait_for(lambda: (lambda text: 'following{network="hq"} 1' in text and text)(
            self.relay.http("/metrics")[1]))
        self.assertIn('muster_network_filled{network="hq"} 1', metrics)
        self.assertRegex(metrics, r'muster_network_silence_seconds\{network="hq"\} \d')
        seen = {one["name"]: one for one in self.master.ask("node", "list")["nodes"]}
        self.assertTrue(seen["relay"]["seen"]["connected"])
        self.assertEqual([one["name"] for one in self.master.ask("status")["nodes"]], ["m1"])

    def test_a_follower_reads_its_feed_and_nothing_else(self):
        for path in ("/v1/status?here=1", "/v1/certificates", "/v1/cluster/export?keys=1",
                     "/v1/audit", "/v1/accounts"):
            self.assertEqual(member_call(self.relay, self.master.cluster, "GET", path)[0], 403)
        status, text = member_call(self.relay, self.master.cluster, "GET", "/v1/copy")
        self.assertEqual(status, 200)
        self.assertFalse([line for line in text.splitlines() if '"key":"key/' in line])
        status, text = member_call(self.mirror, self.master.cluster, "GET", "/v1/copy",
                                   headers={"X-Muster-Scope": "backend"})
        self.assertEqual(set(re.findall(r'"key":"([a-z]+)/', text)), {"domain", "node"})


class Pretenders(Case):
    def test_a_follower_cannot_say_that_it_takes_the_networks_mail(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(node.state / "node.crt", node.state / "node.key")
        host, port = master.cluster.rsplit(":", 1)
        stream = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
        self.addCleanup(stream.close)
        cursor = json.loads(member_call(node, master.cluster, "GET", "/v1/copy")[1]
                            .splitlines()[-1])["cursor"]
        stream.request("GET", f"/v1/changes?since={cursor}",
                       headers={"X-Muster-Smtp": "192.0.2.9:25", "X-Muster-Instance": "evil"})
        self.assertEqual(stream.getresponse().status, 200)
        wait_for(lambda: {one["name"]: one for one in master.ask("node", "list")["nodes"]}["br1"]
                 .get("seen", {}).get("connected"))
        smtp = f"127.0.0.1:{free_port()}"
        lab.member(master, "fe1", ["frontend"], "frontend",
                   f'[[listener]]\nprotocol = "smtp"\naddress = "{smtp}"\ntls = "none"\n')
        wait_for(lambda: master.ask("node", "show", "fe1").get("smtp") == [smtp])
        self.assertNotIn("smtp", master.ask("node", "show", "br1"))


    def test_a_follower_is_never_called_so_no_password_comes_to_it(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        heard = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(heard.close)
        heard.setblocking(False)
        address = "127.0.0.1:%d" % heard.getsockname()[1]
        token = master.ask("token", "add", "--scope", "relay")["token"]
        status, text = member_call(node, master.cluster, "POST", "/v1/join",
                                   {"name": "br1", "scope": "relay", "cluster": address,
                                    "token": token})
        self.assertEqual(status, 200, text)
        self.assertEqual(master.ask("node", "show", "br1").get("cluster", ""), "")
        password = password_file(node)
        verbs = (("session", "kick", "--account", "kate@hq.dom"), ("queue", "flush", "--all"),
                 ("cluster", "promote", "br1", "--force"), ("--node", "br1", "status"))
        for entry in (("node", "set", "br1", "smtp=" + address),
                      ("node", "set", "br1", "cluster=" + address)):  # by mistake, or of before
            master.do(*entry)
            for verb in verbs:
                code, _, err = master.cli("--api", "http://" + master.admin, "--user", "root",
                                          "--user-password-file", str(password), *verb)
                self.assertNotIn("wrong", err)
                self.assertEqual(code == 0, verb[0] == "session", (verb, err))
            with self.assertRaises(BlockingIOError, msg=entry):
                heard.accept()


    def test_a_follower_cannot_be_made_a_stand_in_by_its_entry(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        for field, why in (("eligible=true", "scope backend"), ("master=true", "cluster promote")):
            code, _, err = master.cli("node", "set", "br1", field)
            self.assertEqual(code, 1)
            self.assertIn(why, err)
        _, text = member_call(node, master.cluster, "GET", "/v1/copy")
        self.assertNotIn("admin/", text)


class Narrowed(Case):
    def test_a_scope_that_is_narrowed_or_widened_is_so_at_once(self):
        lab, master = self.lab_with_master()
        set_up(master)
        node = lab.node("br1", ["master"])
        node.do("cluster", "init")
        node.write_file(["master"], section("hq", master.cluster))
        node.start()
        wait_for(lambda: networks(node)["hq"]["phase"] == "joining")
        self.assertIn("cluster join --follow hq", networks(node)["hq"]["trouble"])
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        wait_for(lambda: in_step(node))
        self.assertIn("account/kate@hq.dom", rows(node))
        master.do("node", "set", "br1", "scope=mirror")
        wait_for(lambda: set(rows(node)) == {"domain/far.dom", "node/m1"}, 5)
        master.do("domain", "add", "far2.dom", "kind=remote")
        wait_for(lambda: "domain/far2.dom" in rows(node))
        node.stop()  # while it is away
        master.do("node", "set", "br1", "scope=relay")
        node.start()
        wait_for(lambda: "account/kate@hq.dom" in rows(node), 5)
        node.stop()
        master.do("node", "set", "br1", "scope=mirror")
        master.stop()
        master.start()
        node.start()
        wait_for(lambda: "account/kate@hq.dom" not in rows(node), 5)


class Passwords(Case):
    def test_wrong_passwords_are_limited_logged_and_learn_nothing(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        join = ("cluster", "join", "--follow", "hq", "--password-stdin", "--user")
        said = {}
        for user, password in (("root", "wrongpass1"), ("nobody", "wrongpass2")):
            code, _, said[user] = node.cli(*join, user, stdin=password + "\n")
            self.assertEqual(code, 1)
        self.assertEqual(said["root"], said["nobody"])
        self.assertIn("name or password is wrong", said["root"])
        self.assertIn("event=join_refused", master.log.read_text())
        outcomes = [row["outcome"] for row in master.ask("audit", "list")["audit"]
                    if row["action"] == "node join"]
        self.assertEqual(len(outcomes), 2)
        self.assertNotIn("done", outcomes)
        for _ in range(10):
            code, _, err = node.cli(*join, "root", stdin="wrongpass1\n")
            self.assertEqual(code, 1)
        self.assertIn("wait a minute", err)
        self.assertEqual(holds(lab.folder, "wrongpass1", "wrongpass2"), [])
        self.assertEqual([one["name"] for one in master.ask("node", "list")["nodes"]], ["m1"])

    def test_the_password_is_asked_for_at_a_terminal(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        join = [MUSTER, "--config", str(node.file), "cluster", "join", "--follow", "hq", "--user", "root"]
        code, said = on_terminal(join, ["rootpass"])
        self.assertEqual(code, 0, said)
        self.assertNotIn("rootpass", said)
        self.assertEqual(master.ask("node", "show", "br1")["scope"], "relay")

    def test_one_name_is_not_tried_from_many_addresses(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1")
        statuses = []
        for number in range(101):
            source = f"127.9.{number}.1"
            one = Join(node, master, "root", "wrong")
            statuses.append(one.begin(source)[0])
            if statuses[-1] == 200:
                self.assertEqual(one.send(one.final(), source=source)[0], 403)
        self.assertEqual(statuses, [200] * 100 + [429])
        self.assertEqual(Join(node, master, "other", "wrong").begin("127.9.199.1")[0], 200)

    def test_joins_that_are_only_begun_keep_nobody_out(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1")
        for number in range(60):
            begun = Join(node, master, "root", "wrong").begin(f"127.9.{number // 15}.1")
            self.assertEqual(begun[0], 200)
        good = Join(node, master, "root", "rootpass")
        self.assertEqual(good.begin("127.9.99.1")[0], 200)
        self.assertEqual(good.send(good.final(), source="127.9.99.1")[0], 200)

    def test_a_guess_leaves_a_line_whatever_was_sent_before(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1")
        long = "n" * 60_000

        def joins():
            return [row for row in master.ask("audit", "list")["audit"]
                    if row["action"] == "node join"]

        def send(path, body, number):
            return member_call(node, master.cluster, "POST", path, body,
                               source=f"127.9.{number}.1")[0]

        for number in range(40):  # of exchanges that nobody began
            body = {"scram": "c=eA==,r=x,p=eA==", "user": "root", "name": long}
            self.assertEqual(send("/v1/join/proof", body, number // 15), 403)
        self.assertEqual(joins(), [])
        self.assertNotIn("nnn", master.log.read_text())
        for number in range(40):
            self.assertEqual(send("/v1/join", {"name": "br1", "scope": "relay", "token": "x",
                                               "user": "root"}, number // 15 + 10), 403)
        self.assertEqual([row["who"] for row in joins()], ["node:br1"] * 30)
        self.assertLess((master.state / "audit.log").stat().st_size, 30_000)
        guess = Join(node, master, "root", "wrong")
        self.assertEqual(guess.begin("127.9.50.1")[0], 200)
        self.assertEqual(guess.send(guess.final(), source="127.9.50.1")[0], 403)
        self.assertIn("admin:root", joins()[-1]["who"])
        self.assertIn("wrong", joins()[-1]["outcome"])

    def test_calls_with_proofs_are_limited_by_address(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1")
        statuses = [member_call(node, master.cluster, "POST", "/v1/join/proof",
                                {"scram": "c=eA==,r=x,p=eA=="})[0] for _ in range(21)]
        self.assertEqual(statuses, [403] * 20 + [503])

    def test_unknown_names_get_the_salt_of_before(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1")
        salts = set()
        for _ in range(2):
            _, challenge = Join(node, master, "nobody", "x").begin()
            salts.add(re.search("s=([^,]+),i=4096", challenge)[1])
            master.stop()
            master.start()
        self.assertEqual(len(salts), 1)

    def test_a_join_is_no_use_a_second_time_in_another_order_or_with_another_key(self):
        lab, master = self.lab_with_master()
        node, other = follower(lab, "br1"), follower(lab, "br2")
        one = Join(node, master, "root", "rootpass")
        status, _ = one.begin()
        self.assertEqual(status, 200)
        final = one.final()
        self.assertEqual(one.send(final, member=other)[0], 403, "another node's key")
        self.assertEqual(one.send(final)[0], 403, "it was used up by that")
        two = Join(node, master, "root", "rootpass")
        two.begin()
        self.assertEqual(two.send(final)[0], 403, "of another exchange")
        self.assertEqual(two.send(two.final(pin="sha256//" + "A" * 43 + "="))[0], 403,
                         "it sees another master")
        three = Join(node, master, "root", "rootpass")
        three.begin()
        three.wish["scope"] = "backend"
        self.assertEqual(three.send(three.final())[0], 403, "it was begun with another wish")
        four = Join(node, master, "root", "rootpass")
        four.begin()
        final = four.final()
        status, text = four.send(final)
        self.assertEqual(status, 200, text)
        self.assertTrue(four.proven(text))
        self.assertEqual(four.send(final)[0], 403, "a replay")
        status, text = Join(node, master, "root", "rootpass").in_clear()
        self.assertEqual(status, 403)
        self.assertIn("proven and not sent", text)

    def test_a_stored_key_of_another_scheme_is_said_to_the_master_alone(self):
        lab, master = self.lab_with_master()
        old = {"keys": ["{SHA512-CRYPT}$6$abc$def"], "rights": "full"}
        status, text = master.http("/v1/administrators/old", "root", "rootpass", "PUT", old)
        self.assertEqual(status, 200, text)
        node = follower(lab, "br1", section("hq", master.cluster))
        told = set()
        for user in ("old", "nobody"):
            code, _, err = node.cli("cluster", "join", "--follow", "hq", "--user", user,
                                    "--password-stdin", stdin="x\n")
            self.assertEqual(code, 1)
            told.add(err)
        self.assertEqual(len(told), 1, told)
        self.assertIn("administrator's name or password is wrong", told.pop())
        outcomes = [row["outcome"] for row in master.ask("audit", "list")["audit"]
                    if row["action"] == "node join"]
        self.assertIn("set it anew (muster administrator set old)", outcomes[-2])

    def test_a_password_file_must_be_its_owners_alone(self):
        lab, master = self.lab_with_master()
        node = lab.node("br1", ["master"])
        node.do("cluster", "init")
        file = password_file(node)
        node.write_file(["master"], section("hq", master.cluster, user="root",
                                            password_file=str(file)))
        file.chmod(0o644)
        node.start()
        trouble = wait_for(lambda: networks(node)["hq"].get("trouble"))
        self.assertIn("chmod 600", trouble)
        self.assertTrue(file.exists())
        alarm = [row["text"] for row in node.ask("status")["alarms"]
                 if row["about"] == "network hq"]
        self.assertIn("chmod 600", " ".join(alarm))
        node.stop()
        link = node.folder / "link"
        link.symlink_to(file)
        file.chmod(0o600)
        code, _, err = node.cli("cluster", "join", "--follow", "hq", "--password-file", str(link))
        self.assertEqual((code, file.exists()), (1, True), err)
        code, _, err = node.cli("cluster", "join", "--follow", "hq", "--password-file",
                                str(password_file(node, "wrong")))
        self.assertEqual((code, file.exists()), (1, True), err)
        node.do("cluster", "join", "--follow", "hq", "--password-file", str(password_file(node)))
        self.assertFalse(file.exists())
        node.start()
        wait_for(lambda: in_step(node))

    def test_a_master_that_does_not_know_the_password_is_not_believed(self):
        lab, master = self.lab_with_master()
        node = follower(lab, "br1", section("hq", master.cluster))
        liar = lab.master("m2")
        liar.do("administrator", "set", "root", "--password-stdin", stdin="another\n")
        code, _, _ = node.cli("cluster", "join", "--follow", "hq", "--master", liar.cluster,
                              "--user", "root", "--password-stdin", stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertFalse((node.state / "networks/hq/cluster.json").exists())
        code, _, _ = node.cli("cluster", "join", "--follow", "hq", "--user", "root", "--pin",
                              "sha256//" + "A" * 43 + "=", "--password-stdin", stdin="rootpass\n")
        self.assertEqual(code, 1, "a pin that is given is held against the master's key")

    def test_a_member_joins_its_own_cluster_by_its_file_and_waits_for_the_master(self):
        lab, master = self.lab_with_master()
        master.stop()
        node = lab.node("fe1", ["frontend"])
        file = password_file(node)
        text = node.file.read_text().replace("[cluster]", "[cluster]\n" + f"""
masters = ["{master.cluster}"]
user = "root"
password_file = "{file}"
""")
        node.file.write_text(text)
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen([MUSTER, "serve", "--config", str(node.file)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: "event=join_waits" in node.log.read_text())
        self.assertTrue(file.exists())
        master.start()
        wait_for(node.answers, 40)
        self.assertFalse(file.exists())
        self.assertEqual(master.ask("node", "show", "fe1")["scope"], "frontend")
        self.assertEqual(holds(lab.folder, "rootpass"), [])


def pin_of(node):
    der = subprocess.run(["openssl", "pkey", "-in", node.state / "node.key", "-pubout", "-outform",
                          "DER"], check=True, capture_output=True).stdout
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


class Join:
    """The calls of a join, one by one."""

    def __init__(self, node, master, user, password):
        self.node, self.master, self.password = node, master, password
        self.wish = {"name": node.name, "scope": "relay", "cluster": ""}
        self.bare = f"n={user},r=" + base64.b64encode(os.urandom(18)).decode()

    def begin(self, source=None):
        status, text = member_call(self.node, self.master.cluster, "POST", "/v1/join",
                                   {**self.wish, "scram": "p=muster-pins,," + self.bare},
                                   source=source)
        self.challenge = json.loads(text).get("scram", "")
        return status, self.challenge

    def final(self, pin=None):
        parts = dict(part.split("=", 1) for part in self.challenge.split(","))
        wish = json.dumps(self.wish, sort_keys=True, separators=(",", ":"))
        data = "\n".join((pin or pin_of(self.master), pin_of(self.node),
                          hashlib.sha256(wish.encode()).hexdigest()))
        bound = base64.b64encode(b"p=muster-pins,," + data.encode()).decode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(),
                                     base64.b64decode(parts["s"]), int(parts["i"]))
        client = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c={bound},r={parts['r']}"
        message = ",".join((self.bare, self.challenge, last)).encode()
        signature = hmac.digest(hashlib.sha256(client).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client, signature))
        self.expected = base64.b64encode(hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")).decode()
        return f"{last},p={base64.b64encode(proof).decode()}"

    def send(self, final, member=None, source=None):
        return member_call(member or self.node, self.master.cluster, "POST", "/v1/join/proof",
                           {"scram": final}, source=source)

    def proven(self, text):
        return json.loads(text)["scram"] == "v=" + self.expected

    def in_clear(self):
        return member_call(self.node, self.master.cluster, "POST", "/v1/join",
                           {**self.wish, "user": "root", "password": self.password})


class WithoutEncryption(Case):
    def setUp(self):
        self.lab, self.master = self.lab_with_master()
        self.secrets = set_up(self.master)
        self.master.stop()
        self.clear = f"127.0.0.1:{free_port()}"
        text = self.master.file.read_text().replace(
            "[cluster]", f'[cluster]\nclear_listen = "{self.clear}"\nclear_from = ["127.0.0.0/8"]')
        self.master.file.write_text(text)
        self.master.start()
        self.wire = self.link(self.clear)

    def relay(self, name="br1", address=None):
        node = self.lab.node(name, ["master"])
        node.do("cluster", "init")
        file = password_file(node)
        node.write_file(["master"], section("hq", address or self.wire.address, user="root",
                                            password_file=str(file), encryption=False))
        return node

    def test_all_can_be_read_and_no_secret_is_there(self):
        node = self.relay()
        node.start()
        wait_for(lambda: in_step(node))
        self.master.do("account", "add", "omar@hq.dom", "--password-stdin", stdin="omarssecret\n")
        self.master.do("account", "password", "kate@hq.dom", "--password-stdin",
                       stdin="katesnewsecret\n")
        wait_for(lambda: "account/omar@hq.dom" in rows(node), 5)
        self.master.do("node", "set", "br1", "scope=mirror")
        wait_for(lambda: "account/omar@hq.dom" not in rows(node), 5)
        wire = self.wire.bytes()
        for seen in (b"GET /v1/changes?since=", b"account/kate@hq.dom", b"account/omar@hq.dom",
                     b"mx.far.dom:2525"):
            self.assertIn(seen, wire)
        every = [*self.secrets, "omarssecret", "katesnewsecret"]
        self.assertEqual([secret for secret in every if secret.encode() in wire], [])
        self.assertEqual(holds(node.state / "networks", *every), [])
        for log in (self.master.log, node.log):
            self.assertRegex(log.read_text(), "in_clear.*can be read on the way")
            self.assertEqual(len(re.findall("event=(cluster|network)_in_clear", log.read_text())),
                             1)

    def test_an_altered_byte_ends_the_stream_and_changes_nothing(self):
        node = self.relay()
        node.start()
        wait_for(lambda: in_step(node))
        before = rows(node)
        altered = []

        def alter(outward, data):
            at = data.find(b"domain/evil.dom")
            if outward or at < 0:
                return data
            altered.append(at)
            return data.replace(b"domain/evil.dom", b"domain/ev1l.dom")
        self.wire.alter = alter
        self.master.do("domain", "add", "evil.dom", "kind=remote")
        wait_for(lambda: len(altered) > 2)
        self.assertEqual(rows(node), before)
        wait_for(lambda: networks(node)["hq"].get("trouble"))
        self.wire.alter = None
        wait_for(lambda: "domain/evil.dom" in rows(node), 15)
        self.assertNotIn("domain/ev1l.dom", rows(node))

    def test_a_recording_cannot_be_played_again(self):
        node = self.relay()
        node.start()
        wait_for(lambda: in_step(node))
        recorded = self.wire.bytes(outward=True)
        host, port = self.clear.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as replay:
            replay.settimeout(10)
            heard = b""
            with contextlib.suppress(ConnectionError):
                replay.sendall(recorded)
                while data := replay.recv(65536):
                    heard += data
        self.assertNotIn(b"HTTP/1.1", heard)
        self.assertNotIn(b"domain/", heard)

    def test_it_is_for_followers_with_their_key_alone(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
        stranger = follower(self.lab, "stranger")
        status, _ = member_call(stranger, self.clear, "GET", "/v1/copy", context=context)
        self.assertEqual(status, 403)
        member = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        status, text = member_call(member, self.clear, "GET", "/v1/copy", context=context)
        self.assertEqual(status, 403)
        self.assertIn("only followers", text)
        with self.assertRaises(ssl.SSLError, msg="the cluster port itself hides everything"):
            member_call(member, self.master.cluster, "GET", "/v1/copy", context=context)
        with self.assertRaises(ssl.SSLError, msg="and this one nothing"):
            member_call(member, self.clear, "GET", "/v1/copy")

    def test_nobody_joins_there_who_would_be_told_the_clusters_secret(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
        node = follower(self.lab, "br1")
        token = self.master.ask("token", "add", "--scope", "backend")["token"]
        wish = {"name": "br1", "scope": "backend", "cluster": ""}
        for more in ({"token": token}, {"scram": "p=muster-pins,,n=root,r=abc"}):
            status, text = member_call(node, self.wire.address, "POST", "/v1/join",
                                       {**wish, **more}, context=context)
            self.assertEqual(status, 403)
            self.assertIn("without encryption only followers", text)
        begun = Join(node, self.master, "root", "rootpass")
        begun.wish["scope"] = "frontend"
        begun.begin()  # with encryption
        status, text = member_call(node, self.wire.address, "POST", "/v1/join/proof",
                                   {"scram": begun.final()}, context=context)
        self.assertEqual(status, 403)
        self.assertIn("without encryption only followers", text)
        self.assertNotIn(self.secrets[-1].encode(), self.wire.bytes())

    def test_no_token_is_shown_or_taken_there(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
        node = follower(self.lab, "br1", section("hq", self.wire.address, encryption=False))
        token = self.master.ask("token", "add", "--scope", "relay")
        code, _, err = node.cli("cluster", "join", "--follow", "hq", "--pin", token["pin"],
                                "--token-stdin", stdin=token["token"] + "\n")
        self.assertEqual(code, 1)
        self.assertIn("can be read on the way", err)
        self.assertNotIn(token["token"].encode(), self.wire.bytes())
        status, text = member_call(node, self.wire.address, "POST", "/v1/join",
                                   {"name": "br1", "scope": "relay", "token": token["token"]},
                                   context=context)
        self.assertEqual(status, 403)
        self.assertIn("can be read on the way", text)

    def test_a_master_with_another_key_is_not_followed(self):
        node = self.relay()
        node.start()
        wait_for(lambda: in_step(node))
        other = self.lab.node("m2", ["master"])
        clear = f"127.0.0.1:{free_port()}"
        other.file.write_text(other.file.read_text().replace(
            "[cluster]", f'[cluster]\nclear_listen = "{clear}"\nclear_from = ["127.0.0.0/8"]'))
        other.do("cluster", "init")
        other.start()
        before = rows(node)
        host, port = clear.rsplit(":", 1)
        self.wire.target = (host, int(port))
        self.wire.cut()
        wait_for(lambda: "pin" in networks(node)["hq"].get("trouble", "").lower() or
                 "key" in networks(node)["hq"].get("trouble", "").lower())
        self.assertEqual(rows(node), before)

    def test_public_addresses_are_refused(self):
        node = follower(self.lab, "br2")
        for host, said in (("192.0.2.1", "private addresses only"),):
            node.write_file(["master"], section("hq", f"{host}:7700", encryption=False))
            code, _, err = node.cli("check")
            self.assertEqual(code, 1)
            self.assertIn(said, err)
        text = self.master.file.read_text()
        self.master.file.write_text(text.replace('["127.0.0.0/8"]', '["0.0.0.0/0"]'))
        code, _, err = self.master.cli("check")
        self.assertEqual(code, 1)
        self.assertIn("is no private network", err)
        self.master.file.write_text(text)


class Tokens(Case):
    def test_a_token_of_a_followers_scope_lets_it_follow(self):
        lab, master = self.lab_with_master()
        set_up(master)
        node = follower(lab, "br1")
        file = password_file(node)  # not needed in the end
        node.write_file(["master"], section("hq", master.cluster, mode="mirror", user="root",
                                            password_file=str(file)))
        token = master.ask("token", "add", "--scope", "mirror")
        join = ("cluster", "join", "--follow", "hq", "--pin", token["pin"], "--token-stdin")
        other = master.ask("token", "add", "--scope", "relay")
        code, _, err = node.cli(*join, stdin=other["token"] + "\n")
        self.assertEqual(code, 1)
        self.assertIn("the token is for scope relay", err)
        node.do(*join, stdin=token["token"] + "\n")
        self.assertIn("still holds a password", node.cli("check")[1])
        node.start()
        wait_for(lambda: not file.exists())
        wait_for(lambda: set(rows(node)) == {"domain/far.dom", "node/m1"})
        self.assertNotEqual(master.cli("token", "add", "--scope", "all")[0], 0)


class Restored(Case):
    def test_a_node_that_is_restored_from_a_backup_follows_again_without_a_password(self):
        lab, master = self.lab_with_master()
        master.do("domain", "add", "far.dom", "kind=remote")
        node = follower(lab, "br1", section("hq", master.cluster))
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        node.start()
        wait_for(lambda: "domain/far.dom" in rows(node))
        backup = lab.folder / "backup"
        node.do("cluster", "backup", str(backup), "--password-stdin", stdin="passphrase\n")
        node.stop()
        shutil.rmtree(node.state)
        node.do("cluster", "restore", str(backup), "--password-stdin", stdin="passphrase\n")
        self.assertEqual((node.state / "networks/hq/cluster.json").stat().st_mode & 0o777, 0o600)
        master.do("domain", "add", "far2.dom", "kind=remote")
        node.start()
        wait_for(lambda: "domain/far2.dom" in rows(node))


class PutOut(Case):
    def test_a_revoked_follower_learns_nothing_more_and_a_lost_one_is_told_what_to_do(self):
        lab, master = self.lab_with_master()
        set_up(master)
        node = lab.node("br1", ["master"])
        node.do("cluster", "init")
        node.write_file(["master"], section("hq", master.cluster))
        join = ("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin")
        node.do(*join, stdin="rootpass\n")
        node.start()
        wait_for(lambda: in_step(node))
        master.do("node", "set", "br1", "revoked=true")
        wait_for(lambda: "revoked" in networks(node)["hq"].get("trouble", ""), 5)
        master.do("domain", "add", "later.dom", "kind=remote")
        self.assertEqual(member_call(node, master.cluster, "GET", "/v1/copy")[0], 403)
        self.assertNotIn("domain/later.dom", rows(node))
        self.assertIn("account/kate@hq.dom", rows(node), "what it knew goes on serving")
        alarms = [row["text"] for row in node.ask("status")["alarms"] if row["about"] == "network hq"]
        self.assertIn("revoked", " ".join(alarms))

        node.stop()
        (node.state / "networks/hq/cluster.json").unlink()
        code, _, err = node.cli(*join, stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertIn("key was revoked", err)
        master.do("node", "set", "br1", "revoked=false")
        node.do(*join, stdin="rootpass\n")
        node.start()
        wait_for(lambda: "domain/later.dom" in rows(node), 15)
        text = node.file.read_text()
        node.file.write_text(text + 'node_name = "br9"\n')
        (node.state / "networks/hq/cluster.json").rename(node.folder / "kept")
        code, _, err = node.cli(*join, stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertIn("known as that of br1", err)
        (node.folder / "kept").rename(node.state / "networks/hq/cluster.json")
        node.file.write_text(text)
        again = lab.node("again", ["master"])
        again.do("cluster", "init")
        again.write_file(["master"], section("hq", master.cluster, node_name="br1"))
        code, _, err = again.cli(*join, stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertIn("another key already", err)
        self.assertIn("muster node remove br1", err)
        master.do("--yes", "node", "remove", "br1")
        again.do(*join, stdin="rootpass\n")
        wait_for(lambda: networks(node)["hq"].get("trouble"), 5)
        member = lab.member(master, "fe1", ["frontend"], "frontend")
        member.stop()
        member.write_file(["frontend"], section("hq", master.cluster))
        code, _, err = member.cli(*join, stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertIn("is a member of this cluster", err)


class BrokenLinks(Case):
    def start(self, **options):
        self.lab, self.master = self.lab_with_master()
        set_up(self.master)
        self.wire = self.link(self.master.cluster)
        self.node = self.lab.node("br1", ["master"])
        self.node.do("cluster", "init")
        self.node.write_file(["master"], section("hq", self.wire.address, **options))
        self.node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                     stdin="rootpass\n")

    def test_a_follower_starts_and_restarts_without_its_master_and_catches_up(self):
        self.start()
        self.node.start()
        wait_for(lambda: in_step(self.node))
        self.master.stop()
        self.wire.refuses = True
        self.node.stop()
        self.node.start()
        row = networks(self.node)["hq"]
        self.assertTrue(row["filled"])
        self.assertIn("account/kate@hq.dom", rows(self.node))
        wait_for(lambda: networks(self.node)["hq"].get("trouble"))
        self.master.start()
        self.master.do("account", "add", "late@hq.dom", "--no-password")
        self.wire.refuses = False
        wait_for(lambda: "account/late@hq.dom" in rows(self.node), 25)
        wait_for(lambda: "trouble" not in networks(self.node)["hq"])

    def test_a_network_that_is_not_heard_of_is_an_alarm(self):
        self.start()
        text = self.node.file.read_text()
        self.node.file.write_text(text.replace("[cluster]", "[cluster]\nabsent_after = 1"))
        self.node.start()
        wait_for(lambda: in_step(self.node))

        def alarms():
            return " ".join(row["text"] for row in self.node.ask("status")["alarms"]
                            if row["about"] == "network hq")
        self.wire.refuses = True
        self.wire.cut()
        wait_for(lambda: "nothing was heard of it for" in alarms(), 10)
        self.wire.refuses = False
        wait_for(lambda: not alarms(), 20)

    def test_streams_that_are_cut_stalled_or_damaged_end_with_what_the_master_holds(self):
        self.start(inactivity_timeout=2)
        state = {"left": 3_000, "faults": 0}

        def cut_often(outward, data):
            if outward or state["faults"] >= 12:
                return data
            state["left"] -= len(data)
            if state["left"] > 0:
                return data
            state["left"] = 2_000 * (state["faults"] + 1)
            state["faults"] += 1
            if state["faults"] % 2:
                raise ConnectionError
            return data[:-1] + bytes([data[-1] ^ 1])
        self.wire.alter = cut_often
        self.node.start()
        for number in range(40):
            self.master.do("domain", "add", f"d{number}.dom", "kind=remote")
        wait_for(lambda: state["faults"] >= 3, 60)
        self.wire.alter = None
        wait_for(lambda: "domain/d39.dom" in rows(self.node), 30)
        wait_for(lambda: in_step(self.node))
        self.wire.moving.clear()  # stalled both ways
        self.master.do("domain", "add", "stalled.dom", "kind=remote")
        wait_for(lambda: networks(self.node)["hq"].get("trouble"), 15)
        self.assertEqual(self.master.http("/healthz")[0], 200)
        self.wire.moving.set()
        wait_for(lambda: "domain/stalled.dom" in rows(self.node), 30)
        expected = {row["name"] for row in self.master.ask("domain", "list")["domains"]}
        self.assertEqual({key[7:] for key in rows(self.node) if key.startswith("domain/")},
                         expected)

    def test_values_that_this_version_does_not_know_are_kept(self):
        self.start()
        self.node.start()
        wait_for(lambda: in_step(self.node))
        strange = {"kind": "remote", "unheard_of": {"deep": [1, 2, {"x": None}]}}
        call = self.master.http("/v1/domains/strange.dom", "root", "rootpass", "PUT", strange)
        wait_for(lambda: "domain/strange.dom" in rows(self.node) or call[0] != 200, 5)
        self.assertEqual(call[0], 200, call)
        self.assertEqual(rows(self.node)["domain/strange.dom"]["unheard_of"], strange["unheard_of"])

    def test_an_update_interval_fetches_now_and_then(self):
        self.start(update_interval=1)
        self.node.start()
        wait_for(lambda: networks(self.node)["hq"]["filled"])
        wait_for(lambda: not self.wire.open)  # between two visits; a stream is always open
        self.master.do("domain", "add", "polled.dom", "kind=remote")
        wait_for(lambda: "domain/polled.dom" in rows(self.node), 10)


class Opening(Case):
    def test_one_command_lets_others_follow_a_master_that_stood_alone(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.node("m1", ["master"])
        alone = re.sub(r'listen = "' + master.cluster + '"\n', "", master.file.read_text())
        master.file.write_text("# the operator's own line\n" + alone)
        master.start()  # it is its whole cluster
        master.do("administrator", "set", "root", "--password-stdin", stdin="rootpass\n")
        master.do("domain", "add", "far.dom", "kind=remote")
        told = master.do("cluster", "open", "--listen", master.cluster, "--from",
                         "127.0.0.0/8,10.0.0.0/8")
        self.assertIn("[[follow]]", told)
        self.assertIn("# the operator's own line\n", master.file.read_text())
        self.assertNotIn(master.cluster, (master.folder / "muster.toml.before").read_text())
        for same in ((), ("--listen", master.cluster), ("--from", "10.0.0.0/8")):
            self.assertIn("says so already", master.do("cluster", "open", *same))
        master.do("cluster", "open", "--from", "192.168.0.0/16")  # one more
        file = tomllib.loads(master.file.read_text())["cluster"]
        self.assertEqual(file["listen"], master.cluster)
        self.assertEqual([one for one in file["allow"] if "127." not in one and "::1" not in one],
                         ["10.0.0.0/8", "192.168.0.0/16"])
        for wrong in (("--listen", "nowhere"), ("--from", "nowhere")):
            self.assertNotEqual(master.cli("cluster", "open", *wrong)[0], 0)
        master.stop()
        master.start()
        example = "\n".join(line.strip() for line in told.splitlines() if line.startswith("    "))
        node = lab.node("br1", ["master"])
        node.do("cluster", "init")
        file = password_file(node)
        node.write_file(["master"], example.replace("ADMINISTRATOR", "root").replace(
            "/etc/muster/m1.password", str(file)))
        code, out, _ = node.cli("check")
        self.assertEqual(code, 0, out)
        node.start()
        wait_for(lambda: "domain/far.dom" in rows(node, "m1"))


class Clocks(Case):
    def test_clocks_that_differ_by_hours_keep_nobody_from_joining_and_following(self):
        for hours in (-30, 30):
            lab, master = self.lab_with_master()
            set_up(master)
            node = lab.node("br1", ["master"])
            with shifted_clock(hours):
                now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True)
                self.assertGreater(abs(int(now.stdout) - time.time()), 3600)
                node.do("cluster", "init")
                file = password_file(node)
                node.write_file(["master"], section("hq", master.cluster, user="root",
                                                    password_file=str(file)))
                node.start()
            wait_for(lambda: in_step(node))
            self.assertFalse(file.exists())
            master.do("domain", "add", "now.dom", "kind=remote")
            wait_for(lambda: "domain/now.dom" in rows(node))
            row = networks(node)["hq"]
            self.assertGreaterEqual(row["lag_ms"], 0)
            self.assertLess(row["lag_ms"], 3_600_000)
            self.assertLess(row["silence_ms"], 10_000)
            self.assertEqual([one for one in node.ask("status")["alarms"]
                              if one["about"] == "network hq"], [])
            wait_for(lambda: {one["name"]: one for one in master.ask("node", "list")["nodes"]}[
                "br1"]["seen"]["connected"])


class SeveralMasters(Case):
    def test_a_follower_goes_on_with_a_stand_in_and_after_a_change_of_master(self):
        lab, master = self.lab_with_master()
        set_up(master)
        second = lab.member(master, "m2", ["master"], "master")
        for mode in ("relay", "mirror"):
            node = follower(lab, mode, section("hq", master.cluster, mode=mode))
            node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                    stdin="rootpass\n")
            node.start()
            wait_for(lambda node=node: in_step(node))
        relay, mirror = lab.nodes[-2:]
        wait_for(lambda: {"node/m1", "node/m2"} <= set(rows(mirror)))
        master.stop()  # its stand-in is read
        for node in (relay, mirror):
            wait_for(lambda node=node: in_step(node) and
                     networks(node)["hq"]["source"] == f"https://{second.cluster}", 30)
            self.assertNotIn("trouble", networks(node)["hq"])
        self.assertEqual(second.cli("cluster", "promote", "m2", "--yes", "--force")[0], 0)
        second.do("domain", "add", "later.dom", "kind=remote")
        for node in (relay, mirror):
            wait_for(lambda node=node: "domain/later.dom" in rows(node), 30)
        second.do("node", "set", "relay", "scope=mirror")
        wait_for(lambda: "account/kate@hq.dom" not in rows(relay), 10)
        third = follower(lab, "br3", section("hq", second.cluster))
        third.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                 stdin="rootpass\n")
        third.start()
        wait_for(lambda: in_step(third) and "account/kate@hq.dom" in rows(third))
        master.start()
        wait_for(lambda: networks(relay)["hq"]["source"] == f"https://{master.cluster}", 40)
        second.do("domain", "add", "last.dom", "kind=remote")
        for node in (relay, mirror, third):
            wait_for(lambda node=node: "domain/last.dom" in rows(node), 30)
            self.assertEqual(holds(node.state / "networks", "rootpass", "BEGIN PRIVATE KEY"), [])


class Sections(Case):
    def test_sections_come_and_go_with_a_restart(self):
        lab, master = self.lab_with_master()
        set_up(master)
        other = lab.master("m2")
        other.do("domain", "add", "two.dom", "kind=remote")
        node = lab.node("br1", ["master"])
        node.do("cluster", "init")
        node.start()
        self.assertEqual(networks(node), {})
        both = section("hq", master.cluster) + section("two", other.cluster, mode="mirror")
        node.write_file(["master"], both)
        self.assertIn("follow", node.do("node", "reload"))
        node.stop()
        for name in ("hq", "two"):
            node.do("cluster", "join", "--follow", name, "--user", "root", "--password-stdin",
                    stdin="rootpass\n")
        node.start()
        wait_for(lambda: in_step(node, "hq") and in_step(node, "two"))
        self.assertEqual(list(networks(node)), ["hq", "two"])
        self.assertIn("domain/two.dom", rows(node, "two"))
        node.stop()
        node.write_file(["master"], section("two", other.cluster, mode="mirror"))
        node.start()
        self.assertIn("event=network_left network=hq", node.log.read_text())
        self.assertEqual(list(networks(node)), ["two"])
        node.stop()
        node.write_file(["master"], both.replace('"mirror"', '"relay"'))
        node.start()
        wait_for(lambda: in_step(node, "hq") and in_step(node, "two"))

    def test_the_own_cluster_is_not_followed_as_a_network(self):
        lab, master = self.lab_with_master()
        text = master.file.read_text()
        master.file.write_text(text + section("me", master.cluster))
        code, _, err = master.cli("cluster", "join", "--follow", "me", "--user", "root",
                                  "--password-stdin", stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertRegex(err, "own cluster|is a member of this cluster")


if __name__ == "__main__":
    unittest.main()
