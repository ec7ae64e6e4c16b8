"""The loops that time: they call what they are to call, as often as they say."""

from __future__ import annotations

from collections import Counter

from benchmarks.stage import Stage
from benchmarks.timing import Loop, together

KEYS = ["a", "b", "c"]


def test_a_loop_calls_the_statement_for_each_key_in_blocks() -> None:
    seen: Counter[str] = Counter()
    ticks = iter([0, 3_000, 10_000, 14_000])

    def ask(key: str) -> None:
        seen[key] += 1

    loop = Loop("ask(key)", KEYS, clock=lambda: next(ticks), seconds=1, block=2, ask=ask)
    assert loop.run(1) == [3_000, 4_000]  # "a" and "b", then "c"
    assert seen == {"a": 1, "b": 1, "c": 1}


class Work:
    """Calls that take 50 ns each, but for one that was interrupted, on a clock of their own."""

    def __init__(self, interrupted: int = -1) -> None:
        self.now = 0
        self._left = interrupted

    def __call__(self, _key: str) -> None:
        self._left -= 1
        self.now += 1_000_000 if self._left == 0 else 50


def test_a_sample_is_nanoseconds_an_operation() -> None:
    work = Work()
    loop = Loop("ask(key)", KEYS, clock=lambda: work.now, seconds=1e-6, ask=work)
    assert loop() == 50.0


def test_an_interruption_spoils_a_block_and_not_the_sample() -> None:
    # The 15th call is in the sample: nine are made to find out how many fit.
    blocks, whole = Work(interrupted=15), Work(interrupted=15)
    options = {"seconds": 2e-6}
    in_blocks = Loop("ask(key)", KEYS, clock=lambda: blocks.now, block=1, ask=blocks, **options)
    as_a_whole = Loop("ask(key)", KEYS, clock=lambda: whole.now, ask=whole, **options)
    assert in_blocks() == 50.0
    assert as_a_whole() > 10_000


def test_awaiting_statements_run_on_the_stages_loop() -> None:
    seen = []

    async def ask(key: str) -> None:
        seen.append(key)

    with Stage(seconds=1e-6) as stage:
        assert stage.timed("await ask(key)", KEYS, ask=ask)() > 0
    assert seen[:3] == KEYS


def test_threads_are_timed_from_the_start_of_all_to_the_end_of_the_last() -> None:
    done: list[int] = []
    assert together(lambda: done.append(1), 4) > 0
    assert done == [1, 1, 1, 1]
