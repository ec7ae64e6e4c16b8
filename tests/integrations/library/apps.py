"""The application of the tests of Django's queries. What must not be here: models."""

from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig


class Library(AppConfig):
    """Authors, books and what belongs to them."""

    name = "integrations.library"
    label = "library"
    path = str(Path(__file__).parent)
    default_auto_field = "django.db.models.BigAutoField"
