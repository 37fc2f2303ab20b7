"""Mail at full speed while front ends, Dovecots and the master are killed, and a checker of what is
promised: what was answered 250 arrives, once, or again where the operator guide says so ("What may
come twice"); what was refused or never ended does not arrive.

Each try of a message has a name of its own (X-Attempt), so that each is judged by itself; a client
that got no answer sends again with the same Message-ID, as real ones do."""
import bisect
import collections
import contextlib
import dataclasses
import os
import random
import re
import signal
import threading
import time

import harness
import mail_lab
from harness import wait_for

PASSWORD = "correct horse battery staple"
REMOTE = "outside.test"
FULL = "full@domain1.dom"        # its server refuses all mail for it, after the end of the message
SENDER = "sender@domain1.dom"    # gets the reports
LATE = 3.0     # seconds from a message's arrival to the note of it, on a machine with much to do
BEHIND = 2.0   # seconds that a server goes on with a message whose front end is dead
WAITING = "muster-queue 1"  # stands in each file of a queue
DUE_AT_ONCE = 50  # messages of the queue on their way to one destination


@dataclasses.dataclass
class Message:
    id: str
    recipients: list
    lines: int
    refused: bool  # has a bare line feed
    tries: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Attempt:
    name: str
    front_end: str
    message: Message
    accepted: list = dataclasses.field(default_factory=list)
    sent: float = 0.0   # when its end was sent; 0: never
    ended: float = 0.0  # when it was answered, or its connection ended
    answer: str = ""
    left: bool = False  # by its client, which did not wait for the answer


@dataclasses.dataclass
class Kill:
    what: str   # a front end, or a server
    began: float
    over: float = 0.0
    again: collections.Counter = dataclasses.field(default_factory=collections.Counter)


class Sink(mail_lab.Sink):
    """Another site; knows when what arrived."""

    def __init__(self, arrived):
        super().__init__()
        self.messages = self
        self.arrived = arrived

    def append(self, message):
        _, recipients, text = message
        for recipient in recipients:
            self.arrived(recipient, time.time(), text)


class Arrivals:
    """Takes what arrived out of the mailboxes, and remembers it."""

    def __init__(self, demo, accounts):
        self.demo, self.accounts = demo, accounts
        self.lock = threading.Lock()
        self.times = collections.defaultdict(list)  # (attempt, address) -> when it arrived

    def note(self, address, when, text):
        found = re.search(rb"(?m)^X-Attempt: (\S+)", text)
        name = found[1].decode() if found else f"without a name: {text[:300]!r}"
        with self.lock:
            self.times[name, address].append(when)

    def look(self, age=0.0):
        """At what arrived so many seconds ago; Dovecot copies from new ones to other mailboxes."""
        before = time.time() - age
        for address, account in self.accounts.items():
            for path in self.demo.mails(account["home"], account["id"]):
                seconds, micro = re.match(r"(\d+)\.M(\d+)", path.name).groups()
                when = int(seconds) + int(micro) / 1e6
                if when <= before:
                    self.note(address, when, path.read_bytes())
                    path.unlink()

    def of(self, attempt, address):
        return sorted(self.times.get((attempt.name, address), []))


class Client(threading.Thread):
    """Sends until told to stop, several messages a connection, each until it has an answer."""

    def __init__(self, trial, number):
        super().__init__()
        self.trial, self.number = trial, number
        self.choose = random.Random(trial.seed * 1000 + number)
        self.source = harness.new_source()  # the same for all: who sends again is known by it
        self.count = 0
        self.open = []  # messages without an answer

    def run(self):
        until = None
        while until is None or (self.open and time.monotonic() < until):
            if until is None and self.trial.stopping.is_set():
                until = time.monotonic() + 60
            front_end = self.choose.choice(list(self.trial.demo.fe))
            with contextlib.suppress(AssertionError, OSError), \
                    mail_lab.Smtp(self.trial.demo.fe[front_end]["smtp"], seconds=90,
                                  source=self.source) as smtp:
                for _ in range(self.choose.randint(1, 8)):
                    if not self.serve(smtp, front_end, until is None):
                        break

    def serve(self, smtp, front_end, may_be_new):
        """One more message over this connection; whether it can serve another."""
        if self.open and (not may_be_new or self.choose.random() < 0.5):
            message = self.open.pop(0)
        elif may_be_new:
            message = self.new_message()
        else:
            return False
        attempt = self.trial.attempt(message, front_end)
        try:
            self.send(smtp, attempt)
        finally:
            attempt.ended = time.time()
            if not attempt.answer.startswith(("2", "5")):
                self.open.append(message)
        return not attempt.left

    def new_message(self):
        self.count += 1
        recipients = self.choose.sample(self.trial.addresses, self.choose.choice((1, 1, 2, 2, 3)))
        if self.choose.random() < 0.05:
            recipients.append(FULL)
        if self.choose.random() < 0.05:
            recipients = [FULL]
        return Message(f"{self.trial.seed}.{self.number}.{self.count}@client.test", recipients,
                       lines=self.choose.choice((1, 4, 4, 40, 2500)),
                       refused=self.choose.random() < 0.05)

    def text(self, attempt):
        lines = [f"From: <{SENDER}>", f"Message-ID: <{attempt.message.id}>", "Subject: trial",
                 f"X-Attempt: {attempt.name}", "", *["x" * 78] * attempt.message.lines, "the end"]
        if attempt.message.refused:
            lines[-1] += "\n."
        return "\r\n".join(lines).encode() + b"\r\n"

    def send(self, smtp, attempt):
        message = attempt.message
        recipients = [*message.recipients]
        unknown = self.choose.random() < 0.01 and len(recipients) > 1
        if unknown:
            recipients.insert(1, "nobody@domain1.dom")
        in_chunks = self.choose.random() < 0.2
        commands = [f"MAIL FROM:<{SENDER}>", *(f"RCPT TO:<{each}>" for each in recipients)]
        smtp.raw("".join(command + "\r\n" for command in commands).encode())
        sender, *answers = [smtp.answer() for _ in commands]
        attempt.accepted = [address for address, answer in zip(recipients, answers)
                            if answer.startswith("250")]
        self.trial.count(*(f"recipients answered {answer[:3]}" for answer in answers))
        if unknown and not answers[1].startswith(("550 5.1.1", "450 4.1.1")):
            self.trial.wrong("unknown recipient", answers[1])
        if not attempt.accepted:
            attempt.answer = next((a for a in (sender, *answers) if a[0] == "4"), answers[0])
            smtp.command("RSET")
            return
        if len(attempt.accepted) + unknown < len(recipients):
            self.trial.wrong("recipient not accepted", str(answers))
        text = self.text(attempt)
        if in_chunks:
            text = b"BDAT %d LAST\r\n" % len(text) + text
        else:
            answer = smtp.command("DATA")
            assert answer.startswith("354"), answer
            text += b".\r\n"
        if self.choose.random() < 0.03:
            smtp.raw(text[:-10])  # and leaves in the middle
            attempt.left = True
            return
        attempt.sent = time.time()
        smtp.raw(text)
        if self.choose.random() < 0.02:
            attempt.left = True  # and sends again
            return
        attempt.answer = smtp.answer()


class Trial:
    def __init__(self, demo, seed, clients=6):
        self.demo, self.seed = demo, seed
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.found = []
        self.attempts = []
        self.kills = collections.defaultdict(list)  # what -> Kill, by time
        self.homes = {}
        self.victims = []
        self.choose = random.Random(seed)
        self.prepare()
        self.clients = [Client(self, number) for number in range(clients)]
        self.sweeper = threading.Thread(target=self.sweep)

    def prepare(self):
        accounts = {f"{server}-{number}@domain1.dom": {"home": server}
                    for server in self.demo.sv for number in range(3)}
        accounts |= {FULL: {"home": "sv3", "quota": 1}, SENDER: {"home": "sv1"}}
        accounts = {address: self.demo.add_account(address, PASSWORD, **fields)
                    for address, fields in accounts.items()}
        self.arrivals = Arrivals(self.demo, accounts)
        self.sink = Sink(self.arrivals.note)
        self.demo.api("PUT", f"/v1/domains/{REMOTE}",
                      {"kind": "remote", "route": [f"127.0.0.1:{self.sink.port}"]})
        remote = [f"{number}@{REMOTE}" for number in range(2)]
        self.addresses = [address for address in accounts if address not in (FULL, SENDER)] + remote
        self.homes = {address: account["home"] for address, account in accounts.items()}
        self.homes |= dict.fromkeys(remote, REMOTE)
        for front_end in self.demo.fe:
            wait_for(lambda: self.is_known(front_end), f"{REMOTE} on {front_end}")

    def is_known(self, front_end):
        with mail_lab.connect(self.demo, front_end=front_end) as smtp:
            return smtp.envelope("", f"x@{REMOTE}")[0].startswith("250")

    # what the threads tell

    def attempt(self, message, front_end):
        with self.lock:
            attempt = Attempt(f"{self.seed}-{len(self.attempts):07}", front_end, message)
            self.attempts.append(attempt)
        message.tries.append(attempt)
        return attempt

    def count(self, *what):
        with self.lock:
            self.counts.update(what)

    def wrong(self, what, text):
        with self.lock:
            self.counts[f"WRONG: {what}"] += 1
            if len(self.found) < 50:
                self.found.append(f"mail: {what}: {text}")
                print("mail:", what, text, flush=True)

    def answered(self):
        with self.lock:
            attempts = self.attempts[:]
        return sum(attempt.answer.startswith("250") for attempt in attempts[-5000:])

    def sweep(self):
        while not self.stopping.wait(5):
            self.arrivals.look(age=30)

    # the trial

    def run(self, kills=None, seconds=None):
        """Until so many kills or seconds are over. Returns what is wrong."""
        for thread in (*self.clients, self.sweeper):
            thread.start()
        try:
            began = time.monotonic()
            while (sum(map(len, self.kills.values())) < kills if kills
                   else time.monotonic() - began < seconds):
                self.kill_some()
            print(f"mail: {time.monotonic() - began:.0f} s of kills", flush=True)
        finally:
            self.stopping.set()
            for thread in (*self.clients, self.sweeper):
                thread.join()
        began = time.monotonic()
        self.drain()
        print(f"mail: {time.monotonic() - began:.0f} s until the queues were empty", flush=True)
        self.check()
        return self.found

    def kill_some(self):
        """One, or two at a time; waits for traffic before, and at random after it."""
        before = len(self.attempts)
        wait_for(lambda: len(self.attempts) > before + 30, "traffic", 90)
        time.sleep(self.choose.random() / 2)  # a moment nobody chose
        chosen = [self.next_victim() for _ in range(self.choose.choice((1, 1, 2)))]
        for kind, name in chosen:
            self.kill(kind, name)
        if self.choose.random() < 0.3:
            time.sleep(self.choose.random() * 3)  # away for longer
        for kind, name in chosen:
            (self.demo.start_engine if kind == "Dovecot" else self.demo.start_node)(name)

    def next_victim(self):
        """All in turn, in another order each time."""
        if not self.victims:
            self.victims = [*(("front end", name) for name in self.demo.fe),
                            *(("Dovecot", name) for name in self.demo.sv),
                            ("master", "sv1"), ("back end's node", "sv2")]
            self.choose.shuffle(self.victims)
        return self.victims.pop()

    def kill(self, kind, name):
        what = name if kind in ("front end", "Dovecot") else f"the node of {name}"
        kills = self.kills[what]
        kills.append(Kill(what, time.time()))
        (self.end_engine if kind == "Dovecot" else self.demo.end_node)(name)
        kills[-1].over = time.time()
        self.count(f"kills of a {kind}" if kind != "master" else "kills of the master")

    def end_engine(self, server):
        """All its processes at once: a Dovecot without its master goes on serving."""
        master = self.demo.sv[server]["engine_pid"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(master, signal.SIGSTOP)
        pids = [*harness.children_of(master), master]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(harness.is_alive, pids)), f"the end of the Dovecot of {server}")
        # While nobody has asked for its end, Dovecot takes it for one that runs; and it waits half a
        # minute for the locks of its dead.
        (self.demo.dir / server / "run" / "master.pid").unlink(missing_ok=True)
        for lock in (self.demo.dir / server / "mail").rglob("*.lock"):
            lock.unlink()

    def drain(self):
        """Until nothing waits in any queue, and all that arrived was seen."""
        for front_end in self.demo.fe:
            for _ in range(30):
                self.demo.api("POST", "/v1/queue/flush", {"all": True, "here": True},
                              node=front_end)
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: not mail_lab.queued(self.demo, front_end, WAITING), "", 4)
                    break
            else:
                self.wrong("still in the queue", str(mail_lab.queued(self.demo, front_end, WAITING)))
        self.arrivals.look()

    # the checker

    def check(self):
        names = {attempt.name: attempt for attempt in self.attempts}
        for (name, address), times in self.arrivals.times.items():
            if name not in names:
                self.wrong("nobody sent", f"{address}: {name}")
            elif address not in (SENDER, *names[name].accepted):
                self.wrong("at another's", f"{name} at {address}")
            self.count(*["arrived"] * len(times))
        for attempt in self.attempts:
            self.check_attempt(attempt)
        for message in {id(a.message): a.message for a in self.attempts}.values():
            for address in message.recipients:
                self.check_tries(message, address)
        for kill in sum(self.kills.values(), []):
            for server, times in kill.again.items():
                if times > DUE_AT_ONCE + len(self.clients):
                    self.wrong("too many again", f"{times} at {server} by the end of {kill.what}")

    def check_attempt(self, attempt):
        copies = {address: self.arrivals.of(attempt, address) for address in attempt.accepted}
        reports = self.arrivals.of(attempt, SENDER)
        kind = attempt.answer[:3] or ("unanswered" if attempt.sent else "never ended")
        self.count(f"messages {kind if not kind.isdigit() else 'answered ' + kind}")
        if not attempt.sent or attempt.answer.startswith("5"):
            if any(copies.values()) or reports:
                self.wrong("arrived although refused or never ended", self.story(attempt))
            return
        before = attempt.message.tries[:attempt.message.tries.index(attempt) + 1]
        has = {address: any(self.arrivals.of(each, SENDER if address == FULL else address)
                            for each in before) for address in attempt.accepted}
        if attempt.answer.startswith("250") and not all(has.values()):
            self.wrong("lost", self.story(attempt))
        # What one server is to take, and perhaps other sites, is not on disk before that has it.
        homes = {self.homes[address] for address in attempt.accepted if address != FULL}
        homes.discard(REMOTE)
        if not attempt.answer and len(homes) > 1 and len(set(has.values())) > 1:
            self.wrong("partly arrived", self.story(attempt))
        for address, times in copies.items():
            for one, following in zip(times, times[1:]):
                self.explain(attempt, address, one, following)
        if len(reports) > 1 and not self.killed(attempt.front_end, attempt.sent, reports[-1]) \
                and not self.killed(self.homes[SENDER], attempt.sent, reports[-1]):
            self.wrong("reported twice", self.story(attempt))
        self.count(*["reports again"] * (len(reports) - 1))

    def killed(self, what, since, until):
        """Its last kill that touches that time."""
        kills = self.kills[what]
        at = bisect.bisect_right(kills, until, key=lambda kill: kill.began) - 1
        return kills[at] if at >= 0 and kills[at].over >= since else None

    def explain(self, attempt, address, one, following):
        """Each copy but the last must have come before its server or its front end died while its
        message was under way: in line, or a moment ago from the queue."""
        server = self.homes[address]
        soon = min(one + LATE, following)
        in_line = min(max(attempt.ended, one), following)  # a server may have to wait for a slow one
        for what, case, since, until in (
                (server, "1, its server died", one, soon),
                (attempt.front_end, "2, its front end died", one - BEHIND, max(soon, in_line))):
            kill = self.killed(what, max(since, attempt.sent), until)
            if kill is None:
                continue
            was_in_line = kill.began <= attempt.ended
            if was_in_line or "Queued as" in attempt.answer or not attempt.answer:
                self.count(f"twice, case {case}{'' if was_in_line else ', from the queue'}")
                kill.again[server] += 1
                return
        self.wrong("twice", f"{address}: {self.story(attempt)}")

    def check_tries(self, message, address):
        """Of several tries each that arrived but the last must have had no answer."""
        arrived = [each for each in message.tries if self.arrivals.of(each, address)]
        for attempt in arrived[:-1]:
            died = self.killed(attempt.front_end, attempt.sent, attempt.ended)
            if attempt.left:
                following = message.tries[message.tries.index(attempt) + 1]
                where = ("there" if following.front_end == attempt.front_end else "elsewhere")
                self.count(f"twice, case 3, its client left and sent again {where}")
            elif not attempt.answer and died:
                self.count("twice, case 2, its front end died and its client sent again")
            else:
                self.wrong("twice, sent again", self.story(attempt))

    def story(self, attempt):
        told = [f"{attempt.name} of {len(attempt.message.tries)} tries of {attempt.message.id} by "
                f"{attempt.front_end}: sent {attempt.sent:.3f}, {attempt.answer or 'no answer'}"
                f"{' (client left)' if attempt.left else ''} {attempt.ended:.3f}"]
        for address in (*attempt.accepted, SENDER):
            told.append(f"{address} on {self.homes[address]}: " + " ".join(
                f"{when:.3f}" for when in self.arrivals.of(attempt, address)))
        last = max([attempt.ended, *(when for address in (*attempt.accepted, SENDER)
                                     for when in self.arrivals.of(attempt, address))])
        told += [f"{kill.what} killed {kill.began:.3f} to {kill.over:.3f}"
                 for kill in sum(self.kills.values(), [])
                 if attempt.sent - 5 < kill.over and kill.began < last + 5]
        return "\n  ".join(told)

    def summary(self):
        return ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))
