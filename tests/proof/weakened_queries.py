"""The query cache with one of its protections taken out, for controls and for the tests of each protection.

What must not be here: what is measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cachewright.core.tags import table_tag
from cachewright.integrations.sqlalchemy import query_cache
from cachewright.integrations.sqlalchemy.answering import Answers
from cachewright.integrations.sqlalchemy.images import Images
from cachewright.integrations.sqlalchemy.marking import EVERYTHING
from cachewright.integrations.sqlalchemy.observing import Observer
from cachewright.integrations.sqlalchemy.query_loading import NOT_KEPT, Loading
from cachewright.sql import Writes


def tables_by_regular_expression(patch: pytest.MonkeyPatch) -> None:
    """What a query reads is found as the guide finds it; everything else is ours."""

    def tags(question: Any, connection: Any) -> Any:
        text, _ = question.database.compiled(*question.about)
        question.database.observer.meaning(text, connection)
        found = re.findall(r"FROM\s+(\w+)", text, re.IGNORECASE)
        found.extend(re.findall(r"JOIN\s+(\w+)", text, re.IGNORECASE))
        return [table_tag(each.lower()) for each in found]

    patch.setattr(Answers, "tags", staticmethod(tags))
    patch.setattr(Loading, "_depend", lambda self, seen: None)


def no_stamps(patch: pytest.MonkeyPatch) -> None:
    """What was loaded is stored as it is, with whatever stamps its tags have by then."""
    load = Answers._load

    def loads_and_sets(self: Any, question: Any) -> Any:
        with self._cache.bypassed():
            frozen = load(self, question)
        if frozen is not None and NOT_KEPT not in frozen:
            tags = self.tags(question, question.connection())
            if not isinstance(tags, str):
                self._cache.set(question.key, frozen, tags=tags)
        return frozen

    patch.setattr(Answers, "_load", loads_and_sets)


def no_transactions(patch: pytest.MonkeyPatch) -> None:
    """A write invalidates when its statement has run, and nothing happens at the commit."""

    def invalidate(self: Any, connection: Any, tags: Any) -> None:
        cache = self._marks.cache
        if EVERYTHING[0] in tags:
            cache.clear()
        elif tags:
            cache.invalidate(tags=list(tags))

    patch.setattr(Observer, "_enlist", invalidate)


def images_of_the_new_row_alone(patch: pytest.MonkeyPatch) -> None:
    """Where a row was before an update is not asked."""
    patch.setattr(Images, "before", lambda self, connection: None)


def reads_what_it_wrote_into_the_cache(patch: pytest.MonkeyPatch) -> None:
    """A transaction that has written is not known to have."""
    patch.setattr(Observer, "may_fill", lambda self, connection: "")
    patch.setattr(query_cache, "why_around", lambda *about: "")


def no_cascades(patch: pytest.MonkeyPatch) -> None:
    """What a database does by itself is not followed."""
    meaning = Observer.meaning

    def without(self: Any, statement: Any, connection: Any) -> Any:
        found = meaning(self, statement, connection)
        return replace(found, effects=frozenset()) if isinstance(found, Writes) else found

    patch.setattr(Observer, "meaning", without)


def tables_alone(patch: pytest.MonkeyPatch) -> None:
    """Every query depends on its tables as a whole."""
    tags = Answers.tags

    def coarse(question: Any, connection: Any) -> Any:
        found = tags(question, connection)
        if isinstance(found, str):
            return found
        text, _ = question.database.compiled(*question.about)
        meaning: Any = question.database.observer.meaning(text, connection)
        return [table_tag(name) for name in meaning.tables]

    patch.setattr(Answers, "tags", staticmethod(coarse))
    patch.setattr(Loading, "_depend", lambda self, seen: None)


TWINS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "regular expression": tables_by_regular_expression,
    "no stamps": no_stamps,
    "no transactions": no_transactions,
}
"""Those that the issue names."""

MORE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "images of the new row alone": images_of_the_new_row_alone,
    "no cascades": no_cascades,
}
"""Further ones that random writes must catch."""
