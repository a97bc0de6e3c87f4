"""
sprox_events sqs://...: a queue is polled by one worker, what it told is
applied and deleted, and what could not be applied comes again.
"""

import json
import re
import time

import pytest

from harness import events, sqs
from harness.events import created, records
from harness.sprox import serve

ACCESS, SECRET = "AKIDQUEUE", "queue/secret+key"
LONG_AGO = int(time.time()) - 1000


@pytest.fixture
def make_queue():
    made = []

    def make(**options) -> sqs.Queue:
        made.append(sqs.Queue(ACCESS, SECRET, **options))
        return made[-1]

    yield make

    for queue in made:
        queue.stop()


@pytest.fixture
def queue(make_queue) -> sqs.Queue:
    return make_queue()


@pytest.fixture
def sprox(make_nginx, origin, queue):
    def make(more: str = "tls=off", queue=queue,
             credentials: str = f'static {ACCESS} "{SECRET}"', **words):
        return serve(make_nginx, origin.endpoint, credentials=credentials,
                     more="sprox_valid_missing 1h;", http_more=
                     f"sprox_events {queue.url} origin=store "
                     f"region=eu-west-1 {more};", **words)

    return make


def messages(nginx, result: str) -> int:
    return nginx.metrics().sum("sprox_queue_messages_total", result=result)


def test_applied_and_deleted(sprox, origin, queue):
    origin.put("bucket", "key", b"old", modified=LONG_AGO)
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    before = len(origin.requests())
    sent = time.monotonic()
    queue.send(records(created("bucket", "key", new)))
    queue.wait_empty()
    assert time.monotonic() - sent < 15         # it waits at the queue
    assert nginx.get("/bucket/key").body == b"new!"
    fill, = origin.requests()[before:]
    assert fill.method == "GET"
    nginx.wait(lambda: messages(nginx, "deleted") == 1, 5, "to count")
    assert messages(nginx, "received") == 1
    assert messages(nginx, "left") == 0

    # nobody promises that the first poll is the one that is answered
    ask = [e for e in queue.journal.requests(operation="ReceiveMessage")
           if e.ended and e.status][0]
    assert (ask.method, ask.path) == ("GET", sqs.PATH)
    assert ask.query == ("Action=ReceiveMessage&MaxNumberOfMessages=10&"
                         "Version=2012-11-05&WaitTimeSeconds=20")
    delete, = queue.journal.requests(operation="DeleteMessage")
    assert "ReceiptHandle=AQEB%2B%2F" in delete.query
    assert ask.status == delete.status == 200
    assert nginx.metrics().sum("sprox_origin_requests_total",
                               origin=queue.url, status=200,
                               operation="DeleteMessage") == 1


def test_more_than_one_answer_holds(sprox, origin, queue):
    objects = {f"k{i}": origin.put("bucket", f"k{i}", b"b" * i)
               for i in range(35)}
    queue.send(*(records(created("bucket", key, obj))
                 for key, obj in objects.items()))
    nginx = sprox()
    queue.wait_empty()
    assert nginx.metrics().sum("sprox_catalog_objects") == 35
    assert origin.requests() == []
    # no more than ten at a time, and none that waits in between
    assert 4 <= queue.count(operation="ReceiveMessage") <= 6
    assert queue.count(operation="DeleteMessage") == 35


def test_wrapped_by_others(sprox, origin, queue):
    obj = origin.put("bucket", "a", b"1")
    nginx = sprox()
    sns = {"Type": "Notification", "MessageId": "m", "TopicArn":
           "arn:aws:sns:eu-west-1:123456789012:other", "Subject": "s",
           "Message": json.dumps(records(created("bucket", "a", obj))),
           "Timestamp": events.iso(), "SignatureVersion": "1",
           "Signature": "EXAMPLE=", "SigningCertURL":
           "https://sns.eu-west-1.amazonaws.com/x.pem", "UnsubscribeURL":
           "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"}
    queue.send(sns, events.bridge("Object Created", "bucket", "b",
                                  origin.put("bucket", "b", b"2")))
    queue.wait_empty()
    nginx.wait(lambda: nginx.metrics().sum("sprox_catalog_objects") == 2, 5,
               "to know both")


def test_what_holds_nothing_is_deleted(sprox, origin, queue):
    nginx = sprox(aliases="sprox_alias bucket { target store://bucket/; }")
    queue.send({"Service": "Amazon S3", "Event": "s3:TestEvent",
                "Time": events.iso(), "Bucket": "bucket"},
               records(), records(events.aws("ObjectTagging:Put", "bucket",
                                             "key")),
               records(events.removed("no-alias", "key")))
    queue.wait_empty()
    nginx.wait(lambda: messages(nginx, "deleted") == 4, 5, "to count")
    assert nginx.metrics().sum("sprox_events_total", result="ignored") == 2


def test_what_cannot_be_read_stays(sprox, origin, queue):
    obj = origin.put("bucket", "key", b"body")
    nginx = sprox()
    bad, good = queue.send("{", records(created("bucket", "key", obj)))
    nginx.wait(lambda: messages(nginx, "deleted") == 1, 10, "to delete one")
    assert queue.messages == [bad] and good.received == 1
    nginx.wait_log(rf'\[warn\] .* sprox: events: message "{bad.id}" of '
                   rf'"{re.escape(queue.url)}" stays where it is: byte 1')
    assert messages(nginx, "left") == 1
    assert nginx.metrics().sum("sprox_events_total", sender="other",
                               result="bad") == 1
    # no reason to leave the rest alone
    queue.send(records(events.removed("bucket", "key")))
    nginx.wait(lambda: nginx.get("/bucket/key").status == 404, 10,
               "to go on")
    assert "cannot be polled" not in nginx.log()


def test_what_could_not_be_asked_for_comes_again(sprox, origin, queue):
    origin.put("bucket", "key", b"old", modified=LONG_AGO)
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    origin.script(method="HEAD", status=503)
    message, = queue.send(events.minio("s3:ObjectCreated:Put", "bucket",
                                       "key", new))
    nginx.wait(lambda: messages(nginx, "left") == 1, 10, "to fail")
    nginx.wait_log("cannot be polled: the store could not be asked for an "
                   "object; it is tried again")
    assert queue.messages == [message]
    assert queue.count(operation="DeleteMessage") == 0
    origin.clear_script()
    assert nginx.get("/bucket/key").body == b"new!"     # in doubt meanwhile
    queue.show()
    queue.wait_empty()
    nginx.wait_log(rf'\[notice\] .* sprox: "{re.escape(queue.url)}" is '
                   "polled again")
    assert nginx.log().count("cannot be polled") == 1


def test_a_deletion_that_fails(sprox, origin, queue):
    obj = origin.put("bucket", "key", b"body", modified=LONG_AGO)
    queue.failing = (403, "AccessDenied", "DeleteMessage")
    nginx = sprox()
    message, = queue.send(records(created("bucket", "key", obj)))
    nginx.wait_log("cannot be polled: the origin answered 403 AccessDenied")
    assert messages(nginx, "left") == 1

    # it comes again, and is known then
    queue.failing = None
    queue.show()
    queue.wait_empty()
    assert message.received == 2
    assert nginx.metrics().sum("sprox_events_total", result="known") == 1
    assert nginx.metrics().sum("sprox_events_total", result="applied") == 1
    assert origin.requests() == []


FAILURES = {            # and how often a round tries it
    "service": (503, "ServiceUnavailable", 4),
    "no-queue": (400, "AWS.SimpleQueueService.NonExistentQueue", 1),
}


@pytest.mark.parametrize("name", FAILURES)
def test_it_backs_off_and_says_so_once(sprox, origin, queue, name):
    status, code, tries = FAILURES[name]
    queue.failing = (status, code)
    nginx = sprox()
    asked = queue.journal.wait(2 * tries + 1, 20)
    assert asked[2 * tries].started - asked[0].started > 1  # 1 s, 2 s, halved
    queue.failing = None
    obj = origin.put("bucket", "key", b"body")
    queue.send(records(created("bucket", "key", obj)))
    queue.wait_empty(30)
    nginx.wait_log("is polled again")
    assert nginx.log().count("cannot be polled: the origin answered "
                             f"{status} {code}") == 1
    assert nginx.log().count("is polled again") == 1
    assert nginx.log().count("[error]") == 1


def test_wrong_keys(sprox, queue):
    nginx = sprox(credentials=f"static {ACCESS} wrong")
    nginx.wait_log("cannot be polled: the origin answered 403 "
                   "SignatureDoesNotMatch")
    assert SECRET not in nginx.log()


def test_an_answer_that_is_none(sprox, queue, origin):
    queue.answer = b"<html>welcome</html>"
    nginx = sprox()
    nginx.wait_log("cannot be polled: its answer cannot be read")
    queue.answer = None
    queue.send(records(created("bucket", "key",
                               origin.put("bucket", "key", b"b"))))
    queue.wait_empty()


def test_a_queue_that_does_not_wait_is_not_stormed(sprox, queue):
    queue.answer = sqs.envelope("ReceiveMessage", "", True)
    sprox()
    asked = queue.journal.wait(3, operation="ReceiveMessage")
    assert asked[2].started - asked[0].started > 1.5


def test_tls_and_a_session_token(sprox, origin, make_queue, pki):
    queue = make_queue(context=pki.good.server_context(), token="TOK==")
    nginx = sprox(f"trusted_certificate={pki.ca}", queue,
                  f'static {ACCESS} "{SECRET}" TOK==')
    queue.send(records(created("bucket", "key",
                               origin.put("bucket", "key", b"b"))))
    queue.wait_empty()
    assert "cannot be polled" not in nginx.log()


def test_a_host_that_is_not_trusted(sprox, make_queue, pki):
    queue = make_queue(context=pki.stranger.server_context())
    nginx = sprox(f"trusted_certificate={pki.ca}", queue)
    nginx.wait_log("cannot be polled: the certificate of 127.0.0.1 is not "
                   "trusted")
    assert queue.count() == 0


# one worker of several

def pollers(nginx) -> list:
    return [int(pid) for pid in re.findall(
        r"\[info\] (\d+)#\d+: sprox: this worker polls", nginx.log())]


def test_one_worker_polls(sprox, origin, queue):
    nginx = sprox(workers=4)
    queue.send(*(records(created("bucket", f"k{i}", origin.put(
        "bucket", f"k{i}", b"b"))) for i in range(20)))
    queue.wait_empty()
    assert len(pollers(nginx)) == 1
    waiting = [e for e in queue.journal.requests(operation="ReceiveMessage")
               if not e.ended]
    assert len(waiting) <= 1


def test_another_takes_over_from_one_that_died(sprox, origin, queue):
    nginx = sprox(workers=2)
    queue.journal.wait(1, operation="ReceiveMessage")
    first, = pollers(nginx)
    nginx.kill_worker(first)
    nginx.wait(lambda: len(pollers(nginx)) == 2, 10, "to take over")
    assert pollers(nginx)[1] != first
    obj = origin.put("bucket", "key", b"body")
    queue.send(records(created("bucket", "key", obj)))
    queue.wait_empty()
    assert nginx.head("/bucket/key")["etag"] == obj.etag


def test_a_reload_hands_it_over(sprox, origin, queue):
    nginx = sprox(workers=2)
    queue.journal.wait(1, operation="ReceiveMessage")
    old = set(nginx.worker_pids())
    began = time.monotonic()
    nginx.reload(wait_old=True)
    assert time.monotonic() - began < 15        # not for the 20 s of a poll
    nginx.wait(lambda: set(pollers(nginx)) - old, 10, "to take over")
    queue.send(records(created("bucket", "key",
                               origin.put("bucket", "key", b"b"))))
    queue.wait_empty()


def test_a_worker_that_dies_with_a_message(sprox, origin, queue):
    """It was not deleted, so it comes again."""
    origin.put("bucket", "key", b"old", modified=LONG_AGO)
    nginx = sprox()
    assert nginx.get("/bucket/key").body == b"old"
    new = origin.put("bucket", "key", b"new!")
    gate = origin.hold(method="HEAD", times=1)
    message, = queue.send(events.minio("s3:ObjectCreated:Put", "bucket",
                                       "key", new))
    gate.wait()
    nginx.kill_worker()
    gate.open()
    assert queue.messages == [message]
    assert nginx.get("/bucket/key").body == b"new!"
    queue.show()
    queue.wait_empty()
    assert message.received == 2


def test_nginx_ends_while_it_polls(sprox, queue):
    nginx = sprox(workers=2)
    queue.journal.wait(1, operation="ReceiveMessage")
    began = time.monotonic()
    nginx.stop()
    assert time.monotonic() - began < 15


def test_others_are_served_between_messages(sprox, origin, queue):
    """One message is read in a turn: a part of an answer's can be seen."""
    new = origin.put("bucket", "key", b"new!")
    nginx = sprox()
    pad = [0] * 60000                   # it takes some milliseconds
    seen = set()
    for answer in range(20):
        told = answer * 10
        queue.send(*({**records(created("bucket", f"{answer}/{i}", new)),
                      "pad": pad} for i in range(10)))

        def look() -> bool:
            n = nginx.metrics().sum("sprox_catalog_objects") - told
            seen.add(n)
            return n == 10

        nginx.wait(look, 10, "to apply them all")
        queue.wait_empty()
        if seen - {0, 10}:
            break
    assert seen - {0, 10}, "each answer was applied in one go"
