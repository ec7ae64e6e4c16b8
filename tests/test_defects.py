"""An index: which test shows that a defect of the caching guide's sample code is not ours.

The numbers are those of the guide's list of defects; lines 1 to 53 concern the cache itself,
81 to 100 queries, fragments and objects. What must not be here:
tests that have a place of their own.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import cachewright
from rig.index import missing

SHOWN: dict[int, list[str]] = {
    1: [
        "_async/test_values.py::test_defect_01_a_false_value_is_a_hit",
    ],
    2: [
        "_async/test_values.py::test_defect_02_what_the_source_does_not_have_is_remembered",
        "_async/test_values.py::test_defect_02_an_insert_that_names_the_tag_ends_the_absence",
        "patterns/_async/test_cache_aside.py::test_defect_02_an_absent_row_is_remembered_until_it_is_inserted",
    ],
    3: [
        "_async/test_stampedes.py::test_all_callers_of_a_cold_key_share_one_load",
        "processes/test_fleet.py::test_eight_processes_with_fifty_callers_each_load_a_cold_key_once",
        "patterns/_async/test_cache_aside.py::test_defect_03_fifty_callers_of_a_cold_row_share_one_load",
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
    7: [
        "_async/test_payloads.py::test_defect_07_a_load_replaces_an_entry_that_makes_no_sense",
    ],
    8: [
        "_async/test_verbs.py::test_defect_08_namespaces_share_no_entries_and_no_tags",
    ],
    9: [
        "_async/test_configuration.py::test_defect_09_an_event_shows_a_digest_and_no_key",
    ],
    10: [
        "_async/test_servers.py::test_defect_10_a_client_object_serves_as_a_server",
        "redis/test_target.py::test_defect_10_bytes_that_are_no_utf_8_in_an_error_break_nothing",
    ],
    11: [
        "core/test_keys.py::test_defect_11_what_belongs_to_one_key_lies_in_one_cluster_slot",
    ],
    12: [
        "_async/test_configuration.py::test_defect_12_construction_connects_to_nothing",
        "processes/test_fork.py::test_a_cache_works_in_a_forked_child_on_connections_of_its_own",
        "memory/test_threads_and_forks.py::test_four_threads_corrupt_nothing_and_exceed_no_bound",
    ],
    13: [
        "test_defects.py::test_defect_13_every_module_can_be_imported_by_itself",
    ],
    14: [
        "_async/test_races.py::test_what_is_invalidated_while_it_is_loaded_is_loaded_again",
        "patterns/_async/test_cache_aside.py::test_defect_14_a_load_that_a_write_overtook_does_not_bring_the_old_row_back",
    ],
    15: [
        "_async/test_writing.py::test_nothing_is_filled_while_a_write_is_under_way",
        "_async/test_writing.py::test_the_mark_of_a_writer_that_is_gone_runs_out_by_itself",
        "_async/test_writing.py::test_a_write_goes_on_without_the_server_and_is_made_good_afterwards",
        "patterns/_async/test_cache_aside.py::test_defect_15_nothing_is_filled_between_the_write_and_its_commit",
        "patterns/_async/test_cache_aside.py::test_defect_15_a_delete_inside_the_open_transaction_keeps_the_old_row",
        "patterns/_async/test_cache_aside.py::test_defect_15_a_write_through_the_door_is_seen_by_all_that_was_made_from_the_row",
    ],
    16: [
        "_async/test_stampedes.py::test_no_more_than_max_loads_run_at_once",
        "patterns/_async/test_cache_aside.py::test_defect_16_a_cold_cache_asks_no_more_than_its_share_of_the_database_at_once",
        "patterns/_async/test_cache_aside.py::test_defect_16_with_the_server_gone_rows_come_from_the_source_and_few_at_once",
    ],
    17: [
        "_async/test_values.py::test_defect_17_with_copy_every_hit_is_a_callers_own",
        "_async/test_values.py::test_defect_17_with_copy_a_loaded_value_is_a_callers_own",
        "patterns/_async/test_cache_aside.py::test_defect_17_with_copy_a_caller_may_change_the_row_that_it_got",
        "patterns/_async/test_cache_aside.py::test_defect_17_without_copy_callers_share_one_row",
    ],
    18: [
        "patterns/_async/test_write_through.py::test_defect_18_of_a_write_that_the_source_refuses_nothing_is_ever_served",
        "patterns/_async/test_write_through.py::test_defect_18_before_the_commit_the_new_row_is_nowhere",
    ],
    19: [
        "patterns/_async/test_filling.py::test_defect_19_whatever_the_order_of_two_writers_the_older_row_does_not_land",
        "patterns/_async/test_filling.py::test_defect_19_nor_without_a_server",
    ],
    20: [
        "patterns/_async/test_write_through.py::test_defect_20_a_row_that_is_gone_is_gone_from_the_cache",
    ],
    21: [
        "integrations/test_django_source.py::test_defect_21_the_stored_row_comes_back_with_defaults_and_what_triggers_made",
        "integrations/test_django_source.py::test_defect_21_only_columns_of_the_allow_list_leave_the_database",
        "integrations/test_table_peculiarities.py::test_defect_21_of_a_value_handed_in_only_the_allow_list_may_be_cached",
        "integrations/test_table_reads.py::test_defect_21_only_columns_of_the_allow_list_leave_the_database",
        "integrations/test_table_writes.py::test_defect_21_the_stored_row_comes_back_with_defaults_and_what_triggers_made",
        "patterns/_async/test_write_through.py::test_defect_21_the_stored_row_is_cached_and_not_the_input",
    ],
    22: [
        "_async/test_repairs.py::test_a_process_never_reads_back_what_it_has_itself_invalidated",
        "_async/test_repairs.py::test_failed_invalidations_are_merged_and_sent_as_soon_as_the_link_is_back",
        "patterns/_async/test_write_through.py::test_defect_22_an_error_of_the_cache_after_the_commit_is_a_success_and_repaired",
    ],
    23: [
        "_async/test_ttl.py::test_defect_23_a_value_is_loaded_again_when_its_life_has_ended",
        "patterns/_async/test_write_through.py::test_defect_23_a_row_whose_life_has_ended_is_read_through",
    ],
    24: [
        "integrations/test_table_writes.py::test_defect_24_what_is_returned_was_read_in_the_transaction_that_wrote_it",
        "patterns/_async/test_write_through.py::test_defect_24_a_replica_that_lags_is_not_asked",
    ],
    25: [
        "patterns/_async/test_write_through.py::test_defect_25_a_strict_write_that_cannot_be_told_is_refused_before_the_source_commits",
        "patterns/_async/test_write_through.py::test_defect_25_an_available_write_goes_through_whatever_the_cache_does_and_is_repaired",
    ],
    26: [
        "patterns/_async/test_full_queue.py::test_defect_26_a_write_survives_the_process_that_took_it",
    ],
    27: [
        "patterns/_async/test_full_queue.py::test_defect_27_closing_brings_to_the_source_what_is_queued",
        "patterns/test_lifespan.py::test_defect_27_a_lifespan_opens_and_drains_doors_of_both_worlds",
        "patterns/test_lifespan.py::test_defect_27_the_end_of_the_process_drains",
        "patterns/test_lifespan.py::test_defect_27_the_end_of_a_loop_drains_although_its_tasks_were_cancelled",
    ],
    28: [
        "patterns/_async/test_queue.py::test_defect_28_value_and_queue_entry_change_in_one_step",
    ],
    29: [
        "patterns/_async/test_write_behind.py::test_defect_29_patches_of_two_writers_are_both_there",
    ],
    30: [
        "patterns/_async/test_write_behind.py::test_defect_30_a_patch_of_what_is_not_cached_leaves_the_row_whole",
        "patterns/_async/test_write_behind.py::test_defect_30_what_the_caller_does_with_the_value_afterwards_is_not_written",
    ],
    31: [
        "patterns/_async/test_refusals.py::test_defect_31_one_change_that_is_refused_holds_up_no_other",
        "patterns/_async/test_refusals.py::test_defect_31_what_is_refused_again_and_again_is_kept_with_the_cause",
    ],
    32: [
        "integrations/test_django_source.py::test_defect_32_a_batch_and_its_position_are_one_transaction",
        "integrations/test_positions.py::test_defect_32_a_batch_that_was_applied_is_not_applied_again",
        "patterns/_async/test_draining.py::test_defect_32_what_was_applied_before_a_crash_is_not_applied_again",
        "patterns/_async/test_draining.py::test_defect_32_a_worker_that_was_frozen_overwrites_nothing_newer",
        "patterns/_async/test_fencing.py::test_a_change_that_was_dropped_is_not_applied_by_a_worker_that_was_frozen_in_its_retry",
        "patterns/_async/test_fencing.py::test_with_retries_beside_the_position_a_dropped_change_would_overwrite_a_later_one",
    ],
    33: [
        "patterns/_async/test_write_behind.py::test_defect_33_a_value_that_was_evicted_is_read_from_what_is_pending",
    ],
    34: [
        "patterns/_async/test_write_behind.py::test_defect_34_no_id_is_invented",
    ],
    35: [
        "patterns/_async/test_full_queue.py::test_defect_35_a_full_queue_refuses_and_nothing_of_the_refused_write_is_seen",
        "patterns/_async/test_full_queue.py::test_defect_35_a_full_queue_blocks_until_there_is_room",
        "patterns/_async/test_full_queue.py::test_defect_35_a_full_queue_is_written_past_where_nothing_older_of_the_key_waits",
    ],
    36: [
        "_async/test_ttl.py::test_defect_36_the_wall_clock_may_jump_and_memory_keeps_its_own_time",
        "patterns/_async/test_queue.py::test_defect_36_order_is_that_of_versions_whatever_the_clock_says",
    ],
    37: [
        "patterns/_async/test_write_behind.py::test_defect_37_a_deleted_row_is_absent_at_once_and_gone_after_the_flush",
    ],
    38: [
        "patterns/_async/test_queue.py::test_defect_38_a_server_that_may_evict_the_queue_is_refused",
        "patterns/_async/test_queue.py::test_defect_38_a_server_without_a_log_is_refused_unless_memory_is_enough",
        "patterns/_async/test_queue.py::test_defect_38_a_server_that_syncs_its_log_now_and_then_is_refused_for_fsync",
        "patterns/_async/test_queue.py::test_defect_38_a_server_that_syncs_nothing_during_a_rewrite_is_refused",
        "patterns/test_durability.py::test_defect_38_a_server_that_could_lose_the_queue_is_refused_with_the_line_to_change",
        "patterns/_async/test_losing_servers.py::test_defect_38_a_server_that_evicts_is_refused_before_anything_is_queued",
        "patterns/_async/test_losing_servers.py::test_defect_38_unless_it_was_looked_at_such_a_server_would_lose_the_queue",
    ],
    39: [
        "patterns/_async/test_read_through.py::test_defect_39_the_loader_is_registered_once_and_named_at_no_call",
    ],
    40: [
        "integrations/test_django_source.py::test_defect_40_many_rows_come_with_one_statement_and_none_with_no_statement",
        "integrations/test_table_reads.py::test_defect_40_many_rows_come_with_one_statement_and_none_with_no_statement",
    ],
    41: [
        "_async/test_verbs.py::test_defect_41_a_batch_loads_the_missing_once_in_order_and_remembers_the_absent",
        "_async/test_verbs.py::test_defect_41_what_a_batch_loader_raises_reaches_the_caller_and_nothing_is_stored",
        "integrations/test_django_source.py::test_defect_41_text_and_number_are_one_id_and_what_cannot_be_one_is_refused",
        "integrations/test_table_reads.py::test_defect_41_text_and_number_are_one_id_and_duplicates_are_asked_for_once",
        "integrations/test_table_reads.py::test_defect_41_what_cannot_be_an_id_of_the_column_is_refused",
        "integrations/test_table_reads.py::test_defect_41_a_uuid_and_its_text_are_one_id",
        "patterns/_async/test_read_through.py::test_defect_41_a_batch_comes_back_by_the_callers_keys_on_a_hit_as_on_a_miss",
        "patterns/_async/test_read_through.py::test_defect_41_a_row_that_is_asked_for_twice_is_loaded_once_and_found_under_both",
        "patterns/_async/test_read_through.py::test_defect_41_a_source_that_spells_ids_as_text_loses_no_row",
        "patterns/_async/test_read_through.py::test_defect_41_absent_ids_are_asked_for_once_and_left_out",
        "patterns/_async/test_read_through.py::test_defect_41_an_insert_that_is_invalidated_ends_the_absence_at_once",
        "patterns/_async/test_read_through.py::test_defect_41_overlapping_batches_load_each_row_once",
        "patterns/_async/test_read_through.py::test_defect_41_what_a_batch_raises_reaches_the_caller_and_costs_no_hit",
        "patterns/_async/test_read_through.py::test_defect_41_who_can_use_a_part_gets_it_together_with_the_error",
        "patterns/test_identities.py::test_defect_41_every_spelling_of_an_id_has_one_form",
        "patterns/test_identities.py::test_defect_41_what_cannot_be_an_id_is_refused",
    ],
    42: [
        "_async/test_refreshing.py::test_a_stale_value_is_served_at_once_and_refreshed_once_in_the_fleet",
        "patterns/_async/test_refresh_ahead.py::test_defect_42_three_processes_refresh_a_row_once",
        "patterns/_async/test_refresh_ahead.py::test_defect_42_without_the_lease_each_process_refreshes_it",
    ],
    43: [
        "_async/test_refreshing.py::test_a_refresh_does_not_revive_what_was_deleted_meanwhile",
        "patterns/_async/test_refresh_ahead.py::test_defect_43_a_refresh_does_not_revive_a_row_that_was_deleted_meanwhile",
        "patterns/_async/test_refresh_ahead.py::test_defect_43_a_fill_that_ignores_its_lost_lease_revives_it",
    ],
    44: [
        "_async/test_refreshing.py::test_no_more_than_max_refreshes_run_at_once",
        "_async/test_failing_sources.py::test_a_refresh_that_fails_keeps_the_stale_value_tells_it_and_backs_off",
        "patterns/_async/test_refresh_ahead.py::test_defect_44_a_slow_row_stops_no_other",
        "patterns/_async/test_refresh_ahead.py::test_defect_44_a_row_whose_refresh_fails_is_left_alone_longer_each_time",
    ],
    45: [
        "core/test_decision.py::test_defect_45_early_refresh_begins_at_a_share_of_the_entrys_own_ttl",
        "_async/test_refreshing.py::test_refresh_ahead_counts_from_the_entrys_own_ttl_not_the_policys",
        "patterns/_async/test_refresh_ahead.py::test_defect_45_a_hit_late_in_the_rows_own_life_refreshes_it",
    ],
    46: [
        "_async/test_failing_sources.py::test_after_a_success_the_pauses_begin_anew",
        "patterns/_async/test_refresh_ahead.py::test_defect_46_a_refresh_that_fails_ends_no_other_that_is_under_way",
    ],
    47: [
        "core/test_decision.py::test_defect_47_xfetch_refreshes_earlier_what_was_dearer_to_load",
        "_async/test_refreshing.py::test_xfetch_refreshes_earlier_the_longer_the_load_took",
        "patterns/_async/test_refresh_ahead.py::test_defect_47_a_dear_row_is_refreshed_earlier",
    ],
    48: [
        "_async/test_ttl.py::test_defect_48_a_naive_deadline_is_refused",
        "_async/test_ttl.py::test_defect_48_a_deadline_that_has_passed_removes_the_key",
    ],
    49: [
        "_async/test_sliding.py::test_defect_49_at_the_server_a_read_extends_in_the_same_step",
        "redis/test_living_scripts.py::test_defect_49_slide_never_goes_beyond_the_age_limit",
    ],
    50: [
        "_async/test_ttl.py::test_defect_50_touch_extends_and_shortens_and_moves_no_value",
    ],
    51: [
        "memory/test_frequency.py::test_defect_51_counting_any_number_of_keys_takes_the_same_memory",
        "memory/test_frequency.py::test_defect_51_threads_that_count_at_once_corrupt_nothing",
    ],
    52: [
        "_async/test_hits.py::test_defect_52_memory_is_bounded_and_what_left_is_counted",
    ],
    53: [
        "memory/test_store.py::test_defect_53_the_number_of_entries_never_exceeds_its_bound",
        "memory/test_store.py::test_defect_53_no_queue_keeps_the_keys_of_what_was_removed",
        "memory/test_store.py::test_defect_53_a_rewritten_entry_keeps_its_hits",
    ],
    81: [
        "integrations/test_django_query_keys.py::test_defect_81_nothing_is_pickled",
        "integrations/test_query_defects.py::test_defect_81_results_travel_without_pickle",
    ],
    82: [
        "integrations/test_django_query_keys.py::test_defect_82_parameters_of_all_types_have_a_key_and_no_two_share_one",
        "integrations/test_query_defects.py::test_defect_82_two_queries_never_share_a_key",
        "integrations/test_query_defects.py::test_defect_82_the_guides_keys_collide",
        "integrations/test_query_defects.py::test_defect_82_every_type_of_parameter_has_keys_of_its_own",
        "integrations/test_query_defects.py::test_defect_82_a_parameter_without_a_spelling_is_read_and_not_cached",
    ],
    83: [
        "integrations/test_django_query_keys.py::test_defect_83_a_session_with_settings_of_its_own_is_not_served_from_the_cache",
        "integrations/test_query_defects.py::test_defect_83_a_search_path_is_part_of_the_key",
        "integrations/test_query_defects.py::test_defect_83_a_write_of_one_tenant_spares_the_other",
        "integrations/test_query_defects.py::test_defect_83_rows_that_the_database_hides_need_a_scope",
        "integrations/test_query_defects.py::test_defect_83_a_role_is_part_of_the_key",
    ],
    84: [
        "integrations/test_django_query_keys.py::test_defect_84_a_view_depends_on_what_it_selects",
        "integrations/test_django_query_keys.py::test_defect_84_what_a_trigger_writes_is_seen",
        "integrations/test_query_defects.py::test_defect_84_the_tables_of_a_statement_are_those_that_it_reads",
        "integrations/test_query_defects.py::test_defect_84_the_regex_of_the_guide_finds_others",
        "integrations/test_query_defects.py::test_defect_84_what_is_not_known_is_not_cached",
    ],
    85: [
        "integrations/test_django_query_keys.py::test_defect_85_an_entry_of_any_age_falls",
        "integrations/test_query_defects.py::test_defect_85_a_write_ends_results_of_any_age",
    ],
    86: [
        "integrations/test_django_query_keys.py::test_defect_86_a_count_falls_with_the_rows_that_it_counts",
        "integrations/test_query_protections.py::test_defect_86_a_cached_function_falls_with_the_tables_that_its_queries_read",
    ],
    87: [
        "_async/test_methods.py::test_defect_87_a_key_of_ids_and_reprs_is_no_key",
        "core/test_calls.py::test_defect_87_positional_keyword_and_default_give_one_key",
        "integrations/test_query_defects.py::test_defect_87_keys_come_from_bound_arguments",
        "integrations/test_query_defects.py::test_defect_87_the_guides_keys_differ_for_one_call_and_agree_for_two",
    ],
    88: [
        "integrations/test_django_query_keys.py::test_defect_88_what_is_volatile_or_locks_is_never_cached",
        "integrations/test_query_defects.py::test_defect_88_what_moves_by_itself_is_not_cached",
        "integrations/test_query_defects.py::test_defect_88_locks_and_open_transactions_are_not_cached",
        "integrations/test_query_protections.py::test_defect_88_what_cannot_be_cached_is_executed_and_the_reason_told",
        "integrations/test_query_protections.py::test_defect_88_rows_that_are_locked_are_read_from_the_database",
        "integrations/test_query_protections.py::test_defect_88_a_statement_that_writes_is_no_query",
    ],
    89: [
        "integrations/test_django_query_keys.py::test_defect_89_a_cached_queryset_is_a_queryset_of_django",
        "integrations/test_query_protections.py::test_defect_89_a_cached_result_is_a_result_of_sqlalchemy",
    ],
    90: [
        "integrations/test_query_defects.py::test_defect_90_a_result_that_shrinks_replaces_the_compressed_one",
    ],
    91: [
        "integrations/test_query_defects.py::test_defect_91_what_is_unpacked_is_bounded",
        "integrations/test_query_defects.py::test_defect_91_a_result_beyond_the_limit_is_returned_and_not_kept",
    ],
    92: [
        "_async/test_fragments.py::test_defect_92_every_argument_is_in_the_key",
        "_async/test_fragments.py::test_defect_92_a_key_without_positional_arguments_serves_the_wrong_sidebar",
    ],
    93: [
        "_async/test_fragments.py::test_defect_93_a_fragment_falls_by_its_tags_and_no_other_does",
        "_async/test_fragments.py::test_defect_93_a_pattern_over_hashed_keys_finds_nothing_and_over_names_too_much",
    ],
    94: [
        "integrations/test_django_fragments.py::test_defect_94_language_and_zone_are_in_the_key_and_the_rest_is_declared_once",
        "integrations/test_jinja2_safety.py::test_defect_94_what_pages_vary_by_is_declared_once",
        "integrations/test_jinja2_safety.py::test_defect_94_without_a_declaration_one_user_would_see_another_s",
        "integrations/test_jinja2_safety.py::test_defect_94_keys_are_not_cut_short",
    ],
    95: [
        "integrations/test_jinja2_fragments.py::test_defect_95_a_page_s_fragments_are_found_by_their_whole_names_and_keys",
        "integrations/test_jinja2_fragments.py::test_defect_95_a_search_for_names_in_names_gives_the_wrong_fragment",
    ],
    96: [
        "_async/test_fragments.py::test_defect_96_a_name_in_a_cached_header_stays_escaped",
        "_async/test_fragments.py::test_defect_96_a_text_that_becomes_safe_by_being_cached_is_an_injection",
        "integrations/test_django_fragments.py::test_defect_96_a_name_stays_escaped_and_safe_text_is_another_key",
        "integrations/test_jinja2_safety.py::test_defect_96_a_name_is_escaped_in_a_cached_header",
        "integrations/test_jinja2_safety.py::test_defect_96_an_f_string_in_the_same_cache_would_store_the_script",
    ],
    97: [
        "_async/test_typed.py::test_defect_97_an_object_comes_back_as_it_was_and_nothing_is_pickled",
        "_async/test_typed.py::test_defect_97_what_nobody_declared_is_told_and_not_turned_into_text",
        "_async/test_typed.py::test_defect_97_the_guides_formats_run_code_or_lose_the_type",
    ],
    98: [
        "_async/test_typed.py::test_defect_98_after_a_rename_there_is_one_load_and_then_there_are_hits",
        "_async/test_typed.py::test_defect_98_all_callers_after_a_release_share_one_load",
        "_async/test_typed.py::test_defect_98_the_naive_check_of_the_type_misses_for_ever",
        "codecs/test_objects.py::test_defect_98_an_object_of_another_schema_is_refused_and_no_crash",
        "codecs/test_objects.py::test_defect_98_without_a_fingerprint_a_default_takes_the_place_of_what_was_stored",
    ],
    99: [
        "core/test_api_keys.py::test_defect_99_one_request_has_one_key",
        "core/test_api_keys.py::test_defect_99_another_request_has_another_key",
        "core/test_api_keys.py::test_defect_99_the_guides_key_depends_on_the_order_of_parameters",
    ],
    100: [
        "_async/test_typed.py::test_defect_100_what_the_source_does_not_have_is_absent_and_no_crash",
        "_async/test_typed.py::test_defect_100_the_guides_loader_crashes_on_an_absent_row",
    ],
}

LATER: dict[int, str] = {}


def test_every_line_is_shown_or_has_a_reason_to_wait() -> None:
    assert sorted([*SHOWN, *LATER]) == [*range(1, 54), *range(81, 101)]
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
