"""Keys of a dict that are a text of some product, such as the names of columns in SQLAlchemy's rows."""

from __future__ import annotations

import enum

import pytest

from cachewright import CodecError
from cachewright.codecs.msgpack import MsgpackCodec


class ColumnName(str):
    """As SQLAlchemy calls columns."""

    __slots__ = ()


class Colour(enum.StrEnum):
    RED = "red"


def test_a_key_that_is_a_products_own_text_comes_back_as_its_text() -> None:
    codec = MsgpackCodec()
    row = {ColumnName("id"): 7, ColumnName("tags"): [{ColumnName("name"): "x"}]}
    back = codec.decode(codec.encode(row))
    assert back == row
    assert {type(key) for key in [*back, *back["tags"][0]]} == {str}


def test_a_member_of_an_enum_is_more_than_its_text() -> None:
    with pytest.raises(CodecError):
        MsgpackCodec().encode({Colour.RED: 1})
    with pytest.raises(CodecError):
        MsgpackCodec().encode({"name": ColumnName("a value is not looked up")})
