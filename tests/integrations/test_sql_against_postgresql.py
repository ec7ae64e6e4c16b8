"""What the analysis says of random statements, beside what PostgreSQL says of them: the relations in its plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sql.guide import tables_by_regex
from sql.images import images_of
from sql.random_sql import COLUMNS, SCHEMA, described, rows, selects, with_literals, writes

from cachewright.sql import Analyser, Reads, Writes

CATALOGUE = described(default="public")
ANALYSE = Analyser("postgresql", CATALOGUE, paramstyle="none")


@pytest.fixture(scope="module")
def shop(postgresql: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a server with the tables of the shop."""
    with psycopg.connect(postgresql.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        for statement in SCHEMA:
            connection.execute(statement)
        yield connection


def relations(plan: Any) -> set[str]:
    """All relations in a plan."""
    if isinstance(plan, list):
        return set().union(*map(relations, plan)) if plan else set()
    if not isinstance(plan, dict):
        return set()
    own = {plan["Relation Name"]} if "Relation Name" in plan else set()
    return own.union(*map(relations, plan.values()))


def tables_read(shop: psycopg.Connection[Any], sql: str) -> set[str] | None:
    """The tables in PostgreSQL's plan; None for what it refuses."""
    try:
        row = shop.execute("EXPLAIN (FORMAT JSON, VERBOSE) " + sql).fetchone()
    except psycopg.Error:
        return None
    assert row is not None
    return {name.lower() for name in relations(row[0])}


def by_analysis(sql: str) -> set[str]:
    """What we say."""
    found = ANALYSE(sql)
    assert isinstance(found, Reads), (sql, found)
    return set(found.tables)


def missed(
    shop: psycopg.Connection[Any], extract: Callable[[str], set[str]], seeds: range
) -> tuple[list[str], int]:
    """The statements of which `extract` misses a table, and how many were compared."""
    found: list[str] = []
    compared = 0
    for seed in seeds:
        sql = with_literals(*selects(Random(seed), "public"))
        theirs = tables_read(shop, sql)
        compared += theirs is not None
        if theirs is not None and not theirs <= {name.lower() for name in extract(sql)}:
            found.append(sql)
    return found, compared


def test_no_table_of_a_plan_is_missed(shop: psycopg.Connection[Any]) -> None:
    found, compared = missed(shop, by_analysis, range(400))
    assert found == []
    assert compared > 200


def test_the_regex_of_the_guide_misses_tables(shop: psycopg.Connection[Any]) -> None:
    found, _ = missed(shop, tables_by_regex, range(200))
    assert len(found) > 20


# -------------------------------------------------------------------- tags


def content(shop: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    return {
        name: [
            dict(zip(columns, row, strict=True))
            for row in shop.execute(f'SELECT {", ".join(columns)} FROM "{name}"')
        ]
        for name, columns in COLUMNS.items()
    }


class Undone(Exception):
    """Ends a transaction that is to leave nothing behind."""


def compare(shop: psycopg.Connection[Any], seed: int) -> tuple[set[str], set[str], set[str]] | None:
    """The tags of a query, and those of a write by images and by its text; None if its result did not change."""
    random = Random(seed)
    query = with_literals(*selects(random, "public"))
    write, some = with_literals(*writes(random, "public", near=query)), rows(random)
    outcome = None
    try:
        with shop.transaction():
            for name, its_rows in some.items():
                for row in its_rows:
                    marks = ", ".join(["%s"] * len(row))
                    shop.execute(
                        f'INSERT INTO "{name}" ({", ".join(row)}) VALUES ({marks})',
                        list(row.values()),
                    )
            before, was = content(shop), sorted(shop.execute(query).fetchall(), key=repr)
            shop.execute(write)
            after, now = content(shop), sorted(shop.execute(query).fetchall(), key=repr)
            if was != now:
                reads, written = ANALYSE(query), ANALYSE(write)
                assert isinstance(reads, Reads)
                assert isinstance(written, Writes)
                by_text = set(written.tags() or ())
                outcome = set(reads.tags() or ()), set(images_of(CATALOGUE, before, after)), by_text
            raise Undone
    except (Undone, psycopg.Error):
        return outcome


def test_a_write_that_changes_a_result_moves_one_of_its_tags(
    shop: psycopg.Connection[Any],
) -> None:
    changed = 0

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 2**63))
    def look(seed: int) -> None:
        nonlocal changed
        found = compare(shop, seed)
        if found is not None:
            changed += 1
            carried, by_images, by_text = found
            assert carried & by_images, (carried, by_images)
            assert carried & by_text, (carried, by_text)

    look()
    assert changed > 10
