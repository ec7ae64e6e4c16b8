"""What the patterns call their things: rows, tags, and names of their own on the server that nothing else spells."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cachewright import ConfigurationError
from cachewright.core.keys import KeySpace, as_key, own_key
from cachewright.patterns.naming import (
    checked_name,
    dirty_tags,
    row_key,
    row_tags,
    server_name,
    table_of,
)


class Quoted(str):
    """A string of some product's own, as SQLAlchemy's names of tables are."""

    __slots__ = ()

    def __str__(self) -> str:
        return "quoted"


def test_a_row_is_spelled_by_its_source_and_all_parts_of_its_identity() -> None:
    assert row_key("seats", (7, "A")) == ("seats", 7, "A")
    assert row_tags("seats", (7, "A")) == ["row:seats:7:A", "rows:seats"]
    assert row_tags("users", 7) == ["row:users:7", "rows:users"]


def test_a_name_of_a_products_own_type_is_taken_as_its_text() -> None:
    name = checked_name(Quoted("users"))
    assert (type(name), name) == (str, "users")
    assert as_key(row_key(Quoted("users"), 1)) == "users:1"
    assert row_tags(Quoted("users"), 1) == ["row:users:1", "rows:users"]


@pytest.mark.parametrize("name", ["", None, 7])
def test_rows_without_a_name_are_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match="a source needs a name"):
        checked_name(name)


def test_names_on_the_server_spell_no_entry_lease_stamp_or_tag() -> None:
    keys = KeySpace("shop")
    for name in ("users", "lists of ü", "x" * 600):
        ours = {server_name(keys, kind, name) for kind in ("in-use", "existing")}
        theirs = {keys.entry(name), keys.lease(name), keys.tag("k:" + name), keys.tag(name)}
        assert len(ours) == 2
        assert not ours & theirs
        assert all(each.startswith("shop:") for each in ours)
    assert server_name(keys, "in-use", "users") == "shop:in-use:{users}"


def test_jobs_of_different_words_are_different_jobs() -> None:
    assert own_key("leader", "warm", "a:b") != own_key("leader", "warm", "a", "b")


class People:
    """A source whose name is not its table's."""

    name = "people"
    table_name = "users"


def test_tags_call_a_source_by_its_table() -> None:
    assert table_of(People()) == "users"
    assert table_of(SimpleNamespace(name=Quoted("users"))) == "users"


def test_a_write_of_rows_also_moves_what_was_made_from_rows_with_a_value() -> None:
    assert dirty_tags("users", [7]) == ["row:users:7", "matches:users", "table:users"]
