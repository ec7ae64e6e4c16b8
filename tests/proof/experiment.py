"""What an experiment is: a measurement of ours, the same of a control that must fail, and perhaps of peers.

What must not be here: servers, loads and faults (they are in `rig` and in each experiment), and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")
Number = int | float | str
SizeName = Literal["ci", "full"]


@dataclass(frozen=True)
class Run:
    """How an experiment is run. The same `seed` draws the same operations; threads decide their order."""

    size: SizeName
    seed: int
    say: Callable[[str], None] = print
    """Tells a person how far it is."""

    def pick(self, ci: T, full: T) -> T:
        """The one that belongs to this size."""
        return ci if self.size == "ci" else full


@dataclass(frozen=True)
class Measured:
    """What was counted. `violations`: how often the promise was broken; `numbers`: what else a reader wants to see."""

    violations: int
    numbers: Mapping[str, Number] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    """Targets of time or size that were missed: reported, and asserted by nobody."""
    unbroken: tuple[str, ...] = ()
    """Of a control with several kinds of trouble: those in which it broke no promise. Any of them fails the run."""


Peer = Callable[[Run], Measured] | str
"""A peer's measurement, or why there can be none."""


@dataclass(frozen=True)
class Experiment:
    """One row of the table. A run whose control counts no more than `least` - 1 violations is a failed run."""

    name: str
    what: str
    """What happens, in one line."""
    target: str
    """The number to reach at full size."""
    ours: Callable[[Run], Measured]
    control: Callable[[Run], Measured]
    control_is: str
    """What the control is: naive code, or which protection is taken out."""
    peers: Mapping[str, Peer] = field(default_factory=dict)
    least: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a run of an experiment came to."""

    experiment: Experiment
    size: SizeName
    seed: int
    ours: Measured
    control: Measured
    peers: Mapping[str, Measured | str]
    """A string says why a peer did not run."""
    seconds: float

    @property
    def complaint(self) -> str:
        """Why the run failed; "" if it did not."""
        if self.ours.violations:
            return f"{self.experiment.name}: {self.ours.violations} violations: {dict(self.ours.numbers)}"
        if self.control.violations < self.experiment.least:
            return (
                f"{self.experiment.name}: the control ({self.experiment.control_is}) broke the promise "
                f"{self.control.violations} times, so that ours did not proves nothing"
            )
        if self.control.unbroken:
            return (
                f"{self.experiment.name}: the control ({self.experiment.control_is}) broke no promise "
                f"amid {', '.join(self.control.unbroken)}, so that ours did not proves nothing there"
            )
        return ""
