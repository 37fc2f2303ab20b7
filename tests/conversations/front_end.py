"""The program under test: one node that is master and front end, its API, its certificates."""
import atexit
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ.get("MUSTER_BINARY", str(HERE / "../../build/src/muster"))
STARTING = 60  # seconds; far above what it needs
ENDING = 30
BALANCERS = "127.200.0.0/16"
REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior")

# name after the protocol: TLS, default domain, balancers
LISTENERS = {
    "": ("starttls", "", ""),
    "s": ("implicit", "", ""),
    "-clear": ("none", "", ""),
    "-default": ("none", "example.org", ""),
    "-dedicated": ("none", "", ""),
    "-balanced": ("none", "", BALANCERS),
    "s-balanced": ("implicit", "", BALANCERS),
}
SERVICES = ("imap", "pop3", "sieve", "smtp", "submission")
numbers = itertools.count(os.getpid() * 256)
running = set()


@atexit.register
def end_what_runs():
    """When the tests were interrupted."""
    for front_end in list(running):
        front_end.kill()


class Certificates:
    """An authority of the tests, and what it signed; and one of nobody's."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.authority("ca")
        self.authority("stranger")
        self.issue("front", "ca", ["DNS:mail.example.org", "DNS:localhost"])
        self.issue("good", "ca", ["DNS:home.example.org"])
        self.issue("other-name", "ca", ["DNS:elsewhere.example.org"])
        self.issue("unknown-authority", "stranger", ["DNS:home.example.org"])
        self.issue("expired", "ca", ["DNS:home.example.org"], days=-1)

    def path(self, name, kind="pem"):
        return str(self.folder / f"{name}.{kind}")

    def openssl(self, *arguments, text=None):
        done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", self.path(name, "key"), "-out", self.path(name),
                     "-days", "365", "-subj", f"/CN=Authority {name}")

    def issue(self, name, authority, names, days=365):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", self.path(name, "key"), "-out", self.path(name, "csr"),
                     "-subj", f"/CN={name}")
        extensions = pathlib.Path(self.path(name, "ext"))
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        self.openssl("x509", "-req", "-in", self.path(name, "csr"), "-CA", self.path(authority),
                     "-CAkey", self.path(authority, "key"), "-CAcreateserial", "-days", str(days),
                     "-extfile", str(extensions), "-out", self.path(name))

    def client_context(self, options):
        context = ssl.create_default_context(cafile=self.path("ca"))
        versions = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
                    "1.3": ssl.TLSVersion.TLSv1_3}
        if "version" in options:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that 1.1 is old is what is tested
                context.minimum_version = context.maximum_version = versions[options["version"]]
        if options.get("verify") == "no":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def server_context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if name == "none":  # offers no certificate at all
            context.set_ciphers("ADH:@SECLEVEL=0")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            return context
        context.load_cert_chain(self.path(name), self.path(name, "key"))
        return context

    def pem(self, name):
        return pathlib.Path(self.path(name)).read_text()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=STARTING)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Log:
    """The node's standard error, read by a thread; waits for lines without sleeping."""

    def __init__(self, pipe):
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.read, args=(pipe,), daemon=True)
        self.thread.start()

    def read(self, pipe):
        for line in pipe:
            with self.changed:
                self.lines.append(line.decode("utf-8", "surrogateescape").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, wanted, since, patience):
        """The first line from number `since` on in which the pattern is found, or None."""
        seen = since
        until = time.monotonic() + patience
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    if wanted.search(line):
                        return line
                seen = max(seen, len(self.lines))
                left = until - time.monotonic()
                if self.ended or left <= 0 or not self.changed.wait(left):
                    return None


def free_ports(names, address):
    """A port for each name, all of them held until the last is chosen."""
    probes = {name: socket.socket() for name in names}
    for probe in probes.values():
        probe.bind((address, 0))
    ports = {name: probe.getsockname()[1] for name, probe in probes.items()}
    for probe in probes.values():
        probe.close()
    return ports


class FrontEnd:
    def __init__(self, settings, certificates):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-conversations-"))
        self.certificates = certificates
        # Addresses of its own: listeners share ports (SO_REUSEPORT) with whoever takes the same.
        number = next(numbers)
        self.address = f"127.{64 + number // 256 % 64}.{number % 256}.1"
        self.dedicated = self.address[:-1] + "77"
        self.ports = free_ports([f"{service}{suffix}" for service in SERVICES
                                 for suffix in LISTENERS], self.address)
        file = self.folder / "muster.toml"
        file.write_text(self.node_file(dict(settings)))
        environment = dict(os.environ, SSL_CERT_FILE=certificates.path("ca"))
        self.process = subprocess.Popen([BINARY, "serve", "--config", str(file)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=environment)
        running.add(self)
        self.log = Log(self.process.stderr)
        if not self.log.wait(re.compile(r"\bstarted\b"), 0, STARTING):
            self.kill()
            raise RuntimeError("the node did not start:\n" + "\n".join(self.log.lines))
        self.sockets_at_start = self.sockets()
        self.kept_warm = 0  # connections to servers that may be kept ready for a while

    def node_file(self, settings):
        options = {"node.name": '"front"', "node.roles": '["master", "frontend"]',
                   "node.state_dir": f'"{self.folder}/state"', "node.workers": "2",
                   "node.drain_time": "0", "admin.socket": f'"{self.folder}/admin.sock"',
                   "node.log_level": '"debug"', "mail.host_name": '"front.example.org"'}
        options.update(settings)
        sections = {}
        for option, value in options.items():
            section, _, name = option.partition(".")
            sections.setdefault(section, []).append(f"{name} = {value}")
        lines = [f"[{section}]\n" + "\n".join(body) for section, body in sections.items()]
        for name, port in self.ports.items():
            service = re.match("|".join(SERVICES), name).group()
            tls, domain, balancers = LISTENERS[name[len(service):]]
            address = self.address_of(name)[0]
            lines.append(f'[[listener]]\nprotocol = "{service}"\ntls = "{tls}"\n'
                         f'address = "{address}:{port}"\ndefault_domain = "{domain}"')
            if balancers:
                lines.append(f'proxy_from = ["{balancers}"]')
        lines.append(f'[[certificate]]\nchain = "{self.certificates.path("front")}"\n'
                     f'key = "{self.certificates.path("front", "key")}"')
        return "\n".join(lines) + "\n"

    def address_of(self, listener):
        address = self.dedicated if listener.endswith("-dedicated") else self.address
        return address, self.ports[listener]

    def request(self, method, path, body=None):
        connection = UnixConnection(str(self.folder / "admin.sock"))
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def call(self, method, path, body=None):
        status, answer = self.request(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def ask(self, path):
        """What stands there; empty when nothing does."""
        return self.request("GET", path)[1]

    def sockets(self):
        """How many sockets the process holds."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
            except OSError:
                pass
        return count

    def left_open(self):
        """Sockets beyond those of the start; a little later, when connections are just ending."""
        until = time.monotonic() + ENDING
        allowed = self.sockets_at_start + self.kept_warm
        while (extra := self.sockets() - allowed) > 0 and time.monotonic() < until:
            self.log.wait(re.compile("$^"), len(self.log.lines), 0.05)
        return extra

    def stop(self):
        """Ends it; the troubles that show at the end, as a list."""
        if self.process.poll() is not None:
            return [f"the node ended by itself with {self.process.returncode}:\n" + self.tail()]
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.kill()
            return ["the node did not end when told to:\n" + self.tail()]
        running.discard(self)
        self.log.thread.join(ENDING)
        self.process.stderr.close()
        troubles = [] if code == 0 else [f"the node ended with {code}:\n" + self.tail()]
        if any(REPORT.search(line) for line in self.log.lines):
            troubles.append("a sanitizer reported:\n" + "\n".join(
                line for line in self.log.lines if " level=" not in line)[:20000])
        shutil.rmtree(self.folder, ignore_errors=True)
        return troubles

    def tail(self):
        return "\n".join(self.log.lines[-50:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        running.discard(self)
        self.log.thread.join(ENDING)
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
