"""
What lies in shared memory, over reloads and killed workers: the catalog, the
metrics. And the variables, whose values come from the same requests.
"""

import re
import shutil
import signal
import socket
from datetime import datetime, timedelta

import pytest

from harness.admin import Admin
from harness.nginx import CONF as FRAME

CONF = """
    proxy_cache_path @dir@/cache keys_zone=nvme:1m use_temp_path=off;
    sprox_catalog zone=catalog:@size@;
    sprox_cache nvme;
    sprox_valid 1h;
    log_format sprox '$sprox_alias $sprox_operation $status '
        '$sprox_cache_status $sprox_bytes_hit $sprox_bytes_fill '
        '$sprox_request_id $sprox_access_key';
    sprox_origin disk { dialect file; root @root@; }
    sprox_alias tblA { target disk://bucket/a/; }
    @more@
    server {
        listen 127.0.0.1:@port@;
        access_log @dir@/access.log sprox;
        location / { sprox on; }
        location = /metrics { sprox_metrics; access_log off; }
        location /_sprox/ { sprox_admin; }
        location = /plain { return 204; }
    }
"""
MORE = "".join(f"sprox_alias more-{i} {{ target disk://bucket/; }}\n"
               for i in range(100))


@pytest.fixture
def store(tmp_path):
    root = tmp_path / "store"
    (root / "bucket/a").mkdir(parents=True)
    (root / "bucket/a/x").write_bytes(b"0123456789")
    root.chmod(0o755)
    tmp_path.chmod(0o755)
    return root


@pytest.fixture
def nginx(make_nginx, store):
    def make(size="1m", more="", **options):
        return make_nginx(CONF, root=store, size=size, more=more, **options)
    return make


def change(nginx, **variables):
    nginx._variables.update(variables)
    nginx.write(CONF)
    nginx.reload(wait_old=True)


def requests(nginx):
    return nginx.metrics().sum("sprox_requests_total", alias="tblA",
                               operation="GetObject", status=200)


def asked(nginx):
    return nginx.metrics().sum("sprox_origin_requests_total", origin="disk")


def test_reload_keeps_catalog_and_metrics(nginx):
    nginx = nginx()
    assert nginx.get("/tblA/x").body == b"0123456789"
    before = asked(nginx)
    assert requests(nginx) == 1 and before > 0
    assert nginx.metrics().sum("sprox_catalog_objects") == 1
    nginx.reload(wait_old=True)
    assert nginx.metrics().sum("sprox_catalog_objects") == 1
    assert nginx.get("/tblA/x").body == b"0123456789"
    assert requests(nginx) == 2 and asked(nginx) == before


def test_reload_that_grows_the_metrics_keeps_the_numbers(nginx):
    nginx = nginx()
    nginx.get("/tblA/x")
    before = asked(nginx)
    change(nginx, more=MORE)
    assert requests(nginx) == 1 and asked(nginx) == before
    nginx.get("/more-7/a/x")
    assert nginx.metrics().sum("sprox_requests_total", alias="more-7") == 1
    change(nginx, more="")
    assert requests(nginx) == 1
    nginx.get("/tblA/x")
    assert requests(nginx) == 2


def test_catalog_of_another_size_is_another_catalog(nginx):
    nginx = nginx()
    nginx.get("/tblA/x")
    change(nginx, size="2m")
    assert nginx.metrics().sum("sprox_catalog_objects") == 0
    assert nginx.get("/tblA/x").body == b"0123456789"


def test_origin_pointed_elsewhere_starts_with_nothing_known(nginx, store):
    nginx = nginx()
    assert nginx.get("/tblA/x").body == b"0123456789"
    other = store.with_name("other")
    (other / "bucket/a").mkdir(parents=True)
    (other / "bucket/a/x").write_bytes(b"of the other store")
    change(nginx, root=other)
    assert nginx.get("/tblA/x").body == b"of the other store"


def test_workers_share_catalog_and_metrics(nginx):
    nginx = nginx(workers=2)
    for _ in range(20):
        assert nginx.get("/tblA/x").body == b"0123456789"
    # the other worker may count after its answer was read
    nginx.wait(lambda: requests(nginx) == 20, 5, "to count")
    assert nginx.metrics().sum("sprox_catalog_objects") == 1
    nginx.kill_worker()
    nginx.kill_worker()
    assert nginx.get("/tblA/x").body == b"0123456789"
    nginx.wait(lambda: requests(nginx) == 21, 5, "to count")
    assert nginx.metrics().sum("sprox_fills_in_flight") == 0


def test_failed_reload_and_a_killed_worker(nginx):
    """
    The worker that comes then is of the configuration before, although the
    other one's zones were made before its port was found taken.
    """
    nginx = nginx()
    nginx.get("/tblA/x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        nginx._variables["more"] = MORE + f"server {{ listen {port}; }}"
        nginx.write(CONF)
        nginx.allow_log(r"bind\(\) to .* failed|still could not bind")
        nginx.process.send_signal(signal.SIGHUP)
        nginx.wait_log("still could not bind")
    nginx.kill_worker()
    assert nginx.get("/tblA/x").body == b"0123456789"
    assert requests(nginx) == 2


def test_variables(nginx):
    nginx = nginx()
    nginx.get("/tblA/x")
    nginx.get("/tblA/x")
    nginx.get("/none/x")
    nginx.get("/plain")
    nginx.stop()
    first, second, none, plain = [line.split(" ")
                                  for line in nginx.access_log()]
    assert first[:4] == ["tblA", "GetObject", "200", "MISS"]
    assert int(first[4]) + int(first[5]) == 10
    assert second[:6] == ["tblA", "GetObject", "200", "HIT", "10", "0"]
    assert none[:3] == ["-", "GetObject", "404"]
    assert plain == ["-", "-", "204", "-", "-", "-", "-", "-"]
    ids = {line[6] for line in (first, second, none)}
    assert len(ids) == 3 and all(len(i) == 16 and i.isalnum() for i in ids)
    nginx.start()


def test_request_that_no_alias_matches(nginx):
    nginx = nginx()
    nginx.get("/none/x")
    metrics = nginx.metrics()
    assert metrics.sum("sprox_requests_total", alias="", status=404) == 1
    assert metrics.sum("sprox_requests_total", alias="tblA") == 0


def put_in(nginx, conf):
    """Another configuration; until a worker of it answers as sprox does."""
    master = nginx.process.pid
    nginx.write(CONF, conf)
    nginx.reload(wait_old=True)
    assert nginx.get("/tblA/x").body == b"0123456789"
    assert nginx.process.poll() is None and nginx.process.pid == master


PLAIN = "server { listen 127.0.0.1:@port@; location / { return 204; } }"
# nginx's table of them, which begins with an empty place, lies behind its
# modules' configurations
TYPES = "types { text/x 1 5 7 e; }"
DATED = "sprox_alias dated { target disk://bucket/; list catalog; }"


@pytest.mark.parametrize("http", [PLAIN, TYPES + PLAIN, None],
                         ids=["plain", "types", "nothing"])
def test_module_comes_with_a_reload(make_nginx, store, http):
    """
    What nginx ran before knows nothing of it, or not even of HTTP: nothing
    is taken over from that, and no clock either.
    """
    frame = FRAME.replace("load_module @module@;", "")
    if http is None:
        http, frame = "", re.sub(r"(?s)\nhttp .*", "\n", frame)
    nginx = make_nginx(http, conf=frame, root=store, size="1m", more=DATED)
    put_in(nginx, FRAME)
    known = Admin(nginx).wait_complete("dated")
    crawled = datetime.fromisoformat(known["crawled_at"].rstrip("Z"))
    assert abs(crawled - datetime.utcnow()) < timedelta(hours=1)


def test_module_is_replaced_by_a_copy(nginx):
    """Its catalog is another one: the copy's zone has another tag."""
    nginx = nginx()
    assert nginx.get("/tblA/x").body == b"0123456789"
    copy = nginx.dir / "another.so"
    for _ in range(2):
        shutil.copy(nginx._variables["module"], copy)
        put_in(nginx, FRAME.replace("@module@", str(copy)))
        put_in(nginx, FRAME)
        copy.unlink()


def test_module_goes_and_comes_back(nginx):
    nginx = nginx()
    assert nginx.get("/tblA/x").body == b"0123456789"
    nginx.write(PLAIN, FRAME.replace("load_module @module@;", ""))
    nginx.reload(wait_old=True)
    assert nginx.get("/tblA/x").status == 204
    put_in(nginx, FRAME)
