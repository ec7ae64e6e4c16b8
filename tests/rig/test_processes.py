"""Members are separate processes that can be killed and paused, and none outlives its fleet."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from rig.processes import Barrier, Counter, Fleet, MemberFailed, is_alive, process_state
from rig.waiting import eventually


def describe(index: int, *, word: str) -> tuple[int, int, str]:
    return index, os.getpid(), word


def fail(index: int) -> None:
    sys.stdout.write("on the way\n")
    raise RuntimeError(f"member {index} cannot")


def hang(index: int, *, started: Counter) -> None:
    started.add()
    threading.Event().wait()


def count_until(index: int, *, ticks: Counter, end: Counter) -> str:
    while not end.value:
        ticks.add()
        time.sleep(0.001)
    return "ended"


def meet(index: int, *, barrier: Barrier, arrived: Counter) -> int:
    arrived.add()
    barrier.wait()
    return arrived.value


def own_a_fleet(index: int, *, place: Path, started: Counter) -> None:
    # It will be killed, so what it leaves behind must lie where the outer fleet cleans up.
    tempfile.tempdir = str(place)
    with Fleet() as fleet:
        fleet.start(hang, 2, started=started)
        (place / "pids").write_text(" ".join(str(member.pid) for member in fleet.members))
        threading.Event().wait()


def test_each_member_runs_in_a_process_of_its_own_and_returns_its_result() -> None:
    with Fleet() as fleet:
        fleet.start(describe, 3, word="hello")
        results = fleet.results()
    assert [(index, word) for index, _, word in results] == [(n, "hello") for n in range(3)]
    assert len({pid for _, pid, _ in results} | {os.getpid()}) == 4


def test_a_member_that_raises_is_reported_with_what_it_printed() -> None:
    with Fleet() as fleet:
        fleet.start(fail, 1)
        with pytest.raises(MemberFailed, match=r"(?s)on the way.*member 0 cannot"):
            fleet.results()


def test_a_member_that_hangs_is_a_timeout_and_ends_with_the_fleet() -> None:
    with Fleet() as fleet:
        (member,) = fleet.start(hang, 1, started=fleet.counter("started"))
        fleet.counter("started").reach(1)
        with pytest.raises(TimeoutError, match="still runs"):
            fleet.results(timeout=0.05)
    assert not member.running


def test_a_killed_member_owes_no_result() -> None:
    with Fleet() as fleet:
        end = fleet.counter("end")
        first, _ = fleet.start(count_until, 2, ticks=fleet.counter("ticks"), end=end)
        first.kill()
        assert not first.running
        end.add()
        assert fleet.results() == ["ended"]


def test_a_paused_member_stands_still_until_it_is_resumed() -> None:
    with Fleet() as fleet:
        ticks, end = fleet.counter("ticks"), fleet.counter("end")
        (member,) = fleet.start(count_until, 1, ticks=ticks, end=end)
        ticks.reach(1)
        member.pause()
        eventually(lambda: process_state(member.pid)[:1] == "T")
        stood = ticks.value
        end.add()
        with pytest.raises(TimeoutError):
            member.result(timeout=0.1)
        assert ticks.value == stood
        member.resume()
        assert fleet.results() == ["ended"]


def test_a_barrier_lets_nobody_on_before_all_have_come() -> None:
    with Fleet() as fleet:
        fleet.start(meet, 3, barrier=fleet.barrier("b", 3), arrived=fleet.counter("arrived"))
        assert fleet.results() == [3, 3, 3]


def test_a_barrier_that_stays_short_of_members_gives_up() -> None:
    with Fleet() as fleet, pytest.raises(AssertionError, match=r"after 0\.02 s"):
        fleet.barrier("lonely", 2).wait(within=0.02)


def test_a_counter_loses_no_step_of_several_processes() -> None:
    with Fleet() as fleet:
        fleet.start(add_many, 3, counter=fleet.counter("steps"))
        fleet.results()
        assert fleet.counter("steps").value == 600


def add_many(index: int, *, counter: Counter) -> None:
    for _ in range(200):
        counter.add()


def test_members_end_when_the_process_of_their_fleet_is_killed() -> None:
    with Fleet() as outer:
        started = outer.counter("started")
        (owner,) = outer.start(own_a_fleet, 1, place=outer.place, started=started)
        started.reach(2)
        report = outer.place / "pids"
        eventually(lambda: report.exists() and len(report.read_text().split()) == 2)
        pids = [int(pid) for pid in report.read_text().split()]
        assert all(is_alive(pid) for pid in pids)
        owner.kill()
        eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_members_started_one_after_the_other_all_count() -> None:
    with Fleet() as fleet:
        fleet.start(describe, 1, word="a")
        fleet.start(describe, 1, word="b")
        assert [word for _, _, word in fleet.results()] == ["a", "b"]
