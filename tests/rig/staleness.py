"""Finds stale reads in what processes wrote down, afterwards and all at once.

All times are `time.monotonic()` in seconds, which the processes of one machine share. Versions of a key only grow.
What must not be here: recording, and what is done about a stale read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Write(NamedTuple):
    """`version` of `key`: `process` began, had committed, and was told that the caches know."""

    process: int
    key: int
    version: int
    began: float
    committed: float
    acknowledged: float


class Read(NamedTuple):
    """`process` began to read `key` at `began` and saw `version`."""

    process: int
    key: int
    version: int
    began: float
    ended: float
    verified: bool = False


class Acknowledged:
    """The least version that a read may see, by the time at which it begins."""

    def __init__(self) -> None:
        self._writes: list[tuple[float, int]] = []
        self._times: list[float] = []
        self._highest: list[int] = []

    def add(self, at: float, version: int) -> None:
        self._writes.append((at, version))

    def settle(self) -> None:
        """Call once, after the last `add`."""
        highest = 0
        for at, version in sorted(self._writes):
            highest = max(highest, version)
            self._times.append(at)
            self._highest.append(highest)

    def by(self, time: float) -> int:
        """The highest version that was acknowledged before `time`; 0 for none."""
        found = bisect_right(self._times, time)
        return self._highest[found - 1] if found else 0

    def since(self, version: int) -> float:
        """When the first version above `version` was acknowledged; infinity if none was."""
        found = bisect_right(self._highest, version)
        return self._times[found] if found < len(self._times) else float("inf")


@dataclass
class Staleness:
    """How many reads were stale: in the process that had invalidated, verified at the server, and elsewhere.

    `late`: for each plain read elsewhere that saw a version already replaced, by how many seconds it was too late.
    """

    here: int = 0
    verified: int = 0
    late: list[float] = field(default_factory=list)

    def elsewhere(self, later_than: float) -> int:
        """Reads elsewhere of what had been replaced more than `later_than` seconds before."""
        return sum(late > later_than for late in self.late)


def staleness(writes: Iterable[Write], reads: Iterable[Read]) -> Staleness:
    """Compares every read with the writes that had been acknowledged when it began."""
    anybody: dict[int, Acknowledged] = {}
    own: dict[tuple[int, int], Acknowledged] = {}
    for write in writes:
        for of_key in (
            anybody.setdefault(write.key, Acknowledged()),
            own.setdefault((write.process, write.key), Acknowledged()),
        ):
            of_key.add(write.acknowledged, write.version)
    for acknowledged in (*anybody.values(), *own.values()):
        acknowledged.settle()
    found = Staleness()
    nobody = Acknowledged()
    for read in reads:
        known = anybody.get(read.key, nobody)
        if read.version >= known.by(read.began):
            continue
        if read.verified:
            found.verified += 1
        elif read.version < own.get((read.process, read.key), nobody).by(read.began):
            found.here += 1
        else:
            found.late.append(read.began - known.since(read.version))
    return found
