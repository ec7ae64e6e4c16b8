"""How a write joins the transaction of its caller: the integrations say for their products what that takes.

What must not be here: a product. Each registers `enlist` for the classes of its sessions when it is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from cachewright.errors import ConfigurationError


@singledispatch
def enlist(
    session: Any,
    door: Any,  # noqa: ARG001 - for those who register
    identities: Sequence[Any],  # noqa: ARG001
    tags: Sequence[Any] = (),  # noqa: ARG001
) -> None:
    """Let `door` act around the commit of the transaction that is under way in `session`, and only if it commits.

    `identities`: rows that were written there; `tags`: what else that makes wrong. A savepoint that is rolled back takes
    its rows with it. Raises `ConfigurationError` for a session of an unknown kind.
    """
    raise ConfigurationError(
        f"cannot join a {type(session).__module__}.{type(session).__qualname__}: pass a Session or Connection of "
        "SQLAlchemy, or a DjangoTransaction, and import that integration of cachewright"
    )
