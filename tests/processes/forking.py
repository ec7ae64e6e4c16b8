"""What a process does that forks: for test_fork.py, in members of a fleet, since a test's own process must not.

Each function returns what the child saw (None if it hung and had to be killed), and what the parent saw afterwards.
What must not be here: assertions.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from cachewright import MISSING, Cache, Policy

PATIENCE = 8.0


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returned in a forked child, or the error it raised as text; None for a child that hung."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is to hear of it
            result = repr(error)
        os.write(writes, json.dumps(result).encode())
        os._exit(0)
    os.close(writes)
    try:
        ready, _, _ = select.select([reads], [], [], PATIENCE)
        said = os.read(reads, 65536) if ready else b"null"
    finally:
        os.close(reads)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return json.loads(said)


def wait_until(true: Callable[[], Any]) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + PATIENCE / 2
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def sockets() -> set[int]:
    """The inodes of all connected sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # it was the directory itself
        if target.startswith("socket:"):
            found.add(int(target[8:-1]))
    return found


def _inodes_in_use(cache: Cache) -> set[int]:
    store, bus = cache.engine.store, cache.engine.bus
    assert store is not None
    assert bus is not None
    links = [*store.pipe._idle]
    if bus._subscription is not None:
        links.append(bus._subscription._link)
    return {os.fstat(link._socket.fileno()).st_ino for link in links}


def use_in_both(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """A cache that was used before the fork is used in the child and then in the parent."""
    with Cache(url, namespace=namespace) as cache:
        cache.set("k", "value")
        cache.get_or_load("l", lambda: "loaded")
        inherited = _inodes_in_use(cache)

        def child() -> Any:
            seen = [cache.get("k"), cache.get_or_load("l", lambda: "loaded again")]
            stored = cache.set("of the child", 1)
            shared = bool(inherited & _inodes_in_use(cache))
            return {"seen": seen, "stored": stored, "link": cache.stats().link, "shared": shared}

        said = in_child(child)
        hits = cache.stats().l1_hits
        parent = {
            "seen": [cache.get("k"), cache.get("of the child")],
            "hit": cache.stats().l1_hits > hits,
            "link": cache.stats().link,
            "same sockets": _inodes_in_use(cache) == inherited,
            "errors": cache.stats().remote_errors,
        }
        return said, parent


def hear_each_other(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """The child invalidates for the parent, the parent for the child."""
    with Cache(url, namespace=namespace) as cache:
        for key in ("a", "b"):
            cache.get_or_load(key, lambda: "old")
        ready_reads, ready_writes = os.pipe()

        def parent() -> None:
            os.read(ready_reads, 1)
            cache.invalidate("a")

        helper = threading.Thread(target=parent)

        def child() -> Any:
            first = [cache.get("a"), cache.get("b")]
            cache.invalidate("b")
            os.write(ready_writes, b"x")
            return {"before": first, "heard": wait_until(lambda: "a" not in cache.table)}

        helper.start()
        said = in_child(child)
        helper.join()
        return said, {"heard": wait_until(lambda: "b" not in cache.table)}


def fork_amid_calls(index: int, *, url: str, namespace: str, forks: int) -> tuple[Any, Any]:
    """Forks while other threads read, write and load, so that any lock may be held at that moment."""
    stop = threading.Event()
    with Cache(url, namespace=namespace, max_entries=50) as cache:

        def hammer(number: int) -> None:
            n = 0
            while not stop.is_set():
                n += 1
                key = f"k{(n * 7 + number) % 100}"
                cache.get_or_load(key, lambda n=n: n)  # type: ignore[misc]
                cache.set(key, n)
                cache.invalidate(key)

        crowd = [threading.Thread(target=hammer, args=(n,)) for n in range(4)]
        for thread in crowd:
            thread.start()

        def child() -> Any:
            cache.set("mine", os.getpid())
            return cache.get("mine") == os.getpid() and cache.get_or_load("x", lambda: 1) == 1

        try:
            said = [in_child(child) for _ in range(forks)]
        finally:
            stop.set()
            for thread in crowd:
                thread.join()
        return said, cache.get_or_load("y", lambda: 2)


def fork_amid_a_load(index: int, *, url: str | None, namespace: str) -> tuple[Any, Any]:
    """Forks while another thread loads: the child waits for no flight whose thread it has not."""
    began, end = threading.Event(), threading.Event()
    seen = []

    def load() -> str:
        began.set()
        end.wait()
        return "of the parent"

    # Without a server the flight is all that could be waited for; with one it is the parent's lease, for 0.6 s.
    with Cache(url, namespace=namespace, policy=Policy(lease=0.6), max_loads=1) as cache:
        thread = threading.Thread(target=lambda: seen.append(cache.get_or_load("k", load)))
        thread.start()
        began.wait()

        def child() -> Any:
            if url is None:
                return cache.get_or_load("k", lambda: "of the child")
            return cache.get_or_load("another", lambda: "of the child")

        said = in_child(child)
        end.set()
        thread.join()
        return said, [*seen, cache.get("k")]


def load_long_in_child(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """The parent renews a lease at the moment of the fork; the child must renew its own as well."""
    policy = Policy(lease=0.5)
    began, end = threading.Event(), threading.Event()
    with Cache(url, namespace=namespace, policy=policy) as cache:

        def load() -> int:
            began.set()
            end.wait()
            return 1

        thread = threading.Thread(target=cache.get_or_load, args=("of the parent", load))
        thread.start()
        began.wait()

        def child() -> Any:
            # Three leases long.
            cache.get_or_load("of the child", lambda: time.sleep(1.5))
            return cache.stats().fills_refused

        said = in_child(child)
        end.set()
        thread.join()
        return said, cache.stats().fills_refused


def refresh_in_child(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """As many refreshes as may run at once hang in the parent; the child has none and must begin its own."""
    end = threading.Event()
    with Cache(url, namespace=namespace, policy=Policy(ttl=0.001, stale=100)) as cache:
        keys = [f"k{n}" for n in range(16)]
        for key in [*keys, "x"]:
            cache.get_or_load(key, lambda: "old")
        wait_until(lambda: cache.ttl("x") == 0.0)
        for key in keys:
            cache.get_or_load(key, end.wait)
        begun = cache.stats().refreshes

        def child() -> Any:
            cache.get_or_load("x", lambda: "new")
            return cache.stats().refreshes - begun

        said = in_child(child)
        end.set()
        return said, begun


def keep_what_is_owed(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """An invalidation that failed in the parent is owed by the child as well."""
    with Cache("redis://127.0.0.1:1/0", namespace=namespace) as cache:
        cache.invalidate("k")

        def child() -> Any:
            return cache.stats().pending_repairs

        return in_child(child), cache.stats().pending_repairs


def fork_before_first_use(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """As a server does that loads the application and forks its workers."""
    with Cache(url, namespace=namespace) as cache:

        def child() -> Any:
            cache.set("k", "value")
            return [cache.get("k"), cache.stats().link]

        said = in_child(child)
        return said, [cache.get("k"), cache.get("nothing") is MISSING]


def fork_and_close(index: int, *, url: str, namespace: str) -> tuple[Any, Any]:
    """A child that closes its copy does not hang up for the parent."""
    with Cache(url, namespace=namespace) as cache:
        cache.set("k", "value")

        def child() -> Any:
            cache.close()
            return "closed"

        said = in_child(child)
        assert cache.engine.bus is not None
        link: socket.socket = cache.engine.bus._subscription._link._socket  # type: ignore[union-attr]
        return said, [cache.get("k", verify=True), cache.stats().link, link.fileno() > 0]


def modules_imported_by_calls(index: int, *, url: str, namespace: str) -> list[str]:
    """What the first calls of a process import."""
    cache = Cache(url, namespace=namespace)
    before = set(sys.modules)
    cache.set("k", 1)
    cache.get_or_load("l", lambda: 1, tags=["row"])
    cache.incr("n")
    cache.touch("k", ttl=10)
    with cache.writing(keys=["k"]) as write:
        write.before_commit()
    cache.invalidate("k", tags=["row"])
    imported = sorted(set(sys.modules) - before)
    cache.close()
    return imported
