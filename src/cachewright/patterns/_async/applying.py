# What the source is asked to do.
"""Queued changes in the hands of the source: decoded, coalesced, applied together with their position.

What must not be here: which changes, and what follows from a refusal (`shards`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cachewright._async.cache import AsyncCache
from cachewright._waits import aio
from cachewright.patterns._async.enqueuing import AsyncEnqueuer
from cachewright.patterns.changes import Queued, coalesce
from cachewright.patterns.sources import Change, Position
from cachewright.types import ABSENT


@dataclass(frozen=True, slots=True)
class Drainage:
    """What all shards of a worker share. `dirties`: tags with their kind. `existing`: a filter to tell of new rows."""

    cache: AsyncCache
    source: Any
    enqueuer: AsyncEnqueuer
    batch: int
    deliveries: int
    merging: Callable[[Any, Mapping[str, Any]], Any]
    dirties: Sequence[str]
    existing: Any = None


class AsyncApplier:
    """Talks to one source."""

    def __init__(self, how: Drainage) -> None:
        self._source = how.source
        self._bytes = how.enqueuer
        self._merging = how.merging
        self._existing = how.existing

    def changes(self, entries: Sequence[Queued]) -> tuple[dict[str, Change], dict[str, Exception]]:
        """One change for each key; and by key the error of an entry that cannot be read and that nothing replaces."""
        changes: dict[str, Change] = {}
        unreadable: dict[str, Exception] = {}
        for entry in entries:
            try:
                value = None if entry.kind == "delete" else self._bytes.value(entry.name, entry)
                whole = entry.kind == "put"
                identity = self._source.key_of(value) if whole else self._bytes.identity(entry)
                change = Change(identity, entry.kind, value, entry.version)
                changes[entry.name] = coalesce(changes.get(entry.name), change, self._merging)
            except Exception as error:  # noqa: BLE001 - a codec's, or the caller's own merge
                unreadable[entry.name] = error
            else:
                if entry.kind != "patch":
                    unreadable.pop(entry.name, None)
        return changes, unreadable

    async def hand_over(self, changes: Sequence[Change], position: Position) -> bool:
        """Apply changes and move the position; False if it is not the expected one. Raises what the source raises."""
        puts = [change for change in changes if change.kind == "put"]
        if puts and self._existing is not None:
            # Told when they were queued; a filter that was built since may have found nothing of them in the source.
            await self._existing.add(*(change.key for change in puts))
        apply = getattr(self._source, "apply", None)
        if apply is not None:
            return bool(await aio.call_load(apply, (changes, position), None))
        # A source without positions: at least once, in order.
        if puts:
            await aio.call_load(self._source.save_many, ([change.value for change in puts],), None)
        for change in changes:
            if change.kind == "delete":
                await aio.call_load(self._source.delete, (change.key,), None)
            elif change.kind == "patch":
                row = await aio.call_load(self._source.load, (change.key,), None)
                if row is not ABSENT:
                    await aio.call_load(
                        self._source.save, (self._merging(row, change.value),), None
                    )
        return True

    async def recorded(self, queue: str, partition: int) -> str | None:
        """The position that the source has recorded; None for none, and for sources that record none."""
        position = getattr(self._source, "position", None)
        if position is None:
            return None
        found = await aio.call_load(position, (queue, partition), None)
        return None if found is None else str(found)

    async def answers(self, key: Any) -> bool:
        """Whether the source can be read."""
        try:
            await aio.call_load(self._source.load, (key,), None)
        except Exception:  # noqa: BLE001 - whatever the source raises
            return False
        return True
