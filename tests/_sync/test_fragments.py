# Generated from _async/test_fragments.py by tools/unasync.py. Do not edit.
"""`fragment`: the key is the name and all arguments; what is safe HTML stays so, and nothing becomes it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from markupsafe import Markup

from cachewright import ABSENT, Cache, ConfigurationError, InvalidKey, Policy, Unstorable
from cachewright.core import html
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


class Shown(str):
    """Safe HTML of another product's, as Django's SafeString is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def test_defect_92_every_argument_is_in_the_key(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:

        @cache.fragment("sidebar")
        def sidebar(name: str, /, depth: int = 1, *, theme: str = "light") -> str:
            return f"{name} {depth} {theme}"

        assert sidebar("a") == "a 1 light"
        assert sidebar("b") == "b 1 light"
        assert sidebar("b", 2) == "b 2 light"
        assert sidebar("b", depth=2, theme="dark") == "b 2 dark"
        assert sidebar("b", 2) == sidebar("b", depth=2, theme="light") == "b 2 light"


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


def test_defect_93_a_fragment_falls_by_its_tags_and_no_other_does(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        rendered: list[str] = []

        @cache.fragment("header", tags=["header:{name}"])
        def header(name: str) -> str:
            rendered.append(name)
            return name

        for name in ("header", "header2", "h*"):
            header(name)
        cache.invalidate(tags=["header:header"])
        header.invalidate("h*")
        for name in ("header", "header2", "h*"):
            header(name)
        assert rendered == ["header", "header2", "h*", "header", "h*"]


def test_defect_93_a_pattern_over_hashed_keys_finds_nothing_and_over_names_too_much() -> None:
    """The control: what the guide deletes."""
    from fnmatch import fnmatch
    from hashlib import md5

    hashed = [f"fragment:{md5(name.encode()).hexdigest()[:8]}" for name in ("header", "header2")]
    assert [key for key in hashed if fnmatch(key, "fragment:header*")] == []
    named = ["fragment:header", "fragment:header2"]
    assert [key for key in named if fnmatch(key, "fragment:header*")] == named


def test_markup_stays_markup_and_a_plain_text_plain(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:

        @cache.fragment("a")
        def part(text: Any) -> Any:
            return text

        for text, kind in [
            ("<i>", str),
            (Markup("<b>"), Markup),
            (Shown("<u>"), Markup),
            ("", str),
        ]:
            for _ in range(2):
                found = part(text)
                assert (found, type(found)) == (text, kind)
            found = part.refresh(text)
            assert (found, type(found)) == (text, kind)


def test_from_the_server_it_comes_as_it_went(server: Any, namespace: str) -> None:
    with (
        Cache(server.url, namespace=namespace, codec="json") as first,
        Cache(server.url, namespace=namespace, codec="json") as second,
    ):
        rendered: list[bool] = []

        def part(safe: bool) -> Any:
            rendered.append(safe)
            return Markup("<b>") if safe else "<b>"

        for cache in (first, second):
            show = cache.fragment("a")(part)
            assert type(show(True)) is Markup
            assert type(show(False)) is str
        assert rendered == [True, False]


def test_defect_96_a_name_in_a_cached_header_stays_escaped(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:

        @cache.fragment("header")
        def header(name: str) -> Markup:
            return Markup("<h1>{}</h1>").format(name)

        @cache.fragment("name")
        def bare(name: str) -> str:
            return name

        for _ in range(2):
            assert header("<script>") == "<h1>&lt;script&gt;</h1>"
            assert Markup("<h1>{}</h1>").format(bare("<script>")) == "<h1>&lt;script&gt;</h1>"


def test_defect_96_a_text_that_becomes_safe_by_being_cached_is_an_injection(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: all that is cached comes back as Markup."""
    monkeypatch.setattr(html, "kept", lambda text, by: [str(text)])
    with Cache(place, namespace=namespace) as cache:

        @cache.fragment("name")
        def bare(name: str) -> str:
            return name

        assert Markup("<h1>{}</h1>").format(bare("<script>")) == "<h1><script></h1>"


def test_markup_and_a_plain_text_are_two_arguments(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:

        @cache.fragment("name")
        def show(name: str) -> Markup:
            return Markup("{}").format(name)

        assert show(Markup("<b>")) == "<b>"
        assert show("<b>") == "&lt;b&gt;"


def test_a_fragment_inside_a_fragment_hands_its_tags_up(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        names = {7: "Ada"}

        @cache.fragment("name", tags=["row:{row}"])
        def name(row: int) -> str:
            return names[row]

        @cache.fragment("page")
        def page() -> str:
            return f"({name(7)})"

        assert page() == "(Ada)"
        names[7] = "Grace"
        cache.invalidate(tags=["row:7"])
        assert page() == "(Grace)"


def test_its_lifetime_and_its_looks_are_its_own() -> None:
    clock = FakeClock()
    with Cache(clock=clock, policy=Policy(ttl=9)) as cache:
        count = 0

        @cache.fragment("a", ttl=60, version=2)
        def part() -> str:
            """A part."""
            nonlocal count
            count += 1
            return str(count)

        assert (part.__name__, part.__doc__) == ("part", "A part.")
        assert part.key().startswith("fragment:a:")
        part()
        clock.advance(59)
        assert part() == "1"
        clock.advance(2)
        assert part() == "2"


@pytest.mark.parametrize("result", [None, 3, b"x", ["x"], ABSENT])
def test_what_is_no_text_is_refused(result: Any) -> None:
    with Cache() as cache:

        @cache.fragment("a")
        def part() -> Any:
            return result

        with pytest.raises(Unstorable, match="part returned a"):
            part()


def test_what_cannot_work_is_refused_at_once() -> None:
    with Cache() as cache:

        def part(self: Any) -> str:
            return ""

        with pytest.raises(ConfigurationError, match="say what self means"):
            cache.fragment("a")(part)
        with pytest.raises(ConfigurationError, match="needs a name"):
            cache.fragment("")(part)
        with pytest.raises(ConfigurationError, match="no parameter"):
            cache.fragment("a", tags=["row:{id}"], ignore=["self"])(part)

        def rows() -> Any:
            yield ""

        with pytest.raises(Unstorable, match="generator"):
            cache.fragment("a")(rows)


def test_an_argument_without_a_spelling_is_named() -> None:
    with Cache() as cache:

        @cache.fragment("a")
        def show(it: object) -> str:
            return ""

        with pytest.raises(InvalidKey, match="argument it"):
            show(object())


def test_without_markupsafe_safe_text_is_safe_all_the_same() -> None:
    code = (
        "import sys; sys.modules['markupsafe'] = None; sys.path[:0] = sys.argv[1:]\n"
        "from cachewright.core.html import Html, given, kept\n"
        "found = given(kept(Html('<b>'), by='f'))\n"
        "assert type(found) is Html and found.__html__() == '<b>', found\n"
        "assert type(given(kept('<b>', by='f'))) is str"
    )
    subprocess.run([sys.executable, "-c", code, *sys.path], check=True)
