"""The scripted origin misbehaves exactly as it was told to."""

import socket
import ssl
import threading
import time

import pytest

from harness import wire
from harness.faults import make_rule

BODY = bytes(range(256)) * 1024


@pytest.fixture
def ask(origin):
    origin.put("bucket", "key", BODY)

    def get(headers={}, method="GET", target="/bucket/key"):
        return wire.request(origin.port, method, target, headers)

    return get


def test_status_so_many_times(origin, ask):
    origin.script(key="key", times=2, status=503, code="SlowDown",
                  headers={"Retry-After": "1"})
    answers = [ask() for _ in range(3)]
    assert [a.status for a in answers] == [503, 503, 200]
    assert answers[0]["retry-after"] == "1"
    assert "<Code>SlowDown</Code>" in answers[0].text
    assert origin.count(key="key") == 3
    assert origin.count(key="key", status=503) == 2


def test_nth_and_last_rule_first(origin, ask):
    origin.script(key="key", status=500)
    origin.script(key="key", nth=2, status=404, code="NoSuchKey")
    assert [ask().status for _ in range(3)] == [500, 404, 500]
    origin.clear_script()
    assert ask().status == 200


def test_unknown_option_is_refused():
    with pytest.raises(TypeError):
        make_rule(key="k", statsu=500)


def test_hold_before_the_header_and_in_the_body(origin, ask):
    for after in None, 0, 1000:
        gate = origin.hold(key="key", gate_after=after, times=1)
        got = []
        thread = threading.Thread(target=lambda: got.append(ask()))
        thread.start()
        gate.wait()
        entry = origin.requests(key="key")[-1]
        assert entry.ended is None and entry.body_bytes == (after or 0)
        gate.open()
        thread.join()
        assert got[0].body == BODY


@pytest.mark.parametrize("size", [0, 1, 70000])
def test_truncate_and_reset(origin, ask, size):
    origin.script(key="key", times=1, truncate=size)
    answer = ask()
    assert (answer.complete, answer.body) == (False, BODY[:size])

    origin.script(key="key", times=1, reset=size)
    with pytest.raises((ConnectionResetError, wire.Closed)):
        assert not ask().complete
        raise wire.Closed()
    origin.journal.wait_idle()
    assert [e.complete for e in origin.requests()] == [False, False]
    assert [e.body_bytes for e in origin.requests()] == [size, size]


def test_lies(origin, ask):
    ranged = {"Range": "bytes=0-9"}

    origin.script(times=1, ignore_range=True)
    answer = ask(ranged)
    assert (answer.status, len(answer.body)) == (200, len(BODY))
    assert origin.requests()[-1].range == "bytes=0-9"

    origin.script(times=1, headers={"Content-Range": "bytes 5-14/99"})
    assert ask(ranged)["content-range"] == "bytes 5-14/99"

    origin.script(times=1, drop=("ETag",))
    assert "etag" not in ask().headers

    origin.script(times=1, headers={"ETag": 'W/"weak"'})
    assert ask()["etag"] == 'W/"weak"'

    origin.script(times=1, content_length=len(BODY) + 5, close=True)
    assert not ask().complete

    origin.script(times=1, chunked=True)
    answer = ask()
    assert answer["transfer-encoding"] == "chunked" and answer.body == BODY

    origin.script(times=1, huge_headers=100000)
    assert sum(map(len, ask().headers.values())) > 90000

    origin.script(times=1, interim=b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n")
    assert ask().body == BODY

    origin.redirect("eu-west-3", "http://127.0.0.1:1/", status=307, times=1)
    answer = ask()
    assert (answer.status, answer["x-amz-bucket-region"]) == (307, "eu-west-3")

    origin.script(times=1, extra=b"more", close=True)
    with wire.Client(origin.port) as client:
        assert client.request("GET", "/bucket/key").body == BODY
        assert client.reader.some() == b"more"

    origin.script(times=1, raw=b"SMTP 220 hello\r\n\r\n")
    with wire.Client(origin.port) as client:
        client.send("GET", "/bucket/key")
        assert client.reader.until(b"\r\n") == b"SMTP 220 hello"


def test_object_replaced_before_the_second_request(origin, ask):
    first = ask()
    origin.script(times=1, before=lambda entry: origin.put(
        "bucket", "key", b"new"))
    answer = ask({"If-Match": first["etag"]})
    assert answer.status == 412
    assert ask().body == b"new"


def test_one_connection_for_many_and_closing(origin):
    origin.put("bucket", "key", BODY)
    with wire.Client(origin.port) as client:
        for _ in range(5):
            assert client.request("GET", "/bucket/key").status == 200
        origin.script(close=True)
        assert client.request("GET", "/bucket/key")["connection"] == "close"
        assert client.reader.some() == b""
    assert {e.connection for e in origin.requests()} == {1}


def test_stopped_and_started_again(origin, ask):
    assert ask().status == 200
    origin.stop()
    with pytest.raises(ConnectionRefusedError):
        ask()
    origin.start()
    assert ask().status == 200


def test_slow_origin_keeps_its_pace(origin, ask):
    origin.latency, origin.rate = 0.05, 1 << 20
    began = time.monotonic()
    assert ask().body == BODY
    # 256 KiB at 1 MiB a second; not faster, and not many times slower
    assert 0.28 <= time.monotonic() - began < 30


def test_big_bodies_are_no_burden(origin):
    body = bytes(1 << 20) * 128
    origin.put("bucket", "big", body)
    with wire.Client(origin.port) as client:
        client.send("GET", "/bucket/big")
        client.read_head()
        left = len(body)
        while left:
            left -= len(client.reader.some(1 << 20))
    origin.journal.wait_idle()
    assert origin.journal.body_bytes() == len(body)


def test_tls_and_its_bad_certificates(make_origin, pki):
    trusting = ssl.create_default_context(cafile=pki.ca)
    for name, right in [("good", True), ("other", False), ("expired", False),
                        ("stranger", False)]:
        origin = make_origin(tls=getattr(pki, name))
        origin.put("bucket", "key", BODY)
        try:
            answer = wire.request(origin.port, "GET", "/bucket/key",
                                  tls=trusting)
            assert right and answer.body == BODY, name
        except ssl.SSLCertVerificationError:
            assert not right, name


def test_names_change_while_running(dns):
    query = (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
             b"\x01b\x02s3\x04test\x00\x00\x01\x00\x01")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        for addresses in [], ["127.0.0.1"], ["127.0.0.2", "127.0.0.3"]:
            if addresses:
                dns.names["b.s3.test"] = addresses
            sock.sendto(query, ("127.0.0.1", dns.port))
            answer = sock.recv(512)
            assert answer[3] & 15 == (0 if addresses else 3)
            assert answer[7] == len(addresses)
            for address in addresses:
                assert socket.inet_aton(address) in answer
    assert dns.questions == [("b.s3.test", 1)] * 3
