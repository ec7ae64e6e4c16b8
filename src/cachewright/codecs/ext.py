"""Python types that msgpack does not know, as msgpack extension values that keep the exact type.

Extension codes 1 to 15 are part of the stored format: they never change their meaning. What must
not be here: classes of users. They travel by `type=`, because nothing in cached bytes may name code.
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

from cachewright.codecs.plain import LEAVES, MAX_DEPTH
from cachewright.errors import CodecError

_pack = msgspec.msgpack.Encoder().encode
_UNTOUCHED: Final = LEAVES - {int}
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1

_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def lower(value: Any, depth: int = 0) -> Any:
    """`value` with everything that msgpack would change replaced by an `Ext`.

    Raises `CodecError` for a type that has no exact spelling, and for nesting beyond `MAX_DEPTH`.
    """
    kind = type(value)
    if kind in LEAVES:
        return _int(value) if kind is int else value
    if depth >= MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH} levels")
    if kind is list:
        return _lowered(value, depth + 1)
    if kind is dict:
        return _dict(value, depth + 1)
    if kind in _MOMENTS:
        return _moment(value)
    rule = _DUMPS.get(kind)
    if rule is None:
        raise CodecError(
            f"an untyped codec cannot give back {kind.__module__}.{kind.__qualname__} as it was: "
            "pass type= (a dataclass, Struct, TypedDict, Enum or a container of them)"
        )
    code, dump = rule
    return Ext(code, dump(value, depth + 1))


def raise_ext(code: int, data: memoryview) -> Any:
    """msgspec's `ext_hook`: the value that `lower` replaced. Raises `CodecError` for unknown codes."""
    load = _LOADS.get(code)
    if load is None:
        raise CodecError(f"unknown extension type {code}")
    return load(data)


def _int(value: int) -> int | Ext:
    if _LEAST <= value <= _MOST:
        return value
    return Ext(1, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _is_a_product_s_text(key: object) -> bool:
    """Whether a key is a str of some product's own, such as the names of columns in SQLAlchemy's rows.

    As a key it is equal to its text, and its text is all that anybody looks up. A member of an Enum is more than that.
    """
    return isinstance(key, str) and type(key) is not str and not isinstance(key, Enum)


def _dict(value: dict[Any, Any], depth: int) -> Any:
    if any(map(_is_a_product_s_text, value)):
        value = {
            str.__str__(key) if _is_a_product_s_text(key) else key: item
            for key, item in value.items()
        }
    kinds = frozenset(map(type, value))
    if kinds <= LEAVES and (int not in kinds or Ext not in map(type, map(lower, value))):
        return dict(zip(value, _lowered(value.values(), depth), strict=True))
    pairs = [[lower(key, depth), lower(item, depth)] for key, item in value.items()]
    return Ext(11, _pack(pairs))


def _lowered(items: Iterable[Any], depth: int) -> list[Any]:
    # Most items need nothing: leave them without a call.
    return [
        item
        if (kind := type(item)) in _UNTOUCHED or (kind is int and _LEAST <= item <= _MOST)
        else lower(item, depth)
        for item in items
    ]


def _items(value: Any, depth: int) -> bytes:
    return _pack(_lowered(value, depth))


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


def _load_datetime(data: memoryview) -> dt.datetime:
    naive, fold, zone = _unpack(data)
    return dt.datetime.fromisoformat(naive).replace(tzinfo=_load_zone(zone), fold=fold)


def _load_time(data: memoryview) -> dt.time:
    naive, fold, zone = _unpack(data)
    return dt.time.fromisoformat(naive).replace(tzinfo=_load_zone(zone), fold=fold)


def _dump_timedelta(value: dt.timedelta, _: int) -> bytes:
    return _pack([value.days, value.seconds, value.microseconds])


def _load_timedelta(data: memoryview) -> dt.timedelta:
    days, seconds, microseconds = _unpack(data)
    return dt.timedelta(days, seconds, microseconds)


def _unpack(data: memoryview) -> list[Any]:
    return _decoder.decode(data)


def _text(data: memoryview) -> str:
    return str(data, "utf-8")


_MOMENTS: Final = frozenset({dt.datetime, dt.time})

_DUMPS: Final[dict[type, tuple[int, Callable[[Any, int], bytes]]]] = {
    tuple: (2, _items),
    set: (3, _items),
    frozenset: (4, _items),
    dt.date: (6, lambda value, _: value.isoformat().encode()),
    dt.timedelta: (8, _dump_timedelta),
    Decimal: (9, lambda value, _: str(value).encode()),
    UUID: (10, lambda value, _: value.bytes),
    complex: (12, lambda value, _: _pack([value.real, value.imag])),
    bytearray: (13, lambda value, _: bytes(value)),
}

_LOADS: Final[dict[int, Callable[[memoryview], Any]]] = {
    1: lambda data: int.from_bytes(data, "big", signed=True),
    2: lambda data: tuple(_unpack(data)),
    3: lambda data: set(_unpack(data)),
    4: lambda data: frozenset(_unpack(data)),
    5: lambda data: dt.datetime.fromisoformat(_text(data)),
    6: lambda data: dt.date.fromisoformat(_text(data)),
    7: lambda data: dt.time.fromisoformat(_text(data)),
    8: _load_timedelta,
    9: lambda data: Decimal(_text(data)),
    10: lambda data: UUID(bytes=bytes(data)),
    11: lambda data: dict(_unpack(data)),
    12: lambda data: complex(*_unpack(data)),
    13: bytearray,
    14: _load_datetime,
    15: _load_time,
}

_decoder = msgspec.msgpack.Decoder(list[Any], ext_hook=raise_ext)
