"""Classes of users as data: what their fields are, how an object is taken apart and put together, and a fingerprint.

A class is described once, when an application declares it. The fingerprint is a digest of its name and of the names
and types of its fields, those of the classes in them included, and is the same in every process. It goes with the
bytes, so that what was written under another schema is a miss, whatever became of the class since.

Dataclasses, msgspec Structs, attrs classes, pydantic models, NamedTuples and Enums; the last products are never
imported from here, a class of theirs brings its own description. What must not be here: bytes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from cachewright.errors import CodecError, ConfigurationError

FINGERPRINT: Final = 12
"""Bytes of a fingerprint: 96 bits, so that two schemas of one application never share one by chance."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Schema:
    """How objects of one class are taken apart and put together. Neither runs code of the class."""

    def __init__(self, cls: type, kind: str, names: Sequence[str]) -> None:
        self.cls = cls
        self.names = tuple(names)
        self.print = fingerprint(cls)
        self._kind = kind
        self._known = frozenset(names)
        self._make = _MAKERS[kind]

    def state(self, value: Any) -> list[Any]:
        """The values of its fields. Raises `CodecError` for an object that is more than its fields, or less."""
        if self._kind == "enum":
            return [value.name]
        if self._kind == "pydantic":
            return _state_of_model(value)
        beyond = [
            name
            for name in getattr(value, "__dict__", ())
            if name not in self._known and not self._is_derived(name)
        ]
        if beyond:
            raise CodecError(
                f"a {self.cls.__qualname__} with attributes beyond its fields: {beyond}"
            )
        try:
            return [getattr(value, name) for name in self.names]
        except AttributeError as error:
            raise CodecError(f"a {self.cls.__qualname__} that is incomplete: {error}") from None

    def restore(self, values: list[Any]) -> Any:
        """The object again. Raises `CodecError` for what cannot be its state."""
        try:
            return self._make(self, values)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"cannot restore a {self.cls.__qualname__}: {error}") from error

    def _is_derived(self, name: str) -> bool:
        """Whether an attribute is kept by the object and can be had again, such as that of a `cached_property`."""
        found = getattr(self.cls, name, None)
        return isinstance(found, cached_property) or name.startswith("_cachewright_")


# -------------------------------------------------------------------- taking apart, putting together


def _state_of_model(value: Any) -> list[Any]:
    state = value.__getstate__()
    own = state["__dict__"]
    fields = {name: own[name] for name in type(value).__pydantic_fields__ if name in own}
    rest = (state.get(f"__pydantic_{name}__") for name in ("extra", "fields_set", "private"))
    return [fields, *rest]


def _make_model(schema: Schema, values: list[Any]) -> Any:
    own, extra, fields_set, private = values
    if not (isinstance(own, dict) and set(own) <= schema._known):
        raise CodecError(f"not the fields of a {schema.cls.__qualname__}")
    made: Any = object.__new__(schema.cls)
    made.__setstate__(
        {
            "__dict__": own,
            "__pydantic_extra__": extra,
            "__pydantic_fields_set__": fields_set,
            "__pydantic_private__": private,
        }
    )
    return made


def _make_plain(schema: Schema, values: list[Any]) -> Any:
    made: Any = object.__new__(schema.cls)
    for name, value in zip(schema.names, values, strict=True):
        object.__setattr__(made, name, value)  # past frozen classes, validators and converters
    return made


def _make_struct(schema: Schema, values: list[Any]) -> Any:
    fields = dict(zip(schema.names, values, strict=True))
    made = schema.cls(**fields)  # there is no other way to a Struct
    for name, value in fields.items():  # what a __post_init__ has made of it
        if getattr(made, name) is not value:
            msgspec.structs.force_setattr(made, name, value)
    return made


def _make_tuple(schema: Schema, values: list[Any]) -> Any:
    if len(values) != len(schema.names):
        raise CodecError(f"not the fields of a {schema.cls.__qualname__}")
    return tuple.__new__(schema.cls, values)


def _make_enum(schema: Schema, values: list[Any]) -> Any:
    (name,) = values
    return schema.cls.__members__[name]  # type: ignore[attr-defined]


_MAKERS: Final[dict[str, Callable[[Schema, list[Any]], Any]]] = {
    "dataclass": _make_plain,
    "attrs": _make_plain,
    "struct": _make_struct,
    "pydantic": _make_model,
    "tuple": _make_tuple,
    "enum": _make_enum,
}


# -------------------------------------------------------------------- describing


def schemas_in(spec: Any) -> Iterator[Schema]:
    """The schema of each class that a type mentions, as far as its annotations can be resolved.

    Raises `ConfigurationError` for a class in `spec` itself that cannot be described.
    """
    seen: set[int] = set()
    todo = [(spec, True)]
    while todo:
        item, asked_for = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        todo.extend((part, asked_for) for part in get_args(item))
        if not isinstance(item, type) or get_origin(item) is not None:
            continue
        found = kind_of(item)
        if found is not None:
            yield Schema(item, *found)
            todo.extend((hint, False) for hint in _annotations(item).values())
        elif asked_for and not _is_plain(item):
            raise ConfigurationError(_refusal(item))


def kind_of(cls: type) -> tuple[str, Sequence[str]] | None:
    """What a class is made with and the names of its fields, None for any other class."""
    if issubclass(cls, Enum):
        return "enum", list(cls.__members__)
    if issubclass(cls, msgspec.Struct):
        return "struct", cls.__struct_fields__
    if hasattr(cls, "__pydantic_fields__") and hasattr(cls, "__pydantic_private__"):
        return "pydantic", list(cls.__pydantic_fields__)
    if hasattr(cls, "__mapper__") or hasattr(cls, "_sa_instance_state"):
        return None  # of SQLAlchemy, even where it is a dataclass as well
    if "__attrs_attrs__" in vars(cls):
        return "attrs", _all_slots(cls, [field.name for field in vars(cls)["__attrs_attrs__"]])
    if dataclasses.is_dataclass(cls):
        return "dataclass", _all_slots(cls, [field.name for field in dataclasses.fields(cls)])
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "tuple", cls._fields
    return None


def _all_slots(cls: type, names: list[str]) -> list[str]:
    """`names`, if no slot of the class holds anything else."""
    slots: set[str] = set()
    for part in cls.__mro__:
        own = vars(part).get("__slots__", ())
        slots.update([own] if isinstance(own, str) else own)
    beyond = sorted(slots - {*names, "__weakref__", "__dict__"})
    if beyond:
        raise ConfigurationError(f"{cls.__qualname__} has slots beyond its fields: {beyond}")
    return names


def _is_plain(cls: type) -> bool:
    return cls.__module__ in (
        "builtins",
        "datetime",
        "decimal",
        "uuid",
        "typing",
        "types",
        "zoneinfo",
    )


def _refusal(cls: type) -> str:
    if hasattr(cls, "__mapper__") or (hasattr(cls, "_meta") and hasattr(cls, "_state")):
        return (
            f"{cls.__qualname__} is an ORM entity, which belongs to its session: cache its columns, "
            "cachewright.objects.plain_row(entity), or a dataclass made of them"
        )
    return (
        f"{cls.__module__}.{cls.__qualname__} cannot be taken apart: make it a dataclass, msgspec Struct, attrs class, "
        "pydantic model, NamedTuple or Enum, or use cachewright.codecs.pickle.SignedPickleCodec"
    )


def fingerprint(spec: Any) -> bytes:
    """The digest of a type: names and types of all fields, as deep as annotations can be resolved."""
    lines = sorted(set(_lines(spec)))
    return blake2b("\n".join([spelled(spec), *lines]).encode(), digest_size=FINGERPRINT).digest()


def _lines(spec: Any) -> Iterator[str]:
    """One line for each class below a type. The order of fields does not matter: they go by name where it does not."""
    seen: set[int] = set()
    todo = [spec]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        todo.extend(get_args(item))
        if isinstance(item, type) and get_origin(item) is None:
            fields = _fields(item)
            if fields is not None:
                yield f"{_name(item)}({', '.join(fields)})"
                todo.extend(_annotations(item).values())


def _fields(cls: type) -> list[str] | None:
    """The fields of a class as text, None for a class that has none for us."""
    if issubclass(cls, Enum):
        return sorted(cls.__members__)
    found = kind_of(cls)
    hints = _annotations(cls)
    if found is not None:
        return [f"{name}: {spelled(hints.get(name, '?'))}" for name in found[1]]
    if hasattr(cls, "__total__") and issubclass(cls, dict):  # a TypedDict
        return [f"{name}: {spelled(hint)}" for name, hint in hints.items()]
    return None


def _annotations(cls: type) -> dict[str, Any]:
    """The annotations of a class; as they are written where they cannot be resolved."""
    try:
        return get_type_hints(cls)
    except Exception:  # noqa: BLE001 - evaluating a user's annotations raises anything
        return {
            name: hint
            for part in reversed(cls.__mro__)
            for name, hint in vars(part).get("__annotations__", {}).items()
        }


def spelled(hint: Any) -> str:
    """A type as text that is the same in every process. Raises `ConfigurationError` for one that has no such text."""
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is not None and arguments:
        if hasattr(
            hint, "__metadata__"
        ):  # Annotated: what is added to a type does not change its values
            return spelled(arguments[0])
        return f"{spelled(origin)}[{_all(arguments)}]"
    if isinstance(hint, type):
        return _name(hint)
    if isinstance(hint, (list, tuple)):
        return f"[{_all(hint)}]"
    text = hint if isinstance(hint, str) else repr(hint)
    if _ADDRESS.search(text):
        raise ConfigurationError(f"a type that is spelled differently in each process: {text}")
    return text


def _all(hints: Iterable[Any]) -> str:
    return ", ".join(map(spelled, hints))


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
