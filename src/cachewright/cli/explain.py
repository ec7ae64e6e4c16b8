"""`cachewright explain`: what an entry is made of, how old it is, and what would invalidate it.

What must not be here: how it is found out (`Cache.explain`). No value is decoded or printed.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from cachewright.cli.asking import BadInput
from cachewright.cli.connecting import connected, the_cache
from cachewright.core.explained import Dependency, Explained
from cachewright.core.tags import NAMESPACE
from cachewright.errors import CacheError, InvalidKey

_WIDEST = 100_000
_COLOURS = {"fresh": "green", "stale": "yellow"}
_HOLDS = {
    "same": "",
    "moved": " [red]has moved[/]",
    "missing": " [red]is gone from the server[/]",
    "written": " [yellow]is being written[/]",
}
_WHY = {
    "fresh": "is served",
    "stale": "is served while it is refreshed",
    "ended": "has ended: the next read loads",
    "invalid": "was invalidated: the next read loads",
    "absent": "nothing is cached",
    "unreadable": "is no entry of ours: the next read loads",
}


@click.command("explain", short_help="What an entry is made of, and what would invalidate it.")
@click.argument("key")
@connected
@click.option("--tree", is_flag=True, help="Also the cached values it was made of, and theirs.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a tree for people.")
def command(key: str, *, tree: bool, as_json: bool, **options: Any) -> None:
    """Explain what is cached under KEY, written as `cache.get` takes it, or as `key()` of a cached function gives it.

    For a cache with a scope, KEY begins with the scope and a bar: '7|user:42'. Exit code 1: nothing is cached there.
    """
    try:
        with the_cache(options["named"], options["url"], options["namespace"]) as cache:
            found = cache.explain(key, parts=tree)
    except InvalidKey as error:
        raise BadInput(str(error)) from None
    except CacheError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(as_data(found)))
    else:
        show(_grown(found, Tree(_headline(found), guide_style="dim"), above=frozenset()))
    if found.state == "absent":
        raise SystemExit(1)


def as_data(found: Explained) -> dict[str, Any]:
    """An explanation as JSON has it."""
    data = asdict(found)
    data["dependencies"] = [
        {**asdict(it), "name": it.name, "moved_by": it.moved_by} for it in found.dependencies
    ]
    data["parts"] = [as_data(part) for part in found.parts]
    return data


def _headline(found: Explained) -> Text:
    colour = _COLOURS.get(found.state, "red")
    text = Text.assemble((found.key, "bold"), "  ", (_WHY[found.state], colour))
    facts = _facts(found)
    return text.append(f"  ({', '.join(facts)})") if facts else text


def _facts(found: Explained) -> list[str]:
    facts = [found.kind] if found.kind != "value" else []
    if found.age is not None:
        facts.append(f"{seconds(found.age)} old")
    if found.fresh is not None and found.fresh > 0:
        facts.append(f"fresh for {seconds(found.fresh)}")
    if found.usable is not None and found.fresh is not None and found.usable > found.fresh:
        facts.append(f"usable for {seconds(found.usable)}")
    if found.cost:
        facts.append(f"took {seconds(found.cost)} to load")
    if found.size is not None:
        facts.append(f"{found.size:,} bytes")
    return facts


def _grown(found: Explained, tree: Tree, *, above: frozenset[str]) -> Tree:
    """The tags that an entry has by itself, then its parts; what parts have handed up stands where it comes from.

    What does not hold any more is said at every level that it makes wrong.
    """
    below = {f"k:{part.key}" for part in found.parts}
    below |= {it.tag for part in found.parts for it in part.dependencies}
    for it in found.dependencies:
        if it.holds != "same" or it.tag not in below | above | {f"k:{found.key}"}:
            tree.add(_line(it))
    for part in found.parts:
        _grown(part, tree.add(_headline(part)), above=above | {NAMESPACE})
    return tree


def show(what: RenderableType) -> None:
    """Print it; piped, nothing is cut off or folded."""
    console = Console(highlight=False)
    if not console.is_terminal:
        widest = console.options.update(max_width=_WIDEST)
        console.width = max(80, console.measure(what, options=widest).maximum)
    console.print(what)


def _line(dependency: Dependency) -> str:
    kind, name = escape(dependency.tag[:1]), escape(dependency.name)
    shown = {"t": name, "k": f"key {name}", "n": "everything"}.get(kind, escape(dependency.tag))
    return f"{shown}{_HOLDS[dependency.holds]}  [dim]{escape(dependency.moved_by)}[/]"


def seconds(value: float) -> str:
    """A time for people: 3 digits that mean something."""
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
