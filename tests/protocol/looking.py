"""What a read asks of the server, and what it makes of the replies: the look, the lease, the wait for another's.

The functions of src/cachewright/_async/looking.py and of `_acquire_and_load` in reading.py, seen from far. A batch is
sent at once and run command by command; its replies are seen together, after the last.
What must not be here: the load.
"""

from __future__ import annotations

from protocol import landing, server
from protocol.local import land, learn, wake
from protocol.state import (
    ABSENCE,
    UNASKED,
    Command,
    Entry,
    Process,
    Reader,
    Stamp,
    Step,
    is_mark,
)
from protocol.turn import ReadTurn, Steps

KEY: Command = ("key",)

# -------------------------------------------------------------------- batches


def looking(turn: ReadTurn, me: Reader) -> Reader:
    """About to get the entry, with those stamps that the clock does not know; a part, with those it hands up."""
    known = turn.process.known
    slots = turn.made
    if turn.what.inside is None:
        slots = tuple(slot for slot in slots if turn.what.verified or known[slot] is None)
    return me._replace(phase="looks", pending=_batch(turn, slots), said=_unsaid(turn))


def asking(turn: ReadTurn, me: Reader) -> Reader:
    """About to ask for the lease, behind the stamps of what will be loaded."""
    slots = turn.made if turn.rules.stamps_before_load else ()
    return me._replace(
        phase="asks", pending=_batch(turn, slots), said=_unsaid(turn), got=None, node=0, woken=False
    )


def unsaid(turn: ReadTurn, me: Reader) -> Reader:
    """Nothing was said of any stamp."""
    return me._replace(said=_unsaid(turn))


def _unsaid(turn: ReadTurn) -> tuple[Stamp, ...]:
    return (UNASKED,) * turn.setup.slots


def _batch(turn: ReadTurn, slots: tuple[int, ...]) -> tuple[Command, ...]:
    """Stamps before the entry; in a cluster a command for each."""
    if turn.setup.cluster:
        return (*((slot,) for slot in slots), KEY)
    return (slots, KEY) if slots else (KEY,)


def _may_run(turn: ReadTurn) -> tuple[Command, ...]:
    """Which commands of the batch may be run next: in a cluster each node has an order of its own."""
    pending = turn.me.pending
    if not turn.setup.cluster:
        return pending[:1]
    waits = turn.rules.key_stamp_first and turn.setup.key_slot(turn.what.key) in pending
    return tuple(command for command in pending if not (waits and command == KEY))


def _without(turn: ReadTurn, command: Command) -> tuple[Command, ...]:
    return tuple(each for each in turn.me.pending if each != command)


def _reads_stamps(turn: ReadTurn, command: Command, *, make: bool) -> Steps:
    me, at = turn.me, turn.server
    slots = tuple(slot for slot in command if isinstance(slot, int))
    if make and turn.rules.missing_stamps_made:
        at = server.make(turn.state, slots)
    said = server.look(at, slots, me.said)
    base = at.sequence if make and not turn.setup.cluster else 0
    names = ",".join(f"t{slot}={_spell(said[slot])}" for slot in slots)
    me = me._replace(said=said, pending=_without(turn, command), base=base)
    yield turn.step(f"{'makes' if make else 'reads'} {names}", me, server=at)


def _spell(stamp: Stamp) -> str:
    return "marked" if is_mark(stamp) else str(stamp)


# -------------------------------------------------------------------- the look


def looks(turn: ReadTurn) -> Steps:
    """GET, behind the stamps; and what the reply is good for."""
    if not turn.me.pending:
        yield from _judges(turn)
        return
    for command in _may_run(turn):
        if command != KEY:
            yield from _reads_stamps(turn, command, make=turn.what.inside is not None)
        else:
            entry, node = turn.server.entries[turn.what.key], turn.server.nodes[0]
            me = turn.me._replace(got=entry, node=node, pending=_without(turn, KEY))
            yield turn.step(f"GET {entry and f'v{entry.version}'}", me)


def _judges(turn: ReadTurn) -> Steps:
    """A reply has come: it teaches, and its entry is served if it is current."""
    process, entry = learn(turn.rules, turn.process, turn.me), turn.me.got
    if not isinstance(entry, Entry):
        yield turn.step("finds nothing", asking(turn, turn.me), process=process)
        return
    missing = _missing(turn, entry, process)
    if missing and _same_node(turn, entry):
        pending = tuple((slot,) for slot in missing) if turn.setup.cluster else (missing,)
        me = turn.me._replace(phase="verifies", pending=pending)
        yield turn.step("needs more stamps", me, process=process)
        return
    yield from _serves_or_asks(turn, entry, process)


def _missing(turn: ReadTurn, entry: Entry, process: Process) -> tuple[int, ...]:
    """The slots that nobody declared and whose stamps must be asked for."""
    return tuple(
        slot
        for slot, stamp in enumerate(entry.stamps)
        if stamp is not None
        and turn.me.said[slot] == UNASKED
        and (turn.what.verified or process.known[slot] is None)
    )


def verifies(turn: ReadTurn) -> Steps:
    """MGET of more stamps."""
    for command in turn.me.pending:
        yield from _reads_stamps(turn, command, make=False)
    entry = turn.me.got
    if not turn.me.pending and isinstance(entry, Entry):
        yield from _serves_or_asks(turn, entry, learn(turn.rules, turn.process, turn.me))


def _serves_or_asks(turn: ReadTurn, entry: Entry, process: Process) -> Steps:
    if not _is_current(turn, entry, process):
        me = asking(turn, turn.me._replace(seen=entry))
        yield turn.step("finds stamps that differ", me, process=process)
        return
    process = land(
        turn.rules,
        process,
        turn.me,
        turn.what.key,
        version=entry.version,
        stamps=_with_made(turn, entry),
    )
    yield landing.ends(
        turn, turn.me, "hit", version=entry.version, stamps=_with_made(turn, entry), process=process
    )


def _same_node(turn: ReadTurn, entry: Entry) -> bool:
    return entry.node == turn.me.node or not turn.rules.nodes_named


def _is_current(turn: ReadTurn, entry: Entry, process: Process) -> bool:
    """Whether every stamp is as the server has just said, or else as the clock knows it."""
    said = turn.me.said
    return _same_node(turn, entry) and all(
        stamp is None
        or stamp == (process.known[slot] if said[slot] == UNASKED else _or_absence(said[slot]))
        for slot, stamp in enumerate(entry.stamps)
    )


def _or_absence(stamp: Stamp) -> Stamp:
    return ABSENCE if stamp is None else stamp


def _with_made(turn: ReadTurn, entry: Entry) -> tuple[int | None, ...]:
    """What a hit carries: the stamps of its entry, and inside a load those that were made for it."""
    if turn.what.inside is None:
        return entry.stamps
    return tuple(
        said if slot in turn.made and isinstance(said, int) and said != UNASKED else stamp
        for slot, (stamp, said) in enumerate(zip(entry.stamps, turn.me.said, strict=True))
    )


# -------------------------------------------------------------------- the lease


def asks(turn: ReadTurn) -> Steps:
    """acquire.lua, behind the stamps; and what the reply is good for."""
    if not turn.me.pending:
        yield from _hears(turn)
        return
    for command in _may_run(turn):
        if command != KEY:
            yield from _reads_stamps(turn, command, make=True)
        else:
            waiter = turn.p if turn.setup.wakes and not turn.what.refresh else None
            got, at = server.acquire(
                turn.server, turn.what.key, turn.index, seen=turn.me.seen, waiter=waiter
            )
            me = turn.me._replace(got=got, pending=_without(turn, KEY), node=at.nodes[0])
            yield turn.step(got if isinstance(got, str) else f"entry v{got.version}", me, server=at)


def _hears(turn: ReadTurn) -> Steps:
    me = turn.me
    if isinstance(me.got, Entry):
        yield from _judges(turn)
    elif any(is_mark(stamp) for stamp in me.said):
        yield _gives_back(turn) if me.got == "lease" else turn.step("sees a mark", _unstored(turn))
    elif me.got == "lease":
        yield turn.step("has the lease", _leased(turn), process=learn(turn.rules, turn.process, me))
    elif me.got == "marked":
        yield turn.step("sees a marked key", _unstored(turn))
    else:
        yield from _held(turn)


def _gives_back(turn: ReadTurn) -> Step:
    """Nothing can be stored, so nobody need wait for it."""
    key = turn.what.key
    _, waiting, at = server.fill(turn.server, key, turn.index, entry=None, rules=turn.rules)
    step = turn.step("sees a mark, gives its lease back", _unstored(turn), server=at)
    return step._replace(state=wake(step.state, key, waiting))


def _held(turn: ReadTurn) -> Steps:
    me, what = turn.me, turn.what
    if turn.rules.stale_on_mismatch and me.seen is not None:
        yield landing.ends(turn, me, "stale", version=me.seen.version, stamps=None)
    elif what.refresh:
        yield landing.gives_up(turn, "leaves it to the holder")
    elif turn.setup.wakes or me.tries < what.patience:
        yield turn.step("waits", me._replace(phase="sleeps", said=(), got=None))
    else:
        yield turn.step("waits no longer", _unstored(turn))


def sleeps(turn: ReadTurn) -> Steps:
    """Woken by a fill or by its doom; or, where time may pass, at any time."""
    if turn.me.woken or not turn.setup.wakes:
        yield turn.step("wakes", asking(turn, turn.me._replace(tries=turn.me.tries + 1)))


def _leased(turn: ReadTurn) -> Reader:
    said = turn.me.said
    carried = tuple(
        None if stamp == UNASKED else ABSENCE if stamp is None else stamp
        for stamp in said
        if not isinstance(stamp, frozenset)
    )
    return _loading(turn, turn.me)._replace(stamps=carried, base=turn.me.base, leased=True)


def _unstored(turn: ReadTurn) -> Reader:
    return _loading(turn, turn.me)


def _loading(turn: ReadTurn, me: Reader) -> Reader:
    return Reader("loads", me.floor, me.why, me.current, me.doomed, node=me.node)
