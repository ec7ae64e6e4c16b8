"""The end of a read: its callers get the value, and what is made from it gets the stamps.

`AsyncReader.arrival`, `may_share` and `Load.gather` of src/cachewright, seen from far.
What must not be here: where the value came from.
"""

from __future__ import annotations

from protocol import loading
from protocol.local import matches
from protocol.setup import Read, Setup
from protocol.state import Process, Reader, Served, Stamps, State, Step, put
from protocol.turn import ReadTurn


def ends(
    turn: ReadTurn,
    me: Reader,
    label: str,
    *,
    version: int,
    stamps: Stamps | None,
    process: Process | None = None,
) -> Step:
    """The value goes to the caller and to those followers that it is good for; the others read again."""
    state = turn.after(Reader("done"), process=process)
    served = [Served(turn.index, version, me.floor, me.why)]
    state = _hand_up(turn.setup, state, turn.index, version=version, stamps=stamps)
    now = state.processes[turn.p]
    for index, other in enumerate(state.actors):
        if not (
            isinstance(other, Reader) and other.phase == "follows" and other.leader == turn.index
        ):
            continue
        if other.shares or (stamps is not None and matches(stamps, now)):
            served.append(Served(index, version, other.floor, other.why))
            state = state._replace(actors=put(state.actors, index, Reader("done")))
            state = _hand_up(turn.setup, state, index, version=version, stamps=stamps)
        else:
            state = _retries(state, index, other)
    return Step(turn.say(f"{label} v{version}"), state, tuple(served))


def gives_up(turn: ReadTurn, label: str) -> Step:
    """A refresh that brings nothing: who joined it reads again."""
    state = turn.after(Reader("done"))
    for index, other in enumerate(state.actors):
        if isinstance(other, Reader) and other.phase == "follows" and other.leader == turn.index:
            state = _retries(state, index, other)
    return Step(turn.say(label), state)


def _retries(state: State, index: int, follower: Reader) -> State:
    again = Reader("again", follower.floor, follower.why)
    return state._replace(actors=put(state.actors, index, again))


def _hand_up(
    setup: Setup, state: State, index: int, *, version: int, stamps: Stamps | None
) -> State:
    """A part of a load: its version and its stamps go into the whole."""
    what = setup.actors[index]
    assert isinstance(what, Read)
    if what.inside is None:
        return state
    whole, outer = state.actors[what.inside], setup.actors[what.inside]
    assert isinstance(whole, Reader)
    assert isinstance(outer, Read)
    own = setup.key_slot(what.key)
    if stamps is not None and any(stamps[slot] is None for slot in own):
        stamps = None
    if stamps is not None and not setup.rules.key_stamp_travels:
        stamps = tuple(None if slot in own else stamp for slot, stamp in enumerate(stamps))
    whole = whole._replace(
        version=min(whole.version, version),
        gathered=_gathered(setup, whole.gathered, stamps),
        pending=whole.pending[1:],
    )
    if not whole.pending:
        stamps_late = not setup.rules.stamps_before_load
        whole = loading.loaded(outer, whole, stamps_late=stamps_late)
    return state._replace(actors=put(state.actors, what.inside, whole))


def _gathered(setup: Setup, before: Stamps | None, stamps: Stamps | None) -> Stamps | None:
    if setup.rules.parts == "agree":
        return loading.merge(before, stamps)
    if before is None or stamps is None:
        return before
    return loading.overlay(before, stamps)
