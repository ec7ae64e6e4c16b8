"""Results of unusual shape: elements without names, objects made of NULL, lists that are given at execution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
    with_polymorphic,
)

from cachewright import Cache
from cachewright.integrations.sqlalchemy import QueryCache

ON: Any = {"execution_options": {"cache": 60}}


class Base(DeclarativeBase):
    """All tables of the garage."""


class Money:
    """What a column makes of its cents, also of none."""

    def __init__(self, cents: int | None) -> None:
        self.cents = cents


class Cents(sa.types.TypeDecorator[Money]):
    """Money as an integer; NULL is money that nobody has counted."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: Any) -> int | None:
        return None if value is None else value.cents

    def process_result_value(self, value: int | None, dialect: Any) -> Money:
        return Money(value)


class Vehicle(Base):
    __tablename__ = "vehicle"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    price: Mapped[Money | None] = mapped_column(Cents)
    wheels: Mapped[list[Wheel]] = relationship(order_by="Wheel.id")


class Lorry(Vehicle):
    __tablename__ = "lorry"
    __mapper_args__ = {"polymorphic_identity": "lorry"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(sa.ForeignKey("vehicle.id"), primary_key=True)
    tons: Mapped[int]


class Wheel(Base):
    __tablename__ = "wheel"

    id: Mapped[int] = mapped_column(primary_key=True)
    vehicle_id: Mapped[int] = mapped_column(sa.ForeignKey("vehicle.id"))


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Any]:
    """Sessions over two vehicles, whose queries are cached."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'garage.db'}")
    Base.metadata.create_all(engine)
    made = sessionmaker(engine)
    with made.begin() as session:
        session.add(Vehicle(id=1, price=Money(5), wheels=[Wheel(id=1)]))
        session.add(Lorry(id=2, tons=7, price=None, wheels=[Wheel(id=2), Wheel(id=3)]))
    QueryCache(Cache()).attach(made)
    yield made
    engine.dispose()


def test_an_element_of_a_row_need_not_have_a_name(sessions: Any) -> None:
    every = with_polymorphic(Vehicle, "*")
    one = sa.select(every).order_by(every.id)
    two = sa.select(every, every.kind).order_by(every.id)
    none = sa.select(every).where(every.id == 99)
    for _ in range(2):
        with sessions() as session:
            assert [getattr(v, "tons", None) for v in session.scalars(one, **ON)] == [None, 7]
            assert [(v.id, kind) for v, kind in session.execute(two, **ON)] == [
                (1, "vehicle"),
                (2, "lorry"),
            ]
            assert session.scalars(none, **ON).all() == []


def test_what_a_type_makes_of_null_is_made_on_a_hit_too(sessions: Any) -> None:
    question = sa.select(Vehicle.price).order_by(Vehicle.id)
    for _ in range(2):
        with sessions() as session:
            assert [each.cents for each in session.scalars(question, **ON)] == [5, None]


def test_a_list_may_be_given_at_execution(sessions: Any) -> None:
    question = sa.select(Vehicle.id).where(Vehicle.id.in_(sa.bindparam("ids", expanding=True)))
    for ids in ([1], [2, 1], [], [1]):
        with sessions() as session:
            assert sorted(session.scalars(question, {"ids": ids}, **ON)) == sorted(ids)
    with sessions() as session:
        session.execute(sa.delete(Vehicle).where(Vehicle.id == 1))
        session.commit()
    with sessions() as session:
        assert session.scalars(question, {"ids": [1]}, **ON).all() == []


def test_a_statement_that_is_not_cached_loads_its_relationships(sessions: Any) -> None:
    question = sa.select(Vehicle, sa.func.random()).options(selectinload(Vehicle.wheels))
    with sessions() as session:
        rows = session.execute(question.order_by(Vehicle.id), **ON).all()
        assert [[wheel.id for wheel in vehicle.wheels] for vehicle, _ in rows] == [[1], [2, 3]]
