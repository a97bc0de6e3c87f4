"""
A cache whose folder is gone, or whose zone of keys is full: what is read then
passes by. (test_disk.py has the full disk.)
"""

import random

import pytest

from harness.sprox import (FILL, SLICE, error_code, serve, temporary_files,
                           wait_idle)

BIG = 5 * FILL + 1000


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


BODY = blob(BIG)


def break_cache(nginx) -> None:
    """A file in its place: not even root can make files below."""
    # between the two steps there is nothing at all
    nginx.allow_log(r"\[crit\].*cache.* failed "
                    r"\((20: Not a directory|2: No such file or directory)\)")
    (nginx.dir / "cache").rename(nginx.dir / "lost")
    (nginx.dir / "cache").write_bytes(b"")


@pytest.fixture
def sprox(make_nginx, origin):
    origin.put("bucket", "key", BODY)
    return serve(make_nginx, origin.endpoint)


def test_reads_pass_by(origin, sprox):
    break_cache(sprox)
    with sprox.client() as client:
        for header, want in [
                (None, BODY), ("bytes=70000-80000", BODY[70000:80001]),
                ("bytes=-70000", BODY[-70000:]), ("bytes=9-", BODY[9:])]:
            for _ in range(2):
                response = client.request("GET", "/bucket/key", {
                    "Range": header} if header else {})
                assert response.body == want
                assert response.status == (206 if header else 200)
        response = client.request("GET", "/bucket/none")
        assert (response.status, error_code(response)) == (404, "NoSuchKey")
    wait_idle(sprox)


def test_many_read_what_cannot_be_kept(origin, sprox):
    break_cache(sprox)
    gate = origin.hold(key="key", nth=1)
    clients = [sprox.client() for _ in range(5)]
    for client in clients:
        client.send("GET", "/bucket/key")
    gate.wait()
    gate.open()
    for client in clients:
        assert client.read().body == BODY
        client.close()


@pytest.mark.parametrize("header", [None, "bytes=1000-", "bytes=5-1200000"])
def test_broken_in_the_middle_of_a_response(origin, sprox, header):
    """What was sent is of the cache, the rest of the same version passes by."""
    first = int(header[6:].split("-")[0]) if header else 0
    last = int((header or "bytes=0-")[6:].split("-")[1] or BIG - 1)
    gate = origin.hold(key="key", gate_after=SLICE + 100, nth=1)
    with sprox.client() as client:
        client.send("GET", "/bucket/key", {"Range": header} if header else {})
        gate.wait()
        assert client.read_head()[0] == (206 if header else 200)
        body = client.reader.exactly(SLICE // 2)
        break_cache(sprox)
        gate.open()
        body += client.reader.exactly(last + 1 - first - SLICE // 2)
        assert body == BODY[first:last + 1]
        # and the connection goes on
        assert client.request("HEAD", "/bucket/key").status == 200
    assert all("if-match" in e.headers
               for e in origin.requests(method="GET")[1:])


def test_full_zone_of_keys(make_nginx, origin):
    """More slices in flight than the zone of the cache has room for."""
    nginx = serve(make_nginx, origin.endpoint, keys="32k")
    nginx.allow_log("could not allocate node in cache keys zone"
                    "|ignore long locked inactive cache entry")
    number = 400
    for n in range(number):
        origin.put("bucket", f"k{n}", blob(100, n))
    gate = origin.hold(gate_after=50)
    clients = [nginx.client() for _ in range(number)]
    for n, client in enumerate(clients):
        client.send("GET", f"/bucket/k{n}")
    gate.wait(number, 30)
    gate.open()
    for n, client in enumerate(clients):
        response = client.read()
        assert (response.status, response.body) == (200, blob(100, n))
        client.close()
    wait_idle(nginx)
    assert not temporary_files(nginx)
    for n in range(number):
        assert nginx.get(f"/bucket/k{n}").body == blob(100, n)
