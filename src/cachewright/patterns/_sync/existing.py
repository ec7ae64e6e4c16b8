# Generated from _async/existing.py by tools/unasync.py. Do not edit.
"""A filter of the rows that a source has: what it rules out is absent, and nobody is asked.

Rules kept here (tests/patterns/_sync/test_existing.py):
- a filter is believed only while every addition is known to have reached it: by the news of the bus, like an entry
  of L1; after a lost link, or where the log of additions has a gap, it is asked anew or built anew;
- a rebuild has no gap: the old filter serves until the new one has every row and every addition;
- a filter beyond `max_age` rules nothing out.

Rows that are inserted by others than the write doors are not found until the next rebuild. That is why this is off
unless asked for. What must not be here: how the filter is made (`bloom`), what is cached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cachewright._sync.cache import Cache
from cachewright._sync.flights import Flight
from cachewright.core.keys import OWN, as_key, own_key
from cachewright.core.policy import Seconds, fraction, seconds
from cachewright.core.tags import user_tag
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.patterns._sync.additions import Additions, Mark
from cachewright.patterns.bloom import Gathering, NameFilter, require
from cachewright.patterns.naming import checked_name, row_key

RECENT = 100_000
"""Additions of this process that are remembered for a rebuild that overlaps them."""


@dataclass(slots=True)
class _Built:
    """A filter, when it was begun, how far it has read the log, and a flight that any addition dooms."""

    names: NameFilter
    since: float
    mark: Mark | None
    watch: Flight


class Existing:
    """The rows of a source that can list its keys (`Enumerable`), for `ReadThrough(existing=...)`.

    `false_positives`: the share of absent rows that are looked up all the same. `max_age`: seconds from the begin
    of a build for which a filter is believed; a new one is built in the background from four fifths of it on.
    `grace`: the longest time in seconds from `add` to the commit of the row. `page`: keys for each statement of a build.
    Without a filter, before the first build and after `max_age`, nothing is ruled out.
    Raises `ConfigurationError` for a source without `keys` and where rbloom is missing.
    """

    def __init__(
        self,
        cache: Cache,
        source: Any,
        *,
        false_positives: float = 0.01,
        max_age: Seconds = 3600.0,
        grace: Seconds = 60.0,
        page: int = 10_000,
    ) -> None:
        if not hasattr(source, "keys"):
            raise ConfigurationError(
                f"source {source.name!r} cannot list its keys: a filter is built from keys()"
            )
        if not fraction("false_positives", false_positives):
            raise ConfigurationError("false_positives must be above 0, such as 0.01")
        require()
        self._engine = cache.engine
        self._source = source
        self._name = checked_name(source.name)
        self._false_positives = false_positives
        self._max_age = seconds("max_age", max_age, zero=False)
        self._grace = seconds("grace", grace)
        self._page = page
        self._place = own_key("existing", self._name)
        self._tag = user_tag((OWN, "existing", self._name))
        self._log = Additions(cache.engine, self._name, lasting=2 * self._max_age)
        self._built: _Built | None = None
        self._building = self._wanted = False
        self._recent: deque[tuple[float, str]] = deque(maxlen=RECENT)
        self._untold: list[str] = []
        self.builds = 0
        """How often a filter was built here."""
        cache.engine.on_leave.append(self._begin_anew)

    def _begin_anew(self) -> None:
        """What builds belongs to another process or loop."""
        self._building = self._wanted = False

    # ---------------------------------------------------------------- asking

    @property
    def bytes(self) -> int:
        """What the filter takes in memory; 0 before the first build."""
        return 0 if self._built is None else self._built.names.bytes

    @property
    def age(self) -> float | None:
        """Seconds since the build of the present filter began; None without one."""
        return None if self._built is None else self._engine.monotonic() - self._built.since

    def rules_out(self, identity: Any) -> bool:
        """Whether the source has no such row, as far as the doors know. False says nothing."""
        built, age = self._built, self.age
        if built is None or age is None or age >= self._max_age:
            self.rebuild_soon()
            return False
        if age >= 0.8 * self._max_age or built.names.is_full:
            self.rebuild_soon()
        name = self._spelled(identity)
        if name in built.names:
            return False
        if not self._is_current(built):
            return False
        return name not in built.names

    def _spelled(self, identity: Any) -> str:
        return as_key(row_key(self._name, identity))

    def _is_current(self, built: _Built) -> bool:
        """Whether all additions that can be known of are in the filter."""
        engine = self._engine
        if not built.watch.doomed and (engine.tags.linked or engine.target is None):
            return True
        return self._catch_up(built)

    def _catch_up(self, built: _Built) -> bool:
        """Read what was added; False, and the filter may be gone, where that cannot be known."""
        watch = self._watch()  # before the question: what is added later dooms it
        try:
            store = self._engine.open()
            if store is not None and built.mark is not None:
                read = self._log.since(store, built.mark)
                if read is None:
                    self._forget(built)
                    return False
                names, built.mark = read
                for name in names:
                    built.names.add(name)
        except RemoteError as error:
            self._engine.remote_failed("existing", error)
            self._engine.flights.close(watch)
            return False
        built.watch, old = watch, built.watch
        self._engine.flights.close(old)
        return True

    def _watch(self) -> Flight:
        return self._engine.flights.open(self._place, [self._tag])

    def _forget(self, built: _Built) -> None:
        if self._built is built:
            self._built = None
        self.rebuild_soon()

    # ---------------------------------------------------------------- adding

    def add(self, *keys: Any) -> None:
        """These rows are about to be inserted; call it before the commit. A roll-back costs a look-up later on.

        Never fails: what the server could not be told is told with the next addition or build.
        """
        names = [self._spelled(self._source.identity(key)) for key in keys]
        now = self._engine.monotonic()
        self._recent.extend((now, name) for name in names)
        if self._built is not None:
            self._add_all(self._built.names, names)
        self._untold += names
        self._tell()
        self._engine.invalidate([], [self._tag])

    def _tell(self) -> None:
        store = self._engine.open()
        names, self._untold = self._untold, []
        if store is None or not names:
            return
        try:
            self._log.append(store, names)
        except RemoteError as error:
            self._untold = [*names, *self._untold][-RECENT:]
            self._engine.stats.count("remote_errors")
            self._engine.tell("remote_error", detail="existing", error=error)

    # ---------------------------------------------------------------- building

    def rebuild_soon(self) -> None:
        """Build in the background, unless that is under way or failed a moment ago."""
        engine = self._engine
        if engine.backoff.waits(self._place, engine.monotonic()):
            return
        with engine.lock:
            if self._building or self._wanted:
                return
            self._wanted = True
        try:
            engine.background.start(self._rebuild_aside)
        except RuntimeError as error:  # no more threads: a later read tries again
            self._wanted = False
            engine.tell("refresh_failed", self._place, error=error)

    def _rebuild_aside(self) -> None:
        engine = self._engine
        try:
            self.rebuild()
        except Exception as error:  # noqa: BLE001 - the source may raise anything; the old filter serves on
            engine.backoff.failed(self._place, 1.0, engine.monotonic())
            engine.tell("refresh_failed", self._place, error=error)
        else:
            engine.backoff.succeeded(self._place)
        finally:
            self._wanted = False

    def rebuild(self) -> int:
        """Read all keys of the source into a new filter and put it in the place of the old; how many there were.

        Raises what the source raises; the old filter then stays. A build that is under way is left alone: 0.
        """
        with self._engine.lock:
            if self._building:
                return 0
            self._building = True
        try:
            return self._build()
        finally:
            self._building = False

    def _build(self) -> int:
        since = self._engine.monotonic()
        watch = self._watch()
        try:
            mark = self._begin()
            gathering = Gathering()
            for page in self._source.keys(page=self._page):
                gathering.update(map(self._spelled, page))
            count = len(gathering)
            names = gathering.filter(self._false_positives)
            mark = self._add_meanwhile(names, mark, since)
        except BaseException:
            self._engine.flights.close(watch)
            raise
        self._swap(_Built(names, since, mark, watch))
        return count

    def _begin(self) -> Mark | None:
        """An entry of our own in the log, before any key is read; None without a server. Raises `RemoteError`."""
        store = self._engine.open()
        self._tell()
        return None if store is None else self._log.append(store, [""])

    def _add_meanwhile(
        self, names: NameFilter, mark: Mark | None, since: float
    ) -> Mark | None:
        """What may have been committed behind the page that would have shown it."""
        store = self._engine.store
        if store is not None and mark is not None:
            read = self._log.since(store, mark, grace=self._grace)
            if read is None:
                raise RemoteError("the log of additions was lost while the filter was built")
            self._add_all(names, read[0])
            mark = read[1]
        self._add_all(names, [name for at, name in list(self._recent) if at >= since - self._grace])
        return mark

    @staticmethod
    def _add_all(names: NameFilter, more: Iterable[str]) -> None:
        for name in more:
            names.add(name)

    def _swap(self, built: _Built) -> None:
        old, self._built = self._built, built
        self.builds += 1
        # Added between our look at the recent ones and the swap: into the old filter, and not into this.
        self._add_all(built.names, [name for at, name in list(self._recent) if at >= built.since])
        if old is not None:
            self._engine.flights.close(old.watch)
