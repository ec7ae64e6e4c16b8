"""Runs a row: every case in every round, in an order that is drawn anew, in a process of its own.

What must not be here: what the samples mean (`verdicts`).
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.rows import Measure, Row, Sample
from benchmarks.stage import Stage, pin

LONGEST_ROW = 900.0
"""Seconds after which a row is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured. `seconds`: of one sample of a timed loop."""

    rounds: int
    quick: bool
    seed: int

    @property
    def seconds(self) -> float:
        """Of one sample."""
        return 0.003 if self.quick else 0.006


@dataclass(slots=True)
class Samples:
    """What a row gave: samples by case, round by round, and why cases have none."""

    by_case: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def tell(text: str) -> None:
    """Show on a terminal how far the run is, on one line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure(row: Row, size: Size) -> Samples:
    """The samples of a row, taken in a fresh process so that rows do not warm or burden one another."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(row.name, size, theirs))
    child.start()
    theirs.close()
    try:
        if ours.poll(LONGEST_ROW):
            answer = ours.recv()
            if isinstance(answer, Samples):
                return answer
            raise RuntimeError(f"row {row.name}: {answer}")
    except EOFError:
        raise RuntimeError(f"row {row.name}: its process died") from None
    finally:
        child.join(10)
        if child.is_alive():
            child.kill()
    raise RuntimeError(f"row {row.name}: not done after {LONGEST_ROW:.0f} s")


def _in_child(name: str, size: Size, answer: Connection) -> None:
    from benchmarks.catalogue import ROWS

    row = next(row for row in ROWS if row.name == name)
    os.dup2(2, 1)  # stdout is for the results, whatever peers print
    logging.getLogger().addHandler(logging.NullHandler())  # what peers log is counted, not shown
    try:
        answer.send(measure_here(row, size))
    except BaseException as error:
        answer.send(f"{type(error).__name__}: {error}")
        raise


def measure_here(row: Row, size: Size) -> Samples:
    """The samples of a row, taken in this process, which stays pinned if the row is."""
    if row.pinned:
        pin()
    samples = Samples()
    with Stage(seconds=size.seconds, quick=size.quick, clock=row.clock) as stage:
        measures = _prepared(row, stage, samples)
        gc.collect()
        gc.freeze()
        try:
            _take(row, size, measures, samples)
        finally:
            gc.unfreeze()
    tell("")
    return samples


def _take(row: Row, size: Size, measures: dict[str, Measure], samples: Samples) -> None:
    order, draw = list(measures), random.Random(size.seed)
    for number in range(min(size.rounds, row.rounds)):
        draw.shuffle(order)
        for name in order:
            tell(f"  {row.name}, round {number + 1}: {name}")
            _sample(name, measures, samples)
        order = [name for name in order if name in measures]


def _prepared(row: Row, stage: Stage, samples: Samples) -> dict[str, Measure]:
    measures = {}
    for case in row.cases:
        if stage.quick and case.name in row.full_only:
            samples.missing[case.name] = "left out of a quick run"
            continue
        tell(f"  {row.name}, preparing {case.name}")
        if measure := _attempt(case.name, partial(case.prepare, stage), samples):
            measures[case.name] = measure
    return measures


def _sample(name: str, measures: dict[str, Measure], samples: Samples) -> None:
    gc.collect(0)
    gc.disable()
    try:
        found = _attempt(name, measures[name], samples)
    finally:
        gc.enable()
    if found is None:
        del measures[name]
        samples.by_case.pop(name, None)
        return
    sample = found if isinstance(found, Sample) else Sample(found)
    samples.by_case.setdefault(name, []).append(sample)


def _attempt(name: str, act: Callable[[], Any], samples: Samples) -> Any:
    """What `act` returns; a peer that cannot be imported or fails is noted, with the reason, and the run goes on."""
    try:
        return act()
    except ImportError as error:
        samples.missing[name] = f"missing: {error}"
    except Exception as error:  # noqa: BLE001 - a peer may raise anything; it is reported
        samples.missing[name] = f"failed: {type(error).__name__}: {error}"
    return None
