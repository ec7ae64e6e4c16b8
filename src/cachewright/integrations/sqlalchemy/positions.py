"""How far each partition of a queue has been applied, recorded in the transaction that applies it.

The row is the fence of write-behind: a worker that was frozen and overtaken finds another position than it expects and
changes nothing. What must not be here: what is applied.
"""

from __future__ import annotations

import sqlalchemy as sa

from cachewright.integrations.sqlalchemy.statements import MYSQL, has_inserted, inserting
from cachewright.patterns.sources import Position

TABLE = "cachewright_positions"

positions = sa.Table(
    TABLE,
    sa.MetaData(),
    sa.Column("queue", sa.String(190), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.String(64), nullable=False),
)
_OWN = (positions.c.queue == sa.bindparam("its_queue")) & (
    positions.c.partition == sa.bindparam("its_partition")
)
_READ = sa.select(positions.c.position).where(_OWN)
_MOVE = (
    sa.update(positions)
    .where(_OWN, positions.c.position == sa.bindparam("expected"))
    .values(position=sa.bindparam("last"))
)


def create(connection: sa.Connection) -> None:
    """Make the table if there is none."""
    positions.create(connection, checkfirst=True)


def read(connection: sa.Connection, queue: str, partition: int) -> str | None:
    """The recorded position, or None."""
    found = connection.execute(_READ, {"its_queue": queue, "its_partition": partition}).scalar()
    return None if found is None else str(found)


def advance(connection: sa.Connection, position: Position) -> bool:
    """Move from `expected` to `last`, and hold the row until the transaction ends; False if it is not there."""
    if position.expected is None:
        return _begin(connection, position)
    values = {"its_queue": position.queue, "its_partition": position.partition}
    moved = connection.execute(
        _MOVE, {**values, "expected": position.expected, "last": position.last}
    )
    return moved.rowcount == 1


def _begin(connection: sa.Connection, position: Position) -> bool:
    """The first record; of two workers that try, the second waits for the first and finds its row."""
    values = {
        "queue": position.queue,
        "partition": position.partition,
        "position": position.last,
    }
    key = [positions.c.queue, positions.c.partition]
    try:
        result = connection.execute(inserting(connection.dialect, positions, key), values)
        return has_inserted(connection.dialect, result)
    except sa.exc.IntegrityError:
        if connection.dialect.name not in MYSQL:
            raise
        return False
