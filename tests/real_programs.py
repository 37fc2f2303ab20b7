#!/usr/bin/python3
"""Runs the tests that drive real programs: tests/conversations and tests/cluster.

Test modules run side by side, four at a time, for they wait for others most of the time; each has
its own processes, ports and folders. What one prints is shown when it has failed. An argument
selects tests whose id contains it. A test that was skipped counts neither as passed nor as failed,
and is said.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent
RESULT = pathlib.Path(os.environ["MUSTER_BINARY"]).resolve().parent.parent / "real_programs.txt"
MODULE_TIMEOUT = 900  # seconds; far above what any of them needs


def modules():
    for folder in ("conversations", "cluster"):
        for path in (TESTS / folder).glob("test_*.py"):
            borrows = path.stem.endswith("_sanitized")  # the tests of other modules
            yield folder, path.stem, path.stat().st_size + borrows * 1_000_000


def in_order():
    """The large ones first, so that no long one is left alone at the end."""
    return [module[:2] for module in sorted(modules(), key=lambda module: -module[2])]


def run(folder, module, pattern):
    command = ["/usr/bin/python3", "-m", "unittest", "-v", *(["-k", pattern] if pattern else []),
               module]
    environment = dict(os.environ, PYTHONPATH=f"{TESTS / folder}:{TESTS / 'cluster'}",
                       PYTHONDONTWRITEBYTECODE="1")
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=TESTS / folder, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=MODULE_TIMEOUT)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace") + "\nkilled: took too long"
        code = 1
    ran = int((re.findall(r"^Ran (\d+) tests?", output, re.M) or ["0"])[-1])
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", output))
    if code != 0 and bad == 0:
        bad = 1
    skipped = sum(int(n) for n in re.findall(r"^(?:OK|FAILED).*skipped=(\d+)", output, re.M))
    took = f"{time.monotonic() - started:.0f} s" + (f", {skipped} skipped" if skipped else "")
    return folder, module, max(ran - bad - skipped, 0), bad, took, output


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else None
    passed = failed = 0
    RESULT.unlink(missing_ok=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for future in concurrent.futures.as_completed(
                [pool.submit(run, folder, module, pattern) for folder, module in in_order()]):
            folder, module, good, bad, took, output = future.result()
            passed, failed = passed + good, failed + bad
            print(f"{'FAILED' if bad else 'ok':6} {folder}/{module}: {good} passed, {bad} failed "
                  f"({took})", flush=True)
            if bad:
                print(output, flush=True)
    RESULT.write_text(f"{passed} {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
