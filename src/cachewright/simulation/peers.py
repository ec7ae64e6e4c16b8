"""Other libraries' caches, built as their documentation shows and asked as their users ask them.

Each is imported when it is built, by name, since none of them has to be installed. What must not be
here: settings that make a peer look better or worse than it comes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from importlib import import_module
from typing import Any

_GONE = object()


def cachebox_lru(entries: int) -> Callable[[str], bool]:
    """cachebox.LRUCache."""
    return _with_get(import_module("cachebox").LRUCache(entries))


def cachebox_lfu(entries: int) -> Callable[[str], bool]:
    """cachebox.LFUCache."""
    return _with_get(import_module("cachebox").LFUCache(entries))


def cachetools_lru(entries: int) -> Callable[[str], bool]:
    """cachetools.LRUCache."""
    return _with_get(import_module("cachetools").LRUCache(entries))


def _with_get(cache: Any) -> Callable[[str], bool]:
    get = cache.get

    def access(key: str) -> bool:
        if get(key, _GONE) is not _GONE:
            return True
        cache[key] = None
        return False

    return access


def moka(entries: int) -> Callable[[str], bool]:
    """moka_py.Moka. It evicts in batches of its own timing, so it may hold more for a moment."""
    cache = import_module("moka_py").Moka(entries)
    get, put = cache.get, cache.set

    def access(key: str) -> bool:
        if get(key, _GONE) is not _GONE:
            return True
        put(key, None)
        return False

    return access


def theine(entries: int) -> Callable[[str], bool]:
    """theine.Cache, W-TinyLFU. It samples its hits at random, so two runs differ a little."""
    cache = import_module("theine").Cache(entries)
    get, put = cache.get, cache.set

    def access(key: str) -> bool:
        if get(key)[1]:
            return True
        put(key, None)
        return False

    weakref.finalize(access, cache.close)  # else its maintenance task keeps it alive
    return access
