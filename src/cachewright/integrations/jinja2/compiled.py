"""What a compiled template is made of: a digest of its code, and the templates that its code names.

Both are read from the code that will run, not from a source that may have been edited since. So they hold for templates
from a string, from a bytecode cache and from `ModuleLoader` alike. What must not be here: the cache, and what a template
reaches through others (`reach`).
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b
from types import CodeType
from typing import Any

Root = Callable[..., Any]
"""The function `root` of a compiled template's module: it stands for the template."""


class How(Enum):
    """What a template does with one that it names."""

    INCLUDE = auto()
    IMPORT = auto()
    EXTEND = auto()


@dataclass(frozen=True, slots=True)
class Named:
    """Templates that code names in one place; `names` None where they are computed while it runs."""

    how: How
    names: tuple[str, ...] | None
    in_macro: bool
    """Whether the place is inside a macro, a call block or a cached block."""


def code_of(root: Root) -> Iterator[CodeType]:
    """The code of a template: its own, and that of its blocks by their names."""
    module: Mapping[str, Any] = getattr(root, "__globals__", {})
    blocks: Mapping[str, Any] = module.get("blocks", {})
    yield root.__code__
    for name in sorted(blocks):
        yield blocks[name].__code__


def name_of(root: Root) -> str | None:
    """The name it was loaded by; None for a template from a string."""
    found = getattr(root, "__globals__", {}).get("name")
    return found if isinstance(found, str) else None


def root_of(function: Any) -> Root | None:
    """The template that a function of compiled code belongs to; None for a function from elsewhere."""
    found = getattr(function, "__globals__", {}).get("root")
    return found if callable(found) else None


def digest_of(root: Root) -> bytes:
    """160 bits of all that its code does. Equal source, compiled alike, has one digest in every process."""
    return digest_of_code(code_of(root))


def digest_of_code(codes: Iterable[CodeType]) -> bytes:
    """The same of pieces of code."""
    digest = blake2b(digest_size=20)
    for code in codes:
        for piece in _pieces(code):
            digest.update(b"%d:%b" % (len(piece), piece))
    return digest.digest()


def _pieces(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _pieces(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield f"{type(constant).__name__} {constant!r}".encode("utf-8", "surrogatepass")


def named_by(root: Root) -> Iterator[Named]:
    """The templates that a template includes, imports and extends, place by place."""
    for code in code_of(root):
        yield from _named_in(code, in_macro=False)


_FETCHES = frozenset({"get_template", "select_template", "get_or_select_template"})
_IMPORTS = frozenset({"_get_default_module", "_get_default_module_async", "make_module"})
_IMPORTS |= {"make_module_async"}
_SILENT = frozenset({"CACHE", "NOP", "PUSH_NULL", "EXTENDED_ARG", "BUILD_TUPLE", "BUILD_LIST"})
_SILENT |= {"LIST_EXTEND", "LIST_APPEND"}
_CALLS = frozenset({"PRECALL", "CALL", "CALL_FUNCTION", "CALL_METHOD"})


def _named_in(code: CodeType, *, in_macro: bool) -> Iterator[Named]:
    steps = list(dis.get_instructions(code))
    for n, step in enumerate(steps):
        if step.argval in _FETCHES and step.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            after = steps[n + 1 :]
            yield Named(_how(after), _constants(after), in_macro)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named_in(constant, in_macro=True)


def _constants(steps: Sequence[dis.Instruction]) -> tuple[str, ...] | None:
    """The arguments of a call but the last, which names the caller; None if anything but constants is among them."""
    found: list[Any] = []
    for step in steps:
        if step.opname == "LOAD_CONST":
            found.append(step.argval)
        elif step.opname in _CALLS:
            break
        elif step.opname not in _SILENT:
            return None
    names: list[str] = []
    for each in found[:-1]:
        names += each if isinstance(each, tuple) else [each]
    return tuple(names) if all(isinstance(name, str) for name in names) else None


def _how(steps: Sequence[dis.Instruction]) -> How:
    """What becomes of the template that was fetched: Jinja imports it at once, or keeps it under a name."""
    for step in steps:
        if step.argval in _IMPORTS and step.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            return How.IMPORT
        if step.opname.startswith("STORE_"):
            return How.EXTEND if step.argval == "parent_template" else How.INCLUDE
    return How.INCLUDE
