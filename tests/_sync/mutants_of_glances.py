# Generated from _async/mutants_of_glances.py by tools/unasync.py. Do not edit.
"""Weakened glances, for the twins of test_glances.py. What must not be here: tests."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright._sync.flights import Flights
from cachewright._sync.glancing import NOT_TAKEN
from cachewright._sync.looking import Looker
from cachewright.core.entry import Entry

Patch = pytest.MonkeyPatch


def lands_whatever_moved(patch: Patch) -> None:
    def land(self: Flights, key: str, entry: Entry, *how: float) -> bool:
        entry.epoch = self._clock.epoch
        return self._memory.put(key, entry, how[0])

    patch.setattr(Flights, "land_unless_moved", land)


def believes_glances_of_any_epoch(patch: Patch) -> None:
    look = Looker.look

    def look_trustingly(
        self: Looker, store: Any, read: Any, flight: Any, **how: Any
    ) -> Any:
        if read.glance is not None and read.glance is not NOT_TAKEN:
            read.glance.epoch = flight.epoch
        return look(self, store, read, flight, **how)

    patch.setattr(Looker, "look", look_trustingly)
