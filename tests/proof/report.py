"""Outcomes as text, as data and as the table of docs/explanation/proof.md.

What must not be here: running anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from proof.experiment import Measured, Number, Outcome

RESULTS = Path("docs/explanation/proof.json")
TABLE = Path("docs/explanation/proof.md")

_HEAD = """# Proof

Each row is an experiment that `make prove` runs: on cachewright, on a control that lacks the protection, and on peers
where they have the feature. A run whose control breaks no promise is a failed run: it would show nothing. The numbers
were written by `make prove ARGS=--write`; a seed replays the same operations, though not the same timing.

*Violations* count broken promises. What else was counted stands beside them. A target that was missed is in bold.
"""


def show(outcome: Outcome) -> None:
    """Print it."""
    print(f"    ours     {_spelled(outcome.ours)}")
    print(f"    control  {_spelled(outcome.control)}   ({outcome.experiment.control_is})")
    for name, measured in outcome.peers.items():
        print(f"    {name:8} {measured if isinstance(measured, str) else _spelled(measured)}")
    print(f"    {outcome.complaint or 'holds'} after {outcome.seconds:.0f} s", flush=True)


def keep(outcome: Outcome, results: str | Path = RESULTS) -> None:
    """Put it among the results, in place of an older one of the same experiment."""
    path = Path(results)
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    kept[outcome.experiment.name] = _as_data(outcome)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _as_data(outcome: Outcome) -> dict[str, Any]:
    experiment = outcome.experiment
    return {
        "what": experiment.what,
        "target": experiment.target,
        "control is": experiment.control_is,
        "size": outcome.size,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 1),
        "holds": not outcome.complaint,
        "ours": asdict(outcome.ours),
        "control": asdict(outcome.control),
        "peers": {
            name: measured if isinstance(measured, str) else asdict(measured)
            for name, measured in outcome.peers.items()
        },
    }


def write(results: str | Path = RESULTS) -> None:
    """The table, from the results that are kept."""
    kept = json.loads(Path(results).read_text())
    rows = [_row(name, one) for name, one in kept.items()]
    head = "| experiment | target | ours | control | peers | run |\n|---|---|---|---|---|---|"
    TABLE.write_text("\n".join([_HEAD, head, *rows, ""]))


def _row(name: str, one: Mapping[str, Any]) -> str:
    control = f"{_cell(one['control'])}<br>*{one['control is']}*"
    peers = "<br>".join(f"{peer}: {_cell(it)}" for peer, it in one["peers"].items()) or "–"
    how = f"{one['size']}, seed {one['seed']}, {one['seconds']:.0f} s"
    ours = _cell(one["ours"]) + ("" if one["holds"] else "<br>**the run failed**")
    cells = [f"**{name}**<br>{one['what']}", one["target"], ours, control, peers, how]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _cell(measured: Mapping[str, Any] | str) -> str:
    if isinstance(measured, str):
        return measured
    parts = [f"{measured['violations']} violations"]
    parts += [f"{name}: {_number(value)}" for name, value in measured["numbers"].items()]
    parts += [f"**missed: {target}**" for target in measured["missed"]]
    return "<br>".join(parts)


def _spelled(measured: Measured) -> str:
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in measured.numbers.items())
    missed = "".join(f"; MISSED {target}" for target in measured.missed)
    return f"{measured.violations} violations; {numbers}{missed}"


def _number(value: Number) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.4g}"
        if isinstance(value, float)
        else value
    )
