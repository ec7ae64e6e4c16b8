# Generated from _async/cache.py by tools/unasync.py. Do not edit.
"""`Cache`: the public verbs. Each hot path is written out here; everything that needs a thought is elsewhere.

Invariant (tests/_sync/test_hits.py): the inlined test of a hit serves only what `core.decision.decide` would SERVE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from cachewright._sync.batches import Batches
from cachewright._sync.decorating import Decoration, decorate
from cachewright._sync.engine import Engine
from cachewright._sync.leases import Leases
from cachewright._sync.loading import Loader
from cachewright._sync.looking import Looker, Read
from cachewright._sync.reading import Reader
from cachewright._sync.refreshing import Refresher
from cachewright._sync.storing import Storer
from cachewright._sync.writing import Writing
from cachewright.core.calls import CallKeys
from cachewright.core.entry import CachedError, Entry
from cachewright.core.keys import as_key
from cachewright.core.lives import Lives
from cachewright.core.loading import LIVE, Mode, mode
from cachewright.core.policy import Policy, Seconds, Ttl
from cachewright.core.scopes import Scope
from cachewright.core.tags import NAMESPACE, prefix_tag, user_tag
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.observe.stats import Snapshot
from cachewright.options import Options
from cachewright.types import ABSENT, MISSING, Key

Tags = Iterable[str | tuple[Any, ...]]


class Cache:
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
        self.namespace = chosen.namespace
        self._lives = Lives(engine.time, engine.draw)
        self._scope = Scope(chosen.scope)
        # Where a key depends on the caller, no key as the caller writes it is in the table that hits look at.
        self.table: dict[str, Entry] = {} if chosen.scope else engine.memory.table
        self._tags = engine.tags
        self._monotonic = engine.monotonic
        self._count_hit = engine.stats.l1_hits.add
        self._leases = Leases(engine)
        looker = Looker(engine)
        loader = Loader(engine, looker, self._leases)
        self._reader = Reader(engine, looker, loader)
        self._refresher = Refresher(engine, self._reader)
        self._storer = Storer(engine, looker)
        self._batches = Batches(engine, looker, loader, self._reader, self._leases)

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

    def get(self, key: Key, default: Any = MISSING, *, verify: bool = False) -> Any:
        """The cached value, or `default`. `verify` checks at the server that nothing has invalidated it."""
        try:
            entry = self.table.get(key)  # type: ignore[call-overload]
        except TypeError:
            raise InvalidKey(
                f"a {type(key).__name__} is no key: write it as a string or a tuple"
            ) from None
        if (
            entry is not None
            and self._monotonic() < entry.hot_until
            and entry.epoch == self._tags.epoch
            and not verify
            and not LIVE.count
        ):
            if entry.freq < 3:
                entry.freq += 1
            self._count_hit()
            return entry.value
        found = self._reader.find(self._read(key, verify=verify))
        return default if found is None else self._value(found, default, self.policy)

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
        try:
            entry = self.table.get(key)  # type: ignore[call-overload]
        except TypeError:
            raise InvalidKey(
                f"a {type(key).__name__} is no key: write it as a string or a tuple"
            ) from None
        if (
            entry is not None
            and self._monotonic() < entry.hot_until
            and entry.epoch == self._tags.epoch
            and not verify
            and not LIVE.count
        ):
            if entry.freq < 3:
                entry.freq += 1
            self._count_hit()
            return entry.value
        read = self._read(key, tags, policy=policy, verify=verify)
        read.policy, read.life = self._lives.choose(read.policy, ttl, expires_at, sliding)
        read.load = load
        return self._value(self._reader.get_or_load(read), default, read.policy)

    def get_many(self, keys: Iterable[Key], *, verify: bool = False) -> dict[Key, Any]:
        """The cached values of those keys that have one, by key as given. One round trip for all of them."""
        reads = {key: self._read(key, verify=verify) for key in keys}
        found = self._batches.find_many(
            list({read.key: read for read in reads.values()}.values())
        )
        values = {
            key: self._value(found[read.key], MISSING, self.policy)
            for key, read in reads.items()
            if read.key in found
        }
        return {key: value for key, value in values.items() if value is not MISSING}

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
        names: dict[str, Key] = {}
        reads: dict[str, Read] = {}
        for key in keys:
            read = self._read(key, tags(key) if callable(tags) else tags, policy=policy)
            read.policy, read.life = self._lives.choose(read.policy, ttl, None, None)
            names.setdefault(read.key, key)
            reads.setdefault(read.key, read)

        def load(missing: list[str]) -> dict[str, Any]:
            values = call_batch(load_many, [names[name] for name in missing])
            return {self._name(key): value for key, value in values.items()}

        found = self._batches.get_or_load_many(list(reads.values()), load)
        return {
            names[name]: self._value(entry, default, reads[name].policy)
            for name, entry in found.items()
        }

    def contains(self, key: Key) -> bool:
        """Whether a value is cached for the key; a negative entry is none."""
        found = self._reader.find(self._read(key))
        return found is not None and found.value is not ABSENT

    def ttl(self, key: Key) -> float | None:
        """Seconds for which the key stays fresh: 0.0 when it is stale but usable, None where nothing is cached."""
        return self._storer.ttl(self._read(key))

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
        return (
            self.set_many(
                {key: value}, ttl=ttl, expires_at=expires_at, sliding=sliding, tags=tags
            )
        )[key]

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
        names = {key: self._name(key) for key in values}
        given = {
            names[key]: deepcopy(value) if self.policy.copy else value
            for key, value in values.items()
        }
        read = self._template(tags)
        policy, life = self._lives.choose(self.policy, ttl, expires_at, sliding)
        read.policy = policy
        lives = {name: self._lives.of(policy, life, value) for name, value in given.items()}
        stored = dict(zip(given, self._storer.set_many(given, lives, read), strict=True))
        return {key: stored[name] for key, name in names.items()}

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
        read = self._read(key, tags)
        read.policy, life = self._lives.choose(read.policy, ttl, expires_at, None)
        return self._storer.add(value, self._lives.of(read.policy, life, value), read)

    def incr(
        self, key: Key, delta: int = 1, *, initial: int = 0, ttl: Ttl | None = None
    ) -> int:
        """Add to a counter and return it; one that does not exist begins at `initial` and lives for `ttl`.

        Raises `RemoteError` when the server fails: a guessed count is worse than none. Counters stay within ±2**53.
        """
        read = self._read(key)
        read.policy, life = self._lives.choose(read.policy, ttl, None, None)
        return self._storer.count(delta, initial, self._lives.of(read.policy, life, 0), read)

    def touch(
        self, key: Key, *, ttl: Ttl | None = None, expires_at: datetime | None = None
    ) -> bool:
        """Give a cached value another life from now on; whether there was one. 0 removes it."""
        read = self._read(key)
        read.policy, life = self._lives.choose(read.policy, ttl, expires_at, None)
        return self._storer.touch(self._lives.of(read.policy, life, None), read)

    # ---------------------------------------------------------------- invalidating

    def invalidate(
        self, *keys: Key, tags: Tags = (), prefix: Key | None = None, scope: Any = None
    ) -> None:
        """Forget keys, and whatever was made from these tags, in every process. One round trip, whatever their number.

        `prefix`: the key and all keys below it, for caches with `hierarchy=True`. `scope`: all that was cached for
        one user, tenant or whatever the cache's scope is. When it returns, no read that starts afterwards in this
        process gets the old value, and none elsewhere after the bus latency.
        """
        names = [self._name(key) for key in keys]
        dead = [user_tag(tag) for tag in _listed(tags)]
        if prefix is not None:
            if not self.engine.hierarchy:
                raise ConfigurationError("invalidate(prefix=...) needs a cache with hierarchy=True")
            names.append(self._name(prefix))
            dead.append(prefix_tag(self._name(prefix)))
        if scope is not None:
            dead.append(self._scope.tag(scope))
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
        limit: float = 30.0,
    ) -> Writing:
        """Around a write to the source: what depends on it is dirty before the commit and fresh after it.

        `limit`: seconds that the source allows between `before_commit()` (or entry) and commit; a writer that dies
        leaves marks that cost misses for so long. `strict` refuses to begin when the server cannot be told.
        """
        names = [self._name(key) for key in keys]
        dirty = [user_tag(tag) for tag in _listed(tags)]
        return Writing(self.engine, self._leases, names, dirty, strict=strict, limit=limit)

    # ---------------------------------------------------------------- decorating

    def cached(
        self,
        function: Callable[..., Any] | None = None,
        *,
        key: str | None = None,
        tags: Iterable[str] = (),
        ttl: Ttl | None = None,
        sliding: Seconds | None = None,
        policy: Policy | None = None,
        default: Any = None,
        ignore: Iterable[str] = (),
        version: str | int | None = None,
        verify: bool = False,
    ) -> Any:
        """Cache a function's results: `@cache.cached(ttl=60, key="user:{user_id}", tags=["user:{user_id}"])`.

        Without `key` it is made of module, qualified name, `version` and all arguments but those in `ignore`
        (`self`, sessions). A call that returns `ABSENT` returns `default`. The function gets `invalidate`, `refresh`
        and `key`, which take its arguments.
        """
        chosen, _ = self._lives.choose(policy or self.policy, ttl, None, sliding)
        how = Decoration(policy=chosen, default=default, verify=verify)

        def around(function: Callable[..., Any]) -> Callable[..., Any]:
            keys = CallKeys(function, key=key, tags=tags, ignore=ignore, version=version)
            return decorate(self, function, keys, how)

        return around if function is None else around(function)

    # ---------------------------------------------------------------- contexts

    def bypassed(self) -> AbstractContextManager[None]:
        """Inside, reads ask the source, and nothing that they load is stored."""
        return mode(self.engine, Mode.BYPASS)

    def disabled(self) -> AbstractContextManager[None]:
        """As `bypassed`, and `set` stores nothing either. Invalidations still act."""
        return mode(self.engine, Mode.DISABLE)

    def refreshed(self) -> AbstractContextManager[None]:
        """Inside, every read loads anew and stores what it loads."""
        return mode(self.engine, Mode.REFRESH)

    def scoped(self, scope: Any) -> AbstractContextManager[None]:
        """Inside, keys belong to this user, tenant or whatever the cache was declared for with `scope=`."""
        return self._scope.entered(scope)

    # ---------------------------------------------------------------- observing

    def stats(self) -> Snapshot:
        """The cache's numbers now."""
        engine = self.engine
        return engine.stats.snapshot(
            namespace=self.namespace,
            evictions=engine.memory.evictions,
            entries=len(engine.memory),
            size=engine.memory.bytes,
            pending_repairs=len(engine.store.repairs) if engine.store else 0,
            link=engine.link,
        )

    # ---------------------------------------------------------------- parts of a call

    def _name(self, key: Key) -> str:
        return self._scope.prefix() + as_key(key)

    def _read(
        self, key: Key, tags: Tags = (), *, policy: Policy | None = None, verify: bool = False
    ) -> Read:
        name = self._name(key)
        spelled = self.engine.tags_of(name, _listed(tags)) + self._scope.tags()
        return Read(name, spelled, policy or self.policy, verify=verify)

    def _template(self, tags: Tags) -> Read:
        """What the keys of a batch have in common."""
        spelled = [user_tag(tag) for tag in _listed(tags)] + self._scope.tags()
        return Read("", spelled, self.policy)

    @staticmethod
    def _value(entry: Entry, default: Any, policy: Policy) -> Any:
        value = entry.value
        if value is ABSENT:
            return default
        if isinstance(value, CachedError):
            raise value.error.with_traceback(None)
        return deepcopy(value) if policy.copy else value


def call_batch(load_many: Callable[[list[Any]], Any], keys: list[Any]) -> Mapping[Any, Any]:
    """What a batch loader returns, checked."""
    values = load_many(keys)
    if hasattr(values, "__await__"):
        values = values
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"load_many must return a mapping of keys to values, not {type(values).__name__}"
        )
    return values


def _listed(tags: Tags) -> Sequence[str | tuple[Any, ...]]:
    if isinstance(tags, str):
        raise ConfigurationError(f"tags must be a sequence of tags, not the one string {tags!r}")
    return list(tags)
