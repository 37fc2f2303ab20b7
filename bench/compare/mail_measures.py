"""The figures of mail: how each is taken from a running peer, and what Muster's may be. A sample
gives several figures at once, by name."""

import os
import statistics
import time
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from . import processes
from .mail_peers import Duty, MusterMail

MILLION, TEN_MILLION = 1_000_000, 10_000_000
LARGE = 25 << 20


@dataclass(frozen=True)
class Figure:
    """What is asked of Muster: so many times the base's figure, or a bound."""

    name: str
    least_ratio: Optional[float] = None
    least: Optional[float] = None
    most: Optional[float] = None

    def target(self, base):
        parts = [f"≥ {self.least_ratio:g} × {base}" if self.least_ratio else "",
                 f"≥ {self.least:g}" if self.least else "", f"≤ {self.most:g}" if self.most else ""]
        return ", ".join(part for part in parts if part)

    def met(self, value, ratio):
        """None: nothing was asked, or it cannot be told."""
        bounds = [(self.least_ratio, ratio, 1), (self.least, value, 1), (self.most, value, -1)]
        known = [sign * (found - bound) >= 0 for bound, found, sign in bounds
                 if bound is not None and found is not None]
        return all(known) if known else None


@dataclass(frozen=True)
class MailMeasure:
    name: str
    title: str
    duty: Duty
    sample: Callable
    figures: Tuple[Figure, ...]
    peers: Tuple[str, ...] = ("postfix", "muster")


ACCEPTED, DELIVERED = "accepted a second", "delivered a second"
CPU = "CPU s per 1000"
RATE = "RCPT a second"


def _warm_up(site, peer, count, **options):
    taken = site.arrived()["messages"]
    site.mail("messages", peer.port(False), count, **options)
    site.wait_for_messages(taken + count)
    processes.settled_cpu_seconds(peer.pids())


def relay(each):
    """Messages in, until the server behind has them all; `each`: messages a connection."""
    def sample(site, peer, effort):
        count = effort.messages
        _warm_up(site, peer, max(count // 10, 100), each=each, concurrency=effort.senders)
        before = processes.cpu_seconds(peer.pids())
        taken = site.arrived()["messages"]
        sent = site.mail("messages", peer.port(False), count, each=each,
                         concurrency=effort.senders)
        last = site.wait_for_messages(taken + count)["last"]
        used = processes.settled_cpu_seconds(peer.pids()) - before
        return {ACCEPTED: count / sent["seconds"], DELIVERED: count / (last - sent["began"]),
                CPU: used / count * 1000}
    return sample


def unknown(site, peer, effort):
    """Recipients that nobody is, 50 in a packet, 1000 a connection."""
    options = {"users": peer.duty.accounts, "batch": 50, "each": 1000,
               "concurrency": min(effort.senders, 16)}
    site.mail("unknown", peer.port(False), effort.guesses // 10, **options)
    before = processes.settled_cpu_seconds(peer.pids())
    sent = site.mail("unknown", peer.port(False), effort.guesses, **options)
    used = processes.settled_cpu_seconds(peer.pids()) - before
    return {RATE: effort.guesses / sent["seconds"], CPU: used / effort.guesses * 1000}


def memory(size, sessions):
    """PSS of the peer per session that has sent a message of `size` bytes but for its final dot.
    `sessions`: of a peer with a process for each, and of one without."""
    def sample(site, peer, effort):
        count = sessions[0] if peer.name == "postfix" else sessions[1]
        first = max(count // 10, 4)
        _warm_up(site, peer, 100, each=10, concurrency=effort.senders)
        holder = site.start_mail("hold", peer.port(False), count, first=first, size=size,
                                 concurrency=effort.senders)
        try:
            before = _held(site, peer, holder, first)
            holder.stdin.write("\n")
            holder.stdin.flush()
            after = _held(site, peer, holder, count)
            holder.stdin.close()
            if holder.wait() != 0:
                raise RuntimeError("sessions ended while they were held")
        finally:
            processes.stop(holder)
        return {"KiB a session": (after - before) / (count - first)}
    return sample


def _held(site, peer, holder, sessions):
    site.outcome(holder, sessions, holder.stdout.readline())
    processes.settled_cpu_seconds(peer.pids())
    return processes.pss_kilobytes(peer.pids())


MAIL_MEASURES = {measure.name: measure for measure in (
    MailMeasure("mail-inline-1", "in line, 1 message a connection", Duty(), relay(1),
                (Figure(DELIVERED, least_ratio=9), Figure(CPU, most=0.25)),
                ("bare", "postfix", "muster")),
    MailMeasure("mail-inline-10", "in line, 10 messages a connection", Duty(), relay(10),
                (Figure(DELIVERED, least_ratio=9), Figure(CPU, most=0.25)),
                ("bare", "postfix", "muster")),
    MailMeasure("mail-stored", "stored before the answer", Duty(mail="queue"), relay(1),
                (Figure(ACCEPTED, least_ratio=7), Figure(DELIVERED, least_ratio=7),
                 Figure(CPU, most=0.40))),
    MailMeasure("mail-unknown", "unknown recipients, 1 million accounts", Duty(MILLION), unknown,
                (Figure(RATE, least=40_000), Figure(CPU, most=0.015))),
    MailMeasure("mail-unknown-10m", "unknown recipients, 10 million accounts", Duty(TEN_MILLION),
                unknown, (Figure(RATE, least=40_000), Figure(CPU, most=0.015)), ("muster",)),
    MailMeasure("mail-memory", "session with a message in flight", Duty(),
                memory(4096, (200, 2000)), (Figure("KiB a session", most=64),)),
    MailMeasure("mail-memory-large", "session with 25 MiB in flight", Duty(),
                memory(LARGE, (40, 120)), (Figure("KiB a session", most=64),)),
)}


def restart(site, effort, _rounds):
    """From starting a node with a million queued messages to its first delivery, and until it knows
    them all. Nothing of the queue is in the system's cache, if we may empty that."""
    peer = MusterMail(site, Duty(mail="queue"))
    peer.fill()
    site.fill_queue(peer.queue, effort.queued)
    cold = _empty_cache()
    site.arrived()
    began = time.monotonic()
    with peer:
        site.mail("messages", peer.port(False), 1)
        answered = time.monotonic() - began
        first = site.wait_for_messages(1)["first"] - began
        peer.wait_for_log("queue-loaded", 600)
        loaded = time.monotonic() - began
        taken = site.arrived()["messages"]
    return {"messages": effort.queued, "cold": int(cold), "s to the first answer": answered,
            "s to the first delivery": first, "s until loaded": loaded,
            "delivered by then": taken}


ATTACKERS, GUESSES_EACH, GUESSES_A_SECOND = 10_000, 100, 20_000


def attack(site, effort, rounds):
    """A dictionary attack of a million unknown recipients: what logins and messages of others take
    meanwhile, one after the other, beside what they took before. Spread over so many addresses that
    none is slowed down; then from few, which are."""
    site.start_imap()
    site.users = MILLION
    peer = MusterMail(site, Duty(MILLION, guarded=True))
    guesses = ATTACKERS * GUESSES_EACH
    spread = {"each": GUESSES_EACH, "sources": ATTACKERS, "batch": 10,
              "rate": GUESSES_A_SECOND, "concurrency": 100}
    with peer:
        _others(site, peer, 500)
        calm = [_others(site, peer, 500) for _ in range(max(rounds, 3))]
        used = processes.settled_cpu_seconds(peer.pids())
        told = peer.log_lines("event=recipients-refused")
        attackers = site.start_mail("unknown", peer.port(False), guesses, **spread)
        attacked = []
        while attackers.poll() is None:
            attacked.append(_others(site, peer, 500))
        outcome = site.outcome(attackers, guesses, attackers.stdout.read())
        used = processes.settled_cpu_seconds(peer.pids()) - used
        told = peer.log_lines("event=recipients-refused") - told
        few = site.start_mail("unknown", peer.port(False), guesses, each=1000, batch=10,
                              sources=50, concurrency=500)
        _others(site, peer, 500)  # by then all are slowed down
        slowed = [_others(site, peer, 500) for _ in range(max(rounds, 3))]
        processes.stop(few)
    figures = {"guesses a second": guesses / outcome["seconds"],
               "CPU s of all, attack and others": used,
               "log lines of the attack": told}
    for what in ("login", "message"):
        before = statistics.median(each[what] for each in calm)
        figures[f"ms a {what} before"] = before * 1000
        figures[f"{what} under attack to before"] = statistics.median(
            each[what] for each in attacked) / before
        figures[f"{what} with few attackers to before"] = statistics.median(
            each[what] for each in slowed) / before
    return figures


def _others(site, peer, count):
    """Seconds a login and a message, of a client that waits for each."""
    logins = site.load("logins", peer.ports["imap"], False, count, concurrency=1, sources=1)
    mail = site.mail("messages", peer.port(False), count, concurrency=1, sources=1)
    return {"login": logins["seconds"] / count, "message": mail["seconds"] / count}


def _empty_cache():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3\n")
    except OSError:
        return False
    return True


MAIL_OWN_MEASURES = {"mail-restart": restart, "mail-attack": attack}
MAIL_PROMISES = {("mail-restart", "s to the first delivery"): 5,
                 ("mail-restart", "s to the first answer"): 5,
                 ("mail-restart", "s until loaded"): 60}
