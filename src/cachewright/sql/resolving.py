"""Which relation each name in a parsed statement means: a table, a view with what is behind it, or a CTE.

What must not be here: predicates, tags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from cachewright.sql import purity
from cachewright.sql.dialects import folded
from cachewright.sql.parsing import parsed
from cachewright.sql.placeholders import Unreadable
from cachewright.sql.relations import Catalogue, Opaque, Relation, Table, View

DEEPEST = 30
"""So many views may stand on one another."""

DML = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


@dataclass(slots=True)
class Resolver:
    """Resolves the names of one statement, and of the views that it reads. `tables`: those it met, by node."""

    dialect: str
    catalogue: Catalogue
    declared: Collection[str] = ()
    tables: dict[int, Table] = field(default_factory=dict)
    trees: list[exp.Expr] = field(default_factory=list)
    """The statement and every view behind it, each parsed; they also keep the nodes of `tables` alive."""

    def resolve(self, tree: exp.Expr, depth: int = 0, within: Catalogue | None = None) -> None:
        """Note every table that is read below `tree`. Raises `Unreadable` with the reason not to cache."""
        if depth > DEEPEST:
            raise Unreadable("views within views without an end")
        self.trees.append(tree)
        for node in tree.walk():
            for reason in purity.impurities(node, self.dialect, self.declared):
                raise Unreadable(reason)
            if isinstance(node, exp.Table) and is_relation(node):
                self._resolve_table(node, depth, within or self.catalogue)

    def _resolve_table(self, node: exp.Table, depth: int, catalogue: Catalogue) -> None:
        if is_cte(node, self.dialect):
            return
        found = relation_of(node, self.dialect, catalogue)
        if isinstance(found, Table):
            self.tables[id(node)] = found
        elif isinstance(found, View):
            self.resolve(parsed(found.sql, self.dialect), depth + 1, found.within or catalogue)
        elif isinstance(found, Opaque):
            raise Unreadable(f"{found.name}: {found.reason}")
        else:
            raise Unreadable(f"the catalogue knows no relation {node.sql(self.dialect)}")


def relation_of(node: exp.Table, dialect: str, catalogue: Catalogue) -> Relation | None:
    """What the catalogue says of the name in a statement; None also for one in another database."""
    schema = node.args.get("db")
    if node.args.get("catalog") is not None or not isinstance(node.this, exp.Identifier):
        return None
    return catalogue.relation(
        folded(node.this, dialect), None if schema is None else folded(schema, dialect)
    )


def is_relation(node: exp.Table) -> bool:
    """Whether the node stands for a relation by its name, not for a function or an index."""
    return isinstance(node.this, exp.Identifier) and node.arg_key != "indexed"


def is_cte(node: exp.Table, dialect: str) -> bool:
    """Whether an unqualified name means a CTE that is visible where it stands."""
    if node.args.get("db") is not None:
        return False
    name = folded(node.this, dialect)
    return any(name == each for each in _visible(node, dialect))


def _visible(node: exp.Expr, dialect: str) -> Iterator[str]:
    """The names of the CTEs that the statements around a node declare for it."""
    child, parent = node, node.parent
    while parent is not None:
        clause = parent.args.get("with_")
        if isinstance(clause, exp.With):
            for cte in clause.expressions:
                inside = child is clause and _holds(cte, node)
                if inside and not clause.args.get("recursive") and dialect != "sqlite":
                    break  # neither it nor those behind it are known inside it
                yield folded(cte.args["alias"].this, dialect)
        child, parent = parent, parent.parent


def _holds(cte: exp.Expr, node: exp.Expr) -> bool:
    above: exp.Expr | None = node
    while above is not None and above is not cte:
        above = above.parent
    return above is cte
