"""The fixture of the tests of scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rig.scripts import Room


@pytest.fixture
def room(server: Any, raw: Any, namespace: str) -> Iterator[Room]:
    made = Room(raw(server), namespace)
    yield made
    made.close()
