"""Random writes to random tables: by unit of work, bulk statements, Core, text; within savepoints that are kept or not.

What must not be here: ending transactions, queries.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rig.random_queries import Asker, as_text
from rig.random_schemas import Mapped, Schema, row, value


class Scribbler:
    """Draws writes and runs them in a session. `old`: sessions that keep objects, which go stale meanwhile."""

    def __init__(self, schema: Schema, draw: random.Random) -> None:
        self._schema = schema
        self._draw = draw
        self._asker = Asker(schema, draw)

    def write(self, session: Session) -> None:
        """A few writes; what the database refuses is taken back by its savepoint."""
        for _ in range(self._draw.randint(1, 3)):
            with suppress(
                sa.exc.IntegrityError,
                sa.exc.InvalidRequestError,
                sa.orm.exc.StaleDataError,
                sa.orm.exc.FlushError,
            ):
                nested = session.begin_nested()
                try:
                    self._one(session)
                    session.flush()
                except BaseException:
                    nested.rollback()
                    raise
                if self._draw.random() < 0.2:
                    nested.rollback()
                else:
                    nested.commit()

    def _one(self, session: Session) -> None:
        how = self._draw.choice(
            [self._change, self._change, self._change, self._add, self._add, self._remove, self._bulk_update, self._bulk_delete,
             self._core_insert, self._core_update, self._text, self._many, self._merge, self._from_select, self._upsert]
        )  # fmt: skip
        how(session, self._draw.choice(self._schema.tables))

    def _some(self, session: Session, mapped: Mapped) -> Any:
        """An object: one that the session has, which may be older than its row, or one that is read now."""
        held: list[Any] = [
            each for each in session.identity_map.values() if type(each) is mapped.entity
        ]
        if held and self._draw.random() < 0.6:
            return self._draw.choice(held)
        found: Any = session.scalars(sa.select(mapped.entity).limit(20)).all()
        return self._draw.choice(found) if found else None

    def _change(self, session: Session, mapped: Mapped) -> None:
        found = self._some(session, mapped)
        if found is not None:
            for column in self._draw.sample(mapped.others, self._draw.randint(1, 2)):
                setattr(found, column.name, value(self._draw, column))

    def _add(self, session: Session, mapped: Mapped) -> None:
        new = mapped.entity()
        for name, each in row(self._draw, mapped, with_key=self._draw.random() < 0.5).items():
            setattr(new, name, each)
        session.add(new)

    def _remove(self, session: Session, mapped: Mapped) -> None:
        found = self._some(session, mapped)
        if found is not None:
            session.delete(found)

    def _merge(self, session: Session, mapped: Mapped) -> None:
        new = mapped.entity()
        for name, each in row(self._draw, mapped).items():
            setattr(new, name, each)
        session.merge(new)

    def _set(self, mapped: Mapped) -> dict[str, Any]:
        columns = self._draw.sample(mapped.others, self._draw.randint(1, 2))
        return {column.name: value(self._draw, column) for column in columns}

    def _by_key(self, mapped: Mapped) -> Any:
        return sa.and_(*(column == value(self._draw, column) for column in mapped.key))

    def _bulk_update(self, session: Session, mapped: Mapped) -> None:
        how = self._draw.choice(["auto", "fetch", False])
        session.execute(
            sa.update(mapped.entity).where(self._asker._where(mapped)).values(self._set(mapped)),
            execution_options={"synchronize_session": how},
        )

    def _bulk_delete(self, session: Session, mapped: Mapped) -> None:
        session.execute(
            sa.delete(mapped.entity).where(self._by_key(mapped)),
            execution_options={"synchronize_session": False},
        )

    def _core_insert(self, session: Session, mapped: Mapped) -> None:
        session.execute(
            sa.insert(mapped.table).values(
                row(self._draw, mapped, with_key=self._draw.random() < 0.5)
            )
        )

    def _core_update(self, session: Session, mapped: Mapped) -> None:
        session.connection().execute(
            sa.update(mapped.table).where(self._by_key(mapped)).values(self._set(mapped))
        )

    def _many(self, session: Session, mapped: Mapped) -> None:
        rows = [row(self._draw, mapped, with_key=False) for _ in range(self._draw.randint(2, 5))]
        if self._draw.random() < 0.5:
            session.execute(sa.insert(mapped.entity), rows)
        else:
            session.bulk_insert_mappings(sa.inspect(mapped.entity), rows)

    def _from_select(self, session: Session, mapped: Mapped) -> None:
        if not mapped.has_one_key:
            return
        names = [c.name for c in mapped.others if not c.unique]
        some = (
            sa.select(*(mapped.table.c[name] for name in names))
            .where(self._asker._where(mapped))
            .limit(3)
        )
        session.execute(sa.insert(mapped.table).from_select(names, some, include_defaults=False))

    def _upsert(self, session: Session, mapped: Mapped) -> None:
        insert: Any
        if session.get_bind().dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert
        statement = insert(mapped.table).values(row(self._draw, mapped))
        names = [column.name for column in mapped.key]
        session.execute(
            statement.on_conflict_do_update(index_elements=names, set_=self._set(mapped))
        )

    def _text(self, session: Session, mapped: Mapped) -> None:
        dialect = session.get_bind().dialect
        quote = dialect.identifier_preparer.quote
        column = self._draw.choice(mapped.others)
        where = self._asker._where(mapped)
        text = as_text(where, dialect)
        verb = f"UPDATE {mapped.table.name} SET {quote(column.name)} = :new WHERE {text}"
        if self._draw.random() < 0.15:
            session.execute(sa.text(f"DELETE FROM {mapped.table.name} WHERE {text}"))
            return
        new = sa.bindparam("new", value(self._draw, column), type_=column.type)
        session.execute(sa.text(verb).bindparams(new))
