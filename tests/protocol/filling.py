"""The fill after a write: phase 2 stores what was written in place of the writer's mark, if nobody can have committed since.

`AsyncFillingWrite` of src/cachewright, seen from far; on one node. What must not be here: marks (`server`).
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import local, server
from protocol.state import Entry, Reader, Step, Writer, put
from protocol.turn import Steps, WriteTurn

LocalHalf = Callable[[WriteTurn, Writer], Step]


def notes_others(turn: WriteTurn, step: Step) -> Step:
    """With its marks a writer reads the stamps of its value that it will not move."""
    if not turn.what.fills or not turn.rules.fill_before:
        return step
    return _reads(turn, step, turn.what.carries)


def _reads(turn: WriteTurn, step: Step, slots: tuple[int, ...]) -> Step:
    """Stamps as they are, made where they are missing; None for what is marked."""
    state, index = step.state, turn.index
    at = server.make(state, slots)
    me = state.actors[index]
    assert isinstance(me, Writer)
    stamps = me.stamps or (None,) * turn.setup.slots
    for slot in slots:
        stamps = put(stamps, slot, local.stamp_or_none(at.stamps[slot]))
    actors = put(state.actors, index, me._replace(stamps=stamps))
    return step._replace(state=state._replace(server=at, actors=actors))


def stores(turn: WriteTurn, step: Step) -> Step:
    """invalidate.lua with what was written: judged by what stood before, in the same step."""
    what, before, index = turn.what, turn.server, turn.index
    key = what.keys[0]
    stood = [before.leases[key], *(before.stamps[slot] for slot in what.tags)]
    if not all(server.clean(turn.setup, mark, index) for mark in stood):
        return _with_me(turn, step, stamps=())
    at = step.state.server
    if not turn.rules.fill_alone:
        at = at._replace(leases=put(at.leases, key, None))
        for slot in what.tags:
            if not isinstance(at.stamps[slot], int):
                name = server.fresh(step.state._replace(server=at))
                at = at._replace(stamps=put(at.stamps, slot, name))
    step = step._replace(state=step.state._replace(server=at))
    slots = what.tags if turn.rules.fill_before else _slots(turn)
    step = _reads(turn, step, slots)
    me = step.state.actors[index]
    assert isinstance(me, Writer)
    if any(me.stamps[slot] is None for slot in _slots(turn)):
        return _with_me(turn, step, stamps=())
    at = step.state.server
    at = at._replace(entries=put(at.entries, key, Entry(me.version, me.stamps, before.nodes[0])))
    return step._replace(state=step.state._replace(server=at))


def _with_me(turn: WriteTurn, step: Step, **changes: object) -> Step:
    me = step.state.actors[turn.index]
    assert isinstance(me, Writer)
    actors = put(step.state.actors, turn.index, me._replace(**changes))  # type: ignore[arg-type]
    return step._replace(state=step.state._replace(actors=actors))


def drops_and_learns(turn: WriteTurn, local_half: LocalHalf) -> Step:
    """The local half, which dooms all flights but its own; the clock learns as from a reply, if nothing else has moved."""
    me, what = turn.me, turn.what
    if not me.stamps:
        return local_half(turn, Writer("done", me.floor))
    step = _with_me(turn, local_half(turn, me._replace(phase="lands")), doomed=me.doomed)
    if not me.current:
        return step
    process = step.state.processes[turn.p]
    known = process.known
    for slot in what.tags:
        known = put(known, slot, me.stamps[slot])
    processes = put(step.state.processes, turn.p, process._replace(known=known))
    return step._replace(state=step.state._replace(processes=processes))


def _slots(turn: WriteTurn) -> tuple[int, ...]:
    return (*turn.what.tags, *turn.what.carries)


def lands(turn: WriteTurn) -> Steps:
    """Into memory, unless an invalidation was heard since it marked."""
    me = turn.me
    flight = Reader(current=False, doomed=me.doomed)
    process = local.land(
        turn.rules,
        turn.process,
        flight,
        turn.what.keys[0],
        version=me.version,
        stamps=me.stamps,
    )
    step = turn.step("lands", Writer("done", me.floor))
    processes = put(step.state.processes, turn.p, process)
    yield step._replace(state=step.state._replace(processes=processes))
