"""Hosts of a destination, found through a real name server (NSD) with real signatures: what DNSSEC
proves is used for DANE, and what it disproves is not believed."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

from dovecot_lab import free_ports
from harness import BUILD, wait_for

FINDER = os.environ.get("MUSTER_FIND_HOSTS", BUILD / "tests" / "find_hosts")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
ZONE = """$ORIGIN {name}.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 127.0.0.1
@ MX 20 mx2
@ MX 10 mx
mx A 192.0.2.1
mx AAAA 2001:db8::1
mx2 CNAME elsewhere
elsewhere A 192.0.2.2
null MX 0 .
empty TXT "nothing else"
_25._tcp.mx TLSA 3 1 1 {digest}
_25._tcp.elsewhere TLSA 3 1 1 {digest}
"""
SERVER = """server:
  ip-address: 127.0.0.1@{port}
  username: ""
  zonesdir: {folder}
  pidfile: {folder}/pid
  database: ""
  xfrdfile: {folder}/xfrd
  zonelistfile: {folder}/zones
remote-control:
  control-enable: no
"""


class NameServer:
    """An NSD with three zones: `signed`, `forged` (signed, then changed), `plain`."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-dns-"))
        self.folder.chmod(0o755)
        self.port = free_ports(1)[0]
        self.anchor = self.folder / "anchor"
        config = SERVER.format(port=self.port, folder=self.folder)
        anchors = ""
        for name in ("signed.example", "forged.example", "plain.example"):
            zone = self.folder / name
            zone.write_text(ZONE.format(name=name, digest="aa" * 32))
            if name != "plain.example":
                anchors += self.sign(name)
            config += f"zone:\n  name: {name}\n  zonefile: {zone}\n"
        forged = self.folder / "forged.example"
        forged.write_text(forged.read_text().replace("192.0.2.1", "192.0.2.66"))
        self.anchor.write_text(anchors)
        (self.folder / "nsd.conf").write_text(config)
        self.process = subprocess.Popen(
            [shutil.which("nsd", path=PATH), "-d", "-c", self.folder / "nsd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(self.answers, "the name server")
        except BaseException:
            self.close()
            raise

    def sign(self, name):
        """Signs a zone in place and returns its key."""
        def tool(program, *arguments):
            return subprocess.run([shutil.which(program, path=PATH), *arguments], check=True,
                                  cwd=self.folder, capture_output=True, text=True).stdout.strip()
        key = tool("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name)
        tool("ldns-signzone", "-o", name, "-f", name, name, key)
        return (self.folder / (key + ".key")).read_text()

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return self.process.poll() is not None and self.fail()

    def fail(self):
        raise AssertionError("the name server ended")

    def find(self, destination):
        done = subprocess.run([FINDER, f"127.0.0.1@{self.port}", self.anchor, destination],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder)


@unittest.skipUnless(shutil.which("nsd", path=PATH) and shutil.which("ldns-signzone", path=PATH),
                     "needs nsd and ldnsutils")
class Dns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = NameServer()
        cls.addClassCleanup(cls.server.close)

    def test_signed_records_are_trusted(self):
        found = self.server.find("signed.example")
        self.assertTrue(found["mx_secure"])
        self.assertEqual([(host["endpoint"], host["preference"]) for host in found["hosts"]],
                         [("[2001:db8::1]:25", 10), ("192.0.2.1:25", 10), ("192.0.2.2:25", 20)])
        for host in found["hosts"]:
            self.assertTrue(host["secure"] and host["dane"] and host["usable"], host)
        self.assertEqual(found["hosts"][0]["base"], "mx.signed.example")
        # TLSA records stand where the CNAME leads to (RFC 7672, 2.2.2).
        self.assertEqual(found["hosts"][2]["base"], "elsewhere.signed.example")

    def test_unsigned_records_are_used_without_dane(self):
        found = self.server.find("plain.example")
        self.assertFalse(found["mx_secure"])
        self.assertEqual(len(found["hosts"]), 3)
        for host in found["hosts"]:
            self.assertFalse(host["secure"] or host["dane"], host)
            self.assertTrue(host["usable"])

    def test_forged_addresses_are_not_used(self):
        endpoints = [host["endpoint"] for host in self.server.find("forged.example")["hosts"]]
        self.assertNotIn("192.0.2.66:25", endpoints)
        self.assertIn("[2001:db8::1]:25", endpoints)

    def test_destinations_without_hosts(self):
        for destination, status in (("null.signed.example", "5.1.10"),
                                    ("nobody.signed.example", "5.1.2"),
                                    ("empty.signed.example", "5.4.4"),
                                    ("[nobody.signed.example]:587", "4.4.4")):
            found = self.server.find(destination)
            self.assertEqual(found["hosts"], [], destination)
            self.assertEqual(found["failure"], status, destination)


if __name__ == "__main__":
    unittest.main()
