"""The classes that an application has declared to one codec. What was not declared is neither written nor made.

What must not be here: what a class looks like inside (`schemas`).
"""

from __future__ import annotations

from typing import Any

from cachewright.codecs.schemas import FINGERPRINT, Schema, schemas_in
from cachewright.errors import CodecError


class Objects:
    """Declared classes, by themselves and by the fingerprints of their schemas."""

    def __init__(self) -> None:
        self._by_class: dict[type, Schema] = {}
        self._by_print: dict[bytes, Schema] = {}

    def declare(self, spec: Any) -> None:
        """Let objects of the classes in `spec` be stored. Raises `ConfigurationError`."""
        for schema in schemas_in(spec):
            self._by_class.setdefault(schema.cls, schema)
            self._by_print.setdefault(schema.print, schema)

    def __contains__(self, cls: type) -> bool:
        return cls in self._by_class

    def taken_apart(self, value: Any) -> tuple[bytes, list[Any]] | None:
        """The fingerprint of an object's schema and the values of its fields; None for an undeclared class."""
        schema = self._by_class.get(type(value))
        return None if schema is None else (schema.print, schema.state(value))

    def put_together(self, print_: bytes, values: list[Any]) -> Any:
        """The object again. Raises `CodecError` where it was written under a schema that is not declared here."""
        schema = self._by_print.get(print_)
        if schema is None:
            raise CodecError("an object of a class, or of a schema, that is not declared here")
        return schema.restore(values)


SIZE = FINGERPRINT
