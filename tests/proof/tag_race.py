"""Experiment: processes add entries under tags while others invalidate the tags; none may survive its tag.

The value of an entry is what its tags' generations were when it was loaded, so that each entry says itself whether it
should have gone. Lifetimes are mixed: a set of members that lives as long as one of them may lose the others.
What must not be here: single keys that are invalidated by name (`stale_set`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cachewright import Cache
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from proof.peering import others_have_none, peer
from proof.weakening import weaken
from rig.board import Board
from rig.processes import Barrier, Counter, Fleet
from rig.subjects import PATIENT

ADDERS, INVALIDATORS = 8, 2
WINDOW, ENTRIES_OF_A_TAG, TIMES = 8, 40, 1.5
"""How many tags are in use at a time, how many entries carry each, and how often each invalidator invalidates one.
Later nobody touches the tag any more, so that an entry which it should have taken along stays to be found."""
TTLS = (1.0, 30.0, 600.0, 3600.0)
LONGEST_LOAD, LONGEST_PAUSE = 0.005, 0.01
BATCH = 500
Generations = list[float]


class Tagged(Protocol):
    """A cache with tags, in one process."""

    def add(
        self, key: str, load: Callable[[], Generations], *, tags: list[str], ttl: float
    ) -> None: ...

    def invalidate(self, tag: str) -> None: ...

    def read(self, keys: Sequence[str]) -> dict[str, Generations]: ...

    def close(self) -> None: ...


class OurTags:
    """cachewright."""

    def __init__(self, url: str) -> None:
        self._cache = Cache(url, policy=PATIENT)

    def add(
        self, key: str, load: Callable[[], Generations], *, tags: list[str], ttl: float
    ) -> None:
        self._cache.get_or_load(key, load, tags=tags, ttl=ttl)

    def invalidate(self, tag: str) -> None:
        self._cache.invalidate(tags=[tag])

    def read(self, keys: Sequence[str]) -> dict[str, Generations]:
        return {str(key): value for key, value in self._cache.get_many(keys).items()}

    def close(self) -> None:
        self._cache.close()


class CashewsTags:
    """cashews: a set of members for each tag, deleted with the tag."""

    def __init__(self, url: str) -> None:
        from cashews import Cache as Cashews

        self._loop = asyncio.new_event_loop()
        self._cache = Cashews()
        self._cache.setup(url)
        self._cache.register_tag("{tag}", "{key}")

    def add(
        self, key: str, load: Callable[[], Generations], *, tags: list[str], ttl: float
    ) -> None:
        self._loop.run_until_complete(self._cache.set(key, load(), expire=ttl, tags=tags))

    def invalidate(self, tag: str) -> None:
        self._loop.run_until_complete(self._cache.delete_tags(tag))

    def read(self, keys: Sequence[str]) -> dict[str, Generations]:
        values = self._loop.run_until_complete(self._cache.get_many(*keys))
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    def close(self) -> None:
        self._loop.run_until_complete(self._cache.close())


SUBJECTS: dict[str, Callable[[str], Tagged]] = {"ours": OurTags, "cashews": CashewsTags}


@dataclass(frozen=True)
class Job:
    """What each process is given. `generations`: of each tag, moved before the tag is invalidated.

    `progress`: the first tag that each adder uses now.
    """

    url: str
    subject: str
    entries: int
    seed: int
    generations: Board
    progress: Board
    start: Barrier
    added: Counter
    quiet: Counter
    weaknesses: tuple[str, ...] = ()

    def open(self) -> Tagged:
        weaken(*self.weaknesses)
        return SUBJECTS[self.subject](self.url)


@dataclass
class Survived:
    """How many entries were added, could still be read at the end, and should not have been."""

    added: int = 0
    readable: int = 0
    survivors: int = 0


def add(index: int, *, job: Job) -> Survived:
    """Adds its share of the entries, and in the end reads them with what it has in memory."""
    draw = random.Random(f"{job.seed} adder {index}")
    generations, progress, cache = job.generations.open(), job.progress.open(), job.open()
    plan = list(_plan(index, job.entries // ADDERS, draw))
    job.start.wait(within=60)
    for n, (key, tags, ttl) in enumerate(plan):
        progress[index] = _window(n)
        delay = draw.uniform(0, LONGEST_LOAD)

        def load(tags: list[int] = tags, delay: float = delay) -> Generations:
            seen = [generations[tag] for tag in tags]
            time.sleep(delay)
            return seen

        cache.add(key, load, tags=[f"tag:{tag}" for tag in tags], ttl=ttl)
    job.added.add()
    job.quiet.reach(INVALIDATORS, within=600)
    found = survivors(plan, generations, cache)
    cache.close()
    return found


Planned = tuple[str, list[int], float]


def _plan(index: int, count: int, draw: random.Random) -> Iterator[Planned]:
    for n in range(count):
        tags = draw.sample(range(_window(n), _window(n) + WINDOW), draw.randint(1, 2))
        yield f"{index}-{n}", tags, draw.choice(TTLS)


def _window(n: int) -> int:
    """The first of the tags that an adder's `n`th entry may carry."""
    return n * ADDERS // ENTRIES_OF_A_TAG


def invalidate(index: int, *, job: Job) -> None:
    """Moves and invalidates the tags in use until all entries are added. Each tag has one invalidator."""
    draw = random.Random(f"{job.seed} invalidator {index}")
    generations, progress, cache = job.generations.open(), job.progress.open(), job.open()
    job.start.wait(within=60)
    done = 0
    while job.added.value < ADDERS:
        time.sleep(draw.uniform(0, LONGEST_PAUSE))
        if done >= TIMES * max(progress):
            continue
        done += 1
        tag = int(draw.choice(progress)) + draw.randrange(index, WINDOW, INVALIDATORS)
        tag += (tag - index) % INVALIDATORS
        generations[tag] += 1
        cache.invalidate(f"tag:{tag}")
    job.quiet.add()
    cache.close()


def survivors(plan: Sequence[Planned], generations: memoryview[float], cache: Tagged) -> Survived:
    """Entries that can be read although one of their tags has moved since they were loaded."""
    found = Survived(added=len(plan))
    tags_of = {key: tags for key, tags, _ in plan}
    keys = list(tags_of)
    for first in range(0, len(keys), BATCH):
        for key, value in cache.read(keys[first : first + BATCH]).items():
            found.readable += 1
            found.survivors += value != [generations[tag] for tag in tags_of[key]]
    return found


def measure(run: Run, subject: str, *weaknesses: str, entries: int) -> Measured:
    """All processes, and at the end a fresh one that has nothing in memory: this one."""
    with EmbeddedServer() as server, Fleet() as fleet:
        job = Job(
            server.tcp_url,
            subject,
            entries,
            run.seed,
            Board.new(fleet.place / "generations", _window(entries // ADDERS) + 2 * WINDOW),
            Board.new(fleet.place / "progress", ADDERS),
            fleet.barrier("start", ADDERS + INVALIDATORS),
            fleet.counter("added"),
            fleet.counter("quiet"),
            weaknesses,
        )
        fleet.start(invalidate, INVALIDATORS, job=job)
        adders = fleet.start(add, ADDERS, job=job)
        warm = [adder.result(600) for adder in adders]
        [cold] = fleet.start(read_cold, 1, job=job)
        return judge(warm, cold.result(120))


def read_cold(index: int, *, job: Job) -> Survived:
    """The survivors among all entries, as a process sees them that has nothing in memory."""
    found, cache, generations = Survived(), job.open(), job.generations.open()
    for adder in range(ADDERS):
        draw = random.Random(f"{job.seed} adder {adder}")
        one = survivors(list(_plan(adder, job.entries // ADDERS, draw)), generations, cache)
        found.added += one.added
        found.readable += one.readable
        found.survivors += one.survivors
    cache.close()
    return found


def judge(warm: list[Survived], cold: Survived) -> Measured:
    """An entry that survives in several places counts in each."""
    survivors = sum(one.survivors for one in warm)
    numbers = {
        "entries": cold.added,
        "readable at the end": cold.readable,
        "survivors where they were added": survivors,
        "survivors in a fresh process": cold.survivors,
    }
    return Measured(survivors + cold.survivors, numbers)


EXPERIMENT = Experiment(
    name="tag_race",
    what="8 processes add entries of mixed lifetimes under tags, 2 invalidate these tags meanwhile",
    target="200,000 entries, 0 survivors",
    ours=lambda run: measure(run, "ours", entries=run.pick(4_000, 200_000)),
    control=lambda run: measure(
        run, "ours", "stamps_after_the_load", entries=run.pick(3_000, 20_000)
    ),
    control_is="stamps read after the load, not before it",
    peers={
        "cashews": peer(
            "cashews", lambda run: measure(run, "cashews", entries=run.pick(4_000, 20_000))
        ),
        **others_have_none(("cashews",), "it has no tags"),
    },
)
