"""
Listings: each is held against S3's rules over the keys that an alias shows
(harness/listing.py), or against the same store listed directly.
"""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import s3xml
from harness.listing import Lister, expected, parse
from harness.versity import s3_client
from harness.wire import request

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;
    sprox_origin store {
        endpoint @endpoint@; region us-east-1; style path;
        credentials @credentials@; retries 0;
    }
    sprox_cache nvme;
    sprox_valid 1m;
    sprox_list  @list@;
    sprox_domain sprox.test;
    keepalive_requests 100000;
@aliases@
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location = /metrics { sprox_metrics; }
    }
"""
PLAIN = "sprox_alias $bucket { target store://$bucket/; }"
LISTS = ("ListObjects", "ListObjectsV2")
SOURCES = ["origin", "cached 5m"]

HOSTILE = [
    " ", "a b", "a+b", "a%20b", "%", "%2F", "a//b", "//", "/a", "./a", "../a",
    "a/./b", "a/../b", "a'b", 'a"b', "a&b", "a=b", "a?b", "a#b", "a;b", "<a>",
    "]]>", "&amp;", "a\\b", "tab\tx", "new\nline", "cr\rx", "nul\x01x",
    "\x1f", "\x7f", "é", "日本/語", "\U0001f600", "﻿bom", "\ue000",
    "~", "-", "_", "z" * 1024, "é" * 512, "*", "!a", "a,b", "$var", "@x", "{}",
]


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(aliases, list=...): an nginx over the scripted origin."""
    def make(aliases: str = PLAIN, list: str = "origin", **options):
        return make_nginx(HTTP, aliases=aliases, list=list,
                          **{"endpoint": origin.endpoint,
                             "credentials": "anonymous", **options})

    return make


@pytest.fixture
def real(make_nginx, versity):
    """The same over the real store."""
    def make(aliases: str = PLAIN, list: str = "origin"):
        return make_nginx(
            HTTP, aliases=aliases, list=list, endpoint=versity.endpoint,
            credentials=f'static {versity.access} "{versity.secret}"')

    return make


def lists(origin) -> int:
    return origin.count(operation=re.compile("^ListObjects"))


def put(origin, bucket: str, keys) -> None:
    origin.bucket(bucket)
    for key in keys:
        origin.put(bucket, key, s3xml.order(key))


# parameters

KEYS = ["a", "a/1", "a/2", "a/b/3", "a0", "b/1", "b/2", "c", "dé/x", "é"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("version", [1, 2])
def test_parameters(sprox, origin, version, source):
    put(origin, "bucket", KEYS)
    lister = Lister(sprox(list=source).port, "bucket")
    v2 = {"list_type": 2} if version == 2 else {}

    def listed(**params):
        page = lister.page(**v2, **params)
        if version == 2:
            assert int(page.fields["KeyCount"]) == len(page.items)
        return page

    for _ in range(2):
        for prefix in ["", "a", "a/", "a/b", "é", "d", "x", "a/b/3", "a/b/3x"]:
            for delimiter in ["", "/", "b", "/b", "é", "--"]:
                for after in ["", "a", "a/", "a/1", "a/1x", "b/", "b/9", "z"]:
                    page = listed(prefix=prefix, delimiter=delimiter,
                                  **{"start_after" if v2 else "marker": after})
                    want = expected(KEYS, prefix, delimiter, after)
                    assert page.items == want, (prefix, delimiter, after)
                    assert not page.truncated

    # what was asked is said again
    page = listed(prefix="d", delimiter="/", max_keys=7,
                  **{"start_after" if v2 else "marker": "c c"})
    assert page.fields["Name"] == "bucket"
    assert page.fields["Prefix"] == "d"
    assert page.fields["Delimiter"] == "/"
    assert page.fields["MaxKeys"] == "7"
    assert page.fields["StartAfter" if v2 else "Marker"] == "c c"
    page = listed(delimiter="")
    assert "Delimiter" not in page.fields
    assert page.keys == sorted(KEYS, key=s3xml.order)
    lister.close()


@pytest.mark.parametrize("source", SOURCES)
def test_max_keys(sprox, origin, source):
    keys = [f"k{i:04}" for i in range(1500)]
    put(origin, "bucket", keys)
    lister = Lister(sprox(list=source).port, "bucket")

    for want, size, said in [("0", 0, "0"), ("1", 1, "1"), ("2", 2, "2"),
                             ("999", 999, "999"), ("1000", 1000, "1000"),
                             ("5000", 1000, "1000"), ("", 1000, "1000"),
                             ("2147483647", 1000, "1000")]:
        for v2 in ({}, {"list_type": 2}):
            page = lister.page(**v2, max_keys=want)
            assert page.keys == keys[:size]
            assert page.fields["MaxKeys"] == said
            assert page.truncated == (size > 0)

    for bad in ["-1", "x", "1x", "2147483648", "99999999999999999999", "1.5"]:
        response = lister.raw(f"list-type=2&max-keys={bad}")
        assert response.status == 400
        assert "<Code>InvalidArgument</Code>" in response.text
    lister.close()


def test_tokens(sprox, origin):
    put(origin, "bucket", KEYS)
    nginx = sprox()
    lister = Lister(nginx.port, "bucket")

    first = lister.page(list_type=2, max_keys=3)
    token = first.next
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)       # needs no escaping
    second = lister.page(list_type=2, max_keys=3, continuation_token=token)
    assert second.fields["ContinuationToken"] == token
    assert first.keys + second.keys == sorted(KEYS, key=s3xml.order)[:6]

    # a token goes before start-after, whatever is asked with it
    again = lister.page(list_type=2, start_after="zzz",
                        continuation_token=token, max_keys=3)
    assert again.keys == second.keys
    assert lister.page(list_type=2, continuation_token="").keys \
        == sorted(KEYS, key=s3xml.order)
    lister.close()

    # tokens outlive a restart
    nginx.restart()
    lister = Lister(nginx.port, "bucket")
    assert lister.page(list_type=2, max_keys=3,
                       continuation_token=token).keys == second.keys

    for bad in ["x", "AA", "%00", "tok+/YQ==", token + "!", "A" * 5000,
                "/" + token]:
        response = lister.raw("list-type=2&continuation-token=" + bad)
        assert response.status == 400, bad
        assert "<Code>InvalidArgument</Code>" in response.text
    lister.close()


def test_odd_requests(sprox, origin):
    """As real clients write them."""
    put(origin, "bucket", KEYS)
    port = sprox().port
    want = sorted(KEYS, key=s3xml.order)

    for target in ["/bucket?list-type=2", "/bucket/?list-type=2",
                   "/bucket?encoding-type=url&list-type=2",
                   "/bucket/?prefix=&delimiter=&list-type=2&max-keys=1000",
                   "/bucket?list-type=2&x-id=ListObjectsV2",
                   "/bucket/?max-keys=1000&marker=&delimiter=&prefix=",
                   "/bucket", "/bucket/", "/bucket?", "/bucket/?delimiter=",
                   "/%62ucket?list-type=2", "/bucket?list%2Dtype=2",
                   "/bucket?&&list-type=2&", "/bucket?list-type=2&unknown=1"]:
        response = request(port, "GET", target)
        assert response.status == 200, (target, response)
        assert parse(response.body).keys == want, target

    # a query's plus is a space, its %2B a plus
    put(origin, "bucket", ["p q", "p+q"])
    page = parse(request(port, "GET", "/bucket?prefix=p+").body)
    assert page.keys == ["p q"]
    page = parse(request(port, "GET", "/bucket?prefix=p%2B").body)
    assert page.keys == ["p+q"]

    # presigned, and signed by a client that we do not know
    for headers, more in [({}, "&X-Amz-Signature=00&X-Amz-Expires=60"
                           "&X-Amz-Algorithm=AWS4-HMAC-SHA256"),
                          ({"Authorization": "AWS4-HMAC-SHA256 Credential=x",
                            "x-amz-date": "20260101T000000Z"}, "")]:
        response = request(port, "GET", "/bucket?list-type=2" + more, headers)
        assert parse(response.body).keys \
            == sorted(KEYS + ["p q", "p+q"], key=s3xml.order)
    for entry in origin.requests():
        assert not entry.signed and "X-Amz" not in entry.query
        assert "x-amz-date" not in entry.headers


def test_fetch_owner(real, versity, bucket):
    versity.put(bucket, {"a": b"1"})
    client = s3_client(real().endpoint)
    without = client.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert "Owner" not in without
    direct = versity.client().list_objects_v2(Bucket=bucket, FetchOwner=True)
    ours = client.list_objects_v2(Bucket=bucket, FetchOwner=True)
    assert ours["Contents"][0].get("Owner") \
        == direct["Contents"][0].get("Owner")


def test_literal_shapes(sprox, origin):
    """DuckDB looks for these by strstr()."""
    put(origin, "bucket", ["a&b", "d/x"])
    text = request(sprox().port, "GET",
                   "/bucket?list-type=2&delimiter=/").text
    assert "<Contents><Key>a&amp;b</Key>" in text
    assert "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>" in text
    assert re.search(r"<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z<",
                     text)
    assert "<Size>3</Size>" in text
    assert re.search(r"<ETag>(&quot;|\")[0-9a-f]{32}(&quot;|\")</ETag>", text)


# names

@pytest.mark.parametrize("source", SOURCES)
def test_hostile_keys(sprox, origin, source):
    put(origin, "bucket", HOSTILE)
    nginx = sprox(list=source)
    lister = Lister(nginx.port, "bucket")
    want = expected(HOSTILE)

    for version in (1, 2):
        for size in (1, 2, 7, 1000):
            assert lister.all(version=version, max_keys=size) == want

    for key in HOSTILE:
        page = lister.page(list_type=2, encoding_type="url", prefix=key)
        assert page.items == expected(HOSTILE, key), key
        if len(key) < 512:
            page = lister.page(list_type=2, encoding_type="url", delimiter=key)
            assert page.items == expected(HOSTILE, "", key), key
        for param in ("start_after", "marker"):
            v2 = {"list_type": 2} if param == "start_after" else {}
            page = lister.page(**v2, encoding_type="url", **{param: key})
            assert page.items == expected(HOSTILE, "", "", key), key
    lister.close()


def test_keys_that_xml_can_carry(sprox, origin):
    """Without encoding-type, as object_store and Polars ask."""
    keys = [k for k in HOSTILE if not re.search("[\x00-\x1f\x7f]", k)]
    put(origin, "bucket", keys)
    lister = Lister(sprox().port, "bucket")
    assert lister.all(encoding_type="") == expected(keys)
    assert lister.all(encoding_type="", prefix="a", delimiter="/") \
        == expected(keys, "a", "/")

    # line ends survive a parser as references; the rest needs url
    put(origin, "bucket", ["x\ty", "x\ny", "x\ry"])
    page = lister.page(list_type=2, prefix="x")
    assert page.keys == ["x\ty", "x\ny", "x\ry"]
    lister.close()


def test_keys_that_are_no_utf8(sprox, origin):
    keys = [b"\xff".decode("utf-8", "surrogateescape"), "a",
            b"\xc3(".decode("utf-8", "surrogateescape")]
    put(origin, "bucket", keys)
    lister = Lister(sprox().port, "bucket")
    for size in (1, 2, 7):
        assert lister.all(max_keys=size) == expected(keys)
    assert lister.page(list_type=2).items      # readable, at least
    lister.close()


# generated keys, all pages

ALPHABET = ["a", "b", "/", "/", "-", ".", "0", " ", "é", "z"]


def generated(seed: int, number: int, longest: int = 7,
              alphabet=ALPHABET) -> list:
    rng = random.Random(seed)
    keys = set()
    while len(keys) < number:
        keys.add("".join(rng.choice(alphabet)
                         for _ in range(rng.randint(1, longest))))
    return sorted(keys, key=s3xml.order)


def check_walks(lister: Lister, keys: list, prefixes, delimiters, sizes,
                versions=(2,), afters=("",)) -> None:
    """Every combination, through all pages."""
    for prefix in prefixes:
        for delimiter in delimiters:
            for after in afters:
                want = expected(keys, prefix, delimiter, after)
                for size in sizes:
                    for version in versions:
                        name = "start_after" if version == 2 else "marker"
                        got = lister.all(
                            version=version, prefix=prefix, max_keys=size,
                            delimiter=delimiter,
                            **({name: after} if after else {}))
                        assert got == want, (prefix, delimiter, after, size,
                                             version)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", [1, 2])
def test_generated(sprox, origin, seed, source):
    keys = sorted({*generated(seed, 60), "//", "//a", "//b", "///"},
                  key=s3xml.order)
    put(origin, "bucket", keys)
    lister = Lister(sprox(list=source).port, "bucket")
    check_walks(lister, keys, ["", "a", "b/", "a/b", "/"], ["", "/", "-", "/a"],
                [1, 2, 7, 1000])
    check_walks(lister, keys, ["/"], ["//"], [1, 2])
    check_walks(lister, keys, ["", "a"], ["", "/"], [2, 7], versions=(1, 2),
                afters=["a", "a/", "b/a", "é"])
    lister.close()


def test_generated_against_a_real_store(real, versity, bucket):
    # a directory's names: no empty segments, and no file that is a folder
    rng = random.Random(3)
    keys = {f"{rng.choice('ab-z')}{rng.choice('ab.0')}/"
            f"{rng.choice(['x', 'y y', 'é'])}{rng.randint(0, 3)}/f{i:02}"
            for i in range(40)} | {f"top-{i}" for i in range(8)}
    versity.put(bucket, {key: key.encode() for key in keys})
    lister = Lister(real().port, bucket)
    check_walks(lister, sorted(keys), ["", "a", "aa/", "a."], ["", "/"],
                [7, 1000], versions=(1, 2))
    check_walks(lister, sorted(keys), ["a"], ["", "/"], [1, 2])

    theirs = versity.client().list_objects_v2(Bucket=bucket)["Contents"]
    page = lister.page(list_type=2)
    assert page.keys == [c["Key"] for c in theirs]
    for c in theirs:
        ours = page.objects[c["Key"]]
        assert ours["ETag"] == c["ETag"]
        assert int(ours["Size"]) == c["Size"]
        assert ours["LastModified"][:19] \
            == c["LastModified"].strftime("%Y-%m-%dT%H:%M:%S")
    lister.close()


# aliases

@pytest.mark.parametrize("source", SOURCES)
def test_prefix_alias(sprox, origin, source):
    keys = generated(4, 40)
    put(origin, "somebucket", [f"anotherpath/{k}" for k in keys]
        + ["anotherpath", "anotherpath/", "anotherpath0", "anotherpat", "zz"])
    nginx = sprox("sprox_alias tblB { target store://somebucket/anotherpath/; }",
                  source)
    lister = Lister(nginx.port, "tblB")
    assert lister.page(list_type=2).fields["Name"] == "tblB"
    check_walks(lister, keys, ["", "a", "b/"], ["", "/", "-"], [1, 2, 7, 1000],
                versions=(1, 2))
    check_walks(lister, keys, ["", "a"], ["", "/"], [7],
                afters=["a", "a/", "b/a", "é"])
    lister.close()


TEMPLATES = {
    "segments": ("tblA/$y/$m/$d", "store://somebucket/path/$y/$m/$d",
                 r"path/([^/]+)/([^/]+)/([^/]+)/(.*)", "{}/{}/{}/{}",
                 "path/{}/{}/{}/{}"),
    "hive": ("tblA/y=$y/m=$m", "store://somebucket/y=$y/m=$m",
             r"y=([^/]+)/m=([^/]+)/(.*)", "y={}/m={}/{}", "y={}/m={}/{}"),
    "tohive": ("tblA/$y/$m", "store://somebucket/t/y=$y/m=$m",
               r"t/y=([^/]+)/m=([^/]+)/(.*)", "{}/{}/{}", "t/y={}/m={}/{}"),
    "tenant": ("tblA/$tenant", "store://somebucket/$tenant/data",
               r"([^/]+)/data/(.*)", "{}/{}", "{}/data/{}"),
    "literal": ("tblA/l/$x.d", "store://somebucket/k/$x.d",
                r"k/((?:(?!\.d/)[^/])+)\.d/(.*)", "l/{}.d/{}", "k/{}.d/{}"),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", TEMPLATES)
def test_template_alias(sprox, origin, kind, source):
    pattern, target, regex, shown, stored = TEMPLATES[kind]
    rng = random.Random(5)
    words = ["2024", "2025", "2025-", "20", "a", "a.b", "é"]
    rest = ["", "x", "x/y", "x/", "y", "z-"]
    number = stored.count("{}") - 1
    keys = {stored.format(*(rng.choice(words) for _ in range(number)),
                          rng.choice(rest)) for _ in range(40)}
    keys |= {"stray", "path", "y=1", "t", "k", "zz"}        # fit nothing
    put(origin, "somebucket", keys)

    names = set()
    for key in keys:
        match = re.fullmatch(regex, key, re.DOTALL)
        if match:
            names.add(shown.format(*match.groups()))
    assert len(names) > 15

    nginx = sprox(f"sprox_alias {pattern} {{ target {target}; }}", source)
    lister = Lister(nginx.port, "tblA")
    some = sorted(names, key=s3xml.order)[7]
    prefixes = {some[:n] for n in range(0, len(some) + 1)} | {"2", "y=", "zz"}
    check_walks(lister, list(names), sorted(prefixes), ["", "/"], [2, 1000])
    check_walks(lister, list(names), ["", some[:3]], ["", "/", "-", "0"],
                [1, 7, 1000], versions=(1, 2))
    check_walks(lister, list(names), [""], ["", "/"], [3],
                afters=[some, some[:-1], some[:4], "2025", "2025/", "zzz"])

    for name in names:      # LIST and GET agree
        response = nginx.head(f"/tblA/{name}".encode())
        if not name.endswith("/"):
            assert response.status == 200, name
    lister.close()


def test_bucket_variable(sprox, origin):
    put(origin, "lake-a", ["x", "y/z"])
    put(origin, "lake-b", ["b/1"])
    port = sprox("sprox_alias $b { target store://lake-$b/; }").port
    assert Lister(port, "a").all() == ["x", "y/z"]
    assert Lister(port, "b").all() == ["b/1"]
    response = request(port, "GET", "/c?list-type=2")
    assert response.status == 404
    assert "<Code>NoSuchBucket</Code>" in response.text
    assert "lake-c" not in response.text


MERGED = """
    sprox_alias data        { target store://b-one/in/; }
    sprox_alias data/raw    { target other://b-two/; }
    sprox_alias data/cooked { target store://b-three/c/d/; }
    sprox_origin other { endpoint @other@; region us-east-1; style path;
                         credentials anonymous; retries 0; }
"""


@pytest.mark.parametrize("source", SOURCES)
def test_several_aliases(sprox, origin, make_origin, source):
    other = make_origin()
    one = ["a", "b/1", "cooke", "cooked", "cooked-", "cooked/hidden", "cookee",
           "coo/1", "raw", "raw-", "raw/hidden/1", "raw/zz", "raw0", "z/1",
           "z/2"]
    two = generated(6, 25)
    three = generated(7, 25)
    put(origin, "b-one", [f"in/{k}" for k in one] + ["in", "out/x"])
    put(other, "b-two", two)
    put(origin, "b-three", [f"c/d/{k}" for k in three] + ["c/e", "c/d"])

    nginx = sprox(MERGED, source, other=other.endpoint)
    names = [k for k in one if not k.startswith(("raw/", "cooked/"))] \
        + [f"raw/{k}" for k in two] + [f"cooked/{k}" for k in three]
    lister = Lister(nginx.port, "data")
    check_walks(lister, names,
                ["", "c", "cooked", "cooked/", "cooked/a", "raw/", "raw/b/",
                 "ra", "z"],
                ["", "/", "-", "ed/"], [1, 2, 7, 1000])
    check_walks(lister, names, [""], ["", "/"], [3], versions=(1,),
                afters=["cooked/", "cooked/a", "raw", "raw/", "raw0", "zz"])
    lister.close()

    assert nginx.get("/data/raw/" + "nothing").status == 404
    assert nginx.get("/data/raw/zz").status == 404      # hidden
    assert nginx.get("/data/raw-").status == 200


def test_an_empty_alias_hides_what_is_below(sprox, origin):
    put(origin, "b-one", ["in/a", "in/raw/hidden"])
    origin.bucket("b-two")
    port = sprox("""
        sprox_alias data     { target store://b-one/in/; }
        sprox_alias data/raw { target store://b-two/; }
    """).port
    for size in (1, 2, 1000):
        assert Lister(port, "data").all(max_keys=size) == ["a"]
        assert Lister(port, "data").all(prefix="raw/", max_keys=size) == []


def test_one_origin_of_several_fails(sprox, origin, make_origin):
    """Half a listing would be a lie."""
    other = make_origin()
    put(origin, "b-one", ["in/a"])
    put(origin, "b-three", ["c/d/x"])
    put(other, "b-two", ["b"])
    nginx = sprox(MERGED, other=other.endpoint)
    assert Lister(nginx.port, "data").all() == ["a", "cooked/x", "raw/b"]
    other.script(status=500, code="InternalError")
    response = nginx.get("/data?list-type=2")
    assert response.status == 500
    assert "<Code>InternalError</Code>" in response.text
    other.clear_script()
    origin.script(bucket="b-three", status=403, code="AccessDenied")
    assert nginx.get("/data?list-type=2").status == 403
    other.stop()
    assert nginx.get("/data?list-type=2&prefix=raw/").status == 502


def test_list_off(sprox, origin):
    put(origin, "open", ["a"])
    put(origin, "shut", ["b"])
    port = sprox("""
        sprox_alias open      { target store://open/; }
        sprox_alias open/shut { target store://shut/; list off; }
        sprox_alias shut      { target store://shut/; list off; }
    """).port
    response = request(port, "GET", "/shut?list-type=2")
    assert response.status == 403
    assert "<Code>AccessDenied</Code>" in response.text
    assert request(port, "GET", "/shut/b").status == 200
    assert Lister(port, "open").all() == ["a"]
    assert request(port, "GET", "/open/shut/b").status == 200
    assert origin.count(bucket="shut", operation="ListObjectsV2") == 0


# buckets

def buckets(port: int, **more) -> list:
    response = request(port, "GET", "/", **more)
    assert response.status == 200
    return re.findall("<Name>([^<]*)</Name>", response.text)


def test_list_buckets(sprox, origin, make_origin):
    for name in ("zeta", "alpha", "lake"):
        origin.bucket(name)
    port = sprox("""
        sprox_alias tblA/$y   { target store://lake/$y; }
        sprox_alias tblB      { target store://lake/b/; }
        sprox_alias alpha     { target store://alpha/; }
        sprox_alias hidden-$x { target store://$x/; list off; }
    """ + PLAIN).port
    assert buckets(port) == ["alpha", "lake", "tblA", "tblB", "zeta"]
    client = s3_client(f"http://127.0.0.1:{port}")
    for bucket in client.list_buckets()["Buckets"]:
        assert bucket["CreationDate"]


def test_list_buckets_without_asking(sprox, origin):
    port = sprox("sprox_alias tblB { target store://lake/b/; }").port
    assert buckets(port) == ["tblB"]
    assert origin.requests() == []


def test_no_such_bucket(sprox, origin):
    origin.bucket("there")
    nginx = sprox("sprox_alias there { target store://there/; }"
                  "sprox_alias gone  { target store://not-there/; }")
    for bucket in ("nowhere", "gone", "UPPER", "a..b", "a"):
        response = nginx.get(f"/{bucket}?list-type=2")
        assert response.status == 404, bucket
        assert "<Code>NoSuchBucket</Code>" in response.text
        assert "not-there" not in response.text
        assert nginx.head(f"/{bucket}").status == 404
    assert {e.bucket for e in origin.requests()} == {"not-there"}


def test_head_bucket_and_location(sprox, origin):
    origin.bucket("bucket")
    origin.bucket("tbl")
    nginx = sprox(PLAIN + "sprox_alias tblA/$y { target store://tbl/$y; }")
    for bucket in ("bucket", "tblA"):
        response = nginx.head(f"/{bucket}")
        assert response.status == 200 and response.body == b""
        assert response["x-amz-bucket-region"] == "us-east-1"
        assert nginx.head(f"/{bucket}/").status == 200
    response = nginx.get("/bucket?location")
    assert response.status == 200
    assert re.search(r"<LocationConstraint[^>]*></LocationConstraint>",
                     response.text)
    assert nginx.get("/bucket/?location=").text == response.text
    assert nginx.get("/UP?location").status == 404
    client = s3_client(nginx.endpoint)
    assert client.head_bucket(Bucket="bucket")
    assert not client.get_bucket_location(Bucket="bucket")[
        "LocationConstraint"]


def test_virtual_hosted(sprox, origin):
    put(origin, "bucket", ["a", "b/c", "bucket/x"])
    nginx = sprox()

    def ask(target: str, host: str = "bucket.sprox.test", method="GET"):
        return nginx.request(method, target, {"Host": host})

    for host in ("bucket.sprox.test", "bucket.sprox.test:9000",
                 "bucket.SPROX.test"):
        assert ask("/a", host).body == b"a"
        assert parse(ask("/?list-type=2", host).body).keys \
            == ["a", "b/c", "bucket/x"]
    assert ask("/bucket/x").body == b"bucket/x"
    assert ask("/?location").status == 200
    assert ask("/", method="HEAD").status == 200
    page = parse(ask("/?list-type=2&prefix=b/&delimiter=/").body)
    assert page.items == ["b/c"] and page.fields["Name"] == "bucket"

    # the domain itself: path style
    assert ask("/bucket/a", "sprox.test").body == b"a"
    assert "<Name>bucket</Name>" in ask("/", "sprox.test").text
    # another host that only ends alike
    assert ask("/bucket/a", "xsprox.test").body == b"a"


# many keys

def test_a_hundred_thousand_keys(sprox, origin):
    keys = [f"p={i // 1000:03}/part-{i:06}.parquet" for i in range(100_000)]
    body = b"x" * 10
    for key in keys:
        origin.put("bucket", key, body, etag='"same"', modified=1_600_000_000)
    nginx = sprox()
    lister = Lister(nginx.port, "bucket")

    began = time.monotonic()
    got = [k for page in lister.walk() for k in page.keys]
    spent = time.monotonic() - began
    origin.journal.wait_idle()
    origin_only = sum(e.ended - e.started for e in origin.requests())
    print(f"100,000 keys in {spent:.1f} s, the origin's part of it "
          f"{origin_only:.1f} s")
    assert got == keys
    assert lists(origin) <= 101
    assert lister.all(delimiter="/") == [f"p={i:03}/" for i in range(100)]
    lister.close()


def test_many_keys_from_the_cache(sprox, origin):
    keys = [f"k{i:06}" for i in range(20_000)]
    for key in keys:
        origin.put("bucket", key, b"x", etag='"same"')
    lister = Lister(sprox(list="cached 5m").port, "bucket")
    assert lister.all(encoding_type="") == keys
    number = lists(origin)
    began = time.monotonic()
    assert lister.all(encoding_type="") == keys
    print(f"20 cached pages in {time.monotonic() - began:.2f} s")
    assert lists(origin) == number
    lister.close()


# real clients

@pytest.mark.parametrize("source", SOURCES)
def test_boto3_paginator(sprox, origin, source):
    keys = generated(9, 50) + ["tab\tx", "é é"]
    put(origin, "bucket", keys)
    client = s3_client(sprox(list=source).endpoint, "any", "secret")

    for name in ("list_objects_v2", "list_objects"):
        for delimiter in ("", "/"):
            got = []
            for page in client.get_paginator(name).paginate(
                    Bucket="bucket", Delimiter=delimiter,
                    PaginationConfig={"PageSize": 7}):
                got += [c["Key"] for c in page.get("Contents", [])]
                got += [c["Prefix"] for c in page.get("CommonPrefixes", [])]
            assert sorted(got, key=s3xml.order) == expected(keys, "", delimiter)

    with pytest.raises(ClientError) as caught:
        client.list_objects_v2(Bucket="bucket", ContinuationToken="garbage!")
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"


def test_aws_cli(sprox, origin):
    keys = [f"d{i % 3}/f {i}" for i in range(20)] + ["plain", "é"]
    put(origin, "bucket", keys)
    nginx = sprox()
    done = subprocess.run(
        [sys.executable, Path(sys.executable).with_name("aws"),
         "--endpoint-url", nginx.endpoint, "--region", "us-east-1",
         "s3", "ls", "--recursive", "--page-size", "7", "s3://bucket"],
        capture_output=True, text=True, timeout=200,
        env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
             "PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
             "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    listed = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [words[3] for words in listed] == expected(keys)
    assert all(int(words[2]) == len(words[3].encode()) for words in listed)
