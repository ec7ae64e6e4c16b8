# The verbs, one by one.
"""Batches, adding, counting, forgetting, prefixes, scopes and contexts: what each verb promises, in both layers."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import (
    ABSENT,
    MISSING,
    AsyncCache,
    ConfigurationError,
    Policy,
)
from cachewright._waits import aio
from rig.proxy import FaultProxy

pytestmark = pytest.mark.usefixtures("patient")


class LoadsMany:
    """A batch loader over a dict that remembers what it was asked for."""

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values = values
        self.asked: list[list[Any]] = []

    async def __call__(self, keys: list[Any]) -> dict[Any, Any]:
        self.asked.append(list(keys))
        return {key: self.values[key] for key in keys if key in self.values}


# -------------------------------------------------------------------- many keys


async def test_get_many_returns_what_is_there_by_the_keys_as_given(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set_many({"a": 1, ("b", 2): None, "c": ABSENT})
        assert await cache.get_many(["zz", ("b", 2), "a", "a", "c"]) == {("b", 2): None, "a": 1}
        assert await cache.get_many([]) == {}
        assert await cache.get_many(key for key in ["a"]) == {"a": 1}


async def test_two_spellings_of_one_key_in_a_batch_are_both_answered(
    place: Any, namespace: str
) -> None:
    loads = LoadsMany({"user:7": "Ann", ("user", 7): "Ann"})
    async with AsyncCache(place, namespace=namespace) as cache:
        loaded = await cache.get_or_load_many(["user:7", ("user", 7)], loads)
        assert loaded == {"user:7": "Ann", ("user", 7): "Ann"}
        assert await cache.get_many(["user:7", ("user", 7)]) == loaded
    assert len(loads.asked[0]) == 1


async def test_set_many_says_for_each_key_whether_it_was_stored(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await cache.set_many({"a": 1, "b": 2}, ttl=60, tags=["t"]) == {"a": True, "b": True}
        assert await cache.set_many({}) == {}
        await cache.invalidate(tags=["t"])
        assert await cache.get_many(["a", "b"]) == {}


async def test_set_many_stores_the_others_where_one_cannot_be(valkey: Any, namespace: str) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        assert await cache.set_many({"a": 1, "b": object()}) == {"a": True, "b": False}
        assert await cache.get_many(["a", "b"]) == {"a": 1}


async def test_defect_41_a_batch_loads_the_missing_once_in_order_and_remembers_the_absent(
    place: Any, namespace: str
) -> None:
    loads = LoadsMany({"a": 1, "b": None, "d": 4})
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("d", "cached")
        loaded = await cache.get_or_load_many(["c", "d", "a", "a", "b", "c"], loads, default="none")
        assert loaded == {"c": "none", "d": "cached", "a": 1, "b": None}
        assert list(loaded) == ["c", "d", "a", "b"]
        assert loads.asked == [["c", "a", "b"]]
        again = await cache.get_or_load_many(["a", "b", "c"], loads)
        assert again == {"a": 1, "b": None, "c": MISSING}
        assert len(loads.asked) == 1
        assert cache.stats().negative_hits >= 1


async def test_a_batch_loader_gets_the_keys_as_they_were_given(place: Any, namespace: str) -> None:
    loads = LoadsMany({("user", "1"): "text", ("user", 1): "number"})
    async with AsyncCache(place, namespace=namespace) as cache:
        keys = [("user", "1"), ("user", 1)]
        assert await cache.get_or_load_many(keys, loads) == loads.values
        assert loads.asked == [keys]
        assert await cache.get(("user", 1)) == "number"


async def test_a_batch_loader_that_returns_more_than_it_was_asked_for(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        loaded = await cache.get_or_load_many(["a"], lambda keys: {"a": 1, "extra": 2})
        assert loaded == {"a": 1}
        assert await cache.get("extra") is MISSING


async def test_a_batch_loader_may_say_absent_itself(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        loaded = await cache.get_or_load_many(["a"], lambda keys: {"a": ABSENT}, default=0)
        assert loaded == {"a": 0}


async def test_defect_41_what_a_batch_loader_raises_reaches_the_caller_and_nothing_is_stored(
    place: Any, namespace: str
) -> None:
    error = OSError("the database is away")

    async def fail(keys: list[Any]) -> Any:
        raise error

    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("d", "cached")
        with pytest.raises(OSError, match="away") as caught:
            await cache.get_or_load_many(["a", "d"], fail)
        assert caught.value is error
        assert await cache.get_many(["a", "d"]) == {"d": "cached"}
        assert await cache.get_or_load_many(["a"], LoadsMany({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("nonsense", [None, [1, 2], 7, "ab"])
async def test_a_batch_loader_that_returns_no_mapping_is_told_so(
    place: Any, namespace: str, nonsense: Any
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="mapping"):
            await cache.get_or_load_many(["a"], lambda keys: nonsense)
        assert await cache.get("a") is MISSING


async def test_an_empty_batch_asks_nobody(place: Any, namespace: str) -> None:
    loads = LoadsMany({})
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await cache.get_or_load_many([], loads) == {}
    assert loads.asked == []


async def test_the_tags_of_a_batch_may_follow_from_the_key(place: Any, namespace: str) -> None:
    loads = LoadsMany({"a": 1, "b": 2})
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.get_or_load_many(["a", "b"], loads, tags=lambda key: [f"row:{key}"])
        await cache.invalidate(tags=["row:a"])
        assert await cache.get_many(["a", "b"]) == {"b": 2}


async def test_a_batch_and_a_single_read_share_one_load(place: Any, namespace: str) -> None:
    began, go, single = aio.Event(), aio.Event(), []

    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        began.set()
        assert await go.wait(10)
        return dict.fromkeys(keys, "batch")

    async def read() -> None:
        single.append(await cache.get_or_load("a", lambda: "single"))

    background = aio.Background("reads")
    async with AsyncCache(place, namespace=namespace) as cache:
        background.start(cache.get_or_load_many, ["a", "b"], load_many)
        assert await began.wait(10)
        background.start(read)
        go.set()
        await background.close(10)
        assert single == ["batch"]


async def round_trips(proxy: FaultProxy, work: Any) -> int:
    proxy.reset_counters()
    await work()
    return proxy.round_trips


@pytest.fixture
def quiet_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeats among the round trips that are counted."""
    monkeypatch.setattr("cachewright._async.bus.HEARTBEAT", 60.0)


@pytest.mark.usefixtures("quiet_bus")
async def test_how_many_round_trips_each_verb_takes(valkey: Any, namespace: str) -> None:
    """Design section 6: a hit one, a miss one more for the lease and one for the fill, a batch as a single key."""
    keys = [f"k{n}" for n in range(50)]
    loads = LoadsMany(dict.fromkeys(keys, 1))
    with FaultProxy(valkey.tcp_url) as proxy:
        async with AsyncCache(valkey.url, namespace=namespace) as writer:
            await writer.set_many(dict.fromkeys(keys, 0), tags=["t"])
        async with AsyncCache(proxy.url, namespace=namespace, policy=Policy(l1_ttl=60)) as cache:
            await cache.get("warm up")
            trips = {
                "l2 hits": await round_trips(proxy, lambda: cache.get_many(keys)),
                "l1 hits": await round_trips(proxy, lambda: cache.get_many(keys)),
                "invalidate": await round_trips(proxy, lambda: cache.invalidate(*keys, tags=["t"])),
                "load many": await round_trips(proxy, lambda: cache.get_or_load_many(keys, loads)),
                "load one": await round_trips(proxy, lambda: cache.get_or_load("one", lambda: 1)),
                "set many": await round_trips(
                    proxy, lambda: cache.set_many(dict.fromkeys(keys, 1))
                ),
                "incr": await round_trips(proxy, lambda: cache.incr("n")),
                "clear": await round_trips(proxy, cache.clear),
            }
    # A tag that was not known beforehand is asked for; a counter asks for its stamps at each step.
    most = {"l2 hits": 2, "l1 hits": 0, "invalidate": 1, "load many": 3, "load one": 3}
    most |= {"set many": 1, "incr": 2, "clear": 1}
    assert trips == {verb: min(count, most[verb]) for verb, count in trips.items()}
    assert loads.asked == [keys]


# -------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("verb", ["delete", "invalidate"])
async def test_keys_are_forgotten_by_name(place: Any, namespace: str, verb: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set_many({"a": 1, "b": 2, ("c", 3): 3, "d": 4})
        await getattr(cache, verb)("a", ("c", 3), "never there")
        assert await cache.get_many(["a", "b", ("c", 3), "d"]) == {"b": 2, "d": 4}
        await getattr(cache, verb)()
        assert await cache.get_many(["b", "d"]) == {"b": 2, "d": 4}


async def test_clear_forgets_one_namespace_and_no_other(place: Any, namespace: str) -> None:
    one = AsyncCache(place, namespace=namespace)
    other = AsyncCache(place, namespace=f"{namespace}-2")
    async with one, other:
        for cache in (one, other):
            await cache.set("k", 1)
            await cache.get_or_load("l", lambda: 2, tags=["t"])
        await one.clear()
        assert await one.get_many(["k", "l"]) == {}
        assert await other.get_many(["k", "l"]) == {"k": 1, "l": 2}


async def test_defect_08_namespaces_share_no_entries_and_no_tags(
    valkey: Any, namespace: str
) -> None:
    one = AsyncCache(valkey.url, namespace=namespace)
    other = AsyncCache(valkey.url, namespace=f"{namespace}-2")
    async with one, other:
        await one.set("user:1", "of one", tags=["users"])
        await other.set("user:1", "of the other", tags=["users"])
        await one.invalidate(tags=["users"])
        assert await one.get("user:1") is MISSING
        assert await other.get("user:1") == "of the other"


async def test_security_08_a_user_key_cannot_reach_a_key_of_ours(
    valkey: Any, raw: Any, namespace: str
) -> None:
    """Security 8."""
    hostile = [f"{{{n}}}" for n in ("a}:lease", "a}:stamp", "t:x")] + [
        "seq",
        "bus:1",
        "tag:{t:x}",
        "n:",
    ]
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.set("k", "v", tags=["x"])
        await cache.set_many(dict.fromkeys(hostile, "evil"))
        assert await cache.get("k", verify=True) == "v"
        await cache.invalidate(*hostile)
        assert await cache.get("k", verify=True) == "v"
        await cache.invalidate(tags=["x"])
        assert await cache.get("k") is MISSING


async def test_a_prefix_takes_what_is_below_it_and_no_neighbour(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace, hierarchy=True) as cache:
        keys = ["user:1", "user:1:cart", "user:1:cart:2", "user:10", "user:10:cart", "user"]
        await cache.set_many(dict.fromkeys(keys, 1))
        await cache.invalidate(prefix="user:1")
        assert list(await cache.get_many(keys)) == ["user:10", "user:10:cart", "user"]
        await cache.invalidate(prefix=("user",))
        assert await cache.get_many(keys) == {}


async def test_a_prefix_needs_a_hierarchy(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="hierarchy=True"):
            await cache.invalidate(prefix="user")


@pytest.mark.parametrize("pattern", ["user:*", "user:?", "user:[12]", "*"])
async def test_security_02_glob_characters_are_letters_like_any_other(
    place: Any, namespace: str, pattern: str
) -> None:
    async with AsyncCache(place, namespace=namespace, hierarchy=True) as cache:
        await cache.set_many({"user:1": 1, pattern: 2})
        await cache.invalidate(pattern)
        await cache.invalidate(prefix=pattern, tags=[pattern])
        assert await cache.get_many(["user:1", pattern]) == {"user:1": 1}


@pytest.mark.parametrize("verb", ["set", "get_or_load", "add", "invalidate"])
async def test_one_string_is_not_a_list_of_tags(place: Any, namespace: str, verb: str) -> None:
    arguments: dict[str, list[Any]] = {"set": ["v"], "add": ["v"], "get_or_load": [lambda: "v"]}
    given = arguments.get(verb, [])
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="tags must be a sequence"):
            await getattr(cache, verb)("k", *given, tags="user")
        with pytest.raises(ConfigurationError, match="tags must be a sequence"):
            cache.writing(tags="user")
