"""Columns that go to PostgreSQL as the text of an array: what is read back is what was written, whatever it looks like."""

from __future__ import annotations

import math
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.stores import Store, now
from integrations.test_table_peculiarities import made, only_postgresql

from cachewright.integrations.sqlalchemy import arrays
from cachewright.integrations.sqlalchemy.arrays import spelled

TEXTS = [
    "",
    "NULL",
    "null",
    "{a,b}",
    "a,b",
    'say "so"',
    '","',
    "back\\slash",
    '\\"',
    "\\",
    " around ",
    "two\nlines\r\tand a tab",
    "übergröße 🚀",
    "'; DROP TABLE odd --",
    None,
]
FLOATS = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 3.0, None]
INTS = [0, -1, 2**63 - 1, -(2**63), None]
BOOLS = [True, False, None]


def odd_rows() -> list[dict[str, Any]]:
    return [
        {
            "id": text or f"row {n}",
            "text": text,
            "real": FLOATS[n % len(FLOATS)],
            "big": INTS[n % len(INTS)],
            "flag": BOOLS[n % len(BOOLS)],
        }
        for n, text in enumerate(TEXTS)
    ]


async def table(store: Store) -> sa.Table:
    odd = sa.Table(
        "odd",
        sa.MetaData(),
        sa.Column("id", sa.String(50), primary_key=True),
        sa.Column("text", sa.Text),
        sa.Column("real", sa.Double),
        sa.Column("big", sa.BigInteger),
        sa.Column("flag", sa.Boolean),
    )
    await made(store, odd)
    return odd


async def read_back(store: Store) -> bool:
    """Whether what is stored, and what is found by its id, is what was written."""
    source, rows = store.source(await table(store)), odd_rows()
    stored = await now(source.save_many(rows))
    found = await now(source.load_many([row["id"] for row in rows]))
    # repr tells nan from nothing and -0.0 from 0.0
    return repr(stored) == repr(rows) and repr([found.get(row["id"]) for row in rows]) == repr(rows)


@only_postgresql
async def test_whatever_values_look_like_they_are_read_back_as_they_were(store: Store) -> None:
    assert await read_back(store)


@only_postgresql
async def test_without_quoting_they_are_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(arrays, "_quoted", lambda text: f'"{text}"')
    try:
        same = await read_back(store)
    except sa.exc.DBAPIError:
        same = False
    assert not same


@only_postgresql
async def test_values_of_other_types_are_left_to_the_driver(store: Store) -> None:
    class Shout(str):
        """Text of somebody's own kind."""

        __slots__ = ()

    source = store.source(await table(store))
    rows = [{"id": "a", "text": Shout("x")}, {"id": "b", "text": "y"}]
    assert [row["text"] for row in await now(source.save_many(rows))] == ["x", "y"]
    with pytest.raises(sa.exc.DBAPIError):
        await now(source.save_many([{"id": "a", "big": "no number"}, {"id": "b", "big": "none"}]))


def test_only_plain_values_of_plain_columns_have_a_spelling() -> None:
    class Own(sa.String):
        """A type that somebody derived, with its own way to the database perhaps."""

    text, number = sa.Column("t", sa.Text), sa.Column("n", sa.Integer)
    assert spelled(text, ["a", 'b"', None]) == '{"a","b\\"",NULL}'
    assert spelled(number, [1, None]) == "{1,NULL}"
    assert spelled(number, [1, True]) is None
    assert spelled(text, ["a", 1]) is None
    for kind in (Own(), sa.Numeric(), sa.Enum("a", name="e"), sa.Uuid(), sa.LargeBinary()):
        assert spelled(sa.Column("c", kind), []) is None
