"""A Bloom filter of names that is sized when all of them are known, by rbloom, which is imported nowhere else.

Names are kept as their hashes, eight bytes each, until the size is known: one pass over the source is enough, and a
million rows take 8 MB for that moment. Python's own hash is used, so a filter belongs to its process.
Source: Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 1970.

What must not be here: where the names come from, and how others hear of new ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from cachewright.errors import ConfigurationError

_HEADROOM = 1.25
_LEAST = 1000
"""Rows that may be added to an empty table before its filter says yes too often."""


def require() -> None:
    """Raise `ConfigurationError` where rbloom is not installed."""
    try:
        import_module("rbloom")
    except ImportError:
        raise ConfigurationError(
            "a filter of existing keys needs rbloom: pip install 'cachewright[bloom]'"
        ) from None


class Gathering:
    """The hashes of names, until it is known how many there are."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def update(self, names: Iterable[str]) -> None:
        """More names."""
        self._hashes.extend(map(hash, names))

    def filter(self, false_positives: float) -> NameFilter:
        """A filter of all of them, with room for a quarter more."""
        made = NameFilter(round(len(self._hashes) * _HEADROOM) + _LEAST, false_positives)
        made.update_hashes(self._hashes)
        return made


class NameFilter:
    """Whether a name may be known: never a wrong no, a wrong yes with the given probability at `capacity` names."""

    def __init__(self, capacity: int, false_positives: float) -> None:
        self._bits: Any = import_module("rbloom").Bloom(capacity, false_positives)
        self.capacity = capacity
        self.added = 0

    def update_hashes(self, hashes: array[int]) -> None:
        """Names by their hashes."""
        self._bits.update(hashes)
        self.added += len(hashes)

    def add(self, name: str) -> None:
        """One more name."""
        self._bits.add(hash(name))
        self.added += 1

    @property
    def is_full(self) -> bool:
        """Whether more names were added than it was made for, so that it says yes too often."""
        return self.added > self.capacity

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return int(self._bits.size_in_bits) // 8

    def __contains__(self, name: str) -> bool:
        return hash(name) in self._bits
