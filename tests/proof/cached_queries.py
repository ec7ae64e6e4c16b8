"""Experiment: random queries are cached over random tables, random writes commit, and each answer is compared with the database.

On PostgreSQL and SQLite. Some answers are asked for while a writer has written and not committed, and some are loaded just
before a commit and stored after it; some writers keep objects that are older than their rows. Controls: the same cache with
the tables that the guide's regular expression finds, with entries stored without stamps, and with invalidation when a
statement runs instead of when it commits. What must not be here: how schemas, queries and writes are drawn.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.sqlalchemy import QueryCache
from proof import weakened_queries
from proof.experiment import Experiment, Measured, Run
from rig.random_queries import Asker
from rig.random_schemas import Schema, row
from rig.random_writes import Scribbler
from rig.rows import versioned_rows

QUESTIONS, ROWS, STEPS = 40, 25, 50
"""So many questions and rows a table, and so many transactions before other tables are drawn."""
DURING, RACING, ROLLED_BACK, OLD, FORGOTTEN = 0.5, 0.8, 0.15, 0.4, 0.35
"""Which share of transactions is asked into, is raced by loads, is rolled back, is made by a session with old objects, begins
with an empty cache."""
PATIENCE = 10.0


@dataclass
class Counted:
    """What was compared, and what it came to."""

    compared: int = 0
    stale: int = 0
    hits: int = 0
    of: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


class World:
    """One database with drawn tables, its cached sessions and plain ones."""

    def __init__(self, address: str, url: str | None, draw: random.Random, namespace: str) -> None:
        self._draw = draw
        self.schema = Schema(draw)
        self.plain = sa.create_engine(address)
        self._truth = Session(self.plain.execution_options(isolation_level="AUTOCOMMIT"))
        self.engine = sa.create_engine(address)
        for engine in (self.plain, self.engine):
            if engine.dialect.name == "sqlite":
                sa.event.listen(engine, "connect", _tune)
        with self.plain.begin() as connection:
            everything = sa.MetaData()
            everything.reflect(connection)
            everything.drop_all(connection)
            self.schema.metadata.create_all(connection)
            for mapped in self.schema.tables:
                for _ in range(ROWS):
                    _try(connection, sa.insert(mapped.table).values(row(draw, mapped)))
        if self.plain.dialect.name == "postgresql":
            self._move_sequences()
        self.cache = Cache(url, namespace=namespace, policy=Policy(ttl=3600))
        self.queries = QueryCache(self.cache)
        self.sessions = sessionmaker(self.engine)
        self.queries.attach(self.sessions)
        self.asker = Asker(self.schema, draw)
        self.scribbler = Scribbler(self.schema, draw)
        self.old = self.sessions(expire_on_commit=False)
        self.questions: list[Any] = []
        self.sent = 0
        self.pausing = threading.local()
        sa.event.listen(self.engine, "after_cursor_execute", self._noticed)
        self.renew(QUESTIONS)

    def _move_sequences(self) -> None:
        with self.plain.begin() as connection:
            for mapped in self.schema.tables:
                if mapped.has_one_key:
                    name = mapped.table.name
                    connection.exec_driver_sql(f"SELECT setval('{name}_id_seq', 31)")

    def _noticed(self, *_: Any) -> None:
        self.sent += 1
        pause: Callable[[], None] | None = getattr(self.pausing, "pause", None)
        if pause is not None:
            self.pausing.pause = None
            pause()

    def renew(self, many: int) -> None:
        """Ask some other questions from now on."""
        self._draw.shuffle(self.questions)
        del self.questions[: max(0, len(self.questions) + many - QUESTIONS)]
        while len(self.questions) < QUESTIONS:
            made = self.asker.statement(self.plain.dialect)
            try:
                self.truth(made)
            except sa.exc.DBAPIError:
                continue  # a comparison that this database refuses
            self.questions.append(made)

    def ask(self, question: Any) -> list[str]:
        """The cached answer."""
        with self.sessions() as session:
            return _shown(session, question, execution_options={"cache": 3600})

    def truth(self, question: Any) -> list[str]:
        """The database's answer."""
        try:
            return _shown(self._truth, question)
        finally:
            self._truth.expunge_all()

    @contextmanager
    def raced(self, questions: list[Any]) -> Iterator[None]:
        """Inside, loads have read the database and have not stored what they read."""
        may_go_on = threading.Event()
        loads = [_Load(self, each, may_go_on) for each in questions]
        for load in loads:
            load.has_read.wait(PATIENCE)
        try:
            yield
        finally:
            may_go_on.set()
            for load in loads:
                load.join(PATIENCE)

    def step(self) -> None:
        """One transaction, with whatever goes on beside it."""
        draw = self._draw
        if draw.random() < FORGOTTEN:
            self.cache.clear()
        raced = draw.sample(self.questions, 10) if draw.random() < RACING else []
        with self.raced(raced):
            # Who asks what is being loaded waits for that load, and here it waits for the commit.
            held = set(map(id, raced))
            self._transact([each for each in self.questions if id(each) not in held])

    def _transact(self, free: list[Any]) -> None:
        session = self.old if self._draw.random() < OLD else self.sessions()
        try:
            self.scribbler.write(session)
            if self._draw.random() < DURING:
                for question in self._draw.sample(free, 5):
                    self.ask(question)
                    _shown(session, question, execution_options={"cache": 3600})
            session.rollback() if self._draw.random() < ROLLED_BACK else session.commit()
        except (sa.exc.DBAPIError, sa.exc.InvalidRequestError, sa.orm.exc.StaleDataError):
            session.rollback()
        if session is not self.old or self._draw.random() < 0.1:
            session.close()

    def compare(self, counted: Counted) -> None:
        """Every question."""
        for question in self.questions:
            before = self.sent
            answer = self.ask(question)
            counted.hits += self.sent == before
            counted.compared += 1
            truth = self.truth(question)
            if answer != truth:
                counted.stale += 1
                counted.of[self.plain.dialect.name] += 1
                if len(counted.examples) < 5:
                    counted.examples.append(f"{question}: {answer} and not {truth}")

    def close(self) -> None:
        """Close all of it."""
        self.old.close()
        self._truth.close()
        self.cache.close()
        self.engine.dispose()
        self.plain.dispose()


class _Load(threading.Thread):
    """Asks a question, and rests when it has read the database."""

    def __init__(self, world: World, question: Any, may_go_on: threading.Event) -> None:
        super().__init__(daemon=True)
        self.has_read = threading.Event()
        self._world, self._question, self._may_go_on = world, question, may_go_on
        self.start()

    def run(self) -> None:
        """Rests once."""
        self._world.pausing.pause = self._pause
        try:
            self._world.ask(self._question)
        finally:
            self.has_read.set()

    def _pause(self) -> None:
        self.has_read.set()
        self._may_go_on.wait(PATIENCE)


def _shown(session: Session, question: Any, **options: Any) -> list[str]:
    rows = session.execute(question, **options).all()
    return sorted(repr([_plain(each) for each in row]) for row in rows)


def _plain(value: Any) -> Any:
    state = sa.inspect(value, raiseerr=False)
    if state is None or not hasattr(state, "mapper"):
        return value
    return [getattr(value, each.key) for each in state.mapper.column_attrs]


def _tune(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=OFF", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _try(connection: sa.Connection, statement: Any) -> None:
    try:
        with connection.begin_nested():
            connection.execute(statement)
    except sa.exc.IntegrityError:
        pass


def _measure(how: Run, wanted: int) -> Counted:
    counted = Counted()
    draw = random.Random(how.seed)
    with (
        EmbeddedServer() as server,
        tempfile.TemporaryDirectory() as place,
        versioned_rows(1) as rows,
    ):
        addresses = [
            rows.address.replace("postgresql://", "postgresql+psycopg://"),
            f"sqlite:///{Path(place) / 'rows.db'}",
        ]
        worlds = 0
        while counted.compared < wanted:
            url = server.url if worlds % 4 < 2 else None
            world = World(addresses[worlds % 2], url, draw, f"proof{worlds}")
            worlds += 1
            try:
                for _ in range(how.pick(STEPS // 2, STEPS)):
                    world.step()
                    world.compare(counted)
                    world.renew(2)
            finally:
                world.close()
            how.say(
                f"    {counted.compared} compared, {counted.stale} stale, {counted.hits} from the cache"
            )
    for example in counted.examples:
        how.say(f"    {example}")
    return counted


def ours(how: Run) -> Measured:
    """The query cache as it is."""
    counted = _measure(how, how.pick(4_000, 100_000))
    numbers = {
        "compared": counted.compared,
        "stale": counted.stale,
        "from the cache": counted.hits,
    }
    return Measured(counted.stale, numbers)


def control(how: Run) -> Measured:
    """Each weakened twin over the same draws."""
    numbers: dict[str, int] = {}
    for name, weaken in weakened_queries.TWINS.items():
        with pytest.MonkeyPatch.context() as patch:
            weaken(patch)
            numbers[name] = _measure(how, how.pick(4_000, 12_000)).stale
    unbroken = tuple(name for name, stale in numbers.items() if not stale)
    return Measured(sum(numbers.values()), numbers, unbroken=unbroken)


EXPERIMENT = Experiment(
    name="cached_queries",
    what="random queries over random tables are compared with the database after each of many random transactions",
    target="0 stale answers in 100,000 comparisons, on PostgreSQL and SQLite",
    ours=ours,
    control=control,
    control_is="the tables of the guide's regular expression; no stamps; invalidated by the statement and not the commit",
)
