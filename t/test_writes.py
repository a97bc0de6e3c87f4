"""
Slice files are written by threads: a disk that does not answer holds up its
own fills and nothing else, in bounded memory; and whatever comes to its end
meanwhile (the client, the origin, the worker) waits for the thread. A held
disk is one whose writes by threads wait (harness/full_disk.c).
"""

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.nginx import ASAN
from harness.sprox import (FILL, LOG, SLICE, cache_files, log_lines, serve,
                           temporary_files, wait_idle)

FIRST = 32 << 10            # what may be written without a thread
PIECES, PIECE = 24, 128 << 10
SIZE = 2 * FILL + 1000
BODY = random.Random(3).randbytes(SIZE)
ENV = "env FULL_DISK; env HELD_DISK; env FULL_DISK_DIR;"


class Disk:
    def __init__(self, folder):
        self.full, self.held = folder / "full", folder / "held"
        self.waits = folder / "held.held"       # a thread does

    def hold(self) -> None:
        self.held.touch()

    def release(self) -> None:
        self.held.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.release()


@pytest.fixture
def start(make_nginx, origin, disk, disk_shim, tmp_path):
    """start(...): an nginx over that disk, and an object."""
    def make(**words):
        origin.put("bucket", "key", BODY)
        return serve(make_nginx, words.pop("endpoint", origin.endpoint), **{
            "main": ENV, "env": {
                "LD_PRELOAD": str(disk_shim), "FULL_DISK": str(disk.full),
                "HELD_DISK": str(disk.held), "FULL_DISK_DIR": str(tmp_path)},
            **words})

    return make


def in_flight(nginx) -> int:
    return nginx.metrics().sum("sprox_fills_in_flight")


def wait_begun(nginx, number: int = 1) -> None:
    """Until so many slice files are being written."""
    nginx.wait(lambda: len(temporary_files(nginx)) >= number, 10,
               f"to begin {number} files")


def wait_ended(nginx) -> None:
    wait_idle(nginx)
    nginx.wait(lambda: not temporary_files(nginx), 10, "to end its files")


def wait_left(nginx) -> None:
    nginx.wait(lambda: "GetObject" in (nginx.dir / "sprox.log").read_text(),
               10, "to see that its client left")


def begin(nginx, disk, headers: dict = {}):
    """A client whose read waits for a thread, which is held."""
    disk.hold()
    client = nginx.client()
    client.send("GET", "/bucket/key", headers)
    nginx.wait(disk.waits.exists, 10, "to write by a thread")
    return client


# others go on

@pytest.mark.parametrize("rule", [{}, {"chunked": True}],
                         ids=["plain", "chunked"])
def test_a_held_disk_blocks_nobody(start, origin, disk, rule):
    nginx = start()
    origin.put("bucket", "hot", b"hot")
    assert nginx.get("/bucket/hot").body == b"hot"
    origin.script(key="key", **rule)
    with begin(nginx, disk) as client:
        assert nginx.get("/bucket/hot").body == b"hot"
        assert in_flight(nginx) > 0
        assert not [p for p in temporary_files(nginx)
                    if p.stat().st_size > SLICE // 2 + FIRST]
        origin.put("bucket", "small", b"small")
        assert nginx.get("/bucket/small").body == b"small"
        assert len(cache_files(nginx)) == 2
        disk.release()
        assert client.read().body == BODY
    wait_ended(nginx)
    assert len(cache_files(nginx)) == 2 + -(-SIZE // SLICE)
    origin.journal.clear()
    assert nginx.get("/bucket/key").body == BODY
    assert origin.count() == 0


@pytest.mark.parametrize("kind", ["plain", "chunked", "file"])
def test_many_wait_for_room(start, origin, disk, tmp_path, kind):
    """More fills than pieces: they stand in a line, in bounded memory."""
    number, size = 3 * PIECES, 2 << 20
    bodies = {f"k{n}": random.Random(n).randbytes(size) for n in range(4)}
    words = {"slice": "512k", "fill": "2m"}
    if kind == "file":
        (tmp_path / "root/bucket").mkdir(parents=True)
        for key, body in bodies.items():
            for n in range(number // 4):
                (tmp_path / f"root/bucket/{key}-{n}").write_bytes(body)
        words["aliases"] = f"""
            sprox_origin disk {{ dialect file; root {tmp_path}/root; }}
            sprox_alias $bucket {{ target disk://$bucket/; valid immutable; }}
            """
    nginx = start(**words)
    if kind != "file":
        origin.script(chunked=kind == "chunked")
        for key, body in bodies.items():
            for n in range(number // 4):
                origin.put("bucket", f"{key}-{n}", body)
    keys = [f"k{n % 4}-{n // 4}" for n in range(number)]

    nginx.metrics()
    before = nginx.rss()
    disk.hold()
    with ThreadPoolExecutor(number) as pool:
        reads = [pool.submit(nginx.get, f"/bucket/{key}") for key in keys]
        nginx.wait(lambda: in_flight(nginx) == number, 20, "to begin all")
        # as many pieces as there may be, and room for none
        wait_begun(nginx, PIECES // 4)
        # and what the file store has read, for each of them
        room = (PIECES + number * (kind == "file")) * PIECE
        assert nginx.rss() - before < room + (8 << 20) or ASAN
        assert not any(read.done() for read in reads)
        assert not cache_files(nginx)
        disk.release()
        for key, read in zip(keys, reads):
            assert read.result().body == bodies[key.split("-")[0]]
    wait_ended(nginx)
    assert len(cache_files(nginx)) == number * 4


def test_threads_are_left_for_others(start, origin, disk):
    """More fills than threads: what came with their headers takes none."""
    number = 40
    nginx = start(main=ENV + "worker_rlimit_nofile 8192;",  # none is kept open
                  more="aio threads;")
    origin.put("bucket", "hot", b"hot")
    assert nginx.get("/bucket/hot").body == b"hot"
    body = BODY[:200_000]
    answer = (f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(body)}\r\n"
              f"Content-Range: bytes 0-{len(body) - 1}/{len(body)}\r\n"
              'ETag: "one"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT'
              "\r\n\r\n").encode() + body
    for n in range(number):
        origin.put("bucket", f"k{n}", body)
        origin.script(key=f"k{n}", raw=answer)
    disk.hold()
    with ThreadPoolExecutor(number) as pool:
        reads = [pool.submit(nginx.get, f"/bucket/k{n}")
                 for n in range(number)]
        wait_begun(nginx, number)
        assert nginx.get("/bucket/hot").body == b"hot"
        assert not any(read.done() for read in reads)
        disk.release()
        assert all(read.result().body == body for read in reads)
    wait_ended(nginx)


def test_all_who_wait_get_what_is_written(start, origin, disk):
    nginx = start()
    disk.hold()
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(nginx.get, "/bucket/key", {
            "Range": f"bytes={n * 1000}-"}) for n in range(8)]
        nginx.wait(disk.waits.exists, 10, "to write by a thread")
        disk.release()
        for n, read in enumerate(reads):
            assert read.result().body == BODY[n * 1000:]
    wait_ended(nginx)
    assert origin.journal.body_bytes() == SIZE


def test_a_suffix_of_an_unknown_object(start, origin, disk):
    """Its slice is written by two fills, one after the other."""
    nginx = start()
    size = SLICE // 2 + 2000
    with begin(nginx, disk, {"Range": f"bytes=-{size}"}) as client:
        disk.release()
        assert client.read().body == BODY[-size:]
    wait_ended(nginx)
    assert nginx.get("/bucket/key").body == BODY


# what came is lent to readers before it is written

MIDDLE = 1000, 120_000      # ends inside of a slice


def part(first: int, last: int) -> dict:
    return {"Range": f"bytes={first}-{last}"}


def test_readers_do_not_wait_for_the_disk(start, origin, disk):
    """And what had come before one began is a hit, written or not."""
    nginx = start()
    first, last = MIDDLE
    size = str(last + 1 - first)

    def read() -> list:
        seen = len(log_lines(nginx))
        response = nginx.get("/bucket/key", part(first, last))
        assert response.status == 206
        assert response.body == BODY[first:last + 1]
        nginx.wait(lambda: log_lines(nginx)[seen:], 10, "to log a read")
        return log_lines(nginx)[-1][4:7]

    disk.hold()
    assert read() == ["MISS", "0", size]
    # what the first had no need of may still be on its way
    nginx.wait(lambda: read() == ["HIT", size, "0"], 10, "to have it all")
    assert not cache_files(nginx) and origin.count() == 1
    disk.release()
    wait_ended(nginx)
    assert len(cache_files(nginx)) == 2


@pytest.mark.parametrize("more", [{}, {"headers": part(0, SLICE - 1)},
                                  {"headers": part(SIZE - 100_000, SIZE - 1)}],
                         ids=["whole", "slice", "tail"])
def test_what_was_read_to_its_end_is_in_the_cache(start, disk, more):
    nginx = start()
    nginx.head("/bucket/key")
    with ThreadPoolExecutor(1) as pool:
        disk.hold()
        read = pool.submit(nginx.get, "/bucket/key", **more)
        nginx.wait(disk.waits.exists, 10, "to write by a thread")
        assert not read.done()
        disk.release()
        body = read.result().body
    assert len(cache_files(nginx)) >= -(-len(body) // SLICE)
    assert BODY.find(body) >= 0


def begin_slow(nginx, key: str, first: int, last: int):
    """A client that takes little of what it is sent."""
    client = nginx.client(receive_buffer=4096)
    client.send("GET", f"/bucket/{key}", part(first, last))
    assert client.read_head()[0] == 206
    return client


@pytest.mark.parametrize("full", [False, True])
def test_what_is_lent_to_a_slow_client(start, origin, disk, full):
    """It comes from the file once it is there; or never will be."""
    nginx = start(listen_more=" sndbuf=8k", slice="512k", fill="512k")
    body = random.Random(5).randbytes(1 << 20)
    origin.put("bucket", "slow", body)
    nginx.head("/bucket/slow")
    first, last = 100_000, 900_000
    disk.hold()
    with begin_slow(nginx, "slow", first, last) as client:
        nginx.wait(disk.waits.exists, 10, "to write by a thread")
        if full:
            nginx.allow_log(r"pwrite\(\) \".*/cache/.*\" failed \(28:")
            disk.full.touch()
        disk.release()
        if full:
            nginx.wait_log(r"pwrite\(\) .* failed \(28:")
        else:
            nginx.wait(lambda: cache_files(nginx), 10, "to write a slice")
        assert client.reader.exactly(last + 1 - first) == body[first:last + 1]
    wait_ended(nginx)
    assert len(cache_files(nginx)) == (0 if full else 2)


def test_slow_clients_hold_no_pieces(start, origin, disk):
    number = PIECES + 8
    nginx = start(listen_more=" sndbuf=8k", slice="512k", fill="512k")
    bodies = [random.Random(n).randbytes(1 << 19) for n in range(number)]
    for n, body in enumerate(bodies):
        origin.put("bucket", f"k{n}", body)
        nginx.head(f"/bucket/k{n}")
    first, last = 100_000, 500_000
    disk.hold()
    clients = []
    for n in range(number):
        client = nginx.client(receive_buffer=4096)
        client.send("GET", f"/bucket/k{n}", part(first, last))
        clients.append(client)
    nginx.wait(lambda: in_flight(nginx) == number, 10, "to begin all")
    disk.release()
    wait_ended(nginx)
    assert nginx.get("/bucket/key").body == BODY
    for body, client in zip(bodies, clients):
        assert client.read().body == body[first:last + 1]
        client.close()


def test_a_filter_that_looks_at_the_body(start, disk):
    """Nothing is lent to it: nobody knows how long it keeps what it gets."""
    nginx = start(more="sub_filter_types *; sub_filter no-such-text other;")
    with begin(nginx, disk) as client:
        disk.release()
        assert client.read().body == BODY
    assert nginx.get("/bucket/key").body == BODY


# what ends while a thread writes

def test_a_full_disk_is_found_by_a_thread(start, origin, disk):
    nginx = start()
    nginx.allow_log(r"pwrite\(\) \".*/cache/.*\" failed \(28:")
    with begin(nginx, disk) as client:
        disk.full.touch()
        disk.release()
        response = client.read()
    assert response.complete and response.body == BODY
    wait_ended(nginx)
    nginx.wait_log(r"\[crit\].*pwrite\(\) .* failed \(28:")
    disk.full.unlink()
    assert nginx.get("/bucket/key").body == BODY
    assert len(cache_files(nginx)) == -(-SIZE // SLICE)


@pytest.mark.parametrize("ahead", [True, False])
def test_the_client_leaves(start, origin, disk, ahead):
    """The files go when the thread is back; what came whole is kept."""
    nginx = start(http_more=LOG + ("" if ahead else "sprox_read_ahead 0;"))
    nginx.metrics()
    before = len(nginx.fds())
    begin(nginx, disk).close()
    wait_left(nginx)
    assert temporary_files(nginx)
    disk.release()
    wait_ended(nginx)
    origin.drop_connections()
    nginx.wait(lambda: len(nginx.fds()) <= before, 10, "to let go of all")
    assert nginx.get("/bucket/key").body == BODY


def test_what_is_written_is_given_up(start, origin, disk):
    """Nobody reads it, and it is not worth the rest: a thread still has it."""
    nginx = start(slice="512k", fill="512k")
    body = random.Random(4).randbytes(4 << 19)
    origin.put("bucket", "key", body)
    nginx.head("/bucket/key")
    gate = origin.hold(key="key", method="GET", gate_after=3 * FIRST)
    client = begin(nginx, disk, {"Range": f"bytes=5-{len(body) - 1}"})
    gate.wait(4)
    wait_begun(nginx, 4)
    client.close()
    wait_left(nginx)
    assert len(temporary_files(nginx)) >= 1
    disk.release()
    # one of which the client was sent a part may go on
    nginx.wait(lambda: in_flight(nginx) <= 1
               and len(temporary_files(nginx)) <= 1, 10, "to give up")
    gate.open()
    wait_ended(nginx)
    assert len(cache_files(nginx)) <= 1
    assert nginx.get("/bucket/key").body == body


def test_the_origin_breaks_off(start, origin, disk):
    """What had come before is written, and kept."""
    nginx = start()
    origin.script(key="key", nth=1, truncate=2 * SLICE - 100)
    with begin(nginx, disk) as client:
        nginx.wait_log("bytes before the end of the body")
        assert not cache_files(nginx)
        disk.release()
        assert client.read().body == BODY
    wait_ended(nginx)
    origin.journal.wait_idle()
    starts = [e.range.partition("=")[2].partition("-")[0]
              for e in origin.requests(method="GET")]
    assert starts.count("0") == 1
    assert nginx.get("/bucket/key").body == BODY


def test_more_comes_than_was_asked_for(start, origin, disk):
    """An origin without ranges: it is broken off, what came is written."""
    nginx = start()
    origin.script(key="key", ignore_range=True, nth=1)
    with begin(nginx, disk, {"Range": "bytes=0-200000"}) as client:
        disk.release()
        assert client.read().body == BODY[:200001]
    wait_ended(nginx)
    assert nginx.get("/bucket/key").body == BODY


# workers that go while a thread writes

@pytest.mark.parametrize("stays", [True, False])
def test_a_reload_waits_for_the_thread(start, disk, stays):
    nginx = start()
    client = begin(nginx, disk)
    if not stays:
        client.close()
        wait_left(nginx)
    old = nginx.worker_pids()
    nginx.reload()
    assert nginx.worker_pids(leaving=True) == old
    assert temporary_files(nginx)
    disk.release()
    if stays:
        assert client.read().body == BODY
        client.close()
    nginx.wait(lambda: not nginx.worker_pids(leaving=True), 10, "to exit")
    assert nginx.get("/bucket/key").body == BODY
    wait_ended(nginx)


def test_a_worker_that_ends_at_once(start, disk):
    """SIGTERM: threads are waited for, and nothing they use is gone."""
    nginx = start()
    with begin(nginx, disk):
        old = nginx.worker_pids()[0]
        os.kill(old, signal.SIGTERM)
        nginx.wait_log(rf"{old}#\d+: exiting")
        assert nginx.worker_pids() == [old]
        disk.release()
        nginx.wait_log(rf"worker process {old} exited with code 0")
    nginx.wait(lambda: not temporary_files(nginx), 10, "to sweep its files")
    assert nginx.get("/bucket/key").body == BODY
    wait_ended(nginx)


def test_a_worker_that_is_killed(start, disk):
    nginx = start()
    with begin(nginx, disk):
        nginx.kill_worker()
        nginx.wait(lambda: not temporary_files(nginx), 10,
                   "to sweep its files")
        disk.release()
    assert nginx.get("/bucket/key").body == BODY
    wait_ended(nginx)
    assert len(cache_files(nginx)) == -(-SIZE // SLICE)
