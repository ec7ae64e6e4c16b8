"""What is known of one connection between calls: who asks, where names are looked up, what it has written. No I/O.

What must not be here: statements; who asks them is `_async/connections.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from cachewright.core.keys import as_key, spell
from cachewright.integrations.dbapi import drivers
from cachewright.sql import unnamed_write

MOST_TAGS = 1000
"""So many tags a transaction collects of one table before its rows are no longer named."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks, and where. `aside`: why its queries go around the cache, "" if they need not."""

    database: str
    path: tuple[str, ...]
    settings: tuple[Any, ...] = ()
    aside: str = ""
    reported: tuple[Any, ...] = ()
    """What the server had reported unasked when the connection was asked."""
    version: int = 0
    """Of the schema, where the connection tells it."""
    schema_key: str = field(default="", init=False)
    schema_tag: tuple[str, str] = field(default=("", ""), init=False)
    """Under what the schema of the database is cached, and what DDL moves."""
    spelled: str = field(default="", init=False)
    """What of it belongs into keys."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema_key", as_key(("schema", self.database, self.version)))
        object.__setattr__(self, "schema_tag", ("schema", self.database))
        object.__setattr__(
            self, "spelled", spell((self.database, self.path, self.settings, self.reported))
        )


@lru_cache(maxsize=256)
def session_like(database: str, aside: str, version: int) -> Session:
    """The session of a connection to SQLite, whose answers are mostly those of the time before."""
    return Session(database, ("main",), aside=aside, version=version)


@dataclass(slots=True)
class Ledger:
    """What a transaction has written so far. `everything`: why nobody can say what; `structure`: it has changed tables."""

    connection: Any
    tags: dict[Any, None] = field(default_factory=dict)
    everything: str = ""
    structure: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was written."""
        return not self.tags and not self.everything

    def note(self, tags: Iterable[Any]) -> None:
        """Take more tags."""
        self.tags.update(dict.fromkeys(tags))

    def note_unnamed(self, table: str) -> None:
        """So much was written to a table that its rows are no longer named."""
        own = (f"row:{spell(table)}:", f"match:{spell(table)}:")
        for tag in [tag for tag in self.tags if isinstance(tag, str) and tag.startswith(own)]:
            del self.tags[tag]
        self.note(unnamed_write(table))

    def take(self, other: Ledger) -> None:
        """Take all that another has noted."""
        self.note(other.tags)
        self.everything = self.everything or other.everything
        self.structure = self.structure or other.structure


class Sessions:
    """The sessions of connections that can be told apart for as long as they live, and the transactions under way."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
        self._ledgers: dict[int, Ledger] = {}
        self._aside: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._held: dict[int, Any] = {}

    def known(self, connection: Any) -> Session | None:
        """What was found out of a connection, if nothing that it reports has changed since."""
        try:
            found = self._known.get(connection)
        except TypeError:  # it cannot be referred to weakly, as sqlite3's: it is asked each time
            return None
        return found if found is None or found.reported == drivers.reported(connection) else None

    def keep(self, connection: Any, session: Session) -> None:
        """Remember what was found out."""
        with suppress(TypeError):
            self._known[connection] = session

    def forget(self, connection: Any) -> None:
        """It may have changed."""
        with suppress(TypeError):
            self._known.pop(connection, None)

    def set_aside(self, connection: Any) -> None:
        """It has temporary tables, which not every database tells when asked: no query of it is cached again."""
        try:
            self._aside[connection] = True
        except TypeError:
            self._held[id(connection)] = connection

    def is_aside(self, connection: Any) -> bool:
        """Whether it was set aside."""
        try:
            return connection in self._aside
        except TypeError:
            return id(connection) in self._held

    def ledger(self, connection: Any) -> Ledger | None:
        """What the transaction under way has written."""
        return self._ledgers.get(id(connection))

    def begin(self, connection: Any) -> Ledger:
        """The same; noted from now on."""
        # The connection is held, so that no other can have its id meanwhile.
        return self._ledgers.setdefault(id(connection), Ledger(connection))

    def end(self, connection: Any) -> Ledger | None:
        """The transaction is over; what it had written."""
        return self._ledgers.pop(id(connection), None)
