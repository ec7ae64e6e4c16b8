"""The sketch counts, forgets, and never grows."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter

import pytest

from cachewright.errors import ConfigurationError
from cachewright.memory.frequency import FrequencySketch


def test_a_key_never_seen_is_estimated_at_zero() -> None:
    assert FrequencySketch(100).estimate("k") == 0


def test_adding_returns_the_new_estimate() -> None:
    sketch = FrequencySketch(100)
    assert [sketch.add("k") for _ in range(5)] == [1, 2, 3, 4, 5]
    assert sketch.estimate("k") == 5


def test_an_estimate_is_never_too_low_and_seldom_too_high() -> None:
    sketch = FrequencySketch(1000)
    chance = random.Random(1)
    true = Counter(f"k{int(chance.paretovariate(0.7))}" for _ in range(5000))
    for key in true.elements():
        sketch.add(key)
    assert all(sketch.estimate(key) >= min(count, 255) for key, count in true.items())
    right = sum(sketch.estimate(key) == count for key, count in true.items() if count <= 255)
    assert right > 0.8 * len(true)


def test_a_counter_stops_at_255() -> None:
    sketch = FrequencySketch(1000)
    for _ in range(1000):
        sketch.add("k")
    assert sketch.estimate("k") == 255


def test_what_is_no_longer_asked_for_is_forgotten() -> None:
    sketch = FrequencySketch(100)
    for _ in range(200):
        sketch.add("yesterday")
    for number in range(8000):
        sketch.add(f"today{number % 50}")
    assert sketch.estimate("yesterday") <= 1


def test_defect_51_counting_any_number_of_keys_takes_the_same_memory() -> None:
    """Defect 51: access_counts was unbounded, per process, unlocked, and never decayed."""
    sketch = FrequencySketch(1000)
    before = sys.getsizeof(sketch)
    for number in range(100_000):
        sketch.add(f"k{number}")
    assert sys.getsizeof(sketch) == before < 5000


def test_defect_51_threads_that_count_at_once_corrupt_nothing() -> None:
    sketch = FrequencySketch(64)

    def count() -> None:
        for number in range(20_000):
            estimate = sketch.add(f"k{number % 100}")
            assert 1 <= estimate <= 255
            done[0] += 1

    done = [0]
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sketch._period > sketch._added >= 0
    assert len(sketch._counters) == 4 * 64


@pytest.mark.parametrize("capacity", [0, -5])
def test_a_sketch_of_nothing_is_refused(capacity: int) -> None:
    with pytest.raises(ConfigurationError, match="capacity="):
        FrequencySketch(capacity)
