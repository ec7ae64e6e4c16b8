"""What SQL statements read and write: pure analysis, by sqlglot (the extra `sql`). No connection, no cache.

`Analyser(dialect, catalogue)(sql)` is `Reads`, `Writes` or `Refused`. What must not be here: integrations.
"""

from cachewright.core.tags import DEFAULT_SCHEMAS, table_name
from cachewright.sql.analysis import Analyser, analyse, normalised
from cachewright.sql.placeholders import Paramstyle
from cachewright.sql.relations import COARSE, Catalogue, Opaque, Relation, Table, Tables, View
from cachewright.sql.statements import Params, Reads, Refused, Statement, Writes
from cachewright.sql.tagging import Image, image_write, named_write, unnamed_write

__all__ = [
    "COARSE",
    "DEFAULT_SCHEMAS",
    "Analyser",
    "Catalogue",
    "Image",
    "Opaque",
    "Params",
    "Paramstyle",
    "Reads",
    "Refused",
    "Relation",
    "Statement",
    "Table",
    "Tables",
    "View",
    "Writes",
    "analyse",
    "image_write",
    "named_write",
    "normalised",
    "table_name",
    "unnamed_write",
]
