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
from enum import IntFlag
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

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


class Envelope(NamedTuple):
    """The fields of the layout. Times are wall-clock seconds."""

    flags: int
    code: int
    kind: int
    fill: bytes
    fresh_until: float
    usable_until: float
    lifetime: float
    cost: float
    window: float
    node: bytes
    """Replication id of the node that holds the entry."""
    stamps: Stamps
    key: str | None
    """The full key, where the server's name for it is a digest."""
    payload: bytes


Fields = tuple[
    int, int, int, bytes, float, float, float, float, float, bytes, Stamps, str | None, bytes
]
"""An envelope, where a tuple that nobody has to name is made in a tenth of the time."""


_KIND_END, _META_LENGTH = 4, 44
_TIMES = Struct("<ddff").unpack_from

Times = tuple[float, float, float, float]
"""fresh until, usable until, lifetime, cost"""

UNLIKE: Final = object()
"""In the place of a value that was not read."""


class Likeness:
    """The bytes that entries share which are of one kind and were made from the same things on the same node.

    Comparing them takes one call into C, where reading them takes a microsecond. What it cannot read is left to
    `fields_of`.
    """

    __slots__ = ("_decode", "_end", "_heads", "_kind", "_meta", "_most", "_unpack")

    def __init__(self, data: bytes, decode: Callable[[bytes], Any], most: int) -> None:
        (size,) = Struct("<I").unpack_from(data, _META_LENGTH)
        self._end = HEAD_BYTES + size
        self._kind = data[:_KIND_END]
        self._meta = data[_META_LENGTH : self._end]
        head = Struct(f"<{_KIND_END}s{FILL_BYTES}xddff4x{len(self._meta)}s")
        self._unpack = head.unpack_from
        self._heads = head.iter_unpack
        self._decode = decode
        self._most = most + self._end

    def read(self, data: bytes, now: float) -> tuple[Any, Times] | None:
        """What an entry says that is alike and fresh at `now`, else None. Raises whatever the decoder raises."""
        if self._end <= len(data) <= self._most:
            kind, fresh, usable, lifetime, cost, meta = self._unpack(data)
            if (
                kind == self._kind
                and meta == self._meta
                and now < fresh <= usable < _NEVER
                and lifetime >= 0 <= cost
            ):
                return self._decode(data[self._end :]), (fresh, usable, lifetime, cost)
        return None

    def read_many(self, entries: list[bytes], now: float) -> list[Any]:
        """The values of many, in their order; `UNLIKE` for those that are not alike and fresh.

        Raises whatever the decoder raises, and `struct.error` or ValueError where an entry is cut short.
        """
        end, kind, meta, most = self._end, self._kind, self._meta, self._most
        decode = self._decode
        heads = self._heads(b"".join([data[:end] for data in entries]))
        return [
            decode(data[end:])
            if of == kind
            and like == meta
            and now < fresh <= usable < _NEVER
            and lifetime >= 0 <= cost
            and len(data) <= most
            else UNLIKE
            for data, (of, fresh, usable, lifetime, cost, like) in zip(entries, heads, strict=True)
        ]

    def times(self, data: bytes) -> Times:
        """(fresh until, usable until, lifetime, cost) of an entry that is alike."""
        return _TIMES(data, 16)


_encode_meta = msgspec.msgpack.Encoder().encode
_meta_decoder = msgspec.msgpack.Decoder(tuple[bytes, dict[str, bytes], str | None])


Meta = tuple[bytes, Stamps, str | None]


@lru_cache(maxsize=4096)
def _decode_short(meta: bytes) -> Meta:
    # Entries made from the same things carry the same bytes here, so most hits skip the parsing.
    return _meta_decoder.decode(meta)


def _decode_meta(meta: bytes) -> Meta:
    return _decode_short(meta) if len(meta) <= 512 else _meta_decoder.decode(meta)


def pack(fields: Fields) -> bytes:
    """The bytes of an entry."""
    flags, code, kind, fill, fresh, usable, lifetime, cost, window, node, stamps, key, payload = (
        fields
    )
    meta = _encode_meta((node, stamps, key))
    head = _HEAD.pack(
        VERSION,
        flags,
        code,
        kind,
        fill,
        fresh,
        usable,
        lifetime,
        cost,
        window,
        len(meta),
    )
    return b"".join((head, meta, payload))


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
    return Envelope._make(fields_of(data))
