"""How the tags of rows, matches and tables are spelled: one spelling for all layers, and none that means two things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.tags import match_tag, matches_tag, row_tag, rows_tag, table_name, table_tag

NAMES = st.text(min_size=1, max_size=6)
VALUES = st.one_of(st.integers(), st.text(max_size=6), st.booleans())


def test_a_match_names_its_columns_in_one_order_and_case() -> None:
    one = match_tag("flights", {"Airport": "OSL", "gate": 7})
    assert one == match_tag("flights", {"gate": 7, "airport": "OSL"})
    assert one == "match:flights:airport=OSL:gate=7"
    assert matches_tag("flights") == "matches:flights"


def test_values_of_other_types_match_otherwise() -> None:
    assert match_tag("t", {"a": 7}) != match_tag("t", {"a": "7"})


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.dictionaries(NAMES, VALUES, max_size=3))
def test_no_two_matches_share_a_tag(one: dict[str, object], other: dict[str, object]) -> None:
    def canonical(values: dict[str, object]) -> set[tuple[str, type, object]]:
        return {(name.lower(), type(value), value) for name, value in values.items()}

    if len({name.lower() for name in one}) < len(one) or len({n.lower() for n in other}) < len(
        other
    ):
        return
    assert (match_tag("t", one) == match_tag("t", other)) == (canonical(one) == canonical(other))


@given(NAMES, NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=2))
def test_kinds_are_apart_whatever_a_table_is_called(
    one: str, other: str, values: dict[str, object]
) -> None:
    tags = [
        row_tag(one, 1),
        rows_tag(one),
        match_tag(one, values),
        matches_tag(other),
        table_tag(other),
    ]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    ("name", "schema", "default", "called"),
    [
        ("users", None, "public", "users"),
        ("users", "public", "public", "users"),
        ("Users", "Public", "public", "users"),
        ("users", "shop", "public", "shop.users"),
        ("users", "public", None, "public.users"),
        ("users", "", None, "users"),
    ],
)
def test_a_table_is_called_by_its_schema_unless_that_is_the_default(
    name: str, schema: str | None, default: str | None, called: str
) -> None:
    assert table_name(name, schema, default=default) == called
