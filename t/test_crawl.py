"""
Crawls: what they ask the origin for, what the catalog knows afterwards, and
how they end when something is in their way.
"""

import re
from urllib.parse import quote

import pytest

from harness.admin import LOCATION, Admin
from harness.journal import parse_query
from harness.keys import ALL, strict
from harness.sprox import over, serve

LAKE = "sprox_alias lake { target store://bucket/@prefix@; @policy@ }"
PAGE, LANES, SHARE = 1000, 8, 4


@pytest.fixture
def lake(make_nginx, origin):
    """lake(policy=...) over the bucket of the origin: (nginx, admin)."""
    def make(**words):
        origin.bucket("bucket")
        words = {"prefix": "", "policy": "list catalog;", "aliases": LAKE,
                 "server_more": LOCATION, **words}
        nginx = serve(make_nginx, origin.endpoint, **words)
        return nginx, Admin(nginx)

    return make


def fill(origin, number: int, folders: int = 1, under: str = "") -> list:
    """So many objects, in folders that come one after the other."""
    keys = [f"{under}d{n * folders // number:04}/k{n:06}" if folders else
            f"{under}k{n:06}" for n in range(number)]
    for key in keys:
        origin.put("bucket", key, b"x")
    return keys


def asked(origin) -> list:
    return [parse_query(entry.query)
            for entry in origin.requests(operation="ListObjectsV2")]


def pages(origin) -> list:
    return [query for query in asked(origin) if "delimiter" not in query]


def probes(origin) -> list:
    return [query for query in asked(origin) if "delimiter" in query]


# what is asked for

@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, 2500])
def test_a_small_bucket_costs_its_pages(lake, origin, number):
    fill(origin, number, 3)
    nginx, admin = lake()
    known = admin.wait_complete("lake")
    assert (known["objects"], known["bytes"]) == (number, number)
    assert len(asked(origin)) == max(1, -(-number // PAGE))
    assert [query.get("max-keys") for query in asked(origin)] \
        == ["1000"] * len(asked(origin))
    job, = admin.jobs()
    assert (job["done"], job["state"], job["errors"]) == (number, "done", 0)
    metrics = nginx.metrics()
    assert metrics.sum("sprox_crawl_pages_total", alias="lake") \
        == len(asked(origin))
    assert metrics.sum("sprox_crawl_objects_total", alias="lake") == number
    assert metrics.sum("sprox_alias_complete", alias="lake") == 1
    assert metrics.sum("sprox_jobs", kind="crawl", state="done") == 1


def test_only_the_region_is_listed(lake, origin):
    fill(origin, 5, under="tables/y=1/")
    fill(origin, 5, under="tables/x/")
    fill(origin, 5, under="other/")
    _, admin = lake(aliases="sprox_alias lake/$y { target "
                            "store://bucket/tables/y=$y/; list catalog; }")
    known = admin.wait_complete("lake/$y")
    assert (known["prefix"], known["objects"]) == ("tables/y=", 5)
    assert [query["prefix"] for query in asked(origin)] == ["tables/y="]


def test_a_large_bucket_is_shared_out(lake, origin):
    fill(origin, 20000, 40)
    gate = origin.hold(query=re.compile("continuation-token"), nth=3)
    nginx, admin = lake()
    gate.wait()                             # of the one lane that there is
    assert len(asked(origin)) == SHARE
    gate.open()
    assert admin.wait_complete("lake")["objects"] == 20000
    assert nginx.metrics().sum("sprox_catalog_objects") == 20000
    # a page more for each lane that was cut off, and a probe for each cut
    assert 20 <= len(pages(origin)) <= 20 + 2 * LANES
    assert 1 <= len(probes(origin)) <= 4
    assert admin.jobs()[0]["done"] == 20000
    ranges = {query["start-after"] for query in pages(origin)
              if "start-after" in query}
    assert len(ranges) >= LANES - 1
    assert all(name.endswith("/") for name in ranges)


def test_no_more_than_so_many_at_a_time(lake, origin):
    fill(origin, 30000, 60)
    gate = origin.hold(query=re.compile(
        "^(?!.*delimiter).*start-after=d"))
    nginx, admin = lake()
    gate.wait(LANES - 1)
    # the lane that was cut ends, and what others have left is held
    nginx.wait(lambda: origin.count(ended=None) == LANES - 1, 10,
               "to end the first lane")
    held = {entry.query for entry in origin.requests(ended=None)}
    assert len(held) == LANES - 1
    gate.open()
    assert admin.wait_complete("lake", timeout=30)["objects"] == 30000


@pytest.mark.parametrize("folders, under, levels", [
    (20, "a/b/c/", 4), (1, "", 2), (0, "", 1)])
def test_where_the_branches_are(lake, origin, folders, under, levels):
    """Deep below, in none, or there is no folder at all."""
    fill(origin, 8000, folders, under)
    _, admin = lake()
    assert admin.wait_complete("lake")["objects"] == 8000
    first = probes(origin)[:levels]
    names = ["", *(part + "/" for part in (under + "d0000/").split("/"))]
    want, prefix = [], ""
    for level in range(levels):
        want.append(prefix)
        prefix += (under + "d0000/").split("/")[level] + "/"
    assert [query.get("prefix", "") for query in first] == want
    if folders == 20:
        assert len(pages(origin)) > 8       # it was shared out
    else:
        assert len(pages(origin)) == 8


def test_clients_go_first(lake, origin):
    """Of two that wait for the only connection, the client has it."""
    keys = fill(origin, 2500, 3)
    gate = origin.hold(operation="ListObjectsV2", nth=1)
    nginx, admin = lake(origin_more="max_connections 1;")
    gate.wait()
    with nginx.client() as client:
        client.send("GET", f"/lake/{keys[0]}")
        other = admin.crawl("lake")         # it is under way
        assert other["id"] == admin.jobs()[0]["id"]
        gate.open()
        assert client.read().body == b"x"
    admin.wait_complete("lake")
    order = [entry.operation for entry in origin.requests()]
    assert order.index("GetObject") <= 2


# what is known afterwards

def test_a_reload(lake, origin):
    keys = fill(origin, 30, 3)
    nginx, admin = lake(policy="list catalog; valid 1h;")
    admin.wait_complete("lake")
    for key in keys[:20]:
        assert nginx.get(f"/lake/{key}").body == b"x"
    for key in keys[5:10]:
        origin.put("bucket", key, b"changed")
    for key in keys[10:15]:
        origin.delete("bucket", key)
    origin.put("bucket", "new", b"new")
    before = admin.alias("lake")

    job = admin.wait(admin.crawl("lake")["id"], "done")
    assert (job["kind"], job["done"], job["total"]) == ("reload", 26, 26)
    assert re.search(r"26 objects in 1 pages, 5 had vanished", nginx.log())
    known = admin.alias("lake")
    assert (known["objects"], known["bytes"]) == (26, 20 + 5 * 7 + 3)
    assert known["crawled_at"] > before["crawled_at"]

    asked = origin.count()
    for key in keys[:5] + keys[15:20]:      # they kept slices and headers
        response = nginx.get(f"/lake/{key}")
        assert response.body == b"x"
        assert response["content-type"] == "binary/octet-stream"
    assert origin.count() == asked
    for key in keys[5:10]:
        assert nginx.get(f"/lake/{key}").body == b"changed"
    for key in keys[10:15]:
        assert nginx.get(f"/lake/{key}").status == 404
    assert origin.count() == asked + 10


def test_a_complete_region_stays_so_while_it_is_reloaded(lake, origin):
    fill(origin, 10)
    _, admin = lake()
    admin.wait_complete("lake")
    gate = origin.hold(operation="ListObjectsV2")
    job = admin.crawl("lake")
    gate.wait()
    known = admin.alias("lake")
    assert known["complete"] and known["reason"] is None
    gate.open()
    admin.wait(job["id"], "done")


def test_reload_by_itself(lake, origin):
    fill(origin, 10)
    nginx, admin = lake(policy="list origin; reload 1s;")
    nginx.wait(lambda: len(admin.jobs(kind="reload", state="done")) >= 2, 10,
               "to reload twice")
    crawl, *reloads = admin.jobs()
    assert crawl["kind"] == "crawl"
    began = [job["started_at"] for job in (crawl, *reloads)]
    assert began == sorted(began)
    known = admin.alias("lake")
    assert known["complete"] and "list catalog" in known["reason"]


def test_every_key_of_a_hostile_bucket(lake, origin):
    for key in ALL:
        origin.put("bucket", key, b"12")
    nginx, admin = lake(policy="list catalog; head listing;")
    assert admin.wait_complete("lake")["objects"] == len(ALL)
    asked = origin.count()
    for key in ALL:
        if ".." in key.split("/"):          # such a name is refused
            continue
        response = nginx.head(f"/lake/{strict(key)}")
        assert (response.status, response["content-length"]) == (200, "2"), key
    assert origin.count() == asked


def test_over_a_real_store(make_nginx, versity, bucket):
    client = versity.client()
    client.create_bucket(Bucket=bucket)
    keys = [f"t/{a}/{b}.parquet" for a in ("a", "a-b", "a b", "ä", "z")
            for b in range(5)] + ["top", "zz/%2F+x"]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"123")
    nginx = over(make_nginx, versity, server_more=LOCATION, aliases=
                 f"sprox_alias lake {{ target store://{bucket}/; "
                 "list catalog; head listing; }")
    admin = Admin(nginx)
    known = admin.wait_complete("lake")
    assert (known["objects"], known["bytes"]) == (len(keys), 3 * len(keys))
    asked = versity.journal.count()
    for key in keys:
        assert nginx.head(f"/lake/{quote(key)}").status == 200, key
    assert versity.journal.count() == asked


def test_over_a_directory(make_nginx, tmp_path):
    root = tmp_path / "buckets/buck"
    for n in range(50):
        (root / f"d{n % 5}").mkdir(parents=True, exist_ok=True)
        (root / f"d{n % 5}/k{n}").write_bytes(b"x" * n)
    nginx = serve(make_nginx, "http://127.0.0.1:1", server_more=LOCATION,
                  aliases="sprox_alias lake { target files://buck/; "
                          "list catalog; }",
                  http_more=f"sprox_origin files {{ dialect file; "
                            f"root {root.parent}; }}")
    known = Admin(nginx).wait_complete("lake")
    assert (known["objects"], known["bytes"]) == (50, sum(range(50)))


# what goes wrong

def test_errors_in_the_middle(lake, origin):
    fill(origin, 2500, 3)
    origin.script(query=re.compile("continuation-token"), status=503, times=2)
    nginx, admin = lake()
    admin.wait_complete("lake")
    job, = admin.jobs()
    assert (job["state"], job["errors"], job["done"]) == ("done", 2, 2500)
    assert job["error"] == "the origin answered 503 InternalError"
    # the first page was asked for once; it went on behind its last key
    first = [query for query in asked(origin)
             if "continuation-token" not in query]
    assert [query.get("start-after") for query in first][0] is None
    assert [query.get("start-after", "")[-7:] for query in first] \
        == ["", "k000999", "k001999"]
    nginx.wait_log(r"\[warn\].*job 1, crawl of \"bucket/\" for alias "
                   r"\"lake\", is to be tried again: the origin answered 503")


def test_an_origin_that_fails_for_good(lake, origin):
    fill(origin, 10)
    origin.script(operation="ListObjectsV2", status=500)
    nginx, admin = lake()
    job = admin.wait(1, "failed")
    assert (job["errors"], origin.count()) == (4, 4)
    nginx.wait_log(r"\[error\].*job 1, crawl .* failed: the origin answered")
    known = admin.alias("lake")
    assert not known["complete"] and known["crawled_at"] is None
    assert known["reason"] == \
        "job 1 failed: the origin answered 500 InternalError"
    origin.clear_script()
    assert admin.wait(admin.crawl("lake")["id"], "done")["id"] == 2
    assert admin.alias("lake")["reason"] is None


@pytest.mark.parametrize("rule, error", [
    ({"status": 403, "code": "AccessDenied"},
     "the origin answered 403 AccessDenied"),
    ({"status": 404, "code": "NoSuchBucket"},
     "the origin answered 404 NoSuchBucket"),
    ({"status": 200, "body": ("b", "a")},
     "the origin's listing is not in the order of its keys"),
    ({"status": 200, "body":
      b"<ListBucketResult><IsTruncated>true</IsTruncated>"
      b"</ListBucketResult>"},
     "the origin sent a truncated listing without a new continuation token"),
])
def test_answers_that_end_a_crawl(lake, origin, rule, error):
    if isinstance(rule.get("body"), tuple):
        rule = {**rule, "body": listing(*rule["body"])}
    origin.script(operation="ListObjectsV2", **rule)
    nginx, admin = lake()
    job = admin.wait(1, "failed")
    assert (job["error"], job["errors"]) == (error, 1)
    assert origin.count() == 1
    assert not admin.alias("lake")["complete"]


def listing(*keys: str) -> bytes:
    return ("<ListBucketResult>" + "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys) + "<IsTruncated>false</IsTruncated>"
        "</ListBucketResult>").encode()


@pytest.mark.parametrize("body", [b"<a", b"", b"<ListBucketResult><x>",
                                  listing("a")[:-30]])
def test_a_listing_that_cannot_be_read_removes_nothing(lake, origin, body):
    fill(origin, 10)
    _, admin = lake()
    admin.wait_complete("lake")
    origin.script(operation="ListObjectsV2", status=200, body=body, times=1)
    job = admin.wait(admin.crawl("lake")["id"], "done")
    assert (job["errors"], job["done"]) == (1, 10)
    assert job["error"] == "the origin's listing cannot be read"
    assert admin.alias("lake")["objects"] == 10


def test_what_does_not_fit(lake, origin):
    fill(origin, 12000, 0)
    nginx, admin = lake(http_more="sprox_catalog zone=small:512k;")
    job = admin.wait(1, "failed")
    assert "does not fit" in job["error"] and "zone=" in job["error"]
    known = admin.alias("lake")
    assert not known["complete"] and "does not fit" in known["reason"]
    assert len(pages(origin)) < 12          # it was given up

    # told once; and what is known is forgotten again as ever
    admin.wait(admin.crawl("lake")["id"], "failed")
    lines = [line for line in nginx.log().splitlines() if "job " in line]
    assert [("[error]" in line, "[notice]" in line) for line in lines] \
        == [(True, False), (False, True)]
    origin.put("bucket", "one", b"body")
    assert nginx.get("/lake/one").body == b"body"
    asked_now = origin.count()
    assert nginx.get("/lake/one").body == b"body"
    assert origin.count() == asked_now


# targets that lie in each other

NESTED = """
    sprox_alias lake  { target store://bucket/; @policy@ }
    sprox_alias inner { target store://bucket/d0001/; list catalog; }
    sprox_alias often { target store://bucket/d0001/e; list catalog;
                        reload 1h; }
"""


def test_one_crawl_for_all_that_lie_in_it(lake, origin):
    """But for who wants it more often."""
    fill(origin, 2100, 7)
    fill(origin, 20, under="d0001/e/")
    gate = origin.hold(query="encoding-type=url&fetch-owner=true"
                             "&list-type=2&max-keys=1000")
    _, admin = lake(aliases=NESTED)
    gate.wait()
    assert "alias \"lake\", whose target it lies in" \
        in admin.alias("inner")["reason"]
    gate.open()
    for name, objects in ("inner", 320), ("lake", 2120), ("often", 20):
        assert admin.wait_complete(name)["objects"] == objects
    assert sorted(job["alias"] for job in admin.jobs()) == ["lake", "often"]
    assert len(asked(origin)) == 3 + 1


def test_what_lies_in_one_that_does_not_fit(lake, origin):
    fill(origin, 12000, 100)
    nginx, admin = lake(aliases=NESTED, http_more=
                        "sprox_catalog zone=small:512k;")
    nginx.expect_log("job 1, crawl of .* failed: it does not fit")
    assert admin.wait_complete("inner")["objects"] == 120
    assert not admin.alias("lake")["complete"]


# buckets that a variable names

def test_a_bucket_is_crawled_when_it_is_listed(lake, origin):
    """And again, when it is listed and `reload` says so."""
    fill(origin, 20)
    nginx, admin = lake(aliases="sprox_alias $b { target store://$b/; "
                                "list catalog; reload 2s; }")
    assert admin.jobs() == [] and not asked(origin)
    assert nginx.get("/bucket?list-type=2").body.count(b"<Key>") == 20
    admin.wait_complete("$b", "bucket")
    assert [job["kind"] for job in admin.jobs()] == ["crawl"]

    origin.put("bucket", "new", b"x")
    nginx.wait(lambda: b"<Key>new<" in nginx.get("/bucket?list-type=2").body,
               10, "to list what is new")
    assert admin.jobs()[-1]["kind"] == "reload"
    # out of the catalog but for the first, and one page a crawl
    assert len(asked(origin)) == 1 + len(admin.jobs())


# at large

def test_a_hundred_thousand(lake, origin):
    fill(origin, 100_000, 300)
    _, admin = lake()
    known = admin.wait_complete("lake", timeout=60)
    assert (known["objects"], known["bytes"]) == (100_000, 100_000)
    job, = admin.jobs()
    assert (job["done"], job["errors"]) == (100_000, 0)
    assert len(asked(origin)) <= 100 * 1.3


def test_workers_that_are_killed_again_and_again(lake, origin):
    """What was done is not done anew, and nothing is lost."""
    keys = fill(origin, 30_000, 60)
    origin.latency = 0.03
    nginx, admin = lake(workers=2)
    for done in range(3000, 24_000, 3000):
        nginx.wait(lambda: admin.job(1)["done"] >= done, 20, "to go on")
        for pid in nginx.worker_pids():
            nginx.kill_worker(pid)
    known = admin.wait_complete("lake", timeout=30)
    assert known["objects"] == len(keys)
    job, = admin.jobs()
    assert (job["state"], job["done"]) == ("done", len(keys))
    # each kill costs what was under way, at most a page in each lane
    assert len(pages(origin)) <= 30 + 2 * LANES + 7 * LANES


# what is held

def test_a_purged_object_stays_listed_and_is_asked_for(lake, origin):
    """A region is complete without a crawl; an object of it that was purged
    is asked for, also where nothing ever is, and is then as it was."""
    fill(origin, 3, 0)
    origin.put("bucket", "k000001", b"y" * 1000)
    nginx, admin = lake(policy="list catalog; valid immutable;")
    known = admin.wait_complete("lake")
    reads = {"operation": re.compile("^(Get|Head)Object$")}
    for _ in range(2):
        assert nginx.get("/lake/k000001").body == b"y" * 1000
    assert origin.count(**reads) == 1

    for _ in range(2):
        assert nginx.request("PURGE", "/lake/k000001").status == 200
        now = admin.alias("lake")
        assert (now["objects"], now["bytes"], now["complete"]) \
            == (known["objects"], known["bytes"], True)
        before = origin.count(**reads)
        for _ in range(3):
            assert nginx.get("/lake/k000001").body == b"y" * 1000
        assert before < origin.count(**reads) <= before + 2

    # another version takes its place
    origin.put("bucket", "k000001", b"zz")
    assert nginx.request("PURGE", "/lake/k000001").status == 200
    assert nginx.get("/lake/k000001").body == b"zz"
    now = admin.alias("lake")
    assert (now["objects"], now["bytes"]) \
        == (known["objects"], known["bytes"] - 998)
