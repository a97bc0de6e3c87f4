"""
The system's clock is set while nginx runs, or between two runs: what is known
ages as before, what is newer counts, and what cannot be dated is asked for.
"""

import calendar
import random
import time

import pytest

from harness.admin import LOCATION, Admin
from harness.clock import Clock
from harness.listing import Lister
from harness.sprox import LOG, SLICE, cache_keys, serve, wait_idle

HOUR = 3600 * 1000
BODY = random.Random(5).randbytes(2 * SLICE + 10)
OTHER = random.Random(6).randbytes(2 * SLICE + 20)


@pytest.fixture
def clock(tmp_path) -> Clock:
    return Clock(tmp_path / "ahead")


@pytest.fixture
def sprox(make_nginx, origin, shim, clock):
    def make(**words):
        origin.put("bucket", "key", BODY)
        return serve(make_nginx, origin.endpoint, **{
            "main": "env WRONG_CLOCK;", "server_more": LOCATION,
            "env": {"LD_PRELOAD": str(shim), "WRONG_CLOCK": str(clock.path)},
            **words})

    return make


def read(nginx, body: bytes, key: str = "key") -> None:
    response = nginx.get(f"/bucket/{key}")
    assert response.status == 200 and response.body == body
    wait_idle(nginx)


def asks(nginx, origin, body: bytes) -> int:
    """What one read costs the origin, in requests."""
    before = origin.count()
    read(nginx, body)
    return origin.count() - before


@pytest.mark.parametrize("steps", [(-HOUR,), (HOUR, 0), (HOUR, -HOUR, 0)])
def test_what_is_known_ages(sprox, origin, clock, steps):
    nginx = sprox(valid="1s", workers=2)
    read(nginx, BODY)
    for step in steps:
        clock.set(step)
        read(nginx, BODY)
    origin.put("bucket", "key", OTHER)
    nginx.wait(lambda: nginx.get("/bucket/key").body == OTHER, 10,
               "to ask again")
    read(nginx, OTHER)


def test_time_that_passed_while_nobody_ran(sprox, origin, clock):
    """A machine that slept: the clock jumps, and things are old."""
    nginx = sprox(valid="1h")
    read(nginx, BODY)
    assert asks(nginx, origin, BODY) == 0
    clock.set(2 * HOUR)
    assert asks(nginx, origin, BODY) == 1
    assert origin.requests()[-1].status == 304
    clock.set(0)
    assert asks(nginx, origin, BODY) == 0


def test_newer_answers_count(sprox, origin, clock):
    nginx = sprox(valid="0", workers=2)
    read(nginx, BODY)
    clock.set(-HOUR)
    origin.put("bucket", "key", OTHER)
    read(nginx, OTHER)
    origin.delete("bucket", "key")
    assert nginx.get("/bucket/key").status == 404
    origin.put("bucket", "key", BODY)
    read(nginx, BODY)


def test_a_missing_key_is_asked_for_again(sprox, origin, clock):
    nginx = sprox(aliases="sprox_alias table "
                  "{ target store://bucket/; valid_missing 1s; }")
    assert nginx.get("/table/new").status == 404
    clock.set(-HOUR)
    origin.put("bucket", "new", BODY)
    nginx.wait(lambda: nginx.get("/table/new").status == 200, 10, "to ask again")


def test_a_purge_meets_what_was_before(sprox, origin, clock):
    nginx = sprox(workers=2)
    read(nginx, BODY)
    assert len(cache_keys(nginx)) == 3
    clock.set(-HOUR)
    sent = origin.journal.body_bytes()
    assert nginx.request("PURGE", "/bucket/k*").status == 200
    read(nginx, BODY)
    origin.journal.wait_idle()
    assert origin.journal.body_bytes() - sent >= len(BODY)
    nginx.wait(lambda: not [job for job in Admin(nginx).jobs(kind="purge")
                            if job["state"] != "done"], 10, "to purge")
    # what is filled within the purge's millisecond is purged as well
    nginx.wait(lambda: asks(nginx, origin, BODY) == 0, 10, "to know it")
    assert len(cache_keys(nginx)) == 3


def listed(nginx) -> list:
    lister = Lister(nginx.port, "table")
    try:
        return lister.all()
    finally:
        lister.close()


CATALOG = "sprox_alias table { target store://bucket/; list catalog; @policy@ }"


def test_a_crawl_removes_what_vanished(sprox, origin, clock):
    nginx = sprox(aliases=CATALOG, policy="")
    origin.put("bucket", "gone", BODY)
    admin = Admin(nginx)
    admin.wait(admin.crawl("table")["id"], "done")
    assert listed(nginx) == ["gone", "key"]
    clock.set(-HOUR)
    origin.delete("bucket", "gone")
    origin.put("bucket", "new", BODY)
    admin.wait(admin.crawl("table")["id"], "done")
    assert listed(nginx) == ["key", "new"]


def test_a_reload_becomes_due(sprox, origin, clock):
    nginx = sprox(aliases=CATALOG, policy="reload 1s;")
    Admin(nginx).wait_complete("table")
    clock.set(-HOUR)
    origin.put("bucket", "new", BODY)
    nginx.wait(lambda: listed(nginx) == ["key", "new"], 15,
               "to crawl again")


def test_signatures_go_by_the_systems_clock(sprox, origin, clock):
    """Whoever sets it knows why: the store's is right as well."""
    nginx = sprox(valid="0", credentials="static AKID secret")
    for ahead in 0, HOUR, -HOUR:
        clock.set(ahead)
        read(nginx, BODY)
        stamp = origin.requests()[-1].headers["x-amz-date"]
        signed = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        assert abs(signed - time.time() - ahead / 1000) < 60


# between two runs

KEPT = LOG + "sprox_catalog zone=catalog:8m file=@dir@/catalog interval=1h;"


def begin_again(nginx, clock, ahead: int) -> None:
    nginx.stop()
    clock.set(ahead)
    read_before = nginx.log().count("objects read from")
    nginx.start()
    nginx.wait(lambda: nginx.log().count("objects read from") > read_before,
               10, "to read its catalog")


def test_a_catalog_of_a_clock_that_was_ahead(sprox, origin, clock):
    clock.set(HOUR)
    nginx = sprox(http_more=KEPT, valid="1h")
    read(nginx, BODY)
    begin_again(nginx, clock, 0)

    origin.put("bucket", "key", OTHER)
    assert asks(nginx, origin, OTHER) >= 1
    assert asks(nginx, origin, OTHER) == 0
    origin.put("bucket", "key", BODY)

    # and what was kept without being asked for is no newer either
    begin_again(nginx, clock, 2 * HOUR)
    read(nginx, BODY)


def test_slices_of_a_clock_that_was_ahead_are_purged(sprox, origin, clock):
    clock.set(HOUR)
    nginx = sprox(http_more=KEPT, valid="1h")
    read(nginx, BODY)
    begin_again(nginx, clock, 0)
    assert asks(nginx, origin, BODY) == 1
    assert origin.requests()[-1].status == 304
    sent = origin.journal.body_bytes()
    assert nginx.request("PURGE", "/bucket/k*").status == 200
    read(nginx, BODY)
    origin.journal.wait_idle()
    assert origin.journal.body_bytes() - sent >= len(BODY)


def test_a_ban_of_a_clock_that_was_ahead(sprox, origin, clock):
    """It does not meet what is proved an hour later."""
    clock.set(HOUR)
    origin.put("bucket", "o", BODY)
    nginx = sprox(http_more=KEPT, valid="1h")
    read(nginx, BODY)
    assert nginx.request("PURGE", "/bucket/k*").status == 200
    begin_again(nginx, clock, 0)
    read(nginx, BODY)
    assert asks(nginx, origin, BODY) == 0


def test_a_listing_of_a_clock_that_was_ahead(sprox, origin, clock):
    clock.set(HOUR)
    nginx = sprox(http_more=KEPT, aliases=CATALOG, policy="")
    Admin(nginx).wait_complete("table")
    nginx.stop()
    origin.put("bucket", "new", BODY)
    gate = origin.hold(operation="ListObjectsV2", times=1)
    clock.set(0)
    nginx.start()
    nginx.wait_log("objects read from")
    assert not Admin(nginx).alias("table")["complete"]
    gate.open()
    Admin(nginx).wait_complete("table")
    assert listed(nginx) == ["key", "new"]
