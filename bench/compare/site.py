"""What every peer of one run shares: a scratch directory, a certificate, the fake server, and the
load tool."""

import json
import select
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import processes

DOMAIN = "bench.test"
LOAD_SECONDS = 600  # no load takes a tenth of it; a peer was seen to leave a TLS session for ever


class Site:
    """Use as a context manager: leaving it ends the fake server and removes the directory."""

    def __init__(self, build, users=100):
        self.tools = Path(build) / "bench"
        self.muster = Path(build) / "src" / "muster"
        self.users = users
        self.load_cores = processes.LOAD_CORE
        self.directory = Path(tempfile.mkdtemp(prefix="muster-bench-"))
        self.directory.chmod(0o755)
        self.certificate = self.directory / "certificate.pem"
        self.key = self.directory / "key.pem"

    def __enter__(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
             "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        self.start_server()
        return self

    def start_server(self):
        self.server = processes.start([self.tools / "fake_server"], processes.LOAD_CORE,
                                      stdout=subprocess.PIPE, text=True)
        self.server_port = processes.announced_ports(self.server, 1)["port"]

    def __exit__(self, *_):
        processes.stop(self.server)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def server_address(self):
        return f"127.0.0.1:{self.server_port}"

    def start_load(self, verb, port, tls, count, **options):
        """Starts `load`; its standard output carries one line of JSON."""
        options = {"users": self.users, "domain": DOMAIN, **options}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return processes.start(
            [self.tools / "load", verb, "--target", f"127.0.0.1:{port}", "--tls", int(tls),
             "--count", count, *words], self.load_cores,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def load(self, verb, port, tls, count, **options):
        """Runs `load` to its end; every client must have succeeded."""
        process = self.start_load(verb, port, tls, count, **options)
        return self.finish(process, count)

    def finish(self, process, count, seconds=LOAD_SECONDS):
        """The outcome of a `load`, which is ended when it hangs."""
        try:
            text = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            raise self.hangs(process, seconds) from None
        return self.outcome(process, count, text)

    def held(self, process, count, seconds=LOAD_SECONDS):
        """The next outcome that a `load` which goes on tells."""
        if not select.select([process.stdout], [], [], seconds)[0]:
            raise self.hangs(process, seconds)
        return self.outcome(process, count, process.stdout.readline())

    @staticmethod
    def hangs(process, seconds):
        processes.stop(process)
        command = " ".join(str(word) for word in process.args)
        return RuntimeError(f"load hangs: not done within {seconds} s, some client waits for an "
                            f"answer that does not come: {command}")

    @staticmethod
    def outcome(process, count, text):
        outcome = json.loads(text or "{}")
        if outcome.get("done") != count or process.returncode not in (0, None):
            raise RuntimeError(f"load failed: {outcome or process.args}")
        return outcome
