"""Python types that msgpack does not know, as msgpack extension values that keep the exact type.

Extension codes 1 to 16 are part of the stored format: they never change their meaning. What must
not be here: what classes of users look like (`schemas`). Nothing in cached bytes names code: an object carries the
fingerprint of a schema, and only what was declared is made.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec.msgpack
from msgspec.msgpack import Ext

from cachewright.codecs.objects import SIZE, Objects
from cachewright.codecs.plain import LEAVES, MAX_DEPTH
from cachewright.errors import CodecError

_pack = msgspec.msgpack.Encoder().encode
_UNTOUCHED: Final = LEAVES - {int}
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1

_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


OBJECT: Final = 16


def lower(value: Any, depth: int = 0, objects: Objects | None = None) -> Any:
    """`value` with everything that msgpack would change replaced by an `Ext`.

    Raises `CodecError` for a type that has no exact spelling, and for nesting beyond `MAX_DEPTH`.
    """
    kind = type(value)
    if kind in LEAVES:
        return _int(value) if kind is int else value
    if depth >= MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH} levels")
    if kind is list:
        return _lowered(value, depth + 1, objects)
    if kind is dict:
        return _dict(value, depth + 1, objects)
    if kind in _MOMENTS:
        return _moment(value)
    rule = _DUMPS.get(kind)
    if rule is None:
        return _object(value, depth + 1, objects)
    code, dump = rule
    return Ext(code, dump(value, depth + 1, objects))


def _object(value: Any, depth: int, objects: Objects | None) -> Ext:
    if isinstance(value, UUID) and type(value).__module__.startswith("asyncpg."):
        return Ext(10, value.bytes)  # a UUID in all but its class
    apart = None if objects is None else objects.taken_apart(value)
    if apart is None:
        kind = type(value)
        raise CodecError(
            f"an untyped codec cannot give back {kind.__module__}.{kind.__qualname__} as it was: declare it, "
            "cache.typed(...), or pass type= (a dataclass, Struct, TypedDict, Enum or a container of them)"
        )
    return Ext(OBJECT, apart[0] + _items(apart[1], depth, objects))


Unpack = Callable[[memoryview], list[Any]]


def ext_hook(objects: Objects | None) -> Callable[[int, memoryview], Any]:
    """msgspec's `ext_hook`: the value that `lower` replaced. Raises `CodecError` for unknown codes and objects."""

    def raise_ext(code: int, data: memoryview) -> Any:
        load = _LOADS.get(code)
        if load is not None:
            return load(data, unpack)
        if code != OBJECT or objects is None:
            raise CodecError(f"unknown extension type {code}")
        return objects.put_together(bytes(data[:SIZE]), unpack(data[SIZE:]))

    unpack: Unpack = msgspec.msgpack.Decoder(list[Any], ext_hook=raise_ext).decode
    return raise_ext


raise_ext = ext_hook(None)
"""That of a codec to which nothing was declared."""


def _int(value: int) -> int | Ext:
    if _LEAST <= value <= _MOST:
        return value
    return Ext(1, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _is_a_product_s_text(key: object) -> bool:
    """Whether a key is a str of some product's own, such as the names of columns in SQLAlchemy's rows.

    As a key it is equal to its text, and its text is all that anybody looks up. A member of an Enum is more than that.
    """
    return isinstance(key, str) and type(key) is not str and not isinstance(key, Enum)


def _dict(value: dict[Any, Any], depth: int, objects: Objects | None) -> Any:
    if any(map(_is_a_product_s_text, value)):
        value = {
            str.__str__(key) if _is_a_product_s_text(key) else key: item
            for key, item in value.items()
        }
    kinds = frozenset(map(type, value))
    if kinds <= LEAVES and (int not in kinds or Ext not in map(type, map(lower, value))):
        return dict(zip(value, _lowered(value.values(), depth, objects), strict=True))
    pairs = [
        [lower(key, depth, objects), lower(item, depth, objects)] for key, item in value.items()
    ]
    return Ext(11, _pack(pairs))


def _lowered(items: Iterable[Any], depth: int, objects: Objects | None) -> list[Any]:
    # Most items need nothing: leave them without a call.
    return [
        item
        if (kind := type(item)) in _UNTOUCHED or (kind is int and _LEAST <= item <= _MOST)
        else lower(item, depth, objects)
        for item in items
    ]


def _items(value: Any, depth: int, objects: Objects | None) -> bytes:
    return _pack(_lowered(value, depth, objects))


def _moment(value: dt.datetime | dt.time) -> Any:
    zone = value.tzinfo
    is_datetime = type(value) is dt.datetime
    if not value.fold and (zone is None or _is_bare_offset(zone)):
        if is_datetime and zone is dt.UTC:
            return value  # msgpack's own timestamp, which msgspec decodes in C, gives it back
        return Ext(5 if is_datetime else 7, value.isoformat().encode())
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return Ext(14 if is_datetime else 15, _pack([naive, value.fold, _dump_zone(zone)]))


def _is_bare_offset(zone: dt.tzinfo) -> bool:
    if type(zone) is not dt.timezone:
        return False
    return zone.tzname(None) == dt.timezone(zone.utcoffset(None)).tzname(None)


def _dump_zone(zone: dt.tzinfo | None) -> Any:
    """None for naive, a name for a `ZoneInfo`, else [days, seconds, microseconds, name]."""
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key is not None and ZoneInfo(zone.key) is zone:
        return zone.key
    if type(zone) is dt.timezone:
        offset = zone.utcoffset(None)
        return [offset.days, offset.seconds, offset.microseconds, zone.tzname(None)]
    raise CodecError(
        f"a time zone of type {type(zone).__qualname__} cannot be given back as it was"
    )


def _load_zone(spelled: Any) -> dt.tzinfo | None:
    if spelled is None:
        return None
    if isinstance(spelled, str):
        # ZoneInfo looks the name up among files and in the tzdata package: let nothing else through.
        if not _ZONE_NAME.fullmatch(spelled):
            raise CodecError("not the name of a time zone")
        return ZoneInfo(spelled)
    days, seconds, microseconds, name = spelled
    offset = dt.timedelta(days, seconds, microseconds)
    bare = dt.timezone(offset)
    return bare if bare.tzname(None) == name else dt.timezone(offset, name)


def _load_datetime(data: memoryview, unpack: Unpack) -> dt.datetime:
    naive, fold, zone = unpack(data)
    return dt.datetime.fromisoformat(naive).replace(tzinfo=_load_zone(zone), fold=fold)


def _load_time(data: memoryview, unpack: Unpack) -> dt.time:
    naive, fold, zone = unpack(data)
    return dt.time.fromisoformat(naive).replace(tzinfo=_load_zone(zone), fold=fold)


def _load_timedelta(data: memoryview, unpack: Unpack) -> dt.timedelta:
    days, seconds, microseconds = unpack(data)
    return dt.timedelta(days, seconds, microseconds)


def _text(data: memoryview) -> str:
    return str(data, "utf-8")


_MOMENTS: Final = frozenset({dt.datetime, dt.time})

_DUMPS: Final[dict[type, tuple[int, Callable[[Any, int, Objects | None], bytes]]]] = {
    tuple: (2, _items),
    set: (3, _items),
    frozenset: (4, _items),
    dt.date: (6, lambda value, depth, objects: value.isoformat().encode()),
    dt.timedelta: (
        8,
        lambda value, depth, objects: _pack([value.days, value.seconds, value.microseconds]),
    ),
    Decimal: (9, lambda value, depth, objects: str(value).encode()),
    UUID: (10, lambda value, depth, objects: value.bytes),
    complex: (12, lambda value, depth, objects: _pack([value.real, value.imag])),
    bytearray: (13, lambda value, depth, objects: bytes(value)),
}

_LOADS: Final[dict[int, Callable[[memoryview, Unpack], Any]]] = {
    1: lambda data, unpack: int.from_bytes(data, "big", signed=True),
    2: lambda data, unpack: tuple(unpack(data)),
    3: lambda data, unpack: set(unpack(data)),
    4: lambda data, unpack: frozenset(unpack(data)),
    5: lambda data, unpack: dt.datetime.fromisoformat(_text(data)),
    6: lambda data, unpack: dt.date.fromisoformat(_text(data)),
    7: lambda data, unpack: dt.time.fromisoformat(_text(data)),
    8: _load_timedelta,
    9: lambda data, unpack: Decimal(_text(data)),
    10: lambda data, unpack: UUID(bytes=bytes(data)),
    11: lambda data, unpack: dict(unpack(data)),
    12: lambda data, unpack: complex(*unpack(data)),
    13: lambda data, unpack: bytearray(data),
    14: _load_datetime,
    15: _load_time,
}
