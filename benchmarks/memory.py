"""What an entry in the process costs beyond its key and value: the growth of a process's resident memory.

    python -m benchmarks.memory cachewright 100000

fills a cache of that many entries with twice as many keys, so that whatever it remembers of evicted keys is there as
well, and prints bytes an entry. Keys and the one value exist beforehand. Each run is a process of its own.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import SMALL, TTL, keys

Fill = Callable[[int, list[str]], Any]
"""Fills a cache of so many entries with keys and returns whatever must stay alive."""


def _cachewright(size: int, names: list[str]) -> Any:
    from cachewright import Cache, Policy

    cache = Cache(max_entries=size, policy=Policy(ttl=TTL))
    for name in names:
        cache.set(name, SMALL)
    return cache


def _dict(size: int, names: list[str]) -> Any:
    return dict.fromkeys(names[:size], SMALL)


def _lru_cache(size: int, names: list[str]) -> Any:
    from functools import lru_cache

    load = lru_cache(maxsize=size)(lambda key: SMALL)
    for name in names:
        load(name)
    return load


def _cachebox(size: int, names: list[str]) -> Any:
    import cachebox

    cache: Any = cachebox.TTLCache(size, global_ttl=TTL)
    for name in names:
        cache.insert(name, SMALL)
    return cache


def _moka(size: int, names: list[str]) -> Any:
    from moka_py import Moka

    cache: Any = Moka(size, ttl=TTL)
    for name in names:
        cache.set(name, SMALL)
    return cache


def _cachetools_ttl(size: int, names: list[str]) -> Any:
    from cachetools import TTLCache

    cache: Any = TTLCache(size, TTL)
    for name in names:
        cache[name] = SMALL
    return cache


def _cachetools_lru(size: int, names: list[str]) -> Any:
    from cachetools import LRUCache

    cache: Any = LRUCache(size)
    for name in names:
        cache[name] = SMALL
    return cache


def _theine(size: int, names: list[str]) -> Any:
    from theine import Cache

    cache: Any = Cache(size)
    for name in names:
        cache.set(name, SMALL, timedelta(seconds=TTL))
    return cache


def _dogpile(size: int, names: list[str]) -> Any:
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=TTL)
    for name in names[:size]:  # it has no bound
        region.set(name, SMALL)
    return region


FILLS: dict[str, Fill] = {
    "cachewright": _cachewright,
    "dict, no bound, no TTL": _dict,
    "functools.lru_cache, no TTL": _lru_cache,
    "cachebox TTLCache": _cachebox,
    "moka Moka": _moka,
    "cachetools TTLCache": _cachetools_ttl,
    "cachetools LRUCache, no TTL": _cachetools_lru,
    "theine Cache": _theine,
    "dogpile.cache memory, no bound": _dogpile,
}


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(name: str, size: int) -> float:
    """Bytes an entry by which this process grows."""
    fill, names = FILLS[name], keys(2 * size)
    fill(100, names[:200])  # whatever is imported or made once
    gc.collect()
    before = resident()
    kept = fill(size, names)
    gc.collect()
    grown = resident() - before
    del kept
    return grown / size


def _measured(name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        size = 50_000 if stage.quick else 200_000
        FILLS[name](2, ["a", "b"])  # raises ImportError for what is not there

        def sample() -> float:
            command = [sys.executable, "-m", "benchmarks.memory", name, str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return float(done.stdout)

        return sample

    return prepare


MEMORY = Row(
    number=5,
    name="l1-memory",
    title="Memory of an L1 entry beyond key and value",
    unit="bytes",
    reference="dict, no bound, no TTL",
    rounds=3,
    note="Growth of resident memory after twice as many keys were stored as the cache holds, ghosts included.",
    cases=(
        ours("", _measured("cachewright")),
        *(floor(name, _measured(name)) for name in FILLS if name.startswith("dict")),
        *(Case(name, _measured(name)) for name in list(FILLS)[2:]),
    ),
    targets=(
        Target(case="cachewright", limit=240, what="bytes"),
        Target(case="cachewright", limit=182, what="bytes", goal=True),
    ),
)


if __name__ == "__main__":
    print(growth(sys.argv[1], int(sys.argv[2])))
