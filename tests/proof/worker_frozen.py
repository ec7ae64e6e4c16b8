"""Experiment: a worker is frozen with a batch in its hands, past its lease, and resumed when others have gone on.

The worker is a process that sends itself SIGSTOP when a batch has arrived at the source and nothing of it was looked at.
Every row of that batch is written anew and applied by another process before the first goes on. What must not be here: workers
that die (`write_behind_crashes`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import Any

from cachewright.integrations.sqlalchemy import TableSource
from cachewright.patterns import Change, Position
from proof import behind
from proof.behind import Shop, Unguarded, opened_shop
from proof.experiment import Experiment, Measured, Number, Run
from rig.processes import Counter, Fleet, Member, process_state
from rig.waiting import eventually

BATCH, LEASE = 500, 0.3


class Freezing(TableSource[Any]):
    """Stops its process before each batch that is full."""

    arrived: Counter
    settled: Counter

    def apply(
        self, changes: Sequence[Change], position: Position, *, connection: Any = None
    ) -> bool:
        """Frozen first, applied later."""
        full = len(changes) == BATCH
        if full:
            self.arrived.add()
            # To this thread: a signal to the process would let it run on until another thread has taken it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        applied = super().apply(changes, position, connection=connection)
        if full:
            self.settled.add()
        return applied


class FreezingUnguarded(Freezing, Unguarded):
    """The same, applied wherever the position is."""


def work(index: int, *, shop: Shop, arrived: Counter, settled: Counter, guarded: bool) -> None:
    """A worker that will be frozen; at the end of a round it is killed."""
    source = shop.source(Freezing if guarded else FreezingUnguarded)
    source.arrived, source.settled = arrived, settled
    # Nothing short of a whole batch may make it begin.
    shop.door(source, worker=True, interval=20.0).open()
    signal.pause()


def measure(run: Run, *, rounds: int, guarded: bool = True) -> Measured:
    """One worker frozen at a time; each time with rows of its own."""
    options: dict[str, Any] = {"partitions": 1, "batch": BATCH, "lease": LEASE}
    with opened_shop({}, **options) as (shop, _), Fleet() as fleet:
        writes = shop.door(worker=False)
        for number in range(rounds):
            run.say(f"  round {number + 1} of {rounds}") if number % 10 == 9 else None
            counters = {name: fleet.counter(f"{name}-{number}") for name in ("arrived", "settled")}
            (frozen,) = fleet.start(work, 1, shop=shop, guarded=guarded, **counters)
            _overtake(shop, writes, first=number * BATCH, frozen=frozen, **counters)
        writes.close()
        writes.cache.close()
        return judge(shop, rows=rounds * BATCH)


def _overtake(
    shop: Shop, writes: Any, *, first: int, frozen: Member, arrived: Counter, settled: Counter
) -> None:
    """Version 1 is in the hands of the frozen worker, and version 2 in the table, when it resumes."""
    numbers = range(first, first + BATCH)
    writes.put_many([behind.row(number, 1) for number in numbers])
    arrived.reach(1, within=30)
    eventually(lambda: process_state(frozen.pid).startswith("T"), within=10)
    writes.put_many([behind.row(number, 2) for number in numbers])
    assert behind.drain(shop, within=30)
    newest = f"SELECT count(*) FROM stock WHERE version = 2 AND id >= {first}"
    assert shop.count(newest) == BATCH
    frozen.resume()
    settled.reach(1, within=30)
    frozen.kill()


def judge(shop: Shop, *, rows: int) -> Measured:
    """What the table's trigger saw, and what is there now."""
    backwards, twice = shop.count(behind.OLD_OVER_NEW), shop.count(behind.TWICE)
    wrong = rows - shop.count("SELECT count(*) FROM stock WHERE version = 2")
    numbers: dict[str, Number] = {
        "rows in frozen hands": rows,
        "old over new": backwards,
        "applied twice": twice,
        "rows that are old at the end": wrong,
    }
    return Measured(backwards + twice + wrong, numbers)


EXPERIMENT = Experiment(
    name="worker_frozen",
    what="a worker is frozen with 500 rows in its hands, past its lease, and resumed when newer ones are applied",
    target="10,000 rows: 0 old over new",
    ours=lambda run: measure(run, rounds=run.pick(2, 20)),
    control=lambda run: measure(run, rounds=run.pick(1, 4), guarded=False),
    control_is="a source that does not look at the recorded position",
)
