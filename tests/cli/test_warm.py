"""`cachewright warm` as people and programs meet it: what it fills, what it prints, what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cachewright import Cache
from cachewright.cli.group import cachewright
from cachewright.embedded import EmbeddedServer

MODULE = """
from cachewright import Cache
from cachewright.patterns.sources import CallableSource

batches = []
cache = Cache({url!r}, namespace={namespace!r})
a_number = 7

def load_many(keys):
    batches.append(keys)
    return {{key: "value of " + key for key in keys if key != "gone"}}

def names():
    return ["a", "b", "gone"], load_many

def endless():
    return (f"k{{n}}" for n in range(5)), load_many

def broken():
    def load_many(keys):
        raise ConnectionError("the database is away")
    return ["a"], load_many

class Users(CallableSource):
    def keys(self, *, page=1000, after=None):
        yield [1, 2]

def users():
    return Users("users", load_many=lambda ids: {{i: "user" for i in ids}}, key_types=int)

def nonsense():
    return 1
"""


@pytest.fixture
def warm(
    valkey: EmbeddedServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    module = f"shop_{namespace}"
    (tmp_path / f"{module}.py").write_text(MODULE.format(url=valkey.url, namespace=namespace))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def warm(function: str, *options: str, where: bool = True) -> Result:
        place = ("--url", valkey.url, "--namespace", namespace) if where else ()
        asked = ["warm", f"{module}:{function}", *place, *options]
        return CliRunner().invoke(
            cachewright, [option.replace("MODULE", module) for option in asked]
        )

    return warm


@pytest.fixture
def cache(valkey: EmbeddedServer, namespace: str) -> Cache:
    return Cache(valkey.url, namespace=namespace)


def refused(result: Result, says: str) -> None:
    """Exit code 2 and one message without a traceback."""
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_it_fills_what_the_function_names_and_says_how_much(
    warm: Callable[..., Result], cache: Cache
) -> None:
    with cache:
        cache.set("b", "mine")
        result = warm("names", "--ttl", "50", "--jitter", "0")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "2 loaded (1 of them absent), 1 were there, 0 skipped, finished.\n"
        assert cache.get_many(["a", "b", "gone"]) == {"a": "value of a", "b": "mine"}
        assert 40 < (cache.ttl("a") or 0) <= 50


def test_json_is_all_that_is_printed(warm: Callable[..., Result]) -> None:
    result = warm("endless", "--json", "--batch", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "skipped": 0,
        "loaded": 5,
        "absent": 0,
        "present": 0,
        "batches": 3,
        "finished": True,
        "led": True,
    }


def test_a_source_is_filled_under_the_keys_of_its_doors(
    warm: Callable[..., Result], cache: Cache
) -> None:
    with cache:
        assert json.loads(warm("users", "--json").stdout)["loaded"] == 2
        assert cache.get(("users", 2)) == "user"


def test_the_applications_own_cache_may_be_named(warm: Callable[..., Result], cache: Cache) -> None:
    with cache:
        assert warm("names", "--cache", "MODULE:cache", where=False).exit_code == 0
        assert cache.get("a") == "value of a"


def test_what_the_loader_raises_ends_it(warm: Callable[..., Result]) -> None:
    result = warm("broken")
    assert result.exit_code == 1
    assert isinstance(result.exception, ConnectionError)


def test_a_terminal_shows_how_far_it_is(
    warm: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = warm("names", "--batch", "1")
    assert "3/3" in result.stderr
    assert result.stdout.startswith("3 loaded")
    assert warm("names", "--json").stderr == ""


def test_without_a_server_that_answers_it_fails_aloud(warm: Callable[..., Result]) -> None:
    result = warm("names", "--url", "redis://127.0.0.1:1/0", where=False)
    assert result.exit_code == 1
    assert "the server does not answer" in result.stderr


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        ("nothing", [], "has no 'nothing'"),
        ("nonsense", [], "it must give (keys, load_many) or a source"),
        ("names", ["--batch", "0"], "batch must be an int of 1 or more"),
        ("names", ["--per-second", "0"], "per_second must be more than 0"),
        ("names", ["--jitter", "1"], "jitter must be at least 0 and below 1"),
        ("names", ["--cache", "MODULE:cache"], "give --cache, or --url and --namespace"),
    ],
)
def test_what_cannot_be_is_refused(
    warm: Callable[..., Result], function: str, options: list[str], says: str
) -> None:
    refused(warm(function, *options), says)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["no.such.module:f"], "there is no module"),
        (["json"], "names nothing"),
        (["time:time"], "a cache without a server ends with this command"),
    ],
)
def test_what_names_nothing_is_refused(
    asked: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CACHEWRIGHT_URL", raising=False)
    refused(CliRunner().invoke(cachewright, ["warm", *asked]), says)


def test_a_cache_that_is_none_is_refused(warm: Callable[..., Result]) -> None:
    refused(warm("names", "--cache", "time:time", where=False), "names a float, not a Cache")
