"""Experiment: many writers of each row through one write-through cache, while database and cache fail now and then.

Eight writers in two processes put every row, with pauses wherever an older row could overtake a newer one: between
statement and commit, between commit and the end of the write, between a load and its fill. A tenth of all transactions
and a tenth of all calls to the cache's server fail, half of them before anything has happened and half when all has.
Each committed row is in a history that its own transaction writes, so that what was never committed shows.
What must not be here: the door, and how a fleet is run.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import redis

from cachewright import ABSENT, Cache, Policy, Timeouts
from cachewright._sync.redis import RedisStore
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteTimeout
from cachewright.patterns._sync.write_through import WriteThrough
from cachewright.redis.wire import Replies
from proof.experiment import Experiment, Measured, Number, Run
from rig.processes import Barrier, Fleet
from rig.rows import versioned_rows

PROCESSES, WRITERS, WINDOW, ROUNDS = 2, 4, 4, 3
FAILS, LOITERS, PAUSE = 0.10, 0.25, 0.030
"""Which share of transactions and of calls fails; which share pauses, and for how many seconds, where it hurts."""
QUIET = 0.5
TTL = 3600


class Broken(Exception):
    """What the database raises: half of the time it has done nothing, else it has committed and nobody heard."""


class Table:
    """The rows, as a source. `shaky`: whether transactions fail and pause."""

    name = "through"

    def __init__(self, address: str, seed: str) -> None:
        self._address = address
        self._of_thread = threading.local()
        self._draw = random.Random(seed)
        self.shaky = True

    def _connection(self) -> psycopg.Connection:
        found: psycopg.Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = self._of_thread.connection = psycopg.connect(self._address, autocommit=True)
        return found

    def _pause(self) -> None:
        if self.shaky and self._draw.random() < LOITERS:
            time.sleep(self._draw.uniform(0, PAUSE))

    def identity(self, key: Any) -> int:
        """An int."""
        return int(key)

    def key_of(self, value: Mapping[str, Any]) -> int:
        """Its id."""
        return int(value["id"])

    def load(self, key: int) -> Any:
        """The row, after a while."""
        found = self.load_many([key]).get(key, ABSENT)
        self._pause()
        return found

    def load_many(self, keys: Sequence[int]) -> dict[int, Any]:
        """Rows by id."""
        query = "SELECT id, version, nonce FROM through WHERE id = ANY(%s)"
        rows = self._connection().execute(query, [list(keys)]).fetchall()
        return {row[0]: _row(*row) for row in rows}

    def save(self, value: Mapping[str, Any], *, connection: psycopg.Connection) -> Any:
        """Upsert; the version counts up, and the history has it."""
        upsert = (
            "INSERT INTO through VALUES (%s, 1, %s) ON CONFLICT (id) DO UPDATE SET"
            " version = through.version + 1, nonce = excluded.nonce RETURNING id, version, nonce"
        )
        row = connection.execute(upsert, [value["id"], value["nonce"]]).fetchone()
        assert row is not None
        connection.execute("INSERT INTO history VALUES (%s, %s, %s)", row)
        time.sleep(self._draw.uniform(0, 0.001))  # the row is locked
        return _row(*row)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """One that fails now and then."""
        connection = self._connection()
        fate = self._draw.random() if self.shaky else 0.5
        with connection.transaction():
            yield connection
            if fate < FAILS / 2:
                raise Broken("refused")
        self._pause()
        if fate > 1 - FAILS / 2:
            raise Broken("committed, but the answer was lost")


def _row(number: int, version: int, nonce: str) -> dict[str, Any]:
    return {"id": number, "version": version, "nonce": nonce}


@dataclass(frozen=True)
class Job:
    """What each process is given."""

    url: str
    address: str
    subject: str
    keys: int
    seed: int
    start: Barrier
    written: Barrier
    calm: Barrier


@dataclass
class Seen:
    """What one process did and read. `at_rest` by id: nonces, from memory and verified."""

    nonces: set[tuple[int, int, str]] = field(default_factory=set)
    at_rest: list[tuple[int, str]] = field(default_factory=list)
    overtaken: int = 0
    """Reads that began after a write of the same process had returned, and brought an older row."""
    done: int = 0
    broken: int = 0
    raised: int = 0
    fills: int = 0
    cache_errors: int = 0


class Ours:
    """Write-through over the engine; one of the processes is strict."""

    def __init__(self, job: Job, table: Table, index: int) -> None:
        _shake(job, index)
        self._cache = Cache(job.url, namespace="proof", policy=_patient())
        how: Any = "strict" if index % 2 else "available"
        self._door = WriteThrough(self._cache, table, consistency=how)

    def read(self, number: int) -> list[Any]:
        """From memory or wherever it is."""
        return [self._door.get(number, ABSENT)]

    def read_all_ways(self, number: int) -> list[Any]:
        """The same, and what is cached as the server says."""
        cached = self._cache.get(self._door.key(number), None, verify=True)
        return [self._door.get(number, ABSENT), *([] if cached is None else [cached])]

    def write(self, value: Mapping[str, Any]) -> Any:
        """Returns the stored row."""
        return self._door.put(value)

    def calm_down(self) -> None:
        """No more failures; what was not told is told."""
        RedisStore._send = _SEND  # type: ignore[method-assign]
        self._cache.get("whatever comes first")

    def finish(self, seen: Seen) -> None:
        """Its numbers."""
        stats = self._cache.stats()
        seen.fills, seen.cache_errors = stats.fills, stats.remote_errors
        self._cache.close()


def _patient() -> Policy:
    """Leases that are lost with a call cost little time here."""
    return Policy(ttl=TTL, lease=0.2, timeouts=Timeouts(call=0.1, connect=5.0))


class WithoutFlags(Ours):
    """The engine, whose writers are not told that somebody has ended beside them."""

    def __init__(self, job: Job, table: Table, index: int) -> None:
        from patterns._sync.weakened_fills import flags_nobody

        flags_nobody(pytest.MonkeyPatch())
        super().__init__(job, table, index)


class Naive:
    """The guide's: commit, read again, SETEX."""

    def __init__(self, job: Job, table: Table, index: int) -> None:
        self._client = redis.Redis.from_url(job.url)
        self._table = table
        self._draw = random.Random(f"{job.seed} naive {index}")
        self._shaky = True

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """A tenth of the calls fail here as well."""
        fate = self._draw.random() if self._shaky else 0.5
        if fate < FAILS / 2:
            raise redis.TimeoutError("lost")
        found = call(*arguments)
        if fate > 1 - FAILS / 2:
            raise redis.TimeoutError("its answer was lost")
        return found

    def read(self, number: int) -> list[Any]:
        """GET, else load and SETEX."""
        import json

        with contextlib.suppress(redis.TimeoutError):
            cached = self._call(self._client.get, f"through:{number}")
            if cached:
                return [json.loads(cached)]
        row = self._table.load(number)
        if row is not ABSENT:
            self._set(row)
        return [row]

    read_all_ways = read

    def write(self, value: Mapping[str, Any]) -> Any:
        """Commit, read again, set."""
        with self._table.transaction() as connection:
            self._table.save(value, connection=connection)
        row = self._table.load(value["id"])
        self._set(row)
        return row

    def _set(self, row: Any) -> None:
        import json

        with contextlib.suppress(redis.TimeoutError):
            key = f"through:{row['id']}"
            self._call(self._client.setex, key, TTL, json.dumps(row))

    def calm_down(self) -> None:
        """No more failures."""
        self._shaky = False

    def finish(self, seen: Seen) -> None:
        """Nothing is counted here."""
        self._client.close()


SUBJECTS: dict[str, Any] = {"ours": Ours, "without flags": WithoutFlags, "naive": Naive}
_SEND = RedisStore._send


def _shake(job: Job, index: int) -> None:
    """A tenth of the calls to the cache's server fail, in this process."""
    draw = random.Random(f"{job.seed} server {index}")

    def send(self: RedisStore, commands: Any) -> Replies:
        fate = draw.random()
        if fate < FAILS / 2:
            raise RemoteTimeout("lost on its way")
        replies = _SEND(self, commands)
        if fate > 1 - FAILS / 2:
            raise RemoteTimeout("its answer was lost")
        return replies

    RedisStore._send = send  # type: ignore[method-assign]


def work(index: int, *, job: Job) -> Seen:
    """One process: its writers, each of which reads as well."""
    table, seen = Table(job.address, f"{job.seed} table {index}"), Seen()
    subject, lock = SUBJECTS[job.subject](job, table, index), threading.Lock()
    job.start.wait(within=60)
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [
            pool.submit(_write, f"{index}.{n}", job, subject, seen=seen, lock=lock)
            for n in range(WRITERS)
        ]
    for writer in writers:
        writer.result()
    job.written.wait(within=900)
    table.shaky = False
    subject.calm_down()
    job.calm.wait(within=60)
    time.sleep(QUIET)
    for number in range(job.keys):
        rows = subject.read_all_ways(number)
        seen.at_rest += [(number, "" if row is ABSENT else row["nonce"]) for row in rows]
    subject.finish(seen)
    return seen


def _write(name: str, job: Job, subject: Any, *, seen: Seen, lock: Any) -> None:
    """Every row `ROUNDS` times, a few rows at a time, so that the writers of a row meet."""
    draw = random.Random(f"{job.seed} writer {name}")
    for first in range(0, job.keys, WINDOW):
        window = list(range(first, min(first + WINDOW, job.keys))) * ROUNDS
        draw.shuffle(window)
        for place, number in enumerate(window):
            value = {"id": number, "nonce": f"{name}.{first}.{place}"}
            outcome, rows = _try(subject, value)
            read = [row for _ in range(draw.randrange(4)) for row in subject.read(number)]
            older = any(_version(row) < _version(stored) for row in read for stored in rows)
            rows = [*rows, *read]
            with lock:
                seen.overtaken += older
                setattr(seen, outcome, getattr(seen, outcome) + 1)
                seen.nonces |= {
                    (row["id"], row["version"], row["nonce"]) for row in rows if row is not ABSENT
                }


def _version(row: Any) -> int:
    return 0 if row is ABSENT else int(row["version"])


def _try(subject: Any, value: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """What became of a write: done, broken by the database, or raised by the cache; and what it returned."""
    try:
        return "done", [subject.write(value)]
    except Broken:
        return "broken", []
    except RemoteTimeout:
        return "raised", []  # strict, and not told: nothing was written


def measure(run: Run, subject: str, *, keys: int) -> Measured:
    """One fleet on servers of its own."""
    with EmbeddedServer() as server, versioned_rows(1) as rows, Fleet() as fleet:
        with psycopg.connect(rows.address, autocommit=True) as connection:
            connection.execute(
                "CREATE UNLOGGED TABLE through (id int PRIMARY KEY, version int, nonce text);"
                "CREATE UNLOGGED TABLE history (id int, version int, nonce text)"
            )
        barriers = [fleet.barrier(name, PROCESSES) for name in ("start", "written", "calm")]
        job = Job(server.tcp_url, rows.address, subject, keys, run.seed, *barriers)
        fleet.start(work, PROCESSES, job=job)
        seen: list[Seen] = fleet.results(1200)
        with psycopg.connect(rows.address) as connection:
            held: dict[int, str] = dict(
                connection.execute("SELECT id, nonce FROM through").fetchall()
            )
            history = set(connection.execute("SELECT id, version, nonce FROM history").fetchall())
    return judge(seen, held, history)


def judge(seen: list[Seen], held: dict[int, str], history: set[tuple[int, int, str]]) -> Measured:
    """Rows that differ at rest, wherever they were read, and rows seen that nobody has committed."""
    differ = {number for one in seen for number, nonce in one.at_rest if held.get(number) != nonce}
    phantoms = set().union(*(one.nonces for one in seen)) - history
    overtaken = sum(one.overtaken for one in seen)
    numbers: dict[str, Number] = {
        "keys": len(held),
        "keys that differ at rest": len(differ),
        "values seen that never committed": len(phantoms),
        "reads older than a write of their process": overtaken,
        "writes done": sum(one.done for one in seen),
        "broken by the database": sum(one.broken for one in seen),
        "refused, strict": sum(one.raised for one in seen),
        "failed calls to the cache": sum(one.cache_errors for one in seen),
        "fills": sum(one.fills for one in seen),
    }
    return Measured(len(differ) + len(phantoms) + overtaken, numbers)


def _control(run: Run) -> Measured:
    naive = measure(run, "naive", keys=run.pick(20, 2_000))
    weak = measure(run, "without flags", keys=run.pick(20, 2_000))
    of_weak = {f"without flags: {name}": number for name, number in weak.numbers.items()}
    unbroken = () if weak.violations else ("without flags",)
    return Measured(naive.violations, {**naive.numbers, **of_weak}, (), unbroken)


EXPERIMENT = Experiment(
    name="write_through",
    what="8 writers a key in 2 processes, random pauses, 10 % failures of database and of cache, PostgreSQL rows",
    target="10,000 keys: 0 differ at rest, 0 values seen that never committed",
    ours=lambda run: measure(run, "ours", keys=run.pick(20, 10_000)),
    control=_control,
    control_is="the guide's write-through, which reads again and sets unconditionally; beside it the engine whose"
    " writers are not told of each other's ends",
)
