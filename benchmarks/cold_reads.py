"""The row on reading a batch that no cache holds: what a miss costs beside the query that it cannot do without.

What must not be here: writes (`writes`), hits (`l2`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median
from typing import Any

from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.tables import Tables, Values, tables

READ, BLOCK = 100, 5
"""Rows of a batch that is read, and batches of a sample."""
ROUNDS = 41
STORED = READ * BLOCK * ROUNDS
_IN, _IN_AUTO = "SQLAlchemy Core SELECT … IN", "SQLAlchemy Core SELECT … IN, autocommit"


def _cold(stage: Stage) -> Measure:
    """Batches that no cache holds; a sample with one that was not loaded from the table fails."""
    from cachewright.integrations.sqlalchemy import TableSource
    from cachewright.patterns import ReadThrough

    at = tables(stage)
    cache = at.cache("reading")
    door = ReadThrough(cache, TableSource(at.engine, _stored(at, "door_read")))
    blocks = _blocks()

    def sample() -> float:
        before = cache.stats().misses
        took = _each(door.get_many, blocks)
        if cache.stats().misses - before != READ * BLOCK:
            raise RuntimeError("not all of the rows were missing")
        return took

    return sample


def _in_query(isolation: str | None, name: str) -> Callable[[Stage], Measure]:
    """Core: SELECT … WHERE id IN (…), the rows as dicts by their ids, which is what the door returns."""

    def prepare(stage: Stage) -> Measure:
        import sqlalchemy as sa

        at = tables(stage)
        table = _stored(at, name)
        engine = at.engine.execution_options(isolation_level=isolation) if isolation else at.engine

        def read(ids: list[int]) -> dict[int, Values]:
            with engine.connect() as connection:
                found = connection.execute(sa.select(table).where(table.c.id.in_(ids)))
                return {row["id"]: dict(row) for row in found.mappings()}

        blocks = _blocks()
        return lambda: _each(read, blocks)

    return prepare


def _raw_any(stage: Stage) -> Measure:
    at = tables(stage)
    execute = at.connect().execute
    text = f"SELECT * FROM {_stored(at, 'raw_read').name} WHERE id = ANY(%s)".encode()

    def read(ids: list[int]) -> dict[int, Any]:
        return {row[0]: row for row in execute(text, [ids])}

    blocks = _blocks()
    return lambda: _each(read, blocks)


def _stored(at: Tables, name: str) -> Any:
    return at.table(name, filled=STORED)


def _blocks() -> Iterator[list[int]]:
    """Batches of ids from all over the table, the same for everybody; none of them comes twice."""
    step = STORED // READ
    return ([n * step + start for n in range(READ)] for start in range(step))


def _each(read: Callable[[list[int]], dict[int, Any]], blocks: Iterator[list[int]]) -> float:
    """Nanoseconds a batch, the median of the next few; every row must be there."""
    times = []
    for ids in islice(blocks, BLOCK):
        begin = time.perf_counter_ns()
        found = read(ids)
        times.append(time.perf_counter_ns() - begin)
        if len(found) != len(ids):
            raise RuntimeError(f"{len(found)} of {len(ids)} rows were read")
    return median(times)


ROW = Row(
    number=18,
    name="read-hundred",
    title="Reading a hundred rows that no cache holds",
    unit="ns",
    reference=_IN,
    pinned=True,
    rounds=ROUNDS,
    note="Rows of 200 bytes in PostgreSQL's memory, both servers over Unix sockets, as dicts by their ids. Nanoseconds a "
    "batch; the door stores the rows too, in both levels. SQLAlchemy as it comes begins and ends a transaction around the query.",
    cases=(
        ours("read-through get_many", _cold),
        Case(_IN, _in_query(None, "core_read")),
        Case(_IN_AUTO, _in_query("AUTOCOMMIT", "auto_read")),
        floor("psycopg SELECT … ANY, autocommit", _raw_any),
    ),
    targets=(
        Target(case="cachewright read-through get_many", limit=1.2, against=(_IN,)),
        Target(case="cachewright read-through get_many", limit=1.2, against=(_IN_AUTO,), goal=True),
    ),
)
