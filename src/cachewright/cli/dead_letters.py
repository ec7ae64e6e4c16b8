"""`cachewright dead-letters`: look at what a source refused, have it tried again, or drop it.

What must not be here: what a dead letter is (`cachewright.patterns`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cachewright.cli.asking import BadInput
from cachewright.cli.naming import NAMED
from cachewright.errors import CacheError, CodecError, ConfigurationError
from cachewright.patterns._async.dead_letters import AsyncDeadLetters
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns._sync.dead_letters import DeadLetters
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.changes import DeadLetter

_WIDEST = 100_000
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")


@click.group("dead-letters", short_help="Changes that a source refused: list, show, retry, drop.")
def command() -> None:
    """Changes that the source of a write-behind refused again and again.

    DOOR is a WriteBehind or AsyncWriteBehind named as MODULE:NAME. All that died of one key stands and falls together.
    """


def _run(door: Any, verb: str, *args: str) -> Any:
    """The answer of `DeadLetters.<verb>`, whichever world the door belongs to. Starts no worker."""
    try:
        if isinstance(door, WriteBehind):
            return getattr(DeadLetters(door), verb)(*args)
        if isinstance(door, AsyncWriteBehind):
            return asyncio.run(_awaited(door, verb, *args))
    except ConfigurationError as error:
        raise BadInput(str(error)) from None
    except CacheError as error:
        raise click.ClickException(str(error)) from None
    raise BadInput(f"a {type(door).__name__} is no write-behind")


async def _awaited(door: AsyncWriteBehind, verb: str, *args: str) -> Any:
    try:
        return await getattr(AsyncDeadLetters(door), verb)(*args)
    finally:
        await door.queue.close()
        await door.cache.aclose()


@command.command("list")
@click.argument("door", type=NAMED, metavar="MODULE:NAME")
@_JSON
def list_(door: Any, *, as_json: bool) -> None:
    """List the dead letters of DOOR."""
    letters: Sequence[DeadLetter] = _run(door, "letters")
    if as_json:
        for letter in letters:
            click.echo(json.dumps(msgspec.to_builtins(letter)))
        return
    console = Console(highlight=False)
    if not letters:
        console.print("No dead letters.")
        return
    table = Table(box=SIMPLE_HEAD)
    for column in ("id", "key", "kind", "died", "tries", "cause"):
        table.add_column(column, overflow="fold")
    for letter in letters:
        table.add_row(
            letter.id,
            letter.key,
            letter.kind,
            _when(letter.died),
            str(letter.deliveries),
            letter.cause,
        )
    if not console.is_terminal:  # piped, nothing is folded
        console.width = max(
            80, console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
        )
    console.print(table)


@command.command()
@click.argument("door", type=NAMED, metavar="MODULE:NAME")
@click.argument("letter")
@_JSON
def show(door: Any, letter: str, *, as_json: bool) -> None:
    """Show one dead letter of DOOR with its value."""
    found = [each for each in _run(door, "letters") if each.id == letter]
    if not found:
        raise BadInput(f"no dead letter is called {letter!r}")
    try:
        value = repr(_run(door, "value", letter))
    except CodecError as error:
        value = f"(cannot be read: {error})"
    fields = {**msgspec.to_builtins(found[0]), "value": value}
    if as_json:
        click.echo(json.dumps(fields))
        return
    fields |= {"written": _when(found[0].written), "died": _when(found[0].died)}
    for name, text in fields.items():
        click.echo(f"{name + ':':12}{text}")


@command.command()
@click.argument("door", type=NAMED, metavar="MODULE:NAME")
@click.argument("letters", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@_JSON
def retry(door: Any, letters: tuple[str, ...], *, everything: bool, as_json: bool) -> None:
    """Have dead LETTERS of DOOR delivered anew by its workers."""
    if everything == bool(letters):
        raise click.UsageError("name letters, or say --all")
    _report(_run(door, "retry", *letters), "delivered anew", as_json=as_json)


@command.command()
@click.argument("door", type=NAMED, metavar="MODULE:NAME")
@click.argument("letters", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def drop(door: Any, letters: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Give dead LETTERS of DOOR up: what they would have written is lost."""
    if not yes:
        click.confirm(
            f"Lose {len(letters)} acknowledged changes and what else died of their keys?",
            abort=True,
        )
    _report(_run(door, "drop", *letters), "dropped", as_json=as_json)


def _report(count: int, what: str, *, as_json: bool) -> None:
    click.echo(json.dumps({what.replace(" ", "_"): count}) if as_json else f"{count} {what}")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")
