# Rows that are asked for do not expire.
"""Refresh-ahead: rows that are read often are loaded anew before they expire, so that nobody waits for them.

Two ways: a hit late in a row's life refreshes it in the background, and rounds refresh what is in use, read or not.
Both load under the key's lease, so one refresh runs in the fleet, and a row that was deleted is not brought back.

What must not be here: when an entry is due (`core.decision`), how a refresh flies (`_async.refreshing`, `renewing`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from cachewright._async.cache import AsyncCache
from cachewright._async.leading import AsyncLeader
from cachewright._async.pacing import AsyncPace, clock_reaches
from cachewright.core.policy import Policy, Seconds, as_float, seconds
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.memory.frequency import FrequencySketch
from cachewright.patterns._async.in_use import AsyncKeysInUse
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.patterns._async.renewing import AsyncRenewals
from cachewright.patterns.naming import checked_name, row_key, row_tags, table_of
from cachewright.patterns.outcomes import Refreshed
from cachewright.patterns.sources import AsyncSource
from cachewright.types import MISSING

_NOTHING = object()
_SPREADS = 8


class AsyncRefreshAhead:
    """Rows of one source, refreshed before they expire.

    `ahead`: the share of a row's own TTL after which a hit refreshes it. `beta`: XFetch's eagerness, which refreshes
    dear rows earlier; 0 switches it off. `hot`: how often a row must be hit in its present life, in this process, for a
    hit to refresh it; 1 for every row. `most`: how many keys in use the fleet remembers for `refresh_in_use`.
    `policy`: everything else; `retry_after` is the pause after a failed refresh, doubling to ten times itself and
    longer by up to a half at random, so that processes and keys do not try again together.
    At most `max_refreshes` (16) of a cache, which is an option of it, run at once; beyond that a hit is served without one.
    """

    def __init__(
        self,
        cache: AsyncCache,
        source: AsyncSource[Any],
        *,
        policy: Policy | None = None,
        ahead: float = 0.8,
        beta: float = 1.0,
        hot: int = 2,
        most: int = 10_000,
    ) -> None:
        if not 1 <= hot <= 255:
            raise ConfigurationError(f"hot must be from 1 to 255 hits, not {hot!r}")
        chosen = (policy or cache.policy).but(refresh_ahead=ahead, beta=beta)
        first = as_float(chosen.retry_after)
        self._policies = [
            chosen.but(retry_after=first * (1 + share / (2 * _SPREADS)))
            for share in range(_SPREADS)
        ]
        self.cache = cache
        self.source = source
        self.policy = chosen
        self._rows = AsyncReadThrough(cache, source, policy=chosen)
        self._name = checked_name(source.name)
        self._table = table_of(source)
        self._hot = hot
        self._sketch = FrequencySketch(65_536)
        self._in_use = AsyncKeysInUse(cache.engine, self._name, most=most)
        self._renewals = AsyncRenewals(cache)
        self._scheduled = False
        cache.engine.on_leave.append(self._begin_anew)

    # ---------------------------------------------------------------- reading

    async def get(self, key: Any, default: Any = MISSING) -> Any:
        """The row, or `default` where the source has none. Raises what the source raises, if it had to be asked."""
        identity = self.source.identity(key)
        name = row_key(self._name, identity)
        # Without a loader a hit starts no refresh.
        hot = self._is_hot(name)
        value = _NOTHING if hot else await self.cache.get(name, _NOTHING)
        if value is _NOTHING:
            value = await self.cache.get_or_load(
                name,
                partial(self.source.load, identity),
                tags=row_tags(self._table, identity),
                default=_NOTHING,
                policy=self._policy_of(name),
            )
        if value is _NOTHING:
            return default
        self._in_use.note(identity)
        return value

    async def get_many(self, keys: Iterable[Any], default: Any = MISSING) -> dict[Any, Any]:
        """The rows by key as given, as `ReadThrough.get_many` gives them; hits that are due refresh hot rows."""
        wanted = {key: self.source.identity(key) for key in keys}
        names = {identity: row_key(self._name, identity) for identity in wanted.values()}
        cold = [name for name in names.values() if not self._is_hot(name)]
        cached = await self.cache.get_many(cold) if cold else {}
        found = {it: cached[name] for it, name in names.items() if name in cached}
        rest = [it for it in names if it not in found]
        found |= await self._rows.get_many(rest) if rest else {}
        for identity in found:
            self._in_use.note(identity)
        rows = {key: found.get(identity, default) for key, identity in wanted.items()}
        return {key: row for key, row in rows.items() if row is not MISSING}

    async def invalidate(self, *keys: Any) -> None:
        """Forget rows, and all that was made from them, in every process."""
        await self._rows.invalidate(*keys)

    def _is_hot(self, name: tuple[Any, ...]) -> bool:
        """Count a use; whether there were so many in the row's present life that a hit may refresh it."""
        if self._hot == 1:
            return True
        spelled = self.cache.reads.name(name)
        entry = self.cache.engine.memory.table.get(spelled)
        # A life is told from the next by its end, so that the sketch counts each on its own.
        life = "" if entry is None else repr(entry.fresh_until)
        return self._sketch.add(f"{spelled} {life}") >= self._hot

    def _policy_of(self, name: tuple[Any, ...]) -> Policy:
        return self._policies[hash((os.getpid(), name)) % _SPREADS]

    # ---------------------------------------------------------------- rounds

    async def refresh_in_use(
        self, within: Seconds = 60.0, *, batch: int = 500, per_second: float | None = None
    ) -> Refreshed:
        """Load anew, by one process of the fleet, all rows that anybody asked for within so many seconds.

        `batch`: rows for each `load_many`. `per_second`: rows at most, on the average. Rows that are gone from the
        source become negative entries and are not in use any more. Raises nothing of the source: those rows `failed`.
        """
        async with self._leader(10.0) as leader:
            return await self._round(seconds("within", within), batch, per_second, leader=leader)

    def _leader(self, lease: float, *, keep: bool = False) -> AsyncLeader:
        return AsyncLeader(self.cache, "refresh", self._name, lease=lease, keep=keep)

    async def _round(
        self, within: float, batch: int, per_second: float | None, *, leader: AsyncLeader
    ) -> Refreshed:
        try:
            if not leader.leads:
                await self._in_use.tell()
                return Refreshed(led=False)
            identities = await self._in_use.latest(within)
        except RemoteError as error:
            self.cache.engine.remote_failed("keys in use", error)
            return Refreshed(led=leader.leads)
        return await self._renew_all(identities, batch, per_second)

    async def _renew_all(
        self, identities: list[Any], batch: int, per_second: float | None
    ) -> Refreshed:
        asked: dict[Any, Any] = {row_key(self._name, it): it for it in identities}
        names, pace = list(asked), AsyncPace(self.cache.engine, per_second)
        size = batch if per_second is None else max(1, min(batch, int(per_second)))
        loaded = absent = failed = 0
        for start in range(0, len(names), size):
            if not await pace.ready():
                break
            got = await self._renewals.renew(
                names[start : start + size],
                partial(self._load_rows, asked),
                tags=lambda name: row_tags(self._table, asked[name]),
                policy=self._policies[0],
            )
            pace.spent(len(got.loaded) + len(got.failed))
            await self._forget([asked[name] for name in got.absent])
            loaded, absent = loaded + len(got.loaded), absent + len(got.absent)
            failed += len(got.failed)
        return Refreshed(in_use=len(names), loaded=loaded, absent=absent, failed=failed)

    async def _load_rows(self, asked: Mapping[Any, Any], keys: list[Any]) -> dict[Any, Any]:
        """The source's rows by cache key. `asked`: identity by cache key."""
        rows = await self.source.load_many([asked[key] for key in keys])
        # A source that spells its keys as the database does must not make rows look absent.
        return {row_key(self._name, self.source.identity(key)): row for key, row in rows.items()}

    async def _forget(self, identities: list[Any]) -> None:
        try:
            await self._in_use.drop(identities)
        except RemoteError as error:  # they are refreshed once more
            self.cache.engine.remote_failed("keys in use", error)

    # ---------------------------------------------------------------- schedule

    async def schedule(
        self,
        every: Seconds = 30.0,
        *,
        within: Seconds | None = None,
        batch: int = 500,
        per_second: float | None = None,
    ) -> None:
        """Begin rounds of `refresh_in_use` in the background, until the cache is closed.

        `every`: seconds between two rounds of the fleet: whoever led one leads the next, and another takes over when it
        is silent for one and a half of that. Choose it below the TTL. `within`: three rounds unless given.
        A second call changes nothing. Call it in each process that serves, after a fork again.
        """
        interval = seconds("every", every, zero=False)
        lately = 3 * interval if within is None else seconds("within", within, zero=False)
        AsyncPace(self.cache.engine, per_second)  # refuses nonsense here, and not in the background
        if not self._scheduled:
            self._scheduled = True
            await self.cache.engine.open()
            first = self.cache.engine.monotonic() + interval
            rounds = partial(self._round, lately, batch, per_second)
            self.cache.engine.background.start(self._rounds, first, interval, rounds)

    async def _rounds(self, due: float, every: float, one_round: Callable[..., Any]) -> None:
        engine = self.cache.engine
        leader = self._leader(1.5 * every, keep=True)
        while await clock_reaches(engine, due):
            due = max(due + every, engine.monotonic())
            try:
                async with leader:
                    await one_round(leader=leader)
            except Exception as error:  # noqa: BLE001 - the next round must come, whatever a source raised
                engine.tell("refresh_failed", detail=f"keys in use of {self._name}", error=error)
        if leader.leads:
            await leader.give_up()

    def _begin_anew(self) -> None:
        self._scheduled = False
