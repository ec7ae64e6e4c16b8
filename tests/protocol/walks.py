"""Walks through the model, written down as the histories that real processes would record.

What must not be here: the promise, which `floor` and `history` state, each for its own side.
"""

from __future__ import annotations

import random

from protocol.checker import served_too_old, steps
from protocol.history import Op, Operation
from protocol.setup import Read, Setup, Write
from protocol.state import State, Step, Writer

KEY = "row"
"""In the model all values depend on one row of the source."""


def walk(setup: Setup, seed: int) -> list[Step]:
    """Steps taken at random until nothing more can happen, or a read is served too old a version."""
    chance, state, path = random.Random(seed), setup.initial(), list[Step]()
    while choice := list(steps(setup, state)):
        path.append(chance.choice(choice))
        state = path[-1].state
        if served_too_old(path[-1]):
            break
    return path


def history(setup: Setup, path: list[Step]) -> list[Operation]:
    """What was read, written and invalidated on the way; the number of a step is its time."""
    found: list[Operation] = []
    began: dict[int, int] = {}
    before = setup.initial()
    for time, step in enumerate(path):
        for index, me in enumerate(before.actors):
            if me.phase == "idle" and step.state.actors[index].phase != "idle":
                began[index] = time
        for served in step.served:
            what = setup.actors[served.actor]
            assert isinstance(what, Read)
            kind: Op = "verified" if what.verified else "read"
            start = began[served.actor]
            found.append(Operation(what.process, kind, KEY, served.version, start, time))
        if step.state.source > before.source:
            found.append(Operation("source", "write", KEY, step.state.source, time, time))
        found += _known(setup, before, step.state, time)
        before = step.state
    return found


def _known(setup: Setup, before: State, after: State, time: int) -> list[Operation]:
    """The invalidations that have returned, or were heard of, with this step."""
    found = []
    for index, what in enumerate(setup.actors):
        me = after.actors[index]
        if not isinstance(what, Write) or not isinstance(me, Writer):
            continue
        if what.unrelated or me.phase != "done":
            continue
        returned = before.actors[index].phase != "done"
        for p in range(setup.processes):
            had = not returned and (p == what.process or index in before.heard[p])
            if not had and (p == what.process or index in after.heard[p]):
                found.append(Operation(p, "invalidate", KEY, me.floor, time, time))
    return found
