# Draining with a protection taken out.
"""Weakened variants of the worker of a write-behind: a test that also passes with one of these shows nothing.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cachewright.patterns._async.draining import AsyncWorker
from cachewright.patterns._async.partitions import Overtaken
from cachewright.patterns._async.shards import AsyncShard
from cachewright.patterns.changes import Queued
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


def parks_behind_the_position(patch: Patch) -> None:
    """The position moves past what was refused, and then that is parked."""
    move = AsyncShard._move_to_parked

    async def late(self: AsyncShard, entries: Sequence[Queued]) -> None:
        await self._advance([], replace(self._progress, version=entries[-1].version))
        await move(self, entries)

    patch.setattr(AsyncShard, "_move_to_parked", late)


def removes_the_entry_first(patch: Patch) -> None:
    """The entry leaves the queue, and then the overlay and the cache hear of it."""

    async def settle(self: AsyncShard, entries: Sequence[Queued], stream: str) -> None:
        await self.at.remove(self.place, stream, [entry.id for entry in entries])
        await self.at.uncover(self.place, {entry.name: entry.version for entry in entries})
        await self._forget(entries)

    patch.setattr(AsyncShard, "_settle", settle)


def forgets_before_it_uncovers(patch: Patch) -> None:
    """What is cached goes, and then what is pending."""

    async def settle(self: AsyncShard, entries: Sequence[Queued], stream: str) -> None:
        await self._forget(entries)
        await self.at.uncover(self.place, {entry.name: entry.version for entry in entries})
        await self.at.remove(self.place, stream, [entry.id for entry in entries])

    patch.setattr(AsyncShard, "_settle", settle)
