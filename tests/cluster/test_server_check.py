"""`muster server check` with real Dovecots: each proof holds on a sound cluster, and the one that
is about a fault fails and says why."""
import json
import re
import unittest

import harness
from harness import is_alive, wait_for

SERVICES = ["imap", "pop3", "sieve"]
STEPS = ["connect", "greeting", "tls", "capabilities", "login", "client-address", "session-id"]


def setUpModule():
    global demo
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)


def check(server):
    """Exit code, {(service, step): proof} and the error text."""
    done = demo.cli("--json", "server", "check", server, check=False)
    proofs = json.loads(done.stdout)["proofs"]
    return done.returncode, {(p["service"], p["step"]): p for p in proofs}, done.stderr


def failed(proofs):
    return {key for key, proof in proofs.items() if proof["result"] == "failed"}


class ServerCheck(unittest.TestCase):
    def test_a_sound_server_passes_every_proof(self):
        code, proofs, errors = check("sv2")
        self.assertEqual((code, failed(proofs), errors), (0, set(), ""), proofs)
        for service in SERVICES:
            for step in STEPS:
                self.assertTrue(proofs[service, step]["ok"], (service, step))
        self.assertTrue(proofs["lmtp", "greeting"]["ok"])
        self.assertIn("TLSv1.3", proofs["imap", "tls"]["detail"])
        self.assertTrue(proofs["imap", "client-address"]["detail"].startswith("192.0.2."))

    def test_people_get_a_table_and_dovecot_logs_what_was_introduced(self):
        text = demo.cli("server", "check", "sv2")
        self.assertRegex(text, r"server sv2, seen from front end fe\d")
        self.assertRegex(text, r"SERVICE +PROOF +RESULT +DETAIL")
        told = re.search(r"sieve +session-id +ok +(\S+)", text).group(1)
        demo.logged("sv2", re.escape(told), engine=True)

    def test_each_front_end_checks_by_itself(self):
        for node in demo.fe:
            answer = demo.api("POST", "/v1/servers/sv1/check", node=node)
            self.assertEqual(answer["from"], node)
            self.assertTrue(all(proof["ok"] for proof in answer["proofs"]), answer)

    def test_what_dovecot_said_is_for_nodes_only(self):
        with self.assertRaises(harness.ApiError) as refused:
            demo.api("GET", "/v1/probes/muster-check-x")
        self.assertEqual(refused.exception.status, 403)

    def test_a_server_that_is_not_entered(self):
        done = demo.cli("server", "check", "sv9", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("sv9", done.stderr)

    def change(self, server, field, value, old, fails):
        """Waits until the change has reached the front end that checks."""
        def put(wanted):
            demo.api("PATCH", f"/v1/servers/{server}", {field: wanted})

        def restore():
            put(old)
            wait_for(lambda: not failed(check(server)[1]), "a sound server")
        self.addCleanup(restore)
        put(value)
        wait_for(lambda: failed(check(server)[1]) == fails, f"the failures of {field}")

    def test_a_certificate_of_another_name(self):
        self.change("sv3", "tls_name", "other.test", "sv3.domain1.dom",
                    {(service, "tls") for service in SERVICES})
        code, proofs, errors = check("sv3")
        self.assertEqual(code, 1)
        self.assertIn("did not pass", errors)
        self.assertIn("hostname mismatch", proofs["imap", "tls"]["detail"].lower())
        self.assertNotIn(("imap", "login"), proofs)

    def test_capabilities_that_the_server_lacks(self):
        services = demo.api("GET", "/v1/servers/sv3")["services"]
        more = json.loads(json.dumps(services))
        more["imap"]["capabilities"] = ["IMAP4rev1", "X-NOT-THERE"]
        services["imap"]["capabilities"] = None  # none of its own, as it was
        self.change("sv3", "services", more, services, {("imap", "capabilities")})
        _, proofs, _ = check("sv3")
        self.assertIn("X-NOT-THERE", proofs["imap", "capabilities"]["detail"])

    def test_what_a_server_offers_is_learnt(self):
        def imap_of_sv3():
            return demo.api("GET", "/v1/servers/sv3")["services"]["imap"]

        def forget():
            demo.api("PATCH", "/v1/servers/sv3", {"services": {"imap": {"capabilities": None}}})
        self.addCleanup(forget)
        demo.api("PATCH", "/v1/servers/sv3",
                 {"services": {"imap": {"capabilities": ["IMAP4rev1", "X-NOT-THERE"]}}})
        wait_for(lambda: "X-NOT-THERE" in check("sv3")[1]["imap", "capabilities"]["detail"],
                 "the change at the front end")
        refused = demo.cli("server", "learn", "sv3", check=False, text="")  # nobody there to say yes
        self.assertEqual(refused.returncode, 1)
        self.assertIn("X-NOT-THERE", imap_of_sv3()["capabilities"])
        text = demo.cli("server", "learn", "sv3", "--yes")
        self.assertRegex(text, r"imap: announced and not offered: X-NOT-THERE\n")
        self.assertRegex(text, r"imap: offers and is not announced:.* AUTH=SCRAM-SHA-256")
        learnt = imap_of_sv3()
        self.assertNotIn("X-NOT-THERE", learnt["capabilities"])
        self.assertFalse({"STARTTLS", "AUTH=SCRAM-SHA-1"} & {*learnt["capabilities"]})
        self.assertIn("AUTH=PLAIN", learnt["capabilities"])
        self.assertTrue(learnt["port"])

        def nothing_new():
            return not json.loads(demo.cli("--json", "--yes", "server", "learn", "sv3"))["changed"]
        wait_for(nothing_new, "the front end to announce what it learnt")

    def trust(self, server, networks):
        path = demo.dir / server / "dovecot" / "dovecot.conf"
        old = path.read_text()
        new = re.sub("(?m)^login_trusted_networks = .*$", f"login_trusted_networks = {networks}", old)
        self.assertNotEqual(new, old)
        self.addCleanup(demo.doveadm, server, "reload")
        self.addCleanup(path.write_text, old)
        path.write_text(new)
        demo.doveadm(server, "reload")

    def test_a_dovecot_that_does_not_trust_its_front_ends(self):
        self.trust("sv3", "203.0.113.0/24")
        # Login processes from before the reload may take a connection still.
        wait_for(lambda: ("imap", "client-address") in failed(check("sv3")[1]), "distrust")
        code, proofs, _ = check("sv3")
        self.assertEqual(code, 1)
        for service in ("imap", "pop3"):
            self.assertTrue(proofs[service, "login"]["ok"])
            for step in ("client-address", "session-id"):
                self.assertEqual(proofs[service, step]["result"], "failed")
        self.assertIn("login_trusted_networks", proofs["imap", "client-address"]["detail"])
        self.assertIn(("sieve", "login"), failed(proofs))

    def test_z_a_stopped_dovecot(self):
        pid = demo.sv["sv3"]["engine_pid"]
        demo.doveadm("sv3", "stop")
        wait_for(lambda: not is_alive(pid), "the end of Dovecot")
        code, proofs, _ = check("sv3")
        self.assertEqual(code, 1)
        self.assertEqual(failed(proofs), {(one, "connect") for one in [*SERVICES, "lmtp"]})
        self.assertIn("refused", proofs["imap", "connect"]["detail"].lower())
        done = demo.cli("server", "learn", "sv3", "--yes", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("imap could not be asked: connect", done.stderr)


if __name__ == "__main__":
    unittest.main()
