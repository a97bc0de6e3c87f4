"""
What an origin was asked. The scripted origin and the recorder in front of a
real store both keep one; what a test says about cost, it says on a journal.
"""

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import unquote_to_bytes

from .patience import SLOWER


@dataclass
class Entry:
    """One request. Header names are in lower case."""
    connection: int
    method: str
    path: str                   # as sent, no query
    query: str                  # as sent
    headers: dict
    bucket: str = ""
    key: str = ""               # decoded; surrogateescape for odd bytes
    operation: str = ""         # S3's name, e.g. GetObject
    status: int = 0             # 0: no response was sent
    body_bytes: int = 0         # of the response's body, as far as sent
    complete: bool = False      # the whole response was sent
    fault: str = ""             # what kept it from being sent
    started: float = field(default_factory=time.monotonic)
    ended: Optional[float] = None

    @property
    def range(self) -> Optional[str]:
        return self.headers.get("range")

    @property
    def signed(self) -> bool:
        return "authorization" in self.headers

    def __str__(self) -> str:
        return (f"{self.method} {self.path}{'?' * bool(self.query)}{self.query}"
                f" {self.range or ''} -> {self.status} {self.body_bytes}"
                f"{' ' * bool(self.fault)}{self.fault}")


class Journal:
    def __init__(self):
        self._changed = threading.Condition()
        self._entries = []

    def add(self, entry: Entry) -> Entry:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()
        return entry

    def end(self, entry: Entry) -> None:
        with self._changed:
            entry.ended = time.monotonic()
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._entries = []

    def requests(self, **match) -> list:
        """
        The requests, in the order of their coming, whose attributes are as
        given; a compiled pattern is searched for: requests(method="GET",
        key=re.compile("^a/")).
        """
        with self._changed:
            entries = list(self._entries)
        return [e for e in entries if matches(e, match)]

    def count(self, **match) -> int:
        return len(self.requests(**match))

    def body_bytes(self, **match) -> int:
        return sum(e.body_bytes for e in self.requests(**match))

    def wait(self, number: int = 1, timeout: float = 10, *,
             ended: bool = False, **match) -> list:
        """Until so many requests have come (or ended); fails when not."""
        def found():
            return [e for e in self._entries
                    if matches(e, match) and (e.ended or not ended)]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= number,
                                          timeout * SLOWER):
                raise AssertionError(
                    f"{len(found())} of {number} requests {match} after "
                    f"{timeout * SLOWER} s; the journal:\n{self}")
            return found()

    def wait_idle(self, timeout: float = 10) -> None:
        """Until no request is being answered."""
        with self._changed:
            if not self._changed.wait_for(
                    lambda: all(e.ended for e in self._entries),
                    timeout * SLOWER):
                raise AssertionError(f"still busy after {timeout * SLOWER} s:"
                                     f"\n{self}")

    def __str__(self) -> str:
        return "\n".join(str(e) for e in self._entries)


def matches(entry: Entry, match: dict) -> bool:
    for name, want in match.items():
        value = getattr(entry, name)
        if isinstance(want, re.Pattern):
            if not want.search(str(value)):
                return False
        elif value != want:
            return False
    return True


def decode(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def parse_query(query: str) -> dict:
    """First value of each parameter, decoded; '' for one without a value."""
    params = {}
    for item in query.split("&"):
        if item:
            name, _, value = item.partition("=")
            params.setdefault(decode(name.replace("+", " ")),
                              decode(value.replace("+", " ")))
    return params


def describe(entry: Entry, domains: tuple = ()) -> None:
    """Fills in bucket, key and operation from the request as it was sent."""
    host = entry.headers.get("host", "").rsplit(":", 1)[0]
    path = entry.path.removeprefix("/")

    for domain in domains:
        if host.endswith("." + domain):
            bucket, key = host.removesuffix("." + domain), path
            break
    else:
        bucket, _, key = path.partition("/")

    entry.bucket, entry.key = decode(bucket), decode(key)
    entry.operation = operation(entry)


def operation(entry: Entry) -> str:
    params = parse_query(entry.query)
    words = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete",
             "POST": "Post"}
    word = words.get(entry.method, entry.method)

    if not entry.bucket:
        return "ListBuckets" if entry.method == "GET" else word
    if entry.key:
        return word + "Object"
    if entry.method != "GET":
        return word + "Bucket"
    if "location" in params:
        return "GetBucketLocation"
    return "ListObjectsV2" if params.get("list-type") == "2" else "ListObjects"
