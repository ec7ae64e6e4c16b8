"""Experiment: a write while a page of nested fragments renders in four processes; no part of it may be old at rest.

Each round has a page of its own, which all processes render while one of them writes one of its rows: rows stand in
sections, sections in the page, and each level is a fragment that was told of its own row's tag at most. After a batch of
rounds every process reads all its pages again, and so does one that has nothing in memory.
What must not be here: values without templates (`stale_set`, `tag_race`).
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import jinja2
import redis
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from cachewright import AsyncCache, Cache
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Number, Run
from proof.weakening import weaken
from rig.board import Board
from rig.looped import Looped
from rig.processes import Barrier, Counter, Fleet
from rig.subjects import PATIENT

PROCESSES = 4
SECTIONS, ROWS = 2, 3
PARTS = SECTIONS * ROWS
BATCH = 50
"""Rounds after which all rest."""
QUIET = 0.3
"""Seconds of rest before the look; far more than the bus takes."""
LONGEST_READ, LONGEST_PAUSE = 0.001, 0.020
"""Seconds between the source's answer and its use, and before the write, at most."""
TEMPLATE = (
    "{% cache 'page', page %}{% for s in range(sections) %}{% cache 'section', page, s %}"
    "{% for r in range(rows) %}{% cache 'row', page, s, r, tags=['row:%s:%s:%s' % (page, s, r)] %}"
    "[{{ s * rows + r }}={{ read(page, s * rows + r) }}]"
    "{% endcache %}{% endfor %}{% endcache %}{% endfor %}{% endcache %}"
)
_PART = re.compile(r"\[(\d+)=(\d+)\]").findall
Reader = Callable[[int, int], int]


class Site(Protocol):
    """Pages with cached fragments, in one process."""

    def render(self, page: int, read: Reader) -> str: ...

    def wrote(self, page: int, part: int) -> None: ...

    def close(self) -> None: ...


def _given(page: int, read: Reader) -> dict[str, Any]:
    return {"page": page, "read": read, "sections": SECTIONS, "rows": ROWS}


def _tag(page: int, part: int) -> str:
    return f"row:{page}:{part // ROWS}:{part % ROWS}"


OURS = "cachewright.integrations.jinja2.CacheExtension"


class InThreads:
    """cachewright in an environment without asyncio."""

    def __init__(self, url: str) -> None:
        self._cache = Cache(url, policy=PATIENT)
        environment = jinja2.Environment(extensions=[OURS], autoescape=True)
        vars(environment)["fragment_cache"] = self._cache
        self._template = environment.from_string(TEMPLATE)

    def render(self, page: int, read: Reader) -> str:
        return self._template.render(_given(page, read))

    def wrote(self, page: int, part: int) -> None:
        self._cache.invalidate(tags=[_tag(page, part)])

    def close(self) -> None:
        self._cache.close()


class InTasks(Looped):
    """The same over the same entries in asyncio."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._cache = AsyncCache(url, policy=PATIENT)
        environment = jinja2.Environment(extensions=[OURS], autoescape=True, enable_async=True)
        vars(environment)["fragment_cache"] = self._cache
        self._template = environment.from_string(TEMPLATE)

    def render(self, page: int, read: Reader) -> str:
        found: str = self.run(self._template.render_async(_given(page, read)))
        return found

    def wrote(self, page: int, part: int) -> None:
        self.run(self._cache.invalidate(tags=[_tag(page, part)]))

    async def _shut(self) -> None:
        await self._cache.aclose()


class NaiveExtension(Extension):
    """GET the fragment, else render and SET it: the way of most tutorials."""

    tags = {"cache"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        parts = [parser.parse_expression()]
        while parser.stream.skip_if("comma"):
            if parser.stream.current.value == "tags":
                next(parser.stream)
                next(parser.stream)
                parser.parse_expression()
            else:
                parts.append(parser.parse_expression())
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        block = nodes.CallBlock(self.call_method("_cached", parts), [], [], body)
        return block.set_lineno(line)

    def _cached(self, *parts: Any, caller: Callable[[], str]) -> str:
        client: redis.Redis = vars(self.environment)["client"]
        key = ":".join(map(str, parts))
        found = client.get(key)
        if found is not None:
            return found.decode() if isinstance(found, bytes) else str(found)
        text = str(caller())
        client.set(key, text, ex=3600)
        return text


class Naive:
    """A write deletes the row's fragment and, by their names, all that hold it: nothing is forgotten."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        environment = jinja2.Environment(extensions=[NaiveExtension], autoescape=True)
        vars(environment)["client"] = self._client
        self._template = environment.from_string(TEMPLATE)

    def render(self, page: int, read: Reader) -> str:
        return self._template.render(_given(page, read))

    def wrote(self, page: int, part: int) -> None:
        section, row = divmod(part, ROWS)
        keys = (f"row:{page}:{section}:{row}", f"section:{page}:{section}", f"page:{page}")
        self._client.delete(*keys)

    def close(self) -> None:
        self._client.close()


WEAKNESSES = {
    "hands_up_nothing": ("hands_up_nothing",),
    "stamps_after_the_load": ("stamps_after_the_load", "dooms_nothing_and_shares"),
}


@dataclass(frozen=True)
class Job:
    """What each process is given. `versions`: of each part of each page; `arrived`: each process's present round."""

    url: str
    subject: str
    rounds: int
    seed: int
    versions: Board
    arrived: Board
    start: Barrier
    rested: tuple[Counter, ...]

    def open(self, index: int) -> Site:
        """Ours is half threads, half asyncio, over the same entries."""
        if self.subject == "naive":
            return Naive(self.url)
        if self.subject != "ours":
            weaken(*WEAKNESSES[self.subject], tasks=bool(index % 2))
        return InTasks(self.url) if index % 2 else InThreads(self.url)


@dataclass
class Seen:
    """What one process found at rest. `stale`: parts older than their rows, `pages`: those with any."""

    parts: int = 0
    stale: int = 0
    pages: set[int] = field(default_factory=set)
    overtaken: int = 0
    """Rounds in which the page was being rendered while the row was written."""


class Member:
    """One process."""

    def __init__(self, index: int, job: Job) -> None:
        self._index, self._job = index, job
        self._draw = random.Random(f"{job.seed} fragments {index}")
        self._versions, self._arrived = job.versions.open(), job.arrived.open()
        self._site = job.open(index)
        self._seen = Seen()

    def run(self) -> Seen:
        self._job.start.wait(within=60)
        for first in range(0, self._job.rounds, BATCH):
            pages = range(first, min(first + BATCH, self._job.rounds))
            for page in pages:
                self._round(page)
            resting = self._job.rested[first // BATCH]
            resting.add()
            resting.reach(PROCESSES, within=120)
            time.sleep(QUIET)
            self._look(pages, self._site)
            if self._index == 0:
                self._look_cold(pages)
        self._site.close()
        return self._seen

    def _round(self, page: int) -> None:
        self._arrived[self._index] = page + 1
        while min(self._arrived) <= page:
            time.sleep(0.0002)
        writing = threading.Thread(target=self._write, args=(page,))
        if page % PROCESSES == self._index:
            writing.start()
        before = sum(self._versions[page * PARTS : (page + 1) * PARTS])
        self._site.render(page, self._slowly)
        self._seen.overtaken += before != sum(self._versions[page * PARTS : (page + 1) * PARTS])
        self._site.render(page, self._slowly)
        if page % PROCESSES == self._index:
            writing.join()

    def _write(self, page: int) -> None:
        draw = random.Random(f"{self._job.seed} write {page}")
        part = draw.randrange(PARTS)
        time.sleep(draw.uniform(0, LONGEST_PAUSE))
        self._versions[page * PARTS + part] += 1
        self._site.wrote(page, part)

    def _slowly(self, page: int, part: int) -> int:
        version = self._quickly(page, part)
        time.sleep(self._draw.uniform(0, LONGEST_READ))  # where it hurts: the row has been read
        return version

    def _quickly(self, page: int, part: int) -> int:
        return int(self._versions[page * PARTS + part])

    def _look(self, pages: range, site: Site) -> None:
        for page in pages:
            shown = [
                (int(part), int(version))
                for part, version in _PART(site.render(page, self._quickly))
            ]
            stale = sum(version != self._quickly(page, part) for part, version in shown)
            self._seen.parts += len(shown)
            self._seen.stale += stale + PARTS - len(shown)
            self._seen.pages |= {page} if stale else set()

    def _look_cold(self, pages: range) -> None:
        cold = self._job.open(self._index)
        self._look(pages, cold)
        cold.close()


def work(index: int, *, job: Job) -> Seen:
    """One process of the fleet."""
    return Member(index, job).run()


def measure(run: Run, subject: str, *, rounds: int) -> Measured:
    """One fleet on a server of its own."""
    with EmbeddedServer() as server, Fleet() as fleet:
        batches = range(0, rounds, BATCH)
        job = Job(
            server.tcp_url,
            subject,
            rounds,
            run.seed,
            versions=Board.new(fleet.place / "versions", rounds * PARTS),
            arrived=Board.new(fleet.place / "arrived", PROCESSES),
            start=fleet.barrier("start", PROCESSES),
            rested=tuple(fleet.counter(f"rested {n}") for n, _ in enumerate(batches)),
        )
        fleet.start(work, PROCESSES, job=job)
        found: list[Seen] = fleet.results(3600)
    numbers: dict[str, Number] = {
        "rounds": rounds,
        "rounds whose page was written while it rendered, all processes": sum(
            it.overtaken for it in found
        ),
        "parts looked at": sum(it.parts for it in found),
        "stale parts at rest": sum(it.stale for it in found),
        "pages with any": len(set[int]().union(*(it.pages for it in found))),
    }
    return Measured(sum(it.stale for it in found), numbers)


def _ours(run: Run) -> Measured:
    return measure(run, "ours", rounds=run.pick(100, 10_000))


CONTROLS = {
    "naive": "GET, else render and SET; a write deletes the fragments that hold its row, by their names",
    "hands_up_nothing": "ours, but parts hand no stamps to the fragments around them",
    "stamps_after_the_load": "ours, but stamps are read after rendering, and an invalidation heard meanwhile is ignored",
}


def _control(run: Run) -> Measured:
    found = {
        name: measure(
            run, name, rounds=run.pick(100 if name == "stamps_after_the_load" else 40, 500)
        )
        for name in CONTROLS
    }
    numbers = {
        f"{name}: pages with any": it.numbers["pages with any"] for name, it in found.items()
    }
    unbroken = tuple(name for name, it in found.items() if not it.violations)
    return Measured(sum(it.violations for it in found.values()), numbers, (), unbroken)


EXPERIMENT = Experiment(
    name="fragments",
    what="a page of 9 nested fragments in Jinja2 is rendered by 4 processes, in threads and asyncio, while one of them"
    " writes a row that it shows; 6 rows, reads of 0 to 1 ms, L1 and L2, and at rest a fifth process without memory",
    target="0 stale parts at rest in 10,000 rounds",
    ours=_ours,
    control=_control,
    control_is="; ".join(CONTROLS.values()),
)
