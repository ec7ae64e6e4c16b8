"""A write-behind over a table of a real PostgreSQL, and what its members write down, for the experiments on it.

The table's own trigger notes whatever it was told twice and whenever an older version came over a newer one, so that
neither depends on what the library says. Versions are the writers' own: they grow for each key.
What must not be here: faults, and what counts as a violation.
"""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import msgspec
import psycopg
import sqlalchemy as sa

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.sqlalchemy import TableSource
from cachewright.patterns import Change, Position, WriteBehind
from rig.rows import versioned_rows

PATIENT = Policy(timeouts=Timeouts(call=5.0, connect=5.0))
SYNCED = {"appendonly": "yes", "appendfsync": "always"}
EVERY_SECOND = {"appendonly": "yes", "appendfsync": "everysec"}
NAMESPACE = "proof"

STOCK = sa.Table(
    "stock",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
SCHEMA = """
CREATE UNLOGGED TABLE stock (
    id bigint PRIMARY KEY, version bigint NOT NULL, note text NOT NULL,
    CONSTRAINT no_poison CHECK (note <> 'poison')
);
CREATE UNLOGGED TABLE applied (id bigint, version bigint, at timestamptz);
CREATE UNLOGGED TABLE backwards (id bigint, version bigint, over bigint);
CREATE FUNCTION watched() RETURNS trigger AS $$ BEGIN
    INSERT INTO applied VALUES (NEW.id, NEW.version, clock_timestamp());
    IF TG_OP = 'UPDATE' AND NEW.version < OLD.version THEN
        INSERT INTO backwards VALUES (NEW.id, NEW.version, OLD.version);
    END IF;
    RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER watched AFTER INSERT OR UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION watched();
"""
TWICE = "SELECT count(*) - count(DISTINCT (id, version)) FROM applied"
OLD_OVER_NEW = "SELECT count(*) FROM backwards"
CONTENT = "SELECT id, version FROM stock"
DATABASE = "shop"
END_SESSIONS = (
    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'"
)
_ENGINES: list[sa.Engine] = []
"""Of this process; their connections are closed with the database."""


def row(number: int, version: int, note: str = "") -> dict[str, Any]:
    """A value of the table."""
    return {"id": number, "version": version, "note": note or "x" * 40}


@dataclass(frozen=True)
class Shop:
    """Where the server, the database and the members' notes are; and the doors' options. It pickles."""

    url: str
    address: str
    place: Path
    options: dict[str, Any] = field(default_factory=dict)

    def with_options(self, **options: Any) -> Shop:
        """The same with other options of the doors."""
        return replace(self, options={**self.options, **options})

    def source(self, kind: type[TableSource[Any]] = TableSource) -> Any:
        """The table, over connections of its own."""
        rest = self.address.partition("://")[2]
        engine = sa.create_engine(f"postgresql+psycopg://{rest}", pool_size=20)
        _ENGINES.append(engine)
        return kind(engine, STOCK)

    def cache(self, **options: Any) -> Cache:
        """A cache as a process of its own has it."""
        return Cache(self.url, namespace=NAMESPACE, policy=PATIENT, **options)

    def door(self, source: Any = None, *, worker: bool, **options: Any) -> WriteBehind:
        """A write-behind with a cache of its own."""
        chosen = {"durability": "memory", "lease": 0.5, "interval": 0.1, **self.options, **options}
        return WriteBehind(self.cache(), source or self.source(), worker=worker, **chosen)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def count(self, query: str) -> int:
        """The one number that a query returns."""
        return int(self.ask(query)[0][0])

    def content(self) -> dict[int, int]:
        """Every row's version."""
        return {int(number): int(version) for number, version in self.ask(CONTENT)}

    def notes(self, kind: str) -> dict[int, list[int]]:
        """Versions by key, as members noted them in their files of that kind, each file in its order."""
        found: dict[int, list[int]] = {}
        for path in sorted(self.place.glob(f"*.{kind}")):
            for line in path.read_text().splitlines(keepends=True):
                key, _, version = line.partition(" ")
                if version.endswith("\n"):  # the last line of whoever was killed may be cut short
                    found.setdefault(int(key), []).append(int(version))
        return found

    def forget(self) -> None:
        """Begin again, with empty tables and no notes; positions stay."""
        self.ask("TRUNCATE stock, applied, backwards")
        for path in [*self.place.glob("*.acknowledged"), *self.place.glob("*.begun")]:
            path.unlink()


class Notes:
    """A file of what a member did; what was noted outlives the member."""

    def __init__(self, shop: Shop, index: int, kind: str) -> None:
        path = shop.place / f"{index}-{time.time_ns()}.{kind}"
        self._file: TextIO = path.open("w")

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """So many rows at once."""
        self._file.write("".join(f"{one['id']} {one['version']}\n" for one in rows))
        self._file.flush()


class Unguarded(TableSource[Any]):
    """For controls: a batch is applied wherever the recorded position is."""

    def apply(
        self, changes: Sequence[Change], position: Position, *, connection: Any = None
    ) -> bool:
        """Whatever is recorded counts as expected."""
        found = self.position(position.queue, position.partition)
        return super().apply(
            changes, msgspec.structs.replace(position, expected=found), connection=connection
        )


class InMemory:
    """The caching guide's write-back: a queue in memory, and a thread that flushes it now and then."""

    def __init__(self, source: Any, *, interval: float = 0.1) -> None:
        self.waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        self._source = source
        self._interval = interval
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._flush_for_ever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, as the guide does not."""
        self._closed.set()
        self._thread.join()

    def put_many(self, values: Sequence[dict[str, Any]]) -> None:
        """Acknowledged as soon as it is in the queue."""
        for value in values:
            self.waiting.put(value)

    def _flush_for_ever(self) -> None:
        while not self._closed.wait(self._interval):
            batch = {}
            while not self.waiting.empty():
                one = self.waiting.get()
                batch[one["id"]] = one
            with contextlib.suppress(Exception):  # the guide prints the failure and goes on
                self._source.save_many(list(batch.values()))


@contextlib.contextmanager
def opened_database() -> Iterator[str]:
    """The address of a PostgreSQL with the tables, which is gone with the block."""
    with versioned_rows(1) as rows:
        address = _address_of(rows.address)
        with psycopg.connect(rows.address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        shop = Shop("", address, Path())
        shop.ask(SCHEMA)
        shop.source().create_tables()
        try:
            yield address
        finally:
            while _ENGINES:
                _ENGINES.pop().dispose()
            # PostgreSQL would wait for those who have not left.
            with psycopg.connect(rows.address, autocommit=True) as connection:
                connection.execute(END_SESSIONS.encode())


@contextlib.contextmanager
def opened_shop(
    config: dict[str, str], *, database: str | None = None, **options: Any
) -> Iterator[tuple[Shop, EmbeddedServer]]:
    """A server that keeps its data in the shop's place, and a `database` or one of its own; all is gone with the block."""
    with contextlib.ExitStack() as stack:
        address = database or stack.enter_context(opened_database())
        place = tempfile.TemporaryDirectory(prefix="cachewright-proof-")
        folder = Path(stack.enter_context(place))
        server = EmbeddedServer(directory=folder / "server", config=config)
        stack.enter_context(server)
        shop = Shop(server.url, address, folder, options)
        if database is not None:
            shop.forget()
        yield shop, server


def _address_of(address: str) -> str:
    """The experiments' own database, which can be closed from the first one."""
    path, _, query = address.partition("?")
    return f"{path.rpartition('/')[0]}/{DATABASE}?{query}"


def lost_rows(shop: Shop) -> tuple[int, int]:
    """(rows that are not what was acknowledged last, writes that were acknowledged).

    What was begun after the last acknowledged one may be there too, although nobody heard of it.
    """
    acknowledged, begun, content = shop.notes("acknowledged"), shop.notes("begun"), shop.content()
    lost = 0
    for key, versions in acknowledged.items():
        last = max(versions)
        possible = {last} | {version for version in begun.get(key, []) if version > last}
        lost += content.get(key) not in possible
    return lost, sum(map(len, acknowledged.values()))


def drain(shop: Shop, *, within: float) -> bool:
    """Brings all that is queued to the source, with a worker of its own; whether it could."""
    door = shop.door(worker=True)
    try:
        return door.flush(within)
    finally:
        door.close(0)
        door.cache.close()
