"""Conversations with a database, written once for both worlds: a generator yields questions and is sent their rows.

What must not be here: cursors, and what the answers are for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

Rows: TypeAlias = list[tuple[Any, ...]]
Schema: TypeAlias = dict[str, Any]
"""What was found out of a database, as plain lists and dicts, so that a cache can keep it."""
Conversation: TypeAlias = Generator[str, Rows, Any]
