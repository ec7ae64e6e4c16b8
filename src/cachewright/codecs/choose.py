"""Codecs and compressors by name, and compressors by the code found in a payload.

Packages are imported when a format is first asked for. Pickle has no name and no entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cachewright.errors import CodecError, ConfigurationError

if TYPE_CHECKING:
    from cachewright.codecs.payload import Compressor
    from cachewright.types import Codec


def codec_for(spec: str | Codec = "msgpack", type: Any = Any) -> Codec:  # noqa: A002 - public name
    """The codec called "msgpack" or "json" for `type`, or `spec` itself when it is a codec.

    Raises `ConfigurationError`.
    """
    if not isinstance(spec, str):
        return _given(spec, type)
    make = _CODECS.get(spec)
    if make is not None:
        return make(type)
    if spec == "pickle":
        raise ConfigurationError(
            "pickle has no name, because it runs code found in the cache. If you must: "
            "codec=cachewright.codecs.pickle.SignedPickleCodec(keys=[...])"
        )
    raise ConfigurationError(f"codec={spec!r}: use one of {sorted(_CODECS)} or a Codec object")


def compressor_for(spec: str | Compressor | None) -> Compressor | None:
    """The compressor called "zstd", "lz4" or "zlib", or `spec` itself. Raises `ConfigurationError`."""
    if spec is None:
        return None
    if not isinstance(spec, str):
        if not all(hasattr(spec, name) for name in ("code", "compress", "decompress")):
            raise ConfigurationError(
                f"compressor={spec!r}: a Compressor has a code, compress() and decompress()"
            )
        return spec
    make = _COMPRESSORS.get(spec)
    if make is None:
        raise ConfigurationError(
            f"compressor={spec!r}: use one of {sorted(_COMPRESSORS)}, a Compressor object or None"
        )
    try:
        return make()
    except ImportError as error:
        raise ConfigurationError(f"compressor={spec!r}: {error}") from error


def compressor_by_code(code: int) -> Compressor:
    """What inflates payloads with this code. Raises `CodecError`: unknown, or not installed."""
    found = _by_code.get(code)
    if found is None:
        name = _NAMES.get(code)
        if name is None:
            raise CodecError(f"unknown compressor {code}")
        try:
            found = _by_code[code] = _COMPRESSORS[name]()
        except ImportError as error:
            raise CodecError(str(error)) from error
    return found


def _given(codec: Codec, spec: Any) -> Codec:
    if spec is not Any:
        raise ConfigurationError("type= belongs to the codec object: build it with its type")
    for name in ("name", "code", "encode", "decode"):
        if not hasattr(codec, name):
            raise ConfigurationError(f"codec={codec!r} has no {name}: see cachewright.types.Codec")
    return codec


def _msgpack(spec: Any) -> Codec:
    from cachewright.codecs.msgpack import MsgpackCodec

    return MsgpackCodec(spec)


def _json(spec: Any) -> Codec:
    from cachewright.codecs.json import JsonCodec

    return JsonCodec(spec)


def _zlib() -> Compressor:
    from cachewright.codecs.zlib import ZlibCompressor

    return ZlibCompressor()


def _lz4() -> Compressor:
    from cachewright.codecs.lz4 import Lz4Compressor

    return Lz4Compressor()


def _zstd() -> Compressor:
    from cachewright.codecs.zstd import ZstdCompressor

    return ZstdCompressor()


_CODECS: Final[dict[str, Callable[[Any], Codec]]] = {"json": _json, "msgpack": _msgpack}
_COMPRESSORS: Final[dict[str, Callable[[], Compressor]]] = {
    "lz4": _lz4,
    "zlib": _zlib,
    "zstd": _zstd,
}
_NAMES: Final = {1: "zlib", 2: "lz4", 3: "zstd"}
_by_code: dict[int, Compressor] = {}
