"""
Caches of several zones: what is filled, what is copied into a tier above and
what that may cost, and what readers see of it (nothing). A held disk is one
whose writes wait (harness/full_disk.c): what is copied stays on its way.
"""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.listing import Lister
from harness.sprox import (LOG, SLICE, cache_files, cache_keys, key_of, serve,
                           temporary_files)

SLICES = 4                          # as many as are copied at a time
SIZE = (SLICES - 1) * SLICE + 1000
BODY = random.Random(7).randbytes(SIZE)
ENV = "env FULL_DISK; env HELD_DISK; env FULL_DISK_DIR;"

FAILED = r'sprox: cache "ram" takes no hot slices: pwrite\(\) failed; '


def zone(name: str, more: str = "") -> str:
    return (f"proxy_cache_path @dir@/{name} levels=1:2 keys_zone={name}:1m "
            f"inactive=1d use_temp_path=off {more};\n")


def tiered(make_nginx, endpoint, **words):
    words = {"cache": "ram nvme", "http_more": LOG + zone("ram"), **words}
    return serve(make_nginx, endpoint, **words)


@pytest.fixture
def nginx(make_nginx, origin):
    origin.put("bucket", "key", BODY)
    return tiered(make_nginx, origin.endpoint)


@pytest.fixture
def disk(make_nginx, origin, disk_shim, tmp_path):
    """
    disk(...): an nginx, and the files that make its memory tier full and
    held.
    """
    def make(**words):
        origin.put("bucket", "key", BODY)
        full, held = tmp_path / "full", tmp_path / "held"
        nginx = tiered(make_nginx, origin.endpoint, main=ENV, env={
            "LD_PRELOAD": str(disk_shim), "FULL_DISK": str(full),
            "HELD_DISK": str(held),
            "FULL_DISK_DIR": str(tmp_path / "nginx0/ram")}, **words)
        return nginx, full, held

    yield make
    (tmp_path / "held").unlink(missing_ok=True)


def read(nginx, times: int = 1, key: str = "key", body: bytes = BODY) -> None:
    for _ in range(times):
        response = nginx.get(f"/bucket/{key}")
        assert response.complete and response.body == body


def copied(nginx, tier: str = "ram", result: str = "done") -> int:
    return nginx.metrics().sum("sprox_tier_promotions_total", zone=tier,
                               result=result)


def wait_copied(nginx, number: int, tier: str = "ram",
                result: str = "done") -> None:
    nginx.wait(lambda: copied(nginx, tier, result) >= number, 10,
               f"to copy {number} slices into {tier}")
    assert copied(nginx, tier, result) == number


def sent(nginx) -> dict:
    """Bytes by tier so far."""
    return {ls["zone"]: value for name, ls, value in nginx.metrics().samples
            if name == "sprox_tier_bytes_total"}


def heat(nginx, **more) -> None:
    """The object is in the memory tier."""
    read(nginx, 3, **more)
    wait_copied(nginx, SLICES)
    assert len(cache_files(nginx, "ram")) == SLICES


# what is copied, and when

CLOSED = {"main": "worker_rlimit_nofile 8192;"}     # no slice is kept open


@pytest.mark.parametrize("words", [
    {}, CLOSED, {"more": "aio threads; sendfile on;"}],
    ids=["plain", "closed", "aio"])
def test_the_second_hit_is_copied(make_nginx, origin, words):
    origin.put("bucket", "key", BODY)
    nginx = tiered(make_nginx, origin.endpoint, **words)

    read(nginx)
    assert len(cache_files(nginx)) == SLICES
    assert not cache_files(nginx, "ram") and sent(nginx) == {}
    read(nginx)
    assert sent(nginx) == {"nvme": SIZE}
    assert not cache_files(nginx, "ram") and not temporary_files(nginx, "ram")
    read(nginx)
    assert sent(nginx) == {"nvme": 2 * SIZE}
    wait_copied(nginx, SLICES)

    def contents(folder):
        return {path.relative_to(nginx.dir / folder): path.read_bytes()
                for path in cache_files(nginx, folder)}

    assert contents("ram") == contents("cache")
    origin.stop()
    read(nginx, 2)
    assert sent(nginx) == {"nvme": 2 * SIZE, "ram": 2 * SIZE}
    assert copied(nginx) == SLICES and copied(nginx, "nvme") == 0
    assert not temporary_files(nginx, "ram")


@pytest.mark.parametrize("words", [{}, CLOSED], ids=["plain", "closed"])
def test_a_fill_is_no_use(make_nginx, origin, words):
    """Nor is it when its own response reads it out of the cache."""
    nginx = tiered(make_nginx, origin.endpoint, **words)
    for i in range(30):
        body = BODY[:i + 1]
        origin.put("bucket", f"small-{i}", body)
        read(nginx, 2, f"small-{i}", body)
    assert not cache_files(nginx, "ram") and not temporary_files(nginx, "ram")
    read(nginx, 1, "small-9", BODY[:10])
    wait_copied(nginx, 1)
    read(nginx, 1, "small-9", BODY[:10])
    assert sent(nginx)["ram"] == 10


def test_only_what_is_read(nginx, origin):
    header = {"Range": f"bytes={2 * SLICE + 5}-{2 * SLICE + 9}"}
    read(nginx)
    for _ in range(2):
        assert nginx.get("/bucket/key", header).body \
            == BODY[2 * SLICE + 5:2 * SLICE + 10]
    wait_copied(nginx, 1)
    assert [key.split(" ")[-1] for key in cache_keys(nginx, "ram")] == ["2"]
    assert nginx.get("/bucket/key", header).status == 206
    assert sent(nginx) == {"nvme": 10, "ram": 5}
    assert origin.count() == 1


def test_three_tiers(make_nginx, origin):
    origin.put("bucket", "key", BODY)
    nginx = tiered(make_nginx, origin.endpoint, cache="ram ssd nvme",
                   http_more=LOG + zone("ram") + zone("ssd"))
    read(nginx, 3)
    wait_copied(nginx, SLICES, "ssd")
    read(nginx)
    assert not cache_files(nginx, "ram") and copied(nginx) == 0
    read(nginx)
    wait_copied(nginx, SLICES)
    read(nginx)
    assert sent(nginx) == {"nvme": 2 * SIZE, "ssd": 2 * SIZE, "ram": SIZE}
    for folder in "ram", "ssd", "cache":
        assert len(cache_files(nginx, folder)) == SLICES
    assert nginx.request("PURGE", "/bucket/key").text.startswith(
        f'{{"objects": 1, "slices": {3 * SLICES}, ')


def test_other_chains_and_single_zones(make_nginx, origin):
    """The policy of a key decides; a zone alone is no tier."""
    nginx = tiered(
        make_nginx, origin.endpoint, cache="nvme",
        aliases="sprox_alias $bucket { target store://$bucket/;"
                "  object *.hot { cache ram nvme; } }")
    for key in "a.hot", "a.cold":
        origin.put("bucket", key, b"body of " + key.encode())
        read(nginx, 4, key, b"body of " + key.encode())
    wait_copied(nginx, 1)
    assert len(cache_files(nginx)) == 2
    assert ["a.hot" in key for key in cache_keys(nginx, "ram")] == [True]
    assert sum(sent(nginx).values()) == 3 * len(b"body of a.hot")


def test_pages_of_listings_are_in_the_last(make_nginx, origin):
    origin.put("bucket", "key", BODY)
    nginx = tiered(make_nginx, origin.endpoint,
                   http_more=LOG + zone("ram") + "sprox_list cached 1h;")
    for _ in range(4):
        assert Lister(nginx.port, "bucket").page().keys == ["key"]
    assert origin.count() == 1
    assert len(cache_files(nginx)) == 1
    assert not cache_files(nginx, "ram")


# bounds

def test_copies_are_bounded_and_block_nobody(disk, origin):
    nginx, _, held = disk()
    body = 2 * BODY
    origin.put("bucket", "long", body)
    held.touch()
    read(nginx, 5, "long", body)
    assert len(cache_files(nginx)) == 7
    assert len(temporary_files(nginx, "ram")) == 4
    read(nginx, 3)
    assert len(temporary_files(nginx, "ram")) == 4
    assert not cache_files(nginx, "ram") and "ram" not in sent(nginx)

    held.unlink()
    wait_copied(nginx, 4)
    assert not temporary_files(nginx, "ram")
    read(nginx, 1, "long", body)
    wait_copied(nginx, 7)


def test_workers_copy_once(disk):
    nginx, _, held = disk(workers=2, http_more=zone("ram") + """
        log_format pid "$pid";
        access_log @dir@/pid.log pid;""")
    held.touch()
    read(nginx)

    def pids() -> list:
        return (nginx.dir / "pid.log").read_text().split()

    def both_often() -> bool:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: read(nginx), range(8)))
        return all(pids().count(str(pid)) > 4 for pid in nginx.worker_pids())

    nginx.wait(both_often, 20, "to serve by both workers")
    assert len(temporary_files(nginx, "ram")) == SLICES
    held.unlink()
    wait_copied(nginx, SLICES)
    assert len(cache_files(nginx, "ram")) == SLICES


def test_a_full_memory_tier_is_left_alone(disk):
    nginx, full, _ = disk()
    full.touch()

    def failed() -> bool:
        read(nginx)
        return copied(nginx, result="failed") > SLICES

    nginx.wait(failed, 20, "to try again after a while")
    assert nginx.log().count("takes no hot slices") == 1
    assert nginx.wait_log(FAILED + r".* \(28: No space left on device\)")
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10, "to end")
    assert not cache_files(nginx, "ram")
    assert "ram" not in sent(nginx)

    full.unlink()

    def done() -> bool:
        read(nginx)
        return len(cache_files(nginx, "ram")) == SLICES

    nginx.wait(done, 20, "to copy again")
    assert nginx.log().count("takes no hot slices") == 1


def test_a_tier_that_cannot_be_written_to(nginx):
    """The very file cannot be made: that is no alert."""
    for digit in "0123456789abcdef":
        (nginx.dir / "ram" / digit).write_bytes(b"in the way")
    read(nginx, 3)
    wait_copied(nginx, 1, result="failed")
    nginx.wait_log(r'"ram" takes no hot slices: a temporary file failed; '
                   r".* \(20: Not a directory\)")
    assert nginx.get("/bucket/key").body == BODY


def test_what_leaves_memory_is_on_disk(make_nginx, origin):
    """
    A memory tier that is too small: it takes an eighth more than it may,
    nginx's manager puts that right, and reads go on without the origin.
    """
    body = random.Random(8).randbytes(48 * SLICE)
    origin.put("bucket", "key", body)
    nginx = tiered(make_nginx, origin.endpoint, http_more=LOG + zone(
        "ram", "max_size=1m manager_files=1000"))
    origin.journal.clear()

    def size() -> int:
        return sum(p.stat().st_blocks * 512
                   for p in cache_files(nginx, "ram"))

    def full() -> bool:
        read(nginx, 1, body=body)
        return size() > (1 << 20)

    nginx.wait(full, 20, "to fill its memory tier")
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10, "to end")
    read(nginx, 3, body=body)
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10, "to end")
    assert (1 << 20) < size() <= (9 << 17) + 4 * (SLICE + 8192)
    origin.stop()

    nginx.manage_cache()
    nginx.wait(lambda: size() <= 1 << 20, 10, "to shrink its memory tier")
    assert 0 < len(cache_files(nginx, "ram")) < 16
    read(nginx, 2, body=body)
    assert len(cache_files(nginx)) == 48


def test_a_use_above_is_one_below(make_nginx, origin):
    """The disk keeps what is read from memory, though it is read there."""
    origin.put("bucket", "key", BODY)
    origin.put("bucket", "cold", BODY)
    nginx = tiered(make_nginx, origin.endpoint,
                   max_size=f"{SLICES * SLICE + 100000} manager_files=1000")
    heat(nginx)
    read(nginx, 1, "cold")
    read(nginx)                     # out of memory
    assert sent(nginx) == {"nvme": 2 * SIZE, "ram": SIZE}

    def kept() -> list:
        return [key.split(" ")[3] for key in cache_keys(nginx)]

    assert len(kept()) == 2 * SLICES
    nginx.manage_cache()
    nginx.wait(lambda: kept().count("cold") < SLICES, 10, "to evict")
    nginx.manage_cache()
    assert kept().count("key") == SLICES


# what goes wrong behind our back

def test_memory_that_was_emptied(nginx, origin):
    heat(nginx)
    origin.stop()
    for path in cache_files(nginx, "ram"):
        path.unlink()
    before = sent(nginx)
    read(nginx)
    assert sent(nginx)["nvme"] == before["nvme"] + SIZE
    nginx.wait(lambda: (read(nginx), len(cache_files(nginx, "ram")))[1]
               == SLICES, 10, "to copy again")


def test_memory_without_its_disk(nginx, origin):
    heat(nginx)
    origin.stop()
    for path in cache_files(nginx):
        path.unlink()
    read(nginx, 3)
    assert sent(nginx) == {"nvme": 2 * SIZE, "ram": 3 * SIZE}


@pytest.mark.parametrize("name", ["cut", "empty", "longer", "garbage",
                                  "exchanged"])
def test_memory_that_was_damaged(nginx, origin, name):
    heat(nginx)
    files = {int(key_of(p).split(" ")[-1]): p
             for p in cache_files(nginx, "ram")}
    other = files[1].read_bytes()
    damage = {"cut": lambda d: d[:-100], "empty": lambda d: b"",
              "longer": lambda d: d + b"more",
              "garbage": lambda d: b"\xff" * 4000 + d[4000:],
              "exchanged": lambda d: other}[name]
    for i in 0, 2, 3:
        files[i].write_bytes(damage(files[i].read_bytes()))
    nginx.allow_log(r"cache file .* (too small|md5 collision|has)")
    origin.stop()
    before = sent(nginx)
    read(nginx)
    read(nginx)
    gone = sent(nginx)["nvme"] - before["nvme"]
    assert gone >= SIZE - SLICE
    lines = [line for line in nginx.log().splitlines() if "cache file" in line]
    assert all('/nginx0/ram/' in line for line in lines)
    assert len(lines) <= 3

    def whole() -> bool:
        read(nginx)
        return cache_keys(nginx, "ram") == cache_keys(nginx)

    nginx.wait(whole, 10, "to copy again")
    before = sent(nginx)
    read(nginx)
    assert sent(nginx) == {**before, "ram": before["ram"] + SIZE}


def test_restart_finds_all_tiers(nginx, origin):
    heat(nginx)
    for path in cache_files(nginx)[:2]:
        path.unlink()
    nginx.restart()
    origin.journal.clear()
    read(nginx, 2)
    assert sent(nginx) == {"ram": 2 * SIZE}
    assert origin.count() == 1      # what the object is, nobody remembers


# purges, workers that go

def test_purge_counts_all_tiers(nginx, origin):
    heat(nginx)
    total = sum(path.stat().st_size for folder in ("ram", "cache")
                for path in cache_files(nginx, folder))
    assert nginx.request("PURGE", "/bucket/key").text == (
        f'{{"objects": 1, "slices": {2 * SLICES}, "bytes": {total}}}\r\n')
    assert not cache_files(nginx) and not cache_files(nginx, "ram")
    origin.journal.clear()
    read(nginx)
    assert origin.count() > 0


def test_purge_while_copies_are_on_their_way(disk, origin):
    nginx, _, held = disk()
    held.touch()
    read(nginx, 3)
    assert len(temporary_files(nginx, "ram")) == SLICES
    assert f'"slices": {SLICES}, ' in nginx.request("PURGE",
                                                    "/bucket/key").text
    held.unlink()
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10, "to end")
    assert not cache_files(nginx, "ram") and not cache_files(nginx)


def test_purged_and_read_again_while_copies_are_on_their_way(disk, origin):
    """The copies are of files that were purged."""
    nginx, _, held = disk()
    held.touch()
    read(nginx, 3)
    nginx.request("PURGE", "/bucket/key")
    read(nginx)
    assert len(cache_files(nginx)) == SLICES
    held.unlink()
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10, "to end")
    assert not cache_files(nginx, "ram")
    read(nginx, 2)
    nginx.wait(lambda: len(cache_files(nginx, "ram")) == SLICES, 10,
               "to copy them anew")


def test_a_reload_waits_for_copies(disk):
    nginx, _, held = disk()
    held.touch()
    read(nginx, 3)
    old = nginx.worker_pids()
    nginx.reload()
    assert nginx.worker_pids(leaving=True) == old
    read(nginx, 2)
    assert len(temporary_files(nginx, "ram")) == SLICES
    held.unlink()
    nginx.wait(lambda: not nginx.worker_pids(leaving=True), 10, "to exit")
    assert len(cache_files(nginx, "ram")) == SLICES
    read(nginx)
    assert sent(nginx)["ram"] == SIZE
    assert copied(nginx) == SLICES


def test_a_worker_that_is_killed_copying(disk):
    nginx, _, held = disk()
    held.touch()
    read(nginx, 3)
    assert len(temporary_files(nginx, "ram")) == SLICES
    nginx.kill_worker()
    nginx.wait(lambda: not temporary_files(nginx, "ram"), 10,
               "to sweep its files")
    held.unlink()
    nginx.wait(lambda: (read(nginx), len(cache_files(nginx, "ram")))[1]
               == SLICES, 10, "to copy by the next worker")
    wait_copied(nginx, SLICES)
    read(nginx)
