"""What a server's configuration must say so that a queue on it is safe; complaints name the line to change. Pure.

| durability | survives | needs |
|---|---|---|
| `memory` | everything but the end of the server's process | no eviction of keys without a TTL |
| `aof` | that too; a power loss may take the last 2 seconds of writes | `appendonly yes`, `appendfsync everysec` |
| `fsync` | that too | `appendfsync always` |

WAITAOF is of no use here. Under `everysec` Valkey (9.1) and Redis 7.4 answer it when the log is written, not when it is synced
(https://github.com/redis/redis/pull/13793), and Redis 8.2 still does when it begins to rewrite its log.
Keys of a queue have no TTL, so the `volatile-*` policies, which evict only what has one, are as safe as `noeviction`.
What must not be here: asking the server (`queue`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from cachewright.errors import ConfigurationError

Durability = Literal["memory", "aof", "fsync"]
DURABILITIES: tuple[str, ...] = get_args(Durability)
ASKED = ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite")
"""The lines of the configuration that matter."""


def parse_info(text: bytes) -> dict[str, str]:
    """INFO's answer as names and values."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def complaints(
    durability: str, config: Mapping[str, str] | None, info: Mapping[str, str]
) -> list[str]:
    """What keeps this server from holding a queue of this durability: each says what to change. Empty: it is fit.

    `config` is None where the server does not show it; what INFO tells is used then.
    """
    if config is None and "maxmemory_policy" not in info:
        return ["it shows neither its configuration (CONFIG GET) nor its state (INFO)"]
    found = _evicting(config, info)
    if info.get("cluster_enabled") == "1":
        found.append("it is a cluster: write-behind needs a standalone server in this release")
    if durability == "memory":
        return found
    known = config or {"appendonly": "yes" if info.get("aof_enabled") == "1" else "no"}
    if known.get("appendonly") != "yes":
        found.append(
            f"it keeps no append-only file: write 'appendonly yes' for durability={durability!r}"
        )
        return found
    if info.get("aof_last_write_status", "ok") != "ok":
        found.append(
            "it cannot write its append-only file (aof_last_write_status): free the disk first"
        )
    return found + _not_synced(durability, config)


def _evicting(config: Mapping[str, str] | None, info: Mapping[str, str]) -> list[str]:
    known = config or {}
    limit = known.get("maxmemory", info.get("maxmemory", "0"))
    policy = known.get("maxmemory-policy", info.get("maxmemory_policy", "noeviction"))
    if limit == "0" or not policy.startswith("allkeys-"):
        return []
    return [
        f"it may evict the queue: write 'maxmemory-policy noeviction' (or volatile-lru) instead of {policy}"
    ]


def _not_synced(durability: str, config: Mapping[str, str] | None) -> list[str]:
    if config is None:
        return ["it does not show its configuration (CONFIG GET appendfsync)"]
    found = []
    how = config.get("appendfsync", "everysec")
    fit = ("always",) if durability == "fsync" else ("always", "everysec")
    if how not in fit:
        found.append(
            f"its log may reach the disk too late: write 'appendfsync {fit[-1]}' instead of {how}"
        )
    if config.get("no-appendfsync-on-rewrite") == "yes":
        # Of `appendfsync always` too: the server looks at this line first.
        found.append(
            "its log does not reach the disk while it is rewritten or a snapshot is saved: "
            "write 'no-appendfsync-on-rewrite no'"
        )
    return found


def refuse_unfit(
    label: str, durability: str, config: Mapping[str, str] | None, info: Mapping[str, str]
) -> None:
    """Raises `ConfigurationError` with every complaint about the server `label`."""
    found = complaints(durability, config, info)
    if found:
        raise ConfigurationError(
            f"{label} could lose acknowledged writes: "
            + "; ".join(found)
            + ". If the server is configured so on purpose, or by somebody who keeps its configuration to himself, "
            "durability_checked=False takes its word for it"
        )
