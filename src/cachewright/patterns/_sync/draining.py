# Generated from _async/draining.py by tools/unasync.py. Do not edit.
"""The worker of a write-behind: takes its share of the partitions, and drains each when it is due.

A partition is due when it holds a batch, when its oldest entry is `interval` seconds old, or when somebody flushes.
Invariants kept here (tests/patterns/_sync/test_draining.py would catch their loss):
- at most one worker drains a partition: its lease is renewed while it does, and given back or run out before another's
  begins. That is for efficiency; what keeps a worker that was frozen from doing harm is the position (`shards`);
- a call of the source that does not return holds no partition for longer than `apply_timeout`;
- a worker that fails goes on later; nothing that it was handed is forgotten.
What must not be here: what happens to the entries (`shards`), the server's verbs (`partitions`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachewright._sync.cache import Cache
from cachewright._waits import threads
from cachewright.core.policy import seconds
from cachewright.core.reads import dead_tags
from cachewright.errors import CodecError, RemoteError
from cachewright.observe.events import logger
from cachewright.patterns._sync.applying import Drainage
from cachewright.patterns._sync.enqueuing import Enqueuer
from cachewright.patterns._sync.partitions import Partitions, Glimpse, Overtaken
from cachewright.patterns._sync.queue import Queue, Place
from cachewright.patterns._sync.shards import Shard, Away
from cachewright.patterns.changes import numbers_of, pause
from cachewright.patterns.naming import table_of
from cachewright.patterns.queue_options import QueueOptions

HANGING = 2
"""Calls of the source that may hang in one partition before this worker leaves it to others."""


class Worker:
    """One worker of one queue. Starts and stops; starts again in another process or loop."""

    def __init__(
        self,
        cache: Cache,
        queue: Queue,
        *,
        source: Any,
        options: QueueOptions,
        merging: Callable[[Any, Mapping[str, Any]], Any],
    ) -> None:
        self._cache = cache
        self._engine = cache.engine
        self._queue = queue
        self._batch = options.batch
        self._interval = seconds("interval", options.interval)
        self._lease = seconds("lease", options.lease)
        self.drainage = Drainage(
            cache,
            source,
            Enqueuer(cache, queue, options.policy or cache.policy, rows=table_of(source)),
            options.batch,
            options.deliveries,
            merging,
            dead_tags(options.dirties),
            options.existing,
            seconds("apply_timeout", options.apply_timeout),
        )
        self._started = False
        self.given_up = 0
        """Calls of the source that had not returned after `apply_timeout`."""
        self._begin_anew()
        cache.engine.on_leave.append(self._begin_anew)

    def _begin_anew(self) -> None:
        self._background = threads.Background("cachewright-worker")
        self._nudged = threads.Event()
        self._ended = threads.Event()
        self._stopping = False
        self._started = False
        self._partitions = Partitions(self._queue, lease=self._lease)
        self._held: dict[int, Shard] = {}
        self._busy: set[Shard] = set()
        """Those that drain, also what is not held any more."""
        self._others_first: dict[int, float] = {}
        """By partition until when it is left to others, in real time."""
        self._held_until = 0.0
        self._next_renewal = 0.0
        self._next_complaint = 0.0
        self._queued = 0
        self._applied = 0

    # ---------------------------------------------------------------- life

    @property
    def token(self) -> str:
        """What this worker is called on the server."""
        return self._partitions.token

    @property
    def holds(self) -> list[int]:
        """The partitions that are this worker's now."""
        return sorted(self._held)

    @property
    def busy(self) -> list[int]:
        """The partitions in which something of this worker runs, also what it has given up."""
        return sorted(shard.place.number for shard in list(self._busy))

    @property
    def applied(self) -> int:
        """Entries that this worker has brought to the source."""
        return self._applied + sum(shard.applied for shard in self._held.values())

    def start(self) -> None:
        """Begin, in the background. Does nothing where it has begun."""
        if self._started:
            return
        with self._engine.lock:
            begin, self._started = not self._started, True
        if begin:
            self._background.start(self._run)

    def stop(self, grace: float = 0.5) -> None:
        """End, and give the partitions back. A batch that the source has not taken within `grace` seconds is left to it.

        Whether it is applied then, the recorded position decides, as for any worker that died.
        """
        if not self._started:
            return
        self._stopping = True
        self._nudged.set()
        self._ended.wait(grace)
        self._background.close(grace)
        self._leave()
        self._started = False

    def revive(self) -> None:
        """Begin again where what ran was cancelled, as all tasks are when their loop is about to end."""
        if self._started and not self._stopping and self._ended.is_set():
            self.stop()  # gives back what it held, to itself
            applied = self.applied
            self._begin_anew()
            self._applied = applied
            self.start()

    def _leave(self) -> None:
        try:
            self._release(list(self._held.values()))
            self._partitions.muster(leaving=True)
        except RemoteError as error:  # the leases run out by themselves
            self._engine.tell("remote_error", detail="release", error=error)
        self._applied = self.applied
        self._held = {}

    def nudge(self) -> None:
        """Look now."""
        self._nudged.set()

    def queued(self, count: int) -> None:
        """So many changes were queued by this process: a batch may be full."""
        self._queued += count
        if self._queued >= self._batch:
            self._queued = 0
            self._nudged.set()

    # ---------------------------------------------------------------- rounds

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping:
                try:
                    self._round()
                    failures, rest = 0, min(self._interval / 4, self._lease / 6)
                except Exception as error:  # noqa: BLE001 - the server is away: entries and leases are safe there
                    self._engine.stats.count("remote_errors")
                    self._engine.tell("remote_error", detail="worker", error=error)
                    rest = pause(failures, first=0.05, most=1.0, draw=self._engine.draw())
                    failures += 1
                if not self._stopping:
                    self._nudged.wait(rest)
                    self._nudged.clear()
        finally:
            self._ended.set()

    def _round(self) -> None:
        # Leases run in the server's real time, whatever the cache's clock says.
        now = time.monotonic()
        self._give_up_hung(now)
        if now >= self._next_renewal:
            self._keep_share(now)
            self._next_renewal = now + self._lease / 3
        shards = [shard for shard in self._held.values() if shard not in self._busy]
        if not shards:
            return
        wanted = self._partitions.flush_asked()
        server_now, glimpses = self._partitions.glance([shard.place for shard in shards])
        for shard, glimpse in zip(shards, glimpses, strict=True):
            if self._is_due(shard, glimpse, server_now, wanted):
                self._busy.add(shard)
                self._background.start(self._drain, shard)

    def _is_due(self, shard: Shard, glimpse: Glimpse, now: float, wanted: float) -> bool:
        monotonic = self._engine.monotonic()
        if monotonic < shard.due:
            return False
        if monotonic >= shard.next_due or glimpse.newest_parked > shard.newest_parked:
            return True
        if not glimpse.oldest:
            return False
        since = numbers_of(glimpse.oldest)[0] / 1000
        return glimpse.entries >= self._batch or since <= wanted or now - since >= self._interval

    def _drain(self, shard: Shard) -> None:
        try:
            shard.drain(lambda: self._must_stop(shard))
        except Overtaken:
            self._next_renewal = 0.0  # whose it is, the next round will see
        except (RemoteError, CodecError) as error:
            shard.postpone()
            self._engine.stats.count("remote_errors")
            self._engine.tell("remote_error", detail="worker", error=error)
        except Exception as error:  # noqa: BLE001 - a source may raise anything; nothing is lost
            cause = error.__cause__ if isinstance(error, Away) else error
            self._source_away(shard, cause, shard.postpone())
        finally:
            self._busy.discard(shard)

    def _source_away(self, shard: Shard, cause: BaseException | None, pause_: float) -> None:
        """Told, and logged as well: a queue that only grows must not do so in silence. Once a minute."""
        self._engine.tell("source_away", detail=f"next try in {pause_:.1f} s", error=cause)
        now = time.monotonic()
        if now < self._next_complaint:
            return
        self._next_complaint = now + 60.0
        logger.warning(
            "queue %s, partition %d: the source takes nothing (%s); next try in %.1f s",
            self._queue.name,
            shard.place.number,
            type(cause).__name__,
            pause_,
        )

    def _must_stop(self, shard: Shard) -> bool:
        mine = self._held.get(shard.place.number) is shard
        return self._stopping or not mine or time.monotonic() >= self._held_until

    # ---------------------------------------------------------------- the share

    def _keep_share(self, now: float) -> None:
        """Renew what is held; take what is free, or give up what is too much, so that all workers have alike."""
        # Who leaves a partition to others is not counted among those who share, so that their shares have room for it.
        live = self._partitions.muster(leaving=any(map(self._hangs, self._queue.places)))
        for at, shards in self._by_take(self._held.values()).items():
            kept = at.renew([shard.place for shard in shards])
            for shard, mine in zip(shards, kept, strict=True):
                if not mine:
                    self._drop(shard)
        self._held_until = now + self._lease
        share = -(-len(self._queue.places) // max(live, 1))
        self._give_up(len(self._held) - share)
        self._take(share - len(self._held))

    def _drop(self, shard: Shard) -> None:
        self._applied += shard.applied
        self._held.pop(shard.place.number, None)

    def _give_up(self, excess: int) -> None:
        if excess <= 0:
            return
        idle = [shard for shard in self._held.values() if shard not in self._busy][:excess]
        for shard in idle:
            self._drop(shard)
        self._release(idle)

    def _release(self, shards: Sequence[Shard]) -> None:
        for at, some in self._by_take(shards).items():
            at.release([shard.place for shard in some])

    @staticmethod
    def _by_take(shards: Iterable[Shard]) -> dict[Partitions, list[Shard]]:
        found: dict[Partitions, list[Shard]] = {}
        for shard in shards:
            found.setdefault(shard.at, []).append(shard)
        return found

    def _take(self, room: int) -> None:
        free = [place for place in self._queue.places if self._may_take(place)]
        # A token of its own: what still runs under an earlier hold of a partition is not taken for its present holder.
        at = Partitions(self._queue, lease=self._lease)
        # Begun at another place by each worker, so that they do not ask for the same ones.
        start = int(self.token[:8], 16) % len(self._queue.places)
        free = free[start:] + free[:start]
        while free and room > 0:
            some, free = free[:room], free[room:]
            for place, mine in zip(some, at.acquire(some), strict=True):
                if mine:
                    self._held[place.number] = Shard(self.drainage, at, place)
                    room -= 1

    def _may_take(self, place: Place) -> bool:
        if place.number in self._held or self._hangs(place):
            return False
        return time.monotonic() >= self._others_first.get(place.number, 0.0)

    # ---------------------------------------------------------------- calls that do not return

    def _give_up_hung(self, now: float) -> None:
        """Give partitions back whose call of the source has not returned in time. The call itself cannot be ended here.

        What it may still commit is fenced off by whoever holds the partition next.
        """
        hung = [shard for shard in self._held.values() if self._is_hung(shard)]
        for shard in hung:
            shard.give_up()
            self._drop(shard)
            self._others_first[shard.place.number] = now + self._lease
            self.given_up += 1
            self._tell_hung(shard)
        self._release(hung)

    def _is_hung(self, shard: Shard) -> bool:
        since = shard.waits_since
        limit = self.drainage.apply_timeout
        return since is not None and self._engine.monotonic() - since >= limit

    def _hangs(self, place: Place) -> bool:
        """Whether so many calls hang there that one more would only hang as well."""
        running = [shard for shard in list(self._busy) if shard.place.number == place.number]
        return sum(self._held.get(place.number) is not shard for shard in running) >= HANGING

    def _tell_hung(self, shard: Shard) -> None:
        detail = (
            f"partition {shard.place.number}: no answer within {self.drainage.apply_timeout:g} s"
        )
        self._engine.tell("source_hangs", detail=detail)
        logger.warning("queue %s, %s: the call is given up", self._queue.name, detail)
