"""The first cluster of docs/operator-guide.md, set up by the very lines that stand there: typed at
a terminal, with other folders, addresses and ports."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import wait_for
from nodes_lab import MUSTER
from terminal import on_terminal
from test_symmetric import DOVECOT, free_ports

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs/operator-guide.md"
ADDRESSES = {"sv1": "127.77.0.1", "sv2": "127.77.0.2", "fe1": "127.77.0.11"}
PASSWORD = "correct horse"


class Machine:
    """One of the guide's three machines: a folder, an address, and what runs there."""

    def __init__(self, folder, name):
        self.folder, self.name, self.processes = folder / name, name, []
        for part in ("muster", "dovecot", "mail", "run", "dovecot-state"):
            (self.folder / part).mkdir(parents=True)
        self.file = self.folder / "muster/muster.toml"
        self.ports = free_ports(ADDRESSES[name], "143", "993", "110", "995", "4190", "24", "7700", "2525")

    def here(self, text):
        """Words of the guide as they are for this machine of the test."""
        for path, part in (("/etc/muster", "muster"), ("/etc/dovecot/muster", "dovecot"),
                           ("/var/mail/muster", "mail"), ("/var/lib/muster", "state")):
            text = text.replace(path, str(self.folder / part))
        return text


class FirstCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-g-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.folder.chmod(0o755)
        cls.machines = {name: Machine(cls.folder, name) for name in ADDRESSES}
        cls.addClassCleanup(cls.end_all)
        guide = GUIDE.read_text()
        cls.steps = re.split(r"^### ", guide[guide.index("## A first cluster"):
                                             guide.index("## Other shapes")], flags=re.M)

    @classmethod
    def end_all(cls):
        for process in [one for each in cls.machines.values() for one in reversed(each.processes)]:
            process.send_signal(signal.SIGTERM)
        for process in [one for each in cls.machines.values() for one in each.processes]:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def words(self, machine, text):
        """With the test's folders, addresses and ports."""
        text = machine.here(text)
        for name in ("fe1", "sv2", "sv1"):
            guide = {"sv1": "10.0.0.1", "sv2": "10.0.0.2", "fe1": "10.0.0.11"}[name]
            ports = self.machines[name].ports
            text = re.sub(rf"\b{re.escape(guide)}:(\d+)",
                          lambda m: f"{ADDRESSES[name]}:{ports[m[1]]}", text)
            text = re.sub(rf"\b{re.escape(guide)}\b", ADDRESSES[name], text)
            if f"host={ADDRESSES[name]}" in text:
                text = re.sub(r"\.port=(\d+)", lambda m: f".port={ports[m[1]]}", text)
        text = re.sub(r"0\.0\.0\.0:(\d+)",
                      lambda m: f"{ADDRESSES[machine.name]}:{machine.ports[m[1]]}", text)
        return text.replace("10.0.0.0/24", "127.77.0.0/24")

    def blocks(self, step, kind=""):
        return [text for its_kind, text in
                re.findall(r"^```(\w*)\n(.*?)^```", self.steps[step], re.M | re.S)
                if its_kind == kind]

    def lines(self, step, block=0):
        text = self.blocks(step)[block].replace("\\\n", " ")
        return [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]

    def type(self, name, line, *answers):
        """The line as typed on that machine, and what is answered to its questions."""
        machine = self.machines[name]
        if line.startswith("systemctl enable --now muster"):
            return self.serve(machine)
        line = self.words(machine, line)
        line = re.sub(r"^muster ", f"{MUSTER} --config {machine.file} ", line)
        line = line.replace("jq -r .certificate", f"{sys.executable} -c 'import json, sys; "
                            "print(json.load(sys.stdin)[\"certificate\"], end=\"\")'")
        code, said = on_terminal(["bash", "-c", f"cd {machine.folder}; {line}"], answers)
        self.assertEqual(code, 0, f"{name}: {line}\n{said}")
        return said

    def start(self, machine, name, *command):
        with open(machine.folder / f"{name}.log", "ab") as log:
            machine.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                                      stdout=log, stderr=log))

    def serve(self, machine):
        self.start(machine, "muster", MUSTER, "serve", "--config", machine.file)
        log = machine.folder / "muster.log"
        wait_for(lambda: "event=started" in log.read_text(), f"{machine.name} serves")

    def write_node_file(self, name, text):
        machine = self.machines[name]
        text = self.words(machine, text).replace(
            "[node]", f'[node]\nstate_dir = "{machine.folder}/state"\ndrain_time = 1')
        text = text.replace("[backend]", f'[backend]\nbase_dir = "{machine.folder}/run"'
                            f'\nmail_out_listen = "{ADDRESSES[name]}:{machine.ports["2525"]}"')
        if os.getuid() != 0:  # Dovecot's parts are all this user then
            text = re.sub(r"^(dict_socket_group|mail_[ug]id) .*\n", "", text, flags=re.M)
        else:
            text = text.replace("5000", str(pwd.getpwnam("nobody").pw_uid))
            os.chown(machine.folder / "mail", pwd.getpwnam("nobody").pw_uid, -1)
        if name == "fe1":  # elsewhere the network sees to it
            text += f'[upstream]\nsource_addresses = ["{ADDRESSES[name]}"]\n'
        machine.file.write_text(text)

    def run_dovecot(self, name):
        machine = self.machines[name]
        own = machine.folder / "dovecot/own.conf"
        own.write_text(f"!include dovecot.conf\nlog_path = {machine.folder}/dovecot.log\n"
                       f"state_dir = {machine.folder}/dovecot-state\n")
        self.start(machine, "dovecot", DOVECOT, "-F", "-c", own)

    def test_whoever_follows_it_line_by_line_has_a_cluster(self):
        back_end, front_end = self.blocks(1, "toml")
        self.write_node_file("sv1", back_end)
        self.write_node_file("sv2", back_end.replace('"sv1"', '"sv2"').replace(
            "10.0.0.1:", "10.0.0.2:").replace('"10.0.0.1"', '"10.0.0.2"').replace(
                '["master", "backend"]', '["backend"]'))
        self.write_node_file("fe1", front_end)
        initialise, *more = self.lines(2)
        self.type("sv1", initialise, PASSWORD, PASSWORD)
        for line in more:
            self.type("sv1", line)
        self.join()
        for line in self.lines(4):
            self.type("sv1", line)
        self.certificates()
        for name in ("sv1", "sv2"):
            for line in self.lines(6):
                self.type(name, line.replace("sv1", name))
            self.run_dovecot(name)
        self.prove()

    def join(self):
        join, enable = self.lines(3, 1)
        for line, name in zip(self.lines(3), ("sv2", "fe1")):
            said = self.type("sv1", line)
            token = re.search(r"^[a-z2-7]{32}$", said, re.M)[0]
            pin = re.search(r"sha256//\S+", said)[0]
            self.type(name, join.replace("sha256//…", pin), token)
            self.type(name, enable)
            self.assertIn("is fine", self.type(name, "muster check"))
        wait_for(lambda: self.type("sv1", "muster status").count(" yes ") == 3,
                 "three nodes that have the state")

    def certificates(self):
        issue = self.lines(5)[0]
        self.type("sv1", issue)
        self.type("sv2", issue.replace("sv1", "sv2").replace("10.0.0.1", "10.0.0.2"))
        for line in self.lines(5, 2):  # without a public authority
            self.type("sv1", line)

    def prove(self):
        wait_for(lambda: "no alarms" in self.type("sv1", "muster status") and
                 self.type("sv1", "muster status").count(" up    up    up") == 2,
                 "all services are up", 60)
        account, locate, check, curl, status = self.lines(8)
        self.type("sv1", account, PASSWORD, PASSWORD)
        self.assertIn("home: sv2", self.type("sv1", locate))
        self.assertNotIn("failed", self.type("sv1", check))
        address = f"{ADDRESSES['fe1']}:{self.machines['fe1'].ports['993']}"
        self.assertIn("INBOX", self.type(
            "sv1", curl.replace("curl", f"curl -s --connect-to ::{address} --cacert ca.pem"),
            PASSWORD))
        self.assertIn("no alarms", self.type("sv1", status))


if __name__ == "__main__":
    unittest.main()
