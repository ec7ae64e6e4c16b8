"""Experiment: the bus link is lost in every way there is; a process must distrust what it knows, and soon.

In each trial a reader behind a proxy has keys in memory, the fault strikes, another cache writes all the keys past the
proxy, and the reader reads: once it has noticed, once more when the link is back, and after another write.
What must not be here: how long single writes take to be seen (`observer`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import redis

from cachewright import Cache, Policy
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.observe.events import Event
from proof.experiment import Experiment, Measured, Number, Run
from proof.weakening import weaken
from rig.percentiles import missed
from rig.processes import Fleet
from rig.proxy import FaultProxy
from rig.waiting import eventually

KEYS = 20
SOON, SOON_WHEN_SILENT = 0.1, 2.0
PATIENCE = 10.0
"""Seconds after which a link that did not change its state never will."""
POLICY = Policy(ttl=3600, timeouts=Timeouts(call=0.5))
BUFFER, SMALL = 1 << 20, 1 << 12


@dataclass
class Place:
    """A server, the proxy before it, the reader behind the proxy, and a writer beside it."""

    server: EmbeddedServer
    proxy: FaultProxy
    reader: Cache
    writer: Cache
    source: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[float, str]] = field(default_factory=list)
    """When the reader's link was lost or came up."""

    def note(self, event: Event) -> None:
        if event.kind in {"link_lost", "link_up"}:
            self.changes.append((time.monotonic(), event.kind))

    def read(self, key: str) -> int:
        return int(self.reader.get_or_load(key, lambda: self.source[key], tags=[f"row:{key}"]))

    def stale(self) -> int:
        """How many keys the reader gets wrong."""
        return sum(self.read(key) != version for key, version in self.source.items())

    def write(self) -> None:
        """All keys, half of them invalidated by name and half by tag."""
        for n, key in enumerate(self.source):
            self.source[key] += 1
            if n % 2:
                self.writer.invalidate(key)
            else:
                self.writer.invalidate(tags=[f"row:{key}"])

    def change_since(self, at: float, kind: str) -> float:
        """When the link next changed after `at`."""
        return eventually(
            lambda: next((when for when, it in list(self.changes) if when >= at and it == kind), 0),
            within=PATIENCE,
        )


@dataclass(frozen=True)
class Fault:
    """`strike` breaks the link, `mend` makes a new one possible.

    `resume`: lets a reader go on that stood still; it can distrust nothing before. `breaks`: whether the link is lost.
    """

    strike: Callable[[Place], None]
    resume: Callable[[Place], None] | None = None
    mend: Callable[[Place], None] = lambda place: None
    soon: float = SOON
    breaks: bool = True
    behind_proxy: bool = True
    """The proxy reads whatever its client does, so behind it nobody is too slow for the server."""


def _flush(place: Place) -> None:
    with redis.Redis.from_url(place.server.url) as admin:
        admin.flushall()


def _overflow(place: Place) -> None:
    """The reader has no time to listen, and more is published than the server will keep for it."""
    place.reader.engine.lock.__enter__()
    place.writer.invalidate("what the listener hears first, and then waits for the lock")
    with redis.Redis.from_url(place.server.url) as admin:
        admin.config_set("client-output-buffer-limit", f"pubsub {BUFFER} 0 0")
        # Small ones: of large messages Valkey keeps references, which it does not count.
        with admin.pipeline(transaction=False) as queue:
            for _ in range(8 * BUFFER // SMALL):
                queue.publish(place.writer.engine.keys.bus, b"x" * SMALL)
            queue.execute()


def _listen_again(place: Place) -> None:
    place.reader.engine.lock.__exit__(None, None, None)


FAULTS = {
    "RST": Fault(lambda place: place.proxy.cut()),
    "kill": Fault(lambda place: place.server.kill(), mend=lambda place: place.server.restart()),
    "restart": Fault(lambda place: place.server.restart()),
    "half-open": Fault(
        lambda place: place.proxy.stall(),
        mend=lambda place: place.proxy.heal(),
        soon=SOON_WHEN_SILENT,
    ),
    "overflow": Fault(_overflow, _listen_again, behind_proxy=False),
    "FLUSHALL": Fault(_flush, breaks=False),
}


@dataclass
class Trials:
    """What the trials of one fault came to: seconds until the link was known to be lost, and stale reads."""

    distrust: list[float] = field(default_factory=list)
    stale: int = 0
    unnoticed: int = 0


def work(index: int, *, trials: int, weaknesses: tuple[str, ...]) -> dict[str, Trials]:
    """All faults, `trials` times each, in a process of their own."""
    weaken(*weaknesses)
    return {name: _all(fault, trials) for name, fault in FAULTS.items()}


def _all(fault: Fault, trials: int) -> Trials:
    found = Trials()
    with _place(behind_proxy=fault.behind_proxy) as place:
        for n in range(trials):
            _try(place, fault, found, name=f"{n}")
    return found


@contextlib.contextmanager
def _place(*, behind_proxy: bool) -> Iterator[Place]:
    heard: list[Callable[[Event], None]] = []
    with (
        EmbeddedServer() as server,
        FaultProxy(server.url) as proxy,
        Cache(server.url, policy=POLICY) as writer,
    ):
        url = proxy.url if behind_proxy else server.url
        reader = Cache(url, policy=POLICY, listeners=[lambda it: [tell(it) for tell in heard]])
        place = Place(server, proxy, reader, writer)
        heard.append(place.note)
        with reader:
            yield place


def _try(place: Place, fault: Fault, found: Trials, *, name: str) -> None:
    place.source = {f"{name}:{key}": 1 for key in range(KEYS)}
    _await_link(place.reader)
    _await_link(place.writer)
    eventually(lambda: not place.stale() and _in_memory(place), within=PATIENCE)
    struck = time.monotonic()
    fault.strike(place)
    place.write()
    acknowledged = time.monotonic()
    if fault.resume is not None:
        struck = acknowledged
        fault.resume(place)
    if fault.breaks and not _noticed(place, struck, found):
        return
    if not fault.breaks:
        time.sleep(max(0.0, acknowledged + SOON - time.monotonic()))
    found.stale += place.stale()
    mended = time.monotonic()
    fault.mend(place)
    if fault.breaks:
        place.change_since(struck, "link_up")
    found.stale += place.stale()
    _await_link(place.writer)
    place.write()
    time.sleep(max(SOON, mended + SOON - time.monotonic()))
    found.stale += place.stale()


def _await_link(cache: Cache) -> None:
    eventually(lambda: cache.stats().link == "up", within=PATIENCE)


def _in_memory(place: Place) -> bool:
    return all(key in place.reader.engine.memory.table for key in place.source)


def _noticed(place: Place, struck: float, found: Trials) -> bool:
    try:
        found.distrust.append(place.change_since(struck, "link_lost") - struck)
    except AssertionError:
        found.unnoticed += 1
        return False
    return True


def measure(run: Run, *weaknesses: str, trials: int) -> Measured:
    """All faults; violations are stale reads after the loss was noticed, and losses that never were."""
    with Fleet() as fleet:
        fleet.start(work, 1, trials=trials, weaknesses=weaknesses)
        [by_fault] = fleet.results(600)
    numbers: dict[str, Number] = {"trials of each": trials}
    late: tuple[str, ...] = ()
    for name, found in by_fault.items():
        if found.distrust:
            longest = max(found.distrust)
            numbers[f"{name}: distrust, ms"] = round(longest * 1000, 1)
            late += missed(f"{name}: distrust", longest, FAULTS[name].soon)
        numbers[f"{name}: stale"] = found.stale
    unnoticed = sum(found.unnoticed for found in by_fault.values())
    numbers["unnoticed"] = unnoticed
    return Measured(sum(it.stale for it in by_fault.values()) + unnoticed, numbers, late)


EXPERIMENT = Experiment(
    name="link_loss",
    what="the bus link is lost by RST, kill, restart, silence and overflow, and all stamps by FLUSHALL, while keys are written",
    target="distrust within 100 ms (half-open 2 s), 0 stale after",
    ours=lambda run: measure(run, trials=run.pick(2, 20)),
    control=lambda run: measure(run, "keeps_all_when_the_link_changes", trials=1),
    control_is="an engine that takes no notice of a changed link",
)
