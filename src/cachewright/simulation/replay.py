"""Replays a trace through policies at several sizes and counts hits.

What must not be here: reading files, showing results, and measuring time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cachewright.simulation.opt import next_uses, opt_hits
from cachewright.simulation.policies import ReplacementPolicy
from cachewright.simulation.trace import Trace

OPT = "opt"
"""The name that the limit goes by among the policies."""

_PIECE = 65_536

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hits by policy, one number for each of `sizes` (entries). The policy `opt` is the limit."""

    trace: str
    requests: int
    unique: int
    sizes: tuple[int, ...]
    hits: dict[str, tuple[int, ...]]

    def ratios(self, name: str) -> list[float]:
        """Hits by requests at each size, 0 to 1."""
        return [hits / self.requests for hits in self.hits[name]]

    def gaps(self, name: str) -> list[float]:
        """Points (percent of requests) below OPT at each size."""
        pairs = zip(self.hits[OPT], self.hits[name], strict=True)
        return [100 * (limit - hits) / self.requests for limit, hits in pairs]

    def mean_gap(self, name: str) -> float:
        """Points below OPT, averaged over the sizes."""
        return sum(self.gaps(name)) / len(self.sizes)


def simulate(
    trace: Trace,
    policies: Iterable[ReplacementPolicy],
    sizes: Sequence[int],
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Hits of each policy, and of OPT, on an empty cache of each size in entries.

    Every request that misses is stored, and the misses that fill the cache count. Progress is told
    in requests: `len(sizes)` times those of the trace for each policy and once more for OPT.
    """
    after = next_uses(trace.ids)
    hits = {OPT: tuple(opt_hits(after, entries, progress) for entries in sizes)}
    requests = trace.keys()
    for policy in policies:
        hits[policy.name] = tuple(
            _hits(policy, min(entries, trace.unique), requests, progress=progress)
            for entries in sizes
        )
    return Outcome(trace.name, len(requests), trace.unique, tuple(sizes), hits)


def _hits(
    policy: ReplacementPolicy,
    entries: int,
    requests: Sequence[str],
    *,
    progress: Progress | None,
) -> int:
    access = policy.build(entries)  # room for more than there are keys is room for all of them
    hits = 0
    for start in range(0, len(requests), _PIECE):
        piece = requests[start : start + _PIECE]
        hits += sum(map(access, piece))
        if progress is not None:
            progress(len(piece))
    return hits
