"""`{% cache %}` in Jinja2: what is rendered, when it is rendered again, and what its key is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from time import sleep
from typing import Any

import jinja2
import jinja2.sandbox
import pytest
from integrations.pages import PATIENT, Pages
from jinja2.nativetypes import NativeEnvironment

from cachewright import InvalidKey, Policy, Unstorable, current_load
from cachewright.integrations import hot
from cachewright.integrations.jinja2 import site
from cachewright.testing import FakeClock

Make = Callable[..., Pages]
SIDEBAR = "{% cache 'sidebar', id %}{{ mark('sidebar') }}<b>{{ name }}</b>{% endcache %}"


async def test_a_warm_fragment_is_not_rendered_again(pages: Make) -> None:
    site = pages(f"({SIDEBAR})")
    assert await site.render(id=1, name="tea") == "(<b>tea</b>)"
    assert await site.render(id=1, name="jam") == "(<b>tea</b>)"
    assert site.rendered == {"sidebar": 1}


async def test_defect_95_a_page_s_fragments_are_found_by_their_whole_names_and_keys(
    pages: Make,
) -> None:
    blocks = [
        f"{{% cache '{name}', id %}}{{{{ mark('{name}') }}}}{name}{{{{ id }}}} {{% endcache %}}"
        for name in ("header", "header2", "ead")
    ]
    site = pages("".join(blocks))
    for number in (1, 2, 1, 2):
        assert await site.render(id=number) == f"header{number} header2{number} ead{number} "
    assert site.rendered == {"header": 2, "header2": 2, "ead": 2}


def test_defect_95_a_search_for_names_in_names_gives_the_wrong_fragment() -> None:
    """The control: the guide's template looks for the first key that is part of a fragment's name, and ignores its own."""
    cached = {"header": "<h1>", "ead": "?"}
    assert next(text for key, text in cached.items() if key in "header2") == "<h1>"


async def test_its_tags_make_it_new(pages: Make) -> None:
    site = pages(
        "{% cache 'a', id, tags=['row:' ~ id, 'menu'] %}{{ mark('a') }}{{ n }}{% endcache %}"
    )
    for n, (tag, fresh) in enumerate([("row:1", True), ("row:2", False), ("menu", True)]):
        before = await site.render(id=1, n=n)
        await site.invalidate(tag)
        after = await site.render(id=1, n=n + 1)
        assert (after != before) is fresh


async def test_its_lifetime_is_its_own(pages: Make) -> None:
    clock = FakeClock()
    site = pages("{% cache 'a', ttl=30 %}{{ n }}{% endcache %}", clock=clock)
    assert await site.render(n=1) == "1"
    clock.advance(29)
    assert await site.render(n=2) == "1"
    clock.advance(2)
    assert await site.render(n=3) == "3"


async def test_without_a_lifetime_it_has_the_cache_s(pages: Make) -> None:
    clock = FakeClock()
    site = pages("{% cache 'a' %}{{ n }}{% endcache %}", clock=clock, policy=PATIENT.but(ttl=5))
    await site.render(n=1)
    clock.advance(6)
    assert await site.render(n=2) == "2"


async def test_a_hit_evaluates_neither_tags_nor_lifetime(pages: Make) -> None:
    site = pages("{% cache 'a', tags=[mark('tags') or 't'], ttl=mark('ttl') or 9 %}x{% endcache %}")
    for _ in range(3):
        assert await site.render() == "x"
    assert site.rendered == {"tags": 1, "ttl": 1}


VALUES = [1, "1", True, 1.0, Decimal(1), None, "", date(2026, 1, 2), (1,), [1], {"a": 1}, {1}]


async def test_values_of_all_types_are_keys_of_their_own(pages: Make) -> None:
    site = pages("{% cache 'a', part %}{{ n }}{% endcache %}")
    shown = [await site.render(part=part, n=n) for n, part in enumerate(VALUES)]
    assert shown == [str(n) for n in range(len(VALUES))]
    again = [await site.render(part=part, n="new") for part in VALUES]
    assert again == shown


async def test_parts_cannot_be_divided_in_another_way(pages: Make) -> None:
    site = pages("{% cache 'a', p, q %}{{ n }}{% endcache %}")
    assert await site.render(p="a:b", q="c", n=1) == "1"
    assert await site.render(p="a", q="b:c", n=2) == "2"


@pytest.mark.parametrize("part", [object(), jinja2.Undefined(name="id")])
async def test_what_has_no_spelling_is_refused_and_never_its_repr(pages: Make, part: Any) -> None:
    site = pages("{% cache 'a', part %}x{% endcache %}")
    with pytest.raises(InvalidKey, match="fragment 'a'"):
        await site.render(part=part)


async def test_two_blocks_of_one_name_and_key_are_two_fragments(pages: Make) -> None:
    site = pages("{% cache 'a' %}one{% endcache %}{% cache 'a' %}two{% endcache %}")
    for _ in range(2):
        assert await site.render() == "onetwo"


async def test_variables_of_a_loop_are_seen_inside(pages: Make) -> None:
    row = "{% cache 'row', i %}{{ mark('row') }}{{ i }}{{ loop.index }}{{ y }} {% endcache %}"
    site = pages("{% set y = 'y' %}{% for i in items %}" + row + "{% endfor %}")
    for _ in range(2):
        assert await site.render(items="ab") == "a1y b2y "
    assert site.rendered == {"row": 2}


# ---------------------------------------------------------------- what is inside


async def test_macros_and_includes_work_inside(pages: Make) -> None:
    site = pages(
        {
            "page": "{% from 'm' import b %}{% macro i(x) %}<i>{{ x }}</i>{% endmacro %}"
            "{% cache 'a' %}{{ b('x') }}{{ i('<') }}{% include 'part' %}{% endcache %}",
            "m": "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}",
            "part": "{{ mark('part') }}[{{ name }}]",
        }
    )
    for _ in range(2):
        assert await site.render(name="<n>") == "<b>x</b><i>&lt;</i>[&lt;n&gt;]"
    assert site.rendered == {"part": 1}


async def test_a_fragment_in_a_macro_shows_what_its_caller_and_arguments_are(pages: Make) -> None:
    site = pages(
        "{% macro card(id) %}{% cache 'card', id %}{{ mark('card') }}"
        "{{ caller() }}{{ varargs }}{{ kwargs.w }}{% endcache %}{% endmacro %}"
        "{% call card(1, 2, w=3) %}inside{% endcall %}"
    )
    for _ in range(2):
        assert await site.render() == "inside(2,)3"
    assert site.rendered == {"card": 1}


async def test_nested_fragments_in_a_macro_know_its_caller(pages: Make) -> None:
    site = pages(
        "{% macro card() %}{% cache 'o' %}{% cache 'i' %}{{ caller() }}{% endcache %}{% endcache %}"
        "{% endmacro %}{% call card() %}inside{% endcall %}"
    )
    for _ in range(2):
        assert await site.render() == "inside"


async def test_a_call_block_inside_has_a_caller_of_its_own(pages: Make) -> None:
    site = pages(
        "{% macro box() %}[{{ caller() }}]{% endmacro %}"
        "{% cache 'a' %}{% call box() %}{{ mark('a') }}inside{% endcall %}{% endcache %}"
    )
    for _ in range(2):
        assert await site.render() == "[inside]"
    assert site.rendered == {"a": 1}


async def test_what_is_set_inside_stays_inside(pages: Make) -> None:
    site = pages("{% set x = 1 %}{% cache 'a' %}{% set x = 2 %}{{ x }}{% endcache %}{{ x }}")
    for _ in range(2):
        assert await site.render() == "21"


async def test_a_fragment_is_part_of_what_is_set_around_it(pages: Make) -> None:
    site = pages("{% set t %}{% cache 'a' %}<b>{{ n }}</b>{% endcache %}{% endset %}{{ t }}")
    for _ in range(2):
        assert await site.render(n="<") == "<b>&lt;</b>"


async def test_blocks_and_super_work_around_and_inside(pages: Make) -> None:
    site = pages(
        {
            "base": "{% cache 'page' %}<{% block main %}base{% endblock %}>{% endcache %}",
            "page": "{% extends 'base' %}{% block main %}{% cache 'm' %}{{ super() }}+{{ self.foot() }}"
            "{% endcache %}{% endblock %}{% block foot %}foot{% endblock %}",
        }
    )
    for _ in range(2):
        assert await site.render() == "<base+foot>"


async def test_a_sandbox_an_overlay_and_a_finalize_change_nothing(pages: Make) -> None:
    site = pages(
        SIDEBAR,
        environment=jinja2.sandbox.SandboxedEnvironment,
        jinja={"finalize": lambda value: "FINAL" if value == "<b>tea</b>" else value},
    )
    site.env = site.env.overlay(trim_blocks=True)
    for _ in range(2):
        assert await site.render(id=1, name="tea") == "<b>tea</b>"
    assert site.rendered == {"sidebar": 1}


async def test_a_recursive_loop_may_be_cached_level_by_level(pages: Make) -> None:
    site = pages(
        "{% for n in tree recursive %}{% cache 'node', n.id, tags=['node:' ~ n.id] %}{{ mark(n.id) }}"
        "({{ n.id }}{{ loop(n.below) }}){% endcache %}{% endfor %}"
    )
    tree = [
        {"id": 1, "below": [{"id": 2, "below": [{"id": 3, "below": []}]}, {"id": 4, "below": []}]}
    ]
    for _ in range(2):
        assert await site.render(tree=tree) == "(1(2(3))(4))"
    await site.invalidate("node:3")
    assert await site.render(tree=tree) == "(1(2(3))(4))"
    assert site.rendered == {"1": 2, "2": 2, "3": 2, "4": 1}


async def test_blocks_that_are_no_text_are_refused(pages: Make) -> None:
    plain = {"autoescape": False}
    native = NativeEnvironment
    site = pages("{% cache 'a' %}{{ 7 }}{% endcache %}", environment=native, jinja=plain)
    with pytest.raises(Unstorable, match="fragment 'a' rendered a int"):
        await site.render()


# ---------------------------------------------------------------- dependencies


NESTED = (
    "{% cache 'outer', ttl=900 %}{{ mark('outer') }}{% cache 'inner', tags=['row:7'] %}"
    "{{ mark('inner') }}{{ n }}{% endcache %}{{ thing() }}{% endcache %}"
)


@pytest.mark.parametrize("tag", ["row:7", "thing:1"])
async def test_what_a_fragment_is_made_of_reaches_the_ones_around_it(pages: Make, tag: str) -> None:
    site = pages(NESTED)
    thing = await _cached_thing(site)
    assert await site.render(n=1, thing=thing) == "1t"
    await site.invalidate("unrelated")
    assert await site.render(n=2, thing=thing) == "1t"
    await site.invalidate(tag)
    assert await site.render(n=3, thing=thing) == ("3t" if tag == "row:7" else "1t")
    assert site.rendered["outer"] == 2


async def test_without_the_load_around_it_the_outer_one_goes_stale(
    pages: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the one before: parts that hand nothing up."""
    monkeypatch.setattr("cachewright.core.loading.Load.gather", lambda self, stamps: None)
    site = pages(NESTED)
    await site.render(n=1, thing=str)
    await site.invalidate("row:7")
    assert await site.render(n=3, thing=str) == "1"


async def test_a_warm_inner_fragment_hands_up_as_well(pages: Make) -> None:
    """Its hit must not take the short way that gathers nothing."""
    inner = "{% cache 'inner', tags=['row:7'] %}{{ n }}{% endcache %}"
    site = pages({"page": "{% cache 'o' %}{% include 'i' %}{% endcache %}", "i": inner})
    assert await site.render("i", n=1) == "1"
    assert await site.render(n=2) == "1"
    await site.invalidate("row:7")
    assert await site.render(n=3) == "3"


async def test_a_warm_inner_fragment_on_the_short_way_would_go_stale(
    pages: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "undisturbed", lambda: True)
    inner = "{% cache 'inner', tags=['row:7'] %}{{ n }}{% endcache %}"
    made = pages({"page": "{% cache 'o' %}{% include 'i' %}{% endcache %}", "i": inner})
    await made.render("i", n=1)
    await made.render(n=2)
    await made.invalidate("row:7")
    assert await made.render(n=3) == "1"


async def test_what_python_reads_and_names_inside_reaches_the_fragment(pages: Make) -> None:
    site = pages("{% cache 'a' %}{{ name() }}{{ n }}{% endcache %}")

    def name() -> str:
        current_load().tag("user:7")
        return ""

    await site.render(name=name, n=1)
    await site.invalidate("user:7")
    assert await site.render(name=name, n=2) == "2"


async def _cached_thing(site: Pages) -> Any:
    """A function for templates that reads a cached value with a tag."""
    if site.asynchronous:

        async def load() -> str:
            return "t"

        return lambda: site.cache.get_or_load("thing", load, tags=["thing:1"])
    return lambda: site.cache.get_or_load("thing", lambda: "t", tags=["thing:1"])


# ---------------------------------------------------------------- trouble


async def test_twenty_readers_of_a_cold_page_render_it_once(pages: Make) -> None:
    made = pages("{% cache 'a' %}{{ mark('a') }}{{ wait() }}x{% endcache %}")
    if made.asynchronous:
        found = await asyncio.gather(
            *(made.render(wait=lambda: asyncio.sleep(0.05, "")) for _ in range(20))
        )
    else:
        page = made.env.get_template("page")
        with ThreadPoolExecutor(20) as pool:
            found = list(pool.map(lambda _: page.render(wait=lambda: sleep(0.05) or ""), range(20)))
    assert found == ["x"] * 20
    assert made.rendered == {"a": 1}


async def test_an_error_inside_reaches_the_page_and_stores_nothing(pages: Make) -> None:
    site = pages("{% cache 'a' %}{{ 1 // n }}{% endcache %}")
    with pytest.raises(ZeroDivisionError):
        await site.render(n=0)
    assert await site.render(n=1) == "1"


async def test_without_its_server_a_page_is_rendered(pages: Make) -> None:
    policy = Policy(timeouts=PATIENT.timeouts)
    site = pages(SIDEBAR, place="redis://127.0.0.1:1/0", policy=policy)
    assert await site.render(id=1, name="tea") == "<b>tea</b>"
    assert await site.render(id=1, name="jam") == "<b>jam</b>"


async def test_a_fragment_comes_from_another_process_s_render(pages: Make, server: Any) -> None:
    first, second = (pages(SIDEBAR, place=server.url, namespace="twice") for _ in range(2))
    assert await first.render(id=1, name="tea") == "<b>tea</b>"
    assert await second.render(id=1, name="jam") == "<b>tea</b>"
    assert second.rendered == {}


async def test_while_the_cache_is_bypassed_each_page_is_rendered(pages: Make) -> None:
    site = pages(SIDEBAR)
    await site.render(id=1, name="tea")
    with site.cache.bypassed():
        assert await site.render(id=1, name="jam") == "<b>jam</b>"
    assert await site.render(id=1, name="oil") == "<b>tea</b>"


LOOP = "{% for i in items %}{% cache 'row', i %}{{ i }}{% endcache %}{% endfor %}"
BACKGROUND = {"stale": 600.0, "refresh_ahead": 0.1}


async def test_no_block_is_rendered_after_its_page_has_moved_on(pages: Make) -> None:
    """In the background a block would be rendered with what the variables of its page are by then."""
    clock = FakeClock()
    site = pages(LOOP, clock=clock, policy=PATIENT.but(ttl=10, **BACKGROUND))
    for _ in range(4):
        assert await site.render(items="ab") == "ab"
        clock.advance(6)


async def test_a_block_rendered_in_the_background_would_show_another_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: the cache's own policy, and a thread that begins when the loop has moved on."""
    monkeypatch.setattr(site, "foreground", lambda policy: policy)
    clock, later = FakeClock(), []
    made = Pages(
        {"page": LOOP},
        asynchronous=False,
        clock=clock,
        policy=PATIENT.but(ttl=10, **BACKGROUND),
    )
    monkeypatch.setattr(
        made.cache.engine.background, "start", lambda *work: later.append(work), raising=True
    )
    await made.render(items="ab")
    clock.advance(6)
    await made.render(items="ab")
    assert len(later) == 2
    work, *args = later[0]
    work(*args)
    with pytest.raises(AssertionError):
        assert await made.render(items="ab") == "ab"
    await made.close()
