"""The tags of writes by their images, and the one form of values."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from cachewright.sql import COARSE, Table, image_write, named_write, unnamed_write


class Colour(Enum):
    """A value that a driver and a mapper may spell in two ways."""

    RED = "red"


COLUMNS: dict[str, type | None] = {
    "id": int, "name": str, "token": UUID, "day": date, "on": bool, "price": None,
}  # fmt: skip
ITEMS = Table("items", COLUMNS, ("id",), [("name",), ("on", "day"), ("price",), ("id",), ("name",)])


@pytest.mark.parametrize(
    ("column", "value", "form"),
    [
        ("id", 7, 7),
        ("id", "7", 7),
        ("id", " 7", COARSE),
        ("id", 7.0, COARSE),
        ("id", True, 1),
        ("id", None, COARSE),
        ("id", 2**63, COARSE),
        ("name", "x", "x"),
        ("name", "é", "é"),
        ("name", "\0", COARSE),
        ("name", "\ud800", COARSE),
        ("name", 7, COARSE),
        ("name", Colour.RED, COARSE),
        ("token", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("day", "2024-02-03", date(2024, 2, 3)),
        ("day", datetime(2024, 2, 3, 4), COARSE),  # noqa: DTZ001 - what a driver may be given
        ("on", True, 1),
        ("on", 0, 0),
        ("on", 2, COARSE),
        ("on", "t", COARSE),
        ("price", 7, COARSE),
        ("nowhere", 7, COARSE),
    ],
)
def test_a_value_has_one_form_by_its_column_or_none(column: str, value: Any, form: Any) -> None:
    found = ITEMS.canonical(column, value)
    assert (type(found), found) == (type(form), form)


def test_sets_without_exact_equality_and_repeated_ones_are_left_out() -> None:
    assert ITEMS.usable_sets == [("name",), ("day", "on")]
    assert ITEMS.usable_key == ("id",)
    assert Table("t", {"at": None}, ("at",)).usable_key == ()


def test_both_images_are_named() -> None:
    old = {"id": 1, "name": "a", "on": True, "day": None}
    assert set(image_write(ITEMS, [old, old | {"name": "b"}])) == {
        "row:items:1", "match:items:name=a", "match:items:name=b", "table:items",
    }  # fmt: skip


def test_what_an_image_does_not_say_is_in_doubt() -> None:
    assert set(image_write(ITEMS, [{"name": "a"}])) == {
        "rows:items", "match:items:name=a", "matches:items", "table:items",
    }  # fmt: skip
    assert set(image_write(Table("t", {"a": int}), [{"a": 1}])) == {"rows:t", "table:t"}


def test_named_rows_without_a_form_are_unnamed() -> None:
    assert named_write(ITEMS, [(1,), ("2",)]) == [
        "row:items:1",
        "row:items:2",
        "matches:items",
        "table:items",
    ]
    assert named_write(ITEMS, [(1,), (None,)]) == unnamed_write("items")
