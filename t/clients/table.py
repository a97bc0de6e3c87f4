"""The table that the clients read, and the one query that they all answer."""

import io
import random

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COLUMNS = ["id", "day", "amount", "note"]      # that the query reads
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]


def make_table(rows: int, seed: int = 1) -> pa.Table:
    chance = random.Random(seed)
    return pa.table({
        "id": pa.array(range(seed * 10**9, seed * 10**9 + rows), pa.int64()),
        "day": [chance.choice(DAYS) for _ in range(rows)],
        "amount": [chance.random() * 1000 for _ in range(rows)],
        "note": [f"{chance.getrandbits(64):016x}" * chance.randint(1, 4)
                 for _ in range(rows)],
    })


def make_parquet(rows: int, seed: int = 1, groups: int = 4) -> bytes:
    """About 60 bytes a row, in so many row groups."""
    out = io.BytesIO()
    pq.write_table(make_table(rows, seed), out,
                   row_group_size=max(1, rows // groups))
    return out.getvalue()


SQL = ("SELECT day, count(*) AS n, sum(id) AS ids, max(amount) AS most,"
       " sum(length(note)) AS letters FROM {source} GROUP BY day ORDER BY day")


def answer(table: pa.Table) -> list:
    """SQL's answer, by pyarrow."""
    table = table.append_column("len", pc.binary_length(table["note"]))
    groups = table.group_by("day").aggregate(
        [("id", "count"), ("id", "sum"), ("amount", "max"), ("len", "sum")])
    return rows_of(groups.sort_by("day").select(
        ["day", "id_count", "id_sum", "amount_max", "len_sum"]))


def rows_of(table: pa.Table) -> list:
    """Plain rows, so that every client's answer compares with ==."""
    return [[str(day), int(n), int(ids), float(most), int(letters)]
            for day, n, ids, most, letters in zip(
                *(column.to_pylist() for column in table.columns))]
