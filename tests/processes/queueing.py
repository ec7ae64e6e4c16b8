"""What the processes of a write-behind do in test_write_behind.py: write, apply, die.

A writer notes each write in a file before it begins and after it was acknowledged; a file outlives the process that is
killed. What must not be here: assertions, and anything that runs in the test's own process.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from patterns._sync.desk import People, door, new_cache, person

from cachewright.errors import CacheError

KEYS = 50
"""Rows of each writer."""


@dataclass(frozen=True)
class Shop:
    """Where everything is. `place`: a folder for the database and the writers' notes."""

    url: str
    namespace: str
    place: Path
    durability: str = "fsync"

    def people(self) -> People:
        return People(self.place / "people.db")

    def open(self, people: Any, *, worker: bool) -> Any:
        server = SimpleNamespace(url=self.url)
        options: dict[str, Any] = {"durability": self.durability, "lease": 0.5, "batch": 50}
        return door(new_cache(server, self.namespace), people, worker=worker, **options)

    def written(self) -> int:
        """How much the writers have noted as acknowledged, in bytes."""
        return sum(path.stat().st_size for path in self.place.glob("*.acknowledged"))

    def notes(self, kind: str) -> dict[int, list[int]]:
        """Versions by key, as the writers noted them; `kind` is "begun" or "acknowledged"."""
        found: dict[int, list[int]] = {}
        for path in self.place.glob(f"*.{kind}"):
            for line in path.read_text().splitlines():
                key, _, version = line.partition(" ")
                if version:  # the last line of a writer that was killed may be cut short
                    found.setdefault(int(key), []).append(int(version))
        return found


def write(index: int, *, shop: Shop) -> None:
    """Write rows of its own for ever, some alone and some together."""
    draw = random.Random(time.time_ns())
    writes = shop.open(shop.people(), worker=False)
    stem = shop.place / f"{index}-{time.time_ns()}"
    with (
        stem.with_suffix(".begun").open("w") as begun,
        stem.with_suffix(".acknowledged").open("w") as acknowledged,
    ):
        while True:
            keys = draw.sample(range(KEYS), draw.choice([1, 1, 1, 20]))
            rows = [person(index * KEYS + key, "row", time.time_ns()) for key in keys]
            notes = "".join(f"{row['id']} {row['age']}\n" for row in rows)
            _note(begun, notes)
            try:
                writes.put_many(rows)
            except CacheError:
                time.sleep(0.02)  # the server is away: not acknowledged
            else:
                _note(acknowledged, notes)


def write_to_memory(index: int, *, shop: Shop) -> None:
    """The caching guide's write-back: a queue in memory and a thread that flushes it now and then."""
    people, waiting = shop.people(), queue.Queue[Any]()

    def flush() -> None:
        while True:
            time.sleep(0.1)
            batch = [waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get())
            people.save_many(batch)

    threading.Thread(target=flush, daemon=True).start()
    stem = shop.place / f"{index}-{time.time_ns()}"
    with stem.with_suffix(".acknowledged").open("w") as acknowledged:
        for key in range(10**9):
            row = person(index * KEYS + key % KEYS, "row", time.time_ns())
            waiting.put(row)
            _note(acknowledged, f"{row['id']} {row['age']}\n")
            time.sleep(0.001)


def work(index: int, *, shop: Shop) -> None:
    """Apply what is queued, for ever."""
    writes = shop.open(shop.people(), worker=True)
    while True:
        try:
            writes.open()
        except CacheError:
            time.sleep(0.02)
        else:
            time.sleep(60)


def _note(file: Any, text: str) -> None:
    file.write(text)
    file.flush()
