# Generated from _async/through.py by tools/unasync.py. Do not edit.
"""A source over a dict of rows that stores more than it is given: a default, a slug by trigger, a version by row.

What must not be here: tests, caches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from cachewright.patterns.identities import canonical, distinct
from cachewright.patterns.sources import Conflict
from cachewright.types import ABSENT, MISSING


class Broken(Exception):
    """What the database raises."""


class Table:
    """Rows by an int id; each verb commits by itself. `log` holds what was done, `lag` what loads see instead."""

    def __init__(self, *ids: int, name: str = "users") -> None:
        self.name = name
        self.rows: dict[int, dict[str, Any]] = {}
        self.log: list[str] = []
        self.lag: dict[int, dict[str, Any]] | None = None
        self.error: Exception | None = None
        self.on_save: Callable[[], None] = lambda: None
        for number in ids:
            self._store({"id": number, "name": f"n{number}"})
        self.log.clear()

    def identity(self, key: Any) -> int:
        found: int = canonical(key, int)
        return found

    def key_of(self, value: Mapping[str, Any]) -> int:
        return self.identity(value["id"])

    def load(self, key: Any) -> Any:
        return (self.load_many([key])).get(self.identity(key), ABSENT)

    def load_many(self, keys: Sequence[Any]) -> Mapping[int, Any]:
        self.log.append("load")
        rows = self.rows if self.lag is None else self.lag
        return {key: dict(rows[key]) for key in distinct(keys, self.identity) if key in rows}

    def save(self, value: Any, *, expected: Any = MISSING, **joined: Any) -> Any:
        self._compare(value, expected)
        return (self.save_many([value], **joined))[0]

    def save_many(self, values: Sequence[Any], *, connection: Any = None) -> Sequence[Any]:
        if self.error is not None:
            raise self.error
        stored = [self._store(value) for value in values]
        self.on_save()
        return stored

    def patch(self, key: Any, changes: Any, **joined: Any) -> Any:
        row = self.rows.get(self.identity(key))
        return ABSENT if row is None else self.save({**row, **changes}, **joined)

    def delete(self, key: Any, *, connection: Any = None) -> bool:
        if self.error is not None:
            raise self.error
        self.log.append("delete")
        return self.rows.pop(self.identity(key), None) is not None

    def _compare(self, value: Any, expected: Any) -> None:
        if expected is MISSING:
            return
        row = self.rows.get(self.key_of(value))
        found = ABSENT if row is None else row["version"]
        if found != expected:
            raise Conflict(self.key_of(value), expected=expected, found=found)

    def _store(self, value: Mapping[str, Any]) -> dict[str, Any]:
        number = value.get("id") or max(self.rows, default=0) + 1
        version = self.rows.get(number, {}).get("version", 0) + 1
        row = {
            "id": number,
            "name": value["name"],
            "slug": value["name"].lower(),
            "version": version,
        }
        self.rows[number] = row
        self.log.append("save")
        return dict(row)


class TransactingTable(Table):
    """The same with transactions: what is written in one is undone if it fails. One at a time; nobody locks here."""

    def __init__(self, *ids: int, name: str = "users") -> None:
        super().__init__(*ids, name=name)
        self.commit_error: Exception | None = None

    def transaction(self) -> Transaction:
        return Transaction(self)


class Transaction:
    """See `TransactingTable`."""

    def __init__(self, table: TransactingTable) -> None:
        self._table = table
        self._before: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self._before = dict(self._table.rows)
        self._table.log.append("begin")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        refused = error or self._table.commit_error
        self._table.log.append("rollback" if refused else "commit")
        if refused:
            self._table.rows = self._before
        if error is None and refused is not None:
            raise refused
