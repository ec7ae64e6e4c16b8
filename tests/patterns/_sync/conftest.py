# Generated from _async/conftest.py by tools/unasync.py. Do not edit.
"""Fixtures of the tests of the patterns: where a cache lies, a table to write to, time and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from patterns._sync.desk import People

from cachewright import Timeouts
from cachewright.testing import FakeClock, RecordingListener
from rig.servers import Pool


@pytest.fixture(params=["memory", "valkey"])
def place(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """No server, and one: for what is decided on our side of it."""
    return None if request.param == "memory" else server_pool.get(request.param).url


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not look like a slow server: seconds instead of 100 ms for a call."""
    defaults: Any = Timeouts.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "call", 5.0)
    monkeypatch.setitem(defaults, "connect", 5.0)


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "people.db")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def events() -> RecordingListener:
    return RecordingListener()
