"""Pages of listings that the cache keeps: how long, and what spoils them."""

from pathlib import Path

import pytest

from harness.listing import Lister, expected
from harness.patience import until
from test_list import KEYS, lists, put, sprox                # noqa: F401


def test_cached_pages_cost_nothing(sprox, origin):
    put(origin, "bucket", KEYS)
    nginx = sprox(list="cached 5m", workers=2)
    first = [Lister(nginx.port, "bucket").all(max_keys=3) for _ in range(2)]
    number = lists(origin)
    assert number == len(range(0, len(KEYS), 3))
    put(origin, "bucket", ["new"])
    for _ in range(4):                  # whichever worker answers
        assert Lister(nginx.port, "bucket").all(max_keys=3) == first[0]
    assert lists(origin) == number


def test_cached_pages_expire(sprox, origin):
    put(origin, "bucket", ["a"])
    nginx = sprox(list="cached 1s")
    lister = Lister(nginx.port, "bucket")
    assert lister.all() == ["a"]
    put(origin, "bucket", ["b"])
    until(lambda: lister.all() == ["a", "b"])
    first, second = origin.requests(operation="ListObjectsV2")[:2]
    # kept, and not for ever
    assert 0.9 <= second.started - first.started < 30
    lister.close()


def page_files(nginx) -> list:
    return [path for path in Path(nginx.dir, "cache").rglob("*")
            if path.is_file() and b"KEY: sprox-list" in path.read_bytes()]


def test_cached_pages_survive_a_reload(sprox, origin):
    """After a restart each is asked for once: who knows what was purged."""
    put(origin, "bucket", KEYS)
    nginx = sprox(list="cached 5m")
    want = Lister(nginx.port, "bucket").all(max_keys=4)
    number = lists(origin)
    assert len(page_files(nginx)) == number
    nginx.reload(wait_old=True)
    assert Lister(nginx.port, "bucket").all(max_keys=4) == want
    assert lists(origin) == number
    nginx.restart()
    for _ in range(2):
        assert Lister(nginx.port, "bucket").all(max_keys=4) == want
    assert lists(origin) == 2 * number
    assert len(page_files(nginx)) == number


DAMAGES = {
    "empty": lambda data: b"",
    "head": lambda data: data[:100],
    "half": lambda data: data[:len(data) * 3 // 4],
    "last byte": lambda data: data[:-1],
    "no XML": lambda data: data[:-200] + b"\0" * 200,
    "other XML": lambda data: data[:data.index(b"<?xml")]
    + b"<?xml version='1.0'?><a/>",
    "longer": lambda data: data + b"<more/>",
    "key": lambda data: data.replace(b"<Key>c<", b"<Kex>c<"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_page_is_fetched_again(sprox, origin, kind):
    put(origin, "bucket", KEYS)
    nginx = sprox(list="cached 5m")
    nginx.allow_log("cache file .* (is too small|has .* long header"
                    "|has md5 collision)")
    want = Lister(nginx.port, "bucket").all()
    path, = page_files(nginx)
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    assert Lister(nginx.port, "bucket").all() == want
    assert lists(origin) == 2
    assert Lister(nginx.port, "bucket").all() == want
    assert lists(origin) == 2           # kept again


def test_errors_are_not_kept(sprox, origin):
    put(origin, "bucket", ["a"])
    nginx = sprox(list="cached 5m")
    origin.script(status=503, code="SlowDown", times=1)
    response = nginx.get("/bucket?list-type=2")
    assert response.status == 503 and "<Code>SlowDown</Code>" in response.text
    for body in (b"", b"<ListBucketResult>", b"no xml", b"<Error/>",
                 b"<ListBucketResult><IsTruncated>true</IsTruncated>"
                 b"</ListBucketResult>", b"<!DOCTYPE a><ListBucketResult/>"):
        origin.script(status=200, body=body, times=1)
        response = nginx.get("/bucket?list-type=2")
        assert response.status == 502, body
        assert "<Code>BadGateway</Code>" in response.text
    origin.script(truncate=100, times=1)
    assert nginx.get("/bucket?list-type=2").status == 502
    assert page_files(nginx) == []
    assert Lister(nginx.port, "bucket").all() == ["a"]


def test_a_client_that_leaves(sprox, origin):
    put(origin, "bucket", KEYS)
    nginx = sprox(list="cached 5m")
    gate = origin.hold(operation="ListObjectsV2")
    with nginx.client() as client:
        client.send("GET", "/bucket?list-type=2")
        gate.wait()
    gate.open()
    origin.journal.wait_idle()
    origin.clear_script()
    assert Lister(nginx.port, "bucket").all() == expected(KEYS)
