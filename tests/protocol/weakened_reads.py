"""The scenarios in which a rule of reading is taken out: the search must find what goes wrong.

What must not be here: the rules about values made of values and about writes (`weakened_writes`).
"""

from __future__ import annotations

from typing import Any

from protocol.holding import (
    CLUSTER,
    DROPS,
    FINDS,
    GLANCES_AND_FINDS,
    HERE,
    MOVES,
    OTHER,
    PLAIN_GLANCES,
    READ,
    REFRESHES,
    UNTAGGED,
    UNTAGGED_HERE,
    WAITS,
)
from protocol.rules import Rules
from protocol.scenario import Scenario
from protocol.setup import Read, Setup, Write

SCENARIOS: list[Scenario] = []


def weaker(
    name: str,
    *actors: Read | Write,
    expects: str,
    rules: dict[str, Any],
    large: bool = False,
    **world: Any,
) -> Scenario:
    """A scenario without some rules: the search must find a violation of one of the kinds `expects`."""
    return Scenario(name, Setup(actors, Rules(**rules), **world), expects, tuple(rules), large)


def caught(
    name: str, *actors: Read | Write, expects: str, rules: dict[str, Any], **world: Any
) -> None:
    """The search must find it."""
    SCENARIOS.append(weaker(name, *actors, expects=expects, rules=rules, **world))


def rule(**weaker: Any) -> dict[str, Any]:
    """The rules that are turned, and how."""
    return weaker


VERIFIED_HERE = Read(0, verified=True)
UNTAGGED_VERIFIED = Read(0, tags=(), verified=True)

# -------------------------------------------------------------------- the server

caught(
    "fill without a lease",
    *(UNTAGGED, UNTAGGED_VERIFIED, DROPS),
    tags=0,
    rules=rule(lease_checked=False),
    expects="d",
)
caught(
    "key goes, lease stays",
    *(UNTAGGED, UNTAGGED_VERIFIED, DROPS),
    tags=0,
    rules=rule(key_revokes_lease=False),
    expects="d",
)
caught(
    "absence of a stamp embedded",
    *(READ, VERIFIED_HERE, MOVES),
    evict="s",
    rules=rule(missing_stamps_made=False),
    expects="d",
)
caught(
    "stamps after the load",
    *(READ, VERIFIED_HERE, MOVES),
    rules=rule(stamps_before_load=False),
    expects="d",
)
caught(
    "prefix by scan",
    UNTAGGED,
    UNTAGGED_VERIFIED,
    DROPS,
    tags=0,
    rules=rule(prefix_scanned=True),
    expects="d",
)
caught(
    "nodes without names, tag",
    *(READ, VERIFIED_HERE, MOVES),
    **CLUSTER,
    failover=(1,),
    warm=(1,),
    rules=rule(nodes_named=False),
    expects="acd",
)
caught(
    "nodes without names, key",
    *(UNTAGGED, UNTAGGED_VERIFIED, DROPS),
    tags=0,
    failover=(0,),
    warm=(1,),
    rules=rule(nodes_named=False),
    expects="acd",
)
caught("fill wakes nobody", HERE, WAITS, wakes=True, rules=rule(fill_wakes=False), expects="w")

# -------------------------------------------------------------------- what a process knows

caught(
    "news set the clock, a reply turns it back",
    *(READ, READ, MOVES),
    warm=(0,),
    rules=rule(clock="set", learns="always"),
    expects="d",
)
caught(
    "news set the clock, out of order",
    *(READ, READ, MOVES, MOVES),
    rules=rule(clock="set"),
    expects="bd",
    large=True,
)
caught(
    "news set the clock, own reply against the bus",
    *(HERE, MOVES, Write(1, tags=(0,))),
    rules=rule(clock="set"),
    expects="d",
)
caught(
    "every reply teaches", READ, READ, MOVES, warm=(0,), rules=rule(learns="always"), expects="d"
)
caught(
    "epoch of the landing, nothing is doomed",
    *(READ, READ, MOVES),
    rules=rule(landing_epoch="landing", dooms=False),
    expects="d",
)
caught(
    "re-stamp with the epoch after the comparison",
    *(HERE, HERE, MOVES, OTHER),
    tags=2,
    rules=rule(restamp="late"),
    expects="abd",
)
caught(
    "lost link goes unnoticed",
    *(READ, MOVES),
    link=(1,),
    warm=(1,),
    rules=rule(link_forgets=False),
    expects="bd",
)
caught(
    "local half first",
    *(HERE, HERE, Write(0, (0,), (0,))),
    rules=rule(local_half="before"),
    expects="ad",
)

caught(
    "glance lands whatever has moved",
    *(PLAIN_GLANCES, DROPS),
    tags=0,
    warm=(),
    rules=rule(glance_lands="always"),
    expects="bd",
)
caught(
    "flight believes an older glance",
    *(GLANCES_AND_FINDS, DROPS),
    warm=(),
    rules=rule(glance_believed="always"),
    expects="bd",
)

# -------------------------------------------------------------------- flights

caught(
    "nothing is doomed, tag, and late followers share",
    *(READ, READ, MOVES),
    rules=rule(dooms=False, followers_checked=False),
    expects="b",
)
caught(
    "nothing is doomed, key",
    *(UNTAGGED_HERE, UNTAGGED_HERE, DROPS),
    tags=0,
    rules=rule(dooms=False),
    expects="ad",
)
caught(
    "doomed flight takes followers, which share it",
    *(HERE, HERE, MOVES),
    rules=rule(doomed_joinable=True, followers_checked=False),
    expects="a",
)
caught(
    "verified read joins an older flight",
    *(READ, Read(1, verified=True), MOVES),
    rules=rule(verified_joins=True),
    expects="c",
)
caught(
    "late followers share a load that finds its tag",
    *(FINDS, FINDS, MOVES),
    rules=rule(followers_checked=False),
    expects="a",
)
caught(
    "who waits does not hear of its doom",
    *(UNTAGGED_HERE, UNTAGGED, DROPS),
    tags=0,
    wakes=True,
    rules=rule(doom_wakes=False),
    expects="w",
)
caught(
    "stale though a stamp differs",
    *(REFRESHES, VERIFIED_HERE, MOVES),
    warm=(),
    rules=rule(stale_on_mismatch=True),
    expects="ac",
)
