"""The Lua scripts as texts: headers, arguments, commands, digests. What they do is in the files beside this one."""

from __future__ import annotations

import re
from hashlib import sha1
from importlib.resources import files
from typing import Any

import pytest

from cachewright._async.engine import AsyncEngine
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.keys import KeySpace
from cachewright.core.policy import Timeouts
from cachewright.errors import RemoteUnavailable
from cachewright.options import Options
from cachewright.patterns._async.partitions import AsyncPartitions
from cachewright.patterns._async.queue import AsyncQueue, Write
from cachewright.patterns.changes import Queued
from cachewright.patterns.queue_options import QueueOptions
from cachewright.redis.replies import Ask
from cachewright.redis.scripts import FENCED, NAMES, PARTS, loading, script
from cachewright.redis.target import Target
from rig.scripts import Room

LUA = files("cachewright.redis").joinpath("lua")


def parts(name: str) -> tuple[str, str]:
    """The header of a script and the code below it, without the parts that it shares with others."""
    lines = LUA.joinpath(f"{name}.lua").read_text().splitlines()
    end = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def numbers(what: str, text: str) -> set[int]:
    return {int(n) for n in re.findall(rf"\b{what}\[(\d+)\]", text)}


def repeated(header: str) -> set[int]:
    """The arguments that come once for each key, numbered as for the first; the code counts them by itself."""
    lines = [line for line in header.splitlines() if line.startswith("-- For each key: ")]
    return numbers("ARGV", "".join(lines))


@pytest.mark.parametrize("name", NAMES)
def test_a_header_tells_every_argument_that_the_code_reads_and_the_reply(name: str) -> None:
    header, code = parts(name)
    assert "Reply:" in header
    assert "KEYS" in header
    told = numbers("ARGV", header)
    assert told == set(range(1, max(told) + 1)), "arguments are numbered without a gap"
    by_the_fence = {max(told)} if name in FENCED else set()
    assert numbers("ARGV", code) == told - by_the_fence - repeated(header)
    assert numbers("KEYS", code) <= numbers("KEYS", header)


@pytest.mark.parametrize("name", NAMES)
async def test_every_caller_passes_as_many_arguments_as_the_header_tells(name: str) -> None:
    sent = await everything_sent()
    header, code = parts(name)
    told, each = max(numbers("ARGV", header)), len(repeated(header))
    calls = [command for command in sent if command[1] == script(name).sha]
    assert calls, "no verb runs it"
    for command in calls:
        keys = int(command[2])
        assert len(command) - 3 - keys == told + each * (keys // 2 - 1 if each else 0)
        fixed = numbers("KEYS", code)
        if fixed:
            assert keys == max(fixed)


async def everything_sent() -> list[tuple[Any, ...]]:
    """The EVALSHA commands of every verb of the store, called once each."""
    sent: list[tuple[Any, ...]] = []

    class Store(AsyncRedisStore):
        async def ask(self, commands: Any) -> Any:
            sent.extend(commands)
            raise RemoteUnavailable("nothing is sent")

    options: dict[str, Any] = {
        "timeouts": Timeouts(),
        "process": "me",
        "tell": lambda *_, **__: None,
    }
    store = Store(Target(), KeySpace("ns"), monotonic=lambda: 0.0, **options)
    verbs = [
        store.read(["k"], ["t:a"], make=["k:k"], slide_at=1.0),
        store.make_stamps(["t:a"]),
        store.acquire([Ask(key="k", tags=["n:"])], 10.0, wait=True),
        store.acquire([Ask(key=key, tags=["n:"]) for key in "kl"], 10.0, wait=True),
        store.fill([("k", "token", b"x", 1.0)]),
        store.fill([("k", "token", b"x", 1.0), ("l", "token", b"x", 1.0)]),
        store.renew([("k", "token", 1.0)]),
        store.invalidate(["k"], ["t:a"]),
        store.mark(["k"], ["t:a"], "token", lasting=1.0),
        store.store([("k", b"x", 1.0)]),
        store.count("k", 1, begin=b"x", meta=b"m", ttl=1.0, now=1.0),
        store.touch("k", now=1.0, times=b"t" * 16, lifetime=b"l" * 4, ttl=1.0),
        store.discard("k", b"x"),
    ]
    for verb in verbs:
        with pytest.raises(RemoteUnavailable):
            await verb
    return [command for command in [*sent, *await queued()] if command[0] == "EVALSHA"]


async def queued() -> list[tuple[Any, ...]]:
    """What the verbs of a queue send."""
    sent: list[tuple[Any, ...]] = []
    options = QueueOptions(partitions=1)
    engine = AsyncEngine("redis://localhost:1/0", Options(namespace="ns"))

    class Queue(AsyncQueue):
        async def ask(self, commands: Any, *, closing: Any = ()) -> Any:
            sent.extend(commands)
            raise RemoteUnavailable("nothing is sent")

    queue = Queue(engine, "q", options, table="t:table:q")
    workers, place = AsyncPartitions(queue, lease=1.0), queue.places[0]
    entry = Queued(b"1-0", "1-0", "k", b"id", "put", b"x")
    verbs = [
        queue.enqueue([Write("k", "put", b"id", b"x", "t:row")], "00"),
        workers.muster(),
        workers.take(place, 1, again=True),
        workers.move([entry], place.stream, place.parked, place=place),
        workers.uncover(place, {"k": "1-0"}),
    ]
    for verb in verbs:
        with pytest.raises(RemoteUnavailable):
            await verb
    return sent


def test_every_lua_file_is_used_and_every_script_is_loaded_and_named_by_its_digest() -> None:
    found = {path.name for path in LUA.iterdir()}
    shared = {f"{part}.part" for some in PARTS.values() for part in some}
    assert found == {f"{name}.lua" for name in {*NAMES, *shared}}
    assert loading() == [("SCRIPT", "LOAD", script(name).source) for name in NAMES]
    for name in NAMES:
        assert script(name).sha == sha1(script(name).source).hexdigest().encode()


def test_a_server_names_the_scripts_as_we_do(room: Room) -> None:
    for name in NAMES:
        assert room.client.script_load(script(name).source) in (
            script(name).sha,
            script(name).sha.decode(),
        )


def test_security_20_no_script_runs_text_or_names_a_key_that_it_was_not_given() -> None:
    """Security 20: static scripts, arguments only through KEYS and ARGV."""
    for name in NAMES:
        code = script(name).source.decode()
        assert not re.search(r"\bload(string)?\(|\bdofile\b|\beval\b", code)
        commands = re.findall(r"redis\.p?call\(\s*([^,)]+)", code)
        assert all(re.fullmatch(r"'[A-Z]+'", command) for command in commands), commands
