# New rows that are queued first.
"""Write-behind and a filter of existing rows: what is put is found by who asks the filter, pending or applied, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest
from _async.steps import until
from patterns._async.desk import AsyncHand, AsyncPeople, door, new_cache, person

from cachewright import MISSING
from cachewright.patterns._async.applying import AsyncApplier
from cachewright.patterns._async.existing import AsyncExisting
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns.sources import Change

pytest.importorskip("rbloom")


class AsyncShop:
    """One process that writes behind, and one that reads through a filter. `telling` False: the writer knows of none."""

    def __init__(self, server: Any, namespace: str, people: AsyncPeople, *, telling: bool) -> None:
        self.caches = [new_cache(server, namespace) for _ in range(2)]
        writer, reader = self.caches
        # No grace: only what is told after a build began is in it, unless the source has it.
        filters = [AsyncExisting(cache, people, grace=0) for cache in self.caches]
        self.existing = filters[1]
        own = filters[0] if telling else None
        self.writes: AsyncWriteBehind = door(
            writer, people, partitions=1, worker=False, existing=own
        )
        self.rows = AsyncReadThrough(reader, people, existing=self.existing)

    async def __aenter__(self) -> Self:
        for cache in self.caches:
            await cache.__aenter__()
        await self.existing.rebuild()
        await self.writes.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writes.aclose()
        for cache in self.caches:
            await cache.aclose()

    async def heard(self, act: Any) -> None:
        """Do something, and wait until the reader has heard of it."""
        reader = self.caches[1]
        before = reader.stats().heard
        await act()
        await until(lambda: reader.stats().heard > before)

    async def drain(self) -> None:
        await (await AsyncHand.take(self.writes)).drain()


async def row_put_behind(shop: AsyncShop) -> list[Any]:
    """What a reader with a filter finds of a new row: pending, and applied."""

    async def put() -> None:
        await shop.writes.put(person(7))

    assert await shop.rows.get(7) is MISSING
    await shop.heard(put)
    pending = await shop.rows.get(7)
    await shop.heard(shop.drain)
    return [pending, await shop.rows.get(7)]


async def test_a_new_row_is_found_by_a_reader_with_a_filter(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncShop(valkey, namespace, people, telling=True) as shop:
        assert await row_put_behind(shop) == [person(7), person(7)]


async def test_by_a_door_that_tells_nobody_it_would_be_hidden(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """The control."""
    async with AsyncShop(valkey, namespace, people, telling=False) as shop:
        assert await row_put_behind(shop) == [MISSING, MISSING]


async def row_applied_after_a_build(shop: AsyncShop) -> Any:
    """The reader's filter is built while the row is pending, long after it was put."""
    await shop.writes.put(person(7))
    await shop.existing.rebuild()
    await shop.heard(shop.drain)
    return await shop.rows.get(7)


async def test_a_row_that_is_applied_after_a_filter_was_built_is_found(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncShop(valkey, namespace, people, telling=True) as shop:
        assert await row_applied_after_a_build(shop) == person(7)


async def test_unless_workers_tell_as_well_it_would_be_hidden(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: told only when it was queued."""
    hand_over = AsyncApplier.hand_over

    async def silently(self: AsyncApplier, changes: Sequence[Change], position: Any) -> bool:
        self._existing = None
        return bool(await hand_over(self, changes, position))

    monkeypatch.setattr(AsyncApplier, "hand_over", silently)
    async with AsyncShop(valkey, namespace, people, telling=True) as shop:
        assert await row_applied_after_a_build(shop) is MISSING
