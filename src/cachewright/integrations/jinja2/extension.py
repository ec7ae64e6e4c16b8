"""`{% cache %}` and `{% cachemany %}`: from a template's text to the nodes that Jinja compiles.

A cached block becomes a call block, whose function renders it, or says its tags and lifetime when it is called with a
function to tell them to: so a hit evaluates neither. What must not be here: what happens when a page is rendered.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro

from cachewright.integrations.jinja2.rendering import render, render_async
from cachewright.integrations.jinja2.rendering_many import render_many, render_many_async
from cachewright.integrations.jinja2.site import Site, Spec, cache_of
from cachewright.integrations.jinja2.syntax import Tag, read_cache, read_cachemany

_ASK, _KEY, _ITEM = "_cachewright_ask", "_cachewright_key", "_cachewright_item"
_ALIASED = ("caller", "kwargs", "varargs")
"""Names that a call block would hide from the block in it."""


class CacheExtension(Extension):
    """Caches parts of templates: `env.fragment_cache = cache`, `{% cache "sidebar", category.id, ttl=60 %}…{% endcache %}`.

    `env.fragment_vary` lists what every fragment varies by: names of variables and functions of the context.
    """

    tags = {"cache", "cachemany"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """One tag. Raises `TemplateSyntaxError`, with the line and what to write instead."""
        if parser.stream.current.value == "cachemany":
            return self._many(parser, read_cachemany(parser))
        return self._one(parser, read_cache(parser))

    def _one(self, parser: Parser, tag: Tag) -> nodes.Node:
        ask = nodes.Name(_ASK, "param")
        options = _call(_ASK, tag.option("tags", nodes.Tuple([], "load")), tag.option("ttl"))
        body: list[nodes.Node] = [nodes.If(nodes.Name(_ASK, "load"), [options], [], tag.body)]
        call = self._call("_fragment", parser, tag, tag.parts)
        block = nodes.CallBlock(call, [ask], [nodes.Const(None)], body)
        return _sheltered(tag, block).set_lineno(tag.lineno, override=True)

    def _many(self, parser: Parser, tag: Tag) -> nodes.Node:
        names = (_ASK, _KEY, _ITEM)
        params = [nodes.Name(name, "param") for name in names]
        options = _call(_ASK, tag.option("tags", nodes.Tuple([], "load")), tag.option("ttl"))
        key = _call(_KEY, tag.option("key"))
        choice = nodes.If(
            nodes.Name(_KEY, "load"),
            [key],
            [nodes.If(nodes.Name(_ASK, "load"), [options], [], [])],
            tag.body,
        )
        item = nodes.Assign(tag.target, nodes.Name(_ITEM, "load"))
        call = self._call("_fragments", parser, tag, tag.parts)
        block = nodes.CallBlock(call, params, [nodes.Const(None)] * 3, [item, choice])
        return _sheltered(tag, block).set_lineno(tag.lineno, override=True)

    def _call(self, method: str, parser: Parser, tag: Tag, given: list[nodes.Expr]) -> nodes.Call:
        """The call of this extension: context, the template's own function, what is constant, and the parts."""
        root = parser.free_identifier()
        vars(root)["name"] = (
            "root"  # the one name that every compiled template gives its own function
        )
        spec = Spec(
            tag.name,
            blake2b(repr(tag.body).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest(),
            _has_blocks(tag.body) or _mentions(tag.body, ("self", "super")),
            _called_names(tag.body),
            "macro" in getattr(parser, "_tag_stack", ["macro"]),
            tag.names("templates"),
            tag.names("vary"),
        )
        outer = (
            nodes.Name("caller", "load") if _mentions(tag.body, ("caller",)) else nodes.Const(None)
        )
        arguments = [nodes.ContextReference(), root, nodes.Const(tuple(spec)), outer, *given]
        return self.call_method(method, arguments)

    # ---------------------------------------------------------------- while a page is rendered

    def _fragment(
        self, context: Context, root: Any, spec: Any, outer: Any, *parts: Any, caller: Macro
    ) -> Any:
        site = self._site(context, root, spec)
        text = site.quick(context, parts, caller) if outer is None else None
        if text is not None:
            return text
        how = render_async if context.environment.is_async else render
        return how(site, context, outer, parts=parts, caller=caller)

    def _fragments(
        self, context: Context, root: Any, spec: Any, outer: Any, *items: Any, caller: Macro
    ) -> Any:
        site = self._site(context, root, spec)
        how = render_many_async if context.environment.is_async else render_many
        return how(site, context, outer, items=items[0], caller=caller)

    @staticmethod
    def _site(context: Context, root: Any, spec: tuple[Any, ...]) -> Site:
        environment: Any = context.environment
        try:
            site: Site = root.cachewright_sites[spec]
            if (
                site.cache is environment.fragment_cache
                and site.vary_declared is environment.fragment_vary
            ):
                return site
        except (AttributeError, KeyError):
            pass
        environment.extend(fragment_cache=None, fragment_vary=())
        sites: dict[Any, Site] = vars(root).setdefault("cachewright_sites", {})
        site = sites[spec] = Site(Spec(*spec), environment, root, cache_of(environment))
        return site


def _call(name: str, *arguments: nodes.Expr) -> nodes.ExprStmt:
    """A statement that calls what a parameter holds."""
    called = nodes.Call(nodes.Name(name, "load"), list(arguments), [], None, None)
    return nodes.ExprStmt(called)


def _called_names(body: list[nodes.Node]) -> tuple[str, ...]:
    """The variables in the calls of a block, called or given, but those that Jinja and we bind."""
    calls = nodes.Scope(body).find_all(nodes.Call)
    found = {name.name for call in calls for name in call.find_all(nodes.Name)}
    found = {name for name in found if not name.startswith("_cachewright")}
    return tuple(sorted(found - {"caller", "loop", "self", "super"}))


def _has_blocks(body: list[nodes.Node]) -> bool:
    return nodes.Scope(body).find(nodes.Block) is not None


def _mentions(body: list[nodes.Node], names: tuple[str, ...]) -> bool:
    return any(name.name in names for node in body for name in _own_names(node))


def _own_names(node: nodes.Node) -> Iterator[nodes.Name]:
    """The names in a node that mean what they mean outside of it: not those in macros and call blocks inside."""
    if isinstance(node, nodes.Name):
        yield node
    for child in node.iter_child_nodes():
        if isinstance(node, nodes.Macro | nodes.CallBlock) and any(child is it for it in node.body):
            continue
        yield from _own_names(child)


def _sheltered(tag: Tag, block: nodes.CallBlock) -> nodes.Node:
    """The call block, with the special names of the macro around it under others that it does not hide."""
    aliased: dict[str, str] = {}
    for node in tag.body:
        for name in _own_names(node):
            if name.name in _ALIASED and name.ctx == "load":
                alias = f"_cachewright_{name.name}"
                aliased[name.name] = alias
                name.name = alias
    if not aliased:
        return block
    targets: list[nodes.Expr] = [nodes.Name(alias, "param") for alias in aliased.values()]
    values: list[nodes.Expr] = [nodes.Name(name, "load") for name in aliased]
    return nodes.With(targets, values, [block])
