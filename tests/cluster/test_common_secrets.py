"""Secrets that all front ends have in common: TLS sessions are resumed on another front end, before and
after a rotation; a replaced certificate is shown everywhere and drops nobody; mail forwarded by one
front end finds its way back through another; keys that sign mail are where filters look for them.
No key is in clear in any file, log or answer."""
import base64
import itertools
import json
import os
import pathlib
import re
import socket
import sqlite3
import ssl
import stat
import subprocess
import tempfile
import unittest

import dkim

import dns_lab
import mail_lab
from dns_lab import Answer, address, mx
from harness import BUILD, ROOT
from mail_lab import Smtp, new_marker, text_of
from nodes_lab import Lab, cluster_answer, free_port, shown_names, wait_for

OURS = "mail.test"
ROUNDS = 5
GROUP = pathlib.Path("/proc/self").group()

# protocol, TLS from the start?, what s_client says for STARTTLS
LISTENERS = {"imaps": ("imap", True, None), "imap": ("imap", False, "imap"),
             "smtps": ("submission", True, None), "smtp": ("smtp", False, "smtp")}


def listeners_text(ports):
    text = ""
    for name, (protocol, implicit, _) in LISTENERS.items():
        text += (f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{ports[name]}"\n'
                 f'tls = "{"implicit" if implicit else "starttls"}"\n')
    return text


def setUpModule():
    global lab, master, front_ends, authority, folder, sink, dns
    lab = Lab()
    unittest.addModuleCleanup(lab.close)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="muster-secrets-", dir="/tmp"))
    unittest.addModuleCleanup(lambda: subprocess.run(["rm", "-r", str(folder)], check=True))
    sink = mail_lab.Sink()
    unittest.addModuleCleanup(sink.close)
    dns = dns_lab.NameServer()
    unittest.addModuleCleanup(dns.close)
    dns.names = {"mx.away.test": Answer(address("127.0.0.1")),
                 "away.test": Answer(mx(10, "mx.away.test")),
                 "writer.test": Answer(mx(10, "mx.away.test"))}
    master = lab.master()
    front_ends = []
    for name in ("fe1", "fe2"):
        ports = {each: free_port() for each in LISTENERS}
        front_end = lab.member(master, name, ["frontend"], "frontend", listeners_text(ports) + f"""
[mail]
host_name = "{name}.{OURS}"
dns_servers = ["127.0.0.1@{dns.port}"]
out_port = {sink.port}
dkim_group = "{GROUP}"
reserve = 0
client_names = false
""")
        front_end.ports = ports
        front_ends.append(front_end)
    show_certificate("first")
    authority = json.loads(master.http("/v1/authority", "root", "rootpass")[1])["certificate"]
    (folder / "ca.pem").write_text(authority)
    for front_end in front_ends:
        wait_for(lambda: OURS in shown(front_end))
        wait_for(lambda: "ticket-keys" in front_end.log.read_text())


def show_certificate(name, *more):
    """Makes one of the cluster's authority and gives it to all front ends."""
    names = ",".join((OURS, *more))
    master.do("certificate", "issue", name, "--names", names, "--out", str(folder))
    master.do("certificate", "set", "mail", "--chain", f"{folder}/{name}.crt",
              "--key", f"{folder}/{name}.key")


def shown(front_end):
    return shown_names(f"127.0.0.1:{front_end.ports['imaps']}", authority, OURS)


def secret(name="tickets"):
    found, = (row for row in master.ask("secret", "list")["secrets"] if row["name"] == name)
    return found


def rotate(*words):
    """Once all front ends use it."""
    master.do("secret", "rotate", *words)
    current = secret(words[0])["current"]
    if words[0] == "tickets":
        for front_end in front_ends:
            wait_for(lambda: f"ticket-keys current={current}" in front_end.log.read_text())


class Meeting:
    """One s_client: keeps the session that it got, or resumes one."""

    def __init__(self, front_end, listener, version, resume=None, name=OURS):
        self.session = folder / f"session-{os.urandom(6).hex()}"
        port = front_end.ports[listener]
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name,
                 "-CAfile", str(folder / "ca.pem"), "-sess_out", str(self.session), version]
        starttls = LISTENERS[listener][2]
        words += ["-starttls", starttls] if starttls else []
        words += ["-sess_in", str(resume)] if resume else []
        # TLS 1.3 brings the ticket after the handshake: something is read before the end. s_client
        # takes a line that begins with Q for its own.
        talk = b"a LOGOUT\r\n" if "imap" in listener else b"EHLO c\r\nquit\r\n"
        done = subprocess.run(words + ["-ign_eof"], input=talk, capture_output=True, timeout=30)
        self.text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        self.resumed = "Reused, TLSv1" in self.text
        self.full = "New, TLSv1" in self.text


class Tickets(unittest.TestCase):
    def sessions(self, listener, version, count, front_end=None):
        found = []
        for _ in range(count):
            meeting = Meeting(front_end or front_ends[0], listener, version)
            self.assertTrue(meeting.full, meeting.text)
            self.assertTrue(meeting.session.exists(), meeting.text)
            found.append(meeting.session)
        return found

    def assert_resumed(self, front_end, listener, version, sessions):
        for session in sessions:
            meeting = Meeting(front_end, listener, version, session)
            self.assertTrue(meeting.resumed, meeting.text)

    def test_each_listener_of_another_front_end_resumes(self):
        for version in ("-tls1_2", "-tls1_3"):
            for listener in LISTENERS:
                with self.subTest(version=version, listener=listener):
                    sessions = self.sessions(listener, version, ROUNDS)
                    self.assert_resumed(front_ends[1], listener, version, sessions)

    def test_whichever_listener_it_was(self):
        for version in ("-tls1_2", "-tls1_3"):
            session, = self.sessions("imaps", version, 1)
            self.assert_resumed(front_ends[1], "smtp", version, [session])

    def test_a_rotation_does_no_harm_and_a_second_one_ends_them(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                sessions = self.sessions("imaps", version, ROUNDS)
                rotate("tickets")
                self.assert_resumed(front_ends[1], "imaps", version, sessions[:-1])
                self.assert_resumed(front_ends[0], "imaps", version,
                                    self.sessions("imaps", version, 1, front_ends[1]))
                rotate("tickets")
                self.assertTrue(Meeting(front_ends[1], "imaps", version, sessions[-1]).full)

    def test_not_for_another_name(self):
        for version in ("-tls1_2", "-tls1_3"):
            session, = self.sessions("imaps", version, 1)
            self.assertTrue(Meeting(front_ends[1], "imaps", version, session, "other.test").full)

    def test_after_a_restart(self):
        session, = self.sessions("imaps", "-tls1_3", 1)
        front_ends[1].stop()
        front_ends[1].start()
        self.assert_resumed(front_ends[1], "imaps", "-tls1_3", [session])

    def test_leaked_keys_are_replaced_at_once(self):
        session, = self.sessions("imaps", "-tls1_3", 1)
        before = secret()
        rotate("tickets", "--all", "--yes")
        after = secret()
        self.assertFalse({before["current"], before["next"], before["previous"]} &
                         {after["current"], after["next"]})
        self.assertIsNone(after["previous"])
        self.assertTrue(Meeting(front_ends[1], "imaps", "-tls1_3", session).full)

    def test_a_rotation_moves_the_keys_on(self):
        before = secret()
        rotate("tickets")
        after = secret()
        self.assertEqual((after["previous"], after["current"]), (before["current"], before["next"]))
        self.assertNotIn(after["next"], before.values())
        self.assertGreaterEqual(after["rotated"], before["rotated"])
        for front_end in front_ends:  # they may look, too
            wait_for(lambda: {row["name"]: row["current"] for row in front_end.ask(
                "secret", "list")["secrets"]}.get("tickets") == after["current"])
        self.assertEqual(master.cli("secret", "rotate", "nothing")[0], 1)

    def test_settings_that_would_do_nothing_are_refused(self):
        for name, value in (("ticket_rotation", "often"), ("ticket_rotation", "-1"),
                            ("ticket_rotation", "8761"), ("srs_domain", "not a domain"),
                            ("srs_domain", "7")):
            self.assertEqual(master.cli("setting", "set", name, value)[0], 1, (name, value))
        self.assertNotIn("ticket_rotation", master.do("setting", "list"))

    def test_the_master_rotates_by_itself(self):
        """One that is due is made when it starts."""
        before = secret()
        master.stop()
        with sqlite3.connect(master.state / "directory.db") as store:
            value, = store.execute("select value from entry where key = 'secret/tickets'").fetchone()
            old = re.sub(r'"rotated": ?\d+', '"rotated":1', value if isinstance(value, str)
                         else value.decode())
            store.execute("update entry set value = ? where key = 'secret/tickets'", (old,))
        store.close()
        master.start()
        wait_for(lambda: secret()["current"] == before["next"])
        self.assertGreater(secret()["rotated"], 1)


class Certificates(unittest.TestCase):
    def test_a_replaced_one_is_shown_everywhere_and_drops_nobody(self):
        context = ssl.create_default_context(cadata=authority)
        lines = []
        for front_end in front_ends:
            plain = socket.create_connection(("127.0.0.1", front_end.ports["imaps"]), timeout=20)
            stream = context.wrap_socket(plain, server_hostname=OURS)
            file = stream.makefile("rwb")
            self.assertIn(b"* OK", file.readline())
            lines.append((stream, file))
        show_certificate("second", "new.test")
        for front_end in front_ends:
            wait_for(lambda: "new.test" in shown(front_end))
        for stream, file in lines:
            file.write(b"a NOOP\r\n")
            file.flush()
            self.assertIn(b"a OK", file.readline())
            file.close()
            stream.close()
        session = Meeting(front_ends[0], "imaps", "-tls1_3").session
        self.assertTrue(Meeting(front_ends[1], "imaps", "-tls1_3", session).resumed)


class Senders(unittest.TestCase):
    """There is no server for mailboxes: all mail here goes on to other sites."""

    @classmethod
    def setUpClass(cls):
        master.do("server", "add", "sv", "kind=foreign", "host=127.0.0.1", "imap.port=1")
        master.do("domain", "add", "ours.test", "servers=sv")
        master.do("alias", "add", "out@ours.test", "x@away.test")
        master.do("alias", "add", "own@ours.test", "y@away.test")
        master.do("setting", "set", "srs_domain", "srs.ours.test")
        for front_end in front_ends:
            wait_for(lambda: front_end.cli("alias", "show", "own@ours.test")[0] == 0)
            wait_for(lambda: front_end.cli("setting", "show", "srs_domain")[0] == 0)

    def talk(self, front_end):
        return Smtp(front_end.ports["smtp"])

    def forward(self, sender, recipient="out@ours.test", front_end=None):
        """The sender under which it arrives elsewhere."""
        marker = new_marker()
        with self.talk(front_end or front_ends[0]) as smtp:
            self.assertRegex(smtp.send(sender, [recipient], text_of(marker)), "^250 ")
        (arrived, _, _), = wait_for(lambda: sink.with_marker(marker))
        return arrived

    def test_a_report_comes_back_through_another_front_end(self):
        arrived = self.forward("kate@writer.test")
        self.assertRegex(arrived, r"^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=writer\.test=kate@srs\.ours\.test$")
        for address_text in (arrived, arrived.lower()):
            marker = new_marker()
            with self.talk(front_ends[1]) as smtp:
                self.assertRegex(smtp.send("", [address_text], text_of(marker)), "^250 ")
            (sender, recipients, _), = wait_for(lambda: sink.with_marker(marker))
            self.assertEqual((sender, recipients), ("", ["kate@writer.test"]))

    def test_forged_ones_are_refused(self):
        arrived = self.forward("kate@writer.test")
        forged = [arrived.replace("kate", "carl"), "SRS0=AAAAAA=AA=writer.test=kate@srs.ours.test",
                  "SRS1=AAAAAA=writer.test==AAAA=AA=x.test=y@srs.ours.test", "SRS0=@srs.ours.test"]
        for front_end in front_ends:
            with self.talk(front_end) as smtp:
                for answer in smtp.envelope("", *forged):
                    self.assertRegex(answer, r"^550 5\.1\.1 ")

    def test_it_is_for_reports_only(self):
        """Whoever has forwarded mail to himself reads such an address: it makes him no sender."""
        first = "SRS0=abcd=EF=writer.test=kate@writer.test"
        arrived = [self.forward("kate@writer.test"), self.forward(first)]
        for front_end in front_ends:
            with self.talk(front_end) as smtp:
                for answer in smtp.envelope("spam@writer.test", *arrived):
                    self.assertRegex(answer, r"^550 5\.7\.1 .*reports")

    def test_other_addresses_of_that_domain_are_no_relay(self):
        with self.talk(front_ends[0]) as smtp:
            answer, = smtp.envelope("x@writer.test", "somebody@srs.ours.test")
        self.assertRegex(answer, r"^550 5\.7\.1 ")

    def test_own_and_null_senders_stay(self):
        self.assertEqual(self.forward("own@ours.test"), "own@ours.test")
        self.assertEqual(self.forward(""), "")

    def test_a_sender_of_another_forwarder(self):
        first = "SRS0=abcd=EF=writer.test=kate@writer.test"
        arrived = self.forward(first)
        self.assertRegex(arrived, r"^SRS1=[A-Z2-7]{6}=writer\.test==abcd=EF=writer\.test=kate@srs")
        marker = new_marker()
        with self.talk(front_ends[1]) as smtp:
            self.assertRegex(smtp.send("", [arrived], text_of(marker)), "^250 ")
        (_, recipients, _), = wait_for(lambda: sink.with_marker(marker))
        self.assertEqual(recipients, [first])

    def test_what_an_own_server_redirects(self):
        """Dovecot keeps the sender of what a user wants to have elsewhere."""
        master.do("server", "add", "own", "kind=dovecot", "node=fe1", "host=127.0.0.77",
                  "imap.port=1")
        wait_for(lambda: front_ends[0].cli("server", "show", "own")[0] == 0)

        def accepted():
            with Smtp(front_ends[0].ports["smtp"], source="127.0.0.77") as smtp:
                return smtp.envelope("kate@writer.test", "z@away.test")[0].startswith("250")
        wait_for(accepted)
        marker = new_marker()
        with Smtp(front_ends[0].ports["smtp"], source="127.0.0.77") as smtp:
            smtp.send("kate@writer.test", ["z@away.test"], text_of(marker))
        (arrived, _, _), = wait_for(lambda: sink.with_marker(marker))
        self.assertRegex(arrived, "^SRS0=.*=kate@srs.ours.test$")
        with self.talk(front_ends[0]) as smtp:  # strangers may not
            answer, = smtp.envelope("kate@writer.test", "z@away.test")
        self.assertRegex(answer, "^550 ")

    def test_a_rotation_leaves_what_was_made_good(self):
        arrived = self.forward("kate@writer.test")
        rotate("srs")
        current = secret("srs")["current"]
        for front_end in front_ends:
            wait_for(lambda: {row["name"]: row["current"] for row in front_end.ask(
                "secret", "list")["secrets"]}["srs"] == current)
            with self.talk(front_end) as smtp:
                answer, = smtp.envelope("", arrived)
            self.assertRegex(answer, "^250 ")
        self.assertNotEqual(self.forward("kate@writer.test"), arrived)

    def test_without_the_domain_nothing_is_rewritten(self):
        master.do("setting", "remove", "srs_domain", "--yes")
        try:
            wait_for(lambda: self.forward("kate@writer.test") == "kate@writer.test")
        finally:
            master.do("setting", "set", "srs_domain", "srs.ours.test")
            wait_for(lambda: self.forward("kate@writer.test").startswith("SRS0="))
            wait_for(lambda: self.forward("kate@writer.test", front_end=front_ends[1])
                     .startswith("SRS0="))


class SigningKeys(unittest.TestCase):
    def files(self, front_end):
        place = front_end.state / "dkim"
        return {each.name: each for each in place.glob("*.key")}

    def test_they_are_on_all_front_ends_and_go_again(self):
        line = master.do("dkim", "add", "ours.test", "s1")
        self.assertRegex(line, r'^s1\._domainkey\.ours\.test\. IN TXT \( "v=DKIM1; k=rsa; p=')
        self.assertTrue(all(len(piece) <= 255 for piece in re.findall(r'"([^"]*)"', line)))
        public = "".join(re.findall(r'"([^"]*)"', line)).split("p=")[1]
        line = master.do("dkim", "add", "ours.test", "s2", "--algorithm", "ed25519")
        self.assertRegex(line, '"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}="')
        texts = []
        for front_end in front_ends:
            wait_for(lambda: {"ours.test.s1.key", "ours.test.s2.key"} <= set(self.files(front_end)))
            place = front_end.state / "dkim"
            self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o750)
            for file in self.files(front_end).values():
                self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)
                self.assertEqual(file.group(), GROUP)
            key = self.files(front_end)["ours.test.s1.key"]
            done = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
                                  capture_output=True, check=True)
            self.assertEqual(base64.b64encode(done.stdout).decode(), public)
            texts.append(key.read_bytes())
        self.assertEqual(len(set(texts)), 1)
        self.assertFalse((master.state / "dkim").exists())
        self.assertEqual(master.cli("dkim", "add", "ours.test", "s1")[0], 1)
        listed = {row["name"] for row in front_ends[1].ask("dkim", "list")["dkim"]}
        self.assertEqual(listed, {"ours.test/s1", "ours.test/s2"})
        master.do("dkim", "remove", "ours.test", "s2", "--yes")
        for front_end in front_ends:
            wait_for(lambda: "ours.test.s2.key" not in self.files(front_end))
            self.assertIn("ours.test.s1.key", self.files(front_end))
        front_ends[0].stop()
        master.do("dkim", "remove", "ours.test", "s1", "--yes")
        front_ends[0].start()
        for front_end in front_ends:  # also on one that was away meanwhile
            wait_for(lambda: self.files(front_end) == {})

    def test_a_key_that_is_there_already(self):
        file = folder / "own.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", file, "2048"], check=True,
                       capture_output=True)
        master.do("dkim", "add", "Other.TEST", "S3", "--key-file", str(file))
        place = front_ends[0].state / "dkim" / "other.test.s3.key"
        wait_for(place.exists)
        same = [subprocess.run(["openssl", "pkey", "-in", each, "-pubout"], capture_output=True,
                               check=True).stdout for each in (file, place)]
        self.assertEqual(*same)
        master.do("dkim", "remove", "other.test", "s3", "--yes")
        for bad in (["genrsa", "768"], ["ecparam", "-name", "prime256v1", "-genkey", "-noout"]):
            file.write_bytes(subprocess.run(["openssl", *bad], capture_output=True,
                                            check=True).stdout)
            self.assertEqual(master.cli("dkim", "add", "other.test", "s4", "--key-file",
                                        str(file))[0], 1)
        for selector in ("a.b", "../x", "a/b", ""):
            self.assertNotEqual(master.cli("dkim", "add", "other.test", selector)[0], 0)

OPENDKIM = pathlib.Path(os.environ.get("MUSTER_PROGRAMS", BUILD / "programs"),
                        "opendkim/usr/sbin/opendkim")
OPENDKIM_CONFIG = """
Syslog no
Mode s
Domain ours.test
Selector {selector}
KeyFile {place}/ours.test.{selector}.key
SignatureAlgorithm {algorithm}
Canonicalization relaxed/relaxed
RequireSafeKeys no
Socket inet:0@127.0.0.1
"""
SIGNED = """\
From: Kate <kate@ours.test>\r
To: ann@away.test\r
Subject: signed\r
\r
hello  there\r
\r
"""


def seed_command(key):
    """How docs/operator-guide.md turns an Ed25519 key into what rspamd reads."""
    said, = re.findall(r"`(openssl pkey -in .*?)`", (ROOT / "docs/operator-guide.md").read_text())
    return said.replace("KEY", str(key))


class Signers(unittest.TestCase):
    """Programs that sign with the files of one front end; what receivers find in the DNS is what was
    printed. dkimpy (python3-dkim) is the receiver."""

    @classmethod
    def setUpClass(cls):
        cls.dns = {}
        for selector, algorithm in (("r1", "rsa"), ("e1", "ed25519")):
            line = master.do("dkim", "add", "ours.test", selector, "--algorithm", algorithm)
            cls.addClassCleanup(master.do, "dkim", "remove", "ours.test", selector, "--yes")
            name, _, text = line.partition(" IN TXT ")
            cls.dns[name] = "".join(re.findall('"([^"]*)"', text))
        for front_end in front_ends:
            for selector in ("r1", "e1"):
                wait_for((front_end.state / "dkim" / f"ours.test.{selector}.key").exists)

    def find(self, name, timeout=5):
        """As a receiver asks its name server."""
        return self.dns.get(name.decode(), "").encode()

    def verified(self, message):
        return dkim.verify(message, dnsfunc=self.find)

    def check(self, signature):
        message = signature + SIGNED.encode()
        self.assertTrue(self.verified(message), signature)
        self.assertFalse(self.verified(message.replace(b"hello", b"hullo")))

    def test_dkimpy(self):
        for front_end in front_ends:
            place = front_end.state / "dkim"
            self.check(dkim.sign(SIGNED.encode(), b"r1", b"ours.test",
                                 (place / "ours.test.r1.key").read_bytes()))
            # It wants the 32 bytes themselves, as the operator guide makes them for rspamd.
            seed = folder / "seed"
            done = subprocess.run(["sh", "-c", seed_command(place / "ours.test.e1.key")],
                                  capture_output=True, check=True)
            seed.write_bytes(done.stdout)
            self.check(dkim.sign(SIGNED.encode(), b"e1", b"ours.test", seed.read_bytes().strip(),
                                 signature_algorithm=b"ed25519-sha256"))

    @unittest.skipUnless(OPENDKIM.exists(), f"no {OPENDKIM}: ./dev install")
    def test_opendkim(self):
        for front_end, (selector, algorithm) in itertools.product(
                front_ends, (("r1", "rsa-sha256"), ("e1", "ed25519-sha256"))):
            with self.subTest(front_end=front_end.name, algorithm=algorithm):
                config, message = folder / "opendkim.conf", folder / "message"
                config.write_text(OPENDKIM_CONFIG.format(
                    selector=selector, algorithm=algorithm, place=front_end.state / "dkim"))
                message.write_bytes(SIGNED.encode())
                done = subprocess.run([OPENDKIM, "-x", config, "-t", message, "-v", "-v"],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                value = re.search("hvalue='(.*?)'$", done.stdout, re.S | re.M)
                self.assertTrue(value, done.stdout + done.stderr)
                self.assertIn(f"a={algorithm}; ", value[1])
                self.check(("DKIM-Signature: " + "\r\n".join([*value[1].splitlines(), ""])).encode())


class Secrecy(unittest.TestCase):
    def copied(self, node):
        """What the master gives this node for its first copy."""
        return cluster_answer(master.cluster, "GET", "/v1/copy", member=node,
                              headers=[("X-Muster-Scope", "frontend")])[1]

    def test_a_relay_sees_none_of_them(self):
        master.do("dkim", "add", "relay.test", "s1")
        node = lab.member(master, "relay1", ["frontend"], "frontend")
        node.stop()
        families = ("secret/tickets", "secret/srs", "dkim/relay.test/s1", "certificate/mail")
        copy = self.copied(node)
        self.assertEqual([each for each in families if each in copy], list(families))
        answer = master.http("/v1/nodes/relay1", "root", "rootpass", "PATCH", {"scope": "relay"})
        self.assertEqual(answer[0], 200, answer)
        copy = wait_for(lambda: "{SEALED}" not in (text := self.copied(node)) and text)
        self.assertEqual([each for each in families if each in copy], [])
        self.assertIn("node/relay1", copy)
        master.do("dkim", "remove", "relay.test", "s1", "--yes")

    def test_no_key_is_in_clear(self):
        """In no file but those for the filter, no log and no answer."""
        master.do("dkim", "add", "secret.test", "s1")
        for front_end in front_ends:
            wait_for((front_end.state / "dkim" / "secret.test.s1.key").exists)
        pem = (front_ends[0].state / "dkim" / "secret.test.s1.key").read_text()
        inner = "".join(pem.splitlines()[1:-1])[64:128]
        answers = [master.do(*words) for words in (
            ("secret", "list", "--json"), ("dkim", "list", "--json"), ("cluster", "export"),
            ("cluster", "export", "--keys"))]
        for node in (master, *front_ends):
            for file in node.folder.rglob("*"):
                if not file.is_file() or file.parent.name == "dkim":
                    continue
                try:
                    content = file.read_bytes()
                except FileNotFoundError:  # replaced meanwhile
                    continue
                self.assertNotIn(inner.encode(), content, file)
                self.assertNotIn(base64.b64encode(pem.encode())[64:128], content, file)
        for answer in answers:
            self.assertNotIn(inner, answer)
        self.assertNotIn("{SEALED}", answers[0] + answers[1] + answers[2])
        self.assertIn("{SEALED}", answers[3])
        master.do("dkim", "remove", "secret.test", "s1", "--yes")

    def test_what_was_exported_may_be_applied(self):
        file = folder / "export.json"
        file.write_text(master.do("cluster", "export", "--keys"))
        before = secret()
        self.assertEqual(master.do("cluster", "diff", str(file)), "")
        master.do("cluster", "apply", str(file), "--yes")
        self.assertEqual(secret()["current"], before["current"])


class ChangeOfMaster(unittest.TestCase):
    def test_whoever_leads_keeps_the_secrets(self):
        """Nothing is rotated or made anew by a change of master; the next one leads on with them."""
        stand_in = lab.member(master, "m2", ["master"], "master")
        before = {row["name"]: row for row in master.ask("secret", "list")["secrets"]}
        session = Meeting(front_ends[0], "imaps", "-tls1_3").session

        def standing(node):
            masters = node.ask("cluster", "masters")["masters"]
            return next(row for row in masters if row["name"] == node.name)
        wait_for(lambda: standing(stand_in)["may_lead"] and
                 standing(stand_in)["revision"] >= standing(master)["revision"])
        master.do("cluster", "promote", "m2", "--yes")
        wait_for(lambda: standing(stand_in)["leads"] and standing(stand_in)["writes"])
        after = {row["name"]: row for row in stand_in.ask("secret", "list")["secrets"]}
        for name, row in before.items():
            self.assertEqual({**row, "age_hours": 0}, {**after[name], "age_hours": 0})
        self.assertTrue(Meeting(front_ends[1], "imaps", "-tls1_3", session).resumed)
        answer = stand_in.ask("secret", "rotate", "tickets")
        self.assertEqual(answer["current"], before["tickets"]["next"])
        for front_end in front_ends:
            wait_for(lambda: f"ticket-keys current={answer['current']}" in
                     front_end.log.read_text())
        session = Meeting(front_ends[0], "imaps", "-tls1_3").session
        self.assertTrue(Meeting(front_ends[1], "imaps", "-tls1_3", session).resumed)
        wait_for(lambda: standing(master)["may_lead"] and
                 standing(master)["revision"] >= standing(stand_in)["revision"])
        stand_in.do("cluster", "promote", master.name, "--yes")
        wait_for(lambda: standing(master)["leads"] and standing(master)["writes"])


if __name__ == "__main__":
    unittest.main()
