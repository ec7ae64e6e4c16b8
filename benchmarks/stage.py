"""What cases get to work with: a server, an event loop, timed loops and a place to leave what must be closed.

A stage serves one row in a process of its own. If the row is pinned, so is everything that the stage starts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Self

from benchmarks.timing import Loop, compiled_worker, together
from benchmarks.values import KEYS
from cachewright.embedded import EmbeddedServer


def quietest_core() -> int:
    """The core that does least at the moment, of those this process may use."""
    before = _busy()
    time.sleep(0.2)
    after = _busy()
    return min(os.sched_getaffinity(0), key=lambda core: after[core] - before[core])


def _busy() -> dict[int, int]:
    found = {}
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            name, *times = line.split()
            if name.startswith("cpu") and name != "cpu":
                user, nice, system, _idle, _iowait, *more = map(int, times)
                found[int(name[3:])] = user + nice + system + sum(more[:3])
    return found


def pin() -> bool:
    """Keep this process, and what it starts, on one core; False where the platform cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {quietest_core()})
    return True


_BLOCK = 10
"""Operations: some hundred microseconds of round trips, less than a slice of the scheduler's."""


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop on which some cases left tasks in the background."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


class Stage:
    """`seconds`: about how long a sample of a timed loop lasts. `clock`: "cpu" or "wall", as in `Row`."""

    def __init__(self, *, seconds: float = 0.01, quick: bool = False, clock: str = "wall") -> None:
        self.seconds = seconds
        self.quick = quick
        self.clock = time.thread_time_ns if clock == "cpu" else time.perf_counter_ns
        self._after = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._after.close()

    @cached_property
    def server(self) -> EmbeddedServer:
        """An empty server, shared by the cases of a row; each uses names of its own."""
        server = EmbeddedServer().start()
        self._after.callback(server.stop)
        return server

    def another_server(self) -> EmbeddedServer:
        """One for a case alone."""
        server = EmbeddedServer().start()
        self._after.callback(server.stop)
        return server

    @property
    def url(self) -> str:
        """Of the server, over TCP: what every client can use."""
        return self.server.tcp_url

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of all asyncio cases of a row."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._after.callback(_end, loop)
        return loop

    def wait(self, what: Awaitable[Any]) -> Any:
        """The outcome of an awaitable, on the stage's loop."""
        return self.loop.run_until_complete(what)

    def closing(self, close: Callable[[], object]) -> None:
        """Call `close` when the row is done."""
        self._after.callback(close)

    def aclosing(self, close: Callable[[], Awaitable[object]]) -> None:
        """Await `close()` when the row is done."""
        loop = self.loop  # so that it is closed after this
        self._after.callback(lambda: loop.run_until_complete(close()))

    def timed(
        self, statement: str, keys: Sequence[Any] = KEYS, *, block: int | None = None, **names: Any
    ) -> Loop:
        """Samples of nanoseconds an operation; the statement finds each of `keys` in turn under the name `key`.

        `block`: as for `Loop`; by default ten on the wall clock, which others disturb, and 0 in CPU time.
        """
        loop = self.loop if "await " in statement else None
        if block is None:
            block = _BLOCK if self.clock is time.perf_counter_ns else 0
        return Loop(
            statement,
            keys,
            clock=self.clock,
            seconds=self.seconds,
            loop=loop,
            block=block,
            **names,
        )

    def threaded(
        self, statement: str, threads: int, keys: Sequence[Any] = KEYS, **names: Any
    ) -> Callable[[], float]:
        """Samples of thousand operations a second, of so many threads together."""
        single = self.timed(statement, keys, block=0, **names)
        per_thread = 0

        def sample() -> float:
            nonlocal per_thread
            per_thread = per_thread or single.fitting(8 * self.seconds / threads)
            took = together(lambda: single.run(per_thread), threads)
            return per_thread * threads * len(keys) * 1e6 / took

        return sample

    def tasks(self, statement: str, keys: Sequence[Any], **names: Any) -> Callable[[], float]:
        """Samples of thousand operations a second, of one task for each of `keys`, all at the same time."""
        worker = compiled_worker(statement, list(names))
        repeats = 0

        async def all_of_them(repeats: int) -> int:
            begin = time.perf_counter_ns()
            await asyncio.gather(*(worker(range(repeats), key, **names) for key in keys))
            return time.perf_counter_ns() - begin

        def sample() -> float:
            nonlocal repeats
            if not repeats:
                self.wait(all_of_them(1))
                once = self.wait(all_of_them(2)) / 2
                repeats = max(2, round(5 * self.seconds * 1e9 / once))
            took: int = self.wait(all_of_them(repeats))
            return repeats * len(keys) * 1e6 / took

        return sample
