"""Protocols that users may implement, aliases and sentinels. No behaviour beyond a sentinel's name."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

V = TypeVar("V")
D = TypeVar("D")

KeyPart: TypeAlias = Any
Key: TypeAlias = str | tuple[KeyPart, ...]


class Sentinel(Enum):
    """Values that stand for the lack of one. Both are false in a boolean context."""

    MISSING = "MISSING"
    ABSENT = "ABSENT"

    def __repr__(self) -> str:
        return self.value

    def __bool__(self) -> bool:
        return False


MISSING: Final = Sentinel.MISSING
"""What `get` returns when nothing is cached and no default was given."""

ABSENT: Final = Sentinel.ABSENT
"""What a loader returns to say that the source has nothing; cached for `Policy.negative_ttl`."""

Missing: TypeAlias = Literal[Sentinel.MISSING]
Absent: TypeAlias = Literal[Sentinel.ABSENT]


@runtime_checkable
class Clock(Protocol):
    """Where the engine reads time, in seconds. `cachewright.testing.FakeClock` is the other one."""

    def monotonic(self) -> float:
        """Never goes back; only differences mean something."""

    def time(self) -> float:
        """Seconds since the Unix epoch."""


@runtime_checkable
class Codec(Protocol):
    """A value format. `code` goes into every envelope, so it must never change its meaning."""

    name: str
    code: int

    def encode(self, value: Any) -> bytes:
        """The value as bytes; raises `CodecError`."""

    def decode(self, data: bytes) -> Any:
        """The value that `encode` was given; raises `CodecError`, whatever the bytes are."""
