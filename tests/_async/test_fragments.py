# Functions that render parts of pages.
"""`fragment`: the key is the name and all arguments; what is safe HTML stays so, and nothing becomes it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from markupsafe import Markup

from cachewright import ABSENT, AsyncCache, ConfigurationError, InvalidKey, Policy, Unstorable
from cachewright.core import html
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


class Shown(str):
    """Safe HTML of another product's, as Django's SafeString is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


async def test_defect_92_every_argument_is_in_the_key(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.fragment("sidebar")
        async def sidebar(name: str, /, depth: int = 1, *, theme: str = "light") -> str:
            return f"{name} {depth} {theme}"

        assert await sidebar("a") == "a 1 light"
        assert await sidebar("b") == "b 1 light"
        assert await sidebar("b", 2) == "b 2 light"
        assert await sidebar("b", depth=2, theme="dark") == "b 2 dark"
        assert await sidebar("b", 2) == await sidebar("b", depth=2, theme="light") == "b 2 light"


def test_defect_92_a_key_without_positional_arguments_serves_the_wrong_sidebar() -> None:
    """The control: the guide's decorator."""
    cached: dict[str, str] = {}

    def fragment(function: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> str:
            key = f"{function.__name__}:{sorted(kwargs.items())}"
            return cached.setdefault(key, function(*args, **kwargs))

        return wrapper

    sidebar = fragment(lambda name: f"<b>{name}</b>")
    assert sidebar("a") == "<b>a</b>"
    assert sidebar("b") == "<b>a</b>"


async def test_defect_93_a_fragment_falls_by_its_tags_and_no_other_does(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        rendered: list[str] = []

        @cache.fragment("header", tags=["header:{name}"])
        async def header(name: str) -> str:
            rendered.append(name)
            return name

        for name in ("header", "header2", "h*"):
            await header(name)
        await cache.invalidate(tags=["header:header"])
        await header.invalidate("h*")
        for name in ("header", "header2", "h*"):
            await header(name)
        assert rendered == ["header", "header2", "h*", "header", "h*"]


def test_defect_93_a_pattern_over_hashed_keys_finds_nothing_and_over_names_too_much() -> None:
    """The control: what the guide deletes."""
    from fnmatch import fnmatch
    from hashlib import md5

    hashed = [f"fragment:{md5(name.encode()).hexdigest()[:8]}" for name in ("header", "header2")]
    assert [key for key in hashed if fnmatch(key, "fragment:header*")] == []
    named = ["fragment:header", "fragment:header2"]
    assert [key for key in named if fnmatch(key, "fragment:header*")] == named


async def test_markup_stays_markup_and_a_plain_text_plain(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.fragment("a")
        async def part(text: Any) -> Any:
            return text

        for text, kind in [
            ("<i>", str),
            (Markup("<b>"), Markup),
            (Shown("<u>"), Markup),
            ("", str),
        ]:
            for _ in range(2):
                found = await part(text)
                assert (found, type(found)) == (text, kind)
            found = await part.refresh(text)
            assert (found, type(found)) == (text, kind)


async def test_from_the_server_it_comes_as_it_went(server: Any, namespace: str) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace, codec="json") as first,
        AsyncCache(server.url, namespace=namespace, codec="json") as second,
    ):
        rendered: list[bool] = []

        async def part(safe: bool) -> Any:
            rendered.append(safe)
            return Markup("<b>") if safe else "<b>"

        for cache in (first, second):
            show = cache.fragment("a")(part)
            assert type(await show(True)) is Markup
            assert type(await show(False)) is str
        assert rendered == [True, False]


async def test_defect_96_a_name_in_a_cached_header_stays_escaped(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.fragment("header")
        async def header(name: str) -> Markup:
            return Markup("<h1>{}</h1>").format(name)

        @cache.fragment("name")
        async def bare(name: str) -> str:
            return name

        for _ in range(2):
            assert await header("<script>") == "<h1>&lt;script&gt;</h1>"
            assert Markup("<h1>{}</h1>").format(await bare("<script>")) == "<h1>&lt;script&gt;</h1>"


async def test_defect_96_a_text_that_becomes_safe_by_being_cached_is_an_injection(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: all that is cached comes back as Markup."""
    monkeypatch.setattr(html, "kept", lambda text, by: [str(text)])
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.fragment("name")
        async def bare(name: str) -> str:
            return name

        assert Markup("<h1>{}</h1>").format(await bare("<script>")) == "<h1><script></h1>"


async def test_markup_and_a_plain_text_are_two_arguments(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:

        @cache.fragment("name")
        async def show(name: str) -> Markup:
            return Markup("{}").format(name)

        assert await show(Markup("<b>")) == "<b>"
        assert await show("<b>") == "&lt;b&gt;"


async def test_a_fragment_inside_a_fragment_hands_its_tags_up(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        names = {7: "Ada"}

        @cache.fragment("name", tags=["row:{row}"])
        async def name(row: int) -> str:
            return names[row]

        @cache.fragment("page")
        async def page() -> str:
            return f"({await name(7)})"

        assert await page() == "(Ada)"
        names[7] = "Grace"
        await cache.invalidate(tags=["row:7"])
        assert await page() == "(Grace)"


async def test_its_lifetime_and_its_looks_are_its_own() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=Policy(ttl=9)) as cache:
        count = 0

        @cache.fragment("a", ttl=60, version=2)
        async def part() -> str:
            """A part."""
            nonlocal count
            count += 1
            return str(count)

        assert (part.__name__, part.__doc__) == ("part", "A part.")
        assert part.key().startswith("fragment:a:")
        await part()
        clock.advance(59)
        assert await part() == "1"
        clock.advance(2)
        assert await part() == "2"


@pytest.mark.parametrize("result", [None, 3, b"x", ["x"], ABSENT])
async def test_what_is_no_text_is_refused(result: Any) -> None:
    async with AsyncCache() as cache:

        @cache.fragment("a")
        async def part() -> Any:
            return result

        with pytest.raises(Unstorable, match="part returned a"):
            await part()


async def test_what_cannot_work_is_refused_at_once() -> None:
    async with AsyncCache() as cache:

        async def part(self: Any) -> str:
            return ""

        with pytest.raises(ConfigurationError, match="say what self means"):
            cache.fragment("a")(part)
        with pytest.raises(ConfigurationError, match="needs a name"):
            cache.fragment("")(part)
        with pytest.raises(ConfigurationError, match="no parameter"):
            cache.fragment("a", tags=["row:{id}"], ignore=["self"])(part)

        async def rows() -> Any:
            yield ""

        with pytest.raises(Unstorable, match="generator"):
            cache.fragment("a")(rows)


async def test_an_argument_without_a_spelling_is_named() -> None:
    async with AsyncCache() as cache:

        @cache.fragment("a")
        async def show(it: object) -> str:
            return ""

        with pytest.raises(InvalidKey, match="argument it"):
            await show(object())


def test_without_markupsafe_safe_text_is_safe_all_the_same() -> None:
    code = (
        "import sys; sys.modules['markupsafe'] = None; sys.path[:0] = sys.argv[1:]\n"
        "from cachewright.core.html import Html, given, kept\n"
        "found = given(kept(Html('<b>'), by='f'))\n"
        "assert type(found) is Html and found.__html__() == '<b>', found\n"
        "assert type(given(kept('<b>', by='f'))) is str"
    )
    subprocess.run([sys.executable, "-c", code, *sys.path], check=True)
