"""
Messages of very many events, and very many aliases: nobody else waits for
the end of them, and each event finds the aliases that it is about.
"""

import contextlib
import json
import threading

import pytest

from harness import events
from harness.admin import LOCATION
from harness.events import Sender, created, records, removed
from harness.sprox import ALIASES, serve

MANY = 1000         # a message has 1024 at most


@pytest.fixture
def sprox(make_nginx, origin):
    def make(aliases: str = ALIASES, **words):
        nginx = serve(make_nginx, origin.endpoint,
                      server_more=LOCATION + "keepalive_requests 1000000;",
                      more="sprox_valid_missing 1h;", aliases=aliases,
                      **words)
        nginx.sender = Sender(nginx)
        return nginx

    return make


def objects(nginx) -> int:
    return nginx.metrics().sum("sprox_catalog_objects")


def test_others_are_served_in_between(sprox, origin):
    """They see a part of what the message tells."""
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    seen = set()
    for message in range(50):
        before = objects(nginx)
        told = [created("bucket", f"{message}/{n}", new) for n in range(MANY)]
        body = json.dumps(records(*told)).encode()
        with nginx.client() as client, nginx.client() as other:
            client.send("POST", "/_sprox/events", body=body)
            done = threading.Event()
            answers = []
            thread = threading.Thread(target=lambda: (
                answers.append(client.read("POST")), done.set()))
            thread.start()
            while not done.is_set():
                text = other.request("GET", "/metrics").text
                seen.add(int(float(next(
                    line.split()[-1] for line in text.splitlines()
                    if line.startswith("sprox_catalog_objects")))) - before)
            thread.join()
        assert json.loads(answers[0].text)["applied"] == MANY
        assert objects(nginx) == before + MANY
        if seen - {0, MANY}:
            break
    assert seen - {0, MANY}, "each message was applied in one go"


def test_a_client_that_is_gone_before_it_is_parsed(sprox, origin):
    """Nothing is left behind, and what was sent whole is applied."""
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    for message in range(20):
        told = [created("bucket", f"{message}/{n}", new) for n in range(300)]
        client = nginx.client()
        client.send("POST", "/_sprox/events",
                    body=json.dumps(records(*told)).encode())
        client.close()
    nginx.wait(lambda: objects(nginx) == 6000, 20, "to apply them all")


def test_what_is_wrong_with_a_long_one(sprox, origin):
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    told = [created("bucket", f"k{n}", new) for n in range(900)]
    del told[777]["s3"]["object"]["key"]
    status, answer = nginx.sender.post(records(*told))
    assert status == 400
    assert "Records[777]" in answer["message"]
    assert objects(nginx) == 0


def test_long_ones_are_cut_off_with_their_worker(sprox, origin):
    """worker_shutdown_timeout ends connections, parsed or not."""
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox(main="worker_shutdown_timeout 1ms;")
    told = json.dumps(records(*(created("bucket", f"k{n}", new)
                                for n in range(MANY)))).encode()
    for _ in range(3):
        clients = [nginx.client() for _ in range(4)]
        for client in clients:
            client.send("POST", "/_sprox/events", body=told)
        nginx.reload(wait_old=True)
        for client in clients:
            client.close()
    assert nginx.sender.tell(created("bucket", "z", new)) == {"applied": 1}


def test_with_a_debug_log(sprox, origin):
    """It says of each timer whose descriptor it waits for; there is none."""
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox(level="debug")
    workers = nginx.worker_pids()
    few = records(*(created("bucket", f"k{n}", new) for n in range(9)))
    many = records(*(created("bucket", f"{n:01000}", new) for n in range(99)))
    assert len(json.dumps(few)) < 64 << 10 < len(json.dumps(many))
    assert nginx.sender.post(few)[0] == 200
    assert nginx.sender.post(many)[0] == 200
    assert objects(nginx) == 9 + 99
    for _ in range(3):                      # from the origin, and from files
        assert nginx.get("/bucket/key").body == b"new!"
    assert nginx.worker_pids() == workers


def test_two_who_wait_with_a_debug_log(sprox, origin):
    """One of them for what the other's worker fetches."""
    body = bytes(1 << 20)
    origin.put("bucket", "big", body)
    nginx = sprox(level="debug", workers=2)
    workers = nginx.worker_pids()
    gate = origin.hold(key="big", gate_after=1000)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(nginx.client()) for _ in range(16)]
        for client in clients:
            client.send("GET", "/bucket/big")
        nginx.wait_taken(len(clients))
        gate.wait()
        gate.open()
        for client in clients:
            assert client.read().body == body
    assert nginx.worker_pids() == workers


def test_several_messages_at_once(sprox, origin):
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox(workers=2)
    answers = []

    def post(message: int) -> None:
        told = [created("bucket", f"{message}/{n}", new) for n in range(300)]
        answers.append(Sender(nginx).post(records(*told)))

    threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(status, answer["applied"]) for status, answer in answers] \
        == [(200, 300)] * 8
    assert objects(nginx) == 2400


def test_who_leaves_wants_it_applied_all_the_same(sprox, origin):
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    told = [created("bucket", f"k{n}", new) for n in range(MANY)]
    client = nginx.client()
    client.send("POST", "/_sprox/events",
                body=json.dumps(records(*told)).encode())
    nginx.wait(lambda: objects(nginx), 10, "to begin")
    client.close()
    nginx.wait(lambda: objects(nginx) == MANY, 10, "to go on")


def test_a_reload_in_the_middle(sprox, origin):
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    told = [created("bucket", f"k{n}", new) for n in range(MANY)]
    with nginx.client() as client:
        client.send("POST", "/_sprox/events",
                    body=json.dumps(records(*told)).encode())
        nginx.wait(lambda: objects(nginx), 10, "to begin")
        nginx.reload(wait_old=True)
        assert json.loads(client.read("POST").text)["applied"] == MANY
    assert objects(nginx) == MANY


def test_many_that_are_in_doubt(sprox, origin):
    new = origin.put("bucket", "key", b"new!")
    for n in range(200):
        origin.put("bucket", f"k{n}", b"body")
    nginx = sprox()
    told = [events.minio("s3:ObjectCreated:Put", "bucket", f"k{n}",
                         new)["Records"][0] for n in range(200)]
    status, answer = nginx.sender.post(records(*told))
    assert (status, answer["checked"]) == (200, 200)
    assert origin.count(method="HEAD") == 200


# many aliases

def test_each_of_a_thousand_aliases(sprox, origin):
    aliases = "\n".join(
        f"sprox_alias tbl{n} {{ target store://bucket/p/{n}/; }}"
        for n in range(MANY))
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox(aliases)
    told = [created("bucket", f"p/{n}/key", new) for n in range(MANY)]
    assert nginx.sender.tell(*told) == {"applied": MANY}
    others = [created("bucket", f"p/{n}", new) for n in range(50)]
    others += [created("bucket", f"p/x{n}/key", new) for n in range(50)]
    others += [created("bucket2", f"p/{n}/key", new) for n in range(50)]
    assert nginx.sender.tell(*others) == {"ignored": 150}
    for n in (0, 1, 9, 10, 99, 100, 998, 999):
        assert nginx.get(f"/tbl{n}/key",
                         {"If-None-Match": new.etag}).status == 304
    assert origin.requests() == []


def test_each_kind_of_alias(sprox, origin):
    """Of one bucket: all of it, prefixes of prefixes, templates."""
    nginx = sprox("""
        sprox_origin other { endpoint @endpoint@; credentials anonymous; }
        sprox_alias all      { target store://bucket/; }
        sprox_alias deep     { target store://bucket/a/b/; }
        sprox_alias deeper   { target store://bucket/a/b/c/; }
        sprox_alias day/$y   { target store://log/y=$y/x/; }
        sprox_alias week/$w  { target store://log/w-$w/; }
        sprox_alias x-$t     { target store://many-$t/$t/; }
        sprox_alias theirs   { target other://theirs/in/; }
    """)
    new = origin.put("bucket", "key", b"new!")

    def became(bucket: str, key: str) -> str:
        answer = nginx.sender.tell(created(bucket, key, new))
        (what, n), = answer.items()
        assert n == 1
        return what

    for bucket, key in (("bucket", "z"), ("bucket", "a/b/c/d"),
                        ("bucket", "a/b/d"), ("log", "y=2026/x/k"),
                        ("log", "w-12/k"), ("many-u", "u/k"),
                        ("theirs", "in/k")):
        assert became(bucket, key) == "applied", (bucket, key)
    for bucket, key in (("log", "y=2026/z"), ("log", "k"), ("log", "w-1"),
                        ("log", "w-/k"), ("many-u", "v/k"),
                        ("many", "u/k"), ("theirs", "k"), ("buckets", "z")):
        assert became(bucket, key) == "ignored", (bucket, key)

    for path in ("/all/z", "/all/a/b/c/d", "/deep/c/d", "/deeper/d",
                 "/day/2026/k", "/week/12/k", "/x-u/k", "/theirs/k"):
        assert nginx.get(path, {"If-None-Match": new.etag}).status == 304
    gone = [removed("bucket", "a/b/c/d"), removed("log", "w-12/k")]
    assert nginx.sender.tell(*gone) == {"applied": 2}
    for path in ("/all/a/b/c/d", "/deep/c/d", "/deeper/d", "/week/12/k"):
        assert nginx.get(path).status == 404
    assert origin.requests(method="GET") == []
