"""The list of commands. Each is imported when it is asked for, so that one does not pay for another.

What must not be here: what a command does. A command is a file in this folder that has a
`click.Command` called `command`.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "simulate": "simulate",
    "choose": "choose",
    "explain": "explain",
    "tags": "tags",
    "warm": "warm",
    "worker": "worker",
    "dead-letters": "dead_letters",
}
"""Command → the module of this folder that has it."""


class Commands(click.Group):
    """A group that imports a command when it is run or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of `COMMANDS`."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = import_module(f"cachewright.cli.{COMMANDS[cmd_name]}").command
        return command if isinstance(command, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cachewright", prog_name="cachewright")
def cachewright() -> None:
    """Caching for threads and asyncio: one write, and every layer above it is right."""
