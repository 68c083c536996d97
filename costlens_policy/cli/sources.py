"""What options name and commands open: catalogues, ledgers, bundles, and policies as they were in a git revision."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from costlens_policy.cli.output import note, render_diagnostics, shown_as
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.catalogue import Catalogue
    from costlens_policy.documents import CatalogueDocument
    from costlens_policy.ledger import Store
    from costlens_policy.source.located import LocatedDocument

__all__ = ["laid_out", "ledger_at", "load_models", "policies_at"]


def load_models(paths: Sequence[Path]) -> Catalogue:
    """Return the catalogue of the policy set in some paths, or that of catalogue documents named by file.

    Raises ``PolicyError`` where they are not right; warnings go to standard error.
    """
    from costlens_policy.catalogue.resolve import resolve
    from costlens_policy.checker import check

    documents = _catalogue_documents(paths)
    if documents is None:
        return check(paths).linked.catalogue
    resolved = resolve(documents)
    if any(item.is_error for item in resolved.diagnostics):
        raise PolicyError(resolved.diagnostics)
    if resolved.diagnostics:
        note(render_diagnostics(resolved.diagnostics, stderr=True))
    return resolved.catalogue


def _catalogue_documents(paths: Sequence[Path]) -> list[tuple[LocatedDocument, CatalogueDocument]] | None:
    """Return the catalogue documents in files, or None where a path is a folder or holds something else."""
    from costlens_policy.checker.library import Library
    from costlens_policy.documents import CatalogueDocument

    library = Library()
    documents = []
    for path in paths:
        file = None if path.is_dir() else library.open(path)
        if file is None or not file.readings:
            return None
        for reading in file.readings:
            if reading.kind != "Catalogue":
                return None
            if not isinstance(reading.document, CatalogueDocument):
                raise PolicyError(reading.diagnostics)
            documents.append((reading.located, reading.document))
    return documents


@contextmanager
def ledger_at(url: str, *, read_only: bool) -> Iterator[Store]:
    """Open a ledger that exists, without its policies; one that is only looked at need not be writable."""
    store = _open_ledger(url, read_only)
    try:
        yield store
    finally:
        store.close()


def _open_ledger(url: str, read_only: bool) -> Store:
    from costlens_policy.ledger import LedgerError, LedgerUnavailableError, open_ledger

    if url.startswith("memory:"):
        raise click.UsageError("a ledger in memory belongs to its own process; name a file or a server")
    if url.startswith("sqlite:") and not Path(unquote(urlsplit(url).path.removeprefix("/"))).exists():
        raise InputError(f"no ledger `{url}`; a guard creates it when it is first used")
    try:
        return open_ledger(url, read_only=read_only)
    except LedgerUnavailableError:
        raise
    except LedgerError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def policies_at(name: str) -> Iterator[Path]:
    """Give the file or folder that a name means; a bundle or revision is laid out in a folder for as long as needed.

    The path of a revision starts at the repository's top, or at the current directory where it begins with ``./``.
    Raises ``InputError`` and ``BundleError``.
    """
    import tempfile

    from costlens_policy.bundles.archive import is_bundle

    if is_bundle(name):
        with laid_out(Path(name)) as found:
            yield found
        return
    revision, colon, inside = name.partition(":")
    if Path(name).exists() or not colon or not revision:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="costlens-policy-") as folder, shown_as(Path(folder), revision):
        yield _lay_out(revision, inside, Path(folder))


@contextmanager
def laid_out(path: Path) -> Iterator[Path]:
    """Give a folder with the documents of a bundle, if the environment lets it be used. Raises ``BundleError``."""
    from costlens_policy.bundles import Trust, open_bundle

    bundle = open_bundle(path)
    trust = Trust.of_environment()
    if trust is not None:
        trust.verify(bundle)
    with bundle.laid_out() as folder, shown_as(folder, str(path)):
        yield folder


def _lay_out(revision: str, inside: str, folder: Path) -> Path:
    import tarfile

    if revision.startswith("-"):
        raise InputError(f"`{revision}` is not a git revision; write REV:path, such as main:policies")
    top = Path(_git("rev-parse", "--show-toplevel").decode().strip())
    here = Path.cwd().resolve().relative_to(top.resolve()) if inside.startswith("./") else Path()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    archive = _git("-C", str(top), "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    found = (folder / here / inside).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.exists():
        raise InputError(f"`{revision}` has no `{inside}`; paths start at the top of the repository")
    return found


def _git(*arguments: str) -> bytes:
    import subprocess

    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError:
        raise InputError("git is not installed; name files or directories instead of a revision") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
        raise InputError(f"unknown git revision: {said or arguments[-1]}")
    return done.stdout
