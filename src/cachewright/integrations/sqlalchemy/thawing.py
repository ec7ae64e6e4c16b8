"""Frozen results as what the session would have given: entities of its identity map, rows, scalars.

What must not be here: the cache, the database, how an entity is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any

from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.orm import Mapper, Session, registry
from sqlalchemy.orm.path_registry import PathRegistry

from cachewright.integrations.sqlalchemy.building import Group
from cachewright.integrations.sqlalchemy.column_values import Unkeepable, restorer
from cachewright.integrations.sqlalchemy.describing import (
    Described,
    expressions_of,
    options_of,
)
from cachewright.integrations.sqlalchemy.freezing import ENTITY, Frozen, Loaders, mapper_name


class Thawing:
    """The results of one statement, in this process."""

    def __init__(self, described: Described) -> None:
        self._mappers = {mapper_name(mapper): mapper for mapper in _all(described.mappers)}
        self._types = described.types
        self.loaders: Loaders = {}
        self._stable = described.stable
        self._groups: dict[tuple[str, ...], Group] = {}
        self._metadata: tuple[list[str], Any] | None = None

    def lacks_loaders(self, frozen: Frozen) -> bool:
        """Whether the result needs loaders of this process, which come with the first load here."""
        return any(
            left and (name, path, left) not in self.loaders
            for name, path, _, _, _, left, _ in frozen["groups"]
        )

    def result(self, frozen: Frozen, statement: Any, session: Session | None) -> Result[Any]:
        """A result with these rows, their entities being the session's. Raises `Unkeepable` if classes have changed."""
        entities = self._entities(frozen["groups"], session, statement) if frozen["groups"] else []
        ways: Sequence[str] = frozen["row"]
        single = len(ways) == 1
        rows = self._single(frozen, entities) if single else self._rows(frozen, entities)
        result: Result[Any] = IteratorResult(
            self._keys(frozen, statement), iter(rows), _source_supports_scalars=single
        )
        if ENTITY in ways:
            # What the legacy Query asks a result for.
            result._attributes = result._attributes.union(
                {"filtered": True, "is_single_entity": single}
            )
        return result

    def _type(self, place: int, elements: int) -> Any:
        return self._types[place] if len(self._types) == elements else None

    def _single(self, frozen: Frozen, entities: Sequence[Any]) -> Sequence[Any]:
        """Rows of one element, without the row around it."""
        rows: Sequence[Any] = frozen["columns"][0]
        if frozen["row"][0] == ENTITY:
            if len(rows) == len(entities) and rows == _counted(len(rows)):
                return entities
            return [None if row is None else entities[row] for row in rows]
        again = restorer(frozen["row"][0], self._type(0, 1))
        return rows if again is None else list(map(again, rows))

    def _keys(self, frozen: Frozen, statement: Any) -> Any:
        keys: list[Any] = frozen["keys"]  # None for an element without a name, as the ORM has it
        if not self._stable or self._metadata is None or self._metadata[0] != keys:
            exprs = expressions_of(statement)
            extra = [(each,) for each in exprs] if len(exprs) == len(keys) else None
            self._metadata = keys, SimpleResultMetaData(keys, extra, **_uniquing(frozen["row"]))
        return self._metadata[1]

    def _rows(self, frozen: Frozen, entities: Sequence[Any]) -> list[tuple[Any, ...]]:
        ways, columns = frozen["row"], frozen["columns"]
        whole: list[Iterable[Any]] = []
        for place, (way, values) in enumerate(zip(ways, columns, strict=True)):
            if way == ENTITY:
                whole.append([None if number is None else entities[number] for number in values])
            else:
                again = restorer(way, self._type(place, len(ways)))
                whole.append(values if again is None else map(again, values))
        return list(zip(*whole, strict=True))

    def _entities(
        self, groups: Sequence[Any], session: Session | None, statement: Any
    ) -> list[Any]:
        if session is None:
            raise Unkeepable("entities without a session")
        found: list[Any] = []
        made: list[tuple[Group, list[Any], list[bool], Sequence[Any]]] = []
        options = options_of(statement) if any(about[1] for about in groups) else ()
        for *about, columns in groups:
            group = self._group(*about)
            objects, new = group.objects(columns, session, options)
            found.extend(objects)
            made.append((group, objects, new, columns))
        for group, objects, _, columns in made:
            if group.relationships:
                group.relate(objects, columns, found)
        for group, objects, new, _ in made:
            group.announce(objects, new, session)
        return found

    def _group(self, *about: str) -> Group:
        group = self._groups.get(about)
        if group is None:
            name, path, names, ways, relationships, left = about
            group = Group(
                self._mapper(name),
                _split(names),
                ways,
                _split(relationships),
                path=self._path(path) if path else None,
                left=self.loaders[name, path, left] if left else {},
            )
            self._groups[about] = group
        return group

    def _mapper(self, name: str) -> Mapper[Any]:
        mapper = self._mappers.get(name)
        if mapper is None:
            raise Unkeepable(f"no class {name} is mapped")
        return mapper

    def _path(self, text: str) -> Any:
        words = text.split(">")
        path: Any = PathRegistry.root
        mapper = self._mapper(words[0])
        path = path[mapper]
        for place in range(1, len(words) - 1, 2):
            relationship = mapper.relationships[words[place]]
            mapper = self._mapper(words[place + 1])
            path = path[relationship][mapper]
        return path


def _split(names: str) -> list[str]:
    return names.split(",") if names else []


def _all(mappers: Iterable[Mapper[Any]]) -> Iterable[Mapper[Any]]:
    registries: dict[registry, None] = dict.fromkeys(mapper.registry for mapper in mappers)
    for each in registries:
        yield from each.mappers


def _counted(size: int) -> list[int]:
    """0, 1, 2, … : each entity once, in the order of its rows."""
    if len(_COUNTED) < size:
        _COUNTED.extend(range(len(_COUNTED), size))
    return _COUNTED[:size]


_COUNTED: list[int] = []


def _uniquing(ways: Sequence[str]) -> dict[str, Any]:
    """Entities are told apart by what they are and not by what they are equal to, as the ORM does."""
    filters = [id if way == ENTITY else None for way in ways]
    if "_create_unique_filters" in _METADATA_TAKES:
        return {"_create_unique_filters": lambda _: filters}
    return {"_unique_filters": filters}  # SQLAlchemy 2.0


_METADATA_TAKES = signature(SimpleResultMetaData).parameters
