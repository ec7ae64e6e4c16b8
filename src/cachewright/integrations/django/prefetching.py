"""The queries that `prefetch_related` makes, cached as the one that they belong to.

Each step of a lookup gets the queryset that Django would have taken for it, made a cached one. A step whose model has a
manager of its own kind, or whose relation is generic, is left to Django.
What must not be here: keys, tags, caching itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Prefetch, QuerySet

Wrap = Callable[[Any], Any]


def with_cached_steps(model: Any, lookups: Sequence[Any], wrap: Wrap) -> tuple[Any, ...]:
    """The lookups with a cached queryset for each step that has none yet. `wrap` makes a queryset a cached one."""
    # A step that has a queryset somewhere keeps it: Django refuses two.
    taken = {each.prefetch_to for each in lookups if isinstance(each, Prefetch)}
    found: list[Any] = []
    for lookup in lookups:
        path = lookup if isinstance(lookup, str) else None
        if path is not None:
            for step, queryset in _steps(model, path):
                if step not in taken:
                    taken.add(step)
                    found.append(Prefetch(step, wrap(queryset)))
        found.append(lookup)
    return tuple(found)


def _steps(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The steps of a lookup up to the first that is left to Django, each with its default queryset."""
    names = path.split("__")
    for n, name in enumerate(names):
        relation = _relation(model, name)
        if relation is None:
            return
        model, manager = relation
        queryset = manager.get_queryset()
        if type(queryset) is not QuerySet and not hasattr(queryset, "cached"):
            return
        yield "__".join(names[: n + 1]), queryset


def _relation(model: Any, name: str) -> tuple[Any, Any] | None:
    """The model at the other end and the manager that Django asks it by."""
    field = _field(model, name)
    if field is None or not field.is_relation or field.related_model is None:
        return None
    other = field.related_model
    single = field.many_to_one or field.one_to_one
    return other, (other._base_manager if single else other._default_manager)


def _field(model: Any, name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        reverse = (each for each in model._meta.related_objects if each.get_accessor_name() == name)
        return next(reverse, None)
