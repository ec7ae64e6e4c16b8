"""The scenarios in which a rule about parts, marks or nodes is taken out, or an assumption fails.

What must not be here: the rules of reading (`weakened_reads`).
"""

from __future__ import annotations

from typing import Any

from protocol.holding import (
    BOTH_KEYS,
    CLUSTER,
    FILLS,
    FILLS_CARRYING,
    FILLS_TOO,
    FINDS,
    FIRST,
    HERE,
    MARKS,
    MOVES,
    PART,
    READ,
    SECOND,
    UNTAGGED,
    WHOLE,
    WRITES_PART,
)
from protocol.scenario import Scenario
from protocol.setup import Read, Write
from protocol.weakened_reads import VERIFIED_HERE, rule, weaker

SCENARIOS: list[Scenario] = []
MOVES_THERE = Write(1, tags=(0,))


def caught(
    name: str, *actors: Read | Write, expects: str, rules: dict[str, Any], **world: Any
) -> None:
    """The search must find a violation of one of the kinds `expects`."""
    SCENARIOS.append(weaker(name, *actors, expects=expects, rules=rules, **world))


# -------------------------------------------------------------------- what a value is made from

caught(
    "found tag is not checked",
    *(FINDS, Read(1, 0, (), (0,)), MOVES),
    rules=rule(late_tags="unchecked"),
    expects="d",
)
caught(
    "part that finds its tag is not checked",
    *(Read(0, 0, (), (0,), inside=1), WHOLE, Write(1, tags=(0,))),
    keys=2,
    rules=rule(late_tags="unchecked"),
    expects="d",
)
caught(
    "whole ignores its parts",
    *(PART, WHOLE, Write(1, tags=(0,))),
    keys=2,
    rules=rule(parts="ignored"),
    expects="abd",
)
caught(
    "last part wins",
    *(PART, Read(0, 1, (0,)), Write(1, tags=(0,))),
    keys=2,
    rules=rule(parts="last wins"),
    expects="d",
)
caught(
    "last part wins, two parts of one tag",
    *(Read(0, 0, (0,), inside=2), Read(0, 1, (0,), inside=2), Read(0, 2, ())),
    Write(1, tags=(0,)),
    keys=3,
    rules=rule(parts="last wins"),
    expects="d",
)
caught(
    "part hands up no stamp of its key",
    *(Read(0, 0, (), inside=1), WHOLE, WRITES_PART),
    keys=2,
    tags=0,
    rules=rule(key_stamp_travels=False),
    expects="abd",
)
caught(
    "negative entry without tags",
    *(Read(0, absent=True), Read(0, absent=True), MOVES),
    rules=rule(absent_tagged=False),
    expects="ad",
)

# -------------------------------------------------------------------- two-phase writes

DYING: dict[str, Any] = {"crash": (0,), "evict": "m"}

caught(
    "mark beside the stamp",
    *(READ, READ, MARKS),
    **DYING,
    rules=rule(mark_replaces=False),
    expects="e",
)
caught(
    "one mark for all writers",
    *(HERE, MARKS, Write(1, tags=(0,), two_phase=True)),
    crash=(1,),
    warm=(0,),
    rules=rule(mark_tokens=False),
    expects="e",
    large=True,
)
caught(
    "one mark for all writers of a key",
    *(UNTAGGED, Write(0, (0,), two_phase=True), Write(1, (0,), two_phase=True)),
    tags=0,
    crash=(0,),
    rules=rule(mark_tokens=False),
    expects="e",
)
caught(
    "phase 1 tells nobody",
    READ,
    MARKS,
    **DYING,
    warm=(1,),
    rules=rule(mark_tells=False),
    expects="e",
)
caught("no re-assertion", READ, MARKS, **DYING, rules=rule(reasserts=False), expects="e")
caught(
    "no re-assertion, two keys",
    *(FIRST, SECOND, BOTH_KEYS),
    **DYING,
    keys=2,
    tags=0,
    rules=rule(reasserts=False),
    expects="e",
)
caught(
    "re-assertion tells nobody",
    *(READ, MARKS),
    **DYING,
    rules=rule(reassertion_tells=False),
    expects="e",
)

# -------------------------------------------------------------------- the fill after a write

caught(
    "fill beside the marks of others",
    FILLS,
    FILLS_TOO,
    crash=(1,),
    evict="mr",
    rules=rule(fill_alone=False),
    expects="e",
)
caught("ends flag nobody", FILLS, FILLS_TOO, rules=rule(fill_flags=False), expects="d")
caught(
    "invalidations flag nobody", FILLS, Write(1, (0,)), rules=rule(fill_flags=False), expects="d"
)
caught(
    "who dies leaves no flag",
    FILLS,
    FILLS_TOO,
    crash=(1,),
    evict="mr",
    rules=rule(run_out_flags=False),
    expects="e",
)
caught(
    "carried stamps are read at the end",
    *(FILLS_CARRYING, Write(1, tags=(1,))),
    tags=2,
    rules=rule(fill_before=False),
    expects="d",
)
# -------------------------------------------------------------------- a cluster

caught(
    "message before the last node has answered",
    *(HERE, Write(1, tags=(0,))),
    **CLUSTER,
    warm=(),
    rules=rule(tells_last=False),
    expects="bd",
)
caught(
    "stamp of a part's key after its entry",
    *(Read(0, 0, (), inside=1), WHOLE, Read(1, 0, ()), WRITES_PART),
    **CLUSTER,
    keys=2,
    tags=0,
    rules=rule(key_stamp_first=False),
    expects="abd",
)

# -------------------------------------------------------------------- what is assumed

caught(
    "mark is lost between re-assertion and commit",
    *(READ, MARKS),
    **DYING,
    rules=rule(marks_hold=False),
    expects="e",
)
caught(
    "node of the marks is replaced, and the writer dies",
    *(READ, MARKS),
    **CLUSTER,
    failover=(1,),
    crash=(0,),
    rules=rule(marks_hold=False),
    expects="e",
    large=True,
)
caught(
    "source answers from before the commit",
    *(READ, VERIFIED_HERE, MOVES),
    rules=rule(source_current=False),
    expects="acd",
)
caught(
    "message is lost on a link that stays up",
    *(READ, MOVES),
    warm=(1,),
    rules=rule(link_loses_nothing=False),
    expects="d",
)
