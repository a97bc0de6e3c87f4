"""
POST of events: what a store told is true at once, for every worker, and what
cannot be true is refused. What it cost is asserted on the origin's journal.
"""

import json
import os
import re
import threading
import time
from urllib.parse import quote

import pytest

from harness import events, wire
from harness.admin import LOCATION
from harness.events import Sender, created, records, removed
from harness.listing import parse
from harness.sprox import error_code, serve

LONG_AGO = int(time.time()) - 1000      # of what is known before an event


@pytest.fixture
def sprox(make_nginx, origin):
    def make(location: str = LOCATION, valid_missing: str = "1h", **words):
        nginx = serve(make_nginx, origin.endpoint, server_more=location,
                      more=f"sprox_valid_missing {valid_missing};", **words)
        nginx.sender = Sender(nginx)
        return nginx

    return make


def put(origin, body: bytes, key: str = "key", **more):
    return origin.put("bucket", key, body, modified=LONG_AGO, **more)


# what is true at once

def test_the_old_version_stops_at_once(sprox, origin):
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    assert nginx.get("/bucket/key").body == b"old"      # valid 1h
    before = len(origin.requests())

    assert nginx.sender.tell(created("bucket", "key", new)) == {"applied": 1}
    assert len(origin.requests()) == before             # nothing was asked
    answer = nginx.get("/bucket/key")
    assert (answer.body, answer["etag"]) == (b"new!", new.etag)
    fill, = origin.requests()[before:]
    assert (fill.method, fill.headers["if-match"]) == ("GET", new.etag)
    assert nginx.get("/bucket/key").body == b"new!"
    assert len(origin.requests()) == before + 1


def test_removed_and_created_again(sprox, origin):
    obj = put(origin, b"body")
    nginx = sprox()
    assert nginx.get("/bucket/key").status == 200
    origin.delete("bucket", "key")
    assert nginx.sender.tell(removed("bucket", "key")) == {"applied": 1}
    before = len(origin.requests())
    assert error_code(nginx.get("/bucket/key")) == "NoSuchKey"
    assert len(origin.requests()) == before             # it is remembered

    obj = origin.put("bucket", "key", b"again")
    assert nginx.sender.tell(created("bucket", "key", obj)) == {"applied": 1}
    assert nginx.get("/bucket/key").body == b"again"


def test_a_removal_beats_a_creation_that_comes_late(sprox, origin):
    nginx = sprox()
    obj = put(origin, b"body")
    first, then = events.sequencer(), events.sequencer()
    assert nginx.sender.tell(removed("bucket", "key", order=then)) \
        == {"applied": 1}
    assert nginx.sender.tell(created("bucket", "key", obj, order=first)) \
        == {"known": 1}
    assert nginx.get("/bucket/key").status == 404
    assert origin.requests() == []


def test_the_same_told_twice_and_in_the_wrong_order(sprox, origin):
    nginx = sprox()
    versions = [put(origin, b"x" * n) for n in (1, 2, 3)]
    told = [created("bucket", "key", v) for v in versions]
    for i, want in ((1, "applied"), (0, "known"), (1, "known"),
                    (2, "applied"), (0, "known"), (2, "known")):
        assert nginx.sender.tell(told[i]) == {want: 1}
    assert nginx.get("/bucket/key").body == b"xxx"
    assert origin.count(method="HEAD") == 0


def test_several_records_of_one_message(sprox, origin):
    objects = {f"k{i}": put(origin, b"b" * (i + 1), f"k{i}")
               for i in range(40)}
    nginx = sprox()
    assert nginx.sender.tell(*(created("bucket", key, obj)
                               for key, obj in objects.items())) \
        == {"applied": 40}
    for key, obj in objects.items():
        head = nginx.get(f"/bucket/{key}", {"If-None-Match": obj.etag})
        assert head.status == 304
    assert nginx.metrics().sum("sprox_events_total", sender="aws",
                               result="applied") == 40


@pytest.mark.parametrize("key", [
    "a b+c%2F/ü€", "a//b/../c", "x" * 1024, "=&?#;", "\U0001f600"])
def test_names_of_objects(sprox, origin, key):
    nginx = sprox()
    for make in (created, lambda b, k, o: events.bridge(
            "Object Created", b, k, o)):
        origin.put("bucket", key, b"old", modified=LONG_AGO)
        path = "/bucket/" + quote(key)
        nginx.request("PURGE", path)
        if len(key) < 1000:
            assert nginx.get(path).body == b"old"
        new = origin.put("bucket", key, b"new")
        told = make("bucket", key, new)
        status, answer = nginx.sender.post(
            records(told) if make is created else told)
        assert (status, answer["ignored"]) == (200, 0)
        assert sum(answer.values()) == 1
        assert nginx.get(path).body == b"new"


def test_every_worker_knows(sprox, origin):
    old = put(origin, b"old")
    nginx = sprox(workers=4, http_more="log_format w $pid;"
                  "access_log @dir@/pids.log w;")
    clients = one_for_each_worker(nginx)
    for client in clients.values():
        assert client.request("GET", "/bucket/key").body == b"old"
    for n in range(20):
        new = origin.put("bucket", "key", b"%d" % n)
        assert nginx.sender.tell(created("bucket", "key", new)) \
            == {"applied": 1}
        for client in clients.values():
            answer = client.request("GET", "/bucket/key")
            assert (answer.body, answer["etag"]) == (b"%d" % n, new.etag)
    assert origin.count(method="HEAD") == 0
    assert old.etag != new.etag


def one_for_each_worker(nginx) -> dict:
    """A connection to each worker: pid to client."""
    clients, log = {}, nginx.dir / "pids.log"
    while len(clients) < nginx.workers:
        client, seen = nginx.client(), log.stat().st_size
        assert client.request("GET", "/metrics").status == 200
        nginx.wait(lambda: log.stat().st_size > seen, 5, "to log")
        pid = log.read_text().split()[-1]
        if pid in clients:
            client.close()
        clients.setdefault(pid, client)
    return clients


def test_lag(sprox, origin, record_property):
    """From an event that is sent to the answers of all workers."""
    put(origin, b"0")
    nginx = sprox(workers=4, aliases="sprox_alias bucket "
                  "{ target store://bucket/; list catalog; }",
                  http_more="log_format w $pid;"
                  "access_log @dir@/pids.log w;")
    nginx.sender.wait_complete("bucket")
    clients = one_for_each_worker(nginx)
    asked = len(origin.requests())
    told = []
    for n in range(1, 101):
        new = origin.put("bucket", "key", b"%d" % n)
        message = json.dumps(records(created("bucket", "key", new))).encode()
        began = time.perf_counter()
        assert nginx.request("POST", "/_sprox/events", {}, message).status \
            == 200
        for client in clients.values():
            page = parse(client.request("GET", "/bucket?list-type=2").body)
            assert page.objects["key"]["ETag"] == new.etag
            answer = client.request("HEAD", "/bucket/key")
            assert answer["etag"] == new.etag
        told.append(time.perf_counter() - began)
    assert origin.count(operation="ListObjectsV2") == 1     # the crawl
    assert len(origin.requests()) - asked <= 100            # HEAD: headers
    told.sort()
    median, worst = told[len(told) // 2], told[-1]
    record_property("lag", f"median {median * 1000:.1f} ms, "
                    f"worst {worst * 1000:.1f} ms")
    # on a machine that does much else some are late, but not all
    assert told[0] < 0.05, told


# listings out of the catalog

LISTED = "sprox_alias bucket { target store://bucket/; list catalog; }"


def keys(nginx, query: str = "") -> list:
    page = parse(nginx.get("/bucket?list-type=2" + query).body)
    return page.items


def test_listings_follow(sprox, origin):
    for key in ("a/1", "a/2", "b"):
        put(origin, b"old", key)
    nginx = sprox(aliases=LISTED)
    nginx.sender.wait_complete("bucket")
    assert keys(nginx) == ["a/1", "a/2", "b"]
    tell = nginx.sender.tell

    new = origin.put("bucket", "c/1", b"new")
    assert tell(created("bucket", "c/1", new)) == {"applied": 1}
    origin.delete("bucket", "a/2")
    assert tell(removed("bucket", "a/2")) == {"applied": 1}
    changed = origin.put("bucket", "b", b"longer")
    assert tell(created("bucket", "b", changed)) == {"applied": 1}

    page = parse(nginx.get("/bucket?list-type=2").body)
    assert page.keys == ["a/1", "b", "c/1"]
    assert page.objects["b"]["Size"] == "6"
    assert page.objects["b"]["ETag"] == changed.etag
    assert keys(nginx, "&delimiter=/") == ["a/", "b", "c/"]
    origin.delete("bucket", "c/1")
    tell(removed("bucket", "c/1"))
    assert keys(nginx, "&delimiter=/") == ["a/", "b"]
    assert keys(nginx, "&prefix=c/") == []
    assert nginx.sender.alias("bucket")["objects"] == 2
    assert origin.count(operation="ListObjectsV2") == 1     # the crawl


def test_what_is_in_doubt_is_listed_by_the_origin(sprox, origin):
    """So that LIST and GET agree also while the store is asked."""
    put(origin, b"old")
    put(origin, b"z", "z")
    nginx = sprox(aliases=LISTED)
    nginx.sender.wait_complete("bucket")
    assert keys(nginx) == ["key", "z"]
    origin.script(method="HEAD", status=503)
    new = origin.put("bucket", "key", b"new!")
    told = events.minio("s3:ObjectCreated:Put", "bucket", "key", new)
    assert nginx.sender.post(told)[0] == 503
    page = parse(nginx.get("/bucket?list-type=2").body)
    assert page.objects["key"]["ETag"] == new.etag
    assert origin.count(operation="ListObjectsV2") == 2
    # which has told of it: the catalog is right again
    assert keys(nginx) == ["key", "z"]
    assert nginx.get("/bucket/key").body == b"new!"
    assert origin.count(operation="ListObjectsV2") == 2


# who does not order: the store is asked

def test_one_request_settles_what_cannot_be_ordered(sprox, origin):
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    told = events.minio("s3:ObjectCreated:Put", "bucket", "key", new)
    before = len(origin.requests())
    status, answer = nginx.sender.post(told)
    assert (status, answer["checked"]) == (200, 1)
    head, = origin.requests()[before:]
    assert (head.method, head.key) == ("HEAD", "key")
    assert nginx.get("/bucket/key").body == b"new!"

    # what it says is known by now
    assert nginx.sender.post(told)[1]["known"] == 1
    origin.delete("bucket", "key")
    gone = events.minio("s3:ObjectRemoved:Delete", "bucket", "key")
    assert nginx.sender.post(gone)[1]["checked"] == 1
    assert nginx.sender.post(gone)[1]["known"] == 1
    assert nginx.get("/bucket/key").status == 404
    assert origin.count(method="HEAD") == 2


def test_one_request_for_many_events_of_a_key(sprox, origin):
    put(origin, b"old")
    nginx = sprox(workers=2)
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    told = events.minio("s3:ObjectCreated:Put", "bucket", "key",
                        new)["Records"] * 50
    gate = origin.hold(method="HEAD")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        nginx.sender.post(records(*told)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    origin.journal.wait(1, method="HEAD")
    gate.open()
    for thread in threads:
        thread.join()
    for status, answer in answers:
        assert status == 200, (status, answer, nginx.log_tail(40))
        assert answer["checked"] + answer["known"] == 50
    # those that came while one was on its way may ask once more
    assert origin.count(method="HEAD") <= 2 * len(threads)
    assert nginx.get("/bucket/key").body == b"new!"


def test_in_doubt_until_it_was_asked_for(sprox, origin):
    """Who reads meanwhile asks as well: the old version is not served."""
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    gate = origin.hold(method="HEAD")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        nginx.sender.post(events.minio("s3:ObjectCreated:Put", "bucket",
                                       "key", new))))
    thread.start()
    origin.journal.wait(1, method="HEAD")
    reader = threading.Thread(target=lambda: answers.append(
        nginx.get("/bucket/key")))
    reader.start()
    gate.open()
    thread.join()
    reader.join()
    assert {answer.body for answer in answers
            if isinstance(answer, wire.Response)} == {b"new!"}


def test_an_answer_older_than_the_event_settles_nothing(sprox, origin):
    """A HEAD that was on its way when the event came is asked again."""
    put(origin, b"old")
    nginx = sprox(valid_missing="0")
    gate = origin.hold(method="HEAD", times=1)
    readers = [threading.Thread(target=lambda: nginx.head("/bucket/key"))]
    readers[0].start()
    origin.journal.wait(1, method="HEAD")
    stale = origin.get("bucket", "key")
    origin.script(method="HEAD", times=1, status=200, body=b"", headers={
        "ETag": stale.etag, "Content-Length": "3"}, gate=gate)
    new = origin.put("bucket", "key", b"new!")
    answers = []
    sender = threading.Thread(target=lambda: answers.append(
        nginx.sender.post(events.minio("s3:ObjectCreated:Put", "bucket",
                                       "key", new))))
    sender.start()
    gate.open()
    sender.join()
    readers[0].join()
    assert answers[0][0] == 200
    assert nginx.get("/bucket/key").body == b"new!"
    assert nginx.head("/bucket/key")["etag"] == new.etag


def test_a_store_that_fails_is_asked_when_it_is_told_again(sprox, origin):
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    told = events.minio("s3:ObjectCreated:Put", "bucket", "key", new)
    origin.script(method="HEAD", status=503)
    status, answer = nginx.sender.post(told)
    assert (status, answer["failed"]) == (503, 1)
    assert "send it again" in answer["message"]
    origin.clear_script()

    # not believed any more, whatever `valid` says
    assert nginx.get("/bucket/key").body == b"new!"
    assert nginx.sender.post(told)[1]["known"] == 1
    assert nginx.metrics().sum("sprox_events_total", sender="minio",
                               result="failed") == 1


def test_a_worker_that_is_killed_in_the_middle(sprox, origin):
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    told = json.dumps(events.minio("s3:ObjectCreated:Put", "bucket", "key",
                                   new)).encode()
    gate = origin.hold(method="HEAD", times=1)
    client = nginx.client()
    client.send("POST", "/_sprox/events", body=told)
    origin.journal.wait(1, method="HEAD")
    nginx.kill_worker()
    gate.open()
    assert nginx.get("/bucket/key").body == b"new!"
    client.close()


# whose they are

TWO = """
    sprox_origin google { endpoint @endpoint@; dialect gcs;
                          credentials anonymous; }
    sprox_alias here   { target store://bucket/in/; }
    sprox_alias there  { target google://bucket/in/; }
    sprox_alias $b-all { target store://many-$b/$b/; }
"""


def test_what_no_alias_reaches_is_ignored(sprox, origin):
    obj = put(origin, b"body", "in/key")
    nginx = sprox(aliases=TWO)
    tell = nginx.sender.tell
    assert tell(created("other", "in/key", obj)) == {"ignored": 1}
    assert tell(created("bucket", "out/key", obj)) == {"ignored": 1}
    assert tell(created("many-x", "y/key", obj)) == {"ignored": 1}
    assert tell(created("many-x", "x/key", obj)) == {"applied": 1}
    assert tell(created("bucket", "in/key", obj)) == {"applied": 1}
    assert nginx.metrics().sum("sprox_events_total",
                               result="ignored") == 3
    assert nginx.metrics().sum("sprox_catalog_objects") == 2


def test_buckets_of_one_name_at_two_stores(sprox, origin):
    obj = put(origin, b"body", "in/key")
    nginx = sprox(aliases=TWO)
    assert nginx.sender.tell(created("bucket", "in/key", obj)) \
        == {"applied": 1}
    status, answer = nginx.sender.post(
        events.gcs("OBJECT_FINALIZE", "bucket", "in/key", obj))
    assert (status, answer["applied"]) == (200, 1)
    assert nginx.head("/here/key")["etag"] == obj.etag
    assert nginx.head("/there/key")["etag"] == obj.etag

    # named: whoever sent it
    obj = put(origin, b"body2", "in/key")
    assert nginx.sender.tell(created("bucket", "in/key", obj),
                             query="?origin=google") == {"applied": 1}
    assert nginx.head("/there/key")["etag"] == obj.etag
    assert nginx.head("/here/key")["etag"] != obj.etag
    status, answer = nginx.sender.post(
        records(created("bucket", "in/key", obj)), "?origin=nobody")
    assert status == 400 and "origin" in answer["message"]


def test_generations_order(sprox, origin):
    nginx = sprox(aliases=TWO)
    first, second = (put(origin, body, "in/key") for body in (b"1", b"22"))
    for obj, want in ((second, "applied"), (first, "known"),
                      (second, "known")):
        _, answer = nginx.sender.post(
            events.gcs("OBJECT_FINALIZE", "bucket", "in/key", obj))
        assert answer[want] == 1
    assert nginx.get("/there/key").body == b"22"
    assert origin.count(method="HEAD") == 0

    origin.delete("bucket", "in/key")
    _, answer = nginx.sender.post(
        events.gcs("OBJECT_DELETE", "bucket", "in/key", first))
    assert answer["known"] == 1                 # an old generation's
    _, answer = nginx.sender.post(
        events.gcs("OBJECT_DELETE", "bucket", "in/key", second))
    assert answer["checked"] == 1
    assert nginx.get("/there/key").status == 404


# what is refused

BAD = {
    b"": "byte",
    b"{": "byte 1",
    b"[]": "message",
    b'{"Records": 1}': "Records",
    b"\xff\xfe": "UTF-8",
}


@pytest.mark.parametrize("body", BAD)
def test_bad_messages(sprox, body):
    nginx = sprox()
    status, answer = nginx.sender.post(body)
    assert status == 400
    assert answer["message"].startswith("the message is refused: ")
    assert "\n" not in answer["message"]
    assert nginx.metrics().sum("sprox_events_total", sender="other",
                               result="bad") == 1
    nginx.wait_log(r"\[warn\] .* sprox: events: the message is refused: ")


@pytest.mark.parametrize("spoil, where", [
    (lambda record: record["s3"]["object"].pop("key"), "key"),
    (lambda record: record["s3"].pop("bucket"), "bucket"),
    (lambda record: record["s3"]["object"].update(size=-1), "size"),
    (lambda record: record["s3"]["object"].update(key="a%00b"), "key"),
    (lambda record: record["s3"]["object"].update(key="k" * 1025), "key"),
    (lambda record: record.pop("eventName"), "eventName"),
])
def test_one_bad_record_refuses_them_all(sprox, origin, spoil, where):
    put(origin, b"old")
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    bad = created("bucket", "key", new)
    spoil(bad)
    status, answer = nginx.sender.post(
        records(created("bucket", "key", new), bad))
    assert status == 400
    assert "Records[1]" in answer["message"], answer
    assert where in answer["message"], answer
    before = len(origin.requests())
    assert nginx.get("/bucket/key").body == b"old"      # nothing was applied
    assert len(origin.requests()) == before


def chunked(nginx, body: bytes) -> wire.Response:
    with nginx.client() as client:
        client.sock.sendall(
            b"POST /_sprox/events HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
            + body + b"\r\n0\r\n\r\n")
        return client.read("POST")


def test_too_large(sprox):
    nginx = sprox(LOCATION.replace(
        "sprox_admin;", "sprox_admin; client_max_body_size 0;"))
    limit = 1 << 20
    status, answer = nginx.sender.post(b" " * (limit + 1))
    assert (status, answer["message"]) == (413, "the message is too large")
    assert nginx.sender.post(b" " * limit)[0] == 400

    # of a length that nobody knew before
    client = nginx.client()
    assert chunked(nginx, b" " * (limit + 1)).status == 413


def test_a_message_that_does_not_fit_into_memory(sprox, origin):
    """nginx puts it into a file meanwhile."""
    nginx = sprox()
    new = put(origin, b"new!")
    told = [created("bucket", "key", new) for _ in range(900)]
    message = json.dumps(records(*told)).encode()
    assert len(message) > 500_000
    status, answer = nginx.sender.post(message)
    assert status == 200, answer
    assert answer["applied"] + answer["known"] == 900
    assert chunked(nginx, message).status == 200


def test_messages_without_events(sprox, origin):
    nginx = sprox()
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent",
            "Time": events.iso(), "Bucket": "bucket",
            "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5c"}
    none = {"applied": 0, "known": 0, "checked": 0, "ignored": 0}
    assert nginx.sender.post(test) == (200, none)
    assert nginx.sender.post(records()) == (200, none)
    tagged = events.aws("ObjectTagging:Put", "bucket", "key")
    assert nginx.sender.tell(tagged) == {"ignored": 1}
    assert origin.requests() == []


# who may

TOKEN = "0123456789abcdef"
GUARDED = """location /_sprox/ {
    sprox_admin token_file=@dir@/token;
    access_log @dir@/admin.log "combined";
}"""


@pytest.fixture
def guarded(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, start=False,
                  server_more=GUARDED)
    (nginx.dir / "token").write_text(TOKEN + "\n")
    os.chmod(nginx.dir / "token", 0o600)
    return nginx.start()


def test_the_token(guarded, origin):
    told = records(created("bucket", "key", put(origin, b"b")))
    for query, headers, want in (
            ("", {}, 401),
            ("", {"Authorization": f"Bearer {TOKEN}x"}, 401),
            ("", {"Authorization": TOKEN}, 401),
            ("?token=", {}, 401),
            ("?token=x" + TOKEN, {}, 401),
            ("?token=" + TOKEN, {"Authorization": "Bearer x"}, 401),
            ("", {"x-amz-sns-message-type": "Notification"}, 401),
            ("", {"Authorization": f"Bearer {TOKEN}"}, 200),
            ("?token=" + TOKEN, {}, 200),
            ("?origin=store&token=" + TOKEN.replace("0", "%30"), {}, 200)):
        assert Sender(guarded).post(told, query, headers)[0] == want, query
    # and what is no token any more still names it
    for query in "token=%s%%zz", "token=%s%%", "token=x&token=%s", \
            "token=&TOKEN=%s":
        assert Sender(guarded).post(told, "?" + query % TOKEN)[0] == 401
        assert guarded.get("/elsewhere?" + query % TOKEN).status
        assert guarded.get("/_sprox/?" + query % TOKEN).status == 401
    assert TOKEN not in guarded.log() + "".join(guarded.access_log()) \
        + (guarded.dir / "admin.log").read_text()
    # the rest of the location takes it from the header alone
    assert guarded.get("/_sprox/jobs?token=" + TOKEN).status == 401
    log = (guarded.dir / "admin.log").read_text()
    assert log.count("POST /_sprox/events HTTP") >= 6
    assert TOKEN not in re.sub(r"GET .*", "", log)


def test_methods(sprox):
    nginx = sprox()
    for method in ("GET", "PUT", "DELETE"):
        status, answer = nginx.sender.ask(method, "events")
        assert (status, "Allow" in answer["message"]) == (405, True)
    assert nginx.sender.ask("POST", "events/more")[0] == 404
    page = nginx.request("POST", "/_sprox/events", {"Origin": "http://x"},
                         b"{}")
    assert page.status == 403
