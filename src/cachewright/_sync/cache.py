# Generated from _async/cache.py by tools/unasync.py. Do not edit.
"""`Cache`: the public verbs. Each hot path is written out here; everything that needs a thought is elsewhere.

Invariant (tests/_sync/test_hits.py): the inlined test of a hit serves only what `core.decision.decide` would SERVE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

from cachewright._sync.batches import Batches
from cachewright._sync.contexts import Contexts
from cachewright._sync.engine import Engine
from cachewright._sync.explaining import Explainable
from cachewright._sync.fragments import Decorating
from cachewright._sync.glancing import Glancer
from cachewright._sync.leases import Leases
from cachewright._sync.loading import Loader
from cachewright._sync.looking import Looker
from cachewright._sync.objects import Objects
from cachewright._sync.reading import Reader
from cachewright._sync.refreshing import Refresher
from cachewright._sync.storing import Storer
from cachewright._sync.warming import Warmable
from cachewright._sync.writing import Writing
from cachewright._waits import threads
from cachewright.core.entry import Entry
from cachewright.core.lives import Life, Lives
from cachewright.core.loading import LIVE, hands_up
from cachewright.core.policy import Lifetime, Policy, Seconds, Ttl
from cachewright.core.reads import (
    Glance,
    Read,
    Reads,
    Tags,
    dead_tags,
    distinct,
    not_a_key,
    refuse_no_int,
)
from cachewright.core.scopes import Scope
from cachewright.core.tags import NAMESPACE
from cachewright.observe.stats import Snapshot
from cachewright.options import Options
from cachewright.types import ABSENT, MISSING, Key


class Cache(Contexts, Decorating, Explainable, Objects, Warmable):
    """A cache for asyncio: L1 in this process and, with a server, L2 on Redis or Valkey.

    `server`: None (L1 only), a URL (redis://, rediss://, valkey://, unix://, embedded://) or a redis-py client.
    For all other options see `Options`. An instance belongs to one event loop at a time and may be used
    as `with Cache(...) as cache`. Raises `ConfigurationError` for every option that cannot work.

    The verbs never raise because the server failed: a read is a miss, a store returns False, an invalidation is
    kept and repeated. `Policy(on_error="raise")` turns that round.
    """

    def __init__(self, server: Any = None, **options: Any) -> None:
        chosen = Options(**options)
        self.engine = engine = Engine(server, chosen)
        self.policy = chosen.policy
        """What holds for calls that say nothing else."""
        self.namespace = chosen.namespace
        lives = Lives(engine.time, engine.draw)
        self.reads = Reads(chosen.policy, Scope(chosen.scope), lives, hierarchy=chosen.hierarchy)
        # Where a key depends on the caller, no key as the caller writes it is in the table that hits look at.
        self.table: Mapping[Any, Entry] = {} if chosen.scope else engine.memory.table
        self._tags = engine.tags
        self._flights = engine.flights
        self._monotonic = engine.monotonic
        self._hits = engine.stats.l1_hits.ticks
        self._leases = Leases(engine)
        loader = Loader(engine, looker := Looker(engine), self._leases)
        self._reader = Reader(engine, looker=looker, loader=loader, leases=self._leases)
        self._refresher = Refresher(engine, self._reader)
        self._storer = Storer(engine, looker)
        self._glancer = Glancer(engine, possible=not chosen.scope and not chosen.hierarchy)
        self.batches = Batches(
            engine, looker=looker, loader=loader, reader=self._reader, leases=self._leases
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A cache configured by CACHEWRIGHT_URL, CACHEWRIGHT_NAMESPACE, CACHEWRIGHT_TTL and CACHEWRIGHT_MAX_ENTRIES.

        `options` win over the environment. A CACHEWRIGHT_ variable of another name is a `ConfigurationError`.
        """
        server, found = Options.from_env(os.environ if environ is None else environ)
        return cls(server, **(found | options))

    def __repr__(self) -> str:
        target = self.engine.target
        return (
            f"<{type(self).__name__} {self.namespace} on {target.label if target else 'L1 only'}>"
        )

    def __enter__(self) -> Self:
        self.engine.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait up to 2 s for background work, then close the connections."""
        self.engine.close()

    # ---------------------------------------------------------------- reading

    def get(self, key: Key, default: Any = MISSING, verify: bool = False) -> Any:
        """The cached value, or `default`. `verify` checks at the server that nothing has invalidated it."""
        glance = None
        try:
            entry = self.table[key]
        except KeyError:
            if type(key) is str and not verify:
                store = self._glancer.store
                if store is not None:
                    glance = self._glancer.glance(store, key, self.policy)
                    if type(glance) is not Glance:
                        return glance
        except TypeError:
            raise not_a_key(key) from None
        else:
            monotonic = self._monotonic
            if (
                monotonic() < entry.hot_until
                and (entry.epoch == self._tags.epoch or self._tags.renew(entry))
                and not verify
                and (not LIVE or hands_up(entry, self.engine.domain))
            ):
                if entry.freq < 3:
                    entry.freq += 1
                for _ in self._hits:
                    break
                return entry.value
        found = self._reader.find(self.reads.read(key, verify=verify, glance=glance))
        return default if found is None else self.reads.value(found, default, self.policy)

    def get_or_load(
        self,
        key: Key,
        load: Callable[[], Any],
        *,
        tags: Tags = (),
        ttl: Ttl | None = None,
        expires_at: datetime | None = None,
        sliding: Seconds | None = None,
        default: Any = MISSING,
        verify: bool = False,
        policy: Policy | None = None,
    ) -> Any:
        """The cached value, or what `load` returns, which is then cached; `default` if it returns `ABSENT`.

        At most one load for a key runs in the fleet. `tags` name what the value is made from. Raises what `load`
        raises, and `Unstorable` for a generator or another value that can be used once only.
        """
        glance = None
        try:
            entry = self.table[key]
        except KeyError:
            if type(key) is str and not verify and sliding is None:
                store = self._glancer.store
                if store is not None and key not in self._flights.leading:
                    glance = self._glancer.glance(store, key, policy or self.policy, tags)
                    if type(glance) is not Glance:
                        return glance
        except TypeError:
            raise not_a_key(key) from None
        else:
            monotonic = self._monotonic
            if (
                monotonic() < entry.hot_until
                and (entry.epoch == self._tags.epoch or self._tags.renew(entry))
                and not verify
                and (policy is None or not policy.copy)
                and (not LIVE or hands_up(entry, self.engine.domain))
            ):
                if entry.freq < 3:
                    entry.freq += 1
                for _ in self._hits:
                    break
                return entry.value
        read = self.reads.read(key, tags, policy=policy, verify=verify, glance=glance)
        read.policy, read.life = self.reads.lives.choose(read.policy, ttl, expires_at, sliding)
        read.load = load
        return self.reads.value(self._reader.get_or_load(read), default, read.policy)

    def get_many(self, keys: Iterable[Key], *, verify: bool = False) -> dict[Key, Any]:
        """The cached values of those keys that have one, by key as given. One round trip for all of them."""
        wanted = list(keys)
        store = self._glancer.store
        if store is None or verify or set(map(type, wanted)) != {str}:
            return self._get_many(distinct(wanted), verify=verify)
        texts = cast("list[str]", list(dict.fromkeys(wanted)))
        found, rest = self._glancer.glance_many(store, texts, self.policy)
        return found | self._get_many(rest) if rest else found

    def _get_many(
        self, keys: Mapping[Key, Glance | None], *, verify: bool = False
    ) -> dict[Key, Any]:
        reads = {
            key: self.reads.read(key, verify=verify, glance=glance) for key, glance in keys.items()
        }
        found = self.batches.find_many(
            list({read.key: read for read in reads.values()}.values())
        )
        return {
            key: self.reads.value(found[read.key], MISSING, self.policy)
            for key, read in reads.items()
            if read.key in found and found[read.key].value is not ABSENT
        }

    def get_or_load_many(
        self,
        keys: Iterable[Key],
        load_many: Callable[[list[Key]], Any],
        *,
        tags: Tags | Callable[[Key], Tags] = (),
        ttl: Ttl | None = None,
        default: Any = MISSING,
        policy: Policy | None = None,
    ) -> dict[Key, Any]:
        """The value of every key, by key as given. `load_many` gets those that are missing, once, as a list.

        It returns a mapping; a key that is not in it is absent, gets a negative entry and `default` as its value.
        What it raises reaches the caller, and nothing is stored. `tags` may be a function of the key.
        """
        chosen, _ = self.reads.lives.choose(policy or self.policy, ttl, None, None)
        reads = {
            key: self.reads.read(key, tags(key) if callable(tags) else tags, policy=chosen)
            for key in keys
        }
        return self.batches.values(reads, load_many, name=self.reads.name, default=default)

    def contains(self, key: Key) -> bool:
        """Whether a value is cached for the key; a negative entry is none."""
        found = self._reader.find(self.reads.read(key))
        return found is not None and found.value is not ABSENT

    __contains__ = threads.membership(contains)

    def ttl(self, key: Key) -> float | None:
        """Seconds for which the key stays fresh: 0.0 when it is stale but usable, None where nothing is cached."""
        return self._storer.ttl(self.reads.read(key))

    # ---------------------------------------------------------------- storing

    def set(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl | None = None,
        expires_at: datetime | None = None,
        sliding: Seconds | None = None,
        tags: Tags = (),
    ) -> bool:
        """Cache a value; whether it was stored. A TTL of 0 or a past deadline removes the key.

        Every other L1 drops what it has for the key. Prefer `get_or_load`: a value that was read before a write and
        is set after it is stale, and no cache can know.
        """
        policy, life = self.reads.lives.choose(self.policy, ttl, expires_at, sliding)
        put = self._put(key, value, tags, policy=policy, life=life)
        return (self._storer.set_many([put]))[put[0].key]

    def _put(
        self, key: Key, value: Any, tags: Tags, *, policy: Policy, life: Life | None
    ) -> tuple[Read, Any, Lifetime]:
        own = deepcopy(value) if policy.copy else value
        read = self.reads.read(key, tags, policy=policy)
        return read, own, self.reads.lives.of(policy, life, own)

    def set_many(
        self,
        values: Mapping[Key, Any],
        *,
        ttl: Ttl | None = None,
        expires_at: datetime | None = None,
        sliding: Seconds | None = None,
        tags: Tags = (),
    ) -> dict[Key, bool]:
        """`set` for many keys, in one round trip: whether each was stored."""
        policy, life = self.reads.lives.choose(self.policy, ttl, expires_at, sliding)
        puts = {
            key: self._put(key, value, tags, policy=policy, life=life)
            for key, value in values.items()
        }
        stored = self._storer.set_many(list(puts.values()))
        return {key: stored[read.key] for key, (read, _, _) in puts.items()}

    def add(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl | None = None,
        expires_at: datetime | None = None,
        tags: Tags = (),
    ) -> bool:
        """Cache a value if the key has none; whether it was stored."""
        read = self.reads.read(key, tags)
        read.policy, life = self.reads.lives.choose(read.policy, ttl, expires_at, None)
        own = deepcopy(value) if read.policy.copy else value
        return self._storer.add(own, self.reads.lives.of(read.policy, life, own), read)

    def incr(
        self, key: Key, delta: int = 1, *, initial: int = 0, ttl: Ttl | None = None
    ) -> int:
        """Add to a counter and return it; one that does not exist counts from `initial` and lives for `ttl`.

        Raises `RemoteError` when the server fails: a guessed count is worse than none. Counters stay within ±(2**53 - 1).
        """
        refuse_no_int(delta=delta, initial=initial)
        read = self.reads.read(key)
        read.policy, life = self.reads.lives.choose(read.policy, ttl, None, None)
        return self._storer.count(
            delta, initial, self.reads.lives.of(read.policy, life, 0), read
        )

    def touch(
        self, key: Key, *, ttl: Ttl | None = None, expires_at: datetime | None = None
    ) -> bool:
        """Give a cached value another life from now on; whether there was one. 0 removes it."""
        read = self.reads.read(key)
        read.policy, life = self.reads.lives.choose(read.policy, ttl, expires_at, None)
        return self._storer.touch(self.reads.lives.of(read.policy, life, None), read)

    # ---------------------------------------------------------------- invalidating

    def invalidate(
        self, *keys: Key, tags: Tags = (), prefix: Key | None = None, scope: Any = None
    ) -> None:
        """Forget keys, and whatever was made from these tags, in every process. One round trip, whatever their number.

        `prefix`: the key and all keys below it, for caches with `hierarchy=True`. `scope`: all that was cached for
        one user, tenant or whatever the cache's scope is. When it returns, no read that starts afterwards in this
        process gets the old value, and none elsewhere after the bus latency.
        """
        names = [self.reads.name(key) for key in keys]
        dead = dead_tags(tags)
        if prefix is not None:
            names.append(self.reads.name(prefix))
            dead.append(self.reads.prefix_tag(names[-1]))
        if scope is not None:
            dead.append(self.reads.scope.tag(scope))
        if names or dead:
            self.engine.invalidate(names, dead)

    def delete(self, *keys: Key) -> None:
        """`invalidate` for keys."""
        self.invalidate(*keys)

    def clear(self) -> None:
        """Forget the whole namespace, in every process. One round trip, whatever it holds."""
        self.engine.invalidate([], [NAMESPACE])

    def writing(
        self,
        *,
        keys: Iterable[Key] = (),
        tags: Tags = (),
        strict: bool = False,
        limit: Seconds = 30.0,
    ) -> Writing:
        """Around a write to the source: what depends on it is dirty before the commit and fresh after it.

        `limit`: seconds that the source allows between `before_commit()` (or entry) and commit; a writer that dies
        leaves marks that cost misses for so long. `strict` refuses to begin when the server cannot be told.
        """
        names = [self.reads.name(key) for key in keys]
        dirty = dead_tags(tags)
        return Writing(self.engine, self._leases, names, dirty, strict=strict, limit=limit)

    # ---------------------------------------------------------------- observing

    def stats(self) -> Snapshot:
        """The cache's numbers now."""
        return self.engine.snapshot()
