"""
What an event has put in doubt, while the store cannot be asked: no listing
out of the catalog says what nobody knows.
"""

import json
import time

import pytest

from harness import events
from harness.admin import LOCATION
from harness.events import Sender
from harness.listing import parse
from harness.sprox import serve

LONG_AGO = int(time.time()) - 1000
LISTED = "sprox_alias bucket { target store://bucket/; list catalog; }"


@pytest.fixture
def sprox(make_nginx, origin):
    def make(**words):
        nginx = serve(make_nginx, origin.endpoint, server_more=LOCATION,
                      more="sprox_valid_missing 1h;",
                      aliases=LISTED, **words)
        nginx.sender = Sender(nginx)
        nginx.sender.wait_complete("bucket")
        return nginx

    return make


def put(origin, *keys: str) -> None:
    for key in keys:
        origin.put("bucket", key, b"body", modified=LONG_AGO)


def keys(nginx, query: str = "") -> list:
    page = nginx.get("/bucket?list-type=2" + query)
    assert page.status == 200, page
    return parse(page.body).items


def lists(origin) -> int:
    return origin.count(operation="ListObjectsV2")


def tell(nginx, kind: str, key: str, obj=None) -> tuple:
    return nginx.sender.post(events.minio(f"s3:Object{kind}", "bucket", key,
                                          obj))


FAULTS = {
    "status": {"status": 503},
    "hangs up": {"raw": b""},
    "garbage": {"raw": b"nothing of HTTP\r\n\r\n"},
    "stalls": {"gate": None},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_new_object_that_cannot_be_asked_for(sprox, origin, fault):
    put(origin, "a", "z")
    nginx = sprox(origin_more="read_timeout 300ms;")
    assert keys(nginx) == ["a", "z"]
    assert lists(origin) == 1                   # the crawl
    if fault == "stalls":
        origin.hold(method="HEAD")
    else:
        origin.script(method="HEAD", **FAULTS[fault])
    new = origin.put("bucket", "new", b"new!")
    status, answer = tell(nginx, "Created:Put", "new", new)
    assert (status, answer["failed"]) == (503, 1)
    assert keys(nginx) == ["a", "new", "z"]
    assert lists(origin) == 2
    assert nginx.sender.alias("bucket")["complete"]

    # that page has told of it: the catalog is right again
    assert keys(nginx) == ["a", "new", "z"]
    assert nginx.get("/bucket/new").body == b"new!"
    assert lists(origin) == 2
    assert nginx.sender.alias("bucket")["objects"] == 3


def test_while_it_is_asked_for(sprox, origin):
    put(origin, "a")
    nginx = sprox()
    gate = origin.hold(method="HEAD")
    new = origin.put("bucket", "new", b"new!")
    with nginx.client() as client:
        client.send("POST", "/_sprox/events", body=json.dumps(
            events.minio("s3:ObjectCreated:Put", "bucket", "new",
                         new)).encode())
        gate.wait()
        assert keys(nginx) == ["a", "new"]
        assert lists(origin) == 2
        gate.open()
        assert client.read("POST").status == 200
    assert keys(nginx) == ["a", "new"]
    assert lists(origin) == 2


def test_pages_that_hold_nothing_of_it(sprox, origin):
    put(origin, "a/1", "b/1", "c/1")
    nginx = sprox()
    origin.script(method="HEAD", status=503)
    new = origin.put("bucket", "b/2", b"new!")
    assert tell(nginx, "Created:Put", "b/2", new)[0] == 503
    assert keys(nginx, "&prefix=a/") == ["a/1"]
    assert keys(nginx, "&prefix=c/") == ["c/1"]
    assert lists(origin) == 1
    # below b/ there is something, whatever becomes of b/2
    assert keys(nginx, "&delimiter=/") == ["a/", "b/", "c/"]
    assert lists(origin) == 1
    assert keys(nginx, "&prefix=b/") == ["b/1", "b/2"]
    assert lists(origin) == 2


def test_a_common_prefix_that_may_have_come(sprox, origin):
    put(origin, "a/1", "c/1")
    nginx = sprox()
    origin.script(method="HEAD", status=503)
    new = origin.put("bucket", "b/1", b"new!")
    assert tell(nginx, "Created:Put", "b/1", new)[0] == 503
    assert keys(nginx, "&delimiter=/") == ["a/", "b/", "c/"]
    assert lists(origin) == 2


def test_a_common_prefix_that_may_have_gone(sprox, origin):
    put(origin, "a/1", "b/1", "b/2", "c/1")
    nginx = sprox()
    origin.script(method="HEAD", status=503)
    origin.delete("bucket", "b/1")
    assert tell(nginx, "Removed:Delete", "b/1")[0] == 503
    assert keys(nginx, "&delimiter=/") == ["a/", "b/", "c/"]
    assert lists(origin) == 1
    origin.delete("bucket", "b/2")
    assert tell(nginx, "Removed:Delete", "b/2")[0] == 503
    assert keys(nginx, "&delimiter=/") == ["a/", "c/"]
    assert lists(origin) == 2


def test_it_outlives_nginx(sprox, origin):
    put(origin, "a", "z")
    nginx = sprox(http_more="sprox_catalog zone=c:8m file=@dir@/catalog "
                  "interval=60s;")
    origin.script(method="HEAD", status=503)
    new = origin.put("bucket", "new", b"new!")
    assert tell(nginx, "Created:Put", "new", new)[0] == 503
    nginx.stop()
    nginx.start()
    nginx.wait(lambda: nginx.sender.alias("bucket")["complete"], 10,
               "to have read its catalog")
    assert keys(nginx) == ["a", "new", "z"]
    assert origin.count(operation="ListObjectsV2") == 2


def test_what_the_origin_does_not_list_either(sprox, origin):
    """Nobody reads it, and no page tells of it: it is asked for once more."""
    put(origin, "a", "z")
    nginx = sprox()
    origin.script(method="HEAD", status=503)
    gone = origin.put("bucket", "new", b"new!")
    origin.delete("bucket", "new")
    assert tell(nginx, "Created:Put", "new", gone)[0] == 503
    assert keys(nginx) == ["a", "z"]
    assert lists(origin) == 2
    origin.clear_script()
    asked = origin.count(method="HEAD")

    def settled() -> bool:
        before = lists(origin)
        assert keys(nginx) == ["a", "z"]
        return lists(origin) == before

    nginx.wait(settled, 15, "to list out of the catalog again")
    assert origin.count(method="HEAD") - asked <= 2
    assert nginx.metrics().sum("sprox_events_total", result="failed") == 1
    assert nginx.metrics().sum("sprox_events_total") == 1
