"""
A bucket that some alias names, and that "$bucket" would serve as well: what
the origin lacks under that name is no error, and what no listing can show is
not asked for.
"""

import re

import pytest

from harness import s3xml
from harness.listing import expected
from test_list import HTTP, Lister

ALIASES = """
    sprox_alias events/$year/$month { target store://lake/y=$year/m=$month/; }
    sprox_alias whole               { target store://lake/whole/; }
    sprox_alias hidden              { target store://lake/whole/; list off; }
    sprox_alias $bucket             { target store://$bucket/; }
"""
LISTS = re.compile("^ListObjects")


@pytest.fixture
def sprox(make_nginx, origin):
    for key in ("y=1/m=1/a", "y=1/m=2/b", "y=2/m=1/c", "whole/x"):
        origin.put("lake", key, s3xml.order(key))
    return make_nginx(HTTP, aliases=ALIASES, endpoint=origin.endpoint,
                      credentials="anonymous", list="cached 1m")


NAMES = ["1/1/a", "1/2/b", "2/1/c"]


@pytest.mark.parametrize("prefix", ["", "1", "1/", "1/1", "1/1/", "3/", "x"])
def test_no_such_bucket_is_nothing_more(sprox, origin, prefix):
    want = [name for name in NAMES if name.startswith(prefix)]
    assert Lister(sprox.port, "events").all(prefix=prefix) == want
    asked = origin.count()
    assert Lister(sprox.port, "events").all(prefix=prefix) == want
    assert origin.count() == asked
    assert not origin.count(operation=LISTS, status=500)


@pytest.mark.parametrize("there", [[], ["0", "1/x", "3/x", "3/1/no"]])
def test_common_prefixes(sprox, origin, there):
    """Above "1/1" no name leads to events/$year/$month: "1/" is listed."""
    for key in there:
        origin.put("events", key, s3xml.order(key))
    names = NAMES + [key for key in there if key != "3/1/no"]
    lister = Lister(sprox.port, "events")
    for prefix in ("", "1", "1/", "1/1", "1/1/", "3", "3/"):
        for delimiter in ("/", "a", "/x"):
            for size in (1, 2, 1000):
                assert lister.all(prefix=prefix, delimiter=delimiter,
                                  max_keys=size) \
                    == expected(names, prefix, delimiter), \
                    (prefix, delimiter, size)


def test_what_is_there_is_merged(sprox, origin):
    for key in ("0", "1/1", "1/1/hidden", "1/x", "z"):
        origin.put("events", key, s3xml.order(key))
    assert Lister(sprox.port, "events").all() \
        == ["0", "1/1", *NAMES[:2], "1/x", NAMES[2], "z"]
    assert sprox.get("/events/z").status == 200
    assert sprox.get("/events/1/1/hidden").status == 404


def test_covered_names_are_not_asked_for(sprox, origin):
    origin.put("events", "1/1/hidden", b"no")
    origin.put("whole", "hidden", b"no")
    assert Lister(sprox.port, "events").all(prefix="1/1/") == ["1/1/a"]
    assert Lister(sprox.port, "whole").all() == ["x"]
    assert {e.bucket for e in origin.requests()} == {"lake"}
    assert sprox.get("/hidden?list-type=2").status == 403
    assert origin.count(bucket="hidden") == 0


def test_other_failures_are_told(sprox, origin):
    """Half a listing would be a lie."""
    origin.script(bucket="events", status=403, code="AccessDenied", times=1)
    assert sprox.get("/events?list-type=2").status == 403
    assert Lister(sprox.port, "events").all() == NAMES
    response = sprox.get("/other?list-type=2")
    assert response.status == 404 and "NoSuchBucket" in response.text


def test_head_bucket(sprox, origin):
    assert sprox.head("/events").status == 200
    assert sprox.head("/whole").status == 200
    assert sprox.head("/other").status == 404
    assert sprox.head("/lake").status == 200
    assert {e.bucket for e in origin.requests()} == {"lake", "other"}
