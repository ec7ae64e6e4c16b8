"""Rows and entities as plain data: the loaded columns, and nothing that belongs to a session."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
)

from cachewright import Cache, Unstorable
from cachewright.objects import plain_row


class Base(DeclarativeBase):
    pass


class Airport(Base):
    __tablename__ = "airports"
    code: Mapped[str] = mapped_column(primary_key=True)


class Flight(Base):
    __tablename__ = "flights"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column("flight_number")
    notes: Mapped[str] = mapped_column(deferred=True)
    origin_code: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    origin: Mapped[Airport] = relationship()


@pytest.fixture
def session() -> Any:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        origin = Airport(code="JFK")
        session.add(Flight(id=7, number="B6", notes="long", origin=origin))
        session.commit()
        session.expunge_all()
        yield session
    engine.dispose()


def test_an_entity_is_its_loaded_columns_and_nothing_is_loaded_for_it(session: Any) -> None:
    flight = session.get(Flight, 7)
    assert flight.origin.code == "JFK"
    row = plain_row(flight)
    assert row == {"id": 7, "number": "B6", "origin_code": "JFK"}
    with Cache() as cache:
        assert cache.set("flight:7", row)


def test_rows_of_a_statement_are_all_of_their_columns(session: Any) -> None:
    row = session.execute(select(Flight.id, Flight.number)).one()
    assert plain_row(row) == {"id": 7, "number": "B6"}
    assert all(type(name) is str for name in plain_row(row))


def test_rows_of_sqlite_and_named_tuples_and_mappings() -> None:
    class Point(NamedTuple):
        x: int
        y: int

    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    row = database.execute("SELECT 1 AS x, 2 AS y").fetchone()
    assert (
        plain_row(row) == plain_row(Point(1, 2)) == plain_row({"x": 1, "y": 2}) == {"x": 1, "y": 2}
    )
    database.close()


@pytest.mark.parametrize("other", [object(), 7, "text", [1], None])
def test_what_is_no_row_is_refused(other: Any) -> None:
    with pytest.raises(Unstorable):
        plain_row(other)
