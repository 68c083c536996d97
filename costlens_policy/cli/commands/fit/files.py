"""The files of a fit in a directory: what a fit wrote before is replaced, what a person wrote or edited is not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from costlens_policy.cli.output import note, write_file
from costlens_policy.errors import InputError

__all__ = ["PROGRAM", "note_earlier", "referable", "write_documents"]

PROGRAM: Final = "costlens-policy fit"
_MODEL: Final = '{\n  "format": "costlens-policy/learned-signal'
"""How the file of a learned signal begins."""
_OF_SOME: Final = ("models.yaml", "quality.yaml", "signals.yaml", "task.json", "difficulty.json")
"""Files that not every fit writes."""


def write_documents(documents: Mapping[str, str], folder: Path, force: bool) -> None:
    """Write the documents. What a fit wrote before is replaced, what a person wrote or edited is not.

    Files that were edited are replaced by ``force``. Raises ``InputError``.
    """
    from costlens_policy.fit.documents import is_as_written

    begins = _beginnings()
    texts = {folder / name: text for name, text in documents.items()}
    for path in texts:
        if not path.exists():
            continue
        there = path.read_text(encoding="utf-8", errors="replace")
        if not there.startswith(begins):
            raise InputError(f"`{path}` was not written by `fit` and is not replaced; name another directory")
        if not force and not (_is_named(path, folder) if there.startswith(_MODEL) else is_as_written(there)):
            raise InputError(
                f"`{path}` was edited after `fit` wrote it and is not replaced; name another directory, or replace it "
                "with `--force`"
            )
    for path, text in texts.items():
        write_file(path, text.encode())
        note(f"wrote `{path}`")


def note_earlier(documents: Mapping[str, str], folder: Path) -> None:
    """Name the files of an earlier fit that the policy set no longer has, such as those of a signal."""
    begins = _beginnings()
    for name in _OF_SOME:
        path = folder / name
        if name not in documents and path.is_file() and path.read_text("utf-8", "replace").startswith(begins):
            note(f"`{path}` is of an earlier fit, and no part of the policy set any more")


def referable(prices: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """Return catalogues as a policy set in the folder can name them; nothing where it cannot name all of them."""
    from costlens_policy.source.read import checkout_of

    checkout = checkout_of(folder.resolve() / "policy-set.yaml")
    for path in prices:
        if path.is_dir() or checkout is None or not path.resolve().is_relative_to(checkout):
            return ()
    return tuple(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix() for path in prices)


def _beginnings() -> tuple[str, ...]:
    """Return how the files begin that a fit writes."""
    from costlens_policy.fit.documents import MADE_BY

    return f"# {MADE_BY}{PROGRAM}", _MODEL


def _is_named(model: Path, folder: Path) -> bool:
    """Whether the signals in a folder name a model file by the digest that it has, as `fit` wrote both."""
    signals = folder / "signals.yaml"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return signals.exists() and digest in signals.read_text(encoding="utf-8", errors="replace")
