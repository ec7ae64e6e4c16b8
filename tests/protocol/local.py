"""What a process does by itself: forget, doom, learn, keep. The functions of `TagClock` and `Flights`, seen from far.

What must not be here: the server, and the order in which things happen.
"""

from __future__ import annotations

from protocol.rules import Rules
from protocol.setup import Read, Setup, Write
from protocol.state import (
    NOTICED,
    OVER,
    UP,
    Kept,
    Message,
    Process,
    Reader,
    Stamp,
    Stamps,
    State,
    Writer,
    flying,
    put,
)

# -------------------------------------------------------------------- what is current


def matches(stamps: Stamps, process: Process) -> bool:
    """Whether the clock knows every stamp, and knows it so."""
    known = process.known
    return all(
        stamp is None or (known[slot] is not None and known[slot] == stamp)
        for slot, stamp in enumerate(stamps)
    )


def servable(kept: Kept | None, process: Process) -> bool:
    """Whether memory may be served from."""
    return kept is not None and (kept.current or matches(kept.stamps, process))


# -------------------------------------------------------------------- a reply


def learn(rules: Rules, process: Process, me: Reader) -> Process:
    """Take what the reply said of stamps, if nothing has moved since the flight began."""
    if rules.learns == "unmoved" and not (me.current and process.link != NOTICED):
        return process
    known = process.known
    for slot, stamp in enumerate(me.said):
        if isinstance(stamp, int) and stamp > 0:
            known = put(known, slot, stamp)
    return process._replace(known=known)


def land(
    rules: Rules, process: Process, me: Reader, key: int, *, version: int, stamps: Stamps
) -> Process:
    """Put a value into memory, unless its flight is doomed or nothing could be heard."""
    if me.doomed or process.link == NOTICED:
        return process
    kept = Kept(version, stamps, me.current or rules.landing_epoch == "landing")
    return process._replace(memory=put(process.memory, key, kept))


# -------------------------------------------------------------------- an invalidation


def invalidate(
    setup: Setup,
    state: State,
    p: int,
    *,
    keys: tuple[int, ...],
    slots: tuple[int, ...],
    news: Stamps,
) -> State:
    """The local half: forget, move the epoch, doom, drop. `news` is what a weakened clock is set to."""
    process = state.processes[p]
    memory, known = process.memory, process.known
    for key in keys:
        memory = put(memory, key, None)
    for slot in slots:
        known = put(known, slot, news[slot] if news else None)
    state = _with(state, p, process._replace(memory=memory, known=known))
    return move_epoch(setup, doom(setup, state, p, keys=keys, slots=slots), p)


def forget_all(setup: Setup, state: State, p: int, link: int) -> State:
    """The link was lost or is back."""
    process = Process((None,) * setup.keys, (None,) * setup.slots, link)
    state = doom(setup, state, p, keys=tuple(range(setup.keys)), slots=tuple(range(setup.slots)))
    return move_epoch(setup, _with(state, p, process), p)


def _with(state: State, p: int, process: Process) -> State:
    return state._replace(processes=put(state.processes, p, process))


def move_epoch(setup: Setup, state: State, p: int) -> State:
    """Whatever carries the present epoch of the process carries a past one."""
    process = state.processes[p]
    memory = tuple(kept and kept._replace(current=False) for kept in process.memory)
    actors: tuple[Reader | Writer, ...] = tuple(
        me._replace(current=False)
        if me.current and what.process == p and (_has_begun(me) or fills(what, me))
        else me
        for me, what in zip(state.actors, setup.actors, strict=True)
    )
    return _with(state._replace(actors=actors), p, process._replace(memory=memory))


def _has_begun(me: Reader | Writer) -> bool:
    return flying(me) or (isinstance(me, Reader) and me.phase in {"restamps", "glances"})


def fills(what: Read | Write, me: Reader | Writer) -> bool:
    """Whether this is a write that has a flight to land its value with."""
    return isinstance(what, Write) and what.fills and me.phase not in OVER


def doom(
    setup: Setup, state: State, p: int, *, keys: tuple[int, ...], slots: tuple[int, ...]
) -> State:
    """All flights of these keys, and of what was declared to depend on these tags."""
    if not setup.rules.dooms:
        return state
    return state._replace(
        actors=tuple(
            me._replace(doomed=True)
            if what.process == p and fills(what, me) and _depends(what, keys, slots)
            else _doomed(setup, me)
            if isinstance(what, Read)
            and what.process == p
            and flying(me)
            and (what.key in keys or not set(what.tags).isdisjoint(slots))
            else me
            for me, what in zip(state.actors, setup.actors, strict=True)
        )
    )


def _depends(what: Read | Write, keys: tuple[int, ...], slots: tuple[int, ...]) -> bool:
    assert isinstance(what, Write)
    tags = (*what.tags, *what.carries)
    return not (set(what.keys).isdisjoint(keys) and set(tags).isdisjoint(slots))


def _doomed(setup: Setup, me: Reader | Writer) -> Reader | Writer:
    assert isinstance(me, Reader)
    wakes = setup.wakes and setup.rules.doom_wakes
    return me._replace(doomed=True, woken=me.woken or wakes)


# -------------------------------------------------------------------- the bus


def publish(state: State, message: Message, listeners: frozenset[int]) -> State:
    """The message is on its way to those whose link is up."""
    return state._replace(
        bus=tuple(
            tuple(sorted((*queue, message))) if p in listeners and process.link == UP else queue
            for p, (queue, process) in enumerate(zip(state.bus, state.processes, strict=True))
        )
    )


def wake(state: State, key: int, processes: frozenset[int]) -> State:
    """Wake-ups are on their way to those who wait for a lease."""
    message = Message(-1, key)
    bus = tuple(
        tuple(sorted((*queue, message))) if p in processes else queue
        for p, queue in enumerate(state.bus)
    )
    return state._replace(bus=bus)


def woken(setup: Setup, state: State, p: int, key: int) -> State:
    """A wake-up arrives."""
    return state._replace(
        actors=tuple(
            me._replace(woken=True)
            if isinstance(what, Read)
            and isinstance(me, Reader)
            and (what.process, what.key) == (p, key)
            and flying(me)
            else me
            for me, what in zip(state.actors, setup.actors, strict=True)
        )
    )


def stamp_or_none(value: Stamp) -> int | None:
    """A stamp, or None for a mark and for nothing."""
    return value if isinstance(value, int) else None
