"""The search: every state that a setup can reach, until one breaks the promise.

What must not be here: rules, and what a setup may hold.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from protocol import faults, reader, writer
from protocol.local import matches, servable
from protocol.naming import renamed
from protocol.setup import Read, Setup, Write
from protocol.state import ABSENCE, OVER, Entry, Process, State, Step, is_mark
from protocol.turn import Steps

Before = dict[State, State | None]

LIMIT = 3_000_000
"""States after which a search gives up."""


class TooLarge(Exception):
    """The search has given up."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a search ended: the states it met, and the violation it found, "" for none, with the way there."""

    states: int
    violation: str
    trace: list[str] = field(default_factory=list)
    path: list[Step] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The letter of `floor.WHY`, or "" if the promise holds."""
        return self.violation[1:2]


def search(setup: Setup, limit: int = LIMIT) -> Verdict:
    """Breadth first, so that a violation is found by one of the shortest ways. Raises `TooLarge`."""
    start = setup.initial()
    before: Before = {start: None}
    todo = deque([start])
    while todo:
        state = todo.popleft()
        wrong = at_rest(setup, state)
        if wrong:
            return _found(setup, before, state, wrong=wrong)
        idle = True
        for step in steps(setup, state):
            idle = False
            wrong = served_too_old(step)
            if wrong:
                return _found(setup, before, state, wrong=wrong, last=step)
            after = renamed(step.state)
            if after not in before:
                before[after] = state
                todo.append(after)
        if idle and setup.wakes:
            wrong = sleeps_for_ever(state)
            if wrong:
                return _found(setup, before, state, wrong=wrong)
        if len(before) > limit:
            raise TooLarge(f"more than {limit} states")
    return Verdict(len(before), "")


def steps(setup: Setup, state: State) -> Steps:
    """All that may happen in this state."""
    for index, what in enumerate(setup.actors):
        if state.actors[index].phase == "idle" and _has_idle_twin(setup, state, index):
            continue
        if isinstance(what, Read):
            yield from reader.steps(setup, state, index, what)
        else:
            yield from writer.steps(setup, state, index, what)
    yield from faults.steps(setup, state)


def _has_idle_twin(setup: Setup, state: State, index: int) -> bool:
    """Of several that are to do the same, the first begins first."""
    return any(
        state.actors[other].phase == "idle" and setup.actors[other] == setup.actors[index]
        for other in range(index)
    )


def _found(
    setup: Setup,
    before: Before,
    state: State | None,
    *,
    wrong: str,
    last: Step | None = None,
) -> Verdict:
    path = [last] if last else []
    while state is not None and (previous := before[state]) is not None:
        path.append(next(s for s in steps(setup, previous) if renamed(s.state) == state))
        state = previous
    path.reverse()
    return Verdict(len(before), wrong, [step.label for step in path], path)


# -------------------------------------------------------------------- what must not be


def served_too_old(step: Step) -> str:
    """A read that is given less than it was promised."""
    for served in step.served:
        if served.version < served.floor:
            return (
                f"({served.why}) r{served.actor} is served v{served.version},"
                f" was promised v{served.floor}: {step.label}"
            )
    return ""


def sleeps_for_ever(state: State) -> str:
    """Nothing happens any more, and a read still waits to be woken."""
    for index, me in enumerate(state.actors):
        if me.phase == "sleeps":
            return f"(w) r{index} waits for a lease, and nobody will wake it"
    return ""


def at_rest(setup: Setup, state: State) -> str:
    """Nothing runs and nothing is on its way: what may be served now is of the last version."""
    if any(state.bus) or any(process.link for process in state.processes):
        return ""
    letter = "d"
    for me, what in zip(state.actors, setup.actors, strict=True):
        if me.phase not in OVER:
            return ""
        if isinstance(what, Write) and me.phase == "crashed":
            if not what.two_phase:
                return ""  # it never returned, and nothing was marked: nothing is promised
            letter = "e"
    if any(map(is_mark, (*state.server.leases, *state.server.stamps))) or any(state.server.beside):
        return ""
    wrong = next(filter(None, (_servable(setup, state, key) for key in range(setup.keys))), "")
    return wrong and f"({letter}) at rest {wrong}, the source holds v{state.source}"


def _servable(setup: Setup, state: State, key: int) -> str:
    entry = state.server.entries[key]
    entry = entry if entry is not None and entry.version < state.source else None
    if entry is not None and _of_this_node(setup, state, entry) and _matches_server(state, entry):
        return f"the server's v{entry.version} of k{key} may be served"
    for p, process in enumerate(state.processes):
        if entry is not None and _plain_hit(setup, state, process, entry):
            return f"a plain GET in P{p} serves v{entry.version} of k{key}"
        kept = process.memory[key]
        if kept is not None and kept.version < state.source and servable(kept, process):
            return f"the memory of P{p} serves v{kept.version} of k{key}"
    return ""


def _of_this_node(setup: Setup, state: State, entry: Entry) -> bool:
    return not setup.rules.nodes_named or entry.node == state.server.nodes[0]


def _matches_server(state: State, entry: Entry) -> bool:
    return all(
        stamp is None or stamp == (ABSENCE if at is None else at)
        for stamp, at in zip(entry.stamps, state.server.stamps, strict=True)
    )


def _plain_hit(setup: Setup, state: State, process: Process, entry: Entry) -> bool:
    return _of_this_node(setup, state, entry) and matches(entry.stamps, process)
