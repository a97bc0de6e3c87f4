"""
Seven real clients over `list catalog`: what they list and read is what the
store itself gives them, and the store is asked for no listing but the
crawl's, and for no HEAD of an object.
"""

import re

import pyarrow
import pytest

from clients import table
from clients.engines import ENGINES, run_each, where
from clients.listers import LISTERS, list_each
from harness.admin import LOCATION, Admin
from test_clients import STORE

ROWS = 500                              # a file
YEARS, MONTHS = (2023, 2024), (1, 7, 12)
BUCKET, ROOT = "clients-catalog", "some/dir/"

# One origin for each alias, so that each has a region of its own.
HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;

    sprox_origin one   { @store@ }
    sprox_origin two   { @store@ }
    sprox_origin three { @store@ }

    sprox_cache nvme;
    sprox_valid 1h;
    sprox_list  catalog;
    sprox_head  listing;

    sprox_alias whole     { target one://@bucket@/; }
    sprox_alias lake/raw  { target two://@bucket@/some/dir/; }
    sprox_alias days/$year/$month {
        target three://@bucket@/some/dir/year=$year/month=$month;
    }

    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        @admin@
    }
"""

ALIASES = ("whole", "lake%2Fraw", "days%2F$year%2F$month")
READS = (                               # bucket, prefix, glob
    ("whole", ROOT, "*/*/part-*.parquet"),
    ("lake", "raw/", "year=*/month=*/*.parquet"),
    ("days", "", "202*/*/part-0.parquet"),
)


@pytest.fixture(scope="module")
def answer(_versity) -> list:
    """The store has the files; what all clients must answer."""
    seeds = {f"{ROOT}year={year}/month={month:02}/part-0.parquet":
             year * 100 + month for year in YEARS for month in MONTHS}
    _versity.put(BUCKET, {
        **{key: table.make_parquet(ROWS, seed)
           for key, seed in seeds.items()},
        "some/other/part-0.parquet": table.make_parquet(10, 1),
        "some/dir2/year=2024/month=01/part-0.parquet":
            table.make_parquet(10, 2)})
    return table.answer(pyarrow.concat_tables(
        table.make_table(ROWS, seed) for seed in seeds.values()))


@pytest.fixture
def sprox(make_nginx, versity, answer):
    """Complete: the store has been asked for one page of each region."""
    nginx = make_nginx(HTTP, store=STORE, endpoint=versity.endpoint,
                       bucket=BUCKET, access=versity.access,
                       secret=versity.secret, admin=LOCATION, workers=2)
    admin = Admin(nginx)
    for alias in ALIASES:
        admin.wait_complete(alias)
    versity.journal.wait_idle()
    assert [entry.operation for entry in versity.journal.requests()] \
        == ["ListObjectsV2"] * len(ALIASES), str(versity.journal)
    versity.journal.clear()
    return nginx


def sides(nginx, versity) -> list:
    """The store itself, and the aliases."""
    return [where(versity.direct_endpoint, BUCKET, *READS[0][1:],
                  versity.access, versity.secret),
            *(where(nginx.endpoint, *read) for read in READS)]


@pytest.mark.parametrize("engine", ENGINES)
def test_reads(sprox, versity, answer, engine):
    assert run_each(engine, sides(sprox, versity)[1:]) == [answer] * 3
    asked = {(entry.operation, entry.key) for entry in
             versity.journal.requests() if entry.operation != "GetObject"}
    # whether there is a folder, of which no listing tells
    assert asked == ({("HeadObject", ROOT.rstrip("/")), ("HeadBucket", "")}
                     if engine == "pyarrow" else set()), str(versity.journal)


@pytest.mark.parametrize("client", LISTERS)
def test_lists(sprox, versity, client):
    """Names, sizes, times, ETags, classes and owners."""
    direct, whole, lake, days = list_each(client, sides(sprox, versity))
    assert len(direct) >= len(YEARS) * len(MONTHS)
    assert whole == direct
    assert lake == direct
    assert "year=2023" in str(direct) and "year=" not in str(days)
    assert by_name(days) == by_name(short(row) for row in direct)
    assert not versity.journal.requests(), str(versity.journal)


def short(row):
    """A row of the store's in the names of the alias `days`."""
    def name(text):
        return re.sub("(year|month)=", "", text)

    if isinstance(row, str):
        return name(row)
    return [name(field) if isinstance(field, str) else field for field in row]


def by_name(rows) -> list:
    return sorted(map(str, rows))
