# Generated from _async/reading.py by tools/unasync.py. Do not edit.
"""One read: memory, then the server, then the source. The order of steps is that of design section 6.

Invariants kept here (design rules 1, 4, 10; tests/_sync/test_races.py and test_stampedes.py would catch their loss):
- one load for each key in this process, by its flight, and in the fleet, by its lease;
- a verified or forced read joins no flight that began before it;
- a leader that is cancelled takes nobody with it; one that hangs is abandoned after its hard timeout.
"""

from __future__ import annotations

from collections.abc import Callable

from cachewright._sync.engine import Engine
from cachewright._sync.flights import Flight
from cachewright._sync.leases import Leases
from cachewright._sync.loading import Loader
from cachewright._sync.looking import Looker, Landing, Look
from cachewright._sync.redis import RedisStore
from cachewright._sync.sending import Leased
from cachewright._waits import threads
from cachewright.core.decision import Decision
from cachewright.core.entry import Entry
from cachewright.core.envelope import FILL
from cachewright.core.loading import Mode, collecting_load, enclosing_load, is_loading, mode_of
from cachewright.core.policy import AdaptiveTtl, as_float
from cachewright.core.reads import Read
from cachewright.core.tags import key_tag
from cachewright.errors import LoadTimeout, RemoteError
from cachewright.redis.replies import Acquired, Ask, Found
from cachewright.types import ABSENT


class LeaderGone(Exception):
    """A flight ended without a value for its followers: they read for themselves."""


class Reader:
    """Reads for one cache."""

    def __init__(
        self,
        engine: Engine,
        *,
        looker: Looker,
        loader: Loader,
        leases: Leases,
    ) -> None:
        self._engine = engine
        self._leases = leases
        self._looker = looker
        self._loader = loader
        self._refresh: Callable[[Read, Entry], None] = lambda read, entry: None

    def refresh_with(self, start: Callable[[Read, Entry], None]) -> None:
        """Who is told that an entry wants a refresh."""
        self._refresh = start

    def hit(self, read: Read, landing: Landing) -> Entry:
        """Hand the stamps of a served value up, count what is special about it, refresh it if it is due."""
        engine, entry = self._engine, landing.entry
        load = collecting_load(self._engine.domain)
        if load is not None:
            load.gather(landing.stamps)
        if entry.value is ABSENT and not landing.loaded:
            engine.stats.count("negative_hits")
        if isinstance(read.policy.ttl, AdaptiveTtl):
            engine.sketch.add(read.key)
        if landing.refresh:
            if engine.monotonic() >= entry.fresh_until:
                engine.stats.count("stale")
            if read.load is not None:
                self._refresh(read, entry)
        return entry

    def hit_in_memory(self, read: Read) -> tuple[Entry | None, Entry | None]:
        """(the entry to serve from L1, None), or (None, a stale one to fall back on or None)."""
        decision, entry = self._looker.in_memory(read)
        if entry is None or decision is Decision.LOAD:
            return None, entry
        if entry.freq < 3:
            entry.freq += 1
        self._engine.stats.l1_hits.add()
        due = decision is Decision.SERVE_AND_REFRESH
        return self.hit(read, Landing(entry, entry.stamps, due)), None

    # ---------------------------------------------------------------- without a loader

    def find(self, read: Read) -> Entry | None:
        """The entry to serve, or None; nothing is loaded."""
        outer = collecting_load(self._engine.domain)
        self.inherit(read)
        if mode_of(self._engine) is not None:
            if outer is not None:
                outer.gather(None)
            return None
        entry, _ = self.hit_in_memory(read)
        if entry is not None:
            return entry
        store = self._engine.open()
        look, landing = (Look(), None) if store is None else self._look_once(store, read)
        if landing is not None:
            return self.hit(read, landing)
        if outer is not None:
            # Its absence is a part too: whoever sets or invalidates the key later makes the whole wrong.
            outer.gather(self._loader.local_stamps(read)[1] if store is None else look.absence)
        self._engine.stats.count("misses")
        return None

    def _look_once(self, store: RedisStore, read: Read) -> tuple[Look, Landing | None]:
        flight = self._engine.flights.open(read.key, read.tags)
        try:
            look = self._looker.look(store, read, flight)
            return look, self._looker.serve(read, flight, look)
        finally:
            self._engine.flights.close(flight)

    # ---------------------------------------------------------------- with a loader

    def get_or_load(self, read: Read) -> Entry:
        """The entry to serve; loaded if it must be. Raises what the loader raises."""
        engine = self._engine
        mode = mode_of(engine)
        if mode in (Mode.BYPASS, Mode.DISABLE) or is_loading(read.key, engine.domain):
            return self._loader.only(read)
        fallback = None
        self.inherit(read)
        read.force = read.force or mode is Mode.REFRESH
        if not read.force:
            entry, fallback = self.hit_in_memory(read)
            if entry is not None:
                return entry
        engine.open()
        while True:
            epoch = engine.tags.epoch
            nested = enclosing_load() is not None
            flight, leads = engine.flights.join(
                read.key, read.tags, alone=read.verify or read.force, nested=nested
            )
            if leads:
                flight.fallback = engine.flights.vouch(flight, fallback)
                self._take_off(read, flight)
            else:
                engine.stats.count("joined")
            try:
                landing = self.arrival(read, flight)
            except LeaderGone:
                continue
            if leads or self.may_share(flight, landing, epoch):
                return self.hit(read, landing)

    @staticmethod
    def inherit(read: Read) -> None:
        """The parts of a whole that is verified are verified too."""
        outer = enclosing_load()
        if outer is not None and outer.verify:
            read.verify = True

    def may_share(self, flight: Flight, landing: Landing, epoch: int) -> bool:
        """Whether what a flight brought is good for one who joined it at `epoch`.

        An invalidation before that may concern tags that the flight named only later, so that it was not doomed.
        """
        if epoch == flight.epoch:
            return True
        return landing.stamps is not None and self._engine.tags.matches(landing.stamps)

    def _take_off(self, read: Read, flight: Flight) -> None:
        flight.limit = read.policy.timeouts.load
        if read.policy.timeouts.load_soft is None:
            threads.carry(self.lead, read, flight)
            return
        try:
            self._engine.background.start(self.lead, read, flight)
        except BaseException:
            self._engine.flights.abandon(flight)
            raise

    def arrival(self, read: Read, flight: Flight) -> Landing:
        """What a flight brings to one of its callers. Raises what its load raised, `LoadTimeout` and `LeaderGone`."""
        landing = self._arrived(read, flight)
        if collecting_load(self._engine.domain) is None:
            return landing
        if key_tag(read.key) in (landing.stamps or {}):
            return landing
        # The flight did not need the key's own stamp, so what is made from the value is not stored this time.
        return Landing(landing.entry, None)

    def _arrived(self, read: Read, flight: Flight) -> Landing:
        soft = read.policy.timeouts.load_soft
        if soft is not None and not flight.outcome.wait(soft):
            fallback = flight.fallback
            usable = fallback is not None and self._engine.monotonic() < fallback.usable_until
            if fallback is not None and usable and not flight.doomed:
                self._engine.stats.count("stale")
                return Landing(fallback, fallback.stamps)
        try:
            # Twice: a leader may wait that long for another process before it loads for itself.
            landing: Landing = threads.wait_for(flight.outcome, 2 * flight.limit + 1)
        except LoadTimeout:
            if not flight.outcome.done:
                self._engine.flights.abandon(flight)
            raise
        return landing

    def lead(self, read: Read, flight: Flight, refreshed: Entry | None = None) -> None:
        """Fly, and tell the followers how it ended; whatever happens, the flight ends.

        `refreshed`: the entry that a background refresh is to replace.
        """
        try:
            landing = self._fly(read, flight, refreshed)
        except Exception as error:  # the loader's own: it reaches every caller as it is
            flight.outcome.fail(error)
        except BaseException:
            # The leader alone is cancelled or interrupted; its followers are not.
            flight.outcome.fail(LeaderGone())
            raise
        else:
            flight.outcome.succeed(landing)
        finally:
            self._engine.flights.close(flight)

    def _fly(self, read: Read, flight: Flight, refreshed: Entry | None) -> Landing:
        engine, store = self._engine, self._engine.store
        overtaken = self._already_there(read, refreshed)
        if overtaken is not None:
            return overtaken
        if store is None:
            engine.stats.count("misses", 0 if refreshed else 1)
            return self._loader.locally(read, flight)
        if refreshed is not None and refreshed.fill:
            look = Look(seen=refreshed.fill)
        else:
            look = self._looker.look(store, read, flight)
            landing = None if read.force or refreshed else self._looker.serve(read, flight, look)
            if landing is not None:
                return landing
            flight.fallback = look.entry or flight.fallback
        if refreshed is None:
            engine.stats.count("misses")
        if look.failed:
            return self._loader.unstored(read, flight)
        return self._acquire_and_load(
            store, read, flight, look.seen, patient=refreshed is None
        )

    def _already_there(self, read: Read, refreshed: Entry | None) -> Landing | None:
        """What another flight brought between our look and our turn."""
        if read.force:
            return None
        decision, entry = self._looker.in_memory(read)
        if decision is not Decision.SERVE or entry is None or entry is refreshed:
            return None
        if refreshed is None:
            self._engine.stats.l1_hits.add()
        return Landing(entry, entry.stamps)

    def _acquire_and_load(
        self, store: RedisStore, read: Read, flight: Flight, seen: bytes, *, patient: bool
    ) -> Landing:
        engine = self._engine
        tags = (
            read.tags
            if collecting_load(self._engine.domain) is None
            else [*read.tags, key_tag(read.key)]
        )
        ask = Ask(key=read.key, tags=tags, seen=seen)
        give_up = engine.monotonic() + read.policy.timeouts.load
        flight.woken = woken = threads.Event()
        while True:
            woken.clear()
            try:
                got = (store.acquire([ask], as_float(read.policy.lease), wait=patient))[0]
                if got.outcome == "entry":
                    ask.seen = got.data[FILL]
                    landing = self.serve_acquired(store, read, flight, got)
                    if landing is not None:
                        return landing
                    continue
            except RemoteError as error:
                engine.remote_failed("acquire", error)
                return self._loader.unstored(read, flight)
            if None in got.stamps.values():
                # A write to a tag is under way: nothing can be stored, so nobody need wait for us.
                if got.outcome == "lease":
                    self._leases.give_back(store, [ask])
                return self._loader.unstored(read, flight)
            if got.outcome == "lease":
                engine.tags.learn(flight.epoch, got.concrete)
                return self._loader.under_lease(store, Leased(read, flight, ask, got))
            if got.outcome == "marked" or self._must_not_wait(read, give_up):
                return self._loader.unstored(read, flight)
            if not patient:
                raise LeaderGone
            self._wait_for_holder(woken, min(got.left + 0.01, give_up - engine.monotonic()))

    def _must_not_wait(self, read: Read, give_up: float) -> bool:
        """Time is up, or the holder waits in this process for a slot that the load around us may hold."""
        nested = enclosing_load() is not None and self._engine.flights.is_queued(read.key)
        return nested or self._engine.monotonic() >= give_up

    def _wait_for_holder(self, woken: threads.Event, limit: float) -> None:
        """Until the holder's fill wakes us, or `limit` seconds; with no link to be woken by, a moment."""
        woken.wait(max(0.0, limit) if self._engine.tags.linked else 0.05)

    def serve_acquired(
        self, store: RedisStore, read: Read, flight: Flight, got: Acquired
    ) -> Landing | None:
        """What somebody else filled meanwhile, if it may be served."""
        if read.force:
            return None
        found = Found(got.data, dict(got.stamps), got.node)
        made = [tag for tag in got.stamps if tag == key_tag(read.key)]
        look = self._looker.judge(store, read, flight, found, made=made)
        flight.fallback = look.entry or flight.fallback
        return self._looker.serve(read, flight, look)
