"""
`make bench` still runs, and counts what the origin did: rows of one round, of
those that need no load generator. No time is asserted.
"""

import asyncio
import functools
import os
import re
import subprocess
import sys
import tempfile

import pytest

from bench import sides, slow_origin
from harness.nginx import ROOT


def bench(*words) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "t/bench/bench.py"), *words],
        env={**os.environ}, capture_output=True, text=True, timeout=240)


def rows(*words) -> dict:
    """(row, side) to (requests, bytes by what was wanted) of one round."""
    done = bench("--rounds", "1", *words)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    found, name = {}, ""
    for line in done.stdout.splitlines():
        if match := re.match(r"([a-z][\w-]+): ", line):
            name = match[1]
        elif match := re.match(r"    (\w+(?: \w+)?) +[\d.]+ m?s +±\d+% .*?"
                               r"(\d+) requests?, ([\d.]+) ", line):
            found[name, match[1]] = int(match[2]), float(match[3])
    assert found, done.stdout
    return found


def test_cold():
    found = rows("cold-tail", "cold-first")
    assert found["cold-tail", "direct"] == (1, 1.0)
    requests, times = found["cold-tail", "sprox"]
    assert 1 <= requests <= 2 and 1.0 <= times <= 8.0
    assert found["cold-first", "sprox"][0] == 1


def test_herd():
    found = rows("herd")
    requests, times = found["herd", "sprox"]
    assert 4 <= requests <= 16 and times == 1.0
    assert found["herd", "direct"] == (100, 100.0)
    assert found["herd", "one direct"] == (1, 1.0)
    assert found["herd", "not cold"] == (0, 0.0)


def test_engine():
    found = rows("duckdb")
    requests, times = found["duckdb", "direct"]
    assert requests >= 1 + 4 * 2 and times == 1.0       # a listing, 4 files
    assert found["duckdb-again", "direct"] == (requests, 1.0)
    requests, times = found["duckdb", "sprox"]
    assert requests >= 1 + 4 * 2 and 1.0 <= times <= 2.5
    assert found["duckdb-again", "sprox"] == (0, 0.0)
    assert found["duckdb-again", "disk"] == (0, 0.0)


def test_lists():
    """All pages are looked at before any is timed."""
    done = bench("--rounds", "1", "--keys", "12345", "list")
    assert done.returncode == 0, done.stderr
    found, name = {}, ""
    for line in done.stdout.splitlines():
        if match := re.match(r"(list-\w+): ", line):
            name = match[1]
        elif match := re.match(r"    (\w+(?: \w+)?) +([\d.]+) (\w+)", line):
            found.setdefault(name, {})[match[1]] = match[3], float(match[2])
    assert {row: list(sides) for row, sides in found.items()} == {
        "list-1m": ["sprox", "url", "files"], "list-jump": ["sprox"],
        "list-load": ["sprox", "among HEADs", "HEAD", "HEAD after"],
        "list-bytes": ["sprox"]}
    unit, size = found["list-bytes"]["sprox"]
    assert unit == "B" and size <= 96
    assert found["list-1m"]["sprox"][0] == "us"


def test_unknown_row():
    done = bench("warp-speed")
    assert done.returncode == 1
    assert "cold-tail" in done.stderr and "hot-4k" in done.stderr


def test_leaves_nothing_when_nginx_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", functools.partial(
        tempfile.mkdtemp, dir=tmp_path))
    monkeypatch.setattr(sides, "HTTP", "no_such_directive;")
    with pytest.raises(AssertionError, match="no_such_directive"):
        with sides.Sides():
            pass
    assert not list(tmp_path.glob("sprox-bench-*"))


def test_origin_writes_when_the_transport_is_done():
    """
    Not while it says that it has room: asyncio loses a connection twice when
    a write from there fails.
    """
    written = []

    class Transport(asyncio.Transport):
        def write(self, data):
            written.append(len(data))

    async def run():
        connection = slow_origin.Connection(
            slow_origin.Buckets("none"), 0, 1e12)
        connection.transport = Transport()
        connection.pause_writing()
        connection.answer(False, "b/o-1000", "", None)
        before = len(written)
        connection.resume_writing()
        assert len(written) == before
        await asyncio.sleep(0)
        assert written[before:] == [1000]

    asyncio.run(run())
