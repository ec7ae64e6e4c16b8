"""Which mutant of the real code is which weakened rule of the model, and which test shows that it is caught.

What must not be here: mutants and tests.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`function` weakens the engine, `test` uses it: `module.name` both, the modules below tests/."""

    function: str
    test: str


_ENGINE = "_async.weaknesses"
_OURS = "protocol.mutants"
_TESTS = "protocol.test_mutants"

INDEX: dict[str, tuple[Mutant, ...]] = {}


def _engine(rule: str, function: str, test: str) -> None:
    known = INDEX.get(rule, ())
    INDEX[rule] = (*known, Mutant(f"{_ENGINE}.{function}", f"_async.{test}"))


def _ours(rule: str, function: str, test: str) -> None:
    INDEX[rule] = (Mutant(f"{_OURS}.{function}", f"{_TESTS}.{test}"),)


_AT_SERVER = "test_races.test_without_this_protection_at_the_server_a_load_revives_the_old_value"
_engine("lease_checked", "fills_without_lease", _AT_SERVER)
_engine("key_revokes_lease", "deletes_but_keeps_the_lease", _AT_SERVER)
_engine("stamps_before_load", "stamps_after_the_load", _AT_SERVER)
_engine(
    "missing_stamps_made",
    "missing_stamps_match",
    "test_tags.test_a_missing_stamp_that_counts_as_unmoved_revives_the_old_value",
)
_engine(
    "nodes_named",
    "nodes_are_all_one",
    "test_tags.test_without_the_replication_id_a_failover_revives_the_old_value",
)
_ours("fill_wakes", "fills_wake_nobody", "test_who_waits_for_a_lease_is_woken_by_the_fill")
_ours("prefix_scanned", "prefixes_are_scanned_for", "test_a_prefix_reaches_what_is_being_loaded")

_ours(
    "clock",
    "news_set_the_clock",
    "test_the_clock_forgets_and_does_not_learn_from_its_own_invalidation",
)
_engine(
    "learns",
    "learns_from_overtaken_replies",
    "test_races.test_a_clock_that_learns_from_every_reply_serves_the_old_value",
)
_engine(
    "landing_epoch",
    "lands_doomed_at_todays_epoch",
    "test_races.test_without_dooming_a_load_revives_the_old_value_in_memory",
)
_ours(
    "restamp",
    "restamps_with_todays_epoch",
    "test_an_entry_is_re_stamped_with_the_epoch_from_before_the_comparison",
)
_engine(
    "link_forgets",
    "keeps_all_when_the_link_changes",
    "test_verified_reads.test_a_cache_that_keeps_all_it_knew_serves_what_it_missed",
)
_engine(
    "local_half",
    "drops_before_the_server_does",
    "test_doomed_flights.test_who_drops_before_the_server_does_takes_the_old_value_back",
)
INDEX["glance_lands"] = (
    Mutant(
        "_async.mutants_of_glances.lands_whatever_moved",
        "_async.test_glances.test_it_would_be_if_it_landed_whatever_had_moved",
    ),
)
INDEX["glance_believed"] = (
    Mutant(
        "_async.mutants_of_glances.believes_glances_of_any_epoch",
        "_async.test_glances.test_it_would_be_if_the_long_way_believed_a_glance_of_any_epoch",
    ),
)

_engine(
    "dooms",
    "dooms_nothing",
    "test_races.test_without_dooming_an_overtaken_reply_stays_in_memory",
)
_engine(
    "doomed_joinable",
    "lets_join_what_began_before",
    "test_doomed_flights.test_who_may_join_a_doomed_flight_gets_the_old_value",
)
_engine(
    "verified_joins",
    "lets_join_what_began_before",
    "test_verified_reads.test_a_verified_read_that_joins_an_older_flight_is_old",
)
_engine(
    "followers_checked",
    "shares_with_latecomers",
    "test_doomed_flights.test_who_joins_late_and_shares_all_the_same_gets_the_old_value",
)
_ours("doom_wakes", "dooms_in_silence", "test_who_waits_for_a_lease_is_woken_when_it_is_revoked")

_engine(
    "late_tags",
    "late_tags_go_unchecked",
    "test_late_tags.test_a_late_tag_whose_stamp_is_not_checked_keeps_the_old_value",
)
_engine(
    "parts", "hands_up_nothing", "test_dependencies.test_a_whole_that_is_handed_nothing_stays_old"
)
_engine(
    "parts",
    "the_last_part_wins",
    "test_wholes.test_a_whole_that_takes_its_newest_stamps_keeps_its_old_part",
)
_engine(
    "key_stamp_travels",
    "hands_up_no_key_stamps",
    "test_dependencies.test_a_whole_that_is_handed_tags_alone_stays_old_when_the_key_has_changed",
)
_engine(
    "absent_tagged",
    "negative_entries_carry_no_tags",
    "test_tags.test_a_negative_entry_without_tags_hides_what_was_inserted",
)
_ours(
    "stale_on_mismatch",
    "falls_back_on_what_was_invalidated",
    "test_stale_is_old_by_time_and_never_by_a_stamp_that_differs",
)

_ours("mark_replaces", "marks_beside_the_stamp", "test_a_mark_destroys_the_stamp")
_ours("mark_tokens", "ends_the_marks_of_others", "test_a_writer_ends_its_own_mark_only")
_ours("mark_tells", "marks_in_silence", "test_phase_1_is_told_to_everybody")
_LOST = "test_a_mark_that_was_lost_is_made_and_told_again_before_the_commit"
_ours("reasserts", "asserts_nothing_again", _LOST)
_ours("reassertion_tells", "asserts_again_in_silence", _LOST)

_FILLS, _FILLED = "patterns._async.weakened_fills", "patterns._async.test_filling"


def _fill(rule: str, function: str, test: str) -> None:
    INDEX[rule] = (Mutant(f"{_FILLS}.{function}", f"{_FILLED}.{test}"),)


_fill(
    "fill_alone",
    "fills_beside_others",
    "test_if_who_is_not_alone_filled_an_older_row_would_stay",
)
_fill("fill_flags", "flags_nobody", "test_without_the_flag_an_older_row_lands")
_fill(
    "run_out_flags",
    "forgets_who_ran_out",
    "test_without_the_flag_of_who_ran_out_the_older_row_lands",
)
_fill(
    "fill_before",
    "rereads_the_carried_stamps",
    "test_if_the_carried_stamps_were_read_at_the_end_it_is",
)

_ours(
    "tells_last",
    "tells_before_the_server_has_moved",
    "test_news_do_not_arrive_before_what_they_tell",
)
_ours(
    "key_stamp_first",
    "reads_entries_before_their_stamps",
    "test_the_stamp_of_a_parts_key_is_read_before_its_entry",
)
