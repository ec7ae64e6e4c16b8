"""Damage is drawn: the same draw damages in the same way, and every kind of damage does change something."""

from __future__ import annotations

import random

import pytest

from rig.mutations import MUTATIONS, Mutation, mutate

DATA, OTHER = bytes(range(200)), b"other" * 20


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda it: it.__name__)
def test_every_kind_of_damage_changes_the_bytes(mutation: Mutation) -> None:
    draw = random.Random(1)
    assert {mutation(draw, DATA, OTHER) for _ in range(20)} - {DATA}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda it: it.__name__)
def test_a_single_byte_can_be_damaged_too(mutation: Mutation) -> None:
    draw = random.Random(1)
    for _ in range(200):
        assert isinstance(mutation(draw, b"x", b"y"), bytes)


def test_the_same_draw_damages_in_the_same_way() -> None:
    first, second = random.Random(7), random.Random(7)
    assert [mutate(first, DATA, OTHER) for _ in range(50)] == [
        mutate(second, DATA, OTHER) for _ in range(50)
    ]
