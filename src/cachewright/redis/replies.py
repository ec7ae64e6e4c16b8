"""What the verbs of L2 are asked and what they answer, as values. Nothing is sent from here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cachewright.core.entry import Stamps

Outcome = Literal["lease", "entry", "held", "marked"]
OUTCOMES: dict[bytes, Outcome] = {
    b"lease": "lease",
    b"entry": "entry",
    b"held": "held",
    b"marked": "marked",
}


@dataclass(slots=True)
class Found:
    """A key's bytes and the stamps that were asked for; None for a stamp that is missing or marked."""

    data: bytes | None
    stamps: dict[str, bytes | None]
    """Of all the keys that were asked for together, and shared by them."""
    node: bytes
    wrong_type: bool = False

    @property
    def concrete(self) -> Stamps:
        """The stamps that can be learned and compared."""
        return concrete(self.stamps)


@dataclass(slots=True)
class Acquired:
    """How asking for a lease ended."""

    outcome: Outcome
    node: bytes
    stamps: dict[str, bytes | None]
    base: bytes
    """The sequence when the stamps were read; later stamps carry higher numbers."""
    data: bytes = b""
    left: float = 0.0
    """Seconds that the holder's lease still has."""

    @property
    def concrete(self) -> Stamps:
        """The stamps that can be learned and compared."""
        return concrete(self.stamps)


def concrete(stamps: Mapping[str, bytes | None]) -> Stamps:
    """Those of the stamps that are neither missing nor marked."""
    return {tag: stamp for tag, stamp in stamps.items() if stamp is not None}


@dataclass(slots=True, kw_only=True)
class Ask:
    """One key of an `acquire`."""

    key: str
    tags: Sequence[str]
    seen: bytes = b""
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    """Of the lease. Several keys may be asked for with one."""


Fill = tuple[str, str, bytes, float]
"""(key, token of its lease, bytes, ttl in seconds) of a `fill`; b"" gives the lease back."""


def acquired(
    ask: Ask, reply: Any, *, stamps: dict[str, bytes | None], base: bytes, node: bytes
) -> Acquired:
    """What acquire.lua said of one key, together with the stamps of its tags."""
    mine = {tag: stamps[tag] for tag in ask.tags}
    got = Acquired(OUTCOMES[reply[0]], node, mine, base)
    if got.outcome == "entry":
        got.data = bytes(memoryview(reply[1]))
    elif got.outcome == "held":
        got.left = max(reply[1], 0) / 1000
    return got


@dataclass(slots=True)
class Ended:
    """One key of a write that ends. `data`: its bytes, b"" for what is not stored; `ttl` in seconds.

    `places`: where in the bytes, from 1, the stamp of a tag begins that the same call moves.
    """

    key: str
    data: bytes = b""
    ttl: float = 0.0
    places: Mapping[str, int] = field(default_factory=dict)
