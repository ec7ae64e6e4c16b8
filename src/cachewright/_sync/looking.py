# Generated from _async/looking.py by tools/unasync.py. Do not edit.
"""What is cached and may be served: in L1 by the tag clock, in L2 by its stamps. Loads nothing.

Invariants kept here (design rules 1 and 2; tests/_sync/test_races.py and its mutants would catch their loss):
- an entry of L2 is served only if every one of its stamps is as the clock knows it or as the server has just said,
  and it was stored by the node that holds it now;
- a reply teaches the clock only if nothing moved since the read was issued.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cachewright._sync.engine import Engine
from cachewright._sync.flights import Flight
from cachewright._sync.redis import RedisStore
from cachewright.core.decision import Decision, decide, decide_by_time
from cachewright.core.entry import Entry, SlidingEntry, Stamps
from cachewright.core.envelope import FILL, Envelope
from cachewright.core.loading import collecting_load
from cachewright.core.packing import clip, remaining, to_entry
from cachewright.core.policy import Policy
from cachewright.core.reads import Read
from cachewright.core.tags import key_tag
from cachewright.errors import CodecError, RemoteError
from cachewright.redis.replies import Found


@dataclass(slots=True)
class Landing:
    """What a read came to. `stamps` None: nothing vouches for the value, so nothing made from it is stored."""

    entry: Entry
    stamps: Stamps | None
    refresh: bool = False
    loaded: bool = False


@dataclass(slots=True)
class Look:
    """What the server had. `seen` is the fill id of an entry that is there, of use or not."""

    entry: Entry | None = None
    seen: bytes = b""
    failed: bool = False
    torn: bool = False
    """Whether a stamp that was to be made is marked."""
    sliding: bool = False
    fresh: float = 0.0
    """Seconds for which the entry is fresh, in L2."""
    stamps: Stamps = field(default_factory=dict)
    """Stamps that were made for this read beyond those in the entry."""

    @property
    def absence(self) -> Stamps | None:
        """What vouches for there being nothing; None if the server failed or a write is under way."""
        return None if self.failed or self.torn else self.stamps


class Looker:
    """Looks for one cache."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ---------------------------------------------------------------- memory

    def in_memory(self, read: Read, *, extend: bool = True) -> tuple[Decision, Entry | None]:
        """What L1 has. The entry that comes with LOAD is current by its stamps but too old.

        `extend`: this is an access, which keeps a sliding entry alive.
        """
        engine = self._engine
        entry = engine.memory.table.get(read.key)
        if (
            entry is None
            or (read.verify and engine.store is not None)
            or (engine.debug and self._was_mutated(read.key, entry))
        ):
            return Decision.LOAD, None
        now = engine.monotonic()
        decision = decide(entry, read.policy, now, engine.tags)
        if decision is Decision.LOAD:
            usable = now < entry.usable_until and engine.tags.current(entry.epoch, entry.stamps)
            return decision, entry if usable else None
        if self._lacks_key_stamp(read, entry) and not self._give_key_stamp(read, entry):
            return Decision.LOAD, None
        if entry.epoch != engine.tags.epoch:
            engine.tags.renew(entry)
        if extend and isinstance(entry, SlidingEntry):
            entry.usable_until = entry.fresh_until = min(now + entry.window, entry.age_limit)
        return decision, entry

    def _lacks_key_stamp(self, read: Read, entry: Entry) -> bool:
        """What is made from a value needs the key's own stamp."""
        inside = collecting_load(self._engine.domain) is not None
        return inside and key_tag(read.key) not in entry.stamps

    def _give_key_stamp(self, read: Read, entry: Entry) -> bool:
        """Without a server: while the entry is there, its key was not invalidated. A server must be asked."""
        engine = self._engine
        if engine.store is not None:
            return False
        with engine.lock:
            if engine.memory.table.get(read.key) is not entry:
                return False
            entry.stamps = entry.stamps | engine.local_stamps.read([key_tag(read.key)])
            return True

    def _was_mutated(self, key: str, entry: Entry) -> bool:
        if self._engine.fingerprints.agrees(key, entry.value):
            return False
        self._engine.tell("mutated", key, detail="a shared value was changed by one of its holders")
        self._engine.memory.drop(key)
        return True

    def land(self, flight: Flight, entry: Entry, weight: int, *, policy: Policy) -> None:
        """Into L1, unless the flight is doomed."""
        engine = self._engine
        if not clip(entry, policy, engine.monotonic()):
            return
        if engine.debug:
            engine.fingerprints.take(flight.key, entry.value)
        engine.flights.land(flight, entry, engine.monotonic(), engine.weigh(entry, weight))

    # ---------------------------------------------------------------- the server

    def look(
        self, store: RedisStore, read: Read, flight: Flight, *, extend: bool = True
    ) -> Look:
        """One round trip: the entry with whatever stamps the clock does not know.

        `extend`: this is an access, which keeps a sliding entry alive. Where the policy does not say that entries
        slide, those that do cost a second trip.
        """
        make = self.made_from(read)
        tags = read.tags if read.verify else self._engine.tags.unknown(read.tags)
        tags = [tag for tag in tags if tag not in make]
        slides = extend and read.policy.sliding is not None
        slide = self._engine.server_time() if slides else None
        glance, read.glance = read.glance, None
        try:
            if glance is not None and glance.error is not None:
                raise glance.error
            if glance is not None and glance.epoch == flight.epoch and not (make or slides):
                # Nothing was invalidated since: this flight might as well have begun before the GET.
                found = Found(glance.data, {}, glance.node)
            else:
                found = (store.read([read.key], tags, make=make, slide_at=slide))[0]
            look = self.judge(store, read, flight, found, made=make)
            if look.sliding and slide is None and extend:
                self.slide(store, [read.key])
            return look
        except RemoteError as error:
            self._engine.remote_failed("read", error)
            return Look(failed=True)

    def made_from(self, read: Read) -> list[str]:
        """Inside a load: the stamps that its value will carry for this part, be it there or absent."""
        inside = collecting_load(self._engine.domain) is not None
        return [*read.tags, key_tag(read.key)] if inside else []

    def slide(self, store: RedisStore, keys: Sequence[str]) -> None:
        """Keep sliding entries alive."""
        if keys:
            store.read(keys, slide_at=self._engine.server_time())

    def ask_ahead(
        self, store: RedisStore, reads: Sequence[Read], found: Sequence[Found]
    ) -> None:
        """Add to each of many what its entry turns out to depend on: one round trip, where `judge` would take one each."""
        wanted: dict[str, None] = {}
        for read, one in zip(reads, found, strict=True):
            with suppress(CodecError):  # `weigh` says what is wrong with it
                stamps = (
                    () if one.data is None else self._engine.packer.open(read.key, one.data).stamps
                )
                asked = stamps if read.verify else self._engine.tags.unknown(stamps)
                wanted.update((tag, None) for tag in asked if tag not in one.stamps)
        if not wanted:
            return
        more = store.stamps(list(wanted))
        for one in found:
            one.stamps = {**one.stamps, **more}

    def judge(
        self,
        store: RedisStore,
        read: Read,
        flight: Flight,
        found: Found,
        *,
        made: Sequence[str] = (),
    ) -> Look:
        """Whether what the server had may be served: readable, ours, and every stamp as it is now."""
        self._engine.tags.learn(flight.epoch, found.concrete)
        return self.weigh(store, read, flight, found, made=made)

    def judge_many(
        self,
        store: RedisStore,
        reads: Sequence[Read],
        flights: Sequence[Flight],
        found: Sequence[Found],
        *,
        made: Sequence[Sequence[str]],
    ) -> list[Look]:
        """The same for keys that were read together. What the reply teaches is the same for all, and learned once."""
        # The youngest of the flights began before the read was issued as well.
        self._engine.tags.learn(max(flight.epoch for flight in flights), found[0].concrete)
        nothing = Look()
        return [
            self.weigh(store, read, flight, one, made=part)
            if part or one.wrong_type or one.data is not None
            else nothing
            for read, flight, one, part in zip(reads, flights, found, made, strict=True)
        ]

    def weigh(
        self,
        store: RedisStore,
        read: Read,
        flight: Flight,
        found: Found,
        *,
        made: Sequence[str],
    ) -> Look:
        """As `judge`, when the clock has learned what there was to learn."""
        stamps = found.stamps
        look = Look(stamps={tag: stamp for tag in made if (stamp := stamps.get(tag)) is not None})
        look.torn = len(look.stamps) < len(made)
        if found.wrong_type:
            self._engine.unreadable(read.key, "not a string")
            store.discard(read.key, None)
        if found.data is None:
            return look
        look.seen = found.data[FILL]
        try:
            envelope = self._engine.packer.open(read.key, found.data)
            if self._is_current(store, read, flight, found=found, envelope=envelope):
                self._open(read, look, envelope, len(found.data))
        except CodecError as error:
            self._engine.unreadable(read.key, "an entry that cannot be read", error)
            if found.data[:1] not in _LATER_VERSIONS:
                store.discard(read.key, found.data)
        return look

    def _is_current(
        self,
        store: RedisStore,
        read: Read,
        flight: Flight,
        *,
        found: Found,
        envelope: Envelope,
    ) -> bool:
        if envelope.node != found.node:
            return False
        tags = self._engine.tags
        said = found.stamps
        asked = envelope.stamps if read.verify else tags.unknown(envelope.stamps)
        missing = [tag for tag in asked if tag not in said]
        if missing:
            more = store.stamps(missing)
            tags.learn(
                flight.epoch, {tag: stamp for tag, stamp in more.items() if stamp is not None}
            )
            said = said | more
        known = tags.known
        return all(
            (said[tag] if tag in said else known.get(tag)) == stamp
            for tag, stamp in envelope.stamps.items()
        )

    def _open(self, read: Read, look: Look, envelope: Envelope, size: int) -> None:
        engine = self._engine
        life = remaining(envelope, engine.server_time())
        if life.usable <= 0:
            return
        look.sliding, look.fresh = bool(life.window), life.fresh
        look.entry = to_entry(
            engine.packer.value(read.key, envelope),
            life,
            read.policy,
            now=engine.monotonic(),
            stamps={**envelope.stamps, **look.stamps} if look.stamps else envelope.stamps,
            ttl=envelope.lifetime,
            cost=envelope.cost,
            fill=envelope.fill,
            draw=engine.draw(),
            careful=engine.debug,
        )
        look.entry.weight = size

    def serve(self, read: Read, flight: Flight, look: Look) -> Landing | None:
        """The entry of a look as a hit that is kept in L1, or None if it is not to be served."""
        entry = look.entry
        if entry is None:
            return None
        decision = decide_by_time(entry, read.policy, self._engine.monotonic())
        if decision is Decision.LOAD:
            return None
        self._engine.stats.count("l2_hits")
        # A copy in memory would not see the accesses that keep a sliding entry alive at the server.
        if not look.sliding or read.policy.l1_ttl is not None:
            self.land(flight, entry, entry.weight, policy=read.policy)
        return Landing(entry, entry.stamps, decision is Decision.SERVE_AND_REFRESH)


_LATER_VERSIONS = frozenset(bytes([version]) for version in range(2, 16))
"""First bytes that a later release may write: unreadable here, and not ours to remove."""
