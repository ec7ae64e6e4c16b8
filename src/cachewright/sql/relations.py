"""What an analysis must know of a database: its tables, their keys and what else a write to them writes.

Protocol and records; how they are found out is each door's business (`integrations`).
What must not be here: SQL text, tags, connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias

from cachewright.core.identities import canonical
from cachewright.errors import InvalidKey

Verb: TypeAlias = Literal["insert", "update", "delete"]
Effect: TypeAlias = tuple[Verb, str]
"""A verb and the name of the table that it happens to."""

COARSE = object()
"""Instead of a canonical value: this one names no rows exactly."""

_LEAST, _GREATEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `name` is what tags call it (`core.tags.table_name`), names of columns are as the database has them.

    `columns`: every column, with the Python type of its values where equality is exact (int, bool, str, UUID, date; str
    also for the database's own enums), else None: floats, text under a collation of its own, CHAR(n), timestamps. `key`: the primary key.
    `tracked`: sets of columns whose equalities get tags of their own, such as those of unique constraints and foreign
    keys. `also`: what a verb causes elsewhere by cascades and triggers; None in place of a list if nobody knows.
    `rewrites`: a trigger may change what is about to be written to this table itself. `complete`: no other door caches by
    sets of columns that are not in `tracked`; if it is False, none is used, and writes move the matches of all.
    """

    name: str
    columns: Mapping[str, type | None] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    tracked: Sequence[tuple[str, ...]] = ()
    also: Mapping[Verb, Sequence[Effect] | None] = field(default_factory=dict)
    rewrites: bool = False
    complete: bool = True

    @property
    def usable_key(self) -> tuple[str, ...]:
        """The primary key if each of its columns has exact equality, else nothing."""
        return self.key if all(self.columns.get(name) for name in self.key) else ()

    @property
    def usable_sets(self) -> list[tuple[str, ...]]:
        """The tracked sets of columns with exact equality, each once; the primary key has tags of its own."""
        exact = (tuple(sorted(names)) for names in self.tracked) if self.complete else ()
        kept = [names for names in exact if names and all(self.columns.get(each) for each in names)]
        return [names for names in dict.fromkeys(kept) if names != tuple(sorted(self.key))]

    def canonical(self, column: str, value: Any) -> Any:
        """The one form of a value of a column, or `COARSE`: NULL, of another type, or of a column without exact equality.

        Also a text that ends with a blank: VARCHAR(n) stores it without those that do not fit.
        """
        kind = self.columns.get(column)
        if kind is None or value is None:
            return COARSE
        if kind is str and type(value) is str and value[-1:] == " ":
            return COARSE
        if type(value) is int and kind is int and _LEAST <= value <= _GREATEST:
            return value
        if type(value) is str and kind is str and value.isascii() and "\0" not in value:
            return value
        if kind is bool or (kind is int and isinstance(value, bool)):
            return int(value) if isinstance(value, int) and value in (0, 1) else COARSE
        return COARSE if isinstance(value, Enum) else _plain(value, kind)


def _plain(value: Any, kind: type) -> Any:
    try:
        return canonical(value, kind)
    except InvalidKey:
        return COARSE


@dataclass(frozen=True, slots=True)
class View:
    """A view, and what it selects, in the dialect of the database. `within`: where the names in it are looked up, if
    that is not where the statement looks up its own.
    """

    name: str
    sql: str
    within: Catalogue | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Opaque:
    """A relation whose rows change without a statement that names it, such as a foreign table; why."""

    name: str
    reason: str


Relation: TypeAlias = Table | View | Opaque


class Catalogue(Protocol):
    """What a database holds, as one search path sees it."""

    version: int
    """Moves whenever an answer may have changed: analyses made before are dropped."""

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """What a statement means by a name, folded as the dialect does; None if that is unknown."""

    def writes_nothing(self, function: str) -> bool:
        """Whether a function, though it may read tables or a clock, is known to write nothing."""


class Tables:
    """A catalogue of relations that are given. `default`: the schema that names without one are in.

    `harmless`: functions that write nothing.
    """

    def __init__(
        self,
        relations: Iterable[Relation] = (),
        *,
        default: str | None = None,
        harmless: Iterable[str] = (),
    ) -> None:
        self.version = 0
        self.harmless = frozenset(harmless)
        self._default = (default or "").lower()
        self._relations: dict[str, Relation] = {}
        for each in relations:
            self.add(each)

    def add(self, relation: Relation) -> None:
        """One more, or another of that name."""
        self._relations[relation.name] = relation
        self.version += 1

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """By name, in whatever case."""
        place = (schema or "").lower()
        own = name.lower()
        return self._relations.get(own if place in ("", self._default) else f"{place}.{own}")

    def tagged(self, name: str) -> Relation | None:
        """By the name that tags have for it."""
        return self._relations.get(name)

    def writes_nothing(self, function: str) -> bool:
        """Only of those that were declared."""
        return function in self.harmless
