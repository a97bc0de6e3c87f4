"""
PURGE of a prefix or a bucket: it holds at once and in every worker, and the
disk is freed behind it, also when workers are killed.
"""

import json
import os
import random
import signal
import time

import pytest

from harness.listing import Lister
from harness.patience import SLOWER
from harness.sprox import (FILL, SLICE, cache_files, cache_keys, error_code,
                           serve, wait_idle)

ADMIN = """
        location /_sprox/ { sprox_admin; allow 127.0.0.1; deny all; }
"""


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def sprox(make_nginx, origin):
    def make(**words):
        return serve(make_nginx, origin.endpoint,
                     **{"server_more": ADMIN, **words})

    return make


def ban(nginx, target: str) -> list:
    response = nginx.request("PURGE", target)
    assert response.status == 200, response
    assert response["Content-Type"] == "application/json"
    found = json.loads(response.body)
    assert list(found) == ["jobs"] and found["jobs"]
    return found["jobs"]


def job(nginx, number: int) -> dict:
    response = nginx.get(f"/_sprox/jobs/{number}")
    assert response.status == 200, response
    return json.loads(response.body)


def ban_and_wait(nginx, target: str) -> dict:
    """The last of its jobs, when it is done."""
    for number in ban(nginx, target):
        nginx.wait(lambda: job(nginx, number)["state"] == "done", 20,
                   "to delete what was purged")
    return job(nginx, number)


def fill(nginx, origin, keys, size: int = SLICE + 10, bucket="bucket") -> None:
    for number, key in enumerate(keys):
        body = blob(size, number)
        origin.put(bucket, key, body)
        assert nginx.get(f"/{bucket}/{key}").body == body
    wait_idle(nginx)


# what goes

def test_a_prefix(sprox, origin):
    """The slices of all below it, and nothing else."""
    nginx = sprox()
    fill(nginx, origin, ["t/a", "t/b", "t/sub/c", "tt", "other"])
    assert len(cache_files(nginx)) == 10
    done = ban_and_wait(nginx, "/bucket/t/*")
    assert done["kind"] == "purge" and done["done"] == 6
    assert sorted({key.split()[3] for key in cache_keys(nginx)}) \
        == ["other", "tt"]

    before = len(origin.requests())
    for key in ("other", "tt"):
        nginx.get(f"/bucket/{key}")
    assert len(origin.requests()) == before
    for key in ("t/a", "t/b", "t/sub/c"):
        assert nginx.get(f"/bucket/{key}").status == 200
    asked = origin.requests()[before:]
    assert {e.key for e in asked} == {"t/a", "t/b", "t/sub/c"}
    assert not any("if-none-match" in e.headers for e in asked)


@pytest.mark.parametrize("levels", ["", "levels=1", "levels=2:1:2"])
def test_folders_of_any_depth(sprox, origin, levels):
    """Also one that has all files, with more of others than a look takes."""
    nginx = sprox(http_more="proxy_cache_path @dir@/flat keys_zone=flat:1m "
                  f"use_temp_path=off {levels};", cache="flat")
    fill(nginx, origin, [f"t/{i}" for i in range(20)] + ["u"], 10)
    flat = nginx.dir / "flat"
    for i in range(9000):
        (flat / f"{i:032x}").touch()
    os.mkfifo(flat / ("f" * 32))
    (flat / ("e" * 32)).mkdir()
    (flat / "a").mkdir(exist_ok=True)
    (flat / "a" / ("d" * 32)).symlink_to("/dev/zero")
    assert ban_and_wait(nginx, "/bucket/t/*")["done"] == 20
    kept = [path for path in flat.rglob("*") if path.is_file()
            and path.stat().st_size and not path.is_symlink()]
    assert len(kept) == 1 and b" u " in kept[0].read_bytes()


@pytest.mark.parametrize("target", ["/bucket/", "/bucket", "/bucket/*"])
def test_a_bucket(sprox, origin, target):
    nginx = sprox()
    fill(nginx, origin, ["a", "b/c"])
    fill(nginx, origin, ["a"], bucket="second")
    ban_and_wait(nginx, target)
    assert {key.split()[2] for key in cache_keys(nginx)} == {"second"}
    assert nginx.metrics().sum("sprox_purged_slices_total") == 4


def test_a_key_with_a_star(sprox, origin):
    """As %2A it is a key like others."""
    nginx = sprox()
    fill(nginx, origin, ["a", "ab"])
    origin.put("bucket", "a*", b"star")
    assert nginx.get("/bucket/a%2A").body == b"star"
    response = nginx.request("PURGE", "/bucket/a%2A")
    assert json.loads(response.body)["objects"] == 1
    assert any(key.split()[3] == "ab" for key in cache_keys(nginx))


def test_what_the_catalog_does_not_know(sprox, origin):
    """Slices that outlived a restart, or the entry, are found on disk."""
    nginx = sprox()
    fill(nginx, origin, ["t/a", "t/b", "u"])
    nginx.restart()
    ban_and_wait(nginx, "/bucket/t/*")
    assert {key.split()[3] for key in cache_keys(nginx)} == {"u"}


def test_through_a_template(sprox, origin):
    nginx = sprox(aliases="""
        sprox_alias tbl/$y/$m { target store://bucket/y=$y/m=$m/; }
        sprox_alias all       { target store://bucket/; }
    """)
    for key in ("y=1/m=1/f", "y=1/m=2/f", "y=12/m=1/f", "y=2/m=1/f"):
        origin.put("bucket", key, b"x" * 100)
        assert nginx.get(f"/all/{key}").status == 200
    wait_idle(nginx)
    ban_and_wait(nginx, "/tbl/1/*")
    assert sorted(key.split()[3] for key in cache_keys(nginx)) \
        == ["y=12/m=1/f", "y=2/m=1/f"]
    ban_and_wait(nginx, "/tbl/")
    assert cache_keys(nginx) == []


def test_cached_listings_go(sprox, origin):
    origin.put("bucket", "t/a", b"a")
    nginx = sprox(aliases="sprox_alias $bucket { target store://$bucket/;"
                  " list cached 1h; }")
    lister = Lister(nginx.port, "bucket")
    assert lister.all() == ["t/a"]
    origin.put("bucket", "t/b", b"b")
    assert lister.all() == ["t/a"]
    ban(nginx, "/bucket/t/*")
    assert lister.all() == ["t/a", "t/b"]


# at once, in every worker

def test_at_once_everywhere(sprox, origin):
    """
    The same ETag again, so that only the ban tells: no byte of before is
    sent by any worker, though its descriptors are open.
    """
    nginx = sprox(workers=4)
    etag = '"the-same-etag"'
    old, new = blob(3 * SLICE, 1), blob(3 * SLICE, 2)
    origin.put("bucket", "k", old, etag=etag)
    clients = [nginx.client() for _ in range(24)]
    for _ in range(3):
        for client in clients:
            assert client.request("GET", "/bucket/k").body == old
    wait_idle(nginx)
    origin.put("bucket", "k", new, etag=etag)
    for client in clients:
        assert client.request("GET", "/bucket/k").body == old
    ban(nginx, "/bucket/*")
    for client in clients:
        assert client.request("GET", "/bucket/k").body == new
        client.close()


def test_reads_during_a_ban(sprox, origin):
    """What was begun before ends as it was; what begins after is new."""
    nginx = sprox()
    old, new = blob(2 * FILL, 1), blob(2 * FILL, 2)
    origin.put("bucket", "k", old, etag='"e"')
    gate = origin.hold(key="k", gate_after=SLICE + 7, nth=1)
    with nginx.client() as early, nginx.client() as late:
        early.send("GET", "/bucket/k", {"Range": f"bytes=0-{FILL - 1}"})
        gate.wait()
        number = ban(nginx, "/bucket/*")[0]
        nginx.wait(lambda: job(nginx, number)["state"] == "done", 20,
                   "to end the purge")
        gate.open()
        assert early.read().body == old[:FILL]
        wait_idle(nginx)
        origin.put("bucket", "k", new, etag='"e2"')
        assert late.request("GET", "/bucket/k").body == new


def test_an_answer_of_before_that_comes_after(sprox, origin):
    """Nothing is learned from it, though the deletion has ended."""
    nginx = sprox()
    old, new = blob(SLICE, 1), blob(SLICE, 2)
    raw = (b"HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\n"
           b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
           b"Content-Range: bytes 0-%d/%d\r\nContent-Length: %d\r\n"
           b"Connection: close\r\n\r\n" % (SLICE - 1, SLICE, SLICE)) + old
    gate = origin.hold(key="k", nth=1, raw=raw)
    with nginx.client() as early:
        early.send("GET", "/bucket/k")
        gate.wait()
        origin.put("bucket", "k", new, etag='"e2"')
        number = ban(nginx, "/bucket/*")[0]
        nginx.wait(lambda: job(nginx, number)["state"] == "done", 20,
                   "to end the purge")
        gate.open()
        assert early.read().body in (old, new)
    wait_idle(nginx)
    assert nginx.get("/bucket/k").body == new


# what does not undo it

def test_a_restart_in_the_middle(sprox, origin, make_nginx):
    """The job had not begun when nginx ended: the next one does it."""
    nginx = serve(make_nginx, origin.endpoint, server_more=ADMIN, http_more=""
                  "sprox_catalog zone=cat:4m file=@dir@/catalog/c "
                  "interval=1h;")
    fill(nginx, origin, [f"t/{i}" for i in range(20)] + ["u"])
    for pid in nginx.worker_pids():
        os.kill(pid, signal.SIGSTOP)
    # the workers are stopped: they take the request when they go on, and end
    with nginx.client() as client:
        client.send("PURGE", "/bucket/t/*")
        nginx.process.send_signal(signal.SIGQUIT)
        for pid in nginx.worker_pids() + nginx.worker_pids(leaving=True):
            os.kill(pid, signal.SIGCONT)
        assert client.read().status == 200
    nginx.process.wait(60)
    nginx.process = None
    nginx.start()
    nginx.wait(lambda: {k.split()[3] for k in cache_keys(nginx)} == {"u"}, 20,
               "to delete what was purged")


def test_killed_workers(sprox, origin):
    """Another worker goes on with the deletion."""
    nginx = sprox(workers=2)
    fill(nginx, origin, [f"t/{i}" for i in range(60)] + ["u"])
    number = ban(nginx, "/bucket/t/*")[0]
    for pid in nginx.worker_pids():
        nginx.kill_worker(pid)
    nginx.wait(lambda: {k.split()[3] for k in cache_keys(nginx)} == {"u"}, 20,
               "to delete what was purged")
    nginx.wait(lambda: job(nginx, number)["state"] == "done", 10,
               "to end the job")
    # and it is over: what is read now stays
    assert nginx.get("/bucket/t/1").status == 200
    wait_idle(nginx)
    before = origin.count(key="t/1")
    assert nginx.get("/bucket/t/1").status == 200
    assert origin.count(key="t/1") == before


def test_twice_at_once(sprox, origin):
    """The second finds what came between."""
    nginx = sprox()
    fill(nginx, origin, [f"t/{i}" for i in range(30)])
    ban(nginx, "/bucket/t/*")
    for i in range(30):
        nginx.get(f"/bucket/t/{i}")
    wait_idle(nginx)
    ban_and_wait(nginx, "/bucket/t/*")
    assert cache_keys(nginx) == []


def test_many_bans(sprox, origin):
    """More than the table holds: more is forgotten, never less."""
    nginx = sprox()
    keys = [f"p{i:03}/{'x' * 200}" for i in range(150)]
    fill(nginx, origin, keys, 10)
    for key in keys:
        assert nginx.request("PURGE", "/bucket/" + key[:-1] + "*").status == 200
    before = len(origin.requests())
    for key in keys:
        assert nginx.get("/bucket/" + key).status == 200
    assert {e.key for e in origin.requests()[before:]} == set(keys)


# the catalog's listings

def test_listing_of_what_was_purged(sprox, origin):
    """From the origin until it is crawled again, then it is complete."""
    for key in ("a", "t/1", "t/2"):
        origin.put("bucket", key, b"x")
    nginx = sprox(aliases="sprox_alias cat { target store://bucket/;"
                  " list catalog; }")

    def complete() -> bool:
        return json.loads(nginx.get("/_sprox/aliases/cat").body)["complete"]

    nginx.wait(complete, 20, "to crawl")
    origin.delete("bucket", "t/1")
    origin.put("bucket", "t/3", b"x")
    lister = Lister(nginx.port, "cat")
    assert lister.all() == ["a", "t/1", "t/2"]
    ban(nginx, "/cat/t/*")
    assert lister.all() == ["a", "t/2", "t/3"]
    nginx.wait(complete, 20, "to crawl again")
    asked = origin.count(operation="ListObjectsV2")
    assert lister.all() == ["a", "t/2", "t/3"]
    assert origin.count(operation="ListObjectsV2") == asked


# who may

def test_who_may(sprox, origin):
    nginx = sprox(more="sprox_control 192.0.2.1;")
    origin.put("bucket", "t/a", b"a")
    assert nginx.get("/bucket/t/a").status == 200
    wait_idle(nginx)
    for target in ("/bucket/", "/bucket/t/*", "/bucket/t/a"):
        response = nginx.request("PURGE", target)
        assert (response.status, error_code(response)) == (403, "AccessDenied")
    assert len(cache_files(nginx)) == 1


def test_nothing_there(sprox, origin):
    nginx = sprox(aliases="sprox_alias tbl { target store://bucket/; }")
    assert nginx.request("PURGE", "/none/").status == 404
    assert ban_and_wait(nginx, "/tbl/x*")["done"] == 0


def test_workers_are_not_blocked(sprox, origin):
    """Other requests are answered while thousands of slices go."""
    nginx = sprox(slice="64k")
    fill(nginx, origin, ["hot"], 10)
    fill(nginx, origin, [f"t/{i}" for i in range(40)], 20 * SLICE)
    number = ban(nginx, "/bucket/t/*")[0]
    done = False
    while not done:
        began = time.monotonic()
        assert nginx.get("/bucket/hot").status == 200
        assert time.monotonic() - began < 2 * SLOWER
        done = job(nginx, number)["state"] == "done"
    assert job(nginx, number)["done"] == 40 * 20


@pytest.mark.parametrize("method, target", [
    ("PURGE", "/big/"), ("GET", "/_sprox/aliases")])
def test_many_aliases(sprox, origin, method, target):
    """A thousand of them take many turns: who comes later is first."""
    origin.put("bucket", "hot/k", b"hot")
    names = [f"big/p{i:04}" for i in range(1000)]
    nginx = sprox(aliases="sprox_alias hot { target store://bucket/hot/; }"
                  + "".join(f"sprox_alias {name} {{ target store://bucket"
                            f"{name[3:]}/; list catalog; }}"
                            if i % 250 == 0 else
                            f"sprox_alias {name} {{ target store://bucket"
                            f"{name[3:]}/; }}"
                            for i, name in enumerate(names)))
    assert nginx.get("/hot/k").body == b"hot"
    wait_idle(nginx)
    pid, = nginx.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    with nginx.client() as first, nginx.client() as second:
        first.send(method, target)
        second.send("HEAD", "/hot/k")
        os.kill(pid, signal.SIGCONT)
        found = first.read()
        assert found.status == second.read("HEAD").status == 200
    document = json.loads(found.body)
    if method == "PURGE":
        assert len(document["jobs"]) == len(set(document["jobs"])) > 100
    else:
        assert [alias["name"] for alias in document["aliases"]] \
            == names + ["hot"]

    def logged() -> list:
        asked = [line.split('"')[1].split() for line in nginx.access_log()]
        return [words[0] for words in asked
                if words[:2] in (["HEAD", "/hot/k"], [method, target])]

    nginx.wait(lambda: len(logged()) == 2, 5, "to log them")
    assert logged() == ["HEAD", method]
