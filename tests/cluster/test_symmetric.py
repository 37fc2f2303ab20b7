"""One node with all roles beside its own Dovecot, set up as an operator does it; and Muster on the
address and ports of the one server that it replaces."""
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

import harness
import nodes_lab
from harness import Line, imap_login, new_source, wait_for

DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin")
PASSWORD = "correct horse"


def free_ports(address, *names):
    probes = {name: socket.socket() for name in names}
    try:
        for probe in probes.values():
            probe.bind((address, 0))
        return {name: probe.getsockname()[1] for name, probe in probes.items()}
    finally:
        for probe in probes.values():
            probe.close()


class Programs:
    """Processes and folders of one test; all ends with close()."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-y-", dir="/tmp"))
        os.chmod(self.folder, 0o755)
        self.processes = {}
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.user, self.group = user, grp.getgrgid(user.pw_gid)

    def start(self, name, *command, **options):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **options)

    def end(self, name):
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self):
        for name in list(self.processes):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def muster(self, file, *words, text=None):
        done = subprocess.run([nodes_lab.MUSTER, "--config", str(file), *map(str, words)],
                              input=text or "", text=True, capture_output=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def node(self, name, roles, address, ports, more=""):
        """Writes a node's file; returns its path."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        listeners = "".join(
            f'[[listener]]\nprotocol = "{service.rstrip("s")}"\n'
            f'address = "{address}:{ports[service]}"\n'
            f'tls = "{"implicit" if service.endswith("s") else "starttls"}"\n'
            for service in ("imap", "imaps", "pop3", "sieve") if service in ports)
        file = folder / "muster.toml"
        file.write_text(f"""
[node]
name = "{name}"
roles = [{", ".join(f'"{role}"' for role in roles)}]
state_dir = "{folder}/state"
workers = 1
drain_time = 1
[cluster]
listen = "{address}:{ports["cluster"]}"
{listeners}
{more}
""")
        return file

    def serve(self, name, file):
        before = self.log(name).count("event=started")
        self.start(name, nodes_lab.MUSTER, "serve", "--config", file)
        wait_for(lambda: self.log(name).count("event=started") > before, f"{name} to start")


def connect(address, port, authority, name, source=None):
    """An encrypted connection; the certificate must bear that name."""
    context = ssl.create_default_context(cadata=authority)
    line = Line(f"{address}:{port}", context, name, source=source or new_source())
    line.hear("OK")
    return line


class Symmetric(unittest.TestCase):
    """Commands in the order in which an operator gives them."""

    @classmethod
    def setUpClass(cls):
        cls.run_ = run = Programs()
        cls.addClassCleanup(run.close)
        cls.address, cls.other = "127.91.0.1", "127.91.0.2"
        cls.ports = free_ports(cls.address, "imap", "imaps", "pop3", "sieve", "cluster")
        cls.inner = free_ports(cls.address, "imap", "pop3", "sieve", "lmtp")
        folder = run.folder / "one"
        folder.mkdir()
        for name in ("mail", "run", "dovecot-state"):
            (folder / name).mkdir()
        if os.getuid() == 0:
            os.chown(folder / "mail", run.user.pw_uid, run.user.pw_gid)
        group = 'dict_socket_group = "dovecot"\n' if os.getuid() == 0 else ""
        backend = f"""
[backend]
base_dir = "{folder}/run"
config = "{folder}/dovecot/own.conf"
mail_root = "{folder}/mail"
mail_uid = {run.user.pw_uid}
mail_gid = {run.user.pw_gid}
mail_out_listen = "{cls.address}:{free_ports(cls.address, "out")["out"]}"
{group}"""
        cls.file = run.node("one", ["master", "symmetric"], cls.address, cls.ports, backend)
        run.muster(cls.file, "cluster", "init")
        run.serve("one", cls.file)
        cls.set_up_certificates(folder)
        cls.set_up_dovecot(folder)
        cls.set_up_directory()
        cls.add_front_end()

    @classmethod
    def set_up_certificates(cls, folder):
        for name, names in (("mail", f"mail.one.dom,{cls.address}"), ("dovecot", "one.one.dom")):
            cls.run_.muster(cls.file, "certificate", "issue", name, "--names", names, "--out",
                            folder)
        cls.run_.muster(cls.file, "certificate", "set", "mail", "--chain", folder / "mail.crt",
                        "--key", folder / "mail.key", "--names", "mail.one.dom")
        cls.authority = harness.api_call(str(folder / "state" / "admin.sock"), "GET",
                                         "/v1/authority")["certificate"]

    @classmethod
    def set_up_dovecot(cls, folder):
        services = [f"{name}.port={port}" for name, port in cls.inner.items()]
        cls.run_.muster(cls.file, "server", "add", "one", "kind=dovecot", "node=one",
                        f"host={cls.address}", "tls_name=one.one.dom", *services)
        cls.run_.muster(cls.file, "backend", "dovecot-config", "--certificate",
                        folder / "dovecot.crt", "--key", folder / "dovecot.key", "--front-ends",
                        "127.0.0.0/8", "--out", folder / "dovecot")
        own = folder / "dovecot" / "own.conf"
        own.write_text(f"!include {folder}/dovecot/dovecot.conf\nlog_path = {folder}/dovecot.log\n"
                       f"state_dir = {folder}/dovecot-state\n")
        cls.run_.start("dovecot", DOVECOT, "-F", "-c", own)

        def greets():
            try:
                with Line(f"{cls.address}:{cls.inner['imap']}") as line:
                    return line.hear("OK")
            except OSError:
                return False
        wait_for(greets, "Dovecot: " + cls.run_.log("dovecot"))

    @classmethod
    def set_up_directory(cls):
        run = cls.run_
        run.muster(cls.file, "domain", "add", "all.dom", "--servers", "one")
        run.muster(cls.file, "domain", "add", "own.dom", "kind=local", "node=one", "servers=one")
        for address in ("ada@all.dom", "ada@own.dom"):
            run.muster(cls.file, "account", "add", address, "--home", "one", "--password-stdin",
                       text=PASSWORD + "\n")

    @classmethod
    def add_front_end(cls):
        run = cls.run_
        cls.front_ports = free_ports(cls.other, "imaps", "cluster")
        cls.front_file = run.node("fe", ["frontend"], cls.other, cls.front_ports)
        master = f"{cls.address}:{cls.ports['cluster']}"
        token = run.muster(cls.file, "token", "add", "--scope", "frontend", "--json")
        token = json.loads(token)
        run.muster(cls.front_file, "cluster", "join", "--master", master, "--pin", token["pin"],
                   "--token-stdin", text=token["token"] + "\n")
        run.serve("fe", cls.front_file)
        wait_for(lambda: subprocess.run(
            [nodes_lab.MUSTER, "--config", cls.front_file, "account", "show", "ada@own.dom"],
            capture_output=True, timeout=30).returncode == 0, "the front end's copy")

    def login(self, address, port, name, source=None):
        line = connect(address, port, self.authority, "mail.one.dom", source)
        self.addCleanup(line.close)
        return imap_login(line, name, PASSWORD)

    def test_one_process_is_master_front_end_and_back_end(self):
        source = new_source()
        answer = self.login(self.address, self.ports["imaps"], "ada@all.dom", source)
        self.assertRegex(answer, "^l OK")
        log = self.run_.folder / "one" / "dovecot.log"
        found = wait_for(lambda: re.search(
            rf"event=login session=(\S+) .*client={source}:\d+ user=ada@all.dom",
            self.run_.log("one")), "the login in the node's log")
        wait_for(lambda: re.search(rf"rip={source}, .*session=<{found.group(1)}>",
                                   log.read_text()), "the login in Dovecot's log")

    def test_starttls_and_the_other_services(self):
        context = ssl.create_default_context(cadata=self.authority)
        for service, upgrade, done in (("imap", "t STARTTLS", "^t OK"), ("pop3", "STLS", r"^\+OK"),
                                       ("sieve", "STARTTLS", "^OK")):
            with self.subTest(service=service), \
                    Line(f"{self.address}:{self.ports[service]}", None, "mail.one.dom",
                         source=new_source()) as line:
                line.hear(r"^(\* OK|\+OK|OK)")
                line.ask(upgrade, done)
                line.start_tls(context)
                if service == "sieve":
                    line.hear("^OK")
                login = {"imap": imap_login, "pop3": harness.pop3_login,
                         "sieve": harness.sieve_login}[service]
                self.assertRegex(login(line, "ada@all.dom", PASSWORD), r"^(l OK|\+OK|OK)")

    def test_a_domain_of_one_node_is_served_there_alone(self):
        here, there = self.ports["imaps"], self.front_ports["imaps"]
        self.assertRegex(self.login(self.address, here, "ada@own.dom"), "^l OK")
        self.assertRegex(self.login(self.other, there, "ada@own.dom"), "^l NO")
        self.assertRegex(self.login(self.other, there, "ada@all.dom"), "^l OK")


class TakingTheServersPlace(unittest.TestCase):
    """M8: clients keep address, port, certificate, names and passwords; mail stays where it is."""

    CONFIG = """
protocols = imap pop3
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
ssl = required
ssl_cert = <{dir}/server.crt
ssl_key = <{dir}/server.key
login_trusted_networks = {trusted}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {uid}
mail_gid = {gid}
mail_location = maildir:{dir}/mail/%u
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = {address}
    port = {imap}
  }}
  inet_listener imaps {{
    address = {address}
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    address = {address}
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = home={dir}/homes/%u
}}
"""
    ADDRESS = "127.92.0.1"

    def setUp(self):
        self.run_ = Programs()
        self.addCleanup(self.run_.close)
        self.folder = self.run_.folder / "server"
        self.folder.mkdir()
        (self.folder / "users").write_text(f"ada@old.dom:{{PLAIN}}{PASSWORD}\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.folder / "server.key",
                        "-out", self.folder / "server.crt", "-subj", "/CN=mail.old.dom", "-addext",
                        "subjectAltName=DNS:mail.old.dom"], check=True, capture_output=True)
        self.authority = (self.folder / "server.crt").read_text()
        self.given_away = set()

    def start_dovecot(self, ports, trusted=""):
        user = self.run_.user
        (self.folder / "dovecot.conf").write_text(self.CONFIG.format(
            dir=self.folder, address=self.ADDRESS, user=user.pw_name, uid=user.pw_uid,
            group=self.run_.group.gr_name, gid=user.pw_gid, trusted=trusted, **ports))
        as_user = {}
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.run_.start("dovecot", DOVECOT, "-F", "-c", self.folder / "dovecot.conf", **as_user)
        wait_for(lambda: self.greets(ports["imaps"]), "Dovecot")

    def greets(self, port):
        try:
            connect(self.ADDRESS, port, self.authority, "mail.old.dom").close()
            return True
        except (OSError, AssertionError):
            return False

    def client(self, port):
        """What a client with its settings of always does."""
        line = connect(self.ADDRESS, port, self.authority, "mail.old.dom")
        self.addCleanup(line.close)
        self.assertRegex(imap_login(line, "ada@old.dom", PASSWORD), "^l OK")
        return line

    def test_on_its_address_and_ports(self):
        public = free_ports(self.ADDRESS, "imap", "imaps", "pop3", "cluster")
        self.start_dovecot(public)
        line = self.client(public["imaps"])
        mail = "Subject: kept\r\n\r\nfrom before"
        line.ask(f"a APPEND INBOX {{{len(mail)}}}", r"^\+")
        line.ask(mail, "^a OK")
        line.close()

        self.run_.end("dovecot")
        hidden = free_ports(self.ADDRESS, "imap", "imaps", "pop3")
        self.start_dovecot(hidden, "127.0.0.0/8")
        file = self.run_.node("front", ["master", "frontend"], self.ADDRESS, public, f"""
[[certificate]]
chain = "{self.folder}/server.crt"
key = "{self.folder}/server.key"
""")
        self.run_.muster(file, "cluster", "init")
        self.run_.serve("front", file)
        self.run_.muster(file, "server", "add", "old", "kind=foreign", f"host={self.ADDRESS}",
                         "introduce=xclient", "tls_name=mail.old.dom",
                         f"ca=@{self.folder}/server.crt", f"imap.port={hidden['imap']}",
                         f"pop3.port={hidden['pop3']}")
        self.run_.muster(file, "domain", "add", "old.dom", "--servers", "old")
        self.run_.muster(file, "account", "add", "ada@old.dom", "--home", "old", "--no-password")

        # Sessions go by what was added a moment after it is there.
        wait_for(lambda: '"imap": "up"' in self.run_.muster(file, "status", "--json"), "the server")
        line = self.client(public["imaps"])
        line.ask("s SELECT INBOX", "^s OK")
        self.assertIn("* 1 EXISTS", line.heard)
        line.ask("f FETCH 1 BODY[]", "^f OK")
        self.assertIn("from before", "\n".join(line.heard))
        answer = self.old_pop3_client(public["pop3"])
        self.assertRegex(answer, r"^\+OK")

    def old_pop3_client(self, port):
        with Line(f"{self.ADDRESS}:{port}", None, "mail.old.dom", source=new_source()) as line:
            line.hear(r"^\+OK")
            line.ask("STLS", r"^\+OK")
            line.start_tls(ssl.create_default_context(cadata=self.authority))
            return harness.pop3_login(line, "ada@old.dom", PASSWORD)


if __name__ == "__main__":
    unittest.main()
