# Functions whose results are cached.
"""Decorated functions: they look as they did, and `invalidate`, `refresh` and `key` take their arguments."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cachewright import ABSENT, AsyncCache, ConfigurationError, InvalidKey, Policy, Unstorable
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


class Calls:
    """Counts how often the functions under test were really called."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def test_a_decorated_function_looks_as_it_did(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        async def price(item: str, /, amount: int = 1, *, currency: str = "EUR") -> float:
            """What it costs."""
            return 1.0 * amount

        cached = cache.cached(ttl=60)(price)
        assert inspect.signature(cached) == inspect.signature(price)
        assert inspect.iscoroutinefunction(cached) == inspect.iscoroutinefunction(price)
        facts = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__")
        for fact in facts:
            assert getattr(cached, fact) == getattr(price, fact)
        assert cached.__wrapped__ is price  # type: ignore[attr-defined]
        assert await cached("x", 2) == 2.0


async def test_it_is_called_once_for_one_set_of_arguments(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def f(a: int, b: int = 2, *, c: int = 3) -> int:
            return calls()

        ways = [await f(1), await f(1, 2), await f(a=1), await f(b=2, a=1), await f(1, c=3)]
        assert ways == [1] * 5
        assert await f(2) == 2
        assert await f("1") == 3  # type: ignore[arg-type]
        assert await f(True) == 4
        assert cache.stats().loads == 4


async def test_invalidate_refresh_and_key_take_the_functions_arguments(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached(ttl=60, key="user:{user_id}:{lang}", tags=["user:{user_id}"])
        async def get_user(user_id: int, lang: str = "en") -> int:
            """A user."""
            return calls()

        assert get_user.key(42) == "user:42:en" == get_user.key(lang="en", user_id=42)
        assert [await get_user(42), await get_user(42)] == [1, 1]
        assert await cache.get("user:42:en") == 1
        await get_user.invalidate(user_id=42)
        assert await get_user(42) == 2
        assert await get_user.refresh(42) == 3
        assert await get_user(42) == 3
        assert await get_user(42, "fr") == 4
        await cache.invalidate(tags=["user:42"])
        assert [await get_user(42), await get_user(42, "fr")] == [5, 6]
        await cache.invalidate(tags=["user:4"])
        assert await get_user(42) == 5


async def test_arguments_that_do_not_fit_are_the_functions_own_type_error(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def f(a: int) -> int:
            return a

        for bad in (f, f.key, f.invalidate, f.refresh):
            with pytest.raises(TypeError, match="argument"):
                await bad()  # type: ignore[call-arg, misc]
        with pytest.raises(InvalidKey, match="argument a"):
            await f(object())  # type: ignore[arg-type]


async def test_security_06_two_functions_of_one_name_share_nothing(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        class Shop:
            @cache.cached(ignore="self")
            async def price(self, item: str) -> int:
                return calls()

        class Depot:
            @cache.cached(ignore="self")
            async def price(self, item: str) -> int:
                return calls()

        class Newer:
            @cache.cached(ignore="self", version=2)
            async def price(self, item: str) -> int:
                return calls()

        assert [await Shop().price("x"), await Depot().price("x"), await Newer().price("x")] == [
            1,
            2,
            3,
        ]
        assert await Shop().price("x") == 1


async def test_a_method_is_cached_for_all_instances_or_for_each(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        class User:
            def __init__(self, number: int) -> None:
                self.id = number

            @cache.cached(ignore=("self",))
            async def everybodys(self, n: int) -> int:
                return calls()

            @cache.cached(key="user:{self.id}:own:{n}")
            async def own(self, n: int) -> int:
                return calls()

            @classmethod
            @cache.cached(ignore=("cls",))
            async def of_class(cls, n: int) -> int:
                return calls()

            @staticmethod
            @cache.cached
            async def static(n: int) -> int:
                return calls()

        one, other = User(1), User(2)
        assert [await one.everybodys(7), await other.everybodys(7)] == [1, 1]
        assert [await one.own(7), await other.own(7), await one.own(7)] == [2, 3, 2]
        await User.own.invalidate(one, 7)
        assert [await one.own(7), await other.own(7)] == [4, 3]
        assert [await one.of_class(7), await User.of_class(7)] == [5, 5]
        assert [await one.static(7), await User.static(7)] == [6, 6]
        with pytest.raises(ConfigurationError, match="self"):
            cache.cached(User.own.__wrapped__)


async def test_a_call_that_finds_nothing_returns_the_default(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached(default="nobody")
        async def find(user_id: int) -> Any:
            calls()
            return ABSENT

        @cache.cached
        async def find_plainly(user_id: int) -> Any:
            return ABSENT

        assert [await find(1), await find(1)] == ["nobody"] * 2
        assert calls.count == 1
        assert [await find_plainly(1), await find_plainly(1)] == [None] * 2


@pytest.mark.parametrize("value", [None, 0, "", [], False], ids=repr)
async def test_a_false_result_is_a_hit(
    place: Any, namespace: str, calls: Calls, value: Any
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def f() -> Any:
            calls()
            return value

        assert [await f(), await f()] == [value] * 2
    assert calls.count == 1


async def test_a_function_has_a_life_and_a_policy_of_its_own(
    place: Any, namespace: str, calls: Calls, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:

        @cache.cached(ttl=5)
        async def short() -> int:
            return calls()

        @cache.cached(policy=Policy(ttl=500, copy=True))
        async def long() -> list[int]:
            return [calls()]

        assert [await short(), await long()] == [1, [2]]
        (await long()).append(0)
        clock.advance(6)
        assert [await short(), await long()] == [3, [2]]
        clock.advance(490)
        assert await long() == [2]


async def test_a_function_that_is_verified_is_checked_at_the_server_at_each_call(
    valkey: Any, raw: Any, namespace: str, calls: Calls
) -> None:
    """Nothing tells this process that the entry is gone; only a verified read finds out."""
    async with AsyncCache(valkey.url, namespace=namespace) as cache:

        @cache.cached(key="verified", verify=True)
        async def verified() -> int:
            return calls()

        @cache.cached(key="trusting")
        async def trusting() -> int:
            return calls()

        assert [await verified(), await trusting()] == [1, 2]
        raw(valkey).delete(f"{namespace}:{{verified}}", f"{namespace}:{{trusting}}")
        assert await trusting() == 2
        assert await verified() == 3


async def test_what_a_function_raises_reaches_the_caller_and_is_not_kept(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def f() -> int:
            raise LookupError(calls())

        for n in (1, 2):
            with pytest.raises(LookupError, match=str(n)):
                await f()


async def test_generators_are_refused_when_they_are_decorated(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        async def generator() -> Any:
            yield 1

        with pytest.raises(Unstorable, match="generator function"):
            cache.cached(generator)


@pytest.mark.parametrize(
    "options",
    [
        {"key": "x:{nobody}"},
        {"key": "x:{a!r}"},
        {"tags": ["x:{nobody}"]},
        {"tags": "x:{a}"},
        {"ignore": ("nobody",)},
        {"ttl": -1},
        {"sliding": 0},
        {"ttl": 1, "sliding": 1},
    ],
)
async def test_a_decoration_that_cannot_work_is_refused_at_once(
    namespace: str, options: Any
) -> None:
    async with AsyncCache(namespace=namespace) as cache:

        async def f(a: int) -> int:
            return a

        with pytest.raises(ConfigurationError):
            cache.cached(**options)(f)


async def test_bypassed_and_refreshed_hold_for_functions(
    place: Any, namespace: str, calls: Calls
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def f() -> int:
            return calls()

        assert await f() == 1
        with cache.bypassed():
            assert await f() == 2
        assert await f() == 1
        with cache.refreshed():
            assert await f() == 3
        assert await f() == 3


async def test_two_processes_share_a_functions_results(
    valkey: Any, namespace: str, calls: Calls
) -> None:
    one, other = (AsyncCache(valkey.url, namespace=namespace) for _ in range(2))

    async def f(a: int) -> int:
        return calls()

    async with one, other:
        assert await one.cached(f)(7) == 1
        assert await other.cached(f)(7) == 1


async def test_lookalike_arguments_never_share_a_result(place: Any, namespace: str) -> None:
    """1, True and 1.0 are equal to Python; the short way of a hit must not mistake one for another."""
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.cached
        async def kind(x: Any) -> str:
            return type(x).__name__

        for _ in range(3):
            for x in (1, True, 1.0, "1"):
                assert await kind(x) == type(x).__name__
