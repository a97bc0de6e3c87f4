"""
Each client reads the table from the real store, with nothing between: what
they answer through sprox is compared with this.
"""

import pyarrow
import pytest

from clients import table
from clients.engines import ENGINES, run, where

ROWS = 20000


@pytest.mark.parametrize("engine", ENGINES)
def test_reads_the_store(versity, bucket, engine):
    parts = [table.make_table(ROWS, seed) for seed in (1, 2)]
    versity.put(bucket, {f"some/dir/{n}/part.parquet":
                         table.make_parquet(ROWS, n) for n in (1, 2)})
    versity.put(bucket, {"other/part.parquet": table.make_parquet(100, 3)})
    versity.journal.clear()

    got = run(engine, where(versity.endpoint, bucket, "some/dir/",
                            "*/*.parquet", versity.access, versity.secret))

    assert got == table.answer(pyarrow.concat_tables(parts))
    assert versity.journal.count(operation="GetObject", signed=True) >= 2
    assert not versity.journal.requests(key="other/part.parquet")
