"""An edited template is never served old: whatever a cached block can render is in its key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from integrations.pages import EXTENSION, Pages
from jinja2.exceptions import TemplateRuntimeError

from cachewright.integrations.jinja2 import reach
from cachewright.integrations.jinja2.compiled import How, digest_of, named_by

Make = Callable[..., Pages]

SITE = {
    "own text": {"page": "{% cache 'a' %}OLD{% endcache %}"},
    "own macro": {
        "page": "{% macro m() %}OLD{% endmacro %}{% cache 'a' %}{{ m() }}{% endcache %}",
    },
    "include": {"page": "{% cache 'a' %}{% include 'part' %}{% endcache %}", "part": "OLD"},
    "include of an include": {
        "page": "{% cache 'a' %}{% include 'part' %}{% endcache %}",
        "part": "{% include 'deep' %}",
        "deep": "OLD",
    },
    "one of several includes": {
        "page": "{% cache 'a' %}{% include ['none', 'part'] %}{% endcache %}",
        "part": "OLD",
    },
    "include in a macro": {
        "page": "{% macro m() %}{% include 'part' %}{% endmacro %}{% cache 'a' %}{{ m() }}{% endcache %}",
        "part": "OLD",
    },
    "imported macro": {
        "page": "{% import 'm' as m %}{% cache 'a' %}{{ m.m() }}{% endcache %}",
        "m": "{% macro m() %}OLD{% endmacro %}",
    },
    "macro imported by name, with context": {
        "page": "{% from 'm' import m with context %}{% cache 'a' %}{{ m() }}{% endcache %}",
        "m": "{% macro m() %}OLD{% endmacro %}",
    },
    "fragment in an imported macro": {
        "page": "{% from 'm' import m %}{{ m() }}",
        "m": "{% macro m() %}{% cache 'a' %}{% include 'part' %}{% endcache %}{% endmacro %}",
        "part": "OLD",
    },
    "import in an include": {
        "page": "{% cache 'a' %}{% include 'part' %}{% endcache %}",
        "part": "{% import 'm' as m %}{{ m.m() }}",
        "m": "{% macro m() %}OLD{% endmacro %}",
    },
    "parent of an include": {
        "page": "{% cache 'a' %}{% include 'part' %}{% endcache %}",
        "part": "{% extends 'parent' %}",
        "parent": "OLD",
    },
    "parent by super": {
        "page": "{% extends 'base' %}{% block b %}{% cache 'a' %}{{ super() }}{% endcache %}{% endblock %}",
        "base": "{% block b %}OLD{% endblock %}",
    },
    "other block by self": {
        "page": "{% extends 'base' %}{% block b %}{% cache 'a' %}{{ self.c() }}{% endcache %}{% endblock %}",
        "base": "{% block b %}{% endblock %}{% if 0 %}{% block c %}OLD{% endblock %}{% endif %}",
    },
    "block of a child in a cached parent": {
        "page": "{% extends 'base' %}{% block b %}OLD{% endblock %}",
        "base": "{% cache 'a' %}{% block b %}{% endblock %}{% endcache %}",
    },
    "include in the block of a child": {
        "page": "{% extends 'base' %}{% block b %}{% include 'part' %}{% endblock %}",
        "base": "{% cache 'a' %}{% block b %}{% endblock %}{% endcache %}",
        "part": "OLD",
    },
    "what a caller gives": {
        "page": "{% from 'm' import m %}{% call m() %}OLD{% endcall %}",
        "m": "{% macro m() %}{% cache 'a' %}{{ caller() }}{% endcache %}{% endmacro %}",
    },
    "macro of the page around an include": {
        "page": "{% macro m() %}OLD{% endmacro %}{% include 'part' %}",
        "part": "{% cache 'a' %}{{ m() }}{% endcache %}",
    },
    "macro that the page around an include imported": {
        "page": "{% import 'm' as m %}{% include 'part' %}",
        "part": "{% cache 'a' %}{{ m.m() }}{% endcache %}",
        "m": "{% macro m() %}OLD{% endmacro %}",
    },
    "macro of a parent": {
        "page": "{% extends 'base' %}{% block b %}{% cache 'a' %}{{ m() }}{% endcache %}{% endblock %}",
        "base": "{% macro m() %}OLD{% endmacro %}{% block b %}{% endblock %}",
    },
    "macro given to a macro": {
        "page": "{% from 'm' import m %}{% macro x() %}OLD{% endmacro %}{{ m(x) }}",
        "m": "{% macro m(f) %}{% cache 'a' %}{{ f() }}{% endcache %}{% endmacro %}",
    },
    "what a caller was called with": {
        "page": "{% from 'm' import m %}{% macro w() %}{% set c = caller %}{% call m() %}{{ c() }}{% endcall %}"
        "{% endmacro %}{% call w() %}OLD{% endcall %}",
        "m": "{% macro m() %}{% cache 'a' %}{{ caller() }}{% endcache %}{% endmacro %}",
    },
    "declared, by a computed name": {
        "page": "{% cache 'a', templates=['part'] %}{% include name %}{% endcache %}",
        "part": "OLD",
    },
}


def edit(site: Pages) -> None:
    """Write NEW where a template says OLD."""
    for name, text in list(site.templates.items()):
        site.templates[name] = text.replace("OLD", "NEW")


@pytest.mark.parametrize("what", SITE)
async def test_an_edited_template_is_never_served_old(pages: Make, what: str) -> None:
    site = pages(dict(SITE[what]))
    for _ in range(2):
        assert await site.render(name="part") == "OLD"
    edit(site)
    for _ in range(2):
        assert await site.render(name="part") == "NEW"
    site.templates.update(SITE[what])
    assert await site.render(name="part") == "OLD"


@pytest.mark.parametrize("what", SITE)
async def test_with_keys_that_name_no_code_each_of_them_would_be(
    pages: Make, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control. The block's own text is in the key twice: with its template, and as the place it stands in."""
    for name in ("digest_of", "digest_of_code"):
        monkeypatch.setattr(reach, name, lambda code: b"")
    monkeypatch.setattr("cachewright.integrations.jinja2.site.Site.vouch", lambda *args: None)
    site = pages(dict(SITE[what]))
    await site.render(name="part")
    edit(site)
    assert await site.render(name="part") == ("NEW" if what == "own text" else "OLD")


async def test_a_template_that_appears_is_seen(pages: Make) -> None:
    site = pages({"page": "{% cache 'a' %}{% include 'new' ignore missing %}{% endcache %}"})
    assert await site.render() == ""
    site.templates["new"] = "there"
    assert await site.render() == "there"
    del site.templates["new"]
    assert await site.render() == ""


async def test_two_children_of_a_cached_parent_share_nothing(pages: Make) -> None:
    child = "{% extends 'base' %}{% block b %}NAME{% endblock %}"
    base = "{% cache 'a' %}{% block b %}{% endblock %}{% endcache %}"
    site = pages({"base": base, "x": child.replace("NAME", "x"), "y": child.replace("NAME", "y")})
    for _ in range(2):
        assert [await site.render(name) for name in "xy"] == ["x", "y"]


async def test_two_call_blocks_of_one_template_share_nothing(pages: Make) -> None:
    site = pages(
        {
            "m": "{% macro m() %}{% cache 'a' %}{{ caller() }}{% endcache %}{% endmacro %}",
            "page": "{% from 'm' import m %}{% call m() %}x{% endcall %}{% call m() %}y{% endcall %}",
        }
    )
    for _ in range(2):
        assert await site.render() == "xy"


async def test_two_macros_of_one_template_given_to_another_of_it_share_nothing(pages: Make) -> None:
    site = pages(
        "{% macro m(f) %}{% cache 'a' %}{{ mark('a') }}{{ f() }}{% endcache %}{% endmacro %}"
        "{% macro x() %}x{% endmacro %}{% macro y() %}y{% endmacro %}{{ m(x) }}{{ m(y) }}"
    )
    for _ in range(2):
        assert await site.render() == "xy"
    assert site.rendered == {"a": 2}


async def test_two_macros_given_to_a_macro_share_nothing(pages: Make) -> None:
    site = pages(
        {
            "m": "{% macro m(f) %}{% cache 'a' %}{{ f() }}{% endcache %}{% endmacro %}",
            "page": "{% from 'm' import m %}{% macro x() %}x{% endmacro %}{% macro y() %}y{% endmacro %}"
            "{{ m(x) }}{{ m(y) }}",
        }
    )
    for _ in range(2):
        assert await site.render() == "xy"


async def test_two_callers_of_a_cached_macro_share_nothing(pages: Make) -> None:
    call = "{% from 'm' import m %}{% call m() %}NAME{% endcall %}"
    macro = "{% macro m() %}{% cache 'a' %}{{ caller() }}{% endcache %}{% endmacro %}"
    site = pages({"m": macro, "x": call.replace("NAME", "x"), "y": call.replace("NAME", "y")})
    for _ in range(2):
        assert [await site.render(name) for name in "xy"] == ["x", "y"]


@pytest.mark.parametrize(
    "block",
    [
        "{% include name %}",
        "{% include ['a', name] %}",
        "{% include 'a' if name else 'b' %}",
        "{% import name as m %}",
        "{% include 'deep' %}",
    ],
)
async def test_a_template_named_while_rendering_has_to_be_declared(pages: Make, block: str) -> None:
    site = pages(
        {"page": f"{{% cache 'a' %}}{block}{{% endcache %}}", "deep": "{% include name %}"}
    )
    with pytest.raises(TemplateRuntimeError, match=r"templates=\['a.html', 'b.html'\]"):
        await site.render(name="a")


async def test_a_computed_parent_is_no_business_of_a_block_s(pages: Make) -> None:
    site = pages(
        {
            "page": "{% extends name %}{% block b %}{% cache 'a' %}x{% endcache %}{% endblock %}",
            "base": "{% block b %}{% endblock %}{% include other %}",
        }
    )
    site.templates["other"] = "!"
    assert await site.render(name="base", other="other") == "x!"


async def test_a_template_held_since_before_an_edit_has_keys_of_its_own(pages: Make) -> None:
    site = pages({"page": "{% macro m() %}OLD{% endmacro %}{% cache 'a' %}{{ m() }}{% endcache %}"})
    held = site.env.get_template("page")
    edit(site)
    assert await site.render() == "NEW"
    old = await held.render_async() if site.asynchronous else held.render()
    assert old == "OLD"
    assert await site.render() == "NEW"


RACE = {
    "page": "{% import 'm' as m %}{{ edit() }}{% cache 'a' %}{{ m.m() }}{% endcache %}",
    "m": "{% macro m() %}OLD{% endmacro %}",
}


def trust_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at what macros are really in sight, and at templates when a block has ended."""
    where = "cachewright.integrations.jinja2.site"
    monkeypatch.setattr(f"{where}.Site.vouch", lambda *args: None)
    monkeypatch.setattr(f"{where}.called", lambda *args: ())
    monkeypatch.setattr(f"{where}.bound", lambda *args: ((), ()))


@pytest.mark.parametrize("vouched", [True, False])
async def test_a_page_begun_before_an_edit_leaves_no_old_fragment(
    pages: Make, monkeypatch: pytest.MonkeyPatch, vouched: bool
) -> None:
    """It has imported the old macro when the new one is already what its environment gives. The control trusts all."""
    if not vouched:
        trust_all(monkeypatch)
    site = pages(dict(RACE))

    def edit_now() -> str:
        edit(site)
        return ""

    await site.render(edit=str)
    await site.invalidate("nothing")
    assert await site.render(edit=edit_now) == "OLD"
    assert await site.render(edit=str) == ("NEW" if vouched else "OLD")


@pytest.mark.parametrize("vouched", [True, False])
async def test_a_block_during_which_a_template_is_edited_is_not_stored(
    pages: Make, monkeypatch: pytest.MonkeyPatch, vouched: bool
) -> None:
    if not vouched:
        trust_all(monkeypatch)
    block = "{% cache 'a' %}{{ edit() }}{% include 'part' %}{% endcache %}"
    site = pages({"page": block, "part": "OLD"})

    def edit_now() -> str:
        edit(site)
        return ""

    assert await site.render(edit=edit_now) == "NEW"
    site.templates["part"] = "OLD"
    assert await site.render(edit=str) == ("OLD" if vouched else "NEW")


@pytest.mark.parametrize("what", ["macro of a parent", "macro given to a macro"])
async def test_a_macro_that_only_the_page_knows_would_be_served_old(
    pages: Make, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The control of two sites above: keys that name only what a template names itself."""
    trust_all(monkeypatch)
    site = pages(dict(SITE[what]))
    await site.render()
    edit(site)
    assert await site.render() == "OLD"


# ---------------------------------------------------------------- how code is read


ALL = """{% extends 'e' %}{% import 'i' as m %}{% from 'f' import a with context %}{% include 'p1' %}
{% include ['p2', 'p3'] %}{% include ['p4', 'p5', 'p6'] ignore missing %}{% include ('p7', 'p8') %}
{% include computed %}{% macro q() %}{% include 'inner' %}{% endmacro %}
{% block b %}{% include 'block' without context %}{% endblock %}"""


@pytest.mark.parametrize("asynchronous", [False, True])
def test_all_that_a_template_names_is_read_from_its_code(asynchronous: bool) -> None:
    env = jinja2.Environment(enable_async=asynchronous)
    found = list(named_by(env.from_string(ALL).root_render_func))
    by_how = {
        how: {name for each in found if each.how is how for name in each.names or ["?"]}
        for how in How
    }
    assert by_how == {
        How.EXTEND: {"e"},
        How.IMPORT: {"i", "f"},
        How.INCLUDE: {f"p{n}" for n in range(1, 9)} | {"?", "inner", "block"},
    }
    assert [each.names for each in found if each.in_macro] == [("inner",)]


def test_the_digest_of_a_template_is_the_same_in_every_process() -> None:
    source = (
        ALL
        + "{% cache 'a', x %}{{ y }}{{ z|upper }}{% if x in ('u', 'v') %}{% endif %}{% endcache %}"
    )
    code = (
        "import sys, jinja2\n"
        "from cachewright.integrations.jinja2.compiled import digest_of\n"
        f"env = jinja2.Environment(extensions=[{EXTENSION!r}])\n"
        "print(digest_of(env.from_string(sys.argv[1]).root_render_func).hex())"
    )
    path = os.pathsep.join([str(Path("src").absolute()), *filter(None, sys.path)])
    found = {
        subprocess.run(
            [sys.executable, "-c", code, source],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("{{ x }}", "{{ y }}"),
        ("{{ x }}", "{{ x|upper }}"),
        ("{{ 1 }}{{ x == 1 }}", "{{ 1 }}{{ x == True }}"),
        ("{% block a %}a{% endblock %}", "{% block a %}b{% endblock %}"),
        ("{% macro a() %}a{% endmacro %}", "{% macro a() %}b{% endmacro %}"),
    ],
)
def test_the_digest_tells_templates_apart(one: str, other: str) -> None:
    env = jinja2.Environment()
    first, second = (digest_of(env.from_string(text).root_render_func) for text in (one, other))
    assert first != second


def test_templates_from_a_bytecode_cache_and_compiled_ahead_work(tmp_path: Path) -> None:
    site: Any = Pages(dict(SITE["include of an include"]), asynchronous=False)
    site.env.bytecode_cache = jinja2.FileSystemBytecodeCache(str(tmp_path))
    site.env.get_template("page").render()
    fresh = Pages(
        site.templates, asynchronous=False, jinja={"bytecode_cache": site.env.bytecode_cache}
    )
    fresh.env.fragment_cache = site.cache
    assert fresh.env.get_template("page").render() == "OLD"
    assert site.cache.stats().misses == 1
    fresh.env.compile_templates(tmp_path / "ahead", zip=None)
    ahead = Pages({}, asynchronous=False, jinja={"loader": jinja2.ModuleLoader(tmp_path / "ahead")})
    ahead.env.fragment_cache = site.cache
    assert ahead.env.get_template("page").render() == "OLD"
    assert site.cache.stats().misses == 2, "compiled otherwise, so it has keys of its own"
    for each in (site, fresh, ahead):
        each.cache.close()
