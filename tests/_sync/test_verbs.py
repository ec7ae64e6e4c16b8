# Generated from _async/test_verbs.py by tools/unasync.py. Do not edit.
"""Batches, adding, counting, forgetting, prefixes, scopes and contexts: what each verb promises, in both layers."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import (
    ABSENT,
    MISSING,
    Cache,
    ConfigurationError,
    Policy,
)
from cachewright._waits import threads
from rig.proxy import FaultProxy

pytestmark = pytest.mark.usefixtures("patient")


class LoadsMany:
    """A batch loader over a dict that remembers what it was asked for."""

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values = values
        self.asked: list[list[Any]] = []

    def __call__(self, keys: list[Any]) -> dict[Any, Any]:
        self.asked.append(list(keys))
        return {key: self.values[key] for key in keys if key in self.values}


# -------------------------------------------------------------------- many keys


def test_get_many_returns_what_is_there_by_the_keys_as_given(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set_many({"a": 1, ("b", 2): None, "c": ABSENT})
        assert cache.get_many(["zz", ("b", 2), "a", "a", "c"]) == {("b", 2): None, "a": 1}
        assert cache.get_many([]) == {}
        assert cache.get_many(key for key in ["a"]) == {"a": 1}


def test_two_spellings_of_one_key_in_a_batch_are_both_answered(
    place: Any, namespace: str
) -> None:
    loads = LoadsMany({"user:7": "Ann", ("user", 7): "Ann"})
    with Cache(place, namespace=namespace) as cache:
        loaded = cache.get_or_load_many(["user:7", ("user", 7)], loads)
        assert loaded == {"user:7": "Ann", ("user", 7): "Ann"}
        assert cache.get_many(["user:7", ("user", 7)]) == loaded
    assert len(loads.asked[0]) == 1


def test_set_many_says_for_each_key_whether_it_was_stored(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert cache.set_many({"a": 1, "b": 2}, ttl=60, tags=["t"]) == {"a": True, "b": True}
        assert cache.set_many({}) == {}
        cache.invalidate(tags=["t"])
        assert cache.get_many(["a", "b"]) == {}


def test_set_many_stores_the_others_where_one_cannot_be(valkey: Any, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        assert cache.set_many({"a": 1, "b": object()}) == {"a": True, "b": False}
        assert cache.get_many(["a", "b"]) == {"a": 1}


def test_defect_41_a_batch_loads_the_missing_once_in_order_and_remembers_the_absent(
    place: Any, namespace: str
) -> None:
    loads = LoadsMany({"a": 1, "b": None, "d": 4})
    with Cache(place, namespace=namespace) as cache:
        cache.set("d", "cached")
        loaded = cache.get_or_load_many(["c", "d", "a", "a", "b", "c"], loads, default="none")
        assert loaded == {"c": "none", "d": "cached", "a": 1, "b": None}
        assert list(loaded) == ["c", "d", "a", "b"]
        assert loads.asked == [["c", "a", "b"]]
        again = cache.get_or_load_many(["a", "b", "c"], loads)
        assert again == {"a": 1, "b": None, "c": MISSING}
        assert len(loads.asked) == 1
        assert cache.stats().negative_hits >= 1


def test_a_batch_loader_gets_the_keys_as_they_were_given(place: Any, namespace: str) -> None:
    loads = LoadsMany({("user", "1"): "text", ("user", 1): "number"})
    with Cache(place, namespace=namespace) as cache:
        keys = [("user", "1"), ("user", 1)]
        assert cache.get_or_load_many(keys, loads) == loads.values
        assert loads.asked == [keys]
        assert cache.get(("user", 1)) == "number"


def test_a_batch_loader_that_returns_more_than_it_was_asked_for(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        loaded = cache.get_or_load_many(["a"], lambda keys: {"a": 1, "extra": 2})
        assert loaded == {"a": 1}
        assert cache.get("extra") is MISSING


def test_a_batch_loader_may_say_absent_itself(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        loaded = cache.get_or_load_many(["a"], lambda keys: {"a": ABSENT}, default=0)
        assert loaded == {"a": 0}


def test_defect_41_what_a_batch_loader_raises_reaches_the_caller_and_nothing_is_stored(
    place: Any, namespace: str
) -> None:
    error = OSError("the database is away")

    def fail(keys: list[Any]) -> Any:
        raise error

    with Cache(place, namespace=namespace) as cache:
        cache.set("d", "cached")
        with pytest.raises(OSError, match="away") as caught:
            cache.get_or_load_many(["a", "d"], fail)
        assert caught.value is error
        assert cache.get_many(["a", "d"]) == {"d": "cached"}
        assert cache.get_or_load_many(["a"], LoadsMany({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("nonsense", [None, [1, 2], 7, "ab"])
def test_a_batch_loader_that_returns_no_mapping_is_told_so(
    place: Any, namespace: str, nonsense: Any
) -> None:
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="mapping"):
            cache.get_or_load_many(["a"], lambda keys: nonsense)
        assert cache.get("a") is MISSING


def test_an_empty_batch_asks_nobody(place: Any, namespace: str) -> None:
    loads = LoadsMany({})
    with Cache(place, namespace=namespace) as cache:
        assert cache.get_or_load_many([], loads) == {}
    assert loads.asked == []


def test_the_tags_of_a_batch_may_follow_from_the_key(place: Any, namespace: str) -> None:
    loads = LoadsMany({"a": 1, "b": 2})
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load_many(["a", "b"], loads, tags=lambda key: [f"row:{key}"])
        cache.invalidate(tags=["row:a"])
        assert cache.get_many(["a", "b"]) == {"b": 2}


def test_a_batch_and_a_single_read_share_one_load(place: Any, namespace: str) -> None:
    began, go, single = threads.Event(), threads.Event(), []

    def load_many(keys: list[Any]) -> dict[Any, Any]:
        began.set()
        assert go.wait(10)
        return dict.fromkeys(keys, "batch")

    def read() -> None:
        single.append(cache.get_or_load("a", lambda: "single"))

    background = threads.Background("reads")
    with Cache(place, namespace=namespace) as cache:
        background.start(cache.get_or_load_many, ["a", "b"], load_many)
        assert began.wait(10)
        background.start(read)
        go.set()
        background.close(10)
        assert single == ["batch"]


def round_trips(proxy: FaultProxy, work: Any) -> int:
    proxy.reset_counters()
    work()
    return proxy.round_trips


@pytest.fixture
def quiet_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeats among the round trips that are counted."""
    monkeypatch.setattr("cachewright._sync.bus.HEARTBEAT", 60.0)


@pytest.mark.usefixtures("quiet_bus")
def test_how_many_round_trips_each_verb_takes(valkey: Any, namespace: str) -> None:
    """Design section 6: a hit one, a miss one more for the lease and one for the fill, a batch as a single key."""
    keys = [f"k{n}" for n in range(50)]
    loads = LoadsMany(dict.fromkeys(keys, 1))
    with FaultProxy(valkey.tcp_url) as proxy:
        with Cache(valkey.url, namespace=namespace) as writer:
            writer.set_many(dict.fromkeys(keys, 0), tags=["t"])
        with Cache(proxy.url, namespace=namespace, policy=Policy(l1_ttl=60)) as cache:
            cache.get("warm up")
            trips = {
                "l2 hits": round_trips(proxy, lambda: cache.get_many(keys)),
                "l1 hits": round_trips(proxy, lambda: cache.get_many(keys)),
                "invalidate": round_trips(proxy, lambda: cache.invalidate(*keys, tags=["t"])),
                "load many": round_trips(proxy, lambda: cache.get_or_load_many(keys, loads)),
                "load one": round_trips(proxy, lambda: cache.get_or_load("one", lambda: 1)),
                "set many": round_trips(
                    proxy, lambda: cache.set_many(dict.fromkeys(keys, 1))
                ),
                "incr": round_trips(proxy, lambda: cache.incr("n")),
                "clear": round_trips(proxy, cache.clear),
            }
    # A tag that was not known beforehand is asked for; a counter asks for its stamps at each step.
    most = {"l2 hits": 2, "l1 hits": 0, "invalidate": 1, "load many": 3, "load one": 3}
    most |= {"set many": 1, "incr": 2, "clear": 1}
    assert trips == {verb: min(count, most[verb]) for verb, count in trips.items()}
    assert loads.asked == [keys]


# -------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("verb", ["delete", "invalidate"])
def test_keys_are_forgotten_by_name(place: Any, namespace: str, verb: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set_many({"a": 1, "b": 2, ("c", 3): 3, "d": 4})
        getattr(cache, verb)("a", ("c", 3), "never there")
        assert cache.get_many(["a", "b", ("c", 3), "d"]) == {"b": 2, "d": 4}
        getattr(cache, verb)()
        assert cache.get_many(["b", "d"]) == {"b": 2, "d": 4}


def test_clear_forgets_one_namespace_and_no_other(place: Any, namespace: str) -> None:
    one = Cache(place, namespace=namespace)
    other = Cache(place, namespace=f"{namespace}-2")
    with one, other:
        for cache in (one, other):
            cache.set("k", 1)
            cache.get_or_load("l", lambda: 2, tags=["t"])
        one.clear()
        assert one.get_many(["k", "l"]) == {}
        assert other.get_many(["k", "l"]) == {"k": 1, "l": 2}


def test_defect_08_namespaces_share_no_entries_and_no_tags(
    valkey: Any, namespace: str
) -> None:
    one = Cache(valkey.url, namespace=namespace)
    other = Cache(valkey.url, namespace=f"{namespace}-2")
    with one, other:
        one.set("user:1", "of one", tags=["users"])
        other.set("user:1", "of the other", tags=["users"])
        one.invalidate(tags=["users"])
        assert one.get("user:1") is MISSING
        assert other.get("user:1") == "of the other"


def test_security_08_a_user_key_cannot_reach_a_key_of_ours(
    valkey: Any, raw: Any, namespace: str
) -> None:
    """Security 8."""
    hostile = [f"{{{n}}}" for n in ("a}:lease", "a}:stamp", "t:x")] + [
        "seq",
        "bus:1",
        "tag:{t:x}",
        "n:",
    ]
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.set("k", "v", tags=["x"])
        cache.set_many(dict.fromkeys(hostile, "evil"))
        assert cache.get("k", verify=True) == "v"
        cache.invalidate(*hostile)
        assert cache.get("k", verify=True) == "v"
        cache.invalidate(tags=["x"])
        assert cache.get("k") is MISSING


def test_a_prefix_takes_what_is_below_it_and_no_neighbour(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, hierarchy=True) as cache:
        keys = ["user:1", "user:1:cart", "user:1:cart:2", "user:10", "user:10:cart", "user"]
        cache.set_many(dict.fromkeys(keys, 1))
        cache.invalidate(prefix="user:1")
        assert list(cache.get_many(keys)) == ["user:10", "user:10:cart", "user"]
        cache.invalidate(prefix=("user",))
        assert cache.get_many(keys) == {}


def test_a_prefix_needs_a_hierarchy(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="hierarchy=True"):
            cache.invalidate(prefix="user")


@pytest.mark.parametrize("pattern", ["user:*", "user:?", "user:[12]", "*"])
def test_security_02_glob_characters_are_letters_like_any_other(
    place: Any, namespace: str, pattern: str
) -> None:
    with Cache(place, namespace=namespace, hierarchy=True) as cache:
        cache.set_many({"user:1": 1, pattern: 2})
        cache.invalidate(pattern)
        cache.invalidate(prefix=pattern, tags=[pattern])
        assert cache.get_many(["user:1", pattern]) == {"user:1": 1}


@pytest.mark.parametrize("verb", ["set", "get_or_load", "add", "invalidate"])
def test_one_string_is_not_a_list_of_tags(place: Any, namespace: str, verb: str) -> None:
    arguments: dict[str, list[Any]] = {"set": ["v"], "add": ["v"], "get_or_load": [lambda: "v"]}
    given = arguments.get(verb, [])
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="tags must be a sequence"):
            getattr(cache, verb)("k", *given, tags="user")
        with pytest.raises(ConfigurationError, match="tags must be a sequence"):
            cache.writing(tags="user")
