"""The engine without those rules that no other test takes out of it. `index` says which mutant belongs to which rule.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.mutants import weaken_script

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import AsyncFlights, Flight
from cachewright._async.looking import AsyncLooker, Look
from cachewright._async.redis import AsyncRedisStore
from cachewright._async.writing import AsyncWriting
from cachewright.core.entry import Entry
from cachewright.core.tags import TagClock
from cachewright.redis.commands import Commands

Patch = pytest.MonkeyPatch

# -------------------------------------------------------------------- the server


def fills_wake_nobody(patch: Patch) -> None:
    weaken_script(patch, "fill", "redis.call('PUBLISH', ARGV[1] .. process, message)", "")


def prefixes_are_scanned_for(patch: Patch) -> None:
    """The entries that are there are deleted; what is being loaded is not there yet."""
    invalidate = AsyncEngine.invalidate

    async def scan(self: AsyncEngine, keys: Any, tags: Any, *, token: str = "") -> None:
        assert self.store is not None
        names = await self.store.one(("KEYS", self.keys.namespace + ":*"))
        start = self.keys.namespace + ":{"
        found = [name.decode() for name in names if name.endswith(b"}")]
        wanted = [tag.removeprefix("p:") for tag in tags if tag.startswith("p:")]
        below = [
            name.removeprefix(start)[:-1]
            for name in found
            if any(name.startswith(start + prefix + ":") for prefix in wanted)
        ]
        rest = [tag for tag in tags if not tag.startswith("p:")]
        await invalidate(self, [*keys, *below], rest, token=token)

    patch.setattr(AsyncEngine, "invalidate", scan)


def tells_before_the_server_has_moved(patch: Patch) -> None:
    """The message leaves first, as it might in a cluster that is not waited for."""

    async def invalidate(self: AsyncRedisStore, keys: Any, tags: Any, *, token: str = "") -> None:
        await self.one(("PUBLISH", self.keys.bus, self._commands.message(keys, tags)))
        with pytest.MonkeyPatch.context() as silent:
            silent.setattr(Commands, "message", lambda self, keys, tags: b"")
            commands = self._commands.invalidations(keys, tags, token=token)
        await self.ask(commands)

    patch.setattr(AsyncRedisStore, "invalidate", invalidate)


def reads_entries_before_their_stamps(patch: Patch) -> None:
    read = AsyncRedisStore.read

    async def entry_first(
        self: AsyncRedisStore, keys: Any, tags: Any = (), *, make: Any = (), **more: Any
    ) -> Any:
        found = await read(self, keys, tags, **more)
        stamps, _ = await self.make_stamps(make) if make else ({}, b"")
        for each in found:
            each.stamps.update(stamps)
        return found

    patch.setattr(AsyncRedisStore, "read", entry_first)


# -------------------------------------------------------------------- what a process knows


def news_set_the_clock(patch: Patch) -> None:
    """An invalidation takes the stamps it has made for the present ones."""

    async def invalidate(self: AsyncEngine, keys: Any, tags: Any, *, token: str = "") -> None:
        store = await self.open()
        assert store is not None
        await store.invalidate(keys, tags, token=token)
        stamps, _ = await store.make_stamps(tags)
        self.flights.invalidate(keys, tags)
        self.tags.known.update({tag: it for tag, it in stamps.items() if it is not None})

    patch.setattr(AsyncEngine, "invalidate", invalidate)


def restamps_with_todays_epoch(patch: Patch) -> None:
    def renew(self: TagClock, entry: Entry) -> bool:
        if not self.matches(entry.stamps):
            return False
        entry.epoch = self.epoch
        return True

    patch.setattr(TagClock, "renew", renew)


def dooms_in_silence(patch: Patch) -> None:
    """Who waits for a lease is not told that it was revoked."""

    def doom(flight: Flight) -> None:
        flight.doomed = True

    patch.setattr(AsyncFlights, "_doom", staticmethod(doom))


def falls_back_on_what_was_invalidated(patch: Patch) -> None:
    """A stale entry is good enough though one of its stamps has moved."""
    judge = AsyncLooker.judge

    async def judge_mildly(
        self: AsyncLooker, store: Any, read: Any, *about: Any, **how: Any
    ) -> Look:
        flight, found = about
        look = await judge(self, store, read, flight, found, **how)
        if look.entry is None and found.data is not None:
            stale = Look()
            envelope = self._engine.packer.open(read.key, found.data)
            self._open(read, stale, envelope, len(found.data))
            flight.fallback = stale.entry
        return look

    patch.setattr(AsyncLooker, "judge", judge_mildly)


# -------------------------------------------------------------------- two-phase writes


def marks_beside_the_stamp(patch: Patch) -> None:
    weaken_script(
        patch, "mark", "made = made + mark(KEYS[i])", "made = made + mark(KEYS[i] .. ':mark')"
    )


def ends_the_marks_of_others(patch: Patch) -> None:
    weaken_script(patch, "invalidate", "if left ~= '' then", "if false then")


def marks_in_silence(patch: Patch) -> None:
    weaken_script(patch, "mark", "redis.call('PUBLISH', ARGV[6], ARGV[7])", "")


def asserts_nothing_again(patch: Patch) -> None:
    async def before_commit(self: AsyncWriting) -> None:
        """Does nothing."""

    patch.setattr(AsyncWriting, "before_commit", before_commit)


def asserts_again_in_silence(patch: Patch) -> None:
    before_commit = AsyncWriting.before_commit

    async def silently(self: AsyncWriting) -> None:
        with pytest.MonkeyPatch.context() as silent:
            silent.setattr(self._engine.keys, "bus", "a channel that nobody hears")
            await before_commit(self)

    patch.setattr(AsyncWriting, "before_commit", silently)
