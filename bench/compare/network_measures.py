"""How soon followers know what was changed, and what that costs the master and each of them."""

import concurrent.futures
import json
import statistics
import time

from .network_site import LocalHttp, Network, knows, position
from .site import DOMAIN

MILLION = 1_000_000
SINGLE_CHANGES = 40
SINGLE_COMMITS = 1_500  # of each of four
SINGLE_TURNS = 5
BURST = 10_000
BURST_SECONDS = 10
QUIET_SECONDS = 20


def first_copy(site, _effort, _rounds):
    """A follower's first copy of a million accounts."""
    with Network(site, MILLION, 1) as network:
        follower = network.followers[0]
        before = network.master.peak_kilobytes()
        cpu = network.master.cpu()
        began = time.monotonic()
        follower.start()
        network.wait_for(lambda: follower.replica() is not None, 60)
        seconds = time.monotonic() - began
        return {"seconds": seconds,
                "CPU s of the master": network.master.cpu() - cpu,
                "CPU s of the follower": follower.cpu(),
                "MB of the master, peak": network.master.peak_kilobytes() / 1e3,
                "MB of the master before": before / 1e3,
                "MB of the follower, peak": follower.peak_kilobytes() / 1e3,
                "MB of the follower besides files": follower.anonymous_kilobytes() / 1e3}


def spread(site, _effort, _rounds):
    """From before the call that adds an account on a back end, which the master serves, until every
    follower's copy has the account."""
    figures = {}
    for followers in (2, 10, 50):
        with Network(site, MILLION, followers) as network:
            replicas = network.start_followers()
            back_end = network.start_back_end()
            times = []
            for number in range(SINGLE_CHANGES):
                began = time.monotonic()
                address = network.add(f"new{followers}x{number}", at=back_end)
                missing = replicas
                while missing:
                    missing = [replica for replica in missing if not knows(replica, address)]
                    if missing:
                        time.sleep(0.001)
                times.append(1000 * (time.monotonic() - began))
            name = f"ms until {followers} followers know"
            figures[f"{name}, median"] = statistics.median(times)
            figures[f"{name}, longest"] = max(times)
    return figures


def quiet(site, _effort, _rounds):
    """What ten followers of a master cost while nothing changes."""
    with Network(site, MILLION, 10) as network:
        network.start_followers()
        time.sleep(3)
        nodes = [network.master, *network.followers]
        before = [node.cpu() for node in nodes]
        time.sleep(QUIET_SECONDS)
        used = [(node.cpu() - cpu) / QUIET_SECONDS for node, cpu in zip(nodes, before)]
        return {"% of a core, the follower that uses most": 100 * max(used[1:]),
                "% of a core, the master with ten": 100 * used[0]}


def _rows(many, quota):
    lines = [f"user{number}@{DOMAIN},{quota}" for number in range(many)]
    return ("address,quota\n" + "\n".join(lines) + "\n").encode()


def _sustain(network, replicas, rate):
    """Changes `rate` accounts a second for BURST_SECONDS → (seconds until all followers have
    them, accounts changed, the longest time that a follower lay behind)."""
    began = time.monotonic()
    behind = 0.0
    for second in range(BURST_SECONDS):
        network.master.call("POST", "/v1/accounts/import?update=1", _rows(rate, 1000 + second),
                            "text/csv")
        done = time.monotonic()
        head = _head(network)
        if second % 3 == 2:
            network.wait_for(lambda: all(position(each) >= head for each in replicas), 60)
            behind = max(behind, time.monotonic() - done)
        pause = began + second + 1 - time.monotonic()
        if pause > 0:
            time.sleep(pause)
    head = _head(network)
    network.wait_for(lambda: all(position(each) >= head for each in replicas), 60)
    return time.monotonic() - began, rate * BURST_SECONDS, behind


def _head(network):
    return json.loads(network.master.call("GET", "/v1/status?here=1"))["replica"]["revision"]


def changes(site, _effort, _rounds):
    """Many changes: 10,000 a second to one follower, 1,500 to ten; CPU of a change and follower."""
    figures = {}
    for followers, rate in ((1, BURST), (10, 1_500)):
        with Network(site, MILLION, followers) as network:
            network.start_followers()
            seconds_alone, cpu_alone, replicas = _cost_without(network, rate)
            nodes = [network.master, *network.followers]
            before = [node.cpu() for node in nodes]
            seconds, changed, behind = _sustain(network, replicas, rate)
            used = [node.cpu() - cpu for node, cpu in zip(nodes, before)]
            name = f"{rate} a second to {followers}"
            figures[f"{name}: seconds for {BURST_SECONDS} s of changes"] = seconds
            figures[f"{name}: seconds behind, longest"] = behind
            figures[f"{name}: us of CPU per change and follower"] = (
                1e6 * (sum(used) - cpu_alone) / changed / followers)
            figures[f"{name}: us of them in the follower"] = 1e6 * sum(used[1:]) / changed / followers
            figures[f"{name}: seconds alone"] = seconds_alone
    return figures


def single_changes(site, _effort, _rounds):
    """Changes one by one, each a commit of its own, as fast as four administrators make them: CPU of
    a change and follower beside that of the same changes when nobody follows."""
    figures = {}
    for followers in (1, 10):
        with Network(site, MILLION, followers) as network:
            network.start_followers()
            rates, costs = [], []
            for turn in range(SINGLE_TURNS):  # the difference is small beside both
                for follower in network.followers:
                    follower.stop()
                _, alone = _one_by_one(network, [network.master])
                network.continue_followers(f"one-by-one-{turn}-")
                rate, together = _one_by_one(network, [network.master, *network.followers])
                rates.append(rate)
                costs.append(1e6 * (together - alone) / followers)
            figures[f"a second to {followers}"] = statistics.median(rates)
            figures[f"us of CPU per change and follower, {followers}"] = statistics.median(costs)
    return figures


def _one_by_one(network, nodes):
    """→ (changes a second, CPU seconds a change)."""
    before = [node.cpu() for node in nodes]
    began = time.monotonic()

    def work(first):
        line = LocalHttp(network.master.state / "admin.sock")
        for number in range(first, first + SINGLE_COMMITS):
            line.request("PATCH", f"/v1/accounts/user{number}@{DOMAIN}",
                         json.dumps({"quota": number + int(began * 1000) % 100_000}),
                         {"Content-Type": "application/json"})
            answer = line.getresponse()
            if answer.status != 200:
                raise RuntimeError(answer.read())
            answer.read()
        line.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(0, 4 * SINGLE_COMMITS, SINGLE_COMMITS)))
    seconds = time.monotonic() - began
    time.sleep(1)
    used = sum(node.cpu() - cpu for node, cpu in zip(nodes, before))
    return 4 * SINGLE_COMMITS / seconds, used / (4 * SINGLE_COMMITS)


def _cost_without(network, rate):
    """What the changes cost the master when nobody follows."""
    for follower in network.followers:
        follower.stop()
    before = network.master.cpu()
    seconds = _sustain(network, [], rate)[0]
    cpu = network.master.cpu() - before
    return seconds, cpu, network.continue_followers("again")


NETWORK_MEASURES = {"first-copy": first_copy, "spread": spread, "quiet": quiet, "changes": changes,
                    "single-changes": single_changes}

NETWORK_PROMISES = {
    ("first-copy", "seconds"): 15,
    ("first-copy", "MB of the master, peak"): 200,
    ("first-copy", "MB of the follower besides files"): 200,
    **{("spread", f"ms until {followers} followers know, {what}"): most
       for followers in (2, 10, 50) for what, most in (("median", 200), ("longest", 1000))},
    ("quiet", "% of a core, the follower that uses most"): 1,
    **{("changes", f"{name}: {what}"): most
       for name in ("10000 a second to 1", "1500 a second to 10")
       for what, most in (("us of CPU per change and follower", 50),
                          ("seconds for 10 s of changes", 11))},
    **{("single-changes", f"us of CPU per change and follower, {followers}"): 50
       for followers in (1, 10)},
}
