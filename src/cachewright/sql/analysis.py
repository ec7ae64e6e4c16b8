"""What a statement reads or writes: the entrance. Analyses are kept by their text, those long unused forgotten.

    analyser = Analyser("postgresql", catalogue)
    statement = analyser("SELECT * FROM flights WHERE id = %s")    # Reads | Writes | Refused
    statement.tags([4711])                                         # ["row:flights:4711", "rows:flights"]

What must not be here: connections, caches of results.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlglot import exp

from cachewright.core.tags import table_name
from cachewright.sql import purity
from cachewright.sql.dialects import known_dialect
from cachewright.sql.parsing import as_parsable, first_word, parsed
from cachewright.sql.placeholders import DEFAULT_STYLES, Marked, Paramstyle, Unreadable, marked
from cachewright.sql.reading import reads_of
from cachewright.sql.relations import Catalogue, Table
from cachewright.sql.resolving import DML, Resolver, is_relation, relation_of
from cachewright.sql.statements import Change, Refused, Statement, Writes
from cachewright.sql.writing import Writer

MOST_ANALYSES = 2048

_CONTROL = frozenset(
    {"begin", "start", "commit", "rollback", "savepoint", "release", "end", "abort"}
)
_SESSION = frozenset(
    [
        "set",
        "reset",
        "discard",
        "use",
        "pragma",
        "attach",
        "detach",
        "listen",
        "unlisten",
        "declare",
        "fetch",
        "close",
        "move",
        "deallocate",
    ]
)
_HARMLESS = frozenset(
    [
        "vacuum",
        "analyze",
        "reindex",
        "checkpoint",
        "cluster",
        "lock",
        "unlock",
        "notify",
        "show",
        "describe",
        "desc",
        "kill",
        "optimize",
    ]
)
_QUERIES = frozenset({"select", "with", "values", "table"})
_VERBS = frozenset({"insert", "update", "delete", "merge", "replace"})
_WRITING_WORDS = re.compile(
    r"\b(insert|update|delete|merge|into|call|execute|truncate|create|drop|alter|replace)\b",
    re.IGNORECASE,
)
_CALLS = re.compile(r"([A-Za-z_][\w$]*)\s*\(")
_TEMPORARY_TABLE = "it makes a temporary table"
_TEMPORARY = re.compile(
    r"\s*create\s+(?:or\s+replace\s+)?(?:local\s+|global\s+)?temp(?:orary)?\b", re.IGNORECASE
)


class Analyser:
    """Analyses statements of one dialect against one catalogue; of up to 2,048 texts used last it remembers the answers.

    `paramstyle`: how parameters are written, by default as the usual drivers of the dialect do; "none" where `%` and `?`
    stand for themselves. `pure`: functions that give the same for the same arguments, besides those that are known.
    """

    def __init__(
        self,
        dialect: str,
        catalogue: Catalogue,
        *,
        paramstyle: Paramstyle | None = None,
        pure: Collection[str] = (),
    ) -> None:
        self.dialect = known_dialect(dialect)
        self.catalogue = catalogue
        self.paramstyle: Paramstyle = paramstyle or DEFAULT_STYLES[self.dialect]
        self._pure = frozenset(name.lower() for name in pure)
        self._version = catalogue.version
        self._known: dict[tuple[str, Paramstyle], Statement] = {}
        self._older: dict[tuple[str, Paramstyle], Statement] = {}

    def __call__(self, sql: str, paramstyle: Paramstyle | None = None) -> Statement:
        """What the statement is. Never raises for what it says."""
        if self._version != self.catalogue.version:
            self._known, self._older = {}, {}
            self._version = self.catalogue.version
        name = (sql, paramstyle or self.paramstyle)
        found = self._known.get(name)
        return found if found is not None else self._found(name)

    def _found(self, name: tuple[str, Paramstyle]) -> Statement:
        """Of the generation before, or analysed. Two generations are kept: what nobody asks for is in neither, after a while."""
        version = self._version
        found = self._older.get(name)
        if found is None:
            found = self._analysed(*name)
        if version != self.catalogue.version:
            return found  # made under two catalogues, perhaps: it is not remembered
        if len(self._known) >= MOST_ANALYSES // 2:
            self._older, self._known = self._known, {}
        self._known[name] = found
        return found

    def _analysed(self, sql: str, style: Paramstyle) -> Statement:
        try:
            text = marked(sql, self.dialect, style)
        except Unreadable as why:
            return self._doubtful(sql, str(why))
        word = first_word(text.text)
        if not text.text.strip(" \t\r\n;"):
            return Refused("no statement")
        if word in _CONTROL:
            return Refused(f"{word} begins or ends a transaction", control=word)
        if word in _SESSION:
            return Refused(f"{word} changes or uses the session", session=True)
        if word in _HARMLESS:
            return Refused(f"{word} is no query")
        if word == "explain":
            return self._doubtful(text.text, "explain is no query")
        if word in _QUERIES:
            return self._query(text)
        if word in _VERBS:
            return self._write(text)
        return self._other(text, word)

    # ------------------------------------------------------------ kinds

    def _query(self, text: Marked) -> Statement:
        try:
            tree = parsed(text.text, self.dialect)
        except Unreadable as why:
            return self._doubtful(text.text, str(why))
        if any(True for _ in tree.find_all(*DML)):
            return self._written(tree, text, replaces=False)
        if not isinstance(tree, exp.Query):
            return self._doubtful(text.text, "it is no query")
        into = tree.find(exp.Into)
        if into is not None and into.args.get("temporary"):
            may_write = self._may_write(tree)
            return Refused(_TEMPORARY_TABLE, session=True, temporary=True, may_write=may_write)
        if into is not None:
            return Writes(everything="SELECT INTO makes a table", structure=True)
        if any(True for _ in tree.find_all(exp.Lock)):
            return Refused(
                "it locks rows (FOR UPDATE or the like)", may_write=self._may_write(tree)
            )
        resolver = Resolver(self.dialect, self.catalogue, self._pure)
        try:
            resolver.resolve(tree)
            return reads_of(resolver, text.references)
        except Unreadable as why:
            session = any(
                node.name.lower() == "set_config" for node in tree.find_all(exp.Anonymous)
            )
            return Refused(str(why), may_write=self._may_write(tree), session=session)

    def _write(self, text: Marked) -> Statement:
        plain, replaces = as_parsable(text.text, self.dialect)
        try:
            tree = parsed(plain, self.dialect)
        except Unreadable as why:
            return Writes(everything=str(why))
        return self._written(tree, text, replaces=replaces)

    def _written(self, tree: exp.Expr, text: Marked, *, replaces: bool) -> Statement:
        writer = Writer(
            self.dialect, self.catalogue, text.references, declared=self._pure, replaces=replaces
        )
        try:
            return writer.writes(tree)
        except Unreadable as why:
            return Writes(everything=str(why))

    def _other(self, text: Marked, word: str) -> Statement:
        if word in ("truncate", "copy"):
            return self._of_tables(text, word)
        if _TEMPORARY.match(text.text):
            return Refused(_TEMPORARY_TABLE, session=True, temporary=True)
        if word in (
            "create",
            "alter",
            "drop",
            "rename",
            "comment",
            "grant",
            "revoke",
            "refresh",
            "security",
        ):
            return Writes(everything=f"{word} may change what queries mean", structure=True)
        return Writes(everything=f"nobody knows what {word or 'it'} writes", structure=True)

    def _of_tables(self, text: Marked, word: str) -> Statement:
        """TRUNCATE and COPY: all rows of the tables that they name."""
        try:
            tree = parsed(text.text, self.dialect)
        except Unreadable as why:
            return Writes(everything=str(why))
        option = str(tree.args.get("option") or "").lower()
        if option == "cascade":
            return Writes(everything="TRUNCATE CASCADE")
        if isinstance(tree, exp.Copy) and (
            not tree.args.get("kind") or not isinstance(_copied(tree), exp.Table)
        ):
            return Refused("COPY TO is no query")
        writer = Writer(self.dialect, self.catalogue, text.references)
        try:
            for node in tree.find_all(exp.Table):
                if is_relation(node):
                    table = relation_of(node, self.dialect, self.catalogue)
                    if not isinstance(table, Table):
                        raise Unreadable(f"{word} of what the catalogue does not know")
                    writer.note(Change(table), ("delete" if word == "truncate" else "insert",))
        except Unreadable as why:
            return Writes(everything=str(why))
        return writer.writes(exp.Select())

    # ------------------------------------------------------------ doubts

    def _doubtful(self, text: str, why: str) -> Refused | Writes:
        """What nobody can read: refused, and perhaps a write of anything."""
        if _WRITING_WORDS.search(text):
            return Writes(everything=why, structure=True)
        calls = {name.lower() for name in _CALLS.findall(text)}
        unknown = calls - purity.HARMLESS_NAMES - _WORDS_BEFORE_PARENTHESES
        may = self.dialect != "sqlite" and any(
            not self.catalogue.writes_nothing(n) for n in unknown
        )
        return Refused(why, may_write=may)

    def _may_write(self, tree: exp.Expr) -> bool:
        return self.dialect != "sqlite" and any(
            True for _ in purity.may_write(tree, self.catalogue, self._pure)
        )


def _copied(tree: exp.Copy) -> exp.Expr:
    this: exp.Expr = tree.this
    return this.this if isinstance(this, exp.Schema) else this


_WORDS_BEFORE_PARENTHESES = frozenset(
    [
        "select",
        "from",
        "where",
        "in",
        "as",
        "and",
        "or",
        "not",
        "exists",
        "values",
        "on",
        "using",
        "over",
        "filter",
        "by",
        "any",
        "all",
        "some",
        "array",
        "row",
        "case",
        "when",
        "then",
        "else",
        "union",
        "intersect",
        "except",
        "having",
        "limit",
        "offset",
        "join",
        "lateral",
        "within",
        "group",
        "with",
        "recursive",
        "materialized",
        "distinct",
        "cast",
        "extract",
        "substring",
        "trim",
        "position",
        "overlay",
        "coalesce",
        "nullif",
        "greatest",
        "least",
        "count",
        "sum",
        "min",
        "max",
        "avg",
        "lower",
        "upper",
        "length",
        "replace",
        "round",
        "abs",
        "ceil",
        "floor",
        "sqrt",
        "exp",
        "ln",
        "log",
        "power",
        "mod",
        "now",
        "interval",
        "numeric",
        "decimal",
        "varchar",
        "char",
        "explain",
        "analyze",
        "verbose",
    ]
)


def analyse(
    sql: str, dialect: str, catalogue: Catalogue, *, paramstyle: Paramstyle | None = None
) -> Statement:
    """What one statement is, without remembering it."""
    return Analyser(dialect, catalogue, paramstyle=paramstyle)(sql)


def normalised(sql: str, dialect: str, *, paramstyle: Paramstyle | None = None) -> str:
    """The statement without comments and needless blanks, for a key. Two that mean other things never become one."""
    known = known_dialect(dialect)
    from cachewright.sql.placeholders import squeezed

    return squeezed(sql, known, paramstyle or DEFAULT_STYLES[known])


__all__ = ["Analyser", "analyse", "normalised", "table_name"]
