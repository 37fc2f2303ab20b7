"""Muster as a peer, in front of the fake server: one node that is master and front end, or a front
end alone with its copy of the directory and no master that answers."""

import subprocess

from . import processes
from .peers import Peer
from .site import DOMAIN


class Muster(Peer):
    """The comparison uses the defaults; other sizes are for Muster's own measures."""

    name = "muster"

    def __init__(self, site, accounts=0, workers=1, alone=False):
        self.accounts = accounts or site.users
        self.workers = workers
        super().__init__(site)
        self.master_state = site.directory / f"state-{self.accounts}"
        self.state = site.directory / f"front-end-{self.accounts}" if alone else self.master_state
        self.roles = '"frontend"' if alone else '"master", "frontend"'

    def fill(self):
        """Makes the directory, unless this run has one of the size already."""
        if self.state.exists():
            return
        front_end = [] if self.state == self.master_state else ["--front-end", self.state]
        subprocess.run(
            [self.site.tools / "fill_directory", "--state", self.master_state,
             "--server", self.site.server_address, "--domain", DOMAIN,
             "--accounts", str(self.accounts), *front_end], check=True)

    def start(self):
        self.choose_ports()
        self.fill()
        config = self.write("muster.toml", f"""
[node]
name = "bench"
roles = [{self.roles}]
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
