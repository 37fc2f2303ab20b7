"""Options of remote domains as a mirror has them: a third party's real Postfix behind a login, a second
host, other options from the master and of the node alone, and no credential without the right."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock

import dns_lab
import foreign_lab
import harness
import mail_lab
import postfix_lab
import test_followed_networks
from mail_lab import new_marker, text_of
from nodes_lab import Lab, entries, free_port, wait_for

PASSWORD = "the-third-partys-secret-17"
USER = "relay-of-hq"

THIRD_PARTY = """
myhostname = {name}
virtual_mailbox_domains = far.test
virtual_mailbox_base = {{dir}}/mail
virtual_mailbox_maps = inline:{{{{ {{{{ ann@far.test = ann/ }}}} }}}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/{name}.pem
smtpd_tls_key_file = {folder}/{name}.key
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
mynetworks = 192.0.2.1/32
"""
SASL = """
auth_mechanisms = plain
passdb {
  driver = passwd-file
  args = DIR/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service auth {
  unix_listener DIR/sasl {
    mode = 0666
  }
}
"""
NODE = """
[[listener]]
protocol = "smtp"
address = "127.0.0.1:{smtp}"
[mail]
host_name = "{name}.test"
dns_servers = ["127.0.0.1@{dns}"]
client_names = false
"""


class Authority:
    """Signs certificates of hosts; whoever starts with SSL_CERT_FILE = `file` knows it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-authority-"))
        self.folder.chmod(0o755)
        self.file = self.folder / "ca.pem"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "90",
                     "-subj", "/CN=Authority of third parties")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)

    def issue(self, name):
        (self.folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "90", "-extfile", "names", "-out", f"{name}.pem")

    def close(self):
        shutil.rmtree(self.folder)


def users(folder, _):
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")


def setUpModule():
    global authority, dns, sasl
    if os.geteuid() != 0:
        raise unittest.SkipTest("Postfix is started by root alone")
    authority = Authority()
    unittest.addModuleCleanup(authority.close)
    environment = unittest.mock.patch.dict(os.environ, SSL_CERT_FILE=str(authority.file))
    environment.start()
    unittest.addModuleCleanup(environment.stop)
    dns = dns_lab.NameServer()
    unittest.addModuleCleanup(dns.close)
    sasl = foreign_lab.ForeignDovecot(("imap",), SASL, users)
    unittest.addModuleCleanup(sasl.close)
    for name in ("first.far.test", "second.far.test"):
        authority.issue(name)
        dns.names[name] = dns_lab.Answer(dns_lab.address("127.0.0.1"))


class Branch:
    """A node with a cluster of its own that takes mail and mirrors hq."""

    def __init__(self, lab, name, master, mode="mirror"):
        self.smtp = free_port()
        self.node = test_followed_networks.follower(
            lab, name, NODE.format(smtp=self.smtp, name=name, dns=dns.port), roles=("master", "frontend"))
        file = test_followed_networks.password_file(self.node)
        self.node.write_file(["master", "frontend"], NODE.format(
            smtp=self.smtp, name=name, dns=dns.port) + test_followed_networks.section(
                "hq", master.cluster, user="root", password_file=str(file), mode=mode))
        self.node.start()
        wait_for(lambda: test_followed_networks.in_step(self.node))

    def domain(self, name="far.test"):
        code, out, _ = self.node.cli("domain", "show", name, "--json")
        return json.loads(out) if code == 0 else {}

    def send(self, body="hello", sender=""):
        marker = new_marker()
        with mail_lab.Smtp(self.smtp, source=harness.new_source()) as smtp:
            said = smtp.send(sender, ["ann@far.test"], text_of(marker, body=body))
        assert said.startswith("250 "), said
        return marker

    def queued(self):
        return self.node.ask("queue", "list")["messages"]

    def families(self):
        return test_followed_networks.families(self.node)


class RemoteDomains(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hosts = [self.postfix(name) for name in ("first.far.test", "second.far.test")]
        self.master = self.lab.master("hq")
        route = ",".join(f"{name}:{host.port}" for name, host in
                         zip(("first.far.test", "second.far.test"), self.hosts))
        self.master.do("domain", "add", "far.test", "kind=remote", f"route={route}", "tls=verified",
                       "retry.first=1", "retry.longest=2", "retry.expire_after=600",
                       "retry.delay_report_after=0", "limits.connections=3",
                       "limits.messages=6000", "message_bytes=100000", "filters=one,two")
        self.master.do("domain", "credential", "set", "far.test", USER, "--password-stdin",
                       stdin=PASSWORD + "\n")

    def postfix(self, name):
        host = postfix_lab.Postfix(THIRD_PARTY.format(name=name, folder=authority.folder,
                                                      sasl=sasl.dir / "sasl"))
        self.addCleanup(host.close)
        return host

    def sealed_at_master(self):
        return entries(self.master.state / "directory.db")["delivery/far.test"]

    def grant(self, name, right=True):
        self.master.do("node", "set", name, "--credentials", "true" if right else "false")

    def granted(self, name):
        branch = Branch(self.lab, name, self.master)
        self.grant(name)
        wait_for(lambda: branch.domain().get("credential") == "set")
        return branch

    def assert_came(self, marker, host, seconds=20):
        try:
            wait_for(lambda: self.hosts[host].delivered(marker), seconds)
        except AssertionError as error:
            raise AssertionError(self.hosts[host].log()[-3000:]) from error

    def taker(self, branch):
        """Sends one: which host took it, or "none". Mail heeds a change a moment after the commands
        show it, so this is asked until it is as it should be."""
        before, marker = self.refused(), branch.send()
        taken = wait_for(lambda: [at for at, host in enumerate(self.hosts) if host.delivered(marker)]
                         or self.refused() > before)
        return "none" if taken is True else taken[0]

    def refused(self):
        return sum(host.log().count("Recipient address rejected") for host in self.hosts)

    def test_a_mirror_delivers_as_the_master_says(self):
        branch = self.granted("branch")
        here, there = branch.domain(), json.loads(
            self.master.do("domain", "show", "far.test", "--json"))
        self.assertEqual(here.pop("network"), "hq")
        self.assertEqual(here, there)
        self.assertEqual(there["retry"], {"first": 1, "longest": 2, "expire_after": 600,
                                          "delay_report_after": 0})
        self.assertEqual(there["limits"], {"connections": 3, "messages": 6000})
        self.assertEqual(there["filters"], ["one", "two"])
        self.assertEqual(there["credential"], "set")

        self.assert_came(branch.send(), 0)
        self.assertRegex(self.hosts[0].log(), f"sasl_method=PLAIN, sasl_username={USER}")
        self.hosts[0].close()  # and its second host is there
        self.assert_came(branch.send(), 1)
        self.assertRegex(self.hosts[1].log(), f"sasl_username={USER}")

        with self.subTest("the master is away, and the mirror starts anew"):
            self.master.stop()
            branch.node.stop()
            branch.node.start()
            self.assertEqual(branch.domain(), {**here, "network": "hq"})
            self.assert_came(branch.send(), 1)
            self.assertEqual(self.hosts[1].log().count(f"sasl_username={USER}"), 2)
        files = test_followed_networks.holds(branch.node.state, PASSWORD)
        self.assertEqual(files, [])

    def test_changes_of_the_master_and_exceptions_of_a_branch(self):
        branch = self.granted("branch")
        self.master.do("domain", "set", "far.test", "limits.connections=7")
        wait_for(lambda: branch.domain()["limits"]["connections"] == 7)
        self.master.do("domain", "set", "far.test", "message_bytes=2000")
        wait_for(lambda: branch.domain()["message_bytes"] == 2000)

        def said():
            with mail_lab.Smtp(branch.smtp, source=harness.new_source()) as smtp:
                return smtp.envelope("", "ann@far.test", options=" SIZE=2001")[0]
        wait_for(lambda: said().startswith("552 5.3.4 "))  # mail heeds it a moment later
        too_large = branch.send(body="x" * 900 + "\r\n" + "x" * 900 + "\r\n" + "x" * 900)
        wait_for(lambda: not branch.queued())
        self.assertEqual(self.hosts[0].delivered(too_large), [])
        self.assertIn("Too large: far.test takes 2000 bytes", branch.node.log.read_text())

        second = f"second.far.test:{self.hosts[1].port}"
        branch.node.do("domain", "set", "far.test", f"route={second}", "--here")
        self.assertEqual(branch.domain()["here"], ["route"])
        self.assertEqual(branch.domain()["retry"]["first"], 1)
        wait_for(lambda: self.taker(branch) == 1)
        self.assertRegex(self.hosts[1].log(), f"sasl_username={USER}")
        self.master.do("domain", "set", "far.test", "retry.first=2")
        wait_for(lambda: branch.domain()["retry"]["first"] == 2)
        self.assertEqual(branch.domain()["route"], [second])
        branch.node.do("domain", "set", "far.test", "--here", "--inherit", "route")
        wait_for(lambda: self.taker(branch) == 0)

    def test_without_the_right_there_is_no_trace(self):
        sealed = json.loads(self.sealed_at_master())["password"]
        branch = Branch(self.lab, "branch", self.master)
        relay = Branch(self.lab, "relay", self.master, mode="relay")
        marker = branch.send()
        wait_for(lambda: "Recipient address rejected" in self.hosts[0].log())
        self.assertNotIn("sasl_username", self.hosts[0].log())
        self.assertEqual(self.hosts[0].delivered(marker), [])
        for node in (branch.node, relay.node):
            self.assertEqual(test_followed_networks.holds(
                node.folder, PASSWORD, USER, sealed, "delivery/far.test"), [])
        identity = json.loads((relay.node.state / "networks/hq/cluster.json").read_text())
        self.assertEqual(identity["secret"], "")
        code, _, error = self.master.cli("node", "set", "relay", "--credentials", "true")
        self.assertNotEqual(code, 0)
        self.assertIn("mirror", error)

        with self.subTest("granted, sealed for it alone, and taken back"):
            self.grant("branch")
            wait_for(lambda: branch.domain().get("credential") == "set")
            wait_for(lambda: self.taker(branch) == 0)
            self.assertRegex(self.hosts[0].log(), f"sasl_username={USER}")
            row = test_followed_networks.rows(branch.node)["delivery/far.test"]
            self.assertNotEqual(row["password"], sealed)
            self.grant("branch", False)
            wait_for(lambda: "delivery" not in branch.families())
            wait_for(lambda: "credential" not in branch.domain())
            wait_for(lambda: self.taker(branch) == "none")

    def test_a_changed_password_and_its_end(self):
        branch = self.granted("branch")
        before = test_followed_networks.rows(branch.node)["delivery/far.test"]
        self.master.do("domain", "credential", "set", "far.test", USER, "--password-stdin",
                       stdin="wrong\n")
        wait_for(lambda: test_followed_networks.rows(branch.node)["delivery/far.test"] != before)

        def is_refused():
            marker = branch.send()
            wait_for(lambda: "authentication failed" in self.hosts[0].log()
                     or self.hosts[0].delivered(marker))  # in the moment before it was known
            return "authentication failed" in self.hosts[0].log()
        wait_for(is_refused)
        self.master.do("domain", "credential", "set", "far.test", USER, "--password-stdin",
                       stdin=PASSWORD + "\n")
        wait_for(lambda: test_followed_networks.rows(branch.node)["delivery/far.test"] == before)
        self.assert_came(branch.send(), 0)
        shown = self.master.do("domain", "credential", "show", "far.test")
        self.assertIn(USER, shown)
        self.assertNotIn("SEALED", shown)
        code, _, error = self.master.cli("domain", "remove", "far.test", "--yes")
        self.assertNotEqual(code, 0)
        self.assertIn("credential", error)
        self.master.do("domain", "credential", "remove", "far.test", "--yes")
        wait_for(lambda: "delivery" not in branch.families())


if __name__ == "__main__":
    unittest.main()
