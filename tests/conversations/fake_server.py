"""A scripted mail server: a listening socket of its own, a thread for each connection."""
import re
import socket
import ssl
import struct
import threading

from player import Gone, Mismatch, Player

HOST = "127.0.0.1"
PROBE = re.compile(rb"(\S+ )?(CAPA|CAPABILITY|STLS|STARTTLS)|(LHLO|EHLO) .*|QUIT|NOOP")  # what a check asks, too


class ServerSide(Player):
    def __init__(self, server, sock):
        super().__init__(f"server {server.name} {server.service}", "S:", sock, server.context)
        self.server = server
        self.certificate = server.options.get("certificate", "good")

    def send(self, raw):
        super().send(raw)
        with self.server.changed:
            self.server.said += raw
            self.server.changed.notify_all()

    def do_tls(self, _):
        server = self.context.certificates.server_context(self.certificate)
        self.sock = server.wrap_socket(self.sock, server_side=True)
        self.transcript.append(f"  TLS      {self.sock.version()}")

    def do_no_tls(self, _):
        """The front end breaks the handshake off."""
        try:
            self.do_tls(_)
            self.sock.recv(1)
        except (OSError, ssl.SSLError):
            self.ended = True
        else:
            raise Mismatch("the handshake succeeded")

    def do_proxy_from(self, text):
        """A PROXY protocol header, version 2, of a client with that address and port."""
        header = self.take(16)
        if header[:12] != b"\r\n\r\n\0\r\nQUIT\n":
            raise Mismatch(f"no PROXY header: {header!r}")
        block = self.take(struct.unpack(">H", header[14:16])[0])
        if header[12] == 0x20:
            return  # LOCAL: a check of the front end's own
        source = f"{socket.inet_ntoa(block[:4])}:{struct.unpack('>H', block[8:10])[0]}"
        if header[12:14] != b"\x21\x11" or source != text:
            raise Mismatch(f"PROXY header of {source}, {header[12:14]!r}")

    def is_used(self):
        """Whether a client was handed to it; a check or a warm connection asks nothing of it."""
        return bool(self.buffer) or any(not PROBE.fullmatch(line) for line in self.asked)

    def take(self, count):
        while len(self.buffer) < count:  # not a byte more: TLS may follow
            self.fill_buffer(count - len(self.buffer))
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


class FakeServer:
    """`section.steps` are cut at the steps `connection`: the first connection that asks for
    something gets the first script, and so on. `down` in the header: the port refuses. `unused`:
    no client may be handed to it."""

    def __init__(self, section, service, context):
        self.name = section.options.get("name", "home")
        self.service = service
        self.options = section.options
        self.words = section.words
        self.context = context
        self.scripts = self.cut(section.steps)
        self.claimed = [False] * len(self.scripts)
        self.completed = [False] * len(self.scripts)
        self.used = 0
        self.said = b""  # on all its connections
        self.failure = None
        self.changed = threading.Condition()
        self.players = []
        self.closed_unused = 0
        self.listening = socket.socket()
        self.listening.bind((HOST, 0))
        self.port = self.listening.getsockname()[1]
        self.stopping = False
        self.threads = []
        if "down" not in self.words:
            self.listening.listen(64)
            self.spawn(self.accept)

    @staticmethod
    def cut(steps):
        scripts = [[]]
        for step in steps:
            if step.verb == "connection":
                scripts.append([])
            else:
                scripts[-1].append(step)
        return [script for script in scripts if script]

    def spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            if self.stopping:
                sock.close()
                return
            self.spawn(self.serve, sock)

    def claim(self):
        with self.changed:
            for number, taken in enumerate(self.claimed):
                if not taken:
                    self.claimed[number] = True
                    return number
        return None

    def serve(self, sock):
        number = self.claim()
        # A further connection than the scripts know is a check, or it will fail the conversation.
        script = self.scripts[-1 if number is None else number] if self.scripts else []
        player = ServerSide(self, sock)
        with self.changed:
            self.players.append(player)
        try:
            player.run(script)
            self.finish(number, player)
        except Gone as error:
            self.fail(error) if player.is_used() else self.release(number, player)
        except Mismatch as error:
            self.fail(error)
        except Exception as error:  # a mistake in the tests themselves
            self.fail(repr(error))

    def finish(self, number, player):
        with self.changed:
            if self.scripts:
                self.completed[-1 if number is None else number] = True
            self.used += player.is_used()
            if self.used > len(self.scripts):
                self.failure = self.failure or "more connections than it has scripts for"
            self.changed.notify_all()

    def release(self, number, player):
        player.close()
        with self.changed:
            self.players.remove(player)
            self.closed_unused += 1
            if number is not None:
                self.claimed[number] = False
            self.changed.notify_all()

    def fail(self, error):
        with self.changed:
            self.failure = self.failure or str(error)
            self.changed.notify_all()

    def wait_for_check(self, patience):
        """Until the front end has looked at it once and left."""
        with self.changed:
            seen = self.changed.wait_for(
                lambda: self.closed_unused or any(self.completed) or self.failure, patience)
            if not seen:
                raise Mismatch(f"server {self.name}: nobody checked it")

    def wait_for_words(self, text, count, patience):
        with self.changed:
            if not self.changed.wait_for(lambda: self.said.count(text) >= count, patience):
                raise Mismatch(f"server {self.name}: said it less often")

    def wait_for_completed(self, count, patience):
        with self.changed:
            if not self.changed.wait_for(lambda: sum(self.completed) >= count, patience):
                raise Mismatch(f"server {self.name}: fewer than {count} scripts ended")

    def verdict(self, patience):
        """What went wrong, or None. Waits until its scripts are through."""
        if "down" in self.words:
            return None
        with self.changed:
            if "unused" in self.words:
                used = any(player.is_used() for player in self.players)
                return f"server {self.name} was used" if used else self.failure
            self.changed.wait_for(lambda: self.failure or all(self.completed), patience)
            if self.failure:
                return f"server {self.name}: {self.failure}"
            if not all(self.completed):
                return f"server {self.name}: a script did not come to its end"
        return None

    def close(self):
        self.stopping = True
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listening.close()
        with self.changed:
            players = list(self.players)
        for player in players:
            try:
                player.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            player.close()

    def join(self):
        for thread in self.threads:
            thread.join(5)

    def story(self):
        return "\n".join(player.story() for player in self.players)
