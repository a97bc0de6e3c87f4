"""
An origin that fails is left alone, asked now and then, and taken back when
it answers: max_fails and fail_timeout.
"""

import random
import select
import time
from contextlib import ExitStack

import pytest

from harness.patience import until
from harness.sprox import error_code, serve
from harness.wire import Closed

BODY = random.Random(7).randbytes(5000)
OPENED, CLOSED = "times in a row", "answers again"


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(directives of the origin): an nginx over twenty objects."""
    def make(directives: str, **words):
        for n in range(20):
            origin.put("bucket", f"k{n}", BODY)
        return serve(make_nginx, origin.endpoint,
                     **{"origin_more": directives,
                        "more": "keepalive_requests 1000000;", **words})

    return make


def lines(nginx, text: str) -> list:
    return [line for line in nginx.log().splitlines() if text in line]


def is_open(nginx) -> bool:
    return nginx.metrics().sum("sprox_origin_open", origin="store") == 1


def refused(response) -> bool:
    return response.status == 503 \
        and error_code(response) == "ServiceUnavailable"


def trip(nginx, number: int, target: str = "/bucket/k0") -> None:
    """The circuit opens."""
    for _ in range(number):
        assert not is_open(nginx)
        nginx.get(target)
    assert is_open(nginx)


def test_an_origin_that_fails_is_left_alone(sprox, origin):
    nginx = sprox("max_fails 3; fail_timeout 1h;")
    origin.script(status=503, code="Busy")
    for _ in range(3):
        assert error_code(nginx.get("/bucket/k0")) == "Busy"
    for n in range(20):
        assert refused(nginx.get(f"/bucket/k{n}"))
        assert refused(nginx.get(f"/bucket/k{n}?partNumber=1"))
        assert nginx.head(f"/bucket/k{n}").status == 503
    assert refused(nginx.get("/bucket?list-type=2"))
    assert refused(nginx.get("/"))
    assert nginx.head("/bucket").status == 503
    assert origin.count() == 3
    metrics = nginx.metrics()
    assert metrics.sum("sprox_origin_requests_total") == 3
    assert metrics.sum("sprox_origin_open", origin="store") == 1
    told, = lines(nginx, OPENED)
    assert 'the origin "store" failed 3 times in a row' in told
    assert "3600000 ms apart" in told
    assert not lines(nginx, CLOSED)


def test_tries_of_one_request_count(sprox, origin):
    nginx = sprox("max_fails 3; fail_timeout 1h;", retries="5")
    origin.script(status=500)
    assert refused(nginx.get("/bucket/k0"))
    assert origin.count() == 3


def test_stale_bridges_it(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 1h;", valid="0",
                  http_more="sprox_stale 1h;")
    assert nginx.get("/bucket/k0").body == BODY
    origin.script(status=500)
    for _ in range(9):
        assert nginx.get("/bucket/k0").body == BODY
    assert origin.count() == 1 + 2
    assert nginx.metrics().sum("sprox_stale_total") == 9
    assert refused(nginx.get("/bucket/k1"))


def test_tries_are_fail_timeout_apart(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 300ms;")
    origin.script(status=500)
    trip(nginx, 2)
    until(lambda: nginx.get("/bucket/k0") and origin.count() >= 6)
    asked = [e.started for e in origin.requests()][1:]
    assert min(b - a for a, b in zip(asked, asked[1:])) > 0.27
    assert is_open(nginx)
    assert len(lines(nginx, OPENED)) == 1


def probe(origin, client, target: str = "/bucket/k1") -> None:
    """Asks until a try comes to the origin."""
    before = origin.count()

    def tried() -> bool:
        client.send("GET", target)
        until(lambda: origin.count() > before
              or select.select([client.sock], [], [], 0)[0])
        return origin.count() > before or not refused(client.read())

    until(tried)
    assert origin.count() > before


def test_one_try_at_a_time(sprox, origin):
    """Half-open: one is asked, the rest is refused, and it closes."""
    nginx = sprox("max_fails 2; fail_timeout 50ms;")
    origin.script(status=500, times=2)
    gate = origin.hold(nth=3)
    trip(nginx, 2)
    with nginx.client() as client:
        probe(origin, client)
        gate.wait()
        held = time.monotonic()
        while time.monotonic() < held + 0.3:        # many a fail_timeout
            assert refused(nginx.get("/bucket/k2"))
        assert origin.count() == 3
        assert is_open(nginx)
        gate.open()
        assert client.read().body == BODY
    assert not is_open(nginx)
    assert len(lines(nginx, OPENED)) == len(lines(nginx, CLOSED)) == 1
    for n in range(20):
        assert nginx.get(f"/bucket/k{n}").body == BODY

    # and the next time as well
    origin.script(status=500)
    trip(nginx, 2, "/bucket/none")
    assert len(lines(nginx, OPENED)) == 2


def test_a_try_that_is_canceled_leaves_it_to_the_next(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 50ms;")
    nginx.head("/bucket/k1")                    # so that it is a fill
    origin.script(status=500, times=2)
    gate = origin.hold(nth=3)
    trip(nginx, 2)
    with nginx.client() as client:
        probe(origin, client)
        gate.wait()
    nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight") == 0, 10,
               "to see it go")
    assert is_open(nginx)
    assert nginx.get("/bucket/k2").body == BODY
    assert not is_open(nginx)


def test_a_worker_that_is_killed_leaves_it_to_the_next(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 50ms;")
    origin.script(status=500, times=2)
    gate = origin.hold(nth=3)
    trip(nginx, 2)
    with nginx.client() as client:
        probe(origin, client)
        gate.wait()
        assert refused(nginx.get("/bucket/k2"))
        nginx.kill_worker()
        with pytest.raises((Closed, ConnectionError)):
            client.read()
    assert nginx.get("/bucket/k2").body == BODY
    assert not is_open(nginx)


def test_an_answer_that_comes_late_closes_it(sprox, origin):
    """Of a try from before it opened."""
    nginx = sprox("max_fails 2; fail_timeout 1h;")
    gate = origin.hold(key="k1")
    origin.script(key="k0", status=500)
    with nginx.client() as client:
        client.send("GET", "/bucket/k1")
        gate.wait()
        trip(nginx, 2)
        gate.open()
        assert client.read().body == BODY
    assert not is_open(nginx)
    assert nginx.get("/bucket/k2").body == BODY


def test_a_reload_begins_anew(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 1h;")
    origin.script(status=500)
    trip(nginx, 2)
    origin.clear_script()
    assert refused(nginx.get("/bucket/k0"))
    nginx.reload(wait_old=True)
    assert nginx.get("/bucket/k0").body == BODY


def test_all_workers_share_it(sprox, origin):
    nginx = sprox("max_fails 6; fail_timeout 1h;", workers=3)
    origin.script(status=500)
    got = [nginx.get(f"/bucket/k{n % 20}").status for n in range(60)]
    assert got == [500] * 6 + [503] * 54
    assert origin.count() == 6
    assert len(lines(nginx, OPENED)) == 1


def test_who_waits_for_a_connection_is_refused(sprox, origin):
    """Their turn comes, but they are not sent."""
    nginx = sprox("max_connections 1; max_fails 1; fail_timeout 1h;")
    gate = origin.hold(nth=1, status=500)
    with ExitStack() as stack:
        clients = [stack.enter_context(nginx.client()) for _ in range(20)]
        for n, client in enumerate(clients):
            client.send("GET", f"/bucket/k{n}")
            nginx.metrics()
        gate.wait()
        gate.open()
        assert clients[0].read().status == 500
        for client in clients[1:]:
            assert refused(client.read())
    assert origin.count() == 1


# what is a failure, and what is none

def test_refused_connections(sprox, origin):
    nginx = sprox("max_fails 3; fail_timeout 800ms;", retries="9")
    origin.stop()
    assert refused(nginx.get("/bucket/k0"))
    assert len(lines(nginx, "connecting to ")) == 3
    origin.start()
    nginx.wait(lambda: nginx.get("/bucket/k0").status == 200, 10,
               "to find it back")
    assert len(lines(nginx, CLOSED)) == 1


@pytest.mark.parametrize("fault", [
    {"raw": b""}, {"raw": b"SMTP\r\n\r\n"}, {"status": 429},
    {"status": 502, "body": b"<html>"}, {"status": 504}, {"status": 520}])
def test_failures(sprox, origin, fault):
    nginx = sprox("max_fails 2; fail_timeout 1h;")
    origin.script(**fault)
    trip(nginx, 2)


def test_time_outs(sprox, origin):
    nginx = sprox("max_fails 2; fail_timeout 1h; read_timeout 100ms;")
    gate = origin.hold()
    trip(nginx, 2)
    gate.open()


@pytest.mark.parametrize("fault", [
    {"status": 404, "code": "NoSuchBucket"}, {"status": 403},
    {"status": 416}, {"status": 412}, {"status": 400}, {"status": 501},
    {"truncate": 100}, {"reset": 10}, {"huge_headers": 12_000},
    {"drop": ("Content-Length",), "headers": {"Content-Length": "-5"}}])
def test_what_is_no_failure(sprox, origin, fault):
    """Of one object or one connection, it tells nothing of the origin."""
    nginx = sprox("max_fails 2; fail_timeout 1h;")
    origin.script(**fault, key="k0")
    for _ in range(6):
        response = nginx.get("/bucket/k0")
        assert response.status in (200, 400, 403, 404, 416, 412, 501, 502)
    assert not is_open(nginx)
    assert nginx.get("/bucket/k1").body == BODY


def test_only_in_a_row(sprox, origin):
    nginx = sprox("max_fails 3; fail_timeout 1h;")
    origin.script(key="k0", status=500)
    for _ in range(5):
        for key in "k0", "k0", "none":
            nginx.get(f"/bucket/{key}")
    assert not is_open(nginx)
    trip(nginx, 3)


def test_off(sprox, origin):
    nginx = sprox("max_fails 0;")
    origin.script(status=500)
    for _ in range(60):
        assert nginx.get("/bucket/k0").status == 500
    assert origin.count() == 60
    assert not is_open(nginx)


def test_names_that_clients_choose(make_nginx, make_origin, pki, dns):
    """That one cannot be trusted or found says nothing of the others."""
    origin = make_origin(tls=pki.other)
    nginx = serve(make_nginx, origin.endpoint, origin_more=
                  f"trusted_certificate {pki.ca}; max_fails 1;",
                  http_more=f"""
        resolver {dns.address};
        sprox_origin nowhere {{ endpoint http://nowhere.test; region r;
            style path; credentials anonymous; retries 0; max_fails 1; }}
        sprox_alias none {{ target nowhere://bucket/; }}""")
    for target in "/bucket/k0", "/none/k0":
        for _ in range(3):
            assert error_code(nginx.get(target)) == "BadGateway"
    assert nginx.metrics().sum("sprox_origin_open") == 0
