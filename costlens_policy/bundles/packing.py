"""Building bundles: what a policy set reads, with its catalogue locked, and the plan that it compiles to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from costlens_policy.bundles.archive import FIRST, pack
from costlens_policy.bundles.bundle import PLAN, Bundle, Manifest, open_bundle
from costlens_policy.bundles.errors import BundleError
from costlens_policy.bundles.unpacked import compiled
from costlens_policy.compiler.plan import Plan
from costlens_policy.version import __version__

if TYPE_CHECKING:
    from costlens_policy.checker import LinkedBundle
    from costlens_policy.checker.bundle import LinkedDocument
    from costlens_policy.documents import Document

__all__ = ["build"]


def build(*paths: str | os.PathLike[str]) -> Bundle:
    """Pack the policy set in files or folders, as ``load`` reads it, with the suites beside it.

    What ``load`` only warns of is refused here: nobody would see it where the bundle is used. Raises ``PolicyError``,
    and ``BundleError`` for what cannot be packed.
    """
    from costlens_policy.checker import check
    from costlens_policy.diagnostics.model import PolicyError

    checked = check([Path(path) for path in paths])
    if mistakes := [item for item in checked.warnings if item.is_error]:
        raise PolicyError(mistakes)
    linked = checked.linked
    names = _names_of(_packed(linked))
    files = {names[name]: text for name, text in _texts(linked, names).items()}
    policy_set = names[linked.policy_set.located.source.name]
    plan = compiled(files, policy_set)
    if plan.catalogue_digest != linked.catalogue.digest:
        raise BundleError("the locked catalogue is not the catalogue of the policy set; please report this")
    content = files | {PLAN: _plan_text(plan)}
    listed = {name: content[name] for name in sorted(content)}
    manifest = Manifest(
        name=plan.name,
        version=plan.version,
        program=__version__,
        policy_set=policy_set,
        policy_digest=plan.policy_digest,
        catalogue_digest=plan.catalogue_digest,
        files={name: sha256(text).hexdigest() for name, text in listed.items()},
    )
    return open_bundle(pack({FIRST: manifest.to_bytes(), **listed}), f"the bundle of {plan.name}")


def _plan_text(plan: Plan) -> bytes:
    from costlens_policy.saving.encoding import NotSavable
    from costlens_policy.saving.files import content_of

    try:
        return content_of(plan, {})
    except NotSavable as error:
        raise BundleError(f"the plan of `{plan.name}` cannot be packed: {error}") from error


def _packed(linked: LinkedBundle) -> list[str]:
    """Return the files to pack: those of the policy set, and others beside it that hold documents of this program.

    Learned models go with them. A folder has other YAML as well, such as requests, which was only read to find the
    policy set.
    """
    from costlens_policy.checker.library import Library

    library = Library()
    models = set(linked.signals.files)
    return [
        name
        for name in linked.sources
        if name in models or any(reading.is_ours for reading in library.open(name).readings)
    ]


def _names_of(files: Iterable[str]) -> dict[str, str]:
    """Return the paths of files from the folder that holds them all."""
    real = {name: os.path.realpath(name) for name in files}
    top = os.path.commonpath([os.path.dirname(path) for path in real.values()])
    return {name: PurePosixPath(Path(os.path.relpath(path, top))).as_posix() for name, path in real.items()}


def _texts(linked: LinkedBundle, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the text of each file by its path: those that were read, with the lock for the catalogues."""
    texts = {name: linked.sources[name].text.encode() for name in names}
    catalogues = list(dict.fromkeys(item.located.source.name for item in linked.catalogues))
    others = {item.located.source.name for item in _documents(linked)}
    if mixed := sorted(others.intersection(catalogues)):
        raise BundleError(f"`{mixed[0]}` holds a catalogue and other documents; give the catalogue a file of its own")
    for place, name in enumerate(() if _is_locked(linked) else catalogues):
        texts[name] = _lock(linked, names) if place == 0 else _no_models(place)
    return texts


def _documents(linked: LinkedBundle) -> Iterator[LinkedDocument[Document]]:
    yield linked.policy_set
    yield from (*linked.policies, *linked.tables, *linked.signal_documents)


def _is_locked(linked: LinkedBundle) -> bool:
    """Return whether the first catalogue is a lock of all models, as in a bundle that is built again."""
    from costlens_policy.catalogue.writing import DIGEST_LABEL, digest_label

    labels = linked.catalogues[0].document.metadata.labels if linked.catalogues else {}
    return labels.get(DIGEST_LABEL) == digest_label(linked.catalogue)


def _lock(linked: LinkedBundle, names: Mapping[str, str]) -> bytes:
    from costlens_policy.catalogue.writing import comment, lock

    text = lock(linked.catalogue)
    for name, path in names.items():  # the sources of prices, in comments
        text = text.replace(f"{comment(f'prices: {name}', 2)}\n", f"{comment(f'prices: {path}', 2)}\n")
    return text.encode()


def _no_models(place: int) -> bytes:
    from costlens_policy.catalogue.writing import document_text

    head: dict[str, Any] = {"name": f"in-the-lock-{place}", "version": "1"}
    return document_text(head, (), ["The models of this catalogue stand in the lock, the first of the set."]).encode()
