"""One flight is delayed: which queries, objects, fragments and pages fall, here and in a second cache?

What *should* fall is not taken from the cache: the same pages are made after the write in a cache that was empty, and each
entry there is compared with the one that was there before it. What must not be here: printing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from demo import pages as its
from demo.asking import Desk, Process
from demo.entries import LAYERS, Entries, entries
from demo.pages import Page, Site
from demo.results import Check, Fallen, Layer

PATIENCE = 1.0
"""Seconds that a second cache gets to hear of a write."""


def pages(desk: Desk) -> tuple[Fallen, list[Check]]:
    """Delay the plan's flight, and watch two caches; the flight ends as it began."""
    wanted = its.wanted(desk)
    with desk.process() as here, desk.process() as elsewhere:
        site, other = its.cached(here), its.cached(elsewhere)
        before = _before(desk, here, site, wanted=wanted)
        other.all(wanted)
        with desk.changed(here, "arr_delay"):
            after = _after(desk, (here, site), (elsewhere, other), before)
        restored = [site.all(wanted), its.uncached(desk).all(wanted)]
    found = _told(before, after)
    return found, _checks(found, after, restored=restored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """Before the write: the entries and what they hold, and how long it took to make and to read them."""

    wanted: list[Page]
    entries: Entries
    values: Mapping[Any, Any]
    cold: float
    warm: float
    loads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _After:
    """After the write: what fell in both caches, what an empty cache makes now, and what pages say everywhere."""

    here: set[str]
    elsewhere: set[str]
    heard: float | None
    values: Mapping[Any, Any]
    uncached: dict[str, str]
    rendered: list[dict[str, str]]
    took_uncached: float
    again: float
    loads: int


def _before(desk: Desk, process: Process, site: Site, *, wanted: list[Page]) -> _Before:
    process.cache.clear()
    with desk.counting() as loads:
        cold, _ = _timed(site, wanted)
    warm, _ = _timed(site, wanted)
    known = entries(process, site, wanted)
    return _Before(
        wanted=wanted,
        entries=known,
        values=process.cache.get_many(known),
        cold=cold,
        warm=warm,
        loads=loads.total(),
    )


def _after(
    desk: Desk, here: tuple[Process, Site], elsewhere: tuple[Process, Site], before: _Before
) -> _After:
    began = time.perf_counter()
    gone = _gone(here[0], before.entries)
    gone_elsewhere = _gone_at_last(elsewhere[0], before.entries, gone)
    heard = time.perf_counter() - began
    with desk.process("empty") as empty:
        its.cached(empty).all(before.wanted)
        values = empty.cache.get_many(before.entries)
    took_uncached, uncached = _timed(its.uncached(desk), before.wanted)
    with desk.counting() as loads:
        again, rendered = _timed(here[1], before.wanted)
    return _After(
        here=gone,
        elsewhere=gone_elsewhere,
        heard=heard if gone_elsewhere >= gone else None,
        values=values,
        uncached=uncached,
        rendered=[rendered, elsewhere[1].all(before.wanted)],
        took_uncached=took_uncached,
        again=again,
        loads=loads.total(),
    )


def _gone(process: Process, keys: Collection[str]) -> set[str]:
    """The entries that the cache does not serve any more."""
    return set(keys) - set(process.cache.get_many(keys))


def _gone_at_last(process: Process, keys: Collection[str], as_there: set[str]) -> set[str]:
    """The same of a cache that has to hear of it first."""
    until = time.perf_counter() + PATIENCE
    gone = _gone(process, keys)
    while not gone >= as_there and time.perf_counter() < until:
        time.sleep(0.0002)
        gone = _gone(process, keys)
    return gone


def _timed(site: Site, wanted: list[Page]) -> tuple[float, dict[str, str]]:
    began = time.perf_counter()
    rendered = site.all(wanted)
    return time.perf_counter() - began, rendered


# -------------------------------------------------------------------- what is told


def _told(before: _Before, after: _After) -> Fallen:
    different = {key for key in before.entries if before.values[key] != after.values.get(key)}
    return Fallen(
        pages=[page.title for page in before.wanted],
        layers=[_layer(name, before.entries, after.here, different) for name in LAYERS],
        uncached=after.took_uncached,
        cold=before.cold,
        warm=before.warm,
        again=after.again,
        loads_cold=before.loads,
        loads=after.loads,
        heard=after.heard,
    )


def _layer(name: str, known: Entries, fell: set[str], different: set[str]) -> Layer:
    own = {key: entry.name for key, entry in known.items() if entry.layer == name}

    def named(keys: Iterable[str]) -> list[str]:
        return sorted(own[key] for key in keys if key in own)

    return Layer(
        name=name,
        entries=len(own),
        fell=named(fell),
        same=named(fell - different),
        missed=named(different - fell),
    )


def _checks(found: Fallen, after: _After, *, restored: list[dict[str, str]]) -> list[Check]:
    changed = all(len(layer.fell) > len(layer.same) for layer in found.layers)
    stayed = all(len(layer.fell) < layer.entries for layer in found.layers)
    return [
        Check(
            claim="One flight late: in both caches every page is what it is without a cache",
            holds=all(rendered == after.uncached for rendered in after.rendered),
        ),
        Check(
            claim="Each query, object, fragment and page that is another now fell; what stayed is right",
            holds=not any(layer.missed for layer in found.layers),
        ),
        Check(
            claim="In a second cache exactly the same entries fell",
            holds=after.heard is not None and after.elsewhere == after.here,
        ),
        Check(
            claim="In each layer something changed and something stayed",
            holds=changed and stayed,
        ),
        Check(
            claim="The flight on time again, every page is what it is without a cache",
            holds=restored[0] == restored[1],
        ),
    ]
