"""The pattern tour: the comparison matrix that guides fill with adjectives, filled with numbers of this run.

What must not be here: how a number is found (`racing`, `agreeing`, `crashing`), printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import sqlalchemy as sa

from cachewright.embedded import EmbeddedServer
from demo import agreeing, crashing
from demo.doors import ASIDE, BEHIND, GUARANTEES, OPEN, SQL, THROUGH, Flight, Place, copied, opened
from demo.matrix import Crash, Freshness, Latency, Pattern
from demo.racing import latencies
from demo.results import Check

LOGGED = {"appendonly": "yes", "appendfsync": "everysec"}
"""What write-behind wants of a server for durability "aof"."""


def matrix(database: str) -> tuple[list[Pattern], list[Check]]:
    """All patterns on one table of the database with this SQLAlchemy URL, which is as before in the end."""
    with EmbeddedServer(config=LOGGED) as server:
        place = Place(database, server.url)
        with place.engine() as engine, copied(engine) as flights:
            fast = _latencies(place, engine, flights)
            fresh, controlled = _freshness(place, engine, flights)
            safe = crashing.crashes(server, place, engine)
    found = [
        Pattern(
            name=name,
            guarantee=GUARANTEES.get(name, "for ever"),
            latency=fast.get(name),
            freshness=fresh.get(name),
            crash=safe.get(name),
        )
        for name in (SQL, *OPEN, crashing.GUIDE)
    ]
    return found, _checks(fast, fresh, safe, controlled=controlled)


def _latencies(place: Place, engine: sa.Engine, flights: Sequence[Flight]) -> dict[str, Latency]:
    with ExitStack() as stack:
        doors = {name: stack.enter_context(opened(name, place, engine)) for name in (SQL, *OPEN)}
        return latencies(doors, flights)


def _freshness(
    place: Place, engine: sa.Engine, flights: Sequence[Flight]
) -> tuple[dict[str, Freshness], int]:
    """Of each pattern, and how many old rows the control saw."""
    found, controlled = {}, 0
    with opened(SQL, place, engine) as sql:
        watch = agreeing.Watch(sql, flights)
        for name in OPEN:
            with (
                opened(name, place, engine) as here,
                opened(name, place, engine) as elsewhere,
            ):
                found[name] = watch.freshness(here, elsewhere)
                if name == ASIDE:
                    controlled = watch.past_the_cache(elsewhere)
    return found, controlled


def _checks(
    fast: dict[str, Latency],
    fresh: dict[str, Freshness],
    safe: dict[str, Crash],
    *,
    controlled: int,
) -> list[Check]:
    whole = [safe[name] for name in (ASIDE, THROUGH, BEHIND)]
    return [
        Check(
            claim="No cache read an old row of its own write, through any pattern",
            holds=not any(each.here for each in fresh.values()),
        ),
        Check(
            claim=f"A second cache was right within {agreeing.PATIENCE:.0f} s of every write",
            holds=all(each.heard is not None for each in fresh.values()),
        ),
        Check(
            claim="Control: a second cache read the old row after each UPDATE that nobody told it of",
            holds=controlled == agreeing.CONTROLS,
        ),
        Check(
            claim="A read from memory was faster than the query, through every pattern",
            holds=all(fast[name].hot < fast[SQL].hot for name in OPEN),
        ),
        Check(
            claim="Killed with kill -9, the cache server too: nothing that was acknowledged is lost",
            holds=all(it.acknowledged >= crashing.ENOUGH and not it.lost for it in whole),
        ),
        Check(
            claim="Control: the queue in memory lost writes that it had acknowledged",
            holds=safe[crashing.GUIDE].lost > 0,
        ),
    ]
