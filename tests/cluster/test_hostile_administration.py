"""What strangers, liars and mistakes can do to the administration of a running cluster: nothing."""
import base64
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from nodes_lab import MUSTER, Lab, cluster_status, free_port, wait_for
from test_administration import set_up_directory

DEEP = '{"x":' + "[" * 100_000


def call(node, path, user, method="GET", body=None, source="127.0.0.1", headers=None):
    """(status, text) at a node's HTTP listener; `user` is "NAME:PASSWORD"."""
    host, port = node.admin.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30,
                                            source_address=(source, 0))
    try:
        connection.request(method, path, body=body, headers={
            "Authorization": "Basic " + base64.b64encode(user.encode()).decode(), **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class FalseNode:
    """Sits at a member's address with its key and answers whatever it is told to."""

    def __init__(self, member, answers):
        self.answers = answers  # the JSON text for (method, path), or None to stay silent
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(member.state / "node.crt", member.state / "node.key")
        host, port = member.cluster.rsplit(":", 1)
        self.listener = socket.create_server((host, int(port)))
        self.open = []
        self.asked = []
        self.heads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        self.open.append(plain)
        try:
            stream = self.context.wrap_socket(plain, server_side=True)
            self.open.append(stream)
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(4096) or b"\r\n\r\n"
            method, path = head.decode().split(" ")[:2]
            self.asked.append(path)
            self.heads.append(head.decode().lower())
            body = self.answers(method, path)
            if body is None:
                return
            stream.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            stream.close()
        except (OSError, ValueError):
            pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        for one in self.open:
            one.close()


def joined_but_silent(lab, master, name, roles, scope):
    """A member that was never started."""
    node = lab.node(name, roles)
    token = master.ask("token", "add", "--scope", scope)
    node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"], "--token-stdin",
            stdin=token["token"] + "\n")
    return node


class WithMaster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.master = cls.lab.master()
        set_up_directory(cls.master)
        cls.master.do("account", "add", "kate@domain1.dom", "--home", "sv1", "--no-password")
        cls.master.do("administrator", "add", "view", "--read-only", "--password-stdin",
                      stdin="viewpass\n")


class OutsideJson(WithMaster):
    def test_deep_nesting_is_refused(self):
        for path in ("/v1/cluster/diff", "/v1/sessions/kick", "/v1/cluster/apply"):
            status, text = call(self.master, path, "view:viewpass", "POST", DEEP)
            self.assertEqual(status, 400, text)
        status, _ = call(self.master, "/v1/settings/x", "root:rootpass", "PUT",
                         DEEP + "]" * 100_000 + "}")
        self.assertEqual(status, 400)
        self.assertEqual(self.master.http("/healthz")[0], 200)

    def test_a_page_of_another_site_cannot_use_the_browsers_password(self):
        path = "/v1/accounts/kate@domain1.dom/enable"
        forged = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        for headers in (forged, {"Sec-Fetch-Site": "cross-site"},
                        {**forged, "Content-Type": "application/x-www-form-urlencoded"}):
            self.assertEqual(call(self.master, path, "root:rootpass", "POST", "{}",
                                  headers=headers)[0], 415)
        own = {"Origin": "https://console.example", "Content-Type": "application/json"}
        self.assertEqual(call(self.master, path, "root:rootpass", "POST", "{}", headers=own)[0], 200)
        curl = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends
        self.assertEqual(call(self.master, path, "root:rootpass", "POST", "{}", headers=curl)[0],
                         200)


class Liars(WithMaster):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.silent = joined_but_silent(cls.lab, cls.master, "fe9", ["frontend"], "frontend")
        wait_for(lambda: "fe9" in [row["name"] for row in cls.master.ask("status")["nodes"]], 5)

    def false_node(self, answers):
        node = FalseNode(self.silent, answers)
        self.addCleanup(node.close)
        return node

    def test_a_node_that_answers_nonsense_counts_as_unreachable(self):
        for text in ('{"kicked":"x","name":5,"reachable":"yes","sessions":[7]}', "[]", "null",
                     '{"kicked":-1,"name":"fe9","reachable":true,"alarms":[5],"sessions":{"a":1}}',
                     '{"kicked":1e99,"name":"fe9","reachable":true,"servers":[{"name":{}}],'
                     '"sessions":[{"id":1}]}', DEEP, "\udcff"):
            body = text.encode("utf-8", "surrogateescape").decode("latin-1")
            node = self.false_node(lambda method, path: body)
            _, answer, _ = self.master.cli("account", "disable", "kate@domain1.dom", "--json")
            self.assertEqual(json.loads(answer)["sessions"]["unreachable"], ["fe9"], text[:60])
            self.assertEqual(self.master.ask("session", "list")["unreachable"], ["fe9"])
            status = self.master.ask("status")
            seen = {row["name"]: row["reachable"] for row in status["nodes"]}
            self.assertEqual(seen, {"m1": True, "fe9": False}, text[:60])
            self.assertEqual(len(self.master.ask("server", "list")["servers"]), 2)
            kicked = self.master.http("/v1/sessions/kick", "root", "rootpass", "POST",
                                      {"account": "kate@domain1.dom"})
            self.assertEqual((kicked[0], json.loads(kicked[1])["unreachable"]), (200, ["fe9"]))
            node.close()

    def test_a_node_that_says_it_is_another_is_not_believed(self):
        session = {"id": "s", "node": "m1", "account": "a@b", "service": "imap", "client": "c",
                   "server": "sv1", "since": 1, "tls": True}
        text = json.dumps({"name": "m1", "reachable": True, "sessions": [session]})
        status = '{"name":"m1","reachable":true}'
        self.false_node(lambda method, path: text if "sessions" in path else status)
        self.assertEqual([row["name"] for row in self.master.ask("status")["nodes"]], ["m1", "fe9"])
        self.assertEqual([row["node"] for row in self.master.ask("session", "list")["sessions"]],
                         ["fe9"])

    def test_a_master_shows_no_front_end_an_administrators_password(self):
        node = self.false_node(lambda method, path: '{"kicked":0}' if "kick" in path else
                               '{"messages":[],"next":"","looked_at":0,"changed":0,"queues":'
                               '[{"messages":0,"bytes":0,"loading":false}]}')
        for path, body in (("/v1/sessions/kick", '{"account":"kate@domain1.dom"}'),
                           ("/v1/queue/flush", '{"all":true}')):
            status, text = call(self.master, path, "root:rootpass", "POST", body)
            self.assertEqual(status, 200, text)
        self.assertIn("/v1/kick", node.asked)
        self.assertIn("/v1/queue/here/flush", node.asked)
        self.assertIn("x-muster-caller: admin:root", "".join(node.heads))
        self.assertNotIn("authorization:", "".join(node.heads))

    def test_a_node_that_hangs_holds_up_nobody_else(self):
        node = self.false_node(lambda method, path: None)
        askers = [threading.Thread(target=self.master.http, args=("/v1/status", "root", "rootpass"))
                  for _ in range(12)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(node.asked) >= 4)
        begun = time.monotonic()
        self.assertEqual(self.master.http("/v1/accounts", "root", "rootpass")[0], 200)
        self.assertLess(time.monotonic() - begun, 2)
        node.close()
        for asker in askers:
            asker.join()

    def test_a_node_that_drips_is_given_up(self):
        """Each byte is a sign of life; the whole has its deadline."""
        dripping = threading.Event()
        self.addCleanup(dripping.set)

        class Dripping(FalseNode):
            def serve(self, plain):
                stream = self.context.wrap_socket(plain, server_side=True)
                self.open.append(stream)
                stream.recv(4096)
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                try:
                    while not dripping.wait(0.2):
                        stream.sendall(b" ")
                except OSError:
                    pass

        node = Dripping(self.silent, None)
        self.addCleanup(node.close)
        begun = time.monotonic()
        self.assertEqual(self.master.ask("session", "list")["unreachable"], ["fe9"])
        self.assertLess(time.monotonic() - begun, 9)


class Strangers(WithMaster):
    def join(self, body, certificate=None, times=1):
        """The statuses of so many calls on one connection."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*certificate)
        host, port = self.master.cluster.rsplit(":", 1)
        statuses = []
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        for _ in range(times):
            try:
                connection.request("POST", "/v1/join", body=body)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            except OSError:  # refused before the body was read
                connection.close()
        connection.close()
        return statuses

    def test_wishes_to_join_fill_no_disk(self):
        key = self.lab.folder / "stranger.key"
        certificate = self.lab.folder / "stranger.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=stranger", "-days", "2",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        stranger = (certificate, key)
        before = (self.master.state / "audit.log").stat().st_size
        log = self.master.log.stat().st_size
        self.assertEqual(set(self.join(json.dumps({"name": "x" * 60_000}), times=50)) - {403}, set())
        self.assertEqual(self.join("{}", times=5), [403] * 5)
        refused = json.dumps({"name": "fe7", "scope": "frontend", "cluster": "127.0.0.1:9",
                              "master": "x", "token": "wrong"})
        for body in (json.dumps({"name": "y" * 60_000, "scope": "z" * 1_000}), DEEP, "[7]", refused):
            self.assertTrue(set(self.join(body, stranger, 20)) <= {400, 403, 503}, body[:50])
        self.assertEqual(self.join(refused, stranger), [503])
        self.assertLess((self.master.state / "audit.log").stat().st_size - before, 16_000)
        self.assertLess(self.master.log.stat().st_size - log, 16_000)

    def test_a_refused_wish_stands_in_the_audit_log(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        node = lab.node("fe6", ["frontend"])
        pin = master.ask("node", "show", "m1")["pin"]
        code, _, _ = node.cli("cluster", "join", "--master", master.cluster, "--pin", pin,
                              "--token-stdin", stdin="wrong\n")
        self.assertEqual(code, 1)
        record = master.ask("audit", "list")["audit"][-1]
        self.assertEqual((record["action"], record["object"]), ("node join", "fe6"))
        self.assertNotEqual(record["outcome"], "done")

    def test_a_join_that_cannot_be_kept_uses_no_token(self):
        (self.lab.folder / "file").write_text("")
        node = self.lab.node("fe5", ["frontend"])
        good = node.file.read_text()
        node.file.write_text(good.replace(str(node.state), str(self.lab.folder / "file" / "s")))
        token = self.master.ask("token", "add", "--scope", "frontend")
        join = ("cluster", "join", "--master", self.master.cluster, "--pin", token["pin"],
                "--token-stdin")
        self.assertEqual(node.cli(*join, stdin=token["token"] + "\n")[0], 1)
        node.file.write_text(good)
        node.do(*join, stdin=token["token"] + "\n")


class Administrators(WithMaster):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.front_end = cls.lab.member(cls.master, "fe1", ["frontend"], "frontend")

    def test_wrong_passwords_lock_out_their_own_address_alone(self):
        statuses = [call(self.front_end, "/v1/domains", f"root:wrong{i}", source="127.0.0.2")[0]
                    for i in range(22)]
        self.assertEqual(statuses[0], 401)
        self.assertEqual(statuses[-1], 429)
        wish = json.dumps({})
        for node in (self.front_end, self.master):
            path = "/v1/accounts/kate@domain1.dom/enable"
            self.assertEqual(call(node, path, "root:rootpass", "POST", wish)[0], 200)
            self.assertEqual(call(node, "/v1/domains", "root:other", source="127.0.0.2")[0], 429)

    def test_a_member_that_invents_addresses_is_bound_to_so_many_guesses(self):
        broken_into = self.lab.member(self.master, "fe9", ["frontend"], "frontend")

        def guess(number):
            client = f"198.51.{number // 200}.{number % 200}"
            if number % 2:
                return cluster_status(self.master.cluster, "GET", "/v1/domains", None, broken_into,
                                      f"root:guess{number}", client)
            shown = base64.b64encode(f"root:guess{number}".encode()).decode()
            return cluster_status(self.master.cluster, "POST", "/v1/administrators/verify",
                                  {"authorization": f"Basic {shown}", "client": client},
                                  broken_into)

        statuses = [guess(number) for number in range(104)]
        self.assertLessEqual(set(statuses[:100]), {401, 403})
        self.assertLessEqual(set(statuses[100:]), {413, 429})
        self.assertEqual(call(self.front_end, "/v1/domains", "root:rootpass")[0], 200)

    def test_a_changed_administrator_has_other_rights_at_once(self):
        self.master.do("administrator", "add", "temp", "--password-stdin", stdin="temppass\n")
        path = "/v1/accounts/kate@domain1.dom/enable"
        wait_for(lambda: call(self.front_end, "/v1/domains", "temp:temppass")[0] == 200)
        self.assertEqual(call(self.master, path, "temp:temppass", "POST")[0], 200)
        self.master.do("administrator", "remove", "temp", "--yes")
        self.assertEqual(call(self.master, path, "temp:temppass", "POST")[0], 401)
        self.assertIn(call(self.front_end, path, "temp:temppass", "POST")[0], (401, 403))
        wait_for(lambda: call(self.front_end, "/v1/domains", "temp:temppass")[0] == 401, 10)


class StartAndStop(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def front_end(self, name="m1", more=""):
        """A cluster of one that serves clients at `imap`."""
        node = self.lab.node(name, ["master", "frontend"])
        node.imap = f"127.0.0.1:{free_port()}"
        text = node.file.read_text()
        node.file.write_text(text + f'[[listener]]\nprotocol = "imap"\naddress = "{node.imap}"\n'
                                    f'tls = "none"\n' + more)
        return node

    def run_to_its_end(self, node):
        done = subprocess.run([MUSTER, "serve", "--config", str(node.file)], capture_output=True,
                              text=True, timeout=30)
        return done.returncode, done.stderr

    def test_an_address_in_use_is_an_error_and_no_crash(self):
        node = self.front_end()
        node.do("cluster", "init", "--administrator", "root", "--password-stdin", stdin="pw\n")
        for taken in (node.admin, node.cluster, node.imap):
            host, port = taken.rsplit(":", 1)
            with socket.create_server((host, int(port))):
                code, log = self.run_to_its_end(node)
            self.assertEqual(code, 1, log)
            self.assertIn("start-failed", log)
            self.assertNotIn("event=listening", log)
        node.start()

    def test_a_second_start_takes_no_clients(self):
        node = self.front_end()
        node.do("cluster", "init", "--administrator", "root", "--password-stdin", stdin="pw\n")
        node.start()
        code, log = self.run_to_its_end(node)
        self.assertEqual(code, 1, log)
        self.assertIn("another muster runs", log)
        self.assertNotIn("event=listening", log)
        self.assertEqual(node.http("/healthz")[0], 200)
        follower = self.lab.member(node, "fe1", ["frontend"], "frontend")
        code, log = self.run_to_its_end(follower)
        self.assertEqual((code, "another muster runs" in log), (1, True), log)

    def test_signals_of_no_meaning_end_nothing(self):
        node = self.lab.master()
        for one in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            node.process.send_signal(one)
        wait_for(lambda: "event=reloaded" in node.log.read_text())
        self.assertEqual(node.http("/healthz")[0], 200)
        self.assertEqual(node.stop(), 0)

    def test_a_second_signal_ends_a_stop_that_waits_for_sessions(self):
        node = self.front_end()
        node.file.write_text(node.file.read_text().replace("drain_time = 1", "drain_time = 600"))
        node.do("cluster", "init", "--administrator", "root", "--password-stdin", stdin="pw\n")
        node.start()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        threading.Thread(target=serve_imap, args=(listener,), daemon=True).start()
        node.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "introduce=none",
                f"imap.port={listener.getsockname()[1]}", "imap.tls=none")
        node.do("domain", "add", "domain1.dom", "--servers", "sv1")
        node.do("account", "add", "kate@domain1.dom", "--home", "sv1", "--no-password")
        host, port = node.imap.rsplit(":", 1)
        client = wait_for(lambda: logged_in(host, int(port)))
        self.addCleanup(client.close)
        node.process.send_signal(signal.SIGTERM)
        wait_for(lambda: node.http("/readyz")[0] == 503)
        begun = time.monotonic()
        self.assertEqual(node.stop(), 0)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertIn("stopping-at-once", node.log.read_text())

    def test_a_stop_ends_an_import(self):
        node = self.lab.master()
        set_up_directory(node)
        rows = self.lab.folder / "rows.csv"
        with open(rows, "w") as file:
            file.write("address,password\n")
            for i in range(60_000):  # about a minute of hashing
                file.write(f"user{i}@domain1.dom,secret{i}\n")
        command = [MUSTER, "--config", str(node.file), "account", "import", str(rows)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(running.stderr.close)
        wait_for(lambda: busy_seconds(node.process.pid) > 2)
        begun = time.monotonic()
        self.assertEqual(node.stop(), 0)
        self.assertLess(time.monotonic() - begun, 15)
        self.assertEqual(running.wait(20), 1)
        node.start()
        self.assertEqual(node.ask("account", "list")["accounts"], [])

    def test_a_reload_renews_the_certificate_of_the_http_listener(self):
        node = self.lab.master()
        node.do("certificate", "issue", "one.example", "--out", str(self.lab.folder))
        node.do("certificate", "issue", "two.example", "--out", str(self.lab.folder))
        node.stop()
        section = ("[[certificate]]\n" + "\n".join(
            f'{what} = "{self.lab.folder}/shown.{end}"' for what, end in (("chain", "crt"),
                                                                          ("key", "key"))) + "\n")
        node.file.write_text(node.file.read_text().replace("[admin]\n", "[admin]\ntls = true\n") +
                             section)

        def show(name):
            for end in ("crt", "key"):
                text = (self.lab.folder / f"{name}.{end}").read_bytes()
                (self.lab.folder / f"shown.{end}").write_bytes(text)
            return (self.lab.folder / "shown.crt").read_text()

        def shown():
            host, port = node.admin.rsplit(":", 1)
            try:
                return ssl.get_server_certificate((host, int(port)))
            except OSError:
                return None

        def first(chain):
            return ssl.PEM_cert_to_DER_cert(chain[:chain.index("-----END") + 25])

        one = show("one.example")
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen([MUSTER, "serve", "--config", str(node.file)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(shown)
        self.assertEqual(ssl.PEM_cert_to_DER_cert(shown()), first(one))
        two = show("two.example")
        node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: ssl.PEM_cert_to_DER_cert(shown()) == first(two))


def serve_imap(listener):
    """Lets everybody in."""
    def talk(stream):
        with stream, stream.makefile("rwb") as lines:
            lines.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")
            lines.flush()
            for line in lines:
                lines.write(line.split(b" ")[0] + b" OK done\r\n")
                lines.flush()

    while True:
        try:
            stream, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=talk, args=(stream,), daemon=True).start()


def logged_in(host, port):
    """A connection that is logged in, or nothing yet."""
    stream = socket.create_connection((host, port), timeout=10)
    stream.sendall(b"a LOGIN kate@domain1.dom secret\r\n")
    heard = b""
    while b"\na " not in heard:
        piece = stream.recv(4096)
        heard += piece
        if not piece:
            break
    if b"\na OK" in heard:
        return stream
    stream.close()
    return None


def busy_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Files(WithMaster):
    def test_nothing_is_restored_under_a_running_master(self):
        backup = self.lab.folder / "cluster.backup"
        self.master.do("cluster", "backup", str(backup), "--password-stdin", stdin="phrase\n")
        code, _, err = self.master.cli("cluster", "restore", str(backup), "--password-stdin",
                                       "--yes", stdin="phrase\n")
        self.assertEqual(code, 1)
        self.assertIn("another muster runs", err)
        self.assertEqual(self.master.http("/healthz")[0], 200)
        self.master.do("account", "show", "kate@domain1.dom")

    def test_a_failed_backup_leaves_nothing_behind(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        (master.state / "node.crt").rename(master.state / "aside")
        code, _, err = master.cli("cluster", "backup", str(lab.folder / "b"), "--password-stdin",
                                  stdin="phrase\n")
        self.assertEqual(code, 1)
        self.assertIn("node.crt", err)
        self.assertEqual(list(master.state.glob("backup-*")), [])
        (master.state / "aside").rename(master.state / "node.crt")
        master.stop()
        (master.state / "backup-x.tmp.directory").write_text("plain")
        master.start()
        self.assertEqual(list(master.state.glob("backup-*")), [])

    def test_an_export_that_is_cut_off_leaves_no_file(self):
        for i in range(30):
            self.master.do("account", "add", f"many{i}@domain1.dom", "--no-password")
        out = self.lab.folder / "accounts.csv"

        def full_disk():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

        done = subprocess.run([MUSTER, "--config", str(self.master.file), "account", "export",
                               str(out)], preexec_fn=full_disk, capture_output=True, text=True,
                              timeout=30)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertFalse(out.exists())
        self.master.do("account", "export", str(out))
        self.assertIn("many29@", out.read_text())

    def test_a_file_that_cannot_be_read_is_no_empty_one(self):
        code, _, err = self.master.cli("account", "import", "--format", "jsonl",
                                       str(self.lab.folder))
        self.assertEqual(code, 1)
        self.assertIn("reading", err)

    def test_a_change_that_cannot_be_audited_is_not_answered_as_done(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        master.stop()
        (master.state / "audit.log").unlink(missing_ok=True)
        (master.state / "audit.log").symlink_to("/dev/full")
        master.start()
        code, _, err = master.cli("setting", "set", "note", "1")
        self.assertEqual(code, 1)
        self.assertIn("not audited", err)


if __name__ == "__main__":
    unittest.main()
