"""
`make run` as README tells it: three lines come, each works when it is pasted
into a shell that knows nothing, Ctrl-C ends it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from clients import table
from harness import nginx
from harness.logcheck import Checker
from harness.metrics import Metrics
from harness.patience import until
from harness.ports import free_port
from harness.wire import request

TREE = (".ci", "conf", "src", "t", "Makefile", "config",
        "ngx_http_sprox_module.c")


def clean(**more) -> dict:
    """The environment of a shell that no make and no test has touched."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "NGINX_SRC")
           if name in os.environ}
    return {**env, "AWS_EC2_METADATA_DISABLED": "true", **more}


class Running:
    def __init__(self, command, cwd, run_folder, timeout=60, **env):
        self.folder = run_folder
        self.process = subprocess.Popen(
            command, cwd=cwd, env=clean(**env), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        self.said = []
        self._reader = threading.Thread(
            target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self._reader.start()
        timer = threading.Timer(timeout, self.end, [signal.SIGKILL])
        timer.start()
        try:
            lines = [self.process.stdout.readline() for _ in range(3)]
        finally:
            timer.cancel()
        assert all(lines), lines + self.said
        self.lines = [line.rstrip("\n") for line in lines]
        self.duckdb, self.aws, self.curl = self.lines

    def end(self, how=signal.SIGINT) -> str:
        """Ctrl-C: a signal to the whole group. What else it printed."""
        try:
            os.killpg(self.process.pid, how)
        except ProcessLookupError:
            pass
        rest = self.process.stdout.read()
        self.process.wait(60)
        self._reader.join(5)
        until(lambda: not self._alive(), 10, "something still runs")
        return rest

    def _alive(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
            return True
        except ProcessLookupError:
            return False


@pytest.fixture
def start(tmp_path):
    made = []

    def start(*args, **env) -> Running:
        made.append(Running(*args, **env))
        return made[-1]

    yield start
    for running in made:
        running.end(signal.SIGKILL)


def paste(line: str) -> str:
    done = subprocess.run(["bash", "-c", line], cwd="/", env=clean(),
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def origin_requests(port: int) -> float:
    answer = request(port, "GET", "/metrics")
    return Metrics(answer.text).sum("sprox_origin_requests_total",
                                    origin="store")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.timeout(600)
def test_make_run_in_a_fresh_tree(tmp_path, start):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in TREE:
        source = nginx.ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / name)
    (tree / ".deps").symlink_to(nginx.ROOT / ".deps")

    port, store = free_port(), free_port()
    sprox = start(["make", "run", f"PORT={port}", f"STORE_PORT={store}"],
                  tree, tree / "build/run", 400)

    rides = paste(sprox.duckdb)
    assert re.search(r"Lima +│ +79939 │", rides), rides
    files = sorted((tree / "build/run/store/sample").rglob("*.parquet"))
    listed = paste(sprox.aws).splitlines()
    assert [line.split()[2:] for line in listed] == [
        [str(f.stat().st_size), str(f.relative_to(f.parents[2]))]
        for f in files]
    assert len(files) == 12
    head = paste(sprox.curl)
    assert head.startswith("HTTP/1.1 200 OK")
    assert f"Content-Length: {files[0].stat().st_size}\n" \
        in head.replace("\r", "")

    asked = origin_requests(port)
    assert asked > 0
    assert paste(sprox.duckdb) == rides
    assert paste(sprox.aws).splitlines() == listed
    assert origin_requests(port) == asked

    assert sprox.end() == ""
    assert is_free(port) and is_free(store)
    assert Checker().trouble(tree / "build/run") == []
    assert not (tree / "build/run/nginx.pid").exists()


def test_origin_is_a_bucket(tmp_path, start, versity, bucket):
    part = table.make_parquet(300)
    versity.put(bucket, {"some/dir/a note.parquet": b"no",
                         "some/dir/b.txt": b"no",
                         "some/dir/day=1/part-0.parquet": part,
                         "some/dirt": b"no", "other": b"no"})
    port, run = free_port(), tmp_path / "run"
    sprox = start(
        ["conf/run.sh", str(nginx.BUILD)], nginx.ROOT, run,
        PORT=str(port), RUN=str(run), ORIGIN=f"s3://{bucket}/some/dir/",
        AWS_ACCESS_KEY_ID=versity.access, AWS_REGION=versity.region,
        AWS_SECRET_ACCESS_KEY=versity.secret,
        AWS_ENDPOINT_URL=versity.endpoint)

    seen = paste(sprox.duckdb)
    for number in table.make_table(300)["id"].to_pylist()[:5]:
        assert f" {number} " in seen
    listed = [line.split(maxsplit=3)[3]
              for line in paste(sprox.aws).splitlines()]
    assert listed == ["some/dir/a note.parquet", "some/dir/b.txt",
                      "some/dir/day=1/part-0.parquet"]
    assert f"Content-Length: {len(part)}\n" \
        in paste(sprox.curl).replace("\r", "")
    assert versity.journal.requests(signed=True)
    assert request(port, "GET", f"/{bucket}/other").status == 404

    assert sprox.end(signal.SIGTERM) == ""
    assert Checker().trouble(run) == []
    left = "".join(f.read_text(errors="replace") for f in run.rglob("*")
                   if f.is_file() and f.stat().st_size < 1 << 20)
    assert versity.secret not in left


def fails(**env) -> str:
    done = subprocess.run(["conf/run.sh", str(nginx.BUILD)], cwd=nginx.ROOT,
                          env=clean(**env), capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr


def test_what_is_refused(tmp_path, versity, bucket):
    port, run = str(free_port()), str(tmp_path / "run")
    keys = dict(AWS_ACCESS_KEY_ID=versity.access, AWS_REGION=versity.region,
                AWS_SECRET_ACCESS_KEY="wrong",
                AWS_ENDPOINT_URL=versity.endpoint)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(port)))
        taken.listen()
        said = fails(PORT=port, RUN=run)
        assert f"port {port} is in use" in said and "PORT=" in said
        assert "STORE_PORT=" in fails(PORT=str(free_port()), RUN=run,
                                      STORE_PORT=port)

    assert "is no port" in fails(PORT="x", RUN=run)
    assert "ORIGIN is s3://" in fails(PORT=port, RUN=run, ORIGIN="/data")
    assert "cannot stand here" in fails(PORT=port, RUN=run,
                                        ORIGIN="s3://a/b;{")
    versity.put(bucket, {"a": b"a"})
    assert "403 SignatureDoesNotMatch" in fails(
        PORT=port, RUN=run, ORIGIN=f"s3://{bucket}", **keys)
    assert "did not start" in fails(
        PORT=port, RUN=run, ORIGIN=f"s3://{bucket}",
        **{**keys, "AWS_SECRET_ACCESS_KEY": ""}, HOME=run)
    assert is_free(int(port))
