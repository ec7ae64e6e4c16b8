"""Keys: no two inputs spell one, and no name of ours on the server is spelled by a user's key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cachewright.core.keys import MAX_KEY_BYTES, KeySpace, Template, as_key, spell
from cachewright.core.scopes import Scope
from cachewright.core.tags import key_tag, prefix_tag, prefix_tags, row_tag, table_tag, user_tag
from cachewright.errors import ConfigurationError, InvalidKey


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 1


class TextColour(str, Enum):  # noqa: UP042 - the older spelling is what this is about
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any


@dataclass(frozen=True)
class Size:
    x: Any
    y: Any


@dataclass
class Changeable:
    x: int


# Few letters, and those that the spelling itself is made of, so that accidents would happen.
CUNNING = st.text(st.sampled_from(":%~{}|#s1b-0 \n\0é\ud800A3*"), max_size=5)
SIMPLE = st.one_of(
    CUNNING,
    st.text(max_size=8),
    st.integers(-20, 20),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.binary(max_size=3),
    st.decimals(allow_nan=False, places=1, min_value=-2, max_value=2),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.timedeltas(),
)
PART = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(CUNNING, inner, max_size=2),
        st.builds(Point, inner, inner),
    ),
    max_leaves=5,
)
KEYS = st.lists(PART, min_size=1, max_size=3).map(tuple)


def identity(value: Any) -> Any:
    """What makes a value itself: its type all the way down, unlike `==`."""
    if isinstance(value, list | tuple):
        return type(value), [identity(item) for item in value]
    if isinstance(value, dict):
        items = [(identity(key), identity(item)) for key, item in value.items()]
        return dict, sorted(items, key=repr)
    if isinstance(value, Point):
        return Point, identity(value.x), identity(value.y)
    if isinstance(value, datetime | time):
        return type(value), value.isoformat(), value.fold
    return type(value), repr(value)


@given(KEYS, KEYS)
def test_security_01_no_two_tuples_spell_one_key(one: Any, other: Any) -> None:
    assert (as_key(one) == as_key(other)) == (identity(one) == identity(other))


def test_a_key_made_by_joining_str_fails_the_same_check() -> None:
    def naive(key: tuple[Any, ...]) -> str:
        return ":".join(map(str, key))

    assert naive(("a:b", "c")) == naive(("a", "b:c"))
    assert as_key(("a:b", "c")) != as_key(("a", "b:c"))


@given(CUNNING.filter(bool), CUNNING.filter(bool))
def test_tuples_of_cunning_text_are_kept_apart(one: str, other: str) -> None:
    joined = f"{one}:{other}"
    assert as_key((joined,)) != as_key((one, other))
    assert as_key((one, other, "")) != as_key((one, other))
    assert as_key(((one, other),)) != as_key((one, other))


@pytest.mark.parametrize(
    "values",
    [
        [1, True, 1.0, "1", Decimal(1), b"1", 1 + 0j],
        [0, False, None, "", b"", (), [], {}, set(), "0", "None", "n~"],
        ["a", b"a", "x~61", ("a",), ["a"], {"a"}],
        [date(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01"],  # noqa: DTZ001
        [time(1), time(1, fold=1), timedelta(hours=1)],
        [Colour.RED, Level.HIGH, "red", 1, "Colour.RED"],
        [Point(1, 2), Size(1, 2), (1, 2), Point("1", 2), Point(2, 1)],
        [UUID(int=1), str(UUID(int=1)), 1],
        [{1: 2}, {2: 1}, {1: 2, 2: 1}, {"1": 2}, [(1, 2)]],
        [("a", ("b", "c")), (("a", "b"), "c"), ("a", "b", "c")],
    ],
)
def test_security_05_values_of_different_types_are_different_parts(values: list[Any]) -> None:
    spelled = [spell(value) for value in values]
    assert len(set(spelled)) == len(values), spelled


class Safe(str):
    """Text of a template engine that says of itself that it is safe HTML."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def test_security_05_safe_html_and_a_text_of_the_same_letters_are_different_parts() -> None:
    assert spell(Safe("<b>")) == "h~%3Cb%3E"
    parts = [Safe("a"), "a", Safe(""), "", Safe("7"), 7, "7", "h~a"]
    assert len({spell(part) for part in parts}) == len(parts)


def test_the_order_of_sets_and_mappings_does_not_matter() -> None:
    assert spell({"a": 1, "b": 2}) == spell({"b": 2, "a": 1})
    assert spell({"a", "b", "c"}) == spell({"c", "b", "a"}) == spell(frozenset("abc"))


@pytest.mark.parametrize(
    "part",
    [object(), Changeable(1), iter([]), lambda: 1, Exception("x"), range(3), bytearray(b"x")],
)
def test_security_05_what_has_no_spelling_is_refused_and_never_str(part: Any) -> None:
    with pytest.raises(InvalidKey, match=r"pass its id|has no spelling"):
        as_key(("user", part))


@pytest.mark.parametrize("key", ["", (), 1, None, b"k", ["a"], {"a": 1}])
def test_only_strings_and_tuples_are_keys(key: Any) -> None:
    with pytest.raises(InvalidKey):
        as_key(key)


@pytest.mark.parametrize("key", ["\ud800", "a\udfffb"])
def test_security_03_a_lone_surrogate_is_a_part_of_a_key_and_no_key(key: str) -> None:
    """No protocol carries one; as a part it is escaped."""
    with pytest.raises(InvalidKey, match="tuple"):
        as_key(key)
    assert as_key((key,)).isascii()


def test_a_string_that_is_an_enum_is_the_key_that_its_text_is() -> None:
    """The hit path looks it up by its hash, which is that of the text."""
    assert as_key(TextColour.RED) == "red"


@given(SIMPLE)
def test_security_02_a_spelled_part_holds_nothing_that_another_protocol_reads(part: Any) -> None:
    """Security 2 and 3: no glob, no CR, LF, NUL or space, no brace, no bar; ASCII alone."""
    assert re.fullmatch(r"[!-~]+", spell(part))
    assert not set(spell(part)) & set(':{}|#*?[]\\"')


class TestTemplates:
    def test_a_template_is_filled_from_arguments_and_their_attributes(self) -> None:
        template = Template("order:{order.x}:{lines[0]}:{user_id}")
        assert template.names == {"order", "lines", "user_id"}
        filled = template.fill({"order": Point(7, 8), "lines": ["a b"], "user_id": "1"})
        assert filled == "order:7:a%20b:s~1"

    @pytest.mark.parametrize(
        "text", ["{", "a}", "{}", "{0}", "{a!r}", "{a:>10}", "{a:{b}}", "x{a", "{a b!s}"]
    )
    def test_a_template_that_could_spell_ambiguously_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="template"):
            Template(text)

    @given(CUNNING, CUNNING, CUNNING, CUNNING)
    def test_two_fillings_of_one_template_differ(self, a: str, b: str, c: str, d: str) -> None:
        assume((a, b) != (c, d))
        template = Template("user:{a}:of:{b}")
        assert template.fill({"a": a, "b": b}) != template.fill({"a": c, "b": d})

    @pytest.mark.parametrize("text", ["{a}{b}", "user-{a}-{b}", "{a}/{b}", "{a}~{b}", "{a}%3A{b}"])
    def test_security_01_fields_without_a_separator_between_them_are_refused(
        self, text: str
    ) -> None:
        """`{a}-{b}` would spell ("x-y", "z") and ("x", "y-z") alike."""
        with pytest.raises(ConfigurationError, match="template"):
            Template(text)

    def test_what_cannot_be_spelled_is_refused_at_the_call(self) -> None:
        with pytest.raises(InvalidKey):
            Template("x:{a}").fill({"a": object()})


def names_of(space: KeySpace, key: str) -> list[str]:
    return [
        space.entry(key),
        space.lease(key),
        space.tag(key_tag(key)),
        space.tag(user_tag(key)),
        space.tag(prefix_tag(key)),
        space.tag(f"s:{key}"),
        space.tag(f"n:{key}"),
    ]


NAME = st.one_of(
    st.text(st.sampled_from("a:{}#~|/ ltagsempseq1é\n"), min_size=1, max_size=12),
    st.sampled_from(["a}:lease", "a}:stamp", "tag:{t:a}", "seq", "bus:1", "x" * 600, "tag", "a"]),
)
SPACES = st.text("ab/.-_tagseq", min_size=1, max_size=6)


@given(SPACES, st.lists(st.one_of(NAME, st.sampled_from(["users:1", "users:2", ""])), max_size=5))
def test_security_08_many_names_are_those_of_each(namespace: str, keys: list[str]) -> None:
    space, tags = KeySpace(namespace), [f"t:{key}" for key in keys]
    assert space.entries(keys) == [space.entry(key) for key in keys]
    assert space.tags(tags) == [space.tag(tag) for tag in tags]


@given(SPACES, SPACES, NAME, NAME)
def test_security_08_names_on_the_server_cannot_spell_one_another(
    one: str, other: str, key: str, another: str
) -> None:
    assume((one, key) != (other, another))
    a, b = KeySpace(one), KeySpace(other)
    fixed = {a.bus, a.sequence, a.wake}
    mine = names_of(a, key)
    assert len(set(mine)) == len(mine)
    assert not set(mine) & set(names_of(b, another))
    assert not fixed & {*mine, *names_of(b, another)}


@given(NAME)
def test_defect_11_what_belongs_to_one_key_lies_in_one_cluster_slot(key: str) -> None:
    space = KeySpace("ns")

    def hash_tag(name: str) -> str:
        """As the cluster specification finds it: between the first brace and the next closing one."""
        begin = name.index("{")
        end = name.index("}", begin)
        return name[begin + 1 : end]

    names = [space.entry(key), space.lease(key), space.tag(key_tag(key))]
    assert len({hash_tag(name) for name in names}) == 1
    assert hash_tag(names[0])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_security_03_no_control_character_or_surrogate_reaches_the_server(key: str) -> None:
    space = KeySpace("ns")
    for name in names_of(space, key):
        assert re.fullmatch(r"[!-~]+", name)


@pytest.mark.parametrize("key", ["a\r\nb", "a\0b", "a b", "é", "{x}", "x" * 513])
def test_security_03_such_a_key_is_named_by_its_digest(key: str) -> None:
    space = KeySpace("ns")
    assert space.is_digest(key)
    assert re.fullmatch(r"ns#\{[A-Za-z0-9_.:-]{1,40}~[0-9a-f]{40}\}", space.entry(key))


def test_security_04_a_long_key_becomes_a_readable_start_and_160_bits_of_all_of_it() -> None:
    space = KeySpace("ns")
    edge = "k" * MAX_KEY_BYTES
    assert space.entry(edge) == f"ns:{{{edge}}}"
    long = [edge + "a", edge + "b"]
    assert space.entry(long[0]).startswith("ns#{kkkkk")
    assert space.entry(long[0]) != space.entry(long[1])
    assert len(bytes.fromhex(space.entry(long[0]).partition("~")[2].rstrip("}"))) * 8 >= 128


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a{b}", "a#b", "x" * 101, "é", "a\n", None, 7, "a*"]
)
def test_a_namespace_that_could_spell_anothers_names_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        KeySpace(name)


@given(PART, PART, CUNNING.filter(bool), CUNNING.filter(bool))
def test_keys_of_two_scopes_never_meet(one: Any, other: Any, key: str, another: str) -> None:
    """Security 7: the bar after the scope cannot be part of a spelled scope."""
    scope = Scope("user")
    with scope.entered(one):
        first = scope.prefix() + key
    with scope.entered(other):
        second = scope.prefix() + another
    assert (first == second) == ((identity(one), key) == (identity(other), another))


def test_a_tag_is_spelled_as_a_key_is_and_every_kind_is_apart() -> None:
    assert user_tag(("row", 7)) == "t:row:7" == user_tag("row:7")
    assert table_tag("flights") == "table:flights"
    assert row_tag("flights", 4711) == "row:flights:4711"
    assert row_tag("flights", "4711") != row_tag("flights", 4711)
    assert prefix_tags("a:b:c") == ["p:a", "p:a:b", "p:a:b:c"]
    kinds = {user_tag("x"), key_tag("x"), prefix_tag("x"), "s:x", "n:"}
    assert len(kinds) == 5
