"""Many clients that list the same at once: whose fetch serves whom."""

import pytest

from harness.listing import parse
from test_list import lists, put, sprox                      # noqa: F401

KEYS = [f"k{i:04}" for i in range(1500)]
NUMBER = 24


def crowd(nginx, target: str) -> list:
    clients = [nginx.client() for _ in range(NUMBER)]
    for client in clients:
        client.send("GET", target)
    nginx.wait_taken(NUMBER)
    return clients


def keys_of(response) -> list:
    assert response.status == 200, response
    return parse(response.body).keys


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("source, most", [("cached 5m", 1), ("origin", 4)])
def test_a_page_is_fetched_for_all(sprox, origin, workers, source, most):
    """
    `origin`: one fetch for those who came before it was sent, one for those
    who came while it was under way; and for who was let in late, another.
    """
    put(origin, "bucket", KEYS)
    nginx = sprox(list=source, workers=workers)
    gate = origin.hold(operation="ListObjectsV2", times=1)
    clients = crowd(nginx, "/bucket?list-type=2")
    gate.wait()
    gate.open()
    answers = [client.read() for client in clients]
    assert [keys_of(answer) for answer in answers] == [KEYS[:1000]] * NUMBER
    assert lists(origin) <= most


@pytest.mark.parametrize("workers", [1, 2])
def test_origin_lists_what_was_there_when_the_client_came(sprox, origin,
                                                          workers):
    """What was put before a listing was asked for is in it."""
    put(origin, "bucket", KEYS[:10])
    nginx = sprox(list="origin", workers=workers)
    gate = origin.hold(operation="ListObjectsV2", times=1)
    early = nginx.client()
    early.send("GET", "/bucket?list-type=2")
    gate.wait()
    put(origin, "bucket", ["new"])
    late = crowd(nginx, "/bucket?list-type=2")
    gate.open()
    assert early.read().status == 200
    for client in late:
        assert "new" in keys_of(client.read())


@pytest.mark.parametrize("fault", [{"status": 503, "code": "SlowDown"},
                                   {"raw": b"garbage\r\n\r\n"},
                                   {"truncate": 100}])
@pytest.mark.parametrize("source", ["cached 5m", "origin"])
def test_a_fetch_that_fails_holds_up_nobody(sprox, origin, source, fault):
    put(origin, "bucket", KEYS)
    nginx = sprox(list=source, workers=2)
    gate = origin.hold(operation="ListObjectsV2", times=1, **fault)
    clients = crowd(nginx, "/bucket?list-type=2")
    gate.wait()
    gate.open()
    answers = [client.read() for client in clients]
    bad = [answer for answer in answers if answer.status != 200]
    assert len(bad) <= 1
    for answer in answers:
        if answer not in bad:
            assert keys_of(answer) == KEYS[:1000]


@pytest.mark.parametrize("source", ["cached 5m", "origin"])
def test_who_fetches_leaves(sprox, origin, source):
    put(origin, "bucket", KEYS)
    nginx = sprox(list=source, workers=2)
    gate = origin.hold(operation="ListObjectsV2", times=1)
    first = nginx.client()
    first.send("GET", "/bucket?list-type=2")
    gate.wait()
    clients = crowd(nginx, "/bucket?list-type=2")
    first.close()
    answers = [client.read() for client in clients]
    gate.open()
    assert [keys_of(answer) for answer in answers] == [KEYS[:1000]] * NUMBER
    assert lists(origin) <= 5
