"""A write: commit and invalidate, or the two phases around a commit.

`AsyncEngine.invalidate` and `AsyncWriting` of src/cachewright, seen from far. On one node a script does everything at
once, its message included; in a cluster each key and tag is a command of its own, and the message another.
What must not be here: what the scripts do (`server`).
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import filling, local, server
from protocol.setup import Setup, Write
from protocol.state import Command, Message, Server, State, Step, Writer
from protocol.turn import Steps, WriteTurn

TELL: Command = ("tell",)
ALL: Command = ("all",)


def steps(setup: Setup, state: State, index: int, what: Write) -> Steps:
    """What this write may do next."""
    act = PHASES.get(state.actors[index].phase)
    if act is not None:
        yield from act(WriteTurn(setup, state, index, what))


def _commands(turn: WriteTurn) -> tuple[Command, ...]:
    """What one call sends."""
    if turn.rules.prefix_scanned:
        return (("scan", 0), ("scan", 1))
    if not turn.setup.cluster:
        return (ALL,)
    keys: list[Command] = [("key", key) for key in turn.what.keys]
    return (*keys, *(("tag", tag) for tag in turn.what.tags), TELL)


def _may_run(turn: WriteTurn) -> tuple[Command, ...]:
    """The message leaves when every node has answered."""
    pending = turn.me.pending
    if len(pending) > 1 and turn.rules.tells_last:
        return tuple(command for command in pending if command != TELL)
    return pending


def _names(turn: WriteTurn, command: Command) -> list[tuple[str, int]]:
    if command != ALL:
        return [(str(command[0]), int(command[1]))]
    what = turn.what
    return [("key", key) for key in what.keys] + [("tag", tag) for tag in what.tags]


# -------------------------------------------------------------------- phase 1


def begins(turn: WriteTurn) -> Steps:
    """A plain write commits first; a two-phase write marks first."""
    if turn.what.two_phase:
        yield turn.step("begins", Writer("marks", pending=_commands(turn)))
    else:
        yield _commits(turn)


def marks(turn: WriteTurn) -> Steps:
    """mark.lua, for the first time or again before the commit; after the reply the local half."""
    for command in _may_run(turn):
        yield _marks(turn, command)
    if not turn.me.pending:
        again, rules = turn.me.phase == "reasserts", turn.rules
        stamps = turn.me.stamps
        if again or not rules.reasserts:
            me = Writer("commits", stamps=stamps, doomed=turn.me.doomed)
        else:
            pending = _commands(turn)
            me = Writer("reasserts", pending=pending, stamps=stamps, doomed=turn.me.doomed)
        told = (turn.me.made and rules.reassertion_tells) if again else rules.mark_tells
        yield _local_half(turn, me) if told else turn.step("is told that it is marked", me)


def _marks(turn: WriteTurn, command: Command) -> Step:
    me, at, made = turn.me, turn.server, turn.me.made
    again = me.phase == "reasserts"
    pending = tuple(each for each in me.pending if each != command)
    if command != TELL:
        for kind, number in _names(turn, command):
            mark = server.mark_key if kind == "key" else server.mark_tag
            new, at = mark(turn.setup, at, number, turn.index)
            made = made or new
    if made and not me.made and turn.what.tags and not turn.setup.cluster:
        at = server.raise_sequence(at)
    step = turn.step(
        f"{'re-asserts' if again else 'marks'} {_spell(command)}",
        me._replace(pending=pending, made=made),
        server=at,
    )
    tells = turn.rules.reassertion_tells if again else turn.rules.mark_tells
    if command in (ALL, TELL) and made and tells:
        step = step._replace(state=_tell(turn, step.state, 1))
    return step if again else filling.notes_others(turn, step)


# -------------------------------------------------------------------- the commit, and phase 2


def commits(turn: WriteTurn) -> Steps:
    """The source has the new version."""
    yield _commits(turn)


def _commits(turn: WriteTurn) -> Step:
    version = turn.state.source + (not turn.what.unrelated)
    after = "invalidates" if turn.rules.local_half == "after" else "drops first"
    floor = 0 if turn.what.unrelated else version
    me = Writer(after, floor, pending=_commands(turn), version=version)
    me = me._replace(stamps=turn.me.stamps, doomed=turn.me.doomed)
    step = turn.step(f"commits v{version}", me)
    return step._replace(state=step.state._replace(source=version))


def drops_first(turn: WriteTurn) -> Steps:
    """Weakened: before the server has dropped."""
    yield _local_half(turn, turn.me._replace(phase="invalidates"))


def invalidates(turn: WriteTurn) -> Steps:
    """invalidate.lua; after the reply the local half."""
    for command in _may_run(turn):
        yield _invalidates(turn, command)
    if not turn.me.pending and turn.what.fills:
        yield filling.drops_and_learns(turn, _local_half)
    elif not turn.me.pending:
        me = Writer("done", turn.me.floor)
        if turn.rules.local_half == "after":
            yield _local_half(turn, me)
        else:
            yield turn.step("returns", me)


def _invalidates(turn: WriteTurn, command: Command) -> Step:
    me, state = turn.me, turn.state
    pending = tuple(each for each in me.pending if each != command)
    if command == ALL and turn.what.tags:
        state = state._replace(server=server.raise_sequence(state.server))
    if command != TELL:
        for kind, number in _names(turn, command):
            state = state._replace(server=_one(turn, state, kind, number))
    news = me.news or (None,) * turn.setup.slots
    if turn.setup.set_by_news:
        news = tuple(
            local.stamp_or_none(state.server.stamps[slot]) if slot in turn.what.tags else None
            for slot in range(turn.setup.slots)
        )
        me = me._replace(news=news)
    after = turn.step(
        f"invalidates {_spell(command)}", me._replace(pending=pending), server=state.server
    )
    if turn.what.fills:
        after = filling.stores(turn, after)
    last = command in (ALL, TELL) or (turn.rules.prefix_scanned and not pending)
    return after._replace(state=_tell(turn, after.state, 2)) if last else after


def _one(turn: WriteTurn, state: State, kind: str, number: int) -> Server:
    if kind == "key":
        return server.drop_key(turn.setup, state.server, number, turn.index)
    if kind == "tag":
        return server.move_tag(turn.setup, state, number, turn.index)
    return _scans(state.server, number)


def _scans(at: Server, number: int) -> Server:
    """SCAN visits the names of entry and lease one after the other, and drops both when it sees either."""
    seen = (at.entries if number == 0 else at.leases)[0] is not None
    return at._replace(entries=(None,), leases=(None,)) if seen else at


# -------------------------------------------------------------------- both


def _local_half(turn: WriteTurn, me: Writer) -> Step:
    what, news = turn.what, turn.me.news
    step = turn.step("drops here, and goes on", me)
    state = local.invalidate(
        turn.setup, step.state, turn.p, keys=what.keys, slots=turn.setup.slots_of(what), news=news
    )
    return step._replace(state=state)


def _tell(turn: WriteTurn, state: State, phase: int) -> State:
    me = state.actors[turn.index]
    assert isinstance(me, Writer)
    return local.publish(
        state, Message(turn.index, phase, me.news), turn.setup.listeners - {turn.p}
    )


def _spell(command: Command) -> str:
    return "".join(map(str, command))


PHASES: dict[str, Callable[[WriteTurn], Steps]] = {
    "idle": begins,
    "marks": marks,
    "reasserts": marks,
    "commits": commits,
    "drops first": drops_first,
    "invalidates": invalidates,
    "lands": filling.lands,
}
