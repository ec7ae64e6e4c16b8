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

from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from proof.guarded_loads import GUARDED, LEASE, Guarded
from proof.peering import others_have_none, peer
from proof.weakening import weaken
from rig.percentiles import milliseconds, missed
from rig.processes import Counter, Fleet, Member
from rig.waiting import eventually

MORE = 0.1
"""Seconds beyond the lease that a follower may wait."""
FOREVER = 10.0
"""Seconds after which a follower counts as hung."""
AT_ONCE = 4


@dataclass(frozen=True)
class Job:
    """What a leader is given. It loads key after key; each load ends when `go` has counted so far."""

    url: str
    subject: str
    name: str
    keys: int
    began: Counter
    go: Counter
    ended: Counter
    weaknesses: tuple[str, ...] = ()

    def key(self, n: int) -> str:
        return f"{self.name}-{n}"


@dataclass
class Led:
    """What a leader read of each key after its own late fill, and what loading raised."""

    seen: list[Any] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)


def lead(index: int, *, job: Job) -> Led:
    """Loads key after key, each as long as it is told to."""
    weaken(*job.weaknesses)
    led, cache = Led(), GUARDED[job.subject](job.url)
    for n in range(job.keys):

        def load(n: int = n) -> str:
            job.began.add()
            job.go.reach(n + 1, within=600)
            return "late"

        try:
            cache.get_or_load(job.key(n), load)
        except Exception as error:  # noqa: BLE001 - that nothing is raised is the promise
            led.raised.append(repr(error))
        led.seen.append(cache.get(job.key(n)))
        job.ended.add()
    cache.close()
    return led


@dataclass
class Found:
    """Seconds that followers waited from the loss on, followers that hung, and values that came too late and stayed."""

    waits: list[float] = field(default_factory=list)
    hung: int = 0
    wrong: int = 0
    late_fills: int = 0
    impatient: int = 0
    """Followers that loaded before the leader was lost."""
    raised: int = 0


class Trials:
    """The trials of one kind on one server."""

    def __init__(
        self,
        fleet: Fleet,
        url: str,
        subject: str,
        *,
        draw: random.Random,
        weaknesses: tuple[str, ...],
    ) -> None:
        self.found = Found()
        self._draw = draw
        self._fleet = fleet
        self._url = url
        self._subject = subject
        self._cache: Guarded = GUARDED[subject](url)
        self._weaknesses = weaknesses

    def job(self, name: str, keys: int) -> Job:
        began, go, ended = (self._fleet.counter(f"{name}-{it}") for it in ("began", "go", "ended"))
        return Job(
            self._url, self._subject, name, keys, began, go, ended, weaknesses=self._weaknesses
        )

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
        led: Led = leader.result(30)
        self.found.late_fills += sum(value == "late" for value in led.seen)
        self.found.raised += len(led.raised)

    def _freeze(self, leader: Member, job: Job, n: int) -> None:
        try:
            self._follow(job.key(n), leader.pause)
        finally:
            job.go.add()
            leader.resume()
        job.ended.reach(n + 1, within=60)

    def _follow(self, key: str, lose: Callable[[], None]) -> None:
        """A follower waits for the leader when it is lost."""
        loaded: list[float] = []
        values: list[tuple[str, float]] = []

        def load() -> str:
            loaded.append(time.monotonic())
            return "value"

        def follow() -> None:
            value = self._cache.get_or_load(key, load)
            values.append((value, time.monotonic()))

        asked = self._cache.asked
        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        eventually(lambda: self._cache.asked > asked, within=10)
        time.sleep(self._draw.uniform(0, LEASE))  # at any time between two renewals
        lost = time.monotonic()
        lose()
        follower.join(FOREVER)
        self.found.impatient += bool(loaded) and loaded[0] < lost
        self._judge(values, lost)

    def _judge(self, values: list[tuple[str, float]], lost: float) -> None:
        if not values:
            self.found.hung += 1
            return
        value, at = values[0]
        self.found.wrong += value != "value"
        self.found.waits.append(max(0.0, at - lost))

    def _look(self, key: str) -> None:
        """What is kept in the end must be the follower's."""
        self.found.late_fills += self._cache.get(key) == "late"


@dataclass(frozen=True)
class Share:
    """What one process of followers does."""

    url: str
    subject: str
    killed: int
    frozen: int
    seed: int
    weaknesses: tuple[str, ...]


def work(index: int, *, share: Share) -> Found:
    """A process of followers with its own leaders, one after the other."""
    draw = random.Random(f"{share.seed} {index}")
    with Fleet() as fleet:
        trials = Trials(fleet, share.url, share.subject, draw=draw, weaknesses=share.weaknesses)
        for n in range(share.killed):
            trials.killed(f"killed-{index}-{n}")
        if share.frozen:
            trials.frozen(f"frozen-{index}", share.frozen)
        return trials.found


def measure(run: Run, subject: str, *weaknesses: str, killed: int, frozen: int) -> Measured:
    """That many leaders, killed and frozen, some at once."""
    shares = killed // AT_ONCE, frozen // AT_ONCE
    with EmbeddedServer() as server, Fleet() as fleet:
        share = Share(server.tcp_url, subject, *shares, run.seed, weaknesses)
        fleet.start(work, AT_ONCE, share=share)
        return judge(fleet.results(900))


def judge(all_found: list[Found]) -> Measured:
    """Late fills, wrong values, followers that hang and leaders that raise break the promise; the wait is a time."""
    waits = [wait for found in all_found for wait in found.waits]
    hung, wrong, late, raised, impatient = (
        sum(getattr(found, name) for found in all_found)
        for name in ("hung", "wrong", "late_fills", "raised", "impatient")
    )
    numbers = {
        "leaders lost": len(waits) + hung,
        "late fills accepted": late,
        "followers given a late value": wrong,
        "hung": hung,
        "leaders that raised": raised,
        "followers that did not wait": impatient,
        **{f"wait {name}": value for name, value in milliseconds(waits).items() if waits},
    }
    late_ones = missed("longest wait", max(waits, default=0.0), LEASE + MORE)
    return Measured(late + wrong + hung + raised, numbers, late_ones)


def _peer(name: str) -> Callable[[Run], Measured]:
    return lambda run: measure(run, name, killed=run.pick(4, 20), frozen=run.pick(8, 40))


NO_LOCK = "its get_or_set takes no lock, so that nobody waits and everybody loads"
GUARDING = ("dogpile", "cashews", "aiocache")

EXPERIMENT = Experiment(
    name="leader_lost",
    what="the process that leads a load is killed or frozen while another waits; the lease is 500 ms",
    target="500 leaders: wait at most the lease + 100 ms, 0 late fills accepted",
    ours=lambda run: measure(run, "ours", killed=run.pick(8, 200), frozen=run.pick(16, 300)),
    control=lambda run: measure(
        run, "ours", "fills_without_lease", killed=0, frozen=run.pick(8, 40)
    ),
    control_is="fills that need no lease",
    peers={
        **{name: peer(name, _peer(name)) for name in GUARDING},
        # Its lock lasts as long as an entry, so that each trial costs all the patience there is.
        "cashews, lock=True": peer(
            "cashews", lambda run: measure(run, "cashews, lock=True", killed=AT_ONCE, frozen=0)
        ),
        **others_have_none(GUARDING, NO_LOCK),
    },
)
