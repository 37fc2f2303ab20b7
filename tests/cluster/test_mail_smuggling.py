"""SMTP smuggling (CVE-2023-51764 and its relatives): no sequence that some server takes for the end
of a message ever makes a second one, neither on its way in nor on its way out, with a real Postfix
and a real Exim as neighbours on either side that take bare LF as a line's end."""
import os
import unittest

import exim_lab
import harness
import mail_lab
import postfix_lab
from harness import b64, wait_for
from mail_lab import connect, everywhere, new_marker

PASSWORD = "correct horse battery staple"
# What has been taken for the end of a message by some server.
ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\n.\r", b"\r.\n",
        b"\r\r\n.\r\r\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\n\n.\n\n", b"\r\n.\r\r\n",
        b"\n\r.\n\r", b"\r\n.\n\r\n", b"\x85.\x85", b"\x0b.\x0b", b"\r\n\xe2\x80\xa8.\r\n"]


POSTFIX = """
myhostname = mx.partner.test
virtual_mailbox_domains = partner.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{ {{ ann@partner.test = ann/ }} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
relayhost = [HOST]:PORT
disable_dns_lookups = yes
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
"""  # the last two: as old and unpatched ones are
EXIM = """
acl_smtp_rcpt = accept
smtp_enforce_sync = false
begin routers
local:
  driver = accept
  domains = exim.test
  local_parts = ann
  transport = maildir
muster:
  driver = manualroute
  domains = domain1.dom
  route_list = * HOST::PORT byname
  transport = muster
  self = send
rest:
  driver = redirect
  data = :blackhole:
""" + exim_lab.TRANSPORTS


def setUpModule():
    global demo, inside, neighbours
    if os.geteuid() != 0:
        raise unittest.SkipTest("Postfix and Exim are started by root alone")
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    inside = demo.add_account("smuggled@domain1.dom", PASSWORD, home="sv2")
    host, port = demo.fe["fe1"]["smtp"].rsplit(":", 1)
    neighbours = {}
    for name, kind, configuration in (("partner.test", postfix_lab.Postfix, POSTFIX),
                                      ("exim.test", exim_lab.Exim, EXIM)):
        neighbours[name] = kind(configuration.replace("HOST", host).replace("PORT", port))
        unittest.addModuleCleanup(neighbours[name].close)
        demo.api("PUT", f"/v1/domains/{name}",
                 {"kind": "remote", "route": [f"127.0.0.1:{neighbours[name].port}"]})
        wait_for(lambda: is_known(name), name)


def is_known(domain):
    with connect(demo) as smtp:
        return smtp.envelope("", f"x@{domain}")[0].startswith("250")


def recipients():
    return inside["address"], *(f"ann@{domain}" for domain in neighbours)


def forged(outer, inner, recipient, end):
    """A message that has another one hidden behind `end`."""
    return (f"Subject: {outer}\r\n\r\nhello".encode() + end +
            f"MAIL FROM:<ceo@domain1.dom>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
            f"Subject: {inner}\r\n\r\nforged".encode())


def arrived(recipient, marker):
    neighbour = neighbours.get(recipient.split("@")[1])
    if neighbour:
        return len(neighbour.delivered(marker))
    return everywhere(demo, inside, marker).get("sv2", 0)


class Case(unittest.TestCase):
    """`settled` sends one more message the same way, and waits for it: what was before it is
    through."""

    def settled(self, send, recipient):
        last = new_marker()
        send(recipient, f"Subject: {last}\r\n\r\nhello\r\n.\r\n".encode())
        wait_for(lambda: arrived(recipient, last), f"a message for {recipient}", 60)

    def assert_no_second(self, recipient, inner, end):
        """The hidden text may be part of the outer message, never one of its own."""
        neighbour = neighbours.get(recipient.split("@")[1])
        if neighbour:
            texts = neighbour.delivered(inner)
        else:
            texts = mail_lab.mails_with(demo, "sv2", inside, inner)
        for text in texts:
            self.assertIn(b"RCPT TO:", text, end)
            self.assertNotIn(b"Return-Path: <ceo@", text, end)


class Direct(Case):
    """A client smuggles through Muster, to a Dovecot, and to a Postfix and an Exim behind."""

    def session(self, recipient, text):
        with connect(demo) as smtp:
            smtp.envelope("else@elsewhere.test", recipient)
            self.assertRegex(smtp.command("DATA"), "^354 ")
            smtp.raw(text)
            return smtp.answer()

    def test_after_data(self):
        for recipient in recipients():
            tried = []
            for end in ENDS:
                outer, inner = new_marker(), new_marker()
                answer = self.session(recipient, forged(outer, inner, recipient, end) +
                                      b"\r\n.\r\n")
                tried.append((end, outer, inner, answer))
                bare = end.replace(b"\r\n", b"").strip(b".\x85\x0b\xe2\x80\xa8") != b""
                self.assertRegex(answer, "^554 5.6.0 " if bare else "^250 ", end)
            self.settled(self.session, recipient)
            for end, outer, inner, answer in tried:
                if answer.startswith("250"):  # a server behind may deliver a later one before it
                    wait_for(lambda outer=outer: arrived(recipient, outer), end)
                self.assertEqual(arrived(recipient, outer), int(answer.startswith("250")), end)
                self.assert_no_second(recipient, inner, end)

    def test_after_data_in_pieces(self):
        """The same with each octet of the end in a packet of its own."""
        recipient = inside["address"]
        for end in ENDS[:10]:
            outer, inner = new_marker(), new_marker()
            text = forged(outer, inner, recipient, end) + b"\r\n.\r\n"
            at = text.index(end)
            with connect(demo) as smtp:
                smtp.socket.setsockopt(6, 1, 1)  # TCP_NODELAY
                smtp.envelope("else@elsewhere.test", recipient)
                smtp.command("DATA")
                smtp.raw(text[:at])
                for octet in end:
                    smtp.raw(bytes([octet]))
                smtp.raw(text[at + len(end):])
                self.assertRegex(smtp.answer(), "^554 5.6.0 ", end)
                self.assertRegex(smtp.command("NOOP"), "^250 ", end)
            self.assertEqual(arrived(recipient, outer) + arrived(recipient, inner), 0, end)

    def test_in_chunks(self):
        """BDAT needs no end of data: the real one is text there, and must stay text behind."""
        for recipient in recipients():
            tried = []
            for end in (b"\r\n.\r\n", b"\r\n.\r\n.\r\n", b"\r\n..\r\n", *ENDS):
                outer, inner = new_marker(), new_marker()
                text = forged(outer, inner, recipient, end) + b"\r\n"
                with connect(demo) as smtp:
                    smtp.envelope("else@elsewhere.test", recipient)
                    half = text.index(end) + 1
                    smtp.raw(b"BDAT %d\r\n" % half + text[:half])
                    smtp.raw(b"BDAT %d LAST\r\n" % (len(text) - half) + text[half:])
                    answers = [smtp.answer(), smtp.answer()]
                    self.assertRegex(smtp.command("NOOP"), "^250 ")
                tried.append((end, outer, inner, answers[1]))
                if end.replace(b"\r\n", b"").strip(b".") == b"":
                    self.assertRegex(answers[1], "^250 ", end)
            self.settled(self.session, recipient)
            for end, outer, inner, answer in tried:
                self.assertEqual(arrived(recipient, outer), int(answer.startswith("250")), end)
                self.assert_no_second(recipient, inner, end)

    def test_in_a_chunk_that_was_not_asked_for(self):
        """A client that pipelines a chunk behind a refused MAIL or RCPT: it is no command."""
        recipient = inside["address"]
        for before, answers in ((b"", 1), (b"MAIL FROM:<a@b.test> SIZE=999999999\r\n", 2),
                                (b"MAIL FROM:<a@b.test>\r\nRCPT TO:<no@domain1.dom>\r\n", 3)):
            inner = new_marker()
            text = (f"RSET\r\nMAIL FROM:<ceo@domain1.dom>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
                    f"Subject: {inner}\r\n\r\nforged\r\n.\r\n").encode()
            with connect(demo) as smtp:
                smtp.raw(before + b"BDAT %d LAST\r\n" % len(text) + text + b"NOOP\r\n")
                got = [smtp.answer()[:3] for _ in range(answers + 1)]
                self.assertEqual(got[-2:], ["503", "250"], before)
                self.assertRegex(smtp.command("NOOP"), "^250 ")
            self.assertEqual(arrived(recipient, inner), 0)

    def test_by_a_user_of_ours(self):
        def submit(recipient, text):
            with connect(demo, "submissions") as smtp:
                smtp.command("AUTH PLAIN " + b64(f"\0{inside['address']}\0{PASSWORD}"))
                smtp.envelope(inside["address"], recipient)
                smtp.command("DATA")
                smtp.raw(text)
                return smtp.answer()
        for recipient in recipients()[1:]:
            inners = []
            for end in ENDS[:10]:
                inner = new_marker()
                inners.append((end, inner))
                answer = submit(recipient,
                                forged(new_marker(), inner, recipient, end) + b"\r\n.\r\n")
                self.assertRegex(answer, "^554 5.6.0 ", end)
            self.settled(submit, recipient)
            for end, inner in inners:
                self.assertEqual(arrived(recipient, inner), 0, end)


class Through(Case):
    """A Postfix or Exim that takes mail for us, and hands it to Muster. Such a server may itself take
    `end` for the end of a message, and the rest for commands. What counts is that each message that
    it hands over stays one."""

    def session(self, neighbour, recipient, text):
        with mail_lab.Smtp(neighbour.port) as smtp:
            smtp.envelope("else@elsewhere.test", recipient)
            self.assertRegex(smtp.command("DATA"), "^354 ")
            smtp.raw(text)
            return smtp.answer()

    def check(self, name):
        neighbour = neighbours[name]
        through = demo.add_account(f"through-{name}@domain1.dom", PASSWORD, home="sv2")
        recipient = through["address"]
        for end in ENDS:
            self.session(neighbour, recipient, forged(new_marker(), new_marker(), recipient, end) +
                         b"\r\n.\r\n")
        last = new_marker()
        self.session(neighbour, recipient, f"Subject: {last}\r\n\r\nhello\r\n.\r\n".encode())
        wait_for(lambda: everywhere(demo, through, last), "the last message", 60)
        handed_over = wait_for(lambda: neighbour.is_idle() and neighbour.handed_over(recipient),
                               "an end of all that it took", 60)
        self.assertEqual(len(demo.mails("sv2", through["id"])), handed_over)
        self.assertGreater(handed_over, len(ENDS) // 2)

    def test_postfix_in_front(self):
        self.check("partner.test")

    def test_exim_in_front(self):
        self.check("exim.test")


if __name__ == "__main__":
    unittest.main()
