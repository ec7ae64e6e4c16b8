"""Percentiles of what was measured, in words and in milliseconds.

What must not be here: targets.
"""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` (0 to 1) of the values do not exceed; NaN without values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max of seconds, as milliseconds for people."""
    shares = {"p50, ms": 0.5, "p99, ms": 0.99, "max, ms": 1.0}
    return {name: round(percentile(values, share) * 1000, 2) for name, share in shares.items()}


def missed(what: str, seconds: float, target: float) -> tuple[str, ...]:
    """One sentence if `seconds` exceed `target`, else none."""
    if seconds <= target:
        return ()
    return (f"{what} {seconds * 1000:.1f} ms, target {target * 1000:g} ms",)
