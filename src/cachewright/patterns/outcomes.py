"""What the patterns answer where a value is not enough. Plain data, shared by both worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cachewright.core.warmed import Warmed

__all__ = ["Available", "Refreshed", "Warmed"]


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
