"""Logins at back ends: who the client is, the `authenticate` call, one-use tokens, OAuth, and a
Dovecot with users of its own."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import sqlite3
import ssl
import subprocess
import unittest

import foreign_lab
import harness
from dovecot_lab import Provider
from harness import Scram, b64, imap_login, pop3_login, sieve_login, wait_for

PASSWORD = "correct horse"


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


class Case(unittest.TestCase):
    number = 0

    def account(self, home="sv2", password=PASSWORD):
        Case.number += 1
        return demo.add_account(f"a{Case.number}@domain1.dom", password, home=home)

    def keep(self, line):
        self.addCleanup(line.close)
        return line


class Introduction(Case):
    """One session id and the real client's address, from the front end to Dovecot's log."""

    def check(self, line, service, account, source):
        found = demo.logged("fe1", rf"event=login session=(\S+) service={service} "
                                   rf"client={source}:\d+ user={account['address']}")
        demo.logged("sv2", rf"Login: user=<{account['address']}>.*rip={source}, .*"
                           rf"session=<{found.group(1)}>", engine=True)

    def test_imap(self):
        account, source = self.account(), harness.new_source()
        line = self.keep(demo.imap(source=source))
        self.assertRegex(imap_login(line, account["address"], PASSWORD), "^l OK")
        self.check(line, "imap", account, source)

    def test_pop3(self):
        account, source = self.account(), harness.new_source()
        line = self.keep(demo.line("pop3s", source=source))
        line.hear(r"^\+OK")
        self.assertRegex(pop3_login(line, account["address"], PASSWORD), r"^\+OK")
        self.check(line, "pop3", account, source)

    def test_sieve(self):
        account, source = self.account(), harness.new_source()
        line = self.keep(demo.line("sieve", source=source))
        line.hear("^OK")
        line.ask("STARTTLS", "^OK")
        line.start_tls(demo.context)
        line.hear("^OK")
        self.assertRegex(sieve_login(line, account["address"], PASSWORD), "^OK")
        self.check(line, "sieve", account, source)

    def test_what_a_client_says_of_itself_is_dropped(self):
        account, source = self.account(), harness.new_source()
        line = self.keep(demo.imap(source=source))
        line.ask('i ID ("x-originating-ip" "203.0.113.66" "x-session-id" "forged" '
                 '"x-forward-muster_account" "ada@domain1.dom")', "^i OK")
        self.assertRegex(imap_login(line, account["address"], PASSWORD), "^l OK")
        self.check(line, "imap", account, source)
        self.assertNotRegex(demo.log("sv2", engine=True), "forged|203.0.113.66")


class Authenticate(Case):
    """The call by which other nodes have a password judged at the account's home."""

    def call(self, body, server="sv2", member="fe1", path="/v1/authenticate"):
        """As a member of the cluster, known by its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if member:
            state = demo.dir / member / "state"
            context.load_cert_chain(state / "node.crt", state / "node.key")
        host, port = demo.sv[server]["cluster"].rsplit(":", 1)
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")

    def plain(self, account, password, **more):
        return self.call({"mechanism": "PLAIN", "service": "smtp",
                          "initial": b64(f"\0{account['address']}\0{password}"),
                          "client": "203.0.113.9:4000", "session": "auth-1", **more})

    def test_plain(self):
        account = self.account()
        status, answer = self.plain(account, PASSWORD)
        self.assertEqual((status, answer["state"], answer["account"]),
                         (200, "accepted", account["address"]))
        self.assertEqual(self.plain(account, "wrong")[1],
                         {"state": "refused", "temporary": False})

    def test_scram_in_several_steps(self):
        account = self.account()
        scram = Scram(account["address"], PASSWORD)
        _, step = self.call({"mechanism": "SCRAM-SHA-256", "service": "smtp",
                             "initial": b64(scram.first())})
        self.assertEqual(step["state"], "challenge")
        final = b64(scram.final(base64.b64decode(step["data"])))
        _, step = self.call({"exchange": step["exchange"], "data": final})
        if step["state"] == "challenge":  # the server's signature, to be acknowledged
            self.assertTrue(scram.verified(base64.b64decode(step["data"])))
            _, step = self.call({"exchange": step["exchange"], "data": ""})
        self.assertEqual((step["state"], step["account"]), ("accepted", account["address"]))
        status, _ = self.call({"exchange": "no-such-exchange", "data": ""})
        self.assertEqual(status, 404)

    def test_disabled_accounts_are_refused(self):
        account = self.account()
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        demo.wait_everywhere(account["address"], lambda seen: seen["state"] == "disabled")
        self.assertEqual(self.plain(account, PASSWORD)[1]["state"], "refused")

    def test_strangers_are_not_asked_for_a_password(self):
        try:
            status, _ = self.call({"mechanism": "PLAIN", "service": "smtp"}, member=None)
        except (OSError, http.client.HTTPException):
            return  # not even a handshake
        self.assertIn(status, (401, 403))

    def test_a_token_lets_in_once_and_only_to_its_service(self):
        account = self.account()
        token = self.plain(account, PASSWORD, token_for="imap")[1]["token"]
        words = b64(f"{account['address']}\0{token['id']}\0{token['secret']}")
        pop3 = self.keep(demo.server_line("sv2", "pop3"))
        line = self.keep(demo.server_line("sv2", "imap"))
        line.hear("OK")
        self.assertRegex(line.ask(f"p AUTHENTICATE PLAIN {words}", "^p "), "^p OK")
        line.ask("s SELECT INBOX", "^s OK")
        again = self.keep(demo.server_line("sv2", "imap"))
        again.hear("OK")
        self.assertRegex(again.ask(f"p AUTHENTICATE PLAIN {words}", "^p "), "^p NO")
        token = self.plain(account, PASSWORD, token_for="imap")[1]["token"]
        words = b64(f"{account['address']}\0{token['id']}\0{token['secret']}")
        pop3.hear(r"^\+OK")
        self.assertRegex(pop3.ask(f"AUTH PLAIN {words}", r"^(-ERR|\+OK)"), "^-ERR")


class Oauth(Case):
    """OAUTHBEARER and XOAUTH2 through a front end, with a provider that Dovecot asks."""

    @classmethod
    def setUpClass(cls):
        cls.provider = Provider()
        cls.addClassCleanup(cls.provider.close)
        assert not cls.offered()
        for name in demo.sv:
            cls.offer(name)
        wait_for(cls.offered, "the front end to offer OAUTHBEARER")

    @classmethod
    def offer(cls, name):
        """Gives one Dovecot the mechanisms, and lets Muster learn them."""
        folder = demo.dir / name / "dovecot"
        main = (folder / "dovecot.conf").read_text()
        accounts = f"passdb {{\n  args = {folder}/muster-accounts.conf.ext\n"
        oauth = (f"passdb {{\n  args = {folder}/muster-oauth2.conf.ext\n  driver = oauth2\n"
                 "  mechanisms = oauthbearer xoauth2\n}\n")
        assert accounts in main
        main = main.replace(accounts, oauth + accounts)
        main = main.replace("scram-sha-1 scram-sha-256", "scram-sha-1 scram-sha-256 oauthbearer "
                                                         "xoauth2")
        (folder / "muster-oauth2.conf.ext").write_text(
            f"introspection_url = {cls.provider.url}\nintrospection_mode = post\n"
            "force_introspection = yes\nusername_attribute = email\nusername_format = %u\n"
            "active_attribute = active\nactive_value = true\n")
        (folder / "dovecot.conf").write_text(main)
        demo.doveadm(name, "reload")
        # Dovecot's login processes from before the reload may be asked first.
        wait_for(lambda: cls.learnt(name), f"{name} to offer OAUTHBEARER")

    @staticmethod
    def learnt(name):
        demo.cli("server", "learn", name, "--yes")
        services = demo.api("GET", f"/v1/servers/{name}")["services"]
        return all("AUTH=OAUTHBEARER" in services[service].get("capabilities", [])
                   for service in ("imap", "pop3", "sieve"))

    @staticmethod
    def offered():
        with demo.imap() as line:
            words = line.ask("c CAPABILITY", r"^\* CAPABILITY")
            return "AUTH=OAUTHBEARER" in words and "AUTH=SCRAM-SHA-256" in words

    def login(self, mechanism, words):
        line = self.keep(demo.imap())
        answer = line.ask(f"o AUTHENTICATE {mechanism} {b64(words)}", r"^(o |\+)")
        return answer if answer.startswith("o ") else line.ask("", "^o ")

    def test_both_mechanisms(self):
        account = self.account(password=None)
        self.provider.tokens["good"] = {"active": True, "email": account["address"]}
        words = f"n,a={account['address']},\1auth=Bearer good\1\1"
        # A login process of Dovecot from before the reload may take the first ones still.
        wait_for(lambda: self.login("OAUTHBEARER", words).startswith("o OK"), "OAUTHBEARER")
        words = f"user={account['address']}\1auth=Bearer good\1\1"
        self.assertRegex(self.login("XOAUTH2", words), "^o OK")
        demo.logged("sv2", rf"Login: user=<{account['address']}>, method=XOAUTH2", engine=True)

    def test_refusals(self):
        account = self.account()
        self.provider.tokens["other"] = {"active": True, "email": "other@domain1.dom"}
        for token in ("unknown", "other"):
            words = f"user={account['address']}\1auth=Bearer {token}\1\1"
            self.assertRegex(self.login("XOAUTH2", words), "^o NO")

    def test_disabled_accounts_stay_outside(self):
        account = self.account()
        self.provider.tokens["late"] = {"active": True, "email": account["address"]}
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        demo.wait_everywhere(account["address"], lambda seen: seen["state"] == "disabled")
        words = f"user={account['address']}\1auth=Bearer late\1\1"
        self.assertRegex(self.login("XOAUTH2", words), "^o NO")
        self.assertEqual(demo.homes("sv2", account["id"]), [])


class PrintedConfiguration(Case):
    """`muster backend dovecot-config` for a running node."""

    def printed(self, *arguments):
        node_file = demo.dir / "sv2" / "muster.toml"
        return demo.cli("--config", node_file, "backend", "dovecot-config", "--certificate",
                        demo.dir / "sv2" / "dovecot.crt", "--key",
                        demo.dir / "sv2" / "dovecot.key", *arguments)

    def test_dovecot_takes_it_and_serves_with_it(self):
        folder = demo.dir / "sv2" / "printed"
        self.printed("--introspection-url", "http://127.0.0.1:9/introspect", "--introspection-mode",
                     "auth", "--introspection-user", "mail", "--out", folder)
        written = (folder / "muster-oauth2.conf.ext").read_text()
        self.assertRegex(written, r"(?m)^introspection_mode = auth\nforce_introspection = yes\n"
                                  r"username_attribute = mail$")
        checked = subprocess.run(["doveconf", "-n", "-c", folder / "dovecot.conf"], text=True,
                                 capture_output=True, timeout=30)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        port = demo.sv["sv2"]["imap"].rsplit(":", 1)[1]
        for expected in (f"port = {port}", f"{folder}/muster-accounts.conf.ext",
                         "login_trusted_networks = 127.", "oauthbearer xoauth2"):
            self.assertIn(expected, checked.stdout)

    def test_it_says_how_to_keep_lmtp_for_front_ends(self):
        self.assertRegex(self.printed(), r"nft add rule .* tcp dport \d+ drop")

    def test_the_next_generation_is_printed_as_unproven(self):
        self.assertIn("# UNPROVEN", self.printed("--dovecot", "2.4"))


class OwnUsers(Case):
    """A Dovecot with its own user database is only routed to."""

    COMMON = """
login_trusted_networks = 127.0.0.0/8
mail_location = maildir:DIR/mail/%u
"""
    FILE = """
passdb {
  driver = passwd-file
  args = DIR/users
}
userdb {
  driver = static
  args = home=DIR/homes/%u
}
"""
    SQL = """
passdb {
  driver = sql
  args = DIR/sql.conf
}
userdb {
  driver = sql
  args = DIR/sql.conf
}
"""
    QUERIES = """
driver = sqlite
connect = DIR/users.db
default_pass_scheme = SSHA256
password_query = SELECT name AS user, password FROM users WHERE name = '%u'
user_query = SELECT home FROM users WHERE name = '%u'
"""

    @staticmethod
    def hashed(password):
        salt = os.urandom(8)
        return harness.b64(hashlib.sha256(password.encode() + salt).digest() + salt)

    def start_dovecot(self, users):
        """`users` is FILE or SQL; one user, own@domain1.dom."""
        dovecot = foreign_lab.ForeignDovecot(("imap",), self.COMMON + users, self.write_users)
        self.addCleanup(dovecot.close)
        return dovecot.ports["imap"], dovecot.dir

    def write_users(self, folder, _):
        (folder / "users").write_text(f"own@domain1.dom:{{PLAIN}}{PASSWORD}\n")
        (folder / "sql.conf").write_text(self.QUERIES.replace("DIR", str(folder)))
        with contextlib.closing(sqlite3.connect(folder / "users.db")) as database, database:
            database.execute("CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT, home TEXT)")
            database.execute("INSERT INTO users VALUES (?, ?, ?)",
                             ("own@domain1.dom", self.hashed(PASSWORD), f"{folder}/homes/own"))

    def enter(self, port, kind="foreign"):
        """`dovecot` without a node is how the operator guide enters it."""
        demo.api("PUT", "/v1/servers/own", {
            "kind": kind, "host": "127.0.0.1", "introduce": "xclient",
            "services": {"imap": {"port": port, "tls": "none"}}})
        domain = demo.api("GET", "/v1/domains/domain1.dom")
        self.addCleanup(demo.api, "DELETE", "/v1/servers/own")
        demo.api("PATCH", "/v1/domains/domain1.dom", {"servers": [*domain["servers"], "own"]})
        self.addCleanup(demo.api, "PATCH", "/v1/domains/domain1.dom",
                        {"servers": domain["servers"]})
        demo.add_account("own@domain1.dom", None, home="own")
        self.addCleanup(demo.api, "DELETE", "/v1/accounts/own@domain1.dom")

    def test_logins_reach_it_with_the_passwords_it_knows(self):
        for name, users in (("a file", self.FILE), ("SQL", self.SQL)):
            for kind in ("foreign", "dovecot"):
                with self.subTest(name, kind=kind):
                    self.check(users, kind)
                    self.doCleanups()

    def check(self, users, kind):
        port, folder = self.start_dovecot(users)
        self.enter(port, kind)
        source = harness.new_source()
        # An account of another server beside it, to see that nothing else is asked of ours.
        line = wait_for(lambda: self.try_login(source), "the login")
        line.ask("s SELECT INBOX", "^s OK")
        self.assertTrue((folder / "mail" / "own@domain1.dom").is_dir())
        wait_for(lambda: f"rip={source}" in (folder / "log").read_text(), "the client's address")
        with demo.imap() as stranger:
            self.assertRegex(imap_login(stranger, "own@domain1.dom", "wrong"),
                             r"^l NO \[AUTHENTICATIONFAILED\]")

    def test_a_password_changed_in_its_database_counts_at_once(self):
        port, folder = self.start_dovecot(self.SQL)
        self.enter(port)
        wait_for(lambda: self.try_login(harness.new_source()), "the login")
        with contextlib.closing(sqlite3.connect(folder / "users.db")) as database, database:
            database.execute("UPDATE users SET password = ?", (self.hashed("another"),))
        self.assertTrue(self.try_login(harness.new_source(), "another"))
        self.assertFalse(self.try_login(harness.new_source()))

    def try_login(self, source, password=PASSWORD):
        line = self.keep(demo.imap(source=source))
        return line if imap_login(line, "own@domain1.dom", password).startswith("l OK") else None


if __name__ == "__main__":
    unittest.main()
