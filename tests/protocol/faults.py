"""What the world does by itself: the bus delivers, the server evicts, links and nodes fail, processes die.

What must not be here: reads and writes.
"""

from __future__ import annotations

from typing import Any

from protocol import local, server
from protocol.setup import Setup, Write
from protocol.state import (
    LOST,
    NOBODY,
    NOTICED,
    UP,
    Lease,
    Mark,
    Process,
    Reader,
    Server,
    State,
    Step,
    Writer,
    put,
    writer_of,
)
from protocol.turn import Steps


def steps(setup: Setup, state: State) -> Steps:
    """All that may happen without anybody's doing."""
    for p, queue in enumerate(state.bus):
        for at, message in enumerate(queue):
            if at == 0 or queue[at - 1] != message:
                yield from _delivers(setup, state, p, at)
    yield from _evicts(setup, state)
    yield from _runs_out(setup, state)
    for p, process in enumerate(state.processes):
        if process.link != UP:
            yield _link_moves(setup, state, p)
        elif p in setup.link and f"link {p}" not in state.spent:
            yield _loses_link(state, p)
    for node in setup.failover:
        yield from _fails_over(setup, state, node)
    for p in setup.crash:
        yield from _crashes(setup, state, p)


# -------------------------------------------------------------------- the bus


def _delivers(setup: Setup, state: State, p: int, at: int) -> Steps:
    queue = state.bus[p]
    message = queue[at]
    gone = state._replace(bus=put(state.bus, p, (*queue[:at], *queue[at + 1 :])))
    if message.writer < 0:
        yield Step(
            f"P{p} is woken for k{message.phase}", local.woken(setup, gone, p, message.phase)
        )
        return
    if not setup.rules.link_loses_nothing:
        yield Step(f"the news of w{message.writer} for P{p} is lost", gone)
    write = setup.actors[message.writer]
    assert isinstance(write, Write)
    if message.phase == 2:
        gone = gone._replace(heard=put(gone.heard, p, gone.heard[p] | {message.writer}))
    heard = local.invalidate(
        setup, gone, p, keys=write.keys, slots=setup.slots_of(write), news=message.stamps
    )
    yield Step(f"P{p} hears of phase {message.phase} of w{message.writer}", heard)


def _loses_link(state: State, p: int) -> Step:
    process = state.processes[p]._replace(link=LOST)
    return Step(
        f"P{p} loses its link",
        state._replace(
            processes=put(state.processes, p, process),
            bus=put(state.bus, p, ()),
            spent=state.spent | {f"link {p}"},
        ),
    )


def _link_moves(setup: Setup, state: State, p: int) -> Step:
    """A lost link is noticed, and later it is back; from then on nothing that was told before is news."""
    told = frozenset(
        index
        for index, me in enumerate(state.actors)
        if isinstance(me, Writer) and (me.phase == "done" or _has_told(me))
    )
    state = state._replace(heard=put(state.heard, p, state.heard[p] | told))
    if state.processes[p].link == NOTICED:
        return Step(f"P{p} has its link again", local.forget_all(setup, state, p, UP))
    if setup.rules.link_forgets:
        return Step(
            f"P{p} notices that its link is lost", local.forget_all(setup, state, p, NOTICED)
        )
    process = state.processes[p]._replace(link=UP)
    return Step(
        f"P{p} has its link again unnoticed",
        state._replace(processes=put(state.processes, p, process)),
    )


def _has_told(me: Writer) -> bool:
    return me.phase == "lands" or (me.phase == "invalidates" and not me.pending)


# -------------------------------------------------------------------- eviction


def _evicts(setup: Setup, state: State) -> Steps:
    at, evict = state.server, setup.evict
    for key in range(setup.keys):
        if "e" in evict and at.entries[key] is not None:
            yield _drops(state, f"entry k{key}", entries=put(at.entries, key, None))
        lease = at.leases[key]
        if isinstance(lease, Lease) and "l" in evict:
            yield _drops(state, f"lease k{key}", leases=put(at.leases, key, None))
        if (
            isinstance(lease, frozenset)
            and "m" in evict
            and _may_go(setup, state, ("key", key), lease)
        ):
            yield _drops(state, f"mark k{key}", leases=put(at.leases, key, None))
    for slot, stamp in enumerate(at.stamps):
        if isinstance(stamp, int) and "s" in evict:
            yield _drops(state, f"stamp t{slot}", stamps=put(at.stamps, slot, None))
        name = ("tag", slot) if slot < setup.tags else ("key", slot - setup.tags)
        if isinstance(stamp, frozenset) and "m" in evict and _may_go(setup, state, name, stamp):
            yield _drops(state, f"mark t{slot}", stamps=put(at.stamps, slot, None))
        beside = at.beside[slot]
        if beside and "m" in evict and _may_go(setup, state, name, beside):
            yield _drops(state, f"mark beside t{slot}", beside=put(at.beside, slot, NOBODY))
    if "q" in evict and "sequence" not in state.spent:
        spent = state._replace(spent=state.spent | {"sequence"})
        yield _drops(spent, "the sequence", sequence=server.LINEAGE)


def _runs_out(setup: Setup, state: State) -> Steps:
    """The token of a writer that died ends by itself, here earlier and there later; those of others stay."""
    for index, me in enumerate(state.actors):
        if me.phase != "crashed" or "r" not in setup.evict:
            continue
        for key, lease in enumerate(state.server.leases):
            if isinstance(lease, frozenset) and not lease.isdisjoint({index, ~index}):
                left = _without(setup, lease, index)
                leases = put(state.server.leases, key, left)
                yield _drops(state, f"the token of w{index} in k{key}", leases=leases)
        for slot, stamp in enumerate(state.server.stamps):
            if isinstance(stamp, frozenset) and not stamp.isdisjoint({index, ~index}):
                stamps = put(state.server.stamps, slot, _without(setup, stamp, index))
                yield _drops(state, f"the token of w{index} in t{slot}", stamps=stamps)


def _without(setup: Setup, mark: Mark, token: int) -> Mark | None:
    left = mark - {token, ~token}
    return (server.flagged(left) if setup.rules.run_out_flags else left) or None


def _drops(state: State, what: str, **changes: Any) -> Step:
    at = state.server._replace(**changes)
    return Step(f"the server drops {what}", state._replace(server=at))


def _may_go(setup: Setup, state: State, name: tuple[str, int], mark: Mark) -> bool:
    """Not between its last re-assertion and the commit, which is an assumption."""
    if not setup.rules.marks_hold:
        return True
    for token in mark:
        me = state.actors[writer_of(token)]
        assert isinstance(me, Writer)
        again = me.phase == "reasserts" and name not in me.pending and ("all",) not in me.pending
        if again or me.phase == "commits":
            return False
    return True


# -------------------------------------------------------------------- nodes


def _fails_over(setup: Setup, state: State, node: int) -> Steps:
    """A replica stops following, and takes over later; the links to that node are lost with it."""
    behind, took = f"node {node} behind", f"node {node} failed"
    if behind not in state.spent:
        replica = _only(setup, state.server, node)
        if setup.rules.nodes_named:
            # Its stamps will be renamed with the node, so that it does not matter which they are.
            stamps = tuple(1 if isinstance(stamp, int) else stamp for stamp in replica.stamps)
            replica = replica._replace(stamps=stamps)
        yield Step(
            f"the replica of node {node} stops here",
            state._replace(
                replicas=put(state.replicas, node, replica), spent=state.spent | {behind}
            ),
        )
    elif took not in state.spent:
        yield Step(f"the replica of node {node} takes over", _takes_over(setup, state, node, took))


def _only(setup: Setup, at: Server, node: int) -> Server:
    """The server with nothing but what lies on one node."""
    if not setup.cluster:
        return at
    stamps = tuple(
        stamp if setup.node_of(slot) == node else None for slot, stamp in enumerate(at.stamps)
    )
    nothing = (None,) * setup.keys
    if node == 0:
        return at._replace(stamps=stamps)
    return at._replace(entries=nothing, leases=nothing, stamps=stamps)


def _takes_over(setup: Setup, state: State, node: int, took: str) -> State:
    at, old = state.server, state.replicas[node]
    assert old is not None
    if not setup.cluster or node == 0:
        at = at._replace(entries=old.entries, leases=old.leases)
    if not setup.cluster:
        at = at._replace(sequence=old.sequence, made_at=old.made_at)
    nodes = put(at.nodes, node, at.nodes[node] + 1)
    state = state._replace(
        server=at._replace(nodes=nodes),
        replicas=put(state.replicas, node, None),
        spent=state.spent | {took},
    )
    for slot in range(setup.slots):
        if setup.node_of(slot) == node:
            stamp = old.stamps[slot]
            if isinstance(stamp, int) and setup.rules.nodes_named:
                stamp = server.fresh(state)
            at = state.server
            state = state._replace(server=at._replace(stamps=put(at.stamps, slot, stamp)))
    if setup.cluster and setup.bus_node != node:
        return state
    links = tuple(
        process._replace(link=LOST) if process.link == UP else process
        for process in state.processes
    )
    return state._replace(processes=links, bus=((),) * setup.processes)


# -------------------------------------------------------------------- processes


def _crashes(setup: Setup, state: State, p: int) -> Steps:
    """All that the process was doing ends where it is; nobody there can be served an old value any more."""
    if f"crash {p}" in state.spent:
        return
    actors = tuple(
        (Reader("crashed") if isinstance(me, Reader) else Writer("crashed"))
        if what.process == p and me.phase not in {"idle", "done", "crashed"}
        else me
        for me, what in zip(state.actors, setup.actors, strict=True)
    )
    if actors == state.actors:
        return
    process = Process((None,) * setup.keys, (None,) * setup.slots, state.processes[p].link)
    yield Step(
        f"P{p} dies",
        state._replace(
            actors=actors,
            processes=put(state.processes, p, process),
            bus=put(state.bus, p, ()),
            heard=put(state.heard, p, frozenset(range(len(setup.actors)))),
            spent=state.spent | {f"crash {p}"},
        ),
    )
