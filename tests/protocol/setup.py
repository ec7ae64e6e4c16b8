"""What a scenario fixes: who reads and writes what, in which process, under which rules and faults.

What must not be here: anything that changes while the model runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.rules import Rules
from protocol.state import (
    NOBODY,
    Entry,
    Kept,
    Process,
    Reader,
    Server,
    State,
    Writer,
)


@dataclass(frozen=True, slots=True)
class Read:
    """`get_or_load(key)`. Loads by itself whatever it does not find."""

    process: int
    key: int = 0
    tags: tuple[int, ...] = (0,)
    """Named before the load."""
    late: tuple[int, ...] = ()
    """Named by the load itself."""
    verified: bool = False
    refresh: bool = False
    """A background refresh: it looks at nothing and waits for nobody."""
    glances: bool = False
    """Takes a glance at the server first, without a flight, where the clock knows all of its tags."""
    absent: bool = False
    """The row is inserted by the first write."""
    inside: int | None = None
    """The actor whose load reads this as a part."""
    patience: int = 0
    """How often it waits for another's lease before it loads without storing."""


@dataclass(frozen=True, slots=True)
class Write:
    """A commit and the invalidation of what it makes wrong; `two_phase` marks it beforehand."""

    process: int
    keys: tuple[int, ...] = ()
    tags: tuple[int, ...] = ()
    two_phase: bool = False
    unrelated: bool = False
    """Writes what no reader here depends on."""
    fills: bool = False
    """Fills its key with what it has committed."""
    carries: tuple[int, ...] = ()
    """Tags of the value that it fills beyond those that it writes."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A small world. All interleavings of its actors, each of which runs once, are searched."""

    actors: tuple[Read | Write, ...]
    rules: Rules = field(default_factory=Rules)
    keys: int = 1
    tags: int = 1
    processes: int = 2
    warm: tuple[int, ...] | None = None
    """None: all is empty. Else version 0 lies at the server, and in the memory of these processes."""
    evict: str = ""
    """What the server may drop: e(ntries) l(eases) s(tamps) m(arks) q (the sequence) r (tokens of who died run out)."""
    crash: tuple[int, ...] = ()
    """Processes that may die."""
    link: tuple[int, ...] = ()
    """Processes whose link may be lost."""
    cluster: bool = False
    """Keys on node 0, tags on node 1; a batch is one command for each key and tag, in any order."""
    failover: tuple[int, ...] = ()
    """Nodes that may be replaced by a replica that lags."""
    bus_node: int | None = None
    """The node that the links lead to, in a cluster; None for a third one."""
    wakes: bool = False
    """Who waits for a lease goes on only when it is woken; else it may at any time."""
    parts: dict[int, tuple[int, ...]] = field(init=False, compare=False)
    key_slots: bool = field(init=False)
    listeners: frozenset[int] = field(init=False)
    """The processes in which anything could be served; the news for the others make no difference."""
    set_by_news: bool = field(init=False)
    flags: bool = field(init=False)
    """Whether tokens are flagged: only where somebody fills, since nobody else looks at it."""

    def __post_init__(self) -> None:
        parts: dict[int, tuple[int, ...]] = {}
        for index, each in enumerate(self.actors):
            if isinstance(each, Read) and each.inside is not None:
                parts[each.inside] = (*parts.get(each.inside, ()), index)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "key_slots", bool(parts))
        reading = {each.process for each in self.actors if isinstance(each, Read)}
        object.__setattr__(self, "listeners", frozenset(reading.union(self.warm or ())))
        object.__setattr__(self, "set_by_news", self.rules.clock == "set")
        fills = any(isinstance(each, Write) and each.fills for each in self.actors)
        object.__setattr__(self, "flags", fills)

    @property
    def slots(self) -> int:
        """How many stamps there are: of tags, and of keys where values have parts."""
        return self.tags + (self.keys if self.key_slots else 0)

    def key_slot(self, key: int) -> tuple[int, ...]:
        """The slot of the key's own stamp, or none."""
        return (self.tags + key,) if self.key_slots else ()

    def node_of(self, slot: int) -> int:
        """The node of a slot; the stamp of a key lies beside its entry, on node 0."""
        return 1 if self.cluster and slot < self.tags else 0

    def slots_of(self, write: Write) -> tuple[int, ...]:
        """What the news of a write forget: its tags and the stamps of its keys."""
        return write.tags + tuple(slot for key in write.keys for slot in self.key_slot(key))

    def initial(self) -> State:
        """The state in which nobody has begun."""
        warm, empty = self.warm is not None, (None,) * self.slots
        stamps = tuple(range(1, self.slots + 1)) if warm else empty
        entry = Entry(0, stamps, 0) if warm else None
        server = Server(
            (entry,) * self.keys,
            (None,) * self.keys,
            stamps,
            (0,) * self.slots,
            0,
            (0, 0) if self.cluster else (0,),
            (NOBODY,) * self.slots,
        )
        cold = Process((None,) * self.keys, empty)
        hot = Process((Kept(0, stamps, True),) * self.keys, stamps)
        return State(
            0,
            server,
            tuple(hot if p in (self.warm or ()) else cold for p in range(self.processes)),
            ((),) * self.processes,
            tuple(Reader() if isinstance(each, Read) else Writer() for each in self.actors),
            (frozenset(),) * self.processes,
            replicas=(None,) * len(server.nodes),
        )
