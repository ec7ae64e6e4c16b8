"""The application whose queries are timed. What must not be here: models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    AppConfig = object  # the type checker is not shown Django
else:
    from django.apps import AppConfig


class Bookshop(AppConfig):
    """Authors and books."""

    name = "benchmarks.peers.bookshop"
    label = "bookshop"
    path = str(Path(__file__).parent)
    default_auto_field = "django.db.models.BigAutoField"
