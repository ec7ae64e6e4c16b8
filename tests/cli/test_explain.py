"""`cachewright explain` and `cachewright tags`, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cachewright import Cache, TagIndex
from cachewright.cli.group import cachewright

Run = Callable[..., Result]


@pytest.fixture
def cache(valkey: Any, namespace: str) -> Iterator[Cache]:
    """A page made of a user, who is made of a row."""
    index = TagIndex(share=1.0, every=0.01)
    with Cache(valkey.url, namespace=namespace, tag_index=index) as made:

        def row() -> str:
            return "Ada"

        def user() -> str:
            return str(made.get_or_load("row", row, tags=["row:users:1", "rows:users"]))

        made.get_or_load("page", lambda: made.get_or_load("user", user, tags=["user:[1]"]))
        yield made


@pytest.fixture
def run(valkey: Any, namespace: str) -> Run:
    """The command on the same namespace."""

    def run(*arguments: str) -> Result:
        options = ["--url", valkey.url, "--namespace", namespace]
        return CliRunner().invoke(cachewright, [*arguments, *options])

    return run


def test_explain_prints_the_tree_of_what_an_entry_was_made_of(cache: Cache, run: Run) -> None:
    done = run("explain", "page", "--tree")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("page  is served")
    assert "fresh for" in lines[0]
    depth = {
        name: line.index(name) for name in ("user  is", "row  is") for line in lines if name in line
    }
    assert 0 < depth["user  is"] < depth["row  is"], "the row is below the user"
    assert "a write of row 1 of users" in done.output
    assert "user:[1]" in done.output, "brackets of a tag are no markup"
    assert "Ada" not in done.output, "no value is printed"


def test_in_the_tree_each_tag_stands_where_it_comes_from(cache: Cache, run: Run) -> None:
    assert run("explain", "page", "--tree").output.count("row:users:1 ") == 1
    cache.invalidate(tags=["row:users:1"])
    assert run("explain", "page", "--tree").output.count("row:users:1 has moved") == 3


def test_piped_nothing_is_cut_off(cache: Cache, run: Run) -> None:
    done = run("explain", "page")
    assert done.output.count("and every set, count or write of that key\n") == 2


def test_without_tree_only_its_own_tags_are_printed(cache: Cache, run: Run) -> None:
    done = run("explain", "page")
    assert "row  is served" not in done.output
    assert "key row" in done.output


def test_explain_says_which_dependency_has_moved(cache: Cache, run: Run) -> None:
    cache.invalidate(tags=["row:users:1"])
    done = run("explain", "page", "--tree")
    assert done.output.splitlines()[0].startswith("page  was invalidated")
    assert "row:users:1 has moved" in done.output


def test_explain_speaks_json(cache: Cache, run: Run) -> None:
    done = run("explain", "page", "--tree", "--json")
    found = json.loads(done.output)
    assert (found["key"], found["state"]) == ("page", "fresh")
    assert [part["key"] for part in found["parts"]] == ["user"]
    assert [part["key"] for part in found["parts"][0]["parts"]] == ["row"]
    everywhere = next(it for it in found["dependencies"] if it["tag"] == "n:")
    assert everywhere == {"tag": "n:", "holds": "same", "name": "n:", "moved_by": "clear()"}


def test_a_key_under_which_nothing_is_cached_is_exit_code_1(cache: Cache, run: Run) -> None:
    done = run("explain", "nobody")
    assert done.exit_code == 1
    assert "nothing is cached" in done.output


def test_a_key_that_is_none_is_exit_code_2(cache: Cache, run: Run) -> None:
    assert run("explain", "").exit_code == 2


def test_tags_lists_what_carries_a_tag(cache: Cache, run: Run) -> None:
    assert cache.engine.indexer is not None
    while cache.sampled_keys() < 3:
        cache.engine.indexer.tell()
    done = run("tags", "row:users:1")
    assert done.exit_code == 0, done.output
    assert "3 of 3 sampled keys" in done.output
    assert all(key in done.output for key in ("page", "user", "row"))
    found = [json.loads(line) for line in run("tags", "user:[1]", "--json").output.splitlines()]
    assert [one["key"] for one in found] == ["page", "user"]
    assert "0 of 3" in run("tags", "nobody's").output


def test_tags_without_an_index_says_how_to_have_one(valkey: Any, namespace: str, run: Run) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.set("k", 1, tags=["t"])
    done = run("tags", "t")
    assert done.exit_code == 1
    assert "tag_index=" in done.output


def test_a_server_that_is_away_is_said_and_no_traceback(namespace: str) -> None:
    options = ["--url", "unix:///nowhere/at/all.sock", "--namespace", namespace]
    for command in (["explain", "k"], ["tags", "t"]):
        done = CliRunner().invoke(cachewright, [*command, *options])
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit)
