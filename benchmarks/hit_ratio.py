"""`python -m benchmarks.hit_ratio TRACE... [--out DIR]`: hit ratios beside the peers and OPT, and L1's speed.

What must not be here: replaying (`cachewright.simulation`), mixes (`benchmarks.mixes`), and any
number that this run has not measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.mixes import MIXES, REQUESTS, SEED, mix
from cachewright.cli import chart
from cachewright.cli.hit_ratios import share, title
from cachewright.errors import CacheError
from cachewright.simulation import (
    OPT,
    POLICIES,
    Outcome,
    ReplacementPolicy,
    Size,
    Trace,
    installed,
    read_sizes,
    read_trace,
    simulate,
)

OURS = "cachewright"
TOLERANCE = 0.5
"""Points that we may be below LRU in any cell."""
ROUNDS = 15
CALLS = 20_000
"""Calls of each contestant in each round of the measurement of speed."""
ENTRIES = 10_000
Access = Callable[[str], object]
Contestants = dict[str, tuple[Access, Callable[[], Sequence[str]]]]
"""Name → what is called for each key, and what gives the keys of the next round."""


# ------------------------------------------------------------------------------- hit ratios


def below_lru(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The cells in which we are more than `TOLERANCE` points below LRU."""
    return [
        {"trace": outcome.trace, "entries": size, "points": round(ours - theirs, 3)}
        for outcome in outcomes
        for size, ours, theirs in zip(
            outcome.sizes, outcome.gaps(OURS), outcome.gaps("lru"), strict=True
        )
        if ours - theirs > TOLERANCE
    ]


def ahead_of(peer: str, outcomes: Iterable[Outcome]) -> dict[str, int] | None:
    """In how many cells we have more hits than a peer, as many, and fewer; None if it is not here."""
    pairs = [
        (ours, theirs)
        for outcome in outcomes
        if peer in outcome.hits
        for ours, theirs in zip(outcome.hits[OURS], outcome.hits[peer], strict=True)
    ]
    if not pairs:
        return None
    return {
        "ahead": sum(ours > theirs for ours, theirs in pairs),
        "level": sum(ours == theirs for ours, theirs in pairs),
        "behind": sum(ours < theirs for ours, theirs in pairs),
    }


def judged(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What a set of outcomes says: mean gaps to OPT in points, cells below LRU, cells ahead of peers."""
    names = outcomes[0].hits if outcomes else {}
    gaps = {name: mean(gap for it in outcomes for gap in it.gaps(name)) for name in names}
    return {
        "cells": sum(len(outcome.sizes) for outcome in outcomes),
        "mean_gap_to_opt": {
            name: round(gaps[name], 3) for name in sorted(gaps, key=gaps.__getitem__)
        },
        "below_lru": below_lru(outcomes),
        "ahead_of_theine": ahead_of("theine", outcomes),
        "ahead_of_moka": ahead_of("moka", outcomes),
    }


# ------------------------------------------------------------------------------- speed


def hits() -> Contestants:
    """Contestants for a hit: each warm, all asked for the same keys in the same order."""
    keys = [f"object:{number}" for number in range(ENTRIES // 2)]
    asked = [*islice((key for _ in count() for key in keys), CALLS)]
    remembered = lru_cache(maxsize=ENTRIES)(lambda key: key)
    warm: dict[str, Access] = {"functools.lru_cache": remembered}
    warm |= {name: POLICIES[name].build(ENTRIES) for name in contestants_here()}
    for access in warm.values():
        for key in keys:
            access(key)
    return {name: (access, lambda: asked) for name, access in warm.items()}


def misses() -> Contestants:
    """Contestants for a miss with the set that follows: each full, each key new to it."""
    found: Contestants = {}
    for name in contestants_here():
        access = POLICIES[name].build(ENTRIES)
        fresh = (f"object:{number}" for number in count())
        for key in islice(fresh, 2 * ENTRIES):
            access(key)
        found[name] = (access, _next(fresh))
    return found


def contestants_here() -> list[str]:
    """The policies whose speed is measured: ours and the installed peers', not the reference ones."""
    peers = (it for it in POLICIES.values() if it.package and installed(it))
    return [OURS, *(policy.name for policy in peers)]


def _next(keys: Iterator[str]) -> Callable[[], Sequence[str]]:
    return lambda: [*islice(keys, CALLS)]


def timed(contestants: Contestants) -> dict[str, float]:
    """Median nanoseconds of processor time for one call of each, in rounds that take all in turn.

    Time of this thread alone: what else the machine is busy with does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # what the replays left is not to be walked through by collections in here
    for number in range(ROUNDS):
        names = list(contestants)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            access, keys = contestants[name]
            asked = keys()
            start = time.thread_time_ns()
            for key in asked:
                access(key)
            taken[name].append((time.thread_time_ns() - start) / len(asked))
    gc.unfreeze()
    return {name: round(median(times), 1) for name, times in taken.items()}


def speed() -> dict[str, Any]:
    """Hit and miss-with-set of every contestant, on one core, and whether the targets are reached."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed:
        os.sched_setaffinity(0, {max(allowed)})
    try:
        hit, miss = timed(hits()), timed(misses())
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)
    return {
        "hit_ns": hit,
        "miss_and_set_ns": miss,
        "targets": [
            target("hit", hit, beside="functools.lru_cache", limit=2.5),
            target("miss + set", miss, beside="cachetools-lru", limit=1.8),
        ],
    }


def target(what: str, times: dict[str, float], *, beside: str, limit: float) -> dict[str, Any]:
    """Our time as a multiple of another's, and whether it is within the limit; None if that is missing."""
    ratio = times[OURS] / times[beside] if beside in times else None
    return {
        "what": what,
        "beside": beside,
        "limit": limit,
        "ratio": None if ratio is None else round(ratio, 3),
        "reached": None if ratio is None else ratio <= limit,
    }


# ------------------------------------------------------------------------------- the report


def markdown(result: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    """The whole result as a page."""
    lines = ["# Hit ratio", "", *_surroundings(result), ""]
    for name, verdict in result["verdicts"].items():
        lines += [f"## {name}: {verdict['cells']} cells", "", *_verdict(verdict), ""]
    lines += ["## Speed of L1 under replay, ns, median", "", *_speed(result["speed"]), ""]
    for outcome in outcomes:
        lines += [*_cells(outcome), ""]
    return "\n".join(lines)


def _surroundings(result: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield f"Python {result['python']}; {versions}. Mixes: seed {result['seed']}."
    yield f"Missing here: {', '.join(result['not_installed']) or 'nothing'}."


def _verdict(verdict: dict[str, Any]) -> Iterator[str]:
    yield from _grid(
        ["policy", "mean gap to OPT, points"],
        ([title(name), f"{gap:.2f}"] for name, gap in verdict["mean_gap_to_opt"].items()),
    )
    yield ""
    for peer in ("theine", "moka"):
        score = verdict[f"ahead_of_{peer}"]
        yield f"- Beside {peer}: " + (
            "not installed" if score is None else ", ".join(f"{n} {k}" for k, n in score.items())
        )
    below = verdict["below_lru"]
    yield f"- More than {TOLERANCE} points below LRU: {len(below)} cells" + (":" if below else "")
    for cell in below:
        yield f"    - {cell['trace']} at {cell['entries']:,}: {cell['points']:.2f} points"


def _speed(result: dict[str, Any]) -> Iterator[str]:
    hit, miss = result["hit_ns"], result["miss_and_set_ns"]
    yield from _grid(
        ["", "hit", "miss + set"],
        ([name, f"{hit[name]:.0f}", f"{miss[name]:.0f}" if name in miss else ""] for name in hit),
    )
    yield ""
    for it in result["targets"]:
        if it["ratio"] is None:
            yield f"- {it['what']}: not judged, {it['beside']} is missing"
        else:
            word = "reached" if it["reached"] else "MISSED"
            yield f"- {it['what']}: {it['ratio']:.2f} × {it['beside']}, target ≤ {it['limit']}: {word}"


def _cells(outcome: Outcome) -> Iterator[str]:
    yield f"### {outcome.trace}: {outcome.requests:,} requests, {outcome.unique:,} keys"
    yield ""
    sizes = [f"{size:,} ({share(outcome, size)})" for size in outcome.sizes]
    yield from _grid(
        ["hit ratio, %", *sizes, "mean gap"],
        (
            [
                title(name),
                *(f"{100 * it:.2f}" for it in outcome.ratios(name)),
                f"{outcome.mean_gap(name):.2f}",
            ]
            for name in sorted(outcome.hits, key=outcome.mean_gap)
        ),
    )


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def draw(result: dict[str, Any], outcomes: Sequence[Outcome], folder: Path) -> None:
    """One chart for each trace, and one of the mean gaps, as SVG and as PNG."""
    for outcome in outcomes:
        stem = outcome.trace.split(".u32")[0].replace(" ", "-")
        for suffix in ("svg", "png"):
            chart.draw(outcome, folder / f"hit-ratio-{stem}.{suffix}")
    verdicts = result["verdicts"]
    figure = import_module("matplotlib.figure").Figure(
        figsize=(4.5 * len(verdicts), 3.6), layout="constrained"
    )
    for axes, (name, verdict) in zip(
        figure.subplots(1, len(verdicts), squeeze=False)[0], verdicts.items(), strict=True
    ):
        _gaps(axes, f"{name}, {verdict['cells']} cells", verdict["mean_gap_to_opt"])
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"gap-to-opt.{suffix}", dpi=150)


def _gaps(axes: Any, heading: str, gaps: dict[str, float]) -> None:
    names = [name for name in gaps if name != OPT][::-1]
    colours = ["#c2410c" if name == OURS else "#94a3b8" for name in names]
    bars = axes.barh([title(name) for name in names], [gaps[n] for n in names], color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8.5)
    axes.set_title(heading, loc="left", fontsize=11)
    axes.set_xlabel("mean gap to OPT, points (less is better)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


# ------------------------------------------------------------------------------- the run


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the run is complete, whatever it found; 2 for input that cannot be used."""
    options = _options(arguments)
    try:
        sizes = read_sizes(options.sizes)
        recorded = [read_trace(path) for path in options.traces]
    except CacheError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    policies = [policy for policy in POLICIES.values() if installed(policy)]
    drawn = [mix(name, requests=options.requests, seed=options.seed) for name in MIXES]
    groups = {
        "Recorded traces": replayed(recorded, policies, sizes),
        "Synthetic mixes": replayed(drawn, policies, sizes),
    }
    result = summed_up({name: group for name, group in groups.items() if group}, options.seed)
    _write(result, [it for group in groups.values() for it in group], options.out)
    return 0


def replayed(
    traces: Sequence[Trace], policies: Sequence[ReplacementPolicy], sizes: Sequence[Size]
) -> list[Outcome]:
    """Each trace through each policy at each size; a bar on stderr where somebody watches."""
    console, found = Console(stderr=True), []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for trace in traces:
            entries = sorted({size.entries(trace.unique) for size in sizes})
            total = len(trace.ids) * len(entries) * (len(policies) + 1)
            task = progress.add_task(trace.name, total=total)
            found.append(
                simulate(trace, policies, entries, progress=partial(progress.advance, task))
            )
    return found


def summed_up(groups: dict[str, list[Outcome]], seed: int) -> dict[str, Any]:
    """All that the run found, ready for JSON."""
    versions = {it.package: it.version() for it in POLICIES.values() if installed(it)}
    return {
        "python": platform.python_version(),
        "versions": {name: number for name, number in versions.items() if name},
        "not_installed": [it.name for it in POLICIES.values() if not installed(it)],
        "seed": seed,
        "verdicts": {name: judged(group) for name, group in groups.items()},
        "speed": speed(),
        "outcomes": [asdict(outcome) for group in groups.values() for outcome in group],
    }


def _write(result: dict[str, Any], outcomes: Sequence[Outcome], folder: Path) -> None:
    page = markdown(result, outcomes)
    (folder / "hit-ratio.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / "hit-ratio.md").write_text(page, encoding="utf-8")
    draw(result, outcomes, folder)
    print(page)
    print(f"Data, page and charts: {folder}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hit_ratio", description=__doc__)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE")
    parser.add_argument("--out", type=Path, default=Path("build/bench/hit-ratio"), metavar="DIR")
    parser.add_argument("--sizes", default="1%,5%,10%,25%", help="entries, or %% of the keys")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each synthetic mix")
    parser.add_argument("--seed", type=int, default=SEED, help="of the synthetic mixes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
