"""The comparison matrix for people, with rich. What must not be here: anything that is found out rather than told."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from demo.doors import ASIDE, SQL
from demo.matrix import Crash, Freshness, Latency, Pattern

HEAD = "The patterns, measured"
_COLUMNS = (
    "read µs\nhot",
    "\ncold",
    "write\nµs",
    "× SQL\n",
    "others see the\nold row for",
    "old reads right after\nhere, elsewhere, SQL",
    "lost of\nacknowledged",
)
LEGEND = (
    "Medians. [i]hot[/i]: a row in the process's own memory; [i]cold[/i]: one that is cached nowhere; [i]write[/i]: until it is "
    "acknowledged, and [i]× SQL[/i] beside a committed UPDATE (SQLAlchemy Core) in the same rounds. Cache-aside, "
    "read-through and refresh-ahead write by their own SQL inside `writing`. [i]old reads[/i]: rows that were still old "
    "right after each of some writes, for the cache that wrote, for a second one, for plain SQL. [i]lost[/i]: the "
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


def _latency(it: Latency | None) -> tuple[str, str, str, str]:
    if it is None:
        return ("", "", "", "")
    micros = (it.hot * 1e6, it.cold * 1e6, it.write * 1e6)
    hot, cold, write = (f"{each:.1f}" if each < 100 else f"{each:,.0f}" for each in micros)
    return hot, cold, write, f"{it.compared:.2f}"


def _freshness(it: Freshness | None) -> str:
    if it is None:
        return ""
    return f"{it.here}, {it.elsewhere}, {it.in_sql} of {it.writes}"


def _crash(each: Pattern) -> str:
    if each.crash is not None:
        return _lost(each.crash)
    return "" if each.name == SQL else f"as {ASIDE}"


def _lost(it: Crash) -> str:
    return f"{it.lost} of {it.acknowledged}"
