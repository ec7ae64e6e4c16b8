"""What `manage.py check` says of the rules: a model that does not exist, one whose manager does not ask the cache.

What must not be here: rules themselves.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's names

from cachewright.integrations.django.queries import attached


def check_rules(app_configs: Any = None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - as Django calls it
    """One message for each rule that cannot work."""
    cache = attached()
    found = [] if cache is None else [_checked(label) for label in cache.rules.labels()]
    return [message for message in found if message is not None]


def _checked(label: str) -> CheckMessage | None:
    from cachewright.integrations.django.queryset import CachedQuerySet

    try:
        model = apps.get_model(label)
    except LookupError:
        return Error(
            f"CACHEWRIGHT has a rule for {label}, which is no model", id="cachewright.E001"
        )
    if isinstance(model._default_manager.get_queryset(), CachedQuerySet):
        return None
    return Warning(
        f"the rule for {label} has no effect: its manager does not ask the cache",
        hint="objects = CachedManager(), or cached(queryset, ttl) where the query is made",
        id="cachewright.W001",
    )
