"""Numbers that the processes of a fleet share: a mapped file of doubles, which each may read and write.

One number is written at once, so that nobody reads half of it; several are not one change.
What must not be here: waiting, and counting, which would lose steps (`rig.processes.Counter`).
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Board:
    """Where the numbers are. It pickles; each process opens it for itself."""

    path: Path
    size: int

    @classmethod
    def new(cls, path: Path, size: int) -> Board:
        """`size` zeros at `path`."""
        path.write_bytes(bytes(8 * size))
        return cls(path, size)

    def open(self) -> memoryview[float]:
        """The numbers, to read and to write by index; the mapping lasts as long as the view."""
        with self.path.open("r+b") as file:
            return memoryview(mmap.mmap(file.fileno(), 8 * self.size)).cast("d")
