"""What the tests of mail share: SMTP conversations (Smtp), a scripted mail server (Sink), a name server, and looking
for messages in mailboxes."""
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import harness
import test_dns
from dovecot_lab import free_ports
from harness import wait_for

markers = itertools.count(1)


def new_marker():
    """A word that stands in one message alone."""
    return f"marker-{os.getpid()}-{next(markers)}-end"


def text_of(marker, *fields, body="hello"):
    """A message as it goes over the wire, without its last line's end."""
    head = ["From: somebody@elsewhere.test", "To: somebody", f"Subject: {marker}", *fields]
    return "\r\n".join([*head, "", body])


class Smtp(harness.Line):
    """A client's side. `command` returns a whole answer: its code and lines."""

    def __init__(self, *arguments, hello=True, **options):
        super().__init__(*arguments, **options)
        try:
            self.greeting = self.answer()
            if hello:
                self.features = self.command("EHLO client.test")
        except BaseException:
            self.close()
            raise

    def answer(self):
        lines = [self.hear(r"^\d{3}")]
        while lines[-1][3:4] == "-":
            lines.append(self.hear(r"^\d{3}"))
        return "\n".join(lines)

    def command(self, text):
        self.say(text)
        return self.answer()

    def raw(self, data):
        self.socket.sendall(data)

    def upgrade(self, context):
        answer = self.command("STARTTLS")
        assert answer.startswith("220"), answer
        self.start_tls(context)
        self.features = self.command("EHLO client.test")

    def envelope(self, sender, *recipients, options=""):
        """The answers to the recipients."""
        answer = self.command(f"MAIL FROM:<{sender}>{options}")
        assert answer.startswith("250"), answer
        return [self.command(f"RCPT TO:<{each}>") for each in recipients]

    def data(self, text):
        answer = self.command("DATA")
        assert answer.startswith("354"), answer
        stuffed = re.sub(r"(?m)^\.", "..", text)
        self.raw(stuffed.encode() + b"\r\n.\r\n")
        return self.answer()

    def send(self, sender, recipients, text, options=""):
        """The answer to the message; every recipient must be accepted."""
        for answer in self.envelope(sender, *recipients, options=options):
            assert answer.startswith("250"), answer
        return self.data(text)


def connect(demo, service="smtp", front_end="fe1", **options):
    context = demo.context if service == "submissions" else None
    return Smtp(demo.fe[front_end][service], context, harness.MAIL_HOST,
                source=harness.new_source(), **options)


def change_mail_options(demo, front_end, **options):
    """Restarts a front end with other options of [mail], the last section of its file; returns
    what puts the former ones back."""
    file = demo.dir / front_end / "muster.toml"
    before = file.read_text()
    file.write_text(before + "".join(f"{name} = {value}\n" for name, value in options.items()))
    demo.end_node(front_end, signal.SIGTERM)
    demo.start_node(front_end)

    def restore():
        file.write_text(before)
        demo.end_node(front_end, signal.SIGTERM)
        demo.start_node(front_end)
    return restore


def mails_with(demo, server, account, marker):
    """The texts of the account's messages on that server in which the marker stands."""
    found = []
    for path in demo.mails(server, account["id"]):
        with contextlib.suppress(FileNotFoundError):  # moved from new to cur
            text = path.read_bytes()
            if marker.encode() in text:
                found.append(text)
    return found


def everywhere(demo, account, marker):
    """On which servers how many such messages are."""
    counts = {server: len(mails_with(demo, server, account, marker)) for server in demo.sv}
    return {server: count for server, count in counts.items() if count}


def wait_for_mail(demo, server, account, marker, seconds=20):
    """The message's text, once it is there."""
    return wait_for(lambda: mails_with(demo, server, account, marker),
                    f"{marker} at {account['address']} on {server}", seconds)[0]


def queued(demo, front_end, marker):
    """Queue files of the front end in which the marker stands and that were not done with."""
    folder = demo.dir / front_end / "state" / "queue"
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.parent.name != "spare" and path.is_file() and marker.encode() in path.read_bytes():
                found.append(path)
    return found


class Sink:
    """A mail server that keeps all it gets. `answers` maps a verb (or "." for the message) to the
    answer that it gives instead of 250; it may be changed at any time."""

    def __init__(self, answers=None, address=("127.0.0.1", 0)):
        self.answers = answers or {}
        self.messages = []  # (sender, recipients, text as bytes)
        self.sessions = []
        self.listening = socket.create_server(address)
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listening.accept()
                sock.settimeout(60)
                self.sessions.append(sock)
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            file = sock.makefile("rb")
            sock.sendall(b"220 sink ESMTP\r\n")
            sender, recipients = "", []
            while line := file.readline():
                verb = line[:4].decode().upper().strip()
                answer = self.answers.get(verb, "250 2.0.0 Ok")
                if verb == "EHLO":
                    answer = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN"
                elif verb == "MAIL":
                    sender, recipients = re.search(rb"<(.*)>", line)[1].decode(), []
                elif verb == "RCPT" and answer.startswith("2"):
                    recipients.append(re.search(rb"<(.*)>", line)[1].decode())
                elif verb == "DATA" and recipients:
                    sock.sendall(b"354 go on\r\n")
                    text = self.read_text(file)
                    if text is None:
                        return
                    answer = self.answers.get(".", "250 2.0.0 Ok")
                    if answer.startswith("2"):
                        self.messages.append((sender, recipients, text))
                elif verb == "QUIT":
                    answer = "221 2.0.0 Bye"
                sock.sendall(answer.encode() + b"\r\n")
                if verb == "QUIT":
                    return

    @staticmethod
    def read_text(file):
        """None when the connection ends before it does."""
        lines = []
        while (line := file.readline()) != b".\r\n":
            if not line:
                return None
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def with_marker(self, marker):
        return [each for each in self.messages if marker.encode() in each[2]]

    def close(self):
        """As if that server died: its port is closed, and sessions end."""
        for sock in (self.listening, *self.sessions):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listening.close()


class NameServer:
    """An NSD with the zones given: records by zone."""

    def __init__(self, zones):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-names-"))
        self.dir.chmod(0o755)
        self.port = free_ports(1)[0]
        config = test_dns.SERVER.format(port=self.port, folder=self.dir)
        for name, records in zones.items():
            (self.dir / name).write_text(f"$ORIGIN {name}.\n$TTL 300\n@ SOA ns hostmaster 1 2 3 4 5\n"
                                         f"@ NS ns.{name}.\nns A 127.0.0.1\n{records}")
            config += f"zone:\n  name: {name}\n  zonefile: {self.dir / name}\n"
        (self.dir / "nsd.conf").write_text(config)
        self.process = subprocess.Popen(
            [shutil.which("nsd", path=test_dns.PATH), "-d", "-c", self.dir / "nsd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_for(self.answers, "the name server")
        except BaseException:
            self.close()
            raise

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    @contextlib.contextmanager
    def stopped(self):
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)

