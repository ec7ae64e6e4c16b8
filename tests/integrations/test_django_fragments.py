"""`{% cachefragment %}` and `{% cachefragments %}` in Django's templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.template import Context, Engine, TemplateSyntaxError
from django.test.utils import override_settings
from django.utils.safestring import mark_safe
from django.utils.timezone import override as in_zone
from django.utils.translation import override as in_language
from integrations.pages import PATIENT

from cachewright import Cache, ConfigurationError, InvalidKey
from cachewright.testing import FakeClock

if not settings.configured:
    settings.configure()
if not django.apps.apps.ready:
    django.setup()

OURS = "cachewright.integrations.django.templatetags.cachewright"
LIBRARY = {"cachewright": OURS, "cache": "django.templatetags.cache"}


class Site:
    """Templates that can be edited, and the cache of their fragments."""

    def __init__(self, templates: dict[str, str], *, vary: Any = (), **options: Any) -> None:
        self.templates = templates
        self.cache = Cache(**{"policy": PATIENT, **options})
        self.rendered: Counter[str] = Counter()
        self.said = {"cache": self.cache, "vary": vary}
        loader = ("django.template.loaders.locmem.Loader", templates)
        self.engine = Engine(loaders=[loader], libraries=LIBRARY, builtins=[OURS])

    def render(self, template: str = "page", /, **variables: Any) -> str:
        """The page."""
        given = {"mark": Marks(self.rendered), **variables}
        with override_settings(CACHEWRIGHT_FRAGMENTS=self.said):
            return str(self.engine.get_template(template).render(Context(given)))


class Marks:
    """`{{ mark.name }}` counts that it was rendered."""

    def __init__(self, rendered: Counter[str]) -> None:
        self._rendered = rendered

    def __getitem__(self, name: str) -> str:
        self._rendered[name] += 1
        return ""


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    """Makes sites and closes their caches."""
    made: list[Site] = []

    def make(templates: dict[str, str] | str, **options: Any) -> Site:
        named = {"page": templates} if isinstance(templates, str) else templates
        made.append(Site(named, **options))
        return made[-1]

    yield make
    for each in made:
        each.cache.close()


Make = Callable[..., Site]
SIDEBAR = (
    '{% cachefragment "sidebar" id %}{{ mark.sidebar }}<b>{{ name }}</b>{% endcachefragment %}'
)


def test_a_warm_fragment_is_not_rendered_again(site: Make) -> None:
    shop = site(SIDEBAR)
    assert shop.render(id=1, name="tea") == "<b>tea</b>"
    assert shop.render(id=1, name="jam") == "<b>tea</b>"
    assert shop.render(id="1", name="oil") == "<b>oil</b>"
    assert shop.rendered == {"sidebar": 2}


def test_its_tags_and_its_lifetime_are_its_own(site: Make) -> None:
    clock = FakeClock()
    shop = site(
        '{% cachefragment "a" ttl=30 tags="row:{it.id} menu" %}{{ n }}{% endcachefragment %}',
        clock=clock,
    )
    assert shop.render(it={"id": "7:8"}, n=1) == "1"
    shop.cache.invalidate(tags=["row:7"])
    assert shop.render(it={"id": "7:8"}, n=2) == "1"
    for n, tag in enumerate(["menu", ("row", "7:8")], 3):
        shop.cache.invalidate(tags=[tag])
        assert shop.render(it={"id": "7:8"}, n=n) == str(n)
    clock.advance(31)
    assert shop.render(it={"id": "7:8"}, n=9) == "9"


def test_tags_may_be_a_list(site: Make) -> None:
    shop = site('{% cachefragment "a" tags=given %}{{ n }}{% endcachefragment %}')
    shop.render(given=["x", "y"], n=1)
    shop.cache.invalidate(tags=["y"])
    assert shop.render(given=["x", "y"], n=2) == "2"


def test_an_inner_fragment_s_tags_reach_the_outer(site: Make) -> None:
    shop = site(
        '{% cachefragment "o" ttl=900 %}{{ mark.o }}{% cachefragment "i" tags="row:7" %}{{ n }}'
        "{% endcachefragment %}{% endcachefragment %}"
    )
    shop.render(n=1)
    shop.cache.invalidate(tags=["row:7"])
    assert shop.render(n=2) == "2"
    assert shop.rendered == {"o": 2}


def test_without_the_load_around_it_the_outer_one_goes_stale(
    site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachewright.core.loading.Load.gather", lambda self, stamps: None)
    test = test_an_inner_fragment_s_tags_reach_the_outer
    with pytest.raises(AssertionError):
        test(site)


def test_defect_96_a_name_stays_escaped_and_safe_text_is_another_key(site: Make) -> None:
    shop = site('{% cachefragment "header" name %}<h1>{{ name }}</h1>{% endcachefragment %}')
    for _ in range(2):
        assert shop.render(name="<script>") == "<h1>&lt;script&gt;</h1>"
        assert shop.render(name=mark_safe("<script>")) == "<h1><script></h1>"


def test_one_block_escapes_or_not_as_the_page_says(site: Make) -> None:
    part = '{% cachefragment "a" %}{{ n }}{% endcachefragment %}'
    shop = site(
        {
            "on": part,
            "page": "{% include 'on' %}{% autoescape off %}{% include 'on' %}{% endautoescape %}",
            "off": "",
        }
    )
    for _ in range(2):
        assert shop.render(n="<") == "&lt;<"


def test_defect_94_language_and_zone_are_in_the_key_and_the_rest_is_declared_once(
    site: Make,
) -> None:
    shop = site(
        '{% cachefragment "a" %}{{ n }}{% endcachefragment %}',
        vary=["user.pk", lambda context: context["theme"]],
    )
    seen: dict[Any, str] = {}
    with override_settings(USE_I18N=True, USE_TZ=True):
        for _ in range(2):
            for language in ("de", "en"):
                for zone in ("UTC", "Europe/Berlin"):
                    for user in (1, 2):
                        for theme in ("dark", "light"):
                            with in_language(language), in_zone(zone):
                                which = (language, zone, user, theme)
                                given = {"user": {"pk": user}, "theme": theme, "n": len(seen)}
                                text = shop.render(**given)
                                assert seen.setdefault(which, text) == text
    assert len(set(seen.values())) == 16


def test_what_pages_vary_by_must_be_there(site: Make) -> None:
    shop = site(SIDEBAR, vary=["request.user.pk"])
    with pytest.raises(ConfigurationError, match=r"vary by 'request\.user\.pk'"):
        shop.render(id=1)


def test_a_tag_may_vary_by_something_else(site: Make) -> None:
    shop = site('{% cachefragment "a" vary="x" %}{{ n }}{% endcachefragment %}', vary=["user"])
    assert [shop.render(x=x, n=n) for x, n in [(1, 1), (2, 2), (1, 3)]] == ["1", "2", "1"]


def test_security_07_a_private_cache_s_fragments_belong_to_somebody(site: Make) -> None:
    shop = site(SIDEBAR, scope="user")
    with pytest.raises(ConfigurationError, match="scoped"):
        shop.render(id=1, name="ann")
    for user in ("ann", "bob"):
        for _ in range(2):
            with shop.cache.scoped(user):
                assert shop.render(id=1, name=user) == f"<b>{user}</b>"


@pytest.mark.parametrize("part", [object(), ...])
def test_a_part_without_a_spelling_is_refused(site: Make, part: Any) -> None:
    shop = site(SIDEBAR)
    with pytest.raises(InvalidKey):
        shop.render(**({} if part is ... else {"id": part}))


def test_an_error_inside_reaches_the_page_and_stores_nothing(site: Make) -> None:
    shop = site(
        '{% cachefragment "a" %}{% include part %}{% endcachefragment %}'.replace("part", "'part'")
    )
    with pytest.raises(django.template.TemplateDoesNotExist):
        shop.render()
    shop.templates["part"] = "there"
    assert shop.render() == "there"


def test_without_its_server_a_page_is_rendered(site: Make) -> None:
    shop = site(SIDEBAR, server="redis://127.0.0.1:1/0")
    assert shop.render(id=1, name="tea") == "<b>tea</b>"
    assert shop.render(id=1, name="jam") == "<b>jam</b>"


EDITED = {
    "own text": {"page": '{% cachefragment "a" %}OLD{% endcachefragment %}'},
    "elif": {
        "page": '{% cachefragment "a" %}{% if 0 %}{% elif "OLD" == "NEW" %}NEW{% else %}OLD{% endif %}{% endcachefragment %}'
    },
    "include": {
        "page": "{% cachefragment 'a' %}{% include 'part' %}{% endcachefragment %}",
        "part": "OLD",
    },
    "include of an include": {
        "page": "{% cachefragment 'a' %}{% include 'part' %}{% endcachefragment %}",
        "part": "{% include 'deep' %}",
        "deep": "OLD",
    },
    "parent of an include": {
        "page": "{% cachefragment 'a' %}{% include 'part' %}{% endcachefragment %}",
        "part": "{% extends 'base' %}",
        "base": "OLD",
    },
    "parent by super": {
        "page": "{% extends 'base' %}{% block b %}{% cachefragment 'a' %}{{ block.super }}{% endcachefragment %}{% endblock %}",
        "base": "{% block b %}OLD{% endblock %}",
    },
    "block of a child in a cached parent": {
        "page": "{% extends 'base' %}{% block b %}OLD{% endblock %}",
        "base": "{% cachefragment 'a' %}{% block b %}{% endblock %}{% endcachefragment %}",
    },
    "block of a child's parent": {
        "page": "{% extends 'middle' %}",
        "middle": "{% extends 'base' %}{% block b %}OLD{% endblock %}",
        "base": "{% cachefragment 'a' %}{% block b %}{% endblock %}{% endcachefragment %}",
    },
    "declared": {
        "page": "{% cachefragment 'a' templates='part' %}{% include name %}{% endcachefragment %}",
        "part": "OLD",
    },
}


@pytest.mark.parametrize("what", EDITED)
def test_an_edited_template_is_never_served_old(site: Make, what: str) -> None:
    shop = site(dict(EDITED[what]))
    for _ in range(2):
        assert shop.render(name="part") == "OLD"
    for name, text in list(shop.templates.items()):
        shop.templates[name] = text.replace("OLD", "NEW")
    for _ in range(2):
        assert shop.render(name="part") == "NEW"


@pytest.mark.parametrize("what", EDITED)
def test_with_keys_that_name_no_text_each_of_them_would_be(
    site: Make, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the digest of what is reached, and of the block, left out."""
    from cachewright.integrations.django.templatetags import cachewright as tags

    monkeypatch.setattr(tags, "key_of", lambda name, template, varied, parts: name)
    with pytest.raises(AssertionError):
        test_an_edited_template_is_never_served_old(site, what)


def test_two_children_of_a_cached_parent_share_nothing(site: Make) -> None:
    child = "{% extends 'base' %}{% block b %}NAME{% endblock %}"
    base = "{% cachefragment 'a' %}{% block b %}{% endblock %}{% endcachefragment %}"
    shop = site({"base": base, "x": child.replace("NAME", "x"), "y": child.replace("NAME", "y")})
    for _ in range(2):
        assert [shop.render(name) for name in "xy"] == ["x", "y"]


def test_a_template_named_while_rendering_has_to_be_declared(site: Make) -> None:
    shop = site(
        {"page": "{% cachefragment 'a' %}{% include name %}{% endcachefragment %}", "x": ""}
    )
    with pytest.raises(TemplateSyntaxError, match=r"templates='a.html b.html'"):
        shop.render(name="x")


ROWS = (
    '{% cachefragments "row" i in items key=i.id tags="row:{i.id}" %}{{ mark.row }}<{{ i.name }}>'
    "{% endcachefragments %}"
)


def rows(*names: str) -> list[dict[str, Any]]:
    """Items whose ids are their places."""
    return [{"id": n, "name": name} for n, name in enumerate(names)]


def test_of_many_only_what_is_missing_is_rendered(site: Make) -> None:
    shop = site(ROWS)
    assert shop.render(items=rows("a", "b")) == "<a><b>"
    assert shop.render(items=rows("A", "B", "c")[::-1]) == "<c><b><a>"
    shop.cache.invalidate(tags=["row:1"])
    assert shop.render(items=rows("A", "B")) == "<a><B>"
    assert shop.rendered == {"row": 4}
    assert shop.render(items=[]) == ""


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("cachefragment", "name, as a text in quotes"),
        ("cachefragment sidebar", "name, as a text in quotes"),
        ('cachefragment "a" tll=1', "no option 'tll'"),
        ('cachefragment "a" ttl=1 b', "b stands after an option"),
        ('cachefragment "a" ttl=1 ttl=2', "ttl= is given twice"),
        ('cachefragment "a" vary=b', "vary= is a text in quotes"),
        ('cachefragments "a" x key=x', "'item in items'"),
        ('cachefragments "a" x in y', "key= is missing"),
    ],
)
def test_a_mistake_in_a_tag_says_how_to_write_it(site: Make, tag: str, why: str) -> None:
    shop = site(f"{{% {tag} %}}{{% end{tag.split(maxsplit=1)[0]} %}}")
    with pytest.raises(TemplateSyntaxError, match=f"{why}.*Write"):
        shop.render()


@pytest.mark.parametrize("said", [None, {}, {"cache": 7}, {"cash": 1}, {"cache": "math.pi"}])
def test_settings_that_name_no_cache_are_told(site: Make, said: Any) -> None:
    shop = site(SIDEBAR)
    shop.said = said
    with pytest.raises(ConfigurationError, match="CACHEWRIGHT_FRAGMENTS"):
        shop.render(id=1)


def test_django_s_own_tag_is_not_hidden(site: Make) -> None:
    shop = site("{% load cache %}{% load cachewright %}{% cache 60 a %}x{% endcache %}" + SIDEBAR)
    with override_settings(
        CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    ):
        assert shop.render(id=1, name="tea") == "x<b>tea</b>"
