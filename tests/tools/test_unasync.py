"""The generator of the blocking twins: what it changes, what it keeps, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.unasync import RENAMED, SourceError, Translator, main

SOURCE = '''\
# The source of the twin.
"""AsyncCache over `_async/flights.py`; callers await what it returns."""

from hiredis import Reader

from cachewright._waits import aio   # the seam


class _AsyncFlight:
    async def __aenter__(self):
        self.lock = aio.Lock()
        return self

    async def __aexit__(self, *exc):
        async with self.lock:
            await self.aclose()

    async def aclose(self):
        """Ends it: `await flight.aclose()`, or `async with AsyncCache()`."""
        return [x async for x in self.parts]
'''

TWIN = '''\
# Generated from _async/flights.py by tools/unasync.py. Do not edit.
"""Cache over `_sync/flights.py`; callers await what it returns."""

from hiredis import Reader

from cachewright._waits import threads   # the seam


class _Flight:
    def __enter__(self):
        self.lock = threads.Lock()
        return self

    def __exit__(self, *exc):
        with self.lock:
            self.close()

    def close(self):
        """Ends it: `flight.close()`, or `with Cache()`."""
        return [x for x in self.parts]
'''


def translated(line: str) -> str:
    """The twin of one line of code."""
    return Translator().twin(f"# source\n{line}\n", "line.py").partition("\n")[2].rstrip("\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with one source in the package and one in the tests, and their twins."""
    for room in ("src/cachewright/_async", "tests/_async"):
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "flights.py").write_text(SOURCE)
    every_name = "# source\n" + "\n".join(RENAMED) + "\n"
    (tmp_path / "tests/_async/names.py").write_text(every_name)
    assert main(["--root", str(tmp_path)]) == 0
    return tmp_path


def test_a_source_becomes_its_blocking_twin() -> None:
    assert Translator().twin(SOURCE, "flights.py") == TWIN


def test_the_twin_of_a_twin_is_itself_but_for_the_notice() -> None:
    assert Translator().twin(TWIN, "flights.py") == TWIN


def test_line_n_of_the_twin_is_line_n_of_the_source() -> None:
    twin = Translator().twin(SOURCE, "flights.py").splitlines()
    assert len(twin) == len(SOURCE.splitlines())
    assert [line.strip() for line in twin if "self.lock =" in line] == [
        "self.lock = threads.Lock()"
    ]
    assert twin[6 - 1].endswith("# the seam")


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("x: AsyncIterator[int]", "x: Iterator[int]"),
        ("__AsyncFlight = 1", "__Flight = 1"),
        ("Async = asyncio = async_cache = Asynchronous = 1",) * 2,
        ("mine = not_aio = aio_lock = 1",) * 2,
        ("from cachewright._async.cache import A", "from cachewright._sync.cache import A"),
        ("__all__ = ['AsyncCache', '_AsyncBus']", "__all__ = ['Cache', '_Bus']"),
        ("x = 1  # see AsyncCache.aclose", "x = 1  # see Cache.close"),
        ("x = 1  # await nothing: async callers await their flight",) * 2,
        ("x = f'{AsyncCache} and {aio}'", "x = f'{Cache} and {threads}'"),
        ("x = '''a\n  AsyncCache\n'''; y = AsyncBus", "x = '''a\n  Cache\n'''; y = Bus"),
        ("x = '⇄'; y = AsyncBus", "x = '⇄'; y = Bus"),
    ],
)
def test_names_strings_and_comments_follow_the_rules(source: str, twin: str) -> None:
    assert translated(source) == twin


def test_awaits_go_wherever_they_stand() -> None:
    source = "async def f(): return await(a), (await b).c, [await d async for d in e]"
    assert translated(source) == "def f(): return (a), (b).c, [d for d in e]"


def test_a_source_whose_first_line_is_not_a_comment_is_refused() -> None:
    with pytest.raises(SourceError, match=r"_async/bus\.py: line 1 must be a comment"):
        Translator().twin('"""A docstring the notice would overwrite."""\n', "bus.py")


def test_an_empty_source_has_an_empty_twin() -> None:
    notice = "# Generated from _async/__init__.py by tools/unasync.py. Do not edit.\n"
    assert Translator().twin("", "__init__.py") == notice


@pytest.mark.parametrize("source", ["def 1(): ...", "x = (", "async for = 1"])
def test_a_source_whose_twin_is_no_python_is_refused_by_name(source: str) -> None:
    with pytest.raises(SourceError, match=r"_async/x\.py: its twin would be no Python: .+"):
        Translator().twin(f"# source\n{source}\n", "x.py")


def test_twins_are_written_for_the_package_and_for_its_tests(tree: Path) -> None:
    assert (tree / "src/cachewright/_sync/flights.py").read_text() == TWIN
    assert (tree / "tests/_sync/flights.py").read_text() == TWIN


def test_check_passes_when_every_twin_is_up_to_date(tree: Path) -> None:
    assert main(["--check", "--root", str(tree)]) == 0


def test_check_names_an_edited_twin_and_changes_nothing(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tree / "src/cachewright/_sync/flights.py"
    twin.write_text(TWIN + "edited = True\n")
    assert main(["--check", "--root", str(tree)]) == 1
    assert capsys.readouterr().out == "out of date: src/cachewright/_sync/flights.py\n"
    assert twin.read_text().endswith("edited = True\n")


def test_check_names_a_twin_that_was_never_written(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "tests/_sync/flights.py").unlink()
    assert main(["--check", "--root", str(tree)]) == 1
    assert capsys.readouterr().out == "out of date: tests/_sync/flights.py\n"


def test_a_twin_whose_source_is_gone_is_reported_then_removed(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "tests/_async/flights.py").unlink()
    capsys.readouterr()
    assert main(["--check", "--root", str(tree)]) == 1
    assert capsys.readouterr().out == "out of date: tests/_sync/flights.py\n"
    assert main(["--root", str(tree)]) == 0
    assert not (tree / "tests/_sync/flights.py").exists()


def test_a_handwritten_file_among_the_twins_is_refused_and_kept(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tree / "tests/_sync/test_mine.py"
    mine.write_text('"""By hand."""\n')
    assert main(["--root", str(tree)]) == 2
    assert "tests/_sync/test_mine.py: written by hand" in capsys.readouterr().err
    assert mine.exists()


@pytest.mark.parametrize("rule", sorted(RENAMED))
def test_check_names_a_rule_that_no_source_needs(
    tree: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    for source in tree.rglob("_async/*.py"):
        source.write_text(source.read_text().replace(rule, "plain"))
    main(["--root", str(tree)])
    capsys.readouterr()
    assert main(["--check", "--root", str(tree)]) == 1
    assert f"the rule for '{rule}'" in capsys.readouterr().out


def test_a_bad_source_stops_the_run_before_anything_is_written(tree: Path) -> None:
    (tree / "src/cachewright/_async/another.py").write_text("# fine\n")
    (tree / "tests/_async/zzz.py").write_text("no_comment = 1\n")
    assert main(["--root", str(tree)]) == 2
    assert not (tree / "src/cachewright/_sync/another.py").exists()
