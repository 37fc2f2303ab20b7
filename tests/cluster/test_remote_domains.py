"""Options of remote domains as a mirror has them: a third party's real Postfix behind a login, a second
host, other options from the master and of the node alone, and no credential without the right. What
each option does is read from the log and the mailboxes of a Postfix."""
import email
import json
import os
import pathlib
import re
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
OPEN_PARTY = """
myhostname = party.test
virtual_mailbox_domains =
  connections.test, one.test, messages.test, late.test, again.test, size.test, order.test, near.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions =
  check_recipient_access inline:{{ {{ ann@late.test = 450 4.2.0 not today }},
    {{ ann@again.test = 450 4.2.0 not today }} }},
  permit_mynetworks, reject
"""
SLOW = """
smtpd_data_restrictions = sleep 1
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

    def send(self, body="hello", sender="", to="ann@far.test"):
        marker = new_marker()
        with mail_lab.Smtp(self.smtp, source=harness.new_source()) as smtp:
            said = smtp.send(sender, [to], text_of(marker, body=body))
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


def open_party(add_cleanup, more=""):
    """A third party that demands no login."""
    host = postfix_lab.Postfix(OPEN_PARTY + more)
    add_cleanup(host.close)
    return host


class Options(unittest.TestCase):
    """Each option of a domain that a mirror got from its master, before and after a change there; the
    node runs on all the time."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.party, cls.other = (open_party(cls.addClassCleanup) for _ in range(2))
        cls.master = cls.lab.master("hq")
        cls.branch = Branch(cls.lab, "options", cls.master)
        cls.process = cls.branch.node.process.pid
        cls.branch.node.do("domain", "add", "near.test", "kind=remote", "tls=none",
                           f"route=127.0.0.1:{cls.party.port}")
        cls.wait_for_domain("near.test")

    def tearDown(self):
        self.assertEqual(self.branch.node.process.pid, self.process)
        self.assertIsNone(self.branch.node.process.poll())

    @classmethod
    def wait_for_domain(cls, name):
        def is_taken():
            with mail_lab.Smtp(cls.branch.smtp, source=harness.new_source()) as smtp:
                return smtp.envelope("", f"ann@{name}")[0].startswith("250 ")
        wait_for(is_taken)

    def domain(self, name, *hosts, **options):
        """A new one at the master, once the mirror takes mail for it; a dot in a name is written __."""
        self.master.do("domain", "add", name, "kind=remote", "tls=none",
                       "route=" + ",".join(f"127.0.0.1:{host.port}" for host in hosts),
                       *self.words(options))
        self.wait_for_domain(name)

    @staticmethod
    def words(options):
        return [f"{option.replace('__', '.')}={value}" for option, value in options.items()]

    def change(self, name, **options):
        """At the master, until the mirror shows it; its mail heeds it a moment later."""
        self.master.do("domain", "set", name, *self.words(options))
        wait_for(lambda: self.branch.domain(name) == {
            **json.loads(self.master.do("domain", "show", name, "--json")), "network": "hq"})

    def send(self, domain, count=1, **options):
        return [self.branch.send(to=f"ann@{domain}", **options) for _ in range(count)]

    def wait_delivered(self, host, markers, seconds=30):
        wait_for(lambda: all(host.delivered(marker) for marker in markers), seconds)
        for marker in markers:
            self.assertEqual(len(host.delivered(marker)), 1)

    def waiting(self, domain):
        return [row for row in self.branch.queued()
                if any(each.endswith("@" + domain) for each in row["recipients"])]

    def reports(self, marker, action):
        """Those that came to the sender, with this in their part for programs."""
        found = []
        for text in self.party.delivered(marker):
            message = email.message_from_bytes(text)
            if message.get_param("report-type") == "delivery-status" and re.search(
                    f"(?m)^Action: {action}", message.get_payload()[1].as_string()):
                found.append(message)
        return found

    @staticmethod
    def most_at_once(log):
        now = most = 0
        for end in re.findall(r"smtpd\[\d+\]: (dis)?connect from", log):
            now += -1 if end else 1
            most = max(most, now)
        return most

    def test_connections(self):
        slow = open_party(self.addCleanup, SLOW)  # a second for each message: others wait meanwhile
        wait_for(lambda: "disconnect from" in slow.log())  # of who looked whether it greets
        self.domain("connections.test", slow, limits__connections=1)
        self.wait_delivered(slow, self.send("connections.test", 4))
        self.assertEqual(self.most_at_once(slow.log()), 1)

        self.change("connections.test", limits__connections=3)

        def together():
            self.wait_delivered(slow, self.send("connections.test", 4))
            return self.most_at_once(slow.log())
        wait_for(lambda: together() == 3)
        self.assertEqual(together(), 3)

    def rests(self):
        return "It takes no more messages in this minute" in [
            row["reason"] for row in self.branch.node.ask("queue", "destinations")["destinations"]]

    def test_messages_a_minute(self):
        self.domain("one.test", self.other, limits__messages=1)
        markers = self.send("one.test", 2)
        wait_for(self.rests)
        wait_for(lambda: [row["state"] for row in self.waiting("one.test")] == ["parked"])
        row, = self.waiting("one.test")
        self.assertEqual(row["tries"], 0)  # to wait is no failed one
        self.assertEqual(sum(len(self.other.delivered(each)) for each in markers), 1)

        self.domain("messages.test", self.other, limits__messages=12)
        self.change("messages.test", limits__messages=6000)
        markers = self.send("messages.test", 200)  # 2 seconds; at the former pace 1,000
        self.wait_delivered(self.other, markers, 60)

        self.change("messages.test", limits__messages=1)

        def one_waits():
            self.send("messages.test")
            return self.rests()
        wait_for(one_waits)

    def test_the_times_of_tries_and_of_reports(self):
        """A recipient that is put off; all that happens to it is asked for by changes at the master."""
        self.domain("late.test", self.other, retry__first=1, retry__longest=1,
                    retry__expire_after=3600, retry__delay_report_after=0)
        marker, = self.send("late.test", sender="writer@near.test")
        wait_for(lambda: self.other.log().count("450 4.2.0 <ann@late.test>: Recipient address "
                                                "rejected: not today") >= 3)
        self.assertEqual(self.party.delivered(marker), [])

        self.change("late.test", retry__delay_report_after=1)
        report, = wait_for(lambda: self.reports(marker, "delayed"))
        status = report.get_payload()[1].as_string()
        self.assertRegex(status, r"(?m)^Final-Recipient: rfc822; ?ann@late\.test$")
        self.assertRegex(status, r"(?m)^Status: 4\.2\.0$")
        self.assertEqual(len(self.waiting("late.test")), 1)

        self.change("late.test", retry__expire_after=1)
        report, = wait_for(lambda: self.reports(marker, "failed"))
        self.assertRegex(report.get_payload()[1].as_string(), r"(?m)^Status: 4\.4\.7$")
        self.assertIn("not today", report.get_payload()[0].get_payload())  # what was said last
        self.assertEqual(self.waiting("late.test"), [])
        self.assertEqual(len(self.reports(marker, "delayed")), 1)
        self.assertEqual(len(self.party.delivered(marker)), 2)

    def test_the_times_between_tries(self):
        self.domain("again.test", self.other, retry__first=3600, retry__longest=3600)
        self.send("again.test")
        wait_for(lambda: [row["tries"] for row in self.waiting("again.test")] == [1])
        self.change("again.test", retry__first=1, retry__longest=1)
        early, = self.waiting("again.test")
        self.send("again.test")

        def tries():
            return {row["id"]: row["tries"] for row in self.waiting("again.test")}
        wait_for(lambda: max(tries().values()) >= 4)
        self.assertEqual(tries()[early["id"]], 1)
        # What waits keeps its hour, and the new time holds from its next try on.
        self.branch.node.do("queue", "flush", early["id"])
        wait_for(lambda: tries()[early["id"]] >= 4)
        self.branch.node.do("queue", "remove", "--domain", "again.test", "--yes")

    def test_the_size_of_messages(self):
        self.domain("size.test", self.other, message_bytes=3000)
        body = "\r\n".join(["x" * 900] * 4)
        large, = self.send("size.test", sender="writer@near.test", body=body)
        report, = wait_for(lambda: self.reports(large, "failed"))
        self.assertRegex(report.get_payload()[1].as_string(), r"(?m)^Status: 5\.3\.4$")
        small, = self.send("size.test")
        self.wait_delivered(self.other, [small])
        self.assertEqual(self.other.delivered(large), [])

        self.change("size.test", message_bytes=30000)

        def comes():
            marker, = self.send("size.test", sender="writer@near.test", body=body)
            wait_for(lambda: self.other.delivered(marker) or self.reports(marker, "failed"))
            return self.other.delivered(marker)
        wait_for(comes)

    def test_the_order_of_hosts(self):
        self.domain("order.test", self.party, self.other)
        self.wait_delivered(self.party, self.send("order.test", 2))
        self.change("order.test", route=f"127.0.0.1:{self.other.port},127.0.0.1:{self.party.port}")

        def taker():
            marker, = self.send("order.test")
            wait_for(lambda: self.party.delivered(marker) or self.other.delivered(marker))
            return self.other.delivered(marker)
        wait_for(taker)
        self.wait_delivered(self.other, self.send("order.test", 2))


if __name__ == "__main__":
    unittest.main()
