"""`{% cachemany %}`: all fragments of a list in one round trip, the missing ones rendered, each falling for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from integrations.pages import Pages

from cachewright import InvalidKey
from cachewright.integrations.jinja2.rendering_many import Many
from cachewright.testing import FakeClock
from rig.proxy import FaultProxy

Make = Callable[..., Pages]
ROWS = "{% cachemany 'row', i in items, key=i.id, tags=['row:' ~ i.id] %}{{ mark(i.id) }}<{{ i.name }}>{% endcachemany %}"


def rows(*names: str) -> list[dict[str, Any]]:
    """Items whose ids are their places."""
    return [{"id": n, "name": name} for n, name in enumerate(names)]


async def test_only_what_is_missing_is_rendered_and_the_order_is_the_list_s(pages: Make) -> None:
    site = pages(ROWS)
    assert await site.render(items=rows("a", "b")) == "<a><b>"
    assert await site.render(items=rows("A", "B", "<")[::-1]) == "<&lt;><b><a>"
    assert site.rendered == {"0": 1, "1": 1, "2": 1}


async def test_an_item_twice_in_a_list_is_rendered_once(pages: Make) -> None:
    site = pages(ROWS)
    assert await site.render(items=rows("a") * 3) == "<a><a><a>"
    assert site.rendered == {"0": 1}


async def test_an_empty_list_shows_nothing(pages: Make) -> None:
    site = pages(ROWS)
    assert await site.render(items=[]) == ""


async def test_items_are_taken_apart_and_keys_may_have_parts(pages: Make) -> None:
    site = pages(
        "{% cachemany k, v in d.items(), key=(k, v.n) %}{{ mark(k) }}{{ k }}{{ v.t }}{% endcachemany %}"
    )
    given = {"a": {"n": 1, "t": "x"}, "b": {"n": "1", "t": "y"}}
    for _ in range(2):
        assert await site.render(d=given) == "axby"
    assert site.rendered == {"a": 1, "b": 1}


async def test_lifetimes_may_differ_from_item_to_item(pages: Make) -> None:
    clock = FakeClock()
    site = pages(
        "{% cachemany i in items, key=i, ttl=10 * i %}{{ n }}{% endcachemany %}", clock=clock
    )
    await site.render(items=[1, 2], n="a")
    clock.advance(15)
    assert await site.render(items=[1, 2], n="b") == "ba"


async def test_two_hundred_fragments_take_one_round_trip(pages: Make, server: Any) -> None:
    items = rows(*map(str, range(200)))
    with FaultProxy(server.tcp_url) as proxy:
        cold = pages(ROWS, place=server.url, namespace="many")
        warm = pages(ROWS, place=proxy.url, namespace="many")
        await cold.render(items=items)
        await warm.render(items=rows("0"))  # opens the connection, and learns the stamps
        proxy.reset_counters()
        assert (await warm.render(items=items)).count("<") == 200
        assert proxy.round_trips <= 1 + 2, (
            "the stamps of the tags, and a heartbeat, if it so happens"
        )
        assert warm.rendered == {}


DEEP = (
    "{% cachemany i in items, key=i %}{{ mark(i) }}"
    "{% cache 'part', i, tags=['row:' ~ i] %}{{ n }}{% endcache %}{% endcachemany %}"
)


async def test_a_write_takes_along_the_item_that_it_concerns_and_no_other(pages: Make) -> None:
    site = pages(DEEP)
    await site.render(items=[1, 2, 3], n="a")
    await site.invalidate("row:2")
    assert await site.render(items=[1, 2, 3], n="b") == "aba"
    assert site.rendered == {"1": 1, "2": 2, "3": 1}


async def test_rendered_together_a_write_would_take_all_along(
    pages: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what is read inside a load is a dependency of all that the load brings."""
    monkeypatch.setattr(Many, "together", lambda self, missing: True)
    site = pages(DEEP)
    await site.render(items=[1, 2, 3], n="a")
    await site.invalidate("row:2")
    await site.render(items=[1, 2, 3], n="b")
    assert site.rendered == {"1": 2, "2": 2, "3": 2}


async def test_blocks_that_read_nothing_are_loaded_together(pages: Make) -> None:
    site = pages(ROWS)
    await site.render(items=rows("a"))
    calls = []
    load_many = site.cache.get_or_load_many

    def counted(keys: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(len(keys))
        return load_many(keys, *args, **kwargs)

    site.cache.get_or_load_many = counted
    assert await site.render(items=rows("a", "b", "c", "d")) == "<a><b><c><d>"
    assert calls == [3]
    await site.invalidate("row:2")
    assert await site.render(items=rows("A", "B", "C", "D")) == "<a><b><C><d>"


async def test_the_list_hands_up_what_its_items_are_made_of(pages: Make) -> None:
    site = pages(f"{{% cache 'list' %}}{ROWS}{{% endcache %}}")
    await site.render(items=rows("a", "b"))
    for n in range(3):
        await site.invalidate("row:1")
        assert await site.render(items=rows("A", f"B{n}")) == f"<a><B{n}>"


async def test_an_error_in_one_item_reaches_the_page(pages: Make) -> None:
    site = pages("{% cachemany i in items, key=i %}{{ 1 // i }}{% endcachemany %}")
    with pytest.raises(ZeroDivisionError):
        await site.render(items=[1, 0])
    assert await site.render(items=[1]) == "1"


async def test_a_key_without_a_spelling_is_refused(pages: Make) -> None:
    site = pages("{% cachemany 'r', i in items, key=i.nothing %}x{% endcachemany %}")
    with pytest.raises(InvalidKey, match="fragment 'r': key part 1 is undefined"):
        await site.render(items=[{}])


async def test_items_may_come_one_after_the_other_in_asyncio() -> None:
    site = Pages({"page": ROWS}, asynchronous=True)

    async def items() -> Any:
        for row in rows("a", "b"):
            yield row

    for _ in range(2):
        assert await site.render(items=items()) == "<a><b>"
    await site.close()
