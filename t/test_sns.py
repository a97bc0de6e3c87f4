"""
What SNS posts: taken when its signature is good and its topic is listened
to, without a token; its certificate is asked for at SNS and nowhere else.
"""

import json
import os
import threading
import time

import pytest

from harness import events, sns
from harness.clock import Clock
from harness.events import Sender, created, records, removed
from harness.sprox import serve, wait_idle

TOKEN = "0123456789abcdef"
GUARDED = "location /_sprox/ { sprox_admin token_file=@dir@/token; }"
LONG_AGO = int(time.time()) - 1000


@pytest.fixture
def topic(pki, dns):
    made = sns.Sns(pki, dns)
    yield made
    made.stop()


@pytest.fixture
def sprox(make_nginx, origin, topic):
    def make(http_more="", more="", **words):
        origin.put("bucket", "key", b"old", modified=LONG_AGO)
        nginx = serve(make_nginx, origin.endpoint, server_more=GUARDED,
                      http_more=topic.directive() + http_more, start=False,
                      more=f"sprox_valid_missing 1h; {more}", **words)
        (nginx.dir / "token").write_text(TOKEN)
        os.chmod(nginx.dir / "token", 0o600)
        nginx.start()
        nginx.sender = Sender(nginx, headers={
            **sns.HEADERS,
            "Content-Type": "text/plain; charset=UTF-8"})
        assert nginx.get("/bucket/key").body == b"old"
        return nginx

    return make


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("subject", [None, "Amazon S3 Notification"])
def test_a_signed_message(sprox, origin, topic, version, subject):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    message = topic.notification(records(created("bucket", "key", new)),
                                 version=version, subject=subject)
    status, answer = nginx.sender.post(message)
    assert (status, answer.get("applied")) == (200, 1), answer
    assert nginx.get("/bucket/key").body == b"new!"
    asked, = topic.journal.requests()
    assert (asked.method, asked.path, asked.query) == (
        "GET", "/SimpleNotificationService-0123.pem", "")
    assert asked.headers["host"] == sns.HOST
    assert "authorization" not in asked.headers

    # once for all that it has signed
    gone = topic.notification(records(removed("bucket", "key")),
                              version=version)
    assert nginx.sender.post(gone)[1]["applied"] == 1
    assert nginx.get("/bucket/key").status == 404
    assert topic.journal.count() == 1


def test_one_request_for_all_who_wait(sprox, origin, topic):
    nginx = sprox()
    gate = topic.server.hold(path="/SimpleNotificationService-0123.pem",
                             status=200,
                             body=topic.signer.cert.read_bytes())
    sent = [topic.notification(records(created(
        "bucket", f"k{i}", origin.put("bucket", f"k{i}", b"b"))))
        for i in range(8)]
    bad = dict(sent[0], MessageId="other")
    answers = []
    threads = [threading.Thread(target=lambda m=m: answers.append(
        nginx.sender.post(m)[0])) for m in (*sent, bad)]
    for thread in threads:
        thread.start()
    gate.wait()
    gate.open()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 8 + [403]
    assert topic.journal.count() == 1


@pytest.mark.parametrize("name", [
    "Message", "MessageId", "Subject", "Timestamp", "Type"])
def test_what_was_changed_is_refused(sprox, origin, topic, name):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    message = topic.notification(records(created("bucket", "key", new)))
    message[name] = {
        "Message": json.dumps(records(removed("bucket", "key"))),
        "Timestamp": events.iso(0), "Type": "UnsubscribeConfirmation",
    }.get(name, "other")
    if name == "Type":
        message |= {"Token": "t", "SubscribeURL": f"https://{sns.HOST}/"
                    f"?Action=ConfirmSubscription&TopicArn={sns.TOPIC}"
                    "&Token=t"}
    status, answer = nginx.sender.post(message)
    assert status == 403, answer
    assert answer["message"].startswith("the message of SNS is refused: ")
    assert nginx.get("/bucket/key").body == b"old"
    assert nginx.metrics().sum("sprox_events_total", result="bad") == 1


def test_a_signature_of_somebody_else(sprox, origin, topic, pki):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    own = topic.signer
    topic.signer = pki.signer("sns-stranger")
    message = topic.notification(records(created("bucket", "key", new)))
    topic.signer = own
    assert nginx.sender.post(message)[0] == 403
    assert nginx.get("/bucket/key").body == b"old"


def test_another_topic(sprox, origin, topic):
    """Anybody may have a topic, whose messages SNS signs just as well."""
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    for arn in (sns.TOPIC + "x", sns.TOPIC[:-1], sns.TOPIC.upper()):
        for message in (
                topic.notification(records(created("bucket", "key", new)),
                                   TopicArn=arn),
                topic.confirmation(TopicArn=arn)):
            status, answer = nginx.sender.post(message)
            assert status == 403
            assert "listens to this topic" in answer["message"]
    assert nginx.get("/bucket/key").body == b"old"
    assert topic.journal.count() == 0


@pytest.mark.parametrize("url", [
    f"http://{sns.HOST}/x.pem", f"https://{sns.HOST}.evil.test/x.pem",
    f"https://evil.test/{sns.HOST}/x.pem", f"https://x@{sns.HOST}/x.pem",
    f"https://{sns.HOST}:8443/x.pem", f"https://{sns.HOST}/x",
    f"https://{sns.HOST}/x.pem?a=b", "https://127.0.0.1/x.pem",
    "https://s3.eu-west-1.amazonaws.com/evil/x.pem", "file:///etc/x.pem",
    "https://sns.us-east-1.amazonaws.com/x.pem",
    "https://sns.made-up-1.amazonaws.com/x.pem"])
def test_nobody_else_is_asked_for_a_certificate(sprox, origin, topic, dns,
                                                url):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    message = topic.notification(records(created("bucket", "key", new)),
                                 SigningCertURL=url)
    assert nginx.sender.post(message)[0] in (400, 403)
    assert nginx.get("/bucket/key").body == b"old"
    assert topic.journal.count() == 0 and dns.questions == []


def test_the_subscription(sprox, topic):
    nginx = sprox()
    message = topic.confirmation()
    status, answer = nginx.sender.post(message)
    assert status == 200, answer
    certificate, confirmed = topic.journal.requests()
    assert (confirmed.method, confirmed.path) == ("GET", "/")
    assert confirmed.query == message["SubscribeURL"].partition("?")[2]
    assert confirmed.headers["host"] == sns.HOST
    nginx.wait_log(rf'\[notice\] .* sprox: subscribed to "{sns.TOPIC}"')
    assert message["Token"] not in nginx.log()
    assert nginx.metrics().sum("sprox_origin_requests_total", status=200,
                               operation="ConfirmSubscription") == 1

    # and its end
    ended = topic.confirmation("UnsubscribeConfirmation")
    assert nginx.sender.post(ended)[0] == 200
    nginx.wait_log("sprox: no more subscribed to")
    assert topic.journal.count() == 2


@pytest.mark.parametrize("change", [
    {"SubscribeURL": f"https://{sns.HOST}/?Action=DeleteTopic&Token=t"
                     f"&TopicArn={sns.TOPIC}"},
    {"SubscribeURL": "https://evil.test/?Action=ConfirmSubscription&Token=t"
                     f"&TopicArn={sns.TOPIC}"},
    {"SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Token=t&Action="
                     f"ConfirmSubscription&TopicArn={sns.TOPIC}"},
    {"SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action="
                     f"ConfirmSubscription&Token=t&TopicArn={sns.TOPIC}"},
])
def test_nothing_else_is_confirmed(sprox, topic, change):
    nginx = sprox()
    assert nginx.sender.post(topic.confirmation(**change))[0] in (400, 403)
    assert topic.journal.count(path="/") == 0


def test_only_what_is_signed_is_confirmed(sprox, topic):
    nginx = sprox()
    message = topic.confirmation()
    message["Token"] += "0"
    assert nginx.sender.post(message)[0] == 403
    assert topic.journal.count(path="/") == 0


def test_a_confirmation_that_fails(sprox, topic):
    nginx = sprox()
    rule = topic.server.script(path="/", status=400)
    nginx.allow_log("answered 400")
    status, answer = nginx.sender.post(topic.confirmation())
    assert status == 503
    assert "could not be confirmed" in answer["message"]
    assert rule
    topic.serve()
    message = topic.confirmation()
    assert nginx.sender.post(message)[0] == 200
    assert message["Token"] not in nginx.log()


PATH = "/SimpleNotificationService-0123.pem"


@pytest.mark.parametrize("how", ["error", "redirect"])
def test_a_certificate_that_cannot_be_had(sprox, origin, topic, how):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    topic.server.script(path=PATH, **{
        "error": {"status": 404},
        "redirect": {"status": 301, "headers": {
            "Location": f"https://s3.eu-west-1.amazonaws.com{PATH}"}},
    }[how])
    message = topic.notification(records(created("bucket", "key", new)))
    assert nginx.sender.post(message)[0] == 503
    assert nginx.get("/bucket/key").body == b"old"
    assert topic.journal.count() == 1
    topic.serve()
    assert nginx.sender.post(message)[0] == 200
    assert nginx.get("/bucket/key").body == b"new!"


@pytest.mark.parametrize("how", ["large", "other", "cut", "weak"])
def test_a_certificate_that_is_none(sprox, origin, topic, how, pki):
    """It is asked for again, but not by each message that comes."""
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    pem = topic.signer.cert.read_bytes()
    topic.server.script(path=PATH, status=200, body={
        "large": b"x" * 70000 + pem,
        "other": b"<html>",
        "cut": pem[:len(pem) // 2],
        "weak": pki.good.cert.read_bytes(),     # of an elliptic curve
    }[how])
    message = topic.notification(records(created("bucket", "key", new)))
    status, answer = nginx.sender.post(message)
    assert status == 503
    assert "cannot be checked: the certificate" in answer["message"]
    asked, = topic.journal.requests()
    topic.serve()
    assert nginx.sender.post(message)[0] == 503     # it is not yet time
    assert topic.journal.count() == 1
    nginx.wait(lambda: nginx.sender.post(message)[0] == 200, 10,
               "to have asked again")
    assert nginx.get("/bucket/key").body == b"new!"
    _, again = topic.journal.requests()
    assert again.started - asked.started > 0.95

    # and kept, as any that is good
    gone = topic.notification(records(removed("bucket", "key")))
    assert nginx.sender.post(gone)[0] == 200
    assert topic.journal.count() == 2


def post_all(nginx, messages) -> tuple:
    """Their answers so far, and who waits for the rest."""
    answers = []
    threads = [threading.Thread(target=lambda m=m: answers.append(
        nginx.sender.post(m)[0])) for m in messages]
    for thread in threads:
        thread.start()
    return answers, threads


@pytest.mark.parametrize("known", [False, True])
def test_names_that_are_made_up(sprox, origin, topic, pki, known):
    """They get no more than some of the places, for topic by topic."""
    other = sns.TOPIC + "-other"
    nginx = sprox(http_more=f"sprox_events {other} origin=store "
                            f"trusted_certificate={pki.ca};")
    told = records(created("bucket", "key",
                           origin.put("bucket", "key", b"new!")))
    if known:
        assert nginx.sender.post(topic.notification(told))[0] == 200
    before = topic.journal.count()
    made_up = [topic.notification(
        told, SigningCertURL=f"https://{sns.HOST}/made-up-{i}.pem")
        for i in range(12)]
    topic.server.clear_script()
    for i in range(12):
        topic.server.hold(path=f"/made-up-{i}.pem", status=404)
    topic.server.script(path=PATH, status=200,
                        body=topic.signer.cert.read_bytes())
    answers, threads = post_all(nginx, made_up)
    nginx.wait(lambda: len(answers) == 8, 10, "to refuse the rest")
    assert answers == [503] * 8
    topic.journal.wait(before + 4)
    assert topic.journal.count() == before + 4

    # another topic has a place, and what is known stays so
    assert nginx.sender.post(topic.notification(
        told, TopicArn=other))[0] == 200
    assert nginx.sender.post(topic.notification(told))[0] == 200
    topic.serve()
    for thread in threads:
        thread.join()
    assert answers == [503] * 12
    assert topic.journal.count() == 5


def test_a_certificate_is_asked_for_each_hour(sprox, origin, topic, shim,
                                              tmp_path):
    """And keeps its place meanwhile, also when that fails."""
    uptime = Clock(tmp_path / "uptime")
    nginx = sprox(main="env WRONG_UPTIME;", env={
        "LD_PRELOAD": str(shim), "WRONG_UPTIME": str(uptime.path)})
    told = records(created("bucket", "key",
                           origin.put("bucket", "key", b"new!")))
    message = topic.notification(told)
    assert nginx.sender.post(message)[0] == 200
    uptime.set(3500 * 1000)
    assert nginx.sender.post(message)[0] == 200
    assert topic.journal.count() == 1
    uptime.set(3700 * 1000)
    topic.server.clear_script()
    topic.server.script(path=PATH, status=404)
    assert nginx.sender.post(message)[0] == 503
    assert nginx.sender.post(message)[0] == 503
    assert topic.journal.count() == 3

    topic.server.clear_script()
    for i in range(8):
        topic.server.hold(path=f"/made-up-{i}.pem", status=404)
    topic.server.script(path=PATH, status=200,
                        body=topic.signer.cert.read_bytes())
    answers, threads = post_all(nginx, [topic.notification(
        told, SigningCertURL=f"https://{sns.HOST}/made-up-{i}.pem")
        for i in range(8)])
    nginx.wait(lambda: len(answers) == 4, 10, "to refuse the rest")
    assert nginx.sender.post(message)[0] == 200
    assert nginx.sender.post(message)[0] == 200
    assert topic.journal.count(path=PATH) == 4
    topic.serve()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("arn", [None, sns.TOPIC + "x", ""])
def test_a_topic_of_others_is_refused_unread(sprox, topic, arn):
    nginx = sprox()
    headers = {"x-amz-sns-message-type": "Notification"}
    if arn is not None:
        headers["x-amz-sns-topic-arn"] = arn
    status, answer = Sender(nginx, headers=headers).post(b"no JSON")
    assert status == 403
    assert "listens to the topic in its header" in answer["message"]
    assert nginx.metrics().sum("sprox_events_total", result="bad") == 1


def test_what_nobody_vouches_for_is_small(sprox):
    nginx = sprox()
    limit = 300 * 1024
    status, answer = nginx.sender.post(b" " * (limit + 1))
    assert (status, answer["message"]) == (413, "the message is too large")
    assert nginx.sender.post(b" " * limit)[0] == 400
    known = Sender(nginx, headers={"Authorization": f"Bearer {TOKEN}"})
    assert known.post(b" " * (limit + 1))[0] == 400


def test_what_nobody_vouches_for_is_read_one_by_one(
        sprox, read_shim, tmp_path):
    """The only thread is busy: a long message waits for it, not a second."""
    flag = tmp_path / "flag"
    nginx = sprox(
        more="aio threads;", main="thread_pool default threads=1;"
        "env HELD_READ; env HELD_READ_DIR;",
        env={"LD_PRELOAD": str(read_shim), "HELD_READ": str(flag),
             "HELD_READ_DIR": str(tmp_path / "nginx0/cache")})
    wait_idle(nginx)
    nginx.reload(wait_old=True)             # no descriptor is open
    long = b"[" + b" " * 100000 + b"]"
    flag.touch()
    with nginx.client() as held:
        held.send("GET", "/bucket/key")
        nginx.wait(flag.with_suffix(".held").exists, 5, "to read")
        answers, threads = post_all(nginx, [long] * 4)
        nginx.wait(lambda: len(answers) == 3, 10, "to refuse the rest")
        assert answers == [503] * 3
        assert nginx.sender.post(b"[]")[0] == 400
        flag.unlink()
        assert held.read().body == b"old"
        for thread in threads:
            thread.join()
        assert answers == [503] * 3 + [400]
    assert nginx.sender.post(long)[0] == 400


def test_what_nobody_vouches_for_has_few_values(sprox, origin, topic):
    nginx = sprox()
    many = [0] * 100
    status, answer = nginx.sender.post({"a": many})
    assert status == 400 and "too many values" in answer["message"]
    known = Sender(nginx, headers={"Authorization": f"Bearer {TOKEN}"})
    status, answer = known.post({"a": many})
    assert status == 400 and "none of the kinds" in answer["message"]

    # as many records as SNS has room for
    new = origin.put("bucket", "key", b"new!")
    told = records(*(created("bucket", "key", new) for _ in range(300)))
    assert nginx.sender.post(topic.notification(told))[0] == 200


def test_a_server_that_is_not_trusted(sprox, origin, topic, pki):
    """Its name alone is nothing: it must have the certificate for it."""
    nginx = sprox()
    topic.server.context.load_cert_chain(pki.stranger.cert, pki.stranger.key)
    new = origin.put("bucket", "key", b"new!")
    message = topic.notification(records(created("bucket", "key", new)))
    assert nginx.sender.post(message)[0] == 503
    nginx.wait_log("the certificate of sns.eu-west-1.amazonaws.com is not "
                   "trusted")
    assert nginx.get("/bucket/key").body == b"old"


def test_the_token_and_sns(sprox, origin, topic):
    nginx = sprox()
    new = origin.put("bucket", "key", b"new!")
    told = records(created("bucket", "key", new))
    plain = Sender(nginx)
    assert plain.post(told)[0] == 401
    assert plain.post(topic.notification(told))[0] == 401
    status, answer = nginx.sender.post(told)
    assert status == 403 and "only what SNS has signed" in answer["message"]
    # with the token as well, a signature must be good
    known = Sender(nginx, headers={"Authorization": f"Bearer {TOKEN}"})
    forged = topic.notification(told, MessageId="a")
    forged["MessageId"] = "b"
    assert known.post(forged)[0] == 403
    assert nginx.get("/bucket/key").body == b"old"
    assert known.post(told)[0] == 200
    assert nginx.get("/bucket/key").body == b"new!"


def test_other_messages_in_it(sprox, origin, topic):
    nginx = sprox()
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent",
            "Time": events.iso(), "Bucket": "bucket"}
    none = {"applied": 0, "known": 0, "checked": 0, "ignored": 0}
    assert nginx.sender.post(topic.notification(test)) == (200, none)
    status, answer = nginx.sender.post(topic.notification({"a": 1}))
    assert status == 400 and "Message" in answer["message"]
    new = origin.put("bucket", "key", b"new!")
    assert nginx.sender.post(topic.notification(events.bridge(
        "Object Created", "bucket", "key", new)))[1]["applied"] == 1
    assert nginx.get("/bucket/key").body == b"new!"
