"""
The configurations in conf/examples: nginx takes each of them as it is, but
that its files are in a folder of the test's; and each is read through, over
the harness's stores instead of those that it names. That of README is
conf/examples/sidecar.conf.
"""

import re
import ssl

import pytest

from clients import table
from clients.engines import run, where
from harness import events, sqs, wire
from harness.listing import Lister
from harness.nginx import ROOT
from harness.pki import insecure
from harness.relocate import relocate

EXAMPLES = sorted((ROOT / "conf/examples").glob("*.conf"))

ENV = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def example(make_nginx, pki):
    """example(name, replace): see harness.relocate."""

    def example(name, replace={}, env=ENV):
        nginx = relocate(
            make_nginx, (ROOT / f"conf/examples/{name}.conf").read_text(),
            replace, {"AWS_SHARED_CREDENTIALS_FILE": "credentials", **env})
        fill(nginx.dir, pki)
        return nginx

    return example


def fill(here, pki):
    """The files that the examples name."""
    for name, source in {"server.pem": pki.good.cert,
                         "server.key": pki.good.key, "store-ca.pem": pki.ca,
                         "clients-ca.pem": pki.ca}.items():
        (here / "etc/sprox" / name).symlink_to(source)
    (here / "etc/sprox/gcs.key").write_text(
        "credentials static GOOG1EXAMPLE secret;\n")
    (here / "etc/sprox/admin.token").write_text("a-token-of-the-operator\n")
    (here / "etc/sprox/admin.token").chmod(0o600)
    (here / "credentials").write_text(
        "[sales]\naws_access_key_id = AKIDSALES\n"
        "aws_secret_access_key = secret\n")


def keys_of(versity) -> dict:
    return {"AWS_ACCESS_KEY_ID": versity.access,
            "AWS_SECRET_ACCESS_KEY": versity.secret}


def signer(entry) -> str:
    """Whose key signed; empty: nobody's."""
    found = re.search(r"Credential=([^/]+)/",
                      entry.headers.get("authorization", ""))
    return found[1] if found else ""


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_nginx_takes_it(example, name):
    code, said = example(name).check()
    assert code == 0, said
    assert "[warn]" not in said and "[error]" not in said, said


def test_each_is_read_through():
    """Below, each by a test with its name."""
    tests = {name.removeprefix("test_run_") for name in globals()
             if name.startswith("test_run_")}
    assert tests == {path.stem for path in EXAMPLES}


def test_readme_shows_the_sidecar():
    blocks = re.findall(r"^```nginx\n(.*?)^```$",
                        (ROOT / "README.md").read_text(), re.M | re.S)
    comment, shown = (ROOT / "conf/examples/sidecar.conf").read_text() \
        .split("\n\n", 1)
    assert comment.startswith("#")
    assert blocks == [shown]


def test_run_sidecar(example, versity):
    part = table.make_parquet(1000)
    versity.put("acme-events",
                {"parquet/year=2024/month=05/a.parquet": part})
    versity.put("acme-other", {"some/a.parquet": part, "note.txt": b"hello"})
    nginx = example("sidecar", {
        "region       eu-west-1;": f"endpoint {versity.endpoint};"},
        keys_of(versity)).start()

    want = table.answer(table.make_table(1000))
    assert run("duckdb", where(nginx.endpoint, "events", "",
                               "2024/05/*.parquet")) == want
    assert run("duckdb", where(nginx.endpoint, "acme-other", "some/")) == want
    assert nginx.get("/acme-other/note.txt").body == b"hello"
    versity.journal.wait_idle()
    asked = versity.journal.count()
    assert nginx.get("/acme-other/note.txt").body == b"hello"
    assert versity.journal.count() == asked

    path = nginx.dir / "var/log/nginx/access.log"
    nginx.wait(lambda: "HIT hit=5 fill=0" in path.read_text(), 10,
               "to log the hit")
    assert path.read_text().splitlines()[-1].endswith(
        '"GET /acme-other/note.txt HTTP/1.1" 200 5 GetObject HIT hit=5 fill=0')
    assert nginx.metrics().sum("sprox_requests_total",
                               operation="GetObject") >= 3


def test_run_directory(example):
    nginx = example("directory")
    photos = nginx.dir / "srv/buckets/photos"
    (photos / "2024").mkdir(parents=True)
    (photos / "2024/a b.jpg").write_bytes(b"pixels")
    (photos / "out").symlink_to(nginx.dir / "credentials")
    nginx.start()

    assert nginx.get("/photos/2024/a%20b.jpg").body == b"pixels"
    assert nginx.get("/photos/2024/a%20b.jpg",
                     {"Range": "bytes=1-2"}).body == b"ix"
    assert nginx.get("/photos/out").status == 404
    assert Lister(nginx.port, "photos").page().keys == ["2024/a b.jpg"]


def test_run_events(example, origin):
    queue = sqs.Queue("AKIDEXAMPLE", "secret")
    origin.put("acme-lake", "t/a", b"old", modified=1700000000)
    nginx = example("events", {
        "region       eu-west-1;":
            f"region eu-west-1; endpoint {origin.endpoint};",
        "sqs://sqs.eu-west-1.amazonaws.com/123456789012/lake-events "
        "origin=lake":
            f"{queue.url} origin=lake tls=off"}).start()
    admin = events.Sender(nginx, headers={
        "Authorization": "Bearer a-token-of-the-operator"})
    admin.wait_complete("lake")
    assert nginx.get("/lake/t/a").body == b"old"

    for number, how in enumerate((
            queue.send, lambda told: admin.post(told)[0] == 200)):
        new = origin.put("acme-lake", "t/a", b"new %d" % number)
        more = origin.put("acme-lake", f"t/{number}", b"")
        how(events.records(events.created("acme-lake", "t/a", new),
                           events.created("acme-lake", f"t/{number}", more)))
        queue.wait_empty()
        assert nginx.get("/lake/t/a").body == b"new %d" % number
    assert Lister(nginx.port, "lake").page().keys == ["t/0", "t/1", "t/a"]
    assert origin.count(operation="ListObjectsV2") == 1
    queue.stop()


def test_run_gcs(example, origin):
    origin.put("acme-tables", "warehouse/t/a.parquet", b"tables")
    origin.put("acme-archive", "old.csv", b"archive")
    nginx = example("gcs")
    with open(nginx.dir / "etc/sprox/gcs.key", "a") as key:
        key.write(f"endpoint {origin.endpoint};\n")
    nginx.start()

    for _ in range(2):
        assert nginx.get("/tables/t/a.parquet").body == b"tables"
        assert nginx.get("/archive/old.csv").body == b"archive"
        assert Lister(nginx.port, "tables").page().keys == ["t/a.parquet"]
    assert origin.count() == 3
    for entry in origin.requests():
        assert signer(entry) == "GOOG1EXAMPLE"
        assert entry.headers["authorization"].startswith("GOOG4-HMAC-SHA256 ")


def test_run_minio(example, versity, bucket):
    versity.put(bucket, {"dir/a.txt": b"hello"})
    nginx = example("minio", {
        "http://minio:9000": versity.endpoint,
        "static sprox-reader a-secret-of-forty-characters":
            f'static "{versity.access}" "{versity.secret}"'}).start()

    assert nginx.get(f"/{bucket}/dir/a.txt").body == b"hello"
    host = {"Host": f"{bucket}.s3.localhost:{nginx.port}"}
    assert nginx.get("/dir/a.txt", host).body == b"hello"
    assert Lister(nginx.port, bucket).page().keys == ["dir/a.txt"]
    assert versity.journal.count(operation="GetObject") == 1


def test_run_s3(example, origin):
    for bucket, key in (
            ("acme-sales-eu", "a.parquet"), ("acme-sales-eu", "b.tmp"),
            ("acme-sales-eu", "t/_delta_log/0.json"),
            ("acme-research", "teams/physics/x.csv"),
            ("overturemaps-us-west-2", "release/y.parquet")):
        origin.put(bucket, key, key.encode())
    nginx = example("s3", {
        f"region       {region};":
            f"region {region}; endpoint {origin.endpoint};"
        for region in ("eu-west-1", "us-east-2", "us-east-1")}).start()

    def twice(target, body) -> list:
        """What the origin was asked, of two reads."""
        origin.journal.clear()
        for _ in range(2):
            assert nginx.get(target).body == body
        origin.journal.wait_idle()
        return [(e.status, signer(e)) for e in origin.requests()]

    def kept(folder) -> int:
        return sum(p.is_file() for p in (nginx.dir / "var/cache" / folder)
                   .rglob("*"))

    assert twice("/sales/a.parquet", b"a.parquet") == [(206, "AKIDSALES")]
    assert (kept("sprox-hot"), kept("sprox-bulk")) == (0, 1)
    assert twice("/sales/b.tmp", b"b.tmp") == 2 * [(200, "AKIDSALES")]
    assert (kept("sprox-hot"), kept("sprox-bulk")) == (0, 1)
    assert twice("/sales/t/_delta_log/0.json", b"t/_delta_log/0.json") \
        == [(206, "AKIDSALES"), (304, "AKIDSALES")]
    assert twice("/research/physics/x.csv", b"teams/physics/x.csv") \
        == [(206, "AKIDEXAMPLE")]
    assert twice("/maps/release/y.parquet", b"release/y.parquet") \
        == [(206, "")]
    assert (kept("sprox-hot"), kept("sprox-bulk")) == (2, 2)


def test_run_tiers(example, origin):
    nginx = example("tiers", {
        "region       eu-west-1;": f"endpoint {origin.endpoint};"}).start()
    for key in "a.parquet", "a.csv":
        origin.put("acme-lake", key, key.encode())
        for _ in range(3):
            assert nginx.get(f"/lake/{key}").body == key.encode()
    nginx.wait(lambda: nginx.metrics().sum(
        "sprox_tier_promotions_total", zone="ram", result="done") == 1, 10,
        "to copy what is hot")
    origin.stop()
    for key in "a.parquet", "a.csv":
        assert nginx.get(f"/lake/{key}").body == key.encode()
    metrics = nginx.metrics()
    assert metrics.sum("sprox_tier_bytes_total", zone="ram") == 9
    assert metrics.sum("sprox_tier_bytes_total", zone="nvme") == 18


ALIASES = {                 # what clients read: where it lies
    "raw/a/b.csv": "acme-raw-eu-west-1/a/b.csv",
    "trips/b.parquet": "acme-lake/tables/trips/b.parquet",
    "all/orders/1.csv": "acme-sales/v7/orders/1.csv",
    "all/returns/2.csv": "acme-logistics/returns/2.csv",
    "events/2024/05/x.csv": "acme-lake/events/year=2024/month=05/x.csv",
    "events/2023/07/x.csv": "acme-lake/events/year=2023/month=07/x.csv",
    "tenant-blue/x.csv": "acme-tenants/blue/x.csv",
    "by-day/2024-05-31/x.csv": "acme-lake/days/31.05.2024/x.csv",
    "acme-other/x.csv": "acme-other/x.csv",
}


def test_run_templates(example, origin):
    for place in ALIASES.values():
        bucket, _, key = place.partition("/")
        origin.put(bucket, key, place.encode())
    nginx = example("templates",
                    {"https://s3.example.com": origin.endpoint}).start()

    for name, place in ALIASES.items():
        assert nginx.get(f"/{name}").body == place.encode(), name

    def listed(bucket) -> list:
        return Lister(nginx.port, bucket).page().keys

    assert listed("trips") == ["b.parquet"]
    assert listed("all") == ["orders/1.csv", "returns/2.csv"]
    assert listed("events") == ["2023/07/x.csv", "2024/05/x.csv"]
    assert listed("tenant-blue") == ["x.csv"]
    assert listed("by-day") == []


def test_run_tls(example, versity_tls, pki, bucket):
    versity_tls.put(bucket, {"a.txt": b"hello"})
    nginx = example("tls", {
        "https://s3.corp.example:8443": versity_tls.endpoint,
        "9443 ssl;": "127.0.0.1:@port:tls@ ssl;",
        "allow 10.0.0.0/8;": "allow 127.0.0.0/8;"},
        keys_of(versity_tls)).start()
    port = nginx.ports["tls"]

    known = ssl.create_default_context(cafile=str(pki.ca))
    known.check_hostname = False        # of s3.corp.example it says nothing
    known.load_cert_chain(pki.client.cert, pki.client.key)
    for target, host in ((f"/{bucket}/a.txt", "s3.corp.example"),
                         ("/a.txt", f"{bucket}.s3.corp.example")):
        with wire.Client(port, tls=known) as client:
            assert client.request("GET", target,
                                  {"Host": host}).body == b"hello"
    assert versity_tls.journal.count(operation="GetObject") == 1

    with wire.Client(port, tls=insecure()) as client:
        refused = client.request("GET", f"/{bucket}/a.txt")
        assert refused.status == 400 and b"hello" not in refused.body
    assert nginx.metrics().sum("sprox_requests_total",
                               operation="GetObject", status="200") == 2
