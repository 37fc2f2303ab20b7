"""Administration of a cluster that serves clients: sessions, checks of servers, health, metrics."""
import json
import pathlib
import re
import signal
import os
import subprocess
import unittest
import urllib.request

import harness
from harness import MAIL_HOST, Line, imap_login, new_source, wait_for


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


def logged_in(address, password, front_end="fe1"):
    """An IMAP session that stays open."""
    line = Line(demo.fe[front_end]["imaps"], demo.context, MAIL_HOST, source=new_source())
    line.hear(r"^\* OK")
    answer = imap_login(line, address, password)
    assert answer.startswith("l OK"), answer
    return line


def sessions(**filters):
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return demo.api("GET", f"/v1/sessions?{query}")["sessions"]


class Sessions(unittest.TestCase):
    def test_sessions_of_all_front_ends_are_listed_and_kicked_from_any_node(self):
        demo.add_account("list@domain1.dom", "secret", home="sv2")
        first = logged_in("list@domain1.dom", "secret", "fe1")
        second = logged_in("list@domain1.dom", "secret", "fe2")
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        found = wait_for(lambda: len(sessions(account="list@domain1.dom")) == 2 and
                         sessions(account="list@domain1.dom"), "both sessions")
        self.assertEqual({row["node"] for row in found}, {"fe1", "fe2"})
        self.assertEqual({row["server"] for row in found}, {"sv2"})
        self.assertTrue(all(row["tls"] for row in found))
        # One session id from the front end to Dovecot's log.
        log = pathlib.Path(demo.dir, "sv2", "dovecot.log")
        wait_for(lambda: found[0]["id"] in log.read_text(), "the session id in Dovecot's log")
        front_end_log = pathlib.Path(demo.dir, found[0]["node"], "muster.log").read_text()
        self.assertIn(found[0]["id"], front_end_log)
        # fe1 itself may not change the cluster, the master may.
        answer = demo.api("POST", "/v1/sessions/kick", {"id": found[0]["id"]}, node="sv3")
        self.assertEqual((answer["kicked"], answer["unreachable"]), (1, []))
        wait_for(lambda: len(sessions(account="list@domain1.dom")) == 1, "one session less")
        demo.cli("session", "kick", "--account", "list@domain1.dom")
        self.assertTrue(first.closed() and second.closed())

    def test_disabling_and_removing_an_account_ends_its_sessions(self):
        demo.add_account("gone@domain1.dom", "secret", home="sv3")
        for action in (("POST", "/disable"), ("DELETE", "")):
            line = logged_in("gone@domain1.dom", "secret")
            self.addCleanup(line.close)
            answer = demo.api(action[0], "/v1/accounts/gone@domain1.dom" + action[1])
            # None, when the account's home was quicker than the kick.
            self.assertLessEqual(answer["sessions"]["kicked"], 1)
            self.assertNotIn("home_error", answer["sessions"])
            self.assertTrue(line.closed())
            if action[1]:
                demo.api("POST", "/v1/accounts/gone@domain1.dom/enable")
                wait_for(lambda: demo.api("GET", "/v1/accounts/gone@domain1.dom",
                                          node="fe1")["state"] == "active", "enabled at fe1")

    def test_a_drained_server_gets_no_new_sessions_and_keeps_those_it_has(self):
        demo.add_account("drain@domain1.dom", "secret", home="sv1")
        line = logged_in("drain@domain1.dom", "secret")
        self.addCleanup(line.close)
        demo.cli("server", "drain", "sv1")
        self.addCleanup(demo.cli, "server", "resume", "sv1")
        def refused():
            with Line(demo.fe["fe1"]["imaps"], demo.context, MAIL_HOST, source=new_source()) as one:
                one.hear(r"^\* OK")
                return "[UNAVAILABLE]" in imap_login(one, "drain@domain1.dom", "secret")
        wait_for(refused, "refusals as unavailable")
        line.ask("n NOOP", "^n OK")


class Watching(unittest.TestCase):
    def read(self, path):
        with urllib.request.urlopen(f"http://{demo.fe['fe1']['admin']}{path}", timeout=10) as page:
            return page.read().decode()

    def test_logins_are_counted(self):
        def logins():
            return float(re.search(r'^muster_logins_total\{.*service="imap".*\} (\S+)$',
                                   self.read("/metrics"), re.M).group(1))
        before = logins()
        demo.add_account("count@domain1.dom", "secret", home="sv1")
        logged_in("count@domain1.dom", "secret").close()
        wait_for(lambda: logins() >= before + 1, "one login more")

    def test_a_server_that_stops_answering_is_seen_and_comes_back(self):
        engine = demo.sv["sv3"]["engine_pid"]
        pids = [engine, *harness.children_of(engine)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_for(lambda: "server sv3" in [alarm["about"]
                                              for alarm in demo.api("GET", "/v1/status")["alarms"]],
                     "an alarm", 60)
            rows = {row["name"]: row for row in demo.api("GET", "/v1/servers")["servers"]}
            self.assertEqual(rows["sv3"]["observed"]["imap"], "down")
            self.assertEqual(rows["sv3"]["admin"], "up")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: demo.api("GET", "/v1/servers/sv3")["observed"].get("imap") == "up",
                 "sv3 up again", 60)

    def test_status_as_a_table(self):
        text = demo.cli("status")
        for name in ("fe1", "fe2", "sv1", "sv2", "sv3"):
            self.assertRegex(text, rf"(?m)^{name} ")

    def test_status_shows_the_health_of_each_service_the_mail_port_too(self):
        def healthy():
            servers = json.loads(demo.cli("status", "--json"))["servers"]
            return all(row["observed"].get("lmtp") == "up" for row in servers) and servers
        self.assertEqual(len(wait_for(healthy, "LMTP to be seen up")), 3)
        head, *rows = next(table for table in demo.cli("status").split("\n\n")
                           if table.startswith("SERVER ")).splitlines()
        column = head.index("LMTP")
        self.assertEqual({row[column:].split()[0] for row in rows}, {"up"})

    def test_dovecots_configuration_is_printed_for_the_node(self):
        done = subprocess.run(
            [demo.binary, "--config", f"{demo.dir}/sv2/muster.toml", "backend", "dovecot-config"],
            capture_output=True, text=True, check=True)
        self.assertIn(f"{demo.sv['sv2']['imap'].split(':')[1]}", done.stdout)
        self.assertIn("login_trusted_networks", done.stdout)
        self.assertIn("nft add rule", done.stdout)


if __name__ == "__main__":
    unittest.main()
