"""
What is in flight is shared by all workers: each byte is sent once by the
origin, whoever asks in whichever worker, and who waits is woken, also when the
worker that fetches fails, is killed, or was told to go.
"""

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.sprox import (FILL, SLICE, cache_files, error_code, serve,
                           temporary_files, wait_idle)
from harness.spread import SPREAD, Spread

WORKERS = 4
BODY = random.Random(1).randbytes(8 << 20)
SOON = 1.0                      # the table is polled for dead workers so often


def bytes_sent(origin) -> int:
    origin.journal.wait_idle()
    return origin.journal.body_bytes()


@pytest.fixture
def many(make_nginx, origin):
    """many(...): an nginx of four workers, and connections to each."""
    made = []

    def make(**words):
        nginx = serve(make_nginx, origin.endpoint,
                      **{"workers": WORKERS, **SPREAD, **words})
        made.append(Spread(nginx))
        return nginx, made[-1]

    yield make
    for spread in made:
        spread.close()


def slices_of(entries) -> list:
    """Where the slices begin that were asked for."""
    spans = [re.fullmatch(r"bytes=(\d+)-(\d+)", entry.range).groups()
             for entry in entries]
    return sorted(at for first, last in spans
                  for at in range(int(first), int(last), SLICE))


def assert_once(entries, end: int, first: int = 0) -> None:
    """Between them they asked for each slice of a range, and for none twice."""
    assert slices_of(entries) == list(range(first, end, SLICE))


def read_all(clients, method: str = "GET") -> list:
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(lambda client: client.read(method), clients))


# each byte once

def test_readers_in_all_workers(many, origin):
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key", gate_after=1000)
    clients = spread.each(6)
    for client in clients:
        client.send("GET", "/bucket/key")
    gate.wait()
    spread.settle()
    assert origin.count() == 1
    gate.open()
    for response in read_all(clients):
        assert (response.status, response.body == BODY) == (200, True)
    wait_idle(nginx)
    assert bytes_sent(origin) == len(BODY)
    assert_once(origin.requests(), len(BODY))
    # two that look at the same time may part a run between them
    assert origin.count() <= len(BODY) // FILL * 1.5
    assert len(cache_files(nginx)) == len(BODY) // SLICE
    assert not temporary_files(nginx)


def test_all_kinds_of_readers_in_all_workers(many, origin):
    """Whole objects, ranges, footers and HEADs, all at once, all cold."""
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    rng = random.Random(5)
    ranges = [None, "bytes=-8", "bytes=-70000", "bytes=5000000-"]
    for _ in range(8):
        first = rng.randrange(len(BODY))
        ranges.append(f"bytes={first}-{first + rng.randrange(1, 900_000)}")
    clients = spread.each(8)
    wanted = []
    for i, client in enumerate(clients):
        # the neighbours of a worker ask in another order
        wanted.append(ranges[(i * 5 + i // WORKERS) % len(ranges)])
        client.send("GET", "/bucket/key",
                    {"Range": wanted[-1]} if wanted[-1] else {})
    heads = spread.each()
    for head in heads:
        head.send("HEAD", "/bucket/key")
    for response, header in zip(read_all(clients), wanted):
        assert response.body == part(header)
    for response in read_all(heads, "HEAD"):
        assert response["Content-Length"] == str(len(BODY))
    wait_idle(nginx)
    assert bytes_sent(origin) == len(BODY)
    assert origin.count(method="HEAD") <= 1


def part(header) -> bytes:
    if header is None:
        return BODY
    first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", header).groups()
    if not first:
        return BODY[-int(last):]
    return BODY[int(first):int(last) + 1 if last else None]


def test_heads_of_an_unknown_object(many, origin):
    _, spread = many()
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key")
    clients = spread.each(3)
    for client in clients:
        client.send("HEAD", "/bucket/key")
    gate.wait()
    spread.settle()
    gate.open()
    for response in read_all(clients, "HEAD"):
        assert response["Content-Length"] == str(len(BODY))
    assert [entry.method for entry in origin.requests()] == ["HEAD"]


def test_a_missing_object_is_asked_for_once(many, origin):
    """Though nothing of it is remembered: valid_missing is 0."""
    _, spread = many()
    origin.bucket("bucket")
    for number in 1, 2:
        gate = origin.hold(key="key")
        clients = spread.each(3)
        for i, client in enumerate(clients):
            client.send("HEAD" if i % 5 == 4 else "GET", "/bucket/key")
        gate.wait()
        spread.settle()
        gate.open()
        for i, client in enumerate(clients):
            assert client.read("HEAD" if i % 5 == 4 else "GET").status == 404
        assert origin.count() == number


def test_waiters_are_woken(many, origin):
    """Nobody polls: most wait for less than half of a look a second."""
    _, spread = many()
    clients = spread.each()
    took = []
    for i in range(20):
        origin.put("bucket", f"key{i}", BODY[:1000])
        gate = origin.hold(key=f"key{i}", gate_after=10)
        for client in clients:
            client.send("GET", f"/bucket/key{i}")
        gate.wait()
        spread.settle()
        began = time.monotonic()
        gate.open()
        for client in clients:
            assert client.read().body == BODY[:1000]
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < SOON / 2
    assert origin.count() == 20


def test_valid_0(many, origin):
    """Readers of all workers share one renewal, and see what it told."""
    _, spread = many(valid="0")
    for seed in range(3):
        body = random.Random(seed).randbytes(FILL + seed)
        origin.put("bucket", "key", body)
        for status in 206, 304, 304:
            origin.journal.clear()
            gate = origin.hold(key="key")
            clients = spread.each(2)
            for client in clients:
                client.send("GET", "/bucket/key")
            gate.wait()
            spread.settle()
            gate.open()
            for response in read_all(clients):
                assert response.body == body
            assert [e.status for e in origin.requests()][0] == status
            renewals = [e for e in origin.requests() if e.status == 304]
            assert len(renewals) == (status == 304)
            assert bytes_sent(origin) == (len(body) if status == 206 else 0)


def test_valid_0_one_after_the_other(many, origin):
    """What one worker learned is no excuse for another not to ask."""
    _, spread = many(valid="0")
    one, other = spread.each()[:2]
    for seed in range(6):
        body = random.Random(seed).randbytes(1000)
        origin.put("bucket", "key", body)
        for client in (one, other, one):
            assert client.request("GET", "/bucket/key").body == body
    assert origin.count() == 18


# errors

ERRORS = [({"status": 403, "code": "AccessDenied"}, 403, "AccessDenied"),
          ({"status": 503, "code": "SlowDown"}, 503, "SlowDown"),
          ({"status": 500}, 500, "InternalError"),
          ({"raw": b"garbage\r\n\r\n"}, 502, "BadGateway"),
          ({"reset": 0, "status": 503}, 502, "BadGateway")]


@pytest.mark.parametrize("rule, status, code", ERRORS)
def test_errors_are_for_all(many, origin, rule, status, code):
    """Nobody hangs, and each worker asks once at the most."""
    _, spread = many()
    origin.put("bucket", "key", BODY)
    origin.script(**rule)
    gate = origin.hold(times=1, **rule)
    clients = spread.each(3)
    for client in clients:
        client.send("GET", "/bucket/key")
    gate.wait()
    spread.settle()
    gate.open()
    for response in read_all(clients):
        assert (response.status, error_code(response)) == (status, code)
    assert origin.count() <= WORKERS
    origin.clear_script()
    for client in spread.each():
        assert client.request("GET", "/bucket/key").body == BODY


@pytest.mark.parametrize("rule", [{"status": 503}, {"truncate": 0},
                                  {"status": 403}])
def test_a_fill_fails_where_others_wait(many, origin, rule):
    """They try for themselves: it fails once, and only for its own clients."""
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    one, *others = spread.each()
    assert one.request("HEAD", "/bucket/key").status == 200
    gate = origin.hold(method="GET", nth=1, **rule)
    header = {"Range": f"bytes=0-{FILL - 1}"}
    one.send("GET", "/bucket/key", header)
    gate.wait()
    for client in others:
        client.send("GET", "/bucket/key", header)
    spread.settle()
    gate.open()
    failed, *right = read_all([one, *others])
    assert failed.status in (403, 502, 503) or failed.body == BODY[:FILL]
    for response in right:
        assert response.body == BODY[:FILL]
    wait_idle(nginx)
    assert_once(origin.requests(method="GET")[1:], FILL)


def test_a_fill_breaks_off_where_others_wait(many, origin):
    """What was whole is kept; the rest is fetched by one of them."""
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    gate = origin.hold(nth=1, gate_after=SLICE + 999, truncate=SLICE + 1000)
    clients = spread.each(2)
    for client in clients:
        client.send("GET", "/bucket/key", {"Range": f"bytes=0-{FILL - 1}"})
    gate.wait()
    spread.settle()
    gate.open()
    for response in read_all(clients):
        assert response.body == BODY[:FILL]
    wait_idle(nginx)
    assert bytes_sent(origin) == FILL + 1000
    assert_once(origin.requests()[1:], FILL, SLICE)


def test_who_leaves_leaves_other_workers_theirs(many, origin):
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    one, other = spread.pids[:2]
    leaves, stays = spread.client(one), spread.client(other)
    assert stays.request("HEAD", "/bucket/key").status == 200
    gate = origin.hold(method="GET", gate_after=1000)
    header = {"Range": f"bytes=0-{FILL - 1}"}
    leaves.send("GET", "/bucket/key", header)
    gate.wait()
    stays.send("GET", "/bucket/key", header)
    spread.settle()
    leaves.close()
    spread.settle()
    assert nginx.metrics().sum("sprox_fills_in_flight") == 1
    gate.open()
    assert stays.read().body == BODY[:FILL]
    assert bytes_sent(origin) == FILL
    # ... and without anybody, nothing is left in flight
    leaves, stays = spread.client(one), spread.client(other)
    gate = origin.hold(method="GET", gate_after=1000)
    header = {"Range": f"bytes={FILL}-{2 * FILL - 1}"}
    leaves.send("GET", "/bucket/key", header)
    gate.wait()
    leaves.close()
    nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight") <= 1, 5,
               "to see it leave")
    gate.open()
    wait_idle(nginx)
    stays.send("GET", "/bucket/key", header)
    assert stays.read().body == BODY[FILL:2 * FILL]


# workers that are killed

def test_the_worker_that_fetches_is_killed(many, origin):
    """Its fills are taken over, again and again, and nothing stays of them."""
    nginx, spread = many()
    body = BODY[:2 << 20]
    for i in range(6):
        key = f"key{i}"
        origin.put("bucket", key, body)
        owner, *others = spread.pids
        if i % 2:
            assert spread.client(others[0]).request(
                "HEAD", f"/bucket/{key}").status == 200
        gate = origin.hold(key=key, method="GET", nth=1,
                           gate_after=i * SLICE // 2 + 10)
        doomed = spread.client(owner)
        doomed.send("GET", f"/bucket/{key}")
        gate.wait()
        waiting = [spread.client(pid) for pid in others for _ in range(2)]
        for client in waiting:
            client.send("GET", f"/bucket/{key}")
        spread.settle(others)
        nginx.kill_worker(owner)
        for response in read_all(waiting):
            assert response.complete and response.body == body
        gate.open()
        wait_idle(nginx)
        assert claims(nginx) == 0
        # once by the one that was killed, once by those who took over
        asked = Counter(slices_of(origin.requests(key=key, method="GET")))
        assert set(asked) == set(range(0, len(body), SLICE))
        assert set(asked.values()) <= {1, 2}
    for client in spread.each():
        for i in range(6):
            assert client.request("GET", f"/bucket/key{i}").body == body


def test_workers_are_killed_with_a_table_full_of_claims(many, origin):
    """Slots do not leak: thousands of claims in all, of workers that died."""
    nginx, spread = many(slice="64k", fill="64k", http_more="")
    size = 64
    for i in range(size):
        origin.put("bucket", f"key{i}", BODY[:1000])
    for _ in range(5):
        gate = origin.hold(key=re.compile("^key"))
        owner = spread.pids[0]
        for i in range(size):
            spread.client(owner).send("GET", f"/bucket/key{i}")
        gate.wait(size)
        assert claims(nginx) == size
        nginx.kill_worker(owner)
        nginx.wait(lambda: claims(nginx) == 0, 5, "to free what it had claimed")
        origin.clear_script()


def claims(nginx) -> int:
    return nginx.metrics().sum("sprox_claims_in_flight")


def test_a_worker_that_is_killed_while_it_waits(many, origin):
    """Its bit among the waiters hurts nobody."""
    nginx, spread = many()
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key", gate_after=1000)
    owner, waiter = spread.pids[:2]
    fetches, waits = spread.client(owner), spread.client(waiter)
    fetches.send("GET", "/bucket/key")
    gate.wait()
    waits.send("GET", "/bucket/key")
    spread.settle()
    nginx.kill_worker(waiter)
    gate.open()
    assert fetches.read().body == BODY
    for client in spread.each():
        assert client.request("GET", "/bucket/key").body == BODY
    assert bytes_sent(origin) == len(BODY)


# reloads

def test_reload_in_the_middle_of_a_fill(many, origin):
    """Old and new workers wait for what an old one fetches."""
    nginx, spread = many(workers=2)
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key", nth=1, gate_after=1000)
    owner, other = spread.pids
    old = [spread.client(owner), spread.client(owner), spread.client(other),
           spread.client(other)]
    header = {"Range": f"bytes=0-{FILL - 1}"}
    old[0].send("GET", "/bucket/key", header)
    gate.wait()
    for client in old[1:]:
        client.send("GET", "/bucket/key", header)
    spread.settle()
    nginx.reload()
    assert len(nginx.worker_pids(leaving=True)) == 2
    new = spread.each(2)
    for client in new:
        client.send("GET", "/bucket/key", header)
    spread.settle()
    assert sorted(nginx.worker_pids(leaving=True)) == [owner, other]
    assert origin.count() == 1
    gate.open()
    for response in read_all(old + new):
        assert response.complete and response.body == BODY[:FILL]
    assert bytes_sent(origin) == FILL
    nginx.wait(lambda: not nginx.worker_pids(leaving=True), 5,
               "to end the old workers")
    assert claims(nginx) == 0


def test_reload_in_the_middle_of_a_probe(many, origin):
    nginx, spread = many(workers=2)
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key", nth=1)
    old = spread.each()
    old[0].send("GET", "/bucket/key")
    gate.wait()
    old[1].send("GET", "/bucket/key")
    spread.settle()
    nginx.reload()
    new = spread.each()
    for client in new:
        client.send("GET", "/bucket/key")
    spread.settle()
    assert len(nginx.worker_pids(leaving=True)) == 2
    gate.open()
    for response in read_all(old + new):
        assert response.complete and response.body == BODY
    assert bytes_sent(origin) == len(BODY)


def test_reload_with_more_workers(many, origin):
    """
    The old worker cannot wake those for whom no descriptor was there when it
    was made; it must not take its own for theirs.
    """
    nginx, spread = many(workers=1)
    origin.put("bucket", "key", BODY)
    gate = origin.hold(key="key", nth=1, gate_after=1000)
    fetches = spread.client(spread.pids[0])
    bystanders = [nginx.client() for _ in range(24)]
    for client in bystanders:
        # half a request: they are no idle ones, which a reload closes
        client.sock.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n")
    header = {"Range": f"bytes=0-{FILL - 1}"}
    fetches.send("GET", "/bucket/key", header)
    gate.wait()
    nginx.conf.write_text(nginx.conf.read_text().replace(
        "worker_processes 1;", "worker_processes 24;"))
    nginx.workers = 24
    nginx.reload()
    new = spread.each()
    for client in new:
        client.send("GET", "/bucket/key", header)
    spread.settle()
    assert origin.count() == 1
    gate.open()
    for response in read_all([fetches, *new]):
        assert response.complete and response.body == BODY[:FILL]
    assert bytes_sent(origin) == FILL
    for client in bystanders:
        client.sock.sendall(b"\r\n")
        assert client.read().status == 200
        client.close()
