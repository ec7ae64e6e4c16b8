"""Sizes as people write them."""

from __future__ import annotations

import pytest

from cachewright.errors import ConfigurationError
from cachewright.simulation import read_sizes


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("1", [1]),
        ("100, 2_000", [100, 2000]),
        ("1%,2.5%, 100 %", [10, 25, 1000]),
        ("0.01%", [1]),
        ("7,50%", [7, 500]),
    ],
)
def test_a_size_is_entries_or_a_share_of_the_keys(text: str, entries: list[int]) -> None:
    assert [size.entries(1000) for size in read_sizes(text)] == entries


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "holds nothing"),
        ("10,0%", "holds nothing"),
        ("-5", "is no size"),
        ("", "is no size"),
        ("10,,20", "is no size"),
        ("1e3", "is no size"),
        ("nan", "is no size"),
        ("ten", "is no size"),
        ("101%", "no more than 100%"),
        ("2.5", "entries are whole"),
    ],
)
def test_what_is_no_size_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        read_sizes(text)
