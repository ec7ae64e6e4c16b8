"""How a command says that it was asked for what cannot be: one message on stderr and exit code 2.

What must not be here: commands.
"""

from __future__ import annotations

import click


class BadInput(click.ClickException):
    """Input that was named correctly and is no good, such as a corrupt file."""

    exit_code = 2
