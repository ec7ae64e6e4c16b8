# The engine with one protection taken out.
"""Weakened engines, one protection less each, for the twins of the tests of consistency: there the old value returns.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from _async.mutants import weaken_script

from cachewright._async import reading
from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import AsyncFlights, Flight
from cachewright._async.loading import AsyncLoader
from cachewright._async.looking import AsyncLooker
from cachewright._async.reading import AsyncReader
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.entry import Entry, Stamps
from cachewright.core.loading import Load
from cachewright.core.packing import Packer
from cachewright.core.reads import Read
from cachewright.core.tags import LocalStamps, TagClock
from cachewright.errors import RemoteError
from cachewright.redis import wire
from cachewright.types import ABSENT

Patch = pytest.MonkeyPatch
Weakness = Callable[[Patch], None]

# -------------------------------------------------------------------- leases


def fills_without_lease(patch: Patch) -> None:
    check = "if type(held) ~= 'string' or string.sub(held, 1, #token) ~= token then\n    return 0\n  end"
    weaken_script(patch, "fill", check, "held = type(held) == 'string' and held or ''")


def deletes_but_keeps_the_lease(patch: Patch) -> None:
    weaken_script(patch, "invalidate", "unmark(KEYS[3 * i + 2])", "false")


def sets_but_keeps_the_lease(patch: Patch) -> None:
    stores = "redis.call('UNLINK', KEYS[2], KEYS[3])"
    weaken_script(patch, "store", stores, "redis.call('UNLINK', KEYS[3])")


# -------------------------------------------------------------------- flights


def shares_with_latecomers(patch: Patch) -> None:
    """Who joins a flight takes what it brings, whatever was invalidated before they joined."""
    patch.setattr(AsyncReader, "may_share", lambda self, *about: True, raising=False)


def dooms_nothing_and_shares(patch: Patch) -> None:
    dooms_nothing(patch)
    shares_with_latecomers(patch)


def dooms_nothing(patch: Patch) -> None:
    patch.setattr(AsyncFlights, "_doom", staticmethod(lambda flight: None))


def lets_join_what_began_before(patch: Patch) -> None:
    """A verified read takes what an older flight brings, and a doomed flight takes followers."""
    shares_with_latecomers(patch)
    join = AsyncFlights.join

    def whatever(self: AsyncFlights, key: str, tags: Any, **how: bool) -> Any:
        with self._lock:
            flight = self.leading.get(key)
        return (flight, False) if flight is not None else join(self, key, tags, **how)

    patch.setattr(AsyncFlights, "join", whatever)


def lands_at_todays_epoch(patch: Patch) -> None:
    land = AsyncFlights.land

    def land_now(self: AsyncFlights, flight: Flight, entry: Entry, *how: Any) -> bool:
        landed = land(self, flight, entry, *how)
        entry.epoch = self._clock.epoch
        return landed

    patch.setattr(AsyncFlights, "land", land_now)


def lands_doomed_at_todays_epoch(patch: Patch) -> None:
    dooms_nothing(patch)
    lands_at_todays_epoch(patch)


def keeps_all_when_the_link_changes(patch: Patch) -> None:
    def only_the_link(self: AsyncFlights, *, linked: bool) -> None:
        self._clock.linked = True

    patch.setattr(AsyncFlights, "forget_all", only_the_link)


# -------------------------------------------------------------------- clock and stamps


def epoch_stands_still(patch: Patch) -> None:
    """What landed is served without a look at its stamps, and goes on to be."""
    lands_at_todays_epoch(patch)

    def forget(self: TagClock, tags: Any) -> None:
        for tag in tags:
            self.known.pop(tag, None)

    patch.setattr(TagClock, "forget", forget)


def learns_from_overtaken_replies(patch: Patch) -> None:
    patch.setattr(TagClock, "learn", lambda self, issued, stamps: self.known.update(stamps))


def stamps_after_the_load(patch: Patch) -> None:
    keep = AsyncLoader.keep

    async def keep_with_new_stamps(
        self: AsyncLoader, store: AsyncRedisStore, leased: Any, load: Any, **brought: Any
    ) -> Any:
        for item in leased:
            item.got.stamps, _ = await store.make_stamps(list(item.got.stamps))
        return await keep(self, store, leased, load, **brought)

    patch.setattr(AsyncLoader, "keep", keep_with_new_stamps)


def late_tags_go_unchecked(patch: Patch) -> None:
    patch.setattr(AsyncRedisStore, "covered", lambda self, stamp, base: True)
    patch.setattr(LocalStamps, "older", staticmethod(lambda stamp, base: True))


def stamps_that_repeat(patch: Patch) -> None:
    """An invalidation removes the stamp, and a missing one is made as it was made before."""
    weaken_script(
        patch,
        "invalidate",
        "unmark(KEYS[3 * nk + i], fresh, ARGV[4])",
        "redis.call('UNLINK', KEYS[3 * nk + i])",
    )
    weaken_script(patch, "stamps", "stamp = seq .. ':' .. ARGV[2]", "stamp = '1:made:always'")


def missing_stamps_match(patch: Patch) -> None:
    """A stamp that the server does not have is taken for one that has not moved."""
    judged = AsyncLooker._is_current

    async def is_current(
        self: AsyncLooker, store: Any, read: Any, flight: Any, *, found: Any, envelope: Any
    ) -> bool:
        said = await store.stamps(list(envelope.stamps))
        kept = {tag: stamp for tag, stamp in envelope.stamps.items() if said[tag] is not None}
        envelope = envelope._replace(stamps=kept)
        return await judged(self, store, read, flight, found=found, envelope=envelope)

    patch.setattr(AsyncLooker, "_is_current", is_current)


def nodes_are_all_one(patch: Patch) -> None:
    patch.setattr(wire, "node_of", lambda replies, target: b"the same always")


# -------------------------------------------------------------------- what travels upward


def hands_up_no_key_stamps(patch: Patch) -> None:
    gather = Load.gather

    def gather_tags_only(self: Load, stamps: Stamps | None) -> None:
        tags = {tag: stamp for tag, stamp in (stamps or {}).items() if not tag.startswith("k:")}
        gather(self, None if stamps is None else tags)

    patch.setattr(Load, "gather", gather_tags_only)


def hands_up_nothing(patch: Patch) -> None:
    patch.setattr(Load, "gather", lambda self, stamps: None)


def bypassed_parts_do_not_matter(patch: Patch) -> None:
    gather = Load.gather

    def gather_some(self: Load, stamps: Stamps | None) -> None:
        gather(self, stamps or {})

    patch.setattr(Load, "gather", gather_some)


def the_last_part_wins(patch: Patch) -> None:
    """Parts that disagree about a tag are stored under the newest of its stamps."""

    def gather(self: Load, stamps: Stamps | None) -> None:
        self.gathered.update(stamps or {})

    def join(own: Stamps | None, late: Stamps, load: Load) -> Stamps | None:
        return {**(own or {}), **late, **load.gathered}

    patch.setattr(Load, "gather", gather)
    patch.setattr(AsyncLoader, "_join", staticmethod(join))


def parts_in_memory_need_no_key_stamp(patch: Patch) -> None:
    patch.setattr(AsyncLooker, "_lacks_key_stamp", lambda self, read, entry: False)


def followers_need_no_key_stamp(patch: Patch) -> None:
    patch.setattr(reading, "key_tag", lambda key: "n:")


def negative_entries_carry_no_tags(patch: Patch) -> None:
    pack, new_entry = Packer.pack, AsyncLoader._new_entry

    def pack_some(self: Packer, key: str, value: Any, life: Any, **more: Any) -> bytes:
        more["stamps"] = {} if value is ABSENT else more["stamps"]
        return pack(self, key, value, life, **more)

    def entry_of(self: AsyncLoader, read: Any, value: Any, life: Any, **more: Any) -> Entry:
        more["stamps"] = {} if value is ABSENT else more["stamps"]
        return new_entry(self, read, value, life, **more)

    patch.setattr(Packer, "pack", pack_some)
    patch.setattr(AsyncLoader, "_new_entry", entry_of)


# -------------------------------------------------------------------- verbs


def verified_reads_trust_the_clock(patch: Patch) -> None:
    look = AsyncLooker.look

    async def look_as_usual(self: AsyncLooker, store: Any, read: Read, flight: Any) -> Any:
        return await look(self, store, replace(read, verify=False), flight)

    patch.setattr(AsyncLooker, "look", look_as_usual)


def verified_reads_look_in_memory(patch: Patch) -> None:
    in_memory = AsyncLooker.in_memory

    def look_there(self: AsyncLooker, read: Read) -> Any:
        return in_memory(self, replace(read, verify=False))

    patch.setattr(AsyncLooker, "in_memory", look_there)


def drops_only_what_the_server_confirmed(patch: Patch) -> None:
    async def invalidate(self: AsyncEngine, keys: Any, tags: Any, *, token: str = "") -> None:
        store = await self.open()
        try:
            if store is not None:
                await store.invalidate(keys, tags, token=token)
        except RemoteError:
            return
        self.flights.invalidate(keys, tags)

    patch.setattr(AsyncEngine, "invalidate", invalidate)


def drops_before_the_server_does(patch: Patch) -> None:
    async def invalidate(self: AsyncEngine, keys: Any, tags: Any, *, token: str = "") -> None:
        store = await self.open()
        self.flights.invalidate(keys, tags)
        if store is not None:
            await store.invalidate(keys, tags, token=token)

    patch.setattr(AsyncEngine, "invalidate", invalidate)
