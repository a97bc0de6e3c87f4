"""
The scripted origin stands in for S3 in most tests. Here it answers what a
real store answers, to the same client.
"""

import datetime
import re
import socket

import pytest
from botocore.exceptions import ClientError

from harness import wire
from harness.versity import s3_client

BODY = bytes(range(256)) * 40
OBJECTS = {
    "a/1.parquet": BODY,
    "a/2.parquet": BODY[:1000],
    "a/b/3": b"three",
    "a/b/4": b"four",
    "a b+c/\u00e9 %41&=?#'\"<>": b"odd",
    "empty": b"",
    "z": b"last",
}
HEADERS = ("ContentLength", "ContentRange", "ETag", "AcceptRanges",
           "PartsCount", "Metadata")


@pytest.fixture
def both(origin, versity, bucket):
    """boto3 clients of the scripted origin and of the real store."""
    versity.put(bucket, OBJECTS)
    for key, body in OBJECTS.items():
        origin.put(bucket, key, body)
    return s3_client(origin.endpoint), versity.client(direct=False)


def outcome(client, operation, **params):
    """What a client sees of one call, without what must differ."""
    try:
        answer = getattr(client, operation)(**params)
    except ClientError as error:
        answer = error.response
        code = answer["Error"]["Code"]
        return answer["ResponseMetadata"]["HTTPStatusCode"], code
    seen = {n: answer[n] for n in HEADERS if n in answer}
    if "Body" in answer:
        seen["Body"] = answer["Body"].read()
    return answer["ResponseMetadata"]["HTTPStatusCode"], seen


@pytest.mark.parametrize("ranged", [
    None, "bytes=0-0", "bytes=0-99", "bytes=100-", "bytes=-1", "bytes=-100000",
    "bytes=10239-", "bytes=10239-99999", "bytes=10240-", "bytes=99999-",
    "bytes=-0"])
@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_range(both, bucket, operation, ranged):
    params = {"Range": ranged} if ranged else {}
    scripted, real = (outcome(c, operation, Bucket=bucket, Key="a/1.parquet",
                              **params) for c in both)
    assert scripted == real
    assert scripted[0] in (200, 206, 416)


def test_empty_and_missing(both, bucket):
    for key, name in [("empty", bucket), ("nothing", bucket),
                      ("x", "no-such-bucket-here")]:
        for operation in "get_object", "head_object":
            scripted, real = (outcome(c, operation, Bucket=name, Key=key)
                              for c in both)
            assert scripted == real


def test_odd_keys_read_back(both, bucket):
    for client in both:
        for key, body in OBJECTS.items():
            got = client.get_object(Bucket=bucket, Key=key)
            assert got["Body"].read() == body


OTHER = '"00000000000000000000000000000000"'
CASES = [
    {"IfMatch": "ETAG"}, {"IfMatch": OTHER}, {"IfNoneMatch": "ETAG"},
    {"IfNoneMatch": OTHER}, {"IfModifiedSince": -1}, {"IfModifiedSince": +1},
    {"IfUnmodifiedSince": -1}, {"IfUnmodifiedSince": +1},
    {"IfMatch": "ETAG", "IfUnmodifiedSince": -1},
    {"IfNoneMatch": "ETAG", "IfModifiedSince": -1},
    {"IfMatch": OTHER, "IfNoneMatch": "ETAG"},
    {"IfMatch": "ETAG", "IfNoneMatch": "ETAG"},
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(
    f"{n}{v}" for n, v in c.items()).replace('"', ""))
def test_condition(both, bucket, case):
    outcomes = []
    for client in both:
        known = client.head_object(Bucket=bucket, Key="z")
        params = {}
        for name, value in case.items():
            if isinstance(value, int):
                value = known["LastModified"] \
                    + datetime.timedelta(hours=value)
            params[name] = known["ETag"] if value == "ETAG" else value
        # one that lies in the future counts for nothing
        time_ok = "IfModifiedSince" not in case or case["IfModifiedSince"] < 0
        outcomes.append(outcome(client, "get_object", Bucket=bucket, Key="z",
                                **params) if time_ok else None)
    assert outcomes[0] == outcomes[1]


def pages(client, **params):
    """
    Every page of a listing, as (contents, prefixes). KeyCount, and an empty
    page at the end, are left out: versitygw does not count prefixes, and may
    say that a page is truncated when nothing follows; S3 does neither.
    """
    seen = []
    while True:
        got = client.list_objects_v2(**params)
        contents = [(c["Key"], c["Size"], c["ETag"])
                    for c in got.get("Contents", [])]
        prefixes = [p["Prefix"] for p in got.get("CommonPrefixes", [])]
        if not seen or contents or prefixes:
            seen.append((contents, prefixes))
        if not got["IsTruncated"]:
            return seen
        params["ContinuationToken"] = got["NextContinuationToken"]


@pytest.mark.parametrize("params", [
    {}, {"Prefix": "a/"}, {"Prefix": "a/", "Delimiter": "/"},
    {"Delimiter": "/"}, {"Delimiter": "/", "MaxKeys": 1}, {"MaxKeys": 2},
    {"Prefix": "a", "Delimiter": "/", "MaxKeys": 1}, {"Prefix": "nothing"},
    {"StartAfter": "a/b/3"}, {"Prefix": "a/b/3"}, {"MaxKeys": 0},
    {"Prefix": "a/", "Delimiter": "/", "StartAfter": "a/1.parquet"},
], ids=str)
def test_listing(both, bucket, params):
    scripted, real = (pages(c, Bucket=bucket, **params) for c in both)
    assert scripted == real


def test_listing_v1(both, bucket):
    def walk(client, delimiter):
        keys, marker = [], ""
        while True:
            got = client.list_objects(Bucket=bucket, MaxKeys=2, Marker=marker,
                                      Delimiter=delimiter)
            keys.append([c["Key"] for c in got.get("Contents", [])]
                        + [p["Prefix"] for p in got.get("CommonPrefixes", [])])
            if not got["IsTruncated"]:
                return keys
            marker = got.get("NextMarker") or keys[-1][-1]

    for delimiter in "", "/":
        assert walk(both[0], delimiter) == walk(both[1], delimiter)


def test_buckets(both, bucket):
    for client in both:
        names = [b["Name"] for b in client.list_buckets()["Buckets"]]
        assert bucket in names
        client.head_bucket(Bucket=bucket)
        client.get_bucket_location(Bucket=bucket)
    assert outcome(both[0], "head_bucket", Bucket="not-there") \
        == outcome(both[1], "head_bucket", Bucket="not-there")


def test_parts(origin, versity, bucket):
    parts = [b"p" * (5 << 20), b"q" * (5 << 20), b"r" * 1000]
    versity.put(bucket, {})
    client = versity.client(direct=False)
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts",
                                            Metadata={"color": "blue"})
    tags = [client.upload_part(Bucket=bucket, Key="parts", Body=body,
                               UploadId=upload["UploadId"], PartNumber=n)
            for n, body in enumerate(parts, 1)]
    client.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [
            {"PartNumber": n, "ETag": t["ETag"]}
            for n, t in enumerate(tags, 1)]})
    etag = client.head_object(Bucket=bucket, Key="parts")["ETag"]
    origin.put(bucket, "parts", b"".join(parts), etag=etag,
               parts=tuple(map(len, parts)), meta={"color": "blue"})

    for number in 1, 2, 3, 4:
        scripted, real = (
            outcome(c, "head_object", Bucket=bucket, Key="parts",
                    PartNumber=number)
            for c in (s3_client(origin.endpoint), client))
        assert scripted[0] == real[0]
        if number < 4:
            assert scripted == real


def test_journals_agree(origin, versity, bucket):
    versity.put(bucket, OBJECTS)
    for key, body in OBJECTS.items():
        origin.put(bucket, key, body)

    seen = []
    for client, journal in ((s3_client(origin.endpoint), origin.journal),
                            (versity.client(direct=False), versity.journal)):
        journal.clear()
        client.get_object(Bucket=bucket, Key="a/1.parquet",
                          Range="bytes=5-9")["Body"].read()
        client.head_object(Bucket=bucket, Key="z")
        client.list_objects_v2(Bucket=bucket, MaxKeys=3)
        client.list_buckets()
        journal.wait_idle()
        seen.append([(e.operation, e.bucket, e.key, e.range, e.status,
                      e.complete) for e in journal.requests()])
        assert journal.body_bytes(operation="GetObject") == 5
        assert journal.count(key=re.compile("^a/")) == 1
    assert seen[0] == seen[1]
    assert all(e.signed for e in versity.journal.requests())


def test_real_store_checks_signatures(versity, bucket):
    versity.put(bucket, {"k": b"v"})
    wrong = versity.client(direct=False, secret="wrong")
    assert outcome(wrong, "get_object", Bucket=bucket, Key="k") \
        == (403, "SignatureDoesNotMatch")
    plain = wire.request(versity.recorder.port, "GET", f"/{bucket}/k")
    assert plain.status == 403


def test_real_store_over_tls(versity_tls, bucket):
    versity_tls.put(bucket, {"k": b"v"})
    client = versity_tls.client(direct=False)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert versity_tls.journal.count(operation="GetObject") == 1


def test_virtual_hosted(origin, versity, bucket, monkeypatch):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: resolve(
        "127.0.0.1" if host.endswith("s3.test") else host, *a, **k))
    versity.put(bucket, {"k/1": b"v"})
    origin.put(bucket, "k/1", b"v")

    for port, access in ((origin.port, ""),
                         (versity.recorder.port, versity.access)):
        client = s3_client(f"http://s3.test:{port}", access, versity.secret,
                           s3={"addressing_style": "virtual"})
        got = client.get_object(Bucket=bucket, Key="k/1")
        assert got["Body"].read() == b"v"
    for journal in origin.journal, versity.journal:
        assert journal.count(bucket=bucket, key="k/1", path="/k/1",
                             operation="GetObject", status=200) == 1
