"""What `cmake --install` puts where, the systemd units, and what the program tells systemd."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from nodes_lab import MUSTER, Lab

BUILD = pathlib.Path(MUSTER).resolve().parent.parent


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)

    def install(self, prefix, staging=None):
        environment = dict(os.environ)
        if staging:
            environment["DESTDIR"] = str(staging)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                       capture_output=True, env=environment, timeout=120)

    def test_a_staged_installation_is_whole_and_its_program_works(self):
        staging = self.lab.folder / "staging"
        self.install("/usr", staging)
        found = {str(path.relative_to(staging)) for path in staging.rglob("*") if path.is_file()}
        for wanted in ("usr/bin/muster", "usr/share/man/man1/muster.1",
                       "usr/share/man/man5/muster.toml.5", "usr/share/doc/muster/operator-guide.md",
                       "usr/share/doc/muster/examples/muster.toml", "usr/share/doc/muster/LICENSE",
                       "usr/lib/systemd/system/muster.service",
                       "usr/lib/systemd/system/muster@.service"):
            self.assertIn(wanted, found)
        program = staging / "usr/bin/muster"
        said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
        self.assertRegex(said.stdout, r"^muster \d+\.\d+\.\d+$")
        node = self.lab.node("m1", ["master"])
        for words, text in ((["cluster", "init", "--administrator", "root", "--password-stdin"],
                             "rootpass\n"), (["check"], "")):
            done = subprocess.run([program, "--config", node.file, *words], input=text, text=True,
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is fine", done.stdout)
        unit = (staging / "usr/lib/systemd/system/muster.service").read_text()
        self.assertIn("ExecStart=/usr/bin/muster serve --config /etc/muster/muster.toml\n", unit)
        self.assertIn("SystemCallFilter=@system-service\n", unit)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_understands_the_units(self):
        prefix = self.lab.folder / "usr"
        self.install(prefix)
        for name in ("muster.service", "muster@fe1b.service"):
            done = subprocess.run(["systemd-analyze", "verify", "--man=no",
                                   prefix / "lib/systemd/system" / name], text=True,
                                  capture_output=True, timeout=60)
            said = [line for line in done.stderr.splitlines() if "muster" in line]
            self.assertEqual((done.returncode, said), (0, []), done.stderr)


class Notifications(unittest.TestCase):
    """sd_notify(3): datagrams to $NOTIFY_SOCKET."""

    def told(self, receiver):
        return dict(line.split("=", 1) for line in receiver.recv(4096).decode().splitlines())

    def check(self, address, variable):
        lab = Lab()
        self.addCleanup(lab.close)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(address)
        receiver.settimeout(30)
        node = lab.node("m1", ["master"])
        node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(
                [MUSTER, "serve", "--config", str(node.file)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=dict(os.environ, NOTIFY_SOCKET=variable))
        self.assertEqual(self.told(receiver)["READY"], "1")
        self.assertEqual(node.http("/healthz")[0], 200)  # ready means: it serves
        node.process.send_signal(signal.SIGHUP)
        told = self.told(receiver)
        self.assertEqual(told["RELOADING"], "1")
        self.assertGreater(int(told["MONOTONIC_USEC"]), 0)
        self.assertEqual(self.told(receiver)["READY"], "1")
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.told(receiver)["STOPPING"], "1")
        self.assertEqual(node.process.wait(20), 0)

    def test_to_a_socket_with_a_path(self):
        folder = tempfile.mkdtemp(prefix="muster-notify-")
        self.addCleanup(shutil.rmtree, folder)
        self.check(f"{folder}/notify", f"{folder}/notify")

    def test_to_an_abstract_socket(self):
        name = f"muster-notify-{os.getpid()}"
        self.check("\0" + name, "@" + name)


if __name__ == "__main__":
    unittest.main()
