# Bytes that come back from the server.
"""Entries at the server: damaged, of another release, moved, compressed, sealed. None of it reaches the caller raw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cachewright import MISSING, AsyncCache
from cachewright.codecs.aesgcm import Sealer
from cachewright.testing import RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


@dataclass
class User:
    id: int
    name: str
    tags: list[str]


class Loads:
    """A source that counts how often it is asked."""

    def __init__(self, value: Any = "loaded") -> None:
        self.value = value
        self.count = 0

    async def __call__(self) -> Any:
        self.count += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


# -------------------------------------------------------------------- bytes that make no sense


def damage(raw: Any, server: Any, namespace: str, how: Any) -> Any:
    """Change the bytes of the key "k" at the server; a client to look at them with."""
    client = raw(server)
    name = f"{namespace}:{{k}}"
    data = client.get(name)
    assert data is not None
    client.set(name, how(data), keepttl=True)
    return client


DAMAGES: dict[str, Any] = {
    "nothing": lambda data: b"",
    "cut in the header": lambda data: data[:20],
    "cut in the meta": lambda data: data[:55],
    "cut in the payload": lambda data: data[:-1],
    "garbage": lambda data: b"\x01" + b"\xff" * 80,
    "another cache's pickle": lambda data: b"\x80\x05cos\nsystem\n(S'true'\ntR.",
    "an unknown codec": lambda data: data[:2] + b"\x63" + data[3:],
    "unknown flags": lambda data: data[:1] + b"\x70" + data[2:],
    "an unknown compressor": lambda data: data[:1] + b"\x0e" + data[2:],
    "sealed by nobody": lambda data: data[:1] + b"\x80" + data[2:],
    "an unknown kind": lambda data: data[:3] + b"\x40" + data[4:],
    "tags that are no text": lambda data: data[:48] + data[48:].replace(b"n:", b"\xff\xff"),
}


@pytest.mark.parametrize("how", DAMAGES)
async def test_security_11_an_entry_that_makes_no_sense_is_a_miss_is_told_and_is_removed(
    valkey: Any, raw: Any, namespace: str, *, events: RecordingListener, how: str
) -> None:
    """Also security 9 and 10, defect 7: no exception reaches the caller, and no code runs."""
    async with AsyncCache(valkey.url, namespace=namespace) as writer:
        await writer.set("k", {"a": [1, 2, 3]})
    client = damage(raw, valkey, namespace, DAMAGES[how])
    async with AsyncCache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert await cache.get("k") is MISSING
        assert cache.stats().unreadable == 1
        assert len(events.of("unreadable")) == 1
        assert client.get(f"{namespace}:{{k}}") is None
        assert await cache.get_or_load("k", lambda: "anew") == "anew"
        assert await cache.get_many(["k", "other"]) == {"k": "anew"}


@pytest.mark.parametrize("how", DAMAGES)
async def test_defect_07_a_load_replaces_an_entry_that_makes_no_sense(
    valkey: Any, raw: Any, namespace: str, how: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as writer:
        await writer.set("k", {"a": [1, 2, 3]})
        await writer.set("fine", 1)
    damage(raw, valkey, namespace, DAMAGES[how])
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        loaded = await cache.get_or_load_many(
            ["k", "fine"], lambda keys: dict.fromkeys(keys, "anew")
        )
        assert loaded == {"k": "anew", "fine": 1}
    async with AsyncCache(valkey.url, namespace=namespace) as other:
        assert await other.get_or_load("k", Loads()) == "anew"


@pytest.mark.parametrize(
    "verb", ["get", "get_or_load", "get_many", "get_or_load_many", "set", "add", "incr"]
)
async def test_security_11_a_key_of_another_type_is_a_miss_and_is_removed(
    server: Any, raw: Any, namespace: str, verb: str
) -> None:
    client = raw(server)
    client.rpush(f"{namespace}:{{k}}", "x")
    async with AsyncCache(server.url, namespace=namespace) as cache:
        done: dict[str, Any] = {
            "get": lambda: cache.get("k"),
            "get_or_load": lambda: cache.get_or_load("k", Loads()),
            "get_many": lambda: cache.get_many(["k", "j"]),
            "get_or_load_many": lambda: cache.get_or_load_many(["k", "j"], lambda keys: {"k": 1}),
            "set": lambda: cache.set("k", 1),
            "add": lambda: cache.add("k", 1),
            "incr": lambda: cache.incr("k"),
        }
        await done[verb]()
        await cache.get("k")
        assert client.type(f"{namespace}:{{k}}") in (b"none", b"string")
        assert await cache.get_or_load("k", lambda: 1) in (1, "loaded")


@pytest.mark.parametrize("version", [2, 3])
async def test_security_10_an_entry_of_a_later_release_is_a_miss_and_is_left_alone(
    valkey: Any, raw: Any, namespace: str, *, events: RecordingListener, version: int
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as writer:
        await writer.set("k", 1)
    client = damage(raw, valkey, namespace, lambda data: bytes([version]) + data[1:])
    before = client.get(f"{namespace}:{{k}}")
    async with AsyncCache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert await cache.get("k") is MISSING
        assert await cache.get_many(["k", "j"]) == {}
        assert not await cache.contains("k")
        assert client.get(f"{namespace}:{{k}}") == before
        assert events.of("unreadable")


async def test_an_entry_of_another_codec_is_a_miss_for_this_one(
    valkey: Any, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, codec="json") as writer:
        await writer.set("k", {"id": 1, "name": "Ann", "tags": []})
    async with AsyncCache(valkey.url, namespace=namespace, type=User) as cache:
        assert await cache.get("k") is MISSING


# -------------------------------------------------------------------- compressed and sealed


def keys_of(*letters: str) -> dict[str, bytes]:
    return {letter: letter.encode() * 32 for letter in letters}


@pytest.mark.parametrize("compress", ["zlib", "zstd", "lz4"])
async def test_a_compressed_value_is_smaller_and_every_cache_reads_it(
    valkey: Any, raw: Any, namespace: str, compress: str
) -> None:
    value = ["the same words again"] * 500
    async with AsyncCache(valkey.url, namespace=namespace, compress=compress) as cache:
        await cache.set("k", value)
        await cache.set("small", "x")
    stored = raw(valkey).get(f"{namespace}:{{k}}")
    assert len(stored) < 2_000
    async with AsyncCache(valkey.url, namespace=namespace) as other:
        assert await other.get("k") == value
        assert await other.get("small") == "x"


@pytest.mark.parametrize("compress", [None, "zlib"])
async def test_a_sealed_value_cannot_be_read_at_the_server(
    valkey: Any, raw: Any, namespace: str, compress: str | None
) -> None:
    value = "a secret diagnosis " * 100
    options: dict[str, Any] = {"seal": Sealer(keys_of("a")), "compress": compress}
    async with AsyncCache(valkey.url, namespace=namespace, **options) as cache:
        await cache.set("k", value)
        await cache.get_or_load("l", lambda: value)
    for name in ("k", "l"):
        assert b"diagnosis" not in raw(valkey).get(f"{namespace}:{{{name}}}")
    async with AsyncCache(valkey.url, namespace=namespace, **options) as other:
        assert await other.get("k") == value
        assert await other.get("l") == value


async def test_an_unsealed_value_can_be_read_at_the_server(
    valkey: Any, raw: Any, namespace: str
) -> None:
    """The twin of the test above."""
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.set("k", "a secret diagnosis")
    assert b"diagnosis" in raw(valkey).get(f"{namespace}:{{k}}")


@pytest.mark.parametrize("sealed", [True, False])
async def test_security_14_an_entry_moved_under_another_key_is_a_miss_where_it_is_sealed(
    valkey: Any, raw: Any, namespace: str, *, events: RecordingListener, sealed: bool
) -> None:
    options: dict[str, Any] = {"seal": Sealer(keys_of("a"))} if sealed else {}
    client = raw(valkey)
    async with AsyncCache(valkey.url, namespace=namespace, **options) as writer:
        await writer.set("alice", "of alice")
        await writer.set("bob", "of bob")
    client.set(f"{namespace}:{{bob}}", client.get(f"{namespace}:{{alice}}"), px=60_000)
    async with AsyncCache(valkey.url, namespace=namespace, listeners=[events], **options) as cache:
        got = await cache.get("bob")
        assert got == (MISSING if sealed else "of alice"), "the control shows what sealing prevents"
        assert bool(events.of("unreadable")) == sealed
        assert await cache.get("alice") == "of alice"


async def test_security_14_an_entry_moved_to_another_namespace_is_a_miss(
    valkey: Any, raw: Any, namespace: str
) -> None:
    options: dict[str, Any] = {"seal": Sealer(keys_of("a"))}
    other = f"{namespace}-b"
    client = raw(valkey)
    async with AsyncCache(valkey.url, namespace=namespace, **options) as writer:
        await writer.set("k", "v")
        stamp = client.get(f"{namespace}:tag:{{n:}}")
    client.set(f"{other}:{{k}}", client.get(f"{namespace}:{{k}}"), px=60_000)
    client.set(f"{other}:tag:{{n:}}", stamp, px=60_000)
    async with AsyncCache(valkey.url, namespace=other, **options) as cache:
        assert await cache.get("k") is MISSING


async def test_security_15_keys_are_rotated_without_losing_entries(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    old, both, new = Sealer(keys_of("a")), Sealer(keys_of("b", "a")), Sealer(keys_of("b"))
    async with AsyncCache(valkey.url, namespace=namespace, seal=old) as cache:
        await cache.set("k", "sealed with a")
    async with AsyncCache(valkey.url, namespace=namespace, seal=both) as cache:
        assert await cache.get("k") == "sealed with a"
    async with AsyncCache(valkey.url, namespace=namespace, seal=new, listeners=[events]) as cache:
        assert await cache.get("k") is MISSING
        assert events.of("unreadable")
