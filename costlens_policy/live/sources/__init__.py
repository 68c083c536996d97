"""The sources of policies, one file for each kind, and which of them a path or URL names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust
    from costlens_policy.live.source import Source

__all__ = ["source_at"]

_URL: Final = re.compile(r"([a-z][a-z0-9+.]+):/(?=[^/])")
"""The beginning of a URL as ``pathlib`` has it, which takes two slashes for one. Drives have one letter."""


def source_at(*places: str | os.PathLike[str], trust: Trust | None = None, cache: bool = True) -> Source:
    """Return the source at a path or URL, or of several files and folders that are one policy set.

    ``git+URL#REVISION:PATH`` is a repository; other URLs are those of bundles. ``cache`` is for plans of files and
    folders. Raises ``InputError`` for a URL that no source has, and for ``trust`` where no signature could be.
    """
    texts = [_URL.sub(_whole, os.fspath(place), count=1) for place in places]
    remote = [text for text in texts if "://" in text]
    if remote and len(texts) > 1:
        raise InputError(f"`{remote[0]}` holds all that it needs; name it without other files or folders")
    return _remote(remote[0], trust) if remote else _of_files(texts, trust, cache)


def _whole(beginning: re.Match[str]) -> str:
    scheme = beginning[1]
    return f"{scheme}:///" if scheme.endswith("file") else f"{scheme}://"


def _remote(url: str, trust: Trust | None) -> Source:
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        from costlens_policy.live.sources.http import HttpSource

        return HttpSource(url, trust=trust)
    if scheme.startswith("git+"):
        return _repository(url.removeprefix("git+"), trust)
    from costlens_policy.live.sources.objects import ObjectSource

    return ObjectSource(url, trust=trust)


def _repository(url: str, trust: Trust | None) -> Source:
    from costlens_policy.live.sources.git import GitSource

    if trust is not None:
        raise InputError("policies in a repository have no signature to verify; serve a bundle")
    repository, _, place = url.partition("#")
    revision, _, path = place.partition(":")
    return GitSource(repository, revision or "main", path or ".")


def _of_files(paths: list[str], trust: Trust | None, cache: bool) -> Source:
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.live.sources.folder import FolderSource
    from costlens_policy.live.sources.packed import BundleSource, FileTransport

    packed = [path for path in paths if is_bundle(path)]
    if packed and len(paths) > 1:
        raise InputError(f"`{packed[0]}` holds all that it needs; name it without other files or folders")
    if packed:
        return BundleSource(FileTransport(packed[0]), trust)
    if trust is not None and not all(map(os.path.exists, paths)):
        raise InputError(f"there is no file `{' '.join(paths)}`")
    if trust is not None:
        raise InputError(f"`{' '.join(paths)}` is not a bundle, so that nobody can have signed it")
    return FolderSource(*paths, cache=cache)
