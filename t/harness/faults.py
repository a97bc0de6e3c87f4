"""What a test makes the scripted origin do wrong, or slowly, or at its word."""

import threading
from dataclasses import dataclass, field
from typing import Callable, Optional

from .journal import Entry, matches
from .patience import SLOWER


class Gate:
    """
    Holds responses until the test opens it:

        gate = origin.hold(key="a")         # before the header
        ... start a read ...
        gate.wait()                         # the origin is held now
        gate.open()
    """

    def __init__(self):
        self._opened = threading.Event()
        self._held = 0
        self._changed = threading.Condition()

    def hold(self) -> None:
        with self._changed:
            self._held += 1
            self._changed.notify_all()
        self._opened.wait()

    def wait(self, number: int = 1, timeout: float = 10) -> None:
        """Until so many responses have come to the gate."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held >= number,
                                          timeout * SLOWER):
                raise AssertionError(f"{self._held} of {number} at the gate "
                                     f"in {timeout * SLOWER} s")

    def open(self) -> None:
        self._opened.set()


@dataclass
class Rule:
    """
    Which requests, and what happens to them. The first rule that takes a
    request decides; key and query may be compiled patterns.
    """
    match: dict = field(default_factory=dict)
    nth: Optional[int] = None       # only the nth that matches (from 1)
    times: Optional[int] = None     # no more than so many

    # instead of the object's answer
    status: Optional[int] = None
    code: str = ""                  # S3's error code, for an XML body
    message: str = ""
    body: Optional[bytes] = None
    headers: dict = field(default_factory=dict)     # added, or replaced
    drop: tuple = ()                # headers that are left out

    # before the header
    delay: float = 0
    gate: Optional[Gate] = None
    gate_after: Optional[int] = None    # ... body bytes; None: before the header
    before: Optional[Callable] = None   # called with the entry (say, to replace
                                        # the object), before it is looked up
    interim: bytes = b""            # such as b"HTTP/1.1 103 Early Hints\r\n\r\n"
    raw: Optional[bytes] = None     # sent instead of any response, then closed

    # the header's lies
    ignore_range: bool = False      # 200 and the whole object
    content_length: Optional[int] = None
    chunked: bool = False
    huge_headers: int = 0           # so many bytes of them

    # the body
    truncate: Optional[int] = None  # close after so many bytes
    reset: Optional[int] = None     # RST after so many bytes
    extra: bytes = b""              # after the announced end
    rate: Optional[float] = None    # bytes a second
    close: bool = False             # the connection, after the response

    seen: int = 0
    used: int = 0

    def takes(self, entry: Entry) -> bool:
        """Called under the origin's lock; counts."""
        if not matches(entry, self.match):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.times is not None and self.used >= self.times:
            return False
        self.used += 1
        return True


RULE_FIELDS = set(Rule.__dataclass_fields__) - {"match", "seen", "used"}


def make_rule(**options) -> Rule:
    """
    Options that are not a rule's own name attributes of a journal entry
    (method, bucket, key, operation, path, query). A key or query that is a
    str is compared as a whole.
    """
    own = {n: v for n, v in options.items() if n in RULE_FIELDS}
    match = {n: v for n, v in options.items() if n not in RULE_FIELDS}
    unknown = set(match) - set(Entry.__dataclass_fields__) - {"range", "signed"}
    if unknown:
        raise TypeError(f"no such thing to match or to do: {unknown}")
    return Rule(match=match, **own)


