"""
What clients, senders and origins cannot do to the catalog: use up for good
what is never given back, or learn a secret.
"""

import itertools
import os
import re
import threading
import time

import pytest

from harness import sns
from harness.admin import LOCATION, Admin
from harness.events import Sender, created, records, removed
from harness.hostile import Hostile
from harness.sprox import error_code, serve

SMALL = "sprox_catalog zone=catalog:512k;"      # room for some 250 spaces
NAMES = 600
TOKEN = "sEcReTtOkEn0123456789abcdef"


# names of buckets that are none

def lists(nginx, n: int) -> None:
    assert nginx.get(f"/none-{n}?list-type=2").status == 404


def heads(nginx, n: int) -> None:
    assert nginx.head(f"/none-{n}").status == 404


def heads_objects(nginx, n: int) -> None:
    assert nginx.head(f"/none-{n}/key").status == 404


def reads(nginx, n: int) -> None:
    assert nginx.get(f"/none-{n}/key").status == 404


@pytest.mark.parametrize("ask", [lists, heads, heads_objects, reads])
def test_buckets_that_are_none_take_no_room_for_good(make_nginx, origin, ask):
    origin.put("bucket", "key", b"body")
    nginx = serve(
        make_nginx, origin.endpoint, http_more=SMALL,
        more="sprox_valid_missing 1h;", server_more=LOCATION,
        aliases="sprox_alias $bucket { target store://$bucket/;"
                " list catalog; }")
    admin = Admin(nginx)
    for n in range(NAMES):
        ask(nginx, n)
    assert admin.jobs() == []           # nothing was crawled

    # what is there is known all the same: read once, listed, crawled
    before = len(origin.requests())
    for _ in range(3):
        assert nginx.get("/bucket/key").body == b"body"
    assert len(origin.requests()) == before + 1
    assert nginx.get("/bucket?list-type=2").status == 200
    known = admin.wait_complete("$bucket", "bucket")
    assert (known["objects"], known["reason"]) == (1, None)


def test_what_is_missing_is_remembered_in_a_bucket_of_which_no_more_is_known(
        make_nginx, origin):
    origin.put("bucket", "key", b"body")
    nginx = serve(make_nginx, origin.endpoint, http_more=SMALL,
                  more="sprox_valid_missing 1h;")
    for _ in range(3):
        assert error_code(nginx.get("/bucket/missing")) == "NoSuchKey"
    assert len(origin.requests()) == 1


# the token

LOCATIONS = f"""
    location /_sprox/ {{ sprox_admin token_file=@dir@/token; }}
    location /denied/ {{ sprox_admin token_file=@dir@/token; deny all; }}
    location /small/ {{ sprox_admin token_file=@dir@/token;
                        client_max_body_size 1k; }}
"""


@pytest.mark.parametrize("path, body, status", [
    ("/small/events?token=", b"x" * 2048, 413),         # nginx's own line
    ("/denied/events?token=", b"{}", 403),
    ("/_sprox/events?origin=none&token=", b"{}", 400),
    ("/_sprox/events?token=", b"{", 400),
    ("/_sprox/events/?token=", b"{}", 401),     # no place for it, yet sent
    ("/_sprox/jobs?token=", b"", 401),
    ("/elsewhere?token=", b"", 404)])
def test_the_token_is_in_no_log(make_nginx, origin, path, body, status):
    nginx = serve(make_nginx, origin.endpoint, server_more=LOCATIONS,
                  aliases="sprox_alias lake { target store://bucket/; }",
                  http_more="access_log @dir@/all.log;", start=False)
    (nginx.dir / "token").write_text(TOKEN)
    os.chmod(nginx.dir / "token", 0o600)
    nginx.start()
    method = "GET" if path.startswith("/else") else "POST"
    assert nginx.request(method, path + TOKEN, {}, body).status == status
    nginx.wait(lambda: path.partition("?")[0] in
               (nginx.dir / "all.log").read_text(), 5, "to log it")
    for log in nginx.dir.glob("*.log"):
        assert TOKEN not in log.read_text(), log
    other = nginx.get("/elsewhere?token=other")     # of somebody else's
    assert other.status == 404
    nginx.wait(lambda: "?token=other" in (nginx.dir / "all.log").read_text(),
               5, "to log a query that is none of ours")


# origins that never come to an end

EMPTY = (b"<ListBucketResult><IsTruncated>true</IsTruncated>"
         b"<NextContinuationToken>%d</NextContinuationToken>"
         b"</ListBucketResult>")
SAME = EMPTY.replace(b"<IsTruncated>", b"""<Contents><Key>key</Key>
    <LastModified>2026-01-01T00:00:00.000Z</LastModified>
    <ETag>"0123456789abcdef0123456789abcdef"</ETag><Size>1</Size></Contents>
    <IsTruncated>""")


@pytest.mark.parametrize("page", [EMPTY, SAME])
def test_a_listing_that_never_ends(make_nginx, page):
    def answer(entry, send):
        body = page % next(numbers)
        send(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
             b"Content-Length: %d\r\n\r\n" % len(body) + body)

    numbers = itertools.count()
    hostile = Hostile(answer)
    nginx = serve(make_nginx, hostile.endpoint, server_more=LOCATION,
                  aliases="sprox_alias lake { target store://bucket/;"
                          " list catalog; }")
    admin = Admin(nginx)
    job = admin.wait(1, "failed", timeout=60)
    assert job["error"] == \
        "the origin sent 10000 pages in a row without a new key"
    asked = hostile.count()
    assert 10000 <= asked <= 10100      # and none meanwhile
    assert not admin.alias("lake")["complete"]
    hostile.stop()


# events

def test_a_late_event_does_not_bring_back_what_the_store_has_not(
        make_nginx, origin):
    long_ago = int(time.time()) - 1000
    one = origin.put("bucket", "key", b"one", modified=long_ago)
    first = created("bucket", "key", one, when=long_ago)
    two = created("bucket", "key", origin.put("bucket", "key", b"two"),
                  when=long_ago + 10)
    one = origin.put("bucket", "key", b"one", modified=long_ago + 20)
    nginx = serve(make_nginx, origin.endpoint, server_more=LOCATION)
    sender = Sender(nginx)
    assert sender.tell(first) == {"checked": 1}         # it is too old
    assert nginx.get("/bucket/key").body == b"one"
    before = origin.count(method="HEAD")
    assert sender.tell(two) == {"checked": 1}
    assert origin.count(method="HEAD") == before + 1
    answer = nginx.get("/bucket/key")
    assert (answer.body, answer["etag"]) == (b"one", one.etag)


def test_certificates_that_somebody_made_up_drive_out_none(
        make_nginx, origin, pki, dns):
    topic = sns.Sns(pki, dns)
    obj = origin.put("bucket", "key", b"body")
    nginx = serve(make_nginx, origin.endpoint, http_more=topic.directive(),
                  server_more="location /_sprox/ { sprox_admin"
                  " token_file=@dir@/token; }", start=False)
    (nginx.dir / "token").write_text(TOKEN)
    os.chmod(nginx.dir / "token", 0o600)
    nginx.start()
    sender = Sender(nginx, headers=sns.HEADERS)
    good = topic.notification(records(created("bucket", "key", obj)))
    assert sender.post(good)[0] == 200

    gate = topic.server.hold(path=re.compile("/made-up-"), status=404)
    forged = [{**good, "SigningCertURL": f"https://{sns.HOST}/made-up-{n}.pem"}
              for n in range(12)]
    senders = [threading.Thread(target=sender.post, args=(message,))
               for message in forged]
    for thread in senders:
        thread.start()
    gate.wait(4)
    nginx.wait(lambda: nginx.metrics().sum("sprox_events_total",
                                           result="bad") == 8, 10,
               "to refuse those beyond")
    before = topic.journal.count()
    for n in range(3):
        gone = topic.notification(records(removed("bucket", f"k{n}")))
        assert sender.post(gone)[0] == 200
    assert topic.journal.count() == before
    gate.open()
    for thread in senders:
        thread.join()
    topic.stop()
