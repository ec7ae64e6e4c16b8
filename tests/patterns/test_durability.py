"""What a server must say so that a queue on it is safe: every complaint, and the line it names."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright.errors import ConfigurationError
from cachewright.patterns.durability import (
    complaints,
    parse_info,
    refuse_unfit,
)

INFO = {
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
}


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
    ("memory", config(appendonly="no"), INFO),
    ("memory", config(maxmemory="100", maxmemory_policy="volatile-lru"), INFO),
    ("memory", config(maxmemory_policy="allkeys-lru"), INFO),
    ("memory", None, {"maxmemory": "100", "maxmemory_policy": "noeviction"}),
    ("aof", config(), INFO),
    ("aof", config(appendfsync="always"), INFO),
    ("fsync", config(appendfsync="always"), INFO),
]


@pytest.mark.parametrize(("durability", "lines", "info"), FIT)
def test_a_server_that_loses_nothing_is_fit(
    durability: str, lines: dict[str, str] | None, info: dict[str, str]
) -> None:
    assert complaints(durability, lines, info) == []


UNFIT: list[tuple[str, Any, dict[str, str], str]] = [
    ("memory", config(maxmemory="100", maxmemory_policy="allkeys-lru"), INFO, "noeviction"),
    ("memory", None, {"maxmemory": "9", "maxmemory_policy": "allkeys-lfu"}, "noeviction"),
    ("memory", None, {}, "neither"),
    ("memory", config(), {**INFO, "cluster_enabled": "1"}, "standalone"),
    ("aof", config(appendonly="no"), INFO, "appendonly yes"),
    ("aof", None, {**INFO, "aof_enabled": "0"}, "appendonly yes"),
    ("aof", config(appendfsync="no"), INFO, "appendfsync everysec"),
    ("aof", config(no_appendfsync_on_rewrite="yes"), INFO, "no-appendfsync-on-rewrite no"),
    ("aof", None, INFO, "CONFIG GET appendfsync"),
    ("aof", config(), {**INFO, "aof_last_write_status": "err"}, "free the disk"),
    ("fsync", config(), INFO, "'appendfsync always' instead of everysec"),
    ("fsync", config(appendfsync="no"), INFO, "appendfsync always"),
    ("fsync", None, INFO, "CONFIG GET appendfsync"),
    (
        "fsync",
        config(appendfsync="always", no_appendfsync_on_rewrite="yes"),
        INFO,
        "no-appendfsync-on-rewrite no",
    ),
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
    assert len(complaints("aof", lines, INFO)) == 2


def test_info_is_names_and_values() -> None:
    assert parse_info(b"# Server\r\nredis_version:7.2.4\r\n\r\nos:Linux: 6\r\n") == {
        "redis_version": "7.2.4",
        "os": "Linux: 6",
    }
