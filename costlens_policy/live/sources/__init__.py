"""The sources of policies, one file for each kind, and which of them a path or URL names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust
    from costlens_policy.live.source import Source

__all__ = ["source_at"]


def source_at(place: str | os.PathLike[str], trust: Trust | None = None) -> Source:
    """Return the source at a path or URL. Raises ``InputError`` for a URL that no source has."""
    text = os.fspath(place)
    scheme, separator, _ = text.partition("://")
    if separator and scheme in ("http", "https"):
        from costlens_policy.live.sources.http import HttpSource

        return HttpSource(text, trust=trust)
    if separator:
        from costlens_policy.live.sources.objects import ObjectSource

        return ObjectSource(text, trust=trust)
    return _of_files(text, trust)


def _of_files(path: str, trust: Trust | None) -> Source:
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.live.sources.folder import FolderSource
    from costlens_policy.live.sources.packed import BundleSource, FileTransport

    if is_bundle(path):
        return BundleSource(FileTransport(path), trust)
    if trust is not None:
        raise InputError(f"`{path}` is not a bundle, so that nobody can have signed it")
    return FolderSource(path)
