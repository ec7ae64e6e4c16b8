"""zlib (RFC 1950) from the standard library: for when nothing can be installed."""

from __future__ import annotations

import zlib

from cachewright.errors import CodecError


class ZlibCompressor:
    """zlib at `level` 1 (fast) to 9 (small)."""

    name = "zlib"
    code = 1

    def __init__(self, level: int = 1) -> None:
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """The data, deflated."""
        return zlib.compress(data, self._level)

    def decompress(self, data: bytes, *, max_bytes: int) -> bytes:
        """The data again. Raises `CodecError`, also as soon as it exceeds `max_bytes`."""
        inflater = zlib.decompressobj()
        try:
            # A length of 0 would mean no limit; one more than allowed shows the excess.
            out = inflater.decompress(data, max_bytes + 1)
        except zlib.error as error:
            raise CodecError(f"zlib: {error}") from error
        if len(out) > max_bytes:
            raise CodecError(f"inflates to more than {max_bytes} bytes")
        if not inflater.eof or inflater.unused_data:
            raise CodecError("zlib: the payload is cut short or has something behind it")
        return out
