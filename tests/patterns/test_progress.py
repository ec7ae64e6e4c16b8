"""How far a partition has come, as text: read back as written, never longer than its column, never the same twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.errors import CodecError
from cachewright.patterns.progress import Progress

VERSIONS = st.builds(
    lambda ms, seq: f"{ms:015d}-{seq:010d}",
    st.integers(0, 10**15 - 1),
    st.integers(0, 10**10 - 1),
)
SOME = st.builds(
    Progress, VERSIONS | st.just(""), st.integers(0, 10**9 - 1), VERSIONS | st.just("")
)


@given(SOME)
def test_what_was_written_is_read_and_fits_into_its_column(progress: Progress) -> None:
    assert Progress.read(progress.text) == progress
    assert len(progress.text) <= 64


@given(SOME.filter(lambda one: one.term < 10**9 - 1))
def test_a_term_changes_the_text_and_nothing_that_was_applied(progress: Progress) -> None:
    following = progress.next_term()
    assert following.text != progress.text
    assert (following.version, following.retried) == (progress.version, progress.retried)


def test_nothing_recorded_is_the_beginning() -> None:
    assert Progress.read(None) == Progress()


def test_a_version_alone_is_read_too() -> None:
    version = "000001764084000-0000000001"
    assert Progress.read(version) == Progress(version)


@pytest.mark.parametrize(
    "text", ["7-0", "x", "!", "!1~", "~", "000001764084000-0000000001!1~2", " "]
)
def test_what_no_worker_has_written_is_not_guessed_at(text: str) -> None:
    with pytest.raises(CodecError, match="makes no sense"):
        Progress.read(text)
