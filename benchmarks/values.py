"""The values and keys that all cases use: the same for everybody."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

from cachewright import Timeouts

SMALL: dict[str, Any] = {
    "id": 4711,
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "active": True,
    "score": 0.8125,
    "roles": ["author", "editor"],
    "city": "London",
    "visits": 1815,
    "note": "the first programmer, and then some more text to fill it",
}
"""About 200 bytes as JSON: a row of a table."""

TTL = 3600
"""Seconds: nothing expires during a run."""


def keys(number: int, *, seed: int = 1) -> list[str]:
    """So many distinct keys, in an order that is not that of their creation."""
    made = [f"user:{i}:profile" for i in range(number)]
    random.Random(seed).shuffle(made)
    return made


PATIENT = Timeouts(call=10, connect=10)
"""For caches that are filled on a busy machine, where the default budget of 0.1 s a call may not do."""

CONNECTIONS = 400
"""That the pool of a peer may open which takes one for each caller; redis-py's default is 100."""


def address(url: str) -> tuple[str, int]:
    """Host and port of a server's URL."""
    at = urlsplit(url)
    return at.hostname or "", at.port or 0


KEYS = keys(1_000)
HUNDRED = KEYS[:100]
