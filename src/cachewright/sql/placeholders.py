"""Finds the parameters of a statement, in every style of DBAPI, and gives them a form that the parser reads.

Strings, quoted names and comments are stepped over as the dialect writes them. Drivers of the `%` styles replace also
what stands in those, so that such a statement is refused: it could not be said which parameter is which.
What must not be here: the parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Paramstyle: TypeAlias = Literal[
    "qmark", "named", "numeric", "numeric_dollar", "format", "pyformat", "none"
]
Reference: TypeAlias = int | str
"""A place in the sequence, or a name in the mapping, that a driver is given."""

PREFIX = "cwprm"
"""What our own names of parameters begin with, in the text that is parsed."""

DEFAULT_STYLES: Mapping[str, Paramstyle] = {
    "postgres": "pyformat",
    "mysql": "pyformat",
    "sqlite": "qmark",
}

_QUOTES = {
    "postgres": r"""
        (?:\b[eE])'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*|)\$.*?\$(?P=tag)\$ | --[^\n]*""",
    "mysql": r"""
        '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` | --(?=\s|$)[^\n]* | \#[^\n]*
        | /\*.*?\*/""",
    "sqlite": r"""
        '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?(?:\*/|\Z)""",
}
_STYLES: Mapping[Paramstyle, str] = {
    "qmark": r"\?(?P<number>\d*) | [:@$](?P<name>[A-Za-z_]\w*)",
    "named": r"\?(?P<number>\d*) | [:@$](?P<name>[A-Za-z_]\w*)",
    "numeric": r":(?P<number>\d+)(?P<name>(?!))?",
    "numeric_dollar": r"\$(?P<number>\d+)(?P<name>(?!))?",
    "format": r"%(?:\((?P<name>[^)]+)\))?[sbt](?P<number>(?!))? | (?P<percent>%%)",
    "pyformat": r"%(?:\((?P<name>[^)]+)\))?[sbt](?P<number>(?!))? | (?P<percent>%%)",
    "none": r"(?P<name>(?!))(?P<number>(?!))",
}
_IN_WORDS = r"[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]* | \d[\w.]* | ::"
_PERCENT = re.compile(r"%(?:%|\([^)]*\))?[A-Za-z]?")


class Unreadable(Exception):
    """A statement that cannot be read without a doubt; the message says why."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A statement whose n-th parameter is written `:cwprm<n>`; `references` say where its value is found."""

    text: str
    references: Sequence[Reference]


def marked(sql: str, dialect: str, style: Paramstyle) -> Marked:
    """The statement with our own placeholders. Raises `Unreadable`."""
    if PREFIX in sql:
        raise Unreadable(f"a name in the statement begins with {PREFIX}")
    scanner = _scanner(dialect, style)
    out: list[str] = []
    references: list[Reference] = []
    place, greatest = 0, 0
    while place < len(sql):
        if sql.startswith("/*", place) and dialect == "postgres":
            end = _nested_comment(sql, place)
            _refuse_percent(sql[place:end], style)
            out.append(" ")
            place = end
            continue
        found = scanner.match(sql, place)
        if found is None:
            if style in ("format", "pyformat") and sql[place] == "%":
                raise Unreadable("a % that begins no parameter; write %% for a plain one")
            out.append(sql[place])
            place += 1
            continue
        place = found.end()
        if found["quoted"] is not None:
            out.append(_quoted(found["quoted"], style))
        elif found["word"] is not None:
            out.append(found["word"])
        elif found.groupdict().get("percent") is not None:
            out.append("%")
        else:
            reference, greatest = _reference(found, greatest)
            out.append(f":{PREFIX}{len(references)}")
            references.append(reference)
    return Marked("".join(out), references)


def _reference(found: re.Match[str], greatest: int) -> tuple[Reference, int]:
    if found["name"] is not None:
        return found["name"], greatest
    number = int(found["number"]) if found["number"] else greatest + 1
    return number - 1, max(greatest, number)


def _quoted(text: str, style: Paramstyle) -> str:
    if text.startswith("/*!"):
        raise Unreadable("a comment that MySQL executes")
    if text.startswith(("--", "#", "/*")):
        _refuse_percent(text, style)
        return "\n" if not text.startswith("/*") else " "
    _refuse_percent(text.replace("%%", ""), style)
    return text.replace("%%", "%") if style in ("format", "pyformat") else text


def _refuse_percent(text: str, style: Paramstyle) -> None:
    if style in ("format", "pyformat") and _PERCENT.search(text.replace("%%", "")):
        raise Unreadable("a parameter inside a string, a quoted name or a comment")


def _nested_comment(sql: str, place: int) -> int:
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    raise Unreadable("a comment without an end")


def squeezed(sql: str, dialect: str, style: Paramstyle) -> str:
    """The text with comments taken out and each run of blanks made one; strings and quoted names stay as they are."""
    scanner, place = _scanner(dialect, style), 0
    out: list[str] = []
    while place < len(sql):
        if sql.startswith("/*", place) and dialect == "postgres":
            out.append(" ")
            place = _nested_comment(sql, place)
            continue
        found = scanner.match(sql, place)
        piece = found[0] if found is not None and found[0] else sql[place]
        place += len(piece)
        comment = piece.startswith(("--", "#", "/*")) and found is not None
        out.append(" " if piece.isspace() or (comment and not piece.startswith("/*!")) else piece)
    return "".join(_tidied(out)).strip()


def _tidied(pieces: Sequence[str]) -> list[str]:
    """Without a second blank in a row."""
    return [each for n, each in enumerate(pieces) if each != " " or not n or pieces[n - 1] != " "]


_scanners: dict[tuple[str, Paramstyle], re.Pattern[str]] = {}


def _scanner(dialect: str, style: Paramstyle) -> re.Pattern[str]:
    found = _scanners.get((dialect, style))
    if found is None:
        text = f"(?P<quoted>{_QUOTES[dialect]}) | (?P<word>{_IN_WORDS}) | {_STYLES[style]}"
        found = _scanners[dialect, style] = re.compile(text, re.VERBOSE | re.DOTALL)
    return found
