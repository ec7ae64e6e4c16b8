"""A circuit breaker: keeps a dead server from costing its time budget on every call. `now` is an argument.

Source of the pattern: Nygard, Release It!, chapter "Stability Patterns".
"""

from __future__ import annotations


class Breaker:
    """Opens after `failures` in a row, or one that is enough, for `pause` seconds, doubling to `longest`; then lets one call try.

    Not locked: a lost update costs one call more or less.
    """

    def __init__(self, *, failures: int = 5, pause: float = 1.0, longest: float = 30.0) -> None:
        self._limit = failures
        self._first = pause
        self._longest = longest
        self._count = 0
        self._pause = pause
        self._closed_at = 0.0
        """When the next call may try; 0 while calls flow."""
        self._probing = False
        self.is_calm = True
        """Whether the last call had an answer, so that a success changes nothing here."""

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused."""
        return self._closed_at > 0

    def allows(self, now: float) -> bool:
        """Whether a call may go out; past the pause one caller gets True, and the others wait for its outcome."""
        if not self._closed_at:
            return True
        if now < self._closed_at:
            return False
        self._closed_at = now + self._pause
        self._probing = True
        return True

    def try_soon(self, now: float) -> None:
        """The server has answered somebody else: the next call may try, however long the pause still is."""
        if self._closed_at > now and not self._probing:
            self._closed_at = now

    def succeeded(self) -> None:
        """An answer came, or the link is back."""
        if not self.is_calm:
            self.is_calm = True
            self._count = 0
            self._pause = self._first
            self._closed_at = 0.0
            self._probing = False

    def failed(self, now: float, *, at_once: bool = False) -> bool:
        """No answer came. True if this opened the breaker; `at_once` does not wait for more failures."""
        self.is_calm = False
        self._count = self._limit if at_once else self._count + 1
        if self._count < self._limit:
            return False
        if not self._closed_at:
            self._closed_at = now + self._pause
            return True
        if self._probing:
            # Only the probe's failure says something new; stragglers of the burst that opened it do not.
            self._probing = False
            self._pause = min(self._pause * 2, self._longest)
            self._closed_at = now + self._pause
        return False
