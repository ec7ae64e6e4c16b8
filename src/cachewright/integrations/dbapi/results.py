"""What a cached query gives back, and what a cache keeps of it.

What must not be here: cursors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Row = tuple[Any, ...]
Kept = list[Any]
"""The names of the columns and the rows, as lists: what every codec gives back as it was."""


class Result(Sequence[Row]):
    """The rows of a query, in its order, each as a tuple; `columns` are their names. It cannot be changed.

    `rowcount`: of a write, the rows that it changed, as far as its driver tells.
    """

    __slots__ = ("_rows", "columns", "rowcount")

    def __init__(self, kept: Kept, rowcount: int = -1) -> None:
        self.columns: tuple[str, ...] = tuple(kept[0])
        self.rowcount = rowcount
        self._rows: Sequence[Sequence[Any]] = kept[1]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return map(tuple, self._rows)

    def __getitem__(self, index: Any) -> Any:
        found = self._rows[index]
        return list(map(tuple, found)) if isinstance(index, slice) else tuple(found)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Result):
            return self.columns == other.columns and list(self) == list(other)
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Result of {len(self)} rows: {', '.join(self.columns)}>"

    def mappings(self) -> list[dict[str, Any]]:
        """Each row as a dict of its own; of two columns of one name the last is seen."""
        return [dict(zip(self.columns, row, strict=True)) for row in self._rows]

    def scalar(self) -> Any:
        """The first column of the first row; None without one."""
        return self._rows[0][0] if self._rows else None


def kept(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> Kept:
    """A result as a cache keeps it."""
    return [list(columns), [list(map(_plain, row)) for row in rows]]


def _plain(value: Any) -> Any:
    return bytes(value) if type(value) is memoryview else value
