"""
What clients cannot do: have anything of theirs sent to an origin or kept in
a cache key, get at what their alias does not show, leave a directory, pass a
limit, or read a secret.
"""

import hashlib
import hmac
import os
import re
import shutil
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from harness.nginx import ASAN
from harness.sprox import (LOG, cache_files, cache_keys, error_code, over,
                           serve)

BODY = bytes(range(256)) * 40
SPARE = 1 << 30 if ASAN else 0          # what is freed is kept for a while
MARK = "sprOXLeak"                      # in all that a client sends


# forwarding

# A signed request of ours; nothing else ever goes to an origin.
FIXED = {"user-agent": "sprox", "accept-encoding": "identity",
         "connection": "keep-alive"}
SIGNED = {"authorization", "x-amz-date", "x-amz-content-sha256",
          "x-amz-security-token"}
OBJECT = {"range", "if-match", "if-none-match"}
ARGUMENTS = {"list-type=2", "encoding-type=url", "prefix=p", "delimiter=%2F",
             "max-keys=8", "fetch-owner=true", "start-after=p1",
             "partNumber=1"}

LEAKS = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential={MARK}/20260101/us-east-1/"
                     f"s3/aws4_request, SignedHeaders=host;x-amz-date, "
                     f"Signature={'ab' * 32}",
    "Cookie": f"session={MARK}", "Proxy-Authorization": f"Basic {MARK}",
    "X-Amz-Security-Token": MARK, "X-Amz-Date": "20260101T000000Z",
    "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
    "x-amz-request-payer": MARK, "x-amz-expected-bucket-owner": MARK,
    "x-amz-checksum-mode": MARK, "x-amz-copy-source": f"/other/{MARK}",
    "x-amz-server-side-encryption-customer-key": MARK,
    "x-amz-meta-a": MARK, "X-Goog-User-Project": MARK,
    "X-Forwarded-For": "10.9.8.7", "X-Forwarded-Host": MARK,
    "X-Original-URL": f"/{MARK}", "X-Rewrite-URL": f"/{MARK}",
    "X-HTTP-Method-Override": "DELETE", "Forwarded": f"for={MARK}",
    "Via": f"1.1 {MARK}", "Referer": f"http://{MARK}/",
    "User-Agent": MARK, "Accept": f"text/{MARK}", "Accept-Encoding": "gzip",
    "Origin": f"http://{MARK}", "From": MARK, "Pragma": MARK,
    "Cache-Control": f"no-cache, {MARK}", "TE": "trailers",
    "Upgrade": "h2c", "Expect": "100-continue", "Max-Forwards": "1",
    "traceparent": MARK, "Content-Type": MARK, "X-Custom": MARK,
}
PRESIGNED = (f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={MARK}"
             f"%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="
             f"20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&"
             f"X-Amz-Signature={'cd' * 32}&X-Amz-Security-Token={MARK}")
PRESIGNED_2 = f"AWSAccessKeyId={MARK}&Signature={MARK}%3D&Expires=1893456000"

REQUESTS = [
    ("GET", "/bucket/key", {}), ("HEAD", "/bucket/head", {}),
    ("GET", "/bucket/range", {"Range": "bytes=5-9"}),
    ("GET", "/bucket/suffix", {"Range": "bytes=-9"}),
    ("GET", "/bucket/cond", {"If-None-Match": f'"{MARK}"',
                             "If-Match": "*", "If-Range": f'"{MARK}"'}),
    ("GET", "/bucket/part?partNumber=1", {}),
    ("GET", f"/bucket/over?response-content-type={MARK}&x-id=GetObject", {}),
    ("GET", "/bucket?list-type=2&prefix=p&delimiter=%2F&max-keys=7"
            "&fetch-owner=true&start-after=p1", {}),
    ("GET", "/bucket?prefix=p&delimiter=%2F&max-keys=7&marker=p1", {}),
    ("HEAD", "/bucket", {}), ("GET", "/bucket?location", {}), ("GET", "/", {}),
    ("GET", "/bucket/missing", {}),
]


@pytest.mark.parametrize("cache", ["nvme", "off"])
@pytest.mark.parametrize("query", ["", PRESIGNED, PRESIGNED_2])
def test_nothing_of_a_client_is_forwarded(make_nginx, origin, query, cache):
    for key in "key", "head", "range", "suffix", "cond", "part", "over":
        origin.put("bucket", key, BODY)
    nginx = serve(make_nginx, origin.endpoint, cache=cache,
                  credentials="static AKOURS SKOURS TOKENOURS")

    with nginx.client() as client:
        for method, target, headers in REQUESTS:
            if query:
                target += ("&" if "?" in target else "?") + query
            response = client.request(method, target, {**LEAKS, **headers})
            assert response.status in (200, 206, 404), (target, response)

    requests = origin.requests()
    assert len(requests) >= len(REQUESTS) - 1       # ?location asks nothing
    for entry in requests:
        assert {n: entry.headers[n] for n in FIXED} == FIXED, entry
        assert entry.headers["host"] == f"127.0.0.1:{origin.port}"
        allowed = {"host", *FIXED, *SIGNED}
        if entry.operation.endswith("Object"):
            allowed |= OBJECT
        assert set(entry.headers) <= allowed, entry
        assert SIGNED <= set(entry.headers)
        assert "AKOURS/" in entry.headers["authorization"]
        assert entry.headers["x-amz-security-token"] == "TOKENOURS"
        assert entry.method in ("GET", "HEAD")
        assert set(filter(None, entry.query.split("&"))) <= ARGUMENTS, entry
        if cache == "nvme":
            # (without a cache the origin may answer a condition itself)
            assert MARK not in repr(entry)


def test_cache_keys_hold_nothing_of_a_client(make_nginx, origin):
    """One object is one slice, whoever asks with whatever."""
    known = origin.put("bucket", "key", BODY)
    nginx = serve(make_nginx, origin.endpoint, more="sprox_list cached 5m;")
    for query in "", PRESIGNED, PRESIGNED_2, "x-id=GetObject", f"foo={MARK}":
        for headers in {}, LEAKS:
            response = nginx.get(f"/bucket/key?{query}", headers)
            assert response.body == BODY
            page = nginx.get(f"/bucket?list-type=2&{query}", headers)
            assert page.status == 200

    assert origin.count(operation="GetObject") == 1
    assert origin.count(operation="ListObjectsV2") == 1
    assert sorted(cache_keys(nginx)) == [
        f"sprox store bucket key {known.etag}-{len(BODY)} 65536 0",
        "sprox-list store bucket prefix= delimiter= max=1000 after="]
    for path in cache_files(nginx):
        assert MARK.encode() not in path.read_bytes()
    metrics = nginx.get("/metrics").text
    assert MARK not in metrics


def test_presigned_queries_are_not_logged(make_nginx, origin):
    """A presigned URL is a credential, until it expires."""
    origin.bucket("bucket")
    nginx = serve(make_nginx, origin.endpoint, http_more="")
    for query in PRESIGNED, PRESIGNED_2:
        assert nginx.get(f"/bucket/absent?{query}").status == 404
        assert nginx.request("PUT", f"/bucket/key?{query}").status == 501
        assert nginx.get(f"/bucket?{query}&list-type=7").status == 400
    nginx.get("/bucket/absent?plain=seen")
    log = nginx.wait_log('request: "GET /bucket/absent[?]plain=seen HTTP/1.1"')
    assert log
    assert "answered 404 NoSuchKey" in nginx.log()
    assert 'request: "GET /bucket/absent HTTP/1.1"' in nginx.log()
    assert 'request: "PUT /bucket/key HTTP/1.1"' in nginx.log()
    logs = nginx.log() + "".join(nginx.access_log())
    assert MARK not in logs
    assert "cd" * 32 not in logs


# names

ODD = ["a b", "a%b", "a?b", "a#b", "a\r\nHost: evil\r\n\r\nGET /x HTTP/1.1",
       "a HTTP/1.1", "a\tb", "a\x7fb", "a\x01b", "a\nb", "\\..\\x", "@evil/x",
       "//evil.test/x", "http://evil.test/", "%2e%2e/x", "%0d%0aX: y", "a&b=c",
       "*", "?", "#", "é", "a/../b", "a/./b", "...", "..a/b..", "a//b"]


def encoded(key: str) -> str:
    return "".join(chr(b) if chr(b).isalnum() and b < 128 or chr(b) in "-_.~/"
                   else f"%{b:02X}" for b in key.encode())


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_keys_stay_in_the_request_line(make_nginx, origin, dns, style):
    for name in "s3.test", "bucket.s3.test":
        dns.names[name] = ["127.0.0.1"]
    nginx = make_nginx("""
        resolver @dns@ ipv6=off;
        proxy_cache_path @dir@/cache keys_zone=nvme:8m;
        sprox_origin store {
            endpoint http://s3.test:@origin@; region us-east-1; style @style@;
            credentials anonymous;
        }
        sprox_alias $bucket { target store://$bucket/; cache nvme; }
        server { listen 127.0.0.1:@port@; location / { sprox on; } }""",
        dns=dns.address, origin=origin.port, style=style)
    for key in ODD:
        origin.journal.clear()
        origin.put("bucket", key, key.encode())
        response = nginx.get("/bucket/" + encoded(key))
        assert response.body == key.encode(), key
        entry, = origin.requests()
        assert entry.path == ("/bucket/" if style == "path" else "/") \
            + encoded(key)
        assert entry.query == "" and entry.key == key
        assert entry.headers["host"].endswith(f":{origin.port}")
        assert "evil" not in repr(entry.headers)


HOSTS = ["evil.test", "bucket.evil.test", "a@b", "127.0.0.1:1", "[::1]",
         "..s3.test", "a..s3.test", "-a.s3.test", "s3.test.", "%2e%2e.s3.test",
         "a_b.s3.test", "x" * 64 + ".s3.test", "a/b.s3.test"]


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_lead_nowhere_else(make_nginx, origin, host):
    """Whatever the Host says, it is a bucket of the origin's or nothing."""
    origin.put("bucket", "key", BODY)
    nginx = serve(make_nginx, origin.endpoint,
                  http_more=LOG + "sprox_domain s3.test;")
    for target in "/bucket/key", "http://evil.test/bucket/key", "//bucket/key":
        response = nginx.get(target, {"Host": host})
        assert response.status == 400 or response.status == 404 \
            or response.body == BODY
    for entry in origin.requests():
        assert entry.headers["host"] == f"127.0.0.1:{origin.port}"
        assert re.fullmatch("[a-z0-9]([a-z0-9.-]*[a-z0-9])?", entry.bucket)


BUCKETS = ["..", ".", "a..b", "-ab", "ab-", "AB", "a_b", "ab", "a" * 64,
           "127.0.0.1", "a%2Fb", "a%2F..%2Fb", "a%00b", "a%0d%0ab", "a%20b",
           "a%3Fb", "a%23b", "a%40b", "a%3A80", "%2e%2e", "%C3%A9", "a,b"]


@pytest.mark.parametrize("dialect", ["s3", "gcs", "file"])
def test_bucket_names_are_checked_first(make_nginx, origin, tmp_path, dialect):
    (tmp_path / "root/bucket").mkdir(parents=True)
    (tmp_path / "secret").write_text("SECRET")
    nginx = make_nginx("""
        proxy_cache_path @dir@/cache keys_zone=nvme:8m;
        sprox_origin store { @origin@ }
        sprox_alias $bucket { target store://$bucket/; cache nvme; }
        server { listen 127.0.0.1:@port@; location / { sprox on; } }""",
        origin=f"dialect file; root {tmp_path}/root;" if dialect == "file"
        else f"dialect {dialect}; endpoint {origin.endpoint}; region us-east-1;"
             f" credentials anonymous;")
    for name in BUCKETS:
        if dialect == "gcs" and name == "a_b":
            continue                    # Google's rules have it
        for target in f"/{name}/key", f"/{name}", f"/{name}?list-type=2":
            response = nginx.get(target)
            assert response.status in (400, 404), (target, response)
    assert origin.requests() == []


# aliases

def test_keys_do_not_leave_their_alias(make_nginx, versity, bucket):
    """The store takes ".." for the directory above; S3 has it as a name."""
    versity.put(bucket, {"in/a": b"inside", "in/x/a": b"below",
                         "secret": b"SECRET", "out/b": b"SECRET"})
    versity.put(bucket + "2", {"x": b"SECRET"})
    nginx = over(make_nginx, versity, http_more=LOG + f"""
        sprox_alias table {{ target store://{bucket}/in/; }}
        sprox_alias tab-2/raw {{ target store://{bucket}/in/; }}
        sprox_alias tab-3/$y/$m {{ target store://{bucket}/in/$y/$m; }}
        sprox_alias tab-4/$y {{ target store://{bucket}/in/.$y; }}""")
    assert nginx.get("/table/a").body == b"inside"
    assert nginx.get("/table/x/../a").body == b"inside"
    assert nginx.get("/tab-2/raw/x/a").body == b"below"

    versity.journal.clear()
    for target in (
            "/table/../secret", "/table/%2e%2e/secret", "/table/..%2fsecret",
            "/table/x/../../secret", "/table//../secret", "/table/./../secret",
            "/table/..", "/table/../in/a", "/tab-2/raw/../secret",
            "/tab-2/raw/..%2fsecret", "/tab-2/raw/../in/a",
            "/tab-3/../out/b", "/tab-3/x/../../secret", "/tab-3/x/../../out/b",
            "/tab-4/./secret", f"/{bucket}/../{bucket}2/x",
            f"/{bucket}/x/../../{bucket}2/x"):
        for method in "GET", "HEAD", "PURGE":
            response = nginx.request(method, target)
            assert response.status == 400, (method, target, response)
            if method == "GET":
                assert error_code(response) == "InvalidURI"
    assert versity.journal.requests() == []


def test_locations_are_not_walked_around(make_nginx, versity, bucket):
    """nginx decides by a cleaned path, the store is asked for the raw one."""
    versity.put(bucket, {"open/k": b"public", "shut/k": b"SECRET"})
    nginx = over(make_nginx, versity, server_more=f"""
        location /{bucket}/shut/ {{ deny all; }}
        location /gone/ {{ deny all; }}""",
        http_more=LOG + f"sprox_alias gone {{ target store://{bucket}/; }}")
    assert nginx.get(f"/{bucket}/open/k").body == b"public"
    for path in ("/{b}/shut/k", "/{b}//shut/k", "//{b}/shut/k", "/{b}/./shut/k",
                 "/{b}/%73hut/k", "/{b}%2fshut/k", "/{b}/shut%2fk",
                 "/{b}/open/../shut/k", "/{b}/open/%2e%2e/shut/k",
                 "/{b}/open#/../shut/k", "/{b}/open?/../shut/k",
                 "/{b}/open/k#/../../shut/k", "/gone/shut/k", "/x/../gone/k",
                 "/gone/../{b}/shut/k", "/{b}/../gone/shut/k",
                 "/gone/../{b}/open/../shut/k", "/gone/../{b}/x",
                 "http://h/{b}/shut/k", "http://h/gone/../{b}/open#/../shut/k",
                 "/gone#/../../{b}/open/k"):
        target = path.format(b=bucket)
        for method in "GET", "HEAD":
            response = nginx.request(method, target)
            assert response.status in (400, 403, 404), (target, response)
            assert b"SECRET" not in response.body


# the file dialect

FILES = """
    proxy_cache_path @dir@/cache keys_zone=nvme:8m;
    sprox_origin disk { dialect file; root @root@; }
    sprox_cache @cache@;
    sprox_valid 0;
    sprox_valid_missing 0;
    sprox_alias $bucket { target disk://$bucket/; }
    server { listen 127.0.0.1:@port@; location / { sprox on; } }
"""


@pytest.fixture
def root():
    """Not below pytest's own folders, which only their owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sprox-safety-"))
    os.chmod(folder, 0o755)
    (folder / "root/bucket/dir").mkdir(parents=True)
    (folder / "root/bucket/key").write_text("public")
    (folder / "root/bucket/dir/key").write_text("public")
    (folder / "outside").mkdir()
    (folder / "outside/key").write_text("SECRET")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_the_root_is_not_left(make_nginx, root, cache):
    bucket = root / "root/bucket"
    outside = root / "outside"
    (bucket / "link").symlink_to(outside / "key")
    (bucket / "relative").symlink_to("../../outside/key")
    (bucket / "inner").symlink_to("key")
    (bucket / "linkdir").symlink_to(outside)
    (bucket / "dir/up").symlink_to("..")
    (bucket / "magic").symlink_to("/proc/self/root/etc/passwd")
    (bucket / "loop").symlink_to("loop")
    (root / "root/linked").symlink_to(outside)
    os.mkfifo(bucket / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(bucket / "socket"))
    devices = []
    if os.getuid() == 0:
        try:
            os.mknod(bucket / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
            devices = ["zero"]
        except PermissionError:         # a container without mknod
            pass

    nginx = make_nginx(FILES, root=root / "root", cache=cache)
    assert nginx.get("/bucket/key").body == b"public"
    for key in ("link", "relative", "inner", "linkdir/key", "linkdir",
                "dir/up/key", "magic", "loop", "fifo", "socket", *devices,
                "dir", "dir/", "key/", "key/x", "../outside/key",
                "dir/../../../outside/key", "dir/../key", "./key", "dir//key",
                "/key", ".", "..", "%2e%2e/%2e%2e/outside/key"):
        for method in "GET", "HEAD":
            response = nginx.request(method, f"/bucket/{key}")
            assert response.status in (400, 404), (key, response)
            assert b"SECRET" not in response.body
    for bad in "linked", "..", "%2e%2e", "bucket%2f..", ".":
        assert nginx.get(f"/{bad}/key").status in (400, 404), bad

    listing = nginx.get("/bucket?list-type=2").text
    assert re.findall("<Key>(.*?)</Key>", listing) == ["dir/key", "key"]
    for prefix in ("linkdir%2F", "dir%2Fup%2F", "..%2F", "%2F", "dir%2F..%2F",
                   "..%2F..%2Foutside%2F", ".%2F"):
        listing = nginx.get(f"/bucket?list-type=2&prefix={prefix}").text
        assert "<KeyCount>0</KeyCount>" in listing, prefix
    assert nginx.get("/linked?list-type=2").status == 404
    names = re.findall("<Name>(.*?)</Name>", nginx.get("/").text)
    assert names == ["bucket"]
    sock.close()


@pytest.mark.parametrize("what", ["file", "folder", "bucket"])
def test_a_link_that_comes_meanwhile(make_nginx, root, what):
    """A file, its folder or its bucket is swapped for a link and back."""
    place = {"file": "bucket/dir/key", "folder": "bucket/dir",
             "bucket": "bucket"}[what]
    place, spare = root / "root" / place, root / "spare"
    target = {"file": root / "outside/key", "folder": root / "outside",
              "bucket": root / "outside"}[what]
    (root / "outside/dir").mkdir()
    (root / "outside/dir/key").write_text("SECRET")
    nginx = make_nginx(FILES, root=root / "root", cache="off")
    stop = threading.Event()
    swaps = []

    def swap():
        while not stop.is_set():
            place.rename(spare)
            place.symlink_to(target)
            place.unlink()
            spare.rename(place)
            swaps.append(1)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = set()
        while len(seen) < 2 or len(swaps) < 200:
            response = nginx.get("/bucket/dir/key")
            seen.add(response.status)
            assert (response.status, response.body) == (200, b"public") \
                or response.status in (404, 503), response
            listing = nginx.get("/bucket?list-type=2")
            assert b"outside" not in listing.body
    finally:
        stop.set()
        thread.join()
    assert 200 in seen


def test_what_may_not_be_read(make_nginx, root):
    bucket = root / "root/bucket"
    (bucket / "key").chmod(0)
    (bucket / "dir").chmod(0)
    words = {"user": "user nobody nogroup;"} if os.getuid() == 0 else {}
    nginx = make_nginx(FILES, root=root / "root", cache="off", **words)
    for target in "/bucket/key", "/bucket/dir/key", "/bucket?list-type=2":
        response = nginx.get(target)
        assert response.status == 403, (target, response)
        assert error_code(response) == "AccessDenied"
    assert "Permission denied" in nginx.log()
    (bucket / "dir").chmod(0o755)


# limits

WIDE = "large_client_header_buffers 8 512k;"
LIMITS = [
    ("key", "/bucket/" + "k" * 1024, {}, 404, "NoSuchKey"),
    ("key", "/bucket/" + "k" * 1025, {}, 400, "KeyTooLongError"),
    ("key", "/bucket/" + "%6b" * 1025, {}, 400, "KeyTooLongError"),
    ("path", "/bucket/" + "k" * 300000, {}, 400, "KeyTooLongError"),
    ("bucket", "/" + "b" * 256 + "/k", {}, 400, "InvalidBucketName"),
    ("query", "/bucket/k?" + "q" * 8192, {}, 404, "NoSuchKey"),
    ("query", "/bucket/k?" + "q" * 8193, {}, 400,
     "RequestHeaderSectionTooLarge"),
    ("query", "/bucket/k?" + "q" * 300000, {}, 400,
     "RequestHeaderSectionTooLarge"),
    ("arguments", "/bucket/k?" + "&a=1" * 64, {}, 404, "NoSuchKey"),
    ("arguments", "/bucket/k?" + "&a=1" * 65, {}, 400,
     "RequestHeaderSectionTooLarge"),
    ("prefix", "/bucket?list-type=2&prefix=" + "p" * 1025, {}, 400,
     "InvalidArgument"),
    ("delimiter", "/bucket?list-type=2&delimiter=" + "p" * 1025, {}, 400,
     "InvalidArgument"),
    ("marker", "/bucket?marker=" + "p" * 1025, {}, 400, "InvalidArgument"),
    ("token", "/bucket?list-type=2&continuation-token=" + "p" * 2049, {}, 400,
     "InvalidArgument"),
    ("max-keys", "/bucket?list-type=2&max-keys=" + "9" * 400, {}, 400,
     "InvalidArgument"),
    ("part", "/bucket/k?partNumber=" + "9" * 400, {}, 400, "InvalidArgument"),
    ("condition", "/bucket/k", {"If-Match": "x" * 300000}, 404, "NoSuchKey"),
    ("range", "/bucket/k", {"Range": "bytes=" + "9" * 300000 + "-"}, 404,
     "NoSuchKey"),
    ("signature", "/bucket/k", {"Authorization": "AWS4-HMAC-SHA256 "
                                + "a" * 300000}, 404, "NoSuchKey"),
    ("cookie", "/bucket/k", {"Cookie": "x" * 300000}, 404, "NoSuchKey"),
]


def test_limits(make_nginx, origin):
    origin.bucket("bucket")
    nginx = serve(make_nginx, origin.endpoint, server_more=WIDE)
    with nginx.client() as client:
        for what, target, headers, status, code in LIMITS:
            origin.journal.clear()
            response = client.request("GET", target, headers)
            assert (response.status, error_code(response)) \
                == (status, code), (what, len(target))
            assert origin.count() == (status == 404), what
            for entry in origin.requests():
                assert len(repr(entry)) < 4096, what


def test_limits_of_nginx_come_first(make_nginx, origin):
    """With its defaults: an error that is none of S3's, and nothing asked."""
    nginx = serve(make_nginx, origin.endpoint)
    many = {f"X-{i}": "v" * 100 for i in range(1000)}
    for target, headers, status in (
            ("/bucket/" + "k" * 9000, {}, 414),
            ("/bucket/k", {"Cookie": "x" * 9000}, 400),
            ("/bucket/k", many, 400)):
        assert nginx.get(target, headers).status == status
    assert origin.requests() == []


RANGES = [
    "bytes=" + ",".join(f"{i}-{i}" for i in range(10000)),
    "bytes=" + ",".join(["0-"] * 10000), "bytes=" + "-1," * 10000,
    "bytes=" + "," * 100000, "bytes=0-0" + " " * 100000 + ",1-1",
    "bytes=" + "0" * 100000 + "-", "bytes=-" + "9" * 100000,
]


@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_ten_thousand_ranges(make_nginx, origin, cache):
    """One header, one answer, as S3 gives it: the whole object."""
    origin.put("bucket", "key", BODY)
    nginx = serve(make_nginx, origin.endpoint, server_more=WIDE, cache=cache)
    idle = nginx.rss()
    for header in RANGES:
        for _ in range(2):
            response = nginx.get("/bucket/key", {"Range": header})
            assert (response.status, response.body) == (200, BODY)
    assert origin.count() == (1 if cache == "nvme" else 2 * len(RANGES))
    assert nginx.rss() < idle + (16 << 20) + SPARE


@pytest.mark.parametrize("target", ["/bucket/key", "/bucket/absent",
                                    "/bucket?list-type=2"])
def test_thousands_in_one_pipeline(make_nginx, origin, target):
    origin.put("bucket", "key", BODY)
    nginx = serve(make_nginx, origin.endpoint, more="sprox_list cached 1h;"
                  "keepalive_requests 100000;")
    count, found = 3000, {"/bucket/key": 206, "/bucket/absent": 404}
    request = (f"GET {target} HTTP/1.1\r\nHost: h\r\nRange: bytes=5-9\r\n\r\n"
               ).encode()
    nginx.get(target)
    with nginx.client() as client:
        idle = nginx.rss()
        writer = threading.Thread(target=client.sock.sendall,
                                  args=(request * count,))
        writer.start()
        for _ in range(count):
            response = client.read()
            assert response.status == found.get(target, 200)
            if target == "/bucket/key":
                assert response.body == BODY[5:10]
        writer.join()
        assert nginx.rss() < idle + (8 << 20) + SPARE


# secrets

ID, SECRET = "AKIDOFOURS", "secretOfOurs/with+all=of/its=chars"
TOKEN = "tokenOfOurs/" + "t+/=" * 200


def signing_keys(secret: str, date: str) -> list:
    """What is derived from the secret on the way to a signature."""
    keys = [b"AWS4" + secret.encode()]
    for part in date, "us-east-1", "s3", "aws4_request":
        keys.append(hmac.new(keys[-1], part.encode(), hashlib.sha256).digest())
    return keys


PAGE, LARGEST = 4096, 1 << 30


def memory(pid: int) -> bytes:
    """All that a worker has written to, but for what it shares."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, mode, _, _, inode, *name = line.split()
            if mode != "rw-p" or name[:1] == ["[vvar]"]:
                continue
            first, last = (int(n, 16) for n in span.split("-"))
            if last - first > LARGEST:  # AddressSanitizer's own
                continue
            mem.seek(first)
            data = mem.read(last - first)
            found += filter(lambda page: page.strip(b"\0"), (
                data[at:at + PAGE] for at in range(0, len(data), PAGE)))
            found.append(b"\0")
    return b"".join(found)


def test_secrets_are_wiped_and_told_nobody(make_nginx, origin):
    for number in range(20):
        origin.put("bucket", f"k{number}", BODY)
    nginx = serve(make_nginx, origin.endpoint, retries="1",
                  credentials=f'static {ID} "{SECRET}" "{TOKEN}"',
                  origin_more="read_timeout 1s;")
    worker = nginx.worker_pids()[0]
    before = memory(worker).count(TOKEN.encode())
    assert before >= 1                  # it is found where it belongs
    said = []

    def ask(target: str, *statuses: int) -> None:
        response = nginx.get(target)
        assert response.status in statuses, response
        said.append(response.text + str(response.header_list))

    for number in range(20):
        ask(f"/bucket/k{number}", 200)
    ask("/bucket?list-type=2", 200)
    ask("/bucket/absent", 404)
    for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId",
                 "ExpiredToken", "AccessDenied"):
        origin.script(status=403, code=code, key="absent", times=1)
        ask("/bucket/absent", 403, 502)
    origin.script(status=503, key="absent", times=1)
    ask("/bucket/absent", 404)
    origin.script(raw=b"", key="absent", times=1)
    ask("/bucket/absent", 404)
    origin.script(delay=1.5, key="absent", times=2)
    ask("/bucket/absent", 504)
    origin.journal.wait_idle()
    origin.stop()                       # now connections are refused
    ask("/bucket/absent", 502)
    said.append(nginx.get("/metrics").text)

    requests = origin.requests()
    signatures = [re.search("Signature=([0-9a-f]{64})$",
                            e.headers["authorization"])[1] for e in requests]
    assert len(set(signatures)) > 20
    assert {e.headers["x-amz-security-token"] for e in requests} == {TOKEN}

    text = "".join(said) + nginx.log() + "".join(nginx.access_log()) \
        + (nginx.dir / "sprox.log").read_text()
    for secret in SECRET, TOKEN, TOKEN[:40], *signatures:
        assert secret not in text
    for path in cache_files(nginx):
        data = path.read_bytes()
        assert SECRET.encode() not in data and TOKEN.encode() not in data

    # the worker knows its credential, and nothing that it made of it
    left = memory(worker)
    assert left.count(TOKEN.encode()) == before
    assert b"x-amz-security-token:" + TOKEN[:9].encode() not in left
    assert [s for s in signatures if s.encode() in left] == []
    for date in {e.headers["x-amz-date"][:8] for e in requests}:
        for key in signing_keys(SECRET, date):
            assert key not in left


@pytest.mark.parametrize("words", [
    f'static {ID} "{SECRET}" "{TOKEN}" more', f'static "" "{SECRET}"',
    f'static {ID} "{SECRET} x"', f'static {ID} "{SECRET}" "{TOKEN} y"',
    f'statik {ID} "{SECRET}"', f'"{SECRET}"',
    f'static {ID} "{SECRET}"; credentials static {ID} "{SECRET}"',
])
def test_a_bad_configuration_does_not_tell(make_nginx, origin, words):
    nginx = serve(make_nginx, origin.endpoint, start=False, credentials=words)
    code, said = nginx.check()
    assert code != 0 and "credentials" in said
    assert SECRET not in said and TOKEN not in said
