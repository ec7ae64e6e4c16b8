"""What a warming answers. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


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
