"""Reads a recorded trace: which object was asked for, in order.

What must not be here: what the objects are (they are numbered as they appear), sizes in bytes, and
times. A file is read once, in pieces, and nothing in it is run.
"""

from __future__ import annotations

import gzip
import lzma
import os
import sys
import zlib
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Literal

from cachewright.errors import CacheError

Layout = Literal["auto", "u32", "lines"]
Progress = Callable[[int, int], object]
"""Called with what is done and what there is to do, in a unit that only their ratio shows."""

LONGEST_LINE = 65_536
"""Bytes; whatever has a longer line is not a log of keys."""

_PIECE = 1 << 20
_XZ = b"\xfd7zXZ\x00"
_GZIP = b"\x1f\x8b"


class TraceError(CacheError, ValueError):
    """A file that is no trace. The message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in order: `ids` has one number for each, and numbers are 0, 1, 2… by first appearance."""

    name: str
    ids: array[int]
    unique: int

    @classmethod
    def of(cls, name: str, keys: Iterable[Hashable]) -> Trace:
        """The trace of any hashable keys."""
        numbers: dict[Hashable, int] = {}
        ids = array("I", (numbers.setdefault(key, len(numbers)) for key in keys))
        return cls(name, ids, len(numbers))

    def keys(self) -> list[str]:
        """The requests as the strings that a cache is asked for, one object for each key."""
        names = [f"object:{number}" for number in range(self.unique)]
        return [names[number] for number in self.ids]


def read_trace(path: Path, *, layout: Layout = "auto", progress: Progress | None = None) -> Trace:
    """The trace in `path`: little-endian unsigned 32-bit ids, or one key a line; as it is, xz or gzip.

    `auto` takes a file for ids if its name says `.u32`, or if a NUL byte is in its first mebibyte,
    which no key has. Lines end in LF or CR LF; empty ones are skipped. Raises `TraceError`.
    """
    try:
        with path.open("rb") as raw:
            trace = Trace.of(path.name, _keys(path, raw, layout=layout, progress=progress))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}") from error
    if not trace.ids:
        raise TraceError(f"{path}: holds no request")
    return trace


def _keys(
    path: Path, raw: BufferedReader, *, layout: Layout, progress: Progress | None
) -> Iterator[Hashable]:
    packing = _packing(raw)
    pieces = _pieces(path, raw, packing=packing, progress=progress)
    first = next(pieces, b"")
    if layout == "auto":
        layout = "u32" if ".u32" in path.suffixes or b"\0" in first else "lines"
    if layout == "lines":
        return _lines(path, first, pieces)
    if packing is None:  # as early as this can be known
        _check_length(path, os.fstat(raw.fileno()).st_size)
    return _numbers(path, first, pieces)


def _packing(raw: BufferedReader) -> str | None:
    head = raw.peek(len(_XZ))[: len(_XZ)]  # a pipe cannot be wound back
    if head.startswith(_GZIP):
        return "gzip"
    return "xz" if head == _XZ else None


def _unpacked(raw: BufferedReader, packing: str | None) -> BufferedIOBase:
    if packing == "xz":
        return lzma.LZMAFile(raw)
    return raw if packing is None else gzip.GzipFile(fileobj=raw)


def _pieces(
    path: Path, raw: BufferedReader, *, packing: str | None, progress: Progress | None
) -> Iterator[bytes]:
    size = os.fstat(raw.fileno()).st_size
    stream = _unpacked(raw, packing)
    while True:
        try:
            piece = stream.read(_PIECE)
        except (lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
            raise TraceError(f"{path}: corrupt {packing} data ({error})") from error
        except EOFError as error:
            raise TraceError(f"{path}: the {packing} data ends too early") from error
        if not piece:
            return
        if progress is not None and size:
            progress(raw.tell(), size)
        yield piece


def _numbers(path: Path, first: bytes, rest: Iterator[bytes]) -> Iterator[int]:
    held, total = first, len(first)
    while held:
        whole = len(held) & ~3
        ids = array("I", held[:whole])
        if sys.byteorder == "big":
            ids.byteswap()
        yield from ids
        piece = next(rest, b"")
        total += len(piece)
        if not piece:
            _check_length(path, total)
            return
        held = held[whole:] + piece


def _check_length(path: Path, size: int) -> None:
    if size % 4:
        raise TraceError(
            f"{path}: {size:,} bytes are not a whole number of 32-bit ids; "
            "for a log of one key a line say --format lines"
        )


def _lines(path: Path, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    count, held = 0, first
    while held:
        *lines, last = held.split(b"\n")
        for line in lines:
            count += 1
            yield from _key(path, line, count)
        piece = next(rest, b"")
        if not piece or len(last) > LONGEST_LINE:
            yield from _key(path, last, count + 1)
        if not piece:
            return
        held = last + piece


def _key(path: Path, line: bytes, number: int) -> Iterator[bytes]:
    if len(line) > LONGEST_LINE:
        raise TraceError(
            f"{path}: line {number:,} is longer than {LONGEST_LINE:,} bytes: not a log of keys"
        )
    key = line.rstrip(b"\r")
    if key:
        yield key
