"""
What reads of objects cost at the origin, and that they stay right when
clients, objects, origins and workers come and go. Cost is asserted on the
origin's journal.
"""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.sprox import (FILL, SLICE, cache_files, cache_keys, error_code,
                           over, serve, temporary_files, wait_idle)
from harness.store import http_date

OLD = 1_700_000_000             # a last-modified that proves a version
MORE = 5 * FILL + 1000
LONG = 16 * FILL                # more than all buffers on its way


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def bytes_sent(store) -> int:
    """Of bodies; what it sends is counted when it was sent."""
    store.journal.wait_idle()
    return store.journal.body_bytes()


@pytest.fixture
def sprox(make_nginx, origin):
    return serve(make_nginx, origin.endpoint)


# cost

def test_an_unknown_object_costs_one_request(origin, sprox):
    body = blob(FILL)
    for header in None, "bytes=0-9", "bytes=-9", "bytes=70000-", "bytes=7-7":
        sprox.request("PURGE", "/bucket/key")
        origin.put("bucket", "key", body)
        origin.journal.clear()
        response = sprox.get("/bucket/key",
                             {"Range": header} if header else {})
        assert response.complete
        assert origin.requests()[0].method == "GET"
        # what a suffix left of its slice follows, with If-Match
        more = [("bytes=196608-262134", True)] if header == "bytes=-9" else []
        wait_idle(sprox)
        assert [(e.range, "if-match" in e.headers)
                for e in origin.requests()[1:]] == more, header


def test_the_second_read_costs_nothing(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    assert sprox.get("/bucket/key").body == body
    assert bytes_sent(origin) == len(body)
    assert origin.count() == 6
    for entry in origin.requests()[1:]:
        assert "if-match" in entry.headers

    origin.stop()
    before = sprox.metrics()
    for header, want in [(None, body), ("bytes=5-", body[5:]),
                         ("bytes=-70000", body[-70000:])]:
        response = sprox.get("/bucket/key",
                             {"Range": header} if header else {})
        assert response.body == want
    assert sprox.head("/bucket/key").status == 200

    after = sprox.metrics()
    for name in "sprox_origin_requests_total", "sprox_origin_bytes_total":
        assert before.sum(name) == after.sum(name) > 0
    assert after.sum("sprox_bytes_total", source="hit") \
        - before.sum("sprox_bytes_total", source="hit") \
        == len(body) + len(body) - 5 + 70000


def test_the_second_read_costs_nothing_at_the_real_store(make_nginx, versity,
                                                         bucket):
    body = blob(MORE)
    versity.put(bucket, {"key": body})
    nginx = over(make_nginx, versity)
    versity.journal.clear()
    assert nginx.get(f"/{bucket}/key").body == body
    assert bytes_sent(versity) == len(body)
    assert all(e.signed for e in versity.journal.requests())
    versity.journal.clear()
    assert nginx.get(f"/{bucket}/key").body == body
    assert nginx.head(f"/{bucket}/key").status == 200
    assert versity.journal.requests() == []


def test_head_teaches_get(origin, sprox):
    body = blob(1000)
    origin.put("bucket", "key", body)
    assert sprox.head("/bucket/key")["Content-Length"] == "1000"
    assert sprox.get("/bucket/key", {"Range": "bytes=-9"}).body == body[-9:]
    assert [(e.method, e.range) for e in origin.requests()] \
        == [("HEAD", None), ("GET", "bytes=0-999")]
    sprox.head("/bucket/key")
    assert origin.count() == 2


def test_a_run_ends_where_the_cache_begins(origin, sprox):
    body = blob(FILL)
    origin.put("bucket", "key", body)
    sprox.get("/bucket/key", {"Range": f"bytes={2 * SLICE}-{2 * SLICE}"})
    sprox.wait(lambda: cache_files(sprox), 5, "to have that slice")
    origin.journal.clear()
    assert sprox.get("/bucket/key").body == body
    assert [e.range for e in origin.requests()] \
        == ["bytes=0-131071", "bytes=196608-262143"]
    lines = sprox_log(sprox, 2)
    assert lines[0][4:7] == ["MISS", "0", "1"]
    assert lines[1][4:7] == ["PARTIAL", str(SLICE), str(FILL - SLICE)]


def sprox_log(nginx, number: int) -> list:
    path = nginx.dir / "sprox.log"
    nginx.wait(lambda: len([line for line in path.read_text().splitlines()
                            if "/metrics" not in line]) >= number, 5,
               f"to log {number} lines")
    return [line.split(" ") for line in path.read_text().splitlines()]


def test_names_of_slices(origin, sprox):
    known = origin.put("bucket", "a key%", blob(SLICE + 1))
    sprox.get("/bucket/a%20key%25")
    wait_idle(sprox)
    etag = known.etag
    assert sorted(cache_keys(sprox)) == [
        f"sprox store bucket a%20key%25 {etag}-65537 65536 {i}"
        for i in range(2)]


# many clients

def test_concurrent_readers_of_a_cold_object(origin, sprox):
    """Each byte is sent once, and nobody waits for the end."""
    body = blob(8 << 20)
    origin.put("bucket", "key", body)
    gate = origin.hold(key="key", gate_after=1000)
    number = 24
    started = threading.Barrier(number + 1, timeout=100)

    def read(_):
        with sprox.client() as client:
            client.send("GET", "/bucket/key")
            assert client.read_head()[0] == 200
            first = client.reader.exactly(1000)
            started.wait()
            return first + client.reader.exactly(len(body) - 1000)

    with ThreadPoolExecutor(number) as pool:
        reads = [pool.submit(read, i) for i in range(number)]
        started.wait()
        gate.open()
        for future in reads:
            assert future.result() == body

    wait_idle(sprox)
    assert bytes_sent(origin) == len(body)
    assert origin.count() == len(body) // FILL


def test_concurrent_readers_of_different_ranges(origin, sprox):
    body = blob(4 << 20)
    origin.put("bucket", "key", body)
    rng = random.Random(7)
    spans = [(a, a + rng.randrange(1, 600_000))
             for a in (rng.randrange(len(body)) for _ in range(60))]

    def read(span):
        first, last = span
        response = sprox.get("/bucket/key",
                             {"Range": f"bytes={first}-{last}"})
        return response.status == 206 and response.body == body[first:last + 1]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, spans))
    wait_idle(sprox)
    # a slice is fetched once, but for what the first probe had begun
    wanted = {s for a, b in spans
              for s in range(a // SLICE, min(b, len(body) - 1) // SLICE + 1)}
    assert bytes_sent(origin) <= len(wanted) * SLICE + 2 * FILL
    assert len(cache_files(sprox)) >= len(wanted)


def test_a_missing_object_is_asked_for_once(origin, sprox):
    origin.bucket("bucket")
    gate = origin.hold(key="key")
    clients = [sprox.client() for _ in range(8)]
    for client in clients:
        client.send("GET", "/bucket/key")
    gate.wait()
    # the only worker takes connections in their order: who came after the
    # eight is answered when they wait
    for _ in range(2):
        sprox.metrics()
    gate.open()
    for client in clients:
        with client:
            assert client.read().status == 404
    assert origin.count(key="key") == 1


# clients that are slow, or leave

def test_slow_reader(make_nginx, origin):
    """It holds back the origin; others are not held back by it."""
    body = blob(LONG)
    origin.put("bucket", "key", body)
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k",
                  more="sprox_read_ahead 256k;")
    with nginx.client(receive_buffer=32768) as client:
        client.send("GET", "/bucket/key")
        assert client.read_head()[0] == 200
        first = client.reader.exactly(1000)
        wait_idle(nginx)
        # some times what sockets took, and the run that reaches beyond it
        assert bytes_sent(origin) <= LONG // 2
        assert nginx.get("/bucket/key").body == body
        rest = client.reader.exactly(len(body) - 1000)
    assert first + rest == body
    assert bytes_sent(origin) == len(body)


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_client_that_leaves(make_nginx, origin, cache):
    """Five of them, and not a quarter of the object is fetched."""
    body = blob(4 * LONG)
    origin.put("bucket", "key", body)
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k",
                  cache=cache)
    nginx.get("/bucket/none")
    fds = list(nginx.fds().values())

    for _ in range(5):
        with nginx.client(receive_buffer=32768) as client:
            client.send("GET", "/bucket/key")
            client.read_head()
            client.reader.exactly(1000)
    wait_idle(nginx)
    nginx.wait(lambda: not [w for w in set(nginx.fds().values()) - set(fds)
                            if not w.startswith("socket")], 10,
               "to close its files")
    nginx.wait(lambda: len(nginx.fds()) <= len(fds) + 1, 10,
               "to close its connections")
    if cache != "off":
        assert bytes_sent(origin) < len(body) / 4
        assert not temporary_files(nginx)
    response = nginx.get("/bucket/key", {"Range": f"bytes=0-{LONG - 1}"})
    assert response.body == body[:LONG]


def test_client_that_leaves_before_the_answer(origin, sprox):
    origin.put("bucket", "key", blob(1000))
    gate = origin.hold(key="key")
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait()
    sprox.wait(lambda: any(line[1] == "499" for line in sprox_log(sprox, 0)),
               5, "to see that it left")
    gate.open()
    # nobody waits for it any more: it is broken off when its header comes
    sprox.wait(lambda: origin.open_connections == 0, 5, "to break it off")
    assert sprox.get("/bucket/key").body == blob(1000)
    assert origin.count() == 2


def test_pipelined_requests(origin, sprox):
    body = blob(FILL)
    origin.put("bucket", "key", body)
    origin.put("bucket", "empty", b"")
    with sprox.client() as client:
        for first in 0, 100, 70000:
            client.send("GET", "/bucket/key", {"Range": f"bytes={first}-"})
            client.send("HEAD", "/bucket/key")
            client.send("GET", "/bucket/empty")
            client.send("GET", "/bucket/none")
        for first in 0, 100, 70000:
            assert client.read().body == body[first:]
            assert client.read("HEAD").status == 200
            assert client.read().body == b""
            assert client.read().status == 404


def test_http_1_0(origin, sprox):
    origin.put("bucket", "key", blob(1000))
    for _ in range(2):
        with sprox.client() as client:
            client.sock.sendall(b"GET /bucket/key HTTP/1.0\r\n\r\n")
            response = client.read()
            assert response.body == blob(1000)
            assert response["Content-Length"] == "1000"
            assert client.reader.some() == b""


# versions that cannot be told apart

def test_weak_etag(make_nginx, origin):
    """Not kept while last-modified may still cover two versions."""
    nginx = serve(make_nginx, origin.endpoint, valid="0")
    origin.script(headers={"Date": http_date(OLD + 1)})
    for seed in range(3):
        body = blob(MORE, seed)
        origin.put("bucket", "key", body, etag='W/"same"', modified=OLD)
        for method in "GET", "HEAD", "GET":
            response = nginx.request(method, "/bucket/key")
            assert response["ETag"] == 'W/"same"'
            assert response.body == (body if method == "GET" else b"")
        ranged = nginx.get("/bucket/key", {"Range": "bytes=70000-70009"})
        assert ranged.body == body[70000:70010]
    assert cache_files(nginx) == []


@pytest.mark.parametrize("drop", [("ETag",), ("ETag", "Last-Modified")])
def test_no_etag(make_nginx, origin, drop):
    nginx = serve(make_nginx, origin.endpoint, valid="0")
    origin.script(drop=drop, headers={"Date": http_date(OLD + 1)})
    for seed in range(3):
        body = blob(MORE, seed)
        origin.put("bucket", "key", body, modified=OLD)
        for _ in range(2):
            response = nginx.get("/bucket/key")
            assert response.body == body
            assert response.get("ETag") is None
        assert nginx.get("/bucket/key", {"Range": "bytes=-9"}).body \
            == body[-9:]
        assert nginx.get("/bucket/key", {"If-None-Match": '"x"'}).body == body
        assert nginx.get("/bucket/key", {"If-Match": '"x"'}).status == 412
    assert cache_files(nginx) == []


@pytest.mark.parametrize("drop", [
    ("ETag", "Last-Modified"), ("ETag", "Date")])
def test_no_proof_of_the_version_within_valid(origin, sprox, drop):
    """Known, but not to be kept: each read asks, and is one answer."""
    origin.script(drop=drop)
    for seed in range(3):
        origin.put("bucket", "key", blob(MORE, seed), modified=OLD)
        assert sprox.get("/bucket/key").body == blob(MORE, seed)
    # the first found out that it cannot be kept
    assert [e.range for e in origin.requests()] \
        == ["bytes=0-262143", None, None, None]
    assert cache_files(sprox) == []


@pytest.mark.parametrize("etag", ['W/"same"', None])
def test_an_old_last_modified_tells_versions_apart(origin, sprox, etag):
    if etag is None:
        origin.script(drop=("ETag",))
    body = blob(MORE)
    origin.put("bucket", "key", body, etag=etag or "", modified=OLD)
    assert sprox.get("/bucket/key").body == body
    origin.journal.clear()
    assert sprox.get("/bucket/key").body == body
    assert origin.requests() == []
    assert cache_keys(sprox)[0].split(" ")[4] == f"@{OLD}-{MORE}"


@pytest.mark.parametrize("clock, kept", [(4, False), (5, True)])
def test_last_modified_by_the_clock_of_the_origin(origin, sprox, clock, kept):
    """Whatever the time is here, five seconds at the origin settle it."""
    body = blob(1000)
    origin.put("bucket", "key", body, etag='W/"same"', modified=OLD)
    origin.script(headers={"Date": http_date(OLD + clock)})
    for _ in range(3):
        assert sprox.get("/bucket/key").body == body
    assert len(cache_files(sprox)) == kept
    assert origin.count() == (1 if kept else 4)


def test_renewal_by_a_weak_etag(make_nginx, origin):
    """A 304 would not say that the bytes are the same: a HEAD tells."""
    nginx = serve(make_nginx, origin.endpoint, valid="0")
    for seed in range(2):
        body = blob(1000, seed)
        origin.put("bucket", "key", body, etag='W/"same"', modified=OLD + seed)
        for _ in range(2):
            assert nginx.get("/bucket/key").body == body
    assert [(e.method, e.range, e.headers.get("if-none-match"))
            for e in origin.requests()] == [
        ("GET", "bytes=0-262143", None), ("HEAD", None, None),
        ("HEAD", None, None), ("GET", "bytes=0-999", None),
        ("HEAD", None, None)]


def test_a_listing_alone_settles_nothing(origin, sprox):
    """It tells no clock: the read that follows does."""
    body = blob(1000)
    origin.put("bucket", "key", body, etag='W/"same"', modified=OLD)
    assert sprox.get("/bucket?list-type=2").status == 200
    origin.journal.clear()
    for _ in range(3):
        assert sprox.get("/bucket/key").body == body
    assert [(e.method, e.range) for e in origin.requests()] \
        == [("GET", None), ("GET", "bytes=0-999")]


# objects that change

def test_replaced_object_with_valid_0(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, valid="0")
    for seed in range(4):
        body = blob(MORE + seed % 2 * 100_000, seed)
        origin.put("bucket", "key", body)
        for _ in range(2):
            assert nginx.get("/bucket/key").body == body
            assert nginx.get("/bucket/key", {"Range": "bytes=-99"}).body \
                == body[-99:]
            assert nginx.head("/bucket/key")["Content-Length"] \
                == str(len(body))
    # renewals ask with If-None-Match, and a 304 keeps every slice
    assert origin.journal.count(status=304) == 4 * 5


def test_replaced_object_after_valid(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, valid="1")
    origin.put("bucket", "key", blob(MORE, 1))
    assert nginx.get("/bucket/key").body == blob(MORE, 1)
    origin.put("bucket", "key", blob(MORE, 2))
    nginx.wait(lambda: nginx.get("/bucket/key").body == blob(MORE, 2), 5,
               "to see the new version")


def test_replaced_behind_what_is_known(origin, sprox):
    """Some slices are cached; the fill of the others meets a new version."""
    old, new = blob(MORE, 1), blob(MORE + 5, 2)
    origin.put("bucket", "key", old)
    assert sprox.get("/bucket/key", {"Range": "bytes=0-9"}).body == old[:10]
    origin.put("bucket", "key", new)
    # cached, and within valid
    assert sprox.get("/bucket/key", {"Range": "bytes=0-9"}).body == old[:10]
    # not cached: 412, nothing was sent yet, so the new version is answered
    response = sprox.get("/bucket/key", {"Range": "bytes=300000-300009"})
    assert response.body == new[300000:300010]
    assert response["Content-Range"] == f"bytes 300000-300009/{len(new)}"
    assert sprox.get("/bucket/key").body == new


def test_if_range_of_what_took_its_place(origin, sprox):
    """The condition is about the version that is answered."""
    origin.put("bucket", "key", blob(MORE, 1))
    assert sprox.head("/bucket/key").status == 200
    new = origin.put("bucket", "key", blob(MORE, 2))
    response = sprox.get("/bucket/key", {"If-Range": new.etag,
                                         "Range": "bytes=100-199"})
    assert (response.status, response.body) == (206, blob(MORE, 2)[100:200])
    assert response["etag"] == new.etag


def test_replaced_in_the_middle_of_a_response(origin, sprox):
    """Never mixed, never padded: the connection is closed short."""
    old, new = blob(MORE, 1), blob(MORE, 2)
    origin.put("bucket", "key", old)
    origin.script(method="GET", nth=3,
                  before=lambda _: origin.put("bucket", "key", new))
    response = sprox.get("/bucket/key")
    assert not response.complete
    assert old.startswith(response.body)
    assert 0 < len(response.body) <= 5 * FILL
    assert len(response.body) % FILL == 0
    assert sprox.get("/bucket/key").body == new


def test_deleted_behind_what_is_known(origin, sprox):
    origin.put("bucket", "key", blob(MORE))
    sprox.get("/bucket/key", {"Range": "bytes=0-9"})
    origin.delete("bucket", "key")
    response = sprox.get("/bucket/key", {"Range": "bytes=300000-"})
    assert (response.status, error_code(response)) == (404, "NoSuchKey")
    assert sprox.get("/bucket/key", {"Range": "bytes=0-9"}).status == 404


# what origins answer

ERRORS = [
    ({"status": 403, "code": "AccessDenied"}, 403, "AccessDenied"),
    ({"status": 403, "body": b""}, 403, "AccessDenied"),
    ({"status": 403, "code": "InvalidObjectState"}, 403,
     "InvalidObjectState"),
    ({"status": 404, "code": "NoSuchKey"}, 404, "NoSuchKey"),
    ({"status": 404, "body": b"<html>not here</html>"}, 404, "NoSuchKey"),
    ({"status": 404, "code": "NoSuchBucket"}, 404, "NoSuchBucket"),
    ({"status": 410, "body": b""}, 404, "NoSuchKey"),
    ({"status": 500}, 500, "InternalError"),
    ({"status": 500, "body": b"oops"}, 500, "InternalError"),
    ({"status": 503, "code": "SlowDown"}, 503, "SlowDown"),
    ({"status": 503, "body": b""}, 503, "SlowDown"),
    ({"status": 429, "body": b""}, 503, "SlowDown"),
    ({"status": 504, "body": b""}, 504, "GatewayTimeout"),
    ({"status": 502, "body": b""}, 502, "BadGateway"),
    ({"status": 418, "body": b""}, 502, "BadGateway"),
    ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/x"},
      "body": b""}, 502, "BadGateway"),
    ({"status": 403, "code": "SignatureDoesNotMatch"}, 403, "AccessDenied"),
    ({"status": 401, "body": b""}, 403, "AccessDenied"),
    ({"status": 400, "code": "ExpiredToken"}, 400, "InvalidRequest"),
    ({"raw": b"garbage\r\n\r\n"}, 502, "BadGateway"),
    ({"raw": b""}, 502, "BadGateway"),
    ({"raw": b"HTTP/1.1 200 OK\r\n"}, 502, "BadGateway"),
]


@pytest.mark.parametrize("cache", ["nvme", "off"])
@pytest.mark.parametrize("rule, status, code", ERRORS, ids=lambda v: "-".join(
    str(x) for x in v.values()) if isinstance(v, dict) else str(v))
def test_errors(make_nginx, origin, cache, rule, status, code):
    nginx = serve(make_nginx, origin.endpoint, cache=cache)
    origin.put("bucket", "key", blob(1000))
    origin.script(**rule)
    response = nginx.get("/bucket/key")
    assert (response.status, error_code(response)) == (status, code)
    assert "<Key>key</Key>" in response.text
    assert "TESTORIGIN" not in response.text

    head = nginx.head("/bucket/key")
    if not rule.get("code", "x").startswith(("NoSuchB", "InvalidO")):
        assert head.status == status
    assert head.body == b""
    assert head["x-amz-request-id"]

    # and nothing of it sticks
    origin.clear_script()
    assert nginx.get("/bucket/key").body == blob(1000)


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_errors_in_the_body(make_nginx, origin, cache):
    """Always, so that no fill brings a whole slice."""
    body = blob(MORE)
    origin.put("bucket", "key", body)
    for rule in {"truncate": 50_000}, {"reset": 50_000}, {"truncate": 0}:
        nginx = serve(make_nginx, origin.endpoint, cache=cache)
        origin.script(method="GET", **rule)
        response = nginx.get("/bucket/key")
        if response.status == 200:
            assert not response.complete
            assert len(response.body) <= 50_000
            assert body.startswith(response.body)
        else:
            assert (response.status, error_code(response)) \
                == (502, "BadGateway")
        assert response.status == 200 or rule != {"truncate": 50_000}
        assert response.status == 502 or rule != {"truncate": 0}
        assert cache_files(nginx) == []
        origin.clear_script()
        wait_idle(nginx)
        assert nginx.get("/bucket/key").body == body
        assert not temporary_files(nginx)


def test_an_error_once_in_the_middle_is_bridged(make_nginx, origin):
    """What broke off is asked for again, from the slice that is not whole."""
    body = blob(MORE)
    origin.put("bucket", "key", body)
    origin.script(method="GET", nth=3, truncate=100_000)
    nginx = serve(make_nginx, origin.endpoint, more="sprox_read_ahead off;")
    response = nginx.get("/bucket/key")
    assert response.complete
    assert response.body == body
    assert [e.range for e in origin.requests()[2:5]] \
        == [f"bytes={2 * FILL}-{3 * FILL - 1}",
            f"bytes={2 * FILL + SLICE}-{3 * FILL + SLICE - 1}",
            f"bytes={3 * FILL + SLICE}-{4 * FILL + SLICE - 1}"]


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_chunked_origin(make_nginx, origin, cache):
    nginx = serve(make_nginx, origin.endpoint, cache=cache)
    body = blob(MORE)
    origin.put("bucket", "key", body)
    origin.script(chunked=True, method="GET")
    ranges = ["bytes=0-", "bytes=-70000", "bytes=100-200000"]
    for header in ranges + ([None] if cache != "off" else []):
        nginx.request("PURGE", "/bucket/key")
        for _ in range(2):
            response = nginx.get("/bucket/key",
                                 {"Range": header} if header else {})
            assert response.complete
            assert response["Content-Length"] == str(len(response.body))
            if header is None:
                assert response.body == body
        first, last = (header or "bytes=0-")[6:].split("-")
        assert response.body == (
            body[-int(last):] if not first else
            body[int(first):int(last) + 1 if last else None])


def test_origin_that_knows_no_ranges(origin, sprox):
    body = blob(FILL)
    origin.put("bucket", "key", body)
    origin.script(ignore_range=True)
    assert sprox.get("/bucket/key").body == body
    assert sprox.get("/bucket/key", {"Range": "bytes=9-70000"}).body \
        == body[9:70001]


def test_more_than_was_announced(origin, sprox):
    """What follows the body is no answer to the next request."""
    for i in range(3):
        origin.put("bucket", f"k{i}", blob(1000, i))
    origin.script(extra=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
    for i in range(3):
        assert sprox.get(f"/bucket/k{i}").body == blob(1000, i)


REFUSED = [
    ("PUT", "/bucket/key", 501), ("POST", "/bucket/key", 501),
    ("DELETE", "/bucket/key", 501), ("PUT", "/bucket", 501),
    ("DELETE", "/bucket", 501), ("POST", "/bucket?delete", 501),
    ("POST", "/bucket/key?uploads", 501), ("PATCH", "/bucket/key", 405),
    ("OPTIONS", "/bucket/key", 405),
    ("PROPFIND", "/bucket/", 405), ("COPY", "/bucket/key", 405),
    ("HEAD", "/", 405), ("PURGE", "/", 405),
] + [("GET", f"/bucket/key?{sub}", 501) for sub in (
    "acl", "tagging", "attributes", "torrent", "legal-hold", "retention",
    "uploadId=x", "select&select-type=2", "versionId=abc", "acl=")
] + [("GET", f"/bucket?{sub}", 501) for sub in (
    "acl", "policy", "cors", "versions", "uploads", "versioning",
    "lifecycle", "website", "encryption", "object-lock", "notification")
] + [("HEAD", "/bucket/key?acl", 501)]


def test_other_operations(origin, sprox):
    origin.put("bucket", "key", blob(1000))
    with sprox.client() as client:
        for method, target, status in REFUSED:
            for body in b"", b"x" * 70_000:
                response = client.request(method, target, {}, body)
                assert response.status == status, (method, target)
                if method != "HEAD":
                    assert error_code(response) == {
                        501: "NotImplemented", 405: "MethodNotAllowed"}[status]
    # nginx takes "*" for no request at all, before any module sees it
    assert sprox.request("OPTIONS", "*").status == 400
    assert origin.requests() == []
    assert sprox.get("/bucket/key").body == blob(1000)


# workers that come and go

def test_killed_worker(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    assert sprox.get("/bucket/key").body == body
    origin.journal.clear()
    sprox.kill_worker()
    assert sprox.get("/bucket/key").body == body
    assert sprox.head("/bucket/key").status == 200
    assert origin.requests() == []      # catalog and slices are shared


def test_killed_in_the_middle_of_a_fill(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    gate = origin.hold(key="key", nth=2, gate_after=70_000)
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait()
        sprox.kill_worker()
        gate.open()
        assert not client.read().complete
    assert sprox.get("/bucket/key").body == body
    wait_idle(sprox)
    assert sprox.metrics().sum("sprox_fills_in_flight") == 0
    # PURGE finds the slices whose writer was killed as well
    assert sprox.request("PURGE", "/bucket/key").status == 200
    assert cache_files(sprox) == []
    assert sprox.get("/bucket/key").body == body


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_reload_while_reading(make_nginx, origin, cache):
    nginx = serve(make_nginx, origin.endpoint, cache=cache)
    body = blob(MORE)
    origin.put("bucket", "key", body)
    gate = origin.hold(key="key", gate_after=1000)
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait()
        nginx.reload()
        assert len(nginx.worker_pids(leaving=True)) == 1
        gate.open()
        assert client.read().body == body
    nginx.wait(lambda: not nginx.worker_pids(leaving=True), 10,
               "to end the old worker")
    origin.journal.clear()
    assert nginx.get("/bucket/key").body == body
    if cache != "off":
        assert origin.requests() == []


def test_a_fill_outlives_its_worker_s_reload(origin, sprox):
    """No client waits any more, yet the slice that was used is finished."""
    body = blob(SLICE)
    origin.put("bucket", "key", body)
    gate = origin.hold(key="key", gate_after=1000)
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        client.read_head()
        assert client.reader.exactly(1000) == body[:1000]
    sprox.reload()
    sprox.wait(lambda: len(sprox.worker_pids(leaving=True)) == 1, 5,
               "to keep the old worker for its fill")
    gate.open()
    sprox.wait(lambda: not sprox.worker_pids(leaving=True), 10,
               "to end the old worker")
    assert not temporary_files(sprox)
    assert len(cache_files(sprox)) == 1
    assert sprox.get("/bucket/key").body == body
    assert origin.count() == 1


def test_slices_survive_a_restart(origin, sprox):
    """What is known of the object is learned anew, by one request."""
    body = blob(MORE)
    origin.put("bucket", "key", body, meta={"a": "b"})
    assert sprox.get("/bucket/key").body == body
    sprox.restart()
    origin.journal.clear()
    response = sprox.get("/bucket/key")
    assert response.body == body
    assert response["x-amz-meta-a"] == "b"
    assert origin.count() == 1
    wait_idle(sprox)
    origin.journal.clear()
    assert sprox.get("/bucket/key").body == body
    assert origin.requests() == []


def test_slices_of_an_old_version_do_not_survive(origin, sprox):
    origin.put("bucket", "key", blob(MORE, 1))
    sprox.get("/bucket/key")
    sprox.restart()
    origin.put("bucket", "key", blob(MORE, 2))
    assert sprox.get("/bucket/key").body == blob(MORE, 2)


def test_damaged_slices_are_fetched_again(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    for damage in (lambda d: d[:100], lambda d: b"", lambda d: d[:-1],
                   lambda d: b"\0" * len(d), lambda d: d[:300] + b"x" + d[301:],
                   lambda d: d + b"more"):
        sprox.get("/bucket/key")
        wait_idle(sprox)
        files = cache_files(sprox)
        assert len(files) == -(-MORE // SLICE)
        for path in files:
            path.write_bytes(damage(path.read_bytes()))
        sprox.allow_log(r"cache file .* (too small|md5 collision|has)")
        response = sprox.get("/bucket/key")
        assert response.complete
        assert response.body == body, damage


def test_removed_slices_are_fetched_again(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    sprox.get("/bucket/key")
    for path in cache_files(sprox)[::2]:
        path.unlink()
    sprox.allow_log(r"open\(\) .* failed \(2: No such file")
    assert sprox.get("/bucket/key").body == body
    assert sprox.get("/bucket/key").body == body


def test_cache_manager_takes_slices(make_nginx, origin):
    """A cache too small for the object evicts it while it is read."""
    nginx = serve(make_nginx, origin.endpoint,
                  max_size="1m manager_files=1000 manager_sleep=10")
    body = blob(8 << 20)
    origin.put("bucket", "key", body)
    for _ in range(3):
        assert nginx.get("/bucket/key").body == body
