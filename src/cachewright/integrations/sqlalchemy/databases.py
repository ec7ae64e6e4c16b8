"""The engines that a query cache knows, each with its observer, its plans, and the compiling of its statements.

What must not be here: sessions, results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from cachewright.core.policy import Seconds, seconds
from cachewright.integrations.sqlalchemy.knowledge import Knowledge
from cachewright.integrations.sqlalchemy.marking import Marks
from cachewright.integrations.sqlalchemy.observing import Observer
from cachewright.integrations.sqlalchemy.plans import Plans, identity_of


class Database:
    """One engine."""

    def __init__(self, engine: sa.Engine, observer: Observer, plans: Plans) -> None:
        self.dialect = engine.dialect
        self.observer = observer
        self.plans = plans

    def compiled(
        self, statement: Any, parameters: Any, options: Mapping[str, Any]
    ) -> tuple[str, Any]:
        """(the text that will be sent, its parameters as the driver takes them, before types have turned them)."""
        schemas = options.get("schema_translate_map")
        compiled = statement.compile(
            dialect=self.dialect,
            schema_translate_map=schemas,
            render_schema_translate=bool(schemas),
        )
        sent = compiled.construct_expanded_state(parameters or None)
        order = sent.positiontup
        return sent.statement, sent.parameters if order is None else sent.positional_parameters


def _whole(engine: sa.Engine) -> sa.Engine:
    """The engine behind one that only has other options: events of that are heard on all of them, and not the other way."""
    proxied = getattr(engine, "_proxied", None)  # it has no public name
    return engine if proxied is None else _whole(proxied)


class Databases:
    """All engines of one query cache."""

    def __init__(
        self,
        cache: Any,
        *,
        name: str | None,
        scoped: bool,
        strict: bool,
        limit: Seconds,
        knows: Mapping[str, Any],
    ) -> None:
        self._cache = cache
        self._name = name
        self._scoped = scoped
        self._knows = knows
        self._marks = Marks(
            cache,
            strict=strict,
            limit=seconds("limit", limit, zero=False),
            after=self._restructured,
        )
        self._known: WeakKeyDictionary[sa.Engine, Database] = WeakKeyDictionary()

    def of(self, bind: sa.Engine | sa.Connection) -> Database:
        """The database of an engine or connection; from now on it is observed."""
        engine = _whole(bind.engine)
        known = self._known.get(engine)
        if known is None:
            known = self._known[engine] = self._made(engine)
        return known

    def _made(self, engine: sa.Engine) -> Database:
        clock = self._cache.engine.monotonic
        knowledge = Knowledge(engine, self.tell, clock=clock, **self._knows)
        identity = identity_of(engine, self._name)
        observer = Observer(engine, knowledge, self._marks, schema=("schema", identity))
        plans = Plans(identity, engine.dialect, knowledge.catalogue.know)
        return Database(engine, observer, plans)

    def is_unscoped(self, database: Database) -> bool:
        """Whether sessions of the engine differ in what a query means, and nobody said in what."""
        return database.observer.settings_changed and not self._scoped

    def _restructured(self) -> None:
        for database in self._known.values():
            database.observer.knowledge.catalogue.stale = True

    def tell(self, kind: str, detail: str) -> None:
        """An event."""
        self._cache.engine.tell(kind, detail=detail)

    def around(self, why: str) -> None:
        """A statement was not served from the cache, and why."""
        self.tell("query_uncached", why)
