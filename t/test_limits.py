"""
How many connections an origin gets, and what becomes of those who wait for
one: max_connections, and nginx's own limits.
"""

import random
import re
import time
from contextlib import ExitStack

import pytest

from harness.nginx import CONF
from harness.sprox import ALIASES, error_code, serve, wait_idle
from harness.wire import Client, Closed

SLICE = 64 << 10


def body_of(key: str, size: int = 3000) -> bytes:
    return random.Random(key).randbytes(size)


def put(origin, keys, size: int = 3000, bucket: str = "bucket") -> None:
    for key in keys:
        origin.put(bucket, key, body_of(key, size))


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(directives of the origin): an nginx over it."""
    def make(directives: str, endpoint: str = origin.endpoint, **words):
        return serve(make_nginx, endpoint, **{
            "origin_more": directives, "aliases": ALIASES +
            "sprox_alias slow { target store://slow/; cache off; }",
            **words})

    return make


@pytest.fixture
def clients():
    """clients(nginx, number): so many connections, closed at the end."""
    with ExitStack() as stack:
        def make(nginx, number: int) -> list:
            return [stack.enter_context(nginx.client())
                    for _ in range(number)]

        yield make


def ask(nginx, clients, keys, bucket: str = "bucket") -> None:
    """One after the other; nginx has seen them all when it returns."""
    for client, key in zip(clients, keys):
        client.send("GET", f"/{bucket}/{key}")
        nginx.metrics()


def lines(nginx, text: str) -> list:
    return [line for line in nginx.log().splitlines() if text in line]


WAITED = "no connection was free"


# who waits, and in which order

@pytest.mark.parametrize("tls", [False, True])
def test_no_more_connections(sprox, make_origin, clients, pki, tls):
    origin = make_origin(tls=pki.good if tls else None)
    keys = [f"k{n}" for n in range(17)]
    put(origin, keys)
    nginx = sprox("max_connections 4;" + "verify off;" * tls,
                  endpoint=origin.endpoint)
    gate = origin.hold()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait(4)
    assert origin.count() == 4
    gate.open()
    for client, key in zip(asking, keys):
        assert client.read().body == body_of(key)
    assert origin.connections == 4
    assert origin.count() == len(keys)


def test_no_connection_is_kept(sprox, origin, clients):
    """Each waiter gets one of its own."""
    keys = [f"k{n}" for n in range(9)]
    put(origin, keys)
    nginx = sprox("max_connections 2; keepalive 0;")
    gate = origin.hold()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait(2)
    assert origin.count() == 2
    gate.open()
    for client, key in zip(asking, keys):
        assert client.read().body == body_of(key)
    assert origin.connections == len(keys)


def test_first_come_first_served(sprox, origin, clients):
    keys = [f"k{n}" for n in range(12)]
    put(origin, keys)
    nginx = sprox("max_connections 1;")
    gate = origin.hold(nth=1)
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait()
    gate.open()
    for client, key in zip(asking, keys):
        assert client.read().body == body_of(key)
    assert [e.key for e in origin.requests()] == keys
    assert origin.connections == 1


def test_read_ahead_comes_last(sprox, origin, clients):
    put(origin, ["big"], 12 * SLICE)
    put(origin, ["a", "b"])
    nginx = sprox("max_connections 1;", fill="64k")
    nginx.head("/bucket/big")
    gate = origin.hold(method="GET", nth=1)
    big, a, b = clients(nginx, 3)
    big.send("GET", "/bucket/big", {"Range": f"bytes=0-{12 * SLICE - 1}"})
    gate.wait()
    ask(nginx, [a, b], "ab")
    gate.open()
    assert big.read().body == body_of("big", 12 * SLICE)
    assert a.read().body == body_of("a") and b.read().body == body_of("b")
    asked = origin.requests(method="GET")
    assert [e.key for e in asked[:3]] == ["big", "a", "b"]
    first = [int(re.search(r"\d+", e.range)[0]) for e in asked
             if e.key == "big"]
    assert first == sorted(first) and len(first) == 12


def test_who_waits_for_read_ahead_hurries_it(sprox, origin, clients):
    """It was behind in the line of read-ahead; now it is in front."""
    put(origin, ["big"], 12 * SLICE)
    nginx = sprox("max_connections 1;", fill="64k")
    nginx.head("/bucket/big")
    gate = origin.hold(method="GET", nth=1)
    ahead, late = clients(nginx, 2)
    ahead.send("GET", "/bucket/big", {"Range": f"bytes=0-{12 * SLICE - 1}"})
    gate.wait()
    late.send("GET", "/bucket/big",
              {"Range": f"bytes={9 * SLICE}-{10 * SLICE - 1}"})
    nginx.metrics()
    gate.open()
    body = body_of("big", 12 * SLICE)
    assert late.read().body == body[9 * SLICE:10 * SLICE]
    assert ahead.read().body == body
    asked = [e.range for e in origin.requests(method="GET")]
    assert asked[1] == f"bytes={9 * SLICE}-{10 * SLICE - 1}"
    assert len(asked) == len(set(asked)) == 12


def test_a_region_counts_alike(make_nginx, make_origin, clients, dns):
    """Of one origin, at two hosts: room goes over from one to the other."""
    origin = make_origin(domains=(
        "s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"))
    for region in ("us-east-1", "eu-west-1"):
        for bucket in ("here", "there"):
            dns.names[f"{bucket}.s3.{region}.amazonaws.com"] = ["127.0.0.1"]
    keys = [f"k{n}" for n in range(12)]
    put(origin, [*keys, "first"], bucket="here")
    put(origin, ["first", "last"], bucket="there")
    nginx = serve(make_nginx, "http://s3.us-east-1.amazonaws.com:"
                  f"{origin.port}", style="virtual",
                  credentials="static AKID secret",
                  http_more=f"resolver {dns.address};",
                  origin_more="max_connections 1;")

    # one idle connection gives way to that of another host
    origin.redirect("eu-west-1", bucket="there", status=400, times=1)
    assert nginx.get("/here/first").body == body_of("first")
    assert nginx.get("/there/first").body == body_of("first")
    assert nginx.get("/here/k0").body == body_of("k0")
    hosts = [re.match(r"(\w+)\.s3\.([\w-]+)", e.headers["host"]).groups()
             for e in origin.requests()]
    assert hosts == [("here", "us-east-1"), ("there", "us-east-1"),
                     ("there", "eu-west-1"), ("here", "us-east-1")]
    assert origin.connections == 4

    # a connection goes to who wants its host, but not for ever
    gate = origin.hold(key="k1")
    asking = clients(nginx, len(keys))
    asking[0].send("GET", "/here/k1")
    gate.wait()
    ask(nginx, asking[1:2], ["last"], "there")
    ask(nginx, asking[2:], keys[2:], "here")
    gate.open()
    for client in asking:
        assert client.read().status == 200
    order = [e.key for e in origin.requests()][4:]
    assert order == ["k1", *keys[2:10], "last", *keys[10:]]
    assert origin.connections == 6


def test_a_thousand_cold_clients(sprox, origin, clients):
    keys = [f"k{n}" for n in range(1000)]
    put(origin, keys)
    nginx = sprox("max_connections 8;")
    asking = clients(nginx, len(keys))
    for client, key in zip(asking, keys):
        client.send("GET", f"/bucket/{key}")
    for client, key in zip(asking, keys):
        assert client.read().body == body_of(key)
    assert origin.connections == 8
    assert origin.count() == len(keys)
    wait_idle(nginx)


def test_no_limit(sprox, origin, clients):
    keys = [f"k{n}" for n in range(40)]
    put(origin, keys)
    nginx = sprox("max_connections 0;")
    gate = origin.hold()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait(len(keys))
    gate.open()
    assert all(client.read().status == 200 for client in asking)


# who waits too long, or no more

def busy(nginx, origin, client) -> None:
    """The origin's only connection is taken, by an answer that drips."""
    put(origin, ["k"], SLICE, "slow")
    origin.script(bucket="slow", rate=4000)
    client.send("GET", "/slow/k")
    origin.journal.wait(bucket="slow")


def test_waiting_ends(sprox, origin, clients):
    keys = [f"k{n}" for n in range(30)]
    put(origin, keys)
    nginx = sprox("max_connections 1; read_timeout 600ms; max_fails 1;",
                  retries="5")
    slow, *asking = clients(nginx, len(keys) + 1)
    busy(nginx, origin, slow)
    began = time.monotonic()
    for client, key in zip(asking, keys):
        client.send("GET", f"/bucket/{key}")
    for client in asking:
        response = client.read()
        assert response.status == 503
        assert error_code(response) == "SlowDown"
    assert time.monotonic() - began < 30        # 0.6 s for all, not for each
    told = lines(nginx, WAITED)
    assert told and "max_connections is 1, " in told[0]
    seconds = [line[:19] for line in told]
    assert len(seconds) == len(set(seconds)) < 18
    assert origin.count() == 1
    slow.close()

    # and there is room again; nobody blames the origin
    assert nginx.get("/bucket/k0").body == body_of("k0")
    assert nginx.metrics().sum("sprox_origin_requests_total",
                               status="error") == 0
    assert not lines(nginx, "in a row")


def test_a_listing_waits_too_long(sprox, origin, clients):
    nginx = sprox("max_connections 1; read_timeout 600ms;")
    slow, = clients(nginx, 1)
    busy(nginx, origin, slow)
    for target in ("/bucket?list-type=2", "/bucket/k?partNumber=1"):
        assert error_code(nginx.get(target)) == "SlowDown"


def test_waiting_too_long_is_bridged(sprox, origin, clients):
    nginx = sprox("max_connections 1; read_timeout 600ms;", valid="0",
                  http_more="sprox_stale 1h;")
    put(origin, ["k"])
    assert nginx.get("/bucket/k").body == body_of("k")
    slow, = clients(nginx, 1)
    busy(nginx, origin, slow)
    assert nginx.get("/bucket/k").body == body_of("k")
    assert nginx.metrics().sum("sprox_stale_total") == 1


def test_clients_leave_the_line(sprox, origin, clients):
    keys = [f"k{n}" for n in range(20)]
    put(origin, keys)
    put(origin, ["held"])
    nginx = sprox("max_connections 1;")
    for key in keys:                    # known: so what waits are fills
        nginx.head(f"/bucket/{key}")
    gate = origin.hold(key="held")
    held, *asking = clients(nginx, len(keys) + 1)
    held.send("GET", "/bucket/held")
    gate.wait()
    ask(nginx, asking, keys)
    assert nginx.metrics().sum("sprox_fills_in_flight") == len(keys)
    left = [k for n, k in enumerate(keys) if n % 4]
    for client, key in zip(asking, keys):
        if key in left:
            client.close()
    nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight")
               == len(keys) - len(left), 10, "to see them go")
    gate.open()
    assert held.read().body == body_of("held")
    for client, key in zip(asking, keys):
        if key not in left:
            assert client.read().body == body_of(key)
    assert {e.key for e in origin.requests(method="GET")} \
        == {"held", *keys} - set(left)
    assert origin.connections == 1
    assert nginx.get(f"/bucket/{left[0]}").body == body_of(left[0])


def test_a_connection_that_breaks_hands_over(sprox, origin, clients):
    """Its room goes to the next one, and so do those after it."""
    keys = [f"k{n}" for n in range(10)]
    put(origin, keys)
    nginx = sprox("max_connections 1; max_fails 0;")
    gate = origin.hold(nth=1, raw=b"")
    for n in range(2, 6):
        origin.script(key=f"k{n}", raw=b"no HTTP\r\n\r\n")
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait()
    gate.open()
    got = [client.read().status for client in asking]
    assert got == [502, 200, 502, 502, 502, 502, 200, 200, 200, 200]


def test_a_refused_connection_hands_over(sprox, origin, clients):
    keys = [f"k{n}" for n in range(10)]
    nginx = sprox("max_connections 1; max_fails 0;")
    origin.stop()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    assert [client.read().status for client in asking] == [502] * len(keys)
    origin.start()
    put(origin, keys)
    assert nginx.get("/bucket/k0").body == body_of("k0")


# workers that go

def test_a_worker_leaves_when_its_line_is_empty(sprox, origin, clients):
    keys = [f"k{n}" for n in range(8)]
    put(origin, keys)
    nginx = sprox("max_connections 2;")
    gate = origin.hold()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait(2)
    old = nginx.worker_pids()
    nginx.reload()
    gate.open()
    for client, key in zip(asking, keys):
        assert client.read().body == body_of(key)
    nginx.wait(lambda: not set(old) & set(nginx.worker_pids(leaving=True)),
               10, "to lose the old worker")


def test_worker_shutdown_timeout_ends_the_line(sprox, origin, clients):
    keys = [f"k{n}" for n in range(8)]
    put(origin, keys)
    nginx = sprox("max_connections 1;", retries="3",
                  main="worker_shutdown_timeout 1s;")
    gate = origin.hold()
    asking = clients(nginx, len(keys))
    ask(nginx, asking, keys)
    gate.wait()
    nginx.reload(wait_old=True)
    for client in asking:
        with pytest.raises((Closed, ConnectionError)):
            client.read()
    assert origin.count() == 1
    gate.open()
    assert nginx.get("/bucket/k0").body == body_of("k0")


# nginx's own limits

def fill_up(nginx, clients, full: str) -> list:
    """
    Connections until nginx takes no more, each in the middle of a request,
    so that nginx does not close it to make room.
    """
    taken = []
    while not re.search(full, nginx.log()):
        assert len(taken) < 200
        taken += clients(nginx, 1)
        taken[-1].sock.sendall(b"GET /")
        time.sleep(0.01)
    return taken


@pytest.mark.parametrize("number, main, own", [
    (40, "", r"\[alert\].* are not enough"),
    (4096, "worker_rlimit_nofile 45;", r"\[crit\] .*accept4\(\) failed"),
])
def test_no_connection_left(make_nginx, origin, clients, number, main, own):
    """A clear error, and one line of ours instead of one alert a try."""
    put(origin, "a")
    nginx = serve(make_nginx, origin.endpoint, cache="off", retries="1",
                  main=main, origin_more="max_fails 1;",
                  conf=CONF.replace("worker_connections 4096",
                                    f"worker_connections {number}"))
    nginx.allow_log(own)                # what it says of clients
    client, = clients(nginx, 1)
    client.sock.sendall(b"G")
    taken = fill_up(nginx, clients, own)
    alerts = len(lines(nginx, "[alert]"))

    # in one go: between requests nginx would close it to make room
    request = b"GET /bucket/a HTTP/1.1\r\nHost: h\r\n\r\n"
    client.sock.sendall(request[1:] + 11 * request)
    for _ in range(12):
        response = client.read()
        assert response.status == 503
        assert error_code(response) == "SlowDown"
    assert len(lines(nginx, "[alert]")) == alerts
    told = lines(nginx, "this worker has no connection left")
    seconds = [line[:19] for line in told]
    assert told and len(seconds) == len(set(seconds))
    assert origin.count() == 0
    for client in taken:
        client.close()

    # it was not the origin's fault
    nginx.wait(lambda: nginx.get("/bucket/a").status == 200, 10,
               "to have connections again")
