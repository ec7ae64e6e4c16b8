"""Runs one experiment: ours, the control, the peers, one after the other.

What must not be here: what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proof.experiment import Experiment, Measured, Outcome, Run


def run(experiment: Experiment, how: Run, *, with_peers: bool = True) -> Outcome:
    """The outcome. A peer that is not installed, or that fails, is reported and does not fail the run."""
    began = time.monotonic()
    ours = experiment.ours(how)
    control = experiment.control(how)
    peers: dict[str, Measured | str] = {}
    for name, peer in experiment.peers.items() if with_peers else ():
        peers[name] = peer if isinstance(peer, str) else _measured(peer, how)
    return Outcome(experiment, how.size, how.seed, ours, control, peers, time.monotonic() - began)


def _measured(peer: Callable[[Run], Measured], how: Run) -> Measured | str:
    try:
        return peer(how)
    except ImportError as error:
        return f"not installed: {error.name}"
    except Exception as error:  # noqa: BLE001 - a peer's failure must not hide what ours came to
        last = (str(error).strip().splitlines() or [""])[-1]
        return f"did not finish: {type(error).__name__}: {last}"
