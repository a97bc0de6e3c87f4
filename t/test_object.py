"""
What GetObject and HeadObject answer: headers, ranges, conditions, parts,
overrides; against the scripted origin and against a real store.
"""

import datetime
import hashlib
import itertools
import os
import random
import re

import pytest
from botocore.exceptions import ClientError

from harness.sprox import FILL, SLICE, cache_files, error_code, over, serve
from harness.store import http_date

BODY = bytes(range(256)) * 40           # 10,240 bytes
STATES = ["cold", "warm"]


@pytest.fixture
def sprox(make_nginx, origin):
    return serve(make_nginx, origin.endpoint)


def purge(nginx, target="/bucket/key"):
    response = nginx.request("PURGE", target)
    assert response.status == 200, response


def put_in_state(nginx, state: str, target="/bucket/key"):
    purge(nginx, target)
    if state == "warm":
        assert nginx.get(target).status == 200


# headers

KEPT = {
    "Content-Type": "application/vnd.apache.parquet; charset=x",
    "Content-Language": "de, en", "Content-Disposition": 'inline; a="b"',
    "Cache-Control": "max-age=3", "Expires": "Thu, 01 Dec 1994 16:00:00 GMT",
    "Content-Encoding": "zstd", "x-amz-server-side-encryption": "AES256",
}
DROPPED = {
    "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha256": "x",
    "x-amz-checksum-type": "FULL_OBJECT", "x-amz-id-2": "host",
    "Set-Cookie": "a=b", "X-Powered-By": "y", "Strict-Transport-Security": "z",
    "Content-MD5": "bm8=", "Trailer": "x-amz-checksum-crc32", "Vary": "Origin",
}


@pytest.mark.parametrize("ranged", [None, "bytes=5-9"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers(origin, sprox, method, ranged):
    known = origin.put(
        "bucket", "key", BODY, content_type=KEPT["Content-Type"],
        headers={n: v for n, v in {**KEPT, **DROPPED}.items()
                 if n != "Content-Type"},
        meta={"Mixed-Case": "Some  value", "empty": "", "quote": '"a,b"'},
        storage_class="STANDARD_IA", version_id="v.1_x")

    for state in STATES:
        put_in_state(sprox, state)
        response = sprox.request(method, "/bucket/key",
                                 {"Range": ranged} if ranged else {})
        for name, value in KEPT.items():
            assert response[name] == value, (state, name)
        for name in DROPPED:
            assert response.get(name) is None, (state, name)

        assert response.status == (206 if ranged else 200)
        assert response["ETag"] == known.etag
        assert response["Last-Modified"] == http_date(known.modified)
        assert response["Accept-Ranges"] == "bytes"
        assert response["Content-Length"] == ("5" if ranged else "10240")
        assert response.get("Content-Range") \
            == ("bytes 5-9/10240" if ranged else None)
        assert response["x-amz-storage-class"] == "STANDARD_IA"
        assert response["x-amz-version-id"] == "v.1_x"
        assert response["x-amz-meta-mixed-case"] == "Some  value"
        assert response["x-amz-meta-quote"] == '"a,b"'
        assert re.fullmatch("[0-9A-F]{16}", response["x-amz-request-id"])
        assert len({n.lower() for n, _ in response.header_list}) \
            == len(response.header_list)
        if method == "GET":
            assert response.body == (BODY[5:10] if ranged else BODY)


def test_headers_of_the_real_store(make_nginx, versity, bucket):
    client = versity.client()
    client.create_bucket(Bucket=bucket)
    client.put_object(
        Bucket=bucket, Key="k", Body=BODY, ContentType="text/csv",
        ContentEncoding="gzip", ContentLanguage="fr", CacheControl="no-cache",
        ContentDisposition="attachment", Metadata={"one": "1", "Two": "zwei"},
        Expires=datetime.datetime(2031, 1, 2))
    real = client.head_object(Bucket=bucket, Key="k")
    headers = real["ResponseMetadata"]["HTTPHeaders"]
    nginx = over(make_nginx, versity)

    for method, ranged in itertools.product(("GET", "HEAD", "GET"),
                                            (None, "bytes=0-9")):
        response = nginx.request(method, f"/{bucket}/k",
                                 {"Range": ranged} if ranged else {})
        for name in ("content-type", "content-encoding", "content-language",
                     "cache-control", "content-disposition", "expires",
                     "etag", "last-modified", "x-amz-meta-one",
                     "x-amz-meta-two"):
            assert response[name] == headers[name], name
        assert not [n for n in response.headers if "checksum" in n]


def test_etag_of_an_origin_that_does_not_quote_it(origin, sprox):
    origin.put("bucket", "key", BODY)
    origin.script(headers={"ETag": "abc-2"})
    for method in "HEAD", "GET", "GET", "HEAD":
        assert sprox.request(method, "/bucket/key")["ETag"] == '"abc-2"'


def test_nothing_is_coded(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint, more="""
        gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0;
        gzip_proxied any; gunzip on;""")
    origin.put("bucket", "key", b"a" * 5000, content_type="text/html")
    origin.put("bucket", "gz", b"\x1f\x8bnot really", content_type="text/html",
               headers={"Content-Encoding": "gzip"})
    for accept in "gzip", "identity", "gzip;q=1, br":
        for _ in STATES:
            plain = nginx.get("/bucket/key", {"Accept-Encoding": accept})
            assert plain.body == b"a" * 5000
            assert plain.get("Content-Encoding") is None
            assert plain["Content-Length"] == "5000"
            coded = nginx.get("/bucket/gz", {"Accept-Encoding": accept})
            assert coded.body == b"\x1f\x8bnot really"
            assert coded["Content-Encoding"] == "gzip"


# ranges: header -> (first, last), None for the whole, 416

RANGES = {
    "bytes=0-0": (0, 0), "bytes=0-99": (0, 99), "bytes=100-": (100, 10239),
    "bytes=-1": (10239, 10239), "bytes=-100000": (0, 10239),
    "bytes=10239-": (10239, 10239), "bytes=10239-99999": (10239, 10239),
    "bytes=0-18446744073709551615": (0, 10239),
    "bytes=0-99999999999999999999999999": (0, 10239),
    "bytes=-99999999999999999999999999": (0, 10239),
    "bytes=10240-": 416, "bytes=10240-20000": 416, "bytes=-0": 416,
    "bytes=99999999999999999999999999-": 416,
    "bytes=0-1,3-4": None, "bytes=-1,-2": None, "bytes=0-1,": None,
    "bytes=5-4": None, "bytes=": None, "bytes=-": None, "bytes": None,
    "bytes=a-b": None, "bytes=1-2x": None, "bytes=--1": None,
    "bytes=0x1-2": None, "bytes 0-1": None, "octets=0-1": None,
    "bytes=+1-2": None, "bytes=1": None, "": None, "x" * 2000: None,
    "BYTES=0-1": (0, 1), "bytes= 1 - 2 ": (1, 2), "bytes = 1-2": (1, 2),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ranges(origin, sprox, method, state):
    origin.put("bucket", "key", BODY)
    for header, want in RANGES.items():
        put_in_state(sprox, state)
        response = sprox.request(method, "/bucket/key", {"Range": header})
        if want == 416:
            assert response.status == 416, header
            assert response["Content-Range"] == "bytes */10240"
            if method == "GET":
                assert error_code(response) == "InvalidRange"
        elif want is None:
            assert response.status == 200, header
            assert response.get("Content-Range") is None
            assert response["Content-Length"] == "10240"
            assert response.body == (BODY if method == "GET" else b"")
        else:
            first, last = want
            assert response.status == 206, header
            assert response["Content-Range"] == f"bytes {first}-{last}/10240"
            assert response["Content-Length"] == str(last - first + 1)
            assert response.body == (BODY[first:last + 1]
                                     if method == "GET" else b"")


def test_ranges_of_the_real_store(make_nginx, versity, bucket):
    """Those that S3 understands; the rest differs from store to store."""
    versity.put(bucket, {"key": BODY, "empty": b""})
    client, nginx = versity.client(), over(make_nginx, versity)
    for header, want in RANGES.items():
        if want is None or len(header) > 22 or " " in header \
                or header.startswith("BYTES"):
            continue
        for key in "key", "empty":
            if key == "empty" and "=-" in header:
                continue        # S3: 416; versitygw: 200
            assert seen(client, bucket, key, Range=header) \
                == direct(nginx, bucket, key, Range=header), header


def seen(client, bucket, key, **params):
    """(status, body, Content-Range) by boto3."""
    try:
        answer = client.get_object(Bucket=bucket, Key=key, **params)
    except ClientError as error:
        answer = error.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    body = answer["Body"].read() if "Body" in answer else b""
    return status, body, answer.get("ContentRange")


def direct(nginx, bucket, key, **headers):
    response = nginx.get(f"/{bucket}/{key}", headers)
    known = response.status < 300
    return (response.status, response.body if known else b"",
            response.get("Content-Range") if known else None)


def test_empty_object(origin, sprox):
    origin.put("bucket", "key", b"", meta={"a": "b"})
    for state in STATES:
        for header, status in [(None, 200), ("bytes=0-", 416),
                               ("bytes=0-0", 416), ("bytes=-1", 416),
                               ("bytes=0-1,2-3", 200), ("bytes=x", 200)]:
            for method in "GET", "HEAD":
                put_in_state(sprox, state)
                response = sprox.request(method, "/bucket/key",
                                         {"Range": header} if header else {})
                assert response.status == status, (header, method, state)
                if status == 416:
                    assert response["Content-Range"] == "bytes */0"
                else:
                    assert response.body == b""
                    assert response["Content-Length"] == "0"
                    assert response["x-amz-meta-a"] == "b"


# sizes around the borders of slices and fills

SIZES = [0, 1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, FILL - 1, FILL,
         FILL + 1, FILL + SLICE, 2 * FILL + 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["cold", "warm", "first", "last", "middle"])
def test_borders(origin, sprox, size, state):
    body = random.Random(size).randbytes(size)
    origin.put("bucket", "key", body)
    points = sorted({p for p in (0, 1, SLICE - 1, SLICE, SLICE + 1, FILL - 1,
                                 FILL, FILL + 1, size // 2, size - 1)
                     if 0 <= p < size})
    spans = [(a, b) for a in points for b in points if a <= b]
    wanted = [None] + [f"bytes={a}-{b}" for a, b in spans[::3]] \
        + [f"bytes=-{n}" for n in (1, SLICE, SLICE + 1, FILL, FILL + 1) if size]

    for header in wanted:
        purge(sprox)
        before = {"warm": None, "first": "bytes=0-0", "last": "bytes=-1",
                  "middle": f"bytes={size // 2}-{size // 2}"}
        if state in before:
            headers = {"Range": before[state]} if before[state] else {}
            sprox.get("/bucket/key", headers)

        response = sprox.get("/bucket/key",
                             {"Range": header} if header else {})
        assert response.complete
        if header is None:
            assert (response.status, response.body) == (200, body)
            continue
        first, last = header[6:].split("-")
        want = body[-int(last):] if not first else \
            body[int(first):int(last) + 1]
        assert (response.status, response.body) == (206, want), header


def test_random_ranges(make_nginx, origin):
    rng = random.Random(20)
    size = 20_000_000
    body = rng.randbytes(size)
    origin.put("bucket", "key", body)
    nginx = serve(make_nginx, origin.endpoint, workers=2)

    with nginx.client() as client:
        for _ in range(400):
            length = int(2 ** rng.uniform(0, 21))
            first = rng.randrange(size)
            kind = rng.randrange(8)
            if kind == 0:
                first = max(0, size - length)
                header, last = f"bytes=-{length}", size - 1
            elif kind == 1 and size - first < 3_000_000:
                header, last = f"bytes={first}-", size - 1
            else:
                last = min(first + length - 1, size - 1)
                header = f"bytes={first}-{first + length - 1}"
            response = client.request("GET", "/bucket/key",
                                      {"Range": header})
            assert response.status == 206, header
            assert response["Content-Range"] == f"bytes {first}-{last}/{size}"
            assert response.body == body[first:last + 1], header

    assert nginx.get("/bucket/key").body == body
    # slices are never fetched twice by one worker, nor by the next in turn
    assert origin.journal.body_bytes() <= 2 * size
    assert len(cache_files(nginx)) == -(-size // SLICE)


# conditions

OTHER = '"00000000000000000000000000000000"'
HOUR = 3600


def s3_condition(match, none, since, until) -> int:
    """S3 API, GetObject: "Precondition and ... considered together"."""
    if match is not None:
        if match == OTHER:
            return 412
    elif until == -HOUR:
        return 412
    if none is not None:
        return 304 if none != OTHER else 200
    return 304 if since == 0 else 200


MATCHES = [None, "TAG", OTHER, "*"]
TIMES = [None, -HOUR, 0]


def test_conditions(make_nginx, versity, bucket):
    """All combinations, at the store and through sprox, cold and warm."""
    versity.put(bucket, {"key": BODY})
    # versitygw compares with fractions of a second that it does not show
    os.utime(versity.dir / "data" / bucket / "key", (1.7e9, 1.7e9))
    client, nginx = versity.client(), over(make_nginx, versity)
    known = client.head_object(Bucket=bucket, Key="key")
    tag, modified = known["ETag"], known["LastModified"]

    for case in itertools.product(MATCHES, MATCHES, TIMES, TIMES):
        match, none, since, until = case
        params, headers = {}, {}
        for value, param, name in [(match, "IfMatch", "If-Match"),
                                   (none, "IfNoneMatch", "If-None-Match")]:
            if value is not None:
                params[param] = headers[name] = value.replace("TAG", tag)
        for value, param, name in [
                (since, "IfModifiedSince", "If-Modified-Since"),
                (until, "IfUnmodifiedSince", "If-Unmodified-Since")]:
            if value is not None:
                params[param] = modified + datetime.timedelta(seconds=value)
                headers[name] = http_date(params[param].timestamp())

        want = s3_condition(*case)
        for method in "GET", "HEAD":
            response = nginx.request(method, f"/{bucket}/key", headers)
            assert response.status == want, (method, case)
            if want == 304:
                assert response["ETag"] == tag
                assert response["Last-Modified"] \
                    == http_date(modified.timestamp())
                assert response.body == b""
            elif want == 412 and method == "GET":
                assert error_code(response) == "PreconditionFailed"

        real = seen(client, bucket, "key", **params)[0]
        # versitygw: not modified after the very second is modified
        if match is None and until == 0:
            assert real == 412, case
        else:
            assert real == want, case


CONDITIONS = [
    ({"If-None-Match": f'{OTHER}, "TAG"'}, 304),
    ({"If-None-Match": 'W/"TAG"'}, 304), ({"If-None-Match": "TAG"}, 304),
    ({"If-None-Match": '"TAG'}, 200), ({"If-None-Match": ","}, 200),
    ({"If-Match": f'{OTHER} ,"TAG"'}, 200), ({"If-Match": "TAG"}, 200),
    ({"If-Match": 'W/"TAG"'}, 412), ({"If-Match": '"TA"'}, 412),
    ({"If-Modified-Since": "yesterday"}, 200),
    ({"If-Unmodified-Since": "Thu, 99 Foo"}, 200),
    ({"If-Match": '"TAG"', "Range": "bytes=1-2"}, 206),
    ({"If-Match": OTHER, "Range": "bytes=99999-"}, 412),
    ({"If-None-Match": '"TAG"', "Range": "bytes=99999-"}, 304),
]


@pytest.mark.parametrize("state", STATES)
def test_more_conditions(origin, sprox, state):
    tag = origin.put("bucket", "key", BODY).etag.strip('"')
    for headers, want in CONDITIONS:
        headers = {n: v.replace("TAG", tag) for n, v in headers.items()}
        for method in "GET", "HEAD":
            put_in_state(sprox, state)
            assert sprox.request(method, "/bucket/key", headers).status \
                == want, (headers, method)


def test_conditions_cost_nothing_when_warm(origin, sprox):
    tag = origin.put("bucket", "key", BODY).etag
    sprox.get("/bucket/key")
    origin.journal.clear()
    assert sprox.get("/bucket/key", {"If-None-Match": tag}).status == 304
    assert sprox.get("/bucket/key", {"If-Match": OTHER}).status == 412
    assert sprox.head("/bucket/key", {"If-Match": tag}).status == 200
    assert origin.requests() == []


@pytest.mark.parametrize("state", STATES)
def test_if_range(origin, sprox, state):
    known = origin.put("bucket", "key", BODY)
    for value, status in [
            (known.etag, 206), (OTHER, 200), ("W/" + known.etag, 200),
            (http_date(known.modified), 206),
            (http_date(known.modified - 1), 200),
            (http_date(known.modified + 1), 200), ("x", 200)]:
        put_in_state(sprox, state)
        response = sprox.get("/bucket/key",
                             {"Range": "bytes=5-6", "If-Range": value})
        assert response.status == status, value
        assert response.body == (BODY[5:7] if status == 206 else BODY)
        # alone it means nothing
        assert sprox.get("/bucket/key", {"If-Range": value}).body == BODY


# parts

PARTS = (100_000, 70_000, 5)


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_parts(make_nginx, origin, cache):
    body = random.Random(3).randbytes(sum(PARTS))
    origin.put("bucket", "key", body, parts=PARTS)
    origin.put("bucket", "plain", body)
    origin.put("bucket", "empty", b"")
    nginx = serve(make_nginx, origin.endpoint, cache=cache)

    for _ in STATES:
        start = 0
        for number, size in enumerate(PARTS, 1):
            for method in "GET", "HEAD":
                response = nginx.request(
                    method, f"/bucket/key?partNumber={number}")
                end = start + size
                assert response.status == 206
                assert response["Content-Range"] \
                    == f"bytes {start}-{end - 1}/{len(body)}"
                assert response["x-amz-mp-parts-count"] == "3"
                assert response["Content-Length"] == str(size)
                if method == "GET":
                    assert response.body == body[start:end]
            start = end

        one = nginx.get("/bucket/plain?partNumber=1")
        assert (one.status, one.body) == (206, body)
        assert one.get("x-amz-mp-parts-count") is None
        assert nginx.get("/bucket/empty?partNumber=1").status == 200
        assert nginx.get("/bucket/none?partNumber=1").status == 404
        for number in "4", "10000":
            response = nginx.get(f"/bucket/key?partNumber={number}")
            assert response.status == 416
            assert error_code(response) == "InvalidPartNumber"
        whole = nginx.get("/bucket/key")
        assert whole.body == body
        assert whole.get("x-amz-mp-parts-count") is None


@pytest.mark.parametrize("parts", [(5, 70_000, 100_000), (300_000, 300_000),
                                   (10, 20), (50,)])
@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_a_part_of_another_version(make_nginx, origin, cache, parts):
    """The object is replaced when it was told where the part lies."""
    nginx = serve(make_nginx, origin.endpoint, cache=cache)
    body = random.Random(4).randbytes(sum(parts))
    origin.put("bucket", "key", random.Random(3).randbytes(sum(PARTS)),
               parts=PARTS)
    origin.script(method="GET", nth=1, before=lambda _: origin.put(
        "bucket", "key", body, parts=parts))
    response = nginx.get("/bucket/key?partNumber=2")
    if len(parts) == 1:
        assert response.status == 416
        assert error_code(response) == "InvalidPartNumber"
        return
    assert response.status == 206
    assert response["Content-Range"] \
        == f"bytes {parts[0]}-{parts[0] + parts[1] - 1}/{len(body)}"
    assert response["x-amz-mp-parts-count"] == str(len(parts))
    assert response.body == body[parts[0]:parts[0] + parts[1]]
    assert response["ETag"] == origin.get("bucket", "key").etag


def test_a_part_of_another_version_and_a_client_that_sends(make_nginx,
                                                          origin):
    """An event of its socket, while the part is asked for, starts nothing."""
    nginx = serve(make_nginx, origin.endpoint, listen_more=" sndbuf=8k")
    big = random.Random(5).randbytes(1 << 20)
    origin.put("bucket", "big", big)
    assert nginx.get("/bucket/big").body == big
    sizes = 5, 70_000, 100_000
    body = random.Random(4).randbytes(sum(sizes))
    origin.put("bucket", "key", random.Random(3).randbytes(sum(PARTS)),
               parts=PARTS)
    origin.script(key="key", method="GET", nth=1, before=lambda _: origin.put(
        "bucket", "key", body, parts=sizes))
    gate = origin.hold(key="key", method="HEAD", nth=2)
    with nginx.client(receive_buffer=4096) as client:
        client.send("GET", "/bucket/big")       # blocks: its socket is watched
        assert client.read().body == big
        client.send("GET", "/bucket/key?partNumber=2")
        gate.wait()
        client.sock.sendall(b"GET /bucket/big HTTP/1.1\r\n")
        assert nginx.get("/bucket/big").body == big     # it has seen that
        gate.open()
        response = client.read()
        assert response.status == 206
        assert response["Content-Range"] == f"bytes 5-70004/{len(body)}"
        assert response.body == body[5:70_005]
        client.sock.sendall(b"Host: a\r\n\r\n")
        assert client.read().body == big


def test_a_part_of_an_object_that_never_rests(make_nginx, origin):
    nginx = serve(make_nginx, origin.endpoint)
    made = []

    def change(_):
        made.append(random.Random(len(made)).randbytes(sum(PARTS)))
        origin.put("bucket", "key", made[-1], parts=PARTS)

    change(None)
    origin.script(method="GET", before=change)
    response = nginx.get("/bucket/key?partNumber=2")
    if response.status == 206:          # it began in between two changes
        part, = [body[PARTS[0]:PARTS[0] + PARTS[1]] for body in made
                 if hashlib.md5(body).hexdigest() in response["ETag"]]
        assert response.body == part[:len(response.body)]
        assert response.complete == (len(response.body) == len(part))
    else:
        assert (response.status, error_code(response)) \
            == (503, "ServiceUnavailable")
    assert origin.count() < 12


@pytest.mark.parametrize("query, code", [
    ("partNumber=0", "InvalidArgument"), ("partNumber=", "InvalidArgument"),
    ("partNumber=-1", "InvalidArgument"), ("partNumber=1x", "InvalidArgument"),
    ("partNumber=10001", "InvalidArgument"),
    ("partNumber=99999999999999999999", "InvalidArgument"),
])
def test_bad_part_numbers(origin, sprox, query, code):
    origin.put("bucket", "key", BODY, parts=(5, 10235))
    response = sprox.get(f"/bucket/key?{query}")
    assert (response.status, error_code(response)) == (400, code)
    assert origin.requests() == []


def test_part_and_range(origin, sprox):
    origin.put("bucket", "key", BODY)
    response = sprox.get("/bucket/key?partNumber=1", {"Range": "bytes=0-1"})
    assert (response.status, error_code(response)) == (400, "InvalidRequest")


def test_conditions_of_parts(origin, sprox):
    tag = origin.put("bucket", "key", BODY, parts=(5, 10235)).etag
    target = "/bucket/key?partNumber=2"
    assert sprox.get(target, {"If-Match": tag}).body == BODY[5:]
    assert sprox.get(target, {"If-Match": OTHER}).status == 412
    assert sprox.get(target, {"If-None-Match": tag}).status == 304


def test_parts_of_the_real_store(make_nginx, versity, bucket):
    client, nginx = versity.client(), over(make_nginx, versity)
    sizes = (5 << 20, 100_000)
    client.create_bucket(Bucket=bucket)
    upload = client.create_multipart_upload(Bucket=bucket, Key="key")
    made = []
    for number, size in enumerate(sizes, 1):
        answer = client.upload_part(
            Bucket=bucket, Key="key", UploadId=upload["UploadId"],
            PartNumber=number, Body=bytes([number]) * size)
        made.append({"ETag": answer["ETag"], "PartNumber": number})
    client.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": made})

    for number, size in enumerate(sizes, 1):
        head = client.head_object(Bucket=bucket, Key="key",
                                  PartNumber=number)
        response = nginx.get(f"/{bucket}/key?partNumber={number}")
        assert response.status == 206
        assert response.body == bytes([number]) * size
        assert response["ETag"] == head["ETag"]
        assert response["x-amz-mp-parts-count"] == "2"


# overrides

OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_overrides(origin, sprox, method):
    origin.put("bucket", "key", BODY, headers={
        n: v for n, v in KEPT.items() if n != "Content-Type"})
    query = "&".join(f"{name}=a%20b%3Bc%3D%22{i}%22+%C3%A9"
                     for i, name in enumerate(OVERRIDES))
    for _ in STATES:
        response = sprox.request(method, f"/bucket/key?{query}")
        assert response.status == 200
        for i, header in enumerate(OVERRIDES.values()):
            want = f'a b;c="{i}" \u00e9'
            values = [v.encode("latin-1").decode() for n, v
                      in response.header_list if n.lower() == header.lower()]
            assert values == [want], header
        # only where they were asked for
        again = sprox.request(method, "/bucket/key")
        assert again["Content-Language"] == KEPT["Content-Language"]
        assert again["Content-Type"] == "binary/octet-stream"
    assert all("response-" not in e.query for e in origin.requests())


@pytest.mark.parametrize("value", [
    "a%0D%0AX-Evil:%201", "%0a", "%0d", "a%00b", "%7f", "%1b[0m"])
@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_that_forge_headers(origin, sprox, name, value):
    origin.put("bucket", "key", BODY)
    response = sprox.get(f"/bucket/key?{name}={value}")
    assert response.status == 400
    assert error_code(response) == "InvalidArgument"
    assert response.get("X-Evil") is None
    assert origin.requests() == []


def test_unknown_words_in_the_query(origin, sprox):
    """x-id of the JavaScript SDK, and what S3 ignores."""
    origin.put("bucket", "key", BODY)
    for query in ("x-id=GetObject", "", "foo=bar", "response-foo=x",
                  "versionId=null", "versionId=", "Range=bytes=0-1"):
        assert sprox.get(f"/bucket/key?{query}").body == BODY, query
    assert {e.query for e in origin.requests()} == {""}
