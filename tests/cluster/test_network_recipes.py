"""The three networks of docs/networks.md, set up by the very lines that stand there, on machines
with the very addresses."""
import contextlib
import imaplib
import os
import pathlib
import re
import smtplib
import unittest

import mail_lab
from harness import wait_for
from machines_lab import Wire

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs/networks.md").read_text()
PASSWORD = "correct horse"
M2 = re.search(r'^```toml\n(# m2:.*?)^```', PAGE, re.M | re.S)[1]


@unittest.skipUnless(os.geteuid() == 0, "namespaces need root")
class Recipe(unittest.TestCase):
    section = ""

    def setUp(self):
        self.wire = Wire()
        self.addCleanup(self.wire.close)
        text = PAGE[PAGE.index(f"\n## {self.section}"):].split("\n## ")[1]
        self.text = text
        self.blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)

    def node_file(self, number):
        return [text for kind, text in self.blocks if kind == "toml"][number]

    def lines(self, number):
        text = [text for kind, text in self.blocks if not kind][number]
        return [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]

    def inline(self, machine, line, *answers, **options):
        """A command that stands in the running text."""
        self.assertIn(f"`{line}`", self.text)
        return machine.run(line, *answers, **options)

    def follow(self, machine, lines, passwords):
        """Types the lines; each question for a password gets the same one."""
        said = ""
        for line in lines:
            typed = f"{passwords}\n\x04" if "/dev/stdin" in line else ""
            said = machine.run(line, passwords, passwords, typed=typed)
        return said


class BranchRelays(Recipe):
    section = "1. "

    def test_mail_to_partners_goes_out_as_the_head_office_says(self):
        self.hq = self.wire.machine("hq", "10.0.0.1")
        self.branch = self.wire.machine("branch1", "10.1.0.1")
        self.desk = self.wire.machine("desk", "10.1.0.50")
        servers = ("10.0.0.201", "10.0.0.202", "10.1.0.201")
        self.partner = self.wire.machine("partner", *servers)
        self.sinks = {each: self.sink(each) for each in servers}
        self.hq.write("/etc/muster/muster.toml", self.node_file(0))
        self.follow(self.hq, self.lines(0), PASSWORD)
        self.set_up_the_branch()
        self.proof()
        self.without_the_head_office()
        self.a_branch_is_lost()
        self.a_stand_in_of_the_head_office()

    def set_up_the_branch(self):
        # A dead line is noticed sooner than by default.
        self.branch.write("/etc/muster/muster.toml", self.node_file(1) + "inactivity_timeout = 5\n")
        *_, look = self.lines(1)
        self.follow(self.branch, self.lines(1), PASSWORD)
        self.assertEqual(look, "muster network list")
        wait_for(lambda: re.search(r"^hq +mirror +following", self.branch.run(look), re.M),
                 "the branch to follow")

    def sink(self, address):
        with self.partner.space.network():
            sink = mail_lab.Sink(address=(address, 25))
        self.addCleanup(sink.close)
        return sink

    def shown(self):
        return self.inline(self.branch, "muster domain show partner.example")

    def send(self):
        marker = mail_lab.new_marker()
        with self.desk.space.network(), smtplib.SMTP("10.1.0.1", 25, timeout=30) as smtp:
            smtp.sendmail("kate@branch.example", ["somebody@partner.example"], mail_lab.text_of(marker))
        return marker

    def arrives(self, address):
        marker = self.send()
        wait_for(lambda: self.sinks[address].with_marker(marker), f"mail at {address}")

    def proof(self):
        self.assertRegex(self.shown(), r"network: +hq")
        self.assertRegex(self.shown(), r"route: +10.0.0.201, 10.0.0.202\b")
        self.arrives("10.0.0.201")
        self.sinks["10.0.0.201"].close()
        self.arrives("10.0.0.202")
        self.inline(self.hq, "muster domain set partner.example tls=opportunistic")
        wait_for(lambda: re.search("tls: +opportunistic", self.shown()), "the change at the branch")
        self.inline(self.branch, "muster domain set partner.example route=10.1.0.201 --here")
        self.arrives("10.1.0.201")
        self.branch.run("muster domain set partner.example --here --inherit all")
        self.assertRegex(self.shown(), r"route: +10.0.0.201, 10.0.0.202\b")

    def without_the_head_office(self):
        self.hq.switch_off()
        self.arrives("10.0.0.202")
        self.branch.run("systemctl restart muster")
        self.arrives("10.0.0.202")
        self.hq.switch_on()
        self.hq.run("systemctl start muster")
        self.hq.space.link("link", "set", "eth0", "down")
        self.hq.run("muster domain set partner.example tls=none")
        self.assertRegex(self.shown(), "tls: +opportunistic")
        self.hq.space.link("link", "set", "eth0", "up")
        wait_for(lambda: re.search("tls: +none", self.shown()), "the change after the link is back", 30)

    def a_branch_is_lost(self):
        self.sinks["10.0.0.202"].close()
        marker = self.send()
        self.branch.switch_off()
        state = self.branch.folder / "var/lib/muster"
        state.rename(self.branch.folder / "lost")
        self.inline(self.hq, "muster node remove branch1", "yes")
        self.branch.switch_on()
        self.set_up_the_branch()
        self.sinks["10.0.0.202"] = self.sink("10.0.0.202")
        self.assertIn("muster queue adopt FOLDER", self.text)
        self.branch.run(f"muster queue adopt {self.branch.folder}/lost/queue", "yes")
        self.inline(self.branch, "muster queue flush --all")
        wait_for(lambda: self.sinks["10.0.0.202"].with_marker(marker), "the mail that waited")

    def a_stand_in_of_the_head_office(self):
        m2 = self.wire.machine("m2", "10.0.0.3")
        m2.write("/etc/muster/muster.toml", M2.replace("10.0.0.0/24", "10.0.0.0/8"))
        token = re.search(r"^[a-z2-7]{32}$", self.hq.run("muster token add --scope master --name m2"), re.M)[0]
        m2.run("muster cluster join --master 10.0.0.1:7700", "yes", token)
        m2.run("systemctl start muster")
        wait_for(lambda: re.search(r"(?m)^m2 +yes +no +yes .* 0 +-$", m2.run("muster cluster masters")), "a stand-in")
        wait_for(lambda: b"10.0.0.3:7700" in b"".join(map(
            pathlib.Path.read_bytes,
            self.branch.folder.glob("var/lib/muster/networks/hq/replica-*"))), "it is heard of")
        self.hq.run("systemctl stop muster")
        m2.run("muster cluster promote m2 --force", "yes")
        m2.run("muster domain set partner.example route=10.1.0.201")
        wait_for(lambda: re.search(r"route: +10.1.0.201\b", self.shown()), "what the new head office says", 40)


CUSTOMER1 = """
[node]
name = "customer1"
roles = ["master", "backend"]
[backend]
config = "/etc/dovecot/muster/dovecot.conf"
dict_socket_group = "dovecot"
mail_root = "/var/mail/muster"
mail_uid = 5000
mail_gid = 5000
"""
USER = ("groupadd -g 5000 vmail; useradd -u 5000 -g 5000 -M -d /var/mail/muster -s /usr/sbin/nologin vmail;"
        "install -d -o vmail -g vmail -m 700 /var/mail/muster")
SERVER = ("muster server add customer1 kind=dovecot node=customer1 host=10.2.0.1 introduce=xclient "
          "imap.port=143 lmtp.port=24 lmtp.tls=none")
CUSTOMER2 = """
[node]
name = "customer2"
roles = ["master", "frontend"]
[[listener]]
protocol = "smtp"
address = "10.3.0.1:25"
tls = "none"
[mail]
xclient_from = ["10.9.0.0/24"]
"""


class IspFrontEnds(Recipe):
    section = "2. "

    def test_customers_keep_their_servers_and_the_isp_has_the_addresses(self):
        self.customer1 = self.wire.machine("customer1", "10.2.0.1")
        self.customer2 = self.wire.machine("customer2", "10.3.0.1", "10.3.0.5")
        self.world = self.wire.machine("world", "10.99.0.1")
        self.front_ends = {}
        self.set_up_customer1()
        self.set_up_customer2()
        for name, address in (("mx1", "10.9.0.1"), ("mx2", "10.9.0.2")):
            self.set_up_front_end(name, address)
        self.proof()
        self.mail_to_both()
        self.one_claims_what_is_not_its_own()
        self.without_a_customers_master()
        self.without_a_mail_server()

    def open(self, customer):
        self.follow(customer, self.lines(0), PASSWORD)

    def set_up_customer1(self):
        self.customer1.write("/etc/muster/muster.toml", CUSTOMER1)
        for line in (USER, "muster cluster init --administrator postmaster", "systemctl start muster"):
            self.customer1.run(line, PASSWORD, PASSWORD)
        self.open(self.customer1)
        for line in (SERVER, "muster domain add customer1.example servers=customer1",
                     "muster certificate issue customer1 --names 10.2.0.1 --out /etc/muster"):
            self.customer1.run(line)
        config = "muster backend dovecot-config --front-ends 10.9.0.1 --front-ends 10.9.0.2"
        self.assertIn(f"`{config}`", self.text.replace("\n", " "))
        self.customer1.run(f"{config} --certificate /etc/muster/customer1.crt --key /etc/muster/customer1.key "
                           "--out /etc/dovecot/muster")
        self.run_dovecot()

    def set_up_customer2(self):
        with self.customer2.space.network():
            self.sink = mail_lab.Sink(address=("10.3.0.5", 25))
        self.addCleanup(self.sink.close)
        self.customer2.write("/etc/muster/muster.toml", CUSTOMER2)
        for line in ("muster cluster init --administrator postmaster", "systemctl start muster"):
            self.customer2.run(line, PASSWORD, PASSWORD)
        self.open(self.customer2)
        for line in ("muster server add sv1 kind=foreign host=10.3.0.5 smtp.port=25 smtp.tls=none",
                     "muster domain add customer2.example servers=sv1",
                     "muster account add kate@customer2.example --no-password"):
            self.customer2.run(line)

    def set_up_front_end(self, name, address):
        machine = self.wire.machine(name, address)
        machine.write("/etc/muster/muster.toml", self.node_file(0).replace("mx1", name).replace(
            "10.9.0.1", address))
        look = self.lines(1)[-1]
        self.follow(machine, self.lines(1), PASSWORD)
        wait_for(lambda: machine.run(look).count(" following ") == 2, f"{name} to follow")
        self.front_ends[name] = machine

    def smtp(self, address="10.9.0.1"):
        with self.world.space.network():
            return mail_lab.Smtp(f"{address}:25")

    def rcpt(self, recipient):
        with self.smtp() as smtp:
            return smtp.envelope("someone@elsewhere.example", recipient)[0]

    def proof(self):
        self.assertRegex(self.rcpt("new@customer1.example"), "^550")
        self.inline(self.customer1, "muster account add new@customer1.example", PASSWORD, PASSWORD)
        wait_for(lambda: self.rcpt("new@customer1.example").startswith("250"), "the account at mx1", 5)
        self.assertIn("INBOX", self.inline(
            self.world, "curl -u new@customer1.example imap://10.9.0.1/", PASSWORD))
        said = self.inline(self.customer1, "muster status")
        for name in ("mx1", "mx2"):
            self.assertRegex(said, rf"(?m)^{name} +relay ")

    def send(self, *recipients, at="10.9.0.1"):
        marker = mail_lab.new_marker()
        with self.smtp(at) as smtp:
            self.assertRegex(smtp.send("a@elsewhere.example", recipients, mail_lab.text_of(marker)), "^250 ")
        return marker

    def fetched(self, marker):
        """Read at the front end, as the account's owner does."""
        with self.world.space.network(), imaplib.IMAP4("10.9.0.2", timeout=40) as imap:
            imap.login("new@customer1.example", PASSWORD)
            imap.select()
            return imap.search(None, "SUBJECT", marker)[1] != [b""]

    def mail_to_both(self):
        marker = self.send("new@customer1.example", "kate@customer2.example")
        wait_for(lambda: self.fetched(marker), "mail at customer1")
        ((_, _, text),) = wait_for(lambda: self.sink.with_marker(marker), "mail at customer2")
        theirs = [field for field in text.split(b"Received:") if b"by customer2" in field]
        self.assertIn(b"10.99.0.1", theirs[0])  # the front end said who the client is

    def one_claims_what_is_not_its_own(self):
        mx1 = self.front_ends["mx1"]
        self.customer2.run("muster domain add customer1.example servers=sv1")
        wait_for(lambda: "domain(s) that are not taken" in mx1.run("muster status"), "the alarm")
        self.assertNotIn("customer2", mx1.run("muster domain show customer1.example"))
        self.customer2.run("muster domain remove customer1.example --yes")
        wait_for(lambda: "no alarms" in mx1.run("muster status"), "no alarm any more")

    def without_a_mail_server(self):
        """And one of the front ends is lost meanwhile, with what its queue holds."""
        mx1, mx2 = self.front_ends["mx1"], self.front_ends["mx2"]
        self.customer1.stop("dovecot")
        waiting = self.send("new@customer1.example", "kate@customer2.example", at="10.9.0.2")
        left = self.send("new@customer1.example")
        wait_for(lambda: self.sink.with_marker(waiting), "the other customer's mail")
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            self.fetched(waiting)
        for each in (mx1, mx2):
            self.assertRegex(each.run("muster queue list"), "new@customer1.example")
        self.sees_it_down(mx2)
        mx1.switch_off()
        self.run_dovecot()
        wait_for(self.logs_in, "logins again", 40)
        wait_for(lambda: self.fetched(waiting), "the mail that waited")
        for customer in (self.customer1, self.customer2):
            self.inline(customer, "muster node remove mx1", "yes")
        mx2.run(f"muster queue adopt {mx1.folder}/var/lib/muster/queue", "yes")
        mx2.run("muster queue flush --all")
        wait_for(lambda: self.fetched(left), "the mail of the lost one")

    def logs_in(self):
        with contextlib.suppress(imaplib.IMAP4.error):
            self.fetched("nothing")
            return True

    @staticmethod
    def sees_it_down(machine):
        wait_for(lambda: re.search(r"customer1@customer1 .*down", machine.run("muster status")), "it is down")

    def run_dovecot(self):
        self.customer1.start("dovecot", "exec dovecot -F -c /etc/dovecot/muster/dovecot.conf")

    def without_a_customers_master(self):
        self.customer1.run("systemctl stop muster")
        self.assertRegex(self.rcpt("new@customer1.example"), "^250")
        self.front_ends["mx1"].run("systemctl restart muster")
        self.assertRegex(self.rcpt("new@customer1.example"), "^250")
        self.assertRegex(self.rcpt("nobody@customer1.example"), "^450")
        self.customer1.run("systemctl start muster")
        wait_for(lambda: self.rcpt("nobody@customer1.example").startswith("550"), "the master")


GUIDE = (pathlib.Path(__file__).resolve().parents[2] / "docs/operator-guide.md").read_text()
MAIL_IN = """
[[listener]]
protocol = "smtp"
address = "10.0.0.11:25"
tls = "none"

[[listener]]
protocol = "imap"
address = "10.0.0.11:1143"
tls = "none"
"""


class FullCluster(Recipe):
    section = "3. "

    def test_a_stand_in_takes_over_and_gives_the_lead_back(self):
        self.sv1 = self.wire.machine("sv1", "10.0.0.1")
        self.sv2 = self.wire.machine("sv2", "10.0.0.2")
        self.fe1 = self.wire.machine("fe1", "10.0.0.11")
        self.m2 = self.wire.machine("m2", "10.0.0.3")
        self.world = self.wire.machine("world", "10.99.0.1")
        self.first_cluster()
        self.stand_in()
        self.proof()
        self.another_address()
        self.one_less()

    def first_cluster(self):
        """What the page says is there: the operator guide's three machines, accounts on sv2 alone."""
        steps = re.split("^### ", GUIDE[GUIDE.index("## A first cluster"):GUIDE.index("## Other shapes")], flags=re.M)
        back_end, front_end = re.findall(r"^```toml\n(.*?)^```", steps[1], re.M | re.S)
        self.sv1.write("/etc/muster/muster.toml", back_end)
        self.sv2.write("/etc/muster/muster.toml", back_end.replace("sv1", "sv2").replace(
            "10.0.0.1", "10.0.0.2").replace('["master", "backend"]', '["backend"]'))
        self.fe1.write("/etc/muster/muster.toml", front_end + MAIL_IN)
        self.sv1.run(USER)
        self.sv2.run(USER)
        self.sv1.run("muster cluster init --administrator postmaster", PASSWORD, PASSWORD)
        self.sv1.run("systemctl enable --now muster")
        for machine, scope in ((self.sv2, "backend"), (self.fe1, "frontend")):
            self.join(machine, f"muster token add --name {machine.name} --scope {scope}",
                      "muster cluster join --master 10.0.0.1:7700")
            machine.run("systemctl enable --now muster")
        for line in ("muster server add sv2 kind=dovecot node=sv2 host=10.0.0.2 introduce=xclient "
                     "imap.port=143 lmtp.port=24 lmtp.tls=none",
                     "muster domain add example.org servers=sv2"):
            self.sv1.run(line)
        for line in ("muster certificate issue sv2 --names sv2.example.org,10.0.0.2 --out /etc/muster",
                     "muster backend dovecot-config --certificate /etc/muster/sv2.crt "
                     "--key /etc/muster/sv2.key --front-ends 10.0.0.11 --out /etc/dovecot/muster"):
            self.sv2.run(line)
        self.sv2.start("dovecot", "exec dovecot -F -c /etc/dovecot/muster/dovecot.conf")
        self.sv1.run("muster account add kate@example.org", PASSWORD, PASSWORD)

    def join(self, machine, token_line, join_line):
        said = self.sv1.run(token_line)
        token = re.search(r"^[a-z2-7]{32}$", said, re.M)[0]
        shown = machine.run(join_line, "yes", token)
        self.assertIn(re.search(r"sha256//\S+", said)[0], shown)

    def stand_in(self):
        self.m2.write("/etc/muster/muster.toml", self.node_file(0))
        (token,), (join, start, masters) = self.lines(0), self.lines(1)
        self.join(self.m2, token, join)
        self.m2.run(start)
        wait_for(lambda: re.search(r"(?m)^m2 +yes +no +yes ", self.m2.run(masters)), "m2 to be a stand-in")

    def proof(self):
        wait_for(self.logs_in, "a login")
        self.mail_arrives()
        self.inline(self.sv1, "systemctl stop muster")
        wait_for(lambda: "10.0.0.3:7700" in self.inline(self.fe1, "muster status"), "fe1 to follow m2", 40)
        self.fe1.run("systemctl restart muster")
        self.mail_arrives()
        self.add(self.m2, "early", fails=True)
        self.inline(self.m2, "muster cluster promote m2 --force", "yes")
        self.add(self.m2, "new")
        self.sv1.run("systemctl start muster")
        self.inline(self.sv1, "muster cluster masters")
        wait_for(lambda: re.search(r"(?m)^sv1 +yes +no +yes ", self.sv1.run("muster cluster masters")), "stand-in")
        self.mail_arrives()
        self.inline(self.m2, "muster cluster promote sv1", "yes")
        self.add(self.sv1, "newer")
        for name in ("new", "newer"):
            wait_for(lambda each=name: "home: sv2" in self.fe1.run(
                f"muster account locate {each}@example.org || true"), name)

    def another_address(self):
        """Of the node whose address all others need: the master."""
        self.in_step()
        self.assertIn("first `muster node set NAME cluster=NEW:7700` at the master", self.text)
        self.sv1.run("muster node set sv1 cluster=10.0.0.5:7700")
        for other in (self.fe1, self.m2, self.sv2):
            wait_for(lambda each=other: "10.0.0.5:7700" in each.run("muster node show sv1"), other.name)
        self.sv1.space.link("address", "del", "10.0.0.1/8", "dev", "eth0")
        self.sv1.space.link("address", "add", "10.0.0.5/8", "dev", "eth0")
        file = "/etc/muster/muster.toml"
        self.sv1.write(file, re.sub(r'"10.0.0.1(:7700)?"', r'"10.0.0.5\1"', self.sv1.read(file)))
        self.sv1.run("systemctl restart muster")
        self.in_step()
        self.add(self.sv1, "moved")
        wait_for(lambda: "home: sv2" in self.fe1.run("muster account locate moved@example.org || true"), "moved")

    def in_step(self):
        """Both masters answer, neither is behind, on every node."""
        for machine in (self.fe1, self.m2, self.sv1):
            wait_for(lambda each=machine: len(re.findall(
                r"(?m)^(?:sv1|m2) +yes .* 0 +-$", each.run("muster cluster masters"))) == 2,
                     f"both masters at {machine.name}", 40)

    def one_less(self):
        self.assertIn("`muster node drain NAME`, wait for 0 sessions in `muster status`", self.text)
        self.sv1.run("muster node drain fe1")
        wait_for(lambda: re.search(r"(?m)^fe1 +frontend +yes +drain +0 ", self.sv1.run("muster status")), "0 sessions")
        self.fe1.run("systemctl stop muster")
        self.sv1.run("muster node remove fe1", "yes")

    def add(self, machine, name, **options):
        machine.run(f"muster account add {name}@example.org --no-password", **options)

    def imap(self):
        return imaplib.IMAP4("10.0.0.11", 1143, timeout=40)

    def logs_in(self):
        with contextlib.suppress(imaplib.IMAP4.error), self.world.space.network(), self.imap() as imap:
            return imap.login("kate@example.org", PASSWORD)[0] == "OK"

    def mail_arrives(self):
        marker = mail_lab.new_marker()
        with self.world.space.network(), smtplib.SMTP("10.0.0.11", 25, timeout=30) as smtp:
            smtp.sendmail("a@elsewhere.example", ["kate@example.org"], mail_lab.text_of(marker))
        with self.world.space.network(), self.imap() as imap:
            imap.login("kate@example.org", PASSWORD)

            def found():
                imap.select()
                return imap.search(None, "SUBJECT", marker)[1] != [b""]
            wait_for(found, "mail")


if __name__ == "__main__":
    unittest.main()
