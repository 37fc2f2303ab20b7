"""A real Postfix for tests and benchmarks, each with a configuration, queue and processes of its own."""
import atexit
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

needs_root = unittest.skipUnless(os.geteuid() == 0, "Postfix is started by root alone")

SETTINGS = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
mydestination =
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
in_flow_delay = 0
"""

SERVICES = """
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _launch(command):
    return subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _with(settings):
    """SETTINGS without those that `settings` sets otherwise, and `settings`."""
    own = set(re.findall(r"^(\w+) *=", settings, re.M))
    kept = [line for line in SETTINGS.splitlines() if line.partition(" =")[0] not in own]
    return "\n".join([*kept, settings, ""])


class Postfix:
    """Runs from its making until close(), on a port of the kernel's choice if `port` is 0, nothing in
    a chroot. `settings` are lines of main.cf; {dir} is its folder. `launch` starts a command as leader
    of a process group of its own. Its virtual mailboxes may be in {dir}/mail."""

    DAEMONS = "/usr/lib/postfix/sbin"

    def __init__(self, settings, launch=_launch, address="127.0.0.1", port=0):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-postfix-"))
        self.master = None
        self.address, self.port = address, port
        atexit.register(self.close)
        try:
            self._configure(settings)
            self.master = launch([f"{self.DAEMONS}/master", "-d", "-c", self.config])
            self._wait_until_it_greets()
        except BaseException:
            self.close()
            raise

    def _configure(self, settings):
        self.dir.chmod(0o755)
        with socket.create_server((self.address, self.port)) as probe:
            self.port = probe.getsockname()[1]
        self.config = self.dir / "etc"
        for name in ("queue", "data", "etc", "mail"):
            (self.dir / name).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        shutil.chown(self.dir / "mail", "nobody")
        (self.config / "main.cf").write_text(_with(settings).format(dir=self.dir))
        (self.config / "master.cf").write_text(SERVICES.format(
            address=self.address, port=self.port))
        self.tool("postfix", "check").check_returncode()

    def _wait_until_it_greets(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError), \
                    socket.create_connection((self.address, self.port), seconds) as line:
                if line.recv(100).startswith(b"220"):
                    return
            time.sleep(0.01)
        raise RuntimeError(f"Postfix does not greet: {self.log()[-2000:]}")

    def tool(self, name, *arguments):
        """Runs one of Postfix's commands for this instance; the completed process."""
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return subprocess.run([shutil.which(name, path=path), "-c", self.config, *arguments],
                              text=True, capture_output=True, timeout=60,
                              env={**os.environ, "PATH": path})

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def delivered(self, marker):
        """Messages in its mailboxes with the marker."""
        texts = [path.read_bytes() for path in (self.dir / "mail").rglob("new/*")]
        return [text for text in texts if marker.encode() in text]

    def handed_over(self, recipient):
        """How many messages for the recipient another server took."""
        return len(re.findall(rf"to=<{re.escape(recipient)}>.*status=sent", self.log()))

    def is_idle(self):
        """Nothing is in its queue."""
        return self.log().count("(queue active)") == self.log().count(": removed")

    def close(self):
        """Until nothing of it is left."""
        if self.master is not None:
            self.master.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.master.wait(20)
            self._end_group()
            self.master.wait()
            self.master = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def _end_group(self):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(self.master.pid, 9)
                self.master.poll()
                time.sleep(0.01)
