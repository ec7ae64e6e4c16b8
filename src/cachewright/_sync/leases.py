# Generated from _async/leases.py by tools/unasync.py. Do not edit.
"""Keeps leases and marks alive while the work they protect goes on, one round trip every so often for all of them.

Invariant (design rules 4, 5, 10): what hangs beyond its limit is no longer kept, and so runs out by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from cachewright._sync.engine import Engine
from cachewright._sync.redis import RedisStore
from cachewright._waits import threads
from cachewright.core.policy import Policy, as_float
from cachewright.errors import RemoteError
from cachewright.redis.replies import Ask

ROUND = 0.1
"""Seconds between two looks at what is due."""
IDLE_ROUNDS = 20


@dataclass(slots=True, eq=False)
class Kept:
    """One thing to renew every `every` seconds until `until`, both by the process's monotonic clock."""

    renew: Callable[[], threads.Doing]
    every: float
    due: float
    until: float


class Leases:
    """What this process holds at the server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: set[Kept] = set()
        self._keeping = False
        engine.on_leave.append(self.after_fork)

    def around_load(
        self, store: RedisStore, asks: Sequence[Ask], policy: Policy
    ) -> Leaseholder:
        """Around a load and the keeping of what it brings: the leases are renewed, and given back if that fails."""
        return Leaseholder(self, store=store, asks=asks, policy=policy)

    def renewing(
        self, store: RedisStore, asks: Sequence[Ask], policy: Policy
    ) -> AbstractContextManager[None]:
        """Renew the leases of a load while the block runs, at most until the load's hard timeout."""
        if not asks:
            return nullcontext()
        lease = as_float(policy.lease)

        def renew() -> None:
            store.renew([(ask.key, ask.token, lease) for ask in asks])

        return self.keeping(renew, every=lease / 3, limit=policy.timeouts.load)

    def give_back(self, store: RedisStore, asks: Sequence[Ask]) -> None:
        """Let somebody else load. Leases that are no longer ours are left alone."""
        try:
            store.fill([(ask.key, ask.token, b"", 1.0) for ask in asks])
        except RemoteError as error:
            self._engine.stats.count("remote_errors")
            self._engine.tell("remote_error", detail="give back", error=error)

    @contextmanager
    def keeping(
        self, renew: Callable[[], threads.Doing], *, every: float, limit: float
    ) -> Iterator[None]:
        """Call `renew` every so many seconds while the block runs, at most `limit` seconds long."""
        # The server's leases run in real time, whatever the cache's clock says.
        now = time.monotonic()
        kept = Kept(renew, every, now + every, now + limit)
        with self._engine.lock:
            self._held.add(kept)
            begin, self._keeping = not self._keeping, True
        try:
            if begin:
                self._begin()
            yield
        finally:
            with self._engine.lock:
                self._held.discard(kept)

    def _begin(self) -> None:
        try:
            self._engine.background.start(self._keep)
        except (
            RuntimeError
        ) as error:  # no more threads: the load goes on, and its lease may run out
            self._keeping = False
            self._engine.tell("remote_error", detail="renew", error=error)

    def _keep(self) -> None:
        """Renew what is due; end when nothing was held for a while."""
        try:
            self._keep_on()
        finally:
            with self._engine.lock:
                begin = self._keeping = bool(self._held)
        if begin:
            self._engine.background.start(self._keep)

    def _keep_on(self) -> None:
        idle = 0
        while idle < IDLE_ROUNDS:
            with self._engine.lock:
                held = list(self._held)
            idle = 0 if held else idle + 1
            now = time.monotonic()
            for kept in held:
                # Asked once more: what has ended meanwhile must not be brought back.
                if kept.due <= now < kept.until and kept in self._held:
                    kept.due = now + kept.every
                    self._renew(kept)
            pause = min([ROUND, *(kept.every for kept in held)])
            if self._engine.stopping.is_set():
                if not held:
                    return
                threads.wall_sleep(pause)
            else:
                self._engine.stopping.wait(pause)

    def _renew(self, kept: Kept) -> None:
        try:
            kept.renew()
        except Exception as error:  # renewing the others must go on
            self._engine.stats.count("remote_errors")
            self._engine.tell("remote_error", detail="renew", error=error)

    def after_fork(self) -> None:
        """What is held belongs to the parent."""
        self._held = set()
        self._keeping = False


class Leaseholder:
    """See `Leases.around_load`."""

    def __init__(
        self,
        leases: Leases,
        *,
        store: RedisStore,
        asks: Sequence[Ask],
        policy: Policy,
    ) -> None:
        self._leases = leases
        self._store = store
        self._asks = asks
        self._renewing = leases.renewing(store, asks, policy)

    def __enter__(self) -> None:
        self._renewing.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self._renewing.__exit__(None, None, None)
        if error is not None:
            self._leases.give_back(self._store, self._asks)
