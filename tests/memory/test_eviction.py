"""Who stays and who leaves: S3-FIFO's promises, against LRU and FIFO written here."""

from __future__ import annotations

import random
from bisect import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import accumulate

import pytest

from cachewright.core.entry import NEVER, Entry
from cachewright.memory import eviction
from cachewright.memory.ghost import Ghost
from cachewright.memory.store import MemoryStore


def entry(until: float = NEVER) -> Entry:
    return Entry(None, until)


def read(store: MemoryStore, key: str, weight: int = 1) -> bool:
    """One read as the engine does it: hit, or miss and put."""
    found = store.table.get(key)
    if found is not None:
        if found.freq < 3:
            found.freq += 1
        return True
    store.put(key, entry(), 0.0, weight)
    return False


def full_store(entries: int) -> MemoryStore:
    """Filled, and with its small queue at its share."""
    store = MemoryStore(max_entries=entries)
    for number in range(2 * entries):
        store.put(f"fill{number}", entry(), 0.0)
    return store


def test_a_hot_entry_survives_a_scan() -> None:
    store = full_store(100)
    for _ in range(3):
        read(store, "hot")
    for number in range(10_000):
        read(store, f"scan{number}")
        if number % 200 == 0:
            read(store, "hot")
    assert "hot" in store.table


def test_an_entry_that_is_never_read_leaves_with_the_scan() -> None:
    """The control: a hit in the small queue earns the main one, being written does not."""
    store = full_store(100)
    read(store, "cool")
    read(store, "warm")
    read(store, "warm")
    for number in range(50):
        read(store, f"scan{number}")
    assert "cool" not in store.table
    assert "warm" in store.table


def test_writing_a_key_twice_earns_it_no_place_in_main() -> None:
    store = full_store(100)
    store.put("twice", entry(), 0.0)
    store.put("twice", entry(), 0.0)
    assert store._queues.small[-1] is store.table["twice"]


def test_rewriting_a_key_that_was_hit_earns_it_a_place_in_main() -> None:
    store = full_store(100)
    for _ in range(2):
        read(store, "hot")
    store.put("hot", entry(), 0.0)
    assert store._queues.main[-1] is store.table["hot"]


def test_the_first_entries_fill_the_main_queue() -> None:
    store = MemoryStore(max_entries=100)
    for number in range(100):
        read(store, f"k{number}")
    assert (len(store._queues.main), len(store._queues.small)) == (100, 0)
    read(store, "k100")
    assert [one.key for one in store._queues.small] == ["k100"]


def test_a_store_emptied_by_half_fills_its_main_queue_again() -> None:
    store = full_store(100)
    for key in store.keys()[:60]:
        store.drop(key)
    read(store, "new")
    assert store._queues.main[-1].key == "new"


def gone_and_back(absent: int) -> int:
    """How many of 100 keys are in main that left the small queue, returned after so many others, and left it again."""
    store = full_store(1000)
    back = {f"back{number}" for number in range(100)}
    for part, others in (("before", absent), ("between", 1200)):
        for key in back:
            read(store, key)
        for number in range(others):
            read(store, f"{part}{number}")
    assert not any(one.key in back for one in store._queues.small)
    return sum(one.key in back for one in store._queues.main)


def test_who_returns_while_the_ghost_remembers_goes_on_to_main() -> None:
    """More than half: of those who stay away for 1,000 departures, `e ** -0.5` have kept one of the 2,000 slots."""
    assert gone_and_back(absent=100) > 30


def test_who_returns_too_late_leaves_once_more() -> None:
    """But for one in 256, who look like somebody else."""
    assert gone_and_back(absent=50_000) < 10


def met(ghost: Ghost, name: str, count: int) -> int:
    return sum(ghost.meet(f"{name}{number}") for number in range(count))


def test_the_ghost_forgets_bit_by_bit() -> None:
    """By e for a departure per slot: of 400 keys that 2,000 others follow, a third is left, give or take 2 %."""
    ghost = Ghost()
    ghost.fit(1000)
    met(ghost, "early", 400)
    met(ghost, "later", 2000)
    assert 0.15 < met(ghost, "early", 400) / 400 < 0.5


def test_the_ghost_takes_one_stranger_in_256_for_an_acquaintance() -> None:
    ghost = Ghost()
    ghost.fit(1000)
    assert met(ghost, "stranger", 10_000) < 100


def test_a_ghost_that_grows_starts_anew_and_one_that_is_large_enough_does_not() -> None:
    ghost = Ghost()
    ghost.fit(1000)
    met(ghost, "k", 50)
    ghost.fit(900)
    assert met(ghost, "k", 50) > 40
    ghost.fit(1001)
    assert met(ghost, "k", 50) < 10


def test_the_ghost_takes_two_bytes_for_each_entry() -> None:
    ghost = full_store(1000)._queues.ghost
    assert len(ghost) == len(ghost.slots) == 2 * 1000


def test_a_ghost_that_was_never_used_holds_no_memory() -> None:
    store = MemoryStore(max_entries=10_000_000)
    read(store, "k")
    assert len(store._queues.ghost) == 0


def queues_of(*entries: Entry) -> eviction.Queues:
    queues = eviction.Queues(Ghost())
    queues.filling = False
    for number, one in enumerate(entries):
        one.key = f"k{number}"
        queues.admit(one, True)
    return queues


@pytest.mark.parametrize(("weight", "leaves"), [(50, "small"), (1, "main")])
def test_queue_shares_are_counted_in_weight(weight: int, leaves: str) -> None:
    """One entry of 91 is within the small queue's share by number; by weight it may not be."""
    queues = queues_of(*[entry() for _ in range(90)])
    one = entry()
    one.key, one.weight = "small", weight
    queues.admit(one, False)
    victim = queues.evict(0.0, [])
    assert (victim is one) is (leaves == "small")


def test_a_scan_of_any_length_leaves_main_a_tenth() -> None:
    store = MemoryStore(max_entries=100)
    for number in range(50_000):
        read(store, f"scan{number}")
    assert len(store._queues.main) >= 10


def test_the_hand_drops_an_expired_entry_whatever_its_hits() -> None:
    expired, cold = entry(until=5.0), entry()
    expired.freq = 3
    assert queues_of(expired, cold).evict(5.0, []) is expired
    assert queues_of(expired, cold).evict(4.9, []) is cold


def test_the_hand_frees_the_dead_it_meets_and_returns_the_living() -> None:
    dead, live = entry(), entry()
    queues = queues_of(dead, live)
    gone: list[Entry] = []
    queues.bury(dead)
    assert queues.evict(0.0, gone) is live
    assert gone == [dead, live]
    assert (queues.dead, queues.dead_weight, dead.weight) == (0, 0, 1)


def test_one_eviction_moves_a_bounded_number_of_entries() -> None:
    entries = [entry() for _ in range(1000)]
    for one in entries:
        one.freq = 3
    assert queues_of(*entries).evict(0.0, []) is entries[eviction.MOST_MOVES]
    assert sum(one.freq < 3 for one in entries) == eviction.MOST_MOVES


def test_a_main_queue_full_of_yesterday_is_given_up_slowly() -> None:
    """Down to its last tenth. Without the slow hand, main keeps nine tenths for ever."""
    store = MemoryStore(max_entries=100)
    for number in range(100):
        read(store, f"old{number}")
    for number in range(20_000):
        read(store, f"new{number}")
    assert sum(key.startswith("old") for key in store.table) <= 11


def hit_ratio(trace: Iterable[str], read_one: Callable[[str], bool]) -> float:
    hits = [read_one(key) for key in trace]
    return sum(hits) / len(hits)


def queue_cache(size: int, *, lru: bool) -> Callable[[str], bool]:
    """The plain peer: LRU, or FIFO when hits move nothing."""
    held: OrderedDict[str, None] = OrderedDict()

    def read_one(key: str) -> bool:
        if key in held:
            if lru:
                held.move_to_end(key)
            return True
        held[key] = None
        if len(held) > size:
            held.popitem(last=False)
        return False

    return read_one


def zipf(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    steps = list(accumulate((rank + 1) ** -0.9 for rank in range(20_000)))
    return [f"z{bisect(steps, chance.random() * steps[-1])}" for _ in range(count)]


def zipf_with_scans() -> list[str]:
    hot = zipf(50_000)
    scans = [f"scan{number}" for number in range(50_000)]
    blocks = [(hot, scans)[turn % 2][turn // 2 * 2500 :][:2500] for turn in range(40)]
    return [key for block in blocks for key in block]


def loop() -> list[str]:
    return [f"loop{number % 1000}" for number in range(30_000)]


@pytest.mark.parametrize(
    ("trace", "size", "points"),
    [(zipf(100_000), 1000, 5), (zipf_with_scans(), 1000, 4), (loop(), 700, 25)],
    ids=["zipf", "zipf with scans", "loop"],
)
def test_it_hits_more_than_lru_and_fifo(trace: list[str], size: int, points: int) -> None:
    """By that many points; plain FIFO in our place would be at or below LRU."""
    store = MemoryStore(max_entries=size)
    ours = hit_ratio(trace, lambda key: read(store, key))
    lru = hit_ratio(trace, queue_cache(size, lru=True))
    fifo = hit_ratio(trace, queue_cache(size, lru=False))
    assert fifo < lru + points / 100
    assert ours > lru + points / 100
    assert ours > fifo + points / 100
