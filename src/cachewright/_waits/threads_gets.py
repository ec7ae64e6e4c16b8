"""Single keys that threads ask for while the server is busy with others: they leave together. Nothing about caching.

A thread that wants a key makes a round trip of its own while few are under way, and asks in it for whoever waits as well.
When as many are under way as keep this process busy, it waits for one of them to end: then it is among those that the next
one asks for, or is the one who asks. That is one wake-up in the place of two system calls, which each hand over the
interpreter, and one command for the server in the place of many (Hendler et al., "Flat combining and the
synchronization-parallelism tradeoff", SPAA 2010).
"""

from __future__ import annotations

import threading
from collections import deque
from math import inf
from time import perf_counter
from typing import Any, TypeAlias

from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire

Asked: TypeAlias = tuple[Any, bytes]
"""A reply, and the id of the node that gave it."""

TOGETHER = 64
"""Keys in one command: what a thread waits for stays small."""

WORK = 25e-6
"""Seconds about that a thread is busy with one read. Round trips take longer, so several are kept under way."""

LEAST, MOST = 2, 16
"""Round trips that are under way before others have to wait."""

SOON = 0.005
"""Seconds a thread may have waited and still be given its whole time budget: to change a socket's takes two system calls."""


class _Waiter:
    """A key that another thread may ask for."""

    __slots__ = ("asked", "error", "is_answered", "leads", "name", "woken")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.leads = False
        """Whether it is this thread's turn to ask."""
        self.is_answered = False
        self.asked: Asked | None = None
        self.error: RemoteError | None = None
        self.woken = threading.Lock()
        self.woken.acquire()

    def answer(self, asked: Asked | None, error: RemoteError | None = None) -> None:
        """Give the thread what it waits for."""
        self.asked, self.error = asked, error
        self.is_answered = True
        self.woken.release()

    def result(self) -> Asked | None:
        """The answer."""
        if self.error is not None:
            # An error of its own: a traceback belongs to one thread.
            raise type(self.error)(*self.error.args) from self.error
        return self.asked


class Gathering:
    """Gathers the reads of threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finaliser may read as well
        self._queue: deque[_Waiter] = deque()
        self._under_way = 0
        self._fastest = inf
        self._most = LEAST

    def one(self, packed: bytes, timeout: float) -> Asked | None:
        """One round trip for one command: its reply and the node's id; None where no socket is idle. Raises `RemoteError`."""
        raise NotImplementedError

    def get(
        self, name: bytes, packed: bytes, timeout: float, *, queue: bool = True
    ) -> Asked | None:
        """What a key holds and the node's id; None where no socket is idle. `packed` is the GET for `name`, an argument.

        `queue=False`: None as well, rather than wait behind another thread that waits for the same key.
        Raises `RemoteError`.
        """
        waiter = None
        with self._lock:
            if self._under_way < self._most:
                self._under_way += 1
            elif not queue and any(other.name == name for other in self._queue):
                return None
            else:
                waiter = _Waiter(name)
                self._queue.append(waiter)
        if waiter is not None:
            began = perf_counter()
            self._wait(waiter, timeout)
            if not waiter.leads:
                return waiter.result()
            waited = perf_counter() - began
            if waited > SOON:
                timeout = max(timeout - waited, 0.001)
        return self._lead(name, packed, timeout)

    def _wait(self, waiter: _Waiter, timeout: float) -> None:
        """Until it is answered or leads; `RemoteTimeout` if neither comes in time."""
        try:
            if waiter.woken.acquire(timeout=timeout):
                return
            with self._lock:
                if waiter.leads or waiter.is_answered:
                    return
                self._forget(waiter)
            raise RemoteTimeout("the server did not answer in time")
        except RemoteTimeout:
            raise
        except BaseException:  # an interrupted thread must not take its turn with it
            with self._lock:
                if waiter.leads:
                    self._pass_on()
                else:
                    self._forget(waiter)
            raise

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)

    def _lead(self, name: bytes, packed: bytes, timeout: float) -> Asked | None:
        """Ask for a key, and for those that others wait for."""
        others: list[_Waiter] = []
        try:
            if self._queue:
                with self._lock:
                    while self._queue and len(others) < TOGETHER - 1:
                        others.append(self._queue.popleft())
            if others:
                names = [name, *[other.name for other in others]]
                return self._share(self.one(wire.pack_many("MGET", names), timeout), others)
            began = perf_counter()
            asked = self.one(packed, timeout)
            took = perf_counter() - began
            if took < self._fastest:
                self._fastest = took
                self._most = min(MOST, max(LEAST, 1 + round(took / WORK)))
            return asked
        except BaseException as error:
            failed = (
                error
                if isinstance(error, RemoteError)
                else RemoteUnavailable("the thread that asked was interrupted")
            )
            for other in others:
                if not other.is_answered:
                    other.answer(None, failed)
            raise
        finally:
            with self._lock:
                self._pass_on()

    def _pass_on(self) -> None:
        """A round trip has ended: who waits longest makes the next one."""
        if self._queue:
            waiter = self._queue.popleft()
            waiter.leads = True
            waiter.woken.release()
        else:
            self._under_way -= 1

    @staticmethod
    def _share(asked: Asked | None, others: list[_Waiter]) -> Asked | None:
        """Hand out what came for the others; the leader's own part."""
        if asked is None:
            for other in others:
                other.answer(None)
            return None
        replies, node = asked
        if type(replies) is not list or len(replies) != 1 + len(others):
            if not isinstance(replies, RemoteError):
                replies = wire.ServerError("a reply that makes no sense")
            replies = [replies] * (1 + len(others))
        own, *rest = replies
        for other, reply in zip(others, rest, strict=True):
            other.answer((reply, node))
        return own, node
