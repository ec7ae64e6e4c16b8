# Generated from _async/test_queue.py by tools/unasync.py. Do not edit.
"""The queue: one step for value and entry, what fsync means, what is refused, names that no key spells."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _sync.mutants import weaken_script
from _sync.steps import until
from patterns._sync.desk import Hand, Opened, People, door, new_cache, person

from cachewright.codecs.aesgcm import Sealer
from cachewright.core.keys import KeySpace
from cachewright.errors import ConfigurationError
from cachewright.patterns._sync.queue import Place, Write
from cachewright.redis.wire import ServerError
from rig.servers import acl_user

CACHE = (
    *(
        "time",
        "info",
        "script|load",
        "evalsha",
        "subscribe",
        "get",
        "mget",
        "pttl",
        "set",
        "unlink",
    ),
    *("getrange", "setrange", "append", "pexpire", "publish"),
)
QUEUE = (
    *(
        "config|get",
        "command|info",
        "xadd",
        "xlen",
        "xrange",
        "xrevrange",
        "xdel",
        "xack",
    ),
    *(
        "xreadgroup",
        "xautoclaim",
        "xgroup|create",
        "xinfo|stream",
        "xsetid",
        "hset",
        "hget",
        "hdel",
    ),
    *("hexists", "hmget", "hgetall", "hincrby", "zadd", "zrem", "zcard", "zremrangebyscore"),
)
"""What write-behind needs beyond what a cache does."""
ROOM = "local sequence = unpack(KEYS, 1, 1)"
ON_DISK = {"appendonly": "yes", "appendfsync": "always"}


def refused_step(server: Any, client: Any, namespace: str, people: Any) -> tuple[Any, Any]:
    """A write whose second half fails at the server: the entry as it was and as it is; the length of the stream."""
    with Opened(server, namespace, people, partitions=1) as writes:
        place = writes.queue.places[0]
        writes.put(person(1, "first"))
        client.delete(place.stream)
        client.set(place.stream, "no stream")
        with pytest.raises(ServerError, match="WRONGTYPE"):
            writes.put(person(1, "second"))
        return writes.get(1), client.hlen(place.pending)


def test_defect_28_value_and_queue_entry_change_in_one_step(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    assert refused_step(valkey, raw(valkey), namespace, people) == (person(1, "first"), 1)


def test_defect_28_a_value_that_was_set_first_would_be_seen_and_never_written(
    valkey: Any, raw: Any, namespace: str, *, people: People, monkeypatch: Any
) -> None:
    """The control: the overlay is written before the queue."""
    weaken_script(
        monkeypatch,
        "enqueue",
        ROOM,
        "local _, _, _, _, key, _, data = struct.unpack('<I2I8I4BI4c0I4c0I4c0', ARGV[1])\n"
        "redis.call('HSET', KEYS[3], key, struct.pack('<I8I4BI4', 1, 0, 1, #data) .. data)\n"
        "redis.call('UNLINK', KEYS[#KEYS])\n" + ROOM,
    )
    found, _ = refused_step(valkey, raw(valkey), namespace, people)
    assert found == person(1, "second")


def test_defect_36_order_is_that_of_versions_whatever_the_clock_says(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    """A server's clock that was set back must not reorder anything."""
    with Opened(valkey, namespace, people, partitions=1) as writes:
        place = writes.queue.places[0]
        ahead = 1000 * (int(raw(valkey).time()[0]) + 3600)
        writes.put(person(1, "first"))
        hand = Hand.take(writes)
        hand.drain()
        raw(valkey).execute_command("XSETID", place.stream, f"{ahead}-0")
        writes.put(person(1, "second"))
        writes.put(person(1, "third"))
        hand.drain()
        assert people.row(1) == {**person(1, "third"), "writes": 2}


def test_a_write_goes_all_the_way_on_every_server(
    server: Any, namespace: str, people: People
) -> None:
    with Opened(server, namespace, people, worker=True) as writes:
        writes.put_many([person(n) for n in range(50)])
        writes.patch(7, {"age": 7})
        writes.delete(8)
        writes.put(person(90, "poison"))
        found = writes.get_many([7, 8, 90])
        assert found == {7: person(7, "Ada", 7), 90: person(90, "poison")}
        assert not writes.flush(1)
        assert len(people.rows()) == 49
        assert people.row(7) is not None


def test_the_commands_that_a_user_needs_are_those_of_the_list(
    valkey: Any, namespace: str, people: People
) -> None:
    rules = (f"~{namespace}:*", f"~{namespace}#*", "resetchannels", f"&{namespace}:*")
    with acl_user(valkey, *rules, *(f"+{name}" for name in [*CACHE, *QUEUE])) as url:
        server = SimpleNamespace(url=url)
        with Opened(server, namespace, people, worker=True, deliveries=1) as writes:
            writes.put_many([person(n) for n in range(50)])
            writes.put(person(90, "poison"))
            writes.patch(7, {"age": 7})
            until(lambda: len(people.rows()) == 50)
            writes.put(person(90))
            assert writes.flush(10)
            assert writes.cache.stats().remote_errors == 0
    assert len(people.rows()) == 51


def test_what_was_acknowledged_survives_the_server(
    own_server: Any, namespace: str, people: People, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=ON_DISK)
    options: dict[str, Any] = {"durability": "fsync"}
    with Opened(server, namespace, people, **options) as writes:
        writes.put_many([person(n) for n in range(200)])
    server.kill()
    server.start()
    with Opened(server, namespace, people, worker=True, **options) as writes:
        assert writes.flush(10)
    assert [row["writes"] for row in people.rows()] == [1] * 200


# -------------------------------------------------------------------- configuration


def test_defect_38_a_server_that_may_evict_the_queue_is_refused(
    own_server: Any, namespace: str, people: People
) -> None:
    guide = {"maxmemory": "2gb", "maxmemory-policy": "allkeys-lru"}
    with new_cache(own_server(config=guide), namespace) as cache:
        writes = door(cache, people)
        with pytest.raises(ConfigurationError, match="maxmemory-policy noeviction"):
            writes.put(person(1))
        with pytest.raises(ConfigurationError, match="maxmemory-policy noeviction"):
            writes.get(1)


def test_defect_38_a_server_without_a_log_is_refused_unless_memory_is_enough(
    valkey: Any, namespace: str, people: People
) -> None:
    with new_cache(valkey, namespace) as cache:
        with pytest.raises(ConfigurationError, match="appendonly yes"):
            door(cache, people, durability="aof").open()


def test_defect_38_a_server_that_syncs_its_log_now_and_then_is_refused_for_fsync(
    own_server: Any, namespace: str, people: People, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config={**ON_DISK, "appendfsync": "everysec"})
    with new_cache(server, namespace) as cache:
        with pytest.raises(ConfigurationError, match="appendfsync always"):
            door(cache, people, durability="fsync").open()


def test_defect_38_a_server_that_syncs_nothing_during_a_rewrite_is_refused(
    own_server: Any, namespace: str, people: People, tmp_path: Path
) -> None:
    """Not even `appendfsync always` does then."""
    config = {**ON_DISK, "no-appendfsync-on-rewrite": "yes"}
    with new_cache(own_server(directory=tmp_path, config=config), namespace) as cache:
        for durability in ("aof", "fsync"):
            with pytest.raises(ConfigurationError, match="no-appendfsync-on-rewrite no"):
                door(cache, people, durability=durability).open()


def test_a_server_that_does_not_show_its_configuration_says_so_and_can_be_trusted(
    valkey: Any, namespace: str, people: People
) -> None:
    rules = ("~*", "&*", "+@all", "-config")
    with acl_user(valkey, *rules) as url:
        with new_cache(SimpleNamespace(url=url), namespace) as cache:
            with pytest.raises(ConfigurationError, match="durability_checked=False"):
                door(cache, people, durability="aof").open()
            with door(
                cache, people, durability="aof", durability_checked=False, worker=True
            ) as writes:
                writes.put(person(1))
                assert writes.flush(10)


def test_a_server_whose_memory_is_full_refuses_the_write_and_keeps_the_queue(
    own_server: Any, raw: Any, namespace: str, people: People
) -> None:
    server = own_server(config={"maxmemory-policy": "noeviction"})
    with Opened(server, namespace, people, worker=False) as writes:
        writes.put(person(1, "before"))
        raw(server).config_set("maxmemory", "1")
        with pytest.raises(ServerError, match="OOM"):
            writes.put(person(1, "refused"))
        raw(server).config_set("maxmemory", "0")
        assert writes.get(1) == person(1, "before")
        writes.worker.start()
        assert writes.flush(10)
        assert people.row(1) == {**person(1, "before"), "writes": 1}


@pytest.mark.parametrize("reply", [[b""], [b"", b"1-1", b"1-2"], [b"", None], None])
def test_a_reply_that_is_not_about_what_was_sent_acknowledges_nothing(
    valkey: Any, namespace: str, people: People, *, monkeypatch: Any, reply: Any
) -> None:
    with Opened(valkey, namespace, people) as writes:

        def ask(commands: Any, **_: Any) -> Any:
            return [reply]

        with monkeypatch.context() as patched:
            patched.setattr(writes.queue, "ask", ask)
            with pytest.raises(ServerError):
                writes.put(person(1))


# -------------------------------------------------------------------- names and bytes


def test_no_name_of_a_queue_is_one_that_a_key_has(
    valkey: Any, namespace: str, people: People
) -> None:
    keys, place = KeySpace(namespace), Place(namespace, "people", 3)
    theirs = {"stream", "pending", "parked", "dead", "tries", "holder"}
    ours = {getattr(place, name) for name in theirs}
    assert len(ours) == 6
    for key in ("q:people:3", "q:people:3}:stream", "{q:people:3}:stream", "q"):
        assert ours.isdisjoint({keys.entry(key), keys.lease(key), keys.tag("k:" + key)})
    with new_cache(valkey, namespace) as cache:
        queue = door(cache, people).queue
        command = queue._enqueue([Write("k", "put", b"", b"", "t:row:k")], "0", queue.commands)
        place = queue.places[queue.partition("k")]
        entry, *marks, _ = queue.commands.names(["k"], ["t:row:k"])
        assert list(command[3:12]) == [
            *(keys.sequence, place.stream, place.pending, place.parked),
            *(keys.tag("t:table:people"), *marks, entry),
        ]
    slots = {name[name.index("{") : name.index("}")] for name in ours}
    assert len(slots) == 1


def test_what_is_queued_by_a_cache_that_seals_cannot_be_read_at_the_server(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    sealed = {"seal": Sealer({"k1": bytes(32)})}
    with Opened(valkey, namespace, people, partitions=1, cached=sealed) as writes:
        writes.put(person(1, "a secret name"))
        writes.patch(2, {"name": "a secret patch"})
        client, place = raw(valkey), writes.queue.places[0]
        shown = repr((client.xrange(place.stream), client.hgetall(place.pending)))
        assert "secret" not in shown
        assert writes.get(1) == person(1, "a secret name")
        (Hand.take(writes)).drain()
        assert people.row(1) == {**person(1, "a secret name"), "writes": 1}


def test_scripts_that_the_server_forgot_are_loaded_again_and_nothing_is_queued_twice(
    own_server: Any, raw: Any, namespace: str, people: People
) -> None:
    with Opened(own_server(), namespace, people, partitions=1) as writes:
        writes.put(person(1))
        raw(
            writes.cache.engine.target.path and f"unix://{writes.cache.engine.target.path}"
        ).script_flush()
        writes.put_many([person(n) for n in range(2, 12)])
        assert (writes.backlog())[0].entries == 11
