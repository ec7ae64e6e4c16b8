"""Text to a syntax tree, or the reason why there is none. The only module that calls the parser.

What must not be here: what a tree means.
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cachewright.sql.placeholders import Unreadable

_WORD = re.compile(r"[\s(;]*([A-Za-z_]+)")
_REPLACE = re.compile(r"(\s*)replace\b", re.IGNORECASE)
_UPDATE_OR = re.compile(r"(\s*update)\s+or\s+(rollback|abort|replace|fail|ignore)\b", re.IGNORECASE)
_PARSER_GIVES_UP = (
    SqlglotError,
    RecursionError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)


def first_word(text: str) -> str:
    """The word that a statement without comments begins with, in lower case."""
    found = _WORD.match(text)
    return found[1].lower() if found else ""


def parsed(text: str, dialect: str) -> exp.Expr:
    """The tree of one statement. Raises `Unreadable`."""
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=dialect) if tree is not None]
    except _PARSER_GIVES_UP as error:
        raise Unreadable(f"it cannot be parsed: {_short(error)}") from None
    trees = [tree for tree in trees if not isinstance(tree, exp.Semicolon)]
    if len(trees) != 1:
        raise Unreadable("several statements" if trees else "no statement")
    if any(True for _ in trees[0].find_all(exp.Command)):
        raise Unreadable("a part of it cannot be parsed")
    return trees[0]


def as_parsable(text: str, dialect: str) -> tuple[str, bool]:
    """A write in a form that the parser knows, and whether it also removes rows that stand in its way."""
    if dialect == "postgres":
        return text, False
    text, replaced = (
        _REPLACE.subn(r"\1insert", text, count=1) if _REPLACE.match(text) else (text, 0)
    )
    found = _UPDATE_OR.match(text)
    if found is not None:
        text = _UPDATE_OR.sub(r"\1", text, count=1)
    return text, bool(replaced) or (found is not None and found[2].lower() == "replace")


def _short(error: Exception) -> str:
    return re.sub(r"\x1b\[\d*m", "", str(error)).split("\n")[0][:120]
