"""How a verb joins the transaction of its caller: on the connection of a session, and in step with its objects.

What must not be here: beginning or ending a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session

from cachewright.integrations.sqlalchemy.table import Described
from cachewright.patterns.identities import Identity

T = TypeVar("T")
Joined: TypeAlias = sa.Connection | Session | scoped_session[Any]


def connection_of(joined: Joined, table: sa.Table) -> sa.Connection:
    """The connection that a session uses for the table. What the session has not sent yet goes first."""
    if isinstance(joined, sa.Connection):
        return joined
    session = session_of(joined)
    if session.autoflush:
        session.flush()
    return session.connection(bind_arguments={"clause": table})


def session_of(joined: Session | scoped_session[Any]) -> Session:
    """The session of this scope."""
    if isinstance(joined, scoped_session):
        session: Session = joined()
        return session
    return joined


def run(
    joined: Joined,
    described: Described,
    verb: Callable[[sa.Connection], T],
    touched: Callable[[T], Iterable[Identity]] | None = None,
) -> T:
    """What the verb returns in the caller's transaction; `touched` tells of a result which rows were written."""
    result = verb(connection_of(joined, described.table))
    if touched is not None and not isinstance(joined, sa.Connection):
        _refresh(joined, described, touched(result))
    return result


def _refresh(joined: Joined, described: Described, identities: Iterable[Identity]) -> None:
    """Let the session's own objects of these rows show what was written; those that are gone leave it."""
    if isinstance(joined, sa.Connection) or described.mapper is None:
        return
    session = session_of(joined)
    for identity in identities:
        key = described.mapper.identity_key_from_primary_key(described.bound(identity))
        held = session.identity_map.get(key)
        if held is not None:
            session.expire(held)
            session.get(
                described.mapper.class_, described.bound(identity)
            )  # reads it, or lets it go
