"""Plain SQL on the same PostgreSQL: SQLAlchemy Core as its manual writes it, and psycopg with nothing around it.

Statements are made once, outside of what is timed. Core commits with `engine.begin()`; psycopg is in autocommit, which
is one round trip a statement. What must not be here: caches.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.tables import COLUMNS, Values, batches, changed_rows, new_rows, tables

_PLACES = ", ".join(f"%({name})s" for name in COLUMNS)
_KINDS = ("bigint", "text", "text", "boolean", "double precision", "text", "integer", "text")


def insert(stage: Stage) -> Measure:
    """Core: INSERT of one row."""
    import sqlalchemy as sa

    at = tables(stage)
    write = _committed(at.engine, sa.insert(at.table("core_insert")))
    return stage.timed("write(next(rows))", range(10), write=write, rows=new_rows())


def update(stage: Stage) -> Measure:
    """Core: UPDATE of one row by its key, all other columns set."""
    import sqlalchemy as sa

    at = tables(stage)
    table = at.table("core_update", filled=1_000)
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in COLUMNS[1:]}
    statement = sa.update(table).where(table.c.id == sa.bindparam("new_id")).values(values)
    write = _committed(at.engine, statement)
    rows = ({f"new_{name}": it for name, it in row.items()} for row in changed_rows())
    return stage.timed("write(next(rows))", range(10), write=write, rows=rows)


def insert_hundred(stage: Stage) -> Measure:
    """Core: INSERT of a hundred rows by one `execute(insert, rows)`, which psycopg sends as a pipeline."""
    import sqlalchemy as sa

    at = tables(stage)
    write = _committed(at.engine, sa.insert(at.table("core_hundred")))
    return stage.timed("write(next(rows))", range(4), block=1, write=write, rows=_hundreds())


def source_save(stage: Stage) -> Measure:
    """Our source without a cache: an upsert that returns the stored row."""
    save = _source(stage, "source_insert").save
    return stage.timed("save(next(rows))", range(10), save=save, rows=new_rows())


def source_update(stage: Stage) -> Measure:
    """The same, on rows that are there."""
    save = _source(stage, "source_update", filled=1_000).save
    return stage.timed("save(next(rows))", range(10), save=save, rows=changed_rows())


def source_hundred(stage: Stage) -> Measure:
    """The same, a hundred rows a call."""
    save = _source(stage, "source_hundred").save_many
    return stage.timed("save(next(rows))", range(4), block=1, save=save, rows=_hundreds())


def raw_insert(stage: Stage) -> Measure:
    """psycopg: INSERT of one row, prepared by the driver after its fifth."""
    at = tables(stage)
    table = at.table("raw_insert")
    text = f"INSERT INTO {table.name} VALUES ({_PLACES})".encode()
    execute = at.connect().execute
    return stage.timed(
        "execute(text, next(rows))", range(10), execute=execute, text=text, rows=new_rows()
    )


def raw_update(stage: Stage) -> Measure:
    """psycopg: UPDATE of one row by its key."""
    at = tables(stage)
    table = at.table("raw_update", filled=1_000)
    sets = ", ".join(f"{name} = %({name})s" for name in COLUMNS[1:])
    text = f"UPDATE {table.name} SET {sets} WHERE id = %(id)s".encode()
    execute = at.connect().execute
    return stage.timed(
        "execute(text, next(rows))", range(10), execute=execute, text=text, rows=changed_rows()
    )


def raw_hundred(stage: Stage) -> Measure:
    """psycopg: INSERT … SELECT from arrays, a hundred rows in one statement: the least that it can be."""
    at = tables(stage)
    table = at.table("raw_hundred")
    arrays = ", ".join(f"%s::{kind}[]" for kind in _KINDS)
    text = f"INSERT INTO {table.name} SELECT * FROM unnest({arrays})".encode()
    execute = at.connect().execute

    def write(rows: Sequence[Values]) -> None:
        execute(text, [[row[name] for row in rows] for name in COLUMNS])

    return stage.timed("write(next(rows))", range(4), block=1, write=write, rows=_hundreds())


def synced_page(stage: Stage) -> Measure:
    """No database: 8 KB written over a file and on disk, which is what each commit waits for at least."""
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the stage
    stage.closing(file.close)
    page = bytes(8_192)
    file.write(page)
    os.fsync(file.fileno())

    def write() -> None:
        os.pwrite(file.fileno(), page, 0)
        getattr(os, "fdatasync", os.fsync)(file.fileno())

    return stage.timed("write()", range(10), write=write)


def _hundreds() -> Iterator[list[Values]]:
    return batches(new_rows())


def _committed(engine: Any, statement: Any) -> Callable[[Any], None]:
    def write(values: Any) -> None:
        with engine.begin() as connection:
            connection.execute(statement, values)

    return write


def _source(stage: Stage, name: str, filled: int = 0) -> Any:
    from cachewright.integrations.sqlalchemy import TableSource

    at = tables(stage)
    return TableSource(at.engine, at.table(name, filled))
