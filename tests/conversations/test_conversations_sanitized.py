#!/usr/bin/python3
"""The same conversations with the program that was built with sanitizers, when
MUSTER_BINARY_SANITIZED names one: a report, a leak or a socket left open fails them."""
import os
import unittest

SANITIZED = os.environ.get("MUSTER_BINARY_SANITIZED", "")

if os.path.exists(SANITIZED):
    os.environ["MUSTER_BINARY"] = SANITIZED
    from test_conversations import Conversations, TheEnd, load_tests  # noqa: F401
else:
    class Sanitized(unittest.TestCase):
        @unittest.skip("there is no program built with sanitizers")
        def test_conversations(self):
            pass

if __name__ == "__main__":
    unittest.main()
