"""The comparison matrix of the patterns, as plain data: what `--json` writes and `showing.py` prints.

What must not be here: how it was found out, how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Medians in seconds. `cold`: a read of a row that is cached nowhere; `hot`: of one in the process's own memory.

    `write`: until the write is acknowledged. `compared`: that as a multiple of the committed UPDATE in plain SQL, the
    median of the ratios within each round.
    """

    hot: float
    cold: float
    write: float
    compared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Old rows that were read right after each of `writes`: by the cache that wrote, by a second one, by plain SQL.

    `heard`: the longest time in seconds until the second cache was right; None if it was not within `PATIENCE`.
    """

    writes: int
    here: int
    elsewhere: int
    in_sql: int
    heard: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """Writes that a process acknowledged before it was killed, and how many of them are not in the database."""

    acknowledged: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of the matrix. None: not measured for this one. `guarantee`: how long others may see the old row."""

    name: str
    guarantee: str
    latency: Latency | None = None
    freshness: Freshness | None = None
    crash: Crash | None = None
