"""Which statement Django would run for a call, found out without running it: an execute wrapper stops it there.

What must not be here: caching.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _Stopped(BaseException):
    """Nobody on the way takes this for an error of the database."""

    def __init__(self, sql: str, params: Any) -> None:
        super().__init__()
        self.sql = sql
        self.params = params


def _stop(_execute: Any, sql: Any, params: Any, _many: bool, _context: Any) -> Any:
    raise _Stopped(sql, params)


def asked(connection: Any, ask: Callable[[], Any]) -> tuple[str, Any] | None:
    """The first statement that `ask` would run on this connection; None if it runs none."""
    try:
        with connection.execute_wrapper(_stop):
            ask()
    except _Stopped as stopped:
        if connection.queries_logged:
            connection.queries_log.pop()  # it was not run
        return stopped.sql, stopped.params
    return None
