"""All templates that a cached block can render, as one digest, and whether they are still the present ones.

A block reaches the macros of its template, what these and the block itself include, what the template imports, and all
that those reach in turn. Where it holds blocks that others may override, it reaches these; where it calls `caller()`,
the template that called. What must not be here: how code is read (`compiled`), and the cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from types import CodeType

from jinja2 import Environment, Template
from jinja2.exceptions import TemplateNotFound, TemplateRuntimeError

from cachewright.integrations.jinja2.compiled import (
    How,
    Named,
    Root,
    digest_of,
    digest_of_code,
    name_of,
    named_by,
)


@dataclass(slots=True, eq=False)
class Reach:
    """What a block can render. `digest` changes with any of it."""

    environment: Environment
    templates: dict[str, Root | None] = field(default_factory=dict)
    """By name, as the environment gave them; None where there is none of that name."""
    whole: frozenset[Root] = frozenset()
    """Other templates, as they were in use."""
    codes: frozenset[CodeType] = frozenset()
    """Parts of them, or of its own, that it was given."""
    digest: str = ""
    is_fixed: bool = False
    """Whether it can be no other, since the block reaches nothing but its own template."""

    def is_current(self) -> bool:
        """Whether the environment still gives the same templates; asks it, which looks at files if it reloads."""
        return all(fetched(self.environment, n) is it for n, it in self.templates.items())


def fetched(environment: Environment, name: str) -> Root | None:
    """The template of that name, or None. Raises what Jinja raises for one that cannot be compiled."""
    try:
        template: Template = environment.get_template(name)
    except TemplateNotFound:
        return None
    return template.root_render_func


def reach(
    environment: Environment,
    own: Root,
    *,
    whole: tuple[Root, ...] = (),
    codes: tuple[CodeType, ...] = (),
    declared: Iterable[str] | None = None,
) -> Reach:
    """What a block of the template `own` reaches.

    `whole`: other templates that it may render any part of; `codes`: which parts, where that matters. `declared`: the names that the author gave for what is included
    by a computed name; without them such an include raises `TemplateRuntimeError`.
    """
    found = Reach(environment, whole=frozenset(whole), codes=frozenset(codes))
    digest = blake2b(digest_size=10)
    digest.update(digest_of(own))
    digest.update(digest_of_code(codes))
    pending = [*_names(environment, own, part=True, declared=declared), *(declared or ())]
    for root in whole:
        digest.update(digest_of(root))
        pending += _names(environment, root, part=False, declared=declared)
    while pending:
        name = pending.pop()
        if name in found.templates:
            continue
        root_of_it = found.templates[name] = fetched(environment, name)
        if root_of_it is not None:
            pending += _names(environment, root_of_it, part=False, declared=declared)
    for name in sorted(found.templates):
        it = found.templates[name]
        digest.update(f"{len(name)}:{name}".encode("utf-8", "surrogatepass"))
        digest.update(digest_of(it) if it is not None else b"-")
    found.digest = digest.hexdigest()
    return found


def _names(
    environment: Environment, root: Root, *, part: bool, declared: Iterable[str] | None
) -> list[str]:
    """The names in a template that a block of it (`part`), or whoever renders all of it, reaches."""
    own, found = name_of(root), []
    for named in named_by(root):
        if part and not _is_reached_by_a_block(named):
            continue
        if named.names is None:
            if declared is None:
                raise TemplateRuntimeError(
                    f"a cached block reaches the template {own or '<template>'!r}, which "
                    f"{named.how.name.lower()}s another by a computed name: name those that it may be, "
                    "as in {% cache …, templates=['a.html', 'b.html'] %}, or write its name out"
                )
            continue
        found += [environment.join_path(n, own) if own else n for n in named.names]
    return found


def _is_reached_by_a_block(named: Named) -> bool:
    return named.in_macro or named.how is How.IMPORT
