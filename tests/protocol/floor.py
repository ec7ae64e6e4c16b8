"""The promise: the oldest version that a read may be given which starts now.

`protocol.history` says the same of histories recorded from real processes.
What must not be here: how reads and writes work.
"""

from __future__ import annotations

from protocol.setup import Setup, Write
from protocol.state import State, Writer

WHY = {
    "a": "invalidated by the same process",
    "b": "invalidated elsewhere, and heard of",
    "c": "invalidated elsewhere, and verified",
    "d": "at rest",
    "e": "at rest, after a crash",
    "w": "waits for a lease that nobody holds",
}
"""The kinds of violation."""


def floor(setup: Setup, state: State, p: int, *, verified: bool) -> tuple[int, str]:
    """The newest version that an invalidation which has returned promises to a read here, and by what right."""
    best, why = 0, ""
    for index, what in enumerate(setup.actors):
        me = state.actors[index]
        if isinstance(what, Write) and isinstance(me, Writer) and me.phase == "done":
            right = _right(state, p, index, what.process == p, verified=verified)
            if right and me.floor > best:
                best, why = me.floor, right
    return best, why


def _right(state: State, p: int, writer: int, own: bool, *, verified: bool) -> str:
    if own:
        return "a"
    if writer in state.heard[p]:
        return "b"
    return "c" if verified else ""
