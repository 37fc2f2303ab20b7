"""A real Exim for tests, with a configuration, queue and processes of its own. `./dev install` unpacks
it, since Debian does not install it beside Postfix."""
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

import harness

PROGRAMS = pathlib.Path(os.environ.get("MUSTER_PROGRAMS", harness.BUILD / "programs"))
EXIM = PROGRAMS / "exim4-daemon-light/usr/sbin/exim4"

MAIN = """
exim_path = {dir}/exim
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
pid_file_path = {dir}/pid
primary_hostname = mx.exim.test
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
deliver_drop_privilege = true
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
chunking_advertise_hosts = *
smtp_accept_max = 0
"""

RETRY = """
begin retry
* * F,1h,1s
"""

# For sites' configurations: to Muster, and into a mailbox.
TRANSPORTS = """
begin transports
muster:
  driver = smtp
  allow_localhost
  hosts_avoid_tls = *
maildir:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
"""

# Debian's Exim runs as a user of its own, whom only it may see here.
START = """
set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
exec "$1/exim" -C "$1/configure" -bdf -q1s
"""
USER = 65530


class Exim:
    """Runs from its making until close(), on a port of the kernel's choice. `configuration` goes on in
    the main section; {dir} is its folder, where mailboxes may be in {dir}/mail."""

    def __init__(self, configuration):
        assert EXIM.exists(), f"no {EXIM}: ./dev install unpacks it"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-exim-"))
        self.process = None
        atexit.register(self.close)
        try:
            self._configure(configuration)
            with open(self.dir / "said", "wb") as said:
                self.process = subprocess.Popen(
                    ["unshare", "--mount", "sh", "-c", START, "sh", self.dir],
                    start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            harness.wait_for(self._greets, "Exim")
        except BaseException as error:
            said = (self.dir / "said").read_text() if self.process else ""
            self.close()
            raise RuntimeError(f"Exim does not start: {said}") from error

    def _configure(self, configuration):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        for name in ("spool", "mail"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, USER, USER)
        os.chown(self.dir, USER, USER)
        for name, line in (("passwd", f"Debian-exim:x:{USER}:{USER}::/:/usr/sbin/nologin\n"),
                           ("group", f"Debian-exim:x:{USER}:\n")):
            (self.dir / name).write_text(pathlib.Path("/etc", name).read_text() + line)
        shutil.copy2(EXIM, self.dir / "exim")  # where that user can start it again
        text = MAIN + configuration + RETRY
        for name, value in (("dir", self.dir), ("port", self.port)):
            text = text.replace("{" + name + "}", str(value))
        (self.dir / "configure").write_text(text)

    def _greets(self):
        with contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", self.port), 20) as line:
            return line.recv(100).startswith(b"220")

    def log(self):
        path = self.dir / "mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def delivered(self, marker):
        """Messages in its mailboxes with the marker."""
        texts = [path.read_bytes() for path in (self.dir / "mail").rglob("new/*")]
        return [text for text in texts if marker.encode() in text]

    def handed_over(self, recipient):
        """How many messages for the recipient another server took."""
        return len(re.findall(rf"(?m) [=-]> {re.escape(recipient)} ", self.log()))

    def is_idle(self):
        """Nothing is in its queue."""
        return self.log().count(" <= ") == self.log().count(" Completed")

    def close(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                while True:
                    os.killpg(self.process.pid, 9)
                    self.process.poll()
                    time.sleep(0.01)
            self.process.wait()
            self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)
