"""Django's queries in a cache: `QueryCache(cache).attach()`, or by settings. Keys, tags, and when the cache may be asked.

A read in a transaction that has written, or has asked for locks, goes around the cache; one in an old snapshot fills
nothing; so does one from a replica.
What must not be here: querysets (`queryset`), how writes are seen (`watching`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from threading import get_ident
from typing import Any, Self

from django.apps import apps
from django.db import connections

from cachewright import Cache
from cachewright.core.keys import spell
from cachewright.core.loading import collecting_load
from cachewright.core.policy import Policy
from cachewright.core.reads import Glance
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.django.databases import Databases
from cachewright.integrations.django.keys import head_of, key_of
from cachewright.integrations.django.newcomers import name_of
from cachewright.integrations.django.rules import Rule, Rules
from cachewright.integrations.django.watching import Watcher, by_itself
from cachewright.sql import Reads
from cachewright.types import MISSING

MAX_TEXTS = 4096
MAX_RULES = 256


class Standing(Enum):
    """How a read on a connection may use the cache."""

    FREE = auto()
    SNAPSHOT = auto()
    """It may be served, but what it reads may be older than what was committed meanwhile."""
    AROUND = auto()
    """It knows more than the cache."""


@dataclass(frozen=True, slots=True)
class Known:
    """One statement on one alias. `reads` is a text where it must not be cached: why."""

    head: str
    reads: Any
    """`Reads`, or a text."""


class _Tags:
    """The tags of a statement, found when they are asked for: a hit asks for none."""

    __slots__ = ("_given", "_params", "_reads")

    def __init__(self, reads: Reads, params: Any, given: Iterable[Any]) -> None:
        self._reads = reads
        self._params = params
        self._given = given

    def __iter__(self) -> Iterator[Any]:
        # Never None: an entry of this key was stored with them.
        return iter([*(self._reads.tags(self._params) or ()), *self._given])


class _Loading:
    """A load, which may run in a thread of the engine's, whose connections nobody else would close."""

    __slots__ = ("_load", "_thread", "began")

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._thread = get_ident()
        self.began = False

    def __call__(self) -> Any:
        self.began = True
        if get_ident() == self._thread:
            return self._load()
        try:
            return self._load()
        finally:
            connections.close_all()


class QueryCache:
    """The cached queries of a process.

    `models`: rules by label, `{"shop.Book": 300}`, for models whose manager is a `CachedManager`. `writes`: table →
    tables that a write to it also changes, by triggers or cascades that only the database knows. `replicas`: aliases
    that may lag: reads from them are served and fill nothing. `scope`: a function of the connection that gives what a
    result depends on beside the statement: the tenant's schema, the role. `exact`: labels of models whose updated and
    deleted rows are read before and after, so that of the queries by foreign keys and indexed columns only those fall
    that had or have one of the rows; that takes two more statements a write. `crash_safe=False`: a write is told of once,
    after its commit, which saves a round trip; a process that dies just between leaves old results until their TTL.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        models: Mapping[str, object] | None = None,
        writes: Mapping[str, Iterable[str]] | None = None,
        replicas: Collection[str] = (),
        scope: Callable[[Any], Any] | None = None,
        exact: Collection[str] = (),
        crash_safe: bool = True,
    ) -> None:
        self.cache = cache
        self.rules = Rules.of(models or {})
        self.databases = Databases(writes or {})
        self._exact = tuple(exact)
        self.watcher = Watcher(cache, self.databases, self._exact_tables, crash_safe=crash_safe)
        self._replicas = frozenset(replicas)
        self._scope = scope
        self._known: dict[tuple[str, str], Known] = {}
        self._structure = 0
        self._policies: dict[Rule, Policy] = {}

    # ---------------------------------------------------------------- attaching

    def attach(self) -> Self:
        """From now on this is what `cached()` and the rules use, and every write of this process is seen."""
        if _attached:
            raise ConfigurationError("a QueryCache is attached already: detach it first")
        self.watcher.start()  # may raise: nothing is attached then
        _attached.append(self)
        return self

    def detach(self) -> None:
        """Undo `attach()`."""
        if self in _attached:
            self.watcher.stop()
            _attached.clear()

    def __enter__(self) -> Self:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def _exact_tables(self) -> frozenset[str]:
        try:
            return frozenset(name_of(apps.get_model(label)) for label in self._exact)
        except (LookupError, ValueError) as error:
            raise ConfigurationError(f"exact names what is no model: {error}") from None

    # ---------------------------------------------------------------- reading

    def standing(self, alias: str) -> Standing:
        """How a read on this thread's connection may use the cache."""
        connection = connections[alias]
        known = self.watcher.settled(connection)
        if connection.connection is not None:
            if known.settings and self._scope is None:
                return Standing.AROUND
            if by_itself(connection):
                known.ledger.settle()
            elif known.ledger.open() or not connection.in_atomic_block:
                return Standing.AROUND
            elif self.databases.isolation(connection, known) != "read committed":
                return Standing.SNAPSHOT
        return Standing.SNAPSHOT if alias in self._replicas else Standing.FREE

    def answer(
        self,
        kind: str,
        load: Callable[[], Any],
        *,
        alias: str,
        statement: tuple[str, Any],
        rule: Rule,
    ) -> Any:
        """What `load` gives for a statement, cached if it may be. `kind`: what is made of its rows."""
        standing = self.standing(alias)
        if standing is Standing.AROUND:
            return self.around(load)
        sql, params = statement
        if self._structure != self.databases.structure:
            self._known, self._structure = {}, self.databases.structure
        known = self._known.get((alias, sql)) or self._learn(alias, sql)
        key = self._key(kind, known, alias, params)
        if key is None:
            return self.around(load)
        if standing is Standing.SNAPSHOT:
            return self.served(key, load)
        tags: Iterable[Any] = _Tags(known.reads, params, rule.tags)
        if key not in self.cache.table:
            found = known.reads.tags(params)
            if found is None:
                return self.around(load)
            tags = [*found, *rule.tags]
        return self.load(key, load, tags, self.policy(rule))

    def around(self, load: Callable[[], Any]) -> Any:
        """Past the cache. Nobody vouches for it, so what is made from it is not stored either."""
        outer = collecting_load(self.cache.engine.domain)
        if outer is not None:
            outer.gather(None)
        return load()

    def served(self, key: str, load: Callable[[], Any]) -> Any:
        """What is cached, else past the cache."""
        found = self.cache.get(key)
        return self.around(load) if found is MISSING else found

    def load(self, key: str, load: Callable[[], Any], tags: Iterable[Any], policy: Policy) -> Any:
        """The value of a key, or what `load` gives."""
        cache, engine = self.cache, self.cache.engine
        loading = _Loading(load)
        if key in cache.table or engine.store is None or key in engine.flights.leading:
            return cache.get_or_load(key, loading, tags=tags, policy=policy)
        # As if a GET had just brought nothing: asking for the right to fill the key brings what is there as well, so
        # that a hit at the server takes one round trip, as ever, and a miss one less.
        glance = Glance(engine.tags.epoch)
        read = cache.reads.read(key, tags, policy=policy, glance=glance)
        read.policy, read.life = cache.reads.lives.choose(policy, None, None, None)
        read.load = loading
        entry = cache._reader.get_or_load(read)
        if not loading.began:
            engine.stats.count("misses", -1)  # the engine believed the glance
        return cache.reads.value(entry, MISSING, policy)

    def _key(self, kind: str, known: Known, alias: str, params: Any) -> str | None:
        """The key; None for what must not be cached, which is told."""
        why: str | None
        if isinstance(known.reads, str):
            why = known.reads
        elif known.reads.moments and (unfit := known.reads.why_not(params)):
            why = unfit
        else:
            try:
                return self.key(kind, known.head, alias, params)
            except InvalidKey as error:
                why = str(error)
        self.cache.engine.tell("query_uncached", detail=why)
        return None

    def key(self, kind: str, head: str, alias: str, params: Any) -> str:
        """The key of what is made of a statement with these parameters. Raises `InvalidKey`."""
        head = f"{kind}:{head}"
        if self._scope is not None:
            head = f"{head}:{spell(self._scope(connections[alias]))}"
        return key_of(head, params)

    def _learn(self, alias: str, sql: str) -> Known:
        reads = self.databases.reads(alias, sql)
        known = Known(head_of(*self.databases.where(alias), sql), reads)
        if len(self._known) >= MAX_TEXTS:
            self._known.clear()
        self._known[alias, sql] = known
        return known

    def policy(self, rule: Rule) -> Policy:
        """The policy of the cache with what a rule changes."""
        found = self._policies.get(rule)
        if found is None:
            if len(self._policies) >= MAX_RULES:
                self._policies.clear()
            found = self._policies[rule] = rule.policy(self.cache.policy)
        return found


_attached: list[QueryCache] = []
"""At most one. A list, so that it can change without a `global`."""


def attached() -> QueryCache | None:
    """The query cache of this process, or None."""
    return _attached[0] if _attached else None
