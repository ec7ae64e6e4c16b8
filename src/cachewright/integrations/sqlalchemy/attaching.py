"""How a query cache listens to sessions and engines, in both worlds, by public events alone.

What must not be here: what happens then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy.databases import Databases
from cachewright.integrations.sqlalchemy.query_loading import Apart
from cachewright.integrations.sqlalchemy.sessions import (
    note_connection,
    note_end,
    note_transaction,
)


def attach(target: Any, on_execute: Callable[[Any], Any], databases: Databases) -> None:
    """Listen to a target of whatever kind. Raises `ConfigurationError` for one of no known kind."""
    target = _plain(target)
    if isinstance(target, sa.Engine):
        databases.of(target)
        return
    if isinstance(target, scoped_session):
        target = target.session_factory
    if not isinstance(target, (sessionmaker, Session)) and not (
        isinstance(target, type) and issubclass(target, Session)
    ):
        raise ConfigurationError(
            f"a query cache is attached to a sessionmaker, Session, scoped_session or Engine, not to {target!r}"
        )
    for engine in _engines(target):
        databases.of(engine)
    _listen(target, on_execute, databases)


def _listen(target: Any, on_execute: Callable[[Any], Any], databases: Databases) -> None:
    on = sa.event.listen

    def begun(session: Session, _: Any, connection: sa.Connection) -> None:
        if not isinstance(session, Apart):
            observer = databases.of(connection).observer
            observer.of(connection)
            note_connection(session, connection)

    on(target, "after_transaction_create", note_transaction)
    on(target, "after_begin", begun)
    on(target, "after_transaction_end", note_end)
    on(target, "do_orm_execute", on_execute)


def _engines(target: Any) -> list[sa.Engine]:
    """The engines that are known before anything is executed."""
    if isinstance(target, sessionmaker):
        binds = [target.kw.get("bind"), *(target.kw.get("binds") or {}).values()]
    else:
        binds = [getattr(target, "bind", None)]
    plain = [_plain(bind) for bind in binds if bind is not None]
    return [bind.engine for bind in plain]


def _plain(target: Any) -> Any:
    """What of a target of asyncio's has events: the plain half."""
    try:
        from sqlalchemy.ext.asyncio import (
            AsyncConnection,
            AsyncEngine,
            AsyncSession,
            async_scoped_session,
            async_sessionmaker,
        )
    except ImportError:  # pragma: no cover - without greenlet
        return target
    if isinstance(target, AsyncEngine):
        return target.sync_engine
    if isinstance(target, AsyncConnection):
        return target.sync_connection
    if isinstance(target, AsyncSession):
        return target.sync_session
    if isinstance(target, async_scoped_session):
        target = target.session_factory
    if isinstance(target, async_sessionmaker):
        return _plain_maker(target)
    return target


def _plain_maker(maker: Any) -> Any:
    """The class of the plain sessions below; one of their own, so that other sessions are not listened to."""
    own = maker.kw.get("sync_session_class")
    if own is None:
        own = sessionmaker(class_=maker.class_.sync_session_class)
        maker.configure(sync_session_class=own)
    if (
        isinstance(own, sessionmaker)
        and own.kw.get("bind") is None
        and maker.kw.get("bind") is not None
    ):
        own.configure(bind=_plain(maker.kw["bind"]))
    return own
