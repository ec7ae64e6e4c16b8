"""How far a partition has come, as the text that its source records in the transaction that applies a batch. Pure.

`version!term~retried`: all of the stream up to `version` was applied or parked; the worker that holds the partition is the
`term`-th to do so; `retried` is the version up to which a parked key was applied last. It is one text because it is one
fence: whatever a worker commits moves it, and so does the next worker before it does anything else. What must not be here:
recording it, and what follows from it (`_async.shards`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from cachewright.errors import CodecError

_VERSION = r"\d{15}-\d{10}"
_TEXT = re.compile(rf"({_VERSION})?(?:!(\d{{1,9}})(?:~({_VERSION}))?)?").fullmatch


@dataclass(frozen=True, slots=True)
class Progress:
    """What a partition's position says. "" where nothing of the stream, or of parked keys, was applied."""

    version: str = ""
    term: int = 0
    retried: str = ""

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What was recorded; None before the first record. Raises `CodecError` for what no worker has written."""
        found = _TEXT(text or "")
        if found is None:
            raise CodecError(f"the source has recorded a position that makes no sense: {text!r}")
        return cls(found[1] or "", int(found[2] or 0), found[3] or "")

    @property
    def text(self) -> str:
        """At most 64 characters, of which no two terms have the same."""
        retried = f"~{self.retried}" if self.retried else ""
        return f"{self.version}!{self.term}{retried}"

    def next_term(self) -> Self:
        """Another worker has the partition, or the same one after an error: what was begun before is fenced off."""
        return replace(self, term=self.term + 1)
