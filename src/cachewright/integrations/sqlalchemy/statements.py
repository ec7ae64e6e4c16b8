"""The statements of a source, in the words of each dialect. Built here, run elsewhere.

PostgreSQL and SQLite: INSERT … ON CONFLICT; MySQL and MariaDB: INSERT … ON DUPLICATE KEY UPDATE. What must not be here:
connections, values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy import arrays as arrays_of
from cachewright.integrations.sqlalchemy.table import Column, Described

Form: TypeAlias = Literal["rows", "row", "arrays", "texts"]
"""How the values of an upsert come: rows as the dialect has them; or, where `takes_arrays`, one row, or arrays, of which
those that have a spelling in `arrays` come as texts or not."""
MYSQL = ("mysql", "mariadb")
DIALECTS = ("postgresql", "sqlite", *MYSQL)


def must_know(dialect: sa.Dialect) -> None:
    """Raise `ConfigurationError` for a database whose upsert is not known here."""
    if dialect.name not in DIALECTS:
        raise ConfigurationError(f"no source for {dialect.name}: there is one for {DIALECTS}")


class _Padded(sa.types.UserDefinedType[str]):
    """CHAR of any length, which PostgreSQL compares without the padding and by the index."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BPCHAR"


def _sent_as(column: Column, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """The type of a parameter that the column is compared with: never narrower than what may be asked for.

    PostgreSQL casts parameters to their type. In one of the column's own length or precision a longer id would be cut
    down to the id of another row, and a greater integer would be an error instead of a row that is not there.
    """
    type_ = column.type
    if isinstance(type_, (TypeDecorator, sa.Enum, sa.Float)):
        return type_
    if isinstance(type_, sa.CHAR) and dialect.name == "postgresql":
        return _Padded()
    widest = {sa.Integer: sa.BigInteger, sa.String: sa.String, sa.Numeric: sa.Numeric}
    return next((wide() for kind, wide in widest.items() if isinstance(type_, kind)), type_)


def selecting(described: Described, names: Sequence[str]) -> sa.Select[Any]:
    """SELECT of these fields, in this order."""
    return sa.select(*(described.fields[name] for name in names))


def with_keys(described: Described, dialect: sa.Dialect) -> sa.ColumnElement[bool]:
    """The condition that a row's key is among those of `key_parameters`, however many they are.

    On PostgreSQL each column of the key is one array: the text of the statement is always the same, and no number of
    keys is too large for it.
    """
    columns = described.key_columns
    types = [_sent_as(column, dialect) for column in columns]
    if dialect.name == "postgresql":
        arrays = [
            _array(f"keys_{place}", type_, text=_are_texts(described, place))
            for place, type_ in enumerate(types)
        ]
        if len(columns) == 1:
            return columns[0] == sa.any_(arrays[0])
        names = [f"key_{place}" for place in range(len(columns))]
        given = sa.func.unnest(*arrays).table_valued(*names, name="given").render_derived()
        return sa.tuple_(*columns).in_(sa.select(*(given.c[name] for name in names)))
    if len(columns) == 1:
        return columns[0].in_(sa.bindparam("keys", expanding=True, type_=types[0]))
    return sa.tuple_(*columns, types=types).in_(sa.bindparam("keys", expanding=True))


def _array(name: str, type_: sa.types.TypeEngine[Any], *, text: bool) -> sa.ColumnElement[Any]:
    """A parameter that is an array, or the text of one."""
    if text:
        return sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.ARRAY(type_))
    return sa.bindparam(name, type_=postgresql.ARRAY(type_))


def _are_texts(described: Described, place: int) -> bool:
    """Whether ids of this column of the key are sent as the text of an array."""
    natural = {int: sa.Integer, str: sa.String}.get(described.kinds[place])
    column = described.key_columns[place]
    plain = natural is not None and isinstance(column.type, natural)
    return plain and arrays_of.is_spelled(column)


def _sent(described: Described, place: int, ids: list[Any]) -> Any:
    """Ids of this column of the key, as `_array` takes them."""
    if not _are_texts(described, place):
        return ids
    return arrays_of.spelled(described.key_columns[place], ids)


def key_parameters(
    described: Described, dialect: sa.Dialect, keys: Sequence[tuple[Any, ...]]
) -> Iterator[dict[str, Any]]:
    """The parameters of each statement; one statement, unless there are more keys than it may have parameters."""
    width = len(described.key)
    if dialect.name == "postgresql":
        if keys:
            yield {
                f"keys_{place}": _sent(described, place, [key[place] for key in keys])
                for place in range(width)
            }
        return
    limit: int = getattr(dialect, "insertmanyvalues_max_parameters", 999) // width
    for start in range(0, len(keys), limit):
        some = keys[start : start + limit]
        yield {"keys": [key[0] for key in some] if width == 1 else list(some)}


def page(
    described: Described, dialect: sa.Dialect, *, after: tuple[Any, ...] | None, size: int
) -> sa.Select[Any]:
    """The next `size` keys in their order; found by the index, however far in."""
    columns = described.key_columns
    query = sa.select(*columns).order_by(*columns).limit(size)
    if after is None:
        return query
    values = [sa.literal(v, _sent_as(c, dialect)) for v, c in zip(after, columns, strict=True)]
    if len(columns) == 1:
        return query.where(columns[0] > values[0])
    return query.where(sa.tuple_(*columns) > sa.tuple_(*values))


def upsert(
    described: Described, dialect: sa.Dialect, given: Sequence[str], *, form: Form = "rows"
) -> Any:
    """INSERT of the fields `given`; where the key exists, they are updated instead. Values come with the execution."""
    table = described.table
    if dialect.name in MYSQL:
        statement: Any = mysql.insert(table)
        return statement.on_duplicate_key_update(_changes(described, given, statement.inserted))
    statement = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    if form == "row":
        statement = _of_one(described, dialect, statement, given=given)
    elif form != "rows":
        statement = _from_arrays(described, dialect, statement, given=given, texts=form == "texts")
    return statement.on_conflict_do_update(
        index_elements=described.key_columns,
        set_=_changes(described, given, statement.excluded),
    )


_PLAIN = (
    sa.Integer,
    sa.String,
    sa.Numeric,
    sa.Float,
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.Uuid,
    sa.LargeBinary,
)


def takes_arrays(described: Described, dialect: sa.Dialect, given: Collection[str]) -> bool:
    """Whether rows are sent as one array a column: on PostgreSQL, for plain types, where no default is made in Python.

    That is one short statement for any number of rows, which takes half as long as a row of parameters for each.
    """
    return dialect.name == "postgresql" and all(
        isinstance(column.type, _PLAIN) and not isinstance(column.type, sa.Enum)
        if name in given
        else column.default is None
        for name, column in described.fields.items()
    )


def parameters_of(
    described: Described,
    dialect: sa.Dialect,
    given: Sequence[str],
    *,
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Form, Any]:
    """The form of an upsert of these rows, and its parameters."""
    keys = {name: described.fields[name].key for name in given}
    if not takes_arrays(described, dialect, given):
        values = [{key: row[name] for name, key in keys.items()} for row in rows]
        return "rows", values if len(values) > 1 else values[0]
    if len(rows) == 1:
        return "row", {f"given_{key}": rows[0][name] for name, key in keys.items()}
    return _arrays(described, given, rows)


def _arrays(
    described: Described, given: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> tuple[Form, dict[str, Any]]:
    columns = {name: described.fields[name] for name in given}
    values = {name: [row[name] for row in rows] for name in given}
    texts = {
        name: arrays_of.spelled(column, values[name])
        for name, column in columns.items()
        if arrays_of.is_spelled(column)
    }
    plain = None not in texts.values()
    sent: dict[str, Any] = {**values, **texts} if plain else values
    named = {column.key: sent[name] for name, column in columns.items()}
    return "texts" if plain else "arrays", named


def _of_one(
    described: Described, dialect: sa.Dialect, statement: Any, *, given: Sequence[str]
) -> Any:
    """One row: arrays of one would take longer than it does."""
    columns = [described.fields[name] for name in given]
    return statement.values(
        {c.key: sa.bindparam(f"given_{c.key}", type_=_sent_as(c, dialect)) for c in columns}
    )


def _from_arrays(
    described: Described,
    dialect: sa.Dialect,
    statement: Any,
    *,
    given: Sequence[str],
    texts: bool,
) -> Any:
    columns = [described.fields[name] for name in given]
    types = [_sent_as(column, dialect) for column in columns]
    arrays = [
        _array(column.key, type_, text=texts and arrays_of.is_spelled(column))
        for column, type_ in zip(columns, types, strict=True)
    ]
    names = [f"given_{place}" for place in range(len(columns))]
    rows = sa.func.unnest(*arrays).table_valued(*names, name="given").render_derived()
    return statement.from_select(
        columns, sa.select(*(rows.c[name] for name in names)), include_defaults=False
    )


def _changes(described: Described, given: Collection[str], proposed: Any) -> dict[str, Any]:
    """What an upsert sets in a row that exists. At least its key: only a row that is touched is returned."""
    names = [n for n in given if n not in described.key and not described.moves_itself(n)]
    fields = [described.fields[name] for name in names]
    changes = {column.key: proposed[column.key] for column in fields}
    changes |= _moved(described, given)
    return changes or {c.key: proposed[c.key] for c in described.key_columns}


def _moved(described: Described, given: Collection[str]) -> dict[str, Any]:
    """What moves by itself with an update: the version, and columns with an `onupdate`, which upserts do not know."""
    moved: dict[str, Any] = {
        column.key: _on_update(column)
        for name, column in described.fields.items()
        if column.onupdate is not None and (name not in given or described.moves_itself(name))
    }
    if described.version is not None and described.moves_version:
        version = described.fields[described.version]
        moved[version.key] = version + 1
    return moved


def _on_update(column: Column) -> Any:
    default: Any = column.onupdate
    return default.arg(None) if default.is_callable else default.arg


def is_constant(described: Described) -> bool:
    """Whether an upsert of the same fields is the same statement each time: no function says what an update sets."""
    updates: list[Any] = [column.onupdate for column in described.fields.values()]
    return not any(update is not None and update.is_callable for update in updates)


def insert_absent(described: Described, dialect: sa.Dialect) -> Any:
    """INSERT that leaves a row alone which is there, and returns the key if it was not; see `has_inserted`."""
    return inserting(dialect, described.table, described.key_columns)


def inserting(dialect: sa.Dialect, table: sa.Table, key: Sequence[Any]) -> Any:
    """INSERT into a table unless the key is there."""
    if dialect.name in MYSQL:
        return sa.insert(table)
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement: Any = insert(table)
    return statement.on_conflict_do_nothing(index_elements=key).returning(*key)


def has_inserted(dialect: sa.Dialect, result: sa.CursorResult[Any]) -> bool:
    """Whether `inserting` has inserted. On MySQL a failed INSERT raises, and leaves the transaction as it was."""
    return dialect.name in MYSQL or result.first() is not None


def update(
    described: Described, dialect: sa.Dialect, given: Collection[str], *, versioned: bool = False
) -> sa.Update:
    """UPDATE of one row, for parameters made by `parameters`; with `versioned`, only at the version expected."""
    table = described.table
    statement = sa.update(table)
    for place, column in enumerate(described.key_columns):
        key = sa.bindparam(f"key_{place}", type_=_sent_as(column, dialect))
        statement = statement.where(column == key)
    if versioned and described.version is not None:
        version = described.fields[described.version]
        expected = sa.bindparam("expected", type_=_sent_as(version, dialect))
        statement = statement.where(version == expected)
    names = [n for n in given if n not in described.key and not described.moves_itself(n)]
    changes: dict[Any, Any] = {
        described.fields[n]: sa.bindparam(f"set_{n}", type_=described.fields[n].type) for n in names
    }
    if described.version is not None and described.moves_version:
        version = described.fields[described.version]
        changes[version] = version + 1
    if not changes:
        changes = {column: column for column in described.key_columns[:1]}
    return statement.values(changes)


def parameters(described: Described, key: tuple[Any, ...], row: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `update` for one row."""
    names = [n for n in row if n not in described.key and not described.moves_itself(n)]
    return {f"set_{n}": row[n] for n in names} | {
        f"key_{place}": part for place, part in enumerate(key)
    }
