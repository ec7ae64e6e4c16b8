# Generated from _async/test_properties.py by tools/unasync.py. Do not edit.
"""Cached properties: kept by the object or shared by its identity, and never older than what they were made from."""

from __future__ import annotations

from typing import Any

import pytest
from _sync import weaknesses
from _sync.racing import HeldBus, heard_by
from _sync.steps import Source

from cachewright import Cache, ConfigurationError, current_load
from cachewright._sync.properties import CachedProperty
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def basket_of(cache: Cache, source: Source, **options: Any) -> Any:
    class Basket:
        id = 1

        @cache.cached_property_for(60, **options)
        def total(self) -> Any:
            """What it costs."""
            return cache.get_or_load("price", source.load, tags=["price"])

    return Basket


def test_each_object_without_an_identity_keeps_its_own_value(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    with Cache(place, namespace=namespace, clock=clock) as cache:
        calls: list[Any] = []

        class Basket:
            @cache.cached_property_for(60)
            def total(self) -> int:
                calls.append(self)
                return len(calls)

        one, other = Basket(), Basket()
        assert [one.total, one.total, other.total, one.total] == [
            1,
            1,
            2,
            1,
        ]
        clock.advance(61)
        assert one.total == 3
        Basket.total.forget(one)
        assert [one.total, other.total] == [4, 5]


def test_it_is_computed_anew_when_its_part_has_changed(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = Source("old")
        basket = basket_of(cache, source)()
        assert [basket.total, basket.total] == ["old", "old"]
        source.value = "new"
        cache.invalidate(tags=["price"])
        assert basket.total == "new"
        source.value = "newer"
        cache.invalidate("price")
        assert basket.total == "newer"


def changed_elsewhere(cache: Cache, other: Cache) -> list[Any]:
    source = Source("old")
    basket = basket_of(cache, source)()
    before = basket.total
    source.value = "new"
    heard_by(cache, lambda: other.invalidate(tags=["price"]))
    return [before, basket.total]


def test_also_when_another_process_has_changed_it(valkey: Any, namespace: str) -> None:
    with (
        Cache(valkey.url, namespace=namespace) as cache,
        Cache(valkey.url, namespace=namespace) as other,
    ):
        other.engine.open()
        assert changed_elsewhere(cache, other) == ["old", "new"]


def test_a_property_that_looks_at_no_stamps_stays_old(
    valkey: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control, and what `functools.cached_property` does."""
    monkeypatch.setattr(
        CachedProperty,
        "_holds",
        lambda self, kept: self._engine.monotonic() < kept.until,
    )
    with (
        Cache(valkey.url, namespace=namespace) as cache,
        Cache(valkey.url, namespace=namespace) as other,
    ):
        other.engine.open()
        assert changed_elsewhere(cache, other) == ["old", "old"]


def whole_of_a_property(cache: Cache, *, kept: bool) -> list[Any]:
    """A cached page made from a property, before and after the property's part has changed."""
    source = Source("old")
    basket = basket_of(cache, source)()
    if kept:
        basket.total

    def page() -> Any:
        def load() -> Any:
            return basket.total

        return cache.get_or_load("page", load)

    before = [page(), page()]
    source.value = "new"
    cache.invalidate(tags=["price"])
    return [*before, page()]


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_made_from_a_property_falls_with_what_that_was_made_from(
    place: Any, namespace: str, kept: bool
) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert whole_of_a_property(cache, kept=kept) == ["old", "old", "new"]


def test_a_property_that_hands_nothing_up_leaves_the_whole_old(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    with Cache(place, namespace=namespace) as cache:
        assert (whole_of_a_property(cache, kept=False))[-1] == "old"


def test_after_a_lost_link_what_was_kept_is_not_believed(valkey: Any, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            def total(self) -> int:
                calls.append(cache.get_or_load("price", lambda: 1))
                return len(calls)

        basket = Basket()
        assert [basket.total, basket.total] == [1, 1]
        cache.engine.flights.forget_all(linked=True)
        assert basket.total == 2


def test_with_an_identity_all_objects_of_it_share_the_value(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = Source("old")
        basket = basket_of(cache, source, identity="id", tags=["basket:{self.id}"])
        assert [basket().total, basket().total] == ["old", "old"]
        assert source.loads == 1
        source.value = "new"
        cache.invalidate("price", tags=["basket:1"])
        assert basket().total == "new"
        basket.total.forget(basket())
        assert basket().total == "new"
        assert vars(basket()) == {}


def test_what_names_a_tag_while_it_is_computed_is_not_kept_and_hands_it_up(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            def total(self) -> int:
                calls.append(1)
                current_load().tag("late")
                return len(calls)

        basket = Basket()
        assert [basket.total, basket.total] == [1, 2]

        def page() -> Any:
            def load() -> Any:
                return basket.total

            return cache.get_or_load("page", load)

        page()
        assert page() == page()
        before = page()
        cache.invalidate(tags=["late"])
        assert page() != before


def test_bypassed_it_is_computed_and_not_kept(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        calls: list[int] = []

        class Basket:
            @cache.cached_property_for(60)
            def total(self) -> int:
                calls.append(1)
                return len(calls)

        basket = Basket()
        with cache.bypassed():
            assert [basket.total, basket.total] == [1, 2]
        assert [basket.total, basket.total] == [3, 3]
        with cache.bypassed():
            assert basket.total == 4
        assert basket.total == 3


def test_a_property_cannot_be_set_and_needs_room(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:

        class Slotted:
            __slots__ = ()

            @cache.cached_property_for(60)
            def total(self) -> int:
                """What it costs."""
                return 1

        assert Slotted.total.__doc__ == "What it costs."
        with pytest.raises(AttributeError):
            Slotted().total = 1
        with pytest.raises(ConfigurationError, match="no room"):
            Slotted().total


def verified_whole(url: str, namespace: str) -> list[Any]:
    """A whole made from what an object keeps, when the news of a write have not come: as it was, and verified."""
    with (
        Cache(url, namespace=namespace) as cache,
        Cache(url, namespace=namespace) as other,
    ):
        source = Source("old")
        basket = basket_of(cache, source)()

        def load() -> Any:
            return basket.total

        other.engine.open()
        basket.total
        HeldBus(cache)
        source.value = "new"
        other.invalidate(tags=["price"])
        return [basket.total, cache.get_or_load("whole", load, verify=True)]


def test_a_verified_whole_takes_nothing_that_an_object_keeps(
    valkey: Any, namespace: str
) -> None:
    assert verified_whole(valkey.url, namespace) == ["old", "new"]


def test_taken_without_asking_what_an_object_keeps_makes_a_verified_whole_old(
    valkey: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CachedProperty, "_asks_further", lambda self: False)
    assert verified_whole(valkey.url, namespace) == ["old", "old"]
