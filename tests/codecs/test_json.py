"""JSON for interoperation: what it would change is refused at encode, with the remedy."""

from __future__ import annotations

import datetime as dt
import json
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.codecs.json import JsonCodec
from cachewright.errors import CodecError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**100), max_value=2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@dataclass
class User:
    id: int
    price: Decimal
    at: dt.datetime | None = None


@given(VALUES)
def test_every_json_value_comes_back_with_its_exact_types(value: Any) -> None:
    codec = JsonCodec()
    data = codec.encode(value)
    assert repr(codec.decode(data)) == repr(value)
    assert repr(json.loads(data)) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {None: 1},
        {1},
        b"x",
        float("nan"),
        float("inf"),
        Decimal(1),
        UUID(int=1),
        dt.date(2024, 1, 1),
        OrderedDict(a=1),
        User(1, Decimal(1)),
        1j,
        "\ud800",
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "wrap",
    [lambda v: v, lambda v: {"a": v}, lambda v: [None, {"b": [v]}], lambda v: {"n": None, "a": v}],
    ids=["bare", "dict", "nested", "beside null"],
)
def test_defect_4_a_value_that_json_would_change_is_refused(wrap: Any, value: Any) -> None:
    with pytest.raises(CodecError):
        JsonCodec().encode(wrap(value))


def test_the_refusal_names_the_remedy() -> None:
    with pytest.raises(CodecError, match=r"pass type=, or use codec=\"msgpack\""):
        JsonCodec().encode({"row": (1, 2)})


def test_a_typed_codec_gives_back_the_type_and_other_programs_read_it() -> None:
    codec = JsonCodec(list[User])
    users = [User(1, Decimal("1.10"), dt.datetime(2024, 1, 1, tzinfo=dt.UTC))]
    data = codec.encode(users)
    assert codec.decode(data) == users
    assert json.loads(data)[0]["price"] == "1.10"
    with pytest.raises(CodecError):
        codec.encode([{"id": 1, "price": "1.10"}])


def test_security_12_nesting_is_bounded_both_ways() -> None:
    codec = JsonCodec()
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    with pytest.raises(CodecError):
        codec.encode(value)
    with pytest.raises(CodecError):
        codec.decode(b"[" * 1_000_000)


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_raise_codec_errors_only(data: bytes) -> None:
    for codec in (JsonCodec(), JsonCodec(User)):
        try:
            codec.decode(data)
        except CodecError as error:
            assert str(error)  # noqa: PT017 - most inputs raise, a few are JSON
