"""Servers that sessions enter by other credentials than the client's: `login=token` (a one-use token
of the home) and `login=master` (a foreign server's master user). Who the client is, a back end
judges first."""
import concurrent.futures
import re
import signal
import ssl
import unittest

import foreign_lab
import harness
from harness import Line, Scram, b64, imap_login, pop3_login, sieve_login, wait_for

SERVICES = ("imap", "pop3", "sieve")
NAMELESS = ssl.create_default_context()
PASSWORD = "correct horse"
MASTER_PASSWORD = "opens every mailbox"


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    # Where names need no domain SCRAM is offered only if every server maps the name it signs: no
    # default domain here, and no server name by which a domain is found.
    NAMELESS.load_verify_locations(demo.description["ca"])
    NAMELESS.check_hostname = False
    file = demo.dir / "fe1" / "muster.toml"
    file.write_text(re.sub(r"(?m)^default_domain = .*$", "", file.read_text()))
    demo.end_node("fe1", signal.SIGTERM)
    demo.start_node("fe1")


def every_front_end(look, what):
    for name in demo.fe:
        wait_for(lambda: look(name), f"{what} on {name}")


def refused(service):
    return {"imap": r"^[lsp] NO \[AUTHENTICATIONFAILED\]", "pop3": r"^-ERR \[AUTH\]",
            "sieve": "^NO "}[service]


ACCEPTED = r"^([lsp] OK|\+OK|OK)"


class Case(unittest.TestCase):
    number = 0
    home = "sv2"

    def account(self, password=PASSWORD, home=None):
        Case.number += 1
        return demo.add_account(f"e{Case.number}@domain1.dom", password, home=home or self.home)

    def open(self, service, source=None):
        """Greeted and encrypted."""
        port = demo.fe["fe1"][{"imap": "imaps", "pop3": "pop3s", "sieve": "sieve"}[service]]
        line = Line(port, None if service == "sieve" else NAMELESS, None,
                    source=source or harness.new_source())
        self.addCleanup(line.close)
        line.hear({"imap": "OK", "pop3": r"^\+OK", "sieve": "^OK"}[service])
        if service == "sieve":
            line.ask("STARTTLS", "^OK")
            line.start_tls(NAMELESS)
            line.hear("^OK")
        return line

    def login(self, service, name, password, source=None):
        """The line and the answer to a password."""
        line = self.open(service, source)
        login = {"imap": imap_login, "pop3": pop3_login, "sieve": sieve_login}[service]
        return line, login(line, name, password)

    def scram(self, service, name, password, source=None):
        """The line, the answer to a SCRAM login, and whether the server proved itself."""
        line = self.open(service, source)
        login = {"imap": harness.imap_scram, "pop3": harness.pop3_scram,
                 "sieve": harness.sieve_scram}[service]
        scram = Scram(name, password)
        return line, login(line, scram), scram.server_proved_itself

    def plain(self, service, words):
        """The answer to a PLAIN message."""
        line = self.open(service)
        if service == "imap":
            return line.ask(f"p AUTHENTICATE PLAIN {b64(words)}", "^p ")
        if service == "pop3":
            return line.ask(f"AUTH PLAIN {b64(words)}", "^[-+]")
        return line.ask(f'AUTHENTICATE "PLAIN" "{b64(words)}"', "^(OK|NO|BYE)")

    def uses(self, service, line):
        """The session is a mailbox's, not only an answer."""
        if service == "imap":
            line.ask("u SELECT INBOX", "^u OK")
        elif service == "pop3":
            line.ask("STAT", r"^\+OK 0 0")
        else:
            line.ask("LISTSCRIPTS", "^OK")

    @staticmethod
    def answer(how, *words):
        return how(*words)[1]

    def nobody_else_gets_in(self):
        """All at once, since each failure is answered with a delay."""
        mine, other, disabled = self.account(), self.account("another password"), self.account()
        demo.api("POST", f"/v1/accounts/{disabled['address']}/disable", {})
        demo.wait_everywhere(disabled["address"], lambda seen: seen["state"] == "disabled")
        words = f"{other['address']}\0{mine['address']}\0{PASSWORD}"
        cases = {"wrong password": (mine["address"], "wrong"),
                 "password of another": (other["address"], PASSWORD),
                 "unknown account": ("nobody-here@domain1.dom", PASSWORD),
                 "disabled": (disabled["address"], PASSWORD)}
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = {}
            for service in SERVICES:
                for what, (name, password) in cases.items():
                    for how in (self.login, self.scram):
                        answers[what, how.__name__, service] = threads.submit(
                            self.answer, how, service, name, password)
                answers["own password for another's mailbox", "plain", service] = threads.submit(
                    self.plain, service, words)
        for (what, how, service), answer in answers.items():
            with self.subTest(what, how=how, service=service):
                self.assertRegex(answer.result(), refused(service))
                self.assertNotRegex(answer.result(), ACCEPTED)


class LongNames(Case):
    """The longest names there are, beside a SCRAM message that signs another spelling: the server
    learns the account, the client's address and the session id all the same."""

    def test_they_fit_the_introduction(self):
        domain = ".".join(letter * 62 for letter in "defg")
        demo.api("PUT", f"/v1/domains/{domain}", {"kind": "shared", "servers": ["sv2"]})
        address = "l" * 64 + "@" + domain
        demo.add_account(address, PASSWORD, home="sv2")
        for service in SERVICES:
            with self.subTest(service):
                source = harness.new_source()
                line, answer, _ = self.scram(service, address.upper(), PASSWORD, source)
                self.assertRegex(answer, ACCEPTED)
                self.uses(service, line)
                session = demo.logged("fe1", rf"event=login session=(\S+) service={service} "
                                             rf"client={source}:")[1]
                # Dovecot cuts long names short in its log.
                demo.logged("sv2", rf"Login: user=<l{{64}}.*rip={source}, .*"
                                   rf"session=<{session}>", engine=True)


class ByToken(Case):
    @classmethod
    def setUpClass(cls):
        demo.api("PATCH", "/v1/servers/sv2", {"login": "token"})
        cls.addClassCleanup(demo.api, "PATCH", "/v1/servers/sv2", {"login": "own"})
        every_front_end(lambda name: demo.api("GET", "/v1/servers/sv2", node=name)["login"] ==
                        "token", "login=token")

    def arrived(self, service, account, source):
        """By a token, and as the client that it is."""
        process = "managesieve" if service == "sieve" else service
        demo.logged("sv2", rf"{process}-login: (Info: )?Login: user=<{account['address']}>, "
                           rf"method=PLAIN, rip={source}", engine=True)

    def check_password(self, service):
        account, source = self.account(), harness.new_source()
        line, answer = self.login(service, account["address"], PASSWORD, source)
        self.assertRegex(answer, ACCEPTED)
        self.uses(service, line)
        self.arrived(service, account, source)

    def check_scram(self, service):
        account, source = self.account(), harness.new_source()
        line, answer, proved = self.scram(service, account["address"], PASSWORD, source)
        self.assertRegex(answer, ACCEPTED)
        self.assertTrue(proved, "the server's signature never came")
        self.uses(service, line)
        self.arrived(service, account, source)

    def test_password_imap(self):
        self.check_password("imap")

    def test_password_pop3(self):
        self.check_password("pop3")

    def test_password_sieve(self):
        self.check_password("sieve")

    def test_scram_imap(self):
        self.check_scram("imap")

    def test_scram_pop3(self):
        self.check_scram("pop3")

    def test_scram_sieve(self):
        self.check_scram("sieve")

    def test_nobody_else_gets_in(self):
        self.nobody_else_gets_in()


class ByMasterUser(Case):
    """A foreign Dovecot with its own users, whose passwords nobody here knows, and a master user;
    it learns the client's address by PROXY protocol v2."""
    home = "foreign"
    USERS = """
haproxy_trusted_networks = 127.0.0.0/8
passdb {
  driver = passwd-file
  args = DIR/masters
  master = yes
}
passdb {
  driver = passwd-file
  args = DIR/users
}
userdb {
  driver = static
  args = home=DIR/homes/%u
}
"""

    @classmethod
    def setUpClass(cls):
        cls.dovecot = foreign_lab.ForeignDovecot(SERVICES, cls.USERS, cls.write_users, proxy=True)
        cls.addClassCleanup(cls.dovecot.close)
        demo.api("PUT", "/v1/servers/foreign", {
            "kind": "foreign", "host": "127.0.0.1", "introduce": "proxy", "login": "master",
            "services": {name: {"port": port, "tls": "none"} for name, port in cls.dovecot.ports.items()}})
        demo.api("PUT", "/v1/credentials/foreign",
                 {"user": "muster", "password": MASTER_PASSWORD})
        servers = demo.api("GET", "/v1/domains/domain1.dom")["servers"]
        demo.api("PATCH", "/v1/domains/domain1.dom", {"servers": [*servers, "foreign"]})
        for node in demo.fe:
            wait_for(lambda: cls.is_up_for(node), f"the foreign server on {node}")

    @staticmethod
    def is_up_for(node):
        servers = demo.api("GET", "/v1/servers", node=node)["servers"]
        return any(row["name"] == "foreign" and "up" in row.get("observed", {}).values() for row in servers)

    @staticmethod
    def write_users(folder, _):
        (folder / "masters").write_text(f"muster:{{PLAIN}}{MASTER_PASSWORD}\n")
        (folder / "users").write_text("kept@domain1.dom:{PLAIN}its own password\n")

    def check(self, service):
        account = self.account()
        for login in (self.login, self.scram):
            source = harness.new_source()
            line, answer, *proved = login(service, account["address"], PASSWORD, source=source)
            self.assertRegex(answer, ACCEPTED)
            self.assertNotIn(False, proved, "the server's signature never came")
            self.uses(service, line)
            wait_for(lambda: f"Login: user=<{account['address']}>, method=PLAIN, rip={source}," in
                     self.dovecot.log(), "the client's own address in the foreign log")
        self.assertTrue((self.dovecot.dir / "homes" / account["address"]).is_dir())

    def test_imap(self):
        self.check("imap")

    def test_pop3(self):
        self.check("pop3")

    def test_sieve(self):
        self.check("sieve")

    def test_nobody_else_gets_in(self):
        self.nobody_else_gets_in()

    def test_its_own_passwords_do_not_count(self):
        """What the state holds decides, since the server itself judges the master user only."""
        account = demo.add_account("kept@domain1.dom", PASSWORD, home="foreign")
        _, answer = self.login("imap", account["address"], "its own password")
        self.assertRegex(answer, refused("imap"))
        self.assertRegex(self.login("imap", account["address"], PASSWORD)[1], ACCEPTED)

    def test_the_master_password_opens_nothing_from_outside(self):
        account = self.account()
        for words in (f"{account['address']}\0muster\0{MASTER_PASSWORD}",
                      f"\0muster\0{MASTER_PASSWORD}",
                      f"\0{account['address']}*muster\0{MASTER_PASSWORD}",
                      f"\0{account['address']}\0{MASTER_PASSWORD}"):
            for service in SERVICES:
                self.assertNotRegex(self.plain(service, words), ACCEPTED)


if __name__ == "__main__":
    unittest.main()
