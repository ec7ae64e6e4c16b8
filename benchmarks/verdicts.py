"""Samples become medians, ratios and verdicts: plain data, as it is written to JSON.

A ratio is the median of the ratios within each round, so that what slows a whole round down cancels out.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from benchmarks.rows import Case, Row, Sample, Target
from benchmarks.running import Samples

Data = dict[str, Any]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds of ours / theirs."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=False) if b]
    return median(pairs) if pairs else float("nan")


def summary(row: Row, samples: Samples) -> Data:
    """A row's outcome."""
    values = {name: [it.value for it in found] for name, found in samples.by_case.items()}
    return {
        "number": row.number,
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "higher is better": row.higher_is_better,
        "reference": row.reference,
        "pinned": row.pinned,
        "clock": row.clock,
        "note": row.note,
        "axis": row.axis,
        "cases": [_case(case, row, samples, values) for case in row.cases],
        "targets": [_verdict(target, row, samples, values) for target in row.targets],
    }


def _case(case: Case, row: Row, samples: Samples, values: dict[str, list[float]]) -> Data:
    data: Data = {"name": case.name, "kind": case.kind}
    if case.at is not None:
        data |= {"line": case.at[0], "at": case.at[1]}
    if case.name not in values:
        return data | {"missing": samples.missing.get(case.name, "not measured")}
    found = values[case.name]
    low, _, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    data |= {"median": median(found), "quartiles": [low, high], "rounds": len(found)}
    if row.reference in values:
        data["ratio"] = ratio(found, values[row.reference])
    counts = samples.by_case[case.name]
    if counts[0].counts:
        data["counts"] = {key: _count(counts, key) for key in counts[0].counts}
    return data


def _count(samples: Sequence[Sample], key: str) -> list[float]:
    """(median, least, most) of what was counted."""
    counted = [it.counts[key] for it in samples]
    return [median(counted), min(counted), max(counted)]


def _verdict(target: Target, row: Row, samples: Samples, values: dict[str, list[float]]) -> Data:
    data: Data = {
        "case": target.case,
        "limit": target.limit,
        "at least": target.at_least,
        "goal": target.goal,
        "count": target.count,
    }
    there = [name for name in target.against if name in values]
    if target.case not in values or (target.against and not there):
        absent = target.case if target.case not in values else ", ".join(target.against)
        why = samples.missing.get(target.case, "")
        return data | {"verdict": "not measured", "what": target.what or f"{absent} {why}".strip()}
    best = _best(row, there, values)
    measured = _measured(target, best, samples, values)
    reached = measured >= target.limit if target.at_least else measured <= target.limit
    data |= {"what": target.what or _spelled(target, best), "against": best, "measured": measured}
    return data | {"verdict": "reached" if reached else "missed"}


def _best(row: Row, names: Sequence[str], values: dict[str, list[float]]) -> str:
    choose = max if row.higher_is_better else min
    return choose(names, key=lambda name: median(values[name]), default="")


def _measured(target: Target, best: str, samples: Samples, values: dict[str, list[float]]) -> float:
    if target.count:
        counted = [it.counts[target.count] for it in samples.by_case[target.case]]
        return min(counted) if target.at_least else max(counted)
    if best:
        return ratio(values[target.case], values[best])
    return median(values[target.case])


def _spelled(target: Target, best: str) -> str:
    if target.count:
        return target.count
    return f"× {best}" if best else "itself"
