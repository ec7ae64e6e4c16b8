"""Random graphs of cached values, read in threads and out of them, under random writes: what is read is what is true.

Each world has rows, queries of them, objects of queries, and pages of both; two processes read and write. Limits on tags
are low, so that rows give way to their table all the time. The controls are the same worlds on an engine that lost a
protection, where something stale is read.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from _sync.steps import until

from cachewright import Cache
from cachewright.core.loading import Load
from cachewright.core.tags import row_tag, rows_tag, table_tag
from cachewright.gathering import GatheringExecutor

ROWS, QUERIES, OBJECTS, PAGES = 12, 6, 6, 4
STEPS = 60


class World:
    """One graph, its truth, and the caches of two processes."""

    def __init__(self, caches: list[Cache], pool: Executor, seed: int) -> None:
        self.random = draw = random.Random(seed)
        self.caches = caches
        self.pool = pool
        self.rows = dict.fromkeys(range(ROWS), 0)
        self.compared = self.stale = self.collapsed = 0
        self._whole_tables = set(draw.sample(range(QUERIES), 2))
        self._made_of = {
            **{("query", n): draw.sample(range(ROWS), draw.randint(1, 5)) for n in range(QUERIES)},
            **{("object", n): self._some("query", QUERIES) for n in range(OBJECTS)},
            **{
                ("page", n): self._some("object", OBJECTS) + self._some("query", QUERIES)
                for n in range(PAGES)
            },
        }

    def _some(self, kind: str, number: int) -> list[tuple[str, int]]:
        draw = self.random
        return [(kind, n) for n in draw.sample(range(number), draw.randint(1, 3))]

    def truth(self, key: tuple[str, int]) -> int:
        if key[0] == "query":
            return sum(self.rows[n] for n in self._made_of[key])
        return sum(map(self.truth, self._made_of[key]))

    def read(self, cache: Cache, key: tuple[str, int]) -> int:
        if key[0] == "query":
            rows = [row_tag("t", n) for n in self._made_of[key]]
            tags = [table_tag("t")] if key[1] in self._whole_tables else [*rows, rows_tag("t")]
            value: int = cache.get_or_load(key, lambda: self.truth(key), tags=tags)
            return value
        parts = self._made_of[key]

        def load() -> int:
            if key[0] == "page":
                return sum(self.pool.map(lambda part: self.read(cache, part), parts))
            return sum(self.read(cache, part) for part in parts)

        value = cache.get_or_load(key, load)
        entry = cache.engine.memory.table.get(f"{key[0]}:{key[1]}")
        tags = {} if entry is None else entry.stamps
        rows = any(tag.startswith("t:row:") for tag in tags)
        self.collapsed += "t:rows:t" in tags and not rows
        return value

    def write(self, n: int) -> None:
        """Committed and told, and heard of everywhere."""
        mine, *others = self.random.sample(self.caches, len(self.caches))
        before = [cache.engine.tags.epoch for cache in others]
        with mine.writing(tags=[row_tag("t", n), table_tag("t")]):
            self.rows[n] += 1
        for cache, epoch in zip(others, before, strict=True):
            until(lambda cache=cache, epoch=epoch: cache.engine.tags.epoch >= epoch + 2)

    def _settle(self) -> None:
        """All that was told is heard of: what is told last comes last. It concerns nothing of the graph."""
        for cache in self.caches:
            known = cache.engine.tags.known
            for other in self.caches:
                while other is not cache and "t:nothing" not in known:
                    cache.set("marker", 1, tags=["nothing"])
                other.invalidate(tags=["nothing"])
                until(lambda known=known: "t:nothing" not in known)

    def run(self) -> None:
        for _ in range(STEPS):
            if self.random.random() < 0.3:
                self.write(self.random.randrange(ROWS))
            key = self.random.choice(list(self._made_of))
            self.compared += 1
            self.stale += self.read(self.random.choice(self.caches), key) != self.truth(key)

    def storm(self, seconds: float) -> None:
        """Reads and writes at once from many threads; then, at rest, every key in every process is compared."""
        end = time.monotonic() + seconds
        keys = list(self._made_of)

        def reads(seed: int) -> None:
            draw = random.Random(seed)
            while time.monotonic() < end:
                self.read(draw.choice(self.caches), draw.choice(keys))

        def writes(seed: int) -> None:
            draw = random.Random(seed)
            while time.monotonic() < end:
                n = draw.randrange(seed, ROWS, 2)  # no two writers change one row
                with draw.choice(self.caches).writing(tags=[row_tag("t", n), table_tag("t")]):
                    self.rows[n] += 1
                time.sleep(draw.random() * 0.01)

        threads = [threading.Thread(target=reads, args=(seed,)) for seed in range(4)]
        threads += [threading.Thread(target=writes, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._settle()
        for cache in self.caches:
            for key in keys:
                self.compared += 1
                self.stale += self.read(cache, key) != self.truth(key)


@contextmanager
def world(url: str | None, namespace: str, seed: int, *, bare: bool = False) -> Iterator[World]:
    with ExitStack() as stack:
        number = 1 if url is None else 2
        caches = [
            stack.enter_context(Cache(url, namespace=f"{namespace}-{seed}", max_tags=12))
            for _ in range(number)
        ]
        for cache in caches:
            cache.engine.open()
        pool: Executor = stack.enter_context(ThreadPoolExecutor(4))
        yield World(caches, pool if bare else GatheringExecutor(pool), seed)


def stale(
    url: str | None, namespace: str, seeds: range, *, bare: bool = False, storm: float | None = None
) -> tuple[int, int, int]:
    """(stale, compared, collapsed) in as many worlds as there are seeds."""
    found = compared = collapsed = 0
    for seed in seeds:
        with world(url, namespace, seed, bare=bare) as made:
            made.run() if storm is None else made.storm(storm)
            found += made.stale
            compared += made.compared
            collapsed += made.collapsed
    return found, compared, collapsed


@pytest.fixture(params=["memory", "valkey"])
def url(request: pytest.FixtureRequest, server_pool: object) -> str | None:
    return None if request.param == "memory" else server_pool.get("valkey").url  # type: ignore[attr-defined]


def test_nothing_stale_is_read_whatever_the_graph(url: str | None, namespace: str) -> None:
    found, compared, collapsed = stale(url, namespace, range(15))
    assert (found, compared) == (0, 15 * STEPS)
    assert collapsed > 0


def _hands_up_no_rows(patch: pytest.MonkeyPatch) -> None:
    gather = Load.gather

    def some(self: Load, stamps: dict[str, bytes] | None) -> None:
        kept = {tag: it for tag, it in (stamps or {}).items() if not tag.startswith("t:row:")}
        gather(self, kept)

    patch.setattr(Load, "gather", some)


CONTROLS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "no tags of rows are handed up": _hands_up_no_rows,
    "nothing is handed up": lambda patch: patch.setattr(Load, "gather", lambda self, stamps: None),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_an_engine_that_hands_up_less_reads_something_stale(
    url: str | None, namespace: str, control: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CONTROLS[control](monkeypatch)
    assert stale(url, namespace, range(5))[0] > 0


def test_a_pool_that_carries_nothing_reads_something_stale(url: str | None, namespace: str) -> None:
    assert stale(url, namespace, range(5), bare=True)[0] > 0


def test_after_a_storm_of_reads_and_writes_nothing_stale_is_left(
    url: str | None, namespace: str
) -> None:
    found, compared, _ = stale(url, namespace, range(3), storm=0.5)
    assert found == 0
    assert compared == 3 * (QUERIES + OBJECTS + PAGES) * (1 if url is None else 2)


def test_after_a_storm_an_engine_that_hands_nothing_up_has_something_stale_left(
    url: str | None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CONTROLS["nothing is handed up"](monkeypatch)
    assert stale(url, namespace, range(3), storm=0.5)[0] > 0
