"""Objects of declared classes come back as they were, under the schema that they were written with, or not at all."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cached_property
from types import ModuleType
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from cachewright.codecs import PayloadCodec, Sensitive
from cachewright.codecs.json import JsonCodec
from cachewright.codecs.msgpack import MsgpackCodec
from cachewright.codecs.schemas import fingerprint
from cachewright.errors import CodecError, ConfigurationError

PARIS = dt.datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))


class Level(Enum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: Decimal


@dataclass
class Address:
    street: str
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Order:
    id: UUID
    at: dt.datetime
    total: Decimal
    to: Address
    level: Level
    points: tuple[Point, ...] = ()
    made: int = field(default=0, init=False)


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: dt.datetime | None = None
    parent: Struct | None = None


class Doubling(msgspec.Struct):
    """Its constructor must not be run on what was stored."""

    n: int

    def __post_init__(self) -> None:
        self.n *= 2


@attrs.define
class Slotted:
    x: int
    inner: Address


@attrs.frozen(slots=False)
class Validated:
    x: int = attrs.field(converter=lambda x: x + 1)


class Model(pydantic.BaseModel):
    id: int
    name: str = "?"
    inner: Address | None = None
    others: list[Model] = []
    _seen: int = pydantic.PrivateAttr(default=0)


ORDER = Order(
    UUID(int=7), PARIS, Decimal("1.10"), Address("a", {"x"}), Level.HIGH, (Point(1, Decimal(2)),)
)
OBJECTS = [
    Address("a", {"b"}),
    ORDER,
    [ORDER, {"by": Address("b")}, (Address("c"),)],
    Struct(id=1, at=PARIS, parent=Struct(id=2)),
    Doubling(3),
    Slotted(1, Address("d")),
    Validated(1),
    Model(id=1, inner=Address("e"), others=[Model(id=2)]),
    Point(1, Decimal("0.1")),
    Level.LOW,
    {Level.LOW: Point(1, Decimal(1))},
]
CLASSES = (Address, Order, Struct, Doubling, Slotted, Validated, Model, Point, Level)


def codec(*classes: Any) -> MsgpackCodec:
    made = MsgpackCodec()
    for cls in classes:
        made.declare(cls)
    return made


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_objects_come_back_as_they_were_however_deep(value: Any) -> None:
    data = codec(*CLASSES).encode(value)
    back = codec(*CLASSES).decode(data)
    assert (type(back), back) == (type(value), value)


def test_zones_and_private_attributes_come_back_as_well() -> None:
    back = codec(Order).decode(codec(Order).encode(ORDER))
    assert back.at.tzinfo is PARIS.tzinfo
    model = Model(id=1)
    model._seen = 5
    assert codec(Model).decode(codec(Model).encode(model))._seen == 5


def test_what_a_class_mentions_is_declared_with_it() -> None:
    assert codec(Order).decode(codec(Order).encode([Address("x"), Level.LOW])) == [
        Address("x"),
        Level.LOW,
    ]


def test_a_class_that_is_not_declared_is_neither_written_nor_made() -> None:
    with pytest.raises(CodecError, match="declare it"):
        codec(Address).encode(Struct(id=1))
    with pytest.raises(CodecError, match="not declared"):
        codec().decode(codec(Address).encode(Address("x")))

    class Special(Address):
        """Undeclared, though its base is not."""

    with pytest.raises(CodecError, match="declare it"):
        codec(Address).encode(Special("x"))


def test_what_can_be_had_again_is_left_out_and_what_cannot_is_refused() -> None:
    @dataclass
    class Square:
        side: int

        @cached_property
        def area(self) -> int:
            return self.side**2

    square = Square(3)
    assert square.area == 9
    assert vars(codec(Square).decode(codec(Square).encode(square))) == {"side": 3}
    square.colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(CodecError, match="beyond its fields"):
        codec(Square).encode(square)
    half = object.__new__(Square)
    with pytest.raises(CodecError, match="incomplete"):
        codec(Square).encode(half)


def test_a_class_that_cannot_be_taken_apart_is_refused_with_the_remedy() -> None:
    class Handle:
        pass

    with pytest.raises(ConfigurationError, match="dataclass"):
        codec(Handle)
    with pytest.raises(ConfigurationError, match="dataclass"):
        codec(list[Handle])
    with pytest.raises(ConfigurationError, match="msgpack"):
        JsonCodec().declare(Address)


def test_an_orm_entity_is_refused_with_the_remedy() -> None:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Flight(Base):
        __tablename__ = "flights"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ConfigurationError, match="plain_row"):
        codec(Flight)


def test_security_16_a_sensitive_class_is_refused_without_a_sealer() -> None:
    @dataclass
    class Card:
        number: Annotated[str, Sensitive]

    payloads = PayloadCodec(MsgpackCodec())
    with pytest.raises(ConfigurationError, match="sealer"):
        payloads.declare(Card)
    with pytest.raises(ConfigurationError, match="sealer"):
        payloads.declare(list[Card])


# -------------------------------------------------------------------- schemas


def release(text: str, look: Callable[[Any], Any] = lambda cls: cls) -> Any:
    """The class `User` of one release of an application, or what `look` makes of it while that is running."""
    module = ModuleType("shop")
    sys.modules["shop"] = module
    try:
        exec("from __future__ import annotations\n" + text, vars(module))
        return look(module.User)
    finally:
        del sys.modules["shop"]


DATACLASS = "from dataclasses import dataclass\n@dataclass\n"
NEXT = {
    "renamed": ("id: int\n    name: str = ''", "id: int\n    alias: str = ''"),
    "added": ("id: int", "id: int\n    name: str = ''"),
    "removed": ("id: int\n    name: str = ''", "id: int"),
    "retyped": ("id: int", "id: float"),
    "reordered": ("a: int\n    b: int", "b: int\n    a: int"),
    "made optional": ("id: int", "id: int | None"),
}
VALUES = {"id": 1, "name": "Ada", "a": 1, "b": 2}
MAKERS = {
    "dataclass": (DATACLASS, ""),
    "struct": ("import msgspec\n", "(msgspec.Struct)"),
    "attrs": ("import attrs\n@attrs.define\n", ""),
    "pydantic": ("import pydantic\n", "(pydantic.BaseModel)"),
}


def releases(maker: str, change: str) -> tuple[Any, Any]:
    before, bases = MAKERS[maker]
    old, new = (release(f"{before}class User{bases}:\n    {body}\n") for body in NEXT[change])
    return old, new


@pytest.mark.parametrize("change", NEXT)
@pytest.mark.parametrize("maker", MAKERS)
def test_defect_98_an_object_of_another_schema_is_refused_and_no_crash(
    maker: str, change: str
) -> None:
    old, new = releases(maker, change)
    value = old(**{name: VALUES[name] for name in old.__annotations__})
    with pytest.raises(CodecError, match="schema"):
        codec(new).decode(codec(old).encode(value))


@pytest.mark.parametrize("change", ["renamed", "added"])
def test_defect_98_without_a_fingerprint_a_default_takes_the_place_of_what_was_stored(
    change: str,
) -> None:
    """The control: the naive codec decodes by type alone."""
    old, new = releases("dataclass", change)
    stored = msgspec.msgpack.encode(old(*[1, "Ada"][: len(old.__annotations__)]))
    back = msgspec.msgpack.decode(stored, type=new)
    assert back == new(1)  # no error, and no Ada


@pytest.mark.parametrize("change", NEXT)
@pytest.mark.parametrize("make", [MsgpackCodec, JsonCodec])
def test_a_codec_with_a_type_refuses_another_schema_as_well(
    make: Callable[..., Any], change: str
) -> None:
    old, new = releases("dataclass", change)
    data = make(old).encode(old(**{name: VALUES[name] for name in old.__annotations__}))
    if make is JsonCodec and change in ("reordered", "made optional", "added"):
        pytest.skip("JSON goes by names: nothing of the value is lost")
    with pytest.raises(CodecError):
        make(new).decode(data)


def test_a_change_in_a_nested_type_changes_the_fingerprint() -> None:
    def outer(body: str) -> bytes:
        inner = f"class Inner(TypedDict):\n    {body}\n"
        text = f"from typing import TypedDict\n{inner}{DATACLASS}class User:\n    of: list[Inner]\n"
        print_: bytes = release(text, fingerprint)
        return print_

    assert outer("a: int") == outer("a: int") != outer("a: str")


def test_metadata_of_a_type_changes_nothing_and_a_recursive_type_ends() -> None:
    assert fingerprint(Annotated[int, "x"]) == fingerprint(Annotated[int, "y"])
    assert fingerprint(Struct) == fingerprint(Struct)
    assert fingerprint(Literal["a"]) != fingerprint(Literal["b"])

    class Row(TypedDict):
        a: int

    assert fingerprint(Row) != fingerprint(dict[str, int])


FLEET = """
import sys, json
sys.path[:0] = json.loads(sys.argv[1])
from codecs_under_test import CLASSES, Row
from cachewright.codecs.schemas import fingerprint
print(json.dumps([fingerprint(cls).hex() for cls in (*CLASSES, dict[str, Row] | None, set[Row])]))
"""


def test_fingerprints_are_the_same_in_every_process(tmp_path: Any) -> None:
    (tmp_path / "codecs_under_test.py").write_text(
        "from __future__ import annotations\n"
        "import datetime as dt, enum\nfrom dataclasses import dataclass\nfrom typing import *\nimport msgspec\n"
        "class E(enum.Enum):\n    B = 1\n    A = 2\n"
        "@dataclass(frozen=True)\nclass Row:\n    a: int | None\n    b: dict[str, set[E]]\n    c: Callable[[int], str]\n"
        "class S(msgspec.Struct):\n    r: list[Row]\n    l: Literal['x', 'y']\n    s: S | None = None\n"
        "CLASSES = (E, Row, S)\n"
    )
    seen = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", FLEET, json.dumps([str(tmp_path), *sys.path])],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_security_10_bytes_that_are_no_object_are_an_error_of_the_codec() -> None:
    good = codec(*CLASSES)
    for value in OBJECTS:
        data = good.encode(value)
        for n in range(len(data)):
            broken = data[:n] + bytes([data[n] ^ 0x55]) + data[n + 1 :]
            for bad in (broken, data[:n]):
                with contextlib.suppress(CodecError):
                    good.decode(bad)
