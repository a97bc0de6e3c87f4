"""
Files of the cache that somebody deletes or cuts short behind sprox's back:
they are fetched again, once, and what is read is right. And a disk that keeps
a thread waiting.
"""

import pytest

from harness.sprox import SLICE, cache_files, key_of, serve, wait_idle
from test_lifetime import blob

IO = {"plain": "", "threads": "aio threads;",
      "copied by threads": "aio threads; sendfile off;"}


def delete(path) -> None:
    path.unlink()


def cut(size: int):
    def damage(path) -> None:
        with open(path, "r+b") as file:
            file.truncate(size)
    return damage


DAMAGE = {"deleted": delete, "empty": cut(0), "header": cut(100),
          "block": cut(400), "body": cut(SLICE // 2), "tail": cut(SLICE)}


@pytest.mark.parametrize("io", IO)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file(make_nginx, origin, damage, io):
    nginx = serve(make_nginx, origin.endpoint, more=IO[io])
    nginx.allow_log(r"cache file .* is too small")
    body = blob(3 * SLICE)
    origin.put("bucket", "key", body)
    assert nginx.get("/bucket/key").body == body
    wait_idle(nginx)
    path, = [p for p in cache_files(nginx) if key_of(p).endswith(" 1")]
    size = path.stat().st_size
    # a descriptor of it may be open still, and is as good as the file was
    nginx.reload(wait_old=True)
    asked = origin.count()
    DAMAGE[damage](path)

    with nginx.client() as client:
        assert client.request("GET", "/bucket/key").body == body
    again = origin.requests()[asked:]
    assert [e.range for e in again] == [f"bytes={SLICE}-{2 * SLICE - 1}"]
    assert path.stat().st_size == size
    nginx.reload(wait_old=True)
    assert nginx.get("/bucket/key").body == body
    assert origin.count() == asked + 1
    assert nginx.log().count("it is fetched again") < 4


@pytest.mark.parametrize("io", ["threads", "copied by threads"])
def test_a_worker_stays_while_a_thread_reads(make_nginx, origin,
                                             read_shim, tmp_path, io):
    flag = tmp_path / "flag"
    nginx = serve(make_nginx, origin.endpoint, more=IO[io],
                  main="env HELD_READ; env HELD_READ_DIR;",
                  env={"LD_PRELOAD": str(read_shim), "HELD_READ": str(flag),
                       "HELD_READ_DIR": str(tmp_path / "nginx0/cache")})
    body = blob(3 * SLICE)
    origin.put("bucket", "key", body)
    assert nginx.get("/bucket/key").body == body
    wait_idle(nginx)
    nginx.reload(wait_old=True)             # no descriptor is open
    flag.touch()
    with nginx.client() as client:
        client.send("GET", "/bucket/key")
        nginx.wait(flag.with_suffix(".held").exists, 5, "to read")
        nginx.reload()
        assert nginx.worker_pids(leaving=True)
        assert nginx.metrics().sum("sprox_catalog_objects") == 1
        flag.unlink()
        assert client.read().body == body
