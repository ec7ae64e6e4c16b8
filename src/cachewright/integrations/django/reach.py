"""All templates that a cached block of a Django template can render, as one digest.

Read from the compiled templates that the engine gives, not from files that may have been edited since. What must not be
here: the cache, tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.template import Context, Engine, Template, TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import NodeList, Variable
from django.template.library import InclusionNode
from django.template.loader_tags import ExtendsNode, IncludeNode, construct_relative_path


@dataclass(slots=True, eq=False)
class Reach:
    """What a block can render. `templates`: by name, as the engine gave them; None where there is none."""

    engine: Engine
    templates: dict[str, Template | None] = field(default_factory=dict)
    digest: str = ""

    def is_current(self) -> bool:
        """Whether the engine still gives templates of the same text."""
        return all(
            _source(fetched(self.engine, name)) == _source(it)
            for name, it in self.templates.items()
        )


def fetched(engine: Engine, name: str) -> Template | None:
    """The template of that name, or None."""
    try:
        return engine.get_template(name)
    except TemplateDoesNotExist:
        return None


def _source(template: Template | None) -> str | None:
    return None if template is None else template.source


def reach(
    engine: Engine,
    nodes: NodeList,
    *,
    own: str | None,
    whole: Iterable[Template] = (),
    declared: tuple[str, ...] | None = None,
) -> Reach:
    """What the nodes of a block in the template named `own` reach.

    `whole`: templates whose blocks it renders. `declared`: the names that the author gave for what is included by a
    computed name; without them such an include raises `TemplateSyntaxError`.
    """
    found = Reach(engine)
    digest = blake2b(digest_size=10)
    pending = [*_names(nodes, own, declared), *(declared or ())]
    for template in whole:
        digest.update(b"%d:%b" % (len(template.source), template.source.encode()))
        pending += _names(template.nodelist, template.name, declared)
    while pending:
        name = pending.pop()
        if name in found.templates:
            continue
        template = found.templates[name] = fetched(engine, name)
        if template is not None:
            pending += _names(template.nodelist, name, declared)
    for name in sorted(found.templates):
        text = _source(found.templates[name])
        digest.update(f"{len(name)}:{name}".encode())
        digest.update(b"-" if text is None else b"%d:%b" % (len(text), text.encode()))
    found.digest = digest.hexdigest()
    return found


def _names(nodes: NodeList, own: str | None, declared: tuple[str, ...] | None) -> Iterator[str]:
    """The templates that nodes name."""
    for node in nodes.get_nodes_by_type((IncludeNode, ExtendsNode, InclusionNode)):
        names = _named_by(node)
        if names is None and declared is None:
            raise TemplateSyntaxError(
                f"a cached block reaches the template {own or '<unknown source>'!r}, which names another while it is "
                "rendered: list those that it may be, as in {% cachefragment … templates='a.html b.html' %}, or write "
                "its name out"
            )
        for name in names or ():
            yield construct_relative_path(own, name) if own else name


def _named_by(node: Any) -> tuple[str, ...] | None:
    if isinstance(node, InclusionNode):
        given = node.filename
        return (given,) if isinstance(given, str) else None
    expression = node.parent_name if isinstance(node, ExtendsNode) else node.template
    if isinstance(expression.var, Variable) or expression.filters:
        return None
    return (str(expression.var),)


def inherited(context: Context) -> tuple[Template, ...]:
    """The templates whose blocks the page under way is made of, the one that is rendered first."""
    render_context = context.render_context
    found = [context.template, render_context.template]
    history = render_context.get(ExtendsNode.context_key, [])
    for n, origin in enumerate(history):
        if origin.template_name is not None and origin.loader is not None:
            found.append(
                context.template.engine.find_template(origin.template_name, skip=history[:n])[0]
            )
    return tuple(dict.fromkeys(it for it in found if it is not None))
