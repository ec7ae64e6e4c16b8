# Generated from _async/warming.py by tools/unasync.py. Do not edit.
"""Warming: fills a cache before it is asked, without harm: adds only, in batches, at a bounded rate, by one process.

Rules kept here (tests/patterns/_sync/test_warming.py):
- nothing is overwritten or revived: a page of keys is a batch read, so only what is missing is loaded, under leases;
- TTLs are jittered, so that what was warmed together does not expire together;
- one process of the fleet does it; a run that was broken off goes on behind its last finished batch.

What must not be here: which keys are worth it, and progress bars.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from cachewright._sync.leading import Leader
from cachewright._sync.pacing import Pace
from cachewright.core.keys import OWN
from cachewright.core.policy import Policy, Ttl
from cachewright.core.reads import Tags
from cachewright.core.warmed import Warmed
from cachewright.errors import ConfigurationError

if TYPE_CHECKING:
    from cachewright._sync.cache import Cache

Progress = Callable[[Warmed], object]
_DAY = 86_400.0
_NOWHERE: dict[str, Any] = {"keys": 0, "after": None}


class _Counting:
    """A loader of many that counts what it was asked for and what it brought."""

    def __init__(self, load_many: Callable[[list[Any]], Any]) -> None:
        self._load_many = load_many
        self.asked = self.brought = 0

    def load(self, keys: list[Any]) -> Any:
        self.asked += len(keys)
        values = self._load_many(keys)
        if inspect.isawaitable(values):
            values = values
        self.brought += len(values)
        return values


class Warmer:
    """Warms one cache. What is left out of `warm` is the cache's own policy.

    `batch`: keys for each call of the loader. `per_second`: keys that are loaded at most, on the average.
    `jitter`: the share by which TTLs are shortened at random. `progress`: called after each batch.
    `resume`: a name under which the position is kept for a day, so that a run that was broken off goes on there;
    the keys must come in the same order. `job`: what only one process does at a time; `resume` or the loader's own
    name unless given.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        batch: int = 500,
        per_second: float | None = None,
        jitter: float = 0.1,
        progress: Progress | None = None,
        resume: str | None = None,
        job: str | None = None,
    ) -> None:
        if type(batch) is not int or batch < 1:
            raise ConfigurationError(f"batch must be an int of 1 or more, not {batch!r}")
        self._cache = cache
        self._pace = Pace(cache.engine, per_second)
        self._size = batch if per_second is None else max(1, min(batch, int(per_second)))
        self._policy: Policy = cache.policy.but(jitter=jitter)
        self._progress = progress
        self._resume = resume
        self._job = job

    def warm(
        self,
        keys: Any,
        load_many: Callable[[list[Any]], Any],
        *,
        ttl: Ttl | None = None,
        tags: Tags | Callable[[Any], Tags] = (),
    ) -> Warmed:
        """Load and cache what is missing of `keys`: an iterable, also an asynchronous one, or a function that gives one.

        `load_many` gets a list of keys and returns a mapping, as for `get_or_load_many`; what it raises ends the run and
        reaches the caller. Another process at the same job, or a server that does not answer: `led` is False.
        """

        def pages(position: dict[str, Any]) -> Iterator[list[Any]]:
            return _pages(keys, self._size, skip=position["keys"])

        job = self._job or self._resume or f"{load_many.__module__}:{load_many.__qualname__}"
        read = partial(
            self._cache.get_or_load_many, tags=tags, ttl=ttl, default=None, policy=self._policy
        )
        return self._led(job, pages, load_many, read=read)

    # ---------------------------------------------------------------- a run

    def _led(
        self,
        job: str,
        pages: Callable[[dict[str, Any]], Any],
        load_many: Callable[[list[Any]], Any],
        *,
        read: Callable[..., Any],
    ) -> Warmed:
        with Leader(self._cache, "warm", job) as leader:
            if not leader.leads:
                return Warmed(led=False)
            return self._run(pages, _Counting(load_many), read)

    def _run(
        self,
        pages: Callable[[dict[str, Any]], Any],
        load: _Counting,
        read: Callable[..., Any],
    ) -> Warmed:
        position = self._position()
        warmed = Warmed(skipped=position["keys"])
        for page in pages(position):
            if not self._pace.ready() or self._cache.engine.link == "lost":
                return warmed  # what would be loaded now could not be kept
            asked, brought = load.asked, load.brought
            read(list(page), load.load)
            asked, brought = load.asked - asked, load.brought - brought
            self._pace.spent(asked)
            warmed = replace(
                warmed,
                loaded=warmed.loaded + asked,
                absent=warmed.absent + asked - brought,
                present=warmed.present + len(page) - asked,
                batches=warmed.batches + 1,
            )
            self._finished_batch(warmed, page[-1])
        warmed = replace(warmed, finished=True)
        if self._resume is not None:
            self._cache.invalidate(self._place)
        return warmed

    @property
    def _place(self) -> tuple[str, ...]:
        return (OWN, "warmed", str(self._resume))

    def _position(self) -> dict[str, Any]:
        """Behind which key an earlier run was broken off, as the server has it: another process may have gone on.

        `clear()` forgets it with the values.
        """
        if self._resume is None:
            return _NOWHERE
        found: dict[str, Any] = self._cache.get(self._place, _NOWHERE, verify=True)
        return found

    def _finished_batch(self, warmed: Warmed, last: Any) -> None:
        if self._resume is not None:
            self._cache.set(self._place, {"keys": warmed.keys, "after": last}, ttl=_DAY)
        if self._progress is not None:
            self._progress(warmed)


class Warmable:
    """What `Cache` has of it."""

    def warm(
        self,
        keys: Any,
        load_many: Callable[[list[Any]], Any],
        *,
        ttl: Ttl | None = None,
        tags: Tags | Callable[[Any], Tags] = (),
        **options: Any,
    ) -> Warmed:
        """Load and cache what is missing of `keys`, in batches, at a bounded rate, by one process of the fleet.

        `keys`: an iterable, also an asynchronous one, or a function that gives one. `load_many` gets a list of keys and
        returns a mapping. Nothing that is cached is overwritten. `options`: those of `Warmer`.
        """
        warmer = Warmer(cast("Cache", self), **options)
        return warmer.warm(keys, load_many, ttl=ttl, tags=tags)


def _pages(keys: Any, size: int, *, skip: int) -> Iterator[list[Any]]:
    """The keys, `size` at a time, without the first `skip`."""
    if callable(keys):
        keys = keys()
    if inspect.isawaitable(keys):
        keys = keys
    page: list[Any] = []
    for key in _each(keys):
        if skip > 0:
            skip -= 1
            continue
        page.append(key)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def _each(keys: Any) -> Iterator[Any]:
    if isinstance(keys, Iterable):
        for key in keys:
            yield key
    else:
        for key in keys:
            yield key
