"""One flight changes, and back: which answers are loaded again, here and in a second cache?

Which answers *should* be is not taken from the tags: the database is asked everything before and
after, and the answers that differ are the ones. What must not be here: printing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from cachewright import Cache
from demo.asking import Answers, Desk
from demo.data import Value
from demo.database import Row
from demo.questions import Question
from demo.results import Affected, Change, Check

PATIENCE = 1.0
"""Seconds that a second cache gets to hear of a write."""


def change(desk: Desk) -> tuple[Change, list[Check]]:
    """Write through one cache and watch two of them; the flight ends as it began."""
    seen = _watched(desk)
    different = [q for q in desk.plan.questions if seen.before[q.key] != seen.after[q.key]]
    found = Change(
        tags=seen.tags,
        asked=len(desk.plan.questions),
        reloaded=sorted(seen.loads.elements()),
        changed=sorted(question.key for question in different),
        affected=[_difference(q, seen.before[q.key], seen.after[q.key]) for q in different],
        heard=seen.heard,
        loads_elsewhere=seen.loads_elsewhere.total(),
    )
    return found, _checks(found, seen, _afterwards(desk))


@dataclass(slots=True)
class _Watched:
    """What the database and both caches said around the write."""

    before: Answers
    after: Answers
    here: Answers
    elsewhere: Answers
    loads: Counter[str]
    loads_elsewhere: Counter[str]
    heard: float | None
    restored: list[Answers]
    tags: list[str]


def _watched(desk: Desk) -> _Watched:
    with desk.cache() as here, desk.cache() as elsewhere:
        before = _warm(desk, here, elsewhere)
        with desk.changed(here) as tags:
            heard, after = _heard(desk, elsewhere, before), desk.truth()
            with desk.counting() as loads:
                seen_here = desk.answers(here)
            with desk.counting() as loads_elsewhere:
                seen_elsewhere = desk.answers(elsewhere)
        _heard(desk, elsewhere, after)
        restored = [desk.answers(here), desk.answers(elsewhere)]
    return _Watched(
        before=before,
        after=after,
        here=seen_here,
        elsewhere=seen_elsewhere,
        loads=loads,
        loads_elsewhere=loads_elsewhere,
        heard=heard,
        restored=restored,
        tags=tags,
    )


def _warm(desk: Desk, *caches: Cache) -> Answers:
    """All caches hold all answers, which are returned as the database gives them."""
    for cache in caches:
        desk.answers(cache)
    return desk.truth()


def _afterwards(desk: Desk) -> list[Answers]:
    """What the database says when all is over, and a cache that was not there at the write."""
    with desk.cache() as fresh:
        return [desk.truth(), desk.answers(fresh)]


def _heard(desk: Desk, cache: Cache, outdated: Answers) -> float | None:
    """Seconds until the cache has dropped what it said of the flight's plane; None if it does not."""
    key = next(key for key in outdated if key.endswith(f":{desk.plan.flight['tailnum']}"))
    began = time.perf_counter()
    while cache.get(key) == outdated[key]:
        if time.perf_counter() - began > PATIENCE:
            return None
        time.sleep(0.0002)
    return time.perf_counter() - began


def _difference(question: Question, before: list[Row], after: list[Row]) -> Affected:
    """The first thing that differs: the number of rows, or else one value of one row."""
    if len(before) != len(after):
        return _affected(question, "rows", len(before), len(after))
    for old, new in zip(before, after, strict=True):
        for name in old:
            if old[name] != new[name]:
                return _affected(question, name, old[name], new[name])
    return _affected(question, "nothing", None, None)


def _affected(question: Question, what: str, *values: Value) -> Affected:
    before, after = values
    return Affected(key=question.key, title=question.title, what=what, before=before, after=after)


def _checks(found: Change, seen: _Watched, afterwards: list[Answers]) -> list[Check]:
    second = seen.heard is not None and not found.loads_elsewhere and seen.elsewhere == seen.after
    unchanged = all(answers == seen.before for answers in [*seen.restored, *afterwards])
    return [
        Check(
            claim="The answers that the write changed were loaded again, once each, and no others",
            holds=bool(found.changed) and found.reloaded == found.changed,
        ),
        Check(
            claim="After the write every cached answer is what the database says",
            holds=seen.here == seen.after,
        ),
        Check(
            claim="A second cache heard of it and says the same, without a load of its own",
            holds=second,
        ),
        Check(
            claim="The flight put back, three caches and the database say what they said at first",
            holds=unchanged,
        ),
    ]
