"""
`make bench` still runs, and counts what the origin did: two rows of one
round, of those that need no load generator. No time is asserted.
"""

import os
import re
import subprocess
import sys

from harness.nginx import ROOT


def bench(*words) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "t/bench/bench.py"), *words],
        env={**os.environ}, capture_output=True, text=True, timeout=120)


def test_rows():
    done = bench("--rounds", "1", "cold-tail", "cold-first")
    assert done.returncode == 0, done.stderr
    rows, name = {}, ""
    for line in done.stdout.splitlines():
        if found := re.match(r"([a-z][\w-]+): ", line):
            name = found[1]
        elif found := re.match(r"    (\w+) +[\d.]+ m?s +±\d+% .*?"
                               r"(\d+) requests?, ([\d.]+)", line):
            rows[name, found[1]] = (int(found[2]), float(found[3]))
    assert rows["cold-tail", "direct"] == (1, 1.0), done.stdout
    requests, times = rows["cold-tail", "sprox"]
    assert 1 <= requests <= 2 and 1.0 <= times <= 8.0, done.stdout
    assert rows["cold-first", "sprox"][0] == 1, done.stdout


def test_unknown_row():
    done = bench("warp-speed")
    assert done.returncode == 1
    assert "cold-tail" in done.stderr and "hot-4k" in done.stderr
