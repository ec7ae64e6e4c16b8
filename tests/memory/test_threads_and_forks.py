"""One store under many threads, and in a child made while another thread was changing it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from cachewright.core.entry import Entry
from cachewright.memory.store import MemoryStore


def entry(value: object, until: float) -> Entry:
    return Entry(value, until)


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


class Interruption(Exception):
    """What a signal handler raises, as those of time limits do."""


@pytest.fixture
def alarm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.signal(signal.SIGALRM, before)


def interrupted(call: Callable[[], object], after: float) -> bool:
    """Whether the signal, sent after so many seconds, is what `call` raised. It must not return before."""
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        call()
    except Interruption:
        return True
    return False


def put_for_ever(store: MemoryStore) -> None:
    for number in count():
        store.put(f"k{number % 5000}", entry(number, 5.0), 0.0, 1 + number % 3)


def is_free(store: MemoryStore) -> bool:
    """Whether another thread gets the lock."""
    thread = threading.Thread(target=store.drop, args=("nothing",), daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


alarms = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")


@alarms
@pytest.mark.usefixtures("alarm")
def test_a_signal_that_ends_the_wait_for_the_lock_is_what_put_raises() -> None:
    store = MemoryStore()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert interrupted(lambda: store.put("k", entry(1, 5.0), 0.0), after=0.05)
    assert not store.table
    release.set()
    thread.join()
    assert is_free(store)
    assert store.put("k", entry(1, 5.0), 0.0)


@alarms
@pytest.mark.usefixtures("alarm")
def test_a_signal_at_any_moment_of_a_put_leaves_the_lock_free() -> None:
    store = MemoryStore()
    for _ in range(2000):
        assert interrupted(lambda: put_for_ever(store), after=1e-4)
        assert not store._lock._is_owned()
    assert is_free(store)


@alarms
@pytest.mark.usefixtures("alarm")
def test_a_store_whose_puts_were_cut_short_is_whole_after_the_next_one() -> None:
    """Without mending, an entry that was between queue and table stays for ever: with ten such, no put would work."""
    store = MemoryStore(max_entries=10)
    for _ in range(1000):
        assert interrupted(lambda: put_for_ever(store), after=1e-4)
        store.put("whole again", entry(0, 5.0), 0.0)
        queued = [one for one in (*store._queues.main, *store._queues.small) if one.weight > 0]
        assert sorted(map(id, queued)) == sorted(map(id, store.table.values()))
        assert sum(one.weight for one in queued) == store.bytes
    assert store.expire(100.0) == 10


def in_child(check: Callable[[], bool]) -> int:
    """The exit status of a forked child: 0 when `check` held, 14 when it hung."""
    child = os.fork()
    if child == 0:
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
