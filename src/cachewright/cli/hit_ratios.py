"""A simulation's outcome as a table for people and as JSON for programs.

What must not be here: charts (`chart`), and numbers that `Outcome` does not give.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cachewright.simulation import OPT, POLICIES, Outcome, ReplacementPolicy

OURS = "cachewright"

_WIDEST = 100_000
_LEGEND = "Hit ratio in percent of the requests. Gap: points below OPT, mean over the sizes."


def title(name: str) -> str:
    """A policy as people read it."""
    return "OPT (limit)" if name == OPT else POLICIES[name].title


def ranked(outcome: Outcome) -> list[str]:
    """The policies from the smallest mean gap to the largest: OPT first."""
    return sorted(outcome.hits, key=outcome.mean_gap)


def share(outcome: Outcome, size: int) -> str:
    """A size in percent of the different keys, to two digits."""
    percent = 100 * size / outcome.unique
    if percent < 1:
        return f"{percent:.2g}%"
    return f"{round(percent, 0 if percent >= 10 else 1):g}%"


def as_json(outcome: Outcome, missing: Iterable[ReplacementPolicy]) -> str:
    """One object: the trace, the sizes, and by policy its hits, hit ratios (0 to 1) and mean gap (points)."""
    policies = {
        name: {
            "version": None if name == OPT else POLICIES[name].version(),
            "hits": list(outcome.hits[name]),
            "hit_ratios": [round(ratio, 6) for ratio in outcome.ratios(name)],
            "mean_gap_to_opt_points": round(outcome.mean_gap(name), 4),
        }
        for name in ranked(outcome)
    }
    found = {
        "trace": outcome.trace,
        "requests": outcome.requests,
        "unique": outcome.unique,
        "sizes": list(outcome.sizes),
        "policies": policies,
        "not_installed": [policy.name for policy in missing],
    }
    return json.dumps(found, indent=2)


def show(outcome: Outcome, missing: Sequence[ReplacementPolicy]) -> None:
    """Print the table to stdout. Piped, it is as wide as it must be, so that nothing is cut off."""
    console, table = Console(highlight=False), _table(outcome)
    if not console.is_terminal:
        wide = console.options.update(max_width=_WIDEST)
        console.width = max(80, console.measure(table, options=wide).maximum)
    console.print(
        f"{outcome.trace}: {outcome.requests:,} requests for {outcome.unique:,} keys",
        markup=False,
        soft_wrap=True,
    )
    console.print(table)
    console.print(_LEGEND, soft_wrap=True)
    for policy in missing:
        console.print(
            f"Left out, not installed: {policy.title} (pip install {policy.package})",
            markup=False,
            soft_wrap=True,
        )


def _table(outcome: Outcome) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
    )
    table.add_column("policy", no_wrap=True)
    for size in outcome.sizes:
        table.add_column(f"{size:,}\n{share(outcome, size)}", justify="right", no_wrap=True)
    table.add_column("gap", justify="right", no_wrap=True)
    for name in ranked(outcome):
        ratios = [f"{100 * ratio:.2f}" for ratio in outcome.ratios(name)]
        gap = "" if name == OPT else f"{outcome.mean_gap(name):.2f}"
        table.add_row(title(name), *ratios, gap, style="bold" if name == OURS else None)
    return table
