"""An index: which test shows that a defect of the caching guide's sample code is not ours.

The numbers are those of the guide's list of defects; lines 1 to 53 concern the cache itself. What must not be here:
tests that have a place of their own.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import cachewright
from rig.index import missing

SHOWN: dict[int, list[str]] = {
    1: ["_async/test_values.py::test_defect_01_a_false_value_is_a_hit"],
    2: [
        "_async/test_values.py::test_defect_02_what_the_source_does_not_have_is_remembered",
        "_async/test_values.py::test_defect_02_an_insert_that_names_the_tag_ends_the_absence",
    ],
    3: [
        "_async/test_stampedes.py::test_all_callers_of_a_cold_key_share_one_load",
        "processes/test_fleet.py::test_eight_processes_with_fifty_callers_each_load_a_cold_key_once",
    ],
    4: [
        "_async/test_values.py::test_defect_04_a_row_comes_back_with_its_types_from_both_layers",
        "codecs/test_json.py::test_defect_4_a_value_that_json_would_change_is_refused",
        "codecs/test_msgpack.py::test_defect_4_rows_keep_their_types",
    ],
    5: [
        "_async/test_ttl.py::test_defect_05_a_ttl_of_zero_stores_nothing_and_removes_what_was_there",
        "_async/test_ttl.py::test_defect_05_a_ttl_that_makes_no_sense_is_refused_by_every_verb",
        "_async/test_ttl.py::test_defect_05_jitter_only_shortens_and_spreads",
    ],
    6: [
        "_async/test_failures.py::test_a_frozen_server_costs_hits_in_memory_nothing_and_other_reads_their_budget",
        "_async/test_failures.py::test_after_five_calls_without_an_answer_the_server_is_left_alone",
        "_async/test_failures.py::test_without_a_server_from_the_start_every_verb_works",
    ],
    7: ["_async/test_payloads.py::test_defect_07_a_load_replaces_an_entry_that_makes_no_sense"],
    8: ["_async/test_verbs.py::test_defect_08_namespaces_share_no_entries_and_no_tags"],
    9: ["_async/test_configuration.py::test_defect_09_an_event_shows_a_digest_and_no_key"],
    10: [
        "_async/test_servers.py::test_defect_10_a_client_object_serves_as_a_server",
        "redis/test_target.py::test_defect_10_bytes_that_are_no_utf_8_in_an_error_break_nothing",
    ],
    11: ["core/test_keys.py::test_defect_11_what_belongs_to_one_key_lies_in_one_cluster_slot"],
    12: [
        "_async/test_configuration.py::test_defect_12_construction_connects_to_nothing",
        "processes/test_fork.py::test_a_cache_works_in_a_forked_child_on_connections_of_its_own",
        "memory/test_threads_and_forks.py::test_four_threads_corrupt_nothing_and_exceed_no_bound",
    ],
    13: ["test_defects.py::test_defect_13_every_module_can_be_imported_by_itself"],
    14: ["_async/test_races.py::test_what_is_invalidated_while_it_is_loaded_is_loaded_again"],
    15: [
        "_async/test_writing.py::test_nothing_is_filled_while_a_write_is_under_way",
        "_async/test_writing.py::test_the_mark_of_a_writer_that_is_gone_runs_out_by_itself",
        "_async/test_writing.py::test_a_write_goes_on_without_the_server_and_is_made_good_afterwards",
    ],
    16: ["_async/test_stampedes.py::test_no_more_than_max_loads_run_at_once"],
    17: [
        "_async/test_values.py::test_defect_17_with_copy_every_hit_is_a_callers_own",
        "_async/test_values.py::test_defect_17_with_copy_a_loaded_value_is_a_callers_own",
    ],
    22: [
        "_async/test_repairs.py::test_a_process_never_reads_back_what_it_has_itself_invalidated",
        "_async/test_repairs.py::test_failed_invalidations_are_merged_and_sent_as_soon_as_the_link_is_back",
    ],
    23: ["_async/test_ttl.py::test_defect_23_a_value_is_loaded_again_when_its_life_has_ended"],
    36: [
        "_async/test_ttl.py::test_defect_36_the_wall_clock_may_jump_and_memory_keeps_its_own_time"
    ],
    41: [
        "_async/test_verbs.py::test_defect_41_a_batch_loads_the_missing_once_in_order_and_remembers_the_absent",
        "_async/test_verbs.py::test_defect_41_what_a_batch_loader_raises_reaches_the_caller_and_nothing_is_stored",
    ],
    42: [
        "_async/test_refreshing.py::test_a_stale_value_is_served_at_once_and_refreshed_once_in_the_fleet"
    ],
    43: ["_async/test_refreshing.py::test_a_refresh_does_not_revive_what_was_deleted_meanwhile"],
    44: [
        "_async/test_refreshing.py::test_no_more_than_sixteen_refreshes_run_at_once",
        "_async/test_failing_sources.py::test_a_refresh_that_fails_keeps_the_stale_value_tells_it_and_backs_off",
    ],
    45: [
        "core/test_decision.py::test_defect_45_early_refresh_begins_at_a_share_of_the_entrys_own_ttl",
        "_async/test_refreshing.py::test_refresh_ahead_counts_from_the_entrys_own_ttl_not_the_policys",
    ],
    46: ["_async/test_failing_sources.py::test_after_a_success_the_pauses_begin_anew"],
    47: [
        "core/test_decision.py::test_defect_47_xfetch_refreshes_earlier_what_was_dearer_to_load",
        "_async/test_refreshing.py::test_xfetch_refreshes_earlier_the_longer_the_load_took",
    ],
    48: [
        "_async/test_ttl.py::test_defect_48_a_naive_deadline_is_refused",
        "_async/test_ttl.py::test_defect_48_a_deadline_that_has_passed_removes_the_key",
    ],
    49: [
        "_async/test_sliding.py::test_defect_49_at_the_server_a_read_extends_in_the_same_step",
        "redis/test_living_scripts.py::test_defect_49_slide_never_goes_beyond_the_age_limit",
    ],
    50: ["_async/test_ttl.py::test_defect_50_touch_extends_and_shortens_and_moves_no_value"],
    51: [
        "memory/test_frequency.py::test_defect_51_counting_any_number_of_keys_takes_the_same_memory",
        "memory/test_frequency.py::test_defect_51_threads_that_count_at_once_corrupt_nothing",
    ],
    52: ["_async/test_hits.py::test_defect_52_memory_is_bounded_and_what_left_is_counted"],
    53: [
        "memory/test_store.py::test_defect_53_the_number_of_entries_never_exceeds_its_bound",
        "memory/test_store.py::test_defect_53_no_queue_keeps_the_keys_of_what_was_removed",
        "memory/test_store.py::test_defect_53_a_rewritten_entry_keeps_its_hits",
    ],
}

WRITE_THROUGH = "belongs to the write-through pattern, which does not exist yet"
WRITE_BEHIND = "belongs to the write-behind pattern, which does not exist yet"
LATER: dict[int, str] = {
    18: WRITE_THROUGH,
    19: WRITE_THROUGH + ": a version compared in the script that sets",
    20: WRITE_THROUGH + ": a row that is gone removes its entry",
    21: WRITE_THROUGH + ": the stored row by an allow-list, not the input",
    24: WRITE_THROUGH + ": RETURNING or the primary, never a lagging replica",
    25: "a matter of what the documents of the patterns claim",
    26: WRITE_BEHIND,
    27: WRITE_BEHIND,
    28: WRITE_BEHIND,
    29: WRITE_BEHIND,
    30: WRITE_BEHIND,
    31: WRITE_BEHIND,
    32: WRITE_BEHIND,
    33: WRITE_BEHIND,
    34: WRITE_BEHIND,
    35: WRITE_BEHIND,
    37: WRITE_BEHIND,
    38: WRITE_BEHIND + ": its start-up check of maxmemory-policy",
    39: "registered loaders come with the read-through pattern; get_or_load takes one at each call",
    40: "the SQL of batch loaders comes with the sources of the SQL integrations",
}


def test_every_line_is_shown_or_has_a_reason_to_wait() -> None:
    assert sorted([*SHOWN, *LATER]) == list(range(1, 54))
    assert all(LATER.values())


def test_every_test_of_the_index_exists() -> None:
    assert missing(SHOWN) == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    planted = {1: ["test_defects.py::test_that_nobody_wrote"]}
    assert missing(planted) == planted[1]


MODULES = sorted(
    module.name for module in pkgutil.walk_packages(cachewright.__path__, "cachewright.")
)


@pytest.mark.parametrize("name", MODULES)
def test_defect_13_every_module_can_be_imported_by_itself(name: str) -> None:
    assert importlib.import_module(name).__doc__
