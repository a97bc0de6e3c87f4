"""
A PURGE that a worker reads late in a turn of its event loop: what another
worker asked for meanwhile is older than it all the same.
"""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from harness.sprox import serve, wait_idle

SOURCE = Path(__file__).parent / "harness" / "held_purge.c"
OLD, NEW = b"the old body", b"the new body"


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("purge") / "held_purge.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-Wall", "-o", path,
                    SOURCE, "-ldl"], check=True)
    return path


@pytest.fixture
def flag(tmp_path) -> Path:
    return tmp_path / "flag"


@pytest.fixture
def sprox(make_nginx, origin, shim, flag):
    return serve(make_nginx, origin.endpoint, workers=2,
                 main="env HELD_PURGE;",
                 env={"LD_PRELOAD": str(shim), "HELD_PURGE": str(flag)},
                 server_more="location = /pid { return 200 $pid; }")


def two_workers(nginx, stack) -> list:
    """A connection to each of them."""
    clients = {}
    while len(clients) < 2:
        client = stack.enter_context(nginx.client())
        clients.setdefault(client.request("GET", "/pid").text, client)
    return list(clients.values())


@pytest.mark.parametrize("target", ["/bucket/key", "/bucket/k*"])
def test_a_late_purge(sprox, origin, flag, target):
    origin.put("bucket", "key", OLD)
    gate = origin.hold(key="key", gate_after=3)
    with contextlib.ExitStack() as stack:
        late, other = two_workers(sprox, stack)
        flag.touch()
        late.send("PURGE", target)
        sprox.wait(flag.with_suffix(".held").exists, 5, "to read")
        began = time.monotonic()
        sprox.wait(lambda: time.monotonic() > began + 0.05, 5, "to be late")
        other.send("GET", "/bucket/key")
        gate.wait()
        flag.unlink()
        assert late.read("PURGE").status == 200
        origin.put("bucket", "key", NEW)
        gate.open()
        assert other.read().body == OLD
    wait_idle(sprox)
    assert sprox.get("/bucket/key").body == NEW
