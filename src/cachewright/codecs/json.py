"""JSON through msgspec, for values that other programs read.

Format: RFC 8259. What must not be here: spellings of our own for types that JSON lacks.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec.json

from cachewright.codecs.plain import JSON_KEYS, JSON_LEAVES, all_finite, is_plain
from cachewright.codecs.typed import TypedFormat
from cachewright.errors import CodecError, ConfigurationError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_UNENCODABLE = (TypeError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)


class JsonCodec:
    """Values as JSON.

    Without `type` it accepts what JSON gives back exactly: None, bool, int, finite float, str, list
    and dict with str keys, up to 100 levels. Everything else raises `CodecError`, which names the
    remedy. With `type` it works as `MsgpackCodec(type)` does.
    """

    def __init__(self, type: Any = Any) -> None:  # noqa: A002 - the public name of the option
        self.type = type
        self._typed: TypedFormat | None = None
        if type is Any or type is object:
            self.name, self.code = "json", 3
            return
        self.name, self.code = "json-typed", 4
        try:
            decoder = msgspec.json.Decoder(type)
            self._typed = TypedFormat(type, _encode, decoder.decode)
        except (TypeError, NameError) as error:
            raise ConfigurationError(f"type={type!r} cannot be decoded: {error}") from error

    def declare(self, spec: Any) -> None:
        """Raises `ConfigurationError` unless `spec` is the codec's own type: JSON says of no object what it is."""
        if spec != self.type:
            raise ConfigurationError(
                f"codec='json' cannot say what is a {spec!r}: build it with type={spec!r}, or use codec='msgpack'"
            )

    def encode(self, value: Any) -> bytes:
        """The value as bytes; raises `CodecError`."""
        if self._typed is not None:
            return self._typed.encode(value)
        try:
            data = _encode(value)
        except _UNENCODABLE as error:
            raise CodecError(f"cannot encode {type(value).__qualname__}: {error}") from error
        if type(value) is dict and _is_flat(value):
            return data
        # msgspec writes NaN and infinities as null: without a null there is none of them.
        plain = is_plain(value, leaves=JSON_LEAVES, keys=JSON_KEYS)
        if plain and (b"null" not in data or all_finite(value)):
            return data
        raise CodecError(
            f"JSON would not give this {type(value).__qualname__} back as it is (it keeps dicts with "
            "str keys, lists, str, int, finite float, bool and None, 100 levels deep): "
            'pass type=, or use codec="msgpack"'
        )

    def decode(self, data: Any) -> Any:
        """The value that `encode` was given; raises `CodecError`, whatever the bytes are."""
        if self._typed is not None:
            return self._typed.decode(data)
        try:
            return _decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
            raise CodecError(f"cannot decode: {error}") from error


def _is_flat(value: dict[Any, Any]) -> bool:
    """True for what is_plain and all_finite allow without nesting; a miss here decides nothing."""
    for key, item in value.items():
        kind = type(item)
        if type(key) is not str or kind not in JSON_LEAVES:
            return False
        if kind is float and not isfinite(item):
            return False
    return True
