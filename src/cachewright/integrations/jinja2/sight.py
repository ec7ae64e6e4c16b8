"""Which macros a cached block can see while it is rendered, beside those of its own template and its imports.

A name may be bound to a macro by the page that includes the template, by a parent, or by whoever calls. What must not be
here: digests (`reach`), keys (`site`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from types import CodeType
from typing import Any

from jinja2.environment import TemplateModule
from jinja2.runtime import Context, Macro

from cachewright.integrations.jinja2.compiled import Root, root_of


def function_of(macro: object) -> Any:
    """The compiled function of a macro; None for what is none."""
    return getattr(macro, "_func", None) if isinstance(macro, Macro) else None


def macros_in(value: object) -> Iterator[Macro]:
    """A macro itself, or those of an imported template."""
    if isinstance(value, Macro):
        yield value
    elif isinstance(value, TemplateModule):
        yield from (it for it in vars(value).values() if isinstance(it, Macro))


def called(context: Context, names: Iterable[str], own: Root) -> tuple[Root, ...]:
    """The templates, other than `own`, whose macros are bound to these names in the page."""
    found: dict[Root, None] = {}
    for name in names:
        value = context.vars.get(name) if name in context.vars else context.parent.get(name)
        for macro in macros_in(value):
            root = root_of(function_of(macro))
            if root is not None and root is not own:
                found[root] = None
    return tuple(found)


def bound(
    block: object, names: Collection[str], own: Root
) -> tuple[tuple[Root, ...], tuple[CodeType, ...]]:
    """The same for names that are bound around the block, such as arguments of a macro: (templates, code).

    What `own` calls by its own name is in its code already.
    """
    roots: list[Root] = []
    codes: list[CodeType] = []
    function = function_of(block)
    for name, value in _variables(function):
        if name in names:
            for macro in macros_in(value):
                if root_of(function_of(macro)) is own and macro.name == name:
                    continue
                more, pieces = behind(macro)
                roots += (root for root in more if root is not own)
                codes += pieces
    return tuple(roots), tuple(codes)


def behind(caller: object) -> tuple[tuple[Root, ...], tuple[CodeType, ...]]:
    """(the templates, the code) of the call block behind `caller()`, and of the macros that it has in hand."""
    roots: dict[Root, None] = {}
    seen: dict[int, Any] = {}
    pending = [function_of(caller)]
    while pending:
        function = pending.pop()
        if function is None or id(function) in seen:
            continue
        seen[id(function)] = function
        root = root_of(function)
        if root is not None:
            roots[root] = None
        pending += map(function_of, in_closure(function))
    return tuple(roots), tuple(function.__code__ for function in seen.values())


def in_closure(function: Any) -> Iterator[Macro]:
    """The macros in the variables that a compiled function has from around it."""
    for _, value in _variables(function):
        yield from macros_in(value)


def _variables(function: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of those variables; Jinja compiles `x` to `l_1_x`, by its level."""
    if function is None:
        return
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        try:
            yield variable.split("_", 2)[-1], cell.cell_contents
        except ValueError:  # not bound yet
            continue
