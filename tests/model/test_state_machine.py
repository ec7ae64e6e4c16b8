"""x"""
from __future__ import annotations
from hypothesis import settings, HealthCheck
from hypothesis.stateful import run_state_machine_as_test
from model.machine import CacheMachine
from model.worlds import Threads, Loop
import pytest, time

@pytest.mark.parametrize("make_world", [Threads, Loop])
def test_one_cache(make_world):
    world = make_world()
    t=time.time()
    try:
        run_state_machine_as_test(lambda: CacheMachine(world), settings=settings(max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)))
    finally:
        world.close()
    print(time.time()-t)
