"""Random writes of all kinds, in blocks, savepoints and rollbacks: after each, cached queries say what the database holds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, transaction
from integrations import shelves
from integrations.library.models import Author, Book, Label
from integrations.shelves import QUERIES, WRITES, kept, plain, shown

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.django import ModelCache, QueryCache
from cachewright.integrations.django.ledger import Ledger
from cachewright.integrations.django.queries import Standing

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))
STEPS = 30
COMPARED = 8
"""Queries that are compared after each step."""


@pytest.fixture(params=[True, False], ids=["in two phases", "in one phase"])
def queries(
    request: pytest.FixtureRequest, library: Any, valkey: EmbeddedServer, namespace: str
) -> Iterator[QueryCache]:
    """A query cache that reads images in half of the runs; the library is full."""
    shelves.fill()
    cache = Cache(valkey.url, namespace=namespace, policy=PATIENT)
    exact = ["library.Book"] if request.param else []
    with cache, QueryCache(cache, crash_safe=request.param, exact=exact) as attached:
        yield attached


def write(draw: random.Random) -> None:
    """One write; whether it finds its rows does not matter."""
    name = draw.choice(sorted(WRITES))
    with suppress(ObjectDoesNotExist, Error), transaction.atomic():
        WRITES[name]()
    Label.objects.filter(name="green").delete()  # so that it can be made again


def step(draw: random.Random) -> None:
    """Writes in autocommit, in a block, in a block that is rolled back, with a savepoint that is."""
    how = draw.randrange(4)
    if how == 0:
        write(draw)
        return
    with suppress(Error), transaction.atomic():  # a commit may be refused, by a foreign key
        write(draw)
        _ask_some(draw)
        with transaction.atomic():
            write(draw)
            _ask_some(draw)
            transaction.set_rollback(how == 1)
        write(draw)
        transaction.set_rollback(how == 2)


def _ask_some(draw: random.Random) -> None:
    for name in draw.sample(sorted(QUERIES), 2):
        _found(name, kept)


def _found(name: str, of: Any) -> Any:
    try:
        return shown(QUERIES[name](of))
    except (ObjectDoesNotExist, IndexError, Book.MultipleObjectsReturned) as error:
        return type(error)


def by_key(number: int) -> tuple[Any, Any]:
    """A row through the door for rows, and from the database."""
    cached = ModelCache(Author, 60).get(number, None)
    found = Author.objects.uncached().filter(pk=number).first()
    return (cached and cached.name), (found and found.name)


def stale_after(draw: random.Random, steps: int) -> list[str]:
    """What was wrong after which step, out of `steps` times `COMPARED` comparisons and rows by key."""
    wrong = []
    for number in range(steps):
        step(draw)
        asked = draw.sample(sorted(QUERIES), COMPARED)
        wrong += [f"{number}: {it}" for it in asked if _found(it, kept) != _found(it, plain)]
        for key in (1, 2, 3):
            cached, found = by_key(key)
            if cached != found:
                wrong.append(f"{number}: author {key}")
    return wrong


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_stale_after_any_step(queries: QueryCache, seed: int) -> None:
    assert stale_after(random.Random(seed), STEPS) == []


def test_without_regard_for_transactions_something_is(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: each statement is told of as it runs, and reads in a block fill the cache."""

    def tell(ledger: Any, _connection: Any, tags: list[str]) -> None:
        ledger._writes._cache.engine.invalidate([], tags)

    monkeypatch.setattr(Ledger, "wrote", tell)
    monkeypatch.setattr(QueryCache, "standing", lambda self, alias: Standing.FREE)
    assert stale_after(random.Random(0), STEPS) != []
