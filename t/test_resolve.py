"""
Names of origins: by nginx's `resolver` (a scripted name server) and by the
system's, asked again while nginx runs, without a request that waits or fails
for it.
"""

import concurrent.futures
import glob
import re
import socket
import time

import pytest

from harness.dns import A, NameServer
from harness.patience import until
from harness.ports import free_port

HTTP = """
    @resolver@
    sprox_origin store {
        endpoint        http://@host@;
        region          us-east-1;
        style           @style@;
        credentials     anonymous;
        connect_timeout 2s;
        keepalive       @keepalive@;
        max_fails       0;
    }
    sprox_valid 0;
    sprox_alias $bucket { target store://$bucket/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
    }
"""
SYSTEM = ""
NSS_WRAPPER = glob.glob("/usr/lib/*/libnss_wrapper.so*")


@pytest.fixture
def names():
    server = NameServer(ttl=1)
    yield server
    server.stop()


@pytest.fixture
def origin(make_origin):
    origin = make_origin(domains=("s3.test",))
    origin.put("bucket", "k", b"body")
    return origin


@pytest.fixture
def start(make_nginx, names):
    def start(host: str, resolver: str = f"resolver {names.address};",
              **options):
        return make_nginx(HTTP, host=host, resolver=resolver, **{
            "style": "path", "keepalive": 1, **options})

    return start


def wait_status(nginx, want: int, timeout: float = 10) -> None:
    until(lambda: nginx.get("/bucket/k").status == want, timeout)


def lines(nginx, level: str, text: str) -> list:
    return [line for line in nginx.log().splitlines()
            if f"[{level}]" in line and text in line and "sprox" in line]


# nginx's resolver

def test_resolver(start, names, origin):
    names.names["store.test"] = ["127.0.0.1"]
    names.ttl = 300
    nginx = start(f"store.test:{origin.port}")
    for _ in range(50):
        assert nginx.get("/bucket/k").body == b"body"
        origin.drop_connections()
    assert names.questions.count(("store.test", A)) == 1


def test_bucket_in_the_name(start, names, origin):
    origin.put("other", "k", b"other")
    names.names["bucket.s3.test"] = names.names["other.s3.test"] = ["127.0.0.1"]
    nginx = start(f"s3.test:{origin.port}", style="virtual")
    assert nginx.get("/bucket/k").body == b"body"
    assert nginx.get("/other/k").body == b"other"
    asked = {name for name, _ in names.questions}
    assert asked == {"bucket.s3.test", "other.s3.test"}


@pytest.mark.parametrize("dead", [["127.0.0.2"], ["::1"],
                                  ["127.0.0.2", "127.0.0.3", "127.0.0.4"]])
def test_next_address(start, names, origin, dead):
    """Nothing listens on the others; no request notices."""
    names.names["store.test"] = [*dead, "127.0.0.1"]
    nginx = start(f"store.test:{origin.port}")
    for _ in range(20):
        response = nginx.get("/bucket/k")
        assert (response.status, response.body) == (200, b"body")
        origin.drop_connections()


def test_moved(start, names, origin):
    """From an address where nobody answers to the right one."""
    names.names["store.test"] = ["127.0.0.2"]
    nginx = start(f"store.test:{origin.port}")
    assert nginx.get("/bucket/k").status >= 502
    names.names["store.test"] = ["127.0.0.1"]
    wait_status(nginx, 200)


def test_moved_while_in_use(start, names, origin):
    """A new connection finds the answer old, and has it renewed."""
    names.names["store.test"] = ["127.0.0.1"]
    nginx = start(f"store.test:{origin.port}")
    assert nginx.get("/bucket/k").status == 200
    names.names["store.test"] = ["127.0.0.2"]
    time.sleep(2.5)
    origin.drop_connections()
    assert nginx.get("/bucket/k").status == 200

    def moved() -> bool:
        origin.drop_connections()
        return nginx.get("/bucket/k").status >= 502

    until(moved)


def test_outage_keeps_the_addresses(start, names, origin):
    names.names["store.test"] = ["127.0.0.1"]
    nginx = start(f"store.test:{origin.port}")
    assert nginx.get("/bucket/k").status == 200
    del names.names["store.test"]

    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        assert nginx.get("/bucket/k").status == 200
        origin.drop_connections()
        time.sleep(0.02)
    warned = lines(nginx, "warn", "could not be resolved again")
    assert len(warned) == 1, warned
    assert 'origin "store"' in warned[0] and "store.test" in warned[0]
    # not at every request: the first time, and after 5 seconds
    assert names.questions.count(("store.test", A)) <= 4


def test_unknown_name(start, names, origin):
    nginx = start(f"store.test:{origin.port}")
    response = nginx.get("/bucket/k")
    assert response.status in (502, 503, 504)
    assert "<Error>" in response.text
    error, = lines(nginx, "error", "could not be resolved")
    assert 'origin "store"' in error and "store.test" in error
    assert "Host not found" in error


def test_storm_asks_once(start, names, origin):
    nginx = start(f"store.test:{origin.port}")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: nginx.get("/bucket/k").status,
                                 range(100)))
    assert all(status >= 502 for status in statuses)
    assert names.questions.count(("store.test", A)) <= 2


def test_silent_name_server(start, names, origin):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", free_port()))
    nginx = start(f"store.test:{origin.port}",
                  f"resolver 127.0.0.1:{sock.getsockname()[1]};"
                  "resolver_timeout 1s;")
    began = time.monotonic()
    assert nginx.get("/bucket/k", timeout=60).status >= 502
    assert 0.9 < time.monotonic() - began < 30
    assert lines(nginx, "error", "resolver_timeout")
    sock.close()


def test_localhost_needs_no_name_server(start, names, origin):
    nginx = start(f"localhost:{origin.port}")
    assert nginx.get("/bucket/k").body == b"body"
    assert names.questions == []


def test_address_needs_no_name_server(start, names, origin):
    nginx = start(f"127.0.0.1:{origin.port}")
    assert nginx.get("/bucket/k").body == b"body"
    assert names.questions == []


# the system's resolver

def test_system_localhost(start, origin):
    nginx = start(f"localhost:{origin.port}", resolver=SYSTEM)
    for _ in range(20):
        assert nginx.get("/bucket/k").body == b"body"


def test_system_unknown_name(start, origin):
    nginx = start(f"no-such-host.invalid:{origin.port}", resolver=SYSTEM)
    response = nginx.get("/bucket/k", timeout=60)
    assert response.status in (502, 503, 504)
    error = lines(nginx, "error", "could not be resolved")[0]
    assert 'origin "store"' in error and "no-such-host.invalid" in error


def test_hosts_file(start, origin, tmp_path):
    """The first address of two is dead."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 store.test\n127.0.0.1 store.test\n")
    nginx = start(f"store.test:{origin.port}", resolver=SYSTEM,
                  main="env NSS_WRAPPER_HOSTS;",
                  env={"LD_PRELOAD": NSS_WRAPPER[0],
                       "NSS_WRAPPER_HOSTS": str(hosts)})
    for _ in range(10):
        assert nginx.get("/bucket/k").body == b"body"
        origin.drop_connections()
