"""
What ends, and when: clients, workers and threads that go in the middle of
something, and what must then be gone, or must go on. For the sanitizers of
`make asan` as much as for what is asserted here.
"""

import os
import random
import re
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import s3xml
from harness.listing import Lister
from harness.nginx import ROOT
from harness.sprox import (FILL, SLICE, cache_files, error_code, serve,
                           temporary_files, wait_idle)
from harness.wire import Client
from test_list import HTTP as LISTS
from test_list_cached import page_files

BIG = 64 * FILL                 # more than sockets and their buffers take
IO = {"plain": "", "copied": "sendfile off; output_buffers 1 8k;",
      "threads": "aio threads; sendfile on;",
      "copied by threads": "aio threads; sendfile off;",
      "open files": "open_file_cache max=100; open_file_cache_min_uses 1;"}


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


# listings, and the thread that reads a page

@pytest.fixture
def lister(make_nginx, origin):
    def make(aliases: str, **options):
        nginx = make_nginx(LISTS.replace("sprox on;",
                                         "sprox on; aio threads;"),
                           aliases=aliases, endpoint=origin.endpoint,
                           credentials="anonymous", list="cached 5m",
                           **options)
        for n in range(3):
            origin.put("bucket", f"{n}-n/x")    # which the template hides
            origin.put("bucket", f"{n}-m/x")
        origin.put("bucket", "9-y/x")
        return nginx
    return make


def test_a_page_by_a_thread_after_one_of_the_origin(lister, origin):
    nginx = lister("sprox_alias tbl/$name-y { target store://bucket/$name-y; }")
    assert Lister(nginx.port, "tbl").all(max_keys=1) == ["9-y/x"]
    first, = [p for p in page_files(nginx) if b" after=\n" in p.read_bytes()]
    first.unlink()
    asked = origin.count()
    assert Lister(nginx.port, "tbl").all(max_keys=1) == ["9-y/x"]
    assert origin.count() > asked


def test_an_alias_fails_while_a_thread_reads_for_another(lister, origin,
                                                         make_origin):
    other = make_origin()
    other.put("more", "1-y")
    nginx = lister("""
        sprox_origin other { endpoint %s; region us-east-1; style path;
                             credentials anonymous; retries 0; }
        sprox_alias tbl/a   { target other://more/; list origin; }
        sprox_alias tbl     { target store://bucket/; }
    """ % other.endpoint)
    want = ["0-m/x", "0-n/x", "1-m/x", "1-n/x", "2-m/x", "2-n/x", "9-y/x",
            "a/1-y"]
    assert Lister(nginx.port, "tbl").all() == want
    other.stop()
    with nginx.client() as client:
        for _ in range(5):
            response = client.request("GET", "/tbl?list-type=2")
            assert (response.status, error_code(response)) \
                == (502, "BadGateway")
    other.start()
    assert Lister(nginx.port, "tbl").all() == want


@pytest.mark.parametrize("workers", [1, 2])
def test_pages_that_others_fetch(lister, origin, workers):
    """Read out of the cache when they have landed, one of them by a thread."""
    nginx = lister("""
        sprox_alias tbl/$name-y { target store://bucket/$name-y; }
        sprox_alias tbl/$name-m { target store://bucket/$name-m; }
    """, workers=workers)
    query = "/tbl?list-type=2&max-keys=2"
    gate = origin.hold(operation="ListObjectsV2", nth=1)
    clients = [nginx.client() for _ in range(8)]
    for client in clients:
        client.send("GET", query)
    gate.wait()
    gate.open()
    pages = {client.read().body for client in clients}
    assert len(pages) == 1 and b"<Key>0-m/x</Key>" in pages.pop()
    asked = [entry.query for entry in origin.requests()]
    assert len(asked) == len(set(asked))


# fetches

def test_a_bucket_moves_while_it_is_read(make_nginx, origin):
    """What was learned of its region is forgotten under those who used it."""
    nginx = serve(make_nginx, origin.endpoint, credentials="static ID SECRET")
    for key in "abcd":
        origin.put("bucket", key, blob(1000))
    origin.redirect("eu-west-1", times=1)
    assert nginx.get("/bucket/a").body == blob(1000)

    gate = origin.hold(status=400, times=3, body=s3xml.error(
        "AuthorizationHeaderMalformed", "wrong", Region="eu-west-3"))
    with ThreadPoolExecutor() as pool:
        reads = [pool.submit(nginx.get, f"/bucket/{key}") for key in "bcd"]
        gate.wait(3)
        gate.open()
        for read in reads:
            assert read.result().body == blob(1000)
    signed = [entry.headers["authorization"].split("/")[2]
              for entry in origin.requests()]
    assert signed == ["us-east-1", *["eu-west-1"] * 4, *["eu-west-3"] * 3]


def test_renewals_are_no_fills(make_nginx, origin):
    """What is in flight is counted up once for each time it is down."""
    nginx = serve(make_nginx, origin.endpoint, valid="0")
    origin.put("bucket", "key", blob(1000))
    for _ in range(4):
        assert nginx.get("/bucket/key").body == blob(1000)
    assert origin.count(status=304) == 3
    wait_idle(nginx)

    origin.put("bucket", "other", blob(FILL))
    gate = origin.hold(key="other", gate_after=SLICE)
    with nginx.client() as client:
        client.send("GET", "/bucket/other")
        gate.wait()
        nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight") == 1,
                   5, "to count a fill")
        gate.open()
        assert client.read().body == blob(FILL)
    wait_idle(nginx)


# purges

def hollow(origin, key: str, size: int) -> None:
    """An object that has a size, and no bytes."""
    origin.put("bucket", key, b"")
    origin.script(method="HEAD", key=key, content_length=size)


def test_a_purge_outlives_its_worker_s_reload(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint)
    hollow(origin, "key", 300_000 * SLICE)
    assert nginx.head("/bucket/key")["Content-Length"] == "19660800000"
    with nginx.client() as client:
        client.send("PURGE", "/bucket/key")
        # it takes turns: this is answered in between
        nginx.wait(lambda: nginx.head("/bucket/key").status == 200
                   and origin.count(method="HEAD") == 2, 5, "to forget")
        nginx.reload()
        assert nginx.worker_pids(leaving=True)
        response = client.read()
    assert (response.status, response.text) \
        == (200, '{"objects": 1, "slices": 0, "bytes": 0}\r\n')


def test_a_client_that_leaves_its_purge(make_nginx, origin):
    """Who purges and leaves wants it purged all the same."""
    nginx = serve(make_nginx, origin.endpoint)
    body = blob(2 * FILL)
    origin.put("bucket", "key", body)
    assert nginx.get("/bucket/key").body == body
    with nginx.client() as client:
        client.send("PURGE", "/bucket/key")
    nginx.wait(lambda: not cache_files(nginx), 5, "to purge")
    assert nginx.get("/bucket/key").body == body


# workers that go

def test_worker_shutdown_timeout_ends_fetches(make_nginx, origin):
    """Those that somebody waits for, and those that nobody does."""
    nginx = serve(make_nginx, origin.endpoint, main=
                  "worker_shutdown_timeout 1s;", retries="3")
    for key in "ab":
        origin.put("bucket", key, blob(FILL))
    gate = origin.hold(key="a", gate_after=SLICE)
    silent = origin.hold(key="b")
    with nginx.client() as waits, nginx.client() as leaves:
        waits.send("GET", "/bucket/a")
        leaves.send("GET", "/bucket/b")
        gate.wait()
        silent.wait()
        leaves.close()
        nginx.reload(wait_old=True)
        assert not waits.read().complete
    origin.clear_script()
    for key in "ab":
        assert nginx.get(f"/bucket/{key}").body == blob(FILL)
    wait_idle(nginx)


def begin(nginx, origin, client, key: str):
    """A fill of key that stands in the middle of its first slice."""
    had = len(temporary_files(nginx))
    origin.put("bucket", key, blob(FILL))
    gate = origin.hold(key=key, gate_after=SLICE // 2)
    client.send("GET", f"/bucket/{key}")
    gate.wait()
    nginx.wait(lambda: len(temporary_files(nginx)) > had, 5, "to write")
    return gate


def test_the_next_worker_sweeps(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint)
    with nginx.client() as client:
        begin(nginx, origin, client, "key")
        nginx.kill_worker()
        nginx.wait(lambda: not temporary_files(nginx), 5, "to delete")
    origin.clear_script()
    assert nginx.get("/bucket/key").body == blob(FILL)


def test_only_files_of_the_dead_are_swept(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint)
    old, = nginx.worker_pids()
    with nginx.client() as dies:
        begin(nginx, origin, dies, "dies")
        nginx.reload()
        assert nginx.worker_pids(leaving=True) == [old]
        with nginx.client() as lives:
            gate = begin(nginx, origin, lives, "lives")
            both = set(temporary_files(nginx))
            nginx.allow_log(f"worker process {old} exited on signal 9")
            os.kill(old, signal.SIGKILL)
            nginx.wait_log(f"worker process {old} exited")
            nginx.reload()
            nginx.wait(lambda: len(temporary_files(nginx)) == 1, 5,
                       "to delete")
            assert set(temporary_files(nginx)) < both
            gate.open()
            assert lives.read().body == blob(FILL)
    wait_idle(nginx)
    assert not temporary_files(nginx)


def test_a_file_that_was_only_just_made_is_swept(make_nginx, origin,
                                                 tmp_path):
    shim, flag = tmp_path / "shim.so", tmp_path / "flag"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-Wall", "-o", shim,
                    ROOT / "t/harness/killed_open.c", "-ldl"], check=True)
    nginx = serve(make_nginx, origin.endpoint, main="env KILLED_OPEN;",
                  env={"LD_PRELOAD": str(shim), "KILLED_OPEN": str(flag)})
    old, = nginx.worker_pids()
    nginx.allow_log(f"worker process {old} exited on signal 9")
    origin.put("bucket", "key", blob(FILL))
    flag.touch()
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        nginx.wait_log(f"worker process {old} exited")
    nginx.wait_log("1 temporary files of processes that died were deleted")
    assert not temporary_files(nginx)
    assert nginx.get("/bucket/key").body == blob(FILL)


# what an origin sends beyond its end

@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_more_than_the_range_in_chunks(make_nginx, origin, cache):
    nginx = serve(make_nginx, origin.endpoint, cache=cache)
    origin.put("bucket", "key", blob(FILL))
    origin.script(chunked=True, extra=b"x" * 70000, method="GET")
    for header in "bytes=0-", "bytes=70000-80000", "bytes=-9":
        first, last = header[6:].split("-")
        with nginx.client() as client:
            for _ in range(2):
                body = client.request("GET", "/bucket/key",
                                      {"Range": header}).body
                assert body == (blob(FILL)[-int(last):] if not first else
                                blob(FILL)[int(first):
                                           int(last) + 1 if last else None])


def test_more_than_was_announced_over_tls(make_nginx, make_origin, pki):
    """It came in the record that the body ended in: the socket is empty."""
    origin = make_origin(tls=pki.good)
    nginx = serve(make_nginx, origin.endpoint, origin_more=
                  f"trusted_certificate {pki.ca}; keepalive 4;")
    forged = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nETag: "x"\r\n\r\nforged'
    for n in range(3):
        origin.put("bucket", f"k{n}", blob(100, n))
        gate = origin.hold(key=f"k{n}", status=200, body=blob(100, n) + forged,
                           content_length=100, headers={"ETag": f'"{n}"'},
                           gate_after=0)
        with nginx.client() as client:
            client.send("GET", f"/bucket/k{n}")
            gate.wait()
            nginx.wait(lambda: nginx.metrics().sum(
                "sprox_origin_requests_total", status=200) == n + 1, 5,
                "to read the header alone")
            gate.open()
            assert client.read().body == blob(100, n)
    assert nginx.get("/bucket/k1").body == blob(100, 1)


# workers that wait for each other

def spread(nginx, number: int, target: str) -> list:
    """So many clients that each worker has some, and what they ask for."""
    clients = [nginx.client() for _ in range(number)]
    for client in clients:
        client.send("GET", target)
    return clients


@pytest.mark.parametrize("after", [None, SLICE // 2],
                         ids=["probe", "slice"])
def test_who_waits_for_another_worker_outlives_a_reload(make_nginx, origin,
                                                        after):
    nginx = serve(make_nginx, origin.endpoint, workers=2,
                  listen_more=" reuseport")
    origin.put("bucket", "key", blob(FILL))
    gate = origin.hold(key="key", gate_after=after, method="GET")
    clients = spread(nginx, 24, "/bucket/key")
    gate.wait()
    nginx.reload()
    gate.open()
    for client in clients:
        assert client.read().body == blob(FILL)
        client.close()
    origin.journal.wait_idle()
    assert origin.journal.body_bytes() == FILL


def test_a_worker_wakes_only_whom_it_knows(make_nginx, origin):
    """
    Workers of a later configuration are more; the descriptors that wake them
    were made when the older worker was there already, and mean to it what its
    own numbers mean: clients.
    """
    nginx = serve(make_nginx, origin.endpoint, workers=1,
                  listen_more=" reuseport")
    origin.put("bucket", "key", blob(FILL))
    gate = origin.hold(key="key", gate_after=SLICE // 2, method="GET", nth=1)
    old = spread(nginx, 60, "/bucket/key")
    gate.wait()
    nginx.wait(lambda: len(nginx.fds()) > 60, 5, "to take its clients")

    nginx.workers = nginx._variables["workers"] = 16
    nginx.write(nginx._variables["http"])
    nginx.reload()
    new = spread(nginx, 120, "/bucket/key")
    gate.open()
    for client in old + new:
        assert client.read().body == blob(FILL)
        client.close()
