"""Sites with a network between them: each site is a network namespace, joined to the others by a router
in a namespace of its own, whose links can be cut (nobody is told) and slowed down. As root only.

The namespaces are held by processes that end with the test's process, as the nodes in them do (exactly:
with the thread that started them); nothing has a name, so that nothing is left, however a test ends.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import harness
import mail_lab
import nodes_lab
from network_of import network_of
from nodes_lab import MUSTER, wait_for

POSSIBLE = os.geteuid() == 0 and all(
    shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")
    for tool in ("ip", "tc", "unshare", "nsenter", "setpriv"))
_WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # ends when this process does


class Namespace:
    """A network of its own; lives as long as its holder."""

    def __init__(self):
        self.holder = subprocess.Popen([*_WITH_US, "unshare", "--net", "sleep", "infinity"],
                                       stdin=subprocess.DEVNULL)
        own = os.stat("/proc/self/ns/net").st_ino
        try:
            wait_for(lambda: os.stat(f"/proc/{self.holder.pid}/ns/net").st_ino != own)
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def command(self, *words):
        return [*_WITH_US, "nsenter", "-t", str(self.holder.pid), "-n", *words]

    def run(self, *words):
        done = subprocess.run(self.command(*words), text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def inside(self):
        return network_of(self.holder.pid)

    def free_port(self):
        with self.inside():
            return nodes_lab.free_port()

    def close(self):
        self.holder.kill()
        self.holder.wait()


class Site(Namespace):
    def __init__(self, router, number):
        super().__init__()
        self.router, self.link = router, f"site{number}"
        self.address = f"10.77.{number}.2"
        try:
            router.run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "out",
                       "netns", str(self.holder.pid))
            router.run("ip", "address", "add", f"10.77.{number}.1/24", "dev", self.link)
            router.run("ip", "link", "set", self.link, "up")
            self.run("ip", "address", "add", f"{self.address}/24", "dev", "out")
            self.run("ip", "link", "set", "out", "up")
            self.run("ip", "route", "add", "default", "via", f"10.77.{number}.1")
        except BaseException:
            self.close()
            raise

    def _forwards(self, yes):
        self.router.run("sh", "-c",
                        f"echo {int(yes)} >/proc/sys/net/ipv4/conf/{self.link}/forwarding")

    def cut(self):
        """What comes from there and what goes there is dropped; nobody is told."""
        self.router.run("ip", "route", "replace", "blackhole", f"{self.address}/32")
        self._forwards(False)

    def mend(self):
        self._forwards(True)
        self.router.run("ip", "route", "delete", "blackhole", f"{self.address}/32")

    def slow(self, rate):
        """What goes there goes no faster than this ("1mbit")."""
        self.router.run("tc", "qdisc", "replace", "dev", self.link, "root", "tbf", "rate", rate,
                        "burst", "32kb", "latency", "200ms")

    def fast(self):
        self.router.run("tc", "qdisc", "delete", "dev", self.link, "root")

    def bytes_in(self):
        """How much went there so far."""
        rows = json.loads(self.router.run("ip", "-s", "-j", "link", "show", "dev", self.link))
        return rows[0]["stats64"]["tx"]["bytes"]


class SiteNode(nodes_lab.Node):
    """A node at a site: its cluster port is reached from all sites, all else at its site alone."""

    def __init__(self, folder, name, site, roles, extra=""):
        self.site = site
        with site.inside():
            super().__init__(folder, name, roles, extra)

    def write_file(self, roles, extra=""):
        self.cluster = f"{self.site.address}:{self.cluster.rsplit(':', 1)[1]}"
        super().write_file(roles, extra)
        self.change_file("[cluster]\n", '[cluster]\nallow = ["127.0.0.0/8", "10.77.0.0/16"]\n')

    def change_file(self, old, new):
        text = self.file.read_text()
        assert old in text, (old, text)
        self.file.write_text(text.replace(old, new, 1))

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.site.command(MUSTER, "serve", "--config", str(self.file)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, 30)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)  # a test may have left it stopped
        return super().stop()

    def http(self, *arguments, **options):
        with self.site.inside():
            return super().http(*arguments, **options)

    def cli(self, *words, stdin="", timeout=60):
        done = subprocess.run(
            self.site.command(MUSTER, "--config", str(self.file), *words), input=stdin, text=True,
            capture_output=True, timeout=timeout,
            env={key: value for key, value in os.environ.items() if key != "MUSTER_API"})
        return done.returncode, done.stdout, done.stderr

    def api(self, method, target, body=None):
        """A call to its admin socket; raises harness.ApiError."""
        return harness.api_call(str(self.state / "admin.sock"), method, target, body)

    def here(self):
        """Its own row of the status, whoever else can be reached."""
        return self.api("GET", "/v1/status?here=1")

    def alarms(self, about=""):
        return " ".join(row["text"] for row in self.here()["alarms"]
                        if not about or row["about"] == about)

    def memory(self, field="VmRSS"):
        """In kB, of /proc/PID/status."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(field)


class SitesLab(nodes_lab.Lab):
    """A laboratory of as many sites as asked for."""

    def __init__(self, *names):
        super().__init__()
        self.router, self.sites = None, {}
        try:
            self.router = Namespace()
            self.router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            for number, name in enumerate(names, 1):
                self.sites[name] = Site(self.router, number)
        except BaseException:
            self.close()
            raise

    def at(self, site, name, roles, extra=""):
        node = SiteNode(self.folder, name, self.sites[site], roles, extra)
        self.nodes.append(node)
        return node

    def master_at(self, site, name="m1", before_start=None):
        """A new cluster with one administrator, root / rootpass."""
        node = self.at(site, name, ["master"])
        if before_start:
            before_start(node)
        node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        node.start()
        return node

    def member_at(self, site, master, name, roles, scope, extra="", before_start=None):
        node = self.at(site, name, roles, extra)
        if before_start:
            before_start(node)
        token = master.ask("token", "add", "--scope", scope)
        node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        node.start()
        return node

    def follower_at(self, site, master, name, *, mode="relay", roles=("master",), extra="",
                    start=True, before_start=None, **options):
        """A node with a cluster of its own that follows the master's as network hq."""
        host, port = master.cluster.rsplit(":", 1)
        options = {"name": "hq", "host": host, "port": int(port), "inactivity_timeout": 5,
                   "mode": mode, **options}
        follow = "[[follow]]\n" + "".join(f"{key} = {json.dumps(value)}\n"
                                          for key, value in options.items())
        node = self.at(site, name, list(roles), extra + follow)
        if before_start:
            before_start(node)
        node.do("cluster", "init")
        node.do("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin",
                stdin="rootpass\n")
        if start:
            node.start()
        return node

    def close(self):
        try:
            for node in self.nodes:
                try:
                    node.stop()
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()
                    raise
        finally:
            for namespace in [*self.sites.values(), self.router]:
                if namespace:
                    namespace.close()
            if os.environ.get("MUSTER_KEEP_LAB"):
                print("kept", self.folder)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)


def network(node, name="hq"):
    """What a node's status says of a network that it follows."""
    return next(row for row in node.here()["networks"] if row["name"] == name)


def in_step(node):
    """A follower of hq, or a member: has all there was when it last heard."""
    if node.here().get("networks"):
        return network(node)["phase"] == "following"
    return node.here()["replica"]["phase"] == "following"


def rows_of_csv(path, count, prefix="user", domain="big.dom", server="sv1", start=0):
    """Writes a file for `account import`; returns its path."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("address,home\n")
        for number in range(start, start + count):
            file.write(f"{prefix}{number}@{domain},{server}\n")
    return str(path)


def smtp_listener(port):
    return (f'[[listener]]\nprotocol = "smtp"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
            '[mail]\nhost_name = "relay.test"\nclient_names = false\n')


class Rcpt:
    """What a stranger hears of a recipient at a relay's SMTP listener."""

    def __init__(self, node, port):
        self.node, self.port = node, port

    def __call__(self, address):
        with self.node.site.inside():
            smtp = mail_lab.Smtp(self.port, source=harness.new_source())
        with smtp:
            return smtp.envelope("someone@elsewhere.test", address)[0]
