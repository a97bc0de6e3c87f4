"""
`reload TIME warm`: what was cached of an object that changed is fetched
again, and nothing else is. What it costs is asserted on the origin's
journal.
"""

import random
import re
import threading
import time

import pytest

from harness import events
from harness.admin import LOCATION
from harness.events import Sender, created, removed
from harness.sprox import FILL, LOG, SLICE, cache_keys, serve, wait_idle
from harness.spread import PID, Spread
from test_fills import blob, span, spans

WARM = "sprox_alias lake { target store://bucket/; @policy@ }"
ITEMS = 1024                        # NGX_HTTP_SPROX_WARM_ITEMS
LANES = 4                           # NGX_HTTP_SPROX_WARM_LANES
LARGE = 20 * SLICE + 1000


LONG_AGO = int(time.time()) - 1000  # of what is known before an event


def fills(origin) -> list:
    return spans(origin, operation="GetObject")


class Lake:
    """An nginx over the bucket, crawled once, and what a test does with it."""

    def __init__(self, nginx, origin):
        self.nginx, self.origin = nginx, origin
        self.admin = Sender(nginx)

    def read(self, key: str, *ranges, alias: str = "lake") -> None:
        """As a client, whole or these slices; the bytes are right."""
        body = self.origin.get("bucket", key).body
        for first, end in ranges or [(None, None)]:
            headers = {}
            if end:
                headers["Range"] = f"bytes={first * SLICE}-{end * SLICE - 1}"
            response = self.nginx.get(f"/{alias}/{key}", headers)
            want = body[first * SLICE:end * SLICE] if end else body
            assert response.body == want, (key, first, end, response)

    def change(self, key: str, size: int, seed: int = 2):
        return self.origin.put("bucket", key, blob(size, seed))

    def reload(self, kind: str = "reload") -> None:
        """Crawls, and all that follows from it."""
        job = self.admin.wait(self.admin.crawl("lake")["id"], "done")
        assert job["kind"] == kind
        self.settle()

    def settle(self) -> None:
        self.nginx.wait(lambda: not self.live(), 10, "to end its warm jobs")
        wait_idle(self.nginx)

    def live(self) -> list:
        return [job for job in self.admin.jobs(kind="warm")
                if job["state"] in ("queued", "running")]

    def count(self, what: str) -> int:
        return self.nginx.metrics().sum(f"sprox_warm_{what}_total")

    def gets(self, **match) -> list:
        return self.origin.requests(operation="GetObject", **match)

    def forget(self) -> None:
        self.origin.journal.wait_idle()
        self.origin.journal.clear()


@pytest.fixture
def lake(make_nginx, origin):
    def make(**words):
        origin.bucket("bucket")
        policy = words.pop("policy", "reload 1h warm;")
        nginx = serve(make_nginx, origin.endpoint, **{
            "aliases": WARM.replace("@policy@", policy), **words,
            "server_more": LOCATION + words.get("server_more", "")})
        made = Lake(nginx, origin)
        made.admin.wait_complete("lake")
        return made

    return make


# what is fetched

@pytest.mark.parametrize("size", [LARGE, LARGE + 5 * SLICE, 3 * SLICE, 10])
def test_a_changed_object_is_fetched_again(lake, origin, size):
    for key in "changed", "same":
        origin.put("bucket", key, blob(LARGE))
    made = lake()
    made.read("changed")
    made.read("same")
    new = made.change("changed", size)
    made.forget()

    made.reload()
    fetched = made.gets()
    assert {entry.key for entry in fetched} == {"changed"}
    assert {entry.headers["if-match"] for entry in fetched} == {new.etag}
    # slices by their number, and the last one
    want = [(n, min(n + FILL, 21 * SLICE, size))
            for n in range(0, min(size, 21 * SLICE), FILL)]
    if size > LARGE:
        want.append((25 * SLICE, size))
    assert fills(origin) == want
    count = sum(-(-(end - first) // SLICE) for first, end in want)
    assert made.count("slices") == count
    assert made.count("bytes") == sum(end - first for first, end in want)
    job, = made.admin.jobs(kind="warm")
    assert (job["state"], job["done"], job["errors"], job["alias"],
            job["bucket"]) == ("done", count, 0, "lake", "bucket")

    # and nobody waits for the origin
    made.forget()
    if size <= LARGE:
        made.read("changed")
        response = made.nginx.head("/lake/changed")
        assert response["etag"] == new.etag
        assert response["content-type"] == "binary/octet-stream"
    made.read("same")
    assert origin.requests() == []


def test_only_what_was_cached(lake, origin):
    origin.put("bucket", "key", blob(LARGE))
    made = lake(fill="64k")
    made.read("key", (2, 3), (7, 9))
    made.change("key", LARGE)
    made.forget()
    made.reload()
    assert fills(origin) == [(n * SLICE, (n + 1) * SLICE) for n in (2, 7, 8)]
    assert made.count("slices") == 3
    made.forget()
    made.read("key", (2, 3), (7, 9), (8, 9))
    assert origin.requests() == []


@pytest.mark.parametrize("old, new", [
    (LARGE, LARGE + 30 * SLICE), (LARGE + 30 * SLICE, LARGE),
    (LARGE, LARGE), (100, LARGE)])
def test_a_footer_is_where_the_object_ends_now(lake, origin, old, new):
    origin.put("bucket", "key", blob(old))
    made = lake()
    assert made.nginx.get("/lake/key", {"Range": "bytes=-8"}).status == 206
    wait_idle(made.nginx)
    made.change("key", new)
    made.forget()
    made.reload()
    last = {(old - 1) // SLICE, (new - 1) // SLICE}
    asked = [(first // SLICE, -(-end // SLICE))
             for first, end in fills(origin)]
    assert asked == [(n, n + 1) for n in sorted(last) if n * SLICE < new]
    made.forget()
    assert made.nginx.get("/lake/key", {"Range": "bytes=-8"}).body \
        == origin.get("bucket", "key").body[-8:]
    assert origin.requests() == []


def test_what_is_gone_empty_or_was_never_read(lake, origin):
    for key in "deleted", "empty", "unread", "back":
        origin.put("bucket", key, blob(1000))
    made = lake()
    for key in "deleted", "empty", "back":
        made.read(key)
    origin.delete("bucket", "deleted")
    made.change("empty", 0)
    made.change("unread", 2000)
    made.forget()
    made.reload()
    assert made.gets() == []
    assert made.count("slices") == made.count("dropped") == 0


def test_without_the_word_nothing_is_fetched(lake, origin):
    origin.put("bucket", "key", blob(LARGE))
    made = lake(policy="reload 1h;")
    made.read("key")
    made.change("key", LARGE)
    made.forget()
    made.reload()
    assert made.gets() == made.admin.jobs(kind="warm") == []


def test_by_the_timer(lake, origin):
    origin.put("bucket", "key", b"old")
    made = lake(policy="reload 1s warm;")
    made.read("key")
    made.change("key", 10)
    made.nginx.wait(lambda: made.count("slices") == 1, 10, "to warm")
    gets = len(made.gets())
    made.read("key")
    assert len(made.gets()) == gets == 2


# where slices lie

def test_in_all_places(lake, origin):
    """Other caches and slice sizes; of tiers in the last, and once."""
    origin.put("bucket", "key", blob(LARGE))
    caches = "".join(
        f"proxy_cache_path @dir@/{name} levels=1:2 keys_zone={name}:1m "
        "inactive=1d use_temp_path=off;" for name in ("ram", "other"))
    made = lake(cache="off", http_more=caches + LOG, aliases=WARM.replace(
        "@policy@", "reload 1h warm;") + """
        sprox_alias tiers { target store://bucket/; cache ram nvme; }
        sprox_alias wide { target store://bucket/; cache other;
                           slice 128k; fill 1m; }""")
    made.read("key", (0, 1), alias="tiers")
    for _ in range(3):
        made.read("key", (0, 1), alias="tiers")
    made.nginx.wait(lambda: len(cache_keys(made.nginx, "ram")) == 1, 5,
                    "to copy into memory")
    made.read("key", (6, 8), alias="wide")
    new = made.change("key", LARGE)
    made.forget()
    made.reload()
    assert fills(origin) == [(0, SLICE), (6 * SLICE, 8 * SLICE)]
    for folder, number in ("ram", 0), ("cache", 1), ("other", 1):
        assert sum(new.etag in key.replace("%22", '"')
                   for key in cache_keys(made.nginx, folder)) == number
    made.forget()
    made.read("key", (0, 1), alias="tiers")
    made.read("key", (6, 8), alias="wide")
    assert origin.requests() == []


def test_no_cache_at_all(lake, origin):
    origin.put("bucket", "key", blob(100))
    made = lake(cache="off")
    made.read("key")
    made.change("key", 100)
    made.forget()
    made.reload()
    assert made.gets() == []


# events

def test_an_event(lake, origin):
    origin.put("bucket", "key", blob(LARGE), modified=LONG_AGO)
    made = lake()
    made.read("key", (0, 4))
    new = made.change("key", LARGE)
    made.forget()
    assert made.admin.tell(created("bucket", "key", new)) == {"applied": 1}
    made.nginx.wait(lambda: made.count("slices") == 4, 5, "to warm")
    made.settle()
    fill, = origin.requests()
    assert (span(fill), fill.headers["if-match"]) == ((0, FILL), new.etag)
    made.forget()
    made.read("key", (0, 4))
    assert origin.requests() == []
    origin.delete("bucket", "key")
    made.admin.tell(removed("bucket", "key"))
    assert made.nginx.get("/lake/key").status == 404
    assert made.count("slices") == 4


def test_an_event_that_must_be_checked(lake, origin):
    origin.put("bucket", "key", blob(LARGE), modified=LONG_AGO)
    made = lake()
    made.read("key", (0, 4))
    new = made.change("key", LARGE)
    made.forget()
    status, answer = made.admin.post(
        events.minio("s3:ObjectCreated:Put", "bucket", "key", new))
    assert (status, answer["checked"]) == (200, 1)
    made.nginx.wait(lambda: made.count("slices") == 4, 5, "to warm")
    made.settle()
    head, fill = origin.requests()
    assert (head.method, fill.method) == ("HEAD", "GET")
    assert (span(fill), fill.headers["if-match"]) == ((0, FILL), new.etag)


def test_the_same_event_at_two_workers(lake, origin):
    """And of an alias whose bucket is a variable, which is not crawled."""
    origin.put("bucket", "key", blob(LARGE), modified=LONG_AGO)
    more = "sprox_alias $b { target store://$b/; reload 1d warm; }"
    made = lake(workers=2, policy="reload 1h;", http_more=LOG + more,
                listen_more=" reuseport", server_more=PID)
    made.read("key", (0, 4))
    new = made.change("key", LARGE)
    made.forget()
    gate = origin.hold(key="key")
    spread = Spread(made.nginx)
    body = events.json.dumps(events.records(created("bucket", "key", new)))
    for client in spread.each():
        client.send("POST", "/_sprox/events", {
            "Content-Type": "application/json"}, body.encode())
        assert client.read().status == 200
    gate.wait()
    spread.close()
    gate.open()
    made.settle()
    assert fills(origin) == [(0, FILL)]
    assert made.admin.jobs(kind="warm")[0]["alias"] == "$b"


def test_jobs_that_come_often_do_not_push_out_others(lake, origin):
    origin.put("bucket", "key", b"0", modified=LONG_AGO)
    made = lake()
    for n in range(1, 6):
        made.read("key")
        new = made.change("key", 10 * n)
        assert made.admin.tell(created("bucket", "key", new))["applied"] == 1
        made.nginx.wait(lambda: made.count("slices") == n, 5, "to warm")
        made.settle()
    crawl, warm = made.admin.jobs()
    assert (crawl["kind"], warm["kind"], warm["done"]) == ("crawl", "warm", 1)


# beside others

def test_clients_go_first(lake, origin):
    for key in "abc":
        origin.put("bucket", key, b"old")
    made = lake(origin_more="max_connections 1;")
    made.read("a")
    made.read("b")
    made.change("a", 10)
    made.change("b", 10)
    made.forget()
    gate = origin.hold(operation="GetObject", nth=1)
    made.admin.crawl("lake")
    gate.wait()
    with made.nginx.client() as client:
        client.send("GET", "/lake/c")
        made.nginx.wait(lambda: made.nginx.metrics().sum(
            "sprox_claims_in_flight") == 3, 5, "to have three that wait")
        gate.open()
        assert client.read().body == b"old"
    made.settle()
    assert [entry.key for entry in made.gets()] == ["a", "c", "b"]


def test_a_client_joins(lake, origin):
    origin.put("bucket", "key", blob(LARGE))
    made = lake()
    made.read("key", (0, 4))
    made.change("key", LARGE)
    made.forget()
    gate = origin.hold(operation="GetObject", gate_after=1000)
    made.admin.crawl("lake")
    gate.wait()
    reader = threading.Thread(target=made.read, args=("key", (1, 3)))
    reader.start()
    gate.open()
    reader.join()
    made.settle()
    assert fills(origin) == [(0, FILL)]


def test_a_few_at_a_time(lake, origin):
    for n in range(20):
        origin.put("bucket", f"k{n:02}", b"old")
    made = lake()
    for n in range(20):
        made.read(f"k{n:02}")
        made.change(f"k{n:02}", 10, n)
    made.forget()
    gate = origin.hold(operation="GetObject")
    made.admin.crawl("lake")
    gate.wait(LANES)
    made.nginx.wait(lambda: made.admin.jobs(kind="reload", state="done"), 5,
                    "to end the crawl")
    assert len(made.gets()) == LANES
    gate.open()
    made.settle()
    assert sorted(entry.key for entry in made.gets()) \
        == [f"k{n:02}" for n in range(20)]
    made.nginx.wait_log("20 slices, 200 bytes, of 20 objects")


def test_the_queue_is_bounded(lake, origin):
    more = 20
    keys = [f"k{n:04}" for n in range(ITEMS + more)]
    for key in keys:
        origin.put("bucket", key, b"old")
    made = lake()
    for half in keys[::2], keys[1::2]:      # nginx's keepalive_requests
        with made.nginx.client() as client:
            for key in half:
                assert client.request("GET", f"/lake/{key}").body == b"old"
    for n, key in enumerate(keys):
        origin.put("bucket", key, b"new %d" % n)
    made.forget()
    gate = origin.hold(operation="GetObject")
    job = made.admin.crawl("lake")
    gate.wait(LANES)
    made.admin.wait(job["id"], "done")
    assert made.count("dropped") == more
    gate.open()
    made.settle()
    assert {entry.key for entry in made.gets()} == set(keys[:ITEMS])
    assert made.count("slices") == len(made.gets()) == ITEMS


# workers, and what goes wrong

@pytest.fixture
def held(lake, origin):
    """held(...): three changed objects of which the origin gives nothing."""
    def make(**words):
        keys = ["a", "b", "c"]
        for key in keys:
            origin.put("bucket", key, blob(2 * SLICE))
        made = lake(**words)
        for key in keys:
            made.read(key)
            made.change(key, 2 * SLICE, ord(key))
        made.forget()
        gate = origin.hold(operation="GetObject", gate_after=100)
        made.admin.crawl("lake")
        gate.wait(3)
        return made, gate

    return make


def check_warm(made) -> None:
    """All three are cached, and asked for by nobody."""
    made.settle()
    made.forget()
    for key in "abc":
        made.read(key)
    assert made.origin.requests() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_is_killed(held, origin, workers):
    made, gate = held(workers=workers)
    for pid in made.nginx.worker_pids():
        made.nginx.kill_worker(pid)
    origin.journal.wait(6, operation="GetObject")
    gate.open()
    made.settle()
    job, = made.admin.jobs(kind="warm")
    assert (job["state"], job["done"], job["errors"]) == ("done", 6, 0)
    assert len(made.gets()) == 6            # each once more
    check_warm(made)


def test_nginx_reloads(held, origin):
    """The old worker does not stay for it."""
    made, gate = held()
    made.nginx.reload(wait_old=True)
    origin.journal.wait(6, operation="GetObject")
    gate.open()
    check_warm(made)


@pytest.mark.parametrize("policy", ["reload 1h;", None])
def test_nginx_reloads_without_it(held, origin, policy):
    made, gate = held()
    if policy is None:
        made.nginx.expect_log("warm of .* failed: the configuration has no")
    made.nginx.write(made.nginx._variables["http"].replace(
        "@aliases@", WARM.replace("@policy@", policy) if policy else
        "sprox_alias gone { target store://bucket/; }"))
    made.nginx.reload(wait_old=True)
    gate.open()
    made.settle()
    assert len(made.gets()) == 3
    state = made.admin.jobs(kind="warm")[0]["state"]
    assert state == ("done" if policy else "failed")


def test_cancel(held, origin):
    made, gate = held()
    job, = made.live()
    assert made.admin.ask("DELETE", f"jobs/{job['id']}")[0] == 200
    made.admin.wait(job["id"], "canceled")
    wait_idle(made.nginx)                   # broken off
    made.nginx.wait(lambda: made.count("dropped") == 3, 5, "to forget them")
    gate.open()
    for key in "abc":
        made.read(key)                      # as ever
    assert made.count("slices") == 0
    assert made.live() == []


def test_the_origin_fails_for_a_while(lake, origin):
    for key in "ab":
        origin.put("bucket", key, b"old")
    made = lake()
    for key in "ab":
        made.read(key)
        made.change(key, 10, ord(key))
    made.forget()
    origin.script(operation="GetObject", status=503, times=3)
    made.reload()
    job, = made.admin.jobs(kind="warm")
    assert (job["state"], job["done"], job["errors"], job["error"]) \
        == ("done", 2, 1, "the origin gave no slices")
    assert (made.count("slices"), made.count("dropped")) == (2, 0)
    made.forget()
    made.read("a")
    made.read("b")
    assert origin.requests() == []


def test_what_may_not_be_read(lake, origin):
    """Is asked for once, and does not keep others."""
    for key in "ab":
        origin.put("bucket", key, b"old")
    made = lake()
    for key in "ab":
        made.read(key)
        made.change(key, 10, ord(key))
    made.forget()
    origin.script(operation="GetObject", key="a", status=403)
    made.reload()
    assert sorted(entry.key for entry in made.gets()) == ["a", "b"]
    assert (made.count("slices"), made.count("dropped")) == (1, 1)
    assert made.admin.jobs(kind="warm")[0]["state"] == "done"


def test_it_changes_once_more(lake, origin):
    """Between listing and fetch: nothing of it is kept, the next is right."""
    origin.put("bucket", "key", blob(2 * SLICE))
    made = lake()
    made.read("key")
    made.change("key", 2 * SLICE, 2)
    made.forget()
    origin.script(operation="GetObject", times=1,
                  before=lambda entry: made.change("key", 2 * SLICE, 3))
    made.reload()
    assert [entry.status for entry in made.gets()] == [412]
    assert made.count("slices") == 0
    assert made.count("dropped") == 1
    made.read("key")


def test_a_purge_meanwhile(lake, origin):
    origin.put("bucket", "key", blob(2 * SLICE))
    made = lake()
    made.read("key")
    made.change("key", 2 * SLICE)
    made.forget()
    gate = origin.hold(operation="GetObject", gate_after=100)
    made.admin.crawl("lake")
    gate.wait()
    assert made.nginx.request("PURGE", "/lake/key").status == 200
    gate.open()
    made.settle()
    new = origin.get("bucket", "key")
    assert not [key for key in cache_keys(made.nginx)
                if re.search(new.etag.strip('"'), key)]
    made.read("key")


def test_many_changes_at_random(lake, origin):
    """Whatever was read and changed: bytes are right, and what is warm."""
    rng = random.Random(5)
    sizes = [0, 1, SLICE - 1, SLICE, SLICE + 1, 5 * SLICE, 17 * SLICE + 3,
             40 * SLICE]
    keys = [f"k{n}" for n in range(30)]
    for n, key in enumerate(keys):
        origin.put("bucket", key, blob(rng.choice(sizes), n))
    made = lake(workers=2)
    for turn in range(3):
        for key in keys:
            size = origin.get("bucket", key).size
            count = max(1, -(-size // SLICE))
            if rng.random() < 0.7 and size:
                first = rng.randrange(count)
                made.read(key, (first, first + rng.randint(1, 4)))
        for n, key in enumerate(keys):
            if rng.random() < 0.5:
                made.change(key, rng.choice(sizes), 100 * turn + n)
        made.reload()
        for key in keys:
            made.read(key)
    assert made.count("slices") > 30
    assert made.count("dropped") == 0
