"""
How origins are spoken to: connections, retries, redirects, signatures, TLS.
"""

import random
import re
import ssl

import pytest

from harness import s3xml
from harness.listing import Lister
from harness.patience import until
from harness.sprox import error_code
from harness.versity import s3_client

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;
    @resolver@
    sprox_origin store {
        endpoint    @endpoint@;
        region      @region@;
        style       @style@;
        credentials @credentials@;
        @origin@
    }
    sprox_cache @cache@;
    sprox_slice 64k;
    sprox_fill  @fill@;
    sprox_valid @valid@;
    sprox_alias $bucket { target store://$bucket/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location = /metrics { sprox_metrics; }
    }
"""
SIZE = 400_000                          # seven slices, the last one short
BODY = random.Random(3).randbytes(SIZE)


@pytest.fixture
def sprox(make_nginx, origin):
    """sprox(origin's directives): an nginx over one object."""
    def make(directives: str = "", **options):
        if origin.get("bucket", "k") is None:
            origin.put("bucket", "k", BODY)
        return make_nginx(HTTP, **{
            "endpoint": origin.endpoint, "region": "us-east-1",
            "style": "path", "credentials": "anonymous", "resolver": "",
            "cache": "nvme", "fill": "128k", "valid": "1m",
            "origin": directives, **options})

    return make


def check(nginx, key: str = "k", body: bytes = BODY) -> None:
    response = nginx.get(f"/bucket/{key}")
    assert (response.status, response.complete) == (200, True), response
    assert response.body == body


def errors(nginx, text: str) -> list:
    return [line for line in nginx.log().splitlines()
            if "[error]" in line and text in line]


# retries

@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_retries(sprox, origin, status):
    nginx = sprox("retries 2;", fill="1m")
    origin.script(status=status, code="SlowDown", times=2)
    check(nginx)
    entries = origin.requests()
    assert [e.status for e in entries] == [status, status, 206]
    # each wait is longer than the one before, give or take its jitter
    first, second = [int(ms) for ms in re.findall(r"again in (\d+) ms",
                                                  nginx.log())]
    assert 25 <= first <= 50 <= second <= 100
    assert entries[0].started < entries[1].started < entries[2].started
    metrics = nginx.metrics()
    assert metrics.sum("sprox_origin_retries_total", origin="store") == 2
    assert len([x for x in nginx.log().splitlines() if "[warn]" in x
                and f"the origin answered {status}, try" in x]) == 2


@pytest.mark.parametrize("how", ["raw", "reset", "closed"])
def test_retries_after_a_broken_connection(sprox, origin, how):
    nginx = sprox("retries 2;", fill="1m")
    rule = {"raw": {"raw": b"HTTP/1.1 200 OK\r\nContent-Le"},
            "reset": {"reset": 0}, "closed": {"raw": b""}}[how]
    origin.script(times=1, **rule)
    check(nginx)
    assert origin.count() == 2


def test_the_budget_of_retries(sprox, origin):
    for retries in (0, 1, 3):
        origin.journal.clear()
        nginx = sprox(f"retries {retries};")
        origin.script(status=503, code="SlowDown", key="bad")
        response = nginx.get("/bucket/bad")
        assert response.status == 503 and error_code(response) == "SlowDown"
        assert origin.count(key="bad") == retries + 1
        origin.clear_script()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 501])
def test_what_is_not_retried(sprox, origin, status):
    nginx = sprox("retries 3;")
    origin.script(status=status, code="Whatever")
    response = nginx.get("/bucket/k")
    assert response.status >= 400 and error_code(response)
    assert nginx.get("/bucket?list-type=2").status >= 400
    assert origin.count() == 2


def test_retry_after(sprox, origin):
    nginx = sprox("retries 2;", fill="1m")
    origin.script(status=503, code="SlowDown", times=1,
                  headers={"Retry-After": "1"})
    check(nginx)
    first, second = origin.requests()
    # nginx's clock stands while it works, and a timer may be late
    assert 0.9 <= second.started - first.started < 20
    assert re.search(r"again in 1\d\d\d ms", nginx.log())

    # who says "in an hour" is not waited for
    origin.script(key="new", status=429, code="SlowDown",
                  headers={"Retry-After": "3600"})
    response = nginx.get("/bucket/new")
    assert response.status == 429 and error_code(response) == "SlowDown"
    assert origin.count(key="new") == 1


def test_refused_connections(sprox, origin):
    nginx = sprox("retries 3; connect_timeout 1s;")
    origin.stop()
    response = nginx.get("/bucket/k")
    assert response.status == 502 and error_code(response) == "BadGateway"
    assert len(errors(nginx, "connecting to 127.0.0.1")) == 4
    assert str(origin.port) not in response.text
    response = nginx.get("/bucket?list-type=2")
    assert response.status == 502 and error_code(response) == "BadGateway"
    assert nginx.head("/bucket/k").status == 502

    # it comes back while a read is being tried again
    with nginx.client() as client:
        client.send("GET", "/bucket/k")
        origin.start()
        assert client.read().body == BODY


# connections

def test_connections_are_kept(sprox, origin):
    nginx = sprox(fill="64k; sprox_read_ahead off")
    for i in range(5):
        origin.put("bucket", f"o{i}", b"x" * 1000)
    for i in range(5):
        check(nginx, f"o{i}", b"x" * 1000)
        nginx.head(f"/bucket/none{i}")
        nginx.get("/bucket?list-type=2")
    assert {e.connection for e in origin.requests()} == {1}
    check(nginx)
    assert origin.connections == 1


def test_keepalive_0(sprox, origin):
    nginx = sprox("keepalive 0;")
    for i in range(3):
        nginx.head(f"/bucket/none{i}")
    assert [e.connection for e in origin.requests()] == [1, 2, 3]
    until(lambda: not origin.open_connections)


def test_keepalive_is_a_limit(sprox, origin):
    nginx = sprox("keepalive 2;")
    gate = origin.hold(key=re.compile("^none"))
    clients = [nginx.client() for _ in range(5)]
    for i, client in enumerate(clients):
        client.send("GET", f"/bucket/none{i}")
    gate.wait(5)
    assert origin.open_connections == 5
    gate.open()
    for client in clients:
        assert client.read().status == 404
        client.close()
    until(lambda: origin.open_connections == 2, 10,
          lambda: f"{origin.open_connections} are kept")


def test_a_kept_connection_that_was_closed(sprox, origin):
    """It costs no try and no error."""
    nginx = sprox("retries 0;")
    for i in range(5):
        origin.put("bucket", f"o{i}", b"x" * 1000)
        check(nginx, f"o{i}", b"x" * 1000)
        origin.drop_connections()
    assert errors(nginx, "sprox") == []


def test_an_origin_that_closes_on_the_next_request(sprox, origin):
    """The race that every keep-alive has: closed while we send."""
    nginx = sprox("retries 0;")
    origin.put("bucket", "a", b"a")
    check(nginx, "a", b"a")
    origin.script(key="k", raw=b"", times=1)
    check(nginx)
    assert errors(nginx, "sprox") == []


@pytest.mark.parametrize("rule", [{"close": True}, {"chunked": True},
                                  {"interim": b"HTTP/1.1 100 Continue\r\n\r\n"
                                   b"HTTP/1.1 103 Early Hints\r\n"
                                   b"Link: </x>\r\n\r\n"}])
def test_ways_to_answer(sprox, origin, rule):
    """Legal ones: all give the object or (chunked: no length) an error."""
    nginx = sprox("retries 0;")
    origin.script(**rule)
    if "chunked" in rule:
        # a listing may be chunked, as real stores do
        assert Lister(nginx.port, "bucket").all() == ["k"]
        response = nginx.get("/bucket/k", {"Range": "bytes=0-99"})
        assert response.body == BODY[:100] or response.status == 502
        origin.clear_script()
    check(nginx)
    check(nginx)


def test_addresses_that_are_names(sprox, origin):
    nginx = sprox(endpoint=f"http://localhost:{origin.port}")
    check(nginx)
    assert origin.requests()[0].headers["host"] == f"localhost:{origin.port}"


def test_the_next_address_after_a_failure(sprox, make_origin, dns):
    """Two behind one name, of which one has no room at any time."""
    busy = make_origin()
    good = make_origin(port=busy.port, host="127.0.0.2")
    dns.names["store.test"] = [busy.host, good.host]
    busy.script(status=503, code="SlowDown", close=True)
    nginx = sprox("retries 1; keepalive 0;", fill="1m",
                  endpoint=f"http://store.test:{busy.port}",
                  resolver=f"resolver {dns.address};")
    for i in range(4):
        good.put("bucket", f"o{i}", b"x")
        check(nginx, f"o{i}", b"x")
    assert good.count() == 4
    assert busy.count() >= 2        # its turn comes again and again


# regions

REGION = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request")


def regions(origin, since: int = 0) -> list:
    return [REGION.search(e.headers["authorization"])[1]
            for e in origin.requests()[since:]]


@pytest.mark.parametrize("status", [301, 307, 400])
def test_another_region(sprox, origin, status):
    origin.put("other", "k", b"other")
    nginx = sprox("retries 0;", credentials="static AKID secret", fill="1m")
    origin.redirect("eu-west-1", status=status, bucket="bucket", times=1,
                    location="http://bucket.s3.eu-west-1.amazonaws.com/k")
    check(nginx)
    assert [e.status for e in origin.requests()] == [status, 206]
    assert regions(origin) == ["us-east-1", "eu-west-1"]

    # remembered, for this bucket
    nginx.get("/bucket?list-type=2")
    nginx.head("/bucket/none")
    assert nginx.get("/other/k").body == b"other"
    assert regions(origin, 2) == ["eu-west-1", "eu-west-1", "us-east-1"]
    assert "[notice]" in nginx.log() and 'region "eu-west-1"' in nginx.log()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_another_region_without_a_document(sprox, origin, method):
    """A HEAD has nothing but the header."""
    nginx = sprox("retries 0;", credentials="static AKID secret")
    origin.script(status=400, body=b"", times=1,
                  headers={"x-amz-bucket-region": "eu-central-1"})
    assert nginx.request(method, "/bucket/k").status == 200
    assert regions(origin)[:2] == ["us-east-1", "eu-central-1"]


@pytest.mark.parametrize("location", ["", "header", "document"])
def test_an_endpoint_of_aws_follows_the_region(sprox, make_origin, dns,
                                               location):
    """To the region's own endpoint, by the same scheme and port."""
    origin = make_origin(domains=(
        "s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"))
    origin.put("bucket", "k", BODY)
    for region in ("us-east-1", "eu-west-1"):
        dns.names[f"bucket.s3.{region}.amazonaws.com"] = ["127.0.0.1"]
    nginx = sprox("retries 0;", fill="1m", style="virtual",
                  credentials="static AKID secret",
                  endpoint=f"http://s3.us-east-1.amazonaws.com:{origin.port}",
                  resolver=f"resolver {dns.address};")
    where = "bucket.s3.eu-west-1.amazonaws.com"
    if location == "header":
        origin.script(status=307, times=1, code="TemporaryRedirect",
                      headers={"Location": f"https://{where}/k"})
    elif location == "document":
        origin.script(status=301, times=1, body=s3xml.error(
            "PermanentRedirect", "elsewhere", Endpoint=where))
    else:
        origin.redirect("eu-west-1", status=400, times=1)

    check(nginx)
    nginx.head("/bucket/none")
    hosts = [e.headers["host"] for e in origin.requests()]
    assert hosts == [f"bucket.s3.{region}.amazonaws.com:{origin.port}"
                     for region in ("us-east-1", "eu-west-1", "eu-west-1")]
    assert regions(origin) == ["us-east-1", "eu-west-1", "eu-west-1"]


def test_redirects_never_reach_clients(sprox, origin):
    nginx = sprox("retries 0;", credentials="static AKID secret")
    # for ever: it is not followed for ever
    for status in (301, 307, 302, 308):
        origin.clear_script()
        origin.journal.clear()
        origin.script(status=status, body=b"", headers={
            "Location": "http://evil.test/", "x-amz-bucket-region": "r-1"})
        for target in (f"/bucket/k{status}", "/bucket?list-type=2"):
            response = nginx.get(target)
            assert response.status in (500, 502), (status, response)
            assert "evil" not in response.text
            assert "location" not in response.headers
        assert origin.count() <= 6

    # a region that is none is no region
    origin.clear_script()
    origin.journal.clear()
    origin.script(status=301, body=b"", headers={
        "x-amz-bucket-region": "eu/../x y"})
    assert nginx.get("/bucket/new").status == 502
    assert origin.count() == 1


# signatures

@pytest.fixture
def real(sprox, versity, bucket):
    def make(**options):
        versity.put(bucket, {"k": BODY, "dir/a b+c&d=é": b"odd"})
        return sprox(**{"endpoint": versity.endpoint, "credentials":
                        f'static {versity.access} "{versity.secret}"',
                        **options})

    return make


def check_real(nginx, bucket: str) -> None:
    client = s3_client(nginx.endpoint)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY
    assert client.get_object(Bucket=bucket, Key="dir/a b+c&d=é")[
        "Body"].read() == b"odd"
    listed = client.list_objects_v2(Bucket=bucket, Prefix="dir/a b+")
    assert [c["Key"] for c in listed["Contents"]] == ["dir/a b+c&d=é"]
    assert client.head_bucket(Bucket=bucket)
    assert bucket in [b["Name"] for b in client.list_buckets()["Buckets"]]


def test_signatures(real, versity, bucket):
    check_real(real(), bucket)
    assert all(e.signed and e.path.startswith("/")
               for e in versity.journal.requests())


def test_signatures_virtual_style(real, versity, bucket, dns):
    dns.names[f"{bucket}.s3.test"] = dns.names["s3.test"] = ["127.0.0.1"]
    nginx = real(endpoint=f"http://s3.test:{versity.recorder.port}",
                 style="virtual", resolver=f"resolver {dns.address};")
    check_real(nginx, bucket)
    hosts = {e.headers["host"] for e in versity.journal.requests(key="k")}
    assert hosts == {f"{bucket}.s3.test:{versity.recorder.port}"}
    assert versity.journal.requests(key="k")[0].path == "/k"


def test_virtual_style_needs_a_name_that_can_be_one(sprox, origin, dns):
    """A bucket that is no host label never becomes one."""
    dns.names["bucket.s3.test"] = ["127.0.0.1"]
    nginx = sprox(endpoint=f"http://s3.test:{origin.port}", style="virtual",
                  resolver=f"resolver {dns.address};")
    check(nginx)
    for bad in ("a%2fb", "a%40b", "..", "-a-", "a_b", "A.b", "a%00b"):
        response = nginx.get(f"/{bad}/k")
        assert response.status in (400, 404), (bad, response)
    assert {name for name, _ in dns.questions} == {"bucket.s3.test"}


def test_session_tokens(sprox, origin):
    nginx = sprox(credentials='static AKID secret "to/ken+=="')
    check(nginx)
    for entry in origin.requests():
        assert entry.headers["x-amz-security-token"] == "to/ken+=="
        signed = re.search("SignedHeaders=([^,]+)",
                           entry.headers["authorization"])[1].split(";")
        assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)


@pytest.mark.parametrize("wrong", ["secret", "key"])
def test_wrong_credentials(real, versity, bucket, wrong):
    access, secret = versity.access, versity.secret
    if wrong == "secret":
        secret = "another"
    else:
        access = "another"
    nginx = real(credentials=f'static {access} "{secret}"')
    response = nginx.get(f"/{bucket}/k")
    assert response.status == 403 and error_code(response) == "AccessDenied"
    assert nginx.head(f"/{bucket}/k").status == 403
    response = nginx.get(f"/{bucket}?list-type=2")
    assert response.status == 403 and error_code(response) == "AccessDenied"
    for text in (response.text, nginx.log()):
        assert secret not in text
    assert access not in response.text
    assert errors(nginx, "the origin answered 403")


def test_what_is_sent(sprox, origin):
    """Nothing of the client's, and no more than needed."""
    nginx = sprox()
    nginx.get("/bucket/k?X-Amz-Signature=1&X-Amz-Security-Token=t&x-id=GetObj"
              "ect&response-content-type=a/b",
              {"Authorization": "AWS4-HMAC-SHA256 Credential=CLIENT/x",
               "Cookie": "c=1", "x-amz-request-payer": "requester",
               "x-amz-server-side-encryption-customer-key": "k",
               "X-Forwarded-For": "1.2.3.4", "Referer": "r",
               "User-Agent": "client", "Accept-Encoding": "gzip"})
    nginx.head("/bucket/k2", {"Cookie": "c=1", "x-amz-x": "y"})
    nginx.get("/bucket?list-type=2&X-Amz-Date=1", {"x-amz-date": "2"})
    allowed = {"host", "user-agent", "accept-encoding", "range", "connection",
               "if-match", "x-amz-content-sha256", "x-amz-date", "accept"}
    for entry in origin.requests():
        assert set(entry.headers) <= allowed, entry.headers
        assert "mz-" not in entry.query and "x-id" not in entry.query
        assert entry.headers["user-agent"].startswith("sprox")
        assert entry.headers.get("accept-encoding") == "identity"


# TLS

def test_tls(real, versity_tls, bucket, pki):
    versity_tls.put(bucket, {"k": BODY, "dir/a b+c&d=é": b"odd"})
    for host in ("127.0.0.1", "localhost"):
        nginx = real(
            endpoint=f"https://{host}:{versity_tls.recorder.port}",
            origin=f"trusted_certificate {pki.ca};")
        check_real(nginx, bucket)


BAD = {
    "stranger": r"the certificate of 127\.0\.0\.1 is not trusted",
    "expired": r"the certificate of 127\.0\.0\.1 is not trusted "
               r"\(10: certificate has expired\)",
    "other": r'the certificate does not name "127\.0\.0\.1"',
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_certificates(sprox, make_origin, pki, kind):
    origin = make_origin(tls=getattr(pki, kind))
    origin.put("bucket", "k", BODY)
    nginx = sprox(f"trusted_certificate {pki.ca};", endpoint=origin.endpoint)
    response = nginx.get("/bucket/k")
    assert response.status == 502 and error_code(response) == "BadGateway"

    # one line says it; trying again would change nothing
    assert len(re.findall(r"\[error\].*" + BAD[kind], nginx.log())) == 1
    assert len(errors(nginx, "certificate")) == 1
    assert origin.connections == 1
    assert "certificate" not in response.text

    assert nginx.get("/bucket?list-type=2").status == 502
    response = nginx.head("/bucket/k")
    assert response.status == 502 and response.body == b""
    assert origin.connections == 3
    assert origin.requests() == []          # not a byte of a request was sent


@pytest.mark.parametrize("kind", BAD)
def test_verify_off(sprox, make_origin, pki, kind):
    origin = make_origin(tls=getattr(pki, kind))
    origin.put("bucket", "k", BODY)
    nginx = sprox("verify off;", endpoint=origin.endpoint)
    check(nginx)


def test_a_name_in_the_certificate(sprox, make_origin, pki):
    """By name, with SNI; a wild card holds for one label."""
    origin = make_origin(tls=pki.other)     # other.test alone
    origin.put("bucket", "k", BODY)
    nginx = sprox(f"trusted_certificate {pki.ca}; retries 0;",
                  endpoint=f"https://localhost:{origin.port}")
    assert nginx.get("/bucket/k").status == 502
    assert 'the certificate does not name "localhost"' in nginx.log()


def test_without_the_private_ca(sprox, make_origin, pki):
    origin = make_origin(tls=pki.good)
    nginx = sprox("retries 0;", endpoint=origin.endpoint)
    assert nginx.get("/bucket/k").status == 502
    assert re.search(r"\[error\].*is not trusted.*see trusted_certificate",
                     nginx.log())


def test_tls_where_there_is_none(sprox, make_origin, pki):
    plain, tls = make_origin(), make_origin(tls=pki.good)
    for endpoint in (f"https://127.0.0.1:{plain.port}",
                     f"http://127.0.0.1:{tls.port}"):
        nginx = sprox("retries 0; read_timeout 1s; connect_timeout 1s;",
                      endpoint=endpoint)
        response = nginx.get("/bucket/k")
        assert response.status in (400, 502, 504), response
        assert error_code(response)
        nginx.allow_log(r"\[crit\].*SSL_do_handshake")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_sessions(sprox, make_origin, pki, version):
    origin = make_origin(tls=pki.good)
    origin.context.maximum_version = ssl.TLSVersion[version]
    for i in range(5):
        origin.put("bucket", f"o{i}", b"x" * 1000)
    nginx = sprox(f"trusted_certificate {pki.ca}; retries 0;",
                  endpoint=origin.endpoint)
    for i in range(5):
        check(nginx, f"o{i}", b"x" * 1000)
        origin.drop_connections()
    assert origin.connections == 5
    assert origin.resumed == 4
    assert errors(nginx, "sprox") == []


def test_a_session_is_no_way_around_a_certificate(sprox, make_origin, pki):
    first = make_origin(tls=pki.good)
    first.put("bucket", "a", b"a")
    nginx = sprox(f"trusted_certificate {pki.ca}; retries 0;",
                  endpoint=first.endpoint)
    check(nginx, "a", b"a")
    first.stop()
    second = make_origin(tls=pki.stranger, port=first.port)
    second.put("bucket", "b", b"b")
    assert nginx.get("/bucket/b").status == 502
    second.stop()
    third = make_origin(tls=pki.good, port=first.port)
    third.put("bucket", "b", b"b")
    check(nginx, "b", b"b")
