"""
What a listing teaches: the size, the ETag and the time of each object, by
which the reads that follow go.
"""

import random
import time

import pytest

from harness.listing import Lister
from harness.sprox import error_code, serve, wait_idle


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(words, ...): words of the policy of the one alias."""
    def make(words: str = "", **options):
        return serve(make_nginx, origin.endpoint, aliases="sprox_alias "
                     f"$bucket {{ target store://$bucket/; {words} }}",
                     **{"valid": "1m", **options})

    return make


def seconds(text: str) -> str:
    """A Last-Modified header as the listings write it."""
    moment = time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT")
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", moment)


@pytest.mark.parametrize("source", ["origin", "cached 5m"])
def test_a_listed_object_costs_one_get(sprox, origin, source):
    body = random.Random(8).randbytes(200_000)
    obj = origin.put("bucket", "dir/a b", body, meta={"who": "me"})
    nginx = sprox(f"list {source};")
    page = Lister(nginx.port, "bucket").page(list_type=2)
    listed = page.objects["dir/a b"]

    response = nginx.get("/bucket/dir/a%20b",
                         {"If-Match": listed["ETag"]})
    assert response.status == 200 and response.body == body
    entries = origin.requests(key="dir/a b")
    assert [e.method for e in entries] == ["GET"]
    assert entries[0].headers["if-match"] == obj.etag

    head = nginx.head("/bucket/dir/a%20b")
    assert origin.count(key="dir/a b") == 1
    for answer in (response, head):
        assert answer["etag"] == listed["ETag"] == obj.etag
        assert answer["content-length"] == listed["Size"] == "200000"
        assert seconds(answer["last-modified"]) == listed["LastModified"]
        assert answer["x-amz-meta-who"] == "me"


def test_a_listed_object_that_was_replaced(sprox, origin):
    origin.put("bucket", "k", b"old" * 1000)
    nginx = sprox()
    Lister(nginx.port, "bucket").all()
    origin.put("bucket", "k", b"new" * 500)
    response = nginx.get("/bucket/k")
    assert response.status == 200 and response.body == b"new" * 500
    assert response["etag"] == origin.get("bucket", "k").etag


def test_a_listing_renews(sprox, origin):
    """A listing is a proof like another: a new ETag means new bytes."""
    origin.put("bucket", "k", b"old")
    nginx = sprox()
    assert nginx.get("/bucket/k").body == b"old"
    origin.put("bucket", "k", b"newer")
    assert nginx.get("/bucket/k").body == b"old"        # valid 1m
    Lister(nginx.port, "bucket").all()
    response = nginx.get("/bucket/k")
    assert response.body == b"newer"
    assert nginx.head("/bucket/k")["content-length"] == "5"


def test_a_listing_after_a_missing_key(sprox, origin):
    origin.put("bucket", "a", b"a")
    nginx = sprox()
    assert nginx.get("/bucket/k").status == 404
    origin.put("bucket", "k", b"body")
    assert "k" in Lister(nginx.port, "bucket").all()
    assert nginx.get("/bucket/k").body == b"body"


# head listing

def test_head_by_the_listing(sprox, origin):
    """What a listing told answers; what only a HEAD tells is not there."""
    obj = origin.put("bucket", "k", b"x" * 70_000, meta={"who": "me"},
                     content_type="text/csv")
    nginx = sprox("head listing;")
    listed = Lister(nginx.port, "bucket").page(list_type=2).objects["k"]

    head = nginx.head("/bucket/k")
    assert (head.status, head.body) == (200, b"")
    assert head["content-length"] == listed["Size"] == "70000"
    assert head["etag"] == listed["ETag"] == obj.etag
    assert seconds(head["last-modified"]) == listed["LastModified"]
    assert head["accept-ranges"] == "bytes"
    assert "x-amz-meta-who" not in head.headers
    assert head["content-type"] == "binary/octet-stream"

    for field, value, status in [
            ("If-None-Match", obj.etag, 304), ("If-Match", '"no"', 412),
            ("Range", "bytes=-100", 206), ("Range", "bytes=70000-", 416)]:
        answer = nginx.head("/bucket/k", {field: value})
        assert answer.status == status, field
    assert origin.count(key="k") == 0

    # once a read has told more, so does a HEAD
    assert nginx.get("/bucket/k").body == b"x" * 70_000
    head = nginx.head("/bucket/k")
    assert head["x-amz-meta-who"] == "me"
    assert head["content-type"] == "text/csv"
    assert [e.method for e in origin.requests(key="k")] == ["GET"]


def test_head_of_an_empty_listed_object(sprox, origin):
    origin.put("bucket", "k", b"", meta={"who": "me"})
    nginx = sprox("head listing;")
    Lister(nginx.port, "bucket").all()
    head = nginx.head("/bucket/k")
    assert (head.status, head["content-length"]) == (200, "0")
    assert origin.count(key="k") == 0
    # a GET is no HEAD: it tells all
    response = nginx.get("/bucket/k")
    assert (response.status, response["x-amz-meta-who"]) == (200, "me")
    assert origin.count(key="k") == 1


def test_head_that_no_listing_told(sprox, origin):
    """Unknown, or known for too long: the origin is asked."""
    origin.put("bucket", "k", b"body", meta={"who": "me"})
    nginx = sprox("head listing; valid 0;")
    assert nginx.head("/bucket/k")["x-amz-meta-who"] == "me"
    assert [e.method for e in origin.requests(key="k")] == ["HEAD"]
    answer = nginx.head("/bucket/none")
    assert answer.status == 404
    Lister(nginx.port, "bucket").all()
    assert nginx.head("/bucket/k")["x-amz-meta-who"] == "me"
    assert origin.count(key="k") == 2


def test_head_origin_asks_once(sprox, origin):
    origin.put("bucket", "k", b"body", meta={"who": "me"})
    nginx = sprox("head origin;")
    Lister(nginx.port, "bucket").all()
    for _ in range(2):
        assert nginx.head("/bucket/k")["x-amz-meta-who"] == "me"
    assert [e.method for e in origin.requests(key="k")] == ["HEAD"]


def test_head_by_the_listing_in_an_outage(sprox, origin):
    origin.put("bucket", "k", b"body")
    nginx = sprox("head listing; valid 0; stale 1h;")
    Lister(nginx.port, "bucket").all()
    origin.script(status=500, key="k")
    answer = nginx.head("/bucket/k")
    assert (answer.status, answer["content-length"]) == (200, "4")
    nginx.expect_log("serving what was known")


def test_range_of_a_listed_object(sprox, origin):
    """No HEAD, and pinned from the start; a suffix by the listed size."""
    body = random.Random(2).randbytes(400_000)
    obj = origin.put("bucket", "k", body)
    nginx = sprox()
    Lister(nginx.port, "bucket").all()
    for header, want in [("bytes=-1000", body[-1000:]),
                         ("bytes=70000-70099", body[70000:70100])]:
        answer = nginx.get("/bucket/k", {"Range": header})
        assert (answer.status, answer.body) == (206, want)
    wait_idle(nginx)
    reads = origin.requests(key="k")
    assert [e.method for e in reads] == ["GET", "GET"]
    assert all(e.headers["if-match"] == obj.etag for e in reads)
    # what the size says cannot be is asked of nobody
    answer = nginx.get("/bucket/k", {"Range": "bytes=400000-"})
    assert (answer.status, error_code(answer)) == (416, "InvalidRange")
    assert origin.count(key="k") == 2
