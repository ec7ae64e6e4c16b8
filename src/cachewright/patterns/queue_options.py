"""The options of a write-behind, checked at construction. Nothing is asked of a server here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cachewright.core.policy import Policy, Seconds, seconds
from cachewright.errors import ConfigurationError
from cachewright.patterns.durability import DURABILITIES, Durability

WhenFull = Literal["block", "refuse", "write_through"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """The options of a write-behind.

    `name`: of the queue, the source's unless given. `partitions`: streams; order holds for each key, and each partition
    has one worker at a time. `batch`: entries applied together; `interval`: seconds after which fewer are applied.
    `durability`: "memory", "aof" or "fsync", see `patterns.durability`. `limit`: changes that may wait, shared out over the
    partitions; `when_full`: "block" waits up to `patience` seconds, "refuse" raises `QueueFull` at once, "write_through"
    writes to the source itself where nothing older of the key waits. `deliveries`: tries before a change that the source
    refuses becomes a dead letter. `worker`: whether this process applies changes too. `lease`: seconds after which a silent
    worker's partitions are taken over; `apply_timeout`: seconds after which a call of the source that has not returned is
    given up, and its partition to others. `timeout`: seconds that an acknowledgement may take. `drain_timeout`: seconds that
    closing may take to empty the queue. `dirties`: tags of what else is wrong once changes have reached the source, such
    as those of queries. `existing`: the filter that a `ReadThrough` of the rows asks, which is told of
    each row that is put, when it is queued and again before it is applied; reads by this door do not ask it.
    `durability_checked=False` does not look at the server's configuration.
    """

    name: str | None = None
    partitions: int = 16
    batch: int = 500
    interval: Seconds = 1.0
    durability: Durability = "aof"
    limit: int = 100_000
    when_full: WhenFull = "block"
    deliveries: int = 5
    worker: bool = True
    lease: Seconds = 10.0
    apply_timeout: Seconds = 60.0
    timeout: Seconds = 5.0
    patience: Seconds = 30.0
    drain_timeout: Seconds = 10.0
    dirties: Iterable[str | tuple[Any, ...]] = ()
    durability_checked: bool = True
    policy: Policy | None = None
    existing: Any = None

    def __post_init__(self) -> None:
        for option in ("partitions", "batch", "limit", "deliveries"):
            value = getattr(self, option)
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{option} must be an int of 1 or more, not {value!r}")
        for option in ("interval", "lease", "apply_timeout", "timeout"):
            object.__setattr__(self, option, seconds(option, getattr(self, option), zero=False))
        for option in ("patience", "drain_timeout"):
            object.__setattr__(self, option, seconds(option, getattr(self, option)))
        for option in ("worker", "durability_checked"):
            if type(getattr(self, option)) is not bool:
                raise ConfigurationError(
                    f"{option} must be True or False, not {getattr(self, option)!r}"
                )
        _refuse_unknown("durability", self.durability, DURABILITIES)
        _refuse_unknown("when_full", self.when_full, get_args(WhenFull))
        if isinstance(self.dirties, str):
            raise ConfigurationError("dirties must be a sequence of tags, not one string")


def _refuse_unknown(option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigurationError(f"{option} must be one of {', '.join(known)}, not {value!r}")
