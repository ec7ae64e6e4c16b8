"""Experiment: one write in a hundred is poison, which the database refuses for ever.

Two phases in one run, the same but for the poison. How long a write took to reach the table is the time that the table's
trigger notes less the time of its acknowledgement, which is its version. Then the cause goes away, and all dead letters are
tried again. What must not be here: a database that is away (`source_away`).
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cachewright.patterns import Change, DeadLetters, WriteBehind
from cachewright.patterns._sync.shards import Away, Shard
from proof import behind
from proof.behind import Shop, opened_shop
from proof.experiment import Experiment, Measured, Number, Run
from rig.percentiles import percentile

DELIVERIES, SHARE, RATE, FACTOR = 5, 0.01, 400, 2.0
"""Tries, share of poison, writes a second, and how many times as long the others' 99th percentile may be."""
LATENCIES = (
    "SELECT id, extract(epoch FROM at) - version / 1e9 FROM applied WHERE id BETWEEN {} AND {}"
)


def write(door: Any, numbers: Sequence[int], *, poison: set[int]) -> None:
    """One row after the other at a steady rate; each row's version is the time at which it was queued."""
    began = time.monotonic()
    for place, number in enumerate(numbers):
        time.sleep(max(0.0, began + place / RATE - time.monotonic()))
        door.put(behind.row(number, time.time_ns(), "poison" if number in poison else ""))


def latencies(shop: Shop, numbers: range) -> dict[int, float]:
    """Seconds to the table by row, of those that got there."""
    rows = shop.ask(LATENCIES.format(numbers[0], numbers[-1]))
    return {int(number): float(seconds) for number, seconds in rows}


@contextlib.contextmanager
def _patient(alone: bool) -> Iterator[None]:
    """Unless `alone`, nobody looks for the poison in a batch: all of it is tried again, and again."""

    def retry_all(self: Shard, entries: Any, changes: dict[str, Change], error: Exception) -> Any:
        raise Away(str(error)) from error

    with pytest.MonkeyPatch.context() as patch:
        if not alone:
            patch.setattr(Shard, "_after_refusal", retry_all)
        yield


@contextlib.contextmanager
def _opened(shop: Shop) -> Iterator[WriteBehind]:
    door = shop.door(worker=True, drain_timeout=0)
    with door.cache, door:
        yield door


def measure(run: Run, *, rows: int, alone: bool = True) -> Measured:
    """So many rows without and with poison."""
    plain, mixed, warm = range(rows), range(rows, 2 * rows), range(2 * rows, 2 * rows + 50)
    poison = set(random.Random(run.seed).sample(mixed, max(1, round(rows * SHARE))))
    with (
        opened_shop({}, interval=0.1, deliveries=DELIVERIES) as (shop, _),
        _patient(alone),
        _opened(shop) as door,
    ):
        write(door, warm, poison=set())  # the worker has its share from now on
        assert door.flush(20)
        write(door, plain, poison=set())
        assert door.flush(20)
        write(door, mixed, poison=poison)
        _await_dead(door, len(poison), within=run.pick(6.0, 60.0) if alone else 3.0)
        before, after = latencies(shop, plain), latencies(shop, mixed)
        letters = DeadLetters(door).letters()
        shop.ask("ALTER TABLE stock DROP CONSTRAINT no_poison")
        retried = DeadLetters(door).retry()
        door.flush(10 if alone else 3)
        healed = poison & shop.content().keys()
    usual = percentile([*before.values()], 0.99)
    late = percentile([*after.values()], 0.99) / usual
    missing = len(mixed) - len(poison) - len(after.keys() - poison)
    tries = sum(letter.deliveries != DELIVERIES for letter in letters)
    numbers: dict[str, Number] = {
        "rows": len(mixed),
        "poison": len(poison),
        "p99 without poison, ms": round(usual * 1000, 1),
        "p99 of the others, times": round(late, 2),
        "others that were not applied": missing,
        "dead letters": len(letters),
        "of them after another number of tries": tries,
        "retried": retried,
        "in the table once the cause is gone": len(healed),
    }
    wrong = missing + abs(len(poison) - len(letters)) + tries + len(poison - healed)
    missed = (f"p99 of the others {late:.2f} times as long",) if late > FACTOR else ()
    return Measured(wrong, numbers, missed)


def _await_dead(door: Any, count: int, *, within: float) -> None:
    """Until so many letters are dead and nothing waits, or the time is up: who is missing then is counted."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        backlog = door.backlog()
        waiting = sum(each.entries + each.parked for each in backlog)
        if not waiting and sum(each.dead for each in backlog) >= count:
            return
        time.sleep(0.05)


EXPERIMENT = Experiment(
    name="poison_writes",
    what="1 % of the writes are refused by PostgreSQL for ever; later the cause goes away",
    target="the others' p99 <= 2 times; all poison dead after 5 tries, and applied by a retry once the cause is gone",
    ours=lambda run: measure(run, rows=run.pick(200, 10_000)),
    control=lambda run: measure(run, rows=run.pick(200, 2_000), alone=False),
    control_is="a worker that tries the whole batch again",
)
