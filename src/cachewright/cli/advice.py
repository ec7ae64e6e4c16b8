"""Which pattern for what: the decision tree of `cachewright choose` as data and one pure function.

What must not be here: options, questions, printing; the code that goes with an advice (`example`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Content: TypeAlias = Literal["rows", "objects", "queries", "pages", "fragments", "api", "assets"]
Need: TypeAlias = Literal["read-heavy", "write-heavy", "consistency", "latency", "simple"]
Loss: TypeAlias = Literal["none", "seconds", "all"]

CONTENTS: dict[str, str] = {
    "rows": "rows of a database by their keys",
    "objects": "objects that are made of rows or come from a service",
    "queries": "results of queries: lists, counts, searches",
    "pages": "whole HTML pages",
    "fragments": "parts of pages",
    "api": "answers of an API",
    "assets": "images, scripts and style sheets",
}
NEEDS: dict[str, str] = {
    "read-heavy": "far more reads than writes",
    "write-heavy": "so many writes that the database is the bottleneck",
    "consistency": "nobody may be served what was replaced",
    "latency": "no reader may wait for the database",
    "simple": "the least change to what there is",
}
LOSSES: dict[str, str] = {
    "none": "no acknowledged write may be lost, not even when the power fails",
    "seconds": "the last two seconds may be lost when the power fails",
    "all": "what is queued may be lost when the cache's server dies",
}
DURABILITIES = {"none": "fsync", "seconds": "aof", "all": "memory"}


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation. `example`: which code goes with it. `page`: where the documentation says more."""

    pattern: str
    reason: str
    guarantee: str
    price: str
    example: str
    page: str


_FRESH = (
    "After a write that names the row, no read that starts later in that process sees the old one; in other processes "
    "none after the bus latency."
)
_OF_ROWS: dict[str, Advice] = {
    "simple": Advice(
        "cache-aside",
        "Each call says how its value is loaded, so it fits into code that exists, one call at a time.",
        _FRESH + " A load that raced a write is not kept.",
        "Every writer must go through `writing` or `invalidate`; whoever forgets leaves old values until the TTL.",
        "cache-aside",
        "docs/explanation/read-through.md",
    ),
    "read-heavy": Advice(
        "read-through",
        "The loader is named once; a batch of any size is one statement for what is missing, and ids that do not exist "
        "are remembered.",
        _FRESH + " A load that raced a write is not kept.",
        "The first read of a row waits for the database, as does the first after its TTL.",
        "read-through",
        "docs/explanation/read-through.md",
    ),
    "latency": Advice(
        "refresh-ahead",
        "Rows that are read often are loaded anew before they expire, once in the fleet, so that no reader waits.",
        _FRESH + " A refresh does not bring back what was deleted.",
        "Loads that nobody waited for: about one for each TTL and hot row. The first read of a row still waits.",
        "refresh-ahead",
        "docs/explanation/refresh-ahead.md",
    ),
    "consistency": Advice(
        "write-through, strict",
        "The write is marked everywhere before the database commits and fills the cache with the stored row after it.",
        "A write that cannot be announced is refused before it commits, so nobody is served a replaced row beyond the bus "
        "latency; with verify=True not even that long. Values that never committed are never seen.",
        "Two round trips to the cache for each write, and no writes while the cache's server is away.",
        "write-through",
        "docs/explanation/write-through.md",
    ),
    "write-heavy": Advice(
        "write-behind",
        "A write is acknowledged by the cache's server and reaches the database in batches, coalesced by key.",
        "",
        "The database is behind by the interval; who reads it directly sees old rows. The queue needs a server that evicts "
        "nothing.",
        "write-behind",
        "docs/explanation/write-behind.md",
    ),
}
_BEHIND: dict[str, str] = {
    "none": "durability=fsync: an acknowledged write survives the crash of every process and loss of power. The server must "
    "sync every write (appendfsync always).",
    "seconds": "durability=aof: an acknowledged write survives the crash of every process; loss of power of the cache's "
    "server may cost the last two seconds.",
    "all": "durability=memory: an acknowledged write survives the crash of your processes, not that of the cache's server.",
}
_TAGS = "Whatever names the tag in its write makes the value unusable in every process, at the bus latency."
_OF_CONTENT: dict[str, Advice] = {
    "queries": Advice(
        "cached queries with tags",
        "A result is right until a table that it reads is written, so the table is its tag.",
        _TAGS,
        "A busy table empties its queries often; name narrower tags where the WHERE clause allows it.",
        "queries",
        "docs/how-to/invalidate-after-a-write.md",
    ),
    "pages": Advice(
        "cached pages with tags",
        "A page is a value made of others: cached calls inside its rendering hand their tags up.",
        _TAGS + " Pages of different users and languages have different keys.",
        "The key must name all that the page depends on: path, language, user.",
        "pages",
        "docs/explanation/dependencies-between-values.md",
    ),
    "fragments": Advice(
        "cached fragments",
        "Parts of a page that many pages share are rendered once; the page inherits their tags.",
        _TAGS,
        "One look in memory for each fragment.",
        "fragments",
        "docs/explanation/dependencies-between-values.md",
    ),
    "api": Advice(
        "cached answers with an ETag",
        "The body is cached with tags, and its digest lets a client that has it get 304 without a body.",
        _TAGS + " A client revalidates each time, so it never shows what was replaced.",
        "A round trip for each request of the client.",
        "api",
        "docs/how-to/use-it-from-a-web-application.md",
    ),
    "assets": Advice(
        "fingerprints, browser and CDN",
        "A name that holds the digest of the content never changes its meaning, so anybody may keep it for ever.",
        "What is served under a name is what was built under it.",
        "A build step; the page that names the assets must itself be fresh. No cache of ours is needed.",
        "assets",
        "docs/how-to/choose-a-pattern.md",
    ),
}


def asks_for_need(content: str) -> bool:
    """Whether the kind of content leaves a choice."""
    return content not in _OF_CONTENT


def asks_for_loss(content: str, need: str | None) -> bool:
    """Whether it matters what may be lost."""
    return asks_for_need(content) and need == "write-heavy"


def advise(content: str, need: str | None = None, loss: str | None = None) -> Advice:
    """The pattern for this content and primary need; `loss` matters for write-heavy rows alone ("none" unless given)."""
    if content in _OF_CONTENT:
        return _OF_CONTENT[content]
    advice = _OF_ROWS[need or "read-heavy"]
    if need != "write-heavy":
        return advice
    return Advice(
        advice.pattern,
        advice.reason,
        _BEHIND[loss or "none"] + " A read sees every acknowledged write, also while it is queued.",
        advice.price,
        advice.example,
        advice.page,
    )
