"""Expired entries are freed soon, a few at a time, and timers hold nothing alive."""

from __future__ import annotations

import gc
import random
import weakref

import pytest

from cachewright.core.entry import NEVER, Entry
from cachewright.memory.expiry import TimerWheel
from cachewright.memory.store import MemoryStore


class Value:
    """Something a weak reference can watch."""


def entry(until: float, value: object = None) -> Entry:
    return Entry(value, until)


@pytest.mark.parametrize("ttl", [0.01, 1.0, 59.0, 300.0, 86_400.0, 3e7])
def test_an_entry_is_freed_within_a_128th_of_its_lifetime_and_never_early(ttl: float) -> None:
    start = 1234.5
    store = MemoryStore()
    store.put("k", entry(start + ttl), start)
    assert store.expire(start + ttl * 0.999) == 0
    assert store.expire(start + ttl + max(ttl / 128, 0.125)) == 1
    assert (len(store), store.expired, store.bytes) == (0, 1, 0)


def test_one_call_frees_no_more_than_its_limit() -> None:
    store = MemoryStore()
    for number in range(250):
        store.put(f"k{number}", entry(10.0), 0.0)
    assert [store.expire(20.0, 100) for _ in range(4)] == [100, 100, 50, 0]


def test_finding_the_expired_looks_at_no_other_entry() -> None:
    store = MemoryStore(max_entries=100_000)
    for number in range(5000):
        store.put(f"later{number}", entry(1000.0 + number), 0.0)
    for number in range(3):
        store.put(f"soon{number}", entry(10.0), 0.0)
    looked_at = store._wheel.timers
    assert store.expire(11.0) == 3
    assert looked_at - store._wheel.timers == 3


def test_a_put_frees_a_few_of_the_expired() -> None:
    store = MemoryStore()
    for number in range(50):
        store.put(f"k{number}", entry(10.0), 0.0)
    store.put("new", entry(NEVER), 20.0)
    assert 1 <= store.expired <= 10
    for _ in range(50):
        store.put("new", entry(NEVER), 20.0)
    assert store.keys() == ["new"]


def test_an_entry_that_never_expires_has_no_timer() -> None:
    store = MemoryStore()
    store.put("k", entry(NEVER), 0.0)
    assert store._wheel.timers == 0
    assert store.expire(1e12) == 0


def test_an_entry_extended_in_place_is_freed_at_its_new_end() -> None:
    store = MemoryStore()
    store.put("k", entry(10.0), 0.0)
    store.table["k"].usable_until = 100.0
    assert store.expire(50.0) == 0
    assert store.expire(101.0) == 1


def test_an_entry_replaced_by_a_longer_lived_one_is_freed_at_the_new_end() -> None:
    store = MemoryStore()
    store.put("k", entry(10.0), 0.0)
    store.put("k", entry(100.0), 0.0)
    assert store._wheel.timers == 1
    assert store.expire(50.0) == 0
    assert store.expire(101.0) == 1


@pytest.mark.parametrize("same_object", [True, False])
def test_an_entry_put_again_with_a_nearer_end_is_freed_at_that(same_object: bool) -> None:
    store = MemoryStore()
    one = entry(1000.0)
    store.put("k", one, 0.0)
    one.usable_until = 10.0 if same_object else 1000.0
    store.put("k", one if same_object else entry(10.0), 0.0)
    assert store.expire(11.0) == 1


def test_an_entry_with_two_timers_is_freed_and_counted_once() -> None:
    store = MemoryStore()
    store.put("k", entry(10.0), 0.0)
    store.drop("k")
    store.put("k", entry(10.0), 0.0)
    assert store._wheel.timers == 2
    assert store.expire(11.0) == 1
    assert store.expired == 1


def test_an_entry_born_expired_is_freed_at_once() -> None:
    store = MemoryStore()
    store.put("past", entry(5.0), 10.0)
    store.put("never usable", entry(-NEVER), 10.0)
    assert store.expire(10.25) == 2


def test_a_timer_set_just_after_its_bucket_was_emptied_is_not_lost() -> None:
    store = MemoryStore()
    store.put("first", entry(0.05), 0.06)
    assert store.expire(0.125) == 1
    store.put("second", entry(0.1), 0.15)
    assert store.expire(0.5) == 1


def test_a_short_life_beside_a_long_one_that_ends_as_soon_is_timed_as_finely_as_alone() -> None:
    store = MemoryStore()
    store.put("long", entry(3610.0), 0.0)
    store.put("short", entry(3606.0), 3605.0)
    assert store.expire(3606.2) == 1
    assert store.keys() == ["long"]


def test_a_timer_keeps_neither_value_nor_key_of_what_was_dropped() -> None:
    store = MemoryStore()
    value = Value()
    watch = weakref.ref(value)
    store.put("k", entry(1e6, value), 0.0)
    store.drop("k")
    del value
    gc.collect()
    assert watch() is None
    assert store._wheel.timers == 1


def test_timers_stay_in_proportion_when_entries_are_dropped_and_put_for_ever() -> None:
    store = MemoryStore(max_entries=100)
    for number in range(50_000):
        store.put(f"k{number % 300}", entry(number + 1e6), float(number) / 1e3)
        if number % 3 == 0:
            store.drop(f"k{number % 300}")
    assert store._wheel.timers <= 1200


def test_a_rebuilt_wheel_still_frees_everything() -> None:
    store = MemoryStore(max_entries=50)
    for number in range(5000):
        store.put(f"k{number}", entry(1000.0 + number % 7), 0.0)
    assert store._wheel.timers < 5000
    assert len(store) == 50
    assert store.expire(2000.0, 2000) == 50


def test_the_number_of_buckets_is_bounded_whatever_the_deadlines() -> None:
    table: dict[str, Entry] = {}
    wheel = TimerWheel(table)
    chance = random.Random(1)
    for number in range(20_000):
        table[f"k{number}"] = entry(10.0 ** chance.uniform(-3, 12))
        wheel.add(f"k{number}", table[f"k{number}"].usable_until, 0.0)
    assert wheel.timers == 20_000
    assert len(wheel._buckets) < 4500
