"""Keys that do not exist, asked for again and again: the source is asked once for each, and memory stays bounded.

What must not be here: errors of the source (`source_down`).
"""

from __future__ import annotations

import math
import random
import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from cachewright import ABSENT, Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock
from proof.experiment import Experiment, Measured, Run
from proof.peering import peer
from rig.looped import Looped

TTL = 600.0
"""Seconds, by a clock that the experiment turns; the server's own clock must not reach it meanwhile."""
PASSES = 2
"""Times that each key is asked for within each negative TTL, each time in another order."""
BATCH = 500
MOST_ENTRIES = 10_000
MOST_GROWTH = 16
"""MiB by which the process may grow between a tenth of the keys and the end."""
CROWD, CROWDED = 16, 50
"""So many threads ask for each of so many keys at once."""


class EmptySource:
    """Has nothing, and counts how often it was asked for each key since the clock was last turned."""

    def __init__(self, keys: int) -> None:
        self.queries = 0
        self.most = 0
        self.beyond_one = 0
        """Queries for a key within one negative TTL after the first."""
        self._keys = keys
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """A new negative TTL begins."""
        self._asked = array("H", bytes(2 * self._keys))

    def load(self, key: Any) -> Any:
        """There is none."""
        number = int(key[1:])
        with self._lock:
            self._asked[number] += 1
            self.queries += 1
            self.beyond_one += self._asked[number] > 1
            self.most = max(self.most, self._asked[number])
        return ABSENT

    def load_none(self, key: str) -> None:
        """The same for those who say None."""
        self.load(key)

    def load_many(self, keys: list[Any]) -> dict[Any, Any]:
        """There are none."""
        for key in keys:
            self.load(key)
        return {}


class Asking:
    """Asks one cache for keys that do not exist."""

    def __init__(self, how: Run, url: str, *, negative_ttl: float, keys: int) -> None:
        self.clock = FakeClock()
        self._keys = keys
        self._draw = random.Random(how.seed)
        self.source = EmptySource(self._keys)
        policy = Policy(
            negative_ttl=negative_ttl, timeouts=Timeouts(call=5.0, connect=5.0, load=60.0)
        )
        self.cache = Cache(url, policy=policy, clock=self.clock, max_entries=MOST_ENTRIES)
        self.asked = self.most_entries = 0
        self.grown = 0.0

    def run(self) -> None:
        """Through two negative TTLs."""
        with self.cache:
            for _ in range(2):
                self.source.forget()
                for _ in range(PASSES):
                    self._ask_for_all()
                    self._ask_together()
                self.clock.advance(TTL + 1)

    def _ask_for_all(self) -> None:
        """In batches, in a drawn order."""
        early = 0.0
        for done, batch in enumerate(self._batches()):
            found = self.cache.get_or_load_many(batch, self.source.load_many, default=None)
            assert set(found.values()) == {None}, "a key that does not exist has a value"
            self.asked += len(batch)
            self.most_entries = max(self.most_entries, len(self.cache.table))
            if done * BATCH == self._keys // 10:
                early = early or _memory()
        self.grown = max(self.grown, _memory() - early)

    def _batches(self) -> Iterator[list[Any]]:
        steps = [n for n in range(7, 1000) if math.gcd(n, self._keys) == 1]
        step, start = self._draw.choice(steps), self._draw.randrange(self._keys)
        for first in range(0, self._keys, BATCH):
            yield [
                f"k{(start + step * n) % self._keys}"
                for n in range(first, min(first + BATCH, self._keys))
            ]

    def _ask_together(self) -> None:
        """Many threads for the same keys, one by one."""
        keys = [f"k{self._draw.randrange(self._keys)}" for _ in range(CROWDED)]

        def ask(_: int) -> None:
            for key in keys:
                self.cache.get_or_load(key, lambda key=key: self.source.load(key), default=None)  # type: ignore[misc]

        with ThreadPoolExecutor(CROWD) as pool:
            list(pool.map(ask, range(CROWD)))
        self.asked += CROWD * CROWDED


def _memory() -> float:
    """What this process holds, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _run(how: Run, *, negative_ttl: float, keys: int) -> Measured:
    with EmbeddedServer() as server:
        asking = Asking(how, server.url, negative_ttl=negative_ttl, keys=keys)
        asking.run()
    source = asking.source
    over = max(0, asking.most_entries - MOST_ENTRIES)
    numbers = {
        "asked": asking.asked,
        "queries": source.queries,
        "beyond one per key and TTL": source.beyond_one,
        "most for one key": source.most,
        "most entries in L1": asking.most_entries,
        "memory grown MiB": asking.grown,
    }
    return Measured(source.beyond_one + over + (asking.grown > MOST_GROWTH), numbers)


def ours(how: Run) -> Measured:
    """That there is none is kept, in 10,000 entries here and the rest at the server."""
    return _run(how, negative_ttl=TTL, keys=how.pick(ci=20_000, full=1_000_000))


def control(how: Run) -> Measured:
    """Nothing is kept of keys that do not exist."""
    return _run(how, negative_ttl=0, keys=how.pick(ci=20_000, full=100_000))


# -------------------------------------------------------------------- peers

Ask = Callable[[str, Callable[[], None]], object]
"""A peer's read: of a key, with the load for it."""


def _dogpile(url: str) -> Ask:
    """`get_or_create`, which stores None as any other value."""
    arguments = {"url": url, "distributed_lock": True, "thread_local_lock": False}
    region: Any = import_module("dogpile.cache").make_region()
    region.configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)
    ask: Ask = region.get_or_create
    return ask


def _django(url: str) -> Ask:
    """`get_or_set`, to which a stored None is a hit."""
    settings = import_module("django.conf").settings
    if not settings.configured:
        settings.configure()
    redis = import_module("django.core.cache.backends.redis")
    ask: Ask = redis.RedisCache(url, {"TIMEOUT": TTL}).get_or_set
    return ask


class _Cashews(Looped):
    """`@cache`, which stores None unless it is told not to."""

    def __init__(self, url: str) -> None:
        super().__init__()
        cache = import_module("cashews").Cache()
        cache.setup(url)
        self._value: Any = cache(ttl=TTL, key="{key}")(self._load)

    @staticmethod
    async def _load(key: str, load: Callable[[], None]) -> None:
        load()

    def __call__(self, key: str, load: Callable[[], None]) -> object:
        return self.run(self._value(key, load=load))


PEERS: dict[str, Callable[[str], Ask]] = {
    "dogpile": _dogpile,
    "Django": _django,
    "cashews": _Cashews,
}


def _peer(name: str, how: Run) -> Measured:
    """One TTL by the real clock; no peer keeps anything in memory here."""
    keys = how.pick(ci=2_000, full=20_000)
    source, draw = EmptySource(keys), random.Random(how.seed)
    names = [f"k{n}" for n in range(keys)]
    with EmbeddedServer() as server, ThreadPoolExecutor(CROWD) as pool:
        ask = PEERS[name](server.tcp_url)

        def ask_for_all(asked: list[str]) -> None:
            for key in asked:
                assert ask(key, partial(source.load_none, key)) is None

        list(pool.map(ask_for_all, [draw.sample(names, CROWDED)] * CROWD))
        for _ in range(PASSES):
            ask_for_all(draw.sample(names, keys))
    numbers = {
        "asked": PASSES * keys + CROWD * CROWDED,
        "queries": source.queries,
        "beyond one per key and TTL": source.beyond_one,
        "most for one key": source.most,
    }
    return Measured(source.beyond_one, numbers)


EXPERIMENT = Experiment(
    name="absent_keys",
    what="1,000,000 keys that do not exist are asked for twice within each of two negative TTLs, some by 16 threads at once",
    target="≤ 1 query per key per negative TTL, memory capped",
    ours=ours,
    control=control,
    control_is="no negative entries",
    peers={
        **{name: peer(name, partial(_peer, name)) for name in PEERS},
        "aiocache": "has none: to its decorators a stored None is a miss",
    },
)
