"""Acknowledged writes while writers, workers and the server are killed at random. Small; tests/proof has it at size."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import queueing
from processes.queueing import Shop

from rig.processes import Fleet, Member
from rig.waiting import eventually

ON_DISK = {"appendonly": "yes", "appendfsync": "always"}
ROUNDS = 8


def lost(shop: Shop) -> tuple[int, int]:
    """(rows that are older than their last acknowledged write, acknowledged writes)."""
    acknowledged = shop.notes("acknowledged")
    begun = shop.notes("begun") or acknowledged
    rows = {row["id"]: row["age"] for row in shop.people().rows()}
    missing = 0
    for key, versions in acknowledged.items():
        last = max(versions)
        # What was begun later may have been queued as well, although nobody heard of it.
        possible = {last} | {version for version in begun[key] if version > last}
        missing += rows.get(key) not in possible
    return missing, sum(map(len, acknowledged.values()))


def torment(
    fleet: Fleet, server: Any, shop: Shop, record_property: Callable[[str, Any], None]
) -> None:
    """Writers and workers; at random one is killed or frozen, or the server is killed. After each, writes are taken again."""
    draw = random.Random(7)
    writers: list[Member] = fleet.start(queueing.write, 2, shop=shop)
    workers: list[Member] = fleet.start(queueing.work, 2, shop=shop)
    deeds = ["writer", "worker", "freeze", "server"] * (ROUNDS // 4)
    draw.shuffle(deeds)
    for deed in deeds:
        time.sleep(draw.uniform(0.3, 0.8))
        if deed == "writer":
            index = draw.randrange(2)
            writers[index].kill()
            writers[index] = fleet._member(queueing.write, index, {"shop": shop})
            fleet.members.append(writers[index])
        elif deed == "worker":
            workers.pop(0).kill()
            workers += fleet.start(queueing.work, 1, shop=shop)
        elif deed == "freeze":
            workers[0].pause()
            time.sleep(0.8)  # past its lease
            workers[0].resume()
        else:
            server.kill()
            server.start()
        before = shop.written()
        eventually(lambda was=before: shop.written() > was, within=30)
    record_property("deeds", deeds)
    for member in writers:
        member.kill()


def test_nothing_acknowledged_is_lost_and_nothing_applied_twice_whoever_is_killed(
    own_server: Any, namespace: str, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    (tmp_path / "server").mkdir()
    server = own_server(directory=tmp_path / "server", config=ON_DISK)
    shop = Shop(server.url, namespace, tmp_path)
    with Fleet() as fleet:
        torment(fleet, server, shop, record_property)
    with shop.open(shop.people(), worker=True) as writes:
        assert writes.flush(30)
        assert all(each.entries == each.parked == each.dead == 0 for each in writes.backlog())
        writes.cache.close()
    missing, count = lost(shop)
    record_property("acknowledged", count)
    assert missing == 0
    assert shop.people().applied_twice() == 0


def test_a_queue_in_memory_loses_what_was_acknowledged(tmp_path: Path) -> None:
    """The control: the caching guide's write-back (defect 26)."""
    shop = Shop("", "", tmp_path)
    with Fleet() as fleet:
        writer = fleet.start(queueing.write_to_memory, 1, shop=shop)[0]
        deadline = time.monotonic() + 10
        while not any(shop.notes("acknowledged").values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.35)
        writer.kill()
    assert lost(shop)[0] > 0
