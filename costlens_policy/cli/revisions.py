"""Policies as they stood in a git revision: ``REV:path``, as git itself writes it."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costlens_policy.errors import InputError

__all__ = ["policies_at"]


@contextmanager
def policies_at(name: str) -> Iterator[Path]:
    """Give the file or folder that a name means; a revision is laid out in a folder of its own for as long as needed.

    The path of a revision starts at the repository's top, or at the present folder where it begins with ``./``.
    Raises ``InputError``.
    """
    revision, colon, inside = name.partition(":")
    if Path(name).exists() or not colon or not revision:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="costlens-policy-") as folder:
        yield _lay_out(revision, inside, Path(folder))


def _lay_out(revision: str, inside: str, folder: Path) -> Path:
    if revision.startswith("-"):
        raise InputError(f"`{revision}` is no git revision; write REV:path, such as main:policies")
    top = Path(_git("rev-parse", "--show-toplevel").decode().strip())
    here = Path.cwd().resolve().relative_to(top.resolve()) if inside.startswith("./") else Path()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    archive = _git("-C", str(top), "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    found = (folder / here / inside).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.exists():
        raise InputError(f"`{revision}` has no `{inside}`; the path starts at the top of the repository")
    return found


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError:
        raise InputError("git is not there; name files or folders instead of a revision") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
        raise InputError(f"git does not know this revision: {said or arguments[-1]}")
    return done.stdout
