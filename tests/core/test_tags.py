"""The tag clock: it forgets and never learns from news; the local stamps; backing off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cachewright.core.entry import Entry
from cachewright.core.tags import LocalStamps, TagClock

TAGS = ["t:a", "t:b", "n:"]


@pytest.fixture
def clock() -> TagClock:
    return TagClock(threading.RLock())


def test_a_read_teaches_what_its_reply_showed(clock: TagClock) -> None:
    clock.learn(clock.epoch, {"t:a": b"1"})
    assert clock.known == {"t:a": b"1"}
    assert clock.unknown(["t:a", "t:b"]) == ["t:b"]


def test_a_reply_that_an_invalidation_overtook_teaches_nothing(clock: TagClock) -> None:
    issued = clock.epoch
    clock.forget(["t:other"])
    clock.learn(issued, {"t:a": b"1"})
    assert clock.known == {}


def test_a_clock_that_ignored_when_the_read_began_would_learn_an_old_stamp(clock: TagClock) -> None:
    """The mutant of the test above: it passes over the check by lying about the epoch."""
    clock.forget(["t:a"])
    clock.learn(clock.epoch, {"t:a": b"old"})
    assert clock.matches({"t:a": b"old"})


def test_an_invalidation_erases_and_moves_the_epoch_and_never_sets(clock: TagClock) -> None:
    clock.learn(0, {"t:a": b"1", "t:b": b"1"})
    clock.forget(["t:a"])
    assert clock.known == {"t:b": b"1"}
    assert clock.epoch == 1
    clock.forget(["t:never heard of"])
    assert clock.epoch == 2


def test_an_unknown_stamp_is_a_mismatch(clock: TagClock) -> None:
    assert clock.matches({})
    assert not clock.matches({"t:a": b"1"})
    clock.learn(0, {"t:a": b"1"})
    assert clock.matches({"t:a": b"1"})
    assert not clock.matches({"t:a": b"2"})
    assert not clock.matches({"t:a": b"1", "t:b": b"1"})


def test_the_same_epoch_vouches_for_stamps_and_another_makes_them_be_compared(
    clock: TagClock,
) -> None:
    assert clock.current(0, {"t:a": b"1"})
    clock.forget(["t:b"])
    assert not clock.current(0, {"t:a": b"1"})
    clock.learn(1, {"t:a": b"1"})
    assert clock.current(0, {"t:a": b"1"})


def test_a_lost_link_forgets_everything_and_learns_nothing(clock: TagClock) -> None:
    clock.learn(0, {"t:a": b"1"})
    clock.forget_all(linked=False)
    assert clock.known == {}
    clock.learn(clock.epoch, {"t:a": b"1"})
    assert clock.known == {}
    before = clock.epoch
    clock.forget_all(linked=True)
    assert clock.epoch == before + 1
    clock.learn(clock.epoch, {"t:a": b"1"})
    assert clock.known


def test_security_23_the_known_stamps_are_bounded_and_the_oldest_are_forgotten() -> None:
    clock = TagClock(threading.RLock(), limit=80)
    clock.learn(0, {"n:": b"1"})
    for n in range(1000):
        clock.learn(clock.epoch, {f"t:{n}": b"1"})
        assert len(clock.known) <= 80
    assert clock.matches({"n:": b"1", "t:999": b"1"}), "the namespace's and the newest are kept"
    assert not clock.matches({"t:0": b"1"})


def test_security_23_more_stamps_at_once_than_the_bound_are_bounded_by_the_next() -> None:
    clock = TagClock(threading.RLock(), limit=80)
    for batch in range(50):
        clock.learn(clock.epoch, {f"t:{batch}:{n}": b"1" for n in range(60)})
    assert len(clock.known) <= 2 * 80


class Clocks(RuleBasedStateMachine):
    """Whatever happens: what the clock knows is what the server has, or will be told to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = TagClock(threading.RLock(), limit=16)
        self.server = dict.fromkeys(TAGS, 0)
        self.replies: list[tuple[int, dict[str, bytes]]] = []
        self.news: list[str] = []

    @rule(tag=st.sampled_from(TAGS))
    def somebody_writes(self, tag: str) -> None:
        self.server[tag] += 1
        self.news.append(tag)

    @rule()
    def the_news_arrives(self) -> None:
        if self.news:
            self.clock.forget([self.news.pop(0)])

    @rule(tag=st.sampled_from(TAGS))
    def a_read_is_answered(self, tag: str) -> None:
        self.replies.append((self.clock.epoch, {tag: b"%d" % self.server[tag]}))

    @rule()
    def the_reply_arrives(self) -> None:
        if self.replies:
            self.clock.learn(*self.replies.pop(0))

    @rule(linked=st.booleans())
    def the_link_changes(self, linked: bool) -> None:
        self.clock.forget_all(linked=linked)

    @invariant()
    def what_is_known_is_true_or_about_to_be_forgotten(self) -> None:
        for tag, stamp in self.clock.known.items():
            assert stamp == b"%d" % self.server[tag] or tag in self.news


TestClocks = Clocks.TestCase


@given(st.lists(st.sampled_from([*TAGS, "forget"]), max_size=20))
def test_a_local_stamp_is_never_made_twice(steps: list[str]) -> None:
    clock = TagClock(threading.RLock(), limit=16)
    stamps = LocalStamps(clock, b"here")
    seen: dict[str, set[bytes]] = {tag: set() for tag in TAGS}
    current: dict[str, bytes] = {}
    for step in steps:
        if step == "forget":
            clock.forget(TAGS)
            current = {}
            continue
        got = stamps.read([step])[step]
        if step in current and got != current[step]:
            assert got not in seen[step], "an old stamp came back"
        seen[step].add(got)
        current[step] = got
    assert len(clock.known) <= 16


def test_a_local_stamp_says_whether_it_is_older_than_a_load(clock: TagClock) -> None:
    stamps = LocalStamps(clock, b"here")
    before = stamps.read(["t:a"])["t:a"]
    base = clock.epoch
    assert stamps.older(before, base)
    clock.forget(["t:b"])
    assert stamps.older(stamps.read(["t:a"])["t:a"], base)
    assert not stamps.older(stamps.read(["t:b"])["t:b"], base)


def test_more_tags_than_the_limit_at_once_are_still_stamped() -> None:
    clock = TagClock(threading.RLock(), limit=3)
    made: dict[str, Any] = LocalStamps(clock, b"here").read([f"t:{n}" for n in range(5)])
    assert len(set(made.values())) == 5


# -------------------------------------------------------------------- entries from before the epoch moved


def an_entry(stamps: dict[str, bytes], *, epoch: int) -> Entry:
    entry = Entry("v", 9.0)
    entry.stamps, entry.epoch = stamps, epoch
    return entry


def test_an_entry_whose_stamps_still_match_is_taken_for_the_present_epoch() -> None:
    clock = TagClock(threading.RLock())
    clock.learn(0, {"n:": b"1", "t:mine": b"2", "t:other": b"3"})
    entry = an_entry({"n:": b"1", "t:mine": b"2"}, epoch=0)
    clock.forget(["t:other"])
    assert clock.renew(entry)
    assert entry.epoch == clock.epoch == 1


@pytest.mark.parametrize("stamps", [{"t:mine": b"old"}, {"n:": b"1", "t:gone": b"2"}])
def test_an_entry_of_which_a_stamp_has_moved_is_left_as_it_was(stamps: dict[str, bytes]) -> None:
    clock = TagClock(threading.RLock())
    clock.learn(0, {"n:": b"1", "t:mine": b"new", "t:gone": b"2"})
    entry = an_entry(stamps, epoch=0)
    clock.forget(["t:gone"])
    assert not clock.renew(entry)
    assert entry.epoch == 0


class Overtaken(dict[str, bytes]):
    """Known stamps; when one of them is looked up, an invalidation has just been carried out."""

    def __init__(self, clock: TagClock, known: dict[str, bytes], forgotten: str) -> None:
        super().__init__(known)
        self._clock, self._forgotten = clock, forgotten

    def get(self, tag: str, default: Any = None) -> Any:
        found = super().get(tag, default)
        if tag == self._forgotten:
            self._clock.forget([tag])
        return found


def renewed_while_its_tag_moves(renew: Callable[[TagClock, Entry], bool]) -> bool:
    """Whether an entry is current after a renewal that an invalidation of its tag has overtaken."""
    clock = TagClock(threading.RLock())
    clock.known = Overtaken(clock, {"t:mine": b"1"}, "t:mine")
    entry = an_entry({"t:mine": b"1"}, epoch=-1)
    renew(clock, entry)
    return clock.current(entry.epoch, entry.stamps)


def test_an_invalidation_that_overtakes_the_renewal_is_seen_at_the_next_hit() -> None:
    assert not renewed_while_its_tag_moves(TagClock.renew)


def test_an_epoch_taken_after_the_comparison_would_hide_it() -> None:
    """The twin of the test above."""

    def renew(clock: TagClock, entry: Entry) -> bool:
        if not clock.matches(entry.stamps):
            return False
        entry.epoch = clock.epoch
        return True

    assert renewed_while_its_tag_moves(renew)
