"""`muster demo`: what its description promises, how it ends, and that it leaves nothing behind."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

import harness
from harness import BINARY, wait_for


def processes_below(folder):
    """Processes with that folder in their command line, or with a file or folder of it open."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            places = [os.readlink(path / "cwd")]
            places += [os.readlink(entry) for entry in (path / "fd").iterdir()]
        except OSError:
            continue
        if int(path.name) != os.getpid() and str(folder) in " ".join((words, *places)):
            found[int(path.name)] = words
    return found


class Case(unittest.TestCase):
    def folder(self):
        """A folder's name; whatever is in it goes, whoever runs in it is ended."""
        base = pathlib.Path(tempfile.mkdtemp(prefix="muster-d-", dir="/tmp"))
        base.chmod(0o755)
        self.addCleanup(self.sweep, base)
        return base / "d"

    def sweep(self, base):
        for pid in processes_below(base):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(base, ignore_errors=True)

    def demo(self, *arguments, prefix=(), environment=None):
        return subprocess.run([*prefix, str(BINARY), "demo", *map(str, arguments)], text=True,
                              capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                              env={**os.environ, **(environment or {})})

    def description(self, folder):
        return json.loads((folder / "demo.json").read_text())

    def assert_nothing_runs(self, folder):
        wait_for(lambda: not processes_below(folder),
                 f"the end of {processes_below(folder)}", 15)

    def login(self, description, account, front_end=0):
        host, port = description["frontends"][front_end]["imaps"].rsplit(":", 1)
        context = ssl.create_default_context(cafile=description["ca"])
        with socket.create_connection((host, int(port)), timeout=30) as plain, \
                context.wrap_socket(plain, server_hostname="mail.domain1.dom") as stream:
            stream.sendall(f'a LOGIN {account["address"]} {account["password"]}\r\n'.encode())
            answer = b""
            while not re.search(rb"^a ", answer, re.M):
                piece = stream.recv(4096)
                if not piece:
                    break
                answer += piece
        return answer.decode()


class Contract(Case):
    def setUp(self):
        self.dir = self.folder()
        done = self.demo("--detach", "--dir", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.printed = done.stdout
        self.json = self.description(self.dir)

    def tearDown(self):
        done = self.demo("--stop", "--dir", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((self.dir / "demo.json").exists())
        self.assert_nothing_runs(self.dir)

    def connects(self, endpoint):
        host, port = endpoint.rsplit(":", 1)
        self.assertTrue(host.startswith("127."), endpoint)
        socket.create_connection((host, int(port)), timeout=10).close()

    def test_everything_described_is_there(self):
        self.assertEqual([row["name"] for row in self.json["frontends"]], ["fe1", "fe2"])
        self.assertEqual([row["name"] for row in self.json["servers"]], ["sv1", "sv2", "sv3"])
        self.assertIn("BEGIN CERTIFICATE", pathlib.Path(self.json["ca"]).read_text())
        status = harness.api_call(self.json["api"]["socket"], "GET", "/v1/status")
        self.assertEqual({node["name"] for node in status["nodes"]},
                         {"fe1", "fe2", "sv1", "sv2", "sv3"})
        self.assertTrue(all(node["reachable"] for node in status["nodes"]))
        for row in self.json["frontends"]:
            for service in ("imap", "imaps", "pop3", "pop3s", "sieve", "admin"):
                self.connects(row[service])
        for row in self.json["servers"]:
            for service in ("imap", "pop3", "sieve", "lmtp"):
                self.connects(row[service])
        self.check_processes()
        self.check_accounts()
        self.check_what_is_printed()

    def check_processes(self):
        for row in (*self.json["frontends"], *self.json["servers"]):
            words = pathlib.Path(f"/proc/{row['pid']}/cmdline").read_bytes().split(b"\0")
            file = words[words.index(b"--config") + 1].decode()
            self.assertEqual(pathlib.Path(file).parent, self.dir / row["name"])
            self.assertTrue(pathlib.Path(file).exists())
        for row in self.json["servers"]:
            program = os.readlink(f"/proc/{row['engine_pid']}/exe")
            self.assertEqual(pathlib.Path(program).name, "dovecot")

    def check_accounts(self):
        homes = {row["address"]: row["home"] for row in self.json["accounts"]}
        self.assertEqual((homes["kate@domain1.dom"], homes["ada@domain1.dom"]), ("sv2", "sv1"))
        self.assertEqual({name.partition("@")[2] for name in homes},
                         {"domain1.dom", "domain2.dom"})
        self.assertEqual(set(homes.values()), {"sv1", "sv2", "sv3"})
        for account in self.json["accounts"]:
            for front_end in (0, 1):
                self.assertIn("a OK", self.login(self.json, account, front_end))
            log = self.dir / account["home"] / "dovecot.log"
            self.assertIn(f"Login: user=<{account['address']}>", log.read_text())

    def check_what_is_printed(self):
        for expected in (self.json["ca"], "curl", "openssl s_client", "kate@domain1.dom",
                         f"muster demo --stop --dir {self.dir}",
                         *(row["imaps"] for row in self.json["frontends"])):
            self.assertIn(expected, self.printed)
        command = re.search(r"^ *(curl .*)$", self.printed, re.M).group(1)
        done = subprocess.run(command, shell=True, text=True, capture_output=True, timeout=60)
        self.assertIn("INBOX", done.stdout, done.stderr)

    def test_a_second_one_in_the_same_folder_is_refused(self):
        done = self.demo("--detach", "--dir", self.dir)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--stop", done.stderr)
        self.assertIn("a OK", self.login(self.json, self.json["accounts"][0]))

    def test_two_run_side_by_side(self):
        other = self.folder()
        self.assertEqual(self.demo("--detach", "--dir", other).returncode, 0)
        description = self.description(other)
        for one in (self.json, description):
            self.assertIn("a OK", self.login(one, one["accounts"][1]))
        self.assertEqual(self.demo("--stop", "--dir", other).returncode, 0)
        self.assert_nothing_runs(other)
        self.assertIn("a OK", self.login(self.json, self.json["accounts"][1]))

    def test_stopping_copes_with_processes_that_are_stopped_or_dead(self):
        os.kill(self.json["servers"][1]["engine_pid"], signal.SIGKILL)
        os.kill(self.json["frontends"][0]["pid"], signal.SIGKILL)
        os.kill(self.json["frontends"][1]["pid"], signal.SIGSTOP)


class Ends(Case):
    def in_foreground(self, *arguments):
        process = subprocess.Popen([str(BINARY), "demo", *map(str, arguments)], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C ends it" in line:
                return process, printed
        self.fail(f"it ended: {printed}{process.stderr.read()}")

    def test_ctrl_c_ends_everything(self):
        folder = self.folder()
        process, printed = self.in_foreground("--dir", folder)
        self.assertIn("kate@domain1.dom", printed)
        description = self.description(folder)
        self.assertIn("a OK", self.login(description, description["accounts"][0]))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        self.assertEqual(process.wait(30), 0)
        self.assert_nothing_runs(folder)
        self.assertFalse((folder / "demo.json").exists())

    def test_without_a_folder_nothing_is_left_but_what_was_printed(self):
        process, printed = self.in_foreground()
        folder = re.search(r"\(folder: (.*)\)", printed).group(1)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        self.assert_nothing_runs(folder)
        self.assertFalse(os.path.exists(folder))

    def test_when_it_is_killed_its_processes_end_too(self):
        folder = self.folder()
        process, _ = self.in_foreground("--dir", folder)
        process.kill()
        self.assert_nothing_runs(folder)

    def test_stopping_what_does_not_run_is_said(self):
        done = self.demo("--stop", "--dir", self.folder())
        self.assertEqual(done.returncode, 1)
        self.assertIn("no demo runs", done.stderr)


class Fails(Case):
    """A start that fails says why and leaves no process."""

    def assert_refused(self, done, reason, folder):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, reason)
        self.assertFalse((folder / "demo.json").exists())
        self.assert_nothing_runs(folder)

    def without(self, path):
        """A prefix that hides a program, in a mount namespace of its own."""
        if os.getuid() != 0:
            self.skipTest("only root can hide a program")
        command = f"mount --bind /dev/null {path} && exec \"$@\""
        prefix = ["unshare", "--mount", "sh", "-c", command, "sh"]
        probe = subprocess.run([*prefix, "true"], capture_output=True, timeout=30)
        if probe.returncode != 0:
            self.skipTest("no mount namespaces here")
        return prefix

    def test_no_dovecot(self):
        folder = self.folder()
        done = self.demo("--detach", "--dir", folder, prefix=self.without("/usr/sbin/dovecot"))
        self.assert_refused(done, "Dovecot", folder)

    def test_a_dovecot_that_does_not_start(self):
        folder = self.folder()
        done = self.demo("--detach", "--dir", folder, prefix=self.without("/usr/bin/doveconf"))
        self.assert_refused(done, "the Dovecot of sv. ended while starting", folder)

    def test_a_folder_that_cannot_be_made(self):
        folder = self.folder()
        folder.write_text("a file")
        done = self.demo("--detach", "--dir", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(folder), done.stderr)

    def test_a_folder_whose_name_is_too_long(self):
        folder = self.folder() / ("x" * 80)
        done = self.demo("--detach", "--dir", folder)
        self.assert_refused(done, "too long", folder)


class OrdinaryUser(Case):
    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("every test here ran as an ordinary user already")
        if not shutil.which("setpriv"):
            self.skipTest("no setpriv")

    def test_it_runs_as_nobody(self):
        user = pwd.getpwnam("nobody")
        folder = self.folder()
        os.chown(folder.parent, user.pw_uid, user.pw_gid)
        program = folder.parent / "muster"  # the build folder may be closed to others
        shutil.copy(BINARY, program)
        as_nobody = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                     "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", str(program)]

        def demo(*arguments):
            return subprocess.run([*as_nobody, "demo", *map(str, arguments)], text=True,
                                  capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                                  cwd="/", env={"PATH": os.environ["PATH"]})

        done = demo("--detach", "--dir", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        description = self.description(folder)
        for row in (*description["frontends"], *description["servers"]):
            self.assertEqual(os.stat(f"/proc/{row['pid']}").st_uid, user.pw_uid)
        for account in description["accounts"]:
            self.assertIn("a OK", self.login(description, account))
        self.assertEqual(demo("--stop", "--dir", folder).returncode, 0)
        self.assert_nothing_runs(folder)


if __name__ == "__main__":
    unittest.main()
