"""cachewright: one write, and every layer above it is right.

The public names, and nothing else. Importing this package loads no third-party module; the first use of `Cache` or
`AsyncCache` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cachewright.core.loading import current_load
from cachewright.core.policy import AdaptiveTtl, Policy, Timeouts
from cachewright.core.tag_index import TagIndex
from cachewright.errors import (
    CacheError,
    CodecError,
    ConfigurationError,
    InvalidKey,
    LoadTimeout,
    QueueFull,
    RemoteError,
    RemoteTimeout,
    RemoteUnavailable,
    Unstorable,
)
from cachewright.types import ABSENT, MISSING

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache as AsyncCache
    from cachewright._sync.cache import Cache as Cache

__all__ = [
    "ABSENT",
    "MISSING",
    "AdaptiveTtl",
    "AsyncCache",
    "Cache",
    "CacheError",
    "CodecError",
    "ConfigurationError",
    "InvalidKey",
    "LoadTimeout",
    "Policy",
    "QueueFull",
    "RemoteError",
    "RemoteTimeout",
    "RemoteUnavailable",
    "TagIndex",
    "Timeouts",
    "Unstorable",
    "current_load",
]

_LATER = {"Cache": "cachewright._sync.cache", "AsyncCache": "cachewright._async.cache"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'cachewright' has no attribute {name!r}")
    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value
