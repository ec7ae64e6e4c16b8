"""What many guides call write-back: a queue in the memory of the process, and a thread that writes it to the database.

It is here to be killed beside the real one. What must not be here: any attempt to make it better.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from contextlib import suppress

import redis

from demo.doors import Flight, Plain

BATCH, INTERVAL = 10, 5.0


class MemoryQueue:
    """Writes go to Redis and to a `queue.Queue`; both have acknowledged before the database hears of it."""

    def __init__(self, url: str, plain: Plain) -> None:
        self._redis = redis.Redis.from_url(url)
        self._plain = plain
        self._queue: queue.Queue[Flight] = queue.Queue()
        threading.Thread(target=self._write, daemon=True).start()

    def put(self, flight: Flight) -> None:
        """Acknowledge."""
        self._redis.setex(f"guide:{flight['id']}", 3600, json.dumps(flight))
        self._queue.put(flight)

    def _write(self) -> None:
        batch: list[Flight] = []
        flushed = time.time()
        while True:
            with suppress(queue.Empty):
                batch.append(self._queue.get(timeout=1))
            if len(batch) >= BATCH or (batch and time.time() - flushed >= INTERVAL):
                for flight in batch:
                    self._plain.write(flight)
                batch, flushed = [], time.time()
