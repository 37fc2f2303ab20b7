"""Processes of the comparison: started pinned to one core, ended with their parent, and measured
through /proc: CPU seconds and proportional memory of a whole process tree."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

PROXY_CORE = 1
LOAD_CORE = 0
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def raise_open_files():
    """The soft limit of open files becomes the hard one; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port():
    """A loopback port that the kernel says is free, for programs that cannot ask themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, cores, **options):
    """Starts `command` on those cores (one number or several); it gets SIGTERM should we die first."""
    cores = {cores} if isinstance(cores, int) else set(cores)

    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.sched_setaffinity(0, cores & os.sched_getaffinity(0) or os.sched_getaffinity(0))

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([str(word) for word in command], preexec_fn=prepare, **options)


def stop(process):
    """Asks, then insists."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def announced_ports(process, count):
    """Reads "NAME PORT" lines that one of the tools prints when it listens."""
    lines = [process.stdout.readline().split() for _ in range(count)]
    return {name: int(port) for name, port in lines}


def wait_for_port(port, process, seconds=20):
    """Until something accepts connections there; fails when `process` ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode} at its start")
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen on {port}")


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        return file.read().rpartition(")")[2].split()


def tree(pids):
    """These processes and all their descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat(name)[1]), []).append(int(name))
            except OSError:
                continue
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """User + system seconds of the tree, with its children that ended already."""
    ticks = 0
    for pid in tree(pids):
        try:
            ticks += sum(int(field) for field in _stat(pid)[11:15])
        except OSError:
            continue
    return ticks / TICKS


def settled_cpu_seconds(pids):
    """The same, once what the last connections left to do is done."""
    last = cpu_seconds(pids)
    for _ in range(40):
        time.sleep(0.1)
        now = cpu_seconds(pids)
        if now - last < 0.01:
            return now
        last = now
    return last


def pss_kilobytes(pids):
    """Proportional set size of the tree."""
    total = 0
    for pid in tree(pids):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total
