"""A cache that was used before `os.fork` works on both sides of it, and neither side harms the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from processes import forking

from cachewright.embedded import EmbeddedServer
from rig.processes import Fleet


def forked(work: Callable[..., Any], **arguments: Any) -> tuple[Any, Any]:
    """What the child and the parent saw."""
    with Fleet() as fleet:
        fleet.start(work, 1, **arguments)
        child, parent = fleet.results()[0]
        assert child is not None, "the child hung"
        return child, parent


def test_a_cache_works_in_a_forked_child_on_connections_of_its_own(
    server: EmbeddedServer, namespace: str
) -> None:
    child, parent = forked(forking.use_in_both, url=server.url, namespace=namespace)
    assert child == {"seen": ["value", "loaded"], "stored": True, "link": "up", "shared": False}
    assert parent["seen"] == ["value", 1]
    assert parent["hit"], "the parent's memory is as it was"
    assert parent["link"] == "up"
    assert parent["same sockets"]
    assert parent["errors"] == 0


def test_parent_and_child_hear_of_each_others_invalidations(
    server: EmbeddedServer, namespace: str
) -> None:
    child, parent = forked(forking.hear_each_other, url=server.url, namespace=namespace)
    assert child == {"before": ["old", "old"], "heard": True}
    assert parent == {"heard": True}


def test_a_fork_amid_the_calls_of_other_threads_leaves_no_lock_held(
    valkey: EmbeddedServer, namespace: str
) -> None:
    work = {"url": valkey.url, "namespace": namespace, "forks": 15}
    child, parent = forked(forking.fork_amid_calls, **work)
    assert child == [True] * 15
    assert parent == 2


def test_no_call_imports_anything(valkey: EmbeddedServer, namespace: str) -> None:
    """An import that another thread is in the middle of at the fork never ends in the child, and hangs it."""
    with Fleet() as fleet:
        fleet.start(forking.modules_imported_by_calls, 1, url=valkey.url, namespace=namespace)
        assert fleet.results() == [[]]


@pytest.mark.parametrize("with_server", [False, True])
def test_a_child_does_not_wait_for_a_load_of_its_parents_thread(
    valkey: EmbeddedServer, namespace: str, with_server: bool
) -> None:
    url = valkey.url if with_server else None
    child, parent = forked(forking.fork_amid_a_load, url=url, namespace=namespace)
    assert child == "of the child"
    assert parent == ["of the parent", "of the parent"]


def test_a_child_renews_its_own_leases(valkey: EmbeddedServer, namespace: str) -> None:
    refused = forked(forking.load_long_in_child, url=valkey.url, namespace=namespace)
    assert refused == (0, 0)


def test_the_refreshes_of_a_parent_do_not_count_in_its_child(
    valkey: EmbeddedServer, namespace: str
) -> None:
    refreshes = forked(forking.refresh_in_child, url=valkey.url, namespace=namespace)
    assert refreshes == (1, 16)


def test_what_a_parent_owes_to_the_server_its_child_owes_too(namespace: str) -> None:
    assert forked(forking.keep_what_is_owed, url="", namespace=namespace) == (1, 1)


def test_a_cache_that_was_made_before_the_fork_and_used_after_it_works(
    valkey: EmbeddedServer, namespace: str
) -> None:
    child, parent = forked(forking.fork_before_first_use, url=valkey.url, namespace=namespace)
    assert child == ["value", "up"]
    assert parent == ["value", True]


def test_a_child_that_closes_its_cache_does_not_hang_up_for_the_parent(
    valkey: EmbeddedServer, namespace: str
) -> None:
    child, parent = forked(forking.fork_and_close, url=valkey.url, namespace=namespace)
    assert child == "closed"
    assert parent == ["value", "up", True]
