"""Accounts on back ends: homes by id, passwords and existing hashes, quota, shared mailboxes, and
what strangers can learn (nothing)."""
import time
import unittest

import harness
from harness import MAIL_HOST, Line, Scram, imap_login, imap_scram, wait_for

PASSWORD = "correct horse"


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


class Case(unittest.TestCase):
    number = 0

    def account(self, home="sv2", password=PASSWORD, **fields):
        Case.number += 1
        return demo.add_account(f"u{Case.number}@domain1.dom", password, home=home, **fields)

    def imap(self, front_end="fe1"):
        line = demo.imap(front_end)
        self.addCleanup(line.close)
        return line

    def logged_in(self, account, password=PASSWORD, front_end="fe1"):
        line = self.imap(front_end)
        self.assertRegex(imap_login(line, account["address"], password), "^l OK")
        return line

    def answer(self, account, password, front_end="fe1"):
        return imap_login(self.imap(front_end), account["address"], password)


class Homes(Case):
    def test_first_login_makes_the_home_by_id_on_the_home_server_alone(self):
        account = self.account(home="sv3")
        self.assertEqual(demo.homes("sv3", account["id"]), [])
        line = self.logged_in(account)
        line.ask("s SELECT INBOX", "^s OK")
        line.ask("a APPEND INBOX {14+}\r\nSubject: x\r\n\r\n", "^a OK")
        home, = demo.homes("sv3", account["id"])
        self.assertEqual(home.name, str(account["epoch"]))
        self.assertEqual(len(demo.mails("sv3", account["id"])), 1)
        for other in ("sv1", "sv2"):
            self.assertEqual(demo.homes(other, account["id"]), [])

    def test_renaming_moves_nothing(self):
        account = self.account()
        line = self.logged_in(account)
        line.ask("a APPEND INBOX {14+}\r\nSubject: x\r\n\r\n", "^a OK")
        demo.api("POST", f"/v1/accounts/{account['address']}/rename", {"to": "anew@domain1.dom"})
        demo.wait_everywhere("anew@domain1.dom")
        renamed = self.logged_in({"address": "anew@domain1.dom"})
        self.assertIn(" 1 EXISTS", renamed.ask("s SELECT INBOX", "EXISTS"))
        self.assertEqual(len(demo.homes("sv2", account["id"])), 1)

    def test_an_alias_leads_to_the_same_mailbox(self):
        account = self.account()
        demo.api("PUT", "/v1/aliases/nick@domain2.dom", {"to": [account["address"]]})
        wait_for(lambda: "OK" in imap_login(self.imap(), "nick@domain2.dom", PASSWORD)[:5],
                 "the alias")
        demo.logged("sv2", rf"Login: user=<{account['address']}>", engine=True)

    def test_case_of_the_name_does_not_matter(self):
        account = self.account()
        line = self.imap()
        self.assertRegex(imap_login(line, account["address"].upper(), PASSWORD), "^l OK")
        self.assertRegex(imap_scram(self.imap(), Scram(account["address"].upper(), PASSWORD)),
                         "^s OK")
        line.ask("s SELECT INBOX", "^s OK")
        self.assertEqual(len(demo.homes("sv2", account["id"])), 1)

    def test_dovecot_lists_the_accounts_of_its_own_server(self):
        here, there = self.account(home="sv2"), self.account(home="sv3")
        listed = demo.doveadm("sv2", "user", "*").split()
        self.assertIn(here["address"], listed)
        self.assertNotIn(there["address"], listed)


class Passwords(Case):
    def test_plain_and_scram_with_a_new_password(self):
        account = self.account()
        self.logged_in(account)
        self.assertRegex(imap_scram(self.imap("fe2"), Scram(account["address"], PASSWORD)), "^s OK")

    def test_scram_with_a_name_without_domain(self):
        account = self.account()
        name = account["address"].split("@")[0]
        self.assertRegex(imap_scram(self.imap(), Scram(name, PASSWORD)), "^s OK")
        demo.logged("sv2", rf"Login: user=<{account['address']}>, method=SCRAM-SHA-256",
                    engine=True)
        self.assertRegex(imap_login(self.imap(), name, PASSWORD), "^l OK")

    def test_a_changed_password_counts_everywhere(self):
        account = self.account()
        self.logged_in(account)
        demo.api("PUT", f"/v1/accounts/{account['address']}/password", {"password": "fresh one"})
        wait_for(lambda: self.answer(account, "fresh one").startswith("l OK"), "the new password")
        self.assertRegex(self.answer(account, PASSWORD, "fe2"), r"^l NO \[AUTHENTICATIONFAILED\]")
        self.assertRegex(imap_scram(self.imap(), Scram(account["address"], "fresh one")), "^s OK")

    def test_existing_hashes_are_kept_and_serve(self):
        for scheme in ("SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID", "SSHA256"):
            with self.subTest(scheme):
                key = demo.doveadm("sv1", "pw", "-s", scheme, "-p", PASSWORD).strip()
                account = self.account(password=None)
                demo.api("PUT", f"/v1/accounts/{account['address']}/password", {"password": key})
                wait_for(lambda: self.answer(account, PASSWORD).startswith("l OK"), scheme)
                self.assertRegex(self.answer(account, "wrong"), r"^l NO \[AUTHENTICATIONFAILED\]")
                # No SCRAM key: as if the password were wrong, and not at once.
                self.assertRegex(imap_scram(self.imap(), Scram(account["address"], PASSWORD)),
                                 r"^s NO \[AUTHENTICATIONFAILED\]")

    def test_an_account_without_password_is_let_in_by_none(self):
        account = self.account(password=None)
        self.assertRegex(self.answer(account, "x"), r"^l NO \[AUTHENTICATIONFAILED\]")

    def test_unknown_accounts_and_wrong_passwords_look_alike(self):
        account = self.account(home="sv1")
        nobody = {"address": "nobody@domain1.dom"}
        self.assertEqual(self.answer(account, "wrong"), self.answer(nobody, "wrong"))
        challenges = []
        for name in (account["address"], nobody["address"], nobody["address"]):
            scram = Scram(name, "wrong")
            line = self.imap()
            challenge = line.ask(f"s AUTHENTICATE SCRAM-SHA-256 {harness.b64(scram.first())}",
                                 r"^(\+|s )")
            self.assertTrue(challenge.startswith("+"), challenge)
            fields = harness.base64.b64decode(challenge[2:]).decode().split(",")
            challenges.append(fields[1:])
            answer = line.ask(harness.b64(scram.final(harness.base64.b64decode(challenge[2:]))),
                              r"^(\+|s )")
            self.assertRegex(answer, r"^s NO \[AUTHENTICATIONFAILED\]")
        self.assertEqual(challenges[1], challenges[2], "a salt that changes tells strangers")
        self.assertEqual([len(one) for one in challenges[0]], [len(one) for one in challenges[1]])

    def test_failures_are_not_slowed_down_by_dovecot(self):
        account = self.account()
        took = []
        for _ in range(4):
            line = Line(demo.sv["sv2"]["imap"])
            self.addCleanup(line.close)
            line.hear("OK")
            start = time.monotonic()
            line.ask(f"l LOGIN {account['address']} wrong", "^l NO")
            took.append(time.monotonic() - start)
        self.assertLess(min(took), 1.5, took)


class Quota(Case):
    def test_quota_is_dovecots_from_the_next_session_on(self):
        account = self.account(quota=20480)
        line = self.logged_in(account)
        self.assertIn("STORAGE 0 20", line.ask("q GETQUOTAROOT INBOX", r"^\* QUOTA "))
        line.ask("a APPEND INBOX {30000+}\r\n" + "x" * 30000, r"^a NO \[OVERQUOTA\]")
        demo.api("PATCH", f"/v1/accounts/{account['address']}", {"quota": 1 << 20})
        demo.wait_everywhere(account["address"], lambda seen: seen["quota"] == 1 << 20)
        line = self.logged_in(account)
        line.ask("a APPEND INBOX {30000+}\r\n" + "x" * 30000, "^a OK")


class SharedMailboxes(Case):
    def check(self, server):
        owner, reader = self.account(home=server), self.account(home=server)
        line = self.logged_in(owner)
        line.ask("c CREATE Plans", "^c OK")
        line.ask("p APPEND Plans {14+}\r\nSubject: x\r\n\r\n", "^p OK")
        line.ask(f"a SETACL Plans {reader['address']} lrs", "^a OK")
        path = f"shared/{owner['address']}/Plans"

        def listed():
            other = self.logged_in(reader)
            other.ask('l LIST "" "shared/*"', "^l OK")
            found = any(path in heard for heard in other.heard)
            return other if found else other.close()

        other = wait_for(listed, "the shared mailbox")
        self.assertIn(" 1 EXISTS", other.ask(f'e EXAMINE "{path}"', "EXISTS"))
        line.ask(f"d DELETEACL Plans {reader['address']}", "^d OK")
        wait_for(lambda: not listed(), "the share to go")
        stranger = self.logged_in(self.account(home=server))
        stranger.ask(f'e EXAMINE "{path}"', "^e NO")

    def test_on_the_master(self):
        self.check("sv1")

    def test_on_another_back_end(self):
        self.check("sv2")


if __name__ == "__main__":
    unittest.main()
