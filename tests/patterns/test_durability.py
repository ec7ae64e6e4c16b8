"""What a server must say so that a queue on it is safe: every complaint, and the line it names."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright.errors import ConfigurationError
from cachewright.patterns.durability import (
    complaints,
    has_waitaof,
    parse_info,
    refuse_unfit,
    waitaof_waits,
)

NEW = {
    "redis_version": "7.2.4",
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
}
OLD = {**NEW, "redis_version": "7.0.15"}
VALKEY = {**NEW, "server_name": "valkey", "valkey_version": "9.1.2"}
"""It answers WAITAOF before the log is on disk."""
WAITING = {**NEW, "redis_version": "8.0.0"}


def config(**lines: str) -> dict[str, str]:
    """A configuration that is fit for everything, with other lines."""
    fit = {
        "maxmemory": "0",
        "maxmemory_policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "no_appendfsync_on_rewrite": "no",
    }
    return {name.replace("_", "-"): value for name, value in {**fit, **lines}.items()}


FIT: list[tuple[str, dict[str, str] | None, dict[str, str]]] = [
    ("memory", config(appendonly="no"), NEW),
    ("memory", config(maxmemory="100", maxmemory_policy="volatile-lru"), NEW),
    ("memory", config(maxmemory_policy="allkeys-lru"), NEW),
    ("memory", None, {"maxmemory": "100", "maxmemory_policy": "noeviction"}),
    ("aof", config(), OLD),
    ("aof", config(appendfsync="always"), OLD),
    ("fsync", config(), WAITING),
    ("fsync", config(appendfsync="always"), OLD),
    ("fsync", config(appendfsync="always"), VALKEY),
    ("fsync", None, WAITING),
]


@pytest.mark.parametrize(("durability", "lines", "info"), FIT)
def test_a_server_that_loses_nothing_is_fit(
    durability: str, lines: dict[str, str] | None, info: dict[str, str]
) -> None:
    assert complaints(durability, lines, info) == []


UNFIT: list[tuple[str, Any, dict[str, str], str]] = [
    ("memory", config(maxmemory="100", maxmemory_policy="allkeys-lru"), NEW, "noeviction"),
    ("memory", None, {"maxmemory": "9", "maxmemory_policy": "allkeys-lfu"}, "noeviction"),
    ("memory", None, {}, "neither"),
    ("memory", config(), {**NEW, "cluster_enabled": "1"}, "standalone"),
    ("aof", config(appendonly="no"), NEW, "appendonly yes"),
    ("aof", None, {**NEW, "aof_enabled": "0"}, "appendonly yes"),
    ("aof", config(appendfsync="no"), NEW, "appendfsync everysec"),
    ("aof", config(no_appendfsync_on_rewrite="yes"), NEW, "no-appendfsync-on-rewrite no"),
    ("aof", None, NEW, "CONFIG GET appendfsync"),
    ("aof", config(), {**NEW, "aof_last_write_status": "err"}, "free the disk"),
    ("fsync", config(), OLD, "appendfsync always"),
    ("fsync", config(), VALKEY, "'appendfsync always' instead of everysec, since its WAITAOF"),
    ("fsync", config(), NEW, "'appendfsync always' instead of everysec, since its WAITAOF"),
    ("fsync", config(appendfsync="no"), VALKEY, "appendfsync always"),
    ("fsync", config(appendfsync="no"), WAITING, "appendfsync everysec"),
    ("fsync", None, VALKEY, "CONFIG GET appendfsync"),
    (
        "fsync",
        config(appendfsync="always", no_appendfsync_on_rewrite="yes"),
        VALKEY,
        "no-appendfsync-on-rewrite no",
    ),
    ("fsync", None, OLD, "CONFIG GET appendfsync"),
]


@pytest.mark.parametrize(("durability", "lines", "info", "remedy"), UNFIT)
def test_defect_38_a_server_that_could_lose_the_queue_is_refused_with_the_line_to_change(
    durability: str, lines: dict[str, str] | None, info: dict[str, str], *, remedy: str
) -> None:
    assert any(remedy in text for text in complaints(durability, lines, info))
    with pytest.raises(ConfigurationError, match=remedy) as raised:
        refuse_unfit("redis://host:6379/0", durability, lines, info)
    assert "redis://host:6379/0" in str(raised.value)
    assert "durability_checked=False" in str(raised.value)


def test_all_complaints_are_told_at_once() -> None:
    lines = config(maxmemory="1", maxmemory_policy="allkeys-lru", appendfsync="no")
    assert len(complaints("aof", lines, NEW)) == 2


@pytest.mark.parametrize(
    ("version", "has"), [("6.2.0", False), ("7.0.9", False), ("7.2.0", True), ("10.0", True)]
)
def test_which_servers_can_be_asked_to_wait_for_the_disk(version: str, has: bool) -> None:
    assert has_waitaof({"redis_version": version}) is has


@pytest.mark.parametrize(
    ("version", "waits"), [("7.2.4", False), ("7.4.9", False), ("8.0.0", True), ("8.2.3", True)]
)
def test_which_servers_answer_only_when_the_log_is_on_disk(version: str, waits: bool) -> None:
    assert waitaof_waits({"redis_version": version}) is waits


def test_info_is_names_and_values() -> None:
    assert parse_info(b"# Server\r\nredis_version:7.2.4\r\n\r\nos:Linux: 6\r\n") == {
        "redis_version": "7.2.4",
        "os": "Linux: 6",
    }
