"""From a parsed query to what its result depends on, table by table.

What must not be here: writes, caches of analyses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from cachewright.sql.facts import Scope, add_joins, add_source
from cachewright.sql.placeholders import Reference
from cachewright.sql.relations import Table
from cachewright.sql.resolving import Resolver
from cachewright.sql.statements import Fixed, Reads


def reads_of(resolver: Resolver, references: Sequence[Reference]) -> Reads:
    """What the statement that was resolved reads."""
    found: list[Fixed] = []
    seen: set[int] = set()
    for tree in resolver.trees:
        for select in tree.find_all(exp.Select):
            for node, each in _of_select(select, resolver, references):
                seen.add(node)
                found.append(each)
    rest = {node: table for node, table in resolver.tables.items() if node not in seen}
    found += [Fixed(table) for table in rest.values()]
    fixed = _without_repetition(found)
    static = not any(each.columns for each in fixed)
    tags = tuple(dict.fromkeys(tag for each in fixed for tag in each.tags(()))) if static else None
    return Reads(
        tables=frozenset(each.table.name for each in fixed),
        fixed=fixed,
        references=frozenset(references),
        moments=bool(references),
        always=tags,
    )


def _of_select(
    select: exp.Select, resolver: Resolver, references: Sequence[Reference]
) -> Iterator[tuple[int, Fixed]]:
    clause = select.args.get("from_")
    if clause is None:
        return
    scope = Scope(resolver.dialect, references)
    before = add_source(scope, clause.this, resolver.tables)
    add_joins(scope, select.args.get("joins"), before, resolver.tables)
    if select.args.get("laterals"):
        scope.whole = False
    where = select.args.get("where")
    scope.learn(where.this if where is not None else None)
    scope.spread()
    for alias, table in scope.tables.items():
        yield scope.nodes[alias], fixed_table(scope, alias, table)


def fixed_table(scope: Scope, alias: str, table: Table) -> Fixed:
    """The narrowest set of columns whose values are known: the primary key, else the longest tracked set."""
    names = {place[1] for place in scope.values if place[0] == alias}
    candidates = [table.usable_key] if table.usable_key else []
    candidates += sorted(table.usable_sets, key=len, reverse=True)
    for columns in candidates:
        if names.issuperset(columns):
            return Fixed(table, columns, tuple(scope.values[alias, c] for c in columns))
    return Fixed(table)


def _without_repetition(found: Sequence[Fixed]) -> tuple[Fixed, ...]:
    """Each once; and where a table counts as a whole, its rows need not be named."""
    whole = {each.table.name for each in found if not each.columns}
    kept: list[Fixed] = []
    for each in found:
        narrower = bool(each.columns) and each.table.name in whole
        if not narrower and each not in kept:
            kept.append(each)
    return tuple(kept)
