"""
The numbers of sprox_metrics: text that Prometheus' own parser takes, and
each number against what was done.
"""

import re
import threading
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.listing import Lister
from harness.sprox import HTTP, cache_files, over, serve, wait_idle

FAMILIES = {
    "sprox_requests": ("counter", {"alias", "operation", "status"}),
    "sprox_bytes": ("counter", {"alias", "source"}),
    "sprox_stale": ("counter", {"alias"}),
    "sprox_origin_requests": ("counter", {"origin", "operation", "status"}),
    "sprox_origin_bytes": ("counter", {"origin"}),
    "sprox_origin_retries": ("counter", {"origin"}),
    "sprox_origin_open": ("gauge", {"origin"}),
    "sprox_catalog_objects": ("gauge", set()),
    "sprox_catalog_bytes": ("gauge", set()),
    "sprox_catalog_evicted": ("counter", set()),
    "sprox_catalog_loading": ("gauge", set()),
    "sprox_catalog_loaded_objects": ("gauge", set()),
    "sprox_catalog_saved_objects": ("gauge", set()),
    "sprox_catalog_saved_age_seconds": ("gauge", set()),
    "sprox_catalog_saved_milliseconds": ("gauge", set()),
    "sprox_catalog_file_failures": ("counter", set()),
    "sprox_fills_in_flight": ("gauge", set()),
    "sprox_claims_in_flight": ("gauge", set()),
    "sprox_purged_slices": ("counter", set()),
    "sprox_events": ("counter", {"sender", "result"}),
    "sprox_queue_messages": ("counter", {"queue", "result"}),
    "sprox_tier_bytes": ("counter", {"zone"}),
    "sprox_tier_promotions": ("counter", {"zone", "result"}),
    "sprox_jobs": ("gauge", {"kind", "state"}),
    "sprox_crawl_pages": ("counter", {"alias"}),
    "sprox_crawl_objects": ("counter", {"alias"}),
    "sprox_warm_slices": ("counter", {"alias"}),
    "sprox_warm_bytes": ("counter", {"alias"}),
    "sprox_warm_dropped": ("counter", {"alias"}),
    "sprox_alias_complete": ("gauge", {"alias"}),
    "sprox_catalog_listings": ("counter", {"alias", "source"}),
}
BODY = bytes(range(256)) * 1200         # 307,200 bytes: five slices of 64k
ALIAS = "$bucket"


@pytest.fixture
def sprox(make_nginx, origin):
    def make(**words):
        origin.put("bucket", "k", BODY)
        return serve(make_nginx, origin.endpoint, **words)

    return make


def families(nginx) -> dict:
    """As the parser reads them; strict about what it lets pass."""
    text = nginx.metrics().text
    assert text.endswith("\n") and "\n\n" not in text
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in found, f"{family.name} twice"
        assert family.documentation.endswith(".")
        for sample in family.samples:
            suffix = "_total" * (family.type == "counter")
            assert sample.name == family.name + suffix, sample
            assert sample.value >= 0 and sample.timestamp is None
        found[family.name] = family
    return found


def rows(nginx, name: str, *labels: str) -> dict:
    """The samples of a family, by the values of these labels."""
    found = {}
    for sample in families(nginx)[name].samples:
        key = tuple(sample.labels[label] for label in labels)
        found[key] = found.get(key, 0) + int(sample.value)
    return found


def value(nginx, name: str) -> int:
    sample, = families(nginx)[name].samples
    return int(sample.value)


def wait_rows(nginx, want: dict, name: str, *labels: str) -> None:
    """A worker may count after its answer was read."""
    try:
        nginx.wait(lambda: rows(nginx, name, *labels) == want, 5, "to count")
    except AssertionError:
        assert rows(nginx, name, *labels) == want


# the text

def test_the_text(sprox):
    nginx = sprox()
    nginx.get("/bucket/k")
    nginx.get("/none/k")
    wait_idle(nginx)
    found = families(nginx)
    assert {n: f.type for n, f in found.items()} \
        == {n: kind for n, (kind, _) in FAMILIES.items()}
    for name, family in found.items():
        for sample in family.samples:
            assert set(sample.labels) == FAMILIES[name][1]

    text = nginx.metrics().text
    for name, (kind, _) in FAMILIES.items():
        name += "_total" * (kind == "counter")
        at = text.index(f"# HELP {name} ")
        lines = text[at:].split("\n")
        assert lines[1] == f"# TYPE {name} {kind}"
        assert text.count(f" {name} ") == 2

    response = nginx.get("/metrics")
    assert response["content-type"] == "text/plain; version=0.0.4"
    assert int(response["content-length"]) == len(response.body)
    response = nginx.head("/metrics")
    assert response.status == 200 and response.body == b""
    assert nginx.request("POST", "/metrics").status == 405


def test_asking_counts_nothing(sprox):
    nginx = sprox()
    first = nginx.metrics().text
    for _ in range(5):
        nginx.get("/metrics")
    assert nginx.metrics().text == first
    for name, family in families(nginx).items():
        if name == "sprox_origin_open":
            assert [s.value for s in family.samples] == [0]
        elif FAMILIES[name][1]:
            assert family.samples == []


# what clients asked

DONE = [
    ("GET", "/bucket/k", {}, "GetObject", 200),
    ("GET", "/bucket/k", {}, "GetObject", 200),
    ("GET", "/bucket/k", {"Range": "bytes=0-9"}, "GetObject", 206),
    ("GET", "/bucket/k", {"Range": "bytes=999999-"}, "GetObject", 416),
    ("GET", "/bucket/k", {"If-Match": '"x"'}, "GetObject", 412),
    ("GET", "/bucket/k", {"If-None-Match": "*"}, "GetObject", 304),
    ("GET", "/bucket/none", {}, "GetObject", 404),
    ("HEAD", "/bucket/k", {}, "HeadObject", 200),
    ("HEAD", "/bucket/none", {}, "HeadObject", 404),
    ("HEAD", "/bucket", {}, "HeadBucket", 200),
    ("HEAD", "/missing", {}, "HeadBucket", 404),
    ("GET", "/bucket?location", {}, "GetBucketLocation", 200),
    ("GET", "/bucket?list-type=2", {}, "ListObjectsV2", 200),
    ("GET", "/bucket", {}, "ListObjects", 200),
    ("PURGE", "/bucket/k", {}, "Purge", 200),
]
OTHERS = [      # no alias is known, or none is asked for
    ("GET", "/", {}, "ListBuckets", 200),
    ("GET", "/bucket?list-type=2&max-keys=x", {}, "ListObjectsV2", 400),
    ("PUT", "/bucket/k", {}, "None", 501),
    ("GET", "/bucket/k?acl", {}, "None", 501),
    ("BREW", "/bucket/k", {}, "None", 405),
]


def test_requests(sprox, origin):
    nginx = sprox()
    want = Counter()
    for alias, done in ((ALIAS, DONE), ("", OTHERS)):
        for method, target, headers, operation, status in done:
            response = nginx.request(method, target, headers)
            assert response.status == status, (method, target, response)
            want[alias, operation, str(status)] += 1
    wait_rows(nginx, want, "sprox_requests", "alias", "operation", "status")


def test_requests_of_two_aliases(sprox, origin):
    origin.put("bucket", "a/b/c", b"c")
    nginx = sprox(http_more="""
        sprox_alias tbl/$day { target store://bucket/a/$day/; }
        sprox_alias plain    { target store://bucket/a/; }""")
    for target in ("/tbl/b/c", "/tbl/b/c", "/plain/b/c", "/bucket/k"):
        assert nginx.get(target).status == 200
    wait_rows(nginx, {("tbl/$day",): 2, ("plain",): 1, (ALIAS,): 1},
              "sprox_requests", "alias")


def test_clients_that_leave(sprox, origin):
    """499, as in nginx's own log, when they had no answer yet."""
    nginx = sprox()
    gate = origin.hold(key="k")
    with nginx.client() as client:
        client.send("GET", "/bucket/k")
        gate.wait()
    wait_rows(nginx, {("GetObject", "499"): 1}, "sprox_requests",
              "operation", "status")
    gate.open()
    wait_idle(nginx)


# bytes

def test_bytes(sprox, origin):
    origin.put("bucket", "empty", b"")
    nginx = sprox()

    def check(hit: int, fill: int) -> None:
        # bodies of errors and listings are not the objects'
        want = {(ALIAS, "hit"): hit, (ALIAS, "fill"): fill}
        wait_rows(nginx, {k: n for k, n in want.items() if n},
                  "sprox_bytes", "alias", "source")
        wait_idle(nginx)
        wait_rows(nginx, {("store",): origin.journal.body_bytes()},
                  "sprox_origin_bytes", "origin")

    assert nginx.get("/bucket/k").body == BODY
    check(0, len(BODY))
    assert nginx.get("/bucket/k").body == BODY
    check(len(BODY), len(BODY))
    nginx.get("/bucket/k", {"Range": "bytes=100-199"})
    check(len(BODY) + 100, len(BODY))
    nginx.head("/bucket/k")
    nginx.get("/bucket/k", {"If-None-Match": "*"})
    nginx.get("/bucket/empty")
    nginx.get("/bucket/none")
    nginx.get("/bucket?list-type=2")
    check(len(BODY) + 100, len(BODY))

    # one slice of a new object, then what it is beside: hit and fill
    origin.put("bucket", "part", BODY)
    nginx.get("/bucket/part", {"Range": "bytes=0-65535"})
    check(len(BODY) + 100, len(BODY) + 65536)
    assert nginx.get("/bucket/part").body == BODY
    check(len(BODY) + 100 + 65536, 2 * len(BODY))


def test_bytes_that_are_not_cached(sprox, origin):
    nginx = sprox(cache="off")
    assert nginx.get("/bucket/k").body == BODY
    assert nginx.get("/bucket/k").body == BODY
    wait_rows(nginx, {(ALIAS, "fill"): 2 * len(BODY)}, "sprox_bytes",
              "alias", "source")
    wait_rows(nginx, {("store",): 2 * len(BODY)}, "sprox_origin_bytes",
              "origin")


# what the origin was asked

def test_origin_requests(sprox, origin):
    """Each request in its journal, and no other."""
    nginx = sprox(valid="0", retries="2")
    origin.put("bucket", "r", BODY)
    origin.script(key="r", status=503, code="SlowDown", times=2)
    origin.script(key="odd", status=418, code="Teapot")
    origin.script(key="denied", status=403, code="AccessDenied")
    for key in ("k", "k", "r", "none", "odd", "denied"):
        nginx.get(f"/bucket/{key}")
    nginx.head("/bucket/k")
    nginx.head("/bucket")
    nginx.head("/missing")
    nginx.get("/")
    nginx.get("/bucket?list-type=2")
    wait_idle(nginx)
    origin.journal.wait_idle()

    want = Counter()
    for entry in origin.requests():
        status = "other" if entry.status == 418 else str(entry.status)
        want["store", entry.operation, status] += 1
    assert want["store", "GetObject", "304"] == 1
    assert want["store", "GetObject", "503"] == 2
    assert want["store", "GetObject", "other"] == 1
    wait_rows(nginx, want, "sprox_origin_requests", "origin", "operation",
              "status")
    wait_rows(nginx, {("store",): 2}, "sprox_origin_retries", "origin")
    wait_rows(nginx, {("store",): origin.journal.body_bytes()},
              "sprox_origin_bytes", "origin")


def test_origin_requests_without_an_answer(sprox, origin):
    nginx = sprox(retries="1")
    origin.script(key="k", raw=b"")
    assert nginx.get("/bucket/k").status == 502
    wait_rows(nginx, {("GetObject", "error"): 2}, "sprox_origin_requests",
              "operation", "status")
    wait_rows(nginx, {("store",): 1}, "sprox_origin_retries", "origin")
    origin.stop()
    assert nginx.head("/bucket/k").status == 502
    wait_rows(nginx, {("GetObject", "error"): 2, ("HeadObject", "error"): 2},
              "sprox_origin_requests", "operation", "status")


def test_origin_requests_of_a_real_store(make_nginx, versity, bucket):
    versity.put(bucket, {"k": BODY, "l": b"small"})
    nginx = over(make_nginx, versity)
    versity.journal.clear()
    for key in ("k", "l", "k", "none"):
        nginx.get(f"/{bucket}/{key}")
    assert Lister(nginx.port, bucket).all() == ["k", "l"]
    wait_idle(nginx)
    want = Counter(("store", e.operation, str(e.status))
                   for e in versity.journal.requests())
    assert want["store", "GetObject", "206"] >= 3
    wait_rows(nginx, want, "sprox_origin_requests", "origin", "operation",
              "status")
    wait_rows(nginx, {("store",): versity.journal.body_bytes()},
              "sprox_origin_bytes", "origin")


def test_stale(sprox, origin):
    nginx = sprox(valid="0", more="sprox_stale 1h;")
    assert nginx.get("/bucket/k").body == BODY
    wait_idle(nginx)
    assert rows(nginx, "sprox_stale", "alias") == {}
    origin.stop()
    for _ in range(3):
        assert nginx.get("/bucket/k").body == BODY
    wait_rows(nginx, {(ALIAS,): 3}, "sprox_stale", "alias")


# the catalog

def test_catalog_objects(sprox, origin):
    """Objects: no keys that are missing, and nothing else that is known."""
    nginx = sprox()
    assert value(nginx, "sprox_catalog_objects") == 0
    used = value(nginx, "sprox_catalog_bytes")
    for i in range(10):
        origin.put("bucket", f"o{i}", b"x")
        nginx.head(f"/bucket/o{i}")
        nginx.head(f"/bucket/o{i}")
        nginx.head(f"/bucket/none{i}")
        assert value(nginx, "sprox_catalog_objects") == i + 1
    assert value(nginx, "sprox_catalog_bytes") > used

    # that a bucket is there, or not, is known as well, but is no object
    assert nginx.head("/bucket").status == 200
    assert nginx.head("/missing").status == 404
    asked = origin.count()
    assert nginx.head("/bucket").status == 200
    assert origin.count() == asked
    assert value(nginx, "sprox_catalog_objects") == 10

    Lister(nginx.port, "bucket").all()          # the others, and k
    assert value(nginx, "sprox_catalog_objects") == 11
    assert nginx.request("PURGE", "/bucket/o3").status == 200
    assert value(nginx, "sprox_catalog_objects") == 10
    origin.delete("bucket", "k")
    assert value(nginx, "sprox_catalog_evicted") == 0


def test_catalog_that_is_full(sprox, origin):
    for i in range(6000):
        origin.put("bucket", f"{i:06}/{'long' * 20}")
    nginx = sprox(http_more="sprox_catalog zone=small:512k;")
    assert len(Lister(nginx.port, "bucket").all()) == 6001
    known = value(nginx, "sprox_catalog_objects")
    assert 0 < known < 6001
    assert value(nginx, "sprox_catalog_evicted") == 6001 - known
    assert 0 < value(nginx, "sprox_catalog_bytes") <= 512 * 1024


def test_purged_slices(sprox, origin):
    nginx = sprox()
    nginx.get("/bucket/k")
    wait_idle(nginx)
    assert len(cache_files(nginx)) == 5
    assert nginx.request("PURGE", "/bucket/k").status == 200
    assert value(nginx, "sprox_purged_slices") == 5
    assert nginx.request("PURGE", "/bucket/k").status == 200
    assert value(nginx, "sprox_purged_slices") == 5


# fills in flight

def test_fills_in_flight(sprox, origin):
    nginx = sprox()
    keys = ["a", "b", "c"]
    for key in keys:
        origin.put("bucket", key, BODY)
    gate = origin.hold(key=re.compile("^[abc]$"), gate_after=1000)
    clients = [nginx.client() for _ in keys]
    for number, (client, key) in enumerate(zip(clients, keys), 1):
        client.send("GET", f"/bucket/{key}")
        gate.wait(number)
        nginx.wait(lambda: value(nginx, "sprox_fills_in_flight") == number,
                   5, "to fill")
    gate.open()
    for client in clients:
        assert client.read().body == BODY
        client.close()
    wait_idle(nginx)


ENDS = {"truncated": {"truncate": 70_000}, "reset": {"reset": 70_000},
        "refused": {"status": 503}, "wrong": {"content_length": 17},
        "silent": {"raw": b""}}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("known", [False, True])
def test_fills_that_fail_end(sprox, origin, how, known):
    nginx = sprox()
    if known:
        nginx.head("/bucket/k")
    origin.script(key="k", **ENDS[how])
    for i in range(4):
        nginx.get("/bucket/k", {"Range": f"bytes={i * 70_000}-"})
    wait_idle(nginx)
    origin.clear_script()
    assert nginx.get("/bucket/k").body == BODY
    wait_idle(nginx)


def test_fills_of_a_killed_worker_end(sprox, origin):
    nginx = sprox(workers=2)
    gate = origin.hold(key="k", gate_after=1000)
    with nginx.client() as client:
        client.send("GET", "/bucket/k")
        gate.wait()
        nginx.wait(lambda: value(nginx, "sprox_fills_in_flight") == 1, 5,
                   "to fill")
        for pid in nginx.worker_pids():
            nginx.kill_worker(pid)
    wait_idle(nginx)
    gate.open()
    origin.clear_script()
    assert nginx.get("/bucket/k").body == BODY
    wait_idle(nginx)


# over workers and reloads

def test_all_workers_count_in_one(sprox, origin):
    """Four at once; whichever worker answers says the same."""
    nginx = sprox(workers=4, listen_more=" reuseport")
    assert nginx.get("/bucket/k").body == BODY
    wait_idle(nginx)

    def read() -> None:
        for _ in range(50):
            nginx.get("/bucket/k", {"Range": "bytes=0-999"})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_rows(nginx, {("GetObject", "200"): 1, ("GetObject", "206"): 200},
              "sprox_requests", "operation", "status")
    wait_rows(nginx, {("hit",): 200_000, ("fill",): len(BODY)},
              "sprox_bytes", "source")
    assert len({nginx.metrics().text for _ in range(30)}) == 1


def test_reload(sprox, origin):
    """
    Numbers of aliases that stay, go, and come again: none goes down.  A
    fill that the old worker still brings is one, and then none.
    """
    more = "sprox_alias extra { target store://bucket/; }"
    nginx = sprox(http_more=more)
    assert nginx.get("/extra/k").body == BODY
    nginx.head("/extra/none")
    nginx.get("/bucket/k", {"Range": "bytes=0-9"})
    wait_idle(nginx)
    before = nginx.metrics().text

    gate = origin.hold(key="slow", gate_after=1000)
    origin.put("bucket", "slow", BODY)
    nginx.reload(wait_old=True)
    assert nginx.metrics().text == before

    with nginx.client() as client:
        client.send("GET", "/bucket/slow")
        gate.wait()
        nginx.wait(lambda: value(nginx, "sprox_fills_in_flight") == 1, 5,
                   "to fill")
        nginx._variables["http_more"] = ""
        nginx.write(HTTP)
        nginx.reload()
        assert value(nginx, "sprox_fills_in_flight") == 1
        gate.open()
        assert client.read().body == BODY
    wait_idle(nginx)
    nginx.wait(lambda: len(nginx.worker_pids(leaving=True)) == 0, 10,
               "to lose its old worker")
    found = rows(nginx, "sprox_requests", "alias", "operation", "status")
    assert found["extra", "GetObject", "200"] == 1
    assert found["extra", "HeadObject", "404"] == 1
    assert found[ALIAS, "GetObject", "200"] == 1

    nginx._variables["http_more"] = more
    nginx.write(HTTP)
    nginx.reload(wait_old=True)
    assert nginx.get("/extra/k").body == BODY
    nginx.wait(lambda: rows(nginx, "sprox_requests", "alias", "operation")
               ["extra", "GetObject"] == 2, 5, "to count")


# names

HOSTILE = [b'quo"te', b"back\\slash", b'both\\"', b"end\\", b"brace{}=,",
           b"sp ace", b"# HELP x y", b"\\n", b"%FF", "déjà".encode(),
           "日本".encode()]
NO_UTF8 = [b"latin-\xe9", b"\xff\xfe", b"cut-\xf0\x9f", b"over-\xc0\x80",
           b"half-\xed\xa0\x80"]


def aliases(names: list) -> bytes:
    """Their directives; each has an object "k" of its own."""
    lines = []
    for number, name in enumerate(names):
        quoted = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        lines.append(b'sprox_alias "tbl/%s" { target "store://bucket/%d/"; }\n'
                     % (quoted, number))
    return b"".join(lines)


def target(name: bytes, key: bytes) -> bytes:
    return b"/tbl/" + b"".join(b"%%%02X" % byte for byte in name) + b"/" + key


def named(sprox, origin, names: list):
    for number in range(len(names)):
        origin.put("bucket", f"{number}/k", b"x" * (number + 1))
    nginx = sprox(http_more="@here@", here="HERE", start=False)
    conf = nginx.conf.read_bytes().replace(b"HERE", aliases(names))
    nginx.conf.write_bytes(conf)
    nginx.start()
    for number, name in enumerate(names):
        for _ in range(number + 1):
            response = nginx.get(target(name, b"k"))
            assert response.body == b"x" * (number + 1), (name, response)
    return nginx


def test_names_that_must_be_escaped(sprox, origin):
    nginx = named(sprox, origin, HOSTILE)
    wait_rows(nginx, {("tbl/" + name.decode(),): number + 1
                      for number, name in enumerate(HOSTILE)},
              "sprox_requests", "alias")
    assert set(families(nginx)) == set(FAMILIES)


def test_names_that_are_no_text(sprox, origin):
    """The text is UTF-8 whatever the names; each is told from the others."""
    nginx = named(sprox, origin, NO_UTF8)
    nginx.wait(lambda: sum(rows(nginx, "sprox_requests", "alias").values())
               == sum(range(1, len(NO_UTF8) + 1)), 5, "to count")
    nginx.get("/metrics").body.decode("utf-8", "strict")
    found = rows(nginx, "sprox_requests", "alias")
    assert sorted(found.values()) == list(range(1, len(NO_UTF8) + 1))
    assert found["tbl/latin-%E9",] == 1


def test_what_clients_name_makes_no_rows(sprox, origin):
    """Buckets, keys, methods and sub-resources of the clients' own making."""
    origin.script(status=404, code="NoSuchBucket")
    nginx = sprox(valid="0")
    with nginx.client() as client:
        client.request("GET", "/bucket0/k")
        client.request("PUT", "/bucket0/k")
        nginx.wait(lambda: len(rows(nginx, "sprox_requests", "alias",
                                    "operation")) == 2, 5, "to count")
        lines = nginx.metrics().text.count("\n")
        for i in range(300):
            client.request("GET", f"/bucket{i}/key%22%0a{i}")
            method = "M" + "X" * i if i % 2 else "PUT"
            client.request(method, f"/bucket{i}/k?x{i}")
    wait_rows(nginx, {(ALIAS, "GetObject", "404"): 301,
                      ("", "None", "405"): 150, ("", "None", "501"): 151},
              "sprox_requests", "alias", "operation", "status")
    assert nginx.metrics().text.count("\n") == lines + 1     # the 405 is new
