"""Loads the result of a statement from the database as plain data, on the connection of whoever wants it.

Entities are loaded into a session of their own: what the caller's session holds may be older than the database, or changed
and not written, and must not get into the cache. What must not be here: keys, hits, events of users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cachewright.core.loading import current_load
from cachewright.integrations.sqlalchemy.column_values import Unkeepable
from cachewright.integrations.sqlalchemy.freezing import Frozen, freeze
from cachewright.integrations.sqlalchemy.observing import Observer
from cachewright.integrations.sqlalchemy.plans import Plan
from cachewright.sql import Reads

_NOT_HANDED_ON = ("cache", "yield_per", "stream_results", "max_row_buffer", "_sa_orm_load_options")
NOT_KEPT = "not kept"
"""The only entry of what stands for a result that cannot be kept: why."""

Execute = Callable[[Any, Any, Mapping[str, Any]], Any]


class Apart(Session):
    """A session for one load, on the connections of another."""

    def __init__(self, of: Session) -> None:
        super().__init__(
            autoflush=False, expire_on_commit=False, join_transaction_mode="rollback_only"
        )
        self._of = of
        self._connection: sa.Connection | None = None
        inherited = list(self.dispatch.do_orm_execute)
        for listener in list(of.dispatch.do_orm_execute)[:-1]:  # the last one is the cache's
            if listener not in inherited:
                sa.event.listen(self, "do_orm_execute", _for_later_loads(listener))

    def get_bind(self, mapper: Any = None, **arguments: Any) -> Any:
        """The connection that the other session uses for it."""
        arguments.pop("_sa_skip_events", None)
        arguments.pop("_sa_skip_for_implicit_returning", None)
        found = self._of.connection(bind_arguments={"mapper": mapper, **arguments})
        if self._connection is not None and found is not self._connection:
            raise Unkeepable("it reads from several databases")
        self._connection = found
        return found


def _for_later_loads(listener: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What the statement itself became by the listener it is already; what loads its relationships is not."""
    return lambda state: listener(state) if state.is_relationship_load else None


class Loading:
    """One load. Its result is plain data, or says why it cannot be kept."""

    def __init__(
        self, observer: Observer, plan: Plan, connection: sa.Connection, *, max_rows: int
    ) -> None:
        self._observer = observer
        self._plan = plan
        self._connection = connection
        self._max_rows = max_rows

    def run(
        self,
        execute: Execute,
        statement: Any,
        parameters: Any,
        options: Mapping[str, Any],
        *,
        declared: bool,
    ) -> Frozen:
        """Execute and freeze. `declared`: the tables of the statement itself were named by its author."""
        handed_on = {name: v for name, v in options.items() if name not in _NOT_HANDED_ON}
        observed = self._observer.of(self._connection)
        seen: list[tuple[str, Any]] = []
        observed.listener = lambda text, sets: seen.append((text, sets))
        try:
            keys, rows = self._fetched(execute, statement, parameters, handed_on)
            if len(rows) > self._max_rows:
                return self._refused(f"more than {self._max_rows} rows (max_rows)")
            types = self._plan.described.types
            types = types if len(types) == len(keys) else [None] * len(keys)
            frozen = freeze(keys, rows, types, self._plan.thawing.loaders)
        except Unkeepable as why:
            return self._refused(str(why))
        finally:
            observed.listener = None
        why_not = self._depend(seen[declared:])
        return frozen if why_not is None else self._refused(why_not)

    def _fetched(self, execute: Execute, *about: Any) -> tuple[Sequence[str | None], Sequence[Any]]:
        if not self._plan.unique:
            result = execute(*about)
            keys = self._keys(result)
            try:
                return keys, result.fetchmany(self._max_rows + 1)
            except sa.exc.InvalidRequestError as error:
                if "unique()" not in str(error):
                    raise
            self._plan.unique = True
        result = execute(*about).unique()
        return self._keys(result), result.fetchmany(self._max_rows + 1)

    def _keys(self, result: Any) -> Sequence[str | None]:
        """The names of the elements of a row; a result itself leaves those out that have none."""
        keys = list(result.keys())
        names = self._plan.described.names
        return names if len(names) > len(keys) else keys

    def _depend(self, seen: Sequence[tuple[str, Any]]) -> str | None:
        """Name what the statements that were really sent depend on; why nobody can say, if so."""
        load = current_load()
        for text, sets in seen:
            meaning = self._observer.meaning(text, self._connection)
            tags = meaning.tags(sets[0]) if isinstance(meaning, Reads) and len(sets) == 1 else None
            if tags is None:
                return getattr(meaning, "reason", None) or "a statement of the load is no query"
            load.tag(*tags)
        return None

    @staticmethod
    def _refused(why: str) -> Frozen:
        current_load().gather(None)  # the callers of this moment get it, and nobody else
        return {NOT_KEPT: why}
