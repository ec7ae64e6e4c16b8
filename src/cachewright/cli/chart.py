"""Hit ratio over cache size, drawn by matplotlib, which is imported nowhere else in the package.

What must not be here: any number that was not given.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

from cachewright.cli.hit_ratios import OURS, share, title
from cachewright.errors import ConfigurationError
from cachewright.simulation import OPT, POLICIES, Outcome

_SUFFIXES = (".svg", ".png")
_APART = 0.09
"""Of the axis' length, between two labels below it."""
_INK = "#333333"
_OURS = "#c2410c"
_COLOURS = ("#2563eb", "#059669", "#7c3aed", "#0891b2", "#a16207", "#be185d", "#64748b", "#4d7c0f")
_LOOKS = dict(
    zip(
        (name for name in POLICIES if name != OURS),
        zip(_COLOURS, "os^Dv<>P", strict=True),
        strict=True,
    )
)


def check(path: Path) -> None:
    """Raise `ConfigurationError` if no chart could be drawn into `path`."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{path} is neither .svg nor .png")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path.parent} is no folder")
    try:
        import_module("matplotlib")
    except ImportError:
        raise ConfigurationError(
            "a chart needs matplotlib: pip install 'cachewright[bench]'"
        ) from None


def draw(outcome: Outcome, path: Path) -> None:
    """Write the chart into `path`, as its suffix says. Policies with the same hits share a line."""
    figure = import_module("matplotlib.figure").Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    plot(axes, outcome)
    figure.legend(loc="outside right center", frameon=False, fontsize=8.5)
    # No date and no random ids: the same outcome gives the same file.
    with import_module("matplotlib").rc_context({"svg.hashsalt": "cachewright"}):
        svg = path.suffix.lower() == ".svg"
        figure.savefig(path, dpi=150, metadata={"Date": None} if svg else None)


def plot(axes: Any, outcome: Outcome) -> None:
    """Draw the lines of one outcome into matplotlib axes."""
    for name, style in styles(outcome):
        heights = [100 * ratio for ratio in outcome.ratios(name)]
        axes.plot(outcome.sizes, heights, label=_label(outcome, name), **style)
    if len(outcome.sizes) > 1:
        axes.set_xscale("log")
    axes.set_xticks(outcome.sizes, _ticks(outcome), fontsize=8.5)
    axes.minorticks_off()
    axes.set_ylim(bottom=-0.015 * axes.get_ylim()[1])  # a line at 0 stays in sight
    axes.set_xlabel("entries (share of the different keys)")
    axes.set_ylabel("hit ratio, % of requests")
    axes.set_title(
        f"{outcome.trace}: {outcome.requests:,} requests", loc="left", fontsize=11, color=_INK
    )
    axes.grid(visible=True, axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _ticks(outcome: Outcome) -> list[str]:
    """What stands below each size; nothing where two would overlap."""
    places = [math.log(size) for size in outcome.sizes]
    apart, last, found = _APART * (places[-1] - places[0]), -math.inf, []
    for place, size in zip(places, outcome.sizes, strict=True):
        shown = place - last >= apart
        last = place if shown else last
        found.append(f"{size:,}\n({share(outcome, size)})" if shown else "")
    return found


def styles(outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
    """The lines to draw, highest first in the legend, each with how it looks."""
    names = sorted(_distinct(outcome), key=outcome.mean_gap)
    found = []
    for name in names:
        if name == OPT:
            style = {"color": _INK, "linestyle": "--", "linewidth": 1.4}
        elif name == OURS:
            style = {"color": _OURS, "linewidth": 2.6, "marker": "o", "zorder": 5}
        else:
            colour, marker = _LOOKS[name]  # one look for a policy in every chart
            style = {"color": colour, "linewidth": 1.2, "marker": marker, "markersize": 4.5}
        found.append((name, style))
    return found


def _distinct(outcome: Outcome) -> list[str]:
    first: dict[tuple[int, ...], str] = {}
    for name, hits in outcome.hits.items():
        first.setdefault(hits, name)
    kept = set(first.values()) | {OURS} & outcome.hits.keys()
    return [name for name in outcome.hits if name in kept]


def _label(outcome: Outcome, name: str) -> str:
    alike = [
        other
        for other, hits in outcome.hits.items()
        if other == name or (hits == outcome.hits[name] and other not in _distinct(outcome))
    ]
    return "\n= ".join(title(other) for other in alike)
