"""What stands in a tag: its name, its parts, its options and its block. Nothing about what is made of them.

Every mistake is a `TemplateSyntaxError` at the tag's line that says how to write it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from jinja2 import nodes
from jinja2.parser import Parser

_HOW = {
    "cache": '{% cache "name", key, parts, ttl=60, tags=[…] %}',
    "cachemany": '{% cachemany "name", item in items, key=item.id, ttl=60, tags=[…] %}',
}
_OPTIONS = {
    "cache": ("ttl", "tags", "vary", "templates"),
    "cachemany": ("key", "ttl", "tags", "vary", "templates"),
}
_LITERAL = ("vary", "templates")


@dataclass(slots=True)
class Tag:
    """One tag as it was read. `parts`: of the key, or the one expression that gives the items."""

    word: str
    lineno: int
    name: str = ""
    parts: list[nodes.Expr] = field(default_factory=list)
    options: dict[str, nodes.Expr] = field(default_factory=dict)
    target: nodes.Expr = field(default_factory=lambda: nodes.Name("item", "store"))
    body: list[nodes.Node] = field(default_factory=list)

    def option(self, name: str, default: nodes.Expr | None = None) -> nodes.Expr:
        """What was given for an option."""
        return self.options.get(name, default or nodes.Const(None))

    def names(self, option: str) -> tuple[str, ...] | None:
        """The names that a literal list gives, or None without the option."""
        given = self.options.get(option)
        return None if given is None else _texts(given)


def read_cache(parser: Parser) -> Tag:
    """`{% cache %}`, its options and its block."""
    tag = _begun(parser)
    tag.name = _name(parser, tag)
    while _comma(parser):
        if _is_option(parser):
            _read_option(parser, tag)
        elif tag.options:
            _fail(parser, tag, "parts of the key stand before options")
        else:
            tag.parts.append(parser.parse_expression())
    return _ended(parser, tag)


def read_cachemany(parser: Parser) -> Tag:
    """`{% cachemany %}`, its options and its block."""
    tag = _begun(parser)
    tag.name = "many"
    if parser.stream.current.type == "string":
        tag.name = _name(parser, tag)
        if not _comma(parser):
            _fail(parser, tag, "after the name there is no loop")
    tag.target = parser.parse_assign_target(extra_end_rules=("name:in",))
    if not parser.stream.skip_if("name:in"):
        _fail(parser, tag, "there is no 'in'")
    tag.parts.append(parser.parse_expression())
    while _comma(parser):
        if not _is_option(parser):
            _fail(parser, tag, "after the items there are options only")
        _read_option(parser, tag)
    if "key" not in tag.options:
        _fail(parser, tag, "key= is missing, which tells one item from another")
    return _ended(parser, tag)


def _begun(parser: Parser) -> Tag:
    token = next(parser.stream)
    return Tag(token.value, token.lineno)


def _ended(parser: Parser, tag: Tag) -> Tag:
    if parser.stream.current.type != "block_end":
        _fail(parser, tag, f"{parser.stream.current.value!r} was not expected (is there a comma?)")
    tag.body = parser.parse_statements((f"name:end{tag.word}",), drop_needle=True)
    return tag


def _name(parser: Parser, tag: Tag) -> str:
    given = parser.parse_expression() if parser.stream.current.type != "block_end" else None
    name = given.value if isinstance(given, nodes.Const) else None
    if not isinstance(name, str) or not name:
        _fail(parser, tag, "the first argument is the fragment's name, as a text in quotes")
    return name


def _comma(parser: Parser) -> bool:
    return parser.stream.skip_if("comma")


def _is_option(parser: Parser) -> bool:
    return parser.stream.current.type == "name" and parser.stream.look().type == "assign"


def _read_option(parser: Parser, tag: Tag) -> None:
    name = next(parser.stream).value
    next(parser.stream)
    if name not in _OPTIONS[tag.word]:
        _fail(parser, tag, f"there is no option {name!r}, only {', '.join(_OPTIONS[tag.word])}")
    if name in tag.options:
        _fail(parser, tag, f"{name}= is given twice")
    value = parser.parse_expression()
    if name in _LITERAL and _texts(value) is None:
        _fail(parser, tag, f"{name}= is a list of texts in quotes, since it is read only once")
    if name == "tags" and isinstance(value, nodes.Const | nodes.TemplateData):
        _fail(parser, tag, "tags= is a list, as in tags=['category:7']")
    tag.options[name] = value


def _texts(value: nodes.Expr) -> tuple[str, ...] | None:
    """The texts of a literal list; None for anything else."""
    if not isinstance(value, nodes.List | nodes.Tuple):
        return None
    found = [item.value for item in value.items if isinstance(item, nodes.Const)]
    texts = tuple(text for text in found if isinstance(text, str))
    return texts if len(texts) == len(value.items) else None


def _fail(parser: Parser, tag: Tag, why: str) -> NoReturn:
    parser.fail(f"{tag.word}: {why}. Write {_HOW[tag.word]}", tag.lineno)
