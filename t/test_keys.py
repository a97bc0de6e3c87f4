"""
Keys are bytes: each is read, headed and listed as at the origin, whichever
way a client writes it.
"""

import re
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from harness import s3xml, wire
from harness.keys import (ALL, CONTROL, LINES, LONG, LONGEST, NO_UTF8, PLAIN,
                          SEGMENTS, every_byte, least, strict)
from harness.listing import Lister, expected, parse, query
from harness.sprox import LOG, cache_keys, error_code, over, serve, wait_idle
from harness.versity import s3_client

WRITTEN = [strict, every_byte, least]
SAME = ("etag", "content-length", "last-modified", "content-type",
        "x-amz-meta-a")

# what versitygw, over a directory, stores under no other name
STORED = PLAIN + LINES + CONTROL
PREFIX = "in/s p/"


def of(key: str) -> bytes:
    """The body of that key, which no other has."""
    return b"<" + s3xml.order(key) + b">"


@pytest.fixture
def filled(origin):
    origin.bucket("bucket")
    for key in ALL:
        origin.put("bucket", key, of(key), meta={"a": strict(key)[:99]})
    return origin


@pytest.fixture
def sprox(make_nginx, filled):
    return serve(make_nginx, filled.endpoint, http_more=LOG + """
        sprox_domain s3.test;
        sprox_alias side { target "store://bucket/in/s p/"; }
        sprox_alias day/$d { target store://bucket/in/$d; }""",
        server_more="keepalive_requests 100000;")


def same(mine: wire.Response, theirs: wire.Response) -> None:
    assert mine.status == theirs.status == 200, (mine, theirs)
    assert mine.body == theirs.body
    for name in SAME:
        assert mine.get(name) == theirs.get(name), name


# objects

@pytest.mark.parametrize("write", WRITTEN, ids=lambda f: f.__name__)
def test_read_and_head(filled, sprox, write):
    with sprox.client() as client, wire.Client(filled.port) as direct:
        for key in ALL:
            target = "/bucket/" + strict(key)
            path = b"/bucket/" + s3xml.order(write(key)) \
                if write is not least else b"/bucket/" + write(key)
            for method in "HEAD", "GET", "GET":
                mine = client.request(method, path)
                same(mine, direct.request(method, target))
                assert mine.body == (of(key) if method == "GET" else b"")


def test_what_the_origin_is_asked(filled, sprox):
    """Once for each key, by its own name, in the one strict spelling."""
    filled.journal.clear()
    with sprox.client() as client:
        for key in ALL:
            for write in strict, every_byte, strict:
                path = "/bucket/" + write(key)
                assert client.request("GET", path).body == of(key)
    wait_idle(sprox)
    assert [e.path for e in filled.requests()] \
        == ["/bucket/" + strict(key) for key in ALL]
    assert {e.key for e in filled.requests()} == set(ALL)
    # and no two share a slice
    assert len(set(cache_keys(sprox))) == len(ALL)


def test_virtual_hosted(filled, sprox):
    headers = {"Host": "bucket.s3.test"}
    with sprox.client() as client:
        for key in ALL:
            for write in strict, every_byte:
                response = client.request("GET", "/" + write(key), headers)
                assert response.body == of(key), key


@pytest.mark.parametrize("here, there", [
    ("/side/", PREFIX), ("/day/1/", "in/1/")])
def test_below_other_names(filled, sprox, here, there):
    """What an alias puts in front leaves the rest as it is."""
    keys = [k for k in ALL if len(s3xml.order(there + k)) <= LONGEST]
    for key in keys:
        filled.put("bucket", there + key, of(key))
    with sprox.client() as client:
        for key in keys:
            response = client.request("GET", here + strict(key))
            assert response.body == of(key), (key, response)


def test_a_key_too_long(filled, sprox):
    filled.journal.clear()
    for path in ("z" * 1025, "%20" * 1025, "é" * 512 + "x", "z" * 5000,
                 "/" * 1025, "a/" * 512 + "x"):
        target = "/bucket/" + (path if "%" in path else strict(path))
        for method in "GET", "PURGE":
            response = sprox.request(method, target)
            assert (response.status, error_code(response)) \
                == (400, "KeyTooLongError")
        assert sprox.head(target).status == 400
    # what is put in front counts
    name = "y" * (LONGEST - len(PREFIX))
    assert sprox.get("/side/" + name).status == 404
    response = sprox.get("/side/" + name + "y")
    assert (response.status, error_code(response)) == (400, "KeyTooLongError")
    assert {e.path for e in filled.requests()} \
        == {"/bucket/" + strict(PREFIX) + name}


def test_paths_that_are_none(filled, sprox):
    """Refused, by nginx itself or by sprox, and nothing is asked."""
    filled.journal.clear()
    for path in ("/bucket/../../a", "/..", "/bucket/%2e%2e/%2e./a",
                 "/bucket/a%00b", "/bucket/%00", "/bucket/%", "/bucket/%g0",
                 "/bucket/a%2", b"/bucket/a\x01b", b"/bucket/a\x7fb"):
        response = sprox.get(path)
        assert response.status == 400, path
        assert b"<center>nginx" in response.body, path
    # the dots leave the bucket, and in it there is nothing above
    for path in ("/bucket/../a", "/bucket/..", "/bucket/a/../../b"):
        response = sprox.get(path)
        assert (response.status, error_code(response)) \
            == (400, "InvalidURI"), path
    assert filled.requests() == []


# listings

@pytest.mark.parametrize("version", [1, 2])
def test_listed_as_at_the_origin(filled, sprox, version):
    keys = [k for k in ALL if k not in NO_UTF8]
    filled.put("bucket", "other", b"x")
    mine = Lister(sprox.port, "bucket")
    theirs = Lister(filled.port, "bucket")
    start = {"list_type": 2} if version == 2 else {}
    after = "start_after" if version == 2 else "marker"

    for encoding in "url", "":
        for key in keys:
            # a parser takes the answer only if XML can carry what it names
            if not encoding and any(c.startswith(key)
                                    for c in CONTROL + NO_UTF8):
                continue
            params = {**start, "encoding_type": encoding, "prefix": key}
            got, want = mine.page(**params), theirs.page(**params)
            assert got.items == want.items == expected(ALL + ["other"], key)
            assert got.objects.keys() == want.objects.keys()
            for name, fields in got.objects.items():
                for field in "ETag", "Size", "StorageClass", "LastModified":
                    assert fields[field] == want.objects[name][field]
            assert got.fields["Prefix"] == want.fields["Prefix"] == key
    for key in ALL:
        page = mine.page(**start, encoding_type="url", max_keys=3,
                         **{after: key})
        assert page.items == expected(ALL + ["other"], after=key)[:3], key
    assert mine.all(version=version, delimiter="/") \
        == expected(ALL + ["other"], delimiter="/")
    mine.close()
    theirs.close()


def raw_keys(body: bytes) -> list:
    """Of a document that a parser may refuse."""
    named = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"',
             b"apos": b"'"}

    def value(match) -> bytes:
        name = match[1]
        if not name.startswith(b"#"):
            return named[name]
        number = int(name[2:], 16) if name[1:2] == b"x" else int(name[1:])
        return chr(number).encode()

    return [re.sub(rb"&(#?\w+);", value, key)
            for key in re.findall(rb"<Contents><Key>([^<]*)</Key>", body)]


def test_listed_without_encoding(filled, sprox):
    """As S3: references also to characters that XML 1.0 does not have."""
    response = sprox.get("/bucket?list-type=2")
    assert response.status == 200
    want = [s3xml.order(k).decode("utf-8", "replace")
            for k in sorted(ALL, key=s3xml.order)]
    got = [k.decode("utf-8") for k in raw_keys(response.body)]
    assert [k for k in got if "�" not in k] \
        == [k for k in want if "�" not in k]
    assert len(got) == len(want)
    assert not re.search(rb"[\x00-\x08\x0b-\x1f]", response.body)


def test_a_prefix_too_long(sprox):
    for name in "prefix", "start-after", "delimiter":
        text = query({"list-type": 2, name: "z" * 1025})
        response = sprox.get("/bucket?" + text)
        assert (response.status, error_code(response)) \
            == (400, "InvalidArgument"), name


# clients

def boto3_reads(client, bucket: str, keys: list) -> None:
    for key in keys:
        got = client.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == of(key)
        head = client.head_object(Bucket=bucket, Key=key)
        assert (head["ETag"], head["ContentLength"]) \
            == (got["ETag"], len(of(key)))
        listed = client.list_objects_v2(Bucket=bucket, Prefix=key)
        assert [(o["Key"], o["ETag"]) for o in listed["Contents"]
                if o["Key"] == key] == [(key, head["ETag"])], key


def test_boto3(filled, sprox):
    keys = [k for k in ALL if k not in NO_UTF8]
    client = s3_client(sprox.endpoint, "any", "key")
    boto3_reads(client, "bucket", keys)
    found = [o["Key"] for page in client.get_paginator("list_objects_v2")
             .paginate(Bucket="bucket", Prefix="a", PaginationConfig={
                 "PageSize": 3}) for o in page["Contents"]]
    # boto3 has no names for bytes that are no UTF-8
    assert [k for k in found if "\ufffd" not in k] == expected(keys, "a")
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket="bucket", Key="z" * 1025)
    assert error.value.response["Error"]["Code"] == "KeyTooLongError"
    client.close()


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_presigned(filled, sprox, signature):
    """Who holds a URL sends it as it is; nothing of it goes further."""
    filled.journal.clear()
    client = s3_client(sprox.endpoint, "any", "key",
                       signature_version=signature)
    for key in [k for k in ALL if k not in NO_UTF8]:
        for method in "get", "head":
            url = urlsplit(client.generate_presigned_url(
                f"{method}_object", Params={"Bucket": "bucket", "Key": key}))
            assert "Signature=" in url.query
            # urlsplit() takes a leading "//" of a path for itself
            target = url.path + "?" + url.query
            response = sprox.request(method.upper(), target)
            assert response.status == 200, (target, response)
            assert response["Content-Length"] == str(len(of(key)))
            assert response.body == (of(key) if method == "get" else b"")
    client.close()
    for entry in filled.requests():
        assert entry.query == ""
        assert "authorization" not in entry.headers


# other stores

def test_the_real_store(make_nginx, versity, bucket):
    keys = STORED + ["d/"]
    versity.put(bucket, {key: of(key) for key in STORED})
    versity.put(bucket, {"d/": b""})
    nginx = over(make_nginx, versity,
                 server_more="keepalive_requests 100000;")
    direct = versity.client()
    through = s3_client(nginx.endpoint, "any", "key")

    for key in keys:
        for method in "get_object", "head_object":
            mine = getattr(through, method)(Bucket=bucket, Key=key)
            theirs = getattr(direct, method)(Bucket=bucket, Key=key)
            for name in "ETag", "ContentLength", "LastModified":
                assert mine[name] == theirs[name], (key, name)
            if method == "get_object":
                assert mine["Body"].read() == theirs["Body"].read() \
                    == (of(key) if key != "d/" else b"")

    # versitygw writes U+FFFD for what XML cannot carry
    for call in "list_objects", "list_objects_v2":
        for params in {}, {"Delimiter": "/"}, {"Prefix": "a"}, {"Prefix": "%"}:
            mine = getattr(through, call)(Bucket=bucket, **params)
            theirs = getattr(direct, call)(Bucket=bucket, **params)
            for listed in mine, theirs:
                listed["names"] = sorted(
                    [(o["Key"], o["ETag"], o["Size"])
                     for o in listed.get("Contents", [])]
                    + [(p["Prefix"],)
                       for p in listed.get("CommonPrefixes", [])])
            assert mine["names"] == theirs["names"], (call, params)
    through.close()
    direct.close()


DISK = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m use_temp_path=off;
    sprox_origin disk { dialect file; root @root@; }
    sprox_cache nvme;
    sprox_alias $bucket { target disk://$bucket/; }
    server {
        listen 127.0.0.1:@port@;
        keepalive_requests 100000;
        location / { sprox on; }
    }
"""


def test_the_file_store(make_nginx, tmp_path):
    """A file system holds any byte but NUL, and segments up to 255."""
    held = PLAIN + LINES + CONTROL + NO_UTF8 + ["x" * 255]
    root = tmp_path / "store"
    for key in held:
        path = root / "bucket" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(of(key))
    nginx = make_nginx(DISK, root=root)

    with nginx.client() as client:
        for key in held:
            for write in strict, every_byte:
                target = "/bucket/" + write(key)
                for method in "HEAD", "GET", "GET":
                    response = client.request(method, target)
                    assert response.status == 200, (key, response)
                    assert response.body \
                        == (of(key) if method == "GET" else b"")
        # no other name leads to a file, and a directory is no object
        for key in SEGMENTS + LONG + ["key/", "./key", "x/../key", "日本",
                                      "/key", "key//", "dir", "dir/"]:
            response = client.request("GET", "/bucket/" + strict(key))
            assert (response.status, error_code(response)) \
                == (404, "NoSuchKey"), key

    lister = Lister(nginx.port, "bucket")
    for version in (1, 2):
        assert lister.all(version=version, max_keys=7) == expected(held)
        assert lister.all(version=version, delimiter="/") \
            == expected(held, "", "/")
    for key in held:
        page = lister.page(list_type=2, encoding_type="url", prefix=key)
        assert page.items == expected(held, key), key
    body = nginx.get("/bucket?list-type=2&prefix=a%25").body
    assert parse(body).keys == ["a%20b", "a%2Fb"]
    lister.close()
