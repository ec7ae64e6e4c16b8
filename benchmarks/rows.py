"""What a benchmark is made of: rows of cases, and the targets of a row. Data only; nothing is measured here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.stage import Stage


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: its value in the unit of its row, and what was counted besides."""

    value: float
    counts: Mapping[str, float] = field(default_factory=dict)


Measure = Callable[[], "float | Sample"]
Prepare = Callable[[Stage], Measure]


@dataclass(frozen=True, slots=True)
class Case:
    """One competitor of a row. `prepare` sets it up once; what it returns takes one sample at each call."""

    name: str
    prepare: Prepare
    kind: Literal["ours", "peer", "floor"] = "peer"
    at: tuple[str, float] | None = None
    """Of a row that is drawn as lines: which line, and where on its axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A limit for the ratio between `case` and the best of `against`, or for `case` itself where that is empty.

    `count`: compare what was counted under this name instead of the value. `at_least`: the limit is a lower one.
    `goal`: nice to have; a miss is told, and breaks no promise.
    """

    case: str
    limit: float
    against: tuple[str, ...] = ()
    what: str = ""
    count: str = ""
    at_least: bool = False
    goal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cases that do the same job, and what ours is to reach beside the others.

    `unit`: of the samples. `reference`: the case that all ratios in the table are to. `pinned`: to one core, the
    server too. `clock`: "cpu" (of the thread; for what never waits) or "wall". `rounds`: at most so many.
    `full_only`: cases left out of a quick run.
    """

    number: int
    name: str
    title: str
    unit: str
    reference: str
    cases: tuple[Case, ...]
    targets: tuple[Target, ...]
    higher_is_better: bool = False
    pinned: bool = False
    clock: Literal["cpu", "wall"] = "wall"
    rounds: int = 1_000
    note: str = ""
    full_only: tuple[str, ...] = ()
    axis: str = ""
    """What is on the axis of a row whose cases have a place `at` it; drawn as lines then, else as bars."""


def ours(name: str, prepare: Prepare, at: tuple[str, float] | None = None) -> Case:
    """A case of cachewright."""
    return Case(f"cachewright {name}".strip(), prepare, "ours", at)


def floor(name: str, prepare: Prepare) -> Case:
    """A case that does less than a cache must: what is left is a cache's own cost."""
    return Case(name, prepare, "floor")
