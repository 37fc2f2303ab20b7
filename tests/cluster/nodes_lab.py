"""Nodes of a cluster as processes on loopback, without Dovecot: for tests of administration."""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
import unittest.mock
import urllib.error
import urllib.request

MUSTER = os.environ.get("MUSTER_BINARY") or str(
    pathlib.Path(__file__).resolve().parents[2] / "build/src/muster")
SHIFTED_CLOCK = pathlib.Path(MUSTER).resolve().parent.parent / "tests/libshifted_clock.so"


def shifted_clock(hours):
    """Programs that are started within have a wall clock that is so wrong."""
    return unittest.mock.patch.dict(os.environ, {
        "LD_PRELOAD": str(SHIFTED_CLOCK), "SHIFT_SECONDS": str(hours * 3600)})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, seconds=20):
    """Returns the first true value of what()."""
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def member_call(member, address, method, path, body=None, headers=None, context=None,
                source=None, timeout=10):
    """(status, text) of a call with the key of a node."""
    context = context or ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if member:
        context.load_cert_chain(member.state / "node.crt", member.state / "node.key")
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=timeout,
                                             source_address=source and (source, 0))
    with contextlib.closing(connection):
        connection.request(method, path, body=None if body is None else json.dumps(body),
                           headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class Node:
    def __init__(self, folder, name, roles, extra=""):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.state = self.folder / "s"
        self.cluster = f"127.0.0.1:{free_port()}"
        self.admin = f"127.0.0.1:{free_port()}"
        self.file = self.folder / "muster.toml"
        self.log = self.folder / "muster.log"
        self.process = None
        self.write_file(roles, extra)

    def write_file(self, roles, extra=""):
        if {"backend", "symmetric"} & set(roles):
            run = self.folder / "run"
            run.mkdir(exist_ok=True)
            extra += f'\n[backend]\nmail_out_listen = ""\nbase_dir = "{run}"\n'
        self.file.write_text(f"""
[node]
name = "{self.name}"
roles = {json.dumps(roles)}
state_dir = "{self.state}"
workers = 1
drain_time = 1
[cluster]
listen = "{self.cluster}"
inactivity_timeout = 5
[admin]
listen = "{self.admin}"
{extra}
""")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([MUSTER, "serve", "--config", str(self.file)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers)

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.http("/healthz")[0] == 200

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        code = self.process.returncode if self.process else None
        self.process = None
        return code

    def cli(self, *words, stdin=""):
        """(exit code, standard output, standard error)."""
        done = subprocess.run([MUSTER, "--config", str(self.file), *words], input=stdin, text=True,
                              capture_output=True, timeout=60,
                              env={k: v for k, v in os.environ.items() if k != "MUSTER_API"})
        return done.returncode, done.stdout, done.stderr

    def do(self, *words, stdin=""):
        code, out, err = self.cli(*words, stdin=stdin)
        assert code == 0, (words, code, out, err)
        return out

    def ask(self, *words):
        return json.loads(self.do(*words, "--json"))

    def http(self, path, user=None, password="", method="GET", body=None):
        """(status, text) of the HTTP listener."""
        request = urllib.request.Request(f"http://{self.admin}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def knows(self, address):
        return self.cli("account", "show", address)[0] == 0

    def replica_families(self):
        """What the part before the slash of the keys in this node's replica is."""
        return {key.split("/")[0] for key in self.replica_keys()}

    def replica_keys(self, family=""):
        """The keys in this node's replica, of one family or all."""
        return {key for key in entries(*self.state.glob("replica-*.db"))
                if key.split("/")[0] == family or not family}


def entries(*files):
    """What stands in these files of a state, {key: JSON text}; in one that is only just made, or
    goes away meanwhile, stands nothing."""
    found = {}
    for file in files:
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(
                sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            found |= store.execute("select cast(key as text), value from entry").fetchall()
    return found


class Lab:
    """A folder with nodes; everything ends with close()."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-lab-", dir="/tmp"))
        self.nodes = []

    def node(self, name, roles, extra=""):
        node = Node(self.folder, name, roles, extra)
        self.nodes.append(node)
        return node

    def master(self, name="m1"):
        """A new cluster with one administrator, root / rootpass."""
        node = self.node(name, ["master"])
        node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        node.start()
        return node

    def member(self, master, name, roles, scope, extra=""):
        node = self.node(name, roles, extra)
        token = master.ask("token", "add", "--scope", scope)
        node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        node.start()
        return node

    def close(self):
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.folder)


def shown_names(address, authority, server_name):
    """The names of the certificate that a TLS listener shows; empty when it is not to be trusted."""
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cadata=authority)
    try:
        with socket.create_connection((host, int(port)), timeout=10) as plain, \
                context.wrap_socket(plain, server_hostname=server_name) as stream:
            return [name for _, name in stream.getpeercert()["subjectAltName"]]
    except OSError:
        return []


def stranger_status(address):
    """What a client without a key gets at a cluster port."""
    return cluster_status(address, "GET", "/v1/copy")


def cluster_status(address, method, path, body=None, member=None, user=None, client=None):
    """The status a call gets at a cluster port; `member` lends its key, and says it passes the
    call on for `client`."""
    return cluster_answer(address, method, path, body, member, user, client)[0]


def cluster_answer(address, method, path, body=None, member=None, user=None, client=None, headers=()):
    """The same with the text of the answer."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if member:
        context.load_cert_chain(member.state / "node.crt", member.state / "node.key")
    call = urllib.request.Request(f"https://{address}{path}", method=method,
                                  data=json.dumps(body).encode() if body is not None else None)
    if user:
        call.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    if client:
        call.add_header("X-Muster-Client", client)
    for name, value in headers:
        call.add_header(name, value)
    try:
        with urllib.request.urlopen(call, context=context, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
