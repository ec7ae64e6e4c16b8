# Generated from _async/pacing.py by tools/unasync.py. Do not edit.
"""Work at a bounded rate, and at intervals, by the clock of the cache: a test that turns a `FakeClock` turns this.

What must not be here: what is done at that rate.
"""

from __future__ import annotations

from cachewright._sync.engine import Engine
from cachewright.errors import ConfigurationError

STEP = 0.02
"""Real seconds between two looks at a clock that may be moved by hand."""


def clock_reaches(engine: Engine, due: float) -> bool:
    """Wait until the cache's monotonic clock says `due`; False when the cache is closed meanwhile."""
    while (left := due - engine.monotonic()) > 0:
        if engine.stopping.wait(min(left, STEP)):
            return False
    return not engine.stopping.is_set()


class Pace:
    """At most `per_second` things a second on the average, without a limit for None. Raises `ConfigurationError`."""

    def __init__(self, engine: Engine, per_second: float | None) -> None:
        if per_second is not None and not per_second > 0:
            raise ConfigurationError(
                f"per_second must be more than 0, or None for no limit, not {per_second!r}"
            )
        self._engine = engine
        self._per_second = per_second
        self._due = engine.monotonic()

    def ready(self) -> bool:
        """Wait until what was spent has been paid for; False when the cache is closed meanwhile."""
        return clock_reaches(self._engine, self._due)

    def spent(self, number: int) -> None:
        """So many things were done just now."""
        if self._per_second is not None:
            self._due = max(self._due, self._engine.monotonic()) + number / self._per_second
