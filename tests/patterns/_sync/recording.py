# Generated from _async/recording.py by tools/unasync.py. Do not edit.
"""A source over a dict of rows: remembers every statement, waits at a gate, fails when told to.

What must not be here: tests, caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from _sync.steps import PATIENCE

from cachewright._waits import threads
from cachewright.patterns.identities import canonical_key, distinct
from cachewright.types import ABSENT


class Recording:
    """Rows by an int id. `statements` holds the ids of each statement, in order."""

    def __init__(self, rows: Mapping[int, Any] | None = None, *, name: str = "users") -> None:
        self.name = name
        self.rows: dict[Any, Any] = dict(rows or {})
        self.statements: list[list[Any]] = []
        self.pages = 0
        self.error: Exception | None = None
        self.poison: set[Any] = set()
        self.key_types: tuple[type, ...] = (int,)
        self.began = threads.Event()
        self.gate = threads.Event()
        self.gate.set()

    def identity(self, key: Any) -> Any:
        return canonical_key(key, self.key_types)

    def key_of(self, value: Any) -> Any:
        return self.identity(value["id"])

    def _state(self, keys: list[Any]) -> dict[Any, Any]:
        """One statement: reads at once, and answers when the gate is open."""
        gate = self.gate
        self.statements.append(keys)
        found, error = {key: self.rows[key] for key in keys if key in self.rows}, self.error
        if self.poison & set(keys):
            error = ValueError(f"poison among {keys}")
        self.began.set()
        assert gate.wait(3 * PATIENCE), "nobody opened the gate"
        if error is not None:
            raise error
        return found

    def load(self, key: Any) -> Any:
        identity = self.identity(key)
        return (self._state([identity])).get(identity, ABSENT)

    def load_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        return self._state(distinct(keys, self.identity))

    def save(self, value: Any) -> Any:
        self.rows[self.key_of(value)] = value
        return value

    def save_many(self, values: Sequence[Any]) -> Sequence[Any]:
        return [self.save(value) for value in values]

    def delete(self, key: Any) -> bool:
        return self.rows.pop(self.identity(key), None) is not None

    def keys(self, *, page: int = 1000, after: Any = None) -> Iterator[Sequence[Any]]:
        """As the protocol `Enumerable`: by key, each page a statement of its own."""
        while True:
            found = sorted(key for key in self.rows if after is None or key > after)[:page]
            if not found:
                return
            after = found[-1]
            self.pages += 1
            self.began.set()
            yield found
            assert self.gate.wait(3 * PATIENCE), "nobody opened the gate"


def people(*ids: int) -> dict[int, Any]:
    """Rows with these ids."""
    return {number: {"id": number, "name": f"n{number}"} for number in ids}
