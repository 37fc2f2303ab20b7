"""Mail in and submission, with real Dovecots behind and real clients in front: what is accepted,
what is refused, and on which server it arrives."""
import email
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

import foreign_lab
import harness
import mail_lab
import test_dns
from harness import b64, wait_for
from mail_lab import connect, everywhere, new_marker, text_of, wait_for_mail

PASSWORD = "correct horse battery staple"
HOMES = ("sv1", "sv2", "sv3")


def setUpModule():
    global demo, people
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    people = {home: demo.add_account(f"in-{home}@domain1.dom", PASSWORD, home=home)
              for home in HOMES}


def address(home):
    return people[home]["address"]


class Case(unittest.TestCase):
    def deliver(self, recipients, sender="else@elsewhere.test", **text):
        marker = new_marker()
        with connect(demo) as smtp:
            answer = smtp.send(sender, recipients, text_of(marker, **text))
        self.assertRegex(answer, "^250 2.0.0 ")
        return marker

    def recipient(self, name, front_end="fe1"):
        with connect(demo, front_end=front_end) as smtp:
            return smtp.envelope("else@elsewhere.test", name)[0]

    def domain(self, name, **fields):
        """Changes a domain; puts back what it was, and waits until the front ends know."""
        before = demo.api("GET", f"/v1/domains/{name}")
        self.addCleanup(demo.api, "PUT", f"/v1/domains/{name}",
                        {key: value for key, value in before.items() if key != "name"})
        demo.api("PATCH", f"/v1/domains/{name}", fields)

    def alias(self, name, *to):
        demo.api("PUT", f"/v1/aliases/{name}", {"to": list(to)})
        self.addCleanup(demo.api, "DELETE", f"/v1/aliases/{name}")
        wait_for(lambda: not self.recipient(name).startswith("550 5.1.1"), f"alias {name}")


class Recipients(Case):
    def test_each_home_gets_its_own(self):
        for home in HOMES:
            marker = self.deliver([address(home)])
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})

    def test_it_is_read_by_imap_with_the_fields_of_its_way(self):
        marker = self.deliver([address("sv2")])
        client = demo.imap4(address("sv2"), PASSWORD)
        self.addCleanup(client.logout)
        client.select("INBOX")
        found = client.search(None, "SUBJECT", f'"{marker}"')[1][0].split()
        self.assertEqual(len(found), 1)
        text = email.message_from_bytes(client.fetch(found[0], "(RFC822)")[1][0][1])
        self.assertEqual(text["Return-Path"], "<else@elsewhere.test>")
        self.assertEqual(text["Delivered-To"], address("sv2"))
        received = [" ".join(field.split()) for field in text.get_all("Received")]
        ours = next(field for field in received if "by fe1.domain1.dom" in field)
        self.assertRegex(ours, r"^from client\.test \(.*\[127\.[\d.]+\]\) by fe1\.domain1\.dom "
                               rf".*with ESMTP id \S+ for <{address('sv2')}>; ")

    def test_several_homes_get_one_message_each(self):
        marker = self.deliver([address(home) for home in HOMES])
        for home in HOMES:
            wait_for_mail(demo, home, people[home], marker)
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})
        self.assertEqual(mail_lab.queued(demo, "fe1", marker), [])

    def test_the_same_recipient_twice_gets_one_message(self):
        marker = self.deliver([address("sv3"), address("sv3").upper(), address("sv3")])
        self.assertEqual(everywhere(demo, people["sv3"], marker), {"sv3": 1})

    def test_a_sub_address(self):
        marker = self.deliver([address("sv1").replace("@", "+lists@")])
        text = wait_for_mail(demo, "sv1", people["sv1"], marker)
        self.assertIn(b"Delivered-To: in-sv1", text)

    def test_an_alias_for_many_inside_and_outside(self):
        sink = mail_lab.Sink()
        self.addCleanup(sink.close)
        demo.api("PUT", "/v1/domains/partner.test",
                 {"kind": "remote", "route": [f"127.0.0.1:{sink.port}"]})
        self.addCleanup(demo.api, "DELETE", "/v1/domains/partner.test")
        self.alias("team@domain1.dom", address("sv1"), address("sv3"), "ann@partner.test")
        wait_for(lambda: self.recipient("x@partner.test").startswith("250"), "the remote domain")
        marker = self.deliver(["team@domain1.dom"])
        for home in ("sv1", "sv3"):
            wait_for_mail(demo, home, people[home], marker)
            self.assertEqual(everywhere(demo, people[home], marker), {home: 1})
        wait_for(lambda: sink.with_marker(marker), "the message outside")
        self.assertEqual([(sender, to) for sender, to, _ in sink.with_marker(marker)],
                         [("else@elsewhere.test", ["ann@partner.test"])])

    def test_aliases_that_lead_in_a_circle(self):
        self.alias("about@domain1.dom", address("sv1"))
        self.alias("round@domain1.dom", "about@domain1.dom")
        demo.api("PUT", "/v1/aliases/about@domain1.dom", {"to": ["round@domain1.dom"]})
        wait_for(lambda: self.recipient("round@domain1.dom").startswith("550 5.4.6 "), "the circle")

    def test_a_catch_all(self):
        self.domain("domain2.dom", catch_all=address("sv2"))
        wait_for(lambda: self.recipient("whoever@domain2.dom").startswith("250"), "the catch-all")
        marker = self.deliver(["whoever@domain2.dom"])
        self.assertEqual(everywhere(demo, people["sv2"], marker), {"sv2": 1})
        marker = self.deliver(["mary@domain2.dom"])
        self.assertEqual(everywhere(demo, people["sv2"], marker), {})

    def test_unknown_addresses_are_refused(self):
        for front_end in demo.fe:
            self.assertRegex(self.recipient("nobody-at-all@domain1.dom", front_end),
                             "^550 5.1.1 ")

    def test_mail_to_the_world_is_not_relayed(self):
        for name in ("someone@gmail.test", "domain1.dom@evil.test", "a%domain1.dom@evil.test",
                     '"in-sv1@domain1.dom"@evil.test', "in-sv1@domain1.dom.evil.test"):
            self.assertRegex(self.recipient(name), "^55[03] 5.[17].1 ", name)
        for name in ("in-sv1%evil.test@domain1.dom", '"x@evil.test"@domain1.dom',
                     "evil.test!x@domain1.dom"):
            self.assertRegex(self.recipient(name), "^55[03] 5.1.[13] ", name)

    def test_a_disabled_account(self):
        one = demo.add_account("in-off@domain1.dom", PASSWORD, home="sv1")
        demo.api("POST", f"/v1/accounts/{one['address']}/disable", {})
        wait_for(lambda: self.recipient(one["address"]).startswith("450 4.2.1 "), "the refusal")

    def test_postmaster(self):
        demo.api("PUT", "/v1/settings/postmaster", {"value": address("sv1")})
        self.addCleanup(demo.api, "DELETE", "/v1/settings/postmaster")
        wait_for(lambda: self.recipient("Postmaster").startswith("250"), "a postmaster")
        for name in ("Postmaster", "postmaster@domain1.dom", "PostMaster@domain2.dom"):
            marker = self.deliver([name])
            self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1}, name)

    def test_some_unknown_among_known(self):
        marker = new_marker()
        with connect(demo) as smtp:
            answers = smtp.envelope("", address("sv1"), "no@domain1.dom", address("sv2"))
            self.assertEqual([answer[:9] for answer in answers],
                             ["250 2.1.5", "550 5.1.1", "250 2.1.5"])
            self.assertRegex(smtp.data(text_of(marker)), "^250 ")
        for home in ("sv1", "sv2"):
            text = wait_for_mail(demo, home, people[home], marker)
            self.assertIn(b"Return-Path: <>", text)


class Messages(Case):
    def test_size_is_announced_and_kept(self):
        with connect(demo) as smtp:
            self.assertRegex(smtp.features, r"\n250[- ]SIZE 52428800")
            self.assertRegex(smtp.command("MAIL FROM:<a@b.test> SIZE=52428801"), "^552 5.3.4 ")
            self.assertRegex(smtp.command("MAIL FROM:<a@b.test> SIZE=52428800"), "^250 ")

    def memory(self, name):
        with open(f"/proc/{demo.row(name)['pid']}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def test_25_mib_are_streamed(self):
        marker = new_marker()
        line = os.urandom(38).hex().encode() + b"\r\n"
        body = line * ((25 << 20) // len(line))
        before = self.memory("fe1")
        with connect(demo, seconds=60) as smtp:
            smtp.envelope("a@b.test", address("sv2"), address("sv3"))
            self.assertRegex(smtp.command("DATA"), "^354 ")
            smtp.raw(text_of(marker, body="").encode() + body + b".\r\n")
            self.assertRegex(smtp.answer(), "^250 ")
        if not harness.IS_SANITIZED:
            self.assertLess(self.memory("fe1") - before, 8 << 10, "KiB more than before")
        for home in ("sv2", "sv3"):
            text = wait_for_mail(demo, home, people[home], marker)
            self.assertEqual(hashlib.sha256(text[-len(body):].replace(b"\r\n", b"\n")).digest()
                             if b"\r\n" in text else hashlib.sha256(
                                 text[-len(body.replace(b"\r\n", b"\n")):]).digest(),
                             hashlib.sha256(body.replace(b"\r\n", b"\n")).digest())

    def test_the_session_goes_on_after_a_message_that_is_too_large(self):
        restore = mail_lab.change_mail_options(demo, "fe2", message_bytes=65536)
        self.addCleanup(restore)
        marker = new_marker()
        with connect(demo, front_end="fe2") as smtp:
            smtp.envelope("a@b.test", address("sv1"))
            self.assertRegex(smtp.data(text_of(marker, body="x" * 70 + "\r\n" * 40_000)),
                             "^552 5.3.4 ")
            self.assertRegex(smtp.send("a@b.test", [address("sv1")], text_of(marker)), "^250 ")
            smtp.envelope("a@b.test", address("sv1"))
            smtp.raw(b"BDAT 70000\r\n" + b"RSET\r\n\r\n\r\n" * 7000 + b"BDAT 30 LAST\r\n" +
                     b"RSET\r\nNOOP\r\nQUIT\r\nMAIL x\r\n\r\n\r\n" + b"NOOP\r\n")
            self.assertRegex(smtp.answer(), "^552 5.3.4 ")
            self.assertRegex(smtp.answer(), "^503 ")
            self.assertRegex(smtp.answer(), "^250 ")
        self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1})

    def test_8_bit_text_and_dots_arrive_unchanged(self):
        marker = new_marker()
        body = "grüße, 漢字\r\n.\r\n..\r\n.begin\r\n \r\nend."
        with connect(demo) as smtp:
            answer = smtp.send("a@b.test", [address("sv1")], text_of(marker, body=body),
                               " BODY=8BITMIME")
        self.assertRegex(answer, "^250 ")
        text = wait_for_mail(demo, "sv1", people["sv1"], marker).replace(b"\r\n", b"\n")
        self.assertTrue(text.endswith(body.replace("\r\n", "\n").encode() + b"\n"), text)

    def test_smtputf8(self):
        """Dovecot's LMTP does not take it: the sender hears so, and nothing is queued."""
        marker = new_marker()
        with connect(demo) as smtp:
            self.assertIn("SMTPUTF8", smtp.features)
            self.assertRegex(smtp.command("MAIL FROM:<jörg@b.test>"), "^553 5.6.7 ")
            answer = smtp.send("jörg@bücher.test", [address("sv1")],
                               text_of(marker, "X-Name: Jörg"), " SMTPUTF8 BODY=8BITMIME")
        self.assertRegex(answer, "^553 5.6.7 ")
        self.assertEqual(mail_lab.queued(demo, "fe1", marker), [])
        self.assertEqual(everywhere(demo, people["sv1"], marker), {})

    def test_smtputf8_to_a_server_that_takes_it(self):
        sink = mail_lab.Sink()
        self.addCleanup(sink.close)
        demo.api("PUT", "/v1/domains/utf8.test",
                 {"kind": "remote", "route": [f"127.0.0.1:{sink.port}"]})
        self.addCleanup(demo.api, "DELETE", "/v1/domains/utf8.test")
        wait_for(lambda: self.recipient("x@utf8.test").startswith("250"), "the remote domain")
        marker = new_marker()
        with connect(demo) as smtp:
            answer = smtp.send("jörg@bücher.test", ["zoë@utf8.test"],
                               text_of(marker, "X-Name: Jörg"), " SMTPUTF8 BODY=8BITMIME")
        self.assertRegex(answer, "^250 ")
        (sender, recipients, text), = wait_for(lambda: sink.with_marker(marker), "the message")
        self.assertEqual((sender, recipients), ("jörg@bücher.test", ["zoë@utf8.test"]))
        self.assertIn("X-Name: Jörg".encode(), text)
        self.assertIn(b"with UTF8SMTP", text)

    def test_chunks(self):
        marker = new_marker()
        text = text_of(marker, body="a\r\n.\r\nb\r\n").encode()
        with connect(demo) as smtp:
            self.assertIn("CHUNKING", smtp.features)
            smtp.envelope("a@b.test", address("sv1"), address("sv2"))
            for at in range(0, len(text), 7):
                piece = text[at:at + 7]
                smtp.raw(b"BDAT %d\r\n" % len(piece) + piece)
                self.assertRegex(smtp.answer(), "^250 ")
            self.assertRegex(smtp.command("BDAT 0 LAST"), "^250 ")
        for home in ("sv1", "sv2"):
            got = wait_for_mail(demo, home, people[home], marker).replace(b"\r\n", b"\n")
            self.assertTrue(got.endswith(b"\n\na\n.\nb\n"), got)

    def test_everything_in_one_packet(self):
        one, two = new_marker(), new_marker()
        with connect(demo) as smtp:
            for marker in (one, two):
                smtp.raw(f"MAIL FROM:<a@b.test>\r\nRCPT TO:<{address('sv1')}>\r\n"
                         "RCPT TO:<no@domain1.dom>\r\nDATA\r\n".encode())
                self.assertEqual([smtp.answer()[:3] for _ in range(4)],
                                 ["250", "250", "550", "354"])
                smtp.raw(text_of(marker).encode() + b"\r\n.\r\nNOOP\r\n")
                self.assertEqual([smtp.answer()[:3] for _ in range(2)], ["250", "250"])
        for marker in (one, two):
            self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1})

    def test_starttls(self):
        marker = new_marker()
        with connect(demo) as smtp:
            smtp.upgrade(demo.context)
            self.assertNotIn("STARTTLS", smtp.features)
            self.assertNotIn("AUTH", smtp.features)
            self.assertRegex(smtp.send("a@b.test", [address("sv1")], text_of(marker)), "^250 ")
        text = wait_for_mail(demo, "sv1", people["sv1"], marker)
        self.assertRegex(text, rb"with ESMTPS")

    def test_a_message_without_a_body_and_one_without_a_header(self):
        for body in ("Subject: {}", "Subject: {}\r\n", "\r\n{}", "{}"):
            marker = new_marker()
            with connect(demo) as smtp:
                answer = smtp.send("a@b.test", [address("sv1")], body.format(marker))
            self.assertRegex(answer, "^250 ", body)
            self.assertEqual(everywhere(demo, people["sv1"], marker), {"sv1": 1}, body)

    def test_too_many_hops(self):
        hop = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000"
        with connect(demo) as smtp:
            answer = smtp.send("a@b.test", [address("sv1")], text_of(new_marker(), *[hop] * 50))
            self.assertRegex(answer, "^554 5.4.6 ")
            answer = smtp.send("a@b.test", [address("sv1")], text_of(new_marker(), *[hop] * 49))
            self.assertRegex(answer, "^250 ")


class Submission(Case):
    def swaks(self, mechanism, password=PASSWORD, service="submission", sender=None, to=None):
        host, port = demo.fe["fe1"][service].rsplit(":", 1)
        tls = "--tls-on-connect" if service == "submissions" else "--tls"
        marker = new_marker()
        done = subprocess.run(
            ["swaks", "--server", host, "--port", port, tls, "--auth", mechanism, "--auth-user",
             address("sv2"), "--auth-password", password, "--from", sender or address("sv2"),
             "--to", to or address("sv3"), "--header", f"Subject: {marker}",
             "--local-interface", harness.new_source()],
            text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        return marker, done

    @unittest.skipUnless(shutil.which("swaks"), "no swaks")
    def test_swaks_with_all_mechanisms(self):
        for service in ("submission", "submissions"):
            for mechanism in ("PLAIN", "LOGIN"):
                marker, done = self.swaks(mechanism, service=service)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                wait_for_mail(demo, "sv3", people["sv3"], marker)
                self.assertEqual(everywhere(demo, people["sv3"], marker), {"sv3": 1})

    @unittest.skipUnless(shutil.which("swaks"), "no swaks")
    def test_swaks_with_a_wrong_password(self):
        marker, done = self.swaks("PLAIN", "wrong")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\n<~\* 535 5.7.8 ")
        self.assertEqual(everywhere(demo, people["sv3"], marker), {})

    @unittest.skipUnless(shutil.which("swaks"), "no swaks")
    def test_swaks_with_a_foreign_sender(self):
        for sender in (address("sv1"), "ceo@elsewhere.test", "nobody@domain1.dom"):
            _, done = self.swaks("PLAIN", sender=sender)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"\n<~\* 553 5.7.1 ", sender)

    def test_msmtp(self):
        program = shutil.which("msmtp") or self.skipTest("no msmtp")
        for mechanism in ("plain", "scram-sha-256"):
            host, port = demo.fe["fe2"]["submission"].rsplit(":", 1)
            marker = new_marker()
            done = subprocess.run(
                [program, "--host", host, "--port", port, "--tls=on", "--tls-host-override",
                 harness.MAIL_HOST, "--tls-trust-file", demo.description["ca"],
                 f"--auth={mechanism}", "--user", address("sv1"), "--passwordeval",
                 f"echo '{PASSWORD}'", "--from", address("sv1"), address("sv2")],
                input=f"Subject: {marker}\n\nhello\n", text=True, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, f"{mechanism}: {done.stderr}")
            wait_for_mail(demo, "sv2", people["sv2"], marker)

    def test_curl(self):
        program = shutil.which("curl") or self.skipTest("no curl")
        host, port = demo.fe["fe1"]["submissions"].rsplit(":", 1)
        marker = new_marker()
        with tempfile.NamedTemporaryFile("w", suffix=".eml") as file:
            file.write(f"Subject: {marker}\r\n\r\nhello\r\n")
            file.flush()
            done = subprocess.run(
                [program, "-sS", "--cacert", demo.description["ca"], "--connect-to",
                 f"{harness.MAIL_HOST}:{port}:{host}:{port}",
                 f"smtps://{harness.MAIL_HOST}:{port}/client.test", "--user",
                 f"{address('sv1')}:{PASSWORD}", "--mail-from", address("sv1"), "--mail-rcpt",
                 address("sv3"), "--upload-file", file.name],
                text=True, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for_mail(demo, "sv3", people["sv3"], marker)

    def logged_in(self, home="sv1"):
        smtp = connect(demo, "submissions")
        self.addCleanup(smtp.close)
        answer = smtp.command("AUTH PLAIN " + b64(f"\0{address(home)}\0{PASSWORD}"))
        self.assertRegex(answer, "^235 2.7.0 ")
        return smtp

    def test_scram(self):
        with connect(demo, "submissions") as smtp:
            self.assertRegex(smtp.features, r"AUTH .*SCRAM-SHA-256")
            scram = harness.Scram(address("sv3"), PASSWORD)
            answer = smtp.command("AUTH SCRAM-SHA-256 " + b64(scram.first()))
            self.assertRegex(answer, "^334 ")
            answer = smtp.command(b64(scram.final(harness.base64.b64decode(answer[4:]))))
            self.assertRegex(answer, "^334 ")
            self.assertTrue(scram.verified(harness.base64.b64decode(answer[4:])))
            self.assertRegex(smtp.command(""), "^235 ")
            answer = smtp.send(address("sv3"), [address("sv1")], text_of(new_marker()))
            self.assertRegex(answer, "^250 ")

    def test_login_twice_and_out_of_place(self):
        smtp = self.logged_in()
        self.assertRegex(smtp.command("AUTH PLAIN " + b64("\0a\0b")), "^503 ")
        with connect(demo) as other:  # port 25
            self.assertRegex(other.command("AUTH PLAIN " + b64("\0a\0b")), "^50[23] ")

    def test_no_password_in_clear(self):
        with connect(demo, "submission") as smtp:
            self.assertNotIn("AUTH", smtp.features)
            secret = b64(f"\0{address('sv1')}\0{PASSWORD}")
            self.assertRegex(smtp.command(f"AUTH PLAIN {secret}"), "^538 ")
            self.assertRegex(smtp.command("MAIL FROM:<a@b.test>"), "^530 ")

    def test_nothing_without_a_login(self):
        with connect(demo, "submissions") as smtp:
            self.assertRegex(smtp.command(f"MAIL FROM:<{address('sv1')}>"), "^530 ")
            self.assertRegex(smtp.command(f"RCPT TO:<{address('sv1')}>"), "^503 ")

    def test_senders(self):
        self.alias("sales@domain1.dom", address("sv1"), address("sv2"))
        smtp = self.logged_in()
        for sender, code in ((address("sv1"), "250"), (address("sv1").upper(), "250"),
                             (address("sv1").replace("@", "+x@"), "250"),
                             ("sales@domain1.dom", "250"), ("", "250"), (address("sv2"), "553"),
                             (address("sv2").replace("@", "+x@"), "553"), ("x@world.test", "553")):
            self.assertEqual(smtp.command(f"MAIL FROM:<{sender}>")[:3], code, sender)
            smtp.command("RSET")

    def test_what_is_missing_is_added(self):
        smtp = self.logged_in()
        marker = new_marker()
        smtp.send(address("sv1"), [address("sv2")], f"Subject: {marker}\r\n\r\nhello")
        text = email.message_from_bytes(wait_for_mail(demo, "sv2", people["sv2"], marker))
        self.assertRegex(text["Message-ID"], r"^<\S+@fe1\.domain1\.dom>$")
        self.assertRegex(text["Date"], r"^\w+, \d+ \w+ \d{4} ")
        self.assertIn("with ESMTPSA", "".join(text.get_all("Received")))
        marker = new_marker()
        smtp.send(address("sv1"), [address("sv2")],
                  text_of(marker, "Date: Mon, 1 Jan 2024 00:00:00 +0000", "message-id: <own@x>"))
        text = email.message_from_bytes(wait_for_mail(demo, "sv2", people["sv2"], marker))
        self.assertEqual(text.get_all("Message-ID"), ["<own@x>"])
        self.assertEqual(text.get_all("Date"), ["Mon, 1 Jan 2024 00:00:00 +0000"])

    def test_mail_from_others_is_left_as_it_is(self):
        marker = self.deliver([address("sv1")])
        text = email.message_from_bytes(wait_for_mail(demo, "sv1", people["sv1"], marker))
        self.assertIsNone(text["Message-ID"])
        self.assertIsNone(text["Date"])


class ForwardedFields(Case):
    """A Dovecot of the cluster that trusts us hears of each recipient's session and checks
    (XRCPTFORWARD), and its authentication process is told."""

    def test_they_reach_the_look_up(self):
        dovecot = foreign_lab.MailDovecot({"told@forward.dom": "unused"}, relay=1,
                                          extra="auth_debug = yes\n")
        self.addCleanup(dovecot.close)
        demo.api("PUT", "/v1/servers/forwarded", {
            "kind": "dovecot", "host": "127.0.0.1",
            "services": {"lmtp": {"port": dovecot.ports["lmtp"], "tls": "none"}}})
        demo.api("PUT", "/v1/domains/forward.dom", {"kind": "shared", "servers": ["forwarded"]})
        demo.api("POST", "/v1/accounts", {"address": "told@forward.dom", "home": "forwarded"})
        wait_for(lambda: self.recipient("told@forward.dom").startswith("250"), "the account")
        with connect(demo, "submissions") as smtp:
            smtp.command("AUTH PLAIN " + b64(f"\0{address('sv1')}\0{PASSWORD}"))
            self.assertRegex(smtp.send(address("sv1"), ["told@forward.dom"], text_of(new_marker())),
                             "^250 2.0.0 Delivered")
        session = demo.logged("fe1", r"event=mail-delivered session=(\S+) .*told@forward.dom")[1]
        self.assertEqual(len(wait_for(lambda: dovecot.mails("told@forward.dom"), "the message")), 1)
        self.assertRegex(dovecot.log(), "USER\t.*told@forward.dom\t.*forward_fields="
                                        f"muster_session={session}\\W*t?muster_login={address('sv1')}")


class ForeignSubmission(Case):
    """Accounts of a Dovecot on which nothing of ours runs: it judges their logins itself, at its
    submission service or, where its entry has none, by IMAP. No password of theirs is known here."""
    OWN = "a password of its own"
    USERS = {"by-smtp@foreign.dom": "foreign-smtp", "by-imap@foreign.dom": "foreign-imap"}

    @classmethod
    def setUpClass(cls):
        relay = mail_lab.Sink()
        cls.addClassCleanup(relay.close)
        cls.dovecot = foreign_lab.MailDovecot({name: cls.OWN for name in cls.USERS}, relay.port)
        cls.addClassCleanup(cls.dovecot.close)
        offers = ["AUTH=PLAIN", "AUTH=SCRAM-SHA-256"]
        for server in cls.USERS.values():
            services = {"imap": {"port": cls.dovecot.ports["imap"], "tls": "none",
                                 "capabilities": ["IMAP4rev1", *offers]}}
            if server == "foreign-smtp":
                services["submission"] = {"port": cls.dovecot.ports["submission"], "tls": "none",
                                          "capabilities": offers}
            demo.api("PUT", f"/v1/servers/{server}", {
                "kind": "foreign", "host": "127.0.0.1", "introduce": "xclient",
                "services": services})
        demo.api("PUT", "/v1/domains/foreign.dom",
                 {"kind": "shared", "servers": list(cls.USERS.values())})
        for name, server in cls.USERS.items():
            demo.api("POST", "/v1/accounts", {"address": name, "home": server})
        wait_for(cls.all_are_up, "the foreign servers on fe1")

    @classmethod
    def all_are_up(cls):
        rows = demo.api("GET", "/v1/servers", node="fe1")["servers"]
        seen = [row.get("observed", {}) for row in rows if row["name"] in cls.USERS.values()]
        return len(seen) == 2 and all(set(each.values()) == {"up"} for each in seen)

    def opened(self):
        source = harness.new_source()
        smtp = mail_lab.Smtp(demo.fe["fe1"]["submissions"], demo.context, harness.MAIL_HOST,
                             source=source)
        self.addCleanup(smtp.close)
        return smtp, source

    def test_plain_and_scram(self):
        for name, server in self.USERS.items():
            smtp, source = self.opened()
            self.assertRegex(smtp.features, "AUTH .*SCRAM-SHA-256")
            self.assertRegex(smtp.command("AUTH PLAIN " + b64(f"\0{name}\0{self.OWN}")), "^235 ")
            service = "submission" if server == "foreign-smtp" else "imap"
            wait_for(lambda: f"{service}-login: Info: Login: user=<{name}>, method=PLAIN, "
                             f"rip={source}," in self.dovecot.log(), f"{name} from {source}")
            marker = new_marker()
            self.assertRegex(smtp.send(name, [address("sv1")], text_of(marker)), "^250 ")
            wait_for_mail(demo, "sv1", people["sv1"], marker)
            smtp, source = self.opened()
            scram = harness.Scram(name, self.OWN)
            answer = smtp.command("AUTH SCRAM-SHA-256 " + b64(scram.first()))
            answer = smtp.command(b64(scram.final(harness.base64.b64decode(answer[4:]))))
            self.assertTrue(scram.verified(harness.base64.b64decode(answer[4:])))
            self.assertRegex(smtp.command(""), "^235 ")
            self.assertRegex(smtp.command(f"MAIL FROM:<{name}>"), "^250 ")
            wait_for(lambda: f"{service}-login: Info: Login: user=<{name}>, "
                             f"method=SCRAM-SHA-256, rip={source}," in self.dovecot.log(), "SCRAM")

    def test_nobody_else(self):
        for name in [*self.USERS, "nobody@foreign.dom"]:
            smtp, _ = self.opened()
            self.assertRegex(smtp.command("AUTH PLAIN " + b64(f"\0{name}\0wrong")),
                             "^535 5.7.8 Authentication failed$")
            self.assertRegex(smtp.command(f"MAIL FROM:<{name}>"), "^530 ")


ZONES = {"33.22.11.in-addr.arpa": """
44 PTR mail.named.example.
45 PTR forged.named.example.
46 PTR odd\\032name.named.example.
""", "named.example": """
mail A 11.22.33.44
mail A 11.22.33.99
forged A 11.22.33.1
"""}


@unittest.skipUnless(shutil.which("nsd", path=test_dns.PATH), "needs nsd")
class ClientNames(Case):
    """Names of clients, from a real name server: only one that leads back to the client counts."""

    @classmethod
    def setUpClass(cls):
        cls.names = mail_lab.NameServer(ZONES)
        cls.addClassCleanup(cls.names.close)
        restore = mail_lab.change_mail_options(
            demo, "fe2", dns_servers=f'["127.0.0.1@{cls.names.port}"]',
            xclient_from='["127.0.0.0/8"]')
        cls.addClassCleanup(restore)

    def received(self, client, *attributes):
        """The headers of a message from that client."""
        marker = new_marker()
        with connect(demo, front_end="fe2") as smtp:
            self.assertRegex(smtp.command(" ".join((f"XCLIENT ADDR={client}", *attributes))), "^220 ")
            smtp.command("EHLO client.test")
            self.assertRegex(smtp.send("a@elsewhere.test", [address("sv1")], text_of(marker)), "^250 ")
        text = email.message_from_bytes(wait_for_mail(demo, "sv1", people["sv1"], marker))
        return next(" ".join(field.split()) for field in text.get_all("Received")
                    if "by fe2.domain1.dom" in field), text

    def test_only_a_name_that_leads_back(self):
        for client, name, found in (("11.22.33.44", "mail.named.example", "pass"),
                                    ("11.22.33.45", "unknown", "fail"),
                                    ("11.22.33.46", "unknown", "permerror"),
                                    ("11.22.33.47", "unknown", "permerror")):
            field, text = self.received(client)
            self.assertIn(f"({name} [{client}])", field)
            self.iprev(text, client, found)
            demo.logged("fe2", rf"event=client-name .*client={client}:\d+ .*iprev={found}")

    def iprev(self, text, client, found):
        results = [" ".join(each.split()) for each in text.get_all("Authentication-Results")]
        name = " (mail.named.example)" if found == "pass" else ""
        self.assertEqual(results, [f"fe2.domain1.dom; iprev={found} policy.iprev={client}{name}"])

    def test_what_a_listed_peer_says_is_not_looked_up(self):
        self.assertIn("(told.example [11.22.33.44])", self.received("11.22.33.44", "NAME=told.example")[0])
        self.assertIn("(unknown [11.22.33.44])", self.received("11.22.33.44", "NAME=[UNAVAILABLE]")[0])

    def test_a_silent_name_server_costs_two_seconds_at_most(self):
        with self.names.stopped():
            field, text = self.received("11.22.33.48")
        self.assertIn("(unknown [11.22.33.48])", field)
        self.iprev(text, "11.22.33.48", "temperror")


if __name__ == "__main__":
    unittest.main()
