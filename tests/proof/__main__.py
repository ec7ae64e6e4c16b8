"""Runs experiments and says how they ended.

    make prove                                 all of them, at full size
    make prove ARGS="stale_set --size ci"      one, as the tests run it
    make prove ARGS="--seed 7 --write"         replays a seed, and writes docs/explanation/proof.md

What must not be here: the experiments (`catalogue` lists them), and the table (`report`).
"""

from __future__ import annotations

import argparse
import secrets
import sys

from proof import report
from proof.catalogue import EXPERIMENTS
from proof.experiment import Experiment, Run
from proof.running import run


def main() -> int:
    """The command; 1 if any experiment failed."""
    options = _options()
    failed = 0
    for experiment in _chosen(options.names):
        print(f"\n==> {experiment.name}: {experiment.what}  (seed {options.seed})", flush=True)
        outcome = run(experiment, Run(options.size, options.seed), with_peers=not options.no_peers)
        report.show(outcome)
        report.keep(outcome, options.results)
        failed += bool(outcome.complaint)
    if options.write:
        report.write(options.results)
    return 1 if failed else 0


def _chosen(names: list[str]) -> list[Experiment]:
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if unknown := set(names) - set(known):
        sys.exit(f"no experiment {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return [known[name] for name in names] if names else list(EXPERIMENTS)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="experiments; without any, all")
    parser.add_argument("--size", choices=["ci", "full"], default="full")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--results", default=str(report.RESULTS), help="where outcomes are kept")
    parser.add_argument("--write", action="store_true", help="write the table into the docs")
    parser.add_argument("--no-peers", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
