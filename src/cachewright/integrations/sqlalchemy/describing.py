"""What a statement says of itself: its key within SQLAlchemy, its elements and classes, and a text that every process makes alike.

`_generate_cache_key` is what SQLAlchemy's own example of a query cache asks as well; that, and `_with_options`, are the two
names here that have no public twin. What must not be here: SQL text, caches, sessions.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Mapper, QueryableAttribute, registry
from sqlalchemy.sql import visitors

from cachewright.integrations.sqlalchemy.freezing import mapper_name


@dataclass(frozen=True, slots=True)
class Described:
    """`types` and `names` of the elements of a row, None for one without; `stable`: the elements are the same objects in every statement of the same key."""

    mappers: Sequence[Mapper[Any]]
    types: Sequence[Any]
    names: Sequence[str | None]
    stable: bool


def cache_key_of(statement: Any) -> Any:
    """SQLAlchemy's key of a statement (`key` and `bindparams`), or None if a part of it has none."""
    generate = getattr(statement, "_generate_cache_key", None)
    return None if generate is None else generate()


def describe_statement(statement: Any) -> Described:
    """What results of the statement consist of."""
    found = getattr(statement, "column_descriptions", None) or []
    mappers = dict.fromkeys(
        sa.inspect(each["entity"]).mapper for each in found if each.get("entity") is not None
    )
    stable = all(isinstance(each["expr"], (type, QueryableAttribute, sa.Column)) for each in found)
    return Described(
        mappers=list(mappers),
        types=[_type_of(each) for each in found] or _types_of_columns(statement),
        names=[each["name"] for each in found],
        stable=stable and bool(found),
    )


def _type_of(description: Any) -> Any:
    of = description["type"]
    return of if isinstance(of, sa.types.TypeEngine) else None


def _types_of_columns(statement: Any) -> list[Any]:
    columns = getattr(statement, "selected_columns", None)
    return [] if columns is None else [column.type for column in columns]


def options_of(statement: Any) -> tuple[Any, ...]:
    """The options that later lazy loads obey."""
    found = getattr(statement, "_with_options", ())
    return tuple(each for each in found if getattr(each, "propagate_to_loaders", False))


def expressions_of(statement: Any) -> list[Any]:
    """What rows may be asked for beside the names of their elements."""
    return [each["expr"] for each in getattr(statement, "column_descriptions", None) or []]


def metadata_of(statement: Any) -> list[sa.MetaData]:
    """What the tables of a statement belong to."""
    found = (each for each in visitors.iterate(statement) if isinstance(each, sa.Table))
    own = [mapper.registry.metadata for mapper in describe_statement(statement).mappers]
    return list(dict.fromkeys([*own, *(table.metadata for table in found)]))


# -------------------------------------------------------------------- a text for all processes


class Unspeakable(Exception):
    """A part of a statement that no other process could know by its text."""


def stable_text(key: Any) -> str:
    """SQLAlchemy's key as text that is the same in every process of the same code. Raises `Unspeakable`."""
    out: list[str] = []
    _spell(key, out)
    return "".join(out)


def _spell(part: Any, out: list[str]) -> None:
    if isinstance(part, tuple):
        out.append("(")
        for each in part:
            _spell(each, out)
            out.append(",")
        out.append(")")
    elif part is None or (
        isinstance(part, (str, int, float, bytes)) and not isinstance(part, Enum)
    ):
        out.append(repr(str.__str__(part) if isinstance(part, str) else part))
    else:
        out.append(_name(part))


def _name(part: Any) -> str:
    if isinstance(part, Mapper):
        return f"mapper {mapper_name(part)}"
    if isinstance(part, (type, types.FunctionType, types.BuiltinFunctionType)):
        return f"{part.__module__}.{part.__qualname__}"
    if isinstance(part, sa.Table):
        return f"table {part.fullname}"
    if isinstance(part, Enum):
        return f"{type(part).__qualname__}.{part.name}"
    if isinstance(part, (list, dict, set, frozenset)):
        raise Unspeakable(f"a {type(part).__qualname__}")
    if isinstance(part, sa.types.TypeEngine):
        return repr(part)
    text = repr(part)
    if " at 0x" in text:
        raise Unspeakable(f"a {type(part).__qualname__}")
    return f"{type(part).__qualname__} {text}"


def fingerprint(mappers: Iterable[Mapper[Any]]) -> str:
    """A digest of all classes that are mapped beside these: what is kept of one is read only by a process that has the same."""
    return ",".join(sorted(_fingerprint(each) for each in {mapper.registry for mapper in mappers}))


_known: WeakKeyDictionary[registry, tuple[int, str]] = WeakKeyDictionary()


def _fingerprint(of: registry) -> str:
    mappers = list(of.mappers)
    known = _known.get(of)
    if known is not None and known[0] == len(mappers):
        return known[1]
    lines = sorted(line for mapper in mappers for line in _lines(mapper))
    text = blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
    _known[of] = len(mappers), text
    return text


def _lines(mapper: Mapper[Any]) -> Iterable[str]:
    name = mapper_name(mapper)
    for attr in mapper.column_attrs:
        yield f"{name}.{attr.key} {attr.columns[0].type!r}"
    for relationship in mapper.relationships:
        yield f"{name}.{relationship.key} -> {mapper_name(relationship.mapper)} {relationship.uselist}"
