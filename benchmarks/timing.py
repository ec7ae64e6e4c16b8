"""Loops that cost next to nothing beside what they time, generated as `timeit` does it.

The names of a statement are parameters of the generated function, so that each is a fast local. A sample covers
hundreds or thousands of operations, in a number found by a first, unrecorded run.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

_SOURCE = """
{kind} timed(blocks, clock, {names}):
    times = []
    for keys in blocks:
        begin = clock()
        for key in keys:
            {statement}
        times.append(clock() - begin)
    return times
"""
_WORKER = """
async def timed(repeats, key, {names}):
    for _ in repeats:
        {statement}
"""


def compiled_worker(statement: str, names: Sequence[str]) -> Callable[..., Any]:
    """A coroutine function that awaits `statement` again and again for one key."""
    return _executed(_WORKER.format(names=", ".join(names), statement=statement), statement)


def compiled(statement: str, names: Sequence[str]) -> Callable[..., Any]:
    """A function that repeats `statement` for each key and returns what the clock says it took."""
    kind = "async def" if "await " in statement else "def"
    source = _SOURCE.format(kind=kind, names=", ".join(names), statement=statement)
    return _executed(source, statement)


def _executed(source: str, statement: str) -> Callable[..., Any]:
    place: dict[str, Any] = {}
    exec(compile(source, f"<benchmark of {statement}>", "exec"), place)
    timed: Callable[..., Any] = place["timed"]
    return timed


class Loop:
    """Takes samples of nanoseconds an operation: the median over blocks of `block` operations each.

    A block that something else interrupts does not count then. `block` 0 is one block for the whole sample: its mean.
    `seconds`: about how long a sample lasts.
    """

    def __init__(
        self,
        statement: str,
        keys: Sequence[Any],
        *,
        clock: Callable[[], int],
        seconds: float,
        loop: asyncio.AbstractEventLoop | None = None,
        block: int = 0,
        **names: Any,
    ) -> None:
        self._timed = compiled(statement, list(names))
        self._keys = list(keys)
        self._clock = clock
        self._seconds = seconds
        self._loop = loop
        self._names = names
        self._block = block
        self._blocks: list[list[Any]] = []

    def run(self, repeats: int) -> list[int]:
        """Nanoseconds of each block, in so many passes over the keys."""
        return self._run(self._cut(repeats))

    def __call__(self) -> float:
        if not self._blocks:
            self._blocks = self._cut(self.fitting(self._seconds))
        times = self._run(self._blocks)
        return median(took / len(keys) for took, keys in zip(times, self._blocks, strict=True))

    def fitting(self, seconds: float) -> int:
        """Passes over the keys that take about so long."""
        self.run(1)  # whatever is only done once
        return max(1, round(seconds * 2e9 / max(1, sum(self.run(2)))))

    def _run(self, blocks: list[list[Any]]) -> list[int]:
        times = self._timed(blocks, self._clock, **self._names)
        if self._loop is not None and asyncio.iscoroutine(times):
            times = self._loop.run_until_complete(times)
        found: list[int] = times
        return found

    def _cut(self, repeats: int) -> list[list[Any]]:
        if not self._block:
            return [self._keys * repeats]
        starts = range(0, len(self._keys), self._block)
        return [self._keys[start : start + self._block] for start in starts] * repeats


def together(work: Callable[[], object], threads: int) -> int:
    """Nanoseconds from the start of all threads until the last has done `work`."""
    gate = threading.Barrier(threads + 1)
    ends: list[int] = []

    def run() -> None:
        gate.wait()
        work()
        ends.append(time.perf_counter_ns())

    running = [threading.Thread(target=run) for _ in range(threads)]
    for one in running:
        one.start()
    gate.wait()
    begin = time.perf_counter_ns()
    for one in running:
        one.join()
    if len(ends) != threads:
        raise RuntimeError(f"{threads - len(ends)} of {threads} threads failed")
    return max(ends) - begin
