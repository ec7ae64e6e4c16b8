# Methods whose results are cached.
"""Cached methods: the key is the object's declared identity, whatever object stands for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cachewright import AsyncCache, ConfigurationError, InvalidKey, Unstorable

pytestmark = pytest.mark.usefixtures("patient")


class Calls:
    """How often the methods under test were really called."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


@pytest.fixture
def calls() -> Calls:
    return Calls()


def users_of(cache: AsyncCache, calls: Calls) -> Any:
    @dataclass(eq=False)
    class User:
        id: Any
        name: str = ""
        __cache_identity__ = "id"

        @cache.cached_method(ttl=60, tags=["user:{self.id}"])
        async def orders(self, year: int = 2024, *, open_only: bool = False) -> int:
            """What they ordered."""
            return calls()

        @cache.cached_method
        async def friends(self, year: int = 2024) -> int:
            return calls()

    return User


async def test_two_objects_of_one_identity_share_and_others_do_not(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        user = users_of(cache, calls)
        assert [await user(1).orders(), await user(1, "other").orders(2024)] == [1, 1]
        assert await user(1).orders(year=2024) == 1
        assert await user(2).orders() == 2
        assert await user("1").orders() == 3
        assert await user(1).orders(2025) == 4
        assert await user(1).orders(open_only=True) == 5
        assert await user(1).friends() == 6, "another method of the same arguments"
        assert user.orders.__doc__ == "What they ordered."
        assert user.orders.__name__ == "orders"


async def test_defect_87_a_key_of_ids_and_reprs_is_no_key(place: Any, namespace: str) -> None:
    """The control: with `str(args)` two objects of one identity share nothing, or two of a later object's address do."""
    async with AsyncCache(place, namespace=namespace) as cache:
        user = users_of(cache, Calls())
        one, same = user(1), user(1)
        assert object.__repr__(one) != object.__repr__(same)
        key = user.orders.key(one)
        assert key == user.orders.key(same) == one.orders.key()
        assert f"{id(one):x}" not in key
        assert "User:1:orders" in key


async def test_the_verbs_take_the_object_or_are_bound_to_it(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        user = users_of(cache, calls)
        ada = user(1)
        assert [await ada.orders(), await ada.orders(2025)] == [1, 2]
        await user.orders.invalidate(ada, 2025)
        assert [await ada.orders(), await ada.orders(2025)] == [1, 3]
        await ada.orders.invalidate()
        assert [await ada.orders(), await ada.orders(2025)] == [4, 3]
        assert await ada.orders.refresh() == 5
        assert await user.orders.refresh(ada, year=2025) == 6
        assert [await ada.orders(), await ada.orders(2025)] == [5, 6]
        await cache.invalidate(tags=["user:1"])
        assert await user.orders(ada) == 7


async def test_a_subclass_may_answer_otherwise(place: Any, namespace: str, calls: Calls) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        user = users_of(cache, calls)

        class Admin(user):  # type: ignore[misc]
            pass

        assert [await user(1).orders(), await Admin(1).orders()] == [1, 2]


async def test_an_override_may_call_what_it_overrides(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        user = users_of(cache, calls)

        class Admin(user):  # type: ignore[misc]
            @cache.cached_method
            async def orders(self, year: int = 2024) -> Any:
                return ["admin", await super().orders(year)]

        assert [await Admin(1).orders(), await Admin(1).orders()] == [["admin", 1]] * 2
        await cache.invalidate(tags=["user:1"])
        assert await Admin(1).orders() == ["admin", 2]


async def test_identity_may_be_several_attributes_or_a_function(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @dataclass(eq=False)
        class Seat:
            flight: str
            row: int

            @cache.cached_method(identity=("flight", "row"))
            async def free(self) -> int:
                return calls()

            @cache.cached_method(identity=lambda seat: seat.flight)
            async def plane(self) -> int:
                return calls()

        assert [await Seat("a:b", 1).free(), await Seat("a", 1).free()] == [1, 2]
        assert [await Seat("a", 1).plane(), await Seat("a", 2).plane()] == [3, 3]


async def test_an_object_without_identity_is_refused(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        class Nobody:
            @cache.cached_method
            async def orders(self) -> int:
                return calls()

        with pytest.raises(ConfigurationError, match="__cache_identity__"):
            await Nobody().orders()
        with pytest.raises(InvalidKey, match="no identity yet"):
            await users_of(cache, calls)(None).orders()
        assert calls.count == 0
        with pytest.raises(ConfigurationError, match="no method"):

            @cache.cached_method
            async def function() -> int:
                return 1

        with pytest.raises((Unstorable, ConfigurationError)):

            @cache.cached_method
            def numbers(self: Any) -> Any:
                yield 1


async def test_what_a_method_reads_is_handed_up(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        rows = {1: "old"}

        class User:
            __cache_identity__ = ("id",)

            def __init__(self) -> None:
                self.id = 1

            @cache.cached_method(tags=["user:{self.id}"])
            async def name(self) -> str:
                return rows[self.id]

            @cache.cached_method
            async def greeting(self) -> str:
                return f"Hello, {await self.name()}"

        assert await User().greeting() == "Hello, old"
        rows[1] = "new"
        await cache.invalidate(tags=["user:1"])
        assert await User().greeting() == "Hello, new"
        rows[1] = "newer"
        await User().name.invalidate()
        assert await User().greeting() == "Hello, newer"
