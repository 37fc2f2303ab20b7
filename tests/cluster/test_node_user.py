"""[node] user: a node that root starts binds low ports and then is an ordinary user for good."""
import os
import pathlib
import pwd
import socket
import unittest

from nodes_lab import Lab, wait_for

USER = "mail"  # a system user that every Debian has


def low_port(address):
    for port in range(1023, 512, -1):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise AssertionError("no low port is free")


def greeting(address, port):
    try:
        with socket.create_connection((address, port), timeout=5) as stream:
            return stream.recv(100)
    except OSError:
        return b""


def status_of(path):
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class NodeUser(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        os.chmod(self.lab.folder, 0o755)
        self.address, self.port = "127.0.0.1", low_port("127.0.0.1")

    def node(self, name, roles, user=USER):
        extra = "" if "frontend" not in roles else \
            f'[[listener]]\naddress = "{self.address}:{self.port}"\ntls = "none"\n'
        node = self.lab.node(name, roles, extra)
        text = node.file.read_text().replace("workers = 1", f'workers = 2\nuser = "{user}"')
        node.file.write_text(text)
        return node

    def founded(self, name="fe1", roles=("master", "frontend")):
        node = self.node(name, list(roles))
        node.do("cluster", "init", "--administrator", "root", "--password-stdin",
                stdin="rootpass\n")
        return node

    def test_every_thread_is_that_user_and_keeps_nothing(self):
        node = self.founded()
        node.start()
        user = pwd.getpwnam(USER)
        for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
            status = status_of(task / "status")
            self.assertEqual(status["Uid"].split(), [str(user.pw_uid)] * 4)
            self.assertEqual(status["Gid"].split(), [str(user.pw_gid)] * 4)
            self.assertEqual({int(group) for group in status["Groups"].split()},
                             set(os.getgrouplist(USER, user.pw_gid)))
            for kind in ("CapEff", "CapPrm", "CapAmb", "CapInh"):
                self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertTrue(greeting(self.address, self.port).startswith(b"* OK"))
        node.do("domain", "add", "domain1.dom")  # the state can be written
        owners = {path.name: path.stat().st_uid for path in node.state.iterdir()}
        self.assertEqual(set(owners.values()), {user.pw_uid}, owners)
        self.assertEqual(node.stop(), 0)

    def test_low_ports_come_back_after_a_drain(self):
        node = self.founded()
        node.start()
        for _ in range(3):
            node.do("node", "drain", "fe1")
            wait_for(lambda: greeting(self.address, self.port) == b"")
            node.do("node", "resume", "fe1")
            wait_for(lambda: greeting(self.address, self.port).startswith(b"* OK"))
        # Both workers' sockets listen again, and none of them is left without its worker.
        for _ in range(20):
            self.assertTrue(greeting(self.address, self.port).startswith(b"* OK"))

    def test_an_unknown_user_is_named(self):
        node = self.node("fe1", ["master", "frontend"], "nosuchuser")
        for verb in (("serve",), ("cluster", "init"), ("check",)):
            code, out, err = node.cli(*verb)
            self.assertEqual(code, 1)
            self.assertIn('there is no user "nosuchuser"', (out + err).replace("\\", ""))

    def test_a_state_folder_of_somebody_else_is_refused(self):
        node = self.founded()
        stray = node.state / "cluster.json"
        os.chown(stray, 0, 0)
        for verb in ("serve", "check"):
            code, out, err = node.cli(verb)
            self.assertEqual(code, 1)
            self.assertRegex((out + err).replace('\\"', ""),
                             f"{stray} belongs to root, not to {USER}.*"
                             f"chown -R {USER}: {node.state}")

    def test_a_member_that_joined_as_root_serves(self):
        master = self.lab.master()
        token = master.ask("token", "add", "--scope", "frontend")
        node = self.node("fe1", ["frontend"])
        node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        node.start()
        master.do("domain", "add", "domain1.dom")
        wait_for(lambda: "domain1.dom" in node.cli("domain", "list")[1])

    def test_a_network_is_joined_with_a_password_file_of_root(self):
        master = self.lab.master()
        secrets = self.lab.folder / "etc"
        secrets.mkdir(mode=0o755)
        file = secrets / "hq.password"
        file.touch(0o600)
        file.write_text("rootpass\n")
        host, port = master.cluster.rsplit(":", 1)
        node = self.node("fe1", ["master"])
        with open(node.file, "a") as text:
            text.write(f'[[follow]]\nname = "hq"\nhost = "{host}"\nport = {port}\n'
                       f'user = "root"\npassword_file = "{file}"\n')
        node.do("cluster", "init")
        node.start()
        wait_for(lambda: (node.state / "networks" / "hq" / "cluster.json").exists())
        # The folder is root's: nobody else removes a file there.
        wait_for(lambda: "password_file_left" in node.log.read_text())
        self.assertEqual(file.read_text(), "")

    def test_commands_of_root_follow_no_link_in_the_state_folder(self):
        master = self.lab.master()
        host, port = master.cluster.rsplit(":", 1)
        node = self.node("fe1", ["master"])
        with open(node.file, "a") as text:
            text.write(f'[[follow]]\nname = "hq"\nhost = "{host}"\nport = {port}\n')
        node.do("cluster", "init")
        outside = self.lab.folder / "outside"
        outside.mkdir()
        (outside / "precious").write_text("x")
        networks = node.state / "networks"
        networks.mkdir(exist_ok=True)
        (networks / "hq").symlink_to(outside)
        join = ("cluster", "join", "--follow", "hq", "--user", "root", "--password-stdin")
        code, _, err = node.cli(*join, stdin="rootpass\n")
        self.assertEqual(code, 1)
        self.assertIn("neither a file nor a folder", err)
        self.assertEqual([one.name for one in outside.iterdir()], ["precious"])
        self.assertEqual((outside / "precious").stat().st_uid, 0)
        (networks / "hq").unlink()
        node.do(*join, stdin="rootpass\n")
        uid = pwd.getpwnam(USER).pw_uid
        made = [*networks.rglob("*"), networks]
        self.assertEqual({path.stat().st_uid for path in made}, {uid})
        node.start()

    def test_a_back_end_stays_root_and_says_so(self):
        node = self.node("sv1", ["backend"])
        for verb in ("serve", "check"):
            code, out, err = node.cli(verb)
            self.assertEqual(code, 1)
            self.assertIn("a back end ends processes of Dovecot and stays root", out + err)


if __name__ == "__main__":
    unittest.main()
