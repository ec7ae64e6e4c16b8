"""The row on warm pages of fragments in Django's templates, beside Django's own tag over its cache in memory.

What must not be here: Jinja2 (`fragments`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.fragments import CARD, FRAGMENTS, ITEMS
from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage

LIBRARY = "cachewright.integrations.django.templatetags.cachewright"
_LOOP = "{% for i in items %}<< >>{% endfor %}"
TAG = "{% cachefragment 'row' i.id ttl=300 tags='row:{i.id}' %}" + CARD + "{% endcachefragment %}"
PAGES = {
    "each": _LOOP.replace("<< >>", TAG),
    "list": "{% cachefragments 'row' i in items key=i.id ttl=300 tags='row:{i.id}' %}"
    + CARD
    + "{% endcachefragments %}",
    "django": "{% load cache %}"
    + _LOOP.replace("<< >>", "{% cache 300 row i.id %}" + CARD + "{% endcache %}"),
    "none": _LOOP.replace("<< >>", CARD),
}
_MEMORY = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def _page(name: str) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        import django
        from django.conf import settings
        from django.template import Context, Engine

        from cachewright import Cache

        if not settings.configured:
            cache = Cache()
            stage.closing(cache.close)
            settings.configure(CACHES=_MEMORY, CACHEWRIGHT_FRAGMENTS={"cache": cache})
            django.setup()
        engine = Engine(libraries={"cache": "django.templatetags.cache"}, builtins=[LIBRARY])
        template: Any = engine.from_string(PAGES[name])

        def render() -> str:
            text: str = template.render(Context({"items": ITEMS}))
            return text

        if len(render()) < FRAGMENTS:
            raise RuntimeError("the page was not rendered")
        return stage.timed("render()", range(2), block=0, render=render)

    return prepare


_TAG = "Django's {% cache %} over LocMemCache"

ROW = Row(
    number=22,
    name="page-django",
    title="A warm page of fragments in Django's templates",
    unit="ns",
    reference=_TAG,
    clock="cpu",
    note=f"Nanoseconds a page of {FRAGMENTS} fragments, all warm in memory, each with a part and a lifetime, ours with a tag.",
    cases=(
        ours("{% cachefragment %}", _page("each")),
        ours("{% cachefragments %}", _page("list")),
        Case(_TAG, _page("django")),
        floor("no tags", _page("none")),
    ),
    targets=(Target(case="cachewright {% cachefragment %}", limit=1.0, against=(_TAG,)),),
)
