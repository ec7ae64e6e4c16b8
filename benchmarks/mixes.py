"""Synthetic request mixes, drawn anew from a seed each time: the same seed, the same requests.

What must not be here: recorded traces, and policies. Nothing is stored; a mix is its function.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import accumulate

from cachewright.simulation import Trace

REQUESTS = 200_000
KEYS = 20_000
SEED = 20_231


def zipf(draw: random.Random, skew: float, *, keys: int = KEYS) -> Iterator[int]:
    """Ranks without end: rank r is asked for in proportion to `1 / (r + 1) ** skew`."""
    weights = list(accumulate((rank + 1) ** -skew for rank in range(keys)))
    ranks = range(keys)
    while True:
        yield from draw.choices(ranks, cum_weights=weights, k=4096)


def zipf_08(draw: random.Random) -> Iterator[int]:
    """A flat popularity, as of pages behind another cache."""
    return zipf(draw, 0.8)


def zipf_10(draw: random.Random) -> Iterator[int]:
    """A steep popularity, as of pages without a cache before them."""
    return zipf(draw, 1.0)


def scan(draw: random.Random) -> Iterator[int]:
    """Ranges of 10 to 2,000 neighbours read in order, each starting at a popular place."""
    for start in zipf(draw, 0.8):
        place = start * 7919 % KEYS  # popular places are not neighbours
        for key in range(place, place + draw.randint(10, 2000)):
            yield key % KEYS


def loop(_: random.Random) -> Iterator[int]:
    """All keys in order, over and over: what LRU and FIFO never hit."""
    while True:
        yield from range(KEYS)


def shifting(draw: random.Random) -> Iterator[int]:
    """Zipf 1.0 whose whole order of popularity is dealt again ten times."""
    order, ranks = list(range(KEYS)), zipf(draw, 1.0)
    while True:
        draw.shuffle(order)
        for _ in range(REQUESTS // 10):
            yield order[next(ranks)]


def drifting(draw: random.Random) -> Iterator[int]:
    """Zipf 1.0 whose ranks move on by one key every 20 requests: news that age."""
    for index, rank in enumerate(zipf(draw, 1.0)):
        yield (rank + index // 20) % KEYS


def zipf_with_scans(draw: random.Random) -> Iterator[int]:
    """Zipf 1.0 broken off every 10,000 requests by 5,000 keys that nobody asks for again."""
    ranks, fresh = zipf(draw, 1.0), KEYS
    while True:
        for _ in range(10_000):
            yield next(ranks)
        yield from range(fresh, fresh + 5000)
        fresh += 5000


MIXES: dict[str, Callable[[random.Random], Iterator[int]]] = {
    "zipf 0.8": zipf_08,
    "zipf 1.0": zipf_10,
    "scan": scan,
    "loop": loop,
    "shifting": shifting,
    "drifting": drifting,
    "zipf with scans": zipf_with_scans,
}


def mix(name: str, *, requests: int = REQUESTS, seed: int = SEED) -> Trace:
    """The first `requests` of a mix as a trace."""
    stream = MIXES[name](random.Random(seed))
    return Trace.of(name, (next(stream) for _ in range(requests)))
