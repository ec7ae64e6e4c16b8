# Generated from _async/test_tables_of_rows.py by tools/unasync.py. Do not edit.
"""Whoever names a row to a door names its table, which stands for it in entries with too many tags.

Each test has a twin on doors that take the tags as they are, where the old value stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from patterns._sync.desk import Hand, People, one, person
from patterns._sync.through import Table, TransactingTable

from cachewright import Cache
from cachewright.core.reads import spell_tags
from cachewright.core.tags import row_tag, rows_tag
from cachewright.patterns._sync import draining, write_through
from cachewright.patterns._sync.write_through import WriteThrough

pytestmark = pytest.mark.usefixtures("patient")

ROWS = 20
ROW = row_tag("flights", 3)


def page(cache: Cache, flights: list[int]) -> int:
    """A value of so many rows that their table stands for them."""
    tags = [*(row_tag("flights", n) for n in range(ROWS)), rows_tag("flights")]

    def part() -> int:
        return sum(flights)

    def whole() -> Any:
        return cache.get_or_load("part", part, tags=tags)

    found: int = cache.get_or_load("page", whole)
    assert "t:table:flights" in cache.engine.memory.table["page"].stamps
    return found


def around(cache: Cache, write: Callable[[list[int]], Awaitable[Any]]) -> list[int]:
    """The page before and after a write of one flight that a door is told of."""
    flights = [1] * ROWS
    before = page(cache, flights)
    write(flights)
    return [before, page(cache, flights)]


def put_through(place: str | None, namespace: str, table: type[Table]) -> list[int]:
    with Cache(place, namespace=namespace, max_tags=10) as cache:
        source = table()
        users = WriteThrough(cache, source)

        def write(flights: list[int]) -> None:
            source.on_save = lambda: flights.__setitem__(3, 2)
            users.put({"id": 1, "name": "Ada"}, tags=[ROW])

        return around(cache, write)


BOTH = pytest.mark.parametrize("table", [Table, TransactingTable])


@BOTH
def test_a_row_named_to_a_write_through(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    assert put_through(place, namespace, table) == [ROWS, ROWS + 1]


@BOTH
def test_named_without_its_table_it_leaves_an_old_value(
    place: str | None, namespace: str, table: type[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_through, "dead_tags", spell_tags)
    assert put_through(place, namespace, table) == [ROWS, ROWS]


def settled(server: Any, namespace: str, people: People) -> list[int]:
    with one(server, namespace, people, cached={"max_tags": 10}, dirties=[ROW]) as writes:

        def write(flights: list[int]) -> None:
            writes.put(person(1))
            flights[3] = 2  # by a trigger, say
            (Hand.take(writes)).drain()

        return around(writes.cache, write)


def test_a_row_that_is_wrong_once_changes_are_applied(
    valkey: Any, namespace: str, people: People
) -> None:
    assert settled(valkey, namespace, people) == [ROWS, ROWS + 1]


def test_applied_without_its_table_it_leaves_an_old_value(
    valkey: Any, namespace: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "dead_tags", spell_tags)
    assert settled(valkey, namespace, people) == [ROWS, ROWS]
