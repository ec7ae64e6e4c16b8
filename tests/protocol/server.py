"""What the server does, one function for one command: each is a script of src/cachewright/redis/lua, seen from far.

What must not be here: who asks, and what a reply means to them.
"""

from __future__ import annotations

from functools import lru_cache

from protocol.rules import Rules
from protocol.setup import Setup
from protocol.state import (
    NOBODY,
    Entry,
    Lease,
    Mark,
    Process,
    Reader,
    Server,
    Stamp,
    State,
    is_mark,
    put,
)

LINEAGE = 1000
"""A sequence is `lineage * LINEAGE + number`."""


def fresh(state: State) -> int:
    """A stamp that was never seen before."""
    return 1 + max(0, *names(state), 0)


def names(state: State) -> list[int]:
    """All stamps that anybody knows of, in a fixed order."""
    found = [*_in_server(state.server)]
    for replica in state.replicas:
        found += _in_server(replica) if replica else ()
    for process in state.processes:
        found += _in_process(process)
    for me in state.actors:
        found += _in_reader(me) if isinstance(me, Reader) else _ints((*me.news, *me.stamps))
    for messages in state.bus:
        for message in messages:
            found += _ints(message.stamps)
    return found


Ints = tuple[int, ...]


def _ints(stamps: tuple[object, ...] | None) -> Ints:
    return tuple(stamp for stamp in stamps if isinstance(stamp, int)) if stamps else ()


# The same parts come again and again.
@lru_cache(100_000)
def _in_server(at: Server) -> Ints:
    entries = [stamp for entry in at.entries if entry for stamp in _ints(entry.stamps)]
    return (*_ints(at.stamps), *entries)


@lru_cache(100_000)
def _in_process(process: Process) -> Ints:
    memory = [stamp for kept in process.memory if kept for stamp in _ints(kept.stamps)]
    return (*_ints(process.known), *memory)


@lru_cache(100_000)
def _in_reader(me: Reader) -> Ints:
    entries = [each.stamps for each in (me.got, me.seen) if isinstance(each, Entry)]
    each = (me.said, me.stamps, me.gathered, *entries)
    return tuple(stamp for stamps in each for stamp in _ints(stamps))


# -------------------------------------------------------------------- reading


def look(server: Server, slots: tuple[int, ...], said: tuple[Stamp, ...]) -> tuple[Stamp, ...]:
    """MGET of stamps: what is there, with the marks beside it."""
    for slot in slots:
        said = put(said, slot, server.beside[slot] or server.stamps[slot])
    return said


def make(state: State, slots: tuple[int, ...]) -> Server:
    """stamps.lua: the missing ones are made, at the present sequence."""
    server = state.server
    stamps, made_at, name = server.stamps, server.made_at, 0
    for slot in slots:
        if stamps[slot] is None:
            name = name + 1 if name else fresh(state)
            stamps = put(stamps, slot, name)
            made_at = put(made_at, slot, server.sequence)
    return server._replace(stamps=stamps, made_at=made_at)


def covered(server: Server, slot: int, base: int) -> bool:
    """Whether a stamp is shown to be no younger than `base`."""
    made_at = server.made_at[slot]
    return made_at // LINEAGE == base // LINEAGE and made_at <= base


# -------------------------------------------------------------------- filling


def acquire(
    server: Server, key: int, actor: int, *, seen: Entry | None, waiter: int | None
) -> tuple[Entry | str, Server]:
    """acquire.lua: the entry that is not the one `seen`, or "lease", "marked" or "held"."""
    entry, lease = server.entries[key], server.leases[key]
    if entry is not None and entry != seen:
        return entry, server
    if lease is None:
        return "lease", server._replace(leases=put(server.leases, key, Lease(actor)))
    if not isinstance(lease, Lease):
        return "marked", server
    if waiter is not None:
        told = Lease(lease.holder, lease.waiting | {waiter})
        server = server._replace(leases=put(server.leases, key, told))
    return "held", server


def fill(
    server: Server, key: int, actor: int, *, entry: Entry | None, rules: Rules
) -> tuple[bool, frozenset[int], Server]:
    """fill.lua: whether it was stored, and whom to wake. No entry gives the lease back."""
    lease = server.leases[key]
    held = isinstance(lease, Lease) and lease.holder == actor
    if not held and (rules.lease_checked or entry is None):
        return False, frozenset(), server
    waiting = lease.waiting if isinstance(lease, Lease) and held else frozenset()
    if held:
        server = server._replace(leases=put(server.leases, key, None))
    if entry is not None:
        server = server._replace(entries=put(server.entries, key, entry))
    return entry is not None, waiting if rules.fill_wakes else frozenset(), server


# -------------------------------------------------------------------- invalidating


def drop_key(setup: Setup, server: Server, key: int, token: int) -> Server:
    """invalidate.lua for one key: entry, lease and stamp go; the marks of others stay."""
    lease = server.leases[key]
    if is_mark(lease) or setup.rules.key_revokes_lease:
        kept = _left(setup, lease, token) or None
        server = server._replace(leases=put(server.leases, key, kept))
    server = server._replace(entries=put(server.entries, key, None))
    for slot in setup.key_slot(key):
        left = _left(setup, server.stamps[slot], token) or None
        server = server._replace(stamps=put(server.stamps, slot, left))
    return server


def move_tag(setup: Setup, state: State, slot: int, token: int) -> Server:
    """invalidate.lua for one tag: a new stamp, unless others have marked it."""
    server = state.server
    left = _left(setup, server.stamps[slot], token)
    beside = put(server.beside, slot, server.beside[slot] - {token})
    return server._replace(
        stamps=put(server.stamps, slot, left or fresh(state)),
        made_at=put(server.made_at, slot, server.sequence),
        beside=beside,
    )


def _others(rules: Rules, mark: Lease | Stamp, token: int) -> Mark:
    if not isinstance(mark, frozenset):
        return NOBODY
    return mark - {token, ~token} if rules.mark_tokens else NOBODY


def _left(setup: Setup, mark: Lease | Stamp, token: int) -> Mark:
    """The tokens that stand when this one has ended: somebody may have committed since their writers began."""
    left = _others(setup.rules, mark, token)
    return flagged(left) if setup.flags and setup.rules.fill_flags else left


def flagged(mark: Mark) -> Mark:
    """All of these tokens, flagged."""
    return frozenset(token if token < 0 else ~token for token in mark)


def clean(setup: Setup, mark: Lease | Stamp, token: int) -> bool:
    """Whether nobody can have committed since this writer: its token stands, alone and without a flag."""
    if not isinstance(mark, frozenset) or token not in mark:
        return False
    return mark == {token} or not setup.rules.fill_alone


def _joined(setup: Setup, mark: Lease | Stamp, token: int) -> Mark:
    """The mark with this token in it, which stays flagged if it was."""
    mine = ~token if isinstance(mark, frozenset) and ~token in mark else token
    return _others(setup.rules, mark, token) | {mine}


def mark_key(setup: Setup, server: Server, key: int, token: int) -> tuple[bool, Server]:
    """mark.lua for one key: whether a mark had to be made."""
    old = server.leases[key]
    made = not _holds(old, token)
    server = server._replace(
        entries=put(server.entries, key, None),
        leases=put(server.leases, key, _joined(setup, old, token)),
    )
    for slot in setup.key_slot(key):
        stamp = server.stamps[slot]
        made = made or not _holds(stamp, token)
        marked = _joined(setup, stamp, token)
        server = server._replace(stamps=put(server.stamps, slot, marked))
    return made, server


def mark_tag(setup: Setup, server: Server, slot: int, token: int) -> tuple[bool, Server]:
    """mark.lua for one tag."""
    if not setup.rules.mark_replaces:
        beside = server.beside[slot]
        return token not in beside, server._replace(
            beside=put(server.beside, slot, beside | {token})
        )
    old = server.stamps[slot]
    marked = _joined(setup, old, token)
    return not _holds(old, token), server._replace(stamps=put(server.stamps, slot, marked))


def _holds(mark: Lease | Stamp, token: int) -> bool:
    return isinstance(mark, frozenset) and not mark.isdisjoint({token, ~token})


def raise_sequence(server: Server) -> Server:
    """Tags have moved: what is made from now on is younger than the loads under way."""
    return server._replace(sequence=server.sequence + 1)
