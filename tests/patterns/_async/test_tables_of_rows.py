# Rows that a door is told of by hand.
"""Whoever names a row to a door names its table, which stands for it in entries with too many tags.

Each test has a twin on doors that take the tags as they are, where the old value stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from patterns._async.desk import AsyncHand, AsyncPeople, one, person
from patterns._async.through import AsyncTable, AsyncTransactingTable

from cachewright import AsyncCache
from cachewright.core.reads import spell_tags
from cachewright.core.tags import row_tag, rows_tag
from cachewright.patterns._async import draining, write_through
from cachewright.patterns._async.write_through import AsyncWriteThrough

pytestmark = pytest.mark.usefixtures("patient")

ROWS = 20
ROW = row_tag("flights", 3)


async def page(cache: AsyncCache, flights: list[int]) -> int:
    """A value of so many rows that their table stands for them."""
    tags = [*(row_tag("flights", n) for n in range(ROWS)), rows_tag("flights")]

    async def part() -> int:
        return sum(flights)

    async def whole() -> Any:
        return await cache.get_or_load("part", part, tags=tags)

    found: int = await cache.get_or_load("page", whole)
    assert "t:table:flights" in cache.engine.memory.table["page"].stamps
    return found


async def around(cache: AsyncCache, write: Callable[[list[int]], Awaitable[Any]]) -> list[int]:
    """The page before and after a write of one flight that a door is told of."""
    flights = [1] * ROWS
    before = await page(cache, flights)
    await write(flights)
    return [before, await page(cache, flights)]


async def put_through(place: str | None, namespace: str, table: type[AsyncTable]) -> list[int]:
    async with AsyncCache(place, namespace=namespace, max_tags=10) as cache:
        source = table()
        users = AsyncWriteThrough(cache, source)

        async def write(flights: list[int]) -> None:
            source.on_save = lambda: flights.__setitem__(3, 2)
            await users.put({"id": 1, "name": "Ada"}, tags=[ROW])

        return await around(cache, write)


BOTH = pytest.mark.parametrize("table", [AsyncTable, AsyncTransactingTable])


@BOTH
async def test_a_row_named_to_a_write_through(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    assert await put_through(place, namespace, table) == [ROWS, ROWS + 1]


@BOTH
async def test_named_without_its_table_it_leaves_an_old_value(
    place: str | None, namespace: str, table: type[AsyncTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_through, "dead_tags", spell_tags)
    assert await put_through(place, namespace, table) == [ROWS, ROWS]


async def settled(server: Any, namespace: str, people: AsyncPeople) -> list[int]:
    async with one(server, namespace, people, cached={"max_tags": 10}, dirties=[ROW]) as writes:

        async def write(flights: list[int]) -> None:
            await writes.put(person(1))
            flights[3] = 2  # by a trigger, say
            await (await AsyncHand.take(writes)).drain()

        return await around(writes.cache, write)


async def test_a_row_that_is_wrong_once_changes_are_applied(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    assert await settled(valkey, namespace, people) == [ROWS, ROWS + 1]


async def test_applied_without_its_table_it_leaves_an_old_value(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "dead_tags", spell_tags)
    assert await settled(valkey, namespace, people) == [ROWS, ROWS]
