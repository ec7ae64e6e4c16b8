"""Runs one experiment: ours, the control, the peers, one after the other.

What must not be here: what is measured.
"""

from __future__ import annotations

import time

from proof.experiment import Experiment, Measured, Outcome, Run


def run(experiment: Experiment, how: Run, *, with_peers: bool = True) -> Outcome:
    """The outcome. A peer that is not installed, or that fails, is reported and does not fail the run."""
    began = time.monotonic()
    ours = experiment.ours(how)
    control = experiment.control(how)
    peers: dict[str, Measured | str] = {}
    for name, measure in experiment.peers.items() if with_peers else ():
        try:
            peers[name] = measure(how)
        except ImportError as error:
            peers[name] = f"not installed: {error.name}"
    return Outcome(experiment, how.size, how.seed, ours, control, peers, time.monotonic() - began)
