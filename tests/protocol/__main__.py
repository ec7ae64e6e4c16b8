"""Searches the scenarios, the large ones too, and says how each ended.

    PYTHONPATH=src:tests python -m protocol [part of a name] [--quick]

With a part of a name, the way to each violation is shown. Exits with 1 if anything is not as expected.
"""

from __future__ import annotations

import argparse
import sys
import time

from protocol.checker import TooLarge, Verdict, search
from protocol.scenario import Scenario
from protocol.scenarios import HOLDING, WEAKENED


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m protocol", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("part", nargs="?", default="", help="of the names of scenarios")
    parser.add_argument("--quick", action="store_true", help="without the large ones")
    options = parser.parse_args()
    states = count = wrong = 0
    for scenario in (*HOLDING, *WEAKENED):
        if options.part not in scenario.name or (options.quick and scenario.large):
            continue
        verdict = tell(scenario, with_trace=bool(options.part))
        count += 1
        states += verdict.states
        wrong += not scenario.as_expected(verdict.kind)
    say(f"{count} scenarios, {states:,} states, {wrong} not as expected")
    return 1 if wrong or not count else 0


def tell(scenario: Scenario, *, with_trace: bool) -> Verdict:
    """Search one scenario and print a line, and perhaps the way to its violation."""
    began = time.process_time()
    try:
        verdict = search(scenario.setup)
    except TooLarge as error:
        verdict = Verdict(0, f"(?) {error}")
    right = scenario.as_expected(verdict.kind)
    seconds = time.process_time() - began
    say(
        f"{'ok ' if right else 'BAD'} {scenario.name:56} {verdict.states:9,} states {seconds:6.1f} s"
        f"  {verdict.violation or 'holds'}"
    )
    if with_trace or not right:
        for label in verdict.trace:
            say(f"        {label}")
    return verdict


def say(line: str) -> None:
    """A line at once, also into a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
