"""A master with many accounts and front ends that follow it, each a process, for network_measures."""

import http.client
import json
import shutil
import socket
import sqlite3
import subprocess
import time

from . import processes
from .site import DOMAIN


class LocalHttp(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Node:
    """One `muster serve` on all cores."""

    def __init__(self, site, name, roles, cluster_port=0):
        self.site, self.name, self.process = site, name, None
        self.state = site.directory / name
        self.file = site.directory / f"{name}.toml"
        listen = f'listen = "127.0.0.1:{cluster_port}"' if cluster_port else ""
        self.file.write_text(f"""
[node]
name = "{name}"
roles = [{", ".join(f'"{role}"' for role in roles)}]
state_dir = "{self.state}"
workers = 1
drain_time = 0
log_level = "warning"
[cluster]
{listen}
[backend]
mail_out_listen = ""
""", encoding="utf-8")

    def start(self):
        with open(self.site.directory / f"{self.name}.log", "ab") as log:
            self.process = processes.start(
                [self.site.muster, "serve", "--config", self.file], {0, 1}, stderr=log)

    def stop(self):
        if self.process:
            processes.stop(self.process)
        self.process = None

    def cpu(self):
        return processes.cpu_seconds([self.process.pid])

    def peak_kilobytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))

    def anonymous_kilobytes(self):
        """What it holds besides pages of files."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))

    def cli(self, *words, text=None):
        done = subprocess.run([str(self.site.muster), "--config", str(self.file), *words],
                              input=text, text=True, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr}")
        return done.stdout

    def call(self, method, path, body=b"", content_type="application/json"):
        line = LocalHttp(self.state / "admin.sock")
        line.request(method, path, body, {"Content-Type": content_type})
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return text

    def wait_until_up(self):
        deadline = time.monotonic() + 60
        while not (self.state / "admin.sock").exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{self.name} does not start")
            time.sleep(0.02)

    def replica(self):
        """Its newest whole copy, opened for reading; None while there is none."""
        for file in sorted(self.state.glob("replica-*.db"), reverse=True):
            store = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
            try:
                if read(store, "SELECT value FROM meta WHERE name = 'whole'"):
                    return store
            except sqlite3.OperationalError:
                pass  # only just made
            store.close()
        return None


class Network:
    """`with Network(site, accounts, followers) as network:` all have joined then; start_followers()
    starts them with their copies."""

    def __init__(self, site, accounts, followers):
        self.site, self.accounts = site, accounts
        port = processes.free_port()
        self.master = Node(site, "bench", ["master"], port)
        self.address = f"127.0.0.1:{port}"
        self.followers = [Node(site, f"follower-{followers}-{number}", ["frontend"]) for number in range(followers)]

    def __enter__(self):
        if not self.master.state.exists():
            subprocess.run(
                [self.site.tools / "fill_directory", "--state", self.master.state,
                 "--server", self.site.server_address, "--domain", DOMAIN,
                 "--accounts", str(self.accounts)], check=True)
        self.master.start()
        self.master.wait_until_up()
        for follower in self.followers:
            self.join(follower)
        return self

    def join(self, follower, scope="frontend"):
        shutil.rmtree(follower.state, ignore_errors=True)
        token = json.loads(self.master.cli("token", "add", "--scope", scope, "--json"))
        follower.cli("cluster", "join", "--master", self.address, "--pin", token["pin"],
                     "--token-stdin", text=token["token"] + "\n")

    def start_followers(self):
        """One makes a copy over the network; all are given that file, as they would have made it
        themselves, one by one."""
        donor = Node(self.site, f"donor-{len(self.followers)}", ["frontend"])
        self.join(donor)
        donor.start()
        self.wait_for(lambda: donor.replica() is not None, 60)
        donor.stop()
        copy = max(donor.state.glob("replica-*.db"))
        for follower in self.followers:
            shutil.copy(copy, follower.state / copy.name)
        shutil.rmtree(donor.state)
        return self.continue_followers("settled")

    def continue_followers(self, word):
        """Starts them and returns when they have what was written last."""
        for follower in self.followers:
            follower.start()
        for follower in self.followers:
            follower.wait_until_up()
        replicas = [follower.replica() for follower in self.followers]
        address = self.add(f"{word}{len(self.followers)}")
        self.wait_for(lambda: all(knows(replica, address) for replica in replicas), 60)
        return replicas

    def start_back_end(self):
        """One that is in step; it is stopped with the followers."""
        node = Node(self.site, f"back-end-{len(self.followers)}", ["backend"])
        self.join(node, "backend")
        self.followers.append(node)
        node.start()
        self.wait_for(lambda: node.replica() is not None, 60)
        return node

    def add(self, local, at=None):
        address = f"{local}@{DOMAIN}"
        (at or self.master).call("POST", "/v1/accounts", json.dumps({"address": address, "home": "fake"}))
        return address

    @staticmethod
    def wait_for(what, seconds):
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise RuntimeError("a follower does not get there")
            time.sleep(0.01)

    def __exit__(self, *_):
        for node in [*self.followers, self.master]:
            node.stop()
        for follower in self.followers:
            shutil.rmtree(follower.state, ignore_errors=True)


def read(replica, *query):
    """All rows, so that no read stays open and sees nothing new."""
    return replica.execute(*query).fetchall()


def knows(replica, address):
    return bool(read(replica, "SELECT 1 FROM entry WHERE key = ?", (f"account/{address}",)))


def position(replica):
    """The revision that this copy has reached."""
    (cursor,), = read(replica, "SELECT value FROM meta WHERE name = 'cursor'")
    return int(cursor.rpartition(".")[2])
