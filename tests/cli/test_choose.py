"""`cachewright choose`: one advice for each answer, and code that runs as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cachewright.cli import advice as tree
from cachewright.cli.group import cachewright as command
from cachewright.embedded import EmbeddedServer
from rig.servers import Raw

ROOT = Path(__file__).resolve().parent.parent.parent
WORLDS = ["threads", "asyncio"]
PRINTS = {
    "cache-aside": "Ada nobody Lovelace",
    "read-through": "Ada Grace Lovelace",
    "refresh-ahead": "Ada Ada",
    "write-through": "Ada Ada nobody",
    "write-behind": "Ada Ada",
    "queries": "bread 3 tea 4 tea 2 bread 3",
    "pages": "Ada Grace",
    "fragments": "tea bread tea bread tea bread jam &amp; butter",
    "api": "200 304 200",
    "assets": "True",
}
"""What each program prints, in this order among other things."""


ANSWERS = {
    tree.advise(content, need).example: (content, need)
    for content in tree.CONTENTS
    for need in tree.NEEDS
}
"""An answer that leads to each program."""


def choose(*options: str, answers: str = "") -> Result:
    return CliRunner().invoke(command, ["choose", *options], input=answers)


def advised(*options: str) -> dict[str, str]:
    result = choose("--json", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, str] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("need", "pattern"),
    [
        ("read-heavy", "read-through"),
        ("write-heavy", "write-behind"),
        ("consistency", "write-through, strict"),
        ("latency", "refresh-ahead"),
        ("simple", "cache-aside"),
    ],
)
@pytest.mark.parametrize("content", ["rows", "objects"])
def test_the_primary_need_decides_for_rows_and_objects(
    content: str, need: str, pattern: str
) -> None:
    found = advised("--content", content, "--need", need)
    assert found["pattern"] == pattern
    assert all(found[part] for part in ("reason", "guarantee", "price", "code"))


@pytest.mark.parametrize("content", ["queries", "pages", "fragments", "api", "assets"])
def test_other_content_has_one_answer_whatever_the_need(content: str) -> None:
    assert (
        len({advised("--content", content, "--need", need)["pattern"] for need in tree.NEEDS}) == 1
    )


@pytest.mark.parametrize(
    ("loss", "durability"), [("none", "fsync"), ("seconds", "aof"), ("all", "memory")]
)
def test_what_may_be_lost_names_the_durability(loss: str, durability: str) -> None:
    found = advised("--need", "write-heavy", "--loss", loss)
    assert f"durability={durability}:" in found["guarantee"]
    assert f'durability="{durability}"' in found["code"]


def test_what_is_not_said_is_asked_and_no_more_than_matters() -> None:
    asked = choose(answers="rows\nwrite-heavy\nseconds\n")
    assert asked.exit_code == 0
    assert asked.stdout.startswith("Use write-behind.")
    for question in ("What is cached?", "What matters most?", "What may be lost?"):
        assert question in asked.stderr
    pages = choose(answers="pages\n")
    assert pages.stdout.startswith("Use cached pages with tags.")
    assert "What matters most?" not in pages.stderr
    given = choose("--content", "rows", "--need", "latency")
    assert (given.stderr, given.stdout.splitlines()[0]) == ("", "Use refresh-ahead.")


def test_an_answer_that_is_none_is_asked_again() -> None:
    asked = choose(answers="row\nrows\n\n")
    assert asked.stdout.startswith("Use read-through.")
    assert "'row' is not one of" in asked.stderr


def test_the_advice_says_why_what_holds_what_it_costs_and_where_more_is_said() -> None:
    printed = choose("--content", "rows", "--need", "read-heavy").stdout
    flat = " ".join(printed.split())
    found = advised("--content", "rows", "--need", "read-heavy")
    for part in ("reason", "guarantee", "price", "page", "code"):
        assert " ".join(found[part].split()) in flat
    assert choose("--code", "--content", "rows").stdout == found["code"]


def test_every_page_that_is_named_exists() -> None:
    pages = {tree.advise(content, need).page for content in tree.CONTENTS for need in tree.NEEDS}
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_every_answer_has_a_program_that_is_run_here() -> None:
    assert set(ANSWERS) == set(PRINTS)


@pytest.fixture(scope="module")
def durable() -> Iterator[EmbeddedServer]:
    """A server that keeps a queue: it evicts nothing and writes everything down."""
    config = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    with EmbeddedServer(config=config) as server:
        yield server


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", PRINTS)
def test_the_code_runs_as_it_is_printed(
    name: str, world: str, *, durable: EmbeddedServer, raw: Raw, tmp_path: Path
) -> None:
    content, need = ANSWERS[name]
    code = choose(
        *("--code", "--content", content, "--need", need, "--world", world, "--url", durable.url)
    ).stdout
    assert ("await" in code) == (world == "asyncio" and name != "assets")
    raw(durable).flushall()
    (tmp_path / "program.py").write_text(code)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    in_order = ".*".join(map(re.escape, PRINTS[name].split()))
    assert re.search(in_order, ran.stdout, re.DOTALL), ran.stdout
