"""All scenarios.

What must not be here: any of them.
"""

from __future__ import annotations

from protocol import weakened_reads, weakened_writes
from protocol.holding import SCENARIOS
from protocol.scenario import Scenario

HOLDING: list[Scenario] = SCENARIOS
WEAKENED: list[Scenario] = weakened_reads.SCENARIOS + weakened_writes.SCENARIOS
