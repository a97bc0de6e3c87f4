"""
An origin that lies, that never ends, or that writes what shall become
somebody else's header, log line or request: it is cut, and costs no more
than its own answer.
"""

import itertools
import re
import threading
import time

import pytest

from harness.hostile import Hostile, answer
from harness.nginx import ASAN
from harness.sprox import cache_files, error_code, serve, wait_idle

ETAG = '"e"'
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
QUICK = "read_timeout 400ms;"           # of an origin that drips
SPARE = 1 << 30 if ASAN else 0          # what is freed is kept for a while
CAPPED = 64 << 20                       # with what sockets hold in between
XML = b'<?xml version="1.0"?>'


@pytest.fixture
def hostile():
    """hostile(answer, ...): an nginx over an origin of bytes; (both)."""
    made = []

    def make(make_nginx, reply, **words):
        made.append(Hostile(reply))
        return serve(make_nginx, made[-1].endpoint, **words), made[-1]

    yield make
    for origin in made:
        origin.stop()


def alive(nginx) -> None:
    """The worker answers others, with nothing left over."""
    assert nginx.get("/metrics").status == 200
    wait_idle(nginx)
    assert len(nginx.worker_pids()) == 1


# no end

def page(body: bytes, more: str = "false", token: str = "") -> bytes:
    return (XML + b"<ListBucketResult>" + body
            + f"<IsTruncated>{more}</IsTruncated>".encode()
            + (f"<NextContinuationToken>{token}</NextContinuationToken>"
               .encode() if token else b"") + b"</ListBucketResult>")


def flood(begin: bytes, block: bytes, pause: float = 0):
    """begin, and then block for ever."""
    def reply(entry, send):
        send(begin)
        while True:
            send(block)
            if pause:
                time.sleep(pause)
    return reply


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = b"HTTP/1.1 404 No\r\nConnection: close\r\n\r\n"
OBJECT = (b"HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/10\r\n"
          b"Content-Length: 10\r\n\r\n")
LIST_OK = b"HTTP/1.1 200 OK\r\n"
K64 = 65536

ENDLESS = {
    "status line": ("/bucket/key", b"HTTP/1.1 200 ", b"O" * K64, 502),
    "header": ("/bucket/key", b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 999, 502),
    "header name": ("/bucket/key", b"HTTP/1.1 200 OK\r\n", b"A" * K64, 502),
    "header value": ("/bucket/key", b"HTTP/1.1 200 OK\r\nA: ", b"A" * K64, 502),
    "interim": ("/bucket/key", b"", b"HTTP/1.1 100 C\r\n\r\n" * 999, 502),
    "early hints": ("/bucket/key", b"",
                    b"HTTP/1.1 103 C\r\nETag: \"1\"\r\n\r\n" * 999, 502),
    "error": ("/bucket/key", OPEN, b"x" * K64, 404),
    "error document": ("/bucket/key", OPEN + b"<Error><Code>", b"x" * K64, 404),
    "error in chunks": ("/bucket/key", b"HTTP/1.1 404 No\r\n" + CHUNKED,
                        b"10000\r\n" + b"x" * K64 + b"\r\n", 404),
    "error with a length": ("/bucket/key", b"HTTP/1.1 404 No\r\n"
                            b"Content-Length: 9223372036854775807\r\n\r\n",
                            b"x" * K64, 404),
    "body of a 304": ("/bucket/key", b"HTTP/1.1 304 N\r\n\r\n", b"x" * K64,
                      502),
    "after the object": ("/bucket/key", OBJECT + b"0123456789", b"x" * K64,
                         206),
    "listing": ("/bucket?list-type=2", LIST_OK + b"Connection: close\r\n\r\n"
                b"<ListBucketResult>", b"<a/>" * 16384, 502),
    "listing in chunks": ("/bucket?list-type=2", LIST_OK + CHUNKED
                          + b"12\r\n<ListBucketResult>\r\n",
                          b"10000\r\n" + b"<a/>" * 16384 + b"\r\n", 502),
    "comment": ("/bucket?list-type=2", LIST_OK + b"Connection: close\r\n\r\n"
                b"<ListBucketResult><!-- ", b"x" * K64, 502),
    "reference": ("/bucket?list-type=2", LIST_OK + b"Connection: close\r\n\r\n"
                  b"<ListBucketResult>&#x", b"0" * K64, 502),
    "attribute": ("/bucket?list-type=2", LIST_OK + b"Connection: close\r\n\r\n"
                  b"<ListBucketResult a='", b"x" * K64, 502),
    "white space": ("/bucket?list-type=2", LIST_OK + b"Connection: close\r\n"
                    b"\r\n", b" " * K64, 502),
    "not a listing": ("/bucket?list-type=2", LIST_OK + b"\r\n", b"x" * K64,
                      502),
    "chunk extension": ("/bucket?list-type=2", LIST_OK + CHUNKED + b"5;a=",
                        b"x" * K64, 502),
    "chunk size": ("/bucket?list-type=2", LIST_OK + CHUNKED, b"0" * K64, 502),
    "trailer": ("/bucket?list-type=2", LIST_OK + CHUNKED + b"0\r\n",
                b"A: b\r\n" * 9999, 502),
    "trailer line": ("/bucket?list-type=2", LIST_OK + CHUNKED + b"0\r\nA: ",
                     b"x" * K64, 502),
    "body of HEAD bucket": ("/bucket", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * K64,
                            200),
}


@pytest.mark.parametrize("cache", ["nvme", "off"])
@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_cut(make_nginx, hostile, what, cache):
    target, begin, block, status = ENDLESS[what]
    nginx, origin = hostile(make_nginx, flood(begin, block), cache=cache)
    idle = nginx.rss()
    method = "HEAD" if what == "body of HEAD bucket" else "GET"
    headers = {"Range": "bytes=0-9"} if status == 206 else {}
    response = nginx.request(method, target, headers)
    assert response.status == status, response
    assert len(response.body) < 4096
    origin.journal.wait_idle()          # its connection was closed
    assert origin.sent < CAPPED
    assert nginx.rss() < idle + (40 << 20) + SPARE
    alive(nginx)


DRIPS = {
    "status line": ("/bucket/key", b"HTTP/1.1 200 ", b"O", 504),
    "header": ("/bucket/key", b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 504),
    "error": ("/bucket/key", OPEN, b"x", 404),
    "error in chunks": ("/bucket/key", b"HTTP/1.1 404 No\r\n" + CHUNKED,
                        b"1\r\nx\r\n", 404),
    "chunk extension": ("/bucket?list-type=2", LIST_OK + CHUNKED + b"5;", b"a",
                        504),
    "trailer": ("/bucket?list-type=2", LIST_OK + CHUNKED + b"0\r\n",
                b"A: b\r\n", 504),
}


@pytest.mark.parametrize("what", DRIPS)
def test_what_drips_is_cut(make_nginx, hostile, what):
    """One byte before each time-out does not put it off for ever."""
    target, begin, block, status = DRIPS[what]
    nginx, origin = hostile(make_nginx, flood(begin, block, 0.05),
                            origin_more=QUICK)
    response = nginx.get(target)
    assert response.status == status, response
    origin.journal.wait_idle()
    alive(nginx)


def test_pages_without_end(make_nginx, hostile):
    """Nothing to show, and always more: the client is told so in the end."""
    numbers = itertools.count()
    same = []

    def reply(entry, send):
        number = 0 if same else next(numbers)
        send(answer(body=page(b"", "true", f"t{number}")))

    nginx, origin = hostile(make_nginx, reply)
    response = nginx.get("/bucket?list-type=2")
    assert (response.status, error_code(response)) == (502, "BadGateway")
    assert origin.count() <= 1000
    alive(nginx)


def test_a_token_that_leads_back(make_nginx, hostile):
    nginx, origin = hostile(make_nginx, lambda entry, send: send(
        answer(body=page(b"", "true", "again"))))
    response = nginx.get("/bucket?list-type=2")
    assert (response.status, error_code(response)) == (502, "BadGateway")
    assert origin.count() == 2
    assert "sprox:" in nginx.wait_log("the same continuation token.*").string


# headers

ALLOWED = {"server", "date", "content-type", "content-length", "connection",
           "last-modified", "etag", "accept-ranges", "content-range",
           "x-amz-request-id", "x-amz-bucket-region"}
INJECTED = [
    "ETag: \"a\rX-Injected: 1\"", "ETag: \"a\"\rX-Injected: 1",
    "Content-Type: a\rX-Injected: 1", "x-amz-meta-a: b\rX-Injected: 1",
    "Last-Modified: \rX-Injected: 1", "x-amz-meta-a\rX-Injected: 1",
    "x-amz-meta-a: b\x00X-Injected: 1", "x-amz-meta-\x00: 1",
    "x-amz-version-id: a\rX-Injected: 1", "Content-Type: a\x0bb",
    "x-amz-meta-a: \x01", "Set-Cookie: X-Injected=1", "X-Injected: 1",
    "Location: http://X-Injected/", "X-Accel-Redirect: /X-Injected",
    "X-Accel-Expires: 0", "X-Accel-Limit-Rate: 1", "Vary: *",
    "Transfer-Encoding: identity", "Content-Length: 5", "content-length: 11",
    "Connection: close", "Upgrade: X-Injected", "Refresh: 0; X-Injected",
    "Trailer: X-Injected", "Link: X-Injected", "Server: X-Injected",
    "Content-Range: bytes 0-9/99", "x-amz-meta-a b: X-Injected",
    "x-amz-meta-a\t: X-Injected", " X-Injected: folded",
    "x-amz-request-id: X-Injected", "x-amz-error-code: X-Injected",
    "Public-Key-Pins: X-Injected", "Alt-Svc: X-Injected",
    "Access-Control-Allow-Origin: X-Injected", "Status: 500 X-Injected",
]


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_headers_are_not_injected(make_nginx, hostile, cache):
    lines = {}

    def reply(entry, send):
        send(f"HTTP/1.1 206 P\r\nETag: {ETAG}\r\nLast-Modified: {DATE}\r\n"
             f"Content-Range: bytes 0-9/10\r\nContent-Length: 10\r\n"
             f"{lines[entry.key]}\r\n\r\n0123456789".encode("latin-1"))
        return False

    nginx, _ = hostile(make_nginx, reply, cache=cache)
    for number, line in enumerate(INJECTED):
        lines[f"k{number}"] = line
        for method in "GET", "HEAD", "GET":
            response = nginx.request(method, f"/bucket/k{number}",
                                     {"Range": "bytes=0-9"})
            assert response.status in (206, 502), (line, response)
            for name, value in response.header_list:
                assert name.lower() in ALLOWED, (line, name)
                assert "Injected" not in value, (line, name, value)
            if response.status == 206 and method == "GET":
                assert response.body == b"0123456789"
    for path in cache_files(nginx):
        assert b"X-Injected" not in path.read_bytes()
    alive(nginx)


def test_headers_out_of_a_listing(make_nginx, hostile):
    """ETag and storage class of a listing become headers of a HIT or a GET."""
    values = ["&#13;&#10;X-Injected: 1", "a&#10;X-Injected: 1",
              "&quot;a&quot;&#13;&#10;&#13;&#10;X-Injected", "a&#9;b",
              "&#x7f;", '"a"b"', "e" * 300, "&quot;" + "e" * 9000 + "&quot;"]

    def reply(entry, send):
        if entry.operation == "ListObjectsV2":
            send(answer(body=page(b"".join(
                f"<Contents><Key>{i}</Key><LastModified>2026-01-01T00:00:00Z"
                f"</LastModified><ETag>{v}</ETag><Size>10</Size>"
                f"<StorageClass>{w}</StorageClass></Contents>".encode()
                for i, (v, w) in enumerate(pairs)))))
        else:
            asked.append(entry)
            send(answer(206, b"0123456789", Content_Range="bytes 0-9/10"))

    asked, pairs = [], []
    nginx, _ = hostile(make_nginx, reply)
    for value in values:
        for pair in (value, "STANDARD"), ("e", value):
            pairs[:], asked[:] = [pair], []
            nginx.request("PURGE", "/bucket/0")
            listing = nginx.get("/bucket?list-type=2")
            assert listing.status in (200, 502)
            for method in "HEAD", "GET":
                response = nginx.request(method, "/bucket/0")
                assert response.status == 200, (pair, response)
                assert response["etag"] == ETAG
                assert {n.lower() for n, _ in response.header_list} <= ALLOWED
            assert not [e for e in asked if "injected" in repr(e).lower()]
    alive(nginx)


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_sizes_that_are_made_up(make_nginx, hostile, cache):
    limit = 64 << 40

    def reply(entry, send):
        if entry.operation == "ListObjectsV2":
            send(answer(body=page(
                f"<Contents><Key>key</Key><Size>{size[0]}</Size><ETag>e</ETag>"
                f"<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
                .encode())))
        elif entry.method == "HEAD":
            send(answer(200, b"", Content_Length=size[0]))
        else:
            send(answer(206, b"0123456789",
                        Content_Range=f"bytes 0-9/{size[0]}"))
            return False

    size = []
    nginx, origin = hostile(make_nginx, reply, cache=cache)
    for number in limit + 1, 1 << 60, (1 << 63) - 1:
        size[:] = [number]
        assert nginx.get("/bucket?list-type=2").status == 200
        for method in "HEAD", "GET":
            response = nginx.request(method, "/bucket/key",
                                     {"Range": "bytes=0-9"})
            assert response.status == 502, (number, response)
        purged = nginx.request("PURGE", "/bucket/key")
        assert (purged.status, purged.text.split()[1]) == (200, "0,")
    size[:] = [limit]
    assert nginx.head("/bucket/key")["content-length"] == str(limit)
    alive(nginx)


def test_a_second_answer_is_nobodys(make_nginx, hostile):
    """What follows an answer is not the answer to the next question."""
    extra = answer(206, b"POISONED!!", Content_Range="bytes 0-9/10")

    def reply(entry, send):
        body = answer(206, b"0123456789", Content_Range="bytes 0-9/10")
        if entry.key.startswith("head"):
            body = answer(200, b"", Content_Length=10)
        if entry.key.startswith("not-modified"):
            body = answer(304, Content_Length=None)
        if entry.key.startswith("absent"):
            body = answer(404)
        if entry.key.startswith("chunked"):
            body = (b"HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes "
                    b"0-9/10\r\n" + CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n")
        if entry.key.startswith("later"):
            send(body)
            idle.wait(10)
            send(extra)
            return
        send(body + extra)

    idle = threading.Event()
    nginx, origin = hostile(make_nginx, reply)
    for kind in ("later", "plain", "head", "not-modified", "absent",
                 "chunked"):
        for number in range(4):
            idle.clear()
            method = "HEAD" if kind == "head" else "GET"
            response = nginx.request(method, f"/bucket/{kind}{number}",
                                     {"Range": "bytes=0-9"})
            assert b"POISONED" not in response.body, (kind, response)
            if kind in ("plain", "later", "chunked"):
                assert response.body == b"0123456789"
            idle.set()
            origin.journal.wait_idle()
    for path in cache_files(nginx):
        assert b"POISONED" not in path.read_bytes()
    assert nginx.metrics().sum("sprox_origin_requests_total") \
        == origin.count()
    alive(nginx)


def test_an_unasked_304(make_nginx, hostile):
    for cache in "nvme", "off":
        nginx, _ = hostile(make_nginx, lambda entry, send: send(
            answer(304, Content_Length=None)), cache=cache)
        for headers in {}, {"If-Match": ETAG}, {"If-None-Match": '"other"'}:
            if cache == "off" and "If-None-Match" in headers:
                continue                # then it was asked for
            response = nginx.get("/bucket/key", headers)
            assert (response.status, error_code(response)) \
                == (502, "BadGateway"), (cache, headers)


# documents

XXE = [
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE a [<!ENTITY % x SYSTEM "@endpoint@/dtd"> %x;]>',
    b'<!DOCTYPE a SYSTEM "@endpoint@/dtd">',
    b'<!DOCTYPE a PUBLIC "x" "@endpoint@/dtd">',
    b'<!DOCTYPE a [<!ENTITY x "root:">]>',
    b"<!DOCTYPE a [" + b"".join(
        b'<!ENTITY x%s "%s">' % (b"i" * i, b"&x%s;" % (b"i" * (i - 1)) * 9
                                 if i else b"root:" * 99)
        for i in range(12)) + b"]>",
    b'<?xml-stylesheet href="@endpoint@/dtd"?>',
    b'<x:include xmlns:x="http://www.w3.org/2001/XInclude" '
    b'href="file:///etc/passwd"/>',
]


@pytest.mark.parametrize("number", range(len(XXE)))
def test_entities_are_no_way_in(make_nginx, hostile, number):
    def reply(entry, send):
        before = XXE[number].replace(b"@endpoint@", where[0].encode())
        if entry.operation == "ListObjectsV2":
            send(answer(body=before + page(
                b"<Contents><Key>&x;</Key><Size>1</Size><LastModified>"
                b"2026-01-01T00:00:00Z</LastModified></Contents>")))
        else:
            send(answer(403, before + b"<Error><Code>A&x;</Code><Message>"
                        b"&x;</Message></Error>"))

    where = []
    nginx, origin = hostile(make_nginx, reply)
    where.append(origin.endpoint)
    idle = nginx.rss()
    listing = nginx.get("/bucket?list-type=2")
    assert (listing.status, error_code(listing)) == (502, "BadGateway")
    refused = nginx.get("/bucket/key")
    assert (refused.status, error_code(refused)) == (403, "AccessDenied")
    assert b"root:" not in listing.body + refused.body
    assert "root:" not in nginx.log()
    assert origin.count() == 2          # nothing was looked up
    assert nginx.rss() < idle + (8 << 20) + SPARE


def test_errors_do_not_forge(make_nginx, hostile):
    """Code and message of an origin go to the log and to the client."""
    forged = "2026/01/01 00:00:00 [error] 1#1: forged"
    errors = [
        (400, "A&#10;" + forged, "m"), (400, "Odd", "m&#13;&#10;" + forged),
        (500, "<![CDATA[x\n" + forged + "]]>", "m"),
        (400, "&lt;/Code>&lt;Code>NoSuchKey", "m"),
        (400, "x" * 5000, "m"), (400, "Odd", "m" * 50000),
        (400, "%s%n%V", "%s%n%V%*s"), (400, "Odd", "&lt;b>&amp;amp;"),
    ]
    now = []

    def reply(entry, send):
        status, code, message = now[0]
        send(answer(status, f"<Error><Code>{code}</Code><Message>{message}"
                    f"</Message></Error>".encode()))

    nginx, _ = hostile(make_nginx, reply)
    for case in errors:
        now[:] = [case]
        response = nginx.get("/bucket/key")
        assert response.status == case[0]
        assert re.fullmatch(r"[A-Za-z]{1,20}", error_code(response))
        assert len(response.body) < 4096
        for line in nginx.log().splitlines():
            assert not line.startswith("2026/01/01"), line
    alive(nginx)


ECHOES = ["TOKENOURS/with+all=", "AKOURS", "SKOURSsecretsecret", "@signature@"]


@pytest.mark.parametrize("status", [400, 403, 500])
def test_errors_do_not_tell_secrets(make_nginx, hostile, status):
    """A store that quotes the request in its error quotes our signature."""
    def reply(entry, send):
        seen.append(re.search("Signature=([0-9a-f]{64})",
                              entry.headers["authorization"])[1])
        text = what[0].replace("@signature@", seen[-1])
        send(answer(status, f"<Error><Code>OddRefusal</Code><Message>you sent "
                    f"{text}, I want another</Message><StringToSign>{text}"
                    f"</StringToSign><AWSAccessKeyId>{text}</AWSAccessKeyId>"
                    f"</Error>".encode(), x_amz_meta_a=text))

    seen, what = [], []
    nginx, _ = hostile(make_nginx, reply, credentials="static AKOURS "
                       '"SKOURSsecretsecret" "TOKENOURS/with+all="')
    for text in ECHOES:
        what[:] = [text]
        for target in "/bucket/key", "/bucket?list-type=2", "/":
            response = nginx.get(target)
            assert response.status == status
            assert error_code(response) == "OddRefusal"
            said = response.text + str(response.header_list) + nginx.log()
            assert text not in said
            assert not [s for s in seen if s in said]
    what[:] = ["nothing wrong"]
    assert "you sent nothing wrong" in nginx.get("/bucket/key").text
