# Generated from _async/glancing.py by tools/unasync.py. Do not edit.
"""A glance at the server: most reads that memory cannot serve find a fresh and plain entry there, and need no more.

The short way opens no flight; the epoch at which it was taken stands for one. What it cannot settle goes on the long way
as a `Glance`, so that the server need not be asked again. It is not taken where something has to be thought of first:
inside loads and contexts, in caches with a scope or a hierarchy, while the server fails, under policies that refresh early.

Invariants kept here (design rules 1 and 2; tests/_sync/test_glances.py and its mutants would catch their loss):
- what it serves, `Looker` would serve as a fresh hit;
- what it served lands in L1 only if nothing at all was invalidated since before the server was asked;
- the long way believes a glance only at the epoch at which it was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cachewright._sync.engine import Engine
from cachewright._sync.redis import RedisStore
from cachewright._waits import threads
from cachewright.core.entry import Stamps
from cachewright.core.envelope import FILL, Likeness, fields_of
from cachewright.core.keys import as_key
from cachewright.core.loading import LIVE, undisturbed
from cachewright.core.packing import clip, to_entry
from cachewright.core.policy import AdaptiveTtl, Lifetime, Policy
from cachewright.core.reads import Glance, Tags
from cachewright.core.tags import NAMESPACE
from cachewright.errors import CodecError, RemoteError
from cachewright.redis.wire import pack_one
from cachewright.types import Key

NOT_TAKEN = Glance(-1)
"""The long way has to ask for itself."""


class Glancer:
    """Glances for one cache. `possible`: whether its keys are stored as they are written."""

    def __init__(self, engine: Engine, *, possible: bool) -> None:
        self._engine = engine
        self._clock = engine.tags
        self._store = engine.store if possible and not engine.debug else None
        self._names: dict[str, tuple[str, bytes]] = {}
        """Key → its entry's name at the server, and the GET for it."""
        self._plain: Policy | None = None
        """The last policy that was found to need no thought."""
        self._like: tuple[int, bytes, Likeness | None, Stamps] = -1, b"", None, {}
        """(epoch, node, what the last entry has in common with others, its stamps, which matched at that epoch)."""

    def store(self, policy: Policy, tags: Tags = ()) -> RedisStore | None:
        """Where to take a glance at, if one may be taken now."""
        store = self._store
        if (
            store is not None
            and (policy is self._plain or self._is_plain(policy))
            and self._engine.is_open_here(threads.here())
            and store.is_calm
            and (not LIVE or undisturbed())
            and self._are_known(tags)
        ):
            return store
        return None

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
        """Unknown stamps ride along on the long way; here they would cost a second trip."""
        known = self._clock.known
        if NAMESPACE not in known:
            return False
        if not tags:
            return True
        if type(tags) is not list and type(tags) is not tuple:
            return False  # what can be iterated once only is left to the long way
        return not [tag for tag in tags if type(tag) is not str or "t:" + tag not in known]

    def _named(self, key: str) -> tuple[str, bytes] | None:
        """What the entry is called at the server, and the GET for it; None where that is a digest, which wants a thought."""
        named = self._names.get(key)
        if named is None:
            if self._engine.keys.is_digest(as_key(key)):
                return None
            name = self._engine.keys.entry(key)
            named = name, pack_one("GET", name)
            if len(self._names) >= self._engine.memory.max_entries:
                self._names.clear()
            self._names[key] = named
        return named

    # ---------------------------------------------------------------- one key

    def glance(self, store: RedisStore, key: str, policy: Policy) -> Any:
        """The value of a fresh and plain entry, or a `Glance` for the long way. `store`: what the method of that name gave."""
        engine = self._engine
        epoch = engine.tags.epoch
        named = self._named(key)
        if named is None:
            return NOT_TAKEN
        try:
            asked = store.glance(named[1])
            if asked is None:
                return NOT_TAKEN
            data, node = asked
        except RemoteError as error:
            store.failed(error)
            return Glance(epoch, error=error)
        if type(data) is not bytes:
            return Glance(epoch, node=node) if data is None else NOT_TAKEN
        value = self._serve(key, data, node, epoch=epoch, now=engine.server_time(), policy=policy)
        if value is NOT_TAKEN:
            return Glance(epoch, data, node)
        engine.stats.l2_glances.add()
        return value

    def _serve(
        self, key: str, data: bytes, node: bytes, *, epoch: int, now: float, policy: Policy
    ) -> Any:
        """The value, kept in L1; `NOT_TAKEN` for whatever is not a fresh and plain hit at wall-clock time `now`."""
        at, of, likeness, stamps = self._like
        if likeness is not None and at == self._clock.epoch and of == node:
            try:
                read = likeness.read(data, now)
            except Exception:  # the slow way says what is wrong with the bytes
                read = None
            if read is not None:
                if policy.l1_ttl != 0:
                    self._keep(key, data, read, now=now, epoch=epoch, policy=policy, stamps=stamps)
                return read[0]
        return self._read(key, data, node, epoch=epoch, now=now, policy=policy)

    def _read(
        self, key: str, data: bytes, node: bytes, *, epoch: int, now: float, policy: Policy
    ) -> Any:
        """The same for an entry that is unlike the last one."""
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
            read = value, fresh, usable, lifetime, cost
            self._keep(key, data, read, now=now, epoch=epoch, policy=policy, stamps=stamps)
        return value

    def _keep(
        self,
        key: str,
        data: bytes,
        read: tuple[Any, float, float, float, float],
        *,
        now: float,
        epoch: int,
        policy: Policy,
        stamps: Stamps,
    ) -> None:
        engine, monotonic = self._engine, self._engine.monotonic()
        value, fresh, usable, lifetime, cost = read
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

    def glance_many(
        self, store: RedisStore, keys: Sequence[str], policy: Policy
    ) -> tuple[dict[Key, Any], dict[Key, Glance | None]]:
        """(the values of fresh and plain entries, the keys that have to go the long way). `store`: see there.

        A key that is in neither has nothing at the server.
        """
        found, wanted, rest = self._in_memory(keys)
        if not wanted:
            return found, rest
        engine, epoch = self._engine, self._clock.epoch
        names = [self._named(key) for key in wanted]
        if None in names:
            return found, rest | dict.fromkeys(wanted)
        packed = pack_one("MGET", *[named[0] for named in names if named])
        try:
            asked = store.glance(packed)
            if asked is None:
                return found, rest | dict.fromkeys(wanted)
            replies, node = asked
        except RemoteError as error:
            store.failed(error)
            engine.remote_failed("read", error)
            engine.stats.count("misses", len(wanted))
            return found, rest
        if type(replies) is not list or len(replies) != len(wanted):
            return found, rest | dict.fromkeys(wanted)
        hits, now = len(found), engine.server_time()
        for key, data in zip(wanted, replies, strict=True):
            if type(data) is bytes:
                value = self._serve(key, data, node, epoch=epoch, now=now, policy=policy)
                if value is not NOT_TAKEN:
                    found[key] = value
                else:
                    rest[key] = Glance(epoch, data, node)
            elif data is not None:
                rest[key] = None
        engine.stats.count("l2_hits", len(found) - hits)
        engine.stats.count("misses", replies.count(None))
        return found, rest

    def _in_memory(
        self, keys: Sequence[str]
    ) -> tuple[dict[Key, Any], list[str], dict[Key, Glance | None]]:
        """(what is hot, the keys that memory does not have, those that need a thought)."""
        engine = self._engine
        table: Mapping[str, Any] = engine.memory.table
        now, epoch = engine.monotonic(), self._clock.epoch
        found: dict[Key, Any] = {}
        wanted: list[str] = []
        rest: dict[Key, Glance | None] = {}
        for key in keys:
            entry = table.get(key)
            if entry is None:
                wanted.append(key)
            elif now < entry.hot_until and entry.epoch == epoch:
                if entry.freq < 3:
                    entry.freq += 1
                engine.stats.l1_hits.add()
                found[key] = entry.value
            else:
                rest[key] = None
        return found, wanted, rest
