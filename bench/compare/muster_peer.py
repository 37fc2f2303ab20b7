"""Muster as a peer: one node that is master and front end, in front of the fake server."""

import subprocess

from . import processes
from .peers import PEERS, Peer
from .site import DOMAIN


class Muster(Peer):
    """`accounts` and `workers` are for Muster's own measures; the comparison uses the defaults."""

    name = "muster"
    workers = 1
    accounts = 0  # 0: as many as the load uses

    def start(self):
        self.choose_ports()
        state = self.directory / "state"
        if not (state / "directory.db").exists():
            subprocess.run(
                [self.site.tools / "fill_directory", "--state", state,
                 "--server", self.site.server_address, "--domain", DOMAIN,
                 "--accounts", str(self.accounts or self.site.users)], check=True)
        config = self.write("muster.toml", f"""
[node]
name = "bench"
roles = ["master", "frontend"]
state_dir = "{state}"
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


PEERS[Muster.name] = Muster
