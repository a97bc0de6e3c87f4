"""
sprox where nginx asks it, not a client: subrequests, internal redirects,
rewrites; and nginx's filters over what it answers.
"""

import random

import pytest

from harness.sprox import (FILL, SLICE, cache_files, error_code, serve,
                           wait_idle)

BIG = 4 * FILL + 1000


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(locations, in_sprox): locations beside "sprox on" itself."""
    def make(locations: str, more: str = "", **options):
        origin.put("bucket", "key", blob(BIG))
        origin.put("bucket", "text", b"some text")
        origin.put("bucket", "a b+%", b"odd")
        return serve(make_nginx, origin.endpoint, server_more=locations,
                     more=more, **options)
    return make


# rewrites and internal redirects

def test_rewritten_names(sprox):
    nginx = sprox("""
        location /old/ { rewrite ^/old/(.*)$ /bucket/$1 break; sprox on; }
        location /older/ { rewrite ^/older/(.*)$ /old/$1; }
        location /page { rewrite ^ /bucket?list-type=2&prefix=te? last; }
    """)
    for prefix in "/bucket", "/old", "/older":
        assert nginx.get(f"{prefix}/text").body == b"some text"
        assert nginx.get(f"{prefix}/a%20b%2B%25").body == b"odd"
        assert nginx.get(f"{prefix}/key", {"Range": "bytes=9-11"}).body \
            == blob(BIG)[9:12]
        response = nginx.get(f"{prefix}/text?response-content-type=x/y")
        assert response["Content-Type"] == "x/y"
        assert nginx.get(f"{prefix}/none").status == 404
    page = nginx.get("/page").text
    assert "<Key>text</Key>" in page and page.count("<Key>") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_x_accel_redirect(make_nginx, sprox, method):
    """The header names the object, the client's URI does not."""
    app = make_nginx("""server { listen 127.0.0.1:@port@; location / {
        add_header X-Accel-Redirect /bucket/key; return 200; } }""")
    nginx = sprox(f"""
        location /text {{ proxy_pass http://127.0.0.1:{app.port}; }}
        location /bucket/ {{ internal; sprox on; }}
    """)
    for _ in range(2):
        response = nginx.request(method, "/text/download?id=7")
        assert response.status == 200
        assert response["Content-Length"] == str(BIG)
        assert response.body == (blob(BIG) if method == "GET" else b"")
    response = nginx.get("/text", {"Range": "bytes=5-9"})
    assert (response.status, response.body) == (206, blob(BIG)[5:10])
    assert nginx.get("/bucket/key").status == 404       # for nobody else


def test_error_page_and_try_files(sprox):
    nginx = sprox("""
        root @dir@;
        location /here { try_files $uri @store; }
        location @store { sprox on; }
        location /gone { error_page 404 = /bucket/text; return 404; }
        location /named { error_page 418 = @store; return 418; }
    """)
    (nginx.dir / "here").mkdir()
    (nginx.dir / "here/file").write_bytes(b"of the disk")
    assert nginx.get("/here/file").body == b"of the disk"
    response = nginx.get("/here/other")
    assert (response.status, error_code(response)) == (404, "NoSuchBucket")
    response = nginx.get("/gone")
    assert (response.status, response.body) == (200, b"some text")
    # a named location: the client's own URI
    assert nginx.get("/named/x").status == 404


# subrequests

def test_ssi(sprox):
    """In order, whichever is there first; each is the whole object."""
    nginx = sprox("""location /page { ssi on; ssi_types *; root @dir@; }""")
    (nginx.dir / "page").write_bytes(
        b'1<!--# include virtual="/bucket/key" -->'
        b'2<!--# include virtual="/bucket/text" -->'
        b'3<!--# include virtual="/bucket/key" -->'
        b'4<!--# include virtual="/bucket/none" -->5')
    for headers in {}, {}, {"Range": "bytes=1-2"}, \
            {"If-None-Match": nginx.head("/bucket/text")["ETag"]}, \
            {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}:
        text = nginx.get("/page", headers).body
        head, _, tail = text.partition(b"4<?xml")
        assert head == b"1%s2some text3%s" % (blob(BIG), blob(BIG)), headers
        assert b"<Code>NoSuchKey</Code>" in tail and tail.endswith(b"5")


def test_a_subrequest_waits_behind_another(sprox, origin):
    nginx = sprox("""location /page { ssi on; ssi_types *; root @dir@; }""")
    (nginx.dir / "page").write_bytes(
        b'<!--# include virtual="/bucket/slow" -->'
        b'<!--# include virtual="/bucket/key" -->')
    origin.put("bucket", "slow", blob(BIG, 2))
    gate = origin.hold(key="slow", gate_after=SLICE, method="GET", nth=1)
    with nginx.client() as client:
        client.send("GET", "/page")
        gate.wait()
        nginx.wait(lambda: origin.count(key="key"), 5, "to ask for both")
        gate.open()
        assert client.read().body == blob(BIG, 2) + blob(BIG)


def test_addition(sprox):
    nginx = sprox("", "add_before_body /bucket/text; "
                  "add_after_body /bucket/text; addition_types *;")
    for _ in range(2):
        assert nginx.get("/bucket/key").body \
            == b"some text" + blob(BIG) + b"some text"


def test_auth_request(sprox):
    """The existence of an object as permission."""
    nginx = sprox("""
        root @dir@;
        location /open/   { auth_request /bucket/text; }
        location /closed/ { auth_request /bucket/none; }
    """)
    for name in "open", "closed":
        (nginx.dir / name).mkdir()
        (nginx.dir / name / "x").write_bytes(b"in")
    assert nginx.get("/open/x").body == b"in"
    assert nginx.get("/open/x", {"Range": "bytes=1-"}).status == 206
    assert nginx.get("/open/x", {"If-Match": '"x"'}).status == 412
    assert nginx.get("/closed/x").status == 500
    nginx.wait_log("auth request unexpected status: 404")


def test_mirror(sprox, origin):
    """A background subrequest, whose body nobody reads: it is broken off."""
    nginx = sprox("""
        location /front { mirror /bucket/key; root @dir@; }
    """)
    (nginx.dir / "front").write_bytes(b"front")
    gate = origin.hold(key="key", gate_after=SLICE + 100)
    with nginx.client() as client:
        for _ in range(3):
            assert client.request("GET", "/front").body == b"front"
    wait_idle(nginx)                # though the origin has sent no more
    assert len(cache_files(nginx)) <= 1
    gate.open()
    origin.clear_script()
    assert nginx.get("/bucket/key").complete


# filters

def test_sub_filter(sprox):
    nginx = sprox("", "sub_filter some any; sub_filter_types *;")
    for _ in range(2):
        assert nginx.get("/bucket/text").body == b"any text"


@pytest.mark.parametrize("io", ["sendfile on;", "sendfile off;",
                                "aio threads; sendfile on;",
                                "aio threads; sendfile off;"])
def test_bytes_are_left_alone(sprox, io):
    nginx = sprox("gzip on; gzip_types *; gzip_min_length 1; gunzip on;"
                  "charset utf-8; charset_types *; etag off; slice 1m;",
                  io + "output_buffers 2 3k; postpone_output 100000; "
                  "directio 512; expires 1h; add_header X-Mine yes always;"
                  "limit_rate 900m; tcp_nodelay off;"
                  "chunked_transfer_encoding off;")
    for _ in range(2):
        response = nginx.get("/bucket/key", {"Accept-Encoding": "gzip"})
        assert response.body == blob(BIG)
        assert response["X-Mine"] == "yes"
        assert response["Content-Length"] == str(BIG)
