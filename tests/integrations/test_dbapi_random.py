"""Random queries through the cache and random writes through the door: after each commit all are as the database has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from sql.guide import tables_by_regex
from sql.random_sql import COLUMNS, SCHEMA, rows, selects, with_literals, writes

from cachewright import Cache
from cachewright.integrations.dbapi import QueryCache
from cachewright.sql import Analyser, Reads, Writes

pytest.importorskip("sqlglot")

QUERIES, ROUNDS = 40, 30
Connect = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    """Makes connections to an empty database."""
    if request.param == "sqlite":
        return lambda: sqlite3.connect(tmp_path / "shop.db", isolation_level="")
    address = request.getfixturevalue("postgresql").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return lambda: psycopg.connect(address)


def schema_of(connection: Any) -> str:
    """What the default schema is called."""
    return "main" if isinstance(connection, sqlite3.Connection) else "public"


def plain(connection: Any, sql: str) -> list[Any]:
    """Without a cache, leaving no transaction behind."""
    try:
        return sorted((tuple(row) for row in connection.execute(sql).fetchall()), key=repr)
    finally:
        connection.rollback()


def usable(connection: Any, random: Random) -> list[str]:
    """Queries that the database accepts."""
    found: list[str] = []
    while len(found) < QUERIES:
        sql = with_literals(*selects(random, schema_of(connection)))
        with suppress(sqlite3.Error, psycopg.Error):
            plain(connection, sql)
            found.append(sql)
    return found


def build(connection: Any, random: Random) -> None:
    """Tables and rows."""
    for statement in SCHEMA:
        connection.execute(statement)
    for name, some in rows(random).items():
        for row in some:
            values = [
                "NULL"
                if v is None
                else repr(v)
                if isinstance(v, int)
                else "'" + v.replace("'", "''") + "'"
                for v in row.values()
            ]
            connection.execute(
                f'INSERT INTO "{name}" ({", ".join(COLUMNS[name])}) VALUES ({", ".join(values)})'
            )
    connection.commit()


def stale(connect: Connect, seed: int) -> tuple[int, int, int]:
    """How many results were old, of how many that were compared, and how many loads that took."""
    random, told = Random(seed), []
    writer, reader = connect(), connect()
    build(writer, random)
    with Cache(listeners=[told.append]) as cache:
        queries = QueryCache(cache)
        asked = usable(reader, random)
        old = compared = 0
        for _ in range(ROUNDS):
            write_something(queries, writer, random, random.choice(asked))
            for sql in asked:
                found = sorted(queries.cached_query(sql, None, reader), key=repr)
                reader.rollback()
                compared += 1
                old += found != plain(reader, sql)
    writer.close()
    reader.close()
    return old, compared, sum(e.kind == "load" and e.key.startswith("query:") for e in told)


def write_something(queries: QueryCache, connection: Any, random: Random, near: str) -> None:
    """A transaction of one to three statements, some with a savepoint, some rolled back, some that fail."""
    try:
        for _ in range(random.choice([1, 1, 2, 3])):
            partial = random.random() < 0.2
            if partial:
                queries.execute("SAVEPOINT s", None, connection)
            queries.execute(
                with_literals(*writes(random, schema_of(connection), near=near)), None, connection
            )
            if partial:
                queries.execute("ROLLBACK TO s", None, connection)
    except (sqlite3.Error, psycopg.Error):
        queries.rollback(connection)
        return
    (queries.rollback if random.random() < 0.15 else queries.commit)(connection)


@pytest.mark.parametrize("seed", range(2))
def test_after_each_commit_every_result_is_the_databases(connect: Connect, seed: int) -> None:
    old, compared, loads = stale(connect, seed)
    assert (old, compared) == (0, QUERIES * ROUNDS)
    assert loads < 0.8 * compared  # else nothing was cached


def guided(analyse: Analyser, sql: str, *rest: Any) -> Any:
    """The analysis with the guide's tables in the place of its own."""
    found = ORIGINAL(analyse, sql, *rest)
    if not isinstance(found, Reads):
        return found
    tags = tuple(f"table:{name.lower()}" for name in tables_by_regex(sql))
    return Reads(frozenset(tables_by_regex(sql)), (), always=tags)


ORIGINAL = Analyser.__call__


def without_effect(writes: Writes, params: Any = ()) -> list[str]:
    """A write that names nothing that queries carry."""
    return ["nothing"]


def test_the_guides_regex_in_the_same_place_goes_stale(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Analyser, "__call__", guided)
    assert stale(connect, 0)[0] > 0


def test_writes_that_name_nothing_go_stale(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Writes, "tags", without_effect)
    assert stale(connect, 0)[0] > 0
