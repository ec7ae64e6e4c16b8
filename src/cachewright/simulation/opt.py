"""Belady's OPT: the most hits that any policy could have, since it knows the future.

Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
Journal 5(2), 1966. One departure, so that it bounds policies that refuse newcomers too: a key just
read need not be kept. What must not be here: policies that know only the past.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from heapq import heapify, heappop, heappush

_SLACK = 1024


def next_uses(ids: array[int]) -> array[int]:
    """For each request the index of the next one for the same id; `len(ids)` when there is none."""
    never = len(ids)
    after = array("q", [never]) * never
    seen: dict[int, int] = {}
    for index in range(never - 1, -1, -1):
        after[index] = seen.get(ids[index], never)
        seen[ids[index]] = index
    return after


def opt_hits(
    after: array[int], entries: int, progress: Callable[[int], object] | None = None
) -> int:
    """The hits of OPT with room for `entries`; `after` is what `next_uses` gave.

    What is held is named by the request that will hit it. So the farthest of them is the top of a
    heap, and those that were hit lie below all that are still to come: none needs to be looked up.
    `progress` is called with the number of requests done since the last call.
    """
    never, held, hits = len(after), 0, 0
    kept = bytearray(never)
    heap: list[int] = []
    for index, following in enumerate(after):
        if kept[index]:
            hits += 1
            held -= 1
        if following == never:
            continue
        heappush(heap, -following)
        kept[following] = 1
        held += 1
        if held > entries:
            kept[-heappop(heap)] = 0
            held -= 1
        if len(heap) > 4 * held + _SLACK:
            heap = [place for place in heap if -place > index]
            heapify(heap)
        if progress is not None and index % 65_536 == 65_535:
            progress(65_536)
    if progress is not None:
        progress(never % 65_536)
    return hits
