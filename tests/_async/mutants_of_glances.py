# The short way of L2 with a protection taken out.
"""Weakened glances, for the twins of test_glances.py. What must not be here: tests."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright._async.flights import AsyncFlights
from cachewright._async.glancing import NOT_TAKEN
from cachewright._async.looking import AsyncLooker
from cachewright.core.entry import Entry

Patch = pytest.MonkeyPatch


def lands_whatever_moved(patch: Patch) -> None:
    def land(self: AsyncFlights, key: str, entry: Entry, *how: float) -> bool:
        entry.epoch = self._clock.epoch
        return self._memory.put(key, entry, how[0])

    patch.setattr(AsyncFlights, "land_unless_moved", land)


def believes_glances_of_any_epoch(patch: Patch) -> None:
    look = AsyncLooker.look

    async def look_trustingly(
        self: AsyncLooker, store: Any, read: Any, flight: Any, **how: Any
    ) -> Any:
        if read.glance is not None and read.glance is not NOT_TAKEN:
            read.glance.epoch = flight.epoch
        return await look(self, store, read, flight, **how)

    patch.setattr(AsyncLooker, "look", look_trustingly)
