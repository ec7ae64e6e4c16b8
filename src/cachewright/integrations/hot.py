"""What the template engines share: the short way to a cached text, and the policy that blocks of pages are cached under.

What must not be here: anything about one engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cachewright import AsyncCache, Cache, Policy
from cachewright.core.entry import Entry
from cachewright.core.loading import LIVE, undisturbed

AnyCache = Cache | AsyncCache


def hits(cache: AnyCache) -> Callable[[str], Any]:
    """A function that gives the cached text of a key, if that needs no thought; else None.

    Inside a load nothing is without thought, since the load takes over the stamps of what it reads.
    """
    table, tags, engine = cache.table, cache.engine.tags, cache.engine
    monotonic, ticks = engine.monotonic, engine.stats.l1_hits.ticks

    def hit(key: str) -> Any:
        entry: Entry | None = table.get(key)
        if (
            entry is None
            or monotonic() >= entry.hot_until
            or not (entry.epoch == tags.epoch or tags.renew(entry))
            or (LIVE and not undisturbed())
        ):
            return None
        if entry.freq < 3:
            entry.freq += 1
        for _ in ticks:
            break
        return entry.value

    return hit


def foreground(policy: Policy) -> Policy:
    """The policy without what refreshes in the background.

    A block is rendered only by the page it stands in and while that page is: its variables are the page's, which by
    another time or in another thread are those of the next round of a loop.
    """
    timeouts = replace(policy.timeouts, load_soft=None)
    return policy.but(stale=0, refresh_ahead=None, beta=0.0, timeouts=timeouts)
