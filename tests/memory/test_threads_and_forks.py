"""One store under many threads, and in a child made while another thread was changing it."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from cachewright.core.entry import Entry
from cachewright.memory.store import MemoryStore


def entry(value: object, until: float) -> Entry:
    return Entry(value, hot_until=until, fresh_until=until, usable_until=until)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def hammer(store: MemoryStore, seed: int, wrong: list[str]) -> None:
    chance = random.Random(seed)
    for step in range(15_000):
        key = f"k{chance.randrange(400)}"
        found = store.table.get(key)
        if found is not None:
            if found.freq < 3:
                found.freq += 1
            if found.value != key:
                wrong.append(f"{key} holds {found.value}")
        action = chance.random()
        if found is None or action < 0.2:
            until = 5.0 if action < 0.02 else 1e9
            store.put(key, entry(key, step + until), step, chance.randrange(9))
        elif action < 0.22:
            store.drop(key)
        elif action < 0.24:
            store.drop_if(key, found)
        elif action < 0.26:
            store.expire(step, 10)
        if len(store) > 100 or store.bytes > 500:
            wrong.append(f"{len(store)} entries, {store.bytes} bytes")


@pytest.mark.usefixtures("eager_switching")
def test_four_threads_corrupt_nothing_and_exceed_no_bound() -> None:
    store = MemoryStore(max_entries=100, max_bytes=500)
    wrong: list[str] = []
    threads = [threading.Thread(target=hammer, args=(store, seed, wrong)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.evictions > 1000
    queues = store._queues
    live = [one for one in [*queues.small, *queues.main] if one.weight > 0]
    assert sorted(map(id, live)) == sorted(map(id, store.table.values()))
    assert sum(one.weight for one in live) == store.bytes


def in_child(check: Callable[[], bool]) -> int:
    """The exit status of a forked child: 0 when `check` held, 14 when it hung."""
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(10)
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


@forks
def test_a_child_forked_while_another_thread_held_the_lock_starts_empty_and_works() -> None:
    store = MemoryStore()
    store.put("k", entry(1, 5.0), 0.0)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def works() -> bool:
        empty = (len(store), store.bytes, store.expire(100.0)) == (0, 0, 0)
        return empty and store.put("new", entry(2, 5.0), 0.0) and store.expire(100.0) == 1

    status = in_child(works)
    release.set()
    thread.join()
    assert status == 0
    assert store.keys() == ["k"]


@forks
def test_a_child_of_a_quiet_parent_keeps_the_entries() -> None:
    store = MemoryStore()
    store.put("k", entry(1, 5.0), 0.0)
    assert in_child(lambda: store.drop("k") is not None) == 0
    assert store.keys() == ["k"]


@forks
def test_a_store_is_not_kept_alive_for_the_sake_of_forks() -> None:
    import gc
    import weakref

    watch = weakref.ref(MemoryStore())
    gc.collect()
    assert watch() is None
