"""What runs on the connections of an engine: each statement is seen by public events, and each write goes to the ledger.

Rules kept here (tests/integrations/test_query_writes.py and its weakened twins):
- every statement is seen, whoever sends it: a flush, a bulk statement, text, a driver's SQL;
- what a write makes wrong is marked when its transaction commits, and never at a rollback; with AUTOCOMMIT around the
  statement itself;
- a connection that has written is known to have, until its transaction ends.

What must not be here: sessions, results, what a statement means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import sqlalchemy as sa

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy.executions import (
    given_out,
    gives_out_keys,
    in_batches,
    own_sets,
    sets_of,
)
from cachewright.integrations.sqlalchemy.images import Images, named_rows
from cachewright.integrations.sqlalchemy.knowledge import MOST_SETS, Knowledge
from cachewright.integrations.sqlalchemy.marking import EVERYTHING, Marks
from cachewright.integrations.sqlalchemy.snapshots import (
    ISOLATION,
    at_autocommit,
    autocommits,
    begins_nothing,
    why_old,
)
from cachewright.integrations.sqlalchemy.statements import MYSQL
from cachewright.integrations.sqlalchemy.transactions import (
    done,
    enlist_connection,
    written_so_far,
)
from cachewright.sql import Refused, Statement, Writes

_quiet: WeakSet[sa.Connection] = WeakSet()
"""Connections on which a query cache is asking for itself now; none of those that listen takes that for a statement."""


@dataclass(slots=True)
class Observed:
    """One connection. `statements`: how many its transaction has run; `wrote`: whether one of them may have written."""

    statements: int = 0
    wrote: bool = False
    seen_from_start: bool = False
    pending: list[Any] = field(default_factory=list)
    """Marks around the statement that runs now, with AUTOCOMMIT."""
    by_hand: list[Any] | None = None
    """What a transaction has written that was begun by a statement on an autocommitting connection."""
    outermost: str = ""
    """The savepoint that SQLite began a transaction with, so that its release is the commit."""
    images: Images | None = None
    listener: Callable[[str, Sequence[Any]], None] | None = None
    """Who wants to know what a load sends."""
    inserting: tuple[Writes, Sequence[Any]] | None = None
    """An INSERT whose keys the database gives out, and its parameters."""

    def forget_by_hand(self) -> None:
        """A transaction that was begun by a statement has ended."""
        if self.by_hand is not None:
            self.by_hand, self.wrote = None, False


class Observer:
    """The connections of one engine."""

    def __init__(
        self, engine: sa.Engine, knowledge: Knowledge, marks: Marks, *, schema: Any
    ) -> None:
        if engine.dialect.name not in ("postgresql", "sqlite", "mysql", "mariadb"):
            raise ConfigurationError(
                f"SQL of {engine.dialect.name} is not understood: writes to it could not be followed"
            )
        self.knowledge = knowledge
        self.settings_changed = False
        """Whether some connection of the engine was told a setting that may change what queries mean."""
        self.schema = schema
        """The tag of all that was made from what the database is known to hold."""
        self._marks = marks
        self._connections: WeakKeyDictionary[sa.Connection, Observed] = WeakKeyDictionary()
        on = sa.event.listen
        on(engine, "begin", self._begin)
        on(engine, "commit", self._end)
        on(engine, "rollback", self._end)
        on(engine, "begin_twophase", _refuse_twophase)
        on(engine, "before_cursor_execute", self._before)
        on(engine, "after_cursor_execute", self._after)
        on(engine, "after_execute", self._executed)
        on(engine, "handle_error", self._failed)

    def of(self, connection: sa.Connection) -> Observed:
        """What is known of a connection."""
        found = self._connections.get(connection)
        if found is None:
            found = self._connections[connection] = Observed()
            # Seen for the first time amid a transaction: whatever it did before, nobody knows.
            found.wrote = connection.in_transaction()
        return found

    def at_start(self, connection: sa.Connection) -> None:
        """A transaction has just begun on the connection, and nothing ran in it."""
        self._connections[connection] = Observed(seen_from_start=True)

    def _begin(self, connection: sa.Connection) -> None:
        self.at_start(connection)

    def _end(self, connection: sa.Connection) -> None:
        # Of a transaction that was begun elsewhere, such as before this was attached, this is the end as well.
        self._connections.pop(connection, None)

    # ---------------------------------------------------------------- one statement

    def _before(self, connection: sa.Connection, *about: Any) -> None:
        _, statement, parameters, context, _ = about
        observed = self.of(connection)
        if connection in _quiet:
            return
        self._settle(connection, observed)
        sets = sets_of(parameters)
        if observed.listener is not None:
            observed.listener(statement, sets)
        if in_batches(context):
            statement, sets = context.compiled.string, own_sets(context)
        meaning = self.meaning(statement, connection)
        if isinstance(meaning, Writes) and self.knowledge.outdated:
            self._read_catalogue(connection)
            meaning = self.meaning(statement, connection)
        observed.statements += not _takes_no_snapshot(meaning, connection)
        if isinstance(meaning, Writes):
            self._write(connection, observed, (statement, meaning, sets), context)
        elif isinstance(meaning, Refused):
            self._odd(connection, observed, meaning, statement)

    def meaning(self, statement: str, connection: sa.Connection) -> Statement:
        """What a statement means; the database is asked what it holds where that is not known yet."""
        knowledge = self.knowledge
        # Until it is known once, whoever comes reads it: what others are reading at this moment says nothing yet.
        if knowledge.catalogue.stale or not knowledge.catalogue.version:
            self._read_catalogue(connection)
        meaning = knowledge.analyse(statement)
        if knowledge.needs_reading(meaning):
            self._read_catalogue(connection)
            meaning = knowledge.analyse(statement)
        return meaning

    def asking(self, connection: Callable[[], sa.Connection]) -> list[Any]:
        """What connections of the engine are told beside its address. Asked of one of them, the first time, on PostgreSQL.

        This is before the cache is asked: what is known for too long is asked anew, and what it misled falls.
        """
        catalogue = self.knowledge.catalogue
        first = catalogue.dialect == "postgres" and catalogue.version == 0
        if first or self.knowledge.outdated:
            self._read_catalogue(connection())
        return catalogue.asking

    def _read_catalogue(self, connection: sa.Connection) -> None:
        observed = self.of(connection)
        untouched = observed.seen_from_start and not observed.statements
        with self.quietly(connection):
            differs = self.knowledge.read(connection)
        if untouched and connection.dialect.name in MYSQL:
            # At its default level the snapshot would be older than what is cached from now on. Nothing else was done
            # in the transaction, and no setting there ends with one, so it may begin anew.
            connection.dialect.do_rollback(connection.connection)
        else:  # unless nothing has begun, the snapshot may have been taken for this
            observed.statements += not begins_nothing(connection)
        if differs:
            commit = self._marks.commit_of((), [self.schema])
            done(commit.begin())
            done(commit.end())

    @staticmethod
    @contextmanager
    def quietly(connection: sa.Connection) -> Iterator[None]:
        """What runs inside is ours."""
        if connection in _quiet:
            yield
            return
        _quiet.add(connection)
        try:
            yield
        finally:
            _quiet.discard(connection)

    def _write(
        self,
        connection: sa.Connection,
        observed: Observed,
        what: tuple[str, Writes, Sequence[Any]],
        context: Any,
    ) -> None:
        statement, meaning, sets = what
        if meaning.structure:
            self.knowledge.catalogue.stale = True
        if autocommits(connection):
            tags = self.knowledge.dirtied(meaning, sets)
            if observed.by_hand is None:
                self._mark_around(observed, tags)
            else:
                observed.by_hand += tags
            return
        observed.wrote = True
        images = Images.of(self.knowledge, meaning, sets, statement)
        if images is not None:
            with self.quietly(connection):
                images.before(connection)
            observed.images = images
        elif gives_out_keys(meaning, context) and len(sets) <= MOST_SETS:
            observed.inserting = meaning, sets
        else:
            self._enlist(connection, self.knowledge.dirtied(meaning, sets))

    def _mark_around(self, observed: Observed, tags: Sequence[Any]) -> None:
        """The statement that follows commits: mark until it has ended."""
        if tags:
            commit = self._marks.commit_of((), tags)
            done(commit.begin())
            observed.pending.append(commit)

    def _control(
        self, connection: sa.Connection, observed: Observed, word: str, statement: str
    ) -> None:
        """A statement begins or ends a transaction by itself, past SQLAlchemy."""
        name = statement.rsplit(maxsplit=1)[-1]
        if word == "savepoint" and begins_nothing(connection):
            observed.outermost = name
        elif word == "release" and name == observed.outermost:
            self._mark_around(observed, written_so_far(connection, self._marks))
        elif word in ("begin", "start") and at_autocommit(connection):
            observed.by_hand, observed.wrote = [], True
        elif word in ("commit", "end"):
            everything = EVERYTHING if observed.wrote and observed.by_hand is None else ()
            self._mark_around(observed, everything or observed.by_hand or ())
            observed.forget_by_hand()
        elif word in ("rollback", "abort") and " to " not in f" {statement.lower()} ":
            observed.forget_by_hand()

    def _odd(
        self, connection: sa.Connection, observed: Observed, meaning: Refused, statement: str
    ) -> None:
        if meaning.control is not None:
            self._control(connection, observed, meaning.control, statement)
        if meaning.session and self.knowledge.matters(statement):
            self.settings_changed = True
            connection.info.pop(ISOLATION, None)
            observed.wrote = True
        if meaning.may_write:
            self.knowledge.tell("everything_invalidated", f"{meaning.reason}: {statement:.200}")
            self._enlist(connection, EVERYTHING)
            observed.wrote = True

    def _after(self, connection: sa.Connection, *about: Any) -> None:
        context = about[3]
        observed = self._connections.get(connection)
        if observed is None or connection in _quiet:
            return
        if observed.pending:
            self._release(observed)
        images, observed.images = observed.images, None
        if images is not None:
            with self.quietly(connection):
                images.after(connection)
            self._enlist(connection, images.dirtied())
        elif observed.inserting is not None and not in_batches(context):
            # What is known now; the keys follow when there is a result.
            tags = self.knowledge.dirtied(*observed.inserting)
            self._enlist(connection, [tag for tag in tags if not str(tag).startswith("rows:")])

    def _settle(self, connection: sa.Connection, observed: Observed) -> None:
        """The result of an INSERT never came: then nobody knows its keys."""
        inserting, observed.inserting = observed.inserting, None
        if inserting is not None and connection.in_transaction():
            self._enlist(connection, self.knowledge.dirtied(*inserting))

    def _executed(self, connection: sa.Connection, *about: Any) -> None:
        """A statement of SQLAlchemy's has a result: an INSERT's shows the keys."""
        observed = self._connections.get(connection)
        if observed is None or connection in _quiet or observed.inserting is None:
            return
        (meaning, sets), observed.inserting = observed.inserting, None
        table = meaning.changes[0].table
        tags = named_rows(meaning, table, given_out(about[-1]), sets)
        self._enlist(connection, tags or self.knowledge.dirtied(meaning, sets))

    def _failed(self, context: sa.ExceptionContext) -> None:
        connection = context.connection
        observed = None if connection is None else self._connections.get(connection)
        if observed is None or connection is None or connection in _quiet:
            return
        self._release(observed)
        images, observed.images = observed.images, None
        # It may have done a part, and the transaction may go on.
        if images is not None and connection.in_transaction():
            self._enlist(connection, images.dirtied())
        self._settle(connection, observed)

    @staticmethod
    def _release(observed: Observed) -> None:
        pending, observed.pending = observed.pending, []
        for commit in pending:
            done(commit.end())

    def _enlist(self, connection: sa.Connection, tags: Sequence[Any]) -> None:
        if tags:
            enlist_connection(connection, self._marks, (), tags)

    def may_fill(self, connection: sa.Connection) -> str:
        """Why a result that is read now on the connection may be older than the cache's stamps; "" if it is not."""
        observed = self.of(connection)
        if observed.wrote:
            return "the transaction has written"
        first = observed.seen_from_start and observed.statements == 0
        return why_old(connection, self.quietly, first=first)


def _takes_no_snapshot(meaning: Statement, connection: sa.Connection) -> bool:
    """Whether it is SQLite's BEGIN, which users send for its driver: the first read after it takes the snapshot."""
    control = meaning.control if isinstance(meaning, Refused) else None
    return control == "begin" and connection.dialect.name == "sqlite"


def _refuse_twophase(connection: sa.Connection, xid: Any) -> None:  # noqa: ARG001
    raise ConfigurationError(
        "two-phase transactions cannot be followed: use an engine that no QueryCache is attached to"
    )
