"""
The soak's origin: the scripted one, whose objects change all the time and
which fails by chance.
"""

import random
import threading
import time
from collections import Counter

from harness.faults import Rule
from harness.origin import NO_FAULT, Hangup, Origin

from .content import SECURE, Bytes, History, Version

# how long the origin's ways last, and how often it fails in them
WAYS = ((5, 0.03), (3, 0.0), (4, 0.12), (1.5, 0.5), (2, 0.9))
STALL = 4.0                     # longer than sprox waits
LOOK = 0.2                      # how often the parts look what they are to do


class Pause:
    """A gate that opens by itself."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def hold(self) -> None:
        time.sleep(self.seconds)


class SoakOrigin(Origin):
    def __init__(self, keys: list, history: History, seed: int, state,
                 counters, port: int, tls=None):
        super().__init__(port=port, tls=tls)
        self.objects, self.history, self.state = keys, history, state
        self.counters = counters
        self.bytes = Bytes(seed)
        self.chance = random.Random(f"{seed}-faults-{bool(tls)}")
        self.change = random.Random(f"{seed}-changes-{bool(tls)}")
        self.latest = Counter()
        self.fault_rate = 0.0
        self.by_name = {(k.bucket, k.name): k for k in keys}
        self._chance_lock = threading.Lock()
        for key in keys:
            self.renew(key)

    # objects

    def renew(self, key) -> None:
        """Another version, of the same size or not."""
        old = self.history.of(key.number)
        size = key.top
        if old and old[-1][1].number and self.change.random() < 0.6:
            size = old[-1][1].size
        elif old:
            size = self.change.choice([key.top, key.top // 2,
                                       self.change.randint(0, key.top)])
        self.latest[key.number] += 1
        self.place(key, Version(key.number, self.latest[key.number], size,
                                int(time.time())))

    def place(self, key, version: Version) -> None:
        body = self.bytes.whole(version)
        tag = f'"{version.name}"'
        with self._lock:
            version = Version(key.number, version.number, version.size,
                              int(time.time()))
            self.history.add(version)
            self.put(key.bucket, key.name, body,
                     etag="W/" + tag if key.tag == "weak" else tag,
                     modified=version.modified, parts=version.parts,
                     content_type="application/x-soak",
                     meta={"version": version.name})

    def put_back(self, key) -> None:
        old = [v for _, v in self.history.of(key.number) if v.number]
        self.place(key, self.change.choice(old[-4:]))

    def remove(self, key) -> None:
        with self._lock:
            self.history.add(Version(key.number, 0, 0, 0))
            self.delete(key.bucket, key.name)

    def mend(self) -> None:
        """All is there again."""
        for key in self.objects:
            if not self.history.of(key.number)[-1][1].number:
                self.renew(key)

    def changes(self) -> None:
        while True:
            time.sleep(self.change.expovariate(len(self.objects) / 4))
            if not self.state.changing:
                self.mend()
                while not self.state.changing:
                    time.sleep(LOOK)
            key = self.change.choice(self.objects)
            if key.top > 8 << 20 and self.change.random() < 0.7:
                continue
            roll = self.change.random()
            if roll < 0.04:
                self.remove(key)
            elif roll < 0.10:
                self.put_back(key)
            else:
                self.renew(key)
            self.counters["changes"].value += 1

    # faults

    def weather(self) -> None:
        """Good times, bad times, and none at all."""
        while True:
            seconds, self.fault_rate = self.chance.choice(WAYS)
            out = self.chance.random() < 0.07
            if not self.state.faulty:
                self.fault_rate, out = 0.0, False
                seconds = LOOK
            if out:
                self.counters["outages"].value += 1
                self.stop()
                time.sleep(self.chance.uniform(0.2, 1.5))
                self.start()
            until = time.monotonic() + seconds
            while time.monotonic() < until and self.state.faulty:
                time.sleep(LOOK)
            self.journal.clear()

    def _rule(self, entry) -> Rule:
        with self._chance_lock:
            if not self.state.faulty \
                    or self.chance.random() >= self.fault_rate:
                return NO_FAULT
            self.counters["faults"].value += 1
            kind = self.chance.choice(FAULTS)
            rule = kind(self.chance)
            # what could not be told from the truth, or from sprox's own error
            if rule.status == 412 and "if-match" not in entry.headers \
                    or rule.status == 416 and "range" not in entry.headers \
                    or rule.status == 500 and entry.method == "HEAD" \
                    or rule.status == 304 and (
                        "if-none-match" in entry.headers
                        or "if-modified-since" in entry.headers):
                return NO_FAULT
            rule.lie = getattr(kind, "lie", None)
            return rule

    def _answer(self, entry, rule: Rule):
        lie = getattr(rule, "lie", None)
        if lie == "if-match":
            # replaced, and who asked is not told: the ETag says it
            held = {n: entry.headers.pop(n) for n in
                    ("if-match", "if-unmodified-since")
                    if n in entry.headers}
            answer = super()._answer(entry, rule)
            entry.headers.update(held)
        elif lie == "shifted" and entry.headers.get("range", "")[6:7].isdigit():
            # another range, and it says so
            asked = entry.headers["range"]
            first, _, last = asked[6:].partition("-")
            entry.headers["range"] = f"bytes={int(first) + 4096}-{last}"
            answer = super()._answer(entry, rule)
            entry.headers["range"] = asked
            if answer.status == 416:
                answer = super()._answer(entry, rule)
        else:
            answer = super()._answer(entry, rule)
        if lie == "no content-range":
            answer.headers = [(n, v) for n, v in answer.headers
                              if n != "Content-Range"]
        key = self.by_name.get((entry.bucket, entry.key))
        if key and key.tag == "none":
            answer.headers = [(n, v) for n, v in answer.headers if n != "ETag"]
        return answer

    def _one(self, sock, reader, number: int) -> bool:
        if not super()._one(sock, reader, number):
            return False
        if self.state.faulty and self.fault_rate:
            with self._chance_lock:
                if self.chance.random() < 0.02:
                    raise Hangup()      # a kept connection that is closed
        return True


# what may happen to a request

def refused(status: int, code: str, **headers):
    def rule(chance) -> Rule:
        return Rule(status=status, code=code, headers={
            n.replace("_", "-"): v for n, v in headers.items()})
    return rule


def somewhere(chance) -> int:
    return int(chance.choice((0, 1, 1000, 70_000, chance.uniform(0, 1 << 22))))


def reset(chance) -> Rule:
    return Rule(reset=somewhere(chance))


def truncate(chance) -> Rule:
    return Rule(truncate=somewhere(chance))


def truncate_chunked(chance) -> Rule:
    return Rule(truncate=somewhere(chance), chunked=True)


def chunked(chance) -> Rule:
    return Rule(chunked=True)


def silent(chance) -> Rule:
    return Rule(gate=Pause(STALL))


def stall(chance) -> Rule:
    return Rule(gate=Pause(STALL), gate_after=somewhere(chance))


def late(chance) -> Rule:
    return Rule(delay=chance.uniform(0.01, 0.4))


def slow(chance) -> Rule:
    return Rule(rate=chance.choice((1, 4, 16)) * 1e6)


def garbage(chance) -> Rule:
    return Rule(raw=chance.choice((b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n",
                                   b"HTTP/1.1 200 OK\r\nContent-Le",
                                   b"HTTP/1.1 999999 No\r\n\r\n")))


def huge(chance) -> Rule:
    return Rule(huge_headers=40_000)


def surplus(chance) -> Rule:
    # no answer to anything: one that were could not be told from a true one
    # when it comes after the next request
    return Rule(extra=b"surplus" * 10)


def no_ranges(chance) -> Rule:
    return Rule(ignore_range=True)


def close(chance) -> Rule:
    return Rule(close=True)


def told(lie: str):
    def rule(chance) -> Rule:
        return Rule()
    rule.lie = lie
    return rule


FAULTS = (
    reset, reset, truncate, truncate, truncate_chunked, chunked, silent,
    stall, late, late, late, slow, slow, garbage, huge, surplus, no_ranges,
    close, close,
    refused(503, "SlowDown"), refused(503, "SlowDown", Retry_After="1"),
    refused(500, "InternalError"), refused(502, "BadGateway"),
    refused(504, "GatewayTimeout"), refused(429, "SlowDown"),
    refused(412, "PreconditionFailed"), refused(416, "InvalidRange"),
    refused(304, ""),
    told("if-match"), told("shifted"), told("no content-range"),
)


def run(keys: list, history: History, seed: int, state, counters,
        ports: tuple, tls) -> None:
    """The process of the origins, until it is killed."""
    plain, secure = (
        SoakOrigin([k for k in keys if (k.bucket == SECURE) == bool(cert)],
                   history, seed, state, counters, port, cert)
        for port, cert in zip(ports, (None, tls)))
    for origin in plain, secure:
        threading.Thread(target=origin.changes, daemon=True).start()
    threading.Thread(target=secure.weather, daemon=True).start()
    plain.weather()
