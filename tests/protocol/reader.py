"""A read of one process, up to the server: memory, the flight it joins or leads, the epoch it captures.

The order of steps is that of `AsyncReader.get_or_load` in src/cachewright/_async/reading.py.
What must not be here: what the server is asked (`looking`), and the load (`loading`).
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import glancing, landing, loading, looking
from protocol.floor import floor
from protocol.local import servable
from protocol.setup import Read, Setup
from protocol.state import Kept, Reader, State, flying, put
from protocol.turn import ReadTurn, Steps


def steps(setup: Setup, state: State, index: int, what: Read) -> Steps:
    """What this read may do next."""
    act = PHASES.get(state.actors[index].phase)
    if act is not None:
        yield from act(ReadTurn(setup, state, index, what))


# -------------------------------------------------------------------- memory


def begins(turn: ReadTurn) -> Steps:
    """It is called; a part, when the load around it comes to it."""
    if turn.what.inside is not None:
        whole = turn.state.actors[turn.what.inside]
        if whole.phase != "parts" or whole.pending[0] != (turn.index,):
            return
    least, why = floor(turn.setup, turn.state, turn.p, verified=turn.what.verified)
    me = Reader(floor=least, why=why)
    kept = turn.process.memory[turn.what.key]
    if kept is None or not _may_hit(turn, kept):
        if glancing.possible(turn):
            yield turn.step("glances", glancing.glancing(turn, me))
        else:
            yield from _joins_or_leads(turn, me)
    elif kept.current:
        yield landing.ends(turn, me, "hit in memory", version=kept.version, stamps=kept.stamps)
    else:
        me = me._replace(phase="restamps", stamps=kept.stamps, version=kept.version)
        yield turn.step("finds stamps that match", me)


def _may_hit(turn: ReadTurn, kept: Kept) -> bool:
    what = turn.what
    if what.verified or what.refresh or not servable(kept, turn.process):
        return False
    # What is made from a value needs the stamp of its key.
    own = turn.setup.key_slot(what.key) if what.inside is not None else ()
    return all(kept.stamps[slot] is not None for slot in own)


def restamps(turn: ReadTurn) -> Steps:
    """The entry whose stamps matched gets the epoch that was captured before they were compared."""
    me, key, process = turn.me, turn.what.key, turn.process
    kept = process.memory[key]
    if kept is not None and (kept.version, kept.stamps) == (me.version, me.stamps):
        current = me.current or turn.rules.restamp == "late"
        process = process._replace(memory=put(process.memory, key, kept._replace(current=current)))
    yield landing.ends(turn, me, "re-stamps", version=me.version, stamps=me.stamps, process=process)


# -------------------------------------------------------------------- glances


def glances(turn: ReadTurn) -> Steps:
    """GET without a flight; what it does not settle goes the long way, which may believe it."""
    me = turn.me
    if me.pending:
        entry, node = turn.server.entries[turn.what.key], turn.server.nodes[0]
        yield turn.step("GET", me._replace(got=entry, node=node, pending=()))
    elif glancing.is_hit(turn):
        yield glancing.serves(turn)
    else:
        yield from _joins_or_leads(turn, me)


# -------------------------------------------------------------------- flights


def tries_again(turn: ReadTurn) -> Steps:
    """What it followed brought nothing, or nothing that is good for it."""
    yield from _joins_or_leads(turn, turn.me)


def _joins_or_leads(turn: ReadTurn, me: Reader) -> Steps:
    leader = _leader(turn)
    if leader is not None and turn.what.refresh:
        yield turn.step("is under way already", Reader("done"))
    elif leader is not None:
        other = turn.state.actors[leader]
        assert isinstance(other, Reader)
        shares = other.current or not turn.rules.followers_checked
        follower = Reader("follows", me.floor, me.why, leader=leader, shares=shares)
        yield turn.step(f"joins r{leader}", follower)
    elif turn.what.refresh:
        seen = turn.server.entries[turn.what.key]
        yield turn.step("leads a refresh", looking.asking(turn, _leading(me)._replace(seen=seen)))
    elif me.phase == "glances" and glancing.is_believed(turn):
        yield turn.step("leads, and believes its glance", glancing.believing(turn))
    else:
        yield turn.step("leads", looking.looking(turn, _leading(me)))


def _leading(me: Reader) -> Reader:
    return Reader(floor=me.floor, why=me.why)


def _leader(turn: ReadTurn) -> int | None:
    """The flight of this key in this process that may be joined."""
    if turn.what.verified and not turn.rules.verified_joins:
        return None
    for index, what in enumerate(turn.setup.actors):
        other = turn.state.actors[index]
        if (
            isinstance(what, Read)
            and (what.process, what.key) == (turn.p, turn.what.key)
            and index != turn.index
            and isinstance(other, Reader)
            and flying(other)
            and (not other.doomed or turn.rules.doomed_joinable)
        ):
            return index
    return None


PHASES: dict[str, Callable[[ReadTurn], Steps]] = {
    "idle": begins,
    "restamps": restamps,
    "glances": glances,
    "again": tries_again,
    "looks": looking.looks,
    "verifies": looking.verifies,
    "asks": looking.asks,
    "sleeps": looking.sleeps,
    "loads": loading.loads,
    "late": loading.reads_late_stamps,
    "fills": loading.fills,
    "lands": loading.lands,
}
"""Who follows, and whose load reads a part, is moved by those it waits for."""
