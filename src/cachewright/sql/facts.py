"""Which columns of which table of a SELECT its predicates fix to which values. Pure.

For each table in FROM: rows whose column differs from the values found here cannot change the result. What may be taken
for such a fact, and for which table, depends on where it stands:

    WHERE, ON of an inner join    every table that is joined by then: the rows are filtered out
    ON of a LEFT JOIN             the tables to its right alone: the left ones stay, matched or not
    ON of a RIGHT JOIN            the tables to its left alone
    ON of a FULL JOIN             none
    USING, NATURAL                none

An equality of two columns hands values from one to the other; over an outer join only towards its optional side.
What must not be here: tags, catalogues.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlglot import exp

from cachewright.sql.dialects import folded
from cachewright.sql.placeholders import PREFIX, Reference
from cachewright.sql.relations import Table
from cachewright.sql.statements import Constant, Parameter, Term

Place = tuple[str, str]
"""An alias and a column."""

_INNER = {"", "INNER", "CROSS", "STRAIGHT_JOIN"}
_CASTS: Mapping[type, frozenset[str]] = {
    int: frozenset({"INT", "BIGINT", "SMALLINT", "TINYINT", "MEDIUMINT"}),
    str: frozenset({"TEXT", "VARCHAR"}),
    bool: frozenset({"BOOLEAN"}),
    UUID: frozenset({"UUID"}),
    date: frozenset({"DATE"}),
}


@dataclass(slots=True)
class Scope:
    """The tables of one FROM clause by alias; `whole`: nothing else stands in it, so that a bare name can be told."""

    dialect: str
    references: Sequence[Reference]
    tables: dict[str, Table] = field(default_factory=dict)
    whole: bool = True
    values: dict[Place, tuple[Term, ...]] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)
    """The parsed name behind each alias."""
    hidden: set[str] = field(default_factory=set)
    """Aliases that were met."""
    links: list[tuple[Place, Place, bool]] = field(default_factory=list)
    """Equal columns: from, to, and whether also back."""

    def place(self, node: Any) -> Place | None:
        """Whose column a node is, where that is beyond doubt."""
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        name = folded(node.this, self.dialect)
        owner = node.args.get("table")
        if owner is not None:
            return self._owned(folded(owner, self.dialect), name)
        if not self.whole:
            return None
        owners = [alias for alias, table in self.tables.items() if column(table, name)]
        return self._owned(owners[0], name) if len(owners) == 1 else None

    def _owned(self, alias: str, name: str) -> Place | None:
        table = self.tables.get(alias)
        known = column(table, name) if table is not None else None
        return (alias, known) if known is not None else None

    def kind(self, place: Place) -> type | None:
        """The exact type of a column, None without one."""
        return self.tables[place[0]].columns.get(place[1])

    # ------------------------------------------------------------ learning

    def learn(self, condition: exp.Expr | None, about: Iterable[str] | None = None) -> None:
        """Take the facts of a condition for the tables `about`, or for all."""
        allowed = None if about is None else set(about)
        for part in _conjuncts(condition):
            fact = self._fact(part)
            if fact is not None and (allowed is None or fact[0][0] in allowed):
                self._note(*fact)
            self._link(part, allowed)

    def _note(self, place: Place, terms: tuple[Term, ...]) -> None:
        known = self.values.get(place)
        if known is None or len(terms) < len(known):
            self.values[place] = terms

    def _link(self, part: exp.Expr, allowed: set[str] | None) -> None:
        if not isinstance(part, exp.EQ):
            return
        one, other = self.place(part.this), self.place(part.expression)
        if one is None or other is None or self.kind(one) is not self.kind(other):
            return
        if allowed is None:
            self.links.append((one, other, True))
        elif (one[0] in allowed) != (other[0] in allowed):
            into = one if one[0] in allowed else other
            self.links.append((other if into is one else one, into, False))

    def spread(self) -> None:
        """Hand the values over the equalities of columns, as far as they reach."""
        for _ in self.links:
            for start, end, both in self.links:
                for source, target in [(start, end), (end, start)][: 1 + both]:
                    if source in self.values:
                        self._note(target, self.values[source])

    # ------------------------------------------------------------ one condition

    def _fact(self, part: exp.Expr) -> tuple[Place, tuple[Term, ...]] | None:
        part = part.unnest()
        if isinstance(part, exp.EQ):
            return self._equality(part)
        if isinstance(part, exp.In):
            return self._membership(part)
        if isinstance(part, exp.Or):
            return self._alternatives(part)
        return self._truth(part)

    def _equality(self, part: exp.EQ) -> tuple[Place, tuple[Term, ...]] | None:
        for own, other in ((part.this, part.expression), (part.expression, part.this)):
            place = self.place(own)
            if place is None:
                continue
            kind = self.kind(place)
            term = self._array(other) if isinstance(other, exp.Any) else self.term(other, kind)
            if term is not None:
                return place, (term,)
        return None

    def _membership(self, part: exp.In) -> tuple[Place, tuple[Term, ...]] | None:
        place = self.place(part.this)
        given = part.expressions
        extra = {name for name, arg in part.args.items() if arg} - {"this", "expressions"}
        if place is None or not given or extra:
            return None
        terms = [self.term(each, self.kind(place)) for each in given]
        kept = tuple(term for term in terms if term is not None)
        return (place, kept) if len(kept) == len(terms) else None

    def _alternatives(self, part: exp.Or) -> tuple[Place, tuple[Term, ...]] | None:
        facts = [self._fact(part.this), self._fact(part.expression)]
        found = [fact for fact in facts if fact is not None]
        if len(found) < 2 or found[0][0] != found[1][0]:
            return None
        return found[0][0], found[0][1] + found[1][1]

    def _truth(self, part: exp.Expr) -> tuple[Place, tuple[Term, ...]] | None:
        """A column of booleans by itself, negated, or IS TRUE."""
        wanted = True
        if isinstance(part, exp.Not):
            part, wanted = part.this.unnest(), False
        elif isinstance(part, exp.Is) and isinstance(part.expression, exp.Boolean):
            part, wanted = part.this, bool(part.expression.this)
        place = self.place(part)
        if place is None or self.kind(place) is not bool:
            return None
        return place, (Constant(wanted),)

    def term(self, node: exp.Expr, kind: type | None) -> Term | None:
        """A literal or a parameter; None for anything that has to be computed."""
        node = _uncast(node.unnest(), kind)
        if isinstance(node, exp.Placeholder):
            return self._parameter(node, many=False)
        return constant(node)

    def _array(self, node: exp.Any) -> Term | None:
        inner = node.this.unnest()
        if isinstance(inner, exp.Cast):
            inner = inner.this
        return self._parameter(inner, many=True) if isinstance(inner, exp.Placeholder) else None

    def _parameter(self, node: exp.Placeholder, *, many: bool) -> Term:
        number = str(node.this)[len(PREFIX) :]
        return Parameter(self.references[int(number)], many)


def constant(node: exp.Expr) -> Constant | None:
    """The value of a literal; None for what is none."""
    if isinstance(node, exp.Boolean):
        return Constant(bool(node.this))
    if isinstance(node, exp.Null):
        return Constant(None)
    negative = isinstance(node, exp.Neg)
    literal = node.this if negative else node
    if not isinstance(literal, exp.Literal):
        return None
    if literal.is_string:
        return None if negative else Constant(literal.this)
    text = f"-{literal.this}" if negative else str(literal.this)
    return (
        Constant(int(text)) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() else None
    )


def column(table: Table, name: str) -> str | None:
    """A column as its table spells it, given its folded name."""
    if name in table.columns:
        return name
    return next((each for each in table.columns if each.lower() == name), None)


def _uncast(node: exp.Expr, kind: type | None) -> exp.Expr:
    """What is cast to the type that the column has anyway."""
    if not isinstance(node, exp.Cast) or kind is None:
        return node
    to = node.args["to"]
    if to.expressions or to.args.get("nested"):
        return node
    named = str(getattr(to.this, "value", to.this)).upper()
    return node.this.unnest() if named in _CASTS.get(kind, ()) else node


def _conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    stack = [] if condition is None else [condition]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.And):
            stack += [part.this, part.expression]
        else:
            yield part


# -------------------------------------------------------------------- the FROM clause


def add_source(scope: Scope, node: exp.Expr, tables: Mapping[int, Table]) -> set[str]:
    """Take what stands in a FROM clause into the scope, with the joins inside it; the aliases it brings."""
    if isinstance(node, exp.Subquery) and not node.alias and _is_join(node.this):
        aliases = add_source(scope, node.this, tables)
    elif isinstance(node, exp.Table) and id(node) in tables:
        aliases = _add_table(scope, node, tables[id(node)])
    else:
        aliases = set()
        scope.whole = False
    return aliases | _joined(scope, node.args.get("joins"), aliases, tables)


def _is_join(node: exp.Expr) -> bool:
    """Whether parentheses hold tables and no query of their own."""
    return isinstance(node, exp.Table) or (isinstance(node, exp.Subquery) and _is_join(node.this))


def _add_table(scope: Scope, node: exp.Table, table: Table) -> set[str]:
    alias = _alias(node, scope.dialect)
    renamed = node.args.get("alias") is not None and node.args["alias"].args.get("columns")
    if alias in scope.hidden or renamed or node.args.get("pivots"):
        scope.whole = False  # two of one name, or columns of other names: nothing can be told
        scope.tables.pop(alias, None)
        return set()
    scope.hidden.add(alias)
    scope.tables[alias] = table
    scope.nodes[alias] = id(node)
    return {alias}


def add_joins(scope: Scope, joins: Any, before: set[str], tables: Mapping[int, Table]) -> None:
    """Take the joins of a statement into the scope, behind the sources `before`."""
    _joined(scope, joins, before, tables)


def _joined(
    scope: Scope, joins: Sequence[exp.Join] | None, before: set[str], tables: Mapping[int, Table]
) -> set[str]:
    so_far = set(before)
    for join in joins or ():
        right = add_source(scope, join.this, tables)
        side, kind = str(join.args.get("side") or ""), str(join.args.get("kind") or "")
        on = join.args.get("on")
        if kind.upper() in ("OUTER", *_INNER) and not join.args.get("method"):
            if side == "LEFT":
                scope.learn(on, right)
            elif side == "RIGHT":
                scope.learn(on, so_far)
            elif not side and kind.upper() in _INNER:
                scope.learn(on)
        so_far |= right
    return so_far


def _alias(node: exp.Table, dialect: str) -> str:
    alias = node.args.get("alias")
    return folded(
        alias.this if alias is not None and alias.this is not None else node.this, dialect
    )
