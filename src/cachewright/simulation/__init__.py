"""Hit ratios by replay: a recorded trace, the policies that could have served it, and the best possible.

Pure but for reading the trace. What must not be here: commands, tables and charts (`cli`), clocks,
and anything that a cache in production needs.
"""

from __future__ import annotations

from cachewright.simulation.opt import opt_hits
from cachewright.simulation.policies import POLICIES, ReplacementPolicy, installed
from cachewright.simulation.replay import OPT, Outcome, simulate
from cachewright.simulation.sizes import Size, read_sizes
from cachewright.simulation.trace import Trace, TraceError, read_trace

__all__ = [
    "OPT",
    "POLICIES",
    "Outcome",
    "ReplacementPolicy",
    "Size",
    "Trace",
    "TraceError",
    "installed",
    "opt_hits",
    "read_sizes",
    "read_trace",
    "simulate",
]
