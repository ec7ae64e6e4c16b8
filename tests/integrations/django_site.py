"""Django for the tests of this folder: one set of settings a process, and databases that a test has to itself.

What must not be here: models, tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django
from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import connections

APPS = ["integrations.library.apps.Library", "cachewright.integrations.django"]


def set_up() -> None:
    """Once a process, before any model is defined."""
    if not settings.configured:
        settings.configure(INSTALLED_APPS=APPS, USE_TZ=True)
    if not apps.ready:
        django.setup()


def sqlite(path: Any) -> dict[str, Any]:
    """A database in a file, in which writers wait for each other."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }


def postgresql(url: str) -> dict[str, Any]:
    """A database of the server at `url`."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host or "",
        "PORT": str(parts.port or ""),
    }


class ToTheReplica:
    """Reads go to another database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """The replica."""
        return "other"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        """The primary."""
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        """They hold the same."""
        return True


class Databases:
    """The models' tables under aliases, made once a process and emptied after each use."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    @contextmanager
    def use(self, engine: dict[str, Any], alias: str = "default") -> Iterator[Any]:
        """The empty tables of the library under an alias."""
        before = connections.settings.get(alias)
        self.reset(alias, connections.configure_settings({"default": {}, alias: engine})[alias])
        connection = connections[alias]
        models = list(apps.get_app_config("library").get_models(include_auto_created=True))
        models = [model for model in models if model._meta.managed]
        if engine["NAME"] not in self._made:
            with connection.schema_editor() as editor:
                for model in models:
                    if not model._meta.auto_created:
                        editor.create_model(model)
            self._made.add(engine["NAME"])
        try:
            yield connection
        finally:
            tables = [model._meta.db_table for model in models]
            flush = connection.ops.sql_flush(
                no_style(), tables, reset_sequences=True, allow_cascade=True
            )
            connection.ops.execute_sql_flush(flush)
            connection.close()
            self.reset(alias, before)

    @staticmethod
    def reset(alias: str, settings: Any) -> None:
        """Other settings for an alias, from the next connection on; None takes it away."""
        forget(alias)
        if settings is None:
            del connections.settings[alias]
        else:
            connections.settings[alias] = settings


databases = Databases()


def forget(alias: str) -> None:
    """The connection that this thread has under an alias."""
    if hasattr(connections._connections, alias):
        connections[alias].close()
        delattr(connections._connections, alias)
