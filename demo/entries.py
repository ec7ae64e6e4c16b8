"""The cached entries that pages are made of, under the names that people have for them.

The cache itself tells what a page was made of: nothing here knows which flights are on it. What must not be here: writes,
timing, printing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from cachewright.core.explained import Explained
from demo.asking import Process
from demo.pages import Page, Site, questions

QUERY, OBJECT, FRAGMENT, PAGE = LAYERS = ("query", "object", "fragment", "page")
_FRAGMENTS = {
    "line": "line of flight {}",
    "airport": "head of {}",
    "plane": "head of {}",
    "ranking": "airlines of month {}",
}
"""What people call a fragment, by its name in the templates; the rest are pages."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One cached entry."""

    layer: str
    name: str


Entries: TypeAlias = Mapping[str, Entry]
"""By cache key."""


def entries(process: Process, site: Site, wanted: list[Page]) -> dict[str, Entry]:
    """All that the pages are made of, themselves included, as the process's cache explains it."""
    asked = {process.entry(it): it.title for page in wanted for it in questions(page)}
    found: dict[str, Entry] = {}
    for page in wanted:
        whole = process.explained(partial(site.html, page))
        _walk(whole, found, asked)
        found[whole.key] = Entry(PAGE, page.title)
    return found


def _walk(
    entry: Explained, found: dict[str, Entry], asked: Mapping[str, str], *, of: str = ""
) -> None:
    """Name an entry and all below it; a query that is not among those asked is for the object above it."""
    kind, _, rest = entry.key.partition(":")
    if kind == "fragment":
        which, _template, _varied, *parts = rest.split(":")
        named = Entry(FRAGMENT, _FRAGMENTS.get(which, "{}").format(*parts))
    elif kind == "flight":
        named = Entry(OBJECT, f"flight {rest}")
    else:
        named = Entry(QUERY, asked.get(entry.key, f"row of {of}"))
    found[entry.key] = named
    for part in entry.parts:
        _walk(part, found, asked, of=named.name)
