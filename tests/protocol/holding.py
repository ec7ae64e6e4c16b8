"""The scenarios in which the protocol must hold: every rule as it is, few actors, one kind of trouble at a time.

What must not be here: weakened rules.
"""

from __future__ import annotations

from typing import Any

from protocol.rules import Rules
from protocol.scenario import Scenario
from protocol.setup import Read, Setup, Write

SCENARIOS: list[Scenario] = []


def holds(name: str, *actors: Read | Write, large: bool = False, **world: Any) -> None:
    """The promise must hold here."""
    SCENARIOS.append(Scenario(name, Setup(actors, **world), large=large))


# -------------------------------------------------------------------- one key, one tag

READ, VERIFIED = Read(1), Read(1, verified=True)
UNTAGGED = Read(1, tags=())
HERE, UNTAGGED_HERE = Read(0), Read(0, tags=())
MOVES, DROPS = Write(0, tags=(0,)), Write(0, keys=(0,))

holds("tag, all is evicted", READ, HERE, MOVES, evict="esl", warm=(1,), large=True)
holds("tag, stamps are evicted", READ, HERE, MOVES, evict="s", warm=(1,))
holds("tag, verified, all is evicted", READ, VERIFIED, MOVES, evict="esl", warm=(), large=True)
holds("tag, verified", READ, VERIFIED, MOVES, warm=())
holds("tag, three readers", READ, VERIFIED, HERE, MOVES, large=True)
holds("key", UNTAGGED_HERE, UNTAGGED, UNTAGGED, DROPS, tags=0, evict="el", warm=(1,))
holds("key and tag", HERE, READ, Write(0, (0,), (0,)), evict="sl", large=True)
holds("key and tag, cold", HERE, READ, Write(0, (0,), (0,)))
holds("two invalidations", READ, READ, MOVES, MOVES, large=True)
holds("two invalidations, one reader", READ, MOVES, MOVES)
holds("two invalidating processes", HERE, HERE, MOVES, Write(1, tags=(0,)), large=True)
holds("a row that is not there yet", Read(0, absent=True), Read(1, absent=True), MOVES, evict="s")

# Two rules keep each other's loss from being seen: either alone is enough here.
holds(
    "epoch of the landing, while dooming stands",
    READ,
    READ,
    MOVES,
    rules=Rules(landing_epoch="landing"),
)
holds(
    "no dooming by tags, while followers are checked", READ, READ, MOVES, rules=Rules(dooms=False)
)
holds(
    "doomed flight is joined, while followers are checked",
    READ,
    READ,
    MOVES,
    rules=Rules(doomed_joinable=True),
)

# -------------------------------------------------------------------- glances

GLANCES, PLAIN_GLANCES = Read(1, glances=True), Read(1, tags=(), glances=True)

holds("glance, tag", GLANCES, READ, MOVES, warm=(1,), evict="e")
GLANCES_AND_FINDS = Read(1, 0, (), (0,), glances=True)
holds("glance, tag that only the entry names", GLANCES_AND_FINDS, READ, MOVES, warm=(), evict="s")
holds(
    "glance, tag and key", GLANCES_AND_FINDS, GLANCES_AND_FINDS, DROPS, MOVES, warm=(), large=True
)
holds("glances of two reads", GLANCES, GLANCES, MOVES, warm=(1,), evict="es", large=True)
holds("glance, key", PLAIN_GLANCES, PLAIN_GLANCES, DROPS, tags=0, warm=(), link=(1,))
holds("glance, two invalidations", GLANCES, MOVES, MOVES, warm=(1,), evict="e")
holds("glance, marked key", PLAIN_GLANCES, Write(0, (0,), two_phase=True), tags=0, warm=())
holds("glance, server is replaced", PLAIN_GLANCES, DROPS, tags=0, failover=(0,), warm=())

# -------------------------------------------------------------------- refreshes and re-stamps

REFRESHES = Read(1, refresh=True)
OTHER = Write(0, tags=(1,), unrelated=True)

holds("refresh races a write", REFRESHES, READ, HERE, MOVES, warm=(1,), large=True)
holds("refresh races a write, one reader", REFRESHES, READ, MOVES, warm=(1,))
holds(
    "refresh races the end of its key",
    *(Read(1, tags=(), refresh=True), UNTAGGED, UNTAGGED_HERE, DROPS),
    tags=0,
    warm=(0, 1),
    evict="l",
    large=True,
)
holds("re-stamp", HERE, HERE, MOVES, OTHER, tags=2)

# -------------------------------------------------------------------- links and processes
holds("link is lost", READ, READ, MOVES, link=(1,), evict="s", warm=(1,), large=True)
holds("link is lost, one reader", READ, MOVES, link=(1,), evict="s", warm=(1,))
holds("link is lost, key", UNTAGGED, UNTAGGED, DROPS, tags=0, link=(1,), evict="l", warm=(1,))
holds("loader dies", READ, READ, MOVES, crash=(1,), evict="l", large=True)
holds("loader dies, another loads", READ, HERE, MOVES, crash=(1,))

# -------------------------------------------------------------------- two-phase writes

MARKS = Write(0, tags=(0,), two_phase=True)
MARKS_KEY = Write(0, keys=(0,), two_phase=True)

holds("marked tag, writer dies", READ, MARKS, crash=(0,), evict="m", warm=(1,))
holds("marked tag, two readers", HERE, READ, MARKS, crash=(0,), evict="m", warm=(1,), large=True)
holds("marked tag, all is evicted", READ, MARKS, crash=(0,), evict="eslm", warm=(1,))
holds("marked tag, all is evicted, cold", READ, MARKS, crash=(0,), evict="eslm")
holds(
    "marked key, writer dies",
    *(UNTAGGED_HERE, UNTAGGED, MARKS_KEY),
    tags=0,
    crash=(0,),
    evict="elm",
    warm=(1,),
    large=True,
)
holds("marked key, one reader", UNTAGGED, MARKS_KEY, tags=0, crash=(0,), evict="elm", warm=(1,))
holds("marked key and tag", READ, Write(0, (0,), (0,), two_phase=True), crash=(0,), evict="slm")
holds(
    "two writers mark one tag",
    *(HERE, MARKS, Write(1, tags=(0,), two_phase=True)),
    crash=(1,),
    warm=(),
    large=True,
)
holds("two writers mark one key", UNTAGGED, MARKS_KEY, Write(1, (0,), two_phase=True), tags=0)
holds("plain write beside a marked tag", READ, MARKS, Write(1, tags=(0,)), warm=(1,))

# -------------------------------------------------------------------- two keys under two phases

FIRST, SECOND = Read(1, 0, ()), Read(1, 1, ())
BOTH_KEYS = Write(0, keys=(0, 1), two_phase=True)

holds("two marked keys", FIRST, SECOND, BOTH_KEYS, keys=2, tags=0, warm=(1,))
holds(
    "two marked keys, writer dies",
    *(FIRST, SECOND, BOTH_KEYS),
    keys=2,
    tags=0,
    crash=(0,),
    evict="m",
    warm=(1,),
    large=True,
)
holds(
    "two marked keys and a tag, cluster",
    *(Read(1, 0), Write(0, (0, 1), (0,), two_phase=True)),
    keys=2,
    cluster=True,
    crash=(0,),
    evict="m",
    warm=(1,),
)
holds(
    "two writers mark keys crosswise",
    *(FIRST, SECOND, BOTH_KEYS, Write(1, keys=(1, 0), two_phase=True)),
    keys=2,
    tags=0,
    large=True,
)

# -------------------------------------------------------------------- values made of values
PART = Read(0, 0, (0,), inside=1)
WHOLE = Read(0, 1, ())
WRITES_PART = Write(1, keys=(0,))

holds("part with a tag", PART, WHOLE, Write(1, tags=(0,)), keys=2, evict="s")
holds("part with a tag, read beside", PART, WHOLE, HERE, Write(1, tags=(0,)), keys=2, large=True)
holds("part by its key", Read(0, 0, (), inside=1), WHOLE, WRITES_PART, keys=2, tags=0, warm=())
holds(
    "part by its key, read beside",
    *(Read(0, 0, (), inside=1), WHOLE, Read(0, 0, ()), WRITES_PART),
    keys=2,
    tags=0,
)
holds("part and whole share a tag", PART, Read(0, 1, (0,)), Write(1, tags=(0,)), keys=2, evict="s")
holds("marked part", PART, WHOLE, Write(1, (0,), (0,), two_phase=True), keys=2)
holds(
    "two parts of one tag",
    *(Read(0, 0, (0,), inside=2), Read(0, 1, (0,), inside=2), Read(0, 2, ())),
    Write(1, tags=(0,)),
    keys=3,
)
holds(
    "whole in two processes",
    *(PART, WHOLE, Read(1, 0, inside=3), Read(1, 1, ()), Write(1, tags=(0,))),
    keys=2,
    large=True,
)

# -------------------------------------------------------------------- tags found by the load
FINDS = Read(0, 0, (), (0,))

holds("found tag", FINDS, Read(1, 0, (), (0,), verified=True), MOVES, evict="s")
holds("found tag, all is evicted", FINDS, FINDS, MOVES, evict="slq", large=True)
holds("found tag, the sequence is lost", FINDS, MOVES, evict="sq")
holds("found tag, marked", FINDS, FINDS, Write(1, tags=(0,), two_phase=True))
holds("part that finds its tag", Read(0, 0, (), (0,), inside=1), WHOLE, Write(1, tags=(0,)), keys=2)
holds(
    "part that finds its tag, evicted",
    *(Read(0, 0, (), (0,), inside=1), WHOLE, Write(1, tags=(0,))),
    keys=2,
    evict="s",
    large=True,
)
holds(
    "whole and part find one tag",
    *(Read(0, 0, (), (0,), inside=1), Read(0, 1, (), (0,)), Write(1, tags=(0,))),
    keys=2,
)
holds(
    "whole finds the tag of its part",
    *(PART, Read(0, 1, (), (0,)), Write(1, (0,), (0,))),
    keys=2,
)
holds(
    "part that finds its tag, read beside",
    *(Read(0, 0, (), (0,), inside=1), WHOLE, FINDS, Write(1, tags=(0,))),
    keys=2,
    large=True,
)

# -------------------------------------------------------------------- another's lease

WAITS = Read(1, patience=2)

holds("waits for another process", HERE, WAITS, MOVES)
holds("waits, lease is evicted", HERE, WAITS, MOVES, evict="l", large=True)
holds("waits for a holder that dies", HERE, WAITS, MOVES, crash=(0,), evict="l", large=True)
holds("waits while a tag is marked", HERE, WAITS, MARKS, large=True)
holds("is woken by a fill", HERE, WAITS, wakes=True)
holds("is woken whatever happens to a tag", HERE, WAITS, MOVES, wakes=True)
holds("is woken whatever happens to the key", *(UNTAGGED_HERE, UNTAGGED, DROPS), tags=0, wakes=True)
holds("is woken by a write under way", HERE, WAITS, MARKS, wakes=True, large=True)
holds("two wait", UNTAGGED_HERE, UNTAGGED, Read(2, tags=()), tags=0, processes=3, wakes=True)

# -------------------------------------------------------------------- the fill after a write

FILLS, FILLS_TOO = (Write(p, (0,), (0,), two_phase=True, fills=True) for p in (0, 1))
FILLS_CARRYING = Write(0, (0,), (0,), two_phase=True, fills=True, carries=(1,))
BOTH_TAGS = Read(1, 0, (0, 1))

holds("fill", READ, HERE, FILLS, warm=(0, 1), large=True)
holds("fill, one reader", READ, FILLS, warm=(1,))
holds("fill, all is evicted", READ, FILLS, evict="eslm", warm=(1,), large=True)
holds("fill, writer dies", READ, FILLS, evict="lm", crash=(0,), warm=(1,))
holds("fill, two writers", FILLS, FILLS_TOO, evict="s")
holds("fill, two writers and a reader", READ, FILLS, FILLS_TOO)
holds("fill, two writers, evicted", FILLS, FILLS_TOO, evict="slm", large=True)
holds("fill, two writers, one dies", FILLS, FILLS_TOO, evict="mr", crash=(1,))
holds("fill, two writers in one process", FILLS, FILLS, HERE, large=True)
holds("fill, and a write that is told by key", HERE, FILLS, Write(1, (0,)), evict="s")
holds("fill, and a write that is told by tag", HERE, FILLS, MOVES, warm=(0,))
holds("fill, and a write of a tag that it carries", FILLS_CARRYING, Write(1, tags=(1,)), tags=2)
holds(
    "fill, and a write of a tag that it carries, read",
    *(BOTH_TAGS, FILLS_CARRYING, Write(1, tags=(1,))),
    tags=2,
    large=True,
)
holds(
    "fill, and a tag that it carries is marked",
    *(BOTH_TAGS, FILLS_CARRYING, Write(1, tags=(1,), two_phase=True)),
    tags=2,
    large=True,
)
holds("fill, link is lost", HERE, FILLS, MOVES, link=(0,), large=True)
holds("fill wakes who waits", WAITS, FILLS, wakes=True)
holds("fill wakes who waits, two writers", WAITS, FILLS, FILLS_TOO, wakes=True, large=True)
holds("fill, server is replaced", READ, FILLS, failover=(0,), warm=(1,), large=True)

# -------------------------------------------------------------------- nodes that are replaced

holds("server is replaced", READ, Read(0, verified=True), MOVES, failover=(0,), warm=(), large=True)
holds("server is replaced, one reader", READ, MOVES, failover=(0,), warm=(1,))
holds("server is replaced, key", UNTAGGED, DROPS, tags=0, failover=(0,), warm=(1,))
holds(
    "server is replaced, key, two readers",
    *(UNTAGGED, UNTAGGED_HERE, DROPS),
    tags=0,
    failover=(0,),
    warm=(1,),
    large=True,
)

CLUSTER: dict[str, Any] = {"cluster": True}

holds("cluster", READ, HERE, Write(0, (0,), (0,)), **CLUSTER, large=True)
holds("cluster, one reader", HERE, Write(0, (0,), (0,)), **CLUSTER, evict="s", warm=(1,))
holds("cluster, two tags", Read(0, 0, (0, 1)), Write(0, tags=(0, 1)), **CLUSTER, tags=2, warm=(1,))
holds("cluster, node of tags replaced", READ, MOVES, **CLUSTER, failover=(1,), warm=())
holds(
    "cluster, node of keys replaced",
    READ,
    Write(0, (0,), (0,)),
    **CLUSTER,
    failover=(0,),
    warm=(),
)
holds(
    "cluster, node of the links replaced",
    *(READ, MOVES),
    **CLUSTER,
    failover=(1,),
    bus_node=1,
    warm=(),
)
holds(
    "cluster, both nodes replaced",
    *(READ, Write(0, (0,), (0,))),
    **CLUSTER,
    failover=(0, 1),
    warm=(),
    large=True,
)
holds(
    "cluster, node of tags replaced, verified",
    *(READ, Read(0, verified=True), MOVES),
    **CLUSTER,
    failover=(1,),
    warm=(),
    large=True,
)
holds(
    "cluster, marked key and tag", READ, Write(0, (0,), (0,), two_phase=True), **CLUSTER, crash=(0,)
)
holds(
    "cluster, part by its key", *(Read(0, 0, (), inside=1), WHOLE, WRITES_PART), **CLUSTER, keys=2
)
holds("cluster, part with a tag", PART, WHOLE, Write(1, tags=(0,)), **CLUSTER, keys=2)
holds("cluster, found tag", FINDS, FINDS, MOVES, **CLUSTER)
