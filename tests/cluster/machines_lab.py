"""Machines with an address of their own on one wire: namespaces in which pages can be followed to
the letter, with their paths, ports and addresses. Root only."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import harness
from harness import wait_for
from network_of import network_of
from nodes_lab import MUSTER
from terminal import on_terminal

PARTS = ("etc", "var/lib", "var/mail")  # what stays when a machine is switched off
FROM_ETC = [f"/etc/{each}" for each in (
    "passwd", "group", "shadow", "gshadow", "login.defs", "default", "pam.d", "security", "nsswitch.conf", "ld.so.cache",
    "dovecot", "ssl/openssl.cnf", "ssl/certs/ca-certificates.crt")]


class Namespace:
    """Its first process reads from us until the end: when we are gone, so is everything in it."""

    def __init__(self, commands="true"):
        self.outer = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-ec", f"ip link set lo up; {commands}; echo ready; exec cat >/dev/null"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.outer.stdout.readline() != b"ready\n":
            self.close()
            raise AssertionError("no namespace")
        (self.pid,) = harness.children_of(self.outer.pid)

    def inside(self, *command):
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--pid", "--",
                *map(str, command)]

    def link(self, *words):
        subprocess.run(["nsenter", f"--target={self.pid}", "--net", "ip", *map(str, words)],
                       check=True)

    def network(self):
        return network_of(self.pid)

    def close(self):
        self.outer.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self.outer.kill()
        self.outer.wait()
        self.outer.stdout.close()


def descendants(pid):
    found = harness.children_of(pid)
    return found + [each for child in found for each in descendants(child)]


class Machine:
    """`addresses`: the first is the one it speaks from."""

    def __init__(self, wire, name, *addresses):
        self.wire, self.name, self.addresses = wire, name, addresses
        self.folder = wire.folder / name
        for part in PARTS:
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for part in filter(os.path.exists, FROM_ETC):
            (self.folder / part[1:]).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if os.path.isdir(part) else shutil.copy2)(part, self.folder / part[1:])
        (self.folder / "etc/muster").mkdir()
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")  # nobody answers, at once
        self.services = {}
        self.space = None
        self.switch_on()

    def switch_on(self):
        binds = "; ".join(f"mount --bind {self.folder}/{part} /{part}" for part in PARTS)
        self.space = Namespace(f"{binds}; mount -t tmpfs none /run; hostname {self.name}")
        self.wire.plug(self.space, self.addresses)

    def switch_off(self):
        """As a power cut does."""
        if self.space:
            self.space.close()
            self.space = None
        for process in self.services.values():
            process.wait(20)
        self.services = {}

    def write(self, path, text):
        (self.folder / path.lstrip("/")).write_text(text)

    def read(self, path):
        return (self.folder / path.lstrip("/")).read_text(errors="replace")

    def run(self, line, *answers, typed="", fails=False):
        """A line of shell, typed at a terminal of this machine; returns what was said."""
        service = re.match(r"systemctl (enable --now|restart|stop|start) (\w+)", line)
        if service:
            return self.systemctl(service[1], service[2])
        search = f"PATH={self.wire.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        code, said = on_terminal(self.space.inside(
            "env", "-u", "MUSTER_API", search, "bash", "-c", line), answers, typed)
        if (code != 0) != fails:
            raise AssertionError(f"{self.name}: {line}: {code}\n{said}\n{self.log()[-3000:]}")
        return said

    def systemctl(self, verb, service):
        if verb in ("stop", "restart"):
            self.stop(service)
        if verb != "stop":
            self.start(service, "exec muster serve --config /etc/muster/muster.toml",
                       lambda log: "event=started" in log)

    def start(self, service, line, is_ready=lambda log: True):
        path = self.folder / f"{service}.log"
        before = len(self.log(service))
        search = f"PATH={self.wire.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with open(path, "ab") as log:
            self.services[service] = process = subprocess.Popen(
                self.space.inside("env", search, "bash", "-c", line),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def ready():
            if process.poll() is not None:
                raise AssertionError(f"{self.name}: {service} ended: {self.log(service)[before:]}")
            return is_ready(self.log(service)[before:])
        wait_for(ready, f"{service} of {self.name}")

    def stop(self, service):
        """Asks it to end, and ends what is left of it, as systemd does."""
        process = self.services.pop(service)
        first, *others = descendants(process.pid)
        os.kill(first, signal.SIGTERM)
        process.wait(30)
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self, service="muster"):
        path = self.folder / f"{service}.log"
        return path.read_text(errors="replace") if path.exists() else ""


class Wire:
    """All machines see each other; 10.0.0.0/8 is one network. Everything ends with close()."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-wire-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/muster").symlink_to(pathlib.Path(MUSTER).resolve())
        self.machines, self.count = [], 0
        self.hub = Namespace("ip link add hub type bridge; ip link set hub up")

    def machine(self, name, *addresses):
        machine = Machine(self, name, *addresses)
        self.machines.append(machine)
        return machine

    def plug(self, space, addresses):
        """A machine that is switched on again has the hardware address that others remember."""
        self.count += 1
        port, last = f"port{self.count}", addresses[0].split(".")[1:]
        space.link("link", "add", "eth0", "address", "02:00:00:" + ":".join(f"{int(each):02x}" for each in last),
                   "type", "veth", "peer", "name", port, "netns", self.hub.pid)
        self.hub.link("link", "set", port, "master", "hub", "up")
        for address in addresses:
            space.link("address", "add", f"{address}/8", "dev", "eth0")
        space.link("link", "set", "eth0", "up")

    def close(self):
        for machine in self.machines:
            if machine.space:
                machine.space.outer.kill()  # all at once, then each is waited for
        for machine in self.machines:
            machine.switch_off()
        self.hub.close()
        if not os.environ.get("MUSTER_KEEP_LAB"):
            shutil.rmtree(self.folder, ignore_errors=True)
