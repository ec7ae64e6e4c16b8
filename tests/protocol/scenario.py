"""What a scenario is: a setup, and what the search is to find.

What must not be here: the scenarios, which are in `holding`, `weakened_reads` and `weakened_writes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.setup import Setup


@dataclass(frozen=True, slots=True)
class Scenario:
    """`expects`: the letter of the violation (see `floor.WHY`), "" where the promise holds.

    `weakens`: the rules that are turned; `large`: too large for the tests of every day.
    """

    name: str
    setup: Setup
    expects: str = ""
    weakens: tuple[str, ...] = ()
    large: bool = False

    def as_expected(self, kind: str) -> bool:
        """Whether the search ended as it should: `kind` is the letter of the violation, "" for none."""
        return bool(kind) and kind in self.expects if self.expects else not kind
