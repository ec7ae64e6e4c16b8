# Hits of L2, the short way.
"""A glance at the server: most reads that memory cannot serve find a fresh and plain entry there, and need no more.

The short way opens no flight; the epoch at which it was taken stands for one. What it cannot settle goes on the long way
as a `Glance`, so that the server need not be asked again. It is not taken where something has to be thought of first:
inside loads and contexts, in caches with a scope or a hierarchy, while the server fails, under policies that refresh early.

Invariants kept here (design rules 1 and 2; tests/_async/test_glances.py and its mutants would catch their loss):
- what it serves, `AsyncLooker` would serve as a fresh hit;
- what it served lands in L1 only if nothing at all was invalidated since before the server was asked;
- the long way believes a glance only at the epoch at which it was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from operator import is_
from types import NoneType
from typing import Any, TypedDict

from cachewright._async.engine import AsyncEngine
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.entry import Stamps
from cachewright.core.envelope import FILL, UNLIKE, Likeness, Times, fields_of
from cachewright.core.keys import as_key
from cachewright.core.loading import LIVE, undisturbed
from cachewright.core.packing import clip, to_entry
from cachewright.core.policy import AdaptiveTtl, Lifetime, Policy
from cachewright.core.reads import Glance, Tags
from cachewright.core.tags import NAMESPACE
from cachewright.errors import CodecError, RemoteError
from cachewright.redis.wire import pack_argument, pack_many, pack_one
from cachewright.types import Key


class _How(TypedDict):
    """What a glance knows whatever it finds: when it is, what the epoch was, what the caller wants."""

    now: float
    epoch: int
    policy: Policy


NOT_TAKEN = Glance(-1)
"""The long way has to ask for itself."""


class AsyncGlancer:
    """Glances for one cache. `possible`: whether its keys are stored as they are written."""

    def __init__(self, engine: AsyncEngine, *, possible: bool) -> None:
        self._engine = engine
        self._clock = engine.tags
        self.store = engine.store if possible and not engine.debug else None
        """Where to look; None where a glance is never to be taken."""
        self._budget = engine.policy.timeouts.call
        self._names: dict[str, tuple[bytes, bytes]] = {}
        """Key → its entry's name at the server as an argument of a command, and the GET for it."""
        self._plain: Policy | None = None
        """The last policy that was found to need no thought."""
        self._like: tuple[int, bytes, Likeness | None, Stamps] = -1, b"", None, {}
        """(epoch, node, what the last entry has in common with others, its stamps, which matched at that epoch)."""

    def _may(self, store: AsyncRedisStore, policy: Policy, tags: Tags | None = None) -> bool:
        """Whether nothing has to be thought of first."""
        return (
            store.is_calm
            and (policy is self._plain or self._is_plain(policy))
            # Unknown stamps ride along on the long way; here they would cost a second trip.
            and NAMESPACE in self._clock.known
            and (not tags or self._are_known(tags))
            and (not LIVE or undisturbed())
        )

    def _is_plain(self, policy: Policy) -> bool:
        plain = not (
            policy.refresh_ahead is not None
            or policy.beta
            or policy.copy
            or policy.sliding is not None
            or isinstance(policy.ttl, AdaptiveTtl)
        )
        if plain:
            self._plain = policy
        return plain

    def _are_known(self, tags: Tags) -> bool:
        if type(tags) is not list and type(tags) is not tuple:
            return False  # what can be iterated once only is left to the long way
        known = self._clock.known
        return not [tag for tag in tags if type(tag) is not str or "t:" + tag not in known]

    def _named(self, key: str) -> tuple[bytes, bytes] | None:
        """What the entry is called at the server, as an argument, and the GET for it; None where that is a digest, which wants a thought."""
        named = self._names.get(key)
        if named is None:
            if self._engine.keys.is_digest(as_key(key)):
                return None
            name = self._engine.keys.entry(key)
            named = pack_argument(name), pack_one("GET", name)
            if len(self._names) >= self._engine.memory.max_entries:
                self._names.clear()
            self._names[key] = named
        return named

    # ---------------------------------------------------------------- one key

    async def glance(
        self, store: AsyncRedisStore, key: str, policy: Policy, tags: Tags | None = None
    ) -> Any:
        """The value of a fresh and plain entry, or a `Glance` for the long way. `store`: the glancer's.

        `tags`: of one who can load. Behind others who want the key it does not wait, since on the long way all share.
        """
        if not self._may(store, policy, tags) or (named := self._named(key)) is None:
            return NOT_TAKEN
        engine, clock = self._engine, self._clock
        epoch = clock.epoch
        try:
            asked = store.pipe.get(*named, self._budget, queue=tags is None)
            if asked is None:
                return NOT_TAKEN
            data, node = await asked
        except RemoteError as error:
            store.failed(error)
            return Glance(epoch, error=error)
        if type(data) is not bytes:
            return Glance(epoch, node=node) if data is None else NOT_TAKEN
        now, read = engine.server_time(), None
        at, of, likeness, stamps = self._like
        if likeness is not None and at == clock.epoch and of == node:
            try:
                read = likeness.read(data, now)
            except Exception:  # the slow way says what is wrong with the bytes
                read = None
        if read is None:
            value = self._read(key, data, node, now=now, epoch=epoch, policy=policy)
            if value is NOT_TAKEN:
                return Glance(epoch, data, node)
        else:
            value, times = read
            if policy.l1_ttl != 0:
                self._keep(
                    key, data, value, times, now=now, epoch=epoch, policy=policy, stamps=stamps
                )
        engine.stats.l2_glances.add()
        return value

    def _read(
        self, key: str, data: bytes, node: bytes, *, epoch: int, now: float, policy: Policy
    ) -> Any:
        """The value of an entry that is unlike the last one, kept in L1; `NOT_TAKEN` if it is no fresh and plain one."""
        clock, packer = self._clock, self._engine.packer
        try:
            flags, code, kind, _, fresh, usable, lifetime, cost, _, of, stamps, full, payload = (
                fields_of(data)
            )
            at = clock.epoch
            strange = (
                kind or of != node or full is not None
            )  # who carries a name has a digest for one
            if strange or fresh <= now or not clock.matches(stamps):
                return NOT_TAKEN
            value = packer.plain_value(key, code, flags, payload)
        except CodecError:
            return NOT_TAKEN
        self._like = at, node, packer.likeness(data), stamps
        if policy.l1_ttl != 0:
            times = fresh, usable, lifetime, cost
            self._keep(key, data, value, times, now=now, epoch=epoch, policy=policy, stamps=stamps)
        return value

    def _keep(
        self,
        key: str,
        data: bytes,
        value: Any,
        times: Times,
        *,
        now: float,
        epoch: int,
        policy: Policy,
        stamps: Stamps,
    ) -> None:
        engine, monotonic = self._engine, self._engine.monotonic()
        fresh, usable, lifetime, cost = times
        left = min(fresh - now, lifetime)  # whatever the clock of its writer says
        life = Lifetime(left, left + max(0.0, usable - fresh))
        entry = to_entry(
            value,
            life,
            policy,
            now=monotonic,
            stamps=stamps,
            ttl=lifetime,
            cost=cost,
            fill=data[FILL],
        )
        entry.epoch = epoch
        if clip(entry, policy, monotonic):
            weight = engine.weigh(entry, len(data))
            engine.flights.land_unless_moved(key, entry, monotonic, weight)

    # ---------------------------------------------------------------- many keys

    async def glance_many(
        self, store: AsyncRedisStore, keys: Sequence[str], policy: Policy
    ) -> tuple[dict[Key, Any], dict[Key, Glance | None]]:
        """(the values of fresh and plain entries, the keys that have to go the long way). `store`: the glancer's.

        A key that is in neither has nothing at the server.
        """
        if not self._may(store, policy):
            return {}, dict.fromkeys(keys)
        found, wanted, rest = self._in_memory(keys)
        if not wanted:
            return found, rest
        engine, epoch = self._engine, self._clock.epoch
        names = self._names_of(wanted)
        if names is None:
            return found, rest | dict.fromkeys(wanted)
        try:
            asked = store.pipe.one(pack_many("MGET", names), self._budget)
            if asked is None:
                return found, rest | dict.fromkeys(wanted)
            replies, node = await asked
        except RemoteError as error:
            store.failed(error)
            engine.remote_failed("read", error)
            engine.stats.count("misses", len(wanted))
            return found, rest
        if type(replies) is not list or len(replies) != len(wanted):
            return found, rest | dict.fromkeys(wanted)
        there = dict(zip(wanted, replies, strict=True))
        if set(map(type, replies)) != {bytes}:
            engine.stats.count("misses", replies.count(None))
            rest |= {k: None for k, data in there.items() if type(data) not in (bytes, NoneType)}
            there = {k: data for k, data in there.items() if type(data) is bytes}
        served = self._serve_many(there, node, epoch=epoch, policy=policy)
        engine.stats.count("l2_hits", len(served))
        if len(served) < len(there):
            rest |= {k: Glance(epoch, data, node) for k, data in there.items() if k not in served}
        found.update(served)
        return found, rest

    def _serve_many(
        self, there: Mapping[str, bytes], node: bytes, *, epoch: int, policy: Policy
    ) -> dict[Key, Any]:
        """The values of those that are fresh and plain, each kept in L1."""
        now, kept = self._engine.server_time(), policy.l1_ttl != 0
        at, of, likeness, stamps = self._like
        values: Sequence[Any] = [UNLIKE] * len(there)
        if likeness is not None and at == self._clock.epoch and of == node:
            with suppress(Exception):  # the slow way says what is wrong with the bytes
                values = likeness.read_many(list(there.values()), now)
                if not kept and not any(map(is_, values, repeat(UNLIKE))):
                    return dict(zip(there, values, strict=True))
        how: _How = {"now": now, "epoch": epoch, "policy": policy}
        served: dict[Key, Any] = {}
        for (key, data), value in zip(there.items(), values, strict=True):
            if value is UNLIKE:
                value = self._read(key, data, node, **how)
            elif kept and likeness is not None:
                self._keep(key, data, value, likeness.times(data), stamps=stamps, **how)
            if value is not NOT_TAKEN:
                served[key] = value
        return served

    def _names_of(self, keys: Sequence[str]) -> list[bytes] | None:
        """What the entries are called at the server; None where one of them is a digest."""
        known = self._names
        try:
            return [known[key][0] for key in keys]
        except KeyError:
            names = [self._named(key) for key in keys]
        return None if None in names else [named[0] for named in names if named]

    def _in_memory(
        self, keys: Sequence[str]
    ) -> tuple[dict[Key, Any], list[str], dict[Key, Glance | None]]:
        """(what is hot, the keys that memory does not have, those that need a thought)."""
        engine = self._engine
        table: Mapping[str, Any] = engine.memory.table
        found: dict[Key, Any] = {}
        wanted: list[str] = []
        rest: dict[Key, Glance | None] = {}
        if table.keys().isdisjoint(keys):
            return found, list(keys), rest
        now, epoch = engine.monotonic(), self._clock.epoch
        for key in keys:
            entry = table.get(key)
            if entry is None:
                wanted.append(key)
            elif now < entry.hot_until and (entry.epoch == epoch or self._clock.renew(entry)):
                if entry.freq < 3:
                    entry.freq += 1
                engine.stats.l1_hits.add()
                found[key] = entry.value
            else:
                rest[key] = None
        return found, wanted, rest
