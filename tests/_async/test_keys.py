# Keys as users write them.
"""Keys, scopes and contexts through a cache: hostile keys are safe, and private ones are not shown."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from cachewright import MISSING, AsyncCache, ConfigurationError, InvalidKey

pytestmark = pytest.mark.usefixtures("patient")

HOSTILE = [
    "a\r\nDEL b",
    "nul\0",
    "with space",
    "é",
    "\U0001f600",
    "*",
    "{tag}",
    "a" * 10_000,
    "a:b",
    "a%3Ab",
    ("a:b",),
    ("\ud800", None, True, 1.5),
]


@pytest.mark.parametrize("key", HOSTILE, ids=ascii)
async def test_security_03_any_text_is_a_key_for_every_verb(
    place: Any, namespace: str, key: Any
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await cache.set(key, "v")
        assert await cache.get(key) == "v"
        await cache.invalidate(key)
        assert await cache.get_or_load(key, lambda: "w", tags=[key]) == "w"
        assert await cache.get_many([key]) == {key: "w"}
        await cache.invalidate(tags=[key])
        assert await cache.get_or_load_many([key], lambda keys: {key: "x"}) == {key: "x"}
        await cache.delete(key)
        assert await cache.incr(key) == 1
        await cache.delete(key)
        assert await cache.add(key, "y")
        assert await cache.touch(key, ttl=60)
        async with cache.writing(keys=[key], tags=[key]):
            pass
        assert await cache.get(key) is MISSING


@pytest.mark.parametrize("key", HOSTILE, ids=ascii)
async def test_security_03_another_process_reads_and_hears_of_any_key(
    valkey: Any, namespace: str, key: Any
) -> None:
    one, other = (AsyncCache(valkey.url, namespace=namespace) for _ in range(2))
    async with one, other:
        assert await one.get_or_load(key, lambda: "v") == "v"
        assert await other.get_or_load(key, lambda: "another") == "v"
        await one.invalidate(key)
        assert await other.get(key, verify=True) is MISSING


@pytest.mark.parametrize(
    "key", ["", "\ud800", (), None, 7, b"k", ["k"], {"k": 1}, object(), ("a", object())]
)
@pytest.mark.parametrize(
    "verb", ["get", "set", "get_or_load", "get_many", "incr", "invalidate", "ttl", "contains"]
)
async def test_what_is_no_key_is_refused_by_every_verb(
    place: Any, namespace: str, verb: str, key: Any
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        arguments: dict[str, list[Any]] = {"set": [1], "get_or_load": [lambda: 1]}
        given = arguments.get(verb, [])
        with pytest.raises(InvalidKey):
            await getattr(cache, verb)([key] if verb == "get_many" else key, *given)


async def test_security_04_two_long_keys_with_one_name_at_the_server_are_told_apart(
    valkey: Any, raw: Any, namespace: str
) -> None:
    """Security 4: what a colliding digest would do, done by hand."""
    long, twin = "k" * 600 + "a", "k" * 600 + "b"
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.set(long, "of a")
        await cache.set(twin, "of b")
        names = cache.engine.keys
        client = raw(valkey)
        client.set(names.entry(twin), client.get(names.entry(long)), px=60_000)
    async with AsyncCache(valkey.url, namespace=namespace) as other:
        assert await other.get(twin) is MISSING
        assert await other.get(long) == "of a"


# -------------------------------------------------------------------- scopes


async def test_security_07_a_scoped_cache_is_not_used_without_a_scope(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user") as cache:
        for verb in ("get", "contains", "ttl", "incr", "invalidate", "delete"):
            with pytest.raises(ConfigurationError, match="scoped"):
                await getattr(cache, verb)("k")
        with pytest.raises(ConfigurationError, match="scoped"):
            await cache.set("k", 1)
        with pytest.raises(ConfigurationError, match="scoped"):
            await cache.get_or_load("k", lambda: 1)
        with pytest.raises(ConfigurationError, match="scoped"):
            await cache.get_many(["k"])


async def test_security_07_nobody_reads_what_belongs_to_another(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user") as cache:
        with cache.scoped("ann"):
            await cache.set("cart", "of ann")
            assert await cache.get("cart") == "of ann"
        with cache.scoped("bob"):
            assert await cache.get("cart") is MISSING
            assert await cache.get_or_load("cart", lambda: "of bob") == "of bob"
            assert await cache.get_many(["cart"]) == {"cart": "of bob"}
        with cache.scoped("ann"):
            assert await cache.get("cart") == "of ann"
            assert await cache.get("cart") == "of ann"


@pytest.mark.parametrize(
    ("one", "other"), [("1", 1), ("a", "a|b"), ("a|", "a"), (1, True), ("a", ("a",))]
)
async def test_security_07_scopes_that_look_alike_are_apart(
    place: Any, namespace: str, one: Any, other: Any
) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user") as cache:
        with cache.scoped(one):
            await cache.set("b|k", "of one")
            await cache.set("k", "of one")
        with cache.scoped(other):
            assert await cache.get("k") is MISSING
            assert await cache.get("b|k") is MISSING


async def test_security_46_one_call_forgets_a_whole_user(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user") as cache:
        for user in ("ann", "bob"):
            with cache.scoped(user):
                await cache.set("cart", user)
                await cache.get_or_load("name", lambda: "x")
        await cache.invalidate(scope="ann")
        with cache.scoped("ann"):
            assert await cache.get_many(["cart", "name"]) == {}
        with cache.scoped("bob"):
            assert await cache.get_many(["cart", "name"]) == {"cart": "bob", "name": "x"}


async def test_a_prefix_in_a_scoped_cache_takes_that_scopes_alone(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user", hierarchy=True) as cache:
        for user in ("ann", "bob"):
            with cache.scoped(user):
                await cache.set("cart:1", user)
        with cache.scoped("ann"):
            await cache.invalidate(prefix="cart")
            assert await cache.get("cart:1") is MISSING
        with cache.scoped("bob"):
            assert await cache.get("cart:1") == "bob"


async def test_a_decorated_function_of_a_scoped_cache_asks_for_the_scope(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace, scope="user") as cache:
        calls: list[str] = []

        @cache.cached(key="cart:{which}")
        async def cart(which: int) -> int:
            calls.append("called")
            return len(calls)

        with pytest.raises(ConfigurationError, match="scoped"):
            await cart(1)
        with cache.scoped("ann"):
            assert [await cart(1), await cart(1)] == [1, 1]
        with cache.scoped("bob"):
            assert await cart(1) == 2
        with cache.scoped("ann"):
            await cart.invalidate(1)
            assert await cart(1) == 3


# -------------------------------------------------------------------- contexts


async def test_inside_bypassed_the_source_is_asked_and_nothing_is_kept(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("k", "cached")
        with cache.bypassed():
            assert await cache.get("k") is MISSING
            assert await cache.get_many(["k"]) == {}
            assert await cache.get_or_load("k", lambda: "source") == "source"
            loaded = await cache.get_or_load_many(["k", "l"], lambda keys: dict.fromkeys(keys, "s"))
            assert loaded == {"k": "s", "l": "s"}
        assert await cache.get_many(["k", "l"]) == {"k": "cached"}


async def test_inside_disabled_nothing_is_stored_and_invalidations_still_act(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set_many({"k": "cached", "l": "cached"})
        with cache.disabled():
            assert not await cache.set("k", "new")
            assert not await cache.add("m", "new")
            assert await cache.get_or_load("n", lambda: "source") == "source"
            await cache.invalidate("l")
        assert await cache.get_many(["k", "l", "m", "n"]) == {"k": "cached"}


async def test_inside_refreshed_everything_is_loaded_anew_and_kept(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("k", "old")
        with cache.refreshed():
            assert await cache.get_or_load("k", lambda: "new") == "new"
            loaded = await cache.get_or_load_many(["m"], lambda keys: {"m": 1})
            assert loaded == {"m": 1}
        assert await cache.get_many(["k", "m"]) == {"k": "new", "m": 1}


async def test_a_context_is_of_one_cache_and_ends_with_an_exception(
    place: Any, namespace: str
) -> None:
    one, other = AsyncCache(place, namespace=namespace), AsyncCache(namespace=namespace)
    async with one, other:
        for cache in (one, other):
            await cache.set("k", "cached")
        with contextlib.suppress(ZeroDivisionError), one.bypassed():
            assert await one.get("k") is MISSING
            assert await other.get("k") == "cached"
            raise ZeroDivisionError
        assert await one.get("k") == "cached"
