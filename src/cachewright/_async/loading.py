# The source is asked, and its answer kept.
"""Loads from the source and keeps what may be kept.

Invariants kept here (design rules 3, 4, 9; tests/_async/test_races.py and its mutants would catch their loss):
- stamps are read before the load and travel with the value; what no stamp covers is returned and not stored;
- a fill needs a live lease, and only what the server accepted lands in L1;
- the loader's own exception reaches the caller as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from copy import copy
from typing import Any, cast

from cachewright._async.bounding import AsyncBounder
from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.leases import AsyncLeases
from cachewright._async.looking import AsyncLooker, Landing
from cachewright._async.redis import AsyncRedisStore
from cachewright._async.sending import AsyncSender, Leased, Ready
from cachewright._waits import aio
from cachewright.core.entry import ALWAYS, CachedError, Entry, Stamps
from cachewright.core.envelope import FILL_BYTES
from cachewright.core.loading import Load, collecting, collecting_load, enclosing_load
from cachewright.core.packing import to_entry, to_sliding
from cachewright.core.policy import AdaptiveTtl, Lifetime, as_float, is_steady, lifetime
from cachewright.core.reads import Read
from cachewright.core.storable import refuse_unstorable
from cachewright.core.tags import key_tag
from cachewright.errors import LoadTimeout, RemoteError
from cachewright.redis.replies import Acquired
from cachewright.types import ABSENT

Function = Callable[..., Any]


class AsyncLoader:
    """Loads for one cache."""

    def __init__(self, engine: AsyncEngine, looker: AsyncLooker, leases: AsyncLeases) -> None:
        self._engine = engine
        self._looker = looker
        self._leases = leases
        self._sender = AsyncSender(engine)
        self._bounder = AsyncBounder(engine)

    async def call(
        self, read: Read, load: Load, flights: Collection[Flight] = ()
    ) -> tuple[Any, float]:
        """The loaded value and the seconds it took. Raises what the loader raises, and `Unstorable`."""
        engine = self._engine
        slot = load.parent is None and await self._take_slot(read, flights)
        began = engine.monotonic()
        try:
            with collecting(load):
                value = await aio.call_load(
                    cast(Function, read.load), read.args, read.policy.timeouts.load
                )
        except Exception as error:
            engine.stats.count("load_errors")
            engine.tell("load_failed", read.key, error=error)
            raise
        finally:
            cost = engine.monotonic() - began
            engine.stats.loaded(cost)
            if slot:
                engine.slots.give()
        engine.tell("load", read.key, seconds=cost)
        refuse_unstorable(value)
        return value, cost

    async def _take_slot(self, read: Read, flights: Collection[Flight]) -> bool:
        """Wait for a slot to load in. False: none is needed, for a load that holds one is waiting for this one."""
        engine = self._engine
        if not engine.slots.limited or not engine.flights.queue(flights):
            return False
        try:
            if not await engine.slots.take(read.policy.timeouts.load):
                raise LoadTimeout("too many loads are under way (max_loads)")
        finally:
            engine.flights.unqueue(flights)
        return True

    def new_load(self, *reads: Read) -> Load:
        """A load of these keys, inside whatever load is under way."""
        keys = frozenset(read.key for read in reads)
        verify = any(read.verify for read in reads)
        return Load(keys, self._engine.domain, enclosing_load(), verify=verify)

    # ---------------------------------------------------------------- nothing vouches for it

    async def only(self, read: Read) -> Entry:
        """Load past the cache: nothing is read from it or kept in it."""
        outer = collecting_load(self._engine.domain)
        if outer is not None:
            outer.gather(None)
        value, cost = await self.call(read, self.new_load(read))
        return self.unkept(read, value, cost)

    async def unstored(self, read: Read, flight: Flight) -> Landing:
        """The server cannot vouch for what is loaded now: the callers of this flight get it, and nobody else."""
        try:
            value, cost = await self.call(read, self.new_load(read), [flight])
        except Exception as error:  # the loader's own: served stale or raised again
            return self.after_error(read, flight, error, storable=False)
        return Landing(self.unkept(read, value, cost), None, loaded=True)

    @staticmethod
    def unkept(read: Read, value: Any, cost: float) -> Entry:
        """An entry for the callers of this moment."""
        return to_entry(value, Lifetime(0, 0), read.policy, now=0.0, stamps={}, ttl=0, cost=cost)

    # ---------------------------------------------------------------- without a server

    async def locally(self, read: Read, flight: Flight) -> Landing:
        """Without a server: the tag clock makes the stamps, and dooming is the whole of the lease."""
        engine = self._engine
        base, stamps = self.local_stamps(read)
        load = self.new_load(read)
        try:
            value, cost = await self.call(read, load, [flight])
        except Exception as error:  # the loader's own: served stale, kept or raised again
            return self.after_error(read, flight, error, storable=True)
        engine.backoff.succeeded(read.key)
        return self.keep_locally(read, flight, load, before=(base, stamps), value=value, cost=cost)

    def local_stamps(self, read: Read) -> tuple[int, Stamps]:
        """The epoch and the stamps that a value loaded from now on is made under."""
        with self._engine.lock:
            tags = read.tags
            if collecting_load(self._engine.domain) is not None:
                tags = [*tags, key_tag(read.key)]
            return self._engine.tags.epoch, self._engine.local_stamps.read(tags)

    def keep_locally(
        self,
        read: Read,
        flight: Flight,
        load: Load,
        *,
        before: tuple[int, Stamps],
        value: Any,
        cost: float,
    ) -> Landing:
        """Into L1, if everything about the value is vouched for."""
        engine = self._engine
        base, stamps = before
        with engine.lock:
            late = engine.local_stamps.read(tag for tag in load.late if tag not in stamps)
        covered = all(engine.local_stamps.older(stamp, base) for stamp in late.values())
        made_from = self._join(stamps, late, load) if covered and not flight.doomed else None
        made_from = self._bounder.bounded_locally(read.key, made_from)
        life = self._life(read, value)
        entry = self._new_entry(read, value, life, stamps=made_from or {}, cost=cost, fill=b"")
        if made_from is not None and life.fresh > 0:
            self._looker.land(flight, entry, 1, policy=read.policy)
        return Landing(entry, made_from, loaded=True)

    # ---------------------------------------------------------------- under a lease

    async def under_lease(self, store: AsyncRedisStore, leased: Leased) -> Landing:
        """Load, and keep the value here and at the server if the lease still stands."""
        read, flight, ask = leased.read, leased.flight, leased.ask
        load = self.new_load(read)
        async with self._leases.around_load(store, [ask], read.policy):
            try:
                value, cost = await self.call(read, load, [flight])
            except Exception as error:  # the loader's own: served stale, kept or raised again
                await self._leases.give_back(store, [ask])
                return self.after_error(read, flight, error, storable=not flight.doomed)
            self._engine.backoff.succeeded(read.key)
            return (await self.keep(store, [leased], load, values=[value], cost=cost))[0]

    async def keep(
        self,
        store: AsyncRedisStore,
        leased: Sequence[Leased],
        load: Load,
        *,
        values: Sequence[Any],
        cost: float,
    ) -> list[Landing]:
        """Store what one load brought, here and at the server, where everything about it is vouched for."""
        late = await self._late_stamps(store, load, leased)
        wholes = await self._bounder.bounded(
            store,
            [
                (item.read.key, whole)
                for item, whole in zip(leased, self.wholes(leased, load, late), strict=True)
            ],
        )
        landings = self.landings(leased, wholes, values=values, cost=cost)
        ready = await self._sender.packed(store, landings)
        stored = await self._sender.fill(store, ready)
        self.landed(ready, stored)
        return [landing for _, landing, _, _ in ready]

    def wholes(
        self, leased: Sequence[Leased], load: Load, late: Stamps | None
    ) -> list[Stamps | None]:
        """The stamps that vouch for what was loaded under each lease; `late` None: nothing does."""
        if late is None:
            return [None] * len(leased)
        # What was given up for hanging is not wanted any more.
        return [
            None if it.flight.abandoned else self._join(_concrete(it.got), late, load)
            for it in leased
        ]

    def landings(
        self,
        leased: Sequence[Leased],
        wholes: Sequence[Stamps | None],
        *,
        values: Sequence[Any],
        cost: float,
    ) -> list[tuple[Leased, Landing, Lifetime]]:
        """What each key comes to, with the stamps that vouch for it."""
        found: list[tuple[Leased, Landing, Lifetime]] = []
        lives = self._lives([item.read for item in leased], values)
        random = secrets.token_bytes(FILL_BYTES * len(leased))
        each = zip(leased, wholes, values, lives, strict=True)
        for n, (item, stamps, value, life) in enumerate(each):
            fill = random[FILL_BYTES * n : FILL_BYTES * (n + 1)]
            entry = self._new_entry(
                item.read, value, life, stamps=stamps or {}, cost=cost, fill=fill
            )
            landing = Landing(entry, stamps if life.fresh > 0 else None, loaded=True)
            found.append((item, landing, life))
        return found

    async def packed(
        self, store: AsyncRedisStore, landings: Sequence[tuple[Leased, Landing, Lifetime]]
    ) -> list[Ready]:
        """With their bytes, b"" for what cannot be stored; what the keys hold is left as it is."""
        return await self._sender.packed(store, landings, drop=False)

    def landed(self, ready: Sequence[Ready], stored: Sequence[bool]) -> None:
        """Into L1 what the server has stored."""
        for (item, landing, data, life), kept in zip(ready, stored, strict=True):
            if kept and not (life.window and item.read.policy.l1_ttl is None):
                self._looker.land(item.flight, landing.entry, len(data), policy=item.read.policy)
            elif not kept:
                landing.stamps = None

    async def _late_stamps(
        self, store: AsyncRedisStore, load: Load, leased: Sequence[Leased]
    ) -> Stamps | None:
        """The stamps of tags named during the load; None if one may be younger than what the load read."""
        if load.poisoned:
            return None
        wanted = [tag for tag in load.late if any(tag not in it.got.stamps for it in leased)]
        if not wanted:
            return {}
        try:
            stamps, _ = await store.make_stamps(wanted)
        except RemoteError as error:
            self._engine.remote_failed("stamps", error)
            return None
        late = {tag: stamp for tag, stamp in stamps.items() if stamp is not None}
        base = leased[0].got.base
        if len(late) < len(stamps) or not all(
            store.covered(stamp, base) for stamp in late.values()
        ):
            return None
        return late

    @staticmethod
    def _join(own: Stamps | None, late: Stamps, load: Load) -> Stamps | None:
        """The stamps of the whole; None if a part cannot be vouched for or two parts disagree."""
        if own is None or load.poisoned:
            return None
        if not (load.gathered or late):
            return own
        whole = dict(load.gathered)
        later = {tag: stamp for tag, stamp in late.items() if tag not in own}
        for tag, stamp in (*own.items(), *later.items()):
            if whole.setdefault(tag, stamp) != stamp:
                return None
        return whole

    # ---------------------------------------------------------------- what it comes to

    def _lives(self, reads: Sequence[Read], values: Sequence[Any]) -> list[Lifetime]:
        """How long each value lives; where that is the same for all, it is told once."""
        policy = reads[0].policy if reads else None
        alike = policy is not None and is_steady(policy) and len(reads) > 1
        if not alike or any(it.policy is not policy or it.life is not None for it in reads):
            return [self._life(read, value) for read, value in zip(reads, values, strict=True)]
        value_life, absence_life = self._life(reads[0], None), self._life(reads[0], ABSENT)
        return [absence_life if value is ABSENT else value_life for value in values]

    def _life(self, read: Read, value: Any) -> Lifetime:
        policy = read.policy
        if policy.store_if is not None and value is not ABSENT and not policy.store_if(value):
            return Lifetime(0, 0)
        if read.life is not None and value is not ABSENT:
            return read.life(value)
        engine = self._engine
        reads = engine.sketch.add(read.key) if isinstance(policy.ttl, AdaptiveTtl) else 0
        return lifetime(policy, value, absent=value is ABSENT, reads=reads, draw=engine.draw())

    def _new_entry(
        self,
        read: Read,
        value: Any,
        life: Lifetime,
        *,
        stamps: Stamps,
        cost: float,
        fill: bytes,
    ) -> Entry:
        engine = self._engine
        if life.window and engine.store is None:
            return to_sliding(value, life, now=engine.monotonic(), stamps=stamps)
        return to_entry(
            value,
            life,
            read.policy,
            now=engine.monotonic(),
            stamps=stamps,
            ttl=life.fresh,
            cost=cost,
            fill=fill,
            draw=engine.draw(),
            careful=engine.debug,
        )

    def after_error(
        self, read: Read, flight: Flight, error: Exception, *, storable: bool
    ) -> Landing:
        """A stale value if the policy allows it, a kept error if it asks for one, else the error."""
        policy, fallback = read.policy, flight.fallback
        now = self._engine.monotonic()
        usable = fallback is not None and now < fallback.usable_until and not flight.doomed
        if fallback is not None and policy.stale_if_error and usable:
            return self._stale_instead(read, flight, fallback, now)
        if storable and policy.cache_errors and isinstance(error, policy.cache_errors):
            return self._keep_error(read, flight, error, now)
        raise error

    def _stale_instead(self, read: Read, flight: Flight, fallback: Entry, now: float) -> Landing:
        engine = self._engine
        engine.stats.count("stale")
        again = engine.backoff.failed(read.key, as_float(read.policy.retry_after), now)
        # Fresh until the next try, so that the failing source is left alone meanwhile. A copy, since
        # an entry that left the memory store must not enter it again.
        stale = copy(fallback)
        stale.fresh_until = stale.refresh_from = min(again, fallback.usable_until)
        if fallback.hot_until != ALWAYS:
            stale.hot_until = stale.fresh_until
        self._looker.land(flight, stale, abs(fallback.weight), policy=read.policy)
        return Landing(stale, stale.stamps)

    def _keep_error(self, read: Read, flight: Flight, error: Exception, now: float) -> Landing:
        known = self._engine.tags.known
        stamps = {tag: known[tag] for tag in read.tags if tag in known}
        seconds = as_float(read.policy.error_ttl)
        entry = to_entry(
            CachedError(error),
            Lifetime(seconds, seconds),
            read.policy,
            now=now,
            stamps=stamps,
            ttl=0,
        )
        if len(stamps) == len(read.tags):
            self._looker.land(flight, entry, 1, policy=read.policy)
        return Landing(entry, None)


def _concrete(got: Acquired) -> Stamps | None:
    """The stamps of what was acquired, None if one of them is marked."""
    return None if None in got.stamps.values() else cast(Stamps, got.stamps)
