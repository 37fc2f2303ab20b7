"""Real mail clients, unchanged, against a whole cluster through either front end; and what clients
may rely on: TLS, certificates, mechanisms, capabilities, pushes, names."""
import base64
import concurrent.futures
import contextlib
import fcntl
import functools
import imaplib
import mailbox
import os
import pathlib
import poplib
import select
import shlex
import signal
import ssl
import struct
import subprocess
import tempfile
import termios
import time
import unittest
import uuid

import harness
from harness import (MAIL_HOST, Scram, b64, imap_login, imap_scram, new_source, pop3_login,
                     sieve_login, wait_for)

FRONT_ENDS = ("fe1", "fe2")
PASSWORD = 'correct horse "battery" \\staple'


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


def message(subject=None):
    """A message and the subject by which it is found again."""
    subject = subject or f"mark-{uuid.uuid4().hex}"
    return subject, (f"From: Someone <someone@example.org>\r\nTo: You <you@example.org>\r\n"
                     f"Subject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n"
                     f"Date: Mon, 20 Nov 2023 10:00:00 +0000\r\n\r\nHello, {subject}.\r\n")


def lay_mail(account, text):
    """Delivers to the account's own server, as front ends do."""
    line = harness.Line(demo.sv[account["home"]]["lmtp"])
    with contextlib.closing(line):
        harness.lmtp_open(line)
        answer, = harness.lmtp_deliver(line, account["address"], text=text.rstrip("\r\n"))
    assert answer.startswith("250"), answer


def at_once(*calls):
    """The answers, in order. Failed logins are answered late: better to wait for all of them
    together."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(call) for call in calls]]


def hang_up(client):
    with contextlib.suppress(OSError):
        client.shutdown()


class Case(unittest.TestCase):
    number = 0

    def account(self, home="sv2", password=PASSWORD, domain="domain1.dom"):
        Case.number += 1
        return demo.add_account(f"c{Case.number}@{domain}", password, home=home)

    def keep(self, closable):
        self.addCleanup(closable.close)
        return closable

    def home_dir(self):
        """A folder that is the client's whole world."""
        folder = tempfile.TemporaryDirectory(prefix="muster-c-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def run_client(self, home, *command, text=None, codes=(0,)):
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8",
                       "TERM": "dumb", "USER": "tester", "LOGNAME": "tester",
                       "TMPDIR": str(home)}
        done = subprocess.run([str(word) for word in command], input=text, text=True, cwd=home,
                              env=environment, capture_output=True, timeout=90,
                              **({} if text is not None else {"stdin": subprocess.DEVNULL}))
        self.assertIn(done.returncode, codes,
                      f"{command[0]}: {done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def service(self, front_end, name):
        host, port = demo.fe[front_end][name].rsplit(":", 1)
        return host, int(port)

    def mail(self, account, count=1):
        """Lays mails on the account's server; returns their subjects."""
        subjects = []
        for _ in range(count):
            subject, text = message()
            lay_mail(account, text)
            subjects.append(subject)
        return subjects

    def opened(self, service, front_end="fe1", source=None):
        """Greeted and encrypted, by whatever way the service has."""
        line = self.keep(demo.line(service, front_end, source))
        line.hear(r"^(\* OK|\+OK|OK)")
        upgrade = {"imap": ("t STARTTLS", "^t OK"), "pop3": ("STLS", r"^\+OK"),
                   "sieve": ("STARTTLS", "^OK")}.get(service)
        if upgrade:
            line.ask(*upgrade)
            line.start_tls(demo.context)
        if service == "sieve":
            line.hear("^OK")
        return line


class Curl(Case):
    """curl with a name to verify, as a user would write it."""

    def curl(self, account, url, *more, front_end="fe1"):
        scheme, rest = url.split("://", 1)
        host, port = self.service(front_end, scheme)
        home = self.home_dir()
        quoted = f"{account['address']}:{PASSWORD}".replace("\\", "\\\\").replace('"', '\\"')
        (home / "config").write_text(f'user = "{quoted}"\n')
        return self.run_client(
            home, "curl", "--silent", "--show-error", "--disable", "--config", home / "config",
            "--cacert", demo.description["ca"], "--ssl-reqd", "--interface", new_source(),
            "--resolve", f"{MAIL_HOST}:{port}:{host}", *more,
            f"{scheme}://{MAIL_HOST}:{port}/{rest}")

    def test_imap_and_imaps_append_list_and_fetch(self):
        account = self.account()
        for number, scheme in enumerate(("imap", "imaps"), 1):
            subject, text = message()
            mail = self.home_dir() / "mail"
            mail.write_bytes(text.encode())
            self.curl(account, f"{scheme}://INBOX", "--upload-file", mail)
            for front_end in FRONT_ENDS:
                listing = self.curl(account, f"{scheme}://", front_end=front_end)
                self.assertRegex(listing, r'^\* LIST \(.*\) "." INBOX')
                fetched = self.curl(account, f"{scheme}://INBOX;MAILINDEX={number}",
                                    front_end=front_end)
                self.assertIn(f"Subject: {subject}", fetched)

    def test_pop3_and_pop3s_list_and_retrieve(self):
        account = self.account("sv3")
        subject, = self.mail(account)
        for scheme in ("pop3", "pop3s"):
            for front_end in FRONT_ENDS:
                self.assertRegex(self.curl(account, f"{scheme}://", front_end=front_end),
                                 r"(?m)^1 \d+\s*$")
                self.assertIn(f"Subject: {subject}",
                              self.curl(account, f"{scheme}://1", front_end=front_end))

    def test_mechanisms_and_initial_responses(self):
        account = self.account("sv1")
        for options in (["--login-options", "AUTH=PLAIN"], ["--sasl-ir"],
                        ["--login-options", "AUTH=LOGIN"]):
            for scheme in ("imaps", "pop3s"):
                with self.subTest(options=options, scheme=scheme):
                    self.curl(account, f"{scheme}://", *options)


class Fetchers(Case):
    """Programs that copy mail away."""

    def trusted(self, home, front_end):
        """mbsync compares names of certificates, not addresses, but takes a known certificate."""
        path = home / "trusted.pem"
        path.write_text(pathlib.Path(demo.description["ca"]).read_text()
                        + (demo.dir / front_end / "mail.crt").read_text())
        return path

    def mbsync(self, home, account, front_end, service, kind):
        host, port = self.service(front_end, service)
        quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        (home / "mail").mkdir(exist_ok=True)
        (home / "mbsyncrc").write_text(f"""
IMAPAccount there
Host {host}
Port {port}
User {account["address"]}
Pass "{quoted}"
SSLType {kind}
SystemCertificates no
CertificateFile {self.trusted(home, front_end)}
AuthMechs PLAIN LOGIN

IMAPStore there
Account there

MaildirStore here
Path {home}/mail/
Inbox {home}/mail/INBOX

Channel both
Far :there:
Near :here:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        return self.run_client(home, "mbsync", "-c", home / "mbsyncrc", "-a")

    def test_mbsync_both_ways_through_both_front_ends(self):
        account, home = self.account(), self.home_dir()
        first, = self.mail(account)
        self.mbsync(home, account, "fe1", "imaps", "IMAPS")
        here = mailbox.Maildir(home / "mail" / "INBOX", create=False)
        self.assertEqual([mail["Subject"] for mail in here], [first])
        second, text = message()
        here.add(mailbox.MaildirMessage(text.replace("\r\n", "\n")))
        here.close()
        self.mbsync(home, account, "fe2", "imap", "STARTTLS")
        client = self.imap4(account)
        client.select("INBOX")
        self.assertEqual(len(client.search(None, "SUBJECT", second)[1][0].split()), 1)

    def imap4(self, account, front_end="fe1"):
        client = demo.imap4(account["address"], PASSWORD, front_end)
        self.addCleanup(hang_up, client)
        return client

    def test_fetchmail_over_imap_and_pop3(self):
        for protocol, service, option in (("imap", "imap", "sslproto TLS1.2+"),
                                          ("imap", "imaps", "ssl"),
                                          ("pop3", "pop3", "sslproto TLS1.2+"),
                                          ("pop3", "pop3s", "ssl")):
            for front_end in FRONT_ENDS:
                with self.subTest(service=service, front_end=front_end):
                    self.fetchmail(protocol, service, option, front_end)

    def fetchmail(self, protocol, service, option, front_end):
        account, home = self.account(password="plain-word"), self.home_dir()
        subject, = self.mail(account)
        host, port = self.service(front_end, service)
        target = home / "got"
        (home / "mda").write_text(f"#!/bin/sh\ncat >> {shlex.quote(str(target))}\n")
        (home / "mda").chmod(0o700)
        control = home / "fetchmailrc"
        control.write_text(
            f'poll home via {host} proto {protocol} service {port}\n'
            f'  user "{account["address"]}" password "plain-word" {option}\n'
            f'  sslcertck sslcertfile {demo.description["ca"]} sslcommonname {MAIL_HOST}\n'
            f'  fetchall no keep mda "{home}/mda"\n')
        control.chmod(0o600)
        self.run_client(home, "fetchmail", "--nosyslog", "-v", "-f", control, "--pidfile",
                        home / "pid", "--idfile", home / "ids")
        self.assertIn(f"Subject: {subject}", target.read_text())
        wait_for(lambda: not demo.mails("sv2", account["id"]), "fetchmail's deletion")

    def test_getmail_over_imap_and_pop3(self):
        for retriever, service in (("SimpleIMAPSSLRetriever", "imaps"),
                                   ("SimplePOP3SSLRetriever", "pop3s")):
            for front_end in FRONT_ENDS:
                with self.subTest(service=service, front_end=front_end):
                    self.getmail(retriever, service, front_end)

    def getmail(self, retriever, service, front_end):
        account, home = self.account("sv3", "plain-word"), self.home_dir()
        subjects = self.mail(account, 2)
        host, port = self.service(front_end, service)
        target = home / "got"
        (home / "mda").write_text(f"#!/bin/sh\ncat >> {shlex.quote(str(target))}\n")
        (home / "mda").chmod(0o700)
        (home / "getmailrc").write_text(f"""
[retriever]
type = {retriever}
server = {host}
port = {port}
username = {account["address"]}
password = plain-word
ca_certs = {demo.description["ca"]}
ssl_cert_hostname = {MAIL_HOST}
[destination]
type = MDA_external
path = {home}/mda
allow_root_commands = true
[options]
read_all = true
delete = true
""")
        self.run_client(home, "getmail", "--getmaildir", home, "--rcfile", home / "getmailrc")
        for subject in subjects:
            self.assertIn(f"Subject: {subject}", target.read_text())
        self.assertEqual(demo.mails("sv3", account["id"]), [])


class Neomutt(Case):
    """neomutt on a terminal of its own; its start-up commands press the keys."""

    def test_reads_a_mailbox_over_imap_and_pop(self):
        for scheme, service in (("imaps", "imaps"), ("imap", "imap"), ("pops", "pop3s")):
            for front_end in FRONT_ENDS:
                with self.subTest(service=service, front_end=front_end):
                    self.read(scheme, service, front_end)

    def read(self, scheme, service, front_end):
        account, home = self.account("sv1", "plain-word"), self.home_dir()
        subject, = self.mail(account)
        host, port = self.service(front_end, service)
        user = account["address"]
        (home / "muttrc").write_text(f"""
set ssl_starttls=yes ssl_force_tls=yes ssl_ca_certificates_file="{demo.description["ca"]}"
set imap_user="{user}" imap_pass="plain-word" pop_user="{user}" pop_pass="plain-word"
set folder="{home}" spoolfile="{scheme}://{user.replace("@", "%40")}@{host}:{port}/"
set delete=yes quit=yes move=no wait_key=no sleep_time=0 header_cache="" message_cachedir=""
push "<pipe-message>cat >{home}/got<enter><exit>"
""")
        screen = self.on_terminal(home, "neomutt", "-n", "-F", home / "muttrc")
        got = home / "got"
        self.assertIn(f"Subject: {subject}", got.read_text() if got.exists() else "", screen)

    def on_terminal(self, home, *command, seconds=30):
        """Runs it until it ends; returns what it painted."""
        ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8",
                       "TERM": "vt100", "TMPDIR": str(home)}
        running = subprocess.Popen([str(word) for word in command], cwd=home, env=environment,
                                   stdin=its, stdout=its, stderr=its, start_new_session=True)
        os.close(its)
        painted, end = b"", time.monotonic() + seconds
        try:
            while select.select([ours], [], [], max(0, end - time.monotonic()))[0]:
                piece = os.read(ours, 65536)
                if not piece:
                    break
                painted += piece
        except OSError:  # EIO: the last user of the terminal is gone
            pass
        finally:
            os.close(ours)
            if time.monotonic() >= end:
                running.kill()
            running.wait(10)
        return painted.decode(errors="replace")


class SieveConnect(Case):
    SCRIPT = 'require ["fileinto"];\r\nif header :contains "subject" "x" { fileinto "X"; }\r\n'

    def sieve(self, account, front_end, *action):
        host, port = self.service(front_end, "sieve")
        home = self.home_dir()
        (home / "mine.sieve").write_text(self.SCRIPT)
        return self.run_client(
            home, "sieve-connect", "--server", host, "--nosrv", "--port", port, "--user",
            account["address"], "--passwordfd", "0", "--tlscafile", demo.description["ca"],
            "--tlshostname", MAIL_HOST, "--authmech", "PLAIN", *action, text=PASSWORD + "\n")

    def test_uploads_activates_lists_and_fetches_a_script(self):
        account = self.account()
        upload = ("--localsieve", "mine.sieve", "--remotesieve", "mine")
        self.sieve(account, "fe1", *upload, "--upload")
        self.sieve(account, "fe2", "--remotesieve", "mine", "--activate")
        for front_end in FRONT_ENDS:
            self.assertRegex(self.sieve(account, front_end, "--list"), r'"mine" ACTIVE')
            fetched = self.sieve(account, front_end, "--remotesieve", "mine", "--localsieve", "-",
                                 "--download")
            self.assertIn('fileinto "X"', fetched)
        lay_mail(account, message("about x")[1])
        client = demo.imap4(account["address"], PASSWORD)
        self.addCleanup(hang_up, client)
        self.assertEqual(client.select("X")[1], [b"1"])


class Python(Case):
    """imaplib and poplib, from STARTTLS and from the first byte."""

    def imaplib_client(self, front_end, implicit):
        host, port = self.service(front_end, "imaps" if implicit else "imap")
        context = demo._unnamed()
        if implicit:
            client = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=30)
        else:
            client = imaplib.IMAP4(host, port, timeout=30)
            self.assertIn("LOGINDISABLED", client.capabilities)
            client.starttls(context)
            self.assertNotIn("LOGINDISABLED", client.capabilities)
        self.addCleanup(hang_up, client)
        return client

    def test_imaplib(self):
        for front_end in FRONT_ENDS:
            for implicit in (True, False):
                with self.subTest(front_end=front_end, implicit=implicit):
                    account = self.account("sv1")
                    client = self.imaplib_client(front_end, implicit)
                    client.authenticate("PLAIN", lambda _: f"\0{account['address']}\0{PASSWORD}"
                                        .encode())
                    subject, text = message()
                    client.append("INBOX", None, None, text.encode())
                    client.select("INBOX")
                    found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
                    body = client.fetch(found[0], "(RFC822)")[1][0][1]
                    self.assertEqual(body, text.encode())
                    self.assertEqual(client.logout()[0], "BYE")

    def test_poplib(self):
        for front_end in FRONT_ENDS:
            for service in ("pop3", "pop3s"):
                with self.subTest(front_end=front_end, service=service):
                    account = self.account("sv3", "plain-word")
                    subject, = self.mail(account)
                    host, port = self.service(front_end, service)
                    if service == "pop3s":
                        client = poplib.POP3_SSL(host, port, context=demo._unnamed(), timeout=30)
                    else:
                        client = poplib.POP3(host, port, timeout=30)
                        client.stls(demo._unnamed())
                    self.addCleanup(client.close)
                    client.user(account["address"])
                    client.pass_("plain-word")
                    self.assertEqual(client.stat()[0], 1)
                    self.assertIn(f"Subject: {subject}".encode(), client.retr(1)[1])
                    client.dele(1)
                    client.quit()
                    wait_for(lambda: not demo.mails("sv3", account["id"]), "the deletion")

    LOGINS = (("imaps", imap_login), ("pop3s", pop3_login), ("sieve", sieve_login))

    def test_a_wrong_password_is_said_in_each_protocols_way(self):
        address = self.account()["address"]

        def twice(service, login):
            line = self.opened(service)
            return login(line, address, "wrong"), login(line, address, PASSWORD)

        imap, pop3, sieve = at_once(*(functools.partial(twice, *one) for one in self.LOGINS))
        self.assertRegex(imap[0], r"^l NO \[AUTHENTICATIONFAILED\]")
        self.assertRegex(pop3[0], r"^-ERR \[AUTH\]")
        self.assertRegex(sieve[0], "^NO ")
        for _, second in (imap, pop3, sieve):
            self.assertRegex(second, r"^(l OK|\+OK|OK)")

    def test_an_unknown_account_looks_like_a_wrong_password(self):
        address = self.account()["address"]

        def both(service, login):
            return at_once(*(lambda name=name: login(self.opened(service), name, "wrong")
                             for name in (address, "nobody@domain1.dom")))

        for wrong, unknown in at_once(*(functools.partial(both, *one) for one in self.LOGINS)):
            self.assertEqual(wrong, unknown)


class Tls(Case):
    def context(self, version):
        context = ssl.create_default_context(cafile=demo.description["ca"])
        context.minimum_version = context.maximum_version = version
        return context

    def test_implicit_and_starttls_with_1_2_and_1_3(self):
        upgrades = {"imap": ("t STARTTLS", "^t OK"), "pop3": ("STLS", r"^\+OK"),
                    "sieve": ("STARTTLS", "^OK")}
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                              (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            for service in ("imap", "imaps", "pop3", "pop3s", "sieve"):
                with self.subTest(service=service, version=name):
                    context = self.context(version)
                    at = demo.fe["fe1"][service]
                    implicit = service.endswith("s")
                    line = self.keep(harness.Line(at, context if implicit else None, MAIL_HOST,
                                                  source=new_source()))
                    line.hear(r"^(\* OK|\+OK|OK)")
                    if not implicit:
                        line.ask(*upgrades[service])
                        line.start_tls(context)
                    self.assertEqual(line.socket.version(), name)

    def test_older_versions_are_refused(self):
        context = self.context(ssl.TLSVersion.TLSv1_1)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.keep(harness.Line(demo.fe["fe1"]["imaps"], context, MAIL_HOST,
                                   source=new_source()))

    def test_passwords_wait_for_encryption(self):
        account = self.account()
        line = self.keep(demo.line("imap"))
        self.assertIn("LOGINDISABLED", line.hear("OK"))
        self.assertRegex(imap_login(line, account["address"], PASSWORD),
                         r"^l NO \[PRIVACYREQUIRED\]")
        line = self.keep(demo.line("pop3"))
        line.hear(r"^\+OK")
        self.assertRegex(line.ask(f"USER {account['address']}", "^[-+]"), "^-ERR")
        line = self.keep(demo.line("sieve"))
        line.hear("^OK")
        self.assertRegex(sieve_login(line, account["address"], PASSWORD), "^NO ")

    def test_what_follows_starttls_in_clear_is_dropped(self):
        line = self.keep(demo.line("imap"))
        line.hear("OK")
        line.ask("t STARTTLS\r\ninjected NOOP", "^t OK")
        line.start_tls(demo.context)
        line.ask("n NOOP", "^n OK")
        self.assertNotIn("injected", "\n".join(line.heard))
        line = self.keep(demo.line("pop3"))
        line.hear(r"^\+OK")
        line.ask("STLS\r\nCAPA", r"^\+OK")
        line.start_tls(demo.context)
        self.assertEqual(line.ask("QUIT", r"^[-+]"), "+OK Logging out.")
        line.closed()

    def certificate_names(self, front_end, server_name):
        context = ssl.create_default_context(cafile=demo.description["ca"])
        line = self.keep(harness.Line(demo.fe[front_end]["imaps"], context, server_name,
                                      source=new_source()))
        return {value for _, value in line.socket.getpeercert()["subjectAltName"]}

    def test_certificates_by_server_name_from_files(self):
        """Also: a reload takes them into use while a session goes on."""
        account = self.account()
        session = self.opened("imaps")
        self.assertRegex(imap_login(session, account["address"], PASSWORD), "^l OK")
        folder = demo.dir / "fe1"
        certificate = self.issue("mail.other.dom")
        (folder / "other.crt").write_text(certificate["chain"])
        (folder / "other.key").write_text(certificate["key"])
        with open(folder / "muster.toml", "a", encoding="utf-8") as file:
            file.write(f'\n[[certificate]]\nchain = "{folder}/other.crt"\n'
                       f'key = "{folder}/other.key"\n')
        os.kill(demo.fe["fe1"]["pid"], signal.SIGHUP)
        demo.logged("fe1", "reloaded")
        self.assertEqual(self.certificate_names("fe1", "mail.other.dom"), {"mail.other.dom"})
        self.assertIn(MAIL_HOST, self.certificate_names("fe1", MAIL_HOST))
        session.ask("n NOOP", "^n OK")

    def test_certificates_by_server_name_from_the_state(self):
        demo.api("PUT", "/v1/certificates/third",
                 {"names": ["mail.third.dom"], **self.issue("mail.third.dom")})
        for front_end in FRONT_ENDS:
            def seen():
                with contextlib.suppress(ssl.SSLCertVerificationError):
                    return self.certificate_names(front_end, "mail.third.dom")
            self.assertEqual(wait_for(seen, f"the certificate on {front_end}"), {"mail.third.dom"})

    def issue(self, name):
        home = self.home_dir()
        key, public = home / "key", home / "public"
        for command in (["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-out", key], ["pkey", "-in", key, "-pubout", "-out", public]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        # The authority signs what its caller has a key for; a private key never travels.
        answer = demo.api("POST", "/v1/authority/issue",
                          {"public_key": public.read_text(), "common_name": name, "names": [name]})
        return {"chain": answer["certificate"], "key": key.read_text()}


class Mechanisms(Case):
    SERVICES = ("imaps", "imap", "pop3s", "pop3", "sieve")

    def scram(self, line, service, scram):
        """A whole SCRAM exchange with the server's signature checked; the last answer."""
        if service.startswith("imap"):
            return imap_scram(line, scram)
        if service.startswith("pop3"):
            heard = line.ask(f"AUTH SCRAM-SHA-256 {b64(scram.first())}", r"^[-+]")
            if not heard.startswith("+ "):
                return heard
            heard = line.ask(b64(scram.final(base64.b64decode(heard[2:]))), r"^[-+]")
            if not heard.startswith("+ "):
                return heard
            self.assertTrue(scram.verified(base64.b64decode(heard[2:])))
            return line.ask("", "^[-+]")
        heard = line.ask(f'AUTHENTICATE "SCRAM-SHA-256" "{b64(scram.first())}"', '^("|OK|NO|BYE)')
        if not heard.startswith('"'):
            return heard
        heard = line.ask(f'"{b64(scram.final(base64.b64decode(heard)))}"', '^("|OK|NO|BYE)')
        if heard.startswith('"'):
            self.assertTrue(scram.verified(base64.b64decode(heard)))
            return line.ask('""', "^(OK|NO|BYE)")
        signature = heard.partition('(SASL "')[2].partition('"')[0]
        if signature:
            self.assertTrue(scram.verified(base64.b64decode(signature)))
        return heard

    def assert_in(self, answer):
        self.assertRegex(answer, r"^(\+OK|OK|\w OK)")

    def test_scram_sha_256(self):
        account = self.account()

        def wrong(service):
            return self.scram(self.opened(service), service, Scram(account["address"], "wrong"))

        for service in self.SERVICES:
            with self.subTest(service=service):
                self.assert_in(self.scram(self.opened(service), service,
                                          Scram(account["address"], PASSWORD)))
        for answer in at_once(*(functools.partial(wrong, one) for one in self.SERVICES)):
            self.assertRegex(answer, r"^(-ERR|NO|\w NO)")

    def test_scram_sha_256_without_the_domain(self):
        account = self.account("sv3")
        name = account["address"].partition("@")[0]
        for service in self.SERVICES:
            with self.subTest(service=service):
                self.assert_in(self.scram(self.opened(service, "fe2"), service,
                                          Scram(name, PASSWORD)))

    def test_scram_needs_no_encryption(self):
        """The password stays secret by itself; capabilities say so."""
        account = self.account()
        line = self.keep(demo.line("imap"))
        offered = line.hear("OK")
        self.assertIn("AUTH=SCRAM-SHA-256", offered)
        self.assertNotIn("AUTH=PLAIN", offered)
        self.assertNotIn("-PLUS", offered)
        self.assert_in(imap_scram(line, Scram(account["address"], PASSWORD)))

    def test_imap_plain_with_and_without_initial_response(self):
        account = self.account()
        words = b64(f"\0{account['address']}\0{PASSWORD}")
        line = self.opened("imaps")
        self.assertIn("SASL-IR", line.heard[0])
        self.assert_in(line.ask(f"a AUTHENTICATE PLAIN {words}", "^a "))
        line = self.opened("imaps")
        line.ask("a AUTHENTICATE PLAIN", r"^\+")
        self.assert_in(line.ask(words, "^a "))

    def test_imap_login_mechanism(self):
        account = self.account()
        line = self.opened("imaps", "fe2")
        line.ask("a AUTHENTICATE LOGIN", r"^\+ VXNlcm5hbWU6")
        line.ask(b64(account["address"]), r"^\+ UGFzc3dvcmQ6")
        self.assert_in(line.ask(b64(PASSWORD), "^a "))

    def test_an_exchange_can_be_cancelled(self):
        line = self.opened("imaps")
        line.ask("a AUTHENTICATE PLAIN", r"^\+")
        self.assertRegex(line.ask("*", "^a "), "^a BAD")
        account = self.account()
        self.assert_in(imap_login(line, account["address"], PASSWORD))

    def test_imap_login_with_literals(self):
        account = self.account(password="literally {5} \"so\" \\")
        password = "literally {5} \"so\" \\"
        name = account["address"]
        line = self.opened("imaps")
        line.ask(f"a LOGIN {{{len(name)}}}", r"^\+")
        line.ask(f"{name} {{{len(password)}}}", r"^\+")
        self.assert_in(line.ask(password, "^a "))
        line = self.opened("imaps")
        self.assertRegex(line.heard[0], r"LITERAL[-+]")
        self.assert_in(line.ask(f"a LOGIN {{{len(name)}+}}\r\n{name} {{{len(password)}+}}\r\n"
                                f"{password}", "^a "))

    def test_pop3_and_sieve_mechanisms(self):
        account = self.account("sv1")
        words = b64(f"\0{account['address']}\0{PASSWORD}")
        line = self.opened("pop3s")
        self.assert_in(line.ask(f"AUTH PLAIN {words}", r"^[-+]"))
        line = self.opened("pop3")
        line.ask("AUTH PLAIN", r"^\+ ")
        self.assert_in(line.ask(words, r"^[-+]"))
        line = self.opened("pop3s")
        line.ask("AUTH LOGIN", r"^\+ ")
        line.ask(b64(account["address"]), r"^\+ ")
        self.assert_in(line.ask(b64(PASSWORD), r"^[-+]"))
        line = self.opened("sieve")
        self.assert_in(line.ask(f'AUTHENTICATE "PLAIN" {{{len(words)}+}}\r\n{words}', "^(OK|NO)"))


class Capabilities(Case):
    """What is announced before login holds afterwards; afterwards the server's own list counts."""

    def words(self, line):
        return set(line.partition("CAPABILITY ")[2].partition("]")[0].split())

    def test_imap(self):
        account = self.account()
        line = self.opened("imaps")
        greeted = self.words(line.heard[0])
        line.ask("c CAPABILITY", "^c OK")
        self.assertEqual(self.words(line.heard[-2]), greeted)
        after = self.words(imap_login(line, account["address"], PASSWORD))
        promised = {word for word in greeted if not word.startswith("AUTH=")}
        self.assertLessEqual(promised, after)
        self.assertIn("IDLE", promised)
        line.ask("c CAPABILITY", "^c OK")
        self.assertEqual(self.words(line.heard[-2]), after)
        own = demo.server_line("sv2", "imap")
        self.keep(own).hear("OK")
        self.assertEqual(after, self.words(imap_login(own, account["address"], PASSWORD)))

    def pop3_capabilities(self, line):
        line.ask("CAPA", r"^\+OK")
        start = len(line.heard)
        line.hear(r"^\.$")
        return {row for row in line.heard[start:-1] if not row.startswith(("SASL", "STLS"))}

    def test_pop3(self):
        account = self.account()
        line = self.opened("pop3s")
        before = self.pop3_capabilities(line)
        self.assertIn("UIDL", before)
        self.assertRegex(pop3_login(line, account["address"], PASSWORD), r"^\+OK")
        self.assertLessEqual(before - {"USER"}, self.pop3_capabilities(line))

    def sieve_extensions(self, line):
        return {word for row in line.heard if row.startswith('"SIEVE"')
                for word in row.split('"')[3].split()}

    def test_sieve(self):
        account = self.account()
        line = self.keep(demo.line("sieve"))
        line.hear("^OK")
        listed = "\n".join(line.heard)
        self.assertIn('"STARTTLS"', listed)
        self.assertNotIn("PLAIN", listed)
        line.heard.clear()
        line.ask("STARTTLS", "^OK")
        line.start_tls(demo.context)
        line.hear("^OK")  # the capabilities come again, unasked
        self.assertRegex("\n".join(line.heard), '"SASL" ".*PLAIN.*"')
        before = self.sieve_extensions(line)
        self.assertRegex(sieve_login(line, account["address"], PASSWORD), "^OK")
        line.heard.clear()
        line.ask("CAPABILITY", "^OK")
        self.assertTrue(before)
        self.assertLessEqual(before, self.sieve_extensions(line))

    def test_both_front_ends_announce_the_same(self):
        self.assertEqual(self.opened("imaps", "fe1").heard, self.opened("imaps", "fe2").heard)


class Pushes(Case):
    def test_idle_hears_of_a_mail_that_came_through_the_other_front_end(self):
        account = self.account()
        line = self.opened("imaps", "fe1")
        self.assertRegex(imap_login(line, account["address"], PASSWORD), "^l OK")
        line.ask("s SELECT INBOX", "^s OK")
        line.ask("i IDLE", r"^\+ ")
        client = demo.imap4(account["address"], PASSWORD, "fe2")
        self.addCleanup(hang_up, client)
        client.append("INBOX", None, None, message()[1].encode())
        line.hear(r"^\* 1 EXISTS")
        lay_mail(account, message()[1])
        line.hear(r"^\* 2 EXISTS")
        line.ask("DONE", "^i OK")


class Names(Case):
    def login(self, name, password, server_name=MAIL_HOST, service="imaps", front_end="fe1"):
        context = ssl.create_default_context(cafile=demo.description["ca"])
        line = self.keep(harness.Line(demo.fe[front_end][service], context, server_name,
                                      source=new_source()))
        line.hear("OK")
        return imap_login(line, name, password) if service == "imaps" else pop3_login(
            line, name, password)

    def logged_in_as(self, pattern, server):
        demo.logged(server, rf"Login: user=<{pattern}>", engine=True)

    def test_without_a_domain_the_listeners_default_counts(self):
        for service in ("imaps", "pop3s"):
            account = self.account()
            name = account["address"].partition("@")[0]
            self.assertRegex(self.login(name, PASSWORD, service=service), r"OK")
            self.logged_in_as(account["address"], "sv2")

    def test_the_tls_server_name_comes_before_the_default(self):
        here = demo.add_account("twin@domain1.dom", "one", home="sv1")
        there = demo.add_account("twin@domain2.dom", "two", home="sv3")
        self.assertRegex(self.login("twin", "two", "mail.domain2.dom"), "^l OK")
        self.logged_in_as(there["address"], "sv3")
        self.assertRegex(self.login("twin", "one", "mail.domain1.dom"), "^l OK")
        self.logged_in_as(here["address"], "sv1")
        self.assertRegex(self.login("twin", "one", "mail.domain2.dom"), "^l NO")

    def test_case_of_names_is_folded(self):
        account = self.account()
        self.assertRegex(self.login(account["address"].upper(), PASSWORD), "^l OK")
        self.logged_in_as(account["address"], "sv2")

    def test_an_alias_is_another_name_of_the_account(self):
        account = self.account("sv3")
        alias = "alias-" + account["address"]
        demo.api("PUT", f"/v1/aliases/{alias}", {"to": [account["address"]]})
        for front_end in FRONT_ENDS:
            wait_for(lambda: self.alias_known(alias, front_end), f"the alias on {front_end}")
            self.assertRegex(self.login(alias, PASSWORD, front_end=front_end), "^l OK")
            self.assertRegex(self.login(alias, PASSWORD, service="pop3s", front_end=front_end),
                             r"^\+OK")
        self.logged_in_as(account["address"], "sv3")
        line = self.opened("imaps")
        self.assertRegex(imap_scram(line, Scram(alias, PASSWORD)), "^s OK")

    def alias_known(self, alias, node):
        with contextlib.suppress(harness.ApiError):
            return demo.api("GET", f"/v1/aliases/{alias}", node=node)

    def test_names_beyond_ascii(self):
        demo.add_account("jürgen@domain1.dom", "geheim", home="sv1")
        words = b64("\0jürgen@domain1.dom\0geheim")
        line = self.opened("imaps")
        self.assertRegex(line.ask(f"a AUTHENTICATE PLAIN {words}", "^a "), "^a OK")


if __name__ == "__main__":
    unittest.main()
