"""sprox_admin: what it answers, to whom, and what it refuses."""

import json

import pytest

from harness.admin import LOCATION, Admin
from harness.nginx import ASAN
from harness.sprox import serve

CATALOG = "sprox_alias lake { target store://bucket/tables/; list catalog; }"


@pytest.fixture
def sprox(make_nginx, origin):
    def make(aliases: str = CATALOG, location: str = LOCATION, **words):
        origin.put("bucket", "tables/a", b"12345")
        origin.put("bucket", "tables/b", b"123")
        origin.put("bucket", "other", b"1")
        return serve(make_nginx, origin.endpoint, aliases=aliases,
                     server_more=location, **words)

    return make


def test_an_alias_and_its_job(sprox):
    admin = Admin(sprox())
    known = admin.wait_complete("lake")
    crawled = known.pop("crawled_at")
    assert known == {
        "name": "lake", "target": "store://bucket/tables/",
        "bucket": "bucket", "prefix": "tables/", "objects": 2, "bytes": 8,
        "complete": True, "reason": None}
    job, = admin.jobs()
    assert admin.job(job["id"]) == job
    assert job["created_at"] <= job["started_at"] <= crawled \
        <= job["ended_at"]
    for name in "created_at", "started_at", "ended_at":
        assert len(job.pop(name)) == 24
    assert job == {
        "id": 1, "kind": "crawl", "state": "done", "canceling": False,
        "alias": "lake", "origin": "store", "bucket": "bucket",
        "prefix": "tables/", "done": 2, "total": 2, "errors": 0,
        "error": None}
    assert admin.get("aliases")["aliases"][0]["name"] == "lake"


# names

NAMES = """
    sprox_alias tbl/$year/$m    { target store://bucket/y=$year/m=$m/; }
    sprox_alias tbl/crawl       { target store://bucket/c/; }
    sprox_alias x-$b          { target store://y-$b/; list catalog; }
    sprox_alias tbl           { target store://bucket/odd-@odd@/; }
"""


@pytest.mark.parametrize("path, name", [
    ("tbl/$year/$m", "tbl/$year/$m"), ("tbl%2F%24year%2F%24m", "tbl/$year/$m"),
    ("tbl/crawl", "tbl/crawl"), ("tbl%2fcrawl", "tbl/crawl"), ("tbl", "tbl"),
    ("x-$b", "x-$b"),
])
def test_names_of_aliases(sprox, path, name):
    assert Admin(sprox(NAMES, odd="x")).alias(path)["name"] == name


def test_regions(sprox):
    admin = Admin(sprox(NAMES, odd="x"))
    told = {alias["name"]: alias for alias in admin.get("aliases")["aliases"]}
    assert {name: (alias["bucket"], alias["prefix"])
            for name, alias in told.items()} == {
        "tbl/$year/$m": ("bucket", "y="), "tbl/crawl": ("bucket", "c/"),
        "tbl": ("bucket", "odd-x/"), "x-$b": (None, None)}
    for name, alias in told.items():
        assert (alias["objects"], alias["complete"]) == (None, False)
        if name != "x-$b":
            assert admin.alias(name)["objects"] == 0
        assert ("?bucket=NAME" if name == "x-$b" else "list catalog") \
            in alias["reason"]
    assert admin.alias("x-$b", "y-1")["bucket"] == "y-1"
    assert admin.alias("x-$b", "y-1")["reason"] == "it was not crawled yet"


def test_bytes_that_are_no_text(sprox):
    """A prefix of the configuration may have any; the answer is JSON."""
    nginx = sprox(NAMES, odd="x")
    text = nginx.conf.read_bytes().replace(b"odd-x", b"odd-\xff\xfe")
    nginx.conf.write_bytes(text)
    nginx.reload()
    told = Admin(nginx).alias("tbl")
    assert told["prefix"] == "odd-%FF%FE/"
    assert told["target"] == "store%3A//bucket/odd-%FF%FE/"


def test_a_crawl_by_hand(sprox):
    nginx = sprox("sprox_alias $b { target store://$b/tables/; }")
    admin = Admin(nginx)
    status, told = admin.ask("POST", "aliases/$b/crawl")
    assert status == 400 and "?bucket=NAME" in told["message"]
    job = admin.crawl("$b", "bucket")
    assert (job["bucket"], job["prefix"]) == ("bucket", "tables/")
    assert admin.wait(job["id"], "done")["done"] == 2
    assert admin.alias("$b", "bucket")["objects"] == 2
    again = admin.crawl("$b", "bucket")
    assert (again["id"], again["kind"], again["total"]) \
        == (job["id"] + 1, "reload", None)
    done = admin.wait(again["id"], "done")
    assert (done["done"], done["total"]) == (2, 2)


# what is wrong

WRONG = [
    ("GET", "", 404), ("GET", "job", 404), ("GET", "jobs/", 200),
    ("GET", "jobs/9", 404), ("GET", "jobs/x", 400), ("GET", "jobs/-1", 400),
    ("GET", "jobs/99999999999999999999", 400), ("GET", "jobs/1/x", 400),
    ("GET", "jobsx", 404), ("GET", "aliases/none", 404),
    ("GET", "aliases/lake/", 404), ("GET", "aliases/LAKE", 404),
    ("GET", "aliases/lake?bucket=other", 400),
    ("GET", "aliases/lake?bucket=%zz", 400),
    ("GET", "aliases/lake?bucket=", 200),
    ("POST", "aliases/none/crawl", 404),
    ("POST", "aliases/lake/crawl?bucket=other", 400),
    ("POST", "aliases/lake/crawl?bucket=%zz", 400),
    ("DELETE", "jobs/9", 404), ("DELETE", "jobs/x", 400),
    ("DELETE", "jobs/1", 409),
]
METHODS = {
    "jobs": "GET, HEAD", "jobs/1": "GET, HEAD, DELETE",
    "aliases": "GET, HEAD", "aliases/lake": "GET, HEAD",
    "aliases/lake/crawl": "POST",
}


def test_what_is_wrong(sprox):
    nginx = sprox()
    admin = Admin(nginx)
    admin.wait_complete("lake")
    for method, path, want in WRONG:
        status, told = admin.ask(method, path)
        assert status == want, (method, path, told)
        if want != 200:
            assert set(told) == {"message"} and told["message"]

    for path, allow in METHODS.items():
        for method in "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS":
            if method in allow.split(", "):
                continue
            response = nginx.request(method, "/_sprox/" + path)
            assert (response.status, response["allow"]) == (405, allow)
            if method != "HEAD":
                assert "Allow" in json.loads(response.body)["message"]
    assert len(admin.jobs()) == 1


def test_head_and_bodies(sprox):
    nginx = sprox()
    admin = Admin(nginx)
    admin.wait_complete("lake")
    full, head = nginx.get("/_sprox/jobs"), nginx.head("/_sprox/jobs")
    assert head.body == b"" and head.status == 200
    assert head["content-length"] == full["content-length"]
    with nginx.client() as client:          # a body does no harm
        for _ in range(2):
            response = client.request("POST", "/_sprox/aliases/lake/crawl",
                                      {}, b"x" * 100000)
            assert response.status == 202


@pytest.mark.parametrize("name", ["/_sprox", "/_sprox/", "/a/b/"])
def test_the_location_s_name(sprox, name):
    nginx = sprox(location=f"location {name} {{ sprox_admin; }}")
    admin = Admin(nginx, name.rstrip("/") + "/")
    admin.wait_complete("lake")
    assert len(admin.jobs()) == 1


# who may ask

@pytest.mark.parametrize("header", [
    {"Origin": "http://evil.example"}, {"origin": "null"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://127.0.0.1", "Content-Type": "text/plain"},
])
def test_pages_of_a_browser_change_nothing(sprox, header):
    admin = Admin(sprox())
    admin.wait_complete("lake")
    for method, path in (("POST", "aliases/lake/crawl"),
                         ("DELETE", "jobs/1"), ("POST", "events")):
        status, told = admin.ask(method, path, header)
        assert status == 403 and "browser" in told["message"]
    assert admin.ask("GET", "jobs", header)[0] == 200
    assert admin.ask("POST", "aliases/lake/crawl",
                     {"Sec-Fetch-Site": "none"})[0] == 202


TOKEN = "0123456789abcdef-._~+/=!"
WITH_TOKEN = "location /_sprox/ { sprox_admin token_file=@dir@/token; }"


@pytest.fixture
def guarded(make_nginx, origin):
    def make(token: bytes, location: str = WITH_TOKEN, start: bool = True):
        origin.bucket("bucket")
        nginx = serve(make_nginx, origin.endpoint, aliases=CATALOG,
                      server_more=location, start=False)
        if token is not None:
            (nginx.dir / "token").write_bytes(token)
        return nginx.start() if start else nginx

    return make


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token(guarded, end):
    nginx = guarded((TOKEN + end).encode())
    for sent in ("Bearer " + TOKEN, "bearer  " + TOKEN, "BEARER " + TOKEN):
        admin = Admin(nginx, headers={"Authorization": sent})
        assert admin.ask("GET", "jobs")[0] == 200
    for sent in ("Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "x", "Bearer ",
                 "Bearer", TOKEN, "Basic " + TOKEN, "Bearer " + "x" * 4000):
        for method, path in (("GET", "jobs"), ("GET", "none"),
                             ("POST", "aliases/lake/crawl")):
            status, told = Admin(nginx).ask(method, path,
                                            {"Authorization": sent})
            assert status == 401 and "Bearer" in told["message"], sent
    response = nginx.get("/_sprox/jobs")
    assert (response.status, response["www-authenticate"]) == (401, "Bearer")

    # who has it is no page that was lured
    assert admin.ask("POST", "aliases/lake/crawl",
                     {"Origin": "http://ui.example"})[0] == 202
    assert TOKEN not in nginx.log()


def test_a_token_is_for_its_location(guarded):
    nginx = guarded(TOKEN.encode(), """
        location /a/ { sprox_admin token_file=@dir@/token;
                       location /a/open/ { sprox_admin; }
                       if ($arg_x) { set $y 1; } }
        location /b/ { sprox_admin; }""")
    assert Admin(nginx, "/a/").ask("GET", "jobs")[0] == 401
    assert Admin(nginx, "/a/").ask("GET", "jobs?x=1")[0] == 401
    assert Admin(nginx, "/a/open/").ask("GET", "jobs")[0] == 200
    assert Admin(nginx, "/b/").ask("GET", "jobs")[0] == 200


def test_allow_deny_and_limit_except(sprox):
    nginx = sprox(location="""
        location /closed/ { sprox_admin; deny all; }
        location /read/ { sprox_admin; limit_except GET { deny all; } }
        location /some/ { sprox_admin; limit_except GET {
                              allow 127.0.0.1; deny all; } }""")
    assert nginx.get("/closed/jobs").status == 403
    assert nginx.get("/read/jobs").status == 200
    assert nginx.request("POST", "/read/aliases/lake/crawl").status == 403
    assert Admin(nginx, "/some/").ask("POST", "aliases/lake/crawl")[0] == 202


# nginx -t

@pytest.mark.parametrize("token, said", [
    (None, "No such file"), (b"", "it is empty"), (b" \n", "it is empty"),
    (b"a b\n", "other characters"), (b"a\nb\n", "other characters"),
    ("tökén".encode(), "other characters"), (b"x" * 1025, "too long"),
    (b"x" * 300000, "too large"),
])
def test_a_token_file_that_is_refused(guarded, token, said):
    code, text = guarded(token, start=False).check()
    assert code != 0
    assert '[emerg]' in text and 'token_file' in text and said in text, text
    assert "nginx.conf:" in text


def test_a_token_file_that_is_a_folder(guarded):
    nginx = guarded(None, start=False)
    (nginx.dir / "token").mkdir()
    code, text = nginx.check()
    assert code != 0 and "not a regular file" in text


@pytest.mark.parametrize("location, said", [
    ("location = /x { sprox_admin; }", "location with a prefix"),
    ("location ~ /x { sprox_admin; }", "location with a prefix"),
    ("location /x/ { sprox_admin; sprox_admin; }", "is duplicate"),
    ("location /x/ { sprox_admin; sprox_metrics; }", "location of its own"),
    ("location /x/ { sprox_admin; proxy_pass http://127.0.0.1:9; }",
     "another content handler beside sprox_admin"),
    ("location /x/ { sprox_admin token=x; }", "write token_file=PATH"),
    ("location /x/ { sprox_admin token_file=; }", "write token_file=PATH"),
    ("sprox_admin;", "not allowed here"),
])
def test_what_is_refused(guarded, location, said):
    code, text = guarded(None, location, start=False).check()
    assert code != 0 and said in text, text


# memory

def test_nothing_is_kept(sprox):
    nginx = sprox()
    Admin(nginx).wait_complete("lake")
    paths = ["aliases", "jobs", "aliases/lake", "none", "jobs/1"]
    with nginx.client() as client:
        def ask(times: int) -> None:
            for n in range(times):
                client.request("GET", "/_sprox/" + paths[n % len(paths)])

        ask(500)
        before, fds = nginx.rss(), len(nginx.fds())
        ask(500)                            # keepalive_requests
    with nginx.client() as client:
        ask(900)
        assert nginx.rss() - before < 512 << 10 or ASAN     # which frees late
        assert len(nginx.fds()) == fds


# what is counted

def test_objects_that_no_region_counts(sprox, origin):
    """What was read, and what a crawl of more has told."""
    for n in range(5000):
        origin.put("bucket", f"tables/t/{n}", b"1234567")
    nginx = sprox(CATALOG + """
        sprox_alias below { target store://bucket/tables/t/; list catalog; }
        sprox_alias read  { target store://bucket/oth; }""")
    admin = Admin(nginx)
    assert admin.alias("read")["objects"] == 0
    origin.put("bucket", "oth/er", b"12345")
    assert nginx.get("/read/er").body == b"12345"
    known = admin.alias("read")
    assert (known["objects"], known["bytes"], known["complete"]) \
        == (1, 5, False)
    admin.wait_complete("lake")
    known = admin.wait_complete("below")
    assert (known["objects"], known["bytes"]) == (5000, 35000)
