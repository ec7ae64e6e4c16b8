# Generated from _async/desk.py by tools/unasync.py. Do not edit.
"""A source over sqlite3 with positions, faults on demand and a history; and doors over it.

What must not be here: assertions about the queue.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cachewright import Cache
from cachewright.core.policy import Policy, Timeouts
from cachewright.patterns._sync.partitions import Partitions
from cachewright.patterns._sync.shards import Shard
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.sources import Change, Position
from cachewright.types import ABSENT

SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL CHECK (name NOT LIKE 'poison%'),
    age INTEGER NOT NULL DEFAULT 0,
    writes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS audit (id INTEGER, version TEXT);
CREATE TABLE IF NOT EXISTS positions (
    queue TEXT, part INTEGER, position TEXT, PRIMARY KEY (queue, part)
);
"""
PUT = """
INSERT INTO people (id, name, age, writes) VALUES (:id, :name, :age, 1)
ON CONFLICT (id) DO UPDATE SET name = :name, age = :age, writes = writes + 1
"""
PATIENT = Policy(timeouts=Timeouts(call=5.0, connect=5.0))


def person(number: int, name: str = "Ada", age: int = 0) -> dict[str, Any]:
    return {"id": number, "name": name, "age": age}


class People:
    """The table `people` of one file. `writes` of a row counts how often it was put or patched."""

    name = "people"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before_apply: Callable[[], Any] | None = None
        """Called once, when the next batch has arrived and nothing of it was looked at."""
        self.checks_positions = True
        """A source that does not, for controls."""
        self.fail: Callable[[Sequence[Change]], None] = lambda changes: None
        """Called in the transaction of each batch, before its commit."""
        self.after: Callable[[], None] = lambda: None
        """Called after each commit."""
        self.batches: list[list[Change]] = []
        self.loads = 0
        self.before_load: Callable[[], Any] | None = None
        """Called once, before the next load reads its rows."""
        self.after_load: Callable[[], Any] | None = None
        """Called once, when the next load has read its rows."""
        self._lock = threading.Lock()
        with closing(self._connect()) as link:
            link.executescript(SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        link = sqlite3.connect(self.path, timeout=10)
        link.row_factory = sqlite3.Row
        link.execute("PRAGMA synchronous=OFF")
        return link

    def on_insert(self, statement: str) -> None:
        """Have the database do something of its own with each row that is new."""
        with closing(self._connect()) as link:
            link.executescript(f"CREATE TRIGGER own AFTER INSERT ON people BEGIN {statement}; END")

    def allow_poison(self) -> None:
        """The cause of the refusals goes away."""
        with closing(self._connect()) as link:
            link.executescript(
                "ALTER TABLE people RENAME TO copied;"
                + SCHEMA.replace(" CHECK (name NOT LIKE 'poison%')", "")
                + "INSERT INTO people SELECT * FROM copied; DROP TABLE copied;"
            )

    def identity(self, key: Any) -> int:
        return int(key)

    def key_of(self, value: Mapping[str, Any]) -> int:
        return int(value["id"])

    def load(self, key: Any) -> Any:
        return (self.load_many([key])).get(int(key), ABSENT)

    def load_many(self, keys: Sequence[Any]) -> dict[int, Any]:
        self.loads += 1
        before, self.before_load = self.before_load, None
        if before is not None:
            before()
        rows = self.rows(keys)
        after, self.after_load = self.after_load, None
        if after is not None:
            after()
        return {row["id"]: person(row["id"], row["name"], row["age"]) for row in rows}

    def rows(self, keys: Sequence[Any] | None = None) -> list[sqlite3.Row]:
        with closing(self._connect()) as link:
            if keys is None:
                return link.execute("SELECT * FROM people ORDER BY id").fetchall()
            marks = ",".join("?" * len(keys))
            query = f"SELECT * FROM people WHERE id IN ({marks})"
            return link.execute(query, [int(key) for key in keys]).fetchall()

    def applied_twice(self) -> int:
        """How many changes reached the table more than once."""
        query = "SELECT count(*) - count(DISTINCT id || ' ' || version) FROM audit"
        with closing(self._connect()) as link:
            return int(link.execute(query).fetchone()[0])

    def positions(self) -> int:
        """How many positions are recorded."""
        with closing(self._connect()) as link:
            return int(link.execute("SELECT count(*) FROM positions").fetchone()[0])

    def row(self, key: int) -> dict[str, Any] | None:
        found = self.rows([key])
        return dict(found[0]) if found else None

    def keys(self, *, page: int = 1000, after: Any = None) -> Iterator[Sequence[int]]:
        found = [row["id"] for row in self.rows() if after is None or row["id"] > after]
        for start in range(0, len(found), page):
            yield found[start : start + page]

    def save(self, value: Mapping[str, Any]) -> Any:
        return (self.save_many([value]))[0]

    def save_many(self, values: Sequence[Mapping[str, Any]]) -> list[Any]:
        with self._lock, closing(self._connect()) as link, link:
            link.executemany(PUT, values)
        return list(values)

    def delete(self, key: Any) -> bool:
        with self._lock, closing(self._connect()) as link, link:
            return link.execute("DELETE FROM people WHERE id = ?", (int(key),)).rowcount > 0

    def position(self, queue: str, partition: int) -> str | None:
        with closing(self._connect()) as link:
            return _position(link, queue, partition)

    def apply(self, changes: Sequence[Change], position: Position) -> bool:
        if changes:
            before, self.before_apply = self.before_apply, None
            if before is not None:
                before()
        with self._lock, closing(self._connect()) as link:
            link.execute("BEGIN IMMEDIATE")
            with link:
                found = _position(link, position.queue, position.partition)
                if self.checks_positions and found != position.expected:
                    return False
                for change in changes:
                    _apply(link, change)
                if changes:
                    self.fail(changes)
                link.execute(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                    (position.queue, position.partition, position.last),
                )
            if not changes:
                return True
            self.batches.append(list(changes))
        self.after()
        return True


def _position(link: sqlite3.Connection, queue: str, partition: int) -> str | None:
    row = link.execute(
        "SELECT position FROM positions WHERE queue = ? AND part = ?", (queue, partition)
    ).fetchone()
    return None if row is None else str(row[0])


def _apply(link: sqlite3.Connection, change: Change) -> None:
    link.execute("INSERT INTO audit VALUES (?, ?)", (change.key, change.version))
    if change.kind == "put":
        link.execute(PUT, change.value)
    elif change.kind == "delete":
        link.execute("DELETE FROM people WHERE id = ?", (change.key,))
    else:
        sets = ", ".join(f"{name} = :{name}" for name in change.value)
        link.execute(
            f"UPDATE people SET {sets}, writes = writes + 1 WHERE id = :id",
            {**change.value, "id": change.key},
        )


def door(cache: Cache, people: Any, **options: Any) -> WriteBehind:
    """A write-behind with short times. `memory`, since the tests' shared servers keep nothing on disk."""
    chosen: dict[str, Any] = {
        "durability": "memory",
        "partitions": 4,
        "interval": 0.05,
        "lease": 1.0,
        **options,
    }
    return WriteBehind(cache, people, **chosen)


def new_cache(server: Any, namespace: str, **options: Any) -> Cache:
    return Cache(server.url, namespace=namespace, policy=PATIENT, **options)


class Opened:
    """`with`: a door with a cache of its own, as a process has it; without a worker unless asked for."""

    def __init__(
        self,
        server: Any,
        namespace: str,
        people: Any,
        *,
        cached: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._cache = new_cache(server, namespace, **(cached or {}))
        self._door = door(self._cache, people, **{"worker": False, **options})

    def __enter__(self) -> WriteBehind:
        self._cache.__enter__()
        return self._door.__enter__()

    def __exit__(self, *_: object) -> None:
        self._door.close()
        self._cache.close()


class Crash(BaseException):
    """The process ends here: nothing in it may handle this."""


def one(server: Any, namespace: str, people: Any, **options: Any) -> Opened:
    """A door of one partition, without a worker unless asked for."""
    return Opened(server, namespace, people, partitions=1, **options)


def waiting(writes: WriteBehind) -> tuple[int, int, int]:
    """(queued, parked, dead)."""
    found = (writes.backlog())[0]
    return found.entries, found.parked, found.dead


def crash(*_: Any, **__: Any) -> None:
    raise Crash


class Hand:
    """One worker's hold on the only partition of a door, turned by the test."""

    def __init__(self, writes: WriteBehind) -> None:
        self.at = Partitions(writes.queue, lease=30.0)
        self.place = writes.queue.places[0]
        self.shard = Shard(writes.worker.drainage, self.at, self.place)

    @classmethod
    def take(cls, writes: WriteBehind, *, by_force: bool = True) -> Hand:
        """Hold the partition; `by_force` as when the lease of its holder has run out."""
        hand = cls(writes)
        if by_force:
            writes.queue.ask([("DEL", hand.place.holder)])
        assert hand.at.acquire([hand.place]) == [True]
        return hand

    def drain(self) -> None:
        self.shard.drain(lambda: False)
