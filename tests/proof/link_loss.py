"""Experiment: the bus link is lost in every way there is; a process must distrust what it knows, and soon.

In each trial a reader behind a proxy has keys in memory, the fault strikes, another cache writes all the keys past the
proxy, and the reader reads: once it has noticed, once more when the link is back, and after another write. A peer tells
nobody when it notices; it is given as long as ours may take.
What must not be here: how long single writes take to be seen (`observer`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import redis

from cachewright import Policy
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.observe.events import Event
from proof.copies import COPYING, NO_COPIES, CashewsCopies, Copies, OurCopies
from proof.experiment import Experiment, Measured, Number, Run
from proof.peering import peer
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
    reader: Copies
    writer: Copies
    source: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[float, str]] = field(default_factory=list)
    """When the reader's link was lost or came up."""
    after: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What lets a reader go on that stood still."""

    def note(self, event: Event) -> None:
        if event.kind in {"link_lost", "link_up"}:
            self.changes.append((time.monotonic(), event.kind))

    @property
    def tells(self) -> bool:
        """Whether the reader says when its link changes."""
        return isinstance(self.reader, OurCopies)

    def stale(self) -> int:
        """How many keys the reader gets wrong."""
        return sum(
            self.reader.read(key, partial(self.source.__getitem__, key)) != version
            for key, version in self.source.items()
        )

    def in_memory(self) -> bool:
        """Whether the reader has copies of all."""
        return all(map(self.reader.holds, self.source))

    def write(self) -> None:
        """All keys, half of them invalidated by name and half by tag."""
        for n, key in enumerate(self.source):
            self.source[key] += 1
            self.writer.forget(key, by_tag=not n % 2)

    def change_since(self, at: float, kind: str) -> float:
        """When the link next changed after `at`."""
        return eventually(
            lambda: next((when for when, it in list(self.changes) if when >= at and it == kind), 0),
            within=PATIENCE,
        )


@dataclass(frozen=True)
class Fault:
    """`strike` breaks the link, `mend` makes a new one possible.

    `stands_still`: the reader does, until all is written; it can distrust nothing before. `breaks`: whether the link is
    lost. `twin`: the weakness that has to break the promise here.
    """

    strike: Callable[[Place], None]
    stands_still: bool = False
    mend: Callable[[Place], None] = lambda place: None
    soon: float = SOON
    breaks: bool = True
    behind_proxy: bool = True
    """The proxy reads whatever its client does, so behind it nobody is too slow for the server."""
    twin: str = "keeps_all_when_the_link_changes"


def _flush(place: Place) -> None:
    with redis.Redis.from_url(place.server.url) as admin:
        admin.flushall()


def _overflow(place: Place) -> None:
    """The reader has no time to listen, and more is published than the server will keep for it."""
    place.after.enter_context(place.reader.deaf())
    place.writer.forget("what the listener hears first")
    with redis.Redis.from_url(place.server.url) as admin:
        admin.config_set("client-output-buffer-limit", f"pubsub {BUFFER} 0 0")
        # Small ones: of large messages Valkey keeps references, which it does not count.
        place.writer.flood(admin, messages=8 * BUFFER // SMALL, size=SMALL)


FAULTS = {
    "RST": Fault(lambda place: place.proxy.cut()),
    "kill": Fault(lambda place: place.server.kill(), mend=lambda place: place.server.restart()),
    "restart": Fault(lambda place: place.server.restart()),
    "half-open": Fault(
        lambda place: place.proxy.stall(),
        mend=lambda place: place.proxy.heal(),
        soon=SOON_WHEN_SILENT,
    ),
    "overflow": Fault(_overflow, stands_still=True, behind_proxy=False),
    "FLUSHALL": Fault(_flush, breaks=False, twin="tells_only_of_what_the_server_holds"),
}


@dataclass
class Trials:
    """What the trials of one fault came to: seconds until the link was known to be lost, and stale reads."""

    distrust: list[float] = field(default_factory=list)
    stale: int = 0
    unnoticed: int = 0


def work(index: int, *, name: str, subject: str, trials: int, weak: bool) -> Trials:
    """One fault, `trials` times, in a process of its own; `weak`: with the protection taken out."""
    fault, found = FAULTS[name], Trials()
    if weak:
        weaken(fault.twin)
    with _place(subject, behind_proxy=fault.behind_proxy) as place:
        for n in range(trials):
            _try(place, fault, found, name=f"{n}")
    return found


@contextlib.contextmanager
def _place(subject: str, *, behind_proxy: bool) -> Iterator[Place]:
    with (
        EmbeddedServer() as server,
        FaultProxy(server.url) as proxy,
        contextlib.ExitStack() as ends,
    ):
        if subject == "cashews":
            beside = server.tcp_url
            reader_at = proxy.url if behind_proxy else beside
            place = Place(server, proxy, CashewsCopies(reader_at), CashewsCopies(beside))
        else:
            heard: list[Callable[[Event], None]] = []
            url = proxy.url if behind_proxy else server.url
            reader = OurCopies(url, POLICY, listeners=[lambda it: [tell(it) for tell in heard]])
            place = Place(server, proxy, reader, OurCopies(server.url, POLICY))
            heard.append(place.note)
        ends.callback(place.writer.close)
        ends.callback(place.reader.close)
        yield place


def _try(place: Place, fault: Fault, found: Trials, *, name: str) -> None:
    place.source = {f"{name}:{key}": 1 for key in range(KEYS)}
    _await_links(place)
    eventually(lambda: not place.stale() and place.in_memory(), within=PATIENCE)
    struck = time.monotonic()
    fault.strike(place)
    place.write()
    acknowledged = time.monotonic()
    if fault.stands_still:
        struck = acknowledged
        place.after.close()
    if fault.breaks and place.tells:
        if not _noticed(place, struck, found):
            return
    else:
        time.sleep(max(0.0, acknowledged + fault.soon - time.monotonic()))
    found.stale += place.stale()
    mended = time.monotonic()
    fault.mend(place)
    if fault.breaks and place.tells:
        place.change_since(struck, "link_up")
    found.stale += place.stale()
    _await_links(place)
    place.write()
    time.sleep(max(SOON, mended + SOON - time.monotonic()))
    found.stale += place.stale()


def _await_links(place: Place) -> None:
    for one in (place.reader, place.writer):
        if isinstance(one, OurCopies):
            eventually(one.is_linked, within=PATIENCE)


def _noticed(place: Place, struck: float, found: Trials) -> bool:
    try:
        found.distrust.append(place.change_since(struck, "link_lost") - struck)
    except AssertionError:
        found.unnoticed += 1
        return False
    return True


def measure(run: Run, subject: str = "ours", *, weak: bool = False, trials: int) -> Measured:
    """All faults; violations are stale reads after the loss was noticed, and losses that never were."""
    by_fault: dict[str, Trials] = {}
    with Fleet() as fleet:
        for name in FAULTS:  # one after the other: times are measured
            [member] = fleet.start(work, 1, name=name, subject=subject, trials=trials, weak=weak)
            by_fault[name] = member.result(600)
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
    stale = sum(it.stale for it in by_fault.values())
    unbroken = tuple(name for name, found in by_fault.items() if weak and not found.stale)
    return Measured(stale + unnoticed, numbers, late, unbroken)


def _peer(name: str) -> Callable[[Run], Measured]:
    return lambda run: measure(run, name, trials=run.pick(1, 3))


EXPERIMENT = Experiment(
    name="link_loss",
    what="the bus link is lost by RST, kill, restart, silence and overflow, and all stamps by FLUSHALL, while keys are written",
    target="distrust within 100 ms (half-open 2 s), 0 stale after",
    ours=lambda run: measure(run, trials=run.pick(2, 20)),
    control=lambda run: measure(run, weak=True, trials=1),
    control_is="an engine that takes no notice of a changed link; for FLUSHALL one that tells of an invalidation only if"
    " the server held what was invalidated",
    peers={**{name: peer(name, _peer(name)) for name in COPYING}, **NO_COPIES},
)
