"""Experiment: the database goes away for a while, and writes go on until the queue is at its limit.

One process writes as fast as it is let, refused when the queue is full, and looks at the memory of the server and of itself.
PostgreSQL refuses all sessions meanwhile. Then it comes back, and the queue is drained by a worker of its own.
What must not be here: how a single write is refused (`poison_writes`).
"""

from __future__ import annotations

import contextlib
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from cachewright.patterns import QueueFull
from proof import behind
from proof.behind import InMemory, Notes, Shop, opened_shop
from proof.closing import closed_database
from proof.experiment import Experiment, Measured, Number
from rig.waiting import eventually

TOGETHER, SLACK = 200, 0.10
"""Rows a call, and how much memory may grow once the queue is full."""
PAGE = resource.getpagesize()


@dataclass
class Seen:
    """What the writer saw. `memory`: bytes of server and process, each time that a write was refused or half a second was over."""

    accepted: int = 0
    refused: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)


def _own_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def write_until(deadline: float, *, door: Any, shop: Shop, client: Any, seen: Seen) -> None:
    """New rows all the time. A refused call may have queued some of its rows, so only whole ones count as acknowledged."""
    begun, acknowledged = Notes(shop, 0, "begun"), Notes(shop, 0, "acknowledged")
    number, version, looked = 0, 1, 0.0
    while time.monotonic() < deadline:
        batch = [behind.row(n, version) for n in range(number, number + TOGETHER)]
        begun.add(batch)
        try:
            door.put_many(batch)
        except QueueFull:
            seen.refused += TOGETHER
            version += 1  # the same rows again, one version on
            time.sleep(0.05)
        else:
            acknowledged.add(batch)
            seen.accepted += TOGETHER
            number += TOGETHER
        if time.monotonic() > looked + 0.5:
            looked = time.monotonic()
            seen.memory.append((client.info("memory")["used_memory"], _own_memory()))


def measure(*, seconds: float, limit: int, goal: int) -> Measured:
    """Away for so long, with a queue of that limit; `goal`: rows a second that the drain has to reach."""
    seen = Seen()
    options: dict[str, Any] = {"limit": limit, "when_full": "refuse", "interval": 0.1}
    with (
        opened_shop({}, **options) as (shop, server),
        redis.Redis.from_url(server.url) as client,
    ):
        door = shop.door(worker=True)
        with door.cache, door:
            with closed_database(shop):
                deadline = time.monotonic() + seconds
                write_until(deadline, door=door, shop=shop, client=client, seen=seen)
                waiting = sum(each.entries + each.parked for each in door.backlog())
            back = time.monotonic()
            # The worker tries again after a pause, which is no part of its speed.
            eventually(lambda: shop.count("SELECT count(*) FROM stock"), within=30)
            began = time.monotonic()
            assert door.flush(120)
            drained, rate = time.monotonic() - back, waiting / (time.monotonic() - began)
        lost, acknowledged = behind.lost_rows(shop)
        twice = shop.count(behind.TWICE)
        grown = max(after / before for before, after in zip(*_middle_and_end(seen), strict=True))
        numbers: dict[str, Number] = {
            "seconds away": seconds,
            "acknowledged": acknowledged,
            "refused": seen.refused,
            "waiting when it came back": waiting,
            "limit": limit,
            "lost": lost,
            "applied twice": twice,
            "memory in the second half, times": round(grown, 3),
            "drained, rows/s": round(rate),
            "drained after, s": round(drained, 1),
        }
        over = max(0, waiting - limit)
        missed = (*_if(rate < goal, f"{rate:.0f} rows/s"), *_if(grown > 1 + SLACK, "memory grew"))
        assert seen.refused, "the queue was never full"
        return Measured(lost + twice + over, numbers, missed)


def _middle_and_end(seen: Seen) -> tuple[tuple[int, int], tuple[int, int]]:
    return seen.memory[len(seen.memory) // 2], seen.memory[-1]


def _if(condition: bool, what: str) -> tuple[str, ...]:
    return (what,) if condition else ()


def control(*, seconds: float, limit: int) -> Measured:
    """The guide's queue has no limit, and its worker drops what the database did not take."""
    with opened_shop({}) as (shop, _):
        memory, notes, number = InMemory(shop.source()), Notes(shop, 0, "acknowledged"), 0
        with closed_database(shop), contextlib.suppress(MemoryError):
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                batch = [behind.row(n, 1) for n in range(number, number + TOGETHER)]
                memory.put_many(batch)
                notes.add(batch)
                number += TOGETHER
                time.sleep(0.002)
        time.sleep(1.0)
        memory.close()
        lost, acknowledged = behind.lost_rows(shop)
        return Measured(
            lost + max(0, acknowledged - limit),
            {"acknowledged": acknowledged, "lost": lost, "refused": 0},
        )


EXPERIMENT = Experiment(
    name="source_away",
    what="PostgreSQL refuses everybody for 60 s while writes go on; the queue reaches its limit",
    target="0 lost, memory flat, drained at 5,000 rows/s or more",
    ours=lambda run: measure(
        seconds=run.pick(2.0, 60.0), limit=run.pick(2_000, 100_000), goal=run.pick(0, 5_000)
    ),
    control=lambda run: control(seconds=run.pick(0.5, 5.0), limit=run.pick(2_000, 100_000)),
    control_is="the caching guide's queue, which has no limit and drops what the database did not take",
)
