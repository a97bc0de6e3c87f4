import os
import subprocess
from pathlib import Path

import pytest

from harness import clock
from harness.dns import NameServer
from harness.nginx import Nginx
from harness.origin import Origin
from harness.pki import Pki
from harness.versity import Versity

# A client takes its settings from the test, not from who runs it.
for _name in list(os.environ):
    if _name.startswith("AWS_") or _name.lower().endswith("_proxy"):
        del os.environ[_name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_collection_modifyitems(items) -> None:
    """What takes long begins first, and the rest runs beside it."""
    items.sort(key=lambda item: item.path.name != "test_soak.py")


@pytest.fixture(scope="session")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path:
    """See harness/clock.py."""
    return clock.build(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def make_nginx(tmp_path):
    """
    make_nginx(http, ...) starts one (start=False: only writes its
    configuration). Each is stopped and its logs are judged at the end.
    """
    made = []

    def make(http: str, *, start: bool = True, **options) -> Nginx:
        nginx = Nginx(tmp_path / f"nginx{len(made)}", http, **options)
        made.append(nginx)
        return nginx.start() if start else nginx

    yield make

    trouble = []
    for nginx in made:
        if nginx.process:
            try:
                nginx.stop()
            except AssertionError as error:
                trouble.append(str(error))
    assert not trouble, "\n".join(trouble)


@pytest.fixture
def make_origin():
    """make_origin(...) is a scripted origin: see harness/origin.py."""
    made = []

    def make(**options) -> Origin:
        made.append(Origin(**options))
        return made[-1]

    yield make

    for origin in made:
        origin.stop()


@pytest.fixture
def origin(make_origin) -> Origin:
    return make_origin()


@pytest.fixture(scope="session")
def disk_shim(tmp_path_factory) -> Path:
    """For LD_PRELOAD: see harness/full_disk.c."""
    path = tmp_path_factory.mktemp("shim") / "full_disk.so"
    source = Path(__file__).parent / "harness" / "full_disk.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-Wall", "-o", path,
                    source, "-ldl"], check=True)
    return path


@pytest.fixture(scope="session")
def read_shim(tmp_path_factory) -> Path:
    """For LD_PRELOAD: see harness/held_read.c."""
    path = tmp_path_factory.mktemp("shim") / "held_read.so"
    source = Path(__file__).parent / "harness" / "held_read.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-Wall", "-o", path,
                    source, "-ldl"], check=True)
    return path


@pytest.fixture
def dns():
    server = NameServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _versity(tmp_path_factory):
    server = Versity(tmp_path_factory.mktemp("versity"))
    yield server
    server.stop()


@pytest.fixture
def versity(_versity) -> Versity:
    """The session's S3 server; each test makes buckets of its own."""
    _versity.journal.clear()
    return _versity


@pytest.fixture(scope="session")
def _versity_tls(tmp_path_factory, pki):
    server = Versity(tmp_path_factory.mktemp("versity-tls"), tls=pki.good,
                     ca=pki.ca)
    yield server
    server.stop()


@pytest.fixture
def versity_tls(_versity_tls) -> Versity:
    _versity_tls.journal.clear()
    return _versity_tls


@pytest.fixture
def bucket(request) -> str:
    """A bucket name that no other test uses."""
    words = request.node.name.lower().replace("_", "-")
    clean = "".join(c if c.isalnum() and c.isascii() else "-" for c in words)
    return "b-" + "-".join(filter(None, clean.split("-")))[:60].strip("-")
