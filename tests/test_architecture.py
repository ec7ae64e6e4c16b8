"""Who may import whom, and how large a module may grow: the rules of the house, as one table."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "cachewright"
LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

PURE = {"errors", "types", "core"}
ENGINE = PURE | {"codecs", "memory", "redis", "observe", "_waits"}
PUBLIC = PURE | {"", "codecs", "observe", "_async", "_sync"}
DOORS = PUBLIC | {"decorators", "patterns", "http", "sql", "memory"}

# room → the rooms it may import, itself aside; "" is the package itself, `cachewright/__init__.py`
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "types": {"errors"},
    "core": {"errors", "types"},
    "observe": PURE,
    "codecs": PURE,
    "memory": PURE | {"observe"},
    "redis": PURE | {"codecs", "observe"},
    "sql": PURE,
    "http": PURE,
    "_waits": {"errors", "types", "observe", "redis"},
    "options": PURE | {"codecs", "observe", "redis", "embedded"},  # embedded:// starts it
    "_async": ENGINE | {"options"},
    "_sync": ENGINE | {"options"},
    "_child_process": {"errors"},
    "embedded": {"errors", "_child_process"},
    "decorators": PUBLIC,
    "gathering": {"errors", "core"},
    "objects": PURE,
    "patterns": PUBLIC | ENGINE | {"decorators"},
    "integrations": DOORS,
    "testing": DOORS | {"embedded"},
    "simulation": PURE | {"memory"},
    "cli": DOORS | {"embedded", "integrations", "simulation"},
    "dashboard": DOORS,
    "": DOORS | {"embedded", "redis"},
}
ENGINE_WORLDS = {"asyncio", "threading", "concurrent"}
NEVER = {
    "core": {"asyncio", "threading", "concurrent", "time", "socket", "redis", "random"},
    "http": {"asyncio", "threading", "concurrent", "socket", "redis"},
    "sql": {"asyncio", "threading", "concurrent", "socket", "redis"},
    "codecs": {"asyncio", "threading", "socket", "redis"},
    "memory": {"asyncio", "socket", "redis"},
    "simulation": {"asyncio", "threading", "time", "socket", "redis", "click", "rich"},
    "_async": ENGINE_WORLDS,
    "_sync": ENGINE_WORLDS,
}


def imported(path: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of all that the module at `path` imports, wherever in it."""
    package = (PACKAGE, *path.relative_to(source).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            origin = ".".join([*above, *filter(None, [node.module])])
            names = [alias.name for alias in node.names] if origin == PACKAGE else [""]
            yield from ((node.lineno, f"{origin}.{name}".rstrip(".")) for name in names)


def room_of(dotted: str) -> str:
    """The room of a name below the package; a name the package itself exports is in room ""."""
    room = dotted.split(".")[1] if "." in dotted else ""
    return room if room in MAY_IMPORT else ""


def violations(source: Path) -> list[str]:
    """Every breach of the two tables under `source`, the folder of the package."""
    found = []
    for path in sorted(source.rglob("*.py")):
        room = path.relative_to(source).with_suffix("").parts[0].replace("__init__", "")
        if room not in MAY_IMPORT:
            found.append(f"{path.relative_to(source)}: the table has no room for it")
            continue
        for line, name in imported(path, source):
            top = name.partition(".")[0]
            ours = top == PACKAGE and room_of(name) not in MAY_IMPORT[room] | {room}
            if ours or top in NEVER.get(room, set()):
                found.append(f"{path.relative_to(source)}:{line}: {room} must not import {name}")
    return found


def handwritten() -> list[Path]:
    """Our Python files, the generated twins aside."""
    folders = ("src", "tools", "demo", "tests", "benchmarks")
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if "_sync" not in path.relative_to(ROOT).parts]


def test_every_room_imports_only_what_the_table_allows() -> None:
    assert violations(ROOT / "src" / PACKAGE) == []


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("core/entry.py", "import time"),
        ("core/entry.py", "def f():\n    from random import random"),
        ("core/entry.py", "from cachewright.memory import store"),
        ("core/entry.py", "from ..memory import store"),
        ("core/entry.py", "from .. import memory"),
        ("core/deep/er.py", "from ...memory.store import MemoryStore"),
        ("core/entry.py", "from cachewright import Cache"),
        ("core/entry.py", "import cachewright"),
        ("errors.py", "from .types import Key"),
        ("memory/store.py", "import redis.asyncio"),
        ("http/page.py", "from cachewright import _async"),
        ("_async/cache.py", "from cachewright.http.page import Page"),
        ("_async/cache.py", "import asyncio"),
        ("_waits/aio.py", "import cachewright._async.cache"),
        ("integrations/asgi.py", "import cachewright._waits.aio"),
        ("decorators.py", "from cachewright.integrations.asgi import PageCache"),
        ("cupboard/things.py", "x = 1"),
    ],
)
def test_the_table_catches_a_planted_import(tmp_path: Path, module: str, statement: str) -> None:
    planted = tmp_path / module
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(statement)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("core/entry.py", "from ..errors import CacheError"),
        ("core/entry.py", "from . import keys"),
        ("core/entry.py", "from .. import errors"),
        ("core/__init__.py", "from .keys import spell"),
        ("_async/redis.py", "import redis.asyncio"),
        ("integrations/asgi.py", "from cachewright import AsyncCache"),
        ("__init__.py", "def f():\n    from cachewright._async.cache import AsyncCache"),
    ],
)
def test_the_table_lets_a_lawful_import_pass(tmp_path: Path, module: str, statement: str) -> None:
    planted = tmp_path / module
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(statement)
    assert violations(tmp_path) == []


def foreign_modules(statement: str) -> set[str]:
    """Top-level modules, neither ours nor Python's own, that a fresh interpreter loads for it."""
    code = f"import sys; {statement}; print(*sys.modules)"
    path = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    loaded = subprocess.run(path, capture_output=True, text=True, check=True).stdout.split()
    tops = {name.partition(".")[0] for name in loaded}
    return tops - sys.stdlib_module_names - {PACKAGE, "__main__"}


def test_importing_the_package_loads_no_third_party_module() -> None:
    assert foreign_modules(f"import {PACKAGE}") == set()


def test_a_third_party_module_would_be_noticed() -> None:
    assert "pytest" in foreign_modules("import pytest")


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path for path in handwritten() if VAGUE & {path.stem, path.parent.name}] == []


def test_no_handwritten_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in handwritten()}
    assert {path: length for path, length in lengths.items() if length > LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in handwritten()}
    assert [
        p for p, text in sources.items() if text and not ast.get_docstring(ast.parse(text))
    ] == []


def test_no_folder_of_tests_hides_a_package() -> None:
    """`tests` is on the path: tests/redis/__init__.py would hide redis itself. Nothing else is called as these are."""
    packages = {path.parent.name for path in (ROOT / "tests").rglob("__init__.py")}
    assert packages <= {"rig", "proof", "protocol"}
