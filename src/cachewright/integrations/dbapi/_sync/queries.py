# Generated from _async/queries.py by tools/unasync.py. Do not edit.
"""`QueryCache`: raw SQL read through a cache, and written so that what it makes wrong is gone at the commit.

Rules kept here (tests/integrations/test_dbapi_*.py and their controls would catch their loss):
- what the analysis does not understand, and what the session makes special, is read from the database and not kept;
- a session that has written reads around the cache until its transaction ends;
- an old snapshot fills nothing, and nobody waits for what it reads;
- tags are marked before the commit and freshened after it; nothing at a rollback.

What must not be here: SQL text, what a tag is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from cachewright._sync.cache import Cache
from cachewright.core.policy import Policy, Seconds, Ttl
from cachewright.core.reads import Tags
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.dbapi import drivers
from cachewright.integrations.dbapi._sync import connections
from cachewright.integrations.dbapi._sync.work import UnitOfWork, Works
from cachewright.integrations.dbapi.keys import QueryKeys
from cachewright.integrations.dbapi.results import Kept, Result, kept
from cachewright.integrations.dbapi.schema import Relations, Seen
from cachewright.integrations.dbapi.sessions import Session, Sessions
from cachewright.sql import (
    DEFAULT_SCHEMAS,
    Analyser,
    Paramstyle,
    Reads,
    Refused,
    Statement,
    Tables,
    Writes,
)

MOST_PATHS = 100


class QueryCache:
    """Queries of one database through one cache; the connection is the caller's, of any known driver.

    `database`: what it is called in keys, where all processes should call it so; asked of it unless given.
    `max_rows`: larger results are returned and not kept. `pure`: functions of one's own that give the same for the same
    arguments. `triggers`: table → tables that its triggers write, where the cache cannot find out. `matches`: cache by
    indexed equalities too; only where every other door of the namespace that writes with images knows the same indexes.
    `session`: "ask" the connection who it is before each query, or "once"; by default once where what changes is
    reported unasked. `schema_ttl`: seconds for which the catalogue is believed; DDL through any door ends it at once.
    `strict`, `limit`: as of `cache.writing`.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        database: str | None = None,
        policy: Policy | None = None,
        max_rows: int = 10_000,
        pure: Iterable[str] = (),
        triggers: Mapping[str, Iterable[str]] | None = None,
        matches: bool = False,
        session: str | None = None,
        schema_ttl: Seconds = 300.0,
        strict: bool = False,
        limit: Seconds = 30.0,
    ) -> None:
        if session not in (None, "ask", "once"):
            raise ConfigurationError(f'session must be "ask" or "once", not {session!r}')
        self.cache = cache
        self._database = database
        # A connection belongs to its caller: nothing may be loaded over it once the call has returned.
        self._policy = (policy or cache.policy).but(
            stale=0.0,
            refresh_ahead=None,
            beta=0.0,
            cache_errors=(),
            store_if=lambda found: len(found[1]) <= max_rows,
        )
        self._schema_policy = cache.policy.but(
            ttl=schema_ttl, store_if=None, refresh_ahead=None, stale=0.0
        )
        self._pure = frozenset(pure)
        self._triggers = dict(triggers or {})
        self._matches = matches
        self._asks = session
        self._sessions = Sessions()
        self._works = Works(cache, self._sessions, strict=strict, limit=limit)
        self._keys: dict[str, QueryKeys] = {}
        self._relations: dict[str, tuple[Any, Relations]] = {}
        self._analysers: dict[tuple[Any, ...], tuple[Relations, Analyser]] = {}

    # ---------------------------------------------------------------- reading

    def cached_query(
        self,
        sql: str,
        params: Any = None,
        connection: Any = None,
        *,
        ttl: Ttl | None = None,
        scope: Any = None,
        tags: Tags = (),
    ) -> Result:
        """The rows of a query, cached or read. `scope`: whom the result is for, where the database decides by more than
        the role (row-level security). `tags`: what else it is made from. Raises what the driver raises.
        """
        session = self._session(connection)
        why = self._aside(connection, session)
        if why:
            return self._uncached(sql, params, connection, why=why)
        style = _style(connection, params)
        statement, relations = self._analysed(sql, style, connection, session)
        if isinstance(statement, Writes) or (
            isinstance(statement, Refused) and (statement.may_write or statement.session)
        ):
            self.cache.engine.tell("query_uncached", detail=_why(statement, params))
            return self._executed(sql, params, connection, many=False)
        own = statement.tags(params) if isinstance(statement, Reads) else None
        if own is None or (scope is None and relations.secured & statement.tables):  # type: ignore[union-attr]
            why = _why(statement, params)
            return self._uncached(sql, params, connection, why=why)
        try:
            who = (session.spelled, scope)
            key = self._keys_of(connection).key(sql, params, style=style, session=who)
        except InvalidKey as error:
            return self._uncached(sql, params, connection, why=str(error))
        inside = drivers.in_transaction(connection)
        if inside:
            found = self.cache.get(key, default=None)
            if found is not None:
                return Result(found)
            if not connections.may_fill(connection):
                why = "the transaction has written, or reads an old snapshot"
                return self._uncached(sql, params, connection, why=why)
        found = self.cache.get_or_load(
            key,
            partial(self._load, sql, params, connection),
            tags=[*own, session.schema_tag, *tags],
            ttl=ttl,
            policy=self._policy,
        )
        return Result(found)

    def statement(self, sql: str, connection: Any, params: Any = None) -> Statement:
        """What the analysis says of a statement: `Reads`, `Writes` or `Refused` with its reason."""
        session = self._session(connection)
        return (self._analysed(sql, _style(connection, params), connection, session))[0]

    def _load(self, sql: str, params: Any, connection: Any) -> Kept:
        return kept(connections.run(connection, sql, params))

    def _uncached(self, sql: str, params: Any, connection: Any, *, why: str) -> Result:
        self.cache.engine.tell("query_uncached", detail=why)
        return connections.run(connection, sql, params)

    def _aside(self, connection: Any, session: Session) -> str:
        """Why the cache is not even asked; "" if it is."""
        if session.aside:
            return session.aside
        if self._sessions.is_aside(connection):
            return "the session has temporary tables"
        ledger = self._sessions.ledger(connection)
        if ledger is not None and not ledger.empty:
            if drivers.in_transaction(connection):
                return "the transaction has written"
            self._works.ended_elsewhere(connection)
        if drivers.in_transaction(connection) and drivers.dialect_of(connection) != "postgres":
            return "the transaction may read an old snapshot"
        return ""

    # ---------------------------------------------------------------- writing

    def writing(self, connection: Any) -> UnitOfWork:
        """A transaction: `with queries.writing(connection) as work: work.execute(sql, params)`.

        It commits at the end, in two phases around the cache, and rolls back after an exception.
        """
        return UnitOfWork(self, connection)

    def execute(self, sql: str, params: Any = None, connection: Any = None) -> Result:
        """Execute any statement in the transaction of the connection, and note what it writes until `commit`.

        Where each statement commits itself, that is at once. COMMIT and ROLLBACK may be such statements.
        """
        return self._executed(sql, params, connection, many=False)

    def executemany(self, sql: str, rows: Any, connection: Any = None) -> Result:
        """Execute one statement for many parameters; only the rowcount comes back."""
        return self._executed(sql, list(rows), connection, many=True)

    def _executed(self, sql: str, params: Any, connection: Any, *, many: bool) -> Result:
        session = self._session(connection)
        style = _style(connection, params)
        ledger = self._sessions.ledger(connection)
        if ledger is not None and ledger.everything:  # all is in doubt, perhaps the schema too
            statement: Statement = Analyser(drivers.dialect_of(connection), Tables())(sql, style)
        else:
            statement, _ = self._analysed(sql, style, connection, session)
        act = partial(connections.run_many if many else connections.run, connection, sql, params)
        given = params if many else [params]
        result: Result = self._works.act(
            statement, given, connection, act=act, schema=session.schema_tag
        )
        if isinstance(statement, Refused) and statement.session:
            self._sessions.forget(connection)
            if statement.temporary and drivers.dialect_of(connection) == "mysql":
                self._sessions.set_aside(connection)
        return result

    def commit(self, connection: Any, *, tags: Tags = ()) -> None:
        """Commit what was executed: marked before, fresh after. `tags`: what else the transaction makes wrong."""
        self._works.commit(connection, tags=tags)

    def rollback(self, connection: Any) -> None:
        """Roll back; nothing is invalidated."""
        self._sessions.end(connection)
        connection.rollback()

    def refresh(self, connection: Any) -> None:
        """The structure of the database was changed elsewhere: forget it, and every result, in every process."""
        session = self._session(connection)
        self.cache.invalidate(tags=[session.schema_tag])

    # ---------------------------------------------------------------- the session

    def _session(self, connection: Any) -> Session:
        if connection is None:
            raise ConfigurationError("give the connection that the statement is to run on")
        known = self._sessions.known(connection)
        if known is not None and self._may_believe(connection):
            return known
        found = connections.session_of(connection, self._database)
        self._sessions.keep(connection, found)
        return found

    def _may_believe(self, connection: Any) -> bool:
        if self._asks is not None:
            return self._asks == "once"
        driver = drivers.driver_of(connection)
        return driver == "aiosqlite" or (
            drivers.dialect_of(connection) == "postgres" and drivers.reports_search_path(connection)
        )

    def _keys_of(self, connection: Any) -> QueryKeys:
        dialect = drivers.dialect_of(connection)
        keys = self._keys.get(dialect)
        if keys is None:
            keys = self._keys[dialect] = QueryKeys(dialect)
        return keys

    # ---------------------------------------------------------------- the schema

    def _analysed(
        self, sql: str, style: Paramstyle, connection: Any, session: Session
    ) -> tuple[Statement, Relations]:
        schema = self.cache.get_or_load(
            session.schema_key,
            partial(connections.introspected, connection),
            tags=[session.schema_tag],
            policy=self._schema_policy,
        )
        relations = self._related(schema, connection, session)
        name = (session.database, session.path)
        known = self._analysers.get(name)
        if known is None or known[0] is not relations:
            dialect = drivers.dialect_of(connection)
            if len(self._analysers) >= MOST_PATHS:
                self._analysers.clear()
            analyser = Analyser(dialect, Seen(relations, session.path), pure=self._pure)
            known = self._analysers[name] = (relations, analyser)
        return known[1](sql, style), relations

    def _related(self, schema: Any, connection: Any, session: Session) -> Relations:
        known = self._relations.get(session.database)
        if known is None or known[0] is not schema:
            dialect = drivers.dialect_of(connection)
            default = schema["path"][0] if dialect == "mysql" and schema["path"] else None
            built = Relations(
                dialect,
                schema,
                default=default or DEFAULT_SCHEMAS.get(dialect),
                matches=self._matches,
                triggers=self._triggers,
            )
            known = self._relations[session.database] = (schema, built)
        return known[1]


def _style(connection: Any, params: Any) -> Paramstyle:
    """How parameters are written; where none are given, most drivers take the statement as it is."""
    dialect = drivers.dialect_of(connection)
    if dialect == "sqlite":
        return "qmark"
    return "none" if params is None else "pyformat"


def _why(statement: Statement, params: Any) -> str:
    if isinstance(statement, Refused):
        return statement.reason
    if isinstance(statement, Reads):
        return statement.why_not(params) or "row-level security: say for whom with scope="
    return "it writes"
