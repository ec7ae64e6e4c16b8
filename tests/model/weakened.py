"""More engines with one protection taken out, for the state machine; the others are in `weaknesses`.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from typing import Any

import pytest

from cachewright._sync import looking
from cachewright._sync.engine import Engine
from cachewright._sync.flights import Flight, Flights
from cachewright._sync.reading import Reader
from cachewright._sync.writing import Writing
from cachewright.core import reads
from cachewright.core.policy import Lifetime

Patch = pytest.MonkeyPatch


def dooms_nothing_but_wakes(patch: Patch) -> None:
    """What is under way lands and is shared, whatever was invalidated meanwhile; who waits is told."""

    def only_wake(flight: Flight) -> None:
        if flight.woken is not None:
            flight.woken.set()

    patch.setattr(Flights, "_doom", staticmethod(only_wake))
    patch.setattr(Reader, "may_share", lambda self, *about: True)


def skips_the_first_phase(patch: Patch) -> None:
    patch.setattr(Writing, "_mark", lambda self, **how: None)


def invalidates_at_the_server_only(patch: Patch) -> None:
    def invalidate(self: Engine, keys: Any, tags: Any, *, token: str = "") -> None:
        store = self.open()
        assert store is not None
        store.invalidate(keys, tags, token=token)

    patch.setattr(Engine, "invalidate", invalidate)


def knows_one_prefix_only(patch: Patch) -> None:
    patch.setattr(reads, "prefix_tags", lambda key: [f"p:{key}"])


def lends_life_to_what_has_expired(patch: Patch) -> None:
    patch.setattr(looking, "remaining", lambda envelope, now: Lifetime(60, 60))
