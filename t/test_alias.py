"""
Aliases end to end: which name at the origin stands behind a client's name,
for reads, listings and purges; which of several aliases serves a name; and
whose policy holds for it.  Listings alone: test_list.py, test_overlap.py.
"""

import fnmatch
import random
import re
from urllib.parse import quote

import pytest

from harness import s3xml
from harness.listing import Lister
from harness.sprox import (HTTP, LOG, cache_files, cache_keys, error_code,
                           log_lines, serve, wait_idle)
from harness.versity import s3_client

BODY = random.Random(9).randbytes(300_000)      # five slices of 64k


@pytest.fixture
def sprox(make_nginx, origin):
    def make(aliases: str, **words):
        return serve(make_nginx, origin.endpoint, aliases=aliases, **words)

    return make


def put(origin, bucket: str, *keys: str) -> None:
    """Objects that say where they are."""
    for key in keys:
        origin.put(bucket, key, s3xml.order(f"{bucket}:{key}"))


def path(bucket: str, key: str) -> str:
    """Of a request."""
    return f"/{bucket}/" + quote(s3xml.order(key), safe="/")


# names

NAMES = """
    sprox_alias plain            { target store://somebucket/; }
    sprox_alias pre/fix          { target store://somebucket/a/b/; }
    sprox_alias tblA/$year/$month/$day {
        target store://somebucket/path/$year/$month/$day;
    }
    sprox_alias hive/$y/$m       { target store://lake/y=$y/m=$m/; }
    sprox_alias part/v$major.$minor {
        target store://lake/$major/r-$minor/; list off;
    }
    sprox_alias ext/$name.d      { target store://lake/$name-dir; list off; }
    sprox_alias twice/$x         { target store://lake/$x/copy/$x/; }
    sprox_alias $team-logs/$host { target store://logs-$team/$team/$host/; }
    sprox_alias here/$b/deep     { target store://in-$b/; list off; }
    sprox_alias odd-${a}x        { target store://odd-bucket/${a}y/; }
"""
MAPPED = {      # (virtual bucket, key): (origin's bucket, key)
    ("plain", "x/y.parquet"): ("somebucket", "x/y.parquet"),
    ("plain", "/x"): ("somebucket", "/x"),
    ("plain", "a//b/"): ("somebucket", "a//b/"),
    ("plain", "%2F+ é?#"): ("somebucket", "%2F+ é?#"),
    ("pre", "fix/x"): ("somebucket", "a/b/x"),
    ("pre", "fix//x"): ("somebucket", "a/b//x"),
    ("pre", "fix/fix/x"): ("somebucket", "a/b/fix/x"),
    ("pre", "fix/"): ("somebucket", "a/b/"),
    ("tblA", "2026/11/30/x.parquet"): ("somebucket",
                                       "path/2026/11/30/x.parquet"),
    ("tblA", "2026/11/30/x/y"): ("somebucket", "path/2026/11/30/x/y"),
    ("tblA", "a b/é/+/x"): ("somebucket", "path/a b/é/+/x"),
    ("hive", "2026/11/x"): ("lake", "y=2026/m=11/x"),
    ("hive", "y=2026/m=11/x"): ("lake", "y=y=2026/m=m=11/x"),
    ("part", "v1.2/x"): ("lake", "1/r-2/x"),
    ("part", "v1.2.3/x"): ("lake", "1/r-2.3/x"),
    ("ext", "a.d/x"): ("lake", "a-dir/x"),
    ("ext", "a.b.d/x"): ("lake", "a.b-dir/x"),
    ("twice", "1/x"): ("lake", "1/copy/1/x"),
    ("red-logs", "h1/x"): ("logs-red", "red/h1/x"),
    ("blue-green-logs", "h1/x"): ("logs-blue-green", "blue-green/h1/x"),
    ("here", "one/deep/x"): ("in-one", "x"),
    ("odd-1x", "k"): ("odd-bucket", "1y/k"),
}
UNMAPPED = [    # (virtual bucket, key, code)
    ("pre", "fix", "NoSuchKey"), ("pre", "fixx", "NoSuchKey"),
    ("pre", "fi", "NoSuchKey"), ("pre", "other/x", "NoSuchKey"),
    ("tblA", "2026/11/x", "NoSuchKey"), ("tblA", "2026/11/30", "NoSuchKey"),
    ("tblA", "2026//30/x", "NoSuchKey"), ("tblA", "/2026/11/x", "NoSuchKey"),
    ("part", "1.2/x", "NoSuchKey"), ("part", "v1/x", "NoSuchKey"),
    ("part", "v.2/x", "NoSuchKey"), ("ext", ".d/x", "NoSuchKey"),
    ("ext", "a.dd/x", "NoSuchKey"), ("twice", "x", "NoSuchKey"),
    ("here", "one/x", "NoSuchKey"), ("red-logs", "h1", "NoSuchKey"),
    ("here", "one-/deep/x", "NoSuchBucket"),    # none can be called so
    ("logs", "h1/x", "NoSuchBucket"), ("x-log", "h/x", "NoSuchBucket"),
    ("odd-x", "k", "NoSuchBucket"), ("tbla", "2026/11/30/x", "NoSuchBucket"),
    ("nobody", "x", "NoSuchBucket"), ("somebucket", "x", "NoSuchBucket"),
]


def test_names(sprox, origin):
    for bucket, key in MAPPED.values():
        put(origin, bucket, key)
    nginx = sprox(NAMES)
    for (bucket, key), (to_bucket, to_key) in MAPPED.items():
        response = nginx.get(path(bucket, key))
        assert response.status == 200, (bucket, key, response)
        assert response.body == s3xml.order(f"{to_bucket}:{to_key}")
        entry = origin.requests()[-1]
        assert (entry.bucket, entry.key) == (to_bucket, to_key)
        assert nginx.head(path(bucket, key)).status == 200


def test_names_that_no_alias_has(sprox, origin):
    """Nothing is asked for them."""
    nginx = sprox(NAMES)
    for bucket, key, code in UNMAPPED:
        response = nginx.get(path(bucket, key))
        assert (response.status, error_code(response)) == (404, code), \
            (bucket, key, response)
        assert nginx.head(path(bucket, key)).status == 404
    assert origin.requests() == []


def test_encoded_slashes_are_slashes(sprox, origin):
    """A key is bytes: however they were written, they are the same name."""
    put(origin, "somebucket", "path/2026/11/30/x")
    nginx = sprox(NAMES)
    want = b"somebucket:path/2026/11/30/x"
    for text in ("2026/11/30/x", "2026%2F11%2f30/x", "%32026/11/30%2Fx"):
        assert nginx.get("/tblA/" + text).body == want
    assert origin.count() == 1                  # and one object in the cache
    assert len(cache_files(nginx)) == 1


def test_names_that_grow_too_long(sprox, origin):
    nginx = sprox("sprox_alias tbl { target store://bucket/%s/; }"
                  % ("long" * 10))
    put(origin, "bucket", "long" * 10 + "/" + "k" * 983)
    assert nginx.get("/tbl/" + "k" * 983).status == 200
    response = nginx.get("/tbl/" + "k" * 984)
    assert (response.status, error_code(response)) \
        == (400, "KeyTooLongError")
    assert origin.count() == 1


# globs, as engines read them: a listing, then its objects

DAYS = [f"y={y}/m={m:02}/d={d:02}/part-{n}.parquet" for y in (2025, 2026)
        for m in (1, 2, 11) for d in (1, 2) for n in (0, 1)]
STRAY = ["y=2025/_SUCCESS", "y=2025/m=01/readme", "top.parquet", "y=/m=/d=/x"]
GLOBS = ["2025/*/*/*.parquet", "2026/11/*/part-0.parquet", "*/02/01/*",
         "2026/1*/*/*", "*/*/*/*", "2027/*", "2025/01/0[12]/part-1.parquet"]


def glob(lister, pattern: str) -> dict:
    """Listed under the literal beginning; '*' stays within a segment."""
    prefix = re.match(r"[^*?\[]*", pattern)[0]
    regex = fnmatch.translate(pattern).replace(".*", "[^/]*")
    pages = lister.walk(prefix=prefix, max_keys=7)
    return {key: fields for page in pages
            for key, fields in page.objects.items() if re.match(regex, key)}


@pytest.mark.parametrize("source", ["origin", "cached 1h"])
def test_globs_over_a_template(sprox, origin, source):
    put(origin, "lake", *DAYS, *STRAY)
    nginx = sprox("""sprox_alias days/$y/$m/$d {
        target store://lake/y=$y/m=$m/d=$d; }""", http_more=
                  f"{LOG} sprox_list {source};")
    lister = Lister(nginx.port, "days")
    shown = {re.sub(r"[ymd]=", "", key): key for key in DAYS}
    for pattern in GLOBS:
        found = glob(lister, pattern)
        regex = fnmatch.translate(pattern).replace(".*", "[^/]*")
        assert sorted(found) == sorted(k for k in shown if re.match(regex, k))
        for key, fields in found.items():
            response = nginx.get(path("days", key),
                                 {"If-Match": fields["ETag"]})
            assert response.status == 200
            assert response.body.decode() == f"lake:{shown[key]}"
            assert response["etag"] == fields["ETag"]
            assert int(fields["Size"]) == len(response.body)
    # the year alone narrows what is asked of the origin
    origin.journal.clear()
    lister.walk(prefix="2025/11/")
    assert {e.query for e in origin.requests()} <= {
        e.query for e in origin.requests()
        if "prefix=y%3D2025%2Fm%3D11%2F" in e.query}


def test_a_template_over_a_real_store(make_nginx, versity, bucket):
    versity.put(bucket, {key: s3xml.order(key) for key in DAYS})
    nginx = serve(make_nginx, versity.endpoint, aliases="""
        sprox_alias days/$y/$m/$d { target store://%s/y=$y/m=$m/d=$d; }
    """ % bucket, credentials=f'static {versity.access} "{versity.secret}"')
    client = s3_client(nginx.endpoint, "any", "thing")
    listed = client.list_objects_v2(Bucket="days", Prefix="2026/11/")
    assert listed["KeyCount"] == 4
    for item in listed["Contents"]:
        got = client.get_object(Bucket="days", Key=item["Key"],
                                IfMatch=item["ETag"])
        year, month, day, name = item["Key"].split("/")
        assert got["Body"].read().decode() \
            == f"y={year}/m={month}/d={day}/{name}"
    prefixes = client.list_objects_v2(Bucket="days", Delimiter="/")
    assert [p["Prefix"] for p in prefixes["CommonPrefixes"]] \
        == ["2025/", "2026/"]


# several aliases in one virtual bucket

OVERLAP = [     # alias, target; how a model reads it
    ("data", "one/top/", r"(.*)", "top/{}"),
    ("data/raw", "two/", r"raw/(.*)", "{}"),
    ("data/raw/$day", "three/d=$day/", r"raw/([^/]+)/(.*)", "d={}/{}"),
    ("data/raw/x-$day", "one/x/$day/", r"raw/x-([^/]+)/(.*)", "x/{}/{}"),
    ("data/raw/special", "two/special/in/", r"raw/special/(.*)",
     "special/in/{}"),
    ("data/$a/deep/$b", "one/deep/$a/$b/", r"([^/]+)/deep/([^/]+)/(.*)",
     "deep/{}/{}/{}"),
]
SPECIFIC = [5, 4, 3, 2, 1, 0]           # the most specific first


def serving(key: str):
    """
    (bucket, key) of the origin, by the most specific alias that fits; what
    would be the top of a bucket is no key, and fits not.
    """
    for index in SPECIFIC:
        _, target, regex, shape = OVERLAP[index]
        match = re.fullmatch(regex, key, re.DOTALL)
        if match and shape.format(*match.groups()):
            return target.partition("/")[0], shape.format(*match.groups())
    raise AssertionError(key)


def overlapping(order) -> str:
    return "".join(f"sprox_alias {OVERLAP[i][0]} "
                   f"{{ target store://{OVERLAP[i][1]}; }}\n" for i in order)


CASES = ["k", "raw", "raw-", "raw/", "raw/k", "raw/1/k", "raw/1/", "raw/1/2/k",
         "raw/x-1/k", "raw/x-/k", "raw/x/k", "raw/special/k", "raw/special",
         "raw/specials/k", "q/deep/1/k", "raw/deep/1/k", "raw/deep/k",
         "q/deep/1", "deep/1/k", "rawer/k"]


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1)],
                         ids=["forward", "backward"])
def test_the_most_specific_wins(sprox, origin, order):
    """Whatever the order in which they were written."""
    for key in CASES:
        bucket, to_key = serving(key)
        put(origin, bucket, to_key)
    nginx = sprox(overlapping(order))
    for key in CASES:
        bucket, to_key = serving(key)
        response = nginx.get(path("data", key))
        assert response.body.decode() == f"{bucket}:{to_key}", key
        assert nginx.request("PURGE", path("data", key)).text.count("1,") >= 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_listed_can_be_read(sprox, origin, seed):
    """
    One namespace out of six: a key is listed where a read finds it, with
    the bytes of that place, and nothing that another alias hides.
    """
    rng = random.Random(seed)
    words = ["raw", "deep", "special", "x-1", "x-", "1", "k", "d=1", "top",
             "in", ""]
    stored = {name: set() for name in ("one", "two", "three")}
    for name, keys in stored.items():
        heads = {"one": ["top/", "x/", "deep/", ""], "two": ["", "special/in/"],
                 "three": ["d=1/", "d=2/", ""]}[name]
        for _ in range(60):
            rest = "/".join(rng.choices(words, k=rng.randint(1, 4)))
            key = rng.choice(heads) + rest
            if key:
                keys.add(key)
        put(origin, name, *keys)
    stored["one"] |= {"top/raw/", "top/raw"}
    put(origin, "one", "top/raw/", "top/raw")

    # what the aliases show: each stored key under each name that leads to it
    want = set()
    for alias, target, regex, shape in OVERLAP:
        bucket = target.partition("/")[0]
        back = re.escape(shape).replace(r"\{\}/", "([^/]+)/") \
            .replace(r"\{\}", "(.*)")
        names = alias.partition("/")[2]
        names = re.sub(r"\$\w+", "{}", names) + "/" * bool(names) + "{}"
        for key in stored[bucket]:
            match = re.fullmatch(back, key, re.DOTALL)
            if match:
                name = names.format(*match.groups())
                if name and serving(name) == (bucket, key):
                    want.add(name)
    assert len(want) > 40

    nginx = sprox(overlapping(rng.sample(range(6), 6)))
    lister = Lister(nginx.port, "data")
    assert set(lister.all(max_keys=rng.choice([3, 10, 1000]))) == want
    for name in want:
        bucket, to_key = serving(name)
        response = nginx.get(path("data", name))
        assert response.body.decode() == f"{bucket}:{to_key}", name


def test_a_named_bucket_before_a_variable(sprox, origin):
    put(origin, "events", "k", "x/k")
    put(origin, "lake", "e/k")
    put(origin, "other", "k")
    nginx = sprox("""
        sprox_alias $bucket    { target store://$bucket/; }
        sprox_alias ev-$x      { target store://lake/ev/$x/; }
        sprox_alias events/y   { target store://lake/e/; }
        sprox_alias $b/z       { target store://lake/z/; }
    """)
    assert nginx.get("/events/y/k").body == b"lake:e/k"
    assert nginx.get("/events/k").body == b"events:k"
    assert nginx.get("/events/x/k").body == b"events:x/k"
    assert nginx.get("/other/k").body == b"other:k"
    put(origin, "lake", "ev/1/k", "z/k")
    assert nginx.get("/ev-1/k").body == b"lake:ev/1/k"
    # more of the bucket is said by "ev-$x" than by "$b/z"
    assert nginx.get("/ev-1/z/k").status == 404
    assert nginx.get("/other/z/k").body == b"lake:z/k"


def test_two_names_of_one_object(sprox, origin):
    """One copy in the cache, one state in the catalog."""
    origin.put("lake", "y=1/k", BODY)
    nginx = sprox("""
        sprox_alias years/$y { target store://lake/y=$y/; }
        sprox_alias lake     { target store://lake/; }
    """)
    assert nginx.get("/years/1/k").body == BODY
    wait_idle(nginx)
    asked = origin.count()
    assert nginx.get("/lake/y=1/k").body == BODY
    assert nginx.head("/lake/y=1/k").status == 200
    assert origin.count() == asked
    assert len(cache_files(nginx)) == 5
    assert all("lake y=1/k" in key.replace("%3D", "=")
               and "years" not in key for key in cache_keys(nginx))
    assert '"slices": 5' in nginx.request("PURGE", "/years/1/k").text
    assert cache_files(nginx) == []
    nginx.head("/lake/y=1/k")
    assert origin.count() == asked + 1


# policies

def rereads(nginx, origin, target: str, times: int = 3) -> int:
    """Requests that reads cost after the first one."""
    assert nginx.get(target).status == 200
    wait_idle(nginx)
    before = origin.count()
    for _ in range(times):
        assert nginx.get(target).status == 200
    wait_idle(nginx)
    return origin.count() - before


def test_object_blocks(sprox, origin):
    """The first block that matches, then the alias, then the location."""
    for name in ("a.parquet", "b.json", "x/b.json", "tmp/c.parquet", "d.txt",
                 "E.JSON"):
        origin.put("lake", f"in/{name}", BODY)
    nginx = sprox(r"""
        sprox_alias tbl {
            target store://lake/in/;
            slice  128k;
            object tmp/*        { cache off; }
            object *.json       { valid 0; slice 256k; }
            object ~ \.parquet$ { slice 64k; }
            object ~* \.JSON$   { slice 512k; fill 512k; }
        }
    """)
    costs = {"a.parquet": (0, 5), "b.json": (3, 2), "x/b.json": (3, 2),
             "tmp/c.parquet": (3, 0), "d.txt": (0, 3), "E.JSON": (0, 1)}
    for name, (asked, files) in costs.items():
        before = len(cache_files(nginx))
        assert rereads(nginx, origin, f"/tbl/{name}") == asked, name
        assert len(cache_files(nginx)) - before == files, name


def test_object_blocks_match_the_key_that_clients_name(sprox, origin):
    for key in ("y=2025/k", "y=2026/k"):
        origin.put("lake", key, b"x")
    nginx = sprox("""
        sprox_alias tbl/$y {
            target store://lake/y=$y/;
            object 2025/* { valid immutable; }
            object y=*    { valid 1h; }
            valid 0;
        }
    """)
    assert rereads(nginx, origin, "/tbl/2025/k") == 0
    assert rereads(nginx, origin, "/tbl/2026/k") == 3


def test_the_inner_policy_wins(make_nginx, origin):
    """http, server, location, alias: each level alone, then all of them."""
    origin.put("lake", "k", b"x")
    for level, asked in ((dict(valid="0"), 3), (dict(valid="1h"), 0),
                         (dict(valid="1h", server_more="sprox_valid 0;"), 3),
                         (dict(valid="0", server_more="sprox_valid 1h;"), 0),
                         (dict(valid="1h", more="sprox_valid 0;"), 3),
                         (dict(valid="0", server_more="sprox_valid 0;",
                               more="sprox_valid 1h;"), 0),
                         (dict(valid="0", more="sprox_valid 0;",
                               word="valid 1h;"), 0),
                         (dict(valid="1h", more="sprox_valid 1h;",
                               word="valid 0;"), 3)):
        word = level.pop("word", "")
        nginx = serve(make_nginx, origin.endpoint, **level, aliases=
                      f"sprox_alias tbl {{ target store://lake/; {word} }}")
        assert rereads(nginx, origin, "/tbl/k") == asked, (level, word)


# what clients and operators see

def test_errors_in_the_words_of_the_alias(sprox, origin):
    nginx = sprox("""
        sprox_alias secret/$y { target store://hidden-bucket/inner/y=$y/; }
        sprox_alias nowhere   { target store://missing-bucket/inner/; }
    """)
    origin.bucket("hidden-bucket")
    asked = {"/secret/1/k%26%3C": ("NoSuchKey", 404, "secret", "1/k&amp;&lt;"),
             "/nowhere/k": ("NoSuchBucket", 404, "nowhere", "k")}
    for target, (code, status, bucket, key) in asked.items():
        response = nginx.get(target)
        assert (response.status, error_code(response)) == (status, code)
        assert f"<Resource>/{bucket}/{key}</Resource>" in response.text
        assert f"<Key>{key}</Key>" in response.text
        for word in ("hidden-bucket", "missing-bucket", "inner", "y=1",
                     str(origin.port)):
            assert word not in response.text + str(response.header_list)

    for status, code in ((403, "AccessDenied"), (500, "InternalError"),
                         (400, "InvalidRequest")):
        origin.script(status=status, body=s3xml.error(
            code, "Refused.", BucketName="hidden-bucket", Key="inner/y=1/z",
            Resource="/hidden-bucket/inner/y=1/z", HostId="host"))
        for target in ("/secret/1/z", "/secret?list-type=2&prefix=1/"):
            response = nginx.get(target)
            assert (response.status, error_code(response)) == (status, code)
            assert "<Resource>/secret" in response.text
            for word in ("hidden-bucket", "inner", "y=1"):
                assert word not in response.text
        origin.clear_script()

    # the operator's log says where it was looked for
    assert 'HeadObject "hidden-bucket/inner/y%3D1/z"' in nginx.log() \
        or 'GetObject "hidden-bucket/inner/y%3D1/z"' in nginx.log()


def test_logs_name_the_alias_as_it_was_written(sprox, origin):
    put(origin, "lake", "y=1/k", "z")
    nginx = sprox("""
        sprox_alias tbl/$year { target store://lake/y=$year/; }
        sprox_alias tbl       { target store://lake/; }
    """)
    for target in ("/tbl/1/k", "/tbl/z", "/other/k"):
        nginx.get(target)
    nginx.wait(lambda: len(log_lines(nginx)) == 3, 5, "to log")
    assert [line[2:4] for line in log_lines(nginx)] == [
        ["tbl/$year", "GetObject"], ["tbl", "GetObject"], ["-", "GetObject"]]


def test_a_target_that_moves(sprox, origin):
    """With the reload, and not a read later."""
    put(origin, "old", "k")
    put(origin, "new", "in/k")
    nginx = sprox("sprox_alias tbl { target store://old/; }")
    assert nginx.get("/tbl/k").body == b"old:k"
    nginx._variables["aliases"] = "sprox_alias tbl { target store://new/in/; }"
    nginx.write(HTTP)
    nginx.reload(wait_old=True)
    assert nginx.get("/tbl/k").body == b"new:in/k"
    assert Lister(nginx.port, "tbl").all() == ["k"]
