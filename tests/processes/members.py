"""What the processes of a fleet do in test_fleet.py and test_fork.py: leaders, readers and writers that may be killed.

What must not be here: assertions, and anything that runs in the test's own process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cachewright import AsyncCache, Cache, Policy
from cachewright._sync.writing import Writing
from cachewright.core.policy import Timeouts
from rig.processes import Counter


class JsonFile:
    """One value in a file that is replaced as a whole."""

    def __init__(self, place: Path) -> None:
        self._path = place / "source.json"

    def read(self) -> Any:
        return json.loads(self._path.read_text())

    def write(self, value: Any) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(value))
        draft.rename(self._path)


class SqliteRow:
    """One row of a database."""

    def __init__(self, place: Path) -> None:
        self._path = place / "source.db"

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10)
        connection.execute("create table if not exists row (id primary key, value)")
        return connection

    def read(self) -> Any:
        connection = self._connect()
        try:
            return connection.execute("select value from row where id = 1").fetchone()[0]
        finally:
            connection.close()

    def write(self, value: Any) -> None:
        connection = self._connect()
        try:
            with connection:
                connection.execute("insert or replace into row values (1, ?)", (value,))
        finally:
            connection.close()


@dataclass(frozen=True)
class Write:
    """What the members of a test of writing share."""

    url: str
    namespace: str
    source: JsonFile | SqliteRow
    warm: Counter
    committed: Counter
    stop: Counter
    limit: float
    marked: bool = True


def write_and_hang(index: int, *, job: Write) -> None:
    """A write whose process does nothing more after the commit, until it is killed."""
    if not job.marked:
        setattr(Writing, "_mark", lambda self, **options: None)  # noqa: B010 - no type has it
    cache = Cache(job.url, namespace=job.namespace)
    with cache.writing(keys=["k"], tags=["row"], limit=job.limit) as write:
        write.before_commit()
        job.source.write("new")
        job.committed.add()
        threading.Event().wait()


def watch_in_threads(index: int, *, job: Write) -> list[Any]:
    """The values that a process reads until it is told to stop, each as often as it changed."""
    seen: list[Any] = []
    with Cache(job.url, namespace=job.namespace) as cache:
        while not job.stop.value:
            _note(seen, cache.get_or_load("k", job.source.read, tags=["row"]), job)
            time.sleep(0.001)
        _note(seen, cache.get_or_load("k", job.source.read, tags=["row"]), job)
    return seen


def watch_in_tasks(index: int, *, job: Write) -> list[Any]:
    """The same with asyncio."""
    return asyncio.run(_watch_in_tasks(job))


async def _watch_in_tasks(job: Write) -> list[Any]:
    seen: list[Any] = []

    async def load() -> Any:
        return job.source.read()

    async with AsyncCache(job.url, namespace=job.namespace) as cache:
        while not job.stop.value:
            _note(seen, await cache.get_or_load("k", load, tags=["row"]), job)
            await asyncio.sleep(0.001)
        _note(seen, await cache.get_or_load("k", load, tags=["row"]), job)
    return seen


def _note(seen: list[Any], value: Any, job: Write) -> None:
    if not seen:
        job.warm.add()
    if seen[-1:] != [value]:
        seen.append(value)


@dataclass(frozen=True)
class Lead:
    """What a process is given that leads a load and then dies, freezes or hangs."""

    url: str
    namespace: str
    began: Counter
    end: Counter
    value: str = "late"
    lease: float = 0.5


def lead(index: int, *, job: Lead) -> tuple[Any, Any, int]:
    """Load under a lease until `end`: what the load gave, what is read afterwards, and how many fills were refused."""
    policy = Policy(lease=job.lease, timeouts=Timeouts(call=1.0))

    def load() -> str:
        job.began.add()
        while not job.end.value:
            time.sleep(0.01)
        return job.value

    with Cache(job.url, namespace=job.namespace, policy=policy) as cache:
        loaded = cache.get_or_load("k", load, tags=["row"])
        return loaded, cache.get("k"), cache.stats().fills_refused


def abandon_in_threads(index: int, *, url: str, namespace: str, hung: bool) -> None:
    """Leave a cache without closing it, with a refresh under way or not."""
    policy = Policy(ttl=0.001, stale=100)
    cache = Cache(url, namespace=namespace, policy=policy)
    cache.get_or_load("k", lambda: 1)
    if hung:
        began = threading.Event()

        def load() -> None:
            began.set()
            threading.Event().wait()

        while not began.wait(0.01):
            cache.get_or_load("k", load)


def abandon_in_tasks(index: int, *, url: str, namespace: str, hung: bool) -> None:
    """The same with asyncio."""
    asyncio.run(_abandon(url, namespace, hung))


async def _abandon(url: str, namespace: str, hung: bool) -> None:
    cache = AsyncCache(url, namespace=namespace, policy=Policy(ttl=0.001, stale=100))

    async def quick() -> int:
        return 1

    await cache.get_or_load("k", quick)
    if hung:
        began = asyncio.Event()

        async def load() -> None:
            began.set()
            await asyncio.Event().wait()

        while not began.is_set():
            await cache.get_or_load("k", load)
            await asyncio.sleep(0.01)


def drop_a_cache(index: int, *, url: str, namespace: str) -> list[str]:
    """The names of the threads that are left some time after a cache was dropped without being closed."""
    before = set(threading.enumerate())
    cache = Cache(url, namespace=namespace)
    cache.get_or_load("k", lambda: 1)
    del cache
    deadline = time.monotonic() + 8
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        gc.collect()  # the parts of a cache know each other, so only a collection finds it dropped
        time.sleep(0.02)
    return [thread.name for thread in left]
