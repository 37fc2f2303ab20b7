"""A name server that lies, is silent, or says too much: what a real one never does on purpose."""
import contextlib
import socket
import socketserver
import struct
import threading

A, CNAME, MX, AAAA, TXT = 1, 5, 15, 28, 16
NO_ERROR, SERVER_FAILURE, NO_NAME, REFUSED = 0, 2, 3, 5


def name_bytes(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def address(text):
    return A, socket.inet_aton(text)


def mx(preference, host):
    return MX, struct.pack("!H", preference) + name_bytes(host)


def cname(host):
    return CNAME, name_bytes(host)


class Answer:
    """What is said of one name to any question. `records` are (type, data); those of other types
    than asked for are left out, but for CNAMEs. `more` are records of other names: (name, type,
    data). `way` may be silent, truncated (over UDP and TCP), garbage, or udp-truncated."""

    def __init__(self, *records, code=NO_ERROR, more=(), way=""):
        self.records, self.code, self.more, self.way = records, code, more, way


class NameServer:
    """Answers over UDP and TCP from `names`; other names do not exist."""

    def __init__(self):
        self.names = {}
        self.asked = []
        lab = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = lab.answer(data, False)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(2):
                    answer = lab.answer(self.rfile.read(struct.unpack("!H", head)[0]), True)
                    if not answer:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        while True:  # a port that is free for both
            self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            self.port = self.udp.server_address[1]
            try:
                self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Tcp)
                break
            except OSError:
                self.udp.server_close()
        self.servers = (self.udp, self.tcp)
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self, query, over_tcp):
        at, labels = 12, []
        while length := query[at]:
            labels.append(query[at + 1:at + 1 + length].decode())
            at += 1 + length
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        told = self.names.get(name) or Answer(code=NO_NAME)
        if told.way == "silent":
            return None
        if told.way == "garbage":
            return query[:2] + b"\x81\x80\xff\xff\xff\xff" + b"\xc0\x0c" * 40
        truncated = told.way == "truncated" or (told.way == "udp-truncated" and not over_tcp)
        records = [] if truncated else [
            (b"\xc0\x0c", each, data) for each, data in told.records if each in (kind, CNAME)]
        more = [] if truncated else [(name_bytes(other), each, data) for other, each, data in told.more]
        flags = 0x8180 | told.code | (0x0200 if truncated else 0)
        text = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, len(more)) + question
        for owner, each, data in records + more:
            text += owner + struct.pack("!HHIH", each, 1, 60, len(data)) + data
        if len(text) > 1200 and not over_tcp:
            flags |= 0x0200
            return query[:2] + struct.pack("!HHHHH", flags, 1, 0, 0, 0) + question
        return text

    def close(self):
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.shutdown()
                server.server_close()
