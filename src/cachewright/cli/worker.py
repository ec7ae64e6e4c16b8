"""`cachewright worker`: applies the queued changes of a write-behind in a process of its own.

SIGTERM and SIGINT drain what is queued for up to --drain-timeout seconds; a second one ends at once. Several workers may
run: each takes its share of the partitions. What must not be here: draining.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cachewright.cli.asking import BadInput
from cachewright.cli.naming import NAMED
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.patterns.changes import Backlog


@click.command("worker", short_help="Apply the queued changes of a write-behind.")
@click.argument("door", type=NAMED, metavar="MODULE:NAME")
@click.option(
    "--drain-timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds that SIGTERM gives the queue to become empty.",
)
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0.05),
    help="Seconds between two looks at the backlog.",
)
@click.option("--once", is_flag=True, help="End when the queue is empty.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line instead of a table.")
def command(door: Any, *, drain_timeout: float, every: float, once: bool, as_json: bool) -> None:
    """Apply what is queued for DOOR, a WriteBehind or AsyncWriteBehind named as MODULE:NAME.

    Exits with 0 when it has ended as asked, and nothing is lost then: what is left in the queue is for other workers.
    """
    if not hasattr(door, "worker") or not hasattr(door, "backlog"):
        raise BadInput(f"a {type(door).__name__} is no write-behind")
    show = _Lines() if as_json else _Screen()
    try:
        asyncio.run(_Watch(door, show, drain_timeout, every=every, once=once).run())
    except ConfigurationError as error:
        raise BadInput(str(error)) from None
    except RemoteError as error:
        raise click.ClickException(str(error)) from None


class _Watch:
    """One run of a worker."""

    def __init__(
        self, door: Any, show: Any, drain_timeout: float, *, every: float, once: bool
    ) -> None:
        self._door = door
        self._show = show
        self._drain_timeout = drain_timeout
        self._every = every
        self._once = once
        self._asked = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)
        await _call(self._door.open)
        self._door.worker.start()
        with self._show:
            await self._until_asked()
            await self._drain()

    def _ask(self) -> None:
        if self._asked.is_set():
            sys.exit(1)  # asked twice: what is queued stays queued
        self._asked.set()

    async def _until_asked(self) -> None:
        while not self._asked.is_set():
            partitions = await self._look("working")
            if self._once and partitions is not None and not any(map(_unfinished, partitions)):
                return
            try:
                await asyncio.wait_for(self._asked.wait(), self._every)
            except TimeoutError:
                continue

    async def _drain(self) -> None:
        """Everything that is queued now, then leave."""
        end = time.monotonic() + self._drain_timeout
        flushing = asyncio.ensure_future(_call(self._door.flush, self._drain_timeout))
        while not flushing.done() and time.monotonic() < end:
            await self._look("draining")
            await asyncio.wait([flushing], timeout=min(0.1, self._every))
        flushing.cancel()
        await self._look("stopping")
        await _call(self._door.worker.stop)
        await _call(getattr(self._door, "aclose", None) or self._door.close, 0)

    async def _look(self, state: str) -> Sequence[Backlog] | None:
        try:
            partitions: Sequence[Backlog] = await _call(self._door.backlog)
        except RemoteError as error:
            self._show.trouble(str(error))
            return None
        self._show.update(state, partitions, self._door.worker)
        return partitions


async def _call(function: Callable[..., Any], *args: Any) -> Any:
    """A verb of a door of either world; a blocking one in a thread."""
    if asyncio.iscoroutinefunction(function):
        return await function(*args)
    return await asyncio.to_thread(function, *args)


def _unfinished(partition: Backlog) -> bool:
    return partition.entries > 0 or partition.parked > 0


class _Rate:
    """Entries a second between two looks."""

    def __init__(self) -> None:
        self._before: tuple[float, int] | None = None

    def of(self, applied: int) -> float:
        """The rate since the last call, 0.0 at the first."""
        now = time.monotonic()
        before, self._before = self._before, (now, applied)
        if before is None or now <= before[0]:
            return 0.0
        return (applied - before[1]) / (now - before[0])


def _summary(state: str, partitions: Sequence[Backlog], worker: Any, rate: float) -> dict[str, Any]:
    return {
        "state": state,
        "entries": sum(partition.entries for partition in partitions),
        "age": round(max((partition.age for partition in partitions), default=0.0), 3),
        "rate": round(rate, 1),
        "applied": worker.applied,
        "parked": sum(partition.parked for partition in partitions),
        "dead": sum(partition.dead for partition in partitions),
        "holds": worker.holds,
    }


class _Lines:
    """For programs: one JSON object a line."""

    def __init__(self) -> None:
        self._rate = _Rate()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, state: str, partitions: Sequence[Backlog], worker: Any) -> None:
        summary = _summary(state, partitions, worker, self._rate.of(worker.applied))
        click.echo(json.dumps(summary))

    def trouble(self, why: str) -> None:
        click.echo(json.dumps({"state": "server away", "error": why}))


class _Screen:
    """For people: a table that stays in its place, on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._rate = _Rate()
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._last = ""

    def __enter__(self) -> None:
        if self._console.is_terminal:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, state: str, partitions: Sequence[Backlog], worker: Any) -> None:
        summary = _summary(state, partitions, worker, self._rate.of(worker.applied))
        if self._console.is_terminal:
            self._live.update(_table(summary, partitions), refresh=True)
            return
        line = "{state}: {entries:,} waiting, oldest {age:.1f} s, {rate:,.0f}/s, {parked} parked, {dead} dead"
        text = line.format(**summary)
        if text != self._last:
            self._last = text
            self._console.print(text, markup=False, soft_wrap=True)

    def trouble(self, why: str) -> None:
        self._console.print(why, markup=False, soft_wrap=True)


def _table(summary: dict[str, Any], partitions: Sequence[Backlog]) -> Table:
    title = "{state}: {entries:,} waiting, {rate:,.0f}/s, {applied:,} applied".format(**summary)
    table = Table(title=title, title_justify="left")
    for column in ("partition", "waiting", "oldest, s", "parked", "dead"):
        table.add_column(column, justify="right")
    for each in partitions:
        mine = "*" if each.partition in summary["holds"] else ""
        table.add_row(
            f"{each.partition}{mine}",
            f"{each.entries:,}",
            f"{each.age:.1f}",
            f"{each.parked:,}",
            f"{each.dead:,}",
        )
    return table
