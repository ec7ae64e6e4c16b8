"""The names of `core.identities` that sources need. Nothing of its own."""

from cachewright.core.identities import (
    Identity,
    canonical,
    canonical_key,
    distinct,
    parts_of,
)

__all__ = ["Identity", "canonical", "canonical_key", "distinct", "parts_of"]
