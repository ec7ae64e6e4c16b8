"""The default codec: MessagePack through msgspec, with exact Python types or a refusal.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md; extension codes in `ext`.
What must not be here: compression, encryption, limits on size (`payload`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec.msgpack

from cachewright.codecs.ext import ext_hook, lower
from cachewright.codecs.objects import Objects
from cachewright.codecs.plain import LEAVES, is_plain
from cachewright.codecs.schemas import fingerprint
from cachewright.codecs.typed import TypedFormat
from cachewright.errors import CodecError, ConfigurationError

_encode = msgspec.msgpack.Encoder().encode


class MsgpackCodec:
    """Values as MessagePack.

    Without `type` a value comes back with exactly the types it had, or `encode` raises `CodecError`.
    Known: None, bool, int of any size, float, complex, str, bytes, bytearray, list, dict with any
    keys, tuple, set, frozenset, Decimal, UUID, date, time, datetime (naive, `timezone`, `ZoneInfo`)
    and timedelta; not their subclasses, nor classes of yours that were not declared (`declare`). Nesting: 100 levels.

    With `type` (a dataclass, msgspec Struct, TypedDict, NamedTuple, Enum, `list[User]`,
    `User | None`, …) values are validated strictly when decoded, and `encode` raises `CodecError`
    when the bytes would not decode to an equal value. Raises `ConfigurationError` for a type that
    msgspec cannot decode. Aware datetimes inside a type must be in UTC.

    With a type, the bytes begin with the fingerprint of its schema (`schemas.fingerprint`), so that those of another
    schema are refused, whatever defaults its fields have. The two write different codec codes, so that neither reads
    the other's bytes. Code 2 was a type without a fingerprint.
    """

    def __init__(self, type: Any = Any) -> None:  # noqa: A002 - the public name of the option
        self.type = type
        self._typed: TypedFormat | None = None
        self._objects = Objects()
        hook = ext_hook(self._objects)
        self._decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder(ext_hook=hook).decode
        self.raw_decode = self._decode
        """What `decode` does with bytes that make sense; may raise anything on others."""
        if type is Any or type is object:
            self.name, self.code = "msgpack", 1
            return
        self.name, self.code = "msgpack-typed", 6
        try:
            decoder = msgspec.msgpack.Decoder(type)
            self._typed = TypedFormat(type, _encode, decoder.decode, prefix=fingerprint(type))
            self.raw_decode = self._typed.decode
        except (TypeError, NameError) as error:
            raise ConfigurationError(f"type={type!r} cannot be decoded: {error}") from error

    def declare(self, spec: Any) -> None:
        """Let objects of the classes in `spec` be values, or parts of them. Raises `ConfigurationError`."""
        if self._typed is None:
            self._objects.declare(spec)
        elif spec != self.type:
            raise ConfigurationError(
                f"the codec was given type={self.type!r} and keeps nothing else"
            )

    def encode(self, value: Any) -> bytes:
        """The value as bytes; raises `CodecError`."""
        if self._typed is not None:
            return self._typed.encode(value)
        try:
            data = _encode(value)
        except (TypeError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
            return _encode_exactly(value, self._objects)
        if type(value) is dict:
            # The common value is a flat dict, or one with flat lists: one loop here saves a call and passes.
            for key, item in value.items():
                kind = type(item)
                if type(key) not in LEAVES or not (
                    kind in LEAVES or (kind is list and LEAVES.issuperset(map(type, item)))
                ):
                    break
            else:
                return data
        if is_plain(value, leaves=LEAVES, keys=LEAVES):
            return data
        return _encode_exactly(value, self._objects)

    def decode(self, data: Any) -> Any:
        """The value that `encode` was given; raises `CodecError`, whatever the bytes are."""
        if self._typed is not None:
            return self._typed.decode(data)
        try:
            return self._decode(data)
        except CodecError:
            raise
        except _UNDECODABLE as error:
            raise CodecError(f"cannot decode: {error}") from error


_UNDECODABLE = (
    msgspec.MsgspecError,
    TypeError,  # an unhashable item of a set
    ValueError,
    ArithmeticError,  # a Decimal or a timedelta out of range
    LookupError,  # ZoneInfoNotFoundError
    OSError,  # a time zone name that is a directory
    RecursionError,
    MemoryError,
)


def _encode_exactly(value: Any, objects: Objects) -> bytes:
    try:
        return _encode(lower(value, 0, objects))
    except (TypeError, ValueError, ArithmeticError, RecursionError, LookupError, OSError) as error:
        raise CodecError(f"cannot encode {type(value).__qualname__}: {error}") from error
