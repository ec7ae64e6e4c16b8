# Generated from _async/write_through.py by tools/unasync.py. Do not edit.
"""Write-through: a write goes to the source, and what the source then holds is in the cache when the call returns.

Rules kept here (tests/patterns/_sync/test_write_through.py):
- the source first: before its commit the old value is marked everywhere, and the new one is nowhere; after it the stored
  row is filled, with defaults and what triggers made of it, and never the value that was passed in;
- a fill is that of `_sync.filling`: an older row cannot land on a newer one, whoever is slow;
- once the source has committed, no error of the cache is raised: what it could not be told is repaired;
- where the caller's transaction is joined, all of this happens at its commit, and nothing at its rollback.

What must not be here: SQL, products, and the protocol of marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from cachewright._sync.cache import Cache
from cachewright._sync.filling import FillingWrite
from cachewright._sync.leases import Leases
from cachewright._sync.loading import Loader
from cachewright._sync.looking import Looker
from cachewright.core.policy import Policy, Seconds
from cachewright.core.reads import Tags, dead_tags, listed, spell_tags
from cachewright.errors import CacheError, ConfigurationError, RemoteError
from cachewright.patterns._sync.existing import Existing
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.patterns.identities import Identity
from cachewright.patterns.joining import enlist
from cachewright.patterns.naming import dirty_tags, row_reads, table_of
from cachewright.patterns.sources import Conflict
from cachewright.types import ABSENT, MISSING

Consistency: TypeAlias = Literal["strict", "available"]


class CommitOfRows:
    """Around one commit of the source: `begin` before it; `committed` when it has returned; `end` in any case."""

    def __init__(self, write: FillingWrite, names: Mapping[Identity, str]) -> None:
        self._write = write
        self._names = names

    def begin(self) -> None:
        """Mark. Raises `RemoteError` for a strict write that cannot be told to everybody: do not commit then."""
        self._write.__enter__()

    def committed(self, rows: Mapping[Identity, Any], *, seconds: float = 0.0) -> None:
        """What the source holds now, by identity, `ABSENT` for a row that is gone; rows left out are not filled."""
        names = self._names
        self._write.committed({names[it]: row for it, row in rows.items() if it in names}, seconds)

    def end(self) -> None:
        """End the marks, and fill what was committed."""
        self._write.__exit__(None, None, None)


@dataclass(frozen=True, slots=True)
class _Change:
    """One write. `run` is a verb of the source; `brings` says what its result shows of rows that it holds locked."""

    run: Callable[..., Any]
    brings: Callable[[Any], dict[Identity, Any]]
    identities: Sequence[Identity] = ()
    """Rows that it may change whatever its result shows."""
    tags: Sequence[Any] = ()
    values: Sequence[Any] = ()
    """What is to be stored, for a source that is marked before it is called."""

    def touches(self, rows: Mapping[Identity, Any]) -> list[Identity]:
        """All rows that the write may have changed, given those that its result shows."""
        return list(dict.fromkeys([*self.identities, *rows]))


class WriteThrough:
    """Rows of one source, read and written through one cache.

    `consistency`, for when the cache's server cannot be told of a write:
    - "available": the write goes through. Other processes may serve the old row, up to its TTL, until the link of this
      process is back and the repair is sent; this process does not.
    - "strict": the write is refused with `RemoteError` before the source commits, so nobody is ever served a row that
      was replaced, beyond the bus latency.

    `policy`: how long and how fresh, the cache's own unless given. `limit`: seconds that the source may take to commit;
    a writer that dies in between leaves misses for so long. `existing`: a filter of the rows that there are, which is told
    of each row before its commit.
    """

    def __init__(
        self,
        cache: Cache,
        source: Any,
        *,
        consistency: Consistency = "available",
        policy: Policy | None = None,
        limit: Seconds = 30.0,
        existing: Existing | None = None,
    ) -> None:
        if consistency not in ("strict", "available"):
            raise ConfigurationError(f'consistency is "strict" or "available", not {consistency!r}')
        self.cache = cache
        self.source = source
        self.consistency = consistency
        self.policy = policy or cache.policy
        self._limit = limit
        self._existing = existing
        self._through = ReadThrough(cache, source, policy=policy, existing=existing)
        self._leases = Leases(cache.engine)
        self._loader = Loader(cache.engine, Looker(cache.engine), self._leases)

    # ---------------------------------------------------------------- reading

    def key(self, key: Any) -> tuple[Any, ...]:
        """The cache key of a row."""
        return self._through.key(key)

    def get(self, key: Any, default: Any = MISSING, *, verify: bool = False) -> Any:
        """The row, or `default` where the source has none; see `ReadThrough.get`."""
        return self._through.get(key, default, verify=verify)

    def get_many(self, keys: Iterable[Any], default: Any = MISSING) -> dict[Any, Any]:
        """The rows by key as given; see `ReadThrough.get_many`."""
        return self._through.get_many(keys, default)

    def invalidate(self, *keys: Any) -> None:
        """Forget rows that something else has written, in every process."""
        self._through.invalidate(*keys)

    # ---------------------------------------------------------------- writing

    def put(
        self, value: Any, *, expected: Any = MISSING, session: Any = None, tags: Tags = ()
    ) -> Any:
        """Insert or update a row; returns it as the source has stored it.

        `expected`: the version that the row must still have, `ABSENT` for none; else the source's `Conflict` is raised,
        nothing is written, and the next read loads. `session`: the transaction to write in. `tags`: what else the write
        makes wrong, such as a cached list that the row is in. Raises what the source raises, and `RemoteError` if the
        write is strict and the cache's server cannot be told: the source then holds what it held.
        """
        how = {} if expected is MISSING else {"expected": expected}
        change = _Change(
            partial(self.source.save, value, **how),
            lambda row: {self.source.key_of(row): row},
            tags=listed(tags),
            values=[value],
        )
        return self._write(change, session)

    def put_many(
        self, values: Sequence[Any], *, session: Any = None, tags: Tags = ()
    ) -> list[Any]:
        """`put` for many rows, in one transaction of the source; the stored rows in the order of the values."""
        values = list(values)
        if not values:
            return []
        change = _Change(
            partial(self.source.save_many, values),
            lambda rows: {self.source.key_of(row): row for row in rows},
            tags=listed(tags),
            values=values,
        )
        return list(self._write(change, session))

    def patch(
        self,
        key: Any,
        changes: Mapping[str, Any],
        *,
        expected: Any = MISSING,
        session: Any = None,
        tags: Tags = (),
    ) -> Any:
        """Change some fields of a row; returns the whole row as stored, or `ABSENT` if there is none."""
        identity = self.source.identity(key)
        how = {} if expected is MISSING else {"expected": expected}
        change = _Change(
            partial(self.source.patch, identity, changes, **how),
            # Of a row that is not there the source holds no lock: somebody may have inserted it by now.
            lambda row: {} if row is ABSENT else {identity: row},
            [identity],
            listed(tags),
        )
        return self._write(change, session)

    def delete(self, key: Any, *, session: Any = None, tags: Tags = ()) -> bool:
        """Delete a row; whether there was one. That it is gone is cached, for the policy's `negative_ttl`."""
        identity = self.source.identity(key)
        change = _Change(
            partial(self.source.delete, identity),
            lambda found: {identity: ABSENT} if found else {},
            [identity],
            listed(tags),
        )
        return bool(self._write(change, session))

    def delete_many(
        self, keys: Iterable[Any], *, session: Any = None, tags: Tags = ()
    ) -> int:
        """Delete rows; how many there were. One statement where the source has one for it."""
        identities = list(dict.fromkeys(map(self.source.identity, keys)))
        verb = getattr(self.source, "delete_many", None)
        if verb is None:
            gone = [self.delete(each, session=session, tags=tags) for each in identities]
            return sum(gone)
        if not identities:
            return 0
        change = _Change(
            partial(verb, identities),
            lambda found: dict.fromkeys(identities, ABSENT) if found == len(identities) else {},
            identities,
            listed(tags),
        )
        return int(self._write(change, session))

    # ---------------------------------------------------------------- around the commit

    def commit_of(self, identities: Iterable[Identity], tags: Tags = ()) -> CommitOfRows:
        """What to do around a commit of these rows that somebody else makes."""
        cache, name, table = self.cache, self.source.name, table_of(self.source)
        reads = row_reads(cache.reads, name, identities, table=table, policy=self.policy)
        dirty = [*spell_tags(dirty_tags(table, reads)), *dead_tags(tags)]
        write = FillingWrite(
            cache.engine,
            self._leases,
            self._loader,
            reads=list(reads.values()),
            tags=list(dict.fromkeys(dirty)),
            strict=self.consistency == "strict",
            limit=self._limit,
        )
        return CommitOfRows(write, {it: read.key for it, read in reads.items()})

    def _write(self, change: _Change, session: Any) -> Any:
        ambient = getattr(self.source, "ambient", None)
        session = ambient() if session is None and ambient is not None else session
        try:
            if session is not None:
                return self._joined(change, session)
            begin = getattr(self.source, "transaction", None)
            if begin is None:
                return self._around(change)
            return self._inside(begin, change)
        except Conflict as conflict:
            # What the caller had read is older than the source, and may be what is cached.
            if session is None:
                self.invalidate(conflict.key)
            raise

    def _joined(self, change: _Change, session: Any) -> Any:
        how = getattr(session, "verb_options", {"connection": session})
        result = change.run(**how)
        touched = change.touches(change.brings(result))
        self._announce(touched)
        enlist(session, self, touched, change.tags)
        return result

    def _inside(self, begin: Callable[[], Any], change: _Change) -> Any:
        """In a transaction of ours: marked when the rows are known and locked, just before the commit."""
        commit: CommitOfRows | None = None
        began = self.cache.engine.monotonic()
        try:
            with begin() as connection:
                result = change.run(connection=connection)
                rows = change.brings(result)
                commit = self._begun(change.touches(rows), change.tags)
            commit.committed(rows, seconds=self.cache.engine.monotonic() - began)
        finally:
            if commit is not None:
                commit.end()
        return result

    def _around(self, change: _Change) -> Any:
        """Around a verb of the source that commits by itself: marked before the source hears of it."""
        began = self.cache.engine.monotonic()
        known = [*change.identities, *self._known(change.values)]
        commit = self._begun(known, change.tags) if known or change.tags else None
        try:
            result = change.run()
            rows = change.brings(result)
            if commit is not None:
                commit.committed(rows, seconds=self.cache.engine.monotonic() - began)
        finally:
            if commit is not None:
                commit.end()
        unmarked = rows.keys() - set(known)
        if unmarked:  # the source gave them their ids: until now they were known as absent at most
            self._announce(unmarked)
            with suppress(RemoteError):  # told, and repaired
                self.invalidate(*unmarked)
        return result

    def _begun(
        self, identities: Iterable[Identity], tags: Sequence[Any]
    ) -> CommitOfRows:
        identities = list(identities)
        self._announce(identities)
        commit = self.commit_of(identities, tags)
        commit.begin()
        return commit

    def _announce(self, identities: Iterable[Identity]) -> None:
        if self._existing is not None:
            self._existing.add(*identities)

    def _known(self, values: Sequence[Any]) -> list[Identity]:
        """The identities that values have before they are stored; some are given by the source."""
        found: list[Identity] = []
        for value in values:
            try:
                found.append(self.source.key_of(value))
            except (CacheError, LookupError, AttributeError):
                continue
        return list(dict.fromkeys(found))
