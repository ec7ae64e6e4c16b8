"""A write-behind batch and its position, applied together on a connection that is given.

What must not be here: what a put, a patch or a delete is (`verbs`), beginning and committing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from cachewright.integrations.sqlalchemy import positions
from cachewright.integrations.sqlalchemy.table import Described, Row
from cachewright.integrations.sqlalchemy.verbs import Rows, Verbs
from cachewright.patterns.identities import Identity
from cachewright.patterns.sources import Change, Position, Unsavable


def apply(
    verbs: Verbs[Any], connection: sa.Connection, changes: Sequence[Change], *, position: Position
) -> bool:
    """Move the position and apply a batch; False, with nothing done, if it is not where it was expected.

    Deletes go first, since a put may take what a deleted row was unique in.
    """
    if not positions.advance(connection, position):
        return False
    puts: Rows = {}
    patches: Rows = {}
    deleted: list[Identity] = []
    described = verbs.described
    for change in changes:
        identity = described.identity(change.key)
        if change.kind == "delete":
            deleted.append(identity)
        elif change.kind == "put":
            puts[identity] = _of_key(described, identity, described.row(change.value))
        else:
            patches[identity] = described.patch(identity, change.value)
    if len({*deleted, *puts, *patches}) != len(changes):
        raise ValueError("a batch holds at most one change a key: merge them first")
    verbs.delete(connection, deleted)
    verbs.update_many(connection, patches)
    verbs.write(connection, puts)
    return True


def _of_key(described: Described, identity: Identity, row: Row) -> Row:
    if described.identity_in(row) not in (None, identity):
        raise Unsavable("a put whose value has another key than the change")
    return row
