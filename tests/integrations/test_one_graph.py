"""Rows read by key and raw SQL over the same table: each door's write ends what the other has cached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cachewright import Cache
from cachewright.integrations.dbapi import QueryCache
from cachewright.integrations.sqlalchemy import TableSource
from cachewright.patterns import ReadThrough, WriteBehind, WriteThrough

pytest.importorskip("sqlglot")

METADATA = sa.MetaData()
USERS = sa.Table(
    "Users",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String, index=True),
    sa.Column("visits", sa.Integer),
)
QUERIES: list[tuple[str, list[Any]]] = [
    ('SELECT visits FROM "Users" WHERE id = ?', [1]),
    ("SELECT visits FROM users WHERE email = ?", ["ann"]),
    ("SELECT sum(visits) FROM users", []),
]


@dataclass
class Graph:
    """A table, a source of it under another name, and raw SQL."""

    cache: Cache
    source: TableSource[Any]
    queries: QueryCache
    connection: sqlite3.Connection

    def asked(self) -> list[Any]:
        """What the queries say."""
        return [self.queries.cached_query(sql, p, self.connection).scalar() for sql, p in QUERIES]


@pytest.fixture(params=[False, True], ids=["tables", "matches"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Graph]:
    """With two users."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'users.db'}")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            USERS.insert(),
            [{"id": n, "email": e, "visits": 0} for n, e in ((1, "ann"), (2, "bob"))],
        )
    raw = sqlite3.connect(tmp_path / "users.db", check_same_thread=False)
    with Cache("embedded://", namespace=tmp_path.name) as cache:
        source = TableSource(engine, USERS, into=dict, name="people")
        yield Graph(cache, source, QueryCache(cache, matches=request.param), raw)
    raw.close()
    engine.dispose()


def test_a_row_read_by_key_falls_with_a_raw_write(graph: Graph) -> None:
    people = ReadThrough(graph.cache, graph.source)
    for sql in (
        "UPDATE users SET visits = visits + 1 WHERE id = 1",
        "UPDATE users SET visits = visits + 1",
    ):
        before = people.get(1)["visits"]
        with graph.queries.writing(graph.connection) as work:
            work.execute(sql)
        assert people.get(1)["visits"] == before + 1


def test_a_named_raw_write_spares_other_rows(graph: Graph) -> None:
    people = ReadThrough(graph.cache, graph.source)
    kept = people.get(2)
    with graph.queries.writing(graph.connection) as work:
        work.execute("UPDATE users SET visits = 9 WHERE id = 1")
    assert people.get(2) is kept


def test_queries_fall_with_a_row_written_by_key(graph: Graph) -> None:
    people = WriteThrough(graph.cache, graph.source)
    assert graph.asked() == [0, 0, 0]
    people.put({"id": 1, "email": "ann", "visits": 5})
    assert graph.asked() == [5, 5, 5]
    people.patch(1, {"visits": 6})
    assert graph.asked() == [6, 6, 6]


def test_queries_fall_when_a_queued_write_has_reached_the_table(graph: Graph) -> None:
    graph.source.create_tables()
    assert graph.asked() == [0, 0, 0]
    people = WriteBehind(graph.cache, graph.source, durability="memory")
    people.put({"id": 1, "email": "ann", "visits": 7})
    assert people.close()
    assert graph.asked() == [7, 7, 7]
