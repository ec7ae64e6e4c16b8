"""Closes an experiment's database to everybody: sessions are ended, and new ones refused, by PostgreSQL itself.

What must not be here: what is expected of those who meet that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from proof.behind import DATABASE, END_SESSIONS, Shop


def _run(shop: Shop, *statements: str) -> None:
    address = shop.address.replace(f"/{DATABASE}?", "/postgres?")
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextlib.contextmanager
def closed_database(shop: Shop, *, closed: bool = True) -> Iterator[None]:
    """For as long as the block takes; or not at all, where `closed` is false."""
    if not closed:
        yield
        return
    _run(shop, f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false", END_SESSIONS)
    try:
        yield
    finally:
        _run(shop, f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")
