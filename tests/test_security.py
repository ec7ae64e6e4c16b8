"""An index: which test shows that a hostile key or payload gets what it must.

The numbers are the rows of the list of hostile inputs; 1 to 8 are keys, 9 to 17 payloads, and those of the link to
the server that are shown already follow. What must not be here: tests that have a place of their own.
"""

from __future__ import annotations

from rig.index import missing

SHOWN: dict[int, list[str]] = {
    1: [
        "core/test_keys.py::test_security_01_no_two_tuples_spell_one_key",
        "core/test_keys.py::test_security_01_fields_without_a_separator_between_them_are_refused",
    ],
    2: [
        "_async/test_verbs.py::test_security_02_glob_characters_are_letters_like_any_other",
        "core/test_keys.py::test_security_02_a_spelled_part_holds_nothing_that_another_protocol_reads",
    ],
    3: [
        "_async/test_keys.py::test_security_03_any_text_is_a_key_for_every_verb",
        "_async/test_keys.py::test_security_03_another_process_reads_and_hears_of_any_key",
        "core/test_keys.py::test_security_03_no_control_character_or_surrogate_reaches_the_server",
    ],
    4: [
        "core/test_keys.py::test_security_04_a_long_key_becomes_a_readable_start_and_160_bits_of_all_of_it",
        "core/test_envelope.py::test_security_04_where_the_name_is_a_digest_the_full_key_is_compared",
        "_async/test_keys.py::test_security_04_two_long_keys_with_one_name_at_the_server_are_told_apart",
    ],
    5: [
        "core/test_keys.py::test_security_05_values_of_different_types_are_different_parts",
        "core/test_keys.py::test_security_05_what_has_no_spelling_is_refused_and_never_str",
        "core/test_keys.py::test_security_05_safe_html_and_a_text_of_the_same_letters_are_different_parts",
    ],
    6: [
        "core/test_calls.py::test_security_06_the_key_names_module_qualified_name_and_version",
        "_async/test_decorators.py::test_security_06_two_functions_of_one_name_share_nothing",
    ],
    7: [
        "_async/test_keys.py::test_security_07_a_scoped_cache_is_not_used_without_a_scope",
        "_async/test_keys.py::test_security_07_nobody_reads_what_belongs_to_another",
        "_async/test_keys.py::test_security_07_scopes_that_look_alike_are_apart",
        "integrations/test_jinja2_safety.py::test_security_07_a_private_cache_s_fragments_belong_to_somebody",
        "integrations/test_django_fragments.py::test_security_07_a_private_cache_s_fragments_belong_to_somebody",
    ],
    8: [
        "core/test_keys.py::test_security_08_names_on_the_server_cannot_spell_one_another",
        "_async/test_verbs.py::test_security_08_a_user_key_cannot_reach_a_key_of_ours",
    ],
    9: [
        "codecs/test_payload.py::test_security_9_bare_pickle_is_never_loaded",
        "codecs/test_sealing.py::test_security_9_pickle_is_loaded_only_after_its_mac_was_compared",
    ],
    10: [
        "codecs/test_payload.py::test_security_10_unknown_codes_and_flags_are_refused",
        "codecs/test_objects.py::test_security_10_bytes_that_are_no_object_are_an_error_of_the_codec",
        "_async/test_payloads.py::test_security_11_an_entry_that_makes_no_sense_is_a_miss_is_told_and_is_removed",
        "_async/test_payloads.py::test_security_10_an_entry_of_a_later_release_is_a_miss_and_is_left_alone",
    ],
    11: [
        "core/test_envelope.py::test_security_11_an_entry_cut_or_changed_anywhere_raises_codec_errors_only",
        "_async/test_explaining.py::test_security_11_what_is_no_entry_is_unreadable_and_nothing_is_raised",
        "_async/test_payloads.py::test_security_11_an_entry_that_makes_no_sense_is_a_miss_is_told_and_is_removed",
        "_async/test_payloads.py::test_security_11_a_key_of_another_type_is_a_miss_and_is_removed",
        "redis/test_living_scripts.py::test_security_11_discard_removes_what_was_read_and_nothing_newer",
    ],
    12: [
        "codecs/test_compressors.py::test_security_12_a_bomb_stops_at_the_limit",
        "codecs/test_payload.py::test_security_12_a_reader_with_a_smaller_limit_does_not_inflate",
        "codecs/test_msgpack.py::test_security_12_nesting_is_bounded_at_decode",
    ],
    13: [
        "_async/test_values.py::test_security_13_a_value_too_large_is_not_stored_and_the_old_one_is_gone"
    ],
    14: [
        "codecs/test_sealing.py::test_security_14_ciphertext_moved_to_another_key_is_refused",
        "_async/test_payloads.py::test_security_14_an_entry_moved_under_another_key_is_a_miss_where_it_is_sealed",
        "_async/test_payloads.py::test_security_14_an_entry_moved_to_another_namespace_is_a_miss",
    ],
    15: [
        "codecs/test_sealing.py::test_security_15_nonces_do_not_repeat_and_a_key_has_a_limit",
        "_async/test_payloads.py::test_security_15_keys_are_rotated_without_losing_entries",
    ],
    16: [
        "codecs/test_payload.py::test_security_16_a_sensitive_type_needs_a_sealer",
        "codecs/test_objects.py::test_security_16_a_sensitive_class_is_refused_without_a_sealer",
    ],
    17: [
        "_async/test_values.py::test_security_17_values_are_shared_unless_copies_are_asked_for",
        "_async/test_values.py::test_defect_17_with_copy_every_hit_is_a_callers_own",
        "_async/test_values.py::test_security_17_debug_reports_a_shared_value_that_was_mutated",
    ],
    18: [
        "_async/test_configuration.py::test_security_18_a_plain_connection_to_another_machine_is_warned_of",
        "_async/test_configuration.py::test_security_18_the_strict_mode_refuses_it",
        "_async/test_servers.py::test_security_18_a_server_that_cannot_prove_itself_is_a_miss_and_an_event",
    ],
    19: [
        "_async/test_configuration.py::test_security_19_no_password_is_shown",
        "redis/test_target.py::test_security_19_no_error_about_a_url_shows_its_password",
        "_async/test_servers.py::test_security_19_a_rotated_password_is_taken_at_the_next_connection",
    ],
    20: [
        "_async/test_servers.py::test_security_20_a_user_with_the_minimal_rules_can_do_everything",
        "_async/test_servers.py::test_security_20_none_of_the_rules_can_be_left_out",
        "redis/test_scripts.py::test_security_20_no_script_runs_text_or_names_a_key_that_it_was_not_given",
    ],
    21: [
        "_async/test_bus.py::test_a_message_that_is_none_of_ours_is_counted_and_changes_nothing",
        "_async/test_bus.py::test_whoever_can_publish_can_cost_misses_and_plant_nothing",
    ],
}

LATER: dict[int, str] = {}


def test_every_row_of_keys_and_payloads_is_shown_or_has_a_reason_to_wait() -> None:
    assert {*SHOWN, *LATER} >= set(range(1, 18))
    assert not {*SHOWN} & {*LATER}


def test_every_test_of_the_index_exists() -> None:
    assert missing(SHOWN) == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    planted = {1: ["test_security.py::test_that_nobody_wrote"]}
    assert missing(planted) == planted[1]
