"""What is one id: `"1"` and `1` of an integer column, a UUID and its text. Pure.

A cache must know one row by one name. What a caller hands in is brought to the one form that its column has, before
it becomes a key, a tag or a parameter of a statement; what cannot be an id of that column is refused and never guessed.
What must not be here: how keys are spelled (`core.keys`), what a column is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from operator import index
from typing import Any, TypeAlias
from uuid import UUID

from cachewright.errors import InvalidKey

Identity: TypeAlias = (
    str | int | UUID | date | datetime | Decimal | bytes | Enum | tuple["Identity", ...]
)
"""The canonical id of one row; a tuple, in the order of the key's columns, when the key has several."""

_INTEGER = re.compile(r"-?\d{1,40}", re.ASCII).fullmatch
_SMALLEST, _GREATEST = -(2**63), 2**63 - 1
"""No database gives out ids beyond, though MySQL's unsigned BIGINT could hold them."""
_INT = (int,)


def canonical(part: Any, kind: type) -> Any:
    """The one form of an id, or of a part of one, in a column of type `kind`; `InvalidKey` if it cannot be one.

    int: ints (never bools) and decimal text, within 64 bits. str: text alone, since 7 may be "7" or "007". UUID: also its text.
    date, datetime: also ISO 8601; aware datetimes become UTC. Decimal: also ints and text, without trailing zeros.
    bytes: any buffer. `object` stands for an unknown type: ints, text, UUIDs and the others above as they are.
    """
    form = _FORMS.get(kind)
    if form is None:
        form = _as_it_is(kind)
    try:
        return form(part)
    except (TypeError, ValueError, ArithmeticError, InvalidOperation):
        raise InvalidKey(
            f"{part!r:.80} ({type(part).__name__}) cannot be an id of type {kind.__name__}"
        ) from None


def canonical_key(key: Any, kinds: Sequence[type]) -> Any:
    """The identity of a key whose columns have the types `kinds`; a tuple if there are several.

    A composite key is given as a tuple or list in the order of its columns; a single one by itself or as a 1-tuple.
    """
    if type(key) is int and kinds == _INT and _SMALLEST <= key <= _GREATEST:
        return key  # as `_integer`, without the calls: nearly all of them
    if len(kinds) == 1:
        single = key[0] if isinstance(key, tuple) and len(key) == 1 else key
        return canonical(single, kinds[0])
    if not isinstance(key, (tuple, list)) or len(key) != len(kinds):
        raise InvalidKey(
            f"{key!r:.80} is no key of {len(kinds)} columns: pass a tuple in their order"
        )
    return tuple(map(canonical, key, kinds))


def parts_of(identity: Any) -> tuple[Any, ...]:
    """The parts of an identity, for a cache key or a row's tag: `(name, *parts_of(identity))`."""
    return identity if isinstance(identity, tuple) else (identity,)


def distinct(keys: Iterable[Any], identity: Callable[[Any], Any]) -> list[Any]:
    """The identities of `keys`, each once, in the order of their first appearance."""
    return list(dict.fromkeys(map(identity, keys)))


def _integer(part: Any) -> int:
    if isinstance(part, bool):
        raise TypeError
    if isinstance(part, str):
        if _INTEGER(part) is None:
            raise ValueError
        number = int(part)
    else:
        number = index(part)
    if not _SMALLEST <= number <= _GREATEST:
        raise ValueError
    return number


def _text(part: Any) -> str:
    if not isinstance(part, str) or "\0" in part:  # no text column of PostgreSQL holds NUL
        raise TypeError
    text = str.__str__(part)
    text.encode()  # lone surrogates are no text
    return text


def _uuid(part: Any) -> UUID:
    if type(part) is UUID:
        return part
    # A driver's own class, such as asyncpg's, is one in all but its name, and has no spelling as a part of a key.
    return UUID(int=part.int) if isinstance(part, UUID) else UUID(_text(part))


def _date(part: Any) -> date:
    if isinstance(part, str):
        return date.fromisoformat(part)
    if not isinstance(part, date) or isinstance(part, datetime):
        raise TypeError
    return part


def _datetime(part: Any) -> datetime:
    moment = datetime.fromisoformat(part) if isinstance(part, str) else part
    if not isinstance(moment, datetime):
        raise TypeError
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _decimal(part: Any) -> Decimal:
    if isinstance(part, (bool, float)):
        raise TypeError
    number = Decimal(part)
    if not number.is_finite():
        raise ValueError
    return number.normalize() + 0  # the sum makes -0 a plain 0


def _bytes(part: Any) -> bytes:
    if isinstance(part, (str, int)):
        raise TypeError
    return bytes(memoryview(part))


def _unknown(part: Any) -> Any:
    if isinstance(part, Enum):
        return part
    for kind in (str, int, UUID, datetime, date, Decimal, bytes):
        if isinstance(part, kind):
            return _FORMS[kind](part)
    raise TypeError


def _as_it_is(kind: type) -> Callable[[Any], Any]:
    def checked(part: Any) -> Any:
        if not isinstance(part, kind):
            raise TypeError
        return part

    return checked


_FORMS: Mapping[type, Callable[[Any], Any]] = {
    int: _integer,
    str: _text,
    UUID: _uuid,
    date: _date,
    datetime: _datetime,
    Decimal: _decimal,
    bytes: _bytes,
    object: _unknown,
}
