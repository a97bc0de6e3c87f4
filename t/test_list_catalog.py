"""
list catalog: listings out of shared memory, byte for byte what the origin
itself would give, and the origin's where the catalog is not complete.
"""

import json
import os
import random
import re
import signal
from contextlib import ExitStack
from datetime import timezone
from urllib.parse import quote

import pytest

from harness import s3xml, snapshot
from harness.admin import Admin
from harness.listing import Lister, expected, parse
from test_list import HOSTILE, generated, put

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;
    sprox_catalog zone=catalog:@zone@ @file@;
    sprox_origin store {
        endpoint @endpoint@; region us-east-1; style path;
        credentials @credentials@; retries 0;
    }
    sprox_cache nvme;
    sprox_valid 1h;
    keepalive_requests 100000;
    @aliases@
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location /_sprox/ { sprox_admin; allow 127.0.0.1; deny all; }
        location = /metrics { sprox_metrics; }
    }
"""
BOTH = """
    sprox_alias cat { target store://bucket/; list catalog; }
    sprox_alias ori { target store://bucket/; }
"""


@pytest.fixture
def sprox(make_nginx, origin):
    def make(aliases: str = BOTH, zone: str = "16m", **options):
        return make_nginx(HTTP, aliases=aliases, zone=zone,
                          file=options.pop("file", ""),
                          **{"endpoint": origin.endpoint,
                             "credentials": "anonymous", **options})

    return make


def alias(nginx, name: str = "cat") -> dict:
    response = nginx.get(f"/_sprox/aliases/{quote(name, safe='')}")
    assert response.status == 200, response
    return json.loads(response.body)


def complete(nginx, name: str = "cat") -> dict:
    nginx.wait(lambda: alias(nginx, name)["complete"], 30, "to crawl " + name)
    return alias(nginx, name)


def raw(nginx, bucket: str, **params) -> bytes:
    query = "&".join(f"{name.replace('_', '-')}={quote(str(value), safe='')}"
                     for name, value in params.items())
    response = nginx.get(f"/{bucket}?{query}")
    assert response.status == 200, response
    return response.body


def same(nginx, **params) -> bytes:
    """The page of both, equal but for the bucket's name."""
    cat, ori = (raw(nginx, bucket, **params) for bucket in ("cat", "ori"))
    assert cat.replace(b"<Name>cat</Name>", b"<Name>ori</Name>").decode() \
        == ori.decode(), params
    return cat


def listings(origin) -> int:
    return origin.count(operation="ListObjectsV2") \
        + origin.count(operation="ListObjects")


# equal to the origin

@pytest.mark.parametrize("version", [1, 2])
def test_byte_for_byte(sprox, origin, version):
    """Pages of all sizes, from all places, by all delimiters."""
    keys = sorted(set(generated(3, 400) + HOSTILE), key=s3xml.order)
    put(origin, "bucket", keys)
    nginx = sprox()
    assert complete(nginx)["objects"] == len(keys)
    before = listings(origin)

    chance = random.Random(version)
    kind = {"list_type": 2} if version == 2 else {}
    start = "start_after" if version == 2 else "marker"
    encodings = [{}, {"encoding_type": "url"}]
    asked = 0
    for delimiter in ("", "/", "a", "//", " ", "é"):
        for prefix in ("", "a", "a/", "d", "é", "none", chance.choice(keys)):
            for after in ("", "a/", chance.choice(keys), "~~~"):
                for size in (1, 7, 1000):
                    params = {**kind, **chance.choice(encodings),
                              "prefix": prefix, "max_keys": size}
                    if delimiter:
                        params["delimiter"] = delimiter
                    if after:
                        params[start] = after
                    same(nginx, **params)
                    asked += 1
    # what alias `ori` asked for, and nothing more
    assert listings(origin) - before <= asked
    ori = listings(origin)
    Lister(nginx.port, "cat").all()
    assert listings(origin) == ori


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_all_pages(sprox, origin, delimiter, size):
    keys = generated(5, 300)
    put(origin, "bucket", keys)
    nginx = sprox()
    complete(nginx)
    asked = listings(origin)
    cat = Lister(nginx.port, "cat")
    assert cat.all(delimiter=delimiter, max_keys=size) \
        == expected(keys, "", delimiter)
    assert listings(origin) == asked


def test_fields(sprox, origin):
    """What a crawl told is told: no request for anything."""
    origin.put("bucket", "k", b"x" * 1234, storage_class="STANDARD_IA",
               modified=1_000_000_000)
    origin.put("bucket", "parts", b"x" * 30, parts=(10, 20))
    origin.put("bucket", "empty", b"")
    nginx = sprox()
    complete(nginx)
    page = parse(same(nginx, list_type=2))
    assert page.objects["k"] == {
        "Size": "1234", "ETag": origin.get("bucket", "k").etag,
        "LastModified": "2001-09-09T01:46:40.000Z",
        "StorageClass": "STANDARD_IA"}
    assert page.objects["parts"]["ETag"].endswith('-2"')
    assert page.objects["empty"]["Size"] == "0"


# owners, of which version 1 always tells

@pytest.mark.parametrize("version", [1, 2])
def test_owner(sprox, origin, version):
    """One of all: told out of the catalog, also of what came since."""
    for key in ("a/1", "a/2", "b"):
        origin.put("bucket", key, b"x", owner="f00d")
    nginx = sprox(BOTH.replace("list catalog", "list catalog; valid 0"))
    complete(nginx)
    wanted = {} if version == 1 else {"list_type": 2, "fetch_owner": "true"}
    asked = listings(origin)
    for params in ({}, {"delimiter": "/"}, {"prefix": "a/"},
                   {"encoding_type": "url", "max_keys": 1}):
        page = same(nginx, **wanted, **params)
        assert page.count(b"<Owner><ID>f00d</ID>"
                          b"<DisplayName>F00D</DisplayName></Owner>") \
            == page.count(b"<Contents>") > 0
        asked += 1                          # by alias `ori`
    assert b"<Owner>" not in same(nginx, list_type=2)
    asked += 1

    origin.put("bucket", "c", b"new", owner="f00d")
    assert nginx.get("/cat/c").body == b"new"
    assert raw(nginx, "cat", **wanted).count(b"<ID>f00d</ID>") == 4
    assert listings(origin) == asked


def test_several_owners(sprox, origin):
    """The origin tells; in one line of the log, and without owners not."""
    for number, owner in enumerate(("f00d", "", "f00d", "cafe")):
        origin.put("bucket", f"{number}", b"x", owner=owner)
    nginx = sprox()
    complete(nginx)
    for _ in range(2):
        asked = listings(origin)
        for wanted in ({}, {"list_type": 2, "fetch_owner": "true"}):
            page = same(nginx, **wanted)
            assert page.count(b"<ID>f00d</ID>") == 2
            assert page.count(b"<ID>cafe</ID>") == 1
        assert listings(origin) == asked + 4
        assert Lister(nginx.port, "cat").all() == ["0", "1", "2", "3"]
        assert not parse(raw(nginx, "cat", prefix="none")).items
        assert listings(origin) == asked + 4
    assert nginx.log().count("listings with owners come from the origin and "
                             "not from the catalog") == 1


def test_owner_outlives_a_restart(sprox, origin):
    """As the region does: by the file, before anything is crawled again."""
    origin.put("bucket", "a", b"x", owner="f00d")
    nginx = sprox(file="file=@dir@/catalog")
    complete(nginx)
    nginx.stop()
    file = snapshot.read(nginx.dir / "catalog")
    name = snapshot.space("store", origin.endpoint, "bucket")
    assert file.owners == {(name, b""): (b"f00d", b"F00D")}
    origin.stop()
    nginx.start()
    nginx.wait(lambda: alias(nginx)["objects"] == 1, 10, "to read the file")
    assert b"<Owner><ID>f00d</ID>" in raw(nginx, "cat")
    origin.start()


def test_owners_change(sprox, origin):
    """With a crawl; a second owner from the moment it is seen on."""
    origin.put("bucket", "a", b"x", owner="f00d")
    origin.put("bucket", "b", b"x", owner="f00d")
    nginx = sprox()
    complete(nginx)

    def crawl() -> int:
        admin = Admin(nginx)
        admin.wait(admin.crawl("cat")["id"], "done")
        return listings(origin)

    origin.put("bucket", "b", b"x", owner="cafe")
    asked = crawl()
    assert raw(nginx, "cat").count(b"<ID>cafe</ID>") == 1
    assert listings(origin) == asked + 1
    origin.put("bucket", "a", b"x", owner="cafe")
    asked = crawl()
    assert raw(nginx, "cat").count(b"<ID>cafe</ID>") == 2
    assert listings(origin) == asked


@pytest.mark.parametrize("params", [
    {}, {"list_type": 2, "fetch_owner": "true"}, {"delimiter": "/"},
    {"list_type": 2, "encoding_type": "url"}])
def test_real_store(sprox, versity, bucket, params):
    """As versitygw itself lists, which tells owners and storage classes."""
    versity.put(bucket, {"a/1": b"1", "a/2": b"", "b c/ü+%": b"333",
                         "d": b"4"})
    nginx = sprox(BOTH.replace("bucket", bucket), endpoint=versity.endpoint,
                  credentials=f"static {versity.access} {versity.secret}")
    complete(nginx)
    before = listings(versity.journal)
    page = parse(same(nginx, **params))
    assert listings(versity.journal) == before + 1      # alias `ori`

    client = versity.client()
    if "list_type" in params:
        direct = client.list_objects_v2(
            Bucket=bucket, FetchOwner="fetch_owner" in params)
    else:
        direct = client.list_objects(
            Bucket=bucket, Delimiter=params.get("delimiter", ""))
    found = {item["Key"]: item for item in direct["Contents"]}
    assert page.keys == sorted(found, key=s3xml.order)
    for key, item in found.items():
        told = page.objects[key]
        assert int(told["Size"]) == item["Size"]
        assert told["ETag"] == item["ETag"]
        assert told["LastModified"] \
            == f"{item['LastModified'].astimezone(timezone.utc):%FT%T}.000Z"
        assert told["StorageClass"] == item["StorageClass"]
        assert ("Owner" in told) == ("Owner" in item) \
            == (params.get("list_type") != 2 or "fetch_owner" in params)
    owners = re.findall(b"<Owner><ID>([^<]*)</ID></Owner>",
                        raw(nginx, "cat", **params))
    assert [owner.decode() for owner in owners] \
        == [found[key]["Owner"]["ID"] for key in page.keys
            if "Owner" in found[key]]


# templates and merges

def test_templates(sprox, origin):
    keys = [f"some/y={y}/m={m}/f{i}" for y in (2025, 2026) for m in (1, 2, 12)
            for i in range(3)] + ["some/y=2025/stray", "some/other", "top"]
    put(origin, "bucket", keys)
    nginx = sprox("""
        sprox_alias cat/$y/$m { target store://bucket/some/y=$y/m=$m/;
                                list catalog; }
        sprox_alias ori/$y/$m { target store://bucket/some/y=$y/m=$m/; }
    """)
    shown = [f"{y}/{m}/f{i}" for y in (2025, 2026) for m in (1, 2, 12)
             for i in range(3)]
    # below some/y=
    assert complete(nginx, "cat/$y/$m")["objects"] == len(shown) + 1
    asked = listings(origin)
    for prefix in ("", "20", "2025/", "2025/1", "2026/12/", "x"):
        for delimiter in ("", "/"):
            got = Lister(nginx.port, "cat").all(
                prefix=prefix, delimiter=delimiter, max_keys=2)
            assert got == expected(shown, prefix, delimiter), prefix
    assert listings(origin) == asked
    for prefix in ("", "2025/"):
        for delimiter in ("", "/"):
            same(nginx, list_type=2, prefix=prefix, delimiter=delimiter)


def test_a_worker_that_leaves_ends_its_walks(sprox, origin):
    """One that shows little goes on for some turns of the event loop."""
    put(origin, "bucket", ["some/y=2025/m=1/f"]
        + [f"some/y=hidden{i}" for i in range(30000)])
    nginx = sprox("""
        sprox_alias cat/$y/$m { target store://bucket/some/y=$y/m=$m/;
                                list catalog; }
    """)
    complete(nginx, "cat/$y/$m")
    asked = listings(origin)
    pid, = nginx.worker_pids()
    with ExitStack() as stack:
        clients = [stack.enter_context(nginx.client()) for _ in range(30)]
        last = stack.enter_context(nginx.client())
        for client in (*clients, last):
            assert client.request("GET", "/_sprox/jobs").status == 200
        # all of them have their first turn before the last is answered
        os.kill(pid, signal.SIGSTOP)
        for client in clients:
            client.send("GET", "/cat?list-type=2")
        last.send("GET", "/_sprox/jobs")
        os.kill(pid, signal.SIGCONT)
        assert last.read().status == 200
        os.kill(pid, signal.SIGQUIT)
        for client in clients:
            response = client.read()
            assert response.status == 200
            assert b"<Key>2025/1/f</Key>" in response.body
    assert listings(origin) == asked
    nginx.wait(lambda: nginx.worker_pids() not in ([pid], []), 10,
               "to replace the worker")


def test_several_aliases_and_sources(sprox, origin):
    """An ordered merge, of the catalog's and of the origin's."""
    put(origin, "bucket", ["a", "m/x", "z"])
    put(origin, "second", ["1", "2"])
    nginx = sprox("""
        sprox_alias cat     { target store://bucket/; list catalog; }
        sprox_alias cat/m   { target store://second/; list origin; }
    """)
    complete(nginx)
    asked = origin.count(operation="ListObjectsV2", bucket="bucket")
    assert Lister(nginx.port, "cat").all() == ["a", "m/1", "m/2", "z"]
    assert Lister(nginx.port, "cat").all(delimiter="/") == ["a", "m/", "z"]
    assert origin.count(operation="ListObjectsV2", bucket="bucket") == asked


def test_a_bucket_of_a_variable(sprox, origin):
    """Its first listing is the origin's, and begins the crawl."""
    put(origin, "one", ["a", "b"])
    nginx = sprox("sprox_alias $bucket { target store://$bucket/;"
                  " list catalog; }")
    assert Lister(nginx.port, "one").all() == ["a", "b"]

    def from_catalog() -> bool:
        asked = listings(origin)
        assert Lister(nginx.port, "one").all() == ["a", "b"]
        return listings(origin) == asked

    nginx.wait(from_catalog, 10, "to list from the catalog")
    nginx.expect_log("listings come from the origin and not from the catalog: "
                     "it is not complete yet")


# what changes

def test_reads_are_seen(sprox, origin):
    """What a read finds out is listed: another version, or none."""
    put(origin, "bucket", ["a", "b", "c"])
    nginx = sprox("sprox_alias cat { target store://bucket/; list catalog;"
                  " valid 0; valid_missing 0; }")
    complete(nginx)
    origin.put("bucket", "b", b"a longer body than before")
    assert nginx.get("/cat/b").body == b"a longer body than before"
    page = Lister(nginx.port, "cat").page(list_type=2)
    assert page.objects["b"]["Size"] == "25"
    assert page.objects["b"]["ETag"] == origin.get("bucket", "b").etag
    origin.delete("bucket", "a")
    assert nginx.get("/cat/a").status == 404
    assert Lister(nginx.port, "cat").all() == ["b", "c"]
    origin.put("bucket", "d", b"new")
    assert nginx.head("/cat/d").status == 200
    assert Lister(nginx.port, "cat").all() == ["b", "c", "d"]


def test_catalog_too_small(sprox, origin):
    """It says so, once, and the origin answers."""
    keys = [f"{i:06}" + "k" * 900 for i in range(1500)]
    put(origin, "bucket", keys)
    nginx = sprox(zone="1m")
    for _ in range(2):
        assert Lister(nginx.port, "cat").all() == keys
    nginx.wait(lambda: not alias(nginx)["complete"]
               and "fit" in (alias(nginx)["reason"] or ""), 20,
               "to find out that there is no room")
    assert Lister(nginx.port, "cat").all() == keys
    assert nginx.log().count("come from the origin and not from") == 1


def test_origin_is_down(sprox, origin):
    """Nothing is asked of it once the catalog is complete."""
    put(origin, "bucket", ["a", "b"])
    nginx = sprox()
    complete(nginx)
    origin.stop()
    assert Lister(nginx.port, "cat").all() == ["a", "b"]
    origin.start()


def test_max_keys_zero(sprox, origin):
    put(origin, "bucket", ["a", "b"])
    nginx = sprox()
    complete(nginx)
    page = parse(same(nginx, list_type=2, max_keys=0))
    assert not page.items and not page.truncated
