"""What all documents of a fit share: where they come from, and a seal that tells whether they were edited since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Final

from costlens_policy.catalogue.writing import comment
from costlens_policy.frozen import frozen

__all__ = ["MADE_BY", "Origin", "is_as_written", "made_by", "sealed", "version_of"]

MADE_BY: Final = "Made by `"
"""How the comment begins that heads each document, before the command that made it."""
_SEAL: Final = "# As written by `fit`: sha256:"
"""How the second line begins, with a digest of what follows it: an edited document is not replaced."""


@frozen
class Origin:
    """Where a fit comes from: files, the digest of their outcomes, the day of the measurement, and the command."""

    sources: tuple[str, ...]
    digest: str
    measured: date
    command: str
    catalogues: tuple[str, ...] = ()
    """Documents with the prices, relative to those that are written; none means that these have prices of their own."""


def sealed(text: str) -> str:
    """Return a document with a digest of what stands below its first line."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{_SEAL}{hashlib.sha256(rest.encode()).hexdigest()}\n{rest}"


def is_as_written(text: str) -> bool:
    """Whether a document is as ``sealed`` gave it."""
    first, _, below = text.partition("\n")
    _, _, rest = below.partition("\n")
    return sealed(f"{first}\n{rest}") == text


def made_by(origin: Origin) -> Iterator[str]:
    yield comment(f"{MADE_BY}{origin.command}`; review it like code.")


def version_of(origin: Origin) -> str:
    return f"{origin.measured:%Y.%m.%d}"
