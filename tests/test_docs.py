"""What the documentation says is run: every Python block of docs/ and README.md, and every link is followed.

A page is one program: its ```python blocks run in order in one namespace, with an empty server of its own in the
place of `redis://localhost:6379/0`. Fences with more words:

- ```python pytest: together they are a test file, run by pytest beside a conftest.py with our fixtures;
- ```python no-run: shown only; `SHOWN_ONLY` lists how many each page may have.

What must not be here: what the pages say.
"""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType, ModuleType

import pytest
from _sync.test_servers import COMMANDS, use_everything

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.observe.stats import Snapshot
from cachewright.options import Options
from rig.servers import acl_user

ROOT = Path(__file__).resolve().parent.parent
SERVER = "redis://localhost:6379/0"
SHOWN_ONLY: dict[str, int] = {}
"""Page → the number of its blocks that cannot run here."""
PATIENCE = 60.0
"""Seconds after which a page is not going to end."""

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<to>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the words behind its fence, the line of its first line, its text."""

    info: str
    line: int
    text: str


def pages() -> list[Path]:
    """README.md and all that is below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page as messages call it."""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("body")) + 1
        yield Block(found["info"].strip(), line, found["body"])


def program(page: Path, info: str) -> str:
    """All blocks of one kind, each at the line where it stands in the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.info == info:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n" if lines else ""


def run(page: Path, url: str) -> None:
    """Run a page as one module. Caches that it left open are closed."""
    module = ModuleType("page_of_the_documentation")
    # Classes that a page defines look their annotations up in their module.
    sys.modules[module.__name__] = module
    try:
        source = program(page, "python").replace(SERVER, url)
        with at_most(PATIENCE):
            exec(compile(source, str(page), "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules[module.__name__]
        for value in list(vars(module).values()):
            if isinstance(value, Cache):
                value.close()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` where the block is after so many seconds. Main thread only."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def broken_links(page: Path) -> Iterator[str]:
    """Links to files or headings that are not there. Addresses of the web are not followed."""
    for found in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", found["to"]):
            continue
        path, _, anchor = found["to"].partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield f"{name_of(page)}: {found['to']}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as its links spell them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in headings}


WITH_CODE = [page for page in pages() if program(page, "python")]
WITH_TESTS = [page for page in pages() if program(page, "python pytest")]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_python_of_a_page_runs(
    page: Path, own_server: Callable[..., EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("CACHEWRIGHT_")]:
        monkeypatch.delenv(name)
    run(page, own_server().url)


@pytest.mark.parametrize("page", WITH_TESTS, ids=name_of)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    source = program(page, "python pytest")
    (tmp_path / "test_page.py").write_text(source)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["cachewright.testing"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(re.findall('^(?:async )?def test_', source, re.MULTILINE))} passed" in done.stdout


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_python_fence_says_only_what_this_test_understands() -> None:
    known = {"python", "python pytest", "python no-run"}
    strange = [
        f"{name_of(page)}:{block.line}: {block.info}"
        for page in pages()
        for block in blocks(page)
        if block.info.startswith(("python", "py")) and block.info not in known
    ]
    assert strange == []


def test_blocks_that_do_not_run_are_listed() -> None:
    shown = Counter(
        name_of(page) for page in pages() for it in blocks(page) if it.info == "python no-run"
    )
    assert dict(shown) == SHOWN_ONLY


def test_the_reference_has_every_verb_as_it_is() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    verbs = [name for name in dir(Cache) if not name.startswith("_")]
    assert "get_or_load" in verbs
    assert [spelled(name) for name in verbs if f"`{spelled(name)}`" not in page] == []


def spelled(verb: str) -> str:
    """A verb with its parameters and their defaults, without types."""
    parameters = inspect.signature(getattr(Cache, verb)).parameters.values()
    bare = [it.replace(annotation=it.empty) for it in parameters if it.name != "self"]
    return f"{verb}{inspect.Signature(bare)}"


def test_the_reference_has_every_option() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    lifetimes = (ROOT / "docs/explanation/lifetimes.md").read_text(encoding="utf-8")
    assert [it.name for it in fields(Options) if f"`{it.name}`" not in page] == []
    assert [it.name for it in fields(Snapshot) if f"`{it.name}`" not in page] == []
    assert [it.name for it in fields(Policy) if f"| `{it.name}` |" not in lifetimes] == []


def test_the_reference_has_every_kind_of_event() -> None:
    page = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    source = "".join(path.read_text() for path in (ROOT / "src/cachewright").rglob("*.py"))
    told = set(re.findall(r"tell\(\s*\"(\w+)\"", source))
    table = page.partition("| kind |")[2]
    assert told == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def rules_of_the_acl_page() -> list[str]:
    """What the page gives to the user of the namespace `shop`."""
    page = (ROOT / "docs/reference/acl.md").read_text(encoding="utf-8")
    return page.partition('RULES = """')[2].partition('"""')[0].split()


def test_with_the_rules_of_the_acl_page_every_verb_works(
    server: EmbeddedServer, namespace: str
) -> None:
    rules = [rule.replace("shop", namespace) for rule in rules_of_the_acl_page()]
    with acl_user(server, *rules) as url, Cache(url, namespace=namespace) as cache:
        use_everything(cache)
        seen = cache.stats()
    assert (seen.remote_errors, seen.unreadable, seen.link) == (0, 0, "up")


def test_the_acl_page_names_no_command_that_is_not_needed() -> None:
    commands = {rule for rule in rules_of_the_acl_page() if rule.startswith("+")}
    assert commands
    assert commands <= set(COMMANDS)


# ---------------------------------------------------------------- the checker can fail


def test_a_block_that_fails_is_reported_at_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run(page, SERVER)
    assert caught.traceback[-1].lineno == 7  # counted from 0


def test_blocks_get_the_servers_address(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```python\nassert '{SERVER}' == 'unix:///somewhere'\n```\n")
    run(page, "unix:///somewhere")
    with pytest.raises(AssertionError):
        run(page, "unix:///elsewhere")


def test_a_page_that_hangs_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nwhile True:\n    pass\n```\n")
    with pytest.raises(TimeoutError), at_most(0.05):
        exec(compile(program(page, "python"), str(page), "exec"), {})


def test_links_to_nothing_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two` three\n[a](page.md) [b](#one-two-three) [c](gone.md) [d](#four) [e](https://x.y)\n"
        "```\n[f](in-code.md)\n```\n"
    )
    assert list(broken_links(page)) == ["page.md: gone.md", "page.md: #four"]
