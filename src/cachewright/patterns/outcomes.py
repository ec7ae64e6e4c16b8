"""What the patterns answer where a value is not enough. Plain data, shared by both worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Available:
    """What of a batch could be had although its load may have failed.

    `values`: by key as given. `missing`: keys of which nothing is known; absent rows are among them when the load
    failed. `error`: what the load raised, None when all went well.
    """

    values: Mapping[Any, Any]
    missing: Sequence[Any]
    error: Exception | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """How far a warming came, in keys. `loaded` of them were asked of the source, `absent` of those it has not.

    `present` were cached already, or loaded by somebody else at that moment. `skipped` had been done by an earlier run.
    `finished`: every key was seen. `led`: False when another process is at it, so that nothing was done here.
    """

    skipped: int = 0
    loaded: int = 0
    absent: int = 0
    present: int = 0
    batches: int = 0
    finished: bool = False
    led: bool = True

    @property
    def keys(self) -> int:
        """The position reached: all keys seen by this run and those before it."""
        return self.skipped + self.loaded + self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """One round of scheduled refreshes, in keys. `led`: False when another process has the turn.

    `in_use`: keys that were asked for lately. `loaded`: those that this round loaded anew, of which `absent` are gone
    from the source. `failed`: those of failed statements, left alone for a while.
    """

    in_use: int = 0
    loaded: int = 0
    absent: int = 0
    failed: int = 0
    led: bool = True
