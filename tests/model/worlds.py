"""Threads and asyncio behind one face, so that one machine drives both.

What a machine does is written as a *script*: a generator that yields functions; what a function returns, awaited
where that is the world's way, is sent back into the script. Context managers around a `yield` hold in both worlds.

What must not be here: what is done or checked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Protocol

from cachewright import AsyncCache, Cache

Script = Generator[Callable[[], Any], Any, Any]

PATIENCE = 8.0
"""Seconds after which whatever is waited for has gone wrong."""
PAUSE = 0.0002


class Gate(Protocol):
    """A flag that a script can wait for."""

    def set(self) -> None: ...
    def wait(self) -> Any: ...


class Job:
    """A script that runs beside the machine."""

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def end(self, value: Any, error: BaseException | None) -> None:
        """It came to this."""
        self.value, self.error = value, error
        self.done = True


class World(Protocol):
    """How a machine makes caches, runs scripts and waits."""

    make_cache: Callable[..., Any]
    enter: str
    exit: str

    def gate(self) -> Gate: ...
    def run(self, script: Script) -> Any: ...
    def start(self, script: Script) -> Job: ...
    def loader(self, script: Callable[..., Script]) -> Callable[..., Any]: ...
    def until(self, true: Callable[[], Any], within: float = PATIENCE) -> bool: ...
    def after_replies(self, store: Any, script: Callable[[], Script]) -> None: ...
    def retire(self, cache: Any) -> None: ...
    def close(self) -> None: ...


# -------------------------------------------------------------------- threads


def play(script: Script) -> Any:
    """Run a script here; its return value."""
    try:
        effect = next(script)
        while True:
            try:
                value = effect()
            except BaseException as error:
                effect = script.throw(error)
            else:
                effect = script.send(value)
    except StopIteration as end:
        return end.value


class ThreadGate:
    """See `Gate`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set

    def wait(self) -> Any:
        assert self._event.wait(10 * PATIENCE), "nobody opened the gate"


class Threads:
    """`Cache`: jobs are threads."""

    make_cache: Callable[..., Any] = Cache
    enter, exit = "__enter__", "__exit__"

    def __init__(self) -> None:
        self._closing: list[Job] = []

    gate = staticmethod(ThreadGate)
    run = staticmethod(play)

    def start(self, script: Script) -> Job:
        job = Job()

        def work() -> None:
            try:
                job.end(play(script), None)
            except BaseException as error:
                job.end(None, error)

        threading.Thread(target=work, daemon=True).start()
        return job

    def loader(self, script: Callable[..., Script]) -> Callable[..., Any]:
        return lambda *args: play(script(*args))

    def until(self, true: Callable[[], Any], within: float = PATIENCE) -> bool:
        deadline = time.monotonic() + within
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
        return True

    def after_replies(self, store: Any, script: Callable[[], Script]) -> None:
        """Run the script when the server has replied and before anybody looks at the reply."""
        ask = store.ask

        def ask_slowly(commands: Any) -> Any:
            replies = ask(commands)
            play(script())
            return replies

        store.ask = ask_slowly

    def retire(self, cache: Any) -> None:
        """Close it aside: that waits for what the cache has in the background."""

        def close() -> Script:
            yield cache.close

        self._closing = [job for job in self._closing if not job.done or job.error]
        self._closing.append(self.start(close()))

    def close(self) -> None:
        """Wait for what was retired. Raises what that raised."""
        for job in self._closing:
            assert self.until(lambda job=job: job.done), "a cache cannot be closed"
            if job.error is not None:
                raise job.error


# -------------------------------------------------------------------- asyncio


async def play_async(script: Script) -> Any:
    """Run a script in this task; its return value."""
    try:
        effect = next(script)
        while True:
            try:
                value = await effect()
            except BaseException as error:
                effect = script.throw(error)
            else:
                effect = script.send(value)
    except StopIteration as end:
        return end.value


class LoopGate:
    """See `Gate`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set = self._event.set

    async def wait(self) -> Any:
        await asyncio.wait_for(self._event.wait(), 10 * PATIENCE)


class Loop:
    """`AsyncCache` in a loop of its own, which turns only while the machine waits for something."""

    make_cache: Callable[..., Any] = AsyncCache
    enter, exit = "__aenter__", "__aexit__"

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: list[Job] = []

    gate = staticmethod(LoopGate)

    def run(self, script: Script) -> Any:
        return self._loop.run_until_complete(play_async(script))

    def start(self, script: Script) -> Job:
        job = Job()

        async def work() -> None:
            try:
                job.end(await play_async(script), None)
            except BaseException as error:
                job.end(None, error)

        task = self._loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def loader(self, script: Callable[..., Script]) -> Callable[..., Any]:
        async def load(*args: Any) -> Any:
            return await play_async(script(*args))

        return load

    def until(self, true: Callable[[], Any], within: float = PATIENCE) -> bool:
        async def wait() -> bool:
            deadline, turns = time.monotonic() + within, 0
            while not true():
                if time.monotonic() > deadline:
                    return False
                turns += 1
                # A loop sleeps for a millisecond at least, and most of what is waited for takes less.
                await asyncio.sleep(0 if turns < 100 else PAUSE)
            return True

        return self._loop.run_until_complete(wait())

    def after_replies(self, store: Any, script: Callable[[], Script]) -> None:
        """See `Threads`."""
        ask = store.ask

        async def ask_slowly(commands: Any) -> Any:
            replies = await ask(commands)
            await play_async(script())
            return replies

        store.ask = ask_slowly

    def retire(self, cache: Any) -> None:
        """Close it while the loop turns for others."""

        def close() -> Script:
            yield cache.aclose

        self._closing = [job for job in self._closing if not job.done or job.error]
        self._closing.append(self.start(close()))

    def close(self) -> None:
        """Wait for what was retired. Raises what that raised."""
        try:
            for job in self._closing:
                assert self.until(lambda job=job: job.done), "a cache cannot be closed"
                if job.error is not None:
                    raise job.error
        finally:
            self._runner.close()
