"""The starter repository that ``init`` writes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from costlens_policy.cli.files import write_file
from costlens_policy.cli.starter.origin import Origin, installed_origin
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.errors import InputError
from costlens_policy.schema import schema_texts

__all__ = ["starter_files", "write_starter"]

_FILES: Final = {
    ".github/workflows/policies.yml": "workflow.yaml",
    ".pre-commit-config.yaml": "pre-commit-config.yaml",
    "README.md": "README.md.tmpl",
    "catalogue.yaml": "catalogue.yaml",
    "policies/access.yaml": "policies/access.yaml",
    "policies/access_test.yaml": "policies/access_test.yaml",
    "policies/privacy.yaml": "policies/privacy.yaml",
    "policies/privacy_test.yaml": "policies/privacy_test.yaml",
    "policies/routing.yaml": "policies/routing.yaml",
    "policies/routing_test.yaml": "policies/routing_test.yaml",
    "policy-set.yaml": "policy-set.yaml",
    "request.yaml": "request.yaml",
    "requirements.txt": "requirements.txt.tmpl",
}
"""File of the starter, and the file of this package that it is made from."""


def starter_files(origin: Origin | None = None) -> dict[str, str]:
    """Return the text of every file by its path in the repository.

    ``origin`` is where the repository installs this program from; left out, where this one was.
    """
    requirement = (origin or installed_origin()).requirement
    written = {path: _text(name, requirement) for path, name in _FILES.items()}
    return written | {f"schemas/{name}": text for name, text in schema_texts().items()}


def write_starter(folder: Path, *, force: bool, origin: Origin | None = None) -> None:
    """Write the starter into a folder. Raises ``InputError`` where files exist, unless ``force``."""
    texts = starter_files(origin)
    there = [path for path in texts if (folder / path).exists()]
    if there and not force:
        names = listed(str(folder / path) for path in there)
        raise InputError(f"nothing was written, since there is already {names}; use `--force` to replace")
    for path, text in texts.items():
        write_file(folder / path, text.encode())


def _text(name: str, requirement: str) -> str:
    text = files(__name__).joinpath(name).read_text(encoding="utf-8")
    return Template(text).substitute(requirement=requirement) if name.endswith(".tmpl") else text
