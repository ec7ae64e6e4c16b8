"""Experiment: an application with a write-behind gets SIGTERM when ten thousand of its writes are queued.

Once with the database there, and once with it away. Whatever was acknowledged must be in the table, or still in the queue
for the next start; and the application must end in time.
What must not be here: SIGKILL (`write_behind_crashes`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from cachewright.patterns import drain_at_exit, exit_on
from proof import behind
from proof.behind import InMemory, Notes, Shop, opened_shop
from proof.closing import closed_database
from proof.experiment import Experiment, Measured, Number, Run
from rig.processes import Counter, Fleet
from rig.waiting import eventually

DRAIN, GRACE, TOGETHER = 10.0, 1.0, 500
"""Seconds that a drain may take, that the exit may take beyond them, and rows that are written at once."""


def serve(index: int, *, shop: Shop, ready: Counter, rows: int, drain: float) -> None:
    """An application that writes, says so, and waits; the worker is in it. Its batches are not due for long."""
    exit_on()
    door = shop.door(worker=True, drain_timeout=drain)
    drain_at_exit(door)
    _write(index, shop, door.put_many, rows=rows)
    ready.add()
    _await_term()


def serve_from_memory(index: int, *, shop: Shop, ready: Counter, rows: int, drain: float) -> None:
    """The caching guide's: its thread is a daemon, and nothing calls its flush()."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _write(index, shop, InMemory(shop.source(), interval=60.0).put_many, rows=rows)
    ready.add()
    _await_term()


def _write(index: int, shop: Shop, put_many: Any, *, rows: int) -> None:
    notes = Notes(shop, index, "acknowledged")
    for first in range(0, rows, TOGETHER):
        batch = [behind.row(number, 1) for number in range(first, min(first + TOGETHER, rows))]
        put_many(batch)
        notes.add(batch)


def _await_term() -> None:
    while True:
        time.sleep(1)


def measure(run: Run, serving: Any, **ways: float) -> Measured:
    """One application for each of `ways`: whether the database is "there" or "away", and its drain timeout."""
    rows, violations = run.pick(2_000, 10_000), 0
    numbers: dict[str, Number] = {}
    missed: list[str] = []
    with opened_shop({}, interval=600.0, batch=100_000) as (shop, _):
        for way, drain in ways.items():
            found = _terminate(shop, serving, rows=rows, drain=drain, away=way == "away")
            violations += found.violations
            missed += [f"database {way}: {one}" for one in found.missed]
            numbers |= {f"database {way}: {name}": it for name, it in found.numbers.items()}
            shop.forget()
    return Measured(violations, numbers, tuple(missed))


def _terminate(shop: Shop, serving: Any, *, rows: int, drain: float, away: bool) -> Measured:
    with Fleet() as fleet:
        ready = fleet.counter("ready")
        (app,) = fleet.start(serving, 1, shop=shop, ready=ready, rows=rows, drain=drain)
        ready.reach(1, within=60)
        with closed_database(shop, closed=away):
            began = time.monotonic()
            os.kill(app.pid, signal.SIGTERM)
            eventually(lambda: not app.running, within=60)
            took = time.monotonic() - began
            app.kill()  # it is gone, and now known to owe no result
    applied = shop.count("SELECT count(*) FROM stock")
    if serving is serve:
        assert behind.drain(shop, within=60)  # the next start
    return judge(shop, rows=rows, applied=applied, took=took, drain=drain)


def judge(shop: Shop, *, rows: int, applied: int, took: float, drain: float) -> Measured:
    """What was lost, and how long it took."""
    lost, acknowledged = behind.lost_rows(shop)
    assert acknowledged == rows
    numbers: dict[str, Number] = {
        "in flight": rows,
        "applied at the exit": applied,
        "lost": lost,
        "exit after, s": round(took, 2),
        "drain timeout, s": drain,
    }
    missed = (f"exit after {took:.1f} s",) if took > drain + GRACE else ()
    return Measured(lost + shop.count(behind.TWICE), numbers, missed)


EXPERIMENT = Experiment(
    name="drain_on_term",
    what="SIGTERM to an application with 10,000 writes in its queue, with the database there and away",
    target="0 lost, exit <= drain timeout + 1 s",
    ours=lambda run: measure(run, serve, there=DRAIN, away=run.pick(1.0, 5.0)),
    control=lambda run: measure(run, serve_from_memory, there=DRAIN),
    control_is="the caching guide's worker",
)
