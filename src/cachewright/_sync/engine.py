# Generated from _async/engine.py by tools/unasync.py. Do not edit.
"""The parts of one cache, wired together: what they share, how they start, fork and close. No reading or writing.

Invariant (design rule 1): the local half of an invalidation runs after the server's reply, and also when it failed.
"""

from __future__ import annotations

import os
import random
import secrets
import weakref
from collections.abc import Sequence
from typing import Any

from cachewright._sync.bus import Bus
from cachewright._sync.flights import Flights
from cachewright._sync.redis import RedisStore
from cachewright._waits import threads
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


class Engine:
    """What every verb of a cache works on."""

    def __init__(self, server: Any, options: Options) -> None:
        self.target = target = target_of(server, options)
        self.keys = keys = KeySpace(options.namespace, private=options.private_keys)
        self.policy = options.policy
        self.memory = memory = MemoryStore(
            max_entries=options.max_entries, max_bytes=options.max_bytes
        )
        self.packer = Packer(payloads_of(options), keys)
        self.debug = options.debug
        self.time = options.clock.time
        self.monotonic = options.clock.monotonic
        self.stats = Stats()
        self.announcer = Announcer(keys.namespace, options.listeners)
        self.tell = self.announcer.tell
        self.lock = threads.Mutex()
        self.tags = TagClock(self.lock)
        self.local_stamps = LocalStamps(self.tags)
        self.flights = Flights(self.tags, memory, self.lock)
        self.sketch = FrequencySketch(65_536)
        self.backoff = Backoff()
        self.fingerprints = Fingerprints()
        self.background = threads.Background("cachewright")
        self._max_loads = options.max_loads
        self.slots = threads.Slots(self._max_loads)
        self.stopping = threads.Event()
        """Raised at close, so that what sleeps in the background need not sleep on."""
        self._opened: object = None
        """(pid, event loop) that the connections belong to."""
        self._closed = False
        self.bus: Bus | None = None
        self.store: RedisStore | None = None
        if target is not None:
            # Until the link is up, no invalidation could be heard, so nothing may be kept.
            self.tags.linked = False
            self.store = self._new_store(target)
        _after_fork_in_child.add(self)

    def _new_store(self, target: Target) -> RedisStore:
        return RedisStore(
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

    # ---------------------------------------------------------------- link

    def open(self) -> RedisStore | None:
        """The server's verbs, or None without a server. The first call in a process or loop starts the bus."""
        where = (os.getpid(), threads.here())
        if self._opened != where:
            self._settle(where)
        if self.bus is not None and not self.bus.was_tried:
            self.bus.wait_until_tried(2 * self.policy.timeouts.connect)
        return self.store

    def _settle(self, where: object) -> None:
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

    def _new_bus(self, target: Target) -> Bus:
        me = weakref.ref(self)

        def on_link(up: bool, error: Exception | None) -> None:
            if (engine := me()) is not None:
                engine.link_changed(up, error)

        def on_invalidation(message: Invalidation) -> None:
            if (engine := me()) is not None:
                engine.stats.count("heard")
                engine.flights.invalidate(message.keys, message.tags)

        def on_wake(key: str) -> None:
            if (engine := me()) is not None:
                engine.flights.wake(key)

        def on_nonsense() -> None:
            if (engine := me()) is not None:
                engine.unreadable("", "a message on the bus that is none of ours")

        return Bus(
            target,
            self.keys,
            connect_timeout=self.policy.timeouts.connect,
            on_link=on_link,
            on_invalidation=on_invalidation,
            on_wake=on_wake,
            on_nonsense=on_nonsense,
            alive=lambda: me() is not None,
        )

    def link_changed(self, up: bool, error: Exception | None) -> None:
        """The bus is up or lost: either way, what is known may be wrong."""
        self.flights.forget_all(linked=up)
        if up and self.store is not None:
            self.store.breaker.succeeded()
            self.tell("link_up")
        elif not self._closed:
            self.tell("link_lost", error=error)

    @property
    def link(self) -> str:
        """ "up", "lost" or, without a server, "none"."""
        if self.target is None:
            return "none"
        return "up" if self.tags.linked else "lost"

    # ---------------------------------------------------------------- invalidation

    def invalidate(
        self, keys: Sequence[str], tags: Sequence[str], *, token: str = ""
    ) -> None:
        """Both halves. A failed call is queued for repair and raised with `on_error="raise"` only."""
        self.stats.count("invalidations")
        store = self.open()
        try:
            if store is not None:
                store.invalidate(keys, tags, token=token)
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
            size=self.memory.bytes,
            pending_repairs=len(self.store.repairs) if self.store else 0,
            link=self.link,
        )

    # ---------------------------------------------------------------- end and fork

    def close(self) -> None:
        """Wait a moment for background work, then close the connections."""
        self._closed = True
        self.stopping.set()
        self.background.close(2.0)
        if self.bus is not None:
            self.bus.close()
        if self.store is not None:
            self.store.close()

    def _leave(self) -> None:
        """Flights, connections and threads stay where they were made; what is known cannot be vouched for."""
        self.flights.after_fork(self.lock)
        self.background.forget()
        self.stopping = threads.Event()
        self.slots = threads.Slots(self._max_loads)
        if self.store is not None:
            self.store.restart(secrets.token_hex(8))
            self.flights.forget_all(linked=False)

    def after_fork(self) -> None:
        """In the child: every lock may be held by a thread that does not exist here, and nobody listens."""
        self.lock = threads.Mutex()
        self.tags.after_fork(self.lock)
        self.stats.after_fork()
        self.bus = None
        self._leave()


_after_fork_in_child: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_after_fork_in_child):
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
