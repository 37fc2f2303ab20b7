"""A password changed through any node: with the new one its owner logs in everywhere, with the
old one nobody does any more."""
import concurrent.futures
import imaplib
import subprocess
import unittest

from harness import ApiError, Demo, b64, wait_for
from mail_lab import connect


def setUpModule():
    global demo, password_file
    demo = Demo()
    unittest.addModuleCleanup(demo.close)
    demo.cli("administrator", "add", "boss", "--password-stdin", text="bosspass\n")
    password_file = demo.dir / "boss.password"
    password_file.write_text("bosspass\n")
    password_file.chmod(0o600)


def change(node, address, password):
    """By the command line at that node's own socket; a front end needs an administrator."""
    who = ["--user", "boss", "--user-password-file", str(password_file)] if node in demo.fe else []
    done = cli(node, *who, "account", "password", address, "--password-stdin", text=password + "\n")
    assert done.returncode == 0, (node, done.stderr)


def cli(node, *words, text):
    return subprocess.run([demo.binary, "--api", f"{demo.dir}/{node}/state/admin.sock", *words],
                          text=True, input=text,
                          capture_output=True, timeout=60)


def imap(front_end, address, password):
    with demo.imap(front_end) as line:
        return line.ask(f'a LOGIN "{address}" "{password}"', "^a ").split()[1] == "OK"


def pop3(front_end, address, password):
    with demo.line("pop3s", front_end) as line:
        line.hear("^[+]OK")
        line.ask(f"USER {address}", "^[+]OK")
        return line.ask(f"PASS {password}", "^[+-]").startswith("+OK")


def submission(front_end, address, password):
    with connect(demo, "submissions", front_end) as smtp:
        return smtp.command("AUTH PLAIN " + b64(f"\0{address}\0{password}")).startswith("235")


class Passwords(unittest.TestCase):
    def accounts(self, **homes):
        """Accounts with the password "first"; once they log in everywhere."""
        for name, home in homes.items():
            demo.add_account(f"{name}@domain1.dom", "first", home=home)
        for name in homes:
            for front_end in demo.fe:
                wait_for(lambda: imap(front_end, f"{name}@domain1.dom", "first"),
                         f"{name} logs in at {front_end}")

    def assert_only(self, **passwords):
        """{account: (the password that counts, one that does not)}; all at a time, since wrong ones
        are answered late."""
        for name, (right, _) in passwords.items():
            for front_end in demo.fe:
                wait_for(lambda: imap(front_end, f"{name}@domain1.dom", right),
                         f"{right} at {front_end}")
        tries = [(login, front_end, f"{name}@domain1.dom", password, password == pair[0])
                 for name, pair in passwords.items() for password in pair
                 for front_end in demo.fe for login in (imap, pop3, submission)]
        with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
            answers = [pool.submit(login, *words) for login, *words, _ in tries]
            for (login, *words, expected), answer in zip(tries, answers):
                with self.subTest(login=login.__name__, words=words):
                    self.assertEqual(answer.result(), expected)

    def test_through_every_node_for_accounts_of_every_server(self):
        nodes = {"pw1": "fe1", "pw2": "sv3", "pw3": "fe2", "pw4": "sv2", "pw5": "sv1"}
        self.accounts(pw1="sv2", pw2="sv2", pw3="sv1", pw4="sv3", pw5="sv3")
        for name, node in nodes.items():
            change(node, f"{name}@domain1.dom", f"through-{node}")
        self.assert_only(**{name: (f"through-{node}", "first") for name, node in nodes.items()})

    def test_one_without_a_password_yet(self):
        demo.add_account("none@domain1.dom", home="sv3")
        change("sv2", "none@domain1.dom", "at-last")
        self.assert_only(none=("at-last", "first"))

    def test_a_change_that_is_refused_changes_nothing(self):
        self.accounts(same="sv3")
        target = "same@domain1.dom"
        for words, said in (([], "administrator"),
                            (["--user", "boss", "--user-password-file", "/dev/null"], "password")):
            done = cli("fe1", *words, "account", "password", target, "--password-stdin",
                       text="other\n")
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
        with self.assertRaises(ApiError) as refused:
            demo.api("PUT", f"/v1/accounts/{target}/password", {"password": "other"}, node="fe1")
        self.assertEqual(refused.exception.status, 403)
        self.assert_only(same=("first", "other"))

    def test_who_is_logged_in_stays_so_until_the_account_is_disabled(self):
        self.accounts(stays="sv2")
        client = demo.imap4("stays@domain1.dom", "first")
        self.addCleanup(client.shutdown)
        change("sv3", "stays@domain1.dom", "second")
        self.assert_only(stays=("second", "first"))
        self.assertEqual(client.noop()[0], "OK")
        demo.cli("account", "disable", "stays@domain1.dom")
        with self.assertRaises((imaplib.IMAP4.error, OSError)):
            wait_for(lambda: client.noop()[0] != "OK", "the session to end")


if __name__ == "__main__":
    unittest.main()
