"""What a cached query gives back, and what a cache keeps of it.

What must not be here: cursors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

Row = tuple[Any, ...]
Kept = list[Any]
"""The names of the columns, the rows, and the places of columns whose values could be changed by who has them, as lists:
what every codec gives back as it was."""
_CHANGEABLE = (list, dict, set, bytearray, tuple)
"""Tuples hold what may be changed; of those that do not, a copy is the tuple itself."""


class Result(Sequence[Row]):
    """The rows of a query, in its order, each as a tuple; `columns` are their names. It cannot be changed.

    What could be changed in a row (a list, a dict of a JSON column) is a copy each time that the row is asked for.
    `rowcount`: of a write, the rows that it changed, as far as its driver tells.
    """

    __slots__ = ("_places", "_rows", "columns", "rowcount")

    def __init__(self, kept: Kept, rowcount: int = -1) -> None:
        self.columns: tuple[str, ...] = tuple(kept[0])
        self.rowcount = rowcount
        self._rows: Sequence[Sequence[Any]] = kept[1]
        # Those without a third part were kept by an older version.
        self._places: Sequence[int] = kept[2] if len(kept) > 2 else changeable(kept[1])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return map(self._own if self._places else tuple, self._rows)

    def __getitem__(self, index: Any) -> Any:
        found = self._rows[index]
        own = self._own if self._places else tuple
        return list(map(own, found)) if isinstance(index, slice) else own(found)

    def _own(self, row: Sequence[Any]) -> Row:
        """A row that shares nothing with the cache's that could be changed."""
        own = list(row)
        for place in self._places:
            own[place] = deepcopy(own[place])
        return tuple(own)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Result):
            return self.columns == other.columns and list(self) == list(other)
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Result of {len(self)} rows: {', '.join(self.columns)}>"

    def mappings(self) -> list[dict[str, Any]]:
        """Each row as a dict of its own; of two columns of one name the last is seen."""
        return [dict(zip(self.columns, row, strict=True)) for row in self]

    def scalar(self) -> Any:
        """The first column of the first row; None without one."""
        return self[0][0] if self._rows else None


def read(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> Kept:
    """A result that nobody else has."""
    return [list(columns), [list(map(_plain, row)) for row in rows], []]


def kept(result: Result) -> Kept:
    """A result as a cache keeps it."""
    rows = list(map(list, result))
    return [list(result.columns), rows, changeable(rows)]


def changeable(rows: Sequence[Sequence[Any]]) -> list[int]:
    """The places of columns that hold a value which could be changed by who has it."""
    columns = enumerate(zip(*rows, strict=True))
    return [
        place
        for place, values in columns
        if any(issubclass(kind, _CHANGEABLE) for kind in set(map(type, values)))
    ]


def _plain(value: Any) -> Any:
    return bytes(value) if type(value) is memoryview else value
