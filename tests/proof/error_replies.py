"""Every verb amid every error that a server can reply with.

What must not be here: the errors (`troubles`), silence and broken connections (`frozen_server`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from cachewright import Cache
from cachewright.embedded import EmbeddedServer
from cachewright.redis.repairs import Repairs
from proof.experiment import Experiment, Measured, Number, Run
from proof.troubles import Trouble, all_troubles

VICTIMS = [f"victim-{n}" for n in range(10)]
OLD, NEW = "old", "new"
REPAIRED, PATIENCE = 2.0, 35.0
"""Seconds after the trouble until all failed invalidations are to be applied; until they count as lost."""


@dataclass
class Tally:
    """What came of one trouble or of all."""

    raised: list[str] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    stale: int = 0
    repair_times: dict[str, float] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take in what came of another trouble."""
        self.raised += other.raised
        self.wrong += other.wrong
        self.lost += other.lost
        self.stale += other.stale
        self.repair_times |= other.repair_times

    @property
    def violations(self) -> int:
        """Broken promises of all kinds."""
        return len(self.raised) + self.wrong + self.lost + self.stale

    def attempt(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """What it returns, None if it raises, which is counted."""
        try:
            return call(*args, **named)
        except Exception as error:  # noqa: BLE001 - that nothing is raised is the promise
            self.raised.append(f"{type(error).__name__}: {error}")
            return None

    def check(self, read: Callable[..., Any], key: str, **named: Any) -> None:
        """Count what an invalidated key brings that is not the new value."""
        value = self.attempt(read, key, **named)
        self.stale += value == OLD
        self.wrong += value not in (OLD, NEW, None)


# -------------------------------------------------------------------- ours


def ours(how: Run) -> Measured:
    """Every verb amid every trouble."""
    return _amid_all(how, _ours)


def _ours(how: Run, trouble: Trouble) -> Tally:
    tally, source = Tally(), dict.fromkeys(VICTIMS, OLD)
    with Cache(trouble.url, namespace=f"n-{trouble.name}".replace(" ", "-")) as cache:

        def read(key: str, **how: Any) -> Any:
            return cache.get_or_load(key, lambda: source[key], tags=[f"tag-{key}"], **how)

        for key in VICTIMS:
            tally.attempt(read, key)
        trouble.begin()
        end = time.monotonic() + how.pick(ci=0.3, full=trouble.lasts)
        while time.monotonic() < end:
            _use_all_verbs(cache, tally)
            time.sleep(0.1)  # threads that never wait would take the proxy's turns from it
        source.update(dict.fromkeys(VICTIMS, NEW))
        for n, key in enumerate(VICTIMS):
            keys = [] if n % 2 else [key]  # every other one by its tag alone
            tally.attempt(cache.invalidate, *keys, tags=[f"tag-{key}"])
            tally.check(read, key)
        trouble.end()
        _after(cache, trouble, tally)
        for key in VICTIMS:
            tally.check(read, key)
            tally.check(read, key, verify=True)
    return tally


def _use_all_verbs(cache: Cache, tally: Tally) -> None:
    """Whatever the server says, none of them raises, and reads with a loader get their value."""
    answers: list[tuple[Callable[[], Any], Any]] = [
        (lambda: cache.get_or_load("a", lambda: 1, tags=["t"]), 1),
        (lambda: cache.get_or_load("a", lambda: 1, verify=True), 1),
        (
            lambda: cache.get_or_load_many(["b", "c"], lambda keys: dict.fromkeys(keys, 2)),
            {"b": 2, "c": 2},
        ),
    ]
    for call, wanted in answers:
        tally.wrong += tally.attempt(call) != wanted
    quiet: list[Callable[[], Any]] = [
        lambda: cache.get("a", None),
        lambda: cache.get("a", None, verify=True),
        lambda: cache.get_many(["a", "b"]),
        lambda: cache.set("d", 1, tags=["t"]),
        lambda: cache.set_many({"d": 1, "e": 2}),
        lambda: cache.add("f", 1),
        lambda: cache.touch("d", ttl=100),
        lambda: cache.contains("d"),
        lambda: cache.ttl("d"),
        lambda: cache.invalidate("a", tags=["t"]),
        lambda: _write(cache),
    ]
    for call in quiet:
        tally.attempt(call)


def _write(cache: Cache) -> None:
    with cache.writing(keys=["a"], tags=["t"]):
        pass


def _after(cache: Cache, trouble: Trouble, tally: Tally) -> None:
    """Nobody asks for anything: the failed invalidations have to be applied all the same."""
    began = time.monotonic()
    while cache.stats().pending_repairs and time.monotonic() - began < PATIENCE:
        time.sleep(0.01)
    tally.repair_times[trouble.name] = time.monotonic() - began
    tally.lost += cache.stats().pending_repairs
    with redis.Redis.from_url(trouble.raw_url) as raw:
        by_key = [cache.engine.keys.entry(key) for key in VICTIMS[::2]]
        found = [raw.get(name) for name in by_key if raw.type(name) == b"string"]
        tally.lost += sum(OLD.encode() in (data or b"") for data in found)


def forgetful(how: Run) -> Measured:
    """The engine without its memory of failed invalidations: shows that they would be missed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repairs, "add", lambda self, *what: None)
        return _amid_all(how, _ours)


# -------------------------------------------------------------------- control


def control(how: Run) -> Measured:
    """Cache-aside over redis-py without a thought for errors."""
    return _amid_all(how, _naive)


def _naive(how: Run, trouble: Trouble) -> Tally:
    tally, source = Tally(), dict.fromkeys(VICTIMS, OLD)
    with redis.Redis.from_url(trouble.url, socket_timeout=0.5, retry=None) as client:

        def read(key: str) -> str:
            name = f"n-{trouble.name}-{key}"
            found = client.get(name)
            if found is None:
                client.set(name, source[key], ex=60)
                return source[key]
            return str(found, "utf-8")

        for key in VICTIMS:
            tally.attempt(read, key)
        trouble.begin()
        source.update(dict.fromkeys(VICTIMS, NEW))
        for key in VICTIMS:
            tally.attempt(client.delete, f"n-{trouble.name}-{key}")
        trouble.end()
        for key in VICTIMS:
            tally.check(read, key)
    return tally


def _amid_all(how: Run, measure: Callable[[Run, Trouble], Tally]) -> Measured:
    """Several troubles at once, each with a server or a proxy of its own."""
    tally = Tally()

    def one(trouble: AbstractContextManager[Trouble]) -> Tally:
        with trouble as begun:
            return measure(how, begun)

    with EmbeddedServer() as server, ThreadPoolExecutor(how.pick(ci=10, full=5)) as pool:
        troubles = all_troubles(how, server)
        for one_tally in pool.map(one, troubles):
            tally.add(one_tally)
    numbers: dict[str, Number] = {
        "errors": len(troubles),
        "raised": len(tally.raised),
        "wrong values": tally.wrong,
        "invalidations lost": tally.lost,
        "stale reads": tally.stale,
        **({"such as": tally.raised[0]} if tally.raised else {}),
    }
    if not tally.repair_times:
        return Measured(tally.violations, numbers)
    slowest = max(tally.repair_times, key=tally.repair_times.__getitem__)
    late = {name: t for name, t in tally.repair_times.items() if t > REPAIRED}
    return Measured(
        tally.violations,
        {**numbers, "repaired after s": tally.repair_times[slowest], "slowest": slowest},
        tuple(f"repaired ≤ {REPAIRED:.0f} s after {name} ({t:.1f} s)" for name, t in late.items()),
    )


EXPERIMENT = Experiment(
    name="error_replies",
    what="every verb while the server answers everything with an error: each known one injected, eight provoked for real",
    target="0 uncaught, reads get their value from the source, failed invalidations all applied ≤ 2 s after recovery",
    ours=ours,
    control=control,
    control_is="cache-aside over redis-py",
    peers={"the engine without its memory of failed invalidations": forgetful},
)
