"""Drawn sites of templates, edited at random: a cached page is what the page is without a cache, after every edit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from integrations.pages import Pages

from cachewright.integrations.jinja2 import reach

PAGES, MACROS = 4, 2
"""Pages and parts `t0` … `t3`, of which each includes later ones; libraries of macros `m0` and `m1`, which include `leaf`; one `base`."""

text = st.integers(0, 3).map("x{} ".format)


def inner(first: int) -> st.SearchStrategy[str]:
    """What may stand in a template, a macro or a block that includes templates from number `first` on."""
    parts = [text, st.just("{{ v }}")]
    if first < PAGES:
        later = st.integers(first, PAGES - 1)
        parts.append(later.map("{{% include 't{}' %}}".format))
        parts.append(later.map("{{% include ['none', 't{}'] %}}".format))
    return st.one_of(parts)


def pieces(first: int) -> st.SearchStrategy[str]:
    """The same with macros, called here and from elsewhere, and cached blocks in each other."""
    called = st.integers(0, MACROS - 1).map("{{{{ m{}.f() }}}}".format)
    wrapped = st.tuples(st.integers(0, MACROS - 1), inner(first)).map(
        lambda it: f"{{% call m{it[0]}.g(v) %}}{it[1]}{{% endcall %}}"
    )

    def cached(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        block = st.lists(children, min_size=1, max_size=2).map("".join)
        return block.map("{{% cache 'a', v %}}{}{{% endcache %}}".format)

    one = st.recursive(st.one_of(inner(first), called, wrapped), cached, max_leaves=3)
    return st.lists(one, min_size=1, max_size=2).map("".join)


IMPORTS = "".join(f"{{% import 'm{n}' as m{n} %}}" for n in range(MACROS))


def template(name: str) -> st.SearchStrategy[str]:
    """A text for the template of that name."""
    if name == "base":
        return st.tuples(text, text).map(
            lambda it: (
                f"{it[0]}{{% cache 'base', v %}}{{% block b %}}{it[1]}{{% endblock %}}{{% endcache %}}"
            )
        )
    if name == "leaf":
        return inner(PAGES)
    if name.startswith("m"):
        # Nothing that calls a macro: it would never end.
        leaf = st.one_of(inner(PAGES), st.just("{% include 'leaf' %}"))
        return st.tuples(leaf, leaf).map(
            lambda it: (
                f"{{% macro f() %}}{it[0]}{{% endmacro %}}{{% macro g(v) %}}{{% cache 'g', v %}}"
                f"{it[1]}{{{{ caller() }}}}{{% endcache %}}{{% endmacro %}}"
            )
        )
    number = int(name[1:])
    if number == 0:
        return pieces(1).map(
            lambda it: (
                f"{{% extends 'base' %}}{IMPORTS}{{% block b %}}{it}"
                "{% cache 'own', v %}{{ super() }}{% endcache %}{% endblock %}"
            )
        )
    return pieces(number + 1).map(lambda it: IMPORTS + it)


NAMES = ["base", "leaf", *(f"m{n}" for n in range(MACROS)), *(f"t{n}" for n in range(PAGES))]
EDIT = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), template(name)))
SITE = st.fixed_dictionaries({name: template(name) for name in NAMES})


def differences(first: dict[str, str], edits: list[tuple[str, str]]) -> list[Any]:
    """Pages that were not, after some edit, what they are without the cache."""
    site = Pages(dict(first), asynchronous=False)
    found = []
    for name, source in [("base", first["base"]), *edits]:
        site.templates[name] = source
        for page in ("t0", "t1", "t0"):
            for v in (1, 2):
                cached = site.env.get_template(page).render(v=v)
                with site.cache.bypassed():
                    plain = site.env.get_template(page).render(v=v)
                if cached != plain:
                    found.append((page, v, cached, plain))
    site.cache.close()
    return found


QUIET = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@QUIET
@given(SITE, st.lists(EDIT, max_size=3))
def test_after_every_edit_a_cached_page_is_what_it_is_without_a_cache(
    first: dict[str, str], edits: list[tuple[str, str]]
) -> None:
    assert differences(first, edits) == []


def test_with_keys_that_name_no_code_old_pages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same test finds what it is to find."""
    monkeypatch.setattr(reach, "digest_of", lambda root: b"")

    @QUIET
    @given(SITE, st.lists(EDIT, max_size=3))
    def search(first: dict[str, str], edits: list[tuple[str, str]]) -> None:
        assert differences(first, edits) == []

    with pytest.raises(AssertionError):
        search()
