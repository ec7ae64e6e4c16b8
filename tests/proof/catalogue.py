"""The experiments, in the order of the table.

What must not be here: anything else.
"""

from __future__ import annotations

from proof.experiment import Experiment

EXPERIMENTS: list[Experiment] = []
