"""Options of the node file that change what a node does to others: warm connections to servers,
and how changes are fetched."""
import socket
import threading
import unittest

from nodes_lab import Lab, free_port, wait_for


class FakeImap:
    """A server that lets everybody in and greets once `gate` is open. `waiting` counts open
    connections that have not logged in: those kept warm (and, for moments, health checks)."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.waiting = self.logins = 0
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        for one in (self.listener, *self.open):
            one.close()

    def accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(stream)
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()

    def count(self, change):
        with self.lock:
            self.waiting += change

    def serve(self, stream):
        logged_in = False
        self.count(1)
        try:
            self.gate.wait(10)
            stream.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID] ready\r\n")
            for line in stream.makefile("rb"):
                tag, _, command = line.decode().strip().partition(" ")
                if not logged_in and command.upper().startswith(("LOGIN", "AUTHENTICATE")):
                    logged_in = True
                    self.count(-1)
                    self.logins += 1
                stream.sendall(f"{tag} OK done\r\n".encode())
                if command.upper().startswith("LOGOUT"):
                    return
        except OSError:
            pass
        finally:
            stream.close()
            if not logged_in:
                self.count(-1)


def log_in(port, name):
    stream = socket.create_connection(("127.0.0.1", port), timeout=20)
    file = stream.makefile("rwb", buffering=0)
    file.readline()
    file.write(f"l LOGIN {name} secret\r\n".encode())
    while not (line := file.readline()).startswith(b"l "):
        assert line, "closed at login"
    assert line.startswith(b"l OK"), line
    return stream


class Warm(unittest.TestCase):
    def front_end(self, warm, **caches):
        """A node with `upstream.warm` and a server for each name with its cache (None: not set),
        each of which has the account NAME@domain1.dom."""
        lab = Lab()
        self.addCleanup(lab.close)
        port = free_port()
        node = lab.node("fe1", ["master", "frontend"], f"""
[[listener]]
address = "127.0.0.1:{port}"
tls = "none"
[upstream]
warm = {warm}
""")
        node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        node.start()
        servers = {}
        for name, cache in caches.items():
            server = servers[name] = FakeImap()
            self.addCleanup(server.close)
            words = [] if cache is None else [f"imap.cache={cache}"]
            node.do("server", "add", name, "kind=foreign", "host=127.0.0.1", "introduce=none",
                    f"imap.port={server.port}", "imap.tls=none", *words)
        node.do("domain", "add", "domain1.dom", "--servers", ",".join(caches))
        for name in caches:
            node.do("account", "add", f"{name}@domain1.dom", "--home", name, "--no-password")

        return servers, lambda name: self.addCleanup(log_in(port, f"{name}@domain1.dom").close)

    def sessions(self, server, session, name, count, warm):
        """`count` logins at the same time: each that finds less than enough waiting or on its way
        has one more made."""
        threads = [threading.Thread(target=session, args=(name,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        wait_for(lambda: server.waiting >= count + warm)
        server.gate.set()
        for thread in threads:
            thread.join()
        self.assertEqual(server.logins, count)

    def test_as_many_as_the_node_says_unless_the_server_says(self):
        servers, session = self.front_end(2, quiet=0, usual=None, more=3)
        for name, warm in (("quiet", 0), ("usual", 2), ("more", 3)):
            self.sessions(servers[name], session, name, 5, warm)
        # All on one worker: what the first were to have has been made when the last have theirs.
        for name, warm in (("more", 3), ("usual", 2), ("quiet", 0)):
            wait_for(lambda: servers[name].waiting == warm)

    def test_none(self):
        servers, session = self.front_end(0, usual=None, marker=1)
        for name, warm in (("usual", 0), ("marker", 1)):
            self.sessions(servers[name], session, name, 3, warm)
        wait_for(lambda: servers["marker"].waiting == 1)
        wait_for(lambda: servers["usual"].waiting == 0)


class UpdateInterval(unittest.TestCase):
    def test_changes_are_fetched_now_and_then_instead_of_streamed(self):
        lab = Lab()
        self.addCleanup(lab.close)
        master = lab.master()
        front_end = lab.member(master, "fe1", ["frontend"], "frontend")
        text = front_end.file.read_text()
        self.assertEqual(front_end.stop(), 0)

        def restart(seconds):
            front_end.stop()
            front_end.file.write_text(text.replace("[cluster]",
                                                   f"[cluster]\nupdate_interval = {seconds}"))
            front_end.start()
            wait_for(lambda: front_end.ask("status")["nodes"][0]["replica"].get("lag_ms") is not None)

        restart(1)
        for number in range(3):
            master.do("domain", "add", f"d{number}.dom")
            wait_for(lambda: f"d{number}.dom" in front_end.do("domain", "list"), 10)
        self.assertEqual(front_end.ask("status")["nodes"][0]["replica"]["phase"], "following")
        self.assertNotIn("follower_waits", front_end.log.read_text())
        restart(86400)  # fetched once, at the start
        master.do("domain", "add", "late.dom")
        marker = lab.member(master, "fe2", ["frontend"], "frontend")  # hears of it at once
        wait_for(lambda: "late.dom" in marker.cli("domain", "list")[1])
        self.assertNotIn("late.dom", front_end.do("domain", "list"))
        restart(1)
        wait_for(lambda: "late.dom" in front_end.do("domain", "list"), 10)


if __name__ == "__main__":
    unittest.main()
