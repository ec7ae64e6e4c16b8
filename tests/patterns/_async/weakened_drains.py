# Draining with a protection taken out.
"""Weakened variants of the worker of a write-behind: a test that also passes with one of these shows nothing.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from typing import Any

import pytest

from cachewright.patterns._async.draining import AsyncWorker
from cachewright.patterns._async.partitions import Overtaken
from cachewright.patterns._async.shards import AsyncShard
from cachewright.patterns.progress import Progress
from cachewright.patterns.sources import Position

Patch = pytest.MonkeyPatch


def begins_no_term(patch: Patch) -> None:
    """Who takes a partition over reads the position, and leaves it where it is."""

    async def only_read(self: AsyncShard) -> None:
        self._recorded = await self._applier.recorded(self._queue_name, self.place.number)
        self._progress = Progress.read(self._recorded)

    patch.setattr(AsyncShard, "_begin_term", only_read)


def retries_beside_the_position(patch: Patch) -> None:
    """What is parked is applied under a record of its own, which nothing else moves."""
    advance = AsyncShard._advance

    async def apart(self: AsyncShard, changes: Any, to: Progress) -> None:
        if to.retried == self._progress.retried:
            await advance(self, changes, to)
            return
        record, number = f"{self._queue_name}~{to.retried}", self.place.number
        expected = await self._applier.recorded(record, number)
        position = Position(record, number, last=to.retried, expected=expected)
        if not await self._applier.hand_over(changes, position):
            raise Overtaken("the recorded position is not the one this worker knew")

    patch.setattr(AsyncShard, "_advance", apart)


def waits_for_ever(patch: Patch) -> None:
    """A call of the source is waited for, whatever it takes."""

    async def never(*_: Any) -> None:
        return None

    patch.setattr(AsyncWorker, "_give_up_hung", never)
