# Generated from _async/processes.py by tools/unasync.py. Do not edit.
"""Several caches on one server with one clock, a clock that runs, and an engine that brings back what was deleted.

What must not be here: tests.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.mutants import weaken_script
from _sync.steps import Step

from cachewright import Cache, Policy, Timeouts
from cachewright._sync.flights import Flights
from cachewright._waits import threads
from cachewright.testing import FakeClock

TEN = Policy(ttl=10, timeouts=Timeouts(call=5.0, connect=5.0))


def cache_on(url: str | None, namespace: str, clock: FakeClock, **options: Any) -> Cache:
    """A cache as a process of its own would have it."""
    return Cache(
        url, namespace=namespace, clock=clock, policy=options.pop("policy", TEN), **options
    )


def weaken_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill stores whatever it brings, and no news stops it."""
    weaken_script(
        monkeypatch,
        "fill",
        "if type(held) ~= 'string' or string.sub(held, 1, #token) ~= token then",
        "held = held or token\nif false then",
    )
    monkeypatch.setattr(Flights, "_doom", staticmethod(lambda flight: None))


def turned(clock: FakeClock, step: Step) -> Any:
    """Let the clock run, a twentieth of a second at a time, until the step has ended; what it returned."""
    for _ in range(4000):
        if step.done:
            break
        clock.advance(0.05)
        threads.wall_sleep(0.002)
    return step.result()
