# Generated from _async/test_values.py by tools/unasync.py. Do not edit.
"""Values through a cache, in memory alone and on a server: hits, absences, refusals, damage, disguise."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from cachewright import ABSENT, MISSING, Cache, Policy, Unstorable
from cachewright.testing import FakeClock, RecordingListener

pytestmark = pytest.mark.usefixtures("patient")

FALSY: list[Any] = [None, 0, "", [], {}, False, b"", (), 0.0, set()]


@dataclass
class User:
    id: int
    name: str
    tags: list[str]


class Loads:
    """A source that counts how often it is asked."""

    def __init__(self, value: Any = "loaded") -> None:
        self.value = value
        self.count = 0

    def __call__(self) -> Any:
        self.count += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


# -------------------------------------------------------------------- a hit is a hit


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_defect_01_a_false_value_is_a_hit(place: Any, namespace: str, value: Any) -> None:
    loads = Loads(value)
    with Cache(place, namespace=namespace) as cache:
        assert cache.get_or_load("k", loads) == value
        assert cache.get_or_load("k", loads) == value
        got = cache.get("k", "default")
        assert (type(got), got) == (type(value), value)
        assert cache.contains("k")
        assert cache.get_many(["k"]) == {"k": value}
        assert not cache.add("k", "other")
    with Cache(place, namespace=namespace) as other:
        if place is not None:
            got = other.get_or_load("k", loads)
            assert (type(got), got) == (type(value), value)
    assert loads.count == 1


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_a_false_value_that_was_set_is_a_hit(place: Any, namespace: str, value: Any) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert cache.set("k", value)
        assert cache.get("k", "default") == value


@pytest.mark.parametrize("given", [{}, {"default": None}, {"default": 7}])
def test_what_is_not_cached_is_the_default_which_is_missing(
    place: Any, namespace: str, given: Any
) -> None:
    with Cache(place, namespace=namespace) as cache:
        expected = given.get("default", MISSING)
        assert cache.get("k", **given) is expected
        assert not cache.contains("k")
        assert cache.ttl("k") is None


def test_defect_02_what_the_source_does_not_have_is_remembered(
    place: Any, namespace: str
) -> None:
    loads = Loads(ABSENT)
    with Cache(place, namespace=namespace) as cache:
        assert cache.get_or_load("k", loads) is MISSING
        assert cache.get_or_load("k", loads, default=None) is None
        assert cache.get("k", 7) == 7
        assert cache.get("k") is MISSING
        assert not cache.contains("k")
        assert cache.get_many(["k"]) == {}
        assert loads.count == 1
        assert cache.stats().negative_hits >= 3
        assert cache.add("k", "now there")
        assert cache.get("k") == "now there"


def test_defect_02_an_insert_that_names_the_tag_ends_the_absence(
    place: Any, namespace: str
) -> None:
    loads = Loads(ABSENT)
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load("user:1", loads, tags=["table:users"])
        loads.value = "born"
        assert cache.get_or_load("user:1", loads, tags=["table:users"]) is MISSING
        cache.invalidate(tags=["table:users"])
        assert cache.get_or_load("user:1", loads, tags=["table:users"]) == "born"


def test_an_absence_lives_for_its_own_ttl(place: Any, namespace: str) -> None:
    clock, loads = FakeClock(), Loads(ABSENT)
    policy = Policy(ttl=300, negative_ttl=20)
    with Cache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        cache.get_or_load("k", loads)
        clock.advance(19)
        cache.get_or_load("k", loads)
        assert loads.count == 1
        clock.advance(2)
        cache.get_or_load("k", loads)
        assert loads.count == 2


def test_a_negative_ttl_of_zero_remembers_no_absence(place: Any, namespace: str) -> None:
    loads = Loads(ABSENT)
    with Cache(place, namespace=namespace, policy=Policy(negative_ttl=0)) as cache:
        cache.get_or_load("k", loads)
        cache.get_or_load("k", loads)
    assert loads.count == 2


def test_absent_can_be_set(place: Any, namespace: str) -> None:
    loads = Loads()
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", "value")
        assert cache.set("k", ABSENT)
        assert cache.get_or_load("k", loads, default="none") == "none"
    assert loads.count == 0


# -------------------------------------------------------------------- types


ROW = {
    "id": 4711,
    "price": Decimal("12.50"),
    "at": datetime(2024, 1, 1, 12, tzinfo=UTC),
    "uuid": UUID(int=7),
    "blob": b"\x00\xff",
    "parts": (1, "1", (2,)),
    1: "an int key",
    "set": {1, 2},
}


def test_defect_04_a_row_comes_back_with_its_types_from_both_layers(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", ROW)
        assert cache.get("k") == ROW
    if place is not None:
        with Cache(place, namespace=namespace) as other:
            got = other.get("k")
            assert got == ROW
            assert [type(item) for item in got.values()] == [type(item) for item in ROW.values()]


def test_a_typed_cache_gives_the_same_object_from_both_layers(
    place: Any, namespace: str
) -> None:
    user = User(1, "Ann", ["a"])
    with Cache(place, namespace=namespace, type=User) as cache:
        assert cache.set("k", user)
        assert cache.get("k") == user
        if place is not None:
            with Cache(place, namespace=namespace, type=User) as other:
                got = other.get("k")
                assert type(got) is User
                assert got == user


def test_a_value_of_another_type_is_not_stored_and_takes_the_old_one_with_it(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    with Cache(valkey.url, namespace=namespace, type=User, listeners=[events]) as cache:
        cache.set("k", User(1, "Ann", []))
        assert not cache.set("k", {"id": 1})
        assert cache.get("k") is MISSING
        assert len(events.of("unstorable")) == 1


def test_a_value_without_a_codec_is_returned_and_not_stored(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    loads = Loads(User(1, "Ann", []))
    with Cache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert cache.get_or_load("k", loads) == User(1, "Ann", [])
        assert cache.get_or_load("k", loads) == User(1, "Ann", [])
        assert cache.get("k") is MISSING
    assert loads.count == 2
    assert len(events.of("unstorable")) == 2


def test_security_13_a_value_too_large_is_not_stored_and_the_old_one_is_gone(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    options: dict[str, Any] = {"max_value_bytes": 1000, "listeners": [events]}
    cache = Cache(valkey.url, namespace=namespace, **options)
    other = Cache(valkey.url, namespace=namespace)
    with cache, other:
        cache.set("k", "old")
        assert not cache.set("k", "x" * 1001)
        assert cache.get("k") is MISSING
        assert other.get("k", verify=True) is MISSING
        assert len(events.of("unstorable")) == 1
        assert cache.get_or_load("k", lambda: "y" * 1001) == "y" * 1001
        assert other.get("k", verify=True) is MISSING


# -------------------------------------------------------------------- what no cache can hold


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "make",
    [generator, lambda: iter([1]), lambda: map(str, [1]), lambda: io.BytesIO(b"x"), lambda: os],
)
def test_what_can_be_used_once_only_is_refused_by_every_verb(
    place: Any, namespace: str, make: Any
) -> None:
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(Unstorable):
            cache.set("k", make())
        with pytest.raises(Unstorable):
            cache.set_many({"fine": 1, "k": make()})
        with pytest.raises(Unstorable):
            cache.add("k", make())
        with pytest.raises(Unstorable):
            cache.get_or_load("k", make)
        assert cache.get_many(["k", "fine"]) == {}
        assert cache.get_or_load("k", lambda: "a list instead") == "a list instead"


def test_what_can_be_used_once_only_is_refused_in_a_batch(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(Unstorable):
            cache.get_or_load_many(["a", "b"], lambda keys: {"a": 1, "b": iter([1])})
        assert cache.get_many(["a", "b"]) == {}


# -------------------------------------------------------------------- sharing


def test_security_17_values_are_shared_unless_copies_are_asked_for(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", [1])
        assert cache.get("k") is cache.get("k")


def test_defect_17_with_copy_every_hit_is_a_callers_own(place: Any, namespace: str) -> None:
    mine = {"list": [1]}
    with Cache(place, namespace=namespace, policy=Policy(copy=True)) as cache:
        cache.set("k", mine)
        mine["list"].append(2)
        (cache.get("k"))["list"].append(3)
        (cache.get_or_load("k", Loads()))["list"].append(4)
        (cache.get_many(["k"]))["k"]["list"].append(5)
        (cache.get_or_load_many(["k"], lambda keys: {}))["k"]["list"].append(6)
        assert cache.get("k") == {"list": [1]}


def test_defect_17_with_copy_a_loaded_value_is_a_callers_own(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace, policy=Policy(copy=True)) as cache:
        (cache.get_or_load("k", lambda: {"list": [1]}))["list"].append(2)
        loaded = cache.get_or_load_many(["m"], lambda keys: {"m": [1]})
        loaded["m"].append(2)
        assert cache.get("k") == {"list": [1]}
        assert cache.get("m") == [1]


def test_defect_17_without_copies_a_mutation_does_reach_the_others(
    place: Any, namespace: str
) -> None:
    """The twin of the tests above: the checker sees what copies prevent."""
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", {"list": [1]})
        (cache.get("k"))["list"].append(2)
        assert cache.get("k") == {"list": [1, 2]}


def test_a_call_that_asks_for_a_copy_gets_one_of_a_shared_entry(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", [1])
        (cache.get_or_load("k", Loads(), policy=Policy(copy=True))).append(2)
        assert cache.get("k") == [1]


def test_security_17_debug_reports_a_shared_value_that_was_mutated(
    place: Any, namespace: str, events: RecordingListener
) -> None:
    with Cache(place, namespace=namespace, debug=True, listeners=[events]) as cache:
        cache.set("k", {"list": [1]})
        shared = cache.get("k")
        assert cache.get("k") == {"list": [1]}
        assert events.of("mutated") == []
        shared["list"].append(2)
        got = cache.get("k", "gone")
        assert len(events.of("mutated")) == 1
        assert got == ("gone" if place is None else {"list": [1]})


# -------------------------------------------------------------------- what is stored


def test_a_value_that_the_policy_refuses_is_returned_and_not_stored(
    place: Any, namespace: str
) -> None:
    policy = Policy(store_if=lambda value: value is not None)
    loads = Loads(None)
    with Cache(place, namespace=namespace, policy=policy) as cache:
        assert cache.get_or_load("k", loads) is None
        loads.value = 7
        assert cache.get_or_load("k", loads) == 7
        assert cache.get_or_load("k", loads) == 7
    assert loads.count == 2


def test_the_policy_may_refuse_some_of_a_batch(place: Any, namespace: str) -> None:
    policy = Policy(store_if=lambda value: value > 1)
    with Cache(place, namespace=namespace, policy=policy) as cache:
        loaded = cache.get_or_load_many(["a", "b"], lambda keys: {"a": 1, "b": 2})
        assert loaded == {"a": 1, "b": 2}
        assert cache.get_many(["a", "b"]) == {"b": 2}


def test_an_error_is_remembered_where_the_policy_asks_for_it(
    place: Any, namespace: str
) -> None:
    clock, loads = FakeClock(), Loads(KeyError("gone"))
    policy = Policy(cache_errors=(LookupError,), error_ttl=5)
    with Cache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        for _ in range(3):
            with pytest.raises(KeyError, match="gone"):
                cache.get_or_load("k", loads)
        assert loads.count == 1
        clock.advance(6)
        loads.value = "back"
        assert cache.get_or_load("k", loads) == "back"


def test_a_remembered_error_does_not_grow_with_each_time_it_is_raised(
    place: Any, namespace: str
) -> None:
    policy = Policy(cache_errors=(LookupError,), error_ttl=60)
    depths = []
    with Cache(place, namespace=namespace, policy=policy) as cache:
        for _ in range(5):
            try:
                cache.get_or_load("k", Loads(KeyError("gone")))
            except KeyError as error:
                trace, depth = error.__traceback__, 0
                while trace is not None:
                    trace, depth = trace.tb_next, depth + 1
                depths.append(depth)
    assert len(set(depths[1:])) == 1


def test_other_errors_reach_the_caller_as_they_are_and_nothing_is_stored(
    place: Any, namespace: str, events: RecordingListener
) -> None:
    error = ZeroDivisionError("mine")
    loads = Loads(error)
    with Cache(place, namespace=namespace, listeners=[events]) as cache:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError) as caught:
                cache.get_or_load("k", loads)
            assert caught.value is error
        assert loads.count == 2
        assert cache.stats().load_errors == 2
        assert len(events.of("load_failed")) == 2
        loads.value = "well"
        assert cache.get_or_load("k", loads) == "well"
