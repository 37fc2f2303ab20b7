"""Ending sessions: accounts that are disabled, deleted or moved away have no process of Dovecot
left, stopped ones and open deliveries included; nobody else is hit."""
import os
import signal
import subprocess
import unittest

import harness
from harness import (imap_login, is_alive, lmtp_deliver, lmtp_open, lmtp_recipients,
                     pop3_login, sieve_login, wait_for)

PASSWORD = "correct horse"


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


def processes(server, address):
    """(service, pid) of the account's sessions, as Dovecot counts them."""
    rows = demo.doveadm(server, "-f", "tab", "who", "-1", address).splitlines()[1:]
    return {(row.split("\t")[1], int(row.split("\t")[2])) for row in rows}


class Ending(unittest.TestCase):
    number = 0

    def account(self, home="sv2"):
        Ending.number += 1
        return demo.add_account(f"e{Ending.number}@domain1.dom", PASSWORD, home=home)

    def imap(self, account, front_end="fe1"):
        line = demo.imap(front_end)
        self.addCleanup(line.close)
        self.assertRegex(imap_login(line, account["address"], PASSWORD), "^l OK")
        line.ask("s SELECT INBOX", "^s OK")
        return line

    def pop3(self, account, front_end="fe2"):
        line = demo.line("pop3s", front_end)
        self.addCleanup(line.close)
        line.hear(r"^\+OK")
        self.assertRegex(pop3_login(line, account["address"], PASSWORD), r"^\+OK")
        return line

    def sieve(self, account, front_end="fe1"):
        line = demo.line("sieve", front_end)
        self.addCleanup(line.close)
        line.hear("^OK")
        line.ask("STARTTLS", "^OK")
        line.start_tls(demo.context)
        line.hear("^OK")
        self.assertRegex(sieve_login(line, account["address"], PASSWORD), "^OK")
        return line

    def lmtp(self, server="sv2"):
        line = demo.server_line(server, "lmtp")
        self.addCleanup(line.close)
        lmtp_open(line)
        return line

    def open_delivery(self, *accounts, server="sv2"):
        line = self.lmtp(server)
        lmtp_recipients(line, *(account["address"] for account in accounts))
        line.ask("DATA", "^354")
        line.say("Subject: unfinished\r\n\r\nstill going on")
        return line

    def assert_gone(self, account, pids, server="sv2"):
        wait_for(lambda: not any(is_alive(pid) for pid in pids), "the processes to end")
        self.assertEqual(processes(server, account["address"]), set())

    def refused(self, account, front_end="fe1"):
        line = demo.imap(front_end)
        self.addCleanup(line.close)
        return imap_login(line, account["address"], PASSWORD)

    def test_disabling_ends_sessions_of_every_protocol_and_the_open_delivery(self):
        account, other = self.account(), self.account()
        lines = [self.imap(account), self.imap(account, "fe2"), self.pop3(account),
                 self.sieve(account), self.open_delivery(account)]
        bystander = self.imap(other)
        before = processes("sv2", account["address"])
        self.assertEqual({service for service, _ in before}, {"imap", "pop3", "sieve", "lmtp"})
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        for line in lines:
            line.closed()
        self.assert_gone(account, {pid for _, pid in before})
        self.assertRegex(self.refused(account), "^l NO")
        self.assertRegex(lmtp_recipients(self.lmtp(), account["address"])[0], "^451")
        bystander.ask("n NOOP", "^n OK")
        self.assertEqual(demo.mails("sv2", account["id"]), [])
        demo.api("POST", f"/v1/accounts/{account['address']}/enable", {})
        demo.wait_everywhere(account["address"], lambda seen: seen["state"] == "active")
        self.imap(account)

    def test_a_stopped_process_is_killed(self):
        account = self.account()
        line = self.imap(account)
        (_, pid), = processes("sv2", account["address"])
        os.kill(pid, signal.SIGSTOP)
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        self.assert_gone(account, {pid})
        line.closed()
        demo.logged("sv2", rf"session-signalled account={account['address']} pid={pid} "
                           r"signal=KILL")

    def test_a_stopped_delivery_is_killed_and_leaves_no_mail(self):
        account = self.account()
        line = self.open_delivery(account)
        (_, pid), = processes("sv2", account["address"])
        os.kill(pid, signal.SIGSTOP)
        line.say("\r\n.")
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        self.assert_gone(account, {pid})
        line.closed()
        self.assertEqual(demo.mails("sv2", account["id"]), [])

    def test_deleting_ends_sessions_and_a_namesake_starts_afresh(self):
        account = self.account()
        lmtp = self.lmtp()
        self.assertRegex(lmtp_deliver(lmtp, account["address"])[0], "^250")
        line = self.imap(account)
        before = {pid for _, pid in processes("sv2", account["address"])}
        demo.api("DELETE", f"/v1/accounts/{account['address']}")
        line.closed()
        self.assert_gone(account, before)
        self.assertRegex(self.refused(account), r"^l NO \[AUTHENTICATIONFAILED\]")
        self.assertRegex(lmtp_recipients(self.lmtp(), account["address"])[0], "^550 5.1.1")
        namesake = demo.add_account(account["address"], PASSWORD, home="sv2")
        self.assertNotEqual(namesake["id"], account["id"])
        fresh = self.imap(namesake)
        self.assertIn(" 0 EXISTS", "\n".join(fresh.heard))

    def test_moving_away_ends_sessions_and_the_old_home_refuses(self):
        account = self.account()
        line = self.imap(account)
        before = {pid for _, pid in processes("sv2", account["address"])}
        demo.api("PATCH", f"/v1/accounts/{account['address']}", {"home": "sv3"})
        line.closed()
        self.assert_gone(account, before)
        self.assertRegex(lmtp_recipients(self.lmtp("sv2"), account["address"])[0], "^451")
        self.assertRegex(lmtp_recipients(self.lmtp("sv3"), account["address"])[0], "^250")
        demo.wait_everywhere(account["address"], lambda seen: seen["home"] == "sv3")
        self.imap(account, "fe2")
        self.assertEqual({service for service, _ in processes("sv3", account["address"])},
                         {"imap", "lmtp"})

    def test_a_new_epoch_ends_sessions_and_begins_a_new_home(self):
        account = self.account()
        line = self.imap(account)
        line.ask("a APPEND INBOX {14+}\r\nSubject: x\r\n\r\n", "^a OK")
        demo.api("PATCH", f"/v1/accounts/{account['address']}", {"epoch": 1})
        line.closed()
        demo.wait_everywhere(account["address"], lambda seen: seen["epoch"] == 1)
        self.assertIn(" 0 EXISTS", "\n".join(self.imap(account).heard))
        self.assertEqual([home.name for home in demo.homes("sv2", account["id"])], ["0", "1"])

    def test_what_changed_while_the_agent_was_away_is_caught_up_with(self):
        account = self.account(home="sv3")
        line = harness.Line(demo.sv["sv3"]["imap"])  # past the front ends, which would end it
        self.addCleanup(line.close)
        line.hear("OK")
        line.ask(f'l LOGIN {account["address"]} "{PASSWORD}"', "^l OK")
        agent = demo.sv["sv3"]["pid"]
        os.kill(agent, signal.SIGTERM)
        wait_for(lambda: not is_alive(agent), "the node to end")
        demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
        line.ask("n NOOP", "^n OK")  # Dovecot goes on without it
        with open(demo.dir / "sv3" / "muster.log", "a") as log:
            started = subprocess.Popen(
                [demo.binary, "serve", "--config", demo.dir / "sv3" / "muster.toml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.addCleanup(started.wait)
        self.addCleanup(started.terminate)
        demo.pids.add(started.pid)
        line.closed()
        wait_for(lambda: not processes("sv3", account["address"]), "its process to end")

    def test_a_deletion_among_thousands_of_changes_is_caught_up_with(self):
        account = self.account(home="sv3")
        line = harness.Line(demo.sv["sv3"]["imap"])
        self.addCleanup(line.close)
        line.hear("OK")
        line.ask(f'l LOGIN {account["address"]} "{PASSWORD}"', "^l OK")
        demo.end_node("sv3", signal.SIGTERM)
        self.addCleanup(demo.start_node, "sv3")
        demo.api("DELETE", f"/v1/accounts/{account['address']}")
        rows = demo.dir / "many.csv"
        rows.write_text("address,home\n" +
                        "".join(f"many{n}@domain1.dom,sv1\n" for n in range(3_000)))
        demo.cli("account", "import", rows)
        line.ask("n NOOP", "^n OK")
        demo.start_node("sv3")
        line.closed()
        wait_for(lambda: not processes("sv3", account["address"]), "its process to end")

    def test_a_front_end_that_was_away_ends_sessions_itself(self):
        account = self.account(home="sv3")
        line = self.imap(account)
        demo.end_node("sv3", signal.SIGTERM)  # so that its home does not end it
        self.addCleanup(demo.start_node, "sv3")
        front_end = demo.fe["fe1"]["pid"]
        os.kill(front_end, signal.SIGSTOP)
        try:
            answer = demo.api("POST", f"/v1/accounts/{account['address']}/disable", {})
            self.assertIn("fe1", answer["sessions"]["unreachable"])
            self.assertIn("home_error", answer["sessions"])
        finally:
            os.kill(front_end, signal.SIGCONT)
        line.closed()
        demo.logged("fe1", r"kicked .*reason=disabled")

    def test_kicking_ends_what_runs_and_lets_in_again(self):
        account = self.account()
        line = self.imap(account)
        demo.api("POST", "/v1/sessions/kick", {"account": account["address"]})
        line.closed()
        self.imap(account)


if __name__ == "__main__":
    unittest.main()
