"""Certificates that end soon are told before they end: those the cluster's authority signed, those
that servers show to the checks of front ends, and those of listeners."""
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import unittest

from nodes_lab import Lab, free_port, wait_for


def alarms(node):
    return {row["about"]: row["text"] for row in node.ask("status")["alarms"]}


class TlsServer:
    """Greets like an IMAP server behind TLS, with the certificate in `certificate` and `key`."""

    def __init__(self, certificate, key):
        self.salutations = set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.use(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def use(self, certificate, key):
        self.context.load_cert_chain(certificate, key)

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.greet, args=(client,), daemon=True).start()

    def greet(self, client):
        try:
            client.settimeout(10)
            with self.context.wrap_socket(client, server_side=True) as stream:
                stream.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")
                while line := stream.recv(1000):
                    tag = line.split()[0]
                    stream.sendall(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n" + tag +
                                   b" OK done\r\n")
        except OSError:
            pass

    def close(self):
        self.listener.close()


class LmtpServer(TlsServer):
    """Offers STARTTLS, as LMTP or submission servers do."""

    def greet(self, client):
        try:
            client.settimeout(10)
            client.sendall(b"220-two lines\r\n220 ready\r\n")
            self.salutations.add(client.recv(1000).split()[0])
            client.sendall(b"250-me\r\n250-STARTTLS\r\n250 8BITMIME\r\n")
            if client.recv(1000) != b"STARTTLS\r\n":
                return
            client.sendall(b"220 go ahead\r\n")
            with self.context.wrap_socket(client, server_side=True) as stream:
                stream.recv(1000)
        except OSError:
            pass


class SubmissionsServer(TlsServer):
    def greet(self, client):
        try:
            client.settimeout(10)
            with self.context.wrap_socket(client, server_side=True) as stream:
                stream.sendall(b"220 ready\r\n")
                stream.recv(1000)
        except OSError:
            pass


class Ends(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.master = self.lab.master()

    def issue(self, name, days, *more):
        for kind in ("crt", "key"):
            (self.lab.folder / f"{name}.{kind}").unlink(missing_ok=True)
        self.master.do("certificate", "issue", name, "--days", str(days), "--out",
                       str(self.lab.folder), *more)
        return self.lab.folder / f"{name}.crt", self.lab.folder / f"{name}.key"

    def test_what_the_authority_signed_is_watched(self):
        self.issue("long", 825)
        self.issue("sv1", 11)
        found = alarms(self.master)
        self.assertRegex(found["issued certificate sv1"], "^ends in 10 days.*certificate issue sv1")
        self.assertNotIn("issued certificate long", found)
        listed = {row["name"] for row in self.master.ask("certificate", "issued")["issued"]}
        self.assertEqual(listed, {"long", "sv1"})
        self.issue("sv1", 400)
        self.assertNotIn("issued certificate sv1", alarms(self.master))
        self.issue("gone", 1)
        self.assertIn("issued certificate gone", alarms(self.master))
        self.master.do("certificate", "forget", "gone")
        self.assertNotIn("issued certificate gone", alarms(self.master))
        self.assertEqual(self.master.cli("certificate", "forget", "gone")[0], 1)
        for days in ("0", "826"):
            self.assertEqual(self.master.cli("certificate", "issue", "x", "--days", days, "--out",
                                             str(self.lab.folder))[0], 1)

    def test_what_a_server_shows_is_watched_and_logged(self):
        files = self.issue("sv9", 6, "--names", "sv9.test")
        server = TlsServer(*files)
        self.addCleanup(server.close)
        front_end = self.lab.member(self.master, "fe1", ["frontend"], "frontend",
                                    "[upstream]\ncheck_interval = 1\n")
        self.master.do("server", "add", "sv9", "kind=foreign", "host=127.0.0.1",
                       f"imap.port={server.port}", "imap.tls=implicit", "tls_name=sv9.test")
        about = "certificate of server sv9 (imap)"
        wait_for(lambda: about in alarms(front_end))
        self.assertRegex(alarms(front_end)[about], "^ends in 5 days.*reload")
        self.assertIn(about, alarms(self.master), "the status of the whole cluster has it")
        wait_for(lambda: re.search(f"event=alarm about=.{re.escape(about)}",
                                   front_end.log.read_text()), 40)
        metrics = front_end.http("/metrics")[1]
        ends = re.search(r'certificate_ends_timestamp_seconds\{certificate="' + re.escape(about) +
                         r'"\} (\S+)', metrics)
        self.assertAlmostEqual(float(ends.group(1)), time.time() + 6 * 86400, delta=600)
        server.use(*self.issue("sv9", 300, "--names", "sv9.test"))
        wait_for(lambda: about not in alarms(front_end))

    def test_lmtp_and_submission_are_watched_and_what_is_gone_is_not(self):
        files = self.issue("sv8", 6, "--names", "sv8.test")
        lmtp, submission = LmtpServer(*files), SubmissionsServer(*files)
        self.addCleanup(lmtp.close)
        self.addCleanup(submission.close)
        front_end = self.lab.member(self.master, "fe3", ["frontend"], "frontend",
                                    "[upstream]\ncheck_interval = 1\n")
        self.master.do("server", "add", "sv8", "kind=foreign", "host=127.0.0.1",
                       f"lmtp.port={lmtp.port}", f"submission.port={submission.port}",
                       "submission.tls=implicit", "tls_name=sv8.test")
        abouts = {f"certificate of server sv8 ({name})" for name in ("lmtp", "submission")}
        wait_for(lambda: abouts <= set(alarms(front_end)))
        self.assertEqual(lmtp.salutations, {b"LHLO"})
        wait_for(lambda: all(f'certificate="{about}"' in front_end.http("/metrics")[1]
                             for about in abouts), 40)
        self.assertEqual(self.master.http("/v1/servers/sv8", "root", "rootpass", "PATCH",
                                          {"services": {"lmtp": None}})[0], 200)
        wait_for(lambda: not any("lmtp" in about for about in alarms(front_end)))
        self.assertTrue(any("submission" in about for about in alarms(front_end)))
        self.master.do("server", "remove", "sv8", "--yes")
        wait_for(lambda: not any("sv8" in about and "server" in about
                                 for about in alarms(front_end)))
        wait_for(lambda: not any(f'certificate="{about}"' in front_end.http("/metrics")[1]
                                 for about in abouts), 40)

    def test_a_listeners_certificate_is_watched(self):
        chain, key = self.issue("mail", 3, "--names", "mail.test")
        front_end = self.lab.member(self.master, "fe2", ["frontend"], "frontend",
                                    f'[[certificate]]\nchain = "{chain}"\nkey = "{key}"\n')
        self.assertRegex(alarms(front_end)[str(chain)], "^ends in 2 days")


if __name__ == "__main__":
    unittest.main()
