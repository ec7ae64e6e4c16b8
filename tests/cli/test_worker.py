"""`cachewright worker` and `cachewright dead-letters`, as processes over a queue of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patterns._sync.desk import People, door, new_cache, person

ROOT = Path(__file__).resolve().parents[2]
SHOP = """
import os
from pathlib import Path
from types import SimpleNamespace
from patterns.{world}.desk import {people}, door, new_cache

server = SimpleNamespace(url=os.environ["SHOP_URL"])
people = door(
    new_cache(server, os.environ["SHOP_NAMESPACE"]), {people}(Path("people.db")), deliveries=1, worker=False
)
"""


@pytest.fixture(params=["_sync", "_async"])
def shop(request: Any, valkey: Any, namespace: str, tmp_path: Path) -> SimpleNamespace:
    """An application in a folder: its module `shop`, its queue, its database."""
    people = "AsyncPeople" if request.param == "_async" else "People"
    (tmp_path / "shop.py").write_text(SHOP.format(world=request.param, people=people))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}",
        "SHOP_URL": valkey.url,
        "SHOP_NAMESPACE": namespace,
    }

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cachewright.cli", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(*arguments: str) -> tuple[int, str, str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    return SimpleNamespace(
        start=start,
        run=run,
        people=People(tmp_path / "people.db"),
        server=valkey,
        namespace=namespace,
    )


def put(shop: Any, *values: Any) -> None:
    with (
        new_cache(shop.server, shop.namespace) as cache,
        door(cache, shop.people, worker=False) as writes,
    ):
        writes.put_many(values)


def test_a_worker_applies_what_is_queued_and_ends_when_it_is_told_to(shop: Any) -> None:
    put(shop, *(person(n) for n in range(100)))
    worker = shop.start("worker", "shop:people", "--json", "--every", "0.1")
    first = json.loads(worker.stdout.readline())
    assert {"state", "entries", "age", "rate", "applied", "parked", "dead", "holds"} == set(first)
    deadline = time.monotonic() + 20
    while len(shop.people.rows()) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    put(shop, *(person(n) for n in range(100, 1100)))
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=20)
    assert (worker.returncode, err) == (0, "")
    assert len(shop.people.rows()) == 1100
    last = json.loads(out.splitlines()[-1])
    assert (last["state"], last["entries"]) == ("stopping", 0)


def test_a_worker_whose_source_is_away_ends_at_its_drain_timeout_and_loses_nothing(
    shop: Any,
) -> None:
    """SIGTERM with 10,000 changes in the queue."""
    put(shop, *(person(n) for n in range(10_000)))
    shop.people.path.rename(shop.people.path.with_suffix(".away"))
    shop.people.path.mkdir()
    worker = shop.start("worker", "shop:people", "--json", "--drain-timeout", "1")
    worker.stdout.readline()
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert (
        time.monotonic() - began < 2.0 + 1.0
    )  # the timeout, and a second; one more on a busy machine
    shop.people.path.rmdir()
    shop.people.path.with_suffix(".away").rename(shop.people.path)
    assert shop.run("worker", "shop:people", "--once", "--every", "0.1")[0] == 0
    assert [row["writes"] for row in shop.people.rows()] == [1] * 10_000


def test_dead_letters_are_listed_shown_retried_and_dropped(shop: Any) -> None:
    put(shop, person(1, "poison one"), person(2, "poison two"), person(3))
    assert shop.run("worker", "shop:people", "--once", "--every", "0.1")[0] == 0
    code, out, err = shop.run("dead-letters", "list", "shop:people", "--json")
    assert (code, err) == (0, "")
    letters = {letter["key"]: letter for letter in map(json.loads, out.splitlines())}
    assert set(letters) == {"people:1", "people:2"}
    assert "CHECK constraint" in shop.run("dead-letters", "list", "shop:people")[1].replace(
        "\n", " "
    )
    shown = shop.run("dead-letters", "show", "shop:people", letters["people:1"]["id"])[1]
    assert "poison one" in shown
    shop.people.allow_poison()
    code, out, _ = shop.run("dead-letters", "retry", "shop:people", letters["people:1"]["id"])
    assert (code, out) == (0, "1 delivered anew\n")
    code, out, _ = shop.run(
        "dead-letters", "drop", "shop:people", letters["people:2"]["id"], "--yes", "--json"
    )
    assert (code, json.loads(out)) == (0, {"dropped": 1})
    assert shop.run("worker", "shop:people", "--once", "--every", "0.1")[0] == 0
    assert [row["name"] for row in shop.people.rows()] == ["poison one", "Ada"]
    assert shop.run("dead-letters", "list", "shop:people")[1] == "No dead letters.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("worker", "shop:server"), "is no write-behind"),
        (("worker", "nowhere:people"), "no module"),
        (("dead-letters", "show", "shop:people", "0:1-1"), "no dead letter"),
        (("dead-letters", "retry", "shop:people"), "--all"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_code_2(
    shop: Any, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = shop.run(*arguments)
    assert code == 2
    assert said in err
