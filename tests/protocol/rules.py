"""The rules of the protocol, each a switch: as it is by default, weakened in the scenarios that must be caught.

What must not be here: what the rules do; that is in `local`, `server`, `reader` and `writer`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rules:
    """The defaults are the protocol. Each comment says what is weakened when the switch is turned."""

    # The server.
    lease_checked: bool = True  # a fill does not look at its lease
    key_revokes_lease: bool = True  # deleting a key leaves its lease
    missing_stamps_made: bool = True  # a load embeds the absence of a stamp
    stamps_before_load: bool = True  # the stamps are read when the load has ended
    nodes_named: bool = True  # stamps and entries do not say which node they come from
    fill_wakes: bool = True  # a fill wakes nobody
    prefix_scanned: bool = False  # a prefix is forgotten by a scan

    # What a process knows.
    clock: Literal["forget", "set"] = "forget"  # news set a stamp to what the message carries
    learns: Literal["unmoved", "always"] = "unmoved"  # a reply teaches though the epoch has moved
    landing_epoch: Literal["captured", "landing"] = "captured"  # the epoch of the moment of landing
    restamp: Literal["captured", "late"] = "captured"  # the epoch after the comparison
    link_forgets: bool = True  # a lost link goes unnoticed
    local_half: Literal["after", "before"] = "after"  # drops here before the server does
    glance_lands: Literal["unmoved", "always"] = "unmoved"  # a glance lands whatever has moved
    glance_believed: Literal["unmoved", "always"] = "unmoved"  # a flight believes an older glance

    # Flights.
    dooms: bool = True  # an invalidation leaves what is under way alone
    doomed_joinable: bool = False  # a doomed flight takes followers
    verified_joins: bool = False  # a verified read joins an older flight
    followers_checked: bool = True  # who joined late shares whatever the flight brings
    doom_wakes: bool = True  # who waits for a lease does not hear that it was revoked

    # What a value is made from.
    late_tags: Literal["covered", "unchecked"] = "covered"  # a tag found by the load is not checked
    parts: Literal["agree", "ignored", "last wins"] = "agree"  # what parts hand up
    key_stamp_travels: bool = True  # a part hands up its tags and not its key's own stamp
    absent_tagged: bool = True  # a negative entry carries no tags
    stale_on_mismatch: bool = False  # stale is served though a stamp differs

    # Two-phase writes.
    mark_replaces: bool = True  # the mark stands beside the stamp, which lives on
    mark_tokens: bool = True  # one mark for all writers
    mark_tells: bool = True  # phase 1 tells nobody
    reasserts: bool = True  # the marks are not looked at again before the commit
    reassertion_tells: bool = True  # a mark made again is not published again

    # The fill after a write.
    fill_alone: bool = True  # a writer fills although others' tokens stand
    fill_flags: bool = True  # who ends, or invalidates, flags no token that stands
    run_out_flags: bool = True  # a token that runs out flags none of those that stand
    fill_before: bool = True  # stamps that the write does not move are read at its end

    # A cluster: a batch is one command for each node, in any order.
    tells_last: bool = True  # the message may leave before the last node has answered
    key_stamp_first: bool = True  # the stamp of a part's key may be read after its entry

    # What is assumed of the world, and said in the docs.
    marks_hold: bool = True  # a mark may vanish between its re-assertion and the commit
    source_current: bool = True  # the source may answer from before the last commit
    link_loses_nothing: bool = True  # a message may vanish on a link that stays up


ASSUMPTIONS = ("marks_hold", "source_current", "link_loses_nothing")
"""No code of ours keeps these; what follows when they fail is said in the docs."""

NAMES = tuple(each.name for each in fields(Rules))
