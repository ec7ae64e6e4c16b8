"""Tables that a source meets: defaults, triggers, composite and UUID keys, names that differ from their columns.

What must not be here: servers, tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables of the shop."""


class Article(Base):
    """`slug` is made by a trigger, `stock` and `created` by defaults; `label` is the column `title`."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column("title", sa.String(100))
    slug: Mapped[str | None] = mapped_column(sa.String(100))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2), server_default="9.50")
    stock: Mapped[int] = mapped_column(default=3)
    created: Mapped[datetime] = mapped_column(sa.DateTime, server_default=sa.func.now())
    password: Mapped[str | None] = mapped_column(sa.String(100))
    version: Mapped[int] = mapped_column(server_default="1")


class Leg(Base):
    """A composite key whose order is not that of its columns."""

    __tablename__ = "leg"
    __table_args__ = (sa.PrimaryKeyConstraint("flight", "day"),)

    day: Mapped[date] = mapped_column(sa.Date)
    flight: Mapped[str] = mapped_column(sa.String(20))
    seats: Mapped[int | None] = mapped_column()


class Parcel(Base):
    """A UUID key that Python makes, and a column that an update sets by itself."""

    __tablename__ = "parcel"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    place: Mapped[str] = mapped_column(sa.String(20))
    moves: Mapped[str | None] = mapped_column(sa.String(20), onupdate="moved")


class Airport(Base):
    """Padded text as a key, and a second unique column."""

    __tablename__ = "airport"

    code: Mapped[str] = mapped_column(sa.CHAR(4), primary_key=True)
    city: Mapped[str] = mapped_column(sa.String(20), unique=True)


@dataclass(frozen=True)
class Shown:
    """What a page shows of an article."""

    id: int
    label: str
    slug: str | None = None
    version: int | None = None


TRIGGERS = {
    "postgresql": [
        """CREATE OR REPLACE FUNCTION make_slug() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN NEW.slug := lower(NEW.title); RETURN NEW; END $$""",
        "CREATE TRIGGER slug BEFORE INSERT OR UPDATE ON article FOR EACH ROW EXECUTE FUNCTION make_slug()",
    ],
    "sqlite": [
        """CREATE TRIGGER slug_i AFTER INSERT ON article
           BEGIN UPDATE article SET slug = lower(NEW.title) WHERE id = NEW.id; END""",
        """CREATE TRIGGER slug_u AFTER UPDATE OF title ON article
           BEGIN UPDATE article SET slug = lower(NEW.title) WHERE id = NEW.id; END""",
    ],
    "mysql": [
        "CREATE TRIGGER slug_i BEFORE INSERT ON article FOR EACH ROW SET NEW.slug = LOWER(NEW.title)",
        "CREATE TRIGGER slug_u BEFORE UPDATE ON article FOR EACH ROW SET NEW.slug = LOWER(NEW.title)",
    ],
}


def build(connection: sa.Connection) -> None:
    """Make the tables and triggers, empty."""
    clear(connection)
    Base.metadata.create_all(connection)
    for statement in TRIGGERS[connection.dialect.name.replace("mariadb", "mysql")]:
        connection.exec_driver_sql(statement)


def clear(connection: sa.Connection) -> None:
    """Remove them."""
    Base.metadata.drop_all(connection)
    connection.execute(sa.text("DROP TABLE IF EXISTS cachewright_positions"))
