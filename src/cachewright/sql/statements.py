"""What an analysis says of a statement: it reads, it writes, or it is neither and why. Nothing here parses.

What must not be here: the parser. These are what a warm statement costs, so each does as little as it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from cachewright.core.keys import spell
from cachewright.core.tags import match_tag, matches_tag, row_tag, rows_tag, table_tag
from cachewright.sql.placeholders import Reference
from cachewright.sql.relations import COARSE, Table
from cachewright.sql.tagging import image_write, named_write, unnamed_write

Params: TypeAlias = Sequence[Any] | Mapping[Any, Any]

MOST_TAGS = 64
"""So many rows or matches of one table a query may name; beyond, it depends on the table."""

_MOMENTS = frozenset({"now", "today", "tomorrow", "yesterday"})


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the statement."""

    value: Any

    def values(self, _params: Any) -> Sequence[Any]:
        """The one value."""
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given with the statement; `many`: as an array of values."""

    reference: Reference
    many: bool = False

    def values(self, params: Any) -> Sequence[Any]:
        """What was given for it."""
        found = params[self.reference]
        if not self.many:
            return (found,)
        if not isinstance(found, (list, tuple)):
            raise TypeError
        return found


Term: TypeAlias = Constant | Parameter


@dataclass(frozen=True, slots=True)
class Fixed:
    """One appearance of a table in a query, and the values that its predicate fixes columns to.

    Without columns, or when a value has no canonical form, the query depends on the whole table.
    """

    table: Table
    columns: tuple[str, ...] = ()
    terms: tuple[tuple[Term, ...], ...] = ()

    prefix: str = field(default="", init=False, compare=False)
    every: str = field(default="", init=False, compare=False)
    """The tag for writes that name no rows, or do not know both images."""

    def __post_init__(self) -> None:
        name = self.table.name
        by_key = self.columns == self.table.key
        prefix = (
            row_tag(name) + ":" if by_key else match_tag(name, dict.fromkeys(self.columns[:1], ""))
        )
        object.__setattr__(self, "prefix", prefix.removesuffix("s~"))
        object.__setattr__(self, "every", rows_tag(name) if by_key else matches_tag(name))

    def tags(self, params: Any) -> list[str]:
        """What a query with these parameters depends on. Raises `LookupError` or `TypeError` for missing ones."""
        if not self.columns:
            return [table_tag(self.table.name)]
        if len(self.columns) == 1 and len(self.terms[0]) == 1:
            return self._by_one(self.columns[0], self.terms[0][0].values(params))
        keys = self.keys(params)
        if keys is None:
            return [table_tag(self.table.name)]
        if self.columns == self.table.key:
            return [*(row_tag(self.table.name, *key) for key in keys), self.every]
        rows = (dict(zip(self.columns, key, strict=True)) for key in keys)
        return [*(match_tag(self.table.name, row) for row in rows), self.every]

    def _by_one(self, column: str, values: Sequence[Any]) -> list[str]:
        """The same for one column and one term, which most statements have."""
        canonical, prefix = self.table.canonical, self.prefix
        found: list[str] = []
        for value in values:
            own = canonical(column, value)
            if own is COARSE:
                return [table_tag(self.table.name)]
            found.append(prefix + (str(own) if own.__class__ is int else spell(own)))
        if not 0 < len(found) <= MOST_TAGS:
            return [table_tag(self.table.name)]
        found.append(self.every)
        return found

    def keys(self, params: Any) -> list[tuple[Any, ...]] | None:
        """The values of the columns, one tuple for each combination; None where that names no rows exactly."""
        found: list[list[Any]] = []
        size = 1
        for name, terms in zip(self.columns, self.terms, strict=True):
            values = {
                self.table.canonical(name, value): None
                for term in terms
                for value in term.values(params)
            }
            size *= len(values)
            if COARSE in values or not 0 < size <= MOST_TAGS:
                return None
            found.append(list(values))
        return list(product(*found))


@dataclass(frozen=True, slots=True)
class Reads:
    """A query whose result depends on tables and parameters alone."""

    tables: frozenset[str]
    """As tags call them."""
    fixed: tuple[Fixed, ...]
    references: frozenset[Reference] = frozenset()
    moments: bool = False
    """Whether the database reads the clock for parameters such as 'now'."""
    always: tuple[str, ...] | None = field(default=None, compare=False)
    """The tags, where they are the same for all parameters."""

    def tags(self, params: Params | None = ()) -> list[str] | None:
        """What an entry made by this statement carries; None where it must not be cached: see `why_not`."""
        if self.moments and params and _moment(params):
            return None
        if self.always is not None:
            return list(self.always)
        try:
            if len(self.fixed) == 1:
                return self.fixed[0].tags(params)
            return list(dict.fromkeys(tag for each in self.fixed for tag in each.tags(params)))
        except (LookupError, TypeError):
            return None

    def why_not(self, params: Params | None = ()) -> str | None:
        """Why a result for these parameters must not be cached; None if it may be."""
        if self.moments and params and _moment(params):
            return "a parameter that a database may take for the present moment"
        if self.tags(params) is None:
            return "a parameter is missing, or not of the style of the statement"
        return None


def _moment(params: Params) -> bool:
    values = params.values() if isinstance(params, Mapping) else params
    return any(
        value.__class__ is str and len(value) < 40 and value.strip().lower() in _MOMENTS
        for value in values
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What one verb of a statement does to one table; `rows` where its predicate fixes the primary key."""

    table: Table
    rows: Fixed | None = None
    images: tuple[Mapping[str, Term], ...] = ()
    """The rows that are inserted, as far as their values stand in the statement."""

    def tags(self, params: Any) -> list[str]:
        """What it makes wrong."""
        table = self.table
        if self.images:
            return image_write(table, [_image(each, params) for each in self.images])
        keys = self.keys(params)
        return unnamed_write(table.name) if keys is None else named_write(table, keys)

    def keys(self, params: Any) -> list[tuple[Any, ...]] | None:
        """The primary keys of all rows that it can touch, or None."""
        if self.images:
            rows = [_image(each, params) for each in self.images]
            table = self.table
            keys = [tuple(table.canonical(c, row.get(c)) for c in table.key) for row in rows]
            return None if not table.key or any(COARSE in key for key in keys) else keys
        return None if self.rows is None else self.rows.keys(params)


def _image(terms: Mapping[str, Term], params: Any) -> dict[str, Any]:
    return {name: term.values(params)[0] for name, term in terms.items()}


@dataclass(frozen=True, slots=True)
class Writes:
    """A statement that changes tables. `everything`: why nobody can say which; then all that is cached is in doubt."""

    tables: frozenset[str] = frozenset()
    """As tags call them: those it names, and those that cascades and triggers reach."""
    changes: tuple[Change, ...] = ()
    effects: frozenset[str] = frozenset()
    """Of these tables, those reached by cascades and triggers."""
    changed: frozenset[str] | None = None
    """The columns that an UPDATE sets; None for all."""
    everything: str | None = None
    structure: bool = False
    """Whether it may have changed the catalogue."""

    def tags(self, params: Params | None = ()) -> list[str] | None:
        """What it makes wrong; None for everything."""
        if self.everything is not None:
            return None
        try:
            found = [tag for change in self.changes for tag in change.tags(params)]
        except (LookupError, TypeError):
            found = [tag for change in self.changes for tag in unnamed_write(change.table.name)]
        for name in self.effects:
            found += unnamed_write(name)
        return list(dict.fromkeys(found))

    def rows(self, params: Params | None = ()) -> list[tuple[Any, ...]] | None:
        """The primary keys of the rows of the one table that it writes; None where they are not known."""
        if len(self.changes) != 1 or self.everything is not None or self.tables == self.effects:
            return None
        try:
            return self.changes[0].keys(params)
        except (LookupError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement whose result is never cached, and why.

    `may_write`: it may also have written something, nobody knows what. `session`: it changes what later statements of
    the connection mean, such as a setting, or, `temporary`, a temporary table. `control`: the word of a statement that begins or ends
    a transaction or savepoint.
    """

    reason: str
    may_write: bool = False
    session: bool = False
    temporary: bool = False
    control: str | None = None


Statement: TypeAlias = Reads | Writes | Refused
