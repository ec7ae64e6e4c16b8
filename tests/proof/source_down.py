"""The source is down for a minute while stale copies are there; the clock is turned, so that no time passes.

What must not be here: a server that is down (`dead_server`), and slow sources (tests/_async/test_failing_sources.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock
from proof.experiment import Experiment, Measured, Number, Run

TTL, STALE, RETRY = 30.0, 90.0, 1.0
"""Seconds: fresh, usable for so much longer if the load fails, the least between two tries."""
DOWN = 60.0
STEP = 0.25
THREADS = 4


class Outage(Exception):
    """The source is down."""


@dataclass
class Source:
    """Versions by key; when it is down it notes who tries."""

    clock: FakeClock
    down: bool = False
    loaded_at: dict[str, float] = field(default_factory=dict)
    tries: dict[str, list[float]] = field(default_factory=dict)
    """When it was asked for keys of which there were old values."""
    vain: int = 0
    """How often it was asked when there was nothing to serve instead."""

    def load(self, key: str) -> str:
        """The time of the load, as a value."""
        now = self.clock.monotonic()
        if self.down:
            if now < self.loaded_at[key] + TTL + STALE:
                self.tries.setdefault(key, []).append(now)
            else:
                self.vain += 1
            raise Outage
        self.loaded_at[key] = now
        return f"{key} at {now}"

    def early_tries(self) -> int:
        """Tries that came before the pause after the one before was over."""
        return sum(
            after - before < RETRY
            for tries in self.tries.values()
            for before, after in pairwise(tries)
        )


Read = Callable[[Source, str], str]


class Outing:
    """Reads of all keys, step by step, by several threads at once."""

    def __init__(self, how: Run, clock: FakeClock, read: Read) -> None:
        self.source = Source(clock)
        self.reads = self.unserved = self.too_old = self.slow_to_recover = 0
        self._clock = clock
        self._read = read
        self._draw = random.Random(how.seed)
        self._keys = [f"k{n}" for n in range(how.pick(ci=20, full=500))]

    def run(self) -> None:
        """Loaded, down for a minute after they ran out, down beyond the limit, and up again."""
        with ThreadPoolExecutor(THREADS) as pool:
            for key in self._keys:
                self._read(self.source, key)
            self._clock.advance(TTL + 1)
            self.source.down = True
            self._through(pool, DOWN)
            self._through(pool, STALE - DOWN + 10, may_fail=True)
            self.source.down = False
            self._clock.advance(10 * RETRY + 1)
            now = self._clock.monotonic()
            fresh = [self._read(self.source, key) for key in self._keys]
            self.slow_to_recover = sum(not value.endswith(f"at {now}") for value in fresh)

    def _through(self, pool: ThreadPoolExecutor, seconds: float, *, may_fail: bool = False) -> None:
        for _ in range(int(seconds / STEP)):
            crowd = [key for key in self._keys for _ in range(2)]
            self._draw.shuffle(crowd)
            for served in pool.map(self._one, crowd):
                self.reads += 1
                self.unserved += not served and not may_fail
            self._clock.advance(STEP)

    def _one(self, key: str) -> bool:
        """Whether it was served; too old is counted aside."""
        try:
            value = self._read(self.source, key)
        except Outage:
            return False
        age = self._clock.monotonic() - float(value.rpartition(" ")[2])
        self.too_old += age > TTL + STALE
        return True

    def measured(self, **more: Number) -> Measured:
        """What came of it."""
        early = self.source.early_tries()
        numbers: dict[str, Number] = {
            "reads": self.reads,
            "not served": self.unserved,
            "served beyond the limit": self.too_old,
            "tries": sum(map(len, self.source.tries.values())),
            "tries within the pause": early,
            "most tries of a key": max(map(len, self.source.tries.values()), default=0),
            "tries when nothing was left": self.source.vain,
            "not fresh after recovery": self.slow_to_recover,
            **more,
        }
        return Measured(self.unserved + self.too_old + early + self.slow_to_recover, numbers)


def ours(how: Run) -> Measured:
    """Without a server and with one."""
    with EmbeddedServer() as server:
        alone, shared = _ours(how, None), _ours(how, server.url)
    numbers = {f"{name} (L1 only)": number for name, number in alone.numbers.items()}
    return Measured(alone.violations + shared.violations, {**shared.numbers, **numbers})


def _ours(how: Run, url: str | None) -> Measured:
    clock = FakeClock()
    policy = Policy(ttl=TTL, stale_if_error=STALE, retry_after=RETRY)
    with Cache(url, clock=clock, policy=policy) as cache:

        def read(source: Source, key: str) -> str:
            value: str = cache.get_or_load(key, lambda: source.load(key), tags=[key])
            return value

        outing = Outing(how, clock, read)
        outing.run()
    return outing.measured()


def control(how: Run) -> Measured:
    """Whoever finds an old value tries the source, and serves what there is if that fails."""
    clock = FakeClock()
    kept: dict[str, tuple[float, str]] = {}

    def read(source: Source, key: str) -> str:
        until, old = kept.get(key, (0.0, ""))
        if clock.monotonic() < until:
            return old
        try:
            value = source.load(key)
        except Outage:
            if old:
                return old
            raise
        kept[key] = (clock.monotonic() + TTL, value)
        return value

    outing = Outing(how, clock, read)
    outing.run()
    return outing.measured()


EXPERIMENT = Experiment(
    name="source_down",
    what="the source fails for 60 s by a turned clock, then beyond the stale limit, under 4 threads that read all keys",
    target="all served, ≤ 1 try per throttle window, never beyond the stale limit",
    ours=ours,
    control=control,
    control_is="the old value whenever the load fails",
)
