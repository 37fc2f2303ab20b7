"""Holds docs/dovecot.md against a real Dovecot: the printed configuration, with a fake account
authority on its sockets. Each fact runs as root (mail as an unprivileged user) and with everything
under one ordinary user."""
import os
import re
import signal
import ssl
import subprocess
import time
import unittest

import harness
from dovecot_lab import DOVECOT, FakeAuthority, Lab, Provider
from harness import (Scram, b64, imap_introduction, imap_scram, lmtp_deliver, lmtp_open,
                     lmtp_recipients, scram_key, wait_for)

PASSWORD = "correct horse"
KEY = scram_key(PASSWORD)


def made_certificate(folder):
    """A certificate authority and a certificate for mail.test; returns (certificate, key, ca)."""
    run = lambda *arguments: subprocess.run(
        ["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=test authority")
    run("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=mail.test",
        "-addext", "subjectAltName=DNS:mail.test")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
        "-copy_extensions", "copy", "-out", "server.pem")
    os.chmod(f"{folder}/server.key", 0o644)
    return f"{folder}/server.pem", f"{folder}/server.key", f"{folder}/ca.pem"


def pop3_login(line, name):
    return harness.pop3_login(line, name, PASSWORD)


def sieve_login(line, name):
    return harness.sieve_login(line, name, PASSWORD)


@unittest.skipUnless(DOVECOT, "no Dovecot installed")
class Facts:
    """The facts; the two classes below say how Dovecot runs."""

    mode = ""
    options = {}

    @classmethod
    def setUpClass(cls):
        if cls.mode == "root" and os.getuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.lab = Lab(cls.mode, **cls.options)
        cls.addClassCleanup(cls.lab.close)
        cls.authority = cls.lab.authority
        cls.number = 0

    def account(self, password=KEY, **userdb):
        """A new account; returns its address and its home."""
        type(self).number += 1
        address, home = f"user{self.number}@domain1.dom", self.lab.home(f"id{self.number}")
        self.authority.account(address, f"id{self.number}", home, password, **userdb)
        return address, home

    def imap(self, address=None, introduction=None):
        line = self.lab.imap()
        self.addCleanup(line.close)
        if introduction:
            line.ask(introduction, "^i OK")
        if address:
            self.assertIn(" OK ", line.ask(f'l LOGIN {address} "{PASSWORD}"', "^l "))
        return line

    def connect(self, name):
        line = self.lab.connect(name)
        self.addCleanup(line.close)
        return line


class LoginFacts(Facts):
    def test_scram_key_serves_scram_and_plain(self):
        address, _ = self.account()
        self.imap(address)
        self.assertIn("s OK", imap_scram(self.imap(), Scram(address, PASSWORD)))

    def test_scram_sha_1_key(self):
        address, _ = self.account(scram_key(PASSWORD, "sha1"))
        self.imap(address)
        answer = imap_scram(self.imap(), Scram(address, PASSWORD, "sha1"), "SCRAM-SHA-1")
        self.assertIn("s OK", answer)

    def test_existing_hashes_serve_plain(self):
        for scheme in ("SHA512-CRYPT", "BLF-CRYPT", "SSHA256", "ARGON2ID"):
            with self.subTest(scheme):
                key = self.lab.doveadm("pw", "-s", scheme, "-p", PASSWORD).strip()
                self.assertTrue(key.startswith("{" + scheme + "}"))
                self.imap(self.account(key)[0])

    def test_name_without_domain_under_scram_is_mapped_by_the_forwarded_account(self):
        address, _ = self.account()
        name = address.split("@")[0]
        self.authority.answers[f"passdb/{name}/{address}"] = {"password": KEY, "user": address}
        line = self.imap(introduction=imap_introduction("bare-1", muster_account=address))
        self.assertIn("s OK", imap_scram(line, Scram(name, PASSWORD)))
        self.lab.logged(rf"imap-login: .*Login: user=<{address}>, method=SCRAM-SHA-256, "
                        r"rip=203.0.113.7.*session=<bare-1>")

    def test_forwarded_account_over_pop3_and_managesieve(self):
        address, _ = self.account()
        name = address.split("@")[0]
        self.authority.answers[f"passdb/{name}/{address}"] = {"password": KEY, "user": address}
        words = (f"XCLIENT ADDR=203.0.113.8 PORT=77 SESSION=%s TTL=3 "
                 f"FORWARD={b64('muster_account=' + address)}")
        pop3 = self.connect("pop3")
        self.assertIn("[XCLIENT]", pop3.hear(r"^\+OK"))
        pop3.ask(words % "fwd-pop3", r"^\+OK")
        self.assertIn("+OK", pop3_login(pop3, name))
        sieve = self.connect("sieve")
        sieve.hear("^OK")
        sieve.ask(words % "fwd-sieve", "^OK")
        self.assertIn("OK", sieve_login(sieve, name))
        for service in ("pop3", "sieve"):
            self.lab.logged(rf"Login: user=<{address}>.*rip=203.0.113.8.*session=<fwd-{service}>")

    def test_authority_folds_the_name_by_answering_another_one(self):
        address, home = self.account()
        typed = address.upper()
        self.authority.answers[f"passdb/{typed}/"] = {"password": KEY, "user": address}
        self.imap(typed).ask("a SELECT INBOX", "^a OK")
        self.assertTrue(home.is_dir())

    def test_names_beyond_ascii(self):
        home = self.lab.home("idn")
        self.authority.account("jörg@domain1.dom", "idn", home, KEY)
        line = self.imap()
        words = b64(f"\0jörg@domain1.dom\0{PASSWORD}")
        self.assertIn("p OK", line.ask(f"p AUTHENTICATE PLAIN {words}", "^p "))

    def test_failures_take_half_a_second_and_do_not_grow(self):
        # Dovecot's own delay would be 2 s and its penalty up to 15 s for each; a busy machine may
        # slow down some of them, but not all.
        address, _ = self.account()
        line = self.imap()
        took = []
        for name in (address, address, address, "unknown@domain1.dom", address):
            start = time.monotonic()
            line.ask(f"l LOGIN {name} wrong", r"^l NO \[AUTHENTICATIONFAILED\]")
            took.append(time.monotonic() - start)
        start = time.monotonic()
        self.imap().ask(f"l LOGIN {address} wrong", "^l NO")  # no penalty for the next connection
        took.append(time.monotonic() - start)
        self.assertLess(min(took[-3:]), 1.5, took)

    def test_unknown_names_look_like_wrong_passwords_when_given_a_key_nobody_knows(self):
        address, _ = self.account()
        self.authority.answers["passdb/nobody@domain1.dom/"] = {"password": scram_key("?")}
        known = imap_scram(self.imap(), Scram(address, "wrong"))
        unknown = imap_scram(self.imap(), Scram("nobody@domain1.dom", "wrong"))
        self.assertEqual(known, unknown)

    def test_nologin_without_reason_tells_strangers_nothing(self):
        address, _ = self.account()
        self.authority.answers[f"passdb/{address}/"] |= {"nologin": "y"}
        disabled = r"l NO \[CONTACTADMIN\] Login disabled"
        self.imap().ask(f'l LOGIN {address} "{PASSWORD}"', disabled)
        self.imap().ask(f"l LOGIN {address} wrong", r"l NO \[AUTHENTICATIONFAILED\]")
        self.assertIn("CONTACTADMIN", imap_scram(self.imap(), Scram(address, PASSWORD)))
        self.assertIn("AUTHENTICATIONFAILED", imap_scram(self.imap(), Scram(address, "wrong")))

    def test_nologin_with_reason_leaks_it_under_scram(self):
        address, _ = self.account()
        self.authority.answers[f"passdb/{address}/"] |= {"nologin": "y", "reason": "moving"}
        self.imap().ask(f'l LOGIN {address} "{PASSWORD}"', r"l NO \[CONTACTADMIN\] moving")
        self.assertIn("moving", imap_scram(self.imap(), Scram(address, "wrong")))

    def refusals(self, address):
        """How IMAP, POP3, ManageSieve and LMTP answer to an account that userdb refuses."""
        lines = [self.connect(name) for name in ("imap", "pop3", "sieve", "lmtp")]
        lines[0].hear("OK")
        lines[1].hear(r"^\+OK")
        lines[2].hear("^OK")
        lmtp_open(lines[3])
        return [self.heard_or_closed(attempt) for attempt in (
            lambda: lines[0].ask(f'l LOGIN {address} "{PASSWORD}"', "^l "),
            lambda: pop3_login(lines[1], address), lambda: sieve_login(lines[2], address),
            lambda: lmtp_recipients(lines[3], address)[0])]

    def heard_or_closed(self, attempt):
        try:
            return attempt()
        except AssertionError as error:
            self.assertIn("closed", str(error))
            return "closed"

    def test_userdb_refusal_is_temporary_and_at_once(self):
        # The session process writes the answer while the login process closes the connection, so
        # a client may see the answer or only the end.
        address, _ = self.account()
        self.authority.answers[f"userdb/{address}"] = {"tempfail": "y", "reason": "on the move"}
        start = time.monotonic()
        imap, pop3, sieve, lmtp = self.refusals(address)
        self.assertIn(imap, ("l NO [UNAVAILABLE] on the move", "closed"))
        self.assertIn(pop3, ("-ERR [SYS/TEMP] on the move", "closed"))
        self.assertIn(sieve, ('NO "on the move"', "closed"))
        self.assertRegex(lmtp, "^451 ")
        self.assertLess(time.monotonic() - start, 4)

    def test_a_userdb_that_fails_is_temporary_and_one_that_knows_nobody_is_not(self):
        address, _ = self.account()
        self.authority.answers[f"userdb/{address}"] = FakeAuthority.FAIL
        imap, _, _, lmtp = self.refusals(address)
        self.assertRegex(imap, r"^l NO \[UNAVAILABLE\] Internal|^closed")
        self.assertRegex(lmtp, "^451 ")
        self.authority.answers[f"userdb/{address}"] = None
        imap, _, _, lmtp = self.refusals(address)
        self.assertRegex(imap, r"^l NO \[UNAVAILABLE\] Internal|^closed")
        self.assertRegex(lmtp, "^550 5.1.1")

    def test_an_authority_that_fails_is_unavailable_and_no_wrong_password(self):
        self.authority.answers["passdb/broken@domain1.dom/"] = FakeAuthority.FAIL
        self.imap().ask("l LOGIN broken@domain1.dom x", r"l NO \[UNAVAILABLE\]")

    def test_one_use_token_as_master_user(self):
        address, _ = self.account()
        uses = iter([{"password": "{PLAIN}once"}])
        self.authority.answers[f"token/t1/imap/{address}"] = lambda: next(uses, None)
        words = b64(f"{address}\0t1\0once")
        line = self.imap()
        self.assertIn("p OK", line.ask(f"p AUTHENTICATE PLAIN {words}", "^p "))
        self.assertIn("p NO", self.imap().ask(f"p AUTHENTICATE PLAIN {words}", "^p "))
        self.lab.logged(rf"Login: user=<{address}>, method=PLAIN.*session")

    def test_token_session_has_the_owner_s_rights(self):
        address, _ = self.account()
        self.authority.answers[f"token/t2/imap/{address}"] = {"password": "{PLAIN}once"}
        line = self.imap()
        line.ask(f"p AUTHENTICATE PLAIN {b64(f'{address}{chr(0)}t2{chr(0)}once')}", "^p OK")
        self.assertIn("lrwstipekxacd", line.ask("r MYRIGHTS INBOX", "^[*] MYRIGHTS"))
        line.ask("c CREATE Folder", "^c OK")

    def test_token_is_no_password_of_its_own(self):
        address, _ = self.account()
        self.authority.answers[f"token/t3/imap/{address}"] = {"password": "{PLAIN}once"}
        words = b64("\0t3\0once")
        self.assertIn("p NO", self.imap().ask(f"p AUTHENTICATE PLAIN {words}", "^p "))

    def test_iteration_lists_users(self):
        address, _ = self.account()
        self.assertIn(address, self.lab.doveadm("user", "*").splitlines())

    def test_relay_socket_refuses_disabled_accounts(self):
        address, _ = self.account()
        self.authority.answers[f"passdb/{address}/"] |= {"nologin": "y"}
        with RelayClient(self.lab.dir / "run" / "auth-muster") as relay:
            answer = relay.ask("1", "PLAIN", f"\0{address}\0{PASSWORD}", "imap")
            self.assertRegex(answer, r"^FAIL\t1|^OK\t1\t.*\bnologin\b")

    def test_relay_socket_speaks_the_auth_protocol(self):
        address, _ = self.account()
        with RelayClient(self.lab.dir / "run" / "auth-muster") as relay:
            good = relay.ask("1", "PLAIN", f"\0{address}\0{PASSWORD}", "imap")
            self.assertRegex(good, rf"^OK\t1\tuser={address}")
            self.assertRegex(relay.ask("2", "PLAIN", f"\0{address}\0no", "imap"), r"^FAIL\t2\t")


class RelayClient:
    """Dovecot's auth client protocol, as far as the relay uses it."""

    def __init__(self, path):
        import socket
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rwb", buffering=0)
        self.file.write(f"VERSION\t1\t2\nCPID\t{os.getpid()}\n".encode())
        while self.file.readline() != b"DONE\n":
            pass

    def ask(self, number, mechanism, response, service):
        self.file.write(f"AUTH\t{number}\t{mechanism}\tservice={service}\tsecured\t"
                        f"rip=203.0.113.9\tresp={b64(response)}\n".encode())
        return self.file.readline().decode().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


class MailFacts(Facts):
    options = {"last_login": True}

    def test_first_login_makes_the_home_with_its_mailbox(self):
        address, home = self.account()
        self.assertFalse(home.exists())
        line = self.imap(address)
        line.ask("a SELECT INBOX", "^a OK")
        self.assertTrue((home / "mail").is_dir())
        self.assertEqual(home.stat().st_uid, self.lab.user.pw_uid)

    def test_first_delivery_and_first_script_make_the_home(self):
        address, home = self.account()
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        self.assertIn("Saved", lmtp_deliver(lmtp, address)[0])
        self.assertEqual(len(list((home / "mail" / "new").iterdir())), 1)
        address, home = self.account()
        sieve = self.connect("sieve")
        sieve.hear("^OK")
        self.assertIn("OK", sieve_login(sieve, address))
        sieve.ask('PUTSCRIPT "x" {7+}\r\nkeep;\r\n', "^OK")
        self.assertTrue((home / "sieve" / "x.sieve").is_file())

    def test_quota_comes_from_userdb(self):
        address, _ = self.account(quota_rule="*:bytes=20480")
        line = self.imap(address)
        self.assertRegex(line.ask("q GETQUOTAROOT INBOX", r"^\* QUOTA "), r"STORAGE 0 20\b")
        size = 30000
        line.ask(f"a APPEND INBOX {{{size}+}}\r\n" + "x" * size, r"^a NO \[OVERQUOTA\]")
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 500
        self.assertRegex(lmtp_deliver(lmtp, address, text=big)[0], "^552 5.2.2")

    def test_shared_mailbox_through_the_dict(self):
        owner, _ = self.account()
        reader, _ = self.account()
        line = self.imap(owner)
        line.ask("c CREATE Plans", "^c OK")
        line.ask(f"a SETACL Plans {reader} lrs", "^a OK")
        line.ask("p APPEND Plans {18+}\r\nSubject: x\r\n\r\nbody", "^p OK")
        self.assertEqual(self.authority.written.get(f"shared-boxes/user/{reader}/{owner}"), "1")
        other = self.imap(reader)
        other.ask('l LIST "" "shared/*"', "^l OK")
        self.assertTrue(any(f"shared/{owner}/Plans" in heard for heard in other.heard))
        self.assertIn("EXISTS", other.ask(f'e EXAMINE "shared/{owner}/Plans"', "EXISTS"))
        other.ask(f'e SELECT "shared/{owner}/Plans"', r"PERMANENTFLAGS \(\\Seen\)")
        line.ask(f"d DELETEACL Plans {reader}", "^d OK")
        wait_for(lambda: f"shared-boxes/user/{reader}/{owner}" not in self.authority.written,
                 "the share to go")

    def test_last_login_is_reported(self):
        address, _ = self.account()
        self.imap(address).ask("a SELECT INBOX", "^a OK")
        wait_for(lambda: f"last-login/{address}" in self.authority.written, "last-login")

    def test_session_and_client_stand_in_the_log(self):
        address, _ = self.account()
        self.imap(address, imap_introduction("log-imap")).ask("o LOGOUT", "^o OK")
        self.lab.logged(rf"imap-login: .*rip=203\.0\.113\.7.*session=<log-imap>")
        self.lab.logged(rf"imap\({address}\)<\d+><log-imap>: ")
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        lmtp.ask("XCLIENT ADDR=203.0.113.9 PORT=77 SESSION=log-lmtp TTL=3", "^220")
        lmtp.ask("LHLO front.test", "^250 ")
        lmtp_deliver(lmtp, address)
        self.lab.logged(rf"lmtp\({address}\)<\d+><log-lmtp>: ")


class EndFacts(Facts):
    """What it takes to end an account's sessions."""

    def who(self, address):
        """(service, pid) of each session that Dovecot's anvil knows."""
        rows = self.lab.doveadm("-f", "tab", "who", "-1", address).splitlines()[1:]
        return {(row.split("\t")[1], int(row.split("\t")[2])) for row in rows}

    def titled(self, address):
        """Processes whose title names the account."""
        found = set()
        for pid in self.lab.processes():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    title = file.read().decode("utf-8", "replace")
            except OSError:
                continue
            if f"[{address} " in title:
                found.add(pid)
        return found

    def sessions(self, address):
        """One session of each kind; returns the lines by service."""
        imap = self.imap(address)
        imap.ask("a SELECT INBOX", "^a OK")
        pop3, sieve, lmtp = (self.connect(name) for name in ("pop3", "sieve", "lmtp"))
        pop3.hear(r"^\+OK")
        pop3_login(pop3, address)
        sieve.hear("^OK")
        sieve_login(sieve, address)
        lmtp_open(lmtp)
        lmtp_recipients(lmtp, address)
        lmtp.ask("DATA", "^354")
        lmtp.say("Subject: unfinished\r\n\r\nstill going on")
        return {"imap": imap, "pop3": pop3, "sieve": sieve, "lmtp": lmtp}

    def test_title_and_anvil_name_every_process(self):
        address, _ = self.account()
        self.sessions(address)
        known = self.who(address)
        self.assertEqual({service for service, _ in known}, {"imap", "pop3", "sieve", "lmtp"})
        self.assertEqual(self.titled(address),
                         {pid for service, pid in known if service != "lmtp"})

    def test_term_ends_all_but_stopped_processes(self):
        address, _ = self.account()
        lines = self.sessions(address)
        known = self.who(address)
        stopped = next(pid for service, pid in known if service == "imap")
        os.kill(stopped, signal.SIGSTOP)
        self.lab.doveadm("kick", address)
        for service in ("pop3", "sieve", "lmtp"):
            lines[service].closed()
        wait_for(lambda: self.titled(address) == {stopped}, "the others to end")
        os.kill(stopped, signal.SIGKILL)
        lines["imap"].closed()
        wait_for(lambda: not self.who(address) and not self.titled(address), "all to end")

    def test_kick_refuses_where_a_delivery_is_shared(self):
        one, _ = self.account()
        two, _ = self.account()
        session = self.imap(one)
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        lmtp_recipients(lmtp, one, two)
        said = self.lab.doveadm("kick", one, check=False)
        self.assertIn("other connections would also be kicked", said)
        session.ask("n NOOP", "^n OK")  # nothing was ended at all

    def test_a_stopped_delivery_ends_by_kill_alone(self):
        address, _ = self.account()
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        lmtp_recipients(lmtp, address)
        (_, pid), = self.who(address)
        lmtp.ask("DATA", "^354")
        os.kill(pid, signal.SIGSTOP)
        lmtp.say("Subject: x\r\n\r\nbody\r\n.")
        os.kill(pid, signal.SIGKILL)
        lmtp.closed()
        wait_for(lambda: not self.who(address), "anvil to forget it")


class TrustFacts(Facts):
    """Peers outside login_trusted_networks cannot speak for others."""

    options = {"trusted_networks": ["192.0.2.0/24"]}

    def test_introductions_from_strangers_change_nothing(self):
        address, _ = self.account()
        name = address.split("@")[0]
        self.authority.answers[f"passdb/{name}/{address}"] = {"password": KEY, "user": address}
        line = self.imap(introduction=imap_introduction("forged-imap", muster_account=address))
        self.assertIn("l NO", line.ask(f'l LOGIN {name} "{PASSWORD}"', "^l "))
        pop3 = self.connect("pop3")
        self.assertNotIn("[XCLIENT]", pop3.hear(r"^\+OK"))
        pop3.ask("XCLIENT ADDR=203.0.113.8 SESSION=forged-pop3", "ignoring")
        sieve = self.connect("sieve")
        sieve.hear("^OK")
        self.assertFalse(any("XCLIENT" in heard for heard in sieve.heard))
        sieve.ask("XCLIENT ADDR=203.0.113.8 SESSION=forged-sieve", "^NO")
        lmtp = self.connect("lmtp")
        lmtp_open(lmtp)
        self.assertFalse(any("XCLIENT" in heard for heard in lmtp.heard))
        lmtp.ask("XCLIENT ADDR=203.0.113.8 SESSION=forged-lmtp", "^[45]")
        line.close()
        self.lab.logged(rf"auth failed.*user=<{name}>")
        self.assertNotRegex(self.lab.log(), "forged|203.0.113")


class TlsAndOauthFacts(Facts):
    @classmethod
    def setUpClass(cls):
        if cls.mode == "root" and os.getuid() != 0:
            raise unittest.SkipTest("needs root")
        import tempfile
        folder = tempfile.TemporaryDirectory(prefix="muster-tls-")
        cls.addClassCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        certificate, key, ca = made_certificate(folder.name)
        cls.context = ssl.create_default_context(cafile=ca)
        cls.provider = Provider()
        cls.addClassCleanup(cls.provider.close)
        cls.options = {"certificate": (certificate, key),
                       "introspection_url": cls.provider.url}
        super().setUpClass()

    def test_implicit_tls_with_a_verified_certificate(self):
        address, _ = self.account()
        line = self.lab.imap(self.context)
        self.addCleanup(line.close)
        self.assertIn("l OK", line.ask(f'l LOGIN {address} "{PASSWORD}"', "^l "))

    def test_starttls_on_every_service(self):
        for service, greeting, command, ready in (
                ("imap", "OK", "a STARTTLS", "^a OK"), ("pop3", r"^\+OK", "STLS", r"^\+OK"),
                ("sieve", "^OK", "STARTTLS", "^OK"), ("lmtp", "^220", "STARTTLS", "^220")):
            with self.subTest(service):
                line = self.connect(service)
                line.hear(greeting)
                line.ask(command, ready)
                line.start_tls(self.context)
                self.assertEqual(line.socket.version(), "TLSv1.3")

    def test_introduction_after_starttls(self):
        address, _ = self.account()
        line = self.imap()
        line.ask("a STARTTLS", "^a OK")
        line.start_tls(self.context)
        line.ask(imap_introduction("tls-1"), "^i OK")
        line.ask(f'l LOGIN {address} "{PASSWORD}"', "^l OK")
        self.lab.logged(r"Login: .*rip=203.0.113.7.*TLS, session=<tls-1>")

    def test_oauthbearer_and_xoauth2(self):
        address, home = self.account(None)
        self.provider.tokens["good"] = {"active": True, "email": address}
        bearer = b64(f"n,a={address},\1host=x\1port=1\1auth=Bearer good\1\1")
        line = self.imap()
        self.assertIn("o OK", line.ask(f"o AUTHENTICATE OAUTHBEARER {bearer}", r"^(o |\+)"))
        line.ask("a SELECT INBOX", "^a OK")
        self.assertTrue(home.is_dir())
        xoauth2 = b64(f"user={address}\1auth=Bearer good\1\1")
        answer = self.imap().ask(f"o AUTHENTICATE XOAUTH2 {xoauth2}", r"^(o |\+)")
        self.assertIn("o OK", answer)
        self.assertFalse([key for key in self.authority.asked if key == f"passdb/{address}/"])

    def test_oauth_refuses_inactive_tokens_and_those_of_others(self):
        address, _ = self.account()
        self.provider.tokens["other"] = {"active": True, "email": "other@domain1.dom"}
        for token in ("inactive", "other"):
            words = b64(f"user={address}\1auth=Bearer {token}\1\1")
            line = self.imap()
            self.assertTrue(line.ask(f"o AUTHENTICATE XOAUTH2 {words}", r"^(o |\+)"))
            self.assertIn("o NO", line.heard[-1] if line.heard[-1][0] == "o"
                          else line.ask("", "^o "))

    def test_oauth_is_fenced_by_userdb_alone(self):
        address, _ = self.account()
        self.provider.tokens["fenced"] = {"active": True, "email": address}
        self.authority.answers[f"passdb/{address}/"] |= {"nologin": "y"}
        words = b64(f"user={address}\1auth=Bearer fenced\1\1")
        self.assertIn("o OK", self.imap().ask(f"o AUTHENTICATE XOAUTH2 {words}", "^o "))
        self.authority.answers[f"userdb/{address}"] = {"tempfail": "y", "reason": "disabled"}
        line = self.imap()
        line.say(f"o AUTHENTICATE XOAUTH2 {words}")
        line.closed()
        wait_for(lambda: "Internal auth failure: disabled" in self.lab.log(), "the refusal")


def load_tests(loader, _tests, _pattern):
    suite = unittest.TestSuite()
    for facts in (LoginFacts, MailFacts, EndFacts, TrustFacts, TlsAndOauthFacts):
        for mode in ("root", "self"):
            case = type(f"{facts.__name__}_{mode}", (facts, unittest.TestCase), {"mode": mode})
            suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    unittest.main()
