"""A hit of L2 the short way: without a flight, by what the clock knows.

`AsyncGlancer` of src/cachewright/_async/glancing.py, seen from far.
What must not be here: the long way.
"""

from __future__ import annotations

from protocol import landing, looking
from protocol.local import land, matches
from protocol.state import NOTICED, Entry, Reader, Step
from protocol.turn import ReadTurn


def possible(turn: ReadTurn) -> bool:
    """Whether a glance may be taken: it asks for no stamps, so all must be known."""
    what, process = turn.what, turn.process
    known = all(process.known[slot] is not None for slot in what.tags)
    return what.glances and known and process.link != NOTICED


def glancing(turn: ReadTurn, me: Reader) -> Reader:
    """About to ask; the epoch is captured now."""
    return looking.unsaid(turn, me)._replace(phase="glances", pending=(looking.KEY,))


def is_hit(turn: ReadTurn) -> bool:
    """Whether the reply may be served: every stamp is as the clock knows it."""
    entry = turn.me.got
    if not isinstance(entry, Entry):
        return False
    same_node = entry.node == turn.me.node or not turn.rules.nodes_named
    return same_node and matches(entry.stamps, turn.process)


def serves(turn: ReadTurn) -> Step:
    """It lands only if nothing at all has moved since the epoch was captured."""
    entry, process, me = turn.me.got, turn.process, turn.me
    assert isinstance(entry, Entry)
    version, stamps = entry.version, entry.stamps
    if me.current or turn.rules.glance_lands == "always":
        process = land(
            turn.rules,
            process,
            me._replace(current=True),
            turn.what.key,
            version=version,
            stamps=stamps,
        )
    return landing.ends(turn, me, "hit", version=version, stamps=stamps, process=process)


def is_believed(turn: ReadTurn) -> bool:
    """Whether the flight that begins now might as well have begun before the glance."""
    return turn.me.current or turn.rules.glance_believed == "always"


def believing(turn: ReadTurn) -> Reader:
    """A flight that has its first reply already."""
    me = Reader("looks", turn.me.floor, turn.me.why, got=turn.me.got, node=turn.me.node)
    return looking.unsaid(turn, me)
