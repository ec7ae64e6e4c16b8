"""Measures cachewright beside its peers and says which targets are reached.

    make bench                             all rows
    make bench ARGS="1 2 l2-async"         some, by number or name
    make bench ARGS="--quick"              a fraction of the rounds, and no case that fills millions of keys
    make bench ARGS="--write"              writes docs/explanation/benchmarks.md, its data and its charts

What must not be here: how anything is measured.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.catalogue import ROWS
from benchmarks.rows import Row
from benchmarks.running import Size, measure
from benchmarks.verdicts import Data, summary

DOCS = Path("docs/explanation")


def main() -> int:
    """The command; 1 if a row could not be measured. A missed target is a result and no failure."""
    options = _options()
    rows = _chosen(options.rows)
    size = Size(
        rounds=options.rounds or (15 if options.quick else 61),
        quick=options.quick,
        seed=options.seed,
    )
    results, failed = _measured(rows, size, quiet=options.json)
    data = report.document(results, size)
    _keep(data, Path(options.out))
    if options.write:
        _keep(data, DOCS, images="images", formats=("svg",))
    if options.json:
        print(json.dumps(data, indent=1))
    for each in failed:
        print(each, file=sys.stderr)
    return 1 if failed else 0


def _measured(rows: list[Row], size: Size, *, quiet: bool) -> tuple[list[Data], list[str]]:
    results, failed = [], []
    for number, row in enumerate(rows, 1):
        print(f"[{number}/{len(rows)}] {row.number} {row.name}", file=sys.stderr, flush=True)
        try:
            results.append(summary(row, measure(row, size)))
        except RuntimeError as error:
            failed.append(str(error))
        else:
            if not quiet:
                print(report.as_text(results[-1]), flush=True)
    return results, failed


def _keep(
    data: Data, place: Path, *, images: str = ".", formats: tuple[str, ...] = ("svg", "png")
) -> None:
    """Data, page and charts in `place`; rows that were measured earlier and not now stay."""
    from benchmarks import charts

    place.mkdir(parents=True, exist_ok=True)
    kept = place / "benchmarks.json"
    whole = report.merged(json.loads(kept.read_text()), data) if kept.exists() else data
    kept.write_text(json.dumps(whole, indent=1) + "\n")
    (place / "benchmarks.md").write_text(report.as_page(whole, images))
    charts.draw(whole, place / images, formats=formats)


def _chosen(wanted: list[str]) -> list[Row]:
    known = {name for row in ROWS for name in (str(row.number), row.name)}
    if unknown := [name for name in wanted if name not in known]:
        names = ", ".join(f"{row.number} {row.name}" for row in ROWS)
        sys.exit(f"no row {', '.join(unknown)}; there are: {names}")
    return [row for row in ROWS if not wanted or {str(row.number), row.name} & set(wanted)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="numbers or names of rows; without any, all")
    parser.add_argument("--rounds", type=int, help="how often each case is measured")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--out", default="build/bench", help="folder for data, table and charts")
    parser.add_argument("--write", action="store_true", help="write the page of the docs as well")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
