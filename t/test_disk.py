"""A cache whose disk is full: reads go on, past the cache."""

import random

import pytest

from harness.sprox import FILL, LOG, cache_files, serve, temporary_files

SIZE = 5 * FILL + 1000
BODY = random.Random(5).randbytes(SIZE)
ENV = "env FULL_DISK; env FULL_DISK_DIR;"


@pytest.fixture
def disk(make_nginx, origin, disk_shim, tmp_path):
    """An nginx, and the file that makes its disk full."""
    origin.put("bucket", "key", BODY)
    flag = tmp_path / "full"
    nginx = serve(make_nginx, origin.endpoint, main=ENV,
                  env={"LD_PRELOAD": str(disk_shim), "FULL_DISK": str(flag),
                       "FULL_DISK_DIR": str(tmp_path)})
    nginx.allow_log(r"pwrite\(\) \".*/cache/.*\" failed \(28:")
    return nginx, flag


@pytest.mark.parametrize("header", [None, "bytes=70000-", "bytes=-100000",
                                    f"bytes={FILL - 10}-{FILL + 100}"])
def test_full_from_the_start(disk, origin, header):
    nginx, flag = disk
    flag.touch()
    for _ in range(2):
        response = nginx.get("/bucket/key", {"Range": header} if header
                             else {})
        assert response.complete
        first, last = 0, SIZE - 1
        if header:
            a, b = header[6:].split("-")
            first = int(a) if a else SIZE - int(b)
            last = int(b) if a and b else last
        assert response.body == BODY[first:last + 1]
    # readers do not wait for what is being written
    nginx.wait(lambda: not temporary_files(nginx), 10, "to give up its files")
    assert not cache_files(nginx)
    flag.unlink()
    assert nginx.get("/bucket/key").body == BODY
    assert len(cache_files(nginx)) == (SIZE + 65535) // 65536


def test_full_in_the_middle(disk, origin):
    nginx, flag = disk
    origin.script(method="GET", nth=3, before=lambda _: flag.touch())
    response = nginx.get("/bucket/key")
    assert response.complete and response.body == BODY
    flag.unlink()
    assert nginx.get("/bucket/key").body == BODY


def test_replaced_while_full(disk, origin):
    """What passes by the cache is held to the version as well."""
    nginx, flag = disk
    other = random.Random(6).randbytes(SIZE)
    flag.touch()
    origin.script(method="GET", nth=2,
                  before=lambda _: origin.put("bucket", "key", other))
    response = nginx.get("/bucket/key")
    assert response.status == 503 or response.body in (BODY, other) \
        or not response.complete and BODY.startswith(response.body)
    assert nginx.get("/bucket/key").body == other


def test_what_was_cached_is_read(disk, origin):
    nginx, flag = disk
    assert nginx.get("/bucket/key").body == BODY
    flag.touch()
    origin.journal.clear()
    assert nginx.get("/bucket/key").body == BODY
    assert origin.count() == 0
