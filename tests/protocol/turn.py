"""One actor's turn in one state: what it sees, and how a step of it is written down.

What must not be here: rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from protocol.rules import Rules
from protocol.setup import Read, Setup, Write
from protocol.state import Process, Reader, Server, State, Step, Writer, put

Steps = Iterator[Step]


class Turn:
    """What actor `index` may do now."""

    __slots__ = ("index", "p", "process", "rules", "server", "setup", "state")

    def __init__(self, setup: Setup, state: State, index: int, p: int) -> None:
        self.setup = setup
        self.state = state
        self.index = index
        self.p = p
        self.process: Process = state.processes[p]
        self.server: Server = state.server
        self.rules: Rules = setup.rules

    def after(
        self, me: Reader | Writer, *, server: Server | None = None, process: Process | None = None
    ) -> State:
        """The state with this actor, and perhaps its server and its process, changed."""
        state = self.state
        changes: dict[str, Any] = {"actors": put(state.actors, self.index, me)}
        if server is not None:
            changes["server"] = server
        if process is not None and process is not self.process:
            changes["processes"] = put(state.processes, self.p, process)
        return state._replace(**changes)


class ReadTurn(Turn):
    """The turn of a read."""

    __slots__ = ("me", "what")

    def __init__(self, setup: Setup, state: State, index: int, what: Read) -> None:
        super().__init__(setup, state, index, what.process)
        me = state.actors[index]
        assert isinstance(me, Reader)
        self.me = me
        self.what = what

    def step(
        self,
        label: str,
        me: Reader,
        *,
        server: Server | None = None,
        process: Process | None = None,
    ) -> Step:
        """This read goes on as `me`."""
        return Step(self.say(label), self.after(me, server=server, process=process))

    def say(self, label: str) -> str:
        """What happens, and to whom."""
        return f"r{self.index}/P{self.p} {label}"

    @property
    def made(self) -> tuple[int, ...]:
        """The slots whose stamps a load, or a part, has to carry."""
        own = self.setup.key_slot(self.what.key) if self.what.inside is not None else ()
        return self.what.tags + own


class WriteTurn(Turn):
    """The turn of a write."""

    __slots__ = ("me", "what")

    def __init__(self, setup: Setup, state: State, index: int, what: Write) -> None:
        super().__init__(setup, state, index, what.process)
        me = state.actors[index]
        assert isinstance(me, Writer)
        self.me = me
        self.what = what

    def step(self, label: str, me: Writer, *, server: Server | None = None) -> Step:
        """This write goes on as `me`."""
        return Step(self.say(label), self.after(me, server=server))

    def say(self, label: str) -> str:
        """What happens, and to whom."""
        return f"w{self.index}/P{self.p} {label}"
