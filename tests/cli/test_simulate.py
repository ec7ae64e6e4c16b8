"""`cachewright simulate` as people and programs meet it: table, JSON, chart, and what it refuses."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from cachewright.cli.group import cachewright
from cachewright.simulation import POLICIES, installed

KEYS = [number * number % 97 for number in range(3000)]
HAS_MATPLOTLIB = find_spec("matplotlib") is not None
Ask = Callable[..., Result]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "squares.u32.xz"
    path.write_bytes(lzma.compress(b"".join(key.to_bytes(4, "little") for key in KEYS)))
    return path


@pytest.fixture
def ask(trace: Path) -> Ask:
    def ask(*options: str | Path, path: Path = trace) -> Result:
        return CliRunner().invoke(cachewright, ["simulate", str(path), *map(str, options)])

    return ask


def refused(result: Result, says: str) -> None:
    """Exit code 2, nothing on stdout, and one message without a traceback."""
    flat = " ".join(result.stderr.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in flat
    assert "Traceback" not in flat


def test_the_table_has_a_row_for_each_policy_and_a_column_for_each_size(ask: Ask) -> None:
    result = ask("--policies", "lru,fifo,cachewright", "--sizes", "5,10%,49")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "squares.u32.xz: 3,000 requests for 49 keys" in result.stdout
    rows = {cells[0]: cells[1:] for line in result.stdout.splitlines() if (cells := line.split())}
    assert set(rows) >= {"OPT", "cachewright", "LRU", "FIFO"}
    assert rows["OPT"] == ["(limit)", "10.17", "98.37"]  # 100%: all but the first for each key
    assert rows["LRU"] == rows["FIFO"] == ["9.17", "98.37", "0.50"]
    assert rows["cachewright"][:1] + rows["cachewright"][2:3] == ["L1", "98.37"]


def test_a_piped_table_is_never_cut_off(ask: Ask) -> None:
    sizes = ",".join(str(size) for size in range(1, 41))
    result = ask("--policies", "lru", "--sizes", sizes)
    lru = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["LRU"])
    assert len(re.findall(r"\d+\.\d\d", lru)) == 41


def test_json_is_all_that_is_printed_and_agrees_with_itself(ask: Ask) -> None:
    result = ask("--json", "--policies", "lru,cachewright", "--sizes", "10%,20,10%")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["trace"], found["requests"], found["unique"]) == ("squares.u32.xz", 3000, 49)
    assert found["sizes"] == [5, 20]
    assert set(found["policies"]) == {"opt", "lru", "cachewright"}
    for policy in found["policies"].values():
        ratios = [round(hits / 3000, 6) for hits in policy["hits"]]
        assert policy["hit_ratios"] == ratios
        gaps = [
            (most - hits) / 30
            for most, hits in zip(found["policies"]["opt"]["hits"], policy["hits"], strict=True)
        ]
        assert policy["mean_gap_to_opt_points"] == pytest.approx(sum(gaps) / 2, abs=1e-3)


def test_everything_installed_is_compared_unless_said_and_the_rest_is_named(ask: Ask) -> None:
    found = json.loads(ask("--json", "--sizes", "10").stdout)
    here = {name for name, policy in POLICIES.items() if installed(policy)}
    assert set(found["policies"]) == here | {"opt"}
    assert set(found["not_installed"]) == set(POLICIES) - here


def test_a_peer_that_is_not_here_is_left_out_aloud(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "theine", None)
    assert "Left out, not installed: theine (pip install theine)" in ask("--sizes", "10").stdout
    assert json.loads(ask("--sizes", "10", "--json").stdout)["not_installed"] == ["theine"] or (
        not all(installed(policy) for policy in POLICIES.values())
    )
    refused(ask("--policies", "theine"), "theine needs a package: pip install theine")


def test_a_log_of_keys_is_a_trace_too(ask: Ask, tmp_path: Path) -> None:
    log = tmp_path / "keys.log.xz"
    log.write_bytes(lzma.compress("\n".join(f"page:{key}" for key in KEYS).encode()))
    options = ("--json", "--policies", "lru", "--sizes", "10%")
    from_log, from_ids = (
        json.loads(ask(*options, path=log).stdout),
        json.loads(ask(*options).stdout),
    )
    assert from_log["policies"] == from_ids["policies"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--policies", "lur"], "no policy is called 'lur'. Did you mean lru? There are"),
        (["--policies", ""], "no policy is called ''"),
        (["--sizes", "0"], "'0' holds nothing"),
        (["--sizes", "1%,x"], "'x' is no size"),
        (["--sizes", "200%"], "no more than 100%"),
        (["--format", "csv"], "'csv' is not one of"),
        (["--chart", "a.pdf"], "a.pdf is neither .svg nor .png"),
        (["--chart", "nowhere/a.svg"], "nowhere is no folder"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_trace_is_read(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("cachewright.cli.simulate.read_trace", read)
    refused(ask(*options), says)


def test_files_that_are_no_trace_are_refused(ask: Ask, trace: Path, tmp_path: Path) -> None:
    packed = trace.read_bytes()
    bad = tmp_path / "bad.u32.xz"
    refused(ask(path=tmp_path / "absent"), "does not exist")
    refused(ask(path=tmp_path), "is a directory")
    for data, says in [
        (packed[: len(packed) // 2], "the xz data ends too early"),
        (packed[:20] + bytes(20) + packed[40:], "corrupt xz data"),
        (lzma.compress(bytes(4003)), "4,003 bytes are not a whole number of 32-bit ids"),
        (b"", "holds no request"),
    ]:
        bad.write_bytes(data)
        result = ask(path=bad)
        refused(result, says)
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not here")
@pytest.mark.parametrize(("name", "starts"), [("c.svg", b"<?xml"), ("c.PNG", b"\x89PNG")])
def test_a_chart_is_drawn_as_the_name_says(
    ask: Ask, tmp_path: Path, name: str, starts: bytes
) -> None:
    result = ask("--policies", "lru,cachewright", "--sizes", "5%,50%", "--chart", tmp_path / name)
    assert result.exit_code == 0, result.output
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(starts)
    assert len(drawn) > 5000


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not here")
def test_the_same_outcome_gives_the_same_chart(ask: Ask, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        ask("--policies", "lru", "--sizes", "5,20", "--chart", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_without_matplotlib_a_chart_is_refused_and_the_extra_named(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(
        ask("--chart", tmp_path / "a.svg"), "needs matplotlib: pip install 'cachewright[bench]'"
    )
    assert ask("--policies", "lru", "--sizes", "10").exit_code == 0


def test_somebody_who_watches_sees_progress_on_stderr(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(*, stderr: bool) -> Console:
        return Console(stderr=stderr, force_terminal=True)

    monkeypatch.setattr("cachewright.cli.simulate.Console", watched)
    result = ask("--policies", "lru", "--sizes", "10", "--json")
    assert "Replaying" in result.stderr
    assert json.loads(result.stdout)["sizes"] == [10]


def test_the_module_is_the_command(trace: Path) -> None:
    command = [sys.executable, "-m", "cachewright.cli", "simulate", str(trace), "--json"]
    done = subprocess.run(
        [*command, "--policies", "lru", "--sizes", "10"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sizes"] == [10]


@pytest.mark.parametrize("absent", ["click", "rich"])
def test_without_its_packages_the_command_says_what_to_install(absent: str) -> None:
    code = f"import sys; sys.modules[{absent!r}] = None\nfrom cachewright.cli import main; main()"
    command = [sys.executable, "-c", code, "simulate", "absent"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    says = f"The cachewright command needs {absent}: pip install 'cachewright[cli]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", says)


def test_help_lists_the_commands_without_a_trace() -> None:
    result = CliRunner().invoke(cachewright, ["--help"])
    assert result.exit_code == 0
    assert "simulate" in result.stdout
