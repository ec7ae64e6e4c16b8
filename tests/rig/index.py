"""Indexes of tests: numbers mapped to tests in other files.

What must not be here: the numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def missing(shown: Mapping[int, Sequence[str]]) -> list[str]:
    """The tests of an index, as `file::function` below tests/, that do not exist."""
    wanted = {test for tests in shown.values() for test in tests}
    found = {
        f"{path}::{node.name}"
        for path in {test.partition("::")[0] for test in wanted}
        for node in ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return sorted(wanted - found)
