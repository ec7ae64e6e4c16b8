"""What stands in a tag that caches a part of a Django template: its name, its parts, its options and its block.

Every mistake is a `TemplateSyntaxError` that says how to write it. What must not be here: what is made of a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NoReturn

from django.template import Context, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token

from cachewright.integrations.django.fragments import getters

_HOW = {
    "cachefragment": '{% cachefragment "name" key parts ttl=60 tags="row:{item.id}" %}',
    "cachefragments": '{% cachefragments "name" item in items key=item.id ttl=60 tags="row:{item.id}" %}',
}
_OPTIONS = {"ttl", "tags", "vary", "templates"}
_OPTION = re.compile(r"(\w+)=(.*)", re.DOTALL).fullmatch


@dataclass(slots=True)
class Tag:
    """One tag as it was read."""

    word: str
    name: str
    parts: list[FilterExpression]
    options: dict[str, FilterExpression]
    item: str = ""
    items: FilterExpression | None = None
    nodes: NodeList = field(default_factory=NodeList)
    body: str = ""
    """A digest of the block's text."""
    inherits: bool = False
    """Whether it renders blocks that other templates may override."""

    @property
    def templates(self) -> tuple[str, ...] | None:
        """What `templates=` names."""
        return self._words("templates")

    @property
    def vary(self) -> tuple[Callable[[Context], Any], ...] | None:
        """What `vary=` names."""
        words = self._words("vary")
        return None if words is None else getters(words)

    def _words(self, option: str) -> tuple[str, ...] | None:
        given = self.options.get(option)
        if given is None:
            return None
        if given.is_var or given.filters:
            _fail(self.word, f"{option}= is a text in quotes, names with spaces between them")
        return tuple(str(given.var).split())


def read_one(parser: Parser, token: Token) -> Tag:
    """`{% cachefragment %}`, its options and its block."""
    word, words, options = _split(parser, token, _OPTIONS)
    tag = Tag(word, _name(word, words), [parser.compile_filter(w) for w in words[1:]], options)
    return _ended(parser, tag)


def read_many(parser: Parser, token: Token) -> Tag:
    """`{% cachefragments %}`, its options and its block."""
    word, words, options = _split(parser, token, _OPTIONS | {"key"})
    name = _name(word, words)
    if len(words) != 4 or words[2] != "in" or not words[1].isidentifier():
        _fail(word, "after the name there is 'item in items'")
    if "key" not in options:
        _fail(word, "key= is missing, which tells one item from another")
    parts = [options.pop("key")]
    tag = Tag(word, name, parts, options, words[1], parser.compile_filter(words[3]))
    return _ended(parser, tag)


def _split(
    parser: Parser, token: Token, known: set[str]
) -> tuple[str, list[str], dict[str, FilterExpression]]:
    word, *given = token.split_contents()
    words: list[str] = []
    options: dict[str, FilterExpression] = {}
    for each in given:
        option = _OPTION(each)
        if option is None:
            if options:
                _fail(word, f"{each} stands after an option")
            words.append(each)
        elif option[1] not in known:
            _fail(word, f"there is no option {option[1]!r}, only {', '.join(sorted(known))}")
        elif option[1] in options:
            _fail(word, f"{option[1]}= is given twice")
        else:
            options[option[1]] = parser.compile_filter(option[2])
    return word, words, options


def _name(word: str, words: Sequence[str]) -> str:
    if not words or len(words[0]) < 3 or words[0][0] not in "\"'" or words[0][-1] != words[0][0]:
        _fail(word, "the first argument is the fragment's name, as a text in quotes")
    return words[0][1:-1]


def _fail(word: str, why: str) -> NoReturn:
    raise TemplateSyntaxError(f"{word}: {why}. Write {_HOW[word]}")


def _ended(parser: Parser, tag: Tag) -> Tag:
    before = list(parser.tokens)
    tag.nodes = parser.parse((f"end{tag.word}",))
    parser.delete_first_token()
    digest = blake2b(digest_size=6)
    for token in before[len(parser.tokens) :]:
        text = token.contents.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%d:%b" % (token.token_type.value, len(text), text))
        tag.inherits |= token.contents.startswith("block ") or "block.super" in token.contents
    tag.body = digest.hexdigest()
    tag.templates, tag.vary  # noqa: B018 - a mistake in them is told at the tag
    return tag
