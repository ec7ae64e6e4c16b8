"""The pages and the comparison matrix for people, with rich. What must not be here: anything that is found out rather than told."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from demo.doors import SQL
from demo.matrix import Crash, Freshness, Latency, Pattern
from demo.results import Fallen, Layer

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


# -------------------------------------------------------------------- pages

PAGES = "Pages of fragments of objects of queries, and one flight is delayed"
_MOST = 8
"""So many names of a layer are told, where there are more."""


def layers(fallen: Fallen) -> Grid:
    """What fell and what stayed, layer by layer."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("layer", no_wrap=True)
    for name in ("entries", "stayed", "fell", "of them\nthe same"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("what fell")
    for layer in fallen.layers:
        grid.add_row(
            f"{layer.name}s" if layer.name != "query" else "queries",
            f"{layer.entries:,}",
            f"{layer.entries - len(layer.fell):,}",
            f"{len(layer.fell):,}",
            f"{len(layer.same):,}",
            _names(layer),
        )
    return grid


def _names(layer: Layer) -> str:
    told = [f"{name} (same)" if name in layer.same else name for name in layer.fell]
    more = [f"and {len(told) - _MOST} more"] if len(told) > _MOST else []
    missed = [f"[bold red]NOT {name}[/bold red]" for name in layer.missed]
    return "\n".join([*told[:_MOST], *more, *missed])


def page_story(fallen: Fallen) -> str:
    """How long the pages took, and what the second cache did."""
    heard = "never" if fallen.heard is None else f"at most {fallen.heard * 1e3:.0f} ms later"
    return (
        f"{len(fallen.pages)} pages took {fallen.uncached * 1e3:,.0f} ms without a cache, "
        f"{fallen.cold * 1e3:,.0f} ms with an empty one (which asked the database {fallen.loads_cold:,} times), "
        f"{fallen.warm * 1e3:.2f} ms with a warm one and {fallen.again * 1e3:,.0f} ms after the write "
        f"(asked {fallen.loads:,} times). A second cache had dropped the same entries {heard}. "
        "[i]the same[/i]: made anew though nothing in it is different, as the list of a day's flights whose order a "
        "delay might have changed."
    )
