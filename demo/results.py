"""What the tour found out, as plain data: `report.py` prints it, `--json` writes it.

What must not be here: how it was found out, how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from demo.data import Value
from demo.matrix import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Many callers who asked the same questions of a cold cache at the same time.

    `calls` and `loads` count by the question's key; a load is a question that reached the database.
    """

    who: str
    calls: dict[str, int]
    loads: dict[str, int]
    seconds: float

    def saved_on(self, key: str) -> int:
        """Calls with this question that the database never saw."""
        return self.calls.get(key, 0) - self.loads.get(key, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Medians of one question's time, in seconds.

    `database`: straight from the database. `cold`: through an empty cache, the storing included.
    `l2`: the first time in a fresh process-local cache, from Valkey. `l1`: every time after that. All three through a
    session that makes rows of what is cached; `bare`: what is cached, got from memory by its key.
    """

    key: str
    title: str
    rows: int
    database: float
    cold: float
    l2: float
    l1: float
    bare: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """An answer that a write changed, and the first thing in it that is different.

    `by`: what of the cached answer's dependencies the write had moved, as the cache explains it.
    """

    key: str
    title: str
    what: str
    before: Value
    after: Value
    by: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write and what became of the cached answers.

    `reloaded` and `changed` are keys: what the cache loaded again, and what is different in the
    database. `heard` is how many seconds after the write a second cache had dropped an outdated
    answer, None if it never did; `loads_elsewhere` is what that cache loaded by itself.
    """

    asked: int
    reloaded: list[str]
    changed: list[str]
    affected: list[Affected]
    heard: float | None
    loads_elsewhere: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The cached entries of one kind that pages are made of, and which of them one write took, by name.

    `same`: those of `fell` whose content is after the write what it was before. `missed`: entries whose content is another
    now and that stayed nevertheless; there must be none.
    """

    name: str
    entries: int
    fell: list[str]
    same: list[str]
    missed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Pages of fragments of objects of queries, and what became of them when one flight was delayed.

    `uncached`, `cold`, `warm`, `again`: seconds for all pages, without a cache, with an empty one, with a warm one and
    after the write. `loads`: statements that reached the database for `again`, of `loads_cold` for `cold`. `heard`:
    seconds after the write at which a second cache was seen to have dropped the same entries, None if it never was.
    """

    pages: list[str]
    layers: list[Layer]
    uncached: float
    cold: float
    warm: float
    again: float
    loads_cold: int
    loads: int
    heard: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that must hold, and whether it did."""

    claim: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that the tour found out."""

    crowds: list[Crowd]
    timings: list[Timing]
    change: Change
    pages: Fallen
    patterns: list[Pattern]
    checks: list[Check]

    @property
    def all_hold(self) -> bool:
        """Whether every check passed."""
        return all(check.holds for check in self.checks)
