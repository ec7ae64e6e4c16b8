"""L1, the in-process tier: objects, threads and asyncio alike, and nothing here ever waits.

What must not be here: the decision whether an entry may be served (`core.decision`), clocks (`now`
is an argument), loads, and anything that touches the network.
"""

from __future__ import annotations

from cachewright.memory.frequency import FrequencySketch
from cachewright.memory.store import MemoryStore

__all__ = ["FrequencySketch", "MemoryStore"]
