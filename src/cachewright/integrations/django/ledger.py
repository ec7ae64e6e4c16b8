"""What a transaction of Django has made wrong: marked as it writes, done with when it has committed or was rolled back.

Django says nothing before a commit, so the marks are set with each statement, before anybody can see what it wrote, and
are renewed until the transaction ends. Nor does it say that one was rolled back, also to a savepoint: but it drops the
callbacks of `on_commit`, and with ours the marks end. A mark that outlives its write costs misses only.
What must not be here: what a statement writes (`statements`), and what a mark is.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable
from typing import Any, Self, TypeAlias

from django.db import transaction

from cachewright import Cache
from cachewright._sync.redis import RedisStore
from cachewright._sync.writing import Writing

MAX_TAGS = 256
"""As many tags are marked one by one in a transaction; what it writes beyond is marked by the table."""

LIMIT = 30.0
"""Seconds that a mark lasts without a sign of life of its writer."""


class OpenWrite(Writing):
    """A write that learns what it makes wrong as it goes on."""

    _new: list[str]

    def __enter__(self) -> Self:
        """Mark what is known by now."""
        self._new = list(self._tags)
        return super().__enter__()

    def cover(self, tags: Iterable[str]) -> None:
        """Mark these too, if they are not marked yet. Raises `RemoteError` for a strict cache that cannot mark."""
        more = [tag for tag in tags if tag not in self._tags]
        if more:
            self._new = more
            self._tags = [*self._tags, *more]  # a new list: the renewals may be reading the old one
            self._mark(always_tell=True)

    @property
    def covered(self) -> Collection[str]:
        """The tags that are marked."""
        return self._tags

    def committed(self) -> None:
        """It is done: the marks end."""
        self.__exit__(None, None, None)

    dropped = committed
    """It was rolled back: the marks end too."""

    def _mark_at(self, store: RedisStore, *, renewing: bool) -> int:
        tags = self._tags if renewing else self._new
        return store.mark(self._keys, tags, self._token, lasting=self._limit, renewing=renewing)


class LateWrite:
    """A write that is told of when it is done, and of which a crash in between leaves old results."""

    def __init__(self, cache: Cache, tags: Iterable[str]) -> None:
        self._cache = cache
        self.covered: dict[str, None] = dict.fromkeys(tags)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.committed()  # also after an error: whether the database committed before it, nobody here knows

    def cover(self, tags: Iterable[str]) -> None:
        """These too."""
        self.covered.update(dict.fromkeys(tags))

    def committed(self) -> None:
        """Tell of it."""
        self._cache.engine.invalidate([], list(self.covered))

    def dropped(self) -> None:
        """Nothing happened."""


Write: TypeAlias = OpenWrite | LateWrite


class Writes:
    """Begins writes. `crash_safe`: with marks before the commit, which cost a round trip more."""

    def __init__(self, cache: Cache, *, crash_safe: bool) -> None:
        self._cache = cache
        self._crash_safe = crash_safe

    def of(self, tags: list[str]) -> Write:
        """A write that makes these tags wrong, spelled with their kind; to be entered before its commit."""
        return self.marked(tags) if self._crash_safe else LateWrite(self._cache, tags)

    def marked(self, tags: list[str]) -> OpenWrite:
        """The same with marks, whatever was chosen."""
        cache = self._cache
        return OpenWrite(cache.engine, cache._leases, [], tags, strict=False, limit=LIMIT)


class Pending:
    """What Django calls at the commit and drops at a rollback; either way the write ends, once."""

    def __init__(self, write: Write | None) -> None:
        self.write = write
        self._dropped = weakref.finalize(self, _nothing if write is None else write.dropped)
        self._dropped.atexit = False

    def __call__(self) -> None:
        """The commit."""
        if self._dropped.detach() is not None and self.write is not None:
            self.write.committed()

    @property
    def ended(self) -> bool:
        """Whether it was called."""
        return not self._dropped.alive


def _nothing() -> None:
    """There were no marks."""


class Ledger:
    """What one connection has written since its transaction began. Used by the connection's own thread alone."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes
        # Only Django holds them, so that they end with what it drops.
        self._pending: weakref.WeakValueDictionary[tuple[str, ...], Pending] = (
            weakref.WeakValueDictionary()
        )
        self._manual: Pending | None = None

    def open(self) -> bool:
        """Whether the transaction under way has written, or has asked for locks: the cache knows less than it."""
        return self._manual is not None or any(not it.ended for it in self._pending.values())

    def begun(self, connection: Any) -> None:
        """Note that the transaction reads for itself from now on, without anything being wrong."""
        within = tuple(connection.savepoint_ids)
        if connection.in_atomic_block and not self._within(within):
            self._enlist(connection, within, Pending(None))

    def wrote(self, connection: Any, tags: list[str]) -> None:
        """Mark what a statement wrote, until the transaction ends."""
        if not connection.in_atomic_block:
            self._wrote_by_hand(tags)
            return
        within = tuple(connection.savepoint_ids)
        if self._within(within) and set(tags) <= self._covered(within):
            return
        own = self._pending.get(within)
        if own is not None and own.write is not None and not own.ended:
            own.write.cover(tags)
            return
        self._enlist(connection, within, Pending(self._writes.of(tags).__enter__()))

    def size(self, connection: Any) -> int:
        """How many tags are marked by what would outlive the present savepoint."""
        return len(self._covered(tuple(connection.savepoint_ids)))

    def _covered(self, within: tuple[str, ...]) -> set[str]:
        marked = (it.write.covered for it in self._within(within) if it.write is not None)
        return {tag for tags in marked for tag in tags}

    def settle(self) -> None:
        """The connection commits each statement by itself again: what was written by hand has ended."""
        if self._manual is not None:
            manual, self._manual = self._manual, None
            manual()

    def _within(self, savepoints: tuple[str, ...]) -> list[Pending]:
        """Those that are dropped no earlier than what is written now."""
        found = (self._pending.get(savepoints[:n]) for n in range(len(savepoints) + 1))
        return [it for it in found if it is not None and not it.ended]

    def _enlist(self, connection: Any, within: tuple[str, ...], pending: Pending) -> None:
        transaction.on_commit(pending, using=connection.alias)
        self._pending[within] = pending

    def _wrote_by_hand(self, tags: list[str]) -> None:
        """`set_autocommit(False)` without `atomic`: nobody tells of the commit, so the marks stay until it is over."""
        if self._manual is None or self._manual.write is None:
            self._manual = Pending(self._writes.marked(tags).__enter__())
        else:
            self._manual.write.cover(tags)
