"""What the guide does to find the tables of a query: the control of the experiments on analysis. Never used elsewhere."""

from __future__ import annotations

import re


def tables_by_regex(sql: str) -> set[str]:
    """The guide's `_track_table_dependencies`, word for word."""
    tables = re.findall(r"FROM\s+(\w+)", sql, re.IGNORECASE)
    tables.extend(re.findall(r"JOIN\s+(\w+)", sql, re.IGNORECASE))
    return set(tables)
