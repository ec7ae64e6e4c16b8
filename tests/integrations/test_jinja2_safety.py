"""Fragments in Jinja2 that are somebody's, that hold what users wrote, or that were written wrongly."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from typing import Any

import jinja2
import pytest
from integrations.pages import EXTENSION, Pages
from jinja2 import TemplateSyntaxError
from markupsafe import Markup

from cachewright import ConfigurationError

Make = Callable[..., Pages]
SIDEBAR = "{% cache 'sidebar', id %}{{ mark('sidebar') }}<b>{{ name }}</b>{% endcache %}"


# ---------------------------------------------------------------- whose it is


async def test_defect_94_what_pages_vary_by_is_declared_once(pages: Make) -> None:
    site = pages("{% cache 'a' %}{{ locale }}{{ user.id }}{{ theme() }}{% endcache %}")
    site.env.fragment_vary = ["locale", "user.id", lambda context: context["theme"]()]
    shown = []
    for locale in ("de", "en"):
        for user in (1, 2):
            for theme in ("dark", "light"):
                given = {"locale": locale, "user": {"id": user}, "theme": lambda theme=theme: theme}
                shown.append(await site.render(**given))
                assert await site.render(**given) == f"{locale}{user}{theme}"
    assert len(set(shown)) == 8


async def test_defect_94_without_a_declaration_one_user_would_see_another_s(pages: Make) -> None:
    site = pages("{% cache 'a' %}{{ locale }}{% endcache %}")
    assert await site.render(locale="de") == "de"
    assert await site.render(locale="en") == "de"


async def test_defect_94_keys_are_not_cut_short(pages: Make) -> None:
    """The guide's keys are eight letters of a digest: some ten thousand values share one."""
    seen: dict[str, int] = {}
    for second in range(1_000_000):
        first = seen.setdefault(md5(str(second).encode()).hexdigest()[:8], second)
        if first != second:
            break
    site = pages("{% cache 'a', id %}{{ id }}{% endcache %}")
    assert await site.render(id=first) == str(first)
    assert await site.render(id=second) == str(second)


async def test_what_pages_vary_by_must_be_there(pages: Make) -> None:
    site = pages("{% cache 'a' %}x{% endcache %}")
    site.env.fragment_vary = ["locale"]
    with pytest.raises(ConfigurationError, match="vary by 'locale', which is undefined"):
        await site.render()


async def test_a_tag_may_vary_by_something_else(pages: Make) -> None:
    site = pages("{% cache 'a', vary=['locale'] %}{{ user }}{% endcache %}")
    site.env.fragment_vary = ["locale", "user"]
    assert await site.render(locale="de", user="ann") == "ann"
    assert await site.render(locale="de", user="bob") == "ann"
    assert await site.render(locale="en", user="bob") == "bob"


@pytest.mark.parametrize("vary", ["locale", 7, [7], ["a b"]])
async def test_a_declaration_that_makes_no_sense_is_refused(pages: Make, vary: Any) -> None:
    site = pages("{% cache 'a' %}x{% endcache %}")
    site.env.fragment_vary = vary
    with pytest.raises(ConfigurationError, match="fragment_vary"):
        await site.render()


async def test_security_07_a_private_cache_s_fragments_belong_to_somebody(pages: Make) -> None:
    site = pages("{% cache 'mail' %}{{ mark('mail') }}{{ user }}{% endcache %}", scope="user")
    with pytest.raises(ConfigurationError, match="scoped"):
        await site.render(user="ann")
    for user in ("ann", "bob", "ann"):
        with site.scoped(user):
            assert await site.render(user=user) == user
    assert site.rendered["mail"] == 2
    await site.call("invalidate", scope="ann")
    with site.scoped("ann"):
        assert await site.render(user="new") == "new"


# ---------------------------------------------------------------- safe text


SCRIPT = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


async def test_defect_96_a_name_is_escaped_in_a_cached_header(pages: Make) -> None:
    site = pages("{% cache 'header', name %}<h1>{{ name }}</h1>{% endcache %}")
    for _ in range(3):
        assert await site.render(name=SCRIPT) == f"<h1>{ESCAPED}</h1>"


async def test_defect_96_an_f_string_in_the_same_cache_would_store_the_script() -> None:
    """The control: the guide's header."""
    naive: dict[str, str] = {}
    header = naive.setdefault("header", f"<h1>{SCRIPT}</h1>")
    assert Markup(header) == f"<h1>{SCRIPT}</h1>"


async def test_security_markup_and_a_plain_text_of_the_same_letters_are_two_keys(
    pages: Make,
) -> None:
    site = pages("{% cache 'header', name %}{{ name }}{% endcache %}")
    assert await site.render(name=Markup("<b>")) == "<b>"
    assert await site.render(name="<b>") == "&lt;b&gt;"


async def test_where_nothing_escapes_a_fragment_is_no_markup_either(pages: Make) -> None:
    template = "{% set x %}{% cache 'a', 1 %}{{ n }}{% endcache %}{% endset %}{{ x }}"
    site = pages(
        {"a.txt": template, "a.html": template}, jinja={"autoescape": jinja2.select_autoescape()}
    )
    for _ in range(2):
        assert await site.render("a.txt", n="<") == "<"
        assert await site.render("a.html", n="<") == "&lt;"


async def test_one_block_escapes_or_not_as_the_page_says(pages: Make) -> None:
    part = "{% cache 'a' %}{{ n }}{% endcache %}"
    site = pages(
        f"{{% autoescape raw %}}{part}{{% endautoescape %}}|{{% autoescape not raw %}}{part}{{% endautoescape %}}"
    )
    for _ in range(2):
        assert await site.render(n="<", raw=False) == "<|&lt;"
        assert await site.render(n="<", raw=True) == "&lt;|<"


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("cache", "name, as a text in quotes"),
        ("cache sidebar", "name, as a text in quotes"),
        ("cache ''", "name, as a text in quotes"),
        ("cache 'a' b", "'b' was not expected"),
        ("cache 'a', ttl=1, b", "parts of the key stand before options"),
        ("cache 'a', tll=1", "no option 'tll', only ttl, tags, vary, templates"),
        ("cache 'a', ttl=1, ttl=2", "ttl= is given twice"),
        ("cache 'a', tags='b'", "tags= is a list"),
        ("cache 'a', vary=b", "vary= is a list of texts in quotes"),
        ("cachemany x in y", "key= is missing"),
        ("cachemany 'a' x in y, key=x", "after the name there is no loop"),
        ("cachemany x, key=x", "there is no 'in'"),
        ("cachemany x in y, z, key=x", "options only"),
    ],
)
def test_a_mistake_in_a_tag_says_its_line_and_how_to_write_it(tag: str, why: str) -> None:
    env = jinja2.Environment(extensions=[EXTENSION])
    with pytest.raises(TemplateSyntaxError, match=why) as raised:
        env.from_string(f"\n\n{{% {tag} %}}{{% end{tag.split(maxsplit=1)[0]} %}}")
    assert raised.value.lineno == 3
    assert "Write {% cache" in str(raised.value.message)


def test_a_block_that_is_not_closed_is_told_by_jinja() -> None:
    env = jinja2.Environment(extensions=[EXTENSION])
    with pytest.raises(TemplateSyntaxError, match="endcache"):
        env.from_string("{% cache 'a' %}")


async def test_an_environment_without_the_cache_of_its_world_is_told(pages: Make) -> None:
    made = pages(SIDEBAR)
    for wrong in (None, object()):
        made.env.fragment_cache = wrong
        with pytest.raises(ConfigurationError, match=r"set env\.fragment_cache"):
            await made.render(id=1, name="x")


async def test_a_cache_that_is_given_anew_is_used(pages: Make) -> None:
    first, second = pages(SIDEBAR), pages(SIDEBAR)
    assert await first.render(id=1, name="tea") == "<b>tea</b>"
    first.env.fragment_cache = second.cache
    assert await first.render(id=1, name="jam") == "<b>jam</b>"
