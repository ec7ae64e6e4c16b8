"""LZ4 blocks with their size in front: the fastest to inflate. Needs the extra `cachewright[lz4]`.

Layout: size of the data (4 bytes, little endian), block. Format of a block:
https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
"""

from __future__ import annotations

from typing import Final

from cachewright.errors import CodecError

try:
    import lz4.block  # type: ignore[import-untyped]  # ships no types
except ImportError as missing:
    raise ImportError("LZ4 needs a package: pip install 'cachewright[lz4]'") from missing

_MAX_RATIO: Final = 255  # a block cannot expand more: one byte adds at most 255 to a match


class Lz4Compressor:
    """LZ4 block compression."""

    name = "lz4"
    code = 2

    def compress(self, data: bytes) -> bytes:
        """The data, compressed."""
        packed: bytes = lz4.block.compress(data, store_size=True)
        return packed

    def decompress(self, data: bytes, *, max_bytes: int) -> bytes:
        """The data again. Raises `CodecError`, also when it would exceed `max_bytes`.

        The declared size is only ever used to make the output buffer smaller than `max_bytes`; the
        decoder never writes beyond its buffer, and a block of another size is an error.
        """
        size = int.from_bytes(data[:4], "little")
        if size > max_bytes or size > _MAX_RATIO * len(data):
            raise CodecError(f"inflates to more than {max_bytes} bytes or claims the impossible")
        try:
            out: bytes = lz4.block.decompress(data)
        except (lz4.block.LZ4BlockError, ValueError, OverflowError, MemoryError) as error:
            raise CodecError(f"lz4: {error}") from error
        if len(out) != size:
            raise CodecError("lz4: the block is not as long as it says")
        return out
