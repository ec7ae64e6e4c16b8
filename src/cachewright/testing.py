"""For tests of code that uses cachewright: a clock to turn, a listener that remembers, a server.

Import the classes anywhere; for the fixtures write `pytest_plugins = ["cachewright.testing"]` in
the top-level conftest.py. They are:

- `cachewright_clock`: a `FakeClock`;
- `cachewright_events`: a `RecordingListener`;
- `cachewright_namespace`: a str that no other test gets;
- `cachewright_server`: the process's embedded Valkey (`cachewright.embedded.shared_server`). It is
  shared by all tests of the process: keep them apart by namespace.

What must not be here: an import of pytest or of any other package when this module is imported.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Protocol

from cachewright.errors import ConfigurationError

if TYPE_CHECKING:
    import pytest

    from cachewright.embedded import EmbeddedServer


class FakeClock:
    """A `cachewright.types.Clock` that moves only when told to. Safe to use from several threads.

    `start`: what `time` says at first, in seconds since the Unix epoch; `monotonic` starts at 0.
    """

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._lock = threading.Lock()
        self._time = start
        self._monotonic = 0.0

    def monotonic(self) -> float:
        """Seconds that `advance` has moved it."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since the Unix epoch, as `advance` and `set_time` left them."""
        return self._time

    def advance(self, seconds: float) -> None:
        """Lets time pass on both clocks. Raises `ConfigurationError` if `seconds` is negative."""
        if not seconds >= 0:
            raise ConfigurationError(f"a clock cannot advance by {seconds} s; to jump use set_time")
        with self._lock:
            self._time += seconds
            self._monotonic += seconds

    def set_time(self, time: float) -> None:
        """The wall clock jumps, as when an operator or NTP sets it; `monotonic` does not move."""
        with self._lock:
            self._time = time


class RecordedEvent(Protocol):
    """The part of an event that the listener reads."""

    @property
    def kind(self) -> str:
        """What happened."""


class RecordingListener:
    """A listener that keeps every event, in the order of arrival. Safe for several threads."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []

    def __call__(self, event: RecordedEvent) -> None:
        """Called by the cache."""
        self.events.append(event)

    def of(self, kind: str) -> list[RecordedEvent]:
        """The events of one kind."""
        return [event for event in list(self.events) if event.kind == kind]

    def clear(self) -> None:
        """Forgets what was recorded."""
        self.events.clear()


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest when this module is loaded as a plugin: only then are there fixtures."""
    config.pluginmanager.register(_fixtures(), "cachewright-fixtures")


def _fixtures() -> object:
    import pytest

    class Fixtures:
        @pytest.fixture
        def cachewright_clock(self) -> FakeClock:
            """A clock that the test turns."""
            return FakeClock()

        @pytest.fixture
        def cachewright_events(self) -> RecordingListener:
            """A listener that remembers."""
            return RecordingListener()

        @pytest.fixture
        def cachewright_namespace(self) -> str:
            """A namespace that no other test uses."""
            return f"t{uuid.uuid4().hex}"

        @pytest.fixture(scope="session")
        def cachewright_server(self) -> EmbeddedServer:
            """The embedded Valkey of this process."""
            from cachewright.embedded import shared_server

            return shared_server()

    return Fixtures()
