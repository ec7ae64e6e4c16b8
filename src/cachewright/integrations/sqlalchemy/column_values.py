"""Values of columns as plain data and back: what the codecs know as it is, others through their column's own type.

Never pickle, and never the name of a class in cached bytes: which type reads a value is said by the column that is mapped
now. What must not be here: entities, results, sessions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.mutable import MutableBase
from sqlalchemy.types import TypeDecorator

Way: TypeAlias = str
"""How the values of one column are kept: one of the three below."""

AS_IS, COPIED, TYPED = "=", "c", "t"
"""Immutable values as they are; mutable ones, of which each caller gets a copy; those that the column's type turns."""

IMMUTABLE = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        str,
        bytes,
        Decimal,
        UUID,
        dt.date,
        dt.datetime,
        dt.time,
        dt.timedelta,
        complex,
    }
)
_MUTABLE = frozenset({list, dict, set, tuple, frozenset, bytearray})


class Unkeepable(Exception):
    """A result that cannot be kept as plain data; the message says why."""


def way_of(values: Iterable[Any], of: sa.types.TypeEngine[Any] | None, what: str) -> Way:
    """How these values of a column are kept. Raises `Unkeepable`."""
    kinds = set(map(type, values))
    if kinds <= IMMUTABLE:
        return AS_IS
    if all(kind in IMMUTABLE or kind in _MUTABLE or _plain_kind(kind) for kind in kinds):
        return COPIED
    if of is not None and _turns(of) is not None:
        return TYPED
    strange = sorted(kind.__qualname__ for kind in kinds - IMMUTABLE - _MUTABLE)
    raise Unkeepable(f"{what} holds {', '.join(strange)}, which no codec knows")


def keep(values: Sequence[Any], way: Way, of: sa.types.TypeEngine[Any] | None) -> Sequence[Any]:
    """The values as plain data. Raises `Unkeepable`."""
    if way == AS_IS:
        return values
    if way == COPIED:
        return [deepcopy(_plain(value)) for value in values]
    turns = _turns(of) if of is not None else None
    if turns is None:
        raise Unkeepable("a column without a type that turns its values")
    kept = [None if value is None else turns[0](value) for value in values]
    if any(own is None and value is not None for own, value in zip(kept, values, strict=True)):
        raise Unkeepable(f"the type {of!r} makes values of NULL")
    if not set(map(type, kept)) <= IMMUTABLE:
        raise Unkeepable(f"the type {of!r} makes values that no codec knows")
    return kept


def restorer(way: Way, of: sa.types.TypeEngine[Any] | None) -> Callable[[Any], Any] | None:
    """What makes a value again; None where it is the value. Raises `Unkeepable` if the column is another now."""
    if way == AS_IS:
        return None
    if way == COPIED:
        return deepcopy
    turns = _turns(of) if of is not None else None
    if turns is None:
        raise Unkeepable("a value was kept by a type that its column no longer has")
    load = turns[1]
    return lambda value: None if value is None else load(value)


def _turns(
    of: sa.types.TypeEngine[Any],
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """(value to plain, plain to value) of a type that has both in Python; None for others."""
    if isinstance(of, sa.Enum) and of.enum_class is not None:
        members: Any = of.enum_class
        return _name, lambda name: members[name]
    if isinstance(of, TypeDecorator):
        kind = type(of)
        both = (kind.process_bind_param, kind.process_result_value)
        if both[0] is TypeDecorator.process_bind_param or both[1] is (
            TypeDecorator.process_result_value
        ):
            return None
        dialect: Any = _DIALECT
        return (
            lambda value: of.process_bind_param(value, dialect),
            lambda value: of.process_result_value(value, dialect),
        )
    return None


def _plain_kind(kind: type) -> type | None:
    """The plain one of a mutable kind of SQLAlchemy, which tells its object of changes, or of asyncpg's UUID."""
    if issubclass(kind, UUID):
        return UUID
    if issubclass(kind, MutableBase):
        return next((plain for plain in (dict, list, set) if issubclass(kind, plain)), None)
    return None


def _plain(value: Any) -> Any:
    plain = _plain_kind(type(value))
    if plain is UUID:
        return UUID(int=value.int)
    return value if plain is None else plain(value)


def _name(member: Any) -> str:
    if not isinstance(member, Enum):
        raise Unkeepable(f"an Enum column holds a {type(member).__qualname__}")
    return member.name


_DIALECT = sa.create_mock_engine("sqlite://", lambda *_: None).dialect
"""For types that look at one: what they keep must not depend on the database."""
