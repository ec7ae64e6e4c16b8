# Caches as processes of their own have them.
"""Several caches on one server with one clock, a clock that runs, and an engine that brings back what was deleted.

What must not be here: tests.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.mutants import weaken_script
from _async.steps import AsyncStep

from cachewright import AsyncCache, Policy, Timeouts
from cachewright._async.flights import AsyncFlights
from cachewright._waits import aio
from cachewright.testing import FakeClock

TEN = Policy(ttl=10, timeouts=Timeouts(call=5.0, connect=5.0))


def cache_on(url: str | None, namespace: str, clock: FakeClock, **options: Any) -> AsyncCache:
    """A cache as a process of its own would have it."""
    return AsyncCache(
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
    monkeypatch.setattr(AsyncFlights, "_doom", staticmethod(lambda flight: None))


async def turned(clock: FakeClock, step: AsyncStep) -> Any:
    """Let the clock run, a twentieth of a second at a time, until the step has ended; what it returned."""
    for _ in range(4000):
        if step.done:
            break
        clock.advance(0.05)
        await aio.wall_sleep(0.002)
    return await step.result()
