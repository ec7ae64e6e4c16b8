"""From the arguments of a call to its key."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.calls import CallKeys
from cachewright.errors import ConfigurationError, InvalidKey


def keys_of(function: Any, **options: Any) -> CallKeys:
    given = {"key": None, "tags": (), "ignore": (), "version": None}
    return CallKeys(function, **{**given, **options})


def search(
    text: str, page: int = 1, /, size: int = 20, *more: str, order: Any = None, **filters: Any
) -> None:
    """Every kind of parameter."""


class Shop:
    def price(self, item: str) -> None:
        """A method."""

    @classmethod
    def all(cls) -> None:
        """A class method, undecorated as the decorator below it would see it."""


class Depot:
    def price(self, item: str) -> None:
        """Another class, the same name."""


def test_defect_87_positional_keyword_and_default_give_one_key() -> None:
    def f(a: int, b: int = 2, *, c: int = 3) -> None: ...

    keys = keys_of(f)
    assert keys.key(1) == keys.key(1, 2) == keys.key(a=1) == keys.key(b=2, a=1) == keys.key(1, c=3)
    assert keys.key(1) != keys.key(1, 3) != keys.key(1, 2, c=4)


@given(
    st.lists(st.integers(0, 3), max_size=5),
    st.dictionaries(st.sampled_from(["size", "order", "x", "y"]), st.integers(0, 3), max_size=3),
)
def test_the_compiled_binding_is_what_python_binds(args: list[int], kwargs: dict[str, int]) -> None:
    signature = inspect.signature(search)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            keys_of(search).arguments(*args, **kwargs)
    else:
        bound.apply_defaults()
        assert keys_of(search).arguments(*args, **kwargs) == bound.arguments


def test_star_arguments_cannot_spell_one_another() -> None:
    keys = keys_of(search)
    calls = [
        keys.key("a", 1, 20, "b"),
        keys.key("a", 1, 20, "b", "c"),
        keys.key("a", 1, 20, "b:c"),
        keys.key("a", 1, 20, order="b"),
        keys.key("a", 1, 20, b="b"),
        keys.key("a", 1, 20),
        keys.key("a", 1, 20, text="a"),
    ]
    assert len(set(calls)) == len(calls)


def test_security_06_the_key_names_module_qualified_name_and_version() -> None:
    shop, depot = (keys_of(c.price, ignore=("self",)).key(None, "x") for c in (Shop, Depot))
    assert shop != depot
    assert shop.startswith(f"{__name__}.Shop.price".replace(".", ".")[:10])
    assert "Shop.price" in shop
    versions = {
        keys_of(Shop.price, ignore="self", version=v).key(None, "x") for v in (None, 1, 2, "1")
    }
    assert len(versions) == 4


def test_what_is_ignored_is_no_part_of_the_key() -> None:
    def f(session: object, user_id: int) -> None: ...

    keys = keys_of(f, ignore=("session",))
    assert keys.key(object(), 7) == keys.key(object(), 7)
    assert keys.key(object(), 7) != keys.key(object(), 8)


def test_an_argument_without_a_spelling_is_named_with_the_function() -> None:
    def f(session: object) -> None: ...

    with pytest.raises(InvalidKey, match=r"f, argument session: builtins.object .*ignore="):
        keys_of(f).key(object())


@pytest.mark.parametrize("method", [Shop.price, Shop.all.__func__])  # type: ignore[attr-defined]
def test_a_method_must_say_what_self_means(method: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"ignore=\('(self|cls)',\)"):
        keys_of(method)
    keys_of(method, ignore=inspect.getfullargspec(method).args[0])
    keys_of(method, key=f"price:{{{inspect.getfullargspec(method).args[0]}}}")


@pytest.mark.parametrize(
    "options",
    [
        {"key": "user:{user}"},
        {"key": "user:{item}", "tags": ["x:{nobody}"]},
        {"ignore": ("self", "session")},
        {"tags": "user:{item}"},
        {"key": "user:{item"},
    ],
)
def test_a_template_or_option_that_cannot_work_is_refused_at_decoration(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        keys_of(Shop.price, **options)


def test_keys_and_tags_are_filled_from_templates() -> None:
    def f(user_id: int, page: int = 1) -> None: ...

    keys = keys_of(f, key="user:{user_id}:{page}", tags=["user:{user_id}", "users"])
    assert keys.key(7) == "user:7:1"
    assert keys.tags(user_id=7) == ["user:7", "users"]


def test_a_call_that_the_function_would_refuse_is_a_type_error() -> None:
    def f(a: int) -> None: ...

    with pytest.raises(TypeError):
        keys_of(f).key()
    with pytest.raises(TypeError):
        keys_of(f).key(1, b=2)
