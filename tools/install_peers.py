"""Installs a lock file as a whole; where that fails, each of its packages by itself, and says which are missing.

    python tools/install_peers.py requirements/bench.txt

Every package of a lock file stands there with its hashes, so each can be installed without the others.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]


def install(lock: Path) -> bool:
    """Whether everything in the lock file is installed now."""
    command = [*PIP, "--no-deps", "--require-hashes", "-r", str(lock)]
    return subprocess.run(command, check=False).returncode == 0


def requirements(text: str) -> list[str]:
    """The requirements of a lock file, each with its hashes."""
    found: list[str] = []
    for line in text.splitlines():
        if line[:1].isalnum():
            found.append(line)
        elif found and line.startswith("    --hash"):
            found[-1] += f"\n{line}"
    return [one.rstrip("\\ \n") for one in found]


def install_one_by_one(lock: Path) -> list[str]:
    """The names of those that could not be installed."""
    missing = []
    with tempfile.TemporaryDirectory() as place:
        for one in requirements(lock.read_text()):
            single = Path(place, "one.txt")
            single.write_text(one + "\n")
            if not install(single):
                missing.append(one.partition("==")[0])
    return missing


def main() -> None:
    """The command."""
    lock = Path(sys.argv[1])
    if install(lock):
        return
    for name in install_one_by_one(lock):
        print(f"{name} cannot be installed here: the run goes on without it")


if __name__ == "__main__":
    main()
