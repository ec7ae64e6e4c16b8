# What the source would not take.
"""Dead letters: seen with their cause, tried again in order, dropped by name."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._async.desk import AsyncHand, AsyncOpened, AsyncPeople, person

from cachewright.errors import ConfigurationError
from cachewright.patterns._async.dead_letters import AsyncDeadLetters
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.types import ABSENT


def one(server: Any, namespace: str, people: Any) -> AsyncOpened:
    """A door of one partition that gives up at the first refusal."""
    return AsyncOpened(server, namespace, people, partitions=1, deliveries=1)


async def with_dead(writes: AsyncWriteBehind) -> AsyncHand:
    """1 and 2 are dead, 1 with a patch that followed; 3 is fine."""
    hand = await AsyncHand.take(writes)
    await writes.put_many([person(1, "poison one"), person(2, "poison two"), person(3)])
    await hand.drain()
    await writes.patch(1, {"age": 5})
    await hand.drain()
    await hand.drain()
    return hand


async def test_letters_tell_what_died_when_and_why(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        await with_dead(writes)
        dead = AsyncDeadLetters(writes)
        letters = await dead.letters()
        assert [(letter.key, letter.kind) for letter in letters] == [
            ("people:2", "put"),
            ("people:1", "put"),
            ("people:1", "patch"),
        ]
        assert all("CHECK constraint failed" in letter.cause for letter in letters)
        assert all(letter.deliveries == 1 for letter in letters)
        assert all(0 <= letter.died - letter.written < 60 for letter in letters)
        assert await dead.value(letters[0].id) == person(2, "poison two")
        assert await dead.value(letters[2].id) == {"age": 5}
        with pytest.raises(ConfigurationError, match="no dead letter"):
            await dead.value("0:1-1")
        with pytest.raises(ConfigurationError, match="partition:id"):
            await dead.value("7")


async def test_letters_that_are_tried_again_reach_the_source_in_order(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        hand = await with_dead(writes)
        people.allow_poison()
        assert await AsyncDeadLetters(writes).retry() == 3
        await hand.drain()
        assert people.row(1) == {**person(1, "poison one", 5), "writes": 1}
        assert people.row(2) == {**person(2, "poison two"), "writes": 1}
        assert (await writes.backlog())[0].dead == 0


async def test_to_name_one_letter_is_to_name_all_of_its_key(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        hand = await with_dead(writes)
        people.allow_poison()
        dead = AsyncDeadLetters(writes)
        assert await dead.retry((await dead.letters())[2].id) == 2
        await hand.drain()
        assert people.row(1) == {**person(1, "poison one", 5), "writes": 1}
        assert people.row(2) is None


async def test_letters_whose_cause_is_not_gone_die_again(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        hand = await with_dead(writes)
        assert await AsyncDeadLetters(writes).retry() == 3
        await hand.drain()
        assert (await writes.backlog())[0].dead == 3


async def test_a_retry_never_overwrites_what_was_written_later(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        hand = await with_dead(writes)
        await writes.put(person(1, "later"))
        await hand.drain()
        assert people.row(1) == {**person(1, "later"), "writes": 1}
        people.allow_poison()
        assert await AsyncDeadLetters(writes).retry() == 1  # of 2 alone
        await hand.drain()
        assert people.row(1) == {**person(1, "later"), "writes": 1}


async def test_a_letter_that_is_dropped_is_seen_no_more(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await people.save(person(2, "as it was"))
    async with one(valkey, namespace, people) as writes:
        hand = await with_dead(writes)
        assert await writes.get(2) == person(2, "poison two")
        dead = AsyncDeadLetters(writes)
        assert await dead.drop((await dead.letters())[0].id) == 1
        assert await writes.get(2) == person(2, "as it was")
        assert await writes.get(1) == person(1, "poison one", 5)
        assert (await writes.backlog())[0].dead == 2
        with pytest.raises(ConfigurationError, match="name the letters"):
            await dead.drop()
        await writes.patch(2, {"age": 7})
        await hand.drain()
        assert people.row(2) == {**person(2, "as it was", 7), "writes": 2}


async def test_a_deletion_can_die_as_well(valkey: Any, namespace: str, people: AsyncPeople) -> None:
    def refuse(changes: Any) -> None:
        raise ValueError("a foreign key")

    await people.save(person(1))
    async with one(valkey, namespace, people) as writes:
        people.fail = refuse
        await writes.delete(1)
        await (await AsyncHand.take(writes)).drain()
        dead = AsyncDeadLetters(writes)
        letter = (await dead.letters())[0]
        assert (letter.kind, letter.cause) == ("delete", "ValueError: a foreign key")
        assert await dead.value(letter.id) is ABSENT
        assert await writes.get(1, "none") == "none"
