"""Which tags an entry with too many gives up, and for which tables."""

from __future__ import annotations

from cachewright.core.overflow import collapsed, groups, table_of, to_collapse
from cachewright.core.tags import row_tag, rows_tag, table_tag, user_tag


def rows(table: str, count: int) -> dict[str, bytes]:
    tags = [*(row_tag(table, n) for n in range(count)), rows_tag(table)]
    return {user_tag(tag): b"1" for tag in tags}


def test_the_table_of_a_tag_is_the_one_that_its_speller_wrote() -> None:
    for name in ("flights", "shop.orders", "a:b", "7", "ünïcode", "x y"):
        assert user_tag(f"table:{table_of(user_tag(row_tag(name, 7, 'a:b')))}") == user_tag(
            table_tag(name)
        )
    assert table_of("t:match:flights:origin=s~JFK") == "flights"
    for other in (
        "n:",
        "t:rows:flights",
        "t:table:flights",
        "k:row:flights:7",
        "t:row:",
        "t:rowing",
    ):
        assert table_of(other) is None


def test_a_tag_without_its_companion_is_nobodys_row() -> None:
    mine = {user_tag(f"row:{n}:mine"): b"1" for n in range(10)}
    assert groups(mine) == {}
    assert to_collapse(mine, 5) is None


def test_the_table_with_most_rows_goes_first_and_no_more_than_must() -> None:
    stamps = rows("a", 10) | rows("b", 30) | {"n:": b"0"}
    assert to_collapse(stamps, 100) == {}
    gone = to_collapse(stamps, 20)
    assert gone is not None
    assert list(gone) == ["t:table:b"]
    left = collapsed(stamps, gone, {"t:table:b": b"9"})
    assert left is not None
    assert set(left) == set(rows("a", 10)) | {"n:", "t:rows:b", "t:table:b"}
    assert set(to_collapse(stamps, 6) or ()) == {"t:table:a", "t:table:b"}
    assert to_collapse(stamps, 4) is None


def test_a_table_that_is_there_already_must_have_the_same_stamp() -> None:
    stamps = rows("a", 10) | {"t:table:a": b"old"}
    gone = to_collapse(stamps, 5) or {}
    assert collapsed(stamps, gone, {"t:table:a": b"new"}) is None
    assert collapsed(stamps, gone, {"t:table:a": b"old"}) == {"t:rows:a": b"1", "t:table:a": b"old"}


def test_matches_go_as_rows_do() -> None:
    stamps = {f"t:match:a:x={n}": b"1" for n in range(10)} | {"t:matches:a": b"1"}
    assert list(to_collapse(stamps, 5) or ()) == ["t:table:a"]
