"""Where the truth lives: what the patterns ask of a database, and the errors that it answers with.

Protocols, in both worlds, and the two records that a write-behind batch consists of. Nothing has to inherit from them.
What must not be here: caches, SQL, a product.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from cachewright.errors import CacheError
from cachewright.patterns.callables import AsyncCallableSource, CallableSource, ReadOnly
from cachewright.patterns.identities import Identity, canonical, canonical_key, distinct, parts_of
from cachewright.types import Absent

__all__ = [
    "AsyncCallableSource",
    "AsyncEnumerable",
    "AsyncPatchable",
    "AsyncSource",
    "AsyncTransactional",
    "CallableSource",
    "Change",
    "Conflict",
    "Enumerable",
    "Identity",
    "Kind",
    "Patchable",
    "Position",
    "ReadOnly",
    "Source",
    "Transactional",
    "Unsavable",
    "canonical",
    "canonical_key",
    "distinct",
    "parts_of",
]

V = TypeVar("V")
Kind: TypeAlias = Literal["put", "patch", "delete"]


class Conflict(CacheError):
    """A compare-and-set that came too late: the row is not the one that the writer had read. Nothing was written.

    `found` is the version that the source has now, or `ABSENT` when there is no row.
    """

    def __init__(self, key: Identity, *, expected: Any, found: Any) -> None:
        super().__init__(f"the row is at version {found!r}, not {expected!r}: read it again")
        self.key = key
        self.expected = expected
        self.found = found


class Unsavable(CacheError, ValueError):
    """A value that a source cannot hold: an unknown column, no key, a row that the database refused to keep."""


class Change(msgspec.Struct, frozen=True):
    """One write of a batch. `value` is the whole value of a put, the changed fields of a patch, None of a delete.

    `version` is where the change stands in the order of all writes of its key, such as the id of its stream entry.
    """

    key: Any
    kind: Kind
    value: Any = None
    version: str = ""


class Position(msgspec.Struct, frozen=True):
    """How far a queue's partition has come: a batch moves the recorded position from `expected` to `last`.

    Both are opaque texts of at most 64 characters. `expected` is None before the first one was recorded.
    """

    queue: str
    partition: int
    last: str
    expected: str | None = None


class Source(Protocol[V]):
    """A keyed store of values. Keys come in as callers spell them; results are by canonical identity.

    `name` spells keys and tags, so it must be one and the same in every process: that of the table.
    """

    name: str

    def identity(self, key: Any) -> Identity:
        """The one form of a key: "1" and 1 are one id of an integer column. `InvalidKey` for what cannot be one."""

    def key_of(self, value: V) -> Identity:
        """The identity that a value has."""

    def load(self, key: Any) -> V | Absent:
        """The value, or `ABSENT`."""

    def load_many(self, keys: Sequence[Any]) -> Mapping[Identity, V]:
        """The values there are, in one statement; what is absent is left out."""

    def save(self, value: V) -> V:
        """Insert or update. Returns what the source now holds: with defaults, and with what triggers made of it."""

    def save_many(self, values: Sequence[V]) -> Sequence[V]:
        """The same for many, in one transaction and in their order."""

    def delete(self, key: Any) -> bool:
        """Whether there was something to delete."""


class AsyncSource(Protocol[V]):
    """The same store for asyncio; see `Source`."""

    name: str

    def identity(self, key: Any) -> Identity:
        """As `Source.identity`."""

    def key_of(self, value: V) -> Identity:
        """As `Source.key_of`."""

    async def load(self, key: Any) -> V | Absent:
        """As `Source.load`."""

    async def load_many(self, keys: Sequence[Any]) -> Mapping[Identity, V]:
        """As `Source.load_many`."""

    async def save(self, value: V) -> V:
        """As `Source.save`."""

    async def save_many(self, values: Sequence[V]) -> Sequence[V]:
        """As `Source.save_many`."""

    async def delete(self, key: Any) -> bool:
        """As `Source.delete`."""


@runtime_checkable
class Transactional(Protocol):
    """A source that applies a batch and records its stream position in one transaction, so that none applies twice."""

    def apply(self, changes: Sequence[Change], position: Position) -> bool:
        """Apply at most one change a key. False, and nothing is changed, if the position is not the expected one.

        Without changes only the position moves: a worker that takes a partition over fences its predecessors off.
        """

    def position(self, queue: str, partition: int) -> str | None:
        """The recorded position; None before the first batch."""


@runtime_checkable
class AsyncTransactional(Protocol):
    """The same for asyncio; see `Transactional`."""

    async def apply(self, changes: Sequence[Change], position: Position) -> bool:
        """As `Transactional.apply`."""

    async def position(self, queue: str, partition: int) -> str | None:
        """As `Transactional.position`."""


@runtime_checkable
class Patchable(Protocol):
    """A source that can change some fields of a value without its caller knowing the others."""

    def patch(self, key: Any, changes: Mapping[str, Any]) -> Any:
        """Change fields. Returns the whole stored value, or `ABSENT` when there is none to change."""


@runtime_checkable
class AsyncPatchable(Protocol):
    """The same for asyncio; see `Patchable`."""

    async def patch(self, key: Any, changes: Mapping[str, Any]) -> Any:
        """As `Patchable.patch`."""


@runtime_checkable
class Enumerable(Protocol):
    """A source that can list what it has, for warming and for a filter of existing keys."""

    def keys(self, *, page: int = 1000, after: Any = None) -> Iterator[Sequence[Identity]]:
        """The identities in the order of the key, `page` at a time, beginning behind `after`."""


@runtime_checkable
class AsyncEnumerable(Protocol):
    """The same for asyncio; see `Enumerable`."""

    def keys(self, *, page: int = 1000, after: Any = None) -> AsyncIterator[Sequence[Identity]]:
        """As `Enumerable.keys`."""
