"""What the demo prints: for people with rich, for programs as JSON.

In a terminal there are colours and a moving bar; piped or redirected the same text is plain and 100
columns wide. What must not be here: anything that is found out rather than told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from statistics import median
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from demo import data, showing
from demo.database import Loaded
from demo.questions import Plan
from demo.results import Change, Check, Crowd, Fallen, Findings, Timing

WIDTH = 100
_NAMES = {
    "flights": "flights",
    "weather": "hours of weather",
    "planes": "planes",
    "airports": "airports",
    "airlines": "airlines",
}


class Report:
    """Prints to `out`. Nothing it is given is changed."""

    def __init__(self, out: TextIO) -> None:
        console = Console(file=out, highlight=False)
        narrow = console.is_terminal and console.width < WIDTH
        self._console = console if narrow else Console(file=out, highlight=False, width=WIDTH)

    def say(self, text: str) -> None:
        """A paragraph; long lines are wrapped between words."""
        self._console.print(Padding(text, (0, 2), expand=False))

    def head(self, text: str) -> None:
        """The headline of a step."""
        self._console.print(f"\n[bold]{text}[/bold]\n")

    @contextmanager
    def loading(self) -> Iterator[_Loading]:
        """A bar for each table while it is loaded."""
        columns = (TextColumn("  loading {task.description:9}"), BarColumn(), MofNCompleteColumn())
        quiet = not self._console.is_terminal
        with Progress(
            *columns, TimeElapsedColumn(), console=self._console, disable=quiet
        ) as progress:
            yield _Loading(progress)

    def loaded(self, loaded: Loaded, database: str) -> None:
        """What is in the database and where it came from."""
        counts = ", ".join(f"{loaded.rows[name]:,} {what}" for name, what in _NAMES.items())
        how = "kept from an earlier run, counted in" if loaded.reused else "loaded in"
        self.say(f"{database}: {counts}; {how} {loaded.seconds:.2f} s.")

    def findings(self, findings: Findings, plan: Plan) -> None:
        """All of the tour."""
        self.head("Every question, from everywhere")
        self._timings(findings.timings, findings.crowds)
        self.head("Crowds that all ask at once, of a cold cache")
        self._crowds(findings.crowds, findings.timings)
        self.head("One write, and every answer made from it is new")
        self._change(findings.change, plan)
        self.head(showing.PAGES)
        self._pages(findings.pages, plan)
        self.head(showing.HEAD)
        self._console.print(showing.matrix(findings.patterns))
        self.say(showing.legend(findings.patterns))
        self.head("Checked")
        self._checks(findings.checks)

    def _timings(self, timings: list[Timing], crowds: list[Crowd]) -> None:
        grid = _grid("question", "rows", "database ms", "cold ms", "L2 ms", "L1 µs", "loads saved")
        for timing in timings:
            saved = sum(crowd.saved_on(timing.key) for crowd in crowds)
            asked = sum(crowd.calls[timing.key] for crowd in crowds)
            grid.add_row(
                timing.title,
                f"{timing.rows:,}",
                f"{timing.database * 1e3:.1f}",
                f"{timing.cold * 1e3:.1f}",
                f"{timing.l2 * 1e3:.2f}",
                f"{timing.l1 * 1e6:.2f}",
                f"{saved} of {asked}",
            )
        self._console.print(grid)
        self.say(
            "Medians. [i]database[/i]: asked directly. [i]cold[/i]: through a cache that has nothing, "
            "storing the answer included. [i]L2[/i]: from Valkey, in a process that asks for the "
            "first time. [i]L1[/i]: from the process's own memory, ever after. All but [i]database[/i] "
            "through a session of SQLAlchemy, which makes rows of what is cached; to get that by its "
            f"key takes {median(it.bare for it in timings) * 1e6:.1f} µs. [i]loads saved[/i]: calls "
            "of the crowds below that the database never saw."
        )

    def _crowds(self, crowds: list[Crowd], timings: list[Timing]) -> None:
        grid = _grid("who", "calls", "loads", "loads saved", "took ms", "database ms saved")
        cost = {timing.key: timing.database for timing in timings}
        for crowd in crowds:
            spared = sum(crowd.saved_on(key) * cost[key] for key in crowd.calls)
            grid.add_row(
                crowd.who,
                f"{sum(crowd.calls.values()):,}",
                f"{sum(crowd.loads.values()):,}",
                f"{sum(crowd.saved_on(key) for key in crowd.calls):,}",
                f"{crowd.seconds * 1e3:,.0f}",
                f"{spared * 1e3:,.0f}",
            )
        self._console.print(grid)

    def _change(self, change: Change, plan: Plan) -> None:
        old, new = plan.flight, plan.changed
        self.say(
            f"Flight {old['carrier']} {old['flight']} from {old['origin']} to {old['dest']} on "
            f"{old['year']}-{old['month']:>02}-{old['day']:>02}: its arrival delay is corrected "
            f"from {old['arr_delay']} to {new['arr_delay']} minutes and its plane from "
            f"{old['tailnum']} to {new['tailnum']}, in a session of SQLAlchemy: two attributes of an "
            "object, and a commit. Nobody says what that makes wrong."
        )
        grid = _grid("answer", "what", "before", "after", "")
        moved = sorted({tag for affected in change.affected for tag in affected.by})
        for affected in change.affected:
            again = "loaded again" if affected.key in change.reloaded else "NOT LOADED AGAIN"
            grid.add_row(
                affected.title,
                affected.what,
                _short(affected.before),
                _short(affected.after),
                again,
            )
        self._console.print(grid)
        self.say(f"They fell by {', '.join(moved)}.")
        heard = "never" if change.heard is None else f"{change.heard * 1e3:.1f} ms after the write"
        self.say(
            f"{len(change.reloaded)} answers were loaded again, {change.asked - len(change.reloaded)} "
            f"stayed as they were. A second cache dropped the old answer {heard} and then needed "
            f"{change.loads_elsewhere} loads of its own. The flight was put back in the same way."
        )

    def _pages(self, fallen: Fallen, plan: Plan) -> None:
        it = plan.flight
        self.say(
            f"Flight {it['carrier']} {it['flight']} (number {it['id']}) is {plan.changed['arr_delay']} "
            f"minutes late instead of {it['arr_delay']}: `flight.arr_delay = …`, and a commit."
        )
        self._console.print(showing.layers(fallen))
        self.say(showing.page_story(fallen))

    def _checks(self, checks: list[Check]) -> None:
        for check in checks:
            mark = "[green]✓[/green]" if check.holds else "[bold red]✗ FAILED:[/bold red]"
            self.say(f"{mark} {check.claim}")
        failed = sum(not check.holds for check in checks)
        self.head(f"{failed} of {len(checks)} checks failed" if failed else "All checks hold.")


class _Loading:
    """Shows how far each table has come."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(
        self, table: data.Table, total: int, rows: Iterable[tuple[data.Value, ...]]
    ) -> Iterable[tuple[data.Value, ...]]:
        return self._progress.track(rows, total=total, description=table.name)


def as_json(findings: Findings, loaded: Loaded, database: str) -> str:
    """Everything found, for programs: times in seconds."""
    found = {"database": database, "loaded": asdict(loaded), **asdict(findings)}
    return json.dumps(found | {"all_hold": findings.all_hold}, indent=2, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} in the findings")


def _grid(first: str, *others: str) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column(first, no_wrap=True)
    for name in others:
        grid.add_column(name, justify="right", no_wrap=True, max_width=17)
    return grid


def _short(value: data.Value) -> str:
    """At most 14 characters, so that before and after fit on one line."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if len(text) <= 14 else f"{text[:13]}…"
