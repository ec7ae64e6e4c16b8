"""Cached querysets give what Django gives, without asking the database, until something is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from integrations import shelves
from integrations.library.models import Book
from integrations.shelves import QUERIES, WRITES, kept, plain, shown, statements

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.django import QueryCache

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


@pytest.fixture
def queries(library: Any, valkey: EmbeddedServer, namespace: str) -> Iterator[QueryCache]:
    """The query cache of this process, over a server; the library is full."""
    shelves.fill()
    cache = Cache(valkey.url, namespace=namespace, policy=PATIENT)
    with cache, QueryCache(cache) as attached:
        yield attached


@pytest.mark.parametrize("name", QUERIES)
def test_a_cached_query_gives_what_django_gives_and_asks_once(
    queries: QueryCache, name: str
) -> None:
    expected = shown(QUERIES[name](plain))
    first, asked = statements(lambda: QUERIES[name](kept))
    assert shown(first) == expected
    assert asked > 0
    again, asked = statements(lambda: QUERIES[name](kept))
    assert shown(again) == expected
    assert asked == 0


@pytest.mark.parametrize("name", QUERIES)
def test_what_another_process_cached_gives_the_same(
    queries: QueryCache, name: str, valkey: EmbeddedServer, namespace: str
) -> None:
    expected = shown(QUERIES[name](kept))
    queries.detach()
    with Cache(valkey.url, namespace=namespace, policy=PATIENT) as other, QueryCache(other):
        again, asked = statements(lambda: QUERIES[name](kept))
    assert shown(again) == expected
    assert asked == 0


@pytest.mark.parametrize("name", WRITES)
def test_after_a_write_every_query_gives_what_the_database_holds(
    queries: QueryCache, name: str
) -> None:
    _stale()
    WRITES[name]()
    assert _stale() == []
    assert _stale() == [], "what was filled after it is right too"


@pytest.mark.parametrize("name", WRITES)
def test_without_the_watcher_a_write_leaves_old_results(queries: QueryCache, name: str) -> None:
    """The control of the test above."""
    _stale()
    queries.watcher.stop()
    WRITES[name]()
    assert _stale() != []


def _stale() -> list[str]:
    """The queries that give other results than the database."""
    return [name for name in QUERIES if _found(name, kept) != _found(name, plain)]


def _found(name: str, of: Any) -> Any:
    try:
        return shown(QUERIES[name](of))
    except (Book.DoesNotExist, IndexError) as error:
        return type(error)
