"""Networks apart: local addresses of connections to servers and to other nodes, and who may come to
the cluster port. All on loopback, where every 127.x.y.z is an address of its own."""
import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

from nodes_lab import MUSTER, Lab, free_port, wait_for


class ImapServer:
    """Takes every login; remembers where connections came from and keeps them open."""

    def __init__(self, address="127.0.0.1", port=0):
        self.listener = socket.create_server((address, port), backlog=500)
        self.port = self.listener.getsockname()[1]
        self.checks, self.logins, self.held = set(), [], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, peer = self.listener.accept()
            except OSError:
                return
            self.held.append(client)
            threading.Thread(target=self.talk, args=(client, peer[0]), daemon=True).start()

    def talk(self, client, peer):
        self.checks.add(peer)
        try:
            client.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")
            while line := client.recv(4000):
                words = line.split()
                if words[1].upper() in (b"AUTHENTICATE", b"LOGIN"):
                    self.logins.append(peer)
                client.sendall(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n" + words[0] +
                               b" OK done\r\n")
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for client in self.held:
            client.close()


def login(address, port, user):
    """A logged-in connection; the caller closes it."""
    client = socket.create_connection((address, port), timeout=20)
    try:
        words = base64.b64encode(f"\0{user}\0secret".encode()).decode()
        stream = client.makefile("rwb", buffering=0)
        assert stream.readline().startswith(b"* OK")
        stream.write(f"l AUTHENTICATE PLAIN {words}\r\n".encode())
        while (line := stream.readline()) and not line.startswith(b"l "):
            pass
        assert line.startswith(b"l OK"), line
    except BaseException:
        client.close()
        raise
    return client


class Networks(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.master = self.lab.master()

    def listener(self, address):
        self.port = free_port()
        return (f'[[listener]]\nprotocol = "imap"\naddress = "{address}:{self.port}"\n'
                'tls = "none"\n')

    def server(self, name, *fields):
        server = ImapServer()
        self.addCleanup(server.close)
        self.master.do("server", "add", name, "kind=foreign", "host=127.0.0.1", "introduce=none",
                       f"imap.port={server.port}", "imap.tls=none", *fields)
        self.master.do("domain", "add", f"{name}.dom", "--servers", name)
        self.master.do("account", "add", f"ada@{name}.dom", "--home", name, "--no-password")
        return server

    def client(self, user):
        client = login("127.94.0.1", self.port, user)
        self.addCleanup(client.close)

    def test_servers_see_the_addresses_that_were_set(self):
        common = self.server("common")
        own = self.server("own", "source=127.94.2.9")
        front_end = self.lab.member(
            self.master, "fe1", ["frontend"], "frontend", self.listener("127.94.0.1") +
            '[upstream]\nsource_addresses = ["127.94.2.1", "127.94.2.2"]\n'
            "warm = 0\ncheck_interval = 1\n")
        wait_for(lambda: front_end.knows("ada@own.dom"))
        for _ in range(6):
            self.client("ada@common.dom")
            self.client("ada@own.dom")
        self.assertEqual(set(common.logins), {"127.94.2.1", "127.94.2.2"}, "used in turn")
        self.assertEqual(set(own.logins), {"127.94.2.9"})
        wait_for(lambda: own.checks and common.checks)
        self.assertLessEqual(common.checks, {"127.94.2.1", "127.94.2.2"}, "checks, too")
        self.assertEqual(own.checks, {"127.94.2.9"})

    def test_clients_and_the_cluster_have_addresses_of_their_own(self):
        self.lab.member(self.master, "fe1", ["frontend"], "frontend", self.listener("127.94.0.1"))
        node = self.lab.nodes[-1]
        host, port = node.cluster.rsplit(":", 1)
        socket.create_connection(("127.94.0.1", self.port), timeout=5).close()
        for address, closed in (("127.94.0.1", int(port)), (host, self.port)):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((address, closed), timeout=5)

    def set_cluster(self, node, *lines):
        text = node.file.read_text()
        node.file.write_text(text.replace("[cluster]\n", "[cluster]\n" + "\n".join(lines) + "\n"))

    def test_source_address_and_advertise(self):
        node = self.lab.node("fe1", ["frontend"])
        self.set_cluster(node, 'source_address = "127.94.3.1"', 'advertise = "fe1.test:7700"')
        token = self.master.ask("token", "add", "--scope", "frontend")
        node.do("cluster", "join", "--master", self.master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        node.start()

        def seen():
            row = {row["name"]: row for row in self.master.ask("node", "list")["nodes"]}["fe1"]
            return row if row.get("seen", {}).get("connected") else None
        row = wait_for(seen)
        self.assertEqual(row["seen"]["address"].rsplit(":", 1)[0], "127.94.3.1")
        self.assertEqual(row["cluster"], "fe1.test:7700")

    def test_who_is_not_allowed_is_refused_with_what_to_do(self):
        node = self.lab.member(self.master, "fe1", ["frontend"], "frontend")
        self.master.stop()
        self.set_cluster(self.master, 'allow = ["127.94.4.0/24"]')
        self.master.start()
        wait_for(lambda: re.search(r"event=cluster_refused peer=127\.0\.0\.1 .*cluster\.allow",
                                   self.master.log.read_text()))
        wait_for(lambda: "follower_waits" in node.log.read_text())
        node.stop()
        self.set_cluster(node, 'source_address = "127.94.4.7"')
        node.start()
        wait_for(lambda: node.ask("status")["nodes"][0]["replica"]["phase"] == "following")


PORTS = 40


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"),
                     "a network namespace of its own needs root and unshare")
class OwnNamespace(unittest.TestCase):
    def in_namespace(self, scene):
        done = subprocess.run(
            ["unshare", "--net", sys.executable, __file__, "--in-namespace", scene],
            capture_output=True, text=True, timeout=120, env={**os.environ, "MUSTER_BINARY": MUSTER})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_more_connections_than_local_ports_from_one_address(self):
        """With a source address set, a local port serves many servers at once: it is chosen when
        the connection is made, not when the address is bound (IP_BIND_ADDRESS_NO_PORT)."""
        self.assertIn("held 60 sessions", self.in_namespace("ports"))

    def test_a_machine_that_is_gone_is_noticed_by_what_it_does_not_acknowledge(self):
        """A connection kept ready whose machine is gone is given up after connect_time, though a
        login has login_time."""
        self.assertIn("noticed", self.in_namespace("gone"))


    def test_a_machine_that_was_lost_is_replaced_without_being_taken_for_a_twin(self):
        self.assertIn("replaced", self.in_namespace("lost"))


def machine_is_replaced():
    subprocess.run(["ip", "address", "add", "10.9.9.9/32", "dev", "lo"], check=True)
    lab, elsewhere = Lab(), Lab()
    try:
        master = lab.node("m1", ["master"])
        text = master.file.read_text()
        master.file.write_text(
            text.replace("[cluster]\n", '[cluster]\nallow = ["127.0.0.0/8", "10.9.9.9/32"]\n'))
        master.do("cluster", "init")
        master.start()
        lost = lab.node("fe1", ["frontend"])
        text = lost.file.read_text()
        lost.file.write_text(text.replace("[cluster]\n", '[cluster]\nsource_address = "10.9.9.9"\n'))
        token = master.ask("token", "add", "--scope", "frontend")
        lost.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        lost.start()
        wait_for(lambda: {row["name"]: row for row in master.ask("node", "list")["nodes"]}
                 ["fe1"].get("seen", {}).get("connected"))
        new = elsewhere.node("fe1", ["frontend"])
        shutil.copytree(lost.state, new.state,
                        ignore=shutil.ignore_patterns("*.sock", "*.lock", "replica-*"))
        subprocess.run(["ip", "address", "delete", "10.9.9.9/32", "dev", "lo"], check=True)
        began = time.monotonic()
        new.start()
        wait_for(lambda: new.ask("status")["nodes"][0]["replica"]["phase"] == "following", 25)
        print(f"replaced after {time.monotonic() - began:.0f} s")
        assert "two_nodes_one_name" not in master.log.read_text()
        assert not [row for row in master.ask("status")["alarms"] if row["about"] == "node fe1"]
    finally:
        elsewhere.close()
        lab.close()


def machine_is_gone():
    subprocess.run(["ip", "address", "add", "10.9.9.9/32", "dev", "lo"], check=True)
    lab = Lab()
    try:
        master = lab.master()
        port = free_port()
        front_end = lab.member(
            master, "fe1", ["frontend"], "frontend",
            f'[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
            "[upstream]\nconnect_time = 1\nlogin_time = 60\n")
        server = ImapServer("10.9.9.9")
        master.do("server", "add", "sv", "kind=foreign", "host=10.9.9.9", "introduce=none",
                  f"imap.port={server.port}", "imap.tls=none", "imap.cache=20")
        master.do("domain", "add", "sv.dom", "--servers", "sv")
        master.do("account", "add", "ada@sv.dom", "--home", "sv", "--no-password")
        wait_for(lambda: front_end.knows("ada@sv.dom"))
        for number in range(20):  # each makes another ready, at the worker that it meets
            before = len(server.held)
            login("127.0.0.1", port, "ada@sv.dom").close()
            wait_for(lambda: len(server.held) > before)
        subprocess.run(["ip", "address", "delete", "10.9.9.9/32", "dev", "lo"], check=True)
        began = time.monotonic()
        try:
            login("127.0.0.1", port, "ada@sv.dom")
        except AssertionError as refused:
            assert "[UNAVAILABLE]" in str(refused), refused
        assert time.monotonic() - began < 15
        assert "event=warm-connection-dead" in front_end.log.read_text()
        print("noticed")
    finally:
        lab.close()


def more_connections_than_ports():
    lab = Lab()
    try:
        master = lab.master()
        port = free_port()
        front_end = lab.member(
            master, "fe1", ["frontend"], "frontend",
            f'[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
            '[upstream]\nsource_addresses = ["127.94.5.1"]\nwarm = 0\n')
        servers = [ImapServer() for _ in range(3)]
        for number, server in enumerate(servers):
            name = f"sv{number}"
            master.do("server", "add", name, "kind=foreign", "host=127.0.0.1", "introduce=none",
                      f"imap.port={server.port}", "imap.tls=none")
            master.do("domain", "add", f"{name}.dom", "--servers", name)
            master.do("account", "add", f"ada@{name}.dom", "--home", name, "--no-password")
        wait_for(lambda: front_end.knows("ada@sv2.dom"))
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
            file.write(f"50000 {50000 + PORTS - 1}")
        held = []
        for number in range(60):  # ours come from addresses of their own and fixed ports
            client = socket.socket()
            client.bind((f"127.95.0.{number + 1}", 40000))
            client.settimeout(20)
            client.connect(("127.0.0.1", port))
            words = base64.b64encode(f"\0ada@sv{number % 3}.dom\0secret".encode()).decode()
            stream = client.makefile("rwb", buffering=0)
            stream.readline()
            stream.write(f"l AUTHENTICATE PLAIN {words}\r\n".encode())
            while (line := stream.readline()) and not line.startswith(b"l "):
                pass
            assert line.startswith(b"l OK"), (number, line, front_end.log.read_text()[-1500:])
            held.append(client)
        assert all(set(server.logins) == {"127.94.5.1"} for server in servers)
        print(f"held {len(held)} sessions")
    finally:
        lab.close()


if __name__ == "__main__":
    if "--in-namespace" in sys.argv:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        {"ports": more_connections_than_ports, "gone": machine_is_gone,
         "lost": machine_is_replaced}[sys.argv[-1]]()
    else:
        unittest.main()
