"""
Seven real clients read the same partitioned Parquet through sprox and from
the store itself. The second run, inside `valid` and `list cached`, asks the
store for nothing: neither its journal nor sprox's metrics may move.
"""

import pyarrow
import pytest

from clients import table
from clients.engines import ENGINES, run_each, where
from harness.sprox import wait_idle

ROWS = 17000                            # a file; about 650 KB
YEARS, MONTHS = (2023, 2024), (1, 2, 7, 8, 11, 12)
BUCKET = "clients-lake"

# One origin for each alias, so that none finds in the cache what was read
# through another; the slices are of several sizes, and so are the fills.
HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:8m max_size=1g
                     inactive=1d use_temp_path=off;

    sprox_origin one   { @store@ }
    sprox_origin two   { @store@ }
    sprox_origin three { @store@ }

    sprox_cache nvme;
    sprox_valid 1h;
    sprox_valid_missing 1h;
    sprox_list  cached 1h;

    sprox_alias whole     { target one://@bucket@/; }
    sprox_alias lake/raw  { target two://@bucket@/some/dir/;
                            slice 64k; fill 256k; }
    sprox_alias days/$year/$month {
        target three://@bucket@/some/dir/year=$year/month=$month;
        slice 128k; fill 128k;
    }

    server {
        listen 127.0.0.1:@port@;
        location /         { sprox on; }
        location /metrics  { sprox_metrics; }
    }
"""

STORE = """endpoint @endpoint@; style path; region us-east-1;
           credentials static @access@ @secret@;"""

READS = (                               # bucket, prefix, glob
    ("whole", "some/dir/", "*/*/part-*.parquet"),
    ("lake", "raw/", "year=*/month=*/*.parquet"),
    ("days", "", "202*/*/part-0.parquet"),
)


def parts() -> dict:
    """Name to seed."""
    return {f"some/dir/year={year}/month={month:02}/part-0.parquet":
            year * 100 + month for year in YEARS for month in MONTHS}


@pytest.fixture(scope="module")
def lake(_versity) -> tuple:
    """The store has the files: their bytes, what all clients must answer."""
    files = {key: table.make_parquet(ROWS, seed)
             for key, seed in parts().items()}
    _versity.put(BUCKET, {
        **files,
        "some/other/part-0.parquet": table.make_parquet(100, 1),
        "some/dir2/year=2024/month=01/part-0.parquet":
            table.make_parquet(100, 2)})
    size = sum(map(len, files.values()))
    return size, table.answer(pyarrow.concat_tables(
        table.make_table(ROWS, seed) for seed in parts().values()))


@pytest.mark.parametrize("engine", ENGINES)
def test_second_run_asks_nothing(make_nginx, versity, lake, engine):
    nginx = make_nginx(HTTP, store=STORE, endpoint=versity.endpoint,
                       bucket=BUCKET, access=versity.access,
                       secret=versity.secret, workers=2)
    direct = where(versity.direct_endpoint, BUCKET, *READS[0][1:],
                   versity.access, versity.secret)
    reads = [where(nginx.endpoint, *read) for read in READS]

    size, answer = lake
    from_store, *first = run_each(engine, [direct, *reads])
    assert from_store == answer
    assert first == [answer] * len(READS)

    wait_idle(nginx)                    # nothing is read ahead any more
    versity.journal.wait_idle()
    before = nginx.metrics()
    for key in parts():
        assert versity.journal.count(key=key, operation="GetObject",
                                     signed=True), key
    assert not versity.journal.count(signed=False)
    assert not versity.journal.count(key="some/other/part-0.parquet")
    asked = before.sum("sprox_origin_requests_total")
    assert asked == versity.journal.count()
    assert before.sum("sprox_origin_bytes_total") >= len(READS) * size
    versity.journal.clear()

    assert run_each(engine, reads) == [answer] * len(READS)

    after = nginx.metrics()
    assert not versity.journal.requests(), str(versity.journal)
    assert after.sum("sprox_origin_requests_total") == asked
    assert after.sum("sprox_bytes_total", source="fill") \
        == before.sum("sprox_bytes_total", source="fill")
    assert after.sum("sprox_bytes_total", source="hit") \
        >= before.sum("sprox_bytes_total", source="hit") + len(READS) * size
