"""Processes whose wall clocks are an hour apart share entries: whose clock says when an entry has to go?

Ages are taken on the machine's monotonic clock, which all its processes share.
What must not be here: clocks that jump in one process (tests/_async/test_ttl.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cachewright import Cache, Policy
from cachewright._sync.engine import Engine
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from rig.processes import Barrier, Fleet

SKEWS = (-3600.0, 0.0, 3600.0)
TTL, STALE = 2.0, 1.0
SLACK = 1.0
KEYS = 24
"""Of each writer and kind; the later ones are first looked at when they are older."""
KINDS: Mapping[str, float] = {"fresh": TTL, "stale": TTL + STALE}
"""Seconds that an entry of each kind may be served."""


class SkewedClock:
    """The machine's clocks, the wall clock so many seconds ahead."""

    def __init__(self, skew: float) -> None:
        self._skew = skew
        self.monotonic = time.monotonic

    def time(self) -> float:
        """What this process believes."""
        return time.time() + self._skew


def live(
    index: int, *, url: str, skews: tuple[float, ...], barrier: Barrier, trusting: bool
) -> Any:
    """In a process of its own: store keys, then look at everybody's: ({key: when stored}, {key: when last served})."""
    with pytest.MonkeyPatch.context() as patch:
        if trusting:
            patch.setattr(Engine, "server_time", lambda engine: engine.time())
        policy = {"fresh": Policy(ttl=TTL), "stale": Policy(ttl=TTL, stale=STALE)}
        caches = {
            kind: Cache(url, namespace=kind, policy=policy[kind], clock=SkewedClock(skews[index]))
            for kind in KINDS
        }
        for cache in caches.values():
            cache.get("nothing", None)  # connected before it counts
        barrier.wait()
        stored = dict(_store(caches, index))
        served = _look(caches, len(skews))
        for cache in caches.values():
            cache.close()
        return stored, served


def _store(caches: Mapping[str, Cache], writer: int) -> Iterator[tuple[str, float]]:
    for kind, cache in caches.items():
        for n in range(KEYS):
            key = f"{kind}-{writer}-{n}"
            if n % 2:
                cache.set(key, key)
            else:
                cache.get_or_load(key, lambda key=key: key)  # type: ignore[misc]
            yield key, time.monotonic()


def _look(caches: Mapping[str, Cache], writers: int) -> dict[str, float]:
    """Every key, from an age of its own on, until none can be alive; when it was last served."""
    began, served = time.monotonic(), {}
    while (passed := time.monotonic() - began) < 2 * TTL + STALE + 2 * SLACK:
        for kind, cache in caches.items():
            oldest = KINDS[kind]
            due = [n for n in range(KEYS) if n / KEYS * oldest <= passed]
            for key in [f"{kind}-{writer}-{n}" for writer in range(writers) for n in due]:
                asked = time.monotonic()
                if cache.get(key, None) is not None:
                    served[key] = asked
        time.sleep(0.02)
    return served


def _run(how: Run, *, trusting: bool) -> Measured:
    skews = SKEWS if how.size == "ci" else tuple(3 * SKEWS)
    with EmbeddedServer() as server, Fleet() as fleet:
        fleet.start(
            live,
            len(skews),
            url=server.url,
            skews=skews,
            barrier=fleet.barrier("start", len(skews)),
            trusting=trusting,
        )
        said = fleet.results(60)
    stored = {key: when for stored, _ in said for key, when in stored.items()}
    ages = [
        (when - stored[key] - KINDS[key.partition("-")[0]], key)
        for _, served in said
        for key, when in served.items()
    ]
    beyond = [age for age, _ in ages if age > SLACK]
    numbers = {
        "processes": len(skews),
        "entries": len(stored),
        "seen by a process": len(ages),
        "served too long": len(beyond),
        "longest beyond its TTL s": max(age for age, _ in ages),
    }
    return Measured(len(beyond), numbers)


def ours(how: Run) -> Measured:
    """The engine as it is."""
    return _run(how, trusting=False)


def control(how: Run) -> Measured:
    """Each process judges entries by its own wall clock."""
    return _run(how, trusting=True)


EXPERIMENT = Experiment(
    name="skewed_clocks",
    what="processes whose clocks are an hour behind, right and an hour ahead read each other's entries",
    target="nothing is served beyond TTL (and stale time) + 1 s",
    ours=ours,
    control=control,
    control_is="each process judges entries by its own wall clock",
)
