"""Notices in debug mode that a shared value was changed by one of its holders. Not for production: it is slow."""

from __future__ import annotations

import pickle
from hashlib import blake2b
from typing import Any


class Fingerprints:
    """A digest for each key, of the value as it was stored."""

    def __init__(self) -> None:
        self._taken: dict[str, bytes | None] = {}

    def take(self, key: str, value: Any) -> None:
        """Remember the value as it is now."""
        self._taken[key] = _digest(value)

    def agrees(self, key: str, value: Any) -> bool:
        """Whether the value is as it was; True when nothing is known of it."""
        taken = self._taken.get(key)
        return taken is None or taken == _digest(value)


def _digest(value: Any) -> bytes | None:
    try:
        # Only ever written: pickle is the one format that takes any value apart.
        return blake2b(pickle.dumps(value), digest_size=16).digest()
    except Exception:  # a value's own __reduce__ may raise anything; such a value is not watched
        return None
