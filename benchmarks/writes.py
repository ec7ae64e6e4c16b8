"""Rows on writing: what an acknowledged write costs through each door, beside the same write in plain SQL.

Acknowledged means: by write-through when the row is committed in PostgreSQL and cached; by write-behind when it is in
the queue of a server with `appendonly yes, appendfsync everysec` (durability "aof") and seen by every reader. What the
queue owes the database is settled between samples, and after each run all rows are counted there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeAlias

from benchmarks.peers import sql
from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.tables import Tables, Values, batches, changed_rows, new_rows, tables

MANY = 1_000
"""Rows of a sample that ends in the table."""


class Given:
    """Passes rows on and counts them."""

    def __init__(self, rows: Iterator[Values]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Given:
        return self

    def __next__(self) -> Values:
        self.count += 1
        return next(self._rows)


Make: TypeAlias = Callable[[Tables, Any, str], Any]
"""A door over a table, in a namespace of its own."""


def _through(at: Tables, table: Any, name: str) -> Any:
    from cachewright.integrations.sqlalchemy import TableSource
    from cachewright.patterns import WriteThrough

    return WriteThrough(at.cache(name), TableSource(at.engine, table))


def _behind(at: Tables, table: Any, name: str, *, durability: str = "aof") -> Any:
    from cachewright.integrations.sqlalchemy import TableSource
    from cachewright.patterns import WriteBehind

    source = TableSource(at.engine, table)
    source.create_tables()
    cache = at.cache(name, synced=durability == "fsync")
    door = WriteBehind(cache, source, durability=durability)
    at.stage.closing(door.close)
    door.open()
    return door


def _fsynced(at: Tables, table: Any, name: str) -> Any:
    return _behind(at, table, name, durability="fsync")


def _settled(door: Any) -> None:
    """All that was acknowledged is in the database."""
    if hasattr(door, "flush") and not door.flush(60):
        raise RuntimeError("the queue was not drained in a minute")


def _all_there(at: Tables, table: Any, expected: int) -> None:
    with at.engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar()
    if found != expected:
        raise RuntimeError(f"{expected} rows were acknowledged, {found} are in the table")


def _insert(make: Make, name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        at = tables(stage)
        table = at.table(f"{name}_insert")
        door, rows = make(at, table, name), Given(new_rows())
        timed = stage.timed("put(next(rows))", range(10), put=door.put, rows=rows)

        def sample() -> float:
            took = timed()
            _settled(door)
            _all_there(at, table, rows.count)
            return took

        return sample

    return prepare


def _update(make: Make, name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        at = tables(stage)
        door = make(at, at.table(f"{name}_update", filled=1_000), name)
        timed = stage.timed("put(next(rows))", range(10), put=door.put, rows=changed_rows())

        def sample() -> float:
            took = timed()
            _settled(door)
            return took

        return sample

    return prepare


def _hundred(make: Make, name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        at = tables(stage)
        table = at.table(f"{name}_hundred")
        door, rows = make(at, table, name), Given(new_rows())
        hundreds = batches(rows)
        timed = stage.timed(
            "put_many(next(rows))", range(4), block=1, put_many=door.put_many, rows=hundreds
        )

        def sample() -> float:
            took = timed()
            _settled(door)
            _all_there(at, table, rows.count)
            return took

        return sample

    return prepare


def _drained(size: int, name: str) -> Callable[[Stage], Measure]:
    """Nanoseconds a write, or a batch of `size`, until the last of a thousand rows is in the table."""

    def prepare(stage: Stage) -> Measure:
        at = tables(stage)
        table = at.table(f"{name}_drained")
        door, rows = _behind(at, table, f"{name}-drained"), Given(new_rows())

        def sample() -> float:
            some = list(islice(batches(rows, size), MANY // size))
            begin = time.perf_counter_ns()
            for each in some:
                door.put_many(each)
            _settled(door)
            took = time.perf_counter_ns() - begin
            _all_there(at, table, rows.count)
            return took / len(some)

        return sample

    return prepare


_SAME = (
    "Rows of 200 bytes, PostgreSQL 18 with its defaults (each commit synced to disk), the cache server with `appendonly "
    "yes, appendfsync everysec`, both on this machine and over Unix sockets: the slower its disk, the better for who waits "
    'for no commit. Write-behind acknowledges from the queue, durability "aof": a power loss may take its '
    'last two seconds; its worker is idle while a sample is taken. Durability "fsync": each write on disk first, '
    "`appendfsync always`. In the table: the time until the last of 1,000 rows is, divided by the writes."
)
_PAGE = "8 KB and fdatasync, no database"
_CORE = "SQLAlchemy Core INSERT, committed"
_CORE_UPDATE = "SQLAlchemy Core UPDATE, committed"
_CORE_HUNDRED = "SQLAlchemy Core execute(insert, 100 rows), committed"

INSERT = Row(
    number=17,
    name="write-insert",
    title="Writing one new row",
    unit="ns",
    reference=_CORE,
    pinned=True,
    rounds=41,
    note=_SAME,
    cases=(
        ours("write-behind put", _insert(_behind, "behind")),
        ours("write-behind put, fsync", _insert(_fsynced, "fsynced")),
        ours("write-behind put, in the table", _drained(1, "one")),
        ours("write-through put", _insert(_through, "through")),
        Case(_CORE, sql.insert),
        floor("TableSource.save, no cache", sql.source_save),
        floor("psycopg INSERT, autocommit", sql.raw_insert),
        floor(_PAGE, sql.synced_page),
    ),
    targets=(
        Target(case="cachewright write-behind put", limit=0.5, against=(_CORE,)),
        Target(case="cachewright write-through put", limit=1.8, against=(_CORE,)),
    ),
)

UPDATE = Row(
    number=17,
    name="write-update",
    title="Writing one row that is there",
    unit="ns",
    reference=_CORE_UPDATE,
    pinned=True,
    rounds=41,
    note=_SAME,
    cases=(
        ours("write-behind put", _update(_behind, "behind")),
        ours("write-behind put, fsync", _update(_fsynced, "fsynced")),
        ours("write-through put", _update(_through, "through")),
        Case(_CORE_UPDATE, sql.update),
        floor("TableSource.save, no cache", sql.source_update),
        floor("psycopg UPDATE, autocommit", sql.raw_update),
        floor(_PAGE, sql.synced_page),
    ),
    targets=(
        Target(case="cachewright write-behind put", limit=0.5, against=(_CORE_UPDATE,)),
        Target(case="cachewright write-through put", limit=1.8, against=(_CORE_UPDATE,)),
    ),
)

HUNDRED = Row(
    number=17,
    name="write-hundred",
    title="Writing a hundred new rows at once",
    unit="ns",
    reference=_CORE_HUNDRED,
    pinned=True,
    rounds=41,
    note=f"{_SAME} Nanoseconds a batch; each batch is one transaction.",
    cases=(
        ours("write-behind put_many", _hundred(_behind, "behind")),
        ours("write-behind put_many, fsync", _hundred(_fsynced, "fsynced")),
        ours("write-behind put_many, in the table", _drained(100, "many")),
        ours("write-through put_many", _hundred(_through, "through")),
        Case(_CORE_HUNDRED, sql.insert_hundred),
        floor("TableSource.save_many, no cache", sql.source_hundred),
        floor("psycopg INSERT … SELECT unnest, autocommit", sql.raw_hundred),
        floor(_PAGE, sql.synced_page),
    ),
    targets=(
        Target(case="cachewright write-behind put_many", limit=0.3, against=(_CORE_HUNDRED,)),
        Target(case="cachewright write-through put_many", limit=1.3, against=(_CORE_HUNDRED,)),
    ),
)

ROWS = (INSERT, UPDATE, HUNDRED)
