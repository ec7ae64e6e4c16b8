"""`QueryCache`: results of SQLAlchemy statements, cached where somebody asks for it and gone when a write commits.

Rules kept here (tests/integrations/test_query_cache.py and its weakened twins):
- a session that has written, or holds changes that are not written, reads around the cache until its transaction ends;
- what a transaction reads from a snapshot that may be older than the cache's stamps fills nothing;
- a statement whose dependencies nobody can name is executed, and why it was not cached is told.

What must not be here: SQL, the building of results, what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session

from cachewright._async.cache import AsyncCache
from cachewright._sync.cache import Cache
from cachewright.core.keys import spell
from cachewright.core.policy import Seconds
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.sqlalchemy.answering import Answers, Question
from cachewright.integrations.sqlalchemy.attaching import attach
from cachewright.integrations.sqlalchemy.caching import OPTION, Caching, Said, cached, understood
from cachewright.integrations.sqlalchemy.column_values import Unkeepable
from cachewright.integrations.sqlalchemy.databases import Database, Databases
from cachewright.integrations.sqlalchemy.knowledge import Told, knows
from cachewright.integrations.sqlalchemy.plans import Plan
from cachewright.integrations.sqlalchemy.query_loading import Apart
from cachewright.integrations.sqlalchemy.sessions import connected, has_changes, why_around
from cachewright.types import MISSING

Rule = Callable[[Any], Said]
SCHEMAS = "schema_translate_map"
UNSCOPED = "settings of sessions are changed on this engine (SET, set_config): say what results belong to (scope=)"


class QueryCache:
    """Results of queries in one cache, sync or asyncio as the cache is.

    `models`: mapped class → seconds (or `cached(...)`), for statements whose entities are all among them. `rule`: asked
    of every other statement with its `ORMExecuteState`. `scope`: what results belong to beside the database and its user,
    such as a tenant or a role: a function of no arguments, its result a part of keys. `database`: the name of the database
    in keys, by default its address. `also`: table → tables that its triggers write. `tracked`: table → further sets of
    columns whose equalities get tags of their own. `pure`: functions in SQL that depend on their arguments alone.
    `images`: whether rows that a statement names are read before and after it, so that only what depended on them falls.
    `max_rows`: larger results are not kept. `strict`: a commit is refused when the cache's server cannot be told.
    `limit`: seconds that the database may take to commit. `schema_ttl`: seconds for which it is believed what the database
    holds; then it is asked again, and if views, keys or triggers were changed elsewhere, all results of it fall.
    """

    def __init__(
        self,
        cache: Cache | AsyncCache,
        *,
        models: Mapping[type, Said] | None = None,
        rule: Rule | None = None,
        scope: Callable[[], Any] | None = None,
        database: str | None = None,
        max_rows: int = 10_000,
        strict: bool = False,
        limit: Seconds = 30.0,
        **told: Unpack[Told],
    ) -> None:
        if max_rows < 1:
            raise ConfigurationError("max_rows must be at least 1")
        self.cache = cache
        self._models = {each: understood(said) for each, said in (models or {}).items()}
        self._rule = rule
        self._scope = scope
        self._answers = Answers(cache, max_rows, self._around)
        self.databases = Databases(
            cache,
            name=database,
            scoped=scope is not None or _has_scope(cache),
            strict=strict,
            limit=limit,
            knows=knows(**told),
        )

    def attach(self, target: Any) -> QueryCache:
        """Serve these sessions, and see what is written through them and their engines; returns itself.

        `target`: a sessionmaker, Session, scoped_session or Engine, or the asyncio twin of one. Attach it behind other
        listeners of `do_orm_execute`, so that what they make of a statement is what is cached. Raises `ConfigurationError`.
        """
        attach(target, self.on_execute, self.databases)
        return self

    # ---------------------------------------------------------------- sessions

    def on_execute(self, state: ORMExecuteState) -> Any:
        """The listener of `do_orm_execute`: a result, or None to let the session execute."""
        said = state.execution_options.get(OPTION, MISSING)
        caching = self._said(state) if said is MISSING else understood(said)
        session = state.session
        if caching is None or isinstance(session, Apart):
            return None
        bind = dict(state.bind_arguments)
        target = session.get_bind(**bind)
        why = self._why_around(state, target)
        if why:
            return self._around(why)
        question = self._asked_in(state, target, caching, bind)
        if isinstance(question, str):
            return self._around(question)
        result = self._result(question, session)
        size = state.execution_options.get("yield_per")
        return result.yield_per(size) if result is not None and size else result

    def _asked_in(
        self, state: ORMExecuteState, target: Any, caching: Caching, bind: dict[str, Any]
    ) -> Question | str:
        """The question that a statement in a session is, or why it has no key. `target`: its engine or connection."""
        session, database = state.session, self.databases.of(target)
        options = dict(state.local_execution_options)
        schemas = state.execution_options.get(SCHEMAS)
        if schemas is None:
            schemas = connected(session, target).get_execution_options().get(SCHEMAS)
        if schemas is not None:
            options[SCHEMAS] = schemas

        def connection() -> sa.Connection:
            return session.connection(bind_arguments=dict(bind))

        asking = database.observer.asking(connection)
        found = self._found(database, (state.statement, state.parameters), schemas, asking)
        if isinstance(found, str):
            return found

        def execute(*about: Any) -> Any:
            # Not closed: the result is fetched from it, and it holds no connection of its own.
            statement, parameters, options = about
            return Apart(session).execute(
                statement, parameters, execution_options=options, bind_arguments=dict(bind)
            )

        about = state.statement, state.parameters, options
        return Question(
            database,
            *found,
            caching,
            about,
            connection,
            execute,
        )

    def _result(self, question: Question, session: Session | None) -> Any:
        frozen = self._answers.answer(question)
        if frozen is None:
            return None
        try:
            return question.plan.thawing.result(frozen, question.about[0], session)
        except Unkeepable as why:
            return self._around(str(why))

    def _said(self, state: ORMExecuteState) -> Caching | None:
        for option in state.user_defined_options:
            if isinstance(option, cached):
                return understood(option)
        if self._models and state.is_select:
            ruled = self._of_models(state)
            if ruled is not None:
                return ruled
        return understood(self._rule(state)) if self._rule is not None else None

    def _of_models(self, state: ORMExecuteState) -> Caching | None:
        """The shortest of the models' rules, if all entities have one."""
        mappers = state.all_mappers
        rules = [self._models.get(mapper.class_) for mapper in mappers]
        found = [rule for rule in rules if rule is not None]
        if not found or len(found) < len(rules):
            return None
        return min(found, key=lambda rule: float("inf") if rule.ttl is None else rule.ttl)

    def _why_around(self, state: ORMExecuteState, target: Any) -> str:
        database = self.databases.of(target)
        if state.is_column_load or _populates(state):
            return "it refreshes objects"
        if isinstance(state.parameters, list):
            return "it has several sets of parameters"
        if self.databases.is_unscoped(database):
            return UNSCOPED
        listeners = list(state.session.dispatch.do_orm_execute)
        if listeners and listeners[-1] != self.on_execute:
            return "another listener of do_orm_execute comes after the cache's: attach the QueryCache last"
        return has_changes(state.session) or why_around(state.session, target, self.databases)

    def _found(
        self, database: Database, about: tuple[Any, Any], schemas: Any, asking: Sequence[Any]
    ) -> tuple[Plan, str] | str:
        """The plan and the key of a statement with parameters, or why it has none."""
        found = database.plans.find(*about, schemas)
        if isinstance(found, str):
            return found
        plan, values = found
        try:
            scope = "" if self._scope is None else spell(self._scope())
            key = plan.key(f"{spell(asking)}:{scope}" if asking else scope, values)
        except InvalidKey as error:
            return f"a parameter has no spelling: {error}"
        return "the result could not be kept lately" if plan.is_left_alone(key) else (plan, key)

    def _around(self, why: str) -> None:
        """Told, and executed as if there were no cache."""
        self.databases.around(why)

    # ---------------------------------------------------------------- connections, and why not

    def execute(
        self,
        connection: sa.Connection,
        statement: Any,
        parameters: Mapping[str, Any] | None = None,
        *,
        cache: Said = True,
    ) -> Any:
        """The result of a statement on a Core connection, from the cache where it may be.

        No public event lets `connection.execute` itself be answered. `cache`: as the execution option of that name.
        With an AsyncConnection: `await connection.run_sync(queries.execute, statement)`.
        """
        caching = understood(cache)
        question = self._asked(connection, statement, parameters, caching)
        if isinstance(question, str):
            self._around(question)
        result = None if isinstance(question, str) else self._result(question, None)
        return connection.execute(statement, parameters or {}) if result is None else result

    def why(self, statement: Any, connection: sa.Connection, parameters: Any = None) -> str:
        """Why a statement would not be cached, were it asked for on this connection now; "" if it would."""
        question = self._asked(connection, statement, parameters, Caching())
        if isinstance(question, str):
            return question
        tags = self._answers.tags(question, connection)
        return tags if isinstance(tags, str) else question.database.observer.may_fill(connection)

    def _asked(
        self, connection: sa.Connection, statement: Any, parameters: Any, caching: Caching | None
    ) -> Question | str:
        """The question that a statement on a connection is, or why it must not be one."""
        if caching is None:
            return "nobody asked for it to be cached"
        database = self.databases.of(connection)
        if database.observer.of(connection).wrote:
            return "the transaction has written"
        if self.databases.is_unscoped(database):
            return UNSCOPED
        options = connection.get_execution_options()
        asking = database.observer.asking(lambda: connection)
        found = self._found(database, (statement, parameters), options.get(SCHEMAS), asking)
        if isinstance(found, str):
            return found

        def execute(statement: Any, parameters: Any, options: Mapping[str, Any]) -> Any:
            return connection.execute(statement, parameters or {}, execution_options=options)

        about = statement, parameters, options
        return Question(database, *found, caching, about, lambda: connection, execute)


def _populates(state: ORMExecuteState) -> bool:
    """Whether objects that the session has are to be filled anew; a legacy Query says so in its own way."""
    if state.execution_options.get("populate_existing"):
        return True
    return state.is_select and bool(getattr(state.load_options, "_populate_existing", False))


def _has_scope(cache: Cache | AsyncCache) -> bool:
    """Whether the cache itself was declared with `scope=`."""
    try:
        return bool(cache.reads.scope.tags())
    except ConfigurationError:  # it was, and nobody is in one now
        return True
