"""Rows on pages made of cached fragments, beside the same template whose tags do nothing.

What must not be here: values (`l1`, `l2`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage

FRAGMENTS = 50
OURS = "cachewright.integrations.jinja2.CacheExtension"
TINY = "<li>{{ i.id }}</li>"
CARD = (
    '<li><a href="/item/{{ i.id }}">{{ i.name }}</a> {{ i.price }} '
    "{% if i.stock > 3 %}<b>{{ i.stock }} left</b>{% else %}<i>few left</i>{% endif %}</li>"
)
SLOW = "{{ wait() }}" + TINY
ITEMS = [{"id": n, "name": f"article <{n}>", "price": 9.5, "stock": n} for n in range(FRAGMENTS)]


def _page(body: str) -> str:
    tag = "{% cache 'row', i.id, ttl=300, tags=['row:' ~ i.id] %}"
    return "<ul>{% for i in items %}" + tag + body + "{% endcache %}{% endfor %}</ul>"


class NoOp(Extension):
    """The same tag, which renders its block."""

    tags = {"cache"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        parts = [parser.parse_expression()]
        while parser.stream.skip_if("comma"):
            if parser.stream.look().type == "assign":
                next(parser.stream)
                next(parser.stream)
                parser.parse_expression()
            else:
                parts.append(parser.parse_expression())
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        made = self.made(parts, body)
        return made.set_lineno(line) if isinstance(made, nodes.Node) else made

    def made(
        self, parts: list[nodes.Expr], body: list[nodes.Node]
    ) -> nodes.Node | list[nodes.Node]:
        """What the tag becomes."""
        return nodes.CallBlock(self.call_method("called", parts), [], [], body)

    def called(self, *_: Any, caller: Callable[[], str]) -> str:
        """What it shows."""
        return caller()


class Constant(NoOp):
    """A tag that costs as little as a tag can: it shows the same text always."""

    def called(self, *_: Any, **__: Any) -> str:
        return "<li>1</li>"


class Documented(NoOp):
    """What Jinja's documentation shows, over a dict, with the parts in the key: no lifetime, no bound, no tags."""

    def called(self, *parts: Any, caller: Callable[[], str]) -> str:
        found: dict[Any, str] = vars(self.environment).setdefault("fragments_by_key", {})
        text = found.get(parts)
        if text is None:
            text = found[parts] = caller()
        return text


class Absent(NoOp):
    """No tag at all."""

    def made(
        self, parts: list[nodes.Expr], body: list[nodes.Node]
    ) -> nodes.Node | list[nodes.Node]:
        return body if parts else []


def _rendering(extension: Any, body: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        environment = jinja2.Environment(extensions=[extension], autoescape=True)
        if extension == OURS:
            from cachewright import Cache

            vars(environment)["fragment_cache"] = cache = Cache()
            stage.closing(cache.close)
        render = environment.from_string(_page(body)).render
        given = {"items": ITEMS, "wait": _wait}
        if len(render(given)) < FRAGMENTS:
            raise RuntimeError("the page was not rendered")
        return stage.timed("render(given)", range(2), block=0, render=render, given=given)

    return prepare


def _wait() -> str:
    time.sleep(0.001)
    return ""


_NOOP = "tags that do nothing"
_NOTE = f"Nanoseconds a page of {FRAGMENTS} fragments in Jinja2, all warm in memory, each with a part, a lifetime and a tag."


def _warm(name: str, title: str, body: str) -> Row:
    return Row(
        number=22,
        name=name,
        title=title,
        unit="ns",
        reference=_NOOP,
        clock="cpu",
        note=_NOTE,
        cases=(
            ours("{% cache %}", _rendering(OURS, body)),
            Case(_NOOP, _rendering(NoOp, body)),
            Case(
                "the extension of Jinja's documentation over a dict", _rendering(Documented, body)
            ),
            floor("tags that show a constant", _rendering(Constant, body)),
            floor("no tags", _rendering(Absent, body)),
        ),
        targets=(Target(case="cachewright {% cache %}", limit=1.5, against=(_NOOP,)),),
    )


ROWS = (
    _warm("page-tiny", "A warm page of fragments with one number each", TINY),
    _warm("page-cards", "A warm page of fragments with five expressions each", CARD),
    Row(
        number=22,
        name="page-slow",
        title="A warm page of fragments that take 1 ms each to render",
        unit="ns",
        reference=_NOOP,
        rounds=15,
        note=_NOTE,
        cases=(
            ours("{% cache %}", _rendering(OURS, SLOW)),
            Case(_NOOP, _rendering(NoOp, SLOW)),
        ),
        targets=(Target(case="cachewright {% cache %}", limit=0.05, against=(_NOOP,)),),
    ),
)
