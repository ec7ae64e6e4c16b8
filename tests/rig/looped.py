"""An event loop in a thread of its own, so that threads can use what is written for asyncio.

What must not be here: what runs on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that one piece of work may take."""


class Looped:
    """A running loop. Subclasses say in `_shut` what is to be closed before it ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop and wait, in any thread but the loop's. Raises `TimeoutError` after `PATIENCE`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def close(self) -> None:
        """Close what runs on the loop, then end it."""
        self.run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _shut(self) -> None:
        raise NotImplementedError
