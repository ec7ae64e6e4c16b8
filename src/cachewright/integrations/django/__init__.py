"""Django: models as sources of values. Needs the extra `django`."""

from __future__ import annotations

from cachewright.integrations.django.source import ModelSource
from cachewright.integrations.django.transactions import DjangoTransaction

__all__ = ["DjangoTransaction", "ModelSource"]
