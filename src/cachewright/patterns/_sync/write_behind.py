# Generated from _async/write_behind.py by tools/unasync.py. Do not edit.
"""Write-behind: a write is acknowledged when it is in a durable queue; workers bring it to the source in batches.

Rules kept here (tests/patterns/_sync/test_write_behind.py and its controls would catch their loss):
- a read sees every write that was acknowledged before it, also when the cached value is gone: what is pending is
  asked before the source, and what is patched is asked again after it;
- nothing of a write that was refused is seen, and a write that was not acknowledged raises;
- of one key, later writes are queued behind earlier ones; within one call the last wins;
- a filter of existing rows is told of a row before it is queued: no door that asks the filter takes it for absent.

What must not be here: the server's side of the queue (`queue`), bringing changes to the source (`draining`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from cachewright._sync.cache import Cache
from cachewright._waits import threads
from cachewright.core.keys import as_key
from cachewright.core.policy import Seconds, seconds
from cachewright.core.tags import table_tag, user_tag
from cachewright.errors import ConfigurationError, QueueFull, RemoteError
from cachewright.observe.events import logger
from cachewright.patterns._sync.draining import Worker
from cachewright.patterns._sync.enqueuing import Enqueuer, Draft
from cachewright.patterns._sync.queue import Queue
from cachewright.patterns.changes import Backlog, Record, merge, pause
from cachewright.patterns.naming import checked_name, dirty_tags, row_key, row_tags, table_of
from cachewright.patterns.queue_options import QueueOptions
from cachewright.patterns.sources import Kind
from cachewright.types import ABSENT, MISSING, Key

MIXTURES = 20
"""How often a row is read anew because patches of it moved meanwhile."""


class WriteBehind:
    """Rows of one source, written to a queue first. The options are those of `QueueOptions`.

    The first call looks at the server and raises `ConfigurationError` if it could lose the queue. Writes raise `RemoteError`
    when they were not acknowledged: the write may have been queued nevertheless, as with any database commit.
    """

    def __init__(self, cache: Cache, source: Any, **options: Any) -> None:
        self.options = chosen = QueueOptions(**options)
        self.cache = cache
        self.source = source
        self.name = chosen.name or checked_name(source.name)
        self.policy = chosen.policy or cache.policy
        self._existing = chosen.existing
        self._table = table_of(source)
        table = user_tag(table_tag(self._table))
        self.queue = Queue(cache.engine, self.name, chosen, table=table)
        self._merge: Callable[[Any, Mapping[str, Any]], Any] = getattr(source, "merge", merge)
        self._enqueuer = Enqueuer(cache, self.queue, self.policy, rows=self._table)
        self._ready = False
        self._closed = False
        self.worker = Worker(
            cache, self.queue, source=source, options=chosen, merging=self._merge
        )
        cache.engine.on_leave.append(self._leave)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} over {self.cache!r}>"

    # ---------------------------------------------------------------- life

    def open(self, *, worker: bool | None = None) -> None:
        """Look at the server, and start the worker. Any other call does so as well.

        `worker`: the option of that name unless given. Raises `ConfigurationError` for a server that could lose the queue,
        `RemoteError` for one that is away.
        """
        if self._closed:
            raise ConfigurationError(f"the write-behind {self.name} is closed")
        if not self._ready:
            self.cache.engine.open()
            try:
                self.queue.check(look=self.options.durability_checked)
            except BaseException:
                self.queue.reset()  # who is refused will not come back to close it
                raise
            self._ready = True
        if self.options.worker if worker is None else worker:
            self.worker.start()

    def _leave(self) -> None:
        """In another process or loop: connections and workers belong elsewhere."""
        self._ready = False

    def close(self, timeout: Seconds | None = None) -> bool:
        """Bring what is queued to the source for up to `timeout` seconds, then stop; whether all of it got there.

        None: the option `drain_timeout`. A door without a worker waits for nothing, and none for what the source refused.

        What did not stays in the queue, for other workers or the next start, and is told of: `queue_left`. Closes the queue, not
        the cache.
        """
        if self._closed:
            return True
        done, self._closed = True, True  # what is written from now on is refused
        if self._ready:
            given = self.options.drain_timeout if timeout is None else timeout
            limit = seconds("timeout", given)
            try:
                if self.options.worker:
                    self.worker.revive()
                    done = self._flush(limit, parked=False) or self._tell_left(limit)
            except RemoteError:  # the server is away, and keeps what is queued
                done = False
            self.worker.stop()
        self.queue.close()
        return done

    def _tell_left(self, limit: float) -> bool:
        """Say how much is not done, loudly unless there was no time for it; False."""
        left = sum(each.entries for each in self.queue.backlog())
        detail = (
            f"{left} changes stay in the queue of the server, for other workers or the next start"
        )
        self.cache.engine.tell("queue_left", detail=detail)
        if limit > 0:
            logger.warning("queue %s is closed after %g s: %s", self.name, limit, detail)
        return False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- reading

    def get(self, key: Any, default: Any = MISSING) -> Any:
        """The row as last written, or `default`. Raises what the source raises."""
        self.open()
        identity = self.source.identity(key)
        # As the text that it is in the table of L1, a hit needs no further thought.
        return self.cache.get_or_load(
            as_key(row_key(self.name_of_rows, identity)),
            partial(self._load, identity),
            tags=row_tags(self._table, identity),
            default=default,
            policy=self.policy,
        )

    def get_many(self, keys: Iterable[Any], default: Any = MISSING) -> dict[Any, Any]:
        """The rows by key as given, in that order; those that are absent are left out, unless `default` is given."""
        self.open()
        given = {key: self.source.identity(key) for key in keys}
        asked: dict[Key, Any] = {
            row_key(self.name_of_rows, it): it for it in dict.fromkeys(given.values())
        }
        found = self.cache.get_or_load_many(
            asked,
            partial(self._load_many, asked),
            tags=lambda key: row_tags(self._table, asked[key]),
            default=default,
            policy=self.policy,
        )
        rows = {key: found[row_key(self.name_of_rows, it)] for key, it in given.items()}
        return {key: row for key, row in rows.items() if row is not MISSING}

    @property
    def name_of_rows(self) -> str:
        """What the keys and tags of rows begin with: the source's name, in every pattern."""
        return str(self.source.name)

    def _load(self, identity: Any) -> Any:
        key = row_key(self.name_of_rows, identity)
        return (self._load_many({key: identity}, [key])).get(key, ABSENT)

    def _load_many(self, asked: Mapping[Key, Any], keys: Sequence[Key]) -> dict[Key, Any]:
        """What is pending, else what the source has."""
        names = {self.cache.reads.name(key): key for key in keys}
        for _ in range(MIXTURES):
            pending = self.queue.pending(names)
            partly = [name for name, log in pending.items() if log[0].kind == "patch"]
            wanted = [asked[key] for name, key in names.items() if name not in pending]
            wanted += [asked[names[name]] for name in partly]
            rows = self._rows(wanted) if wanted else {}
            # A row that was read while its patches moved would be a mixture that it never was.
            again = self.queue.pending(partly)
            if all(
                name in again and _newest(again[name]) == _newest(pending[name]) for name in partly
            ):
                break
        found = {key: rows.get(asked[key], ABSENT) for key in keys}
        for name, log in pending.items():
            found[names[name]] = self._overlaid(name, found[names[name]], log)
        return {key: value for key, value in found.items() if value is not ABSENT}

    def _rows(self, identities: Sequence[Any]) -> dict[Any, Any]:
        if len(identities) == 1:
            row = threads.call_load(self.source.load, (identities[0],), None)
            return {} if row is ABSENT else {identities[0]: row}
        rows = threads.call_load(self.source.load_many, (identities,), None)
        return {self.source.identity(key): row for key, row in rows.items()}

    def _overlaid(self, name: str, value: Any, log: Sequence[Record]) -> Any:
        for record in log:
            if record.kind == "delete":
                value = ABSENT
            elif record.kind == "put":
                value = self._enqueuer.value(name, record)
            else:
                value = self._merge(value, self._enqueuer.value(name, record))
        return value

    # ---------------------------------------------------------------- writing

    def put(self, value: Any) -> None:
        """Write a row: acknowledged when this returns. Raises `QueueFull` and `RemoteError`."""
        self.put_many([value])

    def put_many(self, values: Iterable[Any]) -> None:
        """Write rows, in one round trip for some hundred of them. Of one key the last wins."""
        rows = list(values)
        self._write(self._drafts("put", list(map(self.source.key_of, rows)), rows))

    def patch(self, key: Any, fields: Mapping[str, Any]) -> None:
        """Change some fields of a row; a row that does not exist stays so."""
        self._write(self._drafts("patch", [self.source.identity(key)], [dict(fields)]))

    def delete(self, *keys: Any) -> None:
        """Delete rows: they are absent for every read from now on."""
        self._write(
            self._drafts("delete", list(map(self.source.identity, keys)), [ABSENT] * len(keys))
        )

    def _drafts(self, kind: Kind, identities: list[Any], values: list[Any]) -> list[Draft]:
        names = self._names(identities)
        return [
            Draft(name, kind, identity, value)
            for name, identity, value in zip(names, identities, values, strict=True)
        ]

    def _names(self, identities: list[Any]) -> list[str]:
        """The keys of rows as they are known below the public verbs."""
        spelled, table = self.cache.reads.name, self.name_of_rows
        if len(identities) > 1 and all(type(it) is int for it in identities):
            # They differ in their last part alone, and a number is spelled as itself.
            start = spelled(row_key(table, 0))[:-1]
            return [f"{start}{it}" for it in identities]
        return [spelled(row_key(table, it)) for it in identities]

    def _write(self, drafts: Sequence[Draft]) -> None:
        self.open()
        waiting = list({draft.name: draft for draft in drafts}.values())
        self._announce(waiting)
        left = seconds("patience", self.options.patience)  # of real time, as workers run in it
        turns = 0
        while waiting:
            waiting = self._enqueuer.enqueue(waiting)
            self.worker.queued(len(drafts))
            if waiting and self.options.when_full == "write_through":
                waiting = [draft for draft in waiting if not self._through(draft)]
            if not waiting:
                return
            if self.options.when_full == "refuse" or left <= 0:
                raise QueueFull(
                    f"queue {self.name} is full: {len(waiting)} of {len(drafts)} changes were refused"
                )
            self.worker.nudge()
            rest = pause(turns, first=0.01, most=0.25, draw=self.cache.engine.draw())
            threads.wall_sleep(min(rest, left))
            left -= rest
            turns += 1

    def _announce(self, drafts: Sequence[Draft]) -> None:
        """Rows that may be new."""
        puts = [draft.identity for draft in drafts if draft.kind == "put"]
        if puts and self._existing is not None:
            self._existing.add(*puts)

    def _through(self, draft: Draft) -> bool:
        """Write to the source itself; False where something older of the key waits, which would overwrite it."""
        if draft.behind:
            return False
        self._announce([draft])
        with self.cache.writing(
            keys=[row_key(self.name_of_rows, draft.identity)],
            tags=dirty_tags(self._table, [draft.identity]),
        ):
            if draft.kind == "put":
                threads.call_load(self.source.save, (draft.value,), None)
            elif draft.kind == "delete":
                threads.call_load(self.source.delete, (draft.identity,), None)
            else:
                row = (self._rows([draft.identity])).get(draft.identity, ABSENT)
                if row is not ABSENT:
                    threads.call_load(self.source.save, (self._merge(row, draft.value),), None)
        return True

    # ---------------------------------------------------------------- the queue

    def flush(self, timeout: Seconds = 30.0) -> bool:
        """Wait until all that was acknowledged before this call has reached the source; whether it has in time.

        Any worker may bring it there. Dead letters are not waited for; parked changes are.
        """
        self.open()
        return self._flush(timeout)

    def _flush(self, timeout: Seconds, *, parked: bool = True) -> bool:
        ends = self.queue.ends()
        self.queue.ask_to_flush()
        # Real time, as the workers run in it.
        left = seconds("timeout", timeout)
        step = 0.01
        while True:
            begins = self.queue.begins()
            if all(
                _reached(end, *begin, wants_parked=parked)
                for end, begin in zip(ends, begins, strict=True)
            ):
                return True
            if left <= 0:
                return False
            self.worker.nudge()
            threads.wall_sleep(min(step, left))
            left -= step
            step = min(2 * step, 0.1)

    def backlog(self) -> list[Backlog]:
        """Each partition: entries that wait, the age of the oldest in seconds, parked and dead changes."""
        self.open()
        return self.queue.backlog()


def _newest(log: Sequence[Record]) -> str:
    """The version of the last change in an overlay's log."""
    return log[-1].version


def _reached(end: str, waiting: str, parked: str, *, wants_parked: bool) -> bool:
    """Whether nothing up to the version `end` waits, and nothing is parked where that matters."""
    return not (waiting and waiting <= end) and not (wants_parked and parked)
