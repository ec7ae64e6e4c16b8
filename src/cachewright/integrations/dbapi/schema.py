"""From what a database says of itself to the catalogue that analyses need, as one search path sees it.

What must not be here: questions to the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from cachewright.core.tags import table_name
from cachewright.integrations.dbapi.asking import Schema
from cachewright.sql import Analyser, Opaque, Relation, Table, Tables, View, Writes
from cachewright.sql.purity import HARMLESS_NAMES
from cachewright.sql.relations import Effect, Verb

_KINDS: Mapping[str | None, type | None] = {
    "int": int,
    "bool": bool,
    "str": str,
    "uuid": UUID,
    "date": date,
    None: None,
}
_VERBS: tuple[Verb, ...] = ("insert", "update", "delete")
_PLAIN_ASSIGNMENTS = re.compile(
    r"\b(insert|update|delete|merge|truncate|execute|perform|call|copy|select|do|refresh|alter|drop|create|import|grant)\b",
    re.IGNORECASE,
)
_CALLS = re.compile(r"([A-Za-z_][\w$.]*)\s*\(")
_ASSIGNED = re.compile(r"\bnew\s*\.\s*\"?(\w+)\"?\s*:?=", re.IGNORECASE)
_BEFORE = 2 | 64
_BODY = re.compile(r"\bBEGIN\b(.*)\bEND\b", re.IGNORECASE | re.DOTALL)
_EVENT = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_WORDS = frozenset(
    {
        "if",
        "elsif",
        "and",
        "or",
        "not",
        "in",
        "values",
        "row",
        "coalesce",
        "nullif",
        "greatest",
        "least",
    }
)


class Relations:
    """All relations of a database. `triggers`: what those of a table write, where the caller knows better than we."""

    def __init__(
        self,
        dialect: str,
        schema: Schema,
        *,
        default: str | None,
        matches: bool,
        triggers: Mapping[str, Iterable[str]],
    ) -> None:
        self._dialect = dialect
        self._schema = schema
        self._default = default
        self._matches = matches
        self._declared = {name.lower(): tuple(tables) for name, tables in triggers.items()}
        self._roots = self._roots_of(schema["parents"])
        self._names = {
            row[0]: table_name(row[2], row[1], default=default) for row in schema["relations"]
        }
        self.quiet = frozenset(schema["quiet"])
        self.secured = frozenset(
            self._names[self._roots.get(row[0], row[0])] for row in schema["relations"] if row[4]
        )
        """Tables of which a row is seen or not, depending on who asks."""
        self._by_name: dict[tuple[str, str], Relation] = {}
        self._by_tag: dict[str, Relation] = {}
        self._build()

    def named(self, name: str, schema: str) -> Relation | None:
        """One relation of one schema."""
        return self._by_name.get((schema, name))

    def tagged(self, name: str) -> Relation | None:
        """The table that tags call so."""
        return self._by_tag.get(name)

    # ------------------------------------------------------------ building

    def fold(self, name: str) -> str:
        """A name as the catalogue keeps it."""
        return name if self._dialect == "postgres" else name.lower()

    def _roots_of(self, parents: Sequence[Sequence[Any]]) -> dict[Any, Any]:
        """The topmost ancestor of each partition: its tags stand for all. None for one of several parents."""
        above: dict[Any, list[Any]] = {}
        for child, parent in parents:
            above.setdefault(child, []).append(parent)
        roots: dict[Any, Any] = {}
        for child in above:
            at, several = child, False
            while at in above and not several:
                several = len(above[at]) > 1
                at = above[at][0]
            roots[child] = None if several else at
        return roots

    def _build(self) -> None:
        columns, keys, sets = (
            self._by_table("columns"),
            self._by_table("keys"),
            self._by_table("sets"),
        )
        home = Seen(self, self._schema["path"])
        causes = self._causes()
        rewriting = self._rewriting(keys)
        for ident, schema, name, letter, _, text in self._schema["relations"]:
            root = self._roots.get(ident, ident)
            place = self.fold(schema), self.fold(name)
            relation: Relation
            if letter == "v":
                relation = View(self._names[ident], _selected(text), home)
            elif letter == "f":
                relation = Opaque(name, "its rows come from elsewhere")
            elif root is None:
                relation = Opaque(name, "it inherits from several tables")
            else:
                relation = Table(
                    self._names[root],
                    {self.fold(c): _KINDS[k] for c, k in columns.get(root, ())},
                    tuple(self.fold(c) for c in (keys.get(root) or [[()]])[0][0]),
                    [tuple(self.fold(c) for c in names) for (names,) in sets.get(root, ())],
                    also=causes.get(root, {}),
                    rewrites=root in rewriting,
                    complete=self._matches,
                )
                self._by_tag[relation.name] = relation
            self._by_name[place] = relation
        self._read_triggers()

    def _by_table(self, part: str) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        for ident, *rest in self._schema[part]:
            found.setdefault(ident, []).append(rest)
        return found

    def _causes(self) -> dict[Any, dict[Verb, Sequence[Effect] | None]]:
        found: dict[Any, dict[Verb, Any]] = {}
        for parent, verb, effect, child in self._schema["effects"]:
            own = found.setdefault(self._roots.get(parent, parent), {})
            name = self._names.get(self._roots.get(child, child))
            own[verb] = None if name is None else [*(own.get(verb) or ()), (effect, name)]
        for ident, bits, source, language in self._schema["triggers"]:
            root = self._roots.get(ident, ident)
            own = found.setdefault(root, {})
            name = self._names.get(root, "")
            for verb in _fires(bits, language):
                if name in self._declared:
                    more = [(each, t.lower()) for t in self._declared[name] for each in _VERBS]
                    own[verb] = [*(own.get(verb) or ()), *more]
                elif language == "sqlite" or (language == "plpgsql" and is_quiet(source)):
                    continue
                else:
                    own[verb] = None
        return found

    def _rewriting(self, keys: Mapping[Any, list[Any]]) -> set[Any]:
        """Tables with a trigger that may change the key of a row that is about to be written."""
        found = set()
        for ident, bits, source, language in self._schema["triggers"]:
            root = self._roots.get(ident, ident)
            before = language != "sqlite" and (language != "plpgsql" or bool(bits & _BEFORE))
            own = {name for (names,) in keys.get(root, ()) for name in names}
            if before and not (
                language == "plpgsql" and is_quiet(source) and not assigned(source) & (own | {"*"})
            ):
                found.add(root)
        return found

    def _read_triggers(self) -> None:
        """SQLite keeps triggers as the statements that they consist of: those are analysed like any others."""
        own = [row for row in self._schema["triggers"] if row[3] == "sqlite"]
        for ident, _, source, _ in own:
            name = self._names.get(ident)
            table = self._by_tag.get(name or "")
            if not isinstance(table, Table) or table.name in self._declared:
                continue
            effects = self._effects(source)
            also: dict[Verb, Any] = dict(table.also)
            for verb in _VERBS:
                known = also.get(verb, ())
                also[verb] = None if effects is None or known is None else [*known, *effects]
            changed = Table(
                table.name, table.columns, table.key, table.tracked, also, True, table.complete
            )
            self._by_tag[table.name] = changed
            for place, each in list(self._by_name.items()):
                if each is table:
                    self._by_name[place] = changed

    def _effects(self, source: str) -> list[Effect] | None:
        body = _BODY.search(source)
        plain = Tables(
            [Table(each.name) for each in self._by_tag.values() if isinstance(each, Table)],
            default=self._default,
        )
        analyser = Analyser(self._dialect, plain, paramstyle="none")
        found: list[Effect] = []
        for text in body[1].split(";") if body else ["?"]:
            if not text.strip() or text.strip().lower().startswith("select"):
                continue
            statement = analyser(text)
            if not isinstance(statement, Writes) or statement.everything is not None:
                return None
            verb = _EVENT.search(text)
            verbs = _VERBS if verb is None or "REPLACE" in text.upper() else (verb[1].lower(),)
            found += [(each, name) for name in sorted(statement.tables) for each in verbs]  # type: ignore[misc]
        return found


def _fires(bits: int, language: str) -> Sequence[Verb]:
    """The verbs that a trigger waits for; all where the catalogue keeps them in its text alone."""
    events = {"insert": 4, "delete": 8 | 32, "update": 16}
    return [v for v in _VERBS if language in ("sqlite", "mysql") or bits & events[v]]


def assigned(source: str | None) -> set[str]:
    """The columns of the row at hand that a PL/pgSQL trigger assigns to; "*" for what cannot be told."""
    found = {name.lower() for name in _ASSIGNED.findall(source or "")}
    whole = re.search(r"\bnew\s*(:=|=)|\binto\b", source or "", re.IGNORECASE)
    return found | {"*"} if whole else found


def is_quiet(source: str | None) -> bool:
    """Whether the body of a PL/pgSQL trigger does nothing but assign to the row at hand."""
    if source is None or _PLAIN_ASSIGNMENTS.search(source):
        return False
    calls = {name.lower() for name in _CALLS.findall(source)}
    return calls <= HARMLESS_NAMES | _WORDS


def _selected(text: str | None) -> str:
    """The query of a view: SQLite keeps the whole CREATE VIEW."""
    found = re.match(r"\s*CREATE\s.*?\bAS\b(.*)", text or "", re.IGNORECASE | re.DOTALL)
    return (found[1] if found else text or "").strip().rstrip(";")


class Seen:
    """The catalogue of a database as one search path sees it; views as the path sees them that they were read under."""

    def __init__(self, relations: Relations, path: Sequence[str]) -> None:
        self.version = 0
        self._relations = relations
        self._path = tuple(map(relations.fold, path))

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """What a name means: in the schema that is said, else in the first of the path that has it."""
        for place in (schema,) if schema is not None else self._path:
            found = self._relations.named(name, place)
            if found is not None:
                return found
        return None

    def tagged(self, name: str) -> Relation | None:
        """By the name that tags have for it."""
        return self._relations.tagged(name)

    def writes_nothing(self, function: str) -> bool:
        """Functions that the database holds to that."""
        return function.rpartition(".")[2] in self._relations.quiet
