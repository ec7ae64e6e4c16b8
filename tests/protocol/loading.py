"""The load, what its value is made from, and where it is kept.

The functions of src/cachewright/_async/loading.py, seen from far.
What must not be here: how the lease was got (`looking`).
"""

from __future__ import annotations

from protocol import landing, local, server
from protocol.setup import Read
from protocol.state import Entry, Reader, Server, Stamps
from protocol.turn import ReadTurn, Steps

NOTHING_READ = 99
"""The version of a load that has not read anything yet."""


def loads(turn: ReadTurn) -> Steps:
    """The source is read, at one instant."""
    now = turn.state.source
    for version in {now} if turn.rules.source_current else {now, max(now - 1, 0)}:
        me = turn.me._replace(version=version)
        parts = turn.setup.parts.get(turn.index, ())
        if parts:
            pending = tuple((part,) for part in parts)
            nothing = (None,) * turn.setup.slots
            # A whole that depends on no tag of its own reads nothing but its parts.
            own = turn.what.tags or turn.what.late
            me = me._replace(
                phase="parts",
                pending=pending,
                gathered=nothing,
                version=version if own else NOTHING_READ,
            )
        else:
            me = loaded(turn.what, me, stamps_late=not turn.rules.stamps_before_load)
        yield turn.step(f"loads v{version}", me)


def loaded(what: Read, me: Reader, *, stamps_late: bool) -> Reader:
    """The load has ended, its parts included."""
    if not me.leased:
        return me._replace(phase="lands", stamps=None, gathered=(), node=0, pending=())
    late = what.late or stamps_late
    return me._replace(phase="late" if late else "fills", pending=())


# -------------------------------------------------------------------- what it is made from


def reads_late_stamps(turn: ReadTurn) -> Steps:
    """The stamps of tags that the load has named; none of them may be younger than the load."""
    me, what = turn.me, turn.what
    slots = what.late if turn.rules.stamps_before_load else turn.made + what.late
    stamps = me.stamps
    assert stamps is not None
    slots = tuple(slot for slot in slots if stamps[slot] is None)
    at = server.make(turn.state, slots)
    late = tuple(
        local.stamp_or_none(at.stamps[slot]) if slot in slots else None
        for slot in range(turn.setup.slots)
    )
    vouched = all(late[slot] is not None and _covered(turn, at, slot) for slot in slots)
    joined = merge(stamps, late) if vouched else None
    label = "reads late stamps" + ("" if vouched else ": too young")
    yield turn.step(label, me._replace(phase="fills", stamps=joined, base=0), server=at)


def _covered(turn: ReadTurn, at: Server, slot: int) -> bool:
    if turn.rules.late_tags == "unchecked" or not turn.rules.stamps_before_load:
        return True
    return not turn.setup.cluster and server.covered(at, slot, turn.me.base)


def merge(mine: Stamps | None, other: Stamps | None) -> Stamps | None:
    """Both together; None if they disagree about a stamp, or if nothing vouches for one of them."""
    if mine is None or other is None:
        return None
    if any(a is not None and b is not None and a != b for a, b in zip(mine, other, strict=True)):
        return None
    return overlay(mine, other)


def overlay(under: Stamps, over: Stamps) -> Stamps:
    """Both together; where they disagree, that of `over`."""
    return tuple(a if b is None else b for a, b in zip(under, over, strict=True))


def _made_from(turn: ReadTurn) -> Stamps | None:
    """The stamps of the whole."""
    me, parts = turn.me, turn.rules.parts
    if me.gathered == () or parts == "ignored":
        return me.stamps
    if parts == "last wins" and me.stamps is not None and me.gathered is not None:
        return overlay(me.stamps, me.gathered)
    return merge(me.stamps, me.gathered)


# -------------------------------------------------------------------- where it is kept


def fills(turn: ReadTurn) -> Steps:
    """fill.lua: stored if the lease still stands; what nothing vouches for gives it back."""
    me, key = turn.me, turn.what.key
    stamps = _made_from(turn)
    if stamps is not None and turn.what.absent and me.version == 0 and not turn.rules.absent_tagged:
        stamps = (None,) * turn.setup.slots
    entry = None if stamps is None else Entry(me.version, stamps, me.node)
    kept, waiting, at = server.fill(turn.server, key, turn.index, entry=entry, rules=turn.rules)
    me = Reader(
        "lands",
        me.floor,
        me.why,
        me.current,
        me.doomed,
        version=me.version,
        stamps=stamps if kept else None,
    )
    step = turn.step("fills" if kept else "fills nothing", me, server=at)
    if waiting:
        step = step._replace(state=local.wake(step.state, key, waiting))
    yield step


def lands(turn: ReadTurn) -> Steps:
    """Into memory, unless something came between; and back to the callers."""
    me, process = turn.me, turn.process
    if me.stamps is not None:
        process = local.land(
            turn.rules, process, me, turn.what.key, version=me.version, stamps=me.stamps
        )
    yield landing.ends(turn, me, "returns", version=me.version, stamps=me.stamps, process=process)
