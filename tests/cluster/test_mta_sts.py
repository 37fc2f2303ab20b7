"""MTA-STS policies fetched over real HTTPS. The server, its names and its authority stand in a
namespace of their own (port 443, /etc/hosts, the system's authorities), where this file runs anew."""
import http.server
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

from harness import BUILD

FETCHER = os.environ.get("MUSTER_FETCH_STS", BUILD / "tests" / "fetch_sts")
INSIDE = "MUSTER_INSIDE_FOLDER"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.good.test\r\nmax_age: 86400\r\n"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, and a certificate for all names but that of other.test."""
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(folder, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
            "-days", "2")
    openssl(folder, "req", *new, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=x")
    names = ",".join(f"DNS:mta-sts.{name}.test" for name in ("good", "moved", "html", "long"))
    (folder / "names").write_text(f"subjectAltName={names}\n")
    openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", "names", "-out", "cert.pem", "-days", "2")


class Policies(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.headers["Host"].split(".")[1]
        moved = name == "moved" and self.path.startswith("/.well-known")
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "https://mta-sts.good.test/.well-known/mta-sts.txt")
        self.send_header("Content-Type", "text/html" if name == "html" else "text/plain")
        self.end_headers()
        self.wfile.write(POLICY.encode() * (2000 if name == "long" else 1))

    def log_message(self, *_):
        pass


@unittest.skipIf(INSIDE in os.environ, "outside")
class Namespace(unittest.TestCase):
    @unittest.skipIf(os.getuid() != 0, "not root")
    def test_policies_over_https(self):
        with tempfile.TemporaryDirectory(prefix="muster-sts-") as name:
            folder = pathlib.Path(name)
            make_certificates(folder)
            hosts = [f"127.0.0.1 mta-sts.{each}.test"
                     for each in ("good", "moved", "html", "long", "other")]
            (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *hosts, ""]))
            commands = (f"mount --bind {folder}/hosts /etc/hosts && "
                        f"mount --bind {folder}/ca.pem {AUTHORITIES} && "
                        f"ip link set lo up && exec {sys.executable} {__file__}")
            done = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", commands],
                                  env={**os.environ, INSIDE: name}, capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)


@unittest.skipIf(INSIDE not in os.environ, "in a namespace alone")
class Inside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(os.environ[INSIDE])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.folder / "cert.pem", cls.folder / "key.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Policies)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)

    def fetch(self, name):
        return subprocess.run([FETCHER, f"{name}.test", self.folder / "kept"], capture_output=True,
                              text=True, timeout=60, check=False)

    def test_a_policy_is_fetched_and_kept(self):
        done = self.fetch("good")
        self.assertEqual((done.returncode, done.stdout), (0, POLICY.replace("\r\n", "\n")),
                         done.stderr)

    def test_what_is_no_policy_of_the_domain(self):
        for name in ("other", "moved", "html", "long"):  # wrong name, redirect, type, size
            with self.subTest(name=name):
                self.assertEqual(self.fetch(name).returncode, 1)


if __name__ == "__main__":
    unittest.main()
