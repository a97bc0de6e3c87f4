"""
How long what is known is believed, and what a failing origin changes. Times
are short, and passed by asking until the origin is asked, never by sleeping.
"""

import hashlib
import random
import time

import pytest

from harness.listing import Lister
from harness.patience import until

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;
    log_format sprox '$request_method $uri $status $sprox_cache_status';
    access_log @dir@/cache.log sprox;
    sprox_origin store {
        endpoint @endpoint@; region us-east-1; style path;
        credentials anonymous; retries @retries@;
        connect_timeout 500ms; read_timeout 500ms; max_fails 0;
    }
    keepalive_requests 100000;
    sprox_cache nvme;
    sprox_slice 64k;
    sprox_fill  128k;
@policy@
    sprox_alias $bucket { target store://$bucket/; @alias@ }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location = /metrics { sprox_metrics; }
    }
"""
SIZE = 300_000                          # five slices
BODY = random.Random(1).randbytes(SIZE)
ETAG = f'"{hashlib.md5(BODY).hexdigest()}"'
OTHER = random.Random(2).randbytes(SIZE - 1000)


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(policy): an nginx over an origin with one object."""
    def make(policy: str = "", *, alias: str = "", retries: int = 0,
             **options):
        origin.put("bkt", "k", BODY, meta={"v": "1"})
        return make_nginx(HTTP, policy=policy, alias=alias, retries=retries,
                          endpoint=origin.endpoint, **options)

    return make


def fill(nginx, key: str = "k", body: bytes = BODY) -> None:
    response = nginx.get(f"/bkt/{key}")
    assert response.status == 200 and response.body == body


def asked(nginx, origin, method: str = "GET", key: str = "k"):
    """Asks until that asks the origin: (answer, the origin's entries)."""
    before = origin.count(key=key)

    def ask():
        response = nginx.request(method, f"/bkt/{key}")
        return response if origin.count(key=key) > before else None

    response = until(ask)
    origin.journal.wait_idle()
    return response, origin.requests(key=key)[before:]


def statuses(nginx, number: int) -> list:
    """$sprox_cache_status, once so many requests were logged: the last is
    logged after its client has it all."""
    log = nginx.dir / "cache.log"
    lines = until(lambda: (found := log.read_text().splitlines())
                  and len(found) >= number and found)
    return [line.split()[3] for line in lines]


# valid

def test_valid(sprox, origin):
    nginx = sprox("sprox_valid 1s;", workers=2)
    fill(nginx)
    origin.journal.wait_idle()
    first = origin.requests()[0]
    sent = origin.journal.body_bytes()
    assert sent == SIZE
    number = origin.count()

    origin.put("bkt", "k", OTHER)
    response, (again, *_) = asked(nginx, origin)
    # nginx's clock is a little behind the origin's
    assert 0.9 <= again.started - first.started < 30
    assert again.headers["if-none-match"] == ETAG
    assert response.status == 200 and response.body == OTHER
    assert origin.requests()[number - 1].started < again.started


def test_renewal_keeps_the_slices(sprox, origin):
    nginx = sprox("sprox_valid 1s;")
    fill(nginx)
    origin.journal.wait_idle()
    number, sent = origin.count(), origin.journal.body_bytes()

    for _ in range(2):
        response, entries = asked(nginx, origin)
        assert response.status == 200 and response.body == BODY
        assert response["x-amz-meta-v"] == "1"
        assert [e.status for e in entries] == [304]
        assert entries[0].method == "GET"
        assert entries[0].headers["if-none-match"] == ETAG
    assert origin.journal.body_bytes() == sent
    until(lambda: statuses(nginx, 3).count("REVALIDATED") == 2)

    # one proof serves all kinds of reads
    number = origin.count()
    assert nginx.head("/bkt/k")["content-length"] == str(SIZE)
    assert nginx.get("/bkt/k", {"Range": "bytes=-10"}).body == BODY[-10:]
    assert origin.count() <= number + 1         # unless a second went by


def test_renewal_by_head(sprox, origin):
    nginx = sprox("sprox_valid 1s;")
    assert nginx.head("/bkt/k").status == 200
    response, (entry,) = asked(nginx, origin, "HEAD")
    assert (entry.method, entry.status) == ("HEAD", 304)
    assert response.status == 200 and response["etag"] == ETAG
    assert response["x-amz-meta-v"] == "1"
    assert origin.journal.body_bytes() == 0

    origin.put("bkt", "k", OTHER, meta={"v": "2"})
    response, _ = asked(nginx, origin, "HEAD")
    assert response["content-length"] == str(len(OTHER))
    assert response["x-amz-meta-v"] == "2"
    assert nginx.get("/bkt/k").body == OTHER


def test_renewal_is_asked_once_for_all(sprox, origin):
    nginx = sprox("sprox_valid 0;")
    fill(nginx)
    number = origin.count()
    gate = origin.hold(key="k")
    clients = [nginx.client() for _ in range(5)]
    for client in clients:
        client.send("GET", "/bkt/k")
    gate.wait()
    for _ in range(2):          # after which the others have joined
        nginx.metrics()
    gate.open()
    for client in clients:
        assert client.read().body == BODY
        client.close()
    assert origin.count() - number == 1
    assert {e.status for e in origin.requests()[number:]} == {304}


def test_a_listing_is_a_proof(sprox, origin):
    """What a listing said holds for `valid` from then on."""
    nginx = sprox("sprox_valid 1s;")
    fill(nginx)
    began = time.monotonic()
    lister = Lister(nginx.port, "bkt")
    number = origin.count(key="k")
    while time.monotonic() - began < 1.5:
        lister.all()
        assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).body == BODY[:10]
    assert origin.count(key="k") == number
    lister.close()


def test_immutable_never_asks(sprox, origin):
    nginx = sprox("sprox_valid 1s;",
                  alias="object fixed { valid immutable; }")
    origin.put("bkt", "fixed", BODY)
    fill(nginx)
    fill(nginx, "fixed")
    number = origin.count(key="fixed")
    origin.put("bkt", "fixed", OTHER)
    asked(nginx, origin)
    fill(nginx, "fixed")
    nginx.head("/bkt/fixed")
    assert origin.count(key="fixed") == number
    origin.stop()
    fill(nginx, "fixed")


def test_valid_0_asks_every_time(sprox, origin):
    nginx = sprox("sprox_valid 0; sprox_valid_missing 1s;")
    fill(nginx)
    origin.journal.wait_idle()
    origin.journal.wait_idle()
    sent, number = origin.journal.body_bytes(), origin.count()
    for _ in range(3):
        fill(nginx)
        assert nginx.head("/bkt/k").status == 200
    assert origin.count() == number + 6
    assert {e.status for e in origin.requests()[number:]} == {304}
    assert origin.journal.body_bytes() == sent

    origin.put("bkt", "k", OTHER)
    fill(nginx, body=OTHER)
    origin.delete("bkt", "k")
    assert nginx.get("/bkt/k").status == 404
    origin.put("bkt", "k", BODY)
    # a 404 has its own time
    assert until(lambda: nginx.get("/bkt/k").status == 200)


def test_changed_object(sprox, origin):
    """Whole and in ranges, longer, shorter, empty."""
    nginx = sprox("sprox_valid 0;")
    for size in (SIZE, 10, SIZE * 2, 0, 65536, 65537, SIZE):
        body = random.Random(size).randbytes(size)
        obj = origin.put("bkt", "k", body)
        response = nginx.get("/bkt/k", {"Range": "bytes=-7"})
        if size:
            assert response.body == body[-7:]
        response = nginx.get("/bkt/k")
        assert response.status == 200 and response.body == body
        assert response["etag"] == obj.etag
        assert nginx.head("/bkt/k")["content-length"] == str(size)
        response = nginx.get("/bkt/k", {"Range": "bytes=3-70000"})
        assert response.body == body[3:70001] if size > 3 \
            else response.status == 416


# valid_missing

def test_valid_missing(sprox, origin):
    nginx = sprox("sprox_valid_missing 2s;", workers=2)
    for _ in range(3):
        response = nginx.get("/bkt/new")
        assert response.status == 404
        assert "<Code>NoSuchKey</Code>" in response.text
        assert nginx.head("/bkt/new").status == 404
    assert origin.count(key="new") == 1
    first = origin.requests(key="new")[0]

    origin.put("bkt", "new", BODY)
    response, (entry, *_) = asked(nginx, origin, key="new")
    assert response.status == 200 and response.body == BODY
    assert 1.8 <= entry.started - first.started < 30


def test_valid_missing_0(sprox, origin):
    nginx = sprox("sprox_valid_missing 0;")
    assert nginx.get("/bkt/new").status == 404
    origin.put("bkt", "new", BODY)
    fill(nginx, "new")


def test_a_missing_bucket_is_no_missing_key(sprox, origin):
    nginx = sprox()
    for _ in range(2):
        response = nginx.get("/nowhere/k")
        assert response.status == 404
        assert "<Code>NoSuchBucket</Code>" in response.text
    origin.put("nowhere", "k", BODY)
    assert nginx.get("/nowhere/k").body == BODY


# stale

OUTAGES = {
    "refused": lambda origin: origin.stop(),
    "500": lambda origin: origin.script(status=500, code="InternalError"),
    "502": lambda origin: origin.script(status=502, body=b""),
    "503": lambda origin: origin.script(status=503, code="SlowDown"),
    "504": lambda origin: origin.script(status=504, body=b"<html>"),
    "429": lambda origin: origin.script(status=429, code="TooManyRequests"),
    "silence": lambda origin: origin.script(delay=2),
    "closed": lambda origin: origin.script(raw=b""),
    "garbage": lambda origin: origin.script(raw=b"nonsense\r\n\r\n"),
}


def recover(origin, how: str) -> None:
    origin.clear_script()
    if how == "refused":
        origin.start()


@pytest.mark.parametrize("how", OUTAGES)
def test_stale(sprox, origin, how):
    nginx = sprox("sprox_valid 0; sprox_stale 1m;")
    fill(nginx)
    OUTAGES[how](origin)
    fill(nginx)
    response = nginx.get("/bkt/k", {"Range": "bytes=100000-200000"})
    assert response.status == 206 and response.body == BODY[100000:200001]
    assert nginx.head("/bkt/k")["etag"] == ETAG
    assert statuses(nginx, 4)[1:] == ["STALE"] * 3
    assert nginx.metrics().sum("sprox_stale_total", alias="$bucket") == 3
    lines = [line for line in nginx.log().splitlines()
             if 'the origin "store" fails: serving what was known' in line]
    assert len(lines) == 3 and all("[warn]" in line for line in lines)

    # what was never read cannot be served
    response = nginx.get("/bkt/other")
    assert response.status >= 429 and "<Code>" in response.text

    recover(origin, how)
    fill(nginx)
    assert statuses(nginx, 7)[6] == "REVALIDATED"       # /metrics is one, too
    origin.put("bkt", "k", OTHER)
    fill(nginx, body=OTHER)


def test_stale_ends(sprox, origin):
    nginx = sprox("sprox_valid 1s; sprox_stale 1s;")
    fill(nginx)
    began = origin.requests()[0].started
    OUTAGES["503"](origin)
    number = 1

    def over():
        nonlocal number
        number += 1
        response = nginx.get("/bkt/k")
        return response if response.status != 200 else None

    response = until(over)
    assert 1.8 <= time.monotonic() - began < 30
    assert response.status == 503
    assert {"HIT", "STALE"} <= set(statuses(nginx, number))
    recover(origin, "503")
    fill(nginx)                                         # the slices are there
    assert statuses(nginx, number + 1)[-1] == "REVALIDATED"


def test_stale_needs_the_slices(sprox, origin):
    nginx = sprox("sprox_valid 0; sprox_stale 1m;")
    assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).status == 206
    OUTAGES["503"](origin)
    assert nginx.get("/bkt/k", {"Range": "bytes=5-20"}).body == BODY[5:21]
    response = nginx.get("/bkt/k", {"Range": "bytes=200000-"})
    assert response.status in (502, 503) and "<Code>" in response.text
    response = nginx.get("/bkt/k")
    assert not response.complete or response.status in (502, 503)
    recover(origin, "503")
    fill(nginx)


@pytest.mark.parametrize("how", OUTAGES)
def test_stale_needs_the_headers(sprox, origin, how):
    """What only a listing told has none, and an empty object no slice."""
    nginx = sprox("sprox_valid 1m; sprox_stale 1m;")
    origin.put("bkt", "empty", b"")
    assert Lister(nginx.port, "bkt").all() == ["empty", "k"]
    OUTAGES[how](origin)
    for method in "GET", "HEAD":
        response = nginx.request(method, "/bkt/empty")
        assert response.status >= 500
    assert statuses(nginx, 3)[1:] == ["MISS"] * 2
    recover(origin, how)
    fill(nginx, "empty", b"")


@pytest.mark.parametrize("how", ["refused", "500", "silence"])
def test_without_stale_an_outage_is_an_error(sprox, origin, how):
    nginx = sprox("sprox_valid 0;")
    fill(nginx)
    origin.journal.wait_idle()
    sent = origin.journal.body_bytes()
    OUTAGES[how](origin)
    response = nginx.get("/bkt/k")
    assert response.status == {"refused": 502, "500": 500,
                               "silence": 504}[how]
    assert "<Code>" in response.text
    assert nginx.head("/bkt/k").status == response.status
    recover(origin, how)
    fill(nginx)                             # nothing was forgotten
    good = [e for e in origin.requests() if e.complete and e.status == 206]
    assert sum(e.body_bytes for e in good) == sent


# deletions

@pytest.mark.parametrize("stale", ["off", "1m"])
@pytest.mark.parametrize("status", [404, 410])
def test_a_404_is_a_deletion(sprox, origin, status, stale):
    nginx = sprox(f"sprox_valid 0; sprox_stale {stale}; "
                  "sprox_valid_missing 1m;")
    fill(nginx)
    origin.script(status=status, code="NoSuchKey", times=1)
    response = nginx.get("/bkt/k")
    assert response.status == 404
    assert "<Code>NoSuchKey</Code>" in response.text
    number = origin.count()
    assert nginx.head("/bkt/k").status == 404
    assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).status == 404
    assert origin.count() == number


@pytest.mark.parametrize("status", [400, 403, 500, 501, 503])
def test_another_error_is_none(sprox, origin, status):
    nginx = sprox("sprox_valid 0;")
    fill(nginx)
    origin.journal.wait_idle()
    sent = origin.journal.body_bytes(status=206)
    origin.script(status=status, code="AccessDenied", times=1)
    assert nginx.get("/bkt/k").status == status
    fill(nginx)
    assert origin.journal.body_bytes(status=206) == sent


def test_a_bucket_that_vanishes_is_no_deletion_of_keys(sprox, origin):
    nginx = sprox("sprox_valid 0; sprox_valid_missing 1m;")
    fill(nginx)
    origin.script(status=404, code="NoSuchBucket", times=1)
    response = nginx.get("/bkt/k")
    assert response.status == 404
    assert "<Code>NoSuchBucket</Code>" in response.text
    fill(nginx)


@pytest.mark.parametrize("gone", [True, False])
def test_only_some_slices_are_cached(sprox, origin, gone):
    """
    Known and believed, but the rest cannot be had any more: either an error,
    or a short close where bytes were sent; never other bytes.
    """
    nginx = sprox("sprox_valid 1m;")
    assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).status == 206
    if gone:
        origin.delete("bkt", "k")
    else:
        origin.put("bkt", "k", OTHER)

    assert nginx.get("/bkt/k", {"Range": "bytes=2-20"}).body == BODY[2:21]
    response = nginx.get("/bkt/k")
    if response.status == 200 and not response.complete:
        assert BODY.startswith(response.body)
    elif gone:
        assert response.status == 404
    else:
        assert response.body == OTHER

    # from now on it is known
    response = nginx.get("/bkt/k")
    if gone:
        assert response.status == 404
        assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).status == 404
    else:
        assert response.status == 200 and response.body == OTHER
        assert nginx.head("/bkt/k")["content-length"] == str(len(OTHER))


@pytest.mark.parametrize("gone", [True, False])
def test_missing_slice_of_a_lost_version(sprox, origin, gone):
    """Nothing was sent yet: the new version, or its absence."""
    nginx = sprox("sprox_valid 1m;")
    assert nginx.get("/bkt/k", {"Range": "bytes=0-9"}).status == 206
    if gone:
        origin.delete("bkt", "k")
    else:
        origin.put("bkt", "k", OTHER)
    response = nginx.get("/bkt/k", {"Range": "bytes=200000-200099"})
    if gone:
        assert response.status == 404
    else:
        assert response.status == 206
        assert response.body == OTHER[200000:200100]
        assert response["content-range"] \
            == f"bytes 200000-200099/{len(OTHER)}"
