"""What a session has done in its transaction, as far as reading from the cache depends on it.

What must not be here: engines' events, results.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

USED = "cachewright_connections"
"""Under which name a session's `info` has the connections of its transaction."""


def note_transaction(session: Session, transaction: Any) -> None:
    """A transaction has begun in the session; it has no connection yet."""
    if transaction.parent is None:
        session.info[USED] = []


def note_connection(session: Session, connection: sa.Connection) -> None:
    """The session's transaction uses the connection."""
    used = session.info.setdefault(USED, [])
    if connection not in used:
        used.append(connection)


def note_end(session: Session, transaction: Any) -> None:
    """The transaction has ended."""
    if transaction.parent is None:
        session.info.pop(USED, None)


def has_changes(session: Session) -> str:
    """Why the session must see its own changes; "" if it has none."""
    if session.identity_map.check_modified() or session.new or session.deleted:
        return "the session has changes that are not written"
    return ""


def connected(session: Session, target: sa.Engine | sa.Connection) -> sa.Engine | sa.Connection:
    """The connection on which the session's transaction uses an engine already, else the target itself."""
    used = session.info.get(USED) or ()
    return next((each for each in used if each.engine is target.engine), target)


def why_around(session: Session, target: sa.Engine | sa.Connection, databases: Any) -> str:
    """Why the session must read around the cache; "" if it need not. `target`: what a statement of it would run on."""
    used = session.info.get(USED)
    if used is None and session.in_transaction():
        return "the cache was attached amid a transaction"
    own = [target] if isinstance(target, sa.Connection) else []  # others may have written on it
    for connection in [*(used or ()), *own]:
        if databases.of(connection).observer.of(connection).wrote:
            return "the transaction has written"
    return ""
