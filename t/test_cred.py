"""
Where the keys come from that sprox signs with, and that it follows a file
that changes while it runs. Whose key signed is read from the scripted
origin's journal; that a signature holds is for the real store to say.
"""

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from harness.patience import until

HTTP = """
    sprox_origin store {
        endpoint    @endpoint@;
        region      us-east-1;
        style       path;
        credentials @credentials@;
    }
    sprox_valid 0;
    sprox_alias $bucket { target store://$bucket/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
    }
"""
REGION = """
    resolver @dns@ ipv6=off;
    resolver_timeout 1s;
    sprox_origin lake { retries 0; @words@ }
    sprox_alias tbl { target lake://bucket/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
    }
"""
ENV = {"AWS_ACCESS_KEY_ID": "FROMENV", "AWS_SECRET_ACCESS_KEY": "env/secret"}


def profile(access: str, secret: str = "a/secret", name: str = "default",
            token: str = "") -> str:
    text = (f"[{name}]\naws_access_key_id = {access}\n"
            f"aws_secret_access_key = {secret}\n")
    return text + (f"aws_session_token = {token}\n" if token else "")


@pytest.fixture
def home(tmp_path) -> Path:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    return home


@pytest.fixture
def origin(make_origin):
    origin = make_origin()
    origin.put("bucket", "k", b"body")
    return origin


@pytest.fixture
def signing(make_nginx, origin, home):
    """signing("chain", ...): an nginx in front of the scripted origin."""
    def make(credentials: str, env: dict = {}, **options):
        return make_nginx(HTTP, endpoint=origin.endpoint,
                          credentials=credentials,
                          env={"HOME": str(home), **env}, **options)

    return make


def key(nginx, origin) -> str:
    """The access key that signs now; empty: none."""
    assert nginx.head("/bucket/k").status == 200
    entry = origin.journal.requests()[-1]
    found = re.search(r"Credential=([^/]+)/",
                      entry.headers.get("authorization", ""))
    return found[1] if found else ""


def wait_key(nginx, origin, want: str, timeout: float = 10) -> None:
    until(lambda: key(nginx, origin) == want, timeout, f"{want} never signs")


# where they come from

def test_env_is_first_in_the_chain(signing, origin, home):
    (home / ".aws/credentials").write_text(profile("FROMFILE"))
    assert key(signing("chain", ENV), origin) == "FROMENV"


def test_shared_passes_over_env(signing, origin, home):
    (home / ".aws/credentials").write_text(profile("FROMFILE"))
    assert key(signing("shared", ENV), origin) == "FROMFILE"


@pytest.mark.parametrize("kind", ["chain", "shared"])
def test_credentials_file_before_config_file(signing, origin, home, kind):
    (home / ".aws/config").write_text(profile("FROMCONFIG"))
    (home / ".aws/credentials").write_text(profile("FROMFILE"))
    assert key(signing(kind), origin) == "FROMFILE"


@pytest.mark.parametrize("words, env, host", [
    ("", {}, "eu-central-1"),                       # the profile's
    ("", {"AWS_PROFILE": "mine"}, "ap-south-1"),
    ("", {"AWS_REGION": "eu-west-3"}, "eu-west-3"),
    ("", {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ("region sa-east-1;", {}, "sa-east-1"),         # what is written is first
    ("credentials anonymous;", {}, "us-east-1"),    # no profile is read
])
def test_region_of_the_profile(make_nginx, dns, home, words, env, host):
    """Whose region it is shows in the name that is looked up."""
    (home / ".aws/credentials").write_text(
        profile("FROMFILE") + profile("MINE", name="mine"))
    (home / ".aws/config").write_text("[default]\nregion = eu-central-1\n"
                                      "[profile mine]\nregion=ap-south-1\n")
    nginx = make_nginx(REGION, dns=dns.address, words=words,
                       env={"HOME": str(home), **env})
    assert nginx.get("/tbl/k").status >= 500
    assert {name for name, _ in dns.questions} \
        == {f"bucket.s3.{host}.amazonaws.com"}


def test_region_of_the_profile_is_not_for_other_stores(make_nginx, origin,
                                                       home):
    (home / ".aws/credentials").write_text(profile("FROMFILE"))
    (home / ".aws/config").write_text("[default]\nregion = eu-central-1\n")
    nginx = make_nginx(HTTP.replace("region      us-east-1;", ""),
                       endpoint=origin.endpoint, credentials="shared",
                       env={"HOME": str(home)})
    assert nginx.head("/bucket/k").status == 200
    signed = origin.journal.requests()[-1].headers["authorization"]
    assert "/us-east-1/s3/aws4_request" in signed


def test_config_file(signing, origin, home):
    (home / ".aws/config").write_text(
        profile("OTHER") + profile("MINE", name="profile mine"))
    assert key(signing("shared mine"), origin) == "MINE"


@pytest.mark.parametrize("credentials, env, want", [
    ("shared", {}, "DEFAULT"),
    ("shared mine", {}, "MINE"),
    ("shared", {"AWS_PROFILE": "mine"}, "MINE"),
    ("shared default", {"AWS_PROFILE": "mine"}, "DEFAULT"),
    ("chain", {"AWS_PROFILE": "mine"}, "MINE"),
])
def test_profile(signing, origin, home, credentials, env, want):
    (home / ".aws/credentials").write_text(
        profile("DEFAULT") + profile("MINE", name="mine"))
    assert key(signing(credentials, env), origin) == want


def test_paths_from_the_environment(signing, origin, tmp_path):
    path = tmp_path / "elsewhere"
    path.write_text(profile("ELSEWHERE"))
    nginx = signing("chain", {"AWS_SHARED_CREDENTIALS_FILE": str(path),
                              "AWS_CONFIG_FILE": "/nonexistent"})
    assert key(nginx, origin) == "ELSEWHERE"


def test_session_token(signing, origin, home):
    (home / ".aws/credentials").write_text(profile("A", token="to/ken=="))
    nginx = signing("shared")
    assert key(nginx, origin) == "A"
    headers = origin.requests()[-1].headers
    assert headers["x-amz-security-token"] == "to/ken=="
    assert "x-amz-security-token" in headers["authorization"]


def test_static(signing, origin):
    nginx = signing('static STATIC s/e+c=ret token', ENV)
    assert key(nginx, origin) == "STATIC"
    assert origin.requests()[-1].headers["x-amz-security-token"] == "token"


def test_anonymous(signing, origin, home):
    (home / ".aws/credentials").write_text(profile("FROMFILE"))
    assert key(signing("anonymous", ENV), origin) == ""


def test_env_outlives_reload_and_a_killed_worker(signing, origin):
    nginx = signing("env", ENV)
    nginx.reload()
    assert key(nginx, origin) == "FROMENV"
    nginx.kill_worker()
    assert key(nginx, origin) == "FROMENV"


def test_secrets_are_not_logged(signing, origin, home):
    (home / ".aws/credentials").write_text(
        profile("A", "se/cret-in-file", token="tok-in-file"))
    nginx = signing("shared", ENV, level="debug")
    assert key(nginx, origin) == "A"
    (home / ".aws/credentials").write_text("se/cret-in-file\n")
    until(lambda: nginx.head("/bucket/k").status == 200
          and "credentials stay as they were" in nginx.log())
    for secret in ("se/cret-in-file", "tok-in-file", "env/secret"):
        assert secret not in nginx.log()


# what is refused

@pytest.mark.parametrize("credentials, env, said", [
    ("env", {}, "AWS_ACCESS_KEY_ID"),
    ("env", {"AWS_ACCESS_KEY_ID": "A"}, "AWS_SECRET_ACCESS_KEY"),
    ("shared", ENV, r"\.aws/credentials"),
    ("shared none", {}, "none"),
    ("chain", {}, r"AWS_ACCESS_KEY_ID.*\.aws/credentials"),
    ("chain", {"AWS_SHARED_CREDENTIALS_FILE": "/dev"}, "/dev"),
    ("chain", {"AWS_SHARED_CREDENTIALS_FILE": "@fifo@"}, "fifo"),
    ("chain", {"AWS_SHARED_CREDENTIALS_FILE": "@large@"}, "large"),
])
def test_refused(signing, tmp_path, credentials, env, said):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"#" * (256 * 1024 + 1))
    env = {n: re.sub("@(.*)@", rf"{tmp_path}/\1", v) for n, v in env.items()}
    nginx = signing(credentials, env, start=False)
    code, output = nginx.check()
    lines = [l for l in output.splitlines() if "[emerg]" in l]
    assert code != 0 and len(lines) == 1, output
    assert re.search(said, lines[0]), lines[0]
    assert 'origin "store"' in lines[0]
    assert f"nginx.conf:{nginx.line_of('sprox_origin store')}" in lines[0]


# a file that changes

def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def same_time_and_size(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("how", [in_place, by_rename, same_time_and_size])
def test_changed_file_is_followed(signing, origin, home, how):
    path = home / ".aws/credentials"
    path.write_text(profile("OLD"))
    nginx = signing("shared")
    pids = nginx.worker_pids()
    for want in ("NEW", "ODD"):
        how(path, profile(want))
        wait_key(nginx, origin, want)
    assert nginx.worker_pids() == pids


def test_file_is_not_looked_at_for_every_request(signing, origin, home):
    path = home / ".aws/credentials"
    path.write_text(profile("OLD"))
    nginx = signing("shared", level="debug")
    time.sleep(1)
    key(nginx, origin)
    before = nginx.log().count("added to thread pool")
    began = time.monotonic()
    for _ in range(200):
        key(nginx, origin)
    looks = nginx.log().count("added to thread pool") - before
    assert looks <= time.monotonic() - began + 2


def test_all_workers_follow(signing, origin, home):
    path = home / ".aws/credentials"
    path.write_text(profile("OLD"))
    nginx = signing("shared", workers=3)
    path.write_text(profile("NEW"))
    row = 0

    def followed() -> bool:             # each with a connection of its own
        nonlocal row
        row = row + 1 if key(nginx, origin) == "NEW" else 0
        return row == 60

    until(followed, 20)


def stays(nginx, origin, line: str, number: int) -> None:
    """
    The old key signs while so many lines are logged, and no more of them by
    some looks at the file that follow.
    """
    def logged() -> bool:
        assert key(nginx, origin) == "OLD"
        return len(re.findall(line, nginx.log())) == number

    until(logged)
    for _ in range(25):
        assert logged()
        time.sleep(0.1)


def test_broken_file_leaves_the_old_key(signing, origin, home):
    path = home / ".aws/credentials"
    path.write_text(profile("OLD"))
    nginx = signing("shared")

    path.write_text("aws_access_key_id AKIA\n")
    stays(nginx, origin, r"\[warn\].*credentials stay as they were", 1)
    path.unlink()
    stays(nginx, origin, r"\[warn\].*credentials stay as they were", 2)

    path.write_text(profile("NEW"))
    wait_key(nginx, origin, "NEW")


def test_file_that_only_the_master_may_read(signing, origin):
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        path = folder / "credentials"
        path.touch(0o600)
        path.write_text(profile("OLD"))
        nginx = signing("shared", {"AWS_SHARED_CREDENTIALS_FILE": str(path)},
                        user="user nobody nogroup;")
        path.write_text(profile("NEW"))
        stays(nginx, origin, r"\[warn\].*cannot be read.*Permission denied", 1)
        assert nginx.log().count("cannot be read") == 1

        path.chmod(0o644)
        wait_key(nginx, origin, "NEW")
        path.chmod(0o600)
        path.write_text(profile("LAST"))
        nginx.reload()                  # by the master again
        wait_key(nginx, origin, "LAST")
    finally:
        shutil.rmtree(folder)


def test_strict_store_follows_the_file(make_nginx, versity, bucket, home):
    """A key that the store does not know, then the right one."""
    versity.put(bucket, {"k": b"body"})
    path = home / ".aws/credentials"
    path.write_text(profile(versity.access, versity.secret))
    nginx = make_nginx(HTTP, endpoint=versity.endpoint, credentials="shared",
                       env={"HOME": str(home)})

    def wait_status(want: int) -> None:
        until(lambda: nginx.get(f"/{bucket}/k").status == want)

    assert nginx.get(f"/{bucket}/k").body == b"body"
    path.write_text(profile("nobody", versity.secret))
    wait_status(403)
    path.write_text(profile(versity.access, "wrong"))
    wait_status(403)
    path.write_text(profile(versity.access, versity.secret))
    wait_status(200)
