"""What a query cache knows of one database: what each statement means, and what a write makes wrong.

What must not be here: events, sessions, results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, TypedDict, cast

import sqlalchemy as sa

from cachewright.core.policy import Seconds, seconds
from cachewright.integrations.sqlalchemy.catalogue import DatabaseCatalogue
from cachewright.integrations.sqlalchemy.marking import EVERYTHING
from cachewright.sql import Analyser, Paramstyle, Statement, Writes, unnamed_write

MOST_SETS = 64
"""So many runs of one statement have their rows named; beyond, its tables count as a whole."""

LEAST_BETWEEN = 5.0
"""Seconds between two looks at the catalogue for names that nobody knows."""

_HARMLESS_SETTING = re.compile(
    r"\s*(?:set\s+(?:session\s+|local\s+)?(?:statement_timeout|lock_timeout|idle_\w+timeout|application_name|work_mem"
    r"|client_min_messages|synchronous_commit|random_page_cost|enable_\w+|names|character)\b"
    r"|(?:fetch|close|move|declare|listen|unlisten|deallocate)\b"
    r"|pragma\s+(?!.*(?:read_uncommitted|case_sensitive_like)))",
    re.IGNORECASE,
)


class Told(TypedDict, total=False):
    """What a query cache is told of its databases: see `QueryCache`."""

    also: Mapping[str, Iterable[str]] | None
    tracked: Mapping[str, Iterable[Sequence[str]]] | None
    pure: Collection[str]
    images: bool
    schema_ttl: Seconds


def knows(
    *,
    also: Mapping[str, Iterable[str]] | None = None,
    tracked: Mapping[str, Iterable[Sequence[str]]] | None = None,
    pure: Collection[str] = (),
    images: bool = True,
    schema_ttl: Seconds = 300.0,
) -> Mapping[str, Any]:
    """The same with what holds where nothing is said, as `Knowledge` takes it. Raises `ConfigurationError`."""
    ttl = seconds("schema_ttl", schema_ttl, zero=False)
    return {
        "also": also or {},
        "tracked": tracked or {},
        "pure": pure,
        "images": images,
        "ttl": ttl,
    }


class Knowledge:
    """Of one engine. `tell(kind, detail)` is told what people should know.

    `ttl`: seconds of `clock` for which it is believed: other processes change what a database holds, and tell nobody.
    """

    def __init__(
        self,
        engine: sa.Engine,
        tell: Any,
        *,
        pure: Collection[str],
        also: Mapping[str, Iterable[str]],
        tracked: Mapping[str, Iterable[Sequence[str]]],
        images: bool,
        ttl: float,
        clock: Callable[[], float],
    ) -> None:
        self.dialect = engine.dialect
        self.tell = tell
        self.images = images
        self.catalogue = DatabaseCatalogue(engine.dialect, also=also, tracked=tracked)
        style = cast(Paramstyle, engine.dialect.paramstyle)
        self.analyse = Analyser(engine.dialect.name, self.catalogue, paramstyle=style, pure=pure)
        self._read_at = -LEAST_BETWEEN
        self._ttl, self._clock = ttl, clock
        self._until = 0.0

    @property
    def outdated(self) -> bool:
        """Whether the database was asked, and that is too long ago."""
        return self.catalogue.version > 0 and self._clock() >= self._until

    def needs_reading(self, meaning: Statement) -> bool:
        """Whether the database should be asked again what it holds: a statement names what nobody knows."""
        why = getattr(meaning, "reason", None) or getattr(meaning, "everything", None) or ""
        return "the catalogue knows no" in why and monotonic() - self._read_at > LEAST_BETWEEN

    def read(self, connection: sa.Connection) -> bool:
        """Ask the database what it holds; whether that is something else than was known before."""
        self._read_at = monotonic()
        self._until = self._clock() + self._ttl  # first, so that one asks and the others go on
        catalogue, stale = self.catalogue, self.catalogue.stale
        version, before = catalogue.version, catalogue.seen
        try:
            catalogue.read(connection)
        except BaseException:
            # What was known is not worse than it was. Statements that repair the transaction must not ask again.
            self._until, catalogue.stale = self._clock(), stale
            raise
        return version > 0 and catalogue.seen != before

    def dirtied(self, meaning: Writes, sets: Sequence[Any]) -> Sequence[Any]:
        """What a write with these parameters makes wrong."""
        if meaning.everything is not None:
            self.tell("everything_invalidated", meaning.everything)
            return EVERYTHING
        if len(sets) > MOST_SETS:
            return [tag for name in sorted(meaning.tables) for tag in unnamed_write(name)]
        found: dict[Any, None] = {}
        for each in sets:
            tags = meaning.tags(each)
            if tags is None:
                return EVERYTHING
            found.update(dict.fromkeys(tags))
        return list(found)

    @staticmethod
    def matters(statement: str) -> bool:
        """Whether a statement about the session may change what queries mean there."""
        return _HARMLESS_SETTING.match(statement) is None
