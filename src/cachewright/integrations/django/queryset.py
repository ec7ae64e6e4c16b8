"""Querysets that are cached: `Book.objects.filter(...).cached(60)`, with `objects = CachedManager()`.

Whatever evaluates one goes through the cache: iteration, `get`, `first`, `in_bulk`, slices, `values()`, `count`, `exists`,
`aggregate`, and their asynchronous forms, which Django builds on these. `iterator()` does not: it is for what is too large
to hold. What must not be here: keys, tags, transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Manager

from cachewright.core.policy import Seconds
from cachewright.core.reads import Tags
from cachewright.errors import ConfigurationError
from cachewright.integrations.django.prefetching import with_cached_steps
from cachewright.integrations.django.probing import asked
from cachewright.integrations.django.queries import QueryCache, attached
from cachewright.integrations.django.replay import Compiled, replayed
from cachewright.integrations.django.rules import Rule, call_rule

if TYPE_CHECKING:

    class QuerySet:
        """What of Django's class is used here; the type checker is not shown Django."""

        model: Any
        query: Any
        db: str
        _db: str | None
        _hints: dict[str, Any]
        _for_write: bool
        _result_cache: list[Any] | None
        _prefetch_related_lookups: tuple[Any, ...]

        def __init__(self, model: Any, query: Any, using: Any, hints: Any) -> None: ...
        def _chain(self) -> Self: ...
        def using(self, alias: str) -> Self: ...
        def _clone(self) -> Self: ...
        def _fetch_all(self) -> None: ...
        def count(self) -> int: ...
        def exists(self) -> bool: ...
        def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
        def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]: ...
else:
    from django.db.models import QuerySet

_NEVER = Rule(ttl=0)


class CachedQuerySet(QuerySet):
    """A queryset that can be cached."""

    _rule: Rule | None = None
    """None for that of the model."""

    def cached(self, ttl: Seconds | None = None, *, tags: Tags = ()) -> Self:
        """This query, cached for `ttl` seconds (default: the policy of the cache), whatever the rules say.

        `tags`: beside those of the rows and tables that the statement reads. Raises `ConfigurationError` without a
        `QueryCache`.
        """
        if attached() is None:
            raise ConfigurationError(
                "no query cache: put 'cachewright.integrations.django' into INSTALLED_APPS and CACHEWRIGHT into the "
                "settings, or attach() a QueryCache"
            )
        clone = self._chain()
        clone._rule = call_rule(ttl, tags)
        return clone

    def uncached(self) -> Self:
        """This query, asked of the database, whatever the rules say."""
        clone = self._chain()
        clone._rule = _NEVER
        return clone

    def _clone(self) -> Self:
        clone = super()._clone()
        clone._rule = self._rule
        return clone

    def _caching(self) -> tuple[QueryCache, Rule] | None:
        """The cache and the rule for this query, or None."""
        cache = attached()
        if cache is None or self._for_write:
            return None
        rule = self._rule
        if rule is None:
            rule = cache.rules.find(self.model._meta.label_lower)
        return None if rule is None or rule.ttl == 0 else (cache, rule)

    # ---------------------------------------------------------------- what Django evaluates

    def _fetch_all(self) -> None:
        if self._result_cache is None and (caching := self._caching()) is not None:
            self._result_cache = self._found(*caching)
            if self._prefetch_related_lookups:
                self._prefetch_related_lookups = with_cached_steps(
                    self.model,
                    self._prefetch_related_lookups,
                    lambda queryset: with_rule(queryset, caching[1]),
                )
        super()._fetch_all()

    def _found(self, cache: QueryCache, rule: Rule) -> list[Any] | None:
        """The results, or None for a query that is empty by itself."""
        compiled = self._compiled()
        if compiled is None:
            return None
        statement = (compiled.sql, compiled.params)
        value = cache.answer(
            "rows", compiled.fetch, alias=compiled.alias, statement=statement, rule=rule
        )
        return replayed(self, compiled, value)

    def _compiled(self) -> Compiled | None:
        try:
            return Compiled(self.query, self.db)
        except EmptyResultSet:
            return None

    def count(self) -> int:
        """As Django's, through the cache."""
        return int(self._of_the_rows("count", super().count))

    def exists(self) -> bool:
        """As Django's, through the cache."""
        return bool(self._of_the_rows("exists", super().exists))

    def _of_the_rows(self, kind: str, ask: Callable[[], Any]) -> Any:
        """What is determined by the rows of this query, and so by its statement, though it takes another to ask."""
        caching = self._caching() if self._result_cache is None else None
        compiled = None if caching is None else self._compiled()
        if caching is None or compiled is None:
            return ask()
        statement = (compiled.sql, compiled.params)
        return caching[0].answer(
            kind, ask, alias=compiled.alias, statement=statement, rule=caching[1]
        )

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Django's, through the cache."""

        alias = self.db  # once: a router may send each read to another replica
        there = self.using(alias)

        def ask() -> dict[str, Any]:
            return super(CachedQuerySet, there).aggregate(*args, **kwargs)

        caching = self._caching()
        statement = None if caching is None else asked(connections[alias], ask)
        if caching is None or statement is None:
            return ask()
        found = caching[0].answer(
            "aggregate", ask, alias=alias, statement=statement, rule=caching[1]
        )
        return dict(found)

    # ---------------------------------------------------------------- writes that know more than their statements

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's; new rows are named by the keys that the database gave them."""
        cache = attached()
        if (
            cache is None
            or args
            or kwargs.get("ignore_conflicts")
            or kwargs.get("update_conflicts")
        ):
            return super().bulk_create(objs, *args, **kwargs)
        instances: Sequence[Any] = list(objs)
        self._for_write = True
        with cache.watcher.naming(self.model, self.db, instances):
            return super().bulk_create(instances, **kwargs)


CachedManager: Any = Manager.from_queryset(CachedQuerySet, "CachedManager")
"""The manager of a model whose queries can be cached: `objects = CachedManager()`."""


def cached(queryset: Any, ttl: Seconds | None = None, *, tags: Tags = ()) -> Any:
    """Any queryset as a cached one, for models with managers of their own: `cached(Book.objects.all(), 60)`."""
    return with_rule(queryset, None).cached(ttl, tags=tags)


def with_rule(queryset: Any, rule: Rule | None) -> Any:
    """Any queryset as one that is cached by this rule."""
    found: Any = queryset._chain()
    if not isinstance(found, CachedQuerySet):
        plain, found = found, CachedQuerySet(found.model, found.query, found._db, found._hints)
        skipped = {"_result_cache", "_query"}
        vars(found).update({k: v for k, v in vars(plain).items() if k not in skipped})
    found._rule = rule
    return found
