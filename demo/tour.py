"""The tour: crowds on a cold cache, how fast answers are, what one changed flight does to answers and to pages, and the
patterns compared.

What must not be here: printing.
"""

from __future__ import annotations

import time
from statistics import median

from demo import crowds, falling, patterns
from demo.asking import Desk, Process
from demo.change import change
from demo.questions import Question
from demo.results import Check, Findings, Timing

REPEATS, BATCH = 5, 200


def tour(desk: Desk) -> Findings:
    """All steps, in the order in which they are told."""
    threads, of_threads = crowds.threads(desk)
    coroutines, of_coroutines = crowds.coroutines(desk)
    times, of_times = timings(desk)
    changed, of_change = change(desk)
    pages, of_pages = falling.pages(desk)
    matrix, of_patterns = patterns.matrix(desk.database.url)
    return Findings(
        crowds=[threads, coroutines],
        timings=times,
        change=changed,
        pages=pages,
        patterns=matrix,
        checks=[*of_threads, *of_coroutines, *of_times, *of_change, *of_pages, *of_patterns],
    )


def timings(desk: Desk) -> tuple[list[Timing], list[Check]]:
    """How long each question takes, wherever its answer comes from."""
    with desk.process() as process:
        cold = [_timed(desk, process, forget=True) for _ in range(REPEATS)]
        with desk.counting() as loads:
            l2 = [_first_time(desk) for _ in range(REPEATS)]
            l1 = [_timed(desk, process, batch=BATCH) for _ in range(REPEATS)]
            bare = {q.key: _bare(process, q) for q in desk.plan.questions}
    found = [
        Timing(
            key=question.key,
            title=question.title,
            rows=len(desk.straight(question)),
            database=median(_straight(desk, question) for _ in range(REPEATS)),
            cold=median(times[question.key] for times in cold),
            l2=median(times[question.key] for times in l2),
            l1=median(times[question.key] for times in l1),
            bare=bare[question.key],
        )
        for question in desk.plan.questions
    ]
    return found, [Check(claim="No warm read reached the database", holds=not loads)]


def _timed(
    desk: Desk, process: Process, *, forget: bool = False, batch: int = 1
) -> dict[str, float]:
    """Seconds for each question, all rows fetched; with `forget` its answer is not in the cache at first."""
    times = {}
    if forget:
        process.cache.clear()
    for question in desk.plan.questions:
        began = time.perf_counter()
        for _ in range(batch):
            with process.sessions() as session:
                process.execute(session, question).all()
        times[question.key] = (time.perf_counter() - began) / batch
    return times


def _bare(process: Process, question: Question) -> float:
    """Seconds for the answer by its key, without a session around it."""
    entry, get = process.entry(question), process.cache.get
    began = time.perf_counter()
    for _ in range(BATCH):
        get(entry)
    return (time.perf_counter() - began) / BATCH


def _first_time(desk: Desk) -> dict[str, float]:
    with desk.process() as process:
        return _timed(desk, process)


def _straight(desk: Desk, question: Question) -> float:
    began = time.perf_counter()
    desk.straight(question)
    return time.perf_counter() - began
