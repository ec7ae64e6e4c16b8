#!/usr/bin/env python3
"""Writes the blocking twin of everything under an `_async` folder into the `_sync` folder beside it.

    tools/unasync.py            bring the twins up to date, remove those whose source is gone
    tools/unasync.py --check    change nothing; exit 1 and name what is out of date or unused

Works on tokens, so comments, layout and line numbers stay: line N of a twin is line N of its
source, except line 1, a comment in the source, which becomes the notice of its origin.

- A name loses its `Async` prefix (`_AsyncFlight` → `_Flight`); `async` and `await` go;
  the names of `RENAMED` become their partners.
- Strings and comments follow the same rules, but `async` and `await` go only where code is meant,
  before `def`, `with`, `for` and before a call, so that prose about awaiting stays readable.

What must not be here: branches on where a name stands, or on what it means. Whatever the two
worlds do differently is a name in `_waits/aio.py` and in `_waits/threads.py`.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOMS = (
    "src/cachewright",
    "src/cachewright/patterns",
    "src/cachewright/integrations/dbapi",
    "tests",
    "tests/patterns",
)
NOTICE = "# Generated from _async/{} by tools/unasync.py. Do not edit.\n"
RENAMED = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_sync",
    "aclose": "close",
    "aio": "threads",
    "aio_pipe": "threads_pipe",
}
PREFIX = re.compile(r"\b(_*)Async(?=[A-Z])")
KEYWORD = re.compile(r"\b(async) (?=(?:def|with|for)\b)|\b(await) (?=[\w.]+\()")
WORD = re.compile(r"\b(" + "|".join(map(re.escape, RENAMED)) + r")\b")
RULES = {"async", "await", "Async…", *RENAMED}
# Since Python 3.12 the literal parts of an f-string are tokens of their own.
TEXT = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}

Edit = tuple[int, int, str]
"""Characters `[start, end)` of the source, and what stands there in the twin."""


class SourceError(Exception):
    """A source that has no twin. The message names the file and the remedy."""


class Translator:
    """Turns sources into twins and remembers which rules were of use."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def twin(self, source: str, name: str) -> str:
        """The blocking twin of `source`, the text of the file `name` (relative to `_async`)."""
        if source.strip() and not source.startswith("#"):
            raise SourceError(
                f"_async/{name}: line 1 must be a comment; the twin's notice goes there"
            )
        try:
            twin = NOTICE.format(name) + self._blocking(source).partition("\n")[2]
            compile(twin, name, "exec", dont_inherit=True)
        except (SyntaxError, tokenize.TokenError) as error:
            raise SourceError(f"_async/{name}: its twin would be no Python: {error}") from None
        return twin

    def _blocking(self, source: str) -> str:
        pieces: list[str] = []
        done = 0
        for start, end, text in self._edits(source):
            pieces += source[done:start], text
            done = end
        return "".join([*pieces, source[done:]])

    def _edits(self, source: str) -> Iterator[Edit]:
        starts = [0]
        for line in io.StringIO(source):
            starts.append(starts[-1] + len(line))
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            if token.type in TEXT:
                yield start, end, self._text(source[start:end])
            elif token.string in ("async", "await"):
                self.used.add(token.string)
                yield start, end + source.startswith(" ", end), ""
            elif token.type == tokenize.NAME:
                yield start, end, self._renamed(token.string)

    def _text(self, text: str) -> str:
        return self._renamed(KEYWORD.sub(self._dropped, text))

    def _renamed(self, text: str) -> str:
        return WORD.sub(self._partner, PREFIX.sub(self._unprefixed, text))

    def _partner(self, match: re.Match[str]) -> str:
        self.used.add(match[1])
        return RENAMED[match[1]]

    def _unprefixed(self, match: re.Match[str]) -> str:
        self.used.add("Async…")
        return match[1]

    def _dropped(self, match: re.Match[str]) -> str:
        self.used.add(match[1] or match[2])
        return ""


def twins(root: Path, translator: Translator) -> dict[Path, str]:
    """Every twin that belongs under `root`: its path and its text."""
    found = {}
    for room in ROOMS:
        folder = root / room / "_async"
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder)
            source = path.read_text(encoding="utf-8")
            found[root / room / "_sync" / name] = translator.twin(source, name.as_posix())
    return found


def out_of_date(root: Path, wanted: dict[Path, str]) -> Iterator[Path]:
    """Twins that are missing or differ, then those whose source is gone."""
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path
    for room in ROOMS:
        for path in sorted(set((root / room / "_sync").rglob("*.py")) - set(wanted)):
            if not path.read_text(encoding="utf-8").startswith(NOTICE.partition("{}")[0]):
                raise SourceError(
                    f"{path.relative_to(root)}: written by hand; it belongs elsewhere"
                )
            yield path


def write(path: Path, text: str | None) -> None:
    """Write a twin, or remove it when `text` is None."""
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code: 0 all is well, 1 something is out of date, 2 a bad source."""
    parser = argparse.ArgumentParser(description="Write the blocking twins of the _async folders.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing, exit 1 if anything would"
    )
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    options = parser.parse_args(arguments)
    translator = Translator()
    try:
        wanted = twins(options.root, translator)
        stale = list(out_of_date(options.root, wanted))
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    for path in stale:
        print(f"{'out of date' if options.check else 'written'}: {path.relative_to(options.root)}")
        if not options.check:
            write(path, wanted.get(path))
    unused = sorted(RULES - translator.used) if options.check else []
    for rule in unused:
        print(f"no source needs the rule for {rule!r}: remove it from tools/unasync.py")
    return 1 if options.check and (stale or unused) else 0


if __name__ == "__main__":
    sys.exit(main())
