"""The pipeline between a value and the bytes in an envelope: codec, compressor, sealer.

Security: unknown codes and flags, bytes that are cut short, moved or hostile, and payloads that are
less protected than configured all end in `CodecError`, which the engine counts as a miss.
What must not be here: formats, the envelope's header, knowledge of keys or tags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from cachewright.codecs.choose import compressor_by_code
from cachewright.codecs.sensitive import is_sensitive, mentions_sensitive
from cachewright.errors import CodecError, ConfigurationError
from cachewright.types import Codec

COMPRESSOR_BITS: Final = 0x0F
"""Bits of the flags that hold the code of the compressor; 0: not compressed."""

SEALED: Final = 0x80
"""Bit of the flags that says that the payload is encrypted."""

_SEAL_OVERHEAD: Final = 1 + 255 + 12 + 16  # the longest key id, nonce and tag


class ValueTooLarge(CodecError):
    """A value whose bytes exceed `max_bytes`: the engine stores nothing and drops the old entry."""


@runtime_checkable
class Compressor(Protocol):
    """Makes bytes smaller. `code` is 1 to 15; those up to 7 are taken."""

    name: str
    code: int

    def compress(self, data: bytes) -> bytes:
        """The data, compressed."""

    def decompress(self, data: bytes, *, max_bytes: int) -> bytes:
        """The data again; raises `CodecError`, without ever producing more than `max_bytes`."""


@runtime_checkable
class BoundCodec(Codec, Protocol):
    """A codec that authenticates by itself and so needs to know what the bytes belong to."""

    def encode_bound(self, value: Any, aad: bytes, *, sealed: bool) -> bytes:
        """The value as bytes bound to `aad`; `sealed` says that they will be encrypted."""

    def decode_bound(self, data: bytes, aad: bytes) -> Any:
        """The value, if the bytes were made under the same `aad`."""


class SealerLike(Protocol):
    """What `PayloadCodec` needs of `cachewright.codecs.aesgcm.Sealer`."""

    def seal(self, data: bytes, aad: bytes) -> bytes:
        """The data, encrypted and bound to `aad`."""

    def open(self, data: bytes, aad: bytes) -> bytes:
        """What was sealed under the same `aad`; raises `CodecError`."""


class PayloadCodec:
    """Values to payloads and back.

    `compress_above`: bytes below which nothing is compressed. `max_bytes`: limit of a value's bytes
    before compression, and of what a payload may inflate to. Raises `ConfigurationError` for an
    impossible option and for a codec whose `type` mentions `Sensitive` when there is no sealer.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        compressor: Compressor | None = None,
        compress_above: int = 1024,
        sealer: SealerLike | None = None,
        max_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        _check(codec, compressor, sealed=sealer is not None, max_bytes=max_bytes)
        self.codec = codec
        self.max_bytes = max_bytes
        self._code = codec.code
        self._decode = codec.decode
        self._bound = codec if isinstance(codec, BoundCodec) else None
        self._encode = codec.encode if _knows_its_types(codec) else self._encode_foreign
        self._compressor = compressor
        self._compress_above = compress_above
        self._sealer = sealer
        self._bare = compressor is None and sealer is None
        self._direct = self._bound is None and sealer is None
        self.binds = not self._direct
        """Whether `aad` matters: nothing authenticates a bare payload."""
        self._most = max_bytes + _SEAL_OVERHEAD

    def encode(self, value: Any, aad: bytes) -> tuple[int, int, bytes]:
        """(codec code, flags, payload). `aad`: what the payload belongs to (namespace, full key).

        Raises `CodecError`, and its subclass `ValueTooLarge` above `max_bytes`.
        """
        try:
            if self._bound is None:
                body = self._encode(value)
            else:
                sealed = self._sealer is not None
                body = self._bound.encode_bound(value, _codec_aad(self._code, aad), sealed=sealed)
            if len(body) > self.max_bytes:
                raise ValueTooLarge(f"{len(body)} bytes exceed max_bytes={self.max_bytes}")
            return (self._code, 0, body) if self._bare else self._wrap(body, aad)
        except CodecError:
            raise
        except Exception as error:  # codecs and compressors of users and other packages
            raise CodecError(f"cannot encode {type(value).__qualname__}: {error}") from error

    def decode(self, code: int, flags: int, data: bytes, aad: bytes) -> Any:
        """The value. Raises `CodecError` and nothing else, whatever the arguments hold."""
        if code != self._code:
            raise CodecError(f"written by codec {code}, not by {self.codec.name}")
        if len(data) > self._most:
            raise CodecError(f"{len(data)} bytes exceed max_bytes={self.max_bytes}")
        try:
            if self._direct and not flags:
                return self._decode(data)
            body = self._unwrap(flags, data, aad)
            if self._bound is None:
                return self._decode(body)
            return self._bound.decode_bound(body, _codec_aad(code, aad))
        except CodecError:
            raise
        except Exception as error:  # codecs and compressors of users and other packages
            raise CodecError(f"cannot decode: {type(error).__name__}: {error}") from error

    def bare_decoder(self, code: int, flags: int) -> tuple[Callable[[bytes], Any], int] | None:
        """What decodes payloads of this code and flags, and the most bytes it may get; None where that takes more.

        It may raise anything on bytes that make no sense: `decode` then says what is wrong with them.
        """
        if flags or not self._direct or code != self._code:
            return None
        return getattr(self.codec, "raw_decode", self._decode), self._most

    def declare(self, spec: Any) -> None:
        """Let the codec keep objects of the classes in `spec`.

        Raises `ConfigurationError` for a class that cannot be kept so: one that is `Sensitive` without a sealer, or
        that the codec has no way to keep. A codec of the user's own that has no `declare` keeps what it keeps.
        """
        _check_sensitive(self.codec, spec, sealed=self.sealed)
        declare = getattr(self.codec, "declare", None)
        if declare is not None:
            declare(spec)

    @property
    def sealed(self) -> bool:
        """Whether nothing unsealed is believed."""
        return self._sealer is not None

    def encode_absence(self, aad: bytes) -> tuple[int, int, bytes]:
        """That there is no value, sealed where values are."""
        return self._wrap(b"", _ABSENCE + aad) if self._sealer is not None else (0, 0, b"")

    def check_absence(self, code: int, flags: int, data: bytes, aad: bytes) -> None:
        """Raises `CodecError` unless `encode_absence` made these."""
        if self._sealer is None and (code or flags or data):
            raise CodecError("an absence that carries something")
        if self._sealer is not None:
            try:
                self._unwrap(flags, data, _ABSENCE + aad)
            except CodecError:
                raise
            except Exception as error:  # sealers of users
                raise CodecError(f"cannot open: {type(error).__name__}") from error

    def _encode_foreign(self, value: Any) -> bytes:
        if self._sealer is None and is_sensitive(type(value)):
            raise CodecError(f"{type(value).__qualname__} is marked Sensitive: configure a sealer")
        return self.codec.encode(value)

    def _wrap(self, body: bytes, aad: bytes) -> tuple[int, int, bytes]:
        flags = 0
        if self._compressor is not None and len(body) > self._compress_above:
            packed = self._compressor.compress(body)
            if len(packed) < len(body):
                body, flags = packed, self._compressor.code
        if self._sealer is not None:
            flags |= SEALED
            body = self._sealer.seal(body, _sealer_aad(self._code, flags, aad))
        return self._code, flags, body

    def _unwrap(self, flags: int, data: bytes, aad: bytes) -> bytes:
        if flags & ~(SEALED | COMPRESSOR_BITS):
            raise CodecError(f"unknown flags {flags:#x}")
        if bool(flags & SEALED) != (self._sealer is not None):
            raise CodecError(
                "sealed, and no sealer is configured" if flags & SEALED else "unsealed"
            )
        if self._sealer is not None:
            data = self._sealer.open(data, _sealer_aad(self._code, flags, aad))
        code = flags & COMPRESSOR_BITS
        if not code:
            return data
        own = self._compressor
        inflater = own if own is not None and own.code == code else compressor_by_code(code)
        body: bytes = inflater.decompress(data, max_bytes=self.max_bytes)
        return body


_ABSENCE = b"absent\0"


def _codec_aad(code: int, aad: bytes) -> bytes:
    return bytes((code,)) + aad


def _sealer_aad(code: int, flags: int, aad: bytes) -> bytes:
    return bytes((code, flags)) + aad


def _knows_its_types(codec: Codec) -> bool:
    """True for our codecs: what they take is settled by `type`, or they look for marks themselves."""
    return type(codec).__module__.startswith("cachewright.codecs.")


def _check(codec: Codec, compressor: Compressor | None, *, sealed: bool, max_bytes: int) -> None:
    if not 0 <= codec.code <= 255:
        raise ConfigurationError(f"codec {codec.name!r}: code must be 0 to 255")
    if compressor is not None and not 1 <= compressor.code <= COMPRESSOR_BITS:
        raise ConfigurationError(f"compressor {compressor.name!r}: code must be 1 to 15")
    if max_bytes < 1:
        raise ConfigurationError("max_bytes must be at least 1")
    _check_sensitive(codec, getattr(codec, "type", Any), sealed=sealed)


def _check_sensitive(codec: Codec, spec: Any, *, sealed: bool) -> None:
    if not sealed and mentions_sensitive(spec):
        raise ConfigurationError(
            f"codec {codec.name!r}: its type has Sensitive parts: configure a sealer to cache it"
        )
