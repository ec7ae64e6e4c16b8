"""One request has one key, another request another, and no secret can be read in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.keys import as_key
from cachewright.errors import InvalidKey
from cachewright.objects import api_key

URL = "https://api.example.com/v1/users"

ONE: list[tuple[Any, Any]] = [
    (("get", URL), ("GET", URL)),
    (("GET", "HTTPS://API.Example.COM:443/v1/users"), ("GET", URL)),
    (("GET", "http://a:80/"), ("GET", "http://a")),
    (("GET", "http://a./x"), ("GET", "http://a/x")),
    (("GET", "https://a/%7euser/%c3%a9"), ("GET", "https://a/~user/%C3%A9")),
    (("GET", "https://a/b/./c/../d"), ("GET", "https://a/b/d")),
    (("GET", URL + "?b=1&a=2"), ("GET", URL + "?a=2&b=1")),
    (("GET", URL + "#part"), ("GET", URL)),
    (
        ("GET", URL, {"a": 1, "b": {"x": 1, "y": [2]}}),
        ("GET", URL, {"b": {"y": [2], "x": 1}, "a": 1}),
    ),
    (("GET", URL, [("b", 1), ("a", 2), ("a", 1)]), ("GET", URL, [("a", 2), ("a", 1), ("b", 1)])),
]
OTHER: list[tuple[Any, Any]] = [
    (("GET", URL), ("POST", URL)),
    (("GET", URL), ("GET", URL + "/")),
    (("GET", "http://a/"), ("GET", "https://a/")),
    (("GET", "http://a/"), ("GET", "http://a:8080/")),
    (("GET", "http://ann@a/"), ("GET", "http://bob@a/")),
    (("GET", "http://a/X"), ("GET", "http://a/x")),
    (("GET", "http://a/b%2Fc"), ("GET", "http://a/b/c")),
    (("GET", "http://a//b"), ("GET", "http://a/b")),
    (("GET", URL + "?a=1&a=2"), ("GET", URL + "?a=2&a=1")),
    (("GET", URL + "?a="), ("GET", URL)),
    (("GET", URL + "?a=1%26b=2"), ("GET", URL + "?a=1&b=2")),
    (("GET", URL + "?a=%ff"), ("GET", URL + "?a=%fe")),
    (("GET", URL, {"a": 1}), ("GET", URL, {"a": "1"})),
    (("GET", URL, {"a": True}), ("GET", URL, {"a": 1})),
    (("GET", URL, {"a": None}), ("GET", URL, {})),
    (("GET", URL, {"a": [1, 2]}), ("GET", URL, {"a": [2, 1]})),
    (("GET", URL, {"a": [1, [2]]}), ("GET", URL, {"a": [1, 2]})),
    (("GET", URL, {"a": {"b": 1}}), ("GET", URL, {"a": {"b": "1"}})),
    (("GET", URL, {"a": "b:c"}), ("GET", URL, {"a:b": "c"})),
]


@pytest.mark.parametrize(("one", "same"), ONE)
def test_defect_99_one_request_has_one_key(one: Any, same: Any) -> None:
    assert api_key(*one) == api_key(*same)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_defect_99_another_request_has_another_key(one: Any, other: Any) -> None:
    assert api_key(*one) != api_key(*other)


def test_defect_99_the_guides_key_depends_on_the_order_of_parameters() -> None:
    """The control: `json.dumps` without `sort_keys`, or the text of a dict."""
    one, same = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert str(one) != str(same)
    assert api_key("GET", URL, one) == api_key("GET", URL, same)


def test_body_and_headers_count() -> None:
    keys = {
        api_key("POST", URL),
        api_key("POST", URL, body={"a": 1}),
        api_key("POST", URL, body=b"{}"),
        api_key("POST", URL, headers={"Accept-Language": "de"}),
        api_key("POST", URL, headers={"Accept-Language": "fr"}),
        api_key("POST", URL, {"Accept-Language": "fr"}),
    }
    assert len(keys) == 6
    assert api_key("GET", URL, headers={"ACCEPT": "x"}) == api_key(
        "GET", URL, headers={"accept": "x"}
    )


def test_security_22_no_secret_can_be_read_in_a_key() -> None:
    secret = "s3cr3t"
    key = as_key(
        api_key(
            "GET",
            f"https://ann:{secret}@api.example.com/{secret}?token={secret}",
            {"api_key": secret, secret: 1},
            body={"pin": secret},
            headers={"Authorization": secret},
        )
    )
    assert secret not in key
    assert "ann" not in key
    assert "api.example.com" in key, "whose API it is can be read"


def test_security_22_with_a_pepper_nobody_can_try_secrets_out() -> None:
    plain, peppered = (
        api_key("GET", URL, {"pin": 1234}),
        api_key("GET", URL, {"pin": 1234}, pepper=b"p" * 32),
    )
    assert plain != peppered == api_key("GET", URL, {"pin": 1234}, pepper=b"p" * 32)


@pytest.mark.parametrize(
    "bad", [("GET", "http://a:port/"), ("GET", "http://[/"), ("GET", URL, [1])]
)
def test_what_is_no_request_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidKey):
        api_key(*bad)


def test_a_parameter_without_a_spelling_is_refused() -> None:
    with pytest.raises(InvalidKey):
        api_key("GET", URL, {"a": object()})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.randoms())
def test_the_order_in_which_parameters_were_written_never_matters(params: Any, random: Any) -> None:
    names = list(params)
    random.shuffle(names)
    assert api_key("GET", URL, params) == api_key(
        "GET", URL, {name: params[name] for name in names}
    )


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _typed(item) for name, item in value.items()}
    return [_typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(
    st.dictionaries(st.text(), VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=3)
)
def test_no_two_sets_of_parameters_share_a_key(one: Any, other: Any) -> None:
    same = _typed(one) == _typed(other)
    assert (api_key("GET", URL, one) == api_key("GET", URL, other)) is same
