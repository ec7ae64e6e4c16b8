# The parts of one cache, wired together.
"""The parts of one cache, wired together: what they share, how they start, fork and close. No reading or writing.

Invariant (design rule 1): the local half of an invalidation runs after the server's reply, and also when it failed.
"""

from __future__ import annotations

import os
import random
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from cachewright._async.bus import AsyncBus
from cachewright._async.flights import AsyncFlights
from cachewright._async.indexing import AsyncTagIndexer
from cachewright._async.redis import AsyncRedisStore
from cachewright._waits import aio
from cachewright.core.backoff import Backoff
from cachewright.core.entry import Entry
from cachewright.core.keys import KeySpace
from cachewright.core.packing import Packer
from cachewright.core.tags import LocalStamps, TagClock
from cachewright.errors import RemoteError
from cachewright.memory.fingerprints import Fingerprints
from cachewright.memory.frequency import FrequencySketch
from cachewright.memory.store import MemoryStore
from cachewright.memory.weighing import weigh
from cachewright.observe.events import Announcer
from cachewright.observe.stats import Snapshot, Stats
from cachewright.options import Options, payloads_of, target_of
from cachewright.redis.messages import Invalidation
from cachewright.redis.target import Target
from cachewright.redis.wire import PrimaryChanged


class AsyncEngine:
    """What every verb of a cache works on."""

    def __init__(self, server: Any, options: Options) -> None:
        self.target = target = target_of(server, options)
        self.keys = keys = KeySpace(options.namespace)
        self.domain: object = self if target is None else (target.label, options.namespace)
        """Within which stamps mean the same."""
        self.policy = options.policy
        self.memory = memory = MemoryStore(
            max_entries=options.max_entries, max_bytes=options.max_bytes
        )
        self.packer = Packer(payloads_of(options), keys)
        self.debug = options.debug
        self.max_tags = options.max_tags
        self.time = options.clock.time
        self.monotonic = options.clock.monotonic
        self._time_passes = options.clock.monotonic is time.monotonic
        """Whether the clock is the machine's, and not one that a test moves."""
        self.stats = Stats()
        self.announcer = Announcer(keys.namespace, options.listeners)
        self.tell = self.announcer.tell
        self.lock = aio.Mutex()
        self.tags = TagClock(self.lock)
        self.local_stamps = LocalStamps(self.tags, secrets.token_bytes(8))
        self.flights = AsyncFlights(self.tags, memory, self.lock)
        self.sketch = FrequencySketch(65_536)
        self.backoff = Backoff()
        self.fingerprints = Fingerprints()
        self.background = aio.Background("cachewright")
        self._max_loads = options.max_loads
        self.slots = aio.Slots(self._max_loads)
        self.max_refreshes = options.max_refreshes
        self.on_leave: list[Callable[[], None]] = []
        """What else has to begin anew in another process or loop."""
        self.stopping = aio.Event()  # raised at close, for whatever sleeps in the background
        index = options.tag_index if target is not None else None
        self.indexer = None if index is None else AsyncTagIndexer(self, index)
        self._node = b""
        self._opened: tuple[int, object] | None = None
        """(pid, event loop) that the connections belong to."""
        self._closed = False
        self.bus: AsyncBus | None = None
        self.store: AsyncRedisStore | None = None
        if target is not None:
            # Until the link is up, no invalidation could be heard, so nothing may be kept.
            self.tags.linked = False
            self.store = self._new_store(target)
        _after_fork_in_child.add(self)

    def _new_store(self, target: Target) -> AsyncRedisStore:
        return AsyncRedisStore(
            target,
            self.keys,
            timeouts=self.policy.timeouts,
            monotonic=self.monotonic,
            tell=self.tell,
            process=secrets.token_hex(8),
        )

    def weigh(self, entry: Entry, known: int) -> int:
        """What an entry counts for in L1: bytes where those are bounded, else 1."""
        if self.memory.max_bytes is None:
            return 1
        return known if known > 1 else weigh(entry.value)

    def draw(self) -> float:
        """Uniform in 0..1, for jitter and early refresh; no secret depends on it."""
        return random.random()

    def server_time(self) -> float:
        """Wall-clock seconds by the server's clock: entries are stamped and judged by it, whatever a process's own says.

        The process's own where no server has told its time.
        """
        store = self.store
        ahead = store.pipe.ahead if store is not None and self._time_passes else None
        return self.time() if ahead is None else self.monotonic() + ahead

    # ---------------------------------------------------------------- link

    async def open(self) -> AsyncRedisStore | None:
        """The server's verbs, or None without a server. The first call in a process or loop starts the bus."""
        where = (os.getpid(), aio.here())
        if self._opened != where:
            self._settle(where)
        if self.bus is not None and not self.bus.was_tried:
            await self.bus.wait_until_tried(2 * self.policy.timeouts.connect)
        return self.store

    def _settle(self, where: tuple[int, object]) -> None:
        """Start what belongs to this process and loop; what belonged to another is left to it."""
        with self.lock:
            if self._opened == where or self._closed:
                return
            if self._opened is not None:
                self._leave()
            self._opened = where
            if self.target is not None and self.store is not None:
                self.bus = self._new_bus(self.target)
                self.bus.start(self.store.process)

    def _new_bus(self, target: Target) -> AsyncBus:
        me = weakref.ref(self)

        def telling(listen: Callable[..., None]) -> Callable[..., None]:
            """`listen(engine, ...)` while the cache lives and this is its bus; one of an older loop has no say."""

            def told(*heard: Any) -> None:
                engine = me()
                if engine is not None and engine.bus is bus:
                    listen(engine, *heard)

            return told

        bus = AsyncBus(
            target,
            self.keys,
            connect_timeout=self.policy.timeouts.connect,
            on_link=telling(AsyncEngine.link_changed),
            on_invalidation=telling(AsyncEngine.heard),
            on_wake=telling(lambda engine, key: engine.flights.wake(key)),
            on_nonsense=telling(AsyncEngine.heard_nonsense),
            on_pong=telling(AsyncEngine.ponged),
            alive=lambda: me() is not None,
        )
        return bus

    def heard(self, message: Invalidation) -> None:
        """Another process has invalidated something."""
        self.stats.count("heard")
        self.flights.invalidate(message.keys, message.tags)

    def heard_nonsense(self) -> None:
        """A message that is none of ours can only be ignored."""
        self.unreadable("", "a message on the bus that is none of ours")

    def link_changed(self, up: bool, error: Exception | None, node: bytes) -> None:
        """The bus is up or lost: either way, what is known may be wrong."""
        self.flights.forget_all(linked=up)
        if self.store is not None and (
            isinstance(error, PrimaryChanged) or (up and node != self._node)
        ):
            self.store.reset()
        self._node = node or self._node
        if up and self.store is not None:
            self.store.breaker.succeeded()
            self.tell("link_up")
            self.repair_soon()
        elif not self._closed:
            self.tell("link_lost", error=error)

    def ponged(self) -> None:
        """The server answers on the bus: where calls are refused, one may try; what is pending is sent."""
        if self.store is not None:
            self.store.breaker.try_soon(self.monotonic())
            self.repair_soon()

    def repair_soon(self) -> None:
        """Send what could not be sent before, if anything is pending."""
        if self.store is not None and self.store.repairs and not self._closed:
            self.background.start(self._repair)

    async def _repair(self) -> None:
        """Send what could not be sent before."""
        if self.store is not None and self.store.repairs:
            try:
                await self.store.ask([])
            except RemoteError as error:
                self.tell("remote_error", detail="repair", error=error)

    @property
    def link(self) -> str:
        """ "up", "lost" or, without a server, "none"."""
        if self.target is None:
            return "none"
        return "up" if self.tags.linked else "lost"

    # ---------------------------------------------------------------- invalidation

    async def invalidate(
        self, keys: Sequence[str], tags: Sequence[str], *, token: str = ""
    ) -> None:
        """Both halves. A failed call is queued for repair and raised with `on_error="raise"` only."""
        self.stats.count("invalidations")
        store = await self.open()
        try:
            if store is not None:
                await store.invalidate(keys, tags, token=token)
        except RemoteError as error:
            self.remote_failed("invalidate", error)
        finally:
            self.flights.invalidate(keys, tags)

    # ---------------------------------------------------------------- shared by the verbs

    def remote_failed(self, verb: str, error: RemoteError) -> None:
        """Count it, tell it, and raise it if the policy says so."""
        self.stats.count("remote_errors")
        self.tell("remote_error", detail=verb, error=error)
        if self.policy.on_error == "raise":
            raise error

    def unreadable(self, key: str, why: str, error: Exception | None = None) -> None:
        """Something from the server made no sense."""
        self.stats.count("unreadable")
        self.tell("unreadable", key, detail=why, error=error)

    def snapshot(self) -> Snapshot:
        """The numbers now."""
        return self.stats.snapshot(
            namespace=self.keys.namespace,
            evictions=self.memory.evictions,
            entries=len(self.memory),
            size=self.memory.bytes if self.memory.max_bytes is not None else 0,
            pending_repairs=len(self.store.repairs) if self.store else 0,
            link=self.link,
        )

    # ---------------------------------------------------------------- end and fork

    async def close(self) -> None:
        """Wait a moment for background work, then close the connections."""
        self._closed = True
        if self._opened not in (None, (os.getpid(), aio.here())):
            self._leave()  # they belong to another process or a loop that has ended
            return
        await self._repair()
        self.stopping.set()
        await self.background.close(2.0)
        if self.bus is not None:
            await self.bus.close()
        if self.store is not None:
            await self.store.close()

    def _leave(self) -> None:
        """Flights, connections and threads stay where they were made; what is known cannot be vouched for."""
        self.flights.after_fork(self.lock)
        self.background.forget()
        self.stopping = aio.Event()
        self.slots = aio.Slots(self._max_loads)
        for begin_anew in self.on_leave:
            begin_anew()
        if self.store is not None:
            self.store.restart(secrets.token_hex(8))
            self.flights.forget_all(linked=False)

    def after_fork(self) -> None:
        """In the child: every lock may be held by a thread that does not exist here, and nobody listens."""
        self.lock = aio.Mutex()
        self.tags.after_fork(self.lock)
        self.stats.after_fork()
        self.bus = None
        self._opened = None if self._opened is None else (-1, None)
        self._leave()


_after_fork_in_child: weakref.WeakSet[AsyncEngine] = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_after_fork_in_child):
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
