"""
Jobs: who runs them, what becomes of them when workers die, leave or reload,
and how they are canceled. Seen at crawls, whose pages a test can hold.
"""

import os
import re
import signal

import pytest

from harness.admin import LOCATION, Admin
from harness.sprox import serve
from test_crawl import asked, fill, pages

LAKE = "sprox_alias lake { target store://bucket/; list catalog; }"
NEXT = re.compile("continuation-token")
ON = re.compile("continuation-token|start-after")   # what goes on
TABLE = 256


@pytest.fixture
def lake(make_nginx, origin):
    def make(number: int = 3500, **words):
        keys = fill(origin, number, 7)
        nginx = serve(make_nginx, origin.endpoint, server_more=LOCATION,
                      **{"aliases": LAKE, **words})
        return nginx, Admin(nginx), keys

    return make


# workers that go

def test_another_worker_goes_on(lake, origin):
    """From where the job was: what was listed is not listed again."""
    gate = origin.hold(query=NEXT, nth=2)       # the third page
    nginx, admin, keys = lake()
    gate.wait()
    assert admin.job(1)["done"] == 2000
    nginx.kill_worker()
    known = admin.wait_complete("lake")
    assert known["objects"] == len(keys)
    gate.open()
    job, = admin.jobs()
    assert (job["id"], job["state"], job["done"], job["errors"]) \
        == (1, "done", len(keys), 0)
    first, again = [query.get("start-after") for query in pages(origin)
                    if "continuation-token" not in query]
    assert (first, again) == (None, keys[1999])
    assert len(pages(origin)) == 5              # one of them twice


def test_all_workers_die(lake, origin):
    gate = origin.hold(query=NEXT, nth=1)
    nginx, admin, keys = lake(workers=3)
    gate.wait()
    for pid in nginx.worker_pids():
        nginx.kill_worker(pid)
    assert admin.wait_complete("lake")["objects"] == len(keys)
    gate.open()
    assert [job["state"] for job in admin.jobs()] == ["done"]
    assert len(pages(origin)) == 5


def test_a_job_that_kills_its_workers(lake, origin):
    """Three in a row at one place: nobody takes it over any more."""
    gate = origin.hold(query=ON)
    nginx, admin, keys = lake()
    nginx.expect_log("job 1, crawl of .* failed: 3 workers in a row died")
    for number in 1, 2, 3:
        gate.wait(number)
        assert admin.job(1)["state"] == "running"
        nginx.kill_worker()
    job = admin.wait(1, "failed")
    assert (job["done"], job["errors"]) == (1000, 1)
    assert job["error"] == "3 workers in a row died that ran it, none of " \
        "which got any further"
    assert admin.alias("lake")["reason"] == f"job 1 failed: {job['error']}"

    # the worker that came last is left alone, and serves
    assert nginx.get(f"/lake/{keys[0]}").body == b"x"
    assert len(asked(origin)) == 4 and len(admin.jobs()) == 1
    pid, = nginx.worker_pids()

    # by hand it goes on from where it was
    gate.open()
    job = admin.wait(admin.crawl("lake")["id"], "done")
    assert (job["done"], job["errors"]) == (len(keys), 0)
    assert asked(origin)[4]["start-after"] == keys[999]
    assert nginx.worker_pids() == [pid]


def test_workers_that_die_at_different_places(lake, origin):
    """Four of them: what gets on is not given up."""
    gates = [origin.hold(query=NEXT, nth=1),
             origin.hold(query=re.compile("start-after=.*k000999"), times=1),
             origin.hold(query=NEXT, nth=2),
             origin.hold(query=re.compile("start-after=.*k001999"), times=1)]
    nginx, admin, keys = lake()
    for number, gate in enumerate(gates):
        gate.wait()
        assert admin.job(1)["done"] == (1000 if number < 2 else 2000)
        nginx.kill_worker()
    job = admin.wait(1, "done")
    assert (job["done"], job["errors"]) == (len(keys), 0)
    for gate in gates:
        gate.open()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_hands_over(lake, origin, workers):
    """And what the old worker had under way does not keep it."""
    gate = origin.hold(query=NEXT, nth=2)
    nginx, admin, keys = lake(workers=workers)
    gate.wait()
    nginx.reload(wait_old=True)                 # while the page is held
    assert admin.wait_complete("lake")["objects"] == len(keys)
    gate.open()
    job, = admin.jobs()
    assert (job["id"], job["state"], job["errors"]) == (1, "done", 0)
    assert pages(origin)[-2]["start-after"] == keys[1999]


def test_nginx_stops_in_the_middle(lake, origin):
    gate = origin.hold(query=NEXT)
    nginx, _, _ = lake()
    gate.wait()
    nginx.process.send_signal(signal.SIGQUIT)
    nginx.process.wait(30)                      # not the page's time-out
    gate.open()
    nginx.start()                               # and all begins anew
    assert Admin(nginx).wait_complete("lake")["objects"] == 3500


def test_an_alias_that_is_gone(lake, origin):
    gate = origin.hold(query=NEXT)
    nginx, admin, _ = lake()
    gate.wait()
    nginx.expect_log("job 1, crawl of .* failed: the configuration has no "
                     "such alias")
    nginx.write(nginx._variables["http"].replace(
        "@aliases@", "sprox_alias other { target store://bucket/; }"))
    nginx.reload(wait_old=True)
    job = admin.wait(1, "failed")
    assert (job["alias"], job["done"]) == ("lake", 1000)
    gate.open()
    assert admin.get("aliases")["aliases"][0]["name"] == "other"


def test_an_alias_that_is_new(lake, origin):
    """Old workers, which do not know it, leave its crawl alone."""
    fill(origin, 20, under="e/")
    nginx, admin, keys = lake(aliases=LAKE.replace("bucket/", "bucket/d0001/"))
    admin.wait_complete("lake")
    with nginx.client() as client:              # keeps the old worker
        gate = origin.hold(key=keys[500])
        client.send("GET", f"/lake/{keys[500][6:]}")
        gate.wait()
        nginx.write(nginx._variables["http"].replace(
            "@aliases@", "@aliases@ sprox_alias more { target "
            "store://bucket/e/; list catalog; }"))
        nginx.reload()
        assert nginx.worker_pids(leaving=True)
        assert admin.wait_complete("more")["objects"] == 20
        gate.open()
        assert client.read().body == b"x"
    assert [(job["prefix"], job["errors"])
            for job in admin.jobs(state="done")] == [("d0001/", 0), ("e/", 0)]


def test_another_store_under_the_same_name(lake, origin, make_origin):
    """Nothing that was crawled of the old one counts for the new one."""
    other = make_origin()
    fill(other, 10)
    gate = origin.hold(query=NEXT, nth=2)
    nginx, admin, _ = lake()
    gate.wait()
    nginx._variables["endpoint"] = other.endpoint
    nginx.write(nginx._variables["http"])
    nginx.reload(wait_old=True)
    gate.open()
    assert admin.wait_complete("lake")["objects"] == 10
    assert "start-after" not in asked(other)[0]


# cancel

@pytest.mark.parametrize("workers", [1, 3])
def test_cancel(lake, origin, workers):
    """Whoever is asked, whoever runs it; it does not begin by itself."""
    gate = origin.hold(query=NEXT, nth=1)
    nginx, admin, _ = lake(workers=workers)
    gate.wait()
    status, job = admin.ask("DELETE", "jobs/1")
    assert status == 200 and job["state"] in ("running", "canceled")
    assert job["canceling"] == (job["state"] == "running")
    job = admin.wait(1, "canceled")
    assert (job["done"], job["canceling"], job["error"]) \
        == (1000, False, None)
    nginx.wait(lambda: origin.open_connections <= 1, 5, "to let go")
    gate.open()
    assert admin.ask("DELETE", "jobs/1")[0] == 409
    known = admin.alias("lake")
    assert (known["complete"], known["reason"]) \
        == (False, "job 1 was canceled")

    # the others go on as ever; this one only by hand
    nginx.wait_log("job 1, crawl of .* canceled: by request")
    again = admin.crawl("lake")
    assert again["id"] == 2
    assert admin.wait(2, "done")["done"] == 3500
    assert len(admin.jobs()) == 2


def test_cancel_what_nobody_runs(lake, origin):
    """One worker runs two crawls; the third waits."""
    gate = origin.hold(operation="ListObjectsV2")
    nginx, admin, _ = lake(aliases="".join(
        f"sprox_alias lake{n} {{ target store://bucket/d000{n}/; "
        "list catalog; }" for n in range(4)))
    gate.wait(2)
    jobs = admin.jobs()
    assert [job["state"] for job in jobs] == ["running"] * 2 + ["queued"] * 2
    assert jobs[2]["started_at"] is None
    status, job = admin.ask("DELETE", f"jobs/{jobs[2]['id']}")
    assert (status, job["state"]) == (200, "canceled")
    gate.open()
    for n in 0, 1, 3:
        admin.wait(jobs[n]["id"], "done")
    assert admin.job(jobs[2]["id"])["state"] == "canceled"
    assert len(asked(origin)) == 3
    metrics = nginx.metrics()
    assert metrics.sum("sprox_jobs", kind="crawl", state="done") == 3
    assert metrics.sum("sprox_jobs", kind="crawl", state="canceled") == 1


def test_cancel_what_a_dead_worker_ran(lake, origin):
    """Its wish is not lost with it."""
    gate = origin.hold(query=NEXT, nth=1)
    nginx, admin, _ = lake(workers=2)
    gate.wait()
    pids = nginx.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    nginx.allow_log("exited on signal 9")
    # a worker that does not move runs it still: the other one cancels
    runner = next(pid for pid in pids if runs(nginx, pid, origin))
    other, = set(pids) - {runner}
    os.kill(other, signal.SIGCONT)
    assert admin.ask("DELETE", "jobs/1")[1]["canceling"]
    os.kill(runner, signal.SIGKILL)
    admin.wait(1, "canceled")
    gate.open()
    assert len(asked(origin)) == 2


def runs(nginx, pid: int, origin) -> bool:
    """Whether a worker has a connection to the origin."""
    inodes = {what[8:-1] for what in nginx.fds(pid).values()
              if what.startswith("socket:")}
    with open("/proc/net/tcp") as table:
        return any(line.split()[2].endswith(f":{origin.port:04X}")
                   and line.split()[9] in inodes for line in table)


# one at a time, and after failures

def test_no_two_of_one_region(lake, origin):
    """Aliases that share a target share its crawl, in all workers."""
    gate = origin.hold(operation="ListObjectsV2")
    _, admin, _ = lake(workers=3, aliases=LAKE + """
        sprox_alias same { target store://bucket/; list catalog; reload 1s; }
        sprox_alias below { target store://bucket/d0001/; }""")
    gate.wait()
    job = admin.jobs()[0]
    assert {admin.crawl(name)["id"] for name in ("lake", "same")} \
        == {job["id"]}
    assert admin.crawl("below")["id"] == job["id"] + 1
    gate.wait(2)
    assert len(asked(origin)) == 2
    gate.open()
    for name in "lake", "same", "below":
        assert admin.wait_complete(name)["objects"] in (3500, 500)


def test_a_failed_one_goes_on_by_hand_where_it_was(lake, origin):
    origin.script(query=ON, status=503)
    nginx, admin, keys = lake()
    job = admin.wait(1, "failed")
    assert (job["done"], job["errors"]) == (1000, 4)
    before = len(asked(origin))
    assert before == 1 + 4
    origin.clear_script()
    job = admin.wait(admin.crawl("lake")["id"], "done")
    assert (job["id"], job["done"]) == (2, len(keys))
    assert asked(origin)[before]["start-after"] == keys[999]
    assert admin.alias("lake")["objects"] == len(keys)


def test_an_origin_that_is_left_alone(lake, origin):
    """Behind an open circuit a crawl asks nothing."""
    origin.script(operation="ListObjectsV2", status=500)
    nginx, admin, _ = lake(origin_more="max_fails 1; fail_timeout 1h;")
    job = admin.wait(1, "failed")
    assert job["errors"] == 4
    assert job["error"] == \
        "the origin gave no page: ServiceUnavailable"
    assert len(asked(origin)) == 1


def test_many_jobs(lake, origin):
    """All are shown, in the order of their coming; the oldest are dropped."""
    nginx, admin, _ = lake(7, aliases="sprox_alias $b { target "
                                      "store://bucket/$b/; list catalog; }")
    with nginx.client() as client:
        for n in range(300):
            if n % 90 == 89:
                nginx.wait(lambda: not admin.jobs(state="queued"), 20,
                           "to run them")
            status = client.request("POST", "/_sprox/aliases/$b/crawl").status
            assert status in (202,)
    jobs = admin.jobs()
    ids = [job["id"] for job in jobs]
    assert ids == sorted(ids) and 1 <= len(ids) <= 256


BUCKETS = "sprox_alias b$b { target store://b$b/; list catalog; }"


def crawl_nothing(nginx, admin, number: int) -> None:
    """So many jobs, of buckets that are not there: they fail at once."""
    with nginx.client() as client:
        for n in range(number):
            if n % 90 == 89:
                nginx.wait(lambda: not admin.jobs(state="queued"), 20,
                           "to run them")
            assert client.request("POST", "/_sprox/aliases/b$b/crawl?bucket="
                                  f"b{n:03}").status == 202


def test_the_slot_of_one_that_failed_is_its_own_next(lake, origin):
    """The table is full, and it the oldest: where it was is not lost."""
    origin.script(query=ON, status=503)
    nginx, admin, keys = lake(aliases=LAKE + BUCKETS)
    nginx.allow_log("job .* failed: the origin answered 404 NoSuchBucket")
    assert admin.wait(1, "failed")["done"] == 1000
    crawl_nothing(nginx, admin, TABLE - 1)
    nginx.wait(lambda: not admin.jobs(state="queued")
               and not admin.jobs(state="running"), 20, "to run them")
    jobs = admin.jobs()
    assert len(jobs) == TABLE and jobs[0]["id"] == 1
    origin.clear_script()
    origin.journal.clear()
    job = admin.wait(admin.crawl("lake")["id"], "done")
    assert (job["id"], job["done"]) == (TABLE + 1, len(keys))
    assert asked(origin)[0]["start-after"] == keys[999]
    assert admin.jobs()[0]["id"] == 2


def test_many_of_one_kind_leave_the_others_theirs(lake, origin):
    """What became of a crawl is told, whatever is purged meanwhile."""
    nginx, admin, _ = lake(7, aliases=LAKE + "sprox_alias other { target "
                                             "store://other/; }")
    admin.wait_complete("lake")
    with nginx.client() as client:
        for n in range(TABLE + 44):
            if n % 90 == 89:
                nginx.wait(lambda: not admin.jobs(state="queued"), 20,
                           "to run them")
            assert client.request("PURGE", f"/other/p{n}/*").status == 200
    nginx.wait(lambda: not admin.jobs(state="queued"), 20, "to run them")
    jobs = admin.jobs()
    assert len(jobs) == TABLE
    assert (jobs[0]["id"], jobs[0]["kind"], jobs[0]["done"]) \
        == (1, "crawl", 7)
    assert admin.job(1)["state"] == "done"
    assert [job["id"] for job in jobs if job["kind"] == "purge"][-1] \
        == max(job["id"] for job in jobs)
