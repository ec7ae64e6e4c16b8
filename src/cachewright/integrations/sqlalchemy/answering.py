"""Answers a statement that may be cached: a hit, or a load on the connection of whoever asks, kept under its tags.

What must not be here: sessions, who may be answered, how results are made of plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from cachewright.core.tags import table_tag
from cachewright.integrations.sqlalchemy.caching import Caching
from cachewright.integrations.sqlalchemy.databases import Database
from cachewright.integrations.sqlalchemy.freezing import Frozen
from cachewright.integrations.sqlalchemy.plans import Plan
from cachewright.integrations.sqlalchemy.query_loading import NOT_KEPT, Execute, Loading
from cachewright.integrations.sqlalchemy.waiting import loaded
from cachewright.sql import Reads


@dataclass(slots=True)
class Question:
    """One execution of a statement. `connection` gives the one that it would run on; asked for on a miss alone."""

    database: Database
    plan: Plan
    key: str
    caching: Caching
    about: tuple[Any, Any, Mapping[str, Any]]
    """Statement, parameters, execution options."""
    connection: Callable[[], sa.Connection]
    execute: Execute


class Answers:
    """Answers from one cache. `around(why)` is told of each question that has none."""

    def __init__(self, cache: Any, max_rows: int, around: Callable[[str], None]) -> None:
        self._cache = cache
        self._max_rows = max_rows
        self._around = around

    def answer(self, question: Question) -> Frozen | None:
        """The result as plain data; None if the statement has to be executed as if there were no cache."""
        if question.caching.delay is not None:
            found = self._delayed(question, question.caching.delay)
        else:
            found = self._get(question.key)
            if found is None:
                found = self._load(question)
        if (
            found is not None
            and NOT_KEPT not in found
            and question.plan.thawing.lacks_loaders(found)
        ):
            with self._cache.refreshed():
                found = self._load(question)
        return None if found is None or NOT_KEPT in found else found

    def _get(self, key: str) -> Frozen | None:
        found = loaded(self._cache.get(key, None))
        return found if isinstance(found, dict) else None

    def _load(self, question: Question) -> Frozen | None:
        connection = question.connection()
        observer, caching = question.database.observer, question.caching
        tags = self.tags(question, connection)
        # Then: to find them out may have taken the snapshot that is read from.
        why = tags if isinstance(tags, str) else observer.may_fill(connection)
        if why:
            self._around(why)
            return None
        loading = Loading(
            observer, question.plan, connection, max_rows=caching.max_rows or self._max_rows
        )
        load = partial(
            loading.run, question.execute, *question.about, declared=caching.reads is not None
        )
        frozen: Frozen = loaded(
            lambda run: self._cache.get_or_load(question.key, run, tags=tags, ttl=caching.ttl), load
        )
        if NOT_KEPT in frozen:
            question.plan.leave_alone(question.key)
            self._around(frozen[NOT_KEPT])
        return frozen

    @staticmethod
    def tags(question: Question, connection: sa.Connection) -> Sequence[Any] | str:
        """What the result depends on, or why nobody can say."""
        caching = question.caching
        schema = question.database.observer.schema
        if caching.reads is not None:
            return [schema, *caching.tags, *map(table_tag, caching.reads)]
        text, parameters = question.database.compiled(*question.about)
        meaning = question.database.observer.meaning(text, connection)
        if not isinstance(meaning, Reads):
            return getattr(meaning, "reason", None) or "it writes"
        tags = meaning.tags(parameters)
        if tags is None:
            return meaning.why_not(parameters) or "its parameters do not allow it"
        return [schema, *caching.tags, *tags]

    def _delayed(self, question: Question, delay: float) -> Frozen | None:
        """Served for `delay` seconds whatever is written; then compared with the stamps, and loaded if they moved."""
        late = f"{question.key}:late"
        frozen = self._get(late)
        if frozen is not None:
            return frozen
        monotonic = self._cache.engine.monotonic
        began = monotonic()
        frozen = self._get(question.key)
        if frozen is None:
            frozen = self._load(question)
        left = delay - (monotonic() - began)
        if frozen is not None and NOT_KEPT not in frozen and left > 0:
            loaded(self._cache.set(late, frozen, ttl=left, tags=question.caching.tags))
        return frozen
