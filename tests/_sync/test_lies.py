# Generated from _async/test_lies.py by tools/unasync.py. Do not edit.
"""A server may answer anything: reads are misses then, within their time, and never an error of ours."""

from __future__ import annotations

import time

import pytest
from _sync.server_trouble import (
    QUICK,
    all_verbs_work_without_the_server,
    load_both,
    load_value,
)

from cachewright import Cache, Policy
from cachewright.core.policy import Timeouts
from rig.liar import Liar

LIES = {
    "an integer": b":7\r\n",
    "nil": b"$-1\r\n",
    "OK": b"+OK\r\n",
    "a string": b"$3\r\nxyz\r\n",
    "a long string": b"$200\r\n" + b"\x01" * 200 + b"\r\n",
    "an empty array": b"*0\r\n",
    "an array of nil": b"*3\r\n$-1\r\n$-1\r\n$-1\r\n",
    "an array of integers": b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
    "an array of strings": b"*3\r\n$3\r\nabc\r\n$3\r\nabc\r\n$3\r\nabc\r\n",
    "arrays in arrays": b"*2\r\n*1\r\n:1\r\n*1\r\n:1\r\n",
    "an entry that is none": b"*2\r\n$5\r\nentry\r\n$4\r\nabcd\r\n",
    "a lease that never ends": b"*2\r\n$4\r\nheld\r\n:99999999999\r\n",
    "an error": b"-ERR no\r\n",
    "a lost script": b"-NOSCRIPT No matching script\r\n",
    "no protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "half a reply": b"$100\r\nxyz",
    "two replies for one": b":1\r\n:2\r\n",
    "the end": b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_answers_nonsense_is_a_miss(lie: str, namespace: str) -> None:
    policy = Policy(timeouts=Timeouts(call=0.05, connect=0.1, load=0.2))
    with Liar(lambda command: LIES[lie]) as liar:
        with Cache(liar.url, namespace=namespace, policy=policy) as cache:
            began = time.monotonic()
            assert cache.get("nothing", "default") == "default"
            assert cache.get_or_load("loaded", load_value, tags=["row"]) == "value"
            assert cache.get_or_load_many(["x", "y"], load_both) == {"x": 1, "y": 2}
            assert cache.get_many(["x", "y"]) in ({}, {"x": 1, "y": 2})
            cache.set("given", 1, tags=["row"])
            cache.add("added", 1)
            cache.touch("loaded", ttl=10)
            cache.ttl("nothing")
            cache.invalidate("loaded", tags=["row"])
            with cache.writing(keys=["loaded"]) as write:
                write.before_commit()
            assert cache.get_or_load("loaded", load_value, verify=True) == "value"
            assert time.monotonic() - began < 4 * QUICK
        assert liar.lies


@pytest.mark.parametrize("lie", LIES)
def test_a_greeting_that_is_nonsense_is_a_server_that_is_down(
    lie: str, namespace: str
) -> None:
    policy = Policy(timeouts=Timeouts(call=0.05, connect=0.1, load=0.2))
    with Liar(lambda command: LIES[lie], rude=True) as liar:
        with Cache(liar.url, namespace=namespace, policy=policy) as cache:
            all_verbs_work_without_the_server(cache)
            assert cache.stats().link == "lost"
