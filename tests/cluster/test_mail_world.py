"""Mail to the world through a name server that is wrong, slow, or hostile: each destination gets what
its records say, or its sender hears why, and no other destination waits for it."""
import email
import re
import unittest

import dns_lab
import harness
import mail_lab
from dns_lab import Answer, NO_NAME, SERVER_FAILURE, address, cname, mx
from harness import wait_for
from mail_lab import connect, mails_with, new_marker, queued, text_of

OWN_NAME = "fe1.domain1.dom"
HERE = "127.0.0.1"  # where the other site's server is


def setUpModule():
    global demo, sink, dns, sender
    demo = harness.Demo()
    unittest.addModuleCleanup(demo.close)
    sender = demo.add_account("w-sender@domain1.dom", "secret", home="sv1")
    sink = mail_lab.Sink()
    unittest.addModuleCleanup(sink.close)
    dns = dns_lab.NameServer()
    unittest.addModuleCleanup(dns.close)
    dns.names = {
        "mx.good.test": Answer(address(HERE)),
        "good.test": Answer(mx(10, "mx.good.test")),
    }
    mail_lab.change_mail_options(
        demo, "fe1", dns_servers=f'["127.0.0.1@{dns.port}"]', out_port=sink.port,
        relay_from='["127.0.0.0/8"]')


class World(unittest.TestCase):
    def send(self, domain):
        marker = new_marker()
        with connect(demo) as smtp:
            answer = smtp.send(sender["address"], [f"x@{domain}"], text_of(marker))
        self.assertRegex(answer, "^250 2.0.0 Queued as ")
        return marker

    def assert_delivered(self, domain):
        marker = self.send(domain)
        wait_for(lambda: sink.with_marker(marker), f"the message for {domain}")
        self.assertEqual([to for _, to, _ in sink.with_marker(marker)], [[f"x@{domain}"]])
        wait_for(lambda: not queued(demo, "fe1", marker), "an empty queue")

    def assert_reported(self, domain, status):
        marker = self.send(domain)
        text, = wait_for(lambda: mails_with(demo, "sv1", sender, marker), f"the report of {domain}")
        report = email.message_from_bytes(text)
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertRegex(report.get_payload()[1].as_string(), f"(?m)^Status: {re.escape(status)}$")
        wait_for(lambda: not queued(demo, "fe1", marker), "an empty queue")
        self.assertEqual(sink.with_marker(marker), [])

    def assert_waits(self, domain, status="4.4.3"):
        """Put off for that reason; meanwhile another destination is served."""
        marker = self.send(domain)
        self.assert_delivered("good.test")
        wait_for(lambda: re.search(rf"to=x@{re.escape(domain)} .*status={re.escape(status)} ",
                                   demo.log("fe1")), f"the reason why {domain} waits", 60)
        self.assertEqual(len(queued(demo, "fe1", marker)), 1)
        self.assertEqual(sink.with_marker(marker), [])

    def test_addresses_without_mx(self):
        dns.names["plain.test"] = Answer(address(HERE))
        self.assert_delivered("plain.test")

    def test_the_best_host_that_answers(self):
        dns.names |= {"several.test": Answer(mx(20, "mx.good.test"), mx(10, "gone.several.test"),
                                             mx(5, "closed.several.test"), mx(0, "none.several.test")),
                      "closed.several.test": Answer(address("127.0.0.2")),
                      "none.several.test": Answer()}
        self.assert_delivered("several.test")

    def test_thousands_of_records(self):
        hosts = [f"h{number}.huge.test" for number in range(2000)]
        dns.names["huge.test"] = Answer(*[mx(number, host) for number, host in enumerate(hosts)])
        dns.names |= {host: Answer(address(HERE)) for host in hosts}
        self.assert_delivered("huge.test")
        asked = {name for name, _ in dns.asked if re.fullmatch(r"h\d+\.huge\.test", name)}
        self.assertLessEqual(len(asked), 10)

    def test_a_host_with_thousands_of_addresses(self):
        """Which of them are tried is left to chance."""
        dns.names["wide.test"] = Answer(*[address(f"127.0.{number // 250}.{1 + number % 250}")
                                          for number in range(3000)])
        marker = self.send("wide.test")
        self.assert_delivered("good.test")
        wait_for(lambda: "to=x@wide.test" in demo.log("fe1"), "a try of wide.test", 60)
        self.assertEqual(mails_with(demo, "sv1", sender, marker), [])  # it is not given up

    def test_truncated_answers_are_asked_for_again(self):
        dns.names["udp.test"] = Answer(mx(10, "mx.good.test"), way="udp-truncated")
        self.assert_delivered("udp.test")

    def test_answers_that_stay_truncated(self):
        dns.names["cut.test"] = Answer(mx(10, "mx.good.test"), way="truncated")
        self.assert_waits("cut.test")

    def test_cnames_in_a_circle(self):
        dns.names["one.circle.test"] = Answer(cname("two.circle.test"))
        dns.names["two.circle.test"] = Answer(cname("one.circle.test"))
        self.assert_waits("one.circle.test")

    def test_a_chain_of_cnames(self):
        dns.names |= {"a.chain.test": Answer(cname("b.chain.test")),
                      "b.chain.test": Answer(mx(10, "mx.good.test"))}
        self.assert_delivered("a.chain.test")

    def test_no_such_domain(self):
        self.assert_reported("nobody.test", "5.1.2")

    def test_no_such_name_although_it_has_an_address(self):
        """Of a name that is said not to exist nothing else is asked (RFC 8020)."""
        dns.names["liar.test"] = Answer(address(HERE), code=NO_NAME)
        self.assert_reported("liar.test", "5.1.2")

    def test_no_mail_wanted(self):
        dns.names["null.test"] = Answer(mx(0, "."))
        self.assert_reported("null.test", "5.1.10")

    def test_no_mail_wanted_and_yet_a_host(self):
        """RFC 7505, 3: not both; the host is taken."""
        dns.names["both.test"] = Answer(mx(0, "."), mx(10, "mx.good.test"))
        self.assert_delivered("both.test")

    def test_a_host_that_is_this_front_end(self):
        dns.names["self.test"] = Answer(mx(5, OWN_NAME), mx(10, "mx.good.test"))
        self.assert_reported("self.test", "5.4.6")

    def test_this_front_end_as_a_second_host(self):
        dns.names["backup.test"] = Answer(mx(5, "mx.good.test"), mx(10, OWN_NAME))
        self.assert_delivered("backup.test")

    def test_only_hosts_without_addresses(self):
        dns.names["empty.test"] = Answer(mx(5, "none.empty.test"))
        dns.names["none.empty.test"] = Answer()
        self.assert_reported("empty.test", "5.4.4")

    def test_a_server_that_fails(self):
        dns.names["fails.test"] = Answer(code=SERVER_FAILURE)
        self.assert_waits("fails.test")

    def test_a_server_that_speaks_garbage(self):
        dns.names["garbage.test"] = Answer(way="garbage")
        self.assert_waits("garbage.test")

    def test_a_server_that_says_nothing(self):
        dns.names["silent.test"] = Answer(way="silent")
        self.assert_waits("silent.test")

    def test_records_of_others_are_not_believed(self):
        dns.names["victim.test"] = Answer(mx(10, "mx.good.test"))
        dns.names["poison.test"] = Answer(
            mx(10, "mx.good.test"),
            more=[("victim.test", *mx(0, "thief.test")), ("mx.good.test", *address("127.0.0.2")),
                  ("thief.test", *address("127.0.0.2"))])
        self.assert_delivered("poison.test")
        self.assert_delivered("victim.test")


if __name__ == "__main__":
    unittest.main()
