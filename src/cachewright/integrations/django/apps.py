"""The application `cachewright.integrations.django`: put into INSTALLED_APPS, it attaches what CACHEWRIGHT describes.

What must not be here: what a query cache does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    AppConfig = object  # the type checker is not shown Django
else:
    from django.apps import AppConfig


class CachewrightConfig(AppConfig):
    """Cached queries, and template tags for fragments, which need nothing but Django."""

    name = "cachewright.integrations.django"
    label = "cachewright"
    verbose_name = "cachewright"
    default = True
    query_cache: Any = None

    def ready(self) -> None:
        """Attach the query cache of the settings, before the first request."""
        said = getattr(settings, "CACHEWRIGHT", None)
        if said is None or self.query_cache is not None:
            return
        from django.core.checks import register

        from cachewright.integrations.django.checking import check_rules
        from cachewright.integrations.django.configuring import from_settings

        register(check_rules, "caches")
        self.query_cache = from_settings(said).attach()
