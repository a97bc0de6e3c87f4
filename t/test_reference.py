"""
REFERENCE.md against the code: what is in one and not in the other fails, and
so does a number, a context or a label that differs. Its examples are given
to nginx, and what it says of limits is asked for.
"""

import re
import subprocess

import pytest

from harness import sprox
from harness.nginx import ROOT
from harness.relocate import paths

TEXT = (ROOT / "REFERENCE.md").read_text()

LEVELS = {
    "NGX_HTTP_MAIN_CONF": {"http"},
    "NGX_HTTP_LOC_CONF": {"location"},
    "NGX_HTTP_SPROX_ANY_LEVEL": {"http", "server", "location"},
    "NGX_HTTP_SPROX_ORIGIN_CONF": {"sprox_origin"},
    "NGX_HTTP_SPROX_ALIAS_CONF": {"sprox_alias"},
    "NGX_HTTP_SPROX_OBJECT_CONF": {"object"},
    "NGX_HTTP_SPROX_BLOCKS": {"sprox_alias", "object"},
}


def source(path: str) -> str:
    return (ROOT / path).read_text()


def section(title: str) -> str:
    """The text below a heading, up to the next of its level or above."""
    found = re.search(rf"^(#+) {title}\n(.*?)(?=^#{{1,2}} |\Z)", TEXT,
                      re.M | re.S)
    assert found, title
    return found[2]


def table(title: str) -> list:
    """The rows of the first table of a section, as lists of cells."""
    rows = [line.strip("|").split("|") for line in section(title).splitlines()
            if line.startswith("|")]
    assert re.fullmatch("[-|]+", "".join(rows[1])), title
    return [[cell.strip() for cell in row] for row in rows[2:]]


def constant(name: str) -> int:
    """The value of a #define in src."""
    lines = subprocess.run(
        ["grep", "-rhE", rf"^#define +{name} ", "src"], cwd=ROOT, text=True,
        capture_output=True).stdout.splitlines()
    values = {re.sub(r"/\*.*", "", line.split(None, 2)[2]).strip()
              for line in lines}
    assert len(values) == 1, (name, values)
    text = values.pop().replace("INT32_MAX", str(2**31 - 1))
    assert re.fullmatch(r"[\d()* ]+", text), text
    return eval(text)


def quoted(text: str) -> str:
    """All string literals of a C source, those side by side joined."""
    text = re.sub(r'"\s*\n\s*"', "", text)
    return text.replace('\\"', '"')


# directives

def directives() -> dict:
    """Of the module's table: name to (contexts, setter)."""
    text = source("ngx_http_sprox_module.c")
    body = text[text.index("ngx_http_sprox_commands[] = {"):
                text.index("ngx_null_command")]
    found = {}
    for kind, name, rest in re.findall(
            r'ngx_http_sprox_(directive|policy_word|origin_word|origin_slot)'
            r'\("(\w+)",(.*?)\),\n', body, re.S):
        setter = re.findall(r"\w*_set_\w+|ngx_conf_include", rest)[0]
        levels = set().union(*(LEVELS[word] for word in
                               re.findall(r"\bNGX_HTTP_\w+\b", rest)
                               if word in LEVELS))
        if kind.startswith("origin"):
            levels = {"sprox_origin"}
        if kind == "policy_word":
            found["sprox_" + name] = ({"http", "server", "location"}, setter)
            levels = {"sprox_alias", "object"}
        found[name] = (levels, setter)
    return found


def documented() -> dict:
    """Of REFERENCE.md: name to (contexts, default, syntax, example)."""
    found = {}
    for names, body in re.findall(
            r"^### ([\w, ]+)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S):
        lines = {word: re.search(rf"^- {word}: (.*)$", body, re.M)[1]
                 for word in ("Syntax", "Default", "Context")}
        example = re.search(r"^```nginx\n(.*?)^```$", body, re.M | re.S)[1]
        levels = set(lines["Context"].split(", "))
        outer = {"http", "server", "location"}
        names = names.split(", ")
        for name in names:
            own = levels
            if len(names) == 2:
                own = levels & outer if name == names[0] else levels - outer
            found[name] = (own, lines["Default"], lines["Syntax"], example)
    return found


def test_every_directive_and_its_contexts():
    works = {name: levels for name, (levels, setter) in directives().items()
             if not setter.endswith("_unsupported")}
    told = {name: entry[0] for name, entry in documented().items()}
    # a block may hold these in object, where they have no meaning
    for name in "list", "reload":
        works[name] = works[name] - {"object"}
    assert len(works) > 30
    assert told == works


def test_refused_directives():
    refused = {name for name, (_, setter) in directives().items()
               if setter.endswith("_unsupported")}
    told = section("Refused for now").split(";")[0]
    assert set(re.findall(r"`(\w+)`", told)) == refused


def test_syntax_and_example_name_their_directive():
    for name, (_, _, syntax, example) in documented().items():
        word = name.removeprefix("sprox_")
        assert re.search(rf"\b(sprox_)?{word}\b", syntax), name
        assert re.search(rf"\b(sprox_)?{word}\b", example), name
        assert len(re.findall(r"`[^`]+`", syntax)) >= 1, name


DEFAULTS = {
    "sprox_catalog": ("NGX_HTTP_SPROX_CATALOG_SIZE", 2**20, "m"),
    "sprox_valid": ("NGX_HTTP_SPROX_VALID", 60, "m"),
    "sprox_valid_missing": ("NGX_HTTP_SPROX_VALID_MISSING", 1, "s"),
    "sprox_slice": ("NGX_HTTP_SPROX_SLICE", 1024, "k"),
    "sprox_fill": ("NGX_HTTP_SPROX_FILL", 2**20, "m"),
    "keepalive": ("NGX_HTTP_SPROX_KEEPALIVE", 1, ""),
    "connect_timeout": ("NGX_HTTP_SPROX_CONNECT_TIMEOUT", 1000, "s"),
    "read_timeout": ("NGX_HTTP_SPROX_READ_TIMEOUT", 1000, "s"),
    "retries": ("NGX_HTTP_SPROX_RETRIES", 1, ""),
    "max_connections": ("NGX_HTTP_SPROX_MAX_CONNECTIONS", 1, ""),
    "max_fails": ("NGX_HTTP_SPROX_MAX_FAILS", 1, ""),
    "fail_timeout": ("NGX_HTTP_SPROX_FAIL_TIMEOUT", 1000, "s"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_default(name):
    what, unit, letter = DEFAULTS[name]
    assert re.search(rf"\b{constant(what) // unit}{letter}\b",
                     documented()[name][1])


@pytest.mark.parametrize("name", [
    name for name in documented() if not re.match(
        "(cache|valid|valid_missing|stale|slice|fill|list)$", name)])
def test_example(make_nginx, pki, name):
    """nginx takes it, with what it leaves out put around it."""
    example = documented()[name][3]
    http, inside = example, "sprox on;"
    if example.startswith("location"):
        http, inside = "", None
    if "sprox_origin lake" not in http:
        http += "sprox_origin lake { credentials anonymous; }\n"
    if "sprox_alias" not in http:
        origins = re.findall(r"sprox_origin (\w+)", http)
        http += "".join(f"sprox_alias {o}-all {{ target {o}://bucket/; }}\n"
                        for o in origins)
    if "sprox_cache" not in http:
        http += "sprox_cache nvme;\n"
    nginx = make_nginx("""
        proxy_cache_path @dir@/cache keys_zone=nvme:1m;
        proxy_cache_path @dir@/ram keys_zone=ram:1m;
        """ + http + """
        server {
            listen 127.0.0.1:@port@;
            """ + (example if inside is None
                   else f"location / {{ {inside} }}") + """
        }
        """, start=False, env={
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SHARED_CREDENTIALS_FILE": "credentials"})
    (nginx.dir / "credentials").write_text(
        "[sales]\naws_access_key_id=A\naws_secret_access_key=s\n")
    (nginx.dir / "srv/buckets").mkdir(parents=True)
    (nginx.dir / "etc/sprox").mkdir(parents=True)
    (nginx.dir / "var/lib").mkdir(parents=True)
    (nginx.dir / "etc/sprox/store-ca.pem").symlink_to(pki.ca)
    nginx.conf.write_text(paths(nginx.conf.read_text(), nginx.dir))
    code, said = nginx.check()
    assert code == 0, said
    assert "[warn]" not in said, said


def test_bounds_of_tiers():
    text = section("sprox_cache, cache")
    for name, unit, word in (("SPROX_TIER_COPIES", 1, "copies"),
                             ("SPROX_TIER_RATE", 2**20, "MiB a second"),
                             ("SPROX_TIER_HOT", 1, "seconds")):
        assert f"{constant(name) // unit} {word}" in text


# variables, metrics, operations

def test_variables():
    code = source("src/ngx/ngx_http_sprox_variables.c")
    assert [row[0] for row in table("Variables")] == [
        f"`${name}`" for name in re.findall(r'\{ ngx_string\("(\w+)"\)',
                                            code)]


def test_cache_status():
    told = next(row[1] for row in table("Variables")
                if row[0] == "`$sprox_cache_status`")
    code = "".join(path.read_text() for path in
                   (ROOT / "src/ngx").glob("*.c"))
    said = {word for line in re.findall(r"cache_status = (.*?);", code, re.S)
            for word in re.findall(r'"(\w+)"', line)}
    assert set(re.findall(r"`([A-Z]+)`", told)) == said


def test_metrics():
    code = source("src/core/metric/metric.c")
    found = [[f"`{name}`", kind.lower(), ", ".join(
        re.findall(r'"(\w+)"', labels))] for name, kind, labels in re.findall(
            r'"(sprox_\w+)", (COUNTER|GAUGE),\s+".*?",\s+\{(.*?)\}', code,
            re.S)]
    assert len(found) == code.count("[SPROX_METRIC_") - 1 > 8   # _MAX
    assert [row[:3] for row in table("Metrics")] == found


def test_operations():
    code = source("src/core/s3/op.c")
    names = re.findall(r'\[SPROX_OP_\w+\] += sprox_str\("(\w+)"\)', code)
    assert [row[0] for row in table("Operations")] \
        == [name for name in names if name != "None"]
    assert len(names) == 13

    text = section("Operations")
    words = re.search(r"where S3 knows them: (.*?)\.\n", text, re.S)[1]
    refused = re.findall(
        r'\{ (?:BUCKET|OBJECT|BUCKET \| OBJECT), +sprox_str\("([\w-]+)"\)',
        code)
    assert words.replace("\n", " ").split(", ") == refused
    overrides = re.findall(r'"(response-[\w-]+)"', source(
        "src/ngx/ngx_http_sprox_object_headers.c"))
    assert re.findall(r"response-[\w-]+", text) == overrides


def test_own_errors():
    code = source("src/core/s3/error.c")
    for name, status, _ in table("Errors"):
        assert f'sprox_str("{name}"), {status}' in code


def test_log_lines():
    code = "".join(quoted(path.read_text()) for path in
                   (ROOT / "src/ngx").glob("*.c"))
    for line, _, _ in table("Log lines"):
        parts = re.split(r"\b[A-Z/]+\b", line.strip("`"))
        pattern = r"%[*\w]+".join(map(re.escape, parts))
        assert re.search(pattern, code), line


# limits

LIMITS = {
    "key": "SPROX_KEY_MAX",
    "path of a request, as sent": "SPROX_PATH_MAX",
    "name of a bucket that clients see": "SPROX_VBUCKET_MAX",
    "name of a bucket at the origin": "SPROX_BUCKET_MAX",
    "query": "SPROX_QUERY_MAX",
    "parameters of a query": "SPROX_QUERY_ARGS_MAX",
    "prefix, delimiter, marker, start-after": "SPROX_KEY_MAX",
    "continuation-token": "SPROX_TOKEN_MAX",
    "max-keys": "SPROX_MAX_KEYS_LIMIT",
    "keys of one page": "SPROX_LIST_KEYS_MAX",
    "partNumber": "NGX_HTTP_SPROX_PART_MAX",
    "Range header": "SPROX_RANGE_HEADER_MAX",
    "object at an origin": "SPROX_OBJECT_SIZE_MAX",
    "response header of an origin": "NGX_HTTP_SPROX_HEADER_MAX",
    "headers of an object that are kept": "SPROX_HEADERS_MAX",
    "one page of an origin's listing": "SPROX_LIST_XML_MAX",
    "one field of an origin's listing": "SPROX_LIST_TEXT_MAX",
    "depth of an origin's XML": "SPROX_XML_DEPTH_MAX",
    "one tag or comment of an origin's XML": "SPROX_XML_MARKUP_MAX",
    "continuation token of an origin": "SPROX_ORIGIN_TOKEN_MAX",
    "error document of an origin": "SPROX_ERROR_XML_MAX",
    "code in an origin's error": "SPROX_ERROR_CODE_MAX",
    "redirects of one request to an origin": "NGX_HTTP_SPROX_REDIRECTS",
    "credentials or config file": "SPROX_CRED_FILE_MAX",
    "pattern or target of an alias": "SPROX_ALIAS_TEXT_MAX",
    "variables of an alias": "SPROX_ALIAS_VARS_MAX",
    "message of events": "SPROX_EVENT_BODY_MAX",
    "records of a message of events": "SPROX_EVENT_RECORDS_MAX",
    "catalog's zone": "NGX_HTTP_SPROX_ZONE_MIN",
    "what `list catalog` keeps of it": "SPROX_HELD_EIGHTHS",
    "memory of purges of prefixes": "SPROX_BANS_SIZE_MAX",
}


def test_limits():
    rows = table("Limits")
    assert [row[0] for row in rows] == list(LIMITS)
    for what, limit, _ in rows:
        assert int(re.match(r"\d+", limit)[0]) == constant(LIMITS[what]), what


def test_no_limit_of_the_protocol_is_left_out():
    """Those of src/core/s3's headers: what clients and origins send."""
    code = "".join(path.read_text() for path in
                   (ROOT / "src/core/s3").glob("*.h"))
    there = set(re.findall(r"^#define (SPROX_\w+_MAX) ", code, re.M))
    assert there - set(LIMITS.values()) == set()


def answer_of(what: str) -> str:
    return next(row[2] for row in table("Limits") if row[0] == what)


ASKED = {           # a path that is too long has a key that is
    "key": lambda n: f"/bucket/{'k' * n}",
    "name of a bucket that clients see": lambda n: f"/{'b' * n}/key",
    "name of a bucket at the origin": lambda n: f"/{'b' * n}/key",
    "query": lambda n: "/bucket/key?x=" + "q" * (n - 2),
    "parameters of a query": lambda n: "/bucket/key?" + "x&" * n,
    "prefix, delimiter, marker, start-after":
        lambda n: f"/bucket?list-type=2&prefix={'p' * n}",
    "max-keys": lambda n: f"/bucket?max-keys={n}",
    "partNumber": lambda n: f"/bucket/key?partNumber={n}",
}
BIG = "large_client_header_buffers 4 64k;"


@pytest.fixture
def over(make_nginx, origin):
    origin.put("bucket", "key", b"body")
    return sprox.serve(make_nginx, origin.endpoint, server_more=BIG,
                       cache="off")


def test_limits_of_requests(over, origin):
    for what, ask in ASKED.items():
        limit, code = constant(LIMITS[what]), answer_of(what)
        beyond = over.get(ask(limit + 1))
        assert sprox.error_code(beyond) == code, what
        at = over.get(ask(limit))
        if at.status >= 400 and code != "NoSuchBucket":
            assert sprox.error_code(at) != code, what
    assert over.get("/bucket/key", {
        "Range": "bytes=0-1" + " " * constant("SPROX_RANGE_HEADER_MAX")
        + ",2-2"}).body == b"body"


LISTING = (b'<?xml version="1.0"?><ListBucketResult>%s<IsTruncated>false'
           b"</IsTruncated></ListBucketResult>")
KEY = (b"<Contents><Key>%s</Key><Size>0</Size><ETag>&quot;e&quot;</ETag>"
       b"<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>")


@pytest.mark.parametrize("what, body", [
    ("one page of an origin's listing", lambda n: LISTING % (b" " * n)),
    ("one field of an origin's listing",
     lambda n: LISTING % (KEY % (b"k" * (n + 1)))),
    ("depth of an origin's XML",
     lambda n: LISTING % (b"<a>" * n + b"</a>" * n)),
    ("one tag or comment of an origin's XML",
     lambda n: LISTING % (b"<!--" + b"c" * (4 * n) + b"-->")),
    ("continuation token of an origin",
     lambda n: LISTING.replace(b">false<", b">true<") % (
         KEY % b"k" + b"<NextContinuationToken>" + b"t" * (n + 1)
         + b"</NextContinuationToken>")),
])
def test_limits_of_listings(over, origin, what, body):
    origin.script(operation="ListObjectsV2", status=200,
                  body=body(constant(LIMITS[what])))
    refused = over.get("/bucket?list-type=2")
    assert sprox.error_code(refused) == answer_of(what), what


@pytest.mark.parametrize("what, more", [
    ("response header of an origin", 40),
    ("headers of an object that are kept", 9),
])
def test_limits_of_headers(over, origin, what, more):
    origin.script(key="key", huge_headers=more * 1024)
    assert sprox.error_code(over.get("/bucket/key")) == answer_of(what)


def test_limit_of_error_documents(over, origin):
    limit = constant("SPROX_ERROR_XML_MAX")
    code = constant("SPROX_ERROR_CODE_MAX")
    for name, space, want in (("Odd", 0, "Odd"), ("Odd", limit, "AccessDenied"),
                              ("O" * (code + 1), 0, "AccessDenied")):
        origin.script(key="key", status=403, body=(
            f"<Error><Code>{name}</Code>{' ' * space}</Error>").encode())
        assert sprox.error_code(over.get("/bucket/key")) == want
