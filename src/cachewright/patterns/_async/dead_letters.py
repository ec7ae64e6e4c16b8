# What the source would not take.
"""Dead letters: changes that the source refused again and again, to be looked at, tried again or dropped.

The dead changes of one key stand and fall together, in their order: to name one is to name all of its key's. Until they
are dropped, reads go on seeing them, as they do every write that was acknowledged.
Invariants kept here (tests/patterns/_async/test_dead_letters.py would catch their loss):
- a letter leaves its stream only by the move that parks it again, or because somebody dropped it by name;
- a dropped change is seen no more: neither pending nor cached.
What must not be here: how letters die (`shards`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cachewright.errors import ConfigurationError
from cachewright.patterns._async.enqueuing import AsyncEnqueuer
from cachewright.patterns._async.partitions import AsyncPartitions
from cachewright.patterns._async.queue import Place
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns.changes import DeadLetter, Queued, numbers_of, row_tag_of, version_of
from cachewright.patterns.naming import table_of


class AsyncDeadLetters:
    """The dead letters of one write-behind."""

    def __init__(self, door: AsyncWriteBehind) -> None:
        self._door = door
        self._at = AsyncPartitions(door.queue, lease=1.0)
        self._bytes = AsyncEnqueuer(door.cache, door.queue, door.policy, rows=table_of(door.source))

    async def letters(self) -> list[DeadLetter]:
        """All of them, by partition and in the order in which they died."""
        found = []
        for place in self._door.queue.places:
            found += [_letter(place, entry) for entry in await self._lying(place)]
        return found

    async def value(self, letter_id: str) -> Any:
        """What was to be written: the value of a put, the fields of a patch, `ABSENT` for a deletion.

        Raises `ConfigurationError` for a letter that is not there, `CodecError` for one that cannot be read.
        """
        place, entry_id = self._place(letter_id)
        for entry in await self._lying(place):
            if entry.id.decode() == entry_id:
                return self._bytes.value(entry.name, entry)
        raise ConfigurationError(f"no dead letter is called {letter_id!r}")

    async def retry(self, *ids: str) -> int:
        """Have letters delivered anew, with all that died of their keys; without ids, all. How many."""
        count = 0
        for place, entries in await self._named(ids):
            await self._at.forget_tries(place, list({entry.name for entry in entries}))
            count += len(
                await self._at.move(entries, place.dead, place.parked, place=place, held=False)
            )
        self._door.worker.nudge()
        return count

    async def drop(self, *ids: str) -> int:
        """Give letters up, with all that died of their keys. How many. At least one id must be given."""
        if not ids:
            raise ConfigurationError(
                "name the letters to drop: all of them is too much by accident"
            )
        count = 0
        for place, entries in await self._named(ids):
            gone = await self._door.queue.ask(
                [("XDEL", place.dead, *(entry.id for entry in entries))]
            )
            count += int(gone[0])
            if gone[0] == len(entries):  # else a worker has taken some of them up again
                await self._at.uncover(place, {entry.name: entry.version for entry in entries})
                await self._forget(entries)
        return count

    async def _forget(self, entries: Iterable[Queued]) -> None:
        names = list({entry.name for entry in entries})
        table = self._door.queue.table
        tags = [*(row_tag_of(name, table) for name in names), table]
        await self._door.cache.engine.invalidate(names, tags)

    async def _lying(self, place: Place) -> list[Queued]:
        await self._door.open(worker=False)
        return await self._at.lying(place.dead)

    async def _named(self, ids: Iterable[str]) -> list[tuple[Place, list[Queued]]]:
        """By partition: the letters of these ids and all others of their keys."""
        wanted: dict[int, set[str]] = {}
        for letter_id in ids:
            place, entry_id = self._place(letter_id)
            wanted.setdefault(place.number, set()).add(entry_id)
        found = []
        for place in self._door.queue.places:
            if ids and place.number not in wanted:
                continue
            lying = await self._lying(place)
            some = {e.name for e in lying if not ids or e.id.decode() in wanted[place.number]}
            entries = [entry for entry in lying if entry.name in some]
            if entries:
                found.append((place, entries))
        return found

    def _place(self, letter_id: str) -> tuple[Place, str]:
        number, colon, entry_id = letter_id.partition(":")
        places = self._door.queue.places
        if not colon or not number.isdigit() or int(number) >= len(places):
            raise ConfigurationError(
                f"{letter_id!r} names no dead letter: write partition:id, as `letters` and the command show it"
            )
        return places[int(number)], entry_id


def _letter(place: Place, entry: Queued) -> DeadLetter:
    return DeadLetter(
        f"{place.number}:{entry.id.decode()}",
        entry.name,
        entry.kind,
        numbers_of(entry.version)[0] / 1000,
        numbers_of(version_of(entry.id))[0] / 1000,
        entry.deliveries,
        entry.cause,
    )
