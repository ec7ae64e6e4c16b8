# Generated from _async/enqueuing.py by tools/unasync.py. Do not edit.
"""From what a caller writes to what is queued and cached: bytes, stamps, and the entry in this process.

Invariants kept here (design rules 1, 2, 4; tests/patterns/_sync/test_write_behind.py and its controls):
- what is cached for a write embeds stamps that were there before it, and the row's, which the same step has made;
- nothing lands in L1 that an invalidation has met since the write began.
What must not be here: waiting for room, reading, the source.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cachewright._sync.cache import Cache
from cachewright._sync.flights import Flight
from cachewright.codecs import codec_for
from cachewright.core.entry import Stamps
from cachewright.core.envelope import FILL, FILL_BYTES
from cachewright.core.packing import clip, to_entry
from cachewright.core.policy import Lifetime, Policy
from cachewright.core.storable import refuse_unstorable
from cachewright.core.tags import PLACEHOLDER, rows_tag, stamp_to_come, user_tag
from cachewright.errors import RemoteError
from cachewright.patterns._sync.queue import Queue, Enqueued, Write
from cachewright.patterns.changes import Queued, Record, row_tag_of
from cachewright.patterns.sources import Kind

_NO_LIFE = Lifetime(0.0, 0.0)
FEW = 8
"""So many changes of one call are cached when they are queued."""
NO_FILL = bytes(FILL_BYTES)
PATCH = "\0patch"
"""Behind the key of a patch when it is packed: bound to that, its bytes are nobody's whole value."""


@dataclass(slots=True)
class Draft:
    """What a caller wants written."""

    name: str
    kind: Kind
    identity: Any
    value: Any
    behind: bool = False
    """Whether it was refused while something older of its key waited."""


@dataclass(slots=True)
class _Landing:
    """What may go into L1 when the write is acknowledged."""

    row: str
    flight: Flight
    value: Any
    life: Lifetime
    stamps: Stamps


class Enqueuer:
    """Writes into one queue. `rows`: what the source is called in keys and tags."""

    def __init__(self, cache: Cache, queue: Queue, policy: Policy, *, rows: str) -> None:
        self._cache = cache
        self._engine = cache.engine
        self._queue = queue
        self._policy = policy
        self._rows = user_tag(rows_tag(rows))
        self._identities = codec_for("msgpack")

    # ---------------------------------------------------------------- bytes

    def value(self, name: str, change: Record | Queued) -> Any:
        """The value or the fields of a queued change. Raises `CodecError`."""
        packer = self._engine.packer
        bound = name + PATCH if change.kind == "patch" else name
        return packer.value(bound, packer.open(bound, change.data))

    def identity(self, change: Queued) -> Any:
        """The identity of a queued patch or deletion. Raises `CodecError`."""
        return self._identities.decode(change.identity)

    # ---------------------------------------------------------------- the way in

    def enqueue(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Queue changes of different keys; those whose partition is full come back.

        A few are cached as well; many are not, since a bulk load must not drive out what is read. Raises `CodecError`
        before anything is queued, `RemoteError` when not all were acknowledged.
        """
        if len(drafts) > FEW:
            writes = self._pack_many(drafts)
            outcomes = self._queued(writes, secrets.token_hex(12))
            self._forget(writes)
        else:
            outcomes = self._enqueue_few(drafts)
        refused = []
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if not outcome.id:
                draft.behind = outcome.pending
                refused.append(draft)
        return refused

    def _enqueue_few(self, drafts: Sequence[Draft]) -> list[Enqueued]:
        landings = [self._landing(draft) for draft in drafts]
        random = secrets.token_hex(12)
        try:
            node = self._stamp(landings)
            writes = []
            for draft, landing in zip(drafts, landings, strict=True):
                if landing.stamps and draft.kind != "patch" and landing.life.usable > 0:
                    row = stamp_to_come(random, node)
                    landing.stamps = {**landing.stamps, landing.row: row}
                else:
                    landing.life, landing.stamps = _NO_LIFE, {}
                writes.append(
                    self._pack(draft, landing.value, landing.life, stamps=landing.stamps, node=node)
                )
            epoch = self._engine.tags.epoch
            outcomes = self._queued(writes, random)
            self._land(epoch, landings, writes, outcomes=outcomes)
        finally:
            for landing in landings:
                self._engine.flights.close(landing.flight)
        return outcomes

    def _queued(self, writes: Sequence[Write], random: str) -> list[Enqueued]:
        try:
            return self._queue.enqueue(writes, random)
        except BaseException:
            # Whether the server has queued them, nobody here knows: what is kept may be older.
            self._forget(writes)
            raise

    def _forget(self, writes: Sequence[Write], *, but: Sequence[Flight] = ()) -> None:
        """The local half of an invalidation."""
        tags = [*(write.tag for write in writes), self._queue.table]
        self._engine.flights.invalidate([write.name for write in writes], tags, but=but)

    def _pack(
        self, draft: Draft, value: Any, life: Lifetime, *, stamps: Stamps, node: bytes = b""
    ) -> Write:
        data = self._engine.packer.pack(
            draft.name + PATCH if draft.kind == "patch" else draft.name,
            value,
            life,
            now=self._engine.server_time(),
            fill=secrets.token_bytes(FILL_BYTES) if stamps else NO_FILL,
            node=node,
            stamps=stamps,
        )
        return self._write(draft, data, (life.window or life.usable) if stamps else 0.0)

    def _pack_many(self, drafts: Sequence[Draft]) -> list[Write]:
        """Changes that are not cached."""
        bound = [it.name + PATCH if it.kind == "patch" else it.name for it in drafts]
        values = [draft.value for draft in drafts]
        packed = self._engine.packer.pack_unkept(
            zip(bound, values, strict=True), now=self._engine.server_time()
        )
        return [self._write(draft, data, 0.0) for draft, data in zip(drafts, packed, strict=True)]

    def _write(self, draft: Draft, data: bytes, ttl: float) -> Write:
        # A whole value tells its identity.
        whole = draft.kind == "put"
        identity = b"" if whole else self._identities.encode(draft.identity)
        return Write(
            draft.name, draft.kind, identity, data, row_tag_of(draft.name, self._queue.table), ttl
        )

    def _landing(self, draft: Draft) -> _Landing:
        refuse_unstorable(draft.value)
        cache, policy = self._cache, self._policy
        row = row_tag_of(draft.name, self._queue.table)
        tags = [*cache.reads.own_tags(draft.name), row, self._rows]
        value = deepcopy(draft.value) if policy.copy else draft.value
        life = _NO_LIFE if draft.kind == "patch" else cache.reads.lives.of(policy, None, value)
        return _Landing(row, self._engine.flights.open(draft.name, tags), value, life, {})

    def _stamp(self, landings: Sequence[_Landing]) -> bytes:
        """Give each landing the stamps of all its tags but the row's, where they can be had; the node's id."""
        engine = self._engine
        store = engine.open()
        clock = engine.tags.known
        wanted = {tag for it in landings for tag in it.flight.tags if tag != it.row}
        known = {tag: stamp for tag in wanted if (stamp := clock.get(tag)) is not None}
        renew = store is not None and store.outlive(max(it.life.usable for it in landings))
        missing = [tag for tag in wanted if renew or tag not in known]
        if missing and store is not None:
            issued = min(landing.flight.epoch for landing in landings)
            try:
                made, _ = store.make_stamps(missing)
            except (
                RemoteError
            ) as error:  # without them nothing is cached; the queue may work all the same
                engine.stats.count("remote_errors")
                engine.tell("remote_error", detail="stamps", error=error)
                return b""
            concrete = {tag: stamp for tag, stamp in made.items() if stamp is not None}
            engine.tags.learn(issued, concrete)
            known |= concrete
        for landing in landings:
            others = [tag for tag in landing.flight.tags if tag != landing.row]
            if all(tag in known for tag in others):
                landing.stamps = {tag: known[tag] for tag in others}
        return next((stamp.rpartition(b"@")[2] for stamp in known.values()), b"")

    # ---------------------------------------------------------------- this process

    def _land(
        self,
        epoch: int,
        landings: Sequence[_Landing],
        writes: Sequence[Write],
        *,
        outcomes: Sequence[Enqueued],
    ) -> None:
        """The local half: what is known of the rows is old; what was written may be kept."""
        engine = self._engine
        done = [
            (landing, write, outcome)
            for landing, write, outcome in zip(landings, writes, outcomes, strict=True)
            if outcome.id
        ]
        with engine.lock:
            unmoved = engine.tags.epoch == epoch
            self._forget(
                [write for _, write, _ in done], but=[landing.flight for landing, _, _ in done]
            )
            for landing, write, outcome in done:
                if outcome.stamp:
                    landing.stamps = landing.stamps | {
                        write.tag: landing.stamps[write.tag].replace(PLACEHOLDER, outcome.stamp, 1)
                    }
            if unmoved:
                # The reply has just shown them, and nothing was heard since it was asked for.
                engine.tags.learn(
                    engine.tags.epoch,
                    {write.tag: it.stamps[write.tag] for it, write, got in done if got.stamp},
                )
            for landing, write, outcome in done:
                if outcome.stamp and not (landing.life.window and self._policy.l1_ttl is None):
                    self._keep(landing, write)

    def _keep(self, landing: _Landing, write: Write) -> None:
        engine, now = self._engine, self._engine.monotonic()
        entry = to_entry(
            landing.value,
            landing.life,
            self._policy,
            now=now,
            stamps=landing.stamps,
            ttl=landing.life.fresh,
            fill=write.data[FILL],
            draw=engine.draw(),
            careful=engine.debug,
        )
        if clip(entry, self._policy, now):
            if engine.debug:
                engine.fingerprints.take(write.name, landing.value)
            engine.flights.land(landing.flight, entry, now, engine.weigh(entry, len(write.data)))
