"""Rows on Django's queries: a hit, a miss and an invalidation of ours beside django-cacheops and django-cachalot.

The same models and rows, each competitor in a process of its own with its own SQLite file, all on one server; the rounds
are interleaved, and a sample is taken in that process. Ours marks what a write makes wrong before its commit and ends the
marks after it; the peers tell of it once, afterwards, and so there is a case of ours that does the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage

OURS, ONE_PHASE = "cachewright", "cachewright, one phase"
PEERS = ("django-cacheops", "django-cachalot")
_NAMES: Mapping[str, str] = {
    OURS: "cachewright",
    ONE_PHASE: "one-phase",
    "django-cacheops": "cacheops",
    "django-cachalot": "cachalot",
    "no cache": "none",
}
_DATABASES = count(1)


class Shop:
    """The process of one competitor."""

    def __init__(self, which: str, url: str) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="cachewright-shop-")
        server, _, _ = url.rpartition("/")
        command = [sys.executable, "-m", "benchmarks.peers.django_orm", which]
        command += [f"{server}/{next(_DATABASES)}", str(Path(self._place.name) / "shop.db")]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        answer = self._answer()
        if answer.startswith("missing"):
            raise ImportError(answer)
        if answer != "ready":
            raise RuntimeError(answer or "the process of the competitor died")

    def _answer(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()

    def timed(self, verb: str, times: int) -> float:
        """Nanoseconds an operation."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{verb} {times}\n")
        self._child.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(10)
        self._place.cleanup()


def _prepare(verb: str, name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        shop = Shop(_NAMES[name], stage.url)
        stage.closing(shop.close)
        once = shop.timed(verb, 120)  # all that is asked again is cached by now
        times = max(10, round(10 * stage.seconds * 1e9 / once))
        return lambda: shop.timed(verb, times) / 1e3

    return prepare


def _case(verb: str, name: str) -> Case:
    prepare = _prepare(verb, name)
    if name in (OURS, ONE_PHASE):
        return ours(name.removeprefix("cachewright").lstrip(" ,"), prepare)
    return floor(name, prepare) if name == "no cache" else Case(name, prepare)


def _row(verb: str, title: str, *names: str, note: str = "") -> Row:
    first = _case(verb, OURS).name
    return Row(
        number=21,
        name=f"django-{verb.replace('_', '-')}",
        title=title,
        unit="µs",
        reference=first,
        cases=tuple(_case(verb, name) for name in (OURS, *names, *PEERS, "no cache")),
        targets=tuple(
            Target(case=first, limit=1.0, against=(peer,), what=f"ahead of {peer}")
            for peer in PEERS
        ),
        note=note,
    )


ROWS = (
    _row("get", "Django: get(pk=…) of a cached row"),
    _row("rows", "Django: 100 cached rows with select_related"),
    _row("many", "Django: a cached count()"),
    _row("by_key", "Django: ModelCache.get beside get(pk=…) of the peers"),
    _row("miss", "Django: a query that is not cached"),
    _row(
        "save",
        "Django: save() of a cached row",
        ONE_PHASE,
        note="the default's two phases survive a crash after the commit; in one phase it is told once, after it, as the peers do",
    ),
)
"""All on Django."""
