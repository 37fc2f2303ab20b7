"""What tests with real programs share: a cluster of real nodes and Dovecots (Demo), text
conversations (Line), SCRAM, and waiting for events instead of sleeping.

    def setUpModule():
        global demo
        demo = harness.Demo()
        unittest.addModuleCleanup(demo.close)

Everything a Demo starts ends with close(), whatever happened in between.
"""
import atexit
import base64
import contextlib
import hashlib
import hmac
import http.client
import imaplib
import itertools
import json
import os
import pathlib
import poplib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("MUSTER_BINARY", ROOT / "build" / "src" / "muster")).resolve()
BUILD = BINARY.parent.parent
IS_SANITIZED = "MUSTER_IS_SANITIZED" in os.environ  # its memory says nothing
MAIL_HOST = "mail.domain1.dom"  # the name in the front ends' certificates

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that clean-ups run


def wait_for(look, what, seconds=20):
    """Looks until `look()` is true and returns what it returned; fails by name."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def scram_key(password, digest="sha256", iterations=4096):
    """A SCRAM key as Dovecot stores it; it verifies PLAIN as well."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    client = hmac.new(salted, b"Client Key", digest).digest()
    stored = hashlib.new(digest, client).digest()
    server = hmac.new(salted, b"Server Key", digest).digest()
    text = ",".join(base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"{{SCRAM-SHA-{digest[3:]}}}{iterations},{text}"


class Scram:
    """A SCRAM client; `name` is what the client signs."""

    def __init__(self, name, password, digest="sha256"):
        self.password, self.digest = password, digest
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        escaped = name.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={escaped},r={self.nonce}"
        self.server_proved_itself = False  # by the signature of its last message

    def first(self):
        return ("n,," + self.bare).encode()

    def final(self, challenge):
        parts = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(),
                                     base64.b64decode(parts["s"]), int(parts["i"]))
        key = hmac.new(salted, b"Client Key", self.digest).digest()
        bare = f"c=biws,r={parts['r']}"
        signed = ",".join((self.bare, challenge.decode(), bare)).encode()
        signature = hmac.new(hashlib.new(self.digest, key).digest(), signed, self.digest).digest()
        proof = bytes(a ^ b for a, b in zip(key, signature))
        server = hmac.new(salted, b"Server Key", self.digest).digest()
        self.expected = base64.b64encode(hmac.new(server, signed, self.digest).digest()).decode()
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def verified(self, challenge):
        self.server_proved_itself = challenge.decode().startswith("v=" + self.expected)
        return self.server_proved_itself


class Line:
    """A text conversation: `say` sends a line, `hear` reads until a line matches. `at` is a port
    on 127.0.0.1 or "ADDRESS:PORT"; with `context` it starts with TLS; `source` is our address."""

    def __init__(self, at, context=None, name="mail.test", seconds=20, source=None):
        host, port = ("127.0.0.1", at) if isinstance(at, int) else at.rsplit(":", 1)
        self.name = name
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=seconds,
                                               source_address=source and (source, 0))
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
        self.file = self.socket.makefile("rwb", buffering=0)
        self.heard = []

    def say(self, text):
        self.file.write(text.encode() + b"\r\n")

    def hear(self, pattern):
        while True:
            try:
                raw = self.file.readline()
            except ConnectionError:
                raw = b""
            if not raw:
                raise AssertionError(f"closed while waiting for {pattern!r}: {self.heard[-5:]}")
            line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.heard.append(line)
            if re.search(pattern, line):
                return line

    def ask(self, text, pattern):
        self.say(text)
        return self.hear(pattern)

    def closed(self):
        """Waits until the other side ends the connection."""
        with contextlib.suppress(ConnectionError):
            while self.file.read(4096):
                pass
        return True

    def start_tls(self, context):
        self.socket = context.wrap_socket(self.socket, server_hostname=self.name)
        self.file = self.socket.makefile("rwb", buffering=0)

    def close(self):
        for one in (self.file, self.socket):
            with contextlib.suppress(OSError):
                one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


# ---- conversations


def imap_scram(line, scram, mechanism="SCRAM-SHA-256"):
    """Returns the tagged answer (tag `s`) of a SCRAM login."""
    heard = line.ask(f"s AUTHENTICATE {mechanism} {b64(scram.first())}", r"^(\+|s )")
    if not heard.startswith("+"):
        return heard
    heard = line.ask(b64(scram.final(base64.b64decode(heard[2:]))), r"^(\+|s )")
    if not heard.startswith("+"):
        return heard
    assert scram.verified(base64.b64decode(heard[2:])), "the server's signature is wrong"
    return line.ask("", "^s ")


def imap_login(line, name, password):
    """Returns the tagged answer (tag `l`)."""
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    return line.ask(f'l LOGIN {name} "{quoted}"', "^l ")


def imap_introduction(session="s-1", ip="203.0.113.7", **forward):
    words = {"x-originating-ip": ip, "x-originating-port": "4444", "x-session-id": session,
             **{f"x-forward-{name}": value for name, value in forward.items()}}
    return "i ID (" + " ".join(f'"{name}" "{value}"' for name, value in words.items()) + ")"


def pop3_login(line, name, password):
    line.ask(f"USER {name}", r"^\+OK")
    return line.ask(f"PASS {password}", "^[-+]")


def pop3_scram(line, scram, mechanism="SCRAM-SHA-256"):
    """Returns the answer to a SCRAM login."""
    heard = line.ask(f"AUTH {mechanism} {b64(scram.first())}", "^[-+]")
    if not heard.startswith("+ "):
        return heard
    heard = line.ask(b64(scram.final(base64.b64decode(heard[2:]))), "^[-+]")
    if not heard.startswith("+ "):
        return heard
    assert scram.verified(base64.b64decode(heard[2:])), "the server's signature is wrong"
    return line.ask("", "^[-+]")


def sieve_scram(line, scram, mechanism="SCRAM-SHA-256"):
    """Returns the answer to a SCRAM login; the last message may travel with it (RFC 5804, 2.1)."""
    heard = line.ask(f'AUTHENTICATE "{mechanism}" "{b64(scram.first())}"', '^("|OK|NO|BYE)')
    if not heard.startswith('"'):
        return heard
    final = b64(scram.final(base64.b64decode(heard.strip('"'))))
    heard = line.ask(f'"{final}"', '^("|OK|NO|BYE)')
    signature = re.match(r'(?:OK \(SASL )?"([^"]+)"', heard)
    if signature and not heard.startswith(("NO", "BYE")):
        assert scram.verified(base64.b64decode(signature[1])), "the server's signature is wrong"
    return line.ask('""', "^(OK|NO|BYE)") if heard.startswith('"') else heard


def sieve_login(line, name, password):
    words = b64(f"\0{name}\0{password}")
    return line.ask(f'AUTHENTICATE "PLAIN" "{words}"', "^(OK|NO|BYE)")


def lmtp_open(line):
    line.hear("^220")
    line.ask("LHLO front.test", "^250 ")


def lmtp_recipients(line, *addresses):
    line.ask("MAIL FROM:<>", "^250")
    return [line.ask(f"RCPT TO:<{address}>", "^[245]") for address in addresses]


def lmtp_deliver(line, *addresses, text="Subject: hello\r\n\r\nhello"):
    lmtp_recipients(line, *addresses)
    line.ask("DATA", "^354")
    line.say(text + "\r\n.")
    return [line.hear("^[245]") for _ in addresses]


# ---- a cluster


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def api_call(path, method, target, body=None, timeout=60):
    """One call over an admin socket; returns the JSON answer or raises ApiError."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target, None if body is None else json.dumps(body),
                           {"Content-Type": "application/json"} if body is not None else {})
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status >= 300:
        raise ApiError(response.status, text)
    return json.loads(text) if text else None


def children_of(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def is_alive(pid):
    """Also while only some of its threads have ended: the others still hold its locks."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z" or int(fields[17]) > 1


_sources = itertools.count(1)


def new_source():
    """A loopback address that no connection of this process came from before."""
    number = next(_sources)
    return f"127.{10 + number // 62500 % 90}.{number // 250 % 250}.{number % 250 + 1}"


class Demo:
    """`muster demo --detach`: front ends fe1 and fe2, back ends sv1 (the master), sv2 and sv3 with
    a Dovecot each. `fe` and `sv` are their rows of demo.json by name."""

    def __init__(self, binary=BINARY):
        self.binary = binary
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-t-"))
        os.chmod(self.dir, 0o755)
        self.pids = set()
        self.closed = False
        atexit.register(self.close)  # a test that is ended from outside ends its cluster, too
        self.started = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        done = subprocess.run([self.binary, "demo", "--detach", "--dir", self.dir], text=True,
                              capture_output=True, timeout=180, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"the demo does not start: {done.stderr}\n{self.logs(20)}")
        self.description = json.loads((self.dir / "demo.json").read_text())
        self.fe = {row["name"]: row for row in self.description["frontends"]}
        self.sv = {row["name"]: row for row in self.description["servers"]}
        self.accounts = {row["address"]: row for row in self.description["accounts"]}
        self.socket = self.description["api"]["socket"]
        self.context = ssl.create_default_context(cafile=self.description["ca"])
        for row in [*self.fe.values(), *self.sv.values()]:
            self.pids |= {row["pid"], row.get("engine_pid", row["pid"])}

    def close(self):
        if self.closed:
            return
        self.closed = True
        for row in getattr(self, "sv", {}).values():
            self.pids |= set(children_of(row["engine_pid"]))
        for pid in list(self.pids):  # what a test has stopped must be able to end
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            subprocess.run([self.binary, "demo", "--stop", "--dir", self.dir], timeout=60,
                           capture_output=True, stdin=subprocess.DEVNULL)
        for pid in self.pids:
            if is_alive(pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(20)
        broken = self._broken()
        if os.environ.get("MUSTER_KEEP"):
            print("kept", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if broken:
            raise AssertionError("a node ended by a bug:\n" + broken)

    def _broken(self):
        """What a failed check or a sanitizer said in any node's log."""
        said = ""
        for path in self.dir.glob("*/muster.log"):
            text = path.read_text(errors="replace")
            found = re.search(r"muster: bug:|Sanitizer:|runtime error:", text)
            if found:
                said += f"{path.parent.name}: {text[found.start():found.start() + 4000]}\n"
        return said

    def row(self, name):
        return self.fe.get(name) or self.sv[name]

    def _launch(self, log, *command):
        with open(log, "ab") as file:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=file, start_new_session=True)
        self.started.append(process)
        self.pids.add(process.pid)
        return process.pid

    def end_node(self, name, how=signal.SIGKILL):
        """Ends a node's process and waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.row(name)["pid"], how)
        wait_for(lambda: not is_alive(self.row(name)["pid"]), f"{name} to end")

    def start_node(self, name):
        """Starts a node that has ended; returns once it is ready."""
        if is_alive(self.row(name)["pid"]):
            return
        folder = self.dir / name
        self.row(name)["pid"] = self._launch(folder / "muster.log", self.binary, "serve",
                                             "--config", folder / "muster.toml")
        wait_for(lambda: self.is_ready(name), f"{name} to be ready")

    def start_engine(self, name):
        """Starts a back end's Dovecot that has ended; returns once it greets."""
        if is_alive(self.sv[name]["engine_pid"]):
            return
        folder = self.dir / name
        self.sv[name]["engine_pid"] = self._launch(
            folder / "dovecot.out", shutil.which("dovecot", path="/usr/sbin:/usr/bin"), "-F", "-c",
            folder / "dovecot" / "dovecot.conf")

        def greets():
            with contextlib.suppress(OSError), self.server_line(name, "imap") as line:
                return line.hear("OK")
        wait_for(greets, f"the Dovecot of {name}")

    def is_ready(self, name):
        host, port = self.row(name)["admin"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def api(self, method, target, body=None, node="sv1"):
        """A call to that node's admin socket."""
        path = self.socket if node == "sv1" else f"{self.dir}/{node}/state/admin.sock"
        return api_call(path, method, target, body)

    def cli(self, *arguments, check=True, text=None):
        """Runs the CLI against the master; returns what it printed."""
        done = subprocess.run([self.binary, "--api", self.socket, *arguments], text=True,
                              input=text, capture_output=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.returncode}: {done.stderr}")
        return done.stdout if check else done

    def add_account(self, address, password=None, **fields):
        """Creates an account; returns it once every back end knows it."""
        body = {"address": address, **fields}
        if password is not None:
            body["password"] = password
        account = self.api("POST", "/v1/accounts", body)
        self.wait_everywhere(address)
        return account

    def show(self, address, node="sv1"):
        """The account as that node knows it, or None."""
        try:
            return self.api("GET", f"/v1/accounts/{urllib.parse.quote(address)}", node=node)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def wait_everywhere(self, address, seen=lambda account: account is not None, nodes=None):
        """Waits until `seen(account)` holds on all nodes."""
        for node in nodes or [*self.sv, *self.fe]:
            wait_for(lambda: seen(self.show(address, node)), f"{address} on {node}")

    def password(self, address):
        return self.accounts[address]["password"]

    def line(self, service, front_end="fe1", source=None):
        """A conversation with a front end's service (imap, imaps, pop3 …); each comes from an
        address of its own (unless `source` says which), so that failures do not add up."""
        context = self.context if service.endswith("s") else None
        return Line(self.fe[front_end][service], context, MAIL_HOST, source=source or new_source())

    def imap(self, front_end="fe1", source=None):
        """Greeted and encrypted."""
        line = self.line("imaps", front_end, source)
        line.hear("OK")
        return line

    def imap4(self, address, password=None, front_end="fe1"):
        """A logged-in imaplib client."""
        host, port = self.fe[front_end]["imaps"].rsplit(":", 1)
        client = imaplib.IMAP4_SSL(host, int(port), ssl_context=self._unnamed(), timeout=30)
        client.login(address, password or self.password(address))
        return client

    def pop3(self, address, password=None, front_end="fe1"):
        """A logged-in poplib client."""
        host, port = self.fe[front_end]["pop3s"].rsplit(":", 1)
        client = poplib.POP3_SSL(host, int(port), context=self._unnamed(), timeout=30)
        client.user(address)
        client.pass_(password or self.password(address))
        return client

    def _unnamed(self):
        """The demo's authority, without names: Python's clients connect by address."""
        context = ssl.create_default_context(cafile=self.description["ca"])
        context.check_hostname = False
        return context

    def server_line(self, server, service):
        """A conversation with a Dovecot itself, as a front end has it."""
        return Line(self.sv[server][service], None, f"{server}.domain1.dom")

    def homes(self, server, account_id):
        """The account's homes (one for each epoch) on that server."""
        return sorted((self.dir / server / "mail" / account_id[:2] / account_id).glob("*"))

    def mails(self, server, account_id):
        """Message files of the account on that server."""
        folder = self.dir / server / "mail" / account_id[:2] / account_id
        return [path for path in folder.rglob("*")
                if path.is_file() and path.parent.name in ("new", "cur")]

    def doveadm(self, server, *arguments, check=True):
        return subprocess.run(
            ["doveadm", "-c", self.dir / server / "dovecot" / "dovecot.conf", *arguments],
            text=True, check=check, capture_output=True, timeout=60).stdout

    def log(self, name, engine=False):
        """A node's log, or its Dovecot's."""
        path = self.dir / name / ("dovecot.log" if engine else "muster.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, name, pattern, engine=False):
        return wait_for(lambda: re.search(pattern, self.log(name, engine)),
                        f"{pattern!r} in the log of {name}")

    def logs(self, lines=10):
        """The ends of all logs, for messages of failure."""
        return "\n".join(
            f"{path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted(self.dir.glob("*/*.log")))
