"""
What can be known of docker/ without an engine: nginx takes the configuration
and serves with it, the files that are copied and mounted are there, and
the build stage calls what the Makefile has, with all that it needs.
"""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from harness import wire
from harness.listing import Lister
from harness.nginx import ROOT
from harness.relocate import relocate

DOCKER = ROOT / "docker"
CONF = DOCKER / "nginx.conf"


def instructions() -> list:
    """Of the Dockerfile, by stage: (word, the rest)."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(),
                  flags=re.M)
    text = re.sub(r"\\\n\s*", "", text)
    stages = []
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, rest))
    return stages


def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def shell(stage: list) -> list:
    """The words of each command of a stage."""
    return [shlex.split(command) for word, rest in stage if word == "RUN"
            for command in re.split(r"&&|\|", rest)]


def installed(stage: list) -> set:
    words = next(c for c in shell(stage) if c[:2] == ["apt-get", "install"])
    return {word for word in words[2:] if not word.startswith("-")}


def make_variable(name: str, folder) -> list:
    printed = subprocess.run(["make", "-pn", "clean"], cwd=folder, text=True,
                             capture_output=True, check=True).stdout
    return re.search(rf"^{name} :?= (.*)$", printed, re.M)[1].split()


@pytest.fixture
def image(make_nginx):
    """image(replace, env): see harness.relocate."""

    def image(replace={}, env={"AWS_ACCESS_KEY_ID": "none",
                               "AWS_SECRET_ACCESS_KEY": "none"}):
        return relocate(make_nginx, CONF.read_text(), {
            "listen 127.0.0.1:9001": "listen 127.0.0.1:@port:metrics@",
            **replace}, env)

    return image


def test_nginx_takes_the_configuration(image):
    code, said = image().check()
    assert code == 0, said
    assert "[warn]" not in said, said


def test_configuration_serves(image, versity, bucket):
    versity.put(bucket, {"a.txt": b"hello"})
    nginx = image({"http://store:7070": versity.endpoint},
                  {"AWS_ACCESS_KEY_ID": versity.access,
                   "AWS_SECRET_ACCESS_KEY": versity.secret}).start()
    for _ in range(2):
        assert nginx.get(f"/{bucket}/a.txt").body == b"hello"
    assert Lister(nginx.port, bucket).page().keys == ["a.txt"]
    assert versity.journal.count(operation="GetObject") == 1
    assert nginx.get("/metrics").status == 404      # a bucket's name here
    metrics = wire.request(nginx.ports["metrics"], "GET", "/metrics")
    assert "sprox_requests_total{" in metrics.text
    nginx.wait(lambda: "GetObject HIT" in (nginx.dir / "access.log")
               .read_text(), 5, "to log the hit")


def test_compose():
    services = compose()["services"]
    text = CONF.read_text()
    assert set(services) == {"sprox", "store"}

    build = services["sprox"]["build"]
    context = (DOCKER / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(DOCKER / "Dockerfile")

    named = set(compose()["volumes"])
    for service in services.values():
        for volume in service["volumes"]:
            where = volume.split(":")[0]
            assert where in named or (DOCKER / where).is_file(), volume

    # ports, and the keys, that sprox and the store must agree on
    host, port = re.search(r"endpoint +http://(\w+):(\d+);", text).groups()
    assert services[host]["command"][:2] == ["--port", f":{port}"]
    assert "127.0.0.1:9000:9000" in services["sprox"]["ports"]
    assert "listen 9000;" in text
    keys, root = (services[name]["environment"] for name in
                  ("sprox", "store"))
    assert (keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]) \
        == (root["ROOT_ACCESS_KEY"], root["ROOT_SECRET_KEY"])
    version = re.search(r"VERSITYGW=\S+@(\S+)",
                        (ROOT / "t/deps.sh").read_text())[1]
    assert services["store"]["image"] == f"versity/versitygw:{version}"


def test_stages_are_of_one_nginx():
    stages = instructions()
    assert [stage[0][1] for stage in stages] \
        == ["nginx:${NGINX} AS build", "nginx:${NGINX}"]


def test_build_stage_has_all_sources(tmp_path):
    """In a folder with what is copied, make finds what it finds here."""
    build, final = instructions()
    for word, rest in build:
        if word == "COPY":
            *sources, to = rest.split()
            for path in sources:
                if (ROOT / path).is_dir():
                    shutil.copytree(ROOT / path, tmp_path / to)
                else:
                    shutil.copy(ROOT / path, tmp_path / to)
    for name in "MODULE_SRC", "MODULE_HDR":
        assert sorted(make_variable(name, tmp_path)) \
            == sorted(make_variable(name, ROOT)), name
    assert (tmp_path / "config").is_file()

    for word, rest in final:
        if word == "COPY" and not rest.startswith("--from"):
            assert (ROOT / rest.split()[0]).is_file()


def test_build_stage_calls_make_as_it_is():
    build, final = instructions()
    command = next(c for c in shell(build) if c[0] == "make")
    given = dict(word.split("=") for word in command if "=" in word)
    rules = (ROOT / "Makefile").read_text()
    for target in command[1:]:
        if "=" not in target:
            assert re.search(rf"^{target}:", rules, re.M), target
    for name in given:
        assert re.search(rf"^{name} +\?=", rules, re.M), name

    sources = next(c for c in shell(build) if c[0] == "tar")
    assert given["NGINX_SRC"] == sources[sources.index("-C") + 1]
    module = next(rest for word, rest in final
                  if word == "COPY" and rest.startswith("--from=build"))
    assert module.split()[1:] == [
        given["BUILD"] + "/ngx_http_sprox_module.so",
        "/usr/lib/nginx/modules/"]
    assert re.search(r"^all: \$\(BUILD\)/ngx_http_sprox_module.so$", rules,
                     re.M)


def test_packages():
    build, final = instructions()
    deps = (ROOT / "t/deps.sh").read_text()
    wanted = re.search(r"^BUILD_PACKAGES=\((.*?)\)", deps, re.M | re.S)[1]
    assert installed(build) == set(wanted.split()) - {"nginx", "nginx-dev"}
    assert {"libxml2", "libjansson4"} <= installed(final)
