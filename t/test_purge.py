"""
PURGE of one object: what is deleted, what is forgotten, what is told, by
whom; and what becomes of those who read or fill it at that moment.
"""

import json
import random
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.admin import LOCATION, Admin
from harness.keys import every_byte, strict
from harness.listing import Lister
from harness.sprox import (FILL, SLICE, cache_files, cache_keys, error_code,
                           over, serve, temporary_files, wait_idle)

MORE = 5 * FILL + 1000
SLICES = 5 * FILL // SLICE + 1
NOTHING = {"objects": 0, "slices": 0, "bytes": 0}

# a cache of its own for some, and slices of another size for others
ALIASES = """
    proxy_cache_path @dir@/cache/other levels=1:2 keys_zone=other:1m
                     use_temp_path=off;
    sprox_alias plain  { target store://bucket/; }
    sprox_alias y$y    { target store://bucket/d/y=$y/; }
    sprox_alias other  { target store://bucket/; cache other; }
    sprox_alias large  { target store://bucket/; slice 128k; }
    sprox_alias ruled  { target store://bucket/;
                         object *k { cache other; slice 256k; } }
    sprox_alias bypass { target store://bucket/; cache off; }
"""


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def purge(nginx, target="/bucket/key", **options) -> dict:
    response = nginx.request("PURGE", target, **options)
    assert response.status == 200, response
    assert response["Content-Type"] == "application/json"
    assert response["x-amz-request-id"]
    found = json.loads(response.body)
    assert list(found) == ["objects", "slices", "bytes"]
    return found


def on_disk(nginx) -> int:
    return sum(path.stat().st_size for path in cache_files(nginx))


@pytest.fixture
def sprox(make_nginx, origin):
    return serve(make_nginx, origin.endpoint)


# what goes

def test_slices_and_knowledge_go(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    origin.put("bucket", "key2", body)
    for target in "/bucket/key", "/bucket/key2":
        assert sprox.get(target).body == body
    wait_idle(sprox)
    origin.journal.clear()
    others = [k for k in cache_keys(sprox) if " key2 " in k]
    size = on_disk(sprox)

    found = purge(sprox)
    assert found["objects"] == 1
    assert found["slices"] == SLICES == len(others)
    assert found["bytes"] == size - on_disk(sprox)
    assert MORE < found["bytes"] < MORE + SLICES * 4096
    assert sorted(cache_keys(sprox)) == sorted(others)

    # itself it asks nobody; who comes then does, and the others need not
    assert origin.requests() == []
    assert sprox.head("/bucket/key").status == 200
    assert [(e.method, e.key) for e in origin.requests()] == [("HEAD", "key")]
    assert sprox.get("/bucket/key2").body == body
    assert origin.count() == 1
    assert sprox.get("/bucket/key").body == body
    assert origin.journal.requests()[1].range == "bytes=0-262143"


def test_zeros_when_there_is_nothing(origin, sprox):
    origin.bucket("bucket")
    assert purge(sprox) == NOTHING
    assert purge(sprox, "/none/key") == NOTHING
    assert origin.requests() == []
    # that there is no such object is knowledge, but no object
    sprox.get("/bucket/key")
    assert purge(sprox) == NOTHING
    # twice
    origin.put("bucket", "key", blob(1000))
    sprox.get("/bucket/key")
    wait_idle(sprox)
    assert purge(sprox)["slices"] == 1
    assert purge(sprox) == NOTHING


def test_what_is_known_without_slices(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, more="sprox_valid_missing 1h;")
    origin.put("bucket", "key", blob(1000))
    origin.put("bucket", "empty", b"")
    known = {"objects": 1, "slices": 0, "bytes": 0}
    nginx.head("/bucket/key")
    assert purge(nginx) == known
    nginx.get("/bucket/empty")
    assert purge(nginx, "/bucket/empty") == known
    nginx.get("/bucket?list-type=2")
    assert purge(nginx) == known
    assert purge(nginx) == NOTHING
    # a 404 that is remembered is forgotten as well
    assert nginx.get("/bucket/new").status == 404
    origin.put("bucket", "new", b"new")
    assert nginx.get("/bucket/new").status == 404
    purge(nginx, "/bucket/new")
    assert nginx.get("/bucket/new").body == b"new"


def test_what_is_replaced_is_seen_at_once(origin, sprox):
    """What PURGE is for, while valid still lasts."""
    for seed in range(3):
        body = blob(MORE - seed, seed)
        origin.put("bucket", "key", body)
        assert purge(sprox)["objects"] == (seed > 0)
        assert sprox.head("/bucket/key")["Content-Length"] == str(len(body))
        assert sprox.get("/bucket/key").body == body
    assert purge(sprox)["slices"] == len(cache_files(sprox)) + SLICES


def test_by_any_spelling_of_the_key(origin, sprox):
    for key in "a b", "a//../b", "%2F", "é", "a?b", "x" * 1024:
        origin.put("bucket", key, blob(SLICE + 1))
        for write in strict, every_byte:
            sprox.get("/bucket/" + strict(key))
            wait_idle(sprox)
            assert purge(sprox, "/bucket/" + write(key))["slices"] == 2
            assert cache_files(sprox) == []


def test_part_of_the_slices(origin, sprox):
    origin.put("bucket", "key", blob(MORE))
    for first in 0, 3 * SLICE + 5, MORE - 1:
        sprox.get("/bucket/key", {"Range": f"bytes={first}-{first}"})
    wait_idle(sprox)
    assert len(cache_files(sprox)) == 3
    assert purge(sprox)["slices"] == 3
    assert cache_files(sprox) == []


def test_room_in_the_cache(make_nginx, origin):
    """What was purged is no part of the zone's size any more."""
    nginx = serve(make_nginx, origin.endpoint,
                  max_size="2m manager_files=1000 manager_sleep=10")
    origin.put("bucket", "kept", blob(SLICE))
    nginx.get("/bucket/kept")
    for seed in range(4):
        origin.put("bucket", "key", blob(4 * FILL, seed))
        nginx.get("/bucket/key")
        wait_idle(nginx)
        assert purge(nginx)["slices"] == 4 * FILL // SLICE
    origin.journal.clear()
    assert nginx.get("/bucket/kept").body == blob(SLICE)
    assert origin.requests() == []


def test_files_that_are_gone_already(origin, sprox):
    origin.put("bucket", "key", blob(FILL))
    sprox.get("/bucket/key")
    wait_idle(sprox)
    for path in cache_files(sprox)[:3]:
        path.unlink()
    assert purge(sprox)["slices"] == 1
    assert sprox.get("/bucket/key").body == blob(FILL)


def test_at_the_real_store(make_nginx, versity, bucket):
    versity.put(bucket, {"key": blob(FILL)})
    nginx = over(make_nginx, versity)
    assert nginx.get(f"/{bucket}/key").body == blob(FILL)
    wait_idle(nginx)
    versity.journal.clear()
    assert purge(nginx, f"/{bucket}/key")["slices"] == FILL // SLICE
    assert versity.journal.requests() == []
    assert nginx.get(f"/{bucket}/key").body == blob(FILL)
    assert versity.journal.count(operation="GetObject") == 1


def test_metrics_and_log(origin, sprox):
    origin.put("bucket", "key", blob(FILL))
    sprox.get("/bucket/key")
    wait_idle(sprox)
    purge(sprox)
    purge(sprox)
    metrics = sprox.metrics()
    assert metrics.sum("sprox_purged_slices_total") == FILL // SLICE
    assert metrics.sum("sprox_requests_total", operation="Purge",
                       status="200") == 2
    assert metrics.sum("sprox_catalog_objects") == 0
    sprox.wait(lambda: [line.split(" ")[:4] for line in (
        sprox.dir / "sprox.log").read_text().splitlines()
        if line.startswith("PURGE")] == [["PURGE", "200", "$bucket", "Purge"]]
        * 2, 5, "to log both")


# by which name

@pytest.mark.parametrize("by", ["plain/d/y=1", "y1", "other/d/y=1",
                                "large/d/y=1", "ruled/d/y=1", "bypass/d/y=1"])
def test_by_any_name_of_the_object(make_nginx, origin, by):
    """Wherever its slices lie, and however large they are."""
    body = blob(FILL + 1)
    origin.put("bucket", "d/y=1/k", body)
    nginx = serve(make_nginx, origin.endpoint, http_more=ALIASES)
    for _ in range(2):
        for name in "plain/d/y=1", "other/d/y=1", "large/d/y=1", \
                "ruled/d/y=1", "bypass/d/y=1":
            assert nginx.get(f"/{name}/k").body == body
        wait_idle(nginx)
        assert len(cache_files(nginx)) == 5 + 5 + 3 + 2
        size = on_disk(nginx)
        assert purge(nginx, f"/{by}/k") \
            == {"objects": 1, "slices": 15, "bytes": size}
        assert cache_files(nginx) == []
        assert purge(nginx, "/plain/d/y=1/k") == NOTHING
    before = origin.count()
    nginx.head("/y1/k")
    assert origin.count() == before + 1


def test_only_the_object_that_is_named(make_nginx, make_origin):
    """The same bucket and key of another store are another object."""
    one, two = make_origin(), make_origin()
    for store in one, two:
        store.put("bucket", "k", blob(1000))
    nginx = serve(make_nginx, one.endpoint, http_more="""
        sprox_origin two { endpoint @two@; credentials anonymous; }
        sprox_alias two { target two://bucket/; }""", two=two.endpoint)
    for target in "/bucket/k", "/two/k":
        assert nginx.get(target).body == blob(1000)
    wait_idle(nginx)
    assert purge(nginx, "/two/k")["slices"] == 1
    nginx.get("/bucket/k")
    assert (one.count(), two.count()) == (1, 1)
    assert [k.split(" ")[1] for k in cache_keys(nginx)] == ["store"]


def test_several_aliases_in_one_bucket(make_nginx, origin):
    for key in "in/k", "raw/k":
        origin.put("bucket", key, key.encode())
    nginx = serve(make_nginx, origin.endpoint, http_more="""
        sprox_alias data     { target store://bucket/in/; }
        sprox_alias data/raw { target store://bucket/raw/; }""")
    for _ in range(2):
        assert nginx.get("/data/k").body == b"in/k"
        assert nginx.get("/data/raw/k").body == b"raw/k"
        wait_idle(nginx)
        assert len(cache_files(nginx)) == 2
        assert purge(nginx, "/data/raw/k")["slices"] == 1
        assert " in/k " in cache_keys(nginx)[0]
        assert purge(nginx, "/data/k")["slices"] == 1
    # hidden by the other alias, so not to be named through this one
    assert purge(nginx, "/data/raw/nothing") == NOTHING


def test_virtual_hosted(make_nginx, origin):
    origin.put("bucket", "key", blob(1000))
    nginx = serve(make_nginx, origin.endpoint,
                  http_more="sprox_domain s3.test;")
    nginx.get("/bucket/key")
    wait_idle(nginx)
    response = nginx.request("PURGE", "/key", {"Host": "bucket.s3.test"})
    assert json.loads(response.body)["slices"] == 1
    assert cache_files(nginx) == []


@pytest.mark.parametrize("target, status, code", [
    ("/", 405, "MethodNotAllowed"),
    ("/bucket/key?versionId=x", 501, "NotImplemented"),
    ("/bucket/" + "x" * 1025, 400, "KeyTooLongError"),
    ("/UPPER/key", 404, "NoSuchBucket"),
])
def test_what_cannot_be_purged(origin, sprox, target, status, code):
    response = sprox.request("PURGE", target)
    assert (response.status, error_code(response)) == (status, code)
    assert origin.requests() == []


# by whom

CONTROL = [
    ("", {"127.0.0.1", "127.0.0.2", "::1", "unix"}),
    ("sprox_control 127.0.0.2;", {"127.0.0.2"}),
    ("sprox_control 127.0.0.0/31;", {"127.0.0.1"}),
    ("sprox_control 127.0.0.2 127.0.0.1;", {"127.0.0.1", "127.0.0.2"}),
    ("sprox_control ::1;", {"::1"}),
    ("sprox_control unix:;", {"unix"}),
    ("sprox_control 10.0.0.0/8 fe80::/10;", set()),
]


def connected(nginx, source: str) -> socket.socket:
    if source == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(nginx.dir / "s"))
        return sock
    sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    sock.bind((source, 0))
    sock.connect(("::1" if ":" in source else "127.0.0.1", nginx.port))
    return sock


@pytest.mark.parametrize("control, allowed", CONTROL,
                         ids=[words for words, _ in CONTROL])
def test_control(make_nginx, origin, control, allowed, monkeypatch):
    origin.put("bucket", "key", blob(1000))
    nginx = serve(make_nginx, origin.endpoint, more=control, server_more="""
        listen [::1]:@port@; listen unix:s;""")
    for source in "127.0.0.1", "127.0.0.2", "::1", "unix":
        nginx.get("/bucket/key")
        wait_idle(nginx)
        monkeypatch.chdir(nginx.dir)        # the name of a socket is short
        with nginx.client() as client:
            client.sock.close()
            client.sock = connected(nginx, source)
            client.reader.sock = client.sock
            response = client.request("PURGE", "/bucket/key")
        if source in allowed:
            assert response.status == 200, source
            assert json.loads(response.body)["slices"] == 1
            assert cache_files(nginx) == []
        else:
            assert (response.status, error_code(response)) \
                == (403, "AccessDenied"), source
            assert len(cache_files(nginx)) == 1


def test_control_by_place(make_nginx, origin):
    """The inner one wins; what a proxy's header says counts for nothing."""
    nginx = serve(make_nginx, origin.endpoint,
                  server_more="sprox_control 10.0.0.1;", more="""
        location /open/ { sprox on; sprox_control 127.0.0.1; }""")
    for header in {}, {"X-Forwarded-For": "10.0.0.1"}, \
            {"Forwarded": "for=10.0.0.1"}, {"X-Real-IP": "10.0.0.1"}:
        response = nginx.request("PURGE", "/bucket/key", header)
        assert (response.status, error_code(response)) == (403, "AccessDenied")
    assert purge(nginx, "/open/key") == NOTHING
    # where nothing is to be found they are told no more
    for target in "/bucket/none", "/UPPER/key":
        assert nginx.request("PURGE", target).status in (403, 404)


# while it is read and filled

def test_in_the_middle_of_a_fill(origin, sprox):
    """Who reads gets the rest; what the fill still brings is not kept."""
    body = blob(FILL)
    origin.put("bucket", "key", body)
    gate = origin.hold(method="GET", gate_after=SLICE + 1000)
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait()
        sprox.wait(lambda: len(cache_files(sprox)) == 1, 5, "to keep a slice")
        found = purge(sprox)
        assert (found["objects"], found["slices"]) == (1, 1)
        assert cache_files(sprox) == []
        assert sprox.head("/bucket/key").status == 200
        assert origin.count(method="HEAD") == 1
        assert purge(sprox) == {"objects": 1, "slices": 0, "bytes": 0}
        gate.open()
        assert client.read().body == body
    wait_idle(sprox)
    assert cache_files(sprox) == []
    assert temporary_files(sprox) == []
    assert purge(sprox) == NOTHING
    assert sprox.get("/bucket/key").body == body


def test_in_the_middle_of_many_fills(origin, sprox):
    """Some told of the object before, some after: what is left is known."""
    body = blob(16 * FILL)
    origin.put("bucket", "key", body)
    gate = origin.hold(method="GET", gate_after=SLICE + 1000)
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait(2)
        sprox.wait(lambda: len(cache_files(sprox)) >= 2, 5, "to keep slices")
        assert purge(sprox)["slices"] >= 2
        gate.open()
        assert client.read().body == body
    wait_idle(sprox)
    left = len(cache_files(sprox))
    assert purge(sprox)["slices"] == left
    assert cache_files(sprox) == []
    assert temporary_files(sprox) == []
    assert sprox.get("/bucket/key").body == body


def test_before_the_fill_is_answered(origin, sprox):
    """As if the read had come after it."""
    body = blob(FILL)
    origin.put("bucket", "key", body)
    gate = origin.hold(key="key")
    with sprox.client() as client:
        client.send("GET", "/bucket/key")
        gate.wait()
        assert purge(sprox) == NOTHING
        gate.open()
        assert client.read().body == body
    wait_idle(sprox)
    assert cache_files(sprox) == []
    assert sprox.get("/bucket/key").body == body
    wait_idle(sprox)
    assert purge(sprox)["slices"] == FILL // SLICE


def test_while_what_is_cached_is_sent(make_nginx, origin):
    """A file that is open stays readable; the next slices are filled anew."""
    body = blob(16 * FILL)
    origin.put("bucket", "key", body)
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=32k")
    assert nginx.get("/bucket/key").body == body
    wait_idle(nginx)
    with nginx.client(receive_buffer=32768) as client:
        client.send("GET", "/bucket/key")
        assert client.read_head()[0] == 200
        first = client.reader.exactly(1000)
        assert purge(nginx)["slices"] == 64
        assert cache_files(nginx) == []
        assert first + client.reader.exactly(len(body) - 1000) == body
    wait_idle(nginx)
    # descriptors of deleted files are let go
    nginx.wait(lambda: not [w for w in nginx.fds().values()
                            if "(deleted)" in w and "/cache/" in w], 5,
               "to close the deleted files")


def test_many_readers_and_purges(origin, sprox):
    body = blob(MORE)
    origin.put("bucket", "key", body)

    def read(i: int) -> bool:
        if i % 4 == 0:
            return purge(sprox)["objects"] in (0, 1)
        first = i * 7919 % MORE
        response = sprox.get("/bucket/key", {"Range": f"bytes={first}-"})
        return response.status == 206 and response.body == body[first:]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(120)))
    wait_idle(sprox)
    # whatever was left is known, so that one more purge takes it
    found = purge(sprox)
    assert cache_files(sprox) == []
    assert temporary_files(sprox) == []
    assert found["slices"] <= SLICES


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_that_was_on_its_way(origin, sprox, known, method):
    """What was asked for before the purge is not believed after it."""
    old, new = blob(SLICE + 5, 1), blob(SLICE + 9, 2)
    if known:
        origin.put("bucket", "key", blob(10))
        sprox.get("/bucket/key")
        wait_idle(sprox)
        assert purge(sprox)["objects"] == 1
    origin.put("bucket", "key", old)
    header = (b"HTTP/1.1 %d OK\r\nETag: \"old\"\r\nContent-Length: %d\r\n"
              b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
              b"Connection: close\r\n")
    if method == "GET":
        raw = header % (206, len(old)) + b"Content-Range: bytes 0-%d/%d" % (
            len(old) - 1, len(old)) + b"\r\n\r\n" + old
    else:
        raw = header % (200, len(old)) + b"\r\n"
    gate = origin.hold(key="key", nth=1, raw=raw)
    with sprox.client() as early, sprox.client() as joined:
        early.send(method, "/bucket/key")
        gate.wait()
        origin.put("bucket", "key", new)
        assert purge(sprox) == NOTHING
        joined.send("HEAD", "/bucket/key")
        gate.open()
        assert early.read(method).status == 200
        joined.read("HEAD")
    wait_idle(sprox)
    assert sprox.head("/bucket/key")["Content-Length"] == str(len(new))
    assert sprox.get("/bucket/key").body == new
    before = origin.count()
    assert sprox.get("/bucket/key").body == new
    assert origin.count() == before


def test_a_404_that_was_on_its_way(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, more="sprox_valid_missing 1h;")
    origin.bucket("bucket")
    gate = origin.hold(key="key", nth=1, status=404, code="NoSuchKey")
    with nginx.client() as early:
        early.send("GET", "/bucket/key")
        gate.wait()
        origin.put("bucket", "key", b"new")
        purge(nginx)
        gate.open()
        assert early.read().status in (200, 404)
    assert nginx.get("/bucket/key").body == b"new"


def test_a_crawl_that_is_on_its_way_loses_nothing(make_nginx, origin):
    """A page of before the purge tells of a key that nobody knew."""
    origin.put("bucket", "key", b"one")
    origin.put("bucket", "last", b"two")
    gate = origin.hold(operation="ListObjectsV2", nth=1, gate_after=50)
    nginx = serve(make_nginx, origin.endpoint, server_more=LOCATION, aliases=""
                  "sprox_alias lake { target store://bucket/; list catalog; }")
    gate.wait()
    assert purge(nginx, "/lake/key") == NOTHING
    gate.open()
    Admin(nginx).wait_complete("lake")
    lister = Lister(nginx.port, "lake")
    assert lister.all() == ["key", "last"]      # the origin says
    assert nginx.get("/lake/key").body == b"one"
    before = origin.count(operation="ListObjectsV2")
    assert lister.all() == ["key", "last"]
    assert origin.count(operation="ListObjectsV2") == before


# in two workers

def worker_clients(nginx) -> dict:
    """A kept connection to each worker, by its pid."""
    clients = {}
    while len(clients) < nginx.workers:
        client = nginx.client()
        assert client.request("GET", "/pid").status == 200
        pid = owner(nginx, client)
        if pid in clients:
            client.close()
        else:
            clients[pid] = client
    return clients


def owner(nginx, client) -> int:
    """Which worker has the connection, by the pid that it logs."""
    return int(client.request("GET", "/pid")["X-Pid"])


@pytest.fixture
def two(make_nginx, origin):
    return serve(make_nginx, origin.endpoint, workers=2, server_more="""
        location = /pid { add_header X-Pid $pid; return 200; }""")


def test_all_workers_forget(origin, two):
    body = blob(MORE)
    origin.put("bucket", "key", body)
    clients = worker_clients(two)
    for by in list(clients):
        for client in clients.values():
            assert client.request("GET", "/bucket/key").body == body
        wait_idle(two)
        origin.journal.clear()
        response = clients[by].request("PURGE", "/bucket/key")
        assert json.loads(response.body)["slices"] == SLICES
        assert cache_files(two) == []
        for pid, client in clients.items():
            purged = json.loads(clients[by].request(
                "PURGE", "/bucket/key").body)
            assert purged["objects"] == (pid != list(clients)[0])
            assert client.request("HEAD", "/bucket/key").status == 200
        assert origin.count(method="HEAD") == 2
    for client in clients.values():
        client.close()


def test_while_another_worker_fills(origin, two):
    """It leaves no slice behind that nobody knows of."""
    body = blob(FILL)
    origin.put("bucket", "key", body)
    clients = worker_clients(two)
    reader, purger = clients.values()
    gate = origin.hold(key="key", gate_after=SLICE + 1000)
    reader.send("GET", "/bucket/key")
    gate.wait()
    two.wait(lambda: len(cache_files(two)) == 1, 5, "to keep a slice")
    response = purger.request("PURGE", "/bucket/key")
    assert json.loads(response.body)["slices"] == 1
    gate.open()
    assert reader.read().body == body
    wait_idle(two)
    assert cache_files(two) == []
    assert temporary_files(two) == []
    assert json.loads(purger.request("PURGE", "/bucket/key").body) == NOTHING
    assert reader.request("GET", "/bucket/key").body == body
    for client in clients.values():
        client.close()
