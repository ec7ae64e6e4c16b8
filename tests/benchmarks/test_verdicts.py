"""The benchmark's arithmetic and its report: a miss is a miss, and what was not measured is told."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import report
from benchmarks.rows import Case, Row, Sample, Target
from benchmarks.running import Samples, Size, measure_here
from benchmarks.stage import Stage
from benchmarks.verdicts import ratio, summary

SIZE = Size(rounds=3, quick=True, seed=7)


def never(stage: Stage) -> Any:
    raise AssertionError("not to be called")


def row(*targets: Target, higher_is_better: bool = False, **prepared: Any) -> Row:
    """A row whose cases are called as the arguments are."""
    cases = tuple(Case(name, prepare) for name, prepare in prepared.items())
    return Row(
        number=99,
        name="test",
        title="A row of this test",
        unit="ns",
        reference=next(iter(prepared)),
        cases=cases,
        targets=targets,
        higher_is_better=higher_is_better,
    )


def outcome(one: Row, **values: list[float]) -> dict[str, Any]:
    """The summary of a row for which these values were measured."""
    taken = {name: [Sample(value) for value in found] for name, found in values.items()}
    return summary(one, Samples(by_case=taken))


def verdicts(data: dict[str, Any]) -> list[str]:
    return [target["verdict"] for target in data["targets"]]


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine was ten times slower in the second round, for both alike.
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0


def test_a_target_is_reached_at_its_limit_and_missed_beyond() -> None:
    limits = [Target(case="us", limit=limit, against=("them",)) for limit in (2.1, 2.0, 1.9)]
    data = outcome(row(*limits, us=never, them=never), us=[2.0], them=[1.0])
    assert verdicts(data) == ["reached", "reached", "missed"]


def test_a_lower_limit_is_missed_from_below() -> None:
    limits = [
        Target(case="us", limit=limit, against=("them",), at_least=True) for limit in (1.9, 2.1)
    ]
    data = outcome(row(*limits, us=never, them=never), us=[2.0], them=[1.0])
    assert verdicts(data) == ["reached", "missed"]


def test_of_several_peers_the_best_is_what_counts() -> None:
    target = Target(case="us", limit=1.0, against=("slow", "quick"))
    less = row(target, us=never, slow=never, quick=never)
    data = outcome(less, us=[2.0], slow=[4.0], quick=[1.0])
    assert data["targets"][0]["against"] == "quick"
    assert verdicts(data) == ["missed"]
    more = row(target, us=never, slow=never, quick=never, higher_is_better=True)
    assert outcome(more, us=[2.0], slow=[4.0], quick=[1.0])["targets"][0]["against"] == "slow"


def test_what_is_counted_is_judged_by_its_worst_round() -> None:
    one = row(Target(case="us", limit=1, count="loads"), us=never)
    counted = Samples(by_case={"us": [Sample(1.0, {"loads": loads}) for loads in (1, 1, 2)]})
    assert verdicts(summary(one, counted)) == ["missed"]


def test_a_case_that_was_not_measured_reaches_nothing() -> None:
    one = row(Target(case="us", limit=9.9, against=("them",)), us=never, them=never)
    assert verdicts(outcome(one, them=[1.0])) == ["not measured"]
    assert verdicts(outcome(one, us=[1.0])) == ["not measured"]


def test_a_miss_is_printed_as_a_miss() -> None:
    data = outcome(
        row(Target(case="us", limit=1.0, against=("them",)), us=never, them=never),
        us=[2.0],
        them=[1.0],
    )
    assert "2 (≤ 1) × them: MISSED" in report.as_text(data)
    assert "**missed**" in report.as_page(report.document([data], SIZE))


def test_a_peer_that_cannot_be_imported_is_listed_with_the_reason() -> None:
    def absent(stage: Stage) -> Any:
        import a_peer_that_nobody_has  # noqa: F401

    def broken(stage: Stage) -> Any:
        raise ValueError("it does not like this client")

    samples = measure_here(row(us=lambda stage: lambda: 1.0, absent=absent, broken=broken), SIZE)
    assert list(samples.by_case) == ["us"]
    data = summary(row(us=never, absent=never, broken=never), samples)
    shown = report.as_page(report.document([data], SIZE))
    assert "missing: No module named 'a_peer_that_nobody_has'" in shown
    assert "failed: ValueError: it does not like this client" in shown


def test_every_case_is_measured_in_every_round_in_a_new_order() -> None:
    order: list[str] = []

    def noting(name: str) -> Any:
        return lambda stage: lambda: order.append(name) or 1.0

    names = ["a", "b", "c", "d"]
    size = Size(rounds=8, quick=True, seed=7)
    measure_here(row(**{name: noting(name) for name in names}), size)
    rounds = [order[i : i + 4] for i in range(0, 32, 4)]
    assert all(sorted(each) == names for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_a_case_that_fails_half_way_has_no_result() -> None:
    calls = iter([1.0, 1.0])
    samples = measure_here(row(us=lambda stage: lambda: next(calls)), SIZE)
    assert samples.by_case == {}
    assert samples.missing["us"].startswith("failed: StopIteration")


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (52.04, "52"), (1234.5, "1,234"), (7.0, "7")]
)
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert report.number(value) == text


def test_nanoseconds_are_shown_in_the_unit_that_reads_well() -> None:
    one = row(us=never)
    assert report.scaled(outcome(one, us=[200.0])) == ("ns", 1.0)
    assert report.scaled(outcome(one, us=[50_000.0])) == ("µs", 1e3)
    assert report.scaled(outcome(one, us=[50_000_000.0])) == ("ms", 1e6)


def test_rows_that_were_not_measured_again_stay() -> None:
    def measured(name: str, value: float) -> dict[str, Any]:
        return outcome(row(us=never), us=[value]) | {"name": name, "number": ord(name)}

    old = report.document([measured("a", 1.0), measured("b", 1.0)], SIZE)
    new = report.document([measured("a", 2.0)], SIZE)
    both = report.merged(old, new)
    assert [(it["name"], it["cases"][0]["median"]) for it in both["rows"]] == [
        ("a", 2.0),
        ("b", 1.0),
    ]


def test_rows_of_another_machine_do_not_stay() -> None:
    old = report.document([outcome(row(us=never), us=[1.0]) | {"name": "b"}], SIZE)
    new = report.document([outcome(row(us=never), us=[1.0])], SIZE)
    assert report.merged(old | {"machine": {"cores": 0}}, new) == new
