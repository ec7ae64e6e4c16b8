"""From a parsed write to the tables and rows that it makes wrong, cascades and triggers included.

What must not be here: queries, caches of analyses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from cachewright.sql import purity
from cachewright.sql.dialects import folded
from cachewright.sql.facts import Scope, add_source, column
from cachewright.sql.placeholders import Reference, Unreadable
from cachewright.sql.reading import fixed_table
from cachewright.sql.relations import Catalogue, Table, Verb
from cachewright.sql.resolving import DML, relation_of
from cachewright.sql.statements import Change, Fixed, Term, Writes


@dataclass(slots=True)
class Writer:
    """Reads the verbs of one statement. `replaces`: it removes rows that stand in the way of new ones."""

    dialect: str
    catalogue: Catalogue
    references: Sequence[Reference]
    declared: Collection[str] = ()
    replaces: bool = False
    changes: list[Change] = field(default_factory=list)
    effects: dict[str, None] = field(default_factory=dict)
    changed: frozenset[str] | None = None

    def writes(self, tree: exp.Expr) -> Writes:
        """What the statement writes. Raises `Unreadable` if nobody can say."""
        self._refuse_unknown_functions(tree)
        verbs = list(tree.find_all(*DML))
        for node in verbs:
            self._verb(node)
        names = {change.table.name for change in self.changes}
        return Writes(
            tables=frozenset(names | self.effects.keys()),
            changes=tuple(self.changes),
            effects=frozenset(self.effects),
            changed=self.changed if len(verbs) == 1 else None,
        )

    def _refuse_unknown_functions(self, tree: exp.Expr) -> None:
        if self.dialect == "sqlite":
            return  # no function of SQLite writes
        for name in purity.may_write(tree, self.catalogue, self.declared):
            raise Unreadable(f"the function {name}(), which may write")

    def _verb(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Insert):
            self._insert(node)
        elif isinstance(node, exp.Update):
            self._update(node)
        elif isinstance(node, exp.Delete):
            self._delete(node)
        else:
            table = self._target(node.this)
            self.note(Change(table), ("insert", "update", "delete"))

    # ------------------------------------------------------------ the verbs

    def _insert(self, node: exp.Insert) -> None:
        target = node.this
        named = target.expressions if isinstance(target, exp.Schema) else []
        table = self._target(target.this if isinstance(target, exp.Schema) else target)
        conflict = node.args.get("conflict")
        replaces = self.replaces or str(node.args.get("alternative") or "").lower() == "replace"
        updates = conflict is not None and _updates(conflict)
        verbs: tuple[Verb, ...] = ("insert", *(("update",) if updates else ()))
        if replaces:
            self.note(Change(table), (*verbs, "delete"))
            return
        images = self._images(node, table, [folded(each, self.dialect) for each in named])
        if images and conflict is not None and updates:
            self.note(self._upserted(table, images, conflict), verbs)
            return
        self.note(Change(table, images=images), verbs)

    def _upserted(
        self, table: Table, images: tuple[Mapping[str, Term], ...], conflict: exp.Expr
    ) -> Change:
        """An upsert by primary key touches the rows that it names; by another constraint, nobody knows which."""
        keys = [
            each.this if isinstance(each, exp.Ordered) else each
            for each in conflict.args.get("conflict_keys") or ()
        ]
        names = {folded(each.this, self.dialect) for each in keys if isinstance(each, exp.Column)}
        by_key = bool(table.key) and names == set(table.key) and len(keys) == len(names)
        set_here = {
            column(table, each) for each in _set_columns(conflict.expressions, self.dialect)
        }
        if (
            not by_key
            or not all(names <= image.keys() for image in images)
            or set_here & {*names, None}
        ):
            return Change(table)
        if len(images) > 1 and len(table.key) > 1:
            return Change(table)
        terms = tuple(tuple(image[name] for image in images) for name in table.key)
        return Change(table, rows=Fixed(table, table.key, terms))

    def _images(
        self, node: exp.Insert, table: Table, names: list[str]
    ) -> tuple[Mapping[str, Term], ...]:
        """The rows that are inserted, of as many columns as have plain values; nothing where that is not known."""
        values = node.expression
        if self.dialect == "mysql" or table.rewrites or not isinstance(values, exp.Values):
            return ()  # MySQL may store another value than it is given, such as the greatest one
        scope = Scope(self.dialect, self.references)
        images: list[Mapping[str, Term]] = []
        for row in values.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [row]
            if not names or len(cells) != len(names):
                return ()
            image: dict[str, Term] = {}
            for name, cell in zip(names, cells, strict=True):
                own = column(table, name)
                term = scope.term(cell, table.columns.get(own)) if own is not None else None
                if own is not None and term is not None:
                    image[own] = term
            images.append(image)
        return tuple(images)

    def _update(self, node: exp.Update) -> None:
        target = node.this
        if not isinstance(target, exp.Table) or target.args.get("joins"):
            self._all_in(node, "update")
            return
        table = self._target(target)
        names = _set_columns(node.expressions, self.dialect)
        columns = {column(table, name) or name for name in names}
        self.changed = frozenset(columns)
        verbs: tuple[Verb, ...] = ("update", "delete") if self.replaces else ("update",)
        # A name of no column may be another one of the key, such as SQLite's rowid.
        moves = bool(columns & set(table.key)) or not columns <= table.columns.keys()
        rows = None if self.replaces or moves else self._rows(node, target, table)
        self.note(Change(table, rows=rows), verbs)

    def _delete(self, node: exp.Delete) -> None:
        if (
            node.args.get("tables")
            or not isinstance(node.this, exp.Table)
            or node.this.args.get("joins")
        ):
            self._all_in(node, "delete")
            return
        table = self._target(node.this)
        self.note(Change(table, rows=self._rows(node, node.this, table)), ("delete",))

    def _all_in(self, node: exp.Expr, verb: Verb) -> None:
        """A verb over joined tables, of MySQL: whichever of them it may change, it counts for all."""
        for each in node.find_all(exp.Table):
            self.note(Change(self._target(each)), (verb,))

    def _rows(self, node: exp.Expr, target: exp.Table, table: Table) -> Fixed | None:
        if not table.usable_key or table.rewrites:
            return None
        tables = {id(target): table}
        scope = Scope(self.dialect, self.references)
        before = add_source(scope, target, tables)
        if node.args.get("from_") or node.args.get("using") or node.args.get("joins"):
            scope.whole = False
        where = node.args.get("where")
        scope.learn(where.this if where is not None else None)
        scope.spread()
        fixed = fixed_table(scope, next(iter(before)), table) if before else None
        return fixed if fixed is not None and fixed.columns == table.key else None

    # ------------------------------------------------------------ what follows

    def _target(self, node: exp.Expr) -> Table:
        found = (
            relation_of(node, self.dialect, self.catalogue) if isinstance(node, exp.Table) else None
        )
        if isinstance(found, Table):
            return found
        name = node.sql(self.dialect) if found is None else found.name
        raise Unreadable(f"a write to {name}, of which the catalogue knows no table")

    def note(self, change: Change, verbs: Iterable[Verb]) -> None:
        """Take a change, and what the verbs that make it cause elsewhere."""
        self.changes.append(change)
        for verb in verbs:
            self._follow(verb, change.table, set())

    def _follow(self, verb: Verb, table: Table, seen: set[tuple[Verb, str]]) -> None:
        """Cascades and triggers, and theirs."""
        caused = table.also.get(verb, ())
        if caused is None:
            raise Unreadable(f"a trigger of {table.name}, which may write anything")
        for effect in caused:
            if effect in seen:
                continue
            seen.add(effect)
            self.effects[effect[1]] = None
            found = self._tagged(effect[1])
            if not isinstance(found, Table):
                raise Unreadable(f"a cascade to {effect[1]}, of which the catalogue knows no table")
            self._follow(effect[0], found, seen)

    def _tagged(self, tag: str) -> Any:
        """A table by the name that tags have for it: a search path could mean another by it."""
        tagged = getattr(self.catalogue, "tagged", None)
        if tagged is not None:
            return tagged(tag)
        schema, _, name = tag.rpartition(".")
        return self.catalogue.relation(name, schema or None)


def _updates(conflict: exp.Expr) -> bool:
    return "UPDATE" in str(conflict.args.get("action") or "").upper() or bool(
        conflict.args.get("duplicate")
    )


def _set_columns(assignments: Iterable[exp.Expr], dialect: str) -> set[str]:
    """The columns that SET assigns; a form that is not understood counts as a name of no column."""
    found: set[str] = set()
    for each in assignments:
        left = each.this if isinstance(each, exp.EQ) else each
        for node in left.expressions if isinstance(left, exp.Tuple) else [left]:
            inner = node.find(exp.Column) or node
            found.add(folded(inner.this, dialect) if isinstance(inner.this, exp.Identifier) else "")
    return found
