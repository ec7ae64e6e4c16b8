"""What the analysis says of random statements, beside what SQLite says: its authorizer names each table that is read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sql.guide import tables_by_regex
from sql.images import Rows, images_of
from sql.random_sql import COLUMNS, SCHEMA, described, rows, selects, writes

from cachewright.sql import Analyser, Reads, Writes
from cachewright.sql.facts import Scope

CATALOGUE = described(default="main")
ANALYSE = Analyser("sqlite", CATALOGUE)
MUTANT_SEEDS = 6000
SEEDS = st.integers(0, 2**63)


def shop(content: Rows | None = None) -> sqlite3.Connection:
    """A database of its own."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SCHEMA:
        connection.execute(statement)
    for name, some in (content or {}).items():
        for row in some:
            marks = ", ".join("?" * len(row))
            connection.execute(
                f'INSERT INTO "{name}" ({", ".join(row)}) VALUES ({marks})', list(row.values())
            )
    return connection


SHOP = shop()


def tables_read(sql: str) -> set[str]:
    """The tables that SQLite would read, by its authorizer."""
    read: set[str] = set()

    def authorize(action: int, one: str, other: str, _db: str, _inner: str) -> int:
        if action == sqlite3.SQLITE_READ:
            read.add(one.lower())
        return sqlite3.SQLITE_OK

    SHOP.set_authorizer(authorize)
    try:
        SHOP.execute("EXPLAIN " + sql, [None] * sql.count("?"))
    finally:
        SHOP.set_authorizer(None)
    names = {name.lower() for name in COLUMNS}
    return read & names


def is_query(sql: str) -> bool:
    """Whether SQLite accepts it: some random ones compare with a column that is nowhere."""
    try:
        SHOP.execute("EXPLAIN " + sql, [None] * sql.count("?"))
    except sqlite3.Error:
        return False
    return True


Extraction = Callable[[str], set[str]]
Carried = Callable[[str, list[Any]], set[str]]


def by_analysis(sql: str) -> set[str]:
    """What we say."""
    found = ANALYSE(sql)
    assert isinstance(found, Reads), found
    return set(found.tables)


def misses(extract: Extraction, seed: int) -> str | None:
    """A statement of which `extract` misses a table; None if it does not, or SQLite refuses the statement."""
    sql = selects(Random(seed), "main")[0].replace("{}", "?")
    if not is_query(sql) or tables_read(sql) <= {name.lower() for name in extract(sql)}:
        return None
    return sql


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_no_table_that_sqlite_reads_is_missed(seed: int) -> None:
    assert misses(by_analysis, seed) is None


def test_the_regex_of_the_guide_misses_tables_of_the_same_statements() -> None:
    assert [seed for seed in range(200) if misses(by_analysis, seed)] == []
    assert len([seed for seed in range(200) if misses(tables_by_regex, seed)]) > 20


# -------------------------------------------------------------------- tags


def content(connection: sqlite3.Connection) -> Rows:
    """All rows of all tables."""
    return {
        name: [
            dict(zip(columns, row, strict=True))
            for row in connection.execute(f'SELECT {", ".join(columns)} FROM "{name}"')
        ]
        for name, columns in COLUMNS.items()
    }


@dataclass
class Case:
    """Rows, a query and a write of one seed."""

    rows: Rows
    query: str
    params: list[Any]
    write: str
    its_params: list[Any]

    @classmethod
    def of(cls, seed: int) -> Case:
        """The case of a seed."""
        random = Random(seed)
        query, params = selects(random, "main")
        write, its_params = writes(random, "main", near=query)
        query, write = query.replace("{}", "?"), write.replace("{}", "?")
        return cls(rows(random), query, params, write, its_params)

    def changed(self) -> list[str] | None:
        """The tags of the write by images, if it changes the result of the query."""
        if not is_query(self.query) or not is_query(self.write):
            return None
        with closing(shop(self.rows)) as connection:
            before, was = content(connection), self.result(connection)
            try:
                connection.execute(self.write, self.its_params)
            except sqlite3.Error:
                return None
            after, now = content(connection), self.result(connection)
        return None if was == now else images_of(CATALOGUE, before, after)

    def result(self, connection: sqlite3.Connection) -> list[Any]:
        """What the query finds, in no order."""
        return sorted(connection.execute(self.query, self.params), key=repr)


def stale(carried: Carried, case: Case) -> bool | None:
    """Whether the write moves no tag of a result that it changes; None if it changes nothing."""
    by_images = case.changed()
    if by_images is None:
        return None
    tags, written = carried(case.query, case.params), ANALYSE(case.write)
    assert isinstance(written, Writes), written
    by_text = written.tags(case.its_params)
    assert by_text is not None
    return not tags & set(by_images) or not tags & set(by_text)


def carried(sql: str, params: list[Any]) -> set[str]:
    """The tags that we give a result."""
    found = ANALYSE(sql)
    assert isinstance(found, Reads), found
    return set(found.tags(params) or ())


@settings(max_examples=int(os.environ.get("CASES", "300")), deadline=None)
@given(SEEDS)
def test_a_write_that_changes_a_result_moves_one_of_its_tags(seed: int) -> None:
    assert not stale(carried, Case.of(seed))


def without_tables(sql: str, params: list[Any]) -> set[str]:
    """A mutant that forgets what depends on a whole table."""
    return {tag for tag in carried(sql, params) if not tag.startswith("table:")}


def without_matches(sql: str, params: list[Any]) -> set[str]:
    """A mutant that forgets the tag for writes that do not know both images."""
    return {tag for tag in carried(sql, params) if not tag.startswith("matches:")}


def by_regex(sql: str, params: list[Any]) -> set[str]:
    """The guide's tables."""
    return {f"table:{name.lower()}" for name in tables_by_regex(sql)}


@pytest.mark.parametrize("weakened", [by_regex, without_tables, without_matches])
def test_the_same_with_weaker_tags_goes_stale(weakened: Carried) -> None:
    found = [stale(weakened, Case.of(seed)) for seed in range(2500)]
    changed = [each for each in found if each is not None]
    assert len(changed) > 100, len(changed)
    assert any(changed)


def test_facts_of_an_outer_join_taken_for_both_sides_go_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learn = Scope.learn
    monkeypatch.setattr(
        Scope, "learn", lambda scope, condition, about=None: learn(scope, condition)
    )
    careless = Analyser("sqlite", CATALOGUE)

    def by_mutant(sql: str, params: list[Any]) -> set[str]:
        found = careless(sql)
        assert isinstance(found, Reads)
        return set(found.tags(params) or ())

    assert any(stale(by_mutant, Case.of(seed)) for seed in range(MUTANT_SEEDS))
