"""Waiting in threads. The twin of `aio`: the same names, nothing about caching.

A pipe lends each caller a socket of its own; a batch is one write and one wait for all of its replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeAlias

from cachewright.errors import LoadTimeout

DEFINE, WAIT = "def", ""
"""How this world spells a function that waits and a wait, for source that is compiled."""

Doing: TypeAlias = None
"""What an action that waits returns."""

Mutex = threading.RLock
"""Reentrant, since a finaliser may call a cache at any moment."""


def here() -> object:
    """The event loop this belongs to: threads have none."""
    return None


def wall_sleep(seconds: float) -> None:
    """Real time passes."""
    time.sleep(seconds)


class Event:
    """A flag to wait for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set
        self.clear = self._event.clear
        self.is_set = self._event.is_set

    def wait(self, timeout: float | None) -> bool:
        """Whether the flag was raised within `timeout` seconds."""
        return self._event.wait(timeout)


class Outcome:
    """What a piece of work came to; any number of callers may wait for it.

    They wait for one lock, which each of them passes on: an Event would wake all of them to contend for its own. The
    first of them makes it, since most outcomes are waited for by nobody.
    """

    __slots__ = ("_gates", "done", "error", "value")

    def __init__(self) -> None:
        self._gates: list[threading.Lock] = []
        self.done = False
        """Whether it is known yet."""
        self.value: Any = None
        self.error: BaseException | None = None

    def succeed(self, value: Any) -> None:
        """The work is done."""
        self.value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """The work failed."""
        self.error = error
        self._finish()

    def _finish(self) -> None:
        self.done = True
        self._open()

    def _open(self) -> None:
        if self._gates:
            with contextlib.suppress(RuntimeError):  # it was open
                self._gates[0].release()

    def _gate(self) -> threading.Lock:
        """The lock that all wait for: of those made at the same time the first that was appended."""
        if not self._gates:
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
        return self._gates[0]

    def wait(self, timeout: float | None) -> bool:
        """Whether it became known within `timeout` seconds."""
        if self.done:
            return True
        gate = self._gate()
        if not self.done:  # who ends it from now on finds the gate
            try:
                gate.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
            finally:  # an interrupted caller must not keep the gate either
                if self.done:
                    self._open()
        return self.done


class Slots:
    """At most `limit` at once; None for no limit. To take a free one takes no lock."""

    def __init__(self, limit: int | None) -> None:
        self.limited = limit is not None
        self._free: deque[None] | None = deque([None] * limit) if limit else None
        self._given = threading.Condition()
        self._waiting = 0

    def take(self, timeout: float) -> bool:
        """Whether a slot came free within `timeout` seconds."""
        return self._has_taken() or self._wait(timeout)

    def _wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        with self._given:
            # Counted before the look: a slot that is given after it finds somebody to notify.
            self._waiting += 1
            try:
                while not self._has_taken():
                    left = end - time.monotonic()
                    if left <= 0 or not self._given.wait(left):
                        return self._has_taken()
                return True
            finally:
                self._waiting -= 1

    def _has_taken(self) -> bool:
        try:
            if self._free is not None:
                self._free.pop()
        except IndexError:
            return False
        return True

    def give(self) -> None:
        """Give the slot back."""
        if self._free is not None:
            self._free.append(None)
            if self._waiting:
                with self._given:
                    self._given.notify()


def carry(work: Callable[..., Any], *args: Any) -> None:
    """Run work that must not die with its caller: here the caller is the one who runs it."""
    work(*args)


class Background:
    """Work that goes on while callers go away. Threads are daemons, named, and started by the work itself."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[threading.Thread] = set()

    def start(self, work: Callable[..., Any], *args: Any) -> None:
        """Run `work(*args)` aside, in the caller's context."""
        context = copy_context()

        def run() -> None:
            try:
                context.run(work, *args)
            finally:
                self._running.discard(thread)

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except BaseException:
            self._running.discard(thread)
            raise

    def __len__(self) -> int:
        return len(self._running)

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what runs."""
        end = time.monotonic() + timeout
        for thread in list(self._running):
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def forget(self) -> None:
        """After a fork: what ran has stayed with the parent."""
        self._running = set()


def call_load(load: Callable[..., Any], args: tuple[Any, ...], timeout: float | None) -> Any:
    """Call a loader. A running function cannot be stopped, so `timeout` frees its key, not its thread."""
    return load(*args)


def wait_for(outcome: Outcome, timeout: float | None) -> Any:
    """The outcome's value or its error; `LoadTimeout` when it stays unknown."""
    if not outcome.wait(timeout):
        raise LoadTimeout(f"the load did not finish within {timeout} s")
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


is_foreign = inspect.iscoroutinefunction
"""Whether a function belongs to the other world."""


def bridge(
    function: Callable[..., Any], read: Callable[..., Any], hot: Callable[..., Any]
) -> Callable[..., Any]:
    """A coroutine function over a blocking read: the read waits in a thread, its load runs on the caller's loop.

    `hot` gives the entry of a hit that needs no wait, or None.
    """

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        entry = hot(*args, **kwargs)
        if entry is not None:
            return entry.value
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()

        def load(*args: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), loop).result()

        def run() -> None:
            try:
                value = read(load, args, kwargs)
            except BaseException as error:  # whatever it is, it belongs to the caller that waits
                _hand_over(loop, result, result.set_exception, error)
            else:
                _hand_over(loop, result, result.set_result, value)

        # A thread each, not a pool: a load that reads through another bridge must never wait for its own thread.
        threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
        return await result

    return wrapper


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    result: asyncio.Future[Any],
    give: Callable[[Any], None],
    it: Any,
) -> None:
    def settle() -> None:
        if not result.done():
            give(it)

    with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def membership(contains: Callable[..., bool]) -> Callable[..., bool]:
    """`in` is `contains`."""
    return contains
