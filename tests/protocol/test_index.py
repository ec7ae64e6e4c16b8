"""Every rule that is weakened in the model is weakened in the engine too, by a function that a test uses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from protocol.index import INDEX, Mutant
from protocol.rules import ASSUMPTIONS, NAMES

TESTS = Path(__file__).parents[1]
MUTANTS = [pytest.param(rule, it, id=it.function) for rule, each in INDEX.items() for it in each]


def function(name: str) -> str:
    """The source of a function below tests/, its decorators included."""
    module, _, wanted = name.rpartition(".")
    source = (TESTS / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == wanted:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
    raise LookupError(name)


def test_every_rule_has_a_mutant_of_the_engine_but_for_what_no_code_of_ours_keeps() -> None:
    assert set(INDEX) == set(NAMES) - set(ASSUMPTIONS)


@pytest.mark.parametrize(("rule", "mutant"), MUTANTS)
def test_the_mutant_is_there_and_its_test_uses_it(rule: str, mutant: Mutant) -> None:
    assert "Patch" in function(mutant.function)
    assert mutant.function.rpartition(".")[2] in function(mutant.test)


def test_a_test_that_is_gone_would_be_missed() -> None:
    with pytest.raises(LookupError):
        function("protocol.test_index.test_that_was_never_written")
