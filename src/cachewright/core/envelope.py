"""An entry as bytes: framing only. What the payload means is the codecs' business.

Layout, little endian (the scripts in redis/lua rely on the offsets):

    0   version       1 byte, 1; any other is unreadable, so that two releases can share a server
    1   payload flags 1 byte (compression, sealing; see codecs.payload)
    2   codec code    1 byte
    3   kind          1 byte, bits of `Kind`
    4   fill          12 random bytes that no other write carries
    16  fresh until   f64, seconds since the epoch
    24  usable until  f64
    32  lifetime      f32, seconds the value was fresh for when it was stored
    36  cost          f32, seconds its load took
    40  window        f32, seconds of a sliding entry
    44  meta length   u32
    48  meta          msgpack: [replication id, {tag: stamp}, full key or nil]
    ..  payload
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from struct import Struct
from typing import Any

import msgspec

from cachewright.core.entry import Stamps
from cachewright.errors import CodecError

VERSION = 1
FILL = slice(4, 16)
FILL_BYTES = 12
_HEAD = Struct("<BBBB12sddfffI")
HEAD_BYTES = _HEAD.size
_NEVER = float("inf")


class Kind(IntFlag):
    """What an entry is besides a value."""

    VALUE = 0
    NEGATIVE = 1
    SLIDING = 2
    COUNTER = 4


@dataclass(slots=True, kw_only=True)
class Envelope:
    """The fields of the layout. Times are wall-clock seconds."""

    fill: bytes
    fresh_until: float
    usable_until: float
    lifetime: float
    cost: float
    stamps: Stamps
    node: bytes
    """Replication id of the node that holds the entry."""
    payload: bytes
    code: int = 0
    flags: int = 0
    kind: int = 0
    window: float = 0.0
    key: str | None = None
    """The full key, where the server's name for it is a digest."""


_KIND_END, _META_LENGTH = 4, 44
_TIMES = Struct("<ddff").unpack_from


class Likeness:
    """The bytes that entries share which are of one kind and were made from the same things on the same node.

    Comparing them takes two calls into C, where reading them takes a microsecond. What it cannot read is left to
    `fields_of`.
    """

    __slots__ = ("_decode", "_end", "_kind", "_meta", "_most")

    def __init__(self, data: bytes, decode: Callable[[bytes], Any], most: int) -> None:
        (size,) = Struct("<I").unpack_from(data, _META_LENGTH)
        self._end = HEAD_BYTES + size
        self._kind = data[:_KIND_END]
        self._meta = data[_META_LENGTH : self._end]
        self._decode = decode
        self._most = most + self._end

    def read(self, data: bytes, now: float) -> tuple[Any, float, float, float, float] | None:
        """(value, fresh until, usable until, lifetime, cost) of an entry that is alike and fresh at `now`, else None.

        Raises whatever the decoder raises.
        """
        if (
            data.startswith(self._kind)
            and data.startswith(self._meta, _META_LENGTH)
            and len(data) <= self._most
        ):
            fresh, usable, lifetime, cost = _TIMES(data, 16)
            if now < fresh <= usable < _NEVER and lifetime >= 0 <= cost:
                return self._decode(data[self._end :]), fresh, usable, lifetime, cost
        return None


_encode_meta = msgspec.msgpack.Encoder().encode
_meta_decoder = msgspec.msgpack.Decoder(tuple[bytes, dict[str, bytes], str | None])


Meta = tuple[bytes, Stamps, str | None]


@lru_cache(maxsize=4096)
def _decode_short(meta: bytes) -> Meta:
    # Entries made from the same things carry the same bytes here, so most hits skip the parsing.
    return _meta_decoder.decode(meta)


def _decode_meta(meta: bytes) -> Meta:
    return _decode_short(meta) if len(meta) <= 512 else _meta_decoder.decode(meta)


def pack(envelope: Envelope) -> bytes:
    """The bytes of an entry."""
    meta = _encode_meta((envelope.node, envelope.stamps, envelope.key))
    head = _HEAD.pack(
        VERSION,
        envelope.flags,
        envelope.code,
        envelope.kind,
        envelope.fill,
        envelope.fresh_until,
        envelope.usable_until,
        envelope.lifetime,
        envelope.cost,
        envelope.window,
        len(meta),
    )
    return b"".join((head, meta, envelope.payload))


Fields = tuple[
    int, int, int, bytes, float, float, float, float, float, bytes, Stamps, str | None, bytes
]
"""flags, code, kind, fill, fresh until, usable until, lifetime, cost, window, node, stamps, key, payload"""


def fields_of(data: bytes) -> Fields:
    """The fields of the entry in `data`; `CodecError` for whatever makes no sense. The stamps must not be changed.

    The same stamps object comes back for entries that were made from the same things.
    """
    if not data or data[0] != VERSION:
        raise CodecError("not an entry of this version")
    if len(data) < HEAD_BYTES:
        raise CodecError("an entry cut short")
    _, flags, code, kind, fill, fresh, usable, lifetime, cost, window, size = _HEAD.unpack_from(
        data
    )
    end = HEAD_BYTES + size
    if end > len(data) or not (fresh <= usable < _NEVER and lifetime >= 0 <= cost):
        raise CodecError("an entry whose header makes no sense")
    try:
        node, stamps, key = _decode_meta(data[HEAD_BYTES:end])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CodecError(f"an entry whose tags cannot be read: {error}") from None
    payload = data[end:]
    return (
        flags,
        code,
        kind,
        fill,
        fresh,
        usable,
        lifetime,
        cost,
        window,
        node,
        stamps,
        key,
        payload,
    )


def unpack(data: bytes) -> Envelope:
    """The entry in `data`, by name. See `fields_of`."""
    flags, code, kind, fill, fresh, usable, lifetime, cost, window, node, stamps, key, payload = (
        fields_of(data)
    )
    return Envelope(
        fill=fill,
        fresh_until=fresh,
        usable_until=usable,
        lifetime=lifetime,
        cost=cost,
        stamps=stamps,
        node=node,
        payload=payload,
        code=code,
        flags=flags,
        kind=kind,
        window=window,
        key=key,
    )
