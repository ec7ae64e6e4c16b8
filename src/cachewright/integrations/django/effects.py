"""What running a statement does, as far as a cache cares: it reads, writes, locks or changes the session.

Texts are analysed once. A plain SELECT is not parsed at all unless a word or a function in it could write.
What must not be here: connections, marks, and how a statement is analysed (`sql`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from cachewright.core.reads import spell_tags
from cachewright.core.tags import NAMESPACE, rows_tag
from cachewright.sql import Analyser, Reads, Refused, Writes, unnamed_write

MAX_TEXTS = 4096
MAX_SETS = 64
"""Sets of parameters of one statement that are looked at one by one."""

_FIRST = re.compile(r"[\s(]*([a-z]+)", re.IGNORECASE)
_LOCKS = re.compile(r"\bfor\s+(?:no\s+key\s+)?(?:update|share|key\s+share)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:insert|update|delete|merge|into|replace|truncate)\b", re.IGNORECASE)
_CALLS = re.compile(r"([a-z_][a-z0-9_.]*)\s*\(", re.IGNORECASE)
_INSERT = re.compile(r"\s*insert\s+into\s+[\"`]?(\w+)[\"`]?\s*\(", re.IGNORECASE)
_UPSERT = re.compile(r"\bon\s+(?:conflict|duplicate)\b", re.IGNORECASE)
_GROUPS = re.compile(r"(\bvalues\s*)(\([%s, ]+\))((?:\s*,\s*\2)+)", re.IGNORECASE)
_SETS = re.compile(
    r"\s*(?:set|reset)\s+(?P<how>session\s+|local\s+)?(?P<what>[\w. ]+?)\s*(?:=|\bto\b|\bisolation\b|\bread\b|;|$|'|\ball\b)",
    re.IGNORECASE,
)
_HARMLESS_SETTINGS = frozenset(
    [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "work_mem",
        "maintenance_work_mem",
        "application_name",
        "client_min_messages",
        "constraints",
        "synchronous_commit",
        "enable_seqscan",
        "jit",
        "deadlock_timeout",
    ]
)
"""What changes no result."""
_READS = {"select", "values", "table"}
_INSPECTS = {"pragma", "show", "explain", "analyze", "vacuum", "describe", "listen", "fetch"}
_WORDS = """
    in and or not exists any all some values over as on by filter when then else where from select using union join group
    lateral having except intersect case varchar numeric char decimal count sum avg min max coalesce lower upper cast extract
    length concat abs round row_number rank date_trunc
"""
_NO_CALLS = frozenset(_WORDS.split())
"""What may stand before a parenthesis and writes nothing."""


class Kind(Enum):
    """What a statement does to a cache."""

    READ = auto()
    WRITE = auto()
    LOCK = auto()
    SETTING = auto()


@dataclass(frozen=True, slots=True)
class Effect:
    """One text. `writes`: its analysis; None for a write that nobody can read, and `why`."""

    kind: Kind
    writes: Writes | None = None
    inserts: str | None = None
    """The table into which it inserts, if it does nothing else."""
    groups: int = 1
    """How many rows of parameters one run has, of which one was analysed."""
    why: str = ""
    structure: bool = False
    """Whether it may change what queries mean."""

    def tags(self, every: Iterable[Any]) -> list[str] | None:
        """What it makes wrong with each of these sets of parameters; None for everything."""
        if self.writes is None:
            return None
        sets = [each for params in every for each in self._divided(params)]
        if len(sets) > MAX_SETS:
            return self.coarse()
        tags: dict[str, None] = {}
        for each in sets:
            found = self.writes.tags(each)
            if found is None:
                return None
            tags.update(dict.fromkeys(found))
        return list(tags)

    def coarse(self) -> list[str] | None:
        """The same by whole tables."""
        if self.writes is None:
            return None
        return [tag for table in sorted(self.writes.tables) for tag in unnamed_write(table)]

    def without_new_rows(self, tags: list[str]) -> list[str]:
        """The tags of an insert whose rows somebody is about to name; a constraint may remove others, which nobody does."""
        if self.writes is not None and self.inserts in self.writes.effects:
            return tags
        return [tag for tag in tags if tag != rows_tag(str(self.inserts))]

    def _divided(self, params: Any) -> list[Any]:
        if self.groups == 1:
            return [params if params is not None else ()]
        width = len(params) // self.groups
        return [params[at : at + width] for at in range(0, len(params), width)]


READ = Effect(Kind.READ)
LOCK = Effect(Kind.LOCK)
SETTING = Effect(Kind.SETTING)


def spelled(tags: list[str] | None) -> list[str]:
    """Tags as marks know them."""
    return [NAMESPACE] if tags is None else spell_tags(tags)


class Effects:
    """The effects of texts, for one analyser."""

    def __init__(self, analyser: Analyser, harmless: frozenset[str] = frozenset()) -> None:
        self._analyser = analyser
        self._harmless = harmless | _NO_CALLS
        self._known: dict[str, Effect] = {}

    def of(self, sql: str) -> Effect:
        """What running this text does."""
        found = self._known.get(sql)
        if found is None:
            found = self._classified(sql)
            if len(self._known) >= MAX_TEXTS:
                self._known.clear()
            self._known[sql] = found
        return found

    def _classified(self, sql: str) -> Effect:
        first = _FIRST.match(sql)
        word = first[1].lower() if first else ""
        if word in _INSPECTS:
            return READ
        if word == "lock":
            return LOCK
        if word in ("set", "reset"):
            return _setting(sql)
        unlocked = _LOCKS.sub(" ", sql)
        locks = unlocked != sql
        if word in _READS and not _WRITES.search(unlocked):
            calls = {name.lower() for name in _CALLS.findall(unlocked)}
            if calls <= self._harmless:
                return LOCK if locks else READ
        return self._analysed(sql, locks=locks)

    def _analysed(self, sql: str, *, locks: bool) -> Effect:
        groups, text = _one_group(sql)
        statement = self._analyser(text)
        if isinstance(statement, Reads):
            return READ
        if isinstance(statement, Refused):
            return _refused(statement, locks=locks)
        if statement.everything is not None:
            return Effect(Kind.WRITE, why=statement.everything, structure=statement.structure)
        insert = None if _UPSERT.search(sql) else _INSERT.match(sql)
        return Effect(Kind.WRITE, statement, insert[1].lower() if insert else None, groups)


def _refused(statement: Refused, *, locks: bool) -> Effect:
    if statement.may_write:
        return Effect(Kind.WRITE, why=statement.reason)
    if statement.session:
        return SETTING
    return LOCK if locks else READ


def _setting(sql: str) -> Effect:
    """SET: nothing, for the rest of the transaction, or for the rest of the session."""
    found = _SETS.match(sql)
    what = found["what"].lower().split() if found else [""]
    if what[0] in _HARMLESS_SETTINGS:
        return READ
    local = found is not None and (found["how"] or "").strip().lower() == "local"
    return LOCK if local or what[0] == "transaction" else SETTING


def _one_group(sql: str) -> tuple[int, str]:
    """How many rows of parameters an INSERT has, and the text with the first of them alone, which is quick to analyse."""
    repeated = _GROUPS.search(sql)
    if repeated is None:
        return 1, sql
    groups = 1 + repeated[3].count("(")
    return groups, f"{sql[: repeated.end(2)]}{sql[repeated.end() :]}"
