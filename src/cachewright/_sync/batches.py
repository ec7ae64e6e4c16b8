# Generated from _async/batches.py by tools/unasync.py. Do not edit.
"""Reads of many keys: one round trip for what the server has, one call of the loader for what it has not.

The rules are those of one read (`reading`). A key that another flight or process is loading is waited for, after our
own load: nobody waits while holding what another waits for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cachewright._sync.engine import Engine
from cachewright._sync.flights import Flight
from cachewright._sync.leases import Leases
from cachewright._sync.loading import Loader
from cachewright._sync.looking import Looker, Landing, Look
from cachewright._sync.reading import Reader, LeaderGone
from cachewright._sync.redis import RedisStore
from cachewright._sync.sending import Leased
from cachewright._waits import threads
from cachewright.core.entry import Entry, Stamps
from cachewright.core.loading import Load, collecting_load, enclosing_load, is_loading, mode_of
from cachewright.core.policy import as_float
from cachewright.core.reads import Read, Reads
from cachewright.core.storable import refuse_unstorable
from cachewright.core.tags import key_tag
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.redis.replies import Ask, Found
from cachewright.types import ABSENT, Key


class BatchLoad:
    """A user's loader of many keys, by the names that the engine knows them under."""

    def __init__(
        self,
        load_many: Callable[[list[Key]], Any],
        keys: Mapping[str, Key],
        name: Callable[[Key], str],
    ) -> None:
        self._load_many = load_many
        self._keys = keys
        self._name = name

    def many(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of those keys that there are. Raises what the loader raises."""
        asked = {self._keys[name]: name for name in names}
        given = list(asked)
        values = threads.call_load(self._load_many, (given,), None)
        if not isinstance(values, Mapping):
            raise ConfigurationError(
                f"load_many must return a mapping of keys to values, not {type(values).__name__}"
            )
        for value in values.values():
            refuse_unstorable(value)
        return {
            asked[key] if key in asked else self._name(key): value for key, value in values.items()
        }

    def one(self, name: str) -> Any:
        """The value of one key."""
        return (self.many([name])).get(name, ABSENT)


@dataclass(slots=True, eq=False)
class Led:
    """A missing key whose flight this batch leads."""

    read: Read
    flight: Flight


class Batches:
    """Batches for one cache."""

    def __init__(
        self,
        engine: Engine,
        *,
        looker: Looker,
        loader: Loader,
        reader: Reader,
        leases: Leases,
    ) -> None:
        self._engine = engine
        self._looker = looker
        self._loader = loader
        self._reader = reader
        self._leases = leases

    # ---------------------------------------------------------------- without a loader

    def find_many(
        self, reads: Sequence[Read], seen: dict[str, bytes] | None = None
    ) -> dict[str, Entry]:
        """The entries to serve, by key; nothing is loaded. `seen` gets the fill ids of those that are of no use."""
        outer = collecting_load(self._engine.domain)
        if enclosing_load() is not None:
            for read in reads:
                self._reader.inherit(read)
        if mode_of(self._engine) is not None:
            if outer is not None:
                outer.gather(None)
            return {}
        found = self._glean(reads, seen)
        self._engine.stats.count("misses", len(reads) - len(found))
        return found

    def _glean(
        self, reads: Sequence[Read], seen: dict[str, bytes] | None = None
    ) -> dict[str, Entry]:
        """What memory has, and what the server has of the rest."""
        outer = collecting_load(self._engine.domain)
        found = {}
        rest = []
        for read in reads:
            entry, _ = self._reader.hit_in_memory(read)
            if entry is None:
                rest.append(read)
            else:
                found[read.key] = entry
        store = self._engine.open()
        if store is not None and rest:
            found |= self._at_server(store, rest, {} if seen is None else seen)
        elif outer is not None:
            for read in rest:
                outer.gather(self._loader.local_stamps(read)[1])
        return found

    def _at_server(
        self, store: RedisStore, reads: Sequence[Read], seen: dict[str, bytes]
    ) -> dict[str, Entry]:
        engine, outer = self._engine, collecting_load(self._engine.domain)
        flights = engine.flights.open_many(reads)
        found = {}
        try:
            looks = self._look_many(store, reads, flights)
            for read, flight, look in zip(reads, flights, looks, strict=True):
                landing = self._looker.serve(read, flight, look)
                seen[read.key] = look.seen
                if landing is not None:
                    found[read.key] = self._reader.hit(read, landing)
                elif outer is not None:
                    outer.gather(look.absence)
        finally:
            engine.flights.close_many(flights)
        return found

    def _look_many(
        self, store: RedisStore, reads: Sequence[Read], flights: Sequence[Flight]
    ) -> list[Look]:
        parts = [self._looker.made_from(read) for read in reads]
        make = list(dict.fromkeys(tag for part in parts for tag in part))
        tags = list(dict.fromkeys(tag for read in reads for tag in read.tags))
        if not reads[0].verify:
            tags = self._engine.tags.unknown(tags)
        tags = [tag for tag in tags if tag not in make]
        try:
            sliding = reads[0].policy.sliding is not None
            slide = self._engine.server_time() if sliding else None
            names = [read.key for read in reads]
            glances = [read.glance for read in reads]
            if not (make or sliding) and all(
                glance is not None and glance.epoch == flight.epoch
                for glance, flight in zip(glances, flights, strict=True)
            ):
                # As in `Looker.look`: nothing was invalidated since they were taken.
                found = [Found(glance.data, {}, glance.node) for glance in glances if glance]
            else:
                found = store.read(names, tags, make=make, slide_at=slide)
            self._looker.ask_ahead(store, reads, found)
            looks = self._looker.judge_many(store, reads, flights, found, made=parts)
            if not sliding:
                self._looker.slide(
                    store, [n for n, it in zip(names, looks, strict=True) if it.sliding]
                )
            return looks
        except RemoteError as error:
            self._engine.remote_failed("read", error)
            return [Look(failed=True) for _ in reads]

    # ---------------------------------------------------------------- with a loader

    def values(
        self,
        reads: Mapping[Key, Read],
        load_many: Callable[[list[Key]], Any],
        *,
        name: Callable[[Key], str],
        default: Any,
    ) -> dict[Key, Any]:
        """The value of each read, by what the caller calls it; `default` for what is absent.

        `load_many` is asked in the caller's words. `name`: the key of a word that was not asked for.
        """
        once: dict[str, Read] = {}
        words: dict[str, Key] = {}
        for word, read in reads.items():
            once.setdefault(read.key, read)
            words.setdefault(read.key, word)
        found = self.get_or_load_many(
            list(once.values()), BatchLoad(load_many, words, name)
        )
        value = Reads.value
        return {word: value(found[read.key], default, read.policy) for word, read in reads.items()}

    def get_or_load_many(
        self, reads: Sequence[Read], load: BatchLoad
    ) -> dict[str, Entry]:
        """The entry of every key. `load` is called once with the keys that nobody has or is loading.

        A key that it does not bring is absent. What it raises reaches the caller, and nothing is stored.
        """
        for read in reads:
            read.load, read.args = load.one, (read.key,)
        domain = self._engine.domain
        alone = mode_of(self._engine) is not None
        within = enclosing_load() is not None
        if alone or (within and any(is_loading(read.key, domain) for read in reads)):
            return {read.key: self._reader.get_or_load(read) for read in reads}
        seen: dict[str, bytes] = {}
        found = self.find_many(reads, seen)
        epoch = self._engine.tags.epoch
        led: list[Led] = []
        joined: list[Led] = []
        for read in reads:
            if read.key not in found:
                flight, leads = self._engine.flights.join(
                    read.key, read.tags, alone=read.verify, nested=within
                )
                flight.limit = flight.limit or read.policy.timeouts.load
                (led if leads else joined).append(Led(read, flight))
        leading = {one.read.key for one in led}
        if led:
            threads.carry(self._lead, led, load, seen)
        rest: list[Read] = []
        for one in (*led, *joined):
            outcome = one.flight.outcome
            mine = one.flight.key in leading
            if mine and outcome.done and outcome.error is None and not within:
                entry: Entry | None = self._reader.hit(one.read, outcome.value)
            else:
                entry = self._arrived(one, None if mine else epoch)
            if entry is None:
                rest.append(one.read)
            else:
                found[one.read.key] = entry
        return found | self._from_elsewhere(rest)

    def _arrived(self, one: Led, joined_at: int | None) -> Entry | None:
        """The entry that a flight brought; None where it brought none, or none that is good for us as well."""
        try:
            landing = self._reader.arrival(one.read, one.flight)
        except LeaderGone:
            return None
        if joined_at is None or self._reader.may_share(one.flight, landing, joined_at):
            return self._reader.hit(one.read, landing)
        return None

    def _from_elsewhere(self, reads: Sequence[Read]) -> dict[str, Entry]:
        """What others have loaded or are loading. Who holds the first of them has most likely the others as well."""
        found: dict[str, Entry] = {}
        rest = list(reads)
        while rest:
            if len(rest) > 1:
                found |= self._glean(rest)
                rest = [read for read in rest if read.key not in found]
            if rest:
                first = rest.pop(0)
                found[first.key] = self._reader.get_or_load(first)
        return found

    def _lead(
        self, led: Sequence[Led], load: BatchLoad, seen: Mapping[str, bytes]
    ) -> None:
        try:
            self._fly(led, load, seen)
        except Exception as error:  # the loader's own: it reaches every caller as it is
            for one in led:
                one.flight.outcome.fail(error)
        finally:
            for one in led:
                if not one.flight.outcome.done:
                    one.flight.outcome.fail(LeaderGone())
            self._engine.flights.close_many([one.flight for one in led])

    def _fly(
        self, led: Sequence[Led], load: BatchLoad, seen: Mapping[str, bytes]
    ) -> None:
        store = self._engine.store
        if store is None:
            self._load_locally(led, load)
            return
        try:
            leased, loose = self._acquire(store, led, seen)
        except RemoteError as error:
            self._engine.remote_failed("acquire", error)
            leased, loose = [], list(led)
        if leased or loose:
            self._load_remotely(store, leased, loose, load)

    def _load_remotely(
        self,
        store: RedisStore,
        leased: Sequence[Leased],
        loose: Sequence[Led],
        load: BatchLoad,
    ) -> None:
        asks = [item.ask for item in leased]
        reads = [*(item.read for item in leased), *(one.read for one in loose)]
        flights = [item.flight for item in leased] + [one.flight for one in loose]
        made = self._loader.new_load(*reads)
        with self._leases.around_load(store, asks, reads[0].policy):
            values, cost = self._call(reads, load, made, flights)
            mine = [values.get(item.read.key, ABSENT) for item in leased]
            landings = self._loader.keep(store, leased, made, values=mine, cost=cost)
        for item, landing in zip(leased, landings, strict=True):
            item.flight.outcome.succeed(landing)
        for one in loose:
            entry = self._loader.unkept(one.read, values.get(one.read.key, ABSENT), cost)
            one.flight.outcome.succeed(Landing(entry, None, loaded=True))

    def _acquire(
        self, store: RedisStore, led: Sequence[Led], seen: Mapping[str, bytes]
    ) -> tuple[list[Leased], list[Led]]:
        """(keys to load under a lease, keys to load without). A key held elsewhere is in neither: it is waited for."""
        own = collecting_load(self._engine.domain) is not None
        # One for all of them: a lease says by its name what it is for.
        token = secrets.token_hex(12)
        asks = [
            Ask(
                key=one.read.key,
                tags=[*one.read.tags, key_tag(one.read.key)] if own else one.read.tags,
                seen=seen.get(one.read.key, b""),
                token=token,
            )
            for one in led
        ]
        leased, loose, torn = [], [], []
        acquired = store.acquire(asks, as_float(led[0].read.policy.lease), wait=False)
        known: Stamps = {}
        for one, ask, got in zip(led, asks, acquired, strict=True):
            if got.outcome in ("lease", "held") and None in got.stamps.values():
                # A write to a tag is under way: nothing can be stored, so nobody need wait for us.
                if got.outcome == "lease":
                    torn.append(ask)
                loose.append(one)
            elif got.outcome == "lease":
                known.update(got.concrete)
                leased.append(Leased(one.read, one.flight, ask, got))
            elif got.outcome == "marked":
                loose.append(one)
        # The youngest of the flights began before this was asked as well.
        self._engine.tags.learn(max(one.flight.epoch for one in led), known)
        if torn:
            self._leases.give_back(store, torn)
        return leased, loose

    def _call(
        self,
        reads: Sequence[Read],
        load: BatchLoad,
        made: Load,
        flights: Sequence[Flight],
    ) -> tuple[Mapping[str, Any], float]:
        read = replace(reads[0], load=load.many, args=([read.key for read in reads],))
        return self._loader.call(read, made, flights)

    def _load_locally(self, led: Sequence[Led], load: BatchLoad) -> None:
        before = [self._loader.local_stamps(one.read) for one in led]
        made = self._loader.new_load(*(one.read for one in led))
        flights = [one.flight for one in led]
        values, cost = self._call([one.read for one in led], load, made, flights)
        for one, stamps in zip(led, before, strict=True):
            value = values.get(one.read.key, ABSENT)
            landing = self._loader.keep_locally(
                one.read, one.flight, made, before=stamps, value=value, cost=cost
            )
            one.flight.outcome.succeed(landing)
