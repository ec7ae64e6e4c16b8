"""Write-through inside a caller's transaction: what was written acts when its connection commits.

The moment is the connection's own, for a Session as for a Connection, in both worlds: after the last flush and before
COMMIT the marks are set and the rows read back, so that what is filled is what was committed, whoever changed the row
last; then COMMIT; then the fill. A rollback, also of a savepoint, forgets what was written since.
What must not be here: beginning transactions, SQL, and what a mark is.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy.tabular import Tabular
from cachewright.patterns.joining import enlist

Rows = dict[Any, Any]


@dataclass(slots=True)
class _Written:
    """What one call wrote: rows of one door, within which savepoints."""

    door: Any
    identities: Sequence[Any]
    tags: Sequence[Any]
    savepoints: Sequence[str] = ()


@dataclass(slots=True)
class _Ledger:
    """What was written in the transaction of one connection, in order."""

    written: list[_Written] = field(default_factory=list)

    def forget(self) -> None:
        """The transaction has ended."""
        self.written.clear()

    def rolled_back(self, savepoint: str) -> None:
        """Forget what was written within it."""
        self.written = [each for each in self.written if savepoint not in each.savepoints]

    def merged(self) -> list[_Written]:
        """What was written, once a door."""
        doors: dict[int, _Written] = {}
        for each in self.written:
            so_far = doors.setdefault(id(each.door), _Written(each.door, [], []))
            so_far.identities = list(dict.fromkeys([*so_far.identities, *each.identities]))
            so_far.tags = list(dict.fromkeys([*so_far.tags, *each.tags]))
        return list(doors.values())


_ledgers: WeakKeyDictionary[sa.Connection, _Ledger] = WeakKeyDictionary()


def _ledger_of(connection: sa.Connection) -> _Ledger:
    ledger = _ledgers.get(connection)
    if ledger is None:
        ledger = _ledgers[connection] = _Ledger()
        _listen(connection, ledger)
    return ledger


def written_so_far(connection: sa.Connection, door: Any) -> list[Any]:
    """The tags of what a door has written in the transaction of the connection."""
    ledger = _ledgers.get(connection)
    written = ledger.written if ledger is not None else []
    return [tag for each in written if each.door is door for tag in each.tags]


def _listen(connection: sa.Connection, ledger: _Ledger) -> None:
    """Listeners live as long as the connection object, which is short: until it goes back to the pool."""
    on = sa.event.listen
    on(connection, "commit", lambda own: _commit(own, ledger))
    on(connection, "rollback", lambda _own: ledger.forget())
    on(connection, "rollback_savepoint", lambda _own, name, _: ledger.rolled_back(name))


def _savepoints(connection: sa.Connection) -> list[str]:
    """The names of those that are open. SQLAlchemy tells them when they end, and has no public name for them before."""
    names: list[str] = []
    nested: Any = connection.get_nested_transaction()
    while nested is not None:
        names.append(nested._savepoint)
        nested = nested._previous_nested
    return names


# -------------------------------------------------------------------- the commit


def _commit(connection: sa.Connection, ledger: _Ledger) -> None:
    """Mark, commit, fill. SQLAlchemy commits once more when this returns, which finds nothing to do."""
    written = ledger.merged()
    ledger.forget()
    if not written:
        return
    marked = _marked(connection, written)
    try:
        _do_commit(connection)
        for commit, rows in marked:
            commit.committed(rows)
    finally:
        for commit, _ in marked:
            done(commit.end())


def _marked(connection: sa.Connection, written: Sequence[_Written]) -> list[tuple[Any, Rows]]:
    """Each door's marks with the rows as they are about to be committed; if one refuses, all is rolled back."""
    marked: list[tuple[Any, Rows]] = []
    try:
        for each in written:
            commit = each.door.commit_of(each.identities, each.tags)
            done(commit.begin())
            marked.append((commit, {}))
            # After the marks: so it is what the source holds, also of rows that this transaction holds no lock on.
            marked[-1][1].update(_rows(connection, each))
    except BaseException:
        for commit, _ in marked:
            done(commit.end())
        connection.dialect.do_rollback(connection.connection)
        raise
    return marked


def _rows(connection: sa.Connection, written: _Written) -> Rows:
    """The rows there are; nothing for a source that cannot read on this connection, so that they are loaded later."""
    source = written.door.source
    if not isinstance(source, Tabular):
        return {}
    return dict(source._verbs.load_many(connection, written.identities))


def _do_commit(connection: sa.Connection) -> None:
    dialect = connection.dialect
    try:
        dialect.do_commit(connection.connection)
    except dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError.instance(
            "COMMIT", None, error, dialect.loaded_dbapi.Error, dialect=dialect
        ) from error


def done(result: Any) -> Any:
    """Wait for a door of asyncio, whose sessions run their plain half in a greenlet; returns what it brings."""
    if inspect.isawaitable(result):
        from sqlalchemy.util.concurrency import await_only  # needs greenlet, as asyncio sessions do

        return await_only(result)
    return result


# -------------------------------------------------------------------- whom to join


@enlist.register
def enlist_connection(
    session: sa.Connection, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
) -> None:
    """Act when this connection commits."""
    if not session.in_transaction():
        raise ConfigurationError("the connection is in no transaction: there is no commit to join")
    written = _Written(door, list(identities), list(tags), _savepoints(session))
    _ledger_of(session).written.append(written)


@enlist.register
def enlist_session(
    session: Session, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
) -> None:
    """Act when the connection that this session uses for the table commits."""
    if session.twophase:
        raise ConfigurationError("a session with twophase=True cannot be joined")
    source = door.source
    which = {"clause": source._described.table} if isinstance(source, Tabular) else {}
    enlist_connection(session.connection(bind_arguments=which), door, identities, tags)


@enlist.register(scoped_session)
def enlist_scoped_session(
    session: scoped_session[Any], door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
) -> None:
    """The session of this scope."""
    enlist_session(session(), door, identities, tags)


try:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
except ImportError:  # pragma: no cover - without greenlet
    pass
else:

    @enlist.register
    def enlist_async_connection(
        session: AsyncConnection, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
    ) -> None:
        """The plain connection below it."""
        own = session.sync_connection
        if own is None:
            raise ConfigurationError("the connection was not started: await it first")
        enlist_connection(own, door, identities, tags)

    @enlist.register
    def enlist_async_session(
        session: AsyncSession, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
    ) -> None:
        """The plain session below it."""
        enlist_session(session.sync_session, door, identities, tags)

    @enlist.register(async_scoped_session)
    def enlist_async_scoped_session(
        session: async_scoped_session[Any],
        door: Any,
        identities: Sequence[Any],
        tags: Sequence[Any] = (),
    ) -> None:
        """The session of this scope."""
        enlist_async_session(session(), door, identities, tags)
