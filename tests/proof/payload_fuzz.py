"""A million hostile entries, opened as the engine opens them; a sample of them through a real server.

What must not be here: what makes them hostile (`hostile`).
"""

from __future__ import annotations

import pickle
import random
import resource
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from cachewright import Cache
from cachewright.core.packing import Packer, remaining
from cachewright.embedded import EmbeddedServer
from cachewright.errors import CodecError
from cachewright.types import ABSENT
from proof.experiment import Experiment, Measured, Number, Run
from proof.hostile import (
    MOST,
    NOW,
    TRAP,
    Config,
    Hostile,
    Stored,
    bombs,
    configs,
    entries,
    hostile,
)
from rig.mutations import mutate
from rig.processes import Fleet

PROCESSES = 2
MOST_MEMORY = 32
"""MiB that reading may take beyond what a process has before: a value may have one, and is held several times."""
CODE = {
    "exec",
    "compile",
    "import",
    "marshal.loads",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
}
"""Audit events of code that runs, or is about to."""

Open = Callable[[Hostile], Any]


class Watch:
    """What happens while hostile bytes are read."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self.examples: dict[str, str] = {}
        self._watching = False
        self._events: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event in CODE:
            self._events.append(f"{event}{arguments[:2]}")

    def attempt(self, one: Hostile, read: Open) -> Any:
        """What reading it brings; `CodecError` itself if it was refused, `Exception` if it crashed."""
        began = time.perf_counter()
        self._watching = True
        try:
            outcome = read(one)
        except CodecError:
            outcome = CodecError
        except Exception as error:  # noqa: BLE001 - that nothing else is raised is the promise
            outcome = Exception
            self.count("crashed", repr(error)[:200])
        finally:
            self._watching = False
            self.slowest = max(self.slowest, time.perf_counter() - began)
        self.counts[one.kind] += 1
        events, self._events = self._events, []
        if events and not (type(outcome) is type(one.truth) and outcome == one.truth):
            self.count("code run", events[0])
        return outcome

    def count(self, what: str, example: str) -> None:
        """One more, and how it looked."""
        self.counts[what] += 1
        self.examples.setdefault(what, example)


def _peak() -> float:
    """The most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# -------------------------------------------------------------------- ours


def fuzz(
    index: int, *, seed: int, times: int, payloads: Sequence[tuple[int, bytes]]
) -> Mapping[str, Any]:
    """In a process of its own: so many hostile entries for all configurations."""
    draw, watch = random.Random(f"{seed} {index}"), Watch()
    made = [(config, config.packer, entries(config)) for config in configs()]
    for config, packer, stored in made:
        _read_all(watch, config, packer, stored)
    before = _peak()
    for config, packer, stored in made:
        source = hostile(draw, config, stored, payloads)
        for _ in range(times // len(made)):
            _judge(watch, config, next(source), packer)
    grown = _peak() - before
    return {
        "counts": watch.counts,
        "slowest": watch.slowest,
        "grown": grown,
        "examples": watch.examples,
    }


def _read_all(watch: Watch, config: Config, packer: Packer, stored: Sequence[Stored]) -> None:
    """What was not touched must come back: else nothing that follows shows anything."""
    for one in stored:
        value = packer.value(one.key, packer.open(one.key, one.data))
        assert value is ABSENT if one.value is ABSENT else value == one.value, config.name


def _judge(watch: Watch, config: Config, one: Hostile, packer: Packer) -> None:
    def read(one: Hostile) -> Any:
        envelope = packer.open(one.key, one.data)
        remaining(envelope, NOW)
        return packer.value(one.key, envelope)

    outcome = watch.attempt(one, read)
    if outcome in (CodecError, Exception):
        return
    watch.counts["accepted"] += 1
    if one.tied:
        watch.count("moved and accepted", config.name)
    elif config.authentic and not (type(outcome) is type(one.truth) and outcome == one.truth):
        watch.count("forged", config.name)


def ours(how: Run) -> Measured:
    """In two processes; then a sample through a server."""
    total = how.pick(ci=20_000, full=1_000_000)
    with Fleet() as fleet:
        payloads = bombs()
        fleet.start(fuzz, PROCESSES, seed=how.seed, times=total // PROCESSES, payloads=payloads)
        results = fleet.results(900)
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result["counts"])
    counts.update(_through_a_server(how, payloads))
    grown = max(result["grown"] for result in results)
    examples = {key: text for result in results for key, text in result["examples"].items()}
    slowest = 1000 * max(result["slowest"] for result in results)
    return _measured(counts, grown=grown, examples=examples, slowest=slowest)


BROKEN = ("crashed", "code run", "moved and accepted", "forged", "raised by a verb")


def _measured(
    counts: Counter[str], *, grown: float, examples: Mapping[str, str], slowest: float
) -> Measured:
    numbers: dict[str, Number] = {
        what: counts[what] for what in ("damaged", "moved", "bombs", "accepted")
    }
    numbers |= {what: counts[what] for what in BROKEN}
    numbers |= {"through a server": counts["through a server"], "memory grown MiB": grown}
    numbers |= {
        "slowest ms": slowest,
        **{f"such as: {what}": text for what, text in examples.items()},
    }
    violations = sum(counts[what] for what in BROKEN) + (grown > MOST_MEMORY)
    return Measured(violations, numbers)


def _through_a_server(how: Run, payloads: Sequence[tuple[int, bytes]]) -> Counter[str]:
    """The bytes that a cache stored itself, damaged where they lie, read by all verbs that read."""
    counts: Counter[str] = Counter()
    draw = random.Random(how.seed)
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as raw:
        for config in configs()[::3]:
            options = {**config.options, "max_value_bytes": MOST}
            with Cache(server.url, namespace="fuzz", **options) as cache:
                stored = _stored_by(cache, raw, config)
                source = hostile(draw, config, stored, payloads)
                for _ in range(how.pick(ci=40, full=800)):
                    one = next(source)
                    raw.set(cache.engine.keys.entry(one.key), one.data)
                    _read_back(counts, config, cache, one=one)
    return counts


def _stored_by(cache: Cache, raw: redis.Redis, config: Config) -> list[Stored]:
    stored = []
    for one in entries(config):
        cache.set(one.key, one.value) if one.value is not ABSENT else cache.get_or_load(
            one.key, lambda: ABSENT, default=None
        )
        data = raw.get(cache.engine.keys.entry(one.key))
        if isinstance(data, bytes):
            stored.append(Stored(one.key, one.value, data))
    return stored


def _read_back(counts: Counter[str], config: Config, cache: Cache, *, one: Hostile) -> None:
    counts["through a server"] += 1
    wanted = None if one.truth is ABSENT else one.truth
    try:
        got = [
            cache.get(one.key, wanted, verify=True),
            cache.get_many([one.key], verify=True).get(one.key, wanted),
            cache.get_or_load(one.key, lambda: one.truth, verify=True, default=None),
        ]
    except Exception as error:  # noqa: BLE001 - that nothing is raised is the promise
        counts["raised by a verb"] += 1
        print(f"raised by a verb: {error!r}")
        return
    if config.authentic and any(value != wanted for value in got):
        counts["moved and accepted" if one.tied else "forged"] += 1


# -------------------------------------------------------------------- control


def fuzz_naively(index: int, *, seed: int, times: int, bomb: bytes) -> Mapping[str, Any]:
    """Pickles, compressed without a limit to what they inflate to, as many caches store them."""
    resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))  # a damaged pickle may ask for anything
    draw, watch = random.Random(seed), Watch()
    good = [pickle.dumps({"number": n, "list": list(range(n))}) for n in range(20)]
    before = _peak()
    for n in range(times):
        data = (
            bomb if n % 100 == 0 else TRAP if n % 100 == 1 else mutate(draw, *draw.sample(good, 2))
        )
        watch.attempt(Hostile("damaged", "k", data, "the truth"), _read_naively)
    return {
        "counts": watch.counts,
        "slowest": watch.slowest,
        "grown": _peak() - before,
        "examples": watch.examples,
    }


def _read_naively(one: Hostile) -> Any:
    data = zlib.decompress(one.data) if one.data[:1] == b"x" else one.data
    return pickle.loads(data)


def control(how: Run) -> Measured:
    """Damaged pickles."""
    bomb = zlib.compress(pickle.dumps(bytes(64 * MOST)))
    times = how.pick(ci=1_000, full=5_000)
    with Fleet() as fleet:
        fleet.start(fuzz_naively, 1, seed=how.seed, times=times, bomb=bomb)
        result = fleet.results(300)[0]
    counts: Counter[str] = Counter(result["counts"])
    slowest = 1000 * result["slowest"]
    return _measured(counts, grown=result["grown"], examples=result["examples"], slowest=slowest)


EXPERIMENT = Experiment(
    name="payload_fuzz",
    what="1,000,000 entries with flipped bits, cut, spliced, with bombs or pickles inside, or moved to another key, "
    "for 4 codecs, 3 compressors, sealed and not",
    target="no code run, no crash, memory bounded, nothing moved or forged is accepted",
    ours=ours,
    control=control,
    control_is="pickles, inflated without a limit",
)
