"""Experiment: the leader of a load is killed or frozen; a follower must not wait for it, nor its late fill count.

Leaders are processes of their own; the follower is a caller in this one. A frozen leader goes on when the follower has
its value, and then tries to keep what it loaded.
What must not be here: stampedes, in which nobody is lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachewright import Cache, Policy
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from proof.weakening import weaken
from rig.percentiles import milliseconds, missed
from rig.processes import Counter, Fleet, Member
from rig.waiting import eventually

LEASE, MORE = 0.5, 0.1
FOREVER = 10.0
"""Seconds after which a follower counts as hung."""
AT_ONCE = 4
POLICY = Policy(ttl=3600, lease=LEASE, timeouts=Timeouts(call=5.0))


@dataclass(frozen=True)
class Job:
    """What a leader is given. It loads key after key; each load ends when `go` has counted so far."""

    url: str
    name: str
    keys: int
    began: Counter
    go: Counter
    ended: Counter
    weaknesses: tuple[str, ...] = ()

    def key(self, n: int) -> str:
        return f"{self.name}-{n}"


def lead(index: int, *, job: Job) -> list[Any]:
    """What the leader reads of each key after its own late fill."""
    weaken(*job.weaknesses)
    seen = []
    with Cache(job.url, policy=POLICY) as cache:
        for n in range(job.keys):

            def load(n: int = n) -> str:
                job.began.add()
                job.go.reach(n + 1, within=600)
                return "late"

            cache.get_or_load(job.key(n), load, tags=["row"])
            seen.append(cache.get(job.key(n)))
            job.ended.add()
    return seen


@dataclass
class Found:
    """Seconds that followers waited from the loss on, followers that hung, and values that came too late and stayed."""

    waits: list[float] = field(default_factory=list)
    hung: int = 0
    wrong: int = 0
    late_fills: int = 0


class Trials:
    """The trials of one kind on one server."""

    def __init__(
        self,
        fleet: Fleet,
        url: str,
        cache: Cache,
        *,
        draw: random.Random,
        weaknesses: tuple[str, ...],
    ) -> None:
        self.found = Found()
        self._draw = draw
        self._fleet = fleet
        self._url = url
        self._cache = cache
        self._weaknesses = weaknesses

    def job(self, name: str, keys: int) -> Job:
        began, go, ended = (self._fleet.counter(f"{name}-{it}") for it in ("began", "go", "ended"))
        return Job(self._url, name, keys, began, go, ended, weaknesses=self._weaknesses)

    def killed(self, name: str) -> None:
        """One leader, killed while it loads."""
        job = self.job(name, 1)
        [leader] = self._fleet.start(lead, 1, job=job)
        job.began.reach(1, within=60)
        self._follow(job.key(0), leader.kill)
        self._look(job.key(0))

    def frozen(self, name: str, keys: int) -> None:
        """One leader, frozen in each of its loads until a follower has loaded the key."""
        job = self.job(name, keys)
        [leader] = self._fleet.start(lead, 1, job=job)
        for n in range(keys):
            job.began.reach(n + 1, within=60)
            self._freeze(leader, job, n)
            self._look(job.key(n))
        self.found.late_fills += sum(value == "late" for value in leader.result(30))

    def _freeze(self, leader: Member, job: Job, n: int) -> None:
        try:
            self._follow(job.key(n), leader.pause)
        finally:
            job.go.add()
            leader.resume()
        job.ended.reach(n + 1, within=60)

    def _follow(self, key: str, lose: Callable[[], None]) -> None:
        """A follower waits for the leader when it is lost."""
        values: list[tuple[str, float]] = []

        def follow() -> None:
            value = self._cache.get_or_load(key, lambda: "value", tags=["row"])
            values.append((value, time.monotonic()))

        misses = self._cache.stats().misses
        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        eventually(lambda: self._cache.stats().misses > misses, within=10)
        time.sleep(self._draw.uniform(0, LEASE))  # at any time between two renewals
        lost = time.monotonic()
        lose()
        follower.join(FOREVER)
        self._judge(values, lost)

    def _judge(self, values: list[tuple[str, float]], lost: float) -> None:
        if not values:
            self.found.hung += 1
            return
        value, at = values[0]
        self.found.wrong += value != "value"
        self.found.waits.append(at - lost)

    def _look(self, key: str) -> None:
        """What is kept in the end must be the follower's."""
        self.found.late_fills += self._cache.get(key, verify=True) == "late"


def work(
    index: int, *, url: str, killed: int, frozen: int, seed: int, weaknesses: tuple[str, ...]
) -> Found:
    """A process of followers with its own leaders, one after the other."""
    draw = random.Random(f"{seed} {index}")
    with Fleet() as fleet, Cache(url, policy=POLICY) as cache:
        trials = Trials(fleet, url, cache, draw=draw, weaknesses=weaknesses)
        for n in range(killed):
            trials.killed(f"killed-{index}-{n}")
        if frozen:
            trials.frozen(f"frozen-{index}", frozen)
        return trials.found


def measure(run: Run, *weaknesses: str, killed: int, frozen: int) -> Measured:
    """That many leaders, killed and frozen, some at once."""
    with EmbeddedServer() as server, Fleet() as fleet:
        shares = {"killed": killed // AT_ONCE, "frozen": frozen // AT_ONCE}
        how = {"url": server.tcp_url, "seed": run.seed, "weaknesses": weaknesses}
        fleet.start(work, AT_ONCE, **how, **shares)
        return judge(fleet.results(900))


def judge(all_found: list[Found]) -> Measured:
    """Late fills, wrong values and followers that hang break the promise; the wait is a time."""
    waits = [wait for found in all_found for wait in found.waits]
    hung, wrong, late = (
        sum(getattr(found, name) for found in all_found) for name in ("hung", "wrong", "late_fills")
    )
    numbers = {
        "leaders lost": len(waits) + hung,
        "late fills accepted": late,
        "followers given a late value": wrong,
        "hung": hung,
        **{f"wait {name}": value for name, value in milliseconds(waits).items()},
    }
    return Measured(
        late + wrong + hung, numbers, missed("longest wait", max(waits, default=0.0), LEASE + MORE)
    )


EXPERIMENT = Experiment(
    name="leader_lost",
    what="the process that leads a load is killed or frozen while another waits; the lease is 500 ms",
    target="500 leaders: wait at most the lease + 100 ms, 0 late fills accepted",
    ours=lambda run: measure(run, killed=run.pick(8, 200), frozen=run.pick(16, 300)),
    control=lambda run: measure(run, "fills_without_lease", killed=0, frozen=run.pick(8, 40)),
    control_is="fills that need no lease",
)
