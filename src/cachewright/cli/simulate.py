"""`cachewright simulate`: the options, their checks, and the order of the work.

What must not be here: replaying (`cachewright.simulation`) and showing (`hit_ratios`, `chart`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from cachewright.cli import chart as charts
from cachewright.cli import hit_ratios
from cachewright.cli.asking import BadInput
from cachewright.errors import ConfigurationError
from cachewright.simulation import (
    OPT,
    POLICIES,
    Outcome,
    ReplacementPolicy,
    Size,
    Trace,
    TraceError,
    installed,
    read_sizes,
    read_trace,
    simulate,
)
from cachewright.simulation.trace import Layout

_ALL = "all"
_Tick = Callable[[int], object]


def _sizes(_: click.Context, __: click.Parameter, text: str) -> list[Size]:
    try:
        return read_sizes(text)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def _policies(_: click.Context, __: click.Parameter, text: str) -> list[ReplacementPolicy]:
    if text == _ALL:
        return list(POLICIES.values())
    names = dict.fromkeys(name.strip() for name in text.split(","))
    chosen = [_policy(name) for name in names if name != OPT]  # OPT is the limit of every table
    for policy in chosen:
        if not installed(policy):
            raise click.BadParameter(f"{policy.name} needs a package: pip install {policy.package}")
    return chosen


def _policy(name: str) -> ReplacementPolicy:
    if name in POLICIES:
        return POLICIES[name]
    near = get_close_matches(name, POLICIES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise click.BadParameter(f"no policy is called {name!r}.{hint} There are {_names()}.")


def _names() -> str:
    return ", ".join([*POLICIES, OPT])


def _chart(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    if path is not None:
        try:
            charts.check(path)
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from None
    return path


@click.command(
    "simulate",
    short_help="Compare hit ratios on a recorded trace.",
    epilog=f"Policies: {_names()}.",
)
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--policies",
    default=_ALL,
    metavar="NAME,…",
    callback=_policies,
    help="Which to compare; all that are installed unless said. OPT is always computed.",
)
@click.option(
    "--sizes",
    default="1%,5%,10%,25%",
    show_default=True,
    metavar="SIZE,…",
    callback=_sizes,
    help="Cache sizes in entries, or in percent of the different keys in the trace.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["auto", "u32", "lines"]),
    default="auto",
    show_default=True,
    help="u32: little-endian 32-bit ids. lines: one key a line. Either may be packed with xz or gzip.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON instead of a table."
)
@click.option(
    "--chart",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg|png",
    callback=_chart,
    help="Also draw hit ratio over size into this file; needs matplotlib.",
)
def command(
    trace: Path,
    *,
    policies: list[ReplacementPolicy],
    sizes: list[Size],
    layout: Layout,
    as_json: bool,
    chart: Path | None,
) -> None:
    """Replay TRACE through cachewright's in-process tier, its peers, and the best possible policy.

    TRACE is a file of requests in order: 32-bit ids or one key a line, as it is or packed with xz or
    gzip. Nothing in it is run and no server is needed.
    """
    outcome = _replay(trace, policies, sizes, layout=layout)
    missing = [policy for policy in policies if not installed(policy)]
    if as_json:
        click.echo(hit_ratios.as_json(outcome, missing))
    else:
        hit_ratios.show(outcome, missing)
    if chart is not None:
        try:
            charts.draw(outcome, chart)
        except OSError as error:
            raise BadInput(f"{chart}: {error.strerror or error}") from None


def _replay(
    path: Path, policies: list[ReplacementPolicy], sizes: list[Size], *, layout: Layout
) -> Outcome:
    here = [policy for policy in policies if installed(policy)]
    with _progress() as progress:
        trace = _read(path, layout, progress)
        entries = sorted({size.entries(trace.unique) for size in sizes})
        total = len(trace.ids) * len(entries) * (len(here) + 1)
        task = progress.add_task("Replaying", total=total)
        return simulate(trace, here, entries, progress=lambda done: progress.advance(task, done))


def _read(path: Path, layout: Layout, progress: Progress) -> Trace:
    task = progress.add_task(f"Reading {path.name}", total=None)
    try:
        return read_trace(
            path,
            layout=layout,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    except TraceError as error:
        progress.stop()
        raise BadInput(str(error)) from None
    finally:
        progress.remove_task(task)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr that is gone when the work is done; nothing at all where nobody watches."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress
