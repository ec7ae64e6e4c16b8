# What the source is asked to do.
"""Queued changes in the hands of the source: decoded, coalesced, applied together with their position.

A call of the source may never return, and a thread in one cannot be ended: whoever watches may give it up, and then it
ends as for a worker that was overtaken, whatever it brings. What must not be here: which changes, and what follows from a
refusal (`shards`); who watches (`draining`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cachewright._async.cache import AsyncCache
from cachewright._waits import aio
from cachewright.patterns._async.enqueuing import AsyncEnqueuer
from cachewright.patterns._async.partitions import Overtaken
from cachewright.patterns.changes import Queued, coalesce
from cachewright.patterns.sources import Change, Position
from cachewright.types import ABSENT


@dataclass(frozen=True, slots=True)
class Drainage:
    """What all shards of a worker share. `dirties`: tags with their kind. `existing`: a filter to tell of new rows.

    `apply_timeout`: seconds that one call of the source may take.
    """

    cache: AsyncCache
    source: Any
    enqueuer: AsyncEnqueuer
    batch: int
    deliveries: int
    merging: Callable[[Any, Mapping[str, Any]], Any]
    dirties: Sequence[str]
    existing: Any
    apply_timeout: float


class AsyncApplier:
    """Talks to one source."""

    def __init__(self, how: Drainage) -> None:
        self.since: float | None = None
        """When the source was called that has not answered yet, on the engine's monotonic clock."""
        self.given_up = False
        """Whether nobody waits for its answer any more."""
        self._engine = how.cache.engine
        # Later than whoever watches: in asyncio a call that was given up is cancelled then, and its connection free again.
        self._limit = 2 * how.apply_timeout
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
            return bool(await self._call(apply, changes, position))
        # A source without positions: at least once, in order.
        if puts:
            await self._call(self._source.save_many, [change.value for change in puts])
        for change in changes:
            if change.kind == "delete":
                await self._call(self._source.delete, change.key)
            elif change.kind == "patch":
                row = await self._call(self._source.load, change.key)
                if row is not ABSENT:
                    await self._call(self._source.save, self._merging(row, change.value))
        return True

    async def _call(self, verb: Callable[..., Any], *args: Any) -> Any:
        with self._watched():
            return await aio.call_load(verb, args, self._limit)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Raises `Overtaken` instead of whatever came of a call that was given up."""
        self.since = self._engine.monotonic()
        try:
            yield
        except Exception as error:
            self._refuse_if_given_up(error)
            raise
        finally:
            self.since = None
        self._refuse_if_given_up()

    def _refuse_if_given_up(self, error: Exception | None = None) -> None:
        if self.given_up:
            raise Overtaken("the source took too long, and the partition was given up") from error

    async def recorded(self, queue: str, partition: int) -> str | None:
        """The position that the source has recorded; None for none, and for sources that record none."""
        position = getattr(self._source, "position", None)
        if position is None:
            return None
        found = await self._call(position, queue, partition)
        return None if found is None else str(found)

    async def answers(self, key: Any) -> bool:
        """Whether the source can be read."""
        try:
            await self._call(self._source.load, key)
        except Overtaken:
            raise
        except Exception:  # noqa: BLE001 - whatever the source raises
            return False
        return True
