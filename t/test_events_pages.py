"""
`list cached TIME`: a page holds for TIME, or until an event tells of a change
below its prefix; others hold on.
"""

import time

import pytest

from harness import events
from harness.admin import LOCATION
from harness.events import Sender, created, removed
from harness.listing import parse
from harness.sprox import ALIASES, serve

LONG_AGO = int(time.time()) - 1000


@pytest.fixture
def sprox(make_nginx, origin):
    def make(**words):
        nginx = serve(make_nginx, origin.endpoint, server_more=LOCATION,
                      more="sprox_valid_missing 1h; sprox_list cached 1h;",
                      **words)
        nginx.sender = Sender(nginx)
        return nginx

    return make


def put(origin, *keys: str, bucket: str = "bucket") -> None:
    for key in keys:
        origin.put(bucket, key, b"body", modified=LONG_AGO)


def keys(nginx, query: str = "", bucket: str = "bucket") -> list:
    page = nginx.get(f"/{bucket}?list-type=2" + query)
    assert page.status == 200, page
    return parse(page.body).items


def lists(origin) -> int:
    return origin.count(operation="ListObjectsV2")


def wait_cached(nginx, origin) -> None:
    """A page of the very millisecond of an event is not kept either."""
    def cached() -> bool:
        before = lists(origin)
        keys(nginx)
        return lists(origin) == before

    nginx.wait(cached, 10, "to keep the page")


def test_pages_end_with_what_events_tell(sprox, origin):
    put(origin, "a", "b")
    nginx = sprox(workers=2)
    assert keys(nginx) == ["a", "b"]
    new = origin.put("bucket", "c", b"new!")
    assert keys(nginx) == ["a", "b"]
    assert lists(origin) == 1
    nginx.sender.tell(created("bucket", "c", new))
    for _ in range(8):                              # whichever worker
        assert keys(nginx) == ["a", "b", "c"]
    wait_cached(nginx, origin)
    assert lists(origin) <= 3

    origin.delete("bucket", "a")
    nginx.sender.tell(removed("bucket", "a"))
    longer = origin.put("bucket", "b", b"longer")
    nginx.sender.tell(created("bucket", "b", longer))
    page = parse(nginx.get("/bucket?list-type=2").body)
    assert page.keys == ["b", "c"]
    assert page.objects["b"]["ETag"] == longer.etag
    wait_cached(nginx, origin)
    assert lists(origin) <= 5


PAGES = {           # and whether it may hold a/b/cd
    "": True, "&prefix=a": True, "&prefix=a/": True, "&prefix=a/b/": True,
    "&prefix=a/b/c": True, "&prefix=a/b/cd": True, "&delimiter=/": True,
    "&prefix=a/&delimiter=/": True, "&start-after=a/": True,
    "&prefix=x/": False, "&prefix=a/x/": False, "&prefix=a/b/cd/": False,
    "&prefix=a/b/c/": False, "&prefix=x/y/z/u/v/w/1/2/3/4/5/": False,
}


@pytest.mark.parametrize("slashes", [0, 1, 9])
def test_pages_that_may_hold_it(sprox, origin, slashes):
    top = "deep/" * slashes
    put(origin, top + "a/b/1", top + "x/1")
    nginx = sprox()

    def ask(page: str) -> bool:
        """Whether the origin was asked."""
        before = lists(origin)
        query = page.replace("prefix=", "prefix=" + top)
        keys(nginx, query)
        return lists(origin) > before

    for page in PAGES:
        assert ask(page)
    assert not any(ask(page) for page in PAGES)
    new = origin.put("bucket", top + "a/b/cd", b"new!")
    nginx.sender.tell(created("bucket", top + "a/b/cd", new))
    asked = {page: ask(page) for page in PAGES}
    assert all(asked[page] for page in PAGES if PAGES[page]), asked
    if slashes < 2:                     # too deep to be told apart
        assert asked == PAGES
    nginx.wait(lambda: not any(ask(page) for page in PAGES), 10,
               "to keep the pages")


def test_other_buckets_and_stores(sprox, origin):
    put(origin, "a")
    put(origin, "a", bucket="other")
    nginx = sprox(aliases="""
        sprox_origin second { endpoint @endpoint@; credentials anonymous; }
        sprox_alias second { target second://bucket/; }
        """ + ALIASES)
    for name in ("bucket", "other", "second"):
        assert keys(nginx, bucket=name) == ["a"]
    new = origin.put("bucket", "b", b"new!")
    nginx.sender.tell(created("bucket", "b", new), query="?origin=store")
    before = lists(origin)
    assert keys(nginx, bucket="other") == ["a"]
    assert keys(nginx, bucket="second") == ["a"]
    assert lists(origin) == before
    assert keys(nginx) == ["a", "b"]
    nginx.sender.tell(created("bucket", "b", new), query="?origin=second")
    assert keys(nginx, bucket="second") == ["a", "b"]


def test_what_is_in_doubt(sprox, origin):
    put(origin, "a")
    nginx = sprox()
    assert keys(nginx) == ["a"]
    new = origin.put("bucket", "b", b"new!")
    origin.script(method="HEAD", status=503)
    assert nginx.sender.post(events.minio("s3:ObjectCreated:Put", "bucket",
                                          "b", new))[0] == 503
    assert keys(nginx) == ["a", "b"]


def test_what_is_known_by_other_means(sprox, origin):
    """A GET has told of it: pages know nothing of that."""
    put(origin, "a")
    nginx = sprox()
    assert keys(nginx) == ["a"]
    new = origin.put("bucket", "b", b"new!")
    assert nginx.get("/bucket/b").body == b"new!"
    nginx.sender.tell(created("bucket", "b", new))
    assert keys(nginx) == ["a", "b"]


def test_a_page_that_is_on_its_way(sprox, origin):
    put(origin, "a")
    nginx = sprox()
    gate = origin.hold(operation="ListObjectsV2", times=1, gate_after=100)
    with nginx.client() as client:
        client.send("GET", "/bucket?list-type=2")
        gate.wait()
        new = origin.put("bucket", "b", b"new!")
        nginx.sender.tell(created("bucket", "b", new))
        gate.open()
        assert parse(client.read().body).items == ["a"]
    assert keys(nginx) == ["a", "b"]
    assert lists(origin) == 2


def test_a_purge_of_an_object(sprox, origin):
    put(origin, "a", "b")
    nginx = sprox()
    assert keys(nginx) == ["a", "b"]
    origin.delete("bucket", "b")
    assert nginx.request("PURGE", "/bucket/b").status == 200
    assert keys(nginx) == ["a"]
    wait_cached(nginx, origin)


def test_a_restart(sprox, origin):
    """What was told before it, nobody knows."""
    put(origin, "a")
    nginx = sprox()
    assert keys(nginx) == ["a"]
    new = origin.put("bucket", "b", b"new!")
    nginx.sender.tell(created("bucket", "b", new))
    nginx.reload(wait_old=True)
    nginx.stop()
    nginx.start()
    assert keys(nginx) == ["a", "b"]
    wait_cached(nginx, origin)
    assert lists(origin) <= 3


def test_a_restart_after_a_purge(make_nginx, origin):
    """Where no events come, either."""
    put(origin, "a", "b")
    nginx = serve(make_nginx, origin.endpoint,
                  more="sprox_list cached 1h;")
    assert keys(nginx) == keys(nginx) == ["a", "b"]
    assert lists(origin) == 1
    origin.delete("bucket", "b")
    assert nginx.request("PURGE", "/bucket/b").status == 200
    nginx.stop()
    nginx.start()
    assert keys(nginx) == ["a"]
    wait_cached(nginx, origin)
    assert lists(origin) <= 3
