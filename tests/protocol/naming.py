"""States that differ only in the names of stamps are one: stamps are only ever compared for equality.

What must not be here: rules.
"""

from __future__ import annotations

from protocol.server import names
from protocol.state import Entry, Kept, Process, Reader, Server, Stamp, Stamps, State, Writer

Names = dict[int, int]


def renamed(state: State) -> State:
    """The state with its stamps named 1, 2, ... in the order in which they are met."""
    met: Names = {-1: -1, 0: 0}
    for name in names(state):
        met.setdefault(name, len(met) - 1)
    if all(name == new for name, new in met.items()):
        return state
    return state._replace(
        server=_server(state.server, met),
        processes=tuple(_process(process, met) for process in state.processes),
        bus=tuple(
            tuple(
                message._replace(stamps=_each(message.stamps, met)) if message.stamps else message
                for message in messages
            )
            for messages in state.bus
        ),
        actors=tuple(_actor(me, met) for me in state.actors),
        replicas=tuple(at and _server(at, met) for at in state.replicas),
    )


def _each(stamps: Stamps, met: Names) -> Stamps:
    return tuple(None if each is None else met[each] for each in stamps)


def _slots(stamps: tuple[Stamp, ...], met: Names) -> tuple[Stamp, ...]:
    """The same where there may be marks."""
    return tuple(met[each] if isinstance(each, int) else each for each in stamps)


def _server(at: Server, met: Names) -> Server:
    return at._replace(
        stamps=_slots(at.stamps, met), entries=tuple(_entry(each, met) for each in at.entries)
    )


def _entry(entry: Entry | None, met: Names) -> Entry | None:
    return entry and entry._replace(stamps=_each(entry.stamps, met))


def _process(process: Process, met: Names) -> Process:
    return process._replace(
        known=_each(process.known, met), memory=tuple(_kept(kept, met) for kept in process.memory)
    )


def _kept(kept: Kept | None, met: Names) -> Kept | None:
    return kept and kept._replace(stamps=_each(kept.stamps, met))


def _actor(me: Reader | Writer, met: Names) -> Reader | Writer:
    if isinstance(me, Writer):
        if not (me.news or me.stamps):
            return me
        return me._replace(news=_each(me.news, met), stamps=_each(me.stamps, met))
    return me._replace(
        said=_slots(me.said, met),
        got=_entry(me.got, met) if isinstance(me.got, Entry) else me.got,
        seen=_entry(me.seen, met),
        stamps=me.stamps and _each(me.stamps, met),
        gathered=me.gathered and _each(me.gathered, met),
    )
