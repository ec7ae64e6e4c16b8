"""What a source knows of its table: columns, key, version, and what may be cached. Pure.

Fields are named as values have them: after the attributes of a mapped class, else after the columns' keys.
What must not be here: statements, connections, dialects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeDecorator

from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.sqlalchemy.shapes import Make, fields_of, maker, wanted_fields
from cachewright.patterns.identities import canonical_key
from cachewright.patterns.sources import Identity, Unsavable

Column = sa.Column[Any]
Row = dict[str, Any]
"""What is to be written of a row: field → value."""

_SAME_FROM_THE_DATABASE = (int, str, UUID)


@dataclass(frozen=True, slots=True)
class Described:
    """A table as a source uses it. `read` are the fields that may leave the database, in the order of every row read.

    `filled` are those whose None stands for a default, `computed` those that only the database writes.
    """

    table: sa.Table
    mapper: Mapper[Any] | None
    fields: Mapping[str, Column]
    key: tuple[str, ...]
    key_columns: tuple[Column, ...]
    kinds: tuple[type, ...]
    read: tuple[str, ...]
    version: str | None
    into: Any
    make: Make
    filled: frozenset[str]
    computed: frozenset[str]

    @property
    def moves_version(self) -> bool:
        """Whether the source counts the version up: an integer that nobody else moves."""
        if self.version is None:
            return False
        column = self.fields[self.version]
        own = column.onupdate is not None or column.server_onupdate is not None
        return isinstance(column.type, sa.Integer) and not own

    def moves_itself(self, name: str) -> bool:
        """Whether a field is a version that an update moves, so that no value may set it."""
        column = self.fields[name]
        own = column.onupdate is not None or column.server_onupdate is not None
        return name == self.version and (own or self.moves_version)

    @property
    def key_is_generated(self) -> bool:
        """Whether the database refuses keys that it did not give out itself (GENERATED ALWAYS)."""
        return any(c.identity is not None and c.identity.always for c in self.key_columns)

    def identity(self, key: Any) -> Identity:
        """The canonical form of a key."""
        found = canonical_key(key, self.kinds)
        return _unpadded(found, self.key_columns) if str in self.kinds else cast(Identity, found)

    def bound(self, identity: Any) -> tuple[Any, ...]:
        """The key as its columns take it, one item a column."""
        parts: tuple[Any, ...] = identity if len(self.key) > 1 else (identity,)
        return _as_text(parts, self.key_columns) if UUID in self.kinds else parts

    def identities(self, rows: Sequence[Sequence[Any]]) -> list[Identity]:
        """The identities of rows that were read."""
        places = [self.read.index(name) for name in self.key]
        if len(places) > 1:
            return [self.identity(tuple(row[place] for place in places)) for row in rows]
        place, kind = places[0], self.kinds[0]
        plain = kind in _SAME_FROM_THE_DATABASE and not isinstance(
            self.key_columns[0].type, sa.CHAR
        )
        return [
            row[place] if plain and type(row[place]) is kind else self.identity(row[place])
            for row in rows
        ]

    def identity_in(self, row: Row) -> Identity | None:
        """The identity that a row to be written has; None when the database is to give it one."""
        parts = tuple([row.get(name) for name in self.key])
        if None in parts:
            return None
        return self.identity(parts if len(parts) > 1 else parts[0])

    def identity_of(self, value: Any) -> Identity | None:
        """The identity of a value; None when the database is to give it one."""
        if type(value) is dict and len(self.key) == 1 and value.keys() <= self.fields.keys():
            part = value.get(self.key[0])  # as below, without a copy
            return None if part is None else self.identity(part)
        return self.identity_in(fields_of(value, self.fields))

    def row(self, value: Any) -> Row:
        """What is to be written of a value. None where the column takes none but has a default means: the default."""
        said = fields_of(value, self.fields)
        return {
            name: item
            for name, item in said.items()
            if not (item is None and name in self.filled) and name not in self.computed
        }

    def allowed(self, value: Any) -> Any:
        """The value without the fields that may not leave the database."""
        said = fields_of(value, self.fields)
        kept = [name for name in self.read if name in said]
        if len(kept) == len(said):
            return value
        return maker(self.into, kept)([said[name] for name in kept])

    def patch(self, identity: Identity, changes: Any) -> Row:
        """What a patch is to write: its fields without the key, which it cannot change."""
        row = self.row(changes)
        if any(name in row for name in self.key):
            moved = {**dict(zip(self.key, self.bound(identity), strict=True)), **row}
            if self.identity_in(moved) != identity:
                raise Unsavable(
                    "a patch cannot change the key: delete the row and save it under the other"
                )
        return {name: item for name, item in row.items() if name not in self.key}


def _unpadded(identity: Any, columns: Sequence[Column]) -> Identity:
    """CHAR columns are padded; the padding is no part of the id."""
    parts = identity if len(columns) > 1 else (identity,)
    cut = tuple(
        part.rstrip(" ") if isinstance(column.type, sa.CHAR) else part
        for part, column in zip(parts, columns, strict=True)
    )
    return cut if len(columns) > 1 else cast(Identity, cut[0])


def _as_text(parts: tuple[Any, ...], columns: Sequence[Column]) -> tuple[Any, ...]:
    """Some UUID columns take and give text."""
    return tuple(
        str(part) if isinstance(column.type, sa.Uuid) and not column.type.as_uuid else part
        for part, column in zip(parts, columns, strict=True)
    )


def _fills_itself(column: Column) -> bool:
    has = column.default, column.server_default, column.identity
    return not column.nullable and (column.primary_key or any(each is not None for each in has))


def describe(
    of: Any,
    *,
    into: Any = None,
    columns: Sequence[str] | None = None,
    version: str | None = None,
    key_types: type | Sequence[type] | None = None,
) -> Described:
    """The description of a Core table or a mapped class; `ConfigurationError` for what cannot be a source."""
    table, mapper, fields = _columns(of)
    key = tuple(name for name, column in fields.items() if column.primary_key)
    if not key or len(key) != len(table.primary_key.columns):
        raise ConfigurationError(f"table {table.name} needs a primary key, mapped as a whole")
    order = list(table.primary_key.columns)
    key = tuple(sorted(key, key=lambda name: order.index(fields[name])))
    version = version or _version_of(mapper, fields)
    into = into or (dict if mapper is None else mapper.class_)
    read = _read(fields, columns, into)
    _must_keep_key(into, key)
    _must_know(fields, [*read, *filter(None, [version])], table.name)
    always = [*key, *filter(None, [version])]
    read = tuple(name for name in fields if name in read or name in always)
    key_columns = tuple(fields[name] for name in key)
    kinds = _kinds(key_types, key_columns)
    return Described(
        table=table,
        mapper=mapper,
        fields=fields,
        key=key,
        key_columns=key_columns,
        kinds=kinds,
        read=read,
        version=version,
        into=into,
        make=maker(into, read),
        filled=frozenset(name for name, column in fields.items() if _fills_itself(column)),
        computed=frozenset(name for name, c in fields.items() if c.computed is not None),
    )


def _columns(of: Any) -> tuple[sa.Table, Mapper[Any] | None, dict[str, Column]]:
    if isinstance(of, sa.Table):
        # A quoted_name is a str of its own kind, which no codec gives back unchanged.
        return of, None, {str.__str__(column.key): column for column in of.columns}
    mapper = sa.inspect(of, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise ConfigurationError(f"{of!r} is neither a Table nor a mapped class")
    table = mapper.local_table
    if mapper.inherits is not None or not isinstance(table, sa.Table):
        raise ConfigurationError(
            f"{mapper.class_.__name__} is not mapped to one table of its own: pass the Table"
        )
    fields = {
        each.key: each.columns[0]
        for each in mapper.column_attrs
        if isinstance(each.columns[0], sa.Column)
    }
    return table, mapper, fields


def _version_of(mapper: Mapper[Any] | None, fields: Mapping[str, Column]) -> str | None:
    if mapper is None or mapper.version_id_col is None:
        return None
    return next((name for name, c in fields.items() if c is mapper.version_id_col), None)


def _read(fields: Mapping[str, Column], columns: Sequence[str] | None, into: Any) -> Sequence[str]:
    """The allow-list; without one, all that the class of the values has a place for."""
    if columns is not None:
        if isinstance(columns, str):
            raise ConfigurationError("columns= is a list of names")
        return columns
    wanted = None if into is dict or sa.inspect(into, raiseerr=False) else wanted_fields(into)
    return [name for name in fields if wanted is None or name in wanted[0]]


def _must_keep_key(into: Any, key: Sequence[str]) -> None:
    wanted = None if sa.inspect(into, raiseerr=False) else wanted_fields(into)
    if wanted is not None and not wanted[0] >= set(key):
        raise ConfigurationError(f"into={into.__name__} needs the fields of the key: {list(key)}")


def _must_know(fields: Mapping[str, Column], names: Sequence[str], table: str) -> None:
    unknown = sorted(set(names) - fields.keys())
    if unknown:
        raise ConfigurationError(f"table {table} has no column {', '.join(unknown)}")


def _kinds(given: type | Sequence[type] | None, key: Sequence[Column]) -> tuple[type, ...]:
    if given is None:
        return tuple(map(_kind, key))
    kinds = (given,) if isinstance(given, type) else tuple(given)
    if len(kinds) != len(key):
        raise ConfigurationError(
            f"key_types= needs one type for each of the key's {len(key)} columns"
        )
    return kinds


def _kind(column: Column) -> type:
    """What an id of the column is in Python; `object` where only the type itself knows."""
    if isinstance(column.type, TypeDecorator):
        return object
    if isinstance(column.type, sa.Uuid):
        return UUID
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return object
    if kind is float:
        raise InvalidKey(f"column {column.name}: a float is no id")
    return kind
