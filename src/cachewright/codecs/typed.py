"""The check that a typed codec gave back what it was given, and the questions asked of a type.

msgspec encodes by the value and decodes by the type, so a value that does not have the type, or a
hole in the type (`Any`, a bare `dict`), changes silently: a subclass loses its fields, a naive
datetime under `Any` comes back as text, an aware one comes back in UTC. The typed codecs therefore
decode what they encoded and compare. What must not be here: a format.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import isnan
from typing import Any, Final

import msgspec
from msgspec import inspect

from cachewright.errors import CodecError, ConfigurationError

# Under these, two values can be equal and yet not the same: 1 and True, noon in Paris and in UTC.
_LOOSE: Final = (inspect.AnyType, inspect.DateTimeType, inspect.TimeType)


class TypedFormat:
    """A msgspec encoder and decoder of one type, with the round-trip check between them."""

    def __init__(
        self,
        spec: Any,
        encode: Callable[[Any], bytes],
        decode: Callable[[Any], Any],
        *,
        prefix: bytes = b"",
    ) -> None:
        nodes = list(_nodes(inspect.type_info(spec)))
        for node in nodes:
            if isinstance(node, inspect.CustomType):
                raise ConfigurationError(
                    f"type={spec!r}: {node.cls!r} is no type that msgspec can decode; "
                    "use a dataclass, Struct, TypedDict, NamedTuple, Enum or a built-in type"
                )
        self._loose = any(isinstance(node, _LOOSE) for node in nodes)
        self._encode = encode
        self._decode = decode
        self._prefix = prefix
        self._size = len(prefix)

    def encode(self, value: Any) -> bytes:
        """The value as bytes. Raises `CodecError` when they would not decode to an equal value."""
        try:
            data = self._encode(value)
            back = self._decode(data)
            kept = self._kept(value, back)
        except Exception as error:  # properties and __post_init__ of a user's type raise anything
            raise CodecError(f"cannot encode {type(value).__qualname__}: {error}") from error
        if not kept:
            raise CodecError(
                f"a {type(value).__qualname__} would not come back as it is: "
                "the value does not have the type that the codec was given"
            )
        return self._prefix + data

    def decode(self, data: Any) -> Any:
        """The value. Raises `CodecError`, also for bytes that were written under another schema."""
        if data[: self._size] != self._prefix:
            raise CodecError("written under another schema of the type")
        try:
            value = self._decode(data[self._size :])
            if self._size or self._encode(value) == data:
                return value
        except Exception as error:  # __post_init__ of a user's type raises anything
            raise CodecError(f"cannot decode: {error}") from error
        # Without a fingerprint, fields that are no longer known would go unseen.
        raise CodecError("written under another schema of the type")

    def _kept(self, value: Any, back: Any) -> bool:
        if type(value) is not type(back):
            return False
        # `==` runs in C and settles nearly all; NaN and classes without __eq__ need the walk.
        return (not self._loose and bool(value == back)) or same(value, back)


def same(a: Any, b: Any) -> bool:
    """Equal, with equal types all the way down; NaN is the same as NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, (set, frozenset)):
        twins = {item: item for item in b}
        return len(a) == len(b) and all(same(item, twins.get(item)) for item in a)
    if isinstance(a, (dt.datetime, dt.time)):
        return bool(a == b) and a.tzinfo == b.tzinfo and a.fold == b.fold
    names = _field_names(a)
    if names:
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    return bool(a == b) or (isinstance(a, (float, Decimal)) and isnan(a) and isnan(b))


def _field_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if dataclasses.is_dataclass(value):
        return tuple(field.name for field in dataclasses.fields(value))
    return ()


def _nodes(root: Any) -> Iterator[Any]:
    """Every node of msgspec's description of a type; recursive types are visited once."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            todo.extend(node)
        elif isinstance(node, (inspect.Type, inspect.Field)) and id(node) not in seen:
            seen.add(id(node))
            yield node
            todo.extend(getattr(node, name) for name in node.__struct_fields__)
