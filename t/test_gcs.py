"""
The gcs dialect, over a scripted origin that speaks as Google's XML API does:
what is signed and asked, and how its words reach S3's clients.  Signatures
are verified here by the rules of Google's "V4 signing process", without
anything of the module's own.
"""

import hashlib
import hmac
import random
import re
import urllib.parse
from datetime import datetime, timezone

import pytest

from harness import s3xml
from harness.listing import Lister
from harness.sprox import cache_files, error_code, wait_idle
from harness.versity import s3_client

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;
    @resolver@
    sprox_origin lake {
        endpoint    @endpoint@;
        dialect     gcs;
        credentials @credentials@;
        @origin@
    }
    sprox_cache nvme;
    sprox_slice 64k;
    sprox_fill  128k;
    sprox_valid @valid@;
    sprox_alias part/$year { target lake://bucket/y=$year/; }
    sprox_alias $bucket    { target lake://$bucket/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location = /metrics { sprox_metrics; }
    }
"""
ACCESS, SECRET = "GOOG1EXAMPLE", "gcs/hmac+secret=0123"
SIZE = 400_000                          # seven slices, the last one short
BODY = random.Random(6).randbytes(SIZE)
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture
def sprox(make_nginx, origin):
    def make(directives: str = "", **options):
        return make_nginx(HTTP, **{
            "endpoint": origin.endpoint, "resolver": "", "valid": "1m",
            "credentials": f'static {ACCESS} "{SECRET}"',
            "origin": directives, **options})

    origin.put("bucket", "k", BODY)
    return make


def check(nginx, target: str = "/bucket/k", body: bytes = BODY):
    response = nginx.get(target)
    assert (response.status, response.complete) == (200, True), response
    assert response.body == body
    return response


# signatures

AUTHORIZATION = re.compile(
    r"GOOG4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([a-z0-9-]+)/storage/"
    r"goog4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


def digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def encoded(pairs: list) -> str:
    return "&".join(f"{n}={v}" for n, v in sorted(
        (urllib.parse.quote(n, safe="~"), urllib.parse.quote(v, safe="~"))
        for n, v in pairs))


def signature(entry, secret: str = SECRET) -> tuple:
    """(what was sent, what it must be, signed headers, scope's words)."""
    access, day, location, names, sent = AUTHORIZATION.fullmatch(
        entry.headers["authorization"]).groups()
    query = urllib.parse.parse_qsl(entry.query, keep_blank_values=True)
    canonical = "\n".join([
        entry.method, entry.path, encoded(query),
        *(f"{n}:{entry.headers[n]}" for n in names.split(";")), "", names,
        entry.headers["x-goog-content-sha256"]])
    scope = f"{day}/{location}/storage/goog4_request"
    text = "\n".join([
        "GOOG4-HMAC-SHA256", entry.headers["x-goog-date"], scope,
        hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("GOOG4" + secret).encode()
    for word in (day, location, "storage", "goog4_request"):
        key = digest(key, word)
    return sent, digest(key, text).hex(), names.split(";"), \
        (access, day, location)


def check_signed(entries: list) -> None:
    assert entries
    now = datetime.now(timezone.utc)
    for entry in entries:
        sent, want, names, (access, day, location) = signature(entry)
        assert sent == want, entry
        assert signature(entry, "another")[1] != sent
        assert (access, location) == (ACCESS, "auto")

        date = entry.headers["x-goog-date"]
        when = datetime.strptime(date + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert date.startswith(day) and abs((now - when).total_seconds()) < 60

        # all that is Google's is signed, and nothing is Amazon's
        assert entry.headers["x-goog-content-sha256"] == EMPTY
        assert {n for n in entry.headers if n.startswith("x-")} | {"host"} \
            == set(names)
        assert names == sorted(names)
        assert "x-amz" not in str(entry.headers).lower()


ODD = ["a b+c&d=é", "dir//x/../y", "100%", "q?u#e", "tilde~_-.", "'(*)!;:@"]


def test_signatures(sprox, origin):
    nginx = sprox()
    for key in ODD:
        origin.put("bucket", key, s3xml.order(key))
    client = s3_client(nginx.endpoint, "ANY", "any")
    for key in ODD:
        assert client.get_object(Bucket="bucket", Key=key)["Body"].read() \
            == s3xml.order(key)
        assert client.head_object(Bucket="bucket", Key=key)["ETag"] \
            == origin.get("bucket", key).etag
        listed = client.list_objects_v2(Bucket="bucket", Prefix=key,
                                        Delimiter="/", StartAfter=key[:-1])
        assert key in [c["Key"] for c in listed["Contents"]]
    assert client.head_bucket(Bucket="bucket")
    assert client.head_object(Bucket="bucket", Key="k")
    with pytest.raises(client.exceptions.ClientError):
        client.head_object(Bucket="bucket", Key="none")
    check(nginx)
    entries = origin.requests()
    check_signed(entries)
    assert {e.operation for e in entries} == {
        "GetObject", "HeadObject", "HeadBucket", "ListObjectsV2"}
    assert all("x-id" not in e.query and "mz-" not in e.query
               for e in entries)


def test_virtual_style(sprox, origin, dns):
    dns.names["bucket.s3.test"] = ["127.0.0.1"]
    nginx = sprox("style virtual;", endpoint=f"http://s3.test:{origin.port}",
                  resolver=f"resolver {dns.address};")
    check(nginx)
    assert Lister(nginx.port, "bucket").all() == ["k"]
    check_signed(origin.requests())
    assert {e.headers["host"] for e in origin.requests()} \
        == {f"bucket.s3.test:{origin.port}"}
    assert [e.path for e in origin.requests(key="k")] == ["/k"] * 4


def test_a_location_in_the_scope(sprox, origin):
    check(sprox("region europe-west1;"))
    for entry in origin.requests():
        sent, want, _, scope = signature(entry)
        assert sent == want and scope[2] == "europe-west1"


def test_keys_of_the_environment(sprox, origin):
    """HMAC keys come the ways that S3's come; there are no session tokens."""
    check(sprox(credentials="env", env={
        "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "token"}))
    check_signed(origin.requests())
    assert "token" not in str([e.headers for e in origin.requests()])


def test_anonymous(sprox, origin):
    nginx = sprox(credentials="anonymous")
    check(nginx)
    assert Lister(nginx.port, "bucket").all() == ["k"]
    for entry in origin.requests():
        assert not entry.signed
        assert not [n for n in entry.headers if n.startswith("x-")
                    and n != "x-goog-if-generation-match"]


def test_nothing_of_the_client(sprox, origin):
    nginx = sprox()
    response = nginx.get(
        "/bucket/k?x-id=GetObject&X-Goog-Signature=1&X-Amz-Signature=2",
        {"Authorization": "GOOG4-HMAC-SHA256 Credential=x", "Cookie": "c",
         "x-goog-user-project": "p", "x-goog-if-generation-match": "1",
         "x-goog-encryption-key": "k", "x-amz-request-payer": "requester"})
    assert response.status == 200 and response.body == BODY
    check_signed(origin.requests())
    for entry in origin.requests():
        assert entry.query == ""
        assert set(entry.headers) <= {
            "host", "user-agent", "accept-encoding", "connection", "range",
            "authorization", "x-goog-date", "x-goog-content-sha256",
            "x-goog-if-generation-match"}
        assert entry.headers.get("x-goog-if-generation-match") != "1"


# objects

GOOGLE = {
    "x-goog-storage-class": "NEARLINE", "x-goog-metageneration": "3",
    "x-goog-hash": "crc32c=AAAAAA==", "x-goog-stored-content-length": "7",
    "x-goog-stored-content-encoding": "identity",
    "x-goog-meta-color": "blue", "X-Goog-Meta-Two-Words": "a b",
    "x-goog-component-count": "2", "x-goog-expiration": "never",
    "x-goog-custom-time": "2026-01-01T00:00:00Z", "X-GUploader-UploadID": "u",
    "Alt-Svc": 'h3=":443"', "Content-Language": "de",
    "Cache-Control": "private"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("ranged", [None, "bytes=2-4"])
def test_headers(sprox, origin, method, ranged):
    """S3's names for what S3 knows; the rest is Google's own matter."""
    obj = origin.put("bucket", "h", b"content", headers=GOOGLE,
                     content_type="text/x", generation=1700000000000001)
    nginx = sprox()
    for _ in range(2):                      # from the origin, from the cache
        response = nginx.request(method, "/bucket/h",
                                 {"Range": ranged} if ranged else {})
        assert response.status == (206 if ranged else 200)
        assert response["etag"] == obj.etag
        assert response["content-type"] == "text/x"
        assert response["content-language"] == "de"
        assert response["cache-control"] == "private"
        assert response["x-amz-storage-class"] == "NEARLINE"
        assert response["x-amz-meta-color"] == "blue"
        assert response["x-amz-meta-two-words"] == "a b"
        mine = {n for n in response.headers if n.startswith("x-")}
        assert mine == {"x-amz-storage-class", "x-amz-meta-color",
                        "x-amz-meta-two-words", "x-amz-request-id"}
        assert "goog" not in str(response.header_list).lower()
        assert "alt-svc" not in response.headers
        if method == "GET":
            assert response.body == (b"nte" if ranged else b"content")
    assert origin.count() == 1


def pins(entries: list) -> list:
    return [e.headers.get("x-goog-if-generation-match") for e in entries]


def test_the_generation_pins(sprox, origin):
    """The first request learns the version; all others name it."""
    generation = str(origin.get("bucket", "k").generation)
    nginx = sprox()
    check(nginx)
    entries = origin.requests()
    assert pins(entries) == [None] + [generation] * 3
    assert not any("if-match" in e.headers for e in entries)
    check_signed(entries)
    wait_idle(nginx)

    # known by a HEAD: pinned from the first byte on
    origin.put("bucket", "h", BODY, generation=77)
    nginx.head("/bucket/h")
    check(nginx, "/bucket/h")
    assert pins(origin.requests(key="h")) == [None] + ["77"] * 4


def test_a_listed_object_is_pinned_by_its_etag(sprox, origin):
    """A listing tells no generation."""
    nginx = sprox()
    assert Lister(nginx.port, "bucket").all() == ["k"]
    check(nginx)
    first, *others = origin.requests(operation="GetObject")
    assert pins([first]) == [None]
    assert first.headers.get("if-match") in (
        None, origin.get("bucket", "k").etag)
    assert pins(others) == [str(origin.get("bucket", "k").generation)] \
        * len(others)
    assert origin.count(operation="HeadObject") == 0


def test_the_same_bytes_again_are_another_generation(sprox, origin):
    """412, one more look, and the read goes on: the ETag is the same."""
    nginx = sprox()
    response = nginx.get("/bucket/k", {"Range": "bytes=0-9"})
    assert response.body == BODY[:10]
    wait_idle(nginx)
    origin.put("bucket", "k", BODY, generation=9999)
    origin.journal.clear()
    response = nginx.get("/bucket/k", {"Range": "bytes=200000-299999"})
    assert response.status == 206 and response.body == BODY[200000:300000]
    assert origin.requests()[0].status == 412
    assert pins(origin.requests())[-1] is None
    check(nginx)
    assert pins(origin.requests())[-1] == "9999"


def test_replaced_between_reads(sprox, origin):
    other = random.Random(7).randbytes(SIZE)
    nginx = sprox()
    nginx.get("/bucket/k", {"Range": "bytes=0-9"})
    wait_idle(nginx)
    origin.put("bucket", "k", other)
    response = nginx.get("/bucket/k", {"Range": "bytes=200000-299999"})
    assert response.status == 206 and response.body == other[200000:300000]
    assert response["etag"] == origin.get("bucket", "k").etag
    check(nginx, body=other)


def test_replaced_within_a_read(sprox, origin):
    other = random.Random(8).randbytes(SIZE)
    nginx = sprox()
    origin.script(nth=2, before=lambda entry: origin.put("bucket", "k", other))
    response = nginx.get("/bucket/k")
    assert response.status == 200 and not response.complete
    assert BODY.startswith(response.body) and response.body
    assert 412 in [e.status for e in origin.requests()]
    check(nginx, body=other)


def test_renewal(sprox, origin):
    """There is no header for "not this generation": the ETag asks."""
    nginx = sprox(valid="0")
    check(nginx)
    wait_idle(nginx)
    origin.journal.clear()
    check(nginx)
    entry, = origin.requests()
    assert entry.status == 304
    assert entry.headers["if-none-match"] == origin.get("bucket", "k").etag
    assert pins([entry]) == [None]
    check_signed([entry])


def test_no_etag(sprox, origin):
    """Composite objects of some tools have none: the generation is enough."""
    nginx = sprox()
    origin.script(key="k", drop=("ETag",))
    check(nginx)
    wait_idle(nginx)
    assert len(cache_files(nginx)) == 7
    asked = origin.count()
    check(nginx)
    assert origin.count() == asked


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_object_that_is_decoded_on_its_way(sprox, origin, method):
    """
    Its length, its hash and its place in a listing are of other bytes:
    nobody gets half of it.
    """
    stored = {"x-goog-stored-content-encoding": "gzip",
              "x-goog-stored-content-length": "1000"}
    origin.put("bucket", "z", b"decoded" * 1000, headers=stored)
    origin.put("bucket", "e", b"\x1f\x8bpacked", headers={
        **stored, "Content-Encoding": "gzip"})
    nginx = sprox()
    response = nginx.request(method, "/bucket/z")
    assert response.status == 502
    if method == "GET":
        assert error_code(response) == "BadGateway"
        check(nginx, "/bucket/e", b"\x1f\x8bpacked")
    assert nginx.head("/bucket/e")["content-encoding"] == "gzip"
    assert len(re.findall(r"\[error\].*decoded .*on its way", nginx.log())) \
        == 1
    assert origin.count(key="z") == 1


def test_renewal_of_an_encoded_object(sprox, origin):
    """A 304 need not repeat what the object's coding is."""
    origin.put("bucket", "e", b"\x1f\x8bpacked", headers={
        "x-goog-stored-content-encoding": "gzip", "Content-Encoding": "gzip"})
    nginx = sprox(valid="0")
    check(nginx, "/bucket/e", b"\x1f\x8bpacked")
    wait_idle(nginx)
    origin.script(key="e", headers={"x-goog-stored-content-encoding": "gzip"})
    response = check(nginx, "/bucket/e", b"\x1f\x8bpacked")
    assert response["content-encoding"] == "gzip"
    assert [e.status for e in origin.requests(key="e")] == [206, 304]


# names, listings, errors

NAMES = ["a_b", "under_score_1", "x" * 63,
         ".".join(["l" * 60] * 3) + ".end"]
BAD_NAMES = ["Upper.case", "-a-", "_a_", "a..b", "ab", "y" * 64,
             ".".join(["l" * 60] * 4)]


@pytest.mark.parametrize("bucket", NAMES, ids=len)
def test_names_of_buckets(sprox, origin, bucket):
    """Longer than S3's, and with '_': all of the cache is theirs too."""
    origin.put(bucket, "k", BODY)
    nginx = sprox()
    check(nginx, f"/{bucket}/k")
    assert nginx.head(f"/{bucket}").status == 200
    assert Lister(nginx.port, bucket).all() == ["k"]
    wait_idle(nginx)
    asked = origin.count()
    check(nginx, f"/{bucket}/k")
    assert nginx.head(f"/{bucket}/k").status == 200
    assert nginx.head(f"/{bucket}").status == 200
    assert origin.count() == asked


@pytest.mark.parametrize("bucket", BAD_NAMES, ids=len)
def test_names_that_no_bucket_has(sprox, origin, bucket):
    nginx = sprox()
    response = nginx.get(f"/{bucket}/k")
    assert response.status in (400, 404)
    assert error_code(response) in ("InvalidBucketName", "NoSuchBucket")
    assert origin.count() == 0


LISTING = """<?xml version='1.0' encoding='UTF-8'?>
<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>
<Name>bucket</Name><Prefix>y=2026/</Prefix><KeyCount>3</KeyCount>
<IsTruncated>false</IsTruncated>
<Contents><Key>y=2026/a</Key><Generation>1700000000000001</Generation>
<MetaGeneration>1</MetaGeneration>
<LastModified>2026-01-02T03:04:05.678Z</LastModified>
<ETag>"0123456789abcdef0123456789abcdef"</ETag><Size>7</Size></Contents>
<Contents><Key>y=2026/b</Key><Generation>1700000000000002</Generation>
<MetaGeneration>2</MetaGeneration>
<LastModified>2026-01-02T03:04:06.001Z</LastModified>
<ETag>"-composite-"</ETag><Size>0</Size><StorageClass>NEARLINE</StorageClass>
</Contents>
<CommonPrefixes><Prefix>y=2026/c/</Prefix></CommonPrefixes>
</ListBucketResult>"""


def test_a_listing_in_its_own_words(sprox, origin):
    nginx = sprox()
    origin.script(operation="ListObjectsV2", status=200,
                  body=LISTING.encode())
    page = Lister(nginx.port, "part").page(list_type=2, prefix="2026/",
                                           delimiter="/")
    assert page.items == ["2026/a", "2026/b", "2026/c/"]
    assert page.objects["2026/a"]["ETag"] \
        == '"0123456789abcdef0123456789abcdef"'
    assert page.objects["2026/a"]["Size"] == "7"
    assert page.objects["2026/a"]["LastModified"] \
        == "2026-01-02T03:04:05.000Z"
    assert page.objects["2026/b"]["StorageClass"] == "NEARLINE"
    assert "Generation" not in page.objects["2026/a"]
    entry, = origin.requests()
    check_signed([entry])
    assert urllib.parse.parse_qs(entry.query)["prefix"] == ["y=2026/"]


def test_listings(sprox, origin):
    keys = [f"y={y}/{i:03}" for y in (2025, 2026) for i in range(60)]
    for key in keys:
        origin.put("bucket", key, b"x")
    nginx = sprox()
    want = [key[2:] for key in keys]
    lister = Lister(nginx.port, "part")
    assert lister.all() == want
    assert lister.all(max_keys=7) == want
    assert lister.all(version=1, max_keys=50) == want
    assert lister.all(prefix="2026/") == want[60:]
    page = lister.page(list_type=2, delimiter="/")
    assert page.prefixes == ["2025/", "2026/"] and page.keys == []
    check_signed(origin.requests())
    client = s3_client(nginx.endpoint)
    assert "bucket" in [b["Name"] for b in client.list_buckets()["Buckets"]]
    check_signed(origin.requests(operation="ListBuckets"))


ERRORS = [(403, "AccessDenied", 403), (403, "SignatureDoesNotMatch", 403),
          (404, "NoSuchKey", 404), (404, "NoSuchBucket", 404),
          (400, "ExcessHeaderValues", 400), (429, "SlowDown", 429),
          (503, "ServiceUnavailable", 503), (500, "InternalError", 500)]


@pytest.mark.parametrize("status, code, seen", ERRORS)
def test_errors(sprox, origin, status, code, seen):
    """Google's document has Details; bucket and key are the alias's."""
    nginx = sprox("retries 0;")
    document = (f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}"
                "</Code><Message>Because.</Message><Details>GOOG1EXAMPLE may "
                "not read bucket/y=2026/k</Details></Error>").encode()
    origin.script(status=status, body=document)
    response = nginx.get("/part/2026/k")
    assert response.status == seen
    if code != "SignatureDoesNotMatch":
        assert error_code(response) == code
    else:
        assert error_code(response) == "AccessDenied"
    assert "<Key>2026/k</Key>" in response.text
    for word in ("y=2026", ACCESS, SECRET):
        assert word not in response.text
    # without a document there is but the status: too many is SlowDown
    assert nginx.head("/part/2026/j").status == (503 if seen == 429 else seen)
    assert SECRET not in nginx.log()


def test_errors_are_retried_as_s3s_are(sprox, origin):
    nginx = sprox("retries 2;")
    origin.script(status=429, code="SlowDown", times=1)
    origin.script(status=503, code="ServiceUnavailable", times=1)
    check(nginx)
    assert [e.status for e in origin.requests()][:2] == [503, 429]
    check_signed(origin.requests())
