"""Crowds: many callers, few questions, a cold cache. Each question may reach the database once.

What must not be here: printing.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from demo.asking import Answers, Ask, Desk, Process
from demo.database import Row
from demo.questions import Question
from demo.results import Check, Crowd

THREADS, ROUNDS = 8, 5
CALLERS = 200


def threads(desk: Desk) -> tuple[Crowd, list[Check]]:
    """Threads that start together, each asking everything in an order of its own, several times."""
    orders = [_shuffled(desk.plan.questions, seed) for seed in range(THREADS)]
    together = threading.Barrier(THREADS)

    def one_thread(process: Process, questions: Sequence[Question]) -> list[Answers]:
        together.wait()
        return [process.answers(questions) for _ in range(ROUNDS)]

    with desk.process() as process, ThreadPoolExecutor(THREADS) as pool:
        process.cache.clear()
        with desk.counting() as loads:
            began = time.perf_counter()
            told = list(pool.map(one_thread, [process] * THREADS, orders))
            seconds = time.perf_counter() - began
    calls = {question.key: THREADS * ROUNDS for question in desk.plan.questions}
    crowd = Crowd(who=f"{THREADS} threads", calls=calls, loads=dict(loads), seconds=seconds)
    return crowd, _judged(desk, crowd, [answers for rounds in told for answers in rounds])


def coroutines(desk: Desk) -> tuple[Crowd, list[Check]]:
    """Asyncio callers, all at once, one question each; then a cache for threads asks the same.

    Where the database's driver has no side for asyncio, the callers ask in threads.
    """
    with desk.process() as process:
        process.cache.clear()
    questions = [desk.plan.questions[n % len(desk.plan.questions)] for n in range(CALLERS)]
    with desk.counting() as loads:
        told, seconds = asyncio.run(_gathered(desk, questions))
    calls = Counter(question.key for question in questions)
    crowd = Crowd(
        who=f"{CALLERS} coroutines", calls=dict(calls), loads=dict(loads), seconds=seconds
    )
    pairs = zip(questions, told, strict=True)
    checks = _judged(desk, crowd, [{question.key: rows} for question, rows in pairs])
    with desk.counting() as more, desk.process() as process:
        process.answers(desk.plan.questions)
    claim = "A cache for threads served what asyncio had cached, without a load"
    return crowd, [*checks, Check(claim=claim, holds=not more)]


async def _gathered(desk: Desk, questions: list[Question]) -> tuple[list[list[Row]], float]:
    async with desk.async_ask() as ask:
        if ask is not None:
            return await _together(ask, questions)
    with desk.process() as process:
        return await _together(lambda question: asyncio.to_thread(process.ask, question), questions)


async def _together(ask: Ask, questions: list[Question]) -> tuple[list[list[Row]], float]:
    began = time.perf_counter()
    told = await asyncio.gather(*map(ask, questions))
    return told, time.perf_counter() - began


def _judged(desk: Desk, crowd: Crowd, told: list[Answers]) -> list[Check]:
    truth = desk.truth()
    right = all(rows == truth[key] for answers in told for key, rows in answers.items())
    return [
        Check(
            claim=f"{crowd.who}: each question reached the database exactly once",
            holds=crowd.loads == dict.fromkeys(crowd.calls, 1),
        ),
        Check(claim=f"{crowd.who}: every caller was told what the database says", holds=right),
    ]


def _shuffled(questions: Sequence[Question], seed: int) -> list[Question]:
    order = list(questions)
    random.Random(seed).shuffle(order)
    return order
