"""The experiments, in the order of the table.

What must not be here: anything else.
"""

from __future__ import annotations

from proof import (
    absent_keys,
    bus_latency,
    cached_queries,
    cancelled_calls,
    crash_between,
    dead_server,
    drain_on_term,
    error_replies,
    evicted_stamps,
    fragments,
    frozen_server,
    leader_lost,
    link_loss,
    observer,
    payload_fuzz,
    pending_evicted,
    poison_writes,
    power_loss,
    row_predicates,
    skewed_clocks,
    source_away,
    source_down,
    stale_set,
    tag_race,
    worker_frozen,
    workers,
    write_behind_crashes,
    write_through,
)
from proof.experiment import Experiment

EXPERIMENTS: list[Experiment] = [
    stale_set.EXPERIMENT,
    observer.EXPERIMENT,
    bus_latency.EXPERIMENT,
    link_loss.EXPERIMENT,
    tag_race.EXPERIMENT,
    leader_lost.EXPERIMENT,
    crash_between.EXPERIMENT,
    cancelled_calls.EXPERIMENT,
    workers.EXPERIMENT,
    frozen_server.EXPERIMENT,
    error_replies.EXPERIMENT,
    dead_server.EXPERIMENT,
    payload_fuzz.EXPERIMENT,
    evicted_stamps.EXPERIMENT,
    absent_keys.EXPERIMENT,
    skewed_clocks.EXPERIMENT,
    source_down.EXPERIMENT,
    write_behind_crashes.EXPERIMENT,
    power_loss.EXPERIMENT,
    worker_frozen.EXPERIMENT,
    pending_evicted.EXPERIMENT,
    poison_writes.EXPERIMENT,
    source_away.EXPERIMENT,
    drain_on_term.EXPERIMENT,
    write_through.EXPERIMENT,
    fragments.EXPERIMENT,
    cached_queries.EXPERIMENT,
    row_predicates.EXPERIMENT,
]
