"""
Read-ahead in one worker: how much is in flight in front of a client, what it
costs the origin, and what happens to it when the client is slow, or leaves.
Gates hold the origin where a test wants to look; cost is asserted on its
journal. The plan itself is tested by t/unit/test_plan.c.
"""

import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.nginx import ASAN
from harness.sprox import (FILL, LOG, SLICE, cache_files, log_lines, serve,
                           temporary_files, wait_idle)

AHEAD = 4 * FILL                # read_ahead in these tests
KEPT = 64                       # finished files of a worker that wait
LARGE = 32 * FILL
TRUST = 8                       # SPROX_PLAN_TRUST


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def span(entry) -> tuple:
    """The range that was asked for: first byte, and the one after the last."""
    first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", entry.range).groups()
    return int(first), int(last) + 1


def spans(origin, **match) -> list:
    return sorted(span(e) for e in origin.requests(method="GET", **match))


def slices(first: int, end: int) -> range:
    """Those that hold a half-open range."""
    return range(first // SLICE, -(-end // SLICE))


def bytes_sent(origin) -> int:
    origin.journal.wait_idle()
    return origin.journal.body_bytes()


def in_flight(nginx) -> int:
    return nginx.metrics().sum("sprox_fills_in_flight")


def wait_fills(nginx, number: int) -> None:
    nginx.wait(lambda: in_flight(nginx) == number, 5,
               f"to have {number} fills in flight")


def wait_left(nginx, number: int = 1) -> None:
    """Until so many reads of objects are over, and were logged."""
    nginx.wait(lambda: (nginx.dir / "sprox.log").read_text()
               .count("GetObject") >= number, 5, "to see that clients left")


@pytest.fixture
def engine(make_nginx, origin):
    """engine(...): an nginx with a short read-ahead, and one large object."""
    def make(**words):
        origin.put("bucket", "key", blob(LARGE))
        more = f"{LOG} sprox_read_ahead {words.pop('read_ahead', AHEAD)};"
        return serve(make_nginx, origin.endpoint, http_more=more, **words)

    return make


# parallel

def test_a_large_get_is_parallel(engine, origin):
    nginx = engine()
    gate = origin.hold(key="key")
    origin.script(key="key", times=1)           # the first one is not held
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        assert client.read_head()[0] == 200
        body = client.reader.exactly(FILL)
        gate.wait(AHEAD // FILL)
        wait_fills(nginx, AHEAD // FILL)
        assert spans(origin) == [(at, at + FILL)
                                 for at in range(0, FILL + AHEAD, FILL)]
        gate.open()
        body += client.reader.exactly(LARGE - FILL)
    assert body == blob(LARGE)
    assert bytes_sent(origin) == LARGE
    assert spans(origin) == [(at, at + FILL) for at in range(0, LARGE, FILL)]
    wait_idle(nginx)
    assert len(cache_files(nginx)) == LARGE // SLICE
    assert not temporary_files(nginx)


def test_the_defaults(make_nginx, origin):
    """Requests of 2 MiB, 16 MiB of them in flight."""
    size = 24 << 20
    body = blob(size)
    origin.put("bucket", "key", body)
    nginx = serve(make_nginx, origin.endpoint, slice="512k", fill="2m")
    gate = origin.hold(key="key")
    origin.script(key="key", times=1)
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        assert client.read_head()[0] == 200
        got = client.reader.exactly(2 << 20)
        gate.wait(8)
        wait_fills(nginx, 8)
        assert origin.count() == 1 + 8
        gate.open()
        assert got + client.reader.exactly(size - (2 << 20)) == body
    assert bytes_sent(origin) == size
    assert origin.count() == size >> 21


def test_a_named_end_is_trusted_at_once(engine, origin):
    """Who names the last byte is going to take it: nothing is waited for."""
    nginx = engine()
    assert nginx.head("/bucket/key").status == 200
    gate = origin.hold(key="key", method="GET")
    with nginx.client() as client:
        client.send("GET", "/bucket/key",
                    {"Range": f"bytes={SLICE}-{LARGE - 1}"})
        gate.wait(AHEAD // FILL)
        wait_fills(nginx, AHEAD // FILL)
        assert spans(origin) == [(at, at + FILL) for at in
                                 range(SLICE, SLICE + AHEAD, FILL)]
        gate.open()
        assert client.read().body == blob(LARGE)[SLICE:]
    assert bytes_sent(origin) == LARGE - SLICE


def test_an_open_end_is_trusted_by_and_by(engine, origin):
    """A run is fetched at once, more as the client takes."""
    nginx = engine()
    nginx.head("/bucket/key")
    gate = origin.hold(key="key", method="GET", gate_after=1000)
    with nginx.client() as client:
        client.send("GET", "/bucket/key", {"Range": "bytes=0-"})
        client.read_head()
        client.reader.exactly(1000)
        assert spans(origin) == [(0, FILL)]
        gate.open()
        assert client.reader.exactly(LARGE - 1000) == blob(LARGE)[1000:]
    assert bytes_sent(origin) == LARGE


PARTS = [(0, 512, [(0, 512)]), (200, 712, [(0, 1024)]),
         (200, 1000, [(0, 512), (512, 1024)]),
         (0, 1536, [(0, 512), (512, 1024), (1024, 1536)]),
         (0, 2048, [(0, 512), (512, 1024), (1024, 1536), (1536, 2048)]),
         (100, 2100, [(0, 1024), (1024, 2048), (2048, 2560)]),
         (512, 8704, [(at, at + 2048) for at in range(512, 8704, 2048)])]


def test_a_range_comes_in_parts(make_nginx, origin):
    """
    At the defaults, in KiB: four at once, of a slice or more, for a reader
    who waits for all of it. What is short is one request, as it is without
    a cache.
    """
    body = blob(9 << 20)
    nginx = serve(make_nginx, origin.endpoint, slice="512k", fill="2m")
    for number, (first, end, want) in enumerate(PARTS):
        key = f"key{number}"
        origin.put("bucket", key, body)
        assert nginx.head(f"/bucket/{key}").status == 200
        gate = origin.hold(key=key, method="GET")
        first, end = first << 10, end << 10
        with nginx.client() as client:
            client.send("GET", f"/bucket/{key}",
                        {"Range": f"bytes={first}-{end - 1}"})
            gate.wait(len(want))            # all are asked for, none answered
            gate.open()
            assert client.read().body == body[first:end]
        assert spans(origin, key=key) == [(a << 10, b << 10)
                                          for a, b in want]


@pytest.mark.parametrize("busy, room, want", [
    (7, 0, 4), (8, 0, 1), (0, 4, 4), (0, 3, 1), (2, 6, 4), (2, 5, 1)])
def test_no_parts_among_many_fills(make_nginx, origin, busy, room, want):
    """
    They would cost requests, and bring nothing any sooner: others take the
    connections. room: max_connections.
    """
    nginx = serve(make_nginx, origin.endpoint, slice="512k", fill="2m",
                  origin_more=f"max_connections {room};")
    body = blob(2 << 20)
    for key in "busy", "key":
        origin.put("bucket", key, body * 4)
        nginx.head(f"/bucket/{key}")
    gate = origin.hold(method="GET")
    clients = [nginx.client() for _ in range(busy + 1)]
    for number, client in enumerate(clients[1:]):
        at = number << 19
        client.send("GET", "/bucket/busy", {"Range": f"bytes={at}-{at + 9}"})
    wait_fills(nginx, busy)
    clients[0].send("GET", "/bucket/key",
                    {"Range": f"bytes=0-{len(body) - 1}"})
    gate.wait(busy + want)
    gate.open()
    assert clients[0].read().body == body
    assert origin.count(key="key", method="GET") == want
    for client in clients:
        client.close()


@pytest.mark.parametrize("room, want", [(4, 4), (3, 1)])
def test_parts_while_another_origin_is_busy(make_nginx, origin, make_origin,
                                            room, want):
    """The connections of one take no room from the other's."""
    other = make_origin()
    nginx = serve(make_nginx, origin.endpoint, slice="512k", fill="2m",
                  origin_more=f"max_connections {room};", aliases=f"""
        sprox_origin other {{ endpoint {other.endpoint}; region us-east-1;
                              style path; credentials anonymous; }}
        sprox_alias busy   {{ target other://bucket/; }}
        sprox_alias bucket {{ target store://bucket/; }}""")
    body = blob(2 << 20)
    other.put("bucket", "key", body)
    origin.put("bucket", "key", body)
    for bucket in "busy", "bucket":
        nginx.head(f"/{bucket}/key")
    held, gate = other.hold(method="GET"), origin.hold(method="GET")
    clients = [nginx.client() for _ in range(4)]
    for number, client in enumerate(clients[1:]):
        at = number << 19
        client.send("GET", "/busy/key", {"Range": f"bytes={at}-{at + 9}"})
    wait_fills(nginx, 3)
    clients[0].send("GET", "/bucket/key",
                    {"Range": f"bytes=0-{len(body) - 1}"})
    gate.wait(want)
    gate.open()
    assert clients[0].read().body == body
    assert origin.count(key="key", method="GET") == want
    held.open()
    for client in clients:
        client.close()


def test_no_read_ahead(engine, origin):
    """One request after the other."""
    nginx = engine(read_ahead="0")
    assert nginx.get("/bucket/key").body == blob(LARGE)
    assert bytes_sent(origin) == LARGE
    entries = origin.requests()
    assert len(entries) == LARGE // FILL
    for entry, following in zip(entries, entries[1:]):
        assert span(following)[0] == span(entry)[1]
        assert following.started >= entry.started
    # the next is asked for when the last byte of the one before has come
    gate = origin.hold(key="other", gate_after=FILL - 1)
    origin.put("bucket", "other", blob(LARGE))
    with nginx.client() as client:
        client.send("GET", "/bucket/other")
        client.read_head()
        client.reader.exactly(FILL - 1)
        assert origin.count(key="other") == 1
        gate.open()
        assert client.reader.exactly(LARGE - FILL + 1) \
            == blob(LARGE)[FILL - 1:]


def test_read_ahead_passes_by_what_is_cached(engine, origin):
    nginx = engine()
    have = [1, 6, 7, 8, 9, 10, 11, 13, 40, 42]
    for i in have:
        nginx.get("/bucket/key", {"Range": f"bytes={i * SLICE}-{i * SLICE}"})
    wait_idle(nginx)
    origin.journal.wait_idle()
    origin.journal.clear()
    assert nginx.get("/bucket/key", {"Range": f"bytes=0-{LARGE - 1}"}).body \
        == blob(LARGE)
    missing = set(slices(0, LARGE)) - set(have)
    asked = [i for entry in spans(origin) for i in slices(*entry)]
    assert sorted(asked) == sorted(missing)
    assert bytes_sent(origin) == len(missing) * SLICE


# no more than was asked for

RANGES = [(0, 0), (SLICE - 1, SLICE), (5, 2 * SLICE), (SLICE, 2 * SLICE - 1),
          (3 * FILL + 5, 9 * FILL), (FILL - 1, FILL), (LARGE - 1, LARGE - 1),
          (LARGE - FILL, LARGE + 5)]


@pytest.mark.parametrize("known", [True, False])
def test_a_range_pulls_its_slices_alone(engine, origin, known):
    nginx = engine()
    for first, last in RANGES:
        nginx.request("PURGE", "/bucket/key")
        if known:
            nginx.head("/bucket/key")
        wait_idle(nginx)
        origin.journal.wait_idle()
        origin.journal.clear()
        response = nginx.get("/bucket/key",
                             {"Range": f"bytes={first}-{last}"})
        assert response.body == blob(LARGE)[first:last + 1]
        wait_idle(nginx)
        end = min(last, LARGE - 1) // SLICE * SLICE + SLICE
        got = spans(origin)
        assert got[0][0] == first // SLICE * SLICE
        # an unknown object: its size was not known
        assert got[-1][1] == end or not known and last >= LARGE
        assert bytes_sent(origin) == end - first // SLICE * SLICE


@pytest.mark.parametrize("known", [True, False])
def test_random_small_ranges(engine, origin, known):
    """What nobody asked for is not pulled, and nothing twice."""
    nginx = engine()
    rng = random.Random(11)
    wanted = []
    for _ in range(60):
        first = rng.randrange(LARGE)
        wanted.append((first, min(first + rng.randrange(100_000), LARGE - 1)))
    if known:
        nginx.head("/bucket/key")

    body = blob(LARGE)

    def read(want):
        first, last = want
        response = nginx.get("/bucket/key",
                             {"Range": f"bytes={first}-{last}"})
        return response.body == body[first:last + 1]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, wanted))
    wait_idle(nginx)
    pulled = {i for first, last in wanted for i in slices(first, last + 1)}
    assert bytes_sent(origin) == len(pulled) * SLICE
    assert len(cache_files(nginx)) == len(pulled)


def test_a_footer_of_an_unknown_object(engine, origin):
    """It comes as it was asked for; what its slice lacks follows."""
    nginx = engine()
    gate = origin.hold(key="key", nth=2)
    for size in 8, 1000:
        response = nginx.get("/bucket/key", {"Range": f"bytes=-{size}"})
        assert response.body == blob(LARGE)[-size:]
        if size == 8:
            gate.wait()
            first = origin.requests()[0]
            assert (first.range, first.body_bytes) == ("bytes=-8", 8)
            assert nginx.get("/bucket/key", {"Range": "bytes=-4"}).body \
                == blob(LARGE)[-4:]
            gate.open()
    wait_idle(nginx)
    assert bytes_sent(origin) == SLICE
    assert origin.count() == 2


def test_a_footer_of_a_known_object(engine, origin):
    nginx = engine()
    nginx.head("/bucket/key")
    for size, first in (8, LARGE - SLICE), (SLICE + 8, LARGE - 2 * SLICE):
        response = nginx.get("/bucket/key", {"Range": f"bytes=-{size}"})
        assert response.body == blob(LARGE)[-size:]
    assert spans(origin) == [(LARGE - 2 * SLICE, LARGE - SLICE),
                             (LARGE - SLICE, LARGE)]


# clients that leave

@pytest.mark.parametrize("number", [1, 3])
def test_who_leaves_does_not_pull_the_object(engine, origin, number):
    """All is broken off, while the origin would still send."""
    nginx = engine()
    gate = origin.hold(key="key", gate_after=SLICE)
    clients = [nginx.client() for _ in range(number)]
    for client in clients:
        client.send("GET", "/bucket/key")
        client.read_head()
        assert client.reader.exactly(SLICE) == blob(LARGE)[:SLICE]
    # what was taken allows for so much ahead
    want = [(at, at + FILL) for at in range(0, SLICE + SLICE * TRUST, FILL)]
    gate.wait(len(want))
    for client in clients[1:]:
        client.close()
    wait_left(nginx, number - 1)
    wait_fills(nginx, len(want))
    clients[0].close()
    wait_fills(nginx, 0)
    nginx.wait(lambda: not temporary_files(nginx), 5, "to remove its files")
    assert len(cache_files(nginx)) == len(want)     # the slices that were whole
    assert spans(origin) == want
    gate.open()
    assert nginx.get("/bucket/key").body == blob(LARGE)
    # what was broken off was all that was sent in vain
    assert bytes_sent(origin) <= LARGE + len(want) * FILL
    asked = [i for entry in origin.requests()[len(want):]
             for i in slices(*span(entry))]
    assert sorted(asked) == [i for i in slices(0, LARGE)
                             if i * SLICE not in dict(want)]


@pytest.mark.parametrize("there, whole", [(1000, False), (SLICE // 2, False),
                                          (SLICE // 2 + 1, True)])
def test_what_is_begun_when_the_client_leaves(engine, origin, there, whole):
    """
    A slice of which the client was sent a part is made whole, and so is one
    that is there for the greater part; the others are given up.
    """
    nginx = engine()
    nginx.head("/bucket/key")
    gate = origin.hold(key="key", method="GET", gate_after=there)
    end = 2 * FILL
    with nginx.client() as client:
        client.send("GET", "/bucket/key", {"Range": f"bytes=0-{end - 1}"})
        client.read_head()
        assert client.reader.exactly(there) == blob(LARGE)[:there]
        gate.wait(2)
        # both fills have written what there is
        nginx.wait(lambda: len([path for path in temporary_files(nginx)
                                if path.stat().st_size > there]) == 2, 5,
                   "to write")
    wait_fills(nginx, 1 + whole)
    gate.open()
    wait_idle(nginx)
    assert len(cache_files(nginx)) == 1 + whole
    nginx.wait(lambda: not temporary_files(nginx), 5, "to remove its files")
    origin.journal.wait_idle()
    origin.journal.clear()
    assert nginx.get("/bucket/key").body == blob(LARGE)
    assert bytes_sent(origin) == LARGE - (1 + whole) * SLICE


def test_who_leaves_leaves_the_others_theirs(engine, origin):
    nginx = engine()
    gate = origin.hold(key="key", gate_after=SLICE)
    stays, leaves = nginx.client(), nginx.client()
    for client in stays, leaves:
        client.send("GET", "/bucket/key")
        client.read_head()
        client.reader.exactly(SLICE)
    gate.wait(3)
    leaves.close()          # who has joined, and is waited for by nobody
    wait_left(nginx)
    wait_fills(nginx, 3)
    gate.open()
    with stays:
        assert stays.reader.exactly(LARGE - SLICE) == blob(LARGE)[SLICE:]
    assert bytes_sent(origin) == LARGE


NO_BODY = [({"If-None-Match": "*"}, 304), ({"If-Match": '"x"'}, 412)]


@pytest.mark.parametrize("headers, status", NO_BODY)
def test_an_answer_without_a_body_pulls_nothing(engine, origin, headers,
                                                status):
    """The probe is a GET, as nobody knew."""
    nginx = engine()
    gate = origin.hold(key="key", method="GET", gate_after=SLICE // 2)
    with nginx.client() as client:
        response = client.request("GET", "/bucket/key", headers)
        assert response.status == status
        wait_fills(nginx, 0)
    gate.open()
    assert len(cache_files(nginx)) == 0
    assert nginx.get("/bucket/key").body == blob(LARGE)


def test_a_head_that_joined_pulls_nothing(engine, origin):
    """Who asked for the bytes has left before they came."""
    nginx = engine()
    header = threading.Event()
    gate = origin.hold(key="key", before=lambda _: header.wait(20),
                       gate_after=SLICE // 2)
    with nginx.client() as head:
        with nginx.client() as client:
            client.send("GET", "/bucket/key")
            origin.journal.wait()
            head.send("HEAD", "/bucket/key")
            nginx.metrics()
            nginx.metrics()
        wait_left(nginx)
        header.set()
        assert head.read("HEAD")["Content-Length"] == str(LARGE)
    wait_fills(nginx, 0)
    gate.open()
    assert origin.count() == 1
    assert cache_files(nginx) == []


def test_who_has_not_come_to_it_yet_wants_it(make_nginx, origin):
    """
    Header and body come at once, so that the first slices are whole before
    their reader has taken anything: the rest of its run goes on.
    """
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=4k",
                  fill="2m")
    size = 2 << 20
    head = (f"HTTP/1.1 206 Partial Content\r\nContent-Length: {size}\r\n"
            f"Content-Range: bytes 0-{size - 1}/{size}\r\n"
            'ETag: "once"\r\n\r\n').encode()
    origin.script(key="key", raw=head + blob(size))
    with nginx.client(receive_buffer=4096) as client:
        client.send("GET", "/bucket/key")
        client.read_head()
        origin.journal.wait(ended=True)
        wait_idle(nginx)
        assert len(cache_files(nginx)) == size // SLICE
    assert origin.count() == 1


# clients that are slow

BUFFERS = 256 << 10             # sockets': what has left nginx, at the most


def slow(nginx):
    return nginx.client(receive_buffer=32768)


def test_a_slow_client_holds_back_the_origin(engine, origin):
    nginx = engine(listen_more=" sndbuf=32k")
    body, furthest = b"", 0
    with slow(nginx) as client:
        client.send("GET", "/bucket/key")
        client.read_head()
        while len(body) < LARGE:
            taken = len(body)
            wait_idle(nginx)
            furthest = spans(origin)[-1][1]
            assert furthest <= min(taken + BUFFERS + AHEAD + FILL, LARGE)
            assert bytes_sent(origin) == furthest
            # ... and as far as it may be
            assert furthest >= min(taken * TRUST, taken + AHEAD, LARGE)
            body += client.reader.exactly(FILL)
    assert body == blob(LARGE)
    assert origin.count() == LARGE // FILL


def test_slow_clients_cost_no_memory(make_nginx, origin):
    """What is ahead of them lies in files, whatever the object's size."""
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k",
                  more="sendfile on;")
    body = blob(2 * LARGE)
    for i in range(8):
        origin.put("bucket", f"key{i}", body)
    assert nginx.get("/bucket/key0").body == body
    before = nginx.rss()
    clients = [slow(nginx) for _ in range(32)]
    for i, client in enumerate(clients):
        client.send("GET", f"/bucket/key{i % 8}")
    for client in clients:
        client.read_head()
        assert client.reader.exactly(SLICE) == body[:SLICE]
    wait_idle(nginx)
    assert origin.journal.body_bytes() > 8 << 20
    assert nginx.rss() - before < 3 << 20 or ASAN   # which frees late
    for client in clients:
        client.close()
    nginx.wait(lambda: not temporary_files(nginx), 5, "to remove its files")


def files_open(nginx) -> int:
    return sum("/cache/" in name for name in nginx.fds().values())


def test_slow_clients_hold_few_files(make_nginx, origin):
    """What lies ahead of them is opened when they come to it."""
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k",
                  main="worker_rlimit_nofile 8192;")    # hits keep none open
    body = blob(3 * KEPT * SLICE)
    clients = []
    for i in range(2):
        origin.put("bucket", f"key{i}", body)
        clients.append(slow(nginx))
        clients[-1].send("GET", f"/bucket/key{i}", {"Range": "bytes=0-"
                                                    f"{len(body) - 1}"})
    nginx.wait(lambda: len(cache_files(nginx)) == 6 * KEPT, 10,
               "to read ahead")
    wait_idle(nginx)
    assert files_open(nginx) <= KEPT + len(clients)
    for client in clients:
        assert client.read().body == body
    # and is no hit: this very read has fetched it
    wait_left(nginx, 2)
    assert [line[4:7] for line in log_lines(nginx) if "GetObject" in line] \
        == 2 * [["MISS", "0", str(len(body))]]
    assert origin.journal.body_bytes() == 2 * len(body)
    nginx.wait(lambda: files_open(nginx) == 0, 10, "to close them")


def test_what_lies_ahead_of_a_slow_client_is_purged(make_nginx, origin):
    """It is fetched again when the client comes to it."""
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k",
                  valid="immutable")
    body = blob(3 * KEPT * SLICE)
    origin.put("bucket", "key", body)
    with slow(nginx) as client:
        client.send("GET", "/bucket/key", {"Range": "bytes=0-"
                                           f"{len(body) - 1}"})
        nginx.wait(lambda: len(cache_files(nginx)) == 3 * KEPT, 10,
                   "to read ahead")
        wait_idle(nginx)
        assert nginx.request("PURGE", "/bucket/key").status == 200
        seen = origin.count()
        assert client.read().body == body
    wait_idle(nginx)
    # in whole runs, and nothing but what was closed
    assert 0 < bytes_sent(origin) - len(body) <= 2 * KEPT * SLICE
    assert origin.count() - seen < KEPT


# fills that fail ahead of the client

@pytest.mark.parametrize("fault", [
    {"status": 503}, {"status": 403, "code": "AccessDenied"}, {"reset": 0},
    {"truncate": 1000}, {"raw": b"garbage\r\n\r\n"}])
def test_a_failure_ahead_is_no_failure(engine, origin, fault):
    """Nobody waited for it yet: it is asked for again when its turn comes."""
    nginx = engine()
    gate = origin.hold(key="key", gate_after=2 * SLICE, nth=1)
    origin.script(key="key", nth=3, **fault)
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        client.read_head()
        body = client.reader.exactly(2 * SLICE)
        failed = origin.journal.wait(3)[2]
        origin.journal.wait(ended=True, started=failed.started)
        nginx.wait(lambda: "[error]" in nginx.log(), 5, "to see the failure")
        gate.open()
        body += client.reader.exactly(LARGE - len(body))
    assert body == blob(LARGE)
    assert bytes_sent(origin) <= LARGE + 1000 + 400
    assert len([at for at, _ in spans(origin) if at == span(failed)[0]]) == 2


def test_a_failure_that_stays(engine, origin):
    """Closed short, and right up to there; no storm."""
    nginx = engine()
    origin.script(key="key", status=503)
    origin.script(key="key", times=4)
    response = nginx.get("/bucket/key")
    assert (response.status, response.complete) == (200, False)
    assert blob(LARGE).startswith(response.body)
    assert len(response.body) >= FILL
    wait_idle(nginx)
    failed = origin.count(status=503)
    # a window of fills, and what is tried again at the byte that is wanted
    assert 1 <= failed <= 3 * (AHEAD // FILL) + 3
    origin.clear_script()
    assert nginx.get("/bucket/key").body == blob(LARGE)
