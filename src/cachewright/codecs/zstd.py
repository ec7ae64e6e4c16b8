"""Zstandard (RFC 8878): the best ratio for its speed. Needs the extra `cachewright[zstd]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from cachewright.errors import CodecError

try:
    import zstandard
except ImportError as missing:
    raise ImportError("Zstandard needs a package: pip install 'cachewright[zstd]'") from missing

_CHUNK: Final = 65536
_C = TypeVar("_C")


class ZstdCompressor:
    """Zstandard at `level` (negative: faster, up to 22: smaller)."""

    name = "zstd"
    code = 3

    def __init__(self, level: int = 1) -> None:
        self._compressors = _Idle(lambda: zstandard.ZstdCompressor(level=level))
        self._decompressors = _Idle(zstandard.ZstdDecompressor)

    def compress(self, data: bytes) -> bytes:
        """The data as one frame that declares its size."""
        with self._compressors.taken() as context:
            return context.compress(data)

    def decompress(self, data: bytes, *, max_bytes: int) -> bytes:
        """The data again. Raises `CodecError`, also as soon as it exceeds `max_bytes`.

        A frame is inflated in steps that stop at its declared size, which must not exceed
        `max_bytes`; what it inflates to beyond that is never produced. Frames without a declared
        size are refused: `compress` writes none.
        """
        try:
            size = zstandard.frame_content_size(data)
            if not 0 <= size <= max_bytes:
                raise CodecError(f"inflates to more than {max_bytes} bytes or to an unknown size")
            out = self._inflate(data, size)
        except (zstandard.ZstdError, MemoryError) as error:
            raise CodecError(f"zstd: {error}") from error
        if len(out) != size:
            raise CodecError("zstd: the frame is not as long as it says")
        return out

    def _inflate(self, data: bytes, size: int) -> bytes:
        """Up to one byte more than `size`, which shows that there is more."""
        steps: list[bytes] = []
        left = size + 1
        with self._decompressors.taken() as context, context.stream_reader(data) as reader:
            while left and (step := reader.read(min(left, _CHUNK))):
                steps.append(step)
                left -= len(step)
        return steps[0] if len(steps) == 1 else b"".join(steps)


class _Idle(Generic[_C]):
    """Contexts that nobody uses now. They are dear to make, and no two threads may share one.

    As many are kept as were ever at work at once; list.pop and append need no lock.
    """

    def __init__(self, make: Callable[[], _C]) -> None:
        self._make = make
        self._idle: list[_C] = []

    @contextmanager
    def taken(self) -> Iterator[_C]:
        try:
            context = self._idle.pop()
        except IndexError:
            context = self._make()
        try:
            yield context
        finally:
            self._idle.append(context)
