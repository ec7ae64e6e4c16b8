"""What the in-process store promises: bounds, exact removal, and an honest table."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachewright.core.entry import NEVER, Entry
from cachewright.errors import ConfigurationError
from cachewright.memory.store import MemoryStore


def entry(value: Any = None, until: float = NEVER) -> Entry:
    return Entry(value, until)


def check_invariants(store: MemoryStore) -> None:
    """Every live entry is queued once, the sums are right, and the bounds hold."""
    queues = store._queues
    queued = [*queues.small, *queues.main]
    live = [one for one in queued if one.weight > 0]
    assert sorted(map(id, live)) == sorted(map(id, store.table.values()))
    assert all(store.table[one.key] is one for one in live)
    assert len(queued) - len(live) == queues.dead <= max(len(live), 0)
    assert sum(-one.weight for one in queued if one.weight < 0) == queues.dead_weight
    assert sum(abs(one.weight) for one in queues.small) == queues.small_weight
    assert sum(one.weight for one in live) == store.bytes
    assert len(store) <= store.max_entries
    assert store.max_bytes is None or store.bytes <= store.max_bytes
    assert all(0 <= one.freq <= 3 for one in live)


@pytest.mark.parametrize("option", ["max_entries", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "10", True])
def test_a_bound_that_holds_nothing_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*give a whole number"):
        MemoryStore(**{option: value})


def test_defect_53_the_number_of_entries_never_exceeds_its_bound() -> None:
    """Defect 53: manual LRU and LFU never evicted by capacity."""
    store = MemoryStore(max_entries=10)
    for number in range(1000):
        assert store.put(f"k{number}", entry(number), 0.0)
        assert len(store) <= 10
    assert len(store) == 10
    assert store.evictions == 990
    check_invariants(store)


def test_defect_53_no_queue_keeps_the_keys_of_what_was_removed() -> None:
    """Defect 53: the index kept dead keys."""
    store = MemoryStore(max_entries=1000)
    for number in range(100_000):
        store.put(f"k{number}", entry(), 0.0)
        store.drop(f"k{number}")
    assert len(store._queues.main) + len(store._queues.small) <= 1


def test_defect_53_a_rewritten_entry_keeps_its_hits() -> None:
    """Defect 53: a set reset the counter, so that the busiest keys were evicted first."""
    store = MemoryStore(max_entries=10)
    store.put("k", entry(1), 0.0)
    store.table["k"].freq = 3
    store.put("k", entry(2), 0.0)
    assert store.table["k"].value == 2
    assert store.table["k"].freq == 3


def test_the_weight_never_exceeds_its_bound() -> None:
    store = MemoryStore(max_entries=1000, max_bytes=100)
    for number in range(500):
        assert store.put(f"k{number}", entry(), 0.0, 1 + number * 7 % 60)
        assert store.bytes <= 100
        check_invariants(store)


def test_both_bounds_hold_at_once() -> None:
    store = MemoryStore(max_entries=5, max_bytes=100)
    for number in range(50):
        store.put(f"light{number}", entry(), 0.0, 1)
    assert len(store) == 5
    for number in range(50):
        store.put(f"heavy{number}", entry(), 0.0, 40)
    assert store.bytes <= 100
    assert len(store) <= 5


def test_a_value_heavier_than_the_store_is_refused_and_what_it_replaces_is_gone() -> None:
    store = MemoryStore(max_bytes=100)
    assert store.put("k", entry("old"), 0.0, 100)
    assert not store.put("k", entry("new"), 0.0, 101)
    assert store.table.get("k") is None
    assert store.bytes == 0
    check_invariants(store)


def test_a_weight_below_one_counts_as_one() -> None:
    store = MemoryStore(max_bytes=10)
    store.put("k", entry(), 0.0, 0)
    assert store.bytes == 1


def test_replacing_counts_the_new_weight_only() -> None:
    store = MemoryStore(max_bytes=100)
    store.put("k", entry(1), 0.0, 30)
    store.put("k", entry(2), 0.0, 50)
    assert (len(store), store.bytes, store.table["k"].value) == (1, 50, 2)
    assert store.evictions == 0


def test_the_same_object_may_be_put_again_with_another_weight() -> None:
    store = MemoryStore(max_bytes=100)
    one = entry()
    for weight in (10, 10, 20, 5):
        store.put("k", one, 0.0, weight)
        assert store.bytes == weight
        check_invariants(store)


def test_a_dropped_object_may_be_put_again() -> None:
    store = MemoryStore()
    one, other = entry(), entry()
    for key, item in (("a", one), ("b", other), ("c", entry())):
        store.put(key, item, 0.0)
    assert store.drop("a") is one
    store.put("a", one, 0.0)
    assert store.table["a"] is one
    store.drop("b")
    store.put("c", other, 0.0)
    assert store.table["c"] is other
    check_invariants(store)


def test_drop_returns_what_it_removed() -> None:
    store = MemoryStore()
    one = entry()
    store.put("k", one, 0.0, 7)
    assert store.drop("k") is one
    assert store.drop("k") is None
    assert (len(store), store.bytes) == (0, 0)


def test_drop_if_spares_a_newer_entry() -> None:
    store = MemoryStore()
    old, new = entry(), entry()
    store.put("k", old, 0.0)
    store.put("k", new, 0.0)
    assert not store.drop_if("k", old)
    assert store.table["k"] is new
    assert store.drop_if("k", new)
    assert not store.drop_if("k", new)


def test_clear_leaves_nothing_and_the_table_stays_the_same_dict() -> None:
    store = MemoryStore(max_entries=10)
    table = store.table
    for number in range(20):
        store.put(f"k{number}", entry(until=5.0), 0.0)
    store.clear()
    assert (len(store), store.bytes, store.keys()) == (0, 0, [])
    assert store.expire(100.0) == 0
    check_invariants(store)
    store.put("k", entry(), 0.0)
    assert store.table is table
    assert store.keys() == ["k"]


def test_the_dead_are_compacted_before_they_outnumber_the_living() -> None:
    store = MemoryStore(max_entries=1000)
    for number in range(1000):
        store.put(f"k{number}", entry(), 0.0)
    for number in range(900):
        store.drop(f"k{number}")
        check_invariants(store)
    assert len(store._queues.main) + len(store._queues.small) <= 200


def test_the_dead_are_compacted_before_they_outweigh_the_living() -> None:
    store = MemoryStore(max_bytes=1000)
    for number in range(50):
        store.put(f"light{number}", entry(), 0.0, 1)
    for _ in range(20):
        store.put("heavy", entry(), 0.0, 900)
        assert store._queues.dead_weight <= store.bytes


class Clinging:
    """A value whose finaliser uses the store and waits for a thread that does the same."""

    def __init__(self, store: MemoryStore, log: list[bool]) -> None:
        self.store = store
        self.log = log

    def __del__(self) -> None:
        self.store.drop("nothing")
        other = threading.Thread(target=self.store.drop, args=("nothing",))
        other.start()
        other.join(5)
        self.log.append(not other.is_alive())


@pytest.mark.parametrize("how", ["evict", "replace", "expire", "clear", "compact"])
def test_a_finaliser_never_runs_under_the_lock(how: str) -> None:
    store = MemoryStore(max_entries=2)
    log: list[bool] = []
    store.put("a", entry(Clinging(store, log), until=5.0), 0.0)
    store.put("b", entry(), 0.0)
    if how == "evict":
        store.put("c", entry(), 0.0)
        store.put("d", entry(), 0.0)
        store.put("e", entry(), 0.0)
    elif how == "expire":
        store.expire(100.0)
    elif how == "clear":
        store.clear()
    elif how == "replace":
        store.put("a", entry(), 0.0)
    store.drop("a")
    store.drop("b")
    assert log == [True]


def test_the_thread_that_holds_the_lock_may_come_back() -> None:
    """As a signal handler does that interrupts a put."""
    store = MemoryStore()

    def interrupted() -> None:
        with store._lock:
            store.put("k", entry(), 0.0)

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert store.drop("k") is not None


keys = st.sampled_from([f"k{number}" for number in range(12)])
operations = st.one_of(
    st.tuples(
        st.just("put"),
        keys,
        st.sampled_from([1.0, 3.0, 40.0, 1e6, NEVER, -NEVER]),
        st.integers(0, 25),
    ),
    st.tuples(st.just("put_again"), keys, st.just(0.0), st.integers(0, 25)),
    st.tuples(st.just("drop"), keys, st.just(0.0), st.just(0)),
    st.tuples(st.just("drop_if"), keys, st.just(0.0), st.integers(0, 1)),
    st.tuples(st.just("hit"), keys, st.just(0.0), st.just(0)),
    st.tuples(st.just("extend"), keys, st.sampled_from([1.0, 100.0]), st.just(0)),
    st.tuples(st.just("expire"), st.just(""), st.sampled_from([0.1, 2.0, 50.0]), st.integers(0, 5)),
    st.tuples(st.just("clear"), st.just(""), st.just(0.0), st.just(0)),
)


class Model:
    """What was put last under each key; the store may hold less of it, never anything else."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.last: dict[str, Entry] = {}
        self.now = 0.0

    def apply(self, operation: str, key: str, seconds: float, number: int) -> None:
        table, held = self.store.table, self.store.table.get(key)
        if operation == "put":
            self.put(key, entry(until=self.now + seconds), number)
        elif operation == "put_again" and key in self.last:
            self.put(key, self.last[key], number)
        elif operation == "drop":
            assert self.store.drop(key) is held
            assert key not in table
        elif operation == "drop_if":
            item = held if held is not None and number else entry()
            assert self.store.drop_if(key, item) is (item is held)
        elif operation == "hit" and held is not None and held.freq < 3:
            held.freq += 1
        elif operation == "extend" and held is not None:
            held.usable_until += seconds
        elif operation == "expire":
            self.now += seconds
            before = len(table)
            freed = self.store.expire(self.now, number)
            assert freed == before - len(table) <= number
        elif operation == "clear":
            self.store.clear()
            assert not table

    def put(self, key: str, item: Entry, weight: int) -> None:
        fits = self.store.max_bytes is None or weight <= self.store.max_bytes
        assert self.store.put(key, item, self.now, weight) is fits
        self.last[key] = item
        assert self.store.table.get(key) is (item if fits else None)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(operations, max_size=80),
    st.integers(1, 8),
    st.sampled_from([None, 1, 20, 60]),
)
def test_any_sequence_of_operations_keeps_the_invariants(
    steps: list[tuple[str, str, float, int]], max_entries: int, max_bytes: int | None
) -> None:
    store = MemoryStore(max_entries=max_entries, max_bytes=max_bytes)
    model = Model(store)
    for step in steps:
        model.apply(*step)
        check_invariants(store)
        assert all(model.last[key] is item for key, item in store.table.items())
    model.now = 1e9
    while store.expire(model.now):
        pass
    assert all(item.usable_until > model.now for item in store.table.values())
