"""The comparison matrix for people, with rich. What must not be here: anything that is found out rather than told."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from demo.doors import SQL
from demo.matrix import Crash, Freshness, Latency, Pattern

HEAD = "The patterns, measured"
_COLUMNS = (
    "read µs\nhot",
    "\ncold",
    "write\nµs",
    "× SQL\n",
    "others see\nthe old row",
    "old right after\nhere/other/SQL",
    "lost by\nkill -9",
)
_LEGEND = (
    "Medians. [i]hot[/i]: a row in the process's own memory; [i]cold[/i]: one that is cached nowhere; [i]write[/i]: until it is "
    "acknowledged, and [i]× SQL[/i] beside a committed UPDATE (SQLAlchemy Core) in the same rounds. Cache-aside, "
    "read-through and refresh-ahead write by their own SQL inside `writing`. [i]old right after[/i]: "
    "reads of the old row right after {writes} writes, by the cache that wrote, by a second one, by plain SQL; "
    "{heard}. [i]lost[/i]: the "
    "writing process and the cache server got kill -9; the server started again from its log (`appendonly yes`, "
    "`appendfsync everysec`), and another worker went on."
)


def matrix(patterns: Sequence[Pattern]) -> Grid:
    """The matrix as a table."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("pattern", no_wrap=True)
    for name in _COLUMNS:
        grid.add_column(name, justify="right", no_wrap=True)
    for each in patterns:
        grid.add_row(
            each.name,
            *_latency(each.latency),
            each.guarantee,
            _freshness(each.freshness),
            _crash(each),
        )
    return grid


def legend(patterns: Sequence[Pattern]) -> str:
    """What the columns mean."""
    seen = [it.freshness for it in patterns if it.freshness is not None]
    writes = max((it.writes for it in seen), default=0)
    return _LEGEND.format(writes=writes, heard=_heard([it.heard for it in seen]))


def _heard(longest: Sequence[float | None]) -> str:
    in_time = [seconds for seconds in longest if seconds is not None]
    if len(in_time) < len(longest):
        return "the second one was not always right in time"
    return (
        f"the second one was right at most {max(in_time, default=0.0) * 1e3:.1f} ms after a write"
    )


def _latency(it: Latency | None) -> tuple[str, str, str, str]:
    if it is None:
        return ("", "", "", "")
    micros = (it.hot * 1e6, it.cold * 1e6, it.write * 1e6)
    hot, cold, write = (f"{each:.1f}" if each < 100 else f"{each:,.0f}" for each in micros)
    return hot, cold, write, f"{it.compared:.2f}"


def _freshness(it: Freshness | None) -> str:
    if it is None:
        return ""
    return f"{it.here}, {it.elsewhere}, {it.in_sql}"


def _crash(each: Pattern) -> str:
    if each.crash is not None:
        return _lost(each.crash)
    return "" if each.name == SQL else "as above"


def _lost(it: Crash) -> str:
    return f"{it.lost} of {it.acknowledged}"
