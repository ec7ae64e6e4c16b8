"""What processes tell each other: invalidations on the bus, wake-ups to one process. Framing only.

A message only ever removes: whoever can publish can cost misses and plant nothing. Another version, another shape
or too long a message is `None`, to be counted and ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

VERSION = 1
MAX_BYTES = 1 << 20
BATCH = 500
"""Names in one message, and in one script call."""


class Invalidation(msgspec.Struct, array_like=True, frozen=True):
    """Keys and tags whose cached values no longer hold. Tags carry their kind."""

    version: int
    sender: str
    keys: list[str]
    tags: list[str]


class Wake(msgspec.Struct, array_like=True, frozen=True):
    """A key whose lease has ended."""

    version: int
    key: str


encode = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=64)
def beginning(sender: str) -> bytes:
    """What each `Invalidation` of this sender begins with."""
    return encode(Invalidation(VERSION, sender, [], []))[:-2]


_invalidation = msgspec.msgpack.Decoder(Invalidation)
_wake = msgspec.msgpack.Decoder(Wake)


def invalidation(data: bytes) -> Invalidation | None:
    """The message, or None for what is not one."""
    if len(data) > MAX_BYTES:
        return None
    try:
        message = _invalidation.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return message if message.version == VERSION else None


def wake(data: bytes) -> Wake | None:
    """The message, or None for what is not one."""
    if len(data) > MAX_BYTES:
        return None
    try:
        message = _wake.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return message if message.version == VERSION else None


def batches(keys: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Keys and tags in portions that one message and one script call can carry; at least one, maybe empty."""
    names = [(0, key) for key in keys] + [(1, tag) for tag in tags]
    portion: tuple[list[str], list[str]] = ([], [])
    size = count = 0
    for kind, name in names:
        # Up to four bytes a character; a key has 65,536 of them at most.
        if count == BATCH or size + 4 * len(name) > MAX_BYTES // 2:
            yield portion
            portion, size, count = ([], []), 0, 0
        portion[kind].append(name)
        size += 4 * len(name)
        count += 1
    yield portion
