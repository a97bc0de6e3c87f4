"""
What a client sees of an origin that breaks the rules: the right bytes, an S3
error or a short close, never wrong bytes, neither now nor out of the cache
later.
"""

import random
import re
import time

import pytest

from harness.patience import SLOWER, until
from harness.sprox import error_code, serve, wait_idle
from harness.wire import Closed

SIZE = 400_000                          # seven slices, the last one short
BODY = random.Random(3).randbytes(SIZE)


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(...): an nginx over one object."""
    def make(**words):
        origin.put("bucket", "k", BODY)
        return serve(make_nginx, origin.endpoint, **{"fill": "128k", **words})

    return make


def check(nginx, key: str = "k", body: bytes = BODY) -> None:
    response = nginx.get(f"/bucket/{key}")
    assert (response.status, response.complete) == (200, True), response
    assert response.body == body


def errors(nginx, text: str) -> list:
    return [line for line in nginx.log().splitlines()
            if "[error]" in line and text in line]


FAULTS = {
    "short body": {"truncate": 100_000},
    "empty body": {"truncate": 0},
    "reset": {"reset": 70_000},
    "reset at once": {"reset": 0},
    "too long": {"extra": b"EXTRA" * 100},
    "length too large": {"content_length": SIZE + 5000, "close": True},
    "length too small": {"content_length": 1000},
    "negative length": {"headers": {"Content-Length": "-5"}},
    "length no number": {"headers": {"Content-Length": "12x"}},
    "huge length": {"headers": {"Content-Length": "9" * 30}},
    "wrong range": {"headers": {
        "Content-Range": f"bytes 10-131081/{SIZE}"}},
    "range without total": {"headers": {"Content-Range": "bytes 0-131071/*"}},
    "range no range": {"headers": {"Content-Range": "lines 1-2"}},
    "no range": {"drop": ("Content-Range",)},
    "no length": {"drop": ("Content-Length",), "headers": {"X": "y"}},
    "200 for a range": {"ignore_range": True},
    "204": {"status": 204},
    "206 of nothing": {"status": 206, "body": b"", "drop": ()},
    "304 unasked": {"status": 304},
    "status line": {"raw": b"SMTP 220 hello\r\n\r\n"},
    "status number": {"raw": b"HTTP/1.1 099 Odd\r\n\r\n"},
    "status 999": {"raw": b"HTTP/1.1 999 Odd\r\n\r\n"},
    "101": {"raw": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"},
    "endless 100": {"raw": b"HTTP/1.1 100 Continue\r\n\r\n" * 5000},
    "bad header": {"raw": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"},
    "NUL in header": {"raw": b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"},
    "two lengths": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                    b"Content-Length: 4\r\n\r\nabcd"},
    "length and chunks": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    "bad chunk": {"raw": b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"},
    "gzip": {"headers": {"Transfer-Encoding": "gzip"}},
    "huge headers": {"huge_headers": 60_000},
    "large headers": {"huge_headers": 12_000},
    "nothing": {"raw": b""},
    "half a header": {"raw": b"HTTP/1.1 200 OK\r\nContent-Len"},
    "stall before the header": {"delay": 2.5},
    "500": {"status": 500, "code": "InternalError"},
    "HTML": {"status": 502, "body": b"<html>Bad Gateway</html>"},
    "503 without a document": {"status": 503, "body": b""},
}
RANGES = {"whole": (None, 0, SIZE), "begin": ("bytes=0-99", 0, 100),
          "middle": ("bytes=200000-300000", 200_000, 300_001),
          "end": ("bytes=-1000", SIZE - 1000, SIZE)}


def right(response, where: str) -> None:
    """The bytes asked for, an error, or less."""
    header, start, end = RANGES[where]
    want = BODY[start:end]
    if response.status in (200, 206):
        assert response.status == (206 if header else 200)
        assert int(response["content-length"]) == len(want)
        assert want.startswith(response.body), "wrong bytes"
        assert response.complete == (response.body == want)
    else:
        assert response.status >= 400, response
        assert error_code(response)


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(sprox, origin, fault, retries):
    stalls = "stall" in fault
    nginx = sprox(retries=retries, origin_more="read_timeout "
                  f"{'1s' if stalls else '10s'};")

    places = ["whole"] if stalls else RANGES                # those take time

    for known in (False, True):
        for where in places:
            header = RANGES[where][0]
            key = f"{where}-{known}"
            origin.put("bucket", key, BODY)
            headers = {"Range": header} if header else {}
            if known:
                nginx.head(f"/bucket/{key}")
            origin.script(key=key, method="GET", **FAULTS[fault],
                          times=2 if retries else 1)
            right(nginx.get(f"/bucket/{key}", headers), where)
            origin.clear_script()

            # the fault is over: all is right at once, and stays
            if fault == "304 unasked":
                continue
            for _ in range(2):
                response = nginx.get(f"/bucket/{key}")
                assert response.status == 200 and response.body == BODY, fault
    origin.drop_connections()


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_cut_everywhere(sprox, origin, cache):
    """No part of a slice ends as a whole one."""
    nginx = sprox(valid="0", cache=cache)
    for cut in (0, 1, 65535, 65536, 65537, 131071, 131072, 399_999):
        key = f"cut{cut}"
        origin.put("bucket", key, BODY)
        origin.script(key=key, truncate=cut)
        try:
            response = nginx.get(f"/bucket/{key}")
        except Closed:
            assert cut == 0
            response = None
        if response is None:
            pass
        elif response.status == 200:
            assert BODY.startswith(response.body)
            assert response.complete == (len(response.body) == SIZE)
            # where whole slices came, the next request goes on behind them
            assert cut < 65536 or cache == "off" or response.complete \
                or len(response.body) >= 65536
        else:
            assert response.status == 502
        origin.clear_script()
        check(nginx, key)
        origin.journal.wait_idle()
        origin.journal.clear()
        check(nginx, key)
        assert [e.status for e in origin.requests()] \
            == ([304] if cache == "nvme" else [200])


@pytest.mark.parametrize("after", [0, 1, 65536, 100_000])
def test_stalls(sprox, origin, after):
    nginx = sprox(origin_more="read_timeout 300ms;")
    gate = origin.hold(gate_after=after, nth=1)
    began = time.monotonic()
    response = nginx.get("/bucket/k")
    assert time.monotonic() - began < 5 * SLOWER
    right(response, "whole")
    gate.open()
    origin.clear_script()
    check(nginx)
    assert errors(nginx, "stalled") or errors(nginx, "no answer came in time")


def test_a_slow_origin_is_not_stalled(sprox, origin):
    nginx = sprox(origin_more="read_timeout 1s;")
    origin.rate = SIZE // 2
    check(nginx)
    assert errors(nginx, "sprox") == []


def test_the_object_changes_between_tries(sprox, origin):
    """What came of the first version is not continued with the second."""
    other = random.Random(4).randbytes(SIZE)
    nginx = sprox(retries=1)

    def replace(entry):
        origin.put("bucket", "k", other)

    origin.script(truncate=70_000, nth=1)
    origin.script(nth=2, before=replace)
    response = nginx.get("/bucket/k")
    assert response.status == 200
    if response.complete:
        assert response.body in (BODY, other)
    else:
        assert BODY.startswith(response.body) \
            or other.startswith(response.body)
    check(nginx, body=other)


def test_the_object_changes_under_a_read(sprox, origin):
    other = random.Random(5).randbytes(SIZE)
    nginx = sprox(retries=1, fill="64k")
    origin.script(nth=3, before=lambda entry: origin.put("bucket", "k", other))
    response = nginx.get("/bucket/k")
    assert response.status == 200 and not response.complete
    assert BODY.startswith(response.body) and response.body
    check(nginx, body=other)


def test_no_leak(sprox, origin):
    """Descriptors and connections after a hundred failures."""
    nginx = sprox(origin_more="read_timeout 200ms; keepalive 4;")
    faults = [{"truncate": 1000}, {"reset": 10}, {"raw": b"x"}, {"status": 500},
              {"raw": b""}]
    origin.put("bucket", "a", b"a")
    check(nginx, "a", b"a")
    before = len(nginx.fds())
    for i in range(100):
        origin.script(key="k", times=1, **faults[i % len(faults)])
        nginx.get("/bucket/k", {"Range": f"bytes={i * 4000}-"})
    until(lambda: len(nginx.fds()) <= before + 4, 10, nginx.fds)
    wait_idle(nginx)
