# One partition in the hands of one worker.
"""A partition being drained: its entries in order to the source, those it refuses parked, tried again, given up.

Invariants kept here (tests/patterns/_async/test_draining.py and its mutants would catch their loss):
- effect once: a batch and how far that is reach the source in one transaction that moves the recorded position from
  where this worker believes it is; what lies at or before the position is settled and never applied again;
- one fence: whoever takes the partition over moves the position before anything else, and parked keys are applied under
  the same one; so what an earlier worker has begun, of the stream or of a parked key, is applied never or was before;
- order of a key: entries are applied in the stream's order, and while something of a key is parked or dead, what comes
  later follows it;
- an entry leaves the queue after the source has it: first the overlay, then what is cached, the entry last;
- parking comes before the position moves past an entry, so that a crash in between loses nothing.
What must not be here: who holds which partition (`draining`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cachewright.patterns._async.applying import AsyncApplier, Drainage
from cachewright.patterns._async.partitions import AsyncPartitions, Overtaken
from cachewright.patterns._async.queue import Place
from cachewright.patterns.changes import (
    Queued,
    is_outage,
    matches_of,
    pause,
    row_tag_of,
    version_of,
)
from cachewright.patterns.progress import Progress
from cachewright.patterns.sources import Change, Position

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between tries of what a source refused, and of a source that is away: doubling, with jitter."""
PATIENCE = 3
"""How often in a row a source may seem away before a single key is suspected; and how many keys then."""


class Away(Exception):
    """The source cannot be had now; its error is the cause."""


@dataclass(slots=True)
class Parked:
    """The changes of one key that wait for another try, in order."""

    entries: list[Queued] = field(default_factory=list)
    tries: int = 0
    due: float = 0.0
    """On the engine's monotonic clock."""
    applied: int = 0
    """How many entries the shard had applied when the source last refused these."""


class AsyncShard:
    """One partition. Used by one task or thread at a time."""

    def __init__(self, how: Drainage, partitions: AsyncPartitions, place: Place) -> None:
        self.place = place
        self.at = partitions
        self.applied = 0
        """Entries that reached the source, by this worker."""
        self.failures = 0
        """Of the source being away, in a row."""
        self.due = 0.0
        """Nothing is tried before this, on the engine's monotonic clock."""
        self.parked: dict[str, Parked] = {}
        self.newest_parked = ""
        self._dead: set[str] = set()
        self._how = how
        self._engine = how.cache.engine
        self._applier = AsyncApplier(how)
        self._queue_name = f"{how.cache.namespace}/{partitions.queue.name}"
        self._progress = Progress()
        self._recorded: str | None = None
        """The text that the source has for it."""
        self._again = True
        self._known = False
        self._blamed = 0
        """Keys that were set aside, one after the other, for what looks like the source being away."""
        self._last_parked_id = "-"

    # ---------------------------------------------------------------- the source takes its time

    @property
    def waits_since(self) -> float | None:
        """When the source was called that has not answered yet, on the engine's monotonic clock; None while it is not."""
        return self._applier.since

    def give_up(self) -> None:
        """Whatever the source answers now is of no interest any more: what runs here ends as if overtaken."""
        self._applier.given_up = True

    # ---------------------------------------------------------------- the round

    async def drain(self, stopped: Callable[[], bool]) -> None:
        """Apply what is there, until less than a batch is left or `stopped`. Raises `Away`, `Overtaken`, `RemoteError`."""
        try:
            if not self._known:
                await self._get_to_know()
            await self._load_parked()
            while not stopped():
                entries = await self.at.take(self.place, self._how.batch, again=self._again)
                if entries:
                    await self._work(entries)
                    self.failures = 0
                    await self._try_parked(stopped)
                elif not self._again:
                    break
                if self._again:
                    self._again = len(entries) > 0
                elif len(entries) < self._how.batch:
                    break
            await self._try_parked(stopped)
        except BaseException:
            # What was handed out is asked for again, and the position with it.
            self._known, self._again = False, True
            raise

    async def _get_to_know(self) -> None:
        """After taking over, or after an error: what is recorded, what is parked and dead."""
        await self.at.prepare(self.place)
        await self._begin_term()
        position = self._progress.version
        if position and await self.at.catch_up(self.place, position):
            detail = f"partition {self.place.number}: the source is ahead of the queue"
            self._engine.tell("queue_behind", detail=detail)
        self.parked, self._last_parked_id, self.newest_parked = {}, "-", ""
        self._dead = {entry.name for entry in await self.at.lying(self.place.dead)}
        await self._load_parked()
        await self._settle_retried()
        self._again, self._known = True, True

    async def _begin_term(self) -> None:
        """Move the position, and nothing else: whoever began something before finds another one than it expects."""
        self._recorded = await self._applier.recorded(self._queue_name, self.place.number)
        self._progress = Progress.read(self._recorded)
        await self._advance([], self._progress.next_term())

    async def _advance(self, changes: Sequence[Change], to: Progress) -> None:
        """Apply changes, and record how far that is. Raises `Overtaken` where somebody else has since: nothing is applied."""
        position = Position(
            self._queue_name, self.place.number, last=to.text, expected=self._recorded
        )
        if not await self._applier.hand_over(changes, position):
            raise Overtaken("the recorded position is not the one this worker knew")
        self._progress, self._recorded = to, to.text

    async def _work(self, entries: Sequence[Queued]) -> None:
        position = self._progress.version
        done = [entry for entry in entries if entry.version <= position]
        applied = await self._apply(entries[len(done) :])
        self.applied += len(applied)
        await self._settle([*done, *applied], self.place.stream)

    # ---------------------------------------------------------------- applying

    async def _apply(self, entries: Sequence[Queued]) -> list[Queued]:
        """Bring entries to the source; those that it now has. The others were parked."""
        going = await self._without_followers(entries)
        changes, unreadable = self._applier.changes(going)
        for name, error in unreadable.items():
            await self._park([entry for entry in going if entry.name == name], error)
        if unreadable:
            return await self._apply([entry for entry in going if entry.name not in unreadable])
        if not going:
            return []
        try:
            await self._advance(
                list(changes.values()), replace(self._progress, version=going[-1].version)
            )
        except Overtaken:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            return await self._after_refusal(going, changes, error)
        self._blamed = 0
        return going

    async def _without_followers(self, entries: Sequence[Queued]) -> list[Queued]:
        """The entries without those whose key is parked or dead: they follow what went before."""
        following = [e for e in entries if e.name in self.parked or e.name in self._dead]
        if not following:
            return list(entries)
        revived = {entry.name for entry in following} & self._dead
        if revived:
            await self._revive(revived)
        await self._move_to_parked(following)
        for name in revived:
            # Something newer may be what the source can take.
            await self.at.forget_tries(self.place, [name])
            self.parked[name].tries = 0
        for entry in following:
            self.parked[entry.name].due = (
                0.0 if entry.kind != "patch" else self.parked[entry.name].due
            )
        names = {entry.name for entry in following}
        return [entry for entry in entries if entry.name not in names]

    async def _after_refusal(
        self, entries: Sequence[Queued], changes: Mapping[str, Change], error: Exception
    ) -> list[Queued]:
        """The source raised: it is away, or one of the keys is to blame."""
        away = is_outage(error)
        if away and not await self._may_be_the_key(next(iter(changes.values())).key):
            raise Away(str(error)) from error
        if len(changes) > 1:
            return await self._apply_halves(entries)
        if away:
            self._blamed += 1
            await self._set_aside(entries, error)
        else:
            await self._park(entries, error)
        return []

    async def _apply_halves(self, entries: Sequence[Queued]) -> list[Queued]:
        """Apply entries that were refused together."""
        half = len(entries) // 2
        first, rest = await self._apply(entries[:half]), entries[half:]
        if len(first) == half and len({entry.name for entry in rest}) > 1:
            # It is not in the first half, so the rest would be refused together once more.
            return [*first, *await self._apply_halves(rest)]
        return [*first, *await self._apply(rest)]

    async def _may_be_the_key(self, key: Any) -> bool:
        """Whether the source, which seemed away again and again, answers, and has not refused key after key."""
        if self.failures < PATIENCE or self._blamed >= PATIENCE:
            return False
        return await self._applier.answers(key)

    # ---------------------------------------------------------------- settling

    async def _settle(self, entries: Sequence[Queued], stream: str) -> None:
        """The source has these: nothing is pending of them, and what was made from the rows before is wrong."""
        if not entries:
            return
        await self.at.uncover(self.place, {entry.name: entry.version for entry in entries})
        await self._forget(entries)
        await self.at.remove(self.place, stream, [entry.id for entry in entries])

    async def _forget(self, entries: Sequence[Queued]) -> None:
        keys, tags = self._touched(entries)
        store = await self._engine.open()
        try:
            if store is not None:
                await store.invalidate(keys, tags)
        finally:
            self._engine.flights.invalidate(keys, tags)

    def _touched(self, entries: Sequence[Queued]) -> tuple[list[str], list[str]]:
        names = list({entry.name for entry in entries})
        table = self.at.queue.table
        rows = [row_tag_of(name, table) for name in names]
        return names, [*rows, matches_of(table), table, *self._how.dirties]

    # ---------------------------------------------------------------- parked

    @property
    def next_due(self) -> float:
        """When the first parked key wants another try; infinity for never."""
        return min((parked.due for parked in self.parked.values()), default=float("inf"))

    async def _load_parked(self) -> None:
        """Parked entries that this worker has not seen: of its predecessor, or revived by somebody."""
        found = await self.at.lying(self.place.parked, self._last_parked_id)
        if not found:
            return
        tries = await self.at.tries(self.place)
        for entry in found:
            parked = self.parked.setdefault(entry.name, Parked())
            parked.entries.append(entry)
            parked.tries = tries.get(entry.name, 0)
            self._dead.discard(entry.name)
        self._last_parked_id = f"({found[-1].id.decode()}"
        self.newest_parked = version_of(found[-1].id)

    async def _move_to_parked(self, entries: Sequence[Queued]) -> None:
        ids = await self.at.move(entries, self.place.stream, self.place.parked, place=self.place)
        if len(ids) != len(entries):
            raise Overtaken("entries were settled by another worker")
        await self._load_parked()

    async def _park(self, entries: Sequence[Queued], error: Exception) -> None:
        """The source refuses what these entries of one key come to."""
        await self._move_to_parked(entries)
        await self._failed(entries[0].name, error)

    async def _set_aside(self, entries: Sequence[Queued], error: Exception) -> None:
        """The same, where it cannot be said whether the key is to blame: no delivery is counted."""
        await self._move_to_parked(entries)
        self._back_off(entries[0].name, self.failures)
        self._engine.tell("write_refused", entries[0].name, detail="set aside", error=error)

    def _back_off(self, name: str, failures: int) -> None:
        parked = self.parked[name]
        parked.due = self._engine.monotonic() + self._pause(failures)
        parked.applied = self.applied

    async def _failed(self, name: str, error: Exception) -> None:
        """One delivery more: back off, or give up."""
        parked = self.parked[name]
        parked.tries = await self.at.count_try(self.place, name)
        self._engine.tell("write_refused", name, detail=f"delivery {parked.tries}", error=error)
        if parked.tries < self._how.deliveries:
            self._back_off(name, parked.tries - 1)
            return
        for entry in parked.entries:
            entry.deliveries = parked.tries
        cause = f"{type(error).__name__}: {error}"[:2000]
        await self.at.move(
            parked.entries, self.place.parked, self.place.dead, place=self.place, cause=cause
        )
        await self.at.forget_tries(self.place, [name])
        del self.parked[name]
        self._dead.add(name)
        self._engine.tell("write_dead", name, detail=cause, error=error)

    def _pause(self, failures: int) -> float:
        return pause(failures, first=FIRST_PAUSE, most=LONGEST_PAUSE, draw=self._engine.draw())

    async def _revive(self, names: set[str]) -> None:
        """Dead changes of these keys are parked again, before what came later."""
        entries = [e for e in await self.at.lying(self.place.dead) if e.name in names]
        await self.at.move(entries, self.place.dead, self.place.parked, place=self.place)
        for name in names:
            self._dead.discard(name)
            self.parked.setdefault(name, Parked())
        await self._load_parked()

    async def _try_parked(self, stopped: Callable[[], bool]) -> None:
        now = self._engine.monotonic()
        for name in [name for name, parked in self.parked.items() if parked.due <= now]:
            if stopped():
                return
            await self._try(name, self.parked[name].entries)

    async def _try(self, name: str, entries: list[Queued]) -> None:
        """Apply all that is parked of one key."""
        if not entries:
            del self.parked[name]
            return
        try:
            changes, unreadable = self._applier.changes(entries)
            for error in unreadable.values():
                raise error
            await self._advance(
                list(changes.values()), replace(self._progress, retried=entries[-1].version)
            )
        except Overtaken:
            raise
        except Exception as error:
            # Where others were taken since the last try, it is the key and not the source.
            if is_outage(error) and self.applied == self.parked[name].applied:
                raise Away(str(error)) from error
            await self._failed(name, error)
            return
        self.applied += len(entries)
        await self._settle_parked(name, entries)

    async def _settle_parked(self, name: str, entries: Sequence[Queued]) -> None:
        await self._settle(entries, self.place.parked)
        await self.at.forget_tries(self.place, [name])
        del self.parked[name]

    async def _settle_retried(self) -> None:
        """What was applied last of a parked key, by whoever could not say so any more."""
        for name, parked in list(self.parked.items()):
            versions = [entry.version for entry in parked.entries]
            if self._progress.retried in versions:
                done = 1 + versions.index(self._progress.retried)
                rest = parked.entries[done:]
                await self._settle_parked(name, parked.entries[:done])
                if rest:
                    self.parked[name] = Parked(rest)

    def postpone(self) -> float:
        """The source is away: when to try again, as a pause in seconds."""
        pause_ = self._pause(self.failures)
        self.failures += 1
        self.due = self._engine.monotonic() + pause_
        return pause_
