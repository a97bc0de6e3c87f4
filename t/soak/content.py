"""
What is in the soak's objects, and when: the bytes of each version follow from
its name, and a table in memory that all processes share tells which version
there was at which time.

The bytes repeat with a period that is a prime, each version begins at a place
of its own in it: bytes of another version, or of another offset, differ.
"""

import mmap
import random
import struct
import threading
import time
import zlib
from dataclasses import dataclass

PERIOD = 1048573                # a prime
PIECE = 1 << 18                 # the most that is compared at once
KIB, MIB = 1 << 10, 1 << 20

SIZES = (0, 1, 100, 4 * KIB, 65535, 65536, 65537, 200_000, 256 * KIB, 511_999,
         MIB, MIB + 1, 2 * MIB, 3 * MIB + 7, 5 * MIB, 8 * MIB, 20 * MIB,
         64 * MIB)
NAMES = ("a/plain", "a/with space", "b/c/plus+and%25/x", "b/c/d/\u00e9t\u00e9",
         "b//c/x", "b/q?=&#'\"", "z")

BUCKET = "soak-data"            # tags that are strong
ODD = "soak-odd"                # weak ones, and none
SECURE = "soak-secure"          # over TLS
PART = 700_000                  # objects of more have parts of this size


@dataclass(frozen=True)
class Key:
    number: int
    bucket: str
    name: str
    top: int                    # no version is larger
    tag: str = "strong"         # "weak", "none"


def make_keys(largest: int = 64 * MIB) -> list:
    keys = []
    for copy in range(3):
        for number, top in enumerate(s for s in SIZES if s <= largest):
            if copy and top > 8 * MIB:
                continue
            name = NAMES[number % len(NAMES)]
            keys.append(Key(len(keys), BUCKET, f"{name}-{copy}-{number:02}",
                            top))
    for top in (0, 1000, 65536, 300_000, MIB, 5 * MIB):
        keys.append(Key(len(keys), SECURE, f"secure/{top}", top))
    for tag in ("weak", "none"):
        for top in (100, 65537, 300_000, 3 * MIB):
            keys.append(Key(len(keys), ODD, f"odd/{tag}-{top}", top, tag))
    return keys


@dataclass(frozen=True)
class Version:
    """What a key's bytes were at one time: number 0 is none at all."""
    key: int
    number: int
    size: int
    modified: int

    @property
    def name(self) -> str:
        return f"k{self.key}-v{self.number}-s{self.size}"

    @property
    def parts(self) -> tuple:
        """The sizes of its parts, if it was uploaded in any."""
        if self.size <= PART:
            return ()
        whole, rest = divmod(self.size, PART)
        return (PART,) * whole + (rest,) * bool(rest)

    @property
    def place(self) -> int:
        return zlib.crc32(self.name.encode()) * 7919 % PERIOD


class Bytes:
    def __init__(self, seed: int):
        block = random.Random(seed).randbytes(PERIOD)
        self.block = block
        self.long = block + block[:PIECE]

    def whole(self, version: Version) -> bytes:
        at = version.place
        turned = self.block[at:] + self.block[:at]
        return (turned * (version.size // PERIOD + 1))[:version.size]

    def right(self, version: Version, offset: int, data: bytes) -> bool:
        """Whether these are the version's bytes at the offset."""
        for start in range(0, len(data), PIECE):
            part = data[start:start + PIECE]
            at = (version.place + offset + start) % PERIOD
            if part != self.long[at:at + len(part)]:
                return False
        return True

    def explain(self, version: Version, offset: int, data: bytes,
                versions: list) -> str:
        """Whose bytes they are, if anybody's, for a finding."""
        bad = 0
        while self.right(version, offset + bad, data[bad:bad + 1]):
            step = 1 << 16
            while step and not self.right(version, offset + bad,
                                          data[bad:bad + step]):
                step //= 2
            bad += step or 1
        found = []
        place = self.long.find(data[bad:bad + 32])
        if place >= 0 and len(data) - bad >= 16:
            for other in [version] + versions:
                distance = (place - other.place - offset - bad) % PERIOD
                if distance == 0:
                    found.append(f"bytes of {other.name} at that offset")
                elif distance % 4096 == 0 or PERIOD - distance < 1 << 20:
                    found.append(f"perhaps of {other.name}, "
                                 f"{distance} or {distance - PERIOD} away")
        return (f"wrong from byte {offset + bad} on: "
                f"{data[bad:bad + 32].hex()}; "
                + ("; ".join(found[:3]) or "nobody's bytes"))


class History:
    """
    Which version there was when: records in memory that is shared over forks.
    One process writes; the others read what is new.
    """
    RECORD = struct.Struct("<dIIQQ")
    LIMIT = 400_000

    def __init__(self, keys: int):
        self._adding = threading.Lock()
        self._memory = mmap.mmap(-1, 8 + self.LIMIT * self.RECORD.size)
        self._read = 0
        self._keys = [[] for _ in range(keys)]     # (since, Version)

    def add(self, version: Version) -> None:
        """Under the lock that makes the change visible."""
        with self._adding:
            count = self.count
            if count == self.LIMIT:
                raise RuntimeError("too long a soak: the history is full")
            self.RECORD.pack_into(
                self._memory, 8 + count * self.RECORD.size, time.monotonic(),
                version.key, version.number, version.size, version.modified)
            struct.pack_into("<Q", self._memory, 0, count + 1)

    @property
    def count(self) -> int:
        return struct.unpack_from("<Q", self._memory)[0]

    def of(self, key: int) -> list:
        """(since, Version) of a key, up to now."""
        count = self.count
        while self._read < count:
            since, number, *rest = self.RECORD.unpack_from(
                self._memory, 8 + self._read * self.RECORD.size)
            self._keys[number].append((since, Version(number, *rest)))
            self._read += 1
        return self._keys[key]

    def find(self, key: int, name: str):
        """The version of that name, or None."""
        for _, version in reversed(self.of(key)):
            if version.number and version.name == name:
                return version
        return None

    def modified(self, key: int, name: str) -> set:
        """When it was put: more than once, if it was put back."""
        return {v.modified for _, v in self.of(key) if v.name == name}

    def age(self, key: int, version, start: float, end: float):
        """
        How stale the version was: 0 when it was there at some time from start
        to end, else how long before start it was the last time; None: never.
        version None: absence.
        """
        records, until = self.of(key), float("inf")
        for since, other in reversed(records):
            if since <= end and (other.number == 0 if version is None
                                 else other.name == version.name):
                return max(0.0, start - until)
            until = since
        return None

    def sizes(self, key: int, start: float, end: float) -> set:
        """Of the versions that there were in that time."""
        found, until = set(), float("inf")
        for since, version in reversed(self.of(key)):
            if since <= end and until >= start and version.number:
                found.add(version.size)
            until = since
        return found
