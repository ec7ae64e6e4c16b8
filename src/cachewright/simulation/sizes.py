"""Cache sizes as people write them: in entries, or as a share of the trace's different keys."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cachewright.errors import ConfigurationError

_SIZE = re.compile(r"(?P<number>\d[\d_]*(\.\d+)?)(?P<percent>\s*%)?", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Size:
    """A number of entries, or of percent of the keys of a trace."""

    amount: float
    percent: bool

    def entries(self, unique: int) -> int:
        """Entries in a trace of `unique` keys; a share is rounded, and at least 1."""
        if not self.percent:
            return int(self.amount)
        return max(1, round(unique * self.amount / 100))


def read_sizes(text: str) -> list[Size]:
    """Sizes separated by commas, such as `100,1%,2.5%`. Raises `ConfigurationError`."""
    return [_size(part.strip()) for part in text.split(",")]


def _size(text: str) -> Size:
    found = _SIZE(text)
    if not found:
        raise ConfigurationError(
            f"{text!r} is no size: give a number of entries such as 500, or a share such as 5%"
        )
    amount, percent = float(found["number"].replace("_", "")), found["percent"] is not None
    if not amount:
        raise ConfigurationError(f"{text!r} holds nothing: a cache has at least 1 entry")
    if percent and amount > 100:
        raise ConfigurationError(f"{text!r}: there are no more than 100% of the keys")
    if not percent and amount != int(amount):
        raise ConfigurationError(f"{text!r}: entries are whole; for a share write {text}%")
    return Size(amount, percent)
