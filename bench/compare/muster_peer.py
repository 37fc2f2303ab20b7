"""Muster as a peer: one node that is master and front end, in front of the fake server."""

import subprocess

from . import processes
from .peers import Peer
from .site import DOMAIN


class Muster(Peer):
    """The comparison uses the defaults; other sizes are for Muster's own measures."""

    name = "muster"

    def __init__(self, site, accounts=0, workers=1):
        self.accounts = accounts or site.users
        self.workers = workers
        super().__init__(site)
        self.state = site.directory / f"state-{self.accounts}"

    def fill(self):
        """Makes the directory, unless this run has one of the size already."""
        if (self.state / "directory.db").exists():
            return
        subprocess.run(
            [self.site.tools / "fill_directory", "--state", self.state,
             "--server", self.site.server_address, "--domain", DOMAIN,
             "--accounts", str(self.accounts)], check=True)

    def start(self):
        self.choose_ports()
        self.fill()
        config = self.write("muster.toml", f"""
[node]
name = "bench"
roles = ["master", "frontend"]
state_dir = "{self.state}"
workers = {self.workers}
drain_time = 0
log_level = "warning"

[limits]
connections = 9900
connections_per_address = 9900

[[certificate]]
chain = "{self.site.certificate}"
key = "{self.site.key}"

[[listener]]
protocol = "imap"
address = "127.0.0.1:{self.ports['plain']}"
tls = "none"

[[listener]]
protocol = "imap"
address = "127.0.0.1:{self.ports['tls']}"
tls = "implicit"
""")
        self.run([self.site.muster, "serve", "--config", config])
