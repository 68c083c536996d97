"""Where a starter repository installs this program from: what its requirements.txt says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import costlens_policy
from costlens_policy import __version__
from costlens_policy.errors import InputError

__all__ = ["Origin", "chosen_origin", "installed_origin"]

_NAME: Final = "costlens-policy"
_URL: Final = re.compile(r"(git|hg|svn|bzr)\+\w+:|https?:|file:")
_VERSION: Final = re.compile(r"\d+(\.\w+)*([.+-]\w+)*")
_EXTRAS: Final = re.compile(r"costlens[-_.]policy(\[[\w, -]+\])?\s*([<>=!~@].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """``requirement`` is the line of requirements.txt; ``place`` a folder or file of this machine that it names."""

    requirement: str
    place: str = ""


def installed_origin() -> Origin:
    """Return where this program was installed from: an index, a URL, or a place on this machine."""
    checkout = Path(costlens_policy.__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return _of_place(checkout)
    told = _direct_url()
    url = str(told.get("url", ""))
    if not url:
        return Origin(f"{_NAME}=={__version__}")
    if version := told.get("vcs_info"):
        return Origin(f"{_NAME} @ {version['vcs']}+{url}@{version['commit_id']}")
    return _of_url(url)


def chosen_origin(text: str, folder: Path) -> Origin:
    """Return where to install from by what a user says: a version, a requirement, a URL or a path.

    A path inside of ``folder``, which the starter is written into, is kept relative to it. Raises ``InputError``.
    """
    if _URL.match(text):
        return _of_url(text)
    if _VERSION.fullmatch(text):
        return Origin(f"{_NAME}=={text}")
    if _EXTRAS.fullmatch(text):
        return Origin(text)
    place = Path(text).resolve()
    if not text or not place.exists():
        raise InputError(
            f"`{text}` is not a version, a URL or a path that exists; name one to install this program from"
        )
    top = folder.resolve()
    if place != top and place.is_relative_to(top):
        return Origin(f"./{place.relative_to(top).as_posix()}")
    return _of_place(place)


def _direct_url() -> dict[str, Any]:
    """Return what the installer noted about the origin (PEP 610); nothing where that was an index."""
    try:
        told = json.loads(distribution(_NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError, OSError):
        return {}
    return told if isinstance(told, dict) else {}


def _of_url(url: str) -> Origin:
    place = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    return Origin(f"{_NAME} @ {url}", place)


def _of_place(place: Path) -> Origin:
    return Origin(f"{_NAME} @ {place.as_uri()}", str(place))
