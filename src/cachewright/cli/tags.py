"""`cachewright tags`: which entries carry a tag, as far as a sample of the keys tells.

What must not be here: how the sample is kept (`Cache(tag_index=...)`).
"""

from __future__ import annotations

import json
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cachewright.cli.asking import BadInput
from cachewright.cli.connecting import connected, the_cache
from cachewright.cli.explain import as_data, seconds, show
from cachewright.core.explained import Explained
from cachewright.errors import CacheError, InvalidKey


@click.command("tags", short_help="Which entries carry a tag.")
@click.argument("tag")
@connected
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each entry, one a line.")
def command(tag: str, *, as_json: bool, **options: Any) -> None:
    """List the entries that carry TAG, such as row:flights:7 or table:flights.

    Of the keys in the index that a cache with tag_index= keeps: a bounded sample. Exit code 1: there is no index.
    """
    try:
        with the_cache(options["named"], options["url"], options["namespace"]) as cache:
            found, sampled = cache.carrying(tag), cache.sampled_keys()
    except InvalidKey as error:
        raise BadInput(str(error)) from None
    except CacheError as error:
        raise click.ClickException(str(error)) from None
    if not sampled:
        raise click.ClickException(
            "there is no index of keys, or it is empty: a cache with tag_index=TagIndex(...) keeps one"
        )
    if as_json:
        for one in found:
            click.echo(json.dumps(as_data(one)))
        return
    click.echo(f"{len(found):,} of {sampled:,} sampled keys carry {tag}")
    if found:
        show(_table(found, tag))


def _table(found: list[Explained], tag: str) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in ("key", "state", "this tag", "age", "fresh for"):
        table.add_column(column, overflow="fold")
    for one in found:
        holds = next((it.holds for it in one.dependencies if it.name == tag), "?")
        times = [seconds(value) if value is not None else "" for value in (one.age, one.fresh)]
        table.add_row(one.key, one.state, holds, *times)
    return table
