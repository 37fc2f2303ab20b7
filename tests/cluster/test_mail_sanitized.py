#!/usr/bin/python3
"""The tests of mail with the program that was built with sanitizers, when MUSTER_BINARY_SANITIZED
names one: a report fails them."""
import os
import unittest

SANITIZED = os.environ.get("MUSTER_BINARY_SANITIZED", "")
MODULES = ("test_mail_in", "test_mail_smuggling", "test_mail_disk", "test_mail_world",
           "test_mail_directory", "test_mail_faults")


class Sanitized(unittest.TestCase):
    @unittest.skip("there is no program built with sanitizers")
    def test_mail(self):
        pass


def load_tests(loader, tests, _):
    if not os.path.exists(SANITIZED):
        return tests
    os.environ["MUSTER_BINARY"] = SANITIZED
    os.environ["MUSTER_IS_SANITIZED"] = "1"
    return unittest.TestSuite(loader.loadTestsFromName(name) for name in MODULES)


if __name__ == "__main__":
    unittest.main()
