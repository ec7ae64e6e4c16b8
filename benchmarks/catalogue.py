"""All rows, in the order of their numbers."""

from __future__ import annotations

from benchmarks import (
    codecs,
    cold_reads,
    contention,
    django_fragments,
    django_queries,
    fragments,
    gathering,
    growth,
    l1,
    l2,
    memory,
    queries,
    stampedes,
    tags,
    writes,
)
from benchmarks.rows import Row

ROWS: tuple[Row, ...] = tuple(
    sorted(
        (
            *l1.ROWS,
            *contention.ROWS,
            memory.MEMORY,
            *l2.ROWS,
            *codecs.ROWS,
            *tags.ROWS,
            *gathering.ROWS,
            *growth.ROWS,
            *stampedes.ROWS,
            *writes.ROWS,
            *queries.ROWS,
            cold_reads.ROW,
            *django_queries.ROWS,
            *fragments.ROWS,
            django_fragments.ROW,
        ),
        key=lambda row: row.number,
    )
)
