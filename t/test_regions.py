"""
What the catalog holds for aliases that a reload removes: it lets go of it,
and of nothing else.
"""

import pytest

from harness.admin import LOCATION, Admin
from harness.listing import Lister
from harness.sprox import HTTP, LOG, serve

CATALOG = LOG + "sprox_catalog zone=catalog:1m; keepalive_requests 100000;"
KEPT = "sprox_alias kept { target store://bucket/a/; list catalog; }"
EACH = "sprox_alias each-$b { target store://each$b/; list catalog; }"
LOOK = "".join(f"sprox_alias look-{n} {{ target store://bucket/{n}/; }}"
               for n in "bcd")
ROUNDS = 8


@pytest.fixture
def sprox(make_nginx, origin):
    for n in "abcd":
        for i in range(300):
            origin.put("bucket", f"{n}/{i:03}", b"x")
    origin.put("each1", "k", b"x")

    def make(**words):
        return serve(make_nginx, origin.endpoint, http_more=CATALOG,
                     server_more=LOCATION, **words)

    return make


def more(n: str) -> str:
    return f"sprox_alias more {{ target store://bucket/{n}/; list catalog; }}"


def reload(nginx, aliases: str) -> None:
    nginx.write(HTTP.replace("@aliases@", aliases))
    nginx.reload(wait_old=True)


def known(nginx, n: str) -> bool:
    """Whether a region is complete that another alias lists."""
    return Admin(nginx).alias(f"look-{n}")["complete"]


def test_aliases_come_and_go(sprox, origin):
    nginx = sprox(aliases=KEPT + LOOK, workers=2)
    admin = Admin(nginx)
    crawled = admin.wait_complete("kept")["crawled_at"]
    used = []

    for round in range(ROUNDS):
        n = "bcd"[round % 3]
        reload(nginx, KEPT + LOOK + more(n))
        assert admin.wait_complete("more")["objects"] == 300
        assert known(nginx, n)

        reload(nginx, KEPT + LOOK)
        nginx.wait(lambda: not known(nginx, n), 10, "to drop the region")
        used.append(nginx.metrics().sum("sprox_catalog_bytes"))

    # what was found is known still, and nothing is added to it
    assert nginx.metrics().sum("sprox_catalog_objects") == 1200
    assert used[2:] == [used[2]] * (ROUNDS - 2)
    assert nginx.metrics().sum("sprox_catalog_evicted_total") == 0

    alias = admin.alias("kept")
    assert alias["complete"] and alias["objects"] == 300
    assert alias["crawled_at"] == crawled


def test_what_no_alias_holds_makes_room(sprox, origin):
    """A region lets go of what it held: it may be evicted."""
    nginx = sprox(aliases=KEPT + LOOK + more("b"))
    admin = Admin(nginx)
    admin.wait_complete("kept")
    admin.wait_complete("more")
    reload(nginx, KEPT + LOOK)
    nginx.wait(lambda: not known(nginx, "b"), 10, "to drop the region")

    with nginx.client() as client:
        for i in range(20_000):
            client.request("HEAD", f"/look-c/{i:06}{'x' * 500}")
            if i % 250 == 0 and nginx.metrics().sum(
                    "sprox_catalog_objects") == 300:
                break
    assert nginx.metrics().sum("sprox_catalog_objects") == 300
    assert admin.alias("kept")["objects"] == 300


def test_a_bucket_of_a_variable_stays(sprox, origin):
    nginx = sprox(aliases=KEPT + EACH, workers=2)
    admin = Admin(nginx)
    lister = Lister(nginx.port, "each-1")
    assert lister.all() == ["k"]
    lister.close()
    admin.wait_complete("each-$b", "each1")
    jobs = len(admin.jobs())

    reload(nginx, KEPT + EACH + LOOK)
    reload(nginx, EACH)
    alias = admin.wait_complete("each-$b", "each1")
    assert alias["objects"] == 1
    assert len(admin.jobs()) == jobs


def test_what_a_client_crawled_stays(sprox, origin):
    """Until the next reload, also when another worker begins meanwhile."""
    nginx = sprox(aliases=KEPT + LOOK)
    admin = Admin(nginx)
    admin.wait_complete("kept")
    assert admin.wait(admin.crawl("look-b")["id"], "done")
    assert known(nginx, "b")
    for n in "cd":
        nginx.kill_worker()
        # it has looked at all regions when it begins with jobs
        admin.wait(admin.crawl(f"look-{n}")["id"], "done")
        assert known(nginx, "b") and known(nginx, n)
    reload(nginx, KEPT + LOOK)
    nginx.wait(lambda: not any(known(nginx, n) for n in "bcd"), 10,
               "to drop the regions")
    assert admin.alias("kept")["complete"]


def test_very_many_regions(sprox, origin):
    """More than are looked at in one go; those that are wanted stay."""
    def aliases(numbers) -> str:
        return "".join(f"sprox_alias many-{n} {{ target store://many/{n:03}/; "
                       "list catalog; }" for n in numbers)

    for n in range(60):
        origin.put("many", f"{n:03}/k", b"x")
    nginx = sprox(aliases=KEPT + aliases(range(60)), workers=2)
    admin = Admin(nginx)
    for n in range(60):
        admin.wait_complete(f"many-{n}")
    jobs = {job["id"] for job in admin.jobs()}
    reload(nginx, KEPT + aliases(range(0, 60, 2)) + LOOK)
    reload(nginx, KEPT + aliases(range(60)))
    for n in range(60):
        admin.wait_complete(f"many-{n}")
    again = {job["prefix"] for job in admin.jobs() if job["id"] not in jobs}
    assert not again & {f"{n:03}/" for n in range(0, 60, 2)}


def test_very_many_that_lie_in_another(sprox, origin):
    """They are looked at in several turns, the one that they lie in first."""
    many = 400
    for n in range(0, many, 50):
        origin.put("many", f"{n:03}/k", b"x")
    aliases = "".join(f"sprox_alias in-{n} {{ target store://many/{n:03}/; "
                      "list catalog; }" for n in range(many))
    nginx = sprox(aliases=aliases + "sprox_alias wide { target store://many/; "
                                    "list catalog; }", workers=2)
    admin = Admin(nginx)
    assert admin.wait_complete("wide")["objects"] == many // 50
    for n in range(0, many, 50):
        assert admin.wait_complete(f"in-{n}")["objects"] == 1
    job, = admin.jobs()
    assert (job["kind"], job["alias"]) == ("crawl", "wide")
