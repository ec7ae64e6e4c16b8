"""Damages bytes in drawn ways: flips, cuts, splices, inserted and repeated pieces.

What must not be here: what the bytes mean.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[random.Random, bytes, bytes], bytes]
"""From a draw, the bytes, and the bytes of something else of the same kind."""


def flip(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """One to eight bits the other way."""
    damaged = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def flip_near_the_start(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """One byte of the first 64, where headers are, replaced by any other."""
    damaged = bytearray(data)
    damaged[draw.randrange(min(64, len(damaged)))] = draw.randrange(256)
    return bytes(damaged)


def cut(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Ended early."""
    return data[: draw.randrange(len(data))]


def drop_a_piece(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Without some bytes of the middle."""
    start = draw.randrange(len(data))
    return data[:start] + data[start + draw.randint(1, 16) :]


def insert(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """With some bytes more."""
    start = draw.randrange(len(data) + 1)
    return data[:start] + draw.randbytes(draw.randint(1, 16)) + data[start:]


def repeat(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """With a piece of it twice."""
    start = draw.randrange(len(data))
    return data[:start] + data[max(0, start - draw.randint(1, 32)) :]


def splice(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Begun by one, ended by the other."""
    return data[: draw.randrange(len(data))] + other[draw.randrange(len(other)) :]


def noise(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Anything."""
    return draw.randbytes(draw.randrange(200))


MUTATIONS: Sequence[Mutation] = (
    flip,
    flip_near_the_start,
    cut,
    drop_a_piece,
    insert,
    repeat,
    splice,
    noise,
)


def mutate(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Damaged once, in rare cases twice; `data` itself if that made no difference."""
    damaged = draw.choice(MUTATIONS)(draw, data, other)
    if damaged and draw.random() < 0.1:
        damaged = draw.choice(MUTATIONS)(draw, damaged, other)
    return damaged
