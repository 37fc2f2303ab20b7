"""The figures of the comparison: how each is taken from a running peer, and what Muster's may be
(a ratio to nginx, or kilobytes a session)."""

from dataclasses import dataclass
from typing import Callable, Optional

from . import processes

GIGABYTE = 1e9
MEBIBYTE = 1 << 20
FETCH_MEBIBYTES = 64


@dataclass(frozen=True)
class Effort:
    """How much one sample does."""

    logins: int = 4000
    fetches: int = 24
    sessions: int = 9500
    concurrency: int = 16
    messages: int = 5000
    senders: int = 50
    guesses: int = 200_000
    queued: int = 1_000_000


@dataclass(frozen=True)
class Measure:
    name: str
    title: str
    unit: str
    tls: bool
    sample: Callable
    ratio_target: Optional[float] = None
    absolute_target: Optional[float] = None


def _warm_up(site, peer, tls):
    site.load("logins", peer.port(tls), tls, 200, concurrency=8)


def login_cpu(site, peer, tls, effort):
    """CPU seconds of the proxy per 1000 logins, each a connection of its own."""
    count = effort.logins // 2 if tls else effort.logins
    _warm_up(site, peer, tls)
    before = processes.settled_cpu_seconds(peer.pids())
    site.load("logins", peer.port(tls), tls, count, concurrency=effort.concurrency)
    return (processes.settled_cpu_seconds(peer.pids()) - before) / count * 1000


def fetch_cpu(site, peer, tls, effort):
    """CPU seconds of the proxy per gigabyte sent from server to client."""
    count = effort.fetches // 2 if tls else effort.fetches
    _warm_up(site, peer, tls)
    before = processes.settled_cpu_seconds(peer.pids())
    site.load("fetch", peer.port(tls), tls, count, concurrency=4, mebibytes=FETCH_MEBIBYTES)
    used = processes.settled_cpu_seconds(peer.pids()) - before
    return used / (count * FETCH_MEBIBYTES * MEBIBYTE / GIGABYTE)


def idle_memory(site, peer, tls, effort):
    """Kilobytes (PSS) of the proxy per session that is logged in and silent.

    The first sessions warm it up; both readings are taken with the same processes running, because
    PSS shares the pages of common libraries among them."""
    first = min(200, effort.sessions // 10)
    holder = site.start_load("hold", peer.port(tls), tls, effort.sessions, first=first,
                             concurrency=effort.concurrency)
    try:
        before = _held_memory(site, peer, holder, first)
        holder.stdin.write("\n")
        holder.stdin.flush()
        after = _held_memory(site, peer, holder, effort.sessions)
        holder.stdin.close()
        if holder.wait() != 0:
            raise RuntimeError("sessions ended while they were held")
    finally:
        processes.stop(holder)
    return (after - before) / (effort.sessions - first)


def _held_memory(site, peer, holder, sessions):
    site.held(holder, sessions)
    processes.settled_cpu_seconds(peer.pids())
    return processes.pss_kilobytes(peer.pids())


MEASURES = {measure.name: measure for measure in (
    Measure("login-plain", "1000 logins, plain", "CPU s", False, login_cpu, ratio_target=0.65),
    Measure("login-tls", "1000 logins, TLS 1.3", "CPU s", True, login_cpu, ratio_target=0.75),
    Measure("fetch-plain", "1 GB fetched, plain", "CPU s", False, fetch_cpu, ratio_target=0.40),
    Measure("fetch-tls", "1 GB fetched, TLS 1.3", "CPU s", True, fetch_cpu, ratio_target=0.60),
    Measure("idle-plain", "idle session, plain", "KB", False, idle_memory, absolute_target=1.5),
    Measure("idle-tls", "idle session, TLS 1.3", "KB", True, idle_memory, absolute_target=15.5),
)}
