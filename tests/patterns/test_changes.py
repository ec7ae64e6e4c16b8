"""Queued changes as values: versions, logs, merging, coalescing, pauses, and which errors speak of the source."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.keys import as_key
from cachewright.core.tags import row_tag, user_tag
from cachewright.errors import CodecError, ConfigurationError
from cachewright.patterns.changes import (
    CODES,
    KINDS,
    coalesce,
    is_outage,
    matches_of,
    merge,
    numbers_of,
    pause,
    queued,
    records,
    row_tag_of,
    version_of,
)
from cachewright.patterns.naming import row_key
from cachewright.patterns.sources import Change
from cachewright.types import ABSENT

IDS = st.tuples(st.integers(0, 10**15 - 1), st.integers(0, 10**10 - 1))


@given(IDS, IDS)
def test_versions_compare_as_the_ids_they_stand_for(one: Any, other: Any) -> None:
    texts = [version_of(f"{ms}-{seq}".encode()) for ms, seq in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)
    assert numbers_of(texts[0]) == one


@pytest.mark.parametrize("nonsense", [b"", b"1", b"a-b", b"1-2-3", b"-1-0", b"1-1\n"])
def test_what_is_no_id_has_no_version(nonsense: bytes) -> None:
    with pytest.raises(CodecError):
        version_of(nonsense)


def change(kind: int, *texts: bytes) -> bytes:
    return bytes([kind]) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def test_an_entry_is_read_with_where_it_was_first() -> None:
    fields = [
        b"v",
        change(2, b"users:1", b"id", b"x"),
        b"o",
        b"5-1",
        b"c",
        b"why",
        b"n",
        b"3",
    ]
    entry = queued([b"9-0", fields])
    assert (entry.id, entry.version, entry.kind) == (b"9-0", version_of(b"5-1"), "patch")
    assert (entry.name, entry.cause, entry.deliveries) == ("users:1", "why", 3)
    assert (entry.identity, entry.data) == (b"id", b"x")


@pytest.mark.parametrize(
    "reply",
    [
        *(None, [], [b"1-0"], [b"1-0", None], [b"1-0", [b"v"]], [b"1-0", [b"n", b"7"]]),
        *(
            [b"1-0", [b"v", data]]
            for data in (
                b"",
                change(1, b"k", b""),
                change(1, b"k", b"", b"x")[:-1],
                change(1, b"k", b"", b"x") + b"x",
                change(7, b"k", b"", b"x"),
                change(1, b"\xff", b"", b"x"),
            )
        ),
    ],
)
def test_an_entry_that_makes_no_sense_is_told_as_such(reply: Any) -> None:
    with pytest.raises(CodecError):
        queued(reply)


def test_a_log_is_read_in_its_order() -> None:
    log = struct.pack("<QIBI", 5, 1, 1, 3) + b"abc" + struct.pack("<QIBI", 5, 2, 2, 0)
    assert [(r.version, r.kind, r.data) for r in records(log)] == [
        (version_of(b"5-1"), "put", b"abc"),
        (version_of(b"5-2"), "patch", b""),
    ]
    with pytest.raises(CodecError):
        list(records(log + b"x"))
    assert {CODES[kind]: kind for kind in KINDS.values()} == {1: "put", 2: "patch", 3: "delete"}


@dataclass(frozen=True)
class Point:
    x: int
    y: int


class Pair(msgspec.Struct):
    x: int
    y: int


def test_a_patch_changes_mappings_dataclasses_and_structs_into_new_values() -> None:
    value = {"x": 1, "y": 2}
    assert merge(value, {"y": 3}) == {"x": 1, "y": 3}
    assert value == {"x": 1, "y": 2}
    assert merge(Point(1, 2), {"y": 3}) == Point(1, 3)
    assert merge(Pair(1, 2), {"y": 3}) == Pair(1, 3)
    assert merge(ABSENT, {"y": 3}) is ABSENT
    with pytest.raises(ConfigurationError, match="merge"):
        merge("text", {"y": 3})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(st.sampled_from("abc"), st.integers())),
        st.tuples(st.just("patch"), st.dictionaries(st.sampled_from("abc"), st.integers())),
        st.tuples(st.just("delete"), st.none()),
    ),
    min_size=1,
)


def apply(row: dict[str, int] | None, kind: str, value: Any) -> dict[str, int] | None:
    if kind == "put":
        return dict(value)
    if kind == "delete":
        return None
    return None if row is None else {**row, **value}


@given(st.one_of(st.none(), st.dictionaries(st.sampled_from("abcd"), st.integers())), STEPS)
def test_one_change_does_what_all_of_them_would_have_done(row: Any, steps: Any) -> None:
    one, expected = None, row
    for n, (kind, value) in enumerate(steps):
        expected = apply(expected, kind, value)
        one = coalesce(one, Change(1, kind, value, str(n)))
    assert one is not None
    assert apply(row, one.kind, one.value) == expected
    assert one.version == str(len(steps) - 1)


def test_pauses_double_up_to_their_limit_and_keep_apart() -> None:
    assert [pause(n, first=1, most=10, draw=1.0) for n in range(6)] == [1, 2, 4, 8, 10, 10]
    assert pause(3, first=1, most=10, draw=0.0) == 4
    assert pause(10**6, first=1, most=10, draw=1.0) == 10


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (sqlite3.OperationalError("database is locked"), True),
        (sa.exc.OperationalError("", {}, Exception()), True),
        (sa.exc.TimeoutError("QueuePool limit"), True),
        (sa.exc.DBAPIError("", {}, Exception(), connection_invalidated=True), True),
        (sqlite3.IntegrityError(), False),
        (sa.exc.DataError("", {}, Exception()), False),
        (ValueError(), False),
    ],
    ids=repr,
)
def test_which_errors_speak_of_the_source_and_not_of_the_change(error: Any, away: bool) -> None:
    assert is_outage(error) is away


def test_the_tag_of_a_row_leaves_out_whose_it_is() -> None:
    assert row_tag_of("users:1") == "t:row:users:1"
    assert row_tag_of("tenant|users:1") == "t:row:users:1"
    assert row_tag_of("tenant|people:1:A", "t:table:users") == "t:row:users:1:A"
    assert matches_of("t:table:users") == "t:matches:users"
    for part in (7, "a:b", "|", "é"):
        name = as_key(row_key("a table", part))
        assert row_tag_of(name) == user_tag(row_tag("a table", part))
