"""A private Dovecot on loopback with a fake account authority, to hold the facts of
docs/dovecot.md against a real Dovecot. Runs as root or as an ordinary user; leaves nothing behind.
"""
import contextlib
import getpass
import grp
import http.server
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import urllib.parse

from harness import BUILD, Line, wait_for

PRINTER = os.environ.get("MUSTER_PRINT_DOVECOT_CONFIG", BUILD / "tests" / "print_dovecot_config")
DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin")
DOVEADM = shutil.which("doveadm", path="/usr/bin:/usr/sbin:/usr/local/bin")


def free_ports(count):
    """Port numbers that the kernel chose a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def unescape(text):
    """Dovecot's tab escaping."""
    return re.sub("\001(.)", lambda m: {"0": "\0", "1": "\001", "t": "\t", "r": "\r",
                                        "n": "\n", "l": "\n"}[m.group(1)], text)


class FakeAuthority:
    """Speaks Dovecot's dict protocol on unix sockets and answers from `answers`: a dict from key
    (`passdb/ada@domain1.dom/`) to a JSON value, text, or a callable that returns one of them;
    `FAIL` makes the look-up fail. What was asked stands in `asked`, what was set in `written`."""

    FAIL = object()

    def __init__(self, auth_path, mail_path):
        self.answers, self.asked, self.written, self.lines = {}, [], {}, []
        self.servers = [self._listen(path) for path in (auth_path, mail_path)]

    def _listen(self, path):
        authority = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                authority._serve(self.rfile, self.wfile)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        server = Server(str(path), Handler)
        os.chmod(path, 0o666)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return server

    def _answer(self, key):
        value = self.answers.get(key)
        if callable(value):
            value = value()
        if value is self.FAIL:
            return "Fbroken"
        if value is None:
            return "N"
        return "O" + (value if isinstance(value, str) else json.dumps(value))

    def _iterate(self, path):
        path = path.removeprefix("shared/")
        rows = [f"Oshared/{key}\t{json.dumps(value)}\n"
                for key, value in sorted(self.answers.items())
                if key.startswith(path) and isinstance(value, dict)]
        rows += [f"Oshared/{key}\t{value}\n" for key, value in sorted(self.written.items())
                 if key.startswith(path)]
        return "".join(rows) + "\n"

    def _serve(self, source, sink):
        pending = {}
        for raw in source:
            line = raw.decode("utf-8", "surrogateescape").rstrip("\n")
            self.lines.append(line)
            command, fields = line[:1], [unescape(one) for one in line[1:].split("\t")]
            reply = None
            if command == "L":
                # The mechanism stands between the prefix and the name; here it does not matter.
                # Nor do the client's address and the session id at the end.
                key = re.sub("^passdb/[^/]*/", "passdb/", fields[0].removeprefix("shared/"))
                key = re.sub(r"^(passdb/.*?)/[\da-f]*[.:][\da-f.:]*/[^@]*$", r"\1", key)
                if key.startswith("passdb/"):  # empty both
                    key = key.removesuffix("//")
                self.asked.append(key)
                reply = self._answer(key) + "\n"
            elif command == "I":
                reply = self._iterate(fields[2])
            elif command == "B":
                pending[fields[0]] = []
            elif command in "SU":
                pending[fields[0]].append((command, *fields[1:]))
            elif command in "CD":
                for verb, key, *value in pending.pop(fields[0]):
                    if verb == "S":
                        self.written[key.removeprefix("shared/")] = value[0]
                    else:
                        self.written.pop(key.removeprefix("shared/"), None)
                reply = f"O{fields[0]}\n"
            if reply is not None:
                try:
                    sink.write(reply.encode("utf-8", "surrogateescape"))
                except OSError:
                    return

    def account(self, address, identity, home, password=None, **userdb):
        """Makes `address` known the way the agent does it."""
        if password is not None:
            self.answers[f"passdb/{address}/"] = {"password": password, "user": address}
        self.answers[f"userdb/{address}"] = {"home": str(home), **userdb}
        self.identity = identity

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Provider:
    """An OAuth 2 provider's introspection endpoint: token → attributes."""

    def __init__(self):
        self.tokens = {}
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                token = urllib.parse.parse_qs(body).get("token", [""])[0]
                data = json.dumps(provider.tokens.get(token, {"active": False})).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/introspect"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Lab:
    """One Dovecot with its authority. `mode`: `root` (mail as an unprivileged user) or `self`
    (all under one ordinary user)."""

    def __init__(self, mode, **options):
        self.mode = mode
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-lab-"))
        os.chmod(self.dir, 0o755)
        self.process = None
        self.authority = FakeAuthority(self.dir / "auth.sock", self.dir / "mail.sock")
        if mode == "self":
            name = "nobody" if os.getuid() == 0 else getpass.getuser()
        else:
            name = "nobody"
        self.user = pwd.getpwnam(name)
        self.group = grp.getgrgid(self.user.pw_gid).gr_name
        if os.getuid() == 0 and mode == "self":
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        for folder in ("homes", "run", "state", "conf"):
            (self.dir / folder).mkdir()
            if os.getuid() == 0 and (folder == "homes" or mode == "self"):
                os.chown(self.dir / folder, self.user.pw_uid, self.user.pw_gid)
        self.options = options
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _input(self):
        names = ("imap", "pop3", "sieve", "lmtp")
        self.ports = dict(zip(names + ("imaps", "pop3s"), free_ports(6)))
        value = {
            "config_dir": str(self.dir / "conf"), "base_dir": str(self.dir / "run"),
            "state_dir": str(self.dir / "state"), "log_path": str(self.dir / "log"),
            "auth_socket": str(self.dir / "auth.sock"),
            "mail_socket": str(self.dir / "mail.sock"),
            "relay_socket": str(self.dir / "run" / "auth-muster"), "hostname": "sv1.test",
            "trusted_networks": ["127.0.0.0/8"],
            "users": {"self": self.mode == "self", "mail": self.user.pw_name,
                      "mail_group": self.group},
        }
        extra = self.options.pop("extra", "") if "extra" in self.options else ""
        certificate = self.options.pop("certificate", None)
        for name in names:
            value[name] = {"listeners": [{"port": self.ports[name]}]}
            if certificate:
                value[name] |= {"certificate": str(certificate[0]), "key": str(certificate[1])}
        if certificate:
            for name in ("imap", "pop3"):
                value[name]["listeners"].append({"port": self.ports[name + "s"], "tls": True})
        return value | {"extra": extra} | self.options

    def _start(self):
        options = dict(self.options)
        for _ in range(5):  # a port may be taken between choosing it and using it
            self.options = dict(options)
            self._write(self._input())
            if self._run():
                return
        raise AssertionError("Dovecot does not start:\n" + self.log())

    def _write(self, value):
        printed = subprocess.run([PRINTER], input=json.dumps(value), text=True, check=True,
                                 capture_output=True).stdout
        for file in json.loads(printed):
            (self.dir / "conf" / file["name"]).write_text(file["text"])
        (self.dir / "log").unlink(missing_ok=True)

    def _run(self):
        with (self.dir / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [DOVECOT, "-F", "-c", self.dir / "conf" / "dovecot.conf"],
                stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True, **self._as_user())
        wait_for(lambda: self.process.poll() is not None or self._answers(), "Dovecot to start")
        return self.process.poll() is None

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.ports["imap"]), timeout=5).close()
        except OSError:
            return False
        return "starting up" in self.log()

    def log(self):
        text = ""
        for name in ("log", "stderr"):
            with contextlib.suppress(OSError):
                text += (self.dir / name).read_text(errors="replace")
        return text

    def logged(self, pattern):
        return wait_for(lambda: re.search(pattern, self.log()), f"{pattern!r} in Dovecot's log")

    def doveadm(self, *arguments, check=True):
        return subprocess.run(
            [DOVEADM, "-c", self.dir / "conf" / "dovecot.conf", *arguments], text=True,
            check=check, capture_output=True, timeout=60, **self._as_user()).stdout

    def _as_user(self):
        """What makes a program run as the ordinary user, when the test itself is root."""
        if self.mode != "self" or os.getuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def home(self, identity="id1", epoch=1):
        return self.dir / "homes" / f"{identity}.{epoch}"

    def imap(self, context=None):
        line = Line(self.ports["imaps" if context else "imap"], context)
        line.hear("OK")
        return line

    def connect(self, name):
        return Line(self.ports[name])

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.authority.close()
        if os.environ.get("MUSTER_KEEP_LAB"):
            print("kept", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def processes(self):
        """Dovecot processes of this laboratory: those in the session of its master process."""
        if not self.process:
            return []
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:
                    found.append(int(path.parent.name))
        return found
