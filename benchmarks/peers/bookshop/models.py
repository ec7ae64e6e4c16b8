"""Authors and books, the same for all competitors; only ours names its manager. What must not be here: anything timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models

if TYPE_CHECKING:
    Model = object  # the type checker is not shown Django
else:
    Model = models.Model


def manager() -> Any:
    """The one that each competitor asks for."""
    if not apps.is_installed("cachewright.integrations.django"):
        return models.Manager()
    from cachewright.integrations.django import CachedManager

    return CachedManager()


class Author(Model):
    """Has a hundred books."""

    name = models.CharField(max_length=50)

    objects = manager()


class Book(Model):
    """One row of eight columns."""

    author = models.ForeignKey(Author, models.CASCADE)
    title = models.CharField(max_length=100, db_index=True)
    stock = models.IntegerField()
    pages = models.IntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2, default=1)
    printed = models.DateField(null=True)
    changed = models.DateTimeField(auto_now=True)

    objects = manager()
