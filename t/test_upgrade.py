"""
A binary upgrade under load: USR2, and QUIT for the old master. No request
fails, responses that are under way are ended by who began them, and the new
nginx goes on with the cache.
"""

import hashlib
import random
import signal
import threading

import pytest

from harness import wire
from harness.sprox import FILL, SLICE, cache_files, serve, wait_idle

SIZES = [10, SLICE, 3 * SLICE + 5, 3 * FILL + 1]


class Load:
    """Clients that read, each on new connections, until told to stop."""

    def __init__(self, port: int, objects: dict, clients: int = 6):
        self.port, self.objects = port, objects
        self.done, self.trouble = 0, []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,))
                        for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number: int) -> None:
        chance = random.Random(number)
        while not self.stopping.is_set():
            key = chance.choice(sorted(self.objects))
            body = self.objects[key]
            headers, want, status = {}, body, 200
            if chance.random() < 0.5:
                first = chance.randrange(len(body))
                headers, status = {"Range": f"bytes={first}-"}, 206
                want = body[first:]
            try:
                response = wire.request(self.port, "GET", f"/bucket/{key}",
                                        headers)
                assert response.status == status, response
                assert hashlib.md5(response.body).digest() \
                    == hashlib.md5(want).digest(), key
                self.done += 1
            except Exception as error:
                self.trouble.append(f"{key}: {error!r}")

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.trouble, self.trouble[:5]


@pytest.fixture
def sprox(make_nginx, origin):
    return serve(make_nginx, origin.endpoint, workers=2, daemon=True,
                 valid="0")


def test_under_load(sprox, origin):
    chance = random.Random(5)
    objects = {f"k{n}": chance.randbytes(chance.choice(SIZES))
               for n in range(40)}
    for key, body in objects.items():
        origin.put("bucket", key, body)
    load = Load(sprox.port, objects)
    for _ in range(2):
        done = load.done
        sprox.wait(lambda: load.done > done + 50, 30, "to answer")
        old = sprox.upgrade()
        done = load.done
        sprox.wait(lambda: load.done > done + 50, 30, "to answer")
        old.send_signal(signal.SIGQUIT)
        old.wait()
    done = load.done
    sprox.wait(lambda: load.done > done + 50, 30, "to answer")
    load.stop()
    wait_idle(sprox)

    # what the first nginx fetched is the last one's, too
    files = len(cache_files(sprox))
    for key, body in objects.items():
        assert sprox.get(f"/bucket/{key}").body == body
    assert len(cache_files(sprox)) >= files > 0


def test_a_response_under_way(sprox, origin):
    """The old worker ends it, and its fills; then it goes."""
    body = random.Random(1).randbytes(3 * FILL)
    origin.put("bucket", "k", body)
    gate = origin.hold(key="k", gate_after=SLICE + 100, nth=1)
    with sprox.client() as client:
        client.send("GET", "/bucket/k")
        gate.wait()
        old = sprox.upgrade()
        old.send_signal(signal.SIGQUIT)
        assert sprox.get("/bucket/none").status == 404
        assert old.poll() is None
        gate.open()
        assert client.read().body == body
    old.wait()
    wait_idle(sprox)
    before = origin.count(key="k")
    assert sprox.get("/bucket/k").body == body
    # it knows nothing of the object, but finds the slices that are there
    assert origin.count(key="k") == before + 1


def test_a_step_back(sprox, origin):
    """The new one is not wanted: the old master goes on (HUP, then QUIT)."""
    origin.put("bucket", "k", b"body")
    old = sprox.upgrade()
    old.send_signal(signal.SIGWINCH)
    assert sprox.get("/bucket/k").body == b"body"
    new, sprox.process = sprox.process, old
    old.send_signal(signal.SIGHUP)
    sprox.wait(lambda: len(sprox.worker_pids()) == 2, 15, "to start workers")
    new.send_signal(signal.SIGQUIT)
    new.wait()
    assert sprox.get("/bucket/k").body == b"body"
