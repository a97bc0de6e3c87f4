"""
The table of `make bench`. BENCH="hot cold-tail" prints the rows whose names
begin so; --rounds and --seconds say how long it takes, --patience how many
seconds of it may be spent on waiting for others to leave the machine alone,
--keys how many the rows of listings have instead of 1,000,000.
A row that had to be measured among them says how much of it they had.

Each row is a function that makes a table of measurements: it calls its sides
one after the other, in turn forwards and backwards, round by round, and the
ratio is of sprox to the other side in the same round. Nothing here fails on
time: it reports, and fails only when an answer is wrong.
"""

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lake import ENGINES
from bench.sides import KEYS, LATENCY, RATE, Read, Sides, crowd, read_many, wrk

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
JUMPS = 100                         # listings of prefixes that are one value
LOOK = 0.1                          # seconds, to see who else is at work
CALM = 0.25                         # of the processors' time, used by others
WRITTEN = 512 * MIB                 # to tell how fast files are written

ROWS = {}


def row(name: str, title: str, bar: str = ""):
    """A row of the table, under that name; bar: what design asks of it."""
    def add(function):
        ROWS[name] = (title, bar, function)
        return function

    return add


class Row:
    """The measurements of a row: side to a list, one of each round."""

    def __init__(self, bench, unit: str, compare: bool = True):
        """compare: its sides are ways of doing the same."""
        self.bench, self.unit, self.compare = bench, unit, compare
        self.values, self.notes, self.busy = {}, {}, []

    def measure(self, sides: dict, rounds: int = 0) -> "Row":
        """sides: name to a function that returns one measurement."""
        for name in self.bench.turns(sides, rounds):
            self.take(name, sides[name])
        return self

    def take(self, name: str, side) -> None:
        """One measurement, and what the origin did for it."""
        self.bench.sides.counts()
        self.bench.sides.reset()
        self.busy.append(self.bench.calm())
        self.values.setdefault(name, []).append(side())
        self.notes.setdefault(name, []).append(self.bench.sides.counts())

    def write(self) -> float:
        """A side: what sprox fetched the last time, written to disk."""
        return self.bench.sides.write(self.notes["sprox"][-1]["bytes"])

    def ratio(self, name: str) -> list:
        return [a / b for a, b in zip(self.values["sprox"],
                                      self.values[name])]

    def asked(self, name: str, unit: int) -> str:
        """What the origin did in the middle round; unit: what was wanted."""
        requests = statistics.median(n["requests"] for n in self.notes[name])
        sent = statistics.median(n["bytes"] for n in self.notes[name])
        text = f"{requests:g} request" + "s" * (requests != 1)
        return text + (f", {sent / unit:.2f} x" if unit
                       else f", {sent / MIB:.1f} MiB")


class Bench:
    def __init__(self, sides: Sides, rounds: int, seconds: float,
                 patience: float = 0):
        self.sides, self.rounds, self.seconds = sides, rounds, seconds
        self.patience = patience            # seconds that are left of it
        self._engines = {}

    def calm(self) -> float:
        """
        Waits until others leave the machine alone, for as long as patience
        lasts. How busy it is without us, from 0 to 1.
        """
        while (busy := processors_busy(LOOK)) > CALM and self.patience > 0:
            self.patience -= LOOK
        return busy

    def turns(self, names, rounds: int = 0):
        """Each name once a round, in turn forwards and backwards."""
        for number in range(rounds or self.rounds):
            yield from list(names)[::1 if number % 2 == 0 else -1]

    def port(self, side: str) -> int:
        return self.sides.ports[side]

    def hot(self, size: int, against: tuple, connections: int = 32,
            length: int = -1, **options) -> Row:
        """Requests a second, by wrk. length: of a body; -1: the object's."""
        path = self.sides.warm(size)

        def load(port, at):
            return lambda: wrk(port, at, connections, self.seconds,
                               size if length < 0 else length, **options)

        return Row(self, "/s").measure({
            name: load(self.port("static" if name == "none" else name),
                       "/none" if name == "none" else path)
            for name in ("sprox", *self.sides.known(*against))})

    def cold(self, size: int, value, write: bool = False, **options) -> Row:
        """
        Seconds, of an object that was not read before. write: beside them,
        what the disk alone takes.
        """
        def load(port):
            return lambda: value(Read(port, self.sides.key(size), **options))

        row = Row(self, "s")
        sides = {name: load(self.port(name))
                 for name in self.sides.known("sprox", "direct", "proxy")}
        if write:
            sides["write"] = row.write
        return row.measure(sides)

    def engine(self, name: str) -> tuple:
        """(Row of the first read, Row of the second, bytes) of an engine."""
        if name not in self._engines:
            first, again = Row(self, "s"), Row(self, "s")
            lake = self.sides.lake
            sides = self.sides.known("sprox", "direct", "proxy") + ["write"]
            more = ["disk", "static"] if name == "duckdb" else []
            for side in self.turns(sides + more):
                prefix = self.sides.fresh() + "/"
                if side == "write":
                    first.take(side, first.write)
                    continue
                if side == "static":
                    lake.read(name, side, prefix)       # its listing
                elif side != "disk":
                    first.take(side, lambda: lake.read(name, side, prefix))
                again.take(side, lambda: lake.read(name, side, prefix))
            self._engines[name] = first, again, statistics.median(
                notes["bytes"] for notes in first.notes["direct"])
        return self._engines[name]


def processors_busy(seconds: float) -> float:
    """The part of all processors' time that was used meanwhile."""
    def look():
        numbers = [int(word) for word in
                   Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]    # idle, and for disks

    total, idle = look()
    time.sleep(seconds)
    total, idle = look()[0] - total, look()[1] - idle
    return 1 - idle / total if total else 0.0


def show_rate(value: float) -> str:
    return f"{value / 1000:.1f} k/s" if value >= 10000 else f"{value:.0f} /s"


def show_time(value: float) -> str:
    if value < 0.001:
        return f"{value * 1e6:.0f} us"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def show_memory(value: float) -> str:
    return f"{value / MIB:.1f} MiB"


def show_keys(value: float) -> str:
    return f"{value * 1e6:.2f} us"


SHOW = {"/s": show_rate, "s": show_time, "B": show_memory,
        "s/key": show_keys, "B/key": lambda value: f"{value:.1f} B"}
LINE = "{:<14}{:>11}{:>8}   {:<20}{}"


def spread(values: list) -> str:
    middle = statistics.median(values)
    far = max(abs(v - middle) for v in values)
    return f"±{100 * far / middle:.0f}%" if middle else ""


def show(title: str, bar: str, row: Row, unit: int) -> None:
    """unit: bytes that were wanted; 0: what the origin did is not told."""
    busy = statistics.mean(row.busy)
    print(title + f"  [{bar}]" * bool(bar)
          + f"  others: {100 * busy:.0f}%" * (busy > CALM))
    for name, values in row.values.items():
        against = ""
        if name != "sprox" and row.compare:
            ratios = row.ratio(name)
            against = (f"{statistics.median(ratios):.2f} "
                       f"({min(ratios):.2f}-{max(ratios):.2f})")
        asked = row.asked(name, unit) if unit or any(
            n["requests"] for n in row.notes[name]) else ""
        middle = SHOW[row.unit](statistics.median(values))
        print(LINE.format("    " + name, middle, spread(values), against,
                          asked).rstrip())
    sys.stdout.flush()


# the rows: each returns its measurements, and the bytes that were wanted

@row("hot-4k", "GET 4 KiB, cached", ">= 0.85 of static")
def hot_4k(b: Bench):
    return b.hot(4 * KIB, ("static", "proxy")), 0


@row("hot-range", "64 KiB range of 128 MiB, cached", ">= 0.85 of static")
def hot_range(b: Bench):
    return b.hot(128 * MIB, ("static", "proxy"),
                 length=64 * KIB,
                 headers=("Range: bytes=70000000-70065535",)), 0


@row("hot-1m", "GET 1 MiB, cached")
def hot_1m(b: Bench):
    return b.hot(MIB, ("static", "proxy")), 0


@row("hot-8m", "GET 8 MiB, cached", ">= 0.95 of static")
def hot_8m(b: Bench):
    return b.hot(8 * MIB, ("static", "proxy"), 8), 0


@row("hot-64m", "GET 64 MiB, cached")
def hot_64m(b: Bench):
    return b.hot(64 * MIB, ("static", "proxy"), 4), 0


@row("head", "HEAD, known", ">= 0.75 of return 200")
def head(b: Bench):
    # of an empty object: wrk waits for the body that a length announces
    script = b.sides.dir / "head.lua"
    script.write_text('wrk.method = "HEAD"\n')
    return b.hot(0, ("none", "static"), script=str(script)), 0


@row("cold-128m", "GET 128 MiB, cold", "<= 0.25 of direct")
def cold_128m(b: Bench):
    return b.cold(128 * MIB, lambda read: read.total, True), 128 * MIB


@row("cold-tail", "last 64 KiB of 128 MiB, cold", "<= 1.2 of direct")
def cold_tail(b: Bench):
    return b.cold(128 * MIB, lambda read: read.total,
                  range="-65536"), 64 * KIB


@row("cold-first", "first byte of 128 MiB, cold", "<= 1.1 of direct")
def cold_first(b: Bench):
    return b.cold(128 * MIB, lambda read: read.first, leave=True), 0


@row("herd", "the slowest of 100 clients, one cold 8 MiB",
     "<= 1.1 of one direct")
def herd(b: Bench):
    known = b.sides.warm(8 * MIB)

    def load(side, path=""):
        path = path or b.sides.key(8 * MIB)
        return crowd(b.port(side), [path] * 100, 8 * MIB)[0]

    sides = {name: lambda name=name: load(name)
             for name in b.sides.known("sprox", "direct", "proxy")}
    sides["one direct"] = lambda: Read(b.port("direct"),
                                       b.sides.key(8 * MIB)).total
    sides["not cold"] = lambda: load("sprox", known)
    return Row(b, "s").measure(sides), 8 * MIB


@row("cold-ranges", "1,000 ranges of 64 KiB in 1 GiB, 32 at once",
     "<= 1.3 of direct, origin <= 8 x")
def cold_ranges(b: Bench):
    chance = random.Random(7)
    wanted = 1000 * 64 * KIB
    row = Row(b, "s")

    def load(side):
        path = b.sides.key(GIB)
        firsts = [chance.randrange(GIB - 64 * KIB) for _ in range(1000)]
        return read_many(b.port(side), [
            (path, f"{first}-{first + 64 * KIB - 1}") for first in firsts],
            32)

    sides = {name: lambda name=name: load(name)
             for name in b.sides.known("sprox", "direct", "proxy")}
    sides["write"] = row.write
    return row.measure(sides), wanted


@row("memory", "worker memory over idle, 1,000 cold reads of 1 GiB at once",
     "<= 64 MiB")
def memory(b: Bench):
    def load(side):
        time.sleep(1)               # what ran before has let go
        idle = b.sides.nginx.rss()
        return crowd(b.port(side), [b.sides.key(GIB) for _ in range(1000)],
                     256 * KIB, b.sides.nginx.rss)[1] - idle

    return Row(b, "B").measure({"sprox": lambda: load("sprox")}, 1), 0


@row("list-1m", "LIST of 1,000,000 keys from the catalog, 1,000 a page; "
     "a key, of all pages", "<= 3 us")
def list_1m(b: Bench):
    listing, count = b.sides.listing, b.sides.keys
    return Row(b, "s/key").measure({
        "sprox": lambda: listing.all_pages() / count,
        "url": lambda: listing.all_pages("&encoding-type=url") / count,
        "files": lambda: listing.all_files() / count}), 0


@row("list-jump", "LIST of 10 common prefixes over 1,000,000 keys", "< 5 ms")
def list_jump(b: Bench):
    return Row(b, "s").measure(
        {"sprox": lambda: b.sides.listing.jump(JUMPS)}), 0


@row("list-load", "the catalog's file of 1,000,000 objects read, alone and "
     "among HEADs; the slowest of these, and of as many after it", "< 2 s")
def list_load(b: Bench):
    row = Row(b, "s", compare=False)
    for _ in range(b.rounds):
        seconds, during, after = [], [], []

        def load():
            for to, value in zip((seconds, during, after),
                                 b.sides.listing.load_and_head()):
                to.append(value)
            return seconds[-1]

        row.take("sprox", b.sides.listing.load)
        row.take("among HEADs", load)
        row.take("HEAD", during.pop)
        row.take("HEAD after", after.pop)
    return row, 0


@row("list-bytes", "the catalog's bytes beside a key, 1,000,000 objects",
     "<= 96 B")
def list_bytes(b: Bench):
    return Row(b, "B/key").measure(
        {"sprox": lambda: b.sides.listing.bytes}, 1), 0


def engine_rows(name: str) -> None:
    @row(name, f"{name}, about 60 MB of Parquet, first read",
         "<= 1.0 of direct, origin <= 2.5 x its bytes")
    def first(b: Bench):
        first, _, wanted = b.engine(name)
        return first, wanted

    @row(name + "-again", f"{name}, the same once more",
         "<= 1.5 of disk" if name == "duckdb" else "")
    def again(b: Bench):
        _, again, wanted = b.engine(name)
        return again, wanted


for name in ENGINES:
    engine_rows(name)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("rows", nargs="*")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--patience", type=int, default=0)
    options.add_argument("--keys", type=int, default=KEYS)
    options = options.parse_args()
    chosen = [name for name in ROWS if not options.rows or any(
        name.startswith(word) for word in options.rows)]
    if not chosen:
        sys.exit("the rows are " + ", ".join(ROWS))

    began = time.monotonic()
    with Sides(options.keys) as sides:
        print(f"nginx {sides.version}, 1 worker, {os.cpu_count()} processors, "
              f"load {os.getloadavg()[0]:.1f} before; the slow origin: "
              f"{LATENCY * 1000:.0f} ms, {RATE / 1e6:.0f} MB/s a connection")
        speed = WRITTEN / sides.write(WRITTEN) / 1e6
        print(f"new files are written at {speed:.0f} MB/s now, which a cold "
              "read waits for: beside some stands `write`, the same bytes "
              "written and no more")
        print(f"median of {options.rounds} rounds, the farthest from it; "
              "sprox / the other side (least-most); the origin's work in one "
              "round")
        if not sides.has_proxy:
            print("this nginx has no slice module: no side `proxy`")
        print(LINE.format("    side", "median", "spread", "sprox / it",
                          "origin"))
        bench = Bench(sides, options.rounds, options.seconds,
                      options.patience)
        for name in chosen:
            title, bar, function = ROWS[name]
            show(f"{name}: {title}", bar, *function(bench))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
