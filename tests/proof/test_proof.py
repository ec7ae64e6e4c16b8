"""Every experiment holds at the size of the tests, and its control breaks the promise there.

What must not be here: experiments, and statements about times; `make prove` reports those.
"""

from __future__ import annotations

import os

import pytest

from proof.catalogue import EXPERIMENTS
from proof.experiment import Experiment, Run
from proof.running import run

SEED = int(os.environ.get("CACHEWRIGHT_TEST_SEED", "1"))
"""Set it to replay a run of `make prove --size ci`."""


# `workers` hands a cache from one ended loop to the next on purpose: the sockets of the old ones are left to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.serial
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda it: it.name)
def test_the_experiment_holds_and_its_control_does_not(experiment: Experiment) -> None:
    outcome = run(experiment, Run("ci", SEED), with_peers=False)
    assert outcome.complaint == ""
