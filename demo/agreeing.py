"""Who still reads the old row right after a write: the cache that wrote, a second one, plain SQL.

What must not be here: doors, printing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

from demo.doors import Door, Flight
from demo.matrix import Freshness
from demo.racing import changed

WRITES = 200
CONTROLS = 20
PATIENCE = 1.0
"""Seconds that a second cache gets to hear of a write."""


def freshness(here: Door, elsewhere: Door, sql: Door, flights: Sequence[Flight]) -> Freshness:
    """Write each flight through `here`, when `elsewhere` holds it, and read it everywhere at once."""
    old, heard, never = {"here": 0, "elsewhere": 0, "in_sql": 0}, 0.0, False
    for flight in changed(flights[:WRITES], count(20_000)):
        number, wanted = flight["id"], flight["arr_delay"]
        elsewhere.read(number)
        here.write(flight)
        began = time.perf_counter()
        for name, door in (("elsewhere", elsewhere), ("here", here), ("in_sql", sql)):
            old[name] += door.read(number)["arr_delay"] != wanted
        waited = _until(lambda: elsewhere.read(number)["arr_delay"] == wanted, began)  # noqa: B023
        never = never or waited is None
        heard = max(heard, waited or 0.0)
    return Freshness(writes=len(flights[:WRITES]), heard=None if never else heard, **old)


def past_the_cache(elsewhere: Door, sql: Door, flights: Sequence[Flight]) -> int:
    """The control: how many of `CONTROLS` old rows the count sees where nobody tells the cache of a write."""
    old = 0
    for flight in changed(flights[:CONTROLS], count(30_000)):
        elsewhere.read(flight["id"])
        sql.write(flight)
        old += elsewhere.read(flight["id"])["arr_delay"] != flight["arr_delay"]
    return old


def _until(holds: Callable[[], bool], began: float) -> float | None:
    """Seconds from `began` until it holds; None if it does not within `PATIENCE`."""
    while not holds():
        if time.perf_counter() - began > PATIENCE:
            return None
        time.sleep(0.0002)
    return time.perf_counter() - began
