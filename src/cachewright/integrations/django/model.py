"""What a source knows of its model: fields, key, version, and how rows become values and values rows. No query.

Fields are named by their `attname`, which of a foreign key is `author_id`: values hold ids, not the objects behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.expressions import DatabaseDefault

from cachewright.errors import ConfigurationError
from cachewright.patterns.identities import Identity, canonical_key
from cachewright.patterns.sources import Unsavable

Row = dict[str, Any]
_KINDS: Sequence[tuple[Any, type]] = (
    (models.IntegerField, int),
    (models.UUIDField, UUID),
    (models.CharField, str),
    (models.TextField, str),
    (models.DateTimeField, datetime),
    (models.DateField, date),
    (models.DecimalField, Decimal),
    (models.BinaryField, bytes),
)


@dataclass(frozen=True, slots=True)
class Described:
    """A model as a source uses it. `read` are the fields that may leave the database."""

    model: Any
    fields: Mapping[str, Any]
    key: tuple[str, ...]
    kinds: tuple[type, ...]
    read: tuple[str, ...]
    version: str | None
    into: Any
    taken: frozenset[str] | None

    def identity(self, key: Any) -> Identity:
        """The canonical form of a key."""
        found: Identity = canonical_key(key, self.kinds)
        return found

    def identity_in(self, row: Mapping[str, Any]) -> Identity | None:
        """The identity that a row has; None when the database is to give it one."""
        if any(row.get(name) is None for name in self.key):
            return None
        return self.identity(tuple(row[name] for name in self.key))

    def key_fields(self, identity: Any) -> Row:
        """The fields of the key with their values."""
        parts = identity if len(self.key) > 1 else (identity,)
        return dict(zip(self.key, parts, strict=True))

    def row(self, value: Any) -> Row:
        """What a value says of its row; `Unsavable` if that makes no sense."""
        said = _said(value, self.fields)
        unknown = said.keys() - self.fields.keys()
        if unknown:
            raise Unsavable(f"there is no field for {sorted(map(str, unknown))}")
        return {
            name: item
            for name, item in said.items()
            if not getattr(self.fields[name], "generated", False)
            and not (item is None and _fills_itself(self.fields[name]))
        }

    def patch(self, identity: Identity, changes: Any) -> Row:
        """What a patch is to write: its fields without the key, which it cannot change."""
        row = self.row(changes)
        if self.identity_in({**self.key_fields(identity), **row}) != identity:
            raise Unsavable("a patch cannot change the key: delete the row and save it anew")
        return {name: item for name, item in row.items() if name not in self.key}

    def put(self, identity: Identity, value: Any) -> Row:
        """What a put under a given identity is to write."""
        row = self.row(value)
        if self.identity_in(row) not in (None, identity):
            raise Unsavable("a put whose value has another key than the change")
        return row

    def allowed(self, value: Any) -> Any:
        """The value without the fields that may not leave the database."""
        row = self.row(value)
        kept = {name: item for name, item in row.items() if name in self.read}
        if len(kept) == len(row):
            return value
        return self.model(**kept) if self.into is self.model else self.value(kept)

    def value(self, row: Row) -> Any:
        """The value that is made of a row read from the database; not for instances, which Django makes."""
        if self.into is dict:
            return row
        taken = self.taken or frozenset()
        return self.into(**{name: item for name, item in row.items() if name in taken})


def _said(value: Any, known: Mapping[str, Any]) -> Row:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, models.Model):
        there = {name: item for name, item in vars(value).items() if name in known}
        return {n: item for n, item in there.items() if not isinstance(item, DatabaseDefault)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise Unsavable(f"a {type(value).__name__} is no row: pass a dict, a dataclass or an instance")


def _fills_itself(field: Any) -> bool:
    return not field.null and (field.primary_key or field.has_default() or field.has_db_default())


def describe(
    model: Any,
    *,
    into: Any,
    columns: Sequence[str] | None,
    version: str | None,
    key_types: type | Sequence[type] | None,
) -> Described:
    """The description of a model; `ConfigurationError` for what cannot be a source."""
    if not (isinstance(model, type) and issubclass(model, models.Model)):
        raise ConfigurationError(f"{model!r} is no Django model")
    of: Any = model
    meta = of._meta
    if meta.parents:
        raise ConfigurationError(f"{model.__name__} spans several tables: its parts are sources")
    known = {field.attname: field for field in meta.concrete_fields}
    key = tuple(field.attname for field in meta.pk_fields)
    into = into or model
    taken, needed = _wanted(into, model)
    wanted = columns if columns is not None else [n for n in known if taken is None or n in taken]
    always = {*key, *filter(None, [version])}
    _must_know(known, {*wanted, *always}, model)
    read = tuple(name for name in known if name in wanted or name in always)
    if taken is not None and not (needed <= set(read) and taken >= set(key)):
        raise ConfigurationError(
            f"into={into.__name__}: needs {sorted(needed)} of {read}, and {key} in it"
        )
    kinds = _kinds(key_types, [known[name] for name in key])
    return Described(model, known, key, kinds, read, version, into, taken)


def _wanted(into: Any, model: Any) -> tuple[frozenset[str] | None, set[str]]:
    if into in (dict, model):
        return None, set()
    if not (isinstance(into, type) and is_dataclass(into)):
        raise ConfigurationError(f"into={into!r}: pass dict, a dataclass or the model itself")
    taken = [field for field in fields(into) if field.init]
    needed = {f.name for f in taken if f.default is NO_DEFAULT and f.default_factory is NO_DEFAULT}
    return frozenset(f.name for f in taken), needed


def _must_know(known: Mapping[str, Any], names: set[str], model: Any) -> None:
    unknown = sorted(names - known.keys())
    if unknown:
        raise ConfigurationError(f"{model.__name__} has no field {', '.join(unknown)}")


def _kinds(given: type | Sequence[type] | None, key: Sequence[Any]) -> tuple[type, ...]:
    if given is None:
        return tuple(map(_kind, key))
    kinds = (given,) if isinstance(given, type) else tuple(given)
    if len(kinds) != len(key):
        raise ConfigurationError(
            f"key_types= needs one type for each of the key's {len(key)} fields"
        )
    return kinds


def _kind(field: Any) -> type:
    while field.remote_field is not None:
        field = field.target_field
    return next((kind for base, kind in _KINDS if isinstance(field, base)), object)
