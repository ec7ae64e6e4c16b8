# Generated from _async/bus.py by tools/unasync.py. Do not edit.
"""Hears invalidations and wake-ups on a connection of its own, and notices when it may have missed some.

Invariant (design rule 6; tests/_sync/test_failures.py would catch its loss): when the link drops, or a pong does not
arrive in time, and again when it is back, `on_link` is told, and everything known is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cachewright._waits import threads, threads_pipe
from cachewright.core.keys import KeySpace
from cachewright.errors import RemoteUnavailable
from cachewright.redis import messages
from cachewright.redis.target import Target

HEARTBEAT = 1.0
"""Seconds after which a pong is asked for, and within which it must arrive. It says whether the server is still
the primary it was."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between attempts to connect. Kept short: until the link is back, L1 is of no use."""


class Bus:
    """The link. `on_link(up, error, node)` is called at each change, the others for what is heard.

    Ends when `alive` says so: a cache that was dropped without being closed leaves no listener behind.
    """

    def __init__(
        self,
        target: Target,
        keys: KeySpace,
        *,
        connect_timeout: float,
        on_link: Callable[[bool, Exception | None, bytes], None],
        on_invalidation: Callable[[messages.Invalidation], None],
        on_wake: Callable[[str], None],
        on_nonsense: Callable[[], None],
        on_pong: Callable[[], None],
        alive: Callable[[], bool],
    ) -> None:
        self._target = target
        self._keys = keys
        self._channel = keys.bus.encode()
        self._connect_timeout = connect_timeout
        self._on_link = on_link
        self._on_invalidation = on_invalidation
        self._on_wake = on_wake
        self._on_nonsense = on_nonsense
        self._on_pong = on_pong
        self._alive = alive
        self._closing = False
        self._tried = threads.Event()
        self._background = threads.Background("cachewright-bus")
        self._subscription: threads_pipe.Subscription | None = None
        self.up = False

    def start(self, process: str) -> None:
        """Begin to listen, for the process of this name."""
        self._background.start(self._run, process)

    @property
    def was_tried(self) -> bool:
        """Whether the first attempt to connect has ended."""
        return self._tried.is_set()

    def wait_until_tried(self, timeout: float) -> None:
        """Return when the first attempt to connect has ended, however it ended."""
        self._tried.wait(timeout)

    def _run(self, process: str) -> None:
        channels = (self._keys.bus, self._keys.wake + process)
        pause = FIRST_PAUSE
        while not self._closing and self._alive():
            error: Exception | None = None
            try:
                self._subscription = threads_pipe.Subscription.open(
                    self._target, channels, self._connect_timeout
                )
                self._change(up=True, error=None, node=self._subscription.node)
                pause = FIRST_PAUSE
                self._listen(self._subscription, process)
            except Exception as caught:
                # Whatever it is, listening must go on: without the link L1 is of no use.
                error = caught
            finally:
                if self._subscription is not None:
                    self._subscription.close()
                    self._subscription = None
                self._change(up=False, error=error)
            if not self._closing:
                threads.wall_sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _change(self, *, up: bool, error: Exception | None, node: bytes = b"") -> None:
        if up or self.up or not self._tried.is_set():
            self.up = up
            self._on_link(up, error, node)
        self._tried.set()

    def _listen(self, subscription: threads_pipe.Subscription, process: str) -> None:
        # Real time, not the cache's clock: it is the network that is being judged.
        due = time.monotonic() + HEARTBEAT
        asked = False
        while not self._closing and self._alive():
            left = due - time.monotonic()
            if left <= 0:
                if asked:
                    raise RemoteUnavailable("no pong arrived in time")
                # Whatever else arrives: only the pong shows that nothing is queued before it.
                subscription.ping()
                asked, due = True, time.monotonic() + HEARTBEAT
                continue
            push = subscription.next(left)
            if push is None:
                continue
            if subscription.is_pong(push):
                asked, due = False, time.monotonic() + HEARTBEAT
                self._on_pong()
            else:
                self._hear(push, process)

    def _hear(self, push: Any, process: str) -> None:
        if not isinstance(push, list) or len(push) != 3 or push[0] != b"message":
            return
        _, channel, data = push
        if channel == self._channel:
            if data.startswith(messages.beginning(process)):
                return  # one's own, and every call makes one
            message = messages.invalidation(data)
            if message is None:
                self._on_nonsense()
            elif message.sender != process:
                self._on_invalidation(message)
        else:
            wake = messages.wake(data)
            if wake is None:
                self._on_nonsense()
            else:
                self._on_wake(wake.key)

    def close(self) -> None:
        """Stop listening."""
        self._closing = True
        if self._subscription is not None:
            self._subscription.close()
        self._background.close(1.0)
