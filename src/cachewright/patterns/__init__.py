"""Caching patterns by the names people look for, each a thin door over the engine: the public names, and nothing else.

A name is imported when it is first used, so that a door costs nothing to those who use another.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cachewright.errors import QueueFull

if TYPE_CHECKING:
    from cachewright.patterns._async.cache_aside import AsyncCacheAside as AsyncCacheAside
    from cachewright.patterns._async.dead_letters import AsyncDeadLetters as AsyncDeadLetters
    from cachewright.patterns._async.draining import AsyncWorker as AsyncWorker
    from cachewright.patterns._async.existing import AsyncExisting as AsyncExisting
    from cachewright.patterns._async.read_through import AsyncReadThrough as AsyncReadThrough
    from cachewright.patterns._async.refresh_ahead import AsyncRefreshAhead as AsyncRefreshAhead
    from cachewright.patterns._async.warming import AsyncWarming as AsyncWarming
    from cachewright.patterns._async.write_behind import AsyncWriteBehind as AsyncWriteBehind
    from cachewright.patterns._async.write_through import AsyncWriteThrough as AsyncWriteThrough
    from cachewright.patterns._sync.cache_aside import CacheAside as CacheAside
    from cachewright.patterns._sync.dead_letters import DeadLetters as DeadLetters
    from cachewright.patterns._sync.draining import Worker as Worker
    from cachewright.patterns._sync.existing import Existing as Existing
    from cachewright.patterns._sync.read_through import ReadThrough as ReadThrough
    from cachewright.patterns._sync.refresh_ahead import RefreshAhead as RefreshAhead
    from cachewright.patterns._sync.warming import Warming as Warming
    from cachewright.patterns._sync.write_behind import WriteBehind as WriteBehind
    from cachewright.patterns._sync.write_through import WriteThrough as WriteThrough
    from cachewright.patterns.changes import Backlog as Backlog
    from cachewright.patterns.changes import DeadLetter as DeadLetter
    from cachewright.patterns.lifespan import drain_at_exit as drain_at_exit
    from cachewright.patterns.lifespan import exit_on as exit_on
    from cachewright.patterns.lifespan import lifespan as lifespan
    from cachewright.patterns.outcomes import Available as Available
    from cachewright.patterns.outcomes import Refreshed as Refreshed
    from cachewright.patterns.outcomes import Warmed as Warmed
    from cachewright.patterns.sources import AsyncCallableSource as AsyncCallableSource
    from cachewright.patterns.sources import AsyncEnumerable as AsyncEnumerable
    from cachewright.patterns.sources import AsyncPatchable as AsyncPatchable
    from cachewright.patterns.sources import AsyncSource as AsyncSource
    from cachewright.patterns.sources import AsyncTransactional as AsyncTransactional
    from cachewright.patterns.sources import CallableSource as CallableSource
    from cachewright.patterns.sources import Change as Change
    from cachewright.patterns.sources import Conflict as Conflict
    from cachewright.patterns.sources import Enumerable as Enumerable
    from cachewright.patterns.sources import Patchable as Patchable
    from cachewright.patterns.sources import Position as Position
    from cachewright.patterns.sources import Source as Source
    from cachewright.patterns.sources import Transactional as Transactional
    from cachewright.patterns.sources import Unsavable as Unsavable

_WHERE = {
    "_async.cache_aside": ("AsyncCacheAside",),
    "_async.dead_letters": ("AsyncDeadLetters",),
    "_async.draining": ("AsyncWorker",),
    "_async.existing": ("AsyncExisting",),
    "_async.read_through": ("AsyncReadThrough",),
    "_async.refresh_ahead": ("AsyncRefreshAhead",),
    "_async.warming": ("AsyncWarming",),
    "_async.write_behind": ("AsyncWriteBehind",),
    "_async.write_through": ("AsyncWriteThrough",),
    "_sync.cache_aside": ("CacheAside",),
    "_sync.dead_letters": ("DeadLetters",),
    "_sync.draining": ("Worker",),
    "_sync.existing": ("Existing",),
    "_sync.read_through": ("ReadThrough",),
    "_sync.refresh_ahead": ("RefreshAhead",),
    "_sync.warming": ("Warming",),
    "_sync.write_behind": ("WriteBehind",),
    "_sync.write_through": ("WriteThrough",),
    "changes": (
        "Backlog",
        "DeadLetter",
    ),
    "lifespan": (
        "drain_at_exit",
        "exit_on",
        "lifespan",
    ),
    "outcomes": (
        "Available",
        "Refreshed",
        "Warmed",
    ),
    "sources": (
        "AsyncCallableSource",
        "AsyncEnumerable",
        "AsyncPatchable",
        "AsyncSource",
        "AsyncTransactional",
        "CallableSource",
        "Change",
        "Conflict",
        "Enumerable",
        "Patchable",
        "Position",
        "Source",
        "Transactional",
        "Unsavable",
    ),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "AsyncCacheAside",
    "AsyncCallableSource",
    "AsyncDeadLetters",
    "AsyncEnumerable",
    "AsyncExisting",
    "AsyncPatchable",
    "AsyncReadThrough",
    "AsyncRefreshAhead",
    "AsyncSource",
    "AsyncTransactional",
    "AsyncWarming",
    "AsyncWorker",
    "AsyncWriteBehind",
    "AsyncWriteThrough",
    "Available",
    "Backlog",
    "CacheAside",
    "CallableSource",
    "Change",
    "Conflict",
    "DeadLetter",
    "DeadLetters",
    "Enumerable",
    "Existing",
    "Patchable",
    "Position",
    "QueueFull",
    "ReadThrough",
    "RefreshAhead",
    "Refreshed",
    "Source",
    "Transactional",
    "Unsavable",
    "Warmed",
    "Warming",
    "Worker",
    "WriteBehind",
    "WriteThrough",
    "drain_at_exit",
    "exit_on",
    "lifespan",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
