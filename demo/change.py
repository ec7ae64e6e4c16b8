"""One flight changes, and back: which answers are loaded again, here and in a second cache?

Which answers *should* be is not taken from the cache: the database is asked everything before and
after, and the answers that differ are the ones. What must not be here: printing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from demo.asking import Answers, Desk, Process
from demo.data import Value
from demo.database import Row
from demo.questions import Question
from demo.results import Affected, Change, Check

PATIENCE = 1.0
"""Seconds that a second cache gets to hear of a write."""


def change(desk: Desk) -> tuple[Change, list[Check]]:
    """Write through one session and watch two caches; the flight ends as it began."""
    seen = _watched(desk)
    different = [q for q in desk.plan.questions if seen.before[q.key] != seen.after[q.key]]
    found = Change(
        asked=len(desk.plan.questions),
        reloaded=sorted(seen.loads.elements()),
        changed=sorted(question.key for question in different),
        affected=[
            _difference(q, seen.before[q.key], seen.after[q.key], by=seen.by[q.key])
            for q in different
        ],
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
    by: dict[str, list[str]]
    """For each question what of its answer's dependencies the write had moved."""


def _watched(desk: Desk) -> _Watched:
    questions = desk.plan.questions
    with desk.process() as here, desk.process() as elsewhere:
        before, entries = _warm(desk, here, elsewhere)
        with desk.changed(here, "arr_delay", "tailnum"):
            heard, after = _heard(desk, elsewhere, entries), desk.truth()
            by = {name: _moved(here, entry) for name, entry in entries.items()}
            with desk.counting() as loads:
                seen_here = here.answers(questions)
            with desk.counting() as loads_elsewhere:
                seen_elsewhere = elsewhere.answers(questions)
        _heard(desk, elsewhere, entries)
        restored = [here.answers(questions), elsewhere.answers(questions)]
    return _Watched(
        before=before,
        after=after,
        here=seen_here,
        elsewhere=seen_elsewhere,
        loads=loads,
        loads_elsewhere=loads_elsewhere,
        heard=heard,
        restored=restored,
        by=by,
    )


def _warm(desk: Desk, *processes: Process) -> tuple[Answers, dict[str, str]]:
    """All caches hold all answers: what the database says, and under which keys they are cached."""
    for process in processes:
        process.answers(desk.plan.questions)
    return desk.truth(), {q.key: processes[0].entry(q) for q in desk.plan.questions}


def _moved(process: Process, entry: str) -> list[str]:
    """What an entry depends on that is no longer as it was."""
    depends = process.cache.explain(entry).dependencies
    return [each.name for each in depends if each.holds != "same"]


def _afterwards(desk: Desk) -> list[Answers]:
    """What the database says when all is over, and a cache that was not there at the write."""
    with desk.process() as fresh:
        return [desk.truth(), fresh.answers(desk.plan.questions)]


def _heard(desk: Desk, process: Process, entries: dict[str, str]) -> float | None:
    """Seconds until the cache has dropped its answer about the flight's plane; None if it does not."""
    its_plane = f":{desk.plan.flight['tailnum']}"
    entry = next(entry for name, entry in entries.items() if name.endswith(its_plane))
    began = time.perf_counter()
    while process.cache.get(entry, None) is not None:
        if time.perf_counter() - began > PATIENCE:
            return None
        time.sleep(0.0002)
    return time.perf_counter() - began


def _difference(
    question: Question, before: list[Row], after: list[Row], *, by: list[str]
) -> Affected:
    """The first thing that differs: the number of rows, or else one value of one row."""
    what, old, new = _first(before, after)
    return Affected(key=question.key, title=question.title, what=what, before=old, after=new, by=by)


def _first(before: list[Row], after: list[Row]) -> tuple[str, Value, Value]:
    if len(before) != len(after):
        return "rows", len(before), len(after)
    for old, new in zip(before, after, strict=True):
        for name in old:
            if old[name] != new[name]:
                return name, old[name], new[name]
    return "nothing", None, None


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
