#!/usr/bin/python3
"""Every *.conversation file here as one test against the real program; README.md has the format.

MUSTER_BINARY names the program, MUSTER_LANES how many conversations run side by side.
"""
import concurrent.futures
import os
import pathlib
import queue
import signal
import sys
import tempfile
import threading
import unittest

import conversation as files
from front_end import BINARY, Certificates, FrontEnd
from stage import Stage

HERE = pathlib.Path(__file__).resolve().parent
LANES = int(os.environ.get("MUSTER_LANES", "6"))
A_LANE_FOR_EACH = 12  # conversations with the same settings


class Theatre:
    """Front ends by their settings, and the conversations that wait for one. A front end is used
    by one conversation at a time, and for many of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.certificates = None
        self.folder = None
        self.results = {}  # path -> Future
        self.troubles = []
        self.threads = []

    def prepare(self):
        with self.lock:
            if self.certificates is None:
                self.folder = tempfile.TemporaryDirectory(prefix="muster-certificates-")
                self.certificates = Certificates(self.folder.name)

    def book(self, paths):
        """Starts to play these; result() waits for each."""
        self.prepare()
        by_settings = {}
        for path in paths:
            self.results[path] = concurrent.futures.Future()
            try:
                conversation = files.parse(path)
            except files.Malformed as error:
                self.results[path].set_result(str(error))
                continue
            waiting = by_settings.setdefault(conversation.settings, queue.SimpleQueue())
            waiting.put((path, conversation))
        seats = threading.Semaphore(LANES)
        for settings, waiting in sorted(by_settings.items(), key=lambda item: -item[1].qsize()):
            for _ in range(min(LANES, 1 + waiting.qsize() // A_LANE_FOR_EACH)):
                thread = threading.Thread(target=self.lane, args=(settings, waiting, seats),
                                          daemon=True)
                self.threads.append(thread)
                thread.start()

    def lane(self, settings, waiting, seats):
        with seats:
            front_end = None
            while True:
                try:
                    path, conversation = waiting.get_nowait()
                except queue.Empty:
                    break
                try:
                    front_end = front_end or FrontEnd(settings, self.certificates)
                    result = Stage(front_end, conversation).play()
                except Exception as error:  # every test must get a result
                    result = f"{type(error).__name__}: {error}"
                if front_end and front_end.process.poll() is not None:
                    result += "\nthe program has ended:\n" + front_end.tail()
                    front_end = None
                self.results[path].set_result(result)
            if front_end:
                self.end(front_end, settings)

    def end(self, front_end, settings):
        extra = front_end.left_open()
        troubles = [f"{extra} sockets were left open"] if extra > 0 else []
        troubles += front_end.stop()
        with self.lock:
            self.troubles += [f"with {dict(settings)}: {trouble}" for trouble in troubles]

    def result(self, path):
        if path not in self.results:
            self.book([path])
        return self.results[path].result()

    def close(self):
        for thread in self.threads:
            thread.join()
        if self.folder:
            self.folder.cleanup()
        self.threads, self.folder = [], None


theatre = Theatre()


class Conversations(unittest.TestCase):
    """One test for each file; made below."""

    maxDiff = None


class TheEnd(unittest.TestCase):
    def test_no_socket_was_left_and_every_front_end_ended_well(self):
        theatre.close()
        self.assertEqual([], theatre.troubles, "\n".join(theatre.troubles))


def tearDownModule():
    theatre.close()


def make_test(path):
    def test(self):
        failure = theatre.result(path)
        if failure:
            self.fail(failure)
    test.__doc__ = None
    test.path = path
    return test


for file in sorted(HERE.glob("*.conversation")):
    setattr(Conversations, f"test_{file.stem}", make_test(file))


class Suite(unittest.TestSuite):
    """Books all its tests at once, so that those that have to wait do so side by side."""

    def run(self, result, debug=False):
        methods = [getattr(test, test._testMethodName) for test in self.all(self)]
        theatre.book([method.path for method in methods if hasattr(method, "path")])
        return super().run(result, debug)

    def all(self, suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from self.all(test)
            else:
                yield test


def load_tests(_loader, tests, _pattern):
    if not os.path.exists(BINARY):
        raise FileNotFoundError(f"{BINARY} is not built; MUSTER_BINARY names another one")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with what atexit has to do
    return Suite(tests)


if __name__ == "__main__":
    unittest.main()
