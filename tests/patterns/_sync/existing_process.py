# Generated from _async/existing_process.py by tools/unasync.py. Do not edit.
"""A cache with a filter of existing rows and a door, as one process has them.

What must not be here: tests.
"""

from __future__ import annotations

from typing import Any, Self

from patterns._sync.recording import Recording

from cachewright import Cache
from cachewright.patterns._sync.existing import Existing
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.testing import FakeClock, RecordingListener


class Process:
    """A cache with a filter and a door, as one process has them."""

    def __init__(
        self,
        url: str | None,
        namespace: str,
        source: Recording,
        *,
        clock: FakeClock | None = None,
        **options: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.events = RecordingListener()
        self.cache = Cache(url, namespace=namespace, clock=self.clock, listeners=[self.events])
        self.existing = Existing(self.cache, source, **options)
        self.users = ReadThrough(self.cache, source, existing=self.existing)

    def __enter__(self) -> Self:
        self.cache.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()
