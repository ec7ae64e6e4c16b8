"""Assets: a name that holds the digest of the content may be kept for ever by browsers and CDNs."""

from hashlib import sha256
from pathlib import PurePosixPath

HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}
"""For fingerprinted names alone. Whatever names them must be fresh: `no-cache` for the page."""


def fingerprinted(name: str, content: bytes) -> str:
    """`app.css` becomes `app.3fa1….css`: another content is another name."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{sha256(content).hexdigest()[:16]}{path.suffix}"))


def main() -> None:
    first = fingerprinted("static/app.css", b"body { color: black }")
    second = fingerprinted("static/app.css", b"body { color: navy }")
    print(first, second, first != second, HEADERS["Cache-Control"])


main()
