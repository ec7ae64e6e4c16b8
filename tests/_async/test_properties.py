# Properties whose values are cached.
"""Cached properties: kept by the object or shared by its identity, and never older than what they were made from."""

from __future__ import annotations

from typing import Any

import pytest
from _async import weaknesses
from _async.racing import AsyncHeldBus, heard_by
from _async.steps import AsyncSource

from cachewright import AsyncCache, ConfigurationError, current_load
from cachewright._async.properties import AsyncCachedProperty
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def basket_of(cache: AsyncCache, source: AsyncSource, **options: Any) -> Any:
    class Basket:
        id = 1

        @cache.cached_property_for(60, **options)
        async def total(self) -> Any:
            """What it costs."""
            return await cache.get_or_load("price", source.load, tags=["price"])

    return Basket


async def test_each_object_without_an_identity_keeps_its_own_value(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        calls: list[Any] = []

        class Basket:
            @cache.cached_property_for(60)
            async def total(self) -> int:
                calls.append(self)
                return len(calls)

        one, other = Basket(), Basket()
        assert [await one.total, await one.total, await other.total, await one.total] == [
            1,
            1,
            2,
            1,
        ]
        clock.advance(61)
        assert await one.total == 3
        await Basket.total.forget(one)
        assert [await one.total, await other.total] == [4, 5]


async def test_it_is_computed_anew_when_its_part_has_changed(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = AsyncSource("old")
        basket = basket_of(cache, source)()
        assert [await basket.total, await basket.total] == ["old", "old"]
        source.value = "new"
        await cache.invalidate(tags=["price"])
        assert await basket.total == "new"
        source.value = "newer"
        await cache.invalidate("price")
        assert await basket.total == "newer"


async def changed_elsewhere(cache: AsyncCache, other: AsyncCache) -> list[Any]:
    source = AsyncSource("old")
    basket = basket_of(cache, source)()
    before = await basket.total
    source.value = "new"
    await heard_by(cache, lambda: other.invalidate(tags=["price"]))
    return [before, await basket.total]


async def test_also_when_another_process_has_changed_it(valkey: Any, namespace: str) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace) as cache,
        AsyncCache(valkey.url, namespace=namespace) as other,
    ):
        await other.engine.open()
        assert await changed_elsewhere(cache, other) == ["old", "new"]


async def test_a_property_that_looks_at_no_stamps_stays_old(
    valkey: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control, and what `functools.cached_property` does."""
    monkeypatch.setattr(
        AsyncCachedProperty,
        "_holds",
        lambda self, kept: self._engine.monotonic() < kept.until,
    )
    async with (
        AsyncCache(valkey.url, namespace=namespace) as cache,
        AsyncCache(valkey.url, namespace=namespace) as other,
    ):
        await other.engine.open()
        assert await changed_elsewhere(cache, other) == ["old", "old"]


async def whole_of_a_property(cache: AsyncCache, *, kept: bool) -> list[Any]:
    """A cached page made from a property, before and after the property's part has changed."""
    source = AsyncSource("old")
    basket = basket_of(cache, source)()
    if kept:
        await basket.total

    async def page() -> Any:
        async def load() -> Any:
            return await basket.total

        return await cache.get_or_load("page", load)

    before = [await page(), await page()]
    source.value = "new"
    await cache.invalidate(tags=["price"])
    return [*before, await page()]


@pytest.mark.parametrize("kept", [True, False])
async def test_what_is_made_from_a_property_falls_with_what_that_was_made_from(
    place: Any, namespace: str, kept: bool
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await whole_of_a_property(cache, kept=kept) == ["old", "old", "new"]


async def test_a_property_that_hands_nothing_up_leaves_the_whole_old(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    async with AsyncCache(place, namespace=namespace) as cache:
        assert (await whole_of_a_property(cache, kept=False))[-1] == "old"


async def test_after_a_lost_link_what_was_kept_is_not_believed(valkey: Any, namespace: str) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            async def total(self) -> int:
                calls.append(await cache.get_or_load("price", lambda: 1))
                return len(calls)

        basket = Basket()
        assert [await basket.total, await basket.total] == [1, 1]
        cache.engine.flights.forget_all(linked=True)
        assert await basket.total == 2


async def test_with_an_identity_all_objects_of_it_share_the_value(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = AsyncSource("old")
        basket = basket_of(cache, source, identity="id", tags=["basket:{self.id}"])
        assert [await basket().total, await basket().total] == ["old", "old"]
        assert source.loads == 1
        source.value = "new"
        await cache.invalidate("price", tags=["basket:1"])
        assert await basket().total == "new"
        await basket.total.forget(basket())
        assert await basket().total == "new"
        assert vars(basket()) == {}


async def test_what_names_a_tag_while_it_is_computed_is_not_kept_and_hands_it_up(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            async def total(self) -> int:
                calls.append(1)
                current_load().tag("late")
                return len(calls)

        basket = Basket()
        assert [await basket.total, await basket.total] == [1, 2]

        async def page() -> Any:
            async def load() -> Any:
                return await basket.total

            return await cache.get_or_load("page", load)

        await page()
        assert await page() == await page()
        before = await page()
        await cache.invalidate(tags=["late"])
        assert await page() != before


async def test_bypassed_it_is_computed_and_not_kept(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            async def total(self) -> int:
                calls.append(1)
                return len(calls)

        basket = Basket()
        with cache.bypassed():
            assert [await basket.total, await basket.total] == [1, 2]
        assert [await basket.total, await basket.total] == [3, 3]
        with cache.bypassed():
            assert await basket.total == 4
        assert await basket.total == 3


async def test_a_property_cannot_be_set_and_needs_room(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        class Slotted:
            __slots__ = ()

            @cache.cached_property_for(60)
            async def total(self) -> int:
                """What it costs."""
                return 1

        assert Slotted.total.__doc__ == "What it costs."
        with pytest.raises(AttributeError):
            Slotted().total = 1
        with pytest.raises(ConfigurationError, match="no room"):
            await Slotted().total


async def verified_whole(url: str, namespace: str) -> list[Any]:
    """A whole made from what an object keeps, when the news of a write have not come: as it was, and verified."""
    async with (
        AsyncCache(url, namespace=namespace) as cache,
        AsyncCache(url, namespace=namespace) as other,
    ):
        source = AsyncSource("old")
        basket = basket_of(cache, source)()

        async def load() -> Any:
            return await basket.total

        await other.engine.open()
        await basket.total
        AsyncHeldBus(cache)
        source.value = "new"
        await other.invalidate(tags=["price"])
        return [await basket.total, await cache.get_or_load("whole", load, verify=True)]


async def test_a_verified_whole_takes_nothing_that_an_object_keeps(
    valkey: Any, namespace: str
) -> None:
    assert await verified_whole(valkey.url, namespace) == ["old", "new"]


async def test_taken_without_asking_what_an_object_keeps_makes_a_verified_whole_old(
    valkey: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AsyncCachedProperty, "_asks_further", lambda self: False)
    assert await verified_whole(valkey.url, namespace) == ["old", "old"]
