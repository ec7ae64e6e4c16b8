"""Two caches on one server, as two processes would have them: leases, marks, a bus that lags and breaks, evictions.

What must not be here: what a cache may answer (`truth`), and what one cache does by itself (`machine`).
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from itertools import count
from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from model.loads import WHO
from model.machine import DEATHS, CacheMachine, Death
from model.plans import COUNTERS, KEYS, SOME_TAGS, TAGS, Actor, after_reply
from model.truth import SERVER, Mark, tag_names
from model.worlds import World

from cachewright.core.tags import NAMESPACE, key_tag, prefix_tag, user_tag
from cachewright.redis import messages

LIMIT = 600.0
"""Seconds that a mark lasts: no sequence takes so long, so none runs out."""

EVICTED = [
    *(("entry", key) for key in (*KEYS, *COUNTERS)),
    *(("lease", key) for key in KEYS),
    *(("tag", key_tag(key)) for key in KEYS),
    *(("tag", user_tag(tag)) for tag in TAGS),
    ("tag", NAMESPACE),
    ("tag", prefix_tag("p")),
    ("sequence", ""),
]
"""What the server may lose: kind and name."""


@dataclass(eq=False)
class Writer:
    """A two-phase write that has begun."""

    actor: Actor
    writing: Any
    mark: Mark


class Ear:
    """Between the bus and a cache: what arrives waits until it is listened to, so that lag is no accident."""

    def __init__(self, bus: Any) -> None:
        self._act = bus._on_invalidation
        self._waiting: list[messages.Invalidation] = []
        self._lock = threading.RLock()
        self.lags = True
        bus._on_invalidation = self.take

    def take(self, message: messages.Invalidation) -> None:
        """A message has arrived."""
        with self._lock:
            self._waiting.append(message)
            if not self.lags:
                self.listen()

    def listen(self) -> None:
        """Act on what has arrived."""
        with self._lock:
            while self._waiting:
                self._act(self._waiting.pop(0))


class FleetMachine(CacheMachine):
    """Two caches in one namespace, which no other sequence has."""

    views = ("left", "right")

    def __init__(self, world: World, url: str, raw: redis.Redis) -> None:
        self.raw = raw
        self.namespace = secrets.token_hex(6)
        self.url = url
        super().__init__(world, namespace=self.namespace)
        self.writers: list[Writer] = []
        self.ears: list[Ear] = []
        self.drains = count(1)
        for actor in self.actors:
            self.do(lambda actor=actor: actor.cache.ttl("p"))  # connects, as the first read would
            world.after_replies(actor.cache.engine.store, after_reply)
            self.ears.append(Ear(actor.cache.engine.bus))

    def server(self, view: str) -> tuple[str, ...]:
        """The one server."""
        return (self.url,)

    # ---------------------------------------------------------------- two-phase writes

    @precondition(lambda self: len(self.writers) < 3)
    @rule(who=WHO, keys=st.sampled_from([(), KEYS[:1], KEYS[1:2], KEYS[2:]]), tags=SOME_TAGS)
    def begin(self, who: int, keys: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """Phase 1."""
        if not keys and not tags:
            return
        actor = self.actor(who)
        names = [*(f"key {key}" for key in keys), *tag_names(tags)]
        writing = actor.cache.writing(keys=keys, tags=tags, limit=LIMIT)
        self.do(getattr(writing, self.world.enter))
        mark = Mark(names, set(names), {actor.view, SERVER})
        self.truth.marks.append(mark)
        self.writers.append(Writer(actor, writing, mark))

    @precondition(lambda self: self.writers)
    @rule(n=st.integers(0, 2), step=st.sampled_from(["reassert", "commit", "end", "crash"]))
    def go_on(self, n: int, step: str) -> None:
        """A writer takes a step, or is never heard of again."""
        writer = self.writers[n % len(self.writers)]
        if step == "commit":
            self.truth.committed_under(writer.mark)
        elif step == "reassert":
            self._reassert(writer)
        else:
            self.writers.remove(writer)
            self._end(writer) if step == "end" else abandon(writer)

    def _reassert(self, writer: Writer) -> None:
        """`before_commit`: marks that were lost are made again, and what came between is gone."""
        self.do(writer.writing.before_commit)
        if writer.mark.marked != set(writer.mark.names):
            writer.mark.marked = set(writer.mark.names)
            writer.mark.told = {writer.actor.view, SERVER}

    def _end(self, writer: Writer) -> None:
        """Phase 2."""
        self.truth.marks.remove(writer.mark)
        self.do(lambda: getattr(writer.writing, self.world.exit)(None, None, None))
        self.truth.invalidated(writer.actor.view, writer.mark.names)

    # ---------------------------------------------------------------- the bus

    def settle(self, actor: Actor) -> None:
        """Let a stamp that nobody uses be erased over the bus: then all that came before was heard.

        Another one each time: the news of the last may come twice, and before what is waited for now.
        """
        engine, ear = actor.cache.engine, self.ears[self.actors.index(actor)]
        sentinel = user_tag(f"drained:{next(self.drains)}")
        message = messages.Invalidation(messages.VERSION, "", [], [sentinel])
        engine.tags.known[sentinel] = b"until it is heard of"

        def is_heard() -> bool:
            ear.listen()
            return sentinel not in engine.tags.known

        for _ in range(100):
            self.raw.publish(engine.keys.bus, messages.encode(message))
            if self.world.until(is_heard, 0.05):
                break
        assert is_heard(), "the bus is silent"
        self.truth.drained(actor.view)

    def listen(self) -> None:
        for ear in self.ears:
            ear.listen()

    @rule(who=WHO)
    def attend(self, who: int) -> None:
        """From now on a cache acts on what it hears, or does so late again."""
        self.ears[who].lags = not self.ears[who].lags
        self.ears[who].listen()

    @rule(who=WHO, missed=st.sampled_from([None, *DEATHS]))
    def lose_links(self, who: int, missed: Death | None) -> None:
        """All bus connections break; what is invalidated at that moment is not heard of."""
        self.raw.client_kill_filter(_type="pubsub")
        if missed is not None:
            self.kill(self.actor(who), missed)

    # ---------------------------------------------------------------- the server forgets

    @rule(what=st.sampled_from(EVICTED))
    def evict(self, what: tuple[str, str]) -> None:
        """The server evicts an entry, a lease, a stamp or a mark."""
        kind, name = what
        keys = self.actors[0].cache.engine.keys
        found = {"entry": keys.entry, "lease": keys.lease, "tag": keys.tag}
        self.raw.delete(found[kind](name) if kind in found else keys.sequence)
        self.worn |= kind in ("tag", "sequence")
        self.lossy |= kind == "entry" or name == NAMESPACE
        if kind == "lease":
            self.truth.unmark(f"key {name}")
        elif name in map(user_tag, TAGS):
            self.truth.unmark(f"tag {name[2:]}")

    def teardown(self) -> None:
        for writer in self.writers:
            abandon(writer)
        super().teardown()


def abandon(writer: Writer) -> None:
    """As when its process dies: nobody renews the marks, nobody takes them back."""
    writer.writing._keeping.__exit__(None, None, None)
