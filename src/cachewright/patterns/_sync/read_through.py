# Generated from _async/read_through.py by tools/unasync.py. Do not edit.
"""Read-through: the application asks for rows, one or many, and never says how they are loaded.

Rules kept here (tests/patterns/_sync/test_read_through.py):
- results are keyed by the caller's own keys, whatever spells the same row (`"1"` and `1`), each row asked for once;
- all misses of a batch are one `load_many`; a row that it does not bring is absent and remembered as such;
- what a load raises reaches the caller, and nothing of that statement is stored.

What must not be here: SQL, and writes to the source.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from cachewright._sync.cache import Cache
from cachewright.core.keys import as_key
from cachewright.core.policy import Policy
from cachewright.patterns._sync.existing import Existing
from cachewright.patterns.naming import (
    checked_name,
    dirty_tags,
    row_key,
    row_reads,
    row_tags,
    table_of,
)
from cachewright.patterns.outcomes import Available
from cachewright.patterns.sources import Source
from cachewright.types import MISSING


class ReadThrough:
    """Rows of one source through one cache.

    `policy`: how long and how fresh, the cache's own unless given; `negative_ttl` says how long an absent row is
    remembered. `existing`: a filter of the rows that there are; what it rules out is absent and asks nobody.
    """

    def __init__(
        self,
        cache: Cache,
        source: Source[Any],
        *,
        policy: Policy | None = None,
        existing: Existing | None = None,
    ) -> None:
        self.cache = cache
        self.source = source
        self.policy = policy or cache.policy
        self._name = checked_name(source.name)
        self._table = table_of(source)
        self._existing = existing

    def key(self, key: Any) -> tuple[Any, ...]:
        """The cache key of a row. Raises `InvalidKey` for what is none of the source's."""
        return row_key(self._name, self.source.identity(key))

    def get(self, key: Any, default: Any = MISSING, *, verify: bool = False) -> Any:
        """The row, or `default` where the source has none. `verify`: checked at the server to be current.

        Raises what the source raises, and `InvalidKey` for a key that no row can have.
        """
        identity = self.source.identity(key)
        if self._existing is not None and self._existing.rules_out(identity):
            return default
        return self.cache.get_or_load(
            # As the text that it is in the table of L1, a hit needs no further thought.
            as_key(row_key(self._name, identity)),
            partial(self.source.load, identity),
            tags=row_tags(self._table, identity),
            default=default,
            verify=verify,
            policy=self.policy,
        )

    def get_many(self, keys: Iterable[Any], default: Any = MISSING) -> dict[Any, Any]:
        """The rows by key as given, in that order. Rows that are absent are left out, unless `default` is given.

        The source is asked once for all that is missing. If that raises, so does this, and nothing that it would have
        brought is stored; `get_available` is for callers who can use a part.
        """
        given = {key: self.source.identity(key) for key in keys}
        found = self._rows(given.values())
        rows = {key: found.get(identity, default) for key, identity in given.items()}
        return {key: row for key, row in rows.items() if row is not MISSING}

    def get_available(self, keys: Iterable[Any]) -> Available:
        """`get_many` for callers who can use a part: what is cached comes back together with the load's error."""
        wanted = list(dict.fromkeys(keys))
        given = {key: row_key(self._name, self.source.identity(key)) for key in wanted}
        try:
            rows = self.get_many(wanted)
        except Exception as error:  # noqa: BLE001 - whatever the source raises is handed over
            cached = self.cache.get_many(dict.fromkeys(given.values()))
            rows = {key: cached[name] for key, name in given.items() if name in cached}
            return Available(rows, [key for key in wanted if key not in rows], error)
        return Available(rows, [key for key in wanted if key not in rows], None)

    def _rows(self, identities: Iterable[Any]) -> dict[Any, Any]:
        """The rows that there are, by identity."""
        possible = self._possible(identities)
        reads = row_reads(
            self.cache.reads, self._name, possible, table=self._table, policy=self.policy
        )
        if not reads:
            return {}
        found = self.cache.batches.values(
            reads, self.source.load_many, name=self._named, default=MISSING
        )
        return {identity: row for identity, row in found.items() if row is not MISSING}

    def _named(self, key: Any) -> str:
        # A source that spells its keys as the database does must not make rows look absent.
        return self.cache.reads.name(row_key(self._name, self.source.identity(key)))

    def _possible(self, identities: Iterable[Any]) -> list[Any]:
        if self._existing is None:
            return list(identities)
        return [it for it in identities if not self._existing.rules_out(it)]

    def invalidate(self, *keys: Any) -> None:
        """Forget rows, and all that was made from them, in every process."""
        identities = [self.source.identity(key) for key in keys]
        self.cache.invalidate(
            *(row_key(self._name, identity) for identity in identities),
            tags=dirty_tags(self._table, identities),
        )
