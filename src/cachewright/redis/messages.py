"""What processes tell each other: invalidations on the bus, wake-ups to one process. Framing only.

A message only ever removes: whoever can publish can cost misses and plant nothing. Another version, another shape
or too long a message is `None`, to be counted and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from cachewright.redis.replies import Ended

VERSION = 1
MAX_BYTES = 1 << 20
BATCH = 500
"""Names in one message, and in one script call."""

T = TypeVar("T")


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


def waking(key: str) -> bytes:
    """What those are told who wait for the lease of `key`."""
    return encode((VERSION, key))


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


def portions(items: Sequence[T], size: Callable[[T], int]) -> list[Sequence[T]]:
    """Items, one for each key, in portions that one script call can carry; `size`: the bytes of one of them.

    A server answers nobody else meanwhile. Who speaks to a cluster has to part them by the slots of their keys as well.
    """
    if len(items) == 1:
        return [items]
    found = []
    start = total = 0
    for n, item in enumerate(items):
        more = size(item)
        if n > start and (n - start == BATCH or total + more > MAX_BYTES):
            found.append(items[start:n])
            start, total = n, 0
        total += more
    return [*found, items[start:]] if items else []


def _is_table(tag: str) -> bool:
    return tag.startswith("t:table:")


def batches(keys: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Keys and tags in portions that one message and one script call can carry; at least one, maybe empty."""
    # Tables last: who sees that of a table moved must see those of its rows moved as well (_async/bounding.py).
    ordered = sorted(tags, key=_is_table) if len(tags) > 1 else tags
    names = [(0, key) for key in keys] + [(1, tag) for tag in ordered]
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


def endings(ended: Sequence[Ended], tags: Sequence[str]) -> Iterator[tuple[list[Ended], list[str]]]:
    """The same for keys with their bytes: the tags that an entry embeds are in its portion, the others at the end.

    A tag moves once. Who embeds one that has moved in an earlier portion goes without bytes: they could not say its stamp.
    """
    rows: list[Ended] = []
    moved: dict[str, None] = {}
    done: set[str] = set()
    size = 0
    for given in ended:
        each = _unless_moved(given, done)
        full = len(rows) + len(moved) + 1 + len(each.places) > BATCH
        if rows and (full or size + _size(each) > MAX_BYTES // 2):
            yield rows, list(moved)
            done.update(moved)
            rows, moved, size = [], {}, 0
            each = _unless_moved(given, done)
        rows.append(each)
        moved |= dict.fromkeys(each.places)
        size += _size(each)
    rest = [tag for tag in tags if tag not in moved and tag not in done]
    if (
        len(rows) + len(moved) + len(rest) <= BATCH
        and size + 4 * sum(map(len, rest)) <= MAX_BYTES // 2
    ):
        yield rows, [*moved, *rest]
        return
    yield rows, list(moved)
    for _, some in batches([], rest):
        yield [], some


def _unless_moved(ended: Ended, done: set[str]) -> Ended:
    return ended if done.isdisjoint(ended.places) else Ended(ended.key)


def _size(ended: Ended) -> int:
    return len(ended.data) + 4 * sum(map(len, (ended.key, *ended.places)))
