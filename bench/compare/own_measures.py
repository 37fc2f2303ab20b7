"""What only Muster promises: the size of the directory costs nothing, workers share nothing, a
restart is quick, and nothing leaks. Each returns figures by name; PROMISES says what some of them
may be at most."""

import os
import statistics
import subprocess
import time

from . import processes
from .measures import login_cpu
from .muster_peer import Muster

THOUSAND, MILLION, TEN_MILLION = 1_000, 1_000_000, 10_000_000
LEAK_LOGINS = 100_000


def directory(site, effort, rounds):
    """CPU per 1000 logins over directories of three sizes, users drawn from all of them."""
    samples = {THOUSAND: [], MILLION: [], TEN_MILLION: []}
    figures = {}
    for accounts in samples:
        peer = Muster(site, accounts)
        began = time.monotonic()
        peer.fill()
        figures[f"seconds to load {accounts}"] = time.monotonic() - began
        figures[f"MB on disk with {accounts}"] = sum(
            file.stat().st_size for file in peer.state.iterdir()) / 1e6
    for _ in range(rounds):
        for accounts, values in samples.items():
            site.users = accounts
            with Muster(site, accounts) as peer:
                values.append(login_cpu(site, peer, False, effort))
    for accounts, values in samples.items():
        figures[f"CPU s per 1000 logins with {accounts}"] = statistics.median(values)
    for accounts in (MILLION, TEN_MILLION):
        figures[f"ratio of {accounts} to {THOUSAND}"] = statistics.median(
            large / small for large, small in zip(samples[accounts], samples[THOUSAND]))
    return figures


def accounts(site, _effort, _rounds):
    """Importing 10 million accounts, a front end's copy of them, and look-ups in it."""
    figures = {}
    for count in (MILLION, TEN_MILLION):
        lines = subprocess.run([site.tools / "directory_bench", str(count), site.directory],
                               check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        for line in lines[1:]:
            what, value, unit = line.split("\t")
            figures[f"{what}, {unit}, with {count}"] = float(value)
    return figures


def workers(site, effort, rounds):
    """CPU per 1000 logins with two workers and with one, load and proxy on all cores alike."""
    everywhere = os.sched_getaffinity(0)
    site.load_cores = everywhere
    samples = {1: [], 2: []}
    for _ in range(rounds):
        for count, values in samples.items():
            peer = Muster(site, workers=count)
            peer.cores = everywhere
            with peer:
                values.append(login_cpu(site, peer, False, effort))
    site.load_cores = processes.LOAD_CORE
    return {"CPU s per 1000 logins, one worker": statistics.median(samples[1]),
            "CPU s per 1000 logins, two workers": statistics.median(samples[2]),
            "ratio": statistics.median(two / one for one, two in zip(samples[1], samples[2]))}


def restart(site, _effort, rounds):
    """From starting a front end to its first login, with 10 million accounts and no master."""
    site.users = TEN_MILLION
    Muster(site, TEN_MILLION, alone=True).fill()
    seconds = []
    for _ in range(rounds):
        began = time.monotonic()
        with Muster(site, TEN_MILLION, alone=True) as running:
            site.load("logins", running.port(False), False, 1)
            seconds.append(time.monotonic() - began)
    return {"seconds": statistics.median(seconds), "longest": max(seconds)}


def _descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def leaks(site, effort, _rounds):
    """Growth of descriptors and memory over 100,000 logins, half of them with TLS."""
    with Muster(site) as peer:
        pid = peer.pids()[0]
        _logins(site, peer, LEAK_LOGINS // 10, effort)
        before = _descriptors(pid), processes.pss_kilobytes([pid])
        _logins(site, peer, LEAK_LOGINS, effort)
        after = _descriptors(pid), processes.pss_kilobytes([pid])
    return {"logins": LEAK_LOGINS, "descriptors more": after[0] - before[0],
            "KB more": after[1] - before[1]}


def _logins(site, peer, count, effort):
    for tls in (False, True):
        site.load("logins", peer.port(tls), tls, count // 2, concurrency=effort.concurrency)
    processes.settled_cpu_seconds(peer.pids())


OWN_MEASURES = {"directory": directory, "accounts": accounts, "workers": workers, "restart": restart, "leaks": leaks}

PROMISES = {
    ("directory", f"ratio of {MILLION} to {THOUSAND}"): 1.2,
    ("directory", f"ratio of {TEN_MILLION} to {THOUSAND}"): 1.2,
    ("accounts", f"import of accounts with hashes, s, with {TEN_MILLION}"): 600,
    ("accounts", f"a front end's file, MB, with {TEN_MILLION}"): 2000,
    **{("accounts", f"look-up{when}, CPU, us, with {count}"): 8
       for when in ("", " while changes stream in") for count in (MILLION, TEN_MILLION)},
    **{("accounts", f"look-up while changes stream in, 99th percentile, us, with {count}"): 50
       for count in (MILLION, TEN_MILLION)},
    ("workers", "ratio"): 1.1,
    ("restart", "seconds"): 2,
    ("leaks", "descriptors more"): 8,
    ("leaks", "KB more"): 1024,
}
