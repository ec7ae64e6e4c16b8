"""Random SELECTs over random tables: joins, aggregates, CTEs, IN, ranges, NULLs; in ORM, Core and text.

The order of rows is open, so whoever compares sorts them. What must not be here: executing them.
"""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from rig.random_schemas import Mapped, Schema, value


def as_text(made: Any, dialect: sa.Dialect) -> str:
    """A statement or a condition with its values in it, for `sa.text`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # comparisons with NULL are meant
        text = str(made.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    if dialect.paramstyle in ("format", "pyformat"):
        text = text.replace("%%", "%")
    return text.replace(":", "\\:")


class Asker:
    """Draws statements."""

    def __init__(self, schema: Schema, draw: random.Random) -> None:
        self._schema = schema
        self._draw = draw

    def statement(self, dialect: sa.Dialect) -> Any:
        """Any."""
        made = self._draw.choice(
            [self._entities, self._by_key, self._columns, self._columns, self._joined, self._joined, self._aggregate,
             self._grouped, self._cte, self._membership, self._exists, self._union, self._derived, self._scalar]
        )()  # fmt: skip
        if self._draw.random() < 0.3:
            return self._as_text(made, dialect)
        return made

    def _as_text(self, made: Any, dialect: sa.Dialect) -> Any:
        text = as_text(made, dialect)
        schema = "main" if dialect.name == "sqlite" else "public"
        spelled = self._draw.choice([r"\1", r'"\1"', rf"{schema}.\1", rf'{schema}."\1"'])
        text = re.sub(r"(?<=FROM )(t\d)\b", spelled, text)
        noise = self._draw.choice(["", "/* FROM nothing */ ", "-- JOIN t9\n"])
        return sa.text(noise + text)

    # ------------------------------------------------------------ predicates

    def _any(self) -> Mapped:
        return self._draw.choice(self._schema.tables)

    def _condition(self, of: Any, columns: list[Any], depth: int = 0) -> Any:
        draw = self._draw
        if depth < 2 and draw.random() < 0.35:
            word = draw.choice([sa.and_, sa.and_, sa.or_])
            return word(
                self._condition(of, columns, depth + 1), self._condition(of, columns, depth + 1)
            )
        column = draw.choice(columns)
        own = of[column.name]
        kind = draw.random()
        if kind < 0.5:
            return own == (value(draw, column))
        if kind < 0.65:
            return own.in_([value(draw, column) for _ in range(draw.randint(1, 4))])
        if kind < 0.75:
            return own.is_(None)
        if kind < 0.85:
            low = value(draw, column)
            return own.isnot(None) if low is None else own > low
        if kind < 0.92:
            low, high = value(draw, column), value(draw, column)
            return own.between(low, high)
        return sa.not_(own == value(draw, column))

    def _where(self, mapped: Mapped, of: Any = None) -> Any:
        table = mapped.table.c if of is None else of
        columns = list(mapped.table.columns)
        if self._draw.random() < 0.3:
            column = self._draw.choice(mapped.key)
            return table[column.name] == value(self._draw, column)
        return self._condition(table, columns)

    # ------------------------------------------------------------ shapes

    def _entities(self) -> Any:
        mapped = self._any()
        return sa.select(mapped.entity).where(self._where(mapped))

    def _by_key(self) -> Any:
        mapped = self._any()
        return sa.select(mapped.entity).where(*(c == value(self._draw, c) for c in mapped.key))

    def _columns(self) -> Any:
        mapped = self._any()
        columns = self._draw.sample(list(mapped.table.columns), 2)
        found = sa.select(*columns).where(self._where(mapped))
        return found.distinct() if self._draw.random() < 0.2 else found

    def _joined(self) -> Any:
        one, other = self._any(), self._any()
        left, right = one.table, other.table.alias("other")
        pairs = [
            (a, b)
            for a in left.c
            for b in right.c
            if isinstance(a.type, sa.Integer) and isinstance(b.type, sa.Integer)
        ]
        a, b = self._draw.choice(pairs)
        on = a == b
        if self._draw.random() < 0.4:
            on = sa.and_(on, self._where(other, right.c))
        joined = left.join(right, on, isouter=self._draw.random() < 0.5)
        found = sa.select(a, b, self._draw.choice(list(right.c)).label("third")).select_from(joined)
        if self._draw.random() < 0.2:
            found = sa.select(a, b.label("b2")).where(on)  # a comma join
        return found.where(self._where(one)) if self._draw.random() < 0.7 else found

    def _aggregate(self) -> Any:
        mapped = self._any()
        return (
            sa.select(sa.func.count(), sa.func.max(mapped.others[0]))
            .select_from(mapped.table)
            .where(self._where(mapped))
        )

    def _grouped(self) -> Any:
        mapped = self._any()
        by = self._draw.choice(mapped.others)
        found = sa.select(by, sa.func.count().label("many")).where(self._where(mapped)).group_by(by)
        return found.having(sa.func.count() > 1) if self._draw.random() < 0.3 else found

    def _cte(self) -> Any:
        mapped, other = self._any(), self._any()
        own = (
            sa.select(mapped.table.c.n0.label("n"))
            .where(self._where(mapped))
            .cte(self._draw.choice(["own", other.table.name + "x"]))
        )
        return sa.select(other.table.c.n0, own.c.n).join(own, own.c.n == other.table.c.n0)

    def _membership(self) -> Any:
        mapped, other = self._any(), self._any()
        inner = sa.select(aliased(other.table, name="inner_").c.n0)
        column = mapped.table.c.n0
        return sa.select(column).where(
            column.in_(inner)
            if self._draw.random() < 0.6
            else column.not_in(inner.where(sa.literal_column("inner_.n0").isnot(None)))
        )

    def _exists(self) -> Any:
        mapped, other = self._any(), self._any()
        twin = other.table.alias("twin")
        there = sa.exists().where(twin.c.n0 == mapped.table.c.n0, self._where(other, twin.c))
        return sa.select(mapped.entity).where(there if self._draw.random() < 0.7 else ~there)

    def _union(self) -> Any:
        one, other = self._any(), self._any()
        word = self._draw.choice([sa.union, sa.union_all, sa.except_, sa.intersect])
        return word(
            sa.select(one.table.c.n0).where(self._where(one)),
            sa.select(other.table.c.n0).where(self._where(other)),
        )

    def _derived(self) -> Any:
        mapped = self._any()
        inner = (
            sa.select(mapped.table.c.n0, mapped.table.c.word)
            .where(self._where(mapped))
            .subquery("derived")
        )
        return sa.select(inner.c.word, sa.func.count(inner.c.n0)).group_by(inner.c.word)

    def _scalar(self) -> Any:
        mapped, other = self._any(), self._any()
        twin = other.table.alias("twin")
        inner = (
            sa.select(sa.func.count())
            .select_from(twin)
            .where(twin.c.n0 == mapped.table.c.n0)
            .scalar_subquery()
        )
        return sa.select(mapped.table.c.n0, inner.label("many")).where(self._where(mapped))
