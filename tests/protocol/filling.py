"""The fill after a write: phase 2 leaves the writer a lease in place of its mark, if nobody can have committed since.

`AsyncFillingWrite` of src/cachewright, seen from far; on one node. What must not be here: marks (`server`).
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import local, server
from protocol.state import Entry, Lease, Reader, Step, Writer, put
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


def leases(turn: WriteTurn, step: Step) -> Step:
    """invalidate.lua with a lease: judged by what stood before, in the same step."""
    what, before, index = turn.what, turn.server, turn.index
    key = what.keys[0]
    stood = [before.leases[key], *(before.stamps[slot] for slot in what.tags)]
    if not all(server.clean(turn.setup, mark, index) for mark in stood):
        return _with_me(turn, step, stamps=())
    at = step.state.server
    at = at._replace(leases=put(at.leases, key, Lease(index)))
    if not turn.rules.fill_alone:
        for slot in what.tags:
            if not isinstance(at.stamps[slot], int):
                name = server.fresh(step.state._replace(server=at))
                at = at._replace(stamps=put(at.stamps, slot, name))
    step = step._replace(state=step.state._replace(server=at))
    slots = what.tags if turn.rules.fill_before else (*what.tags, *what.carries)
    return _reads(turn, step, slots)


def _with_me(turn: WriteTurn, step: Step, **changes: object) -> Step:
    me = step.state.actors[turn.index]
    assert isinstance(me, Writer)
    actors = put(step.state.actors, turn.index, me._replace(**changes))  # type: ignore[arg-type]
    return step._replace(state=step.state._replace(actors=actors))


def drops_and_learns(turn: WriteTurn, local_half: LocalHalf) -> Step:
    """The local half, which dooms all flights but its own; the clock learns as from a reply, if nothing else has moved."""
    me, what = turn.me, turn.what
    vouched = bool(me.stamps) and all(me.stamps[slot] is not None for slot in _slots(turn))
    if not me.stamps:
        return local_half(turn, Writer("done", me.floor))
    step = local_half(turn, me._replace(phase="fills" if vouched else "gives back"))
    step = _with_me(turn, step, doomed=me.doomed)
    if not me.current:
        return step
    process = step.state.processes[turn.p]
    known = process.known
    for slot in what.tags:
        known = put(known, slot, me.stamps[slot] if vouched else None)
    processes = put(step.state.processes, turn.p, process._replace(known=known))
    return step._replace(state=step.state._replace(processes=processes))


def _slots(turn: WriteTurn) -> tuple[int, ...]:
    return (*turn.what.tags, *turn.what.carries)


def fills(turn: WriteTurn) -> Steps:
    """fill.lua, under the lease that phase 2 left."""
    me, state, key = turn.me, turn.state, turn.what.keys[0]
    if turn.rules.fill_stamps == "reread":
        again = _reads(turn, Step("", state), turn.what.tags).state.actors[turn.index]
        assert isinstance(again, Writer)
        me = me._replace(stamps=again.stamps)
    entry = Entry(me.version, me.stamps, turn.server.nodes[0])
    kept, waiting, at = server.fill(turn.server, key, turn.index, entry=entry, rules=turn.rules)
    after = me._replace(phase="lands") if kept else Writer("done", me.floor)
    step = turn.step(
        f"fills k{key} with v{me.version}" if kept else "has lost its lease", after, server=at
    )
    if turn.setup.wakes:
        step = step._replace(state=local.wake(step.state, key, waiting))
    yield step


def gives_back(turn: WriteTurn) -> Steps:
    """A stamp that the value needs is marked: nobody is to wait for the fill."""
    key = turn.what.keys[0]
    _, waiting, at = server.fill(turn.server, key, turn.index, entry=None, rules=turn.rules)
    step = turn.step("gives its lease back", Writer("done", turn.me.floor), server=at)
    if turn.setup.wakes:
        step = step._replace(state=local.wake(step.state, key, waiting))
    yield step


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
