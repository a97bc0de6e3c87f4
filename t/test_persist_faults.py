"""
The catalog's file while things go wrong, or change: killed workers, a full
disk, a reload, another binary, configurations that cannot work.
"""

import fcntl
import grp
import os
import pwd
import random
import re
import signal
import stat
import time
from pathlib import Path

import pytest

from harness import snapshot
from harness.admin import LOCATION, Admin
from harness.listing import Lister
from harness.memory import poke
from harness.nginx import SLOWER
from harness.snapshot import Object
from harness.sprox import HTTP, LOG
from test_persist import BODY, begin, keeper, path, saved, wait_saved

SHIMS = "env FULL_DISK; env HELD_DISK; env FULL_DISK_DIR; " \
        "env HELD_READ; env HELD_READ_DIR;"


@pytest.fixture
def sprox(make_nginx, origin):
    return keeper(make_nginx, origin)


@pytest.fixture
def flags(disk_shim, read_shim, tmp_path):
    """What to give to sprox() so that these files make the disk misbehave."""
    env = {"LD_PRELOAD": f"{disk_shim}:{read_shim}",
           "FULL_DISK": str(tmp_path / "full"),
           "HELD_DISK": str(tmp_path / "held"),
           "FULL_DISK_DIR": str(tmp_path / "nginx0/catalog"),
           "HELD_READ": str(tmp_path / "stuck"),
           "HELD_READ_DIR": str(tmp_path / "nginx0/catalo")}
    return {"main": SHIMS, "env": env}, tmp_path


def holder(nginx, ending: str):
    """The worker that has that file open."""
    for pid in nginx.worker_pids():
        if str(path(nginx, ending)) in nginx.fds(pid).values():
            return pid
    return None


def made_up(origin, number: int, **more) -> dict:
    """A catalog of so many objects of a bucket."""
    now = int(time.time() * 1000)
    return {snapshot.space("store", origin.endpoint, "bucket"): {
        b"dir%02d/key%06d" % (n % 50, n): Object(
            n, 1_600_000_000_000, now, b'"%032x"' % n, flags=snapshot.HEADED,
            **more) for n in range(number)}}


# killed workers

def test_killed_while_it_writes(sprox, origin, flags):
    """Another takes over; until it has written, the file is the last one."""
    options, folder = flags
    nginx = sprox(every="200ms", workers=2, **options)
    nginx.get("/bucket/o0")
    wait_saved(nginx, 1)
    before = path(nginx).read_bytes()
    (folder / "held").touch()
    nginx.head("/bucket/o1")
    nginx.wait(lambda: holder(nginx, ".tmp"), 10, "to write")
    nginx.kill_worker(holder(nginx, ".tmp"))
    assert path(nginx).read_bytes() == before
    nginx.wait(lambda: holder(nginx, ".tmp"), 10, "to take over")
    (folder / "held").unlink()
    wait_saved(nginx, 2)
    assert len(snapshot.read(path(nginx)).catalog.popitem()[1]) == 2
    nginx.wait(lambda: not path(nginx, ".tmp").exists(), 5, "to rename it")


def test_killed_while_it_reads(sprox, origin, flags):
    """Another takes over, from the beginning; clients are answered all the
    while."""
    options, folder = flags
    nginx = sprox(workers=2, **options)
    for n in range(3):
        nginx.head(f"/bucket/o{n}")
    nginx.stop()
    (folder / "stuck").touch()
    nginx.start()
    nginx.wait(lambda: holder(nginx, ""), 10, "to read")
    first = holder(nginx, "")
    origin.put("other", "k", b"body")
    assert nginx.get("/other/k").body == b"body"
    (folder / "stuck.held").unlink(missing_ok=True)
    nginx.kill_worker(first)
    nginx.wait(lambda: holder(nginx, "") not in (first, None), 10,
               "to take over")
    (folder / "stuck").unlink()
    nginx.wait_log("3 objects read")
    origin.journal.clear()
    for n in range(3):
        assert nginx.head(f"/bucket/o{n}").status == 200
    assert origin.requests() == []


def test_metrics_and_log_say_that_it_reads(sprox, origin, flags):
    options, folder = flags
    nginx = sprox(**options)
    nginx.head("/bucket/o0")
    nginx.stop()
    (folder / "stuck").touch()
    nginx.start()
    nginx.wait(lambda: nginx.metrics().sum("sprox_catalog_loading") == 1, 10,
               "to read")
    assert nginx.metrics().sum("sprox_catalog_loaded_objects") == 0
    (folder / "stuck").unlink()
    nginx.wait_log("sprox: reading the catalog from")
    nginx.wait_log("1 objects read")
    assert nginx.metrics().sum("sprox_catalog_loading") == 0


def test_purge_while_it_reads(sprox, origin, flags):
    """What is not known yet may stand in the file."""
    options, folder = flags
    nginx = sprox(**options)
    nginx.head("/bucket/o0")
    nginx.stop()
    origin.put("bucket", "o0", b"another")
    (folder / "stuck").touch()
    nginx.start()
    nginx.wait(lambda: holder(nginx, ""), 10, "to read")
    assert nginx.request("PURGE", "/bucket/o0").status == 200
    (folder / "stuck").unlink()
    nginx.wait_log("1 objects read")
    assert nginx.get("/bucket/o0").body == b"another"


def test_emptied_catalog_comes_back(sprox, origin):
    """A worker that is killed in the middle of a change leaves a mark."""
    nginx = sprox(every="200ms")
    for n in range(3):
        nginx.head(f"/bucket/o{n}")
    wait_saved(nginx, 3)
    poke(nginx.worker_pids()[0], "8192", b"roxtalog", 12, b"\1")
    nginx.wait_log("3 objects read")
    origin.journal.clear()
    for n in range(3):
        assert nginx.head(f"/bucket/o{n}").status == 200
    assert origin.requests() == []
    nginx.head("/bucket/none")
    wait_saved(nginx, 4)


# the disk

def test_full_disk(sprox, origin, flags):
    options, folder = flags
    nginx = sprox(every="200ms", **options)
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)
    before = path(nginx).read_bytes()
    (folder / "full").touch()
    nginx.head("/bucket/o1")
    nginx.wait(lambda: nginx.metrics().sum(
        "sprox_catalog_file_failures_total") >= 3, 10, "to fail")
    assert path(nginx).read_bytes() == before
    assert not path(nginx, ".tmp").exists() or holder(nginx, ".tmp")
    line = (r"\[error\] .* sprox: the catalog's file \".*/catalog\" could not "
            r"be written: pwrite\(\) failed; said once a minute "
            r"\(28: No space left on device\)")
    assert len(re.findall(line, nginx.log())) == 1
    assert nginx.metrics().sum("sprox_catalog_saved_objects") == 1
    (folder / "full").unlink()
    wait_saved(nginx, 2)


def test_full_disk_at_the_end(sprox, origin, flags):
    options, folder = flags
    nginx = sprox(every="200ms", **options)
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)
    before = path(nginx).read_bytes()
    (folder / "full").touch()
    nginx.stop()
    assert "could not be written: pwrite() failed" in nginx.log()
    assert path(nginx).read_bytes() == before
    assert not path(nginx, ".tmp").exists()


def test_a_mark_on_a_full_disk(sprox, origin, flags):
    """It fails once, and is written by a thread as soon as it can be."""
    options, folder = flags
    options["env"]["FULL_DISK_DIR"] = str(folder / "nginx0/catalo")
    nginx = sprox(every="200ms", **options)
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)
    (folder / "full").touch()
    for n in range(5):
        assert nginx.request("PURGE", f"/bucket/o{n}").status == 200
    said = r"\[error\] .* could not be marked: pwrite\(\) failed; "
    nginx.wait_log(said + "said once a minute")
    assert len(re.findall(said + "after a crash", nginx.log())) == 1
    assert snapshot.read(path(nginx)).state == b"open"
    assert saved(nginx) == 1                # no snapshot comes before it
    failures = "sprox_catalog_file_failures_total"
    nginx.wait(lambda: nginx.metrics().sum(failures) >= 4, 10,
               "to try again and again")
    assert len(re.findall(said, nginx.log())) == 2
    (folder / "full").unlink()
    nginx.wait_log(r"\[notice\] .* is marked by now")
    nginx.wait(lambda: nginx.log().count("objects written to") == 2, 10,
               "to write what was purged")


def test_nothing_changed_nothing_is_written(sprox):
    nginx = sprox(every="100ms")
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)

    def rests(seconds):
        nginx.wait(lambda: nginx.metrics().sum(
            "sprox_catalog_saved_age_seconds") >= seconds, 10,
            f"to leave its file alone for {seconds} s")

    rests(1)        # that it was told of while it wrote, it writes once more
    inode = path(nginx).stat().st_ino
    for _ in range(20):
        nginx.head("/bucket/o0")
    rests(2)
    assert path(nginx).stat().st_ino == inode
    nginx.head("/bucket/o1")
    wait_saved(nginx, 2)


def test_the_end_waits_for_another_nginx_that_writes(sprox):
    nginx = sprox()
    nginx.head("/bucket/o0")
    with open(path(nginx, ".tmp"), "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        nginx.process.send_signal(signal.SIGQUIT)
        nginx.wait(lambda: not titles(nginx.process.pid), 10,
                   "to lose its workers")
        assert nginx.process.poll() is None and not path(nginx).exists()
    assert nginx.process.wait(10 * SLOWER) == 0
    assert len(snapshot.read(path(nginx)).catalog.popitem()[1]) == 1
    nginx.kill()


def test_temporary_file_that_is_a_link(sprox):
    """The master is root, and the folder is not."""
    nginx = sprox(every="100ms")
    victim = nginx.dir / "victim"
    victim.write_bytes(b"precious")
    os.symlink(victim, path(nginx, ".tmp"))
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)
    os.link(victim, path(nginx, ".tmp"))
    nginx.head("/bucket/o1")
    wait_saved(nginx, 2)
    assert victim.read_bytes() == b"precious"
    assert path(nginx).stat().st_nlink == 1


# changes of the configuration

def change(nginx, http_more: str) -> None:
    nginx._variables["http_more"] = LOG + http_more
    nginx.write(HTTP)
    nginx.reload(wait_old=True)


def test_reload_keeps(sprox, origin):
    nginx = sprox()
    nginx.head("/bucket/o0")
    nginx.reload(wait_old=True)
    origin.journal.clear()
    assert nginx.head("/bucket/o0").status == 200
    assert origin.requests() == []
    assert not path(nginx).exists()
    nginx.head("/bucket/o1")
    nginx.stop()
    assert len(snapshot.read(path(nginx)).catalog.popitem()[1]) == 2


def test_reload_hands_the_duty_on(sprox):
    nginx = sprox(every="100ms", workers=2)
    nginx.head("/bucket/o0")
    wait_saved(nginx, 1)
    nginx.reload(wait_old=True)
    nginx.head("/bucket/o1")
    wait_saved(nginx, 2)


def test_reload_with_a_file(sprox, origin):
    """None, then one that is there, then another: each is read."""
    nginx = sprox()
    known = made_up(origin, 5)
    change(nginx, "sprox_catalog zone=catalog:8m;")
    assert "\nsprox_catalog_loading " not in nginx.metrics().text
    snapshot.write(nginx.dir / "first", known)
    change(nginx, "sprox_catalog zone=catalog:8m file=@dir@/first;")
    nginx.wait_log('5 objects read from ".*/first"')
    assert nginx.metrics().sum("sprox_catalog_objects") == 5
    change(nginx, "sprox_catalog zone=catalog:8m file=@dir@/second;")
    nginx.wait_log('there is no ".*/second" yet')
    nginx.stop()
    assert snapshot.read(nginx.dir / "second").catalog == {
        name: {key: o for key, o in keys.items()}
        for name, keys in known.items()}


# another binary

def upgraded(nginx):
    """The old master, still without workers; the new one has read nothing."""
    old = nginx.upgrade()
    nginx.wait(lambda: nginx.log().count("yet: the catalog begins") == 2, 10,
               "to begin with nothing")
    old.send_signal(signal.SIGWINCH)
    nginx.wait(lambda: not any("worker" in t for t in titles(old.pid)), 10,
               "to lose its old workers")
    return old


def quit_old(nginx, old) -> None:
    old.send_signal(signal.SIGQUIT)
    old.wait()
    nginx.wait_log(r"\d objects written to")
    nginx.wait_log(r"\d objects read from")


def test_upgrade_keeps_what_the_old_one_knew(sprox, origin):
    nginx = sprox(daemon=True)
    for n in range(2):
        nginx.head(f"/bucket/o{n}")
    old = upgraded(nginx)
    nginx.head("/bucket/o2")
    quit_old(nginx, old)
    origin.journal.clear()
    for n in range(3):
        assert nginx.head(f"/bucket/o{n}").status == 200
    assert origin.requests() == []


def test_upgrade_brings_nothing_back(sprox, origin):
    """What the old one knows of what was purged since is not believed."""
    nginx = sprox(daemon=True, valid="immutable")
    for n in range(3):
        assert nginx.get(f"/bucket/o{n}").body == BODY
    old = upgraded(nginx)
    origin.put("bucket", "o1", b"another")
    nginx.head("/bucket/o2")
    assert nginx.request("PURGE", "/bucket/o1").status == 200
    quit_old(nginx, old)
    origin.journal.clear()
    assert nginx.get("/bucket/o1").body == b"another"
    assert nginx.get("/bucket/o0").body == BODY
    assert origin.requests(key="o0")[0].status == 304
    assert nginx.get("/bucket/o2").body == BODY
    assert origin.count(key="o2") == 0


def titles(pid: int) -> list:
    """Of the children of a process."""
    found = []
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children") \
                .read_text().split():
            found.append(Path(f"/proc/{child}/cmdline").read_bytes().decode())
    except OSError:
        pass
    return found


def test_upgrade_that_is_taken_back(sprox, origin):
    """The new one quits, and the old one goes on: it knows both."""
    nginx = sprox(daemon=True)
    nginx.head("/bucket/o0")
    old = upgraded(nginx)
    new = nginx.process
    nginx.head("/bucket/o1")
    new.send_signal(signal.SIGQUIT)
    new.wait()
    nginx.process = old
    old.send_signal(signal.SIGHUP)
    nginx.wait_log("1 objects read")
    origin.journal.clear()
    for n in range(2):
        assert nginx.head(f"/bucket/o{n}").status == 200
    assert origin.requests() == []


# what cannot work

def refused(nginx, *words: str) -> None:
    code, said = nginx.check()
    lines = [line for line in said.splitlines() if "[emerg]" in line]
    assert code == 1 and len(lines) == 1, said
    for word in words:
        assert word in lines[0], (word, lines[0])


def test_folder_that_is_not_there_is_made(sprox):
    nginx = sprox(http_more="", start=False)
    nginx.conf.write_text(nginx.conf.read_text().replace(
        "/catalog interval", "/own/catalog interval"))
    code, said = nginx.check()
    assert code == 0, said
    assert stat.S_IMODE((nginx.dir / "own").stat().st_mode) == 0o700
    nginx.conf.write_text(nginx.conf.read_text().replace(
        "/own/catalog", "/not/there/catalog"))
    refused(nginx, "sprox_catalog", "/not/there", "could not be made",
            "owned by nginx's user", "2: No such file")


def test_file_in_the_folder_of_a_cache(sprox):
    nginx = sprox(start=False)
    nginx.conf.write_text(nginx.conf.read_text().replace(
        "/catalog interval", "/cache/catalog interval"))
    refused(nginx, "lies in the folder of the cache", "outside of it")


def test_file_that_is_a_folder(sprox):
    nginx = sprox(start=False)
    path(nginx).mkdir()
    refused(nginx, "is there and no file", "write the name of a file")


def test_rights(sprox):
    """They are those of the workers, who are not root as the master is."""
    root = os.getuid() == 0
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    nginx = sprox(start=False,
                  **{"user": f"user nobody {group};"} if root else {})
    who = "nginx's user nobody" if root else "nginx's user"
    own = nginx.dir / "own"
    nginx.conf.write_text(nginx.conf.read_text().replace(
        "/catalog interval", "/own/catalog interval"))

    own.mkdir()
    own.chmod(0o555)
    refused(nginx, f"{who} may not write to the folder", "give it to that")
    own.chmod(0o755)
    if root:
        refused(nginx, f"{who} may not write to the folder")
        os.chown(own, 0, nobody.pw_gid)
        own.chmod(0o775)
    assert nginx.check()[0] == 0

    (own / "catalog").write_bytes(b"")
    (own / "catalog").chmod(0o440)
    refused(nginx, f"{who} may not read and write it", "delete it")
    (own / "catalog").chmod(0o666)
    assert nginx.check()[0] == 0


# size, listings, bans

def test_large_file_is_read_while_clients_are_answered(sprox, origin):
    nginx = sprox(workers=2)
    nginx.stop()
    nginx._variables["http_more"] = nginx._variables["http_more"].replace(
        "zone=catalog:8m", "zone=catalog:64m")
    nginx.write(HTTP)
    number = 100_000
    snapshot.write(path(nginx), made_up(origin, number))
    nginx.start()
    took = []
    while "objects read" not in nginx.log():
        start = time.monotonic()
        assert nginx.get("/metrics").status == 200
        assert nginx.head("/bucket/o0").status == 200
        took.append(time.monotonic() - start)
        assert sum(took) < 20 * SLOWER
    assert max(took, default=0) < 1 * SLOWER
    nginx.wait_log(f"{number} objects read")
    origin.journal.clear()
    for n in random.Random(1).sample(range(number), 100):
        answer = nginx.head(f"/bucket/dir{n % 50:02}/key{n:06}")
        assert answer["content-length"] == str(n)
        assert answer["etag"] == f'"{n:032x}"'
    assert origin.requests() == []


LISTED = "sprox_alias bucket { target store://bucket/; list catalog; }"


def test_listing_is_complete_at_once(sprox, origin):
    """A new crawl is due after a start, and nobody waits for it."""
    for n in range(2000):
        origin.put("bucket", f"dir/{n:05}", b"x")
    nginx = sprox(aliases=LISTED, server_more=LOCATION)
    Admin(nginx).wait_complete("bucket")
    begin(nginx, nginx.stop)
    held = origin.hold(operation="ListObjectsV2")
    assert len(Lister(nginx.port, "bucket").all()) == 2003
    known = snapshot.read(path(nginx))
    assert list(known.regions) == [
        (snapshot.space("store", origin.endpoint, "bucket"), b"")]
    held.open()


def test_ban_outlives_a_restart(sprox, origin):
    nginx = sprox()
    nginx.stop()
    known = made_up(origin, 100)
    name, = known
    now = int(time.time() * 1000)
    snapshot.write(path(nginx), known, bans=[(name, b"dir01/", now + 1)])
    begin(nginx)
    origin.journal.clear()
    assert nginx.head("/bucket/dir00/key000000").status == 200
    assert origin.requests() == []
    assert nginx.head("/bucket/dir01/key000001").status == 404
    assert origin.count() == 1
