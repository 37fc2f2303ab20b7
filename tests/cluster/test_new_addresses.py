"""Nodes and servers that get another address while all run: whoever asks them finds them there, nobody
starts again for it. Real nodes; servers that are listeners of ours."""
import json
import socket
import threading
import unittest

import harness
import mail_lab
from mail_lab import Smtp, new_marker, text_of
from nodes_lab import Lab, free_port, wait_for
from test_followed_networks import follower, in_step, networks, section
from test_networks import ImapServer, login
from test_promotion import leads, source


class Deserted:
    """Listens where somebody was, and counts who still comes."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.listener = socket.create_server((host, int(port)))
        self.came = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.came += 1
            client.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept()
        self.listener.close()


class Nodes(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.m1 = self.lab.master()
        self.m1.do("server", "add", "sv1", "kind=foreign", "host=127.0.0.1", "imap.port=1",
                   "imap.tls=none")
        self.m1.do("domain", "add", "d.dom", "--servers", "sv1")
        self.m2 = self.lab.member(self.m1, "m2", ["master"], "master")
        self.back_end = self.lab.member(self.m1, "be1", ["backend"], "backend")
        self.front_ends = [self.lab.member(self.m1, name, ["frontend"], "frontend")
                           for name in ("fe1", "fe2")]
        self.password = self.lab.folder / "password"
        self.password.write_text("rootpass\n")
        self.password.chmod(0o600)
        self.members = list(self.lab.nodes)
        self.all_know()

    def all_know(self):
        """Every node has the newest revision."""
        wanted = self.m1.ask("--node", "m1", "status")["nodes"][0]["replica"]["revision"]
        for node in self.members:
            wait_for(lambda: node.ask("--node", node.name, "status")["nodes"][0]["replica"].get(
                "revision", 0) >= wanted, 40)

    @staticmethod
    def somewhere_else(node):
        """Changes its file; returns its former and its new address."""
        former = node.cluster
        node.cluster = f"127.0.9.{2 + sum(former.encode()) % 250}:{free_port()}"
        text = node.file.read_text()
        assert f'listen = "{former}"' in text
        node.file.write_text(text.replace(f'listen = "{former}"', f'listen = "{node.cluster}"'))
        return former, node.cluster

    def deserted(self, address):
        place = Deserted(address)
        self.addCleanup(place.close)
        return place

    def is_asked_through_all(self, node):
        for other in self.members:
            status = other.ask("--node", node.name, "status")
            self.assertEqual([one["name"] for one in status["nodes"]], [node.name], other.name)
            self.assertEqual(other.ask("session", "list", "--node", node.name)["sessions"], [])
            rows = {one["name"]: one for one in other.ask("status")["nodes"]}
            self.assertEqual((rows[node.name]["reachable"], rows[node.name]["replica"]["filled"]),
                             (True, True), other.name)
        # What only it can do, asked by one that may not by itself, too.
        for words in ((self.m1,), (self.front_ends[0], "--user", "root", "--user-password-file",
                                   str(self.password))):
            answer = words[0].cli(*words[1:], "--node", node.name, "node", "reload", "--json")
            self.assertEqual(answer[0], 0, answer)
            self.assertEqual(json.loads(answer[1])["reloaded"], node.name)

    def all_are_told(self, address):
        """Sessions end at once on every node that can be reached: none is missing."""
        self.m1.do("account", "add", address, "--no-password")
        code, out, error = self.m1.cli("--yes", "account", "disable", address)
        self.assertEqual((code, error), (0, ""), out)

    def test_a_follower_that_moves_is_found_by_all(self):
        for number, node in enumerate((self.back_end, self.front_ends[1])):
            others = [one.process.pid for one in self.members if one is not node]
            former, new = self.somewhere_else(node)
            self.m1.do("node", "set", node.name, f"cluster={new}")
            self.all_know()
            code, _, error = self.front_ends[0].cli("--node", node.name, "status")
            self.assertEqual(code, 1)
            self.assertIn(new, error)  # it is looked for there, and not there yet
            node.stop()
            place = self.deserted(former)
            node.start()
            self.is_asked_through_all(node)
            self.all_are_told(f"told{number}@d.dom")
            for other in self.members:
                wait_for(lambda: other.knows(f"told{number}@d.dom"))
            self.assertEqual(place.came, 0)
            self.assertEqual([one.process.pid for one in self.members if one is not node], others)

    def test_one_that_moved_before_it_was_said(self):
        for node in (self.back_end, self.front_ends[0]):
            node.stop()
            former, new = self.somewhere_else(node)
            node.start()
            for other in (self.m1, self.front_ends[1]):
                code, _, error = other.cli("--node", node.name, "status")
                self.assertEqual(code, 1)
                self.assertIn(former, error)
            # It hears and serves all the same, and can say itself where it is.
            address = f"before-{node.name}@d.dom"
            self.m1.do("account", "add", address, "--no-password")
            wait_for(lambda: node.knows(address))
            node.do("--user", "root", "--user-password-file", str(self.password), "node", "set",
                    node.name, f"cluster={new}")
            self.all_know()
            self.is_asked_through_all(node)
            self.all_are_told(f"after-{node.name}@d.dom")

    def test_a_stand_in_that_moves_is_followed_and_promoted_there(self):
        relay = follower(self.lab, "br1", section("hq", self.m1.cluster))
        relay.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                 stdin="rootpass\n")
        relay.start()
        wait_for(lambda: in_step(relay))
        former, new = self.somewhere_else(self.m2)
        self.m1.do("node", "set", "m2", f"cluster={new}")
        self.all_know()
        self.m2.stop()
        place = self.deserted(former)
        self.m2.start()
        self.all_know()
        self.m1.stop()
        for node in (self.back_end, *self.front_ends):
            wait_for(lambda: new in source(node), 40)
        wait_for(lambda: networks(relay)["hq"]["source"] == f"https://{new}", 40)
        self.m1.start()
        code, _, error = self.m1.cli("cluster", "promote", "m2", "--yes")
        self.assertEqual(code, 0, error)
        wait_for(lambda: leads(self.m2))
        for node in (self.m1, self.back_end):
            node.do("account", "add", f"by-{node.name}@d.dom", "--no-password")
        for node in (self.m1, *self.front_ends):
            wait_for(lambda: new in source(node), 40)
            wait_for(lambda: node.knows("by-be1@d.dom"))
        wait_for(lambda: relay.cli("account", "locate", "by-be1@d.dom")[0] == 0)
        self.assertEqual(place.came, 0)

    def test_a_master_that_moves_without_a_stand_in_is_followed_there(self):
        self.m2.stop()
        self.m1.do("node", "remove", "m2", "--yes")
        self.members.remove(self.m2)
        self.all_know()
        former, new = self.somewhere_else(self.m1)
        self.m1.do("node", "set", "m1", f"cluster={new}")
        self.all_know()
        self.m1.stop()
        place = self.deserted(former)
        self.m1.start()
        for node in (self.back_end, *self.front_ends):
            wait_for(lambda: new in source(node), 40)
        self.back_end.do("account", "add", "moved@d.dom", "--no-password")
        for node in self.front_ends:
            wait_for(lambda: node.knows("moved@d.dom"))
        self.assertFalse([one for one in self.m1.ask("status")["alarms"]
                          if "other nodes look for this master" in one["text"]])
        # Also after a start without anything open.
        seen = place.came
        for node in self.front_ends:
            node.stop()
            node.start()
            wait_for(lambda: new in source(node), 40)
        self.assertEqual(place.came, seen)


class Place:
    """A server's address: IMAP and SMTP."""

    def __init__(self, host, imap=0, smtp=0):
        self.host = host
        self.imap = ImapServer(host, imap)
        self.sink = mail_lab.Sink(address=(host, smtp))

    def fields(self):
        return (f"host={self.host}", f"imap.port={self.imap.port}", f"smtp.port={self.sink.port}")

    def close(self):
        self.imap.close()
        self.sink.close()


class Front:
    """A node that clients and mail come to."""

    def __init__(self, make):
        self.imap, self.smtp = free_port(), free_port()
        self.node = make(f"""
[[listener]]
protocol = "imap"
address = "127.0.0.1:{self.imap}"
tls = "none"
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{self.smtp}"
tls = "none"
[mail]
host_name = "mx.test"
retry_first = 1
reserve = 0
client_names = false
[upstream]
check_interval = 1
""")

    def session(self):
        return login("127.0.0.1", self.imap, "ada@d.dom")

    def logs_in(self):
        try:
            self.session().close()
        except (AssertionError, OSError):
            return False
        return True

    def send(self):
        """Hands a message in; returns its marker."""
        marker = new_marker()
        with Smtp(self.smtp, source=harness.new_source()) as smtp:
            answer = smtp.send("someone@elsewhere.test", ["ada@d.dom"], text_of(marker))
        assert answer.startswith("250"), answer
        return marker


class Servers(unittest.TestCase):
    def place(self, *arguments):
        place = Place(*arguments)
        self.addCleanup(place.close)
        return place

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.first = self.place("127.0.0.1")
        self.master = self.lab.master()
        self.master.do("server", "add", "sv1", "kind=foreign", "introduce=none", "imap.tls=none",
                       "smtp.tls=none", *self.first.fields())
        self.master.do("domain", "add", "d.dom", "--servers", "sv1")
        self.master.do("account", "add", "ada@d.dom", "--no-password")
        self.fronts = [Front(lambda extra, name=name: self.lab.member(
            self.master, name, ["frontend"], "frontend", extra)) for name in ("fe1", "fe2")]
        self.fronts.append(Front(self.relay))
        for front in self.fronts:
            wait_for(front.logs_in)

    def relay(self, extra):
        node = follower(self.lab, "br1", extra, section("hq", self.master.cluster),
                        roles=("master", "frontend"))
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        node.start()
        return node

    def goes_to(self, front, place, *elsewhere):
        """From the first login there on, all are there, and mail is, too."""
        def arrives():
            before = len(place.imap.logins)
            return front.logs_in() and len(place.imap.logins) > before
        wait_for(arrives)
        counts = [len(other.imap.logins) for other in elsewhere]
        before = len(place.imap.logins)
        for _ in range(5):  # more than are kept ready
            self.assertTrue(front.logs_in())
        self.assertEqual(len(place.imap.logins), before + 5)
        self.assertEqual([len(other.imap.logins) for other in elsewhere], counts)
        marker = front.send()
        wait_for(lambda: place.sink.with_marker(marker))
        for other in elsewhere:
            self.assertEqual(other.sink.with_marker(marker), [])

    def goes_on(self, session):
        """A connection that was there before."""
        session.sendall(b"x NOOP\r\n")
        answer = b""
        while b"x OK" not in answer:
            answer += session.recv(1000)
            self.assertTrue(answer)

    def test_logins_and_mail_go_where_a_server_is_now(self):
        pids = [node.process.pid for node in self.lab.nodes]
        sessions = []
        for front in self.fronts:
            self.goes_to(front, self.first)
            sessions.append(front.session())
            self.addCleanup(sessions[-1].close)
        # Another host, the same ports.
        second = self.place("127.0.5.2", self.first.imap.port, self.first.sink.port)
        self.master.do("server", "set", "sv1", f"host={second.host}")
        for front in self.fronts:
            self.goes_to(front, second, self.first)
        for session in sessions:
            self.goes_on(session)
        # The same host, other ports, once nobody answers any more: what waited goes there, too.
        self.first.close()
        second.close()
        for front in self.fronts:
            wait_for(lambda: not front.logs_in())
        markers = [front.send() for front in self.fronts]
        for front in self.fronts:  # all have seen by themselves that it is away
            wait_for(lambda: "service=smtp now=down" in front.node.log.read_text())
        third = self.place(second.host)
        self.master.do("server", "set", "sv1", *third.fields()[1:])
        for front in self.fronts:
            self.goes_to(front, third)
        for marker in markers:
            wait_for(lambda: third.sink.with_marker(marker), 40)
            self.assertEqual(len(third.sink.with_marker(marker)), 1)
        # A name, which leads to a host that had it first.
        fourth = self.place("127.0.0.1", third.imap.port, third.sink.port)
        self.master.do("server", "set", "sv1", "host=localhost")
        for front in self.fronts:
            self.goes_to(front, fourth, third)
        self.assertEqual([node.process.pid for node in self.lab.nodes], pids)


if __name__ == "__main__":
    unittest.main()
