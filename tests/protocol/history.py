"""Whether a recorded history keeps the promise: no read is older than an invalidation that it had to know of.

The promise is that of design rule 1, the same that `protocol.checker` searches for in the model. A read that starts
after an invalidation has returned sees at least what the source held when the invalidation began
- if it was made by the process that invalidated,
- if it was verified at the server, wherever it was made,
- else if it starts more than `bus_latency` seconds after the return.

What must not be here: recording, files, processes, and the cache.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Op = Literal["read", "verified", "write", "invalidate"]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one process did about one key, from `start` to `end` in seconds of one clock for all processes.

    - `read`, `verified`: `version` is what was served, None for nothing.
    - `write`: `version` was committed to the source at some time between `start` and `end`. The versions of a key
      rise in the order of their commits.
    - `invalidate`: `version` is the newest the invalidating process knows to be committed, or None. Only one that
      returned without an error promises anything. An invalidation of a tag is recorded once for each of its keys.

    `end` is `math.inf` for what was cut short: such a write may have been committed, such an invalidation promises
    nothing. A process that records when it heard of another's invalidation may record that as an `invalidate` of its
    own which ends when it was heard: from then on it has no latency to plead.
    """

    process: int | str
    op: Op
    key: str
    version: int | None
    start: float
    end: float


def complaints(history: Iterable[Operation], *, bus_latency: float) -> list[str]:
    """What in `history` breaks the promise, one sentence for each read; empty if all is well.

    `bus_latency` is in seconds. Operations may come in any order. Takes O(n log n) time for n operations.
    Raises `ValueError` for an operation that ends before it starts, and for an unknown `op`.
    """
    by_key: defaultdict[str, _Log] = defaultdict(_Log)
    for each in history:
        if not each.start <= each.end:
            raise ValueError(f"an operation ends before it starts: {each}")
        by_key[each.key].take(each)
    found: list[tuple[float, str]] = []
    for log in by_key.values():
        log.judge(bus_latency, found)
    found.sort()
    return [sentence for _, sentence in found]


class _Log:
    """The operations of one key, by kind."""

    def __init__(self) -> None:
        self.reads: list[Operation] = []
        self.writes: list[Operation] = []
        self.invalidations: list[Operation] = []

    def take(self, each: Operation) -> None:
        match each.op:
            case "read" | "verified":
                self.reads.append(each)
            case "write":
                self.writes.append(each)
            case "invalidate":
                self.invalidations.append(each)
            case _:
                raise ValueError(f"no such operation: {each}")

    def judge(self, bus_latency: float, found: list[tuple[float, str]]) -> None:
        """Add what is wrong with the reads of this key to `found`, each with the time of the read."""
        began = self._began()
        oldest = min(began, default=math.inf)
        source = _Floor([(write.end, write) for write in self.writes])
        promised = [_with_floor(each, source) for each in self.invalidations]
        everywhere = _Floor([(each.end, each) for each in promised])
        at: defaultdict[int | str, list[tuple[float, Operation]]] = defaultdict(list)
        for each in promised:
            at[each.process].append((each.end, each))
        here = {process: _Floor(ended) for process, ended in at.items()}
        for read in self.reads:
            if read.version is None:
                continue
            verdict = (
                _invented(read, began, oldest)
                or _too_old(read, here.get(read.process), "here")
                or (read.op == "verified" and _too_old(read, everywhere, "verified"))
                or _too_old(read, everywhere, "late", latency=bus_latency)
            )
            if verdict:
                found.append((read.start, f"{_who(read)} {verdict}"))

    def _began(self) -> dict[int, float]:
        """When the write of a version may have taken effect for the first time."""
        began: dict[int, float] = {}
        for write in self.writes:
            if write.version is None:
                raise ValueError(f"a write needs its version: {write}")
            began[write.version] = min(write.start, began.get(write.version, math.inf))
        return began


class _Floor:
    """The newest version among operations that have ended by a time, and the operation that says so."""

    def __init__(self, ended: list[tuple[float, Operation]]) -> None:
        ended = [(end, each) for end, each in ended if end < math.inf and each.version is not None]
        ended.sort(key=lambda pair: pair[0])
        self.ends: Sequence[float] = [end for end, _ in ended]
        self.newest: list[Operation] = []
        for _, each in ended:
            known = self.newest[-1] if self.newest else None
            self.newest.append(each if known is None or _version(each) > _version(known) else known)

    def before(self, time: float) -> Operation | None:
        """What had ended before `time`; what ends at that very instant has not."""
        count = bisect_left(self.ends, time)
        return self.newest[count - 1] if count else None


def _with_floor(invalidation: Operation, source: _Floor) -> Operation:
    """The invalidation with the version that the source held for certain when it began."""
    committed = source.before(invalidation.start)
    if committed is None or _version(committed) <= _version(invalidation):
        return invalidation
    return Operation(
        invalidation.process,
        "invalidate",
        invalidation.key,
        committed.version,
        invalidation.start,
        invalidation.end,
    )


def _version(each: Operation) -> float:
    return -math.inf if each.version is None else each.version


def _invented(read: Operation, began: dict[int, float], oldest: float) -> str:
    """What is said of a version that the source did not hold yet; those below all written ones were there before."""
    version = _version(read)
    if version < oldest:
        return ""
    if version not in began:
        return f"served v{read.version}, which nobody wrote"
    if began[int(version)] > read.end:
        return f"served v{read.version} before anybody wrote it"
    return ""


_WHY = {
    "here": "which the same process had invalidated",
    "verified": "although it was verified after the invalidation",
    "late": "later than the bus may take",
}


def _too_old(read: Operation, floor: _Floor | None, why: str, latency: float = 0.0) -> str:
    known = floor.before(read.start - latency) if floor is not None else None
    if known is None or _version(read) >= _version(known):
        return ""
    return (
        f"served v{read.version} {_WHY[why]}: v{known.version} was due since {known.end:.6f},"
        f" when {known.process!r} had invalidated it"
    )


def _who(read: Operation) -> str:
    return f"{read.op} of {read.key!r} in {read.process!r} at {read.start:.6f}..{read.end:.6f}"
