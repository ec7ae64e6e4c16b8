"""Experiment: eight processes invalidate all the time, and each must hear all of the others.

What must not be here: what values readers see meanwhile (`stale_set`, `observer`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachewright import Cache
from cachewright._sync.engine import Engine
from cachewright.embedded import EmbeddedServer
from cachewright.redis import messages
from cachewright.redis.messages import Invalidation
from proof.copies import COPYING, NO_COPIES, CashewsCopies
from proof.experiment import Experiment, Measured, Number, Run
from proof.peering import peer
from rig.percentiles import milliseconds, missed, percentile
from rig.processes import Barrier, Fleet
from rig.subjects import PATIENT

PROCESSES = 8
P99, LONGEST = 0.010, 0.100
QUIET = 2.0
"""Seconds in which the last invalidations may still arrive before they count as lost."""


@dataclass(frozen=True)
class Job:
    """What each process is given. `rate`: invalidations a second; `dropped`: which share it does not hear."""

    url: str
    count: int
    rate: float
    seed: int
    filled: Barrier
    start: Barrier
    finished: Barrier
    dropped: float = 0.0


@dataclass
class Recorded:
    """Names invalidated here with the time of the call, and names heard of with the time they were forgotten."""

    sent: dict[str, float]
    heard: dict[str, float]


def work(index: int, *, job: Job) -> Recorded:
    """One process: invalidates at its rate, and notes what it hears."""
    recorded = Recorded({}, {})
    _note_what_is_heard(recorded.heard)
    _drop_some(random.Random(f"{job.seed} {index}"), job.dropped)
    with Cache(job.url, policy=PATIENT) as cache:
        cache.invalidate("open a connection")

        def invalidate(name: str, n: int) -> None:
            if n % 2:
                cache.invalidate(name)
            else:
                cache.invalidate(tags=[name])

        _invalidate_all(index, job, recorded, invalidate)
    return recorded


def work_with_cashews(index: int, *, job: Job) -> Recorded:
    """The same with cashews: the server tells only of keys that it has, so they are stored first."""
    recorded = Recorded({}, {})

    def note(name: str) -> None:
        recorded.heard[name] = time.monotonic()

    cache = CashewsCopies(job.url, note)
    for n in range(job.count):
        cache.read(f"{index}-{n}", lambda: 1)
    job.filled.wait(within=60)
    time.sleep(QUIET)
    recorded.heard.clear()
    _invalidate_all(index, job, recorded, lambda name, n: cache.forget(name))
    cache.close()
    return recorded


def _invalidate_all(
    index: int, job: Job, recorded: Recorded, invalidate: Callable[[str, int], None]
) -> None:
    job.start.wait(within=60)
    began = time.monotonic()
    for n in range(job.count):
        time.sleep(max(0.0, began + n / job.rate - time.monotonic()))
        name = f"{index}-{n}"
        recorded.sent[name] = time.monotonic()
        invalidate(name, n)
    job.finished.wait(within=120)
    time.sleep(QUIET)


def _note_what_is_heard(heard: dict[str, float]) -> None:
    really = Engine.heard

    def noting(self: Engine, message: Invalidation) -> None:
        really(self, message)
        now = time.monotonic()
        for name in message.keys:
            heard[name] = now
        for name in message.tags:
            heard[name.removeprefix("t:")] = now

    setattr(Engine, "heard", noting)  # noqa: B010 - instruments the real thing


def _drop_some(draw: random.Random, share: float) -> None:
    """The control: a bus that loses messages on a link that stays up."""
    really = messages.invalidation

    def forgetful(data: bytes) -> Invalidation | None:
        return None if draw.random() < share else really(data)

    if share:
        setattr(messages, "invalidation", forgetful)  # noqa: B010 - no type has it


def measure(
    run: Run,
    worker: Callable[..., Recorded] = work,
    *,
    dropped: float = 0.0,
    seconds: float,
) -> Measured:
    """All processes for so many seconds."""
    rate = run.pick(400, 2_000) / PROCESSES
    with EmbeddedServer() as server, Fleet() as fleet:
        job = Job(
            server.tcp_url,
            int(rate * seconds),
            rate,
            run.seed,
            filled=fleet.barrier("filled", PROCESSES),
            start=fleet.barrier("start", PROCESSES),
            finished=fleet.barrier("finished", PROCESSES),
            dropped=dropped,
        )
        fleet.start(worker, PROCESSES, job=job)
        return judge(fleet.results(600), rate * PROCESSES)


def judge(recorded: list[Recorded], wanted: float) -> Measured:
    """What was sent by one and not heard by another is lost."""
    latencies: list[float] = []
    lost = 0
    for sender in recorded:
        for receiver in recorded:
            if receiver is sender:
                continue
            for name, sent in sender.sent.items():
                heard = receiver.heard.get(name)
                if heard is None:
                    lost += 1
                else:
                    latencies.append(heard - sent)
    times = [at for one in recorded for at in one.sent.values()]
    rate = len(times) / (max(times) - min(times))
    numbers: dict[str, Number] = {
        "invalidations": len(times),
        "a second": round(rate),
        "deliveries": len(latencies),
        "lost": lost,
        **milliseconds(latencies),
    }
    late: tuple[str, ...] = (
        () if rate > 0.95 * wanted else (f"only {rate:.0f} a second of {wanted:.0f}",)
    )
    late += missed("p99", percentile(latencies, 0.99), P99)
    late += missed("max", max(latencies, default=0.0), LONGEST)
    return Measured(lost, numbers, late)


EXPERIMENT = Experiment(
    name="bus_latency",
    what="8 processes invalidate keys and tags, 2,000 a second in all; time from the call until each has forgotten",
    target="p99 at most 10 ms, max at most 100 ms, 0 lost",
    ours=lambda run: measure(run, seconds=run.pick(4, 60)),
    control=lambda run: measure(run, seconds=run.pick(1, 5), dropped=0.01),
    control_is="a bus that loses one message in a hundred",
    peers={
        **{
            name: peer(name, lambda run: measure(run, work_with_cashews, seconds=run.pick(4, 10)))
            for name in COPYING
        },
        **NO_COPIES,
    },
)
