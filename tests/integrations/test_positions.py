"""A batch and its stream position are one transaction, and the position is the fence that a late worker meets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.shop import Airport, Article
from integrations.stores import Store, now

from cachewright.errors import InvalidKey
from cachewright.patterns.changes import is_outage
from cachewright.patterns.sources import Change, Position, Unsavable


def at(last: str, expected: str | None = None, *, partition: int = 0) -> Position:
    """A move of the position of queue `q`."""
    return Position("q", partition, last, expected)


async def ready(store: Store) -> Any:
    """A source with its table of positions."""
    source = store.source(Article, into=dict, version="version")
    await now(source.create_tables())
    await now(source.create_tables())
    return source


async def test_puts_patches_and_deletes_are_applied_with_their_position(store: Store) -> None:
    source = await ready(store)
    await now(source.save_many([{"id": n, "label": f"t{n}"} for n in (1, 2, 3)]))
    changes = [
        Change(1, "put", {"id": 1, "label": "PUT"}),
        Change("2", "patch", {"label": "PATCHED"}),
        Change(3, "delete"),
        Change(4, "put", {"label": "NEW"}),
        Change(5, "patch", {"label": "of nothing"}),
    ]
    assert await now(source.position("q", 0)) is None
    assert await now(source.apply(changes, at("7-0"))) is True
    assert await now(source.position("q", 0)) == "7-0"
    rows = await store.sql("SELECT id, title, slug, version FROM article ORDER BY id")
    assert rows == [(1, "PUT", "put", 2), (2, "PATCHED", "patched", 2), (4, "NEW", "new", 1)]


async def test_defect_32_a_batch_that_was_applied_is_not_applied_again(store: Store) -> None:
    source = await ready(store)
    batch = [Change(1, "put", {"label": "a"})]
    assert await now(source.apply(batch, at("1-0"))) is True
    assert await now(source.apply(batch, at("1-0"))) is False
    assert await now(source.apply([Change(1, "put", {"label": "b"})], at("2-0", "1-0"))) is True
    assert await now(source.apply(batch, at("2-0", "1-0"))) is False
    assert await store.sql("SELECT title, version FROM article") == [("b", 2)]
    assert await now(source.position("q", 0)) == "2-0"


@pytest.mark.parametrize(
    "store", ["postgresql-threads", "postgresql-asyncio", "postgresql-asyncpg"], indirect=True
)
@pytest.mark.parametrize(
    ("state", "away"),
    [
        *[
            (state, True)
            for state in ("08006", "25006", "40001", "40P01", "53300", "55P03", "57014")
        ],
        *[(state, True) for state in ("57P01", "58030")],
        *[(state, False) for state in ("22001", "23502", "23514", "42703", "54000", "P0001")],
    ],
)
async def test_what_says_that_the_database_is_away_is_told_from_a_refusal_by_every_driver(
    store: Store, state: str, away: bool
) -> None:
    # PostgreSQL alone raises what it is asked to.
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(sa.exc.DBAPIError) as raised:
        await store.sql(raising)
    assert is_outage(raised.value) is away


async def test_each_partition_and_queue_has_a_position_of_its_own(store: Store) -> None:
    source = await ready(store)
    assert await now(source.apply([], at("1-0"))) is True
    assert await now(source.apply([], at("5-0", partition=1))) is True
    assert await now(source.apply([], Position("other", 0, "9-0"))) is True
    positions = [await now(source.position(*which)) for which in (("q", 0), ("q", 1), ("other", 0))]
    assert positions == ["1-0", "5-0", "9-0"]


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        (Change(2, "put", {"lable": "x"}), Unsavable),
        (Change(2, "put", {"id": 3, "label": "x"}), Unsavable),
        (Change("x", "delete"), InvalidKey),
        (Change(1, "delete"), ValueError),
        (Change(2, "put", {"stock": 1}), sa.exc.DBAPIError),
    ],
)
async def test_a_batch_that_fails_moves_neither_rows_nor_position(
    store: Store, poison: Change, error: type[Exception]
) -> None:
    source = await ready(store)
    await now(source.apply([], at("1-0")))
    with pytest.raises(error):
        await now(source.apply([Change(1, "put", {"label": "a"}), poison], at("2-0", "1-0")))
    assert await store.sql("SELECT id FROM article") == []
    assert await now(source.position("q", 0)) == "1-0"


async def test_a_batch_may_give_what_was_unique_in_a_deleted_row_to_another(store: Store) -> None:
    source = store.source(Airport, into=dict)
    await now(source.create_tables())
    await now(source.save({"code": "OLD", "city": "Kiel"}))
    batch = [Change("NEW", "put", {"city": "Kiel"}), Change("OLD", "delete")]
    assert await now(source.apply(batch, at("1-0"))) is True
    assert list(await now(source.load_many(["OLD", "NEW"]))) == ["NEW"]


async def test_a_batch_of_puts_is_few_statements(store: Store) -> None:
    source = await ready(store)
    batch = [Change(n, "put", {"label": f"t{n}"}) for n in range(1, 501)]
    with store.statements() as sent:
        assert await now(source.apply(batch, at("1-0"))) is True
    assert len(sent) <= 3
    assert await store.sql("SELECT count(*) FROM article") == [(500,)]


@pytest.mark.parametrize("expected", [None, "1-0"])
async def test_of_two_workers_at_the_same_position_one_applies(
    store: Store, expected: str | None
) -> None:
    source = await ready(store)
    if expected:
        await now(source.apply([], at(expected)))
    batches = [[Change(1, "put", {"label": text})] for text in "ab"]

    async def work(batch: list[Change]) -> bool:
        position = at("2-0", expected)
        if store.asynchronous:
            return bool(await source.apply(batch, position))
        return bool(await asyncio.to_thread(source.apply, batch, position))

    assert sorted(await asyncio.gather(*map(work, batches))) == [False, True]
    assert await store.sql("SELECT version FROM article") == [(1,)]


async def test_a_caller_may_apply_within_a_transaction_of_its_own(store: Store) -> None:
    source = await ready(store)
    async with store.connected() as connection:
        batch = [Change(1, "put", {"label": "a"})]
        assert await now(source.apply(batch, at("1-0"), connection=connection)) is True
        assert await now(source.position("q", 0, connection=connection)) == "1-0"
    assert await now(source.position("q", 0)) is None
    assert await store.sql("SELECT id FROM article") == []
