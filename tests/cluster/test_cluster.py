"""A cluster at work: mail is where its account is, nodes and servers fail or are withdrawn, and
those who are not concerned notice nothing."""
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import unittest
import uuid

import harness
from harness import (MAIL_HOST, Line, children_of, imap_login, is_alive, new_source, pop3_login,
                     wait_for)

FRONT_ENDS = ("fe1", "fe2")
PASSWORD = "correct horse"


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    for front_end in FRONT_ENDS:  # so that failures are seen sooner
        demo.end_node(front_end, signal.SIGTERM)
        file = demo.dir / front_end / "muster.toml"
        file.write_text(file.read_text().replace(
            "[upstream]", "[upstream]\ncheck_interval = 1\nconnect_time = 2"))
        demo.start_node(front_end)


class Case(unittest.TestCase):
    number = 0

    def account(self, home="sv2", domain="domain1.dom"):
        Case.number += 1
        return demo.add_account(f"k{Case.number}@{domain}", PASSWORD, home=home)

    def keep(self, closable):
        self.addCleanup(closable.close)
        return closable

    def login(self, address, front_end="fe1", password=PASSWORD, source=None):
        """The tagged answer, and the conversation."""
        line = self.keep(demo.imap(front_end, source))
        return imap_login(line, address, password), line

    def session(self, address, front_end="fe1", password=PASSWORD):
        answer, line = self.login(address, front_end, password)
        self.assertRegex(answer, "^l OK")
        return line

    def assert_served(self, address, front_end="fe1", password=PASSWORD):
        line = self.session(address, front_end, password)
        line.ask("o LOGOUT", "^o OK")
        line.close()

    def assert_unavailable(self, address, front_end="fe1", password=PASSWORD):
        self.assertRegex(self.login(address, front_end, password)[0], r"^l NO \[UNAVAILABLE\]")

    def people(self):
        """The demo's own accounts: two on each server."""
        return [(row["address"], row["password"], row["home"])
                for row in demo.accounts.values()]


class Placement(Case):
    def servers_with(self, mark):
        """Servers with a file that holds the mark anywhere in their mail."""
        return {name for name in demo.sv
                if any(mark.encode() in path.read_bytes()
                       for path in (demo.dir / name / "mail").rglob("*") if path.is_file())}

    def test_mail_appended_through_either_front_end_is_on_its_own_server_alone(self):
        for address, _, home in self.people():
            for front_end in FRONT_ENDS:
                with self.subTest(address, front_end=front_end):
                    mark = uuid.uuid4().hex
                    client = demo.imap4(address, front_end=front_end)
                    client.append("INBOX", None, None, f"Subject: {mark}\r\n\r\nbody\r\n".encode())
                    client.logout()
                    self.assertEqual(self.servers_with(mark), {home})

    def test_session_id_and_client_address_reach_dovecots_log(self):
        account = self.account("sv3")
        for front_end in FRONT_ENDS:
            source = new_source()
            answer, _ = self.login(account["address"], front_end, source=source)
            self.assertRegex(answer, "^l OK")
            found = demo.logged(front_end, rf"event=login session=(\S+) service=imap "
                                           rf"client={source}:\d+ user={account['address']}")
            demo.logged("sv3", rf"Login: user=<{account['address']}>.*rip={source}, .*"
                               rf"session=<{found.group(1)}>", engine=True)


class Sessions(Case):
    def listed(self, address, node="sv1"):
        found = demo.api("GET", f"/v1/sessions?account={address}", node=node)
        self.assertEqual(found["unreachable"], [])
        return found["sessions"]

    def test_every_node_lists_the_sessions_of_both_front_ends(self):
        account, source = self.account(), new_source()
        self.session(account["address"], "fe1")
        line = self.keep(demo.line("pop3s", "fe2", source))
        line.hear(r"^\+OK")
        self.assertRegex(pop3_login(line, account["address"], PASSWORD), r"^\+OK")
        for node in ("sv1", "sv3", "fe1", "fe2"):
            with self.subTest(node=node):
                rows = {row["node"]: row for row in self.listed(account["address"], node)}
                self.assertEqual(set(rows), set(FRONT_ENDS))
                second = rows["fe2"]
                self.assertEqual((second["service"], second["server"], second["tls"],
                                  second["client"].rsplit(":", 1)[0]),
                                 ("pop3", "sv2", True, source))
        line.ask("QUIT", r"^\+OK")
        line.close()
        wait_for(lambda: len(self.listed(account["address"])) == 1, "the session's end")

    def test_kicking_one_session_or_all_of_an_account_from_any_node(self):
        account, other = self.account(), self.account()
        lines = {name: self.session(account["address"], name) for name in FRONT_ENDS}
        bystander = self.session(other["address"], "fe2")
        row, = [row for row in self.listed(account["address"]) if row["node"] == "fe2"]
        self.assertEqual(demo.api("POST", "/v1/sessions/kick", {"id": row["id"]},
                                  node="sv3")["kicked"], 1)
        lines["fe2"].closed()
        lines["fe1"].ask("n NOOP", "^n OK")
        again = self.session(account["address"], "fe2")
        self.assertEqual(demo.api("POST", "/v1/sessions/kick", {"account": account["address"]},
                                  node="sv2")["kicked"], 2)
        lines["fe1"].closed()
        again.closed()
        bystander.ask("n NOOP", "^n OK")

    def test_a_kick_needs_to_say_whom(self):
        with self.assertRaises(harness.ApiError) as failed:
            demo.api("POST", "/v1/sessions/kick", {})
        self.assertEqual(failed.exception.status, 400)

    def test_disabling_ends_and_refuses_enabling_lets_in(self):
        account = self.account("sv3")
        lines = [self.session(account["address"], name) for name in FRONT_ENDS]
        demo.api("POST", f"/v1/accounts/{account['address']}/disable")
        for line in lines:
            line.closed()
        for front_end in FRONT_ENDS:
            self.assertRegex(self.login(account["address"], front_end)[0], "^l NO")
        demo.api("POST", f"/v1/accounts/{account['address']}/enable")
        demo.wait_everywhere(account["address"], lambda seen: seen["state"] == "active")
        for front_end in FRONT_ENDS:
            self.assert_served(account["address"], front_end)


class NodesFail(Case):
    def tearDown(self):
        for name in (*demo.sv, *demo.fe):
            demo.start_node(name)

    def test_a_killed_front_end_leaves_all_accounts_reachable_through_the_other(self):
        survivor = self.session(self.people()[0][0], "fe2", self.people()[0][1])
        demo.end_node("fe1")
        for address, password, _ in self.people():
            self.assert_served(address, "fe2", password)
        survivor.ask("n NOOP", "^n OK")
        demo.start_node("fe1")
        for address, password, _ in self.people():
            self.assert_served(address, "fe1", password)

    def test_logins_go_on_without_the_master_also_on_a_restarted_front_end(self):
        away = [(address, password) for address, password, home in self.people() if home != "sv1"]
        address, password = away[0]
        session = self.session(address, "fe1", password)
        demo.end_node("sv1")
        for address, password in away:
            for front_end in FRONT_ENDS:
                self.assert_served(address, front_end, password)
        demo.end_node("fe2", signal.SIGTERM)
        demo.start_node("fe2")
        for address, password in away:
            self.assert_served(address, "fe2", password)
        session.ask("n NOOP", "^n OK")
        with self.subTest("the authority of sv1's Dovecot is away: no failed password"):
            address, password, _ = self.people()[0]
            self.assert_unavailable(address, "fe2", password)
        demo.start_node("sv1")
        self.assert_served(address, "fe2", password)
        account = self.account()  # changes stream to everybody again
        self.assert_served(account["address"], "fe2")

    def test_a_back_ends_agent_is_restarted(self):
        account = self.account("sv3")
        line = self.session(account["address"])
        demo.end_node("sv3")
        line.ask("n NOOP", "^n OK")
        self.assert_unavailable(account["address"])
        self.assert_served(self.people()[1][0], "fe1", self.people()[1][1])
        demo.start_node("sv3")
        line.ask("n NOOP", "^n OK")
        self.assert_served(account["address"])


class Withdrawal(Case):
    def connects(self, front_end, service="imaps"):
        host, port = demo.fe[front_end][service].rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
            return True
        except (ConnectionRefusedError, ConnectionResetError):
            return False

    def test_a_drained_node_takes_no_new_sessions_and_keeps_the_old(self):
        account = self.account()
        line = self.session(account["address"], "fe1")
        idle = self.keep(demo.imap("fe1"))  # connected, not logged in
        demo.api("POST", "/v1/nodes/fe1/drain")
        self.addCleanup(demo.api, "POST", "/v1/nodes/fe1/resume")
        wait_for(lambda: not self.connects("fe1"), "fe1 to drain")
        self.assertFalse(demo.is_ready("fe1"))
        self.assertRegex(idle.hear("BYE"), "^\\* BYE")
        line.ask("n NOOP", "^n OK")
        self.assert_served(account["address"], "fe2")
        demo.api("POST", "/v1/nodes/fe1/resume")
        wait_for(lambda: self.connects("fe1"), "fe1 to resume")
        wait_for(lambda: demo.is_ready("fe1"), "fe1 to be ready")
        self.assert_served(account["address"], "fe1")
        line.ask("n NOOP", "^n OK")

    def test_sigterm_waits_for_sessions_to_end(self):
        self.addCleanup(demo.start_node, "fe2")
        account = self.account()
        line = self.session(account["address"], "fe2")
        pid = demo.fe["fe2"]["pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.connects("fe2"), "fe2 to drain")
        line.ask("n NOOP", "^n OK")
        self.assertTrue(is_alive(pid))
        line.ask("o LOGOUT", "^o OK")
        line.close()
        wait_for(lambda: not is_alive(pid), "fe2 to end", 4)  # drain_time is 5 s
        self.assertRegex(demo.log("fe2"), "event=drained sessions_left=0")

    def test_sigterm_does_not_wait_for_ever(self):
        self.addCleanup(demo.start_node, "fe2")
        account = self.account()
        line = self.session(account["address"], "fe2")
        os.kill(demo.fe["fe2"]["pid"], signal.SIGTERM)
        line.closed()
        wait_for(lambda: not is_alive(demo.fe["fe2"]["pid"]), "fe2 to end", 5)
        demo.logged("fe2", "event=drained sessions_left=1")

    def test_a_second_sigterm_ends_at_once(self):
        self.addCleanup(demo.start_node, "fe2")
        account = self.account()
        self.session(account["address"], "fe2")
        pid = demo.fe["fe2"]["pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.connects("fe2"), "fe2 to drain")
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(pid), "fe2 to end", 3)


class Reload(Case):
    def serial(self, front_end):
        line = self.keep(demo.line("imaps", front_end))
        return line.socket.getpeercert()["serialNumber"]

    def reload(self, wanted):
        before = len(re.findall(wanted, demo.log("fe1")))
        os.kill(demo.fe["fe1"]["pid"], signal.SIGHUP)
        wait_for(lambda: len(re.findall(wanted, demo.log("fe1"))) > before, f"{wanted} in the log")

    def test_a_bad_file_changes_nothing(self):
        account = self.account()
        line, serial = self.session(account["address"]), self.serial("fe1")
        path = demo.dir / "fe1" / "muster.toml"
        good = path.read_text()
        self.addCleanup(path.write_text, good)
        for bad, reason in ((good + '\n[limits]\nconections = 3\n', r"muster\.toml:\d+: unknown"),
                            (good.replace("mail.crt", "nowhere.crt"), "nowhere.crt"),
                            (good.replace("mail.key", "node.key"), "node.key"),
                            ("no toml at all [", r"muster\.toml:1")):
            path.write_text(bad)
            self.reload(f"event=reload-refused.*{reason}")
            self.assertEqual(self.serial("fe1"), serial)
        line.ask("n NOOP", "^n OK")
        self.assert_served(account["address"])
        path.write_text(good)
        self.reload("event=reloaded")

    def test_a_new_certificate_is_served_and_no_session_dropped(self):
        account = self.account()
        line, serial = self.session(account["address"]), self.serial("fe1")
        folder = demo.dir / "fe1"
        public = subprocess.run(["openssl", "pkey", "-in", folder / "mail.key", "-pubout"],
                                check=True, capture_output=True, text=True).stdout
        answer = demo.api("POST", "/v1/authority/issue",
                          {"public_key": public, "common_name": MAIL_HOST, "names": [MAIL_HOST]})
        (folder / "mail.crt").write_text(answer["certificate"])
        self.reload("event=reloaded")
        self.assertNotEqual(self.serial("fe1"), serial)
        line.ask("n NOOP", "^n OK")
        self.assert_served(account["address"])


class Domains(Case):
    def wait_for_domain(self, name, seen=lambda domain: True):
        for node in (*demo.fe, *demo.sv):
            def look():
                with contextlib.suppress(harness.ApiError):
                    return seen(demo.api("GET", f"/v1/domains/{name}", node=node))
            wait_for(look, f"{name} on {node}")

    def test_a_dedicated_address_decides_the_domain_of_names_without_one(self):
        here = demo.add_account("lisa@domain1.dom", "one", home="sv1")
        there = demo.add_account("lisa@domain2.dom", "two", home="sv2")
        before = demo.api("GET", "/v1/domains/domain2.dom")
        address = demo.fe["fe2"]["imaps"].rsplit(":", 1)[0]
        demo.api("PATCH", "/v1/domains/domain2.dom",
                 {"default_for": {**before["default_for"], "addresses": [address]}})
        self.addCleanup(demo.api, "PUT", "/v1/domains/domain2.dom", before)
        self.wait_for_domain("domain2.dom", lambda seen: seen["default_for"].get("addresses"))
        wait_for(lambda: self.login("lisa", "fe2", "two")[0].startswith("l OK"), "domain2.dom")
        demo.logged("sv2", f"Login: user=<{there['address']}>", engine=True)
        self.assert_served("lisa", "fe1", "one")
        demo.logged("sv1", f"Login: user=<{here['address']}>", engine=True)

    def test_a_dedicated_tls_name_decides_too(self):
        demo.add_account("marc@domain2.dom", "two", home="sv3")
        context = ssl.create_default_context(cafile=demo.description["ca"])
        line = self.keep(Line(demo.fe["fe1"]["imaps"], context, "mail.domain2.dom",
                              source=new_source()))
        line.hear("OK")
        self.assertRegex(imap_login(line, "marc", "two"), "^l OK")


class Servers(Case):
    """What the administrator wants of a server, and what front ends see of it."""

    def set_admin(self, server, state):
        demo.api("PATCH", f"/v1/servers/{server}", {"admin": state})
        for front_end in FRONT_ENDS:
            wait_for(lambda: demo.api("GET", f"/v1/servers/{server}",
                                      node=front_end).get("admin", "up") == state,
                     f"{server} {state} on {front_end}")

    def observed(self, server, front_end, service="imap"):
        return demo.api("GET", f"/v1/servers/{server}", node=front_end)["observed"].get(service)

    def wait_observed(self, server, wanted, seconds=60):
        for front_end in FRONT_ENDS:
            wait_for(lambda: self.observed(server, front_end) == wanted,
                     f"{server} to be seen {wanted} by {front_end}", seconds)

    def test_marked_down_or_drained_it_takes_no_new_sessions_and_keeps_the_old(self):
        account = self.account("sv3")
        line = self.session(account["address"])
        self.addCleanup(self.set_admin, "sv3", "up")
        for state in ("drain", "down"):
            self.set_admin("sv3", state)
            for front_end in FRONT_ENDS:
                wait_for(lambda: "UNAVAILABLE" in self.login(account["address"], front_end)[0],
                         f"refusal by {front_end}")
            self.assert_served(self.people()[1][0], "fe1", self.people()[1][1])
            line.ask("n NOOP", "^n OK")
            self.set_admin("sv3", "up")
            for front_end in FRONT_ENDS:
                wait_for(lambda: self.login(account["address"], front_end)[0].startswith("l OK"),
                         f"service by {front_end}")

    def test_a_killed_dovecot_is_seen_down_and_up_again(self):
        account = self.account("sv2")
        self.assert_served(account["address"])
        self.addCleanup(demo.start_engine, "sv2")
        engine = demo.sv["sv2"]["engine_pid"]
        family = [engine, *children_of(engine)]  # some would serve on without their master
        self.signal_all(family, signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, family)), "Dovecot to end")
        for front_end in FRONT_ENDS:
            self.assert_unavailable(account["address"], front_end)
        line = self.keep(demo.line("pop3s"))
        line.hear(r"^\+OK")
        self.assertRegex(pop3_login(line, account["address"], PASSWORD), r"^-ERR \[SYS/TEMP\]")
        self.assert_served(self.people()[0][0], "fe1", self.people()[0][1])
        self.wait_observed("sv2", "down")
        status = demo.api("GET", "/v1/status")
        self.assertTrue([alarm for alarm in status["alarms"] if alarm["about"] == "server sv2"])
        demo.start_engine("sv2")
        self.wait_observed("sv2", "up")
        for front_end in FRONT_ENDS:
            self.assert_served(account["address"], front_end)

    def test_a_hanging_dovecot_is_seen_down_and_up_again(self):
        account = self.account("sv3")
        self.assert_served(account["address"])
        engine = demo.sv["sv3"]["engine_pid"]
        family = [engine, *children_of(engine)]
        self.addCleanup(self.signal_all, family, signal.SIGCONT)
        self.signal_all(family, signal.SIGSTOP)
        self.wait_observed("sv3", "down")
        began = time.monotonic()
        self.assert_unavailable(account["address"])
        self.assertLess(time.monotonic() - began, 1.5)  # known to be down: nobody waits for it
        self.assert_served(self.people()[1][0], "fe1", self.people()[1][1])
        self.signal_all(family, signal.SIGCONT)
        self.wait_observed("sv3", "up")
        for front_end in FRONT_ENDS:
            self.assert_served(account["address"], front_end)

    def signal_all(self, pids, what):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)


if __name__ == "__main__":
    unittest.main()
