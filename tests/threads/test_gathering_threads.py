"""Loads that work in several threads: what is read there is a part, and each test fails for a thread that is not carried."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from cachewright import Cache, ConfigurationError, current_load, gathering
from cachewright.core.loading import Load
from cachewright.gathering import GatheringExecutor, carry
from rig.servers import CHOICE, Pool

NOWHERE = "no server"
PARTS = 40


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def cache(request: pytest.FixtureRequest, server_pool: Pool, namespace: str) -> Iterator[Cache]:
    """Each kind of server, and none."""
    url = None if request.param == NOWHERE else server_pool.get(request.param).url
    with Cache(url, namespace=namespace) as made:
        yield made


class Shop:
    """Parts with a source, and a whole that is their sum."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.rows = dict.fromkeys(range(PARTS), 1)
        self.wholes = 0

    def part(self, n: int) -> int:
        value: int = self.cache.get_or_load(("part", n), lambda: self.rows[n], tags=[("row", n)])
        return value

    def whole(self, add_up: Callable[[], int]) -> int:
        def load() -> int:
            self.wholes += 1
            return add_up()

        value: int = self.cache.get_or_load("whole", load)
        return value

    def seen(self, add_up: Callable[[], int]) -> list[int]:
        """The whole, the whole as a hit, and the whole after one of its parts was written."""
        before = [self.whole(add_up), self.whole(add_up)]
        assert self.wholes == 1, "what nothing has invalidated must be a hit"
        self.rows[PARTS - 1] = 2
        self.cache.invalidate(tags=[("row", PARTS - 1)])
        return [*before, self.whole(add_up)]


RIGHT, STALE = [PARTS, PARTS, PARTS + 1], [PARTS, PARTS, PARTS]


def in_threads(shop: Shop, wrap: Callable[[Any], Any]) -> int:
    found: list[int] = []
    work = wrap(lambda n: found.append(shop.part(n)))
    threads = [threading.Thread(target=work, args=(n,)) for n in range(PARTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(found)


def test_parts_read_in_threads_that_carry_the_load_are_parts(cache: Cache) -> None:
    shop = Shop(cache)
    assert shop.seen(lambda: in_threads(shop, carry)) == RIGHT


def test_threads_that_carry_nothing_leave_the_whole_stale(cache: Cache) -> None:
    """The control, and the reason why `carry` is documented where threads are."""
    shop = Shop(cache)
    assert shop.seen(lambda: in_threads(shop, lambda work: work)) == STALE


def test_parts_read_in_a_gathering_executor_are_parts(cache: Cache) -> None:
    shop = Shop(cache)
    with GatheringExecutor(ThreadPoolExecutor(8)) as pool:
        assert shop.seen(lambda: sum(pool.map(shop.part, range(PARTS)))) == RIGHT


def test_parts_read_in_a_bare_executor_leave_the_whole_stale(cache: Cache) -> None:
    shop = Shop(cache)
    with ThreadPoolExecutor(8) as pool:
        assert shop.seen(lambda: sum(pool.map(shop.part, range(PARTS)))) == STALE


def test_one_pool_serves_many_loads_and_mixes_none_of_them_up(cache: Cache) -> None:
    """Threads of a pool are reused: what they read for one load is no part of the next."""
    shop = Shop(cache)
    with GatheringExecutor(ThreadPoolExecutor(2)) as pool:

        def load_of(ns: list[int]) -> Callable[[], int]:
            return lambda: sum(pool.map(shop.part, ns))

        for turn in range(10):
            cache.get_or_load(("of", turn), load_of([turn]))
    cache.invalidate(tags=[("row", 3)])
    left = [turn for turn in range(10) if ("of", turn) in cache]
    assert left == [turn for turn in range(10) if turn != 3]


def test_tags_named_in_threads_are_named_on_the_load(cache: Cache) -> None:
    def load() -> int:
        with GatheringExecutor(ThreadPoolExecutor(4)) as pool:
            list(pool.map(lambda n: current_load().tag(("seen", n)), range(20)))
        return 1

    cache.get_or_load("whole", load)
    cache.get_or_load("whole", load)  # a tag that nobody has used yet may look newer than the load
    assert "whole" in cache
    cache.invalidate(tags=[("seen", 19)])
    assert "whole" not in cache


def test_a_pool_of_processes_is_refused() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(ConfigurationError, match="current_load"):
        GatheringExecutor(pool)


def test_tasks_and_threads_of_asyncio_hand_up_by_themselves(cache: Cache) -> None:
    shop = Shop(cache)

    def add_up() -> int:
        async def all_parts() -> int:
            loop = asyncio.get_running_loop()
            with GatheringExecutor(ThreadPoolExecutor(2)) as pool:
                rest = [loop.run_in_executor(pool, shop.part, n) for n in range(3, PARTS)]
                first = [asyncio.to_thread(shop.part, n) for n in range(3)]
                return sum(await asyncio.gather(*first, *rest))

        return asyncio.run(all_parts())

    assert shop.seen(add_up) == RIGHT


# -------------------------------------------------------------------- stragglers


class Straggler:
    """A thread that a load starts and does not wait for."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._gate = threading.Event()

        def run() -> None:
            assert self._gate.wait(10)
            work()

        self._thread = threading.Thread(target=carry(run))
        self._thread.start()

    def finish(self) -> None:
        """Let it work, and wait until it has."""
        self._gate.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_what_a_straggler_reads_after_the_load_is_no_part_and_the_whole_is_stored(
    cache: Cache,
) -> None:
    shop = Shop(cache)
    stragglers: list[Straggler] = []

    def load() -> int:
        stragglers.append(Straggler(lambda: shop.part(1)))
        return shop.part(0)

    cache.get_or_load("whole", load)
    stragglers[0].finish()
    assert "whole" in cache
    cache.invalidate(tags=[("row", 1)])
    assert "whole" in cache, "it cannot have been made from what was read later"
    cache.invalidate(tags=[("row", 0)])
    assert "whole" not in cache


def around(shop: Shop, cache: Cache) -> int:
    """A load that waits for a thread which a load inside it has started and left behind."""
    found: list[int] = []
    stragglers: list[Straggler] = []

    def inner() -> str:
        stragglers.append(Straggler(lambda: found.append(shop.part(PARTS - 1))))
        return "inner"

    cache.get_or_load(("inner", shop.wholes), inner)
    stragglers[0].finish()
    return found[0] + PARTS - 1


def test_a_straggler_of_an_inner_load_reads_for_the_load_around_it(cache: Cache) -> None:
    shop = Shop(cache)
    assert shop.seen(lambda: around(shop, cache)) == RIGHT


def test_a_straggler_that_reads_for_nobody_leaves_the_whole_stale(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cachewright._sync import loading, looking, reading
    from cachewright.core import loading as core

    def innermost_alone() -> Load | None:
        load = core._load.get()
        return None if load is None or load.ended else load

    for module in (core, loading, looking, reading):
        if hasattr(module, "enclosing_load"):
            monkeypatch.setattr(module, "enclosing_load", innermost_alone)
    shop = Shop(cache)
    assert shop.seen(lambda: around(shop, cache)) == STALE


def test_eight_threads_that_gather_at_once_lose_nothing() -> None:
    """And an end in the middle of it never meets a set that changes while it is read."""
    for _ in range(20):
        load = Load((), None, None)
        begin = threading.Barrier(9)

        def work(of: int, load: Load = load, begin: threading.Barrier = begin) -> None:
            begin.wait()
            for n in range(300):
                load.gather({f"t:{of}:{n}": b"1"})
                load.tag(f"{of}:{n}")

        threads = [threading.Thread(target=work, args=(of,)) for of in range(8)]
        for thread in threads:
            thread.start()
        begin.wait()
        for thread in threads:
            thread.join()
        assert len(load.gathered) == len(load.late) == 2400
        load.end()
        load.gather({"t:late": b"1"})
        load.gather(None)
        load.tag("late")
        assert len(load.gathered) == len(load.late) == 2400
        assert not load.poisoned


def test_a_mode_is_carried_also_where_its_block_has_ended(cache: Cache) -> None:
    cache.set("k", "cached")
    assert cache.get("k") == "cached"
    with cache.bypassed():
        get = carry(lambda: cache.get("k", default="nothing"))
    assert [cache.get("k"), get()] == ["cached", "nothing"]


def test_a_mode_that_nobody_is_told_of_is_overlooked(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "resumed", nullcontext)
    cache.set("k", "cached")
    assert cache.get("k") == "cached"
    with cache.bypassed():
        get = carry(lambda: cache.get("k", default="nothing"))
    assert get() == "cached"
