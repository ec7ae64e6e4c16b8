"""What a state of the model is made of: the server, the processes, the bus, and who is doing what.

All is immutable and compared by value. A *slot* is a place for a stamp: the tags come first, then one for each key.
What must not be here: what may happen next.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

Mark = frozenset[int]
"""The tokens of the writers that are writing; that of writer n is n, or ~n when it is flagged."""
Stamp = int | Mark | None
"""What the server holds for a slot: a stamp (1, 2, ...), a mark, or nothing."""
Stamps = tuple[int | None, ...]
"""The stamp that a value carries for each slot; None where it does not depend on it."""

ABSENCE = 0
"""What a weakened load embeds where there was no stamp."""
UNASKED = -1
"""A slot that a batch did not ask for."""
NOBODY: Mark = frozenset()


Command = tuple[str | int, ...]
"""What one node runs in one go: the slots, or the word for it."""


class Entry(NamedTuple):
    """A value at the server: the version of the source it was loaded from, its stamps, the id of its node."""

    version: int
    stamps: Stamps
    node: int


class Lease(NamedTuple):
    """The right of one reader to fill a key, and the processes to wake when it ends."""

    holder: int
    waiting: frozenset[int] = frozenset()


class Server(NamedTuple):
    """All nodes together."""

    entries: tuple[Entry | None, ...]
    leases: tuple[Lease | Mark | None, ...]
    stamps: tuple[Stamp, ...]
    made_at: tuple[int, ...]
    """The sequence at which each stamp was made."""
    sequence: int
    nodes: tuple[int, ...]
    """The replication id of each node."""
    beside: tuple[Mark, ...]
    """Marks that stand beside the stamps, where the rule is weakened so."""


class Kept(NamedTuple):
    """An entry in memory. `current`: the epoch has not moved since the one it carries."""

    version: int
    stamps: Stamps
    current: bool


UP, LOST, NOTICED = 0, 1, 2


class Process(NamedTuple):
    """One process: its memory by key, what its clock knows of each slot, and its link to the bus."""

    memory: tuple[Kept | None, ...]
    known: tuple[int | None, ...]
    link: int = UP


class Message(NamedTuple):
    """News of phase 1 or 2 of a writer; a wake-up for a key has no writer (-1) and its key in place of the phase."""

    writer: int
    phase: int
    stamps: Stamps = ()
    """Only where the clock is set by news."""


class Reader(NamedTuple):
    """A read and its flight. What is not needed any more is reset, so that equal futures are equal states."""

    phase: str = "idle"
    floor: int = 0
    why: str = ""
    current: bool = True
    """Whether the epoch stands as it was captured."""
    doomed: bool = False
    pending: tuple[Command, ...] = ()
    """Commands that the server has not run yet."""
    said: tuple[Stamp, ...] = ()
    got: Entry | str | None = None
    seen: Entry | None = None
    stamps: Stamps | None = None
    """What the value will carry; None for one that nothing vouches for."""
    gathered: Stamps | None = ()
    """What the parts of the value handed up."""
    leased: bool = False
    base: int = 0
    version: int = 0
    node: int = 0
    leader: int = -1
    shares: bool = False
    """Of a follower: whether it joined before the epoch moved."""
    tries: int = 0
    woken: bool = False


class Writer(NamedTuple):
    """A write. `pending`: slots or keys that the server has not run yet; `made`: whether a mark had to be made."""

    phase: str = "idle"
    floor: int = 0
    pending: tuple[Command, ...] = ()
    made: bool = False
    news: Stamps = ()
    stamps: Stamps = ()
    """Of a writer that fills: what its value will carry, as far as it is known."""
    version: int = 0
    current: bool = True
    """Whether the epoch stands as it was when phase 2 was sent."""
    doomed: bool = False


class State(NamedTuple):
    """Everything."""

    source: int
    server: Server
    processes: tuple[Process, ...]
    bus: tuple[tuple[Message, ...], ...]
    """What is on its way to each process, sorted: it may arrive in any order."""
    actors: tuple[Reader | Writer, ...]
    heard: tuple[frozenset[int], ...]
    """The writers of whose end each process has heard."""
    spent: frozenset[str] = frozenset()
    """The faults that have happened."""
    replicas: tuple[Server | None, ...] = ()
    """What the replica of each node holds, once it has fallen behind."""


class Served(NamedTuple):
    """A reader that got its value, and what it was promised when it began."""

    actor: int
    version: int
    floor: int
    why: str


class Step(NamedTuple):
    """What may happen next, in words, and what it leads to."""

    label: str
    state: State
    served: tuple[Served, ...] = ()


Item = TypeVar("Item")


def put(items: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    """`items` with `item` at `index`."""
    return (*items[:index], item, *items[index + 1 :])


def is_mark(value: object) -> bool:
    """Whether a slot or lease holds a mark."""
    return isinstance(value, frozenset)


OVER = frozenset({"idle", "done", "crashed"})
"""The phases of who does nothing."""
NOT_FLYING = OVER | {"follows", "restamps", "again", "glances"}


def writer_of(token: int) -> int:
    """Whose token this is, flagged or not."""
    return token if token >= 0 else ~token


def flying(me: Reader | Writer) -> bool:
    """Whether this is a read with a flight of its own, which an invalidation can doom."""
    return isinstance(me, Reader) and me.phase not in NOT_FLYING
