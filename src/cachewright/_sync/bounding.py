# Generated from _async/bounding.py by tools/unasync.py. Do not edit.
"""Keeps the number of an entry's tags within `max_tags`, by the rule of `core.overflow`.

Invariant (design rule 3; tests/_sync/test_overflow.py and its mutants would catch its loss): a table's stamp takes the
place of others only if it was read before they were seen to be as they are in the entry. Every write that moves one of
them moves the table's too: one before that look is seen by it, a later one finds the table's stamp in the entry. It is
not enough that the table's stamp is older than the lease, as it is for tags that are named late: a part may have come
from memory a moment before this process heard that its row was written, and the row's own stamp is what would tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cachewright._sync.engine import Engine
from cachewright._sync.redis import RedisStore
from cachewright.core.entry import Stamps
from cachewright.core.overflow import collapsed, to_collapse
from cachewright.errors import RemoteError

Gone = dict[str, list[str]]


class Bounder:
    """Bounds the tags of what one cache stores."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._limit = engine.max_tags

    def bounded(
        self, store: RedisStore, wholes: Sequence[tuple[str, Stamps | None]]
    ) -> list[Stamps | None]:
        """For each (key, stamps) the stamps, or fewer that say no less; None if there is no way, which is told.

        Two round trips for all of them, and none where no limit is exceeded.
        """
        gone = [self._gone(key, stamps) for key, stamps in wholes]
        if not any(gone):
            return [
                it if way is not None else None for (_, it), way in zip(wholes, gone, strict=True)
            ]
        tables = dict.fromkeys(table for way in gone for table in way or ())
        members = dict.fromkeys(
            tag for way in gone for group in (way or {}).values() for tag in group
        )
        try:
            made, _ = store.make_stamps(list(tables))
            now = store.stamps(list(members))
        except RemoteError as error:
            self._engine.remote_failed("stamps", error)
            made, now = {}, {}
        return [
            None if stamps is None or way is None else _replaced(stamps, way, made, now)
            for (_, stamps), way in zip(wholes, gone, strict=True)
        ]

    def bounded_locally(self, key: str, stamps: Stamps | None) -> Stamps | None:
        """The same without a server, where the clock is the authority."""
        gone = self._gone(key, stamps)
        if stamps is None or not gone:
            return stamps if gone is not None else None
        engine = self._engine
        with engine.lock:
            return _replaced(stamps, gone, engine.local_stamps.read(gone), engine.tags.known)

    def _gone(self, key: str, stamps: Stamps | None) -> Gone | None:
        """The tags that must go, by table; None where that is not enough, which is told."""
        if stamps is None or len(stamps) <= self._limit:
            return {}
        gone = to_collapse(stamps, self._limit)
        if gone is None:
            detail = f"{len(stamps)} tags, of which too few are of rows; max_tags={self._limit}"
            self._engine.tell("too_many_tags", key, detail=detail)
        return gone


def _replaced(
    stamps: Stamps,
    gone: Gone,
    tables: Mapping[str, bytes | None],
    now: Mapping[str, bytes | None],
) -> Stamps | None:
    """`stamps` with tables in the place of groups; None if one of those has moved, or a table is being written."""
    concrete = {tag: stamp for tag in gone if (stamp := tables.get(tag)) is not None}
    same = all(now.get(tag) == stamps[tag] for group in gone.values() for tag in group)
    return collapsed(stamps, gone, concrete) if same and len(concrete) == len(gone) else None
