# Generated from _async/test_dead_letters.py by tools/unasync.py. Do not edit.
"""Dead letters: seen with their cause, tried again in order, dropped by name."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._sync.desk import Hand, Opened, People, person

from cachewright.errors import ConfigurationError
from cachewright.patterns._sync.dead_letters import DeadLetters
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.types import ABSENT


def one(server: Any, namespace: str, people: Any) -> Opened:
    """A door of one partition that gives up at the first refusal."""
    return Opened(server, namespace, people, partitions=1, deliveries=1)


def with_dead(writes: WriteBehind) -> Hand:
    """1 and 2 are dead, 1 with a patch that followed; 3 is fine."""
    hand = Hand.take(writes)
    writes.put_many([person(1, "poison one"), person(2, "poison two"), person(3)])
    hand.drain()
    writes.patch(1, {"age": 5})
    hand.drain()
    hand.drain()
    return hand


def test_letters_tell_what_died_when_and_why(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        with_dead(writes)
        dead = DeadLetters(writes)
        letters = dead.letters()
        assert [(letter.key, letter.kind) for letter in letters] == [
            ("people:2", "put"),
            ("people:1", "put"),
            ("people:1", "patch"),
        ]
        assert all("CHECK constraint failed" in letter.cause for letter in letters)
        assert all(letter.deliveries == 1 for letter in letters)
        assert all(0 <= letter.died - letter.written < 60 for letter in letters)
        assert dead.value(letters[0].id) == person(2, "poison two")
        assert dead.value(letters[2].id) == {"age": 5}
        with pytest.raises(ConfigurationError, match="no dead letter"):
            dead.value("0:1-1")
        with pytest.raises(ConfigurationError, match="partition:id"):
            dead.value("7")


def test_letters_that_are_tried_again_reach_the_source_in_order(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        hand = with_dead(writes)
        people.allow_poison()
        assert DeadLetters(writes).retry() == 3
        hand.drain()
        assert people.row(1) == {**person(1, "poison one", 5), "writes": 1}
        assert people.row(2) == {**person(2, "poison two"), "writes": 1}
        assert (writes.backlog())[0].dead == 0


def test_to_name_one_letter_is_to_name_all_of_its_key(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        hand = with_dead(writes)
        people.allow_poison()
        dead = DeadLetters(writes)
        assert dead.retry((dead.letters())[2].id) == 2
        hand.drain()
        assert people.row(1) == {**person(1, "poison one", 5), "writes": 1}
        assert people.row(2) is None


def test_letters_whose_cause_is_not_gone_die_again(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        hand = with_dead(writes)
        assert DeadLetters(writes).retry() == 3
        hand.drain()
        assert (writes.backlog())[0].dead == 3


def test_a_retry_never_overwrites_what_was_written_later(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        hand = with_dead(writes)
        writes.put(person(1, "later"))
        hand.drain()
        assert people.row(1) == {**person(1, "later"), "writes": 1}
        people.allow_poison()
        assert DeadLetters(writes).retry() == 1  # of 2 alone
        hand.drain()
        assert people.row(1) == {**person(1, "later"), "writes": 1}


def test_a_letter_that_is_dropped_is_seen_no_more(
    valkey: Any, namespace: str, people: People
) -> None:
    people.save(person(2, "as it was"))
    with one(valkey, namespace, people) as writes:
        hand = with_dead(writes)
        assert writes.get(2) == person(2, "poison two")
        dead = DeadLetters(writes)
        assert dead.drop((dead.letters())[0].id) == 1
        assert writes.get(2) == person(2, "as it was")
        assert writes.get(1) == person(1, "poison one", 5)
        assert (writes.backlog())[0].dead == 2
        with pytest.raises(ConfigurationError, match="name the letters"):
            dead.drop()
        writes.patch(2, {"age": 7})
        hand.drain()
        assert people.row(2) == {**person(2, "as it was", 7), "writes": 2}


def test_a_deletion_can_die_as_well(valkey: Any, namespace: str, people: People) -> None:
    def refuse(changes: Any) -> None:
        raise ValueError("a foreign key")

    people.save(person(1))
    with one(valkey, namespace, people) as writes:
        people.fail = refuse
        writes.delete(1)
        (Hand.take(writes)).drain()
        dead = DeadLetters(writes)
        letter = (dead.letters())[0]
        assert (letter.kind, letter.cause) == ("delete", "ValueError: a foreign key")
        assert dead.value(letter.id) is ABSENT
        assert writes.get(1, "none") == "none"
