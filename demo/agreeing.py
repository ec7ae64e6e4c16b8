"""Who still reads the old row right after a write: the cache that wrote, a second one, plain SQL.

What must not be here: doors, printing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from math import inf

from demo.doors import Door, Flight
from demo.matrix import Freshness
from demo.racing import changed

WRITES = 200
CONTROLS = 20
PATIENCE = 1.0
"""Seconds that a second cache gets to hear of a write."""


class Watch:
    """Watches writes of these flights. Each write has a value that nothing had before, whoever wrote last."""

    def __init__(self, sql: Door, flights: Sequence[Flight]) -> None:
        self._sql = sql
        self._flights = flights
        self._news = count(20_000)

    def freshness(self, here: Door, elsewhere: Door) -> Freshness:
        """Write each flight through `here`, when `elsewhere` holds it, and read it everywhere at once."""
        old, heard = Counter[str](), [0.0]
        for flight in changed(self._flights[:WRITES], self._news):
            elsewhere.read(flight["id"])
            here.write(flight)
            began = time.perf_counter()
            for name, door in (("elsewhere", elsewhere), ("here", here), ("sql", self._sql)):
                old[name] += not _is_new(door, flight)
            heard.append(_until(partial(_is_new, elsewhere, flight), began))
        return Freshness(
            writes=len(heard) - 1,
            here=old["here"],
            elsewhere=old["elsewhere"],
            in_sql=old["sql"],
            heard=max(heard) if max(heard) <= PATIENCE else None,
        )

    def past_the_cache(self, elsewhere: Door) -> int:
        """The control: how many of `CONTROLS` old rows are seen where nobody tells the cache of a write."""
        old = 0
        for flight in changed(self._flights[:CONTROLS], self._news):
            elsewhere.read(flight["id"])
            self._sql.write(flight)
            old += not _is_new(elsewhere, flight)
        return old


def _is_new(door: Door, flight: Flight) -> bool:
    return bool(door.read(flight["id"]) == flight)


def _until(holds: Callable[[], bool], began: float) -> float:
    """Seconds from `began` until it holds; more than `PATIENCE` if it does not."""
    while not holds():
        if time.perf_counter() - began > PATIENCE:
            return inf
        time.sleep(0.0002)
    return time.perf_counter() - began
