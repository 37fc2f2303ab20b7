"""A cluster under load whose nodes are killed and started again, and a checker of what was
promised: nobody is refused with the right password, no login reaches another account's mail, a
change that was confirmed is never lost, and who is not concerned notices nothing."""
import collections
import contextlib
import itertools
import random
import threading
import time

import harness
from harness import imap_login, wait_for

PASSWORD = "correct horse"
CLIENTS = 4
ACCOUNTS_PER_SERVER = 4
REST = (3.0, 8.0)  # seconds between two kills
SETTLING = 2.0     # seconds


def marker(address):
    """The mailbox that tells whose mail a login has reached."""
    return "of-" + address.split("@")[0]


class Trial:
    def __init__(self, demo, minutes):
        self.demo = demo
        self.until = time.monotonic() + minutes * 60
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.found = []
        self.away = {}      # node -> since when, as long as it is dead or starting
        self.returned = {}  # node -> when it was ready again
        self.added = []
        self.homes = {}

    def over(self):
        return time.monotonic() >= self.until

    def note(self, what, text=None):
        with self.lock:
            self.counts[what] += 1
            if text is not None and len(self.found) < 50:
                self.found.append(f"kills: {what}: {text}")
                print("kills:", what, text, flush=True)

    def prepare(self):
        """Accounts on each server; each has a mailbox that bears its name."""
        for server in self.demo.sv:
            for number in range(ACCOUNTS_PER_SERVER):
                address = f"{server}-{number}@domain1.dom"
                self.demo.add_account(address, PASSWORD, home=server)
                self.homes[address] = server
                with self.demo.imap() as line:
                    assert imap_login(line, address, PASSWORD).startswith("l OK")
                    answer = line.ask(f"c CREATE {marker(address)}", "^c ")
                    assert answer.startswith("c OK"), answer

    def concerned(self, front_end, server, began):
        """Whether something that this login needs was away since it began."""
        with self.lock:
            return any(node in self.away or self.returned.get(node, 0) >= began
                       for node in (front_end, server))

    def log_in(self, address, front_end):
        """None, or what was wrong."""
        with self.demo.imap(front_end) as line:
            answer = imap_login(line, address, PASSWORD)
            if "AUTHENTICATIONFAILED" in answer:
                return "refused", answer
            if not answer.startswith("l OK"):
                return "unavailable", answer
            line.ask('m LIST "" "of-*"', "^m OK")
            names = [heard for heard in line.heard if "of-" in heard]
            if len(names) != 1 or not names[0].endswith(marker(address)):
                return "wrong-home", str(names)
            line.ask("o LOGOUT", "^o OK")
        return None

    def client(self, number):
        choose = random.Random(number)
        while not self.over():
            address = choose.choice(list(self.homes))
            front_end = choose.choice(list(self.demo.fe))
            began = time.monotonic()
            try:
                wrong = self.log_in(address, front_end)
            except (OSError, AssertionError) as error:  # closed, refused, timed out
                wrong = "broken", f"{type(error).__name__}: {error}"
            if wrong is None:
                self.note("logins")
            elif wrong[0] in ("refused", "wrong-home"):
                self.note(wrong[0], f"{address} through {front_end}: {wrong[1]}")
            elif self.concerned(front_end, self.homes[address], began):
                self.note("concerned by a kill")
            else:
                self.note("unconcerned but " + wrong[0],
                          f"{address} through {front_end}: {wrong[1]}")

    def administrator(self):
        """Adds accounts; what was confirmed is looked for at the end."""
        for number in itertools.count():
            if self.over():
                return
            address = f"added-{number}@domain2.dom"
            try:
                self.demo.api("POST", "/v1/accounts", {"address": address, "home": "sv2"})
                self.added.append(address)
            except (OSError, harness.ApiError):
                self.note("changes refused")
            time.sleep(0.05)  # a pace, no wait for anything

    def kill(self, node):
        with self.lock:
            self.away[node] = time.monotonic()
        self.demo.end_node(node)
        self.demo.start_node(node)
        with self.lock:
            since = self.away.pop(node)
            # Others find out a moment later that it is back.
            self.returned[node] = time.monotonic() + SETTLING
        self.note(f"kills of {node}")
        return time.monotonic() - since

    def killer(self):
        longest = collections.defaultdict(float)
        while not self.over():
            time.sleep(min(random.uniform(*REST), max(0, self.until - time.monotonic())))
            node = random.choice([*self.demo.fe, "sv1"])
            longest[node] = max(longest[node], self.kill(node))
        return dict(longest)

    def check_changes(self):
        for address in self.added[-2000:]:
            for node in (*self.demo.sv, *self.demo.fe):
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: self.demo.show(address, node), address, 30)
                    continue
                self.note("lost", f"{address} was confirmed and is not on {node}")


def run(minutes):
    """Returns what was found."""
    with contextlib.closing(harness.Demo()) as demo:
        trial = Trial(demo, minutes)
        trial.prepare()
        trial.until = time.monotonic() + minutes * 60
        threads = [threading.Thread(target=trial.client, args=(number,))
                   for number in range(CLIENTS)]
        threads.append(threading.Thread(target=trial.administrator))
        for thread in threads:
            thread.start()
        longest = trial.killer()
        for thread in threads:
            thread.join()
        trial.check_changes()
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(trial.counts.items()))
        print(f"kills: {counts}, {len(trial.added):,} changes confirmed", flush=True)
        print("kills: longest from kill to ready:",
              ", ".join(f"{node} {seconds:.1f} s" for node, seconds in longest.items()))
        return trial.found
