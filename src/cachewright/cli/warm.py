"""`cachewright warm`: fills a cache before it is asked, with a progress bar for people and JSON for programs.

What must not be here: how it is done (`cachewright.patterns`, `Warming`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cachewright.cli.asking import BadInput
from cachewright.cli.connecting import connected, the_cache
from cachewright.cli.naming import NAMED
from cachewright.errors import ConfigurationError
from cachewright.patterns._sync.warming import Warming
from cachewright.patterns.outcomes import Warmed

Tick = Callable[[Warmed], object]


@click.command("warm", short_help="Fill a cache before it is asked.")
@click.argument("what", type=NAMED, metavar="MODULE:FUNCTION")
@connected
@click.option("--ttl", type=float, help="Seconds; the cache's own unless given.")
@click.option(
    "--jitter",
    type=float,
    default=0.1,
    show_default=True,
    help="Shortens TTLs by up to this share.",
)
@click.option(
    "--batch", type=int, default=500, show_default=True, help="Keys for each call of the loader."
)
@click.option(
    "--per-second", type=float, help="Keys that are loaded at most; no limit unless given."
)
@click.option("--resume", metavar="NAME", help="Go on where a run of this name was broken off.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and no bar.")
def command(what: Any, *, as_json: bool, ttl: float | None, **options: Any) -> None:
    """Load and cache what MODULE:FUNCTION names, as far as it is not cached already.

    The function takes no arguments and gives (keys, load_many), as for get_or_load_many, or a source that can list its
    keys. Nothing is overwritten. One process of the fleet does it at a time; a second one says so and ends.
    Exit code 0: all was seen, or another process is at it. 1: broken off.
    """
    job = what() if callable(what) else what
    cache = the_cache(options.pop("named"), options.pop("url"), options.pop("namespace"))
    try:
        with cache, _bar(job, shown=not as_json) as tick:
            warming = Warming(cache, progress=tick, **options)
            warmed = _run(warming, job, ttl)
            up = cache.engine.link == "up"
    except ConfigurationError as error:
        raise BadInput(str(error)) from None
    _say(warmed, as_json=as_json)
    if not (warmed.finished or (up and not warmed.led)):
        raise click.ClickException("the server does not answer, so that nothing can be kept")


def _run(warming: Warming, job: Any, ttl: float | None) -> Warmed:
    if hasattr(job, "load_many"):
        return warming.warm_source(job, ttl=ttl)
    if not (isinstance(job, tuple) and len(job) == 2 and callable(job[1])):
        raise BadInput(
            f"the function gave a {type(job).__name__}: it must give (keys, load_many) or a source"
        )
    return warming.warm(*job, ttl=ttl)


@contextmanager
def _bar(job: Any, *, shown: bool) -> Iterator[Tick]:
    """A bar on stderr, so that stdout holds the outcome alone."""
    keys = job[0] if isinstance(job, tuple) and job else None
    total = len(keys) if isinstance(keys, Sized) else None
    columns = (TextColumn("warming"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("warming", total=total)
        yield lambda warmed: bar.update(task, completed=warmed.keys)


def _say(warmed: Warmed, *, as_json: bool) -> None:
    counts: Mapping[str, Any] = asdict(warmed)
    if as_json:
        click.echo(json.dumps(counts))
    elif not warmed.led:
        click.echo("Nothing was done here: no server, or another process is at it.")
    else:
        click.echo(
            f"{warmed.loaded:,} loaded ({warmed.absent:,} of them absent), {warmed.present:,} were there, "
            f"{warmed.skipped:,} skipped, {'finished' if warmed.finished else 'broken off'}."
        )
