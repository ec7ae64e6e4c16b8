"""How long reads and writes take through each door and in plain SQL, block by block in one run.

What must not be here: doors, printing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from statistics import median
from typing import TypeAlias

from demo.doors import SQL, Door, Flight
from demo.matrix import Latency

ROUNDS, BLOCK, REPEATS = 20, 12, 30
"""Rounds, rows of each in a round, and how often each is read again once it is in memory."""

Times: TypeAlias = dict[str, list[list[float]]]
"""By door: the seconds of each operation, round by round."""


def latencies(doors: Mapping[str, Door], flights: Sequence[Flight]) -> dict[str, Latency]:
    """What each door takes. The order is drawn anew in each round, so that no door has the quiet moments."""
    cold, hot, write = Times(), Times(), Times()
    names, draw, news = list(doors), random.Random(2013), count(2_000)
    for times in (cold, hot, write):
        times |= {name: [] for name in names}
    for number in range(ROUNDS):
        some = flights[number * BLOCK : (number + 1) * BLOCK]
        draw.shuffle(names)
        for name in names:
            door = doors[name]
            cold[name].append([_timed(door.read, flight["id"]) for flight in some])
            write[name].append([_timed(door.write, each) for each in changed(some, news)])
            hot[name].append(list(_hot(door, some)))
    return {
        name: Latency(
            hot=_middle(hot[name]),
            cold=_middle(cold[name]),
            write=_middle(write[name]),
            compared=_compared(write[name], write[SQL]),
        )
        for name in doors
    }


def changed(flights: Sequence[Flight], news: Iterator[int]) -> list[Flight]:
    """The flights with delays that none of them had."""
    return [flight | {"arr_delay": next(news)} for flight in flights]


def _hot(door: Door, flights: Sequence[Flight]) -> Iterator[float]:
    for flight in flights:
        door.read(flight["id"])
        began = time.perf_counter()
        for _ in range(REPEATS):
            door.read(flight["id"])
        yield (time.perf_counter() - began) / REPEATS


def _timed(act: Callable[..., object], *arguments: object) -> float:
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began


def _middle(rounds: Sequence[Sequence[float]]) -> float:
    return median(seconds for one in rounds for seconds in one)


def _compared(ours: Sequence[Sequence[float]], plain: Sequence[Sequence[float]]) -> float:
    return median(median(a) / median(b) for a, b in zip(ours, plain, strict=True))
