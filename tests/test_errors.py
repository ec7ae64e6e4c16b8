"""The error tree: what its picture shows is what there is, and users find each error where they look."""

from __future__ import annotations

import re
from pathlib import Path

import cachewright
from cachewright import errors, patterns

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"


def pictured(text: str) -> list[tuple[str, int]]:
    """The names of a drawn tree with their depth, from its root on."""
    root = re.search(r"^( *)CacheError$", text, re.MULTILINE)
    assert root is not None
    lines = re.findall(rf"^{root[1]}((?:[│ ]   )*)[├└]── (\w+)", text[root.end() :], re.MULTILINE)
    return [(name, 1 + len(indent) // 4) for indent, name in lines]


def built(root: type = errors.CacheError, depth: int = 1) -> list[tuple[str, int]]:
    """The same of the classes in the module."""
    found = []
    for each in vars(errors).values():
        if root in getattr(each, "__bases__", ()):
            found += [(each.__name__, depth), *built(each, depth + 1)]
    return found


def test_the_picture_of_the_tree_shows_every_error_of_the_module() -> None:
    assert errors.__doc__ is not None
    assert pictured(errors.__doc__) == built()


def test_the_reference_shows_the_same_tree() -> None:
    assert pictured(REFERENCE.read_text()) == built()


def test_every_error_of_the_tree_is_had_from_the_package() -> None:
    assert {name for name, _ in built()} <= set(cachewright.__all__)


def test_a_full_queue_is_one_error_wherever_it_is_imported_from() -> None:
    assert patterns.QueueFull is cachewright.QueueFull is errors.QueueFull
    assert "QueueFull" in patterns.__all__
