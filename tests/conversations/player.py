"""One side of one connection: carries out steps, and keeps what was said for when it fails."""
import itertools
import json
import random
import socket
import ssl
import struct

import wording

PATIENCE = 20  # seconds that any one step may take; far above what a step needs
SHOWN = 300  # bytes of a line that a transcript shows


class Mismatch(Exception):
    """The other side did not do what the conversation says."""


class Gone(Mismatch):
    """The other side ended the connection while something was expected of it."""


def opaque(size):
    """Bytes of all kinds, always the same ones."""
    return random.Random(size).randbytes(size)


def shown(raw):
    text = ascii(raw)[2:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(raw)} bytes)"


class Player:
    """`speaks` is the sign of the lines that this side sends: "C:" or "S:"."""

    def __init__(self, name, speaks, sock, context):
        self.name = name
        self.speaks = speaks
        self.sock = sock
        self.context = context  # .values, .certificates, .expect_log
        self.sock.settimeout(PATIENCE)
        self.buffer = b""
        self.block = []  # lines that the last expectation took, for `has` and `not`
        self.captured = {}
        self.transcript = []
        self.ended = False
        self.asked = []  # lines that the other side sent

    def run(self, steps):
        for step in steps:
            try:
                self.step(step)
            except Mismatch as error:
                raise type(error)(f"{step.where}: {step.verb} {step.text}\n    {error}") from None
            except (OSError, ssl.SSLError) as error:
                raise Gone(f"{step.where}: {step.verb} {step.text}\n    {error!r}") from None

    def step(self, step):
        if step.verb in ("C:", "S:"):
            text = wording.expand(step.text, self.context.values)
            if step.verb == self.speaks:
                return self.send(wording.encode(wording.fill(text, self.captured)) + b"\r\n")
            return self.expect_line(text)
        action = getattr(self, "do_" + step.verb.replace("-", "_"), None)
        if action is None:
            raise Mismatch(f"no such step: {step.verb}")
        return action(wording.expand(step.text, self.context.values))

    # --- sending

    def send(self, raw):
        self.transcript.append(f"  sent     {shown(raw)}")
        self.sock.sendall(raw)

    def do_send(self, text):
        self.send(wording.unescape(wording.fill(text, self.captured)))

    def do_repeat(self, text):
        count, _, raw = text.partition(" ")
        self.send(wording.unescape(raw) * int(count))

    def do_send_opaque(self, text):
        self.send(opaque(int(text)))

    def do_endless(self, text):
        """Until the other side has had enough."""
        chunk = wording.unescape(text)
        chunk *= max(1, 4096 // len(chunk))
        sent = 0
        try:
            while True:
                self.sock.sendall(chunk)
                sent += len(chunk)
        except (ssl.SSLError, ConnectionError):
            self.transcript.append(f"  sent     {shown(chunk)} … {sent} bytes, then it closed")
            self.ended = True

    # --- expecting

    def fill_buffer(self, most=65536):
        chunk = self.sock.recv(most)
        if not chunk:
            self.ended = True
            raise Gone(f"the connection was closed; left unread: {shown(self.buffer)}")
        self.buffer += chunk

    def read_line(self):
        while b"\n" not in self.buffer:
            try:
                self.fill_buffer()
            except socket.timeout:
                raise Mismatch(f"nothing came; left unread: {shown(self.buffer)}") from None
        line, _, self.buffer = self.buffer.partition(b"\n")
        self.transcript.append(f"  received {shown(line)}")
        self.asked.append(line.strip())
        if not line.endswith(b"\r"):
            raise Mismatch(f"a line without CR: {shown(line)}")
        return wording.decode(line[:-1])

    def expect_line(self, text):
        line = self.read_line()
        self.block = [line]
        self.match(text, line)

    def match(self, text, line):
        found = wording.pattern(text, self.captured).fullmatch(line)
        if not found:
            raise Mismatch(f"got: {line[:2000]}")
        self.captured.update(found.groupdict())

    def do_until(self, text):
        block = []
        wanted = wording.pattern(text, self.captured)
        while not block or not wanted.fullmatch(block[-1]):
            block.append(self.read_line())
        self.block = block
        self.match(text, block[-1])

    def do_has(self, text):
        if not any(wording.pattern(text, self.captured).search(line) for line in self.block):
            raise Mismatch("it stands in none of:\n      " + "\n      ".join(self.block))

    def do_not(self, text):
        for line in self.block:
            if wording.pattern(text, self.captured).search(line):
                raise Mismatch(f"got: {line}")

    def receive(self, wanted):
        while len(self.buffer) < len(wanted):
            self.fill_buffer()
        got, self.buffer = self.buffer[:len(wanted)], self.buffer[len(wanted):]
        self.transcript.append(f"  received {shown(got)}")
        if got != wanted:
            at = next(i for i, (a, b) in enumerate(zip(got, wanted)) if a != b)
            raise Mismatch(f"differs at byte {at}: {shown(got[at:])}")

    def do_receive(self, text):
        self.receive(wording.unescape(text))

    def do_receive_opaque(self, text):
        self.receive(opaque(int(text)))

    def do_closed(self, _):
        """Nothing more comes, and the connection ends (or is reset)."""
        if self.ended:
            return
        try:
            rest = self.buffer + self.sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            rest = self.buffer
        except socket.timeout:
            raise Mismatch("it is still open") from None
        if rest:
            raise Mismatch(f"got: {shown(rest)}")
        self.transcript.append("  saw the end")
        self.ended = True

    def do_hang(self, _):
        """Says nothing until the other side gives up; what that sends meanwhile is ignored."""
        try:
            while self.sock.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        self.ended = True

    def do_log(self, text):
        """A line of the front end's log that this conversation caused."""
        self.context.expect_log(wording.pattern(text, self.captured))

    def do_log_once(self, text):
        """As log, and no second line like it up to now."""
        self.context.expect_log(wording.pattern(text, self.captured), only=True)

    def do_no_log(self, text):
        self.context.expect_no_log(wording.pattern(text, self.captured))

    # --- the connection

    def do_half_close(self, _):
        if isinstance(self.sock, ssl.SSLSocket):
            raise Mismatch("half-close is for connections in clear")
        self.sock.shutdown(socket.SHUT_WR)
        self.transcript.append("  half-closed")

    def do_close(self, _):
        self.sock.close()
        self.ended = True
        self.transcript.append("  closed")

    def do_reset(self, _):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.do_close(_)

    def tls_options(self, text):
        return dict(word.split("=", 1) for word in text.split())

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def story(self):
        lines = [f"{self.name}:"]
        for line, again in itertools.groupby(self.transcript):
            count = sum(1 for _ in again)
            lines.append(line if count == 1 else f"{line}   ({count} times)")
        return "\n".join(lines)


class Client(Player):
    def __init__(self, name, sock, context):
        super().__init__(name, "C:", sock, context)

    def do_api(self, text):
        """`api METHOD PATH [JSON]`: an administrator's call; `has` and `not` look at the answer."""
        method, _, rest = text.partition(" ")
        path, _, body = rest.partition(" ")
        status, answer = self.context.front_end.request(
            method, path, json.loads(body) if body else None)
        self.block = [json.dumps(answer)]
        self.transcript.append(f"  API      {text}: {status} {self.block[0]}")
        if status != 200:
            raise Mismatch(f"{status} {self.block[0]}")

    def do_crowd(self, text):
        """So many more connections like this one, each left in another bad way."""
        ways = ("do_close", "do_reset", "talk", "half_close")
        for number in range(int(text)):
            sock = socket.create_connection(self.sock.getpeername(), PATIENCE,
                                            (self.sock.getsockname()[0], 0))
            one = Client("one of a crowd", sock, self.context)
            way = ways[number % len(ways)]
            if way == "talk":
                one.send(b"\x16\x03\x01 x LOGIN {5}\r\n" * (number % 7))
            if way == "half_close":
                sock.shutdown(socket.SHUT_WR)
                one.do_hang("")
            (one.do_reset if way == "do_reset" else one.do_close)("")

    def do_completed(self, text):
        """Waits until that many scripts of a server have come to their end: `completed home 2`."""
        name, _, count = text.partition(" ")
        self.context.server(name).wait_for_completed(int(count), PATIENCE)

    def do_said(self, text):
        """Waits until a server has said something so many times: `said home 2 OK done`."""
        name, count, words = text.split(" ", 2)
        self.context.server(name).wait_for_words(wording.encode(words), int(count), PATIENCE)

    def do_tls(self, text):
        """The handshake; the front end's certificate must be good for the name asked for."""
        options = self.tls_options(text)
        name = options.get("name", "mail.example.org")
        self.sock = self.context.certificates.client_context(options).wrap_socket(
            self.sock, server_hostname=name)
        self.transcript.append(f"  TLS      {self.sock.version()} as {name}")

    def do_no_tls(self, text):
        """The same handshake fails."""
        try:
            self.do_tls(text)
        except (OSError, ssl.SSLError) as error:
            self.transcript.append(f"  no TLS   {error}")
            self.ended = True
        else:
            raise Mismatch("the handshake succeeded")
