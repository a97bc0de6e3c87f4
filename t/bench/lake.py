"""
The Parquet that the engines' rows read: FILES files of ROWS rows each, about
60 MB, half of it in columns that the query (clients/table.py) reads. The same
bytes each time. The origin has them below any prefix (slow_origin.py), so a
prefix that was not used before is a cold read.

    buckets/lake    the files
    buckets/start   a small one: what only the first read of a process costs,
                    such as loading the engine, is spent on it, unmeasured
"""

import os
import random
from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from bench.slow_origin import MODIFIED
from clients import table
from clients.engines import timed_each, where

ENGINES = ("duckdb", "datafusion", "polars", "pyarrow", "chdb")
FILES, GROUPS, ROWS = 4, 3, 240_000
START_ROWS = 1000
WIDTH = 16                          # of a note, in bytes


def numbers(chance: random.Random, kind, rows: int) -> pyarrow.Array:
    """Of any bits, in eight bytes each."""
    return pyarrow.Array.from_buffers(
        kind, rows, [None, pyarrow.py_buffer(chance.randbytes(8 * rows))])


def notes(chance: random.Random, rows: int) -> pyarrow.Array:
    text = chance.randbytes(rows * WIDTH // 2).hex().encode()
    ends = pyarrow.array(range(0, rows * WIDTH + 1, WIDTH), pyarrow.int32())
    return pyarrow.StringArray.from_buffers(
        rows, ends.buffers()[1], pyarrow.py_buffer(text))


def make_table(rows: int, seed: int) -> pyarrow.Table:
    chance = random.Random(seed)
    days = pyarrow.array(chance.choices(range(len(table.DAYS)), k=rows))
    return pyarrow.table({
        "id": pyarrow.array(range(seed * rows, (seed + 1) * rows)),
        "trace": numbers(chance, pyarrow.int64(), rows),
        "day": pyarrow.array(table.DAYS).take(days),
        "amount": pyarrow.compute.divide(
            pyarrow.array(chance.choices(range(10**9), k=rows)), 1e6),
        "path": notes(chance, rows),
        "note": notes(chance, rows),
    })


class Lake:
    def __init__(self, folder: Path, ports: dict):
        """ports: of the sides. Makes the files."""
        self.folder, self.ports = folder, ports
        tables = [make_table(ROWS, seed) for seed in range(FILES)]
        self.size = sum(self._write("lake", number, made)
                        for number, made in enumerate(tables))
        self.answer = table.answer(pyarrow.concat_tables(tables))
        self._write("start", 0, make_table(START_ROWS, 0))
        self._started = set()

    def _write(self, bucket: str, number: int, made: pyarrow.Table) -> int:
        path = self.folder / bucket / f"part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(
            made, path, row_group_size=-(-made.num_rows // GROUPS))
        os.utime(path, (MODIFIED, MODIFIED))
        return path.stat().st_size

    def where(self, side: str, bucket: str, prefix: str) -> dict:
        if side == "disk":
            return where("", str(self.folder / bucket))
        return where(f"http://127.0.0.1:{self.ports[side]}", bucket, prefix)

    def read(self, engine: str, side: str, prefix: str) -> float:
        """
        Seconds of the query, in a process of its own that has read the small
        file before: from a sprox that has it, whichever the side.
        """
        start = self.where("start", "start", "any/")
        if engine not in self._started:
            timed_each(engine, [start])
            self._started.add(engine)
        _, (rows, seconds) = timed_each(
            engine, [start, self.where(side, "lake", prefix)])
        assert rows == self.answer, f"{engine}, {side}: {rows}"
        return seconds
