"""
The catalog's file: what nginx knew before it ended it knows when it starts
again, and nothing that is wrong.
"""

import os
import random
import re
import signal
import stat
import struct
import time

import pytest

from harness import snapshot
from harness.admin import LOCATION
from harness.events import Sender, created
from harness.nginx import CONF
from harness.sprox import HTTP, LOG, serve, wait_idle
from harness.snapshot import Object

BODY = random.Random(3).randbytes(150_000)
CATALOG = "sprox_catalog zone=catalog:8m file=@dir@/catalog interval=@every@;"


def keeper(make_nginx, origin):
    """keeper(...)(...): an nginx that keeps its catalog, over three objects."""
    for n in range(3):
        origin.put("bucket", f"o{n}", BODY)

    def make(http_more="", every="1h", **words):
        return serve(make_nginx, origin.endpoint, every=every,
                     http_more=LOG + CATALOG + http_more, **words)

    return make


@pytest.fixture
def sprox(make_nginx, origin):
    return keeper(make_nginx, origin)


def path(nginx, ending=""):
    return nginx.dir / ("catalog" + ending)


READ = r"sprox: \d+ objects read from|there is no .* yet|is not used"


def begin(nginx, end=None) -> None:
    """Ends nginx somehow, starts it, waits until it has read its file."""
    if end:
        end()
    before = len(re.findall(READ, nginx.log()))
    nginx.start()
    nginx.wait(lambda: len(re.findall(READ, nginx.log())) > before, 10,
               "to read its catalog")


def saved(nginx) -> int:
    """How many objects the file has; -1: there is none that is whole."""
    try:
        return sum(map(len, snapshot.read(path(nginx)).catalog.values()))
    except (OSError, AssertionError, struct.error):
        return -1


def wait_saved(nginx, objects: int) -> None:
    """The file has so many objects."""
    nginx.wait(lambda: saved(nginx) == objects and nginx.metrics().sum(
        "sprox_catalog_saved_objects") == objects, 10,
        f"to save {objects} objects")


def file_of(nginx, origin, bucket="bucket") -> dict:
    """What the file says of a bucket."""
    catalog = snapshot.read(path(nginx)).catalog
    return catalog.get(snapshot.space("store", origin.endpoint, bucket), {})


# restarts

def test_restart_is_warm(sprox, origin):
    nginx = sprox()
    before = {}
    for n in range(3):
        assert nginx.get(f"/bucket/o{n}").body == BODY
        before[n] = nginx.head(f"/bucket/o{n}")
        assert before[n].status == 200
    assert nginx.head("/bucket/none").status == 404
    assert not path(nginx).exists()
    wait_idle(nginx)

    begin(nginx, nginx.stop)
    origin.journal.clear()
    for n in range(3):
        now = nginx.head(f"/bucket/o{n}")
        for name in ("etag", "last-modified", "content-length",
                     "content-type"):
            assert now[name] == before[n][name]
        assert nginx.get(f"/bucket/o{n}").body == BODY
    assert origin.requests() == []
    nginx.wait_log(r"\[notice\] .* sprox: reading the catalog from")
    assert re.search(r"\[notice\] .* sprox: 4 objects read from \".*/catalog\""
                     r" in \d+ ms\n", nginx.log())
    assert nginx.metrics().sum("sprox_catalog_loaded_objects") == 4


def test_first_start_says_that_there_is_no_file(sprox):
    nginx = sprox()
    nginx.wait_log(r"\[notice\] .* sprox: there is no \".*/catalog\" yet: the "
                   "catalog begins empty")
    metrics = nginx.metrics()
    for name in ("loading", "loaded_objects", "saved_objects",
                 "file_failures_total"):
        assert metrics.sum(f"sprox_catalog_{name}") == 0
    assert "\nsprox_catalog_saved_age_seconds " not in metrics.text


def test_without_a_file_nothing_is_written(make_nginx, origin):
    origin.put("bucket", "k", b"body")
    nginx = serve(make_nginx, origin.endpoint,
                  http_more=LOG + "sprox_catalog zone=catalog:8m;")
    assert nginx.get("/bucket/k").body == b"body"
    assert "\nsprox_catalog_saved" not in nginx.metrics().text
    before = sorted(p.name for p in nginx.dir.iterdir())
    nginx.restart()
    assert sorted(p.name for p in nginx.dir.iterdir()) == before
    assert "sprox: read" not in nginx.log()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_the_master_writes_at_its_end(sprox, origin, how):
    nginx = sprox()
    nginx.get("/bucket/o1")
    wait_idle(nginx)
    nginx.process.send_signal(how)
    nginx.process.wait(60)
    assert snapshot.read(path(nginx)).state == b"shut"
    known = file_of(nginx, origin)
    assert known[b"o1"].size == len(BODY)
    assert stat.S_IMODE(path(nginx).stat().st_mode) == 0o600
    assert not path(nginx, ".tmp").exists()
    assert re.search(r"sprox: 1 objects written to \".*/catalog\" in \d+ ms",
                     nginx.log())
    nginx.kill()


def test_without_a_master(make_nginx, origin):
    origin.put("bucket", "k", b"body")
    nginx = make_nginx(
        HTTP, conf=CONF.replace("master_process on", "master_process off"),
        workers=1, start=False, endpoint=origin.endpoint, every="100ms",
        **{**dict(credentials="anonymous", retries="0", cache="nvme",
                  valid="1h", slice="64k", fill="256k", listen_more="",
                  server_more="", more="", origin_more="", max_size="2g",
                  style="path", keys="8m",
                  aliases="sprox_alias $bucket { target store://$bucket/; }"),
           "http_more": LOG + CATALOG})
    nginx.workers = 0
    for _ in range(2):
        begin(nginx)
        assert nginx.get("/bucket/k").body == b"body"
        wait_idle(nginx)
        wait_saved(nginx, 1)
        nginx.stop()
        assert snapshot.read(path(nginx)).state == b"shut"
    assert origin.count(method="GET") == 1


def test_what_nginx_reads_may_be_written_by_others(sprox, origin):
    """The format is what its drawing says: a file made from that."""
    nginx = sprox()
    nginx.stop()
    now = int(time.time() * 1000)
    snapshot.write(path(nginx), {
        snapshot.space("store", origin.endpoint, "bucket"): {
            b"made/up": Object(12345, 1_600_000_000_000, now,
                               b'"0cc175b9c0f1b6a831c399e269772661"',
                               headers=b"content-type: text/x-made\r\n",
                               flags=snapshot.HEADED),
            b"made": Object(proved=now, flags=snapshot.ABSENT, modified=0),
        }})
    begin(nginx)
    nginx.wait_log("2 objects read")
    answer = nginx.head("/bucket/made/up")
    assert answer.status == 200
    assert answer["content-length"] == "12345"
    assert answer["etag"] == '"0cc175b9c0f1b6a831c399e269772661"'
    assert answer["content-type"] == "text/x-made"
    assert answer["last-modified"] == "Sun, 13 Sep 2020 12:26:40 GMT"
    assert origin.requests() == []


# crashes

def test_killed_loses_no_more_than_the_interval(sprox, origin):
    nginx = sprox(every="200ms")
    for n in range(2):
        nginx.get(f"/bucket/o{n}")
    wait_idle(nginx)
    wait_saved(nginx, 2)
    assert snapshot.read(path(nginx)).state == b"open"
    begin(nginx, nginx.kill)
    origin.journal.clear()
    for n in range(2):
        assert nginx.head(f"/bucket/o{n}").status == 200
        assert nginx.get(f"/bucket/o{n}").body == BODY
    assert origin.requests() == []
    assert nginx.head("/bucket/o2").status == 200
    assert origin.count() == 1


@pytest.mark.parametrize("valid", ["1h", "immutable"])
def test_a_purge_outlives_a_crash(sprox, origin, valid):
    """It was answered: what was known before it is not believed again."""
    nginx = sprox(valid=valid)
    for n in range(2):
        assert nginx.get(f"/bucket/o{n}").body == BODY
    wait_idle(nginx)
    begin(nginx, nginx.stop)
    origin.put("bucket", "o1", b"another")
    assert nginx.request("PURGE", "/bucket/o1").status == 200
    begin(nginx, nginx.kill)
    origin.journal.clear()
    assert nginx.get("/bucket/o1").body == b"another"

    # the others have lost no more than their proof
    for _ in range(2):
        assert nginx.get("/bucket/o0").body == BODY
    asked, = origin.requests(key="o0")
    assert asked.status == 304


@pytest.mark.parametrize("valid", ["1h", "immutable"])
def test_an_event_outlives_a_crash(sprox, origin, valid):
    """Whoever sent it does not send it again."""
    nginx = sprox(valid=valid, server_more=LOCATION)
    for n in range(2):
        assert nginx.get(f"/bucket/o{n}").body == BODY
    wait_idle(nginx)
    begin(nginx, nginx.stop)
    new = origin.put("bucket", "o1", b"another")
    assert sum(Sender(nginx).tell(created("bucket", "o1", new)).values()) == 1
    assert snapshot.read(path(nginx)).state == b"told"
    begin(nginx, nginx.kill)
    assert nginx.get("/bucket/o1").body == b"another"
    assert nginx.get("/bucket/o0").body == BODY

    # what tells nothing new marks nothing
    begin(nginx, nginx.stop)
    assert Sender(nginx).tell(created("bucket", "o1", new)) == {"known": 1}
    assert snapshot.read(path(nginx)).state == b"shut"


def test_a_file_that_was_told_of_changes_is_doubted(sprox, origin):
    nginx = sprox()
    nginx.get("/bucket/o1")
    wait_idle(nginx)
    begin(nginx, nginx.stop)
    assert snapshot.read(path(nginx)).state == b"shut"
    assert nginx.request("PURGE", "/bucket/never-seen").status == 200
    assert snapshot.read(path(nginx)).state == b"told"
    begin(nginx, nginx.kill)
    nginx.wait_log("1 objects read .* ms; nginx did not end well: each is "
                   "asked for before it is believed")
    origin.journal.clear()
    assert nginx.get("/bucket/o1").body == BODY
    assert origin.count() == 1


@pytest.mark.parametrize("state, doubted", [(b"open", True), (b"shut", False)])
def test_after_a_start_of_the_system(sprox, origin, state, doubted):
    """What was not written to the disk when the power went is not known."""
    nginx = sprox()
    nginx.get("/bucket/o1")
    nginx.stop()
    known = snapshot.read(path(nginx)).catalog
    snapshot.write(path(nginx), known, state, boot=bytes(16))
    begin(nginx)
    nginx.wait_log("objects read")
    assert ("did not end well" in nginx.log()) == doubted
    origin.journal.clear()
    assert nginx.head("/bucket/o1").status == 200
    assert origin.count() == (1 if doubted else 0)


# files that are none

def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:]


BAD = {
    "head": (lambda data: damaged(data, 50), "its head is damaged", 0),
    "block": (lambda data: damaged(data, 120), "it is damaged", None),
    "end": (lambda data: damaged(data, len(data) - 1), "it is damaged", None),
    "cut": (lambda data: data[:-1], "it is cut short", None),
    "cut in the head": (lambda data: data[:63], "it is cut short", 0),
    "longer": (lambda data: data + b"\0", "something stands behind its end",
               None),
    "empty": (lambda data: b"", "it is empty", 0),
    "foreign": (lambda data: b"[section]\nname = value\n" * 9,
                "it is no snapshot of a catalog", 0),
    "newer": (lambda data: snapshot.head(form=2) + data[64:],
              "it is of a newer format", 0),
    "older": (lambda data: snapshot.head(form=0) + data[64:],
              "it is of an older format", 0),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_file_is_set_aside(sprox, origin, what):
    change, why, at = BAD[what]
    nginx = sprox()
    nginx.get("/bucket/o1")
    nginx.stop()
    data = change(path(nginx).read_bytes())
    path(nginx).write_bytes(data)
    os.chmod(path(nginx), 0o600)
    begin(nginx)
    found = nginx.wait_log(
        r"\[error\] .* sprox: the catalog's file \"(.*)\" is not used: (.*), "
        r"at byte (\d+); it was renamed to \"(.*)\"\n")
    assert found[1] == str(path(nginx)) and found[2] == why
    assert at is None or int(found[3]) == at
    assert int(found[3]) <= len(data)
    assert path(nginx, ".bad").read_bytes() == data
    assert not path(nginx).exists()
    metrics = nginx.metrics()
    assert metrics.sum("sprox_catalog_objects") == 0
    assert metrics.sum("sprox_catalog_loading") == 0
    assert metrics.sum("sprox_catalog_file_failures_total") == 1

    origin.journal.clear()
    assert nginx.head("/bucket/o1").status == 200
    assert origin.count() == 1
    begin(nginx, nginx.stop)
    nginx.wait_log("1 objects read")
    assert nginx.log().count("is not used") == 1


def test_file_that_is_damaged_while_nginx_runs(sprox, origin):
    """What is known stays, and is written again."""
    nginx = sprox(every="200ms")
    nginx.get("/bucket/o1")
    wait_saved(nginx, 1)
    with open(path(nginx), "r+b") as file:
        file.seek(20)
        file.write(b"damage")
    nginx.wait_log("is not used: its head is damaged")
    wait_saved(nginx, 1)
    origin.journal.clear()
    assert nginx.head("/bucket/o1").status == 200
    assert origin.count() == 0


def test_file_that_is_deleted_is_written_again(sprox):
    nginx = sprox(every="200ms")
    nginx.get("/bucket/o1")
    wait_saved(nginx, 1)
    path(nginx).unlink()
    wait_saved(nginx, 1)
    assert nginx.metrics().sum("sprox_catalog_saved_age_seconds") < 60
    assert nginx.metrics().sum("sprox_catalog_file_failures_total") == 0
