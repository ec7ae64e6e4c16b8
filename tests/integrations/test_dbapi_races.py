"""Threads that read and write through two caches on one server: at rest, nothing old is left.

The control commits behind the door, and must leave something old.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from integrations.raw import SCHEMA

from cachewright import Cache
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.dbapi import QueryCache
from rig.waiting import eventually

pytest.importorskip("sqlglot")

QUERIES: list[tuple[str, list[Any]]] = [
    ("SELECT visits FROM users WHERE id = %s", [1]),
    ("SELECT visits FROM users WHERE id = %s", [2]),
    ("SELECT sum(visits) FROM users", []),
    ("SELECT count(*) FROM orders WHERE user_id = %s", [1]),
    (
        "SELECT u.email, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = %s ORDER BY o.id",
        [2],
    ),
    ("SELECT email FROM busy ORDER BY email", []),
]
WRITES: list[tuple[str, Any]] = [
    ("UPDATE users SET visits = visits + 1 WHERE id = %s", lambda random: [random.choice([1, 2])]),
    (
        "UPDATE orders SET total = total + 1 WHERE user_id = %s",
        lambda random: [random.choice([1, 2])],
    ),
    (
        "INSERT INTO orders (id, user_id, total) VALUES (%s, %s, 1) ON CONFLICT (id) DO UPDATE SET total = 0",
        lambda random: [random.randint(3, 9), random.choice([1, 2])],
    ),
    ("DELETE FROM orders WHERE id = %s", lambda random: [random.randint(3, 9)]),
]


@pytest.fixture
def address(postgresql: str) -> str:
    """A database with a few users."""
    found = postgresql.replace("+psycopg", "")
    with psycopg.connect(found, autocommit=True) as connection:
        for text in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", *SCHEMA):
            connection.execute(text)
    return found


@pytest.fixture
def doors() -> Iterator[list[QueryCache]]:
    """Two caches of one fleet."""
    with EmbeddedServer() as server:
        caches = [Cache(server.url, namespace="shop") for _ in range(2)]
        yield [QueryCache(cache, database="shop") for cache in caches]
        for cache in caches:
            cache.close()


def write(door: QueryCache, connection: Any, random: Random, *, hidden: bool) -> None:
    """One transaction; rolled back now and then."""
    sql, params = random.choice(WRITES)
    try:
        if hidden:
            connection.execute(sql, params(random))
            connection.commit()
            return
        door.execute(sql, params(random), connection)
        (door.rollback if random.random() < 0.1 else door.commit)(connection)
    except psycopg.errors.DeadlockDetected:
        door.rollback(connection)


def work(door: QueryCache, address: str, seed: int, *, hidden: bool) -> None:
    """Reads and writes in turn."""
    random = Random(seed)
    with psycopg.connect(address) as writer, psycopg.connect(address, autocommit=True) as reader:
        for _ in range(60):
            for sql, params in random.sample(QUERIES, 3):
                door.cached_query(sql, params, reader, ttl=600)
            write(door, writer, random, hidden=hidden)


def old(doors: list[QueryCache], address: str) -> list[str]:
    """The queries whose cached results are not the database's."""
    found = []
    with psycopg.connect(address, autocommit=True) as connection:
        for door in doors:
            for sql, params in QUERIES:
                cached = list(door.cached_query(sql, params, connection))
                if cached != connection.execute(sql, params).fetchall():
                    found.append(sql)
    return found


def run(doors: list[QueryCache], address: str, *, hidden: bool) -> None:
    """Six threads over both caches, until all are done."""
    threads = [
        threading.Thread(target=work, args=(doors[n % 2], address, n), kwargs={"hidden": hidden})
        for n in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def test_at_rest_nothing_old_is_left(doors: list[QueryCache], address: str) -> None:
    run(doors, address, hidden=False)
    eventually(lambda: not old(doors, address), within=2)


def test_commits_behind_the_door_leave_something_old(doors: list[QueryCache], address: str) -> None:
    run(doors, address, hidden=True)
    assert old(doors, address)
