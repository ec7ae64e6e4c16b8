"""One chart a row, from results: bars, the best first, or lines over a size.

What must not be here: numbers that are not in the results, and the choice of what is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.report import in_order, number, scaled
from benchmarks.verdicts import Data

COLOURS = {"ours": "#0b6e99", "peer": "#c9b79c", "floor": "#8a8f94"}
LEGEND = {"ours": "cachewright", "peer": "peer", "floor": "does less than a cache must"}
_LINES = ("#0b6e99", "#c2571a", "#4a7c3f")
_MARKS = ("o", "s", "^")
_LOG_ABOVE = 20.0
"""Ratio of the largest to the smallest bar from which on an axis is logarithmic."""


def draw(data: Data, place: Path, *, formats: tuple[str, ...]) -> None:
    """Write `bench-<row>.<format>` for each row; says so where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        print(f"charts are missing: {error}")
        return
    mpl.use("Agg")
    # The same results give the same file: no random ids, no date.
    mpl.rcParams.update({"svg.hashsalt": "cachewright", "font.size": 9, "svg.fonttype": "none"})
    place.mkdir(parents=True, exist_ok=True)
    for row in data["rows"]:
        if any("median" in case for case in row["cases"]):
            _save(_lines(row) if row["axis"] else _bars(row), place, row["name"], formats)


def _save(figure: Any, place: Path, name: str, formats: tuple[str, ...]) -> None:
    from matplotlib import pyplot as plt

    for each in formats:
        metadata = {"Date": None} if each == "svg" else None
        figure.savefig(place / f"bench-{name}.{each}", dpi=110, metadata=metadata)
    plt.close(figure)


def _bars(row: Data) -> Any:
    from matplotlib import pyplot as plt

    cases = [case for case in in_order(row) if "median" in case][::-1]
    unit, divisor = scaled(row)
    values = [case["median"] / divisor for case in cases]
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.3 * len(cases)), layout="constrained")
    spread = _spread(cases, divisor)
    colours = [COLOURS[case["kind"]] for case in cases]
    bars = axes.barh(
        [case["name"] for case in cases],
        values,
        xerr=spread,
        color=colours,
        height=0.72,
        error_kw={"ecolor": "#444444", "elinewidth": 0.8},
    )
    logarithmic = max(values) > _LOG_ABOVE * min(values)
    ends = [value + above for value, above in zip(values, spread[1], strict=True)]
    _scale(axes, values, ends, logarithmic=logarithmic)
    for bar, case, end in zip(bars, cases, ends, strict=True):
        middle = bar.get_y() + bar.get_height() / 2
        axes.annotate(
            _label(case, divisor),
            (end, middle),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    _finish(axes, row, f"{unit}{', logarithmic' if logarithmic else ''}")
    _legend(axes, cases)
    return figure


def _spread(cases: list[Data], divisor: float) -> list[list[float]]:
    """From the median to the quartiles."""
    below = [(case["median"] - case["quartiles"][0]) / divisor for case in cases]
    above = [(case["quartiles"][1] - case["median"]) / divisor for case in cases]
    return [[max(0.0, it) for it in below], [max(0.0, it) for it in above]]


def _scale(axes: Any, values: list[float], ends: list[float], *, logarithmic: bool) -> None:
    """Room for the labels to the right of the longest bar."""
    if not logarithmic:
        axes.set_xlim(0, max(ends) * 1.3)
        return
    least = min(values) / 2
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlim(least, least * (max(ends) / least) ** 1.35)


def _label(case: Data, divisor: float) -> str:
    ratio = f"  ({number(case['ratio'])} ×)" if "ratio" in case else ""
    loads = case.get("counts", {}).get("loads")
    errors = case.get("counts", {}).get("errors")
    told = f"   {_plural(loads[0], 'load')}" if loads else ""
    told += f", {_plural(errors[0], 'error')}" if errors and errors[0] else ""
    return f"{number(case['median'] / divisor)}{ratio}{told}"


def _plural(count: float, what: str) -> str:
    return f"{number(count)} {what}{'s' * (count != 1)}"


def _finish(axes: Any, row: Data, unit: str) -> None:
    better = "more is better" if row["higher is better"] else "less is better"
    axes.set_xlabel(f"{unit}; {better}")
    axes.figure.supxlabel(
        f"(×): of {row['reference']}, the median over the rounds. Whiskers: quartiles.",
        x=0.01,
        ha="left",
        fontsize=8,
    )
    _title(axes, row)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.01)


def _title(axes: Any, row: Data) -> None:
    title = f"{row['number']}. {row['title']}"
    axes.figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def _legend(axes: Any, cases: list[Data]) -> None:
    from matplotlib.patches import Patch

    kinds = [kind for kind in COLOURS if any(case["kind"] == kind for case in cases)]
    if len(kinds) > 1:
        handles = [Patch(color=COLOURS[kind], label=LEGEND[kind]) for kind in kinds]
        axes.figure.legend(
            handles=handles, loc="outside upper right", ncols=len(kinds), frameon=False, fontsize=8
        )


def _lines(row: Data) -> Any:
    from matplotlib import pyplot as plt

    unit, divisor = scaled(row)
    cases = [case for case in row["cases"] if "median" in case]
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    for name, colour, mark in zip(
        dict.fromkeys(it["line"] for it in cases), _LINES, _MARKS, strict=False
    ):
        _line(axes, [it for it in cases if it["line"] == name], divisor, (colour, mark))
    places = sorted({case["at"] for case in cases})
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{int(place):,}" for place in places])
    axes.minorticks_off()
    axes.set_xlim(places[0] / 1.15, places[-1] * (places[-1] / places[0]) ** 0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(row["axis"])
    axes.set_ylabel(f"{unit} a call; bars are quartiles")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _title(axes, row)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def _line(axes: Any, cases: list[Data], divisor: float, style: tuple[str, str]) -> None:
    values = [case["median"] / divisor for case in cases]
    axes.errorbar(
        [case["at"] for case in cases],
        values,
        yerr=_spread(cases, divisor),
        color=style[0],
        marker=style[1],
        capsize=3,
        label=cases[0]["line"],
    )
    for case, value in zip(cases, values, strict=True):
        text = number(value)
        if case is not cases[0]:
            text += f"  ({number(value / values[0])} ×)"
        axes.annotate(
            text,
            (case["at"], value),
            xytext=(5, 6),
            textcoords="offset points",
            fontsize=8,
            color=style[0],
        )
