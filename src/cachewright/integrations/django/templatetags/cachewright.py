"""`{% load cachewright %}`: `{% cachefragment %}` and `{% cachefragments %}`, beside Django's own `{% cache %}`.

What must not be here: what stands in a tag (`fragment_tags`), keys and settings (`fragments`), what a block reaches (`reach`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.template import Context, Node, Variable
from django.template.base import FilterExpression, Parser, Token, VariableDoesNotExist

from cachewright.core.keys import spell
from cachewright.core.loading import enclosing_load
from cachewright.core.wrappers import remember
from cachewright.errors import InvalidKey
from cachewright.integrations.django.fragment_tags import Tag, read_many, read_one
from cachewright.integrations.django.fragments import Fragments, fragments, key_of
from cachewright.integrations.django.reach import Reach, inherited, reach

register = template.Library()
_PLACE = re.compile(r"\{([\w.]+)\}")
_CHECKED = "_cachewright_checked"
_PLAIN = frozenset({str, int, type(None)})
_MOST = 10_000
"""How many keys a place in a template remembers."""


def cachefragment(parser: Parser, token: Token) -> Node:
    """Cache a part of a page: `{% cachefragment "sidebar" category.id ttl=1800 %}…{% endcachefragment %}`."""
    return FragmentNode(read_one(parser, token))


def cachefragments(parser: Parser, token: Token) -> Node:
    """Cache a part of a page for each item: `{% cachefragments "row" item in items key=item.id %}…{% endcachefragments %}`."""
    return FragmentsNode(read_many(parser, token))


class FragmentNode(Node):  # type: ignore[misc]
    """A block that is rendered unless its text is cached."""

    child_nodelists = ("nodelist",)

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.nodelist = tag.nodes
        self._templates, self._vary = tag.templates, tag.vary
        self._inherits = tag.inherits
        self._reach: Reach | None = None
        self._keys: dict[tuple[Any, ...], str] = {}

    def render(self, context: Context) -> str:
        """The text of the block."""
        where = fragments()
        reached = self.reached(context)
        key = self.key(where, context, reached)
        text = where.hit(key)
        return text if text is not None else self.load(where, key, context, reached=reached)

    def key(self, where: Fragments, context: Context, reached: Reach) -> str:
        """The key of the fragment in this page."""
        parts = [_part(expression, context) for expression in self.tag.parts]
        escapes = "e" if context.autoescape else "r"
        varied = where.varied(context, self._vary)
        short = (reached.digest, escapes, *varied, *parts)
        # True, 1 and 1.0 are equal to a table and have three keys.
        plain = _PLAIN.issuperset(map(type, short))
        key = self._keys.get(short) if plain else None
        if key is None:
            text = f"{reached.digest}.{self.tag.body}.{escapes}"
            key = key_of(self.tag.name, text, varied, parts=parts)
            if plain:
                remember(self._keys, short, key, most=_MOST)
        return key

    def load(self, where: Fragments, key: str, context: Context, *, reached: Reach) -> str:
        """The text, rendered if nobody has it."""

        def render() -> str:
            rendered = str.__str__(self.nodelist.render(context))
            load = enclosing_load()
            if load is not None and not reached.is_current():
                load.gather(None)  # a template was edited meanwhile: which one was rendered?
            return rendered

        ttl = self.tag.options.get("ttl")
        text: str = where.cache.get_or_load(
            key,
            render,
            tags=_tags(self.tag.options.get("tags"), context),
            ttl=None if ttl is None else ttl.resolve(context),
            policy=where.policy,
        )
        return text

    def reached(self, context: Context) -> Reach:
        """What the block can render now; asked once for each template that is rendered."""
        engine = context.template.engine
        if self._inherits:
            return self._reached(context, inherited(context))
        checked = context.render_context.setdefault(_CHECKED, set())
        found = self._reach
        if (
            found is None
            or found.engine is not engine
            or (found not in checked and not found.is_current())
        ):
            found = self._reached(context)
        checked.add(found)
        self._reach = found
        return found

    def _reached(self, context: Context, whole: Sequence[Any] = ()) -> Reach:
        own = getattr(self, "origin", None)
        return reach(
            context.template.engine,
            self.nodelist,
            own=getattr(own, "template_name", None),
            whole=whole,
            declared=self._templates,
        )


class FragmentsNode(FragmentNode):
    """A block for each item of a list: those that are cached are read in one round trip."""

    def render(self, context: Context) -> str:
        """The texts of all items, in their order."""
        where, reached = fragments(), self.reached(context)
        given = self.tag.items.resolve(context) if self.tag.items is not None else ()
        order: list[str] = []
        items: dict[str, Any] = {}
        for item in given or ():
            with context.push(**{self.tag.item: item}):
                key = self.key(where, context, reached)
            order.append(key)
            items[key] = item
        found = {key: text for key in items if (text := where.hit(key)) is not None}
        if len(found) < len(items):
            found |= where.cache.get_many([key for key in items if key not in found])
        for key, item in items.items():
            if key not in found:
                with context.push(**{self.tag.item: item}):
                    found[key] = self.load(where, key, context, reached=reached)
        return "".join([found[key] for key in order])


def _part(expression: FilterExpression, context: Context) -> Any:
    """A part of the key. Django shows nothing for a variable that is not there; a key must not be made of that."""
    if expression.is_var and not expression.filters:
        try:
            return expression.var.resolve(context)
        except VariableDoesNotExist:
            raise InvalidKey(f"a part of the key is undefined: {expression.token}") from None
    return expression.resolve(context)


def _tags(expression: FilterExpression | None, context: Context) -> list[str]:
    """The tags: a list, or a text with spaces between them, in whose literal `{name}` is filled as a part of a key."""
    if expression is None:
        return []
    given = expression.resolve(context)
    if not isinstance(given, str):
        return list(given)
    if expression.is_var or expression.filters:
        return given.split()

    def fill(match: re.Match[str]) -> str:
        return spell(Variable(match[1]).resolve(context))

    return [_PLACE.sub(fill, word) for word in given.split()]


register.tag("cachefragment", cachefragment)
register.tag("cachefragments", cachefragments)
