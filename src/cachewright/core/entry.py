"""What a cached value is in this process. No decisions, no clock: deadlines are data."""

from __future__ import annotations

from typing import Any

NEVER = float("inf")
ALWAYS = float("-inf")

Stamps = dict[str, bytes]
"""Tag → the stamp this value was made under. Tags are spelled with their kind (see `core.tags`)."""

NO_STAMPS: Stamps = {}


class Entry:
    """A cached value and what decides about it. All deadlines are seconds of the process's monotonic clock.

    `hot_until`: a hit before it needs no thought (`-inf` for entries that always need some).
    `refresh_from`: from here on a hit starts a background refresh.
    `fresh_until`: soft end; `usable_until`: hard end, after which the value is never served.
    `epoch`: the tag clock's epoch under which the stamps were last known to match.
    `cost`: seconds its load took. `fill`: the id of the write that stored it, b"" when unknown.
    `key`, `freq`, `weight` belong to the memory store.
    """

    __slots__ = (
        "epoch",
        "freq",
        "fresh_until",
        "hot_until",
        "key",
        "refresh_from",
        "stamps",
        "usable_until",
        "value",
        "weight",
    )

    # Of those that a server has; two slots less in all others are 16 bytes.
    cost: float = 0.0
    fill: bytes = b""

    def __init__(self, value: Any, until: float) -> None:
        """An entry that is hot, fresh and usable until one moment. Attributes say what else is known of it.

        No arguments for those: passing nine by name takes three times as long as setting six.
        """
        self.value = value
        self.hot_until = self.fresh_until = self.usable_until = until
        self.refresh_from = NEVER
        self.stamps = NO_STAMPS
        self.epoch = 0
        self.key = ""
        self.freq = 0
        self.weight = 1


class StoredEntry(Entry):
    """An entry that a server has as well."""

    __slots__ = ("cost", "fill")


class SlidingEntry(Entry):
    """An entry of a cache without a server whose life each access extends by `window` seconds.

    `usable_until` moves with each access and never beyond `age_limit`.
    """

    __slots__ = ("age_limit", "window")

    age_limit: float
    window: float


class CachedError:
    """Stands in an entry's value for an exception that a loader raised and the policy asked to keep."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error
